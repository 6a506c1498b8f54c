/// 64-bit hashes of values, by which profiles tell them apart. Not for keys that must withstand an attacker who knows
/// the seed; profiles draw one each.
struct ValueHash: Sendable {
    let seed: UInt64

    /// The finaliser of MurmurHash3 over a word.
    func callAsFunction(_ word: UInt64) -> UInt64 {
        var hash = word ^ seed
        hash = (hash ^ (hash >> 33)) &* 0xFF51_AFD7_ED55_8CCD
        hash = (hash ^ (hash >> 33)) &* 0xC4CE_B9FE_1A85_EC53
        return hash ^ (hash >> 33)
    }

    func callAsFunction(_ bytes: Span<UInt8>) -> UInt64 {
        var hash = seed ^ UInt64(truncatingIfNeeded: bytes.count)
        var at = 0
        while at + 8 <= bytes.count {
            var word: UInt64 = 0
            for place in 0..<8 { word |= UInt64(bytes[at + place]) << UInt64(place * 8) }
            hash = Self.fold(hash ^ word)
            at += 8
        }
        var rest: UInt64 = 0
        while at < bytes.count {
            rest = rest << 8 | UInt64(bytes[at])
            at += 1
        }
        return callAsFunction(Self.fold(hash ^ rest))
    }

    /// Both halves of a product: each bit of the word reaches each of the result's.
    private static func fold(_ word: UInt64) -> UInt64 {
        let product = word.multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        return product.high ^ product.low
    }
}
