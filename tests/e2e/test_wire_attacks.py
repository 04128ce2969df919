"""Bad input on the wire: reason 7 where the connection still takes it, nothing changed, what was wrong on record."""

import collections
import hashlib
import os
import random
import re
import socket
import ssl
import struct
import time
import urllib.request

from cryptography.hazmat.primitives.asymmetric import rsa

from e2e import pki, wire_phone
from e2e.site import LONG, SOURCE, eventually
from e2e.test_wire import Wire
from e2e.wire_phone import (AUTH_RESPONSE, DEVICE_NAME, LSC, MIC, REASON, SHA2_SIGNED_DATA, SIGNED_DATA,
                            SUDI_DATA, VERSION, Closed, Proof, element, message)

CONNECTIONS = 10000 if LONG else 500


def samples(file):
    for line in (SOURCE / "tests/data/wire" / file).read_text().splitlines():
        *_, name, octets = line.split("\t")
        yield name, bytes.fromhex(octets)


class Attack(Wire):
    def setUp(self):
        # By existing certificate, so that a wrong proof is refused.
        self.victim = self.site.add_phone(self.device())
        self.site.schedule(self.victim, "install", "mic")
        self.before = self.refusals()

    def tearDown(self):
        self.assertEqual(self.site.operation(self.victim)["state"], "pending")
        self.assertEqual(self.site.json("certificate", "list", "--device", self.victim), [])
        self.assertIsNotNone(self.site.server.process)
        self.assertIsNone(self.site.server.process.poll())

    def assertRefused(self, phone):
        """End session with reason 7, then the end of the connection."""
        self.assertEqual(phone.ended(), 7)
        self.assertRaises(Closed, phone.hear)

    def refusals(self):
        """How many refusals of strangers are on record, by reason."""
        rows = self.site.sql("select reason, sum(count) from refusals group by reason")
        return collections.Counter({reason: int(count) for reason, count in (row.split("|") for row in rows)})

    def assertOnRecord(self, reason):
        """That strangers were refused for this reason since the test began."""
        eventually(lambda: self.refusals()[reason] > self.before[reason], f"{reason} on record")

    def refused_proof(self, proof, reason):
        with self.phone(self.victim) as phone:
            phone.say(AUTH_RESPONSE, phone.auth_elements(None, proof))
            self.assertRefused(phone)
        self.assertLastAttempt(self.victim, reason)


class MalformedTest(Attack):
    def test_every_malformed_message(self):
        for name, octets in samples("malformed.txt"):
            with self.subTest(name), self.phone(self.victim) as phone:
                phone.say_octets(octets[:2] + struct.pack(">I", phone.session) + octets[6:])
                self.assertRefused(phone)
        self.assertOnRecord("MESSAGE_MALFORMED")

    def test_octets_at_random(self):
        chance = random.Random(4711)
        for _ in range(50):
            with self.phone(self.victim) as phone:
                elements = chance.randbytes(chance.randrange(1, 400))
                phone.say(chance.randrange(256), elements)
                try:
                    phone.ended()
                except Closed:
                    self.fail("closed without end session")

    def test_a_valid_message_cut_at_every_octet(self):
        with self.phone(self.victim) as phone:
            whole = phone.auth_elements("123456")
        ends = {0}
        while max(ends) < len(whole):
            at = max(ends)
            ends.add(at + 3 + struct.unpack(">H", whole[at + 1:at + 3])[0])
        for size in range(len(whole)):
            with self.subTest(size), self.phone(self.victim) as phone:
                phone.say(AUTH_RESPONSE, whole[:size])
                # Cut at the end of an element it is still a message, but without a name or a certificate.
                self.assertRefused(phone)

    def test_a_connection_that_ends_at_every_octet_of_a_message(self):
        with self.phone(self.victim) as phone:
            size = len(message(AUTH_RESPONSE, 0, phone.auth_elements("123456")))
        for cut in range(size):
            with self.subTest(cut), self.phone(self.victim) as phone:
                phone.say_octets(message(AUTH_RESPONSE, phone.session, phone.auth_elements("123456"))[:cut] or b"U")
        self.assertOnRecord("PHONE_COMMUNICATION")

    def test_a_message_in_pieces_of_one_octet_is_a_message(self):
        device = self.site.add_phone(self.device())
        digits = self.site.schedule(device, "install", "string")
        with self.phone(device) as phone:
            for octet in message(AUTH_RESPONSE, phone.session, phone.auth_elements(digits)):
                phone.say_octets(bytes([octet]))
            self.assertEqual(phone.hear()[0], wire_phone.KEY_REQUEST)

    def test_65535_octets_of_elements(self):
        with self.phone(self.victim) as phone:
            elements = phone.auth_elements("123456")
            phone.say(AUTH_RESPONSE, (elements + element(99, b"") * 22000)[:65535])
            self.assertRefused(phone)

    def test_a_certificate_of_60_kilobytes(self):
        with self.phone(self.victim) as phone:
            certificate = wire_phone.certificate_element(MIC, b"\x30\x82\xea\x5c" + os.urandom(59996))
            phone.say(AUTH_RESPONSE, phone.auth_elements() + certificate)
            self.assertRefused(phone)

    def test_odd_device_names(self):
        for name in (b"SEP%s%n%s", b"SEP'; drop table phones; --", b'SEP"x"', b"SEP0011\n2030-01-01T00:00:00Z info all.well",
                     b"S" * 300, b"", b"\xff\xfe", b"../../etc/passwd"):
            with self.subTest(name), self.phone("x") as phone:
                phone.say(AUTH_RESPONSE, element(REASON, 1) + element(VERSION, 3) + element(DEVICE_NAME, name + b"\0"))
                self.assertRefused(phone)
        log = self.site.server.log_text()
        self.assertNotIn("\n2030-01-01", log)
        self.assertOnRecord("INVALID_DEVICE_NAME")

    def test_the_session_id_of_another_session(self):
        with self.phone(self.victim) as first, self.phone(self.victim) as second:
            self.assertNotEqual(first.session, second.session)
            second.say(AUTH_RESPONSE, second.auth_elements("123456"), session=first.session)
            self.assertRefused(second)

    def test_every_command_out_of_turn(self):
        for command in (*range(1, 24), 0, 255):
            if command in (AUTH_RESPONSE, wire_phone.IN_PROGRESS):
                continue
            with self.subTest(command), self.phone(self.victim) as phone:
                phone.say(command, element(REASON, 1))
                self.assertRefused(phone)
        self.assertOnRecord("MESSAGE_UNEXPECTED")


class ProofTest(Attack):
    def mic(self, **odd):
        return self.manufacturer.mic(self.victim, **{"key": "rsa-2048", **odd})

    def test_a_sudi_part_of_another_session(self):
        mic = self.mic()
        with self.phone(self.victim) as phone:
            recorded = Proof(mic, MIC, sudi=mic).sudi_data(phone.session)
        proof = Proof(mic, MIC, sudi=mic)
        proof.sudi_data = lambda session: recorded
        self.refused_proof(proof, "PROOF_INVALID")

    def test_another_phones_proof(self):
        other = self.manufacturer.mic(self.device(), key="rsa-2048")
        self.refused_proof(Proof(other, MIC, sudi=other), "CERTIFICATE_NAME_MISMATCH")
        self.refused_proof(Proof(other, MIC, device="SEP000000000000", sudi=other), "PROOF_INVALID")

    def test_a_key_that_is_not_the_certificates(self):
        self.refused_proof(Proof(self.mic(), MIC, signer=pki.make_key("rsa-2048")), "PROOF_INVALID")
        self.refused_proof(Proof(self.mic(key="p-256"), MIC, signer=pki.make_key("p-256")), "PROOF_INVALID")

    def test_a_manufacturer_that_nobody_trusts(self):
        mic = pki.Manufacturer.root("Somebody").mic(self.victim, key="rsa-2048")
        self.refused_proof(Proof(mic, MIC, sudi=mic), "CERTIFICATE_UNKNOWN_ISSUER")

    def test_a_mic_that_is_called_an_lsc(self):
        mic = self.mic()
        self.refused_proof(Proof(mic, LSC, sudi=mic), "PROOF_INVALID")

    def test_a_proof_without_one_of_its_parts(self):
        mic = self.mic()
        proof = Proof(mic, MIC)
        with self.phone(self.victim) as phone:
            session = phone.session
        certificate = wire_phone.certificate_element(MIC, proof.der)
        sha1, sha2 = element(SIGNED_DATA, proof.sha1(self.victim)), element(SHA2_SIGNED_DATA, proof.sha2(self.victim))
        sudi = element(SUDI_DATA, Proof(mic, MIC, sudi=mic).sudi_data(session))
        for parts in (certificate, certificate + sha1, certificate + sha2, sha1 + sha2, sudi, certificate + sudi):
            proof.elements = lambda device, _, octets=parts: octets
            self.refused_proof(proof, "PROOF_INVALID")

    def test_rsa_signatures_with_other_padding(self):
        mic = self.mic()
        size = 256

        class Odd(Proof):
            def __init__(self, block_of):
                super().__init__(mic, MIC)
                self.block_of = block_of

            def sha2(self, device):
                digest = hashlib.sha512(self.name_data(device)).digest()
                signature = wire_phone.rsa_private(mic.key, self.block_of(digest))
                return struct.pack(">BH", 3, len(signature)) + signature

        for block_of in (lambda digest: b"\0" * (size - 64) + digest,  # the last octets alone
                         lambda digest: b"\0\1" + b"\xff" * 8 + b"\0" + digest + b"\0" * (size - 75),
                         lambda digest: b"\0\2" + b"\xff" * (size - 67) + b"\0" + digest,
                         lambda digest: b"\0\1" + b"\xff" * 20 + b"\0" + b"\xaa" * (size - 87) + digest,
                         lambda digest: b"\0\1" + b"\xff" * (size - 66 - 20) + b"\0" + bytes.fromhex(
                             "3051300d060960864801650304020305000440") + digest):
            self.refused_proof(Odd(block_of), "PROOF_INVALID")

    def test_cube_roots_are_no_signatures(self):
        """For e = 3 anybody finds a number whose cube ends in a given odd digest."""
        def cube_root(digest):
            wanted, bits = int.from_bytes(digest, "big"), len(digest) * 8
            return pow(wanted, pow(3, -1, 1 << (bits - 2)), 1 << bits).to_bytes(256, "big")

        while True:
            mic = self.mic(key=rsa.generate_private_key(3, 2048))
            data = Proof(mic, MIC).name_data(self.victim)
            digests = hashlib.sha1(data).digest(), hashlib.sha512(data).digest()
            if all(digest[-1] & 1 for digest in digests):
                break
        proof = Proof(mic, MIC)
        proof.sha1 = lambda device: cube_root(digests[0])
        proof.sha2 = lambda device: struct.pack(">BH", 3, 256) + cube_root(digests[1])
        self.assertEqual(pow(int.from_bytes(proof.sha1(""), "big"), 3) % (1 << 160), int.from_bytes(digests[0], "big"))
        self.refused_proof(proof, "PROOF_INVALID")

    def test_a_certificate_that_is_none(self):
        proof = Proof(self.mic(), MIC)
        proof.elements = lambda device, _: (wire_phone.certificate_element(MIC, b"\x30\x03\x02\x01\x01") +
                                            element(SIGNED_DATA, b"x") + element(SHA2_SIGNED_DATA, b"\3\0\1x"))
        self.refused_proof(proof, "CERTIFICATE_MALFORMED")


class FloodTest(Attack):
    @classmethod
    def tearDownClass(cls):
        eventually(lambda: cls.wire_connections() == 0, "no connection is left behind")
        super().tearDownClass()

    @classmethod
    def wire_connections(cls):
        """The server's metrics of its connections, which it updates every 15 seconds."""
        with urllib.request.urlopen(f"http://{cls.site.server.endpoints['metrics']}/metrics", timeout=30) as answer:
            (now,) = re.findall(r'^capf_wire_connections\{which="all"\} (\d+)', answer.read().decode(), re.MULTILINE)
        return int(now)

    def address(self):
        host, port = self.site.server.endpoints["wire"].rsplit(":", 1)
        return host.strip("[]"), int(port)

    def test_connections_that_close_at_once(self):
        for _ in range(CONNECTIONS):
            socket.create_connection(self.address()).close()
        self.assertEqual(self.visit(self.victim)[1], 7)

    def test_connections_that_close_after_the_auth_request(self):
        for _ in range(20):
            self.phone(self.victim).socket.close()
        self.assertOnRecord("PHONE_COMMUNICATION")

    def test_handshakes_that_stop_in_the_middle(self):
        hello = bytes.fromhex("16030102000100")
        held = []
        for _ in range(200):
            half = socket.create_connection(self.address())
            half.sendall(hello)
            held.append(half)
        device = self.site.add_phone(self.device())
        self.site.schedule(device, "install", "null", "--key-order", "ec")
        self.assertEqual(self.visit(device)[1], 1)
        for half in held:
            half.close()

    def test_handshakes_whose_client_says_hello_and_no_more(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        held = []
        for version in [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3] * 100:
            context.maximum_version = version
            octets = ssl.MemoryBIO()
            client = context.wrap_bio(ssl.MemoryBIO(), octets)
            self.assertRaises(ssl.SSLWantReadError, client.do_handshake)
            half = socket.create_connection(self.address(), timeout=60)
            half.sendall(octets.read())
            held.append(half)
        for half in held:
            self.assertTrue(half.recv(1))  # the server is in the middle of its handshake now
        device = self.site.add_phone(self.device())
        self.site.schedule(device, "install", "null", "--key-order", "ec")
        begin = time.monotonic()
        self.assertEqual(self.visit(device)[1], 1)
        self.assertLess(time.monotonic() - begin, 10)  # before the first of them is too late
        for half in held:
            half.close()

    def test_a_flood_of_refusals_writes_so_many_lines_and_rows(self):
        def lines(event):
            return [line for line in self.site.server.log_text().splitlines() if f" info {event} " in line]

        def rows():
            return int(self.site.sql("select count(*) from refusals")[0])
        before, rows_before = len(lines("authentication.refused")), rows()
        begin = time.monotonic()
        for _ in range(CONNECTIONS // 5):
            self.assertEqual(self.visit(self.victim)[1], 7)
        seconds = time.monotonic() - begin
        for _ in range(CONNECTIONS // 5):
            self.phone("x").socket.close()
        eventually(lambda: lines("wire.refused"), "the first refusals are in the log")
        self.assertLessEqual(len(lines("authentication.refused")) - before, (seconds + 2) * 50)
        for second, count in collections.Counter(line[:19] for line in lines("wire.refused")).items():
            self.assertLessEqual(count, 20, second)  # a second of the server may overlap two of the clock
        self.assertLessEqual(rows() - rows_before, 10 * (2 + (time.monotonic() - begin) / 60))

    def test_noise_in_place_of_tls(self):
        for noise in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x00", os.urandom(2000), b"\x80\x2e\x01\x03\x01" * 20):
            with socket.create_connection(self.address(), timeout=60) as connection:
                connection.sendall(noise)
                try:
                    while connection.recv(4096):
                        pass
                except ConnectionError:
                    pass
