#pragma once

#include <list>
#include <string>
#include <unordered_map>

#include "capf/net/coroutine.h"

namespace capf::net {

/// Places for something that only so many may do at once. The addresses that wait get the next one in turn; within one
/// address, first come, first served. Threads: one.
class Places {
 public:
  explicit Places(int count) : free_(count) {}

  /// A place that its owner got by take(): given back at the end of its life.
  class Held {
   public:
    explicit Held(Places& from) : from_(from) {}
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    ~Held() { from_.give(); }

   private:
    Places& from_;
  };

  /// @param executor the caller's
  /// @param block the neighbours among whom the caller waits: Address::block()
  /// @return whether the caller got a place; if so, it must give it back.
  asio::awaitable<bool> take(asio::any_io_executor executor, std::string block, Moment until);
  void give();
  /// No caller gets a place any more.
  void close();

 private:
  struct Waiter;
  /// The callers that wait from one block, at least one.
  struct Line {
    std::list<Waiter*> waiters;
    std::list<const std::string*>::iterator turn;
  };
  void leave(Waiter& waiter);

  int free_;
  bool closed_ = false;
  std::unordered_map<std::string, Line> lines_;
  std::list<const std::string*> turns_;  ///< the order of turns, by keys of lines_
};

}  // namespace capf::net
