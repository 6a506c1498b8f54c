-- What was noted by a clock that was ahead holds nobody up once the clock has been set back: a leader's term, and when
-- a worker was seen.
-- Locks: ACCESS EXCLUSIVE on queue.leader, two rows, until the commit; functions are replaced.

-- How long the leader's term was when it was begun or renewed. None ends later than this from now, unless the clock has
-- been set back since; a candidate's own term says nothing about it.
ALTER TABLE queue.leader ADD COLUMN term interval NOT NULL DEFAULT interval '1 minute';

-- Takes or renews the leadership for in_term seconds. One row lock on queue.leader; a candidate that loses writes
-- nothing. A term that ends later than twice its length from now was begun by a clock that has been set back, and is
-- over: a correction of the clock by less than a term takes nobody's leadership.
CREATE OR REPLACE FUNCTION queue.lead(
    in_holder text, in_term float8, in_after timestamptz,
    OUT is_leader bool, OUT remaining float8, OUT busy bool, OUT due_in float8, OUT partitions_ahead int8
) LANGUAGE plpgsql SET enable_seqscan = off SET jit = off AS $$
DECLARE
    length CONSTANT interval := make_interval(secs => in_term);
    ends timestamptz;
BEGIN
    UPDATE queue.leader l SET holder = in_holder, until = clock_timestamp() + length, term = length
    WHERE l.name = 'queue' AND (l.holder = in_holder OR l.until < clock_timestamp()
        OR l.until > clock_timestamp() + 2 * l.term)
    RETURNING l.until INTO ends;
    is_leader := FOUND;
    IF NOT is_leader THEN
        SELECT l.until INTO ends FROM queue.leader l WHERE l.name = 'queue';
    ELSE
        DELETE FROM queue.worker w
        WHERE NOT w.busy AND w.lost_at IS NULL AND w.seen_at < clock_timestamp() - interval '1 day';
        busy := EXISTS (SELECT FROM queue.worker w WHERE w.busy);
        due_in := extract(epoch FROM queue.next_due(in_after) - clock_timestamp());
        partitions_ahead := (
            SELECT max(substring(c.relname FROM '\d+$')::int8) FROM pg_catalog.pg_inherits i
            JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'queue.outcome'::regclass
        ) - (SELECT last_value / 8388608 FROM queue.position);
    END IF;
    remaining := extract(epoch FROM ends - clock_timestamp());
END $$;

-- Declares busy workers lost that were not seen for in_timeout seconds, unless the server itself has only just come up;
-- returns all that are lost. One that was seen in the future is taken as seen now: if it lives, it says so again before
-- the time has passed. A server that came up in the future has been up for long.
CREATE OR REPLACE FUNCTION queue.lost_workers(in_timeout float8) RETURNS SETOF int8 LANGUAGE sql AS $$
    UPDATE queue.worker SET seen_at = clock_timestamp()
    WHERE busy AND lost_at IS NULL AND seen_at > clock_timestamp() + make_interval(secs => in_timeout);
    UPDATE queue.worker SET lost_at = clock_timestamp()
    WHERE busy AND lost_at IS NULL AND seen_at < clock_timestamp() - make_interval(secs => in_timeout)
        AND (pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => in_timeout)
            OR pg_postmaster_start_time() > clock_timestamp());
    SELECT id FROM queue.worker WHERE lost_at IS NOT NULL
$$;

-- Renews or wins the leadership of landing's maintenance and, as its leader, makes partitions ahead and says what there
-- is to sweep. Nothing is written but the leader's row where nothing is to be done. Terms end as queue.lead has it.
create or replace function landing.lead(
    in_holder text, in_term float8, in_patience float8, in_retention float8,
    out is_leader bool, out remaining float8, out partitions int4, out stalled bool, out abandoned bool,
    out old_keys bool
) language plpgsql as $$
declare
    length constant interval := make_interval(secs => in_term);
    ends timestamptz;
begin
    update queue.leader l set holder = in_holder, until = clock_timestamp() + length, term = length
    where l.name = 'landing' and (l.holder = in_holder or l.until < clock_timestamp()
        or l.until > clock_timestamp() + 2 * l.term)
    returning l.until into ends;
    is_leader := found;
    if is_leader then
        partitions := landing.make_partitions();
        stalled := exists (select 1 from millrace.upload u
            where u.state = 'receiving' and u.touched_at < now() - make_interval(secs => in_patience));
        abandoned := exists (select 1 from millrace.upload u
            where u.state = 'abandoned' and u.touched_at < now() - interval '1 minute');
        old_keys := exists (select 1 from millrace.idempotency i
            where i.created_at < now() - make_interval(secs => in_retention));
    else
        select l.until into ends from queue.leader l where l.name = 'landing';
    end if;
    remaining := extract(epoch from ends - clock_timestamp());
end $$;
