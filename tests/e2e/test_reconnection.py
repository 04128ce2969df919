"""The way to the database: packets that vanish, a PostgreSQL that hangs, one that is not there yet. Calls end, /readyz
reports it, and everything recovers by itself."""

import contextlib
import json
import signal
import subprocess
import time
import urllib.error
import urllib.request

from e2e import network

network.enter()

from e2e import cluster, rpc  # noqa: E402
from e2e.site import LONG, PROGRAMS, EndToEnd, Site, eventually, private  # noqa: E402

EC = ("--key-order", "ec", "--ec-size", "256")
RED = 5  # seconds until /readyz is red
GREEN = 10  # until it is green again: 2 are capfd's, the rest the kernel's, whose retransmissions become rarer
ENDED = 20  # until a call has ended


class RemoteSite(Site):
    """A site whose PostgreSQL is on another machine."""

    def start_postgres(self):
        self.cable = network.Cable()
        self.certificates = cluster.Certificates(self.folder / "tls", f"db1={network.THERE}", "capf_server")
        self.postgres = cluster.Postgres(self.folder / "primary", address=network.THERE, certificates=self.certificates,
                                         wrap=self.cable.command).make()
        return self.postgres.local

    def add_server(self, state=None):
        path = self.state / "capfd.toml"
        path.write_text(cluster.setting(path.read_text(), "database", "server",
                                        f"host={network.THERE} {self.certificates.conninfo('capf_server')}"))
        return super().add_server(state)

    def close(self, check=True):
        try:
            super().close(check)
        finally:
            if hasattr(self, "postgres"):
                self.postgres.stop()
            if hasattr(self, "cable"):
                self.cable.close()


class ReconnectionTest(EndToEnd, rpc.RefusalTests):
    @classmethod
    def setUpClass(cls):
        cls.site = RemoteSite()
        cls.addClassCleanup(cls.site.close)

    def ready(self):
        try:
            url = f"http://{self.site.server.endpoints['metrics']}/readyz"
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.status == 200
        except urllib.error.HTTPError as error:
            self.assertEqual(error.code, 503)
            return False

    def pending(self):
        device = self.site.add_phone(self.device())
        self.site.schedule(device, "install", "null", *EC)
        return device

    @contextlib.contextmanager
    def measured(self, what, limit):
        began = time.monotonic()
        yield
        took = time.monotonic() - began
        print(f"{what}: {took:.1f} s")
        self.assertLess(took, limit, what)

    def away_and_back(self, name, leave, come):
        device = self.pending()
        eventually(self.ready, "ready")
        leave()
        try:
            call = subprocess.Popen([PROGRAMS / "capf-phone", device, "--state", self.site.state, "--dir",
                                     self.site.phones, "--tries", "1"], stderr=subprocess.PIPE, text=True)
            self.addCleanup(call.kill)
            with self.measured(f"{name}: /readyz is red after", RED):
                eventually(lambda: not self.ready(), "not ready")
            with self.measured(f"{name}: a call ends after", ENDED):
                self.assertRegex(call.communicate(timeout=60)[1], "DATABASE_UNAVAILABLE|COMMIT_IN_DOUBT")
            self.assertNotEqual(call.returncode, 0)
            # From then on calls are refused at once, for as long as it lasts.
            with rpc.admin_client(self.site) as admin:
                for _ in range(20):
                    refusal = self.refusal(admin.ListPhones)
                    self.assertEqual(refusal.reason, "DATABASE_UNAVAILABLE")
            self.assertFalse(self.ready())
        finally:
            come()
        with self.measured(f"{name}: /readyz is green again after", GREEN):
            eventually(self.ready, "ready again")
        self.site.phone(device)
        self.assertEqual(self.site.operation(device)["state"], "succeeded")

    def test_packets_that_vanish(self):
        for _ in range(5 if LONG else 1):
            self.away_and_back("the cable is pulled", self.site.cable.pull, self.site.cable.plug)

    def test_a_postgres_that_hangs(self):
        """Its machine acknowledges every octet, and nothing answers."""
        for _ in range(5 if LONG else 1):
            self.away_and_back("PostgreSQL hangs", lambda: self.site.postgres.signal(signal.SIGSTOP),
                               lambda: self.site.postgres.signal(signal.SIGCONT))

    def test_a_postgres_that_is_killed(self):
        for _ in range(5 if LONG else 1):
            self.away_and_back("PostgreSQL is killed", lambda: self.site.postgres.signal(signal.SIGKILL),
                               self.site.postgres.start)

    def test_a_server_waits_for_its_database(self):
        self.site.server.stop()
        self.site.postgres.stop()
        server = self.site.server
        log = open(server.log, "ab", opener=private)
        self.addCleanup(log.close)
        begun = len(server.log_text())
        server.process = subprocess.Popen([PROGRAMS / "capfd", "run", "--state", server.state],
                                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        eventually(lambda: "database.waiting" in server.log_text()[begun:], "it waits")
        self.assertIsNone(server.process.poll())
        self.site.postgres.start()
        with self.measured("a server that waited for its database is ready after", GREEN):
            self.assertIn("capfd ready", server.first_line())
        server.endpoints = json.loads((server.state / "endpoints.json").read_text())
        self.assertTrue(self.ready())
        self.site.phone(self.pending())


del EndToEnd
