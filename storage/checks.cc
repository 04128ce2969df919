#include "storage/checks.h"

#include "storage/certificates.h"
#include "storage/operations.h"

namespace capf::storage {
namespace {

IssuedRecord read(Columns& columns) {
  IssuedRecord record;
  record.certificate = read_certificate(columns);
  record.issuer_der = columns.bytes();
  record.shards = columns.integer();
  record.issue_event = columns.boolean();
  record.same_serial = columns.integer();
  if (const auto owner = columns.optional_word(parse_key_owner)) record.key = KeyRecord{*owner, 0, false, false, {}};
  const std::int64_t phone_id = columns.id();
  if (record.key) record.key->phone_id = phone_id;
  if (const auto shard = columns.id_or_none()) {
    IssuedRecord::Revocation revocation;
    revocation.shard = static_cast<int>(*shard);
    revocation.revoked_at = columns.time();
    revocation.reason = columns.integer();
    revocation.expires_at = columns.time();
    record.revocation = revocation;
  } else {
    for (int i = 0; i < 3; ++i) columns.id_or_none();
  }
  if (columns.boolean()) record.operation = read_operation(columns);
  return record;
}

// The detail of an issue's audit event begins with the serial number: "serial 5f…, proven by …"
const Statement kIssued{
    "checks_issued",
    "select " + certificate_columns() +
        ", coalesce(i.der || i.chain_der, ''), coalesce(i.shards, 1), "
        "exists (select from audit_events a where a.operation_id = c.operation_id and a.subject = p.device and "
        "a.action = 'certificate.issue' "
        "and a.outcome = 'done' and a.detail like 'serial ' || encode(ltrim(c.serial, '\\x00'::bytea), 'hex') || "
        "',%'), "
        "(select count(*) from certificates s where s.kind = 'lsc' and "
        "ltrim(s.serial, '\\x00'::bytea) = ltrim(c.serial, '\\x00'::bytea)), "
        "k.owner, k.phone_id, r.shard, microseconds(r.revoked_at), r.reason, microseconds(r.expires_at), "
        "o.id is not null, " +
        kOperationColumns +
        " from certificates c join phones p on p.id = c.phone_id left join issuers i on i.id = c.issuer_id "
        "left join public_keys k on k.sha256 = c.key_sha256 "
        "left join revocations r on r.issuer_id = c.issuer_id and r.serial = c.serial "
        "left join operations o on o.id = c.operation_id "
        "where c.kind = 'lsc' and (c.issued_at, c.id) > ($1::timestamptz, $2::bigint) "
        "order by c.issued_at, c.id limit $3::int"};
const Statement kOldest{"checks_oldest_event", "select microseconds(at) from audit_events order by xid, id limit 1"};

}  // namespace

Result<std::vector<IssuedRecord>> Checks::issued(TimePoint since, std::int64_t after, int limit) {
  return session_.all(kIssued, Parameters(since, after, limit), read);
}

Result<std::optional<TimePoint>> Checks::oldest_event() { return session_.first(kOldest, Parameters(), read_time); }

}  // namespace capf::storage
