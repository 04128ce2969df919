#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "capf/base/error.h"
#include "capf/base/time.h"
#include "capf/v1/monitor.pb.h"

namespace capf::cli {

/// The exit codes of monitoring plugins.
enum class Level : std::uint8_t { kOk = 0, kWarning = 1, kCritical = 2, kUnknown = 3 };

/// What a check prints: "CAPF PENDING OK - 3 pending | pending=3;;".
struct Verdict {
  Level level = Level::kUnknown;
  std::string check;  ///< "PENDING"
  std::string words;
  std::string perfdata;  ///< may be empty

  std::string line() const;
};

/// Above these numbers it is a warning, or critical; nothing: never.
struct Thresholds {
  std::optional<std::int64_t> warning;
  std::optional<std::int64_t> critical;
};

/// @param limits hold for the number of open operations; more overdue ones than `overdue_allowed` are a warning.
Verdict judge_pending(std::int64_t pending, std::int64_t overdue, Thresholds limits, std::int64_t overdue_allowed);

/// Days: 30 and 7 where nothing else is asked for.
Thresholds expiry_days(Thresholds asked);
/// Of every certificate that the site lives by, and of the LSCs. @param limits expiry_days(), of which the summary says
/// how many LSCs expire: what expires within so many is a warning, or critical; without what is `spare` nothing stands
/// still, so it is a warning at most. An LSC that has expired without a successor is critical.
Verdict judge_expiry(const v1::GetSummaryResponse& summary, TimePoint now, Thresholds limits);

/// @param status grpc.health.v1's word.
Verdict judge_health(const std::string& status);

/// A check that could not be made: critical where the server is not there or cannot serve, or else unknown.
Verdict judge_error(const std::string& check, const Error& error);

}  // namespace capf::cli
