"""Phones of the open CAPF server, by `capfctl site import-capfd` over a running server: its SQLite database is made here,
with its published columns. They move in, upgrade over their former LSCs, and a second time nothing comes."""

import csv
import json
import sqlite3
import subprocess
import unittest

from e2e import pki
from e2e.open_server import COLUMNS, write_database
from e2e.site import PROGRAMS, EndToEnd, eventually


class MovingTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.neighbour = pki.Manufacturer.root(f"CAPF of {cls.__name__}")
        cls.issuer, _ = cls.neighbour.write(cls.site.folder / cls.__name__, "capf")

    def setUp(self):
        self.path = self.site.folder / f"{self._testMethodName}.sqlite3"
        self.strings = self.path.with_suffix(".csv")

    def database(self, *rows, columns=COLUMNS):
        """Rows are (device, operation, authentication, key_size, curve, identity or text)."""
        write_database(self.path, [(*row[:5], row[5].certificate_pem.decode() if isinstance(row[5], pki.Identity) else row[5])
                                   for row in rows], columns)
        return self.path

    def lsc(self, device, **options):
        return self.neighbour.mic(device, common_names=[device], **options)

    def imported(self, *options, code=0):
        return self.site.capfctl("site", "import-capfd", self.path, "--issuer", self.issuer, "--ends", "+90d", *options,
                                 code=code)

    def result(self, *options):
        return json.loads(self.imported(*options, "--output", "json").stdout)

    def refused(self, *words, options=(), code=1):
        """That the file is refused with these words, and that nothing was added."""
        def counts():
            return self.site.sql("select (select count(*) from phones), (select count(*) from trust_anchors)")
        before = counts()
        self.assertSays(self.imported(*options, code=code), *words)
        self.assertEqual(counts(), before)


class GoodMoveTest(MovingTest):
    def test_phones_move_in_and_upgrade_over_their_former_lscs(self):
        waiting, quiet, bare = self.device(), self.device(), self.device()
        former = self.lsc(quiet)
        self.database((waiting, "install", "password", 2048, "", self.lsc(waiting)), (quiet, "none", "none", 0, "", former),
                      (bare, None, None, None, None, None))
        looked = self.result("--dry-run")
        self.assertEqual(looked, {"rows": 3, "added": 3, "certificates": 2, "scheduled": 1, "left_out": 0})
        self.assertEqual(self.site.sql(f"select count(*) from phones where device = '{waiting}'"), ["0"])
        anchors = "select count(*) from trust_anchors"
        before = int(self.site.sql(anchors)[0])  # other tests may have trusted the issuer
        done = self.result("--strings", self.strings)
        added = int(self.site.sql(anchors)[0]) - before
        self.assertEqual(done, {**looked, "issuers": added, "strings": str(self.strings)})
        self.assertEqual(self.strings.stat().st_mode & 0o777, 0o600)

        # The waiting one has a new string of eight digits, which is the one that counts.
        with self.strings.open(encoding="utf-8") as file:
            new = {row[0]: row[1] for row in csv.reader(file) if row and not row[0].startswith("#")}
        self.assertRegex(new[waiting], r"\A\d{8}\Z")
        self.site.phone(waiting, "--string", "90125", code=1)
        self.site.phone(waiting, "--string", new[waiting])
        self.assertEqual(self.site.operation(waiting)["authenticated_by"], "string")

        # The quiet one shows its former LSC; what was moved stands on record as handed over.
        kept = self.site.json("certificate", "list", "--device", quiet)
        self.assertEqual([(each["sha256"], each["kind"]) for each in kept], [(former.sha256, "handed_over")])
        self.site.schedule(quiet, "install", "lsc", "--key-order", "ec", "--ec-size", "256")
        certificate, key = former.write(self.site.folder / self._testMethodName, quiet)
        self.site.phone(quiet, "--certificate", certificate, "--key", key)
        operation = self.site.operation(quiet)
        self.assertEqual((operation["state"], operation["authenticated_by"]), ("succeeded", "foreign_lsc"))

        # Once more: nothing, though the operations have ended, and the file of strings is finished.
        again = self.result("--strings", self.strings)
        self.assertEqual((again["added"], again["certificates"], again["scheduled"], again["issuers"]), (0, 0, 0, 0))
        self.assertEqual(len(self.site.json("certificate", "list", "--device", bare)), 0)
        actions = [event["action"] for event in self.site.json("phone", "history", quiet)]
        self.assertEqual(actions[:3], ["phone.add", "certificate.keep", "operation.schedule"])

    def test_a_few_strings_are_shown_and_many_need_a_file(self):
        devices = [self.device() for _ in range(21)]
        self.database(*((device, "install", "string", 0, "", "") for device in devices))
        self.refused("each of 21 phones gets a new string", "--strings FILE")
        with sqlite3.connect(self.path) as database:
            database.execute("delete from devices where device_name = ?", (devices[0],))
        database.close()
        shown = self.result()["strings"]
        self.assertEqual(sorted(each["device"] for each in shown), devices[1:])
        self.site.phone(devices[1], "--string", next(each["auth_string"] for each in shown if each["device"] == devices[1]))

    def test_the_other_servers_strings_stand_nowhere(self):
        device = self.device()
        self.database((device, "install", "password", 0, "", ""))
        with sqlite3.connect(self.path) as database:
            database.execute("update devices set password = '9012577013'")
        database.close()
        done = self.imported("--strings", self.strings)
        self.assertNotIn("9012577013", done.stdout + done.stderr + self.strings.read_text() + self.site.server.log_text())

    def test_an_interrupted_move_goes_on_with_the_same_strings(self):
        devices = [self.device() for _ in range(700)]
        self.database(*((device, "install", "password", 0, "", "") for device in devices))
        # A phone of the second batch is there already, and its row is held, so that the batch waits for it.
        self.site.add_phone(devices[600])
        holder = subprocess.Popen(["psql", "-X", "-q", f"{self.site.database} user=capf_owner dbname=capf"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(holder.wait)
        self.addCleanup(holder.stdin.close)
        self.addCleanup(holder.stdout.close)
        holder.stdin.write(f"begin; select 'held' from phones where device = '{devices[600]}' for update;\n")
        holder.stdin.flush()
        while "held" not in (line := holder.stdout.readline()):
            self.assertTrue(line)
        command = [PROGRAMS / "capfctl", "--state", self.site.state, "site", "import-capfd", self.path, "--issuer", self.issuer,
                   "--ends", "+90d", "--strings", self.strings]
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            eventually(lambda: self.site.sql(f"select count(*) from phones where device = '{devices[499]}'") == ["1"],
                       "the first batch is there")
            eventually(lambda: (text := self.strings.read_text()).count("\nSEP") == 700 and text.endswith("\n"),
                       "the second batch's strings are on disk")
        finally:
            running.kill()
            running.wait()
        holder.stdin.write("rollback;\n")
        holder.stdin.flush()
        before = {line for line in self.strings.read_text().splitlines() if line.startswith("SEP")}
        done = self.result("--strings", self.strings)
        self.assertEqual(done["rows"], 700)
        after = self.strings.read_text()
        self.assertTrue(after.endswith("# finished\n"))
        self.assertEqual({line for line in after.splitlines() if line.startswith("SEP")}, before)
        waiting = self.site.sql("select count(*) from operations o join phones p on p.id = o.phone_id where o.finished_at is null "
                                f"and p.device between '{devices[0]}' and '{devices[-1]}'")
        self.assertEqual(waiting, ["700"])


class BadFileTest(MovingTest):
    def test_what_is_no_database_of_that_server_is_refused(self):
        self.path.write_text("device_name,operation\n")
        self.refused("is no SQLite database")
        self.path.unlink()
        self.refused("cannot be read")
        self.database(columns="device_name text, operation text")
        self.refused("its table devices has no", "authentication", "certificate")
        self.path.unlink()
        with sqlite3.connect(self.path) as database:
            database.execute("create view devices as with recursive n(i) as (select 1 union all select i + 1 from n) select i "
                             "as device_name from n")
        database.close()
        self.refused("has no table devices")
        self.path.unlink()
        with self.path.open("wb") as file:
            file.write(b"SQLite format 3\0")
            file.truncate(10 * 1024 ** 3)
        self.refused("larger than 1 GiB")

    def test_every_row_with_a_problem_is_told_and_left_out_on_request(self):
        good, other, strange = self.device(), self.device(), self.device()
        stranger = pki.Manufacturer.root("Somebody Else").mic(strange, common_names=[strange])
        self.database((good, "none", "none", 0, "", self.lsc(good)), ("it's", "none", "none", 0, "", ""),
                      (other, "none", "none", 0, "", self.lsc(good)), (strange, "none", "none", 0, "", stranger),
                      (self.device(), "reboot", "lsc", 0, "", ""))
        self.refused("row 2", "INVALID_DEVICE_NAME", f"row 3, {other}", "another device", f"row 4, {strange}", "row 5", "reboot",
                     "4 rows have problems", "--skip")
        done = self.result("--skip")
        self.assertEqual((done["added"], done["left_out"]), (1, 4))

    def test_the_issuer_must_be_a_ca(self):
        device = self.device()
        self.database((device, "none", "none", 0, "", ""))
        leaf, _ = self.lsc(device).write(self.site.folder / self._testMethodName, "leaf")
        done = self.site.capfctl("site", "import-capfd", self.path, "--issuer", leaf, "--ends", "+90d", code=1)
        self.assertSays(done, "INVALID_CERTIFICATE")
        self.assertEqual(self.site.sql(f"select count(*) from phones where device = '{device}'"), ["0"])
        self.site.capfctl("site", "import-capfd", self.path, "--issuer", leaf, code=2)

    def test_it_is_for_admins_alone(self):
        self.database((self.device(), "none", "none", 0, "", ""))
        self.site.capfctl("administrator", "add", "mover", "--role", "operator")
        self.refused("ROLE_DENIED", options=("--administrator", "mover"))


if __name__ == "__main__":
    unittest.main()
