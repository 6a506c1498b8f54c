public import HTTP

/// A request to make.
public struct ClientRequest: Sendable {
    public enum Body: Sendable {
        case empty
        case bytes([UInt8])
        /// Written piece by piece while it is sent, at the server's pace. Without a length it is sent in chunks. It is
        /// written once, so a redirect that asks for it again is refused.
        case stream(length: Int?, @Sendable (ClientBodyWriter) async throws -> Void)
    }

    public enum Redirects: Sendable, Hashable {
        /// The redirect is the answer.
        case none
        /// Redirects are followed, at most so many; each is a new request through all checks. Fields that could be
        /// credentials do not leave the origin they were meant for, and https does not lead to http.
        case follow(max: Int)
    }

    public var method: HTTPMethod
    /// An absolute `http` or `https` URL without a user; the fragment is not sent.
    public var url: String
    /// Fields beside those that the client makes itself: `Host` and what frames the message. One of these is refused.
    public var headers: HTTPHeaders
    public var body: Body
    public var redirects: Redirects
    /// Limits other than the client's.
    public var limits: TransferLimits?

    public init(
        _ method: HTTPMethod = .get, _ url: String, headers: HTTPHeaders = [:], body: Body = .empty,
        redirects: Redirects = .none, limits: TransferLimits? = nil
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.redirects = redirects
        self.limits = limits
    }

    /// Fields about the connection and the message's framing (RFC 9110, section 7.6.1), and Host.
    private static let reserved: Set<String> = [
        "connection", "content-length", "expect", "host", "http2-settings", "keep-alive", "proxy-authorization",
        "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    ]

    /// Throws `.invalidRequest` for what could be understood differently by this client and a server.
    func validate() throws(HTTPClientError) {
        guard method.isToken, method != .connect, method != .trace else {
            throw HTTPClientError(.invalidRequest, "the method is not one that is sent")
        }
        for field in headers.fields {
            guard field.isWellFormed else {
                throw HTTPClientError(.invalidRequest, "a field's name or value has an octet that must not be there")
            }
            guard !ClientRequest.reserved.contains(field.name.lowercased()) else {
                throw HTTPClientError(.invalidRequest, "the field \(field.name) is the client's to send")
            }
        }
        if method == .head, case .empty = body {
        } else if method == .head {
            throw HTTPClientError(.invalidRequest, "a HEAD request has no body")
        }
        if case .stream(let length?, _) = body, length < 0 {
            throw HTTPClientError(.invalidRequest, "a body's length is not negative")
        }
    }
}
