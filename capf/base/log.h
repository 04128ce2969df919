#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "capf/base/error.h"
#include "capf/base/time.h"

namespace capf {

class Secret;

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };
std::string_view to_string(LogLevel level);
/// "debug", "info", "warning", "error"
std::optional<LogLevel> parse_log_level(std::string_view text);

/// One key and its value on a line of the log. The value may be hostile: it is bounded and escaped.
class LogField {
 public:
  LogField(std::string_view key, std::string_view value);
  LogField(std::string_view key, Reason reason) : LogField(key, to_string(reason)) {}
  template <std::integral T>
  LogField(std::string_view key, T value) : text_(key) {
    if constexpr (std::same_as<T, bool>) {
      text_ += value ? "=true" : "=false";
    } else {
      text_ += '=' + std::to_string(value);
    }
  }
  LogField(std::string_view key, const Secret& value) = delete;

  const std::string& text() const { return text_; }

 private:
  std::string text_;  ///< key=value
};

using LogFields = std::initializer_list<LogField>;

inline constexpr std::size_t kLongestLogValue = 200;

/// A value as it is written on a line: bare where it has only letters, digits and . _ : / @ + -, else in quotes, with
/// everything that is not printable ASCII as \xNN, so that a value cannot forge a field or a line. At most
/// kLongestLogValue octets of it, then "...".
std::string log_value(std::string_view value);
/// "2030-12-31T23:59:59.123Z info operation.scheduled device=SEP001122334455", without a newline.
std::string log_line(TimePoint time, LogLevel level, std::string_view event, LogFields fields);

// One line each to standard error. `event` is object and past participle, a constant of the program:
//   log_info("operation.scheduled", {{"device", device.text()}, {"count", 3}});
// The lines wait in a LineQueue of 1 MiB. Threads: any. Never fails, and never waits for the reader.
void log_debug(std::string_view event, LogFields fields = {});
void log_info(std::string_view event, LogFields fields = {});
void log_warning(std::string_view event, LogFields fields = {});
void log_error(std::string_view event, LogFields fields = {});
/// The same with the error's reason, message and cause behind the fields.
void log_warning(std::string_view event, const Error& error, LogFields fields = {});
void log_error(std::string_view event, const Error& error, LogFields fields = {});

/// Keeps strangers from filling the log: admits a limited number of lines in a second, and counts the others. Threads:
/// any.
class LogLimit {
 public:
  explicit LogLimit(int lines_in_a_second) : most_(lines_in_a_second) {}
  /// @return how many lines were left out since the last one; nothing where this one is to be left out.
  std::optional<int> admit(std::chrono::steady_clock::time_point now);

 private:
  const int most_;
  std::mutex mutex_;
  std::chrono::steady_clock::time_point second_{};
  int lines_ = 0;
  int left_out_ = 0;
};

/// Drops lines below `level`. The default is info.
void set_log_level(LogLevel level);

/// Queues a line for standard error as it is, after those of the log: for a program that ends and must not wait.
void say_error(std::string words);

/// Waits until every line is written. exit() does so for a second; a program that ends in another way must call it.
/// @return whether that came within `patience`
bool flush_log(std::chrono::milliseconds patience);

/// Lines that were dropped since the start because the reader was too slow.
std::uint64_t log_lines_dropped();

}  // namespace capf
