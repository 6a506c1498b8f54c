-- The rest of what the queue does: fairness between workspaces, job arrays, dependencies, unique keys, limits per key,
-- cancelling what runs, results and progress. States and transitions are described in Shared/Queue/README.md.
-- Locks: ACCESS EXCLUSIVE on the queue's tables until the commit. New columns are added without a rewrite; the keys of
-- queue.outcome, deferred and dead are built anew, which takes time where many jobs are kept.

-- MARK: Tables

-- What a job of 0002 does not have is null here, and costs it nothing.
ALTER TABLE queue.job
    ADD items int4 CHECK (items BETWEEN 1 AND 100000000), -- a job array of so many items
    ADD slice int4 CHECK (slice > 0),                     -- the most items that one claim takes of it
    ADD joinable bool,                                    -- other jobs may wait for it
    ADD limit_key text CHECK (octet_length(limit_key) <= 255),
    ADD unique_key text CHECK (octet_length(unique_key) <= 255),
    ADD unique_until text CHECK (unique_until IN ('started', 'finished', 'time'));

-- `first` and `items` say which items of an array; both are 0 for a job that is none. `flow` is queue.flow_of.
ALTER TABLE queue.ready
    ADD flow int8 NOT NULL DEFAULT 0, ADD first int4 NOT NULL DEFAULT 0, ADD items int4 NOT NULL DEFAULT 0;
ALTER TABLE queue.ready ALTER flow DROP DEFAULT;
ALTER TABLE queue.deferred
    ADD workspace int8 NOT NULL DEFAULT 0, ADD first int4 NOT NULL DEFAULT 0, ADD items int4 NOT NULL DEFAULT 0,
    DROP CONSTRAINT deferred_pkey, ADD PRIMARY KEY (job, first);
ALTER TABLE queue.deferred ALTER workspace DROP DEFAULT;
-- Null where no job of the lease is an array.
ALTER TABLE queue.lease ADD firsts int4[], ADD items int4[];
ALTER TABLE queue.outcome
    ADD first int4 NOT NULL DEFAULT 0, ADD items int4 NOT NULL DEFAULT 0,
    DROP CONSTRAINT outcome_pkey, ADD PRIMARY KEY (job, attempt, first);
ALTER TABLE queue.dead
    ADD first int4 NOT NULL DEFAULT 0, ADD items int4 NOT NULL DEFAULT 0,
    DROP CONSTRAINT dead_pkey, ADD PRIMARY KEY (job, first);
-- What the worker settled, failed and buried a second when it last said that it lives.
ALTER TABLE queue.worker
    ADD succeeded_rate float4 NOT NULL DEFAULT 0, ADD failed_rate float4 NOT NULL DEFAULT 0,
    ADD dead_rate float4 NOT NULL DEFAULT 0;

-- One number for lane, priority and workspace. An index on it serves no other question, so the planner cannot take
-- another one for it, nor it for another.
CREATE FUNCTION queue.flow_of(lane int2, priority int2, workspace int8) RETURNS int8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ((lane::int8 + 32768) << 47) | ((priority + 2)::int8 << 44) | workspace;

UPDATE queue.ready r SET flow = queue.flow_of(r.lane, r.priority, j.workspace) FROM queue.job j WHERE j.id = r.job;
UPDATE queue.deferred d SET workspace = j.workspace FROM queue.job j WHERE j.id = d.job;
CREATE INDEX ready_flow ON queue.ready (flow, position);

-- Workspaces that have enqueued. A pair may stand here twice: two that come first at once do not wait for each other.
CREATE TABLE queue.workspace (queue int2 NOT NULL, workspace int8 NOT NULL);
CREATE INDEX workspace_of_queue ON queue.workspace (queue, workspace);
INSERT INTO queue.workspace SELECT DISTINCT j.queue, j.workspace FROM queue.job j;

-- What a succeeded job, or a slice of an array, left behind.
CREATE TABLE queue.result (
    job int8 NOT NULL,
    first int4 NOT NULL,
    result jsonb NOT NULL CHECK (pg_column_size(result) < 8192 OR octet_length(result::text) <= 65536),
    PRIMARY KEY (job, first)
) PARTITION BY RANGE (job);

-- How far a running job says it is. Written once a second at most.
CREATE TABLE queue.progress (
    job int8 PRIMARY KEY,
    at timestamptz NOT NULL,
    fraction float4 NOT NULL CHECK (fraction BETWEEN 0 AND 1),
    note text CHECK (octet_length(note) <= 1000)
) WITH (fillfactor = 50);

-- An array as a whole: the items that have not ended, and those of them that ended dead. A transaction that ends items
-- locks the row, so the last one knows that it is the last.
CREATE TABLE queue.array (
    job int8 PRIMARY KEY,
    items int4 NOT NULL,
    remaining int4 NOT NULL CHECK (remaining >= 0),
    failed int4 NOT NULL DEFAULT 0 CHECK (failed >= 0),
    cancelled bool NOT NULL DEFAULT false
) WITH (fillfactor = 50);

-- Jobs that others may wait for, while they have neither succeeded nor been cancelled. Who begins to wait locks the
-- row FOR KEY SHARE, who ends the job deletes it: one of the two sees the other.
CREATE TABLE queue.joinable (job int8 PRIMARY KEY);
CREATE TABLE queue.dependency (
    parent int8 NOT NULL,
    child int8 NOT NULL,
    anyway bool NOT NULL,   -- the child runs even if the parent dies or is cancelled
    PRIMARY KEY (parent, child)
);
CREATE INDEX dependency_child ON queue.dependency (child);
-- Jobs with parents that have not ended; `remaining` counts those.
CREATE TABLE queue.waiting (
    job int8 PRIMARY KEY,
    queue int2 NOT NULL,
    remaining int4 NOT NULL CHECK (remaining >= 0),
    delay float8 NOT NULL   -- seconds, from when the last parent has ended
) WITH (fillfactor = 50);

-- One job of a queue per key, until it has started or finished, or until a time.
CREATE TABLE queue.unique_key (
    queue int2 NOT NULL,
    key text NOT NULL,
    job int8 NOT NULL,
    expires_at timestamptz, -- null: until the job has started or finished
    PRIMARY KEY (queue, key)
);
CREATE INDEX unique_key_job ON queue.unique_key (job);

-- What the keys named `name` or `name:anything` of a queue allow: jobs at a time, and starts a period.
CREATE TABLE queue.limit_rule (
    queue int2 NOT NULL,
    name text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_]{0,47}$'),
    concurrency int4 CHECK (concurrency BETWEEN 1 AND 1000000),
    rate int4 CHECK (rate BETWEEN 1 AND 1000000),
    period float8 CHECK (period BETWEEN 0.001 AND 86400), -- seconds
    PRIMARY KEY (queue, name),
    CHECK ((rate IS NULL) = (period IS NULL))
);
-- A key at work. `held` counts its permits; everything blocked up to `mark` has left: all who block, open or release
-- lock this row, so positions of one key commit in order.
CREATE TABLE queue.limit_key (
    id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue int2 NOT NULL,
    key text NOT NULL,
    held int4 NOT NULL DEFAULT 0 CHECK (held >= 0),
    mark int8 NOT NULL DEFAULT 0,
    tokens float8 NOT NULL DEFAULT 0,
    refilled_at timestamptz NOT NULL DEFAULT '-infinity',
    due_at timestamptz,     -- when the rate lets the next one start, where any is blocked
    UNIQUE (queue, key)
) WITH (fillfactor = 30);
CREATE INDEX limit_key_due ON queue.limit_key (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE queue.permit (job int8 PRIMARY KEY, limit_id int8 NOT NULL);
CREATE TABLE queue.blocked (
    position int8 NOT NULL,
    limit_id int8 NOT NULL,
    job int8 NOT NULL,
    queue int2 NOT NULL,
    attempt int2 NOT NULL,
    last int2 NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX blocked_order ON queue.blocked (limit_id, position);
CREATE INDEX blocked_job ON queue.blocked (job);

-- Jobs with a limit key stand in their queue's gate, a lane that no claim looks at; queue.admit lets them through.
CREATE FUNCTION queue.gate_of(queue int2) RETURNS int2 LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (-1 - queue)::int2;

INSERT INTO queue.low_water SELECT queue.gate_of(q.id), 0, 0 FROM queue.queue q;

CREATE OR REPLACE FUNCTION queue.register_queue(in_name text) RETURNS int2 LANGUAGE plpgsql AS $$
DECLARE
    found_id int2;
BEGIN
    SELECT id INTO found_id FROM queue.queue WHERE name = in_name;
    IF found_id IS NOT NULL THEN
        RETURN found_id;
    END IF;
    LOCK TABLE queue.queue IN SHARE ROW EXCLUSIVE MODE;
    SELECT id INTO found_id FROM queue.queue WHERE name = in_name;
    IF found_id IS NULL THEN
        INSERT INTO queue.queue (id, name)
        SELECT coalesce(max(id) + 1, 0), in_name FROM queue.queue RETURNING id INTO found_id;
        INSERT INTO queue.low_water
        SELECT lane, priority, 0
        FROM unnest(ARRAY[found_id * 2, found_id * 2 + 1]) lane, generate_series(-2, 2) priority;
        INSERT INTO queue.low_water VALUES (queue.gate_of(found_id), 0, 0);
    END IF;
    RETURN found_id;
END $$;

CREATE OR REPLACE FUNCTION queue.make_partitions(ahead int4) RETURNS int4 LANGUAGE plpgsql AS $$
DECLARE
    size CONSTANT int8 := 8388608;
    current_part int8 := (SELECT last_value / size FROM queue.position);
    suffix text;
    parent text;
    made int4 := 0;
BEGIN
    FOR part IN current_part .. current_part + ahead LOOP
        suffix := lpad(part::text, 6, '0');
        FOREACH parent IN ARRAY ARRAY['job', 'result', 'outcome'] LOOP
            CONTINUE WHEN to_regclass(format('queue.%s_%s', parent, suffix)) IS NOT NULL;
            EXECUTE format('CREATE TABLE queue.%s_%s (LIKE queue.%1$s INCLUDING ALL)', parent, suffix);
            EXECUTE format('ALTER TABLE queue.%s ATTACH PARTITION queue.%1$s_%s FOR VALUES FROM (%s) TO (%s)',
                parent, suffix, part * size, (part + 1) * size);
            made := made + (parent = 'outcome')::int;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;

-- Results of jobs that are there already have a place too.
DO $$
DECLARE
    part record;
BEGIN
    FOR part IN SELECT substring(c.relname FROM '\d+$') AS suffix, pg_get_expr(c.relpartbound, c.oid) AS bound
        FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'queue.outcome'::regclass
    LOOP
        EXECUTE format('CREATE TABLE queue.result_%s PARTITION OF queue.result %s', part.suffix, part.bound);
    END LOOP;
END $$;

-- MARK: Enqueueing

-- Makes the workspaces known whose jobs are claimed in turns.
CREATE FUNCTION queue.note_workspaces(in_queues int2[], in_workspaces int8[]) RETURNS void LANGUAGE sql
    SET enable_seqscan = off
AS $$
    INSERT INTO queue.workspace (queue, workspace)
    SELECT DISTINCT n.queue, n.workspace FROM unnest(in_queues, in_workspaces) AS n(queue, workspace)
    WHERE NOT EXISTS (
        SELECT FROM queue.workspace w WHERE w.queue = n.queue AND w.workspace = n.workspace)
$$;

-- The rule for kinds, looked at once a call and kind: as a constraint it took a third of enqueueing in bulk.
ALTER TABLE queue.job DROP CONSTRAINT job_kind_check;
CREATE FUNCTION queue.check_kinds(in_kinds text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    wrong text;
BEGIN
    SELECT k.kind INTO wrong FROM (SELECT DISTINCT kind FROM unnest(in_kinds) AS kind) k
    WHERE k.kind !~ '^[a-z][a-z0-9_.]{0,62}$' LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'kind % is not lower case letters, digits, _ and ., 63 at most', wrong
            USING ERRCODE = 'check_violation';
    END IF;
END $$;

CREATE OR REPLACE FUNCTION queue.enqueue_all(
    in_queues text[], in_kinds text[], in_workspaces int8[], in_arguments jsonb[], in_priorities int2[],
    in_delays float8[], in_max_attempts int2[], in_traces text[]
) RETURNS int8[] LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
    ids int8[];
    queues int2[];
    unknown text;
BEGIN
    SELECT asked.name INTO unknown FROM unnest(in_queues) AS asked(name)
    WHERE NOT EXISTS (SELECT FROM queue.queue q WHERE q.name = asked.name) LIMIT 1;
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION 'unknown queue %', unknown USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM queue.check_kinds(in_kinds);
    -- The transaction has its id before it draws a position: the seal depends on that order.
    PERFORM pg_current_xact_id();
    WITH request AS MATERIALIZED (
        SELECT nextval('queue.position') AS id, r.*
        FROM (
            SELECT q.id AS queue, u.* FROM unnest(
                in_queues, in_kinds, in_workspaces, in_arguments, in_priorities, in_delays, in_max_attempts, in_traces
            ) WITH ORDINALITY AS u(name, kind, workspace, arguments, priority, delay, max_attempts, trace, ordinal)
            JOIN queue.queue q ON q.name = u.name
            ORDER BY u.ordinal
        ) r
    ), body AS (
        INSERT INTO queue.job (id, workspace, enqueued_at, queue, priority, max_attempts, kind, trace, arguments)
        SELECT id, workspace, clock_timestamp(), queue, priority, max_attempts, kind, trace, arguments FROM request
    ), immediate AS (
        INSERT INTO queue.ready (position, job, lane, priority, attempt, last, flow)
        SELECT id, id, queue * 2, priority, 1, max_attempts,
            queue.flow_of((queue * 2)::int2, priority, workspace) FROM request WHERE coalesce(delay, 0) <= 0
    ), later AS (
        INSERT INTO queue.deferred (job, run_at, lane, priority, attempt, last, workspace)
        SELECT id, clock_timestamp() + make_interval(secs => delay), queue * 2, priority, 1, max_attempts, workspace
        FROM request WHERE delay > 0
    )
    SELECT array_agg(id ORDER BY ordinal), array_agg(queue ORDER BY ordinal) INTO ids, queues FROM request;
    PERFORM queue.note_workspaces(queues, in_workspaces);
    RETURN coalesce(ids, '{}');
END $$;

DROP FUNCTION queue.enqueue(text, text, int8, jsonb[], int2, float8, int2, text);
-- Jobs of one kind: what other modules' SQL calls within their own statements. With in_items each is a job array.
CREATE FUNCTION queue.enqueue(
    in_queue text, in_kind text, in_workspace int8, in_arguments jsonb[], in_priority int2 DEFAULT 0::int2,
    in_delay float8 DEFAULT NULL, in_max_attempts int2 DEFAULT 20::int2, in_trace text DEFAULT NULL,
    in_items int4 DEFAULT NULL
) RETURNS int8[] LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
    queue_id int2 := (SELECT id FROM queue.queue WHERE name = in_queue);
    ids int8[];
BEGIN
    IF queue_id IS NULL THEN
        RAISE EXCEPTION 'unknown queue %', in_queue USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM queue.check_kinds(ARRAY[in_kind]);
    PERFORM pg_current_xact_id();
    WITH request AS MATERIALIZED (
        SELECT nextval('queue.position') AS id, arguments
        FROM unnest(in_arguments) AS arguments
    ), body AS (
        INSERT INTO queue.job
            (id, workspace, enqueued_at, queue, priority, max_attempts, kind, trace, arguments, items)
        SELECT id, in_workspace, clock_timestamp(), queue_id, in_priority, in_max_attempts, in_kind, in_trace,
            arguments, in_items
        FROM request
    ), immediate AS (
        INSERT INTO queue.ready (position, job, lane, priority, attempt, last, flow, items)
        SELECT id, id, queue_id * 2, in_priority, 1, in_max_attempts,
            queue.flow_of((queue_id * 2)::int2, in_priority, in_workspace), coalesce(in_items, 0)
        FROM request WHERE coalesce(in_delay, 0) <= 0
    ), later AS (
        INSERT INTO queue.deferred (job, run_at, lane, priority, attempt, last, workspace, items)
        SELECT id, clock_timestamp() + make_interval(secs => in_delay), queue_id * 2, in_priority, 1,
            in_max_attempts, in_workspace, coalesce(in_items, 0)
        FROM request WHERE in_delay > 0
    ), whole AS (
        INSERT INTO queue.array (job, items, remaining) SELECT id, in_items, in_items FROM request
        WHERE in_items IS NOT NULL
    )
    SELECT array_agg(id ORDER BY id) INTO ids FROM request;
    PERFORM queue.note_workspaces(ARRAY[queue_id], ARRAY[in_workspace]);
    RETURN coalesce(ids, '{}');
END $$;

-- Puts jobs where they wait to be claimed: a gate, `deferred`, or `ready`. Delays are in seconds.
CREATE FUNCTION queue.place(in_jobs int8[], in_delays float8[]) RETURNS void LANGUAGE sql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off
AS $$
    WITH body AS (
        SELECT j.*, t.delay, t.ordinal,
            CASE WHEN j.limit_key IS NULL THEN j.queue * 2 ELSE queue.gate_of(j.queue) END::int2 AS lane
        FROM unnest(in_jobs, in_delays) WITH ORDINALITY AS t(job, delay, ordinal) JOIN queue.job j ON j.id = t.job
    ), later AS (
        INSERT INTO queue.deferred (job, run_at, lane, priority, attempt, last, workspace, items)
        SELECT id, clock_timestamp() + make_interval(secs => delay), lane,
            CASE WHEN lane < 0 THEN 0 ELSE priority END, 1, max_attempts, workspace, coalesce(items, 0)
        FROM body WHERE delay > 0
    )
    INSERT INTO queue.ready (position, job, lane, priority, attempt, last, flow, items)
    SELECT nextval('queue.position'), id, lane, CASE WHEN lane < 0 THEN 0 ELSE priority END, 1, max_attempts,
        queue.flow_of(lane, priority, workspace), coalesce(items, 0)
    FROM (SELECT * FROM body WHERE coalesce(delay, 0) <= 0 ORDER BY ordinal) b
$$;

-- The job that holds a unique key, in_job if it was free (or had expired). In turns with others of the same key.
CREATE FUNCTION queue.take_key(in_queue int2, in_key text, in_job int8, in_seconds float8) RETURNS int8
LANGUAGE plpgsql AS $$
DECLARE
    holder int8;
BEGIN
    LOOP
        INSERT INTO queue.unique_key AS u (queue, key, job, expires_at)
        VALUES (in_queue, in_key, in_job, clock_timestamp() + make_interval(secs => in_seconds))
        ON CONFLICT (queue, key) DO UPDATE SET job = excluded.job, expires_at = excluded.expires_at
            WHERE u.expires_at <= clock_timestamp()
        RETURNING u.job INTO holder;
        IF holder IS NULL THEN
            SELECT u.job INTO holder FROM queue.unique_key u WHERE u.queue = in_queue AND u.key = in_key;
        END IF;
        -- Gone between the two: free now.
        EXIT WHEN holder IS NOT NULL;
    END LOOP;
    RETURN holder;
END $$;

-- Whether a child has to wait for a parent. Raises 22023 where it cannot: unknown, cancelled, not joinable.
CREATE FUNCTION queue.must_wait(in_parent int8, in_anyway bool) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
    known bool;
    ended queue.outcome_state;
BEGIN
    PERFORM FROM queue.joinable WHERE job = in_parent FOR KEY SHARE;
    IF FOUND THEN
        -- A dead letter may be redriven: only who runs anyway need not wait for that.
        RETURN NOT (in_anyway AND EXISTS (SELECT FROM queue.dead d WHERE d.job = in_parent));
    END IF;
    SELECT joinable INTO known FROM queue.job WHERE id = in_parent;
    IF known IS NULL THEN
        RAISE EXCEPTION 'no job can wait for job %: it is unknown or was not enqueued as joinable', in_parent
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT state INTO ended FROM queue.outcome WHERE job = in_parent AND state = 'cancelled' LIMIT 1;
    IF ended IS NOT NULL AND NOT in_anyway THEN
        RAISE EXCEPTION 'job % was cancelled: no job can wait for it', in_parent
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN false;
END $$;

-- As queue.enqueue_all, each job with what it asks for besides (with in_extras null none does), an object of
--   items, slice      a job array, and the most items of a claim
--   joinable          other jobs may be enqueued later that wait for it
--   limit             its limit key, `rule` or `rule:anything`
--   unique            {"key", "until": "started" | "finished" | "time", "seconds"}
--   after             [{"job": id} | {"request": index from 0 into this call, smaller than its own}, …]
--   anyway            run even if one of those dies or is cancelled
-- A job whose unique key is taken is not enqueued: the row names the one that has it, and is_new is false.
CREATE FUNCTION queue.enqueue_linked(
    in_queues text[], in_kinds text[], in_workspaces int8[], in_arguments jsonb[], in_priorities int2[],
    in_delays float8[], in_max_attempts int2[], in_traces text[], in_extras jsonb[]
) RETURNS TABLE (id int8, is_new bool) LANGUAGE plpgsql
    SET jit = off
AS $$
DECLARE
    ids int8[];
    holders int8[];
    queues int2[];
    request record;
    parent record;
    parents int4;
    waiting int8[] := '{}';
    parent_indexes int4[];
BEGIN
    IF in_extras IS NULL THEN
        RETURN QUERY SELECT e.id, true FROM unnest(queue.enqueue_all(
            in_queues, in_kinds, in_workspaces, in_arguments, in_priorities, in_delays, in_max_attempts, in_traces))
            AS e(id);
        RETURN;
    END IF;
    SELECT array_agg(q.id ORDER BY u.ordinal) INTO queues
    FROM unnest(in_queues) WITH ORDINALITY AS u(name, ordinal) LEFT JOIN queue.queue q ON q.name = u.name;
    FOR request IN
        SELECT u.name, split_part(u.extra ->> 'limit', ':', 1) AS rule, u.queue
        FROM unnest(in_queues, in_extras, queues) AS u(name, extra, queue)
        WHERE u.queue IS NULL OR u.extra ? 'limit'
    LOOP
        IF request.queue IS NULL THEN
            RAISE EXCEPTION 'unknown queue %', request.name USING ERRCODE = 'invalid_parameter_value';
        ELSIF NOT EXISTS (SELECT FROM queue.limit_rule l
                WHERE l.queue = request.queue AND l.name = request.rule) THEN
            RAISE EXCEPTION 'queue % has no limit named %', request.name, request.rule
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
    END LOOP;
    PERFORM queue.check_kinds(in_kinds);
    PERFORM pg_current_xact_id();
    SELECT array_agg(nextval('queue.position')) INTO ids FROM unnest(in_queues);
    holders := ids;
    -- In the order of keys, so that two transactions cannot wait for each other.
    FOR request IN
        SELECT u.ordinal, u.queue, u.wanted ->> 'key' AS key, (u.wanted ->> 'seconds')::float8 AS seconds
        FROM (SELECT ordinal, queue, extra -> 'unique' AS wanted
            FROM unnest(queues, in_extras) WITH ORDINALITY AS e(queue, extra, ordinal)) u
        WHERE u.wanted IS NOT NULL ORDER BY u.queue, u.wanted ->> 'key', u.ordinal
    LOOP
        holders[request.ordinal] := queue.take_key(request.queue, request.key, ids[request.ordinal], request.seconds);
    END LOOP;
    parent_indexes := ARRAY(SELECT (a ->> 'request')::int4 + 1
        FROM unnest(in_extras) e, jsonb_array_elements(e -> 'after') a WHERE a ? 'request');
    INSERT INTO queue.job AS j (id, workspace, enqueued_at, queue, priority, max_attempts, kind, trace, arguments,
        items, slice, joinable, limit_key, unique_key, unique_until)
    SELECT u.id, u.workspace, clock_timestamp(), u.queue, u.priority, u.max_attempts, u.kind, u.trace, u.arguments,
        (u.extra ->> 'items')::int4, (u.extra ->> 'slice')::int4,
        nullif((u.extra ->> 'joinable')::bool IS TRUE OR u.ordinal = ANY (parent_indexes), false),
        u.extra ->> 'limit', u.extra #>> '{unique,key}', u.extra #>> '{unique,until}'
    FROM unnest(ids, holders, queues, in_kinds, in_workspaces, in_arguments, in_priorities, in_max_attempts,
        in_traces, in_extras) WITH ORDINALITY AS u(id, holder, queue, kind, workspace, arguments, priority,
        max_attempts, trace, extra, ordinal)
    WHERE u.id = u.holder ORDER BY u.ordinal;
    INSERT INTO queue.array (job, items, remaining)
    SELECT j.id, j.items, j.items FROM queue.job j WHERE j.id = ANY (ids) AND j.items IS NOT NULL;
    INSERT INTO queue.joinable (job) SELECT j.id FROM queue.job j WHERE j.id = ANY (ids) AND j.joinable;
    FOR request IN
        SELECT u.ordinal, u.id, u.queue, u.delay, u.extra -> 'after' AS after,
            coalesce((u.extra ->> 'anyway')::bool, false) AS anyway
        FROM unnest(ids, holders, queues, in_delays, in_extras) WITH ORDINALITY
            AS u(id, holder, queue, delay, extra, ordinal)
        WHERE u.id = u.holder AND u.extra ? 'after' ORDER BY u.ordinal
    LOOP
        parents := 0;
        FOR parent IN
            SELECT DISTINCT coalesce((a ->> 'job')::int8, holders[(a ->> 'request')::int4 + 1]) AS job,
                (a ->> 'request')::int4 AS index
            FROM jsonb_array_elements(request.after) a ORDER BY 1
        LOOP
            IF parent.job IS NULL OR parent.index >= request.ordinal - 1 OR parent.index < 0 THEN
                RAISE EXCEPTION 'request % waits for one that does not come before it', request.ordinal - 1
                    USING ERRCODE = 'invalid_parameter_value';
            END IF;
            CONTINUE WHEN NOT queue.must_wait(parent.job, request.anyway);
            INSERT INTO queue.dependency (parent, child, anyway) VALUES (parent.job, request.id, request.anyway)
            ON CONFLICT DO NOTHING;
            parents := parents + FOUND::int;
        END LOOP;
        CONTINUE WHEN parents = 0;
        INSERT INTO queue.waiting (job, queue, remaining, delay)
        VALUES (request.id, request.queue, parents, coalesce(request.delay, 0));
        waiting := waiting || request.id;
    END LOOP;
    PERFORM queue.place(array_agg(u.id ORDER BY u.ordinal), array_agg(u.delay ORDER BY u.ordinal))
    FROM unnest(ids, holders, in_delays) WITH ORDINALITY AS u(id, holder, delay, ordinal)
    WHERE u.id = u.holder AND u.id <> ALL (waiting);
    PERFORM queue.note_workspaces(queues, in_workspaces);
    RETURN QUERY SELECT u.holder, u.id = u.holder
        FROM unnest(ids, holders) WITH ORDINALITY AS u(id, holder, ordinal) ORDER BY u.ordinal;
END $$;

-- MARK: Claiming

-- Takes up to in_limit jobs of one flow with in_above < position.
CREATE FUNCTION queue.take_flow(in_flow int8, in_above int8, in_limit int4)
RETURNS SETOF queue.ready LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
    SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
BEGIN
    RETURN QUERY DELETE FROM queue.ready WHERE ctid = ANY (ARRAY(
        SELECT r.ctid FROM queue.ready r WHERE r.flow = in_flow AND r.position > in_above
        ORDER BY r.position LIMIT in_limit FOR UPDATE SKIP LOCKED))
    RETURNING ready.*;
END $$;

-- The flows of a queue's ordinary lane that have jobs at the highest priority at which any has, and that priority;
-- in the order of workspaces, at most in_limit, from the one after in_after on and around.
-- in_low: the low-water marks, from priority 2 down to -2.
CREATE FUNCTION queue.flows(
    in_queue int2, in_low int8[], in_after int8, in_limit int4,
    OUT flows int8[], OUT workspaces int8[], OUT priority int2
) LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
    level int2;
BEGIN
    FOR i IN 1 .. 5 LOOP
        level := 3 - i;
        SELECT array_agg(f.flow), array_agg(f.workspace) INTO flows, workspaces FROM (
            SELECT w.workspace, queue.flow_of((in_queue * 2)::int2, level, w.workspace) AS flow
            FROM (SELECT DISTINCT k.workspace FROM queue.workspace k WHERE k.queue = in_queue) w
            WHERE EXISTS (SELECT FROM queue.ready r
                WHERE r.flow = queue.flow_of((in_queue * 2)::int2, level, w.workspace)
                    AND r.position > in_low[i])
            ORDER BY w.workspace <= in_after, w.workspace LIMIT in_limit) f;
        EXIT WHEN flows IS NOT NULL;
    END LOOP;
    priority := level;
END $$;

-- Cuts what was taken of arrays to in_slice items each, or to their own slice if that is smaller; the rest goes to the
-- end of its lane. What belongs to an array that was cancelled falls away.
CREATE FUNCTION queue.cut(in_taken queue.ready[], in_slice int4) RETURNS queue.ready[] LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    kept queue.ready[];
BEGIN
    WITH part AS (
        SELECT t.*, CASE WHEN t.items = 0 THEN 0 ELSE least(t.items, in_slice, coalesce(j.slice, in_slice)) END AS cut
        FROM unnest(in_taken) t JOIN queue.job j ON j.id = t.job LEFT JOIN queue.array a ON a.job = t.job
        WHERE t.items = 0 OR NOT a.cancelled
    ), rest AS (
        INSERT INTO queue.ready (position, job, lane, priority, attempt, last, flow, first, items)
        SELECT nextval('queue.position'), job, lane, priority, attempt, last, flow, first + cut, items - cut
        FROM part WHERE items > cut
    )
    SELECT array_agg(ROW(p.position, p.job, p.lane, p.priority, p.attempt, p.last, p.flow, p.first, p.cut)
        ::queue.ready) INTO kept FROM part p;
    RETURN coalesce(kept, '{}');
END $$;

-- As before, but the settings that pin its plan are those of its callers, queue.claim and queue.admit: to change and
-- restore them took longer than what it does for one job.
CREATE OR REPLACE FUNCTION queue.take(in_lane int2, in_priority int2, in_above int8, in_upto int8, in_limit int4)
RETURNS SETOF queue.ready LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY DELETE FROM queue.ready WHERE ctid = ANY (ARRAY(
        SELECT r.ctid FROM queue.ready r
        WHERE r.lane = in_lane AND r.priority = in_priority AND r.position > in_above AND r.position <= in_upto
        ORDER BY r.position LIMIT in_limit FOR UPDATE SKIP LOCKED))
    RETURNING ready.*;
END $$;

DROP FUNCTION queue.claim(int8, int2, bool, int4, int8[], int8[], int8[], bool, int8[]);
DROP SEQUENCE queue.lease_id;
-- Claims up to in_limit jobs for a worker under one new lease and deletes leases that are done.
-- in_low and in_fast hold one position for each priority from 2 down to -2: everything up to in_low is gone for good;
-- up to in_fast the caller has looked, and looks again only when in_sweep. With in_flows (and as many positions in
-- in_flow_fast) the jobs are taken from those flows, an equal share of each first. The first row is a header: its job
-- is null, its lease the new one or null; `solo_waiting` and `gate_waiting` say that the queue's solo lane and gate are
-- not empty (above in_solo_low, in_gate_low). `traits` of a job: 1 it has a limit or a unique key, is an array or may
-- be waited for: who settles it calls queue.settle_all; 2 its unique key is free once it starts.
-- Raises 55000 when the worker is unknown or was declared lost.
CREATE FUNCTION queue.claim(
    in_worker int8, in_queue int2, in_solo bool, in_limit int4, in_low int8[], in_fast int8[], in_solo_low int8[],
    in_sweep bool, in_done int8[], in_flows int8[] DEFAULT '{}', in_flow_fast int8[] DEFAULT '{}',
    in_gate_low int8 DEFAULT 0
) RETURNS TABLE (
    lease int8, solo_waiting bool, gate_waiting bool, paused bool, job int8, attempt int2, last int2, priority int2,
    "position" int8, kind text, workspace int8, arguments text, trace text, enqueued_at timestamptz, first int4,
    items int4, traits int2
) LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
    SET enable_nestloop = off SET enable_mergejoin = off
    SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
    in_lane int2 := in_queue * 2 + in_solo::int;
    taken queue.ready[] := '{}';
    part queue.ready[];
    cuts bool;
    has_arrays bool := false;
    wanted int4 := in_limit;
    quota int4 := in_limit;
    new_lease int8;
    first_id int8;
    last_id int8;
    waiting bool := false;
    gated bool := false;
    state record;
BEGIN
    IF cardinality(in_done) > 0 THEN
        DELETE FROM queue.lease l WHERE l.id = ANY (in_done) AND l.worker = in_worker;
    ELSE
        -- Nobody needs a claim to be on disk: when the server crashes before it is, the jobs are ready again and the
        -- lease is none. What is done under it commits later, and whoever waits for that has waited for this too.
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;
    SELECT w.busy, q.paused INTO state FROM queue.worker w, queue.queue q
    WHERE w.id = in_worker AND w.lost_at IS NULL AND q.id = in_queue;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'worker % is not registered', in_worker USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    IF NOT state.paused AND wanted > 0 AND cardinality(in_flows) > 0 THEN
        quota := greatest(1, (in_limit + cardinality(in_flows) - 1) / cardinality(in_flows));
        FOR i IN 1 .. cardinality(in_flows) LOOP
            EXIT WHEN wanted = 0;
            SELECT array_agg(t), bool_or(t.items > 0) INTO part, cuts
            FROM queue.take_flow(in_flows[i], in_flow_fast[i], least(quota, wanted)) t;
            IF part IS NOT NULL THEN
                taken := taken || part;
                wanted := wanted - cardinality(part);
                has_arrays := has_arrays OR cuts;
            END IF;
        END LOOP;
    ELSIF NOT state.paused AND wanted > 0 THEN
        FOR i IN 1 .. 5 LOOP
            EXIT WHEN wanted = 0;
            SELECT array_agg(t), bool_or(t.items > 0) INTO part, cuts
            FROM queue.take(in_lane, (3 - i)::int2, in_fast[i], 9223372036854775807, wanted) t;
            IF part IS NOT NULL THEN
                taken := taken || part;
                wanted := wanted - cardinality(part);
                has_arrays := has_arrays OR cuts;
            END IF;
            CONTINUE WHEN NOT in_sweep OR wanted = 0 OR in_low[i] >= in_fast[i];
            SELECT array_agg(t), bool_or(t.items > 0) INTO part, cuts
            FROM queue.take(in_lane, (3 - i)::int2, in_low[i], in_fast[i], wanted) t;
            IF part IS NOT NULL THEN
                taken := taken || part;
                wanted := wanted - cardinality(part);
                has_arrays := has_arrays OR cuts;
            END IF;
        END LOOP;
    END IF;
    IF NOT in_solo AND NOT state.paused THEN
        FOR i IN 1 .. 5 LOOP
            waiting := EXISTS (SELECT FROM queue.ready r WHERE r.lane = in_lane + 1
                AND r.priority = (3 - i)::int2 AND r.position > in_solo_low[i]);
            EXIT WHEN waiting;
        END LOOP;
        gated := EXISTS (SELECT FROM queue.ready r WHERE r.lane = queue.gate_of(in_queue) AND r.priority = 0
            AND r.position > in_gate_low);
    END IF;
    IF has_arrays THEN
        taken := queue.cut(taken, greatest(1, in_limit / cardinality(taken)));
    END IF;
    IF cardinality(taken) > 0 THEN
        SELECT min(t.job), max(t.job) INTO first_id, last_id FROM unnest(taken) t;
        IF NOT state.busy THEN
            UPDATE queue.worker w SET busy = true, seen_at = clock_timestamp() WHERE w.id = in_worker;
        END IF;
        -- Never a sequence's number: after a crash that lost a claim it would be given again, while a worker still
        -- holds the old one.
        new_lease := hashtextextended(gen_random_uuid()::text, 0) & 9223372036854775807;
        INSERT INTO queue.lease (id, worker, claimed_at, queue, solo, jobs, attempts, lasts, firsts, items)
        SELECT new_lease, in_worker, clock_timestamp(), in_queue, in_solo,
            array_agg(t.job), array_agg(t.attempt), array_agg(t.last),
            CASE WHEN has_arrays THEN array_agg(t.first) END, CASE WHEN has_arrays THEN array_agg(t.items) END
        FROM unnest(taken) t;
    END IF;
    RETURN QUERY SELECT new_lease, waiting, gated, state.paused, NULL::int8, NULL::int2, NULL::int2, NULL::int2,
        NULL::int8, NULL::text, NULL::int8, NULL::text, NULL::text, NULL::timestamptz, NULL::int4, NULL::int4,
        NULL::int2;
    IF cardinality(taken) = 0 THEN
        RETURN;
    END IF;
    -- Jobs that stand together, as most do, are read in one go; others one by one.
    IF last_id - first_id < 4 * cardinality(taken) THEN
        RETURN QUERY SELECT new_lease, waiting, gated, state.paused, t.job, t.attempt, t.last, t.priority, t.position,
            j.kind, j.workspace, j.arguments::text, j.trace, j.enqueued_at, t.first, t.items,
            ((j.limit_key IS NOT NULL OR j.unique_key IS NOT NULL OR j.items IS NOT NULL OR j.joinable IS TRUE)::int
                + 2 * (j.unique_until IS NOT DISTINCT FROM 'started')::int)::int2
        FROM (SELECT * FROM queue.job x WHERE x.id BETWEEN first_id AND last_id OFFSET 0) j
        JOIN unnest(taken) t ON t.job = j.id ORDER BY t.priority DESC, t.position;
    ELSE
        RETURN QUERY SELECT new_lease, waiting, gated, state.paused, t.job, t.attempt, t.last, t.priority, t.position,
            j.kind, j.workspace, j.arguments::text, j.trace, j.enqueued_at, t.first, t.items,
            ((j.limit_key IS NOT NULL OR j.unique_key IS NOT NULL OR j.items IS NOT NULL OR j.joinable IS TRUE)::int
                + 2 * (j.unique_until IS NOT DISTINCT FROM 'started')::int)::int2
        FROM unnest(taken) t, LATERAL (SELECT * FROM queue.job x WHERE x.id = t.job OFFSET 0) j
        ORDER BY t.priority DESC, t.position;
    END IF;
END $$;

-- Frees the unique keys that were to be held until the start. Before the handler begins.
CREATE FUNCTION queue.started(in_jobs int8[]) RETURNS void LANGUAGE sql AS $$
    DELETE FROM queue.unique_key u USING queue.job j
    WHERE u.job = ANY (in_jobs) AND j.id = u.job AND j.unique_until = 'started'
$$;

-- MARK: Limits

-- Lets blocked jobs of a key through, as many as its rule allows now, after in_released permits have come back.
-- Returns how many. Locks the key's row until the commit.
CREATE FUNCTION queue.open(in_limit int8, in_released int4) RETURNS int4 LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
    SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
    state queue.limit_key;
    rule queue.limit_rule;
    moment timestamptz := clock_timestamp();
    room int4;
    moved int4 := 0;
    final int8;
    more bool;
BEGIN
    SELECT * INTO state FROM queue.limit_key k WHERE k.id = in_limit FOR NO KEY UPDATE;
    SELECT * INTO rule FROM queue.limit_rule l
    WHERE l.queue = state.queue AND l.name = split_part(state.key, ':', 1);
    state.held := greatest(state.held - in_released, 0);
    room := coalesce(rule.concurrency - state.held, 1000000);
    IF rule.rate IS NOT NULL THEN
        -- A bucket of `rate` tokens that fills once a period. A clock that steps back adds nothing.
        state.tokens := CASE WHEN state.refilled_at = '-infinity' THEN rule.rate ELSE least(rule.rate, state.tokens
            + greatest(0, extract(epoch FROM moment - state.refilled_at)) * rule.rate / rule.period) END;
        state.refilled_at := moment;
        room := least(room, floor(state.tokens));
    END IF;
    IF room > 0 THEN
        WITH gone AS (
            DELETE FROM queue.blocked WHERE ctid = ANY (ARRAY(
                SELECT b.ctid FROM queue.blocked b WHERE b.limit_id = in_limit AND b.position > state.mark
                ORDER BY b.position LIMIT room FOR UPDATE SKIP LOCKED))
            RETURNING blocked.*
        ), permitted AS (
            INSERT INTO queue.permit (job, limit_id) SELECT job, in_limit FROM gone
        ), placed AS (
            INSERT INTO queue.ready (position, job, lane, priority, attempt, last, flow)
            SELECT nextval('queue.position'), g.job, g.queue * 2, j.priority, g.attempt, g.last,
                queue.flow_of((g.queue * 2)::int2, j.priority, j.workspace)
            FROM gone g JOIN queue.job j ON j.id = g.job
        )
        SELECT count(*), max(position) INTO moved, final FROM gone;
        state.mark := coalesce(final, state.mark);
    END IF;
    more := EXISTS (SELECT FROM queue.blocked b WHERE b.limit_id = in_limit AND b.position > state.mark);
    state.tokens := state.tokens - CASE WHEN rule.rate IS NULL THEN 0 ELSE moved END;
    UPDATE queue.limit_key k SET held = state.held + moved, mark = state.mark, tokens = state.tokens,
        refilled_at = state.refilled_at,
        due_at = CASE WHEN more AND rule.rate IS NOT NULL AND state.tokens < 1
            THEN moment + make_interval(secs => (1 - state.tokens) * rule.period / rule.rate) END
    WHERE k.id = in_limit;
    RETURN moved;
END $$;

-- Gives the permits of jobs back and lets others through instead. In the order of keys, so that two who release
-- several cannot wait for each other. Jobs without a permit cost one look.
CREATE FUNCTION queue.release(in_jobs int8[]) RETURNS void LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
AS $$
DECLARE
    released record;
BEGIN
    FOR released IN
        WITH gone AS (DELETE FROM queue.permit p WHERE p.job = ANY (in_jobs) RETURNING p.limit_id)
        SELECT g.limit_id, count(*)::int4 AS permits FROM gone g GROUP BY g.limit_id ORDER BY g.limit_id
    LOOP
        PERFORM queue.open(released.limit_id, released.permits);
    END LOOP;
END $$;

-- Takes up to in_limit jobs from a queue's gate: they go on to `ready` as far as their keys allow, or stand blocked.
-- Returns how many were let through and whether there may be more at the gate.
CREATE FUNCTION queue.admit(in_queue int2, in_low int8, in_limit int4, OUT moved int4, OUT more bool)
LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
    SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
    taken queue.ready[];
    at_key record;
BEGIN
    PERFORM pg_current_xact_id();
    SELECT array_agg(t) INTO taken
    FROM queue.take(queue.gate_of(in_queue), 0::int2, in_low, 9223372036854775807, in_limit) t;
    moved := 0;
    more := coalesce(cardinality(taken), 0) = in_limit;
    IF taken IS NULL THEN
        RETURN;
    END IF;
    INSERT INTO queue.limit_key (queue, key)
    SELECT DISTINCT in_queue, j.limit_key FROM unnest(taken) t JOIN queue.job j ON j.id = t.job ORDER BY 2
    ON CONFLICT (queue, key) DO NOTHING;
    FOR at_key IN
        SELECT k.id, array_agg(t ORDER BY t.position) AS jobs
        FROM unnest(taken) t JOIN queue.job j ON j.id = t.job
        JOIN queue.limit_key k ON k.queue = in_queue AND k.key = j.limit_key GROUP BY k.id ORDER BY k.id
    LOOP
        PERFORM FROM queue.limit_key k WHERE k.id = at_key.id FOR NO KEY UPDATE;
        INSERT INTO queue.blocked (position, limit_id, job, queue, attempt, last)
        SELECT nextval('queue.position'), at_key.id, t.job, in_queue, t.attempt, t.last FROM unnest(at_key.jobs) t;
        moved := moved + queue.open(at_key.id, 0);
    END LOOP;
END $$;

-- Lets those through whose rate allows it by now. Returns the queues that got jobs.
CREATE FUNCTION queue.open_due() RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    due record;
    queues int2[] := '{}';
BEGIN
    PERFORM pg_current_xact_id();
    FOR due IN SELECT k.id, k.queue FROM queue.limit_key k WHERE k.due_at <= clock_timestamp() ORDER BY k.id
        LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED
    LOOP
        IF queue.open(due.id, 0) > 0 THEN
            queues := queues || due.queue;
        END IF;
    END LOOP;
    -- Keys that nobody uses any more and whose bucket is full again.
    DELETE FROM queue.limit_key k WHERE k.id IN (
        SELECT u.id FROM queue.limit_key u WHERE u.held = 0 AND u.due_at IS NULL
            AND u.refilled_at < clock_timestamp() - interval '1 day'
            AND NOT EXISTS (SELECT FROM queue.blocked b WHERE b.limit_id = u.id)
        ORDER BY u.id LIMIT 1000 FOR UPDATE SKIP LOCKED);
    RETURN ARRAY(SELECT q.name FROM queue.queue q WHERE q.id = ANY (queues));
END $$;

-- Says what the keys `name` and `name:anything` of a queue allow: null means as many as there are. With neither, the
-- rule is taken away: what is blocked goes on as its keys are next looked at.
CREATE FUNCTION queue.set_limit(in_queue text, in_name text, in_concurrency int4, in_rate int4, in_period float8)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    queue_id int2 := queue.register_queue(in_queue);
BEGIN
    INSERT INTO queue.limit_rule VALUES (queue_id, in_name, in_concurrency, in_rate, in_period)
    ON CONFLICT (queue, name) DO UPDATE
    SET concurrency = excluded.concurrency, rate = excluded.rate, period = excluded.period;
    PERFORM queue.open(k.id, 0) FROM queue.limit_key k
    WHERE k.queue = queue_id AND split_part(k.key, ':', 1) = in_name;
END $$;

-- MARK: Ends

-- What follows from the end of whole jobs: unique keys and permits come back, and who waited for them goes on.
-- in_state is succeeded, dead or cancelled. A dead job may be redriven: only those wait no longer that run anyway.
CREATE FUNCTION queue.conclude(in_jobs int8[], in_state queue.outcome_state) RETURNS void LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    parents int8[];
    free int8[];
    delays float8[];
    orphans int8[];
BEGIN
    DELETE FROM queue.unique_key u WHERE u.job = ANY (in_jobs) AND u.expires_at IS NULL;
    PERFORM queue.release(in_jobs);
    IF in_state = 'dead' THEN
        parents := ARRAY(SELECT job FROM queue.joinable WHERE job = ANY (in_jobs) ORDER BY job FOR UPDATE);
    ELSE
        PERFORM FROM queue.joinable WHERE job = ANY (in_jobs) ORDER BY job FOR UPDATE;
        WITH gone AS (DELETE FROM queue.joinable WHERE job = ANY (in_jobs) RETURNING job)
        SELECT array_agg(job) INTO parents FROM gone;
    END IF;
    IF coalesce(cardinality(parents), 0) = 0 THEN
        RETURN;
    END IF;
    IF in_state = 'cancelled' THEN
        orphans := ARRAY(SELECT DISTINCT d.child FROM queue.dependency d
            WHERE d.parent = ANY (parents) AND NOT d.anyway ORDER BY d.child);
        PERFORM queue.cancel(child) FROM unnest(orphans) child;
    END IF;
    -- A second statement sees what another parent's end, which this one waited for here, has counted.
    PERFORM FROM queue.waiting w WHERE w.job IN (SELECT d.child FROM queue.dependency d WHERE d.parent = ANY (parents))
    ORDER BY w.job FOR NO KEY UPDATE;
    WITH done AS (
        DELETE FROM queue.dependency d
        WHERE d.parent = ANY (parents) AND (in_state = 'succeeded' OR d.anyway) RETURNING d.child
    ), counted AS (
        UPDATE queue.waiting w SET remaining = w.remaining - n.parents
        FROM (SELECT child, count(*)::int4 AS parents FROM done GROUP BY child) n WHERE w.job = n.child
        RETURNING w.job, w.remaining, w.delay
    )
    SELECT array_agg(job ORDER BY job), array_agg(delay ORDER BY job) INTO free, delays
    FROM counted WHERE remaining = 0;
    IF free IS NOT NULL THEN
        DELETE FROM queue.waiting w WHERE w.job = ANY (free);
        PERFORM queue.place(free, delays);
    END IF;
END $$;

-- Counts the end of jobs and of slices of arrays, and concludes those that are over as a whole.
-- Raises MR002 for a slice of an array that was cancelled.
CREATE FUNCTION queue.ended(in_jobs int8[], in_items int4[], in_state queue.outcome_state) RETURNS void
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    whole int8[] := ARRAY(SELECT t.job FROM unnest(in_jobs, in_items) AS t(job, items) WHERE t.items = 0);
    arrays int8[] := ARRAY(SELECT DISTINCT t.job FROM unnest(in_jobs, in_items) AS t(job, items) WHERE t.items > 0);
    full_success int8[];
    with_dead int8[];
    cancelled int8;
BEGIN
    IF cardinality(arrays) > 0 THEN
        PERFORM FROM queue.array a WHERE a.job = ANY (arrays) ORDER BY a.job FOR NO KEY UPDATE;
        SELECT a.job INTO cancelled FROM queue.array a WHERE a.job = ANY (arrays) AND a.cancelled LIMIT 1;
        IF cancelled IS NOT NULL THEN
            RAISE EXCEPTION 'job % was cancelled', cancelled USING ERRCODE = 'MR002';
        END IF;
        WITH counted AS (
            UPDATE queue.array a SET remaining = a.remaining - n.items,
                failed = a.failed + CASE WHEN in_state = 'succeeded' THEN 0 ELSE n.items END
            FROM (SELECT t.job, sum(t.items)::int4 AS items FROM unnest(in_jobs, in_items) AS t(job, items)
                WHERE t.items > 0 GROUP BY t.job) n
            WHERE a.job = n.job RETURNING a.*
        )
        SELECT array_agg(job) FILTER (WHERE failed = 0), array_agg(job) FILTER (WHERE failed > 0)
        INTO full_success, with_dead FROM counted WHERE remaining = 0;
    END IF;
    IF in_state = 'succeeded' THEN
        full_success := full_success || whole;
    ELSE
        with_dead := with_dead || whole;
    END IF;
    IF cardinality(full_success) > 0 THEN
        PERFORM queue.conclude(full_success, 'succeeded');
    END IF;
    IF cardinality(with_dead) > 0 THEN
        PERFORM queue.conclude(with_dead, 'dead');
    END IF;
END $$;

-- As queue.settle, for jobs that are arrays, have results, keys or limits, or that others wait for.
CREATE FUNCTION queue.settle_all(
    in_lease int8, in_jobs int8[], in_attempts int2[], in_firsts int4[], in_items int4[], in_results jsonb[],
    in_finish bool
) RETURNS void LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off
AS $$
BEGIN
    PERFORM queue.hold(in_lease, in_finish);
    INSERT INTO queue.outcome (job, lease, at, state, attempt, first, items)
    SELECT t.job, in_lease, clock_timestamp(), 'succeeded', t.attempt, t.first, t.items
    FROM unnest(in_jobs, in_attempts, in_firsts, in_items) AS t(job, attempt, first, items);
    INSERT INTO queue.result (job, first, result)
    SELECT t.job, t.first, t.result
    FROM unnest(in_jobs, in_firsts, in_results) AS t(job, first, result) WHERE t.result <> 'null';
    PERFORM queue.ended(in_jobs, in_items, 'succeeded');
END $$;

DROP FUNCTION queue.retry(int8, int8[], int2[], int2[], text[], float8[], bool);
-- Records failed attempts and defers the next ones; delays in seconds. Fenced by queue.hold. A slice of several items
-- comes back in halves, with one attempt more, so that an item that fails ends up alone. Slices of an array that was
-- cancelled do not come back.
CREATE FUNCTION queue.retry(
    in_lease int8, in_jobs int8[], in_attempts int2[], in_lasts int2[], in_firsts int4[], in_items int4[],
    in_errors text[], in_delays float8[], in_finish bool
) RETURNS void LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off
AS $$
BEGIN
    PERFORM queue.hold(in_lease, in_finish);
    WITH failed AS (
        INSERT INTO queue.outcome (job, lease, at, state, attempt, first, items, error)
        SELECT t.job, in_lease, clock_timestamp(), 'failed', t.attempt, t.first, t.items, t.error
        FROM unnest(in_jobs, in_attempts, in_firsts, in_items, in_errors) AS t(job, attempt, first, items, error)
    )
    INSERT INTO queue.deferred (job, run_at, lane, priority, attempt, last, workspace, first, items)
    SELECT j.id, clock_timestamp() + make_interval(secs => t.delay),
        CASE WHEN j.limit_key IS NULL THEN j.queue * 2 ELSE queue.gate_of(j.queue) END,
        CASE WHEN j.limit_key IS NULL THEN j.priority ELSE 0 END, t.attempt + 1,
        least(t.last + (t.items > 1)::int, 32000), j.workspace, half.first, half.items
    FROM unnest(in_jobs, in_attempts, in_lasts, in_firsts, in_items, in_delays)
        AS t(job, attempt, last, first, items, delay)
    JOIN queue.job j ON j.id = t.job
    LEFT JOIN queue.array a ON a.job = j.id
    CROSS JOIN LATERAL (
        SELECT t.first, CASE WHEN t.items > 1 THEN t.items / 2 ELSE t.items END
        UNION ALL SELECT t.first + t.items / 2, t.items - t.items / 2 WHERE t.items > 1
    ) AS half(first, items)
    WHERE a.cancelled IS NOT TRUE;
    PERFORM queue.release(in_jobs);
END $$;

DROP FUNCTION queue.bury(int8, int8, int2, text, bool);
-- Records an attempt as the last: the job, or the slice, is a dead letter. Fenced by queue.hold.
CREATE FUNCTION queue.bury(
    in_lease int8, in_job int8, in_attempt int2, in_first int4, in_items int4, in_error text, in_finish bool
) RETURNS void LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
AS $$
BEGIN
    PERFORM queue.hold(in_lease, in_finish);
    INSERT INTO queue.outcome (job, lease, at, state, attempt, first, items, error)
    VALUES (in_job, in_lease, clock_timestamp(), 'dead', in_attempt, in_first, in_items, in_error);
    INSERT INTO queue.dead (job, at, queue, priority, attempt, error, first, items)
    SELECT j.id, clock_timestamp(), j.queue, j.priority, in_attempt, in_error, in_first, in_items
    FROM queue.job j WHERE j.id = in_job;
    PERFORM queue.ended(ARRAY[in_job], ARRAY[in_items], 'dead');
END $$;

DROP FUNCTION queue.resolve(int8, int4, int8, int8[], int2[]);
-- After a commit whose answer was lost: whether the server process that carried it out still lives (it is told to
-- end) and, when it does not, how many of the attempts have an outcome under the lease: all or none.
CREATE FUNCTION queue.resolve(
    in_worker int8, in_pid int4, in_lease int8, in_jobs int8[], in_attempts int2[], in_firsts int4[],
    OUT alive bool, OUT settled int8
) LANGUAGE plpgsql AS $$
BEGIN
    alive := (SELECT count(pg_terminate_backend(a.pid)) > 0 FROM queue.backend b
        JOIN pg_stat_activity a ON a.pid = b.pid AND a.backend_start = b.started_at
        WHERE b.worker = in_worker AND b.pid = in_pid AND b.pid <> pg_backend_pid());
    settled := (SELECT count(*) FROM unnest(in_jobs, in_attempts, in_firsts) AS t(job, attempt, first)
        JOIN queue.outcome o ON o.job = t.job AND o.attempt = t.attempt AND o.first = t.first
        WHERE o.lease = in_lease);
END $$;

-- Those of the attempts that have been ended by somebody else: cancelled, or found to have been settled.
CREATE FUNCTION queue.ended_elsewhere(in_jobs int8[], in_attempts int2[], in_firsts int4[])
RETURNS TABLE (job int8, first int4) LANGUAGE sql SET enable_seqscan = off AS $$
    SELECT t.job, t.first FROM unnest(in_jobs, in_attempts, in_firsts) AS t(job, attempt, first)
    WHERE EXISTS (SELECT FROM queue.outcome o
            WHERE o.job = t.job AND o.attempt = t.attempt AND o.first = t.first)
        OR EXISTS (SELECT FROM queue.array a WHERE a.job = t.job AND a.cancelled)
$$;

-- Gives a lease's unsettled jobs back to `ready`, same attempt, to the solo lane if in_solo. The lease is deleted.
-- Waits for a settle that is under way. Returns how many jobs; null when the lease is lost.
CREATE OR REPLACE FUNCTION queue.give_back(in_lease int8, in_solo bool) RETURNS int4 LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    held queue.lease;
    given int4;
BEGIN
    DELETE FROM queue.lease l WHERE l.id = in_lease RETURNING * INTO held;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO queue.ready (position, job, lane, priority, attempt, last, flow, first, items)
    SELECT nextval('queue.position'), j.id, lane, j.priority, t.attempt, t.last,
        queue.flow_of(lane, j.priority, j.workspace), coalesce(t.first, 0), coalesce(t.items, 0)
    FROM unnest(held.jobs, held.attempts, held.lasts, held.firsts, held.items)
        AS t(job, attempt, last, first, items)
    JOIN queue.job j ON j.id = t.job
    CROSS JOIN LATERAL (SELECT (j.queue * 2 + (in_solo OR held.solo)::int)::int2) AS l(lane)
    WHERE NOT EXISTS (SELECT FROM queue.outcome o
        WHERE o.job = t.job AND o.attempt = t.attempt AND o.first = coalesce(t.first, 0));
    GET DIAGNOSTICS given = ROW_COUNT;
    RETURN given;
END $$;

-- Gives some of a lease's jobs back without an attempt charged; the others stay. Fenced by queue.hold. The attempt is
-- marked as given back by taking it out of the lease's arrays.
CREATE FUNCTION queue.give_back_some(in_lease int8, in_jobs int8[], in_firsts int4[], in_finish bool) RETURNS void
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    held queue.lease;
BEGIN
    SELECT * INTO held FROM queue.lease l WHERE l.id = in_lease FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'lease % is lost', in_lease USING ERRCODE = 'MR001';
    END IF;
    INSERT INTO queue.ready (position, job, lane, priority, attempt, last, flow, first, items)
    SELECT nextval('queue.position'), j.id, lane, j.priority, t.attempt, t.last,
        queue.flow_of(lane, j.priority, j.workspace), coalesce(t.first, 0), coalesce(t.items, 0)
    FROM unnest(held.jobs, held.attempts, held.lasts, held.firsts, held.items)
        AS t(job, attempt, last, first, items)
    JOIN unnest(in_jobs, in_firsts) AS g(job, first) ON g.job = t.job AND g.first = coalesce(t.first, 0)
    JOIN queue.job j ON j.id = t.job
    CROSS JOIN LATERAL (SELECT (j.queue * 2 + held.solo::int)::int2) AS l(lane)
    WHERE NOT EXISTS (SELECT FROM queue.outcome o
        WHERE o.job = t.job AND o.attempt = t.attempt AND o.first = coalesce(t.first, 0));
    IF in_finish THEN
        DELETE FROM queue.lease l WHERE l.id = in_lease;
        RETURN;
    END IF;
    UPDATE queue.lease l SET (jobs, attempts, lasts, firsts, items) = (
        SELECT coalesce(array_agg(t.job), '{}'), coalesce(array_agg(t.attempt), '{}'),
            coalesce(array_agg(t.last), '{}'), coalesce(array_agg(coalesce(t.first, 0)), '{}'),
            coalesce(array_agg(coalesce(t.items, 0)), '{}')
        FROM unnest(held.jobs, held.attempts, held.lasts, held.firsts, held.items)
            AS t(job, attempt, last, first, items)
        WHERE NOT EXISTS (SELECT FROM unnest(in_jobs, in_firsts) AS g(job, first)
            WHERE g.job = t.job AND g.first = coalesce(t.first, 0)))
    WHERE l.id = in_lease;
END $$;

-- MARK: Marks and maintenance

DROP FUNCTION queue.advance(int2);
-- Moves the seal and the low-water marks of one queue up. Must be the first statement of its transaction: the
-- sequence is read before the transaction has an id, so that every earlier position belongs to a smaller id.
-- Returns the marks of the ordinary lane and of the solo lane, from priority 2 down to -2, and that of the gate.
-- Locks the seal row; a second caller meanwhile only reads.
CREATE FUNCTION queue.advance(in_queue int2, OUT low int8[], OUT solo_low int8[], OUT gate_low int8)
LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
    SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
    drawn int8 := (SELECT last_value - (NOT is_called)::int FROM queue.position);
    first_id xid8 := pg_current_xact_id_if_assigned();
    state queue.seal;
BEGIN
    IF first_id IS NOT NULL THEN
        RAISE EXCEPTION 'queue.advance must come first in its transaction'
            USING ERRCODE = 'active_sql_transaction';
    END IF;
    SELECT * INTO state FROM queue.seal WHERE one FOR UPDATE SKIP LOCKED;
    IF FOUND THEN
        IF pg_snapshot_xmin(pg_current_snapshot()) > state.pending_xid THEN
            state.sealed := state.pending;
            UPDATE queue.seal SET sealed = state.sealed, pending = drawn, pending_xid = pg_current_xact_id()
            WHERE one AND (sealed < state.sealed OR pending < drawn);
        END IF;
        UPDATE queue.low_water w SET position = n.position
        FROM (
            SELECT m.lane, m.priority, coalesce((
                SELECT r.position - 1 FROM queue.ready r
                WHERE r.lane = m.lane AND r.priority = m.priority AND r.position > m.position
                    AND r.position <= state.sealed
                ORDER BY r.position LIMIT 1), state.sealed) AS position
            FROM queue.low_water m WHERE m.lane IN (in_queue * 2, in_queue * 2 + 1, queue.gate_of(in_queue))
        ) n
        WHERE w.lane = n.lane AND w.priority = n.priority AND n.position >= w.position + 1024;
    END IF;
    SELECT array_agg(w.position ORDER BY w.priority DESC) INTO low
    FROM queue.low_water w WHERE w.lane = in_queue * 2;
    SELECT array_agg(w.position ORDER BY w.priority DESC) INTO solo_low
    FROM queue.low_water w WHERE w.lane = in_queue * 2 + 1;
    SELECT w.position INTO gate_low FROM queue.low_water w WHERE w.lane = queue.gate_of(in_queue);
END $$;

DROP FUNCTION queue.beat(int8);
-- Says that the worker lives, and what it settles, fails and buries a second; false when it was declared lost or is
-- unknown.
CREATE FUNCTION queue.beat(in_worker int8, in_succeeded float4, in_failed float4, in_dead float4) RETURNS bool
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE queue.worker SET seen_at = clock_timestamp(), succeeded_rate = in_succeeded, failed_rate = in_failed,
        dead_rate = in_dead
    WHERE id = in_worker AND lost_at IS NULL;
    RETURN FOUND;
END $$;

CREATE OR REPLACE FUNCTION queue.rest(in_worker int8, in_uncertain bool, in_done int8[]) RETURNS bool
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM queue.lease l WHERE l.id = ANY (in_done) AND l.worker = in_worker;
    IF in_uncertain THEN
        PERFORM queue.give_back(l.id, false) FROM queue.lease l WHERE l.worker = in_worker;
    END IF;
    UPDATE queue.worker SET seen_at = clock_timestamp(), busy = false, succeeded_rate = 0, failed_rate = 0,
        dead_rate = 0
    WHERE id = in_worker AND lost_at IS NULL;
    RETURN FOUND;
END $$;

CREATE OR REPLACE FUNCTION queue.lead(
    in_holder text, in_term float8, in_after timestamptz,
    OUT is_leader bool, OUT remaining float8, OUT busy bool, OUT due_in float8, OUT partitions_ahead int8
) LANGUAGE plpgsql SET enable_seqscan = off SET jit = off AS $$
DECLARE
    ends timestamptz;
BEGIN
    UPDATE queue.leader l SET holder = in_holder, until = clock_timestamp() + make_interval(secs => in_term)
    WHERE l.name = 'queue' AND (l.holder = in_holder OR l.until < clock_timestamp()) RETURNING l.until INTO ends;
    is_leader := FOUND;
    IF NOT is_leader THEN
        SELECT l.until INTO ends FROM queue.leader l WHERE l.name = 'queue';
    ELSE
        DELETE FROM queue.worker w
        WHERE NOT w.busy AND w.lost_at IS NULL AND w.seen_at < clock_timestamp() - interval '1 day';
        busy := EXISTS (SELECT FROM queue.worker w WHERE w.busy);
        due_in := extract(epoch FROM queue.next_due(in_after) - clock_timestamp());
        partitions_ahead := (
            SELECT max(substring(c.relname FROM '\d+$')::int8) FROM pg_catalog.pg_inherits i
            JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'queue.outcome'::regclass
        ) - (SELECT last_value / 8388608 FROM queue.position);
    END IF;
    remaining := extract(epoch FROM ends - clock_timestamp());
END $$;

-- When the leader has to make jobs ready next: a deferred one (of those due after in_after) or one whose rate limit
-- lets it start. Null when neither is known.
CREATE FUNCTION queue.next_due(in_after timestamptz) RETURNS timestamptz LANGUAGE sql
    SET enable_seqscan = off SET enable_sort = off SET enable_bitmapscan = off
AS $$
    SELECT least(
        (SELECT d.run_at FROM queue.deferred d WHERE d.run_at > in_after ORDER BY d.run_at LIMIT 1),
        (SELECT k.due_at FROM queue.limit_key k WHERE k.due_at IS NOT NULL ORDER BY k.due_at LIMIT 1))
$$;

-- Moves up to in_limit due jobs to `ready`; looks at those due after in_after only (the dead entries before it are
-- many under a held snapshot); and lets those through whose rate limit allows it by now. Returns the queues that got
-- jobs, how many were moved and when the next is due.
CREATE OR REPLACE FUNCTION queue.move_due(
    in_after timestamptz, in_limit int4, OUT moved int4, OUT queues text[], OUT due_in float8
) LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
    SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
    due timestamptz := clock_timestamp();
    lanes int2[];
BEGIN
    PERFORM pg_current_xact_id();
    WITH gone AS (
        DELETE FROM queue.deferred WHERE ctid = ANY (ARRAY(
            SELECT d.ctid FROM queue.deferred d WHERE d.run_at > in_after AND d.run_at <= due
            ORDER BY d.run_at LIMIT in_limit FOR UPDATE SKIP LOCKED))
        RETURNING deferred.*
    ), placed AS (
        INSERT INTO queue.ready (position, job, lane, priority, attempt, last, flow, first, items)
        SELECT nextval('queue.position'), job, lane, priority, attempt, last,
            queue.flow_of(lane, priority, workspace), first, items
        FROM gone RETURNING ready.lane
    )
    SELECT count(*), array_agg(DISTINCT CASE WHEN placed.lane < 0 THEN -1 - placed.lane ELSE placed.lane / 2 END)
    INTO moved, lanes FROM placed;
    queues := ARRAY(SELECT q.name FROM queue.queue q WHERE q.id = ANY (lanes));
    IF EXISTS (SELECT FROM queue.limit_key k WHERE k.due_at <= due) THEN
        queues := queues || queue.open_due();
    END IF;
    due_in := extract(epoch FROM queue.next_due(in_after) - clock_timestamp());
END $$;

CREATE OR REPLACE FUNCTION queue.rescue(
    in_worker int8, in_base float8, in_cap float8,
    OUT given int4, OUT charged int4, OUT left_over int4, OUT queue_name text
) LANGUAGE plpgsql AS $$
DECLARE
    reason CONSTANT text := 'worker_lost: the process ended while the job ran alone';
    held queue.lease;
    open record;
BEGIN
    given := 0;
    charged := 0;
    SELECT q.name INTO queue_name FROM queue.worker w JOIN queue.queue q ON q.id = w.queue
    WHERE w.id = in_worker AND w.lost_at IS NOT NULL FOR UPDATE OF w;
    IF NOT FOUND OR queue.terminate_backends(in_worker) > 0 THEN
        left_over := 1;
        RETURN;
    END IF;
    FOR held IN SELECT * FROM queue.lease l WHERE l.worker = in_worker FOR UPDATE SKIP LOCKED LOOP
        IF NOT held.solo THEN
            given := given + queue.give_back(held.id, true);
            CONTINUE;
        END IF;
        DELETE FROM queue.lease l WHERE l.id = held.id;
        FOR open IN
            SELECT j.id, j.queue, j.workspace, j.priority, t.attempt, t.last, coalesce(t.first, 0) AS first,
                coalesce(t.items, 0) AS items, a.cancelled IS TRUE AS cancelled
            FROM unnest(held.jobs, held.attempts, held.lasts, held.firsts, held.items)
                AS t(job, attempt, last, first, items)
            JOIN queue.job j ON j.id = t.job LEFT JOIN queue.array a ON a.job = t.job
            WHERE NOT EXISTS (SELECT FROM queue.outcome o
                WHERE o.job = t.job AND o.attempt = t.attempt AND o.first = coalesce(t.first, 0))
        LOOP
            CONTINUE WHEN open.cancelled;
            charged := charged + 1;
            INSERT INTO queue.outcome (job, lease, at, state, attempt, first, items, error)
            VALUES (open.id, held.id, clock_timestamp(),
                CASE WHEN open.attempt > open.last + 5 THEN 'dead' ELSE 'failed' END::queue.outcome_state,
                open.attempt, open.first, open.items, reason);
            IF open.attempt > open.last + 5 THEN
                INSERT INTO queue.dead (job, at, queue, priority, attempt, error, first, items)
                VALUES (open.id, clock_timestamp(), open.queue, open.priority, open.attempt, reason, open.first,
                    open.items);
                PERFORM queue.ended(ARRAY[open.id], ARRAY[open.items], 'dead');
            ELSE
                INSERT INTO queue.deferred (job, run_at, lane, priority, attempt, last, workspace, first, items)
                VALUES (open.id, clock_timestamp() + make_interval(
                    secs => random() * least(in_cap, in_base * 2 ^ least(open.attempt - 1, 30))),
                    open.queue * 2 + 1, open.priority, open.attempt + 1, open.last, open.workspace, open.first,
                    open.items);
            END IF;
        END LOOP;
    END LOOP;
    left_over := (SELECT count(*) FROM queue.lease l WHERE l.worker = in_worker);
    IF left_over = 0 THEN
        DELETE FROM queue.backend b WHERE b.worker = in_worker;
        DELETE FROM queue.worker w WHERE w.id = in_worker;
    END IF;
END $$;

-- MARK: For operators

-- Cancels an array: what has not ended of it never will. Slices that run find themselves cancelled at their end.
CREATE FUNCTION queue.cancel_array(in_body queue.job) RETURNS text LANGUAGE plpgsql
    SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    ending queue.array;
    running bool;
BEGIN
    SELECT * INTO ending FROM queue.array a WHERE a.job = in_body.id FOR NO KEY UPDATE;
    IF ending.cancelled OR ending.remaining = 0 THEN
        RETURN 'finished';
    END IF;
    running := EXISTS (SELECT FROM queue.lease l WHERE in_body.id = ANY (l.jobs));
    UPDATE queue.array a SET cancelled = true WHERE a.job = in_body.id;
    DELETE FROM queue.ready r WHERE r.lane = in_body.queue * 2 AND r.priority = in_body.priority
        AND r.position = in_body.id AND r.job = in_body.id;
    DELETE FROM queue.ready r WHERE r.job = in_body.id AND r.position <> r.job;
    DELETE FROM queue.deferred d WHERE d.job = in_body.id;
    DELETE FROM queue.dead d WHERE d.job = in_body.id;
    DELETE FROM queue.waiting w WHERE w.job = in_body.id;
    DELETE FROM queue.dependency d WHERE d.child = in_body.id;
    PERFORM queue.conclude(ARRAY[in_body.id], 'cancelled');
    RETURN CASE WHEN running THEN 'stopped' ELSE 'cancelled' END;
END $$;

-- Cancels a job: 'cancelled', or 'stopped' if it was running (its work cannot commit any more: tell its worker), or
-- why not: 'finished', 'unknown'. A job that was dead is cancelled too: it cannot be redriven any more.
-- A job on its first attempt is found by its position, another one in `ready` by the index ready_again (0009).
CREATE OR REPLACE FUNCTION queue.cancel(in_job int8) RETURNS text LANGUAGE plpgsql
    SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    body queue.job;
    held record;
    tried int2;
    ran bool := false;
BEGIN
    SELECT * INTO body FROM queue.job j WHERE j.id = in_job;
    IF NOT FOUND THEN
        RETURN 'unknown';
    ELSIF body.items IS NOT NULL THEN
        RETURN queue.cancel_array(body);
    END IF;
    -- A job may move from one place to the next while it is looked for.
    FOR round IN 1 .. 5 LOOP
        IF EXISTS (SELECT FROM queue.outcome o WHERE o.job = in_job AND o.state IN ('succeeded', 'cancelled')) THEN
            RETURN 'finished';
        END IF;
        DELETE FROM queue.dead d WHERE d.job = in_job RETURNING d.attempt + 1 INTO tried;
        EXIT WHEN FOUND;
        DELETE FROM queue.waiting w WHERE w.job = in_job RETURNING 1 INTO tried;
        EXIT WHEN FOUND;
        DELETE FROM queue.blocked b WHERE b.job = in_job RETURNING b.attempt INTO tried;
        EXIT WHEN FOUND;
        DELETE FROM queue.ready r WHERE r.lane = body.queue * 2 AND r.priority = body.priority
            AND r.position = in_job AND r.job = in_job RETURNING r.attempt INTO tried;
        EXIT WHEN FOUND;
        DELETE FROM queue.deferred d WHERE d.job = in_job RETURNING d.attempt INTO tried;
        EXIT WHEN FOUND;
        SELECT l.id, t.attempt INTO held FROM queue.lease l, unnest(l.jobs, l.attempts) AS t(job, attempt)
        WHERE in_job = ANY (l.jobs) AND t.job = in_job LIMIT 1;
        IF FOUND THEN
            -- The lock keeps rescue and its holder from giving the job away meanwhile.
            PERFORM FROM queue.lease l WHERE l.id = held.id FOR KEY SHARE;
            CONTINUE WHEN NOT FOUND;
            INSERT INTO queue.outcome (job, lease, at, state, attempt)
            VALUES (in_job, 0, clock_timestamp(), 'cancelled', held.attempt) ON CONFLICT DO NOTHING;
            ran := FOUND;
            EXIT WHEN ran;
            CONTINUE;
        END IF;
        DELETE FROM queue.ready r WHERE r.job = in_job AND r.position <> r.job RETURNING r.attempt INTO tried;
        EXIT WHEN FOUND;
    END LOOP;
    IF ran THEN
        PERFORM queue.conclude(ARRAY[in_job], 'cancelled');
        RETURN 'stopped';
    ELSIF tried IS NULL THEN
        RETURN 'running';
    END IF;
    INSERT INTO queue.outcome (job, lease, at, state, attempt)
    VALUES (in_job, 0, clock_timestamp(), 'cancelled', tried);
    DELETE FROM queue.dependency d WHERE d.child = in_job;
    PERFORM queue.conclude(ARRAY[in_job], 'cancelled');
    RETURN 'cancelled';
END $$;

-- Makes dead letters of a queue ready again, all or those named, at most in_limit (slices of arrays count each): a
-- fresh allowance of attempts. Returns the jobs.
CREATE OR REPLACE FUNCTION queue.redrive(in_queue text, in_jobs int8[], in_limit int4) RETURNS int8[]
LANGUAGE plpgsql SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    redriven int8[];
BEGIN
    PERFORM pg_current_xact_id();
    WITH gone AS (
        DELETE FROM queue.dead d WHERE d.ctid = ANY (ARRAY(
            SELECT x.ctid FROM queue.dead x JOIN queue.queue q ON q.id = x.queue AND q.name = in_queue
            WHERE in_jobs IS NULL OR x.job = ANY (in_jobs)
            ORDER BY x.queue, x.job, x.first LIMIT in_limit FOR UPDATE OF x SKIP LOCKED))
        RETURNING d.*
    ), placed AS (
        INSERT INTO queue.ready (position, job, lane, priority, attempt, last, flow, first, items)
        SELECT nextval('queue.position'), g.job, l.lane, CASE WHEN l.lane < 0 THEN 0 ELSE g.priority END,
            g.attempt + 1, least(g.attempt + j.max_attempts, 32000),
            queue.flow_of(l.lane, g.priority, j.workspace), g.first, g.items
        FROM gone g JOIN queue.job j ON j.id = g.job
        CROSS JOIN LATERAL (SELECT
            CASE WHEN j.limit_key IS NULL THEN g.queue * 2 ELSE queue.gate_of(g.queue) END::int2) AS l(lane)
    ), counted AS (
        UPDATE queue.array a SET remaining = a.remaining + n.items, failed = a.failed - n.items
        FROM (SELECT g.job, sum(g.items)::int4 AS items FROM gone g WHERE g.items > 0 GROUP BY g.job) n
        WHERE a.job = n.job
    )
    SELECT array_agg(DISTINCT g.job ORDER BY g.job) INTO redriven FROM gone g;
    RETURN coalesce(redriven, '{}');
END $$;

DROP FUNCTION queue.inspect(text);
-- The depth of a queue, exact up to 10,000 jobs a priority and from there on extrapolated by density, never a full
-- count; when the oldest ready job was enqueued; deferred, blocked (by a limit), waiting (for a parent) and dead
-- letters up to 10,000 each; jobs under a lease; what its workers settle, fail and bury a second.
CREATE FUNCTION queue.inspect(
    in_queue text, OUT ready int8, OUT oldest timestamptz, OUT deferred int8, OUT blocked int8, OUT waiting int8,
    OUT dead int8, OUT running int8, OUT paused bool, OUT succeeded_rate float8, OUT failed_rate float8,
    OUT dead_rate float8
) LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
DECLARE
    queue_id int2;
    gate int2;
    mark record;
    span record;
    newest int8;
    estimate int8;
BEGIN
    SELECT q.id, q.paused INTO queue_id, paused FROM queue.queue q WHERE q.name = in_queue;
    IF queue_id IS NULL THEN
        RAISE EXCEPTION 'unknown queue %', in_queue USING ERRCODE = 'invalid_parameter_value';
    END IF;
    gate := queue.gate_of(queue_id);
    ready := 0;
    blocked := (SELECT count(*) FROM (SELECT FROM queue.blocked b WHERE b.queue = queue_id LIMIT 10000) s);
    FOR mark IN SELECT * FROM queue.low_water w WHERE w.lane IN (queue_id * 2, queue_id * 2 + 1, gate) LOOP
        SELECT count(*) AS found, min(s.position) AS first, max(s.position) AS final INTO span FROM (
            SELECT r.position FROM queue.ready r WHERE r.lane = mark.lane AND r.priority = mark.priority
                AND r.position > mark.position ORDER BY r.position LIMIT 10000) s;
        CONTINUE WHEN span.found = 0;
        newest := span.final;
        IF span.found = 10000 THEN
            SELECT r.position INTO newest FROM queue.ready r WHERE r.lane = mark.lane
                AND r.priority = mark.priority ORDER BY r.lane DESC, r.priority DESC, r.position DESC LIMIT 1;
        END IF;
        estimate := (span.found * ((newest - span.first + 1)::float8 / (span.final - span.first + 1)))::int8;
        IF mark.lane = gate THEN
            blocked := blocked + estimate;
            CONTINUE;
        END IF;
        ready := ready + estimate;
        oldest := least(oldest, (SELECT j.enqueued_at FROM queue.ready r JOIN queue.job j ON j.id = r.job
            WHERE r.lane = mark.lane AND r.priority = mark.priority AND r.position = span.first));
    END LOOP;
    deferred := (SELECT count(*) FROM (SELECT FROM queue.deferred d
        WHERE d.lane IN (queue_id * 2, queue_id * 2 + 1, gate) LIMIT 10000) s);
    waiting := (SELECT count(*) FROM (SELECT FROM queue.waiting w WHERE w.queue = queue_id LIMIT 10000) s);
    dead := (SELECT count(*) FROM (SELECT FROM queue.dead d WHERE d.queue = queue_id LIMIT 10000) s);
    running := (SELECT coalesce(sum(cardinality(l.jobs)), 0) FROM queue.lease l WHERE l.queue = queue_id);
    SELECT coalesce(sum(w.succeeded_rate), 0), coalesce(sum(w.failed_rate), 0), coalesce(sum(w.dead_rate), 0)
    INTO succeeded_rate, failed_rate, dead_rate FROM queue.worker w
    WHERE w.queue = queue_id AND w.busy AND w.seen_at > clock_timestamp() - interval '20 s';
END $$;

-- What became of a job: ready, deferred, waiting (for a parent), blocked (by a limit), running, succeeded, dead or
-- cancelled; null when it is unknown. An array is dead once nothing of it is left to do but dead letters.
CREATE OR REPLACE FUNCTION queue.job_state(in_job int8) RETURNS text LANGUAGE sql AS $$
    SELECT CASE
        WHEN a.cancelled THEN 'cancelled'
        WHEN a.remaining = 0 AND a.failed = 0 THEN 'succeeded'
        WHEN a.remaining = 0 THEN 'dead'
        WHEN a.job IS NULL AND EXISTS (SELECT FROM queue.dead d WHERE d.job = in_job) THEN 'dead'
        WHEN EXISTS (SELECT FROM queue.waiting w WHERE w.job = in_job) THEN 'waiting'
        WHEN EXISTS (SELECT FROM queue.blocked b WHERE b.job = in_job) THEN 'blocked'
        WHEN a.job IS NOT NULL AND EXISTS (SELECT FROM queue.lease l WHERE in_job = ANY (l.jobs)) THEN 'running'
        WHEN EXISTS (SELECT FROM queue.deferred d WHERE d.job = in_job) THEN 'deferred'
        ELSE coalesce(
            (SELECT o.state::text FROM queue.outcome o
             WHERE a.job IS NULL AND o.job = in_job AND o.state IN ('succeeded', 'cancelled') LIMIT 1),
            CASE WHEN EXISTS (SELECT FROM queue.lease l WHERE in_job = ANY (l.jobs)) THEN 'running'
                WHEN j.limit_key IS NOT NULL AND NOT EXISTS (SELECT FROM queue.permit p WHERE p.job = in_job)
                THEN 'blocked' ELSE 'ready' END)
        END
    FROM queue.job j LEFT JOIN queue.array a ON a.job = j.id WHERE j.id = in_job
$$;

-- Jobs, newest first, from below in_before: of a workspace, queue, kind and state, or any where null. Looks at
-- in_scan jobs at most; `scanned` is the last one looked at, the same in every row, and a page may be empty: its only
-- row then has no job. What is dead, running, deferred or waiting is found without looking at others.
CREATE FUNCTION queue.list_jobs(
    in_workspace int8, in_queue text, in_kind text, in_state text, in_before int8, in_limit int4, in_scan int4
) RETURNS TABLE (
    scanned int8, id int8, queue text, kind text, workspace int8, priority int2, state text, enqueued_at timestamptz,
    error text
) LANGUAGE plpgsql SET jit = off AS $$
DECLARE
    candidates int8[];
BEGIN
    candidates := CASE in_state
        WHEN 'dead' THEN ARRAY(SELECT DISTINCT d.job FROM queue.dead d WHERE d.job < in_before
            ORDER BY d.job DESC LIMIT in_scan)
        WHEN 'running' THEN ARRAY(SELECT DISTINCT t.job FROM queue.lease l, unnest(l.jobs) t(job)
            WHERE t.job < in_before ORDER BY t.job DESC LIMIT in_scan)
        WHEN 'deferred' THEN ARRAY(SELECT DISTINCT d.job FROM queue.deferred d WHERE d.job < in_before
            ORDER BY d.job DESC LIMIT in_scan)
        WHEN 'waiting' THEN ARRAY(SELECT w.job FROM queue.waiting w WHERE w.job < in_before
            ORDER BY w.job DESC LIMIT in_scan)
        ELSE ARRAY(SELECT j.id FROM queue.job j WHERE j.id < in_before ORDER BY j.id DESC LIMIT in_scan)
    END;
    RETURN QUERY
        WITH fit AS MATERIALIZED (
            SELECT j.id, q.name, j.kind, j.workspace, j.priority, s.state, j.enqueued_at
            FROM unnest(candidates) WITH ORDINALITY AS c(id, ordinal)
            JOIN queue.job j ON j.id = c.id JOIN queue.queue q ON q.id = j.queue
            CROSS JOIN LATERAL (SELECT queue.job_state(j.id)) AS s(state)
            WHERE (in_workspace IS NULL OR j.workspace = in_workspace) AND (in_queue IS NULL OR q.name = in_queue)
                AND (in_kind IS NULL OR j.kind = in_kind) AND (in_state IS NULL OR s.state = in_state)
            ORDER BY c.ordinal LIMIT in_limit
        ), edge AS (
            SELECT CASE
                WHEN (SELECT count(*) FROM fit) = in_limit THEN (SELECT min(f.id) FROM fit f)
                WHEN cardinality(candidates) = in_scan THEN candidates[in_scan] END AS place
        )
        SELECT e.place, f.id, f.name, f.kind, f.workspace, f.priority, f.state, f.enqueued_at,
            (SELECT o.error FROM queue.outcome o WHERE o.job = f.id AND o.error IS NOT NULL
             ORDER BY o.attempt DESC LIMIT 1)
        FROM edge e LEFT JOIN fit f ON true ORDER BY f.id DESC;
END $$;
