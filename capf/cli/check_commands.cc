#include <chrono>
#include <iostream>
#include <mutex>
#include <optional>
#include <thread>

#include <unistd.h>

#include "capf/cli/command.h"
#include "capf/cli/connection.h"
#include "capf/cli/verdict.h"

namespace capf::cli {
namespace {

constexpr std::int64_t kMostDays = 36500;
constexpr std::int64_t kUsualTimeout = 10;  // in seconds, as in the plugins' guidelines
constexpr std::int64_t kLongestTimeout = 600;

constexpr std::chrono::milliseconds kForWriting{500};
// The verdict that was printed, by whichever thread came first: a check has one line and one code.
std::timed_mutex printing;
std::optional<int> printed;

int print(const Verdict& verdict) {
  const std::lock_guard lock(printing);
  std::cout << verdict.line() << std::endl;
  printed = static_cast<int>(std::cout ? verdict.level : Level::kUnknown);
  return *printed;
}

int print_error(const std::string& check, const Error& error) { return print(judge_error(check, error)); }

int print_usage(const std::string& check, const std::string& words) {
  return print_error(check, fail(Reason::kInvalidRequest, words).value());
}

std::optional<Range> range(const Arguments& arguments, const std::string& name) {
  const auto parsed = Range::parse(arguments.text(name));
  return parsed ? std::optional(*parsed) : std::nullopt;
}

/// Prints a line within --timeout even if something hangs. Calls end a little earlier, so that the line can say what
/// hung.
/// @return the exit code where --timeout is out of range.
std::optional<int> limit_time(const std::string& check, const Arguments& arguments, Connection& server) {
  const std::int64_t seconds = arguments.number("--timeout").value_or(kUsualTimeout);
  if (seconds < 1 || seconds > kLongestTimeout) return print_usage(check, "--timeout is 1 to 600 seconds");
  const std::chrono::milliseconds whole = std::chrono::seconds(seconds);
  server.set_patience(whole - std::min(whole / 10, std::chrono::milliseconds(500)));
  Verdict late;
  late.check = check;
  late.level = Level::kCritical;
  late.words = "nothing was found out within " + std::to_string(seconds) + " s";
  std::thread([line = late.line() + '\n', whole] {
    std::this_thread::sleep_for(whole);
    const std::unique_lock lock(printing, kForWriting);
    if (!lock.owns_lock()) ::_exit(static_cast<int>(Level::kUnknown));  // nobody reads the line
    if (printed) ::_exit(*printed);                                     // only the end hangs
    [[maybe_unused]] const auto written = ::write(STDOUT_FILENO, line.data(), line.size());
    ::_exit(static_cast<int>(Level::kCritical));
  }).detach();
  return std::nullopt;
}

Result<int> pending(const Arguments& arguments, Connection& server) {
  if (const auto code = limit_time("PENDING", arguments, server)) return *code;
  const auto summary = server.call(v1::GetSummaryRequest());
  if (!summary) return print_error("PENDING", summary.error());
  std::int64_t open = 0;
  for (const char* state : {"pending", "in_progress", "issued"}) {
    const auto at = summary->operations().find(state);
    if (at != summary->operations().end()) open += at->second;
  }
  return print(judge_pending(open, summary->overdue(), {range(arguments, "--warning"), range(arguments, "--critical")},
                             range(arguments, "--overdue").value_or(0)));
}

Result<int> expiry(const Arguments& arguments, Connection& server) {
  Thresholds asked;
  for (const auto& [name, days] : {std::pair{"--warning", &asked.warning}, {"--critical", &asked.critical}}) {
    if (!arguments.has(name)) continue;
    *days = range(arguments, name).value_or(-1).within();
    if (!*days) return print_usage("EXPIRY", std::string(name) + " is a number of days that are left: 30, 30: or @30");
  }
  const Thresholds days = expiry_days(asked);
  if (*days.critical > *days.warning || *days.warning > kMostDays) {
    return print_usage("EXPIRY", "--critical is at most --warning, which is at most 36500 days");
  }
  if (const auto code = limit_time("EXPIRY", arguments, server)) return *code;
  v1::GetSummaryRequest request;
  for (const auto& each : {days.warning, days.critical}) request.add_lsc_days(static_cast<std::int32_t>(*each));
  const auto summary = server.call(request);
  if (!summary) return print_error("EXPIRY", summary.error());
  return print(judge_expiry(*summary, SystemClock().now(), days, arguments.has("--verbose")));
}

Result<int> health(const Arguments& arguments, Connection& server) {
  if (const auto code = limit_time("HEALTH", arguments, server)) return *code;
  const auto servers = server.health();
  if (!servers) return print_error("HEALTH", servers.error());
  return print(judge_health(*servers, arguments.has("--verbose")));
}

Option warning_option(const char* help) {
  return {.name = "--warning", .kind = Option::Kind::kRange, .help = help, .letter = "-w"};
}
Option critical_option(const char* help) {
  return {.name = "--critical", .kind = Option::Kind::kRange, .help = help, .letter = "-c"};
}
Option timeout_option() {
  return {.name = "--timeout", .kind = Option::Kind::kNumber, .help = "seconds (default: 10)", .letter = "-t"};
}
Option verbose_option() {
  return {.name = "--verbose", .kind = Option::Kind::kFlag, .help = "say more in the line", .letter = "-v"};
}

}  // namespace

std::vector<Command> check_commands() {
  return {
      {"check pending",
       "Monitoring plugin: open and overdue operations",
       "capfctl check pending --warning 100 --critical 1000",
       {warning_option("WARNING where the number of open operations is out of this range (default: never)"),
        critical_option("CRITICAL where it is out of this one (default: never)"),
        {"--overdue", Option::Kind::kRange, "WARNING where the number of overdue ones is out of it (default: 0)"},
        timeout_option(),
        verbose_option()},
       pending,
       true},
      {"check expiry",
       "Monitoring plugin: certificates of issuers, administrators and the server, and LSCs, that expire",
       "capfctl check expiry --warning 30 --critical 7",
       {warning_option("WARNING where something expires within so many days (default: 30)"),
        critical_option(
            "CRITICAL where something expires within so many days (default: 7, or --warning if that is less)"),
        timeout_option(), verbose_option()},
       expiry,
       true},
      {"check health",
       "Monitoring plugin: whether the servers serve",
       "capfctl check health",
       {warning_option("not used"), critical_option("not used"), timeout_option(), verbose_option()},
       health,
       true},
  };
}

}  // namespace capf::cli
