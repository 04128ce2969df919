"""Lints everything that a site has issued: its certificates, its CRLs, and answers of OCSP."""

import collections
import hashlib
import http.client
import re
import ssl

import lint
from lint import certificate as roles
from lint import common, der
from lint.certificate import Certificate
from lint.crl import Crl
from lint.der import Element, identifier, sequence, tagged
from lint.ocsp import HASHES, Answer

LARGEST_CRL = 1 << 20  # octets: the entries of larger ones are no different, and take minutes
ASKED = 3  # LSCs of each issuer that OCSP is asked about
NEVER_ISSUED = 0x4AFE_0000_0000_0000_0000_0000_0000_0001


class Lint:
    """Of one site, in whose database nothing is changed meanwhile. `findings` are words; `counts` what was looked at."""

    def __init__(self, site):
        self.site = site
        self.findings, self.counts = [], collections.Counter()
        self.issuers, self.urls, self.asked = {}, collections.defaultdict(set), collections.defaultdict(list)

    def all(self, server):
        """@param server one that runs. @return the findings that are so on no purpose"""
        self.lint_issuers()
        self.lint_lscs()
        self.lint_own()
        self.lint_crls()
        self.lint_answers(server)
        return self.findings

    def note(self, kind, what, findings):
        self.counts[kind] += 1
        self.findings += [f"{what}: {finding}" for finding in lint.wrong(findings)]

    def lint_one(self, octets, role, above=None, what=None):
        self.note(role, what or role, lint.lint_certificate(octets, role, above))

    def lint_issuers(self):
        for row in self.site.sql("select id, encode(der, 'hex'), encode(chain_der, 'hex') from issuers"):
            number, own, rest = row.split("|")
            above = None
            for octets in reversed([one.encode() for one in der.read_all(bytes.fromhex(rest))]):
                self.lint_one(octets, roles.ABOVE, above, f"above issuer {number}")
                above = Certificate(octets, roles.ABOVE, above)
            self.lint_one(bytes.fromhex(own), roles.ISSUER, above, f"issuer {number}")
            self.issuers[int(number)] = Certificate(bytes.fromhex(own), roles.ISSUER, above)

    def lint_lscs(self):
        for row in self.site.sql("select c.issuer_id, c.shard, encode(c.der, 'hex'), p.device from certificates c "
                                 "join phones p on p.id = c.phone_id where c.kind = 'lsc' order by c.id"):
            issuer, shard, octets, device = row.split("|")
            if device in self.site.changed:
                continue
            issuer, octets = int(issuer), bytes.fromhex(octets)
            self.lint_one(octets, roles.LSC, self.issuers[issuer], f"the LSC of {device}")
            self.urls[issuer, int(shard)].update(Certificate(octets, roles.LSC).point_urls)
            self.asked[issuer].append(octets)

    def lint_own(self):
        """The site's own certificates: those beside its keys."""
        folder = self.site.state / "certificates"
        site_cas = [Certificate(octets, roles.SITE_CA) for octets in certificates_in(folder / "site-ca.pem")]
        for site_ca in site_cas:
            self.lint_one(site_ca.octets, roles.SITE_CA)
        for role, path in ((roles.SERVER, folder / "server.pem"), *(
                (roles.ADMINISTRATOR, path) for path in sorted((self.site.state / "admin").glob("*.pem")))):
            # A renewed site CA has the former one's key: what was signed before is under the former one.
            octets = certificates_in(path)[0]
            begins = common.when(Certificate(octets, role).not_before)
            above = next((ca for ca in site_cas if common.when(ca.not_before) <= begins), site_cas[-1])
            self.lint_one(octets, role, above, path.name)
        for path in [folder / "wire.pem", *sorted(folder.glob("wire-[0-9]*.pem"))]:
            if path.exists():  # a former one may have been taken away; wire-ec is an administrator's own
                self.lint_one(certificates_in(path)[0], roles.WIRE, what=path.name)

    def lint_crls(self):
        pieces = collections.defaultdict(bytes)
        for row in self.site.sql("select issuer_id, shard, number, encode(data, 'hex') from crl_pieces join crls "
                                 f"using (issuer_id, shard, number) where size <= {LARGEST_CRL} "
                                 "order by issuer_id, shard, number, position"):
            issuer, shard, number, data = row.split("|")
            pieces[int(issuer), int(shard), int(number)] += bytes.fromhex(data)
        previous = {}
        for (issuer, shard, number), octets in pieces.items():
            above = self.issuers[issuer]
            self.note("CRL", f"CRL {number} of issuer {issuer}, shard {shard}", lint.lint_crl(
                octets, above, previous.get((issuer, shard)), self.urls[issuer, shard]))
            previous[issuer, shard] = Crl(octets, above)

    def lint_answers(self, server):
        for issuer, lscs in self.asked.items():
            for octets in lscs[-ASKED:]:
                serial = common.integer(Certificate(octets, roles.LSC).serial)
                self.lint_answer(server, issuer, serial, "sha1", b"n" * 32)
            self.lint_answer(server, issuer, NEVER_ISSUED, "sha256")

    def lint_answer(self, server, issuer, serial, hash, nonce=None):
        above = self.issuers[issuer]
        request = ask(above, serial, hash, nonce)
        answer = post(server, request)
        self.note("answer", f"the answer about {serial:x} of issuer {issuer}", lint.lint_ocsp(answer, above, request))
        if Answer(answer, above).body is not None:
            self.counts["successful answer"] += 1


def certificates_in(path):
    """The DER of each certificate of a PEM file."""
    blocks = re.findall("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", path.read_text(), re.S)
    return [ssl.PEM_cert_to_DER_cert(block) for block in blocks]


def ask(issuer, serial, hash, nonce=None):
    """The DER of a request. @param issuer a lint.certificate.Certificate @param hash "sha1" or "sha256"
    @param nonce octets"""
    algorithm = sequence(identifier(next(oid for oid, name in HASHES.items() if name == hash)), Element(der.NULL))
    hashed = [Element(der.OCTET_STRING, hashlib.new(hash, octets).digest())
              for octets in (issuer.subject.encode(), issuer.key[1].content[1:])]
    fields = [sequence(sequence(sequence(algorithm, *hashed, der.number(serial))))]
    if nonce is not None:
        value = Element(der.OCTET_STRING, Element(der.OCTET_STRING, nonce).encode())
        fields.append(tagged(0xA2, sequence(sequence(identifier(common.NONCE), value))))
    return sequence(sequence(*fields)).encode()


def post(server, request):
    return _exchange(server, "POST", "/ocsp", request).read()


def get(server, path):
    """The contents, or nothing."""
    answer = _exchange(server, "GET", path)
    return answer.read() if answer.status == 200 else None


def _exchange(server, method, path, body=None):
    connection = http.client.HTTPConnection(server.endpoints["status"], timeout=60)
    connection.request(method, path, body=body, headers={"Connection": "close"})
    return connection.getresponse()
