import Postgres

/// A dataset that is to be rebuilt.
struct RebuiltDataset: Sendable {
    var id: Int64
    var schema: String
    var name: String
    var hasTable: Bool
}

/// Finds datasets of a pipeline's workspace, in the order of their ids, and locks them against changes of their tables
/// until the transaction ends.
struct LockRebuiltDatasets: PostgresStatement {
    static let sql = """
        select d.id, w.schema_name, d.name, d.table_created
        from millrace.pipeline p
        join millrace.workspace w on w.id = p.workspace_id
        join millrace.dataset d on d.workspace_id = w.id and d.name = any($2)
        where p.id = $1 order by d.id for no key update of d
        """
    var pipelineID: Int64
    var names: [String]

    var parameters: [PostgresValue] { [.int8(pipelineID), .textArray(names)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> RebuiltDataset {
        RebuiltDataset(
            id: try row.int8(0), schema: try row.text(1), name: try row.text(2), hasTable: try row.bool(3))
    }
}

/// A run that is rebuilding one of these datasets. To be asked once they are locked: a statement that has waited for
/// the locks does not see what was made meanwhile.
struct FindOtherRebuild: PostgresStatement {
    static let sql = """
        select r.id from millrace.rebuild x join millrace.run r on r.id = x.run
        where x.dataset_id = any($1) and r.state in ('queued', 'running')
            and millrace.is_going_on(r.state, r.deadline)
        order by r.id limit 1
        """
    var datasetIDs: [Int64]

    var parameters: [PostgresValue] { [.int8Array(datasetIDs)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// Forgets rebuilds of datasets that came to nothing, with what else they were to rebuild.
struct ForgetRebuilds: PostgresStatement {
    static let sql = """
        with gone as (
            delete from millrace.rebuild x
            where x.run in (select o.run from millrace.rebuild o where o.dataset_id = any($1)) returning x.run
        )
        delete from millrace.rebuild_part p using gone where p.run = gone.run
        """
    var datasetIDs: [Int64]

    var parameters: [PostgresValue] { [.int8Array(datasetIDs)] }
}

/// Datasets that one run fills anew, with how rows meet those with their key in each.
struct RebuiltSet: Sendable {
    /// In the order of their ids.
    var datasets: [RebuiltDataset]
    var modes: [String: PipelineDefinition.Mode]

    fileprivate var parameters: [PostgresValue] {
        [
            .int8Array(datasets.map(\.id)),
            .textArray(datasets.map { modes[$0.name, default: .append].rawValue }),
        ]
    }
}

/// Notes down what a rebuilding run works on: the batches of the replayed pipeline's source that were asked for, with
/// all outputs; and what else is stored in the datasets, by other pipelines, and by this one of batches of which an
/// output is on its way or has failed. Of that the outputs that are there are made anew, under the version that made
/// them, and records that were healed under the one that healed them.
///
/// Gives a batch of the replayed pipeline that is in one of the datasets and was not asked for: by the same look, since
/// outputs that have no rows become `stored` though the tables are locked.
struct ChooseRebuildParts: PostgresStatement {
    static let sql = """
        with asked as materialized (
            select b.id, exists (select from millrace.application a
                where a.batch_id = b.id and a.pipeline_id = $3 and a.state <> 'stored') as is_open
            from millrace.batch b
            left join millrace.upload u on u.id = b.upload_id
            where b.source_id = $5 and (u.id is null or u.state = 'accepted')
                and case when $6::int8[] is null then b.received_at >= $7 and b.received_at < $8
                    else b.id = any($6) end
        ), there as materialized (
            select a.batch_id, a.pipeline_id, a.output, a.version, q.id is null as is_left_out
            from millrace.application a left join asked q on q.id = a.batch_id
            where a.dataset_id = any($2) and a.state = 'stored'
                and (a.pipeline_id <> $3 or coalesce(q.is_open, true))
        ), kept as materialized (
            select batch_id, pipeline_id, min(version) as version, array_agg(output order by output) as outputs
            from there group by batch_id, pipeline_id
        ), healed as materialized (
            select h.*, k.outputs from millrace.healed h
            join kept k on k.batch_id = h.batch_id and k.pipeline_id = h.pipeline_id
            where cardinality(h.rows) > 0
        ), part as (
            select id as batch_id, $3::int8 as pipeline_id, $4::int4 as version, null::int4[] as records,
                null::int2[] as outputs
            from asked where not is_open
            union all
            select k.batch_id, k.pipeline_id, k.version, case when exists (select from healed h
                    where h.batch_id = k.batch_id and h.pipeline_id = k.pipeline_id) then array(
                        select generate_series(0, b.records - 1) except select unnest(h.rows) from healed h
                        where h.batch_id = k.batch_id and h.pipeline_id = k.pipeline_id order by 1) end, k.outputs
            from kept k join millrace.batch b on b.id = k.batch_id
            union all
            select batch_id, pipeline_id, version, rows, outputs from healed
        ), noted as (
            insert into millrace.rebuild_part (run, ordinal, batch_id, pipeline_id, version, records, outputs)
            select $1, row_number() over (order by batch_id, pipeline_id, version) - 1, batch_id, pipeline_id, version,
                records, outputs
            from part
            returning ordinal, batch_id
        ), entered as (
            insert into millrace.run_batch (run, ordinal, batch, state)
            select $1, ordinal, batch_id, 'queued' from noted
        )
        select min(batch_id) from there where pipeline_id = $3 and is_left_out
        """
    var run: Int64
    var datasetIDs: [Int64]
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
            .int8(run), .int8Array(datasetIDs), .int8(pipelineID), .int4(version), .int8(sourceID),
            .optional(ids) { .int8Array($0) }, .timestamp(microsSince2000: span.lowerBound),
            .timestamp(microsSince2000: span.upperBound),
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64? { try row.optionalInt8(0) }
}

/// What is in the way of a rebuild whose parts are noted down.
struct RebuildCheck: Sendable {
    var parts: Int64
    var expired: Int64
    /// The first hundred of those whose raw bytes have expired.
    var firstExpired: [Int64]
    /// A batch of which the replayed pipeline has merged rows in a dataset that is not rebuilt.
    var elsewhere: Int64?
    /// A pipeline whose version, which stays, does not fill one of the datasets in the same mode.
    var otherMode: (name: String, mode: String)?
    /// A pipeline whose version, which stays, looks rows up, and some of whose outputs of a batch are not made anew.
    var lookedUp: String?
    /// A run that is going on over one of the parts.
    var overlap: Int64?
    /// Another pipeline's rows that have the lineage of those that are taken out of a dataset.
    var shared: SharedRows?
}

struct CheckRebuild: PostgresStatement {
    static let sql = """
        with rebuilt as (
            select t.id, d.name, t.mode from unnest($2::int8[], $3::text[]) as t (id, mode)
            join millrace.dataset d on d.id = t.id
        ), part as materialized (
            -- What was read from a table has never had raw bytes.
            select p.*, b.format = 'table' or exists (select from landing.expired e
                where e.parent = 'payload' and p.batch_id >= e.low and p.batch_id < e.high) as expired
            from millrace.rebuild_part p join millrace.batch b on b.id = p.batch_id where p.run = $1
        ), filled as (
            select distinct p.pipeline_id, p.version, a.dataset_id
            from part p join millrace.application a on a.batch_id = p.batch_id and a.pipeline_id = p.pipeline_id
                and a.output = any(p.outputs)
        ), other as (
            select o.name, m.mode
            from filled f join rebuilt d on d.id = f.dataset_id
            join millrace.pipeline o on o.id = f.pipeline_id
            join millrace.pipeline_version v on v.pipeline_id = f.pipeline_id and v.version = f.version
            cross join lateral (select coalesce((select t.mode from millrace.targets(v.definition) t
                where t.dataset = d.name limit 1), 'append')) m (mode)
            where m.mode <> d.mode limit 1
        ), taken as (
            -- What of the replayed pipeline lies in datasets that are not rebuilt: it is taken out of them.
            select a.* from part p join millrace.application a on a.batch_id = p.batch_id
                and a.pipeline_id = p.pipeline_id
            where p.outputs is null and a.dataset_id <> all($2)
        ), shared as (
            select a.batch_id, d.name as dataset, p.name as pipeline
            from taken a join millrace.application o on o.batch_id = a.batch_id and o.pipeline_id <> a.pipeline_id
                and o.output = a.output and o.dataset_id = a.dataset_id and (o.stored > 0 or o.state <> 'stored')
            join millrace.dataset d on d.id = a.dataset_id
            join millrace.pipeline p on p.id = o.pipeline_id order by a.batch_id limit 1
        )
        select count(*), count(*) filter (where expired),
            coalesce((array_agg(batch_id order by batch_id) filter (where expired))[1:100], '{}'),
            (select a.batch_id from taken a join millrace.dataset d on d.id = a.dataset_id
                join millrace.pipeline_version v on v.pipeline_id = a.pipeline_id and v.version = a.version
                cross join millrace.targets(v.definition) t
                where a.stored > 0 and t.dataset = d.name and t.mode <> 'append' limit 1),
            (select name from other), (select mode from other),
            (select o.name from part p join millrace.pipeline o on o.id = p.pipeline_id
                join millrace.pipeline_version v on v.pipeline_id = p.pipeline_id and v.version = p.version
                where p.outputs is not null and jsonb_path_exists(v.definition::jsonb, '$.steps[*].lookup')
                    and exists (select from millrace.application a where a.batch_id = p.batch_id
                        and a.pipeline_id = p.pipeline_id and a.output <> all(p.outputs)) limit 1),
            (select r.id from millrace.run r
                where r.id <> $1 and r.state in ('queued', 'running') and not r.dry_run
                    and coalesce(r.deadline > clock_timestamp(), true) and exists (
                        select from millrace.run_batch o join part p on p.batch_id = o.batch
                        where o.run = r.id and p.pipeline_id = r.pipeline_id)
                order by r.id limit 1),
            (select batch_id from shared), (select dataset from shared), (select pipeline from shared)
        from part
        """
    var run: Int64
    var rebuilt: RebuiltSet

    var parameters: [PostgresValue] { [.int8(run)] + rebuilt.parameters }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> RebuildCheck {
        var check = RebuildCheck(
            parts: try row.int8(0), expired: try row.int8(1), firstExpired: try row.int8Array(2),
            elsewhere: try row.optionalInt8(3), lookedUp: try row.optionalText(6), overlap: try row.optionalInt8(7))
        if let name = try row.optionalText(4), let mode = try row.optionalText(5) { check.otherMode = (name, mode) }
        if let batch = try row.optionalInt8(8) {
            check.shared = SharedRows(batch: batch, dataset: try row.text(9), pipeline: try row.text(10))
        }
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
            select queue.enqueue('store', 'swap', r.workspace_id, array[jsonb_build_object('run', $1)],
                in_priority => (-1)::int2)
            from millrace.run r where r.id = $1 and $5 = 'transformed'
        ), started as (
            select count(*) from job
        )
        insert into millrace.rebuild (dataset_id, run, mode, targets)
        select t.id, $1, t.mode, cardinality($2) from started cross join unnest($2::int8[], $3::text[]) as t (id, mode)
        """
    var run: Int64
    var rebuilt: RebuiltSet
    var ordinal: Int32

    var parameters: [PostgresValue] {
        [.int8(run)] + rebuilt.parameters + [.int4(ordinal), .text(ordinal > 0 ? "queued" : "transformed")]
    }
}
