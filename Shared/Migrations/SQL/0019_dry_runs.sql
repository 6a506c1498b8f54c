-- Dry runs: replays and heals that say what they would change. Services/README.md, "Dry runs", says the rules.
-- Locks: columns that may be null are added to millrace.run_batch, exclusively for a moment and without a rewrite.

alter table millrace.run_batch
    -- Of a dry run: [{"dataset", "added", "removed", "changed", "columns": {"name": rows}}]. Null where nothing was
    -- compared.
    add column changes jsonb,
    -- Those that wait to be compared.
    add column chunks  int8[];

-- As in migration 0014; and a dry run compares at the end. What it is to compare waits as `transformed`.
create or replace function millrace.advance_replays(in_runs int8[]) returns int8[] language plpgsql as $$
declare
    one  record;
    dead bool;
begin
    for one in select r.id, r.workspace_id, r.dry_run from millrace.run r
        where r.id = any(in_runs) and (r.compares
            or not r.dry_run and exists (select from millrace.rebuild_part p where p.run = r.id))
        order by r.id for no key update of r
    loop
        continue when exists (select from millrace.run_batch b where b.run = one.id and b.batch > 0
            and (b.state = 'queued' or b.state = 'transformed' and not one.dry_run));
        dead := exists (select from millrace.run_batch b where b.run = one.id and b.batch > 0 and b.state = 'dead');
        update millrace.run_batch b set state = case when dead then 'dead' else 'transformed' end,
            error = case when dead then 'batches could not be read again' end
        where b.run = one.id and b.batch = 0
            -- One that was given up itself has a dead letter, whose redrive goes on.
            and (b.state = 'queued' or b.state = 'dead' and b.dead_letter is null);
        if found and dead and one.dry_run then
            update millrace.run_batch b set state = 'superseded' where b.run = one.id and b.state = 'transformed';
        elsif found and not dead then
            perform queue.enqueue(case when one.dry_run then 'transform' else 'store' end,
                case when one.dry_run then 'run.compare' else 'swap' end, one.workspace_id,
                array[jsonb_build_object('run', one.id)], in_priority => (-1)::int2);
        end if;
    end loop;
    return millrace.advance_runs(in_runs);
end $$;

-- As in migration 0010; and what a dry run has read counts as done.
create or replace view millrace.run_report as
    select r.id, r.workspace_id, r.kind, r.pipeline_id, p.name as pipeline, r.version,
        case when r.state in ('queued', 'running') and r.deadline <= clock_timestamp() then 'timed_out'
            else r.state end as state,
        r.request, r.schedule, r.job, r.batches, r.skipped, r.deadline,
        coalesce(r.done, c.done + case when r.compares then (select count(*)::int4 from millrace.run_batch b
            where b.run = r.id and b.batch > 0 and b.state = 'transformed') else 0 end) as done,
        coalesce(r.dead, c.dead) as dead, coalesce(r.stored, c.stored) as stored,
        coalesce(r.filtered, c.filtered) as filtered, coalesce(r.quarantined, c.quarantined) as quarantined,
        coalesce(r.duplicates, c.duplicates) as duplicates, coalesce(r.error, c.error) as error,
        r.created_at, r.started_at,
        coalesce(r.finished_at, case when r.deadline <= clock_timestamp() then r.deadline end) as finished_at,
        r.dry_run
    from millrace.run r
    join millrace.pipeline p on p.id = r.pipeline_id
    cross join lateral millrace.count_run(case when r.done is null then r.id end) c;

-- What the batches of a dry run that were compared so far would change: one row a dataset.
create function millrace.run_changes(in_run int8) returns table (
    dataset text, added int8, removed int8, changed int8, columns jsonb
) language sql stable as $$
    with part as (
        select d.change ->> 'dataset' as dataset, d.change
        from millrace.run_batch b cross join jsonb_array_elements(b.changes) d (change) where b.run = in_run
    ), named as (
        select p.dataset, c.key, sum(c.value::int8) as rows
        from part p cross join jsonb_each_text(p.change -> 'columns') c group by 1, 2
    )
    select p.dataset, sum((p.change ->> 'added')::int8)::int8, sum((p.change ->> 'removed')::int8)::int8,
        sum((p.change ->> 'changed')::int8)::int8,
        coalesce((select jsonb_object_agg(n.key, n.rows) from named n where n.dataset = p.dataset), '{}')
    from part p group by p.dataset order by p.dataset
$$;
