-- An RSA key is on record by its modulus too: a row beside its own, of the same owner, whose digest is that of the modulus
-- behind a prefix, so that it is no other key's. It is claimed, marked as compromised and withdrawn like any other row.
-- Keys of before get theirs when somebody shows them again, and those of LSCs, issuers and anchors by the maintenance.
alter table public_keys add column modulus_sha256 digest;
grant update (modulus_sha256) on public_keys to capf_server;

alter table blocked_certificates add column modulus_sha256 digest;
create index blocked_certificates_modulus on blocked_certificates (modulus_sha256);

-- How far a job over all certificates is: the id of the last one that it has seen.
create table progress (
  job text primary key,
  certificate_id bigint not null
);
insert into progress (job, certificate_id) values ('moduli', 0);
grant select on progress to capf_server;
grant update (certificate_id) on progress to capf_server;
