-- The life of an issuer, and which servers have its key.

alter table issuers
  add column added_at timestamptz not null default now(),
  add column activated_at timestamptz,
  add column retired_at timestamptz,
  add check (not active or retired_at is null);
update issuers set activated_at = added_at where active;
grant update (activated_at, retired_at) on issuers to capf_server;

-- What is left under an issuer.
create index certificates_live_issuer on certificates (issuer_id, not_after)
  where kind = 'lsc' and revoked_at is null;

-- The servers of the site, as they tell of themselves every few seconds.
create table servers (
  name text primary key check (char_length(name) <= 128),
  version text not null check (char_length(version) <= 64),
  started_at timestamptz not null default now(),
  seen_at timestamptz not null default now(),
  issuers bigint[] not null
) with (fillfactor = 50);
grant select, insert, delete on servers to capf_server;
grant update (seen_at, issuers) on servers to capf_server;
