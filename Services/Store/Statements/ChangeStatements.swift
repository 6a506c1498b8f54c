import Postgres

/// Notes for rollups that rows of batches and outputs were appended. Gives how many rollups there are.
struct NoteAppended: PostgresStatement {
    static let sql = "select millrace.note_appended($1, $2, $3)"
    var datasetID: Int64
    var batches: [Int64]
    /// As long as `batches`.
    var outputs: [Int32]

    var parameters: [PostgresValue] { [.int8(datasetID), .int8Array(batches), .int4Array(outputs)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int32 { try row.int4(0) }
}

/// Notes for rollups that batches have other rows. Gives how many rollups there are.
struct NoteBatches: PostgresStatement {
    static let sql = "select millrace.note_batches($1, $2)"
    var datasetID: Int64
    var batches: [Int64]

    var parameters: [PostgresValue] { [.int8(datasetID), .int8Array(batches)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int32 { try row.int4(0) }
}

/// Notes for rollups that rows of a temporary table were merged. Gives how many rollups there are.
struct NoteStaged: PostgresStatement {
    static let sql = "select millrace.note_staged($1, $2)"
    var datasetID: Int64
    /// Its name, quoted.
    var table: String

    var parameters: [PostgresValue] { [.int8(datasetID), .text(table)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int32 { try row.int4(0) }
}

struct HasRollups: PostgresStatement {
    static let sql = "select exists (select from millrace.rollup where dataset_id = $1 and state <> 'failed')"
    var datasetID: Int64

    var parameters: [PostgresValue] { [.int8(datasetID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Bool { try row.bool(0) }
}

/// Has rollups of a dataset filled anew from its table.
struct NoteTable: PostgresStatement {
    static let sql = "select from millrace.note_table($1)"
    var datasetID: Int64

    var parameters: [PostgresValue] { [.int8(datasetID)] }
}

/// Locks datasets' rollups against their steps, in the order of their ids, as `millrace.note_table` does.
struct LockRollups: PostgresStatement {
    static let sql = "select from millrace.rollup where dataset_id = any($1) order by id for no key update"
    var datasetIDs: [Int64]

    var parameters: [PostgresValue] { [.int8Array(datasetIDs)] }
}
