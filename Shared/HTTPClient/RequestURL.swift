import HTTP

/// The URL of a request, read and normalised by libcurl itself, so that what is checked is what it connects to.
struct RequestURL: Sendable, Hashable {
    /// The longest that is taken (RFC 9110, section 4.1, asks for 8,000 at least).
    static let maximumLength = 8192

    /// What libcurl is given: no fragment, decimal numbers for any spelling of an IPv4 address.
    let text: String
    /// `http` or `https`.
    let scheme: String
    /// ASCII in small letters, without brackets and zone.
    let host: String
    let port: UInt16
    /// The address that the host is, if it is no name.
    let literal: IPAddress?

    /// Errors: `.invalidURL`.
    init(_ text: String) throws(HTTPClientError) {
        try self.init(text, relativeTo: nil)
    }

    /// Where a `Location` leads (RFC 9110, section 10.2.2). Errors: `.invalidURL`.
    func resolving(_ location: String) throws(HTTPClientError) -> RequestURL {
        try RequestURL(location, relativeTo: self)
    }

    /// Scheme, host and port: whom credentials may be meant for.
    var origin: String {
        let name = literal?.family == .v6 ? "[\(host)]" : host
        return isDefaultPort ? "\(scheme)://\(name)" : "\(scheme)://\(name):\(port)"
    }

    private var isDefaultPort: Bool { port == (scheme == "https" ? 443 : 80) }

    private init(_ text: String, relativeTo base: RequestURL?) throws(HTTPClientError) {
        guard (1...RequestURL.maximumLength).contains(text.utf8.count), !text.utf8.contains(0) else {
            throw HTTPClientError(.invalidURL, "a URL has 1 to \(RequestURL.maximumLength) octets, none of them 0")
        }
        let parts = try URLHandle().read(text, relativeTo: base?.text)
        guard parts.scheme == "http" || parts.scheme == "https" else {
            throw HTTPClientError(.invalidURL, "only http and https URLs are requested")
        }
        guard let port = UInt16(parts.port), port > 0, !parts.host.isEmpty else {
            throw HTTPClientError(.invalidURL, "the URL has no host, or a port out of range")
        }
        // How libcurl would translate others depends on the process's locale.
        guard parts.host.utf8.allSatisfy({ $0 < 0x80 }) else {
            throw HTTPClientError(.invalidURL, "a host beyond ASCII is given in its ASCII form (RFC 5891)")
        }
        let bare = parts.host.first == "[" ? String(parts.host.dropFirst().dropLast()) : parts.host
        self.text = parts.url
        scheme = parts.scheme
        host = bare.lowercased()
        self.port = port
        literal = IPAddress(bare)
    }
}
