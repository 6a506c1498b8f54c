/// What a request's head and framing may take at most; bodies are limited elsewhere, route by route.
public struct RequestParserLimits: Sendable, Hashable {
    /// Octets of the request line without its CRLF; a longer one is 414.
    public var requestLine = 8_000
    /// Octets of all header lines together; more is 431.
    public var headerOctets = 32 * 1024
    /// Header fields; more is 431.
    public var headerFields = 100
    /// Octets of all trailer lines together; more is 431.
    public var trailerOctets = 8 * 1024
    /// Octets of all chunk extensions of a body together; more is 400.
    public var chunkExtensions = 4 * 1024
    /// Empty lines passed over before a request line (RFC 9112, section 2.2); more is 400.
    public var leadingEmptyLines = 4

    public init() {}
}
