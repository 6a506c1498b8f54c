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

/// Records failed attempts and defers the next; raises as `SettleStatement` does.
struct RetryStatement: PostgresStatement {
    let lease: Int64
    let jobs: [(job: Job, failure: JobFailure, delay: Duration)]
    let finish: Bool

    static let sql = "SELECT FROM queue.retry($1, $2, $3, $4, $5, $6, $7)"

    var parameters: [PostgresValue] {
        [
            .int8(lease), .int8Array(jobs.map(\.job.id)), .int2Array(jobs.map(\.job.attempt)),
            .int2Array(jobs.map(\.job.lastAttempt)), .textArray(jobs.map(\.failure.stored)),
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

    static let sql = "SELECT FROM queue.bury($1, $2, $3, $4, $5)"

    var parameters: [PostgresValue] {
        [.int8(lease), .int8(job.id), .int2(job.attempt), .text(failure.stored), .bool(finish)]
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

    static let sql = "SELECT alive, settled FROM queue.resolve($1, $2, $3, $4, $5)"

    var parameters: [PostgresValue] {
        [
            .int8(worker), .int4(pid), .int8(lease), .int8Array(jobs.map(\.id)), .int2Array(jobs.map(\.attempt)),
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Row {
        Row(isAlive: try row.bool(0), settled: try row.int8(1))
    }
}

/// The error of a job's latest failed attempt.
struct LastErrorStatement: PostgresStatement {
    let job: Int64

    static let sql = """
        SELECT coalesce(error, '') FROM queue.outcome WHERE job = $1 AND state = 'failed' ORDER BY attempt DESC LIMIT 1
        """
    var parameters: [PostgresValue] { [.int8(job)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> String {
        try row.text(0)
    }
}
