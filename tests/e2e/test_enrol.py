"""Enrol: the whole dialogue of a phone in one call, by capf-phone and by a client from the .proto files alone."""

import concurrent.futures
import hashlib
import pathlib
import queue
import tempfile
import time
import unittest

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from e2e import pki, rpc
from e2e.rpc import phone_pb2, phone_pb2_grpc, types_pb2
from e2e.site import PROGRAMS, EndToEnd, run

EC = ("--key-order", "ec", "--ec-size", "256")
SOON = 20  # seconds: a silent phone is asked about every 10


def confirmation(key, device, certificate, nonce):
    """The signature of the new key that the certificate, in DER, is stored: by proto/README.md, without our code."""
    octets = b"CAPF Enrol 1: stored\0" + device.encode() + b"\0" + nonce + hashlib.sha256(certificate).digest()
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(octets, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    digest = {256: hashes.SHA256, 384: hashes.SHA384, 521: hashes.SHA512}[key.key_size]
    return key.sign(octets, ec.ECDSA(digest()))


class Dialogue:
    """One call of Enrol, message by message."""

    def __init__(self, channel, device, digits=""):
        self._said = queue.Queue()
        self._call = phone_pb2_grpc.PhoneServiceStub(channel).Enrol(iter(self._said.get, None), timeout=rpc.TIMEOUT)
        self.say(credential=rpc.credential(device, digits))

    def say(self, **message):
        self._said.put(phone_pb2.EnrolRequest(**message))

    def hear(self):
        """The server's next message: pending, issued or done."""
        try:
            message = next(self._call)
        except grpc.RpcError as error:
            raise rpc.Refusal(error) from None
        return getattr(message, message.WhichOneof("message"))

    def leave(self):
        """As a connection that breaks."""
        self._call.cancel()
        self._said.put(None)

    close = leave


class EnrolTest(EndToEnd, rpc.RefusalTests):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.manufacturer = pki.Manufacturer.trusted(cls.site, cls)

    def enrol(self, device, digits="", identity=None):
        channel = rpc.channel(self.site.server, "phone", identity)
        self.addCleanup(channel.close)
        dialogue = Dialogue(channel, device, digits)
        self.addCleanup(dialogue.close)
        return dialogue

    def scheduled(self):
        """A phone that is to be installed by its string, with a key on P-256. @return its name and the string"""
        device = self.site.add_phone(self.device())
        return device, self.site.schedule(device, "install", "string", *EC)

    def issued(self, dialogue, key):
        """Offers the key. @return certificate and nonce"""
        self.assertEqual(dialogue.hear().kind, types_pb2.OPERATION_KIND_INSTALL)
        dialogue.say(certification_request=pki.request(key))
        return dialogue.hear()

    def assertEndsSoon(self, dialogue):
        began = time.monotonic()
        refusal = self.refusal(dialogue.hear)
        self.assertLess(time.monotonic() - began, SOON)
        self.assertNotEqual(refusal.code, grpc.StatusCode.DEADLINE_EXCEEDED)
        return refusal


class WholeDialogueTest(EnrolTest):
    """By capf-phone."""

    def record(self, device):
        """What an operation has left on record, without names, numbers and times."""
        operation = self.site.operation(device)
        certificates = self.site.json("certificate", "list", "--device", device)
        return ({key: operation.get(key) for key in ("kind", "auth", "state", "reason", "status")},
                sorted((each["state"], each.get("revocation_reason") or "") for each in certificates))

    def both(self, prepare):
        """Does what is pending by Enrol and by the unary calls, for a phone each. @param prepare schedules it for a
        device, and gives the options of capf-phone"""
        records = []
        for how in (("--enrol",), ()):
            device = self.device()
            self.site.phone(device, *prepare(device), *how)
            records.append(self.record(device))
        self.assertEqual(*records)
        self.assertEqual(records[0][0]["state"], "succeeded")
        return records[0]

    def test_install_by_string(self):
        def prepare(device):
            self.site.add_phone(device)
            return "--string", self.site.schedule(device, "install", "string")
        self.both(prepare)

    def test_install_by_mic(self):
        def prepare(device):
            self.site.add_phone(device)
            self.site.schedule(device, "install", "mic", *EC)
            certificate, key = self.manufacturer.mic(device).write(self.site.folder / "mics", device)
            return "--certificate", certificate, "--key", key
        self.both(prepare)

    def test_upgrade_by_lsc(self):
        def prepare(device):
            self.site.enrol(device, *EC)
            self.site.schedule(device, "install", "lsc", *EC)
            return ()
        self.assertEqual(len(self.both(prepare)[1]), 2)

    def test_delete(self):
        def prepare(device):
            self.site.enrol(device, *EC)
            self.site.schedule(device, "delete", "lsc")
            return ()
        self.assertEqual(self.both(prepare)[1], [("revoked", "cessationOfOperation")])

    def test_troubleshoot(self):
        def prepare(device):
            self.site.enrol(device, *EC)
            self.site.schedule(device, "troubleshoot", "lsc")
            return ()
        self.both(prepare)

    def test_nothing_is_pending(self):
        device = self.device()
        self.site.enrol(device, *EC)
        self.assertSays(self.site.phone(device, "--enrol", code=1), "NO_PENDING_OPERATION")

    def test_a_wrong_string_is_refused_and_counted(self):
        device, digits = self.scheduled()
        wrong = "0" * len(digits) if digits != "0" * len(digits) else "1" * len(digits)
        self.assertSays(self.site.phone(device, "--enrol", "--string", wrong, code=1), "AUTHENTICATION_FAILED")
        self.assertLastAttempt(device, "AUTH_STRING_MISMATCH")
        self.assertEqual(self.site.operation(device)["state"], "pending")
        self.assertFalse((self.site.phones / f"{device}.pem").exists())


class ConfirmationTest(EnrolTest):
    def test_each_kind_of_key_confirms(self):
        for kind, options in (("rsa-2048", ("--key-order", "rsa")), ("p-256", EC),
                              ("p-384", ("--key-order", "ec")), ("p-521", ("--key-order", "ec", "--ec-size", "521"))):
            with self.subTest(kind):
                device, key = self.site.add_phone(self.device()), pki.make_key(kind)
                dialogue = self.enrol(device, self.site.schedule(device, "install", "string", *options))
                issued = self.issued(dialogue, key)
                self.assertEqual(len(issued.nonce), 32)
                self.assertEqual(self.site.operation(device)["state"], "issued")
                dialogue.say(confirmation=confirmation(key, device, issued.certificate, issued.nonce))
                self.assertEqual(dialogue.hear().revoked, 0)
                self.assertRaises(StopIteration, dialogue.hear)
                self.assertEqual(self.site.operation(device)["state"], "succeeded")

    def test_what_is_signed_otherwise_confirms_nothing_and_ends_the_call(self):
        other = pki.der(self.manufacturer.certificate)
        cases = {"another nonce": lambda key, device, issued: confirmation(key, device, issued.certificate, bytes(32)),
                 "another certificate": lambda key, device, issued: confirmation(key, device, other, issued.nonce),
                 "another device": lambda key, device, issued: confirmation(key, "SEP000000000000", issued.certificate,
                                                                            issued.nonce),
                 "another key": lambda key, device, issued: confirmation(pki.make_key(), device, issued.certificate,
                                                                         issued.nonce),
                 "no signature": lambda key, device, issued: b"\0"}
        for name, sign in cases.items():
            with self.subTest(name):
                device, digits = self.scheduled()
                key = pki.make_key()
                dialogue = self.enrol(device, digits)
                dialogue.say(confirmation=sign(key, device, self.issued(dialogue, key)))
                refusal = self.refusal(dialogue.hear)
                self.assertEqual((refusal.code, refusal.reason), (grpc.StatusCode.UNAUTHENTICATED, "PROOF_INVALID"))
                self.assertLastAttempt(device, "PROOF_INVALID")
                self.assertEqual(self.site.operation(device)["state"], "issued")

    def test_the_old_key_does_not_confirm_an_upgrade(self):
        device = self.device()
        path = self.site.enrol(device, *EC)
        old = rpc.FileIdentity(path, path.with_suffix(".key"))
        old_key = pki.serialization.load_pem_private_key(old.key_pem, None)
        self.site.schedule(device, "install", "lsc", *EC)
        dialogue = self.enrol(device, identity=old)
        issued = self.issued(dialogue, pki.make_key())
        dialogue.say(confirmation=confirmation(old_key, device, issued.certificate, issued.nonce))
        self.assertEqual(self.refusal(dialogue.hear).reason, "PROOF_INVALID")
        self.assertEqual(self.site.operation(device)["state"], "issued")

    def test_a_nonce_is_of_one_call(self):
        device, digits = self.scheduled()
        key = pki.make_key()
        first = self.enrol(device, digits)
        earlier = self.issued(first, key)
        first.leave()
        second = self.enrol(device, digits)
        later = self.issued(second, key)
        self.assertEqual(later.certificate, earlier.certificate)
        self.assertNotEqual(later.nonce, earlier.nonce)
        second.say(confirmation=confirmation(key, device, earlier.certificate, earlier.nonce))
        self.assertEqual(self.refusal(second.hear).reason, "PROOF_INVALID")
        self.assertIsNone(self.site.operation(device)["finished_at"])

    def test_a_message_out_of_turn_ends_the_call(self):
        device, digits = self.scheduled()
        dialogue = self.enrol(device, digits)
        dialogue.hear()
        dialogue.say(confirmation=b"early")
        refusal = self.refusal(dialogue.hear)
        self.assertEqual((refusal.code, refusal.reason), (grpc.StatusCode.INVALID_ARGUMENT, "MESSAGE_UNEXPECTED"))
        self.assertLastAttempt(device, "MESSAGE_UNEXPECTED")
        self.assertEqual(self.site.operation(device)["state"], "in_progress")


class EndTest(EnrolTest):
    def test_a_stranger_learns_nothing(self):
        known, _ = self.scheduled()
        refusals = [self.refusal(self.enrol(device, "00000000").hear) for device in (known, "SEPFFFFFFFFFFFF")]
        for refusal in refusals:
            self.assertStranger(refusal)
        self.assertEqual(refusals[0].whole, refusals[1].whole)

    def test_a_call_ends_soon_after_its_phone_is_blocked(self):
        device, digits = self.scheduled()
        dialogue = self.enrol(device, digits)
        dialogue.hear()
        self.site.capfctl("phone", "block", device)
        self.assertEqual(self.assertEndsSoon(dialogue).reason, "OPERATION_ENDED")
        self.assertStranger(self.refusal(self.enrol(device, digits).hear))

    def test_a_call_ends_soon_after_its_operation_is_cancelled(self):
        device, digits = self.scheduled()
        dialogue = self.enrol(device, digits)
        dialogue.hear()
        self.site.capfctl("operation", "cancel", device)
        self.assertEqual(self.assertEndsSoon(dialogue).reason, "OPERATION_ENDED")

    def test_a_later_call_of_the_device_replaces_the_earlier(self):
        device, digits = self.scheduled()
        key = pki.make_key()
        earlier = self.enrol(device, digits)
        self.issued(earlier, pki.make_key())
        later = self.enrol(device, digits)
        later.hear()
        self.assertEqual(self.assertEndsSoon(earlier).reason, "SESSION_REPLACED")
        later.say(certification_request=pki.request(key))
        issued = later.hear()
        later.say(confirmation=confirmation(key, device, issued.certificate, issued.nonce))
        later.hear()
        self.assertEqual(self.site.operation(device)["state"], "succeeded")

    def test_a_server_that_stops_ends_the_call_and_the_phone_goes_on_with_the_next(self):
        device, digits = self.scheduled()
        key = pki.make_key()
        before = self.enrol(device, digits)
        earlier = self.issued(before, key)
        server = self.site.server
        self.assertEqual(server.stop(), 0)
        self.assertEqual(self.assertEndsSoon(before).reason, "SHUTTING_DOWN")
        server.start()
        after = self.enrol(device, digits)
        issued = self.issued(after, key)
        self.assertEqual(issued.certificate, earlier.certificate)
        after.say(confirmation=confirmation(key, device, issued.certificate, issued.nonce))
        after.hear()
        self.assertEqual(self.site.operation(device)["state"], "succeeded")

    def keep(self, device, operation, key):
        """What capf-phone keeps of a call that broke."""
        request = x509.load_der_x509_csr(pki.request(key)).public_bytes(serialization.Encoding.PEM)
        self.site.phones.mkdir(mode=0o700, exist_ok=True)
        file = self.site.phones / f"{device}.pending"
        file.touch(mode=0o600)
        file.write_bytes(b"operation %d\n" % operation + pki.pem_of_key(key) + request)

    def test_the_unary_calls_go_on_with_the_key_of_calls_that_broke(self):
        device, digits = self.scheduled()
        key = pki.make_key()
        for _ in range(2):
            broken = self.enrol(device, digits)
            operation = broken.hear().id
            broken.say(certification_request=pki.request(key))
            issued = broken.hear()
            broken.leave()
        self.keep(device, operation, key)
        self.site.phone(device, "--string", digits)
        certificates = self.site.json("certificate", "list", "--device", device)
        serial = format(x509.load_der_x509_certificate(issued.certificate).serial_number, "032x")
        self.assertEqual([(each["serial"], each["state"]) for each in certificates], [(serial, "confirmed")])

    def test_the_unary_calls_offer_a_key_that_was_refused_once(self):
        key = pki.make_key()
        self.issued(self.enrol(*self.scheduled()), key)
        device, digits = self.scheduled()
        broken = self.enrol(device, digits)
        self.keep(device, broken.hear().id, key)
        broken.leave()
        self.assertSays(self.site.phone(device, "--string", digits, code=1), "KEY_OF_ANOTHER_DEVICE")
        self.site.phone(device, "--string", digits)
        self.assertEqual(self.site.operation(device)["state"], "succeeded")


class FalseServer(phone_pb2_grpc.PhoneServiceServicer):
    """Says on Enrol one message after the other, each behind one that it hears, and then that all is well."""

    def __init__(self, messages):
        self._messages = messages

    def Enrol(self, requests, context):
        for message, heard in zip(self._messages, requests):
            yield message(heard) if callable(message) else message


class FalseServerTest(unittest.TestCase):
    """A phone and a server that it trusts, and that does not keep to the dialogue."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.authority = pki.Manufacturer.root("Another site CA")
        self.trust, _ = self.authority.write(self.folder, "site-ca")

    def enrol(self, *messages):
        """The phone's refusal."""
        key = pki.make_key()
        own = pki.Identity(pki.build(pki.name("localhost"), key.public_key(), self.authority.certificate,
                                     self.authority.key), key)
        server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
        phone_pb2_grpc.add_PhoneServiceServicer_to_server(FalseServer(messages), server)
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(own.key_pem, own.certificate_pem)]))
        server.start()
        try:
            return run(PROGRAMS / "capf-phone", "SEP001122334455", "--server", f"localhost:{port}", "--trust",
                       self.trust, "--string", "12345678", "--enrol", "--tries", "1", "--dir", self.folder / "phones",
                       code=1).stderr
        finally:
            server.stop(None)

    @staticmethod
    def pending():
        return phone_pb2.EnrolResponse(pending=phone_pb2.PendingOperation(
            id=1, kind=types_pb2.OPERATION_KIND_INSTALL, state=types_pb2.OPERATION_STATE_PENDING,
            key=types_pb2.KeyPolicy(order=types_pb2.KEY_ORDER_EC, ec_bits=256)))

    def issued(self, *above):
        """Signs what the phone asks for, with these certificates above."""
        def sign(heard):
            request = x509.load_der_x509_csr(heard.certification_request)
            certificate = pki.build(request.subject, request.public_key(), self.authority.certificate,
                                    self.authority.key)
            return phone_pb2.EnrolResponse(issued=phone_pb2.EnrolIssued(
                certificate=pki.der(certificate), chain=[pki.der(self.authority.certificate), *above], nonce=bytes(32)))
        return sign

    def test_a_message_out_of_turn_ends_the_dialogue(self):
        done = phone_pb2.EnrolResponse(done=phone_pb2.EnrolDone())
        early = phone_pb2.EnrolResponse(issued=phone_pb2.EnrolIssued(nonce=bytes(32)))
        for name, messages in {"a certificate before anything is pending": [early], "the end at once": [done],
                               "the end without a certificate": [self.pending(), done]}.items():
            with self.subTest(name):
                self.assertIn("MESSAGE_UNEXPECTED", self.enrol(*messages))
                self.assertFalse((self.folder / "phones/SEP001122334455.pem").exists())

    def test_what_the_phone_could_not_read_again_is_not_kept(self):
        own = pki.der(self.authority.certificate)
        for name, above in {"no certificate": [b"none"], "too many": 8 * [own]}.items():
            with self.subTest(name):
                self.assertIn("INVALID_CERTIFICATE", self.enrol(self.pending(), self.issued(*above)))
                self.assertFalse((self.folder / "phones/SEP001122334455.pem").exists())


if __name__ == "__main__":
    unittest.main()
