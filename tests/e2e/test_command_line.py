"""The command line of its time: forms of output, terminals, pagers, completion, help, manual pages."""
import csv
import fcntl
import io
import json
import os
import pty
import shutil
import signal
import struct
import subprocess
import termios
import unittest

from .site import EndToEnd, PATIENCE, PROGRAMS, eventually, run


def on_terminal(*command, rows=24, columns=80, env=None, keys=b""):
    """Runs a program on a terminal of its own. Returns what the terminal got, and the exit status."""
    child, master = pty.fork()
    if child == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        signal.alarm(PATIENCE)  # a program that hangs is ended
        os.execve(command[0], [str(word) for word in command], {**os.environ, "TERM": "xterm", **(env or {})})
    if keys:
        os.write(master, keys)
    got = b""
    while True:
        try:
            octets = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if not octets:
            break
        got += octets
    os.close(master)
    return got.decode().replace("\r\n", "\n"), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class CommandLineTest(EndToEnd):
    def shown(self, *arguments, **options):
        options["env"] = {"PAGER": "", **options.get("env", {})}
        text, code = on_terminal(PROGRAMS / "capfctl", "--state", self.site.state, *arguments, **options)
        self.assertEqual(code, 0, text)
        return text

    def phones(self, count, tag):
        devices = [self.site.add_phone(self.device()) for _ in range(count)]
        self.site.capfctl("phone", "change", *devices, "--add-tags", tag)
        return devices


class FormTest(CommandLineTest):
    def test_a_list_in_every_form(self):
        first, second = sorted(self.phones(2, "forms"))
        self.site.capfctl("phone", "change", first, "--description", "=cmd|' /C calc'!A0")
        chosen = ("phone", "list", "--tag", "forms")
        rows = [json.loads(line) for line in self.site.capfctl(*chosen, "-o", "jsonl").stdout.splitlines()]
        self.assertEqual([row["device"] for row in rows], [first, second])
        self.assertEqual(rows, self.site.json(*chosen))
        table = list(csv.DictReader(io.StringIO(self.site.capfctl(*chosen, "-o", "csv").stdout)))
        self.assertEqual([row["device"] for row in table], [first, second])
        self.assertEqual(table[0]["description"], "'=cmd|' /C calc'!A0")
        self.assertEqual(self.site.capfctl(*chosen, "--columns", "device", "--no-headers").stdout, f"{first}\n{second}\n")
        self.assertEqual(self.site.json(*chosen, "--columns", "tags,device")[0], {"tags": ["forms"], "device": first})
        self.assertSays(self.site.capfctl(*chosen, "--columns", "colour", code=2), "no column 'colour'", "device")
        wide = self.site.capfctl(*chosen, "-o", "wide").stdout
        self.assertIn("DESCRIPTION", wide)
        self.assertEqual(len(self.site.capfctl("phone", "show", first, "-o", "csv").stdout.splitlines()), 2)

    def test_the_newest_come_first_and_a_time_ends_a_list(self):
        device = self.phones(1, "newest")[0]
        for _ in range(3):
            self.site.schedule(device, "install", "null")
            self.site.capfctl("operation", "cancel", device)
        operations = [each["id"] for each in self.site.json("operation", "list", "--device", device)]
        self.assertEqual(operations, sorted(operations))
        newest = self.site.json("operation", "list", "--device", device, "--newest")
        self.assertEqual([each["id"] for each in newest], operations[::-1])
        self.assertEqual([each["id"] for each in self.site.json("operation", "list", "--device", device, "--newest",
                                                               "--limit", "1")], operations[-1:])
        of_it = ("audit", "list", "--subject", device)
        events = self.site.json(*of_it)
        self.assertEqual(self.site.json(*of_it, "--newest"), events[::-1])
        self.assertEqual(self.site.json(*of_it, "--since", "-1h", "--until", "+1h"), events)
        self.assertEqual(self.site.json(*of_it, "--since", "-1h", "--newest"), events[::-1])
        self.assertEqual(self.site.json(*of_it, "--until", "-1h"), [])
        self.site.json("audit", "list", "--refusals", "--newest", "--until", "+1h")
        self.site.capfctl("certificate", "verify", "--until", "-1d")

    def test_times_in_a_zone_for_people_and_utc_for_programs(self):
        device = self.phones(1, "zone")[0]
        self.site.schedule(device, "install", "null")
        berlin = ("operation", "show", device, "--time-zone", "Europe/Berlin")
        self.assertRegex(self.site.capfctl(*berlin).stdout, r"created_at +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0[12]:00\n")
        self.assertRegex(self.site.json(*berlin)["created_at"], r"Z$")
        self.assertSays(self.site.capfctl("operation", "list", "--time-zone", "Europe/Atlantis", code=2), "no such time zone")


class TerminalTest(CommandLineTest):
    def test_no_line_is_wider_than_the_terminal_and_the_last_one_says_what_is_left_out(self):
        self.phones(3, "narrow")
        for columns in (20, 40, 80):
            with self.subTest(columns):
                lines = self.shown("phone", "list", "--tag", "narrow", columns=columns, env={"NO_COLOR": "1"}).splitlines()
                self.assertEqual(len(lines), 5)
                self.assertLessEqual(max(map(len, lines)), columns)
                self.assertIn("-o wide", lines[-1])

    def test_states_have_colours_unless_they_are_not_wanted(self):
        device = self.phones(1, "colour")[0]
        self.site.schedule(device, "install", "null")
        listed = ("operation", "list", "--device", device, "--columns", "state")
        self.assertIn("\x1b[33mpending\x1b[0m", self.shown(*listed))
        for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            self.assertNotIn("\x1b", self.shown(*listed, env=env))
        self.assertNotIn("\x1b", self.site.capfctl(*listed).stdout)

    def test_more_than_a_screen_goes_to_the_pager(self):
        self.phones(30, "paged")
        listed = ("phone", "list", "--tag", "paged", "--columns", "device")
        env = {"PAGER": "sed 's/^/paged: /'", "NO_COLOR": "1"}
        lines = self.shown(*listed, env=env).splitlines()
        self.assertEqual(len(lines), 31)
        self.assertTrue(all(line.startswith("paged: ") for line in lines))
        self.assertNotIn("paged: ", self.shown(*listed, rows=40, env=env))
        self.assertNotIn("paged: ", self.shown("phone", "list", "--tag", "paged", "--limit", "3", env=env))
        self.assertIn("paged: ", self.shown("help", "phone", "list", env=env))

    def test_a_pager_that_ends_early_is_no_failure(self):
        self.phones(30, "early")
        self.assertEqual(len(self.shown("phone", "list", "--tag", "early", env={"PAGER": "head -n 2"}).splitlines()), 2)
        self.shown("phone", "list", "--tag", "early", env={"PAGER": "true"})

    @unittest.skipUnless(os.path.exists("/dev/full"), "needs /dev/full")
    def test_output_that_is_full_is_a_failure(self):
        for form in ("table", "csv", "jsonl", "json"):
            with self.subTest(form), open("/dev/full", "wb") as full:
                done = subprocess.run([PROGRAMS / "capfctl", "--state", self.site.state, "profile", "list", "-o", form],
                                      stdout=full, stderr=subprocess.PIPE, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn(b"standard output cannot be written", done.stderr)


class HelpTest(CommandLineTest):
    def test_help_and_what_was_meant(self):
        self.assertEqual(self.site.capfctl("help", "phone", "list").stdout, self.site.capfctl("phone", "list", "--help").stdout)
        self.assertIn("--site", self.site.capfctl("operation", "list", "--help").stdout)
        self.assertSays(self.site.capfctl("phon", "list", code=2), "did you mean 'phone'?")
        self.assertSays(self.site.capfctl("phone", "list", "--outptu", "json", code=2), "did you mean '--output'?")
        self.assertSays(run(PROGRAMS / "capfd", "migrat", code=2), "did you mean 'migrate'?")
        self.assertSays(run(PROGRAMS / "capf-phone", "SEP1", "--wir", code=2), "did you mean '--wire'?")
        self.assertEqual(run(PROGRAMS / "capfd", "help", "init").stdout, run(PROGRAMS / "capfd", "init", "--help").stdout)

    def test_manual_pages_come_from_the_programs(self):
        for command, title in ((("capfctl", "--describe", "man"), '.TH "CAPFCTL" 1'),
                               (("capf-phone", "--describe", "man"), '.TH "CAPF\\-PHONE" 1'),
                               (("capfd", "--describe", "man"), '.TH "CAPFD" 8'),
                               (("capfd", "check-config", "--describe", "man"), '.TH "CAPFD.TOML" 5')):
            with self.subTest(command):
                self.assertTrue(run(PROGRAMS / command[0], *command[1:]).stdout.startswith(title))


class PassphraseTest(CommandLineTest):
    def test_a_signal_at_the_question_leaves_a_terminal_that_shows_what_is_typed(self):
        master, terminal = pty.openpty()
        self.addCleanup(os.close, master)
        self.addCleanup(os.close, terminal)

        def shows():
            return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)

        container = self.site.folder / "interrupted" / "admin.p12"
        container.parent.mkdir()
        asks = subprocess.Popen([PROGRAMS / "capfctl", "--state", self.site.state, "administrator", "export", "--pkcs12",
                                 container], stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True)
        self.addCleanup(asks.kill)
        eventually(lambda: not shows(), "the passphrase is asked for")
        asks.terminate()
        self.assertEqual(asks.wait(60), -signal.SIGTERM)
        self.assertTrue(shows())


class CompletionTest(CommandLineTest):
    def words(self, *words, code=0):
        return run(PROGRAMS / "capfctl", "completion", "words", "--state", self.site.state, *words, code=code).stdout.splitlines()

    def test_names_are_those_of_the_server(self):
        device = self.phones(1, "completed")[0]
        self.assertEqual(self.words("phone", "show", device[:-1]).count(device), 1)
        self.assertIn("nonsecure", self.words("profile", "show", ""))
        self.assertIn("admin", self.words("administrator", "disable", "a"))
        self.assertIn("1", self.words("issuer", "show", ""))
        self.assertEqual(self.words("phone", "show", "no/device"), [])

    def test_a_server_that_is_not_there_gives_none_at_once_and_in_silence(self):
        words = ("completion", "words", "--state", self.site.state, "--server", "192.0.2.1:3806", "phone", "show", "")
        done = run("timeout", "5", PROGRAMS / "capfctl", *words)
        self.assertEqual((done.stdout, done.stderr), ("", ""))
        done = run(PROGRAMS / "capfctl", "completion", "words", "--state", "/nowhere", "phone", "show", "")
        self.assertEqual((done.stdout, done.stderr), ("", ""))

    def test_scripts_are_what_their_shells_read(self):
        for shell, check in (("bash", ("bash", "-n")), ("zsh", ("zsh", "-n")), ("fish", ("fish", "--no-execute"))):
            with self.subTest(shell):
                if not shutil.which(shell):
                    continue
                script = self.site.folder / f"completion.{shell}"
                script.write_text(self.site.capfctl("completion", shell).stdout)
                run(*check, script)
