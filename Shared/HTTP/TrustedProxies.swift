/// The proxies whose word about a client is taken: its address (`X-Forwarded-For`), and how it came
/// (`X-Forwarded-Proto`).
///
/// Each proxy adds the address that it was asked from at the right. So the field is read from the right, through hops
/// that are trusted themselves; what stands left of the first that is not may have been written by anyone. `Forwarded`
/// (RFC 7239) is not read: a proxy that writes one of the two fields passes the other one on, whoever wrote it.
public struct TrustedProxies: Sendable, Hashable {
    /// Nobody is believed: the client is who connects.
    public static let none = TrustedProxies([])
    /// Those on the same machine.
    public static let loopback = TrustedProxies(["127.0.0.0/8", "::1"].compactMap { AddressRange($0) })

    /// The most hops that are walked through.
    public static let hopLimit = 32

    private let ranges: [AddressRange]

    public init(_ ranges: [AddressRange]) {
        self.ranges = ranges
    }

    public func trusts(_ address: IPAddress) -> Bool {
        ranges.contains { $0.contains(address) }
    }

    /// Whom a request comes from, as text.
    /// - Parameter peer: the address that the connection comes from, as text; returned where it is not trusted.
    public func client(of head: HTTPRequestHead, peer: String) -> String {
        guard !ranges.isEmpty, head.contains("x-forwarded-for") else { return peer }
        guard let address = IPAddress(peer), trusts(address) else { return peer }
        let hops = head.values("x-forwarded-for").flatMap { FieldScanner.list($0) }
        var client = address.unmapped
        for hop in hops.suffix(TrustedProxies.hopLimit).reversed() {
            // Of what is no address (`unknown`, say) nothing is learnt, nor of what lies beyond it.
            guard let address = TrustedProxies.address(in: hop) else { break }
            client = address.unmapped
            guard trusts(client) else { break }
        }
        return client.description
    }

    /// Whether a proxy that is trusted says that the client came to it, or to one before it, by HTTPS.
    /// - Parameter peer: the address that the connection comes from, as text.
    public func saysHTTPS(_ head: HTTPRequestHead, peer: String) -> Bool {
        guard !ranges.isEmpty, let text = head["x-forwarded-proto"] else { return false }
        guard let address = IPAddress(peer), trusts(address) else { return false }
        return FieldScanner.list(text).first?.lowercased() == "https"
    }

    /// An address, or as some proxies write it: with a port, for IPv6 then in brackets.
    private static func address(in hop: String) -> IPAddress? {
        if let address = IPAddress(hop) { return address }
        let octets = Array(hop.utf8)
        guard Authority.isValid(octets[...]) else { return nil }
        guard octets.first == UInt8(ascii: "[") else {
            return IPAddress(hop.prefix { $0 != ":" })
        }
        return IPAddress(hop.dropFirst().prefix { $0 != "]" })
    }
}
