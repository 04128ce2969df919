"""Phones from files, by `capfctl phone import` over a running server: columns in any order, Cisco's export, batches,
capfctl killed between two of them, updates, and everything that may be wrong with a file."""

import subprocess
import unittest

from e2e.faults import FaultySite
from e2e.site import PROGRAMS, SOURCE, EndToEnd, eventually

PRESET = SOURCE / "deploy/import/cucm.map"
EXAMPLE = SOURCE / "deploy/import/cucm.csv"


class ImportTest(EndToEnd):
    def file(self, text, name="phones.csv"):
        path = self.site.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def imported(self, path, *options):
        return self.site.json("phone", "import", path, *options)

    def refused(self, text, *words, options=(), code=1):
        """That the file is refused with these words, and that no phone was added."""
        before = self.site.sql("select count(*) from phones")
        done = self.site.capfctl("phone", "import", self.file(text), *options, code=code)
        self.assertSays(done, *words)
        self.assertEqual(self.site.sql("select count(*) from phones"), before)
        return done

    def shown(self, device):
        phone = self.site.json("phone", "show", device)
        return phone["model"], phone["description"], phone["tags"]


class GoodFileTest(ImportTest):
    def test_columns_in_any_order_and_what_they_say_is_on_record(self):
        first, second = self.device(), self.device()
        mac = ":".join(first[3:][at:at + 2] for at in range(0, 12, 2))
        path = self.file(f'\ufeffTags\tDescription\tMAC Address\tModel\r\nlobby berlin\t"Desk 3, ""left"""\t{mac}\tCP-8861\r\n'
                         f"\r\n\t\t{second}\t\r\n")
        self.assertEqual(self.imported(path, "--dry-run"), {"added": 2, "changed": 0, "unchanged": 0, "skipped": 0})
        self.assertNotIn(first, [phone["device"] for phone in self.site.json("phone", "list")])
        path = self.file(f"Tags;Description;MAC Address;Model\r\nlobby berlin;Desk 3;{mac};CP-8861\r\n;;{second};\r\n")
        self.assertEqual(self.imported(path), {"added": 2, "changed": 0, "unchanged": 0, "skipped": 0})
        self.assertEqual(self.shown(first), ("CP-8861", "Desk 3", ["berlin", "lobby"]))
        self.assertEqual(self.shown(second)[2], [])
        events = self.site.json("audit", "list", "--subject", first, "--action", "phone.add")
        self.assertEqual([event["detail"] for event in events], ['CP-8861, description "Desk 3", tags +berlin +lobby'])

    def test_the_export_of_cisco_by_its_map(self):
        lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
        done = self.imported(EXAMPLE, "--map", PRESET)
        self.assertEqual(done["added"], len(lines) - 1)
        self.assertEqual(self.shown("SEP0C75BD114A01")[:2], ("Cisco 8861", "Reception Berlin"))
        self.assertEqual(self.shown("SEP0C75BD114A7F")[1], 'Meeting room "Spree"')
        first, second = self.device(), self.device()
        semicolons = self.file(f"Description;Key Size;Device Name\nA, B;2048;{first}\n;1024;{second}\n")
        self.assertEqual(self.imported(semicolons, "--map", PRESET)["added"], 2)
        self.assertEqual(self.shown(first)[1], "A, B")

    def test_columns_are_mapped_and_ignored_and_mac_addresses_get_a_prefix(self):
        mac = self.device()[3:]
        path = self.file(f"Adresse,Standort,Raum\n{mac},Berlin,3.14\n")
        self.imported(path, "--map", "Adresse=mac", "--map", "Standort=description", "--ignore", "Raum", "--prefix", "ATA")
        self.assertEqual(self.shown(f"ATA{mac}")[1], "Berlin")

    def test_an_update_changes_what_the_file_has(self):
        first, second = self.device(), self.device()
        self.imported(self.file(f"device,model,description,tags\n{first},CP-8861,Desk,a b\n"))
        path = self.file(f"device,description\n{first},Lobby\n{second},New\n")
        self.refused(path.read_text(), "line 2", first, "DEVICE_EXISTS", "--update")
        self.assertEqual(self.imported(path, "--update", "--dry-run")["changed"], 1)
        self.assertEqual(self.imported(path, "--update"), {"added": 1, "changed": 1, "unchanged": 0, "skipped": 0})
        self.assertEqual(self.imported(path, "--update"), {"added": 0, "changed": 0, "unchanged": 2, "skipped": 0})
        self.assertEqual(self.shown(first), ("CP-8861", "Lobby", ["a", "b"]))

    def test_capfctl_is_killed_between_two_batches_and_the_same_command_does_the_rest(self):
        devices = [self.device() for _ in range(1200)]
        path = self.file("device,description,tags\n" + "".join(f"{device},Desk,batch\n" for device in devices))
        # A phone of the second batch is there already, and its row is held, so that the batch waits for it.
        self.imported(self.file(f"device,description,tags\n{devices[700]},Desk,batch\n", "one.csv"))
        holder = subprocess.Popen(["psql", "-X", "-q", f"{self.site.database} user=capf_owner dbname=capf"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(holder.wait)
        self.addCleanup(holder.stdin.close)
        self.addCleanup(holder.stdout.close)
        holder.stdin.write(f"begin; select 'held' from phones where device = '{devices[700]}' for update;\n")
        holder.stdin.flush()
        while "held" not in (line := holder.stdout.readline()):
            self.assertTrue(line)
        command = [PROGRAMS / "capfctl", "--state", self.site.state, "phone", "import", path, "--quiet"]
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        there = lambda: int(self.site.sql("select count(*) from phone_tags where tag = 'batch'")[0])
        try:
            eventually(lambda: there() == 501, "the first batch is there")
        finally:
            running.kill()
            running.wait()
        holder.stdin.write("rollback;\n")
        holder.stdin.flush()
        self.assertIn(there(), (501, 1000))
        done = self.imported(path)
        self.assertEqual((done["added"] + done["unchanged"], done["changed"]), (1200, 0))
        self.assertGreaterEqual(done["unchanged"], 501)
        self.assertEqual(there(), 1200)
        self.assertEqual(self.imported(path), {"added": 0, "changed": 0, "unchanged": 1200, "skipped": 0})
        self.assertEqual(self.site.sql("select count(*) from audit_events where action = 'phone.add' and "
                                       "detail like '%+batch'"), ["1200"])


class CrashTest(ImportTest):
    """The server and its PostgreSQL are killed in the middle of an import."""

    @classmethod
    def setUpClass(cls):
        cls.site = FaultySite()
        cls.addClassCleanup(cls.site.close)

    def imported_after(self, tag, crash):
        """Imports 3000 phones, calls `crash` when the first batch is there, and gives the same command again until it is done."""
        path = self.file("device,tags\n" + "".join(f"{self.device()},{tag}\n" for _ in range(3000)))
        there = lambda: int(self.site.sql(f"select count(*) from phone_tags where tag = '{tag}'")[0])
        command = [PROGRAMS / "capfctl", "--state", self.site.state, "phone", "import", path, "--quiet"]
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            eventually(lambda: there() >= 500, "the first batch is there")
            crash()
        finally:
            code = running.wait(timeout=120)
        self.assertEqual(there() % 500, 0, "a batch is there as a whole or not at all")
        if code != 0:
            eventually(lambda: self.site.capfctl(*command[3:], code=None).returncode == 0, "the rest is done")
        self.assertEqual(there(), 3000)
        self.assertEqual(self.imported(path)["unchanged"], 3000)
        self.assertEqual(self.site.sql("select count(*), count(distinct subject) from audit_events where action = "
                                       f"'phone.add' and detail like '%+{tag}'"), ["3000|3000"])

    def test_the_server_is_killed(self):
        def crash():
            self.site.server.kill()
            self.site.server.start()
        self.imported_after("server-killed", crash)

    def test_postgresql_is_killed(self):
        def crash():
            self.site.kill_postgres()
            self.site.start_postgres()
        self.imported_after("database-killed", crash)


class BadFileTest(ImportTest):
    def test_every_problem_is_told_with_its_line_and_nothing_is_done_unless_it_is_skipped(self):
        there, new, other = self.device(), self.device(), self.device()
        self.site.capfctl("phone", "add", there, f"{other}x")
        text = (f"device,description\n{there},Desk\n{new},Desk\n{other}X,Desk\nserver.example.org,Desk\n"
                f"{new},Desk\n-,Desk\n{self.device()},{'x' * 129}\n")
        done = self.refused(text, "6 rows have problems", f"line 2, {there}: DEVICE_EXISTS",
                            f"line 4, {other}X: DEVICE_OTHER_CASE", "line 5, server.example.org: DEVICE_NAME_REFUSED",
                            "lines 3 and 6 both name it", "line 7, -", "129 characters")
        lines = [line for line in done.stderr.splitlines() if " line " in line]
        self.assertEqual([line.split("line ")[1].split(",")[0] for line in lines], ["2", "4", "5", "6", "7", "8"])
        problems = self.site.folder / "problems.csv"
        self.refused(text, options=("--problems", problems, "--skip", "exists,case"))
        self.assertEqual(len(problems.read_text().splitlines()), 7)
        self.assertTrue(problems.read_text().startswith(f"line,device,problem\n2,{there},"))
        self.refused(text, "is the file that is imported", code=2,
                     options=("--problems", self.site.folder / "phones.csv"))
        done = self.imported(self.file(text), "--skip", "exists,case,refused,invalid")
        self.assertEqual(done, {"added": 1, "changed": 0, "unchanged": 0, "skipped": 6})
        self.assertEqual(self.shown(new)[1], "Desk")

    def test_of_many_problems_the_first_are_told_and_the_others_counted(self):
        text = "device\n" + "".join(f"server{n}.example.org\n" for n in range(25))
        done = self.refused(text, "25 rows have problems", "5 problems more; --problems FILE has all of them")
        self.assertEqual(done.stderr.count("DEVICE_NAME_REFUSED"), 20)

    def test_more_phones_than_a_batch_are_added_by_names_and_the_same_command_goes_on(self):
        devices = [self.device() for _ in range(600)]
        lines = "\n".join(devices) + "\n"
        self.site.capfctl("phone", "add", *devices[:3], "--model", "CP-8861")
        add = ("phone", "add", "--file", "-", "--model")
        self.assertEqual(self.site.json(*add, "CP-8861", input=lines), {"added": 597, "unchanged": 3})
        done = self.site.capfctl(*add, "CP-7821", code=1, input=lines)
        self.assertSays(done, "nothing was added: 600 devices have problems")
        self.assertEqual(done.stderr.count("DEVICE_EXISTS"), 20)
        self.assertEqual(self.shown(devices[599])[0], "CP-8861")

    def test_files_that_are_no_table_of_phones(self):
        device = self.device()
        cases = [
            (b"", "no line with text"),
            (f"{device}\n", "no titles"),
            (f"device,floor\n{device},3\n", "unknown columns", "floor", "--ignore"),
            (f"device,device\n{device},{device}\n", "both say the device"),
            (f'device,description\n{device},"open\n', "line 2", "quote"),
            (f"device\n{device}\0\n", "NUL"),
            (f"device,description\n{device},".encode() + b"M\xfcller\n", "line 2", "Latin-1"),
            (f"device\n{device}\n".encode("utf-16"), "UTF-16"),
            (f"device,description\n{device},".encode() + b"x" * 10_000_000 + b"\n", "line 2", "64 KiB"),
            ("device," + "," * 10_000 + f"\n{device}\n", "more than 64 columns"),
        ]
        for text, *words in cases:
            with self.subTest(words):
                self.refused(text, *words)
        self.assertSays(self.site.capfctl("phone", "import", self.site.folder, code=2), "folder")
        self.assertSays(self.site.capfctl("phone", "import", self.site.folder / "none.csv", code=2), "none.csv")
        for options in (("--skip", "everything"), ("--map", "a=b"), ("--map", "/nowhere"), ("--prefix", "S P")):
            with self.subTest(options):
                self.refused(f"device\n{device}\n", options=options, code=2)


if __name__ == "__main__":
    unittest.main()
