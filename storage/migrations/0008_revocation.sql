-- What is revoked stays revoked, unless it is on hold; a superseded certificate may be revoked later than at once;
-- other issuers' certificates can be refused one by one.

alter table certificates
  drop constraint certificates_check4,
  add constraint certificates_superseded check (revocation_reason is distinct from 4 or superseded_at is not null),
  add column released_at timestamptz;  -- from hold, the last time
grant update (released_at) on certificates to capf_server;

-- Those that can be revoked: on hold (RFC 5280's reason 6) or not revoked at all.
drop index certificates_live;
create index certificates_live on certificates (phone_id)
  where kind = 'lsc' and (revoked_at is null or revocation_reason = 6);
drop index certificates_live_issuer;
create index certificates_live_issuer on certificates (issuer_id, not_after)
  where kind = 'lsc' and (revoked_at is null or revocation_reason = 6);
-- One on hold keeps its key's place, so that it can be released.
drop index certificates_operation_key;
create unique index certificates_operation_key on certificates (operation_id, key_sha256)
  where kind = 'lsc' and (revoked_at is null or revocation_reason = 6);
create index certificates_grace on certificates (superseded_at) where superseded_at is not null and revoked_at is null;

-- The end of a hold, either way, stands in the narrow table too. The server itself cannot change what is there.
create function check_revocation() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if old.revocation_reason <> 6 then
    raise exception 'certificate % is revoked for good', old.id using errcode = 'check_violation';
  end if;
  if new.revoked_at is null then
    delete from revocations where issuer_id = old.issuer_id and serial = old.serial;
  else
    update revocations set reason = new.revocation_reason where issuer_id = old.issuer_id and serial = old.serial;
  end if;
  return new;
end $$;
create trigger certificates_revoked before update on certificates for each row
  when (old.revoked_at is not null and
        (old.revoked_at is distinct from new.revoked_at or old.revocation_reason is distinct from new.revocation_reason))
  execute function check_revocation();

create table blocked_certificates (
  id bigint generated always as identity primary key,
  sha256 digest not null unique,
  key_sha256 digest not null,
  serial bytea not null check (octet_length(serial) between 1 and 128),
  subject text not null,
  issuer text not null,
  not_after timestamptz not null,
  blocked_at timestamptz not null default now(),
  blocked_by text not null check (char_length(blocked_by) <= 64)
);
create index blocked_certificates_key on blocked_certificates (key_sha256);
grant select, insert, delete on blocked_certificates to capf_server;
