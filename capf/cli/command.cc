#include "capf/cli/command.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <iostream>
#include <system_error>

#include <unistd.h>

#include "capf/base/file.h"
#include "capf/cli/connection.h"
#include "capf/cli/screen.h"
#include "capf/client/text.h"

namespace capf::cli {

std::string Arguments::text(const std::string& name) const {
  const auto at = values_.find(name);
  return at == values_.end() || at->second.empty() ? std::string() : at->second.front();
}

std::vector<std::string> Arguments::list(const std::string& name) const {
  const auto at = values_.find(name);
  return at == values_.end() ? std::vector<std::string>() : at->second;
}

std::vector<std::string> words_between_commas(const std::string& text) {
  std::vector<std::string> words;
  for (std::size_t at = 0; !text.empty() && at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    words.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

Arguments Arguments::without(const std::string& name) const {
  Arguments others = *this;
  others.values_.erase(name);
  return others;
}

std::string Arguments::line(const std::set<std::string>& leave) const {
  std::string line;
  for (const auto& [name, values] : values_) {
    if (leave.contains(name)) continue;
    if (values.empty()) line.append(line.empty() ? "" : " ").append(name);
    for (const std::string& value : values) {
      line.append(line.empty() ? "" : " ").append(name).append("=").append(value);
    }
  }
  return line;
}

std::optional<std::int64_t> Arguments::number(const std::string& name) const {
  const std::string digits = text(name);
  std::int64_t value = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || parsed.ec != std::errc{}) return std::nullopt;
  return value;
}

std::optional<TimePoint> Arguments::time(const std::string& name) const {
  const auto parsed = parse_time(text(name), SystemClock().now(), Day::kBegins);
  return parsed ? std::optional(*parsed) : std::nullopt;
}

std::optional<TimePoint> Arguments::deadline(const std::string& name) const {
  const auto parsed = parse_time(text(name), SystemClock().now(), Day::kEnds);
  return parsed ? std::optional(*parsed) : std::nullopt;
}

std::optional<std::chrono::seconds> Arguments::age(const std::string& name) const {
  const TimePoint now = SystemClock().now();
  const auto parsed = parse_time("-" + text(name), now, Day::kBegins);
  return parsed ? std::optional(std::chrono::round<std::chrono::seconds>(now - *parsed)) : std::nullopt;
}

Style Arguments::format() const {
  static const std::map<std::string, Format> formats{
      {"wide", Format::kWide}, {"json", Format::kJson}, {"jsonl", Format::kJsonl}, {"csv", Format::kCsv}};
  const auto at = formats.find(text("--output"));
  Style style(at == formats.end() ? Format::kTable : at->second);
  style.columns = words_between_commas(text("--columns"));
  style.headers = !has("--no-headers");
  if (style.for_programs()) return style;
  style.local_times = has("--time-zone");
  style.colors = shows_colors();
  if (const auto size = terminal()) style.width = size->columns;
  return style;
}

namespace {

constexpr std::size_t kLengthOfDate = 10;  // 2030-12-31

/// The time so many units ("90m") after `now`, or before it.
std::optional<TimePoint> count_from(TimePoint now, std::string_view text, bool forward) {
  std::int64_t count = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, count);
  if (parsed.ec != std::errc{} || parsed.ptr + 1 != end || count < 0 || count > 1'000'000) return std::nullopt;
  const std::int64_t signed_count = forward ? count : -count;
  switch (*parsed.ptr) {
    case 'm': return now + std::chrono::minutes(signed_count);
    case 'h': return now + std::chrono::hours(signed_count);
    case 'd': return now + std::chrono::days(signed_count);
    case 'w': return now + std::chrono::weeks(signed_count);
    default: return std::nullopt;
  }
}

}  // namespace

Result<TimePoint> parse_time(std::string_view text, TimePoint now, Day day) {
  const TimePoint end{std::chrono::sys_days{std::chrono::year{9999} / 1 / 1}};
  std::optional<TimePoint> time;
  if (text.starts_with('+') || text.starts_with('-')) {
    time = count_from(now, text.substr(1), text.front() == '+');
  } else if (const auto written = parse_rfc3339(text)) {
    time = *written;
    if (text.size() == kLengthOfDate && day == Day::kEnds) *time += std::chrono::hours{24} - std::chrono::seconds{1};
  }
  if (time && *time >= TimePoint{} && *time < end) return *time;
  return fail(Reason::kInvalidTime,
              "a time is written as 2030-12-31, as 2030-12-31T23:59:59Z or 2030-12-31T23:59:59+01:00, or is counted "
              "from now: +90m, +12h, +10d, +2w, -24h");
}

std::optional<int> confirm(const Arguments& arguments, const std::string& question, const std::string& why) {
  if (arguments.has("--yes")) return std::nullopt;
  if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDERR_FILENO) == 0) {
    return report_usage(why + "; without a terminal it needs --yes");
  }
  std::cerr << client::printable(question) << " [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == "y" || answer == "Y" || answer == "yes") return std::nullopt;
  warn("nothing was done");
  return 1;
}

Result<int> run_capfd(const std::string& command, const std::vector<std::string>& options, const Arguments& arguments,
                      Connection& server, const std::vector<std::string>& flags) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::string capfd = (self.parent_path() / "capfd").string();
  std::vector<std::string> words{capfd};
  for (std::size_t at = 0; at < command.size();) {
    const std::size_t end = std::min(command.find(' ', at), command.size());
    words.push_back(command.substr(at, end - at));
    at = end + 1;
  }
  words.insert(words.end(), {"--state", server.place().state});
  for (const std::string& option : options) {
    if (!arguments.has(option)) continue;
    if (option.starts_with("--")) words.push_back(option);
    words.push_back(arguments.text(option));
  }
  for (const std::string& flag : flags) {
    if (arguments.has(flag)) words.push_back(flag);
  }
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  ::execv(capfd.c_str(), pointers.data());
  return fail(Reason::kNoSite, capfd + " cannot be run, and the keys are on the server: 'capfd " + command + "' there",
              errno_words(errno));
}

Option output_option() {
  return {"--output",
          Option::Kind::kChoice,
          "how to print (default: table)",
          false,
          false,
          {"table", "wide", "json", "jsonl", "csv"},
          "-o"};
}

Option limit_option() { return {"--limit", Option::Kind::kNumber, "stop after so many (default: all)"}; }

Option until_option(const std::string& help) {
  return {"--until", Option::Kind::kDeadline, help + ": a date with its whole day"};
}

std::optional<TimePoint> end_of(const Arguments& arguments) {
  const auto last = arguments.deadline("--until");
  return last ? std::optional(*last + std::chrono::seconds{1}) : std::nullopt;
}

Option newest_option() { return {"--newest", Option::Kind::kFlag, "the newest first"}; }

Option pattern_option(const std::string& help, bool many) {
  Option pattern{"--device", Option::Kind::kText, help, false, many};
  pattern.also = "--devices";
  return pattern;
}

Option yes_option() { return {"--yes", Option::Kind::kFlag, "do not ask"}; }

Option allow_mixed_option() {
  return {"--allow-mixed", Option::Kind::kFlag,
          "encrypted devices beside others on a line, from now on; it is on record"};
}

namespace {

std::string last_word(const std::string& path) { return path.substr(path.rfind(' ') + 1); }

/// Adds what every command that prints has, so that none is forgotten.
void add_output_options(Command& command) {
  const auto is_output = [](const Option& option) { return option.name == "--output"; };
  if (std::none_of(command.options.begin(), command.options.end(), is_output)) return;
  // The zone of a campaign's window is that of its times too.
  const auto is_zone = [](const Option& option) { return option.name == "--time-zone"; };
  if (std::none_of(command.options.begin(), command.options.end(), is_zone)) {
    command.options.push_back(
        {"--time-zone", Option::Kind::kZone,
         "of the times in tables, as in Europe/Berlin (default: UTC); those for programs are UTC"});
  }
  if (!is_list(command)) return;
  command.options.push_back(
      {"--columns", Option::Kind::kColumns, "these alone, in this order, by their titles or their names in JSON"});
  command.options.push_back({"--no-headers", Option::Kind::kFlag, "no line of titles in a table or CSV"});
}

std::vector<Command> general_commands() {
  const Option words{"COMMAND", Option::Kind::kText, "its words; none: all commands", false, true};
  std::vector<Command> commands;
  commands.push_back(
      {"help", "Shows what a command does, with its options", "capfctl help phone list", {words}, nullptr});
  for (const auto& [shell, file] : {std::pair{"bash", "/usr/share/bash-completion/completions/capfctl"},
                                    std::pair{"zsh", "/usr/share/zsh/vendor-completions/_capfctl"},
                                    std::pair{"fish", "/usr/share/fish/vendor_completions.d/capfctl.fish"}}) {
    commands.push_back({std::string("completion ") + shell,
                        std::string("Prints the completion script for ") + shell,
                        std::string("capfctl completion ") + shell + " > " + file,
                        {},
                        nullptr});
  }
  return commands;
}

}  // namespace

bool is_list(const Command& command) {
  const std::string word = last_word(command.path);
  return !command.plugin &&
         (word == "list" || word == "candidates" || word == "blocked" || word == "pending" || word == "history");
}

bool is_view(const Command& command) {
  const std::string word = last_word(command.path);
  return is_list(command) || word == "show" || word == "summary";
}

std::vector<Command> all_commands() {
  std::vector<Command> all;
  for (auto group :
       {phone_commands,         profile_commands, line_commands,        digest_commands,   digest_export_commands,
        configuration_commands, address_commands, operation_commands,   campaign_commands, certificate_commands,
        issuer_commands,        wire_commands,    phone_key_commands,   trust_commands,    trust_list_commands,
        lists_commands,         file_commands,    file_export_commands, call_commands,     administrator_commands,
        context_commands,       site_commands,    moving_commands,      monitor_commands,  check_commands,
        general_commands}) {
    for (Command& command : group()) {
      add_output_options(command);
      all.push_back(std::move(command));
    }
  }
  return all;
}

}  // namespace capf::cli
