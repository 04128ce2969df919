"""The Trust Verification Service: which certificates the site vouches for, on a port whose certificate phones pin."""

import hashlib
import socket
import ssl
import unittest
import urllib.request

from e2e import pki, tvs
from e2e.site import EndToEnd, Site, eventually

SETTINGS = '\n[listen.tvs]\nenabled = true\n'
DATA = pki.pathlib.Path(__file__).parents[1] / "data/tvs"
CERTIFICATES = DATA / "certs"


def der_of(path):
    return ssl.PEM_cert_to_DER_cert(path.read_text())


def sha256_of(path):
    return hashlib.sha256(der_of(path)).hexdigest()


class TvsTest(EndToEnd):
    settings = SETTINGS

    @classmethod
    def setUpClass(cls):
        cls.site = Site()
        cls.addClassCleanup(cls.site.close)
        path = cls.site.state / "capfd.toml"
        path.write_text(path.read_text() + cls.settings)
        cls.site.server.restart()

    @property
    def endpoint(self):
        return self.site.server.endpoints["tvs"]

    def shown(self, name="tvs"):
        return der_of(self.site.state / f"certificates/{name}.pem")

    def certificate(self, *arguments, code=0):
        return self.site.capfctl("trust-list", "certificate", *arguments, code=code)

    def add(self, name, *arguments):
        """A certificate of the test data, until the test ends. @return its DER"""
        path = CERTIFICATES / f"{name}.pem"
        self.certificate("add", path, *arguments)
        self.addCleanup(self.certificate, "remove", sha256_of(path), "--yes", code=None)
        return der_of(path)

    def verify(self, der, **options):
        return tvs.ask(self.endpoint, tvs.verification(der), **options)


class QuestionTest(TvsTest):
    def test_the_very_bytes_of_a_listed_certificate_are_valid_with_its_roles_until_it_is_removed(self):
        der = self.add("sast_a", "--role", "tftp", "--role", "sast", "--vouch-only")
        answer = self.verify(der, pinned=self.shown())
        self.assertEqual(answer, tvs.Answer(tvs.VERIFIED, 1, True, None, (0, 3), 3600))
        for other in der + b"\0", der[:-1], der[:-1] + bytes([der[-1] ^ 1]), b"", b"\x30" * 17000, \
                der_of(CERTIFICATES / "ccm.pem"):
            self.assertEqual(self.verify(other), tvs.Answer(tvs.VERIFIED, 1, False))
        self.certificate("remove", sha256_of(CERTIFICATES / "sast_a.pem")[:8], "--yes")
        self.assertFalse(self.verify(der).valid)

    def test_a_query_is_answered_however_issuer_and_serial_number_are_numbered_and_spelled(self):
        der = self.add("ccm", "--role", "ccm")
        serial = bytes.fromhex("1122334455667788")
        parts = ["CN=sip.example.org", "OU=Telephones", "O=Example\\, Inc.", "L=Köln", "C=DE"]
        good = tvs.Answer(tvs.QUERIED, 1, True, der, (1,), 3600)
        for tags in (4, 5), (5, 4), (6, 5), (5, 6), (200, 100):
            self.assertEqual(tvs.ask(self.endpoint, tvs.query(";".join(parts), serial, tags)), good, tags)
        for issuer in ",".join(parts), ",".join(reversed(parts)), ";".join(parts).replace("\\", ""):
            self.assertEqual(tvs.ask(self.endpoint, tvs.query(issuer, b"\0" + serial)), good, issuer)
        for issuer, number in (";".join(parts[1:]), serial), (";".join(parts), serial[1:]), ("CN=x", serial):
            self.assertEqual(tvs.ask(self.endpoint, tvs.query(issuer, number)), tvs.Answer(tvs.QUERIED, 1, False))

    def test_the_sites_own_certificates_are_valid_in_their_roles_and_a_next_signer_beside_the_present_one(self):
        for name, role in (("list-signer", 0), ("recovery-signer", 0), ("file-signer", 3), ("file-server", 3), ("wire", 4),
                           ("tvs", 21)):
            der = self.shown(name)
            self.assertEqual(self.verify(der), tvs.Answer(tvs.VERIFIED, 1, True, None, (role,), 3600), name)
            certificate = pki.x509.load_der_x509_certificate(der)
            serial = certificate.serial_number.to_bytes((certificate.serial_number.bit_length() + 7) // 8, "big")
            asked = tvs.query(certificate.issuer.rfc4514_string(), serial)
            self.assertEqual(tvs.ask(self.endpoint, asked), tvs.Answer(tvs.QUERIED, 1, True, der, (role,), 3600), name)
        self.site.capfctl("list-signer", "add")
        following = self.shown("list-signer-2")
        eventually(lambda: self.verify(following).valid, "the server has read the next signer")
        self.site.capfctl("list-signer", "remove", "list-signer-2")
        eventually(lambda: not self.verify(following).valid, "one that is gone counts no longer")

    def test_a_certificate_that_is_blocked_counts_no_longer(self):
        path = CERTIFICATES / "app_ec.pem"
        der = self.add("app_ec", "--role", "app-server")
        self.assertTrue(self.verify(der).valid)
        self.site.capfctl("certificate", "block", path)
        self.addCleanup(self.site.capfctl, "certificate", "unblock", sha256_of(path))
        self.assertFalse(self.verify(der).valid)

    def test_what_is_no_question_is_closed_and_others_are_answered(self):
        der = self.add("ccm", "--role", "ccm")
        for line in (DATA / "malformed.txt").read_text().splitlines():
            name, verdict, octets = line.split("\t")
            with self.subTest(name), tvs.connection(self.endpoint) as tls:
                if octets:
                    tls.sendall(bytes.fromhex(octets))
                if verdict == "wait":
                    tls.settimeout(0.2)
                    self.assertRaises(TimeoutError, tls.recv, 1)
                    continue
                heard = tvs.hear(tls)
                self.assertEqual(heard and tvs.read_answer(heard).valid, {"close": b"", "valid": True, "invalid": False}[verdict])
        self.assertTrue(self.verify(der).valid)
        self.assertNotRegex(self.site.server.log_text(), r"(?m)^2026 root logged in")

    def test_who_is_slow_is_closed_in_time(self):
        with socket.create_connection(tuple(self.endpoint.rsplit(":", 1)), timeout=60) as silent, \
                tvs.connection(self.endpoint) as tls:
            tls.sendall(tvs.message(tvs.VERIFY, b"")[:8] + b"\x40\0" + b"\1")
            self.assertEqual(tvs.hear(tls), b"")
            self.assertEqual(silent.recv(1), b"")

    def test_a_certificate_of_the_phone_is_used_for_the_log_alone(self):
        der = self.add("ccm", "--role", "ccm")
        phone = pki.Manufacturer.root().mic("SEP001122334455")
        paths = phone.write(self.site.folder / "phone", "mic")
        self.assertTrue(self.verify(der, client=paths).valid)
        self.assertFalse(self.verify(b"unknown", client=paths).valid)
        eventually(lambda: phone.sha256 in self.site.server.log_text(), "the phone's certificate is in the log")

    def test_a_certificate_is_refused_in_a_role_that_it_cannot_have(self):
        for name, role, words in (("sast_ec", "sast", "EC key"), ("sast_3072", "sast", "3072 bits"),
                                  ("sast_3072", "tftp", "3072 bits"), ("ca_only", "app-server", "CA's alone")):
            refused = self.certificate("add", CERTIFICATES / f"{name}.pem", "--role", role, code=1)
            self.assertSays(refused, "INVALID_CERTIFICATE", words)
        old = pki.build(pki.name("old.example.org"), (key := pki.make_key()).public_key(), None, key,
                        not_before=pki.now() - 20 * pki.DAY, not_after=pki.now() - pki.DAY)
        path = self.site.folder / "old.pem"
        path.write_bytes(pki.Identity(old, key).certificate_pem)
        self.assertSays(self.certificate("add", path, "--role", "ccm", code=1), "INVALID_CERTIFICATE", "expired")
        self.certificate("add", path, "--role", "nothing", code=2)
        self.certificate("add", path, code=2)
        self.assertEqual(self.site.json("trust-list", "certificate", "list"), [])
        added = self.certificate("add", CERTIFICATES / "capf.pem", "--role", "capf", "--dns", "capf.example.org",
                                 "--address", "192.0.2.1")
        self.assertSays(added, "lacks O and OU")
        listed, = self.site.json("trust-list", "certificate", "list")
        self.assertEqual((listed["sha256"], listed["roles"], listed["dns"], listed["address"], listed["vouch_only"]),
                         (sha256_of(CERTIFICATES / "capf.pem"), ["capf"], "capf.example.org", "192.0.2.1", False))
        again = self.certificate("add", CERTIFICATES / "capf.pem", "--role", "ccm", code=1)
        self.assertSays(again, "ANCHOR_EXISTS")
        self.certificate("remove", listed["sha256"], "--yes")
        self.assertSays(self.certificate("remove", listed["sha256"], "--yes", code=1), "UNKNOWN_CERTIFICATE")
        events = [(event["action"], event["outcome"])
                  for event in self.site.json("audit", "list", "--action", "trusted_certificate")
                  if event["subject"] == listed["sha256"]]
        self.assertEqual(sorted(events), [("trusted_certificate.add", "done"),
                                          ("trusted_certificate.remove", "done"),
                                          ("trusted_certificate.remove", "refused")])

    def test_questions_are_counted_by_their_outcome(self):
        self.verify(b"unknown")
        with urllib.request.urlopen(f"http://{self.site.server.endpoints['metrics']}/metrics", timeout=30) as page:
            self.assertIn(b'capf_tvs_questions_total{outcome="unknown",question="verify"}', page.read())


class PortTest(TvsTest):
    settings = SETTINGS + '[tvs]\nlegacy_phones = true\nlifetime_seconds = 60\nquestion_seconds = 60\n'

    def test_old_phones_are_answered_and_an_answer_is_kept_as_long_as_the_setting_says(self):
        der = self.add("ccm", "--role", "ccm")
        self.assertEqual(self.verify(der, legacy=True).lifetime, 60)
        self.assertEqual(self.verify(der).lifetime, 60)

    def test_the_next_certificate_stands_beside_the_present_one(self):
        before = self.shown()
        with tvs.connection(self.endpoint, pinned=before):
            pass
        certificate = pki.x509.load_der_x509_certificate(before)
        for oid in pki.NameOID.COMMON_NAME, pki.NameOID.ORGANIZATION_NAME, pki.NameOID.ORGANIZATIONAL_UNIT_NAME:
            self.assertEqual(len(certificate.subject.get_attributes_for_oid(oid)), 1)
        self.assertEqual(certificate.public_key().key_size, 2048)
        self.assertIn("tvs-2", self.site.capfctl("tvs-certificate", "add", "--days", "100").stdout)
        self.assertSays(self.site.capfctl("tvs-certificate", "remove", "tvs", code=1), "activate another one")
        self.assertSays(self.site.capfctl("tvs-certificate", "activate", "tvs-3", code=1), "there are tvs tvs-2")
        self.site.capfctl("tvs-certificate", "activate", "tvs-2")
        following = self.shown("tvs-2")

        def shows():
            with tvs.connection(self.endpoint) as tls:
                return tls.getpeercert(True) == following
        eventually(shows, "the next one is shown")
        ends, = [each["not_after"] for each in self.site.json("summary")["expiries"] if each["kind"] == "tvs"]
        self.assertTrue(ends)
        self.site.capfctl("tvs-certificate", "remove", "tvs")
        self.assertFalse((self.site.state / "keys/tvs.key").exists())
        self.site.server.restart()
        self.assertTrue(shows())

    def test_its_key_serves_nothing_else(self):
        site = Site()
        self.addCleanup(site.close)
        path = site.state / "capfd.toml"
        path.write_text(path.read_text() + SETTINGS)
        site.server.stop()
        present = {path: path.read_bytes() for path in (site.state / "keys/tvs.key", site.state / "certificates/tvs.pem")}
        for path_of_tvs in present:
            path_of_tvs.unlink()
        with self.assertRaisesRegex(AssertionError, "tvs-certificate add"):
            site.server.start()
        for kind in "keys", "certificates":
            for file in (site.state / kind).glob("wire.*"):
                (site.state / kind / file.name.replace("wire", "tvs")).write_bytes(file.read_bytes())
                (site.state / kind / file.name.replace("wire", "tvs")).chmod(0o600)
        with self.assertRaisesRegex(AssertionError, "needs a key of its own"):
            site.server.start()
        for path_of_tvs, octets in present.items():
            path_of_tvs.write_bytes(octets)
        site.server.start()


if __name__ == "__main__":
    unittest.main()
