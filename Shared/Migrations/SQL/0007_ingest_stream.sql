-- Streams of messages, which are acknowledged by number.
-- Locks: creates new objects only; nothing that is in use is locked.

-- Never the same twice, also for a stream that was swept and made again.
create sequence millrace.ingest_stream_epoch as int8;

-- How far each stream is. The row is the fence: landing messages moves `seq` in the same transaction, and only from the
-- message before, under the epoch of the connection that took the stream last.
create table millrace.ingest_stream (
    source_id  int8 not null references millrace.source on delete cascade,
    name       text not null check (octet_length(name) between 1 and 128),
    epoch      int8 not null default nextval('millrace.ingest_stream_epoch'),
    seq        int8 not null default 0,       -- the last message that is committed
    touched_at timestamptz not null default now(),
    primary key (source_id, name)
) with (fillfactor = 50);                     -- every commit updates: in place of the page, and of no index
