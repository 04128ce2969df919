"""Strangers who connect and let the server wait, on every port that phones, administrators and probes use (those of relying
parties are test_status_attacks'): the others are served meanwhile, memory and descriptors stay bounded, and come back."""

import os
import resource
import socket
import ssl
import time
import unittest

from e2e import faults
from e2e.site import LONG, EndToEnd, Site, eventually

SILENT = 3000 if LONG else 600
PORTS = ("wire", "phone", "admin", "metrics")
MARGIN = 30  # descriptors that come and go meanwhile
SOON = 20  # seconds for one phone or one command, on a busy machine
LARGEST = (1024 if faults.SANITIZED else 128) * 1024  # octets that one such connection may cost


def setUpModule():
    global _site
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unittest.addModuleCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else 1 << 16, hard))
    _site = Site()
    unittest.addModuleCleanup(_site.close)


class SlowClientsTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        cls.site = _site

    def setUp(self):
        self.everybody_is_served()  # objects that are made only once now exist

    def everybody_is_served(self):
        """A phone over gRPC, a desk phone, an administrator and a probe. @return the longest that one of them took"""
        longest = 0
        devices = [self.device() for _ in range(2)]
        begun = time.monotonic()

        def lap():
            nonlocal longest, begun
            now = time.monotonic()
            longest, begun = max(longest, now - begun), now
        self.site.capfctl("phone", "add", *devices)
        lap()
        self.site.capfctl("operation", "schedule", "install", *devices, "--auth", "null", *faults.EC)
        lap()
        self.site.phone(devices[0])
        lap()
        self.site.phone(devices[1], "--wire")
        lap()
        with socket.create_connection(self.address("metrics"), timeout=60) as probe:
            probe.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert probe.recv(15) == b"HTTP/1.1 200 OK"
        lap()
        return longest

    def address(self, port):
        host, number = self.site.server.endpoints[port].rsplit(":", 1)
        return host.strip("[]"), int(number)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.site.server.process.pid}/fd"))

    def memory(self):
        with open(f"/proc/{self.site.server.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) * 1024

    def connect(self, port):
        link = socket.create_connection(self.address(port), timeout=60)
        self.addCleanup(link.close)
        return link

    def crowd(self, ports, count, greet=None):
        """So many connections to each port; `greet` does to each what such a client does. The others are served while they
        are there, and they are cut off."""
        before, memory = self.descriptors(), self.memory()
        links = []
        for port in ports:
            # The port of probes, which is for this machine alone, has 64 connections: a client that takes them all
            # keeps others out until it is cut off.
            for _ in range(count if port != "metrics" else 50):
                link = self.connect(port)
                if greet:
                    link = greet(link)
                    self.addCleanup(link.close)
                links.append(link)
        self.assertLess(self.everybody_is_served(), SOON)
        self.assertLess(self.memory() - memory, (256 + len(links)) * LARGEST)
        eventually(lambda: self.descriptors() <= before + MARGIN, "they are cut off")
        self.assertLess(self.everybody_is_served(), SOON)

    def test_who_says_nothing(self):
        self.crowd(PORTS, SILENT)

    def test_who_stops_in_the_middle_of_the_handshake(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

        def hello(link):
            octets = ssl.MemoryBIO()
            client = context.wrap_bio(ssl.MemoryBIO(), octets)
            self.assertRaises(ssl.SSLWantReadError, client.do_handshake)
            link.sendall(octets.read())
            return link
        self.crowd(("wire", "phone", "admin"), SILENT // 3, hello)

    def test_who_ends_the_handshake_and_says_nothing_more(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        self.crowd(("phone", "admin"), SILENT // 6, context.wrap_socket)

    def test_who_sends_an_octet_now_and_then(self):
        octets = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)
        http = b"GET /metrics HTTP/1.1\r\nX: " + b"y" * 500
        links = {port: [self.connect(port) for _ in range(20)] for port in PORTS}
        ends = {}
        begun = time.monotonic()

        def all_ended():
            at = int(time.monotonic() - begun)
            for port, crowd in links.items():
                for link in crowd:
                    if link in ends:
                        continue
                    link.setblocking(False)
                    try:
                        link.send((http if port == "metrics" else octets)[at:at + 1])
                        if link.recv(100) == b"":
                            ends[link] = port
                    except BlockingIOError:
                        pass
                    except OSError:
                        ends[link] = port
            time.sleep(0.9)
            return len(ends) == 20 * len(PORTS)
        self.assertLess(self.everybody_is_served(), SOON)
        eventually(all_ended, "they are cut off")

    def test_who_never_reads_the_answers(self):
        """Requests upon requests of one who takes nothing: reading stops, then the connection."""
        before, memory = self.descriptors(), self.memory()
        request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 1000
        for _ in range(10):
            link = self.connect("metrics")
            link.settimeout(1)
            try:
                for _ in range(100):
                    link.sendall(request)
            except OSError:
                pass
        self.assertLess(self.everybody_is_served(), SOON)
        self.assertLess(self.memory() - memory, 512 * LARGEST)
        eventually(lambda: self.descriptors() <= before + MARGIN, "they are cut off")


if __name__ == "__main__":
    unittest.main()
