"""Each round trip between a server and PostgreSQL while phones enrol: the connection is cut just before it, and after
PostgreSQL has carried it out but before its answer; and the server is killed at the same two moments. Each phone has its
certificate after it has tried again, and the record is that of one enrolment."""

import collections
import re
import subprocess
import threading
import unittest

from e2e import faults, rpc
from e2e.faults import Fleet
from e2e.site import LONG, PATIENCE, PROGRAMS, EndToEnd, eventually

DIGITS, WRONG = "13572468", "86427531"
OUTCOMES = "undone", "done"
CROWD = 8
# The sessions of rounds are known by their limit on waits for locks, which the first trip sets: others have a longer one.
OF_ROUNDS = b"'lock_timeout', '200'"


KINDS = "dossiers_look", "hearing_hear", "begin", "changes_try_lock", "changes_write", "commit"


def kind_of(name):
    """A statement may have several forms, whose names begin alike."""
    return next((kind for kind in KINDS if name.startswith(kind)), name)


class Fault:
    """One fault, at the first trip of a session of rounds that `chosen` accepts. The server is killed where it is given."""

    def __init__(self, chosen, outcome, victim=None):
        self.chosen, self.outcome, self.victim = chosen, outcome, victim
        self.changed, self.at, self.made = threading.Condition(), None, threading.Event()

    def __call__(self, trip):
        if OF_ROUNDS not in trip.opening:
            return None
        with self.changed:
            if self.at or not self.chosen(trip) or self.at:
                return None
            self.at = trip.name
            self.changed.notify_all()
        if self.victim:
            self.victim.kill()
        self.made.set()
        return self.outcome


def numbered(number):
    """The trip with that number, from 0."""
    left = iter(range(number))
    return lambda trip: next(left, None) is None


class CrowdFault(Fault):
    """A fault at a trip of that kind in a round of several phones. So that there are such rounds, the first hearing waits
    until every phone has been looked for, and the first BEGIN until all have been heard twice: a round of all the others is
    behind it."""

    BEFORE = {"hearing_hear": ("dossiers_look", 1), "begin": ("hearing_hear", 2)}

    def __init__(self, kind, outcome, victim=None):
        super().__init__(self.is_chosen, outcome, victim)
        self.kind, self.trips, self.phones = kind, collections.Counter(), collections.Counter()

    def is_chosen(self, trip):
        kind, several = kind_of(trip.name), self.phones_of(trip)
        self.trips[kind] += 1
        self.phones[kind] += several
        self.changed.notify_all()
        if self.trips[kind] == 1 and kind in self.BEFORE:
            before, times = self.BEFORE[kind]
            self.changed.wait_for(lambda: self.at or self.phones[before] >= times * CROWD, PATIENCE)
            return False
        return kind == self.kind and (several > 1 or kind == "begin")

    @staticmethod
    def phones_of(trip):
        """How many phones the trip, or its transaction's lock, names in its first parameter, which is an array."""
        found = re.search(rb"\0(?:dossiers_look|hearing_hear|changes_try_lock)\w*\0[^{]*\{([^}]*)\}",
                          trip.transaction or trip.octets)
        return found[1].count(b",") + 1 if found else 0


def setUpModule():
    """A site with a server behind a proxy, and one that serves the test's questions."""
    global _site, _proxy, _server
    _site = faults.FaultySite(durable=False)
    unittest.addModuleCleanup(_site.close)
    _proxy = faults.Proxy(_site)
    unittest.addModuleCleanup(_proxy.close)
    _server = _site.add_server(through=_proxy.folder)


class Faults(EndToEnd):
    @classmethod
    def setUpClass(cls):
        cls.site, cls.proxy, cls.server = _site, _proxy, _server

    def setUp(self):
        self.counted = self.strings()

    def strings(self):
        """The counts of wrong strings: of addresses, of addresses on devices, of devices."""
        tables = "address_strings", "address_device_strings", "device_strings"
        return [int(self.site.sql(f"select coalesce(sum(count), 0) from {table}")[0]) for table in tables]

    def make(self, fault, work):
        """Starts the work on new sessions, and starts the server again where the fault has killed it."""
        self.proxy.cut()
        self.proxy.on_trip = fault
        try:
            begun = work()
            self.assertTrue(fault.made.wait(PATIENCE), "no such trip")
            if fault.victim:
                self.server.start()
        finally:
            self.proxy.on_trip = None
        return begun

    def trips(self, work):
        """The names of its trips on new sessions, where nothing happens to it."""
        names = []
        self.proxy.cut()
        self.proxy.on_trip = lambda trip: names.append(trip.name) if OF_ROUNDS in trip.opening else None
        work()
        self.proxy.on_trip = None
        return names

    def assertWhole(self, devices, *, most=1, strangers=0):
        """@param most LSCs on record of each device, of which one is good. @param strangers strings that were said when no
        operation asked for one any more, which count as a stranger's: for the address alone"""
        self.assertEqual(faults.account(self.site), [])
        self.assertEqual(faults.sealed(self.site), [])
        lscs = collections.Counter(self.site.sql("select device from certificates c join phones p on p.id = c.phone_id "
                                                 "where c.kind = 'lsc'"))
        self.assertEqual({device: lscs[device] for device in devices if not 1 <= lscs[device] <= most}, {})
        self.assertEqual(self.strings(), [self.counted[0] + strangers, *self.counted[1:]])


class OnePhoneTest(Faults):
    """A phone alone, so that its trips are the same each time."""

    def start(self, device, *options):
        return subprocess.Popen([PROGRAMS / "capf-phone", device, "--state", self.server.state, "--dir", self.site.phones,
                                 "--string", DIGITS, "--tries", "20", *options],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def end(self, phone, device):
        said = phone.communicate(timeout=PATIENCE)[0]
        self.assertEqual(phone.returncode, 0, said)
        self.assertTrue((self.site.phones / f"{device}.pem").exists(), said)

    def tries(self, names, kills):
        """The trips to break, by number, and the outcome of each. In the short form a server is killed at the last one of
        each kind, and making a statement has one outcome."""
        every = [(number, outcome) for number in range(len(names)) for outcome in OUTCOMES]
        if LONG:
            return every
        if kills:
            last = {kind_of(name): number for number, name in enumerate(names) if kind_of(name) in KINDS}
            return [(number, OUTCOMES[turn % 2]) for turn, number in enumerate(sorted(last.values()))]
        return [(number, outcome) for number, outcome in every if outcome == "undone" or "prepare" not in names[number]]

    def each_trip(self, *options, writes, kills=False):
        """@return the devices"""
        (first,) = Fleet(self.site, 1, auth="string").devices
        names = self.trips(lambda: self.end(self.start(first, *options), first))
        kinds = collections.Counter(map(kind_of, names))
        self.assertEqual([kinds[kind] for kind in KINDS[2:]], [writes] * 4, names)
        self.assertTrue(kinds["dossiers_look"] and kinds["hearing_hear"], names)
        tries = self.tries(names, kills)
        devices = Fleet(self.site, len(tries), auth="string").devices
        for device, (number, outcome) in zip(devices, tries):
            with self.subTest(trip=number, name=names[number], outcome=outcome):
                fault = Fault(numbered(number), outcome, self.server if kills else None)
                self.end(self.make(fault, lambda: self.start(device, *options)), device)
                self.assertEqual(fault.at, names[number])
        return devices

    def test_a_connection_that_is_cut_over_grpc(self):
        self.assertWhole(self.each_trip(writes=2))

    def test_a_connection_that_is_cut_on_the_wire(self):
        """A phone makes a key for each session. Where the answer to its confirmation is lost, it comes once more."""
        devices = self.each_trip("--wire", "--retry-pause", "0.3", "--prepared-keys", "0", writes=3)
        self.assertWhole(devices, most=2, strangers=1)

    def test_a_server_that_is_killed_over_grpc(self):
        self.assertWhole(self.each_trip(writes=2, kills=True))


class CrowdTest(Faults):
    """Rounds of several phones."""

    def each_trip(self, *, kills):
        devices = []
        for number, kind in enumerate(KINDS):
            for outcome in OUTCOMES if LONG or not kills else (OUTCOMES[number % 2],):
                with self.subTest(kind=kind, outcome=outcome):
                    fleet = Fleet(self.site, CROWD, server=self.server, auth="string", concurrency=CROWD)
                    self.make(CrowdFault(kind, outcome, self.server if kills else None), fleet.start)
                    fleet.served()
                    devices += fleet.devices
        self.assertWhole(devices)

    def test_a_connection_that_is_cut(self):
        self.each_trip(kills=False)

    def test_a_server_that_is_killed(self):
        self.each_trip(kills=True)


class WrongStringTest(Faults, rpc.RefusalTests):
    def say(self, device):
        """Says a wrong string until it is refused as such, and that is on record. @return the reasons that were told"""
        reasons = []
        with rpc.phone_client(self.site, server=self.server) as phone:
            def refused():
                reasons.append(self.refusal(phone.GetPendingOperation, credential=rpc.credential(device, WRONG)).reason)
                return reasons[-1] == "AUTHENTICATION_FAILED"
            eventually(refused, "it is refused")
        eventually(lambda: self.site.sql(f"select 1 from refusals where device = '{device}'"), "the refusal is on record")
        return reasons

    def counts(self, device):
        """Of the device, of the address on it, and of its operation."""
        return self.site.sql(
            "select d.count, a.count, s.count from phones p join device_strings d on d.phone_id = p.id "
            "join address_device_strings a on a.phone_id = p.id join operations o on o.phone_id = p.id "
            f"join operation_strings s on s.operation_id = o.id where p.device = '{device}'")

    def test_a_wrong_string_is_never_forgotten(self):
        """One whose hearing is in doubt is not heard again: it is counted once at most, and its caller is not told whether
        it was right."""
        (device,) = Fleet(self.site, 1, auth="string").devices
        names = self.trips(lambda: self.say(device))
        self.site.phone(device, "--string", DIGITS)
        names = names[:names.index("hearing_hear") + 1]  # the refusal is recorded later
        tries = [(number, outcome) for number in range(len(names)) for outcome in OUTCOMES]
        fleet = Fleet(self.site, len(tries), server=self.server, auth="string")
        for device, (number, outcome) in zip(fleet.devices, tries):
            with self.subTest(trip=number, name=names[number], outcome=outcome):
                fault = Fault(numbered(number), outcome)
                told = self.make(fault, lambda: self.say(device))
                self.assertEqual(fault.at, names[number])
                in_doubt = fault.at == "hearing_hear"
                self.assertEqual("COMMIT_IN_DOUBT" in told, in_doubt)
                said = 2 if in_doubt and outcome == "done" else 1
                self.assertEqual(self.counts(device), ["|".join([str(said)] * 3)])
        fleet.start().served()
        self.assertEqual(faults.account(self.site), [])


if __name__ == "__main__":
    unittest.main()
