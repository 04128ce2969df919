"""Frames of HTTP/2, written octet by octet without a library: RFC 9113 4.1, 6; RFC 7541 5.1, 6. It makes frames easily
that well-behaved clients never send."""

import socket
import ssl
import struct
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
ENHANCE_YOUR_CALM = 11


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def integer(value, bits, first=0):
    """RFC 7541 5.1"""
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    out, value = bytes([first | most]), value - most
    while value >= 128:
        out, value = out + bytes([value % 128 + 128]), value // 128
    return out + bytes([value])


def text(octets):
    return integer(len(octets), 7) + octets


def field(name, value, enters=False):
    """A literal; one that enters the dynamic table is index 62 from then on."""
    return (b"\x40" if enters else b"\x00") + text(name) + text(value)


def indexed(index):
    return integer(index, 7, 0x80)


def request(path, *more):
    """The header block of a gRPC call."""
    return b"".join((field(b":method", b"POST"), field(b":scheme", b"https"), field(b":path", path),
                     field(b":authority", b"localhost"), field(b"te", b"trailers"),
                     field(b"content-type", b"application/grpc"), *more))


def headers(stream, block, flags=END_HEADERS):
    return frame(HEADERS, flags, stream, block)


def message(octets):
    """As gRPC sends one."""
    return struct.pack(">BI", 0, len(octets)) + octets


class Connection:
    """TLS to a gRPC port, and the preface. Acknowledges only what the caller acknowledges."""

    def __init__(self, address, certificate=None, greet=True, timeout=20):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        if certificate:
            context.load_cert_chain(*certificate)
        self.link = context.wrap_socket(socket.create_connection(address, timeout=timeout))
        self.arrived = b""
        if greet:
            self.send(PREFACE + frame(SETTINGS))

    def send(self, octets):
        """@return whether it is still there"""
        try:
            self.link.sendall(octets)
            return True
        except OSError:
            return False

    def frames(self, seconds):
        """The frames that arrive within that time, or until the other side closes: kind, flags, stream, payload."""
        until = time.monotonic() + seconds
        while True:
            while len(self.arrived) >= 9:
                length = int.from_bytes(self.arrived[:3], "big")
                if len(self.arrived) < 9 + length:
                    break
                kind, flags = self.arrived[3], self.arrived[4]
                stream = int.from_bytes(self.arrived[5:9], "big")
                payload = self.arrived[9:9 + length]
                self.arrived = self.arrived[9 + length:]
                yield kind, flags, stream, payload
            left = until - time.monotonic()
            if left <= 0:
                return
            self.link.settimeout(left)
            try:
                more = self.link.recv(65536)
            except OSError:
                return
            if not more:
                return
            self.arrived += more

    def goodbye(self, seconds=10):
        """The code of the GOAWAY with which the server closes; None where it just closes, or does not."""
        code = None
        for kind, _, _, payload in self.frames(seconds):
            if kind == GOAWAY:
                code = int.from_bytes(payload[4:8], "big")
        return code

    def ended(self, seconds=10):
        """Whether the server closes the connection in that time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.link.settimeout(max(0.01, until - time.monotonic()))
            try:
                if not self.link.recv(65536):
                    return True
            except TimeoutError:
                return False
            except OSError:
                return True
        return False

    def close(self):
        self.link.close()
