"""Faults that break a site on purpose, phones that come meanwhile, and a count of the results afterwards."""

import collections
import contextlib
import hashlib
import json
import os
import pathlib
import random
import re
import select
import signal
import socket
import subprocess
import threading

from e2e import issued
from e2e.site import PATIENCE, PROGRAMS, SOURCE, Site, eventually, free_base_port, run

EC = ("--key-order", "ec", "--ec-size", "256")
# A program with sanitizers keeps freed memory, and is slow.
SANITIZED = any(mark in (PROGRAMS / "capfd").read_bytes() for mark in (b"__asan_init", b"__tsan_init"))
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


def processes_in(folder):
    """The processes whose working folder this is: PostgreSQL's are in their data."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{entry}/cwd") == str(folder):
                    found.append(int(entry))
    return found


class FaultySite(Site):
    """A site whose ports stay the same when its servers start again, and whose PostgreSQL keeps what was committed on
    disk. With `clock` set, PostgreSQL lives by the file of that name in the site's folder."""

    def __init__(self, *init, settings=None, durable=True, clock=None):
        self.durable, self.clock = durable, clock
        self.base = free_base_port()
        self.last = lambda: None

        def fixed(text):
            return re.sub(r"(?m)^base_port = .*", f"base_port = {self.base}", settings(text) if settings else text)
        super().__init__(*init, settings=fixed)

    def start_postgres(self):
        if self.clock and not (self.folder / self.clock).exists():
            set_clock(self.folder / self.clock, 0)
        environment = faked(self.folder / self.clock, ours=False) if self.clock else None
        return run(SOURCE / "scripts/postgres", "start", self.state / "postgres", *([] if self.durable else ["--fast"]),
                   env=environment).stdout.strip()

    def add_server(self, state=None, through=None):
        """@param through the folder of a Proxy between this server and the database"""
        if state is None:
            state = self.copy_state(f"site{len(self.servers) + 1}")
            path = state / "capfd.toml"
            text = re.sub(r"(?m)^base_port = .*", f"base_port = {free_base_port()}", path.read_text())
            path.write_text(text.replace(f'server = "{self.database}', f'server = "host={through}') if through else text)
        return super().add_server(state)

    def at_the_end(self, last):
        """To be called when the servers have stopped."""
        self.last = last

    def close(self, check=True):
        try:
            super().close(check)
        finally:
            self.last()

    def kill_postgres(self):
        """The postmaster first, so that it starts no process again; then all the others."""
        data = (self.state / "postgres/data").resolve()
        pids = processes_in(data)
        postmaster = int((data / "postmaster.pid").read_text().split()[0])
        for pid in sorted(pids, key=lambda pid: pid != postmaster):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        eventually(lambda: not processes_in(data), "PostgreSQL's processes are gone")


def faked(clock, ours=True):
    """The environment of a program, ours or another's, that takes its time from the file `clock`; time that only passes
    is not faked. The file is never cached, or a backend of PostgreSQL would keep the old time for seconds when others
    have the new."""
    forget_the_ended()
    first = []
    if ours and SANITIZED:  # the sanitizer's library must come first
        libraries = map(str.split, run("ldd", PROGRAMS / "capfd").stdout.splitlines())
        first = [words[2] for words in libraries if "san.so" in words[0]]
    return dict(os.environ, LD_PRELOAD=" ".join([*first, FAKETIME]), FAKETIME_TIMESTAMP_FILE=str(clock), FAKETIME_NO_CACHE="1",
                FAKETIME_DONT_FAKE_MONOTONIC="1", DONT_FAKE_MONOTONIC="1")


def forget_the_ended():
    """Removes what libfaketime shares under the number of a process that has ended. One that was killed leaves it, and
    another user's process that gets the same number would not start."""
    for path in pathlib.Path("/dev/shm").glob("*faketime_s[eh]m_*"):
        if not pathlib.Path("/proc", path.name.rpartition("_")[2]).exists():
            with contextlib.suppress(OSError):
                path.unlink()


def set_clock(clock, seconds):
    """From now on, programs that use it are that much ahead."""
    new = clock.with_suffix(".new")
    new.write_text(f"{seconds:+d}\n")
    new.chmod(0o644)
    new.rename(clock)


class SmallDisk:
    """A file system in memory for the data of a site's PostgreSQL, which it alone sees, in a mount namespace of its own.
    Only root can make one."""

    ROOM = 400 << 20

    def __init__(self, site):
        self.folder = site.state / "postgres"
        self.data = (self.folder / "data").resolve()
        site.stop_postgres()
        # The namespace lives as long as this process, also where PostgreSQL ends for want of space.
        self.holder = subprocess.Popen(["unshare", "-m", "sh", "-c", "echo ready; exec cat"], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE)
        if self.holder.stdout.readline() != b"ready\n":
            raise AssertionError("there is no mount namespace to be had")
        disk = self.folder / "disk"
        disk.mkdir()
        self.inside("mount", "-t", "tmpfs", "-o", f"size={self.ROOM}", "tmpfs", disk)
        self.inside("cp", "-aT", self.data, disk)
        self.inside("mount", "--bind", disk, self.data)
        self.start_postgres()

    def inside(self, *command, code=0):
        return run("nsenter", "-t", str(self.holder.pid), "-m", *command, code=code)

    def fill(self):
        """Until nothing fits any more."""
        self.inside("dd", "if=/dev/zero", f"of={self.data}/ballast", "bs=4k", "status=none", code=1)

    def empty(self):
        self.inside("rm", f"{self.data}/ballast")

    def start_postgres(self):
        self.inside(SOURCE / "scripts/postgres", "start", self.folder)

    def close(self):
        self.inside(SOURCE / "scripts/postgres", "stop", self.folder, code=None)
        self.holder.communicate()


class Fleet:
    """`count` phones in software, which come again until they are served."""

    numbers = iter(range(1 << 24, 1 << 44, 1 << 16))

    def __init__(self, site, count, *, server=None, wire=False, auth="null", concurrency=8, tries=60, options=()):
        self.site, self.count, self.wire, self.auth = site, count, wire, auth
        first = next(self.numbers)
        self.devices = [f"SEP{first + number:012X}" for number in range(count)]
        site.capfctl("phone", "add", "--file", "-", input="\n".join(self.devices) + "\n")
        self.schedule()
        self.command = [PROGRAMS / "capf-phone", "--state", (server or site.server).state, "--dir", site.phones,
                        "--first", self.devices[0], "--count", str(count), "--concurrency", str(concurrency),
                        "--tries", str(tries), *options]
        if wire:
            self.command += ["--wire", "--retry-pause", "0.3", "--prepared-keys", "0"]
        if auth == "string":
            self.command += ["--string", "13572468"]
        self.process = None

    def schedule(self):
        self.site.capfctl("operation", "schedule", "install", "--file", "-", "--auth", self.auth, *EC,
                          *(["--string", "13572468"] if self.auth == "string" else []),
                          input="\n".join(self.devices) + "\n")

    def start(self, env=None):
        self.process = subprocess.Popen([str(word) for word in self.command], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
        return self

    def held(self):
        """How many of them hold a certificate."""
        return sum((self.site.phones / f"{device}.pem").exists() for device in self.devices)

    def wait(self):
        """Until every phone has been served, or refused for good. @return how many had which outcome"""
        output, _ = self.process.communicate(timeout=10 * PATIENCE)
        self.process = None
        outcomes = {name: int(count) for name, count in re.findall(r"(?m)^outcome (\w+) (\d+)$", output)}
        self.said = output
        return outcomes

    def reasons(self):
        """Why phones were refused for good, of some of them."""
        return re.findall(r"capf-phone: \w+: ([A-Z_]+)", self.said)

    def served(self):
        """Waits, and checks that every phone got its certificate. On the wire the last message may be lost: then the
        phone has its certificate, and learns the next time that nothing is pending."""
        self.wait()
        allowed = {"NO_PENDING_OPERATION"} if self.wire else set()
        said = set(self.reasons())
        missing = [device for device in self.devices if not (self.site.phones / f"{device}.pem").exists()]
        if not said <= allowed or missing:
            raise AssertionError(f"not every phone was served; without a certificate: {missing}\n{self.said}\n"
                                 + self.site.server.log_text()[-3000:])

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.communicate()
            self.process = None


def account(site):
    """Checks what must be true after any fault. @return what is not, in words"""
    wrong = []

    def none(statement, words):
        rows = site.sql(statement)
        if rows:
            wrong.append(f"{words}: {rows[:10]}")
    # Each phone's certificate is on record, is its own, and is good.
    record = {}
    for row in site.sql("select encode(c.sha256, 'hex'), p.device, c.confirmed_at is not null, c.revoked_at is null and "
                        "c.not_after > now() from certificates c join phones p on p.id = c.phone_id where c.kind = 'lsc'"):
        digest, device, confirmed, good = row.split("|")
        record[digest] = (device, confirmed == "t", good == "t")
    for path in sorted(site.phones.glob("*.pem")):
        digest = hashlib.sha256(issued.certificates_in(path)[0]).hexdigest()
        if record.get(digest) != (path.stem, True, True):
            wrong.append(f"{path.stem} holds {digest}, which is on record as {record.get(digest)}")
    none("select device, o.state from operations o join phones p on p.id = o.phone_id where o.state <> 'succeeded'",
         "operations that have not succeeded")
    none("select o.id, count(e.id) from operations o left join audit_events e on e.operation_id = o.id and "
         "e.action = 'operation.succeeded' where o.state = 'succeeded' group by o.id having count(e.id) <> 1",
         "operations that did not succeed exactly once by the record")
    none("select device, count(*) from certificates c join phones p on p.id = c.phone_id where c.kind = 'lsc' and "
         "c.confirmed_at is not null and c.revoked_at is null group by device having count(*) <> 1",
         "phones with several good certificates")
    none("select device from phones p where removed_at is null and exists (select from operations o where o.phone_id = p.id "
         "and o.kind = 'install') and not exists (select from certificates c where c.phone_id = p.id and "
         "c.confirmed_at is not null and c.revoked_at is null)", "phones without a good certificate")
    none("select device, encode(serial, 'hex') from certificates c join phones p on p.id = c.phone_id where c.kind = 'lsc' "
         "and c.confirmed_at is null and c.revoked_at is null", "certificates that nobody confirmed or revoked")
    # Each certificate has one record of its issue, and each such record its certificate.
    none("with issues as (select operation_id, substring(detail from 'serial ([0-9a-f]+)') as serial, count(*) as times "
         "from audit_events where action = 'certificate.issue' group by 1, 2), "
         "lscs as (select operation_id, ltrim(encode(serial, 'hex'), '0') as serial from certificates where kind = 'lsc') "
         "select lscs.operation_id, issues.operation_id, coalesce(lscs.serial, issues.serial), times from lscs full join "
         "(select operation_id, ltrim(serial, '0') as serial, times from issues) issues "
         "on issues.operation_id = lscs.operation_id and issues.serial = lscs.serial "
         "where times is distinct from 1 or lscs.serial is null", "certificates without exactly one record of their issue")
    none("select action, operation_id, count(*) from audit_events where action in ('certificate.confirm', "
         "'operation.schedule') and operation_id is not null group by 1, 2 having count(*) <> 1", "events on record twice")
    none("select c.issuer_id, encode(c.serial, 'hex') from certificates c left join revocations r on r.issuer_id = c.issuer_id "
         "and r.serial = c.serial where c.kind = 'lsc' and (c.revoked_at is null) <> (r.serial is null)",
         "certificates that the revocations tell otherwise of")
    return wrong


def sealed(site):
    """Waits until the whole record is sealed. @return what `audit verify` finds"""
    def whole():
        done = site.capfctl("audit", "verify", "--output", "json", code=None)
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            return None
        return answer if answer["findings"] or answer["unsealed"] == 0 else None
    return eventually(whole, "the record is sealed")["findings"]


# One round trip of a session: a query, or the parts of an extended one up to its Sync. `name` is the query's first word, or
# the name of the prepared statement, behind "prepare " where it is made; `opening` the session's first trip; `transaction`
# all since BEGIN, this one too, or nothing.
Trip = collections.namedtuple("Trip", "name octets opening transaction")


class Proxy:
    """A proxy between a server and PostgreSQL, on a socket of its own, that reads along: messages, not octets.

    on_trip(trip): asked for each round trip before it passes; "done" lets PostgreSQL carry it out and cuts the connection
    before the answer passes, "undone" cuts it before the trip reaches PostgreSQL.
    hole: while it is set, nothing passes in either direction, without an error."""

    def __init__(self, site):
        self.folder = site.folder / f"proxy{next(_proxies)}"
        self.folder.mkdir(mode=0o700)
        self.target = f"{site.database.removeprefix('host=')}/.s.PGSQL.5432"
        self.on_trip = None
        self.hole = threading.Event()
        self.open = {}
        self.lock = threading.Lock()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.folder / ".s.PGSQL.5432"))
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()
        self.cut()

    def cut(self, chance=None):
        """Cuts the connections, or some of them."""
        with self.lock:
            links = [link for link in self.open.values() if chance is None or random.random() < chance]
        for link in links:
            link.end()
        return len(links)

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            link = _Link(self, client)
            with self.lock:
                self.open[id(link)] = link
            link.start()

    def _gone(self, link):
        with self.lock:
            self.open.pop(id(link), None)


_proxies = iter(range(1, 1000))


def _name_of(messages):
    text = {message[:1]: message[5:] for message in messages}
    if b"Q" in text:
        return re.match(rb"\w*", text[b"Q"])[0].decode().lower()
    if b"B" in text:  # portal and statement, each with a zero behind it
        return text[b"B"].split(b"\0", 2)[1].decode()
    return "prepare " + text[b"P"].split(b"\0", 1)[0].decode() if b"P" in text else ""


class _Link:
    """One connection through the proxy."""

    def __init__(self, proxy, client):
        self.proxy, self.client = proxy, client
        self.server = socket.socket(socket.AF_UNIX)
        self.swallow = False  # holds back answers; ends the connection at the next whole one
        self.answered = threading.Event()  # so that the trip is not cut off while PostgreSQL carries it out
        self.opening = self.transaction = b""

    def start(self):
        try:
            self.server.connect(self.proxy.target)
        except OSError:
            self.end()
            return
        threading.Thread(target=self._run, args=(self._to_server,), daemon=True).start()
        threading.Thread(target=self._run, args=(self._to_client,), daemon=True).start()

    def end(self):
        self.proxy._gone(self)
        self.answered.set()
        for side in (self.client, self.server):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()

    def _run(self, pump):
        try:
            pump()
        except (OSError, ValueError):
            pass
        self.end()

    def _read(self, side, size):
        octets = b""
        while len(octets) < size:
            piece = side.recv(size - len(octets))
            if not piece:
                raise OSError("closed")
            octets += piece
        return octets

    def _message(self, side):
        head = self._read(side, 5)
        return head + self._read(side, int.from_bytes(head[1:], "big") - 4)

    def _pass(self):
        while self.proxy.hole.is_set():
            select.select([], [], [], 0.05)
            if self.client.fileno() < 0:
                raise OSError("closed")

    def _trip(self):
        messages = [self._message(self.client)]
        while messages[-1][:1] in (b"P", b"B", b"D", b"E", b"C"):
            messages.append(self._message(self.client))
        octets, name = b"".join(messages), _name_of(messages)
        self.opening = self.opening or octets
        if self.transaction or name == "begin":
            self.transaction += octets
        return Trip(name, octets, self.opening, self.transaction)

    def _to_server(self):
        size = self._read(self.client, 4)
        self.server.sendall(size + self._read(self.client, int.from_bytes(size, "big") - 4))
        while True:
            trip = self._trip()
            self._pass()
            told = self.proxy.on_trip
            verdict = told(trip) if told else None
            if verdict == "undone":
                return
            if trip.name in ("commit", "rollback"):
                self.transaction = b""
            self.swallow = verdict == "done"
            self.server.sendall(trip.octets)
            if self.swallow:
                self.answered.wait()
                return

    def _to_client(self):
        while True:
            message = self._message(self.server)
            self._pass()
            if not self.swallow:
                self.client.sendall(message)
            elif message[:1] == b"Z":
                return
