import Postgres

/// The check by which columns of a table are becoming NOT NULL. No row where there is none.
struct FindRequiredCheck: PostgresStatement {
    struct Check: Sendable {
        /// Every row that there is meets it, in all partitions.
        var isValid: Bool
        var columns: Set<String>
    }

    static let sql = """
        select c.convalidated,
            array(select a.attname::text from pg_catalog.pg_attribute a
                where a.attrelid = c.conrelid and a.attnum = any(c.conkey))
        from pg_catalog.pg_constraint c
        where c.conrelid = to_regclass(format('%I.%I', $1, $2)) and c.conname = $3 and c.contype = 'c'
        """
    var schema: String
    var table: String

    var parameters: [PostgresValue] { [.text(schema), .text(table), .text(RequiredColumns.checkName(table))] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Check {
        Check(isValid: try row.bool(0), columns: Set(try row.textArray(1)))
    }
}

/// The tables whose rows have still to be looked at: a table's partitions, it last.
struct ListUnchecked: PostgresStatement {
    static let sql = """
        select t.relname::text from pg_catalog.pg_class t
        join pg_catalog.pg_constraint c on c.conrelid = t.oid and c.conname = $3 and not c.convalidated
        where t.oid = to_regclass(format('%I.%I', $1, $2)) or t.oid in (select i.inhrelid from pg_catalog.pg_inherits i
            where i.inhparent = to_regclass(format('%I.%I', $1, $2)) and not i.inhdetachpending)
        order by t.relispartition desc, t.relname
        """
    var schema: String
    var table: String

    var parameters: [PostgresValue] { [.text(schema), .text(table), .text(RequiredColumns.checkName(table))] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> String { try row.text(0) }
}

/// The datasets whose tables have such a check: a PUT is going on, or died.
struct ListRequiredChecks: PostgresStatement {
    static let sql = """
        select w.schema_name, d.name from millrace.dataset d join millrace.workspace w on w.id = d.workspace_id
        join pg_catalog.pg_constraint c on c.conname = d.name || '.required' and c.contype = 'c'
            and c.conrelid = to_regclass(format('%I.%I', w.schema_name, d.name))
        where d.table_created order by d.id
        """
    var parameters: [PostgresValue] { [] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> RequiredColumns {
        RequiredColumns(schema: try row.text(0), table: try row.text(1), columns: [])
    }
}
