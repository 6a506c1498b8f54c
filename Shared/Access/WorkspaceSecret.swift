public import Postgres

/// The password of a workspace's login role, for connections that act for the workspace. Keep it out of logs.
public struct FindWorkspacePassword: PostgresStatement {
    public static let sql = """
        select s.password from millrace.workspace_secret s join millrace.workspace w on w.id = s.workspace_id
        where w.id = $1
        """
    let workspaceID: Int64

    public init(workspaceID: Int64) {
        self.workspaceID = workspaceID
    }

    public var parameters: [PostgresValue] { [.int8(workspaceID)] }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> String { try row.text(0) }
}

/// Enters a password unless there is one; gives the one that counts.
struct EnsureWorkspacePassword: PostgresStatement {
    static let sql = """
        with made as (
            insert into millrace.workspace_secret (workspace_id, password) values ($1, $2)
            on conflict (workspace_id) do nothing
            returning password
        )
        select password from made
        union all
        select password from millrace.workspace_secret where workspace_id = $1
        limit 1
        """
    let workspaceID: Int64
    let fresh: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(fresh)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> String { try row.text(0) }
}
