"""Several servers over one database, and phones that know all of them."""

import select
import subprocess
import threading
import unittest

from e2e import rpc
from e2e.site import LONG, PATIENCE, PROGRAMS, EndToEnd, Site, eventually, free_base_port

EC = ("--key-order", "ec", "--ec-size", "256")
DIGITS = "24681357"


class Servers(EndToEnd):
    @classmethod
    def setUpClass(cls):
        def fixed(text):  # a restarted server keeps the addresses that phones remember
            return text.replace("base_port = 0", f"base_port = {free_base_port()}")
        cls.site = Site(settings=fixed)
        cls.addClassCleanup(cls.site.close)
        cls.other = cls.site.add_server(base_port=free_base_port())

    def addresses(self, port):
        return ",".join(server.endpoints[port] for server in (self.site.server, self.other))

    def scheduled(self, count):
        """By whichever server is there."""
        devices = [self.device() for _ in range(count)]
        server = "--server", self.addresses("admin")
        self.site.capfctl(*server, "phone", "add", *devices)
        self.site.capfctl(*server, "operation", "schedule", "install", *devices, "--auth", "string", "--string", DIGITS, *EC)
        return devices

    def fleet(self, devices, *options):
        """capf-phone as all of these devices, knowing both servers; it runs."""
        wire = "--wire" in options
        certificate = "wire.pem" if wire else "site-ca.pem"
        return subprocess.Popen(
            [PROGRAMS / "capf-phone", "--count", str(len(devices)), "--first", devices[0], "--concurrency", "4",
             "--server", self.addresses("wire" if wire else "phone"),
             "--trust", self.site.state / "certificates" / certificate,
             "--string", DIGITS, "--dir", self.site.phones, *options],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True)

    def assertAllServed(self, devices, fleet):
        output, _ = fleet.communicate(timeout=PATIENCE)
        self.assertEqual(fleet.returncode, 0, output)
        ends = self.site.sql("select state, count(*) from operations o join phones p on p.id = o.phone_id where "
                             f"p.device between '{devices[0]}' and '{devices[-1]}' group by state")
        self.assertEqual(ends, [f"succeeded|{len(devices)}"])


class BalanceTest(Servers):
    def test_phones_come_to_all_servers(self):
        for options in ((), ("--wire", "--prepared-keys", "0")):
            with self.subTest(options):
                before = [self.visits(server) for server in (self.site.server, self.other)]
                devices = self.scheduled(24)
                self.assertAllServed(devices, self.fleet(devices, *options))
                for server, visits in zip((self.site.server, self.other), before):
                    eventually(lambda: self.visits(server) > visits, f"phones at {server.state}")

    def visits(self, server):
        """Phones that have asked this server what is pending, in either language."""
        return sum(count for name, count in server.metrics().items() if name.startswith("capf_wire_connections_total") or
                   name.startswith("capf_requests_total") and "GetPendingOperation" in name)

    def test_a_server_that_is_gone_is_passed_over(self):
        gone = "127.0.0.1:1"
        server = self.site.server.endpoints
        for options, port in (((), "phone"), (("--wire",), "wire")):
            with self.subTest(port):
                for _ in range(4):  # the first one is taken by chance
                    device, = self.scheduled(1)
                    self.site.phone(device, "--string", DIGITS, "--server", f"{gone},{server[port]}", "--tries", "2",
                                    *options)
        self.site.capfctl("--server", f"{gone},{server['admin']}", "phone", "list")
        self.assertSays(self.site.capfctl("--server", f"{gone},{gone}", "phone", "list", code=3), "SERVER_NOT_REACHED")

    def test_whoever_watches_goes_on_at_another_server(self):
        with subprocess.Popen([PROGRAMS / "capfctl", "--state", self.site.state, "--server", self.addresses("admin"),
                               "operation", "watch"], stdout=subprocess.PIPE, text=True) as watch:
            self.addCleanup(watch.kill)
            patience = threading.Timer(2 * PATIENCE, watch.kill)  # then the line that is waited for does not come
            patience.start()
            self.addCleanup(patience.cancel)
            # The watch begins only once it is connected: repeat the change until it is seen.
            while not select.select([watch.stdout], [], [], 0.5)[0]:
                self.assertIsNone(watch.poll())
                self.scheduled(1)
            self.site.server.stop()
            try:
                device, = self.scheduled(1)
                self.assertTrue(any(device in line for line in watch.stdout))
            finally:
                self.site.server.start()
            watch.kill()

    def test_what_is_no_list_of_servers_is_wrong(self):
        for server in ("", "localhost", "localhost:", ":1", "localhost:1,", ",".join(["localhost:1"] * 65)):
            with self.subTest(server[:20]):
                for program in ("capfctl", "capf-phone"):
                    if not server:
                        continue
                    call = self.site.capfctl if program == "capfctl" else self.site.phone
                    words = ("phone", "list") if program == "capfctl" else (self.device(),)
                    code = 2 if program == "capfctl" else 1  # wrong usage has another code than a refusal
                    self.assertSays(call("--server", server, *words, code=code), "INVALID_REQUEST")


class RollingRestartTest(Servers):
    def test_no_phone_is_refused(self):
        """One server after the other stops and starts again while phones come."""
        for options in ((), ("--wire", "--prepared-keys", "0", "--retry-pause", "0.2")):
            with self.subTest(options):
                devices = self.scheduled(2000 if LONG else 300)
                fleet = self.fleet(devices, "--tries", "20", *options)
                restarts = 0
                while fleet.poll() is None or restarts < 2:
                    for server in (self.site.server, self.other):
                        self.assertEqual(server.stop(), 0)
                        server.start()
                        restarts += 1
                        # the phones that remember an address must find it again
                        eventually(lambda: self.serves(server), "served by it")
                self.assertAllServed(devices, fleet)

    def serves(self, server):
        with rpc.phone_client(self.site, server=server) as phone:
            return not phone.GetPendingOperation(credential=rpc.credential("SEPFFFFFFFFFFFF")).authenticated


if __name__ == "__main__":
    unittest.main()
