import Postgres

/// Gives up slices of runs whose chunks fit no table any more. Gives the runs.
struct GiveUpSlices: PostgresStatement {
    static let sql = """
        update millrace.run_batch b set state = 'dead', error = left($2, 2000), dead_letter = null
        from landing.chunk c
        where c.id = any($1) and b.run = c.run and b.ordinal = c.ordinal and b.state in ('transformed', 'dead')
        returning b.run
        """
    var chunks: [ChunkHead]
    var error: String

    var parameters: [PostgresValue] { [.int8Array(chunks.map(\.id)), .text(error)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// A run whose rows are to take the place of a dataset's.
struct ReplacingRun: Sendable {
    var workspaceID: Int64
    var pipelineID: Int64
    var pipeline: String
    var dataset: String
    /// Nil where the dataset was removed, or was never made.
    var datasetID: Int64?
}

/// The run, while it is going on. No row for one that has ended.
struct FindReplacingRun: PostgresStatement {
    static let sql = """
        select r.workspace_id, r.pipeline_id, p.name, v.definition #>> '{target,dataset}', d.id
        from millrace.run r
        join millrace.pipeline p on p.id = r.pipeline_id
        join millrace.pipeline_version v on v.pipeline_id = r.pipeline_id and v.version = r.version
        left join millrace.dataset d on d.workspace_id = r.workspace_id
            and d.name = v.definition #>> '{target,dataset}'
        where r.id = $1 and r.released and millrace.is_going_on(r.state, r.deadline)
        """
    var run: Int64

    var parameters: [PostgresValue] { [.int8(run)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> ReplacingRun {
        ReplacingRun(
            workspaceID: try row.int8(0), pipelineID: try row.int8(1), pipeline: try row.text(2),
            dataset: try row.text(3), datasetID: try row.optionalInt8(4))
    }
}

/// A run's chunks in the order of its slices, bodies left out, as `FindReplacements` gives them.
struct FindRunChunks: PostgresStatement {
    static let sql = """
        select c.id, c.batch_id, c.pipeline_id, c.version, c.output, c.dataset_id, c.columns, c.types, c.rows,
            c.raw_bytes, 'wanted', coalesce(c.mode, 'append'), c.run, c.ordinal
        from millrace.run_batch b join landing.chunk c on c.id = b.chunk
        where b.run = $1 and b.state in ('transformed', 'dead') order by b.ordinal
        """
    var run: Int64

    var parameters: [PostgresValue] { [.int8(run)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> ChunkHead { try FindReplacements.decode(row) }
}

/// A run of the same pipeline that was made later and has put its rows in place, or a pipeline besides it that writes
/// into the dataset: why a run may not take the place of what is there.
struct FindReplacingObstacle: PostgresStatement {
    static let sql = """
        select 'run ' || r.id || ' of this pipeline, which was made later, has replaced the rows'
        from millrace.run r where r.pipeline_id = $2 and r.id > $1 and r.kind = 'run' and r.state = 'succeeded'
        union all
        select 'the pipeline ' || p.name || ' writes into the dataset, too'
        from millrace.pipeline p
        join millrace.pipeline_version v on v.pipeline_id = p.id and v.version = p.version
        where p.workspace_id = $3 and p.active and p.id <> $2
            and exists (select from millrace.targets(v.definition) t where t.dataset = $4)
        limit 1
        """
    var run: Int64
    var replacing: ReplacingRun

    var parameters: [PostgresValue] {
        [.int8(run), .int8(replacing.pipelineID), .int8(replacing.workspaceID), .text(replacing.dataset)]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> String { try row.text(0) }
}

/// Takes what earlier runs of a pipeline quarantined for a dataset.
struct DeleteEarlierQuarantine: PostgresStatement {
    static let sql = """
        delete from landing.quarantine q where q.dataset_id = $1 and q.pipeline_id = $2
            and not exists (select from millrace.run_batch b where b.run = $3 and b.batch = q.batch_id)
        """
    var datasetID: Int64
    var pipelineID: Int64
    var run: Int64

    var parameters: [PostgresValue] { [.int8(datasetID), .int8(pipelineID), .int8(run)] }
}

/// Gives up the slices of a run that wait to take a dataset's place; the run has failed.
struct GiveUpRun: PostgresStatement {
    static let sql = """
        with given as (
            update millrace.run_batch b set state = 'dead', error = left($2, 2000), dead_letter = $3
            where b.run = $1 and b.state = 'transformed'
        )
        select from millrace.fail_run($1, $2)
        """
    var run: Int64
    var error: String
    var job: Int64

    var parameters: [PostgresValue] { [.int8(run), .text(error), .int8(job)] }
}
