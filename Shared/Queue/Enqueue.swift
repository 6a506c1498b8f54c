public import Postgres

/// Enqueueing inside the caller's transaction. After its commit call `Wakeup.notify` with each queue.
public enum Enqueue {
    /// The most jobs of one statement.
    public static let maximumJobs = 10_000

    /// A statement whose rows are the new jobs' ids, in order. Queues must exist: an unknown one is SQLSTATE 22023.
    /// Errors: `.invalidRequest` names the first job that is beyond a limit.
    public static func statement(_ jobs: [JobRequest]) throws(QueueError) -> EnqueueStatement {
        guard jobs.count <= maximumJobs else {
            throw QueueError(.invalidRequest, "\(jobs.count) jobs exceed \(maximumJobs)", doing: "enqueue")
        }
        for job in jobs { try job.validate() }
        return EnqueueStatement(jobs: jobs)
    }
}

/// See `Enqueue.statement`.
public struct EnqueueStatement: PostgresStatement {
    public typealias Row = Int64

    let jobs: [JobRequest]

    public static let sql = "SELECT unnest(queue.enqueue_all($1, $2, $3, $4, $5, $6, $7, $8))"

    public var parameters: [PostgresValue] {
        [
            .textArray(jobs.map(\.queue)),
            .textArray(jobs.map(\.kind)),
            .int8Array(jobs.map(\.workspace)),
            .jsonArray(jobs.map(\.arguments)),
            .int2Array(jobs.map(\.priority)),
            .float8Array(jobs.map { $0.delay?.seconds ?? 0 }),
            .int2Array(jobs.map(\.maxAttempts)),
            .textArray(jobs.map(\.trace)),
        ]
    }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 {
        try row.int8(0)
    }
}
