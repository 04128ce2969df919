"""Desk phones that enrol by string with RSA-2048 keys, over TLS and the CAPF protocol, every commit on disk."""

import contextlib
import subprocess
import sys

from bench.load import connections, memory, threads
from bench.table import Limit, Row, mean_shares
from e2e.site import PROGRAMS, eventually, run

AT_ONCE = 16
MANY = 64  # at once: what a site has on the morning after a power cut
PHONE_PATIENCE = 30  # seconds after which a phone begins again


def key_operations(seconds, threads=None):
    """RSA-2048 private-key operations in a second, if all cores, or so many threads, do nothing else."""
    return float(run(PROGRAMS / "sign_only", seconds, *(["rsa2048", threads] if threads else [])).stdout)


@contextlib.contextmanager
def silent_connections(site, count):
    host, port = site.server.endpoints["wire"].rsplit(":", 1)
    process = subprocess.Popen([sys.executable, "-m", "bench.idle", host, port, str(count)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout.readline() != "ready\n":
            raise AssertionError("the silent connections were not taken")
        yield
        if process.poll() is not None:
            raise AssertionError("a silent connection could not be opened again")
    finally:
        process.communicate()


def all_served(ride):
    """A rate counts only if every phone was served."""
    if ride.done != ride.phones:
        raise AssertionError(f"of {ride.phones} phones {ride.done} were served: {ride.outcomes}")
    return ride


def enrolments(site, size):
    """Beside what the machine could sign, and beside connections that send nothing."""
    limits, alone, many, beside = [], [], [], []
    for _ in range(size.rounds):
        limits.append(key_operations(size.signing_seconds) / 2)
        alone.append(all_served(site.ride(size.phones, AT_ONCE)))
        many.append(all_served(site.ride(size.phones, MANY)))
        with silent_connections(site, size.silent):
            beside.append(all_served(site.ride(size.phones, AT_ONCE)))
    rates = [ride.rate for ride in alone]
    return [
        Row(f"wire enrolments, {AT_ONCE} phones at once", "/s", rates, "at least", 0.15,
            Limit("of two key operations each", limits), mean_shares(alone)),
        Row(f"wire enrolments, {MANY} phones at once", "/s", [ride.rate for ride in many], "at least", 0.2,
            Limit("of two key operations each", limits), mean_shares(many)),
        Row(f"{AT_ONCE} phones beside {size.silent} silent connections", "/s", [ride.rate for ride in beside], "at least", 0.9,
            Limit("without them", rates), mean_shares(beside)),
        Row("their 99th percentile", "ms", [1000 * ride.p99 for ride in beside], "at most", 79),
    ]


def waiting_phones(site, size):
    """Phones that take their time over a key: what they cost while they do, and that they get their certificate."""
    server = site.server.process.pid
    memory_before, threads_before, connections_before = memory(server), threads(server), connections(server)
    before = site.processor()
    phones = site.send(size.waiting, size.waiting, "--rate", size.waiting_rate, "--key-delay", size.key_seconds)

    def held():
        if phones.poll() is not None:
            raise AssertionError("the phones were gone before all of them waited")
        begun = int(site.sql("select count(*) from operations where state = 'in_progress'")[0])
        return min(begun, connections(server) - connections_before) >= size.waiting

    eventually(held, f"{size.waiting} phones wait for their keys at once")
    each = (memory(server) - memory_before) / size.waiting
    more_threads = threads(server) - threads_before
    ride = all_served(site.arrived(phones, before))
    return [
        Row(f"{size.waiting} phones wait for their keys: memory of capfd for each", "KiB", [each], "below", 32,
            processor=ride.shares()),
        Row("threads of capfd for all of them", "threads", [more_threads], "at most", 0),
    ]


def rebooting_fleet(site, size):
    """Phones that all come within seconds. Each comes once: one that is refused, or waits longer for an answer than
    phones do, counts as not served."""
    ride = site.ride(size.rebooting, size.rebooting, "--rate", size.rebooting_rate)
    within = size.rebooting / size.rebooting_rate
    return [
        Row(f"{size.rebooting} phones come within {within:.0f} s: served at their first try", "phones", [ride.done],
            "at least", size.rebooting, processor=ride.shares()),
        Row("the longest of their sessions", "s", [ride.longest], "below", PHONE_PATIENCE),
    ]
