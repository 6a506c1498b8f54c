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
    /// Jobs a second.
    struct Rates: Sendable, Equatable {
        var succeeded = 0.0
        var failed = 0.0
        var dead = 0.0
    }

    let worker: Int64
    let rates: Rates

    static let sql = "SELECT queue.beat($1, $2::float8::float4, $3::float8::float4, $4::float8::float4)"
    var parameters: [PostgresValue] {
        [.int8(worker), .float8(rates.succeeded), .float8(rates.failed), .float8(rates.dead)]
    }

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

/// Moves the marks up; its row are those of the ordinary lane, of the solo lane and of the gate.
struct AdvanceStatement: PostgresStatement {
    struct Row: Sendable {
        let low: [Int64]
        let soloLow: [Int64]
        let gateLow: Int64
    }

    let queue: Int16

    static let sql = "SELECT low, solo_low, gate_low FROM queue.advance($1)"
    var parameters: [PostgresValue] { [.int2(queue)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Row {
        Row(low: try row.int8Array(0), soloLow: try row.int8Array(1), gateLow: try row.int8(2))
    }
}

/// NOTIFY of several messages, a queue's name or a `QueueMessage`; on its own, after the commit that it tells of.
struct NotifyStatement: PostgresStatement {
    static let channel = Wakeup.channel

    let queues: [String]

    static let sql = "SELECT FROM (SELECT pg_notify('millrace_queue', q) FROM unnest($1::text[]) AS q) AS sent"
    var parameters: [PostgresValue] { [.textArray(queues)] }
}
