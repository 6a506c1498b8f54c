import Postgres

/// A dataset that is to be rebuilt.
struct RebuiltDataset: Sendable {
    var id: Int64
    var schema: String
    var name: String
    var hasTable: Bool
    /// The run that is rebuilding it.
    var rebuiltBy: Int64?
}

/// Finds a dataset of a pipeline's workspace, and locks it against changes of its table until the transaction ends.
struct LockRebuiltDataset: PostgresStatement {
    static let sql = """
        select d.id, w.schema_name, d.name, d.table_created,
            (select r.id from millrace.rebuild x join millrace.run r on r.id = x.run
                where x.dataset_id = d.id and r.state in ('queued', 'running')
                    and millrace.is_going_on(r.state, r.deadline))
        from millrace.pipeline p
        join millrace.workspace w on w.id = p.workspace_id
        join millrace.dataset d on d.workspace_id = w.id and d.name = $2
        where p.id = $1 for no key update of d
        """
    var pipelineID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(pipelineID), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> RebuiltDataset {
        RebuiltDataset(
            id: try row.int8(0), schema: try row.text(1), name: try row.text(2), hasTable: try row.bool(3),
            rebuiltBy: try row.optionalInt8(4))
    }
}

/// Forgets a rebuild of a dataset that came to nothing.
struct ForgetRebuild: PostgresStatement {
    static let sql = """
        with gone as (
            delete from millrace.rebuild where dataset_id = $1 returning run
        )
        delete from millrace.rebuild_part p using gone where p.run = gone.run
        """
    var datasetID: Int64

    var parameters: [PostgresValue] { [.int8(datasetID)] }
}

/// Notes down what a rebuilding run works on: the batches of the replayed pipeline's source that were asked for, unless
/// they are on their way or have failed, and whatever other pipelines have stored in the dataset; records that were
/// healed under the version that healed them.
struct ChooseRebuildParts: PostgresStatement {
    static let sql = """
        with healed as materialized (
            select h.* from millrace.healed h
            join millrace.application a on a.batch_id = h.batch_id and a.pipeline_id = h.pipeline_id and a.output = 0
            where a.dataset_id = $2 and a.pipeline_id <> $3 and a.state = 'stored' and cardinality(h.rows) > 0
        ), part as (
            select b.id as batch_id, $3::int8 as pipeline_id, $4::int4 as version, null::int4[] as records
            from millrace.batch b
            left join millrace.upload u on u.id = b.upload_id
            left join millrace.application a on a.batch_id = b.id and a.pipeline_id = $3 and a.output = 0
            where b.source_id = $5 and (u.id is null or u.state = 'accepted') and coalesce(a.state = 'stored', true)
                and case when $6::int8[] is null then b.received_at >= $7 and b.received_at < $8
                    else b.id = any($6) end
            union all
            select a.batch_id, a.pipeline_id, a.version, case when exists (select from healed h
                    where h.batch_id = a.batch_id and h.pipeline_id = a.pipeline_id) then array(
                        select generate_series(0, b.records - 1) except select unnest(h.rows) from healed h
                        where h.batch_id = a.batch_id and h.pipeline_id = a.pipeline_id order by 1) end
            from millrace.application a join millrace.batch b on b.id = a.batch_id
            where a.dataset_id = $2 and a.pipeline_id <> $3 and a.state = 'stored'
            union all
            select batch_id, pipeline_id, version, rows from healed
        ), noted as (
            insert into millrace.rebuild_part (run, ordinal, batch_id, pipeline_id, version, records)
            select $1, row_number() over (order by batch_id, pipeline_id, version) - 1, batch_id, pipeline_id, version,
                records
            from part
            returning ordinal, batch_id
        )
        insert into millrace.run_batch (run, ordinal, batch, state) select $1, ordinal, batch_id, 'queued' from noted
        """
    var run: Int64
    var datasetID: Int64
    var pipelineID: Int64
    var version: Int32
    var sourceID: Int64
    var batches: ReplayRequest.Batches

    var parameters: [PostgresValue] {
        let (ids, span): ([Int64]?, Range<Int64>) =
            switch batches {
            case .received(let span): (nil, span)
            case .named(let ids): (ids, 0..<0)
            }
        return [
            .int8(run), .int8(datasetID), .int8(pipelineID), .int4(version), .int8(sourceID),
            .optional(ids) { .int8Array($0) }, .timestamp(microsSince2000: span.lowerBound),
            .timestamp(microsSince2000: span.upperBound),
        ]
    }
}

/// What is in the way of a rebuild whose parts are noted down.
struct RebuildCheck: Sendable {
    var parts: Int64
    var expired: Int64
    /// The first hundred of those whose raw bytes have expired.
    var firstExpired: [Int64]
    /// A batch of the replayed pipeline that is in the dataset and not among the parts.
    var leftOut: Int64?
    /// A batch of which the replayed pipeline has rows in another dataset.
    var elsewhere: Int64?
    /// A batch of which one of the pipelines makes several outputs.
    var split: Int64?
    /// Another pipeline whose version does not fill the dataset in the same mode.
    var otherMode: (name: String, mode: String)?
    /// A run that is going on over one of the parts.
    var overlap: Int64?
}

struct CheckRebuild: PostgresStatement {
    static let sql = """
        with part as (
            -- What was read from a table has never had raw bytes.
            select p.*, b.format = 'table' or exists (select from landing.expired e
                where e.parent = 'payload' and p.batch_id >= e.low and p.batch_id < e.high) as expired
            from millrace.rebuild_part p join millrace.batch b on b.id = p.batch_id where p.run = $1
        ), replayed as (
            select r.id as pipeline_id, v.version, coalesce(v.definition->'target'->>'mode', 'append') as mode
            from millrace.pipeline r join millrace.pipeline_version v on v.pipeline_id = r.id and v.version = r.version
            where r.id = $3
        ), other as (
            select o.name, coalesce(v.definition->'target'->>'mode', 'append') as mode
            from (select distinct pipeline_id, version from part where pipeline_id <> $3) x
            join millrace.pipeline o on o.id = x.pipeline_id
            join millrace.pipeline_version v on v.pipeline_id = x.pipeline_id and v.version = x.version
            where coalesce(v.definition->'target'->>'mode', 'append') <> (select mode from replayed) limit 1
        )
        select count(*), count(*) filter (where expired),
            coalesce((array_agg(batch_id order by batch_id) filter (where expired))[1:100], '{}'),
            (select a.batch_id from millrace.application a
                where a.dataset_id = $2 and a.pipeline_id = $3 and a.state = 'stored' and not exists (
                    select from part p where p.batch_id = a.batch_id and p.pipeline_id = a.pipeline_id)
                order by a.batch_id limit 1),
            (select a.batch_id from part p join millrace.application a on a.batch_id = p.batch_id
                    and a.pipeline_id = p.pipeline_id
                where p.pipeline_id = $3 and a.dataset_id <> $2 and a.stored > 0 limit 1),
            (select name from other), (select mode from other),
            (select a.batch_id from part p join millrace.application a on a.batch_id = p.batch_id
                    and a.pipeline_id = p.pipeline_id and a.output > 0 limit 1),
            (select r.id from millrace.run r
                where r.id <> $1 and r.state in ('queued', 'running') and not r.dry_run
                    and coalesce(r.deadline > clock_timestamp(), true) and exists (
                        select from millrace.run_batch o join part p on p.batch_id = o.batch
                        where o.run = r.id and p.pipeline_id = r.pipeline_id)
                order by r.id limit 1)
        from part
        """
    var run: Int64
    var datasetID: Int64
    var pipelineID: Int64

    var parameters: [PostgresValue] { [.int8(run), .int8(datasetID), .int8(pipelineID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> RebuildCheck {
        var check = RebuildCheck(
            parts: try row.int8(0), expired: try row.int8(1), firstExpired: try row.int8Array(2),
            leftOut: try row.optionalInt8(3), elsewhere: try row.optionalInt8(4), split: try row.optionalInt8(7),
            overlap: try row.optionalInt8(8))
        if let name = try row.optionalText(5), let mode = try row.optionalText(6) { check.otherMode = (name, mode) }
        return check
    }
}

/// Enters the comparison that a dry run's last batch stands for. Where nothing was read before, it is next.
struct InsertComparison: PostgresStatement {
    static let sql = """
        with last as (
            insert into millrace.run_batch (run, ordinal, batch, state)
            values ($1, $2, 0, case when $2 > 0 then 'queued' else 'transformed' end)
        )
        select queue.enqueue('transform', 'run.compare', r.workspace_id, array[jsonb_build_object('run', $1)],
            in_priority => (-1)::int2)
        from millrace.run r where r.id = $1 and $2 = 0
        """
    var run: Int64
    var ordinal: Int32

    var parameters: [PostgresValue] { [.int8(run), .int4(ordinal)] }
}

/// Enters a rebuild whose parts and run are there; the exchange of the tables is the run's last batch. Where there are
/// no parts, it is next.
struct InsertRebuild: PostgresStatement {
    static let sql = """
        with exchange as (
            insert into millrace.run_batch (run, ordinal, batch, state) values ($1, $4, 0, $5)
        ), job as (
            select queue.enqueue('store', 'swap', d.workspace_id, array[jsonb_build_object('run', $1)],
                in_priority => (-1)::int2)
            from millrace.dataset d where d.id = $2 and $5 = 'transformed'
        ), started as (
            select count(*) from job
        )
        insert into millrace.rebuild (dataset_id, run, mode) select $2, $1, $3 from started
        """
    var run: Int64
    var datasetID: Int64
    var mode: String
    var ordinal: Int32

    var parameters: [PostgresValue] {
        [.int8(run), .int8(datasetID), .text(mode), .int4(ordinal), .text(ordinal > 0 ? "queued" : "transformed")]
    }
}
