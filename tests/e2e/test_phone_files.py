"""Trust lists, signed and encrypted files: another reader takes what the writers make and what open tools made, and
judges each wrong file as it should be judged. PHONE_FILES names the program that makes files with every writer."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

from e2e import phone_files
from e2e.phone_files import Refused, TrustList

DATA = pathlib.Path(__file__).parents[1] / "data/phone-files"
CERTS = DATA / "certs"


def certificate(name):
    return phone_files.load_certificate(CERTS / f"{name}.crt")


def key(name):
    return phone_files.load_key(CERTS / f"{name}.key")


def name_inside(path):
    """The name in a file of this path: a list's is the generic one."""
    if path.suffix == ".tlv":
        return ("CTL" if "CTL" in path.name else "ITL") + "File.tlv"
    return f"New_Zealand/{path.name}" if path.parent.name == "New_Zealand" else path.name


class VectorTest(unittest.TestCase):
    def test_every_good_file_is_read_as_the_manifest_says(self):
        for entry in json.loads((DATA / "manifest.json").read_text()):
            with self.subTest(entry["file"]):
                path, reads = DATA / entry["file"], entry["reads"]
                octets = path.read_bytes()
                signer = phone_files.load_certificate(DATA / entry["certificate"]) if "certificate" in entry else None
                opens = phone_files.load_key(DATA / entry["key"]) if "key" in entry else None
                content = phone_files.read(octets, name_inside(path), signer, opens)
                file = phone_files.File(octets)
                self.assertEqual((file.name, file.time, file.digest),
                                 (reads["file_name"], reads["timestamp"], reads["digest"]))
                if entry["kind"] == "list":
                    self.assertEqual([record.role for record in content],
                                     [record["role"] for record in reads["records"]])
                    self.assertEqual([record.order for record in content],
                                     [record["order"][1:] for record in reads["records"]])
                elif entry["kind"] == "signed" and path.parent.name in ("sgn", "New_Zealand"):
                    self.assertEqual(content, path.with_suffix("").read_bytes())
                elif entry["kind"] == "encrypted":
                    self.assertEqual(content, (path.parent / "plaintext.xml").read_bytes())

    def test_every_wrong_file_is_judged_as_expected(self):
        outcomes = {"accept": 0, "refuse": 0}
        for entry in json.loads((DATA / "malformed/malformed.json").read_text()):
            with self.subTest(entry["file"], what=entry["what"]):
                octets = (DATA / "malformed" / entry["file"]).read_bytes()
                kind = entry["file"].split(".", 1)[1]
                name = {"tlv": "ITLFile.tlv", "sgn": "SEP001122334455.cnf.xml.sgn",
                        "enc.sgn": "SEP001122334455.cnf.xml.enc.sgn"}[kind]
                try:
                    phone_files.read(octets, name, certificate("tftp"), key("phone_rsa2048"))
                    outcome = "accept"
                except Refused:
                    outcome = "refuse"
                self.assertEqual(outcome, entry["expected"])
                outcomes[outcome] += 1
        self.assertEqual(outcomes, {"accept": 5, "refuse": 108})

    def test_the_hash_of_a_certificate_is_openssls(self):
        for entry in json.loads((DATA / "certhash.json").read_text()):
            found = phone_files.certificate_hash(phone_files.load_certificate(DATA / entry["certificate"]))
            self.assertEqual(found, entry["certHash_md5_hex"])


class MadeTest(unittest.TestCase):
    """Files that the program under test made a moment ago."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.made = pathlib.Path(folder.name)
        subprocess.run([os.environ["PHONE_FILES"], DATA, cls.made], check=True)

    def octets(self, name):
        return (self.made / name).read_bytes()

    def read(self, name, inside, signer="tftp", opens=None):
        return phone_files.read(self.octets(name), inside, certificate(signer), opens and key(opens))

    def lists(self):
        return {path.name: TrustList(path.read_bytes(), name_inside(path)) for path in self.made.glob("*.tlv")}

    def test_trust_lists_hold_what_was_listed(self):
        lists = self.lists()
        self.assertEqual(set(lists), {"ITL-sha1.tlv", "ITL-sha512.tlv", "CTL-mixed.tlv", "CTL-nonsecure.tlv",
                                      "ITL-4096.tlv", "ITL-38.tlv"})
        for name, digest in (("ITL-sha1.tlv", 1), ("ITL-sha512.tlv", 3)):
            found = lists[name]
            self.assertEqual(found.file.digest, digest)
            self.assertEqual([(record.role, record.certificate) for record in found.records],
                             [("SAST", certificate("sast_a")), ("SAST", certificate("sast_b")),
                              ("TFTP", certificate("tftp")), ("TFTP", certificate("tftp_ec")),
                              ("TVS", certificate("tvs")), ("APP-SERVER", certificate("app_521")),
                              ("CAPF", certificate("capf"))])
        self.assertEqual((lists["ITL-sha1.tlv"].file.https, lists["ITL-sha512.tlv"].file.https), (False, True))
        self.assertEqual(len(lists["ITL-38.tlv"].records), 38)
        self.assertEqual(lists["ITL-4096.tlv"].file.modulus, 4096)

    def test_a_server_has_its_record_with_and_without_a_certificate(self):
        mixed, nonsecure = (self.lists()[f"CTL-{mode}.tlv"].records[-1] for mode in ("mixed", "nonsecure"))
        for record in (mixed, nonsecure):
            self.assertEqual((record.role, record.dns, record.address), ("CCM+TFTP", "sip.example.org", "192.0.2.11"))
        self.assertEqual(mixed.order, [2, 3, 4, 5, 6, 7, 8, 9, 10])
        self.assertEqual(nonsecure.order, [2, 4, 10])
        self.assertIsNone(nonsecure.certificate)

    def test_a_list_is_followed_by_those_that_know_its_signer(self):
        lists = self.lists()
        self.assertTrue(lists["ITL-sha512.tlv"].follows(lists["ITL-sha1.tlv"]))
        self.assertFalse(lists["ITL-4096.tlv"].follows(lists["ITL-sha1.tlv"]))

    def test_signed_files_hold_their_content(self):
        self.assertEqual(self.read("plain.sgn", "SEP001122334455.cnf.xml.sgn"), b"<device/>\n")
        self.assertEqual(self.read("empty.sgn", "empty.xml.sgn"), b"")
        self.assertEqual(self.read("binary.sgn", "New_Zealand/g3-tones.xml.sgn"), bytes(range(256)) * 4)
        with self.assertRaises(Refused):
            self.read("plain.sgn", "SEP001122334456.cnf.xml.sgn")
        with self.assertRaises(Refused):
            self.read("plain.sgn", "SEP001122334455.cnf.xml.sgn", signer="ccm")

    def test_encrypted_files_open_for_their_phone_alone(self):
        drawn = set()
        for bits in (1024, 2048, 4096):
            for padding in range(1, 17):
                name = f"phone{bits}-{padding}.enc.sgn"
                plain = self.read(name, "SEP001122334455.cnf.xml.enc.sgn", opens=f"phone_rsa{bits}")
                self.assertEqual(plain, b"x" * (48 - padding))
                file = phone_files.File(self.octets(name))
                self.assertEqual(file.pad, padding)
                drawn |= {file.iv, key(f"phone_rsa{bits}").decrypt(file.wrapped, phone_files.padding.PKCS1v15())}
        self.assertEqual(len(drawn), 2 * 3 * 16, "a key or an IV was drawn twice")
        with self.assertRaises(Refused):
            self.read("phone2048-1.enc.sgn", "SEP001122334455.cnf.xml.enc.sgn", opens="phone_rsa1024")

    def test_no_bit_can_be_flipped_unnoticed(self):  # one of each octet: the unit tests flip them all
        for name, inside in (("CTL-nonsecure.tlv", "CTLFile.tlv"), ("plain.sgn", "SEP001122334455.cnf.xml.sgn"),
                             ("phone1024-3.enc.sgn", "SEP001122334455.cnf.xml.enc.sgn")):
            octets = bytearray(self.octets(name))
            for at in range(len(octets)):
                octets[at] ^= 1 << at % 8
                with self.assertRaises(Refused, msg=f"octet {at} of {name}"):
                    phone_files.read(bytes(octets), inside, SIGNER, PHONE)
                octets[at] ^= 1 << at % 8

    def test_a_configuration_is_xml_for_another_reader(self):
        source = ElementTree.parse(DATA / "enc/pad1/plaintext.xml").getroot()
        full = ElementTree.fromstring(self.octets("full.xml"))
        stub = ElementTree.fromstring(self.octets("stub.xml"))
        changed = {"deviceSecurityMode": "3", "transportLayerProtocol": "3", "capfAuthMode": "2", "encrConfig": "true",
                   "certHash": phone_files.certificate_hash(certificate("phone_rsa2048")), "fullConfig": "true"}
        for name, value in changed.items():
            self.assertEqual(full.findtext(name), value, name)
        touched = {*changed, "capfList", "TVS", "vendorConfig", "sipProfile"}
        untouched = [[ElementTree.tostring(child).strip() for child in root if child.tag not in touched]
                     for root in (source, full)]
        self.assertEqual(*untouched)
        self.assertEqual(full.findtext("sipProfile/sipLines/line/authPassword"), "p&<ss>\"w\u00f6rd'")
        self.assertEqual([child.tag for child in stub], ["fullConfig", "ipAddressMode", "loadInformation",
                                                         "capfAuthMode", "capfList", "certHash", "encrConfig"])
        self.assertEqual((stub.findtext("fullConfig"), stub.findtext("certHash")), ("false", changed["certHash"]))
        subprocess.run(["xmllint", "--noout", self.made / "full.xml", self.made / "stub.xml"], check=True)


SIGNER, PHONE = certificate("tftp"), key("phone_rsa1024")

if __name__ == "__main__":
    unittest.main()
