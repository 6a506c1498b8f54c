-- What a step of a rollup has added, and since when something waits to be added: for metrics.
-- Locks: millrace.rollup_batch and millrace.rollup_change exclusively for the moment that columns without a rewrite and
-- a trigger take; other objects are new. Services of an earlier version go on calling advance_rollup.

-- When it was noted; null for what waited before this migration.
alter table millrace.rollup_batch add column at timestamptz;
alter table millrace.rollup_batch alter column at set default clock_timestamp();
alter table millrace.rollup_change add column at timestamptz;
alter table millrace.rollup_change alter column at set default clock_timestamp();

-- Batches leave by being added, all others that leave are told apart by step_rollup. Counts for this transaction.
create function millrace.count_added() returns trigger language plpgsql as $$
begin
    perform set_config('millrace.added_batches', (coalesce(nullif(current_setting('millrace.added_batches', true), ''),
        '0')::int8 + count(distinct (d.batch_id, d.output)))::text, true),
        set_config('millrace.added_rows', (coalesce(nullif(current_setting('millrace.added_rows', true), ''), '0')::int8
            + coalesce(sum(a.stored), 0))::text, true)
    from gone d join millrace.rollup r on r.id = d.rollup_id
    left join millrace.application a on a.batch_id = d.batch_id and a.output = d.output and a.dataset_id = r.dataset_id;
    return null;
end $$;
create trigger count_added after delete on millrace.rollup_batch referencing old table as gone
    for each statement execute function millrace.count_added();

-- One step, and what it has added of what was appended: batches, and their rows. Buckets that were made anew and blocks
-- that a rollup is filled with are none of these.
create function millrace.step_rollup(in_rollup int8, out state text, out batches int8, out added int8)
language plpgsql as $$
begin
    perform set_config('millrace.added_batches', '0', true), set_config('millrace.added_rows', '0', true);
    state := millrace.advance_rollup(in_rollup);
    -- A rollup that is filled anew, or that failed, has let go of batches without adding them.
    batches := case when state = 'ready' then current_setting('millrace.added_batches')::int8 else 0 end;
    added := case when state = 'ready' then current_setting('millrace.added_rows')::int8 else 0 end;
end $$;

-- What each rollup has waiting: seconds since the oldest of it was noted (null for nothing), and how many batches, up
-- to 10,000. A rollup that failed waits for nobody.
create function millrace.rollup_lag(in_limit int4)
returns table (workspace text, rollup text, lag float8, batches int8) language sql stable as $$
    select w.name, x.name,
        extract(epoch from clock_timestamp() - least(b.at, c.at))::float8,
        (select count(*) from (select from millrace.rollup_batch p where p.rollup_id = x.id limit 10000) n)
    from millrace.rollup x
    join millrace.workspace w on w.id = x.workspace_id and w.deleted_at is null
    left join lateral (
        select coalesce(p.at, x.created_at) as at from millrace.rollup_batch p where p.rollup_id = x.id
        order by p.batch_id, p.output limit 1) b on true
    left join lateral (
        select coalesce(p.at, x.created_at) as at from millrace.rollup_change p where p.rollup_id = x.id
        order by p.id limit 1) c on true
    where x.state <> 'failed' and x.dataset_id is not null
    order by 3 desc nulls last, x.id limit in_limit
$$;
