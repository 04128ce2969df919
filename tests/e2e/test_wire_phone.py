"""capf-phone on the wire: every operation, every way to authenticate, every way to break off; and the trace of it."""

import base64
import contextlib
import hashlib
import re
import ssl
import time
import unittest

from e2e import pki, wire_phone
from e2e.site import LONG, EndToEnd, Site, eventually

EC = ("--key-order", "ec", "--ec-size", "256")


class DeskPhone(EndToEnd):
    @classmethod
    def setUpClass(cls):
        if DeskPhone.site is None:
            DeskPhone.site = Site(settings=lambda text: text + '\n[wire]\nlegacy_phones = true\n[log]\nlevel = "debug"\n')
            unittest.addModuleCleanup(DeskPhone.site.close)
            DeskPhone.manufacturer = pki.Manufacturer.root("Manufacturing CA")
            DeskPhone.site.trust("mic", DeskPhone.manufacturer.write(DeskPhone.site.folder, "manufacturer")[0])

    site = None

    def phone(self, device, *options, **how):
        return self.site.phone(device, "--wire", *options, **how)

    def scheduled(self, kind="install", auth="string", *options):
        """A new phone with an operation. @return its name and its string"""
        device = self.site.add_phone(self.device())
        return device, self.site.schedule(device, kind, auth, *options)

    def mic(self, device, **odd):
        """@return the options that show the MIC"""
        mic = self.manufacturer.mic(device, **{"key": "rsa-2048", **odd})
        certificate, key = mic.write(self.site.folder / "mics", device)
        return "--certificate", certificate, "--key", key

    def installed(self, device):
        return pki.read_certificate(self.site.phones / f"{device}.pem")

    def assertEnds(self, device, state):
        self.assertEqual(self.site.operation(device)["state"], state)


class OperationTest(DeskPhone):
    def test_a_string_installs_in_both_versions(self):
        for version, key in (("3", EC), ("3", ()), ("2", ())):
            with self.subTest(version, key=key):
                device, digits = self.scheduled("install", "string", *key)
                done = self.phone(device, "--string", digits, "--wire-version", version)
                self.assertRegex(done.stdout, rf"^{device} install succeeded serial=[0-9a-f]+ not_after=\S+ file=\S+\n$")
                self.assertEnds(device, "succeeded")
                pki.openssl("x509", "-in", self.site.phones / f"{device}.pem", "-noout", "-checkend", "0")
                self.assertEqual(self.site.json("certificate", "show", device)["serial"],
                                 f"{self.installed(device).serial_number:032x}")

    def test_the_null_string_installs(self):
        device, _ = self.scheduled("install", "null", *EC)
        self.phone(device)
        self.assertEnds(device, "succeeded")

    def test_a_mic_installs_fresh_and_later_nothing_less(self):
        device, _ = self.scheduled("install", "mic", *EC)
        mic = self.mic(device)
        self.phone(device, *mic)
        self.site.schedule(device, "install", "mic", *EC)
        self.assertSays(self.phone(device, *mic, "--no-sudi", code=1), "AUTHENTICATION_FAILED")
        self.assertLastAttempt(device, "PROOF_DOWNGRADED")
        self.phone(device, *mic)
        self.assertEnds(device, "succeeded")

    def test_a_mic_with_an_ec_key_is_not_fresh_and_serves_a_scheduled_operation(self):
        device, _ = self.scheduled("install", "mic", *EC)
        self.phone(device, *self.mic(device, key="p-256"))
        self.assertEnds(device, "succeeded")

    def test_an_lsc_upgrades_in_both_versions(self):
        for version in ("3", "2"):
            device, _ = self.scheduled("install", "null")
            self.phone(device, "--wire-version", version)
            first = self.installed(device)
            self.site.schedule(device, "install", "lsc")
            self.phone(device, "--wire-version", version)
            self.assertNotEqual(self.installed(device).serial_number, first.serial_number)
            self.assertEnds(device, "succeeded")

    def test_an_lsc_with_the_mic_beside_it_is_fresh_where_its_own_key_cannot_be(self):
        device, _ = self.scheduled("install", "mic", *EC)
        mic = self.mic(device)
        self.phone(device, *mic, "--prefer-lsc")  # there is no LSC yet: the MIC alone
        self.site.schedule(device, "install", "lsc", *EC)
        self.assertSays(self.phone(device, code=1), "AUTHENTICATION_FAILED")
        self.assertLastAttempt(device, "PROOF_DOWNGRADED")
        self.phone(device, *mic, "--prefer-lsc")
        self.assertEnds(device, "succeeded")
        self.assertEqual(self.site.sql("select authenticated_by from operations o join phones p on p.id = o.phone_id "
                                       f"where p.device = '{device}' order by o.id desc limit 1"), ["lsc"])
        other = self.mic(self.device())
        self.site.schedule(device, "delete", "lsc")
        self.assertSays(self.phone(device, *other, "--prefer-lsc", code=1), "AUTHENTICATION_FAILED")
        self.assertLastAttempt(device, "CERTIFICATE_NAME_MISMATCH")

    def test_delete_and_troubleshoot(self):
        device, _ = self.scheduled("install", "null", *EC)
        self.phone(device)
        digits = self.site.schedule(device, "troubleshoot", "string")
        self.assertEqual(self.phone(device, "--string", digits).stdout,
                         f"{device} troubleshoot succeeded certificates=1\n")
        self.site.schedule(device, "delete", "lsc")
        self.assertEqual(self.phone(device).stdout, f"{device} delete succeeded\n")
        self.assertEqual(list(self.site.phones.glob(f"{device}.*")), [])
        states = {each["kind"]: each["state"] for each in self.site.json("certificate", "list", "--device", device)}
        self.assertEqual(states["lsc"], "revoked")

    def test_a_slow_key_is_waited_for(self):
        device, digits = self.scheduled("install", "string", *EC)
        self.phone(device, "--string", digits, "--key-delay", "0.3")
        self.assertEnds(device, "succeeded")

    def test_tls_1_0_with_its_one_cipher(self):
        device, digits = self.scheduled()
        self.phone(device, "--string", digits, "--tls-1.0", "--wire-version", "2")
        self.assertEnds(device, "succeeded")


class RefusalTest(DeskPhone):
    def test_nothing_pending_unknown_wrong_and_used_strings_exit_1_with_the_reason(self):
        device, digits = self.scheduled("install", "string", *EC)
        wrong = "1234" if digits != "1234" else "4321"
        self.assertSays(self.phone(device, "--string", wrong, code=1), "capf-phone: AUTHENTICATION_FAILED")
        self.assertSays(self.phone(device, code=1), "AUTHENTICATION_FAILED")
        self.phone(device, "--string", digits)
        self.assertSays(self.phone(device, "--string", digits, code=1), "NO_PENDING_OPERATION")
        self.assertSays(self.phone(device, code=1), "NO_PENDING_OPERATION")
        self.assertSays(self.phone(self.device(), code=1), "UNKNOWN_DEVICE")

    def test_a_version_2_phone_cannot_do_ec_only(self):
        device, digits = self.scheduled("install", "string", *EC)
        self.assertSays(self.phone(device, "--string", digits, "--wire-version", "2", code=1), "AUTHENTICATION_FAILED")
        self.assertEqual(self.site.operation(device)["reason"], "PHONE_WITHOUT_EC")

    def test_a_server_that_is_not_there_exits_3_and_one_that_is_not_trusted_1(self):
        device, digits = self.scheduled("install", "string", *EC)
        self.assertSays(self.phone(device, "--string", digits, "--server", "127.0.0.1:1", "--tries", "1", code=3),
                        "SERVER_NOT_REACHED")
        stranger, _ = self.manufacturer.mic(device).write(self.site.folder, "stranger")
        self.assertSays(self.phone(device, "--string", digits, "--trust", stranger, code=1), "INVALID_CERTIFICATE")
        self.assertIsNone(self.site.last_attempt(device))
        self.assertSays(self.phone(device, "--drop-after", "lunch", code=2), "INVALID_REQUEST")

    def test_a_server_that_cannot_say_closes_and_the_next_visit_completes(self):
        device, digits = self.scheduled("install", "string", *EC)
        self.site.stop_postgres()
        try:
            done = self.phone(device, "--string", digits, "--tries", "2", "--retry-pause", "0", code=1)
        finally:
            self.site.start_postgres()
        self.assertSays(done, "OVERLOADED", "it cannot say now")
        eventually(lambda: self.phone(device, "--string", digits, code=None).returncode == 0, "the phone completes")
        self.assertEnds(device, "succeeded")


class DroppedTest(DeskPhone):
    """After the phone has said its last word the server finishes without it: then nothing is pending any more."""

    def drop_and_come_back(self, device, options, messages, last):
        for message in messages:
            with self.subTest(message):
                done = self.phone(device, *options, "--drop-after", message, code=1)
                self.assertSays(done, "PHONE_COMMUNICATION: dropped the connection after")
                self.assertIn(self.site.operation(device)["state"], ("pending", "in_progress", "issued"))
        with self.subTest(last):
            self.assertSays(self.phone(device, *options, "--drop-after", last, code=1), "PHONE_COMMUNICATION")
            eventually(lambda: self.site.operation(device)["state"] == "succeeded", "the server has heard it")
            self.assertSays(self.phone(device, *options, code=1), "NO_PENDING_OPERATION")

    MESSAGES = ("auth-request", "auth-response", "key-request", "in-progress", "key-response", "store-request")

    def test_an_install_that_drops_after_any_message_is_completed_by_the_next_visit(self):
        for message in self.MESSAGES:
            with self.subTest(message):
                device, digits = self.scheduled("install", "string", *EC)
                self.assertSays(self.phone(device, "--string", digits, "--drop-after", message, code=1),
                                "PHONE_COMMUNICATION: dropped the connection after")
                self.assertNotEqual(self.site.operation(device)["state"], "succeeded")
                self.assertFalse((self.site.phones / f"{device}.pem").exists())
                self.phone(device, "--string", digits)
                self.assertEnds(device, "succeeded")
                states = [each["state"] for each in self.site.json("certificate", "list", "--device", device)]
                self.assertEqual((states.count("confirmed"), len(states) - states.count("superseded")), (1, 1))

    def test_an_install_that_drops_again_and_again_is_still_completed(self):
        for last in ("store-response", "end-session"):
            device, digits = self.scheduled("install", "string", *EC)
            messages = self.MESSAGES if last == "end-session" else ()
            self.drop_and_come_back(device, ("--string", digits), messages, last)
            self.assertEqual(self.site.json("certificate", "show", device)["serial"],
                             f"{self.installed(device).serial_number:032x}")

    def test_a_delete_and_a_troubleshoot_that_drop(self):
        for kind, request, response in (("troubleshoot", "fetch-request", "fetch-response"),
                                        ("delete", "delete-request", "delete-response")):
            device, _ = self.scheduled("install", "null", *EC)
            self.phone(device)
            digits = self.site.schedule(device, kind, "string")
            self.drop_and_come_back(device, ("--string", digits), ("auth-response", request), response)


class FleetTest(DeskPhone):
    COUNT = 50

    def test_many_phones_at_once_and_what_they_took(self):
        devices = [f"SEP001A{number:08X}" for number in range(self.COUNT)]
        self.site.capfctl("phone", "add", *devices)
        self.site.capfctl("operation", "schedule", "install", *devices, "--auth", "null")
        many = ("--wire", "--count", self.COUNT, "--concurrency", self.COUNT)
        done = self.site.phone(*many)
        self.assertRegex(done.stdout, rf"phones={self.COUNT} done={self.COUNT} seconds=\d+\.\d+ rate=\d+\.\d+/s cpu=\S+\n"
                                      r"latency p50=\S+ p90=\S+ p99=\S+ p99.9=\S+ max=\S+ seconds\n"
                                      rf"outcome done {self.COUNT}\n")
        keys = {self.installed(device).public_key().public_numbers().n for device in devices}
        self.assertEqual(len(keys), self.COUNT)
        for device in devices:
            self.assertIn("test key", (self.site.phones / f"{device}.key").read_text())
        again = self.site.phone(*many, code=1)
        self.assertIn(f"outcome NO_PENDING_OPERATION {self.COUNT}", again.stdout)


class TraceTest(DeskPhone):
    DIGITS = "7361940258"

    def traced(self, device, server=None):
        """The log's lines of the device's dialogues: (what, words), and the number of sessions."""
        found, sessions = [], set()
        for line in (server or self.site.server).log_text().splitlines():
            match = re.fullmatch(r'\S+ info wire\.trace device=(\S+) session=(\d+) (\w+)="?(.*?)"?', line)
            if match and match[1] == device:
                found.append((match[3], match[4]))
                sessions.add(match[2])
        return found, len(sessions)

    def traced_to_the_end(self, device, sessions=1, server=None):
        """The same when the log has the ends of so many: a phone hears of its end before the log's writer."""
        def ends():
            return [words for what, words in self.traced(device, server)[0] if words.startswith("end_session ")]
        eventually(lambda: len(ends()) == sessions, lambda: self.traced(device, server))
        return self.traced(device, server)

    def assertUntraced(self, device):
        """The log has nothing of it when it has a dialogue that was after its own."""
        later, _ = self.scheduled("install", "mic")
        self.site.capfctl("phone", "trace", later)
        with wire_phone.Phone(self.site.server.endpoints["wire"], later) as phone:
            self.assertEqual(phone.do(), 7)
        self.traced_to_the_end(later)
        self.assertEqual(self.traced(device)[0], [])

    def assertDialogue(self, found, *expected):
        self.assertEqual(len(found), len(expected), found)
        for (what, words), (expected_what, pattern) in zip(found, expected):
            self.assertEqual(what, expected_what, found)
            self.assertRegex(words, f"^{pattern}$")

    def assertNowhere(self, digits, text):
        """Neither as they are nor in the encodings in which a frame could have been written down."""
        forms = {digits, digits.encode().hex(), digits.encode().hex().upper(), digits.encode().hex(" ")}
        for shift in range(3):
            coded = base64.b64encode(b"\0" * shift + digits.encode())
            forms.add(coded[(0, 2, 3)[shift]:len(coded) - (4 if coded.endswith(b"=") else 0)].decode())
        for form in forms:
            self.assertGreaterEqual(len(form), 8)
            self.assertNotIn(form, text)

    def test_the_dialogue_of_one_phone_can_be_read_and_the_string_is_nowhere(self):
        device, other = self.site.add_phone(self.device()), self.site.add_phone(self.device())
        for each in (device, other):
            self.site.capfctl("operation", "schedule", "install", each, "--auth", "string", "--string", self.DIGITS, *EC)
        self.site.json("phone", "trace", device)
        wrong = "8402957163"
        self.phone(device, "--string", wrong, code=1)
        self.assertDialogue(
            self.traced_to_the_end(device)[0],
            ("begin", r"from 127\.0\.0\.1 over TLSv1\.3 TLS_AES_256_GCM_SHA384"),
            ("from_phone", f"auth_response reason=1 version=3 password=given device={device}"),
            ("service", "wire/begin: AUTH_STRING_MISMATCH: .*"),
            ("to_phone", "end_session reason=7"))
        before = len(self.traced(device)[0])
        self.phone(other, "--string", self.DIGITS)
        self.phone(device, "--string", self.DIGITS)
        found, sessions = self.traced_to_the_end(device, 2)
        self.assertEqual(sessions, 2)
        self.assertDialogue(
            found[before:],
            ("begin", "from .*"), ("from_phone", f"auth_response .* password=given device={device}"),
            ("service", "wire/begin: OK"), ("to_phone", "key_generate_request key_type=ec curve=p-256"),
            ("from_phone", "request_in_progress"), ("from_phone", "key_generate_response public_key=91"),
            ("service", "wire/issue: OK"), ("to_phone", r"store_request certificate_type=lsc certificate=lsc:\d+"),
            ("certificate", rf".*CN={device}\b.* sha256=[0-9a-f]{{64}}"),
            ("from_phone", "store_response reason=1"), ("service", "wire/confirm: OK"),
            ("to_phone", "end_session reason=1"))
        self.assertEqual(self.traced(other)[0], [])
        log = self.site.server.log_text()
        for digits in (self.DIGITS, wrong):
            self.assertNowhere(digits, log)
        der = pki.der(self.installed(device))
        self.assertNotIn(base64.b64encode(der).decode()[8:40], log)
        self.assertNotIn(der.hex()[64:128], log)

    def test_it_names_the_certificates_that_the_phone_shows(self):
        maker = pki.Manufacturer.root("Unheard-of CA")
        device, _ = self.scheduled("install", "mic")
        self.site.json("phone", "trace", device)

        def words(identity):
            certificate = identity.certificate
            dates = " to ".join(f"{each:%Y-%m-%dT%H:%M:%SZ}"
                                for each in (certificate.not_valid_before, certificate.not_valid_after))
            issuer, = certificate.issuer.get_attributes_for_oid(pki.NameOID.COMMON_NAME)
            serial = certificate.serial_number.to_bytes((certificate.serial_number.bit_length() + 7) // 8, "big").hex()
            return (rf'.*CN=CP-8861-{device}\b.*" issuer="[^"]*CN={issuer.value}[,"].* serial={serial} '
                    rf'dates="{dates}" sha256={identity.sha256}')
        good, unknown = self.manufacturer.mic(device, key="rsa-2048"), maker.mic(device, key="rsa-2048")
        forged = wire_phone.Proof(good, wire_phone.MIC, signer=unknown.key)
        garbage = wire_phone.Proof(good, wire_phone.MIC)
        garbage.der = b"\x30\x03\x02\x01\x01"
        for proof, reason, certificates, digests in (
                (wire_phone.Proof(unknown, wire_phone.MIC, sudi=unknown), "CERTIFICATE_UNKNOWN_ISSUER",
                 [("certificate", words(unknown)), ("sudi", words(unknown))], [unknown.sha256]),
                (wire_phone.Proof(good, wire_phone.MIC, sudi=unknown), "CERTIFICATE_UNKNOWN_ISSUER",
                 [("certificate", words(good)), ("sudi", words(unknown))], [good.sha256, unknown.sha256]),
                (forged, "PROOF_INVALID", [("certificate", words(good))], [good.sha256]),
                (garbage, "CERTIFICATE_MALFORMED",
                 [("certificate", rf'it cannot be read" .*sha256={hashlib.sha256(garbage.der).hexdigest()}')],
                 [hashlib.sha256(garbage.der).hexdigest(), "cannot be read"])):
            with self.subTest(reason):
                before = len(self.traced(device)[0])
                with wire_phone.Phone(self.site.server.endpoints["wire"], device) as phone:
                    self.assertEqual(phone.do(proof=proof), 7)
                end = [("to_phone", "end_session reason=7")]
                eventually(lambda b=before, e=end: self.traced(device)[0][b:][-1:] == e, "its end is in the log")
                self.assertDialogue(
                    self.traced(device)[0][before:],
                    ("begin", "from .*"), ("from_phone", "auth_response .*"), *certificates,
                    ("service", f"wire/begin: {reason}.*"), ("to_phone", "end_session reason=7"))

                def attempt():
                    return self.site.json("phone", "show", device)["last_attempt"] or {"message": "", "reason": ""}

                def recorded():
                    found = attempt()
                    return found["reason"] == reason and all(digest in found["message"] for digest in digests)
                eventually(recorded, attempt)
        self.assertRegex(self.site.server.log_text(), rf' info certificate.shown device={device} subject={words(unknown)} ')
        candidates = [each for each in self.site.json("trust", "candidates") if device in each["devices"]]
        self.assertEqual([(each["count"], each["certificate_sha256"]) for each in candidates], [(2, unknown.sha256)])

    def test_it_holds_on_every_server_and_ends(self):
        server = self.site.add_server()
        device, digits = self.scheduled("install", "string", *EC)
        until = self.site.json("phone", "trace", device, "--until", "+2h")["traced_until"]
        self.assertEqual(self.site.json("phone", "show", device)["traced_until"], until)
        self.site.phone(device, "--wire", "--string", digits, server=server)
        found, _ = self.traced_to_the_end(device, server=server)
        self.assertEqual(found[-1], ("to_phone", "end_session reason=1"))
        self.assertNowhere(digits, server.log_text())
        self.assertEqual(self.traced(device)[0], [])

        self.assertIsNone(self.site.json("phone", "trace", device, "--off")["traced_until"])
        self.assertIsNone(self.site.json("phone", "show", device)["traced_until"])
        self.phone(device, code=1)
        self.assertUntraced(device)
        # The trace ends by itself at its time.
        self.site.capfctl("phone", "trace", device)
        self.site.sql(f"update phones set traced_until = now() where device = '{device}'", user="postgres")
        self.phone(device, code=1)
        self.assertUntraced(device)
        events = self.site.json("audit", "list", "--subject", device, "--action", "phone.trace")
        self.assertEqual([(event["actor"], event["detail"].split()[0]) for event in events],
                         [("admin", "until"), ("admin", "off"), ("admin", "until")])

    def test_it_is_bounded_in_time_and_for_administrators_and_operators(self):
        device = self.site.add_phone(self.device())
        for until in ("+25h", "2020-01-01T00:00:00Z"):
            self.assertSays(self.site.capfctl("phone", "trace", device, "--until", until, code=2), "24 hours")
        self.site.capfctl("phone", "trace", device, "--until", "+1h", "--off", code=2)
        self.assertSays(self.site.capfctl("phone", "trace", self.device(), code=1), "UNKNOWN_DEVICE")
        for role, code in (("operator", 0), ("auditor", 1), ("monitor", 1)):
            self.site.capfctl("administrator", "add", f"tracing-{role}", "--role", role)
            done = self.site.capfctl("--administrator", f"tracing-{role}", "phone", "trace", device, code=code)
            if code:
                self.assertSays(done, "ROLE_DENIED")

    def test_a_phone_that_talks_without_end_does_not_fill_the_log(self):
        device, digits = self.scheduled("install", "string", *EC)
        self.site.capfctl("phone", "trace", device)
        with wire_phone.Phone(self.site.server.endpoints["wire"], device) as phone:
            phone.do(digits, until=wire_phone.KEY_REQUEST)
            with contextlib.suppress(ConnectionError, ssl.SSLError):  # the server closes meanwhile
                for _ in range(1000):
                    phone.say(wire_phone.IN_PROGRESS)
            self.assertEqual(phone.ended(), 7)
        eventually(lambda: "too often" in self.traced(device)[0][-1][1], "the last line says why it was cut off")
        self.assertLess(len(self.traced(device)[0]), 20)

    @unittest.skipUnless(LONG, "three and a half minutes")
    def test_a_phone_that_talks_as_often_as_it_may_does_not_fill_the_log(self):
        device, digits = self.scheduled("install", "string", *EC)
        self.site.capfctl("phone", "trace", device)
        with wire_phone.Phone(self.site.server.endpoints["wire"], device) as phone:
            phone.do(digits, until=wire_phone.KEY_REQUEST)
            for _ in range(210):
                phone.say(wire_phone.IN_PROGRESS)
                time.sleep(1)
            phone.say(wire_phone.STORE_RESPONSE, wire_phone.element(wire_phone.REASON, 1))
            self.assertEqual(phone.ended(), 7)
        found, _ = self.traced(device)
        self.assertEqual(len(found), 201)
        self.assertEqual(found[-1], ("end", "further lines are left out"))

    def test_many_who_come_in_a_traced_name_do_not_fill_the_log(self):
        device, _ = self.scheduled("install", "mic")
        self.site.capfctl("phone", "trace", device)

        def come():
            with wire_phone.Phone(self.site.server.endpoints["wire"], device) as phone:
                self.assertEqual(phone.do(), 7)

        def seconds():
            return [line[:19] for line in self.site.server.log_text().splitlines()
                    if f" wire.trace device={device} " in line and " begin=" in line]
        over, visits = time.monotonic() + 2.5, 0  # so that whole seconds are in it
        while time.monotonic() < over or visits < 30:
            come()
            visits += 1
        eventually(lambda: len(seconds()) >= 5, seconds)
        for second in set(seconds()):
            self.assertLessEqual(seconds().count(second), 10)  # a second of the server may overlap two of the clock
        before = len(seconds())
        eventually(lambda: come() or len(seconds()) > before, "when the flood is over it is traced again")


if __name__ == "__main__":
    unittest.main()
