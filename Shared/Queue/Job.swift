import Observability
import Postgres

/// A job as claimed, or a slice of a job array. `attempt` counts from 1; `lastAttempt` is the last one before the job
/// becomes a dead letter.
public struct Job: Sendable, Identifiable {
    public let id: Int64
    public let kind: String
    public let attempt: Int16
    public let lastAttempt: Int16
    /// JSON in UTF-8.
    public let arguments: [UInt8]
    public let workspace: Int64
    public let priority: Int16
    /// A W3C traceparent: the place in the trace of who enqueued it; once it is handled, where the worker traces, that
    /// of the handling.
    public internal(set) var trace: String?
    /// Microseconds since 2000-01-01 UTC.
    public let enqueuedAt: Int64
    /// The items of the array that this is a slice of; nil for a job that is none.
    public let items: Range<Int32>?
    /// Where it stood in its lane.
    let position: Int64
    let traits: Traits

    /// What a claim says of a job besides.
    struct Traits: OptionSet, Sendable {
        let rawValue: Int16
        /// More has to be done at its end than to record it: it has a limit or a unique key, is an array, or others may
        /// wait for it.
        static let concludes = Traits(rawValue: 1)
        /// Its unique key is free once it starts.
        static let freesKey = Traits(rawValue: 2)
    }

    /// What tells the jobs of a lease apart: it may hold several slices of one array.
    struct Key: Hashable, Sendable {
        let job: Int64
        let first: Int32
    }

    /// The trace where it is recorded, for the jobs that this one enqueues. The others' need not be told apart, so
    /// that many are enqueued together.
    public var recordedTrace: String? {
        trace.flatMap { TraceContext(traceparent: $0)?.isSampled == true ? $0 : nil }
    }

    var key: Key { Key(job: id, first: first) }
    var first: Int32 { items?.lowerBound ?? 0 }
    var itemCount: Int32 { items.map { $0.upperBound - $0.lowerBound } ?? 0 }

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
        switch error {
        case let failure as JobFailure: self = failure
        case let error as QueueError:
            self = JobFailure(code: error.code.failureCode, message: error.message)
        case let error as PostgresError where error.sqlstate?.isDiskFault ?? false:
            self = JobFailure(code: Self.diskFault, message: error.description)
        default: self = JobFailure(code: "error", message: String(describing: error))
        }
    }

    /// The job did nothing wrong, and no attempt is charged: a neighbour was cancelled, or the server's disk is full.
    var isUncharged: Bool { code == QueueError.Code.cancelled.failureCode || isDiskFault }
    /// So nothing else would have succeeded either.
    var isDiskFault: Bool { code == Self.diskFault }
    private static let diskFault = "disk_fault"

    static let timedOut = JobFailure(code: "timed_out", message: "the time for handling the job was over")

    public var description: String { "\(code): \(message)" }

    /// As kept in the outcome: at most 4,000 characters, no NUL.
    var stored: String {
        String(String.UnicodeScalarView(description.unicodeScalars.lazy.filter { $0 != "\0" }.prefix(4000)))
    }
}

extension QueueError.Code {
    /// In snake_case, as a job's error has it.
    fileprivate var failureCode: String {
        switch self {
        case .invalidRequest: "invalid_request"
        case .leaseLost: "lease_lost"
        case .notHeld: "not_held"
        case .limitReached: "limit_reached"
        case .unresolved: "unresolved"
        case .cancelled: "cancelled"
        case .timedOut: "timed_out"
        }
    }
}
