"""How secure calls are, as a SIP server asks at each call: eight parties, among a million phones and ten thousand lines."""

import json
import re
import socket
import threading
import time

from bench.fleet import fill
from bench.load import DurableSite
from bench.table import Row, percentile
from e2e.site import run

PARTIES = 8
LINES = 10_000
LINE_DEVICES = 4
QUESTIONS = 1000  # different ones
CONNECTIONS = 32
OFFERED = 1000  # questions a second

_LINES = """
insert into profiles (name, mode) values ('bench', 'encrypted');
update phones set profile_id = (select id from profiles where name = 'bench') where id % 2 = 0;
insert into lines (name, added_by) select n::text, 'bench' from generate_series(1, {lines}) n;
insert into line_members (line_id, phone_id, profile_id)
  select l.id, p.id, p.profile_id from lines l, generate_series(1, {devices}) n, phones p
  where p.id = (select min(id) from phones) + (l.id * {devices} + n) % {phones};
update site_security set mode = 'mixed';
"""


def questions(site):
    """Bodies of requests: six devices that a SIP server saw over TLS with SRTP, a line and a trunk."""
    seen = {"transport": "tls", "audio": "srtp", "video": "none"}
    rows = [row.split("|") for row in site.sql(
        "select device, encode(c.sha256, 'hex') from phones p join certificates c on c.phone_id = p.id "
        f"where superseded_at is null and not_after > now() and device like 'SEPF%' order by device limit {QUESTIONS * (PARTIES - 2)}")]
    for number in range(QUESTIONS):
        devices = [rows[(number * (PARTIES - 2) + each) % len(rows)] for each in range(PARTIES - 2)]
        parties = [{"party": device, "observed": {**seen, "certificate_sha256": digest}} for device, digest in devices]
        yield json.dumps({"parties": parties + [{"party": f"line:{number + 1}"}, {"party": "trunk:provider"}]}).encode()


def head(body):
    return (b"POST /call-status HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body))


def answer_of(link, octets):
    """Sends a request and reads the whole answer."""
    link.sendall(octets)
    text = b""
    while True:
        text += link.recv(65536)
        end = text.find(b"\r\n\r\n")
        if end >= 0:
            length = int(re.search(rb"(?i)content-length: (\d+)", text)[1])
            if len(text) >= end + 4 + length:
                return text


def offered(address, requests, rate, seconds):
    """Milliseconds from the moment at which a question was due to its answer, whoever else is still being answered."""
    host, port = address.rsplit(":", 1)
    samples = [[] for _ in range(CONNECTIONS)]
    start = time.monotonic() + 0.2

    def ask(which):
        with socket.create_connection((host, int(port))) as link:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for number in range(which, int(rate * seconds), CONNECTIONS):
                due = start + number / rate
                time.sleep(max(0, due - time.monotonic()))
                if not answer_of(link, requests[number % len(requests)]).startswith(b"HTTP/1.1 200 "):
                    return
                samples[which].append(1000 * (time.monotonic() - due))

    threads = [threading.Thread(target=ask, args=(which,)) for which in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    all_of_them = [each for some in samples for each in some]
    if len(all_of_them) != int(rate * seconds):
        raise AssertionError(f"{len(all_of_them)} of {int(rate * seconds)} questions were answered")
    return all_of_them


def most(site, bodies, seconds):
    """@return answers a second, as many as there can be"""
    script = site.folder / "calls.lua"
    lines = ",\n".join(f"[==[{body.decode()}]==]" for body in bodies)
    script.write_text(f"local bodies = {{{lines}}}\nlocal number = 0\nfunction request()\n  number = number % #bodies + 1\n"
                      "  return wrk.format('POST', '/call-status', {['Content-Type'] = 'application/json'}, bodies[number])\n"
                      "end\n")
    words = run("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", "-s", script,
                f"http://{site.server.endpoints['calls']}/").stdout
    if "Non-2xx" in words or "Socket errors" in words:
        raise AssertionError(f"not every question was answered:\n{words}")
    return float(re.search(r"Requests/sec: +([0-9.]+)", words)[1])


def calls(_, size):
    """On a site of its own."""
    site = DurableSite(settings=lambda text: text + "\n[listen.calls]\nenabled = true\n")
    try:
        fill(site, size.fleet_phones)
        site.sql(_LINES.format(lines=LINES, devices=LINE_DEVICES, phones=size.fleet_phones), user="postgres")
        site.sql("vacuum analyze", user="postgres")
        bodies = list(questions(site))
        requests = [head(body) + body for body in bodies]
        address = site.server.endpoints["calls"]
        offered(address, requests, OFFERED / 4, 2)  # each session makes its plan, and reads from the disk
        rates, waits = [], []
        for _ in range(size.rounds):
            waits.append(percentile(offered(address, requests, OFFERED, size.ocsp_seconds), 99))
            rates.append(most(site, bodies, size.ocsp_seconds))
    finally:
        site.close(check=False)
    among = f"among {size.fleet_phones:,} phones and {LINES:,} lines"
    return [Row(f"call-status of {PARTIES} parties {among}, {OFFERED:,}/s offered, 99th percentile", "ms", waits, "below", 5),
            Row("call-status, at most", "/s", rates, "at least", 2000)]
