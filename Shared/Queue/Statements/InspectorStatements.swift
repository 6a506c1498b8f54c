import Postgres

struct QueueNamesStatement: PostgresStatement {
    static let sql = "SELECT name FROM queue.queue ORDER BY name"

    static func decode(_ row: PostgresRow) throws(PostgresError) -> String {
        try row.text(0)
    }
}

struct InspectStatement: PostgresStatement {
    let queue: String

    static let sql = """
        SELECT ready, extract(epoch FROM clock_timestamp() - oldest)::float8, deferred, dead, running, paused
        FROM queue.inspect($1)
        """
    var parameters: [PostgresValue] { [.text(queue)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> QueueStatus {
        QueueStatus(
            ready: try row.int8(0), oldestAge: try row.optionalFloat8(1), deferred: try row.int8(2),
            dead: try row.int8(3), running: try row.int8(4), isPaused: try row.bool(5))
    }
}

struct DeadLettersStatement: PostgresStatement {
    let queue: String
    let after: Int64
    let limit: Int

    static let sql = """
        SELECT d.job, j.kind, j.workspace, d.attempt, d.error, d.at
        FROM queue.queue q JOIN queue.dead d ON d.queue = q.id JOIN queue.job j ON j.id = d.job
        WHERE q.name = $1 AND d.job > $2 ORDER BY d.job LIMIT $3
        """
    var parameters: [PostgresValue] { [.text(queue), .int8(after), .int(limit)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> DeadLetter {
        DeadLetter(
            job: try row.int8(0), kind: try row.text(1), workspace: try row.int8(2), attempt: try row.int2(3),
            error: try row.optionalText(4), at: try row.timestamp(5))
    }
}

struct RedriveStatement: PostgresStatement {
    let queue: String
    let jobs: [Int64]?
    let limit: Int

    static let sql = "SELECT unnest(queue.redrive($1, $2::int8[], $3))"
    var parameters: [PostgresValue] {
        [.text(queue), .optional(jobs) { .int8Array($0) }, .int4(Int32(clamping: limit))]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 {
        try row.int8(0)
    }
}

struct CancelStatement: PostgresStatement {
    let job: Int64

    static let sql = "SELECT queue.cancel($1)"
    var parameters: [PostgresValue] { [.int8(job)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> CancelResult {
        CancelResult(rawValue: try row.text(0)) ?? .unknown
    }
}

struct JobReportStatement: PostgresStatement {
    let job: Int64

    static let sql = """
        SELECT j.id, q.name, j.kind, j.workspace, j.priority, j.max_attempts, j.arguments, queue.job_state(j.id),
            j.enqueued_at
        FROM queue.job j JOIN queue.queue q ON q.id = j.queue WHERE j.id = $1
        """
    var parameters: [PostgresValue] { [.int8(job)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> JobReport {
        JobReport(
            id: try row.int8(0), queue: try row.text(1), kind: try row.text(2), workspace: try row.int8(3),
            priority: try row.int2(4), maxAttempts: try row.int2(5), arguments: try row.json(6),
            state: try row.text(7), enqueuedAt: try row.timestamp(8))
    }
}

struct OutcomesStatement: PostgresStatement {
    let job: Int64

    static let sql = "SELECT attempt, state, error, at FROM queue.outcome WHERE job = $1 ORDER BY attempt"
    var parameters: [PostgresValue] { [.int8(job)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> JobOutcome {
        JobOutcome(
            attempt: try row.int2(0), state: try row.text(1), error: try row.optionalText(2),
            at: try row.timestamp(3))
    }
}

struct PauseStatement: PostgresStatement {
    let queue: String
    let paused: Bool

    static let sql = "UPDATE queue.queue SET paused = $2 WHERE name = $1"
    var parameters: [PostgresValue] { [.text(queue), .bool(paused)] }
}
