"""Administrators from where they sit: a key of their own and its request, a certificate that is renewed, another role, a
container for browsers, contexts; and what an operator and monitoring may read."""

import json
import os
import unittest

from e2e import rpc
from e2e.site import PROGRAMS, EndToEnd, run

PASSPHRASE = "correct horse battery"


class ColleagueTest(EndToEnd, rpc.RefusalTests):
    def setUp(self):
        self.home = self.site.folder / self._testMethodName  # a colleague's machine
        self.home.mkdir()

    def there(self, *arguments, code=0, input=None):
        """capfctl where the colleague sits, who has no state directory."""
        environment = {**os.environ, "HOME": str(self.home), "PWD": str(self.home)}
        for variable in ("CAPF_STATE", "XDG_CONFIG_HOME"):
            environment.pop(variable, None)
        return run(PROGRAMS / "capfctl", *arguments, code=code, input=input, env=environment)

    def place(self, name):
        """The options that say the site, and who calls."""
        return ("--server", self.site.server.endpoints["admin"], "--trust", self.site.state / "certificates/site-ca.pem",
                "--certificate", self.home / f"{name}.pem", "--key", self.home / f"{name}.key")

    def appoint(self, name, role):
        """Their key never comes here. @return the options of their calls"""
        made = json.loads(self.there("administrator", "request", name, "--out", self.home, "--output", "json").stdout)
        self.assertEqual((made["request"], made["key"]), (str(self.home / f"{name}.csr"), str(self.home / f"{name}.key")))
        self.assertEqual((self.home / f"{name}.key").stat().st_mode & 0o777, 0o600)
        self.site.capfctl("administrator", "add", name, "--role", role, "--csr", made["request"], "--out", self.home)
        return self.place(name)

    def age(self, name):
        """Nearly all of their certificate's life is over."""
        self.site.sql(f"update administrators set created_at = created_at - interval '2000 days' where name = '{name}'")

    def rows(self, name):
        return [each for each in self.site.json("administrator", "list") if each["name"] == name]


class CertificateTest(ColleagueTest):
    def test_a_colleague_makes_a_key_and_an_admin_certifies_it(self):
        place = self.appoint("olga", "operator")
        self.assertFalse((self.site.state / "admin/olga.key").exists())
        self.there(*place, "phone", "list")
        self.assertSays(self.there("administrator", "request", "olga", "--out", self.home, code=1), "ADMINISTRATOR_EXISTS")
        self.site.capfctl("administrator", "add", "both", "--role", "operator", "--csr", self.home / "olga.csr", "--request",
                          self.home / "olga.csr", code=2)

    def test_one_renews_ones_own_certificate_in_its_last_third(self):
        place = self.appoint("renewing", "monitor")
        self.assertSays(self.there(*place, "administrator", "renew", code=1), "RENEWAL_TOO_EARLY")
        self.assertEqual(sorted(path.name for path in self.home.iterdir()), ["renewing.csr", "renewing.key", "renewing.pem"])
        self.age("renewing")
        former = (self.home / "renewing.pem").read_text()
        done = json.loads(self.there(*place, "administrator", "renew", "--output", "json").stdout)
        self.assertEqual((done["name"], done["role"], done["certificate"]),
                         ("renewing", "monitor", str(self.home / "renewing.pem")))
        self.assertNotEqual((self.home / "renewing.pem").read_text(), former)
        self.there(*place, "operation", "pending")
        # The former pair counts for a day, and no longer.
        old = (*place[:4], "--certificate", self.home / "renewing.pem.old", "--key", self.home / "renewing.key.old")
        self.there(*old, "operation", "pending")
        self.site.sql("update administrators set ends_at = now() - interval '1 second' where ends_at is not null")
        self.assertSays(self.there(*old, "operation", "pending", code=1), "ADMINISTRATOR_DISABLED")
        self.there(*place, "operation", "pending")
        self.assertEqual([row["ends_at"] is None for row in self.rows("renewing")], [False, True])
        events = [(event["actor"], event["action"]) for event in self.site.json("audit", "list", "--subject", "renewing")]
        self.assertIn(("renewing", "administrator.renew"), events)
        self.assertSays(self.there(*place, "administrator", "renew", code=1), "RENEWAL_TOO_EARLY")

    def test_an_admin_renews_for_somebody_else_by_a_request_and_nobody_else_does(self):
        place = self.appoint("renewed", "operator")
        (self.home / "next").mkdir()
        self.there("administrator", "request", "renewed", "--out", self.home / "next")
        csr = self.home / "next/renewed.csr"
        self.assertSays(self.there(*place, "administrator", "renew", "admin", "--csr", csr, "--out", self.home / "x", code=1),
                        "ROLE_DENIED")
        self.site.capfctl("administrator", "renew", "renewed", code=2)
        self.site.capfctl("administrator", "renew", "renewed", "--csr", csr, "--out", self.home / "next")
        self.there(*place[:4], "--certificate", self.home / "next/renewed.pem", "--key", self.home / "next/renewed.key",
                   "phone", "list")
        # A key is certified once.
        self.assertSays(self.site.capfctl("administrator", "renew", "renewed", "--csr", csr, "--out", self.home / "again",
                                          code=1), "KEY_RESERVED")
        self.assertFalse((self.home / "again/renewed.pem").exists())

    def test_a_request_with_another_keys_signature_is_refused(self):
        self.there("administrator", "request", "forged", "--out", self.home)
        der = self.home / "forged.der"
        run("openssl", "req", "-in", self.home / "forged.csr", "-outform", "DER", "-out", der)
        octets = bytearray(der.read_bytes())
        octets[-1] ^= 1
        der.write_bytes(octets)
        self.assertSays(self.site.capfctl("administrator", "add", "forged", "--role", "admin", "--csr", der, "--out",
                                          self.home / "out", code=1), "REQUEST_SIGNATURE")
        self.assertEqual(self.rows("forged"), [])

    def test_another_role_holds_at_once(self):
        place = self.appoint("promoted", "monitor")
        self.assertSays(self.there(*place, "phone", "list", code=1), "ROLE_DENIED")
        changed = self.site.json("administrator", "change", "promoted", "--role", "operator")
        self.assertEqual((changed["name"], changed["role"]), ("promoted", "operator"))
        self.there(*place, "phone", "list")
        self.assertSays(self.there(*place, "administrator", "change", "promoted", "--role", "admin", code=1), "ROLE_DENIED")
        self.assertSays(self.site.capfctl("administrator", "change", "admin", "--role", "auditor", code=1),
                        "LAST_ADMINISTRATOR")

    def test_a_disabled_one_is_enabled_with_a_new_certificate_alone(self):
        place = self.appoint("back", "auditor")
        self.assertSays(self.site.capfctl("administrator", "enable", "back", "--out", self.home / "x", code=1),
                        "ADMINISTRATOR_EXISTS")
        self.site.capfctl("administrator", "disable", "back", "--yes")
        self.assertSays(self.site.capfctl("administrator", "enable", "back", "--csr", self.home / "back.csr", "--out",
                                          self.home / "again", code=1), "KEY_RESERVED")
        enabled = self.site.json("administrator", "enable", "back", "--out", self.home / "again")
        self.assertEqual((enabled["role"], enabled["disabled_at"]), ("auditor", None))
        self.there(*place[:4], "--certificate", enabled["certificate"], "--key", enabled["key"], "audit", "list", "--limit", "1")
        self.assertSays(self.there(*place, "audit", "list", code=1), "ADMINISTRATOR_DISABLED")

    def test_a_container_for_a_browser_opens_with_its_passphrase(self):
        container = self.home / "web.p12"
        self.assertSays(self.site.capfctl("administrator", "add", "web", "--role", "auditor", "--out", self.home, "--pkcs12",
                                          container, input="short\n", code=2), "INVALID_PASSWORD")
        self.assertEqual(self.rows("web"), [])
        self.site.capfctl("administrator", "add", "web", "--role", "auditor", "--out", self.home, "--pkcs12", container,
                          input=PASSPHRASE + "\n")
        self.assertEqual(container.stat().st_mode & 0o777, 0o600)
        opened = run("openssl", "pkcs12", "-in", container, "-nodes", "-passin", f"pass:{PASSPHRASE}").stdout
        self.assertEqual((opened.count("BEGIN CERTIFICATE"), opened.count("BEGIN PRIVATE KEY")), (2, 1))
        run("openssl", "pkcs12", "-in", container, "-nodes", "-passin", "pass:wrong", code=1)
        # Whoever made the key alone makes the container there.
        place = self.appoint("browsing", "auditor")
        exported = self.home / "browsing.p12"
        self.there(*place, "administrator", "export", "--pkcs12", exported, input=PASSPHRASE + "\n")
        run("openssl", "pkcs12", "-in", exported, "-nokeys", "-passin", f"pass:{PASSPHRASE}")
        self.assertSays(self.there(*place, "administrator", "export", "--pkcs12", exported, input=PASSPHRASE + "\n", code=1),
                        "is there already")
        self.site.capfctl("administrator", "add", "csr", "--role", "auditor", "--csr", self.home / "browsing.csr", "--pkcs12",
                          self.home / "x.p12", code=2)


class ContextTest(ColleagueTest):
    def test_a_context_says_the_site_once(self):
        place = self.appoint("there", "operator")
        self.assertSays(self.there("phone", "list", code=1), "NO_SITE")
        added = json.loads(self.there(*place, "context", "add", "munich", "--output", "json").stdout)
        self.assertEqual((added["added"], added["current"]), ("munich", "munich"))
        self.assertEqual(added["file"], str(self.home / ".config/capf/contexts.toml"))
        self.there("phone", "list")
        self.assertSays(self.there(*place, "context", "add", "munich", code=1), "--replace")
        self.assertSays(self.there("context", "use", "paris", code=1), "there is no context paris", "munich")
        listed = json.loads(self.there("context", "list", "--output", "json").stdout)
        self.assertEqual([(each["name"], each["current"], each["key"]) for each in listed],
                         [("munich", True, str(self.home / "there.key"))])
        # A state directory is a site by itself; an option beats its value.
        self.there("--state", self.site.state, "administrator", "list")
        self.assertSays(self.there("--server", "127.0.0.1:1", "phone", "list", code=3), "SERVER_NOT_REACHED")
        self.there("context", "remove", "munich")
        self.assertSays(self.there("phone", "list", code=1), "NO_SITE")

    def test_contexts_that_somebody_else_may_write_are_refused(self):
        place = self.appoint("writer", "monitor")
        self.there(*place, "context", "add", "site")
        file = self.home / ".config/capf/contexts.toml"
        file.chmod(0o666)
        self.assertSays(self.there("operation", "pending", code=1), "INVALID_CONFIGURATION", str(file))
        file.chmod(0o600)
        file.write_text("current = 7\n")
        self.assertSays(self.there("operation", "pending", code=1), "INVALID_CONFIGURATION")

    def test_what_is_no_site_becomes_no_context(self):
        self.assertSays(self.there("--server", "127.0.0.1:1", "context", "add", "nowhere", code=1), "NO_SITE")
        self.assertFalse((self.home / ".config").exists())


class ReadingTest(ColleagueTest):
    def test_an_operator_reads_a_phones_history_and_no_other_part_of_the_record(self):
        place = self.appoint("historian", "operator")
        device = self.device()
        self.site.enrol(device)
        events = json.loads(self.there(*place, "phone", "history", device, "--output", "json").stdout)
        actions = [event["action"] for event in events]
        self.assertEqual(actions[:2], ["phone.add", "operation.schedule"])
        self.assertIn("certificate.issue", actions)
        self.assertEqual({event["subject"] for event in events}, {device})
        self.assertSays(self.there(*place, "audit", "list", "--subject", device, code=1), "ROLE_DENIED")
        # An administrator who is called like a phone has a history of their own.
        name = self.device()
        self.appoint(name, "monitor")
        self.assertEqual(self.there(*place, "phone", "history", name, "--output", "json").stdout, "[]\n")
        self.assertSays(self.there(*self.place(name), "phone", "history", device, code=1), "ROLE_DENIED")

    def test_monitoring_reads_what_is_pending(self):
        place = self.appoint("watching", "monitor")
        device = self.site.add_phone(self.device())
        self.site.schedule(device, "install", "string")

        def pending(*options):
            return [each["device"] for each in
                    json.loads(self.there(*place, "operation", "pending", *options, "--output", "json").stdout)]
        self.assertIn(device, pending())
        self.assertIn(device, pending("--older-than", "0m"))
        self.assertNotIn(device, pending("--older-than", "2h"))
        self.assertNotIn(device, pending("--overdue"))
        self.site.sql(f"update operations set created_at = created_at - interval '2 hours', "
                      f"completes_by = now() - interval '1 minute' where phone_id = (select id from phones "
                      f"where device = '{device}')", user="postgres")
        self.assertIn(device, pending("--overdue"))


if __name__ == "__main__":
    unittest.main()
