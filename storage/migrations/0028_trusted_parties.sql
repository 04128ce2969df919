-- beside servers from migration 20 on
-- Trunks and bridges that the site trusts to keep a call as secure as it says. Nobody else's word counts: one that is not
-- here is nonsecure.
create table trusted_parties (
  id bigint generated always as identity primary key,
  kind text not null check (kind in ('trunk', 'bridge')),
  name text collate "C" not null check (char_length(name) between 1 and 64),
  level text not null check (level in ('authenticated', 'encrypted')),
  changed_at timestamptz not null default now(),
  changed_by text not null check (char_length(changed_by) <= 128),
  unique (kind, name)
);
grant select, insert, delete on trusted_parties to capf_server;
grant update (level, changed_at, changed_by) on trusted_parties to capf_server;
