-- The job ids of a lease are kept as they are: to compress 2,000 of them took longer than to write their 16 kB, a tenth
-- of a claim and settle in bulk.
-- Locks: queue.lease exclusively, for a moment.

ALTER TABLE queue.lease ALTER jobs SET STORAGE EXTERNAL;
