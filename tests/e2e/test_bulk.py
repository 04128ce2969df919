"""Operations of many phones: scheduled and cancelled in batches, by a command that is killed, beside others, with problems."""

import csv
import json
import resource
import signal
import subprocess
import unittest

from e2e import rpc
from e2e.faults import FaultySite
from e2e.rpc import admin_pb2, types_pb2
from e2e.site import PROGRAMS, EndToEnd, eventually

EC = ("--key-order", "ec", "--ec-size", "256")


class BulkTest(EndToEnd, rpc.RefusalTests):
    def phones(self, count, tag):
        """Adds phones. @return their names, in order"""
        devices = [self.device() for _ in range(count)]
        self.site.capfctl("phone", "add", "--file", "-", input="\n".join(devices) + "\n")
        self.site.capfctl("phone", "change", "--file", "-", "--add-tags", tag, input="\n".join(devices))
        return devices

    def schedule(self, *arguments, code=0, input=None):
        return self.site.capfctl("operation", "schedule", "install", *arguments, *EC, code=code, input=input)

    def cancel(self, *arguments, code=0, input=None):
        return self.site.capfctl("operation", "cancel", *arguments, code=code, input=input)

    def open_ones(self, tag):
        """The devices with this tag that have an open operation."""
        return [phone["device"] for phone in self.site.json("phone", "list", "--tag", tag, "--operation", "pending")]

    def path(self, name):
        return self.site.folder / f"{self._testMethodName}-{name}"

    def strings(self, path):
        """The strings of a file of --strings, by device. The last line is none yet where it was cut off."""
        with open(path, newline="", encoding="utf-8") as file:
            lines = [line for line in file if not line.startswith("#") and line.endswith("\n")]
        return {row["device"]: row["string"] for row in csv.DictReader(lines)}


class InterruptedTest(BulkTest):
    COUNT = 2000

    def test_strings_and_phones_stay_together_however_often_the_command_is_killed(self):
        first = 0x001B0000_0000
        devices = [f"SEP{first + number:012X}" for number in range(self.COUNT)]
        self.site.capfctl("phone", "add", "--file", "-", input="\n".join(devices) + "\n")
        half = devices[:self.COUNT // 2]
        listed, strings, sheet = self.path("half.csv"), self.path("strings.csv"), self.path("sheet.html")
        listed.write_text("\n".join(half) + "\n")
        command = [PROGRAMS / "capfctl", "--state", self.site.server.state, "operation", "schedule", "install", "--file",
                   listed, "--auth", "string", *EC, "--strings", strings, "--sheet", sheet]
        # Once before the first string, once with the first batch on disk, once with the second.
        for enough in (lambda: strings.exists(), lambda: len(self.strings(strings)) >= 500,
                       lambda: len(self.strings(strings)) >= 1000):
            process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE, text=True)
            try:
                eventually(lambda: enough() or process.poll() is not None, "the strings are there")
            finally:
                process.send_signal(signal.SIGKILL)
                process.communicate()
            if process.returncode == 0:
                break
        before = self.strings(strings)
        scheduled = set(self.site.sql("select device from operations o join phones p on p.id = o.phone_id "
                                      f"where finished_at is null and device = any ('{{{','.join(half)}}}')"))
        self.assertLessEqual(scheduled, set(before))
        if process.returncode != 0:
            self.schedule("--file", listed, "--auth", "string", "--strings", strings, "--sheet", sheet)
        after = self.strings(strings)
        self.assertEqual(set(after), set(half))
        self.assertEqual({device: after[device] for device in before}, before)
        runs = self.site.sql("select count(*), count(distinct run), count(distinct phone_id) from operations where run is "
                             "not null and phone_id in (select id from phones where device like 'SEP001B0000%')")
        self.assertEqual(runs, [f"{len(half)}|1|{len(half)}"])
        self.assertEqual(strings.stat().st_mode & 0o777, 0o600)
        self.assertEqual(sheet.stat().st_mode & 0o777, 0o600)
        text = sheet.read_text()
        self.assertTrue(all(digits in text for digits in after.values()))
        self.site.phone("--count", str(len(half)), "--first", half[0], "--concurrency", "16", "--strings", "-",
                        input="".join(f"{device} {digits}\n" for device, digits in after.items()))
        with_lsc = self.site.sql("select count(*) from phone_lscs where lsc = 'valid' and phone_id in "
                                 "(select id from phones where device like 'SEP001B0000%')")
        self.assertEqual(with_lsc, [str(len(half))])

    def test_a_strings_file_is_continued_by_its_own_command_alone(self):
        devices = self.phones(2, "continued")
        strings = self.path("strings.csv")
        self.schedule("--tag", "continued", "--auth", "string", "--strings", strings)
        self.assertSays(self.schedule("--tag", "continued", "--auth", "string", "--strings", strings, code=1), "finished")
        text = strings.read_text()
        strings.write_text(text.replace("# finished\n", ""))
        self.assertSays(self.schedule("--tag", "other", "--auth", "string", "--strings", strings, code=1), "another command")
        self.schedule("--tag", "continued", "--auth", "string", "--strings", strings)
        self.assertEqual(strings.read_text(), text)
        for device, digits in self.strings(strings).items():
            self.site.phone(device, "--string", digits)
        self.assertEqual(sorted(self.strings(strings)), devices)


class ProblemTest(BulkTest):
    def test_every_problem_is_told_with_its_line_before_anything_is_done(self):
        good, pending, blocked = self.phones(3, "problems")
        self.site.schedule(pending, "install", "null")
        self.site.capfctl("phone", "block", blocked)
        lines = f"device\n{good}\n{pending}\nSEPFFFFFFFFFFFF\n{blocked}\n"
        problems = self.path("problems.csv")
        done = self.schedule("--file", "-", "--auth", "null", "--problems", problems, code=1, input=lines)
        self.assertSays(done, f"standard input, line 3: OPERATION_PENDING: {pending}", "line 4: UNKNOWN_DEVICE",
                        "line 5: DEVICE_BLOCKED", "3 phones have problems")
        with open(problems, newline="", encoding="utf-8") as file:
            told = {(row["line"], row["device"], row["reason"]) for row in csv.DictReader(file)}
        self.assertEqual(told, {("3", pending, "OPERATION_PENDING"), ("4", "SEPFFFFFFFFFFFF", "UNKNOWN_DEVICE"),
                                ("5", blocked, "DEVICE_BLOCKED")})
        self.assertEqual(self.open_ones("problems"), [pending])
        self.assertSays(self.schedule("--file", "-", "--auth", "null", "--skip", "open,unknown", code=1, input=lines),
                        "DEVICE_BLOCKED", blocked)
        self.schedule("--file", "-", "--auth", "null", "--skip", "open,unknown,blocked", input=lines)
        self.assertEqual(self.open_ones("problems"), sorted([good, pending]))

    def test_an_open_operation_is_replaced_where_that_is_said(self):
        device = self.phones(1, "replaced")[0]
        self.site.schedule(device, "install", "null")
        self.schedule("--tag", "replaced", "--auth", "null", "--replace", "--completes-by", "+2h")
        states = self.site.sql(f"select state from operations join phones p on p.id = phone_id where device = '{device}' "
                               "order by operations.id")
        self.assertEqual(states, ["cancelled", "pending"])
        self.site.phone(device)

    def test_strings_of_many_phones_need_a_file(self):
        devices = self.phones(21, "many-strings")
        self.assertSays(self.schedule("--tag", "many-strings", "--auth", "string", code=2), "--strings FILE", "21 phones")
        self.assertEqual(self.open_ones("many-strings"), [])
        shown = json.loads(self.schedule("--device", devices[0], "--auth", "string", "--output", "json").stdout)
        self.assertEqual([row["device"] for row in shown], devices[:1])
        self.site.phone(devices[0], "--string", shown[0]["auth_string"])

    def test_warnings_have_a_count_and_come_once(self):
        self.phones(3, "hopeless")
        done = self.schedule("--tag", "hopeless", "--auth", "mic", "--dry-run")
        self.assertSays(done, "3 phones will be refused: no trust anchor", "3 phones would be scheduled; nothing was done")
        self.assertEqual(self.open_ones("hopeless"), [])
        done = self.site.capfctl("operation", "schedule", "delete", "--tag", "hopeless", "--auth", "null", "--dry-run")
        self.assertSays(done, "3 phones without an LSC", "null string proves nothing")

    def test_names_in_small_letters_and_sizes_of_another_kind_of_key_are_warned_of_once(self):
        small = [self.device("sep").lower() for _ in range(2)]
        for device in small:  # a site has them from before it said which names its devices have
            self.site.sql(f"insert into phones (device) values ('{device}')")
        options = ("--auth", "null", "--as-written", "--key-order", "rsa", "--ec-size", "256")
        for more in (("--dry-run",), ()):
            with self.subTest(more):
                done = self.site.capfctl("operation", "schedule", "install", *small, *options, *more)
                for words in ("2 phones named in small letters", "--ec-size means nothing with --key-order rsa",
                              "null string proves nothing"):
                    self.assertEqual(done.stderr.count(words), 1, done.stderr)

    def test_options_that_do_not_go_together_are_refused(self):
        device = self.phones(1, "misused")[0]
        here = self.path("here.csv")
        here.write_text(device + "\n")
        for arguments, words in [((device, "--auth", "null", "--strings", self.path("s")), "--auth string"),
                                 ((device, "--auth", "string", "--string", "1234", "--strings", self.path("s")), "--strings"),
                                 ((device, "--auth", "string", "--sheet", self.path("s")), "--sheet needs --strings"),
                                 ((device, "--auth", "string", "--strings", self.path("s"), "--sheet", self.path("s")),
                                  "--strings and --sheet name the same file"),
                                 (("--file", here, "--auth", "null", "--problems", here),
                                  "--problems and --file name the same file"),
                                 ((device, "--auth", "null", "--skip", "all"), "--skip takes"),
                                 (("--auth", "null"), "--all chooses every phone")]:
            with self.subTest(arguments):
                self.assertSays(self.schedule(*arguments, code=2), words)
        self.assertSays(self.cancel("--file", here, "--problems", here, code=2), "name the same file")
        self.assertFalse(self.path("s").exists())
        self.assertEqual(here.read_text(), device + "\n")
        self.assertEqual(self.open_ones("misused"), [])


class CancelTest(BulkTest):
    def test_open_operations_of_a_selection_are_cancelled(self):
        devices = self.phones(1001, "cancelled")
        lines = "\n".join(devices[:1000]) + "\n"
        self.schedule("--file", "-", "--auth", "null", input=lines)
        self.assertSays(self.cancel("--tag", "cancelled", code=2), "1000 phones", "--yes")
        self.assertSays(self.cancel("--tag", "cancelled", "--dry-run"), "1000 phones would be cancelled")
        self.assertEqual(len(self.open_ones("cancelled")), 1000)
        self.assertEqual(self.site.json("operation", "cancel", "--tag", "cancelled", "--yes"), {"cancelled": 1000})
        self.assertEqual(self.open_ones("cancelled"), [])
        self.assertSays(self.cancel("--file", "-", code=1, input="\n".join(devices[:2])), "NO_PENDING_OPERATION",
                        "2 phones have problems")
        self.cancel("--file", "-", "--skip", "none", input="\n".join(devices[:2]))

    def test_a_phone_of_a_bulk_enrols_while_it_runs(self):
        devices = self.phones(1500, "beside")
        own = devices[-1]
        digits = self.site.schedule(own, "install", "string", *EC)
        process = subprocess.Popen([str(word) for word in (
            PROGRAMS / "capfctl", "--state", self.site.server.state, "operation", "schedule", "install", "--tag", "beside",
            "--auth", "null", *EC, "--skip", "open", "--yes")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.site.phone(own, "--string", digits)
        self.assertEqual(process.wait(timeout=120), 0)
        self.assertGreaterEqual(len(self.open_ones("beside")), 1499)


class FullDiskTest(BulkTest):
    def test_a_string_that_is_not_on_disk_is_not_sent(self):
        devices = self.phones(1001, "full-disk")
        strings = self.path("strings.csv")
        command = [PROGRAMS / "capfctl", "--state", self.site.state, "operation", "schedule", "install", "--tag", "full-disk",
                   "--auth", "string", *EC, "--strings", strings, "--yes"]

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))  # 500 strings are about 23,000 octets
        done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              preexec_fn=limit, timeout=120)
        self.assertEqual(done.returncode, 1)
        self.assertSays(done, "the strings are not on disk, so they are not sent", "500 phones are done",
                        "the same command goes on with the others")
        self.assertEqual(self.open_ones("full-disk"), sorted(self.strings(strings)))
        self.assertEqual(len(self.strings(strings)), 500)
        self.schedule("--tag", "full-disk", "--auth", "string", "--strings", strings, "--yes")
        self.assertEqual(sorted(self.strings(strings)), devices)
        self.assertEqual(self.open_ones("full-disk"), devices)
        own = devices[-1]
        self.site.phone(own, "--string", self.strings(strings)[own])


class CrashTest(BulkTest):
    """The server and its PostgreSQL are killed in the middle of a bulk."""

    @classmethod
    def setUpClass(cls):
        cls.site = FaultySite()
        cls.addClassCleanup(cls.site.close)

    def strings_after(self, tag, crash):
        """Schedules for 2000 phones, calls `crash` when strings of the second batch are in the file, and gives the same
        command again until it is done. Each phone that has an operation then has a string, and enrols with it."""
        devices = self.phones(2000, tag)
        strings = self.path("strings.csv")
        command = [PROGRAMS / "capfctl", "--state", self.site.state, "operation", "schedule", "install", "--tag", tag,
                   "--auth", "string", *EC, "--strings", strings, "--yes"]
        running = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        written = lambda: len(self.strings(strings)) if strings.exists() else 0
        try:
            eventually(lambda: written() >= 1000 or running.poll() is not None, "two batches are in the file")
            crash()
        finally:
            code = running.wait(timeout=120)
        before = self.strings(strings)
        scheduled = self.site.sql("select p.device from phones p join phone_tags t on t.phone_id = p.id join operations o on "
                                  f"o.phone_id = p.id where tag = '{tag}' and finished_at is null")
        self.assertLessEqual(set(scheduled), set(before))
        if code != 0:
            eventually(lambda: self.site.capfctl(*command[3:], code=None).returncode == 0, "the rest is done")
        after = self.strings(strings)
        self.assertEqual({device: after[device] for device in before}, before)
        self.assertEqual(sorted(after), devices)
        self.assertEqual(self.open_ones(tag), devices)
        for device in (devices[0], devices[600], devices[-1]):
            self.site.phone(device, "--string", after[device])

    def test_the_server_is_killed(self):
        def crash():
            self.site.server.kill()
            self.site.server.start()
        self.strings_after("server-killed", crash)

    def test_postgresql_is_killed(self):
        def crash():
            self.site.kill_postgres()
            self.site.start_postgres()
        self.strings_after("database-killed", crash)


class TogetherTest(BulkTest):
    def test_two_bulks_over_the_same_phones_give_each_phone_one_operation(self):
        devices = self.phones(1200, "both")
        files = [self.path("one.csv"), self.path("two.csv")]
        running = [subprocess.Popen([str(word) for word in (
            PROGRAMS / "capfctl", "--state", self.site.server.state, "operation", "schedule", "install", "--tag", "both",
            "--auth", "string", *EC, "--strings", path, "--skip", "open", "--yes")], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for path in files]
        for process in running:
            words = process.communicate(timeout=120)[1]
            self.assertEqual(process.returncode, 0, words)
        self.assertEqual(self.open_ones("both"), devices)
        runs = dict(line.split("|") for line in self.site.sql(
            "select device, encode(run, 'hex') from operations join phones p on p.id = phone_id "
            "where finished_at is null and p.id in (select phone_id from phone_tags where tag = 'both')"))
        named = {path.read_text().split("run=")[1].split()[0]: self.strings(path) for path in files if path.exists()}
        self.assertEqual(set(runs), set(devices))
        for device, run in runs.items():
            self.assertIn(device, named[run])
        for device in (devices[0], devices[-1]):
            self.site.phone(device, "--string", named[runs[device]][device])

    def test_a_monitor_that_pages_while_phones_are_removed_sees_each_of_the_others_once(self):
        devices = self.phones(60, "paged")
        gone = devices[1::2]
        seen, token = [], ""
        with rpc.admin_client(self.site) as admin:
            for number in range(len(devices)):
                page = admin.ListPhones(selection=admin_pb2.PhoneSelection(tags=["paged"]),
                                        page=types_pb2.PageRequest(size=10, token=token))
                seen += [phone.device for phone in page.phones]
                token = page.next_page_token
                if number == 0:
                    # Among them are the last one of this page and the first one of the next.
                    self.site.capfctl("phone", "remove", *gone, "--yes")
                if not token:
                    break
        self.assertEqual(token, "")
        self.assertEqual(seen, devices[:10] + [device for device in devices[10:] if device not in gone])


class ClientTest(BulkTest):
    def test_a_call_that_is_sent_twice_is_done_once(self):
        devices = self.phones(2, "twice")
        bulk = admin_pb2.OperationBulk(selection=admin_pb2.PhoneSelection(devices=devices), count=2, run=bytes(range(16)))
        strings = [admin_pb2.DeviceString(device=device, digits="87654321") for device in devices]
        wishes = dict(kind=types_pb2.OPERATION_KIND_INSTALL, auth=types_pb2.AUTH_MODE_STRING, strings=strings)
        with rpc.admin_client(self.site) as admin:
            answers = [admin.ScheduleSelection(bulk=bulk, **wishes) for _ in range(2)]
            ids = [[each.operation.id for each in answer.operations] for answer in answers]
            self.assertEqual(ids[0], ids[1])
            self.assertEqual(len(ids[0]), 2)
            cancelled = [admin.CancelSelection(bulk=bulk) for _ in range(2)]
            self.assertEqual([[each.id for each in answer.operations] for answer in cancelled], [ids[0], ids[0]])
            bulk.run = b"short"
            self.assertEqual(self.refusal(admin.ScheduleSelection, bulk=bulk, **wishes).reason, "INVALID_REQUEST")
            bulk.run = b""
            bulk.skipped.append("BOREDOM")
            self.assertEqual(self.refusal(admin.CancelSelection, bulk=bulk).reason, "INVALID_REQUEST")


if __name__ == "__main__":
    unittest.main()
