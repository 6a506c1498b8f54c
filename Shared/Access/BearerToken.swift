import HTTP

/// The credentials of a request (RFC 9110, section 11.6.2; RFC 6750, section 2.1).
enum BearerToken {
    private static let scheme = Array("bearer".utf8)

    /// The key in the only `Authorization` field: the scheme in any case, spaces, the key. Nil for anything else;
    /// of two fields nobody can say which one counts.
    static func key(in head: HTTPRequestHead) -> APIKey? {
        head.octets(ofOnly: "authorization").flatMap(key(in:))
    }

    static func key(in value: ArraySlice<UInt8>) -> APIKey? { text(in: value).flatMap(APIKey.init(octets:)) }

    /// The octets of what may be a token of an issuer, in the only `Authorization` field.
    static func token(in head: HTTPRequestHead) -> [UInt8]? {
        guard let text = head.octets(ofOnly: "authorization").flatMap(text(in:)), SignedToken.mayBe(text) else {
            return nil
        }
        return Array(text)
    }

    private static func text(in value: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        let word = value.prefix { $0 != UInt8(ascii: " ") }
        guard word.count == scheme.count, word.elementsEqual(scheme, by: { $0 | 0x20 == $1 }) else { return nil }
        return value[word.endIndex...].drop { $0 == UInt8(ascii: " ") }
    }
}
