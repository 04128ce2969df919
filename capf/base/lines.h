#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace capf {

/// Lines on their way to a descriptor whose reader may have stopped: a full pipe, a paused terminal. They wait in a
/// queue of bounded size until a thread of its own has written them; callers never wait. A line that finds no room is
/// dropped, and so is every further one until those that wait are written. Then a line says how many were dropped, and
/// the next ones follow. A line that cannot be written is dropped with those that wait behind it, and the next one
/// tries again.
///
/// The descriptor's flags stay as they are, because other processes may share its open file: where it does not block,
/// the thread waits until it takes more. The thread outlives the queue until it has written the lines that wait; the
/// destructor does not wait for it. A child that fork() makes has no such thread. Threads: any.
class LineQueue {
 public:
  /// @param descriptor may be closed afterwards. @param room octets that may wait
  LineQueue(int descriptor, std::size_t room);
  ~LineQueue();
  LineQueue(const LineQueue&) = delete;
  LineQueue& operator=(const LineQueue&) = delete;

  /// @param line without its newline
  void push(std::string line);
  /// Waits until nothing is left to write. @return whether that came within `patience`
  bool flush(std::chrono::milliseconds patience);
  /// Lines that were dropped since the start.
  std::uint64_t dropped() const;

 private:
  struct State;
  std::shared_ptr<State> state_;  ///< the thread's too
};

}  // namespace capf
