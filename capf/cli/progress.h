#pragma once

#include <chrono>
#include <cstdint>
#include <ostream>
#include <string>

#include "capf/cli/command.h"

namespace capf::cli {

/// Says on standard error how far a bulk command is: on a terminal in one line, from its second second on; elsewhere a
/// line every ten seconds; with --quiet nothing. Threads: one.
class Progress {
 public:
  using Time = std::chrono::steady_clock::time_point;
  enum class Form : std::uint8_t { kTerminal, kLines, kNone };

  /// @param what is done: "phones imported"
  Progress(std::ostream& out, Form form, std::string what, Time begun);
  /// The form for this command line and this program's standard error.
  static Form form_of(const Arguments& arguments);

  /// @param of how many there are; 0: nobody knows
  void show(std::int64_t done, std::int64_t of, Time now);
  /// Removes the line from the terminal, because other text follows.
  void clear();

 private:
  std::string words(std::int64_t done, std::int64_t of, Time now) const;

  std::ostream& out_;
  Form form_;
  std::string what_;
  Time begun_;
  Time next_;              ///< before then nothing is shown
  std::size_t shown_ = 0;  ///< the length of the line on the terminal
};

Option quiet_option();

}  // namespace capf::cli
