import HTTP
public import Postgres

/// Makes what a workspace consists of: its row, the schema of its datasets, and the login role of its users' queries.
///
/// The role has no attribute but LOGIN, a limit of connections, and rights to read its own schema. Its password lies in
/// `millrace.workspace_secret`, which the services' role alone can read. Running it again, also at the same time,
/// changes nothing but what was altered by hand.
public enum WorkspaceProvision {
    /// Connections that one workspace's queries may hold at a time.
    public static let connectionLimit = 20
    /// What one query may write to temporary files, where the services' role may set it: no session can raise that.
    private static let temporaryFileLimit = "1GB"
    private static let attempts = 10

    /// Errors: `AccessError` `.noRandomness`, `.unknownWorkspace` for a name that cannot be one, `.workspaceDeleted`
    /// for one whose deletion goes on; `PostgresError`, 42501 where the services' role may not make roles.
    @discardableResult
    public static func ensure(_ name: String, on connection: PostgresConnection) async throws -> Workspace {
        guard Workspace.isName(name) else { throw AccessError(.unknownWorkspace, "no workspace can be named \(name)") }
        for attempt in 1... {
            do {
                return try await connection.transaction { try await make(name, $0) }
            } catch let error as PostgresError where error.isCatalogRace && attempt < attempts {
                continue
            }
        }
        throw AccessError(.unknownWorkspace, "the workspace \(name) could not be made")
    }

    private static func make(_ name: String, _ connection: PostgresConnection) async throws -> Workspace {
        _ = try await connection.query(InsertWorkspace(name: name))
        guard let workspace = try await connection.query(LockWorkspace(name: name)).first else {
            throw AccessError(.unknownWorkspace, "the workspace \(name) was removed meanwhile")
        }
        if workspace.deletedAt != nil {
            throw AccessError(.workspaceDeleted, "the workspace \(name) is being deleted")
        }
        try await connection.query("create schema if not exists \(identifier: workspace.schema)")
        let fresh = Base64URL.encode(try OpenSSL.randomBytes(32))
        let password =
            try await connection.query(EnsureWorkspacePassword(workspaceID: workspace.id, fresh: fresh)).first ?? fresh
        try await makeRole(workspace.queryRole, password, connection)
        try await grant(workspace, connection)
        return workspace
    }

    private static func makeRole(_ role: String, _ password: String, _ connection: PostgresConnection) async throws {
        if try await connection.query(FindRole(name: role)).isEmpty {
            try await connection.query("create role \(identifier: role) nosuperuser noreplication nobypassrls")
        }
        let verifier = ScramVerifier.text(password: password, salt: try OpenSSL.randomBytes(16))
        try await connection.query(
            """
            alter role \(identifier: role) login nocreatedb nocreaterole noinherit
            connection limit \(unsafeText: String(connectionLimit)) password \(literal: verifier)
            """)
    }

    /// Rights and first settings. The settings are no fence, for a session can change them; the rights are.
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
        var settings = [
            ("search_path", schema), ("default_transaction_read_only", "on"), ("statement_timeout", "60s"),
            ("lock_timeout", "5s"), ("idle_in_transaction_session_timeout", "30s"), ("timezone", "UTC"),
        ]
        if try await connection.query(MaySetTemporaryFileLimit()).first == true {
            settings.append(("temp_file_limit", temporaryFileLimit))
        }
        for (name, value) in settings {
            try await connection.query(
                """
                alter role \(identifier: role) in database \(identifier: database)
                set \(identifier: name) = \(literal: value)
                """)
        }
    }
}

extension WorkspaceProvision {
    /// What a workspace's role can still do and should not: rights that only a superuser can take from it, each by the
    /// name of the function or relation. Empty where the isolation is whole.
    public static func excessRights(of role: String, on connection: PostgresConnection) async throws -> [String] {
        try await connection.query(ExcessRights(role: role))
    }
}

struct LockWorkspace: PostgresStatement {
    static let sql = "select \(Workspace.columns) from millrace.workspace where name = $1 for update"
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

struct CurrentDatabase: PostgresStatement {
    static let sql = "select current_database()::text"

    static func decode(_ row: PostgresRow) throws(PostgresError) -> String { try row.text(0) }
}

/// Functions that act beyond a read-only transaction, and views of other sessions, that a role can use.
struct ExcessRights: PostgresStatement {
    static let sql = """
        select distinct p.proname::text from pg_proc p
        where p.pronamespace = 'pg_catalog'::regnamespace
            and (p.proname in ('set_config', 'pg_notify', 'pg_terminate_backend', 'pg_cancel_backend',
                    'pg_logical_emit_message', 'pg_stat_get_activity', 'query_to_xml', 'loread', 'lowrite')
                or p.proname ~ '^(pg_advisory_|pg_try_advisory_|lo_|pg_sleep)')
            and has_function_privilege($1, p.oid, 'execute')
        union all
        select c.relname::text from pg_class c
        where c.relnamespace = 'pg_catalog'::regnamespace and c.relname in ('pg_stat_activity', 'pg_locks')
            and has_table_privilege($1, c.oid, 'select')
        order by 1
        """
    let role: String

    var parameters: [PostgresValue] { [.text(role)] }

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
