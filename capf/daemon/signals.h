#pragma once

#include <chrono>

namespace capf::daemon {

/// Waits for SIGTERM, SIGINT and SIGHUP. To be made before any thread, so that the signals interrupt none.
class Signals {
 public:
  Signals();
  /// @return whether a signal asks the program to stop; false when the time is up. SIGHUP is ignored.
  bool stop_within(std::chrono::milliseconds time);
  void wait_for_stop();

  /// Ends the process after so many seconds, even if a database or a token hangs. Waiting callers see the connection
  /// break, as after a power cut; everything answered so far is stored. At least a second.
  static void end_within(std::chrono::seconds time);
};

}  // namespace capf::daemon
