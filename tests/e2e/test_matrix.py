"""Operation x authentication mode x credential, with the answer that each must get. A combination that is not named
here as accepted is refused."""

import unittest

from e2e import pki, rpc
from e2e.site import EndToEnd

KINDS = ("install", "delete", "troubleshoot")
MODES = ("string", "null", "lsc", "mic")

OK = "accepted"

# The phone has one of our confirmed LSCs (`own`), and has not authenticated with a MIC so far. A refusal is written
# with the recorded reason; the caller gets AUTHENTICATION_FAILED each time.
#   credential              string                  null lsc                           mic
TABLE = {
    "none":                 ("AUTH_STRING_MISSING", OK,  "CREDENTIAL_MISSING",         "CREDENTIAL_MISSING"),
    "string":               (OK,                    OK,  "CREDENTIAL_MODE",            "CREDENTIAL_MODE"),
    "wrong string":         ("AUTH_STRING_MISMATCH", OK,  "CREDENTIAL_MODE",            "CREDENTIAL_MODE"),
    "own LSC":              ("AUTH_STRING_MISSING", OK,  OK,                           OK),
    "another device's LSC": ("AUTH_STRING_MISSING", OK,  "CERTIFICATE_NAME_MISMATCH",  "CERTIFICATE_NAME_MISMATCH"),
    "expired LSC":          ("AUTH_STRING_MISSING", OK,  "CERTIFICATE_EXPIRED",        "CERTIFICATE_EXPIRED"),
    "revoked LSC":          ("AUTH_STRING_MISSING", OK,  "CERTIFICATE_REVOKED",        "CERTIFICATE_REVOKED"),
    "superseded LSC":       ("AUTH_STRING_MISSING", OK,  "SUPERSEDED_LSC_USED",        "SUPERSEDED_LSC_USED"),
    "forged LSC":           ("AUTH_STRING_MISSING", OK,  "CERTIFICATE_UNKNOWN_ISSUER", "CERTIFICATE_UNKNOWN_ISSUER"),
    "MIC":                  ("AUTH_STRING_MISSING", OK,  "MIC_NOT_TAKEN",              OK),
    "another device's MIC": ("AUTH_STRING_MISSING", OK,  "CERTIFICATE_NAME_MISMATCH",  "CERTIFICATE_NAME_MISMATCH"),
    "expired MIC":          ("AUTH_STRING_MISSING", OK,  "CERTIFICATE_EXPIRED",        "CERTIFICATE_EXPIRED"),
    "unknown maker's MIC":  ("AUTH_STRING_MISSING", OK,  "CERTIFICATE_UNKNOWN_ISSUER", "CERTIFICATE_UNKNOWN_ISSUER"),
    "self-signed":          ("AUTH_STRING_MISSING", OK,  "CERTIFICATE_UNKNOWN_ISSUER", "CERTIFICATE_UNKNOWN_ISSUER"),
}


class MatrixTest(EndToEnd, rpc.RefusalTests):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.maker = pki.Manufacturer.root("Manufacturing CA of the matrix")
        path, _ = cls.maker.write(cls.site.folder / "matrix", "maker")
        cls.site.trust("mic", path)
        cls.stranger = pki.Manufacturer.root("Unknown CA")
        issuer = pki.x509.load_pem_x509_certificate(cls.site.capfctl("issuer", "export").stdout.encode())
        key = pki.make_key()
        cls.forger = pki.Manufacturer(
            pki.build(issuer.subject, key.public_key(), None, key, ca=True), key)  # our issuer's name, another key

    def new_phone(self):
        """A phone with a confirmed LSC, which is an identity."""
        device = self.device()
        self.site.add_phone(device)
        return device, self.lsc(device)

    def lsc(self, device):
        self.site.schedule(device, "install", "null", "--key-order", "ec", "--ec-size", "256")
        key = pki.make_key()
        with rpc.phone_client(self.site) as phone:
            answer = phone.IssueCertificate(credential=rpc.credential(device), certification_request=pki.request(key))
            identity = pki.Identity(pki.x509.load_der_x509_certificate(answer.certificate), key)
            phone.ConfirmCertificate(credential=rpc.credential(device), sha256=bytes.fromhex(identity.sha256))
        return identity

    def credential(self, name, device, own, digits):
        """@return identity and authentication string"""
        if name == "none":
            return None, ""
        if name == "string":
            return None, digits
        if name == "wrong string":
            return None, "99999999" if digits != "99999999" else "88888888"
        if name in ("own LSC", "expired LSC", "revoked LSC", "superseded LSC"):
            return own, ""
        if name == "another device's LSC":
            return self.new_phone()[1], ""
        if name == "forged LSC":
            return self.forger.mic(device, common_names=[device]), ""
        if name == "MIC":
            return self.maker.mic(device), ""
        if name == "another device's MIC":
            return self.maker.mic(self.device()), ""
        if name == "expired MIC":
            return self.maker.mic(device, not_before=pki.now() - 20 * pki.DAY, not_after=pki.now() - pki.DAY), ""
        if name == "unknown maker's MIC":
            return self.stranger.mic(device), ""
        if name == "self-signed":
            key = pki.make_key()
            return pki.Identity(pki.build(pki.name(device), key.public_key(), None, key), key), ""
        raise AssertionError(name)

    def spoil(self, name, device, own):
        """Makes the LSC what its name in the table says, where time or an administrator does that."""
        if name == "superseded LSC":
            self.lsc(device)
        elif name == "expired LSC":
            self.site.changed.add(device)
            self.site.sql("update certificates set not_before = now() - interval '20 days', "
                          f"not_after = now() - interval '1 day' where sha256 = '\\x{own.sha256}'", user="postgres")
        elif name == "revoked LSC":
            self.site.capfctl("certificate", "revoke", device, "--reason", "affiliationChanged", "--yes")

    def perform(self, kind, device, identity, digits):
        with rpc.phone_client(self.site, identity) as phone:
            who = rpc.credential(device, digits)
            if kind == "install":
                phone.IssueCertificate(credential=who, certification_request=pki.request(pki.make_key()))
            elif kind == "delete":
                phone.DeleteCertificate(credential=who)
            else:
                other = self.stranger.mic(device)
                phone.HandOverCertificates(credential=who, certificates=[pki.der(other.certificate)])

    def check(self, kind, mode, name, expected):
        device, own = self.new_phone()
        self.spoil(name, device, own)
        digits = self.site.schedule(device, kind, mode, "--key-order", "ec", "--ec-size", "256")
        identity, string = self.credential(name, device, own, digits or "12345678")
        if expected == OK:
            self.perform(kind, device, identity, string)
            self.assertIn(self.site.operation(device)["state"], ("issued", "succeeded"))
            return
        before = self.site.operation(device)
        self.assertStranger(self.refusal(self.perform, kind, device, identity, string))
        self.assertLastAttempt(device, expected)
        self.assertEqual(self.site.operation(device), before)
        # an unconfirmed certificate of that key must not have been made either
        count = self.site.sql("select count(*) from certificates c join phones p on p.id = c.phone_id "
                              f"where p.device = '{device}' and c.confirmed_at is null", user="postgres")
        self.assertEqual(count, ["0"])

    def test_each_credential_gets_what_the_table_says(self):
        for kind in KINDS:
            for name, row in TABLE.items():
                for mode, expected in zip(MODES, row):
                    with self.subTest(operation=kind, auth=mode, credential=name):
                        self.check(kind, mode, name, expected)


class ForeignLscTest(EndToEnd, rpc.RefusalTests):
    """Another site's LSC serves one install, of the devices named for its issuer, until one of our LSCs is confirmed.
    """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other_site = pki.Manufacturer.root("CAPF-0badcafe")
        path, _ = cls.other_site.write(cls.site.folder / "other-site", "issuer")
        until = (pki.now() + 90 * pki.DAY).isoformat() + "Z"
        cls.site.trust("lsc", path, "--devices", "BOT*", "--ends", until)

    def issue(self, device, identity):
        with rpc.phone_client(self.site, identity) as phone:
            return phone.IssueCertificate(credential=rpc.credential(device),
                                          certification_request=pki.request(pki.make_key()))

    def scheduled(self, kind="install", prefix="BOT", auth="lsc"):
        device = self.site.add_phone(self.device(prefix))
        self.site.schedule(device, kind, auth, "--key-order", "ec", "--ec-size", "256")
        return device

    def test_it_installs_once(self):
        device = self.scheduled()
        foreign = self.other_site.mic(device, common_names=[device])
        issued = self.issue(device, foreign)
        with rpc.phone_client(self.site, foreign) as phone:
            phone.ConfirmCertificate(credential=rpc.credential(device),
                                     sha256=pki.hashlib.sha256(issued.certificate).digest())
        self.assertEqual(self.site.operation(device)["authenticated_by"], "foreign_lsc")
        self.site.schedule(device, "install", "lsc", "--key-order", "ec", "--ec-size", "256")
        self.assertStranger(self.refusal(self.issue, device, foreign))

    def test_it_neither_deletes_nor_troubleshoots(self):
        for kind, method, fields in (("delete", "DeleteCertificate", {}),
                                     ("troubleshoot", "HandOverCertificates", {"certificates": [b"0"]})):
            device = self.scheduled(kind)
            with self.subTest(kind), rpc.phone_client(
                    self.site, self.other_site.mic(device, common_names=[device])) as phone:
                self.assertStranger(self.refusal(getattr(phone, method), credential=rpc.credential(device), **fields))

    def test_it_speaks_for_the_named_devices_only(self):
        device = self.scheduled(prefix="TAB")
        self.assertStranger(self.refusal(self.issue, device, self.other_site.mic(device, common_names=[device])))
        self.assertLastAttempt(device, "CERTIFICATE_OUTSIDE_ANCHOR")


if __name__ == "__main__":
    unittest.main()
