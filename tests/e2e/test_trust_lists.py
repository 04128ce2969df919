"""The trust lists of phones: published by themselves, followed from one to the next, and read by another reader. Needs
the keys that `capfd init` makes for phones' files, and the notes of fetches."""

import hashlib
import pathlib
import ssl
import unittest

from e2e import phone_files
from e2e.site import PROGRAMS, EndToEnd, Site, eventually, run

CERTIFICATES = pathlib.Path(__file__).parents[1] / "data/phone-files/certs"
OWN = ["APP-SERVER", "CAPF", "CCM", "SAST", "SAST", "TFTP", "TFTP", "TVS"]


def sha256_of(path):
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(path.read_text())).hexdigest()


class TrustListTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        cls.site = Site()
        cls.addClassCleanup(cls.site.close)
        cls.exports = 0
        eventually(lambda: cls.generation() > 0, "the first list")

    @classmethod
    def shown(cls, kind="itl"):
        """What `trust-list show` has of the list, or nothing."""
        lists = cls.site.json("trust-list", "show")["lists"]
        return next((each for each in lists if each["list"]["kind"] == kind), None)

    @classmethod
    def generation(cls, kind="itl"):
        shown = cls.shown(kind)
        return shown["list"]["generation"] if shown else 0

    @classmethod
    def exported(cls, *arguments, kind="itl"):
        """The octets of a list."""
        cls.exports += 1
        path = cls.site.folder / f"{cls.exports}.tlv"
        cls.site.capfctl("trust-list", "export", "--kind", kind, "--out", path, *arguments)
        return path.read_bytes()

    def read(self, *arguments, kind="itl"):
        """The list, as the other reader takes it."""
        return phone_files.TrustList(self.exported(*arguments, kind=kind), f"{kind.upper()}File.tlv")

    def roles(self, **options):
        return sorted(record.role if record.certificate else f"({record.role})" for record in self.read(**options).records)

    def after(self, change, kind="itl"):
        """Makes a change, and waits for the list that follows from it. @return its number"""
        before = self.generation(kind)
        change()
        eventually(lambda: self.generation(kind) > before, "the next list")
        return self.generation(kind)

    def certificate(self, *arguments, code=0):
        return self.site.capfctl("trust-list", "certificate", *arguments, code=code)

    def add(self, name, role):
        path = CERTIFICATES / f"{name}.crt"
        self.after(lambda: self.certificate("add", path, "--role", role, "--dns", "sip.example.org", "--address",
                                            "192.0.2.11"))
        return sha256_of(path)

    def fetched(self, device, generation):
        self.site.sql(f"insert into phone_fetches (phone_id, itl_generation, fetched_at) select id, {generation}, now() "
                      f"from phones where device = '{device}' and removed_at is null "
                      "on conflict (phone_id) do update set itl_generation = excluded.itl_generation")

    def phones(self, count):
        """Phones that have fetched the present list."""
        devices = [self.device() for _ in range(count)]
        for device in devices:
            self.site.add_phone(device)
            self.fetched(device, self.generation())
        return devices

    def capfd(self, *arguments, code=0):
        return run(PROGRAMS / "capfd", *arguments, "--state", self.site.state, code=code)

    def own(self, name):
        return phone_files.load_certificate(self.site.state / f"certificates/{name}.pem")

    def lose_the_list_signer(self):
        """Its key is gone, and the site has another one."""
        (self.site.state / "keys/list-signer.key").unlink()
        (self.site.state / "certificates/list-signer.pem").unlink()
        self.capfd("init", "--phone-files")
        self.site.server.restart()


class PublishingTest(TrustListTest):
    def test_a_list_has_the_sites_certificates_and_those_of_others_and_the_other_reader_takes_it(self):
        self.add("ccm", "ccm")
        self.add("app_ec", "app-server")
        self.assertEqual(self.roles(), OWN)
        new = self.read()
        ccm = next(record for record in new.records if record.role == "CCM")
        self.assertEqual((ccm.dns, ccm.address), ("sip.example.org", "192.0.2.11"))
        self.assertTrue(new.file.https)
        self.assertEqual(new.file.digest, 3)
        old_phones = self.read("--digest", "sha1")
        self.assertEqual(old_phones.file.digest, 1)
        self.assertEqual(old_phones.file.time, new.file.time)
        for number in range(2, self.generation() + 1):
            one, next_one = (self.read("--generation", str(n)) for n in (number - 1, number))
            self.assertTrue(next_one.follows(one), number)
            self.assertGreaterEqual(next_one.file.time, one.file.time)

        shown = self.shown()
        octets = self.exported()
        self.assertEqual(shown["list"]["sha1"], hashlib.sha1(octets).hexdigest())
        self.assertEqual(shown["list"]["md5"], hashlib.md5(octets).hexdigest())
        octets = self.exported("--digest", "sha1")
        self.assertEqual(shown["list"]["sha1_of_sha1"], hashlib.sha1(octets).hexdigest())
        self.assertEqual(len(shown["records"]), len(new.records))
        wire = next(record for record in shown["records"] if record["role"] == "capf")
        self.assertEqual((wire["name"], wire["in_use"]), ("wire", True))
        listed = self.site.json("trust-list", "list")
        self.assertEqual([each["generation"] for each in listed], list(range(1, self.generation() + 1)))
        self.assertIn("CN=sip.example.org", self.site.capfctl("trust-list", "show").stdout)
        self.assertIn("trust-list", {each["kind"] for each in self.site.json("summary")["expiries"]})

    def test_lists_are_not_published_again_for_nothing_and_not_by_another_server(self):
        self.assertEqual(self.site.json("trust-list", "build"), [])
        before = self.generation()
        octets = self.exported()
        server = self.site.add_server()
        self.addCleanup(server.stop)
        self.site.server.restart()
        self.assertSays(self.site.capfctl("trust-list", "build", server=server), "say what is on record")
        self.assertEqual(self.generation(), before)
        self.assertEqual(self.exported(), octets)

    def test_what_would_be_published_is_shown_and_not_done(self):
        before = self.generation()
        told = self.site.capfctl("trust-list", "build", "--dry-run")
        self.assertSays(told, "nothing was done")
        self.assertEqual(self.generation(), before)
        self.assertSays(self.site.capfctl("trust-list", "export", "--generation", "999", "--out",
                                          self.site.folder / "none.tlv", code=1), "UNKNOWN_TRUST_LIST")
        self.assertFalse((self.site.folder / "none.tlv").exists())

    def test_phones_are_let_go_by_an_emptied_list_when_somebody_says_yes(self):
        self.assertSays(self.site.capfctl("trust-list", "release", code=2), "--yes")
        roles = self.roles()
        self.site.capfctl("trust-list", "release", "--yes")
        emptied = [role for role in roles if role not in ("TFTP", "TVS")] + ["(TFTP)", "(TVS)"]
        self.assertEqual(self.roles(), sorted(emptied))
        self.assertFalse(self.read().file.https)
        self.assertTrue(self.site.json("trust-list", "show")["released"])
        self.assertEqual(self.site.sql("select count(*) from audit_events where action = 'trust_list.release'"), ["1"])
        self.site.capfctl("trust-list", "build")
        self.assertEqual(self.roles(), roles)


class MixedTest(TrustListTest):
    def test_a_site_becomes_mixed_with_what_secure_phones_need_and_has_a_ctl_from_then_on(self):
        refused = self.site.capfctl("site", "security-mode", "mixed", "--yes", code=1)
        self.assertSays(refused, "TRUST_LIST_UNFIT", "no certificate of a SIP server")
        self.assertSays(self.site.capfctl("trust-list", "export", "--kind", "ctl", "--out",
                                          self.site.folder / "ctl.tlv", code=1), "UNKNOWN_TRUST_LIST")
        self.add("ccm", "ccm+tftp")
        self.after(lambda: self.site.capfctl("site", "security-mode", "mixed", "--yes"), kind="ctl")
        mixed = ["CAPF", "CCM+TFTP", "SAST", "SAST", "TFTP", "TFTP"]
        self.assertEqual(self.roles(kind="ctl"), mixed)
        self.after(lambda: self.site.capfctl("site", "security-mode", "nonsecure", "--yes"), kind="ctl")
        self.assertEqual(self.roles(kind="ctl"), sorted(mixed[:1] + ["(CCM+TFTP)"] + mixed[2:]))
        with_certificate, without = (self.read("--generation", n, kind="ctl") for n in "12")
        self.assertTrue(without.follows(with_certificate))


class ActivationTest(TrustListTest):
    def test_a_certificate_is_activated_when_enough_phones_know_it(self):
        devices = self.phones(20)
        ccm = self.add("ccm", "ccm")
        for device in devices[:18]:
            self.fetched(device, self.generation())
        self.assertSays(self.certificate("activate", ccm[:16], code=1), "TRUST_LIST_NOT_FETCHED",
                        "18 of 20 phones (90 %)")
        self.assertIn(f"{ccm} is not in use", " ".join(self.site.json("trust-list", "show")["next"]))
        self.fetched(devices[18], self.generation())
        self.assertSays(self.certificate("activate", ccm[:16]), "19/20 phones")
        record = next(each for each in self.shown()["records"] if each["role"] == "ccm")
        self.assertEqual((record["in_use"], record["reach"]["fetched"], record["reach"]["phones"]), (True, 19, 20))
        self.certificate("activate", ccm, "--force")
        self.assertSays(self.certificate("activate", "0" * 64, code=1), "UNKNOWN_CERTIFICATE")


class SignerTest(TrustListTest):
    def test_the_list_signer_is_replaced_in_two_lists_and_a_phone_that_missed_both_gets_them_one_by_one(self):
        devices = self.phones(4)
        first = self.generation()
        had = self.read()
        self.assertSays(self.site.capfctl("trust-list", "signer", "replace", code=2), "list-signer add")
        self.capfd("list-signer", "add")
        self.site.server.restart()
        self.assertIn("step 1 of 2", " ".join(self.site.json("trust-list", "show")["next"]))
        self.site.capfctl("trust-list", "signer", "replace")
        both = self.read()
        self.assertEqual(self.generation(), first + 1)
        self.assertEqual(both.signer, had.signer)
        self.assertTrue(both.follows(had))
        self.assertIn("step 2 of 2", " ".join(self.site.json("trust-list", "show")["next"]))
        self.assertSays(self.site.capfctl("trust-list", "signer", "replace", "--step", code=1), "0 of 4 phones")
        for device in devices:
            self.fetched(device, first + 1)
        self.site.capfctl("trust-list", "signer", "replace", "--step")
        last = self.read()
        self.assertEqual(self.generation(), first + 2)
        self.assertNotEqual(last.signer, had.signer)
        self.assertTrue(last.follows(both))
        self.assertFalse(last.follows(had))
        self.assertEqual(last.signer, self.own("list-signer-2"))

        served = self.site.json("trust-list", "serve", devices[0], "--generation", str(first + 1))
        self.assertEqual((served["next"], served["newest"]), (first + 2, first + 2))
        told = self.site.capfctl("trust-list", "serve", devices[0], "--generation", str(first + 1))
        self.assertSays(told, f"--generation {first + 2}")
        self.assertSays(self.site.capfctl("trust-list", "serve", devices[0], "--generation", str(first + 2)), "newest")
        self.assertEqual(self.site.sql("select count(*) from phone_trust_lists"), ["0"])
        self.assertSays(self.site.capfctl("trust-list", "serve", devices[0], "--generation", "999", code=1),
                        "UNKNOWN_TRUST_LIST")


class RecoveryTest(TrustListTest):
    def test_a_site_that_lost_its_list_signer_is_brought_back_by_the_recovery_signer(self):
        had = self.read()
        self.lose_the_list_signer()
        self.certificate("add", CERTIFICATES / "tvs.crt", "--role", "tvs")
        self.assertSays(self.site.capfctl("trust-list", "build", code=1), "LIST_SIGNER_ABSENT")
        eventually(lambda: "signs trust lists" in self.site.capfctl("check", "health", code=None).stdout, "a warning")
        key = self.site.state / "recovery-signer.key"
        self.capfd("trust-list", "recover", "--key", key, "--recovery-passphrase", f"file:{key}.passphrase")
        recovered = self.read()
        self.assertTrue(recovered.follows(had))
        self.assertEqual(recovered.signer, self.own("recovery-signer"))
        self.after(lambda: self.certificate("remove", sha256_of(CERTIFICATES / "tvs.crt"), "--yes"))
        self.assertTrue(self.read().follows(recovered))
        self.assertEqual(self.read().signer, self.own("list-signer"))
        self.assertEqual(self.site.json("trust-list", "show")["stale"], [])
        self.assertEqual(self.site.sql("select count(*) from audit_events where action = 'trust_list.recover'"), ["1"])


class ForceTest(TrustListTest):
    def test_force_begins_with_another_signer_and_says_what_each_phone_needs(self):
        had = self.read()
        before = self.generation()
        self.lose_the_list_signer()
        tried = self.site.capfctl("trust-list", "build", "--force-new-trust", "--dry-run")
        self.assertSays(tried, "by hand", "nothing was done")
        self.assertEqual(self.generation(), before)
        self.assertSays(self.site.capfctl("trust-list", "build", "--force-new-trust", code=2), "--yes")
        self.assertSays(self.site.capfctl("trust-list", "build", "--force-new-trust", "--yes"), "by hand")
        self.assertEqual(self.generation(), before + 1)
        self.assertFalse(self.read().follows(had))
        self.assertEqual(self.read().signer, self.own("list-signer"))


if __name__ == "__main__":
    unittest.main()
