"""Profiles, modes and digest users of a whole fleet: what an administrator waits for, what is written, and what phones that
enrol notice of it."""

import json
import os
import subprocess
import time

from bench.fleet import BULK_TAG, PAGE, WHOLE, Notice, Pages, fill, milliseconds
from bench.load import DurableSite, memory
from bench.rpc import KEPT
from bench.table import Limit, Row, mean_shares, percentile
from bench.wire import AT_ONCE, all_served
from e2e import rpc
from e2e.site import PROGRAMS

MIB = 1024  # of KiB
FLAT = 1.5  # how much more memory ten times as many may take: what is kept of a page, and no more
SECURE = "secure"
# A change of each of these would be a change of a phone.
_TABLES = ("phones", "phone_lscs", "phone_operations", "phone_settings", "phone_sightings", "phone_tags", "certificates")
_PROFILE = """
set session_replication_role = replica;
update phones set profile_id = (select id from profiles where name = '{profile}') where device like 'SEPF%';
"""


def put_into(site, profile):
    """Gives the fleet a profile, as years of `profile apply` would."""
    site.sql(_PROFILE.format(profile=profile), user="postgres")
    site.sql("vacuum analyze phones", user="postgres")


class Written:
    """The rows of phones that are written from now on."""

    def __init__(self, site):
        self._site = site
        self._before, = site.sql("select txid_current() % 4294967296")

    def count(self):
        """None is of a transaction that had begun before."""
        newer = " + ".join(f"(select count(*) from {table} where xmin::text::bigint >= {self._before})" for table in _TABLES)
        return int(self._site.sql(f"select {newer}", user="postgres")[0])


def timed(call):
    begun = time.monotonic()
    call()
    return time.monotonic() - begun


def changes(site, size):
    """A profile of all phones is changed, and the site's mode: the whole command each, with its look beforehand."""
    profile, mode = [], []
    written = Written(site)
    for _ in range(size.rounds):
        for wanted in ("authenticated", "encrypted"):
            profile.append(timed(lambda: site.capfctl("profile", "set", SECURE, "--mode", wanted, "--yes")))
        site.capfctl("site", "security-mode", "nonsecure", "--yes")
        mode.append(timed(lambda: site.capfctl("site", "security-mode", "mixed", "--anyway", "--yes")))
    return [Row(f"a profile of {size.fleet_phones:,} phones is changed", "s", profile, "below", 1),
            Row(f"a site of {size.fleet_phones:,} phones goes from nonsecure to mixed", "s", mode, "below", 1),
            Row("rows of phones that all of that wrote", "rows", [written.count()], "at most", 0)]


def looks(site, size):
    """The calls of a page, each over a connection that stays."""
    pages = Pages(site)
    devices = site.sql(f"select device from phones where device like 'SEPF%' order by id limit {size.fleet_calls}")
    with rpc.admin_client(site) as admin:
        def settings():
            return [milliseconds(lambda: admin.GetEffectiveSettings(device=device))[0] for device in devices]
        settings()  # each session makes its plan, and reads from the disk
        rows = [Row("GetEffectiveSettings, 99th percentile", "ms", [percentile(settings(), 99)], "below", 5)]
    for mode in ("encrypted", "nonsecure"):
        fields = {"effective_modes": [mode]}
        pages.of(fields, 2)
        rows.append(Row(f"page of {PAGE}: in effect {mode}, 99th percentile", "ms",
                        [percentile(pages.of(fields, size.fleet_calls), 99)], "below", 20))
    return rows


def applying(site, size):
    """A profile to phones of a tag, in batches, while others look on."""
    phones = site.folder / "modes.csv"
    phones.write_text("device,model,tags\n" +
                      "".join(f"SEPB{number:011X},CP-8861,{BULK_TAG}\n" for number in range(size.bulk_phones)))
    site.capfctl("phone", "import", phones, "--quiet")
    with Notice(site, BULK_TAG) as notice:
        took = timed(lambda: site.capfctl("profile", "apply", SECURE, "--tag", BULK_TAG, "--anyway", "--yes", "--quiet"))
    count = site.sql("select count(*) from phones p join profiles f on f.id = p.profile_id "
                     f"where f.name = '{SECURE}' and p.device like 'SEPB%'")
    if count != [str(size.bulk_phones)]:
        raise AssertionError(f"the profile has {count} of {size.bulk_phones} phones")
    return [Row(f"profile apply to {size.bulk_phones} phones", "s", [took], "below", 30 * size.bulk_phones / WHOLE),
            Row("its longest transaction", "s", [notice.transaction], "below", 2),
            Row("longest wait of a phone of the selection", "s", [notice.wait], "below", 2)]


def watched(site, *arguments):
    """Runs capfctl, whose answer is one object. @return seconds, the most memory in KiB of capfd and of capfctl meanwhile, and
    the answer"""
    server, capfd, capfctl = site.server.process.pid, 0, 0
    begun = time.monotonic()
    command = [PROGRAMS / "capfctl", "--state", site.state, *arguments, "--output", "json"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        while process.poll() is None:
            capfd = max(capfd, memory(server))
            try:
                capfctl = max(capfctl, memory(process.pid))
            except (OSError, TypeError):  # it has ended meanwhile
                pass
            time.sleep(0.02)
        if process.returncode:
            raise AssertionError(f"{command} ended with {process.returncode}")
        seconds = time.monotonic() - begun
        return seconds, capfd, capfctl, json.load(process.stdout)


def memory_rows(what, few, many, part):
    """@param few, many what watched() said of a part of phones or users, and of all"""
    return [Row(f"memory of {who} {what}", "MiB", [most / MIB], "at most", FLAT, Limit(part, [less / MIB]))
            for who, less, most in (("capfd", few[1], many[1]), ("capfctl", few[2], many[2]))]


def exports(site, size):
    """Digest users to a file, first a tenth of them, because memory that grows is seen beside it."""
    def users(first, last):
        path = site.folder / f"users-{first}.csv"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write("user,password\n" + "".join(f"u{number},password-{number}\n" for number in range(first, last)))
        site.capfctl("digest-user", "add", "--file", path, "--quiet")

    def export():
        return watched(site, "digest-user", "export", "--format", "kamailio-sql", "--out", site.folder / "users.sql", "--replace")

    (site.folder / "users.sql").touch(mode=0o600)
    users(0, size.bulk_phones // 10)
    few = export()
    users(size.bulk_phones // 10, size.bulk_phones)
    many = [export() for _ in range(size.rounds)]
    if {each[3]["users"] for each in many} != {size.bulk_phones}:
        raise AssertionError(f"not every user was exported: {many}")
    most = (0, max(each[1] for each in many), max(each[2] for each in many))
    return [Row(f"export of {size.bulk_phones} digest users", "s", [each[0] for each in many], "below",
                20 * size.bulk_phones / WHOLE),
            *memory_rows("meanwhile", few, most, "for a tenth of them")]


class ProfiledSite(DurableSite):
    """Its phones get a profile before they come."""
    profile = "nonsecure"

    def fleet(self, count, kind="install"):
        first = super().fleet(count, kind)
        if self.profile != "nonsecure":
            number = int(first.removeprefix("SEP"), 16)
            names = "".join(f"SEP{each:012X}\n" for each in range(number, number + count))
            self.capfctl("profile", "apply", self.profile, "--file", "-", "--yes", "--quiet", input=names)
        return first


def enrolments(size):
    """Phones whose secure mode begins with their LSC, at a mixed site, beside phones without a profile."""
    plain, secure = [], []
    site = ProfiledSite()
    try:
        site.capfctl("site", "security-mode", "mixed", "--anyway", "--yes")
        site.capfctl("profile", "add", SECURE, "--mode", "encrypted", "--digest", "on")
        all_served(site.ride(size.warm_up, AT_ONCE, transport=KEPT))
        site.analyze()
        for _ in range(size.rounds):
            site.profile = "nonsecure"
            plain.append(all_served(site.ride(size.grpc_phones, AT_ONCE, transport=KEPT)))
            site.profile = SECURE
            secure.append(all_served(site.ride(size.grpc_phones, AT_ONCE, transport=KEPT)))
    finally:
        site.close(check=False)
    return [Row("gRPC enrolments of phones with a secure profile", "/s", [ride.rate for ride in secure], "at least", 0.95,
                Limit("without one", [ride.rate for ride in plain]), mean_shares(secure))]


def modes(_, size):
    """On sites of its own."""
    site = DurableSite()
    try:
        fill(site, size.fleet_phones)
        site.capfctl("site", "security-mode", "mixed", "--anyway", "--yes")
        site.capfctl("profile", "add", SECURE, "--mode", "encrypted")
        put_into(site, SECURE)
        site.capfctl("profile", "show", SECURE)
        rows = changes(site, size) + looks(site, size) + applying(site, size) + exports(site, size)
    finally:
        site.close(check=False)
    return rows + enrolments(size)
