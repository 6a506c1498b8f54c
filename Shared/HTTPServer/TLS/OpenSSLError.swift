private import COpenSSL

/// OpenSSL's queue of errors, of which each thread has one.
///
/// `SSL_get_error` looks at it, so it must be empty before each call on a session: what another use of the library has
/// left there, libpq's on the same loop for one, would be taken for this session's failure.
enum OpenSSLError {
    static func clear() { ERR_clear_error() }

    /// What went wrong first, in OpenSSL's words: `no shared cipher`.
    static var reason: String {
        guard let text = unsafe ERR_reason_error_string(ERR_peek_error()) else { return "no reason given" }
        return unsafe String(cString: text)
    }

    /// The octets were a request in plain HTTP.
    static var isPlainRequest: Bool { ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST }
}
