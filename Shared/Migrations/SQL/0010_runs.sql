-- Runs: pieces of work that users see, each made of many jobs. Services/README.md, "Runs and replay", says the rules.
-- Locks: new objects; columns that may be null are added to landing.chunk and millrace.application, exclusively for a
-- moment and without a rewrite; a BRIN index is built on millrace.batch, which blocks landing for one scan of it.

create sequence millrace.run_id as int8;

-- Partitioned by id range, as its batches are by their run's: both leave by DROP TABLE.
create table millrace.run (
    id           int8 not null,
    workspace_id int8 not null,
    kind         text not null check (kind ~ '^[a-z][a-z0-9_]{0,47}$'),
    pipeline_id  int8 not null,
    version      int4 not null,                -- of the pipeline, bound when the run is made
    -- queued: no batch has been worked on. running: some have. succeeded, failed: none is left, and in a run that
    -- failed some are dead; their dead letters' redrive makes it running again. cancelled, timed_out: for good.
    state        text not null check (state in
                   ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'timed_out')),
    request      jsonb not null,               -- as it was asked for
    schedule     jsonb,                        -- {"name", "scheduled_at"} of what a schedule started
    job          int8,                         -- null where there was nothing to do
    batches      int4 not null,
    skipped      int4 not null default 0,      -- batches left out because their raw bytes have expired
    -- A run past its deadline has timed out, whether or not anybody has written that down.
    deadline     timestamptz,
    -- What became of the batches, once the run has ended; null before, when it is counted.
    done         int4,
    dead         int4,
    stored       int8,
    filtered     int8,
    quarantined  int8,
    duplicates   int8,
    error        text,                         -- of the first dead batch
    created_at   timestamptz not null default now(),
    started_at   timestamptz,
    finished_at  timestamptz,
    primary key (id)
) partition by range (id);
create index run_workspace on millrace.run (workspace_id, id);
create index run_going on millrace.run (pipeline_id) where state in ('queued', 'running');

-- What a run works on. A row moves twice: that is the run's progress, and no row of the run itself is written for it.
create table millrace.run_batch (
    run         int8 not null,
    ordinal     int4 not null,
    batch       int8 not null,
    state       text not null check (state in
                  ('queued',       -- to be transformed
                   'transformed',  -- its chunk waits to replace what is there
                   'stored',       -- replaced
                   'superseded',   -- left as it is: a later run or a later version made it
                   'dead')),       -- given up by the queue; what was there is there still
    stored      int4 not null default 0,
    filtered    int4 not null default 0,
    quarantined int4 not null default 0,
    duplicates  int4 not null default 0,
    error       text,                          -- of a dead one
    dead_letter int8,                          -- the job that was given up
    primary key (run, ordinal)
) partition by range (run);
create index run_batch_open on millrace.run_batch (run, ordinal) where state in ('queued', 'transformed');
create index run_batch_dead on millrace.run_batch (run, ordinal) where state = 'dead';

-- Makes partitions of 10,000 runs each until three lie beyond the sequence's last value. ATTACH takes SHARE UPDATE
-- EXCLUSIVE on the parents: inserts go on. Answers how many were made.
create function millrace.make_partitions() returns int4 language plpgsql as $$
declare
    width   constant int8 := 10000;
    current int8 := (select last_value / width from millrace.run_id);
    parent  text;
    child   text;
    made    int4 := 0;
begin
    for slot in current .. current + 3 loop
        foreach parent in array array['run', 'run_batch'] loop
            child := format('%s_%s', parent, slot);
            continue when to_regclass('millrace.' || quote_ident(child)) is not null;
            execute format('create table millrace.%I (like millrace.%I including defaults including constraints)',
                child, parent);
            execute format('alter table millrace.%I attach partition millrace.%I for values from (%s) to (%s)',
                parent, child, slot * width, (slot + 1) * width);
            made := made + 1;
        end loop;
    end loop;
    return made;
end $$;
select millrace.make_partitions();

-- As in migration 0001, and those of the runs.
create or replace function landing.make_partitions() returns int4 language sql as $$
    select landing.make_partitions('payload', 'millrace.batch_id', 100000, 3)
         + landing.make_partitions('quarantine', 'millrace.batch_id', 100000, 3)
         + landing.make_partitions('chunk', 'landing.chunk_id', 100000, 3)
         + millrace.make_partitions()
$$;

-- Which run put an output where it is; null: none has.
alter table millrace.application add column run_id int8;

-- What a chunk carries that replaces an output: the ledger's and quarantine's part of it, which waits with the rows so
-- that all of it takes effect at once.
alter table landing.chunk
    add column run            int8,
    add column ordinal        int4,
    add column filtered       int4,
    add column quarantined    int4,
    add column receipt_counts int4[],
    -- One element a quarantined record.
    add column fault_rows     int4[],
    add column fault_stages   text[],
    add column fault_errors   jsonb[],
    add column fault_raws     bytea[];

-- The batches of a span of time: they come in nearly in the order of their pages.
create index batch_received on millrace.batch using brin (received_at)
    with (pages_per_range = 32, autosummarize = on);

-- Whether a run may still replace something.
create function millrace.is_going_on(in_state text, in_deadline timestamptz) returns bool language sql volatile as $$
    select in_state in ('queued', 'running', 'failed') and coalesce(in_deadline > clock_timestamp(), true)
$$;

-- What became of a run's batches so far.
create function millrace.count_run(
    in_run int8, out open bool, out done int4, out dead int4, out stored int8, out filtered int8,
    out quarantined int8, out duplicates int8, out error text
) language sql stable as $$
    select count(*) filter (where b.state in ('queued', 'transformed')) > 0,
        count(*) filter (where b.state in ('stored', 'superseded')), count(*) filter (where b.state = 'dead'),
        coalesce(sum(b.stored), 0), coalesce(sum(b.filtered), 0), coalesce(sum(b.quarantined), 0),
        coalesce(sum(b.duplicates), 0),
        (select d.error from millrace.run_batch d where d.run = in_run and d.state = 'dead' order by d.ordinal limit 1)
    from millrace.run_batch b where b.run = in_run
$$;

-- Ends runs in a state, with what has become of their batches. Their rows are locked by the caller.
create function millrace.end_run(in_run int8, in_state text) returns void language sql as $$
    update millrace.run r set state = in_state, done = c.done, dead = c.dead, stored = c.stored,
        filtered = c.filtered, quarantined = c.quarantined, duplicates = c.duplicates, error = c.error,
        finished_at = coalesce(least(r.deadline, clock_timestamp()), clock_timestamp())
    from millrace.count_run(in_run) c where r.id = in_run
$$;

-- Called last in a transaction that moved batches of these runs: locks the runs' rows until the commit, so that of two
-- transactions which move a run's last batches the second sees the first one's, and a run that was ended meanwhile is
-- seen here. Answers those that are not going on any more: the transaction must not commit for them.
create function millrace.advance_runs(in_runs int8[]) returns int8[] language plpgsql as $$
declare
    one   millrace.run;
    ended int8[] := '{}';
begin
    for one in select * from millrace.run r where r.id = any(in_runs) order by r.id for no key update loop
        if not millrace.is_going_on(one.state, one.deadline) then
            ended := ended || one.id;
            continue;
        end if;
        -- From the end: what is done lies at the front, and so do its dead index entries.
        perform from millrace.run_batch b where b.run = one.id and b.state in ('queued', 'transformed')
            order by b.run desc, b.ordinal desc limit 1;
        if not found then
            perform millrace.end_run(one.id, case when exists (
                select from millrace.run_batch b where b.run = one.id and b.state = 'dead')
                then 'failed' else 'succeeded' end);
        elsif one.state <> 'running' then
            update millrace.run r set state = 'running', started_at = coalesce(r.started_at, clock_timestamp()),
                finished_at = null, done = null, dead = null, stored = null, filtered = null, quarantined = null,
                duplicates = null, error = null
            where r.id = one.id;
        end if;
    end loop;
    return ended;
end $$;

-- Cancels a run. From the return of the call's transaction on nothing more is replaced. Answers the run's state before;
-- null where there is none. A run that has ended stays as it is.
create function millrace.cancel_run(in_workspace int8, in_run int8, out state text, out job int8)
language plpgsql as $$
declare
    one millrace.run;
begin
    select * into one from millrace.run r where r.id = in_run and r.workspace_id = in_workspace for no key update;
    job := one.job;
    state := one.state;
    if one.state in ('queued', 'running') then
        if one.deadline <= clock_timestamp() then
            state := 'timed_out';
            perform millrace.end_run(in_run, 'timed_out');
        else
            perform millrace.end_run(in_run, 'cancelled');
        end if;
    end if;
end $$;

-- Writes down that a run has timed out, if it has.
create function millrace.expire_run(in_run int8) returns void language plpgsql as $$
begin
    perform from millrace.run r where r.id = in_run and r.state in ('queued', 'running')
        and r.deadline <= clock_timestamp() for no key update;
    if found then
        perform millrace.end_run(in_run, 'timed_out');
    end if;
end $$;

-- Runs as they are shown: the state that the clock says, and counts also of those that have not ended.
create view millrace.run_report as
    select r.id, r.workspace_id, r.kind, r.pipeline_id, p.name as pipeline, r.version,
        case when r.state in ('queued', 'running') and r.deadline <= clock_timestamp() then 'timed_out'
            else r.state end as state,
        r.request, r.schedule, r.job, r.batches, r.skipped, r.deadline,
        coalesce(r.done, c.done) as done, coalesce(r.dead, c.dead) as dead, coalesce(r.stored, c.stored) as stored,
        coalesce(r.filtered, c.filtered) as filtered, coalesce(r.quarantined, c.quarantined) as quarantined,
        coalesce(r.duplicates, c.duplicates) as duplicates, coalesce(r.error, c.error) as error,
        r.created_at, r.started_at,
        coalesce(r.finished_at, case when r.deadline <= clock_timestamp() then r.deadline end) as finished_at
    from millrace.run r
    join millrace.pipeline p on p.id = r.pipeline_id
    cross join lateral millrace.count_run(case when r.done is null then r.id end) c;

-- As in migration 0005; and a run that is going on keeps the raw bytes of the batches that it has not got to.
create or replace function landing.is_unfinished(in_low int8, in_high int8, in_patience float8) returns bool
language plpgsql stable as $$
begin
    if exists (select from millrace.upload u join millrace.batch b on b.upload_id = u.id
            where u.state = 'receiving' and b.id >= in_low and b.id < in_high)
        or exists (select from millrace.source s where exists (
            select from millrace.application a where a.source_id = s.id and a.state in ('accepted', 'transformed')
                and a.batch_id >= in_low and a.batch_id < in_high))
        or exists (select from millrace.run r join millrace.run_batch b on b.run = r.id
            where r.state in ('queued', 'running') and coalesce(r.deadline > now(), true)
                and b.state in ('queued', 'transformed') and b.batch >= in_low and b.batch < in_high)
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

-- As in migration 0005; and a chunk that is to replace an output is kept while its run is going on, or for in_patience
-- seconds after that run was made when it is a dead letter's.
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
        'and coalesce(r.deadline > now(), true) and (r.state in (''queued'', ''running'') '
        'and b.state = ''transformed'' or r.state in (''running'', ''failed'') and b.state = ''dead'' '
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
