import EventLoop
import Postgres
import TestSupport

/// Statements sent as a workspace's role, without the service.
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
}
