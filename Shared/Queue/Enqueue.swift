public import Postgres

/// Enqueueing inside the caller's transaction. After its commit call `Wakeup.notify` with each queue.
public enum Enqueue {
    /// The most jobs of one statement.
    public static let maximumJobs = 10_000

    /// A statement whose rows are the new jobs' ids, in order; of a job whose unique key is taken, that of the job which
    /// has it. Queues must exist: an unknown one is SQLSTATE 22023, as is an unknown limit, or a job to wait for that
    /// cannot be waited for.
    /// Errors: `.invalidRequest` names the first job that is beyond a limit.
    public static func statement(_ jobs: [JobRequest]) throws(QueueError) -> EnqueueStatement {
        guard jobs.count <= maximumJobs else {
            throw QueueError(.invalidRequest, "\(jobs.count) jobs exceed \(maximumJobs)", doing: "enqueue")
        }
        for (index, job) in jobs.enumerated() {
            try job.validate()
            for case .request(let parent) in job.after where !(0..<index).contains(parent) {
                throw QueueError(
                    .invalidRequest, "request \(index) waits for request \(parent), which does not come before it",
                    doing: "enqueue")
            }
        }
        return EnqueueStatement(jobs: jobs)
    }
}

/// What became of a request to enqueue.
public struct EnqueuedJob: Sendable, Hashable, Identifiable {
    public let id: Int64
    /// False when the job's unique key was taken: `id` is the job that has it.
    public let isNew: Bool
}

/// See `Enqueue.statement`.
public struct EnqueueStatement: PostgresStatement {
    public typealias Row = EnqueuedJob

    let jobs: [JobRequest]

    public static let sql = "SELECT id, is_new FROM queue.enqueue_linked($1, $2, $3, $4, $5, $6, $7, $8, $9)"

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
            // Without it the quick way is taken.
            jobs.allSatisfy(\.isPlain) ? .null : .jsonArray(jobs.map(\.extras)),
        ]
    }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> EnqueuedJob {
        EnqueuedJob(id: try row.int8(0), isNew: try row.bool(1))
    }
}
