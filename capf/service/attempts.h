#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "capf/base/address.h"
#include "capf/domain/rounds.h"

namespace capf::service {

/// Writes refusals of strangers down after they have been answered: a transaction before the answer would let strangers
/// tell by its time which names are on record. The same refusal of the same address and device that waits already is
/// counted there, with the last attempt, so that a flood keeps one connection to the database busy and drives nobody
/// else's refusals out. Refusals that find no room, cannot be written or wait still at the end are logged, with their
/// number. Threads: any.
class Attempts {
 public:
  static constexpr std::size_t kMostWaiting = 4096;  ///< different ones
  static constexpr int kMostCounted = 100;           ///< of the same in one round; how many exactly is in the metrics
  static constexpr std::size_t kAtOnce = 64;         ///< different ones that are written together
  /// After each round, so that the time of an answer does not tell what is written down for the last one.
  static constexpr std::chrono::milliseconds kRest{50};

  explicit Attempts(Rounds& rounds) : rounds_(rounds), writer_([this] { work(); }) {}
  /// Writes no more but what is being written: see drain().
  ~Attempts();
  Attempts(const Attempts&) = delete;
  Attempts& operator=(const Attempts&) = delete;

  /// Waits for nothing.
  void add(RefusalRecord refusal);
  /// The same for a stranger of whom nothing but the address is known.
  void add(const Address& address, const Error& error);
  /// Waits until everything has been written or given up. @return whether that came within `patience`
  bool drain(std::chrono::milliseconds patience);
  /// Refusals that found no room, since the start.
  std::uint64_t dropped() const;

 private:
  struct Entry {
    RefusalRecord last;       ///< with how many they are
    std::uint64_t place = 0;  ///< of the last one, among all
  };
  using Key = std::tuple<std::string, Reason, std::string, std::string, Bytes>;
  using Entries = std::map<Key, Entry>;

  void work();
  bool stopping() const;
  void write(Entries entries);

  Rounds& rounds_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Entries waiting_;
  std::uint64_t places_ = 0;
  std::uint64_t dropped_ = 0;
  std::uint64_t reported_ = 0;  ///< of the dropped ones
  int draining_ = 0;            ///< threads in drain()
  bool writing_ = false;
  bool stopping_ = false;
  std::thread writer_;  ///< last: it uses what stands above
};

}  // namespace capf::service
