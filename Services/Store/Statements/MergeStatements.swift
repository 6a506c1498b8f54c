import Postgres

/// What the catalog says of a dataset's key, where rows are merged by it.
struct MergeKey: Sendable {
    var primaryKey: [String]
    /// Nil where none is named, or the table does not have it.
    var versionColumn: String?
    /// Those of the table, lineage and `_extra` left out.
    var columns: [String]
    /// The dataset has a table of deleted keys; its row in `millrace.dataset_deletions` is locked.
    var keepsDeletions: Bool
}

/// Reads a dataset's key. No row: the dataset was removed. The table is locked, so that no column is added meanwhile.
struct FindMergeKey: PostgresStatement {
    static let sql = """
        select array(select jsonb_array_elements_text(coalesce(d.definition->'primary_key', '[]'))),
            d.definition->>'version_column',
            array(select c.name from millrace.dataset_column c where c.dataset_id = d.id and c.state = 'applied'
                order by c.ordinal)
        from millrace.dataset d where d.id = $1
        """
    var datasetID: Int64

    var parameters: [PostgresValue] { [.int8(datasetID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> MergeKey {
        let columns = try row.textArray(2)
        let version = try row.optionalText(1)
        return MergeKey(
            primaryKey: try row.textArray(0), versionColumn: version.flatMap { columns.contains($0) ? $0 : nil },
            columns: columns, keepsDeletions: false)
    }
}

/// Waits until nobody else merges rows into a dataset that keeps deleted keys. No row: it keeps none.
struct LockDeletions: PostgresStatement {
    static let sql = "select dataset_id from millrace.dataset_deletions where dataset_id = $1 for no key update"
    var datasetID: Int64

    var parameters: [PostgresValue] { [.int8(datasetID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// Notes that a dataset has a table of deleted keys.
struct MarkDeletionsKept: PostgresStatement {
    static let sql = "insert into millrace.dataset_deletions (dataset_id) values ($1)"
    var datasetID: Int64

    var parameters: [PostgresValue] { [.int8(datasetID)] }
}

/// The records of a batch and output whose rows were written by a merge; one comes once for each of its rows.
struct MergedRecords: Sendable {
    var batchID: Int64
    var output: Int32
    var records: [Int32]

    init(_ row: PostgresRow) throws(PostgresError) {
        batchID = try row.int8(0)
        output = try row.int4(1)
        records = try row.int4Array(2)
    }
}
