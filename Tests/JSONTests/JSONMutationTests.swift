import JSON
import Testing

/// Whatever bytes come, the parser answers or throws, and what it accepts survives being written and read again.
@Suite struct JSONMutationTests {
    private static let corpus = [
        #"{"source":"weblogs","steps":[{"parse":{"format":"combined","from":"line"}},{"drop":["referer"]}]}"#,
        #"[1,-2.5e10,"a\u00e9\ud83d\ude00\n",null,true,false,{"a":{"b":[[]]}},12345678901234567890]"#,
        "{\"é中😀\":\"\\\"\\\\\",\"\":[{}]}", "\"\\u0000\\uFFFF\"", "-0.0e-0",
    ]

    @Test(arguments: [UInt64(1), 2, 3, .random(in: 4 ... .max)])
    func survivesRandomBytes(seed: UInt64) throws {
        var random = SplitMix64(state: seed)
        var accepted = 0
        for _ in 0..<5_000 {
            var bytes = Array(Self.corpus[random.below(Self.corpus.count)].utf8)
            for _ in 0...random.below(4) { random.mutate(&bytes) }
            guard let value = try? JSONValue.parse(bytes) else { continue }
            accepted += 1
            let text = value.serialized()
            let again = try JSONValue.parse(text)
            #expect(again == value, "seed \(seed)")
            #expect(again.serialized() == text, "seed \(seed)")
        }
        #expect(accepted > 0, "seed \(seed)")
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
        let interesting: [UInt8] = Array("\"\\{}[]:,0-eu \r\n\0".utf8) + [0x80, 0xC3, 0xED, 0xFF]
        let byte = below(2) == 0 ? interesting[below(interesting.count)] : UInt8(truncatingIfNeeded: next())
        switch below(4) {
        case 0 where at < bytes.count: bytes[at] = byte
        case 1 where at < bytes.count: bytes.removeSubrange(at..<min(bytes.count, at + 1 + below(8)))
        case 2 where at < bytes.count: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + 1 + below(8))], at: at)
        default: bytes.insert(byte, at: at)
        }
    }
}
