import Postgres

struct RegisterWorkerStatement: PostgresStatement {
    struct Row: Sendable {
        let worker: Int64
        let queue: Int16
    }

    let queue: String
    let name: String

    static let sql = "SELECT worker, queue FROM queue.register_worker($1, $2)"
    var parameters: [PostgresValue] { [.text(queue), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Row {
        Row(worker: try row.int8(0), queue: try row.int2(1))
    }
}

/// Its row is false when the worker was declared lost.
struct RegisterBackendStatement: PostgresStatement {
    let worker: Int64

    static let sql = "SELECT queue.register_backend($1)"
    var parameters: [PostgresValue] { [.int8(worker)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Bool {
        try row.bool(0)
    }
}

/// Its row is false when the worker was declared lost.
struct BeatStatement: PostgresStatement {
    let worker: Int64

    static let sql = "SELECT queue.beat($1)"
    var parameters: [PostgresValue] { [.int8(worker)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Bool {
        try row.bool(0)
    }
}

/// Its row is false when the worker was declared lost.
struct RestStatement: PostgresStatement {
    let worker: Int64
    let isUncertain: Bool
    let done: [Int64]

    static let sql = "SELECT queue.rest($1, $2, $3)"
    var parameters: [PostgresValue] { [.int8(worker), .bool(isUncertain), .int8Array(done)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Bool {
        try row.bool(0)
    }
}

/// Its row is the number of jobs given back.
struct ReconcileStatement: PostgresStatement {
    let worker: Int64
    let known: [Int64]

    static let sql = "SELECT queue.reconcile($1, $2)"
    var parameters: [PostgresValue] { [.int8(worker), .int8Array(known)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 {
        try row.int8(0)
    }
}

struct LeaveStatement: PostgresStatement {
    let worker: Int64

    static let sql = "SELECT FROM queue.leave($1)"
    var parameters: [PostgresValue] { [.int8(worker)] }
}

/// Moves the marks up; its row are those of the ordinary and of the solo lane.
struct AdvanceStatement: PostgresStatement {
    struct Row: Sendable {
        let low: [Int64]
        let soloLow: [Int64]
    }

    let queue: Int16

    static let sql = "SELECT low, solo_low FROM queue.advance($1)"
    var parameters: [PostgresValue] { [.int2(queue)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Row {
        Row(low: try row.int8Array(0), soloLow: try row.int8Array(1))
    }
}

/// NOTIFY for several queues; on its own, after the commit that it tells of.
struct NotifyStatement: PostgresStatement {
    static let channel = Wakeup.channel

    let queues: [String]

    static let sql = "SELECT FROM (SELECT pg_notify('millrace_queue', q) FROM unnest($1::text[]) AS q) AS sent"
    var parameters: [PostgresValue] { [.textArray(queues)] }
}
