import Postgres
import Records

/// A quarantined record that is tried again.
struct FailedRecord: Sendable {
    var ordinal: Int32
    var raw: [UInt8]
}

/// The records of a batch that a run of kind `heal` tries: those of its pipeline that are quarantined for its dataset,
/// with one of its codes where it names any, for its reason where it names one, and whose bytes are whole. By their
/// ordinals.
struct FindFailedRecords: PostgresStatement {
    static let sql = """
        select distinct on (q.row) q.row, q.raw
        from millrace.run r
        join millrace.dataset d on d.workspace_id = r.workspace_id and d.name = r.request ->> 'dataset'
        join landing.quarantine q on q.batch_id = $2 and q.pipeline_id = r.pipeline_id and q.dataset_id = d.id
        cross join lateral (
            select array_agg(c) as codes from jsonb_array_elements_text(r.request -> 'codes') c
        ) wanted
        where r.id = $1 and landing.is_whole(q.stage, q.errors, octet_length(q.raw))
            and landing.has_code(q.errors, wanted.codes)
            and (r.request -> 'reason' is null
                or coalesce(q.stage = r.request #>> '{reason,stage}', true)
                    and exists (select from jsonb_array_elements(q.errors) e
                        where e ->> 'code' = r.request #>> '{reason,code}'
                            and e ->> 'step' is not distinct from r.request #>> '{reason,step}'
                            and e ->> 'column' is not distinct from r.request #>> '{reason,column}'))
        order by q.row, q.output
        """
    var run: Int64
    var batchID: Int64

    var parameters: [PostgresValue] { [.int8(run), .int8(batchID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> FailedRecord {
        FailedRecord(ordinal: try row.int4(0), raw: try row.bytes(1))
    }
}

/// Ends work on batches of a run of which nothing is left to heal.
struct LeaveBatches: PostgresStatement {
    static let sql = """
        update millrace.run_batch set state = 'superseded', error = null, dead_letter = null
        where run = $1 and ordinal = any($2) and state in ('queued', 'dead')
        """
    var run: Int64
    var ordinals: [Int32]

    var parameters: [PostgresValue] { [.int8(run), .int4Array(ordinals)] }
}

/// How a batch's quarantined records are written.
struct QuarantineFormat: Sendable {
    var format: RecordFormat
    /// Of a slice of a table: its records were rows of this dataset, each one object of NDJSON.
    var dataset: SliceDataset?
}

struct SliceDataset: Sendable {
    var workspaceID: Int64
    var name: String
}

struct FindBatchFormat: PostgresStatement {
    static let sql = """
        select b.format, s.workspace_id, s.name from millrace.batch b join millrace.source s on s.id = b.source_id
        where b.id = $1
        """
    var batchID: Int64

    var parameters: [PostgresValue] { [.int8(batchID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> QuarantineFormat {
        switch try row.text(0) {
        case "ndjson": QuarantineFormat(format: .ndjson)
        case "json": QuarantineFormat(format: .json)
        case "csv": QuarantineFormat(format: .csv)
        case "text": QuarantineFormat(format: .text)
        case "table":
            QuarantineFormat(
                format: .ndjson, dataset: SliceDataset(workspaceID: try row.int8(1), name: try row.text(2)))
        default: throw PostgresError(.decode, "a batch's format is not known here", doing: "find a batch's format")
        }
    }
}

/// The columns of a dataset, as a run over it would read them now. No row: it was removed.
struct FindSourceColumns: PostgresStatement {
    static let sql = """
        select c.names, c.types from millrace.dataset d
        cross join lateral (\(SourceDataset.columnsQuery)) c
        where d.workspace_id = $1 and d.name = $2
        """
    var workspaceID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> [TableColumn] {
        try TableColumn.columns(row, names: 0, types: 1)
    }
}
