import Postgres

/// A rollup as `/v1/rollups` shows it. Times are µs since 2000-01-01 UTC.
struct StoredRollup: Sendable {
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

    static let list = """
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
}

struct FindRollup: PostgresStatement {
    static let sql = "select \(StoredRollup.list) from millrace.rollup x where x.workspace_id = $1 and x.name = $2"
    var workspaceID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredRollup { try StoredRollup(row) }
}

/// The same, locked until the transaction ends.
struct LockRollup: PostgresStatement {
    static let sql = FindRollup.sql + " for update"
    var workspaceID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredRollup { try StoredRollup(row) }
}

/// A page of a workspace's rollups, by name.
struct ListRollups: PostgresStatement {
    static let sql = """
        select \(StoredRollup.list) from millrace.rollup x
        where x.workspace_id = $1 and x.name > $2 order by x.name limit $3
        """
    var workspaceID: Int64
    var after: String
    var limit: Int32

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(after), .int4(limit)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredRollup { try StoredRollup(row) }
}

/// A column of a dataset that a rollup may be made of.
struct RollupColumn: Sendable {
    var datasetID: Int64
    var name: String
    var type: String
    var collation: String?
}

/// The columns of a dataset, whose row is locked against its deletion; one row without a name where it has none.
struct FindRollupColumns: PostgresStatement {
    static let sql = """
        with found as (
            select id from millrace.dataset where workspace_id = $1 and name = $2 for key share
        )
        select d.id, coalesce(c.name, ''), coalesce(c.type, ''), c."collation"
        from found d left join millrace.dataset_column c on c.dataset_id = d.id and c.state <> 'extra'
        """
    var workspaceID: Int64
    var dataset: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(dataset)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> RollupColumn {
        RollupColumn(
            datasetID: try row.int8(0), name: try row.text(1), type: try row.text(2),
            collation: try row.optionalText(3))
    }
}

/// Makes a rollup, with its first job; no row where there is one of the name, or as many as there may be.
struct InsertRollup: PostgresStatement {
    static let sql = """
        with made as (
            insert into millrace.rollup (workspace_id, name, definition, dataset_id, time_column, time_type, grain,
                dimensions, states)
            select $1, $2, $3, $4, $5, $6, $7, $8, $9
            where (select count(*) from millrace.rollup where workspace_id = $1) < $10
            on conflict do nothing returning id
        ), woken as (
            insert into millrace.rollup_change (rollup_id, buckets) select id, '{}' from made
        )
        select id from made
        """
    var workspaceID: Int64
    var name: String
    var definition: [UInt8]
    var plan: RollupPlan
    var maximum: Int

    var parameters: [PostgresValue] {
        [.int8(workspaceID), .text(name), .json(definition)] + plan.parameters + [.int(maximum)]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// Gives a locked rollup its next version, which is filled from the beginning.
struct ReplaceRollup: PostgresStatement {
    static let sql = """
        with changed as (
            update millrace.rollup set version = version + 1, definition = $2, dataset_id = $3, time_column = $4,
                time_type = $5, grain = $6, dimensions = $7, states = $8, shown = null
            where id = $1 returning id
        )
        select from changed
        """
    var id: Int64
    var definition: [UInt8]
    var plan: RollupPlan

    var parameters: [PostgresValue] { [.int8(id), .json(definition)] + plan.parameters }
}

/// Ties a locked rollup that has failed to the dataset of its name as it is now.
struct RenewRollup: PostgresStatement {
    static let sql = "update millrace.rollup set dataset_id = $2 where id = $1"
    var id: Int64
    var datasetID: Int64

    var parameters: [PostgresValue] { [.int8(id), .int8(datasetID)] }
}

/// Has a locked rollup filled anew.
struct ResetRollup: PostgresStatement {
    static let sql = "select from millrace.reset_rollup($1)"
    var id: Int64

    var parameters: [PostgresValue] { [.int8(id)] }
}

/// Deletes the tables of a locked rollup's earlier definition.
struct DropRollupTables: PostgresStatement {
    static let sql = "select from millrace.drop_rollup_tables($1)"
    var id: Int64

    var parameters: [PostgresValue] { [.int8(id)] }
}

/// Deletes a locked rollup.
struct DeleteRollup: PostgresStatement {
    static let sql = "delete from millrace.rollup where id = $1"
    var id: Int64

    var parameters: [PostgresValue] { [.int8(id)] }
}

/// One step of a rollup. Gives the state that it is in.
struct AdvanceRollup: PostgresStatement {
    static let sql = "select millrace.advance_rollup($1)"
    var rollupID: Int64

    var parameters: [PostgresValue] { [.int8(rollupID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> String { try row.text(0) }
}

struct FailRollup: PostgresStatement {
    static let sql = "select from millrace.fail_rollup($1, $2)"
    var rollupID: Int64
    var reason: String

    var parameters: [PostgresValue] { [.int8(rollupID), .text(reason)] }
}
