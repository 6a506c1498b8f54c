-- Partitions of datasets by time. Services/README.md, "Time partitions", says the rules.
-- Locks: new functions only.

-- The partitions of a dataset's table: the first day of each, counted from 2000-01-01, and whether its detaching was
-- interrupted. A table that is not partitioned has none.
create function millrace.time_partitions(in_schema text, in_table text)
returns table (day int4, name text, pending bool) language sql stable as $$
    select to_date(right(c.relname, 8), 'YYYYMMDD') - date '2000-01-01', c.relname::text, i.inhdetachpending
    from pg_catalog.pg_inherits i
    join pg_catalog.pg_class c on c.oid = i.inhrelid and c.relkind = 'r'
    where i.inhparent = to_regclass(format('%I.%I', in_schema, in_table))
    order by 1
$$;

-- Makes the partitions of a table that begin on these days and end before those, where there are none. ATTACH takes
-- SHARE UPDATE EXCLUSIVE on the table: those who load and read go on. The caller holds the dataset's row, so that
-- nobody else makes or alters them. A table that was detached and not dropped yet goes; one that is being detached is
-- in the way: lock_not_available. Answers how many were made.
create function millrace.make_time_partitions(in_schema text, in_table text, in_days int4[], in_ends int4[])
returns int4 language plpgsql as $$
declare
    origin constant date := '2000-01-01';
    one    record;
    child  text;
    made   int4 := 0;
begin
    for one in select d.day, d.ending from unnest(in_days, in_ends) as d (day, ending)
        where d.day not in (select p.day from millrace.time_partitions(in_schema, in_table) p where not p.pending)
        order by d.day
    loop
        child := in_table || to_char(origin + one.day, '".p"YYYYMMDD');
        if exists (select from millrace.time_partitions(in_schema, in_table) p where p.name = child) then
            raise exception using errcode = 'lock_not_available',
                message = format('partition %I is being detached', child);
        end if;
        execute format('drop table if exists %I.%I', in_schema, child);
        execute format('create table %I.%I (like %I.%I including defaults including storage including constraints)',
            in_schema, child, in_schema, in_table);
        execute format('alter table %I.%I attach partition %I.%I for values from (%L) to (%L)', in_schema, in_table,
            in_schema, child, to_char(origin + one.day, 'YYYY-MM-DD 00:00:00+00'),
            to_char(origin + one.ending, 'YYYY-MM-DD 00:00:00+00'));
        made := made + 1;
    end loop;
    return made;
end $$;
