-- What the holder of the audit key says of a seal beside the chain: its times are of a wrong clock, or it is made up.
create table seal_remarks (
  number bigint not null check (number > 0),
  kind text not null check (kind in ('times', 'made_up')),
  words text not null check (char_length(words) between 1 and 500),
  made_at timestamptz not null default now(),
  signature bytea not null check (octet_length(signature) between 8 and 1024),
  primary key (number, signature)
);
create trigger seal_remarks_append_only before update or delete or truncate on seal_remarks
  for each statement execute function refuse_change();
grant select on seal_remarks to capf_server;
grant insert (number, kind, words, signature) on seal_remarks to capf_server;

-- A made-up seal takes the next number and no more, so that there is always one after it.
create function check_seal_number() returns trigger language plpgsql security definer
  set search_path = public, pg_temp as $$
begin
  if new.number <> (select coalesce(max(number), new.number - 1) + 1 from audit_seals) then
    raise exception 'seals have no gaps' using errcode = 'check_violation';
  end if;
  return new;
end $$;
create trigger audit_seals_in_order before insert on audit_seals for each row execute function check_seal_number();

-- No cluster gives out transactions of 2^62 and more: an event of one is made up, and nothing goes on behind it.
create or replace function adopt_cluster() returns boolean language plpgsql security definer
  set search_path = public, pg_temp as $$
declare
  made_up constant xid8 := '4611686018427387904';
  greatest_xid constant bigint := greatest(
    (select xid from audit_events where xid < made_up order by xid desc limit 1)::text::bigint,
    (select last_xid from audit_seals where last_xid < made_up order by number desc limit 1)::text::bigint);
begin
  perform from transaction_offset for update;
  update transaction_offset set value = greatest_xid + 1
    where greatest_xid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint + value;
  return found;
end $$;
