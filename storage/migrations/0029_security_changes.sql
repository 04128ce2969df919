-- beside servers from migration 20 on
-- Changes that a SIP server wants to hear at once: of a security mode, an LSC that counts no more, other digest
-- credentials. Triggers write a row in the transaction of the change, for every writer: one for each phone
-- that is changed, but one alone where a profile or the site is, however many phones it has. An enrolment of a phone of
-- the first profile writes none.
create table security_changes (
  id bigint generated always as identity,
  xid xid8 not null default record_transaction(pg_current_xact_id()),
  at timestamptz not null default now(),
  kind text not null
    check (kind in ('mode_changed', 'certificate_withdrawn', 'certificate_released', 'digest_user_changed')),
  phone_id bigint,    -- of a phone
  profile_id bigint,  -- of a profile; without a phone and a profile, of the site
  mode text,          -- that a profile or the site has from then on
  reason reason,      -- why a phone's mode changed
  serial bytea,
  sha256 digest,      -- of the LSC
  revocation smallint,
  digest_user text,
  primary key (xid, id),
  check (phone_id is null or profile_id is null),
  check ((sha256 is not null) = (kind in ('certificate_withdrawn', 'certificate_released')))
);
-- The last change that was deleted: a reader who is behind it has missed some.
create table security_changes_deleted (
  only_one boolean primary key default true check (only_one),
  xid xid8 not null default '0',
  id bigint not null default 0
);
insert into security_changes_deleted default values;
-- Up to which end the phones were told whose LSC, or MIC, has ended.
create table security_ends (
  credential text primary key check (credential in ('lsc', 'mic')),
  ended_at timestamptz not null default now(),
  phone_id bigint not null default 0
);
insert into security_ends (credential) values ('lsc'), ('mic');
-- Phones of other profiles than the first one, by the mode of their profile, and why another one is in effect: as they
-- were last counted; and those of them that ask for digest and have no digest user.
create table mode_figures (
  mode text not null check (mode in ('nonsecure', 'authenticated', 'encrypted')),
  reason reason not null,
  phones bigint not null check (phones > 0),
  without_digest_user bigint not null check (without_digest_user between 0 and phones),
  primary key (mode, reason)
);
grant select on security_changes, security_changes_deleted to capf_server;
grant select, insert, delete on mode_figures to capf_server;

-- Of phones ----------------------------------------------------------------------------------------------------------
-- Where many are changed at once, the transaction is numbered here as record_transaction() does it: a call of that
-- function for each row takes five times as long as the row.

create function note_phone_mode() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into security_changes (xid, kind, phone_id, reason)
    select (pg_current_xact_id()::text::bigint + o.value)::text::xid8, 'mode_changed', new.id, case
    when tg_op = 'INSERT' then 'PROFILE'
    when old.removed_at is null and new.removed_at is not null then 'REMOVED'
    when old.blocked_at is null and new.blocked_at is not null then 'BLOCKED'
    when old.blocked_at is not null and new.blocked_at is null then 'UNBLOCKED'
    else 'PROFILE' end from transaction_offset o where o.one;
  return null;
end $$;
create trigger phones_added_mode after insert on phones for each row
  when (new.profile_id <> 1) execute function note_phone_mode();
-- No statement of an enrolment names one of these columns.
create trigger phones_changed_mode after update of profile_id, blocked_at, removed_at on phones for each row
  when ((old.profile_id <> 1 or new.profile_id <> 1)
        and (old.profile_id <> new.profile_id or (old.blocked_at is null) <> (new.blocked_at is null)
             or (old.removed_at is null) <> (new.removed_at is null)))
  execute function note_phone_mode();

-- By the time of the change, and not of its transaction's begin: an LSC may have ended, and its phone been told, between
-- the two.
create function note_lsc_mode() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into security_changes (xid, kind, phone_id, reason)
    select (pg_current_xact_id()::text::bigint + o.value)::text::xid8, 'mode_changed', p.id, case
      when new.lsc = 'held' then 'CERTIFICATE_HELD'
      when new.lsc = 'revoked' then 'CERTIFICATE_REVOKED'
      when new.lsc = 'none' then 'NO_CERTIFICATE'
      when new.not_after <= clock_timestamp() then 'CERTIFICATE_EXPIRED'
      when old.lsc = 'held' and old.not_after = new.not_after then 'CERTIFICATE_RELEASED'
      else 'CERTIFICATE_CONFIRMED' end
    from phones p, transaction_offset o where p.id = new.phone_id and p.profile_id <> 1 and o.one;
  return null;
end $$;
create trigger phone_lscs_changed_mode after update on phone_lscs for each row
  when ((old.lsc = 'valid' and old.not_after > clock_timestamp())
        <> (new.lsc = 'valid' and new.not_after > clock_timestamp()))
  execute function note_lsc_mode();

-- A MIC counts where the profile takes it in place of an LSC, from its first use until it is forgotten.
create function note_mic_mode() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into security_changes (kind, phone_id, reason) select 'mode_changed', p.id, 'MIC'
    from phones p join profiles f on f.id = p.profile_id
    where p.id = (to_jsonb(new) ->> tg_argv[0])::bigint and p.profile_id <> 1 and f.settings ->> 'allow_mic' = 'on';
  return null;
end $$;
create trigger phone_mics_added_mode after insert on phone_mics for each row
  execute function note_mic_mode('phone_id');
create trigger phone_mics_changed_mode after update on phone_mics for each row
  when (old.sha256 <> new.sha256 or old.not_after <> new.not_after) execute function note_mic_mode('phone_id');
create trigger phones_forgotten_mic after update of mic_sha256 on phones for each row
  when (new.profile_id <> 1 and old.mic_sha256 is not null and new.mic_sha256 is null)
  execute function note_mic_mode('id');

create function note_certificate() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into security_changes (xid, kind, phone_id, serial, sha256, revocation)
    select (pg_current_xact_id()::text::bigint + o.value)::text::xid8,
           case when new.revoked_at is null then 'certificate_released' else 'certificate_withdrawn' end, new.phone_id,
           new.serial, new.sha256, new.revocation_reason
      from transaction_offset o where o.one;
  return null;
end $$;
create trigger certificates_withdrawn after update of revoked_at, revocation_reason on certificates for each row
  when (new.kind = 'lsc' and old.revocation_reason is distinct from new.revocation_reason)
  execute function note_certificate();

-- Of sets ------------------------------------------------------------------------------------------------------------

create function note_profile_mode() returns trigger language plpgsql security definer
  set search_path = public, pg_temp as $$
begin
  insert into security_changes (kind, profile_id, mode) values ('mode_changed', new.id, new.mode);
  return null;
end $$;
create trigger profiles_changed_mode after update of mode, settings on profiles for each row
  when (old.mode <> new.mode or old.settings -> 'allow_mic' is distinct from new.settings -> 'allow_mic')
  execute function note_profile_mode();

create function note_site_mode() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into security_changes (kind, mode) values ('mode_changed', new.mode);
  return null;
end $$;
create trigger site_security_changed_mode after update of mode on site_security for each row
  when (old.mode <> new.mode) execute function note_site_mode();

-- Digest users -------------------------------------------------------------------------------------------------------

-- The user whose credentials a phone has from then on, or null.
create function note_digest_phone() returns trigger language plpgsql security definer
  set search_path = public, pg_temp as $$
begin
  insert into security_changes (kind, phone_id, digest_user) values ('digest_user_changed',
    coalesce(new.phone_id, old.phone_id),
    (select name from digest_users where id = coalesce(new.login_id, new.user_id)));
  return null;
end $$;
create trigger phone_digest_came_or_went after insert or delete on phone_digest for each row
  execute function note_digest_phone();
create trigger phone_digest_changed after update on phone_digest for each row
  when (coalesce(old.login_id, old.user_id) <> coalesce(new.login_id, new.user_id)) execute function note_digest_phone();

-- Of a user, whose phones have other credentials; without a name, of all users, since the realm is another. The octets
-- of a password also change where it is encrypted under another key.
create function note_digest_users() returns trigger language plpgsql security definer
  set search_path = public, pg_temp as $$
begin
  insert into security_changes (kind, digest_user)
    values ('digest_user_changed', to_jsonb(case when tg_op = 'DELETE' then old else new end) ->> 'name');
  return null;
end $$;
create trigger digest_users_went after delete on digest_users for each row execute function note_digest_users();
create trigger digest_users_changed after update of password_set_at on digest_users for each row
  when (old.password_set_at <> new.password_set_at) execute function note_digest_users();
create trigger digest_site_changed after update of realm on digest_site for each row
  when (old.realm <> new.realm) execute function note_digest_users();

-- By the time --------------------------------------------------------------------------------------------------------

-- Looks at the next LSCs that have ended, at most `largest`, and tells those of phones with another profile than the
-- first. Whoever confirms a successor at the same time is waited for, so that no phone is told of an end behind it.
-- A clock that was ahead has told of ends that are told again. Returns how many LSCs it has looked at.
create function tell_ended_lscs(largest integer) returns integer language plpgsql security definer
  set search_path = public, pg_temp as $$
declare
  mark security_ends;
  ended phone_lscs[];
begin
  select * into mark from security_ends where credential = 'lsc' for update;
  select array_agg(l) into ended from (
    select * from phone_lscs where lsc = 'valid' and (not_after, phone_id) >
        (least(mark.ended_at, now()), mark.phone_id) and not_after <= now()
      order by not_after, phone_id limit largest) as l;
  if ended is null then
    return 0;
  end if;
  perform from phone_lscs l join phones p on p.id = l.phone_id and p.profile_id <> 1
    where l.phone_id = any (array(select phone_id from unnest(ended))) order by l.phone_id for update of l;
  insert into security_changes (xid, kind, phone_id, reason)
    select (select record_transaction(pg_current_xact_id())), 'mode_changed', l.phone_id, 'CERTIFICATE_EXPIRED'
      from phone_lscs l join phones p on p.id = l.phone_id and p.profile_id <> 1
      where l.phone_id = any (array(select phone_id from unnest(ended))) and l.lsc = 'valid' and l.not_after <= now()
      order by l.phone_id;
  update security_ends set ended_at = (ended[cardinality(ended)]).not_after,
                           phone_id = (ended[cardinality(ended)]).phone_id
    where credential = 'lsc';
  return cardinality(ended);
end $$;

-- The same of MICs, where the profile takes them.
create function tell_ended_mics(largest integer) returns integer language plpgsql security definer
  set search_path = public, pg_temp as $$
declare
  mark security_ends;
  phones_ended bigint[];
  last_end timestamptz;
begin
  select * into mark from security_ends where credential = 'mic' for update;
  select array_agg(m.phone_id), max(m.not_after) into phones_ended, last_end from (
    select phone_id, not_after from phone_mics
      where (not_after, phone_id) > (least(mark.ended_at, now()), mark.phone_id) and not_after <= now()
      order by not_after, phone_id limit largest) as m;
  if phones_ended is null then
    return 0;
  end if;
  insert into security_changes (xid, kind, phone_id, reason)
    select (select record_transaction(pg_current_xact_id())), 'mode_changed', p.id, 'MIC'
      from phones p join profiles f on f.id = p.profile_id
      where p.id = any (phones_ended) and p.profile_id <> 1 and f.settings ->> 'allow_mic' = 'on' order by p.id;
  update security_ends set ended_at = last_end, phone_id = phones_ended[cardinality(phones_ended)]
    where credential = 'mic';
  return cardinality(phones_ended);
end $$;

-- Deletes the first changes, at most `largest`, as far as they are older than `age`. Returns how many those were.
create function delete_security_changes(age interval, largest integer) returns integer language plpgsql security definer
  set search_path = public, pg_temp as $$
declare
  last security_changes_deleted;
  deleted integer;
begin
  select * into last from security_changes_deleted for update;
  with gone as (
    delete from security_changes where at < now() - age and (xid, id) in (
      select xid, id from security_changes order by xid, id limit largest)
    returning xid, id),
  latest as (select xid, id from gone order by xid desc, id desc limit 1),
  noted as (update security_changes_deleted d set xid = l.xid, id = l.id from latest l)
  select count(*) into deleted from gone;
  return deleted;
end $$;

-- Places of these changes go on as those of events do; the ends that are told have no event.
create or replace function adopt_cluster() returns boolean language plpgsql security definer
  set search_path = public, pg_temp as $$
declare
  made_up constant xid8 := '4611686018427387904';
  greatest_xid constant bigint := greatest(
    (select xid from audit_events where xid < made_up order by xid desc limit 1)::text::bigint,
    (select xid from withdrawals where xid < made_up order by xid desc limit 1)::text::bigint,
    (select xid from security_changes where xid < made_up order by xid desc limit 1)::text::bigint,
    (select last_xid from audit_seals where last_xid < made_up order by number desc limit 1)::text::bigint);
begin
  perform from transaction_offset for update;
  update transaction_offset set value = greatest_xid + 1
    where greatest_xid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint + value;
  return found;
end $$;

-- In the order in which ends are told. A page of a status, which names no end, cannot take it.
create index concurrently phone_lscs_valid_end on phone_lscs (not_after, phone_id)
  where lsc = 'valid' and not_after is not null;

create index concurrently phone_mics_end on phone_mics (not_after, phone_id);
