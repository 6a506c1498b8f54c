-- What the steps of pipelines need: a salt for each workspace, and the duplicates that a replacing chunk counts.
-- Locks: creates a new table; landing.chunk and its partitions exclusively, for the moment that a column without values
-- takes.

-- The key under which `mask` hashes. Made when it is first needed, and never changed: equal values have to stay equal.
-- Read by the role that owns it alone: no other role has USAGE on the schema.
create table millrace.mask_salt (
    workspace_id int8 primary key references millrace.workspace on delete cascade,
    -- Twice 122 bits from the server's strong source of random numbers.
    salt         bytea not null default sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())),
    created_at   timestamptz not null default now()
);
revoke all on millrace.mask_salt from public;

-- As filtered and quarantined; null in chunks that were made before.
alter table landing.chunk add column duplicates int4;
