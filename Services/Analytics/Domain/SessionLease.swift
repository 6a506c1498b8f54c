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

    deinit {
        sessions.end(QuerySessions.Ended(connection: connection, query: query.withLock { $0 }, permit: permit))
    }
}
