#include "storage/crls.h"

#include "storage/certificates.h"

namespace capf::storage {
namespace {

CrlRecord read(Columns& columns) {
  CrlRecord crl;
  crl.shard.issuer_id = columns.number();
  crl.shard.shard = columns.integer();
  crl.number = columns.number();
  crl.this_update = columns.time();
  crl.next_update = columns.time();
  crl.sha256 = columns.digest();
  crl.size = columns.number();
  crl.entries = columns.number();
  crl.published_at = columns.time();
  return crl;
}

Revocation read_revocation(Columns& columns) {
  Revocation revocation;
  revocation.serial = columns.serial();
  revocation.revoked_at = TimePoint(std::chrono::seconds(columns.number()));
  revocation.reason = revocation_reason_from_code(columns.integer()).value();
  return revocation;
}

Bytes read_bytes(Columns& columns) { return columns.bytes(); }

const Statement kNewest{
    "crls_newest",
    "select issuer_id, shard, number, microseconds(this_update), microseconds(next_update), sha256, size, entries, "
    "microseconds(published_at) from crls where issuer_id = $1::bigint and shard = $2::int order by number desc limit "
    "1"};
const Statement kBehind{
    "crls_behind",
    "select exists (select from unnest($1::bigint[], $2::bigint[], $3::bigint[]) as mark (issuer, shard, number) "
    "where mark.number > coalesce((select number from crls where issuer_id = mark.issuer and shard = mark.shard "
    "order by number desc limit 1), 0))"};
// date_part() counts in floating point: exact for seconds, and much faster than extract(). $3 is '' at the beginning.
const Statement kRevocations{
    "crls_revocations",
    "select serial, floor(date_part('epoch', revoked_at))::bigint, reason from revocations "
    "where issuer_id = $1::bigint and shard = $2::int and serial > $3::bytea and expires_at > $4::timestamptz "
    "order by serial limit $5::int"};
const Statement kChanges{
    "crls_changes",
    "select id from crl_changes where issuer_id = $1::bigint and shard = $2::int order by id limit $3::int"};
const Statement kForget{
    "crls_forget_changes",
    "delete from crl_changes where issuer_id = $1::bigint and shard = $2::int and id = any ($3::bigint[])"};
const Statement kAdd{
    "crls_add",
    "insert into crls (issuer_id, shard, number, this_update, next_update, sha256, size, entries) "
    "select $1::bigint, $2::int, $3::bigint, $4::timestamptz, $5::timestamptz, $6::bytea, $7::bigint, $8::bigint "
    "where $3::bigint > coalesce((select number from crls where issuer_id = $1::bigint and shard = $2::int "
    "order by number desc limit 1), 0) on conflict do nothing"};
const Statement kDrop{
    "crls_drop_pieces",
    "delete from crl_pieces where issuer_id = $1::bigint and shard = $2::int and number < $3::bigint - 1"};
const Statement kAddPiece{"crls_add_piece",
                          "insert into crl_pieces (issuer_id, shard, number, position, data) "
                          "values ($1::bigint, $2::int, $3::bigint, $4::int, $5::bytea)"};
const Statement kPiece{"crls_piece",
                       "select data from crl_pieces where issuer_id = $1::bigint and shard = $2::int and "
                       "number = $3::bigint and position = $4::int"};

// A certificate on hold keeps its row in the narrow table, as with every revocation (certificates_revoke). Locks the
// phones first, as all transactions do. A hold that was released since stays released.
const Statement kBringBackKnown{
    "crls_bring_back_known",
    "with entry as (select serial, to_timestamp(at) as at, reason::int from "
    "unnest($3::bytea[], $4::bigint[], $5::bigint[]) as e (serial, at, reason)), "
    "phone as (select id from phones where id in (select c.phone_id from entry e join certificates c on "
    "c.kind = 'lsc' and c.issuer_id = $1::bigint and c.serial = e.serial) order by id for no key update), "
    "marked as (update certificates c set revoked_at = coalesce(c.revoked_at, e.at), revocation_reason = e.reason, "
    "superseded_at = case when e.reason = 4 then coalesce(c.superseded_at, e.at) else c.superseded_at end "
    "from entry e where c.kind = 'lsc' and c.issuer_id = $1::bigint and c.serial = e.serial and "
    "(c.revoked_at is null or (c.revocation_reason = 6 and e.reason <> 6)) and "
    "not (e.reason = 6 and coalesce(c.released_at >= e.at, false)) and c.phone_id in (select id from phone) "
    "returning c.id, c.phone_id, c.serial, c.operation_id, c.key_sha256, c.revoked_at, c.revocation_reason, "
    "c.not_after), "
    "written as (insert into revocations (issuer_id, serial, shard, revoked_at, reason, expires_at) "
    "select $1::bigint, serial, $2::int, revoked_at, revocation_reason, not_after from marked "
    "on conflict (issuer_id, serial) do nothing) "
    "select m.id, m.phone_id, p.device, m.serial, m.operation_id, m.key_sha256, m.revocation_reason "
    "from marked m join phones p on p.id = m.phone_id order by m.id"};
const Statement kBringBackUnknown{
    "crls_bring_back_unknown",
    "insert into revocations (issuer_id, serial, shard, revoked_at, reason, expires_at) "
    "select $1::bigint, serial, $2::int, to_timestamp(at), reason, $6::timestamptz from "
    "unnest($3::bytea[], $4::bigint[], $5::bigint[]) as e (serial, at, reason) where not exists (select from "
    "certificates c where c.kind = 'lsc' and c.issuer_id = $1::bigint and c.serial = e.serial) "
    "on conflict (issuer_id, serial) do nothing"};
BroughtBack::Known read_known(Columns& columns) {
  BroughtBack::Known known;
  known.lsc = read_revocable(columns);
  known.reason = revocation_reason_from_code(columns.integer()).value();
  return known;
}

}  // namespace

Result<std::optional<CrlRecord>> Crls::newest(const CrlShard& shard) {
  return session_.first(kNewest, Parameters(shard.issuer_id, shard.shard), read);
}

Result<bool> Crls::behind(std::span<const CrlMark> marks) {
  std::vector<std::int64_t> issuers;
  std::vector<std::int64_t> shards;
  std::vector<std::int64_t> numbers;
  for (const CrlMark& mark : marks) {
    issuers.push_back(mark.shard.issuer_id);
    shards.push_back(mark.shard.shard);
    numbers.push_back(mark.number);
  }
  using Numbers = std::span<const std::int64_t>;
  return session_.value(kBehind, Parameters(Numbers(issuers), Numbers(shards), Numbers(numbers)), read_boolean);
}

Result<std::vector<Revocation>> Crls::revocations(const CrlShard& shard, TimePoint expires_after,
                                                  const std::optional<SerialNumber>& after, int limit) {
  const BytesView start = after ? after->view() : BytesView();
  return session_.all(kRevocations, Parameters(shard.issuer_id, shard.shard, start, expires_after, limit),
                      read_revocation);
}

Result<std::vector<std::int64_t>> Crls::changes(const CrlShard& shard, int limit) {
  return session_.all(kChanges, Parameters(shard.issuer_id, shard.shard, limit), read_number);
}

Status Crls::forget_changes(const CrlShard& shard, std::span<const std::int64_t> ids) {
  return session_.execute(kForget, Parameters(shard.issuer_id, shard.shard, ids));
}

Result<bool> Crls::add(const CrlRecord& crl) {
  CAPF_LET(const bool added,
           session_.changes(kAdd, Parameters(crl.shard.issuer_id, crl.shard.shard, crl.number, crl.this_update,
                                             crl.next_update, crl.sha256, crl.size, crl.entries)));
  if (!added) return false;
  CAPF_TRY(session_.execute(kDrop, Parameters(crl.shard.issuer_id, crl.shard.shard, crl.number)));
  return true;
}

Result<BroughtBack> Crls::bring_back(const CrlShard& shard, std::span<const Revocation> entries, TimePoint expires_at) {
  std::vector<SerialNumber> serials;
  std::vector<std::int64_t> times;
  std::vector<std::int64_t> reasons;
  for (const Revocation& entry : entries) {
    serials.push_back(entry.serial);
    times.push_back(std::chrono::floor<std::chrono::seconds>(entry.revoked_at).time_since_epoch().count());
    reasons.push_back(static_cast<std::int64_t>(entry.reason));
  }
  using Serials = std::span<const SerialNumber>;
  using Numbers = std::span<const std::int64_t>;
  BroughtBack back;
  CAPF_LET(back.known,
           session_.all(kBringBackKnown,
                        Parameters(shard.issuer_id, shard.shard, Serials(serials), Numbers(times), Numbers(reasons)),
                        read_known));
  CAPF_LET(const auto written,
           session_.run(kBringBackUnknown, Parameters(shard.issuer_id, shard.shard, Serials(serials), Numbers(times),
                                                      Numbers(reasons), expires_at)));
  back.unknown = static_cast<std::int64_t>(written.affected_rows());
  return back;
}

Status Crls::add_piece(const CrlRecord& crl, int position, BytesView data) {
  return session_.execute(kAddPiece, Parameters(crl.shard.issuer_id, crl.shard.shard, crl.number, position, data));
}

Result<std::optional<Bytes>> Crls::piece(const CrlRecord& crl, int position) {
  return session_.first(kPiece, Parameters(crl.shard.issuer_id, crl.shard.shard, crl.number, position), read_bytes);
}

}  // namespace capf::storage
