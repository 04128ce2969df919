"""Faults while phones enrol, again and again; a count afterwards shows that nothing was lost or done twice."""

import itertools
import random
import signal
import threading
import unittest

from e2e import faults
from e2e.faults import Fleet
from e2e.site import LONG, EndToEnd, eventually

KILLS = 200 if LONG else 4
OTHERS = 20 if LONG else 1
LEAST, MOST = 11, 40  # faults while the phones of one round come
FLEET = 20


def setUpModule():
    """A site with three servers, on a database that keeps its commits. A proxy is between the third one and the
    database."""
    global _site, _proxy
    _site = faults.FaultySite()
    unittest.addModuleCleanup(_site.close)
    _site.add_server()
    _proxy = faults.Proxy(_site)
    unittest.addModuleCleanup(_proxy.close)
    _site.add_server(through=_proxy.folder)


class Rounds(EndToEnd):
    @classmethod
    def setUpClass(cls):
        cls.site, cls.proxy = _site, _proxy
        _, cls.other, cls.third = _site.servers

    def setUp(self):
        self.fleets = []
        self.addCleanup(lambda: [fleet.kill() for fleet in self.fleets])

    def invite(self, count=FLEET, first=None, other=None, tries=60):
        """Phones for each server, over gRPC and on the wire, most of them by null string and some by one."""
        first, other = first or self.site.server, other or self.other
        self.fleets = [Fleet(self.site, count, server=first, tries=tries),
                       Fleet(self.site, count, server=other, tries=tries, wire=True),
                       Fleet(self.site, 4, server=other, tries=tries, auth="string"),
                       Fleet(self.site, 4, server=first, tries=tries, auth="string", wire=True)]

    def come(self, **who):
        self.invite(**who)
        for fleet in self.fleets:
            fleet.start()

    def under_way(self):
        return any(fleet.process.poll() is None for fleet in self.fleets)

    def some_more(self, least=4, most=16):
        """Waits until some more of them hold a certificate, how many is left to chance. @return whether others come yet"""
        wanted = sum(fleet.held() for fleet in self.fleets) + random.randint(least, most)
        eventually(lambda: not self.under_way() or sum(fleet.held() for fleet in self.fleets) >= wanted, "phones enrol")
        return self.under_way()

    def all_served(self):
        for fleet in self.fleets:
            fleet.served()
        self.fleets = []

    def tearDown(self):
        """The count."""
        self.assertEqual(faults.account(self.site), [])
        self.assertEqual(faults.sealed(self.site), [])
        checked = self.site.capfctl("certificate", "verify", "--since", "1970-01-01")
        self.assertIn("certificates checked", checked.stderr)


class KillTest(Rounds):
    def test_servers_and_databases_that_are_killed(self):
        """SIGKILL, as when a program is out of memory or has a fault: PostgreSQL's writes stay in the system's memory.
        PostgreSQL itself sees to it that a commit is on disk before its answer: fsync and synchronous_commit stay on.
        """
        self.assertEqual([self.site.sql(f"show {name}") for name in ("fsync", "synchronous_commit", "full_page_writes")],
                         [["on"]] * 3)
        victims = itertools.cycle((self.site.server, None, self.other, None))
        kills = 0
        while kills < KILLS:
            self.come(count=60)
            while kills < KILLS and self.some_more():
                kills += 1
                victim = next(victims)
                if victim:
                    victim.kill()
                    victim.start()
                else:
                    self.site.kill_postgres()
                    self.site.start_postgres()
            self.all_served()


class PauseTest(Rounds):
    def holders(self):
        """The servers that seal and publish, by host and process id."""
        return self.site.sql("select holder from leases where expires_at > now() and (name like 'crl%' or name = 'audit')")

    def of(self, server):
        return sum(f":{server.process.pid}:" in holder for holder in self.holders())

    def test_a_server_that_stands_still_for_longer_than_its_leases(self):
        """SIGSTOP until other servers have its leases, then SIGCONT: it continues with work that is no longer its own.
        """
        for _ in range(OTHERS):
            self.assertTrue(any(self.pause() for _ in range(10)), "none of those that stood still had a lease")

    def pause(self):
        """@return whether the server had leases when it was stopped: they may have moved to another one just before"""
        stopped = eventually(lambda: max(self.site.servers, key=self.of) if self.holders() else None, "somebody seals")
        self.come(first=stopped)
        self.some_more()
        stopped.process.send_signal(signal.SIGSTOP)
        try:
            held = self.of(stopped)
            eventually(lambda: self.of(stopped) == 0, "its leases are over")
            self.site.capfctl("phone", "add", self.device(), server=next(
                server for server in self.site.servers if server is not stopped))
            eventually(lambda: self.holders(), "another one goes on with the record")
            self.assertEqual(self.of(stopped), 0)
        finally:
            stopped.process.send_signal(signal.SIGCONT)
        self.all_served()
        return held > 0


class CutTest(Rounds):
    def meanwhile(self, fault):
        """Does it again and again at odd moments while phones come. How many odd moments a round of phones has is left to
        chance: others follow until the fault was met often enough.
        """
        done = 0
        for turn in itertools.count(1):
            self.come(other=self.third)
            while self.under_way() and done < MOST * turn:
                threading.Event().wait(random.uniform(0.005, 0.1))
                done += fault()
            self.all_served()
            if turn >= OTHERS and done >= LEAST * OTHERS:
                return

    def test_connections_to_the_database_that_are_cut(self):
        self.meanwhile(lambda: self.proxy.cut(chance=0.3))

    def test_connections_that_the_database_ends(self):
        def terminate():
            return len(self.site.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'capf_server' "
                                     "and random() < 0.2", user="postgres"))
        self.meanwhile(terminate)


class DiskTest(Rounds):
    """PostgreSQL's data on a small disk of its own, which is full for a while."""

    @classmethod
    def setUpClass(cls):
        cls.site = faults.FaultySite()
        cls.addClassCleanup(cls.site.close)
        cls.other = cls.site.add_server()
        cls.disk = faults.SmallDisk(cls.site)
        cls.site.at_the_end(cls.disk.close)
        # The servers' database was away for a moment: they try again after a pause.
        for server in cls.site.servers:
            eventually(lambda: cls.site.capfctl("phone", "list", code=None, server=server).returncode == 0, "back again")

    def test_a_disk_that_is_full(self):
        for _ in range(OTHERS):
            self.come(count=100)
            self.some_more()
            told = lambda: sum(server.log_text().count("No space left") for server in self.site.servers)
            before = told()
            self.disk.fill()

            def refused():
                if told() > before:
                    return True
                # On a fast machine all phones have been served by now: somebody else needs the room.
                more = "\n".join(self.device() for _ in range(500))
                self.site.capfctl("phone", "add", "--file", "-", code=None, input=more)
            try:
                eventually(refused, "somebody was refused for it")
            finally:
                self.disk.empty()
            self.disk.start_postgres()  # where it had no room for its log, it has ended
            self.all_served()


class StatementTest(Rounds):
    """An error in the middle of a transaction: what stood before it is not done either."""

    def test_a_statement_in_the_middle_fails(self):
        self.site.sql("create function fail_now() returns trigger language plpgsql as "
                      "$$ begin if random() < 0.3 then raise exception 'injected fault'; end if; return new; end $$",
                      user="postgres")
        tables = {"certificates": "insert or update", "operations": "update", "audit_events": "insert", "public_keys": "insert"}
        for _ in range(OTHERS):
            self.invite(tries=1)  # five certificates are the most for one operation
            self.addCleanup(self.repair, tables)
            for table, event in tables.items():
                self.site.sql(f"create trigger injected before {event} on {table} for each row execute function fail_now()",
                              user="postgres")
            for fleet in self.fleets:
                fleet.start()
            for fleet in self.fleets:
                fleet.wait()
            self.assertIn("INTERNAL", "".join(fleet.said for fleet in self.fleets))
            self.repair(tables)
            for fleet in self.fleets:
                fleet.start()
            self.all_served_at_last()

    def repair(self, tables):
        for table in tables:
            self.site.sql(f"drop trigger if exists injected on {table}", user="postgres")

    def all_served_at_last(self):
        """Some were served the first time, and have nothing pending: the count says whether it is so."""
        for fleet in self.fleets:
            fleet.wait()
            self.assertLessEqual(set(fleet.reasons()), {"NO_PENDING_OPERATION"}, fleet.said)
        self.fleets = []


if __name__ == "__main__":
    unittest.main()
