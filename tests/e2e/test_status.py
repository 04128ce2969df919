"""Relying parties: CRLs, OCSP and issuers' certificates over HTTP, read by OpenSSL, GnuTLS and NSS."""

import base64
import hashlib
import http.client
import re
import socket
import unittest
import urllib.parse

from e2e.site import EndToEnd, Site, eventually, passing, run

INTERVAL = 2


def setUpModule():
    global _site
    _site = Site(settings=lambda text: text + f"\n[status]\ncrl_interval_seconds = {INTERVAL}\n")


def tearDownModule():
    _site.close()


class StatusTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        cls.site = _site
        cls.issuer = cls.site.folder / "issuer.pem"
        cls.issuer.write_text(cls.site.capfctl("issuer", "export").stdout)

    def connection(self, server=None):
        address = (server or self.site.server).endpoints["status"]
        connection = http.client.HTTPConnection(address, timeout=60)
        self.addCleanup(connection.close)
        return connection

    def fetch(self, path, method="GET", headers=None, body=None, server=None):
        connection = self.connection(server)
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        answer.content = answer.read()
        return answer

    def crl(self, server=None):
        """The present CRL. @return the path of a file with it, in PEM"""
        path = self.site.folder / "crl.pem"
        answer = eventually(lambda: (lambda a: a if a.status == 200 else None)(
            self.fetch("/crl/1/0.crl", server=server)), "a CRL")
        der = self.site.folder / "crl.der"
        der.write_bytes(answer.content)
        run("openssl", "crl", "-inform", "der", "-in", der, "-out", path, "-CAfile", self.issuer)
        return path

    def serial(self, path):
        return run("openssl", "x509", "-noout", "-serial", "-in", path).stdout.strip().split("=")[1]

    def revoked_in(self, path):
        text = run("openssl", "crl", "-noout", "-text", "-in", path).stdout
        return re.findall(r"Serial Number: ([0-9A-F]+)", text)

    def number(self, path):
        return int(run("openssl", "crl", "-noout", "-crlnumber", "-in", path).stdout.strip().split("=")[1], 16)


class CrlTest(StatusTest):
    def test_a_revocation_stands_on_the_crl_and_every_library_sees_it(self):
        good = self.site.enrol(self.device())
        device = self.device()
        bad = self.site.enrol(device)
        before = self.crl()
        number = self.number(before)
        verify = ("openssl", "verify", "-crl_check", "-CAfile", self.issuer, "-CRLfile", before)
        run(*verify, good)
        run(*verify, bad)
        self.site.capfctl("certificate", "revoke", device, "--reason", "keyCompromise", "--yes")
        eventually(passing(lambda: self.assertIn(self.serial(bad), self.revoked_in(self.crl()))), "it is revoked",
                   seconds=60)
        after = self.crl()
        self.assertGreater(self.number(after), number)
        self.assertIn("Key Compromise", run("openssl", "crl", "-noout", "-text", "-in", after).stdout)
        # The distribution point of the CRL is the certificate's, or openssl would find none that fits.
        run(*verify, good)
        refused = run(*verify, bad, code=2)
        self.assertIn("certificate revoked", refused.stderr + refused.stdout)
        self.gnutls(good, bad, after)
        self.nss(good, bad)

    def gnutls(self, good, bad, crl):
        self.assertIn("verified", run("certtool", "--verify-crl", "--load-ca-certificate", self.issuer, "--infile", crl).stdout.lower())
        chain = ("certtool", "--verify", "--load-ca-certificate", self.issuer, "--load-crl", crl, "--infile")
        self.assertIn("The certificate is trusted", run(*chain, good).stdout)
        self.assertIn("revoked", run(*chain, bad, code=None).stdout)

    def nss(self, good, bad):
        folder = self.site.folder / "nss"
        folder.mkdir()
        store = ("-d", f"sql:{folder}")
        run("certutil", "-N", *store, "--empty-password")
        run("certutil", "-A", *store, "-n", "issuer", "-t", "CT,,", "-a", "-i", self.issuer)
        run("crlutil", "-I", *store, "-t", "1", "-i", self.site.folder / "crl.der")
        self.assertRegex(run("crlutil", "-L", *store).stdout, r"issuer +CRL")
        for name, path in ("good", good), ("bad", bad):
            run("certutil", "-A", *store, "-n", name, "-t", ",,", "-a", "-i", path)
        self.assertIn("certificate is valid", run("certutil", "-V", *store, "-n", "good", "-u", "C", code=None).stdout)
        self.assertIn("revoked", run("certutil", "-V", *store, "-n", "bad", "-u", "C", code=None).stdout.lower())

    def test_the_certificate_names_where_its_status_is_and_it_is_there(self):
        path = self.site.enrol(self.device())
        text = run("openssl", "x509", "-noout", "-text", "-in", path).stdout
        for pattern in (r"URI:http://[^/]+(/crl/\S+)", r"CA Issuers - URI:http://[^/]+(/ca/\S+)"):
            self.crl()
            self.assertEqual(self.fetch(re.search(pattern, text).group(1)).status, 200)
        der = self.fetch("/ca/1.cer").content
        pem = run("openssl", "x509", "-inform", "der", input=der, text=False).stdout
        self.assertIn(pem.decode(), self.issuer.read_text())

    def test_a_server_that_starts_again_serves_what_it_has_and_counts_on(self):
        number = self.number(self.crl())
        self.site.server.restart()
        self.assertEqual(self.fetch("/crl/1/0.crl").status, 200)  # at once
        device = self.device()
        path = self.site.enrol(device)
        self.site.capfctl("certificate", "revoke", device, "--reason", "superseded", "--yes")
        eventually(passing(lambda: self.assertIn(self.serial(path), self.revoked_in(self.crl()))), "it is revoked")
        self.assertGreater(self.number(self.crl()), number)

    def test_a_database_that_has_forgotten_a_crl_lets_nobody_in(self):
        device = self.device()
        self.site.add_phone(device)
        self.site.schedule(device, "install", "null")
        self.crl()
        self.site.server.stop()
        (newest,) = self.site.sql("select max(number) from crls")
        self.site.sql("create table pieces_before as select * from crl_pieces; "
                      "create table crls_before as select * from crls where number = " + newest + "; "
                      f"delete from crl_pieces where number = {newest}; delete from crls where number = {newest}")
        self.site.server.start()
        self.assertSays(self.site.phone(device, code=1), "DATABASE_BEHIND")
        self.assertEqual(self.fetch("/crl/1/0.crl").status, 200)  # published CRLs stay available
        self.assertEqual(self.site.sql("select count(*) from crls where number >= " + newest), ["0"])
        self.site.server.stop()
        self.site.sql("insert into crls select * from crls_before; "
                      f"insert into crl_pieces select * from pieces_before where number = {newest}; "
                      "drop table crls_before, pieces_before")
        self.site.server.start()
        self.site.phone(device)

    def test_a_second_server_serves_the_same(self):
        second = self.site.add_server()
        same = lambda: self.fetch("/crl/1/0.crl", server=second).getheader("ETag") == \
            self.fetch("/crl/1/0.crl").getheader("ETag")
        self.assertTrue(eventually(same, "both have one CRL"))
        self.assertEqual(second.stop(), 0)

    def test_metrics_say_how_old_and_how_large_it_is(self):
        number = self.number(self.crl())
        shown = self.site.server.metrics
        eventually(lambda: shown().get('capf_crl_number{issuer="1",shard="0"}', 0) >= number, shown)
        self.assertTrue(any(name.startswith("capf_crl_next_update_seconds") for name in shown()))


class OcspTest(StatusTest):
    def ask(self, path, *options):
        """The answer of openssl's client on a certificate."""
        url = f"http://{self.site.server.endpoints['status']}/ocsp"
        done = run("openssl", "ocsp", "-issuer", self.issuer, "-CAfile", self.issuer, *options, "-cert", path, "-url",
                   url)
        return done.stdout + done.stderr

    def request(self, path, *options):
        """The DER of a request."""
        file = self.site.folder / "request.der"
        run("openssl", "ocsp", "-issuer", self.issuer, "-cert", path, *options, "-reqout", file)
        return file.read_bytes()

    def state(self, path):
        return re.search(r": (good|revoked|unknown)", self.ask(path)).group(1)

    def setUp(self):
        self.crl()  # then the responder's certificate is there too

    def test_a_revocation_is_seen_at_once_by_every_library(self):
        device = self.device()
        path = self.site.enrol(device)
        for options in (), ("-no_nonce",), ("-sha256",):
            answer = self.ask(path, *options)
            self.assertIn("Response verify OK", answer)
            self.assertIn(": good", answer)
        url = f"http://{self.site.server.endpoints['status']}/ocsp"
        ask = ("ocsptool", f"--ask={url}", "--load-issuer", self.issuer, "--load-trust", self.issuer, "--load-cert", path)
        self.assertRegex(run(*ask).stdout, r"Certificate Status: good")
        self.site.capfctl("certificate", "revoke", device, "--reason", "keyCompromise", "--yes")
        answer = self.ask(path)  # with a nonce: never an answer from before
        self.assertIn("Response verify OK", answer)
        self.assertIn(": revoked", answer)
        self.assertIn("keyCompromise", answer)
        # Without a nonce, a recent answer may be reused.
        for asked in (lambda: run(*ask, code=None).stdout, lambda: self.ask(path, "-no_nonce")):
            eventually(lambda: "revoked" in asked(), "the answer that was kept is over", seconds=30)

    def test_a_certificate_that_was_never_issued_is_unknown(self):
        url = f"http://{self.site.server.endpoints['status']}/ocsp"
        for serial in ("1", "0x" + "5a" * 16, "0x7" + "f" * 39):
            answer = run("openssl", "ocsp", "-issuer", self.issuer, "-CAfile", self.issuer, "-serial", serial, "-url", url)
            self.assertIn(": unknown", answer.stdout)

    def test_a_request_in_the_path_is_answered_and_may_be_kept(self):
        request = self.request(self.site.enrol(self.device()), "-no_nonce")
        text = base64.b64encode(request).decode()
        whole = self.fetch("/ocsp/" + urllib.parse.quote(text, safe=""))
        self.assertEqual(whole.status, 200)
        self.assertEqual(whole.getheader("Content-Type"), "application/ocsp-response")
        self.assertRegex(whole.getheader("Cache-Control"), r"max-age=\d+, public, no-transform, must-revalidate")
        # Without a cache: '/' as it is. One answer is kept for a while, and another one follows.
        eventually(lambda: self.fetch("/ocsp/" + text).content == self.fetch("/ocsp/" + urllib.parse.quote(text, safe="")).content,
                   "both are one answer")
        again = self.fetch("/ocsp/" + text, headers={"If-None-Match": whole.getheader("ETag")})
        self.assertIn(again.status, (200, 304))
        posted = self.fetch("/ocsp", "POST", {"Content-Type": "application/ocsp-request"}, request)
        self.assertEqual(posted.status, 200)
        self.assertEqual(posted.getheader("Cache-Control"), "no-store")

    def test_the_responders_certificate_is_on_record_and_its_key_is_the_sites(self):
        events = self.site.json("audit", "list", "--action", "ocsp.certify")
        self.assertTrue(events)
        request = self.site.folder / "own.der"
        answer = self.site.folder / "answer.der"
        request.write_bytes(self.request(self.site.enrol(self.device())))
        answer.write_bytes(self.fetch("/ocsp", "POST", body=request.read_bytes()).content)
        text = run("openssl", "ocsp", "-respin", answer, "-noverify", "-resp_text").stdout
        self.assertIn("OCSP Signing", text)
        self.assertIn("OCSP No Check", text)
        pem = text[text.index("-----BEGIN CERTIFICATE-----"):]
        key = run("openssl", "x509", "-noout", "-pubkey", input=pem).stdout
        spki = run("openssl", "pkey", "-pubin", "-outform", "der", input=key.encode(), text=False).stdout
        digest = hashlib.sha256(spki).hexdigest()
        self.assertEqual(self.site.sql(f"select owner from public_keys where sha256 = '\\x{digest}'"), ["site"])

    def test_bad_requests_are_answered_without_a_word_too_many(self):
        def error(body, status):
            answer = self.fetch("/ocsp", "POST", {"Content-Type": "application/ocsp-request"}, body)
            self.assertEqual((answer.status, answer.content.hex()), (200, f"30030a01{status:02x}"))

        path = self.site.enrol(self.device())
        good = self.request(path)
        error(b"", 1)
        error(b"nonsense", 1)
        error(good[:-1], 1)
        error(good + b"\0", 1)
        serials = [option for number in range(1000) for option in ("-serial", str(number + 1))]
        many = self.site.folder / "many.der"
        run("openssl", "ocsp", "-issuer", self.issuer, *serials, "-reqout", many)
        self.assertEqual(self.fetch("/ocsp", "POST", body=many.read_bytes()).status, 413)
        run("openssl", "ocsp", "-issuer", self.issuer, *serials[:42], "-no_nonce", "-reqout", many)
        error(many.read_bytes(), 1)
        run("openssl", "ocsp", "-issuer", self.issuer, *serials[:40], "-no_nonce", "-reqout", many)
        self.assertGreater(len(self.fetch("/ocsp", "POST", body=many.read_bytes()).content), 1000)
        # another CA's certificate
        other = self.site.state / "certificates" / "site-ca.pem"
        foreign = self.site.folder / "foreign.der"
        run("openssl", "ocsp", "-issuer", other, "-serial", "5", "-reqout", foreign)
        error(foreign.read_bytes(), 6)
        self.assertIn(": good", self.ask(path))

    def test_many_requests_over_one_connection_are_answered_in_their_order(self):
        path = self.site.enrol(self.device())
        connection = self.connection()
        request = self.request(path, "-no_nonce")
        for _ in range(200):
            connection.request("POST", "/ocsp", body=request)
            answer = connection.getresponse()
            self.assertEqual(answer.status, 200)
            self.assertGreater(len(answer.read()), 500)


class BadInputTest(StatusTest):
    def test_a_path_that_climbs_finds_nothing(self):
        for path in ("/../keys/issuer-1.key", "/crl/../../keys/issuer-1.key", "/crl/1/..%2f..%2fkeys%2fissuer-1.key",
                     "/keys/issuer-1.key", "/crl/1/0.crl/../../../capfd.toml", "/metrics", "/readyz/"):
            self.assertEqual(self.fetch(path).status, 404, path)

    def test_a_large_request_is_refused(self):
        with socket.create_connection(self.site.server.endpoints["status"].rsplit(":", 1), timeout=60) as link:
            link.sendall(b"POST /crl/1/0.crl HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n")
            self.assertIn(b"413", link.recv(4096))

    def test_the_folder_of_crls_is_the_servers_alone(self):
        self.crl()
        folder = self.site.state / "crls"
        self.assertEqual(folder.stat().st_mode & 0o777, 0o700)
        for path in folder.iterdir():
            self.assertEqual(path.stat().st_mode & 0o777, 0o600)


del StatusTest  # it has no tests of its own

if __name__ == "__main__":
    unittest.main()
