import Postgres

/// Claims jobs under a new lease; see `queue.claim` for what its first row, the header, says.
struct ClaimStatement: PostgresStatement {
    struct Header: Sendable {
        var lease: Int64?
        var soloWaiting = false
        var gateWaiting = false
        var isPaused = false
    }

    enum Row: Sendable {
        case header(Header)
        case job(Job)
    }

    let worker: Int64
    let queue: Int16
    let solo: Bool
    let limit: Int
    let marks: Marks.Bounds
    let soloLow: [Int64]
    let gateLow: Int64
    let sweep: Bool
    let done: [Int64]
    /// Flows to take equal shares from, each with the position up to which the worker has looked; none: in order.
    let flows: [Marks.Flow]

    static let sql = """
        SELECT lease, solo_waiting, gate_waiting, paused, job, attempt, last, priority, "position", kind, workspace,
            arguments, trace, enqueued_at, first, items, traits
        FROM queue.claim($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        """

    var parameters: [PostgresValue] {
        [
            .int8(worker), .int2(queue), .bool(solo), .int4(Int32(limit)), .int8Array(marks.low),
            .int8Array(marks.fast), .int8Array(soloLow), .bool(sweep), .int8Array(done),
            .int8Array(flows.map(\.flow)), .int8Array(flows.map(\.fast)), .int8(gateLow),
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Row {
        guard let job = try row.optionalInt8(4) else {
            return .header(
                Header(
                    lease: try row.optionalInt8(0), soloWaiting: try row.bool(1), gateWaiting: try row.bool(2),
                    isPaused: try row.bool(3)))
        }
        let (first, items) = (try row.int4(14), try row.int4(15))
        return .job(
            Job(
                id: job, kind: try row.text(9), attempt: try row.int2(5), lastAttempt: try row.int2(6),
                arguments: Array(try row.text(11).utf8), workspace: try row.int8(10), priority: try row.int2(7),
                trace: try row.optionalText(12), enqueuedAt: try row.timestamp(13),
                items: items > 0 ? first..<first + items : nil, position: try row.int8(8),
                traits: Job.Traits(rawValue: try row.int2(16))))
    }
}

/// The flows that have jobs at the highest priority at which any has; see `queue.flows`.
struct FlowsStatement: PostgresStatement {
    struct Row: Sendable {
        let flows: [Int64]
        let workspaces: [Int64]
        let priority: Int16
    }

    let queue: Int16
    let low: [Int64]
    let after: Int64
    let limit: Int

    static let sql =
        "SELECT coalesce(flows, '{}'), coalesce(workspaces, '{}'), priority FROM queue.flows($1, $2, $3, $4)"
    var parameters: [PostgresValue] { [.int2(queue), .int8Array(low), .int8(after), .int4(Int32(limit))] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Row {
        Row(flows: try row.int8Array(0), workspaces: try row.int8Array(1), priority: try row.int2(2))
    }
}

/// Lets jobs with a limit key through their queue's gate.
struct AdmitStatement: PostgresStatement {
    struct Row: Sendable {
        let moved: Int32
        let isMore: Bool
    }

    let queue: Int16
    let low: Int64
    let limit: Int

    static let sql = "SELECT moved, more FROM queue.admit($1, $2, $3)"
    var parameters: [PostgresValue] { [.int2(queue), .int8(low), .int4(Int32(limit))] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Row {
        Row(moved: try row.int4(0), isMore: try row.bool(1))
    }
}

/// Frees the unique keys that are held until the start.
struct StartedStatement: PostgresStatement {
    let jobs: [Job]

    static let sql = "SELECT FROM queue.started($1)"
    var parameters: [PostgresValue] { [.int8Array(jobs.map(\.id))] }
}
