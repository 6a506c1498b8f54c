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

/// Why records of a dataset's quarantine were turned down, most frequent reasons first. Times are µs since 2000-01-01
/// UTC.
///
/// Of at most `scanned` records, those of the newest batches: a quarantine may be long.
struct ListQuarantineReasons: PostgresStatement {
    struct Reason: Sendable {
        var pipeline: String
        var stage: String
        var code: String
        var step: String?
        var column: String?
        var records: Int
        var firstAt: Int64
        var lastAt: Int64
        /// Records that were looked at, whatever their reasons.
        var scanned: Int
    }

    static let scanned = 100_000
    /// The most reasons that are answered.
    static let maximum = 200

    static let sql = """
        with newest as (
            select q.pipeline_id, q.stage, q.errors, q.at from landing.quarantine q
            where q.dataset_id = $1 order by q.batch_id desc, q.row desc limit $2
        )
        select p.name, q.stage, e.code, e.step, e."column", count(*), min(q.at), max(q.at),
            (select count(*) from newest)
        from newest q
        join millrace.pipeline p on p.id = q.pipeline_id
        cross join lateral (
            select distinct coalesce(x ->> 'code', '') as code, x ->> 'step' as step, x ->> 'column' as "column"
            from jsonb_array_elements(q.errors) x) e
        group by p.name, q.stage, e.code, e.step, e."column"
        order by count(*) desc, p.name, q.stage, e.code, e.step, e."column" limit $3
        """
    var datasetID: Int64

    var parameters: [PostgresValue] { [.int8(datasetID), .int(Self.scanned), .int(Self.maximum)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Reason {
        Reason(
            pipeline: try row.text(0), stage: try row.text(1), code: try row.text(2), step: try row.optionalText(3),
            column: try row.optionalText(4), records: try row.int(5), firstAt: try row.timestamp(6),
            lastAt: try row.timestamp(7), scanned: try row.int(8))
    }
}

/// How many records each dataset has in quarantine, in the order in which they are given; of one with more than
/// `counted` that many.
struct CountQuarantined: PostgresStatement {
    static let counted = 10_000

    static let sql = """
        select (select count(*) from (
            select from landing.quarantine q where q.dataset_id = d.id limit $2) counted)
        from unnest($1::int8[]) with ordinality as d (id, place) order by d.place
        """
    var datasets: [StoredDataset]

    var parameters: [PostgresValue] { [.int8Array(datasets.map(\.id)), .int(Self.counted)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int { try row.int(0) }
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
    /// Of the trace that the batch came in; nil where it has none.
    var traceID: String?
}

/// Where a record of a batch came from, for each output that went into a dataset. No rows: the batch did not go there,
/// or has no such record.
struct FindLineage: PostgresStatement {
    static let sql = """
        select p.name, coalesce(h.version, a.version), a.output, a.state, s.name, b.request_ids[o.place], o.place - 1,
            b.upload_id, b.received_at, a.stored_at, split_part(b.trace, '-', 2)
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
            uploadID: try row.optionalInt8(7), receivedAt: try row.timestamp(8), storedAt: try row.optionalTimestamp(9),
            traceID: try row.optionalText(10))
    }
}
