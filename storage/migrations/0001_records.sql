-- The records of a site. The owner of the database makes them; the server's role, capf_server, works with them.
-- Rows of phones, operations, certificates and events are never deleted.

revoke create on schema public from public;
do $$ begin execute format('revoke temporary on database %I from public', current_database()); end $$;

-- Times leave the database as microseconds since 1970: exact, and without a session's time zone.
create function microseconds(timestamptz) returns bigint language sql stable parallel safe
  return (extract(epoch from $1) * 1000000)::bigint;

create domain digest as bytea check (octet_length(value) = 32);
create domain reason as text check (value ~ '^[A-Z][A-Z0-9_]{0,63}$');
create domain words as text check (char_length(value) <= 1000);

-- Phones -------------------------------------------------------------------------------------------------------------

create table phones (
  id bigint generated always as identity primary key,
  device text collate "C" not null check (device ~ '^[A-Za-z0-9]([A-Za-z0-9._-]{0,48}[A-Za-z0-9])?$'),
  model text not null default '' check (char_length(model) <= 64),
  created_at timestamptz not null default now(),
  removed_at timestamptz,
  blocked_at timestamptz,
  mic_sha256 digest,
  self_service_stopped_at timestamptz
);
create unique index phones_device on phones (device) where removed_at is null;
create index phones_any_device on phones (device);
create index phones_present on phones (id) where removed_at is null;
create index phones_blocked on phones (id) where removed_at is null and blocked_at is not null;

-- Apart from phones, so that a stranger's try never waits for the phone's own transaction.
create table phone_attempts (
  phone_id bigint primary key references phones,
  at timestamptz not null,
  address text not null check (char_length(address) <= 64),
  transport text not null check (transport in ('grpc', 'wire')),
  kind text not null check (kind in ('install', 'delete', 'troubleshoot')),
  reason reason not null,
  message words not null
) with (fillfactor = 70);

-- How many phones there are, for monitoring: counting ten million rows each minute is no way.
create table totals (
  one boolean primary key default true check (one),
  phones bigint not null check (phones >= 0)
);
insert into totals (phones) values (0);

create function count_added_phones() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  update totals set phones = phones + (select count(*) from added where removed_at is null);
  return null;
end $$;
create function count_removed_phones() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if old.removed_at is not null then
    raise exception 'phone % was removed', old.id using errcode = 'check_violation';
  end if;
  if new.removed_at is not null then
    update totals set phones = phones - 1;
  end if;
  return null;
end $$;
create trigger phones_added after insert on phones referencing new table as added
  for each statement execute function count_added_phones();
create trigger phones_removed after update of removed_at on phones
  for each row execute function count_removed_phones();

-- Operations ---------------------------------------------------------------------------------------------------------

-- Drawn before the row exists: the authentication string's hash contains the operation's id.
create sequence operation_ids;

create table operations (
  id bigint primary key check (id > 0),
  phone_id bigint not null references phones,
  kind text not null check (kind in ('install', 'delete', 'troubleshoot')),
  state text not null default 'pending'
    check (state in ('pending', 'in_progress', 'issued', 'succeeded', 'failed', 'expired', 'cancelled')),
  auth text not null check (auth in ('string', 'null', 'lsc', 'mic')),
  key_order text not null check (key_order in ('rsa', 'ec', 'ec-rsa')),
  rsa_bits integer not null check (rsa_bits in (1024, 2048, 3072, 4096)),
  ec_bits integer not null check (ec_bits in (256, 384, 521)),
  self_service boolean not null,
  created_by text not null check (char_length(created_by) <= 64),
  created_at timestamptz not null default now(),
  completes_by timestamptz not null,
  finished_at timestamptz,
  reason reason,
  message words not null default '',
  string_mac bytea check (octet_length(string_mac) between 16 and 64),
  string_digits integer not null default 0 check (string_digits between 0 and 10),
  certificates integer not null default 0 check (certificates between 0 and 5),
  failures integer not null default 0 check (failures >= 0),
  authenticated_by text check (authenticated_by in ('none', 'string', 'lsc', 'foreign_lsc', 'mic')),
  authenticated_certificate digest,
  expired_mic boolean not null default false,
  check ((finished_at is null) = (state in ('pending', 'in_progress', 'issued'))),
  check (string_mac is null or (auth = 'string' and finished_at is null)),
  check (state = 'pending' or finished_at is not null or authenticated_by is not null)
) with (fillfactor = 80);
-- One open operation for each phone.
create unique index operations_open on operations (phone_id) where finished_at is null;
create index operations_phone on operations (phone_id, id);
create index operations_state on operations (state, id);
create index operations_kind on operations (kind, id);
create index operations_open_id on operations (id) where finished_at is null;
create index operations_open_state on operations (state) where finished_at is null;
create index operations_open_created on operations (created_at) where finished_at is null;
create index operations_deadline on operations (completes_by) where finished_at is null;
create index operations_finished on operations (finished_at, state, reason) where finished_at is not null;

-- The table of transitions, as may_become() in capf/domain/operation.cc has it: an open operation becomes anything but
-- pending, an ended one stays as it is.
create function check_operation() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    if new.state <> 'pending' then
      raise exception 'an operation begins as pending' using errcode = 'check_violation';
    end if;
  elsif old.finished_at is not null then
    raise exception 'operation % has ended', old.id using errcode = 'check_violation';
  elsif new.state = 'pending' and old.state <> 'pending' then
    raise exception 'operation % was begun', old.id using errcode = 'check_violation';
  end if;
  return new;
end $$;
create trigger operations_check before insert or update on operations
  for each row execute function check_operation();

-- Issuers and certificates -------------------------------------------------------------------------------------------

create table issuers (
  id bigint primary key check (id > 0),
  subject text not null,
  sha256 digest not null unique,
  der bytea not null,
  chain_der bytea not null default '',
  not_before timestamptz not null,
  not_after timestamptz not null,
  active boolean not null,
  shards integer not null check (shards > 0)
);
create unique index issuers_active on issuers (active) where active;

create table certificates (
  id bigint generated always as identity primary key,
  kind text not null check (kind in ('lsc', 'handed_over')),
  sha256 digest not null,
  serial bytea not null check (octet_length(serial) between 1 and 128),
  issuer_id bigint references issuers,
  issuer text not null,
  phone_id bigint not null references phones,
  operation_id bigint references operations,
  key_sha256 digest not null,
  der bytea not null check (octet_length(der) between 1 and 65536),
  not_before timestamptz not null,
  not_after timestamptz not null,
  issued_at timestamptz not null default now(),
  possession text not null check (possession in ('pkcs10', 'none')),
  shard integer not null check (shard >= 0),
  confirmed_at timestamptz,
  superseded_at timestamptz,
  revoked_at timestamptz,
  revocation_reason integer check (revocation_reason in (0, 1, 2, 3, 4, 5, 6, 9, 10)),
  check ((kind = 'lsc') = (issuer_id is not null)),
  check (kind = 'lsc' or (confirmed_at is null and revoked_at is null)),
  check (kind = 'handed_over' or octet_length(serial) <= 20),
  check ((revoked_at is null) = (revocation_reason is null)),
  check ((superseded_at is not null) = (revocation_reason is not null and revocation_reason = 4))
);
create unique index certificates_lsc on certificates (sha256) where kind = 'lsc';
create unique index certificates_handed_over on certificates (phone_id, sha256) where kind = 'handed_over';
create unique index certificates_issuer_serial on certificates (issuer_id, serial) where kind = 'lsc';
create unique index certificates_operation_key on certificates (operation_id, key_sha256) where kind = 'lsc';
-- Without leading zero octets, as people write it.
create index certificates_serial on certificates (ltrim(serial, '\x00'::bytea));
create index certificates_phone on certificates (phone_id, id);
create index certificates_kind on certificates (kind, id);
create index certificates_live on certificates (phone_id) where kind = 'lsc' and revoked_at is null;
create index certificates_live_not_after on certificates (not_after) where kind = 'lsc' and revoked_at is null;
create index certificates_unconfirmed on certificates (not_after)
  where kind = 'lsc' and revoked_at is null and confirmed_at is null;
create index certificates_confirmed on certificates (phone_id) where confirmed_at is not null;
create index certificates_not_after on certificates (not_after);
create index certificates_superseded on certificates (id) where superseded_at is not null;
create index certificates_revoked on certificates (id) where revoked_at is not null and superseded_at is null;
create index certificates_issued on certificates (id) where revoked_at is null and confirmed_at is null;
create index certificates_confirmed_id on certificates (id) where revoked_at is null and confirmed_at is not null;

-- Narrow: CRLs and OCSP read it, and nothing else of a certificate.
create table revocations (
  issuer_id bigint not null references issuers,
  serial bytea not null,
  shard integer not null,
  revoked_at timestamptz not null,
  reason smallint not null check (reason in (0, 1, 2, 3, 4, 5, 6, 9, 10)),
  expires_at timestamptz not null,
  primary key (issuer_id, serial)
);
create index revocations_shard on revocations (issuer_id, shard, expires_at);

-- A key belongs to one owner for ever.
create table public_keys (
  sha256 digest primary key,
  owner text not null check (owner in ('phone', 'mic', 'issuer', 'site', 'administrator', 'blocked')),
  phone_id bigint references phones,
  compromised boolean not null default false,
  recorded_at timestamptz not null default now(),
  check (owner <> 'phone' or phone_id is not null)
);

-- Trust and administrators -------------------------------------------------------------------------------------------

create table trust_anchors (
  sha256 digest primary key,
  store text not null check (store in ('mic', 'lsc')),
  der bytea not null check (octet_length(der) between 1 and 65536),
  subject text not null,
  not_before timestamptz not null,
  not_after timestamptz not null,
  devices text not null check (devices ~ '^[A-Za-z0-9._*-]{1,64}$'),
  models text not null check (models ~ '^[A-Za-z0-9._*-]{1,64}$'),
  allow_sha1 boolean not null,
  min_rsa_bits integer not null check (min_rsa_bits between 1024 and 16384),
  allow_expired_until timestamptz,
  ends_at timestamptz,
  added_at timestamptz not null default now(),
  added_by text not null,
  check (store <> 'lsc' or ends_at is not null)
);
create table trust_revision (
  one boolean primary key default true check (one),
  revision bigint not null
);
insert into trust_revision (revision) values (1);
create function next_trust_revision() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  update trust_revision set revision = revision + 1;
  return null;
end $$;
create trigger trust_anchors_revision after insert or update or delete on trust_anchors
  for each row execute function next_trust_revision();

create table administrators (
  name text primary key check (name ~ '^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$'),
  role text not null check (role in ('admin', 'operator', 'auditor', 'monitor')),
  certificate_sha256 digest not null unique,
  certificate_not_after timestamptz not null,
  created_at timestamptz not null default now(),
  created_by text not null,
  disabled_at timestamptz
);

-- The record ---------------------------------------------------------------------------------------------------------

create table audit_events (
  id bigint generated always as identity primary key,
  -- Readers of changes take what no running transaction can still precede.
  xid xid8 not null default pg_current_xact_id(),
  at timestamptz not null default now(),
  actor_kind text not null check (actor_kind in ('administrator', 'device', 'system')),
  actor text not null check (char_length(actor) <= 128),
  address text not null check (char_length(address) <= 64),
  action text not null check (action ~ '^[a-z_]+\.[a-z_]+$' and char_length(action) <= 64),
  subject text not null check (char_length(subject) <= 256),
  operation_id bigint references operations,
  outcome text not null check (outcome in ('done', 'refused')),
  reason reason,
  detail words not null
);
create index audit_events_subject on audit_events (subject, id);
create index audit_events_actor on audit_events (actor, id);
create index audit_events_object on audit_events (split_part(action, '.', 1), id);
create index audit_events_at on audit_events (at);
create index audit_events_changes on audit_events (xid, id) where operation_id is not null;

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'audit events are never changed' using errcode = 'insufficient_privilege';
end $$;
create trigger audit_events_append_only before update or delete or truncate on audit_events
  for each statement execute function refuse_change();

create table refusals (
  minute timestamptz not null,
  address_block text not null check (char_length(address_block) <= 64),
  reason reason not null,
  device text not null check (char_length(device) <= 50),
  count bigint not null,
  primary key (minute, address_block, reason, device)
) with (fillfactor = 80);
create table refusal_minutes (
  minute timestamptz primary key,
  rows integer not null
) with (fillfactor = 50);

-- Counts a refusal. A minute has at most `largest` rows and ten minutes twice as many, so that a flood from many
-- addresses does not fill the disk; beyond that there is one row for each reason.
create function count_refusal(the_block text, the_reason text, the_device text, largest integer) returns void
language plpgsql as $$
declare
  this_minute constant timestamptz := date_trunc('minute', now());
  its_rows integer;
begin
  update refusals set count = count + 1
    where minute = this_minute and address_block = the_block and reason = the_reason and device = the_device;
  if found then
    return;
  end if;
  if (select coalesce(sum(rows), 0) < 2 * largest from refusal_minutes
      where minute > this_minute - interval '10 minutes') then
    insert into refusal_minutes as m (minute, rows) values (this_minute, 1)
      on conflict (minute) do update set rows = m.rows + 1 where m.rows < largest
      returning rows into its_rows;
  end if;
  if its_rows is null then
    the_block := '*';
    the_device := '';
  end if;
  insert into refusals as r (minute, address_block, reason, device, count)
    values (this_minute, the_block, the_reason, the_device, 1)
    on conflict (minute, address_block, reason, device) do update set count = r.count + 1;
end $$;

-- Wrong authentication strings ---------------------------------------------------------------------------------------
-- Locks are taken in the order device_strings, address_strings, operation_strings; rows of address_device_strings are
-- their device's.

create table device_strings (
  phone_id bigint primary key references phones,
  count integer not null default 0,
  locked_until timestamptz,
  counted_at timestamptz not null default now()
) with (fillfactor = 70);
create table address_device_strings (
  phone_id bigint not null references phones,
  address_block text not null check (char_length(address_block) <= 64),
  count integer not null,
  since timestamptz not null,
  primary key (phone_id, address_block)
) with (fillfactor = 70);
create index address_device_strings_since on address_device_strings (since);
create table address_strings (
  address_block text primary key check (char_length(address_block) <= 64),
  count integer not null,
  since timestamptz not null
) with (fillfactor = 70);
create index address_strings_since on address_strings (since);
-- While the operation is open.
create table operation_strings (
  operation_id bigint primary key references operations,
  count integer not null default 0,
  largest integer not null check (largest > 0)
) with (fillfactor = 70);

create function string_refusal(the_phone bigint, the_operation bigint, the_block text, per_pair integer,
                               per_address integer) returns text language plpgsql as $$
begin
  if exists (select from address_strings where address_block = the_block and count >= per_address
             and since > now() - interval '1 hour')
     or exists (select from address_device_strings where phone_id = the_phone and address_block = the_block
                and count >= per_pair and since > now() - interval '1 hour') then
    return 'ADDRESS_LIMITED';
  end if;
  if exists (select from device_strings where phone_id = the_phone and locked_until > now()) then
    return 'AUTH_STRING_LOCKED';
  end if;
  if not exists (select from operation_strings where operation_id = the_operation and count < largest) then
    return 'AUTH_STRING_EXHAUSTED';
  end if;
  return null;
end $$;

-- Counts a string that is about to be compared in every place, or in none and says why.
create function count_string(the_phone bigint, the_operation bigint, the_block text, per_device integer,
                             lock_for interval, per_pair integer, per_address integer) returns text
language plpgsql as $$
declare
  refusal text;
begin
  -- A flood does not queue for locks to hear what it can hear without.
  refusal := string_refusal(the_phone, the_operation, the_block, per_pair, per_address);
  if refusal is not null then
    return refusal;
  end if;

  loop
    perform from device_strings where phone_id = the_phone for update;
    exit when found;
    insert into device_strings (phone_id) values (the_phone) on conflict do nothing;
  end loop;
  loop
    perform from address_strings where address_block = the_block for update;
    exit when found;
    insert into address_strings (address_block, count, since) values (the_block, 0, now()) on conflict do nothing;
  end loop;
  perform from operation_strings where operation_id = the_operation for update;
  refusal := string_refusal(the_phone, the_operation, the_block, per_pair, per_address);
  if refusal is not null then
    return refusal;
  end if;

  -- After a lock that has run out it starts again.
  update device_strings set counted_at = now(),
      count = case when locked_until is null then count + 1 else 1 end,
      locked_until = case when locked_until is null and count + 1 >= per_device then now() + lock_for end
    where phone_id = the_phone;
  insert into address_device_strings as s (phone_id, address_block, count, since)
    values (the_phone, the_block, 1, now())
    on conflict (phone_id, address_block) do update set
      count = case when s.since > now() - interval '1 hour' then s.count + 1 else 1 end,
      since = case when s.since > now() - interval '1 hour' then s.since else now() end;
  update address_strings set
      count = case when since > now() - interval '1 hour' then count + 1 else 1 end,
      since = case when since > now() - interval '1 hour' then since else now() end
    where address_block = the_block;
  update operation_strings set count = count + 1 where operation_id = the_operation;
  return null;
end $$;

-- The same for a string that is compared with nothing. Beyond `largest` addresses new ones are not written down:
-- nothing is at stake, and a flood must not fill the disk.
create function count_strangers_string(the_block text, per_address integer, largest integer) returns text
language plpgsql as $$
declare
  its_count integer;
begin
  if exists (select from address_strings where address_block = the_block and count >= per_address
             and since > now() - interval '1 hour') then
    return 'ADDRESS_LIMITED';
  end if;
  if not exists (select from address_strings where address_block = the_block)
     and (select count(*) from (select from address_strings limit largest) as known) >= largest then
    return null;
  end if;
  insert into address_strings as s (address_block, count, since) values (the_block, 1, now())
    on conflict (address_block) do update set
      count = case when s.since > now() - interval '1 hour' then s.count + 1 else 1 end,
      since = case when s.since > now() - interval '1 hour' then s.since else now() end
      where s.count < per_address or s.since <= now() - interval '1 hour'
    returning count into its_count;
  return case when its_count is null then 'ADDRESS_LIMITED' end;
end $$;

-- Takes back what count_string() counted, and clears the device.
create function forgive_string(the_phone bigint, the_operation bigint, the_block text) returns void
language plpgsql as $$
begin
  update device_strings set count = 0, locked_until = null where phone_id = the_phone;
  update address_device_strings set count = count - 1
    where phone_id = the_phone and address_block = the_block and count > 0;
  update address_strings set count = count - 1 where address_block = the_block and count > 0;
  update operation_strings set count = count - 1 where operation_id = the_operation and count > 0;
end $$;

create table leases (
  name text primary key check (char_length(name) <= 64),
  holder text not null check (char_length(holder) <= 128),
  expires_at timestamptz not null
);

-- What the server may do ---------------------------------------------------------------------------------------------

grant usage on schema public to capf_server;
grant usage on sequence operation_ids to capf_server;
grant select on schema_migrations, phones, phone_attempts, totals, operations, issuers, certificates, revocations,
  public_keys, trust_anchors, trust_revision, administrators, audit_events, refusals, refusal_minutes, device_strings,
  address_device_strings, address_strings, operation_strings, leases to capf_server;
grant insert on phones, phone_attempts, operations, issuers, certificates, revocations, public_keys, trust_anchors,
  administrators, audit_events, refusals, refusal_minutes, device_strings, address_device_strings, address_strings,
  operation_strings, leases to capf_server;
grant update (model, removed_at, blocked_at, mic_sha256, self_service_stopped_at) on phones to capf_server;
grant update on phone_attempts, refusals, refusal_minutes, device_strings, address_device_strings, address_strings,
  operation_strings, leases to capf_server;
grant update (state, finished_at, reason, message, string_mac, certificates, failures, authenticated_by,
  authenticated_certificate, expired_mic) on operations to capf_server;
grant update (active) on issuers to capf_server;
grant update (confirmed_at, superseded_at, revoked_at, revocation_reason) on certificates to capf_server;
grant update (compromised) on public_keys to capf_server;
grant update (disabled_at) on administrators to capf_server;
grant delete on trust_anchors, device_strings, address_device_strings, address_strings, operation_strings to capf_server;
