-- beside servers from migration 20 on
-- Certificates of others that phones are to trust: those of SIP servers and of services. The Trust Verification Service
-- vouches for all of them; those that are not `vouch_only` are also in the trust lists of phones.
create table trusted_certificates (
  id bigint generated always as identity primary key,
  sha256 bytea not null unique check (length(sha256) = 32),
  der bytea not null check (length(der) <= 16384),
  subject text not null,
  issuer text not null,
  serial bytea not null check (length(serial) between 1 and 20),
  not_before timestamptz not null,
  not_after timestamptz not null,
  roles text[] not null check (cardinality(roles) > 0
    and roles <@ array['sast', 'ccm', 'ccm+tftp', 'tftp', 'capf', 'app-server', 'tvs']),
  dns text not null default '' check (char_length(dns) <= 253),
  address text not null default '' check (char_length(address) <= 15),
  vouch_only boolean not null default false,
  added_at timestamptz not null default now(),
  added_by text not null check (char_length(added_by) <= 128)
);
-- A phone asks for issuer and serial number; it spells the issuer as its list does.
create index trusted_certificates_serial on trusted_certificates (serial);
grant select, insert, delete on trusted_certificates to capf_server;
