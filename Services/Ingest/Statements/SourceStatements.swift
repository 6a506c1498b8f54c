import Postgres

/// A source in a list. The time is in µs since 2000-01-01 UTC.
struct SourceSummary: Sendable {
    var name: String
    var createdAt: Int64
}

/// A page of a workspace's sources, by name.
struct ListSources: PostgresStatement {
    static let sql = """
        select name, created_at from millrace.source where workspace_id = $1 and name > $2 order by name limit $3
        """
    var workspaceID: Int64
    var after: String
    var limit: Int32

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(after), .int4(limit)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> SourceSummary {
        SourceSummary(name: try row.text(0), createdAt: try row.timestamp(1))
    }
}
