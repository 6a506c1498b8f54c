import HTTP

/// A key that a client sends: `mr_` and 43 characters of base64url, 256 bits from the system's generator.
///
/// The platform keeps its SHA-256 only. Its text is given out once, when it is made, and never printed.
public struct APIKey: Sendable {
    public static let marker = "mr_"
    /// Octets of a key's text.
    static let length = 46
    /// How much of a key is kept readable, so that people can tell keys apart; 220 bits stay secret.
    static let visibleLength = 9

    private let text: String

    /// Reads a key's text; nil unless it has the form of one.
    public init?(_ text: String) {
        self.init(octets: Array(text.utf8)[...])
    }

    init?(octets: ArraySlice<UInt8>) {
        guard octets.count == Self.length, octets.starts(with: Self.marker.utf8) else { return nil }
        guard octets.dropFirst(Self.marker.utf8.count).allSatisfy(Base64URL.isDigit) else { return nil }
        text = String(decoding: octets, as: UTF8.self)
    }

    /// Makes a new one. Errors: `.noRandomness`.
    public static func generate() throws(AccessError) -> APIKey {
        let digits = Base64URL.encode(try OpenSSL.randomBytes(32))
        guard let key = APIKey(marker + digits) else {
            throw AccessError(.noRandomness, "the generated key has not the form of one")
        }
        return key
    }

    /// The key itself, for the answer to whoever made it.
    public func reveal() -> String { text }

    /// The first characters, which may be shown.
    public var visiblePrefix: String { String(text.prefix(Self.visibleLength)) }

    /// SHA-256 of the whole text. A plain digest will do: 256 random bits cannot be found by trying.
    public var hash: KeyHash { KeyHash(of: Array(text.utf8)) }
}

extension APIKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "<redacted>" }
    public var debugDescription: String { "<redacted>" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
