"""Desk phones and softphones on the wire: what they come for, in every way to authenticate."""

import subprocess

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from e2e import pki, wire_phone
from e2e.site import EndToEnd, Site, eventually
from e2e.wire_phone import LSC, MIC, Phone, Proof


def s_client(site, *options):
    return subprocess.run(["openssl", "s_client", "-connect", site.server.endpoints["wire"], *options], input=b"",
                          capture_output=True, timeout=60)


class Wire(EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.issuer = cls.site.folder / "issuer.pem"
        cls.issuer.write_text(cls.site.capfctl("issuer", "export").stdout)
        pinned = cls.site.folder / "wire.pem"
        pinned.write_text(cls.site.capfctl("issuer", "export", "--wire").stdout)
        cls.pinned = pki.der(pki.read_certificate(pinned))
        cls.manufacturer = pki.Manufacturer.trusted(cls.site, cls)

    def phone(self, device, **options):
        return Phone(self.site.server.endpoints["wire"], device, pinned=self.pinned, **options)

    def visit(self, device, password=None, proof=None, **options):
        """A whole session. @return the phone and the reason of its end"""
        with self.phone(device, **options) as phone:
            return phone, phone.do(password, proof)

    def enrolled(self, device, *options):
        """A phone with a confirmed LSC. @return its identity"""
        self.site.add_phone(device)
        self.site.schedule(device, "install", "null", *options)
        phone, reason = self.visit(device)
        self.assertEqual(reason, 1)
        return pki.Identity(phone.certificate, phone.key)

    def assertEnds(self, device, state, reason=None):
        operation = self.site.operation(device)
        self.assertEqual((operation["state"], operation.get("reason") or None), (state, reason))


class OldTlsTest(Wire):
    def test_old_phones_do_not_connect_where_nobody_lets_them(self):
        """The same command as with legacy_phones, below."""
        old = s_client(self.site, "-tls1", "-cipher", "AES128-SHA:@SECLEVEL=0")
        self.assertNotEqual(old.returncode, 0)
        self.assertIn(b"protocol version", old.stderr)
        self.assertNotEqual(s_client(self.site, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0").returncode, 0)
        self.assertNotEqual(s_client(self.site, "-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0").returncode, 0)
        self.assertEqual(s_client(self.site, "-tls1_2").returncode, 0)
        device = self.site.add_phone(self.device())
        self.assertSays(self.site.phone(device, "--wire", "--tls-1.0", "--tries", "1", code=3), "SERVER_NOT_REACHED")


class InstallTest(Wire):
    def test_a_phone_with_the_authentication_string_gets_a_certificate_that_others_accept(self):
        device = self.site.add_phone(self.device())
        digits = self.site.schedule(device, "install", "string")
        phone, reason = self.visit(device, digits)
        self.assertEqual(reason, 1)
        self.assertEqual(phone.certificate.public_key().public_numbers(), phone.key.public_key().public_numbers())
        self.assertEqual(phone.certificate.public_key().key_size, 2048)
        path, _ = pki.Identity(phone.certificate, phone.key).write(self.site.folder / "wire", device)
        pki.verify_both(path, self.issuer)
        self.assertEnds(device, "succeeded")
        (record,) = self.site.json("certificate", "list", "--device", device)
        self.assertEqual(record["state"], "confirmed")
        self.assertNotIn(digits, self.site.server.log_text())

    def test_a_softphone_of_version_2_has_rsa_only(self):
        device = self.site.add_phone(self.device("CSF"))
        self.site.schedule(device, "install", "null")
        phone, reason = self.visit(device, version=2)
        self.assertEqual((reason, phone.key.key_size), (1, 2048))

        self.site.schedule(device, "install", "null", "--key-order", "ec-rsa")
        phone, reason = self.visit(device, version=2)
        self.assertEqual(reason, 1)
        self.assertIsInstance(phone.key, rsa.RSAPrivateKey)

        self.site.schedule(device, "install", "null", "--key-order", "ec")
        phone, reason = self.visit(device, version=2)
        self.assertEqual(reason, 7)
        self.assertEnds(device, "failed", "PHONE_WITHOUT_EC")

    def test_an_ec_key_is_of_the_curve_that_is_asked_for(self):
        device = self.site.add_phone(self.device())
        for bits in ("256", "384", "521"):
            self.site.schedule(device, "install", "null", "--key-order", "ec", "--ec-size", bits)
            phone, reason = self.visit(device)
            self.assertEqual((reason, phone.key.curve.key_size), (1, int(bits)))

    def test_ec_preferred_falls_back_to_rsa_once_a_key_could_not_be_generated(self):
        device = self.site.add_phone(self.device())
        self.site.schedule(device, "install", "null", "--key-order", "ec-rsa")
        with self.phone(device) as phone:
            phone.do(until=wire_phone.KEY_REQUEST)
            phone.say(wire_phone.KEY_RESPONSE, wire_phone.element(wire_phone.REASON, 3))
            self.assertEqual(phone.ended(), 7)
        phone, reason = self.visit(device)
        self.assertEqual(reason, 1)
        self.assertIsInstance(phone.key, rsa.RSAPrivateKey)

    def test_nothing_pending_and_an_unknown_device_have_reasons_of_their_own(self):
        device = self.site.add_phone(self.device())
        self.assertEqual(self.visit(device)[1], 0)
        self.assertEqual(self.visit(device, "123456")[1], 0)
        self.assertEqual(self.visit(device, proof=self.mic_proof(device))[1], 0)
        self.assertEqual(self.visit(self.device())[1], 9)
        self.assertIsNone(self.site.last_attempt(device))

    def mic_proof(self, device):
        mic = self.manufacturer.mic(device, key="rsa-2048")
        return Proof(mic, MIC, sudi=mic)


class CertificateTest(Wire):
    def test_a_mic_that_is_proven_fresh_installs_and_then_nothing_less_is_accepted(self):
        device = self.site.add_phone(self.device())
        mic = self.manufacturer.mic(device, key="rsa-2048")
        self.site.schedule(device, "install", "mic")
        self.assertEqual(self.visit(device, proof=Proof(mic, MIC, sudi=mic))[1], 1)
        self.assertEnds(device, "succeeded")
        self.site.schedule(device, "install", "mic")
        self.assertEqual(self.visit(device, proof=Proof(mic, MIC))[1], 7)
        self.assertLastAttempt(device, "PROOF_DOWNGRADED")
        self.assertEqual(self.visit(device, proof=Proof(mic, MIC, sudi=mic))[1], 1)

    def test_an_lsc_upgrades_and_stays_good_until_its_successor_is_stored(self):
        device = self.device()
        lsc = self.enrolled(device, "--key-order", "ec")
        self.site.schedule(device, "install", "lsc")
        with self.phone(device) as phone:  # a power cut before it has stored
            phone.do(proof=Proof(lsc, LSC), until=wire_phone.STORE_REQUEST)
        self.assertEnds(device, "issued")
        phone, reason = self.visit(device, proof=Proof(lsc, LSC))
        self.assertEqual(reason, 1)
        self.assertEnds(device, "succeeded")
        self.site.schedule(device, "install", "lsc")
        self.assertEqual(self.visit(device, proof=Proof(lsc, LSC))[1], 7)
        self.assertLastAttempt(device, "SUPERSEDED_LSC_USED")
        self.assertEqual(self.visit(device, proof=Proof(pki.Identity(phone.certificate, phone.key), LSC))[1], 1)

    def test_an_lsc_with_the_fresh_mic_beside_it(self):
        device = self.device()
        lsc = self.enrolled(device, "--key-order", "ec")
        mic = self.manufacturer.mic(device, key="rsa-2048")
        self.site.schedule(device, "install", "lsc")
        self.assertEqual(self.visit(device, proof=Proof(lsc, LSC, sudi=mic))[1], 1)
        # Both certificates of a proof must be this device's.
        other = self.manufacturer.mic(self.device(), key="rsa-2048")
        self.site.schedule(device, "delete", "lsc")
        self.assertEqual(self.visit(device, proof=Proof(lsc, LSC, sudi=other))[1], 7)
        self.assertLastAttempt(device, "CERTIFICATE_NAME_MISMATCH")

    def test_delete_and_troubleshoot(self):
        device = self.device()
        lsc = self.enrolled(device)
        mic = self.manufacturer.mic(device, key="rsa-2048")
        digits = self.site.schedule(device, "troubleshoot", "string")
        with self.phone(device) as phone:
            phone.fetched = pki.der(mic.certificate)
            self.assertEqual(phone.do(digits), 0)
        self.assertEnds(device, "succeeded")
        self.site.schedule(device, "delete", "lsc")
        self.assertEqual(self.visit(device, proof=Proof(lsc, LSC, sudi=lsc))[1], 1)
        self.assertEnds(device, "succeeded")


class FleetTest(EndToEnd):
    def test_phones_of_a_fleet_come_from_addresses_of_their_own(self):
        names = [f"SEPF1EE7000{number:04X}" for number in range(12)]
        lines = "\n".join(names) + "\n"
        self.site.capfctl("phone", "add", "--file", "-", input=lines)
        self.site.capfctl("operation", "schedule", "install", "--file", "-", "--auth", "string", "--string", "24681357",
                          input=lines)
        done = self.site.phone("--wire", "--count", "12", "--concurrency", "4", "--first", names[0], "--addresses", "3",
                               "--string", "24681357")
        self.assertIn("outcome done 12", done.stdout)
        addresses = set(self.site.sql("select distinct address from audit_events "
                                      "where action = 'certificate.issue' and subject like 'SEPF1EE7%'"))
        self.assertLessEqual(addresses, {"127.1.0.0", "127.1.0.1", "127.1.0.2"})
        self.assertGreater(len(addresses), 1)


class FaultTest(Wire):
    def test_a_power_cut_at_any_step_is_made_good_by_the_next_visit(self):
        for step in (wire_phone.AUTH_REQUEST, wire_phone.KEY_REQUEST, wire_phone.STORE_REQUEST):
            with self.subTest(step=step):
                device = self.site.add_phone(self.device())
                digits = self.site.schedule(device, "install", "string")
                with self.phone(device) as phone:
                    if step != wire_phone.AUTH_REQUEST:
                        phone.do(digits, until=step)
                self.assertEqual(self.visit(device, digits)[1], 1)
                self.assertEnds(device, "succeeded")

    def test_of_two_sessions_the_later_one_wins(self):
        device = self.site.add_phone(self.device())
        digits = self.site.schedule(device, "install", "string")
        with self.phone(device) as first, self.phone(device) as second:
            request = first.do(digits, until=wire_phone.KEY_REQUEST)
            second_request = second.do(digits, until=wire_phone.KEY_REQUEST)
            first.answer(wire_phone.KEY_REQUEST, request)
            self.assertEqual(first.ended(), 7)
            second.answer(wire_phone.KEY_REQUEST, second_request)
            second.answer(*second.hear())
            self.assertEqual(second.ended(), 1)
        self.assertEnds(device, "succeeded")
        self.assertLastAttempt(device, "SESSION_REPLACED")

    def test_a_phone_that_cannot_generate_its_key_three_times_fails(self):
        device = self.site.add_phone(self.device())
        digits = self.site.schedule(device, "install", "string")
        for state in ("in_progress", "in_progress", "failed"):
            with self.phone(device) as phone:
                phone.do(digits, until=wire_phone.KEY_REQUEST)
                phone.say(wire_phone.KEY_RESPONSE, wire_phone.element(wire_phone.REASON, 7))
                self.assertEqual(phone.ended(), 7)
            self.assertEqual(self.site.operation(device)["state"], state)
        self.assertEnds(device, "failed", "KEY_GENERATION_FAILED")

    def test_a_phone_that_refuses_to_store_or_to_delete_fails(self):
        device = self.device()
        self.enrolled(device)
        for kind, request, response in (("install", wire_phone.STORE_REQUEST, wire_phone.STORE_RESPONSE),
                                        ("delete", wire_phone.DELETE_REQUEST, wire_phone.DELETE_RESPONSE),
                                        ("troubleshoot", wire_phone.FETCH_REQUEST, wire_phone.FETCH_RESPONSE)):
            digits = self.site.schedule(device, kind, "string")
            with self.phone(device) as phone:
                phone.do(digits, until=request)
                phone.say(response, wire_phone.element(wire_phone.REASON, 5))
                self.assertEqual(phone.ended(), 7)
            self.assertEnds(device, "failed", "PHONE_REFUSED")
            self.assertIn("5", self.site.operation(device)["message"])

    def test_a_wrong_string_is_refused_and_the_right_one_still_serves(self):
        device = self.site.add_phone(self.device())
        digits = self.site.schedule(device, "install", "string")
        wrong = "1234" if digits != "1234" else "4321"
        self.assertEqual(self.visit(device, wrong)[1], 7)
        self.assertLastAttempt(device, "AUTH_STRING_MISMATCH")
        self.assertEqual(self.visit(device)[1], 7)
        self.assertEqual(self.visit(device, digits)[1], 1)


class SettingsTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        cls.site = Site(settings=lambda text: text + "\n[wire]\nlegacy_phones = true\nconceal_devices = true\n")
        cls.addClassCleanup(cls.site.close)

    def s_client(self, *options):
        return s_client(self.site, *options)

    def test_old_phones_connect_where_they_may_with_their_one_cipher(self):
        self.assertEqual(self.s_client("-tls1", "-cipher", "AES128-SHA:@SECLEVEL=0").returncode, 0)
        self.assertNotEqual(self.s_client("-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0").returncode, 0)
        self.assertNotEqual(self.s_client("-tls1", "-cipher", "ECDHE-RSA-AES128-SHA:@SECLEVEL=0").returncode, 0)
        device = self.site.add_phone(self.device())
        self.site.schedule(device, "install", "null")
        with Phone(self.site.server.endpoints["wire"], device, legacy=True) as phone:
            self.assertEqual(phone.do(), 1)
        self.assertIn("legacy_phones", self.site.server.log_text())

    def test_concealed_devices_all_sound_alike(self):
        known = self.site.add_phone(self.device())
        for device in (known, self.device()):
            with Phone(self.site.server.endpoints["wire"], device) as phone:
                self.assertEqual(phone.do("123456"), 7)


    def test_a_certificate_that_is_put_there_is_shown_without_a_restart(self):
        ecdsa = "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"
        self.assertNotEqual(self.s_client(*ecdsa).returncode, 0)
        self.write_identity("wire-ec", "p-256")
        eventually(lambda: self.s_client(*ecdsa).returncode == 0, "the EC certificate is shown")
        self.assertEqual(self.s_client("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256").returncode, 0)

    def write_identity(self, name, key):
        """A self-signed certificate in the site's folder, its key under the site's passphrase."""
        private = pki.make_key(key)
        certificate = pki.build(pki.name("CAPF-01234567"), private.public_key(), None, private)
        secret = (self.site.state / "passphrase").read_bytes()
        path = self.site.state / "keys" / f"{name}.key"
        path.touch(mode=0o600)
        (self.site.state / "certificates" / f"{name}.pem").write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM))
        path.write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                               serialization.BestAvailableEncryption(secret)))


class LegacyKeyTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        cls.site = Site()
        cls.addClassCleanup(cls.site.close)

    def test_the_key_of_old_phones_serves_nothing_else(self):
        server, state = self.site.server, self.site.state
        server.stop()
        for folder, kind in (("keys", "key"), ("certificates", "pem")):
            (state / folder / f"wire.{kind}").write_bytes((state / folder / f"server.{kind}").read_bytes())
        server.start()
        server.stop()
        settings = state / "capfd.toml"
        settings.write_text(settings.read_text() + "\n[wire]\nlegacy_phones = true\n")
        with self.assertRaisesRegex(AssertionError, "legacy_phones needs a key that serves nothing else"):
            server.start()


class DrainTest(Wire):
    def test_a_server_that_stops_leaves_the_operation_to_the_next_visit(self):
        device = self.site.add_phone(self.device())
        digits = self.site.schedule(device, "install", "string")
        with self.phone(device) as phone:
            phone.do(digits, until=wire_phone.KEY_REQUEST)
            self.assertEqual(self.site.server.stop(), 0)
            self.assertRaises(wire_phone.Closed, phone.hear)
        self.site.server.start()
        self.assertEnds(device, "in_progress")
        self.assertEqual(self.visit(device, digits)[1], 1)
        self.assertEnds(device, "succeeded")


class StrictTest(Wire):
    def test_old_phones_do_not_connect_where_nobody_allowed_them(self):
        done = subprocess.run(["openssl", "s_client", "-connect", self.site.server.endpoints["wire"], "-tls1", "-cipher",
                               "AES128-SHA:@SECLEVEL=0"], input=b"", capture_output=True, timeout=60)
        self.assertNotEqual(done.returncode, 0)
