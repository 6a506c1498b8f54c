-- A rebuild is of a set of datasets: all of those that a pipeline merges rows into, with what it appends to others.
-- Services/README.md, "Rebuilding", says the rules.
-- Locks: new objects; columns are added to millrace.rebuild and rebuild_part, and taken from rebuild_part, exclusively
-- for a moment and without a rewrite. A store of an earlier release fails at jobs of rebuilds from then on, which those
-- that know the set then do: it could not tell a part of it from the whole. Where it is given a batch with an output
-- that is appended, the run ends `rebuild_outdated`, nothing having changed, and is to be started again.

-- A run has a row for each dataset of its set.
alter table millrace.rebuild drop constraint rebuild_run_key;
alter table millrace.rebuild
    -- How many rows the run had when it was made. Where one of them is gone, no table of the run takes another's place.
    add column targets int4 not null default 1;
create index rebuild_run on millrace.rebuild (run);

-- The outputs that are made anew; null: all that the version has, in the place of all that there are.
alter table millrace.rebuild_part add column outputs int2[];
create index rebuild_part_batch on millrace.rebuild_part (batch_id);

-- What a rebuild has made of the outputs of its parts: the ledger's and quarantine's part, and rows that are to be
-- appended, which wait until the tables change places.
create table millrace.rebuild_output (
    run              int8 not null,
    ordinal          int4 not null,
    output           int2 not null,
    dataset_id       int8 not null,
    chunk            int8,                    -- whose rows wait to be appended; null: they are in `<dataset>.re`
    received         int4,                    -- null: as it was
    stored           int4 not null,
    filtered         int4 not null,
    quarantined      int4 not null,
    duplicates       int4 not null,
    receipt_received int4[],
    receipt_counts   int4[],
    fault_rows       int4[],                  -- one element a quarantined record
    fault_stages     text[],
    fault_errors     jsonb[],
    fault_raws       bytea[],
    primary key (run, ordinal, output),
    foreign key (run, ordinal) references millrace.rebuild_part on delete cascade
);
create index rebuild_output_chunk on millrace.rebuild_output (chunk) where chunk is not null;

insert into millrace.rebuild_output (run, ordinal, output, dataset_id, stored, filtered, quarantined, duplicates,
    receipt_counts, fault_rows, fault_stages, fault_errors, fault_raws)
select p.run, p.ordinal, 0, x.dataset_id, p.stored, coalesce(p.filtered, 0), coalesce(p.quarantined, 0),
    coalesce(p.duplicates, 0), p.receipt_counts, p.fault_rows, p.fault_stages, p.fault_errors, p.fault_raws
from millrace.rebuild_part p join millrace.rebuild x on x.run = p.run where p.stored is not null;

alter table millrace.rebuild_part
    drop column stored, drop column filtered, drop column quarantined, drop column duplicates,
    drop column receipt_counts, drop column fault_rows, drop column fault_stages, drop column fault_errors,
    drop column fault_raws;

-- Adds arrays up, element by element; null where all of them are.
create function millrace.add(int4[], int4[]) returns int4[] language sql immutable strict parallel safe
return array(select coalesce(u.a, 0) + coalesce(u.b, 0) from unnest($1, $2) with ordinality as u (a, b, place)
    order by u.place);
create aggregate millrace.add_up(int4[]) (sfunc = millrace.add, stype = int4[], parallel = safe);

-- As in migration 0010; and a rebuild keeps the raw bytes of all that it has read until its tables change places: what
-- is appended then may be refused, and is quarantined with them.
create or replace function landing.is_unfinished(in_low int8, in_high int8, in_patience float8) returns bool
language plpgsql stable as $$
begin
    if exists (select from millrace.upload u join millrace.batch b on b.upload_id = u.id
            where u.state = 'receiving' and b.id >= in_low and b.id < in_high)
        or exists (select from millrace.source s where exists (
            select from millrace.application a where a.source_id = s.id and a.state in ('accepted', 'transformed')
                and a.batch_id >= in_low and a.batch_id < in_high))
        or exists (select from millrace.run r join millrace.run_batch b on b.run = r.id
            where r.state in ('queued', 'running') and coalesce(r.deadline > now(), true)
                and b.state in ('queued', 'transformed') and b.batch >= in_low and b.batch < in_high)
        or exists (select from millrace.run r join millrace.rebuild_part p on p.run = r.id
            where r.state in ('queued', 'running') and coalesce(r.deadline > now(), true) and not r.dry_run
                and p.batch_id >= in_low and p.batch_id < in_high)
    then
        return true;
    end if;
    if not exists (select from millrace.application a
        where a.state = 'failed' and a.batch_id >= in_low and a.batch_id < in_high)
    then
        return false;
    end if;
    return exists (select from millrace.application a join millrace.batch b on b.id = a.batch_id
            where a.state = 'failed' and a.batch_id >= in_low and a.batch_id < in_high
                and b.received_at > now() - make_interval(secs => in_patience))
        or exists (select from landing.live_job j left join landing.chunk c on c.id = j.chunk
            where coalesce(j.batch, c.batch_id) >= in_low and coalesce(j.batch, c.batch_id) < in_high);
end $$;

-- As in migration 0017; and a chunk whose rows are appended when a rebuild's tables change places is kept until then.
create or replace function landing.is_wanted(in_child text, in_low int8, in_high int8, in_patience float8) returns bool
language plpgsql stable as $$
declare
    used constant text := 'select exists (select from millrace.application a join landing.%I c '
        'on c.batch_id = a.batch_id and c.pipeline_id = a.pipeline_id and c.output = a.output '
        'and c.version = a.version where c.run is null and a.state = ';
    wanted bool;
begin
    if exists (select from millrace.rebuild_output o join millrace.run r on r.id = o.run
        where o.chunk >= in_low and o.chunk < in_high and coalesce(r.deadline > now(), true)
            and (r.state in ('queued', 'running')
                or r.state = 'failed' and r.created_at > now() - make_interval(secs => in_patience)))
    then
        return true;
    end if;
    execute format('select exists (select from landing.%I c join millrace.run r on r.id = c.run '
        'join millrace.run_batch b on b.run = c.run and b.ordinal = c.ordinal where c.run is not null '
        'and coalesce(b.chunk = c.id, true) and coalesce(r.deadline > now(), true) '
        'and (r.state in (''queued'', ''running'') and b.state in (''read'', ''transformed'') '
        'or r.state in (''running'', ''failed'') and b.state in (''read'', ''transformed'', ''dead'') '
        'and r.created_at > now() - make_interval(secs => $1)))', in_child) into wanted using in_patience;
    if wanted then
        return true;
    end if;
    execute format(used || '''transformed'')', in_child) into wanted;
    if wanted then
        return true;
    end if;
    execute format(used || '''failed'')', in_child) into wanted;
    if not wanted then
        return false;
    end if;
    execute format(used || '''failed'' and exists (select from millrace.batch b where b.id = a.batch_id '
        'and b.received_at > now() - make_interval(secs => $1)))', in_child) into wanted using in_patience;
    return wanted or exists (select from landing.live_job j where j.chunk >= in_low and j.chunk < in_high);
end $$;
