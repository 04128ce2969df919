"""Good certificates, CRLs and answers, made by OpenSSL (python3-cryptography), and drafts of them that can be changed
octet by octet and signed again: what test_lint.py breaks."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID as Access
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose
from cryptography.x509.oid import NameOID

from lint import certificate as roles
from lint import der
from lint.der import Element, identifier, sequence

NOW = datetime.datetime(2023, 11, 23, 12, 0, 0)
DAY = datetime.timedelta(days=1)
BASE = "http://ca.example:3807"
NONCE = b"0123456789abcdef"


def encoded(thing):
    return thing.public_bytes(serialization.Encoding.DER)


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Ex"),
                      x509.NameAttribute(NameOID.COMMON_NAME, text)])


def usage(**bits):
    every = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{bit: bits.get(bit, False) for bit in every})


def uri(text):
    return x509.UniformResourceIdentifier(text)


PURPOSES = {roles.LSC: [Purpose.SERVER_AUTH, Purpose.CLIENT_AUTH], roles.WIRE: [Purpose.SERVER_AUTH],
            roles.SERVER: [Purpose.SERVER_AUTH], roles.ADMINISTRATOR: [Purpose.CLIENT_AUTH],
            roles.RESPONDER: [Purpose.OCSP_SIGNING]}


def make(role, key, above=None, above_key=None):
    """A good certificate of that role. `above` None: self-signed."""
    authority = role in roles.AUTHORITIES
    builder = (x509.CertificateBuilder().subject_name(name(role)).issuer_name(above.subject if above else name(role))
               .public_key(key.public_key()).serial_number(0x5A << 112).not_valid_before(NOW)
               .not_valid_after(NOW + (3650 if authority else 365) * DAY)
               .add_extension(x509.BasicConstraints(authority, 0 if role == roles.ISSUER else None), True)
               .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
               .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key((above_key or key).public_key()), False))
    is_rsa = isinstance(key, rsa.RSAPrivateKey)
    bits = {"key_cert_sign": True, "crl_sign": True} if authority else {
        "digital_signature": True, "key_encipherment" if is_rsa else "key_agreement": True}
    builder = builder.add_extension(usage(**bits), True)
    if role in PURPOSES:
        builder = builder.add_extension(x509.ExtendedKeyUsage(PURPOSES[role]), False)
    if role == roles.LSC:
        point = x509.DistributionPoint([uri(f"{BASE}/crl/1/0.crl")], None, None, None)
        builder = builder.add_extension(x509.CRLDistributionPoints([point]), False).add_extension(
            x509.AuthorityInformationAccess([x509.AccessDescription(Access.OCSP, uri(f"{BASE}/ocsp")),
                                             x509.AccessDescription(Access.CA_ISSUERS, uri(f"{BASE}/ca/1.cer"))]), False)
    if role == roles.SERVER:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("ca.example")]), False)
    if role == roles.RESPONDER:
        builder = builder.add_extension(x509.OCSPNoCheck(), False)
    return builder.sign(above_key or key, hashes.SHA256())


class Draft:
    """Something signed, to be changed. `seal()` signs it again and encodes it."""

    def __init__(self, octets, key):
        self.tree, self.key = der.read(octets), key

    @property
    def signed(self):
        return self.tree[0]

    @property
    def outer(self):
        """What has algorithm and signature as its second and third."""
        return self.tree

    def seal(self):
        if isinstance(self.key, rsa.RSAPrivateKey):
            signature = self.key.sign(self.signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        else:
            signature = self.key.sign(self.signed.encode(), ec.ECDSA(hashes.SHA256()))
        self.outer[2].content = b"\0" + signature
        return self.encode()

    def encode(self):
        return self.tree.encode()

    # extensions

    def extension_list(self):
        return self.signed[-1][0]

    def extension(self, oid):
        return next(one for one in self.extension_list().children if der.oid_text(one[0].content) == oid)

    def drop(self, oid):
        self.extension_list().children.remove(self.extension(oid))

    def put(self, oid, value, critical=None):
        """Sets an extension's value (an Element); criticality stays as it is where nothing is said of it."""
        found = [one for one in self.extension_list().children if der.oid_text(one[0].content) == oid]
        fresh = extension(oid, value, bool(critical))
        if not found:
            self.extension_list().children.append(fresh)
            return
        found[0][-1] = fresh[-1]
        if critical is not None:
            self.set_critical(oid, critical)

    def set_critical(self, oid, critical):
        """None: FALSE, and written."""
        one = self.extension(oid)
        one.children = [one[0], one[-1]]
        if critical is not False:
            one.children.insert(1, Element(der.BOOLEAN, b"\0" if critical is None else b"\xff"))

    def change(self, oid, change):
        """Changes an extension's value in place."""
        value = der.read(self.extension(oid)[-1].content)
        change(value)
        self.extension(oid)[-1].content = value.encode()


class AnswerDraft(Draft):
    """An OCSPResponse, whose signed part stands within octets."""

    def __init__(self, octets, key):
        super().__init__(octets, key)
        self.basic = der.read(self.tree[1][0][1].content)

    @property
    def signed(self):
        return self.basic[0]

    @property
    def outer(self):
        return self.basic

    def encode(self):
        if len(self.tree.children) > 1 and len(self.tree[1][0].children) > 1:
            self.tree[1][0][1].content = self.basic.encode()
        return self.tree.encode()


def extension(oid, value, critical=False):
    flag = [Element(der.BOOLEAN, b"\xff")] if critical else []
    return sequence(identifier(oid), *flag, Element(der.OCTET_STRING, value.encode()))


class Good:
    """One good object of each kind."""

    def __init__(self):
        self.issuer_key, self.key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        self.rsa_key = rsa.generate_private_key(65537, 2048)
        issuer = make(roles.ISSUER, self.issuer_key)
        self.issuer = roles.Certificate(encoded(issuer), roles.ISSUER)
        self.certificates = {roles.ISSUER: (encoded(issuer), None, self.issuer_key),
                             roles.WIRE: (encoded(make(roles.WIRE, self.key)), None, self.key)}
        for role in (roles.LSC, roles.SERVER, roles.ADMINISTRATOR, roles.RESPONDER):
            self.certificates[role] = (encoded(make(role, self.key, issuer, self.issuer_key)), self.issuer, self.issuer_key)
        self.certificates["RSA"] = (encoded(make(roles.LSC, self.rsa_key, issuer, self.issuer_key)), self.issuer,
                                    self.issuer_key)
        root = make(roles.SITE_CA, self.rsa_key)
        self.certificates["by RSA"] = (encoded(make(roles.LSC, self.key, root, self.rsa_key)),
                                       roles.Certificate(encoded(root), roles.SITE_CA), self.rsa_key)
        self.crl = self.make_crl(issuer)
        self.lsc = x509.load_der_x509_certificate(self.certificates[roles.LSC][0])
        request = ocsp.OCSPRequestBuilder().add_certificate(self.lsc, issuer, hashes.SHA1())
        self.request = encoded(request.add_extension(x509.OCSPNonce(NONCE), False).build())
        responder = x509.load_der_x509_certificate(self.certificates[roles.RESPONDER][0])
        self.answer = encoded(
            ocsp.OCSPResponseBuilder().certificates([responder])
            .add_response(self.lsc, issuer, hashes.SHA1(), ocsp.OCSPCertStatus.REVOKED, NOW, NOW + DAY / 24, NOW,
                          x509.ReasonFlags.superseded)
            .responder_id(ocsp.OCSPResponderEncoding.HASH, responder)
            .add_extension(x509.OCSPNonce(self.nonce()), False).sign(self.key, hashes.SHA256()))
        draft = AnswerDraft(self.answer, self.key)  # the library takes the machine's clock for this one
        draft.signed[1].content = b"20231123120000Z"
        self.answer = draft.seal()

    @staticmethod
    def nonce():
        return NONCE

    def make_crl(self, issuer):
        def entry(serial, *extensions):
            builder = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW)
            for one in extensions:
                builder = builder.add_extension(one, False)
            return builder.build()
        point = x509.IssuingDistributionPoint([uri(f"{BASE}/crl/1/0.crl")], None, True, False, None, False, False)
        return encoded(
            x509.CertificateRevocationListBuilder().issuer_name(issuer.subject).last_update(NOW).next_update(NOW + 7 * DAY)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.issuer_key.public_key()), False)
            .add_extension(x509.CRLNumber(7), False).add_extension(point, True)
            .add_revoked_certificate(entry(1 << 120, x509.CRLReason(x509.ReasonFlags.key_compromise)))
            .add_revoked_certificate(entry(2 << 120))
            .add_revoked_certificate(entry(3 << 120, x509.InvalidityDate(NOW - DAY)))
            .sign(self.issuer_key, hashes.SHA256()))
