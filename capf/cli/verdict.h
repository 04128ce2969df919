#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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

/// A range as the monitoring plugins' guidelines write it: "10" alerts outside of 0 to 10, "10:" below 10, "~:10" above
/// 10, "10:20" outside of 10 to 20, and "@10:20" inside.
class Range {
 public:
  Range(std::int64_t high) : low_(0), high_(high) {}
  /// Errors: INVALID_REQUEST.
  static Result<Range> parse(std::string_view text);

  bool alerts(std::int64_t value) const;
  /// "10:20"
  std::string text() const;
  /// Of a range for days that are left, up to how many it alerts: "30", "30:" and "@30" say 30.
  std::optional<std::int64_t> within() const;

 private:
  Range() = default;
  bool inside_ = false;
  std::optional<std::int64_t> low_;  ///< nothing: without end
  std::optional<std::int64_t> high_;
};

/// Nothing: never.
struct Ranges {
  std::optional<Range> warning;
  std::optional<Range> critical;
};

/// @param limits hold for the number of open operations; `overdue_limit` for that of the overdue ones, which are a
/// warning at most.
Verdict judge_pending(std::int64_t pending, std::int64_t overdue, const Ranges& limits, const Range& overdue_limit);

/// Of days: what expires within so many is a warning, or critical.
struct Thresholds {
  std::optional<std::int64_t> warning;
  std::optional<std::int64_t> critical;
};

/// Days: 30 and 7 where nothing else is asked for, and critical never more than warning where one of them is.
Thresholds expiry_days(Thresholds asked);
/// Of every certificate that the site lives by, and of the LSCs. @param limits expiry_days(), of which the summary says
/// how many LSCs expire: what expires within so many is a warning, or critical; without what is `spare` nothing stands
/// still, so it is a warning at most. An LSC that has expired without a successor is critical.
/// @param verbose names every finding, not the first ones alone.
Verdict judge_expiry(const v1::GetSummaryResponse& summary, TimePoint now, Thresholds limits, bool verbose = false);

/// What one of the addresses of a site says.
struct Health {
  std::string address;
  Result<std::string> status;  ///< grpc.health.v1's word
};
/// Critical where no server serves; a warning where one of several does not. @param verbose names all of them.
Verdict judge_health(const std::vector<Health>& servers, bool verbose);

/// A check that could not be made: critical where the server is not there or cannot serve, or else unknown.
Verdict judge_error(const std::string& check, const Error& error);

}  // namespace capf::cli
