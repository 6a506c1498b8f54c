import Postgres

/// Looks up chunks that are to replace outputs, as `FindChunks` gives them; their place in a run comes last. A heal's
/// chunk none of whose records is quarantined any more is superseded.
struct FindReplacements: PostgresStatement {
    static let sql = """
        select c.id, c.batch_id, c.pipeline_id, c.version, c.output, c.dataset_id, c.columns, c.types, c.rows,
            c.raw_bytes, case
                when not millrace.is_going_on(r.state, r.deadline) or b.state not in ('transformed', 'dead')
                    then 'settled'
                when exists (select from millrace.application a
                    where a.batch_id = c.batch_id and a.pipeline_id = c.pipeline_id
                        and (a.run_id > c.run or a.version > c.version)) then 'superseded'
                when b.state = 'transformed' and cardinality(c.tried) > 0 and not exists (
                    select from landing.quarantine q where q.batch_id = c.batch_id and q.pipeline_id = c.pipeline_id
                        and q.row = any(c.tried)) then 'superseded'
                when not exists (select from millrace.dataset d where d.id = c.dataset_id) then 'homeless'
                else 'wanted' end, coalesce(c.mode, 'append'), c.run, c.ordinal
        from landing.chunk c
        join millrace.run r on r.id = c.run
        join millrace.run_batch b on b.run = c.run and b.ordinal = c.ordinal
        where c.id = any($1)
        order by c.run, c.id
        """
    var ids: [Int64]

    var parameters: [PostgresValue] { [.int8Array(ids)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> ChunkHead {
        var head = try ChunkHead(row)
        head.runPlace = ChunkHead.RunPlace(run: try row.int8(12), ordinal: try row.int4(13))
        return head
    }
}

/// Enters outputs that there have not been: as stored, by nobody yet. Within the transaction that makes that true.
struct EnsureOutputs: PostgresStatement {
    static let sql = """
        insert into millrace.application (batch_id, pipeline_id, output, source_id, state, received)
        select c.batch_id, c.pipeline_id, c.output, b.source_id, 'stored', b.records
        from unnest($1::int8[], $2::int8[], $3::int2[]) as c (batch_id, pipeline_id, output)
        join millrace.batch b on b.id = c.batch_id
        on conflict do nothing
        """
    var chunks: [ChunkHead]

    var parameters: [PostgresValue] { chunks.map(\.place).parameters }
}

/// Where an output's rows are. `table` is nil where there are none, or their dataset was removed.
struct OutputPlace: Sendable {
    struct Table: Hashable, Sendable {
        var schema: String
        var name: String

        func delete(batches: [Int64], output: Int16) -> PostgresQuery {
            """
            delete from \(identifier: schema, name)
            where _batch = any(\(.int8Array(batches))) and _out = \(.int4(Int32(output)))
            """
        }
    }

    var place: ChunkHead.Place
    /// A later run or a later version made it.
    var isSuperseded: Bool
    var table: Table?
}

/// Locks all outputs that there are of batches.
struct LockOutputs: PostgresStatement {
    static let sql = """
        with locked as materialized (
            select a.batch_id, a.pipeline_id, a.output, a.dataset_id,
                coalesce(a.version > c.version or a.run_id > c.run, false) as superseded
            from millrace.application a
            join unnest($1::int8[], $2::int8[], $3::int4[], $4::int8[]) as c (batch_id, pipeline_id, version, run)
                on a.batch_id = c.batch_id and a.pipeline_id = c.pipeline_id
            order by a.batch_id, a.pipeline_id, a.output for no key update of a
        )
        select l.batch_id, l.pipeline_id, l.output, l.superseded, w.schema_name, d.name
        from locked l
        left join millrace.dataset d on d.id = l.dataset_id and d.table_created
        left join millrace.workspace w on w.id = d.workspace_id
        """
    /// A chunk of each.
    var batches: [ChunkHead]

    var parameters: [PostgresValue] {
        batches.batchParameters + [.int4Array(batches.map(\.version)), .int8Array(batches.runs)]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> OutputPlace {
        let table: OutputPlace.Table? =
            if let schema = try row.optionalText(4), let name = try row.optionalText(5) {
                OutputPlace.Table(schema: schema, name: name)
            } else {
                nil
            }
        return OutputPlace(
            place: ChunkHead.Place(batchID: try row.int8(0), pipelineID: try row.int8(1), output: try row.int2(2)),
            isSuperseded: try row.bool(3), table: table)
    }
}

/// Takes outputs out of the ledger that there are no more.
struct DropOutputs: PostgresStatement {
    static let sql = """
        delete from millrace.application a
        using unnest($1::int8[], $2::int8[], $3::int2[]) as c (batch_id, pipeline_id, output)
        where a.batch_id = c.batch_id and a.pipeline_id = c.pipeline_id and a.output = c.output
        """
    var places: [ChunkHead.Place]

    var parameters: [PostgresValue] { places.parameters }
}

/// A batch of which another pipeline's rows have the same lineage in the same dataset as what is replaced.
struct FindSharedOutput: PostgresStatement {
    static let sql = """
        select a.batch_id
        from unnest($1::int8[], $2::int8[]) as c (batch_id, pipeline_id)
        join millrace.application a on a.batch_id = c.batch_id and a.pipeline_id = c.pipeline_id
        join millrace.application o on o.batch_id = a.batch_id and o.pipeline_id <> a.pipeline_id
            and o.output = a.output and o.dataset_id = a.dataset_id and (o.stored > 0 or o.state <> 'stored')
        limit 1
        """
    /// A chunk of each.
    var batches: [ChunkHead]

    var parameters: [PostgresValue] { batches.batchParameters }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// Takes what pipelines quarantined of batches, and what is noted down of records that were healed.
struct DeleteQuarantine: PostgresStatement {
    static let sql = """
        with forgotten as (
            delete from millrace.healed h
            using unnest($1::int8[], $2::int8[]) as c (batch_id, pipeline_id)
            where h.batch_id = c.batch_id and h.pipeline_id = c.pipeline_id
        )
        delete from landing.quarantine q
        using unnest($1::int8[], $2::int8[]) as c (batch_id, pipeline_id)
        where q.batch_id = c.batch_id and q.pipeline_id = c.pipeline_id
        """
    /// A chunk of each.
    var batches: [ChunkHead]

    var parameters: [PostgresValue] { batches.batchParameters }
}

/// Quarantines the records that the chunks bring. Of one that is quarantined already the bytes stay.
struct MoveQuarantine: PostgresStatement {
    static let sql = """
        insert into landing.quarantine (batch_id, row, pipeline_id, output, version, dataset_id, stage, errors, raw)
        select c.batch_id, f.row, c.pipeline_id, c.output, c.version, c.dataset_id, f.stage, f.errors, f.raw
        from landing.chunk c
        cross join unnest(c.fault_rows, c.fault_stages, c.fault_errors, c.fault_raws) as f (row, stage, errors, raw)
        where c.id = any($1)
        on conflict (batch_id, pipeline_id, output, row) do update set version = excluded.version,
            dataset_id = excluded.dataset_id, stage = excluded.stage, errors = excluded.errors, at = now()
        """
    var chunks: [ChunkHead]

    var parameters: [PostgresValue] { [.int8Array(chunks.map(\.id))] }
}

/// Writes what the chunks say into the ledger: all their rows count as stored.
struct ReplaceOutputs: PostgresStatement {
    static let sql = """
        update millrace.application a set state = 'stored', version = c.version, dataset_id = c.dataset_id,
            received = coalesce(c.received, a.received), stored = c.rows, filtered = c.filtered,
            quarantined = c.quarantined, duplicates = coalesce(c.duplicates, 0),
            receipt_received = c.receipt_received, receipt_counts = c.receipt_counts, error = null,
            transformed_at = now(), stored_at = now(), run_id = c.run
        from landing.chunk c
        where c.id = any($1) and a.batch_id = c.batch_id and a.pipeline_id = c.pipeline_id and a.output = c.output
        """
    var chunks: [ChunkHead]

    var parameters: [PostgresValue] { [.int8Array(chunks.map(\.id))] }
}

/// Moves batches of runs on, out of the states in which chunks wait. Affects fewer rows than there are batches when one
/// of them does not wait any more.
struct MoveRunBatches: PostgresStatement {
    enum State: String, Sendable {
        case stored, superseded
    }

    static let sql = """
        update millrace.run_batch b set state = $3, error = null, dead_letter = null
        from unnest($1::int8[], $2::int4[]) as c (run, ordinal)
        where b.run = c.run and b.ordinal = c.ordinal and b.state in ('transformed', 'dead')
        """
    /// A chunk of each.
    var batches: [ChunkHead]
    var state: State

    init(batches: [ChunkHead], to state: State) {
        self.batches = batches
        self.state = state
    }

    var parameters: [PostgresValue] {
        [.int8Array(batches.runs), .int4Array(batches.ordinals), .text(state.rawValue)]
    }
}

/// Writes into the runs' batches what the ledger says of their outputs.
struct CountRunBatches: PostgresStatement {
    static let sql = """
        update millrace.run_batch b set stored = c.stored, filtered = c.filtered, quarantined = c.quarantined,
            duplicates = c.duplicates
        from (
            select c.run, c.ordinal, sum(a.stored) as stored, sum(a.filtered) as filtered,
                sum(a.quarantined) as quarantined, sum(a.duplicates) as duplicates
            from unnest($1::int8[], $2::int8[], $3::int8[], $4::int4[]) as c (batch_id, pipeline_id, run, ordinal)
            join millrace.application a on a.batch_id = c.batch_id and a.pipeline_id = c.pipeline_id
            group by c.run, c.ordinal
        ) c
        where b.run = c.run and b.ordinal = c.ordinal
        """
    /// A chunk of each.
    var batches: [ChunkHead]

    var parameters: [PostgresValue] {
        batches.batchParameters + [.int8Array(batches.runs), .int4Array(batches.ordinals)]
    }
}

/// Sends batches of runs of one kind back to transform, each with a job of its own after a delay, in which what
/// transform remembers of the dataset's schema runs out.
struct ReplayAgain: PostgresStatement {
    static let sql = """
        with back as (
            update millrace.run_batch b set state = 'queued', error = null, dead_letter = null
            from unnest($2::int8[], $3::int4[]) as c (run, ordinal)
            where b.run = c.run and b.ordinal = c.ordinal and b.state in ('transformed', 'dead')
            returning b.run, b.ordinal
        )
        select millrace.enqueue_jobs(b.run, $1, r.max_parallel, 'transform', $5,
            array_agg(jsonb_build_object('run', b.run, 'first', b.ordinal, 'count', 1) order by b.ordinal), $4)
        from back b join millrace.run r on r.id = b.run group by b.run, r.max_parallel
        """
    var workspaceID: Int64
    /// Of transform's jobs.
    var kind: String
    var chunks: [ChunkHead]
    /// In seconds.
    var delay: Double

    var parameters: [PostgresValue] {
        [.int8(workspaceID), .int8Array(chunks.runs), .int4Array(chunks.ordinals), .float8(delay), .text(kind)]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> [Int64] { try row.int8Array(0) }
}

/// Gives up the batch of a run that a chunk is for. Gives the run.
struct GiveUpReplacing: PostgresStatement {
    static let sql = """
        update millrace.run_batch b set state = 'dead', error = left($2, 2000), dead_letter = $3
        from landing.chunk c
        where c.id = $1 and b.run = c.run and b.ordinal = c.ordinal and b.state = 'transformed'
        returning b.run
        """
    var chunkID: Int64
    var error: String
    var job: Int64

    var parameters: [PostgresValue] { [.int8(chunkID), .text(error), .int8(job)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// Locks runs some of whose batches were moved, and moves the runs on. Gives those that are not going on any more.
struct AdvanceRuns: PostgresStatement {
    static let sql = "select millrace.advance_replays($1)"
    var runs: [Int64]

    var parameters: [PostgresValue] { [.int8Array(runs)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> [Int64] { try row.int8Array(0) }
}

extension [ChunkHead.Place] {
    /// Batches, pipelines and outputs.
    fileprivate var parameters: [PostgresValue] {
        [.int8Array(map(\.batchID)), .int8Array(map(\.pipelineID)), .int2Array(map(\.output))]
    }
}

extension [ChunkHead] {
    /// The first chunk of each batch of a run.
    var oneForEachBatch: [ChunkHead] {
        var seen: Set<ChunkHead.RunPlace?> = []
        return filter { seen.insert($0.runPlace).inserted }
    }

    var batchParameters: [PostgresValue] {
        [.int8Array(map(\.batchID)), .int8Array(map(\.pipelineID))]
    }

    var runs: [Int64] { map { $0.runPlace?.run ?? 0 } }
    var ordinals: [Int32] { map { $0.runPlace?.ordinal ?? 0 } }
}
