public import Postgres

/// What a workspace's login role is and may do, held against what it should.
public struct WorkspaceStanding: Sendable, Equatable {
    /// What it is or may do beyond reading its own schema, in words. `deploy/postgres/prepare.sql` takes that away,
    /// some of it as a superuser only. Empty where the isolation is whole.
    public var excess: [String] = []
    /// What it lacks of what `WorkspaceProvision` gives, in words; `millrace-store migrate` gives it again.
    public var lacks: [String] = []
    /// Whether it can open no session, or read nothing in one, for what it lacks.
    public var isShut = false

    public init() {}
}

extension WorkspaceProvision {
    /// What a workspace's role is, can do and lacks.
    public static func standing(
        of workspace: Workspace, on connection: PostgresConnection
    ) async throws -> WorkspaceStanding {
        var standing = WorkspaceStanding()
        let (role, schema) = (workspace.queryRole, workspace.schema)
        standing.excess = try await connection.query(ExcessStanding(role: role, schema: schema))
        if try await !connection.query(FindRole(name: role)).isEmpty {
            standing.excess += try await excessRights(of: role, on: connection)
        }
        // One that is being deleted has lost its rights on purpose.
        guard workspace.deletedAt == nil else { return standing }
        let settings = try await settings(of: workspace, on: connection).map(\.name)
        for lack in try await connection.query(LackingStanding(role: role, schema: schema, settings: settings)) {
            standing.lacks.append(lack.what)
            standing.isShut = standing.isShut || lack.isEssential
        }
        return standing
    }

    /// Throws `.notKeptApart` where the queries of a workspace that has just been made could not be kept apart from
    /// those of the others: then those would be refused as well.
    static func requireWalls(around workspace: Workspace, on connection: PostgresConnection) async throws {
        var roles = [workspace]
        if let first = try await connection.query(FindWorkspace(name: Principal.firstWorkspace)).first,
            first.id != workspace.id
        {
            roles.append(first)
        }
        guard roles.count > 1 else { return }
        for one in roles {
            let excess = try await standing(of: one, on: connection).excess
            guard excess.isEmpty else {
                throw AccessError(
                    .notKeptApart,
                    "queries of several workspaces cannot be kept apart here: the role \(one.queryRole) has or may use "
                        + "\(listing(excess)); run deploy/postgres/prepare.sql as a superuser, or go on with one "
                        + "workspace where nobody is one")
            }
        }
    }

    /// The first of them, and how many more there are.
    public static func listing(_ findings: [String]) -> String {
        let shown = findings.prefix(8).joined(separator: ", ")
        return findings.count > 8 ? "\(shown) and \(findings.count - 8) more" : shown
    }

    /// What a workspace's role can still do and should not: rights that only a superuser can take from it, each by the
    /// name of the function or relation. Empty where the isolation is whole.
    public static func excessRights(of role: String, on connection: PostgresConnection) async throws -> [String] {
        try await connection.query(ExcessRights(role: role))
    }
}

/// What a workspace's login role is or may do beyond reading its own schema, in words. No rows where all is well.
struct ExcessStanding: PostgresStatement {
    static let sql = """
        select 'the attribute ' || a.name from pg_roles r, lateral (values
            (r.rolsuper, 'SUPERUSER'), (r.rolcreaterole, 'CREATEROLE'), (r.rolcreatedb, 'CREATEDB'),
            (r.rolreplication, 'REPLICATION'), (r.rolbypassrls, 'BYPASSRLS')) a (held, name)
        where r.rolname = $1 and a.held
        union all
        select 'membership of ' || g.rolname from pg_auth_members m
            join pg_roles r on r.oid = m.member join pg_roles g on g.oid = m.roleid
        where r.rolname = $1
        union all
        select 'the schema ' || n.nspname from pg_namespace n, pg_roles r
        where r.rolname = $1 and n.nspname <> $2 and n.nspname not in ('pg_catalog', 'information_schema')
            and has_schema_privilege(r.oid, n.oid, 'usage') and n.nspname !~ '^pg_toast'
            and (n.nspname in ('millrace', 'queue', 'landing') or n.nspname ~ '^ws_'
                or has_schema_privilege(r.oid, n.oid, 'create'))
        union all
        select 'CREATE in the schema ' || n.nspname from pg_namespace n, pg_roles r
        where r.rolname = $1 and n.nspname = $2 and has_schema_privilege(r.oid, n.oid, 'create')
        union all
        select 'temporary tables' from pg_roles r
        where r.rolname = $1 and has_database_privilege(r.oid, current_database(), 'temp')
        order by 1
        """
    let role: String
    let schema: String

    var parameters: [PostgresValue] { [.text(role), .text(schema)] }

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

/// What a workspace's login role lacks, in words, and whether nothing goes without it. A dump of a database holds
/// neither the rights to the database nor a role's settings in it.
struct LackingStanding: PostgresStatement {
    static let sql = """
        select 'a role that may log in', true
        where not exists (select from pg_roles where rolname = $1 and rolcanlogin)
        union all
        select 'CONNECT to the database', true from pg_roles r
        where r.rolname = $1 and not has_database_privilege(r.oid, current_database(), 'connect')
        union all
        select 'USAGE of the schema ' || $2, true from pg_roles r
        where r.rolname = $1 and not exists (
            select from pg_namespace n where n.nspname = $2 and has_schema_privilege(r.oid, n.oid, 'usage'))
        union all
        select 'the setting ' || s.name, false from pg_roles r, unnest($3::text[]) s (name)
        where r.rolname = $1 and not exists (
            select from pg_db_role_setting d join pg_database b on b.oid = d.setdatabase, unnest(d.setconfig) c (text)
            where b.datname = current_database() and d.setrole = r.oid and lower(split_part(c.text, '=', 1)) = s.name)
        """
    let role: String
    let schema: String
    let settings: [String]

    var parameters: [PostgresValue] { [.text(role), .text(schema), .textArray(settings)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> (what: String, isEssential: Bool) {
        (try row.text(0), try row.bool(1))
    }
}
