/// A queue at a glance.
public struct QueueStatus: Sendable {
    /// Jobs ready: exact up to 10,000 a priority, an estimate beyond.
    public let ready: Int64
    /// Seconds since the oldest ready job was enqueued.
    public let oldestAge: Double?
    /// Jobs waiting for their time; at most 10,000 are counted, as of those that follow.
    public let deferred: Int64
    /// Jobs at their key's limit.
    public let blocked: Int64
    /// Jobs waiting for other jobs.
    public let waiting: Int64
    /// Dead letters, slices of arrays each.
    public let dead: Int64
    /// Jobs under a lease.
    public let running: Int64
    public let isPaused: Bool
    public let rates: QueueRates
}

/// What the workers of a queue did a second, as they last said (every 5 s while they work).
public struct QueueRates: Sendable, Hashable {
    public let succeeded: Double
    /// Attempts that failed and are repeated.
    public let failed: Double
    public let dead: Double
}

/// Where a job stands; the README's table says when which is true.
public enum JobState: String, Sendable, CaseIterable {
    case ready, deferred, waiting, blocked, running, succeeded, dead, cancelled
}

/// Which jobs to list; nil: any.
public struct JobFilter: Sendable {
    public var workspace: Int64?
    public var queue: String?
    public var kind: String?
    public var state: JobState?

    public init(workspace: Int64? = nil, queue: String? = nil, kind: String? = nil, state: JobState? = nil) {
        self.workspace = workspace
        self.queue = queue
        self.kind = kind
        self.state = state
    }
}

/// A job as a list shows it.
public struct JobSummary: Sendable, Identifiable {
    public let id: Int64
    public let queue: String
    public let kind: String
    public let workspace: Int64
    public let priority: Int16
    public let state: JobState
    /// Microseconds since 2000-01-01 UTC.
    public let enqueuedAt: Int64
    /// That of the latest attempt that failed.
    public let error: String?
}

/// What became of a request to cancel.
public enum CancelResult: String, Sendable {
    case cancelled
    /// It was running: its work cannot commit any more.
    case stopped
    /// It moved from place to place while it was looked for: ask again.
    case running
    case finished, unknown
}

/// What became of a request to redrive dead letters.
public struct Redrive: Sendable, Hashable {
    /// The jobs that are ready again.
    public let jobs: [Int64]
    /// Those that stay dead, each with the job that has its unique key; at most 10,000 are looked at.
    public let held: [Int64: Int64]
}

/// A job's body and where it stands.
public struct JobReport: Sendable {
    /// A job array as a whole.
    public struct Array: Sendable, Hashable {
        public let items: Int32
        /// Items that have not ended; the dead ones have.
        public let remaining: Int32
        /// Items among the dead letters.
        public let failed: Int32
    }

    /// How far a running job last said that it is.
    public struct Progress: Sendable, Hashable {
        /// From 0 to 1.
        public let fraction: Double
        public let note: String?
        /// Microseconds since 2000-01-01 UTC.
        public let at: Int64
    }

    public let id: Int64
    public let queue: String
    public let kind: String
    public let workspace: Int64
    public let priority: Int16
    public let maxAttempts: Int16
    /// JSON in UTF-8.
    public let arguments: [UInt8]
    public let state: JobState
    /// Microseconds since 2000-01-01 UTC.
    public let enqueuedAt: Int64
    /// A W3C traceparent.
    public let trace: String?
    public let limitKey: String?
    public let uniqueKey: String?
    public let array: Array?
    public let progress: Progress?
    /// JSON in UTF-8; of an array each slice has its own, and none is here.
    public let result: [UInt8]?
    /// When its next attempt is due. Microseconds since 2000-01-01 UTC.
    public let runAt: Int64?
    /// The jobs it waits for.
    public let waitsFor: [Int64]
}

/// How one attempt ended: `succeeded`, `failed`, `dead` or `cancelled`.
public struct JobOutcome: Sendable {
    public let attempt: Int16
    public let state: String
    public let error: String?
    /// Microseconds since 2000-01-01 UTC.
    public let at: Int64
    /// Of which items of an array; none for a job that is no array.
    public let first: Int32
    public let items: Int32
}

/// An attempt that is under way.
public struct JobAttempt: Sendable {
    public let attempt: Int16
    /// The name of the worker that has claimed it; empty where the worker is gone and the job not yet given to others.
    public let worker: String
    /// Microseconds since 2000-01-01 UTC. A worker claims a little ahead of what it handles.
    public let claimedAt: Int64
    /// Of which items of an array; none for a job that is no array.
    public let first: Int32
    public let items: Int32
}

/// What a slice of an array left behind.
public struct SliceResult: Sendable {
    public let first: Int32
    public let items: Int32
    /// JSON in UTF-8.
    public let result: [UInt8]
}
