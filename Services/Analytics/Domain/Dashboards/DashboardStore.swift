import Catalog
import HTTP
import JSON
import Postgres

/// Dashboards in the catalog: put, found, removed.
struct DashboardStore: Sendable {
    /// The most dashboards of a workspace; several puts at a time may go slightly beyond.
    static let maximumCount = 1000

    let pool: PostgresPool

    /// Throws `not_found`.
    func find(_ name: ResourceName, workspaceID: Int64) async throws -> StoredDashboard {
        let statement = FindDashboard(workspaceID: workspaceID, name: name.text)
        guard let found = try await pool.withConnection({ try await $0.query(statement).first }) else {
            throw Self.missing(name)
        }
        return found
    }

    func list(workspaceID: Int64, after: String, limit: Int32) async throws -> [StoredDashboard] {
        let statement = ListDashboards(workspaceID: workspaceID, after: after, limit: limit)
        return try await pool.withConnection { try await $0.query(statement) }
    }

    /// Creates the dashboard or gives it a new version; the same definition changes nothing. `check` sees the current
    /// version's tag before anything is written. Throws `conflict` when the workspace has too many.
    func put(
        _ name: ResourceName, _ definition: DashboardDefinition, workspaceID: Int64,
        check: @escaping @Sendable (EntityTag?) throws -> Void
    ) async throws -> (dashboard: StoredDashboard, created: Bool) {
        let lock = LockDashboard(workspaceID: workspaceID, name: name.text)
        let bytes = definition.json.serialized()
        return try await pool.withTransaction { connection in
            try await connection.query("set local lock_timeout = '2s'")
            guard let current = try await connection.query(lock).first else {
                try check(nil)
                let insert = InsertDashboard(
                    workspaceID: workspaceID, name: name.text, definition: bytes, maximum: Self.maximumCount)
                guard let created = try await connection.query(insert).first else {
                    throw Problem(
                        .conflict,
                        "the dashboard was made at the same moment, or the workspace has \(Self.maximumCount) already")
                }
                return (created, true)
            }
            try check(EntityTag(version: current.version))
            if try DashboardDefinition(stored: current.definition) == definition { return (current, false) }
            let replace = ReplaceDashboard(id: current.id, definition: bytes)
            guard let changed = try await connection.query(replace).first else {
                throw Problem(.internalError, "the dashboard was not stored")
            }
            return (changed, false)
        }
    }

    /// Throws `not_found`.
    func remove(
        _ name: ResourceName, workspaceID: Int64, check: @escaping @Sendable (EntityTag?) throws -> Void
    ) async throws {
        let lock = LockDashboard(workspaceID: workspaceID, name: name.text)
        try await pool.withTransaction { connection in
            try await connection.query("set local lock_timeout = '2s'")
            guard let current = try await connection.query(lock).first else { throw Self.missing(name) }
            try check(EntityTag(version: current.version))
            try await connection.execute(DeleteDashboard(id: current.id))
        }
    }

    private static func missing(_ name: ResourceName) -> Problem {
        Problem(.notFound, "there is no dashboard \(name)")
    }
}
