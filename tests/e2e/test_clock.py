"""Clocks that jump an hour and a year, forwards and back, one program's at a time. A server that is more than a minute
away from its database neither authenticates nor signs, and says why, because neither can tell which clock is wrong. The
clock of a phone does not matter."""

import json
import time
import unittest
import urllib.error
import urllib.request
from unittest import mock

import grpc

from e2e import faults, pki, rpc, wire_phone
from e2e.faults import Fleet, faked, set_clock
from e2e.site import EndToEnd, eventually

JUMPS = tuple(sign * length for length in (3600, 365 * 86400) for sign in (1, -1))
CHANGES = "select count(*) from audit_events where actor_kind = 'device'"


class Clocks(EndToEnd, rpc.RefusalTests):
    def ready(self):
        try:
            with urllib.request.urlopen(f"http://{self.site.server.endpoints['metrics']}/readyz", timeout=30) as answer:
                return answer.status == 200
        except urllib.error.HTTPError as error:
            self.assertEqual(error.code, 503)
            self.assertIn(b"CLOCK_SKEW", error.read())
            return False

    def jump(self, clock, seconds):
        """Phones come; in the middle the clock jumps; then it is right again."""
        fleets = [Fleet(self.site, 30), Fleet(self.site, 30, wire=True)]
        waiting = self.site.add_phone(self.device())
        self.site.schedule(waiting, "install", "null", *faults.EC)
        self.addCleanup(lambda: [fleet.kill() for fleet in fleets])
        with wire_phone.Phone(self.site.server.endpoints["wire"], waiting) as session:
            wanted = session.do(until=wire_phone.KEY_REQUEST)
            for fleet in fleets:
                fleet.start()
            eventually(lambda: sum(fleet.held() for fleet in fleets) > 10, "phones enrol")
            set_clock(clock, seconds)
            eventually(lambda: not self.ready(), "the server says that it does not serve")
            # Work that began before has ended.
            before = eventually(self.nothing_changes, "nothing changes any more")
            # A session that authenticated before gets nothing signed; the server may have closed it while it was silent.
            with self.assertRaises(wire_phone.Closed):
                session.answer(wire_phone.KEY_REQUEST, wanted)
                session.hear()
        with rpc.phone_client(self.site) as phone:
            refusal = self.refusal(phone.IssueCertificate, credential=rpc.credential(waiting),
                                   certification_request=pki.request(pki.make_key()))
        self.assertEqual((refusal.code, refusal.reason), (grpc.StatusCode.UNAVAILABLE, "CLOCK_SKEW"))
        self.assertIsNotNone(refusal.retry_delay)
        self.assertSays(self.site.phone(waiting, "--tries", "1", code=1), "CLOCK_SKEW")
        self.assertIn("NOT_SERVING, CLOCK_SKEW: ", self.site.capfctl("check", "health", code=2).stdout)
        self.assertEqual(self.site.sql(CHANGES), before)
        set_clock(clock, 0)
        eventually(self.ready, "ready again")
        for fleet in fleets:
            fleet.served()
        self.site.phone(waiting)

    def nothing_changes(self):
        before, until = self.site.sql(CHANGES), time.monotonic() + 2
        while time.monotonic() < until:
            if self.site.sql(CHANGES) != before:
                return None
        return before

    def account(self):
        self.assertEqual(faults.account(self.site), [])
        self.assertEqual(faults.sealed(self.site), [])


class ServerTest(Clocks):
    def test_the_servers_clock(self):
        self.site = faults.FaultySite(durable=False)
        self.addCleanup(self.site.close)
        clock = self.site.folder / "clock"
        set_clock(clock, 0)
        self.site.server.stop()
        with mock.patch.dict("os.environ", faked(clock)):
            self.site.server.start()
        for seconds in JUMPS:
            self.jump(clock, seconds)
        self.account()


class DatabaseTest(Clocks):
    def test_the_databases_clock(self):
        self.site = faults.FaultySite(durable=False, clock="clock")
        self.addCleanup(self.site.close)
        for seconds in JUMPS:
            self.jump(self.site.folder / "clock", seconds)
        self.account()


class MachineTest(Clocks):
    """Server and database agree, and both are wrong: what the site has signed bounds the present from below."""

    def setUp(self):
        self.site = faults.FaultySite(durable=False, clock="clock", settings=lambda text: text + "\n[status]\ncrl_interval_seconds = 10\n")
        self.clock = self.site.folder / "clock"
        self.site.server.stop()
        with mock.patch.dict("os.environ", faked(self.clock)):
            self.site.server.start()
        eventually(self.ready, "ready")

    def numbers(self):
        """The numbers of the last CRL and the last seal."""
        return self.site.sql("select (select max(number) from crls), (select max(number) from audit_seals)")

    def reason(self):
        try:
            urllib.request.urlopen(f"http://{self.site.server.endpoints['metrics']}/readyz", timeout=30)
        except urllib.error.HTTPError as error:
            return error.read().decode()
        return ""

    def audit(self):
        def whole():
            done = self.site.capfctl("audit", "verify", "--output", "json", code=None)
            answer = json.loads(done.stdout)
            return answer if answer["unsealed"] == 0 else None
        return eventually(whole, "the record is sealed")

    def test_a_machine_that_starts_before_its_clock_is_set(self):
        self.addCleanup(self.site.close)
        device, other = (self.site.enrol(self.device()).stem for _ in range(2))
        self.site.capfctl("certificate", "revoke", other, "--reason", "superseded", "--yes")
        self.assertEqual(self.audit()["findings"], [])
        self.site.server.stop()
        set_clock(self.clock, -40 * 86400)
        with mock.patch.dict("os.environ", faked(self.clock)):
            self.site.server.start()
        eventually(lambda: "CLOCK_SKEW" in self.reason(), "not ready")
        eventually(lambda: "the last seal is of " in self.site.server.log_text(), "the log has the words why")
        before = self.numbers()
        refused = self.site.capfctl("phone", "add", self.device(), code=1)
        self.assertSays(refused, "CLOCK_SKEW")
        self.assertSays(self.site.capfctl("issuer", "add", "--csr-only", code=1), "CLOCK_SKEW")
        self.assertSays(self.site.capfctl("site", "recover", "--yes", code=1), "CLOCK_SKEW")
        # Methods that take something back are allowed.
        self.site.capfctl("phone", "block", device)
        time.sleep(12)  # CRLs are made every ten seconds
        self.assertEqual(self.numbers(), before)
        set_clock(self.clock, 0)
        eventually(self.ready, "it goes on by itself")
        answer = self.audit()
        self.assertEqual(answer["findings"], [])
        self.assertEqual(len(answer["remarks"]), 1)
        self.site.enrol(self.device())

    def test_a_machine_whose_clock_was_ahead(self):
        self.addCleanup(self.site.close, check=False)  # its signatures have times of that clock
        set_clock(self.clock, 2 * 3600)
        ahead = self.site.enrol(self.device()).stem
        other = self.site.enrol(self.device()).stem
        published = self.site.sql("select max(number) from crls")
        self.site.capfctl("certificate", "revoke", other, "--reason", "superseded", "--yes")
        eventually(lambda: self.site.sql("select max(number) from crls") != published, "a CRL is published")
        self.assertEqual(self.audit()["findings"], [])
        set_clock(self.clock, 0)
        eventually(lambda: "CLOCK_SKEW" in self.reason(), "not ready")
        self.assertSays(self.site.capfctl("site", "recover", "--yes", code=1), "--clock-is-right")
        self.assertFalse(self.ready())
        self.site.capfctl("site", "recover", "--yes", "--clock-is-right")
        eventually(self.ready, "ready again")
        eventually(lambda: self.site.sql("select this_update < now() from crls order by number desc limit 1") == ["t"],
                   "a CRL of today")
        self.site.enrol(self.device())
        answer = self.audit()
        self.assertEqual(answer["findings"], [])
        self.assertGreaterEqual(len(answer["remarks"]), 1)
        # It stays so when the confirmation is forgotten.
        self.site.server.stop()
        with mock.patch.dict("os.environ", faked(self.clock)):
            self.site.server.start()
        eventually(self.ready, "ready after a start")
        self.assertEqual(self.audit()["remarks"], answer["remarks"])
        found = self.site.capfctl("certificate", "verify", "--output", "json", code=1).stdout
        self.assertIn("begins in the future", found)
        self.assertIn(ahead, found)


class PhoneTest(Clocks):
    def test_a_phones_clock(self):
        """Over gRPC it does not believe a server whose certificate is not valid by its own clock, and nothing has changed;
        on the wire it knows the very certificate."""
        self.site = faults.FaultySite(durable=False)
        self.addCleanup(self.site.close)
        server = pki.x509.load_pem_x509_certificate((self.site.state / "certificates/server.pem").read_bytes())
        clock = self.site.folder / "clock"
        for seconds in JUMPS:
            set_clock(clock, seconds)
            believes = server.not_valid_before.timestamp() <= time.time() + seconds <= server.not_valid_after.timestamp()
            for wire in False, True:
                device = self.site.add_phone(self.device())
                self.site.schedule(device, "install", "null", *faults.EC)
                served = wire or believes
                self.site.phone(device, *(["--wire"] if wire else ["--tries", "1"]), env=faked(clock), code=0 if served else 3)
                self.assertEqual(self.site.operation(device)["state"], "succeeded" if served else "pending")
                if not served:
                    self.site.phone(device)
        self.account()


if __name__ == "__main__":
    unittest.main()
