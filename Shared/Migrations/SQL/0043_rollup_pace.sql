-- Rollups stay out of the way of loads: what comes in bulk is added when the loading pauses, in bounded steps.
-- Locks: a column without a default is added to millrace.rollup, exclusively, for a moment; functions are replaced.

alter table millrace.rollup add column held_since timestamptz;   -- null where nothing is held back

-- How many rows of a batch's output a rollup's dataset has.
create function millrace.stored_rows(r millrace.rollup, b millrace.rollup_batch) returns int8 language sql stable as $$
    select coalesce(sum(a.stored), 0) from millrace.application a
    where a.batch_id = b.batch_id and a.output = b.output and a.dataset_id = r.dataset_id
$$;

-- Whether many rows wait while more are being loaded, for five seconds at most: adding them takes longer than loading
-- them, and the two would share the processors. A few are added at once, whatever is being loaded.
create function millrace.holds_back(r millrace.rollup) returns bool language sql stable as $$
    select (r.held_since is null or r.held_since > clock_timestamp() - interval '5 seconds')
        and millrace.is_loading()
        and (select sum(millrace.stored_rows(r, b.w)) from (
            select w from millrace.rollup_batch w where w.rollup_id = r.id order by w.batch_id, w.output limit 128) b
        ) > 5000
$$;

-- As in migration 0032, but that it may hold back.
create or replace function millrace.advance_rollup(in_rollup int8) returns text language plpgsql
    set timezone = 'UTC' set jit = off set work_mem = '64MB' set plan_cache_mode = force_custom_plan
    set lock_timeout = '1500ms' set enable_nestloop = on as $$
declare
    r millrace.rollup;
    reason text;
    began timestamptz := clock_timestamp();
    took float8;
begin
    select * into r from millrace.rollup where id = in_rollup for no key update;
    if not found then return 'gone'; end if;
    if r.state = 'failed' then
        delete from millrace.rollup_change where rollup_id = r.id;
        return r.state;
    end if;
    if r.dataset_id is null then
        perform millrace.fail_rollup(r.id, 'the dataset was deleted');
        return 'failed';
    end if;
    if r.state = 'ready' and millrace.holds_back(r) then
        update millrace.rollup set held_since = coalesce(held_since, clock_timestamp()) where id = r.id;
        perform millrace.enqueue_rollup(r.id, 0.25);
        return r.state;
    end if;
    begin
        case r.state
            when 'preparing' then perform millrace.prepare_rollup(r);
            when 'backfilling' then perform millrace.backfill_rollup(r);
            else perform millrace.refresh_rollup(r);
        end case;
    exception when data_exception or undefined_column or undefined_table or datatype_mismatch or undefined_function
        or program_limit_exceeded then
        reason := sqlerrm;
    end;
    if reason is not null then
        perform millrace.fail_rollup(r.id, reason);
        return 'failed';
    end if;
    select * into r from millrace.rollup where id = in_rollup;
    if r.state <> 'ready' or exists (select from millrace.rollup_change c where c.rollup_id = r.id)
        or exists (select from millrace.rollup_batch b where b.rollup_id = r.id)
    then
        took := extract(epoch from clock_timestamp() - began);
        perform millrace.enqueue_rollup(r.id,
            case when took > 0.25 and millrace.is_loading() then least(took * 4, 20) else 0 end);
    end if;
    return r.state;
end $$;

-- As in migration 0032, but for the plans of its joins: a page of rows brings many groups.
create or replace function millrace.backfill_rollup(r millrace.rollup) returns void language plpgsql as $$
declare
    file oid;
    kept timestamptz;
begin
    if r.leaf > cardinality(r.leaves) then
        perform millrace.show_rollup(r);
        return;
    end if;
    select c.relfilenode into file from pg_class c where c.oid = r.leaves[r.leaf];
    if file is not null and file <> r.files[r.leaf] then
        perform millrace.reset_rollup(r.id);
        return;
    end if;
    select case when r.shown is not null then retained_from end into kept
    from millrace.dataset where id = r.dataset_id;
    if file is not null and r.block < r.blocks[r.leaf] then
        perform set_config('enable_nestloop', 'off', true);
        perform millrace.add_facts(r, format(
            $sql$%s t where t.ctid >= '(%s,0)' and t.ctid < '(%s,0)' and %s and %s$sql$,
            r.leaves[r.leaf]::regclass, r.block, r.block + 4096, millrace.counted(r),
            case when kept is null then 'true'
                else format('millrace.bucket(%L, t.%I) >= %L', r.grain, r.time_column, kept) end));
        update millrace.rollup set block = r.block + 4096 where id = r.id;
    else
        update millrace.rollup set leaf = r.leaf + 1, block = 0 where id = r.id;
    end if;
end $$;

-- As in migration 0032, but for how many batches it takes, and the plans of its joins.
create or replace function millrace.refresh_rollup(r millrace.rollup) returns void language plpgsql as $$
declare
    shape millrace.rollup_shape := millrace.shape_rollup(r);
    main text;
    kept timestamptz;
    dirty timestamptz[];
    emptied int4[];
    batches int8[];
    outputs int4[];
    row_count int8;
    changed_buckets timestamptz[];
    changed_groups int4[];
begin
    select format('%I.%I', w.schema_name, d.name), d.retained_from into main, kept
    from millrace.dataset d join millrace.workspace w on w.id = d.workspace_id where d.id = r.dataset_id;
    with taken as (
        delete from millrace.rollup_change where id in (
            select c.id from (
                select c.id, sum(cardinality(c.buckets)) over (order by c.id) as upto, cardinality(c.buckets) as size
                from millrace.rollup_change c where c.rollup_id = r.id order by c.id limit 10000) c
            where c.upto - c.size < 2000)
        returning buckets
    )
    select array_agg(distinct b) into dirty from taken, unnest(buckets) b where kept is null or b >= kept;
    with waiting as materialized (
        select b.batch_id, b.output, millrace.stored_rows(r, b) as rows
        from millrace.rollup_batch b where b.rollup_id = r.id order by b.batch_id, b.output limit 128 for update
    ), chosen as (
        select w.batch_id, w.output, w.rows, sum(w.rows) over (order by w.batch_id, w.output) - w.rows as before
        from waiting w
    ), taken as (
        delete from millrace.rollup_batch b using chosen c
        where c.before < case when millrace.is_loading() then 50000 else 500000 end
            and b.rollup_id = r.id and b.batch_id = c.batch_id and b.output = c.output
        returning b.batch_id, b.output, c.rows
    )
    select array_agg(batch_id), array_agg(output), sum(rows) into batches, outputs, row_count from taken;
    dirty := coalesce(dirty, '{}');
    if dirty <> '{}' then
        execute format('with gone as (delete from %s where bucket = any($1) returning grp)
            select array_agg(distinct grp) from gone', shape.facts) into emptied using dirty;
        perform millrace.add_facts(r, case when millrace.has_time_index(main::regclass, r.time_column)
            then format('unnest(%L::timestamptz[]) d (bucket) join %s t on t.%I >= d.bucket and t.%I < d.bucket + %L
                where %s', dirty, main, r.time_column, r.time_column, millrace.grain_length(r.grain),
                millrace.counted(r))
            else format('%s t where %s = any(%L::timestamptz[]) and t.%I >= %L and t.%I < %L and %s',
                main, shape.at, dirty, r.time_column, dirty[1], r.time_column,
                dirty[cardinality(dirty)] + millrace.grain_length(r.grain), millrace.counted(r)) end);
    end if;
    if batches is not null then
        perform millrace.summarize_batches(main::regclass);
        -- Of a batch that has just come the planner expects a row or two.
        perform set_config('enable_nestloop', case when row_count > 2000 then 'off' else 'on' end, true);
        select a.buckets, a.groups into changed_buckets, changed_groups from millrace.add_facts(r, format(
            '%s t where t._batch = any(%L::int8[]) and (t._batch, t._out) in (
                select * from unnest(%L::int8[], %L::int4[]))
            and %s', main, batches, batches, outputs,
            case when dirty = '{}' then 'true' else format('%s <> all(%L::timestamptz[])', shape.at, dirty) end)) a;
    end if;
    if dirty <> '{}' and exists (
        select from millrace.dataset d where d.id = r.dataset_id and d.retained_from is distinct from kept)
    then
        raise exception using errcode = 'serialization_failure', message = 'rows were leaving meanwhile';
    end if;
    if emptied is not null then
        -- What an erasure is to forget may be the name of a group.
        execute format('delete from %s g where g.id = any($1) and not exists (select from %s f where f.grp = g.id)',
            shape.groups, shape.facts) using emptied;
    end if;
    perform millrace.note_event(r, changed_buckets, changed_groups, dirty);
    -- What waits still was held back long enough.
    update millrace.rollup set applied_at = clock_timestamp(),
        held_since = case when exists (select from millrace.rollup_batch b where b.rollup_id = r.id)
            then held_since end,
        wants_index = dirty <> '{}' and millrace.lacks_index(main::regclass, r.time_column)
    where id = r.id;
end $$;
