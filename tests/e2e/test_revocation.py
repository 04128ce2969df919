"""Revocation from the command line to what relying parties see: by serial number, device, selection and key, holds and
their release, blocked certificates, the grace of superseded ones. The CRL is read and OCSP is asked by OpenSSL."""

import http.client
import re
import unittest

from e2e import pki, rpc
from e2e.site import EndToEnd, Site, eventually, passing, run

INTERVAL = 1


def setUpModule():
    global _site
    _site = Site(settings=lambda text: text + "\n[policy]\nsuperseded_grace_hours = 24\n"
                 f"\n[status]\ncrl_interval_seconds = {INTERVAL}\nocsp_cache_seconds = 0\n")


def tearDownModule():
    _site.close()


class RevocationTest(EndToEnd, rpc.RefusalTests):
    @classmethod
    def setUpClass(cls):
        cls.site = _site
        cls.issuer = cls.site.folder / "issuer.pem"
        cls.issuer.write_text(cls.site.capfctl("issuer", "export").stdout)
        cls.maker = pki.Manufacturer.root(f"Manufacturing CA of {cls.__name__}")
        path, _ = cls.maker.write(cls.site.folder / cls.__name__, "maker")
        cls.site.trust("mic", path)
        answers = ("openssl", "ocsp", "-issuer", cls.issuer, "-CAfile", cls.issuer, "-serial", "1", "-url",
                   f"http://{cls.site.server.endpoints['status']}/ocsp")
        eventually(lambda: "Response verify OK" in run(*answers, code=None).stderr, "the responder has its certificate")

    def enrolled(self, *options):
        """@return a device with an LSC, the path of that and its serial number"""
        device = self.device()
        path = self.site.enrol(device, *options)
        return device, path, self.site.json("certificate", "show", device)["serial"]

    def revoke(self, *arguments, code=0, input=None):
        return self.site.capfctl("certificate", "revoke", *arguments, "--yes", code=code, input=input)

    def crl(self):
        """The newest CRL: {serial number: reason}."""
        connection = http.client.HTTPConnection(self.site.server.endpoints["status"], timeout=60)
        self.addCleanup(connection.close)
        connection.request("GET", "/crl/1/0.crl")
        answer = connection.getresponse()
        der = answer.read()
        self.assertEqual(answer.status, 200)
        done = run("openssl", "crl", "-inform", "der", "-noout", "-text", "-CAfile", self.issuer, input=der, text=False)
        self.assertIn(b"verify OK", done.stderr)
        entries = re.findall(r"Serial Number: ([0-9A-F]+)\n(.*?)(?=    Serial Number|    Signature Algorithm)",
                             done.stdout.decode(), re.S)
        reason = lambda text: re.search(r"Reason Code: \n +(.*)", text)
        return {serial.lower(): reason(rest).group(1) if reason(rest) else None for serial, rest in entries}

    def ocsp(self, path):
        """The answer of OCSP: "good" or the reason."""
        url = f"http://{self.site.server.endpoints['status']}/ocsp"
        done = run("openssl", "ocsp", "-issuer", self.issuer, "-CAfile", self.issuer, "-cert", path, "-url", url)
        self.assertIn("Response verify OK", done.stderr)
        if re.search(r": good$", done.stdout, re.M):
            return "good"
        self.assertRegex(done.stdout, r": revoked\b")
        reason = re.search(r"Reason: (\S+)", done.stdout)
        return reason.group(1) if reason else "unspecified"

    def assertSeen(self, path, serial, ocsp, crl):
        """OCSP says it at once, the CRL within its interval. crl: None for not on it."""
        self.assertEqual(self.ocsp(path), ocsp)
        eventually(passing(lambda: self.assertEqual(self.crl().get(serial, "absent"), crl or "absent")),
                   f"the CRL says {crl}", seconds=60)

    def state(self, serial):
        certificate = self.site.json("certificate", "show", serial)
        return certificate["state"], certificate["revocation_reason"]


class NamedTest(RevocationTest):
    def test_by_serial_number_and_by_device(self):
        _, path, serial = self.enrolled()
        self.assertSeen(path, serial, "good", None)
        self.revoke(serial, "--reason", "affiliationChanged")
        self.assertSeen(path, serial, "affiliationChanged", "Affiliation Changed")
        device, path, serial = self.enrolled()
        self.revoke(device, "--reason", "cessationOfOperation")
        self.assertSeen(path, serial, "cessationOfOperation", "Cessation Of Operation")

    def test_bad_wishes_are_refused_with_their_reason(self):
        device, path, serial = self.enrolled()
        cases = [
            (("5f" * 16, "--reason", "superseded"), 1, "UNKNOWN_CERTIFICATE"),  # never issued
            (("SEPFFFFFFFFFFFF", "--reason", "superseded"), 1, "UNKNOWN_CERTIFICATE"),
            ((serial, "--reason", "boredom"), 2, "--reason"),
            ((serial, "--reason", "removeFromCRL"), 2, "--reason"),
            ((serial,), 2, "--reason"),
            (("--reason", "superseded"), 2, "INVALID_SELECTION"),
            (("--device", "SEP!", "--reason", "superseded"), 2, "INVALID_PATTERN"),
            (("--issuer", "99", "--reason", "superseded"), 1, "UNKNOWN_ISSUER"),
            (("--state", "revoked", "--reason", "superseded"), 2, "--state"),
            (("--issued-after", "yesterday", "--reason", "superseded"), 2, "--issued-after"),
            ((device, "--device", "*", "--reason", "superseded"), 2, "SERIAL|DEVICE"),
            ((device, "--dry-run", "--reason", "superseded"), 2, "--dry-run"),
            (("--key", path, "--reason", "superseded"), 2, "--key"),
            (("--key", self.issuer), 1, "KEY_RESERVED"),
            (("--key", self.site.folder / "capfd.toml"), 1, "INVALID_REQUEST"),
            (("--key", self.site.state / "capfd.toml"), 1, "KEY_ENCODING"),
        ]
        for arguments, code, words in cases:
            with self.subTest(arguments):
                self.assertSays(self.revoke(*arguments, code=code), words)
        for text, code, words in (("5f" * 16 + "\n", 1, "UNKNOWN_CERTIFICATE"), ("\n# nothing\n", 2, "INVALID_SELECTION"),
                                  ("SEP001122334455\n", 2, "INVALID_SERIAL")):
            with self.subTest(text):
                self.assertSays(self.revoke("--serials", "-", "--device", "*", "--reason", "superseded", code=code,
                                            input=text), words)
        self.assertEqual(self.state(serial), ("confirmed", None))
        self.revoke(serial, "--reason", "superseded")
        self.assertSays(self.revoke(serial, "--reason", "superseded", code=1), "ALREADY_REVOKED")
        self.assertSays(self.site.capfctl("certificate", "release", serial, code=1), "NOT_ON_HOLD")
        self.assertSays(self.site.capfctl("certificate", "release", "5f" * 16, code=1), "UNKNOWN_CERTIFICATE")
        self.assertSays(self.site.capfctl("certificate", "release", "SEPFFFFFFFFFFFF", code=1), "UNKNOWN_CERTIFICATE")
        # Commands that destroy something ask first.
        self.assertSays(self.site.capfctl("certificate", "revoke", "--device", "*", "--reason", "superseded", code=2),
                        "--yes")
        self.assertSays(self.site.capfctl("certificate", "revoke", "--key", path, code=2), "--yes")


class HoldTest(RevocationTest):
    def test_a_hold_is_seen_and_its_release_too(self):
        device, path, serial = self.enrolled()
        self.revoke(device, "--reason", "certificateHold")
        self.assertSeen(path, serial, "certificateHold", "Certificate Hold")
        self.site.schedule(device, "install", "lsc")
        self.assertSays(self.site.phone(device, code=1), "AUTHENTICATION_FAILED")
        self.assertLastAttempt(device, "CERTIFICATE_REVOKED")
        self.assertSays(self.revoke(serial, "--reason", "certificateHold", code=1), "ALREADY_REVOKED")
        self.site.capfctl("certificate", "release", device)
        self.assertSeen(path, serial, "good", None)
        self.site.phone(device)

    def test_a_hold_that_was_made_final_is_never_released(self):
        device, path, serial = self.enrolled()
        self.revoke(serial, "--reason", "certificateHold")
        self.assertSeen(path, serial, "certificateHold", "Certificate Hold")
        self.revoke(serial, "--reason", "cessationOfOperation")
        self.assertSays(self.site.capfctl("certificate", "release", device, code=1), "NOT_ON_HOLD")
        self.assertSeen(path, serial, "cessationOfOperation", "Cessation Of Operation")

    def test_a_phone_that_gets_a_new_one_meanwhile_does_not_get_the_old_one_back(self):
        device, path, serial = self.enrolled()
        self.revoke(serial, "--reason", "certificateHold")
        self.site.schedule(device, "install", "null")
        self.site.phone(device)
        self.assertSays(self.site.capfctl("certificate", "release", serial, code=1), "NOT_ON_HOLD")
        self.assertEqual(self.state(serial), ("superseded", "superseded"))


class SelectionTest(RevocationTest):
    def test_a_dry_run_says_what_would_be_revoked_and_does_nothing(self):
        device, path, serial = self.enrolled()
        select = ("certificate", "revoke", "--device", device[:-1] + "*", "--reason", "superseded", "--dry-run")
        found = self.site.json(*select)
        self.assertIn(serial, [certificate["serial"] for certificate in found])
        self.assertSays(self.site.capfctl(*select), f"{len(found)} certificates", "nothing was done")
        self.assertEqual(self.ocsp(path), "good")

    def test_what_is_selected_is_revoked_and_nothing_else(self):
        prefix = "TABBATCH"
        phones = []
        for number in range(3):
            device = f"{prefix}{number}"
            path = self.site.enrol(device)
            phones.append((device, path, self.site.json("certificate", "show", device)["serial"]))
        other, other_path, other_serial = self.enrolled()
        before = len(self.site.json("audit", "list", "--action", "certificate.revoke"))
        done = self.site.json("certificate", "revoke", "--device", f"{prefix}*", "--state", "confirmed",
                              "--issued-after", "2020-01-01", "--reason", "keyCompromise", "--yes")
        self.assertEqual(done, {"revoked": 3, "others_of_their_devices": 0, "devices_blocked": 3})
        for device, path, serial in phones:
            self.assertSeen(path, serial, "keyCompromise", "Key Compromise")
            self.assertTrue(self.site.json("phone", "show", device)["blocked"])
        self.assertSeen(other_path, other_serial, "good", None)
        self.assertEqual(len(self.site.json("audit", "list", "--action", "certificate.revoke")), before + 3)
        again = self.site.capfctl("certificate", "revoke", "--device", f"{prefix}*", "--reason", "keyCompromise",
                                  "--yes")
        self.assertSays(again, "no certificate in this selection")

    def test_a_file_of_serial_numbers(self):
        phones = [self.enrolled() for _ in range(2)]
        lines = "".join(f"{serial.upper()}\n" for _, _, serial in phones) + f"{phones[0][2]}\n# the end\n"
        self.revoke("--serials", "-", "--reason", "cACompromise", input=lines)
        for _, path, serial in phones:
            self.assertSeen(path, serial, "cACompromise", "CA Compromise")
        # Again: revoked LSCs are no longer selected.
        self.assertSays(self.revoke("--serials", "-", "--reason", "cACompromise", input=lines), "no certificate")

    def test_a_selection_that_has_grown_is_refused(self):
        phones = [self.enrolled()[0] for _ in range(2)]
        with rpc.admin_client(self.site) as admin:
            selection = {"devices": phones[0][:-4] + "*"}
            count = admin.SelectCertificates(selection=selection, reason="superseded").count
            self.enrolled()
            refusal = self.refusal(admin.RevokeSelection, selection=selection, reason="superseded", count=count)
        self.assertEqual(refusal.reason, "SELECTION_CHANGED")
        self.assertEqual(self.site.json("certificate", "show", phones[0])["state"], "confirmed")


class KeyTest(RevocationTest):
    def test_a_key_by_certificate_by_public_key_and_by_digest(self):
        for form in ("certificate", "public key", "digest"):
            with self.subTest(form):
                device, path, serial = self.enrolled()
                named = path
                if form != "certificate":
                    named = self.site.folder / "public.pem"
                    named.write_text(run("openssl", "x509", "-noout", "-pubkey", "-in", path).stdout)
                if form == "digest":
                    spki = run("openssl", "pkey", "-pubin", "-in", named, "-outform", "der", text=False).stdout
                    named = run("openssl", "dgst", "-sha256", "-r", input=spki, text=False).stdout.decode().split()[0]
                self.assertSays(self.revoke("--key", named), f"{device} is blocked")
                self.assertSeen(path, serial, "keyCompromise", "Key Compromise")

    def test_a_key_that_nobody_has_shown_yet_gets_no_certificate(self):
        key = pki.make_key()
        path = self.site.folder / "request.pem"
        path.write_text(run("openssl", "req", "-inform", "der", input=pki.request(key), text=False).stdout.decode())
        self.revoke("--key", path)
        device = self.site.add_phone(self.device())
        self.site.schedule(device, "install", "null", "--key-order", "ec", "--ec-size", "256")
        with rpc.phone_client(self.site) as phone:
            refusal = self.refusal(phone.IssueCertificate, credential=rpc.credential(device),
                                   certification_request=pki.request(key))
        self.assertEqual(refusal.reason, "KEY_COMPROMISED")

    def test_a_modulus_that_nobody_has_shown_yet_gets_no_certificate_with_another_exponent(self):
        key = pki.make_key("rsa-2048")
        path = self.site.folder / "modulus.pem"
        path.write_text(run("openssl", "req", "-inform", "der", input=pki.request(key), text=False).stdout.decode())
        self.revoke("--key", path)
        device = self.site.add_phone(self.device())
        self.site.schedule(device, "install", "null")
        with rpc.phone_client(self.site) as phone:
            refusal = self.refusal(phone.IssueCertificate, credential=rpc.credential(device),
                                   certification_request=pki.request(pki.twin(key)))
        self.assertEqual(refusal.reason, "KEY_COMPROMISED")


class BlockTest(RevocationTest):
    def test_a_blocked_mic_is_refused_over_both_transports_until_it_is_unblocked(self):
        device = self.site.add_phone(self.device())
        mic, key = self.maker.mic(device, key="rsa-2048").write(self.site.folder / "mics", device)
        self.site.schedule(device, "install", "mic")
        (blocked,) = self.site.json("certificate", "block", mic)
        self.assertIn(blocked, self.site.json("certificate", "blocked"))
        for transport in ((), ("--wire",)):
            with self.subTest(transport):
                done = self.site.phone(device, *transport, "--certificate", mic, "--key", key, code=1)
                self.assertNotIn("BLOCKED", done.stderr)
                self.assertLastAttempt(device, "CERTIFICATE_BLOCKED")
        self.site.capfctl("certificate", "unblock", blocked["sha256"][:12])
        self.assertNotIn(blocked, self.site.json("certificate", "blocked"))
        self.assertSays(self.site.capfctl("certificate", "unblock", blocked["sha256"], code=1), "UNKNOWN_CERTIFICATE")
        self.site.phone(device, "--certificate", mic, "--key", key)

    def test_only_one_foreign_certificate_in_each_file(self):
        _, lsc, _ = self.enrolled()
        two = self.site.folder / "two.pem"
        two.write_bytes(self.maker.mic("SEP1").certificate_pem + self.maker.mic("SEP2").certificate_pem)
        for path, words in ((lsc, "INVALID_CERTIFICATE"), (two, "INVALID_CERTIFICATE"), (self.issuer, "KEY_RESERVED"),
                            (self.site.state / "capfd.toml", "INVALID_CERTIFICATE")):
            with self.subTest(path):
                self.assertSays(self.site.capfctl("certificate", "block", path, code=1), words)
        self.site.capfctl("certificate", "block", self.site.folder / "none.pem", code=2)


class GraceTest(RevocationTest):
    def test_a_superseded_lsc_is_revoked_when_its_grace_is_over(self):
        device, path, serial = self.enrolled()
        old = self.site.folder / f"{device}-old.pem"
        old.write_bytes(path.read_bytes())
        self.site.schedule(device, "install", "lsc")
        self.site.phone(device)
        self.assertEqual(self.state(serial), ("superseded", None))
        self.assertSeen(old, serial, "good", None)
        self.site.sql("update certificates set superseded_at = now() - interval '24 hours' where superseded_at is not "
                      f"null and phone_id = (select id from phones where device = '{device}')")
        self.site.server.stop()
        self.site.sql("update leases set expires_at = now() where name = 'maintenance'")
        self.site.server.start()  # with a round of maintenance
        eventually(lambda: self.state(serial) == ("superseded", "superseded"), "the grace is over", seconds=120)
        self.assertSeen(old, serial, "superseded", "Superseded")


del RevocationTest  # it has no tests of its own

if __name__ == "__main__":
    unittest.main()
