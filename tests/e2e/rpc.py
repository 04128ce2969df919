"""gRPC clients from the .proto files alone, as any other language would make them."""

import os
import shutil
import sys
import tempfile
import unittest

import grpc

from e2e.site import SOURCE, run

FILES = ("capf/v1/access", "capf/v1/types", "capf/v1/administrators", "capf/v1/campaigns", "capf/v1/phone", "capf/v1/digest",
         "capf/v1/lists", "capf/v1/files", "capf/v1/configuration", "capf/v1/moving", "capf/v1/admin", "capf/v1/monitor",
         "google/rpc/status", "google/rpc/error_details", "grpc/health/v1/health")


def _generate():
    """Compiles the .proto files into a folder that Python imports from."""
    folder = tempfile.mkdtemp(prefix="capf-proto-")
    run("protoc", "-I", SOURCE / "proto", "-I", "/usr/include", f"--python_out={folder}", f"--grpc_out={folder}",
        "--plugin=protoc-gen-grpc=/usr/bin/grpc_python_plugin", *[f"{name}.proto" for name in FILES])
    sys.path.insert(0, folder)
    grpc.__path__.append(os.path.join(folder, "grpc"))  # grpc.health is in another folder than the library of that name
    return folder


_folder = _generate()
from capf.v1 import access_pb2, admin_pb2, admin_pb2_grpc, monitor_pb2, monitor_pb2_grpc  # noqa: E402
from capf.v1 import phone_pb2, phone_pb2_grpc, types_pb2  # noqa: E402
from google.rpc import error_details_pb2, status_pb2  # noqa: E402
from grpc.health.v1 import health_pb2, health_pb2_grpc  # noqa: E402
shutil.rmtree(_folder)

TIMEOUT = 60


class Refusal(Exception):
    """Everything that a caller learns from a refusal."""

    def __init__(self, error):
        metadata = {key: value for key, value in (error.trailing_metadata() or ())}
        self.code = error.code()
        self.details = error.details()
        self.binary = metadata.get("grpc-status-details-bin", b"")
        self.reason = None
        self.retry_delay = None  # seconds
        for any_detail in status_pb2.Status.FromString(self.binary).details:
            info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
            if any_detail.Unpack(info):
                self.reason = info.reason
            elif any_detail.Unpack(retry):
                self.retry_delay = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
        # without the transport's own metadata
        self.whole = (self.code, self.details, self.binary,
                      tuple(sorted(key for key in metadata if key not in ("content-length", "date"))))
        super().__init__(f"{self.code} {self.reason}: {self.details}")


class Client:
    """Calls as methods: `client.ListPhones(…)` builds the request from its fields and gives the answer, or raises
    Refusal."""

    def __init__(self, channel, stub_type, service):
        self._channel, self._stub, self._service = channel, stub_type(channel), service

    def __getattr__(self, method):
        message = _request_type(self._service, method)

        def call(request=None, **fields):
            try:
                return getattr(self._stub, method)(message(**fields) if request is None else request, timeout=TIMEOUT)
            except grpc.RpcError as error:
                raise Refusal(error) from None
        return call

    def close(self):
        self._channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _request_type(service, method):
    for module, name in ((phone_pb2, "PhoneService"), (admin_pb2, "AdminService"), (monitor_pb2, "MonitorService")):
        if name == service:
            # The message may be of another file.
            return module.DESCRIPTOR.services_by_name[name].methods_by_name[method].input_type._concrete_class
    raise AttributeError(method)


def callers(method):
    """The roles that may call the method of a descriptor, by its option."""
    option = method.GetOptions().Extensions[access_pb2.access]
    return {access_pb2.Access.Caller.Name(caller).lower() for caller in option.callers}


def channel(server, port, identity=None):
    """To a listener of the server ("phone", "admin"), with the client certificate of a pki.Identity or none."""
    credentials = grpc.ssl_channel_credentials(
        root_certificates=(server.state / "certificates/site-ca.pem").read_bytes(),
        private_key=identity.key_pem if identity else None,
        certificate_chain=identity.certificate_pem if identity else None)
    options = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1))
    return grpc.secure_channel(server.endpoints[port], credentials, options)


class FileIdentity:
    """A certificate and key in PEM files, where a channel wants them."""

    def __init__(self, certificate, key):
        self.certificate_pem, self.key_pem = certificate.read_bytes(), key.read_bytes()


def phone_client(site, identity=None, server=None):
    return Client(channel(server or site.server, "phone", identity), phone_pb2_grpc.PhoneServiceStub, "PhoneService")


def admin_identity(site, name="admin"):
    return FileIdentity(site.state / "admin" / f"{name}.pem", site.state / "admin" / f"{name}.key")


def admin_client(site, identity=None, server=None):
    return Client(channel(server or site.server, "admin", identity or admin_identity(site)),
                  admin_pb2_grpc.AdminServiceStub, "AdminService")


def monitor_client(site, identity=None, server=None):
    return Client(channel(server or site.server, "admin", identity or admin_identity(site)),
                  monitor_pb2_grpc.MonitorServiceStub, "MonitorService")


def credential(device, auth_string=""):
    return phone_pb2.Credential(device=device, auth_string=auth_string)


class RefusalTests(unittest.TestCase):
    """Mixed into test cases that call over gRPC."""

    def refusal(self, call, *arguments, **fields):
        """The refusal of a call that must be refused."""
        with self.assertRaises(Refusal) as caught:
            call(*arguments, **fields)
        return caught.exception

    def assertStranger(self, refusal):
        """Checks that it is the one answer to every stranger."""
        self.assertEqual((refusal.code, refusal.reason), (grpc.StatusCode.UNAUTHENTICATED, "AUTHENTICATION_FAILED"))
