"""A server over a hot standby: it serves reads, refuses changes, and says why; when the standby becomes the primary,
the server serves everything."""

import json
import re
import ssl
import urllib.error
import urllib.request

import grpc

from e2e import cluster, pki, rpc, tvs
from e2e.secure_site import LISTENERS
from e2e.site import PROGRAMS, SOURCE, EndToEnd, Server, Site, eventually, passing, run

EC = ("--key-order", "ec", "--ec-size", "256")
REASON = "DATABASE_READ_ONLY"
CCM = SOURCE / "tests/data/tvs/certs/ccm.pem"


class ReplicatedSite(Site):
    """A site whose PostgreSQL has, or may have, a standby."""

    def start_postgres(self):
        self.primary = cluster.Postgres(self.folder / "primary").make()
        return self.primary.local

    def start_standby(self):
        self.standby = cluster.Postgres(self.folder / "standby").follow(self.primary)
        return self.standby

    def close(self, check=True):
        try:
            super().close(check)
        finally:
            for name in ("standby", "primary"):
                if hasattr(self, name):
                    getattr(self, name).stop()


class StandbyTest(EndToEnd, rpc.RefusalTests):
    @classmethod
    def setUpClass(cls):
        cls.site = ReplicatedSite(settings=lambda text: text + "\n[status]\ncrl_interval_seconds = 1\n" + LISTENERS)
        cls.addClassCleanup(cls.site.close)

    def fetch(self, server, path, data=None, port="status"):
        try:
            with urllib.request.urlopen(f"http://{server.endpoints[port]}{path}", data, timeout=60) as answer:
                body = answer.read()
                return answer.status, body if path.endswith((".crl", ".cer")) else body.strip()
        except urllib.error.HTTPError as error:
            return error.code, error.read().strip()

    def test_a_server_over_a_standby(self):
        site, primary = self.site, self.site.server
        served, waiting, pending = self.device(), self.device(), self.device()
        path = site.enrol(served, *EC)
        site.enrol(waiting, *EC)
        identity = rpc.FileIdentity(path, site.phones / f"{served}.key")
        site.add_phone(pending)
        digits = site.schedule(pending, "install", "string", *EC)
        site.schedule(served, "install", "lsc", *EC)
        site.capfctl("certificate", "revoke", waiting, "--reason", "cessationOfOperation", "--yes")
        revoked = site.json("certificate", "show", waiting)["serial"]
        issuer = site.folder / "issuer.pem"
        issuer.write_text(site.capfctl("issuer", "export").stdout)
        site.capfctl("trust-list", "certificate", "add", CCM, "--role", "ccm", "--vouch-only")
        vouched = ssl.PEM_cert_to_DER_cert(CCM.read_text())
        configuration = f"/{served}.cnf.xml.sgn"
        self.assertEqual(self.fetch(primary, configuration, port="files")[0], 200)
        eventually(lambda: self.fetch(primary, "/ITLFile.tlv", port="files")[0] == 200, "the first list")
        self.assertTrue(tvs.ask(primary.endpoints["tvs"], tvs.verification(vouched)).valid)

        standby = site.start_standby()
        state = site.copy_state("reader")
        text = (state / "capfd.toml").read_text()
        (state / "capfd.toml").write_text(cluster.setting(
            text, "database", "server", f"{standby.local} user=capf_server dbname=capf target_session_attrs=any"))
        reader = Server(state)
        site.servers.append(reader)
        reader.start()

        with self.subTest("it says so"):
            self.assertEqual(self.fetch(reader, "/livez", port="metrics")[0], 200)
            eventually(lambda: self.fetch(reader, "/readyz", port="metrics") == (503, REASON.encode()), "not ready")
            self.assertEqual(self.fetch(reader, "/livez")[0], 200)
            eventually(lambda: self.fetch(reader, "/readyz") == (503, b"not ready"), "not ready, without the reason")
            eventually(lambda: re.search(rb"(?m)^capf_database_read_only 1$",
                                         self.fetch(reader, "/metrics", port="metrics")[1]), "the metrics")
            eventually(lambda: re.search(rb"(?m)^capf_database_up 1$", self.fetch(reader, "/metrics", port="metrics")[1]),
                       "the database is up in the metrics")
            done = site.capfctl("check", "health", code=2, server=reader)
            self.assertIn("CRITICAL", done.stdout)

        def crl_of(server):
            status, der = self.fetch(server, "/crl/1/0.crl")
            self.assertEqual(status, 200)
            (site.folder / "crl.der").write_bytes(der)
            return run("openssl", "crl", "-inform", "der", "-in", site.folder / "crl.der", "-noout", "-text", "-CAfile",
                       issuer).stdout.lower()

        with self.subTest("relying parties get CRLs, as the primary's servers publish them, and certificates"):
            eventually(passing(lambda: self.assertIn(revoked, crl_of(reader))), "the revocation is on the CRL")
            self.assertEqual(self.fetch(reader, "/ca/1.cer")[0], 200)

        def ocsp(server):
            done = run("openssl", "ocsp", "-issuer", issuer, "-cert", path, "-CAfile", issuer, "-url",
                       f"http://{server.endpoints['status']}/ocsp", code=None)
            return done.stdout + done.stderr

        with self.subTest("OCSP is the primary's"):
            eventually(lambda: f"{path}: good" in ocsp(primary), "the primary's server answers")
            self.assertIn("trylater", ocsp(reader))

        with self.subTest("administrators and monitoring read"):
            listed = json.loads(site.capfctl("phone", "list", "--output", "json", server=reader).stdout)
            self.assertEqual({phone["device"] for phone in listed}, {served, waiting, pending})
            for words in (("operation", "list"), ("operation", "show", pending), ("phone", "show", served),
                          ("certificate", "list"), ("certificate", "show", served), ("issuer", "list"),
                          ("trust", "list"), ("administrator", "list"), ("audit", "list"), ("audit", "verify"),
                          ("certificate", "verify", "--since", "1970-01-01"), ("check", "pending", "--warning", "9")):
                site.capfctl(*words, server=reader)
            with rpc.monitor_client(site, server=reader) as monitor:
                self.assertEqual(monitor.GetSummary().phones, 3)

        with self.subTest("nothing is changed"):
            for words in (("phone", "add", self.device()), ("phone", "block", pending),
                          ("operation", "schedule", "install", waiting, "--auth", "null"),
                          ("operation", "cancel", pending), ("certificate", "revoke", served, "--reason", "superseded", "--yes"),
                          ("trust", "add", "mic", self.maker(), "--devices", "SEP*")):
                self.assertSays(site.capfctl(*words, code=1, server=reader), REASON)

        with self.subTest("how secure a call is, is the primary's to say"):
            self.assertSays(site.capfctl("call-status", served, code=1, server=reader), REASON)

        with self.subTest("a list is signed and everybody's; a phone's own file goes by who is blocked and what is revoked"):
            self.assertEqual(self.fetch(reader, "/ITLFile.tlv", port="files")[0], 200)
            self.assertEqual(self.fetch(reader, configuration, port="files")[0], 503)

        with self.subTest("TVS vouches for the server's own certificates, and not for others, which may be blocked by now"):
            own = ssl.PEM_cert_to_DER_cert((state / "certificates/tvs.pem").read_text())
            self.assertTrue(tvs.ask(reader.endpoints["tvs"], tvs.verification(own)).valid)
            self.assertIsNone(tvs.ask(reader.endpoints["tvs"], tvs.verification(vouched)))

        with self.subTest("phones are told to come again"):
            with rpc.phone_client(site, server=reader) as phone:
                refusal = self.refusal(phone.IssueCertificate, credential=rpc.credential(pending, digits),
                                       certification_request=pki.request(pki.make_key()))
                self.assertEqual((refusal.code, refusal.reason), (grpc.StatusCode.UNAVAILABLE, REASON))
            # Authentication by a certificate also needs the primary.
            with rpc.phone_client(site, identity, server=reader) as phone:
                refusal = self.refusal(phone.GetPendingOperation, credential=rpc.credential(served))
                self.assertEqual((refusal.code, refusal.reason), (grpc.StatusCode.UNAVAILABLE, REASON))
            done = run(PROGRAMS / "capf-phone", pending, "--wire", "--state", reader.state, "--dir",
                       site.folder / "wire", "--string", digits, "--tries", "1", code=1)
            self.assertNotIn("AUTH", done.stderr)
            self.assertEqual(site.operation(pending)["state"], "pending")

        with self.subTest("the log tells it once"):
            log = reader.log_text()
            self.assertEqual(log.count("database.read_only"), 1)
            for event in ("audit.unsealed", "maintenance.failed", "ocsp.not_certified", "crl.not_published",
                          "record.failed", "issuers.unread"):
                self.assertNotIn(event, log)

        with self.subTest("it starts again over the standby"):
            reader.restart()

        with self.subTest("the standby becomes the primary: everything is served, without a restart"):
            site.server.stop()
            site.primary.signal(9)
            standby.promote()
            site.database, site.server = standby.local, reader
            eventually(lambda: self.fetch(reader, "/readyz", port="metrics")[0] == 200, "ready")
            site.phone(pending, "--string", digits)
            site.phone(served)
            site.capfctl("call-status", served)
            self.assertEqual(self.fetch(reader, configuration, port="files")[0], 200)
            self.assertTrue(tvs.ask(reader.endpoints["tvs"], tvs.verification(vouched)).valid)
            eventually(lambda: f"{path}: good" in ocsp(reader), "OCSP")
            number = re.search(r"crl number:\s+(\d+)", crl_of(reader))[1]
            site.capfctl("certificate", "revoke", pending, "--reason", "cessationOfOperation", "--yes")
            serial = site.json("certificate", "show", pending)["serial"]
            eventually(passing(lambda: self.assertIn(serial, crl_of(reader))), "a new revocation is on the CRL")
            self.assertGreater(int(re.search(r"crl number:\s+(\d+)", crl_of(reader))[1]), int(number))
            eventually(lambda: json.loads(site.capfctl("audit", "verify", "--output", "json").stdout)["unsealed"] == 0,
                       "every event is sealed")
            self.assertIn("database.writable", reader.log_text())

    def maker(self):
        return pki.Manufacturer.root("Standby Maker").write(self.site.folder / "maker", "maker")[0]


del EndToEnd
