"""Leases: what a dead server did another one does within seconds, and what a slow server began it does not finish once
another has taken over."""

import http.client
import os
import random
import re
import signal
import threading
import time

from e2e.site import LONG, EndToEnd, Site, eventually, passing, run

INTERVAL = 1
LIMIT = 10  # seconds until another server has a dead one's leases
ENTRIES = 200_000 if LONG else 20_000  # of the CRL, so that building one takes some of the time
EC = ("--key-order", "ec", "--ec-size", "256")


class LeasesTest(EndToEnd):
    @classmethod
    def setUpClass(cls):
        cls.site = Site(settings=lambda text: text + f"\n[status]\ncrl_interval_seconds = {INTERVAL}\n")
        cls.addClassCleanup(cls.site.close)
        cls.site.add_server()
        cls.issuer = cls.site.folder / "issuer.pem"
        cls.issuer.write_text(cls.site.capfctl("issuer", "export").stdout)

    def crl_number(self, server):
        """Of the CRL that the server serves, whose signature OpenSSL checks."""
        connection = http.client.HTTPConnection(server.endpoints["status"], timeout=60)
        connection.request("GET", "/crl/1/0.crl")
        answer = connection.getresponse()
        der = self.site.folder / f"{threading.get_ident()}.crl"
        der.write_bytes(answer.read())
        connection.close()
        self.assertEqual(answer.status, 200)
        text = run("openssl", "crl", "-inform", "der", "-in", der, "-noout", "-crlnumber", "-CAfile", self.issuer).stdout
        return int(re.search(r"crlNumber=0x([0-9A-F]+)", text)[1], 16)

    def newest(self):
        return int(self.site.sql("select max(number) from crls")[0])

    def seals(self):
        return int(self.site.sql("select coalesce(max(number), 0) from audit_seals")[0])

    def holders(self):
        """The leases that are held now, each with its server."""
        servers = {str(server.process.pid): server for server in self.site.servers if server.process}
        rows = self.site.sql("select name, split_part(holder, ':', 2) from leases where expires_at > now() and "
                             "name in ('audit', 'maintenance')")
        return {name: servers.get(pid) for name, pid in (row.split("|") for row in rows)}

    def holder(self, name="audit"):
        return eventually(lambda: self.holders().get(name), f"somebody has the lease {name}")

    def other(self, server):
        return next(each for each in self.site.servers if each is not server)

    def change_crl(self):
        """As a revocation does: the next CRL is due."""
        self.site.sql("insert into crl_changes (issuer_id, shard) values (1, 0)")

    def change_record(self, server):
        self.site.capfctl("phone", "add", self.device(), server=server)

    def test_a_dead_servers_leases_are_another_ones_within_seconds(self):
        longest = 0
        for _ in range(20 if LONG else 2):
            victim = self.holder()
            other = self.other(victim)
            lost = [name for name, server in self.holders().items() if server is victim]
            victim.kill()
            died = time.monotonic()
            # A lease that it may also have held.
            self.site.sql("insert into leases (name, holder, expires_at) values ('crl/1/0', 'dead', now() + "
                          "interval '5 seconds') on conflict (name) do update set holder = excluded.holder, "
                          "expires_at = excluded.expires_at")
            number, seal = self.newest(), self.seals()
            self.change_crl()
            self.change_record(other)
            eventually(lambda: all(self.holders().get(name) is other for name in lost), "the other one has them")
            eventually(lambda: self.newest() > number and self.seals() > seal, "it publishes and seals")
            took = time.monotonic() - died
            longest = max(longest, took)
            self.assertLess(took, LIMIT)
            victim.start()
        print(f"a dead server's leases ({', '.join(lost)}, crl) were another one's, and used, after at most "
              f"{longest:.1f} s")

    def test_a_server_that_was_only_slow_does_not_finish_what_another_took_over(self):
        self.site.sql("insert into revocations (issuer_id, serial, shard, revoked_at, reason, expires_at) "
                      "select 1, decode('5a' || substr(md5(n::text), 1, 30), 'hex'), 0, now(), 4, now() + "
                      f"interval '1 year' from generate_series(1, {ENTRIES}) n")
        stopping = threading.Event()
        numbers = {server.state: [] for server in self.site.servers}

        def work():
            """There is always something to publish and to seal."""
            while not stopping.wait(0.2):
                self.change_crl()
        worker = threading.Thread(target=work)
        worker.start()
        longest = 0
        try:
            for _ in range(20 if LONG else 2):
                slow = self.holder()
                other = self.other(slow)
                number = self.newest()
                eventually(lambda: self.newest() > number, "CRLs are being published")
                time.sleep(random.uniform(0, INTERVAL))  # anywhere in its work
                os.kill(slow.process.pid, signal.SIGSTOP)
                stopped = time.monotonic()
                try:
                    self.change_record(other)
                    eventually(lambda: self.holders().get("audit") is other, "the other one has the lease")
                    number, seal = self.newest(), self.seals()
                    self.change_record(other)
                    eventually(lambda: self.newest() > number and self.seals() > seal, "it publishes and seals")
                    longest = max(longest, time.monotonic() - stopped)
                finally:
                    os.kill(slow.process.pid, signal.SIGCONT)
                # It continues with the present state, not with its work from before.
                number = self.newest()
                for server in self.site.servers:
                    eventually(passing(lambda: self.assertGreaterEqual(self.crl_number(server), number)), "the CRL")
                    numbers[server.state].append(self.crl_number(server))
        finally:
            stopping.set()
            worker.join()
        for served in numbers.values():
            self.assertEqual(served, sorted(served))
        # Each number once, each later than the one before; one chain of seals.
        self.assertEqual(self.site.sql("select count(*) from (select this_update, lag(this_update) over (order by number) "
                                       "as before, number, lag(number) over (order by number) as last from crls) c "
                                       "where this_update < before or number <> last + 1"), ["0"])
        self.site.capfctl("audit", "verify")
        for server in self.site.servers:
            self.assertNotIn("audit.unsealed", "\n".join(
                line for line in server.log_text().splitlines() if "RECORD_BROKEN" in line or "INTERNAL" in line))
        print(f"a server that stood still: another one had published and sealed after at most {longest:.1f} s")


del EndToEnd
