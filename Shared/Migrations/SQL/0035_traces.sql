-- Jobs that are enqueued within a transaction follow from what the transaction is for: where that is recorded, it says
-- so once, and no statement of it has to pass the trace on.
-- Locks: functions only.

-- The traceparent that this transaction's jobs follow from where they are given none; null where it is not recorded.
CREATE FUNCTION queue.transaction_trace() RETURNS text LANGUAGE sql STABLE
RETURN nullif(current_setting('millrace.trace', true), '');

-- As in migration 0008, and a job without a trace has the transaction's.
CREATE OR REPLACE FUNCTION queue.enqueue(
    in_queue text, in_kind text, in_workspace int8, in_arguments jsonb[], in_priority int2 DEFAULT 0::int2,
    in_delay float8 DEFAULT NULL, in_max_attempts int2 DEFAULT 20::int2, in_trace text DEFAULT NULL,
    in_items int4 DEFAULT NULL
) RETURNS int8[] LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
    queue_id int2 := (SELECT id FROM queue.queue WHERE name = in_queue);
    followed text := coalesce(in_trace, queue.transaction_trace());
    ids int8[];
BEGIN
    IF queue_id IS NULL THEN
        RAISE EXCEPTION 'unknown queue %', in_queue USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM queue.check_kinds(ARRAY[in_kind]);
    PERFORM pg_current_xact_id();
    WITH request AS MATERIALIZED (
        SELECT nextval('queue.position') AS id, arguments
        FROM unnest(in_arguments) AS arguments
    ), body AS (
        INSERT INTO queue.job
            (id, workspace, enqueued_at, queue, priority, max_attempts, kind, trace, arguments, items)
        SELECT id, in_workspace, clock_timestamp(), queue_id, in_priority, in_max_attempts, in_kind, followed,
            arguments, in_items
        FROM request
    ), immediate AS (
        INSERT INTO queue.ready (position, job, lane, priority, attempt, last, flow, items)
        SELECT id, id, queue_id * 2, in_priority, 1, in_max_attempts,
            queue.flow_of((queue_id * 2)::int2, in_priority, in_workspace), coalesce(in_items, 0)
        FROM request WHERE coalesce(in_delay, 0) <= 0
    ), later AS (
        INSERT INTO queue.deferred (job, run_at, lane, priority, attempt, last, workspace, items)
        SELECT id, clock_timestamp() + make_interval(secs => in_delay), queue_id * 2, in_priority, 1,
            in_max_attempts, in_workspace, coalesce(in_items, 0)
        FROM request WHERE in_delay > 0
    ), whole AS (
        INSERT INTO queue.array (job, items, remaining) SELECT id, in_items, in_items FROM request
        WHERE in_items IS NOT NULL
    )
    SELECT array_agg(id ORDER BY id) INTO ids FROM request;
    PERFORM queue.note_workspaces(ARRAY[queue_id], ARRAY[in_workspace]);
    RETURN coalesce(ids, '{}');
END $$;

-- As in migration 0016, and a job without a trace has the transaction's.
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
    followed text := queue.transaction_trace();
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
    SELECT u.id, u.workspace, clock_timestamp(), u.queue, u.priority, u.max_attempts, u.kind,
        coalesce(u.trace, followed), u.arguments,
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
