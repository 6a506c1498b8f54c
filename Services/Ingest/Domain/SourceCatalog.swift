import Catalog
import HTTP
import JSON
import Postgres

/// Sources in the catalog: put, found, measured, removed.
struct SourceCatalog: Sendable {
    let pool: PostgresPool
    let directory: SourceDirectory

    struct Put: Sendable {
        var source: StoredSource
        var created: Bool
    }

    /// How a source does now.
    struct Reading: Sendable {
        /// A second's, over the last minute.
        var rate: (records: Double, bytes: Double)
        /// Rows a second that were stored in the last minute.
        var stored: Double
        /// Age of the oldest record that is not stored, in µs; nil where all are.
        var freshness: Int64?
    }

    /// Throws `not_found`.
    func find(_ name: ResourceName, workspaceID: Int64) async throws -> StoredSource {
        let statement = FindStoredSource(workspaceID: workspaceID, name: name.text)
        guard let source = try await pool.withConnection({ try await $0.query(statement).first }) else {
            throw Problem(.notFound, "there is no source \(name)")
        }
        return source
    }

    /// Creates the source or gives it other settings; those that it has change nothing. `check` sees the current
    /// version's tag before anything is written.
    func put(
        _ name: ResourceName, _ settings: SourceSettings, workspaceID: Int64,
        check: @escaping @Sendable (EntityTag?) throws -> Void
    ) async throws -> Put {
        let lock = LockSource(workspaceID: workspaceID, name: name.text)
        let put = try await pool.withTransaction { connection -> Put in
            try await connection.query("set local lock_timeout = '2s'")
            var before = try await connection.query(lock).first
            var created = false
            if before == nil {
                try check(nil)
                created = try await connection.execute(EnsureSource(workspaceID: workspaceID, name: name.text)) > 0
                before = try await connection.query(lock).first
            }
            guard let before else { throw Problem(.conflict, "the source was removed at the same moment; repeat") }
            if !created { try check(EntityTag(version: before.version)) }
            if before.isDeclared, SourceSettings(stored: before.settings) == settings {
                return Put(source: before, created: false)
            }
            let replace = ReplaceSource(id: before.id, settings: settings.json.serialized())
            guard let source = try await connection.query(replace).first else {
                throw Problem(.internalError, "the source was not stored")
            }
            return Put(source: source, created: created)
        }
        directory.forget(name, workspaceID: workspaceID)
        return put
    }

    /// Deletes the source. Throws `in_use` while a pipeline that was put reads it, and `conflict` while records of it
    /// are on their way. Records that still come in make it anew.
    func remove(
        _ name: ResourceName, workspaceID: Int64, check: @escaping @Sendable (EntityTag?) throws -> Void
    ) async throws {
        try await pool.withTransaction { connection in
            try await connection.query("set local lock_timeout = '2s'")
            let seal = SealSource(workspaceID: workspaceID, name: name.text)
            guard let source = try await connection.query(seal).first else {
                throw Problem(.notFound, "there is no source \(name)")
            }
            try check(EntityTag(version: source.version))
            guard let use = try await connection.query(FindSourceUse(id: source.id)).first else { return }
            guard use.readers.isEmpty else {
                throw Problem(.inUse, "pipelines read the source: \(use.readers.joined(separator: ", "))")
            }
            if use.isReceiving {
                throw Problem(.conflict, "a large body is coming in for the source", retryAfter: .seconds(5))
            }
            if use.isUnfinished {
                throw Problem(.conflict, "records of the source are not stored yet", retryAfter: .seconds(5))
            }
            try await connection.execute(DeleteSource(id: source.id))
        }
        directory.forget(name, workspaceID: workspaceID)
    }

    func measure(_ source: StoredSource) async throws -> Reading {
        try await pool.withConnection { try await Self.measure(source, $0) }
    }

    /// Of each, in their order.
    func measure(_ sources: [StoredSource]) async throws -> [Reading] {
        try await pool.withConnection { connection in
            var readings: [Reading] = []
            for source in sources { readings.append(try await Self.measure(source, connection)) }
            return readings
        }
    }

    private static func measure(_ source: StoredSource, _ connection: PostgresConnection) async throws -> Reading {
        let (rates, stored, lags) = try await connection.run(
            SourceRate(sourceID: source.id), StoredRate(sourceID: source.id), SourceLag(sourceID: source.id))
        return Reading(rate: rates.first ?? (0, 0), stored: stored.first ?? 0, freshness: lags.first)
    }
}
