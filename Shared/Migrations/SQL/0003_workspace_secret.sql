-- The passwords of the workspaces' login roles, and the leader row of landing's maintenance.
-- Locks: creates a new table; inserts one row into queue.leader.

-- Read by the role that owns it alone: no other role has USAGE on the schema.
create table millrace.workspace_secret (
    workspace_id int8 primary key references millrace.workspace on delete cascade,
    password     text not null,
    created_at   timestamptz not null default now()
);
revoke all on millrace.workspace_secret from public;

-- Whoever holds it makes partitions ahead and sweeps what is abandoned.
insert into queue.leader values ('landing', '', '-infinity');
