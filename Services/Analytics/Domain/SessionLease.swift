import JSON
import Postgres
import Synchronization

/// A session in which one query runs, with the right to run it. With its last reference the query is ended, and the
/// session made clean or closed; only then is the right given back.
final class SessionLease: Sendable {
    let connection: PostgresConnection
    private let permit: QueryPermit
    private let sessions: QuerySessions
    private let query = Mutex<PostgresOpenQuery?>(nil)

    init(_ connection: PostgresConnection, _ permit: QueryPermit, _ sessions: QuerySessions) {
        self.connection = connection
        self.permit = permit
        self.sessions = sessions
    }

    /// Begins the query whose session this is. Errors are the server's.
    func open(
        _ statement: PostgresQuery, timeout: Duration, maximumRowBytes: Int
    ) async throws(PostgresError) -> PostgresOpenQuery {
        let open = try await connection.open(statement, timeout: timeout, maximumRowBytes: maximumRowBytes)
        query.withLock { $0 = open }
        return open
    }

    /// The columns of a statement's rows, without running it; the guard has parsed this very text. Errors are the
    /// server's.
    func describe(_ sql: String, timeout: Duration) async throws(PostgresError) -> [PostgresColumn] {
        try await connection.describe(PostgresQuery(unsafeText: sql), timeout: timeout)
    }

    /// COPY … TO STDOUT of a statement of the service's own; `body` gets its pieces. Gives the number of rows. Errors
    /// are the server's and those of `body`.
    func copyOut(
        _ statement: PostgresQuery, timeout: Duration, _ body: @Sendable ([UInt8]) async throws -> Void
    ) async throws -> Int {
        try await connection.copyOut(statement, timeout: timeout, body)
    }

    /// How many rows the planner thinks that a dataset has: from its size now, and the density that was last measured.
    /// Errors are the server's.
    func estimateRows(of dataset: String, timeout: Duration) async throws(PostgresError) -> Int {
        let plan: PostgresQuery = "explain (format json) select from \(identifier: dataset)"
        let result = try await connection.query(plan, timeout: timeout)
        guard result.rowCount > 0, let plan = try? JSONValue.parse(result[0].json(0)) else { return 0 }
        return plan.array?.first?["Plan"]?["Plan Rows"]?.int ?? 0
    }

    deinit {
        sessions.end(QuerySessions.Ended(connection: connection, query: query.withLock { $0 }, permit: permit))
    }
}
