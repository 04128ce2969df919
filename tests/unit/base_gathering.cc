#include <atomic>
#include <future>
#include <semaphore>
#include <thread>

#include <catch2/catch.hpp>

#include "capf/base/gathering.h"

using namespace capf;

namespace {

using Numbers = Gathering<int, Result<int>>;

std::vector<Result<int>> doubled(std::span<const int* const> numbers) {
  std::vector<Result<int>> answers;
  for (const int* number : numbers) answers.emplace_back(2 * *number);
  return answers;
}

/// Rounds that say who is in them, and wait until they may go on.
struct Held {
  std::counting_semaphore<1000> go{0};
  std::mutex mutex;
  std::vector<std::vector<int>> rounds;

  Numbers::Round round() {
    return [this](std::span<const int* const> numbers) {
      {
        const std::lock_guard lock(mutex);
        rounds.emplace_back();
        for (const int* number : numbers) rounds.back().push_back(*number);
      }
      go.acquire();
      return doubled(numbers);
    };
  }
  std::size_t begun() {
    const std::lock_guard lock(mutex);
    return rounds.size();
  }
};

template <class Condition>
void wait_for(const Condition& condition) {
  while (!condition()) std::this_thread::yield();
}

/// Asks on a thread of its own.
std::future<Result<int>> asked(Numbers& gathering, int number, GatheringPlace place = {}) {
  return std::async(std::launch::async, [&gathering, number, place] { return gathering.ask(number, place); });
}

}  // namespace

TEST_CASE("an idle gathering answers at once, in a round of one") {
  Numbers gathering({}, doubled);
  CHECK(gathering.ask(21, {}).value() == 42);
  CHECK(gathering.waiting() == 0);
}

TEST_CASE("while a round is under way others gather, and go together") {
  Held held;
  Numbers gathering({.rounds = 1}, held.round());
  auto first = asked(gathering, 1);
  wait_for([&] { return held.begun() == 1; });
  std::vector<std::future<Result<int>>> others;
  for (int i = 2; i <= 9; ++i) others.push_back(asked(gathering, i));
  wait_for([&] { return gathering.waiting() == 8; });
  held.go.release(2);
  CHECK(first.get().value() == 2);
  for (int i = 2; i <= 9; ++i) CHECK(others[static_cast<std::size_t>(i - 2)].get().value() == 2 * i);
  CHECK(held.begun() == 2);
}

TEST_CASE("a round holds no more members and octets than it may") {
  Held held;
  Numbers gathering({.rounds = 1, .members = 3, .octets = 100}, held.round());
  auto first = asked(gathering, 1);
  wait_for([&] { return held.begun() == 1; });
  std::vector<std::future<Result<int>>> others;
  for (int i = 0; i < 5; ++i) others.push_back(asked(gathering, i, {.octets = 40}));
  others.push_back(asked(gathering, 7, {.octets = 5000}));
  wait_for([&] { return gathering.waiting() == 6; });
  held.go.release(1000 - 1);
  for (auto& other : others) CHECK(other.get());
  CHECK(first.get());
  const std::lock_guard lock(held.mutex);
  for (const auto& round : held.rounds) CHECK(round.size() <= 2);
}

TEST_CASE("two questions with one key are never in rounds at the same time") {
  Held held;
  Numbers gathering({.rounds = 3}, held.round());
  auto first = asked(gathering, 1, {.key = 5});
  wait_for([&] { return held.begun() == 1; });
  auto same = asked(gathering, 2, {.key = 5});
  wait_for([&] { return gathering.waiting() == 1; });
  auto other = asked(gathering, 3, {.key = 6});
  wait_for([&] { return held.begun() == 2; });  // the other goes before it
  CHECK(gathering.waiting() == 1);
  held.go.release(3);  // the third round may begin before the second one ends
  CHECK(first.get());
  CHECK(other.get());
  CHECK(same.get().value() == 4);
}

TEST_CASE("each share has its turn, however many another one has waiting") {
  Held held;
  Numbers gathering({.rounds = 1, .members = 4}, held.round());
  auto first = asked(gathering, 0);
  wait_for([&] { return held.begun() == 1; });
  std::vector<std::future<Result<int>>> all;
  for (int i = 0; i < 20; ++i) all.push_back(asked(gathering, 100, {.share = 2}));
  wait_for([&] { return gathering.waiting() == 20; });
  all.push_back(asked(gathering, 1, {.share = 0}));
  all.push_back(asked(gathering, 2, {.share = 1}));
  wait_for([&] { return gathering.waiting() == 22; });
  held.go.release();
  wait_for([&] { return held.begun() == 2; });
  {
    const std::lock_guard lock(held.mutex);
    CHECK(std::ranges::count(held.rounds[1], 1) == 1);
    CHECK(std::ranges::count(held.rounds[1], 2) == 1);
  }
  held.go.release(100);
  for (auto& each : all) CHECK(each.get());
}

TEST_CASE("a question for which a round has no room leads the next one, however many others wait") {
  Held held;
  Numbers gathering({.rounds = 1, .octets = 100}, held.round());
  auto first = asked(gathering, 0);
  wait_for([&] { return held.begun() == 1; });
  std::vector<std::future<Result<int>>> all;
  for (int i = 0; i < 12; ++i)
    all.push_back(asked(gathering, 1, {.share = static_cast<std::size_t>(i % 2), .octets = 20}));
  all.push_back(asked(gathering, 2, {.share = 2, .octets = 100}));
  wait_for([&] { return gathering.waiting() == 13; });
  held.go.release(100);
  for (auto& each : all) CHECK(each.get());
  CHECK(first.get());
  const std::lock_guard lock(held.mutex);
  const auto large = std::ranges::find(held.rounds, std::vector{2});
  // It leads the round after the first one that had no room for it.
  CHECK(large - held.rounds.begin() <= 2);
}

TEST_CASE("a caller that has left while it waited leaves its place, and one too many is refused") {
  Held held;
  Numbers gathering({.rounds = 1, .waiting = 1}, held.round());
  auto first = asked(gathering, 1);
  wait_for([&] { return held.begun() == 1; });
  std::atomic<bool> gone{false};
  auto waits = asked(gathering, 2, {.gone = [&] { return gone.load(); }});
  wait_for([&] { return gathering.waiting() == 1; });
  CHECK(gathering.ask(3, {}).error().reason == Reason::kOverloaded);
  auto of_another_share = asked(gathering, 4, {.share = 1});
  wait_for([&] { return gathering.waiting() == 2; });
  gone = true;
  CHECK(waits.get().error().reason == Reason::kCallerGone);
  CHECK(gathering.waiting() == 1);
  held.go.release(2);
  CHECK(first.get());
  CHECK(of_another_share.get());
}

TEST_CASE("a question waits no longer than it may for a round to begin") {
  Held held;
  Numbers gathering({.rounds = 1, .wait = std::chrono::milliseconds{1}}, held.round());
  auto first = asked(gathering, 1);
  wait_for([&] { return held.begun() == 1; });
  CHECK(gathering.ask(2, {}).error().reason == Reason::kOverloaded);
  CHECK(gathering.waiting() == 0);
  held.go.release();
  CHECK(first.get());
}

TEST_CASE("a round that throws or answers too few is everybody's fault in words") {
  Numbers throws({}, [](std::span<const int* const>) -> std::vector<Result<int>> { throw std::runtime_error("no"); });
  CHECK(throws.ask(1, {}).error().reason == Reason::kInternal);
  Numbers forgets({}, [](std::span<const int* const>) { return std::vector<Result<int>>{}; });
  CHECK(forgets.ask(1, {}).error().reason == Reason::kInternal);
}

TEST_CASE("many threads get each their own answer") {
  Numbers gathering({.rounds = 2, .members = 8}, doubled);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) {
        const auto answer = gathering.ask(t * 1000 + i, {.share = static_cast<std::size_t>(i % 3), .key = i % 7});
        if (!answer || *answer != 2 * (t * 1000 + i)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}
