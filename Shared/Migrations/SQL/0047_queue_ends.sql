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
