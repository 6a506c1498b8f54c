import HTTP
public import Postgres

/// Makes what a workspace consists of: its row, the schema of its datasets, and the login role of its users' queries.
///
/// The role has no attribute but LOGIN, and rights to read its own schema. Its password lies in
/// `millrace.workspace_secret`, which the services' role alone can read. How many connections its queries hold is what
/// the processes of analytics allow (`MILLRACE_QUERY_SLOTS` each), so the role has no limit of its own; one that an
/// administrator gives it stays, and so do settings. Running it again, also at the same time, gives what is missing.
public enum WorkspaceProvision {
    /// What earlier versions gave each role: less than three processes of analytics need.
    private static let formerConnectionLimit: Int32 = 20
    /// What one query may write to temporary files, where the services' role may set it: no session can raise that.
    private static let temporaryFileLimit = "1GB"
    private static let attempts = 10
    /// How long a lock is waited for: that of the workspace's row, which requests hold for milliseconds.
    private static let lockTimeout = "3s"

    /// `keptApart`: a workspace that is not there yet is made only where its queries can be kept apart from others'.
    ///
    /// Errors: `AccessError` `.noRandomness`, `.unknownWorkspace` for a name that cannot be one, `.workspaceDeleted`
    /// for one whose deletion goes on, `.notKeptApart`; `PostgresError`, 42501 where the services' role may not make
    /// roles.
    @discardableResult
    public static func ensure(
        _ name: String, keptApart: Bool = false, on connection: PostgresConnection
    ) async throws -> Workspace {
        guard Workspace.isName(name) else { throw AccessError(.unknownWorkspace, "no workspace can be named \(name)") }
        return try await repeating(on: connection) { connection in
            let isNew = try await !connection.query(InsertWorkspace(name: name)).isEmpty
            guard let workspace = try await connection.query(LockWorkspace(name: name)).first else {
                throw AccessError(.unknownWorkspace, "the workspace \(name) was removed meanwhile")
            }
            if workspace.deletedAt != nil {
                throw AccessError(.workspaceDeleted, "the workspace \(name) is being deleted")
            }
            try await make(workspace, connection)
            if isNew, keptApart { try await requireWalls(around: workspace, on: connection) }
            return workspace
        }
    }

    /// Gives all workspaces that are in use what they lack: after a restore that is CONNECT to the database, the role's
    /// settings in it, and its password. Each is a transaction of its own that holds the workspace's row, for which
    /// nobody who refers to it waits. Gives how many lacked something beside a password, which cannot be seen.
    ///
    /// Tries all of them; errors: that of the first which could not be given everything.
    @discardableResult
    public static func ensureAll(on connection: PostgresConnection) async throws -> Int {
        let settings = settings(schema: "", boundsFiles: try await boundsFiles(connection)).map(\.name)
        let wanting = Set(try await connection.query(FindWanting(settings: settings)))
        var failure: PostgresError?
        var after: Int64 = 0
        while let page = try await nextPage(after, connection) {
            for workspace in page where workspace.deletedAt == nil {
                do {
                    try await renew(workspace.id, withRights: wanting.contains(workspace.id), on: connection)
                } catch let error as PostgresError where error.code == .server {
                    failure = failure ?? error
                }
            }
            after = page.last?.id ?? .max
        }
        if let failure { throw failure }
        return wanting.count
    }

    private static func nextPage(_ after: Int64, _ connection: PostgresConnection) async throws -> [Workspace]? {
        let page = try await connection.query(ListWorkspaces(after: after, limit: 100))
        return page.isEmpty ? nil : page
    }

    private static func renew(_ id: Int64, withRights: Bool, on connection: PostgresConnection) async throws {
        try await repeating(on: connection) { connection in
            guard let workspace = try await connection.query(LockWorkspaceByID(id: id)).first,
                workspace.deletedAt == nil
            else { return }
            try await make(workspace, withRights: withRights, connection)
        }
    }

    /// A transaction that is tried again where somebody else changed the same rows of the server's catalog.
    private static func repeating<T: Sendable>(
        on connection: PostgresConnection, _ body: @escaping @Sendable (PostgresConnection) async throws -> T
    ) async throws -> T {
        var attempt = 1
        while true {
            do {
                return try await connection.transaction { connection in
                    try await connection.query("set local lock_timeout = \(literal: lockTimeout)")
                    return try await body(connection)
                }
            } catch let error as PostgresError where error.isCatalogRace && attempt < attempts {
                attempt += 1
            }
        }
    }

    private static func make(
        _ workspace: Workspace, withRights: Bool = true, _ connection: PostgresConnection
    ) async throws {
        let fresh = Base64URL.encode(try OpenSSL.randomBytes(32))
        let password =
            try await connection.query(EnsureWorkspacePassword(workspaceID: workspace.id, fresh: fresh)).first ?? fresh
        try await makeRole(workspace.queryRole, password, connection)
        guard withRights else { return }
        try await connection.query("create schema if not exists \(identifier: workspace.schema)")
        try await grant(workspace, connection)
        try await set(workspace, connection)
    }

    /// Whether a role has the password that is kept cannot be seen, so it is given each time.
    private static func makeRole(_ role: String, _ password: String, _ connection: PostgresConnection) async throws {
        if try await connection.query(FindRole(name: role)).isEmpty {
            try await connection.query("create role \(identifier: role) nosuperuser noreplication nobypassrls")
        }
        let verifier = ScramVerifier.text(password: password, salt: try OpenSSL.randomBytes(16))
        try await connection.query(
            """
            alter role \(identifier: role) login nocreatedb nocreaterole noinherit password \(literal: verifier)
            """)
        if try await connection.query(FindConnectionLimit(role: role)).first == formerConnectionLimit {
            try await connection.query("alter role \(identifier: role) connection limit -1")
        }
    }

    private static func grant(_ workspace: Workspace, _ connection: PostgresConnection) async throws {
        let role = workspace.queryRole
        let schema = workspace.schema
        guard let database = try await connection.query(CurrentDatabase()).first else { return }
        try await connection.query("revoke all on database \(identifier: database) from public")
        try await connection.query("revoke all on schema public from public")
        try await connection.query("grant connect on database \(identifier: database) to \(identifier: role)")
        try await connection.query("revoke all on schema \(identifier: schema) from public")
        try await connection.query("grant usage on schema \(identifier: schema) to \(identifier: role)")
        try await connection.query("grant select on all tables in schema \(identifier: schema) to \(identifier: role)")
        try await connection.query(
            """
            alter default privileges in schema \(identifier: schema) grant select on tables to \(identifier: role)
            """)
    }

    /// First settings, where there are none. They are no fence, for a session can change them; the rights are.
    private static func set(_ workspace: Workspace, _ connection: PostgresConnection) async throws {
        guard let database = try await connection.query(CurrentDatabase()).first else { return }
        let settings = try await settings(of: workspace, on: connection)
        let lacking = LackingStanding(
            role: workspace.queryRole, schema: workspace.schema, settings: settings.map(\.name))
        let lacks = Set(try await connection.query(lacking).map(\.what))
        for (name, value) in settings where lacks.contains("the setting \(name)") {
            try await connection.query(
                """
                alter role \(identifier: workspace.queryRole) in database \(identifier: database)
                set \(identifier: name) = \(literal: value)
                """)
        }
    }

    static func settings(
        of workspace: Workspace, on connection: PostgresConnection
    ) async throws -> [(name: String, value: String)] {
        settings(schema: workspace.schema, boundsFiles: try await boundsFiles(connection))
    }

    private static func settings(schema: String, boundsFiles: Bool) -> [(name: String, value: String)] {
        [
            ("search_path", schema), ("default_transaction_read_only", "on"), ("statement_timeout", "60s"),
            ("lock_timeout", "5s"), ("idle_in_transaction_session_timeout", "30s"), ("timezone", "UTC"),
        ] + (boundsFiles ? [("temp_file_limit", temporaryFileLimit)] : [])
    }

    private static func boundsFiles(_ connection: PostgresConnection) async throws -> Bool {
        try await connection.query(MaySetTemporaryFileLimit()).first == true
    }
}

struct LockWorkspace: PostgresStatement {
    static let sql = "select \(Workspace.columns) from millrace.workspace where name = $1 for no key update"
    let name: String

    var parameters: [PostgresValue] { [.text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Workspace { try Workspace(row) }
}

/// Whether the services' role may bound what others write to temporary files.
struct MaySetTemporaryFileLimit: PostgresStatement {
    static let sql = "select has_parameter_privilege('temp_file_limit', 'set')"

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Bool { try row.bool(0) }
}

struct FindRole: PostgresStatement {
    static let sql = "select rolname::text from pg_roles where rolname = $1"
    let name: String

    var parameters: [PostgresValue] { [.text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> String { try row.text(0) }
}

struct FindConnectionLimit: PostgresStatement {
    static let sql = "select rolconnlimit from pg_roles where rolname = $1"
    let role: String

    var parameters: [PostgresValue] { [.text(role)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int32 { try row.int4(0) }
}

/// The workspaces in use that lack something of what `grant` and `set` give; read from the catalog alone.
struct FindWanting: PostgresStatement {
    static let sql = """
        select w.id from millrace.workspace w join pg_database b on b.datname = current_database()
            left join pg_namespace n on n.nspname = w.schema_name left join pg_roles r on r.rolname = w.query_role
        where w.deleted_at is null and (n.oid is null or r.oid is null
            or not has_database_privilege(r.oid, b.oid, 'connect') or has_database_privilege('public', b.oid, 'connect')
            or has_database_privilege('public', b.oid, 'temp') or has_schema_privilege('public', 'public', 'usage')
            or has_schema_privilege('public', n.oid, 'usage') or not has_schema_privilege(r.oid, n.oid, 'usage')
            or not exists (
                select from pg_default_acl d, aclexplode(d.defaclacl) a
                where d.defaclrole = current_user::regrole and d.defaclnamespace = n.oid and d.defaclobjtype = 'r'
                    and a.grantee = r.oid and a.privilege_type = 'SELECT')
            or exists (
                select from pg_class c where c.relnamespace = n.oid and c.relkind in ('r', 'p', 'v', 'm')
                    and not has_table_privilege(r.oid, c.oid, 'select'))
            or exists (
                select from unnest($1::text[]) s (name) where not exists (
                    select from pg_db_role_setting d, unnest(d.setconfig) c (text)
                    where d.setdatabase = b.oid and d.setrole = r.oid and lower(split_part(c.text, '=', 1)) = s.name)))
        order by w.id
        """
    let settings: [String]

    var parameters: [PostgresValue] { [.textArray(settings)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

struct CurrentDatabase: PostgresStatement {
    static let sql = "select current_database()::text"

    static func decode(_ row: PostgresRow) throws(PostgresError) -> String { try row.text(0) }
}

extension PostgresError {
    /// Another session changed the same shared catalog row at the same moment, or made the same object.
    fileprivate var isCatalogRace: Bool {
        guard let sqlstate else { return false }
        return sqlstate.isTransient
            || ["23505", "42710", "42P06"].contains(sqlstate.code)
            || (sqlstate == "XX000" && message.contains("concurrently"))
    }
}
