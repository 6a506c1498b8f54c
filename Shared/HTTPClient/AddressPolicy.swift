public import HTTP

/// Which addresses a client may connect to: hosts of the Internet, and ranges that are opened on purpose.
///
/// It is asked about the address of a socket that is about to be connected, never about a name, so neither a spelling
/// nor a change of the name's address in between gets past it. A range opens just the addresses in it: one of IPv4
/// opens the IPv4-mapped forms, which are the same hosts, but not those by NAT64 or 6to4.
public struct AddressPolicy: Sendable, Hashable {
    /// The ranges that may be connected to although they are loopback, private or otherwise special.
    public let opened: [AddressRange]

    public init(opening ranges: [AddressRange] = []) {
        opened = ranges
    }

    public func allows(_ address: IPAddress) -> Bool { refusal(of: address) == nil }

    /// Why an address may not be connected to: its kind. Nil if it may be.
    func refusal(of address: IPAddress) -> String? {
        if opened.contains(where: { $0.contains(address) }) { return nil }
        return SpecialPurposeAddresses.kind(of: address)
    }
}
