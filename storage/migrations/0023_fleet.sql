-- beside servers from migration 20 on
-- The properties that an administrator finds phones by. Those that an enrolment writes are apart from phones, whose rows
-- its statements write without writing an index; the tables here are narrow, and each has indexes of its own columns.
alter table phones add column description text not null default '' check (char_length(description) <= 128);
grant update (description) on phones to capf_server;

create table phone_tags (
  phone_id bigint not null references phones,
  tag text collate "C" not null check (tag ~ '^[A-Za-z0-9]([A-Za-z0-9._-]{0,30}[A-Za-z0-9])?$'),
  primary key (phone_id, tag)
);
create index phone_tags_tag on phone_tags (tag, phone_id);
create function check_phone_tags() returns trigger language plpgsql as $$
begin
  if exists (select from (select distinct phone_id from added) a
             where (select count(*) from phone_tags t where t.phone_id = a.phone_id) > 16) then
    raise exception 'a phone has more than 16 tags' using errcode = 'check_violation';
  end if;
  return null;
end $$;
create trigger phone_tags_few after insert on phone_tags referencing new table as added
  for each statement execute function check_phone_tags();
grant select, insert, delete on phone_tags to capf_server;

-- The bulks that have scheduled and cancelled an operation, so that a batch that is sent twice is done once.
alter table operations add column run bytea, add column cancel_run bytea;
alter table operations add constraint operations_runs
  check (octet_length(run) = 16 and octet_length(cancel_run) = 16) not valid;
grant update (cancel_run) on operations to capf_server;

alter table operations validate constraint operations_runs;

-- The LSC that each phone present uses: the latest one that it confirmed, revoked for whatever reason. An LSC that has
-- expired is valid here: only the time makes the difference.
create table phone_lscs (
  phone_id bigint primary key references phones,
  lsc text not null default 'none' check (lsc in ('none', 'valid', 'revoked', 'held')),
  not_after timestamptz,
  issuer_id bigint references issuers,
  check ((lsc = 'none') = (not_after is null)),
  check ((lsc = 'none') = (issuer_id is null))
);
create index phone_lscs_lsc on phone_lscs (lsc, not_after);
create index phone_lscs_issuer on phone_lscs (issuer_id, not_after) where issuer_id is not null;
grant select on phone_lscs to capf_server;

-- When each phone present proved who it is, rounded down to 5 minutes: a phone that comes again meanwhile writes
-- nothing. One that never came was last seen before all times.
create table phone_sightings (
  phone_id bigint primary key references phones,
  first_seen timestamptz,
  last_seen timestamptz not null default '-infinity',
  check ((first_seen is null) = (last_seen = '-infinity'))
);
create index phone_sightings_last on phone_sightings (last_seen);
grant select on phone_sightings to capf_server;

-- Planned once in a session, and by the phone alone: a phone has few certificates.
create function lsc_of_phone(the_phone bigint) returns phone_lscs language plpgsql stable as $$
declare
  its phone_lscs;
begin
  select the_phone, case when revoked_at is null then 'valid' when revocation_reason = 6 then 'held' else 'revoked' end,
         not_after, issuer_id into its
    from certificates where phone_id = the_phone and kind = 'lsc' and confirmed_at is not null
    order by id desc limit 1;
  if not found then
    its := (the_phone, 'none', null, null);
  end if;
  return its;
end $$;
create function keep_phone_lscs() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into phone_lscs as l
    select n.* from (select distinct phone_id from changed where confirmed_at is not null order by 1) c
      join phones p on p.id = c.phone_id and p.removed_at is null, lsc_of_phone(c.phone_id) n
    on conflict (phone_id) do update
      set lsc = excluded.lsc, not_after = excluded.not_after, issuer_id = excluded.issuer_id
      where (l.lsc, l.not_after, l.issuer_id) is distinct from (excluded.lsc, excluded.not_after, excluded.issuer_id);
  return null;
end $$;
create function keep_phone_sighting() returns trigger language plpgsql security definer
  set search_path = public, pg_temp as $$
declare
  seen timestamptz := to_timestamp(floor(extract(epoch from now()) / 300) * 300);
begin
  if exists (select from phone_sightings where phone_id = new.phone_id and last_seen >= seen) then
    return null;
  end if;
  insert into phone_sightings as s (phone_id, first_seen, last_seen)
    select id, seen, seen from phones where id = new.phone_id and removed_at is null
    on conflict (phone_id) do update
      set first_seen = coalesce(s.first_seen, excluded.first_seen), last_seen = excluded.last_seen
      where s.last_seen < excluded.last_seen;
  return null;
end $$;
create function keep_phone_rows() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into phone_lscs (phone_id) select id from added where removed_at is null;
  insert into phone_sightings (phone_id) select id from added where removed_at is null;
  return null;
end $$;
create function drop_phone_rows() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  delete from phone_lscs where phone_id = new.id;
  delete from phone_sightings where phone_id = new.id;
  delete from phone_tags where phone_id = new.id;
  return null;
end $$;

create trigger phones_added_rows after insert on phones referencing new table as added
  for each statement execute function keep_phone_rows();
create trigger phones_removed_rows after update of removed_at on phones for each row
  when (old.removed_at is null and new.removed_at is not null) execute function drop_phone_rows();

create trigger certificates_added_lsc after insert on certificates referencing new table as changed
  for each statement execute function keep_phone_lscs();
create trigger certificates_changed_lsc after update on certificates referencing new table as changed
  for each statement execute function keep_phone_lscs();
create trigger certificates_removed_lsc after delete on certificates referencing old table as changed
  for each statement execute function keep_phone_lscs();

-- A phone that did not have to prove who it is was not seen. Only a phone brings its operation into these states, and
-- there on; administrators and strangers end it in others.
create trigger operations_added_sighting after insert on operations for each row
  when (new.authenticated_by <> 'none') execute function keep_phone_sighting();
create trigger operations_changed_sighting after update on operations for each row
  when (new.authenticated_by <> 'none' and new.state in ('in_progress', 'issued', 'succeeded')
        and (new.session, new.state, new.certificates, new.authenticated_by)
            is distinct from (old.session, old.state, old.certificates, old.authenticated_by))
  execute function keep_phone_sighting();

-- The phones that were there before, in steps: whoever changes a phone's certificate waits for the step that fills its row.
create function fill_phone_rows(part integer, parts integer) returns void language sql
begin atomic
  insert into phone_lscs select n.* from phones p, lsc_of_phone(p.id) n
    where p.removed_at is null and p.id % parts = part order by p.id on conflict do nothing;
  insert into phone_sightings (phone_id) select id from phones
    where removed_at is null and id % parts = part order by id on conflict do nothing;
end;

select fill_phone_rows(0, 16);

select fill_phone_rows(1, 16);

select fill_phone_rows(2, 16);

select fill_phone_rows(3, 16);

select fill_phone_rows(4, 16);

select fill_phone_rows(5, 16);

select fill_phone_rows(6, 16);

select fill_phone_rows(7, 16);

select fill_phone_rows(8, 16);

select fill_phone_rows(9, 16);

select fill_phone_rows(10, 16);

select fill_phone_rows(11, 16);

select fill_phone_rows(12, 16);

select fill_phone_rows(13, 16);

select fill_phone_rows(14, 16);

select fill_phone_rows(15, 16);

drop function fill_phone_rows(integer, integer);

create index concurrently phones_model on phones (model, id) where model is not null and removed_at is null;

create index concurrently operations_reason on operations (reason, phone_id) where reason is not null;

create index concurrently phone_attempts_reason on phone_attempts (reason, phone_id);
