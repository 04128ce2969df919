"""Profiles, phones' own settings, and modes: the whole life of a profile, what is refused and why, two administrators at
once, what is in effect by itself and no longer, and that all of it stays over a restart."""

import concurrent.futures
import json
import re
import unittest

from e2e import pki, rpc
from e2e.site import EndToEnd, PROGRAMS, run

EC = ("--key-order", "ec", "--ec-size", "256")


class ProfilesTest(EndToEnd, rpc.RefusalTests):
    def setUp(self):
        self.mode("mixed")

    def mode(self, mode):
        return self.site.json("site", "security-mode", mode, "--anyway", "--yes")

    def profile(self, *options, mode="encrypted", code=0):
        """Adds a profile. @return its name"""
        name = self.device("profile ")
        self.site.capfctl("profile", "add", name, "--mode", mode, *options, code=code)
        return name

    def phones(self, count, *options):
        devices = [self.device() for _ in range(count)]
        self.site.capfctl("phone", "add", *devices, *options)
        return devices

    def enrolled(self, *options):
        """@return a device with a confirmed LSC"""
        device = self.device()
        self.site.enrol(device, *options)
        return device

    def set(self, name, *options, code=0):
        return self.site.capfctl("profile", "set", name, *options, code=code)

    def apply(self, name, *devices, code=0):
        return self.site.capfctl("profile", "apply", name, *devices, "--output", "json", code=code)

    def shown(self, device):
        return self.site.json("phone", "show", device)

    def in_effect(self, device):
        """@return the mode in effect, and why it is lower"""
        phone = self.shown(device)
        return phone["effective_mode"], phone["mode_reason"]

    def found(self, *options):
        return [phone["device"] for phone in self.site.json("phone", "list", *options)]

    def events(self, action, subject=None):
        events = self.site.json("audit", "list", "--action", action, *(("--subject", subject) if subject else ()))
        return [event["detail"] for event in events if event["outcome"] == "done"]


class LifeTest(ProfilesTest):
    def test_a_profile_from_its_first_day_to_its_last(self):
        name, other, last = (self.device("life ") for _ in range(3))
        added = self.site.json("profile", "add", name, "--mode", "encrypted", "--auth", "mic", "--description", "Desks")
        self.assertEqual((added["mode"], added["phones"], added["revision"]), ("encrypted", 0, 1))
        self.assertEqual(added["settings"]["auth"], "mic")
        self.assertEqual(added["settings"]["ssh_access"], "off", "a new profile begins hardened")
        copied = self.site.json("profile", "copy", name, other, "--auth", "lsc", "--unset", "ssh-access")
        self.assertEqual((copied["mode"], copied["description"], copied["settings"]["auth"]), ("encrypted", "Desks", "lsc"))
        self.assertNotIn("ssh_access", copied["settings"])
        device = self.enrolled()
        self.assertEqual(json.loads(self.apply(name, device).stdout), {"selected": 1, "changed": 1, "waiting": 0})
        self.assertEqual(json.loads(self.apply(name, device).stdout)["changed"], 0)
        self.assertEqual(self.in_effect(device), ("encrypted", None))
        self.assertEqual(self.site.json("profile", "show", name)["phones"], 1)
        changed = self.site.json("profile", "set", name, "--mode", "authenticated", "--unset", "auth")
        self.assertEqual((changed["mode"], changed["revision"], changed["phones"]), ("authenticated", 2, 1))
        self.assertEqual(self.in_effect(device), ("authenticated", None))
        self.assertEqual(self.site.json("profile", "rename", name, last)["phones"], 1)
        self.assertEqual(self.shown(device)["profile"], last)
        self.assertSays(self.site.capfctl("profile", "remove", last, "--yes", code=1), "PROFILE_IN_USE", "1 phone has")
        self.apply("nonsecure", device)
        self.site.capfctl("profile", "remove", last, "--yes")
        self.assertSays(self.site.capfctl("profile", "show", last, code=1), "UNKNOWN_PROFILE")
        self.assertIn(other, [each["name"] for each in self.site.json("profile", "list")])
        self.assertTrue(self.events("profile.add", name)[0].startswith("mode encrypted, auth=mic"))
        self.assertEqual(self.events("profile.set", name), ["mode authenticated, without auth"])
        self.assertEqual(self.events("profile.rename", name), [f"to {last}"])
        self.assertEqual(self.events("profile.remove", last), [None])
        self.assertEqual(self.events("profile.apply", device), [name, "nonsecure"])

    def test_the_first_profile_is_there_and_stays_as_it_is(self):
        first = self.site.json("profile", "show", "nonsecure")
        self.assertEqual((first["mode"], first["settings"]), ("nonsecure", {}))
        for command in (("set", "nonsecure", "--mode", "encrypted"), ("rename", "nonsecure", "other"),
                        ("remove", "nonsecure", "--yes")):
            with self.subTest(command[0]):
                self.assertSays(self.site.capfctl("profile", *command, code=1), "PROFILE_FIXED")
        device = self.phones(1)[0]
        self.assertEqual((self.shown(device)["profile"], self.shown(device)["mode"]), ("nonsecure", "nonsecure"))

    def test_a_removed_phone_holds_no_profile_and_leaves_nothing_to_the_next_one_of_its_name(self):
        name, device = self.profile(), self.enrolled()
        self.apply(name, device)
        self.site.capfctl("phone", "set", device, "--auth", "mic")
        self.site.capfctl("phone", "remove", device, "--yes")
        self.site.capfctl("profile", "remove", name, "--yes")
        self.site.add_phone(device)
        self.assertEqual(self.shown(device)["profile"], "nonsecure")
        self.assertEqual(self.shown(device)["settings"]["auth"]["from"], "site")

    def test_all_of_it_stays_over_a_restart(self):
        name, device = self.profile("--pc-port", "off"), self.enrolled()
        self.apply(name, device)
        self.site.capfctl("phone", "set", device, "--usb", "off")
        before = [self.shown(device), self.site.json("profile", "show", name), self.mode("mixed")]
        self.site.server.restart()
        self.assertEqual([self.shown(device), self.site.json("profile", "show", name), self.mode("mixed")], before)

    def test_every_setting_is_in_the_help_with_its_values(self):
        text = self.site.capfctl("profile", "set", "--help").stdout
        for words in ("--encrypted-config on|off", "--key-order rsa|ec|ec-rsa", "--nonce-seconds", "30 to 3600", "--unset"):
            self.assertIn(words, " ".join(text.split()))


class ChangeTest(ProfilesTest):
    def test_a_dry_run_says_what_follows_and_does_nothing(self):
        name = self.profile(mode="nonsecure")
        secure, waiting = self.enrolled(), self.phones(1)[0]
        self.apply(name, secure, waiting)
        self.site.capfctl("phone", "set", waiting, "--pc-port", "on")
        before = self.site.json("profile", "show", name)
        dry = self.set(name, "--mode", "encrypted", "--pc-port", "off", "--dry-run", "--output", "json")
        effect = json.loads(dry.stdout)
        self.assertEqual((effect["phones"], effect["mode_changes"], effect["restarts"]), (2, 1, 1))
        self.assertEqual((effect["profile"]["mode"], effect["profile"]["settings"]["pc_port"]), ("encrypted", "off"))
        self.assertSays(dry, "nothing was done")
        self.assertEqual(self.site.json("profile", "show", name), before)

    def test_of_two_administrators_the_second_hears_that_it_is_another_one_now(self):
        name = self.profile()
        revision = str(self.site.json("profile", "show", name)["revision"])
        self.set(name, "--revision", revision, "--auth", "mic")
        self.assertSays(self.set(name, "--revision", revision, "--auth", "lsc", code=1), "CHANGED_MEANWHILE")
        self.assertEqual(self.site.json("profile", "show", name)["settings"]["auth"], "mic")
        with rpc.admin_client(self.site) as admin, concurrent.futures.ThreadPoolExecutor(8) as pool:
            def change(number):
                try:
                    admin.SetProfile(name=name, description=f"by {number}", expected_revision=2)
                    return "done"
                except rpc.Refusal as refusal:
                    return refusal.reason
            outcomes = list(pool.map(change, range(8)))
        self.assertEqual(sorted(outcomes), ["CHANGED_MEANWHILE"] * 7 + ["done"])
        self.assertEqual(self.site.json("profile", "show", name)["revision"], 3)

    def test_a_change_writes_no_phone(self):
        name, devices = self.profile(), self.phones(20)
        self.apply(name, *devices, "--anyway")
        versions = f"select xmin, revision from phones where device = any ('{{{','.join(devices)}}}') order by device"
        before = self.site.sql(versions)
        self.set(name, "--mode", "authenticated", "--web-access", "on")
        self.mode("nonsecure")
        self.mode("mixed")
        self.assertEqual(self.site.sql(versions), before)
        self.assertEqual(self.found("--profile", name, "--mode", "authenticated"), devices)

    def test_bad_wishes_are_refused_and_change_nothing(self):
        name = self.profile()
        before = self.site.json("profile", "list")
        cases = [
            (("set", name), "nothing to change"),
            (("set", name, "--encrypted-config", "on", "--key-order", "ec"), "ENCRYPTED_CONFIG_NEEDS_RSA"),
            (("set", name, "--digest", "on", "--protocol", "sccp"), "SETTINGS_CONFLICT"),
            (("set", name, "--transport", "udp"), "SETTINGS_CONFLICT"),
            (("set", name, "--nonce-seconds", "1"), "INVALID_SETTING"),
            (("set", name, "--unset", "nothing"), "INVALID_SETTING"),
            (("set", name, "--auth", "mic", "--unset", "auth"), "INVALID_REQUEST"),
            (("set", name, "--description", "x" * 201), "200 characters"),
            (("set", "nobody's", "--auth", "mic"), "UNKNOWN_PROFILE"),
            (("add", name), "PROFILE_EXISTS"),
            (("add", " x"), "no blank at either end"),
            (("add", "x" * 65), "64 characters"),
            (("copy", "nobody's", "y"), "UNKNOWN_PROFILE"),
            (("rename", name, "nonsecure"), "PROFILE_EXISTS"),
            (("rename", name, ""), "64 characters"),
            (("remove", "nobody's", "--yes"), "UNKNOWN_PROFILE"),
        ]
        forms = ("nothing to change", "INVALID_", " characters", "no blank")
        for arguments, words in cases:
            with self.subTest(arguments):
                code = 2 if any(form in words for form in forms) else 1
                self.assertSays(self.site.capfctl("profile", *arguments, code=code), words)
        self.assertSays(self.set(name, "--auth", "guess", code=2), "string, null, lsc, mic")
        self.assertSays(self.site.capfctl("profile", "remove", name, code=2), "--yes")
        self.assertEqual(self.site.json("profile", "list"), before)
        refused = {(event["action"], event["reason"]) for event in self.site.json("audit", "list", "--action", "profile")
                   if event["outcome"] == "refused"}
        self.assertLessEqual({("profile.set", "ENCRYPTED_CONFIG_NEEDS_RSA"), ("profile.set", "SETTINGS_CONFLICT"),
                              ("profile.add", "PROFILE_EXISTS"), ("profile.rename", "PROFILE_EXISTS"),
                              ("profile.remove", "UNKNOWN_PROFILE")}, refused)

    def test_a_change_that_phones_cannot_follow_with_their_own_values_is_refused_with_how_many_they_are(self):
        name = self.profile(mode="nonsecure")
        first, second, third = self.phones(3)
        self.apply(name, first, second, third)
        self.site.capfctl("phone", "set", first, second, "--key-order", "ec")
        self.site.capfctl("phone", "set", third, "--transport", "udp")
        before = self.site.json("profile", "show", name)
        for options, reason, words in ((("--encrypted-config", "on"), "ENCRYPTED_CONFIG_NEEDS_RSA", "2 phones cannot follow"),
                                       (("--mode", "encrypted"), "SETTINGS_CONFLICT", f"1 phone cannot follow it with its own "
                                        f"values, as {third}: transport is set")):
            for dry_run in ((), ("--dry-run",)):
                with self.subTest((options, dry_run)):
                    self.assertSays(self.set(name, *options, *dry_run, code=1), reason, words)
        self.assertEqual(self.site.json("profile", "show", name), before)
        self.site.capfctl("phone", "set", third, "--unset", "transport")
        self.set(name, "--mode", "encrypted")
        self.apply("nonsecure", first, second)
        self.set(name, "--encrypted-config", "on")
        self.assertSays(self.apply(name, first, "--anyway", code=1), "ENCRYPTED_CONFIG_NEEDS_RSA", first)

    def test_renewal_that_is_scheduled_says_that_somebody_restarts_the_phones(self):
        name = self.profile()
        self.assertSays(self.set(name, "--renewal", "scheduled"), "restarts them")

    def test_an_operator_applies_and_an_admin_writes(self):
        name, device = self.profile(), self.enrolled()
        self.site.capfctl("administrator", "add", "olaf", "--role", "operator")
        with rpc.admin_client(self.site, rpc.admin_identity(self.site, "olaf")) as operator:
            for method, fields in ((operator.AddProfile, {"name": "o"}), (operator.SetProfile, {"name": name}),
                                   (operator.RenameProfile, {"name": name}), (operator.RemoveProfile, {"name": name}),
                                   (operator.SetSecurityMode, {"mode": "nonsecure"})):
                self.assertEqual(self.refusal(method, **fields).reason, "ROLE_DENIED")
            one = rpc.admin_pb2.PhoneSelection(devices=[device])
            self.assertEqual(operator.ApplyProfile(selection=one, count=1, profile=name).changed, 1)
            null = {"selection": one, "count": 1, "settings": {"auth": "null"}}
            self.assertEqual(self.refusal(operator.ChangePhoneSettings, **null).reason, "ROLE_DENIED")
            operator.ApplyProfile(selection=one, count=1, profile="nonsecure")
            self.assertEqual(operator.ChangePhoneSettings(**null).changed, 1)
            # The same by another way: the phone's own null string in a secure profile.
            refusal = self.refusal(operator.ApplyProfile, selection=one, count=1, profile=name)
            self.assertEqual(refusal.reason, "ROLE_DENIED")
        self.apply(name, device)


class ApplyTest(ProfilesTest):
    """The table of applying, and batches."""

    def test_without_a_certificate_nothing_is_applied_but_what_is_pending_waits(self):
        name = self.profile()
        valid, pending, nothing = self.enrolled(), *self.phones(2)
        string = self.site.schedule(pending, "install", "string")
        refused = self.apply(name, valid, pending, nothing, code=1)
        self.assertSays(refused, "NO_CERTIFICATE", f"capfctl operation schedule install {nothing}")
        self.assertEqual([self.shown(device)["profile"] for device in (valid, pending, nothing)], ["nonsecure"] * 3)
        done = self.apply(name, valid, pending)
        self.assertEqual(json.loads(done.stdout), {"selected": 2, "changed": 2, "waiting": 1})
        self.assertSays(done, "1 of the phones are nonsecure until they have confirmed an LSC")
        self.assertEqual(self.in_effect(valid), ("encrypted", None))
        self.assertEqual(self.in_effect(pending), ("nonsecure", "NO_CERTIFICATE"))
        self.assertEqual(json.loads(self.apply(name, nothing, "--anyway").stdout)["waiting"], 1)
        self.assertEqual(self.in_effect(nothing), ("nonsecure", "NO_CERTIFICATE"))
        self.site.phone(pending, "--string", string)
        self.assertEqual(self.in_effect(pending), ("encrypted", None), "by itself")
        self.assertEqual(self.events("profile.apply", nothing), [f"{name}, anyway"])

    def test_an_ec_lsc_and_encrypted_files_do_not_go_together(self):
        name = self.profile("--encrypted-config", "on")
        rsa, ec = self.enrolled(), self.enrolled(*EC)
        self.assertSays(self.apply(name, rsa, ec, code=1), "ENCRYPTED_CONFIG_NEEDS_RSA", ec)
        self.assertSays(self.apply(name, ec, "--anyway", code=1), "ENCRYPTED_CONFIG_NEEDS_RSA")
        self.assertEqual(self.shown(rsa)["profile"], "nonsecure")
        self.apply(name, rsa)

    def test_a_model_that_cannot_is_named(self):
        name = self.profile("--encrypted-config", "on", mode="nonsecure")
        old = self.phones(1, "--model", "CP-7940")[0]
        self.assertSays(self.apply(name, old, code=1), "MODEL_CANNOT", "CP-7940")

    def test_every_problem_is_told_and_a_dry_run_does_nothing(self):
        name, devices = self.profile(), self.phones(25)
        refused = self.apply(name, *devices, code=1)
        self.assertEqual(refused.stderr.count("NO_CERTIFICATE: "), 21, "20 of them and the outcome")
        self.assertSays(refused, "there are 25 problems")
        dry = self.apply(name, *devices, "--anyway", "--dry-run")
        self.assertEqual(json.loads(dry.stdout), {"selected": 25, "changed": 25, "waiting": 25})
        self.assertSays(dry, "nothing was done")
        self.assertEqual(self.site.json("profile", "show", name)["phones"], 0)
        with rpc.admin_client(self.site) as admin:
            selection = rpc.admin_pb2.PhoneSelection(devices=devices)
            found = admin.ApplyProfile(selection=selection, profile=name, dry_run=True)
            self.assertEqual([problem.device for problem in found.problems], devices)
            self.assertEqual({problem.reason for problem in found.problems}, {"NO_CERTIFICATE"})
            refusal = self.refusal(admin.ApplyProfile, selection=selection, profile=name, count=25)
            self.assertEqual(refusal.reason, "NO_CERTIFICATE")
            self.assertIn("24 more problems", refusal.details)
            refusal = self.refusal(admin.ApplyProfile, selection=selection, profile=name, count=24, anyway=True)
            self.assertEqual(refusal.reason, "SELECTION_CHANGED")
        self.assertSays(self.site.capfctl("profile", "apply", name, code=2), "--all chooses every phone")
        self.assertSays(self.apply("nobody's", devices[0], code=1), "UNKNOWN_PROFILE")
        self.assertSays(self.apply(name, "SEPFFFFFFFFFFFF", code=1), "UNKNOWN_DEVICE")

    def test_a_thousand_phones_in_batches_and_as_a_selection_of_their_profile(self):
        name = self.profile(mode="nonsecure")
        devices = [self.device() for _ in range(1001)]
        lines = "\n".join(devices)
        self.site.capfctl("phone", "add", "--file", "-", input=lines)
        self.site.capfctl("phone", "change", "--file", "-", "--add-tags", name.replace(" ", "-"), input=lines)
        tag = ("--tag", name.replace(" ", "-"))
        self.assertSays(self.apply(name, *tag, code=2), "1001 phones", "--yes")
        done = json.loads(self.apply(name, *tag, "--yes").stdout)
        self.assertEqual(done, {"selected": 1001, "changed": 1001, "waiting": 0})
        self.assertEqual(self.found("--profile", name), devices)
        self.assertEqual(json.loads(self.apply("nonsecure", "--profile", name, "--yes").stdout)["changed"], 1001)
        self.assertEqual(self.found("--profile", name), [])

    def test_a_profile_that_is_removed_while_it_is_applied_is_applied_or_gone_and_never_half(self):
        for _ in range(8):
            name, device = self.profile(mode="nonsecure"), self.phones(1)[0]
            with rpc.admin_client(self.site) as admin, concurrent.futures.ThreadPoolExecutor(2) as pool:
                def outcome(method, **fields):
                    try:
                        method(**fields)
                        return "done"
                    except rpc.Refusal as refusal:
                        return refusal.reason
                selection = rpc.admin_pb2.PhoneSelection(devices=[device])
                applied = pool.submit(outcome, admin.ApplyProfile, selection=selection, count=1, profile=name)
                removed = pool.submit(outcome, admin.RemoveProfile, name=name)
                self.assertIn((applied.result(), removed.result()),
                              (("done", "PROFILE_IN_USE"), ("UNKNOWN_PROFILE", "done")))


class ModeTest(ProfilesTest):
    def test_what_is_in_effect_goes_up_and_down_by_itself(self):
        name, device = self.profile(), self.enrolled()
        self.apply(name, device)
        serial = self.site.json("certificate", "show", device)["serial"]
        self.assertEqual(self.in_effect(device), ("encrypted", None))
        self.site.capfctl("certificate", "revoke", serial, "--reason", "certificateHold", "--yes")
        self.assertEqual(self.in_effect(device), ("nonsecure", "CERTIFICATE_HELD"))
        self.site.capfctl("certificate", "release", serial)
        self.assertEqual(self.in_effect(device), ("encrypted", None))
        self.site.capfctl("certificate", "revoke", serial, "--reason", "superseded", "--yes")
        self.assertEqual(self.in_effect(device), ("nonsecure", "CERTIFICATE_REVOKED"))
        self.site.schedule(device, "install", "null")
        self.site.phone(device)
        self.assertEqual(self.in_effect(device), ("encrypted", None))
        self.site.changed.add(device)
        self.site.sql("update phone_lscs set not_after = now() - interval '1 s' where phone_id = "
                      f"(select id from phones where device = '{device}')")
        self.assertEqual(self.in_effect(device), ("nonsecure", "CERTIFICATE_EXPIRED"))
        self.site.capfctl("phone", "block", device)
        self.assertEqual(self.in_effect(device), ("nonsecure", "BLOCKED"))

    def test_the_sites_mode_is_told_asked_and_shown(self):
        self.mode("nonsecure")
        name, device = self.profile(), self.enrolled()
        self.apply(name, device)
        self.assertEqual(self.in_effect(device), ("nonsecure", "SITE_NONSECURE"))
        self.assertEqual(self.found("--profile", name, "--mode", "encrypted", "--effective-mode", "nonsecure"), [device])
        told = self.site.capfctl("site", "security-mode", "mixed", "--anyway", "--dry-run")
        self.assertSays(told, "have a secure profile", "nothing was done")
        self.assertEqual(self.in_effect(device), ("nonsecure", "SITE_NONSECURE"))
        self.site.capfctl("site", "security-mode", "mixed", "--anyway")
        self.assertEqual(self.in_effect(device), ("encrypted", None))
        self.assertEqual(self.found("--profile", name, "--effective-mode", "encrypted"), [device])
        self.assertEqual(self.found("--profile", name, "--effective-mode", "nonsecure"), [])
        self.assertSays(self.site.capfctl("site", "security-mode", "nonsecure", code=2), "register nonsecure", "--yes")
        self.assertEqual(self.in_effect(device), ("encrypted", None))
        self.assertSays(self.site.capfctl("site", "security-mode", "mixed", "--anyway"), "mixed already")
        with rpc.admin_client(self.site) as admin:
            self.assertEqual(admin.GetSite().site.security_mode, "mixed")
        self.assertEqual(self.events("site.security_mode")[-1], "mixed, was nonsecure")

    def test_a_mic_counts_where_the_profile_allows_it_and_its_dates_are_known(self):
        name, device = self.profile("--allow-mic", "on"), self.phones(1)[0]
        self.apply(name, device, "--anyway")
        self.assertEqual(self.in_effect(device), ("nonsecure", "NO_CERTIFICATE"))
        mic = "insert into phone_mics select id, mic_sha256, '0', now() - interval '1 day', now() + interval '1 day' " \
              f"from phones where device = '{device}'"
        self.site.sql(f"update phones set mic_sha256 = sha256('a') where device = '{device}'")
        self.assertEqual(self.in_effect(device), ("nonsecure", "NO_CERTIFICATE"), "a hash has no dates")
        self.site.sql(mic)
        self.assertEqual(self.in_effect(device), ("encrypted", None))
        self.set(name, "--allow-mic", "off")
        self.assertEqual(self.in_effect(device), ("nonsecure", "NO_CERTIFICATE"))


    def test_a_mic_that_authenticates_is_kept_whole(self):
        device, manufacturer = self.phones(1)[0], pki.Manufacturer.trusted(self.site, type(self))
        certificate, key = manufacturer.mic(device, key="rsa-2048").write(self.site.folder / "profile-mics", device)
        self.site.schedule(device, "install", "mic")
        self.site.phone(device, "--certificate", certificate, "--key", key)
        kept = "select m.sha256 = p.mic_sha256 and sha256(m.der) = m.sha256 and now() between not_before and not_after " \
               f"from phone_mics m join phones p on p.id = phone_id where device = '{device}'"
        self.assertEqual(self.site.sql(kept), ["t"])
        self.site.capfctl("phone", "unlock", device, "--forget-mic")
        self.assertEqual(self.site.sql(kept), [""], "it is not the remembered one any more")


class SettingsTest(ProfilesTest):
    def test_every_value_says_whose_it_is(self):
        name, device = self.profile("--auth", "mic", "--renewal", "scheduled"), self.enrolled()
        self.apply(name, device)
        self.site.capfctl("phone", "set", device, "--auth", "lsc")
        settings = self.shown(device)["settings"]
        self.assertEqual(settings["auth"], {"value": "lsc", "from": "phone"})
        self.assertEqual(settings["renewal"], {"value": "scheduled", "from": "profile"})
        self.assertEqual(settings["rsa_bits"]["from"], "site")
        self.assertRegex(self.site.capfctl("phone", "show", device).stdout, r"(?m)^ +auth +lsc \(phone\)$")
        with rpc.admin_client(self.site) as admin:
            answer = admin.GetEffectiveSettings(device=device)
            self.assertEqual((answer.profile, answer.mode, answer.effective_mode), (name, "encrypted", "encrypted"))
            self.assertEqual({key: {"value": each.value, "from": getattr(each, "from")}
                              for key, each in answer.settings.items()}, settings)
            self.assertEqual(self.refusal(admin.GetEffectiveSettings, device="SEPFFFFFFFFFFFF").reason, "UNKNOWN_DEVICE")
        self.site.capfctl("phone", "set", device, "--unset", "auth")
        self.assertEqual(self.shown(device)["settings"]["auth"], {"value": "mic", "from": "profile"})
        self.assertEqual(self.events("phone.set", device), ["auth=lsc", "without auth"])

    def test_a_list_shows_profile_and_modes(self):
        name, device = self.profile(), self.phones(1)[0]
        self.apply(name, device, "--anyway")
        head, row = self.site.capfctl("phone", "list", "--profile", name).stdout.splitlines()
        self.assertRegex(head, "PROFILE +MODE +IN EFFECT")
        self.assertRegex(row, f"{name} +encrypted +nonsecure")

    def test_values_of_a_phone_that_cannot_be_are_refused(self):
        name, first, second = self.profile("--encrypted-config", "on"), self.enrolled(), self.enrolled()
        self.apply(name, first)
        self.assertSays(self.site.capfctl("phone", "set", first, second, "--key-order", "ec", code=1),
                        "ENCRYPTED_CONFIG_NEEDS_RSA", first)
        self.assertEqual(self.shown(second)["settings"]["key_order"]["from"], "site", "all or none")
        self.assertSays(self.site.capfctl("phone", "set", first, code=2), "say what to set")
        self.assertSays(self.site.capfctl("phone", "set", "--auth", "mic", code=2), "--all chooses every phone")

    def test_a_phone_whose_settings_are_off_cannot_be_asked_for_a_string(self):
        device = self.phones(1)[0]
        self.site.schedule(device, "install", "string")
        self.assertSays(self.site.capfctl("phone", "set", device, "--settings-access", "off", code=1),
                        "STRING_CANNOT_BE_TYPED")
        self.site.capfctl("operation", "cancel", device)
        self.site.capfctl("phone", "set", device, "--settings-access", "off")


class ServersTest(ProfilesTest):
    def test_a_second_server_with_other_settings_does_not_start(self):
        state = self.site.copy_state("other")
        path = state / "capfd.toml"
        others = re.sub(r"(?m)^lsc_validity_days = .*\n", "", path.read_text())
        section = "[policy]\nlsc_validity_days = 365\n"
        path.write_text(others.replace("[policy]\n", section, 1) if "[policy]\n" in others else f"{others}\n{section}")
        done = run(PROGRAMS / "capfd", "run", "--state", state, code=None)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("lsc_validity_days", done.stdout + done.stderr)
        self.assertIn("all servers of a site have the same [policy]", done.stdout + done.stderr)

    def test_a_second_server_with_the_same_settings_shows_the_same(self):
        name = self.profile()
        second = self.site.add_server()
        self.assertEqual(json.loads(self.site.capfctl("profile", "show", name, "--output", "json", server=second).stdout),
                         self.site.json("profile", "show", name))
        second.stop()


if __name__ == "__main__":
    unittest.main()
