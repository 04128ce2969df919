"""A client in another language does the whole job, from the .proto files alone, and knowing nothing but reflection."""

import hashlib
import os
import tempfile
import unittest

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

from e2e import pki, rpc
from e2e.rpc import phone_pb2, types_pb2
from e2e.site import EndToEnd, run


class FromProtoFilesTest(EndToEnd, rpc.RefusalTests):
    def test_administrator_and_phone_do_the_whole_job(self):
        device, key = self.device(), pki.make_key("rsa-2048")
        with rpc.admin_client(self.site) as admin:
            self.assertEqual(admin.AddPhones(devices=[device]).added, 1)
            scheduled = admin.ScheduleOperations(devices=[device], kind=types_pb2.OPERATION_KIND_INSTALL,
                                                 auth=types_pb2.AUTH_MODE_STRING).operations[0]
            self.assertEqual(scheduled.operation.state, types_pb2.OPERATION_STATE_PENDING)
        credential = rpc.credential(device, scheduled.auth_string)

        with rpc.phone_client(self.site) as phone:
            self.assertFalse(phone.GetPendingOperation(credential=rpc.credential(device)).authenticated)
            pending = phone.GetPendingOperation(credential=credential).operation
            self.assertEqual((pending.kind, pending.auth),
                             (types_pb2.OPERATION_KIND_INSTALL, types_pb2.AUTH_MODE_STRING))
            self.assertEqual((pending.key.order, pending.key.rsa_bits), (types_pb2.KEY_ORDER_RSA, 2048))
            issued = phone.IssueCertificate(credential=credential, certification_request=pki.request(key))
            lsc = pki.Identity(pki.x509.load_der_x509_certificate(issued.certificate), key)
            self.assertEqual(lsc.certificate.public_key().public_numbers(), key.public_key().public_numbers())
            phone.ConfirmCertificate(credential=credential, sha256=bytes.fromhex(lsc.sha256))

        folder = self.site.folder / "python"
        folder.mkdir()
        anchors, leaf = folder / "anchors.pem", folder / "leaf.pem"
        anchors.write_bytes(b"".join(
            pki.x509.load_der_x509_certificate(each).public_bytes(pki.serialization.Encoding.PEM)
            for each in issued.chain))
        leaf.write_bytes(lsc.certificate_pem)
        pki.verify_both(leaf, anchors)

        with rpc.admin_client(self.site) as admin:
            operation = admin.GetOperation(device=device).operation
            self.assertEqual(operation.state, types_pb2.OPERATION_STATE_SUCCEEDED)
            self.assertFalse(admin.ListOperations(open=True, device=device).operations)
            admin.ScheduleOperations(devices=[device], kind=types_pb2.OPERATION_KIND_DELETE,
                                     auth=types_pb2.AUTH_MODE_LSC)
        with rpc.phone_client(self.site, lsc) as phone:
            pending = phone.GetPendingOperation(credential=rpc.credential(device))
            self.assertTrue(pending.authenticated)
            self.assertEqual(pending.operation.kind, types_pb2.OPERATION_KIND_DELETE)
            self.assertEqual(phone.DeleteCertificate(credential=rpc.credential(device)).revoked, 1)
        with rpc.admin_client(self.site) as admin:
            certificate = admin.GetCertificate(serial_or_device=device).certificate
            self.assertEqual(certificate.state, "revoked")
            self.assertEqual(certificate.der, issued.certificate)

    def test_a_new_lsc_may_confirm_itself(self):
        device, key = self.site.add_phone(self.device()), pki.make_key()
        digits = self.site.schedule(device, "install", "string", "--key-order", "ec", "--ec-size", "256")
        with rpc.phone_client(self.site) as phone:
            issued = phone.IssueCertificate(credential=rpc.credential(device, digits),
                                            certification_request=pki.request(key))
        lsc = pki.Identity(pki.x509.load_der_x509_certificate(issued.certificate), key)
        with rpc.phone_client(self.site, lsc) as phone:
            phone.ConfirmCertificate(credential=rpc.credential(device), sha256=bytes.fromhex(lsc.sha256))
        self.assertEqual(self.site.operation(device)["state"], "succeeded")

    def test_a_phone_that_cannot_make_its_key_fails_the_third_time(self):
        device = self.site.add_phone(self.device())
        digits = self.site.schedule(device, "install", "string")
        failure = phone_pb2.ReportFailureRequest.FAILURE_KEY_GENERATION
        with rpc.phone_client(self.site) as phone:
            for _ in range(2):
                phone.ReportFailure(credential=rpc.credential(device, digits), failure=failure)
                self.assertIsNone(self.site.operation(device)["finished_at"])
            phone.ReportFailure(credential=rpc.credential(device, digits), failure=failure)
        operation = self.site.operation(device)
        self.assertEqual((operation["state"], operation["reason"]), ("failed", "KEY_GENERATION_FAILED"))
        self.assertEqual(operation["status"], "Upgrade Failed: Key Generation Failed/Timeout")

    def test_a_refusal_carries_code_reason_and_words(self):
        with rpc.admin_client(self.site) as admin:
            refusal = self.refusal(admin.GetPhone, device="SEPFFFFFFFFFFFF")
            self.assertEqual((refusal.code, refusal.reason), (grpc.StatusCode.NOT_FOUND, "UNKNOWN_DEVICE"))
            self.assertTrue(refusal.details)
            refusal = self.refusal(admin.ScheduleOperations, devices=["SEPFFFFFFFFFFFF"],
                                   kind=types_pb2.OPERATION_KIND_INSTALL, auth=types_pb2.AUTH_MODE_STRING,
                                   completes_by=timestamp_pb2.Timestamp(seconds=1))
            self.assertEqual(refusal.code, grpc.StatusCode.INVALID_ARGUMENT)

    def test_unspecified_enumerators_and_unknown_ones_are_refused(self):
        device = self.site.add_phone(self.device())
        with rpc.admin_client(self.site) as admin:
            for fields in (dict(kind=0, auth=1), dict(kind=77, auth=1), dict(kind=1, auth=77),
                           dict(kind=1, auth=1, key=types_pb2.KeyPolicy(order=77)),
                           dict(kind=1, auth=1, key=types_pb2.KeyPolicy(order=1, rsa_bits=-2048))):
                with self.subTest(fields):
                    refusal = self.refusal(admin.ScheduleOperations, devices=[device], **fields)
                    self.assertEqual(refusal.code, grpc.StatusCode.INVALID_ARGUMENT)

    def test_health_is_for_whom_the_port_is_for(self):
        channel = rpc.channel(self.site.server, "admin", rpc.admin_identity(self.site))
        self.addCleanup(channel.close)
        stub = rpc.health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(rpc.health_pb2.HealthCheckRequest(), timeout=60)
        self.assertEqual(answer.status, rpc.health_pb2.HealthCheckResponse.SERVING)


class ByReflectionTest(EndToEnd):
    """A client that knows only the server's address: services and messages come from the server itself."""

    METHOD = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with tempfile.TemporaryDirectory() as folder:
            here = os.path.dirname(__file__)
            run("protoc", "-I", here, f"--descriptor_set_out={folder}/set", "reflection.proto")
            with open(f"{folder}/set", "rb") as file:
                files = descriptor_pb2.FileDescriptorSet.FromString(file.read())
        pool = descriptor_pool.DescriptorPool()
        for each in files.file:
            pool.Add(each)
        cls.request = cls.message(pool, "capf.e2e.reflection.ServerReflectionRequest")
        cls.response = cls.message(pool, "capf.e2e.reflection.ServerReflectionResponse")

    @staticmethod
    def message(pool, name):
        return message_factory.MessageFactory(pool).GetPrototype(pool.FindMessageTypeByName(name))

    def ask(self, channel, **question):
        call = channel.stream_stream(self.METHOD, request_serializer=self.request.SerializeToString,
                                     response_deserializer=self.response.FromString)
        return next(call(iter([self.request(**question)]), timeout=60))

    def discover(self, channel, symbol):
        """A pool with the file of that symbol and all that it imports."""
        pool, todo, known = descriptor_pool.DescriptorPool(), [dict(file_containing_symbol=symbol)], {}
        while todo:
            for each in self.ask(channel, **todo.pop()).file_descriptor_response.file_descriptor_proto:
                file = descriptor_pb2.FileDescriptorProto.FromString(each)
                if file.name not in known:
                    known[file.name] = file
                    todo += [dict(file_by_filename=name) for name in file.dependency]
        added = set()

        def add(name):
            if name not in added:
                added.add(name)
                for dependency in known[name].dependency:
                    add(dependency)
                pool.Add(known[name])
        for name in known:
            add(name)
        return pool

    def call(self, channel, pool, service, method, **fields):
        found = pool.FindServiceByName(service).methods_by_name[method]
        request = message_factory.MessageFactory(pool).GetPrototype(found.input_type)
        response = message_factory.MessageFactory(pool).GetPrototype(found.output_type)
        stub = channel.unary_unary(f"/{service}/{method}", request_serializer=request.SerializeToString,
                                   response_deserializer=response.FromString)
        return stub(request(**fields), timeout=60)

    def test_a_phone_that_knows_only_the_address_enrols(self):
        device = self.site.add_phone(self.device())
        digits = self.site.schedule(device, "install", "string", "--key-order", "ec", "--ec-size", "256")
        channel = rpc.channel(self.site.server, "phone")
        self.addCleanup(channel.close)
        services = [each.name for each in self.ask(channel, list_services="*").list_services_response.service]
        self.assertIn("capf.v1.PhoneService", services)
        self.assertNotIn("capf.v1.AdminService", services)
        pool = self.discover(channel, "capf.v1.PhoneService")
        who = {"device": device, "auth_string": digits}
        issued = self.call(channel, pool, "capf.v1.PhoneService", "IssueCertificate", credential=who,
                           certification_request=pki.request(pki.make_key()))
        self.call(channel, pool, "capf.v1.PhoneService", "ConfirmCertificate", credential=who,
                  sha256=hashlib.sha256(issued.certificate).digest())
        self.assertEqual(self.site.operation(device)["state"], "succeeded")

    def test_an_administrator_who_knows_only_the_address_finds_the_services(self):
        channel = rpc.channel(self.site.server, "admin", rpc.admin_identity(self.site))
        self.addCleanup(channel.close)
        services = {each.name for each in self.ask(channel, list_services="*").list_services_response.service}
        self.assertLessEqual({"capf.v1.AdminService", "capf.v1.MonitorService", "grpc.health.v1.Health"}, services)
        pool = self.discover(channel, "capf.v1.MonitorService")
        self.assertGreaterEqual(self.call(channel, pool, "capf.v1.MonitorService", "GetSummary").phones, 0)


if __name__ == "__main__":
    unittest.main()
