-- Several outputs of a pipeline: which records of a batch count in each. Services/README.md, "Outputs", says the rules.
-- Locks: columns that may be null are added to millrace.application and landing.chunk, exclusively for a moment and
-- without a rewrite.

-- Per coalesced request (as millrace.batch.receipt_ends) the records that count in this output; null where the pipeline
-- has one output, in which all count.
alter table millrace.application add column receipt_received int4[];

-- The same of a chunk that replaces an output. Null in those of an earlier release: all count.
alter table landing.chunk
    add column received         int4,
    add column receipt_received int4[];
