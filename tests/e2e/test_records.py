"""Issued certificates are read again, and each wrong record is found; old records move into the archive, and can be
verified there."""

import base64
import datetime
import hashlib
import json
import struct
import unittest

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID, NameOID

from e2e import pki
from e2e.site import PROGRAMS, EndToEnd, Site, eventually, run


def load_key(site, name):
    passphrase = (site.state / "passphrase").read_bytes()
    return serialization.load_pem_private_key((site.state / f"keys/{name}.key").read_bytes(), passphrase)


class CheckerTest(EndToEnd):
    """Plants one wrong record after the other, on devices of their own."""

    @classmethod
    def setUpClass(cls):
        cls.site = Site()
        cls.addClassCleanup(cls.site.close)
        cls.issuer_key = load_key(cls.site, "issuer-1")

    def enrolled(self):
        """@return device and serial number of an LSC that is as it must be"""
        device = self.device()
        self.site.enrol(device)
        self.site.changed.add(device)
        return device, self.site.json("certificate", "show", device)["serial"]

    def found(self, serial):
        """The checker's findings on this LSC."""
        done = self.site.capfctl("certificate", "verify", "--since", "1970-01-01", "--output", "json", code=None)
        return {finding["what"] for finding in json.loads(done.stdout) if finding["serial"] == serial}

    def plant(self, lsc, key=None, **changes):
        """Puts another certificate in the place of an LSC: the same but for the changes, and signed by the issuer."""
        row = f"kind = 'lsc' and serial = '\\x{lsc}'"
        was = x509.load_der_x509_certificate(
            bytes.fromhex(self.site.sql(f"select encode(der, 'hex') from certificates where {row}")[0]))
        number = changes.get("serial", was.serial_number)
        begin = changes.get("not_before", was.not_valid_before)
        end = changes.get("not_after", was.not_valid_after)
        builder = (x509.CertificateBuilder().subject_name(changes.get("subject", was.subject))
                   .issuer_name(was.issuer).public_key(changes.get("public_key", was.public_key()))
                   .serial_number(number).not_valid_before(begin).not_valid_after(end))
        replaced = {extension.oid: extension for extension in changes.get("extensions", ())}
        for extension in was.extensions:
            extension = replaced.pop(extension.oid, None) or extension
            if extension.value is not None:
                builder = builder.add_extension(extension.value, extension.critical)
        for extension in replaced.values():
            builder = builder.add_extension(extension.value, extension.critical)
        der = builder.sign(key or self.issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
        octets = number.to_bytes((number.bit_length() + 7) // 8, "big").hex()
        self.site.sql(f"update certificates set der = '\\x{der.hex()}', serial = '\\x{octets}', "
                      f"sha256 = '\\x{hashlib.sha256(der).hexdigest()}', "
                      f"not_before = '{begin.isoformat()}Z', not_after = '{end.isoformat()}Z' where {row}")
        return octets

    @staticmethod
    def extension(oid, critical, value):
        return x509.Extension(oid, critical, value)

    def test_what_was_issued_here_is_as_it_must_be(self):
        _, serial = self.enrolled()
        self.assertEqual(self.found(serial), set())
        # An unchanged rebuilt LSC has no findings, so those below are due to the changes.
        self.plant(serial)
        self.assertEqual(self.found(serial) - {"AUDIT"}, set())

    def test_each_wrong_certificate_is_found(self):
        issuer = pki.read_certificate(self.site.state / "certificates/issuer-1.pem")
        basic, usage = ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE
        other_usage = x509.KeyUsage(True, False, False, False, False, True, False, False, False)
        elsewhere = x509.CRLDistributionPoints([x509.DistributionPoint(
            [x509.UniformResourceIdentifier("http://elsewhere.example/crl/1/9.crl")], None, None, None)])
        own_key = lambda kind: pki.make_key(kind)
        for what, changes in (
                ("SIGNATURE", {"key": own_key("rsa-2048")}),
                ("BASIC_CONSTRAINTS", {"extensions": [self.extension(basic, True, x509.BasicConstraints(True, None))]}),
                ("EXTENSIONS", {"extensions": [self.extension(basic, False, x509.BasicConstraints(False, None))]}),
                ("EXTENSIONS", {"extensions": [self.extension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, False,
                                                              x509.SubjectAlternativeName([x509.DNSName("a.b")]))]}),
                ("KEY_USAGE", {"extensions": [self.extension(usage, True, other_usage)]}),
                ("EXTENDED_KEY_USAGE", {"extensions": [self.extension(
                    ExtensionOID.EXTENDED_KEY_USAGE, False,
                    x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.3.6.1.5.5.7.3.9")]))]}),
                ("ADDRESSES", {"extensions": [self.extension(ExtensionOID.CRL_DISTRIBUTION_POINTS, False, elsewhere)]}),
                ("SUBJECT", {"subject": pki.name("SEPFFFFFFFFFFFF", organization="CAPF")}),
                ("SERIAL", {"serial": 0x5A5A5A5A5A5A5A01}),
                ("VALIDITY", {"not_after": issuer.not_valid_after + datetime.timedelta(seconds=1)}),
                ("KEY", {"public_key": own_key("p-256").public_key()}),
        ):
            with self.subTest(what, changes=list(changes)):
                _, serial = self.enrolled()
                self.assertIn(what, self.found(self.plant(serial, **changes)))

    def test_each_wrong_record_is_found(self):
        for what, table, statement in (
                ("OPERATION", "certificates", "update certificates set operation_id = null where {row}"),
                ("AUDIT", "audit_events", "delete from audit_events where action = 'certificate.issue' "
                 "and detail like 'serial {serial}%'"),
                ("REVOCATION", "certificates",
                 "update certificates set revoked_at = now(), revocation_reason = 1 where {row}"),
                ("REVOCATION", "revocations",
                 "insert into revocations select issuer_id, serial, shard, now(), 1, not_after from certificates "
                 "where {row}"),
                ("KEY_RECORD", "public_keys", "update public_keys set phone_id = (select min(id) from phones) "
                 "where sha256 = (select key_sha256 from certificates where {row})"),
                ("KEY_RECORD", "public_keys", "delete from public_keys "
                 "where sha256 = (select key_sha256 from certificates where {row})"),
                ("SHARD", "certificates", "update certificates set shard = 1 where {row}"),
                ("DIGEST", "certificates", "update certificates set sha256 = sha256(sha256) where {row}"),
                ("KEY_POLICY", "operations", "update operations set rsa_bits = 4096, key_order = 'rsa' where id = "
                 "(select operation_id from certificates where {row})"),
                ("UNREADABLE", "certificates", "update certificates set der = '\\x3000' where {row}"),
                ("VALIDITY", "certificates",
                 "update certificates set issued_at = issued_at - interval '1 hour' where {row}"),
        ):
            with self.subTest(what, statement=statement):
                _, serial = self.enrolled()
                row = f"serial = '\\x{serial}'"
                statement = statement.format(row=row, serial=serial)
                self.site.sql(f"alter table {table} disable trigger user; {statement}; "
                              f"alter table {table} enable trigger user")
                self.assertIn(what, self.found(serial))

    def test_the_server_checks_by_itself_and_says_what_it_found(self):
        device, serial = self.enrolled()
        self.site.sql(f"update certificates set shard = 1 where serial = '\\x{serial}'")
        self.site.sql("delete from leases where name = 'check'")
        self.site.server.restart()
        events = eventually(lambda: self.site.json("audit", "list", "--action", "certificate.finding",
                                                   "--subject", device), "a finding in the record")
        self.assertIn(f"serial {serial}, SHARD", events[0]["detail"])
        eventually(lambda: "certificate.finding what=SHARD" in self.site.server.log_text(), "the log says so")
        self.assertSays(self.site.capfctl("certificate", "verify", code=1), "findings")


def field(value):
    octets = value if isinstance(value, bytes) else value.encode() if isinstance(value, str) else struct.pack(">q", value)
    return struct.pack(">I", len(octets)) + octets


class ArchiveTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        cls.site = Site(settings=lambda text: text + "\n[archive]\naudit_days = 100\ncertificates_days = 100\n"
                                                     "operations_days = 100\n")
        cls.addClassCleanup(cls.site.close)

    def verify(self, *options, code=0):
        done = self.site.capfctl("audit", "verify", *options, "--output", "json", code=code)
        return json.loads(done.stdout)

    def age_record(self, days):
        """Makes the whole record older, as the owner of the audit key and the database could: by another implementation
        of the seals. The server is stopped meanwhile."""
        self.site.server.stop()
        (self.site.state / "keys/high-water").unlink()
        key = load_key(self.site, "audit")
        for table in ("audit_events", "audit_seals", "operations"):
            self.site.sql(f"alter table {table} disable trigger user")
        self.site.sql(f"update audit_events set at = at - interval '{days} days'; "
                      f"update audit_seals set sealed_at = sealed_at - interval '{days} days'")
        events = [json.loads(line) for line in self.site.sql(
            "select json_build_array(id, microseconds(at), actor_kind, actor, address, action, subject, "
            "coalesce(operation_id, 0), outcome, coalesce(reason, ''), detail) from audit_events order by xid, id")]
        previous = bytes(32)
        for line in self.site.sql("select json_build_array(number, microseconds(sealed_at), events, last_xid::text, last_id) "
                                  "from audit_seals order by number"):
            number, sealed_at, count, last_xid, last_id = json.loads(line)
            content = hashlib.sha256(b"".join(field(b"".join(map(field, event))) for event in events[:count])).digest()
            events = events[count:]
            text = b"".join(map(field, ("capf audit seal 1", number, sealed_at, count, int(last_xid), last_id, content,
                                        previous)))
            signature = key.sign(text, ec.ECDSA(hashes.SHA256()))
            self.site.sql(f"update audit_seals set content = '\\x{content.hex()}', previous = '\\x{previous.hex()}', "
                          f"sha256 = '\\x{hashlib.sha256(text).hexdigest()}', signature = '\\x{signature.hex()}' "
                          f"where number = {number}")
            previous = hashlib.sha256(text).digest()
        self.site.sql(f"update operations set created_at = created_at - interval '{days} days', "
                      f"finished_at = finished_at - interval '{days} days'")
        for table in ("audit_events", "audit_seals", "operations"):
            self.site.sql(f"alter table {table} enable trigger user")
        self.site.server.start()

    def archive(self, code=0):
        return run(PROGRAMS / "capfd", "archive", "--state", self.site.state, code=code)

    def count(self, what):
        return int(self.site.sql(f"select count(*) from {what}")[0])

    def sealed(self):
        return eventually(lambda: (answer := self.verify())["unsealed"] == 0 and answer, "every event is sealed")

    def test_what_is_old_goes_into_the_archive_and_verifies_there(self):
        old, young = self.device(), self.device()
        self.site.changed.update((old, young))
        self.site.enrol(old)
        self.site.schedule(old, "install", "lsc")
        self.site.phone(old)
        self.site.enrol(young)
        self.site.capfctl("certificate", "revoke", young, "--reason", "cessationOfOperation", "--yes")
        before = self.sealed()
        self.age_record(200)
        self.assertEqual(self.verify()["findings"], [])
        of_old = f"phone_id = (select id from phones where device = '{old}')"
        self.site.sql(f"update certificates set not_before = now() - interval '900 days', issued_at = now() - "
                      f"interval '900 days', not_after = now() - interval '150 days' where {of_old}; "
                      f"update revocations set expires_at = now() - interval '150 days' where serial in "
                      f"(select serial from certificates where {of_old})")
        # Something of today, so that there is a last seal that stays.
        self.site.add_phone(self.device())
        now = eventually(lambda: (answer := self.verify())["last_seal"] > before["last_seal"] and answer, "a new seal")
        for table in ("audit_events", "audit_seals"):
            self.site.sql(f"create table {table}_before as select * from {table}")
        keys = self.count("public_keys")

        self.archive()
        folder = self.site.state / "archive"
        self.assertEqual(folder.stat().st_mode & 0o777, 0o700)
        months = sorted(folder.glob("audit-*.jsonl"))
        self.assertTrue(months)
        self.assertEqual({path.stat().st_mode & 0o777 for path in folder.iterdir()}, {0o600})

        # Certificates: the first LSC of the old phone, because the last confirmed one of a phone stays; none of the
        # young phone, whose revocation CRLs need.
        certificates = [json.loads(line) for path in folder.glob("certificates-*.jsonl")
                        for line in path.read_text().splitlines()]
        self.assertEqual(len(certificates), 1)
        self.assertEqual(self.count(f"certificates where {of_old}"), 1)
        self.assertEqual(self.count("revocations"), 1)
        self.assertEqual(self.count("public_keys"), keys)
        x509.load_der_x509_certificate(bytes.fromhex(certificates[0]["der"][2:]))
        # Operations: the one of this certificate, not the last one of each phone.
        operations = [json.loads(line) for path in folder.glob("operations-*.jsonl")
                      for line in path.read_text().splitlines()]
        self.assertEqual([operation["id"] for operation in operations], [certificates[0]["operation_id"]])
        self.assertEqual(self.count("operations where finished_at is not null"), 2)

        # The record: alone, and joined with the server's part.
        archived = self.verify("--offline", *(option for path in months for option in ("--archive", path)))
        self.assertEqual((archived["first_seal"], archived["findings"]), (1, []))
        joined = eventually(
            lambda: (answer := self.verify(*(option for path in months for option in ("--archive", path)))) and
            answer["unsealed"] == 0 and answer, "the archiving is sealed too")
        self.assertEqual((joined["first_seal"], joined["findings"]), (1, []))
        self.assertGreater(joined["last_seal"], now["last_seal"])
        self.assertIn("begins with seal", "\n".join(self.verify(code=1)["findings"]))
        anchor = self.site.folder / "anchor"
        anchor.write_text(archived["anchor"])
        self.assertEqual(self.verify("--anchor", anchor)["findings"], [])

        # A deletion that was cut off: the rows are still there, and are not written again; an incomplete line is
        # removed.
        whole = months[-1].read_text()
        for table, columns in (
                ("audit_seals", "*"), ("audit_events", "id, xid, at, actor_kind, actor, address, action, subject, "
                                       "null::bigint as operation_id, outcome, reason, detail")):
            names = ", ".join(name.split()[-1] for name in columns.split(", ")) if columns != "*" else None
            into = f"({names}) overriding system value" if names else ""
            key = "number" if table == "audit_seals" else "id"
            self.site.sql(f"alter table {table} disable trigger user; "
                          f"insert into {table} {into} select {columns} from {table}_before b "
                          f"where not exists (select from {table} a where a.{key} = b.{key}); "
                          f"alter table {table} enable trigger user")
        # After a restore another seal has the number of the last one: nothing is moved behind it, and nothing is deleted.
        lines = whole.splitlines()
        other = json.loads(lines[-1])
        other["seal"]["signature"] = base64.b64encode(bytes(70)).decode()
        months[-1].write_text("\n".join(lines[:-1] + [json.dumps(other)]) + "\n")
        self.assertSays(self.archive(code=1), "RECORD_BROKEN", "not the one on record")
        months[-1].write_text(whole)
        with months[-1].open("a") as file:
            file.write('{"seal":{"number"')
        # Their operation is gone: the events are not those that were sealed, so no more rows are deleted.
        self.assertSays(self.archive(code=1), "RECORD_BROKEN")
        self.assertEqual(months[-1].read_text(), whole)

        # A change in the archive is noticed too.
        months[-1].write_text(whole.replace(old, young, 1))
        findings = self.verify("--offline", *(option for path in months for option in ("--archive", path)), code=1)
        self.assertIn("its events are not those that were sealed", "\n".join(findings["findings"]))


if __name__ == "__main__":
    unittest.main()
