-- The dead entries of deferred jobs that were moved are read once, not twice. Locks: a function is replaced, no tables.

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
