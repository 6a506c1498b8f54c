-- What is asked by a batch: which runs have it still to do, and what its chunks are. An erasure asks both of each.
-- Locks: of each partition of landing.chunk and millrace.run_batch the writers wait for one scan of it. Those that are
-- written into now come last, so that theirs wait for their own scans only; then the parents, for a moment.

do $$
declare
    part record;
begin
    for part in
        select c.oid::regclass as child, parent
        from (values ('landing.chunk', 'landing.chunk_id', 100000), ('millrace.run_batch', 'millrace.run_id', 10000))
                as parents (parent, ids, width)
            join pg_catalog.pg_inherits i on i.inhparent = parent::regclass and not i.inhdetachpending
            join pg_catalog.pg_class c on c.oid = i.inhrelid
        order by substring(c.relname from '\d+$')::int8 = pg_sequence_last_value(ids::regclass) / width, c.relname
    loop
        execute case part.parent
            when 'landing.chunk' then format('create index on %s (batch_id)', part.child)
            else format($sql$create index on %s (batch) where state in ('queued', 'transformed')$sql$, part.child)
        end;
    end loop;
end $$;

-- Take the partitions' own as parts of theirs.
create index chunk_batch on landing.chunk (batch_id);
create index run_batch_use on millrace.run_batch (batch) where state in ('queued', 'transformed');
