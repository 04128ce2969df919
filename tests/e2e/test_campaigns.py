"""Campaigns: phones released some at a time, a stop where too many fail, and LSCs that the server renews by itself."""

import json
import os
import re
import signal
import subprocess
import threading
import time
from unittest import mock

from e2e import faults, pki, rpc
from e2e.faults import faked, set_clock
from e2e.rpc import phone_pb2
from e2e.site import LONG, PROGRAMS, SOURCE, EndToEnd, Site, closed_window, eventually

DAY = 86400
EC = ("--key-order", "ec", "--ec-size", "256")


class Campaigns(EndToEnd):
    def show(self, name):
        return self.site.json("campaign", "show", name)

    def phones_of(self, name):
        """Phones by state, without states that none is in any more."""
        return {state: count for state, count in self.show(name).get("phones", {}).items() if count}

    def minute(self):
        """A round, as after a minute: a server's first one comes at its start."""
        self.site.sql("update campaigns set round_at = round_at - interval '1 minute'")
        self.site.server.restart()

    def round_at(self, name):
        """When the last round was, by which the ends before it are counted."""
        return self.site.sql(f"select round_at from campaigns where name = '{name}'")

    def enrolled(self, count, tag):
        """Phones with LSCs. @return their names"""
        devices = [self.device() for _ in range(count)]
        listed = "\n".join(devices) + "\n"
        self.site.capfctl("phone", "add", "--file", "-", input=listed)
        self.site.capfctl("phone", "change", "--file", "-", "--add-tags", tag, input=listed)
        self.site.capfctl("operation", "schedule", "install", "--tag", tag, "--auth", "null", *EC, "--yes")
        self.site.phone("--first", devices[0], "--count", str(count), "--concurrency", "8")
        return devices


class FleetTest(Campaigns):
    COUNT = 500

    def fail(self, device):
        """The phone cannot make a key."""
        identity = rpc.FileIdentity(self.site.phones / f"{device}.pem", self.site.phones / f"{device}.key")
        with rpc.phone_client(self.site, identity) as phone:
            for _ in range(3):
                phone.ReportFailure(credential=rpc.credential(device),
                                    failure=phone_pb2.ReportFailureRequest.FAILURE_KEY_GENERATION)

    def released(self, name, cursor, count):
        """The next releases of a watch. @return (devices, cursor)"""
        done = self.site.capfctl("campaign", "watch", name, "--output", "json", "--limit", str(count),
                                 *(["--cursor", cursor] if cursor else []))
        changes = [json.loads(line) for line in done.stdout.splitlines()]
        return [change["device"] for change in changes], changes[-1]["cursor"]

    def test_a_campaign_over_500_stops_at_10_percent_says_why_and_goes_on(self):
        devices = self.enrolled(self.COUNT, "fleet")
        failing = set(devices[::5])
        made = self.site.json("campaign", "create", "fleet", "--tag", "fleet", "--auth", "lsc", "--rate", "100/min",
                              "--stop-at", "10%", "--patience", "30m", "--yes")
        self.assertEqual((made["state"], made["phones"]), ("running", {"waiting": self.COUNT}))
        self.minute()  # the first round begins to count
        eventually(lambda: self.round_at("fleet") != [""], "a round")
        self.minute()
        eventually(lambda: self.phones_of("fleet").get("released", 0) >= 100, lambda: self.phones_of("fleet"))
        first = self.phones_of("fleet")["released"]
        self.assertLess(first, 300)

        come, cursor = self.released("fleet", "", first)
        for device in come:
            if device not in failing:
                self.site.phone(device)
        failed = sum(device in failing for device in come)
        self.assertGreater(failed, first / 10)
        # The next round is a minute away once the server's first one has counted them: all failures come between two.
        self.site.server.stop()
        before = self.round_at("fleet")
        self.site.server.start()
        eventually(lambda: self.round_at("fleet") != before, "the server's first round")
        self.assertEqual(self.phones_of("fleet")["succeeded"], len(come) - failed)
        for device in failing.intersection(come):
            self.fail(device)
        self.minute()
        stopped = eventually(lambda: (lambda shown: shown if shown["state"] == "stopped" else None)(self.show("fleet")),
                             lambda: self.show("fleet"))
        self.assertRegex(stopped["why"], rf"^{failed} of \d+ phones failed, more than 10 %: KEY_GENERATION_FAILED {failed}$")
        self.assertIn({"state": "failed", "reason": "KEY_GENERATION_FAILED", "phones": failed}, stopped["reasons"])
        waiting = stopped["phones"]["waiting"]
        self.minute()
        time.sleep(2)
        self.assertEqual(self.show("fleet")["phones"]["waiting"], waiting)
        event, = self.site.json("audit", "list", "--subject", "fleet", "--action", "campaign.stop")
        self.assertEqual((event["actor_kind"], event["detail"]), ("system", stopped["why"]))

        self.site.capfctl("campaign", "resume", "fleet")
        self.minute()
        self.minute()
        eventually(lambda: self.phones_of("fleet")["waiting"] < waiting, lambda: self.phones_of("fleet"))
        more, _ = self.released("fleet", cursor, 1)
        self.assertNotIn(more[0], come)
        self.assertEqual(self.site.sql("select count(*) from (select phone_id from operations where created_by = "
                                       "'campaign fleet' group by 1 having count(*) > 1) twice"), ["0"])
        self.site.capfctl("campaign", "cancel", "fleet", "--yes")
        self.assertNotIn("waiting", self.phones_of("fleet"))
        self.assertEqual(self.show("fleet")["state"], "cancelled")


class CommandTest(Campaigns):
    def test_a_watch_names_phones_to_restart_and_ends_with_the_campaign(self):
        devices = self.enrolled(3, "watched")
        self.site.capfctl("campaign", "create", "watched", "--tag", "watched", "--auth", "lsc", "--yes")
        # The script of the guide, with a phone in software in place of a call manager.
        command = f"'{PROGRAMS}/capfctl' --state '{self.site.server.state}' campaign watch watched | " \
                  f"while read -r device rest; do '{PROGRAMS}/capf-phone' --state '{self.site.server.state}' " \
                  f"--dir '{self.site.phones}' \"$device\" >&2; done"
        script = subprocess.Popen(["sh", "-c", command], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        ending = threading.Thread(target=script.communicate)
        ending.start()
        try:
            eventually(lambda: self.phones_of("watched") == {"succeeded": 3}, lambda: self.phones_of("watched"), 300)
            eventually(lambda: self.show("watched")["state"] == "finished", lambda: self.show("watched"), 300)
            ending.join(60)
            self.assertEqual(script.returncode, 0)
        finally:
            if script.poll() is None:
                script.kill()
            ending.join()
        for device in devices:
            self.assertEqual(self.site.operation(device)["state"], "succeeded")

    def test_two_campaigns_over_the_same_phones_and_a_bulk_beside_one(self):
        first, second = (self.site.add_phone(self.device()) for _ in range(2))
        self.site.capfctl("campaign", "create", "one", first, "--auth", "mic", "--window", closed_window(), "--time-zone",
                          "Europe/Berlin")
        done = self.site.capfctl("campaign", "create", "two", first, second, "--auth", "mic", code=1)
        self.assertSays(done, "PHONE_IN_CAMPAIGN", f"{first} is in the campaign one")
        self.assertSays(self.site.capfctl("campaign", "show", "two", code=1), "UNKNOWN_CAMPAIGN")
        done = self.site.capfctl("campaign", "create", "two", first, second, "--auth", "mic", "--skip", "taken")
        self.assertSays(done, "1 phones are left out")
        self.site.schedule(second, "install", "null")
        self.minute()
        eventually(lambda: self.phones_of("two") == {"skipped": 1}, lambda: self.phones_of("two"))
        self.assertEqual(self.show("two")["reasons"], [{"state": "skipped", "reason": "OPERATION_PENDING", "phones": 1}])
        for name in "one", "two":
            self.assertIn(name, [each["name"] for each in self.site.json("campaign", "list")])

    def test_what_cannot_be_is_refused_with_what_to_do(self):
        device = self.site.add_phone(self.device())
        for options, code, words in (
                (("--auth", "string"), 2, "--auth"),
                (("--auth", "lsc", "--rate", "10/s"), 2, "10/min"),
                (("--auth", "lsc", "--rate", "10/min", "--spread", "6h"), 2, "either a rate"),
                (("--auth", "lsc", "--stop-at", "0%"), 2, "1% to 100%"),
                (("--auth", "lsc", "--window", "20:00-20:00"), 2, "never opens"),
                (("--auth", "lsc", "--window", "20:00"), 2, "INVALID_WINDOW"),
                (("--auth", "lsc", "--window", "20:00-05:00", "--time-zone", "Europe/Atlantis"), 2, "no such time zone"),
                (("--auth", "lsc", "--window", "20:00-05:00", "--time-zone", "/etc/passwd"), 2, "no such time zone"),
                (("--auth", "lsc", "--time-zone", "Europe/Berlin"), 2, "belongs to a window")):
            for dry in (), ("--dry-run",):
                with self.subTest((*options, *dry)):
                    self.assertSays(self.site.capfctl("campaign", "create", "refused", device, *options, *dry, code=code), words)
        self.site.capfctl("campaign", "create", "there", device, "--auth", "lsc", "--window", closed_window())
        self.assertSays(self.site.capfctl("campaign", "create", "there", device, "--auth", "lsc", "--dry-run", code=1),
                        "CAMPAIGN_EXISTS")
        self.site.capfctl("campaign", "create", "other", device, "--auth", "lsc", "--dry-run")
        self.assertSays(self.site.capfctl("campaign", "create", "renewal", device, "--auth", "lsc", code=2), "always there")
        self.site.capfctl("campaign", "create", "refused", "SEPFFFFFFFFFFFF", "--auth", "lsc", code=1)
        self.assertSays(self.site.capfctl("campaign", "create", "refused", "--auth", "lsc", code=2), "name phones")
        self.assertSays(self.site.capfctl("campaign", "cancel", "renewal", "--yes", code=1), "always there")
        self.assertSays(self.site.capfctl("campaign", "watch", "nothing", code=1), "UNKNOWN_CAMPAIGN")
        self.assertNotIn("refused", [each["name"] for each in self.site.json("campaign", "list")])

    def test_a_server_that_is_killed_in_the_round_schedules_nobody_twice(self):
        self.site.capfctl("phone", "add", "--file", "-", input="\n".join(f"SEP00AC{n:08X}" for n in range(2000)) + "\n")
        self.site.capfctl("campaign", "create", "killed", "--device", "SEP00AC*", "--auth", "mic", "--yes")
        for _ in range(4):
            self.site.server.restart()
            eventually(lambda: self.phones_of("killed").get("released", 0) > 0, "some are released")
            self.site.server.kill()
            self.site.server.start()
        eventually(lambda: self.phones_of("killed") == {"released": 2000}, lambda: self.phones_of("killed"), 300)
        self.assertEqual(self.site.sql("select count(*), count(distinct phone_id) from operations where created_by = "
                                       "'campaign killed'"), ["2000|2000"])
        self.assertEqual(self.site.sql("select count(*) from campaign_phones p join campaigns c on c.id = p.campaign_id "
                                       "join operations o on o.id = p.operation_id and o.phone_id = p.phone_id and "
                                       "o.run = c.run where c.name = 'killed'"), ["2000"])


class NextIssuerTest(Campaigns):
    COUNT = 500 if LONG else 60

    @classmethod
    def setUpClass(cls):
        cls.site = Site()
        cls.addClassCleanup(cls.site.close)

    def restarts(self, most):
        """Starts the script of the guide; a phone in software stands for a call manager and its phone. It gets no further
        than `most` phones."""
        (self.site.folder / "restarted").write_text("")
        programs = self.site.folder / "programs"
        programs.mkdir(exist_ok=True)
        for name, command in (("capfctl", f"'{PROGRAMS}/capfctl' --state '{self.site.state}' \"$@\""),
                              ("restart-phone", f"'{PROGRAMS}/capf-phone' --state '{self.site.state}' --dir "
                                                f"'{self.site.phones}' \"$1\" </dev/null >/dev/null")):
            waits = "" if name == "capfctl" else \
                f"echo >>restarted\n[ $(wc -l <restarted) -le {most} ] || exec sleep 1000\n"
            (programs / name).write_text(f"#!/bin/sh\n{waits}exec {command}\n")
            (programs / name).chmod(0o755)
        script, = re.findall(r"(?s)```sh\n(capfctl campaign watch.*?)```", (SOURCE / "deploy/campaigns.md").read_text())
        return subprocess.Popen(["sh", "-c", script, "sh", "issuer-2"], cwd=self.site.folder, start_new_session=True,
                                stdin=subprocess.DEVNULL, env=dict(os.environ, PATH=f"{programs}:{os.environ['PATH']}"))

    def stop(self, script):
        if script.poll() is None:
            os.killpg(script.pid, signal.SIGKILL)
        script.wait()

    def test_the_fleet_moves_over_as_the_guide_has_it(self):
        devices = self.enrolled(self.COUNT, "fleet")
        self.site.capfctl("issuer", "add", "--key", "p-256", "--subject", "CN=CAPF-2027,O=Example,C=DE")
        issuers = self.site.folder / "issuers.pem"
        issuers.write_text(self.site.capfctl("issuer", "export").stdout)
        self.site.capfctl("issuer", "activate", "2")
        self.site.capfctl("campaign", "create", "issuer-2", "--issuer", "1", "--auth", "lsc", "--rate", f"{self.COUNT}/min",
                          "--stop-at", "10%", "--patience", "30m", "--yes")
        for _ in range(2):
            self.minute()
        script = self.restarts(self.COUNT // 2)
        try:
            moved = "select count(*) from operations where created_by = 'campaign issuer-2' and state = 'succeeded'"
            eventually(lambda: int(self.site.sql(moved)[0]) >= self.COUNT // 3, "a third has moved", 300)
            self.stop(script)  # and it goes on behind the last one that it restarted
            self.assertLess(int(self.site.sql(moved)[0]), self.COUNT)
            self.assertSays(self.site.capfctl("issuer", "retire", "1", "--yes", code=1), "ISSUER_IN_USE")
            script = self.restarts(2 * self.COUNT)
            eventually(lambda: self.phones_of("issuer-2") == {"succeeded": self.COUNT}, lambda: self.phones_of("issuer-2"), 600)
            eventually(lambda: script.poll() == 0, "the campaign is over, and so is the script", 300)
        finally:
            self.stop(script)
        self.assertEqual(self.show("issuer-2")["state"], "finished")
        self.assertEqual(self.site.sql("select count(*), count(distinct phone_id) from operations where created_by = "
                                       "'campaign issuer-2'"), [f"{self.COUNT}|{self.COUNT}"])
        self.assertEqual(self.site.json("issuer", "show", "1")["valid"], 0)
        self.assertEqual(self.site.json("issuer", "retire", "1", "--yes")["state"], "retired")
        for device in devices:
            certificate = self.site.phones / f"{device}.pem"
            self.assertIn("CAPF-2027", pki.read_certificate(certificate).issuer.rfc4514_string())
        pki.verify_both(certificate, issuers)


class RenewalTest(Campaigns):
    """Server, database and clients live by one clock."""

    LIFE = 100  # days of an LSC

    @classmethod
    def setUpClass(cls):
        cls.site = faults.FaultySite(
            durable=False, clock="clock",
            settings=lambda text: text + f"\n[policy]\nlsc_validity_days = {cls.LIFE}\nrenewal = \"scheduled\"\n")
        cls.addClassCleanup(cls.site.close)
        cls.clock = cls.site.folder / "clock"
        environment = mock.patch.dict("os.environ", faked(cls.clock))
        environment.start()
        cls.addClassCleanup(environment.stop)
        cls.site.server.restart()

    def at(self, days):
        """The server starts again so many days after the site was made."""
        self.site.server.stop()
        set_clock(self.clock, int(days * DAY))
        self.site.server.start()

    def settled(self):
        """The round at the server's start is over: nothing is left to look at."""
        eventually(lambda: self.site.sql("select count(*) from phone_lscs where renewal_look_at <= now()") == ["0"],
                   "every phone was looked at")

    def test_every_phone_has_a_successor_before_its_lsc_ends_and_those_that_never_call_are_late(self):
        devices = self.enrolled(20, "renewed")
        silent = set(devices[:3])
        self.at(50)
        self.settled()
        self.assertEqual(self.phones_of("renewal"), {})
        for day in range(68, 100, 2):
            self.at(day)
            self.settled()
            due = self.site.json("phone", "list", "--renewal", "released") + self.site.json("phone", "list", "--renewal", "late")
            for device in sorted({phone["device"] for phone in due} - silent):
                self.site.phone(device)
            if day == 82:  # not yet half of what is left
                self.assertEqual(self.site.json("phone", "list", "--renewal", "late"), [])
        self.at(99)
        self.settled()
        not_after = dict(line.split("|") for line in self.site.sql(
            "select device, not_after > now() + interval '30 days' from phone_lscs"))
        self.assertEqual({device for device, renewed in not_after.items() if renewed == "f"}, silent)
        eventually(lambda: self.phones_of("renewal") == {"succeeded": 17, "late": 3}, lambda: self.phones_of("renewal"))
        late = [phone["device"] for phone in self.site.json("phone", "list", "--renewal", "late")]
        self.assertEqual(late, sorted(silent))
        eventually(lambda: self.site.server.metrics().get("capf_renewals_late") == 3, lambda: self.site.server.metrics())
        self.assertEqual(self.site.json("summary")["renewals_late"], 3)
        # They were spread, and not all scheduled at once.
        days = self.site.sql("select count(distinct date_trunc('day', created_at)) from operations where created_by = "
                             "'campaign renewal'")
        self.assertGreater(int(days[0]), 4)
