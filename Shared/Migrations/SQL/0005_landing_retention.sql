-- How landing's partitions leave: rotated in time, sealed, judged, marked, then detached and dropped.
-- Services/README.md, "What leaves, and when", says the rules; Services/Store/Work/PartitionRetirement.swift does it.
-- Locks: new tables and functions. Two indexes are built: on the failed rows of millrace.application, which blocks its
-- writers for the length of one scan, and a BRIN on landing.quarantine, which blocks those who quarantine likewise.

-- Which slot of ids each sequence is in. A slot is as wide as a partition. Only maintenance's leader writes here.
create table landing.rotation (
    ids         text primary key,             -- the sequence
    slot        int8 not null,                -- in use when last looked
    since       timestamptz not null,         -- when it was first seen in use
    -- Every id of the slots below is committed or will never be: no transaction that drew one still runs.
    sealed      int8 not null,
    -- Slots below are sealed once `pending_at` is past for a while and all transactions below `pending_xid` have ended.
    pending     int8 not null,
    pending_at  timestamptz not null,
    pending_xid xid8 not null
);
insert into landing.rotation
select ids, 0, now(), 0, 0, now(), '0' from unnest(array['millrace.batch_id', 'landing.chunk_id']) ids;

-- The partitions that leave or have left. A row is written before its partition is touched, and stays: it says since
-- when a batch's raw bytes are gone.
create table landing.expired (
    parent     text not null check (parent in ('payload', 'quarantine', 'chunk')),
    slot       int8 not null,
    low        int8 not null,                 -- the first id
    high       int8 not null,                 -- past the last one
    expired_at timestamptz not null default now(),
    dropped_at timestamptz,
    primary key (parent, low)
);
create index expired_leaving on landing.expired (parent, slot) where dropped_at is null;

-- Batches that a dead letter keeps: few.
create index application_failed on millrace.application (batch_id) where state = 'failed';
-- The newest record of a quarantine partition.
create index quarantine_at on landing.quarantine using brin (at);

-- Moves a sequence on to its next slot when it has been in one for in_age seconds and used it, so that a slow trickle
-- leaves in time, too. The rest of the slot is drawn, value by value: unlike setval, nextval cannot give out a value
-- twice, whoever draws meanwhile. At most in_width of them, in about 0.1 s. Answers below which slot all is sealed.
-- Locks the sequence's row of landing.rotation.
create function landing.rotate(in_ids text, in_width int8, in_age float8, in_margin float8) returns int8
language plpgsql as $$
declare
    before  landing.rotation;
    state   landing.rotation;
    current int8;
    used    bool;
begin
    select * into before from landing.rotation r where r.ids = in_ids for update;
    state := before;
    execute format('select last_value / %s from %s', in_width, in_ids) into current;
    if current <> state.slot then
        state.slot := current;
        state.since := now();
    elsif state.since < now() - make_interval(secs => in_age) then
        used := case in_ids
            when 'millrace.batch_id' then exists (select from millrace.batch b where b.id >= current * in_width)
            else exists (select from landing.chunk c where c.id >= current * in_width) end;
        if used then
            while nextval(in_ids::regclass) < (current + 1) * in_width loop
            end loop;
            state.slot := current + 1;
            state.since := now();
        end if;
    end if;
    if state.pending > state.sealed and state.pending_at < now() - make_interval(secs => in_margin)
        and pg_snapshot_xmin(pg_current_snapshot()) > state.pending_xid then
        state.sealed := state.pending;
    end if;
    if state.pending = state.sealed and state.slot > state.sealed then
        state.pending := state.slot;
        state.pending_at := now();
        state.pending_xid := pg_current_xact_id();
    end if;
    if state is distinct from before then
        update landing.rotation r set slot = state.slot, since = state.since, sealed = state.sealed,
            pending = state.pending, pending_at = state.pending_at, pending_xid = state.pending_xid
        where r.ids = in_ids;
    end if;
    return state.sealed;
end $$;

-- The live jobs. All are read: asked for only where a dead letter is old enough to be given up, since it may have been
-- taken up again.
create view landing.live_job as
    select j.kind, (j.arguments ->> 'batch')::int8 as batch, (j.arguments ->> 'chunk')::int8 as chunk
    from (
        select r.job from queue.ready r union all select d.job from queue.deferred d
        union all select unnest(l.jobs) from queue.lease l
    ) live join queue.job j on j.id = live.job
    where j.kind in ('transform', 'load');

-- Whether anything is still to be done with these batches: an upload comes in, an output is not stored, or has failed
-- and is not given up. An output that has failed is given up in_patience seconds after its batch came in, unless its
-- job is alive again.
create function landing.is_unfinished(in_low int8, in_high int8, in_patience float8) returns bool
language plpgsql stable as $$
begin
    if exists (select from millrace.upload u join millrace.batch b on b.upload_id = u.id
            where u.state = 'receiving' and b.id >= in_low and b.id < in_high)
        or exists (select from millrace.source s where exists (
            select from millrace.application a where a.source_id = s.id and a.state in ('accepted', 'transformed')
                and a.batch_id >= in_low and a.batch_id < in_high))
    then
        return true;
    end if;
    if not exists (select from millrace.application a
        where a.state = 'failed' and a.batch_id >= in_low and a.batch_id < in_high)
    then
        return false;
    end if;
    return exists (select from millrace.application a join millrace.batch b on b.id = a.batch_id
            where a.state = 'failed' and a.batch_id >= in_low and a.batch_id < in_high
                and b.received_at > now() - make_interval(secs => in_patience))
        or exists (select from landing.live_job j left join landing.chunk c on c.id = j.chunk
            where coalesce(j.batch, c.batch_id) >= in_low and coalesce(j.batch, c.batch_id) < in_high);
end $$;

-- Whether a source keeps raw bytes of this range still: for the time that it declared, else in_raw seconds.
create function landing.is_kept(in_low int8, in_high int8, in_raw float8) returns bool language sql stable as $$
    select exists (
        select from millrace.source s cross join lateral (
            select b.received_at from millrace.batch b
            where b.source_id = s.id and b.id >= in_low and b.id < in_high order by b.id desc limit 1
        ) newest
        where newest.received_at > now()
            - coalesce((s.settings #>> '{retention,raw}')::interval, make_interval(secs => in_raw)))
$$;

-- Whether a row of a chunk partition is still needed: its output waits for it, or has failed and is not given up.
create function landing.is_wanted(in_child text, in_low int8, in_high int8, in_patience float8) returns bool
language plpgsql stable as $$
declare
    used constant text := 'select exists (select from millrace.application a join landing.%I c '
        'on c.batch_id = a.batch_id and c.pipeline_id = a.pipeline_id and c.output = a.output '
        'and c.version = a.version where a.state = ';
    wanted bool;
begin
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

-- The partitions of a parent that are not marked, oldest first.
create function landing.unmarked(in_parent text, out child text, out slot int8) returns setof record
language sql stable as $$
    select p.child, p.slot from (
        select c.relname::text as child, substring(c.relname from '\d+$')::int8 as slot
        from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
        where i.inhparent = ('landing.' || in_parent)::regclass
    ) p
    where not exists (select from landing.expired e where e.parent = in_parent and e.low = p.slot * 100000)
    order by p.slot
$$;

-- Marks up to in_limit partitions of each kind as leaving. Partitions are looked at oldest first, and no further than
-- the first one that is younger than any retention. Durations in seconds.
create function landing.mark(in_raw float8, in_quarantine float8, in_batches int8, in_chunks int8, in_limit int4)
returns void language plpgsql as $$
declare
    width    constant int8 := 100000;
    shortest timestamptz := now() - least(make_interval(secs => in_raw),
        (select min((s.settings #>> '{retention,raw}')::interval) from millrace.source s));
    part     record;
    newest   timestamptz;
    marked   int4 := 0;
    recent   bool;
begin
    for part in select * from landing.unmarked('payload') loop
        exit when part.slot >= in_batches or marked >= in_limit;
        newest := (select b.received_at from millrace.batch b
            where b.id >= part.slot * width and b.id < (part.slot + 1) * width order by b.id desc limit 1);
        exit when newest > shortest;
        continue when landing.is_kept(part.slot * width, (part.slot + 1) * width, in_raw)
            or landing.is_unfinished(part.slot * width, (part.slot + 1) * width, in_quarantine);
        insert into landing.expired values ('payload', part.slot, part.slot * width, (part.slot + 1) * width);
        marked := marked + 1;
    end loop;
    marked := 0;
    for part in select * from landing.unmarked('quarantine') loop
        exit when part.slot >= in_batches or marked >= in_limit;
        newest := (select b.received_at from millrace.batch b
            where b.id >= part.slot * width and b.id < (part.slot + 1) * width order by b.id desc limit 1);
        exit when newest > now() - make_interval(secs => in_quarantine);
        -- Not before the raw bytes, from which a replay might quarantine again.
        continue when not exists (select from landing.expired e where e.parent = 'payload' and e.slot = part.slot)
            or landing.is_unfinished(part.slot * width, (part.slot + 1) * width, in_quarantine);
        execute format('select exists (select from landing.%I q where q.at > now() - make_interval(secs => $1))',
            part.child) into recent using in_quarantine;
        continue when recent;
        insert into landing.expired values ('quarantine', part.slot, part.slot * width, (part.slot + 1) * width);
        marked := marked + 1;
    end loop;
    marked := 0;
    for part in select * from landing.unmarked('chunk') loop
        exit when part.slot >= in_chunks or marked >= in_limit;
        continue when landing.is_wanted(part.child, part.slot * width, (part.slot + 1) * width, in_quarantine);
        insert into landing.expired values ('chunk', part.slot, part.slot * width, (part.slot + 1) * width);
        marked := marked + 1;
    end loop;
end $$;

-- Rotates and seals, marks what is to leave, and answers all that is marked and not gone, with how far it is:
-- `attached`, `pending` (its concurrent detaching was interrupted) or `detached`. Durations in seconds.
create function landing.retire(
    in_raw float8, in_quarantine float8, in_batch_age float8, in_chunk_age float8, in_margin float8, in_limit int4
) returns table (parent text, child text, stage text) language plpgsql as $$
#variable_conflict use_column
declare
    batches int8 := landing.rotate('millrace.batch_id', 100000, in_batch_age, in_margin);
    chunks  int8 := landing.rotate('landing.chunk_id', 100000, in_chunk_age, in_margin);
begin
    perform landing.mark(in_raw, in_quarantine, batches, chunks, in_limit);
    return query
        select e.parent, e.parent || '_' || e.slot,
            case when i.inhrelid is null then 'detached' when i.inhdetachpending then 'pending' else 'attached' end
        from landing.expired e
        left join pg_catalog.pg_inherits i
            on i.inhrelid = to_regclass(format('landing.%I', e.parent || '_' || e.slot))
        where e.dropped_at is null order by e.parent, e.slot;
end $$;
