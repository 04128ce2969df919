"""Lines that phones share: devices that join and leave, changes that would mix a line, mixtures that are allowed or that an
LSC leaves, and where they are shown. Needs profiles: `capfctl profile add | apply | set`, `site security-mode`."""

import itertools
import subprocess
import unittest

from e2e import rpc
from e2e.site import PROGRAMS, EndToEnd, Site, eventually

NUMBERS = itertools.count(2001)


class LineTest(EndToEnd, rpc.RefusalTests):
    @classmethod
    def setUpClass(cls):
        cls.site = Site()  # of its own: mixed lines are a warning for the whole site
        cls.addClassCleanup(cls.site.close)
        cls.site.capfctl("site", "security-mode", "mixed", "--anyway", "--yes")
        cls.site.capfctl("profile", "add", "secure", "--mode", "encrypted")
        cls.site.capfctl("profile", "add", "desks", "--mode", "nonsecure")

    def phones(self, count, profile=None):
        """Adds phones. @return their names, in order"""
        devices = sorted(self.device() for _ in range(count))
        self.site.capfctl("phone", "add", "--file", "-", input="\n".join(devices) + "\n")
        if profile:
            self.apply(profile, *devices)
        return devices

    def apply(self, profile, *arguments, code=0):
        return self.site.capfctl("profile", "apply", profile, *arguments, "--anyway", code=code)

    def line(self, *devices, code=0):
        """Adds a line with these devices. @return its number"""
        number = str(next(NUMBERS))
        self.site.capfctl("line", "add", number, *devices, code=code)
        return number

    def shown(self, line):
        return self.site.json("line", "show", line)

    def devices(self, line):
        return [device["device"] for device in self.shown(line)["devices"]]

    def mode(self, device):
        return self.site.json("phone", "show", device)["mode"]

    def mixed(self):
        return {line["name"]: (line["mixed"], line["mixed_in_effect"]) for line in self.site.json("line", "list", "--mixed")}

    def events(self, subject):
        return [event["action"] for event in self.site.json("audit", "list", "--subject", subject)
                if event["action"].startswith("line.")]


class MemberTest(LineTest):
    def test_devices_join_a_line_and_leave_it(self):
        first, second, third = self.phones(3)
        line = self.line(first, second)
        self.assertEqual(self.site.json("line", "add", line, second, third),
                         {"line": line, "added": 1, "devices": 3, "mixed": False})
        self.assertEqual(self.devices(line), [first, second, third])
        self.assertEqual(self.site.json("phone", "show", second)["lines"], [line])
        listed = next(each for each in self.site.json("line", "list") if each["name"] == line)
        self.assertEqual((listed["devices"], listed["mixed"], listed["allow_mixed"], listed["added_by"]),
                         (3, False, False, "admin"))
        self.site.capfctl("line", "remove", line, second)
        self.assertEqual(self.devices(line), [first, third])
        self.site.capfctl("phone", "remove", first, "--yes")
        self.assertEqual(self.devices(line), [third])
        self.site.capfctl("line", "remove", line)
        self.assertSays(self.site.capfctl("line", "show", line, code=1), "UNKNOWN_LINE", line)
        self.assertEqual(self.site.json("phone", "show", third)["lines"], [])
        self.assertEqual(sorted(self.events(line)), ["line.add", "line.remove"])
        self.assertEqual(sorted(self.events(second)), ["line.join", "line.leave"])

    def test_what_cannot_be_a_line_or_on_one_is_refused(self):
        first, second = self.phones(2)
        line = self.line(first)
        before = self.site.json("line", "list")
        for arguments, code, words in ((("add", line, second, second), 2, ["stands twice", second]),
                                       (("add", line), 2, ["DEVICE"]),
                                       (("add", line, second, "SEP-nobody"), 1, ["UNKNOWN_DEVICE", "SEP-nobody"]),
                                       (("add", "<script>", second), 2, ["INVALID_NAME"]),
                                       (("add", "2 1", second), 2, ["INVALID_NAME"]),
                                       (("add", "1" * 65, second), 2, ["INVALID_NAME"]),
                                       (("remove", line, second), 1, ["UNKNOWN_DEVICE", second, line]),
                                       (("remove", "no-line"), 1, ["UNKNOWN_LINE", "no-line"])):
            with self.subTest(arguments):
                self.assertSays(self.site.capfctl("line", *arguments, code=code), *words)
        self.assertEqual(self.site.json("line", "list"), before)
        self.assertEqual(self.devices(line), [first])

    def test_a_line_of_500_devices_is_one_and_the_next_device_is_refused(self):
        devices = self.phones(501)
        line = str(next(NUMBERS))
        rows = "\n".join(devices[:500]) + "\n"
        self.assertEqual(self.site.json("line", "add", line, "--file", "-", input=rows)["added"], 500)
        self.assertSays(self.site.capfctl("line", "add", line, devices[500], code=2), "INVALID_REQUEST", "501", line)
        self.assertEqual(self.devices(line), devices[:500])
        self.assertSays(self.apply("secure", devices[0], code=1), "SHARED_LINE_MIXED", line, devices[0])
        self.apply("secure", devices[0], "--lines")
        self.assertEqual({device["mode"] for device in self.shown(line)["devices"]}, {"encrypted"})
        self.assertEqual(self.mode(devices[500]), "nonsecure")

    def test_two_administrators_at_once_do_not_mix_a_line(self):
        for _ in range(5):
            secure, = self.phones(1, "secure")
            plain, = self.phones(1)
            line = str(next(NUMBERS))
            running = [subprocess.Popen([PROGRAMS / "capfctl", "--state", self.site.state, "line", "add", line, device],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                       for device in (secure, plain)]
            refusals = [process.communicate(timeout=60)[1] for process in running]
            self.assertEqual(sorted(process.returncode for process in running), [0, 1], refusals)
            self.assertIn("SHARED_LINE_MIXED", "".join(refusals))
            self.assertEqual(len(self.devices(line)), 1)

    def test_roles(self):
        device, = self.phones(1)
        line = self.line(device)
        self.site.capfctl("administrator", "add", "watcher", "--role", "auditor")
        auditor = lambda *arguments, code: self.site.capfctl("--administrator", "watcher", "line", *arguments,
                                                                   code=code)
        auditor("list", code=0)
        auditor("show", line, code=0)
        self.assertSays(auditor("add", line, device, code=1), "ROLE_DENIED")
        self.assertSays(auditor("remove", line, code=1), "ROLE_DENIED")


class MixtureTest(LineTest):
    def test_a_device_that_would_mix_a_line_is_refused_unless_it_is_allowed(self):
        secure, = self.phones(1, "secure")
        plain, = self.phones(1)
        line = self.line(secure)
        done = self.site.capfctl("line", "add", line, plain, code=1)
        self.assertSays(done, "SHARED_LINE_MIXED", line, secure, plain)
        self.assertEqual(self.devices(line), [secure])
        self.assertTrue(self.site.json("line", "add", line, plain, "--allow-mixed")["mixed"])
        self.assertIn("line.allow_mixed", self.events(line))
        self.assertEqual(self.mixed()[line][0], True)
        self.assertTrue(self.shown(line)["allow_mixed"])
        self.site.capfctl("line", "remove", line)

    def test_a_profile_that_would_mix_lines_is_refused_by_line_and_device(self):
        first, second, third, other = self.phones(4)
        lines = [self.line(first, second), self.line(second, third)]
        self.assertSays(self.apply("secure", first, code=1), "SHARED_LINE_MIXED", lines[0], first, second)
        self.assertEqual(self.mode(first), "nonsecure")
        self.assertSays(self.apply("secure", first, second, code=1), "SHARED_LINE_MIXED", lines[1], third)
        self.apply("secure", first, "--lines")
        self.assertEqual([self.mode(device) for device in (first, second, third, other)],
                         ["encrypted"] * 3 + ["nonsecure"])
        self.assertSays(self.apply("desks", third, code=1), "SHARED_LINE_MIXED", lines[1], second, third)
        self.apply("desks", third, "--allow-mixed")
        self.assertEqual(self.mode(third), "nonsecure")
        self.assertTrue(self.mixed()[lines[1]][0])
        self.assertIn("line.allow_mixed", self.events(lines[1]))
        for line in lines:
            self.site.capfctl("line", "remove", line)

    def test_a_change_of_a_profiles_mode_is_judged_by_the_lines_of_its_phones(self):
        self.site.capfctl("profile", "add", "floor", "--mode", "authenticated")
        first, second = self.phones(2, "floor")
        outside, = self.phones(1)
        whole, shared = self.line(first, second), self.line(second, outside)
        done = self.site.capfctl("profile", "set", "floor", "--mode", "encrypted", "--yes", code=1)
        self.assertSays(done, "SHARED_LINE_MIXED", shared, second, outside)
        self.assertNotIn(f"line {whole} ", done.stderr)
        self.assertEqual(self.mode(first), "authenticated")
        self.site.capfctl("line", "remove", shared, outside)
        self.site.capfctl("profile", "set", "floor", "--mode", "encrypted", "--yes")
        self.assertEqual(self.mode(first), "encrypted")

    def test_blocking_and_removing_is_never_refused_and_what_is_mixed_in_effect_is_shown(self):
        first, second = sorted(self.device() for _ in range(2))
        for device in (first, second):
            self.site.enrol(device)
        self.apply("secure", first, second)
        line = self.line(first, second)
        self.assertEqual([device["effective_mode"] for device in self.shown(line)["devices"]], ["encrypted"] * 2)
        self.assertNotIn(line, self.mixed())
        self.site.capfctl("certificate", "revoke", first, "--reason", "superseded", "--yes")
        self.assertEqual(self.mixed()[line], (False, True))
        device = self.shown(line)["devices"][0]
        self.assertEqual((device["mode"], device["effective_mode"], device["mode_reason"]),
                         ("encrypted", "nonsecure", "CERTIFICATE_REVOKED"))
        self.assertWarns("1 shared line has encrypted devices and others in effect")
        eventually(lambda: self.site.server.metrics().get('capf_lines_mixed{by="effect"}') == 1, self.site.server.metrics)
        self.site.capfctl("phone", "block", second)
        self.assertNotIn(line, self.mixed())
        self.site.capfctl("phone", "remove", first, "--yes")
        self.assertEqual(self.devices(line), [second])

    def test_an_allowed_mixture_is_a_warning_until_it_ends(self):
        secure, = self.phones(1, "secure")
        plain, = self.phones(1)
        line = str(next(NUMBERS))
        self.site.capfctl("line", "add", line, secure, plain, "--allow-mixed")
        self.assertWarns("1 shared line has encrypted devices and others by their profiles")
        eventually(lambda: self.site.server.metrics().get('capf_lines_mixed{by="profile"}') == 1, self.site.server.metrics)
        self.site.capfctl("line", "remove", line, plain)
        self.assertNotIn(line, self.mixed())
        eventually(lambda: "shared line" not in self.health().stdout, lambda: self.health().stdout)
        self.site.server.restart()
        self.assertTrue(self.shown(line)["allow_mixed"])

    def test_a_client_asks_for_each_mixture_apart_and_gets_pages(self):
        secure, = self.phones(1, "secure")
        plain, = self.phones(1)
        lines = [str(next(NUMBERS)) for _ in range(3)]
        for line in lines:
            self.site.capfctl("line", "add", line, secure, plain, "--allow-mixed")
        with rpc.admin_client(self.site) as client:
            found, token = [], ""
            while True:
                page = client.ListLines(page={"size": 2, "token": token}, mixed=True)
                self.assertLessEqual(len(page.lines), 2)
                found += [line.name for line in page.lines]
                token = page.next_page_token
                if not token:
                    break
            self.assertEqual([line for line in found if line in lines], lines)
            in_effect = [line.name for line in client.ListLines(mixed_in_effect=True).lines]
            self.assertFalse(set(in_effect) & set(lines))  # the encrypted device has no LSC
        for line in lines:
            self.site.capfctl("line", "remove", line)

    def health(self):
        return self.site.capfctl("check", "health", code=None)

    def assertWarns(self, words):
        """That `check health` warns so, once the server has counted."""
        done = eventually(lambda: (lambda done: words in done.stdout and done)(self.health()), lambda: self.health().stdout)
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stdout.startswith("CAPF HEALTH WARNING - "), done.stdout)


if __name__ == "__main__":
    unittest.main()
