"""A desk phone or softphone on the CAPF wire protocol, written from the protocol's description alone. It shares no code
with the programs under test, so that one mistake cannot be on both sides."""

import hashlib
import socket
import ssl
import struct

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils

from e2e import pki

AUTH_REQUEST, AUTH_RESPONSE = 1, 2
KEY_REQUEST, KEY_RESPONSE = 3, 4
STORE_REQUEST, STORE_RESPONSE = 9, 10
FETCH_REQUEST, FETCH_RESPONSE = 11, 12
DELETE_REQUEST, DELETE_RESPONSE = 13, 14
END_SESSION, IN_PROGRESS = 15, 17

REASON, CERTIFICATE_TYPE, CERTIFICATE, SIGNED_DATA, VERSION = 1, 3, 4, 6, 7
PUBLIC_KEY, KEY_SIZE, PASSWORD, DEVICE_NAME = 9, 10, 11, 13
SUDI_DATA, KEY_TYPE, CURVE, SHA2_SIGNED_DATA = 16, 17, 18, 20
LSC, MIC = 1, 2
CURVES = {0: ec.SECP256R1, 1: ec.SECP384R1, 2: ec.SECP521R1}


def message(command, session, elements=b"", protocol=0x55):
    return struct.pack(">BBIH", protocol, command, session, len(elements)) + elements


def element(tag, value):
    if isinstance(value, int):
        value = bytes([value])
    return struct.pack(">BH", tag, len(value)) + value


def elements_of(octets):
    """A dictionary; the server says nothing twice."""
    found = {}
    while octets:
        tag, length = struct.unpack(">BH", octets[:3])
        assert len(octets) >= 3 + length and tag not in found, octets.hex()
        found[tag], octets = octets[3:3 + length], octets[3 + length:]
    return found


def certificate_element(kind, der):
    return element(CERTIFICATE, struct.pack(">BHBB", 1, len(der) + 2, 0, kind) + der)


def rsa_block(digest, size):
    """PKCS #1 v1.5 padding of type 1 around the bare digest."""
    return b"\0\1" + b"\xff" * (size - 3 - len(digest)) + b"\0" + digest


def rsa_private(key, block):
    numbers = key.private_numbers()
    n = numbers.public_numbers.n
    return pow(int.from_bytes(block, "big"), numbers.d, n).to_bytes((n.bit_length() + 7) // 8, "big")


def sign(key, algorithm, data):
    digest = hashlib.new(algorithm, data).digest()
    if isinstance(key, rsa.RSAPrivateKey):
        return rsa_private(key, rsa_block(digest, key.key_size // 8))
    return key.sign(digest, ec.ECDSA(utils.Prehashed({"sha1": hashes.SHA1, "sha512": hashes.SHA512}[algorithm]())))


class Proof:
    """Elements that prove a certificate: to be taken as they are, or with parts exchanged."""

    def __init__(self, identity, kind, *, device=None, sudi=None, signer=None):
        """sudi: the identity that signs the session's id; signer: the key that signs in place of the right one."""
        self.identity, self.kind, self.device, self.sudi = identity, kind, device, sudi
        self.key = signer or identity.key
        self.der = pki.der(identity.certificate)

    def name_data(self, device):
        return (self.device or device).encode() + b"\0" + self.der

    def sha1(self, device):
        return sign(self.key, "sha1", self.name_data(device))

    def sha2(self, device):
        signature = sign(self.key, "sha512", self.name_data(device))
        return struct.pack(">BH", 3, len(signature)) + signature

    def sudi_data(self, session):
        der = pki.der(self.sudi.certificate)
        data = struct.pack("<I", session) + der
        fields = ((0, der), (1, sign(self.sudi.key, "sha1", data)), (3, sign(self.sudi.key, "sha512", data)))
        return b"".join(struct.pack(">BH", tag, len(value)) + value for tag, value in fields)

    def elements(self, device, session):
        octets = certificate_element(self.kind, self.der) + element(SIGNED_DATA, self.sha1(device))
        octets += element(SHA2_SIGNED_DATA, self.sha2(device))
        return octets + (element(SUDI_DATA, self.sudi_data(session)) if self.sudi else b"")


class Closed(Exception):
    """The server has closed without a word."""


class Phone:
    """One session. It can send anything; do() sends what a good phone sends."""

    def __init__(self, endpoint, device="SEP001122334455", version=3, pinned=None, legacy=False, keys=None):
        """pinned: the only certificate that it accepts, DER. keys: makes a private key for what is asked."""
        self.device, self.version, self.keys = device, version, keys
        self.heard, self.certificate, self.key, self.fetched = [], None, None, None
        host, port = endpoint.rsplit(":", 1)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if legacy:
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
            context.set_ciphers("AES128-SHA:@SECLEVEL=0")
        self.socket = context.wrap_socket(socket.create_connection((host.strip("[]"), int(port)), timeout=60))
        if pinned is not None:
            assert self.socket.getpeercert(True) == pinned, "the server shows another certificate"
        command, elements = self.hear()
        assert (command, elements) == (AUTH_REQUEST, {VERSION: b"\3"}), (command, elements)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def hear(self):
        """One message, which comes in one record."""
        try:
            octets = self.socket.recv(4096)
        except (ConnectionError, ssl.SSLError) as error:
            raise Closed() from error
        if not octets:
            raise Closed()
        protocol, command, self.session, length = struct.unpack(">BBIH", octets[:8])
        assert protocol == 0x55 and len(octets) == 8 + length, octets.hex()
        elements = elements_of(octets[8:])
        self.heard.append(command)
        return command, elements

    def say(self, command, elements=b"", session=None):
        self.say_octets(message(command, self.session if session is None else session, elements))

    def say_octets(self, octets):
        self.socket.sendall(octets)

    def auth_elements(self, password=None, proof=None):
        octets = element(REASON, 1) + element(VERSION, self.version)
        if password is not None:
            octets += element(PASSWORD, password.encode() + b"\0")
        octets += element(DEVICE_NAME, self.device.encode() + b"\0")
        return octets + (proof.elements(self.device, self.session) if proof else b"")

    def authenticate(self, password=None, proof=None):
        self.say(AUTH_RESPONSE, self.auth_elements(password, proof))
        return self.hear()

    def make_key(self, wanted):
        if wanted.get(KEY_TYPE, b"\0") == b"\1":
            assert self.version == 3 and KEY_SIZE not in wanted, wanted
            return self.keys(CURVES[wanted[CURVE][0]]) if self.keys else ec.generate_private_key(CURVES[wanted[CURVE][0]]())
        assert (KEY_TYPE in wanted) == (self.version == 3), wanted
        (bits,) = struct.unpack(">H", wanted[KEY_SIZE])
        return self.keys(bits) if self.keys else rsa.generate_private_key(65537, bits)

    def answer(self, command, elements):
        """The answer of a good phone."""
        if command == KEY_REQUEST:
            self.key = self.make_key(elements)
            self.say(IN_PROGRESS)
            self.say(KEY_RESPONSE, element(PUBLIC_KEY, self.key.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)))
        elif command == STORE_REQUEST:
            value = elements[CERTIFICATE]
            marker, length, zero, kind = struct.unpack(">BHBB", value[:5])
            assert (marker, length, zero, kind) == (1, len(value) - 3, 0, LSC) and elements[CERTIFICATE_TYPE] == b"\1"
            self.certificate = x509.load_der_x509_certificate(value[5:])
            self.say(STORE_RESPONSE, element(REASON, 1))
        elif command == FETCH_REQUEST:
            self.say(FETCH_RESPONSE, element(REASON, 1) + certificate_element(MIC, self.fetched))
        elif command == DELETE_REQUEST:
            self.say(DELETE_RESPONSE, element(REASON, 1))
        else:
            raise AssertionError(f"the server sent command {command}")

    def do(self, password=None, proof=None, until=None):
        """The whole dialogue. @return the reason of end session; with `until`, the elements of that request, which is
        not answered"""
        command, elements = self.authenticate(password, proof)
        while command != END_SESSION:
            if command == until:
                return elements
            self.answer(command, elements)
            command, elements = self.hear()
        return elements[REASON][0]

    def ended(self):
        """The reason of end session, which must come next."""
        command, elements = self.hear()
        assert command == END_SESSION, command
        return elements[REASON][0]
