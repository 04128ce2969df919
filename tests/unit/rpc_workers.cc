#include <atomic>
#include <future>
#include <memory>
#include <new>
#include <semaphore>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "capf/rpc/admission/workers.h"

using namespace capf::rpc;

namespace {

/// A work that has begun, and lasts until it may end.
class Lasting {
 public:
  explicit Lasting(Workers& workers) {
    REQUIRE(workers.give([state = state_] {
      state->begun.release();
      state->may_end.acquire();
    }));
    state_->begun.acquire();
  }
  void end() { state_->may_end.release(); }

 private:
  struct State {
    std::binary_semaphore begun{0};
    std::binary_semaphore may_end{0};
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

/// A system that gives threads, or none.
struct System {
  bool gives = true;

  Workers::MakeThread make_thread() {
    return [this](std::function<void()> run) {
      if (!gives) throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
      return std::thread(std::move(run));
    };
  }
};

}  // namespace

TEST_CASE("works beyond the threads wait for one, and those beyond the queue are refused") {
  Workers workers(1, 2);
  Lasting lasting(workers);
  std::vector<int> done;
  std::promise<void> last;
  CHECK(workers.give([&] { done.push_back(1); }));
  CHECK(workers.give([&] {
    done.push_back(2);
    last.set_value();
  }));
  CHECK_FALSE(workers.give([&] { done.push_back(3); }));
  lasting.end();
  last.get_future().wait();
  CHECK(done == std::vector<int>{1, 2});
}

TEST_CASE("as many works as there may be threads run side by side") {
  Workers workers(2, 0);
  Lasting first(workers);
  Lasting second(workers);
  CHECK_FALSE(workers.give([] {}));
  first.end();
  second.end();
}

TEST_CASE("what was given is done before the workers are gone") {
  std::atomic<int> done = 0;
  {
    Workers workers(1, 100);
    Lasting lasting(workers);
    for (int work = 0; work < 100; ++work) REQUIRE(workers.give([&] { ++done; }));
    lasting.end();
  }
  CHECK(done == 100);
}

TEST_CASE("a work may give another one") {
  std::promise<void> done;
  Workers workers(1, 1);
  REQUIRE(workers.give([&] { static_cast<void>(workers.give([&] { done.set_value(); })); }));
  done.get_future().wait();
}

TEST_CASE("a work for which the system gives no thread waits for one that there is") {
  System system;
  Workers workers(2, 0, system.make_thread());
  std::promise<void> done;
  Lasting lasting(workers);
  system.gives = false;
  CHECK(workers.give([&] { done.set_value(); }));
  CHECK_FALSE(workers.give([] {}));  // as many as there may be threads
  lasting.end();
  done.get_future().wait();
}

TEST_CASE("without any thread a work is refused, and is not done later either") {
  System system{.gives = false};
  std::vector<int> done;
  {
    Workers workers(1, 10, system.make_thread());
    CHECK_FALSE(workers.give([&] { done.push_back(1); }));
    system.gives = true;
    CHECK(workers.give([&] { done.push_back(2); }));
  }
  CHECK(done == std::vector<int>{2});
}

TEST_CASE("a work that throws is released, and its thread does the next one") {
  Workers workers(1, 3);
  Lasting lasting(workers);
  auto belongings = std::make_shared<int>(1);
  const std::weak_ptr<int> left = belongings;
  std::promise<void> last;
  CHECK(workers.give([kept = std::move(belongings)] { throw std::bad_alloc(); }));
  CHECK(workers.give([] { throw 1; }));
  CHECK(workers.give([&] { last.set_value(); }));
  lasting.end();
  last.get_future().wait();
  CHECK(left.expired());
}
