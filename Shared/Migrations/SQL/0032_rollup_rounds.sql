-- The rounds in which rollups follow their datasets. Services/README.md, "Rollups", says what holds.
-- Locks: creates new functions only.

-- A rollup as its statements are made from it.
create type millrace.rollup_shape as (
    groups     text,   -- tables
    facts      text,
    at         text,   -- expression of the bucket over `t`
    dims       text,   -- `, d1, d2`
    dim_values text,   -- `, t."path" as d1, …`
    same_group text,   -- whether `a` and `b` have the same dimensions
    hash       text,   -- of the dimensions
    states     text,   -- `, s1, s2`
    state_sums text,   -- `, count(t."x") as s1, …`
    merged     text    -- `, s1 = f.s1 + excluded.s1, …`
);

-- A column as float8; what is beyond its range is infinite.
create function millrace.sketched(name text, type text) returns text language sql immutable as $$
    select case when type = 'numeric' then format('case when abs(t.%1$I) > 1.79e308 then sign(t.%1$I)::float8 * '
        '''Infinity''::float8 else t.%1$I::float8 end', name) else format('t.%I::float8', name) end
$$;

create function millrace.shape_rollup(r millrace.rollup) returns millrace.rollup_shape language plpgsql as $$
declare
    shape millrace.rollup_shape;
    places text;
begin
    shape.groups := format('rollups.groups_%s_%s', r.id, r.version);
    shape.facts := format('rollups.facts_%s_%s', r.id, r.generation);
    shape.at := format('millrace.bucket(%L, t.%I)', r.grain, r.time_column);
    select coalesce(string_agg(format(', d%s', n), '' order by n), ''),
        coalesce(string_agg(format(', t.%I as d%s', d->>'name', n), '' order by n), ''),
        coalesce(string_agg(format('a.d%s is not distinct from b.d%s', n, n), ' and ' order by n), 'true'),
        string_agg(format('d%s', n), ', ' order by n)
    into shape.dims, shape.dim_values, shape.same_group, places
    from jsonb_array_elements(r.dimensions) with ordinality as x (d, n);
    shape.hash := case when places is null then '0::int8' else format('hash_record_extended(row(%s), 0)', places) end;
    select coalesce(string_agg(format(', s%s', n), '' order by n), ''),
        coalesce(string_agg(', ' || case s->>'kind'
            when 'sum' then format('sum(t.%I)', s->>'column')
            when 'sumsq' then format('sum(t.%I::numeric * t.%I::numeric)', s->>'column', s->>'column')
            when 'm2' then format('var_pop(t.%I) * count(t.%I)', s->>'column', s->>'column')
            -- Most groups of a small batch have one value.
            when 'sketch' then format('case count(t.%1$I) when 0 then null '
                'when 1 then array[(millrace.sketch_bin(min(%2$s))::int8 << 44) + 1] '
                'else millrace.sketch_compact(array_agg((millrace.sketch_bin(%2$s)::int8 << 44) + 1) '
                'filter (where t.%1$I is not null)) end',
                s->>'column', millrace.sketched(s->>'column', s->>'type'))
            else format('%s(t.%I)', s->>'kind', s->>'column') end || format(' as s%s', n), '' order by n), ''),
        coalesce(string_agg(', ' || format('s%1$s = ', n) || case
            when s->>'kind' in ('min', 'max') then
                format('%2$s(f.s%1$s, excluded.s%1$s)', n, case s->>'kind' when 'min' then 'least' else 'greatest' end)
            when s->>'kind' = 'sketch' then format('millrace.sketch_merge(f.s%1$s, excluded.s%1$s)', n)
            when s->>'kind' = 'm2' then format('millrace.merge_m2(f.s%2$s, f.s%3$s, f.s%1$s, excluded.s%2$s, '
                'excluded.s%3$s, excluded.s%1$s)', n, s->>'count', s->>'sum')
            else format('coalesce(f.s%1$s + excluded.s%1$s, f.s%1$s, excluded.s%1$s)', n) end, '' order by n), '')
    into shape.states, shape.state_sums, shape.merged
    from jsonb_array_elements(r.states) with ordinality as x (s, n);
    return shape;
end $$;

-- The sum of squared differences from the mean of two parts, from their counts, sums and the same (Chan et al., 1979).
create function millrace.merge_m2(n1 int8, s1 float8, q1 float8, n2 int8, s2 float8, q2 float8) returns float8
language sql immutable parallel safe
    return case when n1 = 0 or n1 is null then q2 when n2 = 0 or n2 is null then q1
        else q1 + q2 + (s2 / n2 - s1 / n1) * (s2 / n2 - s1 / n1) * (n1::float8 * n2 / (n1 + n2)) end;

create function millrace.make_rollup_tables(r millrace.rollup) returns void language plpgsql as $$
declare
    shape millrace.rollup_shape := millrace.shape_rollup(r);
    dims text;
    states text;
begin
    select coalesce(string_agg(format(', d%s %s%s', n, d->>'type',
        coalesce(' collate ' || quote_ident(d->>'collation'), '')), '' order by n), '')
    into dims from jsonb_array_elements(r.dimensions) with ordinality as x (d, n);
    select coalesce(string_agg(format(', s%s %s%s', n, s->>'type',
        coalesce(' collate ' || quote_ident(s->>'collation'), '')), '' order by n), '')
    into states from (
        select n, jsonb_set(s, '{type}', to_jsonb(case s->>'kind' when 'count' then 'int8' when 'sketch' then 'int8[]'
            when 'm2' then 'float8' when 'sumsq' then 'numeric'
            when 'sum' then case s->>'type' when 'float8' then 'float8' else 'numeric' end
            else s->>'type' end)) as s
        from jsonb_array_elements(r.states) with ordinality as x (s, n)) typed;
    if to_regclass(shape.groups) is null then
        execute format('create table %s (id int4 generated always as identity primary key, h int8 not null%s)',
            shape.groups, dims);
        execute format('create index on %s (h)', shape.groups);
    end if;
    execute format('drop table if exists %s', shape.facts);
    execute format('create table %s (bucket timestamptz not null, grp int4 not null, n int8 not null%s,
        primary key (bucket, grp)) with (fillfactor = 80)', shape.facts, states);
    execute format('create index on %s (grp, bucket)', shape.facts);
end $$;

-- Adds rows of `source` (an item of FROM that is named t, and conditions) to the facts. Answers what was changed.
create function millrace.add_facts(
    r millrace.rollup, source text, out buckets timestamptz[], out groups int4[]
) language plpgsql as $$
declare
    shape millrace.rollup_shape := millrace.shape_rollup(r);
begin
    execute format($sql$
        with raw as materialized (
            select %1$s as bucket%2$s, count(*) as n%3$s from %4$s and isfinite(t.%5$I) group by 1%14$s
        ), known as materialized (
            select a.*, b.id as grp from (select a.*, %7$s as h from raw a) a
            left join %8$s b on b.h = a.h and %9$s
        ), made as (
            insert into %8$s (h%6$s) select distinct h%6$s from known where grp is null returning id, h%6$s
        ), written as (
            insert into %10$s as f (bucket, grp, n%11$s)
            select a.bucket, coalesce(a.grp, b.id), a.n%12$s
            from known a left join made b on a.grp is null and b.h = a.h and %9$s
            on conflict (bucket, grp) do update set n = f.n + excluded.n%13$s
            returning bucket, grp
        )
        select array_agg(bucket), array_agg(grp) from written
        $sql$, shape.at, shape.dim_values, shape.state_sums, source, r.time_column, shape.dims, shape.hash,
        shape.groups,
        shape.same_group, shape.facts, shape.states, replace(shape.states, ', s', ', a.s'), shape.merged,
        (select string_agg(', ' || n + 1, '' order by n) from generate_series(1, jsonb_array_length(r.dimensions)) n))
    into buckets, groups;
end $$;

-- Of rows that are counted otherwise: batches that wait.
create function millrace.counted(r millrace.rollup) returns text language sql stable as $$
    select format('not exists (select from millrace.rollup_batch w where w.rollup_id = %s and w.batch_id = t._batch
        and w.output = t._out)', r.id)
$$;

-- Writes what a round has changed, and drops what is old: a thousand events are kept.
create function millrace.note_event(r millrace.rollup, buckets timestamptz[], groups int4[], replaced timestamptz[])
returns void language plpgsql as $$
declare
    event int8;
begin
    if coalesce(cardinality(buckets), 0) + coalesce(cardinality(replaced), 0) = 0 then return; end if;
    update millrace.rollup set last_event = last_event + 1 where id = r.id returning last_event into event;
    if cardinality(buckets) > 5000 or cardinality(replaced) > 100 then
        buckets := null;
        groups := null;
        replaced := null;
    end if;
    insert into millrace.rollup_event (rollup_id, id, buckets, groups, replaced)
    values (r.id, event, buckets, groups, replaced);
    delete from millrace.rollup_event e where e.rollup_id = r.id and e.id <= event - 1000;
end $$;

-- One bounded step of a rollup, which is locked: to be called in the transaction that settles its job. It makes the
-- next job where there is more to do; while rows are loaded, long steps leave them four fifths of the time. Every
-- statement here has a snapshot of its own: see Services/README.md for why that is enough. Raises 55P03 where a
-- dataset's table cannot be locked soon, which is longer than `deadlock_timeout`, after which an autovacuum gives way.
create function millrace.advance_rollup(in_rollup int8) returns text language plpgsql
    set timezone = 'UTC' set jit = off set work_mem = '64MB' set plan_cache_mode = force_custom_plan
    set lock_timeout = '1500ms' as $$
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

-- Whether store or transform has work in hands.
create function millrace.is_loading() returns bool language sql stable as $$
    select exists (
        select from queue.lease l join queue.queue q on q.id = l.queue where q.name in ('transform', 'store'))
$$;

-- The tables that hold a dataset's rows: its partitions, or itself, of which pg_partition_tree knows nothing.
create function millrace.leaves(main regclass) returns setof oid language sql stable as $$
    select c.oid from pg_class c where c.oid = main and c.relkind = 'r'
    union select t.relid from pg_partition_tree(main) t where t.isleaf
$$;

-- From here on changes are noted; what is to be filled is what the table holds now.
create function millrace.prepare_rollup(r millrace.rollup) returns void language plpgsql as $$
declare
    main regclass;
begin
    if millrace.watch_table(r.dataset_id) then
        select format('%I.%I', w.schema_name, d.name)::regclass into main
        from millrace.dataset d join millrace.workspace w on w.id = d.workspace_id where d.id = r.dataset_id;
    end if;
    perform millrace.make_rollup_tables(r);
    update millrace.rollup x set state = 'backfilling', leaf = 1, block = 0, leaves = p.leaves, files = p.files,
        blocks = p.blocks
    from (
        select coalesce(array_agg(c.oid order by c.oid), '{}') as leaves,
            coalesce(array_agg(c.relfilenode order by c.oid), '{}') as files,
            coalesce(array_agg(pg_relation_size(c.oid) / current_setting('block_size')::int8 order by c.oid), '{}')
                as blocks
        from millrace.leaves(main) t (leaf) join pg_class c on c.oid = t.leaf
    ) p where x.id = r.id;
end $$;

-- Counts 4,096 blocks (32 MiB) more. A table that has left meanwhile is past; one that was written anew means to begin
-- again.
create function millrace.backfill_rollup(r millrace.rollup) returns void language plpgsql as $$
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

-- The generation is whole, but for what is noted. What it says of the time before the rows that are kept, the one
-- before it knew.
create function millrace.show_rollup(r millrace.rollup) returns void language plpgsql as $$
declare
    shape millrace.rollup_shape := millrace.shape_rollup(r);
    kept timestamptz;
begin
    if r.shown is not null then
        select retained_from into kept from millrace.dataset where id = r.dataset_id;
        if kept is not null then
            execute format('delete from %s where bucket < %L', shape.facts, kept);
            execute format('insert into %s select * from rollups.facts_%s_%s where bucket < %L',
                shape.facts, r.id, r.shown, kept);
        end if;
        execute format('drop table rollups.facts_%s_%s', r.id, r.shown);
        execute format('delete from %s g where not exists (select from %s f where f.grp = g.id)', shape.groups,
            shape.facts);
    end if;
    update millrace.rollup set state = 'ready', shown = r.generation, applied_at = clock_timestamp() where id = r.id;
    update millrace.rollup set last_event = last_event + 1 where id = r.id;
    insert into millrace.rollup_event (rollup_id, id) select id, last_event from millrace.rollup where id = r.id;
end $$;

-- Adds batches, and makes buckets anew. A bucket that is made anew holds the rows of all batches that do not wait,
-- those of this round among them, so these are not added to it.
create function millrace.refresh_rollup(r millrace.rollup) returns void language plpgsql as $$
declare
    shape millrace.rollup_shape := millrace.shape_rollup(r);
    main text;
    kept timestamptz;
    dirty timestamptz[];
    emptied int4[];
    batches int8[];
    outputs int4[];
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
    with taken as (
        delete from millrace.rollup_batch where (rollup_id, batch_id, output) in (
            select b.rollup_id, b.batch_id, b.output from millrace.rollup_batch b where b.rollup_id = r.id
            order by b.batch_id, b.output limit 128 for update)
        returning batch_id, output
    )
    select array_agg(batch_id), array_agg(output) into batches, outputs from taken;
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
    update millrace.rollup set applied_at = clock_timestamp(),
        wants_index = dirty <> '{}' and millrace.lacks_index(main::regclass, r.time_column)
    where id = r.id;
end $$;

create function millrace.has_time_index(main regclass, time_column text) returns bool language sql stable as $$
    select exists (
        select from pg_index i join pg_attribute a on a.attrelid = main and a.attname = time_column
        join pg_class x on x.oid = i.indexrelid join pg_am m on m.oid = x.relam
        where i.indrelid = main and i.indkey[0] = a.attnum and i.indisvalid and m.amname = 'btree')
$$;

-- Whether a table is so large that buckets are made anew faster by an index on the time column, and has none. The
-- partitions of a table are enough.
create function millrace.lacks_index(main regclass, time_column text) returns bool language sql stable as $$
    select c.relkind = 'r' and pg_relation_size(main) > 33554432 and not millrace.has_time_index(main, time_column)
    from pg_class c where c.oid = main
$$;

create function millrace.grain_length(grain text) returns interval language sql immutable as $$
    select case grain when 'quarter' then interval '3 months' else ('1 ' || grain)::interval end
$$;

-- What makes the index that a rollup wants, each to be run by itself, outside a transaction. Nothing where it is being
-- made; what is left of one that was interrupted goes first.
create function millrace.rollup_index(in_rollup int8) returns setof text language plpgsql stable as $$
declare
    r record;
    made regclass;
begin
    select format('%I.%I', w.schema_name, d.name)::regclass as main, x.time_column, w.schema_name into r
    from millrace.rollup x join millrace.dataset d on d.id = x.dataset_id
    join millrace.workspace w on w.id = d.workspace_id
    where x.id = in_rollup and x.wants_index and d.table_created;
    if not found or not millrace.lacks_index(r.main, r.time_column) then return; end if;
    -- The table's number: another one that takes its place brings its indexes' names.
    made := to_regclass(format('%I.%I', r.schema_name, format('rollup.%s.%s', r.main::oid, in_rollup)));
    if made is not null then
        if exists (select from pg_stat_progress_create_index p where p.index_relid = made) then return; end if;
        return next format('drop index concurrently if exists %s', made);
    end if;
    return next format('create index concurrently %I on %s (%I)', format('rollup.%s.%s', r.main::oid, in_rollup),
        r.main, r.time_column);
end $$;

-- Has the index on `_batch` know the blocks that came last, so that a batch is found without reading all of them. Who
-- cannot have the lock goes without.
create function millrace.summarize_batches(main regclass) returns void language plpgsql as $$
declare
    i oid;
begin
    for i in select x.indexrelid from millrace.leaves(main) t (leaf) join pg_index x on x.indrelid = t.leaf
        join pg_class c on c.oid = x.indexrelid join pg_am m on m.oid = c.relam where m.amname = 'brin'
    loop
        begin
            perform set_config('lock_timeout', '50ms', true);
            perform brin_summarize_new_values(i);
        exception when lock_not_available then null;
        end;
    end loop;
    perform set_config('lock_timeout', '1500ms', true);
end $$;

-- Takes the tables of a rollup, which is locked, and the index that it has had made, unless somebody's lock keeps it.
create function millrace.drop_rollup_tables(in_rollup int8) returns void language plpgsql as $$
declare
    t text;
begin
    for t in select format('rollups.%I', c.relname) from pg_class c
        where c.relnamespace = 'rollups'::regnamespace and c.relkind = 'r'
            and c.relname ~ format('^(groups|facts)_%s_', in_rollup)
    loop
        execute 'drop table ' || t;
    end loop;
    update millrace.rollup set shown = null where id = in_rollup;
    perform set_config('lock_timeout', '200ms', true);
    for t in select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind = 'i' and c.relname ~ format('^rollup[.][0-9]+[.]%s$', in_rollup)
    loop
        begin
            execute 'drop index ' || t;
        exception when lock_not_available then null;
        end;
    end loop;
end $$;
