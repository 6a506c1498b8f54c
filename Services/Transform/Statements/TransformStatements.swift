import Postgres

/// What a transform job works on.
struct TransformInput: Sendable {
    var batchID: Int64
    var pipelineID: Int64
    var pipeline: String
    var workspaceID: Int64
    var source: String
    /// The pipeline's current version: bound now.
    var version: Int32
    var definition: [UInt8]
    var receiptEnds: [Int32]
    var rawBytes: Int64
    /// The application is still to be transformed; false when a repeated job finds it done.
    var isOpen: Bool
}

/// Looks up what jobs work on, payloads left out. No row for a job whose pipeline or batch is gone.
struct FindTransformInputs: PostgresStatement {
    static let sql = """
        select j.batch, j.pipeline, p.name, p.workspace_id, s.name, p.version, v.definition, b.receipt_ends,
            b.raw_bytes,
            exists (select 1 from millrace.application a where a.batch_id = b.id and a.pipeline_id = p.id
                and a.output = 0 and a.state in ('accepted', 'failed'))
        from unnest($1::int8[], $2::int8[]) as j (batch, pipeline)
        join millrace.batch b on b.id = j.batch
        join millrace.pipeline p on p.id = j.pipeline
        join millrace.source s on s.id = p.source_id
        join millrace.pipeline_version v on v.pipeline_id = p.id and v.version = p.version
        """
    var batches: [Int64]
    var pipelines: [Int64]

    var parameters: [PostgresValue] { [.int8Array(batches), .int8Array(pipelines)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> TransformInput {
        TransformInput(
            batchID: try row.int8(0), pipelineID: try row.int8(1), pipeline: try row.text(2),
            workspaceID: try row.int8(3), source: try row.text(4), version: try row.int4(5),
            definition: try row.json(6), receiptEnds: try row.int4Array(7), rawBytes: try row.int8(8),
            isOpen: try row.bool(9))
    }
}

/// The encoded frames of batches.
struct FindPayloads: PostgresStatement {
    static let sql = "select batch_id, body from landing.payload where batch_id = any($1)"
    var batches: [Int64]

    var parameters: [PostgresValue] { [.int8Array(batches)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> (batchID: Int64, body: [UInt8]) {
        (try row.int8(0), try row.bytes(1))
    }
}

/// What one job's output left behind in the ledger.
struct ApplicationUpdate: Sendable {
    var batchID: Int64
    var pipelineID: Int64
    var version: Int32
    var datasetID: Int64
    /// Nothing is left to load: the output is stored at once.
    var isFinished: Bool
    var filtered: Int32
    var quarantined: Int32
    /// As `millrace.application.receipt_counts`.
    var receiptCounts: [Int32]?
}

/// Records that outputs are transformed. Affects fewer rows than there are updates when one is not open any more: a
/// replay may have made it. The arrays of receipt counts are passed as text, since an array of arrays must be
/// rectangular.
struct UpdateApplications: PostgresStatement {
    static let sql = """
        update millrace.application a
        set state = case when u.finished then 'stored' else 'transformed' end, version = u.version,
            dataset_id = u.dataset_id, stored = 0, filtered = u.filtered, quarantined = u.quarantined, duplicates = 0,
            receipt_counts = u.receipt_counts::int4[], error = null, transformed_at = now(),
            stored_at = case when u.finished then now() end
        from unnest($1::int8[], $2::int8[], $3::int4[], $4::int8[], $5::bool[], $6::int4[], $7::int4[], $8::text[])
            as u (batch_id, pipeline_id, version, dataset_id, finished, filtered, quarantined, receipt_counts)
        where a.batch_id = u.batch_id and a.pipeline_id = u.pipeline_id and a.output = 0
            and a.state in ('accepted', 'failed')
        """
    var updates: [ApplicationUpdate]

    var parameters: [PostgresValue] {
        [
            .int8Array(updates.map(\.batchID)), .int8Array(updates.map(\.pipelineID)),
            .int4Array(updates.map(\.version)), .int8Array(updates.map(\.datasetID)),
            .boolArray(updates.map(\.isFinished)), .int4Array(updates.map(\.filtered)),
            .int4Array(updates.map(\.quarantined)),
            .textArray(
                updates.map { update in
                    update.receiptCounts.map { "{" + $0.map(String.init).joined(separator: ",") + "}" }
                }),
        ]
    }
}

/// A dataset's chunk as it is handed to store.
struct NewChunk: Sendable {
    var workspaceID: Int64
    var batchID: Int64
    var pipelineID: Int64
    var version: Int32
    var datasetID: Int64
    var mode: PipelineDefinition.Mode
    var columns: [String]
    var types: [String]
    var rows: Int32
    var rawBytes: Int32
    /// Compressed.
    var body: [UInt8]
}

/// Inserts chunks of one workspace that have the same columns and mode, and a job for each that loads it.
struct InsertChunks: PostgresStatement {
    static let sql = """
        with chunk as (
            insert into landing.chunk (id, batch_id, pipeline_id, version, output, dataset_id, columns, types, rows,
                raw_bytes, body, mode)
            select nextval('landing.chunk_id'), c.batch_id, c.pipeline_id, c.version, 0, c.dataset_id, $2, $3, c.rows,
                c.raw_bytes, c.body, nullif($11, 'append')
            from unnest($4::int8[], $5::int8[], $6::int4[], $7::int8[], $8::int4[], $9::int4[], $10::bytea[])
                as c (batch_id, pipeline_id, version, dataset_id, rows, raw_bytes, body)
            returning id
        )
        select queue.enqueue('store', 'load', $1, array_agg(jsonb_build_object('chunk', id) order by id)) from chunk
        """
    /// Not empty; those of `grouped`.
    private let chunks: [NewChunk]

    /// One statement for each set of columns.
    static func grouped(_ chunks: [NewChunk]) -> [InsertChunks] {
        var groups: [[NewChunk]] = []
        for chunk in chunks {
            if let place = groups.firstIndex(where: { $0[0].fits(with: chunk) }) {
                groups[place].append(chunk)
            } else {
                groups.append([chunk])
            }
        }
        return groups.map(InsertChunks.init(chunks:))
    }

    var parameters: [PostgresValue] {
        [
            .int8(chunks[0].workspaceID), .textArray(chunks[0].columns), .textArray(chunks[0].types),
            .int8Array(chunks.map(\.batchID)), .int8Array(chunks.map(\.pipelineID)),
            .int4Array(chunks.map(\.version)), .int8Array(chunks.map(\.datasetID)), .int4Array(chunks.map(\.rows)),
            .int4Array(chunks.map(\.rawBytes)), .byteaArray(chunks.map(\.body)), .text(chunks[0].mode.rawValue),
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> [Int64] { try row.int8Array(0) }
}

extension NewChunk {
    fileprivate func fits(with other: NewChunk) -> Bool {
        workspaceID == other.workspaceID && columns == other.columns && types == other.types && mode == other.mode
    }
}

/// A record that was turned down.
struct QuarantinedRecord: Sendable {
    var batchID: Int64
    var row: Int32
    var pipelineID: Int64
    var version: Int32
    var datasetID: Int64
    var stage: String
    /// `[{"code", "step", "column", "message"}]`.
    var errors: [UInt8]
    var raw: [UInt8]
}

/// Quarantines records. A record that is quarantined already (by an earlier attempt of the same job) is replaced.
struct InsertQuarantine: PostgresStatement {
    static let sql = """
        insert into landing.quarantine (batch_id, row, pipeline_id, output, version, dataset_id, stage, errors, raw)
        select q.batch_id, q.row, q.pipeline_id, 0, q.version, q.dataset_id, q.stage, q.errors, q.raw
        from unnest($1::int8[], $2::int4[], $3::int8[], $4::int4[], $5::int8[], $6::text[], $7::jsonb[], $8::bytea[])
            as q (batch_id, row, pipeline_id, version, dataset_id, stage, errors, raw)
        on conflict (batch_id, pipeline_id, output, row) do update set version = excluded.version,
            dataset_id = excluded.dataset_id, stage = excluded.stage, errors = excluded.errors, at = now()
        """
    var records: [QuarantinedRecord]

    var parameters: [PostgresValue] {
        [
            .int8Array(records.map(\.batchID)), .int4Array(records.map(\.row)), .int8Array(records.map(\.pipelineID)),
            .int4Array(records.map(\.version)), .int8Array(records.map(\.datasetID)), .textArray(records.map(\.stage)),
            .jsonArray(records.map(\.errors)), .byteaArray(records.map(\.raw)),
        ]
    }
}

/// Marks an output as failed for good, with the reason.
struct FailApplication: PostgresStatement {
    static let sql = """
        update millrace.application set state = 'failed', error = left($3, 2000)
        where batch_id = $1 and pipeline_id = $2 and state <> 'stored'
        """
    var batchID: Int64
    var pipelineID: Int64
    var error: String

    var parameters: [PostgresValue] { [.int8(batchID), .int8(pipelineID), .text(error)] }
}
