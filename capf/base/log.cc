#include "capf/base/log.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include <unistd.h>

#include "capf/base/lines.h"

namespace capf {
namespace {

constexpr std::array<std::string_view, 4> kLevels{"debug", "info", "warning", "error"};

bool is_bare(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("._:/@+-").find(c) != std::string_view::npos;
}

constexpr std::size_t kRoom = 1 << 20;  // octets: several thousand lines
constexpr std::chrono::milliseconds kPatienceAtExit{1000};

struct Log {
  LineQueue queue{STDERR_FILENO, kRoom};
  std::atomic<LogLevel> lowest{LogLevel::kInfo};
};

// Made at first use and never destroyed: the last lines of a program may come from the destructors of its statics.
// At an orderly end those that wait get a second.
Log& log() {
  static auto* const instance = [] {
    auto* made = new Log;
    std::atexit([] { flush_log(kPatienceAtExit); });
    return made;
  }();
  return *instance;
}

void write(LogLevel level, std::string_view event, LogFields fields, const Error* error = nullptr) {
  if (level < log().lowest) return;
  std::string line = log_line(SystemClock().now(), level, event, fields);
  if (error != nullptr) {
    line += ' ' + LogField("reason", error->reason).text();
    line += ' ' + LogField("message", error->message).text();
    if (!error->cause.empty()) line += ' ' + LogField("cause", error->cause).text();
  }
  log().queue.push(std::move(line));
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

void set_log_level(LogLevel level) { log().lowest = level; }

void say_error(std::string words) { log().queue.push(std::move(words)); }

bool flush_log(std::chrono::milliseconds patience) { return log().queue.flush(patience); }

std::uint64_t log_lines_dropped() { return log().queue.dropped(); }

}  // namespace capf
