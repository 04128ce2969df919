"""The same phones again and again: memory and descriptors stay as they are. How long a start and a stop take."""

import os
import signal
import time
import unittest

from e2e import faults
from e2e.faults import Fleet
from e2e.site import LONG, EndToEnd, Site, eventually

PHONES = 1000 if LONG else 150
ENROLMENTS = 100_000 if LONG else 1_200


class SoakTest(EndToEnd):
    def use(self):
        """Descriptors, and memory in MiB."""
        pid = self.site.server.process.pid
        with open(f"/proc/{pid}/status") as status:
            memory = next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) / 1024
        return len(os.listdir(f"/proc/{pid}/fd")), memory

    def test_the_same_phones_again_and_again(self):
        self.site = Site()
        self.addCleanup(self.site.close)
        fleets = [Fleet(self.site, PHONES // 2), Fleet(self.site, PHONES // 2, wire=True)]
        rounds = ENROLMENTS // PHONES
        uses = []
        for number in range(rounds):
            for fleet in fleets:
                if number:
                    fleet.schedule()
                fleet.start()
            for fleet in fleets:
                outcomes = fleet.wait()
                self.assertEqual(outcomes.get("done"), fleet.count, fleet.said)
            uses.append(self.use())
        # Warm after a third: every thread has served, every connection to the database and every cache is there.
        warm = uses[rounds // 3:]
        print(f"{rounds * PHONES} enrolments; descriptors {warm[0][0]} to {warm[-1][0]}, memory {uses[0][1]:.1f}, "
              f"{warm[0][1]:.1f}, {warm[-1][1]:.1f} MiB after the first, a third, all of them")
        if not faults.SANITIZED:
            self.assertLess(warm[-1][1], 1.1 * warm[0][1] + 8)
        eventually(lambda: self.use()[0] <= warm[0][0] + 10, "descriptors come back")
        self.assertEqual(self.site.sql("select count(*) from operations where state <> 'succeeded'"), ["0"])


class StartAndStopTest(EndToEnd):
    def setUp(self):
        self.site = Site()
        self.addCleanup(self.site.close)

    def seconds(self, work):
        begun = time.monotonic()
        work()
        return time.monotonic() - begun

    def test_an_existing_site_starts_within_a_second(self):
        """The best of some. Where the machine does other things too, the processor's seconds count, not the wall's."""
        took, worked = [], []
        limit = 10 if faults.SANITIZED else 1
        while len(took) < 5 or (len(took) < 20 and min(min(took), 2 * min(worked)) >= limit):
            self.site.server.stop()
            took.append(self.seconds(self.site.server.start))
            with open(f"/proc/{self.site.server.process.pid}/stat") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
            worked.append((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))
        print(f"starts: {min(took):.2f} to {max(took):.2f} s, of which the processor's {min(worked):.2f} to {max(worked):.2f}")
        self.assertLess(min(min(took), 2 * min(worked)), limit)

    def stop(self):
        """@return how long it took; its end was orderly"""
        return self.seconds(lambda: self.assertEqual(self.site.server.stop(), 0))

    def test_a_stop_while_phones_come(self):
        fleets = [Fleet(self.site, 1000), Fleet(self.site, 1000, wire=True)]
        self.addCleanup(lambda: [fleet.kill() for fleet in fleets])
        for fleet in fleets:
            fleet.start()
        eventually(lambda: all(fleet.held() > 10 for fleet in fleets), "phones come")
        self.assertLess(self.stop(), 10)
        for fleet in fleets:
            fleet.kill()
        self.site.server.start()

    def test_a_stop_while_the_database_answers_nothing(self):
        """PostgreSQL is stopped while phones come: every connection waits for an answer."""
        fleets = [Fleet(self.site, 100), Fleet(self.site, 100, wire=True)]
        self.addCleanup(lambda: [fleet.kill() for fleet in fleets])
        for fleet in fleets:
            fleet.start()
        eventually(lambda: all(fleet.held() > 5 for fleet in fleets), "phones come")
        postgres = faults.processes_in((self.site.state / "postgres/data").resolve())
        for pid in postgres:
            os.kill(pid, signal.SIGSTOP)
        try:
            self.assertLess(self.stop(), 10)
        finally:
            for pid in postgres:
                os.kill(pid, signal.SIGCONT)
            for fleet in fleets:
                fleet.kill()
        self.site.server.start()


if __name__ == "__main__":
    unittest.main()
