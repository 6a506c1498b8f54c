-- Under a held snapshot dead entries stay: fewer of them are read. Locks: functions are replaced, no tables.

-- Moves up to in_limit due jobs to `ready`; looks at those due after in_after only (the dead entries before it are
-- many under a held snapshot); and lets those through whose rate limit allows it by now. Returns the queues that got
-- jobs, how many were moved and when the next is due: of those that were not due yet, so that the dead entries are not
-- read once more.
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
    due_in := extract(epoch FROM queue.next_due(due) - clock_timestamp());
END $$;

-- As in migration 0016, but for the looks at the solo lane and the gate.
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
        -- The order leaves the planner one index: ready_flow, read from end to end for its second column, once cost a
        -- claim 220 ms where many dead entries were kept.
        SELECT EXISTS (
                SELECT FROM unnest(in_solo_low) WITH ORDINALITY AS bound(above, number) CROSS JOIN LATERAL (
                    SELECT FROM queue.ready r WHERE r.lane = in_lane + 1 AND r.priority = (3 - bound.number)::int2
                        AND r.position > bound.above ORDER BY r.position LIMIT 1) found),
            EXISTS (SELECT FROM (SELECT FROM queue.ready r WHERE r.lane = queue.gate_of(in_queue) AND r.priority = 0
                AND r.position > in_gate_low ORDER BY r.position LIMIT 1) found)
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

-- As in migration 0008, but for the order, for the same reason.
CREATE OR REPLACE FUNCTION queue.flows(
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
            WHERE EXISTS (SELECT FROM (SELECT FROM queue.ready r
                WHERE r.flow = queue.flow_of((in_queue * 2)::int2, level, w.workspace)
                    AND r.position > in_low[i] ORDER BY r.position LIMIT 1) found)
            ORDER BY w.workspace <= in_after, w.workspace LIMIT in_limit) f;
        EXIT WHEN flows IS NOT NULL;
    END LOOP;
    priority := level;
END $$;
