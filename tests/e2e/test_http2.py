"""Strangers that misuse HTTP/2 at the two gRPC ports: their cost is bounded, whether or not they acknowledge the
limits, and honest callers do not notice. Each attack by its name."""

import contextlib
import multiprocessing
import os
import signal
import socket
import statistics
import threading
import time
import unittest

from e2e import faults, http2
from e2e.http2 import Connection, frame, headers, indexed, request
from e2e.site import LONG, EndToEnd, Site, eventually, run

EACH = 256 * 1024  # octets of memory that one connection may cost
SLACK = 8 * 1024 * 1024  # of the process, in any case
PENDING = b"/capf.v1.PhoneService/GetPendingOperation"


def setUpModule():
    global _site
    _site = Site()
    unittest.addModuleCleanup(_site.close)


def _attack(attack, address, seconds, count=1):
    """In a process of its own, at the lowest priority: `count` at once. Each comes again once a second at most."""
    os.nice(19)
    for _ in range(count - 1):
        threading.Thread(target=_again, args=(attack, address, seconds), daemon=True).start()
    _again(attack, address, seconds)


def _again(attack, address, seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        begun = time.monotonic()
        try:
            attack(address, until)
        except OSError:
            pass
        time.sleep(max(0.0, begun + 1 - time.monotonic()))


def never_acknowledged(address, until):
    """SETTINGS are never acknowledged, and each stream names a large field of the table by one octet."""
    link = Connection(address)
    stream = 1
    link.send(headers(stream, request(PENDING, http2.field(b"x", b"y" * 3800, enters=True))))
    while time.monotonic() < until:
        burst = b""
        for _ in range(200):
            stream += 2
            burst += headers(stream, request(PENDING, indexed(62)))
        if not link.send(burst):
            break
    link.close()


def rapid_reset(address, until):
    """CVE-2023-44487"""
    link = Connection(address)
    stream = -1
    while time.monotonic() < until:
        burst = b""
        for _ in range(200):
            stream += 2
            burst += headers(stream, request(PENDING)) + frame(http2.RST_STREAM, 0, stream, bytes(4))
        if not link.send(burst):
            break
    link.close()


def made_you_reset(address, until):
    """CVE-2025-8671: windows that overflow make the server reset the stream."""
    link = Connection(address)
    stream = -1
    while time.monotonic() < until:
        burst = b""
        for _ in range(200):
            stream += 2
            burst += headers(stream, request(PENDING)) + frame(http2.WINDOW_UPDATE, 0, stream, b"\x7f\xff\xff\xff")
        if not link.send(burst):
            break
    link.close()


def endless_field(address, until):
    """CVE-2023-33953: a field announced with 1 GiB, in pieces."""
    link = Connection(address)
    start = b"\x00" + http2.text(b"x") + http2.integer(1 << 30, 7)
    link.send(headers(1, request(PENDING) + start, flags=0))
    while time.monotonic() < until and link.send(frame(http2.CONTINUATION, 0, 1, b"y" * 16384)):
        pass
    link.close()


def continuation_flood(address, until):
    """CVE-2024-27316"""
    link = Connection(address)
    link.send(headers(1, request(PENDING), flags=0))
    piece = b"".join(frame(http2.CONTINUATION, 0, 1, http2.field(b"x", b"y")) for _ in range(200))
    while time.monotonic() < until and link.send(piece):
        pass
    link.close()


def hpack_bomb(address, until):
    """One field of the table, thousands of times in one block."""
    link = Connection(address)
    link.send(headers(1, request(PENDING, http2.field(b"x", b"y" * 3800, enters=True))))
    link.send(headers(3, request(PENDING) + indexed(62) * 8000))
    link.ended(max(0.1, until - time.monotonic()))
    link.close()


def _flood(name, octets):
    def flood(address, until):
        link = Connection(address)
        link.send(headers(1, request(PENDING)))
        while time.monotonic() < until and link.send(octets * 200):
            pass
        link.close()
    flood.__name__ = name
    return flood


ping_flood = _flood("ping_flood", frame(http2.PING, 0, 0, bytes(8)))
settings_flood = _flood("settings_flood", frame(http2.SETTINGS))
priority_flood = _flood("priority_flood", frame(http2.PRIORITY, 0, 3, bytes(4) + b"\x10"))
empty_frames = _flood("empty_frames", frame(http2.DATA, 0, 1))
padding_alone = _flood("padding_alone", frame(http2.DATA, http2.PADDED, 1, b"\0"))
unknown_frames = _flood("unknown_frames", frame(77, 0, 0, b"x"))
small_frames = _flood("small_frames", frame(http2.DATA, 0, 1, b"x"))


def _calls(name, path, *parts):
    """One call after the other, as fast as they are answered."""
    def calls(address, until):
        link = Connection(address)
        link.send(frame(http2.SETTINGS, http2.ACK))
        stream = -1
        while time.monotonic() < until:
            stream += 2
            if not link.send(headers(stream, request(path)) +
                             frame(http2.DATA, http2.END_STREAM, stream, b"".join(map(http2.message, parts)))):
                break
            for kind, flags, of, _ in link.frames(5):
                if of == stream and (flags & http2.END_STREAM or kind == http2.RST_STREAM):
                    break
                if kind == http2.PING and not flags & http2.ACK:
                    link.send(frame(http2.PING, http2.ACK, 0, bytes(8)))
        link.close()
    calls.__name__ = name
    return calls


calls_without_end = _calls("calls_without_end", PENDING, b"")
# gRPC refuses these itself: no handler hears of them.
unknown_methods = _calls("unknown_methods", b"/x/y", b"")
broken_messages = _calls("broken_messages", PENDING, b"\xff\xff\xff\xff\xff")
# And this one is answered.
reflection = _calls("reflection", b"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", b"\x3a\x01\x2a")


ATTACKS = (never_acknowledged, rapid_reset, made_you_reset, endless_field, continuation_flood, hpack_bomb, ping_flood,
           settings_flood, priority_flood, empty_frames, unknown_frames, small_frames, calls_without_end,
           padding_alone, unknown_methods, broken_messages, reflection)


class Http2Test(EndToEnd):
    @classmethod
    def setUpClass(cls):
        cls.site = _site

    def address(self, port):
        host, number = self.site.server.endpoints[port].rsplit(":", 1)
        return host.strip("[]"), int(number)

    def memory(self):
        with open(f"/proc/{self.site.server.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) * 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.site.server.process.pid}/fd"))

    def work(self):
        """Seconds of a processor that the server has taken so far."""
        with open(f"/proc/{self.site.server.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def administrator(self):
        folder = self.site.state / "admin"
        return next(folder.glob("*.pem")), next(folder.glob("*.key"))

    def signal_postgres(self, which):
        """To each of its processes, the postmaster first."""
        pid = int((self.site.state / "postgres/data/postmaster.pid").read_text().split()[0])
        children = run("pgrep", "-P", str(pid)).stdout.split()
        for each in (pid, *map(int, children)):
            os.kill(each, which)

    def call(self):
        """@return how long an honest stranger's call takes, with its handshake"""
        begun = time.monotonic()
        link = Connection(self.address("phone"))
        link.send(frame(http2.SETTINGS, http2.ACK) + headers(1, request(PENDING)) +
                  frame(http2.DATA, http2.END_STREAM, 1, http2.message(b"\x0a\x05\x0a\x03SEP")))
        ended = any(stream == 1 and flags & http2.END_STREAM for kind, flags, stream, _ in link.frames(30))
        link.close()
        self.assertTrue(ended)
        return time.monotonic() - begun

    def under_attack(self, attacks, seconds, watch, count=1):
        """Runs the attacks, each `count` times in a process of its own, and `watch` again and again meanwhile."""
        address = self.address("phone")
        processes = [multiprocessing.Process(target=_attack, args=(attack, address, seconds, count)) for attack in attacks]
        for process in processes:
            process.start()
        try:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                watch()
        finally:
            for process in processes:
                process.join(30)
                process.kill()

    def test_what_one_connection_costs(self):
        self.call()
        seconds, count = (30, 4) if LONG else (4, 2)
        for attack in ATTACKS:
            with self.subTest(attack=attack.__name__):
                memory, work, most = self.memory(), self.work(), 0

                def watch():
                    nonlocal most
                    time.sleep(0.1)
                    most = max(most, self.memory())
                self.under_attack([attack] * count, seconds, watch)
                work = self.work() - work
                print(f"{attack.__name__}: {(most - memory) / 1024:.0f} KiB, "
                      f"{100 * work / seconds / count:.1f} % of a processor each", flush=True)
                if not faults.SANITIZED:
                    self.assertLess(most - memory, count * EACH + SLACK)
                    # A tenth each, and what the server does by itself.
                    self.assertLess(work, 0.1 * count * seconds + 0.5)
        self.call()

    def test_what_many_connections_cost_that_go_on(self):
        processes, each, seconds = (8, 125, 60) if LONG else (4, 50, 15)
        for attack in (never_acknowledged, small_frames):
            with self.subTest(attack=attack.__name__):
                self.site.server.restart()  # memory that another attack has left would be taken for nothing
                self.call()
                before, idle, most, open_at_once = self.memory(), self.descriptors(), 0, 0

                def watch():
                    nonlocal most, open_at_once
                    time.sleep(0.1)
                    most = max(most, self.memory())
                    open_at_once = max(open_at_once, self.descriptors() - idle)
                for _ in range(3):  # a slow machine needs some of the time until all of them are there
                    self.under_attack([attack] * processes, seconds, watch, each)
                    if open_at_once >= processes * each:
                        break
                self.assertGreaterEqual(open_at_once, processes * each)
                cost = most - before
                print(f"{attack.__name__}: {cost / processes / each / 1024:.0f} KiB each", flush=True)
                if not faults.SANITIZED:
                    self.assertLess(cost, processes * each * EACH)
                    eventually(lambda: self.memory() - before < cost / 4 + SLACK, "their memory is given back", 30)
        self.call()

    def test_an_honest_phone_beside_ten_attackers(self):
        def median(calls):
            return statistics.median(calls)
        alone = median([self.call() for _ in range(30)])
        beside = []
        attacks = [ATTACKS[i % len(ATTACKS)] for i in range(10)]
        self.under_attack(attacks, 60 if LONG else 10, lambda: beside.append(self.call()))
        print(f"alone {1000 * alone:.1f} ms, beside ten attackers {1000 * median(beside):.1f} ms", flush=True)
        self.assertLess(median(beside), 2 * alone + 0.02)  # the attackers' own processes take their share too

    def test_connections_that_hold_all_they_can(self):
        count = 1000 if LONG else 200
        before = self.memory()
        links = []
        for _ in range(count):
            link = Connection(self.address("phone"))
            self.addCleanup(link.close)
            # A call that is never whole, with as much of its message as the windows let through.
            link.send(headers(1, request(PENDING, http2.field(b"x", b"y" * 3800, enters=True), indexed(62))) +
                      frame(http2.DATA, 0, 1, http2.message(bytes(70000))[:16384]) +
                      3 * frame(http2.DATA, 0, 1, bytes(16000)) + headers(3, request(PENDING, indexed(62), indexed(62))))
            links.append(link)
        time.sleep(1)
        cost = self.memory() - before
        print(f"{cost / count / 1024:.0f} KiB each", flush=True)
        if not faults.SANITIZED:
            self.assertLess(cost, count * EACH)
        for link in links:
            link.close()
        if not faults.SANITIZED:
            eventually(lambda: self.memory() - before < cost / 4 + SLACK, "their memory is given back", 30)
        self.call()

    def test_what_breaks_a_limit_is_closed_and_counted(self):
        for attack, code in ((rapid_reset, http2.ENHANCE_YOUR_CALM), (made_you_reset, http2.ENHANCE_YOUR_CALM)):
            with self.subTest(attack=attack.__name__):
                link = Connection(self.address("phone"))
                for stream in range(1, 801, 2):
                    end = frame(http2.RST_STREAM, 0, stream, bytes(4)) if attack is rapid_reset else \
                        frame(http2.WINDOW_UPDATE, 0, stream, b"\x7f\xff\xff\xff")
                    if not link.send(headers(stream, request(PENDING)) + end):
                        break
                self.addCleanup(link.close)
                self.assertEqual(link.goodbye(), code)
        padded = Connection(self.address("phone"))
        self.addCleanup(padded.close)
        padded.send(headers(1, request(PENDING)) + frame(http2.DATA, http2.PADDED, 1, b"\0") * 3000)
        self.assertEqual(padded.goodbye(), http2.ENHANCE_YOUR_CALM)
        large = Connection(self.address("phone"))
        self.addCleanup(large.close)
        large.send(headers(1, request(PENDING, http2.field(b"x", b"y" * 9000))))
        self.assertEqual(large.goodbye(), http2.ENHANCE_YOUR_CALM)
        eventually(lambda: "HTTP2_LIMIT" in self.site.capfctl("audit", "list", "--refusals").stdout, "it is on record")

    def test_administrators_who_hang_up_while_they_are_recognised_leave_nothing(self):
        before = self.descriptors()
        for _ in range(100):
            link = Connection(self.address("admin"), self.administrator())
            link.send(headers(1, request(b"/grpc.health.v1.Health/Check")) +
                      frame(http2.DATA, http2.END_STREAM, 1, http2.message(b"")))
            link.close()
        eventually(lambda: self.descriptors() <= before + 5, "their descriptors are given back", 20)

    def test_strangers_who_break_the_rules_hold_up_nobody_while_the_database_hangs(self):
        self.call()
        self.signal_postgres(signal.SIGSTOP)
        try:
            links = [Connection(self.address("phone")) for _ in range(8)]
            for link in links:
                self.addCleanup(link.close)
                link.send(headers(1, request(PENDING, http2.field(b"x", b"y" * 9000))))
            begun = time.monotonic()
            for _ in range(6):
                Connection(self.address("phone")).close()
            self.assertLess(time.monotonic() - begun, 3)
            for link in links:
                self.assertEqual(link.goodbye(), http2.ENHANCE_YOUR_CALM)
        finally:
            self.signal_postgres(signal.SIGCONT)
        eventually(lambda: "HTTP2_LIMIT" in self.site.capfctl("audit", "list", "--refusals").stdout, "it is on record")

    def test_who_does_not_end_the_preface(self):
        link = Connection(self.address("phone"), greet=False)
        self.addCleanup(link.close)
        for octet in http2.PREFACE:
            time.sleep(0.5)
            if not link.send(bytes([octet])):
                break
        self.assertTrue(link.ended(15))

    def test_nobody_without_a_certificate_of_the_site_comes_to_the_administrators(self):
        before = self.memory()
        for _ in range(20):
            try:
                link = Connection(self.address("admin"))
                link.send(headers(1, request(b"/capf.v1.AdminService/AddPhones")) + frame(http2.DATA, 0, 1, bytes(16384)))
                self.assertTrue(link.ended())
                link.close()
            except OSError:
                pass
        if not faults.SANITIZED:
            self.assertLess(self.memory() - before, SLACK)

    def test_a_handshake_that_fails_for_the_certificate_is_on_record(self):
        foreign = self.site.folder / "foreign.pem", self.site.folder / "foreign.key"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=admin",
            "-out", foreign[0], "-keyout", foreign[1])

        def counted(reason):
            """@return rows and refusals"""
            return [int(number) for number in self.site.sql(
                "select count(*), coalesce(sum(count), 0) from refusals "
                f"where reason = '{reason}' and address_block like '127.0.0.1%'")[0].split("|")]

        def refused(certificate):
            try:
                link = Connection(self.address("admin"), certificate)
                self.assertTrue(link.ended())
                link.close()
            except OSError:
                pass
        count = 20
        for certificate, reason in ((None, "CLIENT_CERTIFICATE_REQUIRED"), (foreign, "ADMINISTRATOR_UNKNOWN")):
            with self.subTest(reason):
                rows, before = counted(reason)
                for _ in range(count):
                    refused(certificate)
                after = eventually(lambda: (lambda now: now[1] >= before + count and now)(counted(reason)), "on record")
                self.assertEqual(after[1], before + count)
                self.assertLessEqual(after[0], rows + 2)  # a row a minute
                self.assertIn(reason, self.site.capfctl("audit", "list", "--refusals").stdout)
        # The phones' port takes whoever comes, and whatever is no TLS is no refusal of anybody.
        reasons = "CLIENT_CERTIFICATE_REQUIRED", "ADMINISTRATOR_UNKNOWN"
        before = [counted(reason)[1] for reason in reasons]
        self.call()
        with socket.create_connection(self.address("admin"), timeout=60) as link, contextlib.suppress(ConnectionResetError):
            link.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while link.recv(4096):
                pass
        self.call()
        refused(None)  # goes to the record after all of them
        eventually(lambda: counted(reasons[0])[1] > before[0], "on record")
        self.assertEqual([counted(reason)[1] for reason in reasons], [before[0] + 1, before[1]])


if __name__ == "__main__":
    unittest.main()
