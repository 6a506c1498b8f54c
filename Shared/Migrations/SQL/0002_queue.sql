-- The job queue (schema queue). States and transitions are described in Shared/Queue/README.md.
-- Locks: creates new objects only; nothing existing is locked.

CREATE SCHEMA queue;

-- One sequence gives job ids and positions: a job's first position is its id, every later insertion into `ready` draws
-- a fresh one. CACHE must stay 1: the seal (queue.advance) relies on values being drawn in order.
CREATE SEQUENCE queue.position AS int8 MINVALUE 1 CACHE 1;
CREATE SEQUENCE queue.lease_id AS int8 MINVALUE 1 CACHE 1;
CREATE SEQUENCE queue.worker_id AS int8 MINVALUE 1 CACHE 1;

CREATE TYPE queue.outcome_state AS ENUM ('succeeded', 'failed', 'dead', 'cancelled');

-- Lane 2n is queue n's ordinary lane, lane 2n + 1 its solo lane, whose jobs run alone in their process.
CREATE TABLE queue.queue (
    id int2 PRIMARY KEY CHECK (id BETWEEN 0 AND 16000),
    name text NOT NULL UNIQUE CHECK (name ~ '^[a-z][a-z0-9_]{0,47}$'),
    paused bool NOT NULL DEFAULT false
);

-- The immutable body of a job. Partitioned by id range; partitions are attached ahead by queue.make_partitions.
CREATE TABLE queue.job (
    id int8 NOT NULL,
    workspace int8 NOT NULL,
    enqueued_at timestamptz NOT NULL,
    queue int2 NOT NULL,
    priority int2 NOT NULL CHECK (priority BETWEEN -2 AND 2),
    max_attempts int2 NOT NULL CHECK (max_attempts BETWEEN 1 AND 1000),
    kind text NOT NULL CHECK (kind ~ '^[a-z][a-z0-9_.]{0,62}$'),
    trace text CHECK (octet_length(trace) <= 128),
    -- The text is measured only when the binary form is large enough to matter.
    arguments jsonb NOT NULL
        CHECK (pg_column_size(arguments) < 8192 OR octet_length(arguments::text) <= 65536),
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);

-- How each attempt ended. Appended only. A repeated settle finds itself here by the key.
CREATE TABLE queue.outcome (
    job int8 NOT NULL,
    lease int8 NOT NULL,
    at timestamptz NOT NULL,
    state queue.outcome_state NOT NULL,
    attempt int2 NOT NULL,
    error text,
    PRIMARY KEY (job, attempt)
) PARTITION BY RANGE (job);

-- Inserted and deleted, never updated. `last` is the last attempt that may be made before the job is dead.
CREATE TABLE queue.ready (
    position int8 NOT NULL,
    job int8 NOT NULL,
    lane int2 NOT NULL,
    priority int2 NOT NULL,
    attempt int2 NOT NULL,
    last int2 NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
        autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX ready_order ON queue.ready (lane, priority, position);

-- Jobs that wait for a time: delays and retries. Moved to `ready` by the leader.
CREATE TABLE queue.deferred (
    job int8 PRIMARY KEY,
    run_at timestamptz NOT NULL,
    lane int2 NOT NULL,
    priority int2 NOT NULL,
    attempt int2 NOT NULL,
    last int2 NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX deferred_due ON queue.deferred (run_at);

-- Everything of the lane and priority at or below `position` is gone for good.
CREATE TABLE queue.low_water (
    lane int2 NOT NULL,
    priority int2 NOT NULL,
    position int8 NOT NULL,
    PRIMARY KEY (lane, priority)
) WITH (fillfactor = 10);

-- One row. Every position up to `sealed` belongs to a transaction that has ended. Those up to `pending` were drawn
-- by transactions whose ids are below `pending_xid`: sealed once the oldest running transaction is above it.
CREATE TABLE queue.seal (
    one bool PRIMARY KEY DEFAULT true CHECK (one),
    sealed int8 NOT NULL,
    pending int8 NOT NULL,
    pending_xid xid8 NOT NULL
) WITH (fillfactor = 10);
INSERT INTO queue.seal VALUES (true, 0, 0, '0');

-- A process's worker of one queue. `busy` while it may hold leases: then seen_at is renewed every 5 s.
-- `lost_at` is set by the leader and never taken back: such a worker must register anew.
CREATE TABLE queue.worker (
    id int8 PRIMARY KEY,
    queue int2 NOT NULL,
    name text NOT NULL,
    started_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    lost_at timestamptz,
    busy bool NOT NULL DEFAULT false
) WITH (fillfactor = 10);

-- The server processes through which a worker does its work: terminated before its jobs are given away.
CREATE TABLE queue.backend (
    worker int8 NOT NULL,
    pid int4 NOT NULL,
    started_at timestamptz NOT NULL,
    PRIMARY KEY (worker, pid, started_at)
);

-- One row for each claim. The row's existence is the fence: who settles locks it FOR KEY SHARE or deletes it.
CREATE TABLE queue.lease (
    id int8 PRIMARY KEY,
    worker int8 NOT NULL,
    claimed_at timestamptz NOT NULL,
    queue int2 NOT NULL,
    solo bool NOT NULL,
    jobs int8[] NOT NULL,
    attempts int2[] NOT NULL,
    lasts int2[] NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);

-- The dead letters: a row exists while the job is dead; redrive takes it out.
CREATE TABLE queue.dead (
    job int8 PRIMARY KEY,
    at timestamptz NOT NULL,
    queue int2 NOT NULL,
    priority int2 NOT NULL,
    attempt int2 NOT NULL,
    error text
);
CREATE INDEX dead_by_queue ON queue.dead (queue, job);

CREATE TABLE queue.leader (
    name text PRIMARY KEY,
    holder text NOT NULL,
    until timestamptz NOT NULL
) WITH (fillfactor = 10);
INSERT INTO queue.leader VALUES ('queue', '', '-infinity');

-- Registers a queue; idempotent. Locks queue.queue against other registrations only.
CREATE FUNCTION queue.register_queue(in_name text) RETURNS int2 LANGUAGE plpgsql AS $$
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
    END IF;
    RETURN found_id;
END $$;

-- Attaches partitions until `ahead` empty ones lie above the sequence. Returns how many it made.
-- Locks queue.job and queue.outcome in SHARE UPDATE EXCLUSIVE mode: reads, inserts and deletes go on.
CREATE FUNCTION queue.make_partitions(ahead int4) RETURNS int4 LANGUAGE plpgsql AS $$
DECLARE
    size CONSTANT int8 := 8388608;
    current_part int8 := (SELECT last_value / size FROM queue.position);
    suffix text;
    made int4 := 0;
BEGIN
    FOR part IN current_part .. current_part + ahead LOOP
        suffix := lpad(part::text, 6, '0');
        CONTINUE WHEN to_regclass('queue.outcome_' || suffix) IS NOT NULL;
        EXECUTE format('CREATE TABLE queue.job_%s (LIKE queue.job INCLUDING ALL)', suffix);
        EXECUTE format('ALTER TABLE queue.job ATTACH PARTITION queue.job_%s FOR VALUES FROM (%s) TO (%s)',
            suffix, part * size, (part + 1) * size);
        EXECUTE format('CREATE TABLE queue.outcome_%s (LIKE queue.outcome INCLUDING ALL)', suffix);
        EXECUTE format('ALTER TABLE queue.outcome ATTACH PARTITION queue.outcome_%s FOR VALUES FROM (%s) TO (%s)',
            suffix, part * size, (part + 1) * size);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

SELECT queue.make_partitions(4);
SELECT queue.register_queue(name) FROM unnest(ARRAY['transform', 'store', 'analytics']) name;

-- Enqueues in the caller's transaction; returns the ids in the order of the arguments. Arrays are of equal length.
-- A delay is in seconds; null or not positive means at once. Raises 22023 for an unknown queue.
CREATE FUNCTION queue.enqueue_all(
    in_queues text[], in_kinds text[], in_workspaces int8[], in_arguments jsonb[], in_priorities int2[],
    in_delays float8[], in_max_attempts int2[], in_traces text[]
) RETURNS int8[] LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
    ids int8[];
    unknown text;
BEGIN
    SELECT asked.name INTO unknown FROM unnest(in_queues) AS asked(name)
    WHERE NOT EXISTS (SELECT FROM queue.queue q WHERE q.name = asked.name) LIMIT 1;
    IF unknown IS NOT NULL THEN
        RAISE EXCEPTION 'unknown queue %', unknown USING ERRCODE = 'invalid_parameter_value';
    END IF;
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
        INSERT INTO queue.ready (position, job, lane, priority, attempt, last)
        SELECT id, id, queue * 2, priority, 1, max_attempts FROM request WHERE coalesce(delay, 0) <= 0
    ), later AS (
        INSERT INTO queue.deferred (job, run_at, lane, priority, attempt, last)
        SELECT id, clock_timestamp() + make_interval(secs => delay), queue * 2, priority, 1, max_attempts
        FROM request WHERE delay > 0
    )
    SELECT array_agg(id ORDER BY ordinal) INTO ids FROM request;
    RETURN coalesce(ids, '{}');
END $$;

-- The same for jobs of one kind: what other modules' SQL calls within their own statements.
CREATE FUNCTION queue.enqueue(
    in_queue text, in_kind text, in_workspace int8, in_arguments jsonb[], in_priority int2 DEFAULT 0::int2,
    in_delay float8 DEFAULT NULL, in_max_attempts int2 DEFAULT 20::int2, in_trace text DEFAULT NULL
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
    PERFORM pg_current_xact_id();
    WITH request AS MATERIALIZED (
        SELECT nextval('queue.position') AS id, arguments
        FROM unnest(in_arguments) AS arguments
    ), body AS (
        INSERT INTO queue.job (id, workspace, enqueued_at, queue, priority, max_attempts, kind, trace, arguments)
        SELECT id, in_workspace, clock_timestamp(), queue_id, in_priority, in_max_attempts, in_kind, in_trace, arguments
        FROM request
    ), immediate AS (
        INSERT INTO queue.ready (position, job, lane, priority, attempt, last)
        SELECT id, id, queue_id * 2, in_priority, 1, in_max_attempts FROM request WHERE coalesce(in_delay, 0) <= 0
    ), later AS (
        INSERT INTO queue.deferred (job, run_at, lane, priority, attempt, last)
        SELECT id, clock_timestamp() + make_interval(secs => in_delay), queue_id * 2, in_priority, 1, in_max_attempts
        FROM request WHERE in_delay > 0
    )
    SELECT array_agg(id ORDER BY id) INTO ids FROM request;
    RETURN coalesce(ids, '{}');
END $$;

-- Takes up to in_limit jobs of one lane and priority with in_above < position <= in_upto.
-- The plan is pinned to the index: right after an ANALYZE of an empty table a sequential scan looks cheaper.
CREATE FUNCTION queue.take(in_lane int2, in_priority int2, in_above int8, in_upto int8, in_limit int4)
RETURNS SETOF queue.ready LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
    SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
BEGIN
    RETURN QUERY DELETE FROM queue.ready WHERE ctid = ANY (ARRAY(
        SELECT r.ctid FROM queue.ready r
        WHERE r.lane = in_lane AND r.priority = in_priority AND r.position > in_above AND r.position <= in_upto
        ORDER BY r.position LIMIT in_limit FOR UPDATE SKIP LOCKED))
    RETURNING ready.*;
END $$;

-- Claims up to in_limit jobs for a worker under one new lease and deletes leases that are done.
-- in_low and in_fast hold one position for each priority from 2 down to -2: everything up to in_low is gone for good;
-- up to in_fast the caller has looked, and looks again only when in_sweep. The first row is a header: its job is
-- null, its lease the new one or null, and `solo_waiting` says that the queue's solo lane is not empty.
-- Raises 55000 when the worker is unknown or was declared lost.
CREATE FUNCTION queue.claim(
    in_worker int8, in_queue int2, in_solo bool, in_limit int4, in_low int8[], in_fast int8[], in_solo_low int8[],
    in_sweep bool, in_done int8[]
) RETURNS TABLE (
    lease int8, solo_waiting bool, job int8, attempt int2, last int2, priority int2, "position" int8, kind text,
    workspace int8, arguments text, trace text, enqueued_at timestamptz
) LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
    SET enable_hashjoin = off SET enable_mergejoin = off
    SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
    in_lane int2 := in_queue * 2 + in_solo::int;
    taken queue.ready[] := '{}';
    part queue.ready[];
    wanted int4 := in_limit;
    new_lease int8;
    waiting bool := false;
    state record;
BEGIN
    IF cardinality(in_done) > 0 THEN
        DELETE FROM queue.lease l WHERE l.id = ANY (in_done) AND l.worker = in_worker;
    END IF;
    SELECT w.busy, q.paused INTO state FROM queue.worker w, queue.queue q
    WHERE w.id = in_worker AND w.lost_at IS NULL AND q.id = in_queue;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'worker % is not registered', in_worker USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    IF NOT state.paused AND wanted > 0 THEN
        FOR i IN 1 .. 5 LOOP
            EXIT WHEN wanted = 0;
            SELECT array_agg(t) INTO part
            FROM queue.take(in_lane, (3 - i)::int2, in_fast[i], 9223372036854775807, wanted) t;
            IF part IS NOT NULL THEN
                taken := taken || part;
                wanted := wanted - cardinality(part);
            END IF;
            CONTINUE WHEN NOT in_sweep OR wanted = 0 OR in_low[i] >= in_fast[i];
            SELECT array_agg(t) INTO part
            FROM queue.take(in_lane, (3 - i)::int2, in_low[i], in_fast[i], wanted) t;
            IF part IS NOT NULL THEN
                taken := taken || part;
                wanted := wanted - cardinality(part);
            END IF;
        END LOOP;
    END IF;
    IF NOT in_solo AND NOT state.paused THEN
        FOR i IN 1 .. 5 LOOP
            waiting := EXISTS (SELECT FROM queue.ready r WHERE r.lane = in_lane + 1
                AND r.priority = (3 - i)::int2 AND r.position > in_solo_low[i]);
            EXIT WHEN waiting;
        END LOOP;
    END IF;
    IF cardinality(taken) > 0 THEN
        IF NOT state.busy THEN
            UPDATE queue.worker w SET busy = true, seen_at = clock_timestamp() WHERE w.id = in_worker;
        END IF;
        new_lease := nextval('queue.lease_id');
        INSERT INTO queue.lease (id, worker, claimed_at, queue, solo, jobs, attempts, lasts)
        SELECT new_lease, in_worker, clock_timestamp(), in_queue, in_solo,
            array_agg(t.job), array_agg(t.attempt), array_agg(t.last)
        FROM unnest(taken) t;
    END IF;
    RETURN QUERY SELECT new_lease, waiting, NULL::int8, NULL::int2, NULL::int2, NULL::int2, NULL::int8, NULL::text,
        NULL::int8, NULL::text, NULL::text, NULL::timestamptz;
    IF cardinality(taken) > 0 THEN
        RETURN QUERY SELECT new_lease, waiting, t.job, t.attempt, t.last, t.priority, t.position, j.kind,
            j.workspace, j.arguments::text, j.trace, j.enqueued_at
        FROM unnest(taken) t JOIN queue.job j ON j.id = t.job;
    END IF;
END $$;

-- The fence: locks the lease against rescue until the commit, or deletes it when it is done.
-- Raises MR001 when the lease is lost, so that nothing of the transaction can commit.
CREATE FUNCTION queue.hold(in_lease int8, in_finish bool) RETURNS void LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
AS $$
BEGIN
    IF in_finish THEN
        DELETE FROM queue.lease l WHERE l.id = in_lease;
    ELSE
        PERFORM FROM queue.lease l WHERE l.id = in_lease FOR KEY SHARE;
    END IF;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'lease % is lost', in_lease USING ERRCODE = 'MR001';
    END IF;
END $$;

-- Records the success of jobs in the caller's transaction, fenced by queue.hold. Repeated after an answer that was
-- lost it violates the key of queue.outcome.
CREATE FUNCTION queue.settle(in_lease int8, in_jobs int8[], in_attempts int2[], in_finish bool)
RETURNS void LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off
AS $$
BEGIN
    PERFORM queue.hold(in_lease, in_finish);
    INSERT INTO queue.outcome (job, lease, at, state, attempt)
    SELECT t.job, in_lease, clock_timestamp(), 'succeeded', t.attempt
    FROM unnest(in_jobs, in_attempts) AS t(job, attempt);
END $$;

-- Records failed attempts and defers the next ones; delays in seconds. Fenced by queue.hold.
CREATE FUNCTION queue.retry(
    in_lease int8, in_jobs int8[], in_attempts int2[], in_lasts int2[], in_errors text[], in_delays float8[],
    in_finish bool
) RETURNS void LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off
AS $$
BEGIN
    PERFORM queue.hold(in_lease, in_finish);
    WITH failed AS (
        INSERT INTO queue.outcome (job, lease, at, state, attempt, error)
        SELECT t.job, in_lease, clock_timestamp(), 'failed', t.attempt, t.error
        FROM unnest(in_jobs, in_attempts, in_errors) AS t(job, attempt, error)
    )
    INSERT INTO queue.deferred (job, run_at, lane, priority, attempt, last)
    SELECT j.id, clock_timestamp() + make_interval(secs => t.delay), j.queue * 2, j.priority, t.attempt + 1, t.last
    FROM unnest(in_jobs, in_attempts, in_lasts, in_delays) AS t(job, attempt, last, delay)
    JOIN queue.job j ON j.id = t.job;
END $$;

-- Records an attempt as the last: the job is a dead letter. Fenced by queue.hold.
CREATE FUNCTION queue.bury(in_lease int8, in_job int8, in_attempt int2, in_error text, in_finish bool)
RETURNS void LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
AS $$
BEGIN
    PERFORM queue.hold(in_lease, in_finish);
    INSERT INTO queue.outcome (job, lease, at, state, attempt, error)
    VALUES (in_job, in_lease, clock_timestamp(), 'dead', in_attempt, in_error);
    INSERT INTO queue.dead (job, at, queue, priority, attempt, error)
    SELECT j.id, clock_timestamp(), j.queue, j.priority, in_attempt, in_error FROM queue.job j WHERE j.id = in_job;
END $$;

-- After a commit whose answer was lost: whether the server process that carried it out still lives (it is told to
-- end) and, when it does not, how many of the attempts have an outcome under the lease: all or none.
CREATE FUNCTION queue.resolve(
    in_worker int8, in_pid int4, in_lease int8, in_jobs int8[], in_attempts int2[], OUT alive bool, OUT settled int8
) LANGUAGE plpgsql AS $$
BEGIN
    alive := (SELECT count(pg_terminate_backend(a.pid)) > 0 FROM queue.backend b
        JOIN pg_stat_activity a ON a.pid = b.pid AND a.backend_start = b.started_at
        WHERE b.worker = in_worker AND b.pid = in_pid AND b.pid <> pg_backend_pid());
    settled := (SELECT count(*) FROM unnest(in_jobs, in_attempts) AS t(job, attempt)
        JOIN queue.outcome o ON o.job = t.job AND o.attempt = t.attempt WHERE o.lease = in_lease);
END $$;

-- Gives a lease's unsettled jobs back to `ready`, same attempt, to the solo lane if in_solo. The lease is deleted.
-- Waits for a settle that is under way. Returns how many jobs; null when the lease is lost.
CREATE FUNCTION queue.give_back(in_lease int8, in_solo bool) RETURNS int4 LANGUAGE plpgsql
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
    INSERT INTO queue.ready (position, job, lane, priority, attempt, last)
    SELECT nextval('queue.position'), j.id, j.queue * 2 + (in_solo OR held.solo)::int, j.priority, t.attempt, t.last
    FROM unnest(held.jobs, held.attempts, held.lasts) AS t(job, attempt, last)
    JOIN queue.job j ON j.id = t.job
    WHERE NOT EXISTS (SELECT FROM queue.outcome o WHERE o.job = t.job AND o.attempt = t.attempt);
    GET DIAGNOSTICS given = ROW_COUNT;
    RETURN given;
END $$;

-- Moves the seal and the low-water marks of one queue up. Must be the first statement of its transaction: the
-- sequence is read before the transaction has an id, so that every earlier position belongs to a smaller id.
-- Returns the marks of the ordinary lane and of the solo lane, from priority 2 down to -2.
-- Locks the seal row; a second caller meanwhile only reads.
CREATE FUNCTION queue.advance(in_queue int2, OUT low int8[], OUT solo_low int8[]) LANGUAGE plpgsql
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
            FROM queue.low_water m WHERE m.lane IN (in_queue * 2, in_queue * 2 + 1)
        ) n
        WHERE w.lane = n.lane AND w.priority = n.priority AND n.position >= w.position + 1024;
    END IF;
    SELECT array_agg(w.position ORDER BY w.priority DESC) INTO low
    FROM queue.low_water w WHERE w.lane = in_queue * 2;
    SELECT array_agg(w.position ORDER BY w.priority DESC) INTO solo_low
    FROM queue.low_water w WHERE w.lane = in_queue * 2 + 1;
END $$;

-- Registers a worker process of a queue and returns its id and the queue's.
CREATE FUNCTION queue.register_worker(in_queue text, in_name text, OUT worker int8, OUT queue int2)
LANGUAGE plpgsql AS $$
BEGIN
    queue := queue.register_queue(in_queue);
    worker := nextval('queue.worker_id');
    INSERT INTO queue.worker VALUES (worker, queue, in_name, clock_timestamp(), clock_timestamp(), NULL, false);
END $$;

-- Records the calling server process as one that works for the worker. In a transaction of its own, before the work.
-- Returns false when the worker is lost or unknown.
CREATE FUNCTION queue.register_backend(in_worker int8) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM queue.worker WHERE id = in_worker AND lost_at IS NULL FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO queue.backend SELECT in_worker, pid, backend_start FROM pg_stat_activity
    WHERE pid = pg_backend_pid() ON CONFLICT DO NOTHING;
    RETURN true;
END $$;

-- Says that the worker lives; false when it was declared lost or is unknown.
CREATE FUNCTION queue.beat(in_worker int8) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
    UPDATE queue.worker SET seen_at = clock_timestamp() WHERE id = in_worker AND lost_at IS NULL;
    RETURN FOUND;
END $$;

-- Says that the worker holds no lease and will not beat. Leases that it does not know of (a claim whose answer was
-- lost) are given back. False when the worker was declared lost. Not to run beside a claim of the same worker.
CREATE FUNCTION queue.rest(in_worker int8, in_uncertain bool, in_done int8[]) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM queue.lease l WHERE l.id = ANY (in_done) AND l.worker = in_worker;
    IF in_uncertain THEN
        PERFORM queue.give_back(l.id, false) FROM queue.lease l WHERE l.worker = in_worker;
    END IF;
    UPDATE queue.worker SET seen_at = clock_timestamp(), busy = false WHERE id = in_worker AND lost_at IS NULL;
    RETURN FOUND;
END $$;

-- Gives back the leases of a live worker that are not among those it knows of. Not to run beside a claim of it.
CREATE FUNCTION queue.reconcile(in_worker int8, in_known int8[]) RETURNS int8 LANGUAGE sql AS $$
    SELECT coalesce(sum(queue.give_back(l.id, false)), 0)::int8 FROM queue.lease l
    WHERE l.worker = in_worker AND l.id <> ALL (in_known)
$$;

-- Takes a worker that holds no lease off the register.
CREATE FUNCTION queue.leave(in_worker int8) RETURNS void LANGUAGE sql AS $$
    WITH gone AS (
        DELETE FROM queue.worker w WHERE w.id = in_worker AND w.lost_at IS NULL
            AND NOT EXISTS (SELECT FROM queue.lease l WHERE l.worker = in_worker) RETURNING id
    )
    DELETE FROM queue.backend b USING gone WHERE b.worker = gone.id
$$;

-- Takes or renews the leadership for in_term seconds. One row lock on queue.leader; a candidate that loses writes
-- nothing. For the leader it also says what there is to do: `busy` when workers hold leases, the next due time of a
-- deferred job after in_after, and how many partitions lie ahead.
CREATE FUNCTION queue.lead(
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
        due_in := (SELECT extract(epoch FROM d.run_at - clock_timestamp())
            FROM queue.deferred d WHERE d.run_at > in_after ORDER BY d.run_at LIMIT 1);
        partitions_ahead := (
            SELECT max(substring(c.relname FROM '\d+$')::int8) FROM pg_catalog.pg_inherits i
            JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'queue.outcome'::regclass
        ) - (SELECT last_value / 8388608 FROM queue.position);
    END IF;
    remaining := extract(epoch FROM ends - clock_timestamp());
END $$;

-- Ends the leadership early, at a graceful stop.
CREATE FUNCTION queue.resign(in_holder text) RETURNS void LANGUAGE sql AS $$
    UPDATE queue.leader SET until = '-infinity' WHERE name = 'queue' AND holder = in_holder
$$;

-- Moves up to in_limit due jobs to `ready`; looks at those due after in_after only (the dead entries before it are
-- many under a held snapshot). Returns the queues that got jobs, how many were moved and when the next is due.
CREATE FUNCTION queue.move_due(
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
        INSERT INTO queue.ready (position, job, lane, priority, attempt, last)
        SELECT nextval('queue.position'), job, lane, priority, attempt, last FROM gone
        RETURNING ready.lane
    )
    SELECT count(*), array_agg(DISTINCT placed.lane / 2) INTO moved, lanes FROM placed;
    queues := ARRAY(SELECT q.name FROM queue.queue q WHERE q.id = ANY (lanes));
    due_in := (SELECT extract(epoch FROM d.run_at - clock_timestamp())
        FROM queue.deferred d WHERE d.run_at > in_after ORDER BY d.run_at LIMIT 1);
END $$;

-- Declares busy workers lost that were not seen for in_timeout seconds; returns all that are lost and not yet
-- rescued. Declares none while the server itself is younger than that.
CREATE FUNCTION queue.lost_workers(in_timeout float8) RETURNS SETOF int8 LANGUAGE sql AS $$
    UPDATE queue.worker SET lost_at = clock_timestamp()
    WHERE busy AND lost_at IS NULL AND seen_at < clock_timestamp() - make_interval(secs => in_timeout)
        AND pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => in_timeout);
    SELECT id FROM queue.worker WHERE lost_at IS NOT NULL
$$;

-- Terminates the recorded server processes of a lost worker; returns how many still live. To be repeated until none.
CREATE FUNCTION queue.terminate_backends(in_worker int8) RETURNS int8 LANGUAGE sql AS $$
    SELECT count(pg_terminate_backend(a.pid)) FROM queue.backend b
    JOIN pg_stat_activity a ON a.pid = b.pid AND a.backend_start = b.started_at
    JOIN queue.worker w ON w.id = b.worker AND w.lost_at IS NOT NULL
    WHERE b.worker = in_worker
$$;

-- Gives the jobs of a lost worker away, once its server processes are gone. Jobs of a shared lease go to the solo
-- lane with the same attempt; a solo lease is charged: its attempt failed, and the next waits its backoff (full
-- jitter, seconds). An attempt beyond `last` lets a worker with the handler bury the job; far beyond it is buried here.
-- `left_over` counts leases that are being settled at this moment: come again.
CREATE FUNCTION queue.rescue(
    in_worker int8, in_base float8, in_cap float8,
    OUT given int4, OUT charged int4, OUT left_over int4, OUT queue_name text
) LANGUAGE plpgsql AS $$
DECLARE
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
            SELECT j.id, j.queue, j.priority, t.attempt, t.last
            FROM unnest(held.jobs, held.attempts, held.lasts) AS t(job, attempt, last)
            JOIN queue.job j ON j.id = t.job
            WHERE NOT EXISTS (SELECT FROM queue.outcome o WHERE o.job = t.job AND o.attempt = t.attempt)
        LOOP
            charged := charged + 1;
            INSERT INTO queue.outcome (job, lease, at, state, attempt, error)
            VALUES (open.id, held.id, clock_timestamp(),
                CASE WHEN open.attempt > open.last + 5 THEN 'dead' ELSE 'failed' END::queue.outcome_state,
                open.attempt, 'worker_lost: the process ended while the job ran alone');
            IF open.attempt > open.last + 5 THEN
                INSERT INTO queue.dead (job, at, queue, priority, attempt, error)
                VALUES (open.id, clock_timestamp(), open.queue, open.priority, open.attempt,
                    'worker_lost: the process ended while the job ran alone');
            ELSE
                INSERT INTO queue.deferred (job, run_at, lane, priority, attempt, last)
                VALUES (open.id, clock_timestamp() + make_interval(
                    secs => random() * least(in_cap, in_base * 2 ^ least(open.attempt - 1, 30))),
                    open.queue * 2 + 1, open.priority, open.attempt + 1, open.last);
            END IF;
        END LOOP;
    END LOOP;
    left_over := (SELECT count(*) FROM queue.lease l WHERE l.worker = in_worker);
    IF left_over = 0 THEN
        DELETE FROM queue.backend b WHERE b.worker = in_worker;
        DELETE FROM queue.worker w WHERE w.id = in_worker;
    END IF;
END $$;

-- Cancels a job that has not been started: 'cancelled', or why not: 'running', 'finished', 'unknown'.
-- A job on its first attempt is found by its position; another one in `ready` by a scan of its lanes.
CREATE FUNCTION queue.cancel(in_job int8) RETURNS text LANGUAGE plpgsql
    SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    body queue.job;
    tried int2;
BEGIN
    SELECT * INTO body FROM queue.job j WHERE j.id = in_job;
    IF NOT FOUND THEN
        RETURN 'unknown';
    END IF;
    IF EXISTS (SELECT FROM queue.outcome o WHERE o.job = in_job AND o.state IN ('succeeded', 'cancelled'))
        OR EXISTS (SELECT FROM queue.dead d WHERE d.job = in_job) THEN
        RETURN 'finished';
    END IF;
    DELETE FROM queue.ready r WHERE r.lane = body.queue * 2 AND r.priority = body.priority
        AND r.position = in_job AND r.job = in_job RETURNING r.attempt INTO tried;
    IF NOT FOUND THEN
        DELETE FROM queue.deferred d WHERE d.job = in_job RETURNING d.attempt INTO tried;
    END IF;
    IF tried IS NULL THEN
        DELETE FROM queue.ready r WHERE r.lane IN (body.queue * 2, body.queue * 2 + 1)
            AND r.priority = body.priority AND r.position > in_job AND r.job = in_job RETURNING r.attempt INTO tried;
    END IF;
    IF tried IS NULL THEN
        RETURN CASE WHEN EXISTS (SELECT FROM queue.outcome o
            WHERE o.job = in_job AND o.state IN ('succeeded', 'cancelled', 'dead')) THEN 'finished' ELSE 'running' END;
    END IF;
    INSERT INTO queue.outcome (job, lease, at, state, attempt)
    VALUES (in_job, 0, clock_timestamp(), 'cancelled', tried);
    RETURN 'cancelled';
END $$;

-- Makes dead letters of a queue ready again, all or those named, at most in_limit: a fresh allowance of attempts.
CREATE FUNCTION queue.redrive(in_queue text, in_jobs int8[], in_limit int4) RETURNS int8[] LANGUAGE sql AS $$
    WITH assigned AS MATERIALIZED (SELECT pg_current_xact_id() AS id),
    gone AS (
        DELETE FROM queue.dead d USING assigned WHERE d.job IN (
            SELECT x.job FROM queue.dead x JOIN queue.queue q ON q.id = x.queue AND q.name = in_queue
            WHERE in_jobs IS NULL OR x.job = ANY (in_jobs) ORDER BY x.job LIMIT in_limit FOR UPDATE OF x SKIP LOCKED)
        RETURNING d.*
    ), placed AS (
        INSERT INTO queue.ready (position, job, lane, priority, attempt, last)
        SELECT nextval('queue.position'), g.job, g.queue * 2, g.priority, g.attempt + 1,
            least(g.attempt + j.max_attempts, 32000)
        FROM gone g JOIN queue.job j ON j.id = g.job RETURNING ready.job
    )
    SELECT coalesce(array_agg(placed.job ORDER BY placed.job), '{}') FROM placed
$$;

-- The depth of a queue, exact up to 10,000 jobs a priority and from there on extrapolated by density, never a full
-- count; when the oldest ready job was enqueued; deferred and dead letters up to 10,000; jobs under a lease.
CREATE FUNCTION queue.inspect(
    in_queue text, OUT ready int8, OUT oldest timestamptz, OUT deferred int8, OUT dead int8, OUT running int8,
    OUT paused bool
) LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
DECLARE
    queue_id int2;
    mark record;
    span record;
    newest int8;
BEGIN
    SELECT q.id, q.paused INTO queue_id, paused FROM queue.queue q WHERE q.name = in_queue;
    IF queue_id IS NULL THEN
        RAISE EXCEPTION 'unknown queue %', in_queue USING ERRCODE = 'invalid_parameter_value';
    END IF;
    ready := 0;
    FOR mark IN SELECT * FROM queue.low_water w WHERE w.lane IN (queue_id * 2, queue_id * 2 + 1) LOOP
        SELECT count(*) AS found, min(s.position) AS first, max(s.position) AS final INTO span FROM (
            SELECT r.position FROM queue.ready r WHERE r.lane = mark.lane AND r.priority = mark.priority
                AND r.position > mark.position ORDER BY r.position LIMIT 10000) s;
        CONTINUE WHEN span.found = 0;
        newest := span.final;
        IF span.found = 10000 THEN
            SELECT r.position INTO newest FROM queue.ready r WHERE r.lane = mark.lane
                AND r.priority = mark.priority ORDER BY r.lane DESC, r.priority DESC, r.position DESC LIMIT 1;
        END IF;
        ready := ready + (span.found * ((newest - span.first + 1)::float8 / (span.final - span.first + 1)))::int8;
        oldest := least(oldest, (SELECT j.enqueued_at FROM queue.ready r JOIN queue.job j ON j.id = r.job
            WHERE r.lane = mark.lane AND r.priority = mark.priority AND r.position = span.first));
    END LOOP;
    deferred := (SELECT count(*) FROM (SELECT FROM queue.deferred d
        WHERE d.lane IN (queue_id * 2, queue_id * 2 + 1) LIMIT 10000) s);
    dead := (SELECT count(*) FROM (SELECT FROM queue.dead d WHERE d.queue = queue_id LIMIT 10000) s);
    running := (SELECT coalesce(sum(cardinality(l.jobs)), 0) FROM queue.lease l WHERE l.queue = queue_id);
END $$;

-- What became of a job: ready, deferred, running, succeeded, dead or cancelled; null when it is unknown.
CREATE FUNCTION queue.job_state(in_job int8) RETURNS text LANGUAGE sql AS $$
    SELECT CASE
        WHEN EXISTS (SELECT FROM queue.dead d WHERE d.job = in_job) THEN 'dead'
        WHEN EXISTS (SELECT FROM queue.deferred d WHERE d.job = in_job) THEN 'deferred'
        ELSE coalesce(
            (SELECT o.state::text FROM queue.outcome o
             WHERE o.job = in_job AND o.state IN ('succeeded', 'cancelled')),
            CASE WHEN EXISTS (SELECT FROM queue.lease l WHERE in_job = ANY (l.jobs)) THEN 'running' ELSE 'ready' END)
        END
    FROM queue.job j WHERE j.id = in_job
$$;
