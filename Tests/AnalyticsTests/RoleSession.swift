import EventLoop
import Postgres
import TestSupport

/// Statements sent as a role, without the service.
enum RoleSession {
    static func run(_ sql: String, url: String) async throws {
        let configuration = try PostgresConfiguration(url: url, poolSize: 1)
        let connection = try await PostgresConnection.connect(configuration, on: try TestLoops.shared().next())
        do {
            _ = try await connection.execute(script: sql, timeout: .seconds(5))
        } catch {
            await connection.close()
            throw error
        }
        await connection.close()
    }

    /// Runs `body` while a transaction is open in which a statement has been executed.
    static func holding(_ sql: String, url: String, _ body: () async throws -> Void) async throws {
        let configuration = try PostgresConfiguration(url: url, poolSize: 1)
        let connection = try await PostgresConnection.connect(configuration, on: try TestLoops.shared().next())
        do {
            _ = try await connection.execute(script: "begin; " + sql, timeout: .seconds(5))
            try await body()
        } catch {
            await connection.close()
            throw error
        }
        await connection.close()
    }
}
