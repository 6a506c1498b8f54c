-- The catalog (schema millrace), and what waits between the hops (schema landing).
-- Locks: creates new objects only; nothing that is in use is locked.

create schema if not exists millrace;
create schema landing;

create table millrace.workspace (
    id          int8 generated always as identity primary key,
    name        text not null unique check (name ~ '^[a-z][a-z0-9_]{0,39}$'),
    schema_name text not null unique,
    query_role  text not null unique,
    created_at  timestamptz not null default now()
);

create table millrace.api_key (
    id           int8 generated always as identity primary key,
    workspace_id int8 not null references millrace.workspace,
    name         text not null,
    prefix       text not null,               -- the visible first characters; never the key
    hash         bytea not null unique,       -- SHA-256 of the whole key
    scopes       text[] not null,
    created_at   timestamptz not null default now(),
    expires_at   timestamptz,
    revoked_at   timestamptz
);

create table millrace.source (
    id           int8 generated always as identity primary key,
    workspace_id int8 not null references millrace.workspace,
    name         text not null check (name ~ '^[a-z][a-z0-9_]{0,47}$'),
    settings     jsonb not null default '{}',
    declared     bool not null default false, -- by PUT; false: made by its first record
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    unique (workspace_id, name)
);

create table millrace.dataset (
    id             int8 generated always as identity primary key,
    workspace_id   int8 not null references millrace.workspace,
    name           text not null check (name ~ '^[a-z][a-z0-9_]{0,47}$'),
    definition     jsonb not null default '{}', -- as declared by PUT; {} where inferred
    declared       bool not null default false,
    -- Grows with every agreed column. A chunk is loadable while each of its columns still has the type it was
    -- encoded with, so additions by other batches do not send it back.
    schema_version int4 not null default 1,
    table_created  bool not null default false,
    created_at     timestamptz not null default now(),
    updated_at     timestamptz not null default now(),
    last_load_at   timestamptz,
    unique (workspace_id, name)
);

create table millrace.dataset_column (
    dataset_id    int8 not null references millrace.dataset on delete cascade,
    ordinal       int4 not null,
    name          text not null check (octet_length(name) between 1 and 63),
    type          text not null check (type in
                    ('text', 'int8', 'float8', 'numeric', 'bool', 'timestamptz', 'date', 'uuid', 'jsonb')),
    nullable      bool not null default true,
    "collation"   text,
    declared      bool not null default false,
    state         text not null default 'agreed' check (state in
                    ('agreed',     -- in the catalog; the table may not have it yet
                     'applied',    -- in the table
                     'extra')),    -- the table could not be altered: values go to _extra
    since_version int4 not null,
    primary key (dataset_id, name)
);

create table millrace.pipeline (
    id           int8 generated always as identity primary key,
    workspace_id int8 not null references millrace.workspace,
    name         text not null check (name ~ '^[a-z][a-z0-9_]{0,47}$'),
    source_id    int8 not null references millrace.source,
    version      int4 not null,               -- the current one
    implicit     bool not null default false, -- made with the source; reads it while no other pipeline does
    active       bool not null default true,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now()
);
create unique index pipeline_name on millrace.pipeline (workspace_id, name) where not implicit and active;
create unique index pipeline_implicit on millrace.pipeline (source_id) where implicit;
create index pipeline_source on millrace.pipeline (source_id) where active;

create table millrace.pipeline_version (
    pipeline_id int8 not null references millrace.pipeline,
    version     int4 not null,
    definition  json not null,                -- as it was put: the order of its members counts
    fingerprint bytea not null,               -- SHA-256 of the canonical definition: the ETag
    created_at  timestamptz not null default now(),
    primary key (pipeline_id, version)
);

-- One large request while and after its batches come in. Its batches count only once it is accepted.
create table millrace.upload (
    id          int8 generated always as identity primary key,
    source_id   int8 not null references millrace.source,
    state       text not null default 'receiving' check (state in ('receiving', 'accepted', 'abandoned')),
    request_id  text not null,
    received_at timestamptz not null default now(),
    touched_at  timestamptz not null default now(),
    accepted_at timestamptz
);
create index upload_receiving on millrace.upload (touched_at) where state = 'receiving';

create sequence millrace.batch_id as int8;

-- The ledger's first half: what came in. Outlives the raw bytes. Inserted once, never updated.
create table millrace.batch (
    id           int8 primary key,
    source_id    int8 not null references millrace.source,
    upload_id    int8 references millrace.upload,
    format       text not null check (format in ('ndjson', 'json', 'csv', 'text')),
    records      int4 not null,
    raw_bytes    int8 not null,
    stored_bytes int4 not null,
    receipt_ends int4[] not null,             -- first record past each coalesced request, ascending
    request_ids  text[] not null,             -- as long as receipt_ends
    trace        text,
    received_at  timestamptz not null default now()
);
create index batch_source on millrace.batch (source_id, id);
create index batch_upload on millrace.batch (upload_id) where upload_id is not null;

-- The ledger's second half: what each output of each pipeline made of a batch.
create table millrace.application (
    batch_id       int8 not null references millrace.batch,
    pipeline_id    int8 not null references millrace.pipeline,
    output         int2 not null,
    source_id      int8 not null,
    version        int4,                      -- bound when the job is claimed
    dataset_id     int8,
    state          text not null check (state in ('accepted', 'transformed', 'stored', 'failed')),
    received       int4 not null,
    stored         int4 not null default 0,
    filtered       int4 not null default 0,
    quarantined    int4 not null default 0,
    duplicates     int4 not null default 0,
    -- Per coalesced request (as batch.receipt_ends), null where the batch has one: filtered, quarantined, duplicates
    -- of receipt 0, then of receipt 1, …: three numbers each; the rest of its records are stored.
    receipt_counts int4[],
    error          text,
    transformed_at timestamptz,
    stored_at      timestamptz,
    primary key (batch_id, pipeline_id, output)
) with (fillfactor = 70);
-- Lag and freshness of a source: its oldest unfinished batch.
create index application_unfinished on millrace.application (source_id, batch_id)
    where state in ('accepted', 'transformed');

create table millrace.idempotency (
    source_id   int8 not null references millrace.source,
    key         text not null check (octet_length(key) <= 255),
    fingerprint bytea,                        -- SHA-256 of the decoded body and its type; null while an upload runs
    receipt     text,                         -- null while an upload runs
    upload_id   int8,
    created_at  timestamptz not null default now(),
    primary key (source_id, key)
);
create index idempotency_age on millrace.idempotency (created_at);

-- Payloads, partitioned by id range so that they leave by DROP TABLE.
create table landing.payload (
    batch_id int8 not null,
    body     bytea not null,                  -- a BatchFrame, compressed by zstd
    primary key (batch_id)
) partition by range (batch_id);
alter table landing.payload alter column body set storage external;

create sequence landing.chunk_id as int8;

create table landing.chunk (
    id          int8 not null,
    batch_id    int8 not null,
    pipeline_id int8 not null,
    version     int4 not null,
    output      int2 not null,
    dataset_id  int8 not null,
    columns     text[] not null,              -- names, in the order of the body's fields
    types       text[] not null,              -- as long as columns
    rows        int4 not null,
    raw_bytes   int4 not null,                -- of the body before compression
    body        bytea not null,               -- rows as COPY BINARY without header and trailer, compressed by zstd
    primary key (id)
) partition by range (id);
alter table landing.chunk alter column body set storage external;

create table landing.quarantine (
    batch_id    int8 not null,
    row         int4 not null,
    pipeline_id int8 not null,
    output      int2 not null,
    version     int4 not null,
    dataset_id  int8 not null,
    stage       text not null check (stage in ('decode', 'transform', 'store')),
    errors      jsonb not null,               -- [{"code", "step", "column", "message"}]
    raw         bytea not null,
    at          timestamptz not null default now(),
    primary key (batch_id, pipeline_id, output, row)
) partition by range (batch_id);
create index quarantine_dataset on landing.quarantine (dataset_id, batch_id, row);

-- Makes partitions of `width` ids each until `ahead` of them lie beyond the sequence's last value.
-- ATTACH takes SHARE UPDATE EXCLUSIVE on the parent: inserts go on. Answers how many were made.
create function landing.make_partitions(parent text, ids regclass, width int8, ahead int4) returns int4
language plpgsql as $$
declare
    current int8;
    slot    int8;
    made    int4 := 0;
    child   text;
begin
    execute format('select last_value / %s from %s', width, ids) into current;
    for slot in current .. current + ahead loop
        child := format('%s_%s', parent, slot);
        if to_regclass('landing.' || quote_ident(child)) is null then
            execute format('create table landing.%I (like landing.%I including defaults including storage '
                'including constraints)', child, parent);
            execute format('alter table landing.%I attach partition landing.%I for values from (%s) to (%s)',
                parent, child, slot * width, (slot + 1) * width);
            made := made + 1;
        end if;
    end loop;
    return made;
end $$;

-- All three parents at once; called by maintenance under its leader row.
create function landing.make_partitions() returns int4 language sql as $$
    select landing.make_partitions('payload', 'millrace.batch_id', 100000, 3)
         + landing.make_partitions('quarantine', 'millrace.batch_id', 100000, 3)
         + landing.make_partitions('chunk', 'landing.chunk_id', 100000, 3)
$$;
select landing.make_partitions();

-- Agrees on columns of a dataset: adds what is missing, and answers every column. The dataset's row is locked for
-- the length of this call's transaction, so of two batches that meet here the second sees the first one's types.
-- `limit_inferred` columns at most are added by inference; the names beyond it are not added.
create function millrace.agree_columns(dataset int8, names text[], types text[], limit_inferred int4)
returns table (name text, type text, nullable bool, state text, declared bool)
language plpgsql as $$
#variable_conflict use_column
declare
    inferred int4;
    last     int4;
    fresh    int4;
begin
    perform 1 from millrace.dataset d where d.id = dataset for no key update;
    select count(*) filter (where not c.declared), coalesce(max(c.ordinal), 0) into inferred, last
        from millrace.dataset_column c where c.dataset_id = dataset;
    with wanted as (
        select n.name, n.type, row_number() over (order by n.ordinality) as position
        from unnest(names, types) with ordinality as n (name, type, ordinality)
        where not exists (select 1 from millrace.dataset_column c where c.dataset_id = dataset and c.name = n.name)
    ), added as (
        insert into millrace.dataset_column (dataset_id, ordinal, name, type, since_version)
        select dataset, last + w.position, w.name, w.type, d.schema_version + 1
        from wanted w, millrace.dataset d
        where d.id = dataset and w.position <= limit_inferred - inferred
        returning 1
    )
    select count(*) into fresh from added;
    if fresh > 0 then
        update millrace.dataset d set schema_version = d.schema_version + 1, updated_at = now() where d.id = dataset;
    end if;
    return query select c.name, c.type, c.nullable, c.state, c.declared
        from millrace.dataset_column c where c.dataset_id = dataset order by c.ordinal;
end $$;
