"""Administrators: every command of capfctl, its JSON and exit codes, who may do what, and the monitoring plugin."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import unittest
import urllib.request

import grpc

from e2e import pki, rpc
from e2e.rpc import admin_pb2, monitor_pb2, types_pb2
from e2e.site import PROGRAMS, SOURCE, EndToEnd, eventually, run

RFC3339 = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
OPERATION = {"device", "kind", "state", "auth", "reason", "message", "created_at", "completes_by", "finished_at"}
CERTIFICATE = {"serial", "device", "issuer", "not_before", "not_after", "state", "revocation_reason"}


class PhoneCommandsTest(EndToEnd):
    def test_phones_are_added_all_or_none(self):
        first, second, third = self.device(), self.device(), self.device()
        self.site.capfctl("phone", "add", first, second)
        self.assertSays(self.site.capfctl("phone", "add", self.device(), "pbx.example.com", code=1), "DEVICE_NAME_REFUSED",
                        "policy.device_names")
        self.assertSays(self.site.capfctl("phone", "add", third, second, code=1), "DEVICE_EXISTS", second)
        self.assertSays(self.site.capfctl("phone", "show", third, code=1), "UNKNOWN_DEVICE")

    def test_a_file_names_phones_with_their_models_and_all_are_added_or_none(self):
        first, second, third = self.device(), self.device(), self.device()
        lines = f"device,model\n{first},CP-8861\n{second},CP-7841\n{third}\n"
        self.site.capfctl("phone", "add", "--file", "-", "--model", "CP-7960", input=lines)
        models = [self.site.json("phone", "show", device)["model"] for device in (first, second, third)]
        self.assertEqual(models, ["CP-8861", "CP-7841", "CP-7960"])
        fourth = self.device()
        lines = f"{fourth},CP-8861\n{second},CP-7841\n"
        self.assertSays(self.site.capfctl("phone", "add", "--file", "-", input=lines, code=1), "DEVICE_EXISTS", second)
        self.assertSays(self.site.capfctl("phone", "show", fourth, code=1), "UNKNOWN_DEVICE")

    def test_a_model_may_have_blanks_and_a_bad_one_is_called_a_model(self):
        device = self.device()
        self.assertSays(self.site.capfctl("phone", "add", device, "--model", "CP/8861", code=2), "INVALID_REQUEST",
                        "is no model")
        self.site.capfctl("phone", "add", device, "--model", "CP 8861")
        self.assertEqual(self.site.json("phone", "show", device)["model"], "CP 8861")

    def test_a_file_with_faults_adds_nothing_and_tells_all_of_them(self):
        device = self.device()
        cases = [
            (f"name,mac\n{device},CP-8861\n".encode(), "standard input: line 1, column 1, \"name\": an unknown column"),
            (f"device\n{device}\n{device}\n".encode(), f"{device} stands twice: line 2, line 3"),
            (f"device,model\n{device},M".encode() + b"\xfcller\n", "line 2 is not UTF-8"),
            (f"device\n{device}\n".encode("utf-16"), "it is in UTF-16"),
            (f"{device}\nSEP/1\nSEP/2\n".encode(), "line 2, column 1, \"SEP/1\"", "line 3, column 1, \"SEP/2\"",
             "2 faults"),
            (f"{device},\"CP\n".encode(), "line 1: a quote"),
            (f"{device},\"CP\nSEP/3\n".encode(), "line 1: a quote", "line 2, column 1, \"SEP/3\"", "2 faults"),
            (b"", "names no device"),
        ]
        program = [PROGRAMS / "capfctl", "--state", self.site.server.state]
        for command in (["phone", "add"], ["operation", "schedule", "install", "--auth", "string"]):
            for content, *words in cases:
                with self.subTest(command=command, content=content):
                    done = run(*program, *command, "--file", "-", input=content, text=False, code=2)
                    for each in words:
                        self.assertIn(each, done.stderr.decode())
        self.assertSays(self.site.capfctl("phone", "add", "--file", "/", code=2), "folder")
        self.assertSays(self.site.capfctl("phone", "show", device, code=1), "UNKNOWN_DEVICE")

    def test_a_file_of_a_spreadsheet(self):
        first, second = self.device(), self.device()
        content = f'"Model";"Device Name"\r\n"CP 8861";"{first}"\r\n"CP-7841";{second}\r\n'
        run(PROGRAMS / "capfctl", "--state", self.site.server.state, "phone", "add", "--file", "-", text=False,
            input=content.encode("utf-8-sig"))
        self.assertEqual([self.site.json("phone", "show", each)["model"] for each in (first, second)],
                         ["CP 8861", "CP-7841"])

    def test_a_mac_address_becomes_the_name_that_the_phone_comes_by(self):
        digits = self.device().removeprefix("SEP")
        written = ":".join(digits[i:i + 2] for i in range(0, 12, 2)).lower()
        added = self.site.capfctl("phone", "add", written)
        self.assertIn(f"{written} is taken as SEP{digits}", added.stderr)
        scheduled = self.site.json("operation", "schedule", "install", f"sep{digits.lower()}", "--auth", "string")
        self.assertEqual(scheduled[0]["device"], f"SEP{digits}")
        lower = f"SEPaabbcc{digits[6:]}"
        self.site.capfctl("phone", "add", lower, "--as-written")
        self.assertEqual(self.site.json("phone", "show", lower, "--as-written")["device"], lower)
        self.assertSays(self.site.capfctl("phone", "show", lower, code=1), "UNKNOWN_DEVICE")
        for command in (["phone", "show"], ["phone", "block"], ["phone", "unblock"], ["phone", "unlock"],
                        ["phone", "trace"], ["phone", "list", "--devices"], ["operation", "list", "--device"],
                        ["operation", "show"], ["certificate", "list", "--device"], ["phone", "remove", "--yes"]):
            with self.subTest(command):
                done = self.site.capfctl(*command, written)
                self.assertIn(f"{written} is taken as SEP{digits}", done.stderr)
                if command[1] in ("show", "list") and command[0] != "certificate":
                    self.assertIn(f"SEP{digits}", done.stdout)
        for command in (["operation", "cancel"], ["certificate", "show"], ["certificate", "release"]):
            with self.subTest(command):
                self.assertIn(f"{written} is taken as SEP{digits}", self.site.capfctl(*command, written, code=1).stderr)

    def test_arguments_that_are_not_utf_8_are_wrong_usage_of_every_program(self):
        bad = os.fsdecode(b"M\xfcller")
        for command in (["capfctl", "phone", "show"], ["capfctl", "phone", "add"], ["capfctl", "audit", "list", "--actor"],
                        ["capfctl", "phone", "list", "--devices"],
                        ["capfctl", "administrator", "add", "--role", "admin"], ["capf-phone"],
                        ["capfd", "administrator", "add", "--role", "admin"]):
            with self.subTest(command):
                done = run(PROGRAMS / command[0], *command[1:], bad, "--state", self.site.server.state, code=2)
                self.assertIn("is not UTF-8", done.stderr)
        done = run(PROGRAMS / "capfctl", "check", "health", "--state", bad, code=3)
        self.assertRegex(done.stdout, r"^CAPF CHECK UNKNOWN - .*is not UTF-8.*\n$")

    def test_schedules_that_cannot_succeed_are_warned_of(self):
        device = self.site.add_phone(self.device())
        done = self.site.capfctl("operation", "schedule", "delete", device, "--auth", "string",
                                 "--key-order", "rsa", "--ec-size", "256")
        self.assertIn(f"no LSC on record that could be deleted: {device}", done.stderr)
        self.assertIn("--ec-size means nothing with --key-order rsa", done.stderr)

    def test_list_and_show_are_json_for_programs(self):
        device = self.site.add_phone(self.device())
        listed = self.site.json("phone", "list")
        self.assertIsInstance(listed, list)
        self.assertIn(device, [phone["device"] for phone in listed])
        shown = self.site.json("phone", "show", device)
        self.assertEqual(shown["device"], device)
        self.assertRegex(shown["created_at"], RFC3339)
        self.assertIn(device, self.site.capfctl("phone", "list").stdout)

    def test_remove_revokes_and_a_phone_added_again_inherits_nothing(self):
        device = self.device()
        self.site.enrol(device)
        serial = self.site.json("certificate", "show", device)["serial"]
        self.site.capfctl("phone", "remove", device, "--yes")
        self.assertSays(self.site.capfctl("phone", "show", device, code=1), "UNKNOWN_DEVICE")
        self.assertEqual(self.site.json("certificate", "show", serial)["state"], "revoked")
        self.site.add_phone(device)
        self.assertEqual(self.site.json("phone", "show", device)["certificates"], [])
        self.site.schedule(device, "install", "lsc")
        self.site.phone(device, code=1)

    def test_a_blocked_phone_is_refused_in_every_mode_until_it_is_unblocked(self):
        device = self.device()
        self.site.enrol(device)
        self.site.schedule(device, "install", "lsc")
        self.site.capfctl("phone", "block", device)
        self.assertEqual(self.site.operation(device)["state"], "cancelled")
        self.assertEqual(self.site.json("certificate", "show", device)["state"], "revoked")
        self.assertTrue(self.site.json("phone", "show", device)["blocked"])
        self.assertSays(self.site.capfctl("operation", "schedule", "install", device, "--auth", "null", code=1),
                        "DEVICE_BLOCKED")
        self.site.capfctl("phone", "unblock", device)
        self.site.schedule(device, "install", "null")
        self.site.phone(device)
        self.assertSays(self.site.capfctl("phone", "unblock", device, code=1), "DEVICE_NOT_BLOCKED")

    def test_what_destroys_needs_a_yes_where_there_is_no_terminal(self):
        device = self.device()
        self.site.enrol(device)
        for command in (("phone", "remove", device), ("certificate", "revoke", device, "--reason", "superseded"),
                        ("trust", "remove", "0" * 64), ("administrator", "disable", "admin")):
            with self.subTest(command[:2]):
                self.assertSays(self.site.capfctl(*command, code=2), "--yes")
        self.assertEqual(self.site.json("certificate", "show", device)["state"], "confirmed")


class OperationCommandsTest(EndToEnd):
    def test_an_operation_has_the_members_that_programs_rely_on(self):
        device = self.site.add_phone(self.device())
        self.site.capfctl("operation", "schedule", "install", device, "--auth", "string")
        operation = self.site.operation(device)
        self.assertLessEqual(OPERATION, set(operation))
        self.assertEqual((operation["kind"], operation["state"], operation["auth"]), ("install", "pending", "string"))
        self.assertRegex(operation["completes_by"], RFC3339)
        self.assertIsNone(operation["finished_at"])
        self.site.capfctl("operation", "cancel", device)
        operation = self.site.operation(device)
        self.assertEqual(operation["state"], "cancelled")
        self.assertRegex(operation["finished_at"], RFC3339)

    def test_the_string_is_shown_once_when_it_is_made(self):
        device = self.site.add_phone(self.device())
        digits = self.site.schedule(device, "install", "string")
        self.assertNotIn(digits, self.site.capfctl("operation", "show", device, "--output", "json").stdout)
        self.assertNotIn(digits, self.site.capfctl("phone", "show", device, "--output", "json").stdout)
        self.assertNotIn(digits, self.site.capfctl("audit", "list", "--output", "json").stdout)

    def test_several_devices_are_scheduled_all_or_none(self):
        first, second = self.device(), self.device()
        self.site.capfctl("phone", "add", first, second)
        self.site.schedule(second, "install", "null")
        done = self.site.capfctl("operation", "schedule", "install", first, second, "--auth", "string", code=1)
        self.assertSays(done, "OPERATION_PENDING", second)
        self.assertSays(self.site.capfctl("operation", "show", first, code=1), "UNKNOWN_OPERATION")
        done = self.site.capfctl("operation", "schedule", "install", first, "SEPFFFFFFFFFFFF", "--auth", "null", code=1)
        self.assertSays(done, "UNKNOWN_DEVICE", "SEPFFFFFFFFFFFF")

    def test_each_wrong_wish_is_refused_with_its_reason(self):
        device = self.site.add_phone(self.device())
        cases = [(("--auth", "string", "--string", "123"), 2, "INVALID_AUTH_STRING"),
                 (("--auth", "string", "--string", "12345678901"), 2, "INVALID_AUTH_STRING"),
                 (("--auth", "string", "--string", "12a4"), 2, "INVALID_AUTH_STRING"),
                 (("--auth", "null", "--rsa-size", "1000"), 2, "--rsa-size"),
                 (("--auth", "null", "--completes-by", "2001-01-01T00:00:00Z"), 2, "INVALID_DEADLINE"),
                 (("--auth", "null", "--completes-by", "tomorrow"), 2, "--completes-by"),
                 (("--auth", "hope"), 2, "--auth")]
        for options, code, words in cases:
            with self.subTest(options):
                done = self.site.capfctl("operation", "schedule", "install", device, *options, code=code)
                self.assertSays(done, words)
        self.assertSays(self.site.capfctl("operation", "show", device, code=1), "UNKNOWN_OPERATION")

    def test_lists_are_filtered_by_state(self):
        done, open_one = self.device(), self.device()
        self.site.enrol(done)
        self.site.add_phone(open_one)
        self.site.schedule(open_one, "troubleshoot", "string")

        def devices(*filter):
            return [operation["device"] for operation in self.site.json("operation", "list", *filter)]
        self.assertIn(open_one, devices("--state", "pending"))
        self.assertNotIn(done, devices("--state", "pending"))
        self.assertIn(done, devices("--state", "succeeded"))
        self.assertNotIn(open_one, devices("--state", "overdue"))
        self.site.capfctl("operation", "list", "--state", "sleeping", code=2)


class CertificateCommandsTest(EndToEnd):
    def test_a_certificate_has_the_members_that_programs_rely_on(self):
        device = self.device()
        path = self.site.enrol(device)
        certificate = self.site.json("certificate", "show", device)
        self.assertLessEqual(CERTIFICATE, set(certificate))
        self.assertEqual(int(certificate["serial"], 16), pki.read_certificate(path).serial_number)
        self.assertEqual(certificate["serial"], certificate["serial"].lower())
        self.assertEqual(self.site.json("certificate", "show", certificate["serial"]), certificate)
        self.assertIn(certificate["serial"], [each["serial"] for each in self.site.json("certificate", "list")])
        self.assertEqual(certificate["state"], "confirmed")
        self.assertIsNone(certificate["revocation_reason"])

    def test_revoke_needs_a_reason_in_the_spelling_of_rfc_5280(self):
        device = self.device()
        self.site.enrol(device)
        self.site.capfctl("certificate", "revoke", device, "--yes", code=2)
        done = self.site.capfctl("certificate", "revoke", device, "--reason", "KEY_COMPROMISE", "--yes", code=None)
        self.assertIn(done.returncode, (1, 2))
        self.site.capfctl("certificate", "revoke", device, "--reason", "affiliationChanged", "--yes")
        certificate = self.site.json("certificate", "show", device)
        self.assertEqual((certificate["state"], certificate["revocation_reason"]), ("revoked", "affiliationChanged"))
        again = ("certificate", "revoke", certificate["serial"], "--reason", "superseded", "--yes")
        self.assertSays(self.site.capfctl(*again, code=1), "ALREADY_REVOKED")

    def test_revoking_for_key_compromise_blocks_the_phone(self):
        device = self.device()
        self.site.enrol(device)
        self.site.capfctl("certificate", "revoke", device, "--reason", "keyCompromise", "--yes")
        self.assertTrue(self.site.json("phone", "show", device)["blocked"])

    def test_export_is_pem_or_der(self):
        device = self.device()
        path = self.site.enrol(device)
        self.assertEqual(pki.der(pki.x509.load_pem_x509_certificate(
            self.site.capfctl("certificate", "export", device).stdout.encode())), pki.der(pki.read_certificate(path)))
        out = self.site.folder / f"{device}.der"
        self.site.capfctl("certificate", "export", device, "--format", "der", "--out", out)
        self.assertEqual(out.read_bytes(), pki.der(pki.read_certificate(path)))

    def test_issuers_are_listed_and_exported(self):
        (issuer,) = self.site.json("issuer", "list")
        self.assertTrue(issuer["active"])
        exported = pki.x509.load_pem_x509_certificate(self.site.capfctl("issuer", "export").stdout.encode())
        constraints = exported.extensions.get_extension_for_class(pki.x509.BasicConstraints)
        self.assertTrue(constraints.critical and constraints.value.ca)
        self.assertEqual(constraints.value.path_length, 0)
        usage = exported.extensions.get_extension_for_class(pki.x509.KeyUsage).value
        self.assertTrue(usage.digital_signature and usage.key_cert_sign and usage.crl_sign)
        wire = pki.x509.load_pem_x509_certificate(self.site.capfctl("issuer", "export", "--wire").stdout.encode())
        self.assertRegex(wire.subject.rfc4514_string(), r"CN=CAPF-[0-9A-Fa-f]{8}")
        self.assertEqual(wire.public_key().key_size, 2048)
        self.assertNotEqual(wire.public_key().public_numbers(), exported.public_key().public_numbers())


class TrustCommandsTest(EndToEnd):
    def test_an_anchor_is_added_listed_and_removed(self):
        maker = pki.Manufacturer.root("Listed Maker CA")
        path, _ = maker.write(self.site.folder / "listed", "maker")
        self.site.trust("mic", path, "--devices", "LIST*")
        (anchor,) = [each for each in self.site.json("trust", "list") if each["sha256"] == maker.sha256]
        self.assertEqual((anchor["store"], anchor["devices"]), ("mic", "LIST*"))
        self.assertSays(self.site.trust("mic", path, code=None), "ANCHOR_EXISTS")
        self.site.capfctl("trust", "remove", maker.sha256[:16], "--yes")
        self.assertNotIn(maker.sha256, [each["sha256"] for each in self.site.json("trust", "list")])
        self.assertSays(self.site.capfctl("trust", "remove", maker.sha256, "--yes", code=1), "UNKNOWN_ANCHOR")

    def test_a_phones_certificate_and_garbage_are_no_anchors(self):
        leaf = pki.Manufacturer.root().mic("SEP001122334455")
        path, _ = leaf.write(self.site.folder / "leaf", "leaf")
        self.site.trust("mic", path, code=1)
        garbage = self.site.folder / "garbage.pem"
        garbage.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        self.site.trust("mic", garbage, code=1)
        self.site.trust("mic", self.site.folder / "missing.pem", code=None)

    def test_the_real_manufacturers_certificates_import_as_one_command(self):
        folder = SOURCE / "tests/data/cisco"
        files = sorted(folder.glob("*.pem"))
        self.assertTrue(files)
        self.site.capfctl("trust", "add", "mic", *files, "--allow-sha1", code=None)
        subjects = " ".join(each["subject"] for each in self.site.json("trust", "list"))
        for name in ("Cisco Root CA 2048", "Cisco Manufacturing CA", "Cisco Root CA M2", "Cisco Manufacturing CA SHA2",
                     "High Assurance SUDI CA"):
            self.assertIn(name, subjects)

    def test_another_sites_issuer_needs_a_pattern_and_an_end(self):
        path, _ = pki.Manufacturer.root("Other Site CAPF").write(self.site.folder / "other-site", "issuer")
        done = self.site.trust("lsc", path, code=None)
        self.assertIn(done.returncode, (1, 2))


class AdministratorsTest(EndToEnd, rpc.RefusalTests):
    ROLES = ("admin", "operator", "auditor", "monitor")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for role in cls.ROLES:
            cls.site.capfctl("administrator", "add", f"the-{role}", "--role", role)

    def as_(self, role, *arguments, code=0):
        return self.site.capfctl("--administrator", f"the-{role}", *arguments, code=code)

    def test_their_keys_are_made_here_and_are_for_nobody_else(self):
        for role in self.ROLES:
            key = self.site.state / f"admin/the-{role}.key"
            self.assertEqual(key.stat().st_mode & 0o777, 0o600)
        listed = {each["name"]: each["role"] for each in self.site.json("administrator", "list")}
        self.assertLessEqual({f"the-{role}": role for role in self.ROLES}.items(), listed.items())
        self.assertSays(self.site.capfctl("administrator", "add", "the-admin", "--role", "admin", code=1),
                        "ADMINISTRATOR_EXISTS")
        self.site.capfctl("administrator", "add", "x/../y", "--role", "admin", code=None)
        self.site.capfctl("administrator", "add", "somebody", "--role", "king", code=2)

    def test_every_method_serves_the_roles_that_the_table_names_and_no_other(self):
        """Method by role, as the options in the .proto files have it, which unit/rpc_access.cc holds against a second
        table. The requests are empty, so that those who may call are refused for that, or served."""
        services = (admin_pb2.DESCRIPTOR.services_by_name["AdminService"],
                    monitor_pb2.DESCRIPTOR.services_by_name["MonitorService"])
        table = {method.name: rpc.callers(method) for service in services for method in service.methods}
        self.assertEqual(table.pop("ExportDigestUsers"), {"admin"})  # a stream: test_digest
        self.assertEqual(table.pop("ExportFiles"), {"admin"})  # the same: test_files
        for stream in ("WatchOperations", "WatchSecurity"):
            self.assertEqual(table.pop(stream), set(self.ROLES))
        monitored = {method.name for method in services[1].methods}
        found = {method: set() for method in table}
        for role in self.ROLES:
            identity = rpc.admin_identity(self.site, f"the-{role}")
            with rpc.admin_client(self.site, identity) as admin, rpc.monitor_client(self.site, identity) as monitor:
                for method in table:
                    client = monitor if method in monitored else admin
                    try:
                        getattr(client, method)()
                        found[method].add(role)
                    except rpc.Refusal as refusal:
                        if refusal.code == grpc.StatusCode.PERMISSION_DENIED:
                            self.assertEqual(refusal.reason, "ROLE_DENIED")
                        else:
                            found[method].add(role)
        self.assertEqual(found, table)

    def test_a_monitor_reads_what_is_pending_and_schedules_nothing(self):
        device = self.site.add_phone(self.device())
        self.assertSays(self.as_("monitor", "operation", "schedule", "install", device, "--auth", "null", code=1),
                        "ROLE_DENIED")
        self.as_("monitor", "check", "pending")
        events = self.site.json("audit", "list", "--actor", "the-monitor")
        self.assertIn(("refused", "ROLE_DENIED"), [(event["outcome"], event["reason"]) for event in events])

    def test_null_string_is_for_admins(self):
        device = self.site.add_phone(self.device())
        self.assertSays(self.as_("operator", "operation", "schedule", "install", device, "--auth", "null", code=1),
                        "ROLE_DENIED")
        self.as_("operator", "operation", "schedule", "install", device, "--auth", "string")

    def test_a_client_without_a_certificate_reaches_nothing_on_that_port(self):
        channel = rpc.channel(self.site.server, "admin")
        with rpc.Client(channel, rpc.admin_pb2_grpc.AdminServiceStub, "AdminService") as admin:
            refusal = self.refusal(admin.ListPhones)
        self.assertIn(refusal.code, (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAVAILABLE))
        channel = rpc.channel(self.site.server, "admin")
        with self.assertRaises(grpc.RpcError) as caught:
            rpc.health_pb2_grpc.HealthStub(channel).Check(rpc.health_pb2.HealthCheckRequest(), timeout=30)
        self.assertIn(caught.exception.code(), (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAVAILABLE))
        channel.close()

    def test_a_certificate_that_only_looks_like_an_administrators_is_refused(self):
        device = "admin"
        self.site.sql(f"insert into phones (device) values ('{device}')")  # a name on record stays good
        self.site.schedule(device, "install", "null")
        self.site.phone(device)
        lsc = rpc.FileIdentity(self.site.phones / "admin.pem", self.site.phones / "admin.key")
        own_ca = pki.Manufacturer.root("Site CA").mic("admin", common_names=["admin"])
        for what, identity in {"an LSC of that name": lsc, "a stranger's of that name": own_ca}.items():
            with self.subTest(what):
                with rpc.admin_client(self.site, identity) as admin:
                    refusal = self.refusal(admin.ListPhones)
                self.assertIn(refusal.code, (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAVAILABLE))

    def test_an_administrators_certificate_is_no_phones(self):
        device = self.device()
        self.site.enrol(device)
        self.site.schedule(device, "install", "lsc")
        with rpc.phone_client(self.site, rpc.admin_identity(self.site)) as phone:
            self.assertStranger(self.refusal(phone.GetPendingOperation, credential=rpc.credential(device)))

    def test_a_disabled_administrator_is_refused_at_once(self):
        self.site.capfctl("administrator", "add", "leaver", "--role", "operator")
        identity = rpc.admin_identity(self.site, "leaver")
        with rpc.admin_client(self.site, identity) as admin:
            admin.ListPhones()
            self.site.capfctl("administrator", "disable", "leaver", "--yes")
            refusal = self.refusal(admin.ListPhones)
        self.assertEqual(refusal.code, grpc.StatusCode.UNAUTHENTICATED)
        self.assertIsNotNone([each for each in self.site.json("administrator", "list")
                              if each["name"] == "leaver"][0]["disabled_at"])

    def test_the_name_of_a_disabled_administrator_is_free_for_another_certificate(self):
        def added(*options, code=0):
            return self.site.capfctl("administrator", "add", "olga", *options, code=code)
        added("--role", "operator")
        former = rpc.admin_identity(self.site, "olga")
        self.assertSays(added("--role", "operator", "--out", self.site.folder / "twice", code=1), "ADMINISTRATOR_EXISTS")
        self.site.capfctl("administrator", "disable", "olga", "--yes")
        key, csr = self.site.folder / "olga.key", self.site.folder / "olga.csr"
        run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
            "/CN=olga", "-keyout", key, "-out", csr)
        folder = self.site.folder / "again"
        added("--role", "auditor", "--request", csr, "--out", folder)
        self.assertEqual(sorted(path.name for path in folder.iterdir()), ["olga.pem"], "no key was made here")
        self.site.capfctl("--certificate", folder / "olga.pem", "--key", key, "phone", "list")
        with rpc.admin_client(self.site, former) as client:
            self.assertEqual(self.refusal(client.ListPhones).code, grpc.StatusCode.UNAUTHENTICATED)
        both = [each for each in self.site.json("administrator", "list") if each["name"] == "olga"]
        self.assertEqual([(each["role"], each["disabled_at"] is None) for each in both],
                         [("operator", False), ("auditor", True)])
        # The name disables the enabled administrator, and the key can never be certified for another one.
        der = self.site.folder / "olga.der"
        run("openssl", "req", "-in", csr, "-outform", "DER", "-out", der)
        self.site.capfctl("administrator", "disable", "olga", "--yes")
        self.assertSays(added("--role", "auditor", "--request", der, "--out", self.site.folder / "third", code=1),
                        "KEY_RESERVED")
        self.site.capfctl("--certificate", folder / "olga.pem", "--key", key, "phone", "list", code=1)

    def test_monitoring_reads_what_is_pending_by_the_same_command(self):
        device = self.site.add_phone(self.device())
        self.site.schedule(device, "install", "string")

        def pending(*options):
            return [each["device"] for each in
                    json.loads(self.as_("monitor", "operation", "list", *options, "--output", "json").stdout)]
        self.assertIn(device, pending("--state", "pending"))
        self.assertIn(device, pending("--state", "pending", "--kind", "install", "--older-than", "0m"))
        self.assertNotIn(device, pending("--state", "pending", "--older-than", "1h"))
        self.assertNotIn(device, pending("--state", "overdue"))
        self.assertSays(self.as_("monitor", "operation", "list", code=1), "ROLE_DENIED")
        self.site.capfctl("operation", "list", "--older-than", "1h", code=2)
        self.site.capfctl("operation", "cancel", device)
        shown = self.site.json("operation", "show", device)
        self.assertEqual((shown["state"], shown["status"]), ("cancelled", "Operation Cancelled"))
        self.assertEqual(self.site.json("phone", "show", device)["status"], "None")
        with rpc.admin_client(self.site) as admin:  # every client hears the same
            self.assertEqual(admin.GetOperation(device=device).operation.status, "Operation Cancelled")

    def test_the_last_admin_cannot_be_disabled(self):
        self.as_("admin", "administrator", "disable", "admin", "--yes")
        def enable():
            self.site.sql("update administrators set disabled_at = null where name = 'admin'", "postgres")
            eventually(lambda: self.site.capfctl("phone", "list", code=None).returncode == 0, "the server has seen it")
        self.addCleanup(enable)
        self.assertSays(self.as_("admin", "administrator", "disable", "the-admin", "--yes", code=1),
                        "LAST_ADMINISTRATOR")


class RecordTest(EndToEnd):
    def test_each_change_stands_in_the_record_with_who_what_and_whom(self):
        device = self.device()
        self.site.enrol(device)
        self.site.capfctl("certificate", "revoke", device, "--reason", "superseded", "--yes")
        events = self.site.json("audit", "list", "--subject", device)
        actions = {(event["actor_kind"], event["actor"], event["action"]) for event in events}
        self.assertLessEqual({("administrator", "admin", "phone.add"), ("administrator", "admin", "operation.schedule"),
                              ("device", device, "certificate.issue"), ("device", device, "certificate.confirm"),
                              ("administrator", "admin", "certificate.revoke")}, actions)
        for event in events:
            self.assertRegex(event["at"], RFC3339)
            self.assertTrue(event["address"])

    def test_what_was_refused_stands_under_the_device_and_under_the_name_that_it_has_when_it_is_done(self):
        today = time.strftime("%Y-%m-%d", time.gmtime())
        device = self.site.add_phone(self.device())
        self.site.capfctl("phone", "add", device, code=1)
        self.site.capfctl("operation", "cancel", device, code=1)
        self.site.schedule(device, "install", "string")
        self.site.capfctl("operation", "cancel", device)
        events = self.site.json("audit", "list", "--subject", device)
        outcomes = [(event["action"], event["outcome"]) for event in events]
        self.assertEqual(outcomes, [("phone.add", "done"), ("phone.add", "refused"), ("operation.cancel", "refused"),
                                    ("operation.schedule", "done"), ("operation.cancel", "done")])
        self.assertEqual(len(self.site.json("audit", "list", "--subject", device, "--since", today)), 5)
        self.assertEqual(self.site.json("audit", "list", "--subject", device, "--since", "+1d"), [])

    def test_counted_refusals_are_those_of_the_device_and_all_of_them(self):
        device = self.site.add_phone(self.device())
        self.site.sql("insert into refusals (minute, address_block, reason, device, count) select "
                      f"date_trunc('minute', now()), 'x' || n, 'MIC_CHANGED', '{device}', 1 "
                      "from generate_series(1, 2500) n", "postgres")
        self.addCleanup(self.site.sql, f"delete from refusals where device = '{device}'", "postgres")
        found = self.site.json("audit", "list", "--refusals", "--subject", device)
        self.assertEqual(len({each["address_block"] for each in found}), 2500)
        self.assertEqual({each["device"] for each in found}, {device})
        self.assertEqual(self.site.json("audit", "list", "--refusals", "--subject", self.device()), [])
        for option in "--actor", "--action":
            self.assertSays(self.site.capfctl("audit", "list", "--refusals", option, "x", code=2), "INVALID_REQUEST")

    def test_a_day_as_a_lower_bound_begins_with_the_day(self):
        today = time.strftime("%Y-%m-%d", time.gmtime())
        device = self.device()
        self.site.enrol(device)
        for bound, count in ((today, 1), ("-24h", 1), ("-2w", 1), ("+1d", 0)):
            with self.subTest(bound):
                said = self.site.capfctl("certificate", "revoke", "--device", device, "--issued-after", bound,
                                         "--reason", "superseded", "--dry-run").stderr
                self.assertIn(f"{count} certificate", said)
        self.assertSays(self.site.capfctl("audit", "list", "--since", "yesterday", code=2), "-24h")

    def test_the_record_can_only_grow(self):
        for statement in ("update audit_events set actor = 'nobody'", "delete from audit_events",
                          "truncate audit_events", "create table mine (x int)",
                          "alter table operations add column mine int", "drop table operations"):
            with self.subTest(statement):
                with self.assertRaises(AssertionError):
                    self.site.sql(statement, user="capf_server")


class CheckTest(EndToEnd):
    def test_the_plugin_has_the_exit_codes_and_the_line_of_monitoring_plugins(self):
        for what in ("pending", "expiry", "health"):
            with self.subTest(what):
                done = self.site.capfctl("check", what, "--warning", "1000000", "--critical", "2000000", code=None) \
                    if what == "pending" else self.site.capfctl("check", what, code=None)
                self.assertEqual(done.returncode, 0, done)
                self.assertRegex(done.stdout, r"^(CAPF )?\S.*OK")
        device = self.site.add_phone(self.device())
        self.site.schedule(device, "install", "string")
        self.site.capfctl("check", "pending", "--warning", "0", "--critical", "1000000", code=1)
        self.site.capfctl("check", "pending", "--warning", "0", "--critical", "0", code=2)

    def test_the_plugin_takes_short_options_and_ranges(self):
        device = self.site.add_phone(self.device())
        self.site.schedule(device, "install", "string")
        self.site.capfctl("check", "pending", "-w", "1:", "-v", code=0)
        self.site.capfctl("check", "pending", "-w", "0", "-c", "@0:1000000", code=2)
        self.site.capfctl("check", "pending", "--overdue", "1:", code=1)
        self.site.capfctl("check", "expiry", "-w", "30:", "-c", "@7")
        done = self.site.capfctl("check", "expiry", "-w", "10:20", code=3)
        self.assertRegex(done.stdout, r"^CAPF EXPIRY UNKNOWN - .*\n$")

    def test_the_plugin_has_a_line_in_time_where_the_server_hangs(self):
        os.kill(self.site.server.process.pid, signal.SIGSTOP)
        try:
            for what in ("pending", "expiry", "health"):
                with self.subTest(what):
                    begun = time.monotonic()
                    done = self.site.capfctl("check", what, "-t", "3", code=2)
                    self.assertLess(time.monotonic() - begun, 7)
                    self.assertRegex(done.stdout, rf"^CAPF {what.upper()} CRITICAL - .*\n$")
        finally:
            os.kill(self.site.server.process.pid, signal.SIGCONT)

    def test_one_server_of_two_that_is_gone_is_a_warning(self):
        address = self.site.server.endpoints["admin"]
        there = address if isinstance(address, str) else address[0]
        done = self.site.capfctl("--server", f"127.0.0.1:1,{there}", "check", "health", code=1)
        self.assertRegex(done.stdout, r"^CAPF HEALTH WARNING - 1 of 2 servers serve; 127.0.0.1:1: SERVER_NOT_REACHED")
        done = self.site.capfctl("--server", "127.0.0.1:1,127.0.0.1:2", "check", "health", code=2)
        self.assertRegex(done.stdout, r"^CAPF HEALTH CRITICAL - 0 of 2 servers serve; ")
        # One that takes connections and says nothing: one line and its own code, however the end drags on.
        with socket.create_server(("127.0.0.1", 0)) as silent:
            for _ in range(5):
                done = self.site.capfctl("--server", f"127.0.0.1:{silent.getsockname()[1]},{there}", "check", "health",
                                         "-t", "2", code=1)
                self.assertRegex(done.stdout, r"^CAPF HEALTH WARNING - 1 of 2 servers serve; [^\n]*\n$")

    def test_a_check_whose_line_nobody_can_read_is_unknown(self):
        with open("/dev/full", "wb") as full:
            for check in ("health", "pending", "expiry"):
                with self.subTest(check):
                    done = subprocess.run([PROGRAMS / "capfctl", "check", check, "--state", self.site.state], stdout=full,
                                          stderr=subprocess.PIPE, check=False)
                    self.assertEqual(done.returncode, 3)

    def test_an_anchor_with_a_shorter_key_than_it_asks_for_is_refused_with_its_size(self):
        key, short = self.site.folder / "short.key", self.site.folder / "short.pem"
        run("openssl", "genrsa", "-out", key, "2047")
        run("openssl", "req", "-x509", "-new", "-key", key, "-subj", "/CN=short", "-days", "900", "-out", short)
        self.assertSays(self.site.capfctl("trust", "add", "mic", short, code=1), "2047 bits", "2048")
        self.site.capfctl("trust", "add", "mic", short, "--min-rsa-bits", "1024")

    def test_a_lists_own_state_leaves_the_site_to_another_name(self):
        device = self.site.add_phone(self.device())
        self.site.schedule(device, "install", "string")
        state = self.site.server.state
        for arguments in (("--site", state), ("--site", state, "--state", "pending")):
            done = run(PROGRAMS / "capfctl", "operation", "list", *arguments)
            self.assertIn(device, done.stdout)
        run(PROGRAMS / "capfctl", "certificate", "list", "--state", "issued", "--site", state)
        done = run(PROGRAMS / "capfctl", "operation", "list", "--state", state, code=2)
        self.assertSays(done, "--site DIR")
        run(PROGRAMS / "capfd", "check-config", "--site", state)

    def test_a_server_without_a_port_is_wrong_usage(self):
        self.site.capfctl("--server", "localhost", "phone", "list", code=2)

    def test_a_server_that_is_not_there_is_3(self):
        nowhere = ("--server", "127.0.0.1:1", "phone", "list")
        self.assertTrue(self.site.capfctl(*nowhere, code=3).stderr.strip())

    def test_wrong_usage_is_2(self):
        for arguments in ((), ("phone",), ("phone", "paint"), ("phone", "add"), ("phone", "list", "--output", "xml"),
                          ("operation", "schedule", "explode", "SEP1", "--auth", "null")):
            with self.subTest(arguments):
                self.site.capfctl(*arguments, code=2)

    def test_help_has_an_example_for_each_command(self):
        for command in (("phone", "add"), ("phone", "block"), ("operation", "schedule"), ("certificate", "revoke"),
                        ("trust", "add"), ("administrator", "add"), ("audit", "list"), ("check", "pending"),
                        ("issuer", "export")):
            with self.subTest(command):
                self.assertIn("capfctl " + " ".join(command), self.site.capfctl(*command, "--help").stdout)

    def test_bash_completes_commands_and_options(self):
        script = self.site.capfctl("completion", "bash").stdout
        path = self.site.folder / "completion.bash"
        path.write_text(script)

        def complete(*words):
            done = run("bash", "-c", f'source {path}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
                       'COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; '
                       'f=$(complete -p capfctl | sed "s/.*-F \\([^ ]*\\).*/\\1/"); "$f" capfctl "${!#}" "${@: -2:1}"; '
                       'printf "%s\\n" "${COMPREPLY[@]}"', "bash", *words,
                       env={**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}"})
            return [word.strip() for word in done.stdout.split("\n")]
        self.assertIn("operation", complete("capfctl", "op"))
        self.assertIn("schedule", complete("capfctl", "operation", "s"))
        self.assertIn("--auth", complete("capfctl", "operation", "schedule", "install", "SEP1", "--a"))


class MonitorTest(EndToEnd):
    def test_the_summary_counts_what_there_is(self):
        device = self.site.add_phone(self.device())
        with rpc.monitor_client(self.site) as monitor:
            before = monitor.GetSummary()
            self.site.schedule(device, "install", "string")
            after = monitor.GetSummary()
            self.assertEqual(after.operations["pending"], before.operations["pending"] + 1)
            self.assertTrue(after.HasField("oldest_pending"))
            self.assertTrue(after.HasField("issuer_not_after"))
            self.assertGreaterEqual(after.phones, 1)

    def test_pages_of_what_is_pending_stay_right_while_rows_change(self):
        devices = [self.device() for _ in range(7)]
        self.site.capfctl("phone", "add", *devices)
        self.site.capfctl("operation", "schedule", "install", *devices, "--auth", "string")
        with rpc.monitor_client(self.site) as monitor:
            seen, token = [], ""
            while True:
                page = monitor.ListPending(page=types_pb2.PageRequest(size=2, token=token))
                if not seen:
                    self.site.capfctl("operation", "cancel", page.operations[0].device)
                seen += [operation.device for operation in page.operations]
                token = page.next_page_token
                if not token:
                    break
        self.assertEqual(len(seen), len(set(seen)))
        self.assertLessEqual(set(devices), set(seen))

    def test_the_stream_tells_each_change(self):
        device = self.site.add_phone(self.device())
        channel = rpc.channel(self.site.server, "admin", rpc.admin_identity(self.site))
        self.addCleanup(channel.close)
        stub = rpc.monitor_pb2_grpc.MonitorServiceStub(channel)
        stream = stub.WatchOperations(monitor_pb2.WatchOperationsRequest(), timeout=60)
        stream.initial_metadata()
        self.site.schedule(device, "install", "null")
        self.site.phone(device)
        actions = []
        for change in stream:
            if change.operation.device == device:
                actions.append(change.action)
            if change.operation.device == device and change.action == "operation.succeeded":
                cursor = change.cursor
                break
        stream.cancel()
        self.assertEqual([action for action in actions if action in ("operation.schedule", "certificate.issue",
                                                                     "certificate.confirm")],
                         ["operation.schedule", "certificate.issue", "certificate.confirm"])
        self.site.schedule(device, "delete", "lsc")
        again = stub.WatchOperations(monitor_pb2.WatchOperationsRequest(cursor=cursor), timeout=60)
        first = next(change for change in again if change.operation.device == device)
        self.assertEqual(first.action, "operation.schedule")
        again.cancel()

    def test_prometheus_reads_metrics_and_load_balancers_health(self):
        self.site.enrol(self.device())
        metrics = self.http("/metrics")
        for name in ("capf_operations", "capf_requests"):
            self.assertIn(name, metrics)
        self.assertNotIn("SEP", metrics)
        self.http("/livez")
        self.http("/readyz")

    def http(self, path):
        with urllib.request.urlopen(f"http://{self.site.server.endpoints['metrics']}{path}", timeout=30) as answer:
            self.assertEqual(answer.status, 200)
            return answer.read().decode()


if __name__ == "__main__":
    unittest.main()
