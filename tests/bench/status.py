"""The service for relying parties: CRLs of many entries and answers of OCSP, beside the same by openssl's commands."""

import contextlib
import hashlib
import http.client
import os
import re
import resource
import socket
import subprocess
import threading
import time

from bench.load import DurableSite, memory
from bench.table import Limit, Row, mean_shares
from bench.wire import AT_ONCE, all_served
from e2e import issued
from e2e.site import eventually, run
from lint import certificate as roles
from lint.ocsp import GOOD, Answer

CONNECTIONS = 64  # of the client that asks capfd for OCSP answers
NONCES = 4096  # requests that it sends in turn
MIB = 1024  # of KiB
_ENTRY = "(issuer_id, serial, shard, revoked_at, reason, expires_at)"


def serial_of(number):
    """As the SQL in revoke() makes it."""
    return "5a" + hashlib.md5(str(number).encode()).hexdigest()[:30]


def revoke(site, first, count):
    """Entries for the CRL, as many revocations would leave them: what it is built from, and nothing else."""
    site.sql(f"insert into revocations {_ENTRY} select 1, decode('5a' || substr(md5(n::text), 1, 30), 'hex'), 0, "
             "now() - make_interval(secs => n % 1000000), 1, now() + interval '1 year' "
             f"from generate_series({first}, {first + count - 1}) n")


def newest(site):
    """ETag and size of the CRL as it is over HTTP."""
    connection = http.client.HTTPConnection(site.server.endpoints["status"], timeout=60)
    connection.request("HEAD", "/crl/1/0.crl", headers={"Connection": "close"})
    answer = connection.getresponse()
    return answer.getheader("ETag"), int(answer.getheader("Content-Length") or 0)


class OpensslCa:
    """The same entries as `openssl ca` keeps them."""

    def __init__(self, folder, entries):
        folder.mkdir()
        self.folder = folder
        with open(folder / "index.txt", "w") as index:
            index.writelines(f"R\t341123120000Z\t231123120000Z,keyCompromise\t{serial_of(number).upper()}\tunknown\t"
                             f"/CN=SEP{number:012X}\n" for number in range(1, entries + 1))
        (folder / "index.txt.attr").write_text("unique_subject = no\n")
        (folder / "crlnumber").write_text("01\n")
        (folder / "ca.cnf").write_text(f"[ca]\ndefault_ca = own\n[own]\ndatabase = {folder}/index.txt\n"
                                       f"crlnumber = {folder}/crlnumber\ndefault_md = sha256\ndefault_crl_days = 7\n")
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "ca.key", "-out",
            folder / "ca.pem", "-subj", "/CN=CAPF", "-days", "30")

    def seconds(self):
        """How long it takes over one CRL."""
        begun = time.monotonic()
        run("openssl", "ca", "-config", self.folder / "ca.cnf", "-gencrl", "-cert", self.folder / "ca.pem", "-keyfile",
            self.folder / "ca.key", "-out", self.folder / "ca.crl", timeout=900)
        return time.monotonic() - begun


def build(site, change):
    """@return seconds from a change's commit to the CRL that has it over HTTP, and the most memory meanwhile"""
    before, most = newest(site), 0
    change()
    begun = time.monotonic()
    while newest(site) == before:
        most = max(most, memory(site.server.process.pid))
        time.sleep(0.02)
    return time.monotonic() - begun, most


def with_status(site, lines):
    """Other settings of [status], and a restart."""
    path = site.state / "capfd.toml"
    path.write_text(re.sub(r"\n\[status\].*\Z", "", path.read_text(), flags=re.S) + f"\n[status]\n{lines}")
    site.server.restart()


@contextlib.contextmanager
def revoking(site, first):
    """One more revocation every half second. @return how many CRLs there were meanwhile, to be called"""
    ended = threading.Event()

    def work():
        for number in range(first, first + 1000000):
            if ended.wait(0.5):
                return
            revoke(site, number, 1)

    thread = threading.Thread(target=work)
    thread.start()
    count = lambda: int(site.sql("select max(number) from crls")[0])
    before = count()
    try:
        yield lambda: count() - before
    finally:
        ended.set()
        thread.join()


def crls(_, size):
    """On a site of its own: a CRL never gets smaller."""
    site = DurableSite(settings=lambda text: text + "\n[status]\ncrl_interval_seconds = 1\n")
    try:
        return measure_crls(site, size)
    finally:
        site.close(check=False)


def measure_crls(site, size):
    peer = OpensslCa(site.folder / "openssl", size.entries)
    site.ride(size.warm_up, AT_ONCE)
    eventually(lambda: newest(site)[0], "the first CRL")
    idle = memory(site.server.process.pid)
    seconds, peers, most = [], [], []
    entries = size.entries
    _, peak = build(site, lambda: revoke(site, 1, entries))
    most.append((peak - idle) / MIB)
    for _ in range(size.rounds):
        time.sleep(1)  # or the next one is not due yet
        entries += 1
        took, peak = build(site, lambda: revoke(site, entries, 1))
        seconds.append(took)
        most.append((peak - idle) / MIB)
        peers.append(peer.seconds())
    site.analyze()
    with_status(site, f"crl_interval_seconds = {size.crl_interval}\n")
    alone, beside, built = [], [], []
    for _ in range(size.crl_rounds):
        alone.append(all_served(site.ride(size.crl_phones, AT_ONCE)))
        with revoking(site, entries + 1) as published:
            beside.append(all_served(site.ride(size.crl_phones, AT_ONCE)))
            built.append(published())
        entries += 1000000
    if not all(built):
        raise AssertionError("no CRL was built while the phones enrolled")
    every = sum(ride.seconds for ride in beside) / sum(built)
    return [
        Row(f"CRL of {size.entries} entries: from a revocation to its CRL over HTTP", "s", seconds, "below", 1 / 3,
            Limit("by openssl ca -gencrl", peers)),
        Row("memory of capfd above idle meanwhile, at most", "MiB", [max(most)], "below", 100),
        Row(f"wire enrolments while such a CRL is built every {every:.0f} s", "/s", [ride.rate for ride in beside],
            "at least", 0.9, Limit("while none is", [ride.rate for ride in alone]), mean_shares(beside)),
    ]


# OCSP

# wrk sends the requests of a file in turn, each a line in hexadecimal.
SCRIPT = """
local requests, at = {}, 0
for line in io.lines("%s") do
  local body = line:gsub("..", function(two) return string.char(tonumber(two, 16)) end)
  requests[#requests + 1] = wrk.format("POST", "/ocsp", {["Content-Type"] = "application/ocsp-request"}, body)
end
function request()
  at = at %% #requests + 1
  return requests[at]
end
"""


class Client:
    """wrk, with a file of requests."""

    def __init__(self, folder, name, requests):
        (folder / f"{name}.hex").write_text("".join(request.hex() + "\n" for request in requests))
        self.script = folder / f"{name}.lua"
        self.script.write_text(SCRIPT % (folder / f"{name}.hex"))

    def load(self, address, seconds):
        """@return answers a second, and processor seconds of the client"""
        used = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
        before = used()
        text = run("wrk", "--threads", "1", "--connections", CONNECTIONS, "--duration", f"{seconds}s", "--script",
                   self.script, f"http://{address}/ocsp", timeout=seconds + 60).stdout
        if "Non-2xx" in text:
            raise AssertionError(f"not all were answered:\n{text}")
        return float(re.search(r"Requests/sec: +([0-9.]+)", text)[1]), used() - before


class OpensslResponder:
    """`openssl ocsp` with a P-256 key, and the same certificates as good. It serves one connection after the other and
    closes each; under `-multi` its processes stop to answer under load. wrk, which speaks HTTP/1.1, gets no answer from
    it, so ab asks, with one connection served and one that waits."""

    def __init__(self, folder, issuer, serials):
        folder.mkdir()
        self.folder, self.issuer = folder, issuer
        (folder / "index.txt").write_text("".join(
            f"V\t341123120000Z\t\t{serial:032X}\tunknown\t/CN=SEP{number:012X}\n" for number, serial in enumerate(serials)))
        (folder / "index.txt.attr").write_text("unique_subject = no\n")
        run("openssl", "x509", "-inform", "der", "-out", folder / "ca.pem", input=issuer.octets, text=False)
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            folder / "key.pem", "-out", folder / "responder.pem", "-subj", "/CN=OCSP responder", "-days", "30")

    @contextlib.contextmanager
    def running(self, ready):
        """@param ready whether it answers. @return its address"""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        process = subprocess.Popen(
            ["openssl", "ocsp", "-port", str(port), "-index", self.folder / "index.txt", "-CA", self.folder / "ca.pem",
             "-rsigner", self.folder / "responder.pem", "-rkey", self.folder / "key.pem", "-ndays", "1"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            eventually(lambda: ready(f"127.0.0.1:{port}"), "openssl answers")
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()

    def load(self, address, request, seconds):
        """@return answers a second"""
        (self.folder / "request.der").write_bytes(request)
        text = run("ab", "-q", "-r", "-t", seconds, "-n", 10_000_000, "-c", "2", "-p", self.folder / "request.der", "-T",
                   "application/ocsp-request", f"http://{address}/ocsp", timeout=seconds + 60).stdout
        if re.search(r"Non-2xx responses: +[1-9]", text):
            raise AssertionError(f"not all were answered:\n{text}")
        return float(re.search(r"Requests per second: +([0-9.]+)", text)[1])


def ask(address, request):
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("POST", "/ocsp", body=request, headers={"Content-Type": "application/ocsp-request"})
    return connection.getresponse().read()


def is_good(octets, issuer):
    """Whether that is an answer which says so."""
    answer = Answer(octets, issuer)
    return answer.body is not None and [single.status for single in answer.singles] == [GOOD]


def ocsp(site, size):
    """Answers that were given a moment ago, and such as must be signed: each with a nonce of its own."""
    issuer = roles.Certificate(bytes.fromhex(site.sql("select encode(der, 'hex') from issuers")[0]), roles.ISSUER)
    serials = [int(text, 16) for text in site.sql("select encode(serial, 'hex') from certificates where kind = 'lsc' "
                                                  "and revoked_at is null order by id limit 100")]
    address = site.server.endpoints["status"]
    cached = [issued.ask(issuer, serials[0], "sha1")]
    signed = [issued.ask(issuer, serials[number % len(serials)], "sha1", os.urandom(16)) for number in range(NONCES)]
    eventually(lambda: is_good(ask(address, cached[0]), issuer), "capfd answers")
    peer = OpensslResponder(site.folder / "responder", issuer, serials)
    return (measure_ocsp(site, size, peer, cached, 5, "OCSP answers, cached, over HTTP keep-alive") +
            measure_ocsp(site, size, peer, signed, 3, "OCSP answers, each signed (P-256) after a look at the database"))


def answers(address, request, issuer):
    """Whether a responder answers already that the certificate is good."""
    try:
        return is_good(ask(address, request), issuer)
    except OSError:
        return False


def measure_ocsp(site, size, peer, requests, aim, what):
    client = Client(site.folder, f"aim-{aim}", requests)
    issuer = peer.issuer
    rates, peers, shares = [], [], []
    for _ in range(size.rounds):
        before, begun = site.processor(), time.monotonic()
        rate, used = client.load(site.server.endpoints["status"], size.ocsp_seconds)
        all_time = (time.monotonic() - begun) * os.cpu_count()
        after = site.processor()
        shares.append({who: 100 * (after[who] - before[who]) / all_time for who in after} | {"client": 100 * used / all_time})
        rates.append(rate)
        with peer.running(lambda address: answers(address, requests[0], issuer)) as address:
            peers.append(peer.load(address, requests[0], size.ocsp_seconds))
    mean = {who: sum(share[who] for share in shares) / len(shares) for who in shares[0]}
    return [Row(what, "/s", rates, "at least", aim, Limit("by openssl ocsp with a key alike", peers), mean)]
