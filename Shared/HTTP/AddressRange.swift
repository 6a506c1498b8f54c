/// A block of addresses that share their first bits, as `10.0.0.0/8` (RFC 4632) or `fc00::/7` (RFC 4291).
public struct AddressRange: Sendable, Hashable, CustomStringConvertible {
    /// The first address of the block.
    public let base: IPAddress
    /// How many leading bits the addresses share.
    public let prefix: Int

    /// The block of a base address; nil if the prefix is too long or the base has bits beyond it, for then it is not
    /// clear which block is meant.
    public init?(_ base: IPAddress, prefix: Int) {
        guard (0...base.family.width).contains(prefix) else { return nil }
        guard base.bits & ~AddressRange.mask(base.family, prefix) == 0 else { return nil }
        // Addresses are compared unmapped, so a block of mapped ones has to be as well.
        let isMapped = base.unmapped.family != base.family && prefix >= 96
        self.base = isMapped ? base.unmapped : base
        self.prefix = isMapped ? prefix - 96 : prefix
    }

    /// Reads `address/prefix`, or one address alone.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let base = parts.first.flatMap({ IPAddress($0) }) else { return nil }
        guard parts.count == 2 else {
            self.init(base, prefix: base.family.width)
            return
        }
        let digits = parts[1].utf8
        guard (1...3).contains(digits.count), digits.allSatisfy(Octets.isDigit) else { return nil }
        guard let prefix = Int(parts[1]) else { return nil }
        self.init(base, prefix: prefix)
    }

    /// Whether the address is in the block; an IPv4-mapped one counts as the IPv4 address in it.
    public func contains(_ address: IPAddress) -> Bool {
        let address = address.unmapped
        return address.family == base.family && address.bits & AddressRange.mask(base.family, prefix) == base.bits
    }

    public var description: String { "\(base)/\(prefix)" }

    private static func mask(_ family: IPAddress.Family, _ prefix: Int) -> UInt128 {
        let all = UInt128.max >> (128 - family.width)
        return all << (family.width - prefix) & all
    }
}
