-- How the queue's partitions leave: slots of ids rotated in time, judged, marked, then detached and dropped.
-- Shared/Queue/README.md, "What leaves, and when", says the rules; Shared/Queue/QueueLeader+retention.swift does it.
-- Locks: new objects, and an index on queue.ready, which blocks who enqueues or claims for the length of one scan.

-- A slot of queue.position: as many ids as a partition has. Only the leader writes here; rows stay.
CREATE TABLE queue.slot (
    slot int8 PRIMARY KEY,
    low int8 NOT NULL,          -- everything drawn in the slot after this is a job's id or position
    began_at timestamptz NOT NULL,
    upto int8,                  -- where the rest began to be skipped
    ended_at timestamptz,       -- when the sequence was first seen to be beyond
    ended_xid xid8,             -- every transaction that drew a position in the slot has a smaller id
    leaving_at timestamptz,     -- nothing in it lives, nor ever will
    dropped_at timestamptz
);
INSERT INTO queue.slot (slot, low, began_at)
SELECT s, greatest(s * 8388608 - 1, 0), now()
FROM (SELECT last_value / 8388608 AS current FROM queue.position) p, generate_series(0, p.current) s
WHERE to_regclass(format('queue.job_%s', lpad(s::text, 6, '0'))) IS NOT NULL;

-- Finds the rows in `ready` of a job that was there before: a new job's stands at its id. Costs new jobs nothing.
CREATE INDEX ready_again ON queue.ready (job) WHERE position <> job;

-- Finds the unique keys whose time is over.
CREATE INDEX unique_key_expiry ON queue.unique_key (expires_at) WHERE expires_at IS NOT NULL;

-- Notes which slots have begun and ended, and moves the sequence on to the next one when it has been in one for in_age
-- seconds and used it, so that a slow trickle leaves in time too. The rest of a slot is drawn, at most in_portion
-- values a call (0.4 s a million): unlike setval, nextval cannot give out a value twice, whoever draws meanwhile, and
-- unlike ALTER SEQUENCE it waits for no open transaction. Says whether there is more to do at once.
-- Must be the first statement of its transaction: the sequence is read before the transaction has an id, so that who
-- drew in a slot that has ended has a smaller one.
CREATE FUNCTION queue.rotate(in_age float8, in_portion int4) RETURNS bool LANGUAGE plpgsql SET jit = off AS $$
DECLARE
    width CONSTANT int8 := 8388608;
    drawn int8 := (SELECT last_value - (NOT is_called)::int FROM queue.position);
    first_id xid8 := pg_current_xact_id_if_assigned();
    current int8 := drawn / width;
    latest queue.slot;
    final int8;
BEGIN
    IF first_id IS NOT NULL THEN
        RAISE EXCEPTION 'queue.rotate must come first in its transaction' USING ERRCODE = 'active_sql_transaction';
    END IF;
    SELECT * INTO latest FROM queue.slot s ORDER BY s.slot DESC LIMIT 1;
    IF latest.slot IS DISTINCT FROM current THEN
        INSERT INTO queue.slot (slot, low, began_at)
        SELECT s, s * width - 1, now() FROM generate_series(coalesce(latest.slot + 1, current), current) s
        ON CONFLICT DO NOTHING;
    END IF;
    UPDATE queue.slot SET ended_at = now(), ended_xid = pg_current_xact_id() WHERE slot < current AND ended_at IS NULL;
    IF latest.slot IS DISTINCT FROM current OR latest.low >= drawn
        OR latest.began_at > now() - make_interval(secs => in_age)
        OR to_regclass(format('queue.outcome_%s', lpad((current + 1)::text, 6, '0'))) IS NULL
    THEN
        RETURN false;
    END IF;
    UPDATE queue.slot SET upto = coalesce(upto, drawn) WHERE slot = current;
    SELECT max(p) INTO final FROM (
        SELECT nextval('queue.position') AS p
        FROM generate_series(1, least(in_portion, (current + 1) * width - drawn))) s;
    -- Where somebody else drew the first value of the new slot, it is a job's.
    IF final >= (current + 1) * width THEN
        INSERT INTO queue.slot (slot, low, began_at)
        VALUES (current + 1, (current + 1) * width - (final > (current + 1) * width)::int, now())
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN true;
END $$;

-- Whether a job of this range may still be run: it is ready, deferred, blocked or under a lease, waits for others, or
-- is a dead letter, which can be redriven. An array with items left has one of those places. By the small tables of
-- live jobs, never by their bodies; all in one snapshot, since jobs move from one table to another.
CREATE FUNCTION queue.is_slot_live(in_low int8, in_high int8) RETURNS bool LANGUAGE sql STABLE
    SET enable_seqscan = off SET jit = off
AS $$
    SELECT EXISTS (SELECT FROM queue.deferred d WHERE d.job >= in_low AND d.job < in_high)
        OR EXISTS (SELECT FROM queue.ready r WHERE r.position <> r.job AND r.job >= in_low AND r.job < in_high)
        OR EXISTS (SELECT FROM queue.waiting w WHERE w.job >= in_low AND w.job < in_high)
        OR EXISTS (SELECT FROM queue.blocked b WHERE b.job >= in_low AND b.job < in_high)
        OR EXISTS (SELECT FROM queue.low_water w WHERE EXISTS (
            SELECT FROM queue.ready r WHERE r.lane = w.lane AND r.priority = w.priority AND r.job >= in_low
                AND r.position > greatest(w.position, in_low - 1) AND r.position < in_high))
        OR EXISTS (SELECT FROM queue.lease l, unnest(l.jobs) AS job WHERE job >= in_low AND job < in_high)
        OR EXISTS (SELECT FROM queue.dead d WHERE d.job >= in_low AND d.job < in_high)
$$;

-- Forgets up to in_limit dead letters of a range that died before in_before. Then it is as if those jobs had been
-- cancelled: what waits for them does so no longer. Returns how many.
CREATE FUNCTION queue.expire_dead(in_low int8, in_high int8, in_before timestamptz, in_limit int4) RETURNS int8
LANGUAGE plpgsql SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    expired int8;
    jobs int8[];
BEGIN
    PERFORM pg_current_xact_id();
    WITH gone AS (
        DELETE FROM queue.dead d WHERE (d.job, d.first) IN (
            SELECT x.job, x.first FROM queue.dead x WHERE x.job >= in_low AND x.job < in_high
                AND x.at < in_before
            ORDER BY x.job, x.first LIMIT in_limit FOR UPDATE SKIP LOCKED)
        RETURNING d.job
    )
    SELECT count(*), array_agg(DISTINCT job) INTO expired, jobs FROM gone;
    IF expired > 0 THEN
        PERFORM queue.conclude(jobs, 'cancelled');
    END IF;
    RETURN expired;
END $$;

-- Forgets what the small tables still hold of the jobs of a range that leaves, up to in_limit rows of each. Returns
-- whether there may be more. A key that is taken for a time stays until then: queue.expire_keys.
CREATE FUNCTION queue.sweep_slot(in_low int8, in_high int8, in_limit int4) RETURNS bool LANGUAGE plpgsql
    SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    target text;
    swept int8;
    more bool := false;
BEGIN
    FOREACH target IN ARRAY ARRAY['array', 'progress', 'joinable', 'dependency', 'permit', 'unique_key'] LOOP
        EXECUTE format(
            'DELETE FROM queue.%1$I WHERE ctid = ANY (ARRAY('
            'SELECT ctid FROM queue.%1$I WHERE %2$I >= $1 AND %2$I < $2 %3$s LIMIT $3))', target,
            CASE target WHEN 'dependency' THEN 'parent' ELSE 'job' END,
            CASE target WHEN 'unique_key' THEN 'AND expires_at IS NULL' ELSE '' END)
        USING in_low, in_high, in_limit;
        GET DIAGNOSTICS swept = ROW_COUNT;
        more := more OR swept >= in_limit;
    END LOOP;
    RETURN more;
END $$;

-- Forgets up to in_limit unique keys whose time is over. Returns whether there may be more.
CREATE FUNCTION queue.expire_keys(in_limit int4) RETURNS bool LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_sort = off SET jit = off
AS $$
DECLARE
    expired int8;
BEGIN
    DELETE FROM queue.unique_key WHERE ctid = ANY (ARRAY(
        SELECT u.ctid FROM queue.unique_key u WHERE u.expires_at < now()
        ORDER BY u.expires_at LIMIT in_limit FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS expired = ROW_COUNT;
    RETURN expired >= in_limit;
END $$;

-- The partitions that are to leave, with how far each is: `attached`, `pending` (its concurrent detaching was
-- interrupted) or `detached`. A job's results and outcomes leave after its body: a job without an outcome would look as
-- if it had never run.
CREATE FUNCTION queue.leaving() RETURNS TABLE (parent text, child text, stage text) LANGUAGE sql STABLE AS $$
    SELECT p.parent, t.child,
        CASE WHEN i.inhrelid IS NULL THEN 'detached' WHEN i.inhdetachpending THEN 'pending' ELSE 'attached' END
    FROM queue.slot s
    CROSS JOIN unnest(ARRAY['job', 'result', 'outcome']) WITH ORDINALITY AS p(parent, ordinal)
    CROSS JOIN LATERAL format('%s_%s', p.parent, lpad(s.slot::text, 6, '0')) AS t(child)
    CROSS JOIN LATERAL to_regclass(format('queue.%s', t.child)) AS c(oid)
    LEFT JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid
    WHERE s.leaving_at IS NOT NULL AND s.dropped_at IS NULL AND c.oid IS NOT NULL
        AND (p.parent = 'job' OR NOT EXISTS (SELECT FROM pg_catalog.pg_inherits j
            WHERE j.inhrelid = to_regclass(format('queue.job_%s', lpad(s.slot::text, 6, '0')))))
    ORDER BY s.slot, p.ordinal
$$;

-- Declares workers lost that hold leases and are not on the register: their claim was under way in the server while
-- they were rescued, and committed afterwards. The next rescue gives the jobs away.
CREATE FUNCTION queue.adopt() RETURNS void LANGUAGE sql AS $$
    INSERT INTO queue.worker (id, queue, name, started_at, seen_at, lost_at, busy)
    SELECT DISTINCT ON (l.worker) l.worker, l.queue, 'gone', l.claimed_at, l.claimed_at, clock_timestamp(), true
    FROM queue.lease l WHERE NOT EXISTS (SELECT FROM queue.worker w WHERE w.id = l.worker)
    ORDER BY l.worker, l.id ON CONFLICT DO NOTHING
$$;

-- Rotates; marks the slots that are to leave: ended more than in_retention seconds ago, every transaction that drew in
-- them over, nothing alive in them. Dead letters that old go with them, in_limit a call. `again` says that there is
-- more to do at once; the arrays are queue.leaving. Durations in seconds. Must come first in its transaction.
CREATE FUNCTION queue.retire(
    in_age float8, in_retention float8, in_portion int4, in_limit int4,
    OUT again bool, OUT parents text[], OUT children text[], OUT stages text[]
) LANGUAGE plpgsql SET jit = off AS $$
DECLARE
    width CONSTANT int8 := 8388608;
    past timestamptz := now() - make_interval(secs => in_retention);
    old record;
BEGIN
    again := queue.rotate(in_age, in_portion);
    PERFORM queue.adopt();
    again := queue.expire_keys(in_limit) OR again;
    FOR old IN
        SELECT s.slot * width AS low, (s.slot + 1) * width AS high, s.slot FROM queue.slot s
        WHERE s.leaving_at IS NULL AND s.ended_at < past AND s.ended_xid < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY s.slot
    LOOP
        -- Also where another job keeps the slot: it may be one that waits for a dead one.
        IF queue.expire_dead(old.low, old.high, past, in_limit) >= in_limit THEN
            again := true;
            EXIT;
        END IF;
        -- A dead letter that is redriven at this moment is seen as dead still, or as ready.
        UPDATE queue.slot s SET leaving_at = now()
        WHERE s.slot = old.slot AND NOT queue.is_slot_live(old.low, old.high);
    END LOOP;
    FOR old IN
        SELECT s.slot * width AS low, (s.slot + 1) * width AS high FROM queue.slot s
        WHERE s.leaving_at IS NOT NULL AND s.dropped_at IS NULL ORDER BY s.slot
    LOOP
        again := queue.sweep_slot(old.low, old.high, in_limit) OR again;
    END LOOP;
    SELECT array_agg(l.parent), array_agg(l.child), array_agg(l.stage) INTO parents, children, stages
    FROM queue.leaving() l;
    IF parents IS NULL THEN
        UPDATE queue.slot s SET dropped_at = now() WHERE s.leaving_at IS NOT NULL AND s.dropped_at IS NULL;
    END IF;
END $$;

-- How many positions were drawn from in_first to in_final, without those that rotation skipped.
CREATE FUNCTION queue.span(in_first int8, in_final int8) RETURNS int8 LANGUAGE sql STABLE AS $$
    SELECT (in_final - in_first + 1 - coalesce(sum(greatest(0, least(in_final, (s.slot + 1) * 8388608 - 1)
        - greatest(in_first, s.upto + 1) + 1)), 0))::int8
    FROM queue.slot s
    WHERE s.upto IS NOT NULL AND s.slot BETWEEN in_first / 8388608 AND in_final / 8388608
$$;

-- The depth of a queue, exact up to 10,000 jobs a priority and from there on extrapolated by density, never a full
-- count; when the oldest ready job was enqueued; deferred, blocked (by a limit), waiting (for a parent) and dead
-- letters up to 10,000 each; jobs under a lease; what its workers settle, fail and bury a second.
CREATE OR REPLACE FUNCTION queue.inspect(
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
        estimate := (span.found * (queue.span(span.first, newest)::float8
            / greatest(queue.span(span.first, span.final), span.found)))::int8;
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
