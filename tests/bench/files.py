"""Phones' files: made when they are asked for and from memory, for phones that start at once, in a folder for another server,
and trust lists; and the Trust Verification Service. Beside what the machine could sign, and how many handshakes it could make."""

import contextlib
import http.client
import re
import ssl
import subprocess
import sys
import time

from bench.fleet import WHOLE, fill
from bench.load import DurableSite
from bench.modes import SECURE, changes, memory_rows, put_into, watched
from bench.rpc import OWN
from bench.table import Limit, Row
from bench.wire import AT_ONCE, all_served, key_operations
from e2e import pki
from e2e.secure_site import CERTIFICATES, LISTENERS
from e2e.site import eventually, run

CONNECTIONS = 64
RECORDS = 38  # of a list: as many as phones take
OWN_RECORDS = 6  # two SAST, two TFTP, TVS, CAPF
ASKING = 64  # threads of the client: the server reads from each when its handshake has been paid for, some 40 ms later
SILENT_FROM, STARTING_FROM = "127.2.0.1", "127.3.0.1"
SILENT_ADDRESSES = 250
STARTING_ADDRESSES = 10_000
ALL_STARTED, MANY = 60, 10_000  # seconds within which so many phones must be served
SAMPLE = 100  # phones whose files are looked at after a change

# The fleet's LSCs as RSA certificates that a file can be encrypted for: that of a phone that enrolled, each with another
# signature.
_RSA = """
set session_replication_role = replica;
update certificates c set der = overlay(real.der placing int8send(c.id) from octet_length(real.der) - 40)
  from (select der from certificates c join phones p on p.id = c.phone_id where kind = 'lsc' and p.device not like 'SEPF%'
        and confirmed_at is not null order by c.id limit 1) real, phones p
  where p.id = c.phone_id and p.device like 'SEPF%' and c.kind = 'lsc' and c.superseded_at is null;
update certificates c set sha256 = sha256(der) from phones p
  where p.id = c.phone_id and p.device like 'SEPF%' and c.kind = 'lsc' and c.superseded_at is null;
"""
# wrk fetches the files of the names in turn, from one on.
_FETCH = """
local names, at = {}, 0
for line in io.lines("%s") do names[#names + 1] = "/" .. line .. ".cnf.xml.sgn" end
function init(arguments)
  at = tonumber(arguments[1])
end
function request()
  at = at %% #names + 1
  return wrk.format("GET", names[at])
end
"""


class FileSite(DurableSite):
    """With the ports of phones' files, and lists of which one is for a SIP server."""

    def __init__(self):
        super().__init__(settings=lambda text: text + LISTENERS)
        try:
            self.capfctl("trust-list", "certificate", "add", CERTIFICATES / "ccm.crt", "--role", "ccm")
            mixed = ("site", "security-mode", "mixed", "--yes")
            eventually(lambda: self.capfctl(*mixed, code=None).returncode == 0, "the list has the SIP server")
            eventually(lambda: len(self.json("trust-list", "show")["lists"]) == 2, "the first CTL")
        except BaseException:
            self.close(check=False)
            raise

    def devices(self):
        """A file with the names of the fleet."""
        path = self.folder / "fleet.txt"
        path.write_text("\n".join(self.sql("select device from phones where device like 'SEPF%' order by device")) + "\n")
        return path

    def fetch(self, script, seconds, first):
        """@return files a second, and how many, of which none was refused"""
        text = run("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", "-s", script,
                   f"http://{self.server.endpoints['files']}/", "--", first, timeout=seconds + 60).stdout
        if "Non-2xx" in text or "Socket errors" in text:
            raise AssertionError(f"not every file was fetched:\n{text}")
        return float(re.search(r"Requests/sec: +([0-9.]+)", text)[1]), int(re.search(r"(\d+) requests in", text)[1])


def signing(site, size):
    """Signed configurations, each for the first time; and one again and again."""
    names = site.devices()
    script, one = site.folder / "fetch.lua", site.folder / "fetch-one.lua"
    script.write_text(_FETCH % names)
    (site.folder / "one.txt").write_text(names.read_text().split("\n", 1)[0] + "\n")
    one.write_text(_FETCH % (site.folder / "one.txt"))
    made, kept, limits, first = [], [], [], 0
    for _ in range(size.rounds):
        limits.append(key_operations(size.signing_seconds))
        rate, count = site.fetch(script, size.ocsp_seconds, first)
        first += count + CONNECTIONS
        if first > size.fleet_phones:
            raise AssertionError("files were fetched for the second time: there are too few phones")
        made.append(rate)
        kept.append(site.fetch(one, size.ocsp_seconds, 0)[0])
    return [Row("signed configurations made at request (RSA-2048)", "/s", made, "at least", 0.5,
                Limit("of one signature each", limits)),
            Row("one from memory, over connections that stay", "/s", kept, "at least", 20_000)]


def tags(site, devices):
    """The ETag of each phone's configuration."""
    connection = http.client.HTTPConnection(site.server.endpoints["files"], timeout=60)
    found = []
    for device in devices:
        connection.request("GET", f"/{device}.cnf.xml")
        answer = connection.getresponse()
        answer.read()
        found.append(answer.getheader("ETag"))
    connection.close()
    return found


def changing(site, size):
    """What `modes` measures, with phones that fetch: each next file is another one."""
    devices = site.devices().read_text().split()[:SAMPLE]
    before = tags(site, devices)
    rows = changes(site, size)
    site.capfctl("profile", "set", SECURE, "--web-access", "on", "--yes")
    new = sum(old != now and now is not None for old, now in zip(before, tags(site, devices)))
    return rows[:1] + rows[2:] + [Row(f"phones of {SAMPLE} that get another file with their next fetch", "phones", [new],
                                      "at least", SAMPLE)]


def starting(site, size):
    """Phones that start at once, while others enrol at half the rate that they reach."""
    names, certificate = site.folder / "starting.txt", site.folder / "vouched.der"
    names.write_text("\n".join(site.devices().read_text().split()[-size.starting:]) + "\n")
    certificate.write_bytes(ssl.PEM_cert_to_DER_cert((CERTIFICATES / "ccm.crt").read_text()))
    whole = all_served(site.ride(size.grpc_phones, AT_ONCE, transport=OWN)).rate
    rate = ("--rate", round(whole / 2, 1))
    enrolling = max(size.grpc_phones, round(whole / 2 * ALL_STARTED * size.starting / MANY))  # until all have started
    alone, beside, seconds = [], [], []
    for _ in range(size.rounds):
        alone.append(1000 * all_served(site.ride(enrolling, 256, *rate, transport=OWN)).p99)
        phones, before = site.send(enrolling, 256, *rate, transport=OWN), site.processor()
        done = run(sys.executable, "-m", "bench.starting", site.server.endpoints["files"], site.server.endpoints["tvs"], names,
                   STARTING_FROM, STARTING_ADDRESSES, certificate, timeout=600)
        served, took = done.stdout.split()
        if int(served) != size.starting or phones.poll() is not None:
            raise AssertionError(f"{served} of {size.starting} phones were served, or after the others had enrolled")
        seconds.append(float(took))
        beside.append(1000 * all_served(site.arrived(phones, before)).p99)
    return [Row(f"{size.starting} phones start at once: until the last one is served", "s", seconds, "below", ALL_STARTED),
            Row("99th percentile of gRPC enrolments at half their rate meanwhile", "ms", beside, "at most", 2,
                Limit("without them", alone))]


@contextlib.contextmanager
def s_server(site):
    """`openssl s_server` with a certificate like that of the Trust Verification Service. @return its port"""
    folder = site.folder / "s_server"
    folder.mkdir()
    pki.openssl("req", "-x509", "-nodes", "-newkey", "rsa:2048", "-keyout", folder / "key.pem", "-out", folder / "cert.pem",
                "-subj", "/O=CAPF/OU=TVS/CN=peer", "-days", "30")
    server = subprocess.Popen(["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", folder / "cert.pem", "-key",
                               folder / "key.pem", "-rev"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
    try:
        line = next(line for line in server.stdout if line.startswith("ACCEPT"))
        yield int(line.rsplit(":", 1)[1])
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def handshakes(port, seconds):
    """@return those in a second that `openssl s_time` makes, each of a session of its own"""
    begun = time.monotonic()
    text = run("openssl", "s_time", "-connect", f"127.0.0.1:{port}", "-new", "-time", seconds, timeout=seconds + 60).stdout
    return int(re.search(r"(\d+) connections in \d+ real seconds", text)[1]) / (time.monotonic() - begun)


def answers(site, certificate, seconds):
    """@return answers of the Trust Verification Service in a second"""
    host, port = site.server.endpoints["tvs"].rsplit(":", 1)
    done = run(sys.executable, "-m", "bench.asking", host.strip("[]"), port, seconds, ASKING, certificate, timeout=seconds + 60)
    return int(done.stdout) / seconds


def vouching(site, size):
    """One question a connection, beside the handshakes that the machine makes; then beside connections that say nothing."""
    certificate = site.folder / "asked.der"
    certificate.write_bytes(ssl.PEM_cert_to_DER_cert((CERTIFICATES / "ccm.crt").read_text()))
    host, port = site.server.endpoints["tvs"].rsplit(":", 1)
    rates, limits, beside = [], [], []
    with s_server(site) as peer:
        for _ in range(size.rounds):
            limits.append(handshakes(peer, size.peer_seconds))
            rates.append(answers(site, certificate, size.peer_seconds))
            idle = subprocess.Popen([sys.executable, "-m", "bench.idle", host.strip("[]"), port, str(size.silent_vouching),
                                     SILENT_FROM, str(SILENT_ADDRESSES)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    text=True)
            try:
                if idle.stdout.readline() != "ready\n":
                    raise AssertionError("the silent connections were not taken")
                beside.append(answers(site, certificate, size.peer_seconds))
            finally:
                idle.communicate()
    return [Row("answers of TVS, one question a connection", "/s", rates, "at least", 1 / 3,
                Limit("handshakes of openssl s_server", limits)),
            Row(f"the same beside {size.silent_vouching} silent connections", "/s", beside, "at least", 0.9,
                Limit("without them", rates))]


def listing(site, size):
    """A list as large as phones take: built, checked and published by one command, and given out by another server."""
    folder = site.folder / "listed"
    for number in range(RECORDS - OWN_RECORDS - 1):  # with that of the SIP server
        key = pki.make_key()
        name = pki.name(f"service-{number}.example.org", organization="Example")
        path, _ = pki.Identity(pki.build(name, key.public_key(), None, key), key).write(folder, f"service-{number}")
        site.capfctl("trust-list", "certificate", "add", path, "--role", "app-server")
    second = site.add_server()
    built, seen = [], []

    def served():
        connection = http.client.HTTPConnection(second.endpoints["files"], timeout=60)
        connection.request("GET", "/ITLFile.tlv")
        octets = connection.getresponse().read()
        connection.close()
        return octets

    try:
        for _ in range(size.rounds):
            site.capfctl("trust-list", "release", "--yes")
            before, begun = served(), time.monotonic()
            site.capfctl("trust-list", "build")
            built.append(time.monotonic() - begun)
            eventually(lambda: served() != before, "the other server has it")
            seen.append(time.monotonic() - begun)
    finally:
        second.stop()
        site.servers.remove(second)
    records = next(each["records"] for each in site.json("trust-list", "show")["lists"] if each["list"]["kind"] == "itl")
    if len(records) != RECORDS:
        raise AssertionError(f"the list has {len(records)} certificates, not {RECORDS}")
    return [Row(f"a trust list of {RECORDS} certificates: built, checked and published by a command", "s", built, "below", 1),
            Row("until another server gives it out", "s", seen, "below", 5)]


def folders(size):
    """Stubs and encrypted files of all phones, on a site of its own."""
    site = FileSite()
    try:
        all_served(site.ride(AT_ONCE, AT_ONCE, transport=OWN))
        fill(site, size.bulk_phones)
        site.sql(_RSA, user="postgres")
        site.capfctl("profile", "add", SECURE, "--mode", "encrypted", "--encrypted-config", "on", "--key-order", "rsa")
        put_into(site, SECURE)
        site.sql("vacuum analyze", user="postgres")
        part, whole = site.folder / "export-part", site.folder / "export"
        for folder in (part, whole):
            folder.mkdir()
        few = watched(site, "files", "export", part, "--devices", "SEPF0*")
        many = watched(site, "files", "export", whole)
        encrypted = sum(1 for path in whole.iterdir() if path.name.startswith("SEPF") and path.name.endswith(".enc.sgn"))
        if encrypted < size.bulk_phones:
            raise AssertionError(f"{encrypted} encrypted files of {size.bulk_phones}")
    finally:
        site.close(check=False)
    return [Row(f"files export of {size.bulk_phones} phones, stub and encrypted", "s", [many[0]], "below",
                300 * size.bulk_phones / WHOLE),
            *memory_rows("meanwhile", few, many, "for a sixteenth of them")]


def files(_, size):
    """On sites of its own."""
    site = FileSite()
    try:
        all_served(site.ride(size.warm_up, AT_ONCE, transport=OWN))
        fill(site, size.fleet_phones)
        site.capfctl("profile", "add", SECURE, "--mode", "encrypted")
        put_into(site, SECURE)
        site.sql("vacuum analyze", user="postgres")
        rows = signing(site, size) + changing(site, size) + starting(site, size) + vouching(site, size) + listing(site, size)
    finally:
        site.close(check=False)
    return rows + folders(size)
