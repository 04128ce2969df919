"""Faults in the middle: the database, the server and the power. Everything that left the process is on record, and the
phone's next try completes."""

import contextlib
import os
import queue
import subprocess
import threading
import unittest
import urllib.error
import urllib.request

import grpc

from e2e import pki, rpc
from e2e.site import LONG, EndToEnd, Site, eventually

EC = ("--key-order", "ec", "--ec-size", "256")


class Faults(EndToEnd, rpc.RefusalTests):
    def scheduled(self, auth="string", *options):
        device = self.site.add_phone(self.device())
        return device, self.site.schedule(device, "install", auth, *EC, *options)

    def issue(self, device, digits="", request=None, server=None):
        with rpc.phone_client(self.site, server=server) as phone:
            return phone.IssueCertificate(credential=rpc.credential(device, digits or ""),
                                          certification_request=request or pki.request(pki.make_key()))


class FailingInsertTest(Faults):
    def fail_inserts(self, table, when="true"):
        """From now on, an insert into that table raises an error."""
        self.site.sql("create or replace function fail_insert() returns trigger language plpgsql as "
                      "$$ begin raise exception 'injected fault'; end $$; "
                      f"create trigger injected before insert on {table} for each row when ({when}) "
                      "execute function fail_insert()", user="postgres")
        self.addCleanup(self.site.sql, f"drop trigger if exists injected on {table}", "postgres")

    def test_where_the_record_of_an_issue_cannot_be_written_no_certificate_leaves(self):
        for table, when in (("audit_events", "new.action = 'certificate.issue'"), ("certificates", "true")):
            with self.subTest(table):
                device, digits = self.scheduled()
                request = pki.request(pki.make_key())
                before = self.site.operation(device)
                self.fail_inserts(table, when)
                refusal = self.refusal(self.issue, device, digits, request)
                self.assertIn(refusal.code, (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE))
                self.assertNotIn("injected", refusal.details)
                self.assertEqual(self.site.json("certificate", "list", "--device", device), [])
                self.assertIn(self.site.operation(device)["state"], ("pending", "in_progress"))
                self.assertEqual(self.site.operation(device)["id"], before["id"])
                self.site.sql(f"drop trigger injected on {table}", user="postgres")
                answer = self.issue(device, digits, request)
                self.assertTrue(answer.certificate)
                self.assertEqual(len(self.site.json("certificate", "list", "--device", device)), 1)

    def test_the_phone_in_software_completes_with_its_next_try(self):
        device, digits = self.scheduled()
        self.fail_inserts("audit_events", "new.action = 'certificate.issue'")
        self.site.phone(device, "--string", digits, code=1)
        self.assertFalse((self.site.phones / f"{device}.pem").exists())
        self.site.sql("drop trigger injected on audit_events", user="postgres")
        self.site.phone(device, "--string", digits)
        self.assertEqual(self.site.operation(device)["state"], "succeeded")


class CrashTest(Faults):
    def test_a_server_killed_between_issue_and_confirmation_loses_nothing(self):
        device, digits = self.scheduled()
        request = pki.request(pki.make_key())
        first = self.issue(device, digits, request)
        self.site.server.kill()
        self.site.server.start()
        again = self.issue(device, digits, request)
        self.assertEqual(first.certificate, again.certificate)
        with rpc.phone_client(self.site) as phone:
            phone.ConfirmCertificate(credential=rpc.credential(device, digits),
                                     sha256=pki.hashlib.sha256(first.certificate).digest())
        self.assertEqual(self.site.operation(device)["state"], "succeeded")

    def test_a_phone_that_lost_power_completes_with_its_next_try(self):
        device, digits = self.scheduled()
        self.issue(device, digits)  # the answer never reached the phone's memory
        self.site.phone(device, "--string", digits)
        self.assertEqual(self.site.operation(device)["state"], "succeeded")
        states = sorted(each["state"] for each in self.site.json("certificate", "list", "--device", device))
        self.assertEqual(states, ["confirmed", "superseded"])

    def test_killed_at_any_moment_of_a_crowd_every_phone_still_gets_one_certificate(self):
        rounds, crowd = (10, 200) if LONG else (2, 12)
        for number in range(rounds):
            devices = [self.device() for _ in range(crowd)]
            self.site.capfctl("phone", "add", *devices)
            self.site.capfctl("operation", "schedule", "install", *devices, "--auth", "string", "--string", "13572468",
                              *EC)
            keys = {device: pki.request(pki.make_key()) for device in devices}
            issued = queue.Queue()

            def enrol(device):
                try:
                    issued.put((device, self.issue(device, "13572468", keys[device]).certificate))
                except rpc.Refusal:
                    issued.put((device, None))
            threads = [threading.Thread(target=enrol, args=(device,)) for device in devices]
            for thread in threads:
                thread.start()
            got = dict(issued.get(timeout=60) for _ in range(number + 1))
            self.site.server.kill()
            for thread in threads:
                thread.join()
            while not issued.empty():
                device, certificate = issued.get()
                got[device] = certificate
            self.site.server.start()
            for device in devices:
                certificate = self.issue(device, "13572468", keys[device]).certificate
                if got.get(device):
                    self.assertEqual(certificate, got[device])
                self.assertEqual(len(self.site.json("certificate", "list", "--device", device)), 1)


class DatabaseAwayTest(Faults):
    def ready(self):
        try:
            with urllib.request.urlopen(f"http://{self.site.server.endpoints['metrics']}/readyz", timeout=10) as answer:
                return answer.status == 200
        except urllib.error.HTTPError as error:
            self.assertEqual(error.code, 503)
            return False

    def health(self):
        channel = rpc.channel(self.site.server, "admin", rpc.admin_identity(self.site))
        try:
            return rpc.health_pb2_grpc.HealthStub(channel).Check(rpc.health_pb2.HealthCheckRequest(), timeout=30).status
        except grpc.RpcError as error:
            return error.code()
        finally:
            channel.close()

    def test_without_the_database_the_server_says_so_and_recovers_by_itself(self):
        device, digits = self.scheduled()
        self.assertTrue(self.ready())
        self.site.stop_postgres()
        try:
            refusal = self.refusal(self.issue, device, digits)
            self.assertEqual((refusal.code, refusal.reason), (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE"))
            eventually(lambda: not self.ready(), "not ready while the database is away")
            eventually(lambda: self.health() != rpc.health_pb2.HealthCheckResponse.SERVING, "and health says so")
            self.assertIsNone(self.site.server.process.poll())
            self.assertSays(self.site.phone(device, "--string", digits, code=1), "DATABASE_UNAVAILABLE")
        finally:
            self.site.start_postgres()
        eventually(self.ready, "ready again")
        eventually(lambda: self.health() == rpc.health_pb2.HealthCheckResponse.SERVING, "serving again")
        self.site.phone(device, "--string", digits)
        self.assertEqual(self.site.operation(device)["state"], "succeeded")


class TwoServersTest(Faults):
    @classmethod
    def setUpClass(cls):
        cls.site = Site()
        cls.addClassCleanup(cls.site.close)
        cls.other = cls.site.add_server()

    def test_either_server_goes_on_with_what_the_other_began(self):
        device, digits = self.scheduled()
        request = pki.request(pki.make_key())
        first = self.issue(device, digits, request)
        self.assertEqual(self.issue(device, digits, request, server=self.other).certificate, first.certificate)
        with rpc.phone_client(self.site, server=self.other) as phone:
            phone.ConfirmCertificate(credential=rpc.credential(device, digits),
                                     sha256=pki.hashlib.sha256(first.certificate).digest())
        self.assertEqual(self.site.operation(device)["state"], "succeeded")

    def test_a_revocation_on_one_server_holds_on_the_other_at_once(self):
        device = self.device()
        path = self.site.enrol(device, *EC)
        identity = rpc.FileIdentity(path, self.site.phones / f"{device}.key")
        self.site.schedule(device, "install", "lsc", *EC)
        with rpc.phone_client(self.site, identity, server=self.other) as phone:
            self.assertTrue(phone.GetPendingOperation(credential=rpc.credential(device)).authenticated)
            self.site.capfctl("certificate", "revoke", device, "--reason", "keyCompromise", "--yes")
            self.assertStranger(self.refusal(phone.GetPendingOperation, credential=rpc.credential(device)))

    def test_wrong_strings_count_over_both_servers_and_restarts(self):
        device, digits = self.scheduled()
        wrong = "11111111" if digits != "11111111" else "22222222"
        for attempt in range(5):
            self.refusal(self.issue, device, wrong, server=(self.site.server, self.other)[attempt % 2])
        self.site.server.restart()
        self.other.kill()
        self.other.start()
        for server in (self.site.server, self.other):
            self.assertStranger(self.refusal(self.issue, device, digits, server=server))
            self.assertLastAttempt(device, "ADDRESS_LIMITED")
        self.site.capfctl("phone", "unlock", device)
        self.issue(device, digits)


class ManyGuessesTest(Faults):
    """A site of its own: afterwards the address has used up what it may guess."""

    @classmethod
    def setUpClass(cls):
        cls.site = Site()
        cls.addClassCleanup(cls.site.close)
        cls.other = cls.site.add_server()

    def test_of_many_wrong_strings_at_once_only_as_many_as_allowed_are_compared(self):
        device, digits = self.scheduled()
        wrong = "33333333" if digits != "33333333" else "44444444"
        count = 1000 if LONG else 60
        channels = [rpc.phone_client(self.site, server=server) for server in (self.site.server, self.other)]
        request = pki.request(pki.make_key())

        def guess(number):
            self.refusal(channels[number % 2].IssueCertificate, credential=rpc.credential(device, wrong),
                         certification_request=request)
        threads = [threading.Thread(target=guess, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for channel in channels:
            channel.close()
        # all come from one address, which has five of them for one device
        def recorded(*reasons):
            return sum(row["count"] for row in self.site.json("audit", "list", "--refusals")
                       if row["device"] == device and (not reasons or row["reason"] in reasons))
        eventually(lambda: recorded() == count, lambda: f"{recorded()} of {count} are on record")
        self.assertEqual(recorded("AUTH_STRING_MISMATCH"), 5)


class CanaryTest(Faults):
    """An authentication string is found nowhere: not in the database, a dump, logs, metrics or the record."""

    def test_the_digits_stand_nowhere(self):
        site = Site(settings=lambda text: text + '\n[log]\nlevel = "debug"\n')
        self.addCleanup(site.close)
        canaries = {"right": "7361940258", "wrong": "8402957163", "cut short": "9517536842"}
        site.sql("alter system set log_statement = 'all'", user="postgres")
        site.sql("alter system set log_parameter_max_length = -1", user="postgres")
        site.sql("select pg_reload_conf()", user="postgres")
        device, other = self.device(), self.device()
        site.capfctl("phone", "add", device, other)
        site.capfctl("operation", "schedule", "install", device, other, "--auth", "string", "--string", "-",
                     input=canaries["right"] + "\n")
        site.phone(device, "--string", canaries["wrong"], code=1)
        site.phone(device, "--string", canaries["right"])
        site.phone("SEPFFFFFFFFFFFF", "--string", canaries["cut short"], code=1)
        site.phone(device, "--string", canaries["cut short"], code=1)

        connection = f"{site.database} user=postgres dbname=capf"
        dump = subprocess.run(["pg_dump", connection], capture_output=True, check=True).stdout
        with urllib.request.urlopen(f"http://{site.server.endpoints['metrics']}/metrics", timeout=30) as answer:
            metrics = answer.read()
        seen = {"dump": dump, "metrics": metrics,
                "audit": site.capfctl("audit", "list", "--output", "json").stdout.encode(),
                "refusals": site.capfctl("audit", "list", "--refusals", "--output", "json").stdout.encode(),
                "operation": site.capfctl("operation", "show", device, "--output", "json").stdout.encode()}
        for folder, _, names in os.walk(site.state):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:  # it may be gone by now
                        seen[path] = file.read()
        self.assertTrue(any(path.endswith("postgres.log") for path in seen))
        self.assertIn(device.encode(), dump)
        for what, digits in canaries.items():
            for place, content in seen.items():
                if digits.encode() in content:
                    self.fail(f"the {what} string stands in {place}")
        kept = site.sql("select count(*) from operations o join phones p on p.id = o.phone_id "
                        f"where p.device = '{device}' and o.string_mac is not null", user="postgres")
        self.assertEqual(kept, ["0"])


if __name__ == "__main__":
    unittest.main()
