public import Postgres

/// A workspace by its id.
public struct FindWorkspaceByID: PostgresStatement {
    public static let sql = "select \(Workspace.columns) from millrace.workspace where id = $1"

    let id: Int64

    public init(id: Int64) {
        self.id = id
    }

    public var parameters: [PostgresValue] { [.int8(id)] }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> Workspace { try Workspace(row) }
}

/// The same, locked until the transaction ends.
public struct LockWorkspaceByID: PostgresStatement {
    public static let sql = FindWorkspaceByID.sql + " for no key update"

    let id: Int64

    public init(id: Int64) {
        self.id = id
    }

    public var parameters: [PostgresValue] { [.int8(id)] }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> Workspace { try Workspace(row) }
}

public struct CountWorkspaces: PostgresStatement {
    public static let sql = "select count(*) from millrace.workspace"

    public init() {}

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// Gives a workspace another description, and a new version where it is another one, unless it has just been made.
public struct DescribeWorkspace: PostgresStatement {
    public static let sql = """
        update millrace.workspace set description = $2::text, version = version + (not $3)::int, updated_at = now()
        where id = $1 and description is distinct from $2::text
        """

    let id: Int64
    let description: String?
    let isNew: Bool

    public init(id: Int64, description: String?, isNew: Bool) {
        self.id = id
        self.description = description
        self.isNew = isNew
    }

    public var parameters: [PostgresValue] { [.int8(id), .optional(description) { .text($0) }, .bool(isNew)] }
}

/// Begins a workspace's deletion: none of its keys is valid any more, and none of its schedules ticks.
public struct EndWorkspace: PostgresStatement {
    public static let sql = """
        with keys as (
            update millrace.api_key set revoked_at = now(), version = version + 1
            where workspace_id = $1 and revoked_at is null
        ), sessions as (
            delete from millrace.session s using millrace.api_key k where k.id = s.key_id and k.workspace_id = $1
        ), schedules as (
            delete from queue.schedule where workspace = $1
        )
        update millrace.workspace set deleted_at = now(), version = version + 1, updated_at = now()
        where id = $1 and deleted_at is null
        """

    let id: Int64

    public init(id: Int64) {
        self.id = id
    }

    public var parameters: [PostgresValue] { [.int8(id)] }
}

/// Cancels jobs of a workspace, `limit` of each sort at most; gives how many it found, and how many of them are in
/// somebody's hands. None is left once it finds none.
public struct StopWorkspaceJobs: PostgresStatement {
    public static let sql = "select jobs, held from millrace.stop_jobs($1, $2)"

    let id: Int64
    let limit: Int32

    public init(id: Int64, limit: Int32) {
        self.id = id
        self.limit = limit
    }

    public var parameters: [PostgresValue] { [.int8(id), .int4(limit)] }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> (jobs: Int32, held: Int32) {
        (try row.int4(0), try row.int4(1))
    }
}

/// Deletes a part of what a workspace has; gives how much that was. Nothing is left once that is 0.
public struct EmptyWorkspace: PostgresStatement {
    public static let sql = "select millrace.empty_workspace($1, $2)"

    let id: Int64
    let limit: Int32

    public init(id: Int64, limit: Int32) {
        self.id = id
        self.limit = limit
    }

    public var parameters: [PostgresValue] { [.int8(id), .int4(limit)] }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// Deletes a workspace's row, of which nothing else is left.
public struct DeleteWorkspace: PostgresStatement {
    public static let sql = "delete from millrace.workspace where id = $1 and deleted_at is not null"

    let id: Int64

    public init(id: Int64) {
        self.id = id
    }

    public var parameters: [PostgresValue] { [.int8(id)] }
}

/// Takes apart what `WorkspaceProvision` has made.
extension WorkspaceProvision {
    /// The tables of the workspace's schema, in the order of their names, `limit` at most; without partitions.
    public static func tables(
        of workspace: Workspace, limit: Int32, on connection: PostgresConnection
    ) async throws -> [String] {
        try await connection.query(ListSchemaTables(schema: workspace.schema, limit: limit))
    }

    /// Drops the schema with what is left in it, and the role; false where another database of the cluster has use for
    /// the role, which stays then, without rights here.
    public static func remove(_ workspace: Workspace, on connection: PostgresConnection) async throws -> Bool {
        try await connection.transaction { connection in
            try await connection.query("set local lock_timeout = '500ms'")
            try await connection.query("drop schema if exists \(identifier: workspace.schema) cascade")
            try await revoke(workspace.queryRole, connection)
        }
        do throws(PostgresError) {
            try await connection.query("drop role if exists \(identifier: workspace.queryRole)")
        } catch {
            guard error.sqlstate == "2BP01" else { throw error }
            return false
        }
        return true
    }

    /// Lets the role open no further session here.
    public static func revoke(_ role: String, _ connection: PostgresConnection) async throws {
        guard try await !connection.query(FindRole(name: role)).isEmpty,
            let database = try await connection.query(CurrentDatabase()).first
        else { return }
        try await connection.query("revoke all on database \(identifier: database) from \(identifier: role)")
    }
}

struct ListSchemaTables: PostgresStatement {
    static let sql = """
        select c.relname::text from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname = $1 and c.relkind in ('r', 'p') and not c.relispartition order by 1 limit $2
        """
    let schema: String
    let limit: Int32

    var parameters: [PostgresValue] { [.text(schema), .int4(limit)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> String { try row.text(0) }
}
