-- Cron schedules (queue.schedule): jobs that the queue's leader enqueues at their times, each tick once.
-- See "Schedules" in Shared/Queue/README.md.
-- Locks: creates new objects; the foreign key locks queue.queue against changes for the moment that this transaction
-- takes, not against reading.

CREATE TABLE queue.schedule (
    id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace int8 NOT NULL,
    name text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_]{0,47}$'),
    version int4 NOT NULL DEFAULT 1,          -- of what was put: the ETag
    cron text NOT NULL CHECK (octet_length(cron) <= 255),
    timezone text NOT NULL CHECK (octet_length(timezone) <= 63),
    missed text NOT NULL CHECK (missed IN ('skip', 'once', 'all')),
    paused bool NOT NULL,
    definition json NOT NULL,                 -- what its owner keeps with it; nothing here reads it
    -- The job that it starts.
    queue text NOT NULL REFERENCES queue.queue (name),
    kind text NOT NULL CHECK (kind ~ '^[a-z][a-z0-9_.]{0,62}$'),
    priority int2 NOT NULL CHECK (priority BETWEEN -2 AND 2),
    max_attempts int2 NOT NULL CHECK (max_attempts BETWEEN 1 AND 1000),
    arguments jsonb NOT NULL
        CHECK (jsonb_typeof(arguments) = 'object' AND octet_length(arguments::text) <= 32768),
    -- The next tick; null while paused.
    next_at timestamptz CHECK (NOT paused OR next_at IS NULL),
    -- All ticks up to here have fired or were dropped: none of them ever fires, wherever the clock goes.
    passed_at timestamptz NOT NULL CHECK (next_at > passed_at),
    last_at timestamptz,                      -- the tick of the last job, or when it was asked for by hand
    last_job int8,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (workspace, name)
) WITH (fillfactor = 50);
CREATE INDEX schedule_due ON queue.schedule (next_at) WHERE next_at IS NOT NULL;

-- Enqueues a schedule's job for each tick, in their order; each is told which. Returns the jobs' ids.
CREATE FUNCTION queue.start_schedule(in_schedule queue.schedule, in_ticks timestamptz[]) RETURNS int8[]
LANGUAGE sql AS $$
    SELECT queue.enqueue(
        in_schedule.queue, in_schedule.kind, in_schedule.workspace,
        ARRAY(
            SELECT in_schedule.arguments || jsonb_build_object('schedule', jsonb_build_object(
                'name', in_schedule.name,
                'scheduled_at', regexp_replace(
                    to_char(tick AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '\.?0+$', '') || 'Z'))
            FROM unnest(in_ticks) WITH ORDINALITY AS t (tick, ordinal) ORDER BY ordinal),
        in_schedule.priority, NULL::float8, in_schedule.max_attempts)
$$;

-- Fires a schedule whose next tick is in_seen: in_ticks get a job each, in_next is the next tick, and all up to
-- in_passed are done with. Returns the jobs' ids; null, and does nothing, when the tick was fired already, the schedule
-- was changed since (in_version) or is being changed at this moment. Waits for nobody.
CREATE FUNCTION queue.fire_schedule(
    in_schedule int8, in_version int4, in_seen timestamptz, in_ticks timestamptz[], in_next timestamptz,
    in_passed timestamptz
) RETURNS int8[] LANGUAGE plpgsql AS $$
DECLARE
    fired queue.schedule;
    ids int8[];
BEGIN
    SELECT * INTO fired FROM queue.schedule s
    WHERE s.id = in_schedule AND s.version = in_version AND s.next_at = in_seen
    FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    ids := CASE WHEN cardinality(in_ticks) > 0 THEN queue.start_schedule(fired, in_ticks) ELSE '{}' END;
    UPDATE queue.schedule s SET next_at = in_next, passed_at = greatest(s.passed_at, in_passed),
        last_at = coalesce(in_ticks[cardinality(in_ticks)], s.last_at),
        last_job = coalesce(ids[cardinality(ids)], s.last_job)
    WHERE s.id = in_schedule;
    RETURN ids;
END $$;

-- Starts a schedule's job now, whatever its next tick is, paused or not. Returns the job and the time it was told;
-- nulls for an unknown schedule.
CREATE FUNCTION queue.trigger_schedule(
    in_workspace int8, in_name text, OUT job_id int8, OUT told timestamptz, OUT queue_name text
) LANGUAGE plpgsql AS $$
DECLARE
    fired queue.schedule;
BEGIN
    SELECT * INTO fired FROM queue.schedule s WHERE s.workspace = in_workspace AND s.name = in_name
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    told := clock_timestamp();
    queue_name := fired.queue;
    job_id := (queue.start_schedule(fired, ARRAY[told]))[1];
    UPDATE queue.schedule s SET last_at = told, last_job = job_id WHERE s.id = fired.id;
END $$;
