-- The record is sealed in batches: chained, numbered without gaps, signed by the audit key.

-- Numbers of transactions order the record. A dump that is restored into another cluster brings numbers that are
-- greater than those which that cluster gives out: from then on these are counted from the greatest on record.
create table transaction_offset (
  one boolean primary key default true check (one),
  value bigint not null check (value >= 0)
);
insert into transaction_offset (value) values (0);
create function record_transaction(xid8) returns xid8 language sql stable
  return (select ($1::text::bigint + value)::text::xid8 from transaction_offset);
alter table audit_events alter column xid set default record_transaction(pg_current_xact_id());

drop index audit_events_changes;
create index audit_events_changes on audit_events (xid, id);

-- What is deleted when it is in the archive is looked for in what refers to it.
create index audit_events_operation on audit_events (operation_id) where operation_id is not null;
create index certificates_operation on certificates (operation_id) where operation_id is not null;

-- One key for a site. Verifiers take it from elsewhere.
create table audit_key (
  one boolean primary key default true check (one),
  spki bytea not null check (octet_length(spki) between 32 and 1024)
);

-- A seal covers the events after those of the one before, up to and with (last_xid, last_id), in this order.
create table audit_seals (
  number bigint primary key check (number > 0),
  sealed_at timestamptz not null,
  events integer not null check (events > 0),
  last_xid xid8 not null,
  last_id bigint not null,
  content digest not null,
  previous digest not null,
  sha256 digest not null unique,
  signature bytea not null check (octet_length(signature) between 8 and 1024)
);
create trigger audit_seals_append_only before update or delete or truncate on audit_seals
  for each statement execute function refuse_change();
create trigger audit_key_append_only before update or delete or truncate on audit_key
  for each statement execute function refuse_change();

-- Checkers look at what was issued since a time.
create index certificates_issued_at on certificates (issued_at, id) where kind = 'lsc';

-- Whether the offset had to change. Called while no server writes: at the start of each.
create function adopt_cluster() returns boolean language plpgsql security definer set search_path = public, pg_temp as $$
declare
  greatest_xid constant bigint := greatest((select xid from audit_events order by xid desc limit 1)::text::bigint,
    (select last_xid from audit_seals order by number desc limit 1)::text::bigint);
begin
  perform from transaction_offset for update;
  update transaction_offset set value = greatest_xid + 1
    where greatest_xid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint + value;
  return found;
end $$;

grant select on transaction_offset, audit_key, audit_seals to capf_server;
grant insert on audit_key, audit_seals to capf_server;

-- What is in the archive may go: deleted by the owner, who says so for one transaction; never changed.
create or replace function refuse_change() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' and current_setting('capf.archiving', true) = 'on' then
    return null;
  end if;
  raise exception 'audit events are never changed' using errcode = 'insufficient_privilege';
end $$;
