#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace capf::ca {

/// Calls into a library that may never return. They run on threads of their own, so that callers wait only as long as
/// they choose. A thread that hangs is never joined; it continues when its call returns. Threads: any.
class Calls {
 public:
  /// @param name of the library, for the log  @param threads at most, at once
  Calls(std::string name, int threads);
  /// Does not wait for the threads.
  ~Calls();
  Calls(const Calls&) = delete;
  Calls& operator=(const Calls&) = delete;

  /// Runs `job` on one of the threads. Once begun it runs to its end, so it owns everything that it uses.
  /// @return nothing where it has not ended within `patience`, or as soon as the library hangs
  template <class Job>
  std::optional<std::invoke_result_t<Job&>> run(std::chrono::milliseconds patience, Job job) {
    using Done = std::invoke_result_t<Job&>;
    if (hang()) return std::nullopt;
    const auto task = std::make_shared<std::packaged_task<Done()>>([owned = std::optional(std::move(job))]() mutable {
      // Destroys the job, with everything that it owns, before the caller continues.
      const std::unique_ptr<decltype(owned), void (*)(decltype(owned)*)> gone(&owned,
                                                                              [](auto* left) { left->reset(); });
      return (*owned)();
    });
    const auto wanted = std::make_shared<std::atomic<bool>>(true);
    auto done = task->get_future();
    if (!push([task, wanted] {
          if (*wanted) (*task)();
        })) {
      return std::nullopt;
    }
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (done.wait_until(std::min(deadline, next_overdue())) != std::future_status::ready) {
      if (std::chrono::steady_clock::now() < deadline && !hang()) continue;
      *wanted = false;
      return std::nullopt;
    }
    return done.get();
  }

  /// Whether a call has exceeded its time. Logged when that begins, and when it ends.
  bool hang() const;

  /// A call of the library, from construction to destruction.
  class Call {
   public:
    /// @param limit after which the library counts as hanging
    Call(const Calls& calls, std::chrono::milliseconds limit);
    ~Call();
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    struct Place;
    std::unique_ptr<Place> place_;
  };

  /// Runs `job` on a thread of its own and waits for at most `patience`; on the calling thread if that is such a
  /// thread.
  static void run_aside(std::chrono::milliseconds patience, std::function<void()> job);
  /// Whether such a thread is still at work. Then exit() may wait for it, in destructors of the library.
  static bool left_behind();

 private:
  struct State;
  /// @return whether a thread takes it, now or later
  bool push(std::function<void()> job);
  /// When the first of the calls that run becomes overdue.
  std::chrono::steady_clock::time_point next_overdue() const;

  const std::shared_ptr<State> state_;  ///< the threads' too
};

}  // namespace capf::ca
