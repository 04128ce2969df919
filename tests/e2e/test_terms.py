"""What operations go by: a phone's settings where the command says nothing, whose each value is, what a later change does
not touch, which strings are made, and installs that come with a profile."""

import csv
import json
import stat
import unittest

from e2e import rpc
from e2e.site import EndToEnd

EC = ("--key-order", "ec", "--ec-size", "256")


class TermsTest(EndToEnd, rpc.RefusalTests):
    def profile(self, *options, mode="nonsecure"):
        """Adds a profile. @return its name"""
        name = self.device("terms ")
        self.site.capfctl("profile", "add", name, "--mode", mode, *options)
        return name

    def phones(self, count, profile=None):
        devices = sorted(self.device() for _ in range(count))
        self.site.capfctl("phone", "add", *devices)
        if profile:
            self.apply(profile, *devices, "--anyway")
        return devices

    def apply(self, profile, *arguments, code=0):
        return self.site.capfctl("profile", "apply", profile, *arguments, "--output", "json", code=code)

    def schedule(self, *arguments, code=0):
        return self.site.capfctl("operation", "schedule", "install", *arguments, "--output", "json", code=code)

    def terms(self, device):
        """@return value and owner by name"""
        settings = self.site.operation(device)["settings"]
        return {name: (setting["value"], setting["from"]) for name, setting in settings.items()}

    def strings(self, path):
        with open(path) as file:
            return {row[0]: row[1] for row in csv.reader(file) if not row[0].startswith("#") and row[0] != "device"}


class EffectTest(TermsTest):
    def test_an_operation_copies_what_is_in_effect_and_says_whose_each_value_is(self):
        name = self.profile("--auth", "mic", "--lsc-validity-days", "30", "--completes-within", "12h")
        device, = self.phones(1, name)
        self.site.capfctl("phone", "set", device, "--rsa-bits", "4096")
        self.schedule(device, "--key-order", "ec-rsa")
        terms = self.terms(device)
        end = self.site.operation(device)["completes_by"]
        self.assertEqual(terms, {"auth": ("mic", "profile"), "key_order": ("ec-rsa", "command"),
                                 "rsa_bits": ("4096", "phone"), "ec_bits": ("384", "site"),
                                 "completes_by": (end, "profile"), "lsc_validity_days": ("30", "profile"),
                                 "lsc_subject": ("plain", "site")})
        self.assertIn("mic (profile)", self.site.capfctl("operation", "show", device).stdout)
        self.site.capfctl("profile", "set", name, "--auth", "lsc", "--lsc-validity-days", "60", "--completes-within", "1h")
        self.site.capfctl("phone", "set", device, "--rsa-bits", "2048", "--lsc-validity-days", "7")
        self.apply("nonsecure", device)
        self.assertEqual(self.terms(device), terms, "a later change touches no open operation")

    def test_an_lsc_lives_as_long_as_the_operation_says(self):
        name = self.profile("--lsc-validity-days", "30", "--auth", "null", "--key-order", "ec", "--ec-bits", "256")
        device, = self.phones(1, name)
        self.schedule(device)
        self.site.capfctl("profile", "set", name, "--lsc-validity-days", "300")
        self.site.phone(device)
        days = self.site.sql("select extract(day from not_after - not_before) from certificates c join phones p on "
                             f"p.id = c.phone_id where device = '{device}'")
        self.assertIn(days, (["30"], ["31"]))

    def test_phones_of_one_command_go_by_their_own_settings_and_strings_are_for_those_by_string(self):
        by_mic = self.phones(3, self.profile("--auth", "mic"))
        by_string = self.phones(2)
        scheduled = json.loads(self.schedule(*by_mic, *by_string).stdout)
        self.assertEqual({each["device"]: len(each["auth_string"] or "") for each in scheduled},
                         {**dict.fromkeys(by_mic, 0), **dict.fromkeys(by_string, 8)})

    def test_a_strings_file_has_the_phones_by_string_alone_and_the_deadline_of_each(self):
        by_mic = self.phones(2, self.profile("--auth", "mic"))
        soon = self.phones(1, self.profile("--completes-within", "6h"))
        by_string = self.phones(2) + soon
        path = self.site.folder / f"{self.device('terms')}.csv"
        done = self.schedule(*by_mic, *by_string, "--strings", path)
        self.assertEqual(json.loads(done.stdout)["scheduled"], 5)
        self.assertEqual(set(self.strings(path)), set(by_string))
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        with open(path) as file:
            ends = {row[0]: row[2] for row in csv.reader(file) if len(row) > 2}
        for device in by_string:
            self.assertEqual(ends[device], self.site.operation(device)["completes_by"])
        self.assertLess(ends[soon[0]], ends[by_string[0]])
        self.assertEqual(self.terms(soon[0])["completes_by"][1], "profile")
        self.site.phone(by_string[0], "--string", self.strings(path)[by_string[0]])
        self.assertEqual(self.site.operation(by_string[0])["state"], "succeeded")

    def test_a_string_that_nobody_can_type_is_refused_by_name_and_nothing_is_scheduled(self):
        closed, = self.phones(1, self.profile("--settings-access", "off"))
        other, = self.phones(1)
        for options in ((), ("--auth", "string"), ("--strings", self.site.folder / f"{self.device('none')}.csv")):
            with self.subTest(options):
                self.assertSays(self.schedule(closed, other, *options, code=1), "STRING_CANNOT_BE_TYPED", closed)
        for device in (closed, other):
            self.assertSays(self.site.capfctl("operation", "show", device, code=1), "UNKNOWN_OPERATION")
        self.schedule(closed, "--auth", "mic")

    def test_an_ec_key_alone_is_not_scheduled_for_a_phone_with_encrypted_files(self):
        sealed, = self.phones(1, self.profile("--encrypted-config", "on"))
        other, = self.phones(1)
        self.assertSays(self.schedule(sealed, other, "--auth", "mic", "--key-order", "ec", code=1), "ENCRYPTED_CONFIG_NEEDS_RSA",
                        sealed, "key_order is ec (command)")
        for device in (sealed, other):
            self.assertSays(self.site.capfctl("operation", "show", device, code=1), "UNKNOWN_OPERATION")
        self.schedule(sealed, "--auth", "mic", "--key-order", "ec-rsa")
        self.schedule(other, "--auth", "mic", "--key-order", "ec")

    def test_an_operator_schedules_by_null_string_only_where_the_profile_says_so(self):
        self.site.capfctl("administrator", "add", "terms-operator", "--role", "operator")
        said, = self.phones(1, self.profile("--auth", "null", mode="encrypted"))
        unsaid, = self.phones(1, self.profile(mode="encrypted"))
        operator = lambda *arguments, code=0: self.site.capfctl(
            "--administrator", "terms-operator", "operation", "schedule", "install", *arguments, code=code)
        operator(said)
        self.assertEqual(self.terms(said)["auth"], ("null", "profile"))
        self.assertSays(operator(unsaid, "--auth", "null", code=1), "ROLE_DENIED")
        self.schedule(unsaid, "--auth", "null")
        self.assertEqual(self.terms(unsaid)["auth"], ("null", "command"))

    def test_a_phone_renews_by_itself_only_as_its_profile_says(self):
        device = self.device()
        self.site.enrol(device, *EC)
        self.site.changed.add(device)
        self.site.sql("update certificates set not_before = now() - interval '240 days', not_after = now() + interval '60 days' "
                      f"where phone_id = (select id from phones where device = '{device}')", user="postgres")
        for options in (("--renewal-from-percent", "90"), ("--renewal", "off"), ("--renewal", "scheduled")):
            with self.subTest(options):
                self.apply(self.profile(*options), device)
                self.site.phone(device, code=1)
        self.apply(self.profile("--renewal-from-percent", "75", "--lsc-validity-days", "30"), device)
        self.site.phone(device)
        operation = self.site.operation(device)
        self.assertEqual((operation["state"], operation["created_by"]), ("succeeded", device))
        terms = self.terms(device)
        self.assertEqual((terms["key_order"], terms["lsc_validity_days"]), (("ec", "former"), ("30", "profile")))


class InstallTest(TermsTest):
    def test_a_profile_comes_with_the_installs_that_it_needs(self):
        name = self.profile(mode="encrypted")
        has_lsc = self.device()
        self.site.enrol(has_lsc)
        pending, = self.phones(1)
        self.schedule(pending, "--auth", "mic")
        fresh = self.phones(2)
        devices = [has_lsc, pending, *fresh]
        self.assertSays(self.apply(name, *devices, code=1), "NO_CERTIFICATE", "--install")
        done = json.loads(self.apply(name, *devices, "--install").stdout)
        self.assertEqual((done["selected"], done["changed"], done["waiting"], done["scheduled"]), (4, 4, 3, 2))
        strings = {each["device"]: each["auth_string"] for each in done["operations"]}
        self.assertEqual(set(strings), set(fresh))
        self.assertEqual(self.site.operation(pending)["auth"], "mic")
        self.assertEqual(self.site.operation(has_lsc)["state"], "succeeded")
        self.site.phone(fresh[0], "--string", strings[fresh[0]])
        self.assertIn(self.site.json("phone", "show", fresh[0])["mode_reason"], (None, "SITE_NONSECURE"))
        again = json.loads(self.apply(name, *devices, "--install").stdout)
        self.assertEqual((again["changed"], again["scheduled"]), (0, 0))

    def test_installs_go_by_the_settings_of_the_new_profile(self):
        name = self.profile("--auth", "mic", "--lsc-validity-days", "30", mode="encrypted")
        device, = self.phones(1)
        done = json.loads(self.apply(name, device, "--install").stdout)
        self.assertEqual((done["scheduled"], done["operations"]), (1, []))
        self.assertEqual(self.terms(device)["auth"], ("mic", "profile"))
        self.assertEqual(self.terms(device)["lsc_validity_days"], ("30", "profile"))

    def test_profile_and_installs_are_done_together_or_not_at_all(self):
        name = self.profile("--settings-access", "off", mode="encrypted")
        devices = self.phones(2)
        self.assertSays(self.apply(name, *devices, "--install", code=1), "STRING_CANNOT_BE_TYPED", devices[0])
        for device in devices:
            self.assertEqual(self.site.json("phone", "show", device)["profile"], "nonsecure")
            self.assertSays(self.site.capfctl("operation", "show", device, code=1), "UNKNOWN_OPERATION")

    def test_more_strings_than_a_terminal_holds_need_a_file(self):
        name = self.profile(mode="encrypted")
        devices = self.phones(21)
        self.assertSays(self.apply(name, *devices, "--install", code=2), "--strings FILE")
        self.assertSays(self.apply(name, *devices, "--strings", "strings.csv", code=2), "--install")
        path = self.site.folder / f"{self.device('installs')}.csv"
        done = json.loads(self.apply(name, *devices, "--install", "--strings", path).stdout)
        self.assertEqual((done["scheduled"], done["operations"]), (21, []))
        strings = self.strings(path)
        self.assertEqual(set(strings), set(devices))
        self.assertIn("# finished", path.read_text())
        self.site.phone(devices[20], "--string", strings[devices[20]])
        self.assertEqual(self.site.operation(devices[20])["state"], "succeeded")

    def test_a_dry_run_schedules_nothing(self):
        device, = self.phones(1)
        self.apply(self.profile(mode="encrypted"), device, "--install", "--dry-run")
        self.assertSays(self.site.capfctl("operation", "show", device, code=1), "UNKNOWN_OPERATION")
        self.assertEqual(self.site.json("phone", "show", device)["profile"], "nonsecure")


if __name__ == "__main__":
    unittest.main()
