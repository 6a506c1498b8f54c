import EventLoop
import Postgres
import TestSupport
import Testing

/// Runs `body` with a fresh database and one connection to it, on that connection's loop.
func withConnection<T: Sendable>(
    _ change: @Sendable (inout PostgresConfiguration) -> Void = { _ in },
    _ body: @Sendable (PostgresConnection, TestDatabase) async throws -> T
) async throws -> T {
    let database = try await TemporaryPostgres.shared().database()
    var configuration = try database.configuration()
    change(&configuration)
    let connection = try await PostgresConnection.connect(configuration, on: TestLoops.shared().next())
    do {
        let value = try await connection.loop.run { try await body(connection, database) }
        await connection.close()
        return value
    } catch {
        await connection.close()
        throw error
    }
}

/// Waits until a condition on the outside world holds, looked at every few milliseconds.
func eventually(
    within limit: Duration = .seconds(10), _ what: Comment, _ condition: () async throws -> Bool,
    sourceLocation: SourceLocation = #_sourceLocation
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else {
            Issue.record("not in time: \(what)", sourceLocation: sourceLocation)
            throw TestSupportError("not in time")
        }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// The code of the error that `body` throws; nil if it throws none, or one of another kind.
func errorCode(_ body: () async throws -> Void) async -> PostgresError.Code? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? PostgresError)?.code
    }
}

extension TestDatabase {
    /// Waits until a statement with this text is running (`wait_event` set: it sleeps or waits for a lock).
    func waitUntilRunning(_ text: String, count: Int = 1) async throws {
        try await eventually("running: \(text)") {
            let found = try await administer(
                """
                select count(*) from pg_stat_activity where datname = current_database() and state = 'active'
                and wait_event is not null and query like '%\(text)%' and query not like '%pg_stat_activity%'
                """)
            return Int(found) ?? 0 >= count
        }
    }
}
