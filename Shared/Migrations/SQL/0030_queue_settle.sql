-- Small groups that end at about the same time are settled by one statement. Locks: a new function, no tables.

-- Records the success of jobs of several leases in the caller's transaction: those of in_finish, which it deletes, and
-- of in_hold, which it locks against rescue until the commit; in_leases names the lease of each job. Returns the leases
-- that are lost: their jobs stay as they are. Repeated after an answer that was lost it violates the key of
-- queue.outcome.
CREATE FUNCTION queue.settle_leases(
    in_finish int8[], in_hold int8[], in_leases int8[], in_jobs int8[], in_attempts int2[]
) RETURNS TABLE (lease int8) LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off
AS $$
DECLARE
    held int8[];
BEGIN
    WITH ended AS (DELETE FROM queue.lease l WHERE l.id = ANY (in_finish) RETURNING l.id)
    SELECT coalesce(array_agg(e.id), '{}') INTO held FROM ended e;
    IF cardinality(in_hold) > 0 THEN
        held := held || ARRAY(SELECT l.id FROM queue.lease l WHERE l.id = ANY (in_hold) FOR KEY SHARE);
    END IF;
    INSERT INTO queue.outcome (job, lease, at, state, attempt)
    SELECT t.job, t.lease, clock_timestamp(), 'succeeded', t.attempt
    FROM unnest(in_jobs, in_leases, in_attempts) AS t(job, lease, attempt) WHERE t.lease = ANY (held);
    IF cardinality(held) < cardinality(in_finish) + cardinality(in_hold) THEN
        RETURN QUERY SELECT l FROM unnest(in_finish || in_hold) l WHERE l <> ALL (held);
    END IF;
END $$;
