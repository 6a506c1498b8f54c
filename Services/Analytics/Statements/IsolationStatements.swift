import Postgres

/// How many workspaces there are, of the first two.
struct CountWorkspaces: PostgresStatement {
    static let sql = "select count(*) from (select from millrace.workspace limit 2) w"

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int { try row.int(0) }
}
