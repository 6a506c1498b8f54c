/// What went wrong with the queue: a code, what happened, and what was being done.
public struct QueueError: Error, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        /// A job that cannot be enqueued: see the message.
        case invalidRequest
        /// The lease was taken over: nothing of the transaction has remained, and the job runs elsewhere.
        case leaseLost
        /// A job that is not, or no longer, open under this lease.
        case notHeld
        /// There are as many as there may be: see the message.
        case limitReached
        /// Whether the commit took effect could not be found out before the limit.
        case unresolved
        /// A job of the transaction was cancelled: nothing of the transaction has remained. Failing its other jobs with
        /// this error gives them back without an attempt charged.
        case cancelled
        /// The time for handling these jobs is over: they are tried again.
        case timedOut
    }

    public let code: Code
    public let message: String
    /// What was being done, such as `settle`.
    public let doing: String

    public init(_ code: Code, _ message: String, doing: String) {
        self.code = code
        self.message = message
        self.doing = doing
    }

    public var description: String { "\(code.rawValue) while \(doing): \(message)" }
}
