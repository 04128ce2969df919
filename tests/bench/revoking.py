"""The cost of an incident: a whole batch of phones whose keys are known to others."""

import os
import time

from bench.table import Row

AT_ONCE = 10000
LIMIT = 60  # seconds, for a hundred thousand
WHOLE = 100_000

# Phones with one LSC each, as enrolments leave them behind. The contents of the DER do not matter here.
_PHONES = """
insert into phones (device, model) select 'REV' || to_char(n, 'FM000000000'), 'CP-8861' from generate_series({first}, {last}) n;
insert into operations (id, phone_id, kind, auth, key_order, rsa_bits, ec_bits, self_service, created_by, completes_by)
  select nextval('operation_ids'), id, 'install', 'null', 'rsa', 2048, 384, false, 'bench', now() + interval '1 day'
  from phones where device between 'REV' || to_char({first}, 'FM000000000') and 'REV' || to_char({last}, 'FM000000000');
update operations set state = 'issued', authenticated_by = 'none', certificates = 1
  where created_by = 'bench' and state = 'pending';
insert into certificates (kind, sha256, serial, issuer_id, issuer, phone_id, operation_id, key_sha256, der, not_before,
                          not_after, possession, shard, confirmed_at)
  select 'lsc', digest, set_byte(substr(digest, 1, 16), 0, get_byte(digest, 0) & 63 | 64), i.id, i.subject, o.phone_id,
         o.id, sha256(digest), decode(repeat('30', 900), 'hex'), now(), now() + interval '5 years', 'none', 0, now()
  from operations o, issuers i, lateral sha256(convert_to('revoking ' || o.id, 'UTF8')) digest
  where o.created_by = 'bench' and o.state = 'issued' and i.active;
insert into public_keys (sha256, owner, phone_id) select c.key_sha256, 'phone', c.phone_id
  from certificates c join operations o on o.id = c.operation_id where o.created_by = 'bench' and o.state = 'issued';
update operations set state = 'succeeded', finished_at = now() where created_by = 'bench' and state = 'issued';
"""


def revoking(site, size):
    """A selection, counted and revoked as compromised by one command: keys, phones, the record, the CRL's rows."""
    for first in range(0, size.revoked, AT_ONCE):
        site.sql(_PHONES.format(first=first, last=min(first + AT_ONCE, size.revoked) - 1))
    # And some that have an operation open, which is cancelled.
    site.sql("insert into operations (id, phone_id, kind, auth, key_order, rsa_bits, ec_bits, self_service, created_by, "
             "completes_by) select nextval('operation_ids'), id, 'install', 'lsc', 'rsa', 2048, 384, false, 'bench', "
             "now() + interval '1 day' from phones where device like 'REV%0'")
    site.sql("vacuum analyze")
    before = site.processor()
    start = time.monotonic()
    done = site.json("certificate", "revoke", "--device", "REV*", "--reason", "keyCompromise", "--yes")
    seconds = time.monotonic() - start
    after = site.processor()
    counts = site.sql("select (select count(*) from revocations r join certificates c using (issuer_id, serial) "
                      "join phones p on p.id = c.phone_id where p.device like 'REV%' and r.reason = 1), "
                      "(select count(*) from phones where device like 'REV%' and blocked_at is not null), "
                      "(select count(*) from public_keys where compromised), "
                      "(select count(*) from audit_events where action = 'certificate.revoke' and subject like 'REV%'), "
                      "(select count(*) from operations where created_by = 'bench' and finished_at is null)")
    expected = [f"{size.revoked}|{size.revoked}|{size.revoked}|{size.revoked}|0"]
    if counts != expected or done["revoked"] != size.revoked:
        raise AssertionError(f"revoked, blocked, marked, recorded, left open: {counts}, not {expected}")
    share = {who: 100 * (after[who] - before[who]) / seconds / os.cpu_count() for who in after}
    return [Row(f"revoking {size.revoked} certificates of a selection", "s", [seconds], "below",
                LIMIT * size.revoked / WHOLE, processor=share)]
