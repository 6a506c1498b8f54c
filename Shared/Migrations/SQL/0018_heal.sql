-- Healing: quarantined records are run through the current versions of their pipelines again. Services/README.md,
-- "Heal", says the rules.
-- Locks: columns that may be null or have a constant default are added to landing.chunk, millrace.run, run_batch and
-- rebuild_part, exclusively for a moment and without a rewrite; one new table.

-- Ordinals of the records that a heal has tried. Null in chunks of other kinds.
alter table landing.chunk add column tried int4[];

-- How many records of the batch a heal has tried, once their outcome is stored. Null in runs of other kinds.
alter table millrace.run_batch add column records int4;

-- Records that were healed by another version than the one that made their batch: what the ledger says of the version
-- holds for all others.
create table millrace.healed (
    batch_id    int8 not null,
    pipeline_id int8 not null,
    version     int4 not null,
    rows        int4[] not null,               -- ordinals, ascending
    primary key (batch_id, pipeline_id, version)
);

-- Ordinals of the records that a rebuild reads under the part's version; null: all. A batch some of whose records were
-- healed has a part for each version.
alter table millrace.rebuild_part add column records int4[];

alter table millrace.run
    -- How many of the run's jobs may be under way at a time, in each queue. Null: as many as there are.
    add column max_parallel int4,
    -- It says what it would change, and changes nothing.
    add column dry_run      bool not null default false,
    -- Of a dry run: rows are merged by a key, so they are compared once all of them are there. The run's last row of
    -- run_batch, of batch 0, stands for that.
    add column compares     bool not null default false;

-- Enqueues jobs of a run: behind what comes in, and no more at a time than the run may have. Answers their ids.
create function millrace.enqueue_jobs(
    in_run int8, in_workspace int8, in_parallel int4, in_queue text, in_kind text, in_arguments jsonb[],
    in_delay float8 default null
) returns int8[] language plpgsql as $$
declare
    rule constant text := 'parallel_' || in_parallel;
    size constant int4[] := array[cardinality(in_arguments)];
begin
    if in_parallel is null then
        return queue.enqueue(in_queue, in_kind, in_workspace, in_arguments, in_priority => (-1)::int2,
            in_delay => in_delay);
    end if;
    if not exists (select from queue.limit_rule l join queue.queue q on q.id = l.queue
        where q.name = in_queue and l.name = rule)
    then
        perform queue.set_limit(in_queue, rule, in_parallel, null, null);
    end if;
    return array(select e.id from queue.enqueue_linked(array_fill(in_queue, size), array_fill(in_kind, size),
        array_fill(in_workspace, size), in_arguments, array_fill((-1)::int2, size), array_fill(in_delay, size),
        array_fill(20::int2, size), array_fill(null::text, size),
        array_fill(jsonb_build_object('limit', rule || ':' || in_run), size)) e);
end $$;

-- Enqueues the jobs that transform a run's batches, each with a slice of their ordinals. Answers the first one's id.
create function millrace.enqueue_slices(
    in_run int8, in_workspace int8, in_parallel int4, in_kind text, in_batches int4
) returns int8 language sql as $$
    select (millrace.enqueue_jobs(in_run, in_workspace, in_parallel, 'transform', in_kind, array_agg(
        jsonb_build_object('run', in_run, 'first', f, 'count', least(s.size, in_batches - f)) order by f)))[1]
    from (select least(16, 1 + in_batches / (4 * coalesce(in_parallel, 16))) as size) s
    cross join generate_series(0, in_batches - 1, s.size) f
    group by s.size
$$;

-- Whether a quarantined record's bytes are all there: landing cuts records beyond its limit, loading keeps the first
-- MiB of those that a table refuses, and nothing of those whose raw bytes had expired.
create function landing.is_whole(in_stage text, in_errors jsonb, in_length int4) returns bool language sql immutable
return in_length > 0 and case in_stage
    when 'decode' then not in_errors @> '[{"code": "record_too_large"}]'
    when 'store' then in_length < 1048576
    else true end;

-- Whether a record's errors have one of these codes; null: all have.
create function landing.has_code(in_errors jsonb, in_codes text[]) returns bool language sql immutable
return in_codes is null
    or exists (select from jsonb_array_elements(in_errors) e where e ->> 'code' = any(in_codes));

-- Makes a run of kind `heal` for each active pipeline that has quarantined records of a dataset, over the batches in
-- which these are: those whose outputs are all stored, but for slices of tables, a million at most. Null for
-- in_pipeline, in_batches, in_codes: all.
-- Where a run is going on over one of the batches for the pipeline, its own or one that rebuilds a dataset, that run
-- comes back as `overlap`, and the transaction is to be rolled back; dry runs are in nobody's way. Locks the pipelines,
-- in the order of their ids, against changes and other runs, and after them the dataset against rebuilds.
create function millrace.start_heals(
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
                and not exists (select from millrace.batch t where t.id = q.batch_id and t.format = 'table')
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
