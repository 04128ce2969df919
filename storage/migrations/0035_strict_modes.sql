-- beside servers from migration 20 on
-- A MIC counts from its first moment to just before its last one, and not while it is blocked: storage/modes.cc has the
-- rule. Blocking or unblocking one is therefore told to SIP servers, and the end of a blocked one is not.
create or replace function tell_ended_mics(largest integer) returns integer language plpgsql security definer
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
        join phone_mics m on m.phone_id = p.id and m.sha256 = p.mic_sha256
      where p.id = any (phones_ended) and p.profile_id <> 1 and f.settings ->> 'allow_mic' = 'on'
        and not exists (select from blocked_certificates b where b.sha256 = m.sha256)
      order by p.id;
  update security_ends set ended_at = last_end, phone_id = phones_ended[cardinality(phones_ended)]
    where credential = 'mic';
  return cardinality(phones_ended);
end $$;

create function note_blocked_mic() returns trigger language plpgsql security definer
  set search_path = public, pg_temp as $$
declare
  blocked constant digest := case when tg_op = 'DELETE' then old.sha256 else new.sha256 end;
begin
  insert into security_changes (kind, phone_id, reason) select 'mode_changed', p.id, 'MIC'
    from phone_mics m join phones p on p.id = m.phone_id and p.mic_sha256 = m.sha256
      join profiles f on f.id = p.profile_id
    where m.sha256 = blocked and m.not_after > now() and p.profile_id <> 1 and f.settings ->> 'allow_mic' = 'on';
  return null;
end $$;

-- The phone that is remembered by a MIC.
create index concurrently phone_mics_sha256 on phone_mics (sha256);

create trigger blocked_certificates_changed_mode after insert or delete on blocked_certificates for each row
  execute function note_blocked_mic();

-- A change of a profile asks which of its phones have values of their own that cannot work with it. Of the values of
-- phone_settings_kinds there are few combinations, however many phones there are, and each is found by one look. Null:
-- a row of a version before, until the step below.
alter table phone_settings add column profile_id bigint;

create function take_profile() returns trigger language plpgsql set search_path = public, pg_temp as $$
begin
  new.profile_id := (select profile_id from phones where id = new.phone_id);
  return new;
end $$;
create trigger phone_settings_take_profile before insert on phone_settings for each row
  execute function take_profile();
create function pass_profile() returns trigger language plpgsql security definer
  set search_path = public, pg_temp as $$
begin
  update phone_settings set profile_id = new.profile_id where phone_id = new.id;
  return null;
end $$;
create trigger phones_pass_profile after update of profile_id on phones for each row
  when (old.profile_id <> new.profile_id) execute function pass_profile();

update phone_settings s set profile_id = p.profile_id from phones p
  where p.id = s.phone_id and s.profile_id is null;

create index concurrently phone_settings_kinds on phone_settings (profile_id, (array[settings ->> 'digest',
  settings ->> 'encrypted_config', settings ->> 'key_order', settings ->> 'transport']));

-- Trust that was taken away: a trunk or a bridge, also as far as its level is lower, and a certificate of others. An
-- older dump does not bring it back where a server has seen it go.
alter table withdrawals drop constraint withdrawals_kind_check, drop constraint withdrawals_check,
  add constraint withdrawals_kind_check check (kind in ('administrator', 'certificate', 'key', 'removed_phone',
    'blocked_phone', 'trusted_party', 'trusted_certificate')) not valid,
  add constraint withdrawals_check check ((sha256 is not null) =
    (kind in ('administrator', 'certificate', 'key', 'trusted_party', 'trusted_certificate'))) not valid;

alter table withdrawals validate constraint withdrawals_kind_check;

alter table withdrawals validate constraint withdrawals_check;

-- A party is known by a digest of its kind and name, and its row here says up to which level it is trusted: null is not
-- at all, and one that is trusted to be encrypted is as if nothing had been taken away.
create function withdraw_trusted_party() returns trigger language plpgsql security definer
  set search_path = public, pg_temp as $$
declare
  party trusted_parties := case when tg_op = 'DELETE' then old else new end;
begin
  if tg_op = 'DELETE' then
    party.level := null;
  end if;
  insert into withdrawals (kind, sha256, block, undone) values ('trusted_party',
    sha256(convert_to(party.kind || ' ' || party.name, 'UTF8')),
    jsonb_build_object('kind', party.kind, 'name', party.name, 'level', party.level)::text,
    party.level is not distinct from 'encrypted');
  return null;
end $$;
create trigger trusted_parties_withdrawn after insert or delete or update of level on trusted_parties for each row
  execute function withdraw_trusted_party();

create function withdraw_trusted_certificate() returns trigger language plpgsql security definer
  set search_path = public, pg_temp as $$
begin
  insert into withdrawals (kind, sha256, undone) values ('trusted_certificate',
    case when tg_op = 'DELETE' then old.sha256 else new.sha256 end, tg_op = 'INSERT');
  return null;
end $$;
create trigger trusted_certificates_withdrawn after insert or delete on trusted_certificates for each row
  execute function withdraw_trusted_certificate();
