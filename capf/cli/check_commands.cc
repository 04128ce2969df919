#include <iostream>

#include "capf/cli/command.h"
#include "capf/cli/server.h"
#include "capf/cli/verdict.h"

namespace capf::cli {
namespace {

int print(const Verdict& verdict) {
  std::cout << verdict.line() << std::endl;
  return static_cast<int>(verdict.level);
}

Thresholds thresholds(const Arguments& arguments) {
  return {arguments.number("--warning"), arguments.number("--critical")};
}

constexpr std::int64_t kMostDays = 36500;

Result<int> pending(const Arguments& arguments, Server& server) {
  const auto summary = server.call(v1::GetSummaryRequest());
  if (!summary) return print(judge_error("PENDING", summary.error()));
  std::int64_t open = 0;
  for (const char* state : {"pending", "in_progress", "issued"}) {
    const auto at = summary->operations().find(state);
    if (at != summary->operations().end()) open += at->second;
  }
  return print(
      judge_pending(open, summary->overdue(), thresholds(arguments), arguments.number("--overdue").value_or(0)));
}

Result<int> expiry(const Arguments& arguments, Server& server) {
  const Thresholds days = expiry_days(thresholds(arguments));
  if (*days.critical > *days.warning || *days.warning > kMostDays) {
    return print(judge_error(
        "EXPIRY",
        fail(Reason::kInvalidRequest, "--critical is at most --warning, which is at most 36500 days").value()));
  }
  v1::GetSummaryRequest request;
  for (const auto& each : {days.warning, days.critical}) request.add_lsc_days(static_cast<std::int32_t>(*each));
  const auto summary = server.call(request);
  if (!summary) return print(judge_error("EXPIRY", summary.error()));
  return print(judge_expiry(*summary, SystemClock().now(), days));
}

Result<int> health(const Arguments&, Server& server) {
  const auto status = server.health();
  if (!status) return print(judge_error("HEALTH", status.error()));
  return print(judge_health(*status));
}

}  // namespace

std::vector<Command> check_commands() {
  const auto number = [](const char* name, const char* help) { return Option{name, Option::Kind::kNumber, help}; };
  return {
      {"check pending",
       "Monitoring plugin: open and overdue operations",
       "capfctl check pending --warning 100 --critical 1000",
       {number("--warning", "WARNING above so many open operations (default: never)"),
        number("--critical", "CRITICAL above so many open operations (default: never)"),
        number("--overdue", "WARNING above so many overdue operations (default: 0)")},
       pending,
       true},
      {"check expiry",
       "Monitoring plugin: certificates of issuers, administrators and the server, and LSCs, that expire",
       "capfctl check expiry --warning 30 --critical 7",
       {number("--warning", "WARNING where something expires within so many days (default: 30)"),
        number("--critical", "CRITICAL where something expires within so many days (default: 7)")},
       expiry,
       true},
      {"check health",
       "Monitoring plugin: whether the server serves",
       "capfctl check health",
       {number("--warning", "not used"), number("--critical", "not used")},
       health,
       true},
  };
}

}  // namespace capf::cli
