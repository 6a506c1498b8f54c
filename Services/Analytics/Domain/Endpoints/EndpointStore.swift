import Catalog
import HTTP
import JSON
import Postgres

/// Endpoints in the catalog: put, found, removed.
struct EndpointStore: Sendable {
    struct Put: Sendable {
        var endpoint: StoredEndpoint
        var created: Bool
    }

    /// The most endpoints of a workspace; several puts at a time may go slightly beyond.
    static let maximumCount = 1000

    let pool: PostgresPool

    /// Throws `not_found`.
    func find(_ name: ResourceName, workspaceID: Int64) async throws -> StoredEndpoint {
        let statement = FindEndpoint(workspaceID: workspaceID, name: name.text)
        guard let found = try await pool.withConnection({ try await $0.query(statement).first }) else {
            throw Self.missing(name)
        }
        return found
    }

    func list(workspaceID: Int64, after: String, limit: Int32) async throws -> [StoredEndpoint] {
        let statement = ListEndpoints(workspaceID: workspaceID, after: after, limit: limit)
        return try await pool.withConnection { try await $0.query(statement) }
    }

    /// Creates the endpoint or gives it a new version; the same definition, whose answers have the same columns,
    /// changes nothing. `check` sees the current version's tag before anything is written. Throws `conflict` when the
    /// workspace has too many.
    func put(
        _ name: ResourceName, _ definition: EndpointDefinition, columns: [ResultColumn], workspaceID: Int64,
        check: @escaping @Sendable (EntityTag?) throws -> Void
    ) async throws -> Put {
        let lock = LockEndpoint(workspaceID: workspaceID, name: name.text)
        let columns = EndpointColumns.json(columns)
        return try await pool.withTransaction { connection in
            try await connection.query("set local lock_timeout = '2s'")
            guard let current = try await connection.query(lock).first else {
                try check(nil)
                let insert = InsertEndpoint(
                    workspaceID: workspaceID, name: name.text, definition: definition.json.serialized(),
                    columns: columns.serialized(), maximum: Self.maximumCount)
                guard let created = try await connection.query(insert).first else {
                    throw Problem(
                        .conflict,
                        "the endpoint was made at the same moment, or the workspace has \(Self.maximumCount) already")
                }
                return Put(endpoint: created, created: true)
            }
            try check(EntityTag(version: current.version))
            let isSame = try EndpointDefinition(stored: current.definition) == definition
            if isSame, try EndpointColumns.json(EndpointColumns.decode(current.columns)) == columns {
                return Put(endpoint: current, created: false)
            }
            let replace = ReplaceEndpoint(
                id: current.id, definition: definition.json.serialized(), columns: columns.serialized())
            guard let changed = try await connection.query(replace).first else {
                throw Problem(.internalError, "the endpoint was not stored")
            }
            return Put(endpoint: changed, created: false)
        }
    }

    /// Throws `not_found`.
    func remove(
        _ name: ResourceName, workspaceID: Int64, check: @escaping @Sendable (EntityTag?) throws -> Void
    ) async throws {
        try await pool.withTransaction { connection in
            try await connection.query("set local lock_timeout = '2s'")
            let lock = LockEndpoint(workspaceID: workspaceID, name: name.text)
            guard let current = try await connection.query(lock).first else { throw Self.missing(name) }
            try check(EntityTag(version: current.version))
            try await connection.execute(DeleteEndpoint(id: current.id))
        }
    }

    private static func missing(_ name: ResourceName) -> Problem {
        Problem(.notFound, "there is no endpoint \(name)")
    }
}
