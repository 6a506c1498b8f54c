/// `host[:port]` (RFC 3986, section 3.2), without user information.
enum Authority {
    /// Whether the text is a host with or without a port, or empty, as Host is where the target has no authority.
    static func isValid(_ text: ArraySlice<UInt8>) -> Bool {
        guard text.first == UInt8(ascii: "[") else { return isName(text) }
        guard let close = text.firstIndex(of: UInt8(ascii: "]")) else { return false }
        return IPAddress.parseV6(text[(text.startIndex + 1)..<close]) != nil && isPort(text[(close + 1)...])
    }

    /// A name must not be empty before a port (RFC 9110, section 4.2.1).
    private static func isName(_ text: ArraySlice<UInt8>) -> Bool {
        let octets = text.span
        var at = 0
        while at < octets.count, octets[at] != Octets.colon {
            guard isNameOctet(octets[at]) else { return false }
            if octets[at] == UInt8(ascii: "%") {
                guard at + 2 < octets.count, Octets.hexadecimal(octets[at + 1]) != nil,
                    Octets.hexadecimal(octets[at + 2]) != nil
                else { return false }
            }
            at += 1
        }
        return at == octets.count || at > 0 && isPort(text[(text.startIndex + at)...])
    }

    /// Empty, or a colon and digits, as many as there are: zeros may lead (RFC 3986, section 3.2.3).
    private static func isPort(_ text: ArraySlice<UInt8>) -> Bool {
        guard let first = text.first else { return true }
        return first == Octets.colon && text.dropFirst().allSatisfy(Octets.isDigit)
    }

    /// Letters, digits and ``-._~!$&'()*+,;=%`` as two bit sets, for the octets below 64 and those from there to 127.
    private static func isNameOctet(_ byte: UInt8) -> Bool {
        let set: UInt64 = byte < 64 ? 0x2BFF_7FF2_0000_0000 : 0x47FF_FFFE_87FF_FFFE
        return byte < 128 && set >> UInt64(byte & 63) & 1 == 1
    }
}
