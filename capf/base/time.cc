#include "capf/base/time.h"

#include <cstdio>

namespace capf {
namespace {

/// Takes exactly `count` decimal digits off the front of `text`; -1 where they are not there.
int take_digits(std::string_view& text, std::size_t count) {
  if (text.size() < count) return -1;
  int value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(count);
  return value;
}

bool take_one_of(std::string_view& text, std::string_view accepted) {
  if (text.empty() || accepted.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

TimePoint SystemClock::now() const {
  return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

std::string to_rfc3339(TimePoint time) {
  const auto days = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{days};
  const std::chrono::hh_mm_ss clock{std::chrono::floor<std::chrono::seconds>(time - days)};
  char text[40];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return text;
}

// RFC 3339 5.6
//    date-time = full-date "T" full-time
Result<TimePoint> parse_rfc3339(std::string_view text) {
  using namespace std::chrono;
  const int year = take_digits(text, 4);
  if (year < 1970 || !take_one_of(text, "-")) return fail(Reason::kInvalidTime);
  const int month = take_digits(text, 2);
  if (month < 1 || !take_one_of(text, "-")) return fail(Reason::kInvalidTime);
  const int day = take_digits(text, 2);
  if (day < 1) return fail(Reason::kInvalidTime);
  const year_month_day date{std::chrono::year{year}, std::chrono::month(static_cast<unsigned>(month)),
                            std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return fail(Reason::kInvalidTime);
  TimePoint time{sys_days{date}};
  if (text.empty()) return time;

  if (!take_one_of(text, "Tt ")) return fail(Reason::kInvalidTime);
  const int hour = take_digits(text, 2);
  if (hour < 0 || hour > 23 || !take_one_of(text, ":")) return fail(Reason::kInvalidTime);
  const int minute = take_digits(text, 2);
  if (minute < 0 || minute > 59 || !take_one_of(text, ":")) return fail(Reason::kInvalidTime);
  const int second = take_digits(text, 2);
  if (second < 0 || second > 59) return fail(Reason::kInvalidTime);
  time += hours{hour} + minutes{minute} + seconds{second};
  if (take_one_of(text, ".")) {
    Duration unit = milliseconds{100};
    int digits = 0;
    for (int digit = take_digits(text, 1); digit >= 0; digit = take_digits(text, 1), unit /= 10) {
      if (++digits > 6) return fail(Reason::kInvalidTime);
      time += unit * digit;
    }
    if (digits == 0) return fail(Reason::kInvalidTime);
  }
  if (take_one_of(text, "Zz")) {
    if (!text.empty()) return fail(Reason::kInvalidTime);
    return time;
  }
  const bool ahead = !text.empty() && text.front() == '+';
  if (!take_one_of(text, "+-")) return fail(Reason::kInvalidTime);
  const int offset_hour = take_digits(text, 2);
  if (offset_hour < 0 || offset_hour > 23 || !take_one_of(text, ":")) return fail(Reason::kInvalidTime);
  const int offset_minute = take_digits(text, 2);
  if (offset_minute < 0 || offset_minute > 59 || !text.empty()) return fail(Reason::kInvalidTime);
  const Duration offset = hours{offset_hour} + minutes{offset_minute};
  time = ahead ? time - offset : time + offset;
  // The offset may lead out of the first or the last year.
  if (time < TimePoint{} || time >= TimePoint{sys_days{std::chrono::year{10000} / 1 / 1}})
    return fail(Reason::kInvalidTime);
  return time;
}

}  // namespace capf
