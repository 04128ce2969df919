"""Bad input: it is refused with code, reason and words, changes nothing, and is recorded. A caller that has not proven
the device always gets the same answer; the true reason is in the record."""

import bisect
import datetime
import hashlib
import itertools
import random
import re
import socket
import statistics
import threading
import time
import unittest

import grpc

from e2e import faults, pki, rpc
from e2e.rpc import credential, phone_pb2
from e2e.site import LONG, EndToEnd, Site, eventually

EC = ("--key-order", "ec", "--ec-size", "256")


class Refusals(EndToEnd, rpc.RefusalTests):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.manufacturer = pki.Manufacturer.trusted(cls.site, cls)

    def scheduled(self, auth, *options, kind="install", device=None):
        device = self.site.add_phone(device or self.device())
        return device, self.site.schedule(device, kind, auth, *(options or EC))

    def issue(self, device, identity=None, auth_string="", request=None):
        with rpc.phone_client(self.site, identity) as phone:
            return phone.IssueCertificate(credential=credential(device, auth_string),
                                          certification_request=request or pki.request(pki.make_key()))

    def state_of(self, device):
        """All that a refusal must not change."""
        return [self.site.sql(f"select t.* from {table} t join phones p on p.id = t.phone_id "
                              f"where p.device = '{device}'", user="postgres")
                for table in ("operations", "certificates")]


class NamesTest(Refusals):
    """What a stranger could tell names by besides the answer: how long it takes. Its database is reached through a proxy
    that sees what is asked before the answer."""

    @classmethod
    def setUpClass(cls):
        cls.site = Site()
        cls.addClassCleanup(cls.site.close)
        cls.manufacturer = pki.Manufacturer.root("Manufacturing CA of names")
        path, _ = cls.manufacturer.write(cls.site.folder / "names", "manufacturer")
        cls.site.trust("mic", path)
        cls.proxy = faults.Proxy(cls.site)
        cls.addClassCleanup(cls.proxy.close)
        state = cls.site.copy_state("behind")
        path = state / "capfd.toml"
        path.write_text(path.read_text().replace(f'server = "{cls.site.database}', f'server = "host={cls.proxy.folder}'))
        cls.server = cls.site.add_server(state)

    def names(self):
        blocked = self.site.add_phone(self.device())
        self.site.capfctl("phone", "block", blocked)
        return {"pending": self.scheduled("string")[0], "pending by MIC": self.scheduled("mic")[0],
                "idle": self.site.add_phone(self.device()), "blocked": blocked, "unknown": "SEPFFFFFFFFFFFD"}

    def calls(self):
        """What strangers try: without anything, with a string, with a certificate of their own making."""
        forger = pki.Manufacturer.root("Manufacturing CA of names")  # the name alone is right
        for what, identity, string in (("nothing", None, ""), ("a string", None, "98765432"),
                                       ("a certificate", forger.mic("SEPFFFFFFFFFFFD"), "")):
            for method, fields in (("GetPendingOperation", {}),
                                   ("IssueCertificate", {"certification_request": pki.request(pki.make_key())}),
                                   ("ConfirmCertificate", {"sha256": bytes(32)}), ("DeleteCertificate", {}),
                                   ("HandOverCertificates", {"certificates": [b"0"]}),
                                   ("ReportFailure", {"failure": phone_pb2.ReportFailureRequest.FAILURE_STORE})):
                yield f"{method} with {what}", identity, lambda phone, name, m=method, f=fields, s=string: getattr(
                    phone, m)(credential=credential(name, s), **f)

    def test_every_name_costs_the_same_before_the_answer(self):
        names = self.names()
        for what, identity, call in self.calls():
            asked = {}
            with rpc.phone_client(self.site, identity, server=self.server) as phone:
                for _ in range(2):  # what is kept in memory is there the second time
                    for kind, name in names.items():
                        seen = []
                        self.proxy.on_trip = lambda trip: seen.append(trip.name)
                        try:
                            call(phone, name)
                        except rpc.Refusal:
                            pass
                        self.proxy.on_trip = None
                        asked[kind] = [each for each in seen if each.startswith(("dossiers_", "hearing_", "changes_"))]
            with self.subTest(what):
                self.assertTrue(asked["unknown"])
                self.assertEqual(len(set(map(str, asked.values()))), 1, asked)

    def test_the_answer_does_not_wait_for_the_record(self):
        held = threading.Event()

        def hold(trip):
            if trip.name == "commit" and b"refusals_count\0" in trip.transaction:
                held.wait(60)
        for kind, name in self.names().items():
            with self.subTest(kind), rpc.phone_client(self.site, server=self.server) as phone:
                held.clear()
                self.proxy.on_trip = hold
                try:
                    self.assertStranger(self.refusal(lambda: phone.IssueCertificate(
                        credential=credential(name), certification_request=pki.request(pki.make_key()))))
                    if kind != "unknown":
                        self.assertIsNone(self.site.json("phone", "show", name).get("last_attempt"))
                finally:
                    held.set()
                    self.proxy.on_trip = None
                if kind != "unknown":
                    eventually(lambda: self.site.json("phone", "show", name).get("last_attempt"), "it is on record")

    @unittest.skipUnless(LONG, "it measures, for a quiet machine")
    def test_the_time_tells_no_name_from_another(self):
        names = self.names()
        took = {kind: [] for kind in names}
        with rpc.phone_client(self.site) as phone:
            for _ in range(2000):
                for kind, name in random.sample(list(names.items()), len(names)):
                    begun = time.perf_counter()
                    phone.GetPendingOperation(credential=credential(name))
                    took[kind].append(time.perf_counter() - begun)
        print({kind: f"{statistics.median(each) * 1000:.2f} ms" for kind, each in took.items()})
        for one, other in itertools.combinations(took, 2):
            chance = longer(took[one], took[other])
            print(f"{one} takes longer than {other}: {chance:.3f}")
            self.assertTrue(0.45 < chance < 0.55, (one, other, chance))


def longer(ours, theirs):
    """The chance that one of ours is longer than one of theirs."""
    theirs = sorted(theirs)
    below = sum(bisect.bisect_left(theirs, each) + bisect.bisect_right(theirs, each) for each in ours)
    return below / 2 / len(ours) / len(theirs)


class StrangerTest(Refusals):
    def test_what_is_no_call_writes_nothing_into_the_log_but_our_own_lines(self):
        host, port = self.site.server.endpoints["phone"].rsplit(":", 1)
        for garbage in (b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x00\x05hello", bytes(100)):
            with socket.create_connection((host, int(port)), timeout=30) as link:
                link.sendall(garbage)
                try:
                    while link.recv(4096):
                        pass
                except ConnectionError:
                    pass
        with rpc.channel(self.site.server, "phone") as channel:
            issue = channel.unary_unary("/capf.v1.PhoneService/IssueCertificate")
            for octets in (b"\x0a\x04\x0a\x02\xff\xfe", b"\xff" * 20):  # a name that is no UTF-8, and no message
                with self.assertRaises(grpc.RpcError) as refused:
                    issue(octets, timeout=rpc.TIMEOUT)
                self.assertEqual(refused.exception.code(), grpc.StatusCode.INTERNAL)
        for line in self.site.server.log_text().splitlines():
            self.assertRegex(line, re.compile(r"^\d{4}-\d\d-\d\dT[0-9:.]+Z (debug|info|warning|error) [a-z_.]+( |$)"))

    def test_every_stranger_hears_the_same_and_changes_nothing(self):
        by_string, digits = self.scheduled("string")
        used, used_digits = self.scheduled("string", "--key-order", "ec")
        self.site.phone(used, "--string", used_digits)
        idle = self.site.add_phone(self.device())
        by_mic, _ = self.scheduled("mic")
        blocked, blocked_digits = self.scheduled("string")
        self.site.capfctl("phone", "block", blocked)
        wrong = str(10 ** 8 - 1 - int(digits)).rjust(8, "0")
        good = self.manufacturer
        elsewhere = pki.Manufacturer.root("Unknown CA")
        lsc = rpc.FileIdentity(self.site.enrol(other := self.device()), self.site.phones / f"{other}.key")
        cases = {
            "unknown device": (dict(device="SEPFFFFFFFFFFFF", auth_string="12345678"), None),
            "unknown device without a credential": (dict(device="SEPFFFFFFFFFFFE"), None),
            "wrong string": (dict(device=by_string, auth_string=wrong), "AUTH_STRING_MISMATCH"),
            "missing string": (dict(device=by_string), "AUTH_STRING_MISSING"),
            "used string": (dict(device=used, auth_string=used_digits), "NO_PENDING_OPERATION"),
            "nothing pending": (dict(device=idle, auth_string="12345678"), "NO_PENDING_OPERATION"),
            "blocked device": (dict(device=blocked, auth_string=blocked_digits), "DEVICE_BLOCKED"),
            "no certificate": (dict(device=by_mic), "CREDENTIAL_MISSING"),
            "string where a MIC is asked for": (dict(device=by_mic, auth_string="12345678"), None),
            "MIC of another phone": (dict(device=by_mic, identity=good.mic(idle)), "CERTIFICATE_NAME_MISMATCH"),
            "MIC that ends nowhere": (dict(device=by_mic, identity=elsewhere.mic(by_mic)),
                                      "CERTIFICATE_UNKNOWN_ISSUER"),
            "expired MIC": (dict(device=by_mic, identity=good.mic(
                by_mic, not_before=pki.now() - 20 * pki.DAY, not_after=pki.now() - pki.DAY)), "CERTIFICATE_EXPIRED"),
            "MIC of tomorrow": (dict(device=by_mic, identity=good.mic(
                by_mic, not_before=pki.now() + pki.DAY)), "CERTIFICATE_NOT_YET_VALID"),
            "MIC with a weak key": (dict(device=by_mic, identity=good.mic(by_mic, key="rsa-1024")), "CERTIFICATE_WEAK"),
            "LSC of another phone": (dict(device=by_mic, identity=lsc), None),
        }
        answers = {}
        for what, (fields, reason) in cases.items():
            with self.subTest(what):
                before = self.state_of(fields["device"])
                refusal = self.refusal(self.issue, **fields)
                self.assertStranger(refusal)
                answers[what] = refusal.whole
                self.assertEqual(self.state_of(fields["device"]), before)
                if reason:
                    self.assertLastAttempt(fields["device"], reason)
        self.assertEqual(len(set(answers.values())), 1, answers)
        self.issue(by_string, auth_string=digits)

    def test_asking_what_is_pending_tells_a_stranger_nothing(self):
        scheduled, _ = self.scheduled("string")
        by_null, _ = self.scheduled("null")
        idle = self.site.add_phone(self.device())
        with rpc.phone_client(self.site) as phone:
            answers = {name: phone.GetPendingOperation(credential=credential(name)).SerializeToString()
                       for name in (scheduled, idle, "SEPFFFFFFFFFFFF")}
            self.assertEqual(set(answers.values()), {b""})
            phone.GetPendingOperation(credential=credential(by_null))
            wrong = self.refusal(phone.GetPendingOperation, credential=credential(scheduled, "1111"))
            nobody = self.refusal(phone.GetPendingOperation, credential=credential("SEPFFFFFFFFFFFF", "1111"))
        self.assertStranger(wrong)
        self.assertEqual(wrong.whole, nobody.whole)

    def test_strangers_refusals_are_counted_in_the_record(self):
        device, _ = self.scheduled("string")
        for _ in range(3):
            self.refusal(self.issue, device, auth_string="1111")
            self.refusal(self.issue, "SEPEEEEEEEEEEEE", auth_string="1111")

        def counted():
            rows = self.site.json("audit", "list", "--refusals")
            known = sum(row["count"] for row in rows if row["device"] == device)
            self.assertFalse([row for row in rows if row["device"] == "SEPEEEEEEEEEEEE"])
            return known >= 3
        eventually(counted, "three refusals on record for the device")

    def test_the_phones_page_shows_the_last_attempt_in_ciscos_words(self):
        device, _ = self.scheduled("string")
        self.refusal(self.issue, device, auth_string="1111")
        self.assertLastAttempt(device, "AUTH_STRING_MISMATCH")
        page = self.site.json("phone", "show", device)
        self.assertEqual(page["last_attempt"]["reason"], "AUTH_STRING_MISMATCH")
        self.assertIn("127.0.0.1", page["last_attempt"]["address"])
        self.assertEqual(page["last_attempt"]["status"], "Upgrade Failed: Invalid Authentication String")


class AlmostRightNameTest(Refusals):
    def test_a_certificate_whose_name_is_almost_right_is_refused(self):
        device, _ = self.scheduled("mic", device="SEP001122334455")
        cases = {
            "a letter before": ["CP-8861-xSEP001122334455"],
            "a digit more": ["CP-8861-SEP0011223344556"],
            "a digit less": ["CP-8861-SEP00112233445"],
            "lower case": ["CP-8861-sep001122334455"],
            "a NUL and more": ["CP-8861-SEP001122334455\0.example.com"],
            "a NUL at the end": ["CP-8861-SEP001122334455\0"],
            "a NUL before": ["CP-8861-\0SEP001122334455"],
            "a space after": ["CP-8861-SEP001122334455 "],
            "two names, the right one first": ["CP-8861-SEP001122334455", "CP-8861-SEP001122334456"],
            "two names, the right one last": ["CP-8861-SEP001122334456", "CP-8861-SEP001122334455"],
            "the right name twice": ["CP-8861-SEP001122334455", "CP-8861-SEP001122334455"],
            "no hyphen before it": ["CP8861SEP001122334455"],
            "an asterisk": ["CP-8861-SEP*"],
            "nothing after the hyphen": ["CP-8861-"],
        }
        for what, names in cases.items():
            with self.subTest(what):
                before = self.state_of(device)
                self.assertStranger(self.refusal(self.issue, device, self.manufacturer.mic(device, common_names=names)))
                self.assertEqual(self.state_of(device), before)
        self.issue(device, self.manufacturer.mic(device))


class DeviceNameTest(Refusals):
    def test_a_name_outside_the_alphabet_is_refused_by_both_ports(self):
        for name in ("", "SEP 1", "SEP/1", "SEP\u00e91", "-SEP1", "SEP1-", ".SEP1", "SEP1\n", "SEP'1", "SEP%", "x" * 51,
                     "SEP\0A"):
            with self.subTest(repr(name)):
                refusal = self.refusal(self.issue, name)
                self.assertEqual((refusal.code, refusal.reason),
                                 (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_DEVICE_NAME"))
                with rpc.admin_client(self.site) as admin:
                    refusal = self.refusal(admin.AddPhones, devices=[name])
                self.assertEqual(refusal.reason, "INVALID_DEVICE_NAME")

    def test_capfctl_refuses_it_too(self):
        for command in (("phone", "add"), ("phone", "show"), ("operation", "show"), ("certificate", "show"),
                        ("operation", "schedule", "install", "--auth", "null")):
            with self.subTest(command):
                self.assertSays(self.site.capfctl(*command, "SEP/1", code=2), "INVALID_REQUEST", "device")


class RequestTest(Refusals):
    def assertRefusedRequest(self, request, *reasons, options=EC):
        device, _ = self.scheduled("null", *options)
        before = self.site.json("certificate", "list", "--device", device)
        refusal = self.refusal(self.issue, device, request=request)
        self.assertEqual(refusal.code, grpc.StatusCode.INVALID_ARGUMENT, refusal)
        self.assertIn(refusal.reason, reasons)
        self.assertTrue(refusal.details)
        self.assertEqual(self.site.json("certificate", "list", "--device", device), before)
        self.assertIn(device, [each["device"] for each in self.site.json("operation", "list", "--state", "pending")])

    def test_what_is_not_pkcs10_in_der_is_refused(self):
        good = pki.request(pki.make_key())
        pem = pki.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc",
                          "-subj", "/CN=x", "-keyout", "/dev/null").stdout.encode()
        cases = {
            "nothing": b"\0",
            "words": b"give me a certificate",
            "PEM": pem,
            "a certificate": pki.der(self.manufacturer.certificate),
            "cut short": good[:-10],
            "something after it": good + b"\0",
            "random": hashlib.sha512(b"random").digest() * 8,
            "nested for ever": b"\x30\x80" * 2000,
        }
        for what, request in cases.items():
            with self.subTest(what):
                self.assertRefusedRequest(request, "INVALID_CERTIFICATION_REQUEST", "REQUEST_SIGNATURE", "KEY_ENCODING")

    def test_a_request_of_ten_megabytes_is_refused(self):
        device, _ = self.scheduled("null")
        refusal = self.refusal(self.issue, device, request=b"\x30" * 10_000_000)
        self.assertIn(refusal.code, (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED))
        self.assertRefusedRequest(b"\x30" * 9000, "REQUEST_TOO_LARGE")
        self.issue(device)

    def test_a_request_that_another_key_signed_is_refused(self):
        self.assertRefusedRequest(
            pki.request_signed_by_another_key(pki.make_key(), pki.make_key()), "REQUEST_SIGNATURE")
        self.assertRefusedRequest(
            pki.request_signed_by_another_key(pki.make_key("rsa-2048"), pki.make_key("rsa-2048")), "REQUEST_SIGNATURE",
            options=("--key-order", "rsa"))

    def test_a_weak_key_or_one_of_another_kind_is_refused(self):
        rsa = ("--key-order", "rsa")
        cases = {
            "RSA 512": (pki.make_key("rsa-512"), rsa, ("KEY_SIZE_REFUSED", "KEY_SIZE_MISMATCH")),
            "RSA 1024, not allowed": (pki.make_key("rsa-1024"), rsa, ("KEY_SIZE_REFUSED", "KEY_SIZE_MISMATCH")),
            "RSA 3072 for 2048": (pki.make_key("rsa-3072"), rsa, ("KEY_SIZE_MISMATCH",)),
            "P-224": (pki.make_key("p-224"), EC, ("KEY_TYPE_REFUSED",)),
            "P-384 for P-256": (pki.make_key("p-384"), EC, ("KEY_SIZE_MISMATCH",)),
            "RSA for EC": (pki.make_key("rsa-2048"), EC, ("KEY_SIZE_MISMATCH", "KEY_TYPE_REFUSED")),
            "EC for RSA": (pki.make_key(), rsa, ("KEY_SIZE_MISMATCH", "KEY_TYPE_REFUSED")),
        }
        for what, (key, options, reasons) in cases.items():
            with self.subTest(what):
                self.assertRefusedRequest(pki.request(key), *reasons, options=options)

    def test_the_key_of_a_mic_gets_no_lsc(self):
        device, _ = self.scheduled("mic")
        mic = self.manufacturer.mic(device)
        refusal = self.refusal(self.issue, device, mic, request=pki.request(mic.key))
        self.assertEqual(refusal.reason, "KEY_RESERVED")

    def test_a_key_that_was_revoked_as_compromised_never_comes_back(self):
        device, _ = self.scheduled("null")
        request = pki.request(pki.make_key())
        self.issue(device, request=request)
        self.site.capfctl("certificate", "revoke", device, "--reason", "keyCompromise", "--yes")
        self.site.capfctl("phone", "unblock", device)
        self.site.schedule(device, "install", "null", *EC)
        self.assertEqual(self.refusal(self.issue, device, request=request).reason, "KEY_COMPROMISED")


class OperationTest(Refusals):
    def test_after_the_deadline_the_phone_is_refused_and_the_operation_is_overdue(self):
        device, digits = self.scheduled("string")
        self.site.sql("update operations set created_at = created_at - interval '2 hours', "
                      "completes_by = now() - interval '1 minute' "
                      f"where phone_id = (select id from phones where device = '{device}')", user="postgres")
        done = self.site.phone(device, "--string", digits, code=1)
        self.assertSays(done, "DEADLINE_PASSED")
        refusal = self.refusal(self.issue, device, auth_string=digits)
        self.assertEqual((refusal.code, refusal.reason), (grpc.StatusCode.FAILED_PRECONDITION, "DEADLINE_PASSED"))
        self.assertIn(device, [each["device"] for each in self.site.json("operation", "list", "--state", "overdue")])

    def test_what_is_not_pending_is_refused_to_the_authenticated_phone(self):
        device, digits = self.scheduled("string")
        with rpc.phone_client(self.site) as phone:
            refusal = self.refusal(phone.DeleteCertificate, credential=credential(device, digits))
        self.assertEqual((refusal.code, refusal.reason), (grpc.StatusCode.FAILED_PRECONDITION, "OPERATION_KIND"))

    def test_confirming_what_was_not_issued_is_refused(self):
        device, digits = self.scheduled("string")
        with rpc.phone_client(self.site) as phone:
            refusal = self.refusal(phone.ConfirmCertificate, credential=credential(device, digits), sha256=b"\1" * 32)
            self.assertEqual(refusal.code, grpc.StatusCode.FAILED_PRECONDITION)
            refusal = self.refusal(phone.ConfirmCertificate, credential=credential(device, digits), sha256=b"\1" * 31)
            self.assertEqual(refusal.code, grpc.StatusCode.INVALID_ARGUMENT)

    def test_a_cancelled_operation_issues_nothing(self):
        device, digits = self.scheduled("string")
        self.site.capfctl("operation", "cancel", device)
        self.assertStranger(self.refusal(self.issue, device, auth_string=digits))

    def test_a_revoked_lsc_is_refused(self):
        device = self.device()
        path = self.site.enrol(device)
        self.site.capfctl("certificate", "revoke", device, "--reason", "superseded", "--yes")
        self.site.schedule(device, "install", "lsc", *EC)
        identity = rpc.FileIdentity(path, self.site.phones / f"{device}.key")
        self.assertStranger(self.refusal(self.issue, device, identity))

    def test_an_expired_mic_counts_only_where_the_anchor_says_so(self):
        maker = pki.Manufacturer.root("Old Maker CA")
        path, _ = maker.write(self.site.folder / "old-maker", "maker")
        until = (pki.now() + 30 * pki.DAY).isoformat() + "Z"
        self.site.trust("mic", path, "--allow-expired-until", until)
        device, _ = self.scheduled("mic")
        expired = maker.mic(device, not_before=pki.now() - 4000 * pki.DAY, not_after=pki.now() - pki.DAY)
        self.issue(device, expired)
        self.assertTrue(self.site.operation(device)["expired_mic"])

    def test_an_anchor_speaks_for_its_own_devices_only(self):
        maker = pki.Manufacturer.root("Small Maker CA")
        path, _ = maker.write(self.site.folder / "small-maker", "maker")
        self.site.trust("mic", path, "--devices", "TAB*")
        device, _ = self.scheduled("mic")
        self.assertStranger(self.refusal(self.issue, device, maker.mic(device)))
        self.assertLastAttempt(device, "CERTIFICATE_OUTSIDE_ANCHOR")
        small, _ = self.scheduled("mic", device=self.device("TAB"))
        self.issue(small, maker.mic(small))

    def test_an_issuer_that_nobody_trusts_is_listed_until_it_is_added(self):
        root = pki.Manufacturer.root("Unlisted Root CA")
        maker = root.intermediate("Unlisted Maker CA")
        paths = [each.write(self.site.folder / "unlisted", stem)[0] for each, stem in ((root, "root"), (maker, "maker"))]
        device, _ = self.scheduled("mic")
        mic = maker.mic(device)

        def listed(name):
            found = [each for each in self.site.json("trust", "candidates") if f"CN={name}" in each["issuer"]]
            return found[0] if found else None
        for chain, path, name in (((), paths[1], "Unlisted Maker CA"), (maker.chain, paths[0], "Unlisted Root CA")):
            self.assertIsNone(listed(name))
            for _ in range(2):
                self.assertStranger(self.refusal(self.issue, device, pki.Identity(mic.certificate, mic.key, chain)))
            candidate = eventually(lambda n=name: listed(n), "it is on record")
            said = pki.openssl("x509", "-in", path, "-noout", "-ext", "subjectKeyIdentifier").stdout.split()[-1]
            self.assertEqual(candidate["key_identifier"], said.replace(":", "").lower())
            self.assertEqual((candidate["certificate_sha256"], candidate["devices"], candidate["addresses"]),
                             (mic.sha256, [device], ["127.0.0.1"]))
            self.assertIn(device, candidate["subject"])
            self.assertLessEqual(candidate["first_at"], candidate["last_at"])
        table = self.site.capfctl("trust", "candidates")
        self.assertIn("CN=Unlisted Root CA", table.stdout)
        self.assertIn("capfctl trust add mic", table.stderr)
        self.assertLastAttempt(device, "CERTIFICATE_UNKNOWN_ISSUER")
        for path in paths:
            self.site.trust("mic", path)
        self.issue(device, mic)

    def test_a_removed_anchor_speaks_for_nobody(self):
        maker = pki.Manufacturer.root("Former Maker CA")
        path, _ = maker.write(self.site.folder / "former-maker", "maker")
        self.site.trust("mic", path)
        device, _ = self.scheduled("mic")
        self.site.capfctl("trust", "remove", maker.sha256, "--yes")
        self.assertStranger(self.refusal(self.issue, device, maker.mic(device)))


class WrongStringTest(Refusals):
    """On a site of their own: wrong strings are counted for the address too, and the other tests share it."""

    @classmethod
    def setUpClass(cls):
        cls.site = Site()
        cls.addClassCleanup(cls.site.close)

    def test_five_wrong_strings_from_one_address_close_the_device_to_that_address(self):
        device, digits = self.scheduled("string")
        wrong = "1" * 8 if digits != "1" * 8 else "2" * 8
        for _ in range(5):
            self.assertStranger(self.refusal(self.issue, device, auth_string=wrong))
        self.assertStranger(self.refusal(self.issue, device, auth_string=digits))
        self.assertLastAttempt(device, "ADDRESS_LIMITED")
        self.site.capfctl("phone", "unlock", device)
        self.issue(device, auth_string=digits)

    def test_a_branch_behind_one_address_is_not_locked_out_by_phones_that_repeat_an_old_string(self):
        self.site.capfctl("address", "unlock", "127.0.0.1")
        for _ in range(13):
            device, digits = self.scheduled("string")
            old = "1" * 8 if digits != "1" * 8 else "2" * 8
            for _ in range(4):
                self.assertStranger(self.refusal(self.issue, device, auth_string=old))
                self.assertLastAttempt(device, "AUTH_STRING_MISMATCH")
        for _ in range(5):
            device, digits = self.scheduled("string")
            self.issue(device, auth_string=digits)

    def test_an_address_that_is_limited_is_shown_and_unlocked(self):
        self.site.capfctl("address", "unlock", "127.0.0.1")
        device, digits = self.scheduled("string")
        for number in range(50):
            self.assertStranger(self.refusal(self.issue, f"SEP{number:012X}", auth_string=f"{number:08d}"))
        self.assertStranger(self.refusal(self.issue, device, auth_string=digits))
        self.assertLastAttempt(device, "ADDRESS_LIMITED")
        limited = [each for each in self.site.json("address", "list") if each["device"] is None]
        self.assertEqual([(each["address"], each["strings"], each["limit"]) for each in limited], [("127.0.0.1", 50, 50)])
        self.assertSays(self.site.capfctl("address", "unlock", "nowhere", code=2), "INVALID_REQUEST")
        self.site.capfctl("address", "unlock", "127.0.0.1")
        self.assertEqual([each for each in self.site.json("address", "list") if each["device"] is None], [])
        self.assertEqual(self.site.json("audit", "list", "--subject", "127.0.0.1")[-1]["action"], "address.unlock")
        self.issue(device, auth_string=digits)

    def test_a_short_string_is_exhausted_sooner(self):
        device = self.site.add_phone(self.device())
        self.site.capfctl("operation", "schedule", "install", device, "--auth", "string", "--string", "4711")
        for wrong in range(10):  # min(100, 10^4 / 1000)
            self.site.capfctl("phone", "unlock", device)
            self.refusal(self.issue, device, auth_string=f"{wrong:04d}")
        self.site.capfctl("phone", "unlock", device)
        self.assertStranger(self.refusal(self.issue, device, auth_string="4711"))
        operation = self.site.operation(device)
        self.assertEqual((operation["state"], operation["reason"]), ("failed", "AUTH_STRING_EXHAUSTED"))

    def test_null_string_ends_after_24_hours(self):
        device, _ = self.scheduled("null")
        completes_by = self.site.operation(device)["completes_by"]
        limit = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=24, minutes=1)
        self.assertLess(datetime.datetime.fromisoformat(completes_by.replace("Z", "+00:00")), limit)


if __name__ == "__main__":
    unittest.main()
