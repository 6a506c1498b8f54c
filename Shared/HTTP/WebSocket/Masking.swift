/// The masking of client frames (RFC 6455, section 5.3).
enum Masking {
    /// Takes the mask off `octets` from `start` on, which are a payload's from its octet `phase` on.
    static func remove(_ mask: UInt32, from octets: inout [UInt8], startingAt start: Int, phase: Int) {
        let turn = UInt32(8 * (phase & 3))
        let key = mask << turn | mask >> (32 - turn)
        let (a, b) = (UInt8(truncatingIfNeeded: key >> 24), UInt8(truncatingIfNeeded: key >> 16))
        let (c, d) = (UInt8(truncatingIfNeeded: key >> 8), UInt8(truncatingIfNeeded: key))
        var span = octets.mutableSpan
        var index = start
        while index &+ 4 <= span.count {
            span[index] ^= a
            span[index &+ 1] ^= b
            span[index &+ 2] ^= c
            span[index &+ 3] ^= d
            index &+= 4
        }
        if index < span.count { span[index] ^= a }
        if index &+ 1 < span.count { span[index &+ 1] ^= b }
        if index &+ 2 < span.count { span[index &+ 2] ^= c }
    }
}
