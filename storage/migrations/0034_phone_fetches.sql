-- beside servers from migration 20 on
-- The files that each phone fetched last, for administrators. A hint that proves nothing: anybody can ask for them.
create table phone_fetches (
  phone_id bigint primary key references phones on delete cascade,
  itl_generation bigint,
  ctl_generation bigint,
  configuration text check (char_length(configuration) <= 64),
  fetched_at timestamptz not null,
  address inet
);
-- For counting phones by their lists. They change with a new list alone: other fetches leave them as they are.
create index phone_fetches_itl on phone_fetches (itl_generation) where itl_generation is not null;
create index phone_fetches_ctl on phone_fetches (ctl_generation) where ctl_generation is not null;
grant select, insert, update on phone_fetches to capf_server;

-- A phone that is gone is not behind any list, and one that is added under its name gets the newest.
create function drop_phone_fetches() returns trigger language plpgsql security definer
  set search_path = public, pg_temp as $$
begin
  delete from phone_fetches where phone_id = new.id;
  delete from phone_trust_lists where phone_id = new.id;
  return null;
end $$;
create trigger phones_removed_fetches after update of removed_at on phones for each row
  when (old.removed_at is null and new.removed_at is not null) execute function drop_phone_fetches();
