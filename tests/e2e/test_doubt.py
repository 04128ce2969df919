"""The outcome of a commit whose answer was lost is never guessed: the caller learns that it is in doubt, and the next
try finds out. A proxy between the server and PostgreSQL reads along; it lets a COMMIT pass and cuts the connection
before its answer does, or cuts it before the COMMIT arrives. To the server both look alike."""

import hashlib
import unittest

import grpc

from e2e import faults, pki, rpc, wire_phone
from e2e.site import EndToEnd, Site
from e2e.wire_phone import Closed

EC = ("--key-order", "ec", "--ec-size", "256")


class Doubt(EndToEnd, rpc.RefusalTests):
    @classmethod
    def setUpClass(cls):
        cls.site = Site()
        cls.addClassCleanup(cls.site.close)
        cls.proxy = faults.Proxy(cls.site)
        cls.addClassCleanup(cls.proxy.close)
        # The server to which all programs talk in this test.
        cls.server = cls.site.add_server(cls.behind(cls.proxy))

    @classmethod
    def behind(cls, proxy):
        state = cls.site.copy_state("behind")
        path = state / "capfd.toml"
        path.write_text(path.read_text().replace(f'server = "{cls.site.database}', f'server = "host={proxy.folder}'))
        return state

    def doubtful(self, action, outcome):
        """The next transaction that writes that action into the record."""
        self.cut = []

        def on_trip(trip):
            if self.cut or trip.name != "commit" or action.encode() not in trip.transaction:
                return None
            self.cut.append(outcome)
            return outcome
        self.proxy.on_trip = on_trip

    def assertDoubted(self):
        self.assertEqual(len(self.cut), 1, "no such transaction")
        self.proxy.on_trip = None

    def both(self):
        """Each outcome, with a device of its own."""
        for outcome in "done", "undone":
            yield outcome, self.site.add_phone(self.device())

    def assertUnknown(self, refusal):
        self.assertEqual((refusal.code, refusal.reason), (grpc.StatusCode.UNAVAILABLE, "COMMIT_IN_DOUBT"))
        self.assertIsNotNone(refusal.retry_delay)
        self.assertDoubted()

    def certificates(self, device):
        return self.site.json("certificate", "list", "--device", device)

    def succeeded_once(self, device):
        self.assertEqual(self.site.operation(device)["state"], "succeeded")
        self.assertEqual(sum(each["state"] == "confirmed" for each in self.certificates(device)), 1)
        self.assertEqual(self.site.sql("select count(*) from audit_events where action = 'operation.succeeded' and "
                                       f"subject = '{device}'"), ["1"])


class PhoneTest(Doubt):
    """Over gRPC."""

    def test_an_issue_and_a_confirmation(self):
        for outcome, device in self.both():
            digits = self.site.schedule(device, "install", "string", *EC)
            request = pki.request(pki.make_key())
            with rpc.phone_client(self.site, server=self.server) as phone:
                def issue():
                    return phone.IssueCertificate(credential=rpc.credential(device, digits), certification_request=request)
                self.doubtful("certificate.issue", outcome)
                self.assertUnknown(self.refusal(issue))
                self.assertEqual(len(self.certificates(device)), 1 if outcome == "done" else 0)
                certificate = issue().certificate
                (record,) = self.certificates(device)
                serial = pki.x509.load_der_x509_certificate(certificate).serial_number
                self.assertEqual(int(record["serial"], 16), serial)

                def confirm():
                    phone.ConfirmCertificate(credential=rpc.credential(device, digits),
                                             sha256=hashlib.sha256(certificate).digest())
                self.doubtful("certificate.confirm", outcome)
                self.assertUnknown(self.refusal(confirm))
                self.assertEqual(self.certificates(device)[0]["state"], "confirmed" if outcome == "done" else "issued")
                if outcome == "undone":
                    confirm()
            self.succeeded_once(device)

    def test_a_delete(self):
        for outcome, device in self.both():
            self.site.schedule(device, "install", "null", *EC)
            self.site.phone(device)
            self.site.schedule(device, "delete", "lsc")
            identity = rpc.FileIdentity(self.site.phones / f"{device}.pem", self.site.phones / f"{device}.key")
            with rpc.phone_client(self.site, identity, server=self.server) as phone:
                self.doubtful("operation.succeeded", outcome)
                self.assertUnknown(self.refusal(phone.DeleteCertificate, credential=rpc.credential(device)))
                self.assertEqual(self.site.operation(device)["state"], "succeeded" if outcome == "done" else "pending")
                phone.DeleteCertificate(credential=rpc.credential(device))
            self.assertEqual(self.site.operation(device)["state"], "succeeded")
            self.assertEqual([each["state"] for each in self.certificates(device)], ["revoked"])

    def test_the_phone_in_software_comes_again_by_itself(self):
        for action in "certificate.issue", "certificate.confirm":
            for outcome, device in self.both():
                digits = self.site.schedule(device, "install", "string", *EC)
                self.doubtful(action, outcome)
                self.site.phone(device, "--string", digits, server=self.server)
                self.assertDoubted()
                self.succeeded_once(device)


class WireTest(Doubt):
    """On the wire the phone gets no answer: the connection closes without *end session*, and it comes again."""

    def visit(self, device, digits):
        with wire_phone.Phone(self.server.endpoints["wire"], device) as phone:
            return phone.do(digits)

    def test_each_step_of_a_session(self):
        for action in "operation.begin", "certificate.issue", "certificate.confirm":
            for outcome, device in self.both():
                digits = self.site.schedule(device, "install", "string", *EC)
                self.doubtful(action, outcome)
                self.assertRaises(Closed, self.visit, device, digits)
                self.assertDoubted()
                if action == "certificate.confirm" and outcome == "done":
                    self.assertEqual(self.visit(device, digits), 0)  # nothing is pending
                else:
                    self.assertEqual(self.visit(device, digits), 1)
                self.succeeded_once(device)


class AdministratorTest(Doubt):
    def unknown(self, *arguments):
        done = self.site.capfctl(*arguments, code=1, server=self.server)
        self.assertSays(done, "COMMIT_IN_DOUBT", "it is not known whether this was stored")
        self.assertDoubted()

    def test_a_schedule(self):
        for outcome, device in self.both():
            self.doubtful("operation.schedule", outcome)
            schedule = "operation", "schedule", "install", device, "--auth", "null"
            self.unknown(*schedule)
            again = self.site.capfctl(*schedule, code=None, server=self.server)
            self.assertEqual("OPERATION_PENDING" in again.stderr + again.stdout, outcome == "done", again)
            self.assertEqual(self.site.operation(device)["state"], "pending")
            self.assertEqual(self.site.sql("select count(*) from audit_events where action = 'operation.schedule' and "
                                           f"outcome = 'done' and subject = '{device}'"), ["1"])

    def test_a_revocation(self):
        for outcome, device in self.both():
            self.site.schedule(device, "install", "null", *EC)
            self.site.phone(device)
            self.doubtful("certificate.revoke", outcome)
            revoke = "certificate", "revoke", device, "--reason", "cessationOfOperation", "--yes"
            self.unknown(*revoke)
            self.assertEqual(self.certificates(device)[0]["state"], "revoked" if outcome == "done" else "confirmed")
            self.site.capfctl(*revoke, code=1 if outcome == "done" else 0, server=self.server)
            self.assertEqual(self.certificates(device)[0]["state"], "revoked")
            self.assertEqual(self.site.sql("select count(*) from audit_events where action = 'certificate.revoke' and "
                                           f"outcome = 'done' and subject = '{device}'"), ["1"])


if __name__ == "__main__":
    unittest.main()
