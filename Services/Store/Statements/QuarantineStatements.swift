import Postgres

/// A quarantined record as `/v1/datasets/{name}/quarantine` shows it. The time is µs since 2000-01-01 UTC.
struct QuarantinedRecord: Sendable {
    var batchID: Int64
    var row: Int32
    var pipelineID: Int64
    var output: Int16
    var pipeline: String
    var version: Int32
    var stage: String
    var errors: [UInt8]
    var raw: [UInt8]
    var at: Int64
}

/// A page of a dataset's quarantine, by batch and row. The page ends early where the raw records before a record take
/// more than `bytes`.
struct ListQuarantine: PostgresStatement {
    static let sql = """
        select batch_id, row, pipeline_id, output, pipeline, version, stage, errors, raw, at from (
            select q.batch_id, q.row, q.pipeline_id, q.output, p.name as pipeline, q.version, q.stage, q.errors, q.raw,
                q.at, sum(octet_length(q.raw)) over (order by q.batch_id, q.row, q.pipeline_id, q.output) as size
            from (
                select * from landing.quarantine q
                where q.dataset_id = $1 and (q.batch_id, q.row, q.pipeline_id, q.output) > ($2, $3, $4, $5)
                    and ($6::text is null or q.stage = $6)
                order by q.batch_id, q.row, q.pipeline_id, q.output limit $7
            ) q join millrace.pipeline p on p.id = q.pipeline_id
        ) page where size - octet_length(raw) <= $8
        order by batch_id, row, pipeline_id, output
        """
    var datasetID: Int64
    var after: (batchID: Int64, row: Int32, pipelineID: Int64, output: Int16)
    var stage: String?
    var limit: Int32
    var bytes: Int64

    var parameters: [PostgresValue] {
        [
            .int8(datasetID), .int8(after.batchID), .int4(after.row), .int8(after.pipelineID), .int2(after.output),
            .optional(stage) { .text($0) }, .int4(limit), .int8(bytes),
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> QuarantinedRecord {
        QuarantinedRecord(
            batchID: try row.int8(0), row: try row.int4(1), pipelineID: try row.int8(2), output: try row.int2(3),
            pipeline: try row.text(4), version: try row.int4(5), stage: try row.text(6), errors: try row.json(7),
            raw: try row.bytes(8), at: try row.timestamp(9))
    }
}

/// What one output of one pipeline made of a batch, with the request that a record came in. Times are µs since
/// 2000-01-01 UTC.
struct LineageEntry: Sendable {
    var pipeline: String
    var version: Int32?
    var output: Int16
    var state: String
    var source: String
    var requestID: String
    /// The place of the request among those of the batch.
    var ordinal: Int32
    var uploadID: Int64?
    var receivedAt: Int64
    var storedAt: Int64?
}

/// Where a record of a batch came from, for each output that went into a dataset. No rows: the batch did not go there,
/// or has no such record.
struct FindLineage: PostgresStatement {
    static let sql = """
        select p.name, coalesce(h.version, a.version), a.output, a.state, s.name, b.request_ids[o.place], o.place - 1,
            b.upload_id, b.received_at, a.stored_at
        from millrace.batch b
        join millrace.source s on s.id = b.source_id
        join millrace.application a on a.batch_id = b.id
        join millrace.pipeline p on p.id = a.pipeline_id
        cross join lateral (
            select count(*)::int4 + 1 as place from unnest(b.receipt_ends) as e (ending) where e.ending <= $4
        ) o
        left join lateral (
            select max(h.version) as version from millrace.healed h
            where h.batch_id = b.id and h.pipeline_id = a.pipeline_id and $4 = any(h.rows)
        ) h on true
        where b.id = $3 and s.workspace_id = $1 and a.dataset_id = $2 and $4 between 0 and b.records - 1
        order by p.name, a.output
        """
    var workspaceID: Int64
    var datasetID: Int64
    var batchID: Int64
    var row: Int32

    var parameters: [PostgresValue] { [.int8(workspaceID), .int8(datasetID), .int8(batchID), .int4(row)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> LineageEntry {
        LineageEntry(
            pipeline: try row.text(0), version: try row.optionalInt4(1), output: try row.int2(2),
            state: try row.text(3), source: try row.text(4), requestID: try row.text(5), ordinal: try row.int4(6),
            uploadID: try row.optionalInt8(7), receivedAt: try row.timestamp(8), storedAt: try row.optionalTimestamp(9))
    }
}
