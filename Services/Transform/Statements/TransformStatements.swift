import Postgres

/// What a transform job works on.
struct TransformInput: Sendable {
    var batchID: Int64
    var pipelineID: Int64
    var pipeline: String
    var workspaceID: Int64
    var source: String
    /// The pipeline's current version: bound now. Where some outputs were made before, theirs.
    var version: Int32
    var definition: [UInt8]
    var receiptEnds: [Int32]
    var rawBytes: Int64
    /// When the records came, in µs since 2000-01-01 UTC.
    var receivedAt: Int64
    /// An output is still to be made; false when a repeated job finds all done.
    var isOpen: Bool
    /// The batch was transformed before: chunks of it did not fit their tables.
    var isRepeated = false
    /// The outputs that were made before and are not to be made again.
    var closed: [Int16] = []

    var standing: StandingOutput? {
        closed.min().map {
            StandingOutput(batchID: batchID, pipelineID: pipelineID, output: $0, version: version)
        }
    }
}

/// An output that was made before, by a version.
struct StandingOutput: Sendable {
    var batchID: Int64
    var pipelineID: Int64
    var output: Int16
    var version: Int32
}

/// Looks up what jobs work on, payloads left out. No row for a job whose pipeline or batch is gone.
struct FindTransformInputs: PostgresStatement {
    static let sql = """
        select j.batch, j.pipeline, p.name, p.workspace_id, s.name, v.version, v.definition, b.receipt_ends,
            b.raw_bytes, b.received_at, coalesce(a.is_open, false), coalesce(a.is_repeated, false),
            coalesce(a.closed, '{}')
        from unnest($1::int8[], $2::int8[]) as j (batch, pipeline)
        join millrace.batch b on b.id = j.batch
        join millrace.pipeline p on p.id = j.pipeline
        join millrace.source s on s.id = p.source_id
        cross join lateral (
            select bool_or(a.state in ('accepted', 'failed')) as is_open, bool_or(a.version is not null) as is_repeated,
                array_agg(a.output::int4) filter (where a.state in ('transformed', 'stored')) as closed,
                max(a.version) filter (where a.state in ('transformed', 'stored')) as version
            from millrace.application a where a.batch_id = b.id and a.pipeline_id = p.id
        ) a
        join millrace.pipeline_version v on v.pipeline_id = p.id and v.version = coalesce(a.version, p.version)
        """
    var batches: [Int64]
    var pipelines: [Int64]

    var parameters: [PostgresValue] { [.int8Array(batches), .int8Array(pipelines)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> TransformInput {
        TransformInput(
            batchID: try row.int8(0), pipelineID: try row.int8(1), pipeline: try row.text(2),
            workspaceID: try row.int8(3), source: try row.text(4), version: try row.int4(5),
            definition: try row.json(6), receiptEnds: try row.int4Array(7), rawBytes: try row.int8(8),
            receivedAt: try row.timestamp(9), isOpen: try row.bool(10), isRepeated: try row.bool(11),
            closed: try row.int4Array(12).map { Int16($0) })
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

/// What a job leaves behind in the ledger of one output.
struct ApplicationUpdate: Sendable {
    var batchID: Int64
    var pipelineID: Int64
    var output: Int16
    var version: Int32
    var datasetID: Int64
    /// Nothing is left to load: the output is stored at once.
    var isFinished: Bool
    /// Records that count in this output.
    var received: Int32
    var filtered: Int32
    var quarantined: Int32
    var duplicates: Int32
    /// As in `millrace.application`.
    var receiptReceived: [Int32]?
    var receiptCounts: [Int32]?
}

extension [ApplicationUpdate] {
    /// The arrays that ``ledgerRows`` names. Arrays of receipts are passed as text, since an array of arrays must be
    /// rectangular.
    fileprivate var parameters: [PostgresValue] {
        [
            .int8Array(map(\.batchID)), .int8Array(map(\.pipelineID)), .int2Array(map(\.output)),
            .int4Array(map(\.version)), .int8Array(map(\.datasetID)), .boolArray(map(\.isFinished)),
            .int4Array(map(\.received)), .int4Array(map(\.filtered)), .int4Array(map(\.quarantined)),
            .int4Array(map(\.duplicates)), .textArray(map { Self.literal($0.receiptReceived) }),
            .textArray(map { Self.literal($0.receiptCounts) }),
        ]
    }

    fileprivate static let rows = """
        unnest($1::int8[], $2::int8[], $3::int2[], $4::int4[], $5::int8[], $6::bool[], $7::int4[], $8::int4[],
            $9::int4[], $10::int4[], $11::text[], $12::text[])
            as u (batch_id, pipeline_id, output, version, dataset_id, finished, received, filtered, quarantined,
                duplicates, receipt_received, receipt_counts)
        """

    private static func literal(_ counts: [Int32]?) -> String? {
        counts.map { "{" + $0.map(String.init).joined(separator: ",") + "}" }
    }
}

/// Records that outputs are transformed. Affects fewer rows than there are updates when one is not open any more: a
/// replay may have made it.
struct UpdateApplications: PostgresStatement {
    static let sql = """
        update millrace.application a
        set state = case when u.finished then 'stored' else 'transformed' end, version = u.version,
            dataset_id = u.dataset_id, received = u.received, stored = 0, filtered = u.filtered,
            quarantined = u.quarantined, duplicates = u.duplicates, receipt_received = u.receipt_received::int4[],
            receipt_counts = u.receipt_counts::int4[], error = null, transformed_at = now(),
            stored_at = case when u.finished then now() end
        from \([ApplicationUpdate].rows)
        where a.batch_id = u.batch_id and a.pipeline_id = u.pipeline_id and a.output = u.output
            and a.state in ('accepted', 'failed')
        """
    var updates: [ApplicationUpdate]

    var parameters: [PostgresValue] { updates.parameters }
}

/// Enters outputs other than the first, as transformed. Affects fewer rows than there are updates when one is there
/// already: a replay may have made it.
struct InsertApplications: PostgresStatement {
    static let sql = """
        insert into millrace.application (batch_id, pipeline_id, output, source_id, state, version, dataset_id,
            received, filtered, quarantined, duplicates, receipt_received, receipt_counts, transformed_at, stored_at)
        select u.batch_id, u.pipeline_id, u.output, b.source_id,
            case when u.finished then 'stored' else 'transformed' end, u.version, u.dataset_id, u.received, u.filtered,
            u.quarantined, u.duplicates, u.receipt_received::int4[], u.receipt_counts::int4[], now(),
            case when u.finished then now() end
        from \([ApplicationUpdate].rows)
        join millrace.batch b on b.id = u.batch_id
        order by u.batch_id, u.pipeline_id, u.output
        on conflict do nothing
        """
    var updates: [ApplicationUpdate]

    var parameters: [PostgresValue] { updates.parameters }
}

/// Takes what earlier transformations of batches left behind of the outputs that are open: their quarantined records,
/// and their rows of the ledger but the first one's.
struct ForgetOutputs: PostgresStatement {
    static let sql = """
        with made as (
            select b.batch_id, b.pipeline_id, a.output
            from unnest($1::int8[], $2::int8[]) as b (batch_id, pipeline_id)
            join millrace.application a on a.batch_id = b.batch_id and a.pipeline_id = b.pipeline_id
            where a.output = 0 and a.transformed_at = now() or a.output > 0 and a.state in ('accepted', 'failed')
            for update of a
        ), records as (
            delete from landing.quarantine q using made m
            where q.batch_id = m.batch_id and q.pipeline_id = m.pipeline_id and q.output = m.output
        )
        delete from millrace.application a using made m
        where a.batch_id = m.batch_id and a.pipeline_id = m.pipeline_id and a.output = m.output and a.output > 0
        """
    var batches: [TransformedBatch]

    var parameters: [PostgresValue] {
        let ledger = batches.compactMap(\.outputs.first?.application)
        return [.int8Array(ledger.map(\.batchID)), .int8Array(ledger.map(\.pipelineID))]
    }
}

/// Locks outputs that were made before. Affects fewer rows than there are outputs when one was made anew meanwhile.
struct HoldOutputs: PostgresStatement {
    static let sql = """
        select from millrace.application a
        join unnest($1::int8[], $2::int8[], $3::int2[], $4::int4[]) as s (batch_id, pipeline_id, output, version)
            on a.batch_id = s.batch_id and a.pipeline_id = s.pipeline_id and a.output = s.output
                and a.version = s.version
        where a.state in ('transformed', 'stored')
        order by a.batch_id, a.pipeline_id, a.output for no key update of a
        """
    var outputs: [StandingOutput]

    var parameters: [PostgresValue] {
        [
            .int8Array(outputs.map(\.batchID)), .int8Array(outputs.map(\.pipelineID)),
            .int2Array(outputs.map(\.output)), .int4Array(outputs.map(\.version)),
        ]
    }
}

/// A dataset's chunk as it is handed to store.
struct NewChunk: Sendable {
    var workspaceID: Int64
    var batchID: Int64
    var pipelineID: Int64
    var output: Int16
    var version: Int32
    var datasetID: Int64
    var mode: PipelineDefinition.Mode
    var columns: [String]
    var types: [String]
    var rows: Int32
    var rawBytes: Int32
    /// Compressed.
    var body: [UInt8]
    /// Where it follows from, if that is recorded: a W3C traceparent.
    var trace: String?
}

/// Inserts chunks of one workspace that have the same columns, mode and trace, and a job for each that loads it.
struct InsertChunks: PostgresStatement {
    static let sql = """
        with chunk as (
            insert into landing.chunk (id, batch_id, pipeline_id, version, output, dataset_id, columns, types, rows,
                raw_bytes, body, mode)
            select nextval('landing.chunk_id'), c.batch_id, c.pipeline_id, c.version, c.output, c.dataset_id, $2, $3,
                c.rows, c.raw_bytes, c.body, nullif($12, 'append')
            from unnest($4::int8[], $5::int8[], $6::int2[], $7::int4[], $8::int8[], $9::int4[], $10::int4[],
                $11::bytea[]) as c (batch_id, pipeline_id, output, version, dataset_id, rows, raw_bytes, body)
            returning id
        )
        select queue.enqueue('store', 'load', $1, array_agg(jsonb_build_object('chunk', id) order by id),
            in_trace => $13::text)
        from chunk
        """
    /// Not empty; those of `grouped`.
    private let chunks: [NewChunk]

    /// One statement for each set of columns and each trace that is recorded.
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
            .int2Array(chunks.map(\.output)), .int4Array(chunks.map(\.version)),
            .int8Array(chunks.map(\.datasetID)), .int4Array(chunks.map(\.rows)), .int4Array(chunks.map(\.rawBytes)),
            .byteaArray(chunks.map(\.body)), .text(chunks[0].mode.rawValue),
            chunks[0].trace.map { .text($0) } ?? .null,
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> [Int64] { try row.int8Array(0) }
}

extension NewChunk {
    fileprivate func fits(with other: NewChunk) -> Bool {
        workspaceID == other.workspaceID && columns == other.columns && types == other.types && mode == other.mode
            && trace == other.trace
    }
}

/// A record that was turned down.
struct QuarantinedRecord: Sendable {
    var batchID: Int64
    var row: Int32
    var pipelineID: Int64
    var output: Int16
    var version: Int32
    var datasetID: Int64
    var stage: String
    /// The code of the first error.
    var reason: String
    /// `[{"code", "step", "column", "message"}]`.
    var errors: [UInt8]
    var raw: [UInt8]
}

/// Quarantines records. A record that is quarantined already (by an earlier attempt of the same job) is replaced.
struct InsertQuarantine: PostgresStatement {
    static let sql = """
        insert into landing.quarantine (batch_id, row, pipeline_id, output, version, dataset_id, stage, errors, raw)
        select q.batch_id, q.row, q.pipeline_id, q.output, q.version, q.dataset_id, q.stage, q.errors, q.raw
        from unnest($1::int8[], $2::int4[], $3::int8[], $4::int2[], $5::int4[], $6::int8[], $7::text[], $8::jsonb[],
            $9::bytea[]) as q (batch_id, row, pipeline_id, output, version, dataset_id, stage, errors, raw)
        on conflict (batch_id, pipeline_id, output, row) do update set version = excluded.version,
            dataset_id = excluded.dataset_id, stage = excluded.stage, errors = excluded.errors, at = now()
        """
    var records: [QuarantinedRecord]

    var parameters: [PostgresValue] {
        [
            .int8Array(records.map(\.batchID)), .int4Array(records.map(\.row)), .int8Array(records.map(\.pipelineID)),
            .int2Array(records.map(\.output)), .int4Array(records.map(\.version)),
            .int8Array(records.map(\.datasetID)), .textArray(records.map(\.stage)),
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
