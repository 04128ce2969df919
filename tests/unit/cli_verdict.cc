#include <catch2/catch.hpp>

#include "capf/cli/verdict.h"

using namespace capf;
using namespace capf::cli;

namespace {

const TimePoint kNow{std::chrono::sys_days{std::chrono::year{2030} / 1 / 31}};

Expiries in_days(int issuer, int day, int week, int month) {
  return {kNow + std::chrono::hours(24 * issuer), day, week, month};
}

}  // namespace

TEST_CASE("pending operations alert above their thresholds, overdue ones above theirs") {
  CHECK(judge_pending(5, 0, {}, 0).level == Level::kOk);
  CHECK(judge_pending(5, 0, {5, 10}, 0).level == Level::kOk);
  CHECK(judge_pending(6, 0, {5, 10}, 0).level == Level::kWarning);
  CHECK(judge_pending(11, 0, {5, 10}, 0).level == Level::kCritical);
  CHECK(judge_pending(5, 1, {}, 0).level == Level::kWarning);
  CHECK(judge_pending(5, 1, {}, 1).level == Level::kOk);
  CHECK(judge_pending(1, 0, {0, std::nullopt}, 0).level == Level::kWarning);
}

TEST_CASE("a plugin's line has the status, the words and the performance data") {
  CHECK(judge_pending(3, 1, {5, 10}, 0).line() ==
        "CAPF PENDING WARNING - 3 pending, 1 overdue | pending=3;5;10;0 overdue=1;0;;0");
  CHECK(judge_health("NOT_SERVING").line() == "CAPF HEALTH CRITICAL - the server says NOT_SERVING");
  CHECK(judge_health("SERVING").level == Level::kOk);
}

TEST_CASE("what expires next decides") {
  CHECK(judge_expiry(in_days(400, 0, 0, 0), kNow, {}).level == Level::kOk);
  CHECK(judge_expiry(in_days(30, 0, 0, 0), kNow, {}).level == Level::kWarning);
  CHECK(judge_expiry(in_days(7, 0, 0, 0), kNow, {}).level == Level::kCritical);
  CHECK(judge_expiry(in_days(-1, 0, 0, 0), kNow, {}).level == Level::kCritical);
  CHECK(judge_expiry(in_days(400, 0, 0, 2), kNow, {}).level == Level::kWarning);
  CHECK(judge_expiry(in_days(400, 0, 2, 2), kNow, {}).level == Level::kCritical);
  CHECK(judge_expiry(in_days(400, 0, 2, 2), kNow, {7, 1}).level == Level::kWarning);
  CHECK(judge_expiry({}, kNow, {}).level == Level::kUnknown);
}

TEST_CASE("a check that could not be made is unknown, and critical where nobody answers or can") {
  CHECK(judge_error("HEALTH", Error{Reason::kServerNotReached, "refused", {}}).level == Level::kCritical);
  CHECK(judge_error("HEALTH", Error{Reason::kDatabaseUnavailable, "away", {}}).level == Level::kCritical);
  const Verdict denied = judge_error("PENDING", Error{Reason::kRoleDenied, "no\n| forged=1", {}});
  CHECK(denied.level == Level::kUnknown);
  CHECK(denied.line() == "CAPF PENDING UNKNOWN - ROLE_DENIED: no\\x0a/ forged=1");
}
