import Postgres

extension StoredSchedule {
    static let columns = """
        s.id, s.name, s.version, s.cron, s.timezone, s.missed, s.paused, s.definition, s.queue, s.next_at, s.passed_at,
        s.last_at, s.last_job, s.created_at, s.updated_at, clock_timestamp()
        """
    /// How many `columns` there are.
    static let width = 16

    init(_ row: PostgresRow) throws(PostgresError) {
        id = try row.int8(0)
        name = try row.text(1)
        version = try row.int4(2)
        cron = try row.text(3)
        timezone = try row.text(4)
        missed = MissedTicks(rawValue: try row.text(5)) ?? .once
        isPaused = try row.bool(6)
        definition = try row.json(7)
        queue = try row.text(8)
        nextAt = try row.optionalTimestamp(9)
        passedAt = try row.timestamp(10)
        lastAt = try row.optionalTimestamp(11)
        lastJob = try row.optionalInt8(12)
        createdAt = try row.timestamp(13)
        updatedAt = try row.timestamp(14)
        now = try row.timestamp(15)
    }
}

struct FindSchedule: PostgresStatement {
    static let sql = """
        SELECT \(StoredSchedule.columns) FROM queue.schedule s WHERE s.workspace = $1 AND s.name = $2
        """
    let workspace: Int64
    let name: String

    var parameters: [PostgresValue] { [.int8(workspace), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredSchedule { try StoredSchedule(row) }
}

/// The same, locked until the transaction ends: it does not fire meanwhile.
struct LockSchedule: PostgresStatement {
    static let sql = FindSchedule.sql + " FOR NO KEY UPDATE"
    let workspace: Int64
    let name: String

    var parameters: [PostgresValue] { [.int8(workspace), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredSchedule { try StoredSchedule(row) }
}

/// The same, and whether all but its times and its pause is what a request asks for.
struct LockScheduleForPut: PostgresStatement {
    struct Found: Sendable {
        let schedule: StoredSchedule
        let isSameOtherwise: Bool
    }

    static let sql = """
        SELECT \(StoredSchedule.columns),
            (s.missed, s.queue, s.kind, s.priority, s.max_attempts, s.arguments, s.definition::text)
                = ($3, $4, $5, $6, $7, $8, $9::text)
        FROM queue.schedule s WHERE s.workspace = $1 AND s.name = $2 FOR NO KEY UPDATE
        """
    let request: ScheduleRequest

    var parameters: [PostgresValue] {
        [.int8(request.job.workspace), .text(request.name)] + request.otherwise
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Found {
        Found(schedule: try StoredSchedule(row), isSameOtherwise: try row.bool(StoredSchedule.width))
    }
}

struct ListSchedules: PostgresStatement {
    static let sql = """
        SELECT \(StoredSchedule.columns) FROM queue.schedule s
        WHERE s.workspace = $1 AND s.name > $2 ORDER BY s.name LIMIT $3
        """
    let workspace: Int64
    let after: String
    let limit: Int32

    var parameters: [PostgresValue] { [.int8(workspace), .text(after), .int4(limit)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredSchedule { try StoredSchedule(row) }
}

/// How many schedules a workspace has, and the server's time.
struct CountSchedules: PostgresStatement {
    static let sql = "SELECT count(*), clock_timestamp() FROM queue.schedule WHERE workspace = $1"
    let workspace: Int64

    var parameters: [PostgresValue] { [.int8(workspace)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> (count: Int, now: Int64) {
        (try row.int(0), try row.timestamp(1))
    }
}

/// Makes a schedule; no row when there is one of the name.
struct InsertSchedule: PostgresStatement {
    static let sql = """
        INSERT INTO queue.schedule AS s (workspace, name, missed, queue, kind, priority, max_attempts, arguments,
            definition, cron, timezone, paused, next_at, passed_at, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::text::json, $10, $11, $12, $13, $14, $14, $14)
        ON CONFLICT (workspace, name) DO NOTHING RETURNING \(StoredSchedule.columns)
        """
    let request: ScheduleRequest
    let now: Int64
    let nextAt: Int64?

    var parameters: [PostgresValue] {
        [.int8(request.job.workspace), .text(request.name)] + request.otherwise + [
            .text(request.cron.text), .text(request.zone.name), .bool(request.isPaused ?? false),
            .optional(nextAt) { .timestamp(microsSince2000: $0) }, .timestamp(microsSince2000: now),
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredSchedule { try StoredSchedule(row) }
}

/// Gives a locked schedule its next version.
struct UpdateSchedule: PostgresStatement {
    static let sql = """
        UPDATE queue.schedule s SET version = s.version + 1, missed = $2, queue = $3, kind = $4, priority = $5,
            max_attempts = $6, arguments = $7, definition = $8::text::json, cron = $9, timezone = $10, paused = $11,
            next_at = $12, updated_at = clock_timestamp()
        WHERE s.id = $1 RETURNING \(StoredSchedule.columns)
        """
    let id: Int64
    let request: ScheduleRequest
    let isPaused: Bool
    let nextAt: Int64?

    var parameters: [PostgresValue] {
        [.int8(id)] + request.otherwise + [
            .text(request.cron.text), .text(request.zone.name), .bool(isPaused),
            .optional(nextAt) { .timestamp(microsSince2000: $0) },
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredSchedule { try StoredSchedule(row) }
}

/// Pauses or resumes a locked schedule, which makes a version.
struct PauseSchedule: PostgresStatement {
    static let sql = """
        UPDATE queue.schedule s SET version = s.version + 1, paused = $2, next_at = $3, updated_at = clock_timestamp()
        WHERE s.id = $1 RETURNING \(StoredSchedule.columns)
        """
    let id: Int64
    let isPaused: Bool
    let nextAt: Int64?

    var parameters: [PostgresValue] {
        [.int8(id), .bool(isPaused), .optional(nextAt) { .timestamp(microsSince2000: $0) }]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredSchedule { try StoredSchedule(row) }
}

struct DeleteSchedule: PostgresStatement {
    static let sql = "DELETE FROM queue.schedule WHERE id = $1"
    let id: Int64

    var parameters: [PostgresValue] { [.int8(id)] }
}

/// Starts a schedule's job now. Nil for an unknown one.
struct TriggerSchedule: PostgresStatement {
    static let sql = "SELECT job_id, told, queue_name FROM queue.trigger_schedule($1, $2)"
    let workspace: Int64
    let name: String

    var parameters: [PostgresValue] { [.int8(workspace), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> TriggeredSchedule? {
        guard let job = try row.optionalInt8(0) else { return nil }
        return TriggeredSchedule(job: job, queue: try row.text(2), scheduledAt: try row.timestamp(1))
    }
}

extension ScheduleRequest {
    /// All but its name, its times and its pause, as `missed, queue, kind, priority, max_attempts, arguments,
    /// definition`.
    fileprivate var otherwise: [PostgresValue] {
        [
            .text(missed.rawValue), .text(job.queue), .text(job.kind), .int2(job.priority), .int2(job.maxAttempts),
            .json(job.arguments), .text(String(decoding: definition, as: UTF8.self)),
        ]
    }
}
