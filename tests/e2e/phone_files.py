"""A strict reader of what phones fetch: trust lists, signed and encrypted files. It was written from the description of
the bytes alone and shares no code with the programs under test, so that one mistake cannot be on both sides.

    python3 -m e2e.phone_files FILE [--name NAME] [--signer PEM] [--key PEM]"""

import argparse
import hashlib
import io
import sys

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import ciphers, hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

DIGESTS = {1: ("sha1", hashes.SHA1), 3: ("sha512", hashes.SHA512)}
ROLES = {0: "SAST", 1: "CCM", 2: "CCM+TFTP", 3: "TFTP", 4: "CAPF", 7: "APP-SERVER", 21: "TVS"}
MODULI = {0: 512, 1: 1024, 2: 2048, 3: 4096}
LIST_NAMES = ("CTLFile.tlv", "ITLFile.tlv")
SHORT_NAMES = {"2.5.4.3": "CN", "2.5.4.11": "OU", "2.5.4.10": "O", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.6": "C"}


class Refused(Exception):
    """The file is not what a phone may believe."""


def expect(condition, why):
    if not condition:
        raise Refused(why)


class Stream:
    def __init__(self, octets):
        self.file = io.BytesIO(octets)
        self.size = len(octets)

    def left(self):
        return self.size - self.file.tell()

    def octets(self, count):
        found = self.file.read(count)
        expect(len(found) == count, "it ends too early")
        return found

    def number(self, count):
        return int.from_bytes(self.octets(count), "big")

    def element(self):
        tag = self.number(1)
        return tag, self.octets(self.number(2))

    def elements(self):
        while self.left():
            yield self.element()


def text(octets):
    expect(octets.endswith(b"\0"), "a text without NUL")
    expect(b"\0" not in octets[:-1], "a NUL inside a text")
    try:
        return octets[:-1].decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("a text is not UTF-8") from None


def number(octets, size):
    expect(len(octets) == size, "a number of another size")
    return int.from_bytes(octets, "big")


def once(octets, tags, all_of_them=True):
    """The elements as a dictionary, none twice and none of another kind."""
    found = {}
    for tag, value in Stream(octets).elements():
        expect(tag in tags, f"element {tag} does not belong there")
        expect(tag not in found, f"element {tag} twice")
        found[tag] = value
    expect(not all_of_them or set(found) == set(tags), "an element is missing")
    return found


def digest_code(octets):
    code = number(octets, 1)
    expect(code in DIGESTS, f"digest {code}")
    return code


class File:
    """A file in its parts. Nothing in it is believed yet."""

    def __init__(self, octets):
        self.octets = octets
        stream = Stream(octets)
        tag, version = stream.element()
        expect(tag == 1, "no version at its begin")
        self.kind = {b"\1\2": "list", b"\1\0": "signed", b"\2\0": "encrypted"}.get(version)
        expect(self.kind, f"version {version}")
        tag, length = stream.element()
        expect(tag == 2, "no header length")
        self.header_length = number(length, 2)
        expect(self.header_length <= len(octets), "the header is longer than the file")
        expect(self.header_length % 4 == 0, "the header is no multiple of 4")
        self.body = octets[self.header_length:]
        self._header(octets[:self.header_length], stream.file.tell())

    def _header(self, octets, start):
        order = {"list": [28, 3, 7, 12, 14, 15], "signed": [3, 7, 12, 14, 15],
                 "encrypted": [3, 7, 12, 14, 15, 16, 26, 27]}[self.kind]
        stream = Stream(octets)
        stream.octets(start)
        values = {}
        for tag in order:
            at = stream.file.tell()
            expect(stream.left(), f"element {tag} is missing")
            if tag == 28 and octets[at] != 28:
                continue
            found, values[tag] = stream.element()
            expect(found == tag, f"element {found} in the place of {tag}")
            if tag == 12:
                self.signed = self.octets[:at] + self.octets[stream.file.tell():]
        rest = stream.octets(stream.left())
        expect(len(rest) < 4 and set(rest) <= {13}, "no padding behind the header")
        if 28 in values:
            expect(values[28] in (b"\1\0", b"\1\1"), "the signer's version")
        self.https = values.get(28) == b"\1\1"
        signer = once(values[3], (4, 5, 6))
        self.signer, self.serial, self.issuer = text(signer[4]), signer[5], text(signer[6])
        info = once(values[7], (8, 9))
        self.digest = digest_code(info[8])
        algorithm = once(info[9], (10, 11))
        expect(number(algorithm[10], 1) == 0, "the signature is not RSA")
        expect(number(algorithm[11], 1) in MODULI, "the modulus code")
        self.modulus = MODULI[number(algorithm[11], 1)]
        self.signature = values[12]
        self.name = text(values[14])
        expect(self.name, "no file name")
        self.time = number(values[15], 4)
        if self.kind == "encrypted":
            self._encryption(values)

    def _encryption(self, values):
        info = once(values[16], (17, 21))
        cipher, key = once(info[17], (18, 19, 20)), once(info[21], (22, 23, 24, 25))
        expect(number(cipher[18], 1) == 0 and number(key[22], 1) == 0 and number(key[24], 1) == 1,
               "cipher or key algorithm")
        self.iv, self.pad = cipher[19], number(cipher[20], 2)
        expect(len(self.iv) == 16, "the IV's size")
        expect(1 <= self.pad <= 16, "the pad count")
        self.wrapped = key[25]
        expect(number(key[23], 2) == 8 * len(self.wrapped), "the key's size")
        self.plain_code, self.plain_digest = digest_code(values[26]), values[27]
        expect(self.body and len(self.body) % 16 == 0, "the ciphertext's size")

    def verify(self, certificate, name):
        """Checks that the certificate's owner signed it, under this name."""
        expect(self.name == name, f"the name inside is {self.name}")
        expect(self.serial == serial_of(certificate), "another serial number")
        expect(self.signer in spellings(certificate.subject), "another signer")
        expect(self.issuer in spellings(certificate.issuer), "another issuer")
        key = certificate.public_key()
        expect(isinstance(key, rsa.RSAPublicKey) and key.key_size == self.modulus, "another kind of key")
        expect(len(self.signature) * 8 == self.modulus, "the signature's size")
        try:
            key.verify(self.signature, self.signed, padding.PKCS1v15(), DIGESTS[self.digest][1]())
        except InvalidSignature:
            raise Refused("the signature is wrong") from None

    def decrypt(self, key):
        """The plaintext, for the phone that has the key."""
        expect(len(self.wrapped) * 8 == key.key_size, "wrapped for a key of another size")
        try:
            content_key = key.decrypt(self.wrapped, padding.PKCS1v15())
        except ValueError:
            raise Refused("the key does not unwrap") from None
        expect(len(content_key) == 16, "the content key's size")
        decryptor = ciphers.Cipher(ciphers.algorithms.AES(content_key), ciphers.modes.CBC(self.iv)).decryptor()
        padded = decryptor.update(self.body) + decryptor.finalize()
        plain, pad = padded[:-self.pad], padded[-self.pad:]
        expect(set(pad) == {13}, "the padding")
        digest = hashlib.new(DIGESTS[self.plain_code][0], plain).digest()
        expect(digest == self.plain_digest, "the digest of the plaintext")
        return plain


class Record:
    def __init__(self, octets):
        values = once(octets, range(2, 11), all_of_them=False)
        expect(4 in values, "a record without a role")
        code = number(values[4], 2)
        expect(code in ROLES, f"role {code}")
        self.role = ROLES[code]
        self.order = [tag for tag, _ in Stream(octets).elements()]
        self.dns = text(values[2]) if 2 in values else None
        self.address = ".".join(map(str, values[10])) if 10 in values else None
        expect(10 not in values or len(values[10]) == 4, "an address of another size")
        self.certificate = None
        if 9 in values:
            try:
                self._certificate(values)
            except Refused:
                raise
            except Exception as error:  # the library has many ways to say it: ValueError, KeyError, InvalidVersion, …
                raise Refused("the certificate is none") from error
        else:
            expect(not set(values) & {3, 5, 6, 7, 8}, "a record without its certificate")

    def _certificate(self, values):
        certificate = x509.load_der_x509_certificate(values[9])
        expect(certificate.public_bytes(serialization.Encoding.DER) == values[9], "octets behind a certificate")
        expect({3, 5, 6, 7} <= set(values), "a record lacks an element")
        expect(text(values[3]) in spellings(certificate.subject), "another subject")
        expect(text(values[5]) in spellings(certificate.issuer), "another issuer")
        expect(values[6] == serial_of(certificate), "another serial number")
        expect(values[7] == key_of(certificate), "another public key")
        expect(values.get(8, certificate.signature) == certificate.signature, "another signature")
        self.certificate = certificate


class TrustList:
    """A trust list of this name, with all that it can show by itself."""

    def __init__(self, octets, name):
        expect(len(octets) < 65536, "larger than phones take")
        self.file = File(octets)
        expect(self.file.kind == "list", "no trust list")
        expect(name in LIST_NAMES, f"no list is called {name}")
        self.records = []
        body = Stream(self.file.body)
        while body.left():
            tag, length = body.element()
            expect(tag == 1, "no record begins there")
            size = number(length, 2)
            expect(size >= 5, "a record of no size")
            self.records.append(Record(body.octets(size - 5)))
        signers = [record for record in self.records if record.role == "SAST"]
        expect(1 <= len(signers) <= 2, f"{len(signers)} SAST")
        expect(all(record.certificate for record in signers), "a SAST without a certificate")
        own = [record.certificate for record in signers if serial_of(record.certificate) == self.file.serial]
        expect(own, "the signer is no SAST")
        self.signer = own[0]
        self.file.verify(self.signer, name)

    def follows(self, present):
        """Whether a phone that has the other list takes this one."""
        return any(record.role == "SAST" and record.certificate == self.signer for record in present.records)


def serial_of(certificate):
    serial = certificate.serial_number
    return serial.to_bytes(max(1, (serial.bit_length() + 7) // 8), "big")


def key_of(certificate):
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)


def escaped(value):
    value = "".join("\\" + c if c in '\\",+;<>' else c for c in value)
    if value[:1] in (" ", "#"):
        value = "\\" + value
    return value[:-1] + "\\ " if value.endswith(" ") and len(value) > 1 and value[-2] != "\\" else value


def spellings(name):
    """The texts by which a file may call this name."""
    parts = ["+".join(f"{SHORT_NAMES.get(each.oid.dotted_string, each.oid.dotted_string)}={escaped(each.value)}"
                      for each in part) for part in name.rdns]
    return {";".join(parts), ",".join(parts), ",".join(reversed(parts))}


def certificate_hash(certificate):
    """certHash of a stub."""
    return hashlib.md5(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


def read(octets, name, signer=None, key=None):
    """@return the content: of a list its records, of an encrypted file the plaintext where there is a key"""
    file = File(octets)
    if file.kind == "list":
        return TrustList(octets, name).records
    file.verify(signer, name)
    if file.kind == "signed":
        return file.body
    return file.decrypt(key) if key else None


def load_certificate(path):
    with open(path, "rb") as file:
        return x509.load_pem_x509_certificate(file.read())


def load_key(path):
    with open(path, "rb") as file:
        return serialization.load_pem_private_key(file.read(), None)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--name")
    parser.add_argument("--signer", type=load_certificate)
    parser.add_argument("--key", type=load_key)
    given = parser.parse_args()
    with open(given.file, "rb") as file:
        octets = file.read()
    try:
        content = read(octets, given.name or given.file.rsplit("/", 1)[-1], given.signer, given.key)
    except Refused as refusal:
        sys.exit(f"refused: {refusal}")
    if isinstance(content, bytes):
        sys.stdout.buffer.write(content)
    else:
        for record in content or []:
            print(record.role, record.certificate.subject.rfc4514_string() if record.certificate else "-")


if __name__ == "__main__":
    main()
