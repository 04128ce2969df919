#pragma once

#include <memory>
#include <string>
#include <vector>

#include "capf/domain/certificate_store.h"
#include "capf/domain/issuer_store.h"
#include "storage/changes.h"
#include "storage/conninfo.h"
#include "tests/storage/samples.h"

namespace capf::test {

using storage::Member;
using storage::Outcome;
inline constexpr OperationState kInProgress = OperationState::kInProgress;
inline constexpr OperationState kIssued = OperationState::kIssued;

/// Everything on record of a phone, without ids, names, digests and the values of times.
inline constexpr char kRecords[] = R"(
select jsonb_pretty(jsonb_build_object(
  'phone', (select jsonb_build_array(model, mic_sha256, mic_fresh_at is not null, self_service_stopped_at is not null)
    from phones where id = p),
  'operations', (select jsonb_agg(to_jsonb(o) - '{id,phone_id,created_at,completes_by,finished_at}'::text[] ||
      jsonb_build_object('finished', finished_at = (select max(finished_at) from operations where phone_id = p))
      order by id) from operations o where phone_id = p),
  'strings', (select jsonb_agg(largest order by operation_id) from operation_strings
    where operation_id in (select id from operations where phone_id = p)),
  'certificates', (select jsonb_agg(jsonb_build_array(kind, issuer_id, issuer, possession, shard, confirmed_at is not null,
      superseded_at is not null, revoked_at is not null, revocation_reason,
      (select count(*) from operations where id = c.operation_id)) order by id)
    from certificates c where phone_id = p),
  'revocations', (select jsonb_agg(jsonb_build_array(r.shard, r.reason, r.expires_at = c.not_after, r.revoked_at =
      c.revoked_at) order by c.id) from revocations r join certificates c using (issuer_id, serial) where phone_id = p),
  'keys', (select jsonb_agg(jsonb_build_array(owner, compromised, modulus_sha256 is not null) order by owner,
      modulus_sha256 is not null) from public_keys where phone_id = p),
  'counted', (select count(*) from device_strings where phone_id = p),
  'mic', (select to_jsonb(m) - 'phone_id' from phone_mics m where phone_id = p),
  'attempt', (select to_jsonb(t) - '{phone_id,at}'::text[] from phone_attempts t where phone_id = p),
  'events', (select jsonb_agg(to_jsonb(a) - '{id,xid,at,actor,subject,operation_id}'::text[] ||
      jsonb_build_object('operation', (select count(*) from operations where id = a.operation_id and phone_id = p))
      order by id) from audit_events a where subject = (select device from phones where id = p))))
from (select $p::bigint as p) as named)";

/// How many rows each table has.
inline constexpr char kCounts[] =
    "select string_agg(relname || ' ' || (xpath('//c/text()', query_to_xml('select count(*) as c from ' || relname, "
    "false, true, '')))[1]::text, ', ' order by relname) from pg_class "
    "where relkind = 'r' and relnamespace = 'public'::regnamespace";

/// A site with an issuer, phones of which changes are written, and a look at what they leave.
struct ChangeSite {
  FreshDatabase fresh;
  std::unique_ptr<storage::PostgresDatabase> database = fresh.open();
  std::int64_t issuer = 0;

  ChangeSite() {
    in(*database, [&](Transaction& tx) { issuer = good(tx.issuers().add(sample_issuer())); });
  }

  Phone add_phone(const std::string& name = "SEP1") {
    return good(in_write(*database, [&](Transaction& tx) -> Result<Phone> { return added_phone(tx, device(name)); }));
  }
  Operation add_operation(const Phone& phone) {
    return good(in_write(*database, [&](Transaction& tx) -> Result<Operation> { return added_operation(tx, phone); }));
  }
  Operation add_begun(const Phone& phone) {
    const Operation operation = add_operation(phone);
    in(*database, [&](Transaction& tx) {
      written(tx, phone.id,
              {AdvanceOperation{operation.id, OperationState::kInProgress, CredentialKind::kString, {}, false}});
    });
    return good(in_read(*database, [&](Transaction& tx) { return tx.operations().find(operation.id); })).value();
  }
  Certificate lsc_of(const Operation& operation, const std::string& key) {
    return good(in_read(*database, [&](Transaction& tx) -> Result<Certificate> {
      return sample_lsc(tx, operation, issuer, key + operation.device.text());
    }));
  }
  std::int64_t add_lsc(const Operation& operation, const std::string& key) {
    const Certificate lsc = lsc_of(operation, key);
    return good(
        in_write(*database, [&](Transaction& tx) -> Result<std::int64_t> { return added_certificate(tx, lsc); }));
  }

  std::int64_t revision(std::int64_t phone) {
    return std::stoll(fresh.sql("select revision from phones where id = " + std::to_string(phone)));
  }
  TimePoint postmaster_start() {
    return TimePoint{Duration{std::stoll(fresh.sql("select microseconds(pg_postmaster_start_time())"))}};
  }
  std::string records(std::int64_t phone) {
    std::string text = kRecords;
    return fresh.sql(text.replace(text.find("$p"), 2, std::to_string(phone)));
  }
  std::string counts() { return fresh.sql(kCounts); }

  /// The basis that a look would give now.
  Basis basis(const Phone& phone) {
    Basis basis;
    basis.phone_id = phone.id;
    basis.revision = revision(phone.id);
    basis.postmaster_start = postmaster_start();
    in(*database, [&](Transaction& tx) { basis.looked_at = tx.now(); });
    return basis;
  }

  /// Runs the body in a transaction over a connection of its own.
  template <class Body>
  void in_session(Body body) const {
    storage::Connection connection(good(storage::link_settings(fresh.conninfo(), {})));
    storage::Session session(connection);
    good(session.begin(storage::Access::kWrite));
    body(session);
    good(session.commit());
  }
  /// A round over a connection of its own, committed unless it fails.
  Result<std::vector<storage::Member>> write(const std::vector<Change>& changes, bool alone = false) {
    storage::Connection connection(good(storage::link_settings(fresh.conninfo(), {})));
    storage::Session session(connection);
    CAPF_TRY(session.begin(storage::Access::kWrite));
    std::vector<const Change*> round;
    for (const Change& change : changes) round.push_back(&change);
    CAPF_LET(const auto members, storage::write(session, round, alone));
    CAPF_TRY(session.commit());
    return members;
  }
  storage::Member write(const Change& change) { return good(write(std::vector<Change>{change}, true)).front(); }
};

inline AuditEvent event_of(const Phone& phone, const std::string& action, std::int64_t operation = 0) {
  AuditEvent event;
  event.actor = {ActorKind::kDevice, phone.device.text(), "192.0.2.1"};
  event.action = action;
  event.subject = phone.device.text();
  event.operation_id = operation;
  event.detail = "as \"told\" \\ by the phone";
  return event;
}

inline Write attempt(Reason reason) {
  return RecordAttempt{{{}, "192.0.2.7", "grpc", OperationKind::kInstall, reason, "no"}};
}

}  // namespace capf::test
