import Access
import Configuration
import EventLoop
import Migrations
import Observability
import Postgres

/// `millrace-store migrate`: brings the database to this build's schema, makes the first workspace with its schema and
/// login role, gives each workspace what it lacks, as after a restore, and enters the administrator's key. Can be run
/// again, and by several at once.
public struct StoreMigration: Sendable {
    private let configuration: MigrateConfiguration
    private let logger: Logger

    public init(_ configuration: MigrateConfiguration) {
        self.configuration = configuration
        logger = Logger(service: "migrate", level: configuration.service.logLevel)
    }

    /// Errors: `MigrationError`, `AccessError`, `PostgresError`.
    public func run() async throws {
        let database = try PostgresConfiguration(
            url: configuration.service.databaseURL.reveal(), applicationName: "millrace-migrate", poolSize: 1)
        let loops = try EventLoopGroup(count: 1, name: "migrate")
        defer { loops.shutdown() }
        let connection = try await connect(database, on: loops.next())
        do {
            try await run(on: connection)
        } catch {
            await connection.close()
            throw error
        }
        await connection.close()
    }

    func run(on connection: PostgresConnection) async throws {
        _ = try await Migrator(patience: configuration.locks, logger: logger).run(connection)
        let workspace = try await WorkspaceProvision.ensure(Principal.firstWorkspace, on: connection)
        let mended = try await WorkspaceProvision.ensureAll(on: connection)
        if mended > 0 { logger.info("workspaces have got what they lacked", ["workspaces": .int(mended)]) }
        let excess = try await WorkspaceProvision.excessRights(of: workspace.queryRole, on: connection)
        if !excess.isEmpty {
            logger.warning(
                "only a superuser can take these from the workspace's role: run deploy/postgres/prepare.sql as one",
                ["role": .string(workspace.queryRole), "rights": .string(excess.joined(separator: " "))])
        }
        if let key = configuration.adminKey {
            if let ended = try await AdminKey.ensure(key.reveal(), on: connection) {
                logger.warning(
                    "another administrator's key is configured: the one before is revoked",
                    ["key.id": .int(Int(ended))])
            }
        }
        logger.info("the database is ready")
    }

    private func connect(_ database: PostgresConfiguration, on loop: EventLoop) async throws -> PostgresConnection {
        let deadline = ContinuousClock.now + configuration.patience
        var pause = Duration.milliseconds(100)
        while true {
            do {
                return try await PostgresConnection.connect(database, on: loop)
            } catch let error as PostgresError where error.isUnavailable && .now + pause < deadline {
                logger.info("waiting for the database")
                try await Task.sleep(for: pause)
                pause = min(pause * 2, .seconds(2))
            }
        }
    }
}
