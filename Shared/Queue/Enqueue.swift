public import Postgres

/// Enqueueing inside the caller's transaction. After its commit call `Wakeup.notify` with each queue.
public enum Enqueue {
    /// The most jobs of one statement.
    public static let maximumJobs = 10_000

    /// A statement whose rows are the new jobs' ids, in order; of a job whose unique key is taken, that of the job
    /// which has it. Queues must exist: an unknown one is SQLSTATE 22023, as is an unknown limit, or a job to wait for
    /// that cannot be waited for. Errors: `.invalidRequest` names the first job that is beyond a limit.
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
        // Jobs that differ in their arguments alone, as most of one call do, are described once.
        let described = Self.areAlike(jobs) ? Array(jobs.prefix(1)) : jobs
        return [
            .textArray(described.map(\.queue)),
            .textArray(described.map(\.kind)),
            .int8Array(described.map(\.workspace)),
            .jsonArray(jobs.map(\.arguments)),
            .int2Array(described.map(\.priority)),
            .float8Array(described.map { $0.delay?.seconds ?? 0 }),
            .int2Array(described.map(\.maxAttempts)),
            .textArray(described.map(\.trace)),
            // Without it the quick way is taken.
            jobs.allSatisfy(\.isPlain) ? .null : .jsonArray(jobs.map(\.extras)),
        ]
    }

    private static func areAlike(_ jobs: [JobRequest]) -> Bool {
        guard let first = jobs.first, first.isPlain else { return false }
        return jobs.dropFirst().allSatisfy { job in
            job.isPlain && job.queue == first.queue && job.kind == first.kind && job.workspace == first.workspace
                && job.priority == first.priority && job.delay == first.delay && job.maxAttempts == first.maxAttempts
                && job.trace == first.trace
        }
    }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> EnqueuedJob {
        EnqueuedJob(id: try row.int8(0), isNew: try row.bool(1))
    }
}
