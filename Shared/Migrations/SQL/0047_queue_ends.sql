-- Ends that were not reached: of an array that is dead and cancelled, of a job whose key passed it over, of one that is
-- redriven beside another with its unique key; and of children that wait for an array.
-- Locks: functions are replaced; rows of queue.limit_key whose jobs had been passed over, until the commit.

-- MARK: Cancelling an array

-- As in migration 0008; but one of which nothing is left but dead letters is cancelled, too. What came back of a
-- cancelled one, as its holder had begun to give it back before, goes with the next call.
CREATE OR REPLACE FUNCTION queue.cancel_array(in_body queue.job) RETURNS text LANGUAGE plpgsql
    SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    ending queue.array;
    running bool;
BEGIN
    SELECT * INTO ending FROM queue.array a WHERE a.job = in_body.id FOR NO KEY UPDATE;
    IF ending.remaining = 0 AND ending.failed = 0 THEN
        RETURN 'finished';
    END IF;
    DELETE FROM queue.ready r WHERE r.lane = in_body.queue * 2 AND r.priority = in_body.priority
        AND r.position = in_body.id AND r.job = in_body.id;
    DELETE FROM queue.ready r WHERE r.job = in_body.id AND r.position <> r.job;
    DELETE FROM queue.deferred d WHERE d.job = in_body.id;
    IF ending.cancelled THEN
        RETURN 'finished';
    END IF;
    UPDATE queue.array a SET cancelled = true WHERE a.job = in_body.id;
    DELETE FROM queue.dead d WHERE d.job = in_body.id;
    DELETE FROM queue.waiting w WHERE w.job = in_body.id;
    DELETE FROM queue.dependency d WHERE d.child = in_body.id;
    -- Asked after a claim that was under way has been waited for.
    running := EXISTS (SELECT FROM queue.lease l WHERE in_body.id = ANY (l.jobs));
    PERFORM queue.conclude(ARRAY[in_body.id], 'cancelled');
    RETURN CASE WHEN running THEN 'stopped' ELSE 'cancelled' END;
END $$;

-- MARK: Keys

-- Takes a job that is blocked out of its key's row, whose lock is kept: who opens the key while this is not committed
-- waits, and cannot pass the job over. Null, and without the lock, where the job has been let through meanwhile.
CREATE FUNCTION queue.unblock(in_limit int8, in_job int8) RETURNS int2 LANGUAGE plpgsql SET enable_seqscan = off
AS $$
DECLARE
    tried int2;
BEGIN
    PERFORM FROM queue.limit_key k WHERE k.id = in_limit FOR NO KEY UPDATE;
    DELETE FROM queue.blocked b WHERE b.job = in_job AND b.limit_id = in_limit RETURNING b.attempt INTO tried;
    IF tried IS NULL THEN
        RAISE EXCEPTION 'job % is not blocked any more', in_job USING ERRCODE = 'MR003';
    END IF;
    RETURN tried;
EXCEPTION WHEN SQLSTATE 'MR003' THEN
    RETURN NULL;
END $$;

-- As in migration 0022; a blocked job is taken out under its key's lock.
CREATE OR REPLACE FUNCTION queue.cancel(in_job int8) RETURNS text LANGUAGE plpgsql
    SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    body queue.job;
    held record;
    tried int2;
    at_key int8;
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
        SELECT b.limit_id INTO at_key FROM queue.blocked b WHERE b.job = in_job;
        IF FOUND THEN
            tried := queue.unblock(at_key, in_job);
            EXIT WHEN tried IS NOT NULL;
        END IF;
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

-- As in migration 0008, but it skips nothing: who takes a blocked job out has locked the key's row, as this has.
CREATE OR REPLACE FUNCTION queue.open(in_limit int8, in_released int4) RETURNS int4 LANGUAGE plpgsql
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
                ORDER BY b.position LIMIT room FOR UPDATE))
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

-- What has been passed over is looked at again, as soon as there is a leader.
UPDATE queue.limit_key k SET mark = passed.first - 1, due_at = clock_timestamp()
FROM (SELECT b.limit_id, min(b.position) AS first FROM queue.blocked b GROUP BY b.limit_id) passed
WHERE passed.limit_id = k.id AND passed.first <= k.mark;

-- As in migration 0008, but for the keys: they are locked before any job is, so that queue.open_due, which forgets keys
-- that nobody uses, cannot take one away in between. A job whose key was gone was lost.
CREATE OR REPLACE FUNCTION queue.admit(in_queue int2, in_low int8, in_limit int4, OUT moved int4, OUT more bool)
LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
    SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
    taken queue.ready[];
    keys text[];
    locked int4;
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
    keys := ARRAY(SELECT DISTINCT j.limit_key FROM unnest(taken) t JOIN queue.job j ON j.id = t.job ORDER BY 1);
    LOOP
        INSERT INTO queue.limit_key (queue, key) SELECT in_queue, k FROM unnest(keys) k
        ON CONFLICT (queue, key) DO NOTHING;
        PERFORM FROM queue.limit_key k WHERE k.queue = in_queue AND k.key = ANY (keys) ORDER BY k.id
        FOR NO KEY UPDATE;
        GET DIAGNOSTICS locked = ROW_COUNT;
        EXIT WHEN locked = cardinality(keys);
    END LOOP;
    FOR at_key IN
        SELECT k.id, array_agg(t ORDER BY t.position) AS jobs
        FROM unnest(taken) t JOIN queue.job j ON j.id = t.job
        JOIN queue.limit_key k ON k.queue = in_queue AND k.key = j.limit_key GROUP BY k.id ORDER BY k.id
    LOOP
        INSERT INTO queue.blocked (position, limit_id, job, queue, attempt, last)
        SELECT nextval('queue.position'), at_key.id, t.job, in_queue, t.attempt, t.last FROM unnest(at_key.jobs) t;
        moved := moved + queue.open(at_key.id, 0);
    END LOOP;
END $$;

-- As in migration 0008, but in the order of keys, as everybody who locks several.
CREATE OR REPLACE FUNCTION queue.set_limit(
    in_queue text, in_name text, in_concurrency int4, in_rate int4, in_period float8
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    queue_id int2 := queue.register_queue(in_queue);
    named record;
BEGIN
    INSERT INTO queue.limit_rule VALUES (queue_id, in_name, in_concurrency, in_rate, in_period)
    ON CONFLICT (queue, name) DO UPDATE
    SET concurrency = excluded.concurrency, rate = excluded.rate, period = excluded.period;
    -- The jobs that it lets through need an id of this transaction before they draw positions: the rule has given it.
    FOR named IN
        SELECT k.id FROM queue.limit_key k WHERE k.queue = queue_id AND split_part(k.key, ':', 1) = in_name
        ORDER BY k.id
    LOOP
        PERFORM queue.open(named.id, 0);
    END LOOP;
END $$;

-- MARK: Redriving

-- Makes dead letters of a queue ready again, all or those named, at most in_limit (slices of arrays count each): a
-- fresh allowance of attempts. A unique key that is held until the job has finished is taken again; where another job
-- has it by now (`holders`, beside `held`), the dead one stays dead, and the next ones are looked at instead. Of such
-- at most 10,000 are passed in one call.
-- Locks in the order of queue.ended: arrays by id, then keys; dead letters that somebody else has locked are skipped.
CREATE FUNCTION queue.redrive_dead(
    in_queue text, in_jobs int8[], in_limit int4, OUT redriven int8[], OUT held int8[], OUT holders int8[]
) LANGUAGE plpgsql SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    letter record;
    wanted int8[] := '{}';
    firsts int4[] := '{}';
    arrays int8[] := '{}';
    keyed int8[] := '{}';
    taken int8[] := '{}';
    holder int8;
BEGIN
    PERFORM pg_current_xact_id();
    held := '{}';
    holders := '{}';
    FOR letter IN
        SELECT x.job, x.first, x.items, wants.key IS NOT NULL AS is_keyed, u.job AS holder
        FROM queue.queue q JOIN queue.dead x ON x.queue = q.id JOIN queue.job j ON j.id = x.job
        CROSS JOIN LATERAL (SELECT CASE WHEN coalesce(j.unique_until, 'finished') = 'finished' THEN j.unique_key END)
            AS wants(key)
        LEFT JOIN queue.unique_key u ON u.queue = j.queue AND u.key = wants.key AND u.job <> j.id
            AND (u.expires_at IS NULL OR u.expires_at > clock_timestamp())
        WHERE q.name = in_queue AND (in_jobs IS NULL OR x.job = ANY (in_jobs))
        ORDER BY x.queue, x.job, x.first
    LOOP
        EXIT WHEN cardinality(wanted) >= in_limit OR cardinality(held) >= 10000;
        IF letter.holder IS NOT NULL THEN
            held := held || letter.job;
            holders := holders || letter.holder;
            CONTINUE;
        END IF;
        wanted := wanted || letter.job;
        firsts := firsts || letter.first;
        IF letter.items > 0 THEN
            arrays := arrays || letter.job;
        END IF;
        IF letter.is_keyed THEN
            keyed := keyed || letter.job;
        END IF;
    END LOOP;
    PERFORM FROM queue.array a WHERE a.job = ANY (arrays) ORDER BY a.job FOR NO KEY UPDATE;
    FOR letter IN
        SELECT DISTINCT j.queue, j.unique_key AS key, j.id FROM queue.job j WHERE j.id = ANY (keyed) ORDER BY 1, 2, 3
    LOOP
        -- An array of which other slices are not over has its key still.
        CONTINUE WHEN EXISTS (SELECT FROM queue.unique_key u WHERE u.job = letter.id AND u.expires_at IS NULL);
        holder := queue.take_key(letter.queue, letter.key, letter.id, NULL);
        IF holder = letter.id THEN
            taken := taken || letter.id;
        ELSE
            held := held || letter.id;
            holders := holders || holder;
        END IF;
    END LOOP;
    WITH chosen AS (
        SELECT w.job, w.first FROM unnest(wanted, firsts) AS w(job, first)
        WHERE NOT EXISTS (SELECT FROM unnest(held) AS h(job) WHERE h.job = w.job)
    ), gone AS (
        DELETE FROM queue.dead d WHERE d.ctid = ANY (ARRAY(
            SELECT x.ctid FROM chosen c JOIN queue.dead x ON x.job = c.job AND x.first = c.first
            ORDER BY x.job, x.first FOR UPDATE OF x SKIP LOCKED))
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
    SELECT coalesce(array_agg(DISTINCT g.job ORDER BY g.job), '{}') INTO redriven FROM gone g;
    -- Somebody else has these in hands: they are being cancelled or redriven.
    DELETE FROM queue.unique_key u
    WHERE u.job = ANY (taken) AND u.expires_at IS NULL AND NOT (u.job = ANY (redriven));
END $$;

-- The jobs that queue.redrive_dead made ready.
CREATE OR REPLACE FUNCTION queue.redrive(in_queue text, in_jobs int8[], in_limit int4) RETURNS int8[]
LANGUAGE sql AS $$ SELECT d.redriven FROM queue.redrive_dead(in_queue, in_jobs, in_limit) d $$;

-- MARK: Waiting for an array

-- As in migration 0008; but an array is dead only once nothing of it is left but dead letters, and one that was
-- cancelled has no outcome that says so.
CREATE OR REPLACE FUNCTION queue.must_wait(in_parent int8, in_anyway bool) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
    known bool;
BEGIN
    PERFORM FROM queue.joinable WHERE job = in_parent FOR KEY SHARE;
    IF FOUND THEN
        -- A dead letter may be redriven: only who runs anyway need not wait for that.
        RETURN NOT (in_anyway AND coalesce(
            (SELECT a.remaining = 0 FROM queue.array a WHERE a.job = in_parent),
            EXISTS (SELECT FROM queue.dead d WHERE d.job = in_parent)));
    END IF;
    SELECT joinable INTO known FROM queue.job WHERE id = in_parent;
    IF known IS NULL THEN
        RAISE EXCEPTION 'no job can wait for job %: it is unknown or was not enqueued as joinable', in_parent
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT in_anyway AND (
        EXISTS (SELECT FROM queue.outcome o WHERE o.job = in_parent AND o.state = 'cancelled')
        OR EXISTS (SELECT FROM queue.array a WHERE a.job = in_parent AND a.cancelled))
    THEN
        RAISE EXCEPTION 'job % was cancelled: no job can wait for it', in_parent
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN false;
END $$;
