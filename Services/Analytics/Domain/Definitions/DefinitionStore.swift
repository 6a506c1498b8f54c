import Catalog
import HTTP
import Postgres

/// Definitions of one kind in the catalog: put, found, removed.
struct DefinitionStore<Stored: StoredDefinition>: Sendable {
    struct Put: Sendable {
        var stored: Stored
        var created: Bool
    }

    /// Sees the current version's tag, nil where there is none, before anything is written.
    typealias Check = @Sendable (EntityTag?) throws -> Void

    let pool: PostgresPool

    /// Throws `not_found`.
    func find(_ name: ResourceName, workspaceID: Int64) async throws -> Stored {
        let find = FindDefinition<Stored>(workspaceID: workspaceID, name: name.text)
        guard let found = try await pool.withConnection({ try await $0.query(find).first }) else {
            throw missing(name)
        }
        return found
    }

    /// A page, by name.
    func list(workspaceID: Int64, after: String, limit: Int32) async throws -> [Stored] {
        let list = ListDefinitions<Stored>(workspaceID: workspaceID, after: after, limit: limit)
        return try await pool.withConnection { try await $0.query(list) }
    }

    /// Creates the definition or gives it a new version; the same again makes none. Throws `conflict` when the
    /// workspace has too many.
    func put<Draft: DefinitionDraft>(
        _ name: ResourceName, _ draft: Draft, workspaceID: Int64, check: @escaping Check
    ) async throws -> Put where Draft.Stored == Stored {
        let lock = LockDefinition<Stored>(workspaceID: workspaceID, name: name.text)
        let find = FindDefinition<Stored>(workspaceID: workspaceID, name: name.text)
        return try await pool.withTransaction { connection in
            try await connection.query("set local lock_timeout = '2s'")
            let current = try await connection.query(lock).first
            try check(current.map { EntityTag(version: $0.version) })
            if let current, try draft.isSame(as: current) {
                guard try await draft.renew(current, workspaceID: workspaceID, connection) else {
                    return Put(stored: current, created: false)
                }
            } else {
                try await save(name, draft, inPlaceOf: current, workspaceID, connection)
            }
            guard let stored = try await connection.query(find).first else {
                throw Problem(.internalError, "the \(Stored.table) was not stored")
            }
            return Put(stored: stored, created: current == nil)
        }
    }

    private func save<Draft: DefinitionDraft>(
        _ name: ResourceName, _ draft: Draft, inPlaceOf current: Stored?, _ workspaceID: Int64,
        _ connection: PostgresConnection
    ) async throws where Draft.Stored == Stored {
        let values = try await draft.values(workspaceID: workspaceID, connection)
        guard let current else {
            let insert = InsertDefinition<Stored>(
                workspaceID: workspaceID, name: name.text, definition: draft.bytes, values: values)
            guard let id = try await connection.query(insert).first else {
                let reason = "the \(Stored.table) was made at the same moment, or the workspace has "
                throw Problem(.conflict, reason + "\(Stored.maximumCount) already")
            }
            return try await draft.saved(id, inPlaceOf: nil, connection)
        }
        let replace = ReplaceDefinition<Stored>(id: current.id, definition: draft.bytes, values: values)
        try await connection.execute(replace)
        try await draft.saved(current.id, inPlaceOf: current, connection)
    }

    /// Throws `not_found`.
    func remove(_ name: ResourceName, workspaceID: Int64, check: @escaping Check) async throws {
        let lock = LockDefinition<Stored>(workspaceID: workspaceID, name: name.text)
        try await pool.withTransaction { connection in
            try await connection.query("set local lock_timeout = '2s'")
            guard let current = try await connection.query(lock).first else { throw missing(name) }
            try check(EntityTag(version: current.version))
            try await current.leave(connection)
            try await connection.execute(DeleteDefinition<Stored>(id: current.id))
        }
    }

    private func missing(_ name: ResourceName) -> Problem {
        Problem(.notFound, "there is no \(Stored.table) \(name)")
    }
}
