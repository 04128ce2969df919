"""Strangers who mean harm to the port of relying parties: they wait for nothing for long, and others are answered."""

import base64
import http.client
import os
import resource
import socket
import time
import unittest

import lint
from e2e import issued
from e2e.site import EndToEnd, Site, eventually
from lint import certificate as roles
from lint.ocsp import GOOD, Answer

IDLE = 3000  # silent connections
PER_ADDRESS = 1000  # the default of status.connections_per_address
ENTRIES = 400_000  # of a CRL that no socket's buffers hold
PIPELINED = 2000
MARGIN = 20  # sockets that come and go meanwhile
WAIT = 20  # seconds that capfd waits for a request to arrive, or for a piece of an answer to leave


def setUpModule():
    global _site
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unittest.addModuleCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else 1 << 16, hard))
    _site = Site(settings=lambda text: text + "\n[status]\ncrl_interval_seconds = 1\n")
    unittest.addModuleCleanup(_site.close)


class StatusAttacksTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        cls.site = _site
        host, port = _site.server.endpoints["status"].rsplit(":", 1)
        cls.address = (host, int(port))
        cls.issuer = roles.Certificate(bytes.fromhex(_site.sql("select encode(der, 'hex') from issuers")[0]), roles.ISSUER)
        device = "SEP00A77AC0000A"
        _site.enrol(device)
        serial = int(_site.json("certificate", "show", device)["serial"], 16)
        cls.request = issued.ask(cls.issuer, serial, "sha1")
        eventually(cls.is_served, "OCSP answers")

    @classmethod
    def is_served(cls):
        """Whether another client gets an answer soon."""
        begun = time.monotonic()
        answer = Answer(issued.post(cls.site.server, cls.request), cls.issuer)
        return time.monotonic() - begun < 5 and [single.status for single in answer.singles] == [GOOD]

    def connect(self, source="127.0.0.1"):
        link = socket.create_connection(self.address, timeout=60, source_address=(source, 0))
        self.addCleanup(link.close)
        return link

    def sockets(self):
        """How many the server has open; one that is closed while they are counted is not among them."""
        folder = f"/proc/{self.site.server.process.pid}/fd"

        def target(entry):
            try:
                return os.readlink(f"{folder}/{entry}")
            except FileNotFoundError:
                return ""
        return sum(target(entry).startswith("socket:") for entry in os.listdir(folder))

    def post(self, body, path="/ocsp"):
        return b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (path.encode(), len(body), body)

    def read_until(self, link, words, times=1):
        octets = b""
        while octets.count(words) < times:
            piece = link.recv(1 << 20)
            if not piece:
                break
            octets += piece
        self.assertGreaterEqual(octets.count(words), times, octets[-300:])
        return octets

    def test_who_sends_one_octet_now_and_then_is_cut_off(self):
        """Neither a request line, nor headers, nor a body may take longer than a whole request."""
        whole = self.post(self.request)
        head = whole.index(b"\r\n\r\n")
        slow = [(self.connect(), iter(whole[at:])) for at in (0, 20, head + 8) for _ in range(5)]
        for (link, _), at in zip(slow, [at for at in (0, 20, head + 8) for _ in range(5)]):
            link.sendall(whole[:at])
            link.setblocking(False)
        begun, ends = time.monotonic(), {}

        def all_ended():
            for link, octets in slow:
                if link in ends:
                    continue
                try:
                    link.send(bytes([next(octets)]))
                    if link.recv(1) == b"":
                        ends[link] = time.monotonic() - begun
                except BlockingIOError:
                    pass
                except OSError:
                    ends[link] = time.monotonic() - begun
            self.assertTrue(self.is_served())
            time.sleep(1)
            return len(ends) == len(slow)

        eventually(all_ended, "they are cut off", seconds=4 * WAIT)
        self.assertLess(max(ends.values()), 3 * WAIT)

    def test_who_reads_nothing_of_a_large_crl_is_cut_off(self):
        self.site.sql("insert into revocations (issuer_id, serial, shard, revoked_at, reason, expires_at) "
                      "select 1, decode('5a' || substr(md5(n::text), 1, 30), 'hex'), 0, now(), 1, now() + interval '1 year' "
                      f"from generate_series(1, {ENTRIES}) n")

        def size():
            connection = http.client.HTTPConnection(*self.address, timeout=60)
            connection.request("HEAD", "/crl/1/0.crl", headers={"Connection": "close"})
            return int(connection.getresponse().getheader("Content-Length") or 0)

        eventually(lambda: size() > 40 * ENTRIES, "the large CRL")
        before = self.sockets()
        links = [self.connect() for _ in range(3 * MARGIN)]
        for link in links:
            link.sendall(b"GET /crl/1/0.crl HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertTrue(link.recv(15).startswith(b"HTTP/1.1 200"))
        self.assertTrue(self.is_served())
        self.assertGreaterEqual(self.sockets(), before + len(links) - MARGIN)
        eventually(lambda: self.sockets() <= before + MARGIN, "they are cut off", seconds=5 * WAIT)

    def test_requests_that_do_not_wait_for_answers_get_them_in_order(self):
        link = self.connect()
        link.sendall((b"GET /ca/1.cer HTTP/1.1\r\nHost: x\r\n\r\n" + b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n") * PIPELINED)
        octets = self.read_until(link, b"there are /crl/ISSUER/SHARD.crl", PIPELINED)
        self.assertEqual([answer[:3] for answer in octets.split(b"HTTP/1.1 ")[1:]], [b"200", b"404"] * PIPELINED)
        # A client that takes none of the answer is not read any more, and costs only the buffers.
        greedy = self.connect()
        greedy.settimeout(1)
        with self.assertRaises((socket.timeout, OSError)):
            for _ in range(200):
                greedy.sendall(self.post(self.request) * 1000)
        self.assertTrue(self.is_served())

    def test_thousands_who_say_nothing_do_not_keep_others_out(self):
        before = self.sockets()
        idle = [self.connect(f"127.0.9.{1 + number // (PER_ADDRESS - 1)}") for number in range(IDLE)]
        eventually(lambda: self.sockets() >= before + IDLE - MARGIN, "all of them are there")
        self.assertTrue(self.is_served())
        eventually(lambda: self.sockets() <= before + MARGIN, "they are cut off", seconds=4 * WAIT)
        self.assertEqual(len(idle), IDLE)

    def test_one_address_has_its_share_and_no_more(self):
        links = [self.connect("127.0.8.1") for _ in range(PER_ADDRESS)]
        links[-1].sendall(b"GET /ca/1.cer HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertTrue(links[-1].recv(15).startswith(b"HTTP/1.1 200"))  # so all those before are counted
        one_more = self.connect("127.0.8.1")
        self.assertEqual(links[0].recv(1), b"")  # the one that has been idle for longest
        for link in one_more, links[1]:
            link.sendall(b"GET /ca/1.cer HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertTrue(link.recv(15).startswith(b"HTTP/1.1 200"))
        self.assertTrue(self.is_served())

    def test_a_request_of_a_megabyte_is_refused(self):
        for path in "/ocsp", "/crl/1/0.crl":
            link = self.connect()
            link.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n" % path.encode() + b"x" * 5000)
            self.assertTrue(link.recv(15).startswith(b"HTTP/1.1 413"))
        chunked = self.connect()
        chunked.sendall(b"POST /ocsp HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"400\r\n" + b"x" * 1024 + b"\r\n") * 20)
        self.assertTrue(chunked.recv(15).startswith(b"HTTP/1.1 413"))
        headers = self.connect()
        headers.sendall(b"GET /ocsp HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(3000)))
        self.assertTrue(headers.recv(15).startswith(b"HTTP/1.1 431"))

    def test_what_is_no_http_is_refused_or_not_answered(self):
        for octets, wanted in ((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300), b"HTTP/1.1 400"),
                               (b"GET  / HTTP/1.1\r\n\r\n", b"HTTP/1.1 400"), (b"GET / HTTP/3.7\r\n\r\n", b"HTTP/1.1 505"),
                               (b"POST /ocsp HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"HTTP/1.1 400"),
                               (b"POST /ocsp HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nxxxxxx", b"HTTP/1.1 400"),
                               (b"POST /ocsp HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                                b"HTTP/1.1 400"),
                               (b"GET ocsp HTTP/1.1\r\n\r\n", b"HTTP/1.1 400"),
                               (b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\n\r\n", b"HTTP/1.1 414")):
            with self.subTest(octets[:40]):
                link = self.connect()
                link.sendall(octets)
                self.assertTrue(link.recv(4096).startswith(wanted))
        self.assertTrue(self.is_served())

    def test_requests_that_are_no_der_are_told_so(self):
        """Cut anywhere, with each octet changed, and nested deep: an answer each time, and never a wrong one."""
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        self.addCleanup(connection.close)
        deep = b"\x05\x00"
        for _ in range(1500):
            deep = roles.der.Element(0x30, deep).encode()
        requests = [self.request[:at] for at in range(len(self.request))]
        requests += [self.request[:at] + bytes([octet ^ 0xFF]) + self.request[at + 1:]
                     for at, octet in enumerate(self.request)]
        requests += [deep, b"\x30\x80" * 2000, b"\x30\x84\xff\xff\xff\xff", b"\x30\x84\x00\x00\x00\x00", bytes(8192)]
        for request in requests:
            connection.request("POST", "/ocsp", body=request)
            answer = connection.getresponse()
            octets = answer.read()
            self.assertEqual(answer.status, 200)
            if [single.status for single in Answer(octets, self.issuer).singles] == [GOOD]:
                # Then the same certificate was asked about: the hashes and its serial number in their places.
                self.assertEqual(lint.wrong(lint.lint_ocsp(octets, self.issuer, request)), [], request.hex())
        for path in ("/ocsp/%", "/ocsp/%4", "/ocsp/%zz", "/ocsp/====", "/ocsp/" + "A" * 1999, "/ocsp/..%2f..%2fetc", "/ocsp//",
                     "/ocsp/" + base64.b64encode(deep[:900]).decode()):
            connection.request("GET", path)
            answer = connection.getresponse()
            self.assertEqual((answer.status, answer.read().hex()), (200, "30030a0101"), path)
        self.assertTrue(self.is_served())


if __name__ == "__main__":
    unittest.main()
