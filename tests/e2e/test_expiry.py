"""The ends in the life of a site, above all of its administrators' certificates: the warnings before, and the way back
after."""

import json
import os
import pathlib
import re
import shutil
import ssl
import time
import unittest
from unittest import mock

from e2e import faults, pki
from e2e.faults import faked, set_clock
from e2e.site import PROGRAMS, EndToEnd, Site, eventually, passing, run

DAY = 86400
FIVE_YEARS = 1825  # days of the administrator that `capfd init` makes


def ends(site, role, which):
    return site.server.metrics().get(f'capf_administrator_not_after_seconds{{role="{role}",which="{which}"}}')


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
            self.assertEqual(self.site.server.metrics()['capf_administrators{role="admin"}'], 1)
            said = r"warning certificate\.ends certificate=administrator name=admin role=admin .*days=2[56]"
            eventually(lambda: re.search(said, self.site.server.log_text()), "the log says so")

        with self.subTest("6 days before"):
            self.at(FIVE_YEARS - 6)
            self.assertRegex(self.capfctl("check", "expiry", code=2).stdout,
                             r"CRITICAL - administrator admin \(admin\), the last of this role, expires in [56] days")

        with self.subTest("afterwards"):
            self.at(FIVE_YEARS + 5)
            self.assertSays(self.capfctl("phone", "list", code=1), "CERTIFICATE_EXPIRED")
            self.assertIn("CERTIFICATE_EXPIRED", self.capfctl("check", "expiry", code=3).stdout)
            eventually(lambda: self.site.server.metrics().get('capf_administrators{role="admin"}') == 0, "nobody is left")

            env = faked(self.clock)
            self.assertSays(administrator_add(self.site, "admin", "--role", "admin", code=1, env=env), "ADMINISTRATOR_EXISTS")
            said = administrator_add(self.site, "back", "--role", "admin", env=env).stdout
            self.assertIn(f"capfctl --state {self.site.state} --administrator back administrator list", said)
            self.capfctl("--administrator", "back", "phone", "list")
            self.assertRegex(self.capfctl("--administrator", "back", "check", "expiry", code=1).stdout,
                             r"WARNING - administrator admin \(admin\) has expired; the issuer")
            self.capfctl("--administrator", "back", "administrator", "disable", "admin", "--yes")
            self.assertIn("EXPIRY OK", self.capfctl("--administrator", "back", "check", "expiry").stdout)
            eventually(lambda: self.site.server.metrics()['capf_administrators{role="admin"}'] == 1 and
                       ends(self.site, "admin", "first") == ends(self.site, "admin", "last"), "the metrics")

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
        for path in (site.state / "admin").iterdir():  # for the tests' last checks
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


def shown(site, port):
    """The certificate that a port shows."""
    host, _, number = site.server.endpoints[port].rpartition(":")
    return pki.x509.load_pem_x509_certificate(ssl.get_server_certificate((host.strip("[]"), int(number)), timeout=60).encode())


def serial_in(path):
    return pki.x509.load_pem_x509_certificate(path.read_bytes()).serial_number


class OwnCertificatesTest(EndToEnd):
    """The certificates of the site's servers, renewed on the machine while the server runs."""

    @classmethod
    def setUpClass(cls):
        cls.site = Site()
        cls.addClassCleanup(cls.site.close)
        cls.certificates = cls.site.state / "certificates"

    def capfd(self, *arguments, code=0):
        return run(PROGRAMS / "capfd", *arguments, "--state", self.site.state, code=code)

    def wire(self, *arguments, code=0):
        return self.site.capfctl("wire-certificate", *arguments, code=code)

    def event(self, action, subject):
        *_, event = self.site.json("audit", "list", "--subject", subject, "--action", action)
        self.assertEqual((event["actor_kind"], event["outcome"]), ("system", "done"))
        return event

    def install(self):
        device = self.site.add_phone(self.device())
        self.site.phone(device, "--wire", "--string", self.site.schedule(device, "install", "string"))

    def test_another_public_host_is_told_and_a_renewed_certificate_names_it(self):
        path = self.site.state / "capfd.toml"
        text = path.read_text()
        self.assertNotIn("does not name", self.capfd("check-config").stderr)
        self.assertNotIn(" server.certificate_names ", self.site.server.log_text())
        path.write_text(re.sub(r'(?m)^public_host = .*$', 'public_host = "capf.example"', text))
        self.addCleanup(self.site.server.restart)
        self.addCleanup(path.write_text, text)
        self.site.server.restart()
        self.assertIn(" server.certificate_names ", self.site.server.log_text())
        said = self.capfd("check-config")
        self.assertEqual(said.stdout, "ok\n")
        self.assertIn("does not name capf.example", said.stderr)
        pid = self.site.server.process.pid
        before = shown(self.site, "phone").serial_number
        key = (self.site.state / "keys/server.key").read_bytes()
        self.assertIn("capf.example", self.capfd("certificate", "renew", "server").stdout)
        for port in "phone", "admin":
            eventually(lambda p=port: shown(self.site, p).serial_number != before, "the new certificate is shown")
            names = shown(self.site, port).extensions.get_extension_for_class(pki.x509.SubjectAlternativeName).value
            self.assertLessEqual({"capf.example", "localhost"}, set(names.get_values_for_type(pki.x509.DNSName)))
        self.assertEqual((self.site.state / "keys/server.key").read_bytes(), key)
        run("openssl", "verify", "-CAfile", self.certificates / "site-ca.pem", "-purpose", "sslserver",
            "-verify_hostname", "capf.example", self.certificates / "server.pem")
        self.assertNotIn("does not name", self.capfd("check-config").stderr)
        self.site.capfctl("phone", "list")
        self.assertEqual(self.site.server.process.pid, pid)
        self.assertIn("capf.example", self.event("own_certificate.renew", "server")["detail"])

    def test_a_renewed_site_ca_leaves_the_former_one_in_use(self):
        former = self.site.folder / "former-site-ca.pem"
        shutil.copy(self.certificates / "site-ca.pem", former)
        before = shown(self.site, "admin").serial_number
        self.capfd("certificate", "renew", "site-ca")
        renewed = self.site.folder / "renewed-site-ca.pem"
        blocks = re.findall("-----BEGIN.*?END CERTIFICATE-----\n", (self.certificates / "site-ca.pem").read_text(), re.S)
        renewed.write_text(blocks[0])
        self.assertEqual(blocks[1:], [former.read_text()])
        self.assertNotEqual(serial_in(renewed), serial_in(former))
        eventually(lambda: shown(self.site, "admin").serial_number != before, "the server's new certificate is shown")
        admin = self.site.state / "admin/admin"
        for trust in former, renewed, self.certificates / "site-ca.pem":
            with self.subTest(trust.name):
                self.site.capfctl("--server", self.site.server.endpoints["admin"], "--trust", trust, "--certificate",
                                  f"{admin}.pem", "--key", f"{admin}.key", "phone", "list")
                for role, certificate in ("sslserver", self.certificates / "server.pem"), ("sslclient", f"{admin}.pem"):
                    run("openssl", "verify", "-CAfile", trust, "-purpose", role, certificate)
        # An administrator who is added now is under the renewed one, and as good.
        self.site.capfctl("administrator", "add", "later", "--role", "auditor")
        self.site.capfctl("--administrator", "later", "phone", "list")
        run("openssl", "verify", "-CAfile", renewed, "-purpose", "sslclient", self.site.state / "admin/later.pem")
        administrator_add(self.site, "machine", "--role", "auditor")
        self.site.capfctl("--administrator", "machine", "phone", "list")
        self.event("own_certificate.renew", "site-ca")
        # Former ones do not gather.
        for _ in range(4):
            self.capfd("certificate", "renew", "site-ca")
        self.assertEqual((self.certificates / "site-ca.pem").read_text().count("BEGIN"), 3)
        self.site.server.restart()
        self.site.capfctl("phone", "list")

    def test_a_renewal_does_not_need_the_passphrase_that_the_server_started_with(self):
        site = Site()
        self.addCleanup(site.close)
        before = shown(site, "admin").serial_number
        following = site.folder / "following"
        following.touch(mode=0o600)
        following.write_text("another passphrase 71c4")
        site.capfctl("issuer", "rekey-passphrase", "--new-passphrase", f"file:{following}")
        run(PROGRAMS / "capfd", "certificate", "renew", "server", "--state", site.state)
        eventually(lambda: shown(site, "admin").serial_number != before, "the new certificate is shown")
        site.capfctl("phone", "list")

    def test_the_next_wire_certificate_stands_beside_the_present_one(self):
        def listed():
            return [(each["name"], each["shown"]) for each in self.site.json("wire-certificate", "list")]
        first = shown(self.site, "wire").serial_number
        self.assertEqual(listed(), [("wire", True)])
        self.assertIn("wire-2", self.wire("add", "--days", "1000").stdout)
        both = [(self.certificates / f"{name}.pem").read_text() for name in ("wire", "wire-2")]
        self.assertEqual(self.site.capfctl("issuer", "export", "--wire").stdout, "".join(both))
        self.assertEqual(listed(), [("wire", True), ("wire-2", False)])
        self.assertSays(self.wire("remove", "wire", code=1), "INVALID_REQUEST", "activate another one")
        for name in "wire-3", "../wire", "wire-ec", "wire-02", "server":
            self.assertSays(self.wire("activate", name, code=1), "INVALID_REQUEST", "there are wire wire-2")
        self.assertEqual(shown(self.site, "wire").serial_number, first)

        pid = self.site.server.process.pid
        self.wire("activate", "wire-2")
        following = pki.x509.load_pem_x509_certificate((self.certificates / "wire-2.pem").read_bytes())
        eventually(lambda: shown(self.site, "wire").serial_number == following.serial_number, "the next one is shown")
        self.assertEqual(self.site.server.process.pid, pid)
        self.assertEqual(listed(), [("wire-2", True), ("wire", False)])
        self.assertEqual(self.site.capfctl("issuer", "export", "--wire").stdout, "".join(reversed(both)))
        self.install()
        def ends_of_wire():
            return [each["not_after"] for each in self.site.json("summary")["expiries"] if each["kind"] == "wire"]
        eventually(lambda: ends_of_wire() == [following.not_valid_after.strftime("%Y-%m-%dT%H:%M:%SZ")], ends_of_wire)
        # There is a way back, also while nobody serves.
        self.site.server.stop()
        self.wire("activate", "wire")
        self.site.server.start()
        self.assertEqual(shown(self.site, "wire").serial_number, first)
        self.wire("activate", "wire-2")
        eventually(lambda: shown(self.site, "wire").serial_number == following.serial_number, "the next one is shown")

        self.wire("remove", "wire")
        self.assertFalse((self.site.state / "keys/wire.key").exists())
        self.assertEqual(self.site.capfctl("issuer", "export", "--wire").stdout, both[1])
        self.site.server.restart()
        self.install()
        for action in "add", "activate":
            self.event(f"wire_certificate.{action}", "wire-2")
        self.event("wire_certificate.remove", "wire")
        for _ in range(3):
            self.wire("add")
        self.assertSays(self.wire("add", code=1), "INVALID_REQUEST", "four")
        for name in "wire-3", "wire-4", "wire-5":
            self.wire("remove", name)
        self.assertEqual(listed(), [("wire-2", True)])

    def test_a_wire_certificate_whose_key_is_not_there_is_not_activated(self):
        site = Site()
        self.addCleanup(site.close)
        site.capfctl("wire-certificate", "add")
        key = site.state / "keys/wire-2.key"
        octets = key.read_bytes()
        key.unlink()
        self.assertSays(site.capfctl("wire-certificate", "activate", "wire-2", code=1), "wire-2.key")
        shutil.copy(site.state / "keys/wire.key", key)
        self.assertSays(site.capfctl("wire-certificate", "activate", "wire-2", code=1), "is not the key of the certificate")
        self.assertFalse((site.state / "certificates/wire.shown").exists())
        key.write_bytes(octets)
        site.capfctl("wire-certificate", "activate", "wire-2")

    def test_wrong_usage_is_2_and_without_the_passphrase_nothing_changes(self):
        for arguments in (("certificate",), ("certificate", "renew"), ("wire-certificate",), ("wire-certificate", "remove")):
            with self.subTest(arguments):
                run(PROGRAMS / "capfd", *arguments, code=2)
        self.capfd("certificate", "renew", "issuer", code=2)
        self.assertSays(self.capfd("wire-certificate", "add", "--days", "0", code=1), "INVALID_REQUEST")
        wrong = self.site.folder / "wrong"
        wrong.touch(mode=0o600)
        wrong.write_text("not it")
        before = {path.name: path.read_bytes() for path in self.certificates.iterdir()}
        for command in (("certificate", "renew", "server"), ("certificate", "renew", "site-ca"), ("wire-certificate", "add")):
            with self.subTest(command):
                self.assertSays(self.capfd(*command, "--passphrase", f"file:{wrong}", code=1), "WRONG_PASSPHRASE")
        clock = self.site.folder / "wrong-clock"
        set_clock(clock, 120)
        for command in (("certificate", "renew", "server"), ("wire-certificate", "add")):
            with self.subTest(command, clock="ahead"):
                refused = run(PROGRAMS / "capfd", *command, "--state", self.site.state, code=1, env=faked(clock))
                self.assertSays(refused, "CLOCK_SKEW")
        self.assertEqual({path.name: path.read_bytes() for path in self.certificates.iterdir()}, before)

    @unittest.skipIf(os.geteuid(), "only root can be another user")
    def test_only_the_owner_of_the_keys_renews(self):
        for command in (("certificate", "renew", "site-ca"), ("wire-certificate", "add")):
            with self.subTest(command):
                run("runuser", "-u", "nobody", "--", PROGRAMS / "capfd", *command, "--state", self.site.state, code=1)
        state = self.site.copy_state("not-roots-either")
        run("chown", "-R", "nobody", state)
        run("chown", "root", state, state / "capfd.toml")
        for command in (("certificate", "renew", "site-ca"), ("wire-certificate", "add")):
            with self.subTest(command):
                self.assertSays(run(PROGRAMS / "capfd", *command, "--state", state, code=1), "run this as the owner of")


class TenYearsTest(EndToEnd):
    """Server, wire and issuer of a site end on one day. In year 9 it is renewed, and after ten years its phones and
    administrators go on, with what they trusted from the first day or were given in time."""

    YEAR_9, YEAR_11 = 3300, 3750  # days

    @classmethod
    def setUpClass(cls):
        cls.site = faults.FaultySite(durable=False, clock="clock")
        cls.addClassCleanup(cls.site.close)
        cls.clock = cls.site.folder / "clock"
        cls.certificates = cls.site.state / "certificates"

    def at(self, days):
        """The server starts again so many days after the site was made."""
        self.site.server.stop()
        set_clock(self.clock, days * DAY)
        with mock.patch.dict("os.environ", faked(self.clock)):
            self.site.server.start()

    def capfd(self, *arguments):
        return run(PROGRAMS / "capfd", *arguments, "--state", self.site.state, env=faked(self.clock))

    def capfctl(self, *arguments, code=0):
        return run(PROGRAMS / "capfctl", "--state", self.site.state, *self.who, *arguments, code=code, env=faked(self.clock))

    def phone(self, device, trust, *options, code=0):
        """Does what is pending, with no files of the site but those that it trusts."""
        port = "wire" if "--wire" in options else "phone"
        return run(PROGRAMS / "capf-phone", device, "--server", self.site.server.endpoints[port], "--trust", trust, "--dir",
                   self.site.phones, *options, code=code, env=faked(self.clock))

    def install(self, device, trust, *options, auth="string", code=0):
        answer = json.loads(self.capfctl("operation", "schedule", "install", device, "--auth", auth, "--output", "json").stdout)
        string = ["--string", answer[0]["auth_string"]] if auth == "string" else []
        return self.phone(device, trust, *string, *options, code=code)

    def ends_of(self, path, port):
        shows = shown(self.site, port)
        self.assertEqual(shows.serial_number, serial_in(path))
        return shows.not_valid_after.timestamp()

    def replace_keys_of_files(self):
        """Each by the commands of its page. No phone has a list of this site."""
        def done(*arguments):
            return eventually(lambda: self.capfctl(*arguments, code=None).returncode == 0, " ".join(arguments))
        for purpose in ("file-signer", "file-server", "tvs-certificate", "list-signer"):
            first = purpose.removesuffix("-certificate")
            self.capfctl(purpose, "add")
            if purpose == "list-signer":
                done("trust-list", "signer", "replace")
                done("trust-list", "signer", "replace", "--step")
            done(purpose, "activate", f"{first}-2")
            done(purpose, "remove", first)
        (self.certificates / "recovery-signer.pem").unlink()
        self.capfd("init", "--phone-files", "--recovery-key", self.site.folder / "next-recovery.key")

    def test_phones_and_administrators_go_on(self):
        self.who = ()
        grpc, wire = "SEP001122330001", "SEP001122330002"
        self.capfctl("phone", "add", grpc, wire)
        site_ca, pin = self.site.folder / "site-ca-of-day-0.pem", self.site.folder / "wire-of-day-0.pem"
        shutil.copy(self.certificates / "site-ca.pem", site_ca)
        shutil.copy(self.certificates / "wire.pem", pin)
        self.install(grpc, site_ca)
        self.install(wire, pin, "--wire")
        born = time.time()
        renewed = "select actor, subject from audit_events where action = 'own_certificate.renew' order by id"
        self.assertEqual(self.site.sql(renewed), [])

        self.at(self.YEAR_9)
        with self.subTest("the server renews its certificate by itself"):
            eventually(lambda: shown(self.site, "phone").not_valid_after.timestamp() > born + 6900 * DAY, "it is renewed")
            eventually(lambda: self.site.sql(renewed) == ["capfd|server"], "it is on record")
            eventually(lambda: " server.certificate_replaced" in self.site.server.log_text(), "the log says so")
            name = 'capf_certificate_not_after_seconds{certificate="server"}'
            eventually(lambda: self.site.server.metrics().get(name, 0) > born + 6900 * DAY, "the metrics have it")
        administrator_add(self.site, "anna", "--role", "admin", env=faked(self.clock))
        self.who = ("--administrator", "anna")
        self.capfctl("administrator", "disable", "admin", "--yes")
        with self.subTest("who says so"):
            said = self.capfctl("check", "expiry", "--warning", "400", code=None).stdout
            self.assertRegex(said, "the issuer expires in 3(49|50) days")
            self.assertRegex(said, r" wire_days=3(49|50)\b")
            self.assertNotIn("the server's certificate", said)
        self.capfd("certificate", "renew", "site-ca")
        self.capfctl("wire-certificate", "add")
        self.capfctl("issuer", "add", "--days", "3650")
        self.capfctl("issuer", "activate", "2")
        trust_list = self.site.folder / "trust-list.pem"
        trust_list.write_text(self.capfctl("issuer", "export", "--wire").stdout)
        with self.subTest("a phone that trusts both takes either"):
            self.install(wire, trust_list, "--wire")
            self.capfctl("wire-certificate", "activate", "wire-2")
            eventually(lambda: shown(self.site, "wire").serial_number == serial_in(self.certificates / "wire-2.pem"),
                       "the next one is shown")
            late = self.install(wire, pin, "--wire", code=None)
            self.assertNotEqual(late.returncode, 0, "a phone that knows the former one alone")
            self.capfctl("operation", "cancel", wire)
            self.install(wire, trust_list, "--wire")
        self.install(grpc, site_ca)
        self.capfctl("wire-certificate", "remove", "wire")
        with self.subTest("the keys of phones' files"):
            self.replace_keys_of_files()

        self.at(self.YEAR_11)
        for path, port in (("server", "phone"), ("server", "admin"), ("wire-2", "wire")):
            with self.subTest("after ten years", port=port):
                self.assertGreater(self.ends_of(self.certificates / f"{path}.pem", port), born + self.YEAR_11 * DAY)
        with self.subTest("phones"):
            self.install(wire, trust_list, "--wire", auth="lsc")
            self.install(grpc, site_ca, auth="lsc")
            for device, trust, *options in (("SEP001122330003", site_ca), ("SEP001122330004", trust_list, "--wire")):
                self.capfctl("phone", "add", device)
                self.install(device, trust, *options)
        with self.subTest("administrators"):
            anna = self.site.state / "admin/anna"
            run(PROGRAMS / "capfctl", "--server", self.site.server.endpoints["admin"], "--trust", site_ca, "--certificate",
                f"{anna}.pem", "--key", f"{anna}.key", "phone", "list", env=faked(self.clock))
            self.capfctl("certificate", "verify")
            self.capfctl("issuer", "retire", "1", "--yes")
            eventually(passing(lambda: self.assertIn("EXPIRY OK", self.capfctl("check", "expiry", code=None).stdout)),
                       lambda: self.capfctl("check", "expiry", code=None).stdout)
            eventually(lambda: self.site.sql("select count(*) from audit_events where (xid, id) > (select last_xid, last_id "
                                             "from audit_seals order by number desc limit 1)") == ["0"], "all is sealed")
            self.capfctl("audit", "verify")


class ListTest(EndToEnd):
    """Everything that a site lives by is in one list, which the check, the metrics and the summary read."""

    def test_a_new_site_has_them_all_and_none_is_near_its_end(self):
        def complete():
            return {each["kind"] for each in self.site.json("summary")["expiries"]} == {
                "issuer", "administrator", "site_ca", "server", "wire", "list-signer", "recovery-signer", "file-signer",
                "file-server", "ocsp", "trust-list"}
        eventually(complete, "the OCSP responder has its certificate, and the first trust list is published")
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
                    for kind in ("issuer", "site_ca", "server", "wire", "ocsp")} <= self.site.server.metrics().keys()
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
