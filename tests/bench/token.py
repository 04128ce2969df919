"""A token that takes 50 ms for a signature, as a small hardware module: phones at what it can sign, and phones beside them
that need no signature."""

from bench.load import DurableSite
from bench.rpc import KEPT
from bench.table import Limit, Row, mean_shares
from bench.wire import MANY, all_served
from e2e.soft_token import SoftToken

SESSIONS = 8  # of the token, as the settings have it
SIGNATURE = 0.050  # seconds


def slow_token(_, size):
    """Enrolments beside what the token's sessions can sign; and beside them phones whose certificate is deleted."""
    installed, beside = [], []
    token = SoftToken()
    try:
        site = DurableSite(*token.options("issuer", "--key", "rsa-2048"))
        try:
            all_served(site.ride(size.warm_up, MANY, transport=KEPT))
            site.analyze()
            token.say("slow", str(round(1000 * SIGNATURE)))
            for _ in range(size.rounds):
                phones, before = site.send(size.token_phones, MANY, transport=KEPT), site.processor()
                beside.append(all_served(site.ride(size.token_phones // 2, 4, transport=KEPT, kind="delete")))
                installed.append(all_served(site.arrived(phones, before)))
        finally:
            site.close(check=False)
    finally:
        token.close()
    return [
        Row(f"gRPC enrolments, {MANY} phones at once, a token of 50 ms a signature", "/s", [ride.rate for ride in installed],
            "at least", 0.9, Limit(f"of its {SESSIONS} sessions", [SESSIONS / SIGNATURE]), mean_shares(installed)),
        Row("phones beside them whose certificate is deleted, which needs no signature: median", "ms",
            [1000 * ride.median for ride in beside], "below", 1000 * SIGNATURE, processor=mean_shares(beside)),
    ]
