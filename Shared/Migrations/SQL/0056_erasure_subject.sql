-- Whose token asked for an erasure.
-- Locks: millrace.erasure exclusively for the moment that a column without a rewrite takes.

-- The token's subject; null where a key asked.
alter table millrace.erasure add column subject text;
