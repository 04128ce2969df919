"""What ends in the life of a site, above all its administrators: who is told beforehand, and the way back afterwards."""

import os
import pathlib
import re
import shutil
import time
import unittest
import urllib.request
from unittest import mock

from e2e import faults, pki
from e2e.faults import faked, set_clock
from e2e.site import PROGRAMS, EndToEnd, Site, eventually, passing, run

DAY = 86400
FIVE_YEARS = 1825  # days of the administrator that `capfd init` makes


def metrics(site):
    with urllib.request.urlopen(f"http://{site.server.endpoints['metrics']}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return {name: float(value) for name, value in re.findall(r"(?m)^(capf_\S+) (\S+)$", text)}


def ends(site, role, which):
    return metrics(site).get(f'capf_administrator_not_after_seconds{{role="{role}",which="{which}"}}')


def administrator_add(site, *arguments, code=0, env=None, user=None):
    """`capfd administrator add` on the machine."""
    command = [PROGRAMS / "capfd", "administrator", "add", *arguments, "--state", site.state]
    return run(*(["runuser", "-u", user, "--", *command] if user else command), code=code, env=env)


class FiveYearsTest(EndToEnd):
    """Server, database and clients live by one clock."""

    @classmethod
    def setUpClass(cls):
        cls.site = faults.FaultySite("--days", "7300", durable=False, clock="clock")
        cls.addClassCleanup(cls.site.close)
        cls.clock = cls.site.folder / "clock"

    def at(self, days):
        """The server starts again so many days after the site was made."""
        self.site.server.stop()
        set_clock(self.clock, days * DAY)
        with mock.patch.dict("os.environ", faked(self.clock)):
            self.site.server.start()

    def capfctl(self, *arguments, code=0):
        return run(PROGRAMS / "capfctl", "--state", self.site.state, *arguments, code=code, env=faked(self.clock))

    def test_the_only_administrator_is_announced_expires_and_has_a_successor(self):
        with mock.patch.dict("os.environ", faked(self.clock)):
            export = self.site.folder / "site.json"
            self.capfctl("site", "export", "--out", export)

        with self.subTest("26 days before"):
            self.at(FIVE_YEARS - 26)
            said = self.capfctl("check", "expiry", code=1).stdout
            self.assertRegex(said, r"^CAPF EXPIRY WARNING - administrator admin \(admin\), the last of this role, "
                                   r"expires in 2[56] days; the issuer expires in \d+ days; LSCs .*last_admin_days=2[56] ")
            eventually(lambda: ends(self.site, "admin", "last"), "the first reading")
            now = time.time() + (FIVE_YEARS - 26) * DAY
            self.assertLess(ends(self.site, "admin", "last") - now, 30 * DAY)
            self.assertEqual(metrics(self.site)['capf_administrators{role="admin"}'], 1)
            self.assertRegex(self.site.server.log_text(),
                             r"warning certificate\.ends certificate=administrator name=admin role=admin .*days=2[56]")

        with self.subTest("6 days before"):
            self.at(FIVE_YEARS - 6)
            self.assertRegex(self.capfctl("check", "expiry", code=2).stdout,
                             r"CRITICAL - administrator admin \(admin\), the last of this role, expires in [56] days")

        with self.subTest("afterwards"):
            self.at(FIVE_YEARS + 5)
            self.assertSays(self.capfctl("phone", "list", code=1), "CERTIFICATE_EXPIRED")
            self.assertIn("CERTIFICATE_EXPIRED", self.capfctl("check", "expiry", code=3).stdout)
            eventually(lambda: metrics(self.site).get('capf_administrators{role="admin"}') == 0, "nobody is left")

            env = faked(self.clock)
            self.assertSays(administrator_add(self.site, "admin", "--role", "admin", code=1, env=env), "ADMINISTRATOR_EXISTS")
            said = administrator_add(self.site, "back", "--role", "admin", env=env).stdout
            self.assertIn(f"capfctl --state {self.site.state} --administrator back administrator list", said)
            self.capfctl("--administrator", "back", "phone", "list")
            self.assertRegex(self.capfctl("--administrator", "back", "check", "expiry", code=1).stdout,
                             r"WARNING - administrator admin \(admin\) has expired; the issuer")
            self.capfctl("--administrator", "back", "administrator", "disable", "admin", "--yes")
            self.assertIn("EXPIRY OK", self.capfctl("--administrator", "back", "check", "expiry").stdout)
            eventually(lambda: metrics(self.site)['capf_administrators{role="admin"}'] == 1, "the metrics")
            self.assertEqual(ends(self.site, "admin", "first"), ends(self.site, "admin", "last"))

            changes = self.capfctl("--administrator", "back", "site", "verify", export).stdout
            self.assertIn("administrator who was not there: back (admin), added by capfd administrator add", changes)
            eventually(passing(lambda: self.assertIn("0", self.unsealed())), "all is sealed")
            self.capfctl("--administrator", "back", "audit", "verify")

    def unsealed(self):
        return self.site.sql("select count(*) from audit_events where (xid, id) > (select last_xid, last_id from "
                             "audit_seals order by number desc limit 1)")


class TheWayBackTest(EndToEnd):
    def setUp(self):
        self.state = self.site.state

    def files(self, name, folder=None):
        folder = pathlib.Path(folder or self.state / "admin")
        return folder / f"{name}.pem", folder / f"{name}.key"

    def assertNothing(self, name, folder=None):
        self.assertEqual([path for path in self.files(name, folder) if path.exists()], [])
        self.assertEqual(self.site.sql(f"select name from administrators where name = '{name}'"), [])

    def test_each_role_is_on_record_as_made_on_the_machine(self):
        for role in "admin", "operator", "auditor", "monitor":
            with self.subTest(role):
                name = f"made-{role}"
                administrator_add(self.site, name, "--role", role)
                certificate, key = self.files(name)
                self.assertEqual((key.stat().st_mode & 0o777, certificate.stat().st_mode & 0o777), (0o600, 0o644))
                self.site.capfctl("--administrator", name, "check", "health")
                run("openssl", "verify", "-CAfile", self.state / "certificates/site-ca.pem", "-purpose", "sslclient", certificate)
                listed, = [each for each in self.site.json("administrator", "list") if each["name"] == name]
                self.assertEqual((listed["role"], listed["created_by"]), (role, "capfd administrator add"))
                event, = [each for each in self.site.json("audit", "list", "--subject", name)]
                self.assertEqual((event["actor_kind"], event["actor"], event["action"], event["outcome"]),
                                 ("system", "capfd administrator add", "administrator.add", "done"))
                self.assertRegex(event["detail"], rf"^role {role}, on \S+$")
        self.assertSays(self.site.capfctl("--administrator", "made-monitor", "phone", "list", code=1), "ROLE_DENIED")
        eventually(lambda: self.site.capfctl("audit", "verify", code=None).returncode == 0, "the record is whole")

    def test_it_works_while_no_server_runs_and_with_a_folder_of_its_own(self):
        site = Site()
        self.addCleanup(site.close)
        site.server.stop()
        shutil.rmtree(site.state / "admin")  # the only key is lost
        said = administrator_add(site, "second", "--role", "admin", "--out", site.folder / "taken/away").stdout
        certificate, key = self.files("second", site.folder / "taken/away")
        self.assertEqual((site.folder / "taken/away").stat().st_mode & 0o777, 0o700)
        self.assertIn(f"--certificate {certificate} --key {key} administrator list", said)
        site.server.start()
        site.capfctl("--certificate", certificate, "--key", key, "phone", "list")
        site.capfctl("--certificate", certificate, "--key", key, "administrator", "disable", "admin", "--yes")
        shutil.copytree(site.folder / "taken/away", site.state / "admin")
        for path in (site.state / "admin").iterdir():  # for what the tests look at in the end
            path.rename(path.with_stem("admin"))

    def test_nothing_is_overwritten(self):
        for path in self.files("taken"):
            with self.subTest(path.name):
                path.write_text("mine")
                self.assertSays(administrator_add(self.site, "taken", "--role", "admin", code=1), "ADMINISTRATOR_EXISTS",
                                str(path))
                self.assertEqual(path.read_text(), "mine")
                path.unlink()
                self.assertNothing("taken")
        administrator_add(self.site, "twice", "--role", "auditor")
        with_key = self.files("twice")[1].read_bytes()
        self.assertSays(administrator_add(self.site, "twice", "--role", "admin", code=1), "ADMINISTRATOR_EXISTS")
        other = self.site.folder / "other"
        self.assertSays(administrator_add(self.site, "twice", "--role", "admin", "--out", other, code=1), "ADMINISTRATOR_EXISTS")
        self.assertEqual([path for path in self.files("twice", other) if path.exists()], [])
        self.assertEqual(self.files("twice")[1].read_bytes(), with_key)
        # A disabled one's name is free for another certificate, and its files stay.
        self.site.capfctl("administrator", "disable", "twice", "--yes")
        administrator_add(self.site, "twice", "--role", "auditor", "--out", other)
        self.assertEqual(self.files("twice")[1].read_bytes(), with_key)
        self.assertTrue(all(path.exists() for path in self.files("twice", other)))

    def test_without_the_passphrase_nobody_is_made(self):
        wrong = self.site.folder / "wrong"
        wrong.touch(mode=0o600)
        wrong.write_text("not it")
        refused = administrator_add(self.site, "guess", "--role", "admin", "--passphrase", f"file:{wrong}", code=1)
        self.assertSays(refused, "WRONG_PASSPHRASE")
        self.assertNothing("guess")
        right = (self.state / "passphrase").read_text()
        administrator_add(self.site, "knows", "--role", "monitor", "--passphrase", "env:WORDS",
                          env=dict(os.environ, WORDS=right))

    @unittest.skipIf(os.geteuid(), "only root can be another user")
    def test_only_the_owner_of_the_keys_makes_one(self):
        refused = administrator_add(self.site, "stranger", "--role", "admin", code=1, user="nobody")
        self.assertSays(refused, "INVALID_CONFIGURATION")
        self.assertNothing("stranger")
        # Root itself, where the server is not root's.
        state = self.site.copy_state("not-roots")
        run("chown", "-R", "nobody", state)
        command = (PROGRAMS / "capfd", "administrator", "add", "root", "--role", "admin", "--state", state)
        self.assertSays(run(*command, code=1), "capfd.toml belongs to somebody else")
        run("chown", "root", state, state / "capfd.toml")
        self.assertSays(run(*command, code=1), "run this as the owner of", str(state / "keys"))
        self.assertNothing("root", state / "admin")

    def test_the_database_of_another_site_is_refused(self):
        other = Site()
        self.addCleanup(other.close)
        state = other.copy_state("strange")
        path = state / "capfd.toml"
        path.write_text(path.read_text().replace(other.database, self.site.database))
        refused = run(PROGRAMS / "capfd", "administrator", "add", "intruder", "--role", "admin", "--state", state, code=1)
        self.assertSays(refused, "another site's")
        self.assertNothing("intruder", state / "admin")

    def test_a_clock_that_is_wrong_signs_nobody(self):
        clock = self.site.folder / "wrong-clock"
        for seconds in 120, -120:
            with self.subTest(seconds):
                set_clock(clock, seconds)
                self.assertSays(administrator_add(self.site, "early", "--role", "admin", code=1, env=faked(clock)), "CLOCK_SKEW")
                self.assertNothing("early")

    def test_a_database_that_is_away_is_told(self):
        state = self.site.copy_state("away")
        path = state / "capfd.toml"
        path.write_text(path.read_text().replace("host=", "host=/nowhere"))
        refused = run(PROGRAMS / "capfd", "administrator", "add", "late", "--role", "admin", "--state", state, code=1)
        self.assertSays(refused, "DATABASE_UNAVAILABLE")
        self.assertNothing("late", state / "admin")

    def test_wrong_usage_is_2_and_the_help_names_the_roles(self):
        for arguments in ((), ("somebody",), ("somebody", "--role", "king"), ("--role", "admin")):
            with self.subTest(arguments):
                administrator_add(self.site, *arguments, code=2)
        self.assertSays(administrator_add(self.site, "../x", "--role", "admin", code=1), "INVALID_NAME")
        run(PROGRAMS / "capfd", "administrator", code=2)
        said = run(PROGRAMS / "capfd", "administrator", "add", "--help").stdout
        for word in ("NAME", "--role", "admin, operator, auditor or monitor", "--out", "--passphrase", "--state"):
            self.assertIn(word, said)
        self.assertIn("administrator", run(PROGRAMS / "capfd", "--help").stdout)


class ListTest(EndToEnd):
    """Everything that a site lives by is in one list, which the check, the metrics and the summary read."""

    def test_a_new_site_has_them_all_and_none_is_near_its_end(self):
        def complete():
            return {each["kind"] for each in self.site.json("summary")["expiries"]} == {
                "issuer", "administrator", "site_ca", "server", "wire", "ocsp"}
        eventually(complete, "the OCSP responder has its certificate too")
        listed = self.site.json("summary")["expiries"]
        ocsp, = [each for each in listed if each["kind"] == "ocsp"]
        self.assertLess(ocsp["renews_at"], ocsp["not_after"])
        self.assertIn("EXPIRY OK", self.site.capfctl("check", "expiry").stdout)
        self.assertNotIn("certificate.ends", self.site.server.log_text())
        for name, kind in ("site-ca", "site_ca"), ("server", "server"), ("wire", "wire"), ("issuer-1", "issuer"):
            loaded = pki.x509.load_pem_x509_certificate((self.site.state / f"certificates/{name}.pem").read_bytes())
            there, = [each["not_after"] for each in listed if each["kind"] == kind]
            self.assertEqual(there, loaded.not_valid_after.strftime("%Y-%m-%dT%H:%M:%SZ"))
        def told():
            return {f'capf_certificate_not_after_seconds{{certificate="{kind}"}}'
                    for kind in ("issuer", "site_ca", "server", "wire", "ocsp")} <= metrics(self.site).keys()
        eventually(told, "the metrics have them")

    def test_an_administrator_of_any_role_is_named_when_the_end_is_near(self):
        self.site.capfctl("administrator", "add", "nagios", "--role", "monitor")
        self.site.sql("update administrators set certificate_not_after = now() + interval '20 days 1 hour' where name = "
                      "'nagios'", "postgres")
        self.assertIn("administrator nagios (monitor), the last of this role, expires in 20 days",
                      self.site.capfctl("--administrator", "nagios", "check", "expiry", code=1).stdout)
        eventually(lambda: "name=nagios role=monitor" in self.site.server.log_text(), "the log names it")
        self.site.capfctl("administrator", "disable", "nagios", "--yes")
        self.assertIn("EXPIRY OK", self.site.capfctl("check", "expiry").stdout)


if __name__ == "__main__":
    unittest.main()
