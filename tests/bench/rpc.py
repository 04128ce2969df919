"""Phones that enrol over gRPC by string, every commit on disk: beside what the machine could sign, beside cfssl, on an idle
server, among ten million others; and two servers."""

import contextlib
import json
import re
import socket
import subprocess

from bench.load import GRPC, DurableSite
from bench.table import Limit, Row, mean_shares
from bench.wire import AT_ONCE, MANY, all_served, key_operations
from e2e import pki
from e2e.site import PROGRAMS, eventually, free_base_port, run

KEPT = (*GRPC, "--keep-connections", "--tries", "20")
OWN = (*GRPC, "--tries", "20")
ENROL = (*OWN, "--enrol")
P256 = ("--key-order", "ec", "--ec-size", "256")
PGBENCH = "/usr/lib/postgresql/15/bin/pgbench"

# As cfssl's own migrations make them.
_CFSSL_TABLES = """
create table certificates (serial_number bytea not null, authority_key_identifier bytea not null, ca_label bytea,
  status bytea not null, reason int, expiry timestamptz, revoked_at timestamptz, pem bytea not null,
  primary key (serial_number, authority_key_identifier));
create table ocsp_responses (serial_number bytea not null, authority_key_identifier bytea not null, body bytea not null,
  expiry timestamptz, primary key (serial_number, authority_key_identifier),
  foreign key (serial_number, authority_key_identifier) references certificates);
"""


@contextlib.contextmanager
def cfssl(site, key):
    """`cfssl serve` with a CA and phone keys of that kind, which keeps its certificates in the site's PostgreSQL.
    @return a function that measures its certificates in a second, over so many connections that stay"""
    folder = site.folder / f"cfssl-{key}"
    folder.mkdir()
    new = ["rsa:2048"] if key == "rsa" else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    pki.openssl("req", "-x509", "-nodes", "-newkey", *new, "-keyout", folder / "ca.key", "-out", folder / "ca.pem",
                "-subj", "/O=CAPF/CN=Peer", "-days", "3650", "-addext", "basicConstraints=critical,CA:TRUE")
    pki.openssl("req", "-new", "-nodes", "-newkey", *new, "-keyout", folder / "phone.key", "-out", folder / "phone.csr",
                "-subj", "/CN=SEP001122334455")
    (folder / "config.json").write_text(json.dumps({"signing": {"default": {
        "expiry": "43800h", "usages": ["digital signature", "key encipherment", "server auth", "client auth"]}}}))
    database = f"cfssl_{key}"
    run("psql", "-X", "-qc", f"create database {database}", f"{site.database} user=postgres dbname=postgres")
    connection = f"{site.database} user=postgres dbname={database}"
    run("psql", "-X", "-v", "ON_ERROR_STOP=1", "-qc", _CFSSL_TABLES, connection)
    (folder / "db.json").write_text(json.dumps({"driver": "postgres", "data_source": connection + " sslmode=disable"}))
    body = json.dumps({"certificate_request": (folder / "phone.csr").read_text(), "hosts": ["SEP001122334455"]})
    (folder / "post.lua").write_text("wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\n"
                                     f"wrk.body = [==[{body}]==]\n")
    port = free_base_port()
    server = subprocess.Popen(["cfssl", "serve", "-ca", folder / "ca.pem", "-ca-key", folder / "ca.key", "-config",
                               folder / "config.json", "-db-config", folder / "db.json", "-port", str(port), "-loglevel",
                               "4"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listens():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def stored():
        return int(run("psql", "-X", "-Atqc", "select count(*) from certificates", connection).stdout)

    def rate(seconds, at_once):
        before = stored()
        words = run("wrk", "-t1", f"-c{at_once}", f"-d{seconds}", "-s", folder / "post.lua",
                    f"http://127.0.0.1:{port}/api/v1/cfssl/sign").stdout
        if "Non-2xx" in words or "Socket errors" in words:
            raise AssertionError(f"cfssl did not answer every request:\n{words}")
        reached = float(re.search(r"Requests/sec: +([0-9.]+)", words)[1])
        if stored() - before < 0.9 * reached * seconds:
            raise AssertionError("cfssl did not store what it signed")
        return reached

    try:
        eventually(listens, "cfssl listens")
        yield rate
    finally:
        server.kill()
        server.wait()


def grpc_enrolments(site, size):
    """Phones with connections of their own, by three calls and by one; and over connections that stay, as the peer's
    client has them."""
    limits, own, one_call = [], [], []
    kept = {count: [] for count in (AT_ONCE, MANY)}
    peer = {count: [] for count in kept}
    with cfssl(site, "rsa") as peer_rate:
        for _ in range(size.rounds):
            limits.append(key_operations(size.signing_seconds))
            own.append(all_served(site.ride(size.grpc_phones, AT_ONCE, transport=OWN)))
            one_call.append(all_served(site.ride(size.grpc_phones, AT_ONCE, transport=ENROL)))
            for count in kept:
                kept[count].append(all_served(site.ride(size.kept_phones, count, transport=KEPT)))
                peer[count].append(peer_rate(size.peer_seconds, count))
    rows = [
        Row(f"gRPC enrolments, {AT_ONCE} phones at once, two connections each", "/s", [ride.rate for ride in own], "at least",
            0.03, Limit("of one signature each", limits), mean_shares(own)),
        Row("the same by Enrol, one connection each", "/s", [ride.rate for ride in one_call], "at least", 0.045,
            Limit("of one signature each", limits), mean_shares(one_call)),
    ]
    for count, aim in ((AT_ONCE, 1), (MANY, 1.25)):
        rows.append(Row(f"gRPC enrolments over {count} connections that stay", "/s", [ride.rate for ride in kept[count]],
                        "at least", aim, Limit("of cfssl serve", peer[count]), mean_shares(kept[count])))
    for who, count, aim in (("PostgreSQL", AT_ONCE, 1.2), ("PostgreSQL", MANY, 0.7), ("capfd", AT_ONCE, 1.2),
                            ("phones", AT_ONCE, 0.8)):
        name = "a phone" if who == "phones" else who
        rows.append(Row(f"processor time of {name} for one of them, {count} connections", "ms",
                        [ride.each(who) for ride in kept[count]], "at most", aim))
    return rows


def p256_enrolments(_, size):
    """The same with P-256 for the issuer and the phones."""
    ours, peer = [], []
    transport = ("--keep-connections", "--tries", "20")
    site = DurableSite("--key", "p-256", keys=P256)
    try:
        all_served(site.ride(size.warm_up, AT_ONCE, transport=OWN))
        site.analyze()
        with cfssl(site, "ec") as peer_rate:
            for _ in range(size.rounds):
                ours.append(all_served(site.ride(size.kept_phones, MANY, transport=transport)))
                peer.append(peer_rate(size.peer_seconds, MANY))
    finally:
        site.close(check=False)
    return [Row(f"gRPC enrolments with P-256 throughout, {MANY} connections that stay", "/s", [ride.rate for ride in ours],
                "at least", 0.65, Limit("of cfssl serve", peer), mean_shares(ours))]


def commit_milliseconds(site, seconds):
    """One durable commit of one row, one after the other."""
    script = site.folder / "commit.sql"
    script.write_text("insert into bench_commits values (1);\n")
    site.sql("create table if not exists bench_commits (n int)")
    words = run(PGBENCH, "-n", "-c1", f"-T{seconds}", "-M", "prepared", "-f", script,
                f"{site.database} user=capf_owner dbname=capf").stdout
    return float(re.search(r"latency average = ([0-9.]+) ms", words)[1])


def idle_latency(site, size):
    """One phone at a time, from its first word to its confirmation."""
    ours, limits = [], []
    for _ in range(size.rounds):
        signature = 1000 / key_operations(size.signing_seconds, 1)
        limits.append(signature + commit_milliseconds(site, size.peer_seconds))
        ours.append(1000 * all_served(site.ride(size.idle_phones, 1, transport=KEPT)).median)
    return [Row("one gRPC enrolment on an idle server, median", "ms", ours, "at most", 7,
                Limit("of one signature and one durable commit", limits))]


def arrivals(site, size):
    """Phones that come when they come: half of what the server can take, each on connections of its own."""
    whole = all_served(site.ride(size.grpc_phones, AT_ONCE, transport=OWN)).rate
    rides = [all_served(site.ride(size.grpc_phones, 256, "--rate", round(whole / 2, 1), transport=OWN))
             for _ in range(size.rounds)]
    return [Row("gRPC phones that arrive at half that rate: 99th percentile from the moment they are due", "ms",
                [1000 * ride.p99 for ride in rides], "below", 250, processor=mean_shares(rides))]


def many_phones(site, size):
    """Beside a site of the same kind that has as many phones as came to it."""
    among, alone = [], []
    large = DurableSite()
    try:
        all_served(large.ride(size.warm_up, AT_ONCE, transport=KEPT))
        for first in range(0, size.on_record, 1_000_000):
            large.sql("insert into phones (device, model) select 'BIG' || to_char(n, 'FM000000000'), 'CP-8861' from "
                      f"generate_series({first}, {min(first + 1_000_000, size.on_record) - 1}) n")
        large.sql("vacuum analyze phones")
        large.sql("checkpoint", user="postgres")
        for _ in range(size.rounds):
            alone.append(all_served(site.ride(size.grpc_phones, AT_ONCE, transport=KEPT)))
            among.append(all_served(large.ride(size.grpc_phones, AT_ONCE, transport=KEPT)))
    finally:
        large.close(check=False)
    return [Row(f"gRPC enrolments among {size.on_record:,} phones", "/s", [ride.rate for ride in among], "at least", 0.9,
                Limit("among some thousands", [ride.rate for ride in alone]), mean_shares(among))]


def two_servers(site, size):
    """Desk phones at two servers over one database, on the cores that one server has for itself otherwise."""
    limits, rides, single = [], [], []
    second = site.add_server()
    try:
        lines = ",".join(server.endpoints["wire"] for server in site.servers)
        both = ("--server", lines, "--trust", site.state / "certificates/wire.pem")
        for _ in range(size.rounds):
            limits.append(key_operations(size.signing_seconds) / 2)
            single.append(all_served(site.ride(size.grpc_phones, AT_ONCE)).rate)
            rides.append(all_served(site.ride(size.grpc_phones, AT_ONCE, *both)))
    finally:
        second.stop()
        site.servers.remove(second)
    rates = [ride.rate for ride in rides]
    return [
        Row("wire enrolments at two servers", "/s", rates, "at least", 1 / 3,
            Limit("of two key operations each", limits), mean_shares(rides)),
        Row("the same", "/s", rates, "at least", 0.9, Limit("at one server", single)),
    ]
