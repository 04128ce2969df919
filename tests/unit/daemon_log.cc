#include <catch2/catch.hpp>

#include "capf/base/log.h"
#include "capf/base/secret.h"

namespace {

using capf::log_value;

const capf::TimePoint kNoon = *capf::parse_rfc3339("2030-06-01T12:00:00.125Z");

TEST_CASE("a line of the log has time, level, event and fields") {
  CHECK(capf::log_line(
            kNoon, capf::LogLevel::kInfo, "operation.scheduled",
            {{"device", "SEP001122334455"}, {"count", 3}, {"late", false}, {"reason", capf::Reason::kNoSite}}) ==
        "2030-06-01T12:00:00.125Z info operation.scheduled device=SEP001122334455 count=3 late=false reason=NO_SITE");
}

TEST_CASE("a value with a newline, a quote or a control character forges no line and no field") {
  CHECK(log_value("a\n2030-01-01 error") == R"("a\x0a2030-01-01 error")");
  CHECK(log_value("x\" admin=\"root") == R"("x\" admin=\"root")");
  CHECK(log_value("back\\slash") == R"("back\\slash")");
  CHECK(log_value(std::string_view("\0\x1b[31m\r\x7f", 8)) == R"("\x00\x1b[31m\x0d\x7f")");
  CHECK(log_value("key=value") == R"("key=value")");
  CHECK(log_value("\xe2\x80\xae") == R"("\xe2\x80\xae")");
  CHECK(log_value("") == R"("")");
}

TEST_CASE("a value on a line is bounded") {
  CHECK(log_value(std::string(200, 'a')) == std::string(200, 'a'));
  CHECK(log_value(std::string(100000, 'a')) == '"' + std::string(200, 'a') + "...\"");
  CHECK(log_value(std::string(100000, '\n')).size() == std::size_t{200} * 4 + 5);
}

TEST_CASE("a flood writes so many lines in a second, and the next line says how many were left out") {
  capf::LogLimit limit(3);
  const std::chrono::steady_clock::time_point start{std::chrono::hours{1}};
  for (int i = 0; i < 3; ++i) CHECK(limit.admit(start) == 0);
  for (int i = 0; i < 5; ++i) CHECK_FALSE(limit.admit(start + std::chrono::milliseconds{999}));
  CHECK(limit.admit(start + std::chrono::seconds{1}) == 5);
  CHECK(limit.admit(start + std::chrono::seconds{1}) == 0);
}

TEST_CASE("a secret cannot be logged") {
  STATIC_REQUIRE_FALSE(std::is_constructible_v<capf::LogField, std::string_view, const capf::Secret&>);
}

TEST_CASE("log levels have the names that the configuration uses") {
  CHECK(capf::parse_log_level("warning") == capf::LogLevel::kWarning);
  CHECK_FALSE(capf::parse_log_level("WARNING"));
  CHECK(capf::to_string(capf::LogLevel::kDebug) == "debug");
}

}  // namespace
