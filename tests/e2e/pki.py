"""Certificates, keys and requests that our programs did not make: OpenSSL did, mostly through python3-cryptography."""

import dataclasses
import datetime
import hashlib
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from e2e.site import run

DAY = datetime.timedelta(days=1)
HASHES = {"sha1": hashes.SHA1, "sha256": hashes.SHA256, "sha384": hashes.SHA384}


def now():
    return datetime.datetime.utcnow().replace(microsecond=0)


def make_key(kind="p-256"):
    """kind: p-256, p-384, p-521, p-224 or rsa-BITS."""
    if kind.startswith("rsa-"):
        bits = int(kind[4:])
        if bits < 1024:  # python3-cryptography of Debian 13 makes none of these
            made = openssl("genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}")
            return serialization.load_pem_private_key(made.stdout.encode(), None)
        return rsa.generate_private_key(65537, bits)
    curve = {"p-224": ec.SECP224R1, "p-256": ec.SECP256R1, "p-384": ec.SECP384R1, "p-521": ec.SECP521R1}[kind]
    return ec.generate_private_key(curve())


def rsa_key(p, q, exponent=65537):
    """The RSA key of two primes."""
    d = pow(exponent, -1, (p - 1) * (q - 1))
    return rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p),
                                 rsa.RSAPublicNumbers(exponent, p * q)).private_key()


def twin(key, exponent=65539):
    """The RSA key of the same modulus with another exponent, which is prime."""
    numbers = key.private_numbers()
    return rsa_key(numbers.p, numbers.q, exponent)


def pem_of_key(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def name(*common_names, organization=None, serial_number=None):
    parts = []
    if serial_number:
        parts.append(x509.NameAttribute(NameOID.SERIAL_NUMBER, serial_number))
    if organization:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    parts += [x509.NameAttribute(NameOID.COMMON_NAME, common_name) for common_name in common_names]
    return x509.Name(parts)


@dataclasses.dataclass
class Identity:
    """A certificate with its key, and the certificates between it and its root."""
    certificate: x509.Certificate
    key: object
    chain: tuple = ()

    @property
    def certificate_pem(self):
        return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in (self.certificate, *self.chain))

    @property
    def key_pem(self):
        return pem_of_key(self.key)

    @property
    def sha256(self):
        return hashlib.sha256(der(self.certificate)).hexdigest()

    def write(self, folder, stem):
        """@return the paths of certificate (with its chain) and key"""
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        certificate, key = folder / f"{stem}.pem", folder / f"{stem}.key"
        certificate.write_bytes(self.certificate_pem)
        key.touch(mode=0o600)
        key.write_bytes(self.key_pem)
        return certificate, key


class Manufacturer(Identity):
    """A CA that makes MICs."""

    @classmethod
    def root(cls, common_name="Test Manufacturing CA", key="p-256", hash="sha256", not_after=None):
        private = make_key(key)
        certificate = build(name(common_name, organization="Test Manufacturer"), private.public_key(), None, private,
                            hash=hash, not_after=not_after, ca=True)
        return cls(certificate, private)

    @classmethod
    def trusted(cls, site, test):
        """One whose MICs the site trusts, for that class of tests."""
        made = cls.root(f"Manufacturing CA of {test.__name__}")
        path, _ = made.write(site.folder / test.__name__, "manufacturer")
        site.trust("mic", path)
        return made

    def intermediate(self, common_name="Test Manufacturing Sub CA", key="p-256"):
        private = make_key(key)
        certificate = build(name(common_name, organization="Test Manufacturer"), private.public_key(), self.certificate,
                            self.key, ca=True, path_length=0)
        return Manufacturer(certificate, private, (certificate, *self.chain))

    def mic(self, device, *, model="CP-8861", common_names=None, key="p-256", hash="sha256",
            not_before=None, not_after=None):
        """A good MIC of that device, but for what is said otherwise."""
        private = make_key(key) if isinstance(key, str) else key
        subject = name(*(common_names or [f"{model}-{device}"]), organization="Test Manufacturer",
                       serial_number=f"PID:{model} SN:FCH1819{device[-4:]}")
        certificate = build(subject, private.public_key(), self.certificate, self.key, hash=hash, not_before=not_before,
                            not_after=not_after)
        return Identity(certificate, private, self.chain)


def build(subject, public_key, issuer, issuer_key, *, hash="sha256", not_before=None, not_after=None, ca=False,
          path_length=None):
    builder = (x509.CertificateBuilder()
               .subject_name(subject)
               .issuer_name(issuer.subject if issuer else subject)
               .public_key(public_key)
               .serial_number(x509.random_serial_number())
               .not_valid_before(not_before or now() - DAY)
               .not_valid_after(not_after or now() + 3650 * DAY)
               .add_extension(x509.BasicConstraints(ca, path_length if ca else None), critical=True)
               .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
               .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
                              critical=False)
               .add_extension(x509.KeyUsage(
                   digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
                   key_agreement=False, key_cert_sign=ca, crl_sign=ca, encipher_only=False, decipher_only=False),
                   critical=True))
    if not ca:
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    return builder.sign(issuer_key, HASHES[hash]())


def der(thing):
    return thing.public_bytes(serialization.Encoding.DER)


def read_certificate(path):
    return x509.load_pem_x509_certificate(pathlib.Path(path).read_bytes())


def request(key, common_name="anything"):
    """A PKCS #10 request in DER."""
    return der(x509.CertificateSigningRequestBuilder().subject_name(name(common_name)).sign(key, hashes.SHA256()))


def request_signed_by_another_key(key, other):
    """A PKCS #10 request for `key` whose signature is of `other`, a key of the same kind."""
    csr = x509.load_der_x509_csr(request(key))
    if isinstance(other, rsa.RSAPrivateKey):
        signature = other.sign(csr.tbs_certrequest_bytes, padding.PKCS1v15(), hashes.SHA256())
    else:
        signature = other.sign(csr.tbs_certrequest_bytes, ec.ECDSA(hashes.SHA256()))
    rest = der(csr)[header_length(der(csr)) + len(csr.tbs_certrequest_bytes):]
    algorithm = rest[:header_length(rest) + rest[1]]
    return tlv(0x30, csr.tbs_certrequest_bytes + algorithm + tlv(0x03, b"\0" + signature))


def header_length(encoded):
    return 2 if encoded[1] < 0x80 else 2 + (encoded[1] & 0x7F)


def tlv(tag, content):
    """DER: tag, length, content."""
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def openssl(*arguments, code=0, input=None):
    return run("openssl", *arguments, code=code, input=input)


def certtool(*arguments, code=0, input=None):
    return run("certtool", *arguments, code=code, input=input)


def verify_both(certificate, anchors, chain=None):
    """Checks that OpenSSL and GnuTLS accept the certificate under these anchors (paths, PEM)."""
    openssl("verify", "-x509_strict", "-CAfile", anchors, certificate)
    certtool("--verify", "--load-ca-certificate", anchors, "--infile", certificate)
