/// A web page's origin as browsers send it (RFC 6454, section 6.2): `https://console.example:8443`.
public struct WebOrigin: Sendable, Hashable {
    public let text: String

    /// Nil for anything but a scheme and a host in lower case, with a port unless it is the scheme's own; for `null`
    /// as well, which any page can have.
    public init?(_ text: String) {
        let octets = Array(text.utf8)
        guard let colon = octets.firstIndex(of: Octets.colon), octets[colon...].starts(with: "://".utf8) else {
            return nil
        }
        let scheme = octets[..<colon]
        let authority = octets[(colon + 3)...]
        guard let first = scheme.first, WebOrigin.isLetter(first), scheme.allSatisfy(WebOrigin.isSchemeOctet) else {
            return nil
        }
        guard !authority.isEmpty, Authority.isValid(authority) else { return nil }
        guard authority.allSatisfy({ Octets.lowercased($0) == $0 }), authority.last != Octets.colon else { return nil }
        guard !(scheme.elementsEqual("https".utf8) && text.hasSuffix(":443")) else { return nil }
        guard !(scheme.elementsEqual("http".utf8) && text.hasSuffix(":80")) else { return nil }
        self.text = text
    }

    private static func isLetter(_ octet: UInt8) -> Bool { octet &- 0x61 < 26 }

    private static func isSchemeOctet(_ octet: UInt8) -> Bool {
        isLetter(octet) || Octets.isDigit(octet) || "+-.".utf8.contains(octet)
    }
}
