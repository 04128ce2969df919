#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <numeric>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "capf/base/error.h"

namespace capf {

struct GatheringLimits {
  int rounds = 2;                                 ///< at the same time
  std::size_t members = 64;                       ///< of one round
  std::size_t octets = std::size_t{1024} * 1024;  ///< of one round's questions; a larger one goes by itself
  std::size_t waiting = 4096;                     ///< questions of one share
  std::chrono::milliseconds wait{30'000};         ///< for a round to begin
};

/// A question's place among the others.
struct GatheringPlace {
  std::size_t share = 0;  ///< below kShares: each has its turn when a round is filled
  std::int64_t key = 0;   ///< two with the same one are never in rounds at the same time; 0: with nobody
  std::size_t octets = 0;
  std::function<bool()> gone{};  ///< whether the caller has left; may be empty; asked now and then
};

/// Answers questions in rounds: while rounds are under way, further questions gather for the next one. One of the
/// callers carries a round out, for all of its members, so an idle gathering answers at once and nobody waits for
/// company. Threads: any.
/// @tparam Answer a Result
template <class Question, class Answer>
class Gathering {
 public:
  static constexpr std::size_t kShares = 3;
  /// Answers the questions of one round, in their order.
  using Round = std::function<std::vector<Answer>(std::span<const Question* const>)>;

  Gathering(const GatheringLimits& limits, Round round) : limits_(limits), round_(std::move(round)) {}
  Gathering(const Gathering&) = delete;
  Gathering& operator=(const Gathering&) = delete;

  /// Waits for the answer. Errors: OVERLOADED where too many of the share wait, or this question has waited too
  /// long; CALLER_GONE, before its round has begun; INTERNAL.
  Answer ask(const Question& question, const GatheringPlace& place) {
    const auto end = std::chrono::steady_clock::now() + limits_.wait;
    std::unique_lock lock(mutex_);
    if (queues_[place.share].size() >= limits_.waiting) return fail(Reason::kOverloaded);
    Entry entry{question, place};
    queues_[place.share].push_back(&entry);
    appoint();
    for (;;) {
      if (std::exchange(entry.leads, false)) lead(lock, entry);
      if (entry.answer) return *std::move(entry.answer);
      if (!entry.taken && is_gone(entry, lock)) return leave(entry, Reason::kCallerGone);
      if (!entry.taken && std::chrono::steady_clock::now() >= end) return leave(entry, Reason::kOverloaded);
      if (!entry.answer && !entry.leads) entry.changed.wait_for(lock, std::min(kBetweenLooks, limits_.wait));
    }
  }

  /// Questions that wait for a round.
  std::size_t waiting() const {
    const std::lock_guard lock(mutex_);
    return std::transform_reduce(queues_.begin(), queues_.end(), std::size_t{0}, std::plus<>(),
                                 [](const auto& queue) { return queue.size(); });
  }

 private:
  static constexpr std::chrono::milliseconds kBetweenLooks{1000};

  struct Entry {
    const Question& question;
    const GatheringPlace& place;
    bool leads = false;  ///< its caller is to carry out its round
    bool taken = false;  ///< it is a member of a round
    std::optional<Answer> answer{};
    std::condition_variable changed{};
  };

  bool may_go(const Entry& entry) const { return entry.place.key == 0 || !busy_.contains(entry.place.key); }

  // An exception in what follows would leave callers in queues that they have left, or wait for ever: noexcept.

  /// Whether the caller has left and the entry is still in its queue. The caller is asked without the lock.
  bool is_gone(Entry& entry, std::unique_lock<std::mutex>& lock) noexcept {
    if (!entry.place.gone) return false;
    lock.unlock();
    const bool gone = entry.place.gone();
    lock.lock();
    return gone && !entry.taken;
  }

  Answer leave(Entry& entry, Reason why) {
    std::erase(queues_[entry.place.share], &entry);
    return fail(why);
  }

  /// Gives each round that may begin to the caller of one of its members.
  void appoint() noexcept {
    while (running_ < limits_.rounds) {
      Entry* const first = find_next();
      if (first == nullptr) return;
      first->leads = true;
      ++running_;
      if (first->place.key != 0) busy_.insert(first->place.key);
      take(*first);
      first->changed.notify_one();
    }
  }

  /// The first that may go, of the share whose turn it is.
  Entry* find_next() {
    for (std::size_t i = 0; i < kShares; ++i) {
      turn_ = (turn_ + 1) % kShares;
      const auto found = std::ranges::find_if(queues_[turn_], [this](const Entry* entry) { return may_go(*entry); });
      if (found != queues_[turn_].end()) return *found;
    }
    return nullptr;
  }

  void take(Entry& entry) {
    std::erase(queues_[entry.place.share], &entry);
    entry.taken = true;
  }

  std::vector<Entry*> fill(Entry& first) {
    std::vector<Entry*> members{&first};
    std::size_t octets = first.place.octets;
    while (members.size() < limits_.members) {
      Entry* const next = find_next();
      if (next == nullptr) break;
      if (octets + next->place.octets > limits_.octets) {
        turn_ = (turn_ + kShares - 1) % kShares;  // it leads the next round
        break;
      }
      octets += next->place.octets;
      if (next->place.key != 0) busy_.insert(next->place.key);
      take(*next);
      members.push_back(next);
    }
    return members;
  }

  void lead(std::unique_lock<std::mutex>& lock, Entry& leader) noexcept {
    const std::vector<Entry*> members = fill(leader);
    std::vector<const Question*> questions;
    for (const Entry* member : members) questions.push_back(&member->question);
    lock.unlock();
    std::vector<Answer> answers = answer(questions);
    lock.lock();
    for (std::size_t i = 0; i < members.size(); ++i) {
      busy_.erase(members[i]->place.key);
      members[i]->answer.emplace(std::move(answers[i]));
      members[i]->changed.notify_one();
    }
    --running_;
    appoint();
  }

  std::vector<Answer> answer(const std::vector<const Question*>& questions) {
    std::string cause = "a round has not answered all of its members";
    try {
      std::vector<Answer> answers = round_(questions);
      if (answers.size() == questions.size()) return answers;
    } catch (const std::exception& error) {
      cause = error.what();
    }
    return std::vector<Answer>(questions.size(), Answer(fail_internal(cause)));
  }

  const GatheringLimits limits_;
  const Round round_;
  mutable std::mutex mutex_;
  std::array<std::deque<Entry*>, kShares> queues_;
  std::size_t turn_ = 0;
  int running_ = 0;
  std::set<std::int64_t> busy_;  ///< keys of the members of rounds
};

}  // namespace capf
