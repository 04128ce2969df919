"""Each rule on an object that breaks it, and good objects on which none fires."""

import datetime
import pathlib
import re
import unittest

import lint
from lint import common, der
from lint import certificate as roles
from lint.crl import Crl
from lint.der import Element, identifier, number, sequence, tagged
from lint.objects import AnswerDraft, Draft, Good, extension
from lint.overrides import OVERRIDES
from lint.rule import RULES, Finding

SERIAL, ALGORITHM, ISSUER, VALIDITY, SUBJECT, KEY = range(1, 7)  # in tbsCertificate
CRL_ALGORITHM, CRL_ISSUER, THIS, NEXT, ENTRIES = range(1, 6)  # in tbsCertList
RESPONDER_ID, PRODUCED, SINGLES = range(3)  # in ResponseData
NULL = Element(der.NULL)
GENERAL_NAMES = sequence(Element(0x82, b"a.example"))
_good = None


def good():
    global _good
    _good = _good or Good()
    return _good


def sha1_of(draft):
    """Claims SHA-1 as the hash of an ECDSA signature."""
    for algorithm in (next(one for one in draft.signed.children if one.encode() == draft.outer[1].encode()), draft.outer[1]):
        algorithm[0].content = der.oid_content("1.2.840.10045.4.1")


def attribute(draft, kind):
    """The value of the subject's attribute."""
    return next(pair[1] for rdn in draft.signed[SUBJECT].children for pair in rdn.children
                if der.oid_text(pair[0].content) == kind)


def set_string(draft, tag, octets, kind="2.5.4.3"):
    value = attribute(draft, kind)
    value.tag, value.content = tag, octets


def set_time(draft, place, tag, octets):
    time = draft.signed[VALIDITY][place]
    time.tag, time.content = tag, octets


def set_usage(draft, *bits):
    octets = bytearray(2)
    for bit in bits:
        octets[bit // 8] |= 0x80 >> bit % 8
    octets = bytes(octets).rstrip(b"\0")
    unused = next((n for n in range(8) if octets[-1] & 1 << n), 0) if octets else 0
    draft.put(common.KEY_USAGE, Element(der.BIT_STRING, bytes([unused]) + octets))


def set_purposes(draft, *oids, critical=None):
    draft.put(common.PURPOSES, sequence(*map(identifier, oids)), critical)


def set_basic(draft, *children, critical=None):
    draft.put(common.BASIC, sequence(*children), critical)


def set_point(draft, *children):
    draft.put(common.POINTS, sequence(sequence(*children)))


def place(url):
    return tagged(0xA0, tagged(0xA0, Element(0x86, url)))


TRUE, FALSE = Element(der.BOOLEAN, b"\xff"), Element(der.BOOLEAN, b"\0")
SOME_REASONS = Element(0x81, b"\x06\x40")

# rule: (the object that breaks it, how). A further word: not signed again, so that the signature is wrong.
CERTIFICATES = {
    "is_der": ("LSC", lambda d: d.put(common.BASIC, sequence(Element(der.BOOLEAN, b"\x01")))),
    "others_read_it": ("LSC", lambda d: d.put(common.PURPOSES, sequence(number(5)))),
    "algorithms_agree": ("LSC", lambda d: d.tree[1][0].__setattr__("content", der.oid_content("1.2.840.10045.4.3.3"))),
    "algorithm_parameters": ("LSC", lambda d: (d.signed[ALGORITHM].children.append(NULL), d.tree[1].children.append(NULL))),
    "hash_is_strong": ("LSC", sha1_of),
    "signature_form": ("LSC", lambda d: d.tree[2].__setattr__(
        "content", b"\0" + sequence(number(5), Element(der.INTEGER, b"\0\x05")).encode()), "unsigned"),
    "signature_is_right": ("LSC", lambda d: d.signed[SERIAL].__setattr__("content", b"\x55"), "unsigned"),
    "version_is_3": ("LSC", lambda d: d.signed[0][0].__setattr__("content", b"\x01")),
    "serial_is_positive": ("LSC", lambda d: d.signed[SERIAL].__setattr__("content", b"\x80\x01")),
    "serial_is_short": ("LSC", lambda d: d.signed[SERIAL].__setattr__("content", b"\x5A" * 21)),
    "no_unique_ids": ("LSC", lambda d: d.signed.children.insert(KEY + 1, Element(0x81, b"\0\x01"))),
    "issuer_is_named": ("LSC", lambda d: d.signed[ISSUER].__setattr__("children", [])),
    "issuer_is_the_one_above": ("LSC", lambda d: d.signed[ISSUER].children.reverse()),
    "subject_is_named": ("LSC", lambda d: d.signed[SUBJECT].__setattr__("children", [])),
    "names_have_no_empty_parts": ("LSC", lambda d: d.signed[SUBJECT].children.append(Element(der.SET, children=[]))),
    "name_strings": ("LSC", lambda d: set_string(d, 0x14, b"Teletex")),
    "name_lengths": ("LSC", lambda d: set_string(d, der.UTF8, b"n" * 65)),
    "name_letters": ("LSC", lambda d: set_string(d, der.PRINTABLE, b"under_score")),
    "country_is_two_letters": ("LSC", lambda d: set_string(d, der.PRINTABLE, b"de", common.COUNTRY)),
    "time_form": ("LSC", lambda d: set_time(d, 0, der.UTC_TIME, b"2311231200Z")),
    "time_choice": ("LSC", lambda d: set_time(d, 0, der.GENERALIZED_TIME, b"20231123120000Z")),
    "times_in_order": ("LSC", lambda d: set_time(d, 1, der.UTC_TIME, b"231122120000Z")),
    "times_within_the_issuers": ("LSC", lambda d: set_time(d, 1, der.UTC_TIME, b"491231235959Z")),
    "key_is_read": ("LSC", lambda d: d.signed[KEY][1].__setattr__("content", b"\0\x04" + bytes(64))),
    "key_parameters": ("RSA", lambda d: d.signed[KEY][0].children.pop()),
    "key_has_an_offered_size": ("LSC", lambda d: d.signed[KEY][0][1].__setattr__("content", der.oid_content("1.3.132.0.10"))),
    "rsa_numbers": ("RSA", lambda d: d.signed[KEY][1].__setattr__("content", b"\0" + sequence(
        number(1 << 2047 | 1), number(65536)).encode())),
    "ec_point": ("LSC", lambda d: d.signed[KEY][1].__setattr__("content", b"\0\x03" + d.signed[KEY][1].content[2:34])),
    "extensions_are_there": ("LSC", lambda d: d.extension_list().__setattr__("children", [])),
    "extensions_are_unique": ("LSC", lambda d: d.extension_list().children.append(d.extension(common.SUBJECT_KEY))),
    "critical_is_not_written_where_false": ("LSC", lambda d: d.set_critical(common.SUBJECT_KEY, None)),
    "critical_is_known": ("LSC", lambda d: d.put("1.3.6.1.4.1.99999.1", NULL, True)),
    "critical_where_it_must": ("issuer", lambda d: d.put(common.POLICY_CONSTRAINTS, sequence(Element(0x80, b"\0")))),
    "critical_where_it_must_not": ("LSC", lambda d: d.set_critical(common.AUTHORITY_ACCESS, True)),
    "authority_key_is_named": ("LSC", lambda d: d.drop(common.AUTHORITY_KEY)),
    "authority_key_is_the_one_above": ("LSC", lambda d: d.put(common.AUTHORITY_KEY, sequence(Element(0x80, b"other")))),
    "authority_issuer_and_serial": ("LSC", lambda d: d.change(
        common.AUTHORITY_KEY, lambda value: value.children.append(Element(0x82, b"\x05")))),
    "subject_key_is_named": ("LSC", lambda d: d.drop(common.SUBJECT_KEY)),
    "key_usage_is_there": ("LSC", lambda d: d.drop(common.KEY_USAGE)),
    "key_usage_is_critical": ("LSC", lambda d: d.set_critical(common.KEY_USAGE, False)),
    "key_usage_has_a_bit": ("LSC", set_usage),
    "key_usage_form": ("LSC", lambda d: d.put(common.KEY_USAGE, Element(der.BIT_STRING, b"\0\x88"))),
    "only_a_ca_signs_certificates": ("LSC", lambda d: set_usage(d, roles.DIGITAL_SIGNATURE, roles.CERT_SIGN)),
    "a_ca_signs_certificates": ("issuer", lambda d: set_usage(d, roles.CRL_SIGN)),
    "who_issues_crls_may": ("issuer", lambda d: set_usage(d, roles.CERT_SIGN)),
    "key_usage_fits_the_key": ("LSC", lambda d: set_usage(d, roles.KEY_ENCIPHERMENT)),
    "cipher_only_with_agreement": ("LSC", lambda d: set_usage(d, roles.DECIPHER_ONLY)),
    "policies_are_unique": ("LSC", lambda d: d.put(common.POLICIES, sequence(*2 * [sequence(identifier("1.2.3"))]))),
    "alternative_names_are_there": ("LSC", lambda d: d.put(common.ALTERNATIVE, sequence())),
    "alternative_names_are_not_critical": ("server", lambda d: d.set_critical(common.ALTERNATIVE, True)),
    "host_names": ("server", lambda d: d.put(common.ALTERNATIVE, sequence(Element(0x82, b"under_score.example")))),
    "addresses": ("server", lambda d: d.put(common.ALTERNATIVE, sequence(Element(0x87, b"\x7f\0\1")))),
    "uris_are_absolute": ("LSC", lambda d: set_point(d, place(b"/crl/1/0.crl"))),
    "basic_constraints_of_a_ca": ("issuer", lambda d: d.set_critical(common.BASIC, False)),
    "only_a_ca_is_one": ("LSC", lambda d: set_basic(d, TRUE)),
    "ca_is_not_written_where_false": ("LSC", lambda d: set_basic(d, FALSE)),
    "path_length_of_a_ca": ("issuer", lambda d: set_basic(d, TRUE, number(-1))),
    "who_signed_it_is_a_ca": ("wire", lambda d: None),
    "path_length_allows_it": ("LSC", lambda d: set_basic(d, TRUE)),
    "name_constraints_of_a_ca": ("LSC", lambda d: d.put(
        common.NAME_CONSTRAINTS, sequence(tagged(0xA0, sequence(Element(0x82, b"a.example")))), True)),
    "purposes_are_there": ("LSC", set_purposes),
    "any_purpose_is_not_critical": ("LSC", lambda d: set_purposes(d, roles.ANY_PURPOSE, critical=True)),
    "purposes_fit_the_key_usage": ("LSC", lambda d: set_usage(d, roles.NON_REPUDIATION)),
    "purposes_are_those_of_its_work": ("administrator", lambda d: set_purposes(d, roles.SERVER_AUTH)),
    "only_a_responder_signs_answers": ("LSC", lambda d: set_purposes(d, roles.OCSP_SIGNING)),
    "no_ipsec_purposes": ("administrator", lambda d: set_purposes(d, roles.CLIENT_AUTH, roles.IPSEC)),
    "servers_are_named_in_alternative_names": ("server", lambda d: d.drop(common.ALTERNATIVE)),
    "points_are_not_critical": ("LSC", lambda d: d.set_critical(common.POINTS, True)),
    "points_are_there": ("LSC", lambda d: d.put(common.POINTS, sequence())),
    "points_have_a_place": ("LSC", lambda d: d.change(
        common.POINTS, lambda points: points[0].children.append(Element(0xA2, children=[Element(0x82, b"other")])))),
    "points_have_an_address": ("LSC", lambda d: set_point(d, place(b"ftp://ca.example/0.crl"))),
    "points_have_all_reasons": ("LSC", lambda d: set_point(d, place(b"http://ca.example/0.crl"), SOME_REASONS)),
    "access_is_there": ("LSC", lambda d: d.put(common.AUTHORITY_ACCESS, sequence())),
    "access_has_an_address": ("LSC", lambda d: d.put(common.AUTHORITY_ACCESS, sequence(
        sequence(identifier(roles.OCSP_ACCESS), Element(0x86, b"ldap://ca.example"))))),
    "an_lsc_says_where_its_status_is": ("LSC", lambda d: d.drop(common.AUTHORITY_ACCESS)),
    "an_lsc_is_small": ("LSC", lambda d: d.put("1.3.6.1.4.1.99999.1", Element(der.OCTET_STRING, bytes(2000)))),
    "a_responder_is_not_asked_about": ("OCSP responder", lambda d: d.set_critical(common.NO_CHECK, True)),
}


def entry(draft, place=0):
    return draft.signed[ENTRIES][place]


def set_entry(draft, *extensions):
    """The first entry with these extensions and no others."""
    one = entry(draft)
    one.children = [one[0], one[1], sequence(*extensions)]


def reason(code, critical=False):
    return extension(common.REASON, Element(der.ENUMERATED, bytes([code])), critical)


def crl_point(draft, *children, critical=None):
    draft.put(common.ISSUING_POINT, sequence(*children), critical)


def crl_time(draft, place, tag, octets):
    draft.signed[place].tag, draft.signed[place].content = tag, octets


CRLS = {
    "is_der": lambda d: crl_point(d, Element(0xA1, children=[]), Element(der.BOOLEAN, b"\x05")),
    "others_read_it": lambda d: d.put(common.CRL_NUMBER, sequence(number(5))),
    "algorithms_agree": lambda d: d.tree[1][0].__setattr__("content", der.oid_content("1.2.840.10045.4.3.3")),
    "algorithm_parameters": lambda d: (d.signed[CRL_ALGORITHM].children.append(NULL), d.tree[1].children.append(NULL)),
    "hash_is_strong": sha1_of,
    "signature_form": (lambda d: d.tree[2].__setattr__("content", b"\0" + sequence(number(5), number(-5)).encode()),
                       "unsigned"),
    "signature_is_right": (lambda d: crl_time(d, THIS, der.UTC_TIME, b"231123120001Z"), "unsigned"),
    "version_is_2": lambda d: d.signed.children.pop(0),
    "issuer_is_the_one_above": lambda d: d.signed[CRL_ISSUER].children.reverse(),
    "time_form": lambda d: crl_time(d, THIS, der.UTC_TIME, b"231123130000+0100"),
    "time_choice": lambda d: crl_time(d, NEXT, der.GENERALIZED_TIME, b"20231130120000Z"),
    "next_update_is_there": lambda d: d.signed.children.pop(NEXT),
    "times_in_order": lambda d: crl_time(d, NEXT, der.UTC_TIME, b"231123120000Z"),
    "no_empty_list": lambda d: d.signed[ENTRIES].__setattr__("children", []),
    "serials_are_positive": lambda d: entry(d)[0].__setattr__("content", b"\0"),
    "serials_are_short": lambda d: entry(d)[0].__setattr__("content", b"\x5A" * 21),
    "serials_are_unique": lambda d: d.signed[ENTRIES].children.append(entry(d)),
    "entry_time_form": lambda d: entry(d)[1].__setattr__("content", b"231131120000Z"),
    "entry_time_choice": lambda d: (entry(d)[1].__setattr__("tag", der.GENERALIZED_TIME),
                                    entry(d)[1].__setattr__("content", b"20231123120000Z")),
    "revoked_before_it_was_said": lambda d: entry(d)[1].__setattr__("content", b"231123120001Z"),
    "entry_extensions_are_there": set_entry,
    "entry_extensions_are_unique": lambda d: set_entry(d, reason(1), reason(1)),
    "entry_extensions_are_not_critical": lambda d: set_entry(d, reason(1, True)),
    "reason_is_said_or_absent": lambda d: set_entry(d, reason(0)),
    "reason_is_known": lambda d: set_entry(d, reason(7)),
    "nothing_is_removed": lambda d: set_entry(d, reason(8)),
    "invalidity_date_form": lambda d: set_entry(d, extension(common.INVALIDITY, Element(der.UTC_TIME, b"231122120000Z"))),
    "entries_are_the_issuers": lambda d: set_entry(d, extension(common.CERTIFICATE_ISSUER, GENERAL_NAMES, True)),
    "extensions_are_unique": lambda d: d.extension_list().children.append(d.extension(common.CRL_NUMBER)),
    "critical_is_not_written_where_false": lambda d: d.set_critical(common.CRL_NUMBER, None),
    "critical_is_known": lambda d: d.set_critical(common.CRL_NUMBER, True),
    "authority_key_is_the_one_above": lambda d: d.drop(common.AUTHORITY_KEY),
    "number_is_there": lambda d: d.drop(common.CRL_NUMBER),
    "number_is_short": lambda d: d.put(common.CRL_NUMBER, Element(der.INTEGER, b"\x01" * 21)),
    "number_ascends": lambda d: d.put(common.CRL_NUMBER, number(6)),
    "time_ascends": lambda d: crl_time(d, THIS, der.UTC_TIME, b"231122120000Z"),
    "it_is_whole": lambda d: d.put(common.DELTA, number(6), True),
    "point_is_critical": lambda d: d.set_critical(common.ISSUING_POINT, False),
    "point_is_not_empty": lambda d: crl_point(d),
    "point_writes_no_false": lambda d: crl_point(d, Element(0x81, b"\0")),
    "point_covers_one_kind": lambda d: crl_point(d, Element(0x81, b"\xff"), Element(0x82, b"\xff")),
    "point_covers_all_reasons": lambda d: crl_point(d, Element(0x83, b"\x06\x40")),
    "point_is_the_certificates": lambda d: crl_point(d, place(b"http://ca.example:3807/crl/1/1.crl")),
}


def single(draft):
    return draft.signed[SINGLES][0]


def set_error(draft, state, keep=False):
    draft.tree[0].content = bytes([state])
    if not keep:
        del draft.tree.children[1]


def set_nonce(draft, element):
    draft.put(common.NONCE, element)


def certificate_of(draft, change):
    """Changes the responder's certificate in the answer, and signs that anew."""
    inner = Draft(draft.basic[3][0][0].encode(), good().issuer_key)
    change(inner)
    draft.basic[3][0].children = [der.read(inner.seal())]


ANSWERS = {
    "is_der": lambda d: d.signed.children.append(Element(der.BOOLEAN, b"\x05")),
    "others_read_it": lambda d: single(d)[1].__setattr__("tag", 0xA5),
    "state_is_known": lambda d: set_error(d, 4),
    "errors_say_no_more": lambda d: set_error(d, 2, keep=True),
    "type_is_basic": lambda d: d.tree[1][0][0].__setattr__("content", der.oid_content("1.3.6.1.5.5.7.48.1.9")),
    "version_is_not_written": lambda d: d.signed.children.insert(0, tagged(0xA0, number(0))),
    "responder_is_with_it": lambda d: d.basic.children.pop(),
    "algorithm_parameters": lambda d: d.basic[1].children.append(NULL),
    "hash_is_strong": lambda d: d.basic[1][0].__setattr__("content", der.oid_content("1.2.840.10045.4.1")),
    "signature_form": (lambda d: d.basic[2].__setattr__("content", b"\0" + sequence(number(5), NULL).encode()), "unsigned"),
    "signature_is_right": (lambda d: d.signed[PRODUCED].__setattr__("content", b"20231123120001Z"), "unsigned"),
    "responder_was_valid": lambda d: certificate_of(d, lambda c: set_time(c, 0, der.UTC_TIME, b"231124120000Z")),
    "time_form": lambda d: d.signed[PRODUCED].__setattr__("content", b"20231123120000.5Z"),
    "next_update_is_there": lambda d: single(d).children.pop(3),
    "times_in_order": lambda d: single(d)[3][0].__setattr__("content", b"20231123120000Z"),
    "produced_when_it_was_known": lambda d: d.signed[PRODUCED].__setattr__("content", b"20231123115959Z"),
    "something_is_said": lambda d: d.signed[SINGLES].__setattr__("children", []),
    "what_was_asked_is_answered": lambda d: single(d)[0][3].__setattr__("content", b"\x05"),
    "the_issuer_is_the_one_above": lambda d: single(d)[0][2].__setattr__("content", bytes(20)),
    "reason_is_known": lambda d: single(d)[1][1][0].__setattr__("content", b"\x08"),
    "reason_is_said_or_absent": lambda d: single(d)[1][1][0].__setattr__("content", b"\0"),
    "revoked_before_it_was_said": lambda d: single(d)[1][0].__setattr__("content", b"20231123120001Z"),
    "nonce_is_the_requests": lambda d: set_nonce(d, Element(der.OCTET_STRING, b"another nonce")),
    "nonce_form": lambda d: set_nonce(d, Element(der.OCTET_STRING, bytes(129))),
    "extensions_are_unique": lambda d: d.extension_list().children.append(d.extension(common.NONCE)),
    "extensions_are_not_critical": lambda d: d.set_critical(common.NONCE, True),
    "answers_do_not_last": lambda d: single(d)[3][0].__setattr__("content", b"20231125120000Z"),
}


def names(findings):
    return {finding.rule for finding in findings}


def sealed(draft, change):
    """@param change with the word that it is not to be signed anew, or without"""
    change, *unsigned = change if isinstance(change, tuple) else (change,)
    change(draft)
    return draft.encode() if unsigned or len(draft.tree.children) == 1 else draft.seal()


def lint_certificate(kind, octets):
    _, above, _ = good().certificates[kind]
    return lint.lint_certificate(octets, roles.LSC if "RSA" in kind else kind, above)


def lint_crl(octets):
    previous = Crl(good().crl, good().issuer)
    previous.extensions.find(common.CRL_NUMBER).tree.content = b"\x06"
    return lint.lint_crl(octets, good().issuer, previous, ["http://ca.example:3807/crl/1/0.crl"])


class GoodTest(unittest.TestCase):
    def test_nothing_is_found_where_nothing_is_wrong(self):
        for kind, (octets, _, _) in good().certificates.items():
            with self.subTest(kind):
                self.assertEqual(lint.wrong(lint_certificate(kind, octets)), [])
        self.assertEqual(lint_crl(good().crl), [])
        self.assertEqual(lint.lint_ocsp(good().answer, good().issuer, good().request), [])
        self.assertEqual(lint.lint_ocsp(b"0\x03\n\x01\x06", good().issuer), [])

    def test_after_a_change_and_back_it_is_the_same(self):
        octets, _, key = good().certificates[roles.LSC]
        self.assertEqual(Draft(octets, key).encode(), octets)
        self.assertEqual(AnswerDraft(good().answer, good().key).encode(), good().answer)
        self.assertEqual(lint.wrong(lint_certificate(roles.LSC, Draft(octets, key).seal())), [])

    def test_later_than_2049_is_said_in_generalized_time(self):
        octets, _, key = good().certificates[roles.ISSUER]
        draft = Draft(octets, key)
        set_time(draft, 1, der.GENERALIZED_TIME, b"20500101000000Z")
        self.assertEqual(lint.lint_certificate(draft.seal(), roles.ISSUER), [])
        self.assertEqual(common.when((der.UTC_TIME, b"500101000000Z")), datetime.datetime(1950, 1, 1))


class BrokenTest(unittest.TestCase):
    def test_each_rule_for_certificates_fires(self):
        for rule, (kind, *change) in CERTIFICATES.items():
            with self.subTest(rule):
                octets, _, key = good().certificates[kind]
                self.assertIn(f"certificate.{rule}", names(lint_certificate(kind, sealed(Draft(octets, key), tuple(change)))))

    def test_each_rule_for_crls_fires(self):
        for rule, change in CRLS.items():
            with self.subTest(rule):
                self.assertIn(f"crl.{rule}", names(lint_crl(sealed(Draft(good().crl, good().issuer_key), change))))

    def test_each_rule_for_answers_fires(self):
        for rule, change in ANSWERS.items():
            with self.subTest(rule):
                octets = sealed(AnswerDraft(good().answer, good().key), change)
                self.assertIn(f"ocsp.{rule}", names(lint.lint_ocsp(octets, good().issuer, good().request)))

    def test_an_issuer_that_may_not_sign_crls_has_none(self):
        octets, _, key = good().certificates[roles.ISSUER]
        draft = Draft(octets, key)
        set_usage(draft, roles.CERT_SIGN)
        issuer = roles.Certificate(draft.seal(), roles.ISSUER)
        self.assertEqual(names(lint.lint_crl(good().crl, issuer)), {"crl.issuer_may_sign_crls"})

    def test_every_rule_is_broken_somewhere(self):
        broken = ({f"certificate.{rule}" for rule in CERTIFICATES} | {f"crl.{rule}" for rule in CRLS} |
                  {f"ocsp.{rule}" for rule in ANSWERS} | {"crl.issuer_may_sign_crls"})
        self.assertEqual(set(RULES), broken)

    def test_each_way_not_to_be_der_is_found(self):
        for words, octets in (
                ("behind the end", "0500 00"), ("shortest way", "30 8100"), ("shortest way", "30 82 0002 0500"),
                ("neither 00 nor FF", "0101 01"), ("INTEGER", "0200"), ("INTEGER", "0202 0001"), ("INTEGER", "0202 FF80"),
                ("unused bits", "0302 0201"), ("unused bits", "0300"), ("unused bits", "0301 01"), ("NULL", "0501 00"),
                ("IDENTIFIER", "0602 8001"), ("IDENTIFIER", "0602 2A80"), ("in order", "3106 020102 020101"),
                ("in pieces", "2403 040100"), ("INTEGER", "300A 0603 551D0F 0403 020200")):
            faults = []
            try:
                der.read(bytes.fromhex(octets), faults)
            except der.Broken as broken:
                faults.append(str(broken))
            self.assertTrue(faults, octets)
            if octets[:4] != "300A":
                self.assertIn(words, faults[0])
        for octets in ("", "30", "3080 0000", "1F8101 00", "0402 01", "30" * 64):
            with self.assertRaises(der.Broken, msg=octets):
                der.read(bytes.fromhex(octets))

    def test_what_cannot_be_read_is_found(self):
        octets = good().certificates[roles.LSC][0]
        for cut in (0, 1, 4, 40, len(octets) - 1):
            self.assertEqual(names(lint.lint_certificate(octets[:cut], roles.LSC, good().issuer)), {"certificate.unreadable"})
        self.assertEqual(names(lint.lint_crl(octets, good().issuer)), {"crl.unreadable"})
        self.assertEqual(names(lint.lint_ocsp(octets, good().issuer)), {"ocsp.unreadable"})

    def test_a_bad_responder_is_found_in_the_answer(self):
        draft = AnswerDraft(good().answer, good().key)
        certificate_of(draft, lambda c: c.drop(common.NO_CHECK))
        self.assertEqual(names(lint.lint_ocsp(draft.seal(), good().issuer, good().request)),
                         {"certificate.a_responder_is_not_asked_about"})


class OverrideTest(unittest.TestCase):
    def test_each_override_is_of_a_rule_and_excuses_its_role_alone(self):
        for override in OVERRIDES:
            with self.subTest(override.rule):
                self.assertIn(override.rule, RULES)
                self.assertTrue(override.reason)
                found = Finding(override.rule, "so")
                for role in (roles.LSC, roles.ISSUER, roles.ABOVE, roles.RESPONDER, roles.WIRE, roles.SERVER,
                             roles.ADMINISTRATOR, roles.SITE_CA):
                    (judged,) = lint._excused([found], role)
                    self.assertEqual(bool(judged.excuse), role in override.roles)

    def test_the_wires_certificate_is_excused_by_name(self):
        findings = lint_certificate(roles.WIRE, good().certificates[roles.WIRE][0])
        self.assertEqual(names(findings), {"certificate.who_signed_it_is_a_ca",
                                           "certificate.servers_are_named_in_alternative_names"})
        self.assertEqual(lint.wrong(findings), [])


class ReadmeTest(unittest.TestCase):
    def test_it_has_every_rule_and_every_override(self):
        text = (pathlib.Path(__file__).parent / "README.md").read_text()
        rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", text, re.M)
        self.assertEqual(sorted(rows), sorted((rule.name.partition(".")[2], rule.section, rule.words)
                                              for rule in RULES.values()))
        overrides = re.findall(r"^\| `([\w.]+)` of (.*?) \| (.*?) \|$", text, re.M)
        self.assertEqual(overrides, [(one.rule, ", ".join(one.roles), one.reason) for one in OVERRIDES])


if __name__ == "__main__":
    unittest.main()
