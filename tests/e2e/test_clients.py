"""Honest clients of other makers, unmodified, at the gate: grpc-go here; grpc++ and Python's grpcio are what all other tests
use."""

import os
import shutil
import subprocess
import tempfile
import unittest

from e2e.site import SOURCE, EndToEnd, run, shared_site

CALLS = "200"


class GoClientTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tempfile.mkdtemp(prefix="capf-go-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.program = os.path.join(cls.folder, "client")
        environment = dict(os.environ, GO111MODULE="off", GOPATH="/usr/share/gocode", GOFLAGS="-p=2",
                           GOCACHE=os.environ.get("CAPF_GOCACHE", os.path.join(cls.folder, "cache")))
        run("go", "build", "-o", cls.program, SOURCE / "tests/e2e/client.go", env=environment, timeout=600)

    def call(self, port, method, request, *certificate, code=0):
        site = shared_site()
        host, number = site.server.endpoints[port].rsplit(":", 1)
        done = subprocess.run([self.program, f"{host}:{number}", str(site.state / "certificates/site-ca.pem"), method,
                               request.hex(), CALLS, *map(str, certificate)], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout.strip() if code == 0 else done.stderr

    def test_a_stranger_asks_again_and_again(self):
        self.assertEqual(self.call("phone", "/capf.v1.PhoneService/GetPendingOperation",
                                   b"\x0a\x11\x0a\x0fSEP0011223344AA"), "")

    def test_an_administrator_lists(self):
        admin = shared_site().state / "admin"
        device = self.device()
        shared_site().capfctl("phone", "add", device)
        answer = self.call("admin", "/capf.v1.AdminService/ListPhones", b"", next(admin.glob("*.pem")),
                           next(admin.glob("*.key")))
        self.assertIn(device.encode().hex(), answer)

    def test_a_stranger_is_no_administrator(self):
        self.assertIn("Unavailable", self.call("admin", "/capf.v1.AdminService/ListPhones", b"", code=1))


if __name__ == "__main__":
    unittest.main()
