"""PostgreSQL as an operator runs it: over TCP with certificates, with standbys. Made by PostgreSQL's own programs, as
an ordinary user, without scripts/postgres."""

import os
import pathlib
import re
import shutil
import signal
import subprocess

from e2e.site import SOURCE, eventually, run

PROGRAMS = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1]


def unprivileged(*command):
    """The command that runs a program as a user whom PostgreSQL accepts, in the same process."""
    user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"] if os.geteuid() == 0 else []
    return user + [str(word) for word in command]


def private_folder(path):
    """A folder of that user's own."""
    path.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(path, "postgres", "postgres")
    return path


class Certificates:
    """An authority with certificates of machines ("db1=127.0.0.1") and of users ("capf_server")."""

    def __init__(self, folder, *names):
        self.folder = folder
        run(SOURCE / "deploy/ha/certificates", folder, *names)

    def of(self, name):
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def give(self, name, to):
        """Copies what that machine needs into a folder of PostgreSQL's user."""
        for path in (self.folder / "ca.pem", *self.of(name)):
            shutil.copy(path, to)
            (to / path.name).chmod(0o600)
            if os.geteuid() == 0:
                shutil.chown(to / path.name, "postgres", "postgres")

    def conninfo(self, user):
        """The connection string of a user."""
        certificate, key = self.of(user)
        return (f"user={user} dbname=capf sslmode=verify-full sslrootcert={self.folder}/ca.pem "
                f"sslcert={certificate} sslkey={key}")


class Postgres:
    """A PostgreSQL in a folder, on a socket in it, and where `address` says over TCP too."""

    def __init__(self, folder, *, address=None, port=5432, certificates=None, name="db1", wrap=lambda *words: list(words)):
        self.folder, self.address, self.port, self.wrap = folder, address, port, wrap
        folder.mkdir(mode=0o711)
        self.data = folder / "data"
        self.socket = private_folder(folder / "s")
        self.tls = private_folder(folder / "tls")
        if certificates:
            certificates.give(name, self.tls)
        self.name = name
        self.process = None

    @property
    def local(self):
        return f"host={self.socket} port={self.port}"

    def make(self):
        """A primary with what a site needs: roles and database."""
        private_folder(self.data)
        run(*unprivileged(PROGRAMS / "initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "-E", "UTF8",
                          "--locale=C.UTF-8", "--no-sync"))
        self._write("pg_hba.conf", "local all all trust\nlocal replication all trust\nhostssl all all all cert\n")
        self.start()
        for statement in ("create role capf_owner login", "create role capf_server login",
                          "create database capf owner capf_owner"):
            self.sql(statement, "postgres")
        return self

    def follow(self, primary):
        """A standby of that one."""
        private_folder(self.data)
        run(*unprivileged(PROGRAMS / "pg_basebackup", "-D", self.data, "-d", f"{primary.local} user=postgres", "-R",
                          "-X", "stream", "-c", "fast", "--no-sync"))
        return self.start()

    def _write(self, name, text):
        path = self.data / name
        path.write_text(text)

    def start(self):
        settings = {"listen_addresses": self.address or "", "port": self.port, "unix_socket_directories": self.socket,
                    "fsync": "off", "timezone": "UTC", "hot_standby": "on", "max_connections": 100}
        if self.address:
            settings |= {"ssl": "on", "ssl_cert_file": self.tls / f"{self.name}.pem",
                         "ssl_key_file": self.tls / f"{self.name}.key", "ssl_ca_file": self.tls / "ca.pem"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        program = self.wrap(*unprivileged(PROGRAMS / "postgres", "-D", self.data, *options))
        self.process = None

        def answers():
            # It ends at once where the children of one that was killed are still ending.
            if self.process is None or self.process.poll() is not None:
                with open(self.folder / "log", "ab") as log:
                    self.process = subprocess.Popen(program, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            return run("psql", "-X", "-Atqc", "select 1", f"{self.local} user=postgres dbname=postgres",
                       code=None).returncode == 0
        eventually(answers, lambda: f"PostgreSQL answers: {(self.folder / 'log').read_text()[-2000:]}")
        return self

    def processes(self):
        """Its process ids, the postmaster's first."""
        try:
            first = int((self.data / "postmaster.pid").read_text().split()[0])
        except (FileNotFoundError, IndexError):
            return []
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and os.readlink(entry / "cwd") == str(self.data.resolve()):
                    found.append(int(entry.name))
            except OSError:
                pass
        return sorted(found, key=lambda pid: pid != first)

    def signal(self, which):
        """To each of its processes, the postmaster first."""
        for pid in self.processes():
            try:
                os.kill(pid, which)
            except ProcessLookupError:
                pass

    def stop(self):
        if not self.process:
            return
        if self.processes():
            os.kill(self.processes()[0], signal.SIGINT)
        self.process.wait(60)
        self.process = None

    def promote(self):
        run(*unprivileged(PROGRAMS / "pg_ctl", "promote", "-D", self.data, "-w"))

    def sql(self, statement, database="capf", user="postgres"):
        return run("psql", "-X", "-v", "ON_ERROR_STOP=1", "-Atqc", statement,
                   f"{self.local} user={user} dbname={database}").stdout.splitlines()


def setting(text, section, name, value):
    """capfd.toml with another value of a setting that it has."""
    changed = re.sub(rf'(?ms)(^\[{section}\].*?^{name} = )"[^"]*"', lambda match: f'{match[1]}"{value}"', text, count=1)
    if changed == text:
        raise AssertionError(f"no {section}.{name} in\n{text}")
    return changed
