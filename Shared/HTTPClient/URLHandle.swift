private import CCurl

/// libcurl's `CURLU`: a URL taken apart. The only file that calls it.
@safe struct URLHandle: ~Copyable {
    struct Parts {
        var url: String
        /// In small letters.
        var scheme: String
        /// Without escapes; an IPv6 address in brackets.
        var host: String
        /// As given, or the scheme's own.
        var port: String
    }

    private let handle: OpaquePointer

    /// Errors: `.library`.
    init() throws(HTTPClientError) {
        guard let handle = unsafe curl_url() else { throw HTTPClientError(.library, "no memory for a URL") }
        unsafe self.handle = unsafe handle
    }

    deinit {
        unsafe curl_url_cleanup(handle)
    }

    /// Reads a URL; one that is relative to `base` may also have octets that must be escaped, as servers send them.
    /// Called once. Errors: `.invalidURL`.
    borrowing func read(_ text: String, relativeTo base: String?) throws(HTTPClientError) -> Parts {
        if let base { try set(CURLUPART_URL, base, 0) }
        let escaping = base == nil ? 0 : CURLU_URLENCODE
        try set(CURLUPART_URL, text, UInt32(CURLU_DISALLOW_USER | escaping))
        try set(CURLUPART_FRAGMENT, nil, 0)
        return Parts(
            url: try get(CURLUPART_URL, 0), scheme: try get(CURLUPART_SCHEME, 0),
            host: try get(CURLUPART_HOST, 0), port: try get(CURLUPART_PORT, CURLU_DEFAULT_PORT))
    }

    private borrowing func set(_ part: CURLUPart, _ text: String?, _ flags: UInt32) throws(HTTPClientError) {
        try URLHandle.check(unsafe curl_url_set(handle, part, text, flags))
    }

    private borrowing func get(_ part: CURLUPart, _ flags: Int32) throws(HTTPClientError) -> String {
        var text: UnsafeMutablePointer<CChar>?
        try URLHandle.check(unsafe curl_url_get(handle, part, &text, UInt32(flags)))
        guard let text = unsafe text else { return "" }
        defer { unsafe curl_free(text) }
        return unsafe String(cString: text)
    }

    private static func check(_ code: CURLUcode) throws(HTTPClientError) {
        guard code != CURLUE_OK else { return }
        guard code != CURLUE_OUT_OF_MEMORY else { throw HTTPClientError(.library, "no memory for a URL") }
        throw HTTPClientError(.invalidURL, unsafe String(cString: curl_url_strerror(code)))
    }
}
