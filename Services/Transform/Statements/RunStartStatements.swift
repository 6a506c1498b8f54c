import Postgres

/// An active pipeline that a run is made for; locked, so that of two runs the second sees the first.
struct LockRunPipeline: PostgresStatement {
    static let sql = """
        select \(StoredPipeline.columns) from \(StoredPipeline.tables)
        where p.id = $1 and p.active for no key update of p
        """
    var id: Int64

    var parameters: [PostgresValue] { [.int8(id)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredPipeline { try StoredPipeline(row) }
}

struct NextRunID: PostgresStatement {
    static let sql = "select nextval('millrace.run_id')"
    var parameters: [PostgresValue] { [] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// What became of choosing a run's batches.
struct ChosenBatches: Sendable {
    /// The run's, in the order of their ids.
    var count: Int64
    var expired: Int64
    /// The first of those whose raw bytes have expired.
    var firstExpired: [Int64]
}

/// Notes down the batches of a source that were received in a span of time. Those whose raw bytes have expired are left
/// out; more than `limit` are not looked at.
struct ChooseBatchesByTime: PostgresStatement {
    static let sql = """
        with chosen as (
            select b.id, exists (select from landing.expired e
                where e.parent = 'payload' and b.id >= e.low and b.id < e.high) as expired
            from millrace.batch b left join millrace.upload u on u.id = b.upload_id
            where b.source_id = $2 and b.received_at >= $3 and b.received_at < $4
                and (u.id is null or u.state = 'accepted')
            order by b.id limit $5
        ), made as (
            insert into millrace.run_batch (run, ordinal, batch, state)
            select $1, row_number() over (order by id) - 1, id, 'queued' from chosen where not expired
        )
        select count(*) filter (where not expired), count(*) filter (where expired),
            coalesce((array_agg(id order by id) filter (where expired))[1:100], '{}')
        from chosen
        """
    var run: Int64
    var sourceID: Int64
    /// In µs since 2000-01-01 UTC; the end is not within.
    var span: Range<Int64>
    var limit: Int64

    var parameters: [PostgresValue] {
        [
            .int8(run), .int8(sourceID), .timestamp(microsSince2000: span.lowerBound),
            .timestamp(microsSince2000: span.upperBound), .int8(limit),
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> ChosenBatches {
        ChosenBatches(count: try row.int8(0), expired: try row.int8(1), firstExpired: try row.int8Array(2))
    }
}

/// The same for batches by their ids, each named once. Those that are not the source's are left out, too.
struct ChooseBatchesByID: PostgresStatement {
    static let sql = """
        with chosen as (
            select b.id, exists (select from landing.expired e
                where e.parent = 'payload' and b.id >= e.low and b.id < e.high) as expired
            from millrace.batch b left join millrace.upload u on u.id = b.upload_id
            where b.id = any($3) and b.source_id = $2 and (u.id is null or u.state = 'accepted')
        ), made as (
            insert into millrace.run_batch (run, ordinal, batch, state)
            select $1, row_number() over (order by id) - 1, id, 'queued' from chosen where not expired
        )
        select count(*) filter (where not expired), count(*) filter (where expired),
            coalesce((array_agg(id order by id) filter (where expired))[1:100], '{}'),
            array(select given from unnest($3) given where given not in (select id from chosen))
        from chosen
        """
    var run: Int64
    var sourceID: Int64
    var batches: [Int64]

    var parameters: [PostgresValue] { [.int8(run), .int8(sourceID), .int8Array(batches)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> (chosen: ChosenBatches, unknown: [Int64]) {
        let chosen = ChosenBatches(
            count: try row.int8(0), expired: try row.int8(1), firstExpired: try row.int8Array(2))
        return (chosen, try row.int8Array(3))
    }
}

/// Another run of the pipeline that is going on over one of the same batches.
struct FindOverlap: PostgresStatement {
    static let sql = """
        select r.id from millrace.run r
        where r.pipeline_id = $2 and r.id <> $1 and r.state in ('queued', 'running') and not r.dry_run
            and coalesce(r.deadline > clock_timestamp(), true)
            and exists (select from millrace.run_batch o join millrace.run_batch n on n.batch = o.batch
                where o.run = r.id and n.run = $1)
        order by r.id limit 1
        """
    var run: Int64
    var pipelineID: Int64

    var parameters: [PostgresValue] { [.int8(run), .int8(pipelineID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// How rows of one of the run's batches met those with their key, if it was by the key.
struct FindMergedMode: PostgresStatement {
    static let sql = """
        select t.mode
        from (
            select distinct a.version from millrace.run_batch n
            join millrace.application a on a.batch_id = n.batch and a.pipeline_id = $2
            where n.run = $1 and a.version is not null
        ) a
        join millrace.pipeline_version v on v.pipeline_id = $2 and v.version = a.version
        cross join millrace.targets(v.definition) t
        where t.mode in ('upsert', 'ignore') limit 1
        """
    var run: Int64
    var pipelineID: Int64

    var parameters: [PostgresValue] { [.int8(run), .int8(pipelineID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> String { try row.text(0) }
}

/// A batch of the run of which another pipeline has rows in the same dataset: theirs cannot be told apart.
struct FindSharedRows: PostgresStatement {
    static let sql = """
        select n.batch, d.name, p.name
        from millrace.run_batch n
        join millrace.application a on a.batch_id = n.batch and a.pipeline_id = $2 and a.dataset_id is not null
        join millrace.application o on o.batch_id = a.batch_id and o.pipeline_id <> a.pipeline_id
            and o.output = a.output and o.dataset_id = a.dataset_id and (o.stored > 0 or o.state <> 'stored')
        join millrace.dataset d on d.id = a.dataset_id
        join millrace.pipeline p on p.id = o.pipeline_id
        where n.run = $1 order by n.ordinal limit 1
        """
    var run: Int64
    var pipelineID: Int64

    var parameters: [PostgresValue] { [.int8(run), .int8(pipelineID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> SharedRows {
        SharedRows(batch: try row.int8(0), dataset: try row.text(1), pipeline: try row.text(2))
    }
}

struct SharedRows: Sendable {
    var batch: Int64
    var dataset: String
    var pipeline: String
}

/// Enters the run itself; one without batches has succeeded. Timeout in seconds.
struct InsertRun: PostgresStatement {
    static let sql = """
        insert into millrace.run (id, workspace_id, kind, pipeline_id, version, state, request, schedule, job,
            batches, skipped, deadline, max_parallel, dry_run, compares, done, dead, stored, filtered, quarantined,
            duplicates, started_at, finished_at)
        select $1, p.workspace_id, 'replay', p.id, $3, case when $6 > 0 then 'queued' else 'succeeded' end, $4, $5, $8,
            $6, $7, now() + make_interval(secs => $9), $10, $11, $12, z.zero, z.zero, z.zero, z.zero, z.zero,
            z.zero, z.at, z.at
        from millrace.pipeline p
        cross join (select case when $6 = 0 then 0 end as zero, case when $6 = 0 then now() end as at) z
        where p.id = $2
        """
    var id: Int64
    var pipelineID: Int64
    var version: Int32
    var request: [UInt8]
    var schedule: [UInt8]?
    var batches: Int32
    var skipped: Int32
    var job: Int64?
    var timeout: Double?
    var parallel: Int32
    var isDry: Bool
    /// Rows are compared once all of them are there.
    var compares = false

    var parameters: [PostgresValue] {
        [
            .int8(id), .int8(pipelineID), .int4(version), .json(request), .optional(schedule) { .json($0) },
            .int4(batches), .int4(skipped), .optional(job) { .int8($0) }, .optional(timeout) { .float8($0) },
            .int4(parallel), .bool(isDry), .bool(compares),
        ]
    }
}

/// Enqueues a run's work: jobs with slices of its batches. Gives the first one's id.
struct EnqueueReplay: PostgresStatement {
    static let sql = """
        select millrace.enqueue_slices($1, p.workspace_id, $4, 'run.replay', $3)
        from millrace.pipeline p where p.id = $2
        """
    var run: Int64
    var pipelineID: Int64
    var batches: Int32
    /// Jobs at a time.
    var parallel: Int32

    var parameters: [PostgresValue] { [.int8(run), .int8(pipelineID), .int4(batches), .int4(parallel)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}
