#include <catch2/catch.hpp>

#include "capf/domain/window.h"

namespace capf {
namespace {

TimePoint at(const char* text) { return parse_rfc3339(text).value(); }
Window window(const char* text, const char* zone = "UTC") {
  auto parsed = Window::parse(text, zone);
  if (!parsed) FAIL(parsed.error().message);
  return *std::move(parsed);
}
std::string fault(std::string_view text, std::string_view zone = "UTC") {
  const auto parsed = Window::parse(text, zone);
  if (parsed) return "none";
  CHECK(parsed.error().reason == Reason::kInvalidWindow);
  return parsed.error().message;
}
std::string next(const Window& window, const char* from) {
  const auto found = window.next(at(from));
  return found ? to_rfc3339(*found) : "never";
}

}  // namespace

TEST_CASE("a window is read in every form and shown in one") {
  CHECK(window("20:00-05:00").text() == "20:00-05:00");
  CHECK(window("Mon-Sun 8:00-9:30").text() == "08:00-09:30");
  CHECK(window("mon-FRI 20:00-05:00").text() == "Mon-Fri 20:00-05:00");
  CHECK(window("Sat,Sun 00:00-24:00").text() == "Sat,Sun 00:00-24:00");
  CHECK(window("Fri-Mon,Wed 1:30-4:00").text() == "Mon,Wed,Fri-Sun 01:30-04:00");
  CHECK(window("Tue 00:00-00:15").text() == "Tue 00:00-00:15");
  CHECK(window("20:00-05:00", "").zone() == "UTC");
}

TEST_CASE("what is no window, or no time zone, is refused") {
  for (const char* text :
       {"", "20:00", "20-05", "20:00-", "-05:00", "20:0-05:00", "24:00-05:00", "20:00-24:01", "20:60-05:00",
        "020:00-05:00", "Mon- 20:00-05:00", "Montag 20:00-05:00", "Mon,,Tue 20:00-05:00", "Mon-Tue-Wed 20:00-05:00",
        "Mon  20:00-05:00", "Mon 20:00-05:00 ", " 20:00-05:00", "20:00-05:00-06:00", "+2:00-05:00"}) {
    CAPTURE(text);
    CHECK(fault(text) != "none");
  }
  CHECK_THAT(fault("20:00-20:00"), Catch::Contains("never opens"));
  CHECK_THAT(fault("20:00-20:14"), Catch::Contains("15 minutes"));
  CHECK(fault("23:50-00:05") == "none");
  for (const char* zone : {"Europe/Atlantis", "/etc/passwd", "../Berlin", "file:/etc/localtime", "Europe/Berlin ",
                           "libc:localtime", "Europe/Berlin\nUTC"}) {
    CAPTURE(zone);
    CHECK_THAT(fault("20:00-05:00", zone), Catch::Contains("time zone"));
  }
  CHECK_THAT(fault("20:00-05:00", std::string(65, 'a')), Catch::Contains("time zone"));
  CHECK(fault(std::string(65, '0')) != "none");
}

TEST_CASE("a window over midnight belongs to the day on which it begins") {
  const Window nights = window("Mon-Fri 20:00-05:00", "Europe/Berlin");
  CHECK_FALSE(nights.contains(at("2027-06-07T17:59:59Z")));  // a Monday, in summer
  CHECK(nights.contains(at("2027-06-07T18:00:00Z")));
  CHECK(nights.contains(at("2027-06-08T02:59:59Z")));
  CHECK_FALSE(nights.contains(at("2027-06-08T03:00:00Z")));
  CHECK(nights.contains(at("2027-06-11T23:00:00Z")));        // Friday's, on Saturday
  CHECK_FALSE(nights.contains(at("2027-06-12T18:00:00Z")));  // Saturday
  CHECK_FALSE(nights.contains(at("2027-06-13T23:00:00Z")));  // Monday before five: Sunday has none
  CHECK(nights.contains(at("2027-01-04T19:00:00Z")));        // in winter
  CHECK_FALSE(nights.contains(at("2027-01-04T18:59:59Z")));
  CHECK(next(nights, "2027-06-12T12:00:00Z") == "2027-06-14T18:00:00Z");
  CHECK(next(nights, "2027-06-14T18:30:00Z") == "2027-06-14T18:30:00Z");
}

TEST_CASE("a window in the hour that the clock skips is not open on that day") {
  // 2027-03-28, a Sunday: 02:00 becomes 03:00 in Berlin, at 01:00 UTC.
  const Window skipped = window("Sun 02:15-02:45", "Europe/Berlin");
  CHECK(next(skipped, "2027-03-27T00:00:00Z") == "2027-04-04T00:15:00Z");
  CHECK_FALSE(skipped.contains(at("2027-03-28T01:15:00Z")));
  // One that begins in it opens where the clock jumps to.
  const Window late = window("Sun 02:15-04:00", "Europe/Berlin");
  CHECK(next(late, "2027-03-28T00:00:00Z") == "2027-03-28T01:00:00Z");
  CHECK(late.contains(at("2027-03-28T01:59:59Z")));
  CHECK_FALSE(late.contains(at("2027-03-28T02:00:00Z")));
}

TEST_CASE("a window in the hour that the clock has twice is open twice") {
  // 2027-10-31, a Sunday: 03:00 becomes 02:00 in Berlin, at 01:00 UTC.
  const Window twice = window("Sun 02:15-02:45", "Europe/Berlin");
  CHECK(next(twice, "2027-10-31T00:00:00Z") == "2027-10-31T00:15:00Z");
  CHECK_FALSE(twice.contains(at("2027-10-31T00:45:00Z")));
  CHECK(next(twice, "2027-10-31T00:45:00Z") == "2027-10-31T01:15:00Z");
  CHECK(next(twice, "2027-10-31T01:45:00Z") == "2027-11-07T01:15:00Z");
  // One that was shut already opens again where the clock goes back into it.
  const Window early = window("Sun 01:00-02:30", "Europe/Berlin");
  CHECK_FALSE(early.contains(at("2027-10-31T00:30:00Z")));
  CHECK(next(early, "2027-10-31T00:30:00Z") == "2027-10-31T01:00:00Z");
  CHECK_FALSE(early.contains(at("2027-10-31T01:30:00Z")));
}

TEST_CASE("a window of a whole day is open all day, and one of all days always") {
  const Window always = window("00:00-24:00", "America/New_York");
  for (const char* time : {"2027-03-14T07:00:00Z", "2027-11-07T06:30:00Z", "2027-12-31T23:59:59Z"}) {
    CHECK(always.contains(at(time)));
  }
  const Window sundays = window("Sun 00:00-24:00", "Pacific/Auckland");
  CHECK(sundays.contains(at("2027-06-05T12:00:00Z")));
  CHECK_FALSE(sundays.contains(at("2027-06-06T12:00:00Z")));
}

}  // namespace capf
