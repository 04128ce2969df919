#include "capf/base/log.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <utility>

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace capf {
namespace {

constexpr std::array<std::string_view, 4> kLevels{"debug", "info", "warning", "error"};

bool is_bare(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("._:/@+-").find(c) != std::string_view::npos;
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  CAPF_INVARIANT(false);
}

// Made at first use and never destroyed: the last lines of a program may come from the destructors of its statics.
spdlog::logger& logger() {
  static auto* const instance = [] {
    auto* made = new spdlog::logger("capf", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_formatter(
        std::make_unique<spdlog::pattern_formatter>("%v", spdlog::pattern_time_type::utc, std::string("\n")));
    made->set_level(spdlog::level::info);
    made->flush_on(spdlog::level::debug);
    made->set_error_handler([](const std::string&) {});
    return made;
  }();
  return *instance;
}

void write(LogLevel level, std::string_view event, LogFields fields, const Error* error = nullptr) {
  const auto spdlogs = spdlog_level(level);
  if (!logger().should_log(spdlogs)) return;
  std::string line = log_line(SystemClock().now(), level, event, fields);
  if (error != nullptr) {
    line += ' ' + LogField("reason", error->reason).text();
    line += ' ' + LogField("message", error->message).text();
    if (!error->cause.empty()) line += ' ' + LogField("cause", error->cause).text();
  }
  logger().log(spdlogs, spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace

std::string_view to_string(LogLevel level) { return kLevels.at(static_cast<std::size_t>(level)); }

std::optional<LogLevel> parse_log_level(std::string_view text) {
  const auto found = std::find(kLevels.begin(), kLevels.end(), text);
  if (found == kLevels.end()) return std::nullopt;
  return static_cast<LogLevel>(found - kLevels.begin());
}

LogField::LogField(std::string_view key, std::string_view value) : text_(key) { text_ += '=' + log_value(value); }

std::string log_value(std::string_view value) {
  const bool cut = value.size() > kLongestLogValue;
  value = value.substr(0, kLongestLogValue);
  if (!cut && !value.empty() && std::all_of(value.begin(), value.end(), is_bare)) return std::string(value);
  std::string text = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      text += '\\';
      text += c;
    } else if (c >= 0x20 && c < 0x7f) {
      text += c;
    } else {
      char escaped[5];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
      text += escaped;
    }
  }
  text += cut ? "...\"" : "\"";
  return text;
}

std::string log_line(TimePoint time, LogLevel level, std::string_view event, LogFields fields) {
  using namespace std::chrono;
  char milliseconds_text[8];
  const auto part = duration_cast<milliseconds>(time - floor<seconds>(time)).count();
  std::snprintf(milliseconds_text, sizeof milliseconds_text, ".%03dZ", static_cast<int>(part));
  std::string line = to_rfc3339(time);
  line.replace(line.size() - 1, 1, milliseconds_text);
  line += ' ';
  line += to_string(level);
  line += ' ';
  line += log_value(event);
  for (const LogField& field : fields) line += ' ' + field.text();
  return line;
}

void log_debug(std::string_view event, LogFields fields) { write(LogLevel::kDebug, event, fields); }
void log_info(std::string_view event, LogFields fields) { write(LogLevel::kInfo, event, fields); }
void log_warning(std::string_view event, LogFields fields) { write(LogLevel::kWarning, event, fields); }
void log_error(std::string_view event, LogFields fields) { write(LogLevel::kError, event, fields); }
void log_warning(std::string_view event, const Error& error, LogFields fields) {
  write(LogLevel::kWarning, event, fields, &error);
}
void log_error(std::string_view event, const Error& error, LogFields fields) {
  write(LogLevel::kError, event, fields, &error);
}

std::optional<int> LogLimit::admit(std::chrono::steady_clock::time_point now) {
  const std::lock_guard lock(mutex_);
  if (now - second_ >= std::chrono::seconds(1)) {
    second_ = now;
    lines_ = 0;
  }
  if (lines_ == most_) {
    ++left_out_;
    return std::nullopt;
  }
  ++lines_;
  return std::exchange(left_out_, 0);
}

void set_log_level(LogLevel level) { logger().set_level(spdlog_level(level)); }

}  // namespace capf
