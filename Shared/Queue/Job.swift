/// A job as claimed. `attempt` counts from 1; `lastAttempt` is the last one before the job becomes a dead letter.
public struct Job: Sendable, Identifiable {
    public let id: Int64
    public let kind: String
    public let attempt: Int16
    public let lastAttempt: Int16
    /// JSON in UTF-8.
    public let arguments: [UInt8]
    public let workspace: Int64
    public let priority: Int16
    /// A W3C traceparent.
    public let trace: String?
    /// Microseconds since 2000-01-01 UTC.
    public let enqueuedAt: Int64
    /// Where it stood in its lane.
    let position: Int64

    /// All attempts are used up: what is left is to bury it.
    var isDoomed: Bool { attempt > lastAttempt }
}

/// Why an attempt failed.
public struct JobFailure: Error, Sendable, CustomStringConvertible {
    /// A stable code, such as `worker_lost`.
    public let code: String
    public let message: String
    /// No further attempt can help: the job goes to the dead letters at once.
    public let isPermanent: Bool
    /// Instead of the backoff.
    public let retryAfter: Duration?

    public init(code: String, message: String, isPermanent: Bool = false, retryAfter: Duration? = nil) {
        self.code = code
        self.message = message
        self.isPermanent = isPermanent
        self.retryAfter = retryAfter
    }

    /// The failure that an error thrown by a handler amounts to.
    public init(_ error: any Error) {
        self = error as? JobFailure ?? JobFailure(code: "error", message: String(describing: error))
    }

    public var description: String { "\(code): \(message)" }

    /// As kept in the outcome: at most 4,000 characters, no NUL.
    var stored: String {
        String(String.UnicodeScalarView(description.unicodeScalars.lazy.filter { $0 != "\0" }.prefix(4000)))
    }
}
