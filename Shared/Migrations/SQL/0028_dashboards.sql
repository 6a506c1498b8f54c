-- Dashboards: charts over queries, endpoints and rollups, as the console draws them.
-- Locks: creates one new table; its foreign key locks millrace.workspace against changes for the moment that this
-- transaction takes, not against reading.

create table millrace.dashboard (
    id           int8 generated always as identity primary key,
    workspace_id int8 not null references millrace.workspace,
    name         text not null check (name ~ '^[a-z][a-z0-9_]{0,47}$'),
    version      int4 not null default 1,     -- the ETag
    definition   jsonb not null,              -- as it was put, with what was left out
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    unique (workspace_id, name)
);
