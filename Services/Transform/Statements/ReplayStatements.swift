import Postgres

/// A batch that a run has to transform. `input.isOpen` is always true.
struct ReplayInput: Sendable {
    var ordinal: Int32
    var input: TransformInput
    /// The run is not `running` yet.
    var isFirst: Bool
    /// The run fills a table beside the dataset's.
    var rebuilds: Bool
    /// Ordinals of the records that are read under this version, ascending; nil: all.
    var records: [Int32]?
    /// The outputs that are made anew; nil: all.
    var outputs: [Int16]?
    /// What would change is found out, and nothing does.
    var isDry: Bool
}

/// What a run takes again.
enum RunKind: String, Sendable {
    /// Whole batches: what becomes of them takes the place of what there was.
    case replay
    /// What is quarantined of batches: what becomes of it comes in addition.
    case heal

    /// The kind of store's jobs.
    ///
    /// - Parameter rebuilds: the run fills a table beside the dataset's.
    func storeJob(rebuilds: Bool) -> String {
        switch self {
        case .replay: rebuilds ? "rebuild" : "replace"
        case .heal: "heal"
        }
    }
}

/// The batches among a range of a run's that are still to be transformed, with the version that the run is bound to; in
/// a rebuilding run, with the pipeline and the version of each. No row where the run has ended.
struct FindReplayInputs: PostgresStatement {
    static let sql = """
        select n.ordinal, b.id, p.id, p.name, p.workspace_id, s.name, v.version, v.definition, b.receipt_ends,
            b.raw_bytes, b.received_at, r.state <> 'running', x.run is not null, x.records, r.dry_run, x.outputs::int4[]
        from millrace.run r
        join millrace.run_batch n on n.run = r.id
        left join millrace.rebuild_part x on x.run = n.run and x.ordinal = n.ordinal
        join millrace.batch b on b.id = n.batch
        join millrace.source s on s.id = b.source_id
        join millrace.pipeline p on p.id = coalesce(x.pipeline_id, r.pipeline_id)
        join millrace.pipeline_version v on v.pipeline_id = p.id and v.version = coalesce(x.version, r.version)
        where r.id = $1 and n.ordinal >= $2 and n.ordinal < $3 and n.state in ('queued', 'dead')
            and millrace.is_going_on(r.state, r.deadline)
        order by n.ordinal
        """
    var run: Int64
    var ordinals: Range<Int32>

    var parameters: [PostgresValue] { [.int8(run), .int4(ordinals.lowerBound), .int4(ordinals.upperBound)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> ReplayInput {
        ReplayInput(
            ordinal: try row.int4(0),
            input: TransformInput(
                batchID: try row.int8(1), pipelineID: try row.int8(2), pipeline: try row.text(3),
                workspaceID: try row.int8(4), source: try row.text(5), version: try row.int4(6),
                definition: try row.json(7), receiptEnds: try row.int4Array(8), rawBytes: try row.int8(9),
                receivedAt: try row.timestamp(10), isOpen: true),
            isFirst: try row.bool(11), rebuilds: try row.bool(12),
            records: row.isNull(13) ? nil : try row.int4Array(13),
            outputs: row.isNull(15) ? nil : try row.int4Array(15).map(Int16.init), isDry: try row.bool(14))
    }
}

/// Moves batches of a run to `transformed`. Affects fewer rows than there are ordinals when one was moved meanwhile.
struct MarkTransformed: PostgresStatement {
    static let sql = """
        update millrace.run_batch set state = 'transformed', error = null, dead_letter = null
        where run = $1 and ordinal = any($2) and state in ('queued', 'dead')
        """
    var run: Int64
    var ordinals: [Int32]

    var parameters: [PostgresValue] { [.int8(run), .int4Array(ordinals)] }
}

/// Draws ids for chunks.
struct NextChunkIDs: PostgresStatement {
    static let sql = "select nextval('landing.chunk_id') from generate_series(1, $1::int4)"
    var count: Int32

    var parameters: [PostgresValue] { [.int4(count)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// Hands to store what is to replace an output: rows, counts and quarantine in one chunk, which may be without rows.
struct InsertReplacement: PostgresStatement {
    static let sql = """
        insert into landing.chunk (id, batch_id, pipeline_id, version, output, dataset_id, columns, types, rows,
            raw_bytes, body, run, ordinal, received, filtered, quarantined, receipt_received, receipt_counts,
            fault_rows, fault_stages, fault_errors, fault_raws, mode, duplicates, tried, source)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
            $23, $24, $25, $26)
        """
    var id: Int64
    var run: Int64
    var ordinal: Int32
    var output: TransformedOutput
    /// Those of the output.
    var faults: [QuarantinedRecord]
    /// Ordinals of the records that a heal tried; nil for a replay.
    var tried: [Int32]?
    /// Of a slice whose rows a table may refuse: what it was made of, as COPY sent it, compressed.
    var source: [UInt8]?
    /// Of a chunk without rows.
    let emptyBody: [UInt8]

    /// Nil where the rows are not merged.
    private var mode: PipelineDefinition.Mode? { output.chunk.flatMap { $0.mode.merges ? $0.mode : nil } }

    var parameters: [PostgresValue] {
        let ledger = output.application
        let chunk = output.chunk
        return [
            .int8(id), .int8(ledger.batchID), .int8(ledger.pipelineID), .int4(ledger.version), .int2(ledger.output),
            .int8(ledger.datasetID), .textArray(chunk?.columns ?? []), .textArray(chunk?.types ?? []),
            .int4(chunk?.rows ?? 0), .int4(chunk?.rawBytes ?? 0), .bytes(chunk?.body ?? emptyBody), .int8(run),
            .int4(ordinal), .int4(ledger.received), .int4(ledger.filtered), .int4(ledger.quarantined),
            .optional(ledger.receiptReceived) { .int4Array($0) }, .optional(ledger.receiptCounts) { .int4Array($0) },
            .int4Array(faults.map(\.row)), .textArray(faults.map(\.stage)), .jsonArray(faults.map(\.errors)),
            .byteaArray(faults.map(\.raw)), .optional(mode) { .text($0.rawValue) },
            .int4(ledger.duplicates), .optional(tried) { .int4Array($0) },
            .optional(source) { .bytes($0) },
        ]
    }
}

/// Enqueues the jobs that store what became of batches of a run, one for each with all its outputs' chunks.
struct EnqueueReplacements: PostgresStatement {
    static let sql = """
        select millrace.enqueue_jobs($2, $1, (select r.max_parallel from millrace.run r where r.id = $2), 'store', $5,
            array_agg(job order by ordinal))
        from (
            select c.ordinal, jsonb_build_object('chunks', jsonb_agg(c.id order by c.place), 'run', $2::int8,
                'ordinal', c.ordinal) as job
            from unnest($3::int8[], $4::int4[]) with ordinality as c (id, ordinal, place) group by c.ordinal
        ) batch
        """
    var workspaceID: Int64
    /// Of store's jobs.
    var kind: String
    /// Of one run.
    var chunks: [InsertReplacement]

    var parameters: [PostgresValue] {
        [
            .int8(workspaceID), .int8(chunks[0].run), .int8Array(chunks.map(\.id)), .int4Array(chunks.map(\.ordinal)),
            .text(kind),
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> [Int64] { try row.int8Array(0) }
}

/// Gives up what of a range of a run's batches could not be transformed.
struct GiveUpTransforming: PostgresStatement {
    static let sql = """
        update millrace.run_batch set state = 'dead', error = left($4, 2000), dead_letter = $5
        where run = $1 and ordinal >= $2 and ordinal < $3 and state = 'queued'
        """
    var run: Int64
    var ordinals: Range<Int32>
    var error: String
    var job: Int64

    var parameters: [PostgresValue] {
        [.int8(run), .int4(ordinals.lowerBound), .int4(ordinals.upperBound), .text(error), .int8(job)]
    }
}
