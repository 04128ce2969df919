"""What a SIP server follows: modes, certificates and their ends as MonitorService.WatchSecurity streams them, and as
`capfctl security watch` prints them; from a cursor on, by whoever serves."""

import contextlib
import json
import select
import subprocess
import unittest

from e2e import rpc
from e2e.rpc import monitor_pb2
from e2e.site import PROGRAMS, EndToEnd, eventually


class SecurityStreamTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.site.capfctl("site", "security-mode", "mixed", "--anyway", "--yes")
        cls.site.capfctl("profile", "add", "watched", "--mode", "encrypted")
        cls.site.capfctl("administrator", "add", "sip-server", "--role", "monitor")

    def setUp(self):
        channel = rpc.channel(self.site.server, "admin", rpc.admin_identity(self.site, "sip-server"))
        self.addCleanup(channel.close)
        self.stub = rpc.monitor_pb2_grpc.MonitorServiceStub(channel)

    @contextlib.contextmanager
    def watching(self, cursor=""):
        stream = self.stub.WatchSecurity(monitor_pb2.WatchSecurityRequest(cursor=cursor), timeout=120)
        stream.initial_metadata()
        yield stream
        stream.cancel()

    def of(self, stream, device, kind="mode_changed"):
        """The next change of this kind and device."""
        return next(change for change in stream if change.device == device and change.kind == kind)

    def secure_phone(self):
        device = self.device()
        self.site.enrol(device)
        self.site.capfctl("profile", "apply", "watched", device, "--yes")
        return device

    def serial(self, device):
        return self.site.json("phone", "show", device)["certificates"][0]["serial"]

    def test_a_profile_that_is_applied_puts_the_phone_into_its_mode(self):
        device = self.device()
        self.site.enrol(device)
        with self.watching() as stream:
            self.site.capfctl("profile", "apply", "watched", device, "--yes")
            change = self.of(stream, device)
        self.assertEqual((change.profile, change.mode, change.effective_mode, change.mode_reason, change.reason),
                         ("watched", "encrypted", "encrypted", "", "PROFILE"))

    def test_an_lsc_that_is_revoked_is_told_with_its_serial_number_and_the_mode_that_is_left(self):
        device = self.secure_phone()
        serial = self.serial(device)
        with self.watching() as stream:
            self.site.capfctl("certificate", "revoke", device, "--reason", "superseded", "--yes")
            seen = {}
            for change in stream:
                if change.device == device:
                    seen[change.kind] = change
                if len(seen) == 2:
                    break
        withdrawn, mode = seen["certificate_withdrawn"], seen["mode_changed"]
        self.assertEqual((withdrawn.serial, withdrawn.reason, len(withdrawn.sha256)), (serial, "superseded", 64))
        self.assertEqual((mode.reason, mode.mode, mode.effective_mode, mode.mode_reason),
                         ("CERTIFICATE_REVOKED", "encrypted", "nonsecure", "CERTIFICATE_REVOKED"))

    def test_an_lsc_of_a_phone_without_a_profile_is_told_as_withdrawn_alone(self):
        plain, secure = self.device(), self.secure_phone()
        self.site.enrol(plain)
        with self.watching() as stream:
            self.site.capfctl("certificate", "revoke", plain, "--reason", "superseded", "--yes")
            self.site.capfctl("phone", "block", secure, "--yes")
            seen = []
            for change in stream:
                seen.append((change.device, change.kind))
                if change.device == secure and change.reason == "BLOCKED":
                    break
        self.assertEqual([kind for device, kind in seen if device == plain], ["certificate_withdrawn"])

    def test_an_lsc_that_ends_is_told_by_the_server_that_maintains_the_site(self):
        device = self.secure_phone()
        with self.watching() as stream:
            # As if the time had come; nothing else writes it without the trigger.
            self.site.sql("begin; alter table phone_lscs disable trigger phone_lscs_changed_mode; "
                          "update phone_lscs set not_after = now() where phone_id = (select id from phones where "
                          f"device = '{device}'); "
                          "alter table phone_lscs enable trigger phone_lscs_changed_mode; commit")
            change = self.of(stream, device)
        self.assertEqual((change.reason, change.effective_mode), ("CERTIFICATE_EXPIRED", "nonsecure"))

    def test_a_profile_and_the_site_are_one_change_each_and_write_no_phone(self):
        self.secure_phone()
        self.secure_phone()
        with self.watching() as stream:
            self.site.capfctl("profile", "set", "watched", "--mode", "authenticated", "--yes")
            self.site.capfctl("profile", "set", "watched", "--mode", "encrypted", "--yes")
            self.site.capfctl("site", "security-mode", "nonsecure", "--yes")
            self.site.capfctl("site", "security-mode", "mixed", "--anyway", "--yes")
            seen = []
            while len(seen) < 4:
                change = next(stream)
                seen.append((change.device, change.profile, change.mode))
        self.assertEqual(seen, [("", "watched", "authenticated"), ("", "watched", "encrypted"), ("", "", "nonsecure"),
                                ("", "", "mixed")])

    def test_the_stream_goes_on_behind_a_cursor_and_ends_clearly_behind_one_that_expired(self):
        device = self.secure_phone()
        with self.watching() as stream:
            self.site.capfctl("phone", "block", device, "--yes")
            cursor = self.of(stream, device).cursor
        self.site.capfctl("phone", "unblock", device)
        printed = self.site.capfctl("security", "watch", "--after", cursor, "--limit", "1", "--output", "json").stdout
        first = json.loads(printed)
        self.assertEqual(first["device"], device)
        self.assertNotEqual(first["cursor"], cursor)
        self.site.sql("select delete_security_changes('0', 1000000)")
        refused = self.site.capfctl("security", "watch", "--after", cursor, code=1)
        self.assertSays(refused, "CURSOR_EXPIRED")

    def test_the_command_prints_a_line_for_each_change(self):
        device = self.secure_phone()
        watch = subprocess.Popen([PROGRAMS / "capfctl", "--state", self.site.state, "security", "watch"],
                                 stdout=subprocess.PIPE, text=True)
        self.addCleanup(watch.stdout.close)
        self.addCleanup(watch.wait)
        self.addCleanup(watch.kill)

        def changed():
            """The watch begins only once it is connected: until then the change is made again."""
            self.site.capfctl("phone", "block", device, "--yes")
            self.site.capfctl("phone", "unblock", device)
            return watch.stdout.readline() if select.select([watch.stdout], [], [], 0.5)[0] else ""
        line = eventually(changed, "a change is printed")
        self.assertIn("mode_changed", line)

    def test_secure_profiles_without_effect_are_counted_and_health_warns_of_them(self):
        device = self.device()
        self.site.add_phone(device)
        self.site.capfctl("profile", "apply", "watched", device, "--anyway", "--yes")
        counted = lambda: self.site.json("summary")["modes_not_in_effect"].get("NO_CERTIFICATE", 0) > 0
        eventually(counted, "the server has counted the phones by their modes", 200)
        said = self.site.capfctl("check", "health", code=1).stdout
        self.assertRegex(said, r"CAPF HEALTH WARNING .* not secure: .*NO_CERTIFICATE")


if __name__ == "__main__":
    unittest.main()
