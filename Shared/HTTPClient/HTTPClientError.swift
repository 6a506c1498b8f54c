/// Why a request failed: a code, what happened, and what was being done.
public struct HTTPClientError: Error, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable, CaseIterable {
        /// The request cannot be sent as it is: a method, a header or a body that this client does not send.
        case invalidRequest
        /// The URL cannot be read, has a user in it, or a scheme that is neither http nor https.
        case invalidURL
        /// The host's address is one that the client may not connect to. Nothing was sent.
        case addressRefused
        /// The host name has no address. Nothing was sent.
        case resolveFailed
        /// No connection could be made. Nothing was sent.
        case connectFailed
        /// No secure connection could be made, or the server's certificate is not to be trusted. Nothing was sent.
        case tlsFailed
        /// A time limit passed, or the transfer was slower than its minimum rate.
        case timedOut
        /// The answer's head or body is larger than allowed.
        case tooLarge
        /// What came is not HTTP as it should be.
        case protocolViolation
        /// The connection broke; the server may or may not have acted on the request.
        case connectionLost
        /// A redirect that is not followed: too many, to a weaker scheme, or with a body that cannot be sent again.
        case redirectRefused
        /// The request's body could not be produced, or did not have its length.
        case bodyFailed
        /// The task was cancelled.
        case cancelled
        /// There are as many requests under way, and waiting, as there may be.
        case overloaded
        /// The client does not run any more, or the answer's time is over.
        case closed
        /// libcurl failed, or lacks what this client relies on.
        case library
    }

    public let code: Code
    /// What happened. May name hosts and addresses, never paths, queries or fields: those may be secrets.
    public let message: String
    /// What was being done: the method and the origin, such as `GET https://example.com`.
    public private(set) var doing: String
    /// With `bodyFailed`, what the body's producer threw.
    public let underlying: (any Error)?

    init(_ code: Code, _ message: String, doing: String = "", underlying: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.doing = doing
        self.underlying = underlying
    }

    /// The same error, saying what was being done unless it does already.
    func during(_ doing: String) -> HTTPClientError {
        guard self.doing.isEmpty else { return self }
        var error = self
        error.doing = doing
        return error
    }

    public var description: String {
        let cause = underlying.map { ": \($0)" } ?? ""
        return doing.isEmpty
            ? "\(code.rawValue): \(message)\(cause)" : "\(code.rawValue) in \(doing): \(message)\(cause)"
    }
}
