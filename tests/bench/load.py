"""The tools of the benchmarks: a site whose commits reach the disk, fleets of phones, processor time, memory."""

import dataclasses
import os
import pathlib
import re
import subprocess

from e2e.site import PROGRAMS, SOURCE, Site, run

STRING = "20231123"  # the digits of every phone here
ADDRESSES = 10000  # addresses of the phones: each has one of its own, as in a network without NAT
WIRE = ("--wire", "--tries", "1", "--addresses", str(ADDRESSES))
GRPC = ("--prepared-keys", "2048")
PATIENCE = 900  # seconds for one run of a fleet
_TICK = os.sysconf("SC_CLK_TCK")


def processes():
    """Processor seconds used by each process and its ended children, and its parent: {id: (seconds, parent)}."""
    found = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        found[int(folder.name)] = (sum(map(int, fields[11:15])) / _TICK, int(fields[1]))
    return found


def memory(process):
    """A process's share of memory in KiB: pages that others use too count for a part."""
    return int(re.search(r"^Pss: +(\d+) kB", pathlib.Path(f"/proc/{process}/smaps_rollup").read_text(), re.M)[1])


def threads(process):
    return len(os.listdir(f"/proc/{process}/task"))


def connections(process):
    """How many sockets it has."""
    folder = pathlib.Path(f"/proc/{process}/fd")
    return sum(1 for entry in folder.iterdir() if os.path.islink(entry) and os.readlink(entry).startswith("socket:"))


@dataclasses.dataclass
class Ride:
    """The report of `capf-phone` on a fleet, and the processor seconds that each process used meanwhile."""
    phones: int
    done: int
    seconds: float
    rate: float  # of those that were done
    median: float  # seconds, from the moment a phone was due
    p99: float
    longest: float
    outcomes: dict
    processor: dict = dataclasses.field(default_factory=dict)

    def each(self, who):
        """Processor time for one phone, in milliseconds."""
        return 1000 * self.processor[who] / self.done

    def shares(self):
        """Of all processor time that the machine had, in percent."""
        return {who: 100 * used / self.seconds / os.cpu_count() for who, used in self.processor.items()}


def read_ride(text):
    """From the words that `capf-phone --count` ends with."""
    words = dict(re.findall(r"(\w+)=([0-9.]+)", text))
    return Ride(phones=int(words["phones"]), done=int(words["done"]), seconds=float(words["seconds"]),
                rate=float(words["rate"]), median=float(words["p50"]), p99=float(words["p99"]), longest=float(words["max"]),
                outcomes={name: int(count) for name, count in re.findall(r"^outcome (\S+) (\d+)$", text, re.M)},
                processor={"phones": float(words["cpu"])})


class DurableSite(Site):
    """A site as it is in service: what PostgreSQL has committed stays after a power cut."""

    def __init__(self, *init, settings=None, keys=()):
        """@param init further options of `capfd init`; @param keys of `operation schedule`, for every phone's key"""
        super().__init__(*init, settings=settings)
        self._next = 0
        self._keys = keys

    def start_postgres(self):
        endpoint = run(SOURCE / "scripts/postgres", "start", self.state / "postgres").stdout.strip()
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            value = run("psql", "-X", "-Atqc", f"show {setting}", f"{endpoint} user=capf_owner dbname=capf").stdout
            if value.strip() != "on":
                raise AssertionError(f"PostgreSQL's {setting} is {value.strip()}: its commits are not durable")
        return endpoint

    def fleet(self, count, kind="install"):
        """Phones with an operation each, by string. @return the first one's name: they are numbered"""
        first = self._next
        self._next += count
        names = [f"SEP{number:012X}" for number in range(first, first + count)]
        for begin in range(0, count, 1000):
            lines = "\n".join(names[begin:begin + 1000]) + "\n"
            self.capfctl("phone", "add", "--file", "-", input=lines)
            self.capfctl("operation", "schedule", kind, "--file", "-", "--auth", "string", "--string", STRING,
                         *(self._keys if kind == "install" else ()), input=lines)
        return names[0]

    def analyze(self):
        """As PostgreSQL does by itself within a minute or two: without statistics it picks the wrong indexes."""
        self.sql("analyze")

    def send(self, count, concurrency, *options, transport=WIRE, kind="install"):
        """Lets a new fleet come. RSA keys are made before the first phone comes. @return the process"""
        first = self.fleet(count, kind)
        return subprocess.Popen(
            [PROGRAMS / "capf-phone", "--state", self.state, "--discard", "--count", str(count),
             "--concurrency", str(concurrency), "--first", first, "--string", STRING, *transport, *map(str, options)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    def ride(self, count, concurrency, *options, transport=WIRE, kind="install"):
        """The same to its end."""
        phones = self.send(count, concurrency, *options, transport=transport, kind=kind)
        return self.arrived(phones, self.processor())

    def arrived(self, phones, before):
        """@param before what processor() was when they set out. @return what became of them"""
        text, _ = phones.communicate(timeout=PATIENCE)
        after = self.processor()
        if "phones=" not in text:
            raise AssertionError(f"capf-phone ended with {phones.returncode}")
        ride = read_ride(text)
        for who, used in after.items():
            ride.processor[who] = used - before[who]
        return ride

    def processor(self):
        """Processor seconds so far: of all capfd, and of PostgreSQL with all its processes."""
        postmaster = int((self.state / "postgres/data/postmaster.pid").read_text().split()[0])
        found = processes()
        database = sum(used for process, (used, parent) in found.items() if postmaster in (process, parent))
        return {"capfd": sum(found[server.process.pid][0] for server in self.servers), "PostgreSQL": database}
