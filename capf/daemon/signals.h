#pragma once

#include <chrono>

namespace capf::daemon {

/// SIGTERM, SIGINT and SIGHUP as something to wait for. Made before any thread is, so that none is interrupted by them.
class Signals {
 public:
  Signals();
  /// @return whether somebody asks the program to stop; false when the time is up. SIGHUP says nothing.
  bool stop_within(std::chrono::milliseconds time);
  void wait_for_stop();

  /// From now on the process ends after so many seconds, whatever hangs: a database or a token that answers nothing.
  /// Who waits for an answer hears that the connection broke, as after a power cut; what was answered is stored.
  static void end_within(std::chrono::seconds time);
};

}  // namespace capf::daemon
