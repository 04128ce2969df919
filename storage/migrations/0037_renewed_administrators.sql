-- beside servers from migration 20 on
-- An administrator's certificate that was renewed counts beside its successor until `ends_at`, so that an answer that is
-- lost locks nobody out. A server of the version before takes it as long as it is valid, and counts it as another admin.
alter table administrators add column ends_at timestamptz;

grant update (role, ends_at) on administrators to capf_server;

create unique index concurrently administrators_current_name on administrators (name)
  where disabled_at is null and ends_at is null;

drop index administrators_enabled_name;
