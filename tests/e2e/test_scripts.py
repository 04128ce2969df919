"""scripts/run as a newcomer meets it: a fresh folder, capfd ready, an orderly end, everything there the next time."""

import json
import os
import pathlib
import select
import signal
import subprocess
import tempfile
import time
import unittest

from e2e import pki
from e2e.faults import FAKETIME
from e2e.site import PATIENCE, PROGRAMS, SOURCE, eventually, free_base_port, run


class Run:
    """scripts/run in the background."""

    def __init__(self, *arguments, cwd=None, env=None):
        self.process = subprocess.Popen([SOURCE / "scripts/run", "--programs", PROGRAMS, *arguments], cwd=cwd, env=env,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.output = ""

    def ready(self, servers=1, patience=PATIENCE):
        """Waits for the line, or one for each server. @return the first one"""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            lines = [line for line in self.output.splitlines(keepends=True)
                     if line.startswith("capfd ready") and line.endswith("\n")]
            if len(lines) >= servers:
                return lines[0].strip()
            if select.select([self.process.stdout], [], [], 0.2)[0]:
                piece = os.read(self.process.stdout.fileno(), 65536)
                if not piece:
                    break
                self.output += piece.decode()
        raise AssertionError(f"not ready:\n{self.output}")

    def stop(self, how=signal.SIGTERM):
        """@return exit status and seconds it took"""
        begin = time.monotonic()
        self.process.send_signal(how)
        rest, _ = self.process.communicate(timeout=PATIENCE)
        self.output += rest.decode()
        return self.process.returncode, time.monotonic() - begin

    def close(self):
        if self.process.poll() is None:
            self.stop()
        self.process.stdout.close()


class RunTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="capf-run-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.folder.chmod(0o711)

    def start(self, *arguments, **options):
        started = Run(*arguments, **options)
        self.addCleanup(started.close)
        return started

    def capfctl(self, state, *arguments, code=0):
        return run(PROGRAMS / "capfctl", "--state", state, *arguments, code=code)

    def test_a_fresh_site_demonstrates_itself_and_leaves_nothing_of_it(self):
        state = self.folder / "site"
        base = free_base_port()
        site = self.start("--state", state, "--base-port", str(base))
        line = site.ready()
        self.assertIn(f"admin=127.0.0.1:{base + 2}", line)
        self.assertEqual(site.output.count("\ncapfd ready"), 1)
        self.assertGreaterEqual(site.output.count(": OK"), 6)
        for words in ("by authentication string:", "by null string:", "by existing LSC:", "by MIC:",
                      "a desk phone, which speaks the CAPF protocol", "a desk phone by its MIC"):
            self.assertIn(f"\n-- {words}", site.output)
        self.assertIn("DEMODESK install succeeded", site.output)
        self.assertIn("DEMODESKMIC install succeeded", site.output)
        self.assertIn("\n-- a secure phone:", site.output)
        self.assertRegex(site.output, r"(?m)^SEPDE3000000001 provision succeeded mode=encrypted digest_password=yes ")
        self.assertRegex(site.output, r"(?m)^SEPDE3000000001 +imported +encrypted +lsc +yes ")
        self.assertRegex(site.output, r"(?m)^level +encrypted$")

        self.assertEqual(json.loads(self.capfctl(state, "phone", "list", "--output", "json").stdout), [])
        for command in (("trust-list", "certificate", "list"), ("digest-user", "list"), ("line", "list")):
            self.assertEqual(json.loads(self.capfctl(state, *command, "--output", "json").stdout), [])
        profiles = json.loads(self.capfctl(state, "profile", "list", "--output", "json").stdout)
        self.assertEqual([each["name"] for each in profiles], ["nonsecure"])
        self.assertIn("nonsecure already", self.capfctl(state, "site", "security-mode", "nonsecure", "--dry-run").stderr)
        self.assertEqual(list((state / "demo").rglob("*.cnf.xml")), [])
        self.assertEqual(json.loads(self.capfctl(state, "trust", "list", "--output", "json").stdout), [])
        certificates = json.loads(self.capfctl(state, "certificate", "list", "--output", "json").stdout)
        self.assertLessEqual({"DEMOSTRING", "DEMONULL", "DEMOUPGRADE", "DEMOMIC", "DEMODESK", "DEMODESKMIC", "SEPDE3000000001"},
                             {each["device"] for each in certificates})
        self.assertLessEqual({each["state"] for each in certificates}, {"revoked", "superseded"})
        self.assertEqual(list((state / "demo").rglob("*.key")), [])

        self.capfctl(state, "phone", "add", "SEP001122334455")
        schedule = self.capfctl(state, "operation", "schedule", "install", "SEP001122334455", "--auth", "string",
                                "--output", "json")
        digits = json.loads(schedule.stdout)[0]["auth_string"]
        run(PROGRAMS / "capf-phone", "SEP001122334455", "--state", state, "--string", digits,
            "--dir", self.folder / "phone")
        issuer = self.folder / "issuer.pem"
        issuer.write_text(self.capfctl(state, "issuer", "export").stdout)
        pki.openssl("verify", "-CAfile", issuer, self.folder / "phone/SEP001122334455.pem")

        self.assertEqual(state.stat().st_mode & 0o777, 0o711)
        open_to_others = [path.name for path in state.iterdir() if path.lstat().st_mode & 0o066]
        self.assertEqual(open_to_others, [])

        status, seconds = site.stop()
        self.assertEqual(status, 0, site.output)
        self.assertLess(seconds, 10)
        # As a version before left it.
        for name, mode in (("", 0o755), ("capfd.log", 0o644), ("certificates", 0o755)):
            (state / name).chmod(mode)
        self.assertEqual(run(SOURCE / "scripts/postgres", "status", state / "postgres", code=None).returncode, 3)

        other = self.start("--state", state, "--base-port", str(base + 100))
        rest, _ = other.process.communicate(timeout=PATIENCE)
        self.assertEqual(other.process.returncode, 2, rest)
        self.assertIn(f"has the base port {base}", rest.decode())
        again = self.start("--state", state, "--base-port", str(base))
        self.assertEqual(again.ready(), line)
        self.assertNotIn("DEMO", again.output)
        (certificate,) = [each for each in json.loads(
            self.capfctl(state, "certificate", "list", "--output", "json").stdout) if each["state"] == "confirmed"]
        self.assertEqual(certificate["device"], "SEP001122334455")
        status, _ = again.stop(signal.SIGINT)
        self.assertEqual(status, 0, again.output)

    @unittest.skipUnless(os.geteuid() == 0, "only root gives files away")
    def test_nothing_of_somebody_else_is_used_or_written(self):
        strangers, victim = self.folder / "strangers", self.folder / "victim"
        strangers.mkdir()
        (strangers / "capfd.log").symlink_to(victim)
        os.chown(strangers, 65534, 65534)
        link = self.folder / "link"
        link.symlink_to(self.folder / "mine")
        os.chown(link, 65534, 65534, follow_symlinks=False)
        shared = self.folder / "shared"
        shared.mkdir()
        shared.chmod(0o1777)
        for state, words in ((strangers, "is not a folder of yours"), (link, "somebody else's symbolic link"),
                             (link / "below", "somebody else's symbolic link"), (shared, "may be written by others")):
            with self.subTest(state.name):
                site = self.start("--state", state, "--base-port", "0", "--no-demo")
                rest, _ = site.process.communicate(timeout=PATIENCE)
                self.assertEqual(site.process.returncode, 1, rest)
                self.assertIn(words, rest.decode())
        self.assertFalse(victim.exists())
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["link", "shared", "strangers"])

    def test_two_sites_run_side_by_side_and_a_relative_folder_is_the_callers(self):
        first = self.start("--state", "one", "--base-port", "0", "--no-demo", cwd=self.folder)
        second = self.start("--state=two", "--base-port=0", "--no-demo", cwd=self.folder)
        self.assertNotEqual(first.ready(), second.ready())
        self.capfctl(self.folder / "one", "phone", "add", "SEP000000000001")
        self.assertNotIn("SEP000000000001", self.capfctl(self.folder / "two", "phone", "list").stdout)
        third = self.start("--state", "one", cwd=self.folder)
        rest, _ = third.process.communicate(timeout=PATIENCE)
        self.assertEqual(third.process.returncode, 1)
        self.assertIn("running already", rest.decode())

    def test_where_capfd_dies_the_script_ends_with_an_error_and_stops_postgresql(self):
        state = self.folder / "site"
        site = self.start("--state", state, "--base-port", "0", "--no-demo")
        site.ready()
        os.kill(json.loads((state / "endpoints.json").read_text())["pid"], signal.SIGKILL)
        rest, _ = site.process.communicate(timeout=PATIENCE)
        self.assertNotEqual(site.process.returncode, 0, rest)
        self.assertEqual(run(SOURCE / "scripts/postgres", "status", state / "postgres", code=None).returncode, 3)

    def test_one_of_several_servers_is_not_missed(self):
        state = self.folder / "site"
        site = self.start("--state", state, "--base-port", "0", "--no-demo", "--servers", "3",
                          env={**os.environ, "CAPF_STATE": str(state)})
        site.ready(servers=3)
        first, other = (json.loads((state / place / "endpoints.json").read_text()) for place in ("", "servers/2"))
        self.assertNotEqual(first["phone"], other["phone"])
        os.kill(first["pid"], signal.SIGKILL)
        eventually(lambda: subprocess.run(["kill", "-0", str(first["pid"])], capture_output=True).returncode, "killed")
        for device, options in (("SEP000000000001", ()), ("SEP000000000002", ("--wire",))):
            self.capfctl(state, "phone", "add", device)
            self.capfctl(state, "operation", "schedule", "install", device, "--auth", "string", "--string", "135791")
            run(PROGRAMS / "capf-phone", device, "--state", state, "--string", "135791", *options)
        run(PROGRAMS / "capfctl", "--state", state, "--server", f"{first['admin']},{other['admin']}", "phone", "list")
        status, seconds = site.stop()
        self.assertEqual(status, 0, site.output)
        self.assertLess(seconds, 10)

        again = self.start("--state", state, "--servers", "2")
        again.ready(servers=2)
        self.assertEqual(len(json.loads(self.capfctl(state, "certificate", "list", "--output", "json").stdout)), 2)

    def test_a_fleet_has_phones_in_every_state(self):
        state = self.folder / "site"
        site = self.start("--state", state, "--base-port", "0", "--demo-fleet", "60")
        site.ready(patience=5 * PATIENCE)

        environment = dict(os.environ, LD_PRELOAD=FAKETIME, FAKETIME="+90d", FAKETIME_DONT_FAKE_MONOTONIC="1",
                           DONT_FAKE_MONOTONIC="1")

        def ask(*words):
            return json.loads(run(PROGRAMS / "capfctl", "--state", state, *words, "--output", "json", env=environment).stdout)

        def count(*selection):
            return len(ask("phone", "list", *selection))
        self.assertEqual(count(), 60)
        for option, values in (("--lsc", ("none", "valid", "expired", "revoked", "held")),
                               ("--operation", ("none", "pending", "in_progress", "issued", "succeeded", "failed", "expired",
                                                "cancelled")),
                               ("--renewal", ("late", "succeeded")), ("--effective-mode", ("nonsecure", "encrypted")),
                               ("--tried", ("AUTH_STRING_MISMATCH",)), ("--reason", ("AUTH_STRING_EXHAUSTED",))):
            for value in values:
                with self.subTest(option, value=value):
                    self.assertGreater(count(option, value), 0)
        self.assertGreater(count("--blocked"), 0)
        self.assertGreater(count("--expires-before", "+30d"), 0)
        self.assertEqual(ask("campaign", "show", "floor-2")["state"], "running")
        self.assertEqual(site.stop()[0], 0, site.output)
        done = run(SOURCE / "scripts/run", "--programs", PROGRAMS, "--state", state, "--demo-fleet", "60", code=1)
        self.assertIn("is for a new one", done.stderr)

    def test_wrong_usage_is_2(self):
        for arguments in (("--colour",), ("--base-port", "many"), ("--base-port", "70000"), ("--state",),
                          ("--servers", "0"), ("--servers", "33"), ("--demo-fleet", "49"), ("--demo-fleet", "many")):
            with self.subTest(arguments):
                site = self.start(*arguments)
                site.process.communicate(timeout=PATIENCE)
                self.assertEqual(site.process.returncode, 2)


if __name__ == "__main__":
    unittest.main()
