"""Secure phones from nothing to a call that is encrypted until one LSC is revoked; and that modes, profiles, lines and digest
users are as they were after a restart, an upgrade and a restore."""

import contextlib
import unittest

from e2e import rpc
from e2e.former import set_back
from e2e.rpc import monitor_pb2
from e2e.secure_site import PROFILE, SecureSite
from e2e.site import PROGRAMS, EndToEnd, Site, run

BEFORE_PROFILES = 24  # the last migration of a version that knew nothing of modes


class FromNothingTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        cls.site = SecureSite()
        cls.addClassCleanup(cls.site.close)

    def in_effect(self, device):
        phone = self.site.json("phone", "show", device)
        return phone["mode"], phone["effective_mode"], phone["mode_reason"]

    def call(self, *parties):
        """The level of the call, and of each party with its reasons."""
        answer = self.site.json("call-status", *parties)
        return answer["level"], [(party["level"], party["reasons"]) for party in answer["parties"]]

    @contextlib.contextmanager
    def watching(self):
        self.site.capfctl("administrator", "add", "sip-server", "--role", "monitor")
        with rpc.channel(self.site.server, "admin", rpc.admin_identity(self.site, "sip-server")) as channel:
            stub = rpc.monitor_pb2_grpc.MonitorServiceStub(channel)
            stream = stub.WatchSecurity(monitor_pb2.WatchSecurityRequest(), timeout=120)
            stream.initial_metadata()
            yield stream
            stream.cancel()

    def test_a_call_is_encrypted_until_one_lsc_is_revoked(self):
        first, second, third = (self.device() for _ in range(3))
        for device in (first, second):
            self.site.enrol(device)
        self.site.add_phone(third)
        self.assertEqual(self.site.json("profile", "apply", PROFILE, first, second),
                         {"selected": 2, "changed": 2, "waiting": 0})
        for device in (first, second):
            self.assertEqual(self.in_effect(device), ("encrypted", "encrypted", None))
        self.assertEqual(self.call(first, second), ("encrypted", [("encrypted", []), ("encrypted", [])]))
        level, parties = self.call(first, second, third)
        self.assertEqual((level, [party for party, _ in parties]), ("nonsecure", ["encrypted", "encrypted", "nonsecure"]))

        serial = self.site.json("certificate", "show", second)["serial"]
        with self.watching() as stream:
            self.site.capfctl("certificate", "revoke", second, "--reason", "superseded", "--yes")
            # At once: the first question after the command has the answer.
            self.assertEqual(self.call(first, second),
                             ("nonsecure", [("encrypted", []), ("nonsecure", ["CERTIFICATE_REVOKED"])]))
            told = {}
            while len(told) < 2:
                change = next(stream)
                if change.device == second:
                    told[change.kind] = change
        self.assertEqual(told["certificate_withdrawn"].serial, serial)
        mode = told["mode_changed"]
        self.assertEqual((mode.reason, mode.mode, mode.effective_mode, mode.mode_reason),
                         ("CERTIFICATE_REVOKED", "encrypted", "nonsecure", "CERTIFICATE_REVOKED"))
        self.assertEqual(self.in_effect(second), ("encrypted", "nonsecure", "CERTIFICATE_REVOKED"))
        self.assertEqual(self.in_effect(first), ("encrypted", "encrypted", None))


class KeptTest(EndToEnd):
    """Each test has a site of its own, since it takes its database away."""

    @classmethod
    def setUpClass(cls):
        pass

    def setUp(self):
        self.site = Site()
        self.addCleanup(self.site.close)

    def capfd(self, *arguments):
        return run(PROGRAMS / "capfd", *arguments, "--state", self.site.state)

    def furnish(self):
        """Everything that is to stay, in each of its forms."""
        first, second, plain = (self.device() for _ in range(3))
        for device in (first, second):
            self.site.enrol(device)
        self.site.add_phone(plain)
        self.site.capfctl("site", "security-mode", "mixed", "--anyway", "--yes")
        self.site.capfctl("profile", "add", "desks", "--mode", "encrypted", "--digest", "on", "--pc-port", "off", "--description",
                          "Desks")
        self.site.capfctl("profile", "copy", "desks", "lobby", "--mode", "authenticated")
        self.site.capfctl("profile", "apply", "desks", first, second)
        self.site.capfctl("profile", "apply", "lobby", plain, "--anyway")
        self.site.capfctl("phone", "set", first, "--auth", "mic", "--usb", "off")
        self.site.capfctl("line", "add", "2001", first, second)
        self.site.capfctl("line", "add", "2002", first, plain, "--allow-mixed")
        self.site.capfctl("digest-user", "add", "4711", "4712", "--password", "-", input="s3cret-9Qx!\nStraße 22\n")
        self.site.capfctl("digest-user", "add", "4713", "--hash-only", "--password", "-", input="typed-by-hand\n")
        self.site.capfctl("phone", "digest", first, "4711")
        self.site.capfctl("phone", "login", first, "4712")
        self.site.capfctl("phone", "digest", plain, "4713")
        self.site.capfctl("trusted-party", "add", "trunk:provider", "--level", "encrypted")

    def picture(self):
        """What an administrator sees of it; the passwords by their keys."""
        site = self.site
        with rpc.admin_client(site) as admin:
            mode = admin.GetSite().site.security_mode
        devices = [phone["device"] for phone in site.json("phone", "list")]
        keep = ("profile", "mode", "effective_mode", "mode_reason", "settings", "lines", "digest_user", "logged_in_user",
                "logged_in_at", "lsc_status")
        phones = {device: site.json("phone", "show", device) for device in devices}
        users = site.json("digest-user", "list")
        passwords = {user["name"]: site.json("digest-user", "show", user["name"], "--reveal")["password"]
                     for user in users if not user["hash_only"]}
        return {"mode": mode, "profiles": [site.json("profile", "show", each["name"]) for each in site.json("profile", "list")],
                "phones": {device: {name: phone[name] for name in keep} for device, phone in phones.items()},
                "lines": [site.json("line", "show", each["name"]) for each in site.json("line", "list")],
                "mixed": site.json("line", "list", "--mixed"), "users": users, "passwords": passwords,
                "trusted": site.json("trusted-party", "list"),
                "call": site.json("call-status", *devices, "line:2001", "line:2002", "trunk:provider")}

    def test_they_stay_over_a_restart_an_upgrade_without_changes_and_a_restore(self):
        self.furnish()
        before = self.picture()
        self.assertEqual(sorted(phone["effective_mode"] for phone in before["phones"].values()),
                         ["encrypted", "encrypted", "nonsecure"])
        self.assertEqual(before["passwords"], {"4711": "s3cret-9Qx!", "4712": "Straße 22"})
        self.site.server.restart()
        self.assertEqual(self.picture(), before, "restart")
        self.site.server.stop()
        self.capfd("migrate")
        self.site.server.start()
        self.assertEqual(self.picture(), before, "upgrade")
        self.site.server.stop()
        dump = self.site.folder / "capf.dump"
        run("pg_dump", "-Fc", "-f", dump, f"{self.site.database} user=postgres dbname=capf")
        for statement in ("drop database capf with (force)", "create database capf owner capf_owner"):
            run("psql", "-X", "-q", "-c", statement, f"{self.site.database} user=postgres dbname=postgres")
        run("pg_restore", "-d", f"{self.site.database} user=postgres dbname=capf", dump)
        self.site.server.start()
        self.assertEqual(self.picture(), before, "restore")

    def test_a_site_of_before_is_nonsecure_after_its_upgrade_and_its_phones_become_secure_with_the_lscs_that_they_have(self):
        first, second = self.device(), self.device()
        for device in (first, second):
            self.site.enrol(device)
        blocked = self.site.add_phone(self.device())
        self.site.capfctl("phone", "block", blocked)
        certificates = self.site.json("certificate", "list")
        self.site.server.stop()
        set_back(self.site, BEFORE_PROFILES)
        (self.site.state / "keys/secrets-1.key").unlink()  # that version had none
        self.capfd("migrate")
        self.site.server.start()
        self.assertEqual(self.site.json("certificate", "list"), certificates)
        self.assertEqual([each["name"] for each in self.site.json("profile", "list")], ["nonsecure"])
        for device in (first, second, blocked):
            phone = self.site.json("phone", "show", device)
            self.assertEqual((phone["profile"], phone["mode"], phone["effective_mode"]), ("nonsecure",) * 3)
        self.assertEqual(self.site.json("call-status", first, second)["level"], "nonsecure")

        self.furnish()
        self.site.capfctl("profile", "apply", "desks", first, second)
        self.assertEqual(self.site.json("call-status", first, second)["level"], "encrypted")
        self.site.capfctl("profile", "apply", "desks", blocked, "--anyway", "--yes")
        self.assertEqual(self.site.json("phone", "show", blocked)["mode_reason"], "BLOCKED")
        self.assertEqual(self.site.json("digest-user", "show", "4711", "--reveal")["password"], "s3cret-9Qx!")


if __name__ == "__main__":
    unittest.main()
