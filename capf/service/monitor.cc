#include "capf/service/monitor.h"

#include "capf/base/file.h"
#include "capf/domain/issuer_store.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

constexpr std::chrono::hours kRenewalGrace{24};

/// "3 phones with a secure profile are not secure: …", or nothing. A nonsecure site and blocked phones are somebody's
/// decision.
std::string secure_in_vain(const ModeFigures& modes) {
  std::map<ModeReason, std::int64_t> reasons;
  std::int64_t phones = 0;
  for (const auto& [key, count] : modes) {
    if (key.second < ModeReason::kNoCertificate) continue;
    reasons[key.second] += count;
    phones += count;
  }
  if (phones == 0) return {};
  std::string words = std::to_string(phones) + (phones == 1 ? " phone" : " phones") +
                      " with a secure profile " + (phones == 1 ? "is" : "are") + " not secure";
  const char* before = ": ";
  for (const auto& [reason, count] : reasons) {
    words += before + std::to_string(count) + " " + std::string(to_string(reason));
    before = ", ";
  }
  return words + "; see 'capfctl phone list --effective-mode nonsecure'";
}

}  // namespace

Result<Summary> Monitor::summary(std::span<const int> days) {
  CAPF_LET(Summary summary, in_read(database_, [&](Transaction& tx) { return tx.summary().summary(days); }));
  for (Expiry& own : own_.list()) {
    if (own.renews_at && clock_.now() > *own.renews_at + kRenewalGrace) own.renews_at.reset();
    summary.expiries.push_back(std::move(own));
  }
  return summary;
}

Result<std::vector<Operation>> Monitor::pending(const OperationFilter& filter, const Page& page) {
  OperationFilter open = filter;
  open.open = true;
  return in_read(database_, [&](Transaction& tx) { return tx.operations().list(open, page); });
}

Result<ChangeCursor> Monitor::end_of_changes() {
  return in_read(database_, [](Transaction& tx) { return tx.audit().end(); });
}

Result<std::vector<OperationChange>> Monitor::changes(const ChangeCursor& cursor, int limit) {
  return in_read(database_, [&](Transaction& tx) { return tx.audit().changes(cursor, limit); });
}

Result<std::vector<SecurityChange>> Monitor::security_changes(const ChangeCursor& cursor, int limit) {
  return in_read(database_, [&](Transaction& tx) { return tx.security_changes().list(cursor, limit); });
}

Result<std::vector<std::string>> Monitor::warnings() {
  CAPF_LET(const ModeFigures modes, in_read(database_, [](Transaction& tx) { return tx.summary().modes(); }));
  std::vector<std::string> warnings;
  if (std::string words = secure_in_vain(modes); !words.empty()) warnings.push_back(std::move(words));
  return warnings;
}

Result<std::vector<ServerRecord>> Monitor::silent_servers() {
  return in_read(database_, [](Transaction& tx) { return tx.servers().silent(); });
}

Status Monitor::healthy() {
  // It comes first because a full disk is often why the database does not answer either.
  for (const std::filesystem::path& folder : folders_) CAPF_TRY(check_room(folder));
  CAPF_TRY(high_water_.check());
  CAPF_LET(const auto active, in_read(database_, [&](Transaction& tx) -> Result<std::optional<std::int64_t>> {
             CAPF_TRY(check_clock(tx, clock_));
             if (tx.standby()) return fail(Reason::kDatabaseReadOnly);
             return tx.issuers().active_id();
           }));
  const auto issuer = active ? issuers_.find(*active) : nullptr;
  if (!issuer) return fail(Reason::kIssuerKeyAbsent);
  CAPF_TRY(issuer->key().ready());
  CAPF_TRY(record_.check());
  return crls_.check();
}

}  // namespace capf::service
