import Postgres

/// Claims jobs under a new lease; see `queue.claim` for what its first row, the header, says.
struct ClaimStatement: PostgresStatement {
    enum Row: Sendable {
        case header(lease: Int64?, soloWaiting: Bool)
        case job(Job)
    }

    let worker: Int64
    let queue: Int16
    let solo: Bool
    let limit: Int
    let marks: Marks.Bounds
    let soloLow: [Int64]
    let sweep: Bool
    let done: [Int64]

    static let sql = """
        SELECT lease, solo_waiting, job, attempt, last, priority, "position", kind, workspace, arguments, trace,
            enqueued_at
        FROM queue.claim($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """

    var parameters: [PostgresValue] {
        [
            .int8(worker), .int2(queue), .bool(solo), .int4(Int32(limit)), .int8Array(marks.low),
            .int8Array(marks.fast), .int8Array(soloLow), .bool(sweep), .int8Array(done),
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Row {
        guard let job = try row.optionalInt8(2) else {
            return .header(lease: try row.optionalInt8(0), soloWaiting: try row.bool(1))
        }
        return .job(
            Job(
                id: job, kind: try row.text(7), attempt: try row.int2(3), lastAttempt: try row.int2(4),
                arguments: Array(try row.text(9).utf8), workspace: try row.int8(8), priority: try row.int2(5),
                trace: try row.optionalText(10), enqueuedAt: try row.timestamp(11), position: try row.int8(6)))
    }
}
