#include "capf/base/lines.h"

#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "capf/base/descriptor.h"
#include "capf/base/log.h"

namespace capf {
namespace {

/// The memory that a line costs beside its octets.
constexpr std::size_t kOverhead = 64;
/// How long the thread rests once the queue is empty, because waking it for each line costs more than the line.
constexpr std::chrono::milliseconds kRest{5};

std::size_t cost(const std::string& line) { return line.size() + kOverhead; }

/// One write() for one line, so that lines of processes that share a pipe stay whole.
bool write_whole(int descriptor, std::string_view rest) {
  while (!rest.empty()) {
    const ssize_t written = ::write(descriptor, rest.data(), rest.size());
    if (written >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      pollfd takes{descriptor, POLLOUT, 0};
      ::poll(&takes, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

}  // namespace

struct LineQueue::State {
  State(int of, std::size_t octets) : descriptor(::fcntl(of, F_DUPFD_CLOEXEC, 0)), room(octets) {}

  void push(std::string line) {
    const std::lock_guard lock(mutex);
    line += '\n';
    if ((unreported == 0 || failing) && waiting + cost(line) <= room) {
      waiting += cost(line);
      lines.push_back(std::move(line));
    } else {
      drop(1);
    }
    if (!resting) changed.notify_one();
  }

  void drop(std::size_t count) {
    unreported += count;
    dropped += count;
  }

  bool has_work() const { return !lines.empty() || (unreported != 0 && !failing); }

  void write_all() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [this] { return ended || has_work(); });
      if (!has_work()) return;
      const std::size_t lost = lines.empty() || failing ? std::exchange(unreported, 0) : 0;
      failing = false;
      std::string line;
      if (lost == 0) {
        line = std::move(lines.front());
        lines.pop_front();
      }
      writing = true;
      lock.unlock();
      bool written = false;
      try {
        if (lost != 0) {
          line = log_line(SystemClock().now(), LogLevel::kWarning, "log.dropped", {{"count", lost}}) + '\n';
        }
        written = write_whole(descriptor.get(), line);
      } catch (...) {
        // There is no memory for the line: the next one reports those that are lost.
      }
      lock.lock();
      writing = false;
      if (lost == 0) waiting -= cost(line);
      if (!written) {
        failing = true;
        unreported += lost;
        drop(lines.size() + (lost == 0 ? 1 : 0));
        lines.clear();
        waiting = 0;
      }
      if (has_work()) continue;
      idle.notify_all();
      resting = true;
      changed.wait_for(lock, kRest, [this] { return ended || hurried; });
      resting = false;
    }
  }

  const Descriptor descriptor;
  const std::size_t room;
  std::mutex mutex;
  std::condition_variable changed;
  std::condition_variable idle;
  std::deque<std::string> lines;
  std::size_t waiting = 0;     ///< their cost, with that of the line that is being written
  std::size_t unreported = 0;  ///< dropped, and not yet reported by a line
  std::uint64_t dropped = 0;   ///< in all
  bool failing = false;        ///< the last line could not be written: the next try comes with the next line
  bool writing = false;
  bool resting = false;  ///< the thread rests: new lines wait until the rest ends
  bool hurried = false;  ///< a flush() waits for the empty queue
  bool ended = false;
};

LineQueue::LineQueue(int descriptor, std::size_t room) : state_(std::make_shared<State>(descriptor, room)) {
  // The program's other threads handle its signals. Blocked here, SIGPIPE stays pending where the reader is gone, and
  // SIGTTOU does not stop a background program that writes to a terminal.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  try {
    std::thread([state = state_] { state->write_all(); }).detach();
  } catch (const std::system_error&) {
    // The system has no thread left: lines wait until the queue is full, and further ones are dropped.
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

LineQueue::~LineQueue() {
  const std::lock_guard lock(state_->mutex);
  state_->ended = true;
  state_->changed.notify_one();
}

void LineQueue::push(std::string line) { state_->push(std::move(line)); }

bool LineQueue::flush(std::chrono::milliseconds patience) {
  std::unique_lock lock(state_->mutex);
  state_->hurried = true;
  state_->changed.notify_one();
  const bool is_empty = state_->idle.wait_for(lock, patience, [&] { return !state_->writing && !state_->has_work(); });
  state_->hurried = false;
  return is_empty;
}

std::uint64_t LineQueue::dropped() const {
  const std::lock_guard lock(state_->mutex);
  return state_->dropped;
}

}  // namespace capf
