#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>

namespace capf::cli {

/// Says how far a long command is, once it has lasted a second: on a terminal in one line that is written again, else
/// in a line every 10 s. Threads: one.
class Progress {
 public:
  using Time = std::chrono::steady_clock::time_point;
  enum class Kind : std::uint8_t { kNone, kTerminal, kLines };

  /// On standard error. @param what "scheduled". @param total 0 where nobody knows. @param quiet for --quiet: says
  /// nothing
  Progress(std::string what, std::int64_t total, bool quiet);
  Progress(std::string what, std::int64_t total, Kind kind, std::ostream& out, std::function<Time()> now);
  /// Leaves the line on a terminal, so that what comes next begins a line of its own.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void add(std::int64_t done);
  /// Takes the line off the terminal, because other text follows.
  void clear();

 private:
  std::string words(Time now) const;

  std::string what_;
  std::int64_t total_;
  Kind kind_;
  std::ostream& out_;
  std::function<Time()> now_;
  Time began_;
  Time said_;
  bool shown_ = false;
  std::int64_t done_ = 0;
};

}  // namespace capf::cli
