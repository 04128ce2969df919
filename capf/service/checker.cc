#include "capf/service/checker.h"

#include <algorithm>

#include "capf/base/log.h"
#include "capf/ca/certificate.h"
#include "capf/ca/recheck.h"
#include "capf/domain/audit_store.h"
#include "capf/domain/check_store.h"
#include "capf/domain/lease_store.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

constexpr int kAtOnce = 200;
constexpr std::size_t kMostFindings = 1000;
/// An LSC's notBefore is at most so long before its time of issue: the backdating, and the duration of the transaction.
constexpr std::chrono::minutes kMostBackdated{10};

std::vector<ca::Fault> beside(const IssuedRecord& record, const std::optional<TimePoint>& oldest_event, TimePoint now) {
  const Certificate& lsc = record.certificate;
  std::vector<ca::Fault> faults;
  const auto find = [&](const char* what, const char* words) { faults.push_back({what, words}); };
  if (sha256(lsc.der) != lsc.sha256) find("DIGEST", "its SHA-256 is not the one on record");
  if (record.same_serial != 1) find("SERIAL_TWICE", "another LSC has its serial number");
  const auto& operation = record.operation;
  if (!operation) {
    find("OPERATION", "no operation has issued it");
  } else {
    if (operation->phone_id != lsc.phone_id) find("OPERATION", "the operation that issued it is another device's");
    if (operation->kind != OperationKind::kInstall) find("OPERATION", "the operation that issued it is no install");
    if (operation->certificates < 1 || !operation->authenticated_by) {
      find("OPERATION", "the operation that issued it knows of no certificate");
    }
    if (lsc.issued_at < operation->created_at || (operation->finished_at && lsc.issued_at > *operation->finished_at)) {
      find("OPERATION", "it was issued before or after the operation that issued it");
    }
  }
  if (lsc.not_before > lsc.issued_at || lsc.not_before < lsc.issued_at - kMostBackdated) {
    find("VALIDITY", "it does not begin when it was issued");
  }
  if (lsc.not_before > now) find("VALIDITY", "it begins in the future: a clock was ahead when it was issued");
  if (!record.issue_event && oldest_event && lsc.issued_at >= *oldest_event) {
    find("AUDIT", "the record does not tell that it was issued");
  }
  if (!record.issue_event && !oldest_event) find("AUDIT", "there is no record");
  const auto& key = record.key;
  const bool known = key && (key->owner == KeyOwner::kPhone || key->owner == KeyOwner::kBlocked);
  if (!known || (key->owner == KeyOwner::kPhone && key->phone_id != lsc.phone_id)) {
    find("KEY_RECORD", "its key is not recorded as its device's");
  }
  const auto& revocation = record.revocation;
  if (lsc.revoked_at.has_value() != revocation.has_value()) {
    find("REVOCATION", lsc.revoked_at ? "it is revoked, and no CRL can know" : "it is on CRLs, and not revoked");
  } else if (revocation && (revocation->shard != lsc.shard || revocation->revoked_at != *lsc.revoked_at ||
                            revocation->reason != static_cast<int>(*lsc.revocation_reason) ||
                            revocation->expires_at != lsc.not_after)) {
    find("REVOCATION", "CRLs tell otherwise of its revocation than its record");
  }
  return faults;
}

std::vector<ca::Fault> inside(const IssuedRecord& record) {
  const Certificate& lsc = record.certificate;
  ca::ExpectedLsc expected;
  if (auto path = ca::split_certificates(record.issuer_der); path) {
    expected.issuer = std::move(path->front());
    expected.above.assign(std::make_move_iterator(path->begin() + 1), std::make_move_iterator(path->end()));
  }
  expected.issuer_id = lsc.issuer_id;
  expected.shards = record.shards;
  expected.device = lsc.device;
  expected.serial = lsc.serial;
  expected.not_before = lsc.not_before;
  expected.not_after = lsc.not_after;
  expected.shard = lsc.shard;
  expected.key_sha256 = lsc.key_sha256;
  if (record.operation) {
    const KeyPolicy& policy = record.operation->key;
    if (policy.order != KeyOrder::kEc) expected.rsa_bits = policy.rsa_bits;
    if (policy.order != KeyOrder::kRsa) expected.ec_bits = policy.ec_bits;
  }
  return ca::recheck_lsc(lsc.der, expected);
}

}  // namespace

Result<CheckPage> Checker::check(const CheckCursor& from) {
  std::vector<IssuedRecord> records;
  std::optional<TimePoint> oldest_event;
  TimePoint now;
  CAPF_TRY(database_.read([&](Transaction& tx) -> Status {
    now = tx.now();
    CAPF_LET(records, tx.checks().issued(from.issued_at, from.id, kAtOnce));
    CAPF_LET(oldest_event, tx.checks().oldest_event());
    return {};
  }));
  CheckPage page;
  for (const IssuedRecord& record : records) {
    const Certificate& lsc = record.certificate;
    if (from.until && lsc.issued_at >= *from.until) return page;
    auto faults = inside(record);
    for (ca::Fault& fault : beside(record, oldest_event, now)) faults.push_back(std::move(fault));
    for (ca::Fault& fault : faults) {
      page.findings.push_back({lsc.id, serial_text(lsc.serial), lsc.device, fault.what, fault.words});
    }
    ++page.checked;
  }
  if (page.checked == kAtOnce)
    page.next = CheckCursor{records.back().certificate.issued_at, records.back().certificate.id, from.until};
  return page;
}

Result<std::optional<std::vector<Finding>>> Checker::run(std::chrono::hours period) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(period);
  const std::string tail = holder_.substr(holder_.size() - std::min<std::size_t>(holder_.size(), 60));
  TimePoint since;
  // The lease is not prolonged: it runs out when the next check is due.
  CAPF_LET(const bool due, in_write(database_, [&](Transaction& tx) {
             since = tx.now() - 2 * period;  // so that a check that was cut off is repeated
             return tx.leases().take("check", to_rfc3339(tx.now()) + ' ' + tail, static_cast<int>(seconds.count()));
           }));
  if (!due) return std::nullopt;
  std::vector<Finding> findings;
  std::int64_t checked = 0;
  for (std::optional<CheckCursor> cursor = CheckCursor{since, 0}; cursor;) {
    CAPF_LET(const CheckPage page, check(*cursor));
    checked += page.checked;
    for (const Finding& finding : page.findings) {
      if (findings.size() < kMostFindings) findings.push_back(finding);
    }
    cursor = page.next;
  }
  for (const Finding& finding : findings) {
    log_error(
        "certificate.finding",
        {{"what", finding.what}, {"serial", finding.serial}, {"device", finding.device}, {"message", finding.words}});
  }
  const Status recorded = database_.write([&](Transaction& tx) -> Status {
    for (const Finding& finding : findings) {
      AuditEvent event = done({ActorKind::kSystem, "capfd", ""}, "certificate.finding", finding.device,
                              "serial " + finding.serial + ", " + finding.what + ": " + finding.words);
      CAPF_TRY(tx.audit().add(event));
    }
    return {};
  });
  CAPF_TRY(recorded);
  log_info("certificates.checked", {{"count", checked}, {"findings", findings.size()}});
  return findings;
}

}  // namespace capf::service
