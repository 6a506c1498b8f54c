import Postgres

/// A run as it is shown. Times are µs since 2000-01-01 UTC.
struct RunReport: Sendable {
    struct Records: Sendable {
        /// Of a run that reads a table.
        var read: Int64?
        var stored: Int64
        var filtered: Int64
        var quarantined: Int64
        var duplicates: Int64
    }

    var id: Int64
    var kind: String
    var pipeline: String
    var version: Int32
    var state: RunState
    var request: [UInt8]
    var schedule: [UInt8]?
    var job: Int64?
    var batches: Int32
    var skipped: Int32
    /// Those that wait for store, or are done.
    var transformed: Int64
    var done: Int32
    var dead: Int32
    var records: Records
    var error: String?
    var createdAt: Int64
    var startedAt: Int64?
    var finishedAt: Int64?
    var deadline: Int64?
    var isDry: Bool

    static let columns = """
        id, kind, pipeline, version, state, request, schedule, job, batches, skipped, done, dead, stored, filtered,
        quarantined, duplicates, error, created_at, started_at, finished_at, deadline,
        (select count(*) from millrace.run_batch b where b.run = run_report.id
            and b.state in ('read', 'transformed', 'stored', 'superseded')),
        (select coalesce(sum(b.received), 0)::int8 from millrace.run_batch b where b.run = run_report.id
            and run_report.kind = 'run'),
        dry_run
        """

    init(_ row: PostgresRow) throws(PostgresError) {
        guard let state = RunState(rawValue: try row.text(4)) else {
            throw PostgresError(.decode, "a run's state is not known here", doing: "read a run")
        }
        id = try row.int8(0)
        kind = try row.text(1)
        pipeline = try row.text(2)
        version = try row.int4(3)
        self.state = state
        request = try row.json(5)
        schedule = row.isNull(6) ? nil : try row.json(6)
        job = try row.optionalInt8(7)
        batches = try row.int4(8)
        skipped = try row.int4(9)
        done = try row.int4(10)
        dead = try row.int4(11)
        records = Records(
            stored: try row.int8(12), filtered: try row.int8(13), quarantined: try row.int8(14),
            duplicates: try row.int8(15))
        error = try row.optionalText(16)
        createdAt = try row.timestamp(17)
        startedAt = try row.optionalTimestamp(18)
        finishedAt = try row.optionalTimestamp(19)
        deadline = try row.optionalTimestamp(20)
        transformed = try row.int8(21)
        if kind == "run" { records.read = try row.int8(22) }
        isDry = try row.bool(23)
    }
}

/// Where a run stands; migration 0010 says what is true in each state.
enum RunState: String, Sendable, CaseIterable {
    case queued, running, succeeded, failed, cancelled
    case timedOut = "timed_out"
}

struct FindRun: PostgresStatement {
    static let sql = "select \(RunReport.columns) from millrace.run_report where workspace_id = $1 and id = $2"
    var workspaceID: Int64
    var id: Int64

    var parameters: [PostgresValue] { [.int8(workspaceID), .int8(id)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> RunReport { try RunReport(row) }
}

/// A page of a workspace's runs, newest first.
struct ListRuns: PostgresStatement {
    static let sql = """
        select \(RunReport.columns) from millrace.run_report
        where workspace_id = $1 and id < $2 and ($3::text is null or state = $3)
            and ($4::text is null or pipeline = $4) and ($6::text[] is null or pipeline like any ($6))
        order by id desc limit $5
        """
    var workspaceID: Int64
    var before: Int64
    var state: RunState?
    var pipeline: String?
    var limit: Int32
    /// Of pipelines with names like these; nil for all.
    var names: [String]?

    var parameters: [PostgresValue] {
        [
            .int8(workspaceID), .int8(before), .optional(state) { .text($0.rawValue) },
            .optional(pipeline) { .text($0) }, .int4(limit), .optional(names) { .textArray($0) },
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> RunReport { try RunReport(row) }
}

/// The first dead batches of a run, each with its reason.
struct ListRunErrors: PostgresStatement {
    static let sql = """
        select batch, coalesce(error, ''), dead_letter from millrace.run_batch where run = $1 and state = 'dead'
        order by ordinal limit $2
        """
    var run: Int64
    var limit: Int32

    var parameters: [PostgresValue] { [.int8(run), .int4(limit)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> (batch: Int64, message: String, job: Int64?) {
        (try row.int8(0), try row.text(1), try row.optionalInt8(2))
    }
}

/// Cancels a run that has not ended. The row is its state before, nil where there is no such run, and its job.
struct CancelRun: PostgresStatement {
    static let sql = "select state, job from millrace.cancel_run($1, $2)"
    var workspaceID: Int64
    var id: Int64

    var parameters: [PostgresValue] { [.int8(workspaceID), .int8(id)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> (state: RunState?, job: Int64?) {
        (try row.optionalText(0).flatMap(RunState.init), try row.optionalInt8(1))
    }
}

/// Writes down that a run has timed out, if it has.
struct ExpireRun: PostgresStatement {
    static let sql = "select from millrace.expire_run($1)"
    var run: Int64

    var parameters: [PostgresValue] { [.int8(run)] }
}

/// Locks runs some of whose batches were moved, and moves the runs on. Gives those that are not going on any more.
struct AdvanceRuns: PostgresStatement {
    static let sql = "select millrace.advance_replays($1)"
    var runs: [Int64]

    var parameters: [PostgresValue] { [.int8Array(runs)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> [Int64] { try row.int8Array(0) }
}
