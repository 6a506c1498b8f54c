import HTTP

/// What a browser's cookie holds while somebody is signed in: `ms_` and 43 characters of base64url, 256 bits from the
/// system's generator.
///
/// The platform keeps its SHA-256 only. Its text is given out once, in the cookie, and never printed.
public struct SessionToken: Sendable {
    static let marker = "ms_"
    /// Octets of a token's text.
    static let length = 46

    private let text: String

    init?(octets: ArraySlice<UInt8>) {
        guard octets.count == Self.length, octets.starts(with: Self.marker.utf8) else { return nil }
        guard octets.dropFirst(Self.marker.utf8.count).allSatisfy(Base64URL.isDigit) else { return nil }
        text = String(decoding: octets, as: UTF8.self)
    }

    /// Makes a new one. Errors: `.noRandomness`.
    static func generate() throws(AccessError) -> SessionToken {
        let digits = Base64URL.encode(try OpenSSL.randomBytes(32))
        guard let token = SessionToken(octets: Array((marker + digits).utf8)[...]) else {
            throw AccessError(.noRandomness, "the generated token has not the form of one")
        }
        return token
    }

    /// The token itself, for the cookie.
    func reveal() -> String { text }

    /// SHA-256 of the whole text. No key has it: keys begin otherwise.
    var hash: KeyHash { KeyHash(of: Array(text.utf8)) }
}

extension SessionToken: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "<redacted>" }
    public var debugDescription: String { "<redacted>" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
