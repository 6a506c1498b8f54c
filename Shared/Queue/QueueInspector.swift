public import Postgres

/// What an operator asks of the queue. Reads estimates, never counts everything.
public struct QueueInspector: Sendable {
    private let pool: PostgresPool

    public init(pool: PostgresPool) {
        self.pool = pool
    }

    /// The names of the queues.
    public func queues() async throws -> [String] {
        try await pool.withConnection { try await $0.query(QueueNamesStatement()) }
    }

    /// Nil for an unknown queue.
    public func status(of queue: String) async throws -> QueueStatus? {
        do {
            return try await pool.withConnection { try await $0.query(InspectStatement(queue: queue)).first }
        } catch let error as PostgresError where error.sqlstate == "22023" {
            return nil
        }
    }

    /// Dead letters by job id, after the one given; at most `limit` (1 to 1,000).
    public func deadLetters(of queue: String, after: Int64 = 0, limit: Int = 100) async throws -> [DeadLetter] {
        let statement = DeadLettersStatement(queue: queue, after: after, limit: min(max(1, limit), 1000))
        return try await pool.withConnection { try await $0.query(statement) }
    }

    /// Makes dead letters ready again with a fresh allowance of attempts: those named, or the oldest `limit`.
    /// Returns their ids. The caller notifies the queue.
    public func redrive(_ queue: String, jobs: [Int64]? = nil, limit: Int = 1000) async throws -> [Int64] {
        let statement = RedriveStatement(queue: queue, jobs: jobs, limit: limit)
        return try await pool.withConnection { try await $0.query(statement) }
    }

    /// Cancels a job that has not been started.
    public func cancel(_ job: Int64) async throws -> CancelResult {
        try await pool.withConnection { try await $0.query(CancelStatement(job: job)).first } ?? .unknown
    }

    /// A job's body and state; nil when it is unknown.
    public func job(_ id: Int64) async throws -> JobReport? {
        try await pool.withConnection { try await $0.query(JobReportStatement(job: id)).first }
    }

    /// How a job's attempts ended, first to last.
    public func outcomes(of job: Int64) async throws -> [JobOutcome] {
        try await pool.withConnection { try await $0.query(OutcomesStatement(job: job)) }
    }

    /// Stops (or resumes) the claiming of a queue's jobs; what runs goes on. False for an unknown queue.
    public func setPaused(_ queue: String, _ paused: Bool) async throws -> Bool {
        try await pool.withConnection { try await $0.execute(PauseStatement(queue: queue, paused: paused)) } > 0
    }
}

/// A queue at a glance.
public struct QueueStatus: Sendable {
    /// Jobs ready: exact up to 10,000 a priority, an estimate beyond.
    public let ready: Int64
    /// Seconds since the oldest ready job was enqueued.
    public let oldestAge: Double?
    /// Jobs waiting for their time; at most 10,000 are counted.
    public let deferred: Int64
    /// Dead letters; at most 10,000 are counted.
    public let dead: Int64
    /// Jobs under a lease.
    public let running: Int64
    public let isPaused: Bool
}

/// A job that will not be tried again unless it is redriven.
public struct DeadLetter: Sendable {
    public let job: Int64
    public let kind: String
    public let workspace: Int64
    public let attempt: Int16
    public let error: String?
    /// Microseconds since 2000-01-01 UTC.
    public let at: Int64
}

/// What became of a request to cancel.
public enum CancelResult: String, Sendable {
    case cancelled, running, finished, unknown
}

/// A job's body and where it stands.
public struct JobReport: Sendable {
    public let id: Int64
    public let queue: String
    public let kind: String
    public let workspace: Int64
    public let priority: Int16
    public let maxAttempts: Int16
    /// JSON in UTF-8.
    public let arguments: [UInt8]
    /// `ready`, `deferred`, `running`, `succeeded`, `dead` or `cancelled`.
    public let state: String
    /// Microseconds since 2000-01-01 UTC.
    public let enqueuedAt: Int64
}

/// How one attempt ended: `succeeded`, `failed`, `dead` or `cancelled`.
public struct JobOutcome: Sendable {
    public let attempt: Int16
    public let state: String
    public let error: String?
    /// Microseconds since 2000-01-01 UTC.
    public let at: Int64
}
