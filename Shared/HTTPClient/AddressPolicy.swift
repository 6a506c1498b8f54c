public import HTTP

/// Which addresses a client may connect to: hosts of the Internet, and ranges that are opened on purpose.
///
/// It is asked about the address of a socket that is about to be connected, never about a name, so neither a spelling
/// nor a change of the name's address in between gets past it. A range opens just the addresses in it: one of IPv4
/// opens the IPv4-mapped forms, which are the same hosts, but not those by NAT64 or 6to4.
public struct AddressPolicy: Sendable, Hashable {
    /// The ranges that may be connected to although they are loopback, private or otherwise special.
    public let opened: [AddressRange]
    /// Whether `http` is for the opened ranges alone, and all else takes `https`.
    public let keepsClearTextInside: Bool

    public init(opening ranges: [AddressRange] = [], keepsClearTextInside: Bool = false) {
        opened = ranges
        self.keepsClearTextInside = keepsClearTextInside
    }

    /// Whether a request may go there, `inClear`: by `http`.
    public func allows(_ address: IPAddress, inClear: Bool = false) -> Bool { refusal(of: address, inClear) == nil }

    /// Why an address may not be connected to: its kind, or that it takes TLS. Nil if it may be.
    func refusal(of address: IPAddress, _ inClear: Bool = false) -> String? {
        if opened.contains(where: { $0.contains(address) }) { return nil }
        if let kind = SpecialPurposeAddresses.kind(of: address) { return kind }
        return inClear && keepsClearTextInside ? "not by http, outside the ranges that are opened" : nil
    }
}
