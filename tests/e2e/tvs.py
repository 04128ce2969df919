"""A client of the Trust Verification Service, written from the protocol's page alone."""

import contextlib
import dataclasses
import socket
import ssl
import struct

VERIFY, VERIFIED, QUERY, QUERIED = 1, 2, 3, 4
DEVICE, CERTIFICATE, SUBJECT, STATUS, ROLES, LIFETIME = 1, 2, 3, 7, 8, 9
PATIENCE = 60


def element(tag, value):
    return struct.pack(">BH", tag, len(value)) + value


def message(kind, elements, session=1):
    return struct.pack(">BBBBIH", 0x57, 1, kind, 0, session, len(elements)) + elements


def device_element(device="CP-8861-SEP001122334455"):
    return element(DEVICE, b"\1" + device.encode())


def verification(der, session=1):
    return message(VERIFY, device_element() + element(CERTIFICATE, der), session)


def query(issuer, serial, tags=(4, 5), session=1):
    """@param tags of issuer and serial number, which nobody has published"""
    return message(QUERY, device_element() + element(SUBJECT, b"CN=anybody\0") + element(tags[0], issuer.encode() + b"\0") +
                   element(tags[1], serial), session)


@dataclasses.dataclass
class Answer:
    kind: int
    session: int
    valid: bool
    certificate: bytes = None
    roles: tuple = ()
    lifetime: int = 0


def read_answer(octets):
    assert octets[:2] == b"\x57\1", octets.hex()
    kind, _, session, length = struct.unpack(">BBIH", octets[2:10])
    assert len(octets) == 10 + length, octets.hex()
    found, at = {}, 10
    while at < len(octets):
        tag, size = struct.unpack(">BH", octets[at:at + 3])
        assert tag not in found and at + 3 + size <= len(octets), octets.hex()
        found[tag] = octets[at + 3:at + 3 + size]
        at += 3 + size
    valid = {b"\0": True, b"\1": False}[found.pop(STATUS)]
    answer = Answer(kind, session, valid, found.pop(CERTIFICATE, None), tuple(found.pop(ROLES, b"")))
    if valid:
        answer.lifetime, = struct.unpack(">I", found.pop(LIFETIME))
    assert not found, octets.hex()
    return answer


@contextlib.contextmanager
def connection(endpoint, pinned=None, legacy=False, client=None):
    """@param pinned the only certificate that the phone takes, DER. @param client paths of a certificate and its key"""
    host, port = endpoint.rsplit(":", 1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if legacy:
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers("AES128-SHA:@SECLEVEL=0")
    if client:
        context.load_cert_chain(*client)
    plain = socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE)
    with context.wrap_socket(plain) as tls:
        if pinned is not None:
            assert tls.getpeercert(True) == pinned, "the server shows another certificate"
        yield tls


def hear(tls):
    """All that comes until the server closes."""
    octets = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while piece := tls.recv(65536):
            octets += piece
    return octets


def ask(endpoint, question, **options):
    """@return the answer; nothing where the server closes without one"""
    with connection(endpoint, **options) as tls:
        tls.sendall(question)
        octets = hear(tls)
    return read_answer(octets) if octets else None
