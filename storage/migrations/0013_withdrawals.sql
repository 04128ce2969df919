-- What was taken away for good, in the order of the record. Each server keeps what it has seen of it beside its keys, where
-- a database that is restored does not bring it back.
create table withdrawals (
  id bigint generated always as identity primary key,
  xid xid8 not null default record_transaction(pg_current_xact_id()),
  kind text not null check (kind in ('administrator', 'certificate', 'key', 'removed_phone', 'blocked_phone')),
  sha256 digest,
  phone_id bigint,
  device text,
  block text not null default '',
  undone boolean not null default false,
  check ((sha256 is not null) = (kind in ('administrator', 'certificate', 'key'))),
  check ((phone_id is not null) = (kind in ('removed_phone', 'blocked_phone')))
);
create index withdrawals_order on withdrawals (xid, id);
create trigger withdrawals_append_only before update or delete or truncate on withdrawals
  for each statement execute function refuse_change();
grant select on withdrawals to capf_server;

-- The server's role may not add one: they follow from what it does.
create function withdraw() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  case tg_argv[0]
    when 'administrator' then
      if old.certificate_sha256 <> new.certificate_sha256 or new.disabled_at is not null then
        insert into withdrawals (kind, sha256) values ('administrator', old.certificate_sha256);
      end if;
      if new.disabled_at is null then
        insert into withdrawals (kind, sha256, undone) values ('administrator', new.certificate_sha256, true);
      end if;
    when 'certificate' then
      if tg_op = 'INSERT' then
        insert into withdrawals (kind, sha256, block) values ('certificate', new.sha256, to_jsonb(new)::text);
      else
        insert into withdrawals (kind, sha256, undone) values ('certificate', old.sha256, true);
      end if;
    when 'key' then
      insert into withdrawals (kind, sha256) values ('key', new.sha256);
    when 'removed_phone' then
      insert into withdrawals (kind, phone_id, device) values ('removed_phone', new.id, new.device);
    when 'blocked_phone' then
      insert into withdrawals (kind, phone_id, device, undone)
        values ('blocked_phone', new.id, new.device, new.blocked_at is null);
  end case;
  return null;
end $$;
create trigger administrators_withdrawn after update on administrators for each row
  when (old.disabled_at is distinct from new.disabled_at or old.certificate_sha256 <> new.certificate_sha256)
  execute function withdraw('administrator');
create trigger blocked_certificates_withdrawn after insert or delete on blocked_certificates for each row
  execute function withdraw('certificate');
create trigger public_keys_inserted after insert on public_keys for each row when (new.compromised)
  execute function withdraw('key');
create trigger public_keys_withdrawn after update on public_keys for each row
  when (new.compromised and not old.compromised) execute function withdraw('key');
create trigger phones_removal_withdrawn after update on phones for each row
  when (old.removed_at is null and new.removed_at is not null) execute function withdraw('removed_phone');
create trigger phones_block_withdrawn after update on phones for each row
  when ((old.blocked_at is null) <> (new.blocked_at is null)) execute function withdraw('blocked_phone');

insert into withdrawals (kind, sha256)
  select 'administrator', certificate_sha256 from administrators where disabled_at is not null order by name;
insert into withdrawals (kind, sha256, block)
  select 'certificate', sha256, to_jsonb(b)::text from blocked_certificates b order by id;
insert into withdrawals (kind, sha256) select 'key', sha256 from public_keys where compromised order by sha256;
insert into withdrawals (kind, phone_id, device)
  select 'removed_phone', id, device from phones where removed_at is not null order by id;
insert into withdrawals (kind, phone_id, device)
  select 'blocked_phone', id, device from phones where removed_at is null and blocked_at is not null order by id;

-- Places of withdrawals go on as those of events do.
create or replace function adopt_cluster() returns boolean language plpgsql security definer
  set search_path = public, pg_temp as $$
declare
  made_up constant xid8 := '4611686018427387904';
  greatest_xid constant bigint := greatest(
    (select xid from audit_events where xid < made_up order by xid desc limit 1)::text::bigint,
    (select xid from withdrawals where xid < made_up order by xid desc limit 1)::text::bigint,
    (select last_xid from audit_seals where last_xid < made_up order by number desc limit 1)::text::bigint);
begin
  perform from transaction_offset for update;
  update transaction_offset set value = greatest_xid + 1
    where greatest_xid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint + value;
  return found;
end $$;
