-- The name of an administrator who was disabled may be given to another certificate. The former row stays with its dates
-- and its certificate, which is refused as before.

alter table administrators drop constraint administrators_pkey;
alter table administrators add column id bigint generated always as identity primary key;
create unique index administrators_enabled_name on administrators (name) where disabled_at is null;
create index administrators_name on administrators (name);
