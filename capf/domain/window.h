#pragma once

#include <bitset>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "capf/base/error.h"
#include "capf/base/time.h"

namespace capf {

inline constexpr std::size_t kLongestWindow = 64;    ///< characters
inline constexpr std::size_t kLongestTimeZone = 64;  ///< characters
/// The work that goes by a window looks at it once a minute, and may be late: a shorter one could pass unseen.
inline constexpr int kShortestWindow = 15;  ///< minutes

/// The hours of some days, by the wall clock of a time zone. Hours that end where they begin, or before, go over
/// midnight and belong to the day on which they begin. The wall clock alone counts: an hour that it skips is in no
/// window, and one that it has twice is in it twice.
class Window {
 public:
  /// "20:00-05:00", "Mon-Fri 20:00-05:00", "Sat,Sun 00:00-24:00", "Fri-Mon,Wed 1:30-4:00".
  /// @param zone "Europe/Berlin", as the time zone database has it; empty: UTC
  /// Errors: INVALID_WINDOW, also for a time zone that is not known here.
  static Result<Window> parse(std::string_view text, std::string_view zone);

  bool contains(TimePoint time) const;
  /// The first moment from `time` on that is in the window. There is one within 15 days but where the clock skips that
  /// many in a row.
  std::optional<TimePoint> next(TimePoint time) const;

  /// In one spelling: "Mon-Fri 20:00-05:00".
  std::string text() const;
  const std::string& zone() const { return zone_; }

 private:
  struct Zone;  ///< keeps the library's header out of this one

  Window() = default;

  std::bitset<7> days_;  ///< from Monday on, on which it begins
  int begin_ = 0;        ///< minute of the day
  int end_ = 0;          ///< minute of the day, up to 24 hours; of the next day where it is not behind the begin
  std::string zone_;
  std::shared_ptr<const Zone> rules_;
};

/// Checks the name of a time zone. Errors: INVALID_WINDOW.
Status check_time_zone(std::string_view zone);

}  // namespace capf
