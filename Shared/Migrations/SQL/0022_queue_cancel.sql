-- A job that was buried and redriven is cancelled also while it is ready and its earlier lease, which has other jobs
-- still, names it. Locks: a function.

-- As in migration 0016.
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
