-- Erasure of records by a condition. Services/README.md, "Erasure", says the rules.
-- Locks: new objects; the trigger locks millrace.run against changes for the moment that this transaction takes.

-- Who had what erased, and what became of it. Stays for good, but for the condition: that names who is to be forgotten,
-- and goes when the run has ended.
create table millrace.erasure (
    run            int8 primary key,
    workspace_id   int8 not null,
    dataset_id     int8 not null,
    dataset        text not null,
    key_id         int8 not null,              -- of the API key that asked for it
    condition      text,
    condition_hash bytea not null,             -- SHA-256
    dry_run        bool not null,
    created_at     timestamptz not null default now(),
    finished_at    timestamptz,
    records        int8 not null default 0,    -- raw records
    quarantined    int8 not null default 0,    -- of them in quarantine, or there alone
    unreadable     int8 not null default 0,    -- raw records of which nobody can say whether they meet the condition
    rows           jsonb not null default '{}' -- of each dataset how many
);
create index erasure_dataset on millrace.erasure (dataset_id, run);

-- A run that was cancelled or ran out of time ends for good, whether or not its job is ever handled again: nobody needs
-- the condition any more. One that failed needs it for its redrive.
create function millrace.forget_erasure() returns trigger language plpgsql as $$
begin
    update millrace.erasure e set condition = null, finished_at = coalesce(e.finished_at, clock_timestamp())
    where e.run = new.id;
    return null;
end $$;
create trigger forget_erasure after update of state on millrace.run for each row
    when (new.kind = 'erase' and new.state in ('cancelled', 'timed_out'))
    execute function millrace.forget_erasure();

-- Makes the run of an erasure: over all batches of the sources that feed the dataset, as far as anything of them is
-- kept, and at last, as batch 0, over the rows of the others. The same that is going on is answered instead of made
-- twice; null where nothing feeds the dataset. Locks the dataset's row.
create function millrace.start_erasure(
    in_workspace int8, in_dataset int8, in_key int8, in_condition text, in_hash bytea, in_dry bool
) returns int8 language plpgsql as $$
declare
    one     millrace.dataset;
    feeding millrace.pipeline;
    sources int8[];
    made    int8;
    total   int4;
begin
    select * into one from millrace.dataset d where d.id = in_dataset for no key update;
    select e.run into made from millrace.erasure e join millrace.run r on r.id = e.run
    where e.dataset_id = in_dataset and e.condition_hash = in_hash and e.dry_run = in_dry
        and r.state in ('queued', 'running') limit 1;
    if made is not null then
        return made;
    end if;
    sources := array(
        select a.source_id from millrace.application a where a.dataset_id = in_dataset
        union select p.source_id from millrace.pipeline p
            join millrace.pipeline_version v on v.pipeline_id = p.id
            where p.workspace_id = in_workspace
                and exists (select from millrace.targets(v.definition) t where t.dataset = one.name)
        union select s.id from millrace.source s
            where s.workspace_id = in_workspace and s.name = one.name and s.kind = 'records');
    select * into feeding from millrace.pipeline p where p.source_id = any(sources)
    order by p.active desc, p.id limit 1;
    if not found then
        return null;
    end if;
    made := nextval('millrace.run_id');
    insert into millrace.run_batch (run, ordinal, batch, state)
    select made, row_number() over (order by b.id) - 1, b.id, 'queued' from millrace.batch b
    where b.source_id = any(sources) and b.format <> 'table'
        and (exists (select from landing.payload p where p.batch_id = b.id)
            or exists (select from landing.quarantine q where q.batch_id = b.id));
    get diagnostics total = row_count;
    insert into millrace.run_batch (run, ordinal, batch, state) values (made, total, 0, 'queued');
    insert into millrace.erasure (run, workspace_id, dataset_id, dataset, key_id, condition, condition_hash, dry_run)
    values (made, in_workspace, in_dataset, one.name, in_key, in_condition, in_hash, in_dry);
    insert into millrace.run (id, workspace_id, kind, pipeline_id, version, state, request, batches, dry_run, job)
    values (made, in_workspace, 'erase', feeding.id, feeding.version, 'queued',
        jsonb_build_object('dataset', one.name, 'condition_sha256', encode(in_hash, 'hex')), total + 1, in_dry,
        (queue.enqueue('store', 'erase', in_workspace, array[jsonb_build_object('run', made)],
            in_priority => (-1)::int2))[1]);
    return made;
end $$;
