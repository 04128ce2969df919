-- beside servers from migration 20 on
-- An administrator's certificate that was renewed counts beside its successor until `ends_at`, so that an answer that is
-- lost locks nobody out. A server of the version before takes it as long as it is valid, and counts it as another admin.
alter table administrators add column ends_at timestamptz;

grant update (ends_at) on administrators to capf_server;

-- The server's role may not write roles otherwise: of one name at a time, of nobody who is disabled, and never without an
-- event.
create function change_administrator_role(who text, becomes text) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  update administrators set role = becomes where name = who and disabled_at is null;
  if not found then return false; end if;
  insert into audit_events (actor_kind, actor, address, action, subject, outcome, detail)
    values ('system', 'database', '', 'administrator.role', who, 'done', 'role ' || becomes);
  return true;
end $$;
revoke all on function change_administrator_role(text, text) from public;
grant execute on function change_administrator_role(text, text) to capf_server;

create unique index concurrently administrators_current_name on administrators (name)
  where disabled_at is null and ends_at is null;

drop index administrators_enabled_name;
