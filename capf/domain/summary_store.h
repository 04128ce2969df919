#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "capf/base/error.h"
#include "capf/base/time.h"
#include "capf/domain/expiry.h"
#include "capf/domain/mode_figures.h"
#include "capf/domain/operation.h"
#include "capf/domain/trust_list.h"

namespace capf {

/// The days for which Summary::lscs_expiring always has a number.
inline constexpr std::array<int, 3> kExpiryDays{1, 7, 30};

/// Everything that monitoring asks for, in one answer.
struct Summary {
  std::map<OperationState, std::int64_t> operations;  ///< open ones; ended ones of the last 24 hours
  std::map<std::string, std::int64_t> reasons;        ///< of failed ones in the last 24 hours
  std::map<std::string, std::int64_t> refusals;       ///< by reason, in the last hour
  std::int64_t overdue = 0;
  std::optional<TimePoint> oldest_pending;  ///< created_at
  std::int64_t phones = 0;
  std::map<int, std::int64_t> lscs_expiring;          ///< by days: live LSCs that expire within so many
  std::int64_t lscs_expired = 0;                      ///< their phones, which are on record, have no live one
  std::int64_t lscs_unconfirmed = 0;                  ///< their operation ended without a confirmation
  std::int64_t renewals_late = 0;                     ///< phones whose LSC should have been renewed by now
  std::optional<TimePoint> issuer_not_after;          ///< of the active one
  ModeFigures modes;                                  ///< as they were last counted
  std::vector<Expiry> expiries;                       ///< issuers and administrators, the first end first
  std::map<TrustListKind, std::int64_t> trust_lists;  ///< the newest generation; service::Monitor adds it
};

class SummaryStore {
 public:
  virtual ~SummaryStore() = default;
  /// @param days for lscs_expiring; it also has those of kExpiryDays.
  virtual Result<Summary> summary(std::span<const int> days) = 0;
  virtual Result<ModeFigures> modes() = 0;
  /// Counts the next phones with another profile than the first one, up to `limit`.
  virtual Result<ModeCount> count_modes(const ModeCount::Place& after, int limit) = 0;
  /// In place of all figures before.
  virtual Status set_modes(const ModeFigures& figures) = 0;
};

}  // namespace capf
