-- What is quarantined of slices of tables is healed, too. Services/README.md, "Heal", says the rules.
-- Locks: a column that may be null is added to landing.chunk and its partitions, exclusively for a moment and without a
-- rewrite.

-- Of a slice whose rows a table may refuse: the rows that it was made of, as COPY sent them with the run's columns and
-- `_extra`, compressed by zstd. What is refused is quarantined with them.
alter table landing.chunk add column source bytea;

-- Makes a run of kind `heal` for each active pipeline that has quarantined records of a dataset, over the batches in
-- which these are: those whose outputs are all stored, a million at most. Null for
-- in_pipeline, in_batches, in_codes: all.
-- Where a run is going on over one of the batches for the pipeline, its own or one that rebuilds a dataset, that run
-- comes back as `overlap`, and the transaction is to be rolled back; dry runs are in nobody's way. Locks the pipelines,
-- in the order of their ids, against changes and other runs, and after them the dataset against rebuilds.
create or replace function millrace.start_heals(
    in_dataset int8, in_pipeline text, in_batches int8[], in_codes text[], in_request jsonb, in_parallel int4,
    in_dry bool
) returns table (run int8, overlap int8) language plpgsql as $$
#variable_conflict use_column
declare
    pipelines int8[] := array(
        select p.id from millrace.pipeline p
        where p.active and (in_pipeline is null or p.name = in_pipeline) and p.id in (
            select q.pipeline_id from landing.quarantine q
            where q.dataset_id = in_dataset and (in_batches is null or q.batch_id = any(in_batches)))
        order by p.id for no key update);
    one       millrace.pipeline;
    made      int8;
    other     int8;
    total     int4;
    merges    bool;
begin
    perform from millrace.dataset d where d.id = in_dataset for share;
    for one in select * from millrace.pipeline p where p.id = any(pipelines) and p.active order by p.id loop
        made := nextval('millrace.run_id');
        insert into millrace.run_batch (run, ordinal, batch, state)
        select made, row_number() over (order by b.batch_id) - 1, b.batch_id, 'queued' from (
            select distinct q.batch_id from landing.quarantine q
            where q.dataset_id = in_dataset and q.pipeline_id = one.id
                and (in_batches is null or q.batch_id = any(in_batches))
                and landing.is_whole(q.stage, q.errors, octet_length(q.raw)) and landing.has_code(q.errors, in_codes)
                and not exists (select from millrace.application a where a.batch_id = q.batch_id
                    and a.pipeline_id = q.pipeline_id and a.state <> 'stored')
            order by q.batch_id limit 1000000
        ) b;
        get diagnostics total = row_count;
        continue when total = 0;
        select r.id into other from millrace.run r
        where not in_dry and not r.dry_run and r.state in ('queued', 'running') and r.id <> made
            and coalesce(r.deadline > clock_timestamp(), true)
            and (r.pipeline_id = one.id and exists (
                    select from millrace.run_batch o join millrace.run_batch n on n.batch = o.batch
                    where o.run = r.id and n.run = made)
                or exists (
                    select from millrace.rebuild_part o join millrace.run_batch n on n.batch = o.batch_id
                    where o.run = r.id and o.pipeline_id = one.id and n.run = made))
        order by r.id limit 1;
        if other is not null then
            return query select null::int8, other;
            return;
        end if;
        merges := in_dry and exists (select from millrace.pipeline_version v cross join millrace.targets(v.definition) t
            where v.pipeline_id = one.id and v.version = one.version and t.mode in ('upsert', 'ignore'));
        if merges then
            insert into millrace.run_batch (run, ordinal, batch, state) values (made, total, 0, 'queued');
        end if;
        insert into millrace.run (id, workspace_id, kind, pipeline_id, version, state, request, batches, max_parallel,
            dry_run, compares, job)
        values (made, one.workspace_id, 'heal', one.id, one.version, 'queued', in_request, total + merges::int4,
            in_parallel, in_dry, merges,
            millrace.enqueue_slices(made, one.workspace_id, in_parallel, 'run.heal', total));
        return query select made, null::int8;
    end loop;
end $$;
