import Postgres

/// An active pipeline by name, as ``FindPipeline``; and it stays in service until the transaction has ended.
struct HoldPipeline: PostgresStatement {
    static let sql = FindPipeline.sql + " for share of p"
    var workspaceID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredPipeline { try StoredPipeline(row) }
}

/// The names of schedules that start a pipeline, the first ten.
struct ListSchedulesOfPipeline: PostgresStatement {
    static let sql = """
        select name from queue.schedule
        where workspace = $1 and kind = 'run.start' and arguments -> 'pipeline' = to_jsonb($2) order by name limit 10
        """
    var workspaceID: Int64
    var pipelineID: Int64

    var parameters: [PostgresValue] { [.int8(workspaceID), .int8(pipelineID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> String { try row.text(0) }
}
