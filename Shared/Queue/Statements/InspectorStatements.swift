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
        SELECT ready, extract(epoch FROM clock_timestamp() - oldest)::float8, deferred, dead, running, paused, blocked,
            waiting, succeeded_rate, failed_rate, dead_rate
        FROM queue.inspect($1)
        """
    var parameters: [PostgresValue] { [.text(queue)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> QueueStatus {
        QueueStatus(
            ready: try row.int8(0), oldestAge: try row.optionalFloat8(1), deferred: try row.int8(2),
            blocked: try row.int8(6), waiting: try row.int8(7), dead: try row.int8(3), running: try row.int8(4),
            isPaused: try row.bool(5),
            rates: QueueRates(
                succeeded: try row.float8(8), failed: try row.float8(9), dead: try row.float8(10)))
    }
}

/// Jobs, newest first; see `queue.list_jobs`. Each row says from where the next page goes on.
struct ListJobsStatement: PostgresStatement {
    struct Row: Sendable {
        let next: Int64?
        let job: JobSummary?
    }

    let filter: JobFilter
    let before: Int64
    let limit: Int
    let scan: Int

    static let sql = """
        SELECT scanned, id, queue, kind, workspace, priority, state, enqueued_at, error
        FROM queue.list_jobs($1, $2, $3, $4, $5, $6, $7)
        """
    var parameters: [PostgresValue] {
        [
            .optional(filter.workspace) { .int8($0) }, .optional(filter.queue) { .text($0) },
            .optional(filter.kind) { .text($0) }, .optional(filter.state) { .text($0.rawValue) }, .int8(before),
            .int4(Int32(limit)), .int4(Int32(scan)),
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Row {
        let next = try row.optionalInt8(0)
        guard let id = try row.optionalInt8(1) else { return Row(next: next, job: nil) }
        return Row(
            next: next,
            job: JobSummary(
                id: id, queue: try row.text(2), kind: try row.text(3), workspace: try row.int8(4),
                priority: try row.int2(5), state: JobState(rawValue: try row.text(6)) ?? .ready,
                enqueuedAt: try row.timestamp(7), error: try row.optionalText(8)))
    }
}

struct RedriveStatement: PostgresStatement {
    let queue: String
    let jobs: [Int64]?
    let limit: Int

    static let sql = "SELECT redriven, held, holders FROM queue.redrive_dead($1, $2::int8[], $3)"
    var parameters: [PostgresValue] {
        [.text(queue), .optional(jobs) { .int8Array($0) }, .int4(Int32(clamping: limit))]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Redrive {
        let pairs = zip(try row.int8Array(1), try row.int8Array(2))
        return Redrive(jobs: try row.int8Array(0), held: Dictionary(pairs) { first, _ in first })
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
            j.enqueued_at, j.trace, j.limit_key, j.unique_key, a.items, a.remaining, a.failed, p.fraction, p.note, p.at,
            r.result, d.run_at, coalesce((SELECT array_agg(parent ORDER BY parent) FROM queue.dependency
                WHERE child = j.id), '{}')
        FROM queue.job j JOIN queue.queue q ON q.id = j.queue
        LEFT JOIN queue.array a ON a.job = j.id
        LEFT JOIN queue.progress p ON p.job = j.id
        LEFT JOIN queue.result r ON r.job = j.id AND r.first = 0 AND a.job IS NULL
        LEFT JOIN LATERAL (SELECT min(run_at) AS run_at FROM queue.deferred WHERE job = j.id) d ON true
        WHERE j.id = $1
        """
    var parameters: [PostgresValue] { [.int8(job)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> JobReport {
        JobReport(
            id: try row.int8(0), queue: try row.text(1), kind: try row.text(2), workspace: try row.int8(3),
            priority: try row.int2(4), maxAttempts: try row.int2(5), arguments: try row.json(6),
            state: JobState(rawValue: try row.text(7)) ?? .ready, enqueuedAt: try row.timestamp(8),
            trace: try row.optionalText(9), limitKey: try row.optionalText(10), uniqueKey: try row.optionalText(11),
            array: try row.optionalInt4(12).map { items throws(PostgresError) in
                JobReport.Array(items: items, remaining: try row.int4(13), failed: try row.int4(14))
            },
            progress: try row.optionalFloat8(15).map { fraction throws(PostgresError) in
                JobReport.Progress(
                    fraction: fraction, note: try row.optionalText(16), at: try row.timestamp(17))
            },
            result: try row.optionalJSON(18), runAt: try row.optionalTimestamp(19), waitsFor: try row.int8Array(20))
    }
}

struct OutcomesStatement: PostgresStatement {
    let job: Int64

    let limit: Int

    static let sql = """
        SELECT attempt, state, error, at, first, items FROM queue.outcome WHERE job = $1
        ORDER BY attempt DESC, first DESC LIMIT $2
        """
    var parameters: [PostgresValue] { [.int8(job), .int(limit)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> JobOutcome {
        JobOutcome(
            attempt: try row.int2(0), state: try row.text(1), error: try row.optionalText(2),
            at: try row.timestamp(3), first: try row.int4(4), items: try row.int4(5))
    }
}

/// The attempts of a job that are under way, by the leases that name it; see `JobAttempt`.
struct AttemptsStatement: PostgresStatement {
    let job: Int64
    let limit: Int

    static let sql = """
        SELECT t.attempt, coalesce(w.name, ''), l.claimed_at, coalesce(t.first, 0), coalesce(t.items, 0)
        FROM queue.lease l CROSS JOIN unnest(l.jobs, l.attempts, l.firsts, l.items) AS t(job, attempt, first, items)
        LEFT JOIN queue.worker w ON w.id = l.worker
        WHERE $1 = ANY (l.jobs) AND t.job = $1 AND NOT EXISTS (SELECT FROM queue.outcome o
            WHERE o.job = t.job AND o.attempt = t.attempt AND o.first = coalesce(t.first, 0))
        ORDER BY l.claimed_at, 4 LIMIT $2
        """
    var parameters: [PostgresValue] { [.int8(job), .int(limit)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> JobAttempt {
        JobAttempt(
            attempt: try row.int2(0), worker: try row.text(1), claimedAt: try row.timestamp(2),
            first: try row.int4(3), items: try row.int4(4))
    }
}

/// What the slices of an array left behind, in the order of items: at most `limit`, and no more than `bytes` of JSON
/// but for the first. Each row says how many there are besides, of 10,000 at most.
struct SliceResultsStatement: PostgresStatement {
    let job: Int64
    let limit: Int
    let bytes: Int

    static let sql = """
        WITH page AS MATERIALIZED (
            SELECT r.first, r.result, row_number() OVER place AS number,
                sum(octet_length(r.result::text)) OVER place AS bytes
            FROM (SELECT first, result FROM queue.result WHERE job = $1 ORDER BY first LIMIT $2) r
            WINDOW place AS (ORDER BY r.first)
        ), slice AS MATERIALIZED (
            SELECT o.first, o.items FROM queue.outcome o
            WHERE o.job = $1 AND o.state = 'succeeded' AND o.first <= (SELECT max(first) FROM page)
        )
        SELECT (SELECT count(*) FROM (SELECT FROM queue.result WHERE job = $1 LIMIT 10000) c), p.first,
            coalesce(s.items, 0), p.result
        FROM page p LEFT JOIN slice s USING (first) WHERE p.number = 1 OR p.bytes <= $3 ORDER BY p.first
        """
    var parameters: [PostgresValue] { [.int8(job), .int(limit), .int(bytes)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> (count: Int64, result: SliceResult) {
        (
            try row.int8(0),
            SliceResult(first: try row.int4(1), items: try row.int4(2), result: try row.json(3))
        )
    }
}

struct PauseStatement: PostgresStatement {
    let queue: String
    let paused: Bool

    static let sql = "UPDATE queue.queue SET paused = $2 WHERE name = $1"
    var parameters: [PostgresValue] { [.text(queue), .bool(paused)] }
}

/// What a key named so, or `name:anything`, allows.
struct SetLimitStatement: PostgresStatement {
    let queue: String
    let name: String
    let limit: QueueLimit

    static let sql = "SELECT FROM queue.set_limit($1, $2, $3, $4, $5)"
    var parameters: [PostgresValue] {
        [
            .text(queue), .text(name), .optional(limit.concurrency) { .int4($0) },
            .optional(limit.rate) { .int4($0.starts) }, .optional(limit.rate) { .float8($0.period.seconds) },
        ]
    }
}
