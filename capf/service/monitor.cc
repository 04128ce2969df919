#include "capf/service/monitor.h"

#include "capf/base/file.h"
#include "capf/domain/issuer_store.h"
#include "capf/service/steps.h"
#include "capf/service/trust_lists.h"

namespace capf::service {
namespace {

constexpr std::chrono::hours kRenewalGrace{24};

std::string phones_that(std::int64_t count, const char* one, const char* many) {
  return std::to_string(count) + (count == 1 ? one : many);
}

/// Without those of a nonsecure site and those that are blocked, which somebody has decided.
std::vector<std::string> warnings_of(const PhoneModes& modes) {
  std::int64_t phones = 0;
  std::string reasons;
  for (const auto& [reason, count] : modes.not_in_effect) {
    if (reason < ModeReason::kNoCertificate || count == 0) continue;
    phones += count;
    reasons += (reasons.empty() ? "" : ", ") + std::to_string(count) + " " + std::string(to_string(reason));
  }
  std::vector<std::string> warnings;
  if (phones > 0) {
    warnings.push_back(phones_that(phones, " phone with a secure profile is not secure: ",
                                   " phones with a secure profile are not secure: ") +
                       reasons + "; see 'capfctl phone list --effective-mode nonsecure'");
  }
  if (modes.without_digest_user > 0) {
    warnings.push_back(phones_that(modes.without_digest_user, " phone asks for digest and has no digest user",
                                   " phones ask for digest and have no digest user"));
  }
  return warnings;
}

}  // namespace

Result<Summary> Monitor::summary(std::span<const int> days) {
  CAPF_LET(Summary summary, in_read(database_, [&](Transaction& tx) -> Result<Summary> {
             CAPF_LET(Summary read, tx.summary().summary(days));
             CAPF_TRY(sum_up_lists(tx, read));
             return read;
           }));
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
  CAPF_LET(const ModeFigures figures, in_read(database_, [](Transaction& tx) { return tx.summary().modes(); }));
  return warnings_of(phone_modes(figures, 0));
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
             CAPF_TRY(check_primary(tx));
             return tx.issuers().active_id();
           }));
  const auto issuer = active ? issuers_.find(*active) : nullptr;
  if (!issuer) return fail(Reason::kIssuerKeyAbsent);
  CAPF_TRY(issuer->key().ready());
  CAPF_TRY(record_.check());
  return crls_.check();
}

}  // namespace capf::service
