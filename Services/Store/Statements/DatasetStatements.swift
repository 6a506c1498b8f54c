import Postgres
import Records

/// A dataset of the catalog. Times are µs since 2000-01-01 UTC.
struct StoredDataset: Sendable {
    var id: Int64
    var name: String
    var schema: String
    /// As declared; `{}` where inferred.
    var definition: [UInt8]
    var isDeclared: Bool
    var version: Int32
    var hasTable: Bool
    var createdAt: Int64
    var updatedAt: Int64
    var lastLoadAt: Int64?

    static let columns = """
        d.id, d.name, w.schema_name, d.definition, d.declared, d.schema_version, d.table_created, d.created_at,
        d.updated_at, d.last_load_at
        """

    init(_ row: PostgresRow) throws(PostgresError) {
        id = try row.int8(0)
        name = try row.text(1)
        schema = try row.text(2)
        definition = try row.json(3)
        isDeclared = try row.bool(4)
        version = try row.int4(5)
        hasTable = try row.bool(6)
        createdAt = try row.timestamp(7)
        updatedAt = try row.timestamp(8)
        lastLoadAt = try row.optionalTimestamp(9)
    }
}

struct FindDataset: PostgresStatement {
    static let sql = """
        select \(StoredDataset.columns) from millrace.dataset d join millrace.workspace w on w.id = d.workspace_id
        where d.workspace_id = $1 and d.name = $2
        """
    var workspaceID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredDataset { try StoredDataset(row) }
}

/// The same, locked against agreements, loads' changes of the table and other PUTs.
struct LockDataset: PostgresStatement {
    static let sql = FindDataset.sql + " for update of d"
    var workspaceID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredDataset { try StoredDataset(row) }
}

/// A page of a workspace's datasets, by name.
struct ListDatasets: PostgresStatement {
    static let sql = """
        select \(StoredDataset.columns) from millrace.dataset d join millrace.workspace w on w.id = d.workspace_id
        where d.workspace_id = $1 and d.name > $2 and ($4::text[] is null or d.name like any ($4))
        order by d.name limit $3
        """
    var workspaceID: Int64
    var after: String
    var limit: Int32
    /// Of names like these; nil for all.
    var names: [String]?

    var parameters: [PostgresValue] {
        [.int8(workspaceID), .text(after), .int4(limit), .optional(names) { .textArray($0) }]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredDataset { try StoredDataset(row) }
}

/// Makes a declared dataset; no row when there is one of the name.
struct InsertDataset: PostgresStatement {
    static let sql = """
        insert into millrace.dataset (workspace_id, name, definition, declared) values ($1, $2, $3, true)
        on conflict (workspace_id, name) do nothing returning id
        """
    var workspaceID: Int64
    var name: String
    var definition: [UInt8]

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name), .json(definition)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

struct ReplaceDataset: PostgresStatement {
    static let sql = """
        update millrace.dataset set definition = $2, declared = true, schema_version = schema_version + 1,
            updated_at = now()
        where id = $1
        """
    var id: Int64
    var definition: [UInt8]

    var parameters: [PostgresValue] { [.int8(id), .json(definition)] }
}

/// Enters declared columns, or writes a declaration over what is known of them. The type and the collation of a column
/// that the table has are left alone; one whose values went to `_extra` gets another try.
struct DeclareColumns: PostgresStatement {
    static let sql = """
        insert into millrace.dataset_column as c
            (dataset_id, ordinal, name, type, nullable, "collation", declared, since_version)
        select d.id, d.last + n.ordinality, n.name, n.type, n.nullable, n."collation", true, d.schema_version
        from (select id, schema_version, (select coalesce(max(ordinal), 0) from millrace.dataset_column
                where dataset_id = $1) as last from millrace.dataset where id = $1) d,
            unnest($2::text[], $3::text[], $4::bool[], $5::text[])
                with ordinality as n (name, type, nullable, "collation", ordinality)
        on conflict (dataset_id, name) do update set nullable = excluded.nullable, declared = true,
            type = case when c.state = 'applied' then c.type else excluded.type end,
            "collation" = case when c.state = 'applied' then c."collation" else excluded."collation" end,
            state = case when c.state = 'applied' then c.state else 'agreed' end
        """
    var datasetID: Int64
    var columns: [DatasetDefinition.DeclaredColumn]

    var parameters: [PostgresValue] {
        [
            .int8(datasetID), .textArray(columns.map(\.name)), .textArray(columns.map(\.type.rawValue)),
            .boolArray(columns.map(\.isNullable)), .textArray(columns.map(\.collation)),
        ]
    }
}

/// Takes back the declaration of columns: those of the table stay as inferred ones, the others go.
struct UndeclareColumns: PostgresStatement {
    static let sql = """
        with gone as (
            delete from millrace.dataset_column where dataset_id = $1 and name = any($2) and state <> 'applied'
        )
        update millrace.dataset_column set declared = false, nullable = true
        where dataset_id = $1 and name = any($2) and state = 'applied'
        """
    var datasetID: Int64
    var names: [String]

    var parameters: [PostgresValue] { [.int8(datasetID), .textArray(names)] }
}

/// The table was dropped: it will be made again from the catalog.
struct ForgetTable: PostgresStatement {
    static let sql = """
        with columns as (
            update millrace.dataset_column set state = 'agreed' where dataset_id = $1
        )
        update millrace.dataset set table_created = false where id = $1
        """
    var datasetID: Int64

    var parameters: [PostgresValue] { [.int8(datasetID)] }
}

/// Forgets that a dataset has a table of deleted keys.
struct ForgetDeletions: PostgresStatement {
    static let sql = "delete from millrace.dataset_deletions where dataset_id = $1"
    var datasetID: Int64

    var parameters: [PostgresValue] { [.int8(datasetID)] }
}

/// The pipelines that merge rows into a dataset by its key.
struct FindMergers: PostgresStatement {
    static let sql = """
        select p.name from millrace.dataset d
        join millrace.pipeline p on p.workspace_id = d.workspace_id and p.active and not p.implicit
        join millrace.pipeline_version v on v.pipeline_id = p.id and v.version = p.version
        where d.id = $1 and exists (select from millrace.targets(v.definition) t
            where t.dataset = d.name and t.mode in ('upsert', 'ignore'))
        order by p.name limit 20
        """
    var datasetID: Int64

    var parameters: [PostgresValue] { [.int8(datasetID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> String { try row.text(0) }
}

/// The pipelines that were put and write into a dataset, read it, or look rows up in it.
struct FindDatasetUse: PostgresStatement {
    static let sql = """
        select p.name from millrace.pipeline p
        join millrace.pipeline_version v on v.pipeline_id = p.id and v.version = p.version
        where p.workspace_id = $1 and p.active and not p.implicit
            and ($2 in (v.definition #>> '{target,dataset}', v.definition #>> '{source,dataset}')
            or jsonb_path_exists(v.definition::jsonb,
                '$.steps[*] ? (@.route[*].dataset == $name || @.lookup.dataset == $name)',
                jsonb_build_object('name', $2::text)))
        order by p.name limit 20
        """
    var workspaceID: Int64
    var dataset: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(dataset)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> String { try row.text(0) }
}

/// Removes a dataset with its columns and its quarantine; the ledger stays.
struct DeleteDataset: PostgresStatement {
    static let sql = """
        with quarantine as (
            delete from landing.quarantine where dataset_id = $1
        )
        delete from millrace.dataset where id = $1
        """
    var id: Int64

    var parameters: [PostgresValue] { [.int8(id)] }
}

/// What PostgreSQL knows of tables' sizes without reading them, partitions added up. Rows are an estimate: as dense as
/// when the table was last analyzed; as the server has counted those written where it never was. In the order of the
/// names; a table that is not there has none.
struct MeasureTables: PostgresStatement {
    struct Size: Sendable {
        var heap: Int64
        var total: Int64
        var rows: Int64
    }

    static let sql = """
        select coalesce(sum(pg_relation_size(p.oid)), 0)::int8, coalesce(sum(pg_total_relation_size(p.oid)), 0)::int8,
            coalesce(sum(case when p.reltuples >= 0 and p.relpages > 0
                then p.reltuples / p.relpages * (pg_relation_size(p.oid) / current_setting('block_size')::int8)
                else coalesce(pg_stat_get_live_tuples(p.oid), 0) end), 0)::int8
        from unnest($1::text[], $2::text[]) with ordinality as t (schema, name, place)
        left join lateral (
            select c.* from pg_class c
            where c.oid = to_regclass(format('%I.%I', t.schema, t.name)) and c.relkind = 'r'
            union all
            select c.* from pg_inherits i join pg_class c on c.oid = i.inhrelid
            where i.inhparent = to_regclass(format('%I.%I', t.schema, t.name))
        ) p on true
        group by t.place order by t.place
        """
    var datasets: [StoredDataset]

    var parameters: [PostgresValue] { [.textArray(datasets.map(\.schema)), .textArray(datasets.map(\.name))] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Size {
        Size(heap: try row.int8(0), total: try row.int8(1), rows: try row.int8(2))
    }
}

/// Prepares a transaction for the pages of a table in the order of batches: a part of it is read by the index on
/// `_batch`, whatever the planner thinks of a small limit. Gives about the last batch there is.
struct PrepareRowsPage: PostgresStatement {
    static let sql = """
        select last_value, set_config('timezone', 'UTC', true), set_config('enable_seqscan', 'off', true),
            set_config('jit', 'off', true)
        from millrace.batch_id
        """

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}
