#include "capf/cli/verdict.h"

#include <algorithm>

#include "capf/client/text.h"

namespace capf::cli {
namespace {

std::string threshold(const std::optional<std::int64_t>& value) { return value ? std::to_string(*value) : ""; }

/// Words of the server must not end the line or begin the perfdata.
std::string one_line(const std::string& words) {
  std::string line = client::printable(words);
  std::replace(line.begin(), line.end(), '|', '/');
  return line;
}

}  // namespace

std::string Verdict::line() const {
  constexpr const char* kLevels[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};
  std::string text = "CAPF " + check + " " + kLevels[static_cast<int>(level)] + " - " + one_line(words);
  if (!perfdata.empty()) text += " | " + perfdata;
  return text;
}

Verdict judge_pending(std::int64_t pending, std::int64_t overdue, Thresholds limits, std::int64_t overdue_allowed) {
  Verdict verdict;
  verdict.check = "PENDING";
  if (limits.critical && pending > *limits.critical) {
    verdict.level = Level::kCritical;
  } else if ((limits.warning && pending > *limits.warning) || overdue > overdue_allowed) {
    verdict.level = Level::kWarning;
  } else {
    verdict.level = Level::kOk;
  }
  verdict.words = std::to_string(pending) + " pending, " + std::to_string(overdue) + " overdue";
  verdict.perfdata = "pending=" + std::to_string(pending) + ";" + threshold(limits.warning) + ";" +
                     threshold(limits.critical) + ";0 overdue=" + std::to_string(overdue) + ";" +
                     std::to_string(overdue_allowed) + ";;0";
  return verdict;
}

Verdict judge_expiry(const Expiries& expiries, TimePoint now, Thresholds limits) {
  const std::int64_t warning = limits.warning.value_or(30);
  const std::int64_t critical = limits.critical.value_or(7);
  Verdict verdict;
  verdict.check = "EXPIRY";
  std::optional<std::int64_t> nearest;
  const auto consider = [&](std::int64_t days) { nearest = std::min(nearest.value_or(days), days); };
  std::string issuer = "no issuer";
  std::string issuer_days;
  if (expiries.issuer_not_after) {
    const auto days = std::chrono::floor<std::chrono::days>(*expiries.issuer_not_after - now).count();
    consider(days);
    issuer = "the issuer expires in " + std::to_string(days) + " days";
    issuer_days =
        "issuer_days=" + std::to_string(days) + ";" + std::to_string(warning) + ":;" + std::to_string(critical) + ": ";
  }
  if (expiries.lscs_30_days > 0) consider(30);
  if (expiries.lscs_7_days > 0) consider(7);
  if (expiries.lscs_1_day > 0) consider(1);
  if (!expiries.issuer_not_after) {
    verdict.level = Level::kUnknown;
  } else if (*nearest <= critical) {
    verdict.level = Level::kCritical;
  } else if (*nearest <= warning) {
    verdict.level = Level::kWarning;
  } else {
    verdict.level = Level::kOk;
  }
  verdict.words = issuer + "; LSCs expiring within 1, 7, 30 days: " + std::to_string(expiries.lscs_1_day) + ", " +
                  std::to_string(expiries.lscs_7_days) + ", " + std::to_string(expiries.lscs_30_days);
  verdict.perfdata = issuer_days + "lscs_1_day=" + std::to_string(expiries.lscs_1_day) +
                     ";;;0 lscs_7_days=" + std::to_string(expiries.lscs_7_days) +
                     ";;;0 lscs_30_days=" + std::to_string(expiries.lscs_30_days) + ";;;0";
  return verdict;
}

Verdict judge_health(const std::string& status) {
  Verdict verdict;
  verdict.check = "HEALTH";
  verdict.level = status == "SERVING" ? Level::kOk : status == "NOT_SERVING" ? Level::kCritical : Level::kUnknown;
  verdict.words = "the server says " + status;
  return verdict;
}

Verdict judge_error(const std::string& check, const Error& error) {
  Verdict verdict;
  verdict.check = check;
  verdict.level = error.code() == Code::kUnavailable ? Level::kCritical : Level::kUnknown;
  verdict.words = std::string(to_string(error.reason)) + ": " + error.message;
  return verdict;
}

}  // namespace capf::cli
