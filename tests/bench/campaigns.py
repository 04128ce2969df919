"""Campaigns and renewal over a whole fleet, phones that enrol beside a campaign, and a site that moves in."""

from bench.fleet import Notice, fill, timed
from bench.load import DurableSite
from bench.rpc import KEPT
from bench.table import Limit, Row, mean_shares
from bench.wire import AT_ONCE, all_served
from e2e import pki
from e2e.open_server import write_database
from e2e.site import eventually

WHOLE = 1_000_000  # phones of a campaign that the aim speaks of
RELEASED = 10_000  # phones of a round, or of a site that moves in, that the aims speak of
RATE = "1000/min"  # beside enrolments
# The looks at LSCs as they stand on record where triggers have kept them: none is due.
_LOOKS = """
set session_replication_role = replica;
update phone_lscs set renewal_look_at = now() + (1 + phone_id % 300) * interval '1 day' where lsc = 'valid';
"""


def round_seconds(site):
    """A server's first round comes at its start."""
    site.server.restart()
    return eventually(lambda: site.server.metrics().get("capf_campaign_round_seconds"), "a round of campaigns")


def creating(site, size):
    """Over the whole fleet, while others look on."""
    with Notice(site, "lobby") as notice:
        took = timed(site, "campaign", "create", "whole", "--device", "SEPF*", "--auth", "lsc", "--rate", RATE, "--yes", "--quiet")
    site.capfctl("campaign", "pause", "whole")
    waiting = site.json("campaign", "show", "whole")["phones"]
    if sum(waiting.values()) != size.fleet_phones:
        raise AssertionError(f"the campaign has {waiting}, not {size.fleet_phones}")
    return [Row(f"a campaign over {size.fleet_phones:,} phones is created", "s", [took], "below", 60 * size.fleet_phones / WHOLE),
            Row("its longest transaction", "s", [notice.transaction], "below", 2),
            Row("longest wait of a phone of the selection", "s", [notice.wait], "below", 2)]


def idle_rounds(site, size):
    """Nothing is due: what campaigns and renewal cost each minute."""
    site.sql(_LOOKS, user="postgres")
    site.sql("vacuum analyze phone_lscs", user="postgres")
    return [Row(f"the renewal's minute at {size.fleet_phones:,} phones, nothing due", "s",
                [round_seconds(site) for _ in range(size.rounds)], "below", 1)]


def releasing(site, size):
    """Phones without a pace, in one round."""
    phones = site.folder / "campaign.csv"
    phones.write_text("device,model,tags\n" + "".join(f"SEPC{number:011X},CP-8861,now\n" for number in range(size.released)))
    site.capfctl("phone", "import", phones, "--quiet")
    site.capfctl("campaign", "create", "now", "--tag", "now", "--auth", "mic", "--yes", "--quiet")
    took = round_seconds(site)
    states = {state: count for state, count in site.json("campaign", "show", "now")["phones"].items() if count}
    if states != {"released": size.released}:
        raise AssertionError(f"the campaign has {states}, not {size.released} released ones")
    return [Row(f"a campaign releases {size.released:,} phones", "s", [took], "below", 10 * size.released / RELEASED)]


def enrolments(site, size):
    """Each ride is longer than a minute, so that one round and the operations that it leaves fall into it."""
    alone, beside = [], []
    for _ in range(size.campaign_rounds):
        alone.append(all_served(site.ride(size.campaign_phones, AT_ONCE, transport=KEPT)))
        site.capfctl("campaign", "resume", "whole")
        beside.append(all_served(site.ride(size.campaign_phones, AT_ONCE, transport=KEPT)))
        site.capfctl("campaign", "pause", "whole")
    return [Row(f"gRPC enrolments beside a campaign of {RATE}", "/s", [ride.rate for ride in beside], "at least", 0.95,
                Limit("without it", [ride.rate for ride in alone]), mean_shares(beside))]


def moving_in(site, size):
    """Each phone with a certificate of the former server, over one key: what is handed over claims none."""
    neighbour, key = pki.Manufacturer.root("CAPF of a former server"), pki.make_key()
    issuer, _ = neighbour.write(site.folder, "former")
    path = site.folder / "former.sqlite3"
    names = [f"SEPD{number:011X}" for number in range(size.released)]
    write_database(path, [(name, "none", "none", 0, "", neighbour.mic(name, common_names=[name], key=key).certificate_pem.decode())
                          for name in names])
    took = timed(site, "site", "import-capfd", path, "--issuer", issuer, "--ends", "+90d", "--quiet")
    kept, = site.sql("select count(*) from certificates c join phones p on p.id = c.phone_id where p.device like 'SEPD%'")
    if int(kept) != size.released:
        raise AssertionError(f"{kept} certificates were kept, not {size.released}")
    return [Row(f"site import-capfd of {size.released:,} phones with certificates", "s", [took], "below",
                30 * size.released / RELEASED)]


def campaigns(_, size):
    """On a site of its own."""
    site = DurableSite()
    try:
        all_served(site.ride(size.warm_up, AT_ONCE, transport=KEPT))
        fill(site, size.fleet_phones)
        return creating(site, size) + idle_rounds(site, size) + releasing(site, size) + enrolments(site, size) + moving_in(site, size)
    finally:
        site.close(check=False)
