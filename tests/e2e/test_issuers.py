"""Replacing the CA with the fleet in service: the next issuer is added, activated, and the former one retired."""

import json
import pathlib
import shutil

from e2e import pki
from e2e.site import EndToEnd, eventually, passing


DATA = pathlib.Path(__file__).parent.parent / "data"


class IssuersTest(EndToEnd):
    def export(self):
        path = self.site.folder / "issuers.pem"
        path.write_text(self.site.capfctl("issuer", "export").stdout)
        return path

    def state(self, issuer):
        return self.site.json("issuer", "show", str(issuer))["state"]

    def test_the_fleet_moves_to_the_next_issuer_and_the_former_one_is_retired(self):
        device, other = self.device(), self.device()
        for name in (device, other):
            self.site.enrol(name)
        former = [row for row in self.site.json("issuer", "list") if row["active"]][0]
        added = self.site.json("issuer", "add", "--key", "p-256", "--subject", "CN=CAPF-NEXT,O=Example,C=DE")
        self.assertEqual((added["state"], added["subject"], added["active"]),
                         ("next", "CN=CAPF-NEXT,O=Example,C=DE", False))
        new = str(added["id"])
        # Relying parties learn it before it issues.
        self.assertEqual(self.export().read_text().count("BEGIN CERTIFICATE"),
                         len(self.site.json("issuer", "list")))
        key = self.site.state / f"keys/issuer-{new}.key"
        self.assertEqual(key.stat().st_mode & 0o777, 0o600)
        self.assertIn("ENCRYPTED", key.read_text())

        self.assertEqual(self.site.json("issuer", "activate", new)["state"], "active")
        self.assertEqual(self.state(former["id"]), "former")
        refused = self.site.capfctl("issuer", "retire", str(former["id"]), "--yes", code=1)
        self.assertIn("ISSUER_IN_USE", refused.stderr)

        # The present LSC proves each phone; the remaining ones are found by their issuer.
        left = self.site.json("certificate", "list", "--issuer", str(former["id"]), "--state", "confirmed")
        names = {row["device"] for row in left}
        self.assertLessEqual({device, other}, names)
        self.site.capfctl("operation", "schedule", "install", "--file", "-", "--auth", "lsc",
                          input="".join(f"{name}\n" for name in names))
        for name in names:
            self.site.phone(name)
            certificate = self.site.phones / f"{name}.pem"
            self.assertIn("CAPF-NEXT", pki.read_certificate(certificate).issuer.rfc4514_string())
            pki.verify_both(certificate, self.export())
        shown = self.site.json("issuer", "show", str(former["id"]))
        self.assertEqual((shown["valid"], shown["revoked"] > 0, shown["last_expiry"]), (0, True, None))
        self.assertTrue(all(server["has_key"] for server in shown["servers"]))
        self.assertEqual(self.site.json("issuer", "retire", str(former["id"]), "--yes")["state"], "retired")
        actions = [event["action"] for event in self.site.json("audit", "list", "--action", "issuer")
                   if event["outcome"] == "done"]
        self.assertEqual(actions[-3:], ["issuer.add", "issuer.activate", "issuer.retire"])
        self.site.server.restart()
        self.site.enrol(self.device())

    def test_a_second_server_must_have_the_key_before_it_issues(self):
        second = self.site.add_server()
        eventually(lambda: len(self.site.json("issuer", "show", "1")["servers"]) == 2, "the second server is seen")
        new = str(self.site.json("issuer", "add", "--key", "p-256")["id"])
        refused = self.site.capfctl("issuer", "activate", new, code=1)
        self.assertIn("ISSUER_NOT_READY", refused.stderr)
        shutil.copy2(self.site.state / f"keys/issuer-{new}.key", second.state / f"keys/issuer-{new}.key")
        eventually(passing(lambda: self.site.capfctl("issuer", "activate", new)), "the second server opens the key")
        device = self.site.add_phone(self.device())
        digits = self.site.schedule(device, "install", "string")
        self.site.phone(device, "--string", digits, server=second)
        (row,) = self.site.json("certificate", "list", "--device", device, "--issuer", new)
        self.assertEqual(row["state"], "confirmed")
        second.restart()
        second.stop()

    def test_an_existing_ca_is_brought_as_the_next_issuer(self):
        folder = self.site.folder / "brought"
        folder.mkdir()
        root = pki.Manufacturer.root("Company Root")
        path, key = root.write(folder, "root")
        pki.openssl("pkcs8", "-topk8", "-in", key, "-out", folder / "enc.key", "-passout", "pass:secret")
        (folder / "enc.key").chmod(0o600)
        (folder / "passphrase").touch(mode=0o600)
        (folder / "passphrase").write_text("secret")
        import_it = ("issuer", "add", "--import-certificate", path, "--import-key", folder / "enc.key")
        wrong = self.site.capfctl(*import_it, code=1)
        self.assertIn("WRONG_PASSPHRASE", wrong.stderr)
        added = self.site.json(*import_it, "--import-passphrase", f"file:{folder}/passphrase")
        self.assertIn("Company Root", added["subject"])
        again = self.site.capfctl(*import_it, "--import-passphrase", f"file:{folder}/passphrase", code=1)
        self.assertIn("ISSUER_EXISTS", again.stderr)
        self.assertNotIn("secret", self.site.server.log_text())

    def test_under_name_constraints_an_issuer_makes_what_relying_parties_take(self):
        folder = self.site.folder / "constrained"
        folder.mkdir()
        key = folder / "capf.key"
        shutil.copy(DATA / "keys/rsa-2048.key", key)
        key.chmod(0o600)

        def bring(name, code=0):
            return self.site.capfctl("issuer", "add", "--import-certificate", DATA / f"constraints/{name}.pem",
                                     "--import-key", key, "--output", "json", code=code)
        for name, words in (("permitted_another", "name constraints"), ("explicit_policy", "certificate policy"),
                            ("purposes_server_alone", "extended key usage")):
            with self.subTest(name):
                self.assertSays(bring(name, code=1), "INVALID_CERTIFICATE", words)

        (former,) = [row for row in self.site.json("issuer", "list") if row["active"]]
        added = json.loads(bring("permitted_own").stdout)
        self.site.capfctl("issuer", "activate", str(added["id"]))
        device = self.device()
        self.site.enrol(device)
        self.site.capfctl("issuer", "activate", str(former["id"]))

        text = (DATA / "constraints/permitted_own.pem").read_text()
        below, root = (folder / name for name in ("capf.pem", "root.pem"))
        end = text.index("-----END CERTIFICATE-----") + len("-----END CERTIFICATE-----\n")
        below.write_text(text[:end])
        root.write_text(text[end:])
        certificate = self.site.phones / f"{device}.pem"
        pki.openssl("verify", "-CAfile", root, "-untrusted", below, certificate)
        chain = folder / "chain.pem"
        lsc = certificate.read_text()
        chain.write_text(lsc[:lsc.index("-----END CERTIFICATE-----") + len("-----END CERTIFICATE-----\n")] + text[:end])
        pki.certtool("--verify", "--load-ca-certificate", root, "--infile", chain)
        url = f"http://{self.site.server.endpoints['status']}/ocsp"

        def good():
            done = pki.openssl("ocsp", "-issuer", below, "-cert", certificate, "-CAfile", root, "-url", url)
            return "Response verify OK" in done.stdout + done.stderr and ": good" in done.stdout
        eventually(passing(lambda: self.assertTrue(good())), "the answer of OCSP is taken")
        self.site.capfctl("certificate", "verify", "--since", "1970-01-01")

    def test_wrong_usage_gets_a_clear_answer(self):
        for arguments, code, words in (
                (("show", "999"), 1, "UNKNOWN_ISSUER"),
                (("activate", "999"), 1, "UNKNOWN_ISSUER"),
                (("retire", "999", "--yes"), 1, "UNKNOWN_ISSUER"),
                (("retire", "1"), 2, "--yes"),
                (("add", "--days", "36501"), 2, "INVALID_REQUEST"),
                (("add", "--shards", "2000"), 2, "INVALID_REQUEST"),
                (("add", "--subject", "CN=a,CN=b"), 2, "INVALID"),
                (("add", "--key", "rsa-512"), 2, "--key"),
                (("add", "--import-key", "x"), 2, "go together")):
            with self.subTest(arguments):
                self.assertIn(words, self.site.capfctl("issuer", *arguments, code=code).stderr)
