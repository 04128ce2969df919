-- beside servers from migration 39 on
-- The summary finds the oldest open operation by its id, and nobody asks for the time any more.
drop index operations_open_created;

-- A campaign moves rows from one end of partial indexes to the other. What it leaves is read by each query that begins at
-- that end, until a vacuum comes: by PostgreSQL's own rule after a fifth of the table has changed.
alter table operations set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

alter table certificates set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

alter table phone_lscs set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

alter table campaign_phones set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
