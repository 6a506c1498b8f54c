import Postgres

/// How many workspaces there are, of the first two.
struct CountWorkspaces: PostgresStatement {
    static let sql = "select count(*) from (select from millrace.workspace limit 2) w"

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int { try row.int(0) }
}

/// What a workspace's login role is or may do beyond reading its own schema, in words. No rows where all is well.
struct ExcessStanding: PostgresStatement {
    static let sql = """
        select 'no role' where not exists (select from pg_roles where rolname = $1)
        union all
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
