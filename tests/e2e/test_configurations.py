"""Phones' configuration files: what is imported, what phones get of it, and that no password leaves in the clear. Another
reader takes what is exported: xmllint, and e2e.phone_files, which shares no code with the writers."""

import contextlib
import json
import os
import pathlib
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

from e2e import phone_files, pki
from e2e.site import EndToEnd, Site, eventually, run

SSH = "canary-Ssh-5512"
SITE_DIGEST = "canary-Auth-7731"


def configuration(*lines, rest=""):
    """A file as a call manager writes it, with passwords of the site's own."""
    lines = "".join(f'<line button="{button}"><featureID>9</featureID><name>{name}</name>'
                    f"<authName>{name}</authName><authPassword>{SITE_DIGEST}</authPassword></line>\n"
                    for button, name in enumerate(lines, 1))
    return (f'<?xml version="1.0" encoding="UTF-8"?>\n<device>\n<!-- the site\'s own -->\n<fullConfig>true</fullConfig>\n'
            f"<loadInformation>sip88xx.14-2-1</loadInformation>\n<vendorConfig><webAccess>0</webAccess></vendorConfig>\n"
            f"<sshUserId>admin</sshUserId><sshPassword>{SSH}</sshPassword>\n{rest}"
            f"<sipProfile><sipLines>\n{lines}</sipLines></sipProfile>\n</device>\n")


class Configurations(EndToEnd):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def file(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def phone(self, *lines, rest=""):
        """A phone with a file of its own."""
        device = self.site.add_phone(self.device())
        self.site.capfctl("configuration", "import", self.file(f"{device}.cnf.xml", configuration(*lines, rest=rest)))
        return device

    def shown(self, device):
        return self.site.json("configuration", "show", device)

    def exported(self, device, form="plain", code=0):
        """The octets of a file. It is written anew each time."""
        path = self.folder / "exported"
        path.unlink(missing_ok=True)
        done = self.site.capfctl("configuration", "export", device, "--form", form, "--out", path, code=code)
        return path.read_bytes() if code == 0 else done

    def element(self, octets, name):
        run("xmllint", "--noout", "--nonet", "-", input=octets.decode())
        return ElementTree.fromstring(octets).findtext(name)


class ImportTest(Configurations):
    def test_a_folder_is_imported_and_a_second_time_nothing_changes(self):
        devices = sorted(self.site.add_phone(self.device()) for _ in range(3))
        for device in devices:
            self.file(f"{device}.cnf.xml", configuration(f"{device}-line"))
        self.file("dialplan.xml", "<DIALTEMPLATE/>")
        planned = self.site.json("configuration", "import", self.folder, "--dry-run")
        self.assertEqual(planned, {"added": 3, "changed": 0, "unchanged": 0})
        self.assertEqual(self.shown(devices[0])["source"], "built-in")
        self.assertEqual(self.site.json("configuration", "import", self.folder), planned)
        self.assertEqual(self.site.json("configuration", "import", self.folder),
                         {"added": 0, "changed": 0, "unchanged": 3})
        self.file(f"{devices[1]}.cnf.xml", configuration(f"{devices[1]}-line", rest="<mark/>"))
        self.assertEqual(self.site.json("configuration", "import", self.folder),
                         {"added": 0, "changed": 1, "unchanged": 2})
        shown = self.shown(devices[1])
        self.assertEqual((shown["source"], shown["revision"], shown["imported_by"]), ("imported", 2, "admin"))
        self.assertIn("<mark", shown["text"])
        self.assertEqual(self.site.json("line", "show", f"{devices[0]}-line")["devices"][0]["device"], devices[0])

    def test_every_problem_is_told_with_its_file_and_nothing_is_done(self):
        good, unknown = self.site.add_phone(self.device()), self.device()
        paths = [self.file(f"{good}.cnf.xml", configuration("1")), self.file(f"{unknown}.cnf.xml", configuration("1"))]
        broken = {"doctype": '<!DOCTYPE device [<!ENTITY x "y">]><device>&x;</device>', "two roots": "<device/><device/>",
                  "deep": "<device>" + "<a>" * 200_000 + "</a>" * 200_000 + "</device>",
                  "utf-7": '<?xml version="1.0" encoding="UTF-7"?><device>+AD0-\u00e4</device>',
                  "stub": "<device><fullConfig>false</fullConfig></device>", "another root": "<phone/>"}
        for text in broken.values():
            device = self.site.add_phone(self.device())
            paths.append(self.file(f"{device}.cnf.xml", text))
        device = self.site.add_phone(self.device())
        paths.append(self.file(f"{device}.cnf.xml", configuration("1", rest=f"<x>{'y' * 1024 * 1024}</x>")))
        paths.append(self.file("SEP..%2f.cnf.xml", configuration("1")))
        refused = self.site.capfctl("configuration", "import", *paths, code=1)
        for path in paths[1:]:
            self.assertSays(refused, f"{path}: ")
        self.assertSays(refused, "UNKNOWN_DEVICE", "PHONE_CONFIGURATION_MALFORMED", "nothing was imported",
                        f"{len(paths) - 1} problems")
        self.assertNotIn(f"{paths[0]}: ", refused.stderr)
        self.assertNotIn(SSH, refused.stderr)
        self.assertEqual(self.shown(good)["source"], "built-in")
        self.site.capfctl("configuration", "import", self.folder / "nothing.cnf.xml", code=1)
        self.site.capfctl("configuration", "import", code=2)

    def test_a_file_that_would_mix_a_line_is_refused_and_lines_follow_the_files(self):
        site = Site()
        self.addCleanup(site.close)
        site.capfctl("site", "security-mode", "mixed", "--yes", "--anyway")
        site.capfctl("profile", "add", "secure", "--mode", "encrypted")
        secure, plain = site.add_phone(self.device()), site.add_phone(self.device())
        site.capfctl("profile", "apply", "secure", secure, "--anyway")
        site.capfctl("configuration", "import", self.file(f"{secure}.cnf.xml", configuration("2001", "2002")))
        path = self.file(f"{plain}.cnf.xml", configuration("2001"))
        refused = site.capfctl("configuration", "import", path, code=1)
        self.assertSays(refused, "SHARED_LINE_MIXED", "2001", secure, plain)
        site.capfctl("configuration", "import", self.file(f"{secure}.cnf.xml", configuration("2002")))
        site.capfctl("configuration", "import", path)
        self.assertEqual([each["device"] for each in site.json("line", "show", "2001")["devices"]], [plain])

    def test_a_file_is_removed_and_its_phone_gets_the_template(self):
        site = Site()
        self.addCleanup(site.close)
        device, other = site.add_phone(self.device()), site.add_phone(self.device())
        site.capfctl("configuration", "import", self.file(f"{device}.cnf.xml", configuration("2001")), "--template",
                     self.file("any.xml", configuration("", rest="<mark/>")))
        self.assertEqual(site.json("configuration", "remove", device, other, "--yes"), {"removed": 1, "absent": 1})
        shown = site.json("configuration", "show", device)
        self.assertEqual(shown["source"], "template")
        self.assertIn("<mark", shown["text"])
        self.assertEqual(site.json("line", "show", "2001").get("devices", []), [])
        self.assertEqual(site.json("configuration", "remove", "--template", "--yes"), {"removed": 1, "absent": 0})
        self.assertEqual(site.json("configuration", "show", device)["source"], "built-in")
        self.assertSays(site.capfctl("configuration", "remove", self.device(), "--yes", code=1), "UNKNOWN_DEVICE")
        self.assertSays(site.capfctl("configuration", "remove", "--yes", code=2), "name devices")

    def test_operators_import_and_auditors_only_look(self):
        device = self.site.add_phone(self.device())
        path = self.file(f"{device}.cnf.xml", configuration("1"))
        for role in ("operator", "auditor"):
            self.site.capfctl("administrator", "add", f"a-{role}", "--role", role)
        refused = self.site.capfctl("--administrator", "a-auditor", "configuration", "import", path, code=1)
        self.assertSays(refused, "ROLE_DENIED")
        self.site.capfctl("--administrator", "a-operator", "configuration", "import", path)
        self.site.capfctl("--administrator", "a-auditor", "configuration", "show", device)
        self.assertEqual([event["action"] for event in self.site.json("audit", "list", "--subject", device)
                          if event["action"].startswith("configuration.")], ["configuration.import"])


class FileTest(Configurations):
    def test_what_a_profile_decides_is_set_and_the_rest_stays(self):
        device = self.phone("2101")
        before = self.exported(device)
        self.assertEqual(self.element(before, "deviceSecurityMode"), "1")
        self.assertEqual(self.element(before, "transportLayerProtocol"), "4")
        self.assertEqual(self.element(before, "capfAuthMode"), "0")
        self.assertEqual(self.element(before, "loadInformation"), "sip88xx.14-2-1")
        self.assertIn(b"<!-- the site's own -->", before)
        for canary in (SSH, SITE_DIGEST):
            self.assertNotIn(canary.encode(), before)
        generation = self.shown(device)["generation"]
        self.site.capfctl("phone", "set", device, "--web-access", "off", "--transport", "udp")
        self.assertNotEqual(self.shown(device)["generation"], generation)
        after = self.exported(device)
        self.assertEqual(self.element(after, "vendorConfig/webAccess"), "1")
        self.assertEqual(self.element(after, "transportLayerProtocol"), "2")
        self.site.schedule(device, "install", "string")
        after = self.exported(device)
        self.assertEqual(self.element(after, "capfAuthMode"), "1")
        self.assertTrue(self.element(after, "capfList/capf/processNodeName"))

    def test_the_difference_to_the_sites_own_file_is_shown_without_passwords(self):
        device = self.phone("2102")
        self.site.capfctl("phone", "set", device, "--web-access", "off")
        shown = self.site.capfctl("configuration", "show", device, "--diff").stdout
        self.assertIn("\n- <webAccess>0</webAccess>\n+ <webAccess>1</webAccess>\n", shown)
        self.assertIn("\n- <sshPassword>***</sshPassword>\n", shown)
        self.assertNotIn("sip88xx", shown)
        whole = self.site.capfctl("configuration", "show", device).stdout
        self.assertIn("sip88xx", whole)
        for text in (shown, whole):
            self.assertNotIn(SSH, text)
            self.assertNotIn(SITE_DIGEST, text)

    def test_phones_without_a_file_get_the_sites_template(self):
        site = Site()
        self.addCleanup(site.close)
        device = site.add_phone(self.device())
        site.capfctl("configuration", "import", "--template", self.file("any.xml", configuration("1", rest="<mark>t</mark>")),
                     self.file("XMLDefault.cnf.xml", "<Default><callManagerGroup/></Default>"))
        shown = site.json("configuration", "show", device)
        self.assertEqual(shown["source"], "template")
        self.assertIn("<mark>t</mark>", shown["text"])
        refused = site.capfctl("configuration", "import", self.file("XMLDefault.cnf.xml",
                                                                   f"<Default><sshPassword>{SSH}</sshPassword></Default>"), code=1)
        self.assertSays(refused, "sshPassword")
        self.assertNotIn(SSH, refused.stderr)

    def test_check_says_what_is_missing(self):
        device, other = self.phone("2103"), self.phone("2104")
        self.site.capfctl("phone", "set", device, "--digest", "on", "--encrypted-config", "on")
        rows = {row["device"]: row for row in self.site.json("configuration", "check", device, other)}
        self.assertEqual(set(rows), {device, other})
        self.assertEqual([row["fault"] for row in rows.values()], [None, None])
        self.assertIn("digest user", " ".join(rows[device]["warnings"]))
        self.assertSays(self.site.capfctl("configuration", "check", self.device(), code=1), "UNKNOWN_DEVICE")

    def test_a_folder_is_read_again_and_again(self):
        folder = self.folder / "source"
        folder.mkdir()
        site = Site(settings=lambda text: text + f"\n[files]\nsource = {json.dumps(str(folder))}\n")
        self.addCleanup(site.close)
        first, later = self.device(), self.device()
        (folder / "broken").write_text("<device/>")
        (folder / f"{first}.cnf.xml").write_text(configuration("1"))
        (folder / f"{later}.cnf.xml").symlink_to(self.file("elsewhere", configuration("2")))
        site.add_phone(first)

        def source(device):
            return site.json("configuration", "show", device)["source"]

        eventually(lambda: source(first) == "imported", "a file whose phone was added later is imported")
        self.assertEqual(site.json("configuration", "show", first)["imported_by"], "capfd")
        (folder / f"{first}.cnf.xml").write_text(configuration("1", rest="<mark/>"))
        eventually(lambda: site.json("configuration", "show", first)["revision"] == 2, "a changed file is imported")
        site.add_phone(later)
        (folder / f"{later}.cnf.xml").unlink()
        (folder / f"{later}.cnf.xml").write_text("<device>")
        eventually(lambda: any(" configuration.refused " in line and later in line
                               for line in site.server.log_text().splitlines()), "a broken file is in the log")
        self.assertEqual(source(later), "built-in")


class EncryptedTest(Configurations):
    """A site whose server has a key that signs files."""

    def signer(self):
        return phone_files.load_certificate(self.site.server.state / "certificates/file-signer.pem")

    def test_an_encrypted_file_opens_with_the_phones_key_alone(self):
        device = self.phone("2201")
        self.site.capfctl("digest-user", "add", "2201", "--password", "-", input="canary-Digest-88\n")
        self.site.capfctl("phone", "digest", device, "2201")
        self.site.capfctl("phone", "set", device, "--digest", "on", "--encrypted-config", "on")
        self.assertSays(self.exported(device, "encrypted", code=1), "NO_CERTIFICATE")
        self.site.schedule(device, "install", "null")
        self.site.phone(device)
        certificate = phone_files.load_certificate(self.site.phones / f"{device}.pem")
        key = phone_files.load_key(self.site.phones / f"{device}.key")
        shown = self.shown(device)
        self.assertEqual((shown["encrypted_for"], shown["passwords"]), ("lsc", True))
        self.assertNotIn("canary", shown["text"])

        name = f"{device}.cnf.xml.enc.sgn"
        octets = self.exported(device, "encrypted")
        opened = phone_files.read(octets, name, self.signer(), key)
        self.assertEqual(self.element(opened, "sipProfile/sipLines/line/authPassword"), "canary-Digest-88")
        self.assertEqual(self.element(opened, "sshPassword"), SSH)
        self.assertEqual(self.element(opened, "fullConfig"), "true")
        path, content = self.site.folder / name, self.site.folder / f"{device}.xml"
        path.write_bytes(octets)
        by_key = ("files", "verify", path, "--signer", self.site.state / "certificates/file-signer.pem", "--key")
        self.site.capfctl(*by_key, self.site.phones / f"{device}.key", "--content", content)
        self.assertEqual((content.read_bytes(), content.stat().st_mode & 0o777), (opened, 0o600))
        stranger = self.site.folder / "stranger.key"
        stranger.write_bytes(pki.pem_of_key(pki.make_key("rsa-2048")))
        stranger.chmod(0o600)
        self.assertSays(self.site.capfctl(*by_key, stranger, code=1), "FILE_MALFORMED", "does not open")
        again = self.exported(device, "encrypted")
        self.assertNotEqual(again, octets)
        for form in ("plain", "signed"):
            stub = self.exported(device, form)
            if form == "signed":
                stub = phone_files.read(stub, f"{device}.cnf.xml.sgn", self.signer())
            self.assertEqual(self.element(stub, "fullConfig"), "false")
            self.assertEqual(self.element(stub, "encrConfig"), "true")
            self.assertEqual(self.element(stub, "certHash"), phone_files.certificate_hash(certificate))
            self.assertNotIn(b"canary", stub)

    def test_a_signed_file_is_the_plain_one(self):
        device = self.phone("2202")
        signed = self.exported(device, "signed")
        self.assertEqual(phone_files.read(signed, f"{device}.cnf.xml.sgn", self.signer()), self.exported(device))
        self.assertEqual(phone_files.File(signed).digest, 3)
        self.site.capfctl("phone", "set", device, "--file-digest", "sha1")
        self.assertEqual(phone_files.File(self.exported(device, "signed")).digest, 1)


class CanaryTest(Configurations):
    """Passwords of imported files stand nowhere: not in the database, a dump, logs, metrics or the record."""

    def test_passwords_stand_nowhere(self):
        site = Site(settings=lambda text: text + '\n[log]\nlevel = "debug"\n')
        self.addCleanup(site.close)
        site.sql("alter system set log_statement = 'all'", user="postgres")
        site.sql("alter system set log_parameter_max_length = -1", user="postgres")
        site.sql("select pg_reload_conf()", user="postgres")
        device = site.enrol(self.device()).stem
        path = self.file(f"{device}.cnf.xml", configuration("2301"))
        site.capfctl("configuration", "import", path)
        site.capfctl("phone", "set", device, "--encrypted-config", "on")
        for command in ("show", "check", "export"):
            self.assertNotIn("canary", site.capfctl("configuration", command, device).stdout)
        site.capfctl("site", "rekey-secrets")
        site.server.restart()
        self.assertEqual(site.json("configuration", "show", device)["source"], "imported")
        seen = {"dump": subprocess.run(["pg_dump", f"{site.database} user=postgres dbname=capf"], capture_output=True,
                                       check=True).stdout}
        for folder, _, names in os.walk(site.state):
            for name in names:
                if os.path.isfile(os.path.join(folder, name)):
                    with contextlib.suppress(FileNotFoundError):  # it may be gone by now
                        seen[os.path.join(folder, name)] = pathlib.Path(folder, name).read_bytes()
        logs = next(path for path in seen if path.endswith("postgres.log"))
        self.assertIn(b"configurations_put", seen[logs])
        for where, octets in seen.items():
            for canary in (SSH, SITE_DIGEST):
                for form in (canary.encode(), canary.encode().hex().encode()):
                    self.assertFalse(form in octets, f"a password is in {where}")


if __name__ == "__main__":
    unittest.main()
