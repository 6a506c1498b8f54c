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
