"""The rules for certificates."""

import re

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from lint import common, der
from lint.common import Extensions, child
from lint.rule import CERTIFICATE, rule as _rule

# The purposes of the site's certificates.
LSC, ISSUER, ABOVE, RESPONDER, WIRE, SERVER, ADMINISTRATOR, SITE_CA = (
    "LSC", "issuer", "above an issuer", "OCSP responder", "wire", "server", "administrator", "site CA")
AUTHORITIES = (ISSUER, ABOVE, SITE_CA)

SERVER_AUTH, CLIENT_AUTH, IPSEC, OCSP_SIGNING, ANY_PURPOSE = (
    "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.5", "1.3.6.1.5.5.7.3.9", "2.5.29.37.0")
OCSP_ACCESS, ISSUERS_ACCESS = "1.3.6.1.5.5.7.48.1", "1.3.6.1.5.5.7.48.2"
CURVES = {"1.2.840.10045.3.1.7": 32, "1.3.132.0.34": 48, "1.3.132.0.35": 66}
(DIGITAL_SIGNATURE, NON_REPUDIATION, KEY_ENCIPHERMENT, DATA_ENCIPHERMENT, KEY_AGREEMENT, CERT_SIGN, CRL_SIGN,
 ENCIPHER_ONLY, DECIPHER_ONLY) = range(9)
DNS_NAME, URI, ADDRESS = 0x82, 0x86, 0x87
LARGEST_LSC = 2048

rule = _rule(CERTIFICATE)


class Certificate:
    """A certificate and its issuer's. Raises ValueError where it has not the shape of one."""

    def __init__(self, octets, role, above=None):
        self.octets, self.role = octets, role
        self.faults = []
        self.tree = der.read(octets, self.faults)
        self.tbs, self.algorithm, signature = self.tree.children
        self.signature = signature.content
        fields = list(self.tbs.children)
        self.version = der.read(fields.pop(0).content) if fields[0].tag == 0xA0 else None
        (self.serial, self.inner_algorithm, self.issuer, validity, self.subject, self.key), rest = fields[:6], fields[6:]
        self.not_before, self.not_after = (common.time_of(time) for time in validity.children)
        self.unique_ids = [one for one in rest if one.tag in (0x81, 0x82)]
        wrapped = next((one for one in rest if one.tag == 0xA3), None)
        self.extension_list = wrapped[0] if wrapped is not None else None
        self.extensions = Extensions(self.extension_list)
        self.above = above or self

    @property
    def self_signed(self):
        return self.above is self

    @property
    def public_key(self):
        return common.public_key(self.key.encode())

    @property
    def key_algorithm(self):
        return common.algorithm_of(self.key[0])

    @property
    def is_authority(self):
        basic = self.extensions.find(common.BASIC)
        return basic is not None and any(one.tag == der.BOOLEAN and one.content != b"\0" for one in basic.tree.children)

    @property
    def path_length(self):
        basic = self.extensions.find(common.BASIC)
        limit = child(basic.tree, der.INTEGER) if basic is not None else None
        return None if limit is None else common.integer(limit)

    @property
    def usage(self):
        """The bits that are set, or nothing where there is no key usage."""
        found = self.extensions.find(common.KEY_USAGE)
        if found is None:
            return None
        octets = found.tree.content[1:]
        return {bit for bit in range(8 * len(octets)) if octets[bit // 8] & (0x80 >> bit % 8)}

    @property
    def purposes(self):
        found = self.extensions.find(common.PURPOSES)
        return None if found is None else [der.oid_text(one.content) for one in found.tree.children]

    @property
    def subject_key_id(self):
        found = self.extensions.find(common.SUBJECT_KEY)
        return None if found is None else found.tree.content

    @property
    def points(self):
        found = self.extensions.find(common.POINTS)
        return [] if found is None else found.tree.children

    @property
    def point_urls(self):
        """Every address in the distribution points."""
        names = [child(child(point, 0xA0), 0xA0) for point in self.points if child(point, 0xA0) is not None]
        return [name.content.decode("ascii", "replace") for full in names if full is not None
                for name in full.children if name.tag == URI]

    @property
    def access(self):
        """[(method, GeneralName)]"""
        found = self.extensions.find(common.AUTHORITY_ACCESS)
        return [] if found is None else [(der.oid_text(one[0].content), one[1]) for one in found.tree.children]

    @property
    def alternatives(self):
        found = self.extensions.find(common.ALTERNATIVE)
        return [] if found is None else found.tree.children

    @property
    def uris(self):
        return ([name for _, name in self.access if name.tag == URI] +
                [name for name in self.alternatives if name.tag == URI] +
                [der.Element(URI, url.encode("ascii", "replace")) for url in self.point_urls])


# The frame

@rule
def is_der(c):
    """RFC 5280 4.1: the certificate is DER."""
    return "; ".join(c.faults)


@rule
def others_read_it(c):
    """RFC 5280 4.1: a library reads it and everything in it."""
    def read():
        certificate = x509.load_der_x509_certificate(c.octets)
        return certificate.extensions, certificate.subject, certificate.issuer, certificate.not_valid_after
    return common.read_by_library(read)


@rule
def algorithms_agree(c):
    """RFC 5280 4.1.1.2: signatureAlgorithm is what stands in the signature field of tbsCertificate."""
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
    """RFC 5280 4.1.1.3, RFC 3279 2.2.3: the signature has whole octets, and ECDSA's is two positive numbers in DER."""
    return common.signature_form_fault(c.algorithm, c.signature)


@rule
def signature_is_right(c):
    """RFC 5280 6.1.3 (a)(1): the issuer's key has signed it."""
    return common.signature_fault(c.tbs.encode(), c.algorithm, c.signature, c.above.key.encode())


@rule
def version_is_3(c):
    """RFC 5280 4.1.2.1: a certificate with extensions is of version 3."""
    return c.version is None or c.version.content != b"\x02"


@rule
def serial_is_positive(c):
    """RFC 5280 4.1.2.2: the serial number is a positive integer."""
    return common.serial_fault(c.serial.content)


@rule
def serial_is_short(c):
    """RFC 5280 4.1.2.2: the serial number has at most 20 octets."""
    return common.long_serial_fault(c.serial.content)


@rule
def no_unique_ids(c):
    """RFC 5280 4.1.2.8: there are no unique identifiers."""
    return bool(c.unique_ids)


# Names

@rule
def issuer_is_named(c):
    """RFC 5280 4.1.2.4: the issuer's name is not empty."""
    return not c.issuer.children


@rule
def issuer_is_the_one_above(c):
    """RFC 5280 4.1.2.4, 6.1.3 (a)(4): the issuer's name is the subject of its certificate, octet for octet."""
    return c.issuer.encode() != c.above.subject.encode()


@rule
def subject_is_named(c):
    """RFC 5280 4.1.2.6: a CA has a subject; without a subject the alternative names are critical."""
    alternative = c.extensions.critical(common.ALTERNATIVE)
    return not c.subject.children and (c.is_authority or not alternative)


@rule
def names_have_no_empty_parts(c):
    """RFC 5280 4.1.2.4: a RelativeDistinguishedName has at least one attribute."""
    return common.empty_rdn(c.issuer.encode()) or common.empty_rdn(c.subject.encode())


@rule
def name_strings(c):
    """RFC 5280 4.1.2.4, appendix A.1: names are PrintableString or UTF8String, each attribute in the kind it asks for."""
    return common.string_type_fault(c.subject.encode())


@rule
def name_lengths(c):
    """RFC 5280 appendix A.1: attributes of names are not empty and within their upper bounds."""
    return common.string_length_fault(c.subject.encode())


@rule
def name_letters(c):
    """RFC 5280 appendix A.1 (X.680 41.4): strings have no letters that their kind does not."""
    return common.string_content_fault(c.subject.encode())


@rule
def country_is_two_letters(c):
    """RFC 5280 appendix A.1 (ISO 3166): countryName is two capital letters."""
    return common.country_fault(c.subject.encode())


# Validity

@rule
def time_form(c):
    """RFC 5280 4.1.2.5.1, 4.1.2.5.2: times are in Z, with seconds and without fractions."""
    return common.form_fault(c.not_before) or common.form_fault(c.not_after)


@rule
def time_choice(c):
    """RFC 5280 4.1.2.5: until 2049 UTCTime, from 2050 on GeneralizedTime."""
    return common.choice_fault(c.not_before) or common.choice_fault(c.not_after)


@rule
def times_in_order(c):
    """RFC 5280 4.1.2.5: it begins before it ends."""
    return common.when(c.not_before) >= common.when(c.not_after)


@rule
def times_within_the_issuers(c):
    """Ours: a certificate is not valid longer than its issuer."""
    return (common.when(c.not_before) < common.when(c.above.not_before) or
            common.when(c.not_after) > common.when(c.above.not_after))


# The key

@rule
def key_is_read(c):
    """RFC 5280 4.1.2.7: the public key is an RSA or EC key that can be read."""
    return not isinstance(c.public_key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey))


@rule
def key_parameters(c):
    """RFC 3279 2.3.1, RFC 5480 2.1.1: NULL for RSA, a named curve for EC."""
    parameters = c.key[0].children[1:]
    if c.key_algorithm == common.RSA_KEY:
        return [one.encode() for one in parameters] != [b"\x05\x00"]
    return len(parameters) != 1 or parameters[0].tag != der.OID


@rule
def key_has_an_offered_size(c):
    """Ours: RSA of 2,048 to 4,096 bits, or P-256, P-384, P-521."""
    key = c.public_key
    if isinstance(key, rsa.RSAPublicKey):
        return not 2048 <= key.key_size <= 4096 and f"RSA of {key.key_size} bits"
    return c.key[0][1].tag == der.OID and der.oid_text(c.key[0][1].content) not in CURVES


@rule
def rsa_numbers(c):
    """RFC 8017 3.1: an RSA key has an odd modulus and an odd exponent of at least 3."""
    if c.key_algorithm == common.RSA_KEY:
        modulus, exponent = (common.integer(number) for number in der.read(c.key[1].content[1:]).children)
        return modulus <= 0 or not modulus & 1 or exponent < 3 or not exponent & 1


@rule
def ec_point(c):
    """RFC 5480 2.2: an EC point is written whole, 04 and two coordinates."""
    if c.key_algorithm == common.EC_KEY and c.key[0][1].tag == der.OID:
        size = CURVES.get(der.oid_text(c.key[0][1].content))
        point = c.key[1].content[1:]
        return size is not None and (point[:1] != b"\x04" or len(point) != 1 + 2 * size)


# Extensions

@rule
def extensions_are_there(c):
    """RFC 5280 4.1.2.9: the list of extensions has at least one."""
    return not c.extensions.all


@rule
def extensions_are_unique(c):
    """RFC 5280 4.2: no extension is there twice."""
    return c.extensions.duplicates()


@rule
def critical_is_not_written_where_false(c):
    """RFC 5280 4.1 (X.690 11.5): critical is not written where it is FALSE."""
    return c.extensions.default_written()


@rule
def critical_is_known(c):
    """RFC 5280 4.2: what is critical is what relying parties must know."""
    return c.extensions.critical_unknown((
        common.KEY_USAGE, common.BASIC, common.PURPOSES, common.ALTERNATIVE, common.POLICIES, common.MAPPINGS,
        common.NAME_CONSTRAINTS, common.POLICY_CONSTRAINTS, common.ANY_POLICY, common.POINTS))


@rule
def critical_where_it_must(c):
    """RFC 5280 4.2.1.10, 4.2.1.11, 4.2.1.14: constraints of names and policies are critical."""
    return next((f"{oid} is not critical" for oid in (
        common.NAME_CONSTRAINTS, common.POLICY_CONSTRAINTS, common.ANY_POLICY) if c.extensions.critical(oid) is False), None)


@rule
def critical_where_it_must_not(c):
    """RFC 5280 4.2.1.1, 4.2.1.2, 4.2.1.8, 4.2.1.15, 4.2.2.1, 4.2.2.2: key identifiers, directory attributes, freshest
    CRL and information access are not critical."""
    return next((f"{oid} is critical" for oid in (
        common.AUTHORITY_KEY, common.SUBJECT_KEY, common.DIRECTORY, common.FRESHEST, common.AUTHORITY_ACCESS,
        common.SUBJECT_ACCESS) if c.extensions.critical(oid)), None)


@rule
def authority_key_is_named(c):
    """RFC 5280 4.2.1.1: all but self-signed certificates have an authority key identifier with keyIdentifier."""
    found = c.extensions.find(common.AUTHORITY_KEY)
    return not c.self_signed and (found is None or child(found.tree, 0x80) is None)


@rule
def authority_key_is_the_one_above(c):
    """RFC 5280 4.2.1.1: the authority key identifier is the issuer's subject key identifier."""
    found = c.extensions.find(common.AUTHORITY_KEY)
    if found is not None and child(found.tree, 0x80) is not None:
        return child(found.tree, 0x80).content != c.above.subject_key_id


@rule
def authority_issuer_and_serial(c):
    """RFC 5280 4.2.1.1: authorityCertIssuer and authorityCertSerialNumber are both there, or neither."""
    found = c.extensions.find(common.AUTHORITY_KEY)
    return found is not None and (child(found.tree, 0xA1) is None) != (child(found.tree, 0x82) is None)


@rule
def subject_key_is_named(c):
    """RFC 5280 4.2.1.2: a CA has a subject key identifier, and others should."""
    return not c.subject_key_id


@rule
def key_usage_is_there(c):
    """RFC 5280 4.2.1.3: a CA has a key usage; so has every certificate of ours."""
    return c.usage is None


@rule
def key_usage_is_critical(c):
    """RFC 5280 4.2.1.3: key usage should be critical."""
    return c.extensions.critical(common.KEY_USAGE) is False


@rule
def key_usage_has_a_bit(c):
    """RFC 5280 4.2.1.3: at least one bit is set."""
    return c.usage is not None and not c.usage


@rule
def key_usage_form(c):
    """RFC 5280 4.2.1.3 (X.690 11.2.2): a named bit list has no zero bits at its end."""
    found = c.extensions.find(common.KEY_USAGE)
    if found is not None and c.usage:
        octets = found.tree.content
        return not octets[-1] & (1 << octets[0])


@rule
def only_a_ca_signs_certificates(c):
    """RFC 5280 4.2.1.3, 4.2.1.9: keyCertSign only with cA TRUE."""
    return CERT_SIGN in (c.usage or ()) and not c.is_authority


@rule
def a_ca_signs_certificates(c):
    """RFC 5280 4.2.1.9: a CA has keyCertSign."""
    return c.is_authority and CERT_SIGN not in (c.usage or ())


@rule
def who_issues_crls_may(c):
    """RFC 5280 4.2.1.3, 6.3.3 (f): whose key signs CRLs has cRLSign."""
    return c.role == ISSUER and CRL_SIGN not in (c.usage or ())


@rule
def key_usage_fits_the_key(c):
    """RFC 3279 2.3.1, RFC 5480 3: RSA keys agree on nothing, EC keys encipher nothing."""
    unfit = {KEY_AGREEMENT, ENCIPHER_ONLY, DECIPHER_ONLY} if c.key_algorithm == common.RSA_KEY else {
        KEY_ENCIPHERMENT, DATA_ENCIPHERMENT}
    return bool(unfit & (c.usage or set()))


@rule
def cipher_only_with_agreement(c):
    """RFC 5280 4.2.1.3: encipherOnly and decipherOnly mean something with keyAgreement alone."""
    usage = c.usage or set()
    return bool(usage & {ENCIPHER_ONLY, DECIPHER_ONLY}) and KEY_AGREEMENT not in usage


@rule
def policies_are_unique(c):
    """RFC 5280 4.2.1.4: no policy is there twice."""
    found = c.extensions.find(common.POLICIES)
    policies = [policy[0].content for policy in found.tree.children] if found is not None else []
    return len(policies) != len(set(policies))


@rule
def alternative_names_are_there(c):
    """RFC 5280 4.2.1.6: the list of alternative names has at least one."""
    return c.extensions.find(common.ALTERNATIVE) is not None and not c.alternatives


@rule
def alternative_names_are_not_critical(c):
    """RFC 5280 4.2.1.6: with a subject, alternative names should not be critical."""
    return bool(c.subject.children) and c.extensions.critical(common.ALTERNATIVE)


@rule
def host_names(c):
    """RFC 5280 4.2.1.6 (RFC 1123 2.1): a dNSName is letters, digits and hyphens between dots."""
    label = rb"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    return next((f"{name.content!r} is no host's name" for name in c.alternatives if name.tag == DNS_NAME and
                 not re.fullmatch(rb"(\*\.)?" + label + rb"(\." + label + rb")*", name.content)), None)


@rule
def addresses(c):
    """RFC 5280 4.2.1.6: an iPAddress has 4 or 16 octets."""
    return any(name.tag == ADDRESS and len(name.content) not in (4, 16) for name in c.alternatives)


@rule
def uris_are_absolute(c):
    """RFC 5280 4.2.1.6: a URI is absolute, in IA5."""
    return next((f"{name.content!r} is no URI" for name in c.uris if
                 not re.fullmatch(rb"[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+", name.content)), None)


@rule
def basic_constraints_of_a_ca(c):
    """RFC 5280 4.2.1.9: a CA has basicConstraints, critical, with cA TRUE."""
    return c.role in AUTHORITIES and not (c.is_authority and c.extensions.critical(common.BASIC))


@rule
def only_a_ca_is_one(c):
    """RFC 5280 4.2.1.9: who is no CA has not cA TRUE."""
    return c.role not in AUTHORITIES and c.is_authority


@rule
def ca_is_not_written_where_false(c):
    """RFC 5280 4.2.1.9 (X.690 11.5): cA is not written where it is FALSE."""
    found = c.extensions.find(common.BASIC)
    return found is not None and any(one.tag == der.BOOLEAN and one.content == b"\0" for one in found.tree.children)


@rule
def path_length_of_a_ca(c):
    """RFC 5280 4.2.1.9: pathLenConstraint stands only with cA TRUE and keyCertSign, and is not negative."""
    if c.path_length is not None:
        return not c.is_authority or CERT_SIGN not in (c.usage or {CERT_SIGN}) or c.path_length < 0


@rule
def who_signed_it_is_a_ca(c):
    """RFC 5280 6.1.4 (k), (n): the certificate above is a CA's and has keyCertSign."""
    return not c.above.is_authority or CERT_SIGN not in (c.above.usage or {CERT_SIGN})


@rule
def path_length_allows_it(c):
    """RFC 5280 6.1.4 (l), (m): below a CA with pathLenConstraint 0 there is no other CA."""
    return not c.self_signed and c.is_authority and c.above.path_length == 0


@rule
def name_constraints_of_a_ca(c):
    """RFC 5280 4.2.1.10: only a CA has name constraints."""
    return c.extensions.find(common.NAME_CONSTRAINTS) is not None and not c.is_authority


@rule
def purposes_are_there(c):
    """RFC 5280 4.2.1.12: the list of purposes has at least one."""
    return c.purposes == []


@rule
def any_purpose_is_not_critical(c):
    """RFC 5280 4.2.1.12: with anyExtendedKeyUsage the purposes should not be critical."""
    return ANY_PURPOSE in (c.purposes or ()) and c.extensions.critical(common.PURPOSES)


@rule
def purposes_fit_the_key_usage(c):
    """RFC 5280 4.2.1.12: for each purpose the key usage has a bit that goes with it."""
    fitting = {SERVER_AUTH: {DIGITAL_SIGNATURE, KEY_ENCIPHERMENT, KEY_AGREEMENT},
               CLIENT_AUTH: {DIGITAL_SIGNATURE, KEY_AGREEMENT}, OCSP_SIGNING: {DIGITAL_SIGNATURE, NON_REPUDIATION}}
    return next((f"nothing goes with {purpose}" for purpose in c.purposes or ()
                 if purpose in fitting and c.usage is not None and not fitting[purpose] & c.usage), None)


@rule
def purposes_are_those_of_its_work(c):
    """RFC 5280 4.2.1.12: servers have serverAuth and no clientAuth, administrators clientAuth and no serverAuth, LSCs both."""
    wanted = {LSC: {SERVER_AUTH, CLIENT_AUTH}, WIRE: {SERVER_AUTH}, SERVER: {SERVER_AUTH},
              ADMINISTRATOR: {CLIENT_AUTH}}.get(c.role)
    return wanted is not None and {SERVER_AUTH, CLIENT_AUTH} & set(c.purposes or ()) != wanted


@rule
def only_a_responder_signs_answers(c):
    """RFC 6960 4.2.2.2: an OCSP responder's certificate has id-kp-OCSPSigning; no other of ours has it."""
    return (OCSP_SIGNING in (c.purposes or ())) != (c.role == RESPONDER)


@rule
def no_ipsec_purposes(c):
    """RFC 4945 5.1.3.12: the purposes of IPsec are deprecated."""
    return bool({"1.3.6.1.5.5.7.3.5", "1.3.6.1.5.5.7.3.6", "1.3.6.1.5.5.7.3.7"} & set(c.purposes or ()))


@rule
def servers_are_named_in_alternative_names(c):
    """RFC 2818 3.1: a server's name stands in its alternative names."""
    return SERVER_AUTH in (c.purposes or ()) and not any(name.tag in (DNS_NAME, ADDRESS) for name in c.alternatives)


@rule
def points_are_not_critical(c):
    """RFC 5280 4.2.1.13: CRL distribution points should not be critical."""
    return c.extensions.critical(common.POINTS)


@rule
def points_are_there(c):
    """RFC 5280 4.2.1.13: the list of CRL distribution points has at least one."""
    return c.extensions.find(common.POINTS) is not None and not c.points


@rule
def points_have_a_place(c):
    """RFC 5280 4.2.1.13: where the issuer signs the CRL itself, a point has distributionPoint and no cRLIssuer."""
    return any(child(point, 0xA0) is None or child(point, 0xA2) is not None for point in c.points)


@rule
def points_have_an_address(c):
    """RFC 5280 4.2.1.13: a distribution point has an address of HTTP or LDAP."""
    return bool(c.points) and not any(url.startswith(("http://", "ldap://")) for url in c.point_urls)


@rule
def points_have_all_reasons(c):
    """RFC 5280 4.2.1.13: one of the distribution points covers all reasons."""
    return bool(c.points) and all(child(point, 0x81) is not None for point in c.points)


@rule
def access_is_there(c):
    """RFC 5280 4.2.2.1: the list of authority information has at least one."""
    return c.extensions.find(common.AUTHORITY_ACCESS) is not None and not c.access


@rule
def access_has_an_address(c):
    """RFC 5280 4.2.2.1, RFC 6960 3.1: OCSP and caIssuers have an address of HTTP (caIssuers: or LDAP)."""
    return any(name.tag != URI or not name.content.startswith(
        (b"http://",) if method == OCSP_ACCESS else (b"http://", b"ldap://"))
        for method, name in c.access if method in (OCSP_ACCESS, ISSUERS_ACCESS))


@rule
def an_lsc_says_where_its_status_is(c):
    """Ours: an LSC names its CRL, the OCSP responder and its issuer's certificate."""
    methods = {method for method, _ in c.access}
    return c.role == LSC and (not c.points or not {OCSP_ACCESS, ISSUERS_ACCESS} <= methods)


@rule
def an_lsc_is_small(c):
    """Ours: phones hold LSCs of up to 2,048 octets."""
    return c.role == LSC and len(c.octets) > LARGEST_LSC


@rule
def a_responder_is_not_asked_about(c):
    """RFC 6960 4.2.2.2.1: whose status cannot be asked for has id-pkix-ocsp-nocheck, a NULL, not critical."""
    found = c.extensions.find(common.NO_CHECK)
    if c.role != RESPONDER:
        return found is not None and "only a responder has it"
    return found is None or found.octets != b"\x05\x00" or found.critical
