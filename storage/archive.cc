#include "storage/archive.h"

#include <algorithm>

#include "storage/audit.h"
#include "storage/conninfo.h"
#include "storage/seals.h"

namespace capf::storage {
namespace {

constexpr int kSealsAtOnce = 20;
constexpr int kRowsAtOnce = 500;
// Short lock timeout for deletes, long statement timeout for reads.
constexpr SessionLimits kLimits{std::chrono::minutes{10}, std::chrono::seconds{5}, std::chrono::minutes{10}};

const Statement kLock{"archive_lock", "select pg_try_advisory_lock(hashtext('capf'), hashtext('archive'))"};
const Statement kAllow{"archive_allow", "select set_config('capf.archiving', 'on', true)"};
const Statement kOld{"archive_seals",
                     "select number, to_char(sealed_at at time zone 'UTC', 'YYYY-MM') from audit_seals "
                     "where sealed_at < now() - $1::int * interval '1 day' "
                     "and number < (select max(number) from audit_seals s where not exists (select from seal_remarks r "
                     "where r.number = s.number and r.kind = 'made_up')) order by number limit $2::int"};
const Statement kContinues{"archive_continues",
                           "select not exists (select from audit_seals where number <= $1::bigint) or "
                           "exists (select from audit_seals where number = $1::bigint and signature = $2::bytea)"};
const Statement kRemoveEvents{"archive_remove_events",
                              "delete from audit_events where (xid, id) <= ($1::text::xid8, $2::bigint)"};
const Statement kRemoveRemarks{"archive_remove_remarks", "delete from seal_remarks where number <= $1::bigint"};
const Statement kRemoveSeals{"archive_remove_seals", "delete from audit_seals where number <= $1::bigint"};

// The month is that of the later of expiry and issue, so that no row is added to a past month.
const Statement kCertificates{
    "archive_certificates",
    "select c.id, microseconds(c.not_after), "
    "to_char(greatest(c.not_after, c.issued_at) at time zone 'UTC', 'YYYY-MM'), row_to_json(c)::text "
    "from certificates c join phones p on p.id = c.phone_id "
    "where c.not_after < now() - $3::int * interval '1 day' and c.issued_at < now() - $3::int * interval '1 day' "
    "and (c.not_after, c.id) > ($1::timestamptz, $2::bigint) "
    "and not (c.confirmed_at is not null and p.removed_at is null and not exists (select from certificates n "
    "where n.phone_id = c.phone_id and n.confirmed_at is not null and n.id > c.id)) "
    "order by c.not_after, c.id limit $4::int"};
const Statement kRemoveRevocations{
    "archive_remove_revocations",
    "delete from revocations r using certificates c where c.id = any ($1::text::bigint[]) and c.kind = 'lsc' "
    "and r.issuer_id = c.issuer_id and r.serial = c.serial"};
const Statement kRemoveCertificates{"archive_remove_certificates",
                                    "delete from certificates where id = any ($1::text::bigint[])"};

// These rows have no hash of an authentication string, because it is removed when the operation ends.
const Statement kOperations{
    "archive_operations",
    "select o.id, microseconds(o.finished_at), to_char(o.finished_at at time zone 'UTC', 'YYYY-MM'), "
    "row_to_json(o)::text from operations o join phones p on p.id = o.phone_id "
    "where o.finished_at < now() - $3::int * interval '1 day' and (o.finished_at, o.id) > ($1::timestamptz, "
    "$2::bigint) "
    "and not exists (select from certificates c where c.operation_id = o.id) "
    "and not exists (select from audit_events a where a.operation_id = o.id) "
    "and not exists (select from operation_strings s where s.operation_id = o.id) "
    "and not (p.removed_at is null and not exists (select from operations n "
    "where n.phone_id = o.phone_id and n.id > o.id)) "
    "order by o.finished_at, o.id limit $4::int"};
const Statement kRemoveOperations{"archive_remove_operations",
                                  "delete from operations where id = any ($1::text::bigint[])"};

struct OldSeal {
  std::int64_t number = 0;
  std::string month;
};
OldSeal read_old(Columns& columns) {
  OldSeal old;
  old.number = columns.number();
  old.month = columns.text();
  return old;
}

Archive::Row read_row(Columns& columns) {
  Archive::Row row;
  row.id = columns.number();
  row.at = columns.time();
  row.month = columns.text();
  row.json = columns.text();
  return row;
}

std::string ids(const std::vector<Archive::Row>& rows) {
  std::string list = "{";
  for (const Archive::Row& row : rows) list += (list.size() == 1 ? "" : ",") + std::to_string(row.id);
  return list + '}';
}

}  // namespace

template <class Work>
Status Archive::write(Work work) {
  Session session(connection_);
  CAPF_TRY(session.begin(Access::kWrite));
  CAPF_TRY(session.execute(kAllow, Parameters()));
  CAPF_TRY(work(session));
  return session.commit();
}

Result<std::unique_ptr<Archive>> Archive::open(const std::string& owner_conninfo) {
  CAPF_LET(const auto settings, link_settings(owner_conninfo, kLimits));
  std::unique_ptr<Archive> archive;
  try {
    archive.reset(new Archive(settings));
    CAPF_TRY(check_pooler(archive->connection_.link, settings));
  } catch (...) {
    return fail(fault_of(std::current_exception(), false, Phase::kBegin).error);
  }
  bool mine = false;
  CAPF_TRY(archive->write([&](Session& session) -> Status {
    CAPF_LET(mine, session.value(kLock, Parameters(), read_boolean));
    return {};
  }));
  if (!mine) return fail(Reason::kChangedMeanwhile, "another archiving of this site runs");
  return archive;
}

Result<std::optional<Bytes>> Archive::audit_key() {
  Session session(connection_);
  CAPF_TRY(session.begin(Access::kRead));
  return Seals(session).key();
}

Result<std::vector<Archive::Sealed>> Archive::seals(std::chrono::days age,
                                                    const std::function<bool(const AuditSeal&)>& is_good) {
  Session session(connection_);
  CAPF_TRY(session.begin(Access::kRead));
  Seals seals(session);
  CAPF_LET(const auto old, session.all(kOld, Parameters(age.count(), kSealsAtOnce), read_old));
  std::vector<Sealed> batch;
  ChangeCursor place;
  for (const OldSeal& one : old) {
    CAPF_LET(const auto seal, seals.find(one.number));
    if (!seal) return fail_internal("a seal is gone while it is read");
    CAPF_LET(auto remarks, seals.remarks(one.number, one.number));
    if (!is_good(*seal) && !remarks.empty()) {
      batch.push_back({*seal, one.month, {}, std::move(remarks), place});
      continue;
    }
    CAPF_LET(const auto events, seals.events(place, seal->last, kLargestBatch + 1));
    // Leave events that were tampered with in the database, to be investigated.
    if (static_cast<int>(events.size()) != seal->events) {
      return fail(Reason::kRecordBroken, "seal " + std::to_string(one.number) +
                                             " does not cover what is there: 'capfctl audit verify' says more");
    }
    Sealed sealed{*seal, one.month, {}, std::move(remarks), seal->last};
    for (const PlacedRecord& event : events) sealed.events.push_back(event.record);
    if (content_of(sealed.events) != seal->content) {
      return fail(Reason::kRecordBroken, "the events of seal " + std::to_string(one.number) +
                                             " are not those that were sealed: 'capfctl audit verify' says more");
    }
    place = seal->last;
    batch.push_back(std::move(sealed));
  }
  return batch;
}

Result<bool> Archive::continues(std::int64_t number, BytesView signature) {
  Session session(connection_);
  CAPF_TRY(session.begin(Access::kRead));
  return session.value(kContinues, Parameters(number, signature), read_boolean);
}

Status Archive::remove_seals(const Sealed& last) {
  return write([&](Session& session) -> Status {
    CAPF_TRY(session.execute(kRemoveEvents, Parameters(last.place.transaction, last.place.id)));
    CAPF_TRY(session.execute(kRemoveRemarks, Parameters(last.seal.number)));
    return session.execute(kRemoveSeals, Parameters(last.seal.number));
  });
}

Result<std::vector<Archive::Row>> Archive::certificates(const Cursor& after, std::chrono::days age) {
  Session session(connection_);
  CAPF_TRY(session.begin(Access::kRead));
  return session.all(kCertificates, Parameters(after.at, after.id, age.count(), kRowsAtOnce), read_row);
}

Status Archive::remove_certificates(const std::vector<Row>& rows) {
  return write([&](Session& session) -> Status {
    CAPF_TRY(session.execute(kRemoveRevocations, Parameters(ids(rows))));
    return session.execute(kRemoveCertificates, Parameters(ids(rows)));
  });
}

Result<std::vector<Archive::Row>> Archive::operations(const Cursor& after, std::chrono::days age) {
  Session session(connection_);
  CAPF_TRY(session.begin(Access::kRead));
  return session.all(kOperations, Parameters(after.at, after.id, age.count(), kRowsAtOnce), read_row);
}

Status Archive::remove_operations(const std::vector<Row>& rows) {
  return write([&](Session& session) { return session.execute(kRemoveOperations, Parameters(ids(rows))); });
}

Status Archive::record(const AuditEvent& event) {
  return write([&](Session& session) { return Audit(session).add(event); });
}

}  // namespace capf::storage
