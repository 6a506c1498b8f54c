-- Sources with settings that are put, and sources that are deleted.
-- Locks: millrace.source exclusively for the moment that this transaction takes: two columns without a rewrite, and an
-- index over a table with one row for each source.

alter table millrace.source
    add column version    int4 not null default 0,  -- of the settings: the ETag; 0 where nobody has put any
    -- A source that was deleted keeps its row for the ledger, and its name is free.
    add column deleted_at timestamptz;
alter table millrace.source drop constraint source_workspace_id_name_key;
create unique index source_name on millrace.source (workspace_id, name) where deleted_at is null;

-- What landed of a source within the last in_span seconds, in at most in_limit batches: records, raw bytes, and the
-- seconds that these batches cover. Walks the source's index backwards from the newest batch to the first that is too
-- old. Rows are compared, and both columns are sorted by, so that no other index will do: the planner cannot know that
-- a quiet source's newest batch lies far back among those of others.
create function millrace.source_rate(
    in_source int8, in_span float8, in_limit int4, out records int8, out bytes int8, out seconds float8
) language plpgsql stable set enable_sort = off set enable_seqscan = off set enable_bitmapscan = off as $$
declare
    batch   record;
    batches int4 := 0;
    since   timestamptz := clock_timestamp() - make_interval(secs => in_span);
begin
    records := 0;
    bytes := 0;
    seconds := in_span;
    for batch in
        select b.records, b.raw_bytes, b.received_at from millrace.batch b
        where (b.source_id, b.id) >= (in_source, 0) and (b.source_id, b.id) < (in_source + 1, 0)
        order by b.source_id desc, b.id desc limit in_limit
    loop
        exit when batch.received_at < since;
        records := records + batch.records;
        bytes := bytes + batch.raw_bytes;
        batches := batches + 1;
        if batches = in_limit then
            seconds := greatest(extract(epoch from clock_timestamp() - batch.received_at), 0.001);
        end if;
    end loop;
end $$;

-- As in migration 0005, by the same index for the same reason.
create or replace function landing.is_kept(in_low int8, in_high int8, in_raw float8) returns bool
language sql stable as $$
    select exists (
        select from millrace.source s cross join lateral (
            select b.received_at from millrace.batch b
            where (b.source_id, b.id) >= (s.id, in_low) and (b.source_id, b.id) < (s.id, in_high)
            order by b.source_id desc, b.id desc limit 1
        ) newest
        where newest.received_at > now()
            - coalesce((s.settings #>> '{retention,raw}')::interval, make_interval(secs => in_raw)))
$$;
