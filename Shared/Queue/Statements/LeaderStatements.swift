import Postgres

/// Takes or renews the leadership and says what there is to do.
struct LeadStatement: PostgresStatement {
    struct Row: Sendable {
        let isLeader: Bool
        /// Until the leadership, whosesoever, runs out.
        let remaining: Duration
        let isBusy: Bool
        let dueIn: Duration?
        let partitionsAhead: Int64
    }

    let holder: String
    let term: Duration
    let after: Int64

    static let sql = """
        SELECT is_leader, remaining, busy, due_in, partitions_ahead FROM queue.lead($1, $2, $3)
        """
    var parameters: [PostgresValue] {
        [.text(holder), .float8(term.seconds), .timestamp(microsSince2000: after)]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Row {
        Row(
            isLeader: try row.bool(0), remaining: .seconds(max(0, try row.float8(1))),
            isBusy: try row.optionalBool(2) ?? false,
            dueIn: try row.optionalFloat8(3).map { .seconds($0) }, partitionsAhead: try row.optionalInt8(4) ?? 0)
    }
}

struct ResignStatement: PostgresStatement {
    let holder: String

    static let sql = "SELECT FROM queue.resign($1)"
    var parameters: [PostgresValue] { [.text(holder)] }
}

/// Moves due jobs to `ready`.
struct MoveDueStatement: PostgresStatement {
    struct Row: Sendable {
        let moved: Int32
        let queues: [String]
        let dueIn: Duration?
        /// The server's time, microseconds since 2000-01-01.
        let now: Int64
    }

    let after: Int64
    let limit: Int

    static let sql = "SELECT moved, queues, due_in, clock_timestamp() FROM queue.move_due($1, $2)"
    var parameters: [PostgresValue] { [.timestamp(microsSince2000: after), .int4(Int32(limit))] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Row {
        Row(
            moved: try row.int4(0), queues: try row.textArray(1),
            dueIn: try row.optionalFloat8(2).map { .seconds($0) }, now: try row.timestamp(3))
    }
}

/// Declares workers lost; its rows are all that are lost.
struct LostWorkersStatement: PostgresStatement {
    let timeout: Duration

    static let sql = "SELECT queue.lost_workers($1)"
    var parameters: [PostgresValue] { [.float8(timeout.seconds)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 {
        try row.int8(0)
    }
}

/// Terminates a lost worker's server processes; its row is how many still live.
struct TerminateBackendsStatement: PostgresStatement {
    let worker: Int64

    static let sql = "SELECT queue.terminate_backends($1)"
    var parameters: [PostgresValue] { [.int8(worker)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 {
        try row.int8(0)
    }
}

/// Gives a lost worker's jobs away.
struct RescueStatement: PostgresStatement {
    struct Row: Sendable {
        let given: Int32
        let charged: Int32
        let leftOver: Int32
        let queue: String?
    }

    let worker: Int64
    let backoff: Backoff

    static let sql = "SELECT given, charged, left_over, queue_name FROM queue.rescue($1, $2, $3)"
    var parameters: [PostgresValue] {
        [.int8(worker), .float8(backoff.base.seconds), .float8(backoff.cap.seconds)]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Row {
        Row(
            given: try row.int4(0), charged: try row.int4(1), leftOver: try row.int4(2),
            queue: try row.optionalText(3))
    }
}

struct MakePartitionsStatement: PostgresStatement {
    let ahead: Int32

    static let sql = "SELECT queue.make_partitions($1)"
    var parameters: [PostgresValue] { [.int4(ahead)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int32 {
        try row.int4(0)
    }
}

/// The status of every queue, as `QueueInspector.status` has it.
struct InspectAllStatement: PostgresStatement {
    struct Row: Sendable {
        let queue: String
        let status: QueueStatus
    }

    static let sql = """
        SELECT ready, extract(epoch FROM clock_timestamp() - oldest)::float8, deferred, dead, running, i.paused, blocked,
            waiting, succeeded_rate, failed_rate, dead_rate, q.name
        FROM queue.queue q, LATERAL queue.inspect(q.name) i
        """

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Row {
        Row(queue: try row.text(11), status: try InspectStatement.decode(row))
    }
}
