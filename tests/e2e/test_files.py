"""Phones' files: over HTTP and HTTPS, in folders for other servers, by TFTP; and that nothing else is given out."""

import contextlib
import hashlib
import os
import shutil
import socket
import ssl
import subprocess
import unittest
import urllib.request

from e2e.site import SOURCE, EndToEnd, Site, eventually, passing, run

SETTINGS = """
[listen.files]
enabled = true

[listen.files_tls]
enabled = true

[files]
static = "{static}"
publish = "{published}"
publish_minutes = 1
"""
PHONE = "SEP0011AABBCC01"
UNKNOWN = "SEP0011AABBCCFF"
IN_TFTPD = shutil.which("in.tftpd", path="/usr/sbin:/usr/bin")


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def same(self):
        """What a stranger can compare."""
        return self.status, self.headers, self.body


class FilesTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        cls.site = Site()
        cls.addClassCleanup(cls.site.close)
        state = cls.site.state
        cls.static = cls.site.folder / "static"
        (cls.static / "German").mkdir(parents=True)
        (cls.static / "ring.raw").write_bytes(bytes(range(256)) * 4096)
        (cls.static / "German/words.xml").write_text("<words/>")
        (cls.static / ".hidden").write_text("hidden")
        (state / "outside").write_text("outside")
        (state / "outside").chmod(0o600)  # the server reads nothing else in its folder
        (cls.static / "link").symlink_to(state / "outside")
        (cls.static / "folder-link").symlink_to(state)
        cls.published = cls.site.folder / "published"
        cls.published.mkdir()
        cls.site.add_phone(PHONE)
        path = state / "capfd.toml"
        path.write_text(path.read_text() + SETTINGS.format(static=cls.static, published=cls.published))
        cls.site.server.restart()

    def url(self, name, listener="files"):
        scheme = "https" if listener == "files_tls" else "http"
        return f"{scheme}://{self.site.server.endpoints[listener]}/{name}"

    def curl(self, name, *options, listener="files"):
        """As curl hears it. The certificate is judged in tests of its own."""
        body = self.site.folder / "body"
        body.unlink(missing_ok=True)
        done = run("curl", "-sS", "-k", "--path-as-is", "--max-time", 30, "-D", "-", "-o", body, *options,
                   self.url(name, listener))
        status, *headers = done.stdout.strip().splitlines()
        return Answer(int(status.split()[1]), sorted(line.strip() for line in headers),
                      body.read_bytes() if body.exists() else b"")

    def signer(self):
        """The certificate that signs files, PEM."""
        return self.site.state / "certificates/file-signer.pem"

    def verify(self, path, name):
        self.site.capfctl("files", "verify", path, "--signer", self.signer(), "--name", name)

    def export(self, folder, *options):
        return self.site.json("files", "export", folder, *options)


class HttpTest(FilesTest):
    def test_a_static_file_is_given_as_it_is_and_signed_under_its_name(self):
        for name in "ring.raw", "German/words.xml":
            octets = (self.static / name).read_bytes()
            answer = self.curl(name)
            self.assertEqual((answer.status, answer.body), (200, octets))
            self.assertIn(f"Content-Length: {len(octets)}", answer.headers)
            signed = self.curl(name + ".sgn")
            self.assertEqual(signed.status, 200)
            path = self.site.folder / "signed"
            path.write_bytes(signed.body)
            self.verify(path, name + ".sgn")
            self.assertTrue(signed.body.endswith(octets))

    def test_a_head_has_the_length_alone_and_a_file_that_is_there_already_is_not_sent(self):
        got = self.curl("ring.raw")
        head = self.curl("ring.raw", "--head")
        self.assertEqual((head.status, head.headers), (got.status, got.headers))
        (tag,) = [line.split(": ", 1)[1] for line in got.headers if line.startswith("ETag: ")]
        again = self.curl("ring.raw", "-H", f"If-None-Match: {tag}")
        self.assertEqual((again.status, again.body), (304, b""))
        self.assertEqual(self.curl("ring.raw", "-H", 'If-None-Match: "x"').status, 200)
        (self.static / "changed.xml").write_text("one")
        (tag,) = [line.split(": ", 1)[1] for line in self.curl("changed.xml").headers if line.startswith("ETag: ")]
        (self.static / "changed.xml").write_text("two")
        self.assertEqual(self.curl("changed.xml", "-H", f"If-None-Match: {tag}").body, b"two")

    def test_a_phone_gets_its_configuration_and_an_unknown_one_hears_what_a_missing_file_says(self):
        self.assertEqual(self.curl(f"{PHONE}.cnf.xml").status, 200)
        unknown = self.curl(f"{UNKNOWN}.cnf.xml").same()
        self.assertEqual(unknown[0], 404)
        for name in ("missing.raw", "missing.raw.sgn", f"ITL{UNKNOWN}.tlv", f"CTL{UNKNOWN}.tlv", f"{UNKNOWN}.cnf.xml.sgn",
                     f"{UNKNOWN}.cnf.xml.enc.sgn", PHONE.lower() + ".cnf.xml", f"{PHONE}.CNF.XML", "itlfile.tlv",
                     "", "/", "..", "../outside", "German/../../outside", "German/../ring.raw", "./ring.raw",
                     "%2e%2e/outside", "..%2foutside", "%72ing.raw", f"{PHONE}.cnf.xml%00", "//etc/passwd",
                     "etc/passwd", ".hidden", "link", "link.sgn", "folder-link/outside", "German", "ring.raw/",
                     "ring.raw?x", "ring.raw;x", "ring+raw", "a" * 1000, "../published/ring.raw",
                     "passphrase", "keys/file-signer.key", "capfd.toml"):
            for listener in "files", "files_tls":
                with self.subTest(name, listener=listener):
                    self.assertEqual(self.curl(name, listener=listener).same(), unknown)

    def test_what_is_no_request_gets_no_file_and_others_are_served(self):
        host, port = self.site.server.endpoints["files"].rsplit(":", 1)
        for line in (b"GET /ring.raw\0 HTTP/1.1", b"GET /" + b"a" * 10_000 + b" HTTP/1.1", b"GET ring.raw HTTP/1.1",
                     b"GET /ring.raw\r\nX HTTP/1.1", b"\x16\x03\x01\x02\x00\x01", b"GET /ring.raw HTTP/9.9"):
            with self.subTest(line), socket.create_connection((host, int(port)), timeout=30) as client:
                client.sendall(line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
                heard = b""
                with contextlib.suppress(ConnectionError):
                    while piece := client.recv(65536):
                        heard += piece
                self.assertNotRegex(heard, rb"^HTTP/1.1 200")
                self.assertNotIn(bytes(range(256)), heard)
        for method in "PUT", "POST", "DELETE", "TRACE":
            self.assertIn(self.curl("ring.raw", "-X", method).status, (400, 405, 413))
        self.assertEqual(self.curl("ring.raw").status, 200)

    def test_over_tls_a_signed_configuration_comes_unsigned_from_a_server_with_an_ec_key(self):
        plain = self.curl(f"{PHONE}.cnf.xml")
        self.assertEqual(self.curl(f"{PHONE}.cnf.xml.sgn", listener="files_tls").body, plain.body)
        self.assertNotEqual(self.curl(f"{PHONE}.cnf.xml.sgn").body, plain.body)
        self.assertEqual(self.curl("ring.raw", listener="files_tls").body, (self.static / "ring.raw").read_bytes())
        host, port = self.site.server.endpoints["files_tls"].rsplit(":", 1)
        shown = ssl.PEM_cert_to_DER_cert((self.site.state / "certificates/file-server.pem").read_text())
        for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.minimum_version = context.maximum_version = version
            with socket.create_connection((host, int(port)), timeout=30) as tcp, context.wrap_socket(tcp) as tls:
                self.assertEqual(tls.getpeercert(True), shown)
        # TLS 1.0 and 1.1 are not spoken.
        self.assertNotEqual(run("curl", "-sS", "-k", "--tls-max", "1.1", "--tlsv1.0", "--ciphers", "DEFAULT:@SECLEVEL=0",
                                self.url("ring.raw", "files_tls"), code=None).returncode, 0)

    def test_what_a_phone_fetched_is_shown_and_counted(self):
        device = self.site.add_phone(self.device())
        self.assertIsNone(self.site.json("phone", "show", device)["fetched"])
        self.assertEqual(self.curl(f"{device}.cnf.xml", "--head").status, 200)  # it has no file from that
        self.assertEqual(self.curl(f"{device}.cnf.xml").status, 200)
        fetched = eventually(lambda: self.site.json("phone", "show", device)["fetched"], "the fetch is on record")
        self.assertTrue(fetched["configuration_generation"])
        self.assertRegex(fetched["address"], r"^(127\.0\.0\.1|::1)$")
        with urllib.request.urlopen(f"http://{self.site.server.endpoints['metrics']}/metrics", timeout=30) as page:
            text = page.read().decode()
        self.assertRegex(text, r'capf_file_fetches_total\{kind="configuration",outcome="sent"\} \d+')
        self.assertNotIn(device, text)


class FoldersTest(FilesTest):
    def folder(self, name):
        folder = self.site.folder / name
        folder.mkdir()
        return folder

    def test_an_export_has_what_phones_fetch_and_removes_what_is_no_more_of_its_own(self):
        folder = self.folder("export")
        (folder / "somebody's").write_text("x")
        device = self.site.add_phone(self.device())
        first = self.export(folder)
        self.assertEqual(first["removed"], 0)
        for name in "ring.raw", "German/words.xml", f"{PHONE}.cnf.xml", f"{device}.cnf.xml":
            self.assertEqual((folder / name).read_bytes(), self.curl(name).body, name)
        for path in folder.rglob("*"):
            if path.is_file() and not path.name.startswith(".") and path.name != "somebody's":
                self.assertEqual(path.stat().st_mode & 0o777, 0o640, path)
        self.assertFalse((folder / "link").exists())
        self.verify(folder / "ring.raw.sgn", "ring.raw.sgn")
        self.verify(folder / f"{PHONE}.cnf.xml.sgn", f"{PHONE}.cnf.xml.sgn")

        self.site.capfctl("phone", "remove", device, "--yes")
        part = self.export(folder, "--devices", PHONE)
        self.assertEqual(part["removed"], 0)
        self.assertTrue((folder / f"{device}.cnf.xml").exists())
        second = self.export(folder)
        self.assertGreater(second["removed"], 0)
        self.assertFalse((folder / f"{device}.cnf.xml").exists())
        self.assertEqual((folder / "somebody's").read_text(), "x")
        self.assertTrue((folder / f"{PHONE}.cnf.xml").exists())
        events = self.site.json("audit", "list", "--action", "file.export")
        self.assertLessEqual({"all", PHONE}, {event["subject"] for event in events})
        self.site.capfctl("files", "export", folder / "absent", code=1)

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("mount"), "needs a small file system")
    def test_a_full_disk_leaves_the_old_files(self):
        folder = self.folder("small")
        if run("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder, code=None).returncode:
            self.skipTest("no file system can be mounted here")
        try:
            self.export(folder)
            old = (folder / "ring.raw").read_bytes()
            ring = self.static / "ring.raw"
            kept = ring.read_bytes()
            self.addCleanup(ring.write_bytes, kept)
            ring.write_bytes(b"x" * (4 << 20))
            self.site.capfctl("files", "export", folder, code=1)
            self.assertEqual((folder / "ring.raw").read_bytes(), old)
            self.assertFalse((folder / ".capf-new").exists())
        finally:
            run("umount", folder)

    def test_only_an_admin_exports_and_signs(self):
        self.site.capfctl("administrator", "add", "the-operator", "--role", "operator")
        folder = self.folder("denied")
        for command in ("files", "export", folder), ("files", "sign", self.static / "ring.raw", "--out", folder):
            self.assertSays(self.site.capfctl("--administrator", "the-operator", *command, code=1), "ROLE_DENIED")
        self.assertEqual([path.name for path in folder.iterdir() if not path.name.startswith(".")], [])

    def test_a_file_is_signed_under_its_name_and_no_list_or_configuration_is(self):
        folder = self.folder("signed")
        plan = self.site.folder / "dialplan.xml"
        plan.write_text("<DIALTEMPLATE/>")
        (row,) = self.site.json("files", "sign", plan, "--out", folder)
        self.assertEqual(row, {"file": "dialplan.xml.sgn", "digest": "SHA-512"})
        self.verify(folder / "dialplan.xml.sgn", "dialplan.xml.sgn")
        self.site.json("files", "sign", plan, "--folder", "German", "--out", folder)
        self.verify(folder / "German/dialplan.xml.sgn", "German/dialplan.xml.sgn")
        for name in "ITLFile.tlv", f"{PHONE}.cnf.xml", "a b.xml":
            path = self.site.folder / name
            path.write_text("x")
            self.assertSays(self.site.capfctl("files", "sign", path, "--out", folder, code=2), "INVALID_REQUEST")
            self.assertFalse((folder / f"{name}.sgn").exists())
        digest = hashlib.sha256(plan.read_bytes()).hexdigest()
        events = self.site.json("audit", "list", "--action", "file.sign")
        self.assertIn(("dialplan.xml.sgn", f"SHA-256 {digest}"), [(e["subject"], e["detail"]) for e in events])
        # An export into the same folder leaves them.
        self.export(folder)
        self.export(folder)
        self.assertTrue((folder / "dialplan.xml.sgn").exists())

    def test_a_folder_is_kept_up_to_date_by_the_server(self):
        published = self.published
        eventually(lambda: (published / "ring.raw").exists(), "the first round is done")
        device = self.site.add_phone(self.device())
        (self.static / "new.xml").write_text("new")
        self.addCleanup((self.static / "new.xml").unlink, missing_ok=True)
        self.site.server.restart()  # a round begins with the server

        def there():
            self.assertEqual((published / "new.xml").read_text() if (published / "new.xml").exists() else "", "new")
            self.assertTrue((published / f"{device}.cnf.xml").exists())
        eventually(passing(there), "the folder has what is new")
        self.assertEqual((published / "new.xml").stat().st_mode & 0o777, 0o640)


@unittest.skipUnless(os.geteuid() == 0, "in.tftpd changes its root folder")
class TftpTest(FilesTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = cls.site.folder / "tftp"
        cls.root.mkdir()
        # A list of everybody's, whatever this site has.
        cls.site.capfctl("files", "export", cls.root)
        (cls.root / "CTLFile.tlv").write_bytes(b"everybody's CTL")
        (cls.root / "ITLFile.tlv").write_bytes(b"everybody's ITL")
        with socket.socket(type=socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            cls.port = probe.getsockname()[1]
        cls.server = subprocess.Popen([IN_TFTPD, "--foreground", "--address", f"127.0.0.1:{cls.port}", "--user", "root",
                                       "--secure", "--permissive", "--map-file", SOURCE / "deploy/tftp/capf.map", cls.root])
        cls.addClassCleanup(cls.server.wait)
        cls.addClassCleanup(cls.server.terminate)
        eventually(lambda: cls.by_curl("ITLFile.tlv") is not None, "in.tftpd answers")

    @classmethod
    def by_curl(cls, name):
        done = run("curl", "-sS", "--path-as-is", "--max-time", 30, f"tftp://127.0.0.1:{cls.port}/{name}", code=None,
                   text=False)
        return None if done.returncode else done.stdout

    @classmethod
    def by_atftp(cls, name):
        path = cls.site.folder / "fetched"
        path.unlink(missing_ok=True)
        done = run("atftp", "--get", "-r", name, "-l", path, "127.0.0.1", cls.port, code=None)
        return None if "error received" in done.stderr + done.stdout or not path.exists() else path.read_bytes()

    def test_two_clients_get_what_was_exported_and_a_phones_own_list_is_everybodys(self):
        wanted = {name: (self.root / name).read_bytes()
                  for name in ("ring.raw", "German/words.xml", f"{PHONE}.cnf.xml", f"{PHONE}.cnf.xml.sgn", "ITLFile.tlv")}
        for device in PHONE, UNKNOWN:
            wanted[f"ITL{device}.tlv"] = b"everybody's ITL"
            wanted[f"CTL{device}.tlv"] = b"everybody's CTL"
        for name, octets in wanted.items():
            with self.subTest(name):
                self.assertEqual(self.by_curl(name), octets)
                self.assertEqual(self.by_atftp(name), octets)

    def test_no_name_leads_elsewhere_and_nothing_is_put_there(self):
        for name in (".capf-files", "../site/outside", "German/../ring.raw", "/etc/passwd", "/ring.raw", "ring raw",
                     "missing.raw", f"{UNKNOWN}.cnf.xml", f"itl{PHONE.lower()}.tlv", ".", "German/.x"):
            with self.subTest(name):
                self.assertIsNone(self.by_atftp(name))
        for name in "%2ecapf-files", "..%2fsite%2foutside":  # curl decodes them
            self.assertIsNone(self.by_curl(name))
        mine = self.site.folder / "mine"
        mine.write_text("mine")
        for name in "ring.raw", "new.raw":
            run("atftp", "--put", "-l", mine, "-r", name, "127.0.0.1", self.port, code=None)
        self.assertEqual((self.root / "ring.raw").read_bytes(), (self.static / "ring.raw").read_bytes())
        self.assertFalse((self.root / "new.raw").exists())


if __name__ == "__main__":
    unittest.main()
