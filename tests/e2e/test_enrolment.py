"""The operations of phones: install, upgrade, delete and troubleshoot, with each way to authenticate."""

import shutil
import unittest

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from e2e import pki, rpc
from e2e.rpc import credential
from e2e.site import EndToEnd


class Enrolment(EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.issuer = cls.site.folder / "issuer.pem"
        cls.issuer.write_text(cls.site.capfctl("issuer", "export").stdout)
        cls.manufacturer = pki.Manufacturer.trusted(cls.site, cls)

    def lsc(self, device):
        return pki.read_certificate(self.site.phones / f"{device}.pem")

    def mic(self, device, **odd):
        """The arguments of capf-phone that present this MIC."""
        certificate, key = self.manufacturer.mic(device, **odd).write(self.site.folder / "mics", device)
        return "--certificate", certificate, "--key", key

    def assertOpen(self, device, is_open):
        pending = [operation["device"] for operation in self.site.json("operation", "list", "--state", "pending")]
        self.assertEqual(device in pending, is_open)


class InstallTest(Enrolment):
    def test_a_phone_with_the_authentication_string_gets_a_certificate_that_others_accept(self):
        device = self.site.add_phone(self.device())
        digits = self.site.schedule(device, "install", "string")
        self.assertRegex(digits, r"^[0-9]{8}$")
        self.assertOpen(device, True)
        self.site.phone(device, "--string", digits)
        pki.verify_both(self.site.phones / f"{device}.pem", self.issuer)
        self.assertOpen(device, False)
        operation = self.site.operation(device)
        self.assertEqual((operation["state"], operation["kind"], operation["auth"]), ("succeeded", "install", "string"))

    def test_the_certificate_has_the_profile_of_an_lsc_and_nothing_else(self):
        device = self.device()
        certificate = pki.read_certificate(self.site.enrol(device))
        issuer = pki.read_certificate(self.issuer)
        self.assertEqual(certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value, device)
        self.assertEqual(certificate.issuer, issuer.subject)
        self.assertEqual(certificate.signature_hash_algorithm.name, "sha256")
        self.assertEqual(certificate.version, x509.Version.v3)
        octets = (certificate.serial_number.bit_length() + 7) // 8
        self.assertEqual(octets, 16)
        self.assertLessEqual(certificate.not_valid_after, issuer.not_valid_after)
        self.assertLessEqual(certificate.not_valid_before, pki.now())
        self.assertLessEqual(certificate.not_valid_after - certificate.not_valid_before, 1826 * pki.DAY)

        extensions = {extension.oid.dotted_string: extension for extension in certificate.extensions}
        usage = extensions["2.5.29.15"]
        self.assertTrue(usage.critical)
        self.assertTrue(usage.value.digital_signature and usage.value.key_encipherment)
        self.assertFalse(usage.value.key_cert_sign or usage.value.crl_sign or usage.value.key_agreement)
        basic = extensions["2.5.29.19"]
        self.assertTrue(basic.critical)
        self.assertFalse(basic.value.ca)
        self.assertEqual({oid.dotted_string for oid in extensions["2.5.29.37"].value},
                         {"1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.5"})
        self.assertIn("2.5.29.14", extensions)
        self.assertEqual(extensions["2.5.29.35"].value.key_identifier,
                         issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest)
        (point,) = extensions["2.5.29.31"].value
        self.assertRegex(point.full_name[0].value, r"^http://[^/]+/crl/\d+/\d+\.crl$")
        access = {entry.access_method._name: entry.access_location.value
                  for entry in extensions["1.3.6.1.5.5.7.1.1"].value}
        self.assertRegex(access["OCSP"], r"^http://[^/]+/ocsp$")
        self.assertRegex(access["caIssuers"], r"^http://[^/]+/ca/\d+\.cer$")
        self.assertEqual(set(extensions), {"2.5.29.15", "2.5.29.19", "2.5.29.37", "2.5.29.14", "2.5.29.35", "2.5.29.31",
                                           "1.3.6.1.5.5.7.1.1"})

    def test_nothing_of_the_request_is_copied_but_the_key(self):
        device = self.site.add_phone(self.device())
        self.site.schedule(device, "install", "null", "--key-order", "ec", "--ec-size", "256")
        folder = self.site.folder / "greedy"
        folder.mkdir()
        pki.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout",
                    folder / "key.pem", "-outform", "DER", "-out", folder / "request.der",
                    "-subj", "/CN=SEPFFFFFFFFFFFF", "-addext", "basicConstraints=critical,CA:TRUE",
                    "-addext", "subjectAltName=DNS:example.com")
        with rpc.phone_client(self.site) as phone:
            answer = phone.IssueCertificate(credential=credential(device),
                                            certification_request=(folder / "request.der").read_bytes())
        certificate = x509.load_der_x509_certificate(answer.certificate)
        self.assertEqual(certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value, device)
        self.assertFalse(certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
        with self.assertRaises(x509.ExtensionNotFound):
            certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)

    def test_the_key_is_of_the_kind_and_size_that_the_operation_asks_for(self):
        cases = [(("--key-order", "rsa"), rsa.RSAPublicKey, 2048),
                 (("--key-order", "rsa", "--rsa-size", "3072"), rsa.RSAPublicKey, 3072),
                 (("--key-order", "ec"), ec.EllipticCurvePublicKey, 384),
                 (("--key-order", "ec", "--ec-size", "256"), ec.EllipticCurvePublicKey, 256),
                 (("--key-order", "ec", "--ec-size", "521"), ec.EllipticCurvePublicKey, 521),
                 (("--key-order", "ec-rsa"), ec.EllipticCurvePublicKey, 384)]
        for options, kind, bits in cases:
            with self.subTest(options=options):
                path = self.site.enrol(self.device(), *options)
                key = pki.read_certificate(path).public_key()
                self.assertIsInstance(key, kind)
                self.assertEqual(key.key_size, bits)
                pki.verify_both(path, self.issuer)

    def test_where_ec_is_preferred_rsa_will_do(self):
        device = self.site.add_phone(self.device())
        self.site.schedule(device, "install", "null", "--key-order", "ec-rsa")
        with rpc.phone_client(self.site) as phone:
            answer = phone.IssueCertificate(credential=credential(device),
                                            certification_request=pki.request(pki.make_key("rsa-2048")))
        self.assertIsInstance(x509.load_der_x509_certificate(answer.certificate).public_key(), rsa.RSAPublicKey)

    def test_null_string_works_from_this_machine_and_is_scheduled_with_a_warning(self):
        device = self.site.add_phone(self.device())
        done = self.site.capfctl("operation", "schedule", "install", device, "--auth", "null")
        self.assertIn("warning", done.stderr.lower())
        self.site.phone(device)
        self.assertEqual(self.site.operation(device)["state"], "succeeded")

    def test_the_administrator_may_choose_the_string_and_keep_it_off_the_command_line(self):
        first, second = self.device(), self.device()
        self.site.capfctl("phone", "add", first, second)
        self.site.capfctl("operation", "schedule", "install", first, second, "--auth", "string", "--string", "-",
                          input="0042\n")
        for device in (first, second):
            self.site.phone(device, "--string", "0042")
            self.assertEqual(self.site.operation(device)["state"], "succeeded")

    def test_the_same_request_again_gets_the_same_certificate(self):
        device = self.site.add_phone(self.device())
        self.site.schedule(device, "install", "null", "--key-order", "ec", "--ec-size", "256")
        request = pki.request(pki.make_key())
        with rpc.phone_client(self.site) as phone:
            first = phone.IssueCertificate(credential=credential(device), certification_request=request)
            again = phone.IssueCertificate(credential=credential(device), certification_request=request)
        self.assertEqual(first.certificate, again.certificate)
        self.assertEqual(len(self.site.json("certificate", "list", "--device", device)), 1)

    def test_a_new_key_in_the_same_operation_gets_a_new_certificate_and_one_of_them_survives(self):
        device = self.site.add_phone(self.device())
        self.site.schedule(device, "install", "null", "--key-order", "ec", "--ec-size", "256")
        with rpc.phone_client(self.site) as phone:
            for _ in range(2):
                answer = phone.IssueCertificate(credential=credential(device),
                                                certification_request=pki.request(pki.make_key()))
            self.assertEqual(self.site.operation(device)["state"], "issued")
            sha256 = bytes.fromhex(pki.hashlib.sha256(answer.certificate).hexdigest())
            phone.ConfirmCertificate(credential=credential(device), sha256=sha256)
        states = {each["serial"]: each["state"] for each in self.site.json("certificate", "list", "--device", device)}
        survivor = format(x509.load_der_x509_certificate(answer.certificate).serial_number, "x")
        self.assertEqual(states.pop(survivor.rjust(32, "0")), "confirmed")
        self.assertEqual(list(states.values()), ["superseded"])
        self.assertEqual(self.site.operation(device)["state"], "succeeded")

    def test_a_used_string_is_refused(self):
        device = self.site.add_phone(self.device())
        digits = self.site.schedule(device, "install", "string")
        self.site.phone(device, "--string", digits)
        again = self.site.phone(device, "--string", digits, code=1)
        self.assertTrue(again.stderr.strip())

    def test_a_phone_with_nothing_pending_does_nothing_and_says_so(self):
        device = self.device()
        path = self.site.enrol(device)
        before = path.read_bytes()
        self.assertTrue(self.site.phone(device, code=1).stderr.strip())
        self.assertEqual(path.read_bytes(), before)

    def test_the_export_is_the_certificate_that_the_phone_has(self):
        device = self.device()
        path = self.site.enrol(device)
        exported = self.site.capfctl("certificate", "export", device).stdout
        self.assertIn(path.read_text().strip().splitlines()[1], exported)
        serial = self.site.json("certificate", "show", device)["serial"]
        self.assertEqual(self.site.capfctl("certificate", "export", serial).stdout, exported)


class ExistingCertificateTest(Enrolment):
    def test_an_lsc_upgrades_itself_and_the_old_one_is_superseded(self):
        device = self.device()
        self.site.enrol(device)
        old = self.lsc(device)
        self.site.schedule(device, "install", "lsc")
        self.site.phone(device)
        self.assertNotEqual(self.lsc(device).serial_number, old.serial_number)
        pki.verify_both(self.site.phones / f"{device}.pem", self.issuer)
        states = sorted(each["state"] for each in self.site.json("certificate", "list", "--device", device))
        self.assertEqual(states, ["confirmed", "superseded"])

    def test_a_superseded_lsc_is_refused_and_stops_self_service(self):
        device = self.device()
        self.site.enrol(device)
        old = self.site.folder / "old"
        old.mkdir(exist_ok=True)
        for suffix in ("pem", "key"):
            shutil.copy(self.site.phones / f"{device}.{suffix}", old)
        self.site.schedule(device, "install", "lsc")
        self.site.phone(device)
        self.site.schedule(device, "install", "lsc")
        self.site.phone(device, "--certificate", old / f"{device}.pem", "--key", old / f"{device}.key", code=1)
        self.assertLastAttempt(device, "SUPERSEDED_LSC_USED")
        self.site.phone(device)
        self.assertEqual(self.site.operation(device)["state"], "succeeded")

    def test_a_mic_of_a_trusted_manufacturer_installs_the_first_lsc(self):
        device = self.site.add_phone(self.device())
        self.site.schedule(device, "install", "mic")
        self.site.phone(device, *self.mic(device, key="rsa-2048"))
        pki.verify_both(self.site.phones / f"{device}.pem", self.issuer)
        self.assertEqual(self.site.operation(device)["authenticated_by"], "mic")

    def test_a_mic_made_with_the_openssl_command_will_do(self):
        folder = self.site.folder / "by-openssl"
        folder.mkdir()
        device = self.site.add_phone(self.device())
        pki.openssl("req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "30", "-subj", "/CN=Other Maker CA",
                    "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign",
                    "-keyout", folder / "ca.key", "-out", folder / "ca.pem")
        pki.openssl("req", "-new", "-newkey", "rsa:2048", "-noenc", "-subj", f"/O=Other Maker/CN=OM-100-{device}",
                    "-keyout", folder / "mic.key", "-out", folder / "mic.csr")
        pki.openssl("x509", "-req", "-in", folder / "mic.csr", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key",
                    "-days", "20", "-out", folder / "mic.pem")
        (folder / "mic.key").chmod(0o600)
        self.site.trust("mic", folder / "ca.pem")
        self.site.schedule(device, "install", "mic")
        self.site.phone(device, "--certificate", folder / "mic.pem", "--key", folder / "mic.key")
        self.assertEqual(self.site.operation(device)["state"], "succeeded")

    def test_a_mic_comes_with_its_intermediate(self):
        device = self.site.add_phone(self.device())
        mic = self.manufacturer.intermediate().mic(device)
        certificate, key = mic.write(self.site.folder / "mics", device)
        self.site.schedule(device, "install", "mic")
        self.site.phone(device, "--certificate", certificate, "--key", key)
        self.assertEqual(self.site.operation(device)["state"], "succeeded")

    def test_the_mic_of_another_phone_is_refused(self):
        device, other = self.device(), self.device()
        self.site.capfctl("phone", "add", device, other)
        self.site.schedule(device, "install", "mic")
        self.site.phone(device, *self.mic(other), code=1)
        self.assertEqual(self.site.operation(device)["state"], "pending")
        self.assertLastAttempt(device, "CERTIFICATE_NAME_MISMATCH")

    def test_another_mic_of_the_same_phone_is_refused_until_an_administrator_allows_it(self):
        device = self.site.add_phone(self.device())
        self.site.schedule(device, "install", "mic")
        self.site.phone(device, *self.mic(device))
        self.site.schedule(device, "install", "mic")
        other = self.mic(device)
        self.site.phone(device, *other, code=1)
        self.assertLastAttempt(device, "MIC_CHANGED")
        self.site.capfctl("phone", "unlock", device, "--forget-mic")
        self.site.phone(device, *other)
        self.assertEqual(self.site.operation(device)["state"], "succeeded")

    def test_precedence_to_lsc_takes_a_mic_only_without_a_valid_lsc(self):
        device = self.site.add_phone(self.device())
        self.site.schedule(device, "install", "lsc")
        mic = self.mic(device)
        self.site.phone(device, *mic)
        self.site.schedule(device, "install", "lsc")
        self.site.phone(device, *mic, code=1)
        self.assertLastAttempt(device, "MIC_NOT_TAKEN")
        self.site.phone(device)
        self.assertEqual(self.site.operation(device)["state"], "succeeded")

    def test_precedence_to_mic_takes_no_lsc_from_a_phone_that_has_a_mic(self):
        device = self.site.add_phone(self.device())
        self.site.schedule(device, "install", "mic")
        mic = self.mic(device)
        self.site.phone(device, *mic)
        self.site.schedule(device, "install", "mic")
        lsc = self.site.phones / f"{device}.pem", self.site.phones / f"{device}.key"
        self.site.phone(device, "--certificate", lsc[0], "--key", lsc[1], code=1)
        self.assertLastAttempt(device, "LSC_NOT_TAKEN")
        self.site.phone(device, *mic)

    def test_precedence_to_mic_takes_the_lsc_of_a_phone_without_a_mic(self):
        device = self.device()
        self.site.enrol(device)
        self.site.schedule(device, "install", "mic")
        self.site.phone(device)
        self.assertEqual(self.site.operation(device)["state"], "succeeded")

    def test_a_key_of_another_phone_gets_no_certificate(self):
        first, second = self.device(), self.device()
        self.site.capfctl("phone", "add", first, second)
        request = pki.request(pki.make_key())
        for device in (first, second):
            self.site.schedule(device, "install", "null", "--key-order", "ec", "--ec-size", "256")
        with rpc.phone_client(self.site) as phone:
            phone.IssueCertificate(credential=credential(first), certification_request=request)
            with self.assertRaises(rpc.Refusal) as caught:
                phone.IssueCertificate(credential=credential(second), certification_request=request)
        self.assertEqual(caught.exception.reason, "KEY_OF_ANOTHER_DEVICE")

    def test_a_modulus_of_another_phone_gets_no_certificate_with_another_exponent(self):
        first, second = self.device(), self.device()
        self.site.capfctl("phone", "add", first, second)
        key = pki.make_key("rsa-2048")
        for device in (first, second):
            self.site.schedule(device, "install", "null")
        with rpc.phone_client(self.site) as phone:
            phone.IssueCertificate(credential=credential(first), certification_request=pki.request(key))
            with self.assertRaises(rpc.Refusal) as caught:
                phone.IssueCertificate(credential=credential(second), certification_request=pki.request(pki.twin(key)))
        self.assertEqual(caught.exception.reason, "KEY_OF_ANOTHER_DEVICE")


class SelfServiceTest(Enrolment):
    """The certificate's life is moved in the database: a third of five years is long to wait for."""

    def age(self, device, share):
        """Lets that share of the LSC's life be over."""
        self.site.changed.add(device)
        self.site.sql(f"update certificates set not_before = now() - {share} * interval '300 days', "
                      f"not_after = now() + (1 - {share}) * interval '300 days' "
                      f"where phone_id = (select id from phones where device = '{device}') and revoked_at is null",
                      user="postgres")

    def test_a_phone_in_the_last_third_of_its_lscs_life_renews_by_itself(self):
        device = self.device()
        self.site.enrol(device)
        old = self.lsc(device)
        self.age(device, 0.7)
        self.site.phone(device)
        self.assertNotEqual(self.lsc(device).serial_number, old.serial_number)
        operation = self.site.operation(device)
        self.assertEqual((operation["state"], operation["created_by"]), ("succeeded", device))
        states = sorted(each["state"] for each in self.site.json("certificate", "list", "--device", device))
        self.assertEqual(states, ["confirmed", "superseded"])

    def test_before_that_it_does_not(self):
        device = self.device()
        self.site.enrol(device)
        self.age(device, 0.6)
        self.site.phone(device, code=1)

    def test_a_mic_renews_nothing_by_itself(self):
        device = self.site.add_phone(self.device())
        self.site.schedule(device, "install", "mic")
        mic = self.mic(device)
        self.site.phone(device, *mic)
        self.age(device, 0.9)
        self.site.phone(device, *mic, code=1)
        self.assertEqual(len(self.site.json("certificate", "list", "--device", device)), 1)


class OtherOperationsTest(Enrolment):
    def test_delete_takes_the_lsc_from_the_phone_and_revokes_it(self):
        device = self.device()
        path = self.site.enrol(device)
        self.site.schedule(device, "delete", "lsc")
        self.site.phone(device)
        self.assertFalse(path.exists())
        (certificate,) = self.site.json("certificate", "list", "--device", device)
        self.assertEqual((certificate["state"], certificate["revocation_reason"]), ("revoked", "cessationOfOperation"))
        self.assertEqual(self.site.operation(device)["state"], "succeeded")

    def test_delete_asks_for_the_string_where_it_was_scheduled_so(self):
        device = self.device()
        path = self.site.enrol(device)
        digits = self.site.schedule(device, "delete", "string")
        self.site.phone(device, code=1)
        self.assertTrue(path.exists())
        self.site.phone(device, "--string", digits)
        self.assertFalse(path.exists())

    def test_troubleshoot_hands_the_phones_certificates_over(self):
        device = self.device()
        path = self.site.enrol(device)
        before = path.read_bytes()
        self.site.schedule(device, "troubleshoot", "lsc")
        self.site.phone(device)
        self.assertEqual(self.site.operation(device)["state"], "succeeded")
        self.assertEqual(path.read_bytes(), before)

    def test_a_certificate_that_was_handed_over_authenticates_nobody(self):
        device = self.site.add_phone(self.device())
        stranger = pki.Manufacturer.root("Somebody").mic(device)
        self.site.schedule(device, "troubleshoot", "null")
        with rpc.phone_client(self.site) as phone:
            phone.HandOverCertificates(credential=credential(device), certificates=[pki.der(stranger.certificate)])
        self.assertEqual(self.site.operation(device)["state"], "succeeded")
        self.site.schedule(device, "install", "lsc")
        certificate, key = stranger.write(self.site.folder / "strangers", device)
        self.site.phone(device, "--certificate", certificate, "--key", key, code=1)
        self.assertEqual(self.site.operation(device)["state"], "pending")


class ManyPhonesTest(Enrolment):
    def test_many_phones_at_once(self):
        count = 30
        devices = [f"SEP001A{number:08X}" for number in range(count)]
        self.site.capfctl("phone", "add", *devices)
        self.site.capfctl("operation", "schedule", "install", *devices, "--auth", "string", "--string", "24681357",
                          "--key-order", "ec", "--ec-size", "256")
        self.site.phone(f"--count={count}", "--concurrency", "8", "--string", "24681357")
        states = {operation["device"]: operation["state"] for operation in self.site.json("operation", "list")}
        self.assertEqual({states[device] for device in devices}, {"succeeded"})


if __name__ == "__main__":
    unittest.main()
