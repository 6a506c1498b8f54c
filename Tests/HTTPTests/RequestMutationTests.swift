import HTTP
import HTTPCorpus
import Testing

/// Whatever bytes come, the parser yields requests or a fault, and the same ones however the bytes are split.
@Suite struct RequestMutationTests {
    @Test(arguments: [UInt64(1), 2, 3, 4, .random(in: 5 ... .max)])
    func survivesRandomBytes(seed: UInt64) throws {
        var random = SplitMix64(state: seed)
        let corpus = try HTTPCorpus.cases().map(\.octets).filter { $0.count < 2_000 }
        var faults = 0
        var complete = 0
        for _ in 0..<4_000 {
            var bytes = corpus[random.below(corpus.count)] + corpus[random.below(corpus.count)]
            for _ in 0...random.below(3) { random.mutate(&bytes) }
            let whole = ParsedStream(bytes)
            faults += whole.fault == nil ? 0 : 1
            complete += whole.requests.filter(\.isComplete).count
            let pieces = random.pieces(of: bytes)
            #expect(ParsedStream(pieces) == whole, "seed \(seed): \(String(decoding: bytes, as: UTF8.self))")
        }
        #expect(faults > 0 && complete > 0, "seed \(seed)")
    }
}
