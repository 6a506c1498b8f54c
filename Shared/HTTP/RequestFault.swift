/// Bytes that are no request as RFC 9112 has it. The framing is lost with it: answer, then close the connection.
public struct RequestFault: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: Sendable, Hashable {
        /// Syntax or framing: 400.
        case malformed
        /// The request line is too long: 414.
        case targetTooLong
        /// Too many header or trailer fields, or too large: 431.
        case headersTooLarge
        /// A transfer coding or a method this server does not know: 501.
        case notImplemented
        /// Neither HTTP/1.0 nor 1.1: 505.
        case versionNotSupported
        /// An expectation other than 100-continue: 417.
        case expectationFailed
    }

    public let code: Code
    public let reason: String

    init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    public var description: String { "\(problem.status): \(reason)" }

    /// The answer to it.
    public var problem: Problem {
        switch code {
        case .malformed: Problem(.malformedRequest, reason)
        case .targetTooLong: Problem(.targetTooLong, reason)
        case .headersTooLarge: Problem(.headersTooLarge, reason)
        case .notImplemented: Problem(.notImplemented, reason)
        case .versionNotSupported: Problem(.versionNotSupported, reason)
        case .expectationFailed: Problem(.expectationFailed, reason)
        }
    }
}
