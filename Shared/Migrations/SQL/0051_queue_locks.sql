-- Locks that are taken in the order of all others: by who ends several jobs with unique keys, and by who stops the jobs
-- of a workspace. And a claim is full although slices of a cancelled array stood before what it takes.
-- Locks: functions are replaced, no tables.

-- MARK: Unique keys in the order of keys

-- As in migration 0008; but keys are locked in their order, as who enqueues several does: two that had one each and
-- waited for the other's were a deadlock. `+ 0`: not by their own index, which would be read from end to end.
CREATE OR REPLACE FUNCTION queue.conclude(in_jobs int8[], in_state queue.outcome_state) RETURNS void LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    parents int8[];
    free int8[];
    delays float8[];
    orphans int8[];
BEGIN
    DELETE FROM queue.unique_key WHERE ctid = ANY (ARRAY(
        SELECT u.ctid FROM queue.unique_key u WHERE u.job = ANY (in_jobs) AND u.expires_at IS NULL
        ORDER BY u.queue + 0, u.key FOR UPDATE));
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

-- As in migration 0008, in the order of keys.
CREATE OR REPLACE FUNCTION queue.started(in_jobs int8[]) RETURNS void LANGUAGE sql AS $$
    DELETE FROM queue.unique_key WHERE ctid = ANY (ARRAY(
        SELECT u.ctid FROM queue.unique_key u JOIN queue.job j ON j.id = u.job
        WHERE u.job = ANY (in_jobs) AND j.unique_until = 'started' ORDER BY u.queue + 0, u.key FOR UPDATE OF u))
$$;

-- MARK: Claims beside cancelled arrays

-- As in migration 0036, but for what was taken of cancelled arrays.
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
    missing int4;
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
        quota := greatest(1, in_limit / cardinality(taken));
        part := taken;
        taken := '{}';
        WHILE part IS NOT NULL LOOP
            missing := cardinality(part);
            part := queue.cut(part, quota);
            taken := taken || part;
            missing := missing - cardinality(part);
            -- What was cancelled falls away, and others take its place: whoever gets less than a full claim takes it
            -- for the end of the queue, and waits. By flows it does not.
            EXIT WHEN missing = 0 OR cardinality(in_flows) > 0;
            SELECT array_agg(t) INTO part
            FROM queue.take_in_order(in_lane, CASE WHEN in_sweep THEN in_low ELSE in_fast END,
                array_fill(9223372036854775807, ARRAY[5]), missing) t;
        END LOOP;
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

-- MARK: Stopping a workspace

-- Cancels a workspace's jobs; answers how many it came to, and how many of them are in somebody's hands: a lease names
-- its jobs until whoever holds it has let go of them. None is left once it finds none.
-- A cancellation takes its locks in the order of all others, several in one transaction do not: what the first has
-- locked a settle may wait for that has locked what the next one needs. So none of them waits for longer than 0.1 s,
-- and what it holds then is given free; and nobody waits for it for as long as `deadlock_timeout` (1 s), after which
-- the one who waits is ended: it leaves the rest to the next call after half a second.
CREATE OR REPLACE FUNCTION millrace.stop_jobs(in_workspace int8, in_limit int4, OUT jobs int4, OUT held int4)
LANGUAGE plpgsql SET lock_timeout = '100ms'
AS $$
DECLARE
    last CONSTANT timestamptz := clock_timestamp() + interval '500 ms';
    has_locks bool := false;
    one int8;
BEGIN
    jobs := 0;
    held := 0;
    FOR one IN SELECT j FROM millrace.live_jobs(in_workspace, in_limit) j ORDER BY j LOOP
        EXIT WHEN clock_timestamp() > last;
        jobs := jobs + 1;
        BEGIN
            IF queue.cancel(one) <> 'cancelled' THEN
                held := held + 1;
            END IF;
            has_locks := true;
        EXCEPTION WHEN lock_not_available THEN
            held := held + 1;
            EXIT WHEN has_locks;
        END;
    END LOOP;
END $$;
