-- Issuers that no trust anchor leads to, by the certificates that were refused for it: how the CA of a new manufacturer is
-- found. A stranger can write into it in a device's name, so it is small, lasts a day, and is believed by nobody.

create table trust_candidates (
  issuer text not null check (char_length(issuer) <= 256),
  key_identifier bytea not null check (octet_length(key_identifier) <= 32), -- '' where no certificate names it
  count bigint not null,
  first_at timestamptz not null,
  last_at timestamptz not null,
  -- Of the certificate that was shown last.
  subject text not null check (char_length(subject) <= 256),
  certificate_sha256 bytea not null check (octet_length(certificate_sha256) = 32),
  -- The last ones first.
  devices text[] not null,
  addresses text[] not null,
  -- Where it was shown first.
  address_block text not null check (char_length(address_block) <= 64),
  primary key (issuer, key_identifier)
);

-- Counts one certificate. Its row is locked after all others. When there are too many issuers the one goes that was not
-- shown for the longest time, of those from the address with the most: somebody who makes up issuers loses their own.
create function note_trust_candidate(the_issuer text, the_key bytea, the_subject text, the_certificate bytea,
                                     the_device text, the_address text, the_block text, kept integer, largest integer)
returns void language plpgsql as $$
declare
  is_new boolean;
begin
  insert into trust_candidates as c values (the_issuer, the_key, 1, now(), now(), the_subject, the_certificate,
                                            array[the_device], array[the_address], the_block)
    on conflict (issuer, key_identifier) do update set
      count = c.count + 1, last_at = now(), subject = excluded.subject,
      certificate_sha256 = excluded.certificate_sha256,
      devices = (the_device || array_remove(c.devices, the_device))[1:kept],
      addresses = (the_address || array_remove(c.addresses, the_address))[1:kept]
    returning c.count = 1 into is_new;
  if not is_new then
    return;
  end if;
  delete from trust_candidates where (issuer, key_identifier) in (
    select c.issuer, c.key_identifier from trust_candidates c
      join (select address_block, count(*) as issuers from trust_candidates group by address_block) b
        using (address_block)
      order by b.issuers desc, c.last_at, c.issuer, c.key_identifier
      limit greatest(0, (select count(*) from trust_candidates) - largest)
      for update of c skip locked);
end $$;

grant select, insert, update, delete on trust_candidates to capf_server;
