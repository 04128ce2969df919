#include "capf/daemon/gauges.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>

#include "capf/base/log.h"

namespace capf::daemon {

void Gauges::read() {
  read_pool_(metrics_);
  read_readiness();
  const auto summary = monitor_.summary();
  summary_complaint_.report(summary);
  // A database that does not answer leaves the certificates of this server.
  set_ends(summary ? summary->expiries : own_.list());
  if (!summary) return;
  set_administrators(summary->expiries);
  warn_of_ends(summary->expiries);
  set_summary(*summary);
  read_lines();
}

void Gauges::read_readiness() {
  const Status ready = readiness_.check();
  metrics_.set_not_ready(ready ? std::nullopt : std::optional(ready.error().reason));
  if (!readiness_.draining()) readiness_complaint_.report(ready);
}

void Gauges::read_lines() {
  lines_complaint_.report(lines_.look());
  const service::MixedCount mixed = lines_.last();
  metrics_.set_lines_mixed("profile", mixed.mixed);
  metrics_.set_lines_mixed("effect", mixed.in_effect);
}

void Gauges::set_summary(const Summary& summary) {
  for (const OperationState state : kOperationStates) {
    const auto found = summary.operations.find(state);
    metrics_.set_operations(to_string(state), found == summary.operations.end() ? 0 : found->second);
  }
  const TimePoint now = clock_.now();
  const TimePoint oldest = summary.oldest_pending.value_or(now);
  metrics_.set_oldest_pending_age(std::chrono::duration_cast<std::chrono::seconds>(now - std::min(oldest, now)));
  metrics_.set_overdue(summary.overdue);
  metrics_.set_phones(summary.phones);
  const PhoneModes modes = phone_modes(summary.modes, summary.phones);
  for (const auto& [mode, phones] : modes.profile) {
    metrics_.set_phones_of_mode(to_string(mode), phones, modes.effective.at(mode));
  }
  for (const auto& [reason, phones] : modes.not_in_effect) metrics_.set_modes_not_in_effect(to_string(reason), phones);
  metrics_.set_digest_without_user(modes.without_digest_user);
  metrics_.set_lscs_unconfirmed(summary.lscs_unconfirmed);
  metrics_.set_renewals_late(summary.renewals_late);
  metrics_.set_lscs_expired(summary.lscs_expired);
  for (const auto& [days, count] : summary.lscs_expiring) metrics_.set_lscs_expiring(days, count);
  for (const auto& [kind, generation] : summary.trust_lists) {
    metrics_.set_trust_list_generation(to_string(kind), generation);
  }
  metrics_.set_summary_read(now);
}

/// The first end of each kind of certificate that serves the site.
void Gauges::set_ends(const std::vector<Expiry>& expiries) {
  std::map<ExpiryKind, TimePoint> first;
  for (const Expiry& expiry : expiries) {
    if (expiry.role || expiry.spare) continue;
    const auto [at, added] = first.emplace(expiry.kind, expiry.not_after);
    at->second = std::min(at->second, expiry.not_after);
  }
  for (const auto& [kind, end] : first) metrics_.set_certificate_not_after(to_string(kind), end);
}

void Gauges::set_administrators(const std::vector<Expiry>& expiries) {
  const TimePoint now = clock_.now();
  std::map<Role, AdministratorNumbers> roles;
  for (const Expiry& expiry : expiries) {
    if (!expiry.role) continue;
    AdministratorNumbers& numbers = roles[*expiry.role];
    if (expiry.not_after > now) ++numbers.usable;
    numbers.first = std::min(numbers.first.value_or(expiry.not_after), expiry.not_after);
    numbers.last = std::max(numbers.last.value_or(expiry.not_after), expiry.not_after);
  }
  for (const Role role : kRoles) metrics_.set_administrators(to_string(role), roles[role]);
}

void Gauges::warn_of_ends(const std::vector<Expiry>& expiries) {
  const TimePoint now = clock_.now();
  for (const Expiry& expiry : warnings_.due(expiries, now)) {
    log_warning("certificate.ends", {{"certificate", to_string(expiry.kind)},
                                     {"name", expiry.name},
                                     {"role", expiry.role ? to_string(*expiry.role) : ""},
                                     {"not_after", to_rfc3339(expiry.not_after)},
                                     {"days", std::chrono::floor<std::chrono::days>(expiry.not_after - now).count()},
                                     {"words", expiry.not_after > now ? "it ends soon" : "it has ended"}});
  }
}

}  // namespace capf::daemon
