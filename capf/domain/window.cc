#include "capf/domain/window.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include <cctz/civil_time.h>
#include <cctz/time_zone.h>

namespace capf {

struct Window::Zone {
  cctz::time_zone zone;
};

namespace {

constexpr int kMinutesOfDay = 24 * 60;
constexpr int kDaysAhead = 15;
constexpr std::array<std::string_view, 7> kDays{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
constexpr const char* kForm = "a window is written as 20:00-05:00 or 'Mon-Fri 20:00-05:00'";

tl::unexpected<Error> malformed(std::string words) { return fail(Reason::kInvalidWindow, std::move(words)); }

/// The part before the separator, which is taken away with it; all of the text where there is none.
std::string_view take_part(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

std::optional<std::size_t> parse_day(std::string_view text) {
  const auto same = [&](std::string_view day) {
    return std::equal(day.begin(), day.end(), text.begin(), text.end(),
                      [](char a, char b) { return (a | 0x20) == (b | 0x20); });
  };
  const auto* const found = std::find_if(kDays.begin(), kDays.end(), same);
  if (found == kDays.end()) return std::nullopt;
  return static_cast<std::size_t>(found - kDays.begin());
}

/// "Mon-Fri,Sun"; nothing for any other text.
std::optional<std::bitset<7>> parse_days(std::string_view text) {
  std::bitset<7> days;
  do {
    const bool last = text.find(',') == text.npos;
    std::string_view range = take_part(text, ',');
    const bool one = range.find('-') == range.npos;
    const auto first = parse_day(take_part(range, '-'));
    const auto until = one ? first : parse_day(range);
    if (!first || !until) return std::nullopt;
    for (std::size_t day = *first;; day = (day + 1) % 7) {
      days.set(day);
      if (day == *until) break;
    }
    if (last) return days;
  } while (true);
}

std::optional<int> parse_number(std::string_view text) {
  if (text.empty() || text.size() > 2) return std::nullopt;
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return static_cast<int>(value);
}

/// "20:00", up to 24:00, in minutes.
std::optional<int> parse_time(std::string_view text) {
  const auto hour = parse_number(take_part(text, ':'));
  if (text.size() != 2) return std::nullopt;
  const auto minute = parse_number(text);
  if (!hour || !minute || *minute > 59 || *hour * 60 + *minute > kMinutesOfDay) return std::nullopt;
  return *hour * 60 + *minute;
}

std::string time_text(int minutes) {
  const auto two = [](int number) { return (number < 10 ? "0" : "") + std::to_string(number); };
  return two(minutes / 60) + ':' + two(minutes % 60);
}

std::string days_text(const std::bitset<7>& days) {
  std::string text;
  for (std::size_t day = 0; day < 7; ++day) {
    if (!days[day]) continue;
    std::size_t last = day;
    while (last + 1 < 7 && days[last + 1]) ++last;
    text += (text.empty() ? "" : ",") + std::string(kDays[day]);
    if (last > day) text += (last > day + 1 ? "-" : ",") + std::string(kDays[last]);
    day = last;
  }
  return text;
}

std::size_t day_of(const cctz::civil_day& day) { return static_cast<std::size_t>(cctz::get_weekday(day)); }

cctz::time_point<cctz::seconds> seconds_of(TimePoint time) { return std::chrono::floor<std::chrono::seconds>(time); }

}  // namespace

// A name of the library that is a path, or of another kind of source, is refused: a time zone is no file.
Status check_time_zone(std::string_view zone) {
  const auto plain = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '+' || c == '/';
  };
  const bool good = !zone.empty() && zone.size() <= kLongestTimeZone && zone.front() != '/' &&
                    std::all_of(zone.begin(), zone.end(), plain);
  if (!good) return malformed("a time zone is named as Europe/Berlin");
  cctz::time_zone found;
  if (!cctz::load_time_zone(std::string(zone), &found)) {
    return malformed("this server knows no time zone " + std::string(zone) + "; it is named as Europe/Berlin");
  }
  return {};
}

Result<Window> Window::parse(std::string_view text, std::string_view zone) {
  Window window;
  window.zone_ = zone.empty() ? "UTC" : std::string(zone);
  CAPF_TRY(check_time_zone(window.zone_));
  if (text.size() > kLongestWindow) return malformed(kForm);
  std::string_view hours = text;
  window.days_.set();
  if (text.find(' ') != text.npos) {
    const auto days = parse_days(take_part(hours, ' '));
    if (!days) return malformed(std::string(kForm) + "; days are Mon, Tue, Wed, Thu, Fri, Sat, Sun");
    window.days_ = *days;
  }
  if (hours.find('-') == hours.npos) return malformed(kForm);
  const auto begin = parse_time(take_part(hours, '-'));
  const auto end = parse_time(hours);
  if (!begin || !end || *begin == kMinutesOfDay) return malformed(kForm);
  if (*begin == *end) return malformed("the window never opens: it ends when it begins; a whole day is 00:00-24:00");
  window.begin_ = *begin;
  window.end_ = *end;
  const int length = *end > *begin ? *end - *begin : *end + kMinutesOfDay - *begin;
  if (length < kShortestWindow) return malformed("a window is open for at least 15 minutes");
  auto rules = std::make_shared<Zone>();
  cctz::load_time_zone(window.zone_, &rules->zone);
  window.rules_ = std::move(rules);
  return window;
}

bool Window::contains(TimePoint time) const {
  const cctz::civil_second local = cctz::convert(seconds_of(time), rules_->zone);
  const cctz::civil_day day(local);
  const int minute = local.hour() * 60 + local.minute();
  if (begin_ < end_) return days_[day_of(day)] && minute >= begin_ && minute < end_;
  return (minute >= begin_ && days_[day_of(day)]) || (minute < end_ && days_[day_of(day - 1)]);
}

// A window opens where it begins by the wall clock, or where that clock jumps into it.
std::optional<TimePoint> Window::next(TimePoint time) const {
  if (contains(time)) return time;
  const auto now = seconds_of(time);
  std::vector<cctz::time_point<cctz::seconds>> moments;
  const cctz::civil_day today(cctz::convert(now, rules_->zone));
  for (int ahead = -1; ahead <= kDaysAhead; ++ahead) {
    const auto found = rules_->zone.lookup(cctz::civil_second(today + ahead) + begin_ * 60);
    moments.insert(moments.end(), {found.pre, found.trans, found.post});
  }
  cctz::time_zone::civil_transition jump;
  if (rules_->zone.next_transition(now, &jump)) moments.push_back(rules_->zone.lookup(jump.to).trans);
  std::sort(moments.begin(), moments.end());
  for (const auto& moment : moments) {
    if (moment >= now && contains(moment)) return TimePoint(moment);
  }
  return std::nullopt;
}

std::string Window::text() const {
  return (days_.all() ? std::string() : days_text(days_) + ' ') + time_text(begin_) + '-' + time_text(end_);
}

}  // namespace capf
