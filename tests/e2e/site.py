"""A site of its own for tests: PostgreSQL, capfd and an administrator in a temporary folder, and the real programs.

CAPF_BIN is the folder of the programs (default: build/release/bin); with CAPF_KEEP set, the folders of sites stay."""

import contextlib
import itertools
import json
import os
import pathlib
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

from e2e import issued

SOURCE = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = pathlib.Path(os.environ.get("CAPF_BIN", SOURCE / "build/release/bin"))
LONG = bool(os.environ.get("CAPF_TEST_LONG"))
PATIENCE = 120  # seconds to wait for something that must happen; sanitizers are slow


def run(*command, code=0, input=None, timeout=PATIENCE, env=None, text=True):
    """Runs a program without a terminal. `code` is the expected exit status, None for any."""
    done = subprocess.run([str(part) for part in command], input=input if input is not None else ("" if text else b""),
                          capture_output=True, text=text, timeout=timeout, env=env)
    if code is not None and done.returncode != code:
        raise AssertionError(f"{' '.join(map(str, command))}\nended with {done.returncode}, not {code}\n"
                             f"stdout: {done.stdout}\nstderr: {done.stderr}")
    return done


def eventually(condition, what, seconds=PATIENCE):
    """The first true value of `condition()`, which is asked until then. `what` may be a function, for what is known then."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.02)


def closed_window():
    """A window of campaigns that is not open today, and was not yesterday."""
    return time.strftime("%a 03:00-03:30", time.gmtime(time.time() + 3 * 86400))


def text_of(path):
    """For eventually(): what is in the file, nothing before somebody has made it."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def passing(check):
    """For eventually(): whether `check()` passes without an assertion failing."""
    def condition():
        try:
            check()
            return True
        except AssertionError:
            return False
    return condition


_claims = []


def free_base_port(address="127.0.0.1"):
    """A port below those that the kernel gives out by itself, with the next nineteen free too. No other test on this machine
    is given them while this one lives, also while a server that has them is not running."""
    while True:
        base = random.randrange(20000, 32000, 20)
        claim = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(OSError), contextlib.ExitStack() as probes:
            claim.bind(f"\0capf-e2e-ports-{base}")
            for port in range(base, base + 20):
                probes.enter_context(socket.socket()).bind((address, port))
            _claims.append(claim)
            return base
        claim.close()


def private(path, flags):
    """The opener of a file that other users cannot read, like all in a state directory."""
    return os.open(path, flags, 0o600)


class Server:
    """One capfd over a state directory."""

    def __init__(self, state):
        self.state = pathlib.Path(state)
        self.log = self.state / "capfd.log"
        self.process = None

    def start(self, stderr=None):
        """`stderr` takes the log in place of the file."""
        with open(self.log, "ab", opener=private) as log:
            self.process = subprocess.Popen([PROGRAMS / "capfd", "run", "--state", self.state], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=log if stderr is None else stderr)
        line = self.first_line()
        if not line.startswith("capfd ready"):
            self.kill()
            raise AssertionError(f"capfd did not start: {line!r}\n{self.log_text()[-4000:]}")
        self.endpoints = json.loads((self.state / "endpoints.json").read_text())
        return self

    def first_line(self):
        deadline = time.monotonic() + PATIENCE
        data = b""
        while b"\n" not in data and time.monotonic() < deadline:
            if select.select([self.process.stdout], [], [], 0.5)[0]:
                piece = os.read(self.process.stdout.fileno(), 4096)
                if not piece:
                    break
                data += piece
        return data.decode()

    def log_text(self):
        return self.log.read_text(errors="replace")

    def metrics(self):
        """What monitoring reads, by name and labels as they are written there."""
        with urllib.request.urlopen(f"http://{self.endpoints['metrics']}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        return {name: float(value) for name, value in re.findall(r"(?m)^(capf_.+) (\S+)$", text)}

    def stop(self):
        """As an administrator stops it. @return its exit status; what it said last is shown where that is not 0"""
        self.process.send_signal(signal.SIGTERM)
        status = self._ended()
        if status:
            print(f"capfd ended with {status}:", *self.log_text().splitlines()[-20:], sep="\n", file=sys.stderr)
        return status

    def kill(self):
        """As a power cut stops it."""
        self.process.kill()
        return self._ended()

    def _ended(self):
        status = self.process.wait(PATIENCE)
        self.process.stdout.close()
        self.process = None
        return status

    def restart(self):
        if self.process:
            self.stop()
        return self.start()


class Site:
    """A fresh site that runs. `init` are further options of `capfd init`; `settings` are lines put before the others in
    capfd.toml, or a function from its text to its text."""

    def __init__(self, *init, settings=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="capf-e2e-"))
        self.folder.chmod(0o711)  # the account that PostgreSQL runs under must get through
        self.state = self.folder / "site"
        self.state.mkdir(mode=0o711)
        self.phones = self.folder / "phones"
        self.servers = []
        self.changed = set()  # devices whose records a test changed on purpose
        try:
            self._make(init, settings)
        except BaseException:
            self.close(check=False)
            raise

    def _make(self, init, settings):
        passphrase = self.state / "passphrase"
        passphrase.touch(mode=0o600)
        passphrase.write_text(os.urandom(24).hex())
        self.database = self.start_postgres()
        self.init(*init)
        if settings:
            path = self.state / "capfd.toml"
            path.write_text(settings(path.read_text()))
        self.server = self.add_server(self.state)

    def init(self, *options, code=0):
        """`capfd init` with what every site has."""
        return run(PROGRAMS / "capfd", "init", "--state", self.state, "--base-port", "0",
                   "--database", f"{self.database} user=capf_server dbname=capf",
                   "--database-owner", f"{self.database} user=capf_owner dbname=capf",
                   "--passphrase", f"file:{self.state}/passphrase", *options, code=code)

    def add_server(self, state=None, base_port=None):
        """Another capfd over the same database; its state directory is a copy of the first one's."""
        state = state or self.copy_state(f"site{len(self.servers) + 1}")
        if base_port:
            path = state / "capfd.toml"
            path.write_text(re.sub(r"(?m)^base_port = .*", f"base_port = {base_port}", path.read_text()))
        server = Server(state)
        self.servers.append(server)
        return server.start()

    def copy_state(self, name):
        """A state directory like the first server's, of its own; that server may run meanwhile."""
        state = self.folder / name
        shutil.copytree(self.state, state, ignore=shutil.ignore_patterns(
            "postgres", "endpoints.json", "*.log", "*.lock", "*.new", "*.new.*"))
        path = state / "capfd.toml"
        path.write_text(re.sub(re.escape(str(self.state)) + r"/(?!postgres)", f"{state}/", path.read_text()))
        return state

    def start_postgres(self):
        return run(SOURCE / "scripts/postgres", "start", self.state / "postgres", "--fast").stdout.strip()

    def stop_postgres(self):
        """Commits stay."""
        run(SOURCE / "scripts/postgres", "stop", self.state / "postgres")

    def check_issued(self):
        """Everything that was issued, read again by `certificate verify` and linted. @return what is wrong with it; without
        a server that can tell, nothing"""
        for server in self.servers:
            if not server.process:
                continue
            done = self.capfctl("certificate", "verify", "--since", "1970-01-01", "--output", "json", code=None,
                                server=server)
            if "certificates checked" in done.stderr:
                return [f"{finding['what']}: {finding}" for finding in json.loads(done.stdout)
                        if finding["device"] not in self.changed] + issued.Lint(self).all(server)
        return []

    def close(self, check=True):
        findings = self.check_issued() if check else []
        statuses = [server.stop() for server in self.servers if server.process]
        logs = [server.log_text()[-4000:] for server in self.servers if server.log.exists()]
        run(SOURCE / "scripts/postgres", "stop", self.state / "postgres", "--fast", code=None)
        if os.environ.get("CAPF_KEEP"):
            print(f"kept: {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
        if check and any(statuses):
            raise AssertionError("capfd ended with {}\n{}".format(statuses, "\n".join(logs)))
        if findings:
            raise AssertionError("what was issued is not as it must be:\n" + "\n".join(findings))

    # the programs

    def capfctl(self, *arguments, code=0, input=None, server=None):
        state = (server or self.server).state
        return run(PROGRAMS / "capfctl", "--state", state, *arguments, code=code, input=input)

    def json(self, *arguments, code=0, input=None):
        """The answer of capfctl to programs."""
        return json.loads(self.capfctl(*arguments, "--output", "json", code=code, input=input).stdout)

    def phone(self, *arguments, code=0, server=None, input=None, env=None):
        state = (server or self.server).state
        return run(PROGRAMS / "capf-phone", "--state", state, "--dir", self.phones, *arguments, code=code, input=input,
                   env=env)

    def sql(self, statement, user="capf_owner"):
        """Rows as text, columns parted by |."""
        connection = f"{self.database} user={user} dbname=capf"
        return run("psql", "-X", "-v", "ON_ERROR_STOP=1", "-Atqc", statement, connection).stdout.splitlines()

    # frequent needs of tests

    def schedule(self, device, kind, auth, *options):
        """Schedules for one device. @return the authentication string where the server made one, else None"""
        answer = self.json("operation", "schedule", kind, device, "--auth", auth, *options)
        return answer[0].get("auth_string")

    def add_phone(self, device, *options):
        self.capfctl("phone", "add", device, *options)
        return device

    def enrol(self, device, *options):
        """A phone that is added and has a confirmed LSC. @return the path of its certificate"""
        self.add_phone(device)
        self.schedule(device, "install", "null", *options)
        self.phone(device)
        return self.phones / f"{device}.pem"

    def operation(self, device):
        return self.json("operation", "show", device)

    def last_attempt(self, device):
        """The reason of the last refusal, or None."""
        attempt = self.json("phone", "show", device).get("last_attempt")
        return attempt["reason"] if attempt else None

    def trust(self, store, path, *options, code=0):
        return self.capfctl("trust", "add", store, path, *options, code=code)


_shared = None


def shared_site():
    """The site that the tests of one module have in common."""
    global _shared
    if _shared is None:
        _shared = Site()
        unittest.addModuleCleanup(_close_shared)
    return _shared


def _close_shared():
    global _shared
    site, _shared = _shared, None
    site.close()


class EndToEnd(unittest.TestCase):
    maxDiff = None
    _numbers = itertools.count(1)

    @classmethod
    def setUpClass(cls):
        cls.site = shared_site()

    def device(self, prefix="SEP"):
        """A device name that no other test of this process has."""
        return f"{prefix}{next(self._numbers):012X}"

    def assertLastAttempt(self, device, reason):
        """That the last refusal of the device has this reason: it is recorded after its answer."""
        eventually(lambda: self.site.last_attempt(device) == reason,
                   lambda: f"{device}: {self.site.last_attempt(device)} becomes {reason}")

    def assertSays(self, done, *words):
        """Checks that a program's standard error has these words."""
        for word in words:
            self.assertIn(word, done.stderr)
