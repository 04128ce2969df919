"""Digest users in the files of SIP servers: a real Kamailio takes them and phones register there; the other formats are
read by Python's own readers, and by PostgreSQL; what must not become a file."""

import csv
import hashlib
import io
import json
import pathlib
import re
import stat
import tempfile
import unittest
import xml.etree.ElementTree

from e2e.kamailio import Kamailio
from e2e.site import EndToEnd, Site

REALM = 'it\'s "quoted" \\ realm'
USERS = {"4711": "s3cret-9Qx!", "4712": "a b,c:d'e", "jörg": "Straße 1", "o'; DROP TABLE subscriber; --": "x\"y\\z;.-_"}
FORMATS = ("asterisk-pjsip", "asterisk-pjsip-digests", "asterisk-chan-sip", "freeswitch", "kamailio-sql", "kamailio-csv",
           "kamailio-htable-csv", "opensips-sql", "opensips-csv", "opensips-preferences-csv", "json")


def ha1(algorithm, user, realm):
    return hashlib.new(algorithm, f"{user}:{realm}:{USERS[user]}".encode()).hexdigest()


def make_site(realm):
    """A site with the users, and two phones of the first of them, one with an LSC."""
    site = Site(settings=lambda text: text + f"\n[digest]\nrealm = {json.dumps(realm)}\n")
    unittest.addModuleCleanup(site.close)
    for user, password in USERS.items():
        site.capfctl("digest-user", "add", user, "--password", "-", input=password + "\n")
    site.enrol("SEP001122334455")
    site.add_phone("SEP001122334456")
    for device in ("SEP001122334455", "SEP001122334456"):
        site.capfctl("phone", "digest", device, "4711")
    return site


class ExportTest(EndToEnd):
    realm = "ccmsipline"
    _sites = {}

    @classmethod
    def setUpClass(cls):
        cls.site = cls._sites.get(cls.realm) or cls._sites.setdefault(cls.realm, make_site(cls.realm))
        cls.lsc = cls.site.json("certificate", "show", "SEP001122334455")["sha256"]

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=self.site.folder))
        self.folder.chmod(0o711)

    def export(self, form, *options, path=None, code=0):
        path = path or self.folder / form
        done = self.site.capfctl("digest-user", "export", "--format", form, "--out", path, *options, code=code)
        return done if code else path

    def text(self, form):
        return self.export(form).read_text(encoding="utf-8")


class KamailioTest(ExportTest):
    def setUp(self):
        super().setUp()
        self.kamailio = Kamailio(self.folder / "kamailio", self.realm)
        self.addCleanup(self.kamailio.stop)

    def subscribers(self):
        return self.kamailio.rows("select username, domain, password, ha1, ha1b from subscriber order by id")

    def phones(self):
        return self.kamailio.rows("select key_name, key_value from htable order by id")

    def test_phones_register_by_digest_and_nobody_else(self):
        path = self.export("kamailio-sql")
        for _ in range(2):  # again: the same rows
            self.kamailio.load(path)
        self.assertEqual(len(self.subscribers()), len(USERS))
        self.assertEqual(len(self.phones()), 3)
        self.kamailio.start()
        self.kamailio.register("4711", USERS["4711"], "SEP001122334455", "nonsecure", self.lsc)
        self.kamailio.register("4711", USERS["4711"], "SEP001122334456", "nonsecure")
        for user in ("4712", "jörg"):
            self.kamailio.register(user, USERS[user])
        for user, password in (("4711", USERS["4712"]), ("4713", USERS["4711"])):
            self.kamailio.register(user, password, code=1)

    def test_tables_in_csv_are_the_same_rows(self):
        self.kamailio.load(self.export("kamailio-sql"))
        rows = self.subscribers(), self.phones()
        self.kamailio.psql("-c", "truncate subscriber, htable")
        self.kamailio.copy("subscriber", self.export("kamailio-csv"))
        self.kamailio.copy("htable", self.export("kamailio-htable-csv"))
        self.assertEqual((self.subscribers(), self.phones()), rows)

    def test_a_new_password_and_a_phone_without_a_user_take_the_place_of_the_former_rows(self):
        self.kamailio.load(self.export("kamailio-sql"))
        self.kamailio.psql("-c", "insert into htable (key_name, key_value) values ('their::own', '1')")
        before = self.subscribers()
        self.site.capfctl("phone", "digest", "SEP001122334456", "--none")
        self.addCleanup(self.site.capfctl, "phone", "digest", "SEP001122334456", "4711")
        self.site.capfctl("digest-user", "set", "4712", "--password", "-", input="another-password\n")
        self.addCleanup(self.site.capfctl, "digest-user", "set", "4712", "--password", "-", input=USERS["4712"] + "\n")
        self.kamailio.load(self.export("kamailio-sql", "--replace"))
        self.assertEqual([old == new for old, new in zip(before, self.subscribers())].count(False), 1)
        self.assertEqual([row.split("|")[0] for row in self.phones()],
                         ["their::own", "SEP001122334455::capf_mode", "SEP001122334455::capf_lsc"])

    def test_a_file_that_is_cut_short_changes_nothing(self):
        path = self.export("kamailio-sql")
        path.write_text(path.read_text(encoding="utf-8").replace("COMMIT;\n", ""), encoding="utf-8")
        self.kamailio.load(path)
        self.assertEqual(self.subscribers(), [])


class QuotesTest(ExportTest):
    """A realm that every format must escape."""
    realm = REALM

    def test_json(self):
        rows = [json.loads(line) for line in self.text("json").splitlines()]
        self.assertEqual({row["user"] for row in rows}, set(USERS))
        for row in rows:
            self.assertEqual(row["realm"], REALM)
            for name, algorithm in (("ha1_md5", "md5"), ("ha1_sha256", "sha256"), ("ha1_sha512_256", "sha512_256")):
                self.assertEqual(row[name], ha1(algorithm, row["user"], REALM))
        devices = next(row["devices"] for row in rows if row["user"] == "4711")
        self.assertEqual(devices, [{"device": "SEP001122334455", "mode": "nonsecure", "lsc_sha256": self.lsc},
                                   {"device": "SEP001122334456", "mode": "nonsecure", "lsc_sha256": None}])

    def test_csv(self):
        for form in ("kamailio-csv", "opensips-csv"):
            rows = list(csv.DictReader(io.StringIO(self.text(form)), strict=True))
            self.assertEqual({(row["username"], row["domain"], row["password"], row["ha1"]) for row in rows},
                             {(user, REALM, "", ha1("md5", user, REALM)) for user in USERS})
        self.assertEqual({row["ha1_sha512t256"] for row in rows}, {ha1("sha512_256", user, REALM) for user in USERS})

    def test_sql(self):
        kamailio = Kamailio(self.folder / "kamailio", REALM)
        self.addCleanup(kamailio.stop)
        kamailio.load(self.export("kamailio-sql"))
        rows = kamailio.rows("select json_build_array(username, domain, ha1) from subscriber")
        self.assertEqual({tuple(json.loads(row)) for row in rows}, {(user, REALM, ha1("md5", user, REALM)) for user in USERS})
        kamailio.psql("-c", "alter table subscriber add ha1_sha256 text, add ha1_sha512t256 text", "-c",
                      "create table usr_preferences (uuid text, username text, attribute text, type int, value text)")
        kamailio.load(self.export("opensips-sql"))
        rows = kamailio.rows("select json_build_array(username, domain, ha1_sha256) from subscriber")
        self.assertEqual({tuple(json.loads(row)) for row in rows}, {(user, REALM, ha1("sha256", user, REALM)) for user in USERS})
        self.assertIn(f"SEP001122334455|capf_lsc|{self.lsc}",
                      kamailio.rows("select username, attribute, value from usr_preferences"))

    def test_xml(self):
        root = xml.etree.ElementTree.fromstring(self.text("freeswitch"))
        self.assertEqual({user.get("id"): user.find("params/param").get("value") for user in root.findall("user")},
                         {user: ha1("md5", user, REALM) for user in USERS})
        self.assertEqual({user.find("variables/variable[@name='capf_realm']").get("value") for user in root}, {REALM})

    def test_asterisk(self):
        text = self.text("asterisk-pjsip-digests")
        section = re.search(r"(?m)^\[4711-auth\]\n((?:.+\n)+)", text)[1]
        self.assertIn(f"realm = {REALM}\n", section)
        self.assertIn(f"password_digest = SHA-512-256:{ha1('sha512_256', '4711', REALM)}\n", section)
        self.assertIn("username = o'\\; DROP TABLE subscriber\\; --\n", text)


class FileTest(ExportTest):
    def test_every_format_is_a_file_of_its_owner_alone_and_on_record(self):
        for form in FORMATS:
            with self.subTest(form):
                before = len(self.site.json("audit", "list", "--action", "digest_user.export"))
                path = self.folder / form
                told = self.site.json("digest-user", "export", "--format", form, "--out", path)
                self.assertEqual(told, {"file": str(path), "users": len(USERS), "phones": 2})
                self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
                self.assertEqual(len(self.site.json("audit", "list", "--action", "digest_user.export")), before + 1)
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), sorted(FORMATS))

    def test_another_file_is_replaced_when_that_is_asked_for(self):
        path = self.export("json")
        self.assertSays(self.export("json", code=1), "is there already", "--replace")
        before = path.stat().st_ino
        self.export("json", "--replace")
        self.assertNotEqual(path.stat().st_ino, before)

    def test_terminals_and_links_get_nothing(self):
        for path in ("/dev/stdout", "/dev/tty", self.folder):
            done = self.export("json", "--replace", path=path, code=1)
            self.assertSays(done, "no file")
            self.assertEqual(done.stdout, "")
        self.assertEqual(self.site.capfctl("digest-user", "export", "--format", "json", code=2).stdout, "")

    def test_a_user_whom_a_format_cannot_say_leaves_no_file(self):
        self.site.capfctl("digest-user", "add", "a]b")
        self.addCleanup(self.site.capfctl, "digest-user", "remove", "a]b", "--yes")
        for form in FORMATS[:3]:
            self.assertSays(self.export(form, code=1), 'the user "a]b" cannot be written as ' + form, "']'")
        self.assertEqual(list(self.folder.iterdir()), [])
        self.export("kamailio-sql")


if __name__ == "__main__":
    unittest.main()
