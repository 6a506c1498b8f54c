public import Postgres

/// How many jobs of one key may run at a time, and how many may start a period. Nil: as many as there are.
public struct QueueLimit: Sendable, Hashable {
    /// A bucket of `starts` that fills once a `period` (1 ms to a day): so many may start at once after a rest.
    public struct Rate: Sendable, Hashable {
        public var starts: Int32
        public var period: Duration

        public init(_ starts: Int32, per period: Duration) {
            self.starts = starts
            self.period = period
        }
    }

    public var concurrency: Int32?
    public var rate: Rate?

    public init(concurrency: Int32? = nil, rate: Rate? = nil) {
        self.concurrency = concurrency
        self.rate = rate
    }
}

/// The rules for jobs with a limit key.
///
/// A rule named `mail` holds for the key `mail` and for each key `mail:anything` by itself. A job at its limit stands
/// *blocked*, outside of its lane, in the order in which it came; when a job of its key ends it goes on. A job holds its
/// permit from when it is let through until its attempt has ended; a worker that is lost keeps it for the job's next
/// attempt. Jobs are enqueued with a key only once its rule exists.
public struct QueueLimits: Sendable {
    private let pool: PostgresPool

    public init(pool: PostgresPool) {
        self.pool = pool
    }

    /// Makes the rule, or changes it: for what is blocked at once. `name`: `^[a-z][a-z0-9_]{0,47}$`.
    /// The caller notifies the queue.
    public func set(_ limit: QueueLimit, named name: String, of queue: String) async throws {
        let statement = SetLimitStatement(queue: queue, name: name, limit: limit)
        try await pool.withConnection { _ = try await $0.execute(statement) }
    }
}
