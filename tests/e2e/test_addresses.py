"""Names and addresses of the machine: one that it gets later than its server starts, and names that no certificate takes.
In a network namespace, and under host names, of the test's own."""

import json
import socket
import subprocess
import sys
import unittest

from e2e import network

network.enter()

from e2e.site import PROGRAMS, EndToEnd, Server, Site, eventually, private, run  # noqa: E402: in that network

ADDRESS = "192.0.2.7"  # RFC 5737: for documentation, used by no host


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


def on_machine(name, *command, code=0):
    """Runs a program where the machine is called so."""
    script = "import os, socket, sys; socket.sethostname(sys.argv[1]); os.execv(sys.argv[2], sys.argv[2:])"
    return run("unshare", "--uts", "--", sys.executable, "-c", script, name, *command, code=code)


class AddressTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        ip("link", "set", "lo", "up")
        cls.site = Site("--public-host", "capf.example")
        cls.addClassCleanup(cls.site.close)

    def listening(self, name, patience):
        state = self.site.copy_state(name)
        path = state / "capfd.toml"
        path.write_text(path.read_text() + f"\n[listen]\npatience_seconds = {patience}\n"
                        f'[listen.phone]\naddresses = ["127.0.0.1", "{ADDRESS}"]\n')
        return state

    def test_a_start_waits_for_an_address_that_comes_later(self):
        server = Server(self.listening("later", 100))
        self.site.servers.append(server)
        with open(server.log, "wb", opener=private) as log:
            server.process = subprocess.Popen([PROGRAMS / "capfd", "run", "--state", server.state], stdout=subprocess.PIPE,
                                              stdin=subprocess.DEVNULL, stderr=log)
        eventually(lambda: f"listen.waiting address={ADDRESS}" in server.log_text(), server.log_text)
        self.assertIsNone(server.process.poll())
        ip("address", "add", f"{ADDRESS}/32", "dev", "lo")
        try:
            self.assertTrue(server.first_line().startswith("capfd ready"), server.log_text())
            self.assertEqual(server.log_text().count("listen.waiting"), 1)
            port = json.loads((server.state / "endpoints.json").read_text())["phone"].rsplit(":", 1)[1]
            socket.create_connection((ADDRESS, int(port)), timeout=30).close()
            self.assertEqual(server.stop(), 0)
        finally:
            ip("address", "del", f"{ADDRESS}/32", "dev", "lo")

    def test_a_start_that_waits_ends_on_a_signal_and_after_its_patience(self):
        server = Server(self.listening("stopped", 3600))
        with open(server.log, "wb", opener=private) as log:
            server.process = subprocess.Popen([PROGRAMS / "capfd", "run", "--state", server.state], stdout=subprocess.PIPE,
                                              stdin=subprocess.DEVNULL, stderr=log)
        eventually(lambda: "listen.waiting" in server.log_text(), server.log_text)
        self.assertEqual(server.stop(), 0)
        done = run(PROGRAMS / "capfd", "run", "--state", self.listening("never", 1), code=1)
        self.assertSays(done, "INVALID_CONFIGURATION", ADDRESS, "patience_seconds")

    def test_an_address_with_a_zone_is_refused_in_words(self):
        state = self.site.copy_state("zone")
        path = state / "capfd.toml"
        path.write_text(path.read_text() + '\n[listen.phone]\naddresses = ["fe80::1%lo"]\n')
        for command in ("check-config", "run"):
            done = run(PROGRAMS / "capfd", command, "--state", state, code=1)
            self.assertIn("fe80::1%lo", done.stdout + done.stderr)
            self.assertIn("one link", done.stdout + done.stderr)


class NameTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        ip("link", "set", "lo", "up")
        cls.site = Site("--public-host", "capf.example")
        cls.addClassCleanup(cls.site.close)

    def init(self, machine, name, *options, code=0):
        state = self.site.folder / name
        state.mkdir(mode=0o700, exist_ok=True)
        secret = state / "passphrase"
        secret.touch(mode=0o600)
        secret.write_text("correct horse")
        database = f"{self.site.database} dbname={name}"
        exists = run("psql", "-X", "-Atqc", f"select 1 from pg_database where datname = '{name}'",
                     f"{self.site.database} user=postgres dbname=postgres").stdout.strip()
        if not exists:
            run("psql", "-X", "-qc", f"create database {name} owner capf_owner",
                f"{self.site.database} user=postgres dbname=postgres")
        done = on_machine(machine, PROGRAMS / "capfd", "init", "--state", state, "--base-port", "0", "--key", "p-256",
                          "--passphrase", f"file:{secret}", "--database", f"{database} user=capf_server",
                          "--database-owner", f"{database} user=capf_owner", *options, code=code)
        return state, done

    def test_a_machine_whose_name_has_an_underscore(self):
        state, done = self.init("pbx_1", "underscored", code=1)
        self.assertSays(done, "INVALID_CONFIGURATION", "'pbx_1'", "--public-host")
        self.assertNotIn(".new", done.stderr)
        self.assertEqual([path.name for path in state.iterdir() if path.name not in ("passphrase", ".lock")], [])
        _, done = self.init("pbx_1", "underscored", "--public-host", "also_1", code=1)
        self.assertSays(done, "INVALID_CONFIGURATION", "--public-host 'also_1'")
        state, done = self.init("pbx_1", "underscored", "--public-host", "pbx.example")
        self.assertIn("http://pbx.example:", done.stdout)
        self.assertNotIn("Warning", done.stdout)
        done = on_machine("pbx_1", PROGRAMS / "capfd", "check-config", "--state", state)
        self.assertEqual((done.stdout, done.stderr), ("ok\n", ""))

    def test_a_machine_called_localhost_is_warned_of(self):
        state, done = self.init("localhost", "local")
        self.assertIn("public host    localhost, this machine's name", done.stdout)
        self.assertRegex(done.stdout, "Warning: every LSC will name http://localhost:")
        done = on_machine("localhost", PROGRAMS / "capfd", "check-config", "--state", state)
        self.assertEqual(done.stdout, "ok\n")
        self.assertIn("http://localhost:", done.stderr)
        server = Server(state).start()
        self.assertEqual(server.stop(), 0)
        self.assertRegex(server.log_text(), r"(?m) warning configuration.doubtful words=.*http://localhost:")


if __name__ == "__main__":
    unittest.main()
