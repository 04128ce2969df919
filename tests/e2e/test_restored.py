"""Errors of the database that pass: what an administrator of PostgreSQL does beside a running server, and undoes. Then nothing
fails any more, without a restart."""

import re
import threading
import unittest
import urllib.error
import urllib.request

from e2e.site import EndToEnd, Site, eventually, run

CALLERS = 4
SOON = 10  # seconds until a probe says so
ROUNDS = 3


class Traffic:
    """Administrators who call all the time."""

    def __init__(self, site):
        self._site, self._stopped = site, threading.Event()
        self._lock, self.answered, self.refused = threading.Lock(), 0, 0
        self._threads = [threading.Thread(target=self._call) for _ in range(CALLERS)]

    def _call(self):
        while not self._stopped.is_set():
            done = self._site.capfctl("phone", "list", "--limit", "1", code=None)
            with self._lock:
                self.answered += done.returncode == 0
                self.refused += done.returncode != 0

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopped.set()
        for thread in self._threads:
            thread.join()


class RestoredTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        cls.site = Site()
        cls.addClassCleanup(cls.site.close)

    def as_postgres(self, statement):
        return self.site.sql(statement, user="postgres")

    def fetch(self, path):
        try:
            with urllib.request.urlopen(f"http://{self.site.server.endpoints['metrics']}{path}", timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def well_soon(self):
        """Checks that all works: a dozen calls at once, a phone on each port, probes, and no session of the server is
        left inside a transaction."""
        eventually(lambda: self.fetch("/readyz")[0] == 200, "the server is ready", SOON)
        with Traffic(self.site) as traffic:
            eventually(lambda: traffic.answered + traffic.refused >= 12, "a dozen calls have ended")
        self.assertEqual(traffic.refused, 0)
        for options in ((), ("--wire",)):
            device = self.site.add_phone(self.device())
            self.site.schedule(device, "install", "null")
            self.site.phone(device, *options)
        # The figures are read at intervals.
        eventually(lambda: "\ncapf_database_up 1\n" in self.fetch("/metrics")[1], "the database is up in the metrics", SOON)
        self.site.capfctl("check", "health")
        self.assertEqual(self.as_postgres(
            "select count(*) from pg_stat_activity where usename = 'capf_server' and state ~ 'aborted' "
            "or state = 'idle in transaction' and state_change < now() - interval '5 seconds'"), ["0"])

    def test_a_function_that_is_away_for_a_while(self):
        with Traffic(self.site) as traffic:
            eventually(lambda: traffic.answered >= CALLERS, "callers are served")
            self.as_postgres("alter function microseconds(timestamptz) rename to microseconds_away")
            eventually(lambda: traffic.refused >= 5 * CALLERS, "callers are refused")
            eventually(lambda: self.fetch("/readyz")[0] == 503, "the server is not ready")
            self.as_postgres("alter function microseconds_away(timestamptz) rename to microseconds")
        self.well_soon()

    def test_a_setting_of_the_role_that_is_taken_back(self):
        self.as_postgres("alter role capf_server set session_replication_role = replica")
        self.as_postgres("select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = 'capf_server'")
        self.addCleanup(self.as_postgres, "alter role capf_server reset session_replication_role")
        with Traffic(self.site) as traffic:
            eventually(lambda: traffic.refused >= CALLERS, "callers are refused")
            # A probe's answer is kept for a second, so the one of before the fault must have gone.
            eventually(lambda: self.fetch("/readyz")[0] == 503, "the server is not ready")
        self.as_postgres("alter role capf_server reset session_replication_role")
        self.well_soon()

    def restore(self, dump, database):
        """`pg_restore --clean`, of what takes longer than this site: everything is away for some seconds."""
        script = self.site.folder / "capf.sql"
        run("pg_restore", "--clean", "--if-exists", "-f", script, dump)
        script.write_text(script.read_text().replace("\nCREATE ", "\nSELECT pg_sleep(3);\nCREATE ", 1))
        return run("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-f", script, database,
                   code=None).returncode == 0

    def test_a_dump_that_is_restored_beside_a_running_server(self):
        self.site.enrol(self.device())
        dump = self.site.folder / "capf.dump"
        database = f"{self.site.database} user=postgres dbname=capf"
        for _ in range(ROUNDS):
            eventually(lambda: re.search(r'"unsealed":\s*0\b', self.site.capfctl("audit", "verify", "--output", "json").stdout),
                       "every event is sealed")
            run("pg_dump", "-Fc", "-f", dump, database)
            with Traffic(self.site) as traffic:
                eventually(lambda: traffic.answered >= CALLERS, "callers are served")
                eventually(lambda: self.restore(dump, database) and traffic.refused > 0,
                           "a restore without a deadlock, while somebody calls")
            self.well_soon()


if __name__ == "__main__":
    unittest.main()
