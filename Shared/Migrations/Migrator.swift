public import Observability
public import Postgres

/// Brings a database to the schema of this build: applies, in order, the migrations it does not have.
///
/// Each file runs in one transaction that first locks the one row of `millrace.migration_lock`, so that runners that
/// start together apply each file once; no advisory lock is taken. What was applied is recorded in
/// `millrace.migration` with the SHA-256 of its text. The role needs to own the database, no more.
public struct Migrator: Sendable {
    private let migrations: [Migration]
    private let logger: Logger

    public init(logger: Logger) {
        self.init(EmbeddedMigrations.all(), logger: logger)
    }

    init(_ migrations: [Migration], logger: Logger) {
        self.migrations = migrations
        self.logger = logger
    }

    /// Applies what is missing; returns the names of the files applied, in order.
    /// Errors: `MigrationError`, or `PostgresError` when the database is away.
    public func run(_ pool: PostgresPool) async throws -> [String] {
        try await pool.withConnection { try await run($0) }
    }

    /// The same on one connection, which must not be in a transaction nor behind a transaction pooler.
    public func run(_ connection: PostgresConnection) async throws -> [String] {
        try await prepare(connection)
        try await refuseUnknown(connection)
        var applied: [String] = []
        for migration in migrations {
            guard try await apply(migration, connection) else { continue }
            logger.info("applied a migration", ["migration.name": .string(migration.name)])
            applied.append(migration.name)
        }
        return applied
    }

    /// Makes the tables that record migrations. Two runners may do so together: IF NOT EXISTS does not keep the second
    /// from an error then, so it looks again.
    private func prepare(_ connection: PostgresConnection) async throws {
        for attempt in 1...10 {
            do {
                try await connection.execute(script: Self.bootstrap)
                return
            } catch {
                guard error.isLostRace, attempt < 10 else { throw error }
            }
        }
    }

    /// A database with a migration that this build does not know was made by a later one.
    private func refuseUnknown(_ connection: PostgresConnection) async throws {
        let known = Set(migrations.map(\.name))
        for name in try await connection.query(AppliedNames()) where !known.contains(name) {
            throw MigrationError(.unknown, file: name, "the database has it, and this build does not know it")
        }
    }

    /// Returns false when it was applied before.
    private func apply(_ migration: Migration, _ connection: PostgresConnection) async throws -> Bool {
        do {
            return try await connection.transaction { connection in
                try await connection.execute(LockMigrations())
                if let checksum = try await connection.query(AppliedChecksum(name: migration.name)).first {
                    guard checksum == migration.checksum else {
                        throw MigrationError(.changed, file: migration.name, "its text differs from what was applied")
                    }
                    return false
                }
                try await connection.execute(script: migration.sql)
                try await connection.execute(RecordMigration(migration: migration))
                return true
            }
        } catch let error as PostgresError where error.code == .server {
            throw MigrationError(.failed, file: migration.name, error.description, line: migration.line(of: error))
        }
    }

    private static let bootstrap = """
        CREATE SCHEMA IF NOT EXISTS millrace;
        CREATE TABLE IF NOT EXISTS millrace.migration (
            name text PRIMARY KEY,
            checksum bytea NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
        );
        CREATE TABLE IF NOT EXISTS millrace.migration_lock (one bool PRIMARY KEY DEFAULT true CHECK (one));
        INSERT INTO millrace.migration_lock VALUES (true) ON CONFLICT DO NOTHING;
        """
}

extension PostgresError {
    /// Another runner created the same object at the same moment.
    fileprivate var isLostRace: Bool {
        sqlstate == .uniqueViolation || sqlstate == .duplicateTable || sqlstate == "42P06"
    }
}
