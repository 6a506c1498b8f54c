public import HTTP

/// The cookie of a session (RFC 6265): out of scripts' reach, and sent by browsers for pages of the same site only.
public enum SessionCookie {
    public static let name = "millrace_session"

    /// The token in the request's only cookie of the name; nil for anything else. Of two nobody can say which one
    /// counts: pages of a parent domain can set one too.
    public static func token(in head: HTTPRequestHead) -> SessionToken? {
        guard let field = head.octets(ofOnly: "cookie") else { return nil }
        var found: ArraySlice<UInt8>?
        for pair in field.split(separator: UInt8(ascii: ";")) {
            let pair = pair.drop { $0 == UInt8(ascii: " ") }
            guard let equals = pair.firstIndex(of: UInt8(ascii: "=")), pair[..<equals].elementsEqual(name.utf8) else {
                continue
            }
            if found != nil { return nil }
            found = pair[(equals + 1)...]
        }
        return found.flatMap(SessionToken.init(octets:))
    }

    /// `Set-Cookie` that gives a browser the token.
    /// - Parameter isSecure: whether the browser came by TLS: then it is never to send the cookie in the clear.
    public static func setting(_ token: SessionToken, for lifetime: Duration, isSecure: Bool) -> String {
        field(token.reveal(), seconds: lifetime.components.seconds, isSecure)
    }

    /// `Set-Cookie` that takes it away again.
    public static func removal(isSecure: Bool) -> String { field("", seconds: 0, isSecure) }

    private static func field(_ value: String, seconds: Int64, _ isSecure: Bool) -> String {
        "\(name)=\(value); Path=/; Max-Age=\(seconds); HttpOnly; SameSite=Strict" + (isSecure ? "; Secure" : "")
    }
}
