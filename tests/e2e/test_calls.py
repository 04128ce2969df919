"""How secure calls are, for SIP servers: over gRPC, by capfctl, and over HTTP with JSON, on the machine and beyond it."""

import contextlib
import hashlib
import http.client
import json
import socket
import ssl
import unittest

import grpc

from e2e import pki, rpc
from e2e.issued import certificates_in
from e2e.rpc import monitor_pb2
from e2e.site import PROGRAMS, EndToEnd, Site, eventually, run

EC = ("--key-order", "ec", "--ec-size", "256")
LOOPBACK = '\n[listen.calls]\nenabled = true\n'
BEYOND = '\n[listen.calls]\nenabled = true\naddresses = ["0.0.0.0"]\n'


def sha256(path):
    """Of the first certificate in a PEM file."""
    return hashlib.sha256(certificates_in(path)[0]).hexdigest()


def seen(device, certificate, **others):
    """A party as a SIP server sees a secure phone."""
    return {"party": device, "observed": {"transport": "tls", "audio": "srtp", "video": "none",
                                          "certificate_sha256": certificate, **others}}


class CallTest(EndToEnd, rpc.RefusalTests):
    """On a mixed site with a profile `secure`, whose phones are encrypted."""
    settings = LOOPBACK

    @classmethod
    def setUpClass(cls):
        cls.site = Site(settings=lambda text: text + cls.settings)
        cls.addClassCleanup(cls.site.close)
        cls.site.sql("update site_security set mode = 'mixed'")
        cls.site.sql("insert into profiles (name, mode) values ('secure', 'encrypted')")

    def secure(self):
        """A phone that is encrypted. @return its name and its certificate's SHA-256"""
        device = self.device()
        path = self.site.enrol(device, *EC)
        self.apply(device)
        return device, sha256(path)

    def apply(self, device):
        self.site.sql("update phones set profile_id = (select id from profiles where name = 'secure') "
                      f"where device = '{device}'")

    def ask(self, method="GET", path="/call-status", body=None, headers=None, context=None):
        """@return the status and the JSON of the answer"""
        address = self.site.server.endpoints["calls"]
        connection = http.client.HTTPSConnection(address, timeout=60, context=context) if context else \
            http.client.HTTPConnection(address, timeout=60)
        self.addCleanup(connection.close)
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        connection.request(method, path, body, headers or ({"Content-Type": "application/json"} if body is not None else {}))
        response = connection.getresponse()
        text = response.read()
        self.assertEqual(response.getheader("Content-Type"), "application/json", text)
        self.assertEqual(response.getheader("Cache-Control"), "no-store")
        return response.status, json.loads(text)

    def level(self, *parties):
        return self.site.json("call-status", *parties)["level"]


class AnswerTest(CallTest):
    def test_a_call_is_secure_until_one_lsc_is_revoked(self):
        (first, _), (second, _) = self.secure(), self.secure()
        third = self.site.add_phone(self.device())
        self.assertEqual(self.level(first, second), "encrypted")
        answer = self.site.json("call-status", first, second, third)
        self.assertEqual((answer["level"], answer["icon"], answer["call_info"]), ("nonsecure", "none", "NotAuthenticated"))
        self.site.capfctl("certificate", "revoke", second, "--reason", "cessationOfOperation", "--yes")
        answer = self.site.json("call-status", first, second)
        self.assertEqual(answer["level"], "nonsecure")
        self.assertEqual(answer["parties"][1], {
            "party": second, "level": "nonsecure", "basis": "configured", "reasons": ["CERTIFICATE_REVOKED"],
            "device": None, "admitted": True})

    def test_a_phone_that_is_blocked_while_its_calls_are_classified(self):
        device, _ = self.secure()
        answers = []
        with rpc.monitor_client(self.site) as monitor:
            ask = lambda: monitor.ClassifyCall(parties=[monitor_pb2.CallParty(party=device)])
            answers += [ask().level for _ in range(20)]
            self.site.capfctl("phone", "block", device)
            after = ask()
        self.assertEqual(answers, ["encrypted"] * 20)
        self.assertEqual((after.level, list(after.parties[0].reasons)), ("nonsecure", ["DEVICE_BLOCKED"]))

    def test_barge_and_minimum(self):
        (first, _), (second, _) = self.secure(), self.secure()
        plain = self.site.add_phone(self.device())
        answer = self.site.json("call-status", first, second, "--barge", plain)
        self.assertEqual((answer["level"], answer["barge"]["allowed"], answer["barge"]["level_after"]),
                         ("encrypted", False, "encrypted"))
        answer = self.site.json("call-status", first, plain, "--barge", second)
        self.assertEqual((answer["barge"]["allowed"], answer["barge"]["level_after"]), (True, "nonsecure"))
        answer = self.site.json("call-status", first, plain, "--minimum", "authenticated")
        self.assertEqual([party["admitted"] for party in answer["parties"]], [True, False])

    def test_a_line_rings_and_is_answered(self):
        device, certificate = self.secure()
        plain = self.site.add_phone(self.device())
        self.site.sql("insert into lines (name, added_by) values ('1001', 'test')")
        self.site.sql("insert into line_members (line_id, phone_id, profile_id) select l.id, p.id, p.profile_id from lines l, "
                      f"phones p where p.device in ('{device}', '{plain}')")
        answer = self.site.json("call-status", "line:1001")
        self.assertEqual((answer["level"], answer["parties"][0]["device"]), ("nonsecure", plain))
        answer = self.site.json("call-status", "line:1001", "--observed",
                                f"line:1001,answered-by={device},transport=tls,audio=srtp,certificate={certificate}")
        self.assertEqual((answer["level"], answer["parties"][0]["basis"]), ("encrypted", "observed"))
        self.assertEqual(self.level("line:1002"), "nonsecure")

    def test_trunks_and_bridges_that_the_site_trusts(self):
        device, _ = self.secure()
        self.assertEqual(self.site.json("call-status", device, "trunk:provider")["parties"][1]["reasons"],
                         ["TRUNK_NOT_TRUSTED"])
        self.site.capfctl("trusted-party", "add", "trunk:provider", "--level", "authenticated")
        self.assertSays(self.site.capfctl("trusted-party", "add", "trunk:provider", "--level", "authenticated"), "already")
        self.site.capfctl("trusted-party", "add", "bridge:provider", "--level", "encrypted")
        self.assertEqual(self.level(device, "trunk:provider"), "authenticated")
        self.assertEqual(self.level(device, "bridge:provider"), "encrypted")
        listed = self.site.json("trusted-party", "list")
        self.assertEqual([(each["party"], each["level"], each["changed_by"]) for each in listed],
                         [("trunk:provider", "authenticated", "admin"), ("bridge:provider", "encrypted", "admin")])
        for party in ("trunk:provider", "bridge:provider"):
            self.site.capfctl("trusted-party", "remove", party)
        self.assertSays(self.site.capfctl("trusted-party", "remove", "trunk:provider", code=1), "UNKNOWN_PARTY")
        self.assertEqual(self.site.json("trusted-party", "list"), [])
        actions = [(event["action"], event["subject"]) for event in
                   self.site.json("audit", "list", "--action", "trusted_party") if event["outcome"] == "done"]
        self.assertEqual(actions, [("trusted_party.add", "trunk:provider"), ("trusted_party.add", "bridge:provider"),
                                   ("trusted_party.remove", "trunk:provider"), ("trusted_party.remove", "bridge:provider")])

    def test_what_is_wrong_with_a_question_is_said(self):
        device, _ = self.secure()
        for words, options in {"none of transport=": (f"{device},transprot=tls",),
                               "begins with a party of the call": ("SEP1,transport=tls",)}.items():
            self.assertSays(self.site.capfctl("call-status", device, "--observed", *options, code=2), words)
        self.assertSays(self.site.capfctl("call-status", device, "--observed", f"{device},transport=sctp", code=2),
                        "INVALID_REQUEST", "udp, tcp or tls")
        self.assertSays(self.site.capfctl("call-status", "gateway:x", code=2), "INVALID_DEVICE_NAME")
        with rpc.monitor_client(self.site) as monitor:
            for count in (0, 101, 1000):
                parties = [monitor_pb2.CallParty(party=device)] * count
                refusal = self.refusal(monitor.ClassifyCall, parties=parties)
                self.assertEqual((refusal.code, refusal.reason), (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"))
            self.assertEqual(len(monitor.ClassifyCall(parties=[monitor_pb2.CallParty(party=device)] * 100).parties), 100)


class ObservedTest(CallTest):
    def events(self, device):
        return [(event["outcome"], event["reason"]) for event in
                self.site.json("audit", "list", "--subject", device, "--action", "call.observe")]

    def observe(self, device, certificate, **others):
        status, answer = self.ask("POST", body={"parties": [seen(device, certificate, **others)]})
        self.assertEqual(status, 200, answer)
        return answer["level"], answer["parties"][0]["reasons"]

    def test_the_certificate_of_the_connection_is_the_devices_own_and_good(self):
        (device, own), (_, others) = self.secure(), self.secure()
        self.assertEqual(self.observe(device, own), ("encrypted", []))
        colons = ":".join(own[at:at + 2] for at in range(0, 64, 2)).upper()
        self.assertEqual(self.observe(device, colons), ("encrypted", []))
        self.assertEqual(self.events(device), [])
        self.assertEqual(self.observe(device, others), ("nonsecure", ["CERTIFICATE_MISMATCH"]))
        self.assertEqual(self.observe(device, "00" * 32), ("nonsecure", ["CERTIFICATE_MISMATCH"]))
        self.site.capfctl("certificate", "revoke", device, "--reason", "cessationOfOperation", "--yes")
        self.assertEqual(self.observe(device, own), ("nonsecure", ["CERTIFICATE_REVOKED"]))
        self.assertEqual(self.events(device), [("refused", "CERTIFICATE_NAME_MISMATCH"),
                                               ("refused", "CERTIFICATE_NOT_ON_RECORD"), ("refused", "CERTIFICATE_REVOKED")])
        address = self.site.server.endpoints["metrics"]
        connection = http.client.HTTPConnection(address, timeout=60)
        self.addCleanup(connection.close)
        connection.request("GET", "/metrics")
        self.assertRegex(connection.getresponse().read().decode(),
                         r'capf_observed_certificates_refused_total\{reason="CERTIFICATE_REVOKED"\} \d')

    def test_an_upgraded_phone_does_not_come_with_its_former_lsc(self):
        device, first = self.secure()
        self.site.schedule(device, "install", "lsc", *EC)
        self.site.phone(device)
        self.assertEqual(self.observe(device, first), ("nonsecure", ["CERTIFICATE_SUPERSEDED"]))
        self.assertEqual(self.observe(device, sha256(self.site.phones / f"{device}.pem")), ("encrypted", []))

    def test_media_and_ciphers_lower_a_party(self):
        device, own = self.secure()
        self.assertEqual(self.observe(device, own, video="rtp"), ("authenticated", ["OBSERVED_LESS"]))
        self.assertEqual(self.observe(device, own, cipher="NULL-SHA256"), ("authenticated", ["OBSERVED_LESS"]))
        status, answer = self.ask("POST", body={"parties": [{"party": device, "observed": {"transport": "udp"}}]})
        self.assertEqual((status, answer["level"], answer["parties"][0]["basis"]), (200, "nonsecure", "observed"))


class HttpTest(CallTest):
    def test_a_dial_plan_asks_of_one_device(self):
        device, _ = self.secure()
        status, answer = self.ask(path=f"/call-status?device={device}")
        self.assertEqual((status, answer["level"], answer["icon"], answer["call_info"]),
                         (200, "encrypted", "lock", "Encrypted"))
        self.assertEqual(answer["parties"], [{"party": device, "level": "encrypted", "basis": "configured", "reasons": [],
                                              "device": "", "admitted": True}])
        self.assertEqual(self.ask(path=f"/call-status?device=%{ord(device[0]):02x}{device[1:]}")[1]["level"], "encrypted")
        self.assertEqual(self.ask(path="/call-status?device=nobody")[1]["parties"][0]["reasons"], ["DEVICE_UNKNOWN"])

    def test_and_of_a_call_as_it_is_over_grpc(self):
        (first, own), (second, _) = self.secure(), self.secure()
        status, answer = self.ask("POST", body={
            "parties": [seen(first, own), {"party": second}, {"party": "bridge:room"}], "minimum": "encrypted",
            "barge": {"party": "trunk:provider"}})
        self.assertEqual(status, 200)
        self.assertEqual(answer["level"], "nonsecure")
        self.assertEqual([party["admitted"] for party in answer["parties"]], [True, True, False])
        self.assertEqual(answer["parties"][2]["reasons"], ["BRIDGE_NOT_SECURE"])
        self.assertEqual((answer["barge"]["allowed"], answer["minimum"]), (False, "encrypted"))

    def test_bad_questions_are_answered_with_what_is_wrong(self):
        device, _ = self.secure()
        party = {"party": device}
        for words, body in {
                "1 to 100 parties": {"parties": []}, "a call has 1 to 100": {"parties": [party] * 1000},
                "foo": {"parties": [party], "foo": 1}, "not the JSON": "{", "not the JSON of": "[]", "not the JSON of a": {"parties": 7},
                "UTF-8": b'{"parties": [{"party": "\xff"}]}', "udp, tcp or tls": {"parties": [seen(device, "", transport="x")]},
                "64 hexadecimal digits": {"parties": [seen(device, "abcd")]},
                "letters, digits": {"parties": [{"party": "SEP 1"}]},
                "name it": {"parties": [{"party": "line:1", "observed": {"transport": "tls"}}]},
                "none is compared": {"parties": [seen("trunk:provider", "00" * 32)]},
                "a minimum is": {"parties": [party], "minimum": "high"},
                "is not the JSON": "[" * 20000}.items():
            with self.subTest(words):
                status, answer = self.ask("POST", body=body)
                self.assertEqual(status, 400, answer)
                self.assertIn(words, answer["message"])
                self.assertIn(answer["reason"], ("INVALID_REQUEST", "INVALID_DEVICE_NAME"))
                self.assertLess(len(answer["message"]), 600)
        for path in ("/call-status", "/call-status?device=", "/call-status?device=%zz", "/call-status?device=a&device=b"):
            self.assertEqual(self.ask(path=path)[0], 400)
        self.assertEqual(self.ask(path="/")[0], 404)
        self.assertEqual(self.ask("DELETE")[0], 405)
        self.assertEqual(self.ask("POST", body="{}", headers={"Content-Type": "text/plain"})[0], 415)
        self.assertEqual(self.ask("POST", path="/call-status?device=x", body={"parties": [party]})[0], 400)

    def test_a_question_has_a_size(self):
        host, port = self.site.server.endpoints["calls"].rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=60) as link:
            link.sendall(b"POST /call-status HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                         b"Content-Length: 10000000\r\n\r\n")
            self.assertTrue(link.recv(4096).startswith(b"HTTP/1.1 413 "))


class TlsTest(CallTest):
    """Beyond loopback."""
    settings = BEYOND

    def context(self, name=None):
        context = ssl.create_default_context(cafile=self.site.state / "certificates/site-ca.pem")
        if name:
            context.load_cert_chain(self.site.state / "admin" / f"{name}.pem", self.site.state / "admin" / f"{name}.key")
        return context

    def refusals(self):
        return {row["reason"] for row in self.site.json("audit", "list", "--refusals")}

    def test_every_role_asks_and_a_disabled_administrator_no_more(self):
        device, own = self.secure()
        self.site.capfctl("administrator", "add", "pbx", "--role", "monitor")
        context = self.context("pbx")
        self.assertEqual(self.ask(path=f"/call-status?device={device}", context=context)[1]["level"], "encrypted")
        many = {"parties": [seen(device, own)] * 100}
        status, answer = self.ask("POST", body=many, context=context)
        self.assertEqual((status, answer["level"], len(answer["parties"])), (200, "encrypted", 100))
        self.assertEqual(self.ask("POST", body={"parties": [seen(device, "11" * 32)]}, context=context)[1]["level"],
                         "nonsecure")
        self.assertEqual({event["actor"] for event in self.site.json("audit", "list", "--action", "call.observe")}, {"pbx"})
        self.site.capfctl("administrator", "disable", "pbx", "--yes")
        status, answer = self.ask(path=f"/call-status?device={device}", context=context)
        self.assertEqual((status, answer["reason"]), (401, "ADMINISTRATOR_DISABLED"))
        eventually(lambda: "ADMINISTRATOR_DISABLED" in self.refusals(), "it is on record")

    def test_one_connection_asks_again_and_again(self):
        device, _ = self.secure()
        connection = http.client.HTTPSConnection(self.site.server.endpoints["calls"], timeout=60,
                                                 context=self.context("admin"))
        self.addCleanup(connection.close)
        for _ in range(50):
            connection.request("GET", f"/call-status?device={device}")
            self.assertEqual(json.loads(connection.getresponse().read())["level"], "encrypted")
        connection.request("POST", "/call-status", iter([b'{"parties":', b' [{"party": "trunk:x"}]}']),
                           {"Content-Type": "application/json"}, encode_chunked=True)
        self.assertEqual(json.loads(connection.getresponse().read())["parties"][0]["reasons"], ["TRUNK_NOT_TRUSTED"])

    def test_a_stranger_hears_nothing(self):
        for context in (self.context(), self.strangers_context()):
            with self.assertRaises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
                self.ask(path="/call-status?device=SEP1", context=context)
        eventually(lambda: {"CLIENT_CERTIFICATE_REQUIRED", "ADMINISTRATOR_UNKNOWN"} <= self.refusals(), "it is on record")
        host, port = self.site.server.endpoints["calls"].rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=60) as link:
            link.sendall(b"GET /call-status?device=SEP1 HTTP/1.1\r\nHost: x\r\n\r\n")
            with self.subTest("without TLS"), contextlib.suppress(ConnectionError):
                self.assertNotIn(b"HTTP", link.recv(4096))

    def strangers_context(self):
        """With a certificate of an administrator's name under a CA of its own."""
        identity = pki.Manufacturer.root("Site CA").mic("admin", common_names=["admin"])
        folder = self.site.folder
        (folder / "stranger.pem").write_bytes(identity.certificate_pem)
        (folder / "stranger.key").write_bytes(identity.key_pem)
        context = self.context()
        context.load_cert_chain(folder / "stranger.pem", folder / "stranger.key")
        return context


class OffTest(EndToEnd):
    def test_without_the_setting_nothing_listens_for_dial_plans(self):
        self.assertNotIn("calls", self.site.server.endpoints)
        text = run(PROGRAMS / "capfd", "check-config", "--describe", "toml").stdout
        self.assertRegex(text[text.index("[listen.calls]"):], r"^\[listen\.calls\]\n(#.*\n)*enabled = false\n")


if __name__ == "__main__":
    unittest.main()
