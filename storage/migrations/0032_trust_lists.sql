-- beside servers from migration 20 on
-- Trust lists as phones get them. A generation has a row for each digest under which it is signed; none ever changes.
create table trust_lists (
  kind text not null check (kind in ('itl', 'ctl')),
  generation bigint not null check (generation > 0),
  digest text not null check (digest in ('sha1', 'sha512')),
  octets bytea not null check (length(octets) between 1 and 65535),
  sha1 text not null check (sha1 ~ '^[0-9a-f]{40}$'),
  md5 text not null check (md5 ~ '^[0-9a-f]{32}$'),
  signer bytea not null check (length(signer) = 32),
  made_at timestamptz not null,
  made_by text not null check (char_length(made_by) <= 128),
  primary key (kind, generation, digest)
);
-- The certificates of the present list of each kind, by their SHA-256, and since which generation all lists have them.
create table trust_list_certificates (
  kind text not null check (kind in ('itl', 'ctl')),
  sha256 bytea not null check (length(sha256) = 32),
  since bigint not null check (since > 0),
  primary key (kind, sha256)
);
-- The signer of lists and the next one, by the SHA-256 of their certificates, and whether phones were let go.
create table trust_list_state (
  only_one boolean primary key default true check (only_one),
  signer bytea check (length(signer) = 32),
  next_signer bytea check (length(next_signer) = 32 and next_signer <> signer),
  released boolean not null default false
);
insert into trust_list_state default values;
-- Phones that get an older list, because they could not follow the present one.
create table phone_trust_lists (
  phone_id bigint not null references phones (id) on delete cascade,
  kind text not null check (kind in ('itl', 'ctl')),
  generation bigint not null check (generation > 0),
  primary key (phone_id, kind)
);
grant select, insert on trust_lists to capf_server;
grant select, insert, delete on trust_list_certificates to capf_server;
grant select, update on trust_list_state to capf_server;
grant select, insert, update, delete on phone_trust_lists to capf_server;

-- When the certificate's owner was told that phones know it. Null: not yet.
alter table trusted_certificates add column activated_at timestamptz;
grant update (activated_at) on trusted_certificates to capf_server;

-- Those of lists, among any number that are only vouched for.
create index concurrently trusted_certificates_listed on trusted_certificates (id) where not vouch_only;
