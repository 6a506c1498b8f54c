-- Runs that turn one table into another. Services/README.md, "From table to table", says the rules.
-- Locks: millrace.source, run, run_batch and batch exclusively for the moment that this transaction takes: columns that
-- may be null or have a constant default, an index over a table with one row a source, one that no row of millrace.run is
-- in yet, and a constraint that is not checked against the batches there are. millrace.run and millrace.run_batch are
-- scanned once, for the index and for the constraint.

-- A dataset that pipelines read has a row among the sources, so that the ledger of what comes out of it is like any
-- other's. Nobody finds it by its name: its deleted_at is set from the beginning.
alter table millrace.source add column kind text not null default 'records' check (kind in ('records', 'dataset'));
create unique index source_dataset on millrace.source (workspace_id, name) where kind = 'dataset';

-- table: a slice of a dataset, read by a run. It has no payload.
alter table millrace.batch drop constraint batch_format_check;
alter table millrace.batch add constraint batch_format_check
    check (format in ('ndjson', 'json', 'csv', 'text', 'table')) not valid;

alter table millrace.run
    -- Of kind run. How often its reading began anew because its snapshot was lost: what an earlier epoch left counts
    -- for nothing.
    add column epoch         int4 not null default 0,
    -- Of the request that made it: a repeated one finds it.
    add column idempotency_key text,
    -- Every slice has been read, and store has been told: from then on the snapshot is not needed.
    add column released      bool not null default false,
    -- What the source's table had when the reading began: every slice is read with these.
    add column columns       text[],
    add column types         text[],
    -- The snapshot that every slice is read by: under which name it is exported, by which server process, until when
    -- that keeps it; and its text, by which an import is checked.
    add column snapshot      text,
    add column pin           text,
    add column pin_pid       int4,
    add column pin_started   timestamptz,
    add column pinned_until  timestamptz;

create index run_key on millrace.run (pipeline_id, idempotency_key) where idempotency_key is not null;

alter table millrace.run_batch
    -- Of a run of kind run: blocks low to high - 1 of a table, as its file was when the reading began.
    add column relation   int8,
    add column filenode   int8,
    add column low        int8,
    add column high       int8,
    add column received   int4,                -- rows read
    add column read_bytes int8,                -- of them, as COPY sends them
    add column chunk      int8;                -- what it was made into

-- One state more: read. The slice's chunk waits until all slices are read.
alter table millrace.run_batch drop constraint run_batch_state_check;
alter table millrace.run_batch add constraint run_batch_state_check
    check (state in ('queued', 'read', 'transformed', 'stored', 'superseded', 'dead'));

-- Ends the server process that keeps a run's snapshot, if it is still the one.
create function millrace.unpin(in_pid int4, in_started timestamptz) returns void language sql as $$
    select pg_terminate_backend(a.pid) from pg_catalog.pg_stat_activity a
    where a.pid = in_pid and a.backend_start = in_started
$$;

-- As in migration 0010; and whoever ends a run for good lets its snapshot go. A run that failed may be gone on with.
create or replace function millrace.end_run(in_run int8, in_state text) returns void language sql as $$
    update millrace.run r set state = in_state, done = c.done, dead = c.dead, stored = c.stored,
        filtered = c.filtered, quarantined = c.quarantined, duplicates = c.duplicates, error = c.error,
        finished_at = least(r.deadline, clock_timestamp())
    from millrace.count_run(in_run) c where r.id = in_run;
    select millrace.unpin(r.pin_pid, r.pin_started) from millrace.run r
    where r.id = in_run and r.pin_pid is not null and in_state <> 'failed';
$$;

-- Ends a run of kind run that failed as a whole. Its row is locked here.
create function millrace.fail_run(in_run int8, in_error text) returns void language plpgsql as $$
begin
    perform from millrace.run r where r.id = in_run and r.state in ('queued', 'running', 'failed') for no key update;
    if found then
        perform millrace.end_run(in_run, 'failed');
        update millrace.run r set error = left(in_error, 2000), started_at = coalesce(r.started_at, clock_timestamp())
        where r.id = in_run;
    end if;
end $$;

-- Hands a run's slices to store, all of which are read: each with a job of its own, or all of them in one where they
-- take the place of what the dataset holds. The run's row is locked by the caller. Answers whether there is any work.
create function millrace.release_run(in_run int8) returns bool language plpgsql as $$
declare
    one      millrace.run;
    replaces bool;
    loads    jsonb[];
begin
    update millrace.run r set released = true where r.id = in_run returning * into one;
    perform millrace.unpin(one.pin_pid, one.pin_started);
    replaces := exists (select from millrace.pipeline_version v where v.pipeline_id = one.pipeline_id
        and v.version = one.version and v.definition #>> '{target,mode}' = 'replace');
    insert into millrace.batch (id, source_id, format, records, raw_bytes, stored_bytes, receipt_ends, request_ids)
    select b.batch, p.source_id, 'table', b.received, b.read_bytes, 0, array[b.received], array['run ' || in_run]
    from millrace.run_batch b join millrace.pipeline p on p.id = one.pipeline_id
    where b.run = in_run and b.state = 'read';
    with moved as (
        update millrace.run_batch b set state = 'transformed' where b.run = in_run and b.state = 'read'
        returning b.ordinal, b.chunk
    )
    select array_agg(jsonb_build_object('chunk', m.chunk, 'run', in_run, 'ordinal', m.ordinal) order by m.ordinal)
    into loads from moved m;
    if replaces then
        perform queue.enqueue('store', 'run.replace', one.workspace_id, array[jsonb_build_object('run', in_run)],
            in_priority => (-1)::int2);
    elsif loads is not null then
        perform queue.enqueue('store', 'run.load', one.workspace_id, loads, in_priority => (-1)::int2);
    end if;
    return replaces or loads is not null;
end $$;

-- As in migration 0010; and a run of kind run, all of whose slices are read, is released.
create or replace function millrace.advance_runs(in_runs int8[]) returns int8[] language plpgsql as $$
declare
    one   millrace.run;
    ended int8[] := '{}';
    open  bool;
begin
    for one in select * from millrace.run r where r.id = any(in_runs) order by r.id for no key update loop
        if not millrace.is_going_on(one.state, one.deadline) then
            ended := ended || one.id;
            continue;
        end if;
        -- From the end: what is done lies at the front, and so do its dead index entries.
        perform from millrace.run_batch b where b.run = one.id and b.state in ('queued', 'transformed')
            order by b.run desc, b.ordinal desc limit 1;
        open := found;
        if not open and exists (select from millrace.run_batch b where b.run = one.id and b.state = 'dead') then
            perform millrace.end_run(one.id, 'failed');
            continue;
        end if;
        if not open and one.kind = 'run' and not one.released then
            open := millrace.release_run(one.id);
        end if;
        if not open then
            perform millrace.end_run(one.id, 'succeeded');
        elsif one.state <> 'running' then
            update millrace.run r set state = 'running', started_at = coalesce(r.started_at, clock_timestamp()),
                finished_at = null, done = null, dead = null, stored = null, filtered = null, quarantined = null,
                duplicates = null, error = null
            where r.id = one.id;
        end if;
    end loop;
    return ended;
end $$;

-- Cuts a table into slices of about in_bytes, its values that lie apart (TOAST) counted, at most in_limit of them; and
-- enqueues a job array over them. in_table is null where there is none yet. Answers the number of slices; null, and
-- does nothing, when the run has ended, or its reading has begun, or this is of an earlier epoch.
create function millrace.begin_run(
    in_run int8, in_epoch int4, in_table text, in_columns text[], in_types text[], in_pin text, in_snapshot text,
    in_pid int4, in_started timestamptz, in_lasts float8, in_bytes int8, in_limit int8
) returns int4 language plpgsql as $$
declare
    one    millrace.run;
    slices int4;
begin
    select * into one from millrace.run r where r.id = in_run for no key update;
    if not found or not millrace.is_going_on(one.state, one.deadline) or one.epoch <> in_epoch
        or one.columns is not null
    then
        return null;
    end if;
    with leaf as (
        select p.relid, pg_relation_filenode(p.relid)::int8 as filenode, s.blocks,
            greatest(1, ceil(in_bytes::numeric * s.blocks / greatest(pg_table_size(p.relid), 1))::int8,
                (sum(s.blocks) over () + in_limit - 1)::int8 / in_limit) as step
        from (
            select c.oid::regclass as relid from pg_catalog.pg_class c
            where c.oid = in_table::regclass and c.relkind = 'r'
            union select t.relid from pg_partition_tree(in_table::regclass) t where t.isleaf
        ) p
        cross join lateral (
            select pg_relation_size(p.relid) / current_setting('block_size')::int8 as blocks
        ) s
    )
    insert into millrace.run_batch (run, ordinal, batch, state, relation, filenode, low, high)
    select in_run, row_number() over (order by l.relid, c.low) - 1, nextval('millrace.batch_id'), 'queued',
        l.relid::oid::int8, l.filenode, c.low, least(c.low + l.step, l.blocks)
    from leaf l cross join lateral generate_series(0, l.blocks - 1, l.step) c (low);
    get diagnostics slices = row_count;
    update millrace.run r set columns = in_columns, types = in_types, pin = in_pin, snapshot = in_snapshot,
        pin_pid = in_pid, pin_started = in_started, pinned_until = clock_timestamp() + make_interval(secs => in_lasts),
        batches = slices, job = case when slices > 0 then (queue.enqueue('transform', 'run.slice', one.workspace_id,
            array[jsonb_build_object('run', in_run, 'epoch', in_epoch, 'first', 0)], in_priority => (-1)::int2,
            in_items => slices))[1] end
    where r.id = in_run;
    perform millrace.advance_runs(array[in_run]);
    return slices;
end $$;

-- Begins a run's reading anew: its snapshot is lost, or a table was rewritten. What was read of it counts for nothing,
-- and nobody has seen it. Does nothing where it was done already. Answers false, and does nothing, where another process
-- than in_pin's keeps the snapshot meanwhile: it need not be lost.
create function millrace.restart_run(in_run int8, in_epoch int4, in_pin text) returns bool language plpgsql as $$
declare
    most constant int4 := 20;
    one  millrace.run;
begin
    -- The slices before the run, as whoever reads one.
    perform from millrace.run_batch b where b.run = in_run order by b.ordinal for update;
    select * into one from millrace.run r where r.id = in_run for no key update;
    if not found or not millrace.is_going_on(one.state, one.deadline) or one.released or one.epoch <> in_epoch then
        return true;
    end if;
    if one.pin <> in_pin then
        return false;
    end if;
    perform millrace.unpin(one.pin_pid, one.pin_started);
    delete from millrace.run_batch b where b.run = in_run;
    update millrace.run r set epoch = in_epoch + 1, columns = null, types = null, pin = null, snapshot = null,
        pin_pid = null, pin_started = null, pinned_until = null, batches = 0, job = null, state = 'running',
        finished_at = null, done = null, dead = null, stored = null, filtered = null, quarantined = null,
        duplicates = null, error = null
    where r.id = in_run;
    if in_epoch + 1 >= most then
        perform millrace.fail_run(in_run, format('the snapshot of the source was lost %s times', most));
    else
        perform queue.enqueue('transform', 'run.begin', one.workspace_id,
            array[jsonb_build_object('run', in_run, 'epoch', in_epoch + 1)], in_priority => (-1)::int2);
    end if;
    return true;
end $$;

-- Cuts a slice that holds too much into up to in_parts; all but the first become slices of their own. Answers whether
-- it did: not where the slice is one block, has been read meanwhile, or is another epoch's.
create function millrace.split_slice(in_run int8, in_ordinal int4, in_batch int8, in_parts int4) returns bool
language plpgsql as $$
declare
    one   millrace.run;
    slice millrace.run_batch;
    step  int8;
    first int4;
    made  int4;
begin
    select * into slice from millrace.run_batch b where b.run = in_run and b.ordinal = in_ordinal
        and b.batch = in_batch and b.state in ('queued', 'dead') for no key update;
    if not found or slice.high - slice.low < 2 then
        return false;
    end if;
    select * into one from millrace.run r where r.id = in_run for no key update;
    step := (slice.high - slice.low + in_parts - 1) / in_parts;
    first := (select max(b.ordinal) + 1 from millrace.run_batch b where b.run = in_run);
    insert into millrace.run_batch (run, ordinal, batch, state, relation, filenode, low, high)
    select in_run, first + row_number() over (order by c.low) - 1, nextval('millrace.batch_id'), 'queued',
        slice.relation, slice.filenode, c.low, least(c.low + step, slice.high)
    from generate_series(slice.low + step, slice.high - 1, step) c (low);
    get diagnostics made = row_count;
    update millrace.run_batch b set high = slice.low + step where b.run = in_run and b.ordinal = in_ordinal;
    update millrace.run r set batches = r.batches + made where r.id = in_run;
    perform queue.enqueue('transform', 'run.slice', one.workspace_id,
        array[jsonb_build_object('run', in_run, 'epoch', one.epoch, 'first', first)], in_priority => (-1)::int2,
        in_items => made);
    return true;
end $$;

-- As in migration 0010; and the chunk of a slice is kept from its reading on.
create or replace function landing.is_wanted(in_child text, in_low int8, in_high int8, in_patience float8) returns bool
language plpgsql stable as $$
declare
    used constant text := 'select exists (select from millrace.application a join landing.%I c '
        'on c.batch_id = a.batch_id and c.pipeline_id = a.pipeline_id and c.output = a.output '
        'and c.version = a.version where c.run is null and a.state = ';
    wanted bool;
begin
    execute format('select exists (select from landing.%I c join millrace.run r on r.id = c.run '
        'join millrace.run_batch b on b.run = c.run and b.ordinal = c.ordinal where c.run is not null '
        'and coalesce(b.chunk = c.id, true) and coalesce(r.deadline > now(), true) '
        'and (r.state in (''queued'', ''running'') and b.state in (''read'', ''transformed'') '
        'or r.state in (''running'', ''failed'') and b.state in (''read'', ''transformed'', ''dead'') '
        'and r.created_at > now() - make_interval(secs => $1)))', in_child) into wanted using in_patience;
    if wanted then
        return true;
    end if;
    execute format(used || '''transformed'')', in_child) into wanted;
    if wanted then
        return true;
    end if;
    execute format(used || '''failed'')', in_child) into wanted;
    if not wanted then
        return false;
    end if;
    execute format(used || '''failed'' and exists (select from millrace.batch b where b.id = a.batch_id '
        'and b.received_at > now() - make_interval(secs => $1)))', in_child) into wanted using in_patience;
    return wanted or exists (select from landing.live_job j where j.chunk >= in_low and j.chunk < in_high);
end $$;
