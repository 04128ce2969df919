"""Phones found by their properties, and changed by them: each option of a selection, dry runs, questions, counts that no
longer hold, odd text; as the command line and as a client of AdminService."""

import json
import unittest

from e2e import rpc
from e2e.rpc import admin_pb2
from e2e.site import EndToEnd, eventually


class SelectionTest(EndToEnd, rpc.RefusalTests):
    def phones(self, count, *options):
        """Adds phones. @return their names, in order"""
        devices = [self.device() for _ in range(count)]
        self.site.capfctl("phone", "add", "--file", "-", *options, input="\n".join(devices) + "\n")
        return devices

    def tag(self, devices, *tags):
        self.site.capfctl("phone", "change", *devices, "--add-tags", " ".join(tags))

    def found(self, *options, input=None):
        """The names that `phone list` shows."""
        return [phone["device"] for phone in self.site.json("phone", "list", *options, input=input)]

    def change(self, *arguments, code=0, input=None):
        return self.site.capfctl("phone", "change", *arguments, code=code, input=input)

    def shown(self, device):
        return self.site.json("phone", "show", device)


class PropertyTest(SelectionTest):
    def test_description_and_tags_are_shown_and_found_and_on_record(self):
        first, second, third = self.phones(3, "--model", "CP-7821")
        changed = self.site.json("phone", "change", first, second, "--description", "Reception", "--add-tags", "lobby f-1")
        self.assertEqual(changed, {"selected": 2, "changed": 2})
        self.assertEqual(self.site.json("phone", "change", first, second, "--description", "Reception")["changed"], 0)
        self.change(second, third, "--add-tags", "f-2", "--remove-tags", "f-1")
        self.assertEqual(self.shown(first)["description"], "Reception")
        self.assertEqual(self.shown(second)["tags"], ["f-2", "lobby"])
        self.assertEqual(self.found("--tag", "lobby"), [first, second])
        self.assertEqual(self.found("--tag", "lobby", "--tag", "f-2"), [first, second, third])
        self.assertEqual(self.found("--tag", "lobby", "--tag", "f-1", "--model", "CP-78*", "--device", f"*{second[-4:]}"),
                         [second])
        self.assertEqual(self.found("--file", "-", "--tag", "f-2", input=f"{third}\n{first}\n"), [third])
        but = self.site.folder / "but.csv"
        but.write_text(second + "\n")
        self.assertEqual(self.found("--tag", "lobby", "--except", but), [first])
        self.change(first, "--description", "", "--set-tags", "")
        self.assertEqual((self.shown(first)["description"], self.shown(first)["tags"]), (None, []))
        events = self.site.json("audit", "list", "--subject", first, "--action", "phone.change")
        self.assertEqual(sorted(event["detail"] for event in events),
                         ['description "", tags none', 'description "Reception", tags +lobby +f-1'])

    def test_the_lsc_of_a_phone_and_when_it_was_seen(self):
        device, never = self.phones(2)
        self.site.phone(device, "--string", self.site.schedule(device, "install", "string"))
        self.tag([device, never], "lsc-test")
        find = lambda *options: self.found("--tag", "lsc-test", *options)
        shown = self.shown(device)
        serial = self.site.json("certificate", "show", device)["serial"]
        self.assertEqual((shown["lsc_status"], shown["lsc_issuer"]), ("valid", 1))
        self.assertEqual(find("--lsc", "valid"), [device])
        self.assertEqual(find("--lsc", "none"), [never])
        self.assertEqual(find("--lsc", "none", "--lsc", "valid"), [device, never])
        self.assertEqual(find("--issuer", "1", "--expires-before", "+4000d"), [device])
        self.assertEqual(find("--expires-before", "+1d"), [])
        self.assertEqual(find("--issuer-expires-before", "+1d"), [])
        self.site.capfctl("certificate", "revoke", serial, "--reason", "certificateHold", "--yes")
        self.assertEqual(find("--lsc", "held"), [device])
        self.site.capfctl("certificate", "release", serial)
        self.assertEqual(find("--lsc", "valid"), [device])
        self.site.capfctl("certificate", "revoke", serial, "--reason", "superseded", "--yes")
        self.assertEqual(find("--lsc", "revoked"), [device])
        self.assertEqual(find("--not-seen-since", "-1d"), [never])
        self.assertEqual(find("--not-seen-since", "+1d"), [device, never])

    def test_the_operation_and_what_became_of_it(self):
        tried, silent, idle = self.phones(3)
        self.tag([tried, silent, idle], "operation-test")
        find = lambda *options: self.found("--tag", "operation-test", *options)
        for device in (tried, silent):
            self.site.capfctl("operation", "schedule", "install", device, "--auth", "string", "--string", "12345678")
        self.site.phone(tried, "--string", "00000000", code=1)
        self.assertLastAttempt(tried, "AUTH_STRING_MISMATCH")
        self.assertEqual(find("--operation", "pending"), [tried, silent])
        self.assertEqual(find("--operation", "none"), [idle])
        self.assertEqual(find("--tried"), [tried])
        self.assertEqual(find("--tried", "AUTH_STRING_MISMATCH"), [tried])
        self.assertEqual(find("--tried", "MIC_CHANGED"), [])
        self.assertEqual(find("--auth", "string"), [tried, silent])
        self.assertEqual(find("--auth", "mic"), [])
        self.site.capfctl("operation", "cancel", tried)
        self.assertEqual(find("--operation", "cancelled"), [tried])
        self.assertEqual(find("--tried"), [])
        self.site.capfctl("phone", "block", idle)
        self.assertEqual(find("--blocked"), [idle])
        self.assertEqual(find("--locked"), [])

    def test_a_list_ends_where_it_is_limited_and_goes_on_over_pages(self):
        devices = self.phones(1100)
        self.site.capfctl("phone", "change", "--file", "-", "--add-tags", "many", input="\n".join(devices))
        self.assertEqual(self.found("--tag", "many"), devices)
        self.assertEqual(self.found("--tag", "many", "--limit", "7"), devices[:7])
        self.assertEqual(self.found("--file", "-", input="\n".join(reversed(devices))), devices)


class ActTest(SelectionTest):
    """Blocking, unblocking, unlocking, removing and tracing the phones of a selection."""

    def act(self, *arguments, **options):
        return self.site.json("phone", *arguments, **options)

    def actions(self, device):
        """What was done to the device as itself, oldest first."""
        events = self.site.json("audit", "list", "--subject", device)
        return [event["action"] for event in events if event["action"] not in ("phone.add", "phone.change")]

    def test_phones_are_blocked_by_tag_and_come_again(self):
        enrolled, pending, idle = self.phones(3)
        self.tag([enrolled, pending, idle], "stolen")
        self.site.schedule(enrolled, "install", "null")
        self.site.phone(enrolled)
        self.site.schedule(pending, "install", "string")
        dry = self.site.capfctl("phone", "block", "--tag", "stolen", "--dry-run")
        self.assertSays(dry, "3 phones would be blocked; nothing was done")
        self.assertEqual(self.found("--tag", "stolen", "--blocked"), [])
        self.assertEqual(self.act("block", "--tag", "stolen"), {"selected": 3, "changed": 3, "revoked": 1})
        self.assertEqual(self.found("--tag", "stolen", "--blocked"), [enrolled, pending, idle])
        self.assertEqual(self.found("--tag", "stolen", "--lsc", "revoked"), [enrolled])
        self.assertEqual(self.found("--tag", "stolen", "--operation", "cancelled"), [pending])
        self.assertEqual(self.actions(pending), ["operation.schedule", "operation.cancel", "phone.block"])
        self.assertEqual(self.act("block", enrolled, idle), {"selected": 2, "changed": 0, "revoked": 0})
        self.assertEqual(self.act("unblock", enrolled, idle), {"selected": 2, "changed": 2})
        self.assertEqual(self.act("unblock", "--tag", "stolen"), {"selected": 3, "changed": 1})
        self.assertEqual(self.actions(idle), ["phone.block", "phone.unblock"])
        self.assertSays(self.site.capfctl("phone", "unblock", idle, code=1), "DEVICE_NOT_BLOCKED")
        self.site.schedule(enrolled, "install", "null")
        self.site.phone(enrolled)

    def test_phones_without_an_lsc_are_removed_after_a_yes_and_the_same_command_goes_on(self):
        devices = self.phones(502)
        lines = "\n".join(devices)
        self.change("--file", "-", "--add-tags", "leaving", input=lines)
        self.site.schedule(devices[0], "install", "null")
        self.site.phone(devices[0])
        options = ("phone", "remove", "--tag", "leaving", "--lsc", "none")
        self.assertSays(self.site.capfctl(*options, code=2), "--yes")
        self.assertSays(self.site.capfctl("phone", "remove", *devices[:2], code=2), "--yes")
        self.assertSays(self.site.capfctl(*options, "--dry-run"), "501 phones would be removed; nothing was done")
        self.assertEqual(len(self.found("--tag", "leaving")), 502)
        done = self.act("remove", "--tag", "leaving", "--lsc", "none", "--yes")
        self.assertEqual(done, {"selected": 501, "changed": 501, "revoked": 0})
        self.assertEqual(self.found("--tag", "leaving"), devices[:1])
        again = self.site.capfctl("phone", "remove", "--file", "-", "--yes", "--output", "json", input=lines)
        self.assertEqual(json.loads(again.stdout), {"selected": 1, "changed": 1, "revoked": 1})
        self.assertSays(again, "501 of the named devices are not on record")
        self.assertEqual(self.actions(devices[501]), ["phone.remove"])
        self.assertSays(self.site.capfctl("phone", "remove", devices[0], "--yes", code=1), "UNKNOWN_DEVICE")

    def test_locked_phones_are_unlocked(self):
        locked, other = self.phones(2)
        self.tag([locked, other], "locks")
        self.site.capfctl("operation", "schedule", "install", locked, "--auth", "string", "--string", "12345678")
        self.site.phone(locked, "--string", "00000000", code=1)
        # As strings from many addresses lock it: one address may try five.
        self.site.sql("update device_strings set locked_until = now() + interval '1 hour' where phone_id = "
                      f"(select id from phones where device = '{locked}')")
        self.assertEqual(self.found("--tag", "locks", "--locked"), [locked])
        self.assertEqual(self.act("unlock", "--locked", "--tag", "locks"), {"selected": 1, "changed": 1})
        self.assertEqual(self.found("--tag", "locks", "--locked"), [])
        self.assertEqual(self.actions(locked)[-1], "phone.unlock")
        self.assertNotIn("phone.unlock", self.actions(other))

    def test_phones_of_a_selection_are_traced_and_no_longer(self):
        devices = self.phones(2)
        self.tag(devices, "odd")
        done = self.act("trace", "--tag", "odd", "--until", "+2h")
        self.assertEqual((done["selected"], done["changed"]), (2, 2))
        self.assertEqual([self.shown(device)["traced_until"] for device in devices], [done["traced_until"]] * 2)
        self.assertIsNone(self.act("trace", *devices, "--off")["traced_until"])
        self.assertEqual([self.shown(device)["traced_until"] for device in devices], [None] * 2)
        self.assertEqual(self.actions(devices[1]), ["phone.trace"] * 2)
        self.assertSays(self.site.capfctl("phone", "trace", *devices, "--until", "+25h", code=2), "24 hours")

    def test_bad_wishes_are_refused_and_do_nothing(self):
        devices = self.phones(101)
        lines = "\n".join(devices)
        self.change("--file", "-", "--add-tags", "unharmed", input=lines)
        for command in ("block", "unblock", "unlock", "trace"):
            with self.subTest(command):
                self.assertSays(self.site.capfctl("phone", command, code=2), "--all chooses every phone")
                self.assertSays(self.site.capfctl("phone", command, "--tag", "unharmed", code=2), "101 phones", "--yes")
                self.assertSays(self.site.capfctl("phone", command, devices[0], "SEPFFFFFFFFFFFF", code=1),
                                "UNKNOWN_DEVICE", "SEPFFFFFFFFFFFF")
                self.assertSays(self.site.capfctl("phone", command, "SEP/1", code=2), "SEP/1")
        with rpc.admin_client(self.site) as admin:
            selection = admin_pb2.PhoneSelection(tags=["unharmed"])
            for method in (admin.RemovePhones, admin.BlockPhones, admin.UnblockPhones, admin.UnlockPhones,
                           admin.TracePhones):
                self.assertEqual(self.refusal(method, selection=selection, count=100).reason, "SELECTION_CHANGED")
                self.assertEqual(self.refusal(method, count=100).reason, "INVALID_SELECTION")
        self.assertEqual(self.actions(devices[0]), [])
        self.assertEqual(len(self.found("--tag", "unharmed")), 101)


class ChangeTest(SelectionTest):
    def test_a_dry_run_counts_and_changes_nothing(self):
        devices = self.phones(25)
        self.tag(devices, "dry")
        done = self.change("--tag", "dry", "--description", "x", "--dry-run")
        self.assertSays(done, "25 phones would be changed; nothing was done")
        self.assertEqual(done.stdout.count("SEP"), 20)
        listed = json.loads(self.change("--tag", "dry", "--description", "x", "--dry-run", "--output", "json").stdout)
        self.assertEqual([phone["device"] for phone in listed], devices)
        self.assertEqual({phone["description"] for phone in listed}, {None})

    def test_above_100_phones_that_are_chosen_by_a_property_need_a_word(self):
        devices = self.phones(101)
        lines = "\n".join(devices)
        self.change("--file", "-", "--add-tags", "asked", input=lines)
        self.assertSays(self.change("--tag", "asked", "--description", "x", code=2), "101 phones", "--yes")
        self.assertSays(self.change("--file", "-", "--tag", "asked", "--description", "x", code=2, input=lines), "--yes")
        self.assertIsNone(self.shown(devices[0])["description"])
        done = self.site.json("phone", "change", "--tag", "asked", "--description", "x", "--yes")
        self.assertEqual(done, {"selected": 101, "changed": 101})
        self.change("--tag", "asked", "--device", f"*{devices[0][-6:]}", "--description", "")
        self.assertEqual(len(self.found("--tag", "asked")), 101)

    def test_a_change_that_takes_phones_out_of_its_own_selection_reaches_all(self):
        devices = self.phones(1001)
        self.change("--file", "-", "--add-tags", "old", input="\n".join(devices))
        done = self.site.json("phone", "change", "--tag", "old", "--set-tags", "new", "--yes")
        self.assertEqual(done, {"selected": 1001, "changed": 1001})
        self.assertEqual(self.found("--tag", "old"), [])

    def test_bad_wishes_are_refused_and_change_nothing(self):
        device = self.phones(1)[0]
        self.tag([device], "bad")
        cases = [
            (("--description", "x"), 2, "--all chooses every phone"),
            ((device,), 2, "--description"),
            ((device, "--set-tags", "a", "--add-tags", "b"), 2, "either --set-tags"),
            ((device, "--add-tags", "a", "--remove-tags", "a"), 2, "the tag a is added and removed"),
            ((device, "--add-tags", "a/b"), 2, "\"a/b\" is no tag"),
            ((device, "--description", "x" * 129), 2, "no description"),
            ((device, "--description", "a\x1b[1m"), 2, "no description"),
            ((device, "SEP/1", "--description", "x"), 2, "SEP/1"),
            ((device, "SEPFFFFFFFFFFFF", "--description", "x"), 1, "UNKNOWN_DEVICE", "SEPFFFFFFFFFFFF"),
            ((device, "SEPFFFFFFFFFFFE", "SEPFFFFFFFFFFFF", "--description", "x"), 1, "UNKNOWN_DEVICE", "SEPFFFFFFFFFFFE"),
            (("--issuer", "99", "--description", "x"), 1, "UNKNOWN_ISSUER"),
            (("--device", "SEP!", "--description", "x"), 2, "INVALID_PATTERN"),
            (("--reason", "boredom", "--description", "x"), 2, "among the reasons"),
            (("--tried", "boredom", "--description", "x"), 2, "among the reasons of refusals"),
            (("--tag", "a b", "--description", "x"), 2, "among the tags"),
            (("--lsc", "old", "--description", "x"), 2, "--lsc"),
            (("--except", "/nowhere", "--all", "--description", "x"), 2, "/nowhere"),
            ((device, "--add-tags", " ".join(f"t{n}" for n in range(16))), 2, f"{device} would have more than 16 tags"),
            ((device, "--add-tags", " ".join(f"t{n}" for n in range(17))), 2, "at most 16 tags"),
        ]
        for arguments, code, *words in cases:
            with self.subTest(arguments):
                self.assertSays(self.change(*arguments, code=code), *words)
        self.assertEqual((self.shown(device)["description"], self.shown(device)["tags"]), (None, ["bad"]))
        self.assertSays(self.change("--tag", "nobody-has-it", "--description", "x"), "no phone in this selection")

    def test_certificates_are_revoked_by_their_phones(self):
        first, second, other = self.phones(3)
        for device in (first, second, other):
            self.site.phone(device, "--string", self.site.schedule(device, "install", "string"))
        self.tag([first, second], "gone")
        but = self.site.folder / "kept.csv"
        but.write_text(second + "\n")
        revoke = lambda *options: self.site.capfctl("certificate", "revoke", "--reason", "superseded", *options)
        self.assertSays(revoke("--tag", "gone", "--dry-run"), "2 certificates of 2 devices would be revoked")
        self.assertSays(revoke("--tag", "gone", "--except", but, "--dry-run"), "1 certificates of 1 devices")
        self.assertSays(revoke("--tag", "gone", "--operation", "failed", "--dry-run"), "0 certificates")
        self.assertEqual(self.found("--tag", "gone", "--lsc", "valid"), sorted([first, second]))
        revoke("--tag", "gone", "--except", but, "--yes")
        self.assertEqual(self.found("--tag", "gone", "--lsc", "revoked"), [first])
        revoke("--file", but, "--yes")
        self.assertEqual(self.found("--tag", "gone", "--lsc", "revoked"), sorted([first, second]))
        self.assertEqual(self.shown(other)["lsc_status"], "valid")

    def test_a_selection_that_has_grown_is_refused(self):
        self.tag(self.phones(2), "growing")
        with rpc.admin_client(self.site) as admin:
            selection = admin_pb2.PhoneSelection(tags=["growing"])
            count = admin.SelectPhones(selection=selection).count
            self.assertEqual(count, 2)
            self.tag(self.phones(1), "growing")
            refusal = self.refusal(admin.ChangePhones, selection=selection, count=count, description="x")
            self.assertEqual(refusal.reason, "SELECTION_CHANGED")
            self.assertEqual(self.refusal(admin.ChangePhones, count=9, description="x").reason, "INVALID_SELECTION")
            self.assertEqual(self.refusal(admin.ChangePhones, selection=selection, count=9, description="x",
                                          cursor="9").reason, "INVALID_PAGE")
            self.assertEqual(admin.ChangePhones(selection=selection, count=3, description="x").changed, 3)
            listed = admin.ListPhones(selection=selection).phones
            self.assertEqual({phone.description for phone in listed}, {"x"})

    def test_odd_text_is_kept_as_it_is_and_does_nothing_to_a_terminal(self):
        device = self.phones(1)[0]
        for text in ("<script>alert(1)</script>", "=cmd|' /C calc'!A0", "abc \u202egnp.exe", "\U0001f4de Empfang",
                     "ü" * 128):
            with self.subTest(text):
                self.change(device, "--description", text)
                self.assertEqual(self.shown(device)["description"], text)
                self.assertNotIn("\u202e", self.site.capfctl("phone", "list", "--device", device).stdout)
                self.assertNotIn("\u202e", self.site.capfctl("audit", "list", "--subject", device).stdout)

    def test_phones_that_enrol_meanwhile_are_changed_and_enrol(self):
        devices = self.phones(3)
        self.tag(devices, "meanwhile")
        for device in devices:
            self.site.schedule(device, "install", "null")
        for device in devices:
            self.site.phone(device)
            self.change("--tag", "meanwhile", "--description", device)
        eventually(lambda: self.found("--tag", "meanwhile", "--lsc", "valid") == devices, "all have an LSC")


if __name__ == "__main__":
    unittest.main()
