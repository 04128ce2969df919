-- beside servers from migration 20 on
-- A page of a selection is in the order of names. Each table by which phones are selected has the phone's name, so that
-- an index has the phones of a property in that order, whatever share of the fleet they are. A name never changes.
alter table phone_tags add column device text collate "C";
create function name_tagged_phone() returns trigger language plpgsql as $$
begin
  new.device := (select device from phones where id = new.phone_id);
  return new;
end $$;
create trigger phone_tags_named before insert on phone_tags for each row when (new.device is null)
  execute function name_tagged_phone();

alter table phone_lscs add column device text collate "C";
alter table phone_sightings add column device text collate "C";
-- The outcome of each phone present: of its open operation, else of the last one. An operation is written here when
-- it is scheduled and when it ends; the states of an open one are in operations alone.
create table phone_operations (
  phone_id bigint primary key references phones,
  device text collate "C" not null,
  outcome text not null default 'none'
    check (outcome in ('none', 'open', 'succeeded', 'failed', 'expired', 'cancelled')),
  operation_id bigint,
  auth text,
  reason reason,
  created_at timestamptz,
  completes_by timestamptz,
  check ((outcome = 'none') = (operation_id is null))
);
grant select on phone_operations to capf_server;
create or replace function keep_phone_rows() returns trigger language plpgsql security definer
  set search_path = public, pg_temp as $$
begin
  insert into phone_lscs (phone_id, device) select id, device from added where removed_at is null;
  insert into phone_sightings (phone_id, device) select id, device from added where removed_at is null;
  insert into phone_operations (phone_id, device) select id, device from added where removed_at is null;
  return null;
end $$;
create or replace function drop_phone_rows() returns trigger language plpgsql security definer
  set search_path = public, pg_temp as $$
begin
  delete from phone_lscs where phone_id = new.id;
  delete from phone_sightings where phone_id = new.id;
  delete from phone_operations where phone_id = new.id;
  delete from phone_tags where phone_id = new.id;
  return null;
end $$;

-- The function gets its text with the indexes, which it reads.
create function pass_changed_rows(name text) returns void language sql as 'select';

-- Each phone present has its rows from here on, so that a change of its operation or certificate only updates them. One
-- trigger for a statement counts revisions, which locks the phones, and then keeps the rows.
create function keep_phone_operations() returns trigger language plpgsql security definer
  set search_path = public, pg_temp as $$
declare
  phones integer;
begin
  update phones set revision = revision + 1
    where id = any (array(select distinct phone_id from changed order by 1))
      and xmin <> pg_current_xact_id()::xid;
  get diagnostics phones = row_count;
  if tg_op = 'INSERT' or exists (select from changed where finished_at is not null) then
    update phone_operations p
      set outcome = case when c.finished_at is null then 'open' else c.state end, operation_id = c.id, auth = c.auth,
          reason = c.reason, created_at = c.created_at, completes_by = c.completes_by
      from changed c where p.phone_id = c.phone_id and p.phone_id = any (array(select phone_id from changed))
        and (p.operation_id is null or p.operation_id <= c.id) and (tg_op = 'INSERT' or c.finished_at is not null);
  end if;
  if phones > 100 then
    perform pass_changed_rows(
      (select min(p.device) from phones p where p.id = any (array(select phone_id from changed))));
  end if;
  return null;
end $$;
drop trigger operations_added_revision on operations;
drop trigger operations_changed_revision on operations;
create trigger operations_added_revision after insert on operations referencing new table as changed
  for each statement execute function keep_phone_operations();
create trigger operations_changed_revision after update on operations referencing new table as changed
  for each statement execute function keep_phone_operations();
create or replace function keep_phone_sighting() returns trigger language plpgsql security definer
  set search_path = public, pg_temp as $$
declare
  seen timestamptz := to_timestamp(floor(extract(epoch from now()) / 300) * 300);
begin
  update phone_sightings set first_seen = coalesce(first_seen, seen), last_seen = seen
    where phone_id = new.phone_id and last_seen < seen;
  return null;
end $$;

create or replace function keep_phone_lscs() returns trigger language plpgsql security definer
  set search_path = public, pg_temp as $$
declare
  phones integer;
begin
  update phones set revision = revision + 1
    where id = any (array(select distinct phone_id from changed order by 1))
      and xmin <> pg_current_xact_id()::xid;
  get diagnostics phones = row_count;
  if exists (select from changed where confirmed_at is not null) then
    update phone_lscs l set lsc = n.lsc, not_after = n.not_after, issuer_id = n.issuer_id
      from (select distinct phone_id from changed where confirmed_at is not null) c, lsc_of_phone(c.phone_id) n
      where l.phone_id = c.phone_id and l.phone_id = any (array(select phone_id from changed))
        and (l.lsc, l.not_after, l.issuer_id) is distinct from (n.lsc, n.not_after, n.issuer_id);
  end if;
  if phones > 100 then
    perform pass_changed_rows(
      (select min(p.device) from phones p where p.id = any (array(select phone_id from changed))));
  end if;
  return null;
end $$;
drop trigger certificates_added_revision on certificates;
drop trigger certificates_changed_revision on certificates;
drop trigger certificates_removed_revision on certificates;

-- The phones that were there before, in steps. Whoever schedules or ends an operation has locked the phone, and waits for
-- the step that fills its row.
create function fill_phone_rows(part integer, parts integer) returns void language plpgsql as $$
begin
  perform from phones where removed_at is null and id % parts = part order by id for no key update;
  insert into phone_operations (phone_id, device, outcome, operation_id, auth, reason, created_at, completes_by)
    select p.id, p.device, case when o.id is null then 'none' when o.finished_at is null then 'open' else o.state end,
        o.id, o.auth, o.reason, o.created_at, o.completes_by
      from phones p left join lateral (select * from operations where phone_id = p.id
        order by phone_id desc, id desc limit 1) o on true
      where p.removed_at is null and p.id % parts = part
    on conflict do nothing;
  update phone_lscs l set device = p.device from phones p
    where p.id = l.phone_id and l.phone_id % parts = part and l.device is null;
  update phone_sightings s set device = p.device from phones p
    where p.id = s.phone_id and s.phone_id % parts = part and s.device is null;
  update phone_tags t set device = p.device from phones p
    where p.id = t.phone_id and t.phone_id % parts = part and t.device is null;
end $$;

select fill_phone_rows(0, 32);

select fill_phone_rows(1, 32);

select fill_phone_rows(2, 32);

select fill_phone_rows(3, 32);

select fill_phone_rows(4, 32);

select fill_phone_rows(5, 32);

select fill_phone_rows(6, 32);

select fill_phone_rows(7, 32);

select fill_phone_rows(8, 32);

select fill_phone_rows(9, 32);

select fill_phone_rows(10, 32);

select fill_phone_rows(11, 32);

select fill_phone_rows(12, 32);

select fill_phone_rows(13, 32);

select fill_phone_rows(14, 32);

select fill_phone_rows(15, 32);

select fill_phone_rows(16, 32);

select fill_phone_rows(17, 32);

select fill_phone_rows(18, 32);

select fill_phone_rows(19, 32);

select fill_phone_rows(20, 32);

select fill_phone_rows(21, 32);

select fill_phone_rows(22, 32);

select fill_phone_rows(23, 32);

select fill_phone_rows(24, 32);

select fill_phone_rows(25, 32);

select fill_phone_rows(26, 32);

select fill_phone_rows(27, 32);

select fill_phone_rows(28, 32);

select fill_phone_rows(29, 32);

select fill_phone_rows(30, 32);

select fill_phone_rows(31, 32);

drop function fill_phone_rows(integer, integer);

alter table phone_lscs add constraint phone_lscs_named check (device is not null) not valid;
alter table phone_sightings add constraint phone_sightings_named check (device is not null) not valid;
alter table phone_tags add constraint phone_tags_named check (device is not null) not valid;

alter table phone_lscs validate constraint phone_lscs_named;

alter table phone_sightings validate constraint phone_sightings_named;

alter table phone_tags validate constraint phone_tags_named;

-- In the order of names for each value, and in the order of time for what has a time. The former have as payload what a
-- page that reads on in them compares, and the latter the name.
create index concurrently phone_operations_page on phone_operations (outcome, auth, device)
  include (phone_id, completes_by);

create index concurrently phone_operations_reason on phone_operations (reason, device) where reason is not null;

create index concurrently phone_operations_deadline on phone_operations (completes_by)
  where completes_by is not null and outcome = 'open';

create index concurrently phone_lscs_page on phone_lscs (lsc, device) include (phone_id, not_after, issuer_id);

create index concurrently phone_lscs_end on phone_lscs (issuer_id, lsc, not_after) include (phone_id, device)
  where issuer_id is not null;

create index concurrently phone_sightings_page on phone_sightings (device) include (phone_id, last_seen);

create index concurrently phone_sightings_seen on phone_sightings (last_seen) include (phone_id, device);

create index concurrently phone_tags_page on phone_tags (tag, device) include (phone_id);

create index concurrently phones_model_page on phones (model, device) include (id)
  where model is not null and removed_at is null;

create index concurrently device_strings_locked on device_strings (locked_until) where locked_until is not null;

-- Rows that a bulk has changed leave entries in the indexes, which the next page would look up one by one. Whoever comes by
-- first marks those that nobody sees any more. A bulk goes on in the order of names, so that each batch comes by for the
-- ones before it, with as many other entries as a page has.
create or replace function pass_changed_rows(name text) returns void language sql
  set search_path = public, pg_temp as $$
  select from unnest(array['open', 'succeeded', 'failed', 'expired', 'cancelled']) o (outcome),
    unnest(array['string', 'null', 'lsc', 'mic']) a (auth),
    lateral (select from phone_operations p where p.outcome = o.outcome and p.auth = a.auth and p.device < name
      order by p.device desc limit 100) f;
  select from (select from phone_operations where outcome = 'none' and auth is null and device < name
    order by device desc limit 100) f;
  select from unnest(array['none', 'valid', 'held', 'revoked']) v (lsc),
    lateral (select from phone_lscs l where l.lsc = v.lsc and l.device < name order by l.device desc limit 100) f;
$$;

drop index phone_lscs_lsc;

drop index phone_lscs_issuer;

drop index phone_sightings_last;

drop index phone_tags_tag;

drop index phones_model;

drop index operations_reason;
