import Catalog
import HTTP
import JSON
import Postgres

/// Rollups in the catalog: put, found, removed.
struct RollupStore: Sendable {
    struct Put: Sendable {
        var rollup: StoredRollup
        var created: Bool
    }

    /// The most rollups of a workspace; several puts at a time may go slightly beyond.
    static let maximumCount = 200

    let pool: PostgresPool

    /// Throws `not_found`.
    func find(_ name: ResourceName, workspaceID: Int64) async throws -> StoredRollup {
        let statement = FindRollup(workspaceID: workspaceID, name: name.text)
        guard let found = try await pool.withConnection({ try await $0.query(statement).first }) else {
            throw Self.missing(name)
        }
        return found
    }

    func list(workspaceID: Int64, after: String, limit: Int32) async throws -> [StoredRollup] {
        let statement = ListRollups(workspaceID: workspaceID, after: after, limit: limit)
        return try await pool.withConnection { try await $0.query(statement) }
    }

    /// Creates the rollup, or gives it a new version, which is filled from the beginning. The same definition changes
    /// nothing; of one that has failed it begins anew. Throws `invalid_rollup` with every fault against the dataset.
    func put(
        _ name: ResourceName, _ definition: RollupDefinition, workspaceID: Int64,
        check: @escaping @Sendable (EntityTag?) throws -> Void
    ) async throws -> Put {
        let find = FindRollup(workspaceID: workspaceID, name: name.text)
        return try await pool.withTransaction { connection in
            try await connection.query("set local lock_timeout = '2s'")
            let lock = LockRollup(workspaceID: workspaceID, name: name.text)
            let current = try await connection.query(lock).first
            try check(current.map { EntityTag(version: $0.version) })
            let isSame = try current.map { try RollupDefinition(stored: $0.definition) == definition } ?? false
            if let current, isSame, current.state != "failed" { return Put(rollup: current, created: false) }
            let plan = try await Self.plan(definition, workspaceID, connection)
            let json = definition.json.serialized()
            if let current {
                let kept = try RollupPlan(current, definition)
                if !isSame || plan.dimensions != kept.dimensions || plan.states != kept.states {
                    try await connection.execute(ReplaceRollup(id: current.id, definition: json, plan: plan))
                    try await connection.execute(DropRollupTables(id: current.id))
                } else {
                    try await connection.execute(RenewRollup(id: current.id, datasetID: plan.datasetID))
                }
                try await connection.execute(ResetRollup(id: current.id))
            } else {
                let insert = InsertRollup(
                    workspaceID: workspaceID, name: name.text, definition: json, plan: plan,
                    maximum: Self.maximumCount)
                guard try await connection.query(insert).first != nil else {
                    throw Problem(
                        .conflict,
                        "the rollup was made at the same moment, or the workspace has \(Self.maximumCount) already")
                }
            }
            guard let stored = try await connection.query(find).first else {
                throw Problem(.internalError, "the rollup was not stored")
            }
            return Put(rollup: stored, created: current == nil)
        }
    }

    private static func plan(
        _ definition: RollupDefinition, _ workspaceID: Int64, _ connection: PostgresConnection
    ) async throws -> RollupPlan {
        let find = FindRollupColumns(workspaceID: workspaceID, dataset: definition.dataset)
        let columns = try await connection.query(find)
        guard let datasetID = columns.first?.datasetID else {
            let fault = FieldFault(path: "dataset", message: "there is no dataset \(definition.dataset)")
            throw Problem(.invalidRollup, fault.description, errors: [fault])
        }
        do throws(FieldFaults) {
            return try RollupPlan(definition, columns: columns, datasetID: datasetID)
        } catch {
            let problem = Problem(error)
            throw Problem(.invalidRollup, problem.detail, errors: problem.errors)
        }
    }

    /// Throws `not_found`.
    func remove(
        _ name: ResourceName, workspaceID: Int64, check: @escaping @Sendable (EntityTag?) throws -> Void
    ) async throws {
        try await pool.withTransaction { connection in
            try await connection.query("set local lock_timeout = '2s'")
            let lock = LockRollup(workspaceID: workspaceID, name: name.text)
            guard let current = try await connection.query(lock).first else { throw Self.missing(name) }
            try check(EntityTag(version: current.version))
            try await connection.execute(DropRollupTables(id: current.id))
            try await connection.execute(DeleteRollup(id: current.id))
        }
    }

    static func missing(_ name: ResourceName) -> Problem { Problem(.notFound, "there is no rollup \(name)") }
}
