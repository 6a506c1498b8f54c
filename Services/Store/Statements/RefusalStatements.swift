import Postgres
import Records

/// A record that the dataset's table refused.
struct RefusedRecord: Sendable {
    var batchID: Int64
    var row: Int32
    var pipelineID: Int64
    var output: Int16
    var version: Int32
    var datasetID: Int64
    /// `[{"code", "step", "column", "message"}]`.
    var errors: [UInt8]
    /// Empty where the raw bytes have expired.
    var raw: [UInt8]
}

/// Quarantines records at the stage `store`. Where the raw bytes have expired, a record that was quarantined before,
/// and is being healed, keeps those that it had.
struct QuarantineRefused: PostgresStatement {
    static let sql = """
        insert into landing.quarantine (batch_id, row, pipeline_id, output, version, dataset_id, stage, errors, raw)
        select q.batch_id, q.row, q.pipeline_id, q.output, q.version, q.dataset_id, 'store', q.errors,
            case when q.raw <> '' then q.raw else coalesce((select o.raw from landing.quarantine o
                where o.batch_id = q.batch_id and o.pipeline_id = q.pipeline_id and o.row = q.row
                order by o.output limit 1), '') end
        from unnest($1::int8[], $2::int4[], $3::int8[], $4::int2[], $5::int4[], $6::int8[], $7::jsonb[], $8::bytea[])
            as q (batch_id, row, pipeline_id, output, version, dataset_id, errors, raw)
        on conflict (batch_id, pipeline_id, output, row) do update set version = excluded.version,
            dataset_id = excluded.dataset_id, stage = excluded.stage, errors = excluded.errors, at = now()
        """
    var records: [RefusedRecord]

    var parameters: [PostgresValue] {
        [
            .int8Array(records.map(\.batchID)), .int4Array(records.map(\.row)), .int8Array(records.map(\.pipelineID)),
            .int2Array(records.map(\.output)), .int4Array(records.map(\.version)),
            .int8Array(records.map(\.datasetID)), .jsonArray(records.map(\.errors)), .byteaArray(records.map(\.raw)),
        ]
    }
}

/// What a slice of a table was made of.
struct SliceSource: Sendable {
    var columns: [(name: String, type: ColumnType)]
    /// As COPY sent it, compressed.
    var body: [UInt8]
}

/// What a chunk's slice was made of. No row where that is not kept.
struct FindSliceSource: PostgresStatement {
    static let sql = """
        select c.source, r.columns, r.types from landing.chunk c join millrace.run r on r.id = c.run
        where c.id = $1 and c.source is not null
        """
    var chunkID: Int64

    var parameters: [PostgresValue] { [.int8(chunkID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> SliceSource {
        var columns: [(name: String, type: ColumnType)] = []
        for (name, type) in zip(try row.textArray(1), try row.textArray(2)) {
            guard let type = ColumnType(rawValue: type) else {
                throw PostgresError(.decode, "a column's type is not known here", doing: "find a slice's rows")
            }
            columns.append((name, type))
        }
        return SliceSource(columns: columns, body: try row.bytes(0))
    }
}

/// A batch's encoded frame; no row when it has expired.
struct FindRawBatch: PostgresStatement {
    static let sql = "select body from landing.payload where batch_id = $1"
    var batchID: Int64

    var parameters: [PostgresValue] { [.int8(batchID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> [UInt8] { try row.bytes(0) }
}
