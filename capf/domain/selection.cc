#include "capf/domain/selection.h"

#include <algorithm>

namespace capf {
namespace {

Status check_count(std::size_t count, std::size_t most, std::string_view property) {
  if (count <= most) return {};
  return fail(Reason::kInvalidRequest, "a selection has at most " + std::to_string(most) + " " + std::string(property) +
                                           ", and this one has " + std::to_string(count));
}

}  // namespace

std::string_view to_string(OperationStatus status) {
  switch (status) {
    case OperationStatus::kNone: return "none";
    case OperationStatus::kPending: return "pending";
    case OperationStatus::kInProgress: return "in_progress";
    case OperationStatus::kIssued: return "issued";
    case OperationStatus::kOverdue: return "overdue";
    case OperationStatus::kSucceeded: return "succeeded";
    case OperationStatus::kFailed: return "failed";
    case OperationStatus::kExpired: return "expired";
    case OperationStatus::kCancelled: return "cancelled";
  }
  CAPF_INVARIANT(false);
}

std::optional<OperationStatus> parse_operation_status(std::string_view text) {
  const auto found = std::find_if(kOperationStatuses.begin(), kOperationStatuses.end(),
                                  [&](OperationStatus status) { return to_string(status) == text; });
  if (found == kOperationStatuses.end()) return std::nullopt;
  return *found;
}

bool PhoneSelection::names_any() const {
  return all || !devices.empty() || !patterns.empty() || !tags.empty() || !models.empty() || !lscs.empty() ||
         expires_before || !issuers.empty() || issuer_expires_before || !auths.empty() || !operations.empty() ||
         !reasons.empty() || tried || not_seen_since || blocked || locked || !profiles.empty() || !modes.empty() ||
         !effective_modes.empty() || !renewals.empty();
}

Status PhoneSelection::check() const {
  CAPF_TRY(check_count(devices.size(), kMostDevicesAtOnce, "devices"));
  CAPF_TRY(check_count(excepts.size(), kMostDevicesAtOnce, "excepted devices"));
  CAPF_TRY(check_count(patterns.size(), kMostSelectedValues, "patterns of devices"));
  CAPF_TRY(check_count(tags.size(), kMostSelectedValues, "tags"));
  CAPF_TRY(check_count(models.size(), kMostSelectedValues, "models"));
  CAPF_TRY(check_count(lscs.size(), kMostSelectedValues, "LSC statuses"));
  CAPF_TRY(check_count(issuers.size(), kMostSelectedValues, "issuers"));
  CAPF_TRY(check_count(auths.size(), kMostSelectedValues, "authentication modes"));
  CAPF_TRY(check_count(operations.size(), kMostSelectedValues, "operation states"));
  CAPF_TRY(check_count(reasons.size(), kMostSelectedValues, "reasons"));
  CAPF_TRY(check_count(profiles.size(), kMostSelectedValues, "profiles"));
  CAPF_TRY(check_count(modes.size(), kMostSelectedValues, "modes"));
  CAPF_TRY(check_count(effective_modes.size(), kMostSelectedValues, "modes in effect"));
  CAPF_TRY(check_count(renewals.size(), kMostSelectedValues, "states of renewals"));
  CAPF_TRY(check_count(refusals.size(), kMostSelectedValues, "reasons of refusals"));
  for (const std::string& tag : tags) CAPF_TRY(check_tag(tag));
  if (!refusals.empty() && !tried) return fail(Reason::kInvalidRequest, "reasons of refusals go with 'tried'");
  return {};
}

}  // namespace capf
