import Postgres

/// What server processes, with the workers of their parallel plans, have in memory of their own, in octets; and what
/// the server's machine or container has, and has left. A process that has ended is left out.
struct ReadProcessMemory: PostgresStatement {
    struct Found: Sendable {
        var process: Int32
        var bytes: Int64
        var available: Int64?
        var total: Int64?
    }

    static let sql = "select pid, bytes, available, total from millrace_host.memory($1)"
    var processes: [Int32]

    var parameters: [PostgresValue] { [.int4Array(processes)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Found {
        Found(
            process: try row.int4(0), bytes: try row.int8(1), available: try row.optionalInt8(2),
            total: try row.optionalInt8(3))
    }
}
