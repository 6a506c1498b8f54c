import Postgres

struct FindRollup: PostgresStatement {
    static let sql = "select \(StoredRollup.columns) from millrace.rollup x where x.id = $1"
    var id: Int64

    var parameters: [PostgresValue] { [.int8(id)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredRollup { try StoredRollup(row) }
}

/// The newest event of each of these rollups that are there.
struct FindRollupHeads: PostgresStatement {
    static let sql = "select id, last_event from millrace.rollup where id = any($1)"
    var ids: [Int64]

    var parameters: [PostgresValue] { [.int8Array(ids)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> (id: Int64, last: Int64) {
        (try row.int8(0), try row.int8(1))
    }
}

/// A rollup's events after one and up to another, from the first on.
struct ListRollupEvents: PostgresStatement {
    struct Head: Sendable {
        var id: Int64
        /// What has changed is not said.
        var isReset: Bool
        /// Some buckets are new as a whole.
        var replaces: Bool
    }

    static let sql = """
        select id, buckets is null and replaced is null, coalesce(cardinality(replaced) > 0, false)
        from millrace.rollup_event where rollup_id = $1 and id > $2 and id <= $3 order by id limit $4
        """
    var rollupID: Int64
    var after: Int64
    var upTo: Int64
    var limit: Int32

    var parameters: [PostgresValue] { [.int8(rollupID), .int8(after), .int8(upTo), .int4(limit)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Head {
        Head(id: try row.int8(0), isReset: try row.bool(1), replaces: try row.bool(2))
    }
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

/// Ties a locked rollup that has failed to the dataset of its name as it is now.
struct RenewRollup: PostgresStatement {
    static let sql = """
        update millrace.rollup set dataset_id = $2, time_column = $3, time_type = $4, grain = $5, dimensions = $6,
            states = $7
        where id = $1
        """
    var id: Int64
    var plan: RollupPlan

    var parameters: [PostgresValue] { [.int8(id)] + plan.values }
}

/// Has a locked rollup filled anew.
struct ResetRollup: PostgresStatement {
    static let sql = "select from millrace.reset_rollup($1)"
    var id: Int64

    var parameters: [PostgresValue] { [.int8(id)] }
}

/// Takes the tables of a locked rollup: it has nothing to show any more.
struct DropRollupTables: PostgresStatement {
    static let sql = "select from millrace.drop_rollup_tables($1)"
    var id: Int64

    var parameters: [PostgresValue] { [.int8(id)] }
}

/// One step of a rollup.
struct AdvanceRollup: PostgresStatement {
    struct Step: Sendable {
        /// That the rollup is in after it.
        var state: String
        /// Batches whose rows were added, and how many rows they have.
        var batches: Int64
        var rows: Int64
    }

    static let sql = "select state, batches, added from millrace.step_rollup($1)"
    var rollupID: Int64

    var parameters: [PostgresValue] { [.int8(rollupID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Step {
        Step(state: try row.text(0), batches: try row.int8(1), rows: try row.int8(2))
    }
}

/// What waits to be added to rollups; those that wait longest first.
struct ListRollupLag: PostgresStatement {
    struct Row: Sendable {
        var workspace: String
        var rollup: String
        /// Seconds since the oldest of it came; nil where nothing waits.
        var lag: Double?
        var batches: Int64
    }

    static let sql = "select workspace, rollup, lag, batches from millrace.rollup_lag($1)"
    var limit: Int32

    var parameters: [PostgresValue] { [.int4(limit)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Row {
        Row(
            workspace: try row.text(0), rollup: try row.text(1), lag: try row.optionalFloat8(2),
            batches: try row.int8(3))
    }
}

/// Has a rollup looked at again later.
struct DelayRollup: PostgresStatement {
    static let sql = "select from millrace.enqueue_rollup($1, $2)"
    var rollupID: Int64
    var delay: Duration

    var parameters: [PostgresValue] { [.int8(rollupID), .float8(delay / .seconds(1))] }
}

/// Statements that make the index a rollup wants, each to be run outside a transaction.
struct RollupIndex: PostgresStatement {
    static let sql = "select statement from millrace.rollup_index($1) as statement"
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
