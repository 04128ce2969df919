"""All that a site issues, under every kind of issuer and for every kind of key: OpenSSL, GnuTLS and NSS accept it, see
by CRL and by OCSP which certificates are revoked, and the lint finds no fault."""

import collections
import re
import shutil
import unittest

from e2e import issued, pki
from e2e.site import EndToEnd, Site, eventually, free_base_port, passing, run
from lint import certificate as roles

PHONE_KEYS = {"RSA": ("--key-order", "rsa", "--rsa-size", "2048"), "P-256": ("--key-order", "ec", "--ec-size", "256"),
              "P-384": ("--key-order", "ec", "--ec-size", "384"), "P-521": ("--key-order", "ec", "--ec-size", "521")}


def settings(text):
    """NSS takes the responder's address from the certificate and no other, so that is where it must be."""
    port = free_base_port()
    return (f'status_url = "http://127.0.0.1:{port}"\n{text}\n[status]\ncrl_interval_seconds = 1\n'
            f'[listen.status]\naddresses = ["127.0.0.1"]\nport = {port}\n')


class Fleet:
    """An issuer, a phone with a key of each kind that is good, and one that is revoked."""

    def __init__(self, test, issuer, shards, subject):
        self.test, self.site, self.issuer, self.shards = test, test.site, str(issuer), shards
        self.folder = self.site.folder / f"issuer-{issuer}{subject}"
        self.folder.mkdir()
        self.good, self.keys = [], {}
        for kind, options in PHONE_KEYS.items():
            path = self.enrol(subject, *options)
            self.good.append(path)
            self.keys[path] = kind
        self.revoked = [self.enrol(subject, *PHONE_KEYS["P-256"]) for _ in range(2)]  # two: more than one shard
        for path, reason in zip(self.revoked, ("superseded", "keyCompromise")):
            self.site.capfctl("certificate", "revoke", path.stem, "--reason", reason, "--yes")
        self.anchors = self.write_anchors()
        self.crls = eventually(self.fetch_crls, "the CRLs have what is revoked")

    def enrol(self, subject, *options):
        if not subject:
            return self.site.enrol(self.test.device(), *options)
        device = self.test.device()
        self.site.add_phone(device, "--model", "CP-8861")
        self.site.schedule(device, "install", "mic", *options)
        mic, key = self.test.maker.mic(device, model="CP-8861").write(self.folder, f"mic-{device}")
        self.site.phone(device, "--certificate", mic, "--key", key)
        return self.site.phones / f"{device}.pem"

    def crl_of(self, path):
        """The CRL that a certificate names."""
        text = run("openssl", "x509", "-noout", "-ext", "crlDistributionPoints", "-in", path).stdout
        return self.crls[int(re.search(rf"/crl/{self.issuer}/(\d+)\.crl", text)[1])][1]

    def write_anchors(self):
        """Root and issuer, each in a file: {"root.pem": path, "issuer.pem": path}."""
        own, above = self.site.sql("select encode(der, 'hex'), encode(chain_der, 'hex') from issuers "
                                   f"where id = {self.issuer}")[0].split("|")
        chain = [bytes.fromhex(own)] + [one.encode() for one in roles.der.read_all(bytes.fromhex(above))]
        for number, octets in enumerate(chain):
            run("openssl", "x509", "-inform", "der", "-out", self.folder / f"ca-{number}.pem", input=octets, text=False)
        paths = [self.folder / f"ca-{number}.pem" for number in range(len(chain))]
        whole = self.folder / "anchors.pem"
        whole.write_text("".join(path.read_text() for path in paths))
        return {"issuer": paths[0], "above": paths[1:], "all": whole}

    def fetch_crls(self):
        """The CRL of each shard once the revoked certificates are on them: [(DER, PEM)], else nothing."""
        found, text = [], ""
        for shard in range(self.shards):
            der, pem = self.folder / f"{shard}.crl", self.folder / f"{shard}.pem"
            octets = self.test.get(f"/crl/{self.issuer}/{shard}.crl")
            if not octets:
                return None
            der.write_bytes(octets)
            run("openssl", "crl", "-inform", "der", "-in", der, "-out", pem, "-CAfile", self.anchors["all"])
            text += run("openssl", "crl", "-noout", "-text", "-in", pem).stdout
            found.append((der, pem))
        return found if all(serial(path) in text for path in self.revoked) else None


def serial(path):
    return run("openssl", "x509", "-noout", "-serial", "-in", path).stdout.strip().split("=")[1]


class ConformanceTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        cls.site = Site("--subject", "CN=CAPF Conformance,OU=Telephony,O=Example,L=Köln,ST=NRW,C=DE", settings=settings)
        cls.addClassCleanup(cls.site.close)
        cls.maker = pki.Manufacturer.root("Manufacturing CA of conformance")
        cls.site.trust("mic", cls.maker.write(cls.site.folder / "maker", "maker")[0])
        cls.fleets = {"RSA-2048": Fleet(cls(), 1, 1, "")}
        cls.to_cisco_form()
        cls.fleets["RSA-2048, Cisco's subjects"] = Fleet(cls(), 1, 1, "-cisco")
        for key, shards in (("rsa-3072", 1), ("rsa-4096", 3), ("p-256", 1), ("p-384", 3)):
            added = cls.site.json("issuer", "add", "--key", key, "--shards", str(shards), "--subject",
                                  f"CN=CAPF {key},O=Example,C=DE")
            cls.fleets[f"{key}, {shards} shards"] = cls.next_fleet(added, shards)
        cls.fleets["P-521, imported"] = cls.next_fleet(cls.bring(pki.Manufacturer.root("Root P-521", "p-521"), "p-521"))
        root = pki.Manufacturer.root("Company Root", "rsa-2048", not_after=pki.now() + 4000 * pki.DAY)
        below = root.intermediate("Company Phones CA")
        below.chain = (root.certificate,)
        cls.fleets["P-256 below a root"] = cls.next_fleet(cls.bring(below, "below"))

    @classmethod
    def next_fleet(cls, added, shards=1):
        cls.site.capfctl("issuer", "activate", str(added["id"]))
        return Fleet(cls(), added["id"], shards, "")

    @classmethod
    def bring(cls, authority, name):
        path, key = authority.write(cls.site.folder / "brought", name)
        return cls.site.json("issuer", "add", "--import-certificate", path, "--import-key", key)

    @classmethod
    def to_cisco_form(cls):
        path = cls.site.state / "capfd.toml"
        before = path.read_text()
        path.write_text(before + '\n[policy]\nlsc_subject = "cisco"\n')
        cls.site.server.restart()

    def get(self, path):
        return issued.get(self.site.server, path)

    def each(self, check, *, shards=None):
        """Runs a check on each fleet, or those whose issuer has so many shards: 1, or more than one."""
        chosen = {name: fleet for name, fleet in self.fleets.items() if shards is None or (fleet.shards > 1) == (shards > 1)}
        self.assertTrue(chosen)
        for name, fleet in chosen.items():
            with self.subTest(issuer=name):
                check(fleet)

    def test_openssl_takes_certificates_and_crls(self):
        def check(fleet):
            for _, crl in fleet.crls:
                self.assertIn("verify OK", run("openssl", "crl", "-noout", "-in", crl, "-CAfile", fleet.anchors["all"]).stderr)
            crls = [part for _, crl in fleet.crls for part in ("-CRLfile", crl)]
            verify = ("openssl", "verify", "-x509_strict", "-crl_check", "-CAfile", fleet.anchors["all"], *crls)
            for purpose in "sslclient", "sslserver":
                run(*verify, "-purpose", purpose, *fleet.good)
            for path in fleet.revoked:
                done = run(*verify, path, code=2)
                self.assertIn("certificate revoked", done.stderr + done.stdout)
        self.each(check)

    def test_gnutls_takes_certificates_and_crls(self):
        def check(fleet):
            for _, crl in fleet.crls:
                self.assertIn("verified", run("certtool", "--verify-crl", "--load-ca-certificate", fleet.anchors["issuer"],
                                              "--infile", crl).stdout.lower())
            # Given several CRLs of one issuer it takes any of them, so it gets only the one that the certificate names.
            verify = ("certtool", "--verify", "--load-ca-certificate", fleet.anchors["all"], "--infile")
            for path in fleet.good:
                self.assertIn("The certificate is trusted", run(*verify, path, "--load-crl", fleet.crl_of(path)).stdout)
            for path in fleet.revoked:
                self.assertIn("revoked", run(*verify, path, "--load-crl", fleet.crl_of(path), code=None).stdout)
        self.each(check)

    def test_openssl_takes_answers_of_ocsp(self):
        def check(fleet):
            url = f"http://{self.site.server.endpoints['status']}/ocsp"
            ask = ("openssl", "ocsp", "-issuer", fleet.anchors["issuer"], "-CAfile", fleet.anchors["all"], "-url", url)
            for path in fleet.good + fleet.revoked:
                for options in (), ("-no_nonce", "-sha256"):
                    done = run(*ask, *options, "-cert", path)
                    self.assertIn("Response verify OK", done.stderr)
                    self.assertIn(": good" if path in fleet.good else ": revoked", done.stdout)
        self.each(check)

    def test_gnutls_takes_answers_of_ocsp(self):
        def check(fleet):
            url = f"http://{self.site.server.endpoints['status']}/ocsp"
            ask = ("ocsptool", f"--ask={url}", "--load-issuer", fleet.anchors["issuer"], "--load-trust",
                   fleet.anchors["issuer"], "--load-cert")
            for path in fleet.good + fleet.revoked:
                text = run(*ask, path, code=None).stdout
                self.assertIn("Certificate Status: " + ("good" if path in fleet.good else "revoked"), text)
                self.assertRegex(text, "Verifying OCSP Response: Success")
        self.each(check)

    def nss(self, fleet):
        """A store of NSS that trusts what is above the issuer, and knows the rest. @return the options that name it"""
        folder = fleet.folder / "nss"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        store = ("-d", f"sql:{folder}")
        run("certutil", "-N", *store, "--empty-password")
        authorities = [fleet.anchors["issuer"], *fleet.anchors["above"]]
        for number, path in enumerate(authorities):
            trust = "CT,," if number + 1 == len(authorities) else ",,"
            run("certutil", "-A", *store, "-n", f"ca-{number}", "-t", trust, "-a", "-i", path)
        for path in fleet.good + fleet.revoked:
            run("certutil", "-A", *store, "-n", path.stem, "-t", ",,", "-a", "-i", path)
        return store

    def test_nss_takes_certificates_and_crls(self):
        def check(fleet):
            store = self.nss(fleet)
            for der, _ in fleet.crls:
                run("crlutil", "-I", *store, "-t", "1", "-i", der)
            for path in fleet.good:
                for purpose in "C", "V":
                    self.assertIn("certificate is valid", run("certutil", "-V", *store, "-n", path.stem, "-u", purpose).stdout)
            for path in fleet.revoked:
                said = run("certutil", "-V", *store, "-n", path.stem, "-u", "C", code=255)
                self.assertIn("revoked", said.stdout.lower() + said.stderr.lower())
        self.each(check, shards=1)

    def test_nss_refuses_crls_of_several_shards(self):
        """It does not know the issuing distribution point, which is critical so that such a CRL is not taken for whole."""
        def check(fleet):
            store = self.nss(fleet)
            for der, _ in fleet.crls:
                said = run("crlutil", "-I", *store, "-t", "1", "-i", der, code=1)
                self.assertIn("SEC_ERROR_CRL_UNKNOWN_CRITICAL_EXTENSION", said.stderr)
            for path in fleet.good:
                self.assertIn("certificate is valid", run("certutil", "-V", *store, "-n", path.stem, "-u", "C").stdout)
        self.each(check, shards=2)

    def test_nss_takes_answers_of_ocsp(self):
        """It asks where the certificate says, without a nonce, and looks at the responder's certificate itself."""
        def check(fleet):
            store = self.nss(fleet)
            for path in fleet.good + fleet.revoked:
                said = run("ocspclnt", "-S", path.stem, *store, code=None)
                self.assertIn("succeeded" if path in fleet.good else "has been revoked", said.stdout + said.stderr)
        self.each(check)

    def test_cisco_s_form_of_the_subject(self):
        fleet = self.fleets["RSA-2048, Cisco's subjects"]
        for path in fleet.good:
            subject = run("openssl", "x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in", path).stdout
            self.assertRegex(subject, rf"CN=CP-8861-{path.stem},.*serialNumber=PID:CP-8861 SN:FCH1819")

    def test_the_lint_has_seen_all_of_it(self):
        lint = issued.Lint(self.site)
        self.assertEqual(lint.all(self.site.server), [])
        issuers = len(self.site.sql("select id from issuers"))
        shards = int(self.site.sql("select sum(shards) from issuers")[0])
        answers = issuers * (issued.ASKED + 1)
        self.assertGreaterEqual(lint.counts.pop("CRL"), shards)
        self.assertEqual(lint.counts, collections.Counter({
            roles.LSC: sum(len(fleet.good) + len(fleet.revoked) for fleet in self.fleets.values()), roles.ISSUER: issuers,
            roles.ABOVE: 1, roles.SITE_CA: 1, roles.SERVER: 1, roles.ADMINISTRATOR: 1, roles.WIRE: 1,
            "answer": answers, "successful answer": answers}))


if __name__ == "__main__":
    unittest.main()
