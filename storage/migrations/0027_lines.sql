-- beside servers from migration 20 on
-- Lines that phones share. Whether one is mixed is not on record: it follows from the modes of its phones' profiles.
create table lines (
  id bigint generated always as identity primary key,
  name text collate "C" not null unique check (name ~ '^[A-Za-z0-9+*#@._-]{1,64}$'),
  allow_mixed boolean not null default false,
  added_at timestamptz not null default now(),
  added_by text not null
);
grant select, insert, delete on lines to capf_server;
grant update (allow_mixed) on lines to capf_server;

-- The phone's profile stands here too, so that the lines of a profile are found without its phones, which may be a
-- million. Profile 1 never changes its mode, so that nobody looks for its lines.
create table line_members (
  line_id bigint not null references lines,
  phone_id bigint not null references phones,
  profile_id bigint not null,
  primary key (line_id, phone_id)
);
create index line_members_phone on line_members (phone_id, line_id);
create index line_members_profile on line_members (profile_id, line_id) where profile_id <> 1;
grant select, insert, delete on line_members to capf_server;

create function keep_line_members() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  update line_members set profile_id = new.profile_id where phone_id = new.id;
  return null;
end $$;
create function drop_line_members() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  delete from line_members where phone_id = new.id;
  return null;
end $$;
create trigger phones_changed_lines after update of profile_id on phones for each row
  when (old.profile_id <> new.profile_id) execute function keep_line_members();
create trigger phones_removed_lines after update of removed_at on phones for each row
  when (old.removed_at is null and new.removed_at is not null) execute function drop_line_members();
