-- Sessions: what browsers hold a cookie of, made of a key at /v1/session.
-- Locks: creates one new table; its foreign key locks millrace.api_key against changes for the moment that this
-- transaction takes, not against reading.

create table millrace.session (
    hash       bytea primary key check (octet_length(hash) = 32), -- SHA-256 of the token; never the token
    key_id     int8 not null references millrace.api_key on delete cascade,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index session_key on millrace.session (key_id, created_at);
create index session_expiry on millrace.session (expires_at);
