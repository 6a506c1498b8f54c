-- What keys with limits have used, and when keys were used last.
-- Locks: millrace.api_key exclusively for the moment that this transaction takes: a column without a rewrite, and the
-- new table's foreign key.

-- Noted once an hour at most.
alter table millrace.api_key add column last_used_at timestamptz;

-- Of keys with a quota, each day in UTC: all processes add to it once a second at most.
create table millrace.key_use (
    key_id   int8 not null references millrace.api_key on delete cascade,
    day      date not null,
    requests int8 not null default 0,
    bytes    int8 not null default 0,          -- of requests' bodies, as they came
    primary key (key_id, day)
) with (fillfactor = 50);                      -- every addition updates: in place of the page
create index key_use_day on millrace.key_use (day);
