"""A pooler between the servers and PostgreSQL: PgBouncer itself. In session mode a site works as it comes; in transaction
and in statement mode every command says at once that it does not, and why."""

import contextlib
import os
import shutil
import subprocess
import unittest

from e2e import cluster
from e2e.site import PROGRAMS, EndToEnd, Server, Site, eventually, run

PORT = 6432  # of the socket's name; nothing listens on TCP


class Pooler:
    """PgBouncer in a folder of its own, in front of the site's PostgreSQL."""

    def __init__(self, site, mode):
        self.folder = site.folder / f"pooler-{mode}"
        self.folder.mkdir()
        endpoint = (site.state / "postgres/endpoint").read_text().strip()
        as_root = os.geteuid() == 0  # it refuses to be root
        if as_root:
            shutil.chown(self.folder, "postgres")
        configuration = self.folder / "pgbouncer.ini"
        configuration.write_text(
            "[databases]\n" + "".join(
                f"{user} = {endpoint} dbname=capf user={user}\n" for user in ("capf_server", "capf_owner")) +
            f"[pgbouncer]\nunix_socket_dir = {self.folder}\nlisten_port = {PORT}\nauth_type = any\n"
            f"pool_mode = {mode}\ndefault_pool_size = 30\n")
        configuration.chmod(0o644)
        command = ["runuser", "-u", "postgres", "--"] if as_root else []
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen([*command, "pgbouncer", configuration], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)
        eventually((self.folder / f".s.PGSQL.{PORT}").exists, lambda: (self.folder / "log").read_text())

    def conninfo(self, user):
        return f"host={self.folder} port={PORT} user={user} dbname={user}"

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


class PoolerTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        cls.site = Site()
        cls.addClassCleanup(cls.site.close)

    @contextlib.contextmanager
    def pooler(self, mode):
        pooler = Pooler(self.site, mode)
        try:
            yield pooler
        finally:
            pooler.stop()

    def state_behind(self, pooler, name):
        state = self.site.copy_state(name)
        text = (state / "capfd.toml").read_text()
        for key, user in (("server", "capf_server"), ("owner", "capf_owner")):
            text = cluster.setting(text, "database", key, pooler.conninfo(user))
        (state / "capfd.toml").write_text(text)
        return state

    def test_session_mode_works_as_it_comes(self):
        with self.pooler("session") as pooler:
            server = Server(self.state_behind(pooler, "session"))
            self.site.servers.append(server)
            server.start()
            try:
                device = self.device()
                self.site.capfctl("phone", "add", device, server=server)
                digits = self.site.schedule(device, "install", "string", "--key-order", "ec", "--ec-size", "256")
                run(PROGRAMS / "capf-phone", device, "--state", server.state, "--string", digits, "--dir",
                    self.site.phones)
                # The settings of a session hold behind the pooler too.
                self.assertIn("OK", self.site.capfctl("check", "health", server=server).stdout)
                for _ in range(3):
                    run(PROGRAMS / "capfd", "migrate", "--state", server.state)
                self.assertNotRegex(server.log_text(), r"(?m)^\S+ (warning|error) database\.(?!not_durable)")
            finally:
                server.stop()

    def test_transaction_and_statement_mode_are_refused_in_words(self):
        for mode in ("transaction", "statement"):
            with self.subTest(mode), self.pooler(mode) as pooler:
                state = self.state_behind(pooler, mode)
                for command in ("run", "migrate", "archive"):
                    done = run(PROGRAMS / "capfd", command, "--state", state, code=None, timeout=60)
                    self.assertEqual(done.returncode, 1, done.stderr)
                    self.assertIn("INVALID_CONFIGURATION", done.stderr)
                    self.assertIn("pool_mode session", done.stderr)
                    self.assertNotIn("capfd ready", done.stdout)


if __name__ == "__main__":
    unittest.main()
