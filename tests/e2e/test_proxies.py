"""HAProxy before a server: it names its client by the PROXY protocol, version 2. The phone is on another machine. In a
network of the test's own."""

import re
import socket
import struct
import subprocess
import unittest

from e2e import network

network.enter()

from e2e import tvs  # noqa: E402: in that network
from e2e.site import PROGRAMS, EndToEnd, Site, eventually, free_base_port, run  # noqa: E402: in that network

PROXY = "127.0.0.9"  # from where HAProxy comes to the server
PORTS = ("wire", "phone", "admin", "tvs")
EC = ("--key-order", "ec", "--ec-size", "256")


def header(source):
    """As HAProxy writes it, by its documentation."""
    addresses = socket.inet_aton(source) + socket.inet_aton("127.0.0.1") + struct.pack(">HH", 51000, 3804)
    return b"\r\n\r\n\0\r\nQUIT\n" + b"\x21\x11" + struct.pack(">H", len(addresses)) + addresses


class ProxiesTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        cls.cable = network.Cable()
        cls.addClassCleanup(cls.cable.close)
        cls.site = Site("--public-host", network.HERE,
                        settings=lambda text: text + f'\n[listen]\ntrusted_proxies = ["{PROXY}"]\n'
                        "\n[listen.tvs]\nenabled = true\n")
        cls.addClassCleanup(cls.site.close)
        cls.authority = cls.site.state / "certificates/site-ca.pem"
        cls.start_haproxy()

    @classmethod
    def start_haproxy(cls):
        base = free_base_port()
        cls.ports = {name: base + index for index, name in enumerate(PORTS)}
        text = ("global\n    maxconn 100\ndefaults\n    mode tcp\n    timeout connect 5s\n    timeout client 60s\n"
                "    timeout server 60s\n")
        for name, port in cls.ports.items():
            text += (f"listen {name}\n    bind 127.0.0.1:{port}\n    bind {network.HERE}:{port}\n"
                     f"    server capfd {cls.site.server.endpoints[name]} source {PROXY} send-proxy-v2\n")
        path = cls.site.folder / "haproxy.cfg"
        path.write_text(text)
        with open(cls.site.folder / "haproxy.log", "ab") as log:
            process = subprocess.Popen(["/usr/sbin/haproxy", "-db", "-f", path], stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=log)
        cls.addClassCleanup(process.wait)
        cls.addClassCleanup(process.kill)

        def listens():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", cls.ports["wire"])) == 0
        eventually(listens, (cls.site.folder / "haproxy.log").read_text)

    def far_phone(self, device, *options, wire=False, code=0):
        """On the other machine, through the proxy."""
        port = self.ports["wire" if wire else "phone"]
        trust = self.site.state / "certificates/wire.pem" if wire else self.authority
        return run(*self.cable.command(PROGRAMS / "capf-phone", device, "--server", f"{network.HERE}:{port}", "--trust",
                                       trust, "--dir", self.site.phones, *(["--wire"] if wire else []), *options), code=code)

    def attempt(self, device):
        return eventually(lambda: self.site.json("phone", "show", device)["last_attempt"], "it is on record")

    def test_the_phones_address_counts(self):
        for wire in (False, True):
            with self.subTest(wire=wire):
                device = self.site.add_phone(self.device())
                digits = self.site.schedule(device, "install", "string", *EC)
                wrong = "1" * 8 if digits != "1" * 8 else "2" * 8
                self.far_phone(device, "--string", wrong, wire=wire, code=1)
                attempt = self.attempt(device)
                self.assertEqual((attempt["address"], attempt["reason"]), (network.THERE, "AUTH_STRING_MISMATCH"))
                self.far_phone(device, "--string", digits, wire=wire)
                # Null string works from this machine's loopback, which the proxy is and the phone is not.
                device = self.site.add_phone(self.device())
                self.site.schedule(device, "install", "null", *EC)
                self.far_phone(device, wire=wire, code=1)
                attempt = self.attempt(device)
                self.assertEqual((attempt["address"], attempt["reason"]), (network.THERE, "NULL_STRING_NETWORK"))
                run(PROGRAMS / "capf-phone", device, "--server", f"127.0.0.1:{self.ports['wire' if wire else 'phone']}",
                    "--trust", self.site.state / "certificates/wire.pem" if wire else self.authority, "--dir",
                    self.site.phones, *(["--wire"] if wire else []))

    def test_an_administrators_address_is_on_record(self):
        admin = self.site.state / "admin/admin"
        device = self.device()
        run(PROGRAMS / "capfctl", "--server", f"127.0.0.1:{self.ports['admin']}", "--trust", self.authority,
            "--certificate", f"{admin}.pem", "--key", f"{admin}.key", "phone", "add", device)
        event = self.site.json("audit", "list", "--subject", device)[-1]
        self.assertEqual((event["action"], event["address"]), ("phone.add", "127.0.0.1"))

    def test_the_address_of_who_asks_tvs_is_in_the_log(self):
        self.assertFalse(tvs.ask(f"127.0.0.1:{self.ports['tvs']}", tvs.verification(b"of nobody")).valid)
        eventually(lambda: re.search(r"(?m) tvs\.answered peer=127\.0\.0\.1 ", self.site.server.log_text()), "it is in the log")

    def test_the_proxy_without_a_header_and_others_with_one_are_closed(self):
        hello = bytes.fromhex("1603010200010001fc0303") + bytes(501)
        for name in PORTS:
            host, port = self.site.server.endpoints[name].rsplit(":", 1)
            for source, said in ((PROXY, hello), (PROXY, b"PROXY TCP4 10.1.1.1 127.0.0.1 51000 3804\r\n" + hello),
                                 (PROXY, header("10.1.1.1")[:14] + b"\xff\xff"), ("127.0.0.8", header("10.1.1.1") + hello)):
                with self.subTest(port=name, source=source, said=said[:8]), socket.socket() as link:
                    link.bind((source, 0))
                    link.settimeout(60)
                    link.connect((host, int(port)))
                    link.sendall(said)
                    try:
                        answer = link.recv(4096)
                    except ConnectionError:
                        answer = b""
                    self.assertTrue(answer == b"" or answer[0] == 21, answer)  # nothing, or an alert of TLS
        told = rf"(?m) warning proxy.refused peer={re.escape(PROXY)}:\d+ cause="
        eventually(lambda: re.search(told, self.site.server.log_text()), "it is in the log")


if __name__ == "__main__":
    unittest.main()
