import Postgres

/// Every name that a field selection would call: functions that one argument is enough for, in any schema, and types
/// whose input reads the catalog. Functions that only convert to a built-in type of their name are left out: columns
/// often have such a name (`name`, `line`, `path`).
struct ListCallableNames: PostgresStatement {
    static let sql = """
        select array(
            select p.proname::text from pg_proc p
            where p.pronargs >= 1 and p.pronargs - p.pronargdefaults <= 1 and not exists (
                select from pg_type t
                where t.typname = p.proname and t.typtype = 'b' and t.typnamespace = 'pg_catalog'::regnamespace
                    and t.typname !~ '^reg' and t.typname <> 'aclitem')
            union
            select t.typname::text from pg_type t
            where t.typnamespace = 'pg_catalog'::regnamespace and (t.typname ~ '^reg' or t.typname = 'aclitem'))
        """

    static func decode(_ row: PostgresRow) throws(PostgresError) -> [String] { try row.textArray(0) }
}

/// A type as `pg_type` has it.
struct ServerType: Sendable {
    var oid: UInt32
    var name: String
    /// The type of an array's elements; 0 for what is no array.
    var element: UInt32
    /// What a domain is based on; 0 for what is no domain.
    var base: UInt32

    init(_ row: PostgresRow) throws(PostgresError) {
        oid = UInt32(truncatingIfNeeded: try row.int8(0))
        name = try row.text(1)
        element = UInt32(truncatingIfNeeded: try row.int8(2))
        base = UInt32(truncatingIfNeeded: try row.int8(3))
    }
}

/// Types by their OIDs.
struct FindTypes: PostgresStatement {
    static let sql = """
        select t.oid::int8, t.typname::text,
            case when t.typlen = -1 and t.typelem <> 0 and t.typcategory = 'A' then t.typelem else 0 end::int8,
            t.typbasetype::int8
        from pg_type t
        where t.oid = any ($1::int8[]::oid[])
            or t.oid in (select e.typelem from pg_type e where e.oid = any ($1::int8[]::oid[]))
        """
    let oids: [Int64]

    var parameters: [PostgresValue] { [.int8Array(oids)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> ServerType { try ServerType(row) }
}
