-- An erasure reaches what is quarantined of rows that runs from table to table have read, too. Services/README.md,
-- "Erasure", says the rules.
-- Locks: none but the functions' own rows.
-- A store of before this migration that works on such an erasure counts these records as unreadable, and erases none
-- of them: when it is gone, the same is to be asked for again.

-- As in migration 0026; and over slices of tables of which anything is quarantined or still to be loaded: those on
-- their way into the dataset, and those of the dataset's own rows on their way into others. Runs that are reading are
-- kept from handing out their slices until the transaction's end, so that millrace.erasure_gaps names each that the
-- erasure does not cover. Locks the dataset's row, then these runs' against changes.
create or replace function millrace.start_erasure(
    in_workspace int8, in_dataset int8, in_key int8, in_condition text, in_hash bytea, in_dry bool
) returns int8 language plpgsql as $$
declare
    one     millrace.dataset;
    feeding millrace.pipeline;
    sources int8[];
    made    int8;
    total   int4;
begin
    select * into one from millrace.dataset d where d.id = in_dataset for no key update;
    select e.run into made from millrace.erasure e join millrace.run r on r.id = e.run
    where e.dataset_id = in_dataset and e.condition_hash = in_hash and e.dry_run = in_dry
        and r.state in ('queued', 'running') limit 1;
    if made is not null then
        return made;
    end if;
    sources := array(
        select a.source_id from millrace.application a where a.dataset_id = in_dataset
        union select p.source_id from millrace.pipeline p
            join millrace.pipeline_version v on v.pipeline_id = p.id
            where p.workspace_id = in_workspace
                and exists (select from millrace.targets(v.definition) t where t.dataset = one.name)
        union select s.id from millrace.source s
            where s.workspace_id = in_workspace and s.name = one.name and s.kind = 'records');
    select * into feeding from millrace.pipeline p where p.source_id = any(sources)
    order by p.active desc, p.id limit 1;
    if not found then
        return null;
    end if;
    -- The dataset as the source of others.
    sources := sources || array(select s.id from millrace.source s
        where s.workspace_id = in_workspace and s.name = one.name and s.kind = 'dataset');
    perform from millrace.run r where r.kind = 'run' and r.state in ('queued', 'running') and not r.released
        and r.pipeline_id in (select p.id from millrace.pipeline p where p.source_id = any(sources))
    order by r.id for share;
    made := nextval('millrace.run_id');
    insert into millrace.run_batch (run, ordinal, batch, state)
    select made, row_number() over (order by b.id) - 1, b.id, 'queued' from millrace.batch b
    where b.source_id = any(sources)
        -- What other pipelines make of the same table's rows is not the dataset's.
        and (b.format <> 'table'
            or b.source_id in (select s.id from millrace.source s
                where s.workspace_id = in_workspace and s.name = one.name and s.kind = 'dataset')
            or exists (select from millrace.application a where a.batch_id = b.id and a.dataset_id = in_dataset)
            or exists (select from landing.quarantine q where q.batch_id = b.id and q.dataset_id = in_dataset)
            or b.id in (select w.batch from millrace.run_batch w join millrace.run r on r.id = w.run
                join millrace.pipeline_version v on v.pipeline_id = r.pipeline_id and v.version = r.version
                cross join lateral millrace.targets(v.definition) t
                where r.kind = 'run' and t.dataset = one.name))
        and (exists (select from landing.payload p where p.batch_id = b.id)
            or exists (select from landing.quarantine q where q.batch_id = b.id)
            or b.id in (select w.batch from millrace.run r join millrace.run_batch w on w.run = r.id
                where r.kind = 'run' and r.released and w.state = 'transformed'
                    and r.state in ('queued', 'running') and coalesce(r.deadline > clock_timestamp(), true)
                    and r.pipeline_id in (select p.id from millrace.pipeline p where p.source_id = any(sources))));
    get diagnostics total = row_count;
    insert into millrace.run_batch (run, ordinal, batch, state) values (made, total, 0, 'queued');
    insert into millrace.erasure (run, workspace_id, dataset_id, dataset, key_id, condition, condition_hash, dry_run)
    values (made, in_workspace, in_dataset, one.name, in_key, in_condition, in_hash, in_dry);
    insert into millrace.run (id, workspace_id, kind, pipeline_id, version, state, request, batches, dry_run, job)
    values (made, in_workspace, 'erase', feeding.id, feeding.version, 'queued',
        jsonb_build_object('dataset', one.name, 'condition_sha256', encode(in_hash, 'hex')), total + 1, in_dry,
        (queue.enqueue('store', 'erase', in_workspace, array[jsonb_build_object('run', made)],
            in_priority => (-1)::int2))[1]);
    return made;
end $$;

-- What may hold of the records that dataset in_dataset was fed with, and an erasure there does not reach:
--   source_dataset    the dataset is made from this one's rows: the next run makes them again
--   derived_dataset   its rows were made from rows of a dataset that the records went to, over any number of steps
--   frozen_rollup     it keeps what it has counted of the time whose rows retention has dropped, groups' names among it
--   quarantined_csv   of a source: records whose header row has expired with the raw bytes, so that they have no fields
--   quarantined_rows  of a dataset that is derived, or that the records went to: rows of it that runs turned down on
--                     their way into another; healed, they come there
--   unfinished_run    it reads, or has read, rows that are not in the ledger yet, into the dataset or from it
create or replace function millrace.erasure_gaps(in_dataset int8) returns jsonb language sql stable as $$
    with recursive one as (
        select * from millrace.dataset where id = in_dataset
    ), source as (
        select distinct a.source_id as id from millrace.application a where a.dataset_id = in_dataset
        union select p.source_id from one join millrace.pipeline p on p.workspace_id = one.workspace_id
            join millrace.pipeline_version v on v.pipeline_id = p.id
            where exists (select from millrace.targets(v.definition) t where t.dataset = one.name)
        union select s.id from one join millrace.source s on s.workspace_id = one.workspace_id
            and s.name = one.name and s.kind = 'records'
    ), own as (
        select s.id from one join millrace.source s on s.workspace_id = one.workspace_id
            and s.name = one.name and s.kind = 'dataset'
    ), reached as (
        select in_dataset as id
        union select a.dataset_id from source join millrace.source s on s.id = source.id and s.kind = 'records'
            join millrace.application a on a.source_id = s.id where a.dataset_id is not null
    ), made as (
        select d.id, d.name, null::text as pipeline, 0 as step from reached join millrace.dataset d on d.id = reached.id
        union
        select d.id, d.name, p.name, 1 from made
            join one on true
            join millrace.source s on s.workspace_id = one.workspace_id and s.name = made.name and s.kind = 'dataset'
            join millrace.pipeline p on p.source_id = s.id
            join lateral (select distinct a.dataset_id from millrace.application a where a.pipeline_id = p.id) a on true
            join millrace.dataset d on d.id = a.dataset_id and d.table_created
    ), gap as (
        select 1 as place, 'source_dataset' as kind, s.name,
            'the dataset''s rows were made from its rows: erase there, too, or the next run makes them again' as detail
        from source join millrace.source s on s.id = source.id and s.kind = 'dataset'
        union
        select 2, 'derived_dataset', made.name,
            'pipeline ' || made.pipeline || ' made its rows from a dataset''s rows: erase there, too'
        from made where step = 1 and id not in (select reached.id from reached)
        union
        select 3, 'frozen_rollup', r.name, 'of dataset ' || d.name || ': what it counted before '
            || to_char(d.retained_from at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
            || ' stays, with the groups'' names'
        from reached join millrace.dataset d on d.id = reached.id and d.retained_from is not null
        join millrace.rollup r on r.dataset_id = d.id
        union
        select 4, 'quarantined_csv', s.name, count(distinct (q.batch_id, q.row))
            || ' records in quarantine whose header row has expired: they cannot be compared,'
            || ' and leave with their retention'
        from source join millrace.source s on s.id = source.id and s.kind = 'records'
        join millrace.batch b on b.source_id = s.id and b.format = 'csv'
        join landing.quarantine q on q.batch_id = b.id
        where not exists (select from landing.payload p where p.batch_id = b.id)
        group by s.name
        union
        select 5, 'quarantined_rows', s.name, count(distinct (q.batch_id, q.row))
            || ' of its rows are in quarantine on their way into other datasets: erase there, too, or they come'
            || ' when they are healed'
        from (select distinct made.name from made) m join one on true
        join millrace.source s on s.workspace_id = one.workspace_id and s.name = m.name and s.kind = 'dataset'
            and s.id not in (select source.id from source union all select own.id from own)
        join millrace.batch b on b.source_id = s.id
        join landing.quarantine q on q.batch_id = b.id
        group by s.name
        union
        select 6, 'unfinished_run', r.id::text, case r.state when 'failed' then 'has failed, and keeps rows that '
                || p.name || ' has made of a dataset''s rows: if it is redriven, erase again then'
            else 'reads a dataset''s rows for pipeline ' || p.name || ', maybe as they were before: erase again when it'
                || ' has ended' end
        from (select source.id from source union select own.id from own) s
        join millrace.pipeline p on p.source_id = s.id
        join millrace.run r on r.pipeline_id = p.id and r.kind = 'run'
            and coalesce(r.deadline > clock_timestamp(), true)
        join millrace.pipeline_version v on v.pipeline_id = p.id and v.version = r.version
        where (s.id in (select own.id from own)
                or exists (select from one cross join millrace.targets(v.definition) t where t.dataset = one.name))
            and (r.state in ('queued', 'running') and not r.released
                or r.state = 'failed' and exists (select from millrace.run_batch b
                    join landing.chunk c on c.id = b.chunk
                    where b.run = r.id and b.state in ('read', 'transformed', 'dead')))
    )
    select coalesce(jsonb_agg(
        jsonb_build_object('kind', kind, 'name', name, 'detail', detail) order by place, name), '[]')
    from gap
$$;
