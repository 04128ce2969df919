"""The rules for CRLs. Ours are full and direct: every revoked certificate of the shard, signed by its issuer."""


from cryptography import x509

from lint import common, der
from lint.certificate import CRL_SIGN, URI
from lint.common import Extensions, child
from lint.rule import CRL, rule as _rule

rule = _rule(CRL)

UNSPECIFIED, REMOVE = 0, 8
REASONS = {0, 1, 2, 3, 4, 5, 6, 8, 9, 10}


class Entry:
    def __init__(self, element):
        self.serial = element[0].content
        self.date = common.time_of(element[1])
        self.extension_list = element[2] if len(element.children) > 2 else None
        self.extensions = Extensions(self.extension_list)

    @property
    def reason(self):
        found = self.extensions.find(common.REASON)
        return None if found is None else common.integer(found.tree)


class Crl:
    """A CRL, its issuer's certificate, and where there are such: the CRL before it, and the addresses that the
    certificates of its shard say that it is at. Raises ValueError where it has not the shape of one."""

    def __init__(self, octets, above, previous=None, urls=()):
        self.octets, self.above, self.previous, self.urls = octets, above, previous, set(urls)
        self.faults = []
        self.tree = der.read(octets, self.faults)
        self.tbs, self.algorithm, signature = self.tree.children
        self.signature = signature.content
        fields = list(self.tbs.children)
        self.version = fields.pop(0) if fields[0].tag == der.INTEGER else None
        self.inner_algorithm, self.issuer, this_update = fields[:3]
        del fields[:3]
        self.this_update = common.time_of(this_update)
        timed = bool(fields) and fields[0].tag in (der.UTC_TIME, der.GENERALIZED_TIME)
        self.next_update = common.time_of(fields.pop(0)) if timed else None
        self.entry_list = fields.pop(0) if fields and fields[0].tag == der.SEQUENCE else None
        self.entries = [Entry(element) for element in self.entry_list.children] if self.entry_list is not None else []
        self.extensions = Extensions(fields[0][0] if fields else None)

    @property
    def number(self):
        found = self.extensions.find(common.CRL_NUMBER)
        return None if found is None else common.integer(found.tree)

    @property
    def point(self):
        found = self.extensions.find(common.ISSUING_POINT)
        return None if found is None else found.tree

    def only(self, tag):
        """Whether that BOOLEAN of the issuing distribution point is there."""
        return self.point is not None and child(self.point, tag) is not None

    def entry_fault(self, judge):
        for entry in self.entries:
            words = judge(entry)
            if words:
                return f"serial {entry.serial.hex()}: {words}"


@rule
def is_der(c):
    """RFC 5280 5.1: the CRL is DER."""
    return "; ".join(c.faults)


@rule
def others_read_it(c):
    """RFC 5280 5.1: a library reads it and everything in it."""
    def read():
        crl = x509.load_der_x509_crl(c.octets)
        return crl.extensions, [entry.extensions for entry in crl]
    return common.read_by_library(read)


@rule
def algorithms_agree(c):
    """RFC 5280 5.1.1.2: signatureAlgorithm is what stands in the signature field of tbsCertList."""
    return c.algorithm.encode() != c.inner_algorithm.encode()


@rule
def algorithm_parameters(c):
    """RFC 4055 5, RFC 5758 3.2: RSA's AlgorithmIdentifier has NULL as its parameters, ECDSA's has none."""
    return common.parameters_fault(c.algorithm)


@rule
def hash_is_strong(c):
    """Ours: nothing is signed with SHA-1."""
    return common.hash_fault(c.algorithm)


@rule
def signature_form(c):
    """RFC 5280 5.1.1.3, RFC 3279 2.2.3: the signature has whole octets, and ECDSA's is two positive numbers in DER."""
    return common.signature_form_fault(c.algorithm, c.signature)


@rule
def signature_is_right(c):
    """RFC 5280 6.3.3 (g): the issuer's key has signed it."""
    return common.signature_fault(c.tbs.encode(), c.algorithm, c.signature, c.above.key.encode())


@rule
def version_is_2(c):
    """RFC 5280 5.1.2.1: a CRL with extensions is of version 2."""
    return c.version is None or c.version.content != b"\x01"


@rule
def issuer_is_the_one_above(c):
    """RFC 5280 5.1.2.3, 6.3.3 (b): the issuer's name is the subject of its certificate, octet for octet; not empty."""
    return not c.issuer.children or c.issuer.encode() != c.above.subject.encode()


@rule
def issuer_may_sign_crls(c):
    """RFC 5280 4.2.1.3, 6.3.3 (f): the issuer's certificate has cRLSign."""
    return c.above.usage is not None and CRL_SIGN not in c.above.usage


@rule
def time_form(c):
    """RFC 5280 5.1.2.4, 5.1.2.5: times are in Z, with seconds and without fractions."""
    return common.form_fault(c.this_update) or (c.next_update and common.form_fault(c.next_update))


@rule
def time_choice(c):
    """RFC 5280 5.1.2.4, 5.1.2.5: until 2049 UTCTime, from 2050 on GeneralizedTime."""
    return common.choice_fault(c.this_update) or (c.next_update and common.choice_fault(c.next_update))


@rule
def next_update_is_there(c):
    """RFC 5280 5.1.2.5: nextUpdate is there."""
    return c.next_update is None


@rule
def times_in_order(c):
    """RFC 5280 5.1.2.5: nextUpdate is after thisUpdate."""
    return c.next_update is not None and common.when(c.this_update) >= common.when(c.next_update)


@rule
def no_empty_list(c):
    """RFC 5280 5.1.2.6: without a revoked certificate there is no list."""
    return c.entry_list is not None and not c.entries


@rule
def serials_are_positive(c):
    """RFC 5280 5.1.2.6, 4.1.2.2: the serial numbers are positive."""
    return c.entry_fault(lambda entry: common.serial_fault(entry.serial))


@rule
def serials_are_short(c):
    """RFC 5280 5.1.2.6, 4.1.2.2: the serial numbers have at most 20 octets."""
    return c.entry_fault(lambda entry: common.long_serial_fault(entry.serial))


@rule
def serials_are_unique(c):
    """RFC 5280 5: in a CRL of one issuer a certificate has one entry."""
    return len({entry.serial for entry in c.entries}) != len(c.entries)


@rule
def entry_time_form(c):
    """RFC 5280 5.1.2.6: revocation dates are in Z, with seconds and without fractions."""
    return c.entry_fault(lambda entry: common.form_fault(entry.date))


@rule
def entry_time_choice(c):
    """RFC 5280 5.1.2.6, 5.1.2.4: until 2049 UTCTime, from 2050 on GeneralizedTime."""
    return c.entry_fault(lambda entry: common.choice_fault(entry.date))


@rule
def revoked_before_it_was_said(c):
    """Ours: no revocation date is later than thisUpdate."""
    return c.entry_fault(lambda entry: common.when(entry.date) > common.when(c.this_update) and "revoked later")


@rule
def entry_extensions_are_there(c):
    """RFC 5280 5.1: a list of extensions of an entry has at least one."""
    return c.entry_fault(lambda entry: entry.extension_list is not None and not entry.extensions.all and "none")


@rule
def entry_extensions_are_unique(c):
    """RFC 5280 5.3: no extension of an entry is there twice."""
    return c.entry_fault(lambda entry: entry.extensions.duplicates())


@rule
def entry_extensions_are_not_critical(c):
    """RFC 5280 5.3.1, 5.3.2: reason and invalidity date are not critical, and nothing unknown is."""
    return c.entry_fault(lambda entry: entry.extensions.critical_unknown((common.CERTIFICATE_ISSUER,)))


@rule
def reason_is_said_or_absent(c):
    """RFC 5280 5.3.1: instead of unspecified (0) there is no reason."""
    return c.entry_fault(lambda entry: entry.reason == UNSPECIFIED and "unspecified")


@rule
def reason_is_known(c):
    """RFC 5280 5.3.1: a reason is 0 to 6 or 8 to 10."""
    return c.entry_fault(lambda entry: entry.reason is not None and entry.reason not in REASONS and f"{entry.reason}")


@rule
def nothing_is_removed(c):
    """RFC 5280 5.3.1: removeFromCRL stands in delta CRLs only."""
    return c.entry_fault(lambda entry: entry.reason == REMOVE and "removeFromCRL")


@rule
def invalidity_date_form(c):
    """RFC 5280 5.3.2: an invalidity date is a GeneralizedTime in Z, with seconds and without fractions."""
    def fault(entry):
        found = entry.extensions.find(common.INVALIDITY)
        if found is not None:
            return (found.tree.tag != der.GENERALIZED_TIME and "no GeneralizedTime") or common.form_fault(
                common.time_of(found.tree))
    return c.entry_fault(fault)


@rule
def entries_are_the_issuers(c):
    """RFC 5280 5.3.3: a CRL that is not indirect has no certificateIssuer."""
    return c.entry_fault(lambda entry: entry.extensions.find(common.CERTIFICATE_ISSUER) and "certificateIssuer")


@rule
def extensions_are_unique(c):
    """RFC 5280 5.2: no extension is there twice."""
    return c.extensions.duplicates()


@rule
def critical_is_not_written_where_false(c):
    """RFC 5280 5.1 (X.690 11.5): critical is not written where it is FALSE."""
    return c.extensions.default_written() or c.entry_fault(lambda entry: entry.extensions.default_written())


@rule
def critical_is_known(c):
    """RFC 5280 5.2: only the issuing distribution point is critical (and a delta's indicator)."""
    return c.extensions.critical_unknown((common.ISSUING_POINT, common.DELTA))


@rule
def authority_key_is_the_one_above(c):
    """RFC 5280 5.2.1: there is an authority key identifier, and it is the issuer's subject key identifier."""
    found = c.extensions.find(common.AUTHORITY_KEY)
    identifier = child(found.tree, 0x80) if found is not None else None
    return identifier is None or identifier.content != c.above.subject_key_id


@rule
def number_is_there(c):
    """RFC 5280 5.2.3: there is a CRL number, not negative."""
    return c.number is None or c.number < 0


@rule
def number_is_short(c):
    """RFC 5280 5.2.3: the CRL number has at most 20 octets."""
    found = c.extensions.find(common.CRL_NUMBER)
    return found is not None and common.long_serial_fault(found.tree.content)


@rule
def number_ascends(c):
    """RFC 5280 5.2.3: the number is greater than that of the CRL before."""
    return c.previous is not None and c.previous.number is not None and not c.number > c.previous.number


@rule
def time_ascends(c):
    """RFC 5280 5.2.3: a CRL with a greater number is not older than the one before."""
    return c.previous is not None and common.when(c.this_update) < common.when(c.previous.this_update)


@rule
def it_is_whole(c):
    """RFC 5280 5.2.4: a full CRL has no delta CRL indicator."""
    return c.extensions.find(common.DELTA) is not None


@rule
def point_is_critical(c):
    """RFC 5280 5.2.5: an issuing distribution point is critical."""
    return c.extensions.critical(common.ISSUING_POINT) is False


@rule
def point_is_not_empty(c):
    """RFC 5280 5.2.5: an issuing distribution point is no empty SEQUENCE."""
    return c.point is not None and not c.point.children


@rule
def point_writes_no_false(c):
    """RFC 5280 5.2.5 (X.690 11.5): what is FALSE by default is not written."""
    return c.point is not None and any(one.tag in (0x81, 0x82, 0x84, 0x85) and one.content == b"\0"
                                       for one in c.point.children)


@rule
def point_covers_one_kind(c):
    """RFC 5280 5.2.5: at most one of onlyContainsUserCerts, onlyContainsCACerts and onlyContainsAttributeCerts, and not
    the last."""
    return self_contradicting(c) or c.only(0x85)


def self_contradicting(c):
    return c.only(0x81) and c.only(0x82)


@rule
def point_covers_all_reasons(c):
    """RFC 5280 5.2.5: a complete CRL is not for some reasons only, and ours is not indirect."""
    return c.only(0x83) or c.only(0x84)


@rule
def point_is_the_certificates(c):
    """RFC 5280 6.3.3 (b)(2)(i): the place in the issuing distribution point is one that the certificates name."""
    place = child(c.point, 0xA0) if c.point is not None else None
    names = child(place, 0xA0) if place is not None else None
    if names is not None and c.urls:
        return not c.urls & {name.content.decode("ascii", "replace") for name in names.children if name.tag == URI}
