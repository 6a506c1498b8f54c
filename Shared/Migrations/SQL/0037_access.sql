-- Keys that are rotated, repeated safely and limited; workspaces that are described, changed and deleted.
-- Services/README.md, "Keys and workspaces", says the rules.
-- Locks: millrace.api_key and millrace.workspace exclusively for the moment that this transaction takes: columns
-- without a rewrite, and two indexes over tables with one row for each key.

alter table millrace.api_key
    add column version             int4 not null default 1,     -- the ETag
    add column limits              jsonb not null default '{}', -- {"requests_per_second", "requests_per_day", …}
    add column replaces            int8,                        -- the key whose place it takes
    add column made_by             int8,                        -- the key that asked for it
    -- A repeated request answers the key that the first one made, but never its text again.
    add column request_key         text check (octet_length(request_key) <= 255),
    add column request_fingerprint bytea;
create index api_key_workspace on millrace.api_key (workspace_id, id);
create unique index api_key_request on millrace.api_key (workspace_id, request_key) where request_key is not null;

alter table millrace.workspace
    add column version     int4 not null default 1,             -- the ETag
    add column description text,
    add column updated_at  timestamptz not null default now(),
    -- From then on no key of it is valid; the row stays until all that belongs to it is gone.
    add column deleted_at  timestamptz;

-- Whether a key may administer its workspace for as long as the other one does, and longer than now.
create function millrace.stands_in(in_key millrace.api_key, in_other millrace.api_key) returns bool
language sql stable as $$
    select 'admin' = any(in_key.scopes) and in_key.revoked_at is null and in_key.id <> in_other.id
        and (in_key.expires_at is null or (in_other.expires_at is not null and in_key.expires_at > now()))
$$;

-- Jobs of a workspace that wait, run or are dead letters, in_limit of each sort at most.
create function millrace.live_jobs(in_workspace int8, in_limit int4) returns setof int8 language sql stable as $$
    select distinct live.job from (
        select r.job from queue.queue q
        cross join lateral unnest(array[q.id * 2, q.id * 2 + 1, queue.gate_of(q.id)]) lane
        cross join generate_series(-2, 2) level
        cross join lateral (
            select t.job from queue.ready t
            where t.flow = queue.flow_of(lane::int2, level::int2, in_workspace) limit in_limit
        ) r
        union all (select d.job from queue.deferred d where d.workspace = in_workspace limit in_limit)
        union all (
            select j.id from (
                select b.job from queue.blocked b union all select w.job from queue.waiting w
                union all select d.job from queue.dead d union all select unnest(l.jobs) from queue.lease l
            ) other join queue.job j on j.id = other.job
            where j.workspace = in_workspace limit in_limit
        )
    ) live
$$;

-- Cancels a workspace's jobs; answers how many it found, and how many of them are in somebody's hands: a lease names
-- its jobs until whoever holds it has let go of them. None is left once it finds none.
create function millrace.stop_jobs(in_workspace int8, in_limit int4, out jobs int4, out held int4)
language plpgsql as $$
declare
    one int8;
begin
    jobs := 0;
    held := 0;
    for one in select j from millrace.live_jobs(in_workspace, in_limit) j order by j loop
        jobs := jobs + 1;
        if queue.cancel(one) <> 'cancelled' then
            held := held + 1;
        end if;
    end loop;
end $$;

-- Deletes a part of what a deleted workspace has, about in_limit batches, runs or chunks of it; answers how much that
-- was: nothing is left but the workspace itself once that is 0. Tables come in such an order that nothing is deleted
-- before what refers to it; a table that refers to the workspace and is not named here is emptied with the rest.
create function millrace.empty_workspace(in_workspace int8, in_limit int4) returns int8 language plpgsql as $$
declare
    sources   int8[] := array(select s.id from millrace.source s where s.workspace_id = in_workspace);
    pipelines int8[] := array(select p.id from millrace.pipeline p where p.workspace_id = in_workspace);
    datasets  int8[] := array(select d.id from millrace.dataset d where d.workspace_id = in_workspace);
    part      int8[];
    other     record;
    gone      int8;
    total     int8 := 0;
begin
    part := array(select b.id from millrace.batch b where b.source_id = any(sources) limit in_limit);
    if part <> '{}' then
        delete from landing.payload p where p.batch_id = any(part);
        delete from landing.quarantine q where q.batch_id = any(part);
        delete from millrace.healed h where h.batch_id = any(part);
        delete from millrace.application a where a.batch_id = any(part);
        delete from millrace.batch b where b.id = any(part);
        return cardinality(part);
    end if;
    part := array(select c.id from landing.chunk c
        where c.pipeline_id = any(pipelines) or c.dataset_id = any(datasets) limit in_limit);
    if part <> '{}' then
        delete from landing.chunk c where c.id = any(part);
        return cardinality(part);
    end if;
    part := array(select r.id from millrace.run r where r.workspace_id = in_workspace limit in_limit);
    if part <> '{}' then
        delete from millrace.run_batch b where b.run = any(part);
        delete from millrace.rebuild_part b where b.run = any(part);
        delete from millrace.erasure e where e.run = any(part);
        delete from millrace.run r where r.id = any(part);
        return cardinality(part);
    end if;
    -- A rollup has tables of its own, which no reference leads to.
    for other in select r.id from millrace.rollup r where r.workspace_id = in_workspace order by r.id limit 1 loop
        perform millrace.drop_rollup_tables(other.id);
        delete from millrace.rollup r where r.id = other.id;
        return 1;
    end loop;
    delete from millrace.idempotency i where i.ctid = any(array(
        select k.ctid from millrace.idempotency k where k.source_id = any(sources) limit in_limit * 100));
    get diagnostics gone = row_count;
    if gone > 0 then
        return gone;
    end if;
    delete from queue.schedule s where s.workspace = in_workspace;
    delete from queue.workspace w where w.workspace = in_workspace;
    delete from millrace.upload u where u.source_id = any(sources);
    for other in
        select c.conrelid::regclass::text as name, a.attname::text as reference
        from pg_catalog.pg_constraint c
        join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
        where c.contype = 'f' and c.confrelid = 'millrace.workspace'::regclass and c.conrelid <> all(array[
            'millrace.pipeline', 'millrace.dataset', 'millrace.source', 'millrace.workspace_secret']::regclass[])
        order by 1
    loop
        execute format('delete from %s where %I = $1', other.name, other.reference) using in_workspace;
        get diagnostics gone = row_count;
        total := total + gone;
    end loop;
    delete from millrace.pipeline_version v where v.pipeline_id = any(pipelines);
    delete from millrace.pipeline p where p.id = any(pipelines);
    delete from millrace.dataset d where d.id = any(datasets);
    delete from millrace.source s where s.id = any(sources);
    return total + cardinality(sources) + cardinality(pipelines) + cardinality(datasets);
end $$;
