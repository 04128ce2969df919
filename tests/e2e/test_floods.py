"""Strangers at the phones' port, TCP 3804: hellos in pieces, floods inside TLS and inside the protocol, connections by the
thousand. Honest phones are served meanwhile, and none is reset."""

import concurrent.futures
import contextlib
import ctypes
import multiprocessing
import os
import random
import resource
import socket
import ssl
import statistics
import struct
import subprocess
import sys
import time
import unittest
import urllib.request

from e2e import wire_phone
from e2e.site import LONG, EndToEnd, Site

NOISE = 0.05  # seconds that other work on the machine may take
STRANGERS = 10_000 if LONG else 400


def _context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def setUpModule():
    global _site
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unittest.addModuleCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else 1 << 16, hard))
    _site = Site(settings=None if LONG else lambda text: text + f"\n[wire]\nunauthenticated_connections = {STRANGERS}\n")
    unittest.addModuleCleanup(_site.close)


def hello():
    """A ClientHello of either of two lengths."""
    octets = ssl.MemoryBIO()
    client = _context().wrap_bio(ssl.MemoryBIO(), octets, server_hostname=".".join(["capf"] * random.choice((1, 40))))
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return octets.read()


def _again(attack, address, seconds):
    """In a process of its own, at the lowest priority; comes again once a second at most."""
    os.nice(19)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        begun = time.monotonic()
        try:
            attack(address, until)
        except (OSError, wire_phone.Closed):
            pass
        time.sleep(max(0.0, begun + 1 - time.monotonic()))


def in_progress(address, until):
    """*request in progress* without end, before the auth response."""
    with _context().wrap_socket(socket.create_connection(address, timeout=20)) as link:
        request = link.recv(100)
        session = struct.unpack_from(">I", request, 2)[0]
        piece = wire_phone.message(wire_phone.IN_PROGRESS, session) * 1000
        while time.monotonic() < until:
            link.sendall(piece)


def key_updates(address, until):
    """TLS 1.3 KeyUpdate without end: they are answered inside the library. Python's `ssl` cannot send them."""
    library = ctypes.CDLL("libssl.so.3")
    for name in "TLS_client_method", "SSL_CTX_new", "SSL_new":
        getattr(library, name).restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.SSL_CTX_new(ctypes.c_void_p(library.TLS_client_method())))
    client = ctypes.c_void_p(library.SSL_new(context))
    try:
        with socket.create_connection(address) as link:  # without a timeout of Python's: OpenSSL has the descriptor
            for direction in socket.SO_RCVTIMEO, socket.SO_SNDTIMEO:
                link.setsockopt(socket.SOL_SOCKET, direction, struct.pack("ll", 20, 0))
            library.SSL_set_fd(client, link.fileno())
            if library.SSL_connect(client) != 1:
                raise ConnectionError("the handshake failed")
            while time.monotonic() < until:
                for _ in range(1000):
                    if library.SSL_key_update(client, 0) != 1 or library.SSL_do_handshake(client) != 1:
                        raise ConnectionError("cut off")
    finally:
        library.SSL_free(client)
        library.SSL_CTX_free(context)


def half_hellos(address, until):
    """So many halves of a ClientHello in a second from one address, and nothing more."""
    octets = hello()
    _send_and_wait(address, until, octets[:len(octets) // 2])


def whole_hellos(address, until):
    """So many whole ones, each of which costs the server a signature."""
    _send_and_wait(address, until, hello())


def _send_and_wait(address, until, octets):
    links = []
    while time.monotonic() < until:
        begun = time.monotonic()
        for _ in range(160 if LONG else 40):
            link = socket.create_connection(address, timeout=20, source_address=("127.0.0.2", 0))
            with contextlib.suppress(ConnectionError):  # this address has its share already
                link.sendall(octets)
            links.append(link)
        while len(links) > 2000:
            links.pop(0).close()
        time.sleep(max(0.0, begun + 0.1 - time.monotonic()))
    for link in links:
        link.close()


def most(taken):
    """The longest time that all but one in fifty take."""
    return sorted(taken)[len(taken) * 49 // 50]


class FloodsTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        cls.site = _site
        host, port = cls.site.server.endpoints["wire"].rsplit(":", 1)
        cls.address = host, int(port)

    def handshake(self):
        """@return seconds until the server has asked an honest phone who it is"""
        begun = time.monotonic()
        with _context().wrap_socket(socket.create_connection(self.address, timeout=30)) as link:
            self.assertTrue(link.recv(100))
        return time.monotonic() - begun

    def beside(self, attacks, seconds):
        """The handshakes of an honest phone, alone and beside these attackers."""
        alone = [self.handshake() for _ in range(20)]
        processes = [multiprocessing.Process(target=_again, args=(attack, self.address, seconds)) for attack in attacks]
        for process in processes:
            process.start()
        taken, until = [], time.monotonic() + seconds
        while time.monotonic() < until:
            taken.append(self.handshake())
            time.sleep(0.02)
        for process in processes:
            process.join(30)
            process.kill()
        print(f"alone {1000 * statistics.median(alone):.1f} ms, beside {1000 * statistics.median(taken):.1f} ms, "
              f"at most {1000 * max(taken):.0f} ms", flush=True)
        return statistics.median(alone), taken

    def test_a_hello_in_two_pieces(self):
        """Cut anywhere, with any pause between the parts: no connection is reset."""
        def connect(number):
            octets = hello()
            cut = random.choice((1, 5, 9, 60, len(octets) - 1, random.randrange(1, len(octets))))
            with socket.create_connection(self.address, timeout=30) as link:
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if number % 2:
                    time.sleep(random.choice((0, 0.02)))
                link.sendall(octets[:cut])
                time.sleep(random.choice((0, 0, 0.001, 0.002, 0.02, 0.2)))
                try:
                    link.sendall(octets[cut:])
                    return link.recv(1) == b"\x16"
                except OSError:
                    return False
        with concurrent.futures.ThreadPoolExecutor(32) as crowd:
            served = list(crowd.map(connect, range(10_000 if LONG else 1000)))
        self.assertEqual(served.count(False), 0)

    def test_ten_who_flood(self):
        alone, taken = self.beside([in_progress, key_updates] * 5, 60 if LONG else 12)
        self.assertLess(statistics.median(taken), 2 * alone + NOISE / 10)
        self.assertLess(most(taken), 2 * alone + NOISE)

    def test_who_floods_is_cut_off(self):
        for attack in (in_progress, key_updates):
            with self.subTest(attack=attack.__name__):
                begun = time.monotonic()
                try:
                    attack(self.address, begun + 30)
                except (OSError, wire_phone.Closed):
                    pass
                self.assertLess(time.monotonic() - begun, 12)

    def test_half_hellos_delay_nobody(self):
        alone, taken = self.beside([half_hellos], 20 if LONG else 6)
        self.assertLess(most(taken), alone + 0.25)

    def test_hellos_of_one_address_delay_no_other(self):
        """Places for handshakes go to addresses in turn."""
        alone, taken = self.beside([whole_hellos], 20 if LONG else 6)
        self.assertLess(most(taken), alone + 0.25)

    def test_hellos_of_one_address_delay_no_other_over_grpc(self):
        """There as well."""
        host, port = self.site.server.endpoints["phone"].rsplit(":", 1)
        self.address = host, int(port)
        context = _context()
        context.set_alpn_protocols(["h2"])

        def handshake():
            begun = time.monotonic()
            with context.wrap_socket(socket.create_connection(self.address, timeout=30)):
                return time.monotonic() - begun
        self.handshake = handshake
        alone, taken = self.beside([whole_hellos], 20 if LONG else 6)
        self.assertLess(most(taken), alone + 0.25)

    def test_idle_connections_of_this_machine_leave_room_for_its_probes(self):
        host, port = self.site.server.endpoints["metrics"].rsplit(":", 1)
        for _ in range(200):
            self.addCleanup(socket.create_connection((host, int(port)), timeout=20).close)
        for path in "livez", "readyz", "metrics":
            with urllib.request.urlopen(f"http://{host}:{port}/{path}", timeout=20) as answer:
                self.assertEqual(answer.status, 200)

    def test_one_address_leaves_places_for_others(self):
        """More connections than there are places, opened again when they are closed; another address is served."""
        host, port = self.address
        crowd = subprocess.Popen([sys.executable, "-m", "bench.idle", host, str(port), str(STRANGERS + 50), "127.0.0.2"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.nice(19))
        self.addCleanup(crowd.communicate)
        self.assertEqual(crowd.stdout.readline(), "ready\n")
        taken = [self.handshake() for _ in range(8)]
        self.assertLess(max(taken), 1)
        self.assertIsNone(crowd.poll())


if __name__ == "__main__":
    unittest.main()
