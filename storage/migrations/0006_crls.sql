-- What is published: certificate revocation lists, and what each of them has not seen yet.

-- Row for each CRL; the numbers of a shard ascend without end (RFC 5280 5.2.3).
create table crls (
  issuer_id bigint not null references issuers,
  shard integer not null check (shard >= 0),
  number bigint not null check (number > 0),
  this_update timestamptz not null,
  next_update timestamptz not null check (next_update > this_update),
  sha256 digest not null,
  size bigint not null check (size > 0),
  entries bigint not null check (entries >= 0),
  published_at timestamptz not null default now(),
  primary key (issuer_id, shard, number)
);

-- The DER of the newest ones, so that every server has them; in pieces, so that none has to hold all of it at once.
create table crl_pieces (
  issuer_id bigint not null,
  shard integer not null,
  number bigint not null,
  position integer not null check (position >= 0),
  data bytea not null check (octet_length(data) between 1 and 1048576),
  primary key (issuer_id, shard, number, position),
  foreign key (issuer_id, shard, number) references crls
);
alter table crl_pieces alter column data set storage external;  -- signatures and serial numbers do not get smaller

-- Something has changed that the next CRL of the shard must say. Rows, and no counter: revocations never wait for each
-- other. The row is there when the change is, whatever the order in which transactions end.
create table crl_changes (
  id bigint generated always as identity,
  issuer_id bigint not null,
  shard integer not null,
  primary key (issuer_id, shard, id)
);
create function note_crl_change() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into crl_changes (issuer_id, shard) select distinct issuer_id, shard from changed;
  return null;
end $$;
create trigger revocations_added after insert on revocations referencing new table as changed
  for each statement execute function note_crl_change();
create trigger revocations_changed after update on revocations referencing new table as changed
  for each statement execute function note_crl_change();
create trigger revocations_removed after delete on revocations referencing old table as changed
  for each statement execute function note_crl_change();

-- A CRL is read in the order of the serial numbers.
create index revocations_serial on revocations (issuer_id, shard, serial) include (revoked_at, reason, expires_at);
drop index revocations_shard;

grant select on crls, crl_pieces, crl_changes to capf_server;
grant insert on crls, crl_pieces to capf_server;
grant delete on crl_pieces, crl_changes to capf_server;
