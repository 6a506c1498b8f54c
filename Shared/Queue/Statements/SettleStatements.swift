import Postgres

/// Records success; raises `LeaseFence.lost` when the lease is lost.
struct SettleStatement: PostgresStatement {
    let lease: Int64
    let jobs: [Job]
    let finish: Bool

    static let sql = "SELECT FROM queue.settle($1, $2, $3, $4)"

    var parameters: [PostgresValue] {
        [.int8(lease), .int8Array(jobs.map(\.id)), .int2Array(jobs.map(\.attempt)), .bool(finish)]
    }
}

/// Records success for jobs of several leases, fenced by each one's own. Its rows are the leases that are lost.
struct SettleLeasesStatement: PostgresStatement {
    let groups: [Settler.Group]

    static let sql = "SELECT lease FROM queue.settle_leases($1, $2, $3, $4, $5)"

    var parameters: [PostgresValue] {
        [
            .int8Array(groups.filter(\.finish).map(\.lease)), .int8Array(groups.filter { !$0.finish }.map(\.lease)),
            .int8Array(groups.flatMap { group in group.jobs.map { _ in group.lease } }),
            .int8Array(groups.flatMap { $0.jobs.map(\.id) }), .int2Array(groups.flatMap { $0.jobs.map(\.attempt) }),
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 {
        try row.int8(0)
    }
}

/// Records success for jobs after whose end there is more to do, or which have results (JSON in UTF-8).
struct SettleAllStatement: PostgresStatement {
    let lease: Int64
    let jobs: [Job]
    let results: [Job.Key: [UInt8]]
    let finish: Bool

    private static let none = Array("null".utf8)

    static let sql = "SELECT FROM queue.settle_all($1, $2, $3, $4, $5, $6, $7)"

    var parameters: [PostgresValue] {
        [
            .int8(lease), .int8Array(jobs.map(\.id)), .int2Array(jobs.map(\.attempt)),
            .int4Array(jobs.map(\.first)), .int4Array(jobs.map(\.itemCount)),
            .jsonArray(jobs.map { results[$0.key] ?? Self.none }), .bool(finish),
        ]
    }
}

/// Records failed attempts and defers the next; raises as `SettleStatement` does.
struct RetryStatement: PostgresStatement {
    let lease: Int64
    let jobs: [(job: Job, failure: JobFailure, delay: Duration)]
    let finish: Bool

    static let sql = "SELECT FROM queue.retry($1, $2, $3, $4, $5, $6, $7, $8, $9)"

    var parameters: [PostgresValue] {
        [
            .int8(lease), .int8Array(jobs.map(\.job.id)), .int2Array(jobs.map(\.job.attempt)),
            .int2Array(jobs.map(\.job.lastAttempt)), .int4Array(jobs.map(\.job.first)),
            .int4Array(jobs.map(\.job.itemCount)), .textArray(jobs.map(\.failure.stored)),
            .float8Array(jobs.map(\.delay.seconds)), .bool(finish),
        ]
    }
}

/// Makes a job a dead letter; raises as `SettleStatement` does.
struct BuryStatement: PostgresStatement {
    let lease: Int64
    let job: Job
    let failure: JobFailure
    let finish: Bool

    static let sql = "SELECT FROM queue.bury($1, $2, $3, $4, $5, $6, $7)"

    var parameters: [PostgresValue] {
        [
            .int8(lease), .int8(job.id), .int2(job.attempt), .int4(job.first), .int4(job.itemCount),
            .text(failure.stored), .bool(finish),
        ]
    }
}

/// Gives a lease's unsettled jobs back without charging an attempt. Its row is their number, nil for a lost lease.
struct GiveBackStatement: PostgresStatement {
    let lease: Int64

    static let sql = "SELECT queue.give_back($1, false)"
    var parameters: [PostgresValue] { [.int8(lease)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int32? {
        try row.optionalInt4(0)
    }
}

/// Gives some of a lease's jobs back without charging an attempt; raises as `SettleStatement` does.
struct GiveBackSomeStatement: PostgresStatement {
    let lease: Int64
    let jobs: [Job]
    let finish: Bool

    static let sql = "SELECT FROM queue.give_back_some($1, $2, $3, $4)"

    var parameters: [PostgresValue] {
        [.int8(lease), .int8Array(jobs.map(\.id)), .int4Array(jobs.map(\.first)), .bool(finish)]
    }
}

/// What became of a commit whose answer was lost.
struct ResolveStatement: PostgresStatement {
    struct Row: Sendable {
        let isAlive: Bool
        let settled: Int64
    }

    let worker: Int64
    let pid: Int32
    let lease: Int64
    let jobs: [Job]

    static let sql = "SELECT alive, settled FROM queue.resolve($1, $2, $3, $4, $5, $6)"

    var parameters: [PostgresValue] {
        [
            .int8(worker), .int4(pid), .int8(lease), .int8Array(jobs.map(\.id)), .int2Array(jobs.map(\.attempt)),
            .int4Array(jobs.map(\.first)),
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Row {
        Row(isAlive: try row.bool(0), settled: try row.int8(1))
    }
}

/// Those of a lease's jobs that somebody else has ended: cancelled them.
struct EndedElsewhereStatement: PostgresStatement {
    let jobs: [Job]

    static let sql = "SELECT job, first FROM queue.ended_elsewhere($1, $2, $3)"

    var parameters: [PostgresValue] {
        [
            .int8Array(jobs.map(\.id)), .int2Array(jobs.map(\.attempt)), .int4Array(jobs.map(\.first)),
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Job.Key {
        Job.Key(job: try row.int8(0), first: try row.int4(1))
    }
}

/// The error of a job's latest failed attempt.
struct LastErrorStatement: PostgresStatement {
    let job: Job

    static let sql = """
        SELECT coalesce(error, '') FROM queue.outcome
        WHERE job = $1 AND state = 'failed' AND first <= $2 AND first + items >= $2
        ORDER BY attempt DESC LIMIT 1
        """
    var parameters: [PostgresValue] { [.int8(job.id), .int4(job.first)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> String {
        try row.text(0)
    }
}

/// Says how far a running job is.
struct ProgressStatement: PostgresStatement {
    let job: Int64
    let fraction: Double
    let note: String?

    static let sql = """
        INSERT INTO queue.progress AS p (job, at, fraction, note) VALUES ($1, clock_timestamp(), $2, $3)
        ON CONFLICT (job) DO UPDATE SET at = excluded.at, fraction = excluded.fraction, note = excluded.note
        """
    var parameters: [PostgresValue] {
        [.int8(job), .float8(fraction), .optional(note) { .text($0) }]
    }
}
