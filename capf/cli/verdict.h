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

/// The output of a check: "CAPF PENDING OK - 3 pending | pending=3;;".
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
  /// For a range of days left: the number up to which it alerts. "30", "30:" and "@30" mean 30.
  std::optional<std::int64_t> within() const;

 private:
  Range() = default;
  bool inside_ = false;
  std::optional<std::int64_t> low_;  ///< absent: without end
  std::optional<std::int64_t> high_;
};

/// The ranges for a warning and for critical; absent: never.
struct Ranges {
  std::optional<Range> warning;
  std::optional<Range> critical;
};

/// @param limits for the number of open operations; `overdue_limit` for that of the overdue ones, which are a warning
/// at most.
Verdict judge_pending(std::int64_t pending, std::int64_t overdue, const Ranges& limits, const Range& overdue_limit);

/// Days: an end within so many is a warning, or critical.
struct Thresholds {
  std::optional<std::int64_t> warning;
  std::optional<std::int64_t> critical;
};

/// Days: 30 and 7 where nothing else is asked for, and critical never more than warning where one of them is.
Thresholds expiry_days(Thresholds asked);
/// Checks the end of every certificate that the site lives by, and of the LSCs. @param limits expiry_days(), which the
/// summary must have been asked for: an end within so many days is a warning, or critical; that of a `spare`
/// certificate is a warning at most. An LSC that has expired without a successor is critical.
/// @param verbose names every finding, not the first ones alone.
Verdict judge_expiry(const v1::GetSummaryResponse& summary, TimePoint now, Thresholds limits, bool verbose = false);

/// The answer of one of the addresses of a site.
struct Health {
  std::string address;
  Result<std::string> status;           ///< grpc.health.v1's word
  std::string why;                      ///< of one that does not serve: "CLOCK_SKEW: …"; empty where it does not tell
  std::vector<std::string> silent{};    ///< servers of the site that it misses: "capf2.example:812:0a1b2c3d since …"
  std::vector<std::string> warnings{};  ///< of the site, in sentences
};
/// Critical where no server serves; a warning where one of several does not, or is missed by another, and where one
/// warns. @param verbose names all of them.
Verdict judge_health(const std::vector<Health>& servers, bool verbose);

/// The verdict of a failed check: critical where the server is not there or cannot serve, or else unknown.
Verdict judge_error(const std::string& check, const Error& error);

}  // namespace capf::cli
