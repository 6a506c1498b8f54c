-- Healing: quarantined records are run through the current versions of their pipelines again. Services/README.md,
-- "Heal", says the rules.
-- Locks: columns that may be null are added to landing.chunk and millrace.run_batch, exclusively for a moment and
-- without a rewrite.

-- Ordinals of the records that a heal has tried. Null in chunks of other kinds.
alter table landing.chunk add column tried int4[];

-- How many records of the batch a heal has tried, once their outcome is stored. Null in runs of other kinds.
alter table millrace.run_batch add column records int4;

-- Whether a quarantined record's bytes are all there: landing cuts records beyond its limit, loading keeps the first
-- MiB of those that a table refuses, and nothing of those whose raw bytes had expired.
create function landing.is_whole(in_stage text, in_errors jsonb, in_length int4) returns bool language sql immutable
return in_length > 0 and case in_stage
    when 'decode' then not in_errors @> '[{"code": "record_too_large"}]'
    when 'store' then in_length < 1048576
    else true end;

-- Whether a record's errors have one of these codes; null: all have.
create function landing.has_code(in_errors jsonb, in_codes text[]) returns bool language sql immutable
return in_codes is null
    or exists (select from jsonb_array_elements(in_errors) e where e ->> 'code' = any(in_codes));

-- Makes a run of kind `heal` for each active pipeline that has quarantined records of a dataset, over the batches in
-- which these are: those whose outputs are all stored, a million at most. Null for in_pipeline, in_batches, in_codes:
-- all.
-- Where a run of the pipeline is going on over one of the batches, that run comes back as `overlap`, and the
-- transaction is to be rolled back. Locks the pipelines, in the order of their ids, against changes and other runs.
create function millrace.start_heals(
    in_dataset int8, in_pipeline text, in_batches int8[], in_codes text[], in_request jsonb
) returns table (run int8, overlap int8) language plpgsql as $$
#variable_conflict use_column
declare
    pipelines int8[] := array(
        select distinct q.pipeline_id from landing.quarantine q
        where q.dataset_id = in_dataset and (in_batches is null or q.batch_id = any(in_batches)));
    one       millrace.pipeline;
    made      int8;
    other     int8;
    total     int4;
begin
    for one in
        select * from millrace.pipeline p
        where p.id = any(pipelines) and p.active and (in_pipeline is null or p.name = in_pipeline)
        order by p.id for no key update
    loop
        made := nextval('millrace.run_id');
        insert into millrace.run_batch (run, ordinal, batch, state)
        select made, row_number() over (order by b.batch_id) - 1, b.batch_id, 'queued' from (
            select distinct q.batch_id from landing.quarantine q
            where q.dataset_id = in_dataset and q.pipeline_id = one.id
                and (in_batches is null or q.batch_id = any(in_batches))
                and landing.is_whole(q.stage, q.errors, octet_length(q.raw)) and landing.has_code(q.errors, in_codes)
                and not exists (select from millrace.application a where a.batch_id = q.batch_id
                    and a.pipeline_id = q.pipeline_id and a.state <> 'stored')
            order by q.batch_id limit 1000000
        ) b;
        get diagnostics total = row_count;
        continue when total = 0;
        select r.id into other from millrace.run r
        where r.pipeline_id = one.id and r.id <> made and r.state in ('queued', 'running')
            and coalesce(r.deadline > clock_timestamp(), true)
            and exists (select from millrace.run_batch o join millrace.run_batch n on n.batch = o.batch
                where o.run = r.id and n.run = made)
        order by r.id limit 1;
        if other is not null then
            return query select null::int8, other;
            return;
        end if;
        insert into millrace.run (id, workspace_id, kind, pipeline_id, version, state, request, batches, job)
        values (made, one.workspace_id, 'heal', one.id, one.version, 'queued', in_request, total,
            (queue.enqueue('transform', 'run.heal', one.workspace_id, array[jsonb_build_object('run', made)],
                in_priority => (-1)::int2, in_items => total))[1]);
        return query select made, null::int8;
    end loop;
end $$;
