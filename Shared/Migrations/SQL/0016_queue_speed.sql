-- Jobs that are enqueued together and alike are so in one go; a claim asks, writes and sends less. And cancel and a
-- job's state go by the later attempt of a job that was buried or retried and is under a later lease, or ready, while
-- its earlier lease is still there. Locks: functions, and queue.lease for a moment, whose rows stay as they are.

-- A lease of several hundred jobs is a row of some kilobytes that lives for milliseconds: not worth compressing.
ALTER TABLE queue.lease SET (toast_tuple_target = 8160);

-- As in migration 0008, in PL/pgSQL, which keeps its plans.
CREATE OR REPLACE FUNCTION queue.note_workspaces(in_queues int2[], in_workspaces int8[]) RETURNS void LANGUAGE plpgsql
    SET enable_seqscan = off
AS $$
BEGIN
    -- One pair, as most calls have, is looked up without a plan for many.
    IF cardinality(in_queues) = 1 THEN
        PERFORM FROM queue.workspace w WHERE w.queue = in_queues[1] AND w.workspace = in_workspaces[1];
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    INSERT INTO queue.workspace (queue, workspace)
    SELECT DISTINCT n.queue, n.workspace FROM unnest(in_queues, in_workspaces) AS n(queue, workspace)
    WHERE NOT EXISTS (
        SELECT FROM queue.workspace w WHERE w.queue = n.queue AND w.workspace = n.workspace);
END $$;

-- As in migration 0008; and arrays of one element, beside those of the arguments, hold for all jobs, which then have no
-- extras.
CREATE OR REPLACE FUNCTION queue.enqueue_linked(
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
    IF in_extras IS NULL AND cardinality(in_kinds) = 1 THEN
        RETURN QUERY SELECT e.id, true FROM unnest(queue.enqueue(in_queues[1], in_kinds[1], in_workspaces[1],
            in_arguments, in_priorities[1], in_delays[1], in_max_attempts[1], in_traces[1])) AS e(id);
        RETURN;
    END IF;
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

-- Takes up to in_limit jobs of a lane, the highest priority first: for each priority from 2 down to -2 those with
-- in_above < position <= in_upto. One statement for all, since each costs more than what it finds where it finds one
-- job. The settings that pin its plan are those of queue.claim.
CREATE FUNCTION queue.take_in_order(in_lane int2, in_above int8[], in_upto int8[], in_limit int4)
RETURNS SETOF queue.ready LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY DELETE FROM queue.ready WHERE ctid = ANY (ARRAY(
        SELECT r.ctid FROM unnest(in_above, in_upto) WITH ORDINALITY AS bound(above, upto, number)
        CROSS JOIN LATERAL (
            SELECT x.ctid FROM queue.ready x
            WHERE x.lane = in_lane AND x.priority = (3 - bound.number)::int2 AND x.position > bound.above
                AND x.position <= bound.upto
            ORDER BY x.position LIMIT in_limit FOR UPDATE SKIP LOCKED) r
        LIMIT in_limit))
    RETURNING ready.*;
END $$;

-- As in migration 0008; but what the header says stands there alone, and a sweep comes after what is new of all
-- priorities.
CREATE OR REPLACE FUNCTION queue.claim(
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
        SELECT coalesce(array_agg(t), '{}'), coalesce(bool_or(t.items > 0), false) INTO taken, has_arrays
        FROM queue.take_in_order(in_lane, in_fast, array_fill(9223372036854775807, ARRAY[5]), wanted) t;
        wanted := wanted - cardinality(taken);
        IF in_sweep AND wanted > 0 AND in_low <> in_fast THEN
            SELECT array_agg(t), bool_or(t.items > 0) INTO part, cuts
            FROM queue.take_in_order(in_lane, in_low, in_fast, wanted) t;
            IF part IS NOT NULL THEN
                taken := taken || part;
                has_arrays := has_arrays OR cuts;
            END IF;
        END IF;
    END IF;
    IF NOT in_solo AND NOT state.paused THEN
        SELECT EXISTS (
                SELECT FROM unnest(in_solo_low) WITH ORDINALITY AS bound(above, number) CROSS JOIN LATERAL (
                    SELECT FROM queue.ready r WHERE r.lane = in_lane + 1 AND r.priority = (3 - bound.number)::int2
                        AND r.position > bound.above LIMIT 1) found),
            EXISTS (SELECT FROM queue.ready r WHERE r.lane = queue.gate_of(in_queue) AND r.priority = 0
                AND r.position > in_gate_low)
        INTO waiting, gated;
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
        RETURN QUERY SELECT NULL::int8, NULL::bool, NULL::bool, NULL::bool, t.job, t.attempt, t.last, t.priority,
            t.position, j.kind, j.workspace, j.arguments::text, j.trace, j.enqueued_at, t.first, t.items,
            ((j.limit_key IS NOT NULL OR j.unique_key IS NOT NULL OR j.items IS NOT NULL OR j.joinable IS TRUE)::int
                + 2 * (j.unique_until IS NOT DISTINCT FROM 'started')::int)::int2
        FROM (SELECT * FROM queue.job x WHERE x.id BETWEEN first_id AND last_id OFFSET 0) j
        JOIN unnest(taken) t ON t.job = j.id ORDER BY t.priority DESC, t.position;
    ELSE
        RETURN QUERY SELECT NULL::int8, NULL::bool, NULL::bool, NULL::bool, t.job, t.attempt, t.last, t.priority,
            t.position, j.kind, j.workspace, j.arguments::text, j.trace, j.enqueued_at, t.first, t.items,
            ((j.limit_key IS NOT NULL OR j.unique_key IS NOT NULL OR j.items IS NOT NULL OR j.joinable IS TRUE)::int
                + 2 * (j.unique_until IS NOT DISTINCT FROM 'started')::int)::int2
        FROM unnest(taken) t, LATERAL (SELECT * FROM queue.job x WHERE x.id = t.job OFFSET 0) j
        ORDER BY t.priority DESC, t.position;
    END IF;
END $$;

-- As in migration 0008.
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
        -- A lease names what it has ended, too, until all of it has: a redriven job may be under a later one besides.
        SELECT l.id, t.attempt INTO held FROM queue.lease l, unnest(l.jobs, l.attempts) AS t(job, attempt)
        WHERE in_job = ANY (l.jobs) AND t.job = in_job ORDER BY t.attempt DESC LIMIT 1;
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

-- As in migration 0008.
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
            CASE WHEN EXISTS (
                    SELECT FROM queue.lease l, unnest(l.jobs, l.attempts) AS t(job, attempt)
                    WHERE in_job = ANY (l.jobs) AND t.job = in_job AND NOT EXISTS (
                        SELECT FROM queue.outcome o WHERE o.job = in_job AND o.attempt = t.attempt))
                THEN 'running'
                WHEN j.limit_key IS NOT NULL AND NOT EXISTS (SELECT FROM queue.permit p WHERE p.job = in_job)
                THEN 'blocked' ELSE 'ready' END)
        END
    FROM queue.job j LEFT JOIN queue.array a ON a.job = j.id WHERE j.id = in_job
$$;
