/// The address of a service: scheme, host and port, and a path that other paths are put after.
public struct ServiceURL: Sendable, Equatable, CustomStringConvertible {
    /// In small letters.
    public let scheme: String
    /// A name or an address; an IPv6 address without its brackets.
    public let host: String
    public let port: UInt16?
    /// Empty, or beginning with a slash and not ending in one.
    public let path: String
    /// The URL as it was written.
    public let description: String

    /// Reads `scheme://host[:port][/path]` (RFC 3986); nil with a user, a query, a fragment or a strange character.
    public init?(_ text: String) {
        guard text.utf8.count <= 2048, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        guard !text.contains(where: { "@?#\\\"<>^`{|}".contains($0) }) else { return nil }
        guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://") else { return nil }
        scheme = text[..<colon].lowercased()
        guard let first = scheme.first, first.isLetter, scheme.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "+" })
        else { return nil }
        let rest = text[text.index(colon, offsetBy: 3)...]
        let authority = rest.prefix { $0 != "/" }
        guard let (host, port) = Self.hostAndPort(authority) else { return nil }
        self.host = host
        self.port = port
        var path = rest[authority.endIndex...]
        while path.last == "/" { path.removeLast() }
        self.path = String(path)
        description = text
    }

    private static func hostAndPort(_ authority: Substring) -> (String, UInt16?)? {
        var host = authority
        var portText: Substring?
        if authority.first == "[" {
            guard let end = authority.firstIndex(of: "]") else { return nil }
            host = authority[authority.index(after: authority.startIndex)..<end]
            let tail = authority[authority.index(after: end)...]
            guard tail.isEmpty || tail.first == ":" else { return nil }
            portText = tail.isEmpty ? nil : tail.dropFirst()
        } else if let colon = authority.firstIndex(of: ":") {
            host = authority[..<colon]
            portText = authority[authority.index(after: colon)...]
        }
        guard !host.isEmpty, !host.contains(where: { "[]".contains($0) }) else { return nil }
        guard let portText else { return (String(host), nil) }
        guard let port = SettingText.integer(String(portText)).flatMap(UInt16.init(exactly:)), port > 0 else {
            return nil
        }
        return (String(host), port)
    }
}
