-- What an erasure does not reach is said by name. Services/README.md, "Erasure", says the rules.
-- Locks: ACCESS EXCLUSIVE on millrace.erasure for the moment that the column takes; no rewrite.

-- [{"kind", "name", "detail"}], as of the moment it was asked for.
alter table millrace.erasure add column not_reached jsonb not null default '[]';

-- What may hold of the records that dataset in_dataset was fed with, and an erasure there does not reach:
--   source_dataset    the dataset is made from this one's rows: the next run makes them again
--   derived_dataset   its rows were made from rows of a dataset that the records went to, over any number of steps
--   frozen_rollup     it keeps what it has counted of the time whose rows retention has dropped, groups' names among it
--   quarantined_csv   of a source: records whose header row has expired with the raw bytes, so that they have no fields
--   quarantined_rows  of a dataset: rows that a run turned down while it made this one of them; healed, they come back
create function millrace.erasure_gaps(in_dataset int8) returns jsonb language sql stable as $$
    with recursive one as (
        select * from millrace.dataset where id = in_dataset
    ), source as (
        select distinct a.source_id as id from millrace.application a where a.dataset_id = in_dataset
        union select p.source_id from one join millrace.pipeline p on p.workspace_id = one.workspace_id
            join millrace.pipeline_version v on v.pipeline_id = p.id
            where exists (select from millrace.targets(v.definition) t where t.dataset = one.name)
        union select s.id from one join millrace.source s on s.workspace_id = one.workspace_id
            and s.name = one.name and s.kind = 'records'
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
            || ' of its rows are in quarantine, where this condition was not asked: they leave with their retention,'
            || ' with a run of a pipeline that replaces, or come back when they are healed'
        from source join millrace.source s on s.id = source.id and s.kind = 'dataset'
        join millrace.batch b on b.source_id = s.id
        join landing.quarantine q on q.batch_id = b.id and q.dataset_id = in_dataset
        group by s.name
    )
    select coalesce(jsonb_agg(
        jsonb_build_object('kind', kind, 'name', name, 'detail', detail) order by place, name), '[]')
    from gap
$$;
