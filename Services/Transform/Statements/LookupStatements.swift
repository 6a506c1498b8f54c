import Postgres
import Records

/// A dataset that rows are looked up in.
struct LookupTable: Sendable {
    /// The schema of its workspace.
    var schema: String
    var name: String
    /// Its columns; those that the table has, and the others, in which no row has a value yet.
    var applied: [String: ColumnType] = [:]
    var pending: [String: ColumnType] = [:]
    /// There is a table: a row has been stored.
    var isCreated: Bool

    /// Whether the table has these columns.
    func has(_ columns: [String]) -> Bool { isCreated && columns.allSatisfy { applied[$0] != nil } }
}

/// Datasets of a workspace with their columns, a row for each; those whose values are in `_extra` left out.
struct FindLookupColumns: PostgresStatement {
    struct Row: Sendable {
        var dataset: String
        var schema: String
        var isCreated: Bool
        /// Nil for a dataset without columns.
        var column: (name: String, type: ColumnType, isApplied: Bool)?
    }

    static let sql = """
        select d.name, w.schema_name, d.table_created, c.name, c.type, c.state = 'applied'
        from millrace.dataset d
        join millrace.workspace w on w.id = d.workspace_id
        left join millrace.dataset_column c on c.dataset_id = d.id and c.state <> 'extra'
        where d.workspace_id = $1 and d.name = any($2)
        """
    var workspaceID: Int64
    var names: [String]

    var parameters: [PostgresValue] { [.int8(workspaceID), .textArray(names)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Row {
        var found = Row(
            dataset: try row.text(0), schema: try row.text(1), isCreated: try row.bool(2), column: nil)
        guard let name = try row.optionalText(3) else { return found }
        guard let type = ColumnType(rawValue: try row.text(4)) else {
            throw PostgresError(.decode, "a column's type is not known here", doing: "find a dataset's columns")
        }
        found.column = (name, type, try row.bool(5))
        return found
    }
}

extension LookupRequest {
    /// The rows with the request's keys: the place of the key, from 1, then these columns as text. Of several rows with
    /// one key the one that came last.
    func query(_ table: LookupTable, columns: [String]) -> PostgresQuery {
        func quoted(_ name: String) -> String { PostgresQuery.quoted(identifier: name) }
        let places = keys.indices.map { "k\($0)" }
        let casts = zip(places, keys).map { "\($0)::\($1.type.rawValue) as \($0)" }.joined(separator: ", ")
        let arrays = keys.indices.map { "$\($0 + 1)::text[]" }.joined(separator: ", ")
        let equal = zip(places, keys).map { "t.\(quoted($1.name)) = k.\($0)" }.joined(separator: " and ")
        let columns = columns.map { "t.\(quoted($0))::text" }
        let names = (places + ["place"]).joined(separator: ", ")
        let sql = """
            select distinct on (k.place) \((["k.place"] + columns).joined(separator: ", "))
            from (select place, \(casts) from unnest(\(arrays)) with ordinality as given (\(names))) k
            join \(quoted(table.schema)).\(quoted(table.name)) t on \(equal)
            order by k.place, t._batch desc, t._row desc, t._out desc
            """
        let values = keys.map { key in
            let texts = TextOutput.texts(of: key.values)
            return PostgresValue.textArray((0..<texts.count).map { texts.string($0) })
        }
        return PostgresQuery(unsafeText: sql, values)
    }
}
