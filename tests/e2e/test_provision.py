"""capf-phone --provision: a phone that starts, against servers in Python that have files of other makers, honest and not, and
against a whole site."""

import contextlib
import http.server
import pathlib
import shutil
import socketserver
import ssl
import struct
import tempfile
import threading
import unittest

from e2e import pki, tvs
from e2e.site import PROGRAMS, EndToEnd, Site, run

DATA = pathlib.Path(__file__).parents[1] / "data"
FILES = DATA / "phone-files"
DEVICE = "SEP001122334455"
PLAIN, SIGNED, ENCRYPTED = (f"{DEVICE}.cnf.xml{ending}" for ending in ("", ".sgn", ".enc.sgn"))
SECRET = "not-a-real-secret"
SAST, TFTP = 0, 3


def der_of(name):
    return ssl.PEM_cert_to_DER_cert((FILES / f"certs/{name}.crt").read_text())


def server_tls(name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FILES / f"certs/{name}.crt", FILES / f"certs/{name}.key")
    return context


class Shelf(http.server.ThreadingHTTPServer):
    """Files by HTTP, or by HTTPS under the certificate of this name."""
    daemon_threads = True

    def __init__(self, files, certificate=None):
        super().__init__(("127.0.0.1", 0), Shelf.Handler)
        self.files, self.asked = files, []
        if certificate:
            self.socket = server_tls(certificate).wrap_socket(self.socket, server_side=True)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append(self.path[1:])
            content = self.server.files.get(self.path[1:])
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    def handle_error(self, *_):
        """The phone ends a connection whose server it does not believe."""


class Vouching(socketserver.ThreadingTCPServer):
    """Answers each question with the same elements; the certificate is added where a signer is asked for."""
    daemon_threads = True

    def __init__(self, roles, signer=None, certificate="tvs"):
        super().__init__(("127.0.0.1", 0), Vouching.Handler)
        self.roles, self.signer, self.questions = roles, signer, []
        self.socket = server_tls(certificate).wrap_socket(self.socket, server_side=True)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            octets = b""
            while len(octets) < 10 or len(octets) < 10 + struct.unpack(">H", octets[8:10])[0]:
                piece = self.request.recv(65536)
                if not piece:
                    return
                octets += piece
            kind, session = octets[2], struct.unpack(">I", octets[4:8])[0]
            self.server.questions.append(octets)
            elements = tvs.element(tvs.STATUS, bytes([not self.server.roles]))
            if self.server.roles:
                if kind == tvs.QUERY:
                    elements += tvs.element(tvs.CERTIFICATE, der_of(self.server.signer))
                elements += tvs.element(tvs.ROLES, bytes(self.server.roles)) + tvs.element(tvs.LIFETIME, struct.pack(">I", 60))
            # In pieces, as a network may bring it.
            for octet in tvs.message(kind + 1, elements, session):
                self.request.sendall(bytes([octet]))

    def handle_error(self, *_):
        """The phone ends a connection whose server it does not believe."""


class Trickle(socketserver.ThreadingTCPServer):
    """Says what it is given, then stays silent until the phone goes."""
    daemon_threads = True

    def __init__(self, says):
        super().__init__(("127.0.0.1", 0), Trickle.Handler)
        self.says = says

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            with contextlib.suppress(ConnectionError):
                self.request.recv(65536)
                self.request.sendall(self.server.says)
                while self.request.recv(65536):
                    pass


class OtherMakersTest(unittest.TestCase):
    """Without any server of ours."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="capf-provision-"))
        self.addCleanup(shutil.rmtree, self.folder)
        for name in ("phone_rsa1024", "phone_rsa2048"):
            shutil.copy(FILES / f"certs/{name}.key", self.folder)
            (self.folder / f"{name}.key").chmod(0o600)
        self.files = {"ITLFile.tlv": self.read("itl/b/ITLFile.tlv"), SIGNED: self.read(f"enc/rsa2048-sha1/{SIGNED}"),
                      ENCRYPTED: self.read(f"enc/rsa2048-sha1/{ENCRYPTED}")}
        self.http = self.serve(Shelf(self.files))

    @staticmethod
    def read(path):
        return (FILES / path).read_bytes()

    def serve(self, server):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server

    @staticmethod
    def address(server):
        return "127.0.0.1:{}".format(server.server_address[1])

    def start(self, *options, code=1, mic="phone_rsa2048", files=None):
        """The phone cannot reach CAPF, where the configurations of the data send it to: --server names nobody."""
        self.http.asked.clear()
        done = run(PROGRAMS / "capf-phone", DEVICE, "--provision", "--files", self.address(files or self.http),
                   "--dir", self.folder / "phones", "--certificate", FILES / f"certs/{mic}.crt",
                   "--key", self.folder / f"{mic}.key", "--legacy-certificate", "--wire", "--tries", "1",
                   "--server", "127.0.0.1:1", *options, code=code)
        self.assertNotIn(SECRET, done.stdout + done.stderr)
        return done

    def plain(self, mode=0):
        return self.read("sgn/" + PLAIN).replace(b"<capfAuthMode>3", b"<capfAuthMode>%d" % mode)

    def kept(self, ending):
        path = self.folder / "phones" / f"{DEVICE}{ending}"
        if path.exists():
            self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        return path.read_bytes() if path.exists() else None

    def test_lists_then_the_stub_then_the_encrypted_file_and_capf_as_it_says(self):
        done = self.start("--no-https", code=3)
        self.assertEqual(self.http.asked, [f"CTL{DEVICE}.tlv", "CTLFile.tlv", f"ITL{DEVICE}.tlv", "ITLFile.tlv", SIGNED, ENCRYPTED])
        self.assertIn("ITLFile.tlv: taken, the first one", done.stdout)
        self.assertIn(f"{ENCRYPTED}: the signature is right, and the file opens", done.stdout)
        self.assertIn("CAPF: the phone goes there", done.stdout)
        self.assertIn("SERVER_NOT_REACHED", done.stderr)
        self.assertEqual(self.kept(".cnf.xml"), self.read("enc/rsa2048-sha1/plaintext.xml"))
        self.assertEqual(self.kept(".itl.tlv"), self.files["ITLFile.tlv"])
        self.start("--no-https", code=3)
        self.assertEqual(self.http.asked[-1], ENCRYPTED)
        self.assertNotIn(SIGNED, self.http.asked)

    def test_https_from_a_server_of_the_list_and_the_mode_in_effect(self):
        secure = self.serve(Shelf({SIGNED: self.plain()}, "tftp_ec"))
        done = self.start("--files-tls", self.address(secure), code=0)
        self.assertEqual(secure.asked, [SIGNED])
        self.assertNotIn(SIGNED, self.http.asked)
        self.assertRegex(done.stdout.splitlines()[-1],
                         rf"^{DEVICE} provision succeeded mode=encrypted digest_password=yes itl_sha1=[0-9a-f]{{40}}$")
        self.assertEqual(self.kept(".cnf.xml"), self.plain())

    def test_an_https_server_that_only_tvs_knows(self):
        secure = self.serve(Shelf({SIGNED: self.plain()}, "app_521"))
        service = self.serve(Vouching([TFTP]))
        done = self.start("--files-tls", self.address(secure), "--tvs", self.address(service), code=0)
        self.assertIn("vouches for the server", done.stdout)
        self.assertIn(der_of("app_521"), service.questions[0])
        shutil.rmtree(self.folder / "phones")
        for wrong in (Vouching([]), Vouching([SAST]), Vouching([TFTP], certificate="ccm")):
            service = self.serve(wrong)
            secure.asked.clear()
            done = self.start("--files-tls", self.address(secure), "--tvs", self.address(service), code=3)
            self.assertIn("HTTP is next", done.stdout)
            self.assertEqual(secure.asked, [])  # nothing is sent to a server that the phone does not believe
            shutil.rmtree(self.folder / "phones")

    def test_a_list_of_an_unknown_signer_counts_where_tvs_says_so(self):
        self.start("--no-https", code=3)
        self.files["ITLFile.tlv"] = stranger = self.read("itl/e/ITLFile.tlv")
        self.files.update({ENCRYPTED: None, PLAIN: self.plain()})
        for wrong in (Vouching([]), Vouching([TFTP], "sast_4096"), Vouching([SAST], "sast_b"),
                      Vouching([SAST], "sast_4096", certificate="sast_4096")):
            service = self.serve(wrong)
            done = self.start("--no-https", "--tvs", self.address(service), code=None)
            self.assertIn("ITLFile.tlv: refused, the phone keeps what it has", done.stdout)
            self.assertNotEqual(self.kept(".itl.tlv"), stranger)
        service = self.serve(Vouching([SAST], "sast_4096"))
        done = self.start("--no-https", "--tvs", self.address(service), code=0)
        self.assertIn("the Trust Verification Service vouches for its signer", done.stdout)
        self.assertEqual(self.kept(".itl.tlv"), stranger)
        self.assertIn("mode=nonsecure", done.stdout)  # that list has no SIP server

    def test_files_that_are_wrong_are_refused_and_what_the_phone_has_stays(self):
        self.start("--no-https", code=3)
        before = self.kept(".itl.tlv"), self.kept(".cnf.xml")
        wrong = sorted(path.name for path in (FILES / "malformed").glob("*.*") if path.suffix in (".tlv", ".sgn"))
        good = {"good_reference.tlv", "good_reference.sgn", "good_reference.enc.sgn", "timestamp_future.tlv", "timestamp_zero.tlv"}
        good.add("signed_by_ca_role.sgn")  # by a certificate that this list has as CCM+TFTP
        for name in sorted(set(wrong) - good):
            with self.subTest(name):
                listed = name.endswith(".tlv")
                place = "ITLFile.tlv" if listed else ENCRYPTED if name.endswith(".enc.sgn") else SIGNED
                kept = self.files.pop(ENCRYPTED) if place == SIGNED else None
                original, self.files[place] = self.files[place], self.read(f"malformed/{name}")
                done = self.start("--no-https", code=None)
                self.files[place] = original
                if kept:
                    self.files[ENCRYPTED] = kept
                self.assertNotEqual(done.returncode, 0)
                if listed:
                    self.assertIn("refused, the phone keeps what it has", done.stdout)
                self.assertEqual((self.kept(".itl.tlv"), self.kept(".cnf.xml")), before)

    def test_a_server_that_sends_much_or_nothing_ends(self):
        head = b"HTTP/1.1 200 OK\r\n"
        for says in (head + b"Content-Length: 99999999999\r\n\r\n", head + b"\r\n" + b"x" * 2_000_000,
                     b"x" * 1_000_000, head + b"X: " + b"x" * 100_000):
            done = self.start(code=None, files=self.serve(Trickle(says)))
            self.assertNotEqual(done.returncode, 0)
        done = self.start(code=3, files=self.serve(Trickle(head)))
        self.assertIn("does not answer in time", done.stderr)
        self.assertIsNone(self.kept(".itl.tlv"))

    def test_a_phone_without_a_signer_in_its_list_takes_what_is_not_signed_and_never_otherwise(self):
        self.files.clear()
        self.files[PLAIN] = self.plain()
        done = self.start(code=0)
        self.assertIn("taken, unsigned", done.stdout)
        self.assertIn("mode=nonsecure", done.stdout)
        self.files["ITLFile.tlv"] = self.read("itl/b/ITLFile.tlv")
        done = self.start("--no-https", code=1)
        self.assertIn("UNKNOWN_DEVICE", done.stderr)
        self.assertNotIn(PLAIN, self.http.asked)

    def test_a_string_that_somebody_must_type_is_asked_for(self):
        self.files.clear()
        stub = self.read(f"enc/rsa2048-sha1/{SIGNED}")
        self.files[PLAIN] = stub[stub.index(b"<?xml"):].replace(b"<capfAuthMode>3", b"<capfAuthMode>1")
        done = self.start(code=1, mic="phone_rsa1024")
        self.assertIn("CREDENTIAL_MISSING", done.stderr)


class SiteTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        listeners = "".join(f"\n[listen.{name}]\nenabled = true\n" for name in ("files", "files_tls", "tvs"))
        cls.site = Site(settings=lambda text: text + listeners)
        cls.addClassCleanup(cls.site.close)
        cls.site.capfctl("trust-list", "certificate", "add", DATA / "tvs/certs/ccm.pem", "--role", "ccm")
        cls.site.capfctl("trust-list", "build", "--yes")
        cls.site.capfctl("site", "security-mode", "mixed", "--yes")
        cls.site.capfctl("trust-list", "build", "--yes")
        cls.site.capfctl("profile", "add", "secure", "--mode", "encrypted", "--encrypted-config", "on", "--digest", "on",
                         "--key-order", "rsa")

    def desk(self):
        """A phone with the profile, a digest user and a configuration of its own. @return its name and its string"""
        device = self.site.add_phone(self.device())
        digits = self.site.schedule(device, "install", "string", "--key-order", "rsa", "--rsa-size", "2048")
        self.site.capfctl("profile", "apply", "secure", device)
        user = device.lower()
        self.site.capfctl("digest-user", "add", user, "--password", "-", input=SECRET + "\n")
        self.site.capfctl("phone", "digest", device, user)
        path = self.site.folder / f"{device}.cnf.xml"
        path.write_bytes((FILES / f"sgn/{PLAIN}").read_bytes().replace(b"4711", user.encode()))
        self.site.capfctl("configuration", "import", path)
        return device, digits

    def start(self, device, *options, code=0):
        done = self.site.phone(device, "--provision", *options, code=code)
        self.assertNotIn(SECRET, done.stdout + done.stderr)
        return done

    def assertEncrypted(self, done, device):
        self.assertRegex(done.stdout.splitlines()[-1],
                         rf"^{device} provision succeeded mode=encrypted digest_password=yes( [ci]tl_sha1=[0-9a-f]{{40}})+$")

    def test_a_phone_gets_its_list_its_lsc_and_its_encrypted_configuration(self):
        for wire in (False, True):
            with self.subTest(wire=wire):
                device, digits = self.desk()
                options = ("--wire", "--server", self.site.server.endpoints["wire"]) if wire else ()
                self.assertEncrypted(self.start(device, "--string", digits, *options), device)
                self.assertEqual(self.site.operation(device)["state"], "succeeded")
                pki.openssl("x509", "-in", self.site.phones / f"{device}.pem", "-noout", "-checkend", "0")
                configuration = self.site.phones / f"{device}.cnf.xml"
                self.assertIn(SECRET, configuration.read_text())
                self.assertEqual(configuration.stat().st_mode & 0o777, 0o600)
                again = self.start(device, *options)
                self.assertEncrypted(again, device)
                self.assertIn("the one that the phone has", again.stdout)
                self.assertIn(f"{device}.cnf.xml.enc.sgn: the signature is right, and the file opens", again.stdout)

    def test_a_list_that_was_signed_by_somebody_else_is_refused_and_the_phone_goes_on(self):
        device, digits = self.desk()
        self.start(device, "--string", digits)
        path = self.site.phones / f"{device}.itl.tlv"
        ours = path.read_bytes()
        path.write_bytes((FILES / "itl/e/ITLFile.tlv").read_bytes())
        (self.site.phones / f"{device}.ctl.tlv").unlink(missing_ok=True)
        done = self.start(device, code=1)
        self.assertIn("refused, the phone keeps what it has", done.stdout)
        self.assertNotEqual(path.read_bytes(), ours)

    def test_an_unknown_phone_is_told_so(self):
        done = self.start(self.device(), code=1)
        self.assertSays(done, "UNKNOWN_DEVICE")
        self.assertIn(".cnf.xml.sgn: not found", done.stdout)


if __name__ == "__main__":
    unittest.main()
