import HTTP
import JSON
import Postgres

/// A rollup as `/v1/rollups` shows it. Times are µs since 2000-01-01 UTC.
struct StoredRollup: StoredDefinition {
    var id: Int64
    var name: String
    var version: Int32
    /// As `RollupDefinition.json` writes it.
    var definition: [UInt8]
    /// As `RollupPlan.dimensions` writes them.
    var dimensions: [UInt8]
    var states: [UInt8]
    var state: String
    var reason: String?
    /// The generation that is read; nil before the first is whole.
    var shown: Int32?
    /// Blocks that are counted, and all of them, while it is filled.
    var blocksDone: Int64
    var blocks: Int64
    var waitingBatches: Int64
    var lastEvent: Int64
    var appliedAt: Int64?
    var createdAt: Int64
    var updatedAt: Int64

    static let table = "rollup"
    static let written = ["dataset_id", "time_column", "time_type", "grain", "dimensions", "states"]
    static let maximumCount = 200

    static let columns = """
        x.id, x.name, x.version, x.definition, x.dimensions, x.states,
        case when x.dataset_id is null then 'failed' else x.state end,
        case when x.dataset_id is null then 'the dataset was deleted' else x.reason end, x.shown,
        coalesce((select sum(b) from unnest(x.blocks[:x.leaf - 1]) b), 0)::int8
            + least(x.block, coalesce(x.blocks[x.leaf], 0)),
        coalesce((select sum(b) from unnest(x.blocks) b), 0)::int8,
        (select count(*) from (select from millrace.rollup_batch b where b.rollup_id = x.id limit 10000) w),
        x.last_event, x.applied_at, x.created_at, x.updated_at
        """

    init(_ row: PostgresRow) throws(PostgresError) {
        id = try row.int8(0)
        name = try row.text(1)
        version = try row.int4(2)
        definition = try row.json(3)
        dimensions = try row.json(4)
        states = try row.json(5)
        state = try row.text(6)
        reason = try row.optionalText(7)
        shown = try row.optionalInt4(8)
        blocksDone = try row.int8(9)
        blocks = try row.int8(10)
        waitingBatches = try row.int8(11)
        lastEvent = try row.int8(12)
        appliedAt = try row.optionalTimestamp(13)
        createdAt = try row.timestamp(14)
        updatedAt = try row.timestamp(15)
    }

    func leave(_ connection: PostgresConnection) async throws {
        try await connection.execute(DropRollupTables(id: id))
    }
}

/// A rollup that is put. A new version is filled from the beginning; the same one of a rollup that has failed begins
/// anew.
struct RollupDraft: DefinitionDraft {
    let definition: RollupDefinition

    var bytes: [UInt8] { definition.json.serialized() }

    func isSame(as stored: StoredRollup) throws -> Bool {
        try RollupDefinition(stored: stored.definition) == definition
    }

    func values(workspaceID: Int64, _ connection: PostgresConnection) async throws -> [PostgresValue] {
        try await plan(workspaceID, connection).values
    }

    func saved(_ id: Int64, inPlaceOf current: StoredRollup?, _ connection: PostgresConnection) async throws {
        if current != nil { try await connection.execute(DropRollupTables(id: id)) }
        try await connection.execute(ResetRollup(id: id))
    }

    func renew(_ current: StoredRollup, workspaceID: Int64, _ connection: PostgresConnection) async throws -> Bool {
        guard current.state == "failed" else { return false }
        let plan = try await plan(workspaceID, connection)
        let kept = try RollupPlan(current, definition)
        // Of columns that have another type now, nothing can be shown.
        if plan.dimensions != kept.dimensions || plan.states != kept.states {
            try await connection.execute(DropRollupTables(id: current.id))
        }
        try await connection.execute(RenewRollup(id: current.id, plan: plan))
        try await connection.execute(ResetRollup(id: current.id))
        return true
    }

    /// Throws `invalid_rollup` with every fault against the dataset.
    private func plan(_ workspaceID: Int64, _ connection: PostgresConnection) async throws -> RollupPlan {
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
}
