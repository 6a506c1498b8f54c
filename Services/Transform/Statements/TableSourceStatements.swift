import Postgres
import Records

/// A dataset that a pipeline reads: where its rows are, and what columns it has.
struct SourceDataset: Sendable {
    struct Column: Sendable {
        var name: String
        var type: ColumnType
    }

    var id: Int64
    var schema: String
    var name: String
    var hasTable: Bool
    /// In their order; those whose values go to `_extra` left out.
    var columns: [Column]
}

/// A workspace's dataset by name, which nobody removes before the transaction has ended.
struct HoldSourceDataset: PostgresStatement {
    static let sql = """
        select d.id, w.schema_name, d.name, d.table_created, c.names, c.types
        from millrace.dataset d
        join millrace.workspace w on w.id = d.workspace_id
        cross join lateral (
            select coalesce(array_agg(c.name order by c.ordinal), '{}') as names,
                coalesce(array_agg(c.type order by c.ordinal), '{}') as types
            from millrace.dataset_column c where c.dataset_id = d.id and c.state <> 'extra'
        ) c
        where d.workspace_id = $1 and d.name = $2 for key share of d
        """
    var workspaceID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> SourceDataset {
        let (names, types) = (try row.textArray(4), try row.textArray(5))
        var columns: [SourceDataset.Column] = []
        for (place, name) in names.enumerated() {
            guard let type = ColumnType(rawValue: types[place]) else {
                throw PostgresError(.decode, "a column's type is not known here", doing: "read a dataset")
            }
            columns.append(SourceDataset.Column(name: name, type: type))
        }
        return SourceDataset(
            id: try row.int8(0), schema: try row.text(1), name: try row.text(2), hasTable: try row.bool(3),
            columns: columns)
    }
}

/// The row among the sources that stands for a dataset, made if there is none. Gives its id.
struct EnsureDatasetSource: PostgresStatement {
    static let sql = """
        insert into millrace.source (workspace_id, name, kind, deleted_at) values ($1, $2, 'dataset', now())
        on conflict (workspace_id, name) where kind = 'dataset' do update set updated_at = now()
        returning id
        """
    var workspaceID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// Other pipelines that write into a dataset: names and modes, the first ten.
struct FindOtherWriters: PostgresStatement {
    static let sql = """
        select p.name, coalesce(v.definition #>> '{target,mode}', 'append') = 'replace'
        from millrace.pipeline p
        join millrace.pipeline_version v on v.pipeline_id = p.id and v.version = p.version
        where p.workspace_id = $1 and p.active and (p.name <> $3 or p.implicit)
            and (v.definition #>> '{target,dataset}' = $2
                or jsonb_path_exists(v.definition::jsonb, '$.steps[*].route[*] ? (@.dataset == $name)',
                    jsonb_build_object('name', $2::text)))
        order by p.name limit 10
        """
    var workspaceID: Int64
    var dataset: String
    /// The pipeline that is left out.
    var pipeline: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(dataset), .text(pipeline)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> (name: String, replaces: Bool) {
        (try row.text(0), try row.bool(1))
    }
}
