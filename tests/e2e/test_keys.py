"""Where the CA's key is: in a token that goes away and comes back, under a passphrase that changes, under a root that signs
offline; and that nothing of it is seen."""

import concurrent.futures
import hashlib
import os
import pathlib
import re
import shutil
import signal
import tempfile
import time
import unittest
import urllib.error
import urllib.request

from e2e import pki, rpc
from e2e.faults import SANITIZED
from e2e.site import PROGRAMS, EndToEnd, Site, eventually, passing, run, text_of
from e2e.soft_token import PIN, SHIM, SOFTHSM, SoftToken

EC = ("--key-order", "ec", "--ec-size", "256")


class TokenTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        cls.token = SoftToken()
        cls.addClassCleanup(cls.token.close)
        cls.site = Site(*cls.token.options("issuer", "--key", "rsa-2048"),
                        settings=lambda text: text + "\n[status]\ncrl_interval_seconds = 1\n")
        cls.addClassCleanup(cls.site.close)
        cls.issuer = cls.site.folder / "issuer.pem"
        cls.issuer.write_text(cls.site.capfctl("issuer", "export").stdout)

    def fetch(self, path):
        with urllib.request.urlopen(f"http://{self.site.server.endpoints['status']}{path}", timeout=20) as answer:
            return answer.read()

    def ready(self):
        """The answer to load balancers: "ready", or why not."""
        try:
            with urllib.request.urlopen(f"http://{self.site.server.endpoints['metrics']}/readyz", timeout=20) as answer:
                return answer.read().decode().strip()
        except urllib.error.HTTPError as error:
            return error.read().decode().strip()

    def becomes_ready(self):
        eventually(lambda: not re.search("[A-Z]", self.ready()), "the server is ready")

    def test_phones_crl_and_ocsp_are_signed_by_the_token(self):
        self.assertFalse((self.site.state / "keys/issuer-1.key").exists())
        self.assertIn("pkcs11:token=capf", (self.site.state / "keys/issuer-1.uri").read_text())
        certificate = self.site.enrol(self.device())
        pki.verify_both(certificate, self.issuer)
        crl = self.site.folder / "crl.der"
        eventually(passing(lambda: crl.write_bytes(self.fetch("/crl/1/0.crl"))), "a CRL")
        run("openssl", "crl", "-inform", "der", "-in", crl, "-noout", "-CAfile", self.issuer, "-verify")
        said = run("openssl", "ocsp", "-issuer", self.issuer, "-CAfile", self.issuer, "-cert", certificate, "-url",
                   f"http://{self.site.server.endpoints['status']}/ocsp")
        self.assertIn("Response verify OK", said.stderr)
        self.assertIn(": good", said.stdout)

    def test_a_token_that_is_pulled_out_keeps_phones_waiting_and_no_longer(self):
        devices = [self.device() for _ in range(12)]
        self.site.capfctl("phone", "add", *devices)
        strings = {device: self.site.schedule(device, "install", "string") for device in devices}
        process = self.site.server.process.pid
        self.token.say("sign-5")
        refused = [device for device in devices
                   if self.site.phone(device, "--string", strings[device], "--tries", "1", code=None).returncode]
        self.assertTrue((self.token.folder / "removed").exists())
        self.assertGreaterEqual(len(refused), 6)
        for device in refused:
            self.assertIn(self.site.operation(device)["state"], ("pending", "in_progress"))
        again = self.site.phone(refused[0], "--string", strings[refused[0]], "--tries", "1", code=1)
        self.assertIn("TOKEN_UNAVAILABLE", again.stderr)
        self.assertIn("TOKEN_UNAVAILABLE", self.ready())
        self.site.capfctl("check", "health", code=2)
        self.token.take_back("removed")
        for device in refused:
            eventually(lambda d=device: self.site.phone(d, "--string", strings[d], "--tries", "1", code=None).returncode == 0,
                       "the phone is served")
        self.assertEqual(self.site.server.process.pid, process)
        for device in devices:
            rows = self.site.json("certificate", "list", "--device", device)
            self.assertEqual([row["state"] for row in rows], ["confirmed"])

    def test_a_desk_phone_too_comes_again_when_the_token_is_back(self):
        device = self.site.add_phone(self.device())
        digits = self.site.schedule(device, "install", "string")
        ask = (device, "--wire", "--string", digits, "--tries", "1")
        self.token.say("removed")
        try:
            self.site.phone(*ask, code=1)
            self.assertIn(self.site.operation(device)["state"], ("pending", "in_progress"))
        finally:
            self.token.take_back("removed")
        eventually(lambda: self.site.phone(*ask, code=None).returncode == 0, "the phone is served")
        self.assertEqual(self.site.operation(device)["state"], "succeeded")

    def test_a_token_that_hangs_holds_no_phone_for_long_and_is_used_again_when_it_answers(self):
        devices = [self.device() for _ in range(12)]
        self.site.capfctl("phone", "add", *devices)
        strings = {device: self.site.schedule(device, "install", "string", *EC) for device in devices}
        process = self.site.server.process.pid
        hangs_before = self.site.server.log_text().count(" token.hangs ")
        self.token.say("hang-C_Sign")

        def refused(device):
            begun = time.monotonic()
            said = self.site.phone(device, "--string", strings[device], "--tries", "1", code=1)
            return said.stderr, time.monotonic() - begun

        try:
            with concurrent.futures.ThreadPoolExecutor(len(devices)) as phones:
                answers = list(phones.map(refused, devices))
            for words, seconds in answers:
                self.assertIn("TOKEN_UNAVAILABLE", words)
                self.assertLess(seconds, 15)  # 5 s by the server
            # The next ones do not wait.
            words, seconds = refused(devices[0])
            self.assertIn("TOKEN_UNAVAILABLE", words)
            self.assertLess(seconds, 5)
            self.assertIn("TOKEN_UNAVAILABLE", self.ready())
            self.site.capfctl("check", "health", code=2)
            # Calls that need no signature are served.
            self.assertIn(self.site.operation(devices[0])["state"], ("pending", "in_progress"))
            self.assertEqual(self.site.server.log_text().count(" token.hangs "), hangs_before + 1)
        finally:
            self.token.take_back("hang-C_Sign")
        self.becomes_ready()
        for device in devices:
            self.site.phone(device, "--string", strings[device])
            rows = self.site.json("certificate", "list", "--device", device)
            self.assertEqual([row["state"] for row in rows], ["confirmed"])
        self.assertEqual(self.site.server.process.pid, process)

    def test_a_server_starts_and_ends_in_time_while_its_token_hangs(self):
        for function in ("C_Initialize", "C_Login", "C_Sign"):
            with self.subTest(function=function):
                self.site.server.stop()
                self.token.say(f"hang-{function}")
                try:
                    self.site.server.start()
                    eventually(lambda: "TOKEN_UNAVAILABLE" in self.ready(), "the token is missed")
                    begun = time.monotonic()
                    self.assertEqual(self.site.server.stop(), 0)
                    self.assertLess(time.monotonic() - begun, 10)
                    self.assertNotIn(" server.stopped_short ", self.site.server.log_text())
                    self.site.server.start()
                finally:
                    self.token.take_back(f"hang-{function}")
                self.becomes_ready()
                self.site.enrol(self.device())

    def test_a_server_under_load_ends_in_time_while_its_token_hangs(self):
        for function in ("C_Sign", "C_CloseSession", "C_Finalize"):
            with self.subTest(function=function):
                device = self.site.add_phone(self.device())
                digits = self.site.schedule(device, "install", "string")
                hung = lambda: text_of(self.token.folder / "hung").count("C_Sign")
                before = hung()
                self.token.say(f"hang-{function}")
                try:
                    with concurrent.futures.ThreadPoolExecutor(1) as phones:
                        phone = phones.submit(self.site.phone, device, "--string", digits, "--tries", "1", code=None)
                        if function == "C_Sign":
                            eventually(lambda: hung() > before, "a signature")
                        begun = time.monotonic()
                        self.assertEqual(self.site.server.stop(), 0)
                        self.assertLess(time.monotonic() - begun, 10)
                        phone.result()
                finally:
                    self.token.take_back(f"hang-{function}")
                    self.site.server.start()
                self.becomes_ready()

    def test_a_wrong_pin_is_tried_once_and_the_last_try_never(self):
        before = self.token.logins()
        self.token.write_pin("00000000")
        self.site.server.stop()
        try:
            ended = run(PROGRAMS / "capfd", "run", "--state", self.site.state, code=77)
            self.assertIn("WRONG_PIN", ended.stderr)
            self.assertEqual(self.token.logins(), [*before, "refused"])
            self.token.say("final-try")
            with self.assertRaisesRegex(AssertionError, "one more PIN"):
                self.site.server.start()
            self.assertEqual(self.token.logins(), [*before, "refused"])
            self.token.take_back("final-try")
        finally:
            self.token.write_pin(PIN)
            self.site.server.start()
        self.site.enrol(self.device())

    def test_a_running_server_takes_a_new_pin_from_its_file(self):
        self.site.enrol(self.device())
        self.token.write_pin("11111111")
        try:
            self.token.say("removed")
            eventually(lambda: "TOKEN_UNAVAILABLE" in self.ready(), "the token is missed")
            before = self.token.logins()
            self.token.take_back("removed")
            eventually(lambda: "WRONG_PIN" in self.ready(), "the PIN is refused")
            # No later call tries the PIN again.
            eventually(lambda: self.site.server.log_text().count("reason=WRONG_PIN"), "the server looks for its keys")
            self.assertIn("WRONG_PIN", self.ready())
            self.assertEqual(self.token.logins(), [*before, "refused"])
        finally:
            self.token.write_pin(PIN)
        self.becomes_ready()
        self.site.enrol(self.device())

    def test_a_server_starts_while_the_token_is_away(self):
        self.token.say("removed")
        try:
            self.site.server.restart()
            self.assertIn("TOKEN_UNAVAILABLE", self.ready())
        finally:
            self.token.take_back("removed")
        self.becomes_ready()
        self.site.enrol(self.device())

    def test_the_next_issuer_is_made_in_the_token_and_every_server_names_it(self):
        refused = self.site.capfctl("issuer", "add", "--key-uri", "pkcs11:token=capf;object=absent", code=1)
        self.assertIn("ISSUER_KEY_ABSENT", refused.stderr)
        library = self.site.capfctl("issuer", "add", "--key-uri", "pkcs11:token=capf;object=x?module-path=/tmp/x.so", code=2)
        self.assertIn("INVALID_REQUEST", library.stderr)
        second = self.site.add_server()
        eventually(lambda: len(self.site.json("issuer", "show", "1")["servers"]) == 2, "the second server is seen")
        new = str(self.site.json("issuer", "add", "--key", "p-256", "--key-uri", "pkcs11:token=capf;object=next")["id"])
        self.assertIn("ISSUER_NOT_READY", self.site.capfctl("issuer", "activate", new, code=1).stderr)
        shutil.copy2(self.site.state / f"keys/issuer-{new}.uri", second.state / f"keys/issuer-{new}.uri")
        eventually(passing(lambda: self.site.capfctl("issuer", "activate", new)), "the second server opens the key")
        device = self.site.add_phone(self.device())
        digits = self.site.schedule(device, "install", "string")
        self.site.phone(device, "--string", digits, server=second)
        (row,) = self.site.json("certificate", "list", "--device", device, "--issuer", new)
        self.assertEqual(row["state"], "confirmed")
        self.site.capfctl("issuer", "activate", "1")
        second.stop()

    def test_the_pin_is_seen_nowhere(self):
        self.site.enrol(self.device())
        self.assertNotIn(PIN, self.site.server.log_text())
        self.assertNotIn(PIN, (self.site.state / "capfd.toml").read_text())
        self.assertNotIn(PIN, (self.site.state / "keys/issuer-1.uri").read_text())
        self.assertNotIn(PIN.encode(), pathlib.Path(f"/proc/{self.site.server.process.pid}/cmdline").read_bytes())
        in_uri = self.site.capfctl("issuer", "add", "--key-uri", f"pkcs11:object=a?pin-value={PIN}", code=2)
        self.assertIn("INVALID_CONFIGURATION", in_uri.stderr)
        self.assertNotIn(PIN, in_uri.stderr + self.site.server.log_text())
        self.assertEqual(self.site.sql(f"select count(*) from audit_events where detail like '%{PIN}%'"), ["0"])


class TokenThatWasThereTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        pass  # its site is its own

    def test_a_site_is_made_with_the_key_that_is_in_the_token(self):
        token = SoftToken()
        self.addCleanup(token.close)
        run("p11tool", "--provider", SOFTHSM, "--login", "--set-pin", PIN, "--generate-privkey", "ecdsa", "--curve",
            "secp384r1", "--label", "made-before", "pkcs11:token=capf", env={**os.environ})
        with self.assertRaisesRegex(AssertionError, "ISSUER_KEY_ABSENT"):
            Site(*token.options("nothing"))
        with self.assertRaisesRegex(AssertionError, "already"):
            Site(*token.options("made-before", "--key", "p-384"))
        self.site = Site(*token.options("made-before"))
        self.addCleanup(self.site.close)
        certificate = self.site.enrol(self.device())
        self.assertEqual(pki.read_certificate(certificate).signature_hash_algorithm.name, "sha384")


class PassphraseTest(EndToEnd):
    def next_passphrase(self, text):
        path = self.site.folder / "next-passphrase"
        path.touch(mode=0o600)
        path.write_text(text)
        return f"file:{path}"

    def test_every_key_opens_with_a_new_passphrase_from_the_next_start_on(self):
        keys = self.site.state / "keys"
        before = {path.name: path.read_bytes() for path in keys.glob("*.key")}
        wrong = self.next_passphrase("not the passphrase")
        refused = self.site.capfctl("issuer", "rekey-passphrase", "--passphrase", wrong, "--new-passphrase", wrong + "x",
                                    code=1)
        self.assertSays(refused, "INVALID_CONFIGURATION")
        shutil.copy2(self.site.folder / "next-passphrase", self.site.folder / "other")
        refused = self.site.capfctl("issuer", "rekey-passphrase", "--passphrase", f"file:{self.site.folder}/other",
                                    "--new-passphrase", f"file:{self.site.state}/passphrase", code=1)
        self.assertSays(refused, "WRONG_PASSPHRASE")
        self.assertEqual({path.name: path.read_bytes() for path in keys.glob("*.key")}, before)

        canary = "a new passphrase 5c0d7f"
        said = self.site.capfctl("issuer", "rekey-passphrase", "--new-passphrase", self.next_passphrase(canary))
        for name in ("issuer-1.key", "site-ca.key", "server.key", "wire.key", "audit.key"):
            self.assertIn(name, said.stdout)
            self.assertNotEqual((keys / name).read_bytes(), before[name])
            pki.openssl("pkey", "-in", keys / name, "-noout", "-passin", self.next_passphrase(canary))
        self.assertEqual((keys / "strings.key").read_bytes(), before["strings.key"])
        # The running server continues, but makes no key that its next start could not open.
        self.site.enrol(self.device())
        self.assertIn("restart", self.site.capfctl("issuer", "add", "--key", "p-256", code=1).stderr)
        self.site.server.restart()
        self.site.enrol(self.device())
        self.assertNotIn(canary, self.site.server.log_text())

    def test_core_dumps_are_off_and_private_keys_are_locked_in_memory(self):
        process = pathlib.Path(f"/proc/{self.site.server.process.pid}")
        self.assertRegex((process / "limits").read_text(), r"Max core file size +0 +0 ")
        mappings = re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", (process / "smaps").read_text())
        kept = [mapping for mapping in mappings if {"lo", "dd"} <= set(re.search(r"VmFlags: (.*)", mapping + "VmFlags: ")[1].split())]
        self.assertTrue(any(int(re.search(r"Size: +(\d+)", mapping)[1]) >= 4096 for mapping in kept), kept)

    @unittest.skipIf(SANITIZED, "a program that checks itself maps terabytes")
    def test_the_passphrase_lies_nowhere_in_memory_but_where_it_is_locked(self):
        passphrase = (self.site.state / "passphrase").read_bytes().strip()
        server = self.site.server.process
        server.send_signal(signal.SIGSTOP)  # no mapping goes while they are read
        self.addCleanup(server.send_signal, signal.SIGCONT)
        os.waitpid(server.pid, os.WUNTRACED)
        process = pathlib.Path(f"/proc/{server.pid}")
        found = []
        for mapping in re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", (process / "smaps").read_text()):
            first = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", mapping)
            if not first or "[vvar" in mapping:
                continue
            begin, end = (int(part, 16) for part in first.groups())
            with open(process / "mem", "rb", buffering=0) as memory:
                memory.seek(begin)
                held = passphrase in memory.read(end - begin)
            if held:
                found.append(set(re.search(r"VmFlags: (.*)", mapping)[1].split()))
        self.assertTrue(found)
        for flags in found:
            self.assertLessEqual({"lo", "dd"}, flags)


class CeremonyTest(EndToEnd):
    """An offline root signs what --csr-only asks for."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="capf-ceremony-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        cls.root = cls.make_root("root")

    @classmethod
    def make_root(cls, name, *extensions):
        path = cls.folder / name
        pki.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-keyout",
                    f"{path}.key", "-out", f"{path}.pem", "-subj", f"/O=Example/CN={name}", "-days", "3650",
                    "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                    *(part for extension in extensions for part in ("-addext", extension)))
        return path

    def sign(self, request, name, constraints="critical,CA:TRUE,pathlen:0", usage="keyCertSign,cRLSign,digitalSignature",
             root=None):
        """openssl's own CA. @return the certificate alone"""
        root = root or self.root
        extensions = self.folder / "extensions"
        extensions.write_text(f"basicConstraints={constraints}\nkeyUsage=critical,{usage}\n"
                              "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        out = self.folder / f"{name}.pem"
        pki.openssl("x509", "-req", "-in", request, "-CA", f"{root}.pem", "-CAkey", f"{root}.key", "-CAcreateserial",
                    "-days", "1825", "-sha384", "-extfile", extensions, "-out", out)
        return out

    def with_root(self, certificate, root=None):
        """The certificate with the CAs above it, in one file."""
        path = certificate.with_suffix(".chain.pem")
        path.write_text(certificate.read_text() + pathlib.Path(f"{root or self.root}.pem").read_text())
        return path

    def refusals(self, request, add):
        """Wrong answers to the request. `add` gives one, and the words that refuse it."""
        key = self.folder / "other.key"
        pki.openssl("genpkey", "-algorithm", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        pki.openssl("req", "-new", "-key", key, "-subj", "/CN=other", "-out", self.folder / "other.csr")
        add(self.with_root(self.sign(self.folder / "other.csr", "other")), "the private key belongs to none")
        add(self.with_root(self.sign(request, "leaf", constraints="critical,CA:FALSE", usage="digitalSignature")), "CA")
        add(self.with_root(self.sign(request, "crl", usage="keyCertSign")), "cRLSign")
        narrow = self.make_root("narrow", "basicConstraints=critical,CA:TRUE,pathlen:0")
        add(self.with_root(self.sign(request, "below", root=narrow), narrow), "as many CAs below")
        add(self.sign(request, "alone"), "self-signed")

    def test_a_site_under_an_offline_root(self):
        case = self

        class CeremonySite(Site):
            def init(self, *options, code=0):
                nothing = run(PROGRAMS / "capfd", "init", "--state", self.state, code=2, input="")
                case.assertIn("--passphrase", nothing.stderr)
                request = self.state / "request/certificates/issuer-1.csr"
                ask = (PROGRAMS / "capfd", "init", "--csr-only", "--state", self.state, "--passphrase",
                       f"file:{self.state}/passphrase", "--key", "p-256", "--subject", "CN=CAPF,O=Example,C=DE")
                case.assertIn("NO_SITE", super().init("--certificate", case.root.with_suffix(".pem"), code=1).stderr)
                case.assertIn(str(request), run(*ask).stdout)
                said = pki.openssl("req", "-in", request, "-noout", "-verify", "-text", "-nameopt", "RFC2253")
                case.assertIn("CA:TRUE, pathlen:0", said.stdout)
                case.assertIn("CN=CAPF", said.stdout)
                for waiting in (run(*ask, code=1), super().init(code=1)):
                    case.assertIn("a request waits for its certificate", waiting.stderr)
                case.refusals(request, lambda path, words: case.assertIn(
                    words, super(CeremonySite, self).init("--certificate", path, code=1).stderr))
                case.answer = case.with_root(case.sign(request, "capf"))
                super().init("--certificate", case.answer)
                case.assertFalse((self.state / "request").exists())
                case.assertIn("SITE_EXISTS", super().init("--certificate", case.answer, code=1).stderr)

        site = CeremonySite()
        self.addCleanup(site.close)
        self.site = site
        certificate = site.enrol(self.device())
        pki.openssl("verify", "-x509_strict", "-CAfile", f"{self.root}.pem", "-untrusted", self.answer, certificate)
        self.next_generation(site)

    def next_generation(self, site):
        self.assertIn("INVALID_REQUEST", site.capfctl("issuer", "add", "--certificate", self.answer, code=2).stderr)
        request = self.folder / "next.csr"
        request.write_text(site.capfctl("issuer", "add", "--csr-only", "--key", "p-256", "--subject", "CN=CAPF-2").stdout)
        self.assertIn("SITE_EXISTS", site.capfctl("issuer", "add", "--csr-only", code=1).stderr)
        self.refusals(request, lambda path, words: self.assertIn(
            words, site.capfctl("issuer", "add", "--certificate", path, code=1).stderr))
        site.server.restart()
        chain = self.with_root(self.sign(request, "next"))
        added = site.json("issuer", "add", "--certificate", chain)
        self.assertEqual((added["state"], added["subject"]), ("next", "CN=CAPF-2"))
        site.capfctl("issuer", "activate", str(added["id"]))
        certificate = site.enrol(self.device())
        pki.openssl("verify", "-x509_strict", "-CAfile", f"{self.root}.pem", "-untrusted", chain, certificate)
        self.assertEqual([path.name for path in (site.state / "keys").glob("issuer-next*")], [])

    def test_the_key_that_waits_is_in_a_token(self):
        case, token = self, SoftToken()
        self.addCleanup(token.close)

        class TokenSite(Site):
            def init(self, *options, code=0):
                run(PROGRAMS / "capfd", "init", "--csr-only", "--state", self.state, "--passphrase",
                    f"file:{self.state}/passphrase", *token.options("issuer", "--key", "rsa-2048"))
                chain = case.with_root(case.sign(self.state / "request/certificates/issuer-1.csr", "in-token"))
                super().init("--certificate", chain, "--token-module", SHIM, "--pin", f"file:{token.pin}")

        self.site = TokenSite()
        self.addCleanup(self.site.close)
        self.site.enrol(self.device())


class WeakKeysTest(EndToEnd):
    """Keys that a list of the site refuses."""

    def test_a_list_of_weak_keys_is_followed_and_one_that_cannot_be_used_stops_a_start(self):
        site = Site()
        self.addCleanup(site.close)
        weak = site.state / "weak"
        weak.touch(mode=0o600)
        with open(site.state / "capfd.toml", "a") as file:
            file.write('\n[policy]\nweak_keys = ["weak"]\n')
        site.server.restart()
        root = pki.Manufacturer.root(key="rsa-2048")
        path = site.folder / "root.pem"
        path.write_bytes(root.certificate.public_bytes(pki.serialization.Encoding.PEM))
        modulus = pki.openssl("x509", "-noout", "-modulus", "-in", path).stdout
        weak.write_text(hashlib.sha1(modulus.encode()).hexdigest()[20:] + "\n")
        eventually(lambda: "weak_keys.read keys=1" in site.server.log_text(), "the list is read again")
        self.assertSays(site.trust("mic", path, code=1), "KEY_LISTED")
        weak.write_text("")
        eventually(lambda: site.server.log_text().count("weak_keys.read keys=0") == 2, "the list is read again")
        site.trust("mic", path)
        site.server.stop()
        weak.write_text("nonsense\n")
        refused = run(PROGRAMS / "capfd", "run", "--state", site.state, code=1)
        self.assertSays(refused, str(weak), "line 1")

    def test_phones_whose_keys_have_a_prime_in_common_are_blocked(self):
        site = Site()
        self.addCleanup(site.close)
        one, other, good = pki.make_key("rsa-2048"), pki.make_key("rsa-2048"), pki.make_key("rsa-2048")
        shared = pki.rsa_key(one.private_numbers().p, other.private_numbers().p)
        keys = {self.device(): key for key in (one, shared, good)}
        site.capfctl("phone", "add", *keys)
        with rpc.phone_client(site) as phone:
            for device, key in keys.items():
                site.schedule(device, "install", "null")
                phone.IssueCertificate(credential=rpc.credential(device), certification_request=pki.request(key))
        site.server.stop()
        # Long enough ago for all to be seen, and the comparison of this day is due again.
        site.changed.update(keys)
        site.sql("update certificates set issued_at = issued_at - interval '1 hour'")
        site.sql("delete from leases where name = 'common_primes'")
        site.server.start()
        *bad, well = keys
        eventually(lambda: site.server.log_text().count("key.common_prime") == 2, "the keys are compared")
        for device in bad:
            self.assertTrue(site.json("phone", "show", device)["blocked"])
            self.assertEqual(site.json("certificate", "list", "--device", device)[0]["revocation_reason"], "keyCompromise")
        self.assertFalse(site.json("phone", "show", well)["blocked"])
        events = [event for event in site.json("audit", "list") if event["action"] == "key.block"]
        self.assertEqual([any(device in event["detail"] for event in events) for device in bad], [True, True])


if __name__ == "__main__":
    unittest.main()
