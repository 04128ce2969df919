"""Digest users: their passwords at rest, on phones, in the export; the key of the site under which they are encrypted."""

import contextlib
import csv
import json
import os
import pathlib
import re
import shutil
import subprocess
import unittest
import urllib.request

import grpc

from e2e import rpc
from e2e.rpc import admin_pb2, admin_pb2_grpc
from e2e.site import PROGRAMS, EndToEnd, Server, Site, eventually, private, run, text_of

KNOWN = {  # by openssl dgst: 4711, ccmsipline, s3cret-9Qx!
    "ha1_md5": "59800db8f19da810d26a4123299d1478",
    "ha1_sha256": "5db1bb40306685e1e0921ef6fef4a782a92a7bce1516eae7eba37a220b87e1ea",
    "ha1_sha512_256": "720b83001383c174bf9123ffb08be42056492193fe27a4705b2b6744f41864d1",
}


def export(site, name="admin", server=None):
    """The rows of the export, as a program of another language gets them."""
    channel = rpc.channel(server or site.server, "admin", rpc.admin_identity(site, name))
    with channel:
        return list(admin_pb2_grpc.AdminServiceStub(channel).ExportDigestUsers(
            admin_pb2.ExportDigestUsersRequest(), timeout=60))


class Digest(EndToEnd):
    def user(self):
        """The name of a digest user that no other test of this process has."""
        return f"user{next(self._numbers)}"

    def add(self, *options, input=None):
        """Adds a user. @return its name, and its password where the server made one"""
        user = self.user()
        answer = self.site.json("digest-user", "add", user, *options, input=input)
        return user, answer["passwords"][0]["password"] if answer["passwords"] else None


class UserTest(Digest):
    def test_a_generated_password_is_shown_once_and_revealed_to_admins_alone(self):
        user, password = self.add()
        self.assertRegex(password, r"^[A-Za-z0-9]{24}$")
        shown = self.site.json("digest-user", "show", user)
        self.assertEqual((shown["name"], shown["hash_only"], shown["phones"]), (user, False, 0))
        self.assertNotIn("password", shown)
        self.assertEqual(self.site.json("digest-user", "show", user, "--reveal")["password"], password)
        self.assertEqual([event["action"] for event in self.site.json("audit", "list", "--subject", user)],
                         ["digest_user.add", "digest_user.reveal"])
        self.site.capfctl("administrator", "add", "an-operator", "--role", "operator")
        refused = self.site.capfctl("--administrator", "an-operator", "digest-user", "show", user, "--reveal", code=1)
        self.assertSays(refused, "ROLE_DENIED")
        self.assertNotIn(password, refused.stdout)
        self.assertNotIn(password, json.dumps(self.site.json("digest-user", "list")))

    def test_passwords_come_from_standard_input_a_line_for_each(self):
        first, second = self.user(), self.user()
        self.site.capfctl("digest-user", "add", first, second, "--password", "-", input="pass:word 1\nStraße 22\n")
        self.assertEqual(self.site.json("digest-user", "show", first, "--reveal")["password"], "pass:word 1")
        self.assertEqual(self.site.json("digest-user", "show", second, "--reveal")["password"], "Straße 22")
        self.site.capfctl("digest-user", "set", first, "--password", "-", input="another one")
        self.assertEqual(self.site.json("digest-user", "show", first, "--reveal")["password"], "another one")

    def test_bad_passwords_and_names_are_refused_in_words_and_change_nothing(self):
        before = self.site.json("digest-user", "list")
        for password in ("x" * 31, "x" * 7, "tab\tinside", "bell\a12345", "nul\0inside", ""):
            with self.subTest(password=password):
                refused = self.site.capfctl("digest-user", "add", self.user(), "--password", "-", input=password + "\n",
                                            code=2)
                self.assertSays(refused, "INVALID_PASSWORD")
                self.assertNotIn(password or "nothing", refused.stderr.replace("INVALID_PASSWORD", ""))
        for name in ("a:b", "a\nb", "x" * 300, " a"):
            with self.subTest(name=name):
                self.assertSays(self.site.capfctl("digest-user", "add", name, code=2), "INVALID_DIGEST_USER")
        user, _ = self.add()
        self.assertSays(self.site.capfctl("digest-user", "add", self.user(), user, code=1), "DIGEST_USER_EXISTS")
        self.assertEqual(len(self.site.json("digest-user", "list")), len(before) + 1)
        with rpc.admin_client(self.site) as admin:
            for name, password, reason in (("a\0b", "", "INVALID_DIGEST_USER"), (self.user(), "x" * 31, "INVALID_PASSWORD"),
                                           (self.user(), "1234\0005678", "INVALID_PASSWORD")):
                wanted = [admin_pb2.DigestPassword(name=self.user()), admin_pb2.DigestPassword(name=name, password=password)]
                with self.assertRaises(rpc.Refusal) as refusal:
                    admin.AddDigestUsers(users=wanted)
                self.assertEqual(refusal.exception.reason, reason)
        refused = {event["reason"] for event in self.site.json("audit", "list", "--action", "digest_user.add")
                   if event["outcome"] == "refused"}
        self.assertLessEqual({"INVALID_DIGEST_USER", "INVALID_PASSWORD", "DIGEST_USER_EXISTS"}, refused)
        self.assertEqual(len(self.site.json("digest-user", "list")), len(before) + 1)
        # Never as an argument, where other users of the machine see it.
        self.site.capfctl("digest-user", "add", self.user(), "--password", "s3cret-9Qx!", code=2)

    def test_a_name_of_markup_is_a_name(self):
        self.site.capfctl("digest-user", "add", "<script>", "jörg")
        self.assertEqual(self.site.json("digest-user", "show", "<script>")["name"], "<script>")
        self.assertEqual(self.site.json("digest-user", "show", "jörg")["name"], "jörg")

    def test_the_list_has_pages(self):
        users = [self.user() for _ in range(120)]
        self.site.capfctl("digest-user", "add", *users, "--passwords", self.site.folder / f"{self.user()}.csv")
        listed = [user["name"] for user in self.site.json("digest-user", "list")]
        self.assertLessEqual(set(users), set(listed))
        self.assertEqual(len(listed), len(set(listed)))
        with rpc.admin_client(self.site) as client:
            page = client.ListDigestUsers(page={"size": 50})
            self.assertEqual(len(page.users), 50)
            self.assertTrue(page.next_page_token)


class FileTest(Digest):
    def file(self, text, mode=0o600):
        """A new file with this text."""
        path = self.site.folder / f"{self.user()}.csv"
        path.write_text(text)
        path.chmod(mode)
        return path

    def new_file(self):
        return self.site.folder / f"{self.user()}-passwords.csv"

    def rows(self, path):
        """The passwords of a file of --passwords, by user."""
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        with path.open(newline="") as file:
            return {row["user"]: row["password"] for row in csv.DictReader(file)}

    def password_of(self, user):
        return self.site.json("digest-user", "show", user, "--reveal")["password"]

    def test_a_thousand_users_come_from_a_file_and_their_passwords_are_in_another_one(self):
        users = [self.user() for _ in range(1001)]
        passwords = self.new_file()
        answer = self.site.json("digest-user", "add", "--file", self.file("\n".join(users)), "--passwords", passwords)
        self.assertEqual((answer["added"], answer["skipped"], answer["passwords"]), (1001, 0, []))
        rows = self.rows(passwords)
        self.assertEqual(set(rows), set(users))
        self.assertTrue(all(re.fullmatch("[A-Za-z0-9]{24}", password) for password in rows.values()))
        self.assertEqual(len(set(rows.values())), 1001)
        for user in (users[0], users[500], users[1000]):
            self.assertEqual(self.password_of(user), rows[user])

    def test_passwords_of_a_file_are_kept_as_they_are_and_others_are_made(self):
        given, made, odd = self.user(), self.user(), "=1+\"2, <b>"
        answer = self.site.json("digest-user", "add", "--file", self.file(
            f'user,password\n{given},"pass ""word"" "\n{made},\n"\'=1+""2, <b>",s3cret-9Qx!\n'))
        self.assertEqual([row["user"] for row in answer["passwords"]], [made])
        self.assertEqual(self.password_of(given), 'pass "word" ')
        self.assertEqual(self.password_of(made), answer["passwords"][0]["password"])
        self.assertEqual(self.password_of(odd), "s3cret-9Qx!")

    def test_what_was_cut_off_goes_on_with_the_file_of_passwords(self):
        present, left = self.user(), "#" + self.user()
        passwords = self.new_file()
        self.site.json("digest-user", "add", present, left, "--passwords", passwords)
        rows = self.rows(passwords)
        self.site.capfctl("digest-user", "remove", left, "--yes")  # as if its batch had not been sent
        self.assertSays(self.site.capfctl("digest-user", "add", "--file", passwords, code=1), "DIGEST_USER_EXISTS", "line 2")
        answer = self.site.json("digest-user", "add", "--file", passwords, "--skip", "exists")
        self.assertEqual((answer["added"], answer["skipped"]), (1, 1))
        self.assertEqual({user: self.password_of(user) for user in rows}, rows)

    def test_every_problem_comes_first_and_nothing_is_done(self):
        before = len(self.site.json("digest-user", "list"))
        there, _ = self.add()
        fresh, passwords, secret = self.user(), self.new_file(), "s3cret-9Qx!"
        for text, *words in ((f"{fresh},{secret}\na:b\n{fresh}\n", "line 2", "line 3"),
                             (f"{fresh},{secret}\n{self.user()},{secret}{secret}{secret}\n", "line 2", "password"),
                             (f"{fresh}\n{there}\n", "DIGEST_USER_EXISTS", "line 2"),
                             ("user,colour\n4711,red\n", "column 2"), (f"{fresh}\n\0\n", "UTF-16")):
            with self.subTest(text):
                refused = self.site.capfctl("digest-user", "add", "--file", self.file(text), code=1)
                self.assertSays(refused, *words)
                self.assertNotIn(secret, refused.stderr)
        # A file with passwords that others may read; without passwords it may be anybody's.
        for mode, text, code in ((0o640, f"{fresh},{secret}\n", 1), (0o604, f"{fresh},{secret}\n", 1)):
            self.assertSays(self.site.capfctl("digest-user", "add", "--file", self.file(text, mode), code=code),
                            "SECRET_EXPOSED")
        many = self.file("\n".join(self.user() for _ in range(21)))
        self.assertSays(self.site.capfctl("digest-user", "add", "--file", many, code=2), "--passwords FILE")
        taken = self.file("")
        self.assertSays(self.site.capfctl("digest-user", "add", "--file", many, "--passwords", taken, code=1), "already")
        self.assertEqual(taken.read_text(), "")
        self.assertSays(self.site.capfctl("digest-user", "add", "--file", many, "--passwords",
                                          self.site.folder / "nowhere/passwords.csv", code=1), "nowhere")
        self.assertSays(self.site.capfctl("digest-user", "add", "--file", self.file(f"{fresh}\n{there}\n"), "--passwords",
                                          passwords, code=1), "DIGEST_USER_EXISTS")
        self.assertFalse(passwords.exists())
        for arguments in ((), ("--file", self.file("")), ("--file", many, "--password", "-"),
                          ("--file", self.file(f"{fresh},{secret}\n"), "--passwords", passwords)):
            self.site.capfctl("digest-user", "add", *arguments, code=2)
        self.assertEqual(len(self.site.json("digest-user", "list")), before + 1)
        self.site.capfctl("digest-user", "add", "--file", self.file(f"{fresh}\n", 0o644))
        self.site.capfctl("digest-user", "add", "--file", "-", input=f"{self.user()},{secret}\n")


class PhoneTest(Digest):
    def test_who_is_logged_in_has_the_phone_until_logout(self):
        device = self.site.add_phone(self.device())
        own, guest = self.add()[0], self.add()[0]
        self.site.capfctl("phone", "digest", device, own)
        self.site.capfctl("phone", "login", device, guest)
        shown = self.site.json("phone", "show", device)
        self.assertEqual((shown["digest_user"], shown["logged_in_user"]), (own, guest))
        self.assertIsNotNone(shown["logged_in_at"])
        self.assertEqual({(row.user, row.device) for row in export(self.site) if row.user in (own, guest)},
                         {(own, ""), (guest, device)})
        self.assertSays(self.site.capfctl("digest-user", "remove", guest, "--yes", code=1), "DIGEST_USER_IN_USE", device)
        self.assertEqual(self.site.json("phone", "logout", device)["logged_out"], guest)
        shown = self.site.json("phone", "show", device)
        self.assertEqual((shown["digest_user"], shown["logged_in_user"]), (own, None))
        self.site.capfctl("digest-user", "remove", guest, "--yes")
        self.site.capfctl("phone", "digest", device, "--none")
        self.assertIsNone(self.site.json("phone", "show", device)["digest_user"])
        actions = [event["action"] for event in self.site.json("audit", "list", "--subject", device)]
        self.assertEqual(actions, ["phone.add", "phone.digest", "phone.login", "phone.logout", "phone.digest"])

    def test_unknown_users_and_devices_are_told_apart(self):
        device = self.site.add_phone(self.device())
        user, _ = self.add()
        self.assertSays(self.site.capfctl("phone", "login", device, "nobody", code=1), "UNKNOWN_DIGEST_USER")
        self.assertSays(self.site.capfctl("phone", "digest", device, "nobody", code=1), "UNKNOWN_DIGEST_USER")
        self.assertSays(self.site.capfctl("phone", "login", self.device(), user, code=1), "UNKNOWN_DEVICE")
        self.site.capfctl("phone", "digest", device, code=2)
        self.site.capfctl("phone", "digest", device, user, "--none", code=2)


class ExportTest(Digest):
    def test_admins_alone_export_and_it_is_on_record(self):
        self.site.capfctl("digest-user", "add", "4711", "--password", "-", input="s3cret-9Qx!\n")
        before = len(self.site.json("audit", "list"))
        row = next(row for row in export(self.site) if row.user == "4711")
        self.assertEqual({name: getattr(row, name) for name in KNOWN}, KNOWN)
        self.assertEqual((row.realm, row.device), ("ccmsipline", ""))
        self.assertEqual([event["action"] for event in self.site.json("audit", "list")[before:]], ["digest_user.export"])
        for role in ("operator", "auditor", "monitor"):
            self.site.capfctl("administrator", "add", f"exporting-{role}", "--role", role)
            with self.assertRaises(grpc.RpcError) as caught:
                export(self.site, f"exporting-{role}")
            self.assertEqual(caught.exception.code(), grpc.StatusCode.PERMISSION_DENIED)

    def test_a_value_that_sql_copied_to_another_row_ends_the_export_with_its_user(self):
        site = Site()
        self.addCleanup(site.close)
        site.capfctl("digest-user", "add", "first", "second")
        site.sql("update digest_users set password = (select password from digest_users where name = 'second') "
                 "where name = 'first'")
        with self.assertRaises(grpc.RpcError) as caught:
            export(site)
        self.assertIn("first", caught.exception.details())
        self.assertSays(site.capfctl("digest-user", "show", "first", "--reveal", code=1), "SECRET_BROKEN")
        site.capfctl("digest-user", "set", "first")
        self.assertEqual(len(export(site)), 2)


class KeyTest(Digest):
    """The key of the site for secrets: lost, another one, changed."""

    def setUp(self):
        self.site = Site()
        self.addCleanup(self.site.close)

    def refused(self, server):
        """What a server says that must not start."""
        with open(server.log, "ab", opener=private) as log:
            done = subprocess.run([PROGRAMS / "capfd", "run", "--state", server.state], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=log, timeout=120)
        self.assertEqual(done.returncode, 1)
        return server.log_text()

    def test_a_lost_key_and_another_one_stop_the_start_and_nothing_is_overwritten(self):
        user, password = self.add()
        key = self.site.state / "keys/secrets-1.key"
        self.site.server.stop()
        kept = key.read_bytes()
        key.unlink()
        self.assertIn("secrets-1.key is lost", self.refused(self.site.server))
        self.assertFalse(key.exists())
        other = Site()
        self.addCleanup(other.close)
        # Under another passphrase, and then under the right one.
        shutil.copy2(other.state / "keys/secrets-1.key", key)
        self.assertIn("WRONG_PASSPHRASE", self.refused(self.site.server))
        for name in ("passphrase", "next"):
            (other.folder / name).touch(mode=0o600)
        (other.folder / "next").write_text((self.site.state / "passphrase").read_text())
        other.capfctl("issuer", "rekey-passphrase", "--new-passphrase", f"file:{other.folder}/next")
        shutil.copy2(other.state / "keys/secrets-1.key", key)
        foreign = key.read_bytes()
        self.assertIn("is not the key on record", self.refused(self.site.server))
        self.assertEqual(key.read_bytes(), foreign)
        key.write_bytes(kept)
        self.site.server.start()
        self.assertEqual(self.site.json("digest-user", "show", user, "--reveal")["password"], password)

    def test_a_site_of_an_earlier_version_gets_a_key_at_its_first_start(self):
        key = self.site.state / "keys/secrets-1.key"
        self.site.server.stop()
        key.unlink()
        self.site.sql("delete from secrets_keys")
        self.site.server.start()
        self.assertEqual(key.stat().st_mode & 0o777, 0o600)
        self.assertIn("ENCRYPTED PRIVATE KEY", key.read_text())
        user, password = self.add()
        self.site.server.restart()
        self.assertEqual(self.site.json("digest-user", "show", user, "--reveal")["password"], password)

    def test_secrets_move_to_another_key_while_two_servers_go_on(self):
        made = dict(self.add() for _ in range(5))
        hashed, _ = self.add("--hash-only", "--password", "-", input="s3cret-9Qx!\n")
        before = {row.user: row.ha1_md5 for row in export(self.site)}
        second = self.site.add_server()
        eventually(lambda: self.site.sql("select count(*) from servers where secrets = '{1}'") == ["2"], "both are seen")
        process = subprocess.Popen([PROGRAMS / "capfd", "site", "rekey-secrets", "--state", self.site.state],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        # The second server, with a state directory of its own, does not have the key: nothing is encrypted under it yet.
        new = self.site.state / "keys/secrets-2.key"
        eventually(lambda: text_of(new), "the key is made")
        eventually(lambda: self.site.sql("select count(*) from servers where secrets = '{1,2}'") == ["1"],
                   "the first server has opened it")
        self.assertEqual(self.site.sql("select distinct generation from digest_users"), ["1"])
        shutil.copy2(new, second.state / "keys/secrets-2.key")
        said, errors = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, errors)
        self.assertIn("6 secrets", said)
        self.assertEqual(self.site.sql("select distinct generation from digest_users"), ["2"])
        self.assertEqual(self.site.sql("select generation, active from secrets_keys"), ["2|t"])
        for server in (self.site.server, second):
            self.assertEqual({row.user: row.ha1_md5 for row in export(self.site, server=server)}, before)
        for user, password in made.items():
            self.assertEqual(self.site.json("digest-user", "show", user, "--reveal")["password"], password)
        # The former key is not needed any more.
        (self.site.state / "keys/secrets-1.key").unlink()
        self.site.server.restart()
        self.assertEqual({row.user: row.ha1_md5 for row in export(self.site)}, before)

    def test_a_server_that_lacks_the_key_stops_the_change_before_it_began(self):
        self.site.server.stop()
        self.site.sql("insert into servers (name, version, issuers, secrets) select 'elsewhere:1:00', '1', '{1}', '{1}'")
        self.site.sql("update servers set seen_at = now() + interval '10 minutes'")
        done = self.site.capfctl("site", "rekey-secrets", code=1)
        self.assertSays(done, "SECRETS_KEY_NOT_READY", "elsewhere:1:00", "secrets-2.key")
        self.site.sql("delete from servers")
        key = (self.site.state / "keys/secrets-2.key").read_bytes()
        self.site.capfctl("site", "rekey-secrets")  # goes on with the key that was made
        self.assertEqual((self.site.state / "keys/secrets-2.key").read_bytes(), key)
        self.assertEqual(self.site.sql("select generation, active from secrets_keys"), ["2|t"])
        self.site.server.start()

    def test_users_survive_a_dump_and_a_new_passphrase(self):
        user, password = self.add()
        next_passphrase = self.site.folder / "next"
        next_passphrase.touch(mode=0o600)
        next_passphrase.write_text("a new passphrase 5c0d7f")
        said = self.site.capfctl("issuer", "rekey-passphrase", "--new-passphrase", f"file:{next_passphrase}")
        self.assertIn("secrets-1.key", said.stdout)
        self.site.server.restart()
        self.assertEqual(self.site.json("digest-user", "show", user, "--reveal")["password"], password)


class RealmTest(EndToEnd):
    def realm(self, server, realm):
        path = pathlib.Path(server.state) / "capfd.toml"
        text = re.sub(r'\n\[digest\]\nrealm = .*\n', "", path.read_text())
        path.write_text(text + f'\n[digest]\nrealm = "{realm}"\n')

    def test_a_changed_realm_makes_every_ha1_again_and_waits_for_hash_only_users(self):
        site = Site()
        self.addCleanup(site.close)
        site.capfctl("digest-user", "add", "4711", "--password", "-", input="s3cret-9Qx!\n")
        site.capfctl("digest-user", "add", "4712", "--hash-only")
        second = Server(site.copy_state("second"))
        self.realm(second, "example.org")
        refused = run(PROGRAMS / "capfd", "run", "--state", second.state, code=1)
        self.assertIn("digest.realm", refused.stderr)
        site.server.stop()
        self.realm(site.server, r'a \"quoted\" realm')
        refused = run(PROGRAMS / "capfd", "run", "--state", site.state, code=1)
        self.assertIn("1 digest users", refused.stderr)
        self.realm(site.server, "ccmsipline")
        site.server.start()
        site.capfctl("digest-user", "remove", "4712", "--yes")
        site.server.stop()
        self.realm(site.server, r'a \"quoted\" realm')
        site.server.start()
        row = export(site)[0]
        self.assertEqual(row.realm, 'a "quoted" realm')
        md5 = run("openssl", "dgst", "-md5", "-r", input='4711:a "quoted" realm:s3cret-9Qx!').stdout.split()[0]
        self.assertEqual(row.ha1_md5, md5)


class CanaryTest(EndToEnd):
    """A digest password and its HA1s are found nowhere: not in the database, a dump, logs, metrics, traces or the record."""

    def test_passwords_and_ha1s_stand_nowhere(self):
        site = Site(settings=lambda text: text + '\n[log]\nlevel = "debug"\n')
        self.addCleanup(site.close)
        site.sql("alter system set log_statement = 'all'", user="postgres")
        site.sql("alter system set log_parameter_max_length = -1", user="postgres")
        site.sql("select pg_reload_conf()", user="postgres")
        canaries = {"given": "canary-Given-7361", "hashed": "canary-Hashed-8402", "refused": "canary-Refused-951753684" + "x" * 9,
                    "replaced": "canary-Replaced-42"}
        device = site.add_phone(self.device())
        site.capfctl("phone", "trace", device)
        site.capfctl("digest-user", "add", "given", "--password", "-", input=canaries["replaced"] + "\n")
        site.capfctl("digest-user", "set", "given", "--password", "-", input=canaries["given"] + "\n")
        site.capfctl("digest-user", "add", "hashed", "--hash-only", "--password", "-", input=canaries["hashed"] + "\n")
        site.capfctl("digest-user", "add", "refused", "--password", "-", input=canaries["refused"] + "\n", code=2)
        canaries["generated"] = site.json("digest-user", "add", "generated")["passwords"][0]["password"]
        site.capfctl("phone", "digest", device, "given")
        site.capfctl("phone", "login", device, "hashed")
        self.assertEqual(site.json("digest-user", "show", "given", "--reveal")["password"], canaries["given"])
        for row in export(site):
            for name in KNOWN:
                canaries[f"{name} of {row.user}"] = getattr(row, name)
        self.assertGreaterEqual(len(canaries), 5 + 9)
        site.schedule(device, "install", "null")
        site.phone(device)
        site.capfctl("site", "rekey-secrets")
        site.server.restart()

        dump = subprocess.run(["pg_dump", f"{site.database} user=postgres dbname=capf"], capture_output=True,
                              check=True).stdout
        with urllib.request.urlopen(f"http://{site.server.endpoints['metrics']}/metrics", timeout=30) as answer:
            metrics = answer.read()
        seen = {"dump": dump, "metrics": metrics}
        for command in (("audit", "list"), ("audit", "list", "--refusals"), ("digest-user", "list"),
                        ("digest-user", "show", "given"), ("phone", "show", device)):
            seen[" ".join(command)] = site.capfctl(*command, "--output", "json").stdout.encode()
        for folder, _, names in os.walk(site.state):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:  # it may be gone by now
                        seen[path] = file.read()
        self.assertTrue(any(path.endswith("postgres.log") for path in seen))
        self.assertIn(b"digest_add", seen[next(path for path in seen if path.endswith("postgres.log"))])
        for what, text in canaries.items():
            for place, content in seen.items():
                # Also as octets of a parameter: PostgreSQL logs them in hexadecimal digits.
                for form in (text.encode(), text.encode().hex().encode()):
                    if form in content:
                        self.fail(f"{what} stands in {place}")


if __name__ == "__main__":
    unittest.main()
