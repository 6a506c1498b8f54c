public import Postgres

/// What an operator asks of the queue. Reads estimates, never counts everything.
public struct QueueInspector: Sendable {
    /// Jobs that one page of a list looks at.
    static let scanLimit = 5_000

    static let resultBytes = 1 << 20

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

    /// Jobs, newest first, with ids below `before`, at most `limit` (1 to 1,000); and the id below which the next page
    /// goes on, nil after the last. A page may hold fewer than `limit`, even none, and not be the last: a page looks at
    /// 5,000 jobs.
    public func jobs(
        _ filter: JobFilter, before: Int64 = .max, limit: Int = 100
    ) async throws -> (jobs: [JobSummary], next: Int64?) {
        let statement = ListJobsStatement(
            filter: filter, before: before, limit: min(max(1, limit), 1000), scan: Self.scanLimit)
        let rows = try await pool.withConnection { try await $0.query(statement) }
        return (rows.compactMap(\.job), rows.first?.next)
    }

    /// Makes dead letters ready again with a fresh allowance of attempts: those named, or the oldest `limit`; of an
    /// array each dead slice counts. Those whose unique key another job has by now stay dead. The caller notifies the
    /// queue.
    public func redrive(_ queue: String, jobs: [Int64]? = nil, limit: Int = 1000) async throws -> Redrive {
        let statement = RedriveStatement(queue: queue, jobs: jobs, limit: limit)
        return try await pool.withConnection { try await $0.query(statement).first } ?? Redrive(jobs: [], held: [:])
    }

    /// Cancels a job that has not ended. One that runs cannot commit any more (`.stopped`): the caller says so by
    /// `Wakeup.cancelled`, and its handler is told.
    public func cancel(_ job: Int64) async throws -> CancelResult {
        try await pool.withConnection { try await $0.query(CancelStatement(job: job)).first } ?? .unknown
    }

    /// A job's body and state; nil when it is unknown.
    public func job(_ id: Int64) async throws -> JobReport? {
        try await pool.withConnection { try await $0.query(JobReportStatement(job: id)).first }
    }

    /// How a job's attempts ended, first to last; of more than `limit` the last ones.
    public func outcomes(of job: Int64, limit: Int = 100) async throws -> [JobOutcome] {
        try await pool.withConnection { try await $0.query(OutcomesStatement(job: job, limit: limit)) }.reversed()
    }

    /// The attempts of a job that are under way, the oldest `limit`: several where it is an array.
    public func attempts(of job: Int64, limit: Int = 100) async throws -> [JobAttempt] {
        try await pool.withConnection { try await $0.query(AttemptsStatement(job: job, limit: limit)) }
    }

    /// What the slices of an array left behind: the first `limit`, 1 MiB of JSON at most; and how many there are, of
    /// 10,000 at most.
    public func results(of array: Int64, limit: Int = 100) async throws -> (count: Int64, first: [SliceResult]) {
        let statement = SliceResultsStatement(job: array, limit: limit, bytes: Self.resultBytes)
        let rows = try await pool.withConnection { try await $0.query(statement) }
        return (rows.first?.count ?? 0, rows.map(\.result))
    }

    /// Stops (or resumes) the claiming of a queue's jobs; what runs goes on. False for an unknown queue. The caller
    /// says so by `Wakeup.paused`: what workers have claimed and not started goes back.
    public func setPaused(_ queue: String, _ paused: Bool) async throws -> Bool {
        try await pool.withConnection { try await $0.execute(PauseStatement(queue: queue, paused: paused)) } > 0
    }
}
