"""The record: sealed in batches by whichever server has the lease, and checked by the public audit key alone."""

import json
import re
import unittest

from e2e.site import EndToEnd, PROGRAMS, Site, eventually, run, text_of


class Audit(EndToEnd):
    """Each test has a site of its own: it spoils the record."""

    @classmethod
    def setUpClass(cls):
        pass

    def setUp(self):
        self.site = Site()
        self.addCleanup(self.site.close)

    def verify(self, *options, code=0, site=None):
        """Runs `audit verify`. @return its JSON"""
        done = (site or self.site).capfctl("audit", "verify", *options, "--output", "json", code=code)
        return json.loads(done.stdout)

    def marked(self):
        """The number of the last seal that the server has marked as given."""
        found = re.search(r"(?m)^seal (\d+) ", text_of(self.site.state / "keys/high-water"))
        return int(found[1]) if found else 0

    def sealed(self):
        """Waits until every event is sealed, and the server has its mark of that. @return the last seal's number"""
        def last():
            answer = self.verify()
            return answer["unsealed"] == 0 and self.marked() >= answer["last_seal"] and answer["last_seal"]
        return eventually(last, "every event is sealed")

    def findings(self, *options):
        answer = self.verify(*options, code=1)
        self.assertTrue(answer["findings"])
        return "\n".join(answer["findings"])

    def tamper(self, table, statement):
        """As the database's owner can."""
        self.site.sql(f"alter table {table} disable trigger user; {statement}; "
                      f"alter table {table} enable trigger user")

    def test_the_owner_of_the_database_cannot_change_the_record_unseen(self):
        for _ in range(3):
            self.site.add_phone(self.device())
            last = self.sealed()
        answer = self.verify()
        self.assertEqual(answer["first_seal"], 1)
        self.assertEqual(answer["events"], int(self.site.sql("select count(*) from audit_events")[0]))
        anchor = self.site.folder / "anchor"
        anchor.write_text(answer["anchor"])
        log = self.site.server.log
        eventually(lambda: f"audit.sealed number={last} sha256=" in log.read_text(), "the log has the last seal")
        self.verify("--anchor", log)

        # Each tampering is undone: the copy of the rows comes back.
        self.site.sql("create table events_before as select * from audit_events; "
                      "create table seals_before as select * from audit_seals")
        columns = ("id, xid, at, actor_kind, actor, address, action, subject, operation_id, outcome, reason, detail")

        def restore():
            self.tamper("audit_events", "delete from audit_events; insert into audit_events "
                        f"({columns}) overriding system value select {columns} from events_before")
            self.tamper("audit_seals",
                        "delete from audit_seals; insert into audit_seals select * from seals_before order by number")
            self.assertEqual(self.verify("--anchor", anchor)["findings"], [])

        middle = "(select last_id from audit_seals where number = 2)"
        newest = f"(select last_id from audit_seals where number = {last})"
        for what, table, statement, words in (
                ("changed", "audit_events", f"update audit_events set actor = 'nobody' where id = {middle}",
                 "seal 2: its events are not those that were sealed"),
                ("removed", "audit_events", f"delete from audit_events where id = {middle}",
                 "seal 2: covers"),
                ("reordered", "audit_events",
                 f"update audit_events a set xid = b.xid from audit_events b where a.id = {middle} and b.id = {newest}",
                 "seal 2: covers"),
                ("inserted", "audit_events",
                 "insert into audit_events (xid, actor_kind, actor, address, action, subject, outcome, detail) "
                 f"select xid, 'system', 'x', '', 'phone.add', 'x', 'done', '' from audit_events where id = {middle}",
                 "more are there"),
                ("seal removed", "audit_seals", "delete from audit_seals where number = 2", "seals are missing"),
                ("cut short", "audit_seals", f"delete from audit_seals where number = {last}", "cut short"),
        ):
            with self.subTest(what):
                if what == "cut short":
                    # Without an anchor this could not be noticed, because the server would seal the remaining events
                    # again.
                    self.site.server.kill()
                    self.tamper("audit_events", f"delete from audit_events where id >= {newest}")
                    self.tamper(table, statement)
                    self.site.server.start()
                else:
                    self.tamper(table, statement)
                self.assertIn(words, self.findings("--anchor", anchor))
                restore()

    def test_a_database_that_was_set_back_issues_nothing(self):
        device = self.device()
        self.site.add_phone(device)
        self.sealed()
        self.site.sql("create table seals_before as select * from audit_seals")
        self.site.schedule(device, "install", "null")
        last = self.sealed()
        self.tamper("audit_seals", f"delete from audit_seals where number = {last}")
        self.site.server.restart()
        self.assertSays(self.site.phone(device, code=1), "DATABASE_BEHIND")
        self.assertIn("NOT_SERVING, DATABASE_BEHIND: ", self.site.capfctl("check", "health", code=2).stdout)
        eventually(lambda: "DATABASE_BEHIND" in self.site.server.log_text(), "the log says so")
        self.assertEqual(self.site.sql("select count(*) from certificates"), ["0"])

    def test_servers_that_are_killed_in_the_middle_leave_one_chain(self):
        self.sealed()  # by the first server
        other = self.site.add_server()
        for round in range(6):
            server = (self.site.server, other)[round % 2]
            devices = [self.device() for _ in range(20)]
            self.site.capfctl("phone", "add", *devices, server=(other, self.site.server)[round % 2])
            server.kill()
            server.start()
        self.sealed()
        answer = self.verify("--anchor", self.site.server.log)
        self.assertEqual(answer["findings"], [])
        self.assertEqual(answer["events"], int(self.site.sql("select count(*) from audit_events")[0]))
        self.site.server.kill()  # so that the other one gets the lease
        last = int(self.site.sql("select max(number) from audit_seals")[0])
        self.site.capfctl("phone", "add", self.device(), server=other)
        eventually(lambda: any(int(number) > last for number in re.findall(r"audit\.sealed number=(\d+) sha256=",
                                                                           other.log_text())), "the other server seals")
        self.site.server.start()
        self.verify("--anchor", other.log)

    def test_a_site_of_before_gets_its_audit_key_once(self):
        self.sealed()
        self.site.server.stop()
        for path in (self.site.state / "keys/audit.key", self.site.state / "keys/high-water",
                     self.site.state / "certificates/audit.pub"):
            path.unlink()
        # The database names a key: this server must get it from another one.
        with self.assertRaises(AssertionError):
            self.site.server.start()
        self.assertIn("is not the audit key on record", self.site.server.log_text())
        self.tamper("audit_seals", "delete from audit_seals")
        self.tamper("audit_key", "delete from audit_key")
        self.site.server.start()
        self.assertEqual((self.site.state / "keys/audit.key").stat().st_mode & 0o777, 0o600)
        self.assertIn("ENCRYPTED", (self.site.state / "keys/audit.key").read_text())
        self.sealed()
        # Of two servers with two keys the second does not start.
        other = self.site.copy_state("other")
        (other / "certificates/audit.pub").unlink()
        run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-aes256", "-pass",
            f"file:{self.site.state / 'passphrase'}", "-out", other / "keys/audit.key")
        (other / "keys/audit.key").chmod(0o600)
        self.assertSays(run(PROGRAMS / "capfd", "run", "--state", other, code=1), "audit key on record")

    def test_another_public_key_verifies_nothing(self):
        self.sealed()
        stranger = self.site.folder / "stranger.pub"
        key = run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256").stdout
        stranger.write_text(run("openssl", "pkey", "-pubout", input=key).stdout)
        self.assertIn("is not signed by the audit key", self.findings("--audit-key", stranger))


if __name__ == "__main__":
    unittest.main()
