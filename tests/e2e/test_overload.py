"""More phones than a server can serve, and strangers who want to keep it busy: refusals come soon and ask for a retry,
memory stays bounded, and administrators are answered meanwhile."""

import contextlib
import socket
import subprocess
import threading
import time
import unittest

import grpc

from e2e import faults, pki, rpc, wire_phone
from e2e.site import LONG, EndToEnd, Site, eventually

SECONDS = 60 if LONG else 8
MORE = 1000 if faults.SANITIZED else 200  # MiB of memory
SLOW = 2  # seconds for two commands, where there is time to be had
ROUNDS = 1  # of phones' writes at a time
PLACES = "\n[limits]\nunauthenticated_calls_in_flight = 8\nunauthenticated_calls_waiting = 24\n"  # for strangers
SOON = 10  # seconds for one command of an administrator; on an idle machine it takes a tenth of one


def setUpModule():
    global _site
    _site = Site(settings=lambda text: text + PLACES)
    unittest.addModuleCleanup(_site.close)


class Overload(EndToEnd, rpc.RefusalTests):
    @classmethod
    def setUpClass(cls):
        cls.site = _site

    def memory(self):
        """Of the server, in MiB."""
        with open(f"/proc/{self.site.server.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) / 1024

    @contextlib.contextmanager
    def flood(self, work, threads):
        """`work` again and again, on so many threads."""
        over = threading.Event()
        outcomes = []

        def run():
            while not over.is_set():
                outcomes.append(work())
        crowd = [threading.Thread(target=run) for _ in range(threads)]
        for thread in crowd:
            thread.start()
        try:
            yield outcomes
        finally:
            over.set()
            for thread in crowd:
                thread.join()

    def administer(self):
        """The usual commands of an administrator. @return the longest that a command took"""
        longest, end = 0, time.monotonic() + SECONDS
        while time.monotonic() < end:
            device = self.device()
            for command in (("phone", "add", device), ("operation", "schedule", "install", device, "--auth", "null"),
                            ("phone", "show", device), ("check", "health"), ("operation", "cancel", device)):
                begun = time.monotonic()
                self.site.capfctl(*command)
                longest = max(longest, time.monotonic() - begun)
        return longest


class AdministratorTest(Overload):
    def test_while_phones_flood_their_port(self):
        """Strangers and phones with certificates of their own making, over gRPC: far more than places."""
        device = self.site.add_phone(self.device())
        self.site.schedule(device, "install", "string")
        request = pki.request(pki.make_key())
        identity = pki.Manufacturer.root().mic("SEP001122334455")
        # A stranger has one call at a time on a connection, so they are many.
        clients = [rpc.phone_client(self.site, who) for who in (None, identity) for _ in range(48)]
        before = self.memory()
        numbers = iter(range(1 << 30))

        def ask():
            phone = clients[next(numbers) % len(clients)]
            try:
                phone.IssueCertificate(credential=rpc.credential(device, "11111111"), certification_request=request)
            except rpc.Refusal as refusal:
                return refusal
        with self.flood(ask, 200) as outcomes:
            eventually(lambda: len(outcomes) > 200 and any(refusal.reason == "OVERLOADED" for refusal in list(outcomes)),
                       "the flood is there, and is more than there are places for")
            self.assertLess(self.administer(), SOON)
        for client in clients:
            client.close()
        busy = [refusal for refusal in outcomes if refusal.reason == "OVERLOADED"]
        self.assertTrue(busy, {refusal.reason for refusal in outcomes})
        for refusal in busy:
            self.assertEqual(refusal.code, grpc.StatusCode.RESOURCE_EXHAUSTED)
            self.assertGreater(refusal.retry_delay, 0)
        self.assertLess(self.memory() - before, MORE)

    def test_while_desk_phones_flood_the_wire(self):
        device = self.site.add_phone(self.device())
        self.site.schedule(device, "install", "mic")
        endpoint = self.site.server.endpoints["wire"]
        before = self.memory()

        def visit():
            with contextlib.suppress(OSError, wire_phone.Closed), wire_phone.Phone(endpoint, device) as phone:
                return phone.do("123456")
        with self.flood(visit, 50) as outcomes:
            eventually(lambda: len(outcomes) > 50, "the flood is there")
            self.assertLess(self.administer(), SOON)
        self.assertLess(self.memory() - before, MORE)

    def test_while_the_database_is_slow_for_phones(self):
        """Each phone's write takes a second: then all connections for that are in use, and those that are kept for
        administrators are not."""
        device = self.site.add_phone(self.device())
        self.site.sql("create function dawdle() returns trigger language plpgsql as "
                      "$$ begin perform pg_sleep(1); return new; end $$; "
                      "create trigger dawdle before update on operations for each row execute function dawdle()",
                      user="postgres")
        self.addCleanup(self.site.sql, "drop trigger if exists dawdle on operations; drop function dawdle()", "postgres")
        fleets = [faults.Fleet(self.site, 200, wire=wire, concurrency=40) for wire in (False, True)]
        self.addCleanup(lambda: [fleet.kill() for fleet in fleets])
        for fleet in fleets:
            fleet.start()

        def phones_have_all():
            return int(self.site.sql("select count(*) from pg_stat_activity where usename = 'capf_server' and "
                                     "wait_event = 'PgSleep'", user="postgres")[0]) >= ROUNDS
        eventually(phones_have_all, "phones use their connections")
        longest, end = 0, time.monotonic() + SECONDS
        while time.monotonic() < end:
            begun = time.monotonic()
            self.site.capfctl("phone", "show", device)
            self.site.add_phone(self.device())
            longest = max(longest, time.monotonic() - begun)
        self.assertTrue(any(fleet.process.poll() is None for fleet in fleets))
        self.assertLess(longest, SOON if faults.SANITIZED else SLOW)


class DeadlineTest(Overload):
    """A call whose caller has gone is not carried out."""

    def held(self, device):
        """Another transaction holds the phone's row: calls in its name wait."""
        holder = subprocess.Popen(["psql", "-X", "-q", f"{self.site.database} user=capf_owner dbname=capf"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        holder.stdin.write(f"begin; select 'held' from phones where device = '{device}' for update;\n")
        holder.stdin.flush()
        while "held" not in (line := holder.stdout.readline()):
            self.assertTrue(line)
        return holder

    def release(self, holder):
        holder.communicate("rollback;\n")

    def waits(self):
        return self.site.sql("select 1 from pg_stat_activity where wait_event_type = 'Lock' and usename = 'capf_server'",
                             user="postgres")

    def issued(self, device):
        return self.site.json("certificate", "list", "--device", device)

    def test_over_grpc(self):
        device = self.site.add_phone(self.device())
        self.site.schedule(device, "install", "null", *faults.EC)
        holder = self.held(device)
        channel = rpc.channel(self.site.server, "phone")
        call = rpc.phone_pb2_grpc.PhoneServiceStub(channel).IssueCertificate.future(rpc.phone_pb2.IssueCertificateRequest(
            credential=rpc.credential(device), certification_request=pki.request(pki.make_key())), timeout=60)
        eventually(self.waits, "the call waits for the phone's row")
        call.cancel()
        with self.assertRaises(grpc.RpcError):  # what follows on the same connection is read after it
            rpc.phone_pb2_grpc.PhoneServiceStub(channel).GetPendingOperation(
                rpc.phone_pb2.GetPendingOperationRequest(), timeout=60)
        self.release(holder)
        eventually(lambda: f"caller={device}" in self.site.server.log_text() and "CALLER_GONE" in
                   self.site.server.log_text(), "the call has ended")
        channel.close()
        self.assertEqual(self.issued(device), [])
        self.site.phone(device)

    def test_on_the_wire(self):
        """Four are being judged and wait; the fifth waits in line, and leaves."""
        devices = [self.site.add_phone(self.device()) for _ in range(5)]
        self.site.capfctl("operation", "schedule", "install", *devices, "--auth", "null", *faults.EC)
        holders = [self.held(device) for device in devices[:4]]
        endpoint = self.site.server.endpoints["wire"]
        with contextlib.ExitStack() as phones:
            for number, device in enumerate(devices[:4]):
                phone = phones.enter_context(wire_phone.Phone(endpoint, device))
                phone.say(wire_phone.AUTH_RESPONSE, phone.auth_elements())
                eventually(lambda: len(self.waits()) == number + 1, "it waits for its row")
            gone = wire_phone.Phone(endpoint, devices[4])
            gone.say(wire_phone.AUTH_RESPONSE, gone.auth_elements())
            gone.socket.close()
            for holder in holders:
                self.release(holder)
        with wire_phone.Phone(endpoint, devices[4]) as phone:
            self.assertEqual(phone.do(), 1)
        begun = self.site.sql("select count(*) from audit_events where action = 'operation.begin' and "
                              f"subject = '{devices[4]}'")
        self.assertEqual(begun, ["1"])


class ConnectionsTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        cls.site = Site(settings=lambda text: text + "\n[limits]\nconnections = 12\nunauthenticated_connections = 8\n"
                                                     "unauthenticated_connections_per_address = 6\n")
        cls.addClassCleanup(cls.site.close)

    def connect(self):
        host, port = self.site.server.endpoints["phone"].rsplit(":", 1)
        link = socket.create_connection((host.strip("[]"), int(port)), timeout=60)
        self.addCleanup(link.close)
        return link

    def test_those_above_the_limit_are_closed_and_phones_are_served_again(self):
        silent = [self.connect() for _ in range(6)]
        self.assertEqual(self.connect().recv(1), b"")
        for link in silent:
            link.settimeout(0)
            self.assertRaises(BlockingIOError, link.recv, 1)
        for link in silent:
            link.settimeout(60)
            self.assertEqual(link.recv(1), b"")  # its time for the handshake is over
        device = self.site.add_phone(self.device())
        self.site.schedule(device, "install", "null", *faults.EC)
        self.site.phone(device)


if __name__ == "__main__":
    unittest.main()
