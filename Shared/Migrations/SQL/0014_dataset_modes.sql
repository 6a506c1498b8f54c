-- How a chunk's rows meet those with their key, and which datasets remember deleted keys. Services/README.md, "Upsert
-- and ignore", says the rules.
-- Locks: a column that may be null is added to landing.chunk and its partitions, exclusively for a moment and without a
-- rewrite; one new table.

-- Null: the rows are appended. Bound with the pipeline's version.
alter table landing.chunk add column mode text check (mode in ('upsert', 'ignore'));

-- Datasets that have a table `<name>.deleted` beside their own: the keys that were deleted, with the rank of what
-- deleted them. The row is locked by who merges rows into such a dataset, so that one does at a time.
create table millrace.dataset_deletions (
    dataset_id int8 primary key references millrace.dataset on delete cascade,
    created_at timestamptz not null default now()
);

-- Datasets whose table is filled anew by a run, beside the one that is there, in `<name>.re`. Services/README.md,
-- "Rebuilding", says what holds. Whoever writes into the one and not into the other takes the row away: what is then in
-- `<name>.re` never takes the table's place.
create table millrace.rebuild (
    dataset_id int8 primary key references millrace.dataset on delete cascade,
    run        int8 not null unique,
    mode       text not null check (mode in ('upsert', 'ignore')),
    made       bool not null default false    -- the tables are there
);

-- What a rebuilding run works on, by the ordinals of run_batch, and what it makes of it: the ledger's and quarantine's
-- part, which waits until the tables change places.
create table millrace.rebuild_part (
    run            int8 not null,
    ordinal        int4 not null,
    batch_id       int8 not null,
    pipeline_id    int8 not null,
    version        int4 not null,
    stored         int4,
    filtered       int4,
    quarantined    int4,
    duplicates     int4,
    receipt_counts int4[],
    fault_rows     int4[],                    -- one element a quarantined record
    fault_stages   text[],
    fault_errors   jsonb[],
    fault_raws     bytea[],
    primary key (run, ordinal)
);

-- As millrace.advance_runs, also for runs that rebuild. Their last row of run_batch, of batch 0, stands for the
-- exchange of the tables: once all others are stored it gets its job; once they have ended and some are dead, it is.
create function millrace.advance_replays(in_runs int8[]) returns int8[] language plpgsql as $$
declare
    one  record;
    dead bool;
begin
    for one in select r.id, r.workspace_id from millrace.run r
        where r.id = any(in_runs) and exists (select from millrace.rebuild_part p where p.run = r.id)
        order by r.id for no key update of r
    loop
        continue when exists (select from millrace.run_batch b
            where b.run = one.id and b.batch > 0 and b.state in ('queued', 'transformed'));
        dead := exists (select from millrace.run_batch b where b.run = one.id and b.batch > 0 and b.state = 'dead');
        update millrace.run_batch b set state = case when dead then 'dead' else 'transformed' end,
            error = case when dead then 'batches could not be read again' end
        where b.run = one.id and b.batch = 0
            -- One that was given up itself has a dead letter, whose redrive goes on.
            and (b.state = 'queued' or b.state = 'dead' and b.dead_letter is null);
        if found and not dead then
            perform queue.enqueue('store', 'swap', one.workspace_id, array[jsonb_build_object('run', one.id)],
                in_priority => (-1)::int2);
        end if;
    end loop;
    return millrace.advance_runs(in_runs);
end $$;

-- Where the rows of a version of a pipeline go.
create function millrace.targets(definition json) returns table (dataset text, mode text) language sql immutable as $$
    select t->>'dataset', coalesce(t->>'mode', 'append') from (
        select definition::jsonb->'target' as t
        union all select jsonb_path_query(definition::jsonb, '$.steps[*].route[*]')
    ) x
$$;
