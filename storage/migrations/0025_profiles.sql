-- beside servers from migration 20 on
-- An administrator's decisions for many phones at once. Profile 1 is there from the start and never changes. Phones
-- have it until another is applied, so the column needs no row to be written.
create table profiles (
  id bigint generated always as identity primary key,
  name text collate "C" not null unique check (char_length(name) between 1 and 64),
  description text not null default '' check (char_length(description) <= 200),
  mode text not null check (mode in ('nonsecure', 'authenticated', 'encrypted')),
  settings jsonb not null default '{}' check (jsonb_typeof(settings) = 'object'),
  revision bigint not null default 1,
  created_at timestamptz not null default now(),
  changed_at timestamptz not null default now()
);
create function check_profile() returns trigger language plpgsql as $$
begin
  if old.id = 1 then
    raise exception 'the first profile never changes' using errcode = 'check_violation';
  end if;
  return case when tg_op = 'DELETE' then old else new end;
end $$;
insert into profiles (name, description, mode)
  values ('nonsecure', 'Every phone until another profile is applied', 'nonsecure');
create trigger profiles_check before update or delete on profiles for each row execute function check_profile();
grant select, insert, delete on profiles to capf_server;
grant update (name, description, mode, settings, revision, changed_at) on profiles to capf_server;

alter table phones add column profile_id bigint not null default 1;
grant update (profile_id) on phones to capf_server;

alter table phones add constraint phones_profile_id_fkey foreign key (profile_id) references profiles not valid;

alter table phones validate constraint phones_profile_id_fkey;

-- Queries say profile_id <> 1, so that the phones of the first profile are in no index. A removed phone has that one.
create index concurrently phones_profile on phones (profile_id, id) where profile_id <> 1;

create index concurrently phones_profile_page on phones (profile_id, device) include (id) where profile_id <> 1;

-- A phone's own values, which come before its profile's; a phone without any has no row.
create table phone_settings (
  phone_id bigint primary key references phones,
  settings jsonb not null check (jsonb_typeof(settings) = 'object')
);
grant select, insert, delete on phone_settings to capf_server;
grant update (settings) on phone_settings to capf_server;

-- The MIC that each phone present authenticated by, whole. A phone whose MIC was remembered before has no row until it
-- comes with it again.
create table phone_mics (
  phone_id bigint primary key references phones,
  sha256 digest not null,
  der bytea not null check (octet_length(der) between 1 and 16384),
  not_before timestamptz not null,
  not_after timestamptz not null
);
grant select, insert, delete on phone_mics to capf_server;
grant update (sha256, der, not_before, not_after) on phone_mics to capf_server;

-- A phone that is removed keeps no profile in use, and one that is added under its name inherits nothing.
create function forget_profile() returns trigger language plpgsql as $$
begin
  new.profile_id := 1;
  return new;
end $$;
create trigger phones_removed_profile before update of removed_at on phones for each row
  when (old.removed_at is null and new.removed_at is not null) execute function forget_profile();
create or replace function drop_phone_rows() returns trigger language plpgsql security definer
  set search_path = public, pg_temp as $$
begin
  delete from phone_lscs where phone_id = new.id;
  delete from phone_sightings where phone_id = new.id;
  delete from phone_operations where phone_id = new.id;
  delete from phone_tags where phone_id = new.id;
  delete from phone_settings where phone_id = new.id;
  delete from phone_mics where phone_id = new.id;
  return null;
end $$;

-- The cluster security mode: one row.
create table site_security (
  only_one boolean primary key default true check (only_one),
  mode text not null default 'nonsecure' check (mode in ('nonsecure', 'mixed')),
  changed_at timestamptz not null default now()
);
insert into site_security default values;
grant select on site_security to capf_server;
grant update (mode, changed_at) on site_security to capf_server;

-- The settings that profiles and phones rest on, as each server of the site has them. Null: of a version before.
alter table servers add column settings jsonb;
