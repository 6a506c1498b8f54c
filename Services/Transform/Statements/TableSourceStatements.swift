import Postgres
import Records

/// A column of a dataset that is read.
struct TableColumn: Sendable, Hashable {
    var name: String
    var type: ColumnType

    /// Reads names and types, which are arrays of one length.
    static func columns(_ row: PostgresRow, names: Int, types: Int) throws(PostgresError) -> [TableColumn] {
        var columns: [TableColumn] = []
        let types = try row.textArray(types)
        for (place, name) in try row.textArray(names).enumerated() {
            guard types.indices.contains(place), let type = ColumnType(rawValue: types[place]) else {
                throw PostgresError(.decode, "a column's type is not known here", doing: "read a dataset's columns")
            }
            columns.append(TableColumn(name: name, type: type))
        }
        return columns
    }
}

/// A dataset that a pipeline reads: where its rows are, and what columns it has.
struct SourceDataset: Sendable {
    var id: Int64
    var schema: String
    var name: String
    var hasTable: Bool
    /// In their order; those whose values go to `_extra` left out.
    var columns: [TableColumn]

    /// Their names and types, of a dataset `d`.
    static let columnsQuery = """
        select coalesce(array_agg(c.name order by c.ordinal), '{}') as names,
            coalesce(array_agg(c.type order by c.ordinal), '{}') as types
        from millrace.dataset_column c where c.dataset_id = d.id and c.state <> 'extra'
        """
}

/// A workspace's dataset by name, which nobody removes before the transaction has ended.
struct HoldSourceDataset: PostgresStatement {
    static let sql = """
        select d.id, w.schema_name, d.name, d.table_created, c.names, c.types
        from millrace.dataset d
        join millrace.workspace w on w.id = d.workspace_id
        cross join lateral (\(SourceDataset.columnsQuery)) c
        where d.workspace_id = $1 and d.name = $2 for key share of d
        """
    var workspaceID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> SourceDataset {
        SourceDataset(
            id: try row.int8(0), schema: try row.text(1), name: try row.text(2), hasTable: try row.bool(3),
            columns: try TableColumn.columns(row, names: 4, types: 5))
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
