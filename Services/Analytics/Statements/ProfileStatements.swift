import Postgres
import Records

/// A dataset and the columns of its table.
struct FindProfiledDataset: PostgresStatement {
    struct Row: Sendable {
        var hasTable: Bool
        var columns: [ProfiledColumn]
        /// µs since 2000-01-01 UTC.
        var now: Int64
    }

    static let sql = """
        select d.table_created, now(), array_agg(c.name order by c.ordinal) filter (where c.name is not null),
            array_agg(c.type order by c.ordinal) filter (where c.name is not null)
        from millrace.dataset d
            left join millrace.dataset_column c on c.dataset_id = d.id and c.state = 'applied'
        where d.workspace_id = $1 and d.name = $2 group by d.id
        """
    var workspaceID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Row {
        let hasColumns = !row.isNull(2)
        let names = hasColumns ? try row.textArray(2) : []
        let types = hasColumns ? try row.textArray(3) : []
        return Row(
            hasTable: try row.bool(0),
            columns: zip(names, types).compactMap { name, type in
                ColumnType(rawValue: type).map { ProfiledColumn(name: name, type: $0) }
            }, now: try row.timestamp(1))
    }
}
