public import Observability
public import Postgres

/// Brings a database to the schema of this build: applies, in order, the migrations it does not have.
///
/// Each file runs in one transaction that first locks the one row of `millrace.migration_lock`, so that runners that
/// start together apply each file once; no advisory lock is taken. What was applied is recorded in
/// `millrace.migration` with the SHA-256 of its text. The role needs to own the database, no more.
///
/// A file that has to wait for a lock, behind a `pg_dump` above all, gives way after a while (``LockPatience``): who
/// came behind it goes on, and the whole file is tried again. Whatever ends in between leaves nothing of it.
public struct Migrator: Sendable {
    private let migrations: [Migration]
    private let patience: LockPatience
    private let logger: Logger
    private let sleep: @Sendable (Duration) async throws -> Void

    public init(patience: LockPatience = LockPatience(), logger: Logger) {
        self.init(EmbeddedMigrations.all(), patience: patience, logger: logger)
    }

    /// `sleep` is what happens between two tries of a file.
    init(
        _ migrations: [Migration], patience: LockPatience = LockPatience(), logger: Logger,
        sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
    ) {
        self.migrations = migrations
        self.patience = patience
        self.logger = logger
        self.sleep = sleep
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
            guard try await applyPatiently(migration, connection) else { continue }
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

    /// Tries until the locks are to be had; throws `.locked` once that has taken too long.
    private func applyPatiently(_ migration: Migration, _ connection: PostgresConnection) async throws -> Bool {
        let deadline = ContinuousClock.now + patience.total
        var tries = 1
        while true {
            do {
                return try await apply(migration, connection)
            } catch let error as PostgresError where error.isLostLock {
                let holders = try await connection.query(FindLockHolders()).map(\.description).joined(separator: "; ")
                guard .now + patience.pause < deadline else {
                    let who = holders.isEmpty ? "nobody now" : holders
                    throw MigrationError(
                        .locked, file: migration.name, "in \(tries) tries a lock was not to be had; held by: \(who)")
                }
                logger.warning(
                    "a migration waits for a lock and gives way to others meanwhile",
                    [
                        "migration.name": .string(migration.name), "migration.tries": .int(tries),
                        "lock.holders": .string(holders), "error": .string(error.message),
                        "migration.pause": .duration(patience.pause),
                    ])
                tries += 1
                try await sleep(patience.pause)
            }
        }
    }

    /// Returns false when it was applied before.
    private func apply(_ migration: Migration, _ connection: PostgresConnection) async throws -> Bool {
        do {
            return try await connection.transaction { connection in
                // Other runners are waited for, however long they take: nobody else asks for this row.
                try await connection.execute(LockMigrations())
                if let checksum = try await connection.query(AppliedChecksum(name: migration.name)).first {
                    guard checksum == migration.checksum else {
                        throw MigrationError(.changed, file: migration.name, "its text differs from what was applied")
                    }
                    return false
                }
                _ = try await connection.query(LimitLockWaits(limit: patience.lockTimeout))
                try await connection.execute(script: migration.sql)
                try await connection.execute(RecordMigration(migration: migration))
                return true
            }
        } catch let error as PostgresError where error.code == .server && !error.isLostLock {
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

    /// Somebody else has a lock that was asked for; what was to be done under it can be done later.
    fileprivate var isLostLock: Bool { sqlstate == .lockNotAvailable || sqlstate == .deadlockDetected }
}
