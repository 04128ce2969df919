#include "capf/ca/calls.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <system_error>
#include <thread>

#include "capf/base/contained.h"
#include "capf/base/log.h"

namespace capf::ca {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

std::atomic<int> at_work{0};
thread_local bool is_own_thread = false;

}  // namespace

struct Calls::State {
  const std::string name;
  const int most;
  std::mutex mutex{};
  std::condition_variable changed{};
  std::deque<std::function<void()>> queue{};
  int threads = 0;
  int idle = 0;
  bool ended = false;
  std::multiset<steady_clock::time_point> overdue_at{};  ///< of each call that runs
  bool logged = false;                                   ///< logged that it hangs

  State(std::string name_of, int threads_at_most) : name(std::move(name_of)), most(threads_at_most) {}

  /// The caller holds the mutex.
  bool hangs() const { return !overdue_at.empty() && *overdue_at.begin() <= steady_clock::now(); }

  void work() {
    is_own_thread = true;
    std::unique_lock lock(mutex);
    for (;;) {
      ++idle;
      changed.wait(lock, [this] { return ended || !queue.empty(); });
      --idle;
      if (queue.empty()) return;
      auto job = std::move(queue.front());
      queue.pop_front();
      lock.unlock();
      ++at_work;
      run_contained("work.failed", job);
      job = nullptr;  // destroy what it owns on this thread too
      --at_work;
      lock.lock();
    }
  }
};

struct Calls::Call::Place {
  std::shared_ptr<State> state;
  std::multiset<steady_clock::time_point>::iterator at;
};

Calls::Calls(std::string name, int threads) : state_(std::make_shared<State>(std::move(name), threads)) {}

Calls::~Calls() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->ended = true;
  }
  state_->changed.notify_all();
}

bool Calls::push(std::function<void()> job) {
  const std::lock_guard lock(state_->mutex);
  if (static_cast<std::size_t>(state_->idle) <= state_->queue.size() && state_->threads < state_->most) {
    try {
      std::thread([state = state_] { state->work(); }).detach();
      ++state_->threads;
    } catch (const std::system_error& error) {
      log_warning("token.thread", {{"cause", error.what()}});
      if (state_->threads == 0) return false;
    }
  }
  state_->queue.push_back(std::move(job));
  state_->changed.notify_one();
  return true;
}

bool Calls::hang() const {
  const std::lock_guard lock(state_->mutex);
  const bool hangs = state_->hangs();
  if (hangs && !state_->logged) {
    state_->logged = true;
    log_error("token.hangs",
              {{"token", state_->name},
               {"words", "a call of the PKCS #11 library does not return; nothing is signed meanwhile"}});
  }
  return hangs;
}

steady_clock::time_point Calls::next_overdue() const {
  const std::lock_guard lock(state_->mutex);
  return state_->overdue_at.empty() ? steady_clock::time_point::max() : *state_->overdue_at.begin();
}

Calls::Call::Call(const Calls& calls, milliseconds limit) : place_(new Place{calls.state_, {}}) {
  const std::lock_guard lock(place_->state->mutex);
  place_->at = place_->state->overdue_at.insert(steady_clock::now() + limit);
}

Calls::Call::~Call() {
  State& state = *place_->state;
  const std::lock_guard lock(state.mutex);
  state.overdue_at.erase(place_->at);
  if (!state.logged || state.hangs()) return;
  state.logged = false;
  log_info("token.answers", {{"token", state.name}});
}

void Calls::run_aside(milliseconds patience, std::function<void()> job) {
  if (is_own_thread) return job();
  Calls("", 1).run(patience, [job = std::move(job)] {
    job();
    return true;
  });
}

bool Calls::left_behind() { return at_work > 0; }

}  // namespace capf::ca
