"""What a site has issued, held against the standards' rules: README.md has them all. `lint_certificate`,
`lint_crl` and `lint_ocsp` read an object and return what is wrong with it."""

from lint.certificate import RESPONDER, Certificate
from lint.crl import Crl
from lint.ocsp import Answer
from lint.overrides import OVERRIDES
from lint.rule import CERTIFICATE, CRL, OCSP, Finding, broken

UNREADABLE = "unreadable"


def _findings(kind, read, *arguments):
    try:
        thing = read(*arguments)
    except (ValueError, TypeError, IndexError, AttributeError) as error:
        return [Finding(f"{kind}.{UNREADABLE}", f"it cannot be read: {error!r}")]
    return broken(kind, thing)


def _excused(findings, role):
    return [Finding(one.rule, one.words, next((override.reason for override in OVERRIDES
                                              if override.rule == one.rule and role in override.roles), ""))
            for one in findings]


def lint_certificate(octets, role, above=None):
    """@param above the issuer's Certificate; nothing for a self-signed one. @return all findings, also excused ones"""
    return _excused(_findings(CERTIFICATE, Certificate, octets, role, above), role)


def lint_crl(octets, above, previous=None, urls=()):
    """@param previous the Crl before it @param urls where the shard's certificates say that it is"""
    return _findings(CRL, Crl, octets, above, previous, urls)


def lint_ocsp(octets, above, request=None):
    """An answer and the responder's certificate in it."""
    findings = _findings(OCSP, Answer, octets, above, request)
    if not any(one.rule.endswith(UNREADABLE) for one in findings):
        for responder in Answer(octets, above).certificates:
            findings += lint_certificate(responder.octets, RESPONDER, above)
    return findings


def wrong(findings):
    """Those that are so on no purpose."""
    return [one for one in findings if not one.excuse]
