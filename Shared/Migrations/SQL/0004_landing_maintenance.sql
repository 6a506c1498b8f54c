-- What landing's maintenance looks for.
-- Locks: an index on millrace.upload is built, which blocks uploads for the moment that takes; the table has one row
-- for each large request.

-- Uploads that broke off, until their batches are swept and the row with them.
create index upload_abandoned on millrace.upload (touched_at) where state = 'abandoned';

-- Renews or wins the leadership of landing's maintenance and, as its leader, makes partitions ahead and says what there
-- is to sweep. Nothing is written but the leader's row where nothing is to be done.
create function landing.lead(
    in_holder text, in_term float8, in_patience float8, in_retention float8,
    out is_leader bool, out remaining float8, out partitions int4, out stalled bool, out abandoned bool,
    out old_keys bool
) language plpgsql as $$
declare
    ends timestamptz;
begin
    update queue.leader l set holder = in_holder, until = clock_timestamp() + make_interval(secs => in_term)
    where l.name = 'landing' and (l.holder = in_holder or l.until < clock_timestamp()) returning l.until into ends;
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
