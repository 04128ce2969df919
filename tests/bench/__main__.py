"""Runs the benchmarks and prints one table: see README.md, and scripts/bench for the options."""

import argparse
import dataclasses
import json
import os
import pathlib
import platform
import re
import sys
import time

from bench import calls, campaigns, files, fleet, modes, revoking, rpc, status, token, wire
from bench.load import DurableSite
from bench.table import exit_code, table
from e2e.site import SOURCE, run


@dataclasses.dataclass
class Size:
    rounds: int = 5  # of each pair that is compared
    signing_seconds: float = 4
    warm_up: int = 500
    phones: int = 1500  # of each round
    grpc_phones: int = 800
    kept_phones: int = 1500
    idle_phones: int = 100
    token_phones: int = 800
    peer_seconds: int = 4
    on_record: int = 10_000_000
    silent: int = 1000
    waiting: int = 10000
    waiting_rate: float = 200
    key_seconds: float = 90
    rebooting: int = 5000
    rebooting_rate: float = 1000
    revoked: int = 100_000
    ocsp_seconds: int = 4
    entries: int = 1_000_000  # of a CRL
    crl_interval: int = 60  # seconds within which it has a revocation: the default
    crl_phones: int = 6000
    crl_rounds: int = 2
    fleet_phones: int = 1_000_000
    fleet_calls: int = 200  # of each kind
    bulk_phones: int = 100_000
    starting: int = 10_000
    silent_vouching: int = 5000
    released: int = 10_000  # phones of a campaign's round, and of a site that moves in
    campaign_phones: int = 15_000  # enrolments of more than a minute
    campaign_rounds: int = 2


QUICK = Size(rounds=2, signing_seconds=1, warm_up=100, phones=300, grpc_phones=150, kept_phones=300, idle_phones=30,
             token_phones=200, peer_seconds=2, on_record=100_000, waiting=1000, waiting_rate=200, key_seconds=10,
             rebooting=500, rebooting_rate=500, revoked=10_000, ocsp_seconds=2, entries=100_000, crl_interval=6,
             crl_phones=1500, crl_rounds=1, fleet_phones=20_000, fleet_calls=20, bulk_phones=2000, starting=1000,
             silent_vouching=500, released=1000, campaign_phones=1500, campaign_rounds=1)

BENCHMARKS = {"enrolments": wire.enrolments, "servers": rpc.two_servers, "grpc": rpc.grpc_enrolments,
              "p256": rpc.p256_enrolments, "idle": rpc.idle_latency, "arrivals": rpc.arrivals, "many": rpc.many_phones,
              "waiting": wire.waiting_phones, "reboot": wire.rebooting_fleet,
              "token": token.slow_token, "revoking": revoking.revoking, "ocsp": status.ocsp, "crls": status.crls,
              "fleet": fleet.fleet, "calls": calls.calls, "modes": modes.modes, "files": files.files,
              "campaigns": campaigns.campaigns}


def machine():
    cpu = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return {"processor": cpu[1] if cpu else platform.machine(), "cores": os.cpu_count(),
            "commit": run("git", "-C", SOURCE, "describe", "--always", "--dirty", code=None).stdout.strip(),
            "date": time.strftime("%Y-%m-%d", time.gmtime())}


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("--quick", action="store_true", help="about three minutes: an impression, not the record")
    parser.add_argument("--json", metavar="FILE", type=pathlib.Path, help="the results for programs")
    parser.add_argument("only", metavar="BENCHMARK", nargs="*", help=", ".join(BENCHMARKS) + " (default: all)")
    options = parser.parse_args()
    for name in options.only:
        if name not in BENCHMARKS:
            parser.error(f"there is no benchmark named {name}")
    size = QUICK if options.quick else Size()
    rows = []
    site = DurableSite()
    try:
        site.ride(size.warm_up, wire.AT_ONCE)
        site.analyze()
        for name in options.only or BENCHMARKS:
            print(f"{name} …", file=sys.stderr, flush=True)
            rows += BENCHMARKS[name](site, size)
    finally:
        site.close(check=False)
    about = machine()
    print("{cores} x {processor}, {commit}, {date}\n".format(**about))
    print(table(rows))
    if options.json:
        options.json.write_text(json.dumps({**about, "quick": options.quick, "rows": [row.as_json() for row in rows]},
                                           indent=2) + "\n")
    return exit_code(rows)


if __name__ == "__main__":
    sys.exit(main())
