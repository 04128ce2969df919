#include "storage/seals.h"

namespace capf::storage {
namespace {

const std::string kColumns =
    "number, microseconds(sealed_at), events, last_xid, last_id, content, previous, sha256, signature";

AuditSeal read(Columns& columns) {
  AuditSeal seal;
  seal.number = columns.number();
  seal.sealed_at = columns.time();
  seal.events = columns.integer();
  seal.last.transaction = columns.transaction();
  seal.last.id = columns.number();
  seal.content = columns.digest();
  seal.previous = columns.digest();
  seal.sha256 = columns.digest();
  seal.signature = columns.bytes();
  return seal;
}

SealRemark read_remark(Columns& columns) {
  SealRemark remark;
  remark.number = columns.number();
  remark.kind = columns.word(parse_remark_kind);
  remark.words = columns.text();
  remark.signature = columns.bytes();
  return remark;
}

const std::string kRecordColumns =
    "xid, id, microseconds(at), actor_kind, actor, address, action, subject, coalesce(operation_id, 0), outcome, "
    "coalesce(reason, ''), detail";

PlacedRecord read_record(Columns& columns) {
  PlacedRecord placed;
  placed.place.transaction = columns.transaction();
  AuditRecord& record = placed.record;
  record.id = placed.place.id = columns.number();
  record.at = columns.time();
  for (std::string* text : {&record.actor_kind, &record.actor, &record.address, &record.action, &record.subject}) {
    *text = columns.text();
  }
  record.operation_id = columns.number();
  for (std::string* text : {&record.outcome, &record.reason, &record.detail}) *text = columns.text();
  return placed;
}

Bytes read_octets(Columns& columns) { return columns.bytes(); }

UnsealedEvents read_unsealed(Columns& columns) {
  UnsealedEvents events;
  events.count = columns.number();
  events.oldest = columns.optional_time();
  events.made_up = columns.number();
  return events;
}

const Statement kAdopt{"seals_adopt", "select adopt_cluster()"};
const Statement kLock{"seals_lock", "select pg_advisory_xact_lock(hashtext('capf'), hashtext('audit_seals'))"};
const Statement kLast{"seals_last", "select " + kColumns + " from audit_seals order by number desc limit 1"};
const Statement kList{
    "seals_list", "select " + kColumns + " from audit_seals where number > $1::bigint order by number limit $2::int"};
const Statement kFind{"seals_find", "select " + kColumns + " from audit_seals where number = $1::bigint"};
const Statement kAdd{"seals_add",
                     "insert into audit_seals (number, sealed_at, events, last_xid, last_id, content, previous, "
                     "sha256, signature) values ($1::bigint, $2::timestamptz, $3::int, $4::text::xid8, $5::bigint, "
                     "$6::bytea, $7::bytea, $8::bytea, $9::bytea)"};
const Statement kAddRemark{"seals_add_remark",
                           "insert into seal_remarks (number, kind, words, signature) values ($1::bigint, $2::text, "
                           "$3::text, $4::bytea)"};
const Statement kRemarks{"seals_remarks",
                         "select number, kind, words, signature from (select number, kind, words, signature, "
                         "row_number() over (partition by number order by made_at) as place from seal_remarks "
                         "where number between $1::bigint and $2::bigint) r where place <= 4 order by number, place"};
const Statement kTryPlace{"seals_try_place", "select record_transaction(pg_current_xact_id()) is not null"};
const Statement kUnsealed{"seals_unsealed",
                          "select " + kRecordColumns +
                              " from audit_events where (xid, id) > ($1::text::xid8, $2::bigint) "
                              "and xid < (select record_transaction(pg_snapshot_xmin(pg_current_snapshot()))) "
                              "order by xid, id limit $3::int"};
const Statement kEvents{"seals_events",
                        "select " + kRecordColumns +
                            " from audit_events where (xid, id) > ($1::text::xid8, $2::bigint) "
                            "and (xid, id) <= ($3::text::xid8, $4::bigint) order by xid, id limit $5::int"};
const Statement kAfter{"seals_after",
                       "select count(*), microseconds(min(at)), count(*) filter (where xid >= (select "
                       "record_transaction(pg_snapshot_xmax(pg_current_snapshot())))) from audit_events where "
                       "(xid, id) > ($1::text::xid8, $2::bigint)"};
const Statement kKey{"seals_key", "select spki from audit_key"};
const Statement kSetKey{"seals_set_key", "insert into audit_key (spki) values ($1::bytea) on conflict do nothing"};

}  // namespace

Result<bool> Seals::adopt_cluster() { return session_.value(kAdopt, Parameters(), read_boolean); }

Status Seals::lock() { return session_.execute(kLock, Parameters()); }

Result<std::optional<AuditSeal>> Seals::last() { return session_.first(kLast, Parameters(), read); }

Result<std::optional<AuditSeal>> Seals::find(std::int64_t number) {
  return session_.first(kFind, Parameters(number), read);
}

Result<std::vector<AuditSeal>> Seals::list(std::int64_t after, int limit) {
  return session_.all(kList, Parameters(after, limit), read);
}

Status Seals::add(const AuditSeal& seal) {
  return session_.execute(kAdd, Parameters(seal.number, seal.sealed_at, seal.events, seal.last.transaction,
                                           seal.last.id, seal.content, seal.previous, seal.sha256, seal.signature));
}

Status Seals::add_remark(const SealRemark& remark) {
  return session_.execute(
      kAddRemark, Parameters(remark.number, to_string(remark.kind), shortened(remark.words, 500), remark.signature));
}

Result<std::vector<SealRemark>> Seals::remarks(std::int64_t first, std::int64_t last) {
  return session_.all(kRemarks, Parameters(first, last), read_remark);
}

Status Seals::try_place() {
  CAPF_TRY(session_.value(kTryPlace, Parameters(), read_boolean));
  return {};
}

Result<std::vector<PlacedRecord>> Seals::unsealed(const ChangeCursor& after, int limit) {
  return session_.all(kUnsealed, Parameters(after.transaction, after.id, limit), read_record);
}

Result<std::vector<PlacedRecord>> Seals::events(const ChangeCursor& after, const ChangeCursor& last, int limit) {
  return session_.all(kEvents, Parameters(after.transaction, after.id, last.transaction, last.id, limit), read_record);
}

Result<UnsealedEvents> Seals::after(const ChangeCursor& cursor) {
  return session_.value(kAfter, Parameters(cursor.transaction, cursor.id), read_unsealed);
}

Result<std::optional<Bytes>> Seals::key() { return session_.first(kKey, Parameters(), read_octets); }

Result<bool> Seals::set_key(BytesView spki) { return session_.changes(kSetKey, Parameters(spki)); }

}  // namespace capf::storage
