"""What an administrator does with a whole fleet: pages and counts of selections, and bulks, beside what phones notice of them.
"""

import contextlib
import datetime
import threading
import time

from bench.load import PATIENCE, DurableSite
from bench.rpc import KEPT
from bench.table import Limit, Row, mean_shares, percentile
from bench.wire import AT_ONCE, all_served
from e2e import rpc
from e2e.site import PROGRAMS, run

PAGE = 100
BULK_TAG = "bulk"
AFTER_BULK = 10  # seconds in which pages are measured again
WHOLE = 100_000  # phones of a bulk that the aims speak of
STEP = 100_000  # phones of one statement of the generator
EC = ("--key-order", "ec", "--ec-size", "256")

# As years of enrolments leave a fleet behind: two operations, five certificates and ten events for each phone. The session
# plays a replica's, because triggers and foreign keys would take most of the time: it writes the rows that they keep. LSCs that
# have successors were revoked, and have ended since, so that no CRL has them any more.
_FLEET = """
set session_replication_role = replica;
with added as (
  insert into phones (device, model)
    select 'SEPF' || upper(substr(md5(n::text), 1, 11)), case when n % 1000 = 7 then 'CP-7841' else 'CP-8861' end
    from generate_series({first}, {last}) n returning id, device)
insert into phone_sightings (phone_id, device, first_seen, last_seen) select id, device, now() - interval '20 days',
    case when id % 200 = 0 then now() - interval '19 days' else now() - interval '1 hour' end from added;
insert into phone_tags (phone_id, tag, device) select id, case when id % 100 = 0 then 'lobby' else 'desk' end, device from phones
  where id > {before} and id % 10 = 0;
insert into operations (id, phone_id, kind, state, auth, key_order, rsa_bits, ec_bits, self_service, created_by, created_at,
                        completes_by, finished_at, reason)
  select nextval('operation_ids'), id, 'install',
         case when turn = 2 and id % 50 = 0 then 'pending' when turn = 2 and id % 100 = 1 then 'failed' else 'succeeded' end,
         'null', 'rsa', 2048, 384, false, 'bench', now() - interval '9 days', now() + interval '9 days',
         case when turn = 2 and id % 50 = 0 then null else now() - interval '8 days' end,
         case when turn = 2 and id % 100 = 1 then
           case when id % 1000 = 1 then 'MIC_CHANGED' else 'AUTH_STRING_MISMATCH' end end
  from phones, generate_series(1, 2) turn where id > {before} order by turn, id;
insert into phone_operations (phone_id, device, outcome, operation_id, auth, reason, created_at, completes_by)
  select p.id, p.device, case when o.finished_at is null then 'open' else o.state end, o.id, o.auth, o.reason, o.created_at,
         o.completes_by
  from phones p, lateral (select * from operations where phone_id = p.id order by id desc limit 1) o where p.id > {before};
insert into certificates (kind, sha256, serial, issuer_id, issuer, phone_id, key_sha256, der, not_before, not_after, possession,
                          shard, confirmed_at, superseded_at, revoked_at, revocation_reason)
  select 'lsc', digest, set_byte(substr(digest, 1, 16), 0, get_byte(digest, 0) & 63 | 64), i.id, i.subject, p.id,
         sha256(digest), decode(repeat('30', 100), 'hex'), now() - interval '2 years',
         now() + case when turn < 5 then -1 - p.id % 300 else p.id % 1000 - 5 end * interval '1 day', 'none', 0, now(),
         case when turn < 5 then now() - interval '1 year' end, case when turn < 5 then now() - interval '1 year' end,
         case when turn < 5 then 4 end
  from phones p, generate_series(1, 5) turn, issuers i,
       lateral sha256(convert_to('fleet ' || p.id || ' ' || turn, 'UTF8')) digest
  where p.id > {before} and i.active order by turn, p.id;
insert into phone_lscs (phone_id, device, lsc, not_after, issuer_id) select p.id, p.device, l.lsc, l.not_after, l.issuer_id
  from phones p, lsc_of_phone(p.id) l where p.id > {before};
insert into audit_events (actor_kind, actor, address, action, subject, outcome, detail)
  select 'device', device, '', 'operation.finish', device, 'done', '' from phones, generate_series(1, 10) where id > {before};
update totals set phones = (select count(*) from phones where removed_at is null);
"""


def fill(site, phones):
    for first in range(1, phones + 1, STEP):
        before, = site.sql("select coalesce(max(id), 0) from phones")
        site.sql(_FLEET.format(first=first, last=min(first + STEP - 1, phones), before=before), user="postgres")
    site.sql("vacuum analyze", user="postgres")
    site.sql("checkpoint", user="postgres")


def selections():
    """By name: each property that a page is found by, rare and common, and the pairs that are aimed at."""
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=30)
    days_ago = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=10)
    failed, valid = {"operations": ["failed"]}, {"lsc": ["valid"]}
    return {
        "all": {"all": True}, "status valid": valid, "status expired": {"lsc": ["expired"]}, "expiry": {"expires_before": soon},
        "tag": {"tags": ["desk"]}, "rare tag": {"tags": ["lobby"]}, "model": {"models": ["CP-8861"]},
        "rare model": {"models": ["CP-7841"]}, "issuer": {"issuers": [1]}, "pending": {"operations": ["pending"]},
        "failed": failed, "reason": {"reasons": ["AUTH_STRING_MISMATCH"]}, "rare reason": {"reasons": ["MIC_CHANGED"]},
        "not seen": {"not_seen_since": days_ago}, "blocked": {"blocked": True}, "locked": {"locked": True},
        "status x expiry": {**valid, "expires_before": soon}, "status x model": {**valid, "models": ["CP-7841"]},
        "operation x reason": {**failed, "reasons": ["MIC_CHANGED"]}, "tag x status": {"tags": ["lobby"], **valid},
        "issuer x expiry": {"issuers": [1], "expires_before": soon},
    }


def message(fields):
    selection = rpc.admin_pb2.PhoneSelection(**{name: value for name, value in fields.items()
                                                if not isinstance(value, datetime.datetime)})
    for name, value in fields.items():
        if isinstance(value, datetime.datetime):
            getattr(selection, name).FromDatetime(value)
    return selection


def milliseconds(call):
    begun = time.monotonic()
    answer = call()
    return 1000 * (time.monotonic() - begun), answer


class Pages:
    """Calls over one connection that stays, each timed from its first word to its answer."""

    def __init__(self, site):
        self._admin, self._monitor = rpc.admin_client(site), rpc.monitor_client(site)
        self._device, = site.sql("select device from phones where device like 'SEPF%' order by device offset 500 limit 1")

    def of(self, fields, times):
        """Page after page of a selection, from its beginning again at its end."""
        samples, token = [], ""
        for _ in range(times):
            page = rpc.types_pb2.PageRequest(size=PAGE, token=token)
            took, answer = milliseconds(lambda: self._admin.ListPhones(selection=message(fields), page=page))
            samples.append(took)
            token = answer.next_page_token
        return samples

    def all(self, times):
        """By name, the 99th percentile of each."""
        calls = {
            "phone show": lambda: self._admin.GetPhone(device=self._device),
            "pending poll": lambda: self._admin.ListOperations(page=rpc.types_pb2.PageRequest(size=PAGE), open=True),
            "summary": self._monitor.GetSummary,
        }
        found = {f"page of {PAGE}: {name}": percentile(self.of(fields, times), 99) for name, fields in selections().items()}
        found |= {name: percentile([milliseconds(call)[0] for _ in range(times)], 99) for name, call in calls.items()}
        return found

    def count(self, fields):
        """Seconds of the call that counts a selection and shows its first page."""
        page = rpc.types_pb2.PageRequest(size=PAGE)
        return milliseconds(lambda: self._admin.SelectPhones(selection=message(fields), page=page))[0] / 1000


class Notice:
    """What others notice of a bulk: the longest transaction of the server, the longest that a phone's row is locked, the
    longest until a watcher hears of a change. Seconds."""

    def __init__(self, site, tag):
        self.transaction = self.wait = self.lag = 0.0
        self._site, self._tag, self._ended = site, tag, threading.Event()
        stub = rpc.monitor_pb2_grpc.MonitorServiceStub(rpc.channel(site.server, "admin", rpc.admin_identity(site)))
        self._stream = stub.WatchOperations(rpc.monitor_pb2.WatchOperationsRequest())

    def _every_moment(self, look):
        while not self._ended.wait(0.05):
            look()

    def _look_at_transactions(self):
        age, = self._site.sql("select coalesce(extract(epoch from max(clock_timestamp() - xact_start)), 0) from "
                              "pg_stat_activity where usename = 'capf_server'", user="postgres")
        self.transaction = max(self.transaction, float(age))

    def _wait_as_a_phone(self):
        took, _ = milliseconds(lambda: self._site.sql(
            "select p.id from phones p where p.id = (select phone_id from phone_tags where tag = "
            f"'{self._tag}' order by random() limit 1) for update"))
        self.wait = max(self.wait, took / 1000)

    def _watch(self):
        with contextlib.suppress(rpc.grpc.RpcError):  # that it was cancelled
            for change in self._stream:
                self.lag = max(self.lag, time.time() - change.at.seconds - change.at.nanos / 1e9)

    def __enter__(self):
        looks = (self._look_at_transactions, self._wait_as_a_phone)
        self._threads = [threading.Thread(target=self._every_moment, args=(look,)) for look in looks]
        self._threads.append(threading.Thread(target=self._watch))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._stream.cancel()
        for thread in self._threads:
            thread.join()


def timed(site, *arguments):
    """A command that may take long: it is measured, not cut off."""
    begun = time.monotonic()
    run(PROGRAMS / "capfctl", "--state", site.state, *arguments, timeout=PATIENCE)
    return time.monotonic() - begun


def bulks(site, count):
    """@return the rows of an import, of strings in a file and of a cancelling, with what others noticed"""
    phones, strings = site.folder / "fleet.csv", site.folder / "fleet-strings.csv"
    phones.write_text("device,model,description,tags\n" +
                      "".join(f"SEPB{number:011X},CP-8861,Desk {number},{BULK_TAG}\n" for number in range(count)))
    imported = timed(site, "phone", "import", phones, "--quiet")
    with Notice(site, BULK_TAG) as notice:
        scheduled = timed(site, "operation", "schedule", "install", "--tag", BULK_TAG, "--auth", "string", *EC, "--strings",
                          strings, "--yes", "--quiet")
        cancelled = timed(site, "operation", "cancel", "--tag", BULK_TAG, "--yes", "--quiet")
    states = site.sql("select state, count(*) from operations o join phone_tags t using (phone_id) where t.tag = "
                      f"'{BULK_TAG}' group by state")
    if states != [f"cancelled|{count}"]:
        raise AssertionError(f"scheduled and cancelled: {states}, not {count}")
    share = count / WHOLE
    return [
        Row(f"adding {count} phones from CSV", "s", [imported], "below", 30 * share),
        Row(f"scheduling {count} with strings in a file", "s", [scheduled], "below", 60 * share),
        Row(f"cancelling {count}", "s", [cancelled], "below", 60 * share),
        Row("longest transaction meanwhile", "s", [notice.transaction], "below", 2),
        Row("longest wait of a phone of the selection", "s", [notice.wait], "below", 2),
        Row("longest lag of watch", "s", [notice.lag], "below", 5),
    ]


def fleet(site, size):
    """On a site of its own, beside one of some thousand phones."""
    large = DurableSite()
    try:
        all_served(large.ride(size.warm_up, AT_ONCE, transport=KEPT))
        fill(large, size.fleet_phones)
        return measure(site, large, size)
    finally:
        large.close(check=False)


def measure(site, large, size):
    alone, among = [], []
    for _ in range(size.rounds):
        alone.append(all_served(site.ride(size.grpc_phones, AT_ONCE, transport=KEPT)))
        among.append(all_served(large.ride(size.grpc_phones, AT_ONCE, transport=KEPT)))
    pages = Pages(large)
    pages.all(2)  # what is read for the first time comes from the disk
    before = pages.all(size.fleet_calls)
    counts = {name: pages.count(fields) for name, fields in selections().items()}
    rows = [Row(f"{name}, 99th percentile", "ms", [took], "below", 20) for name, took in before.items()]
    rows += [Row(f"counting: {name}", "s", [took], "below", 1) for name, took in counts.items()]
    rows += bulks(large, size.bulk_phones)
    until = time.monotonic() + AFTER_BULK
    after = []
    while not after or time.monotonic() < until:
        after += pages.of({"operations": ["pending"]}, PAGE // 10)
    rows.append(Row(f"the page of pending ones within {AFTER_BULK} s after", "ms", [percentile(after, 99)], "at most", 2,
                    Limit("before", [before[f"page of {PAGE}: pending"]])))
    rows.append(Row(f"gRPC enrolments among {size.fleet_phones:,} phones with {5 * size.fleet_phones:,} certificates", "/s",
                    [ride.rate for ride in among], "at least", 0.9,
                    Limit("among some thousands", [ride.rate for ride in alone]), mean_shares(among)))
    return rows
