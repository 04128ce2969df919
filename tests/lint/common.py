"""What certificates, CRLs and OCSP answers have in common: names, times, signatures, extensions."""

import datetime
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding

from lint import der

RSA_KEY, EC_KEY = "1.2.840.113549.1.1.1", "1.2.840.10045.2.1"
# signature algorithm: of which key, hash. RFC 8017 A.2.4, RFC 5758 3.2
SIGNATURES = {
    "1.2.840.113549.1.1.5": (RSA_KEY, hashes.SHA1), "1.2.840.113549.1.1.11": (RSA_KEY, hashes.SHA256),
    "1.2.840.113549.1.1.12": (RSA_KEY, hashes.SHA384), "1.2.840.113549.1.1.13": (RSA_KEY, hashes.SHA512),
    "1.2.840.10045.4.1": (EC_KEY, hashes.SHA1), "1.2.840.10045.4.3.2": (EC_KEY, hashes.SHA256),
    "1.2.840.10045.4.3.3": (EC_KEY, hashes.SHA384), "1.2.840.10045.4.3.4": (EC_KEY, hashes.SHA512),
}

# RFC 5280 appendix A.1: the strings that an attribute may be written in, and its upper bound
_DIRECTORY = (der.PRINTABLE, der.UTF8)
ATTRIBUTES = {
    "2.5.4.3": (_DIRECTORY, 64), "2.5.4.4": (_DIRECTORY, 32768), "2.5.4.42": (_DIRECTORY, 32768),
    "2.5.4.5": ((der.PRINTABLE,), 64), "2.5.4.6": ((der.PRINTABLE,), 2), "2.5.4.7": (_DIRECTORY, 128),
    "2.5.4.8": (_DIRECTORY, 128), "2.5.4.10": (_DIRECTORY, 64), "2.5.4.11": (_DIRECTORY, 64),
    "2.5.4.12": (_DIRECTORY, 64), "2.5.4.46": ((der.PRINTABLE,), 32768), "2.5.4.65": (_DIRECTORY, 128),
    "0.9.2342.19200300.100.1.25": ((der.IA5,), 63), "1.2.840.113549.1.9.1": ((der.IA5,), 255),
}
COUNTRY = "2.5.4.6"


def read_by_library(read):
    """What python3-cryptography (its own strict parser, and OpenSSL) has against an object."""
    try:
        read()
    except Exception as error:  # for any reason of the library's
        return f"{type(error).__name__}: {error}"


# Names

def attributes(name):
    """[(type, tag, octets)] of an encoded Name."""
    return [(der.oid_text(pair[0].content), pair[1].tag, pair[1].content)
            for rdn in der.read(name).children for pair in rdn.children]


def string_type_fault(name):
    for kind, tag, _ in attributes(name):
        accepted, _ = ATTRIBUTES.get(kind, (_DIRECTORY + (der.IA5,), None))
        if tag not in accepted:
            return f"{kind} is a string of tag {tag:#04x}"


def string_length_fault(name):
    for kind, tag, octets in attributes(name):
        size = len(octets.decode("utf-8", "replace")) if tag == der.UTF8 else len(octets)
        longest = ATTRIBUTES.get(kind, (None, 32768))[1]
        if not 1 <= size <= longest:
            return f"{kind} has {size} characters, not 1 to {longest}"


def string_content_fault(name):
    for kind, tag, octets in attributes(name):
        if tag == der.PRINTABLE and not re.fullmatch(rb"[A-Za-z0-9 '()+,\-./:=?]*", octets):
            return f"{kind} is no PrintableString"
        if tag == der.IA5 and any(octet >= 0x80 for octet in octets):
            return f"{kind} is no IA5String"
        if tag == der.UTF8:
            try:
                if any(ord(letter) < 0x20 or ord(letter) == 0x7F for letter in octets.decode()):
                    return f"{kind} has a control character"
            except UnicodeDecodeError:
                return f"{kind} is no UTF-8"


def country_fault(name):
    for kind, _, octets in attributes(name):
        if kind == COUNTRY and not re.fullmatch(rb"[A-Z]{2}", octets):
            return f"a country is {octets!r}"


def empty_rdn(name):
    return any(not rdn.children for rdn in der.read(name).children)


# Times, as (tag, octets)

def form_fault(time):
    """RFC 5280 4.1.2.5.1, 4.1.2.5.2"""
    tag, octets = time
    if not re.fullmatch(rb"\d{12}Z" if tag == der.UTC_TIME else rb"\d{14}Z", octets):
        return f"a time is written {octets!r}"
    if when(time) is None:
        return f"there is no such time: {octets!r}"


def choice_fault(time):
    """RFC 5280 4.1.2.5"""
    tag, octets = time
    if tag == der.GENERALIZED_TIME and octets[:4] < b"2050":
        return f"GeneralizedTime for the year {octets[:4].decode()}"


def when(time):
    """The moment; nothing where it is written badly."""
    tag, octets = time
    text = octets.decode("ascii", "replace")
    if tag == der.UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    try:
        return datetime.datetime.strptime(text, "%Y%m%d%H%M%SZ")
    except ValueError:
        return None


def time_of(element):
    return element.tag, element.content


# Signatures

def public_key(spki):
    try:
        return serialization.load_der_public_key(spki)
    except Exception:  # for any reason of the library's
        return None


def algorithm_of(element):
    return der.oid_text(element[0].content)


def parameters_fault(algorithm):
    """RFC 4055 5 (NULL for RSA), RFC 5758 3.2 (absent for ECDSA)"""
    known = SIGNATURES.get(algorithm_of(algorithm))
    if known is None:
        return f"an unknown signature algorithm {algorithm_of(algorithm)}"
    rest = [child.encode() for child in algorithm.children[1:]]
    if rest != ([b"\x05\x00"] if known[0] == RSA_KEY else []):
        return "the parameters of the signature algorithm"


def hash_fault(algorithm):
    known = SIGNATURES.get(algorithm_of(algorithm))
    if known is not None and known[1] is hashes.SHA1:
        return "signed with SHA-1"


def signature_fault(signed, algorithm, signature, spki):
    """@param signature content of the BIT STRING"""
    key = public_key(spki)
    known = SIGNATURES.get(algorithm_of(algorithm))
    if key is None or known is None:
        return "the key or the algorithm cannot be read"
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature[1:], signed, ec.ECDSA(known[1]()))
        else:
            key.verify(signature[1:], signed, padding.PKCS1v15(), known[1]())
    except (InvalidSignature, ValueError, TypeError):
        return "the signature is wrong"


def signature_form_fault(algorithm, signature):
    """RFC 5280 4.1.1.3 (whole octets), RFC 3279 2.2.3 (ECDSA: a SEQUENCE of two positive INTEGERs, in DER)"""
    if signature[:1] != b"\0":
        return "the signature has unused bits"
    known = SIGNATURES.get(algorithm_of(algorithm))
    if known is None or known[0] != EC_KEY:
        return None
    faults = []
    try:
        numbers = der.read(signature[1:], faults)
    except der.Broken as broken:
        return str(broken)
    if faults:
        return faults[0]
    if numbers.tag != der.SEQUENCE or [number.tag for number in numbers.children] != [der.INTEGER] * 2 or any(
            not number.content.strip(b"\0") or number.content[0] >= 0x80 for number in numbers.children):
        return "not two positive numbers"


# Extensions

class Extension:
    def __init__(self, element):
        self.oid = der.oid_text(element[0].content)
        self.critical_written = element[1].content if element[1].tag == der.BOOLEAN else None
        self.critical = self.critical_written not in (None, b"\0")
        self.octets = element[-1].content
        self.tree = der.read(self.octets)


class Extensions:
    """A list of extensions; the first of each kind counts."""

    def __init__(self, sequence=None):
        self.all = [Extension(element) for element in sequence.children] if sequence is not None else []

    def find(self, oid):
        return next((extension for extension in self.all if extension.oid == oid), None)

    def critical(self, oid):
        """Nothing where it is not there."""
        found = self.find(oid)
        return None if found is None else found.critical

    def duplicates(self):
        oids = [extension.oid for extension in self.all]
        return next((f"{oid} is there twice" for oid in oids if oids.count(oid) > 1), None)

    def default_written(self):
        return next((f"{extension.oid}: critical FALSE is written" for extension in self.all
                     if extension.critical_written == b"\0"), None)

    def critical_unknown(self, known):
        return next((f"{extension.oid} is critical" for extension in self.all
                     if extension.critical and extension.oid not in known), None)


AUTHORITY_KEY, SUBJECT_KEY, KEY_USAGE, BASIC, PURPOSES = "2.5.29.35", "2.5.29.14", "2.5.29.15", "2.5.29.19", "2.5.29.37"
POLICIES, MAPPINGS, ALTERNATIVE, ISSUER_ALTERNATIVE = "2.5.29.32", "2.5.29.33", "2.5.29.17", "2.5.29.18"
DIRECTORY, NAME_CONSTRAINTS, POLICY_CONSTRAINTS, ANY_POLICY = "2.5.29.9", "2.5.29.30", "2.5.29.36", "2.5.29.54"
POINTS, FRESHEST, AUTHORITY_ACCESS = "2.5.29.31", "2.5.29.46", "1.3.6.1.5.5.7.1.1"
SUBJECT_ACCESS, NO_CHECK = "1.3.6.1.5.5.7.1.11", "1.3.6.1.5.5.7.48.1.5"
CRL_NUMBER, DELTA, ISSUING_POINT = "2.5.29.20", "2.5.29.27", "2.5.29.28"
REASON, INVALIDITY, CERTIFICATE_ISSUER = "2.5.29.21", "2.5.29.24", "2.5.29.29"
NONCE = "1.3.6.1.5.5.7.48.1.2"


def child(element, tag):
    """The first child with that tag, or nothing."""
    return next((one for one in element.children or () if one.tag == tag), None)


def integer(element):
    return int.from_bytes(element.content, "big", signed=True)


def serial_fault(content):
    if content[0] >= 0x80 or not content.strip(b"\0"):
        return "it is not positive"


def long_serial_fault(content):
    if len(content) > 20:
        return f"it has {len(content)} octets"
