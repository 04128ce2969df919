"""Backups: what a site has published and sealed is not forgotten by restoring an older database."""

import http.client
import json
import os
import re
import shutil
import unittest

from e2e.secure_site import PROFILE, SecureSite
from e2e.site import PROGRAMS, SOURCE, EndToEnd, Site, closed_window, eventually, passing, run, text_of

INTERVAL = 1


class Dumps(EndToEnd):
    def psql(self, statement, database="postgres"):
        return run("psql", "-X", "-v", "ON_ERROR_STOP=1", "-Atqc", statement,
                   f"{self.site.database} user=postgres dbname={database}").stdout.strip()

    def dump(self):
        path = self.site.folder / "capf.dump"
        run("pg_dump", "-Fc", "-f", path, f"{self.site.database} user=postgres dbname=capf")
        return path

    def take_back(self, dump):
        """The dump in place of the database, which no server uses."""
        self.psql("drop database capf with (force)")
        self.psql("create database capf owner capf_owner")
        run("pg_restore", "-d", f"{self.site.database} user=postgres dbname=capf", dump)


class Recovery(Dumps):
    """Each test has a site of its own: it restores its database."""

    @classmethod
    def setUpClass(cls):
        pass

    def setUp(self):
        self.site = Site(settings=lambda text: text + f"\n[status]\ncrl_interval_seconds = {INTERVAL}\n")
        self.addCleanup(self.site.close)
        self.issuer = self.site.folder / "issuer.pem"
        self.issuer.write_text(self.site.capfctl("issuer", "export").stdout)

    def crl(self, server=None):
        """@return the number of the CRL that is served, and its serial numbers"""
        connection = http.client.HTTPConnection((server or self.site.server).endpoints["status"], timeout=60)
        connection.request("GET", "/crl/1/0.crl")
        answer = connection.getresponse()
        der = self.site.folder / "crl.der"
        der.write_bytes(answer.read())
        connection.close()
        self.assertEqual(answer.status, 200)
        text = run("openssl", "crl", "-inform", "der", "-in", der, "-noout", "-text", "-CAfile", self.issuer).stdout
        number = int(re.search(r"X509v3 CRL Number:\s+(\d+)", text)[1])
        return number, {serial.lower() for serial in re.findall(r"Serial Number: ([0-9A-F]+)", text)}

    def serial(self, device):
        return self.site.json("certificate", "show", device)["serial"]

    def ocsp(self, device):
        def status():
            done = run("openssl", "ocsp", "-issuer", self.issuer, "-cert", self.site.phones / f"{device}.pem", "-CAfile",
                       self.issuer, "-url", f"http://{self.site.server.endpoints['status']}/ocsp", "-no_nonce", code=None)
            return re.search(r"\.pem: (\w+)", done.stdout)
        return eventually(status, "an answer that is not 'try later'")[1]

    def revoke(self, device, reason="cessationOfOperation"):
        """Waits until it is on the CRL."""
        serial = self.serial(device)
        self.site.capfctl("certificate", "revoke", device, "--reason", reason, "--yes")
        eventually(lambda: serial in self.crl()[1], "the revocation is on the CRL")
        return serial

    def all_sealed(self):
        def answer():
            return json.loads(self.site.capfctl("audit", "verify", "--output", "json").stdout)
        return eventually(lambda: answer()["unsealed"] == 0 and answer()["last_seal"], "every event is sealed")

    def start_behind(self, device):
        """Starts capfd over the older database: it lets no phone in."""
        self.site.server.start()
        self.assertSays(self.site.phone(device, code=1), "DATABASE_BEHIND")
        self.assertEqual(self.site.operation(device)["state"], "pending")
        eventually(lambda: "database.behind" in self.site.server.log_text(), "the log says so")

    def recover(self, server=None, warning=True):
        done = self.site.capfctl("site", "recover", "--yes", "--output", "json", server=server)
        if warning:
            self.assertSays(done, "administrator admin (admin)")
        return json.loads(done.stdout)

    def works_again(self, device):
        """The phone gets a certificate, and the record is whole, also beside the log."""
        self.site.schedule(device, "install", "null")
        eventually(passing(lambda: self.site.phone(device)), "the phone is served")
        self.assertEqual(self.ocsp(device), "good")
        self.all_sealed()
        self.site.capfctl("audit", "verify", "--anchor", self.site.server.log)
        self.assertSays(self.site.capfctl("site", "recover", "--yes", code=1), "NOTHING_TO_RECOVER")

    def test_a_dump_that_forgets_revocations_is_taken_on_from_the_crl(self):
        before, gone, stolen, held, later = (self.device() for _ in range(5))
        for device in (before, gone, stolen, held):
            self.site.enrol(device)
        self.revoke(before)
        self.site.add_phone(later)
        self.site.schedule(later, "install", "null")
        self.all_sealed()
        dump = self.dump()

        # Changes that the dump lacks.
        unknown = self.device()
        self.site.enrol(unknown)
        serials = {self.revoke(gone), self.revoke(stolen, "keyCompromise"), self.revoke(held, "certificateHold"),
                   self.revoke(unknown), self.serial(before)}
        export = self.site.folder / "site.json"
        self.site.capfctl("administrator", "add", "former", "--role", "operator")
        self.site.capfctl("site", "export", "--out", export)
        self.assertEqual(self.site.json("site", "verify", export), {"findings": [], "changes": []})
        last = self.all_sealed()
        number, _ = self.crl()
        self.site.server.stop()

        self.take_back(dump)
        self.start_behind(later)
        self.assertEqual(self.crl(), (number, serials), "the last CRL is served, and no older one")
        findings = "\n".join(self.site.json("site", "verify", export, code=1)["findings"])
        for words in ("CRL", "administrator former is not on record", "seal", "the newest CRL"):
            self.assertIn(words, findings)
        # Refused unless all the administrators and anchors are named.
        self.assertSays(self.site.capfctl("site", "recover", code=2), "--yes")

        answer = self.recover()
        self.assertEqual({key: answer[key] for key in ("revocations", "unknown", "operations", "phones")},
                         {"revocations": 4, "unknown": 1, "operations": 1, "phones": 1})
        self.assertLess(answer["seal"], last)
        self.assertEqual(self.site.operation(later)["state"], "cancelled")
        self.assertTrue(self.site.json("phone", "show", stolen)["blocked"])
        for device in (before, gone, stolen, held, unknown):
            self.assertEqual(self.ocsp(device), "revoked", device)
        eventually(lambda: self.crl()[0] > number, "the next CRL has a greater number")
        self.assertEqual(self.crl()[1], serials)
        self.works_again(later)
        events = self.site.json("audit", "list", "--action", "site.recover")
        self.assertEqual((events[0]["actor"], events[0]["outcome"]), ("admin", "done"))
        # The lost certificate of `unknown` belongs to no phone any more: it does not authenticate.
        self.site.add_phone(unknown)
        self.site.schedule(unknown, "install", "lsc")
        self.site.phone(unknown, code=1)
        self.assertLastAttempt(unknown, "CERTIFICATE_UNKNOWN_ISSUER")

    def test_a_dismissed_administrator_takes_no_site_from_its_backup(self):
        device, removed, blocked = (self.device() for _ in range(3))
        for phone in (removed, blocked):
            self.site.enrol(phone)
        self.site.add_phone(device)
        self.site.schedule(device, "install", "null")
        self.site.capfctl("administrator", "add", "former", "--role", "admin")
        self.site.capfctl("administrator", "add", "elsewhere", "--role", "admin")
        self.site.capfctl("trusted-party", "add", "trunk:provider", "--level", "encrypted")
        self.site.capfctl("trusted-party", "add", "bridge:rooms", "--level", "encrypted")
        self.all_sealed()
        dump = self.dump()
        other = self.site.add_server()  # with a copy of the state directory, as in the guide
        self.site.capfctl("administrator", "disable", "former", "--yes")
        self.site.capfctl("phone", "remove", removed, "--yes")
        self.site.capfctl("phone", "block", blocked)
        of_blocked = self.serial(blocked)
        for server in (self.site.server, other):
            eventually(lambda: of_blocked in self.crl(server)[1], "the blocked phone's LSC is on the CRL")
        stranger = self.site.folder / "stranger.pem"
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "/dev/null", "-subj", "/CN=SEP001122334455",
            "-out", stranger)
        self.site.capfctl("certificate", "block", stranger)
        self.site.capfctl("trusted-party", "remove", "trunk:provider")
        self.site.capfctl("trusted-party", "add", "bridge:rooms", "--level", "authenticated")
        self.all_sealed()
        for server in (self.site.server, other):
            journal = server.state / "keys/journal"
            kinds = ("administrator", "certificate", "trusted_party")
            eventually(lambda: all(f" {kind} done " in text_of(journal) for kind in kinds),
                       "its journal has it")
            self.assertEqual(journal.stat().st_mode & 0o777, 0o600)
            self.assertEqual((server.state / "recovery-word").stat().st_mode & 0o777, 0o600)
            server.stop()
        self.take_back(dump)
        other.start()
        self.start_behind(device)
        for server in (self.site.server, other):
            for command in (("site", "recover", "--yes"), ("administrator", "add", "friend", "--role", "admin"),
                            ("administrator", "disable", "admin", "--yes"), ("phone", "list")):
                self.assertSays(self.site.capfctl("--administrator", "former", *command, code=1, server=server),
                                "ADMINISTRATOR_DISABLED")

        # A true administrator without access to the machine can read, but not change anything.
        def from_elsewhere(*command, code=1):
            return run(PROGRAMS / "capfctl", "--server", self.site.server.endpoints["admin"], "--trust",
                       self.site.state / "certificates/site-ca.pem", "--certificate", self.site.state / "admin/elsewhere.pem",
                       "--key", self.site.state / "admin/elsewhere.key", *command, code=code)
        from_elsewhere("phone", "list", code=0)
        for command in (("phone", "add", self.device()), ("phone", "block", device), ("site", "recover", "--yes"),
                        ("administrator", "disable", "admin", "--yes")):
            self.assertSays(from_elsewhere(*command), "RECOVERY_WORD_REQUIRED")
        self.assertEqual(self.site.json("audit", "list", "--action", "site.recover")[-1]["reason"], "RECOVERY_WORD_REQUIRED")

        done = self.site.capfctl("site", "recover", "--yes", "--output", "json")
        self.assertNotIn("former", done.stderr)
        self.assertEqual(json.loads(done.stdout)["withdrawn"], 5, done.stdout)  # the blocked phone's LSC was on the CRL
        self.recover(other)
        administrators = {one["name"]: one["disabled_at"] for one in self.site.json("administrator", "list")}
        self.assertTrue(administrators["former"])
        self.assertFalse(administrators["elsewhere"])
        self.assertSays(self.site.capfctl("phone", "show", removed, code=1), "UNKNOWN_DEVICE")
        self.assertTrue(self.site.json("phone", "show", blocked)["blocked"])
        self.assertEqual(len(self.site.json("certificate", "blocked")), 1)
        self.assertEqual([(party["party"], party["level"]) for party in self.site.json("trusted-party", "list")],
                         [("bridge:rooms", "authenticated")])
        from_elsewhere("phone", "add", self.device(), code=0)
        self.works_again(device)

    def test_without_an_administrator_one_is_made_on_the_machine_who_recovers(self):
        device = self.site.add_phone(self.device())
        self.site.schedule(device, "install", "null")
        self.all_sealed()
        dump = self.dump()
        self.site.add_phone(self.device())
        self.all_sealed()
        self.site.server.stop()
        self.take_back(dump)
        command = [PROGRAMS / "capfd", "administrator", "add", "--state", self.site.state, "--role", "admin"]
        run(*command, "before")
        self.start_behind(device)
        run(*command, "back")
        done = self.site.capfctl("--administrator", "back", "site", "recover", "--yes")
        self.assertSays(done, "administrator before (admin)", "administrator back (admin)")
        self.works_again(device)

    def test_of_two_servers_each_recovers_what_it_has_published(self):
        first, second = self.device(), self.device()
        self.site.enrol(first)
        self.site.enrol(second)
        self.all_sealed()
        dump = self.dump()
        other = self.site.add_server()
        serial = self.revoke(first)
        eventually(lambda: serial in self.crl(other)[1], "the other server has the CRL")
        self.site.server.stop()
        # Only the other server has seen this.
        self.site.capfctl("certificate", "revoke", second, "--reason", "keyCompromise", "--yes", server=other)
        eventually(lambda: len(self.crl(other)[1]) == 2, "the other server publishes", seconds=90)
        other.stop()
        self.take_back(dump)
        self.site.server.start()
        other.start()
        self.assertEqual(self.recover()["revocations"], 1)
        self.site.add_phone(self.device())  # so that there is something to seal
        # The other server may have been overtaken by now: its CRL's number was used again.
        self.assertEqual(self.recover(other, warning=False)["revocations"], 1)
        for server in (self.site.server, other):
            eventually(lambda: len(self.crl(server)[1]) == 2, "both are on every server's CRL", seconds=90)
        self.works_again(self.site.add_phone(self.device()))

    def test_revocations_that_somebody_deleted_are_brought_back(self):
        device = self.device()
        self.site.enrol(device)
        serial = self.revoke(device)
        number, _ = self.crl()
        self.site.sql("alter table certificates disable trigger user; update certificates set revoked_at = null, "
                      "revocation_reason = null; alter table certificates enable trigger user; delete from revocations")
        eventually(lambda: "reason=CRL_WOULD_LOSE_ENTRIES" in self.site.server.log_text(), "the next CRL is refused")
        self.assertEqual(self.crl(), (number, {serial}))
        answer = self.recover(warning=False)
        self.assertEqual((answer["revocations"], answer["operations"]), (1, 0))
        self.assertEqual(self.ocsp(device), "revoked")
        eventually(lambda: self.crl()[0] > number, "CRLs are published again")
        self.assertEqual(self.crl()[1], {serial})
        self.works_again(self.site.add_phone(self.device()))

    def test_a_point_in_time_before_a_revocation_and_the_very_end_of_the_log(self):
        stolen, later = self.device(), self.device()
        self.site.enrol(stolen)
        postgres = self.site.state / "postgres"

        def start_postgres():
            run(SOURCE / "scripts/postgres", "start", postgres)  # as in service: the tests' own clusters keep no log

        archive = postgres / "archive"
        archive.mkdir()
        shutil.copystat(postgres / "data", archive)
        owner = (postgres / "data").stat()
        os.chown(archive, owner.st_uid, owner.st_gid)
        self.site.server.stop()
        self.site.stop_postgres()
        with (postgres / "data/postgresql.auto.conf").open("a") as settings:
            settings.write(f"archive_mode = on\narchive_command = 'cp %p {archive}/%f'\n")
        start_postgres()
        self.site.stop_postgres()
        run("cp", "-a", postgres / "data", postgres / "backup")
        start_postgres()
        self.site.server.start()
        self.site.add_phone(later)
        self.site.schedule(later, "install", "null")
        self.all_sealed()
        point = self.psql("select now()")
        self.revoke(stolen, "keyCompromise")
        number, serials = self.crl()
        last = self.all_sealed()
        self.site.server.stop()
        self.psql("select pg_switch_wal()")
        eventually(lambda: self.psql("select count(*) from pg_ls_archive_statusdir() where name like '%.ready'") == "0",
                   "the log is in the archive")

        def restore(target):
            self.site.stop_postgres()
            shutil.rmtree(postgres / "data")
            run("cp", "-a", postgres / "backup", postgres / "data")
            signal = postgres / "data/recovery.signal"
            signal.touch()
            os.chown(signal, owner.st_uid, owner.st_gid)
            with (postgres / "data/postgresql.auto.conf").open("a") as settings:
                settings.write(f"archive_mode = off\nrestore_command = 'cp {archive}/%f %p'\n"
                               f"recovery_target_action = promote\n{target}\n")
            start_postgres()
            eventually(lambda: self.psql("select pg_is_in_recovery()") == "f", "it is the primary")

        restore("")
        self.site.server.start()
        self.assertSays(self.site.capfctl("site", "recover", "--yes", code=1), "NOTHING_TO_RECOVER")
        self.assertEqual(self.ocsp(stolen), "revoked")
        self.site.phone(later)
        self.site.server.stop()

        restore(f"recovery_target_time = '{point}'")
        self.start_behind(later)
        self.assertEqual(self.crl()[1], serials)
        answer = self.recover()
        self.assertEqual((answer["revocations"], answer["phones"]), (1, 1))
        self.assertLessEqual(answer["seal"], last)
        self.assertEqual(self.ocsp(stolen), "revoked")
        self.works_again(later)


class SecureDumpTest(Dumps):
    """What makes phones secure is in the dump, and nothing of it is lost by taking it back."""

    @classmethod
    def setUpClass(cls):
        cls.site = SecureSite()
        cls.addClassCleanup(cls.site.close)

    def everything(self, devices):
        lists = self.site.json("trust-list", "show")["lists"]
        return {"phones": self.site.json("phone", "list"), "profiles": self.site.json("profile", "list"),
                "lines": self.site.json("line", "list"), "users": self.site.json("digest-user", "list"),
                "password": self.site.json("digest-user", "show", "4711", "--reveal")["password"],
                "parties": self.site.json("trusted-party", "list"), "campaigns": self.site.json("campaign", "list"),
                "lists": [(each["list"]["kind"], each["list"]["generation"]) for each in lists],
                "call": self.site.json("call-status", *devices),
                "settings": [self.site.json("phone", "show", device)["settings"] for device in devices]}

    def test_modes_profiles_lines_and_digest_users_are_as_they_were(self):
        devices = [self.device() for _ in range(2)]
        for device in devices:
            self.site.enrol(device)
        self.site.capfctl("profile", "apply", PROFILE, *devices)
        self.site.capfctl("phone", "set", devices[0], "--web-access", "on")
        self.site.capfctl("digest-user", "add", "4711")
        self.site.capfctl("phone", "digest", devices[0], "4711")
        self.site.capfctl("line", "add", "1001", *devices)
        self.site.capfctl("trusted-party", "add", "trunk:provider", "--level", "encrypted")
        self.site.capfctl("campaign", "create", "later", devices[1], "--auth", "lsc", "--window", closed_window(), "--time-zone",
                          "Europe/Berlin")
        before = self.everything(devices)
        self.assertEqual((before["call"]["level"], len(before["lines"])), ("encrypted", 1))
        self.site.server.stop()
        dump = self.dump()
        self.take_back(dump)
        self.site.server.start()
        self.assertEqual(self.everything(devices), before)
        self.assertSays(self.site.capfctl("site", "recover", "--yes", code=1), "NOTHING_TO_RECOVER")


if __name__ == "__main__":
    unittest.main()
