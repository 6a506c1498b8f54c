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

/// SplitMix64 (Steele, Lea, Flood 2014): a seed tells the whole sequence.
struct SplitMix64 {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }

    /// Replaces, removes, doubles or inserts at a random place.
    mutating func mutate(_ bytes: inout [UInt8]) {
        let at = below(bytes.count + 1)
        let interesting: [UInt8] = Array("\r\n\t :;,0159afgHTP/%+-\0".utf8) + [0x7F, 0x80, 0xFF]
        let byte = below(3) > 0 ? interesting[below(interesting.count)] : UInt8(truncatingIfNeeded: next())
        switch below(4) {
        case 0 where at < bytes.count: bytes[at] = byte
        case 1 where at < bytes.count: bytes.removeSubrange(at..<min(bytes.count, at + 1 + below(8)))
        case 2 where at < bytes.count: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + 1 + below(8))], at: at)
        default: bytes.insert(byte, at: at)
        }
    }

    mutating func pieces(of bytes: [UInt8]) -> [ArraySlice<UInt8>] {
        var pieces: [ArraySlice<UInt8>] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = min(rest.count, 1 + below(below(4) == 0 ? 3 : 40))
            pieces.append(rest.prefix(count))
            rest = rest.dropFirst(count)
        }
        return pieces
    }
}
