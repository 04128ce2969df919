"""capfd itself: what it refuses to start with, what an init that was cut off leaves, and where it says what."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import unittest
import urllib.error
import urllib.request

from e2e import rpc
from e2e.site import PROGRAMS, EndToEnd, Server, Site, eventually, private, run

CAPFD = PROGRAMS / "capfd"


def setUpModule():
    global _site
    _site = Site()


def tearDownModule():
    _site.close()


class DaemonTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        cls.site = _site

    def copy(self, name):
        """A state directory like the site's, of its own."""
        state = self.site.copy_state(name)
        self.addCleanup(shutil.rmtree, state)
        return state

    def refused(self, state, *words, options=(), env=None):
        done = run(CAPFD, "run", "--state", state, *options, code=1, env=env)
        self.assertEqual(done.stdout, "")
        self.assertSays(done, *words)
        self.assertFalse((state / "endpoints.json").exists())
        return done

    def settings(self, state, change):
        path = state / "capfd.toml"
        path.write_text(change(path.read_text()))

    def database(self, name):
        """Options of init for a new, empty database."""
        run("psql", "-X", "-qc", f"create database \"{name}\" owner capf_owner",
            f"{self.site.database} user=postgres dbname=postgres")
        return ("--database", f"{self.site.database} user=capf_server dbname={name}",
                "--database-owner", f"{self.site.database} user=capf_owner dbname={name}")

    def new_state(self, name):
        state = self.site.folder / name
        state.mkdir(mode=0o700)
        self.addCleanup(shutil.rmtree, state)
        passphrase = state / "passphrase"
        passphrase.touch(mode=0o600)
        passphrase.write_text("correct horse battery staple\n")
        return state

    def init(self, state, *options, key="p-256", code=0):
        return run(CAPFD, "init", "--state", state, "--base-port", "0", "--key", key,
                   "--passphrase", f"file:{state}/passphrase", *options, code=code)


class StartTest(DaemonTest):
    def test_secrets_that_others_may_read_stop_the_start(self):
        state = self.copy("exposed")
        for name in ("passphrase", "keys", "keys/issuer-1.key", "keys/site-ca.key", "keys/server.key", "keys/wire.key",
                     "keys/audit.key", "keys/strings.key", "keys/secrets-1.key", "admin"):
            with self.subTest(name):
                path = state / name
                mode = path.stat().st_mode
                path.chmod(mode | 0o040)
                self.refused(state, "SECRET_EXPOSED", str(path))
                path.chmod(mode)

    @unittest.skipUnless(os.geteuid() == 0, "only root gives files away")
    def test_what_belongs_to_somebody_else_is_not_relied_on(self):
        state = self.copy("strangers")
        library = state / "token.so"
        library.touch(mode=0o700)
        self.settings(state, lambda text: text + f'\n[token]\nmodule = "{library}"\n')
        for path in (state, state / "capfd.toml", library):
            with self.subTest(path.name):
                os.chown(path, 65534, 65534)
                for command in ("check-config", "run", "migrate", "archive"):
                    done = run(CAPFD, command, "--state", state, code=1)
                    self.assertIn(f"{path} belongs to somebody else", done.stdout + done.stderr)
                os.chown(path, 0, 0)
        self.assertEqual(run(CAPFD, "check-config", "--state", state).stdout, "ok\n")

    def test_a_state_directory_that_others_may_read_is_refused_in_words(self):
        state = self.copy("open")
        for path, mode in ((state, 0o755), (state / "capfd.log", 0o644)):
            with self.subTest(path.name):
                path.touch()
                before = path.stat().st_mode
                path.chmod(mode)
                self.refused(state, "SECRET_EXPOSED", f"'chmod go-rw {path}' mends it")
                path.chmod(before & 0o711)
        fresh = self.new_state("fresh")
        fresh.chmod(0o755)
        self.assertSays(self.init(fresh, "--database", "x=1", "--database-owner", "x=1", code=1), "SECRET_EXPOSED",
                        f"'chmod go-rw {fresh}' mends it")

    def test_clients_take_nobodys_word_for_which_server_is_right(self):
        state = self.copy("hinted")
        authority = self.site.folder / "authority.pem"
        shutil.copy(state / "certificates/site-ca.pem", authority)
        shutil.copy(self.site.state / "endpoints.json", state)
        for path, command in ((state / "certificates/site-ca.pem", ("--state", state)),
                              (state / "endpoints.json", ("--state", state)),
                              (authority, ("--state", state, "--trust", authority))):
            before = path.stat().st_mode
            path.chmod(0o666)
            with self.subTest(path.name):
                self.assertSays(run(PROGRAMS / "capfctl", *command, "phone", "list", code=1), f"'chmod go-w {path}'")
                server = ("--server", self.site.server.endpoints["phone"]) if path == authority else ()
                options = ("--trust", authority) if path == authority else ("--state", state)
                self.assertSays(run(PROGRAMS / "capf-phone", "SEP1", *server, *options, "--string", "12345678", code=1),
                                f"'chmod go-w {path}'")
            path.chmod(before)

    def test_a_wrong_passphrase_is_told(self):
        self.refused(self.copy("wrong"), "WRONG_PASSPHRASE", options=("--passphrase", "env:CAPF_TEST_PASSPHRASE"),
                     env={**os.environ, "CAPF_TEST_PASSPHRASE": "wrong"})

    def test_a_database_over_tcp_needs_its_name_verified(self):
        state = self.copy("tcp")
        self.settings(state, lambda text: text.replace(self.site.database, "host=127.0.0.1"))
        self.refused(state, "INSECURE_DATABASE", "sslmode=verify-full")

    def test_the_keys_of_another_site_are_refused(self):
        state = self.copy("foreign")
        other = self.new_state("other")
        self.init(other, *self.database("foreign"))
        for folder in ("keys", "certificates"):
            shutil.rmtree(state / folder)
            shutil.copytree(other / folder, state / folder)
        shutil.copy(other / "passphrase", state / "passphrase")
        self.refused(state, "another site's")

    def test_a_database_without_schema_or_site_is_told_with_what_to_do(self):
        state = self.copy("empty")
        self.database("empty")
        self.settings(state, lambda text: text.replace("dbname=capf\"", "dbname=empty\""))
        self.refused(state, "SCHEMA_MISMATCH", "capfd migrate")
        run(CAPFD, "migrate", "--state", state)
        self.refused(state, "NO_SITE", "capfd init")

    def test_a_second_server_in_the_same_state_directory_is_refused(self):
        done = run(CAPFD, "run", "--state", self.site.state, code=1)
        self.assertSays(done, "in use")
        self.assertTrue((self.site.state / "endpoints.json").exists())

    def test_every_fault_of_a_configuration_is_told_at_once(self):
        state = self.copy("faults")
        self.settings(state, lambda text: "frob = 1\n" + text + "[log]\nlevel = \"loud\"\n")
        done = run(CAPFD, "check-config", "--state", state, code=1)
        self.assertIn("capfd.toml:1: frob is not known", done.stdout)
        self.assertIn("log.level", done.stdout)
        self.assertEqual(run(CAPFD, "check-config", "--state", self.site.state).stdout, "ok\n")
        self.refused(state, "INVALID_CONFIGURATION", "frob")

    def test_the_option_says_which_site_whatever_the_environment_says(self):
        empty = self.site.folder / "no site"
        environment = {**os.environ, "CAPF_STATE": str(self.site.state)}
        for command in (("migrate",), ("archive",), ("run",), ("check-config",),
                        ("rekey-passphrase", "--new-passphrase", "file:/nope"),
                        ("administrator", "add", "olga", "--role", "admin")):
            with self.subTest(command):
                done = run(CAPFD, *command, "--state", empty, code=1, env=environment)
                self.assertIn(str(empty / "capfd.toml"), done.stdout + done.stderr)
        run(CAPFD, "check-config", env=environment)

    def test_output_that_cannot_be_written_is_no_success(self):
        for program in "capfd", "capfctl", "capf-phone":
            for words in (["--help"], ["--version"],
                          *{"capfd": [["check-config", "--print", "--state", self.site.state]],
                            "capfctl": [["completion", "bash"], ["phone", "add", "--help"],
                                        ["--state", self.site.state, "summary"]]}.get(program, [])):
                with self.subTest(program=program, words=words), open("/dev/full", "w") as full:
                    done = subprocess.run([PROGRAMS / program, *words], stdout=full, stderr=subprocess.PIPE, text=True)
                    self.assertEqual(done.returncode, 1)
                    self.assertIn("standard output cannot be written", done.stderr)

    def test_a_wrong_command_line_ends_with_2(self):
        run(CAPFD, code=2)
        run(CAPFD, "frob", code=2)
        run(CAPFD, "init", "--state", self.site.folder / "nothing", code=2)
        self.assertFalse((self.site.folder / "nothing").exists())


class RunTest(DaemonTest):
    def status(self, path, server=None):
        try:
            url = f"http://{(server or self.site.server).endpoints['metrics']}{path}"
            with urllib.request.urlopen(url, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def test_the_endpoints_are_those_of_the_ready_line_and_go_with_the_server(self):
        state = self.copy("endpoints")
        server = Server(state)
        server.process = process = subprocess.Popen([CAPFD, "run", "--state", state], stdout=subprocess.PIPE,
                                                    stderr=subprocess.DEVNULL)
        line = server.first_line()
        endpoints = json.loads((state / "endpoints.json").read_text())
        self.assertEqual(endpoints["pid"], process.pid)
        self.assertEqual(line, "capfd ready" + "".join(f" {name}={endpoints[name]}" for name in endpoints
                                                       if name != "pid") + "\n")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(10), 0)
        self.assertEqual(process.stdout.read(), b"")
        process.stdout.close()
        self.assertFalse((state / "endpoints.json").exists())

    def test_liveness_readiness_and_metrics(self):
        self.assertEqual(self.status("/livez")[0], 200)
        self.assertEqual(self.status("/readyz")[0], 200)
        self.assertEqual(self.status("/nothing")[0], 404)
        status, text = self.status("/metrics")
        self.assertEqual(status, 200)
        eventually(lambda: re.search(r"^capf_database_up 1$", self.status("/metrics")[1], re.M), "the database is up")
        self.assertRegex(text, r'(?m)^capf_build_info\{version="[0-9.]+"\} 1$')
        self.assertRegex(text, r'(?m)^capf_certificate_not_after_seconds\{certificate="issuer"\} [0-9.e+]+$')

    def test_a_state_directory_that_cannot_be_written_shows_until_it_can(self):
        server = Server(self.copy("full"))
        self.site.servers.append(server)
        # Its folders are in memory and small, in a mount namespace of its own: only root can make one.
        script = """set -e
        for name in keys crls; do
            mkdir -p "$1/$name"
            mkdir -m 700 "$1/small"
            mount -t tmpfs -o size=2m,mode=0700 tmpfs "$1/small"
            cp -aT "$1/$name" "$1/small"
            mount --move "$1/small" "$1/$name"
            rmdir "$1/small"
        done
        exec "$2" run --state "$1" """
        with open(server.log, "wb", opener=private) as log:
            server.process = subprocess.Popen(["unshare", "-m", "--", "sh", "-c", script, "sh", server.state, CAPFD],
                                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        self.assertTrue(server.first_line().startswith("capfd ready"), server.log_text())
        server.endpoints = json.loads((server.state / "endpoints.json").read_text())

        def inside(*command, code=0):
            return run("nsenter", "-t", str(server.process.pid), "-m", *command, code=code)

        def health(code):
            done = self.site.capfctl("check", "health", code=None, server=server)
            return done.stdout if done.returncode == code else None

        def said():
            return server.log_text().count("server.not_ready reason=STATE_NOT_WRITABLE")

        for name in ("keys", "crls"):
            folder = server.state / name
            for what, words, spoil, mend in (
                    ("full", "No space left on device",
                     lambda: inside("dd", "if=/dev/zero", f"of={folder}/ballast", "bs=4k", "status=none", code=1),
                     lambda: inside("rm", f"{folder}/ballast")),
                    ("read-only", "Read-only file system",
                     lambda: eventually(lambda: inside("mount", "-o", "remount,ro", folder, code=None).returncode == 0,
                                        "nobody writes at this moment"),
                     lambda: inside("mount", "-o", "remount,rw", folder))):
                with self.subTest(f"{name} {what}"):
                    before = said()
                    spoil()
                    line = eventually(lambda: health(2), "check health is critical")
                    self.assertIn(f"NOT_SERVING, STATE_NOT_WRITABLE: {folder}: {words} | ", line)
                    self.assertEqual(self.status("/readyz", server), (503, "STATE_NOT_WRITABLE\n"))
                    gauge = 'capf_not_ready{reason="STATE_NOT_WRITABLE"} '
                    eventually(lambda: gauge + "1\n" in self.status("/metrics", server)[1], "metrics have it")
                    eventually(lambda: said() > before, "the log has it")
                    mend()
                    eventually(lambda: health(0), "it serves again")
                    sealed = re.findall(r"audit\.sealed number=(\d+)", server.log_text())
                    self.assertEqual(len(sealed), len(set(sealed)), sealed)
                    eventually(lambda: gauge + "0\n" in self.status("/metrics", server)[1], "metrics have it")
        self.assertEqual(server.stop(), 0)

    def test_a_server_waits_for_its_database_and_can_be_stopped_meanwhile(self):
        state = self.copy("patient")
        self.settings(state, lambda text: text.replace(self.site.database, f"host={state}"))
        log = state / "capfd.log"
        with open(log, "wb", opener=private) as stderr:
            process = subprocess.Popen([CAPFD, "run", "--state", state], stdout=subprocess.PIPE, stderr=stderr, text=True)
        self.addCleanup(process.kill)
        eventually(lambda: "database.waiting" in log.read_text(), log.read_text)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=10)
        self.assertEqual((process.returncode, out), (0, ""))

    def test_no_line_of_the_log_is_forged_by_a_caller(self):
        with rpc.admin_client(self.site) as admin, self.assertRaises(rpc.Refusal):
            admin.GetPhone(device="SEP1\nforged")
        eventually(lambda: "forged" in self.site.server.log_text(), "the call is in the log")
        for line in self.site.server.log_text().splitlines():
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info|warning|error) [a-z_.0-9]+( |$)")


class InitTest(DaemonTest):
    FILES = {"capfd.toml", "keys", "certificates", "admin", "passphrase", "recovery-signer.key",
             "recovery-signer.key.passphrase"}

    def names(self, state):
        return {path.name for path in state.iterdir()}

    def test_an_existing_site_is_never_overwritten(self):
        before = {path: path.read_bytes() for path in (self.site.state / "keys").glob("*.key")}
        state = self.copy("taken")
        done = self.init(state, *self.database("taken"), code=1)
        self.assertSays(done, "SITE_EXISTS")
        empty = self.new_state("fresh")
        done = self.init(empty, "--database", f"{self.site.database} user=capf_server dbname=capf",
                         "--database-owner", f"{self.site.database} user=capf_owner dbname=capf", code=1)
        self.assertSays(done, "SITE_EXISTS")
        self.assertEqual(self.names(empty), {"passphrase"})
        self.assertEqual(before, {path: path.read_bytes() for path in (self.site.state / "keys").glob("*.key")})

    def test_an_init_that_was_cut_off_before_it_was_on_record_begins_anew(self):
        state = self.new_state("early")
        (state / ".new/keys").mkdir(parents=True)
        (state / ".new/keys/issuer-1.key").write_text("half")
        (state / ".prepared").mkdir()
        self.init(state, *self.database("early"))
        self.assertEqual(self.names(state), self.FILES)

    def test_an_init_that_was_cut_off_after_it_was_on_record_is_finished(self):
        state = self.new_state("late")
        database = self.database("late")
        self.init(state, *database)
        (state / ".prepared").mkdir()
        for name in ("certificates", "admin", "recovery-signer.key", "recovery-signer.key.passphrase", "capfd.toml"):
            (state / name).rename(state / ".prepared" / name)
        self.assertIn("finished", self.init(state, *database).stdout)
        self.assertEqual(self.names(state), self.FILES)
        server = Server(state).start()
        self.assertEqual(server.stop(), 0)

    def test_an_init_that_fails_leaves_nothing(self):
        state = self.new_state("failing")
        database = self.database("failing")
        done = self.init(state, *database, "--import-certificate", "/nonexistent", "--import-key", "/nonexistent", code=1)
        self.assertSays(done, "/nonexistent")
        self.assertEqual(self.names(state), {"passphrase"})
        self.init(state, *database, "--subject", "not a name", code=1)
        self.init(state, *database, "--administrator", "../x", code=1)
        self.init(state, *database, "--public-host", "under_score.example", code=1)
        self.init(state, *database)

    def test_keys_of_every_kind_and_an_own_subject(self):
        for kind, text in (("rsa-3072", "(3072 bit)"), ("p-384", "(384 bit)")):
            with self.subTest(kind):
                name = "kind_" + kind.replace("-", "_")
                state = self.new_state(name)
                self.init(state, *self.database(name), "--days", "400", "--subject", "CN=CAPF-1234ABCD,O=Example,C=DE",
                          "--administrator", "alice", key=kind)
                shown = run("openssl", "x509", "-in", state / "certificates/issuer-1.pem", "-noout", "-text",
                            "-nameopt", "RFC2253").stdout
                self.assertIn(text, shown)
                self.assertIn("CA:TRUE, pathlen:0", shown)
                self.assertIn("CN=CAPF-1234ABCD", shown)
                self.assertTrue((state / "admin/alice.key").exists())

    def test_an_intermediate_with_its_chain_is_taken_over(self):
        folder = self.site.folder / "imported-ca"
        folder.mkdir()
        self.addCleanup(shutil.rmtree, folder)
        self.make_intermediate(folder)
        for name, options in (("pem", ("--import-certificate", folder / "chain.pem", "--import-key", folder / "sub.key")),
                              ("p12", ("--import-pkcs12", folder / "sub.p12"))):
            with self.subTest(name):
                state = self.new_state(f"import_{name}")
                self.init(state, *self.database(f"import_{name}"), *options,
                          "--import-passphrase", f"file:{folder}/passphrase")
                self.assertEqual((state / "certificates/issuer-1.pem").read_text().count("BEGIN CERTIFICATE"), 2)
                server = Server(state).start()
                issuers = run(PROGRAMS / "capfctl", "--state", state, "issuer", "export").stdout
                self.assertEqual(server.stop(), 0)
                self.assertIn((folder / "sub.pem").read_text().strip().splitlines()[1], issuers)

    def make_intermediate(self, folder: pathlib.Path):
        (folder / "extensions").write_text("basicConstraints=critical,CA:TRUE,pathlen:0\n"
                                           "keyUsage=critical,digitalSignature,keyCertSign,cRLSign\n"
                                           "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        secret = folder / "passphrase"
        secret.touch(mode=0o600)
        secret.write_text("imported")
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "root.key",
            "-out", folder / "root.pem", "-days", "3650", "-subj", "/O=Corp/CN=Root",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        run("openssl", "req", "-newkey", "rsa:2048", "-keyout", folder / "sub.key", "-passout", "pass:imported",
            "-out", folder / "sub.csr", "-subj", "/O=Corp/CN=Phones")
        run("openssl", "x509", "-req", "-in", folder / "sub.csr", "-CA", folder / "root.pem", "-CAkey", folder / "root.key",
            "-CAcreateserial", "-days", "3000", "-extfile", folder / "extensions", "-out", folder / "sub.pem")
        run("openssl", "pkcs12", "-export", "-inkey", folder / "sub.key", "-passin", "pass:imported",
            "-in", folder / "sub.pem", "-certfile", folder / "root.pem", "-passout", "pass:imported",
            "-out", folder / "sub.p12")
        (folder / "chain.pem").write_text((folder / "sub.pem").read_text() + (folder / "root.pem").read_text())
        for name in ("sub.key", "sub.p12"):
            (folder / name).chmod(0o600)


if __name__ == "__main__":
    unittest.main()
