"""The rules for answers of OCSP."""

import datetime
import functools
import hashlib

from cryptography.x509 import ocsp

from lint import common, der
from lint.certificate import RESPONDER, Certificate
from lint.common import Extensions, child
from lint.crl import REASONS, REMOVE, UNSPECIFIED
from lint.rule import OCSP, rule as _rule

rule = _rule(OCSP)

BASIC = "1.3.6.1.5.5.7.48.1.1"
GOOD, REVOKED, UNKNOWN = 0x80, 0xA1, 0x82
ERRORS = (1, 2, 3, 5, 6)
HASHES = {"1.3.14.3.2.26": "sha1", "2.16.840.1.101.3.4.2.1": "sha256"}
_WHOLE = datetime.timedelta(days=1)


class Single:
    """What is said of one certificate."""

    def __init__(self, element):
        self.id, status = element[0], element[1]
        self.status, self.this_update = status.tag, common.time_of(element[2])
        self.revoked_at = common.time_of(status[0]) if status.tag == REVOKED else None
        reason = child(status, 0xA0) if status.tag == REVOKED else None
        self.reason = None if reason is None else common.integer(reason[0])
        rest = {one.tag: one[0] for one in element.children[3:]}
        self.next_update = common.time_of(rest[0xA0]) if 0xA0 in rest else None
        self.extensions = Extensions(rest.get(0xA1))


class Answer:
    """An answer, the certificate of the issuer that was asked about, and the request. Raises ValueError where it has not
    the shape of one. An error has no `singles`."""

    def __init__(self, octets, above, request=None):
        self.octets, self.above = octets, above
        self.faults = []
        self.tree = der.read(octets, self.faults)
        self.state = common.integer(self.tree[0])
        self.body = self.tree[1][0] if len(self.tree.children) > 1 else None
        self.asked, self.asked_nonce = ([], None) if request is None else read_request(request)
        self.singles, self.certificates, self.responder = [], [], None
        if self.body is not None:
            self.read_body()

    def read_body(self):
        self.type = der.oid_text(self.body[0].content)
        basic = der.read(self.body[1].content)
        self.data, self.algorithm, signature = basic.children[:3]
        self.signature = signature.content
        fields = list(self.data.children)
        self.version = fields.pop(0) if fields[0].tag == 0xA0 else None
        self.responder_id, produced_at, singles = fields[:3]
        self.produced_at = common.time_of(produced_at)
        self.singles = [Single(element) for element in singles.children]
        self.extensions = Extensions(fields[3][0] if len(fields) > 3 else None)
        if len(basic.children) > 3:
            self.certificates = [Certificate(one.encode(), RESPONDER, self.above) for one in basic[3][0].children]
        self.responder = next((one for one in self.certificates if self.names(one)), None)

    def names(self, certificate):
        """Whether the responder's identifier is this certificate's."""
        if self.responder_id.tag == 0xA2:  # the SHA-1 of the key without tag, length and unused bits
            digest = hashlib.sha1(certificate.key[1].content[1:]).digest()
            return self.responder_id[0].content == digest
        return self.responder_id[0].encode() == certificate.subject.encode()

    @property
    def nonce(self):
        found = self.extensions.find(common.NONCE) if self.body is not None else None
        return None if found is None else found.octets

    def single_fault(self, judge):
        for single in self.singles:
            words = judge(single)
            if words:
                return f"serial {single.id[3].content.hex()}: {words}"


def read_request(octets):
    """@return what was asked about, each a CertID in DER, and the nonce as it stands in its extension, or nothing"""
    fields = list(der.read(octets)[0].children)
    while fields[0].tag != der.SEQUENCE:
        del fields[0]  # version, requestorName
    nonce = Extensions(fields[1][0]).find(common.NONCE) if len(fields) > 1 else None
    return [one[0].encode() for one in fields[0].children], None if nonce is None else nonce.octets


def answered(check):
    """For rules that errors have nothing to do with."""
    @functools.wraps(check)
    def wrapped(answer):
        return check(answer) if answer.body is not None else None
    return wrapped


@rule
def is_der(a):
    """RFC 6960 4.2.1: the answer is DER."""
    return "; ".join(a.faults)


@rule
def others_read_it(a):
    """RFC 6960 4.2.1: a library reads it and everything in it."""
    return common.read_by_library(lambda: a.state == 0 and ocsp.load_der_ocsp_response(a.octets).extensions)


@rule
def state_is_known(a):
    """RFC 6960 4.2.1: the status is successful or one of the errors, of which 4 is not used."""
    return a.state != 0 and a.state not in ERRORS


@rule
def errors_say_no_more(a):
    """RFC 6960 4.2.1: an error has no responseBytes; a success has them."""
    return (a.state == 0) != (a.body is not None)


@rule
@answered
def type_is_basic(a):
    """RFC 6960 4.2.1: the answer is a BasicOCSPResponse."""
    return a.type != BASIC


@rule
@answered
def version_is_not_written(a):
    """RFC 6960 4.2.1 (X.690 11.5): version 1 is the default and not written."""
    return a.version is not None


@rule
@answered
def responder_is_with_it(a):
    """RFC 6960 4.2.1, RFC 5019 2.2.2: the responder's certificate stands in it and is what the identifier names."""
    return a.responder is None


@rule
@answered
def algorithm_parameters(a):
    """RFC 4055 5, RFC 5758 3.2: RSA's AlgorithmIdentifier has NULL as its parameters, ECDSA's has none."""
    return common.parameters_fault(a.algorithm)


@rule
@answered
def hash_is_strong(a):
    """Ours: nothing is signed with SHA-1."""
    return common.hash_fault(a.algorithm)


@rule
@answered
def signature_form(a):
    """RFC 6960 4.2.1, RFC 3279 2.2.3: the signature has whole octets, and ECDSA's is two positive numbers in DER."""
    return common.signature_form_fault(a.algorithm, a.signature)


@rule
@answered
def signature_is_right(a):
    """RFC 6960 3.2 (2): the responder's key has signed it."""
    key = (a.responder or a.above).key.encode()
    return common.signature_fault(a.data.encode(), a.algorithm, a.signature, key)


@rule
@answered
def responder_was_valid(a):
    """RFC 6960 4.2.2.2: the responder's certificate was valid when the answer was made."""
    if a.responder is not None:
        return not common.when(a.responder.not_before) <= common.when(a.produced_at) <= common.when(a.responder.not_after)


@rule
@answered
def time_form(a):
    """RFC 6960 4.2.1, RFC 5280 4.1.2.5.2: times are GeneralizedTime in Z, with seconds and without fractions."""
    times = [a.produced_at] + [time for single in a.singles for time in (
        single.this_update, single.next_update, single.revoked_at) if time is not None]
    return next((words for words in map(common.form_fault, times) if words), None)


@rule
@answered
def next_update_is_there(a):
    """RFC 5019 2.2.4: nextUpdate is there."""
    return a.single_fault(lambda single: single.next_update is None and "no nextUpdate")


@rule
@answered
def times_in_order(a):
    """RFC 6960 4.2.2.1: nextUpdate is after thisUpdate."""
    return a.single_fault(lambda single: single.next_update is not None and
                          common.when(single.this_update) >= common.when(single.next_update) and "not in order")


@rule
@answered
def produced_when_it_was_known(a):
    """RFC 6960 2.4: an answer is not produced before what it says is known to be right."""
    return a.single_fault(lambda single: common.when(single.this_update) > common.when(a.produced_at) and "from later")


@rule
@answered
def something_is_said(a):
    """RFC 6960 4.2.1: the answer is about at least one certificate."""
    return not a.singles


@rule
@answered
def what_was_asked_is_answered(a):
    """RFC 6960 3.2 (1), RFC 5019 2.2.1: the certificates of the answer are those of the request, in its order."""
    return bool(a.asked) and a.asked != [single.id.encode() for single in a.singles]


@rule
@answered
def the_issuer_is_the_one_above(a):
    """RFC 6960 4.1.1: the hashes in a CertID are those of the issuer's name and key."""
    def fault(single):
        digest = HASHES.get(der.oid_text(single.id[0][0].content))
        if digest is None:
            return "an unknown hash"
        wanted = [hashlib.new(digest, octets).digest() for octets in (a.above.subject.encode(), a.above.key[1].content[1:])]
        return [single.id[1].content, single.id[2].content] != wanted and "another issuer"
    return a.single_fault(fault)


@rule
@answered
def reason_is_known(a):
    """RFC 6960 4.2.1, RFC 5280 5.3.1: a reason is 0 to 6, 9 or 10."""
    return a.single_fault(lambda single: single.reason is not None and
                          single.reason not in REASONS - {REMOVE} and f"{single.reason}")


@rule
@answered
def reason_is_said_or_absent(a):
    """RFC 5280 5.3.1: instead of unspecified (0) there is no reason."""
    return a.single_fault(lambda single: single.reason == UNSPECIFIED and "unspecified")


@rule
@answered
def revoked_before_it_was_said(a):
    """RFC 6960 4.2.1: a certificate was revoked by the time at which it is said to be."""
    return a.single_fault(lambda single: single.revoked_at is not None and
                          common.when(single.revoked_at) > common.when(single.this_update) and "revoked later")


@rule
@answered
def nonce_is_the_requests(a):
    """RFC 9654 2.1: a nonce in the answer is the request's; ours answers each nonce, and none where none was asked."""
    return a.nonce != a.asked_nonce


@rule
@answered
def nonce_form(a):
    """RFC 9654 2.1: a nonce is an OCTET STRING of 1 to 128 octets."""
    if a.nonce is not None:
        value = der.read(a.nonce)
        return value.tag != der.OCTET_STRING or not 1 <= len(value.content) <= 128


@rule
@answered
def extensions_are_unique(a):
    """RFC 6960 4.4: no extension is there twice."""
    return a.extensions.duplicates() or a.single_fault(lambda single: single.extensions.duplicates())


@rule
@answered
def extensions_are_not_critical(a):
    """RFC 6960 4.4: extensions should not be critical, and are not written so by default."""
    for extensions in (a.extensions, *(single.extensions for single in a.singles)):
        words = extensions.critical_unknown(()) or extensions.default_written()
        if words:
            return words


@rule
@answered
def answers_do_not_last(a):
    """Ours: an answer is for a day at most."""
    return a.single_fault(lambda single: single.next_update is not None and common.when(single.next_update) -
                          common.when(single.this_update) > _WHOLE and "it is kept for too long")
