-- Rollups: aggregates of a dataset by time and dimensions, kept exactly. Services/README.md, "Rollups", says what
-- holds.
-- Locks: creates new objects only, and adds a column that may be null to millrace.dataset, exclusively for a moment and
-- without a rewrite; a foreign key locks millrace.workspace and millrace.dataset against changes for that moment.

-- Rows whose time is before it have left the dataset: what rollups say of that time is not made anew.
alter table millrace.dataset add column retained_from timestamptz;

-- The rollups' tables: groups_<rollup>_<version>, facts_<rollup>_<generation>. No workspace's role reads them.
create schema rollups;

create table millrace.rollup (
    id           int8 generated always as identity primary key,
    workspace_id int8 not null references millrace.workspace,
    name         text not null check (name ~ '^[a-z][a-z0-9_]{0,47}$'),
    version      int4 not null default 1,     -- the ETag
    definition   jsonb not null,              -- as it was put
    dataset_id   int8 references millrace.dataset on delete set null,
    time_column  text not null,
    time_type    text not null,               -- timestamptz or date
    grain        text not null,
    dimensions   jsonb not null,              -- [{"name", "type", "collation"}]
    states       jsonb not null,              -- what is kept of each row: [{"kind", "column", "type", "collation"}]
    state        text not null default 'preparing' check (state in
                    ('preparing',  -- changes are not noted for sure yet
                     'backfilling',-- `generation` is filled block by block; what comes meanwhile waits
                     'ready',      -- `generation` is what the dataset holds, but for what is noted
                     'failed')),   -- for good, with `reason`; until it is put with a change
    reason       text,
    wants_index  bool not null default false,   -- on the time column, for buckets that are made anew
    generation   int4 not null default 1,
    shown        int4,                        -- the generation that is read; null before the first is whole
    -- Of a backfill: the tables that hold the rows, their files and lengths when it began, and how far it is.
    leaves       oid[] not null default '{}',
    files        oid[] not null default '{}',
    blocks       int8[] not null default '{}',
    leaf         int4 not null default 1,
    block        int8 not null default 0,
    last_event   int8 not null default 0,
    applied_at   timestamptz,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    unique (workspace_id, name)
) with (fillfactor = 50);
create index rollup_dataset on millrace.rollup (dataset_id);

-- Batches whose rows were appended and are not added yet. What is not here, is.
create table millrace.rollup_batch (
    rollup_id int8 not null references millrace.rollup on delete cascade,
    batch_id  int8 not null,
    output    int4 not null,
    primary key (rollup_id, batch_id, output)
);

-- What changed otherwise: buckets that are to be made anew. An empty one wakes the applier.
create table millrace.rollup_change (
    id        int8 generated always as identity primary key,
    rollup_id int8 not null references millrace.rollup on delete cascade,
    buckets   timestamptz[] not null
);
create index rollup_change_rollup on millrace.rollup_change (rollup_id, id);

-- What a round has changed, by gap-free ids: rows of groups, whole buckets, or too much to say (both null).
create table millrace.rollup_event (
    rollup_id int8 not null references millrace.rollup on delete cascade,
    id        int8 not null,
    buckets   timestamptz[],
    groups    int4[],                         -- as long as buckets
    replaced  timestamptz[],                  -- buckets all of whose rows are new
    at        timestamptz not null default clock_timestamp(),
    primary key (rollup_id, id)
);

-- Makes a job for a rollup, unless one waits.
create function millrace.enqueue_rollup(in_rollup int8, in_delay float8 default 0) returns void
language sql as $$
    select count(*) from millrace.rollup r cross join lateral queue.enqueue_linked(
        array['analytics'], array['rollup'], array[r.workspace_id], array[jsonb_build_object('rollup', r.id)],
        array[0::int2], array[in_delay], array[20::int2], array[null::text],
        array[jsonb_build_object('unique', jsonb_build_object('key', 'rollup:' || r.id, 'until', 'started'))])
    where r.id = in_rollup
$$;

-- At the commit: others with the job's key wait no longer than that takes.
create function millrace.wake_rollup() returns trigger language plpgsql as $$
begin
    perform millrace.enqueue_rollup(new.rollup_id);
    return null;
end $$;
create constraint trigger wake after insert on millrace.rollup_change deferrable initially deferred
    for each row execute function millrace.wake_rollup();

-- The bucket that a time lies in.
create function millrace.bucket(grain text, at timestamptz) returns timestamptz language sql stable parallel safe
    return date_trunc(grain, at, 'UTC');
create function millrace.bucket(grain text, at date) returns timestamptz language sql stable parallel safe
    return date_trunc(grain, at::timestamp at time zone 'UTC', 'UTC');

-- The statement that notes the buckets of rows: of a query that gives them as `bucket`, a thousand in a row.
create function millrace.noting(in_rollup int8, rows text) returns text language sql as $$
    select format('insert into millrace.rollup_change (rollup_id, buckets)
        select %s, array_agg(b order by b) from (
            select b, (row_number() over (order by b) - 1) / 1000 as part
            from (select distinct bucket as b from (%s) r where isfinite(bucket)) d) p
        group by part', in_rollup, rows)
$$;

-- A rollup that cannot be kept says why, and holds up nobody.
create function millrace.fail_rollup(in_rollup int8, in_reason text) returns void language sql as $$
    update millrace.rollup set state = 'failed', reason = left(in_reason, 2000), updated_at = now()
    where id = in_rollup
$$;

-- Notes that rows of batches and outputs were appended to a dataset, after they were, in the same transaction. Answers
-- how many rollups there are. Batches of which another pipeline has rows in the dataset cannot be told apart from
-- those.
create function millrace.note_appended(in_dataset int8, in_batches int8[], in_outputs int4[]) returns int4
language plpgsql as $$
declare
    r millrace.rollup;
    found_rollups int4 := 0;
    shared_batches int8[];
begin
    for r in select * from millrace.rollup where dataset_id = in_dataset and state <> 'failed' order by id loop
        found_rollups := found_rollups + 1;
        insert into millrace.rollup_batch (rollup_id, batch_id, output)
        select distinct r.id, b.batch, b.output from unnest(in_batches, in_outputs) b (batch, output)
        order by 2, 3 on conflict do nothing;
        insert into millrace.rollup_change (rollup_id, buckets) values (r.id, '{}');
    end loop;
    if found_rollups = 0 then return 0; end if;
    -- Not before: who entered the same batch has committed by now.
    shared_batches := array(select b.batch from unnest(in_batches, in_outputs) b (batch, output)
        join millrace.application a on a.batch_id = b.batch and a.output = b.output and a.dataset_id = in_dataset
            and a.state = 'stored' group by b.batch, b.output having count(distinct a.pipeline_id) > 1);
    if shared_batches <> '{}' then
        delete from millrace.rollup_batch b using millrace.rollup x
        where x.dataset_id = in_dataset and b.rollup_id = x.id and b.batch_id = any(shared_batches);
        perform millrace.note_batches(in_dataset, shared_batches);
    end if;
    return found_rollups;
end $$;

-- Notes all buckets in which batches have rows.
create function millrace.note_batches(in_dataset int8, in_batches int8[]) returns int4 language plpgsql as $$
declare
    r record;
    found_rollups int4 := 0;
begin
    for r in select x.*, w.schema_name, d.name as dataset from millrace.rollup x
        join millrace.dataset d on d.id = x.dataset_id join millrace.workspace w on w.id = d.workspace_id
        where d.id = in_dataset and x.state <> 'failed' order by x.id
    loop
        found_rollups := found_rollups + 1;
        execute millrace.noting(r.id, format('select millrace.bucket(%L, %I) as bucket from %I.%I
            where _batch = any(%L::int8[])', r.grain, r.time_column, r.schema_name, r.dataset, in_batches));
    end loop;
    return found_rollups;
end $$;

-- Notes the buckets of the rows that a temporary table brings into a dataset.
create function millrace.note_staged(in_dataset int8, in_stage text) returns int4 language plpgsql as $$
declare
    r millrace.rollup;
    found_rollups int4 := 0;
begin
    for r in select * from millrace.rollup where dataset_id = in_dataset and state <> 'failed' order by id loop
        found_rollups := found_rollups + 1;
        execute millrace.noting(r.id,
            format('select millrace.bucket(%L, %I) as bucket from %s', r.grain, r.time_column, in_stage));
    end loop;
    return found_rollups;
end $$;

-- Rows of a dataset's table were updated or deleted, by whatever statement: their old and their new buckets.
create function millrace.note_rows() returns trigger language plpgsql as $$
declare
    r millrace.rollup;
    what text;
begin
    for r in select * from millrace.rollup where dataset_id = tg_argv[0]::int8 and state <> 'failed' order by id loop
        what := format('select millrace.bucket(%L, %I) as bucket from old_rows', r.grain, r.time_column);
        if tg_op = 'UPDATE' then
            what := what || format(' union all select millrace.bucket(%L, %I) from new_rows', r.grain, r.time_column);
        end if;
        -- The transition tables are known here only.
        execute millrace.noting(r.id, what);
    end loop;
    return null;
end $$;

-- Has changes of a dataset's table noted down. Waits for those who write into it, and holds up others meanwhile.
create function millrace.watch_table(in_dataset int8) returns bool language plpgsql as $$
declare
    t record;
begin
    -- First, and then looked at: whoever makes the table holds the row.
    perform from millrace.dataset d where d.id = in_dataset for no key update;
    select w.schema_name as s, d.name as n into t
    from millrace.dataset d join millrace.workspace w on w.id = d.workspace_id
    where d.id = in_dataset and d.table_created;
    if not found then return false; end if;
    if exists (select from pg_trigger g where g.tgrelid = format('%I.%I', t.s, t.n)::regclass
        and g.tgname = 'rollup_deleted') then
        execute format('lock table only %I.%I in share row exclusive mode', t.s, t.n);
        return true;
    end if;
    execute format('create trigger rollup_updated after update on %I.%I referencing old table as old_rows
        new table as new_rows for each statement execute function millrace.note_rows(%s)', t.s, t.n, in_dataset);
    execute format('create trigger rollup_deleted after delete on %I.%I referencing old table as old_rows
        for each statement execute function millrace.note_rows(%s)', t.s, t.n, in_dataset);
    return true;
end $$;

-- A dataset's table was made, or another one took its place, in this transaction, which holds its lock: rollups are
-- filled anew, and what they were is shown until then.
create function millrace.note_table(in_dataset int8) returns void language plpgsql as $$
declare
    r int8;
begin
    if not exists (select from millrace.rollup where dataset_id = in_dataset) then return; end if;
    perform millrace.watch_table(in_dataset);
    for r in select id from millrace.rollup where dataset_id = in_dataset and state <> 'failed' order by id
        for no key update
    loop
        perform millrace.reset_rollup(r);
    end loop;
end $$;

-- Has a locked rollup filled anew.
create function millrace.reset_rollup(in_rollup int8) returns void language plpgsql as $$
begin
    delete from millrace.rollup_batch where rollup_id = in_rollup;
    delete from millrace.rollup_change where rollup_id = in_rollup;
    update millrace.rollup set state = 'preparing', generation = generation + 1, reason = null, updated_at = now()
    where id = in_rollup;
    insert into millrace.rollup_change (rollup_id, buckets) values (in_rollup, '{}');
end $$;

-- DDSketch (Masson, Rim and Lee, VLDB 2019) with an error of 1 %: values by the bin (g^(i-1), g^i], g = 1.01 / 0.99.
-- A sketch is an array of bin * 2^44 + count, ascending, which is the order of the values: negative ones mirrored, zero
-- as bin 0, -Infinity, Infinity and NaN beyond all others, as PostgreSQL sorts them.
create function millrace.sketch_bin(x float8) returns int4 language sql immutable parallel safe
    return case when x = 'NaN' then 500000 when x = 'Infinity' then 499999 when x = '-Infinity' then -499999
        when x > 0 then 40000 + ceil(ln(x) / 0.020000666706669435)::int4
        when x < 0 then -40000 - ceil(ln(-x) / 0.020000666706669435)::int4
        else 0 end;

create function millrace.sketch_value(bin int8) returns float8 language sql immutable parallel safe
    return case when bin = 500000 then float8 'NaN' when bin = 499999 then float8 'Infinity'
        when bin = -499999 then float8 '-Infinity' when bin = 0 then 0
        else sign(bin) * 0.99 * exp(least((abs(bin) - 40000) * 0.020000666706669435, 709.78)) end;

-- A sketch of unordered elements, of which several may have one bin.
create function millrace.sketch_compact(elements int8[]) returns int8[]
language sql immutable strict parallel safe as $$
    select array_agg((k << 44) + n order by k)
    from (select u >> 44 as k, sum(u & 17592186044415)::int8 as n from unnest(elements) u group by 1) m
$$;

-- Puts the elements of a small sketch into another one: few at a time do not pay for a query.
create function millrace.sketch_merge(a int8[], b int8[]) returns int8[] language plpgsql immutable parallel safe as $$
declare
    element int8;
    bin int8;
    lowest int4;
    highest int4;
    middle int4;
begin
    if a is null then return b; end if;
    if b is null then return a; end if;
    if cardinality(b) > 8 then return millrace.sketch_compact(a || b); end if;
    foreach element in array b loop
        bin := (element >> 44) << 44;
        lowest := 1;
        highest := cardinality(a) + 1;
        while lowest < highest loop
            middle := (lowest + highest) / 2;
            if a[middle] < bin then lowest := middle + 1; else highest := middle; end if;
        end loop;
        if lowest <= cardinality(a) and a[lowest] >> 44 = element >> 44 then
            a[lowest] := a[lowest] + (element - bin);
        else
            a := a[:lowest - 1] || element || a[lowest:];
        end if;
    end loop;
    return a;
end $$;

-- Sums up sketches. Elements are collected, and counted together by thousands.
create function millrace.sketch_collect(elements int8[], more int8[]) returns int8[]
language plpgsql immutable strict parallel safe as $$
begin
    if cardinality(elements) > 4000 then elements := millrace.sketch_compact(elements); end if;
    return elements || more;
end $$;
create aggregate millrace.sketch_sum(int8[]) (
    sfunc = millrace.sketch_collect, stype = int8[], finalfunc = millrace.sketch_compact,
    combinefunc = millrace.sketch_collect, parallel = safe);

-- The value whose place is the first at or beyond the fraction q of all, as percentile_disc has it, within 1 %.
create function millrace.sketch_quantile(s int8[], q float8) returns float8
language plpgsql immutable strict parallel safe as $$
declare
    element int8;
    total int8 := 0;
    rank int8;
begin
    foreach element in array s loop
        total := total + (element & 17592186044415);
    end loop;
    rank := greatest(ceil(total * q::numeric), 1);
    foreach element in array s loop
        rank := rank - (element & 17592186044415);
        if rank <= 0 then return millrace.sketch_value(element >> 44); end if;
    end loop;
    return null;
end $$;
