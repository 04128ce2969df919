"""The keys for phones' files: made once, each for one purpose, and replaced on the machine beside those in use."""

import hashlib
import shutil
import unittest

from e2e import pki
from e2e.site import PROGRAMS, EndToEnd, Site, eventually, run
from e2e.soft_token import SHIM, SOFTHSM, SoftToken

# first name: OU, key, keyUsage, and whether it is a server's
PURPOSES = {
    "wire": ("CAPF", "2048", "Digital Signature, Key Encipherment", True),
    "tvs": ("TVS", "2048", "Digital Signature, Key Encipherment", True),
    "list-signer": ("List signer", "2048", "Digital Signature", False),
    "file-signer": ("File signer", "2048", "Digital Signature", False),
    "file-server": ("File server", "384", "Digital Signature, Key Agreement", True),
    "recovery-signer": ("Recovery signer", "2048", "Digital Signature", False),
}
# what an older site lacks
FOR_FILES = ("tvs", "list-signer", "file-signer", "file-server", "recovery-signer")


class PhoneKeyTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        cls.site = Site()
        cls.addClassCleanup(cls.site.close)

    def capfd(self, *arguments, code=0, site=None):
        return run(PROGRAMS / "capfd", *arguments, "--state", (site or self.site).state, code=code)

    def certificate(self, name):
        return self.site.state / f"certificates/{name}.pem"

    def key(self, name):
        return self.site.state / f"keys/{name}.key"

    def public_key(self, name):
        """As openssl reads it from the encrypted file."""
        return pki.openssl("pkey", "-in", self.key(name), "-passin", f"file:{self.site.state}/passphrase", "-pubout").stdout

    def digests(self):
        """The SHA-256 of each certificate, and of each public key."""
        certificates = {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                        for path in (self.site.state / "certificates").glob("*.pem")
                        if not path.name.startswith("server")}
        keys = {name: hashlib.sha256(self.public_key(name).encode()).hexdigest()
                for name in PURPOSES if self.key(name).exists()}
        return certificates, keys

    def secret(self, name, text):
        path = self.site.folder / name
        path.touch(mode=0o600)
        path.write_text(text)
        return path

    def listed(self, purpose):
        """(name, in use) of each, as the command on the machine has it."""
        lines = [line for line in self.capfd(purpose, "list").stdout.splitlines()
                 if line.startswith(purpose.removesuffix("-certificate"))]
        return [(line.split("  ")[0], line.split("  ")[1] == "in use") for line in lines]

    def ends(self, kind):
        return sorted((each.get("name") or "", bool(each.get("spare")))
                      for each in self.site.json("summary")["expiries"] if each["kind"] == kind)


class InitTest(PhoneKeyTest):
    def test_openssl_reads_each_certificate_and_its_key_is_its_own(self):
        halves = set()
        for name, (unit, size, usage, server) in PURPOSES.items():
            with self.subTest(name):
                path = self.certificate(name)
                text = pki.openssl("x509", "-in", path, "-noout", "-text").stdout
                subject = pki.openssl("x509", "-in", path, "-noout", "-subject", "-nameopt", "RFC2253").stdout
                self.assertRegex(subject, rf"^subject=O=CAPF,OU={unit},CN=.+$|^subject=CN=.+,OU={unit},O=CAPF$")
                self.assertIn(f"({size} bit)", text)
                self.assertRegex(text, rf"Key Usage: critical\n\s*{usage}\n")
                self.assertEqual("TLS Web Server Authentication" in text, server)
                self.assertIn("CA:FALSE", text)
                pki.openssl("verify", "-check_ss_sig", "-partial_chain", "-trusted", path, path)
                half = pki.openssl("x509", "-in", path, "-noout", "-pubkey").stdout
                halves.add(half)
                if name != "recovery-signer":
                    self.assertEqual(self.public_key(name), half)
        self.assertEqual(len(halves), len(PURPOSES))
        self.assertIn("DNS:localhost", pki.openssl("x509", "-in", self.certificate("file-server"), "-noout", "-ext",
                                                   "subjectAltName").stdout)

    def test_the_recovery_signers_key_is_to_be_taken_away(self):
        key = self.site.state / "recovery-signer.key"
        self.assertFalse(self.key("recovery-signer").exists())
        self.assertIn(" recovery_signer.key_is_here ", self.site.server.log_text())
        self.assertEqual(key.stat().st_mode & 0o777, 0o600)
        half = pki.openssl("x509", "-in", self.certificate("recovery-signer"), "-noout", "-pubkey").stdout
        self.assertEqual(pki.openssl("pkey", "-in", key, "-passin", f"file:{key}.passphrase", "-pubout").stdout, half)
        pki.openssl("pkey", "-in", key, "-passin", f"file:{self.site.state}/passphrase", "-noout", code=1)

    def test_their_ends_are_watched(self):
        for kind in ("list-signer", "file-signer", "file-server", "recovery-signer"):
            self.assertEqual(self.ends(kind), [("", False)], kind)

    def test_no_request_of_a_stranger_brings_one_of_them(self):
        for name in ("list-signer", "file-signer", "file-server", "tvs"):
            with self.subTest(name):
                request = self.site.folder / f"{name}.csr"
                pki.openssl("req", "-new", "-key", self.key(name), "-passin", f"file:{self.site.state}/passphrase", "-subj",
                            "/CN=stranger", "-out", request)
                refused = self.site.capfctl("administrator", "add", f"stranger-{name}", "--role", "auditor", "--request",
                                            request, "--out", self.site.folder / "stranger", code=1)
                self.assertSays(refused, "KEY_RESERVED")


class KeptTest(PhoneKeyTest):
    def test_nothing_makes_them_anew(self):
        before = self.digests()
        self.assertEqual(set(before[1]), set(PURPOSES) - {"recovery-signer"})
        self.site.server.restart()
        self.assertEqual(self.digests(), before, "restart")
        self.site.server.stop()
        self.capfd("migrate")
        self.site.server.start()
        self.assertEqual(self.digests(), before, "upgrade")
        self.assertIn("Nothing is missing", self.capfd("init", "--phone-files").stdout)
        self.assertEqual(self.digests(), before, "init --phone-files")
        following = self.secret("following", "another passphrase 71c4")
        self.site.capfctl("issuer", "rekey-passphrase", "--new-passphrase", f"file:{following}")
        self.assertEqual(self.digests(), before, "rekey-passphrase")
        self.site.server.restart()
        self.assertEqual(self.digests(), before, "restart")
        dump = self.site.folder / "capf.dump"
        self.site.server.stop()
        run("pg_dump", "-Fc", "-f", dump, f"{self.site.database} user=postgres dbname=capf")
        for statement in ("drop database capf with (force)", "create database capf owner capf_owner"):
            run("psql", "-X", "-q", "-c", statement, f"{self.site.database} user=postgres dbname=postgres")
        run("pg_restore", "-d", f"{self.site.database} user=postgres dbname=capf", dump)
        self.site.server.start()
        self.assertEqual(self.digests(), before, "restore")

    def test_a_site_that_lacks_them_gets_them_once(self):
        site = Site()
        self.addCleanup(site.close)
        self.site, shared = site, self.site
        self.addCleanup(setattr, self, "site", shared)
        site.server.stop()
        for name in FOR_FILES:
            self.certificate(name).unlink()
            self.key(name).unlink(missing_ok=True)
        recovery = site.state / "recovery-signer.key"
        recovery.unlink()
        (site.state / "recovery-signer.key.passphrase").unlink()
        site.server.start()  # as before
        self.assertEqual(self.ends("list-signer"), [])
        before = self.digests()
        away = site.folder / "away.key"
        away.write_text("of another site")
        own = self.secret("of-its-own", "a passphrase for the safe")
        ask = ("init", "--phone-files", "--recovery-key", away, "--recovery-passphrase", f"file:{own}")
        self.assertSays(self.capfd(*ask, code=1), "SITE_EXISTS", str(away))
        self.assertEqual(self.digests(), before)
        away.unlink()
        said = self.capfd(*ask).stdout
        for name in FOR_FILES:
            self.assertIn(f"  {name}, until ", said)
            self.assertTrue(self.certificate(name).exists())
        self.assertIn("as before: wire", said)
        self.assertIn(f"{away}: take it away", said)
        self.assertFalse(recovery.exists())
        self.assertFalse(self.key("recovery-signer").exists())
        pki.openssl("pkey", "-in", away, "-passin", f"file:{own}", "-noout")
        after = self.digests()
        for mine, theirs in zip(before, after):
            self.assertLessEqual(mine.items(), theirs.items())
        eventually(lambda: self.ends("list-signer") == [("", False)], "the server has taken them over")
        self.assertIn("Nothing is missing", self.capfd(*ask[:2]).stdout)
        self.assertEqual(self.digests(), after)
        actions = {event["action"] for event in site.json("audit", "list")}
        self.assertLessEqual({"tvs_certificate.add", "list_signer.add", "file_signer.add", "file_server.add",
                              "recovery_signer.add"}, actions)

    def test_it_is_for_a_site_that_exists_and_takes_nothing_of_a_new_one(self):
        run(PROGRAMS / "capfd", "init", "--phone-files", "--state", self.site.folder / "nothing", code=1)
        self.capfd("init", "--phone-files", "--csr-only", code=2)
        self.capfd("init", "--phone-files", "--database", "x", code=2)


class ReplacingTest(PhoneKeyTest):
    def test_the_next_one_stands_beside_the_one_in_use(self):
        for purpose in ("list-signer", "file-signer", "file-server"):
            with self.subTest(purpose):
                self.assertEqual(self.listed(purpose), [(purpose, True)])
                following = f"{purpose}-2"
                self.assertIn(following, self.site.capfctl(purpose, "add", "--days", "100").stdout)
                self.assertEqual(self.listed(purpose), [(purpose, True), (following, False)])
                eventually(lambda: self.ends(purpose) == [("", False), (following, True)], "its end is watched")
                self.assertSays(self.capfd(purpose, "remove", purpose, code=1), "activate another one")
                self.assertSays(self.capfd(purpose, "activate", f"{purpose}-3", code=1), f"there are {purpose} {following}")
                self.capfd(purpose, "activate", following)
                self.assertEqual(self.listed(purpose), [(purpose, False), (following, True)])
                gone, kept = purpose, following
                if purpose == "list-signer":  # the site's lists are signed with the first one
                    self.assertSays(self.capfd(purpose, "remove", purpose, code=1), "trust-list signer replace")
                    self.capfd(purpose, "activate", purpose)
                    gone, kept = following, purpose
                self.capfd(purpose, "remove", gone)
                self.assertEqual(self.listed(purpose), [(kept, True)])
                self.assertFalse(self.key(gone).exists())
                eventually(lambda: self.ends(purpose) == [("", False)], "it is taken over")
                for action in ("add", "activate", "remove"):
                    self.assertTrue(self.site.json("audit", "list", "--action", f"{purpose.replace('-', '_')}.{action}"))
        for purpose in ("wire-certificate", "tvs-certificate"):
            first = purpose.removesuffix("-certificate")
            self.assertEqual(self.listed(purpose), [(first, True)])
        self.assertIn("tvs  in use", self.site.capfctl("tvs-certificate", "list").stdout)

    def imported(self, purpose, identity, code=0):
        paths = identity.write(self.site.folder / "imported", purpose)
        return self.capfd(purpose, "add", "--import-certificate", paths[0], "--import-key", paths[1], code=code)

    def identity(self, kind, **options):
        key = pki.make_key(kind)
        subject = pki.name("files.example.org", organization="Example")
        return pki.Identity(pki.build(subject, key.public_key(), None, key, **options), key)

    def test_one_of_another_ca_is_imported_as_far_as_phones_take_it(self):
        for purpose, kind, words in (("list-signer", "p-256", "EC key"), ("list-signer", "rsa-3072", "3072 bits"),
                                     ("file-signer", "p-384", "RSA key"), ("file-server", "rsa-2048", "EC key"),
                                     ("tvs-certificate", "p-256", "RSA key")):
            with self.subTest(purpose + " " + kind):
                self.assertSays(self.imported(purpose, self.identity(kind), code=1), "INVALID_CERTIFICATE", words)
        old = self.identity("rsa-2048", not_before=pki.now() - 20 * pki.DAY, not_after=pki.now() - pki.DAY)
        self.assertSays(self.imported("list-signer", old, code=1), "INVALID_CERTIFICATE", "expired")
        good = self.identity("rsa-2048")
        said = self.imported("list-signer", good).stdout
        self.assertIn("Warning: its subject lacks OU", said)
        self.assertIn(good.sha256, said)
        name = self.listed("list-signer")[-1][0]
        self.assertEqual(pki.read_certificate(self.certificate(name)), good.certificate)
        # The same key serves nothing else, whatever certificate it has.
        again = pki.Identity(pki.build(pki.name("other"), good.key.public_key(), None, good.key), good.key)
        self.assertSays(self.imported("file-signer", again, code=1), "KEY_RESERVED", name)
        self.capfd("list-signer", "remove", name)

    def test_one_is_requested_from_the_sites_own_ca(self):
        self.assertSays(self.capfd("file-signer", "add", "--certificate", "/nonexistent", code=1), "no request waits")
        self.assertIn("file-signer-next.csr", self.capfd("file-signer", "add", "--csr-only").stdout)
        request = self.site.state / "certificates/file-signer-next.csr"
        said = pki.openssl("req", "-in", request, "-noout", "-verify", "-text", "-nameopt", "RFC2253").stdout
        for words in ("OU=File signer", "CA:FALSE", "Digital Signature"):
            self.assertIn(words, said)
        self.assertSays(self.capfd("file-signer", "add", "--csr-only", code=1), "SITE_EXISTS", str(request))
        self.assertIn("A request waits", self.capfd("file-signer", "list").stdout)
        ca = pki.Manufacturer.root("Site CA of its own")
        ca_paths = ca.write(self.site.folder / "own-ca", "ca")
        answer = self.site.folder / "answer.pem"
        pki.openssl("x509", "-req", "-in", request, "-CA", ca_paths[0], "-CAkey", ca_paths[1], "-CAcreateserial",
                    "-copy_extensions", "copy", "-days", "365", "-out", answer)
        answer.write_bytes(answer.read_bytes() + ca.certificate_pem)
        other = self.identity("rsa-2048").write(self.site.folder / "imported", "another")[0]
        self.assertSays(self.capfd("file-signer", "add", "--certificate", other, code=1), "INVALID_CERTIFICATE")
        self.capfd("file-signer", "add", "--certificate", answer)
        name = self.listed("file-signer")[-1][0]
        self.assertEqual(list((self.site.state / "keys").glob("*-next*")), [])
        self.assertFalse(request.exists())
        self.assertEqual(self.public_key(name), pki.openssl("x509", "-in", answer, "-noout", "-pubkey").stdout)
        self.capfd("file-signer", "activate", name)
        self.site.server.restart()
        self.assertEqual(self.ends("file-signer")[0], ("", False))
        self.capfd("file-signer", "activate", "file-signer")
        self.capfd("file-signer", "remove", name)

    def test_one_key_in_two_places_stops_the_start(self):
        names = [name for name, in_use in self.listed("file-server") if in_use]
        self.site.server.stop()
        copied = []
        for folder, ending in (("keys", "key"), ("certificates", "pem")):
            copied.append(self.site.state / folder / f"list-signer-9.{ending}")
            shutil.copy(self.site.state / folder / f"{names[0]}.{ending}", copied[-1])
        with self.assertRaisesRegex(AssertionError, "have one key: each purpose needs a key of its own"):
            self.site.server.start()
        for path in copied:
            path.unlink()
        self.site.server.start()


@unittest.skipUnless(SHIM.exists() and SOFTHSM.exists(), "there is no SoftHSM")
class TokenTest(PhoneKeyTest):
    @classmethod
    def setUpClass(cls):
        cls.token = SoftToken()
        cls.addClassCleanup(cls.token.close)
        cls.site = Site(settings=lambda text: text + f'\n[token]\nmodule = "{SHIM}"\npin = "file:{cls.token.pin}"\n')
        cls.addClassCleanup(cls.site.close)

    def test_signers_are_in_a_token_and_ports_are_not(self):
        uri = "pkcs11:token=capf;object={}"
        for purpose in ("list-signer", "file-signer"):
            absent = self.capfd(purpose, "add", "--key-uri", uri.format(purpose), code=1)
            self.assertSays(absent, "ISSUER_KEY_ABSENT")
            self.capfd(purpose, "add", "--key-uri", uri.format(purpose), "--key", "rsa-2048")
            name = f"{purpose}-2"
            self.assertFalse(self.key(name).exists())
            self.assertIn(uri.format(purpose), (self.site.state / f"keys/{name}.uri").read_text())
            self.capfd(purpose, "activate", name)
        self.capfd("file-server", "add", "--key-uri", uri.format("port"), code=2)
        self.assertSays(self.capfd("file-signer", "add", "--key-uri", uri.format("list-signer"), code=1), "KEY_RESERVED")
        self.token.say("removed")
        try:
            self.site.server.restart()  # the token may be away
            self.assertSays(self.capfd("list-signer", "activate", "list-signer-2", code=1), "TOKEN_UNAVAILABLE")
        finally:
            self.token.take_back("removed")
        self.site.server.restart()
        self.assertEqual(self.ends("list-signer"), [("", False), ("list-signer", True)])


if __name__ == "__main__":
    unittest.main()
