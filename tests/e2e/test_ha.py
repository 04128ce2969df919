"""deploy/ha as it is, on this machine: three etcd, three PostgreSQL under Patroni, HAProxy, two capfd. Phones enrol all
the time; the primary and its Patroni are killed; everything recovers by itself, and nothing that a phone was answered
is lost."""

import contextlib
import hashlib
import json
import os
import queue
import random
import re
import signal
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request

import grpc

from e2e import cluster, pki, rpc, tvs
from e2e.site import LONG, PATIENCE, PROGRAMS, SOURCE, EndToEnd, Server, Site, eventually, free_base_port, run

CONFIGURATION = SOURCE / "deploy/ha"
LIMIT = 30  # seconds without service when the primary is killed
CALM = 3  # seconds of enrolments before and after a fault, at the least
PHONES = 6  # at once
MANY = 50  # of them enrol, at the least
EC = ("--key-order", "ec", "--ec-size", "256")
MACHINES = ("db1", "db2", "db3")
DIGITS = "13572468"


class Substitution:
    """From the addresses, ports and folders of the files in deploy/ha to those of this test."""

    def __init__(self, folder):
        net = f"127.{random.randrange(64, 128)}.{random.randrange(256)}"
        self.addresses = {"db1": f"{net}.11", "db2": f"{net}.12", "db3": f"{net}.13", "capf1": f"{net}.21",
                          "capf2": f"{net}.22", "haproxy": f"{net}.31"}
        first = free_base_port("0.0.0.0")  # seventeen in a row
        self.ports = {2379: first, 2380: first + 1, 5432: first + 2, 8008: first + 3}
        self.base = first + 4
        self.ports |= {3804 + number: self.base + number for number in range(6)}
        self.ports |= {6970: self.base + 10, 6971: self.base + 11, 2445: self.base + 12}
        self.net, self.folder = net, folder

    def text(self, name, machine="db1", **more):
        """A file of deploy/ha as it is on that machine. @param more further replacements, of what must be there"""
        text = (CONFIGURATION / name).read_text()
        if machine != "db1":
            # Adapts the file to another machine, as its text says: own name, address and files.
            text = re.sub(r'(?m)^(name: |ETCD_NAME=")db1', rf"\g<1>{machine}", text)
            text = re.sub(r"/db1\.(pem|key)", rf"/{machine}.\1", text)
            text = re.sub(r'(?m)^((?:  listen|  connect_address): |ETCD_(?:LISTEN|INITIAL_ADVERTISE|ADVERTISE)_\w+="https://)'
                          r"192\.0\.2\.11", rf"\g<1>192.0.2.1{machine[-1]}", text)
        for old, new in more.items():
            if old not in text:
                raise AssertionError(f"{name} does not have {old!r}")
            text = text.replace(old, new)
        for old, new in self.ports.items():
            text = re.sub(rf"(?<=[: ]){old}(?=[\s,/\"]|$)", str(new), text)
        return re.sub(r"\b192\.0\.2\.(\d+)", rf"{self.net}.\1", text)


class Machine:
    """etcd, and PostgreSQL under Patroni."""

    def __init__(self, name, place, certificates, folder):
        self.name, self.address = name, place.addresses[name]
        self.folder = cluster.private_folder(folder)
        self.socket = cluster.private_folder(folder / "s")
        self.data = folder / "postgres"
        self.patroni_url = f"https://{self.address}:{place.ports[8008]}"
        self.processes = {}
        certificates.give(name, folder)
        environment = dict(re.findall(r'(?m)^(ETCD_\w+)="(.*)"$', place.text(
            "etcd.env", name, **{"/var/lib/etcd/capf": str(folder / "etcd"), "/etc/etcd": str(folder)})))
        self.environment = dict(os.environ, HOME=str(folder), **environment, ETCD_UNSAFE_NO_FSYNC="true")
        self.settings = folder / "patroni.yml"
        more = {"/etc/patroni": str(folder), "/var/lib/postgresql/15/capf": str(self.data),
                "/run/postgresql": str(self.socket), "/usr/lib/postgresql/15/bin": str(cluster.PROGRAMS)}
        if os.geteuid() != 0:
            user = run("id", "-un").stdout.strip()
            more["- local     postgres  postgres"] = f"- local {user} postgres"
        self.settings.write_text(place.text("patroni.yml", name, **more))
        self.settings.chmod(0o644)

    def _start(self, name, *command):
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(cluster.unprivileged(*command), stdin=subprocess.DEVNULL, stdout=log,
                                                    stderr=log, env=self.environment, cwd=self.folder,
                                                    start_new_session=True)

    def start_etcd(self):
        self._start("etcd", "etcd")

    def start_patroni(self):
        self._start("patroni", "/usr/bin/patroni", self.settings)

    def ids(self, name):
        """The processes of a program of this machine; with "postgres", the server's own, the first one first."""
        if name == "postgres":
            found = [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and self._lives_in(entry, self.data)]
            with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
                first = int((self.data / "postmaster.pid").read_text().split()[0])
                found.sort(key=lambda pid: pid != first)
            return found
        session = self.processes[name].pid if name in self.processes else None
        found = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError, ProcessLookupError):
                if os.getsid(int(entry)) == session and not self._lives_in(entry, self.data):
                    found.append(int(entry))
        return found

    def _lives_in(self, entry, folder):
        with contextlib.suppress(OSError):
            return os.readlink(f"/proc/{entry}/cwd") == str(folder)
        return False

    def kill(self, *names):
        """As a power cut does."""
        for name in names:
            for pid in self.ids(name):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process = self.processes.pop(name, None)
            if process:
                process.wait()

    def sql(self, statement, database="postgres"):
        """By the socket, as an administrator of the machine does."""
        port = re.search(r"(?m)^  connect_address: [\d.]+:(\d+)\n  bin_dir", self.settings.read_text())[1]
        return run(*cluster.unprivileged("psql", "-X", "-v", "ON_ERROR_STOP=1", "-Atqc", statement, "-h", self.socket,
                                         "-p", port, "-U", "postgres", "-d", database)).stdout.splitlines()

    def log_end(self):
        return "\n".join(f"--- {path}\n{path.read_text(errors='replace')[-3000:]}" for path in self.folder.glob("*.log"))


class AvailableSite(Site):
    """deploy/ha with two capfd behind HAProxy."""

    def start_postgres(self):
        self.machines, self.haproxy = [], None
        self.place = Substitution(self.folder)
        self.certificates = cluster.Certificates(
            self.folder / "tls", *[f"{name}={self.place.addresses[name]},127.0.0.1" for name in MACHINES],
            "capf_server", "capf_owner")
        self.machines = [Machine(name, self.place, self.certificates, self.folder / name) for name in MACHINES]
        for machine in self.machines:
            machine.start_etcd()
        for machine in self.machines:
            machine.start_patroni()
        eventually(lambda: self.healthy(), self.state_of_cluster, seconds=300)
        primary = self.primary()
        for statement in ("create role capf_owner login", "create role capf_server login",
                          "create database capf owner capf_owner"):
            primary.sql(statement)
        # A standby without the database yet ends a connection, and then libpq tries no other host.
        eventually(lambda: all(machine.sql("select 1 from pg_database where datname = 'capf'") == ["1"]
                               for machine in self.machines), "every machine has the database")
        return self.conninfo("capf_owner")

    def conninfo(self, user):
        hosts = ",".join(machine.address for machine in self.machines)
        port = self.place.ports[5432]
        return f"host={hosts} port={port} {self.certificates.conninfo(user)} target_session_attrs=read-write"

    def members(self):
        """The report of Patroni: role and state by name. Empty while none answers."""
        context = ssl.create_default_context(cafile=self.certificates.folder / "ca.pem")
        context.load_cert_chain(*self.certificates.of("db1"))
        for machine in self.machines:
            with contextlib.suppress(OSError, ValueError):
                with urllib.request.urlopen(f"{machine.patroni_url}/cluster", timeout=5, context=context) as answer:
                    members = json.load(answer)["members"]
                return {member["name"]: (member["role"], member["state"]) for member in members}
        return {}

    def primary(self):
        leader = [name for name, (role, _) in self.members().items() if role == "leader"]
        return next((machine for machine in self.machines if machine.name in leader), None)

    def healthy(self):
        """A primary, a synchronous standby and a third one."""
        members = self.members()
        return (len(members) == 3 and all(state in ("running", "streaming") for _, state in members.values()) and
                sorted(role for role, _ in members.values()) == ["leader", "replica", "sync_standby"])

    def state_of_cluster(self):
        return f"{self.members()}\n" + "\n".join(machine.log_end() for machine in self.machines)

    def init(self, *options, code=0):
        run(PROGRAMS / "capfd", "init", "--state", self.state, "--base-port", "0",
            "--public-host", self.place.addresses["haproxy"],
            "--database", self.conninfo("capf_server"), "--database-owner", self.conninfo("capf_owner"),
            "--passphrase", f"file:{self.state}/passphrase", *options, code=code)

    def add_server(self, state=None):
        name = f"capf{len(self.servers) + 1}"
        state = state or self.copy_state(name)
        path = state / "capfd.toml"
        text = re.sub(r"(?m)^base_port = .*", f"base_port = {self.place.base}", path.read_text())
        if self.servers:
            text = text.replace(f'"{self.place.addresses["capf1"]}"', f'"{self.place.addresses[name]}"')
        else:
            text += "".join(f'\n[listen.{listener}]\naddresses = ["{self.place.addresses[name]}"]\n'
                            for listener in ("wire", "phone", "admin", "status", "metrics"))
            text += "".join(f'\n[listen.{listener}]\nenabled = true\nport = {self.place.ports[port]}\n'
                            f'addresses = ["{self.place.addresses[name]}"]\n'
                            for listener, port in (("files", 6970), ("files_tls", 6971), ("tvs", 2445)))
        path.write_text(text)
        server = Server(state)
        self.servers.append(server)
        return server.start()

    def start_haproxy(self):
        text = self.place.text("haproxy.cfg", **{
            "/run/haproxy/admin.sock": str(self.folder / "haproxy.sock"), "maxconn 40000": "maxconn 1000"})
        if os.geteuid() != 0:
            text = re.sub(r"(?m)^    (user|group) haproxy\n", "", text)
        path = self.folder / "haproxy.cfg"
        path.write_text(text)
        with open(self.folder / "haproxy.log", "ab") as log:
            self.haproxy = subprocess.Popen(["/usr/sbin/haproxy", "-db", "-f", path], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)

    def through(self, port):
        """An endpoint of HAProxy's."""
        return f"{self.place.addresses['haproxy']}:{self.place.ports[port]}"

    def capfctl(self, *arguments, code=0, input=None, server=None):
        """Through HAProxy, whose address is in the servers' certificate."""
        admin = self.state / "admin/admin"
        return run(PROGRAMS / "capfctl", "--state", self.state, "--server", self.through(3806), "--trust",
                   self.state / "certificates/site-ca.pem", "--certificate", f"{admin}.pem", "--key", f"{admin}.key",
                   *arguments, code=code, input=input)

    def sql(self, statement, user="capf_owner"):
        return eventually(self.primary, "a primary").sql(statement, "capf")

    def close(self, check=True):
        try:
            super().close(check)
        finally:
            if self.haproxy:
                self.haproxy.kill()
                self.haproxy.wait()
            for machine in self.machines:
                machine.kill("patroni", "postgres", "etcd")


class Phones:
    """Phones that enrol one after the other, through HAProxy, come again until they are served, and remember what they were
    given and when."""

    def __init__(self, site):
        self.site = site
        self.devices = queue.Queue()
        self.numbers = iter(range(1 << 30, 1 << 40))
        self.lock = threading.Lock()
        self.held = {}  # device: its certificate, DER, that it was given and has confirmed
        self.given = {}  # device: every certificate that it was given
        self.times = []  # when one was confirmed
        self.doubtful = 0  # of `held`, how many learned only afterwards that the operation was over
        self.refusals = {}
        self.stopping = threading.Event()
        eventually(lambda: self.prepare(400), lambda: f"phones are prepared: {self.refusals}")
        self.threads = [threading.Thread(target=self.work) for _ in range(PHONES)]
        for thread in self.threads:
            thread.start()

    def prepare(self, count):
        """Half of them with authentication strings. Administrators are refused while there is no primary, as phones are: the
        names that were used up then are not used again. @return whether they were prepared"""
        devices = [f"SEP{next(self.numbers):012X}" for _ in range(count)]
        half = count // 2
        for command, some in ((("phone", "add"), devices),
                              (("operation", "schedule", "install", "--auth", "string", "--string", DIGITS, *EC), devices[:half]),
                              (("operation", "schedule", "install", "--auth", "null", *EC), devices[half:])):
            done = self.site.capfctl(*command, "--file", "-", input="\n".join(some) + "\n", code=None)
            if done.returncode:
                with self.lock:
                    heard = f"an administrator's {done.stderr.strip()}"
                    self.refusals[heard] = self.refusals.get(heard, 0) + 1
                return False
        for string, null in zip(devices[:half], devices[half:]):
            self.devices.put((string, DIGITS))
            self.devices.put((null, ""))
        return True

    def work(self):
        credentials = grpc.ssl_channel_credentials((self.site.state / "certificates/site-ca.pem").read_bytes())
        channel = grpc.secure_channel(self.site.through(3805), credentials,
                                      (("grpc.use_local_subchannel_pool", 1), ("grpc.min_reconnect_backoff_ms", 200),
                                       ("grpc.initial_reconnect_backoff_ms", 200), ("grpc.max_reconnect_backoff_ms", 500)))
        stub = rpc.phone_pb2_grpc.PhoneServiceStub(channel)
        while not self.stopping.is_set():
            try:
                device, digits = self.devices.get(timeout=0.2)
            except queue.Empty:
                continue
            credential = rpc.credential(device, digits)
            request = pki.request(pki.make_key())
            answer, _ = self.until_served(lambda: stub.IssueCertificate(rpc.phone_pb2.IssueCertificateRequest(
                credential=credential, certification_request=request), timeout=10))
            with self.lock:
                self.given.setdefault(device, set()).add(answer.certificate)
            digest = hashlib.sha256(answer.certificate).digest()
            _, doubtful = self.until_served(lambda: stub.ConfirmCertificate(rpc.phone_pb2.ConfirmCertificateRequest(
                credential=credential, sha256=digest), timeout=10), settles="AUTHENTICATION_FAILED")
            with self.lock:
                self.held[device] = answer.certificate
                self.doubtful += doubtful
                if not doubtful:
                    self.times.append(time.monotonic())
        channel.close()

    def until_served(self, call, settles=None):
        """Comes again until it is served. @param settles what one hears whose last try was stored although nobody could
        say so: the operation is over. @return the answer, and whether that was it"""
        stored = False
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return call(), False
            except grpc.RpcError as error:
                refusal = rpc.Refusal(error)
            with self.lock:
                heard = f"{refusal.code.name} {refusal.reason}"
                self.refusals[heard] = self.refusals.get(heard, 0) + 1
            if stored and refusal.reason == settles:
                return None, True
            # Without a reason the connection broke, or the deadline passed.
            stored = stored or refusal.reason in ("COMMIT_IN_DOUBT", None)
            if time.monotonic() > deadline:
                raise AssertionError(f"a phone is not served: {refusal}")
            threading.Event().wait(0.3)

    def served_since(self, moment, seconds):
        """Whether phones have been served for so long without a gap of more than a second and a half."""
        times = [moment, *(when for when in self.times if when >= moment)]
        if self.devices.qsize() < 200:
            self.prepare(200)
        gaps = [later - earlier for earlier, later in zip(times, times[1:])]
        last_gap = max((index for index, gap in enumerate(gaps, 1) if gap > 1.5), default=0)
        return times[-1] - times[last_gap] >= seconds and time.monotonic() - times[-1] < 1.5

    def stop(self):
        """Those that have begun are served first."""
        self.stopping.set()
        for thread in self.threads:
            thread.join()


class HighAvailabilityTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        cls.site = AvailableSite()
        cls.addClassCleanup(cls.site.close)
        cls.site.add_server()
        cls.site.start_haproxy()

    def status(self, url):
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return None

    def test_the_primary_is_killed_while_phones_enrol(self):
        site = self.site
        eventually(lambda: self.status(f"http://{site.through(3807)}/readyz") == 200, "HAProxy and capfd")
        phones = Phones(site)
        outages = []
        try:
            for round in range(5 if LONG else 1):
                begun = time.monotonic()
                eventually(lambda: phones.served_since(begun, CALM), lambda: f"phones are served: {phones.refusals}")
                victim = site.primary()
                phones.refusals.clear()
                # One after the other, as fast as it goes: Patroni first, so that it starts nothing again.
                killed = time.monotonic()
                victim.kill("patroni", "postgres")
                eventually(lambda: phones.served_since(killed, CALM), lambda: f"phones are served again: {phones.refusals}")
                times = [killed, *(when for when in phones.times if when > killed)]
                outage = max(later - earlier for earlier, later in zip(times, times[1:]))
                outages.append(outage)
                self.assertIsNot(site.primary(), victim)
                print(f"without service when the primary was killed: {outage:.1f} s; what phones heard meanwhile: "
                      f"{phones.refusals}")
                self.assertLess(outage, LIMIT)
                # The machine comes back, as a standby.
                victim.start_patroni()
                eventually(site.healthy, site.state_of_cluster, seconds=300)
            eventually(lambda: len(phones.held) > MANY, lambda: f"{len(phones.held)} phones have enrolled")
        finally:
            phones.stop()
        print(f"{len(phones.held)} phones enrolled, {phones.doubtful} of them after a confirmation in doubt; longest outage "
              f"{max(outages):.1f} s")
        self.assertEqual(phones.given.keys(), phones.held.keys(), "every phone that came again was served")

        # Every certificate that a phone was given is on record, and each that it confirmed is valid.
        record = dict(row.split("|") for row in site.sql(
            "select encode(sha256, 'hex'), confirmed_at is not null and revoked_at is null and superseded_at is null "
            "from certificates where kind = 'lsc'"))
        for device, certificates in phones.given.items():
            for certificate in certificates:
                self.assertIn(hashlib.sha256(certificate).hexdigest(), record, device)
        for device, certificate in phones.held.items():
            self.assertEqual(record[hashlib.sha256(certificate).hexdigest()], "t", device)
        twice = site.sql("select p.device from certificates c join phones p on p.id = c.phone_id where c.confirmed_at is "
                         "not null and c.revoked_at is null group by 1 having count(*) > 1")
        self.assertEqual(twice, [])
        states = dict(row.split("|") for row in site.sql(
            "select p.device, o.state from operations o join phones p on p.id = o.phone_id"))
        self.assertEqual({states[device] for device in phones.held}, {"succeeded"})
        site.capfctl("certificate", "verify", "--since", "1970-01-01")
        eventually(lambda: json.loads(site.capfctl("audit", "verify", "--output", "json").stdout)["unsealed"] == 0,
                   "every event is sealed")

        with self.subTest("the other ports, through HAProxy"):
            self.assertEqual(self.status(f"http://{site.through(3807)}/crl/1/0.crl"), 200)
            device = site.add_phone(self.device())
            site.schedule(device, "install", "null")
            wire = site.folder / "wire.pem"
            wire.write_text(site.capfctl("issuer", "export", "--wire").stdout)
            run(PROGRAMS / "capf-phone", device, "--wire", "--server", site.through(3804), "--trust", wire,
                "--dir", site.phones)
            self.assertEqual(site.operation(device)["state"], "succeeded")
            eventually(lambda: self.status(f"http://{site.through(6970)}/ITL{device}.tlv") == 200, "a trust list")
            run("curl", "-sSkf", "-o", "/dev/null", f"https://{site.through(6971)}/{device}.cnf.xml")
            own = ssl.PEM_cert_to_DER_cert((site.state / "certificates/tvs.pem").read_text())
            self.assertTrue(tvs.ask(site.through(2445), tvs.verification(own), pinned=own).valid)


del EndToEnd
