/// An IPv4 or IPv6 address, without a port and without a zone.
public struct IPAddress: Sendable, Hashable {
    public enum Family: Sendable, Hashable {
        case v4, v6

        /// How many bits an address has.
        public var width: Int { self == .v4 ? 32 : 128 }
    }

    public let family: Family
    /// The address as a number; below 2³² for IPv4.
    public let bits: UInt128

    public init(v4 bits: UInt32) {
        family = .v4
        self.bits = UInt128(bits)
    }

    public init(v6 bits: UInt128) {
        family = .v6
        self.bits = bits
    }

    /// The IPv4 address inside an IPv4-mapped one (`::ffff:0:0/96`, RFC 4291, section 2.5.5.2), for the kernel sends
    /// packets to that; any other address as it is.
    public var unmapped: IPAddress {
        guard family == .v6, bits >> 32 == 0xFFFF else { return self }
        return IPAddress(v4: UInt32(truncatingIfNeeded: bits))
    }
}

// MARK: - Text

extension IPAddress: CustomStringConvertible {
    /// Reads one of the two unambiguous forms: four decimal numbers without leading zeros, or RFC 4291's section 2.2
    /// without brackets and zone. Nil for anything else, such as the octal and hexadecimal spellings that some
    /// resolvers accept.
    public init?(_ text: some StringProtocol) {
        let octets = Array(text.utf8)
        if octets.contains(Octets.colon) {
            guard let bits = IPAddress.parseV6(octets[...]) else { return nil }
            self.init(v6: bits)
        } else {
            guard let bits = IPAddress.parseV4(octets[...]) else { return nil }
            self.init(v4: bits)
        }
    }

    /// RFC 5952 for IPv6: lower case, the longest run of zeros (the first of equals, two groups at least) as `::`.
    public var description: String {
        guard family == .v6 else {
            return stride(from: 24, through: 0, by: -8).map { String(bits >> $0 & 0xFF) }.joined(separator: ".")
        }
        if unmapped.family == .v4 { return "::ffff:\(unmapped)" }
        let groups = stride(from: 112, through: 0, by: -16).map { UInt16(truncatingIfNeeded: bits >> $0) }
        guard let run = IPAddress.longestZeros(groups) else { return IPAddress.text(groups[...]) }
        return IPAddress.text(groups[..<run.lowerBound]) + "::" + IPAddress.text(groups[run.upperBound...])
    }

    private static func text(_ groups: ArraySlice<UInt16>) -> String {
        groups.map { String($0, radix: 16) }.joined(separator: ":")
    }

    private static func longestZeros(_ groups: [UInt16]) -> Range<Int>? {
        var best = 0..<1
        var start = 0
        for index in 0...groups.count {
            if index < groups.count, groups[index] == 0 { continue }
            if index - start > best.count { best = start..<index }
            start = index + 1
        }
        return best.count > 1 ? best : nil
    }

    private static func parseV4(_ text: ArraySlice<UInt8>) -> UInt32? {
        let parts = text.split(separator: UInt8(ascii: "."), maxSplits: 4, omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.count), part.allSatisfy(Octets.isDigit) else { return nil }
            guard part.count == 1 || part.first != UInt8(ascii: "0") else { return nil }
            let number = part.reduce(0) { $0 * 10 + UInt32($1 &- 0x30) }
            guard number <= 255 else { return nil }
            bits = bits << 8 | number
        }
        return bits
    }

    /// RFC 4291's section 2.2 as octets, without brackets.
    static func parseV6(_ text: ArraySlice<UInt8>) -> UInt128? {
        let double = text.indices.dropLast().first { text[$0] == Octets.colon && text[$0 + 1] == Octets.colon }
        guard let double else {
            return groups(text, mayEndInV4: true).flatMap { $0.count == 8 ? number($0) : nil }
        }
        // A second `::` leaves an empty group in one half, which is refused there.
        guard let before = groups(text[..<double], mayEndInV4: false) else { return nil }
        guard let after = groups(text[(double + 2)...], mayEndInV4: true) else { return nil }
        guard before.count + after.count <= 7 else { return nil }
        let zeros = [UInt16](repeating: 0, count: 8 - before.count - after.count)
        return number(before + zeros + after)
    }

    private static func number(_ groups: [UInt16]) -> UInt128 {
        groups.reduce(0) { $0 << 16 | UInt128($1) }
    }

    /// Groups of one to four hexadecimal digits; the last one may be an IPv4 address, which counts as two.
    private static func groups(_ text: ArraySlice<UInt8>, mayEndInV4: Bool) -> [UInt16]? {
        if text.isEmpty { return [] }
        let parts = text.split(separator: Octets.colon, maxSplits: 8, omittingEmptySubsequences: false)
        var groups: [UInt16] = []
        for (index, part) in parts.enumerated() {
            if mayEndInV4, index == parts.count - 1, part.contains(UInt8(ascii: ".")) {
                guard let v4 = parseV4(part) else { return nil }
                groups.append(UInt16(v4 >> 16))
                groups.append(UInt16(v4 & 0xFFFF))
                continue
            }
            guard (1...4).contains(part.count) else { return nil }
            var group: UInt16 = 0
            for octet in part {
                guard let digit = Octets.hexadecimal(octet) else { return nil }
                group = group << 4 | UInt16(digit)
            }
            groups.append(group)
        }
        return groups
    }
}
