"""Phones that get everything from the site, by `capf-phone --provision`: from nothing to encrypted with no secret on the
network; and what becomes of phones in service, some of which are off, when the site's certificates are replaced."""

import hashlib
import re
import shutil
import ssl
import unittest

from e2e import phone_files
from e2e.former import set_back
from e2e.secure_site import CERTIFICATES, LISTS, PROFILE, Fleet, SecureSite
from e2e.site import LONG, PROGRAMS, EndToEnd, Site, eventually, run

COUNT, OFF = (200, 9) if LONG else (20, 1)
SSH, DIGEST = "canary-Ssh-2207", "canary-Digest-41"
BEFORE_LISTS = 30  # the last migration of a version that knew nothing of phones' files
# By the names of their keys' files; made by `capfd init`, and by `init --phone-files` where they are missing.
FOR_FILES = ("list-signer", "file-signer", "file-server", "tvs")
CONFIGURATION = f"""<?xml version="1.0" encoding="UTF-8"?>
<device>
<fullConfig>true</fullConfig>
<sshUserId>admin</sshUserId><sshPassword>{SSH}</sshPassword>
<sipProfile><sipLines><line button="1"><featureID>9</featureID><name>%s</name></line></sipLines></sipProfile>
</device>
"""


class ServiceTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        cls.site = SecureSite()
        cls.addClassCleanup(cls.site.close)

    def capfctl(self, *arguments, code=0):
        return self.site.capfctl(*arguments, code=code)

    def capfd(self, *arguments, code=0):
        return run(PROGRAMS / "capfd", *arguments, "--state", self.site.state, code=code)

    def fleet(self, count):
        return Fleet(self.site, sorted(self.device() for _ in range(count)))

    def next_steps(self):
        return " ".join(self.site.json("trust-list", "show")["next"])

    def held(self, device, kind):
        """The generation of the list that the phone has, as an administrator finds it by the checksum in the phone's menu."""
        sha1 = hashlib.sha1((self.site.phones / f"{device}.{kind}.tlv").read_bytes()).hexdigest()
        number, = [each["generation"] for each in self.site.json("trust-list", "list", "--kind", kind) if each["sha1"] == sha1]
        return number

    def serve(self, device, kind, generation):
        return self.site.json("trust-list", "serve", device, "--kind", kind, "--generation", str(generation))

    def bring_back(self, device):
        """By `trust-list serve` alone, as its page says. @return how often the phone was started"""
        for starts in range(1, 10):
            for kind in LISTS:
                answer = self.serve(device, kind, self.held(device, kind))
                if answer["next"]:
                    answer = self.serve(device, kind, answer["next"])
            self.site.start_phone(device)
            if all(self.held(device, kind) == self.site.generation(kind) for kind in LISTS):
                return starts
        raise AssertionError(f"{device} does not come back")


class FromNothingTest(ServiceTest):
    def curl(self, listener, name):
        """What anybody gets, whoever asks."""
        scheme = "https" if listener == "files_tls" else "http"
        return run("curl", "-sS", "-k", "--max-time", 30, f"{scheme}://{self.site.server.endpoints[listener]}/{name}",
                   text=False).stdout

    def assertNoSecret(self, device):
        for listener in ("files", "files_tls"):
            for name in (f"{device}.cnf.xml", f"{device}.cnf.xml.sgn", f"{device}.cnf.xml.enc.sgn"):
                with self.subTest(name, listener=listener):
                    octets = self.curl(listener, name)
                    self.assertEqual(b"<device" in octets, not name.endswith(".enc.sgn"))
                    for secret in (SSH, DIGEST):
                        self.assertNotIn(secret.encode(), octets)

    def test_a_phone_ends_with_its_lsc_a_list_that_it_trusts_and_its_passwords_and_nobody_else_reads_them(self):
        device = self.site.add_phone(self.device())
        string = self.site.schedule(device, "install", "string")
        applied = self.site.json("profile", "apply", PROFILE, device)
        self.assertEqual(applied, {"selected": 1, "changed": 1, "waiting": 1})
        self.site.capfctl("digest-user", "add", "4711", "--password", "-", input=DIGEST + "\n")
        self.capfctl("phone", "digest", device, "4711")
        path = self.site.folder / f"{device}.cnf.xml"
        path.write_text(CONFIGURATION % "4711")
        self.capfctl("configuration", "import", path)
        self.assertNoSecret(device)

        done = self.site.start_phone(device, "--string", string)
        self.assertRegex(done.stdout, r"(?m)^ITL(SEP\w+|File)\.tlv: taken, ")
        self.assertRegex(done.stdout, r"(?m)^CAPF: \w+ install succeeded ")
        self.assertRegex(done.stdout.splitlines()[-1], rf"^{device} provision succeeded mode=encrypted digest_password=yes ")
        for secret in (SSH, DIGEST, string):
            self.assertNotIn(secret, done.stdout + done.stderr)
        run("openssl", "x509", "-in", self.site.phones / f"{device}.pem", "-noout", "-checkend", "0")
        for kind in LISTS:
            self.assertEqual(self.held(device, kind), self.site.generation(kind))
            path = self.site.phones / f"{device}.{kind}.tlv"
            self.capfctl("trust-list", "verify", path)
            phone_files.TrustList(path.read_bytes(), f"{kind.upper()}File.tlv")
        opened = (self.site.phones / f"{device}.cnf.xml").read_text()
        self.assertIn(f"<authPassword>{DIGEST}</authPassword>", opened)
        self.assertIn(SSH, opened)
        self.assertNoSecret(device)
        phone = self.site.json("phone", "show", device)
        self.assertEqual((phone["effective_mode"], phone["mode_reason"]), ("encrypted", None))
        wanted = {f"{kind}_generation": self.site.generation(kind) for kind in LISTS}
        wanted["configuration_generation"] = self.site.json("configuration", "show", device)["generation"]

        def fetched():
            shown = self.site.json("phone", "show", device)["fetched"] or {}
            return {name: shown.get(name) for name in wanted}
        eventually(lambda: fetched() == wanted, fetched)


class ReplacingTest(ServiceTest):
    """The certificates one after the other. Different phones are off during each, and come back before the next."""

    def use_next(self, purpose, following):
        """Waits until enough phones have the list with it, and then until the server uses it."""
        activate = (purpose, "activate", following)
        eventually(lambda: self.capfctl(*activate, code=None).returncode == 0, "enough phones have the list")
        if purpose != "list-signer":
            eventually(lambda: self.site.in_use(following), f"the server uses {following}")

    def replace(self, fleet, purpose, off):
        first = purpose.removesuffix("-certificate")
        on = [device for device in fleet.devices if device not in off]
        self.site.after(lambda: self.capfctl(purpose, "add"))
        self.assertSays(self.capfctl(purpose, "activate", f"{first}-2", code=1), "TRUST_LIST_NOT_FETCHED")
        fleet.serve(on)
        self.use_next(purpose, f"{first}-2")
        fleet.serve(on)
        self.site.after(lambda: self.capfctl(purpose, "remove", first))
        fleet.serve(on)
        return fleet.serve(off)

    def replace_list_signer(self, fleet, off):
        on = [device for device in fleet.devices if device not in off]
        self.capfctl("list-signer", "add")
        eventually(lambda: "step 1 of 2" in self.next_steps(), "the server has the next signer")
        self.capfctl("trust-list", "signer", "replace")
        step = ("trust-list", "signer", "replace", "--step")
        self.assertSays(self.capfctl(*step, code=1), "TRUST_LIST_NOT_FETCHED")
        fleet.serve(on)
        eventually(lambda: self.capfctl(*step, code=None).returncode == 0, "enough phones have the list with both")
        fleet.serve(on)
        self.use_next("list-signer", "list-signer-2")
        self.capfctl("list-signer", "remove", "list-signer")
        fleet.serve(on)
        return fleet.serve(off)

    def test_no_phone_needs_a_hand_but_one_that_was_off_for_all_of_it_which_is_served_what_it_can_follow(self):
        fleet = self.fleet(COUNT + 1)
        sleeper = fleet.devices.pop()
        # As if it had its files from a TFTP server in front, of whose phones this server hears nothing: it counts as none. A
        # server that stops writes the notes that wait.
        self.site.server.restart()
        self.site.sql(f"delete from phone_fetches where phone_id = (select id from phones where device = '{sleeper}')")
        first = {kind: self.held(sleeper, kind) for kind in LISTS}
        purposes = ("wire-certificate", "file-signer", "tvs-certificate")
        off = {purpose: fleet.devices[number * OFF:(number + 1) * OFF]
               for number, purpose in enumerate((*purposes, "list-signer"))}
        for purpose in purposes:
            self.replace(fleet, purpose, off[purpose])
            if purpose == "wire-certificate":
                self.renew_on_the_wire(fleet.devices[0])
        for said in self.replace_list_signer(fleet, off["list-signer"]):
            self.assertIn("the Trust Verification Service vouches for its signer", said)

        refused = self.site.start_phone(sleeper, code=1)
        self.assertIn("ITLFile.tlv: refused, the phone keeps what it has", refused.stdout.replace(f"ITL{sleeper}", "ITLFile"))
        self.assertEqual({kind: self.held(sleeper, kind) for kind in LISTS}, first)
        self.assertEqual(self.bring_back(sleeper), 2)
        fleet.serve([sleeper, *fleet.devices])
        self.assertEqual(self.site.sql("select count(*) from phone_trust_lists"), ["0"])
        self.assertEqual(self.site.json("trust-list", "show")["stale"], [])

    def renew_on_the_wire(self, device):
        """The phone knows the port by its list alone."""
        host, port = self.site.server.endpoints["wire"].rsplit(":", 1)
        following = (self.site.state / "certificates/wire-2.pem").read_text()
        shown = lambda: ssl.get_server_certificate((host.strip("[]"), int(port)), timeout=60)
        eventually(lambda: shown().split() == following.split(), "the port shows the next one")
        before = self.site.json("certificate", "show", device)["serial"]
        self.site.schedule(device, "install", "lsc", "--key-order", "rsa", "--rsa-size", "2048")
        done = self.site.start_phone(device, "--wire", "--server", self.site.server.endpoints["wire"])
        self.assertIn(f"CAPF: {device} install succeeded", done.stdout)
        self.assertIn("mode=encrypted", done.stdout)
        self.assertNotEqual(self.site.json("certificate", "show", device)["serial"], before)


class ForceTest(ServiceTest):
    def test_force_leaves_every_phone_behind_that_has_not_fetched_the_lists_and_each_needs_an_administrator(self):
        fleet = self.fleet(3)
        for purpose in ("wire-certificate", "file-signer", "tvs-certificate"):
            first = purpose.removesuffix("-certificate")
            self.site.after(lambda: self.capfctl(purpose, "add"))
            self.assertSays(self.capfctl(purpose, "activate", f"{first}-2", code=1), "TRUST_LIST_NOT_FETCHED",
                            "0 of 3 phones (0 %)")
            self.assertIn("0 of 3 phones (0 %)", self.capfctl(purpose, "activate", f"{first}-2", "--force").stdout)
            eventually(lambda: self.site.in_use(f"{first}-2"), f"the server uses {first}-2")
            self.site.after(lambda: self.capfctl(purpose, "remove", first))
        self.capfctl("list-signer", "add")
        eventually(lambda: "step 1 of 2" in self.next_steps(), "the server has the next signer")
        self.capfctl("trust-list", "signer", "replace")
        self.assertSays(self.capfctl("list-signer", "remove", "list-signer-2", code=1), "trust-list signer replace")
        self.assertSays(self.capfctl("trust-list", "signer", "replace", "--step", code=1), "0 of 3 phones (0 %)")
        self.capfctl("trust-list", "signer", "replace", "--step", "--force")
        self.capfctl("list-signer", "activate", "list-signer-2", "--force")
        self.capfctl("list-signer", "remove", "list-signer")

        left = [done for done in fleet.start() if done.returncode == 1 and "refused, the phone keeps what it has" in done.stdout]
        self.assertEqual(len(left), 3, "each phone is left behind")
        # One is served what it can follow, and the others have their lists taken away in their menus.
        self.assertEqual(self.bring_back(fleet.devices[0]), 2)
        for device in fleet.devices[1:]:
            for kind in LISTS:
                (self.site.phones / f"{device}.{kind}.tlv").unlink()
        fleet.serve()


class RecoveryTest(ServiceTest):
    def test_with_the_recovery_signer_alone_a_site_gets_its_phones_back(self):
        fleet = self.fleet(3)
        recovery = self.site.state / "recovery-signer.key"
        away = self.site.folder / "away"
        away.mkdir(mode=0o700)
        for path in (recovery, recovery.with_name("recovery-signer.key.passphrase")):
            shutil.move(path, away)
        self.site.server.stop()
        for name in FOR_FILES:
            (self.site.state / f"keys/{name}.key").unlink()
            (self.site.state / f"certificates/{name}.pem").unlink()
        made = self.capfd("init", "--phone-files").stdout
        for name in FOR_FILES:
            self.assertIn(f"  {name}, until ", made)
        self.assertIn("There already, and as before:", made)
        self.site.server.start()
        before = {kind: self.site.generation(kind) for kind in LISTS}
        for done in fleet.start():
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn("FILE_SIGNATURE", done.stderr)
        self.assertSays(self.capfctl("trust-list", "build", code=1), "LIST_SIGNER_ABSENT")
        self.assertEqual({kind: self.site.generation(kind) for kind in LISTS}, before)

        said = self.capfd("trust-list", "recover", "--key", away / recovery.name, "--recovery-passphrase",
                          f"file:{away / recovery.name}.passphrase").stdout
        self.assertIn("is published, signed by the recovery signer", said)
        for each in fleet.serve():
            self.assertIn("its signer is a SAST of the list that the phone has", each)
        # The site's new list signer goes on from there.
        service = ("trust-list", "certificate", "add", CERTIFICATES / "app_ec.crt", "--role", "app-server")
        self.site.after(lambda: self.capfctl(*service))
        for each in fleet.serve():
            self.assertIn("its signer is a SAST of the list that the phone has", each)
        self.assertEqual(self.site.json("trust-list", "show")["stale"], [])


class UpgradeTest(ServiceTest):
    """A site of before: it has neither these keys nor lists."""

    @classmethod
    def setUpClass(cls):
        cls.site = Site()
        cls.addClassCleanup(cls.site.close)

    def certificates(self):
        """The SHA-256 of each that phones may know."""
        folder = self.site.state / "certificates"
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                for path in folder.glob("*.pem") if not re.match("server|site-ca", path.name)}

    def upgrade(self):
        self.site.server.stop()
        self.capfd("migrate")
        self.site.server.start()

    def generations(self):
        return [(each["list"]["kind"], each["list"]["generation"], each["list"]["sha1"])
                for each in self.site.json("trust-list", "show")["lists"]]

    def test_an_upgrade_makes_no_key_and_lists_are_published_once_because_they_are_new(self):
        device = self.device()
        self.site.enrol(device)
        self.site.server.stop()
        set_back(self.site, BEFORE_LISTS)
        for name in (*FOR_FILES, "recovery-signer"):
            (self.site.state / f"certificates/{name}.pem").unlink()
            (self.site.state / f"keys/{name}.key").unlink(missing_ok=True)
        for name in ("recovery-signer.key", "recovery-signer.key.passphrase"):
            (self.site.state / name).unlink()
        before = self.certificates()
        self.assertIn("wire.pem", before)
        self.capfd("migrate")
        self.site.server.start()
        self.assertEqual(self.certificates(), before, "an upgrade makes none")
        self.site.server.restart()
        self.assertEqual((self.certificates(), self.generations()), (before, []), "and publishes nothing")
        self.assertEqual(self.site.json("phone", "show", device)["lsc_status"], "valid")

        self.capfd("init", "--phone-files")
        made = self.certificates()
        self.assertLessEqual(before.items(), made.items())
        self.assertEqual(set(made) - set(before), {f"{name}.pem" for name in (*FOR_FILES, "recovery-signer")})
        eventually(self.generations, "the first list")
        first = self.generations()
        self.assertEqual([each[:2] for each in first], [("itl", 1)])
        for _ in range(2):
            self.upgrade()
            self.capfctl("trust-list", "build")
            self.assertEqual((self.certificates(), self.generations()), (made, first))


if __name__ == "__main__":
    unittest.main()
