import HTTP

/// Addresses that are no hosts of the Internet: IANA's special-purpose registries for IPv4 and IPv6 (RFC 6890), where
/// they say "globally reachable: false" or nothing at all, and multicast.
///
/// Of IPv6 only 2000::/3 is handed out for hosts (RFC 4291, section 2.4), so everything else counts as special but the
/// forms below that carry an IPv4 address, which is then looked at instead.
enum SpecialPurposeAddresses {
    private static let v4 = table([
        ("0.0.0.0/8", "unspecified"), ("10.0.0.0/8", "private"), ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"), ("169.254.0.0/16", "link-local"), ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "protocol assignment"), ("192.0.2.0/24", "documentation"), ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"), ("198.18.0.0/15", "benchmark"), ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"), ("224.0.0.0/4", "multicast"), ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
        // In no registry: the address at which every virtual machine of Azure finds its host.
        ("168.63.129.16/32", "virtual machine host"),
    ])

    private static let v6 = table([
        ("::/128", "unspecified"), ("::1/128", "loopback"), ("::/96", "IPv4-compatible"), ("fc00::/7", "unique local"),
        ("fe80::/10", "link-local"), ("fec0::/10", "site-local"), ("ff00::/8", "multicast"),
        ("100::/64", "discard-only"),
        ("64:ff9b:1::/48", "local NAT64"), ("5f00::/16", "segment routing"), ("2001:db8::/32", "documentation"),
        ("3fff::/20", "documentation"), ("2001:2::/48", "benchmark"), ("2001::/32", "Teredo"),
        // Holds a few anycast addresses that are reachable; none of them is a web server.
        ("2001::/23", "protocol assignment"),
    ])

    private static let globalUnicast = range("2000::/3")
    private static let nat64 = range("64:ff9b::/96")
    private static let sixToFour = range("2002::/16")

    /// What kind of special address it is; nil for a host of the Internet.
    static func kind(of address: IPAddress) -> String? {
        let address = address.unmapped
        if address.family == .v4 { return v4.first { $0.range.contains(address) }?.kind }
        if nat64.contains(address) { return kind(of: address, v4: address.bits, "NAT64") }
        if sixToFour.contains(address) { return kind(of: address, v4: address.bits >> 80, "6to4") }
        if let known = v6.first(where: { $0.range.contains(address) }) { return known.kind }
        return globalUnicast.contains(address) ? nil : "not global unicast"
    }

    private static func kind(of address: IPAddress, v4 bits: UInt128, _ form: String) -> String? {
        kind(of: IPAddress(v4: UInt32(truncatingIfNeeded: bits))).map { "\(form) of \($0)" }
    }

    private static func table(_ entries: [(String, String)]) -> [(range: AddressRange, kind: String)] {
        entries.map { (range($0.0), $0.1) }
    }

    private static func range(_ text: String) -> AddressRange {
        guard let range = AddressRange(text) else { preconditionFailure("\(text) is no range") }
        return range
    }
}
