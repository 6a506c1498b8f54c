-- How a chunk's rows meet those with their key, and which datasets remember deleted keys. Services/README.md, "Upsert
-- and ignore", says the rules.
-- Locks: a column that may be null is added to landing.chunk and its partitions, exclusively for a moment and without a
-- rewrite; one new table.

-- Null: the rows are appended. Bound with the pipeline's version.
alter table landing.chunk add column mode text check (mode in ('upsert', 'ignore'));

-- Datasets that have a table `<name>.deleted` beside their own: the keys that were deleted, with the rank of what
-- deleted them. The row is locked by who merges rows into such a dataset, so that one does at a time.
create table millrace.dataset_deletions (
    dataset_id int8 primary key references millrace.dataset on delete cascade,
    created_at timestamptz not null default now()
);
