#include "capf/net/places.h"

#include <utility>

namespace capf::net {

/// Waits in the line during its life.
struct Places::Waiter {
  Waiter(Places& where, std::string from, const asio::any_io_executor& executor, Moment until)
      : places(where), block(std::move(from)), timer(executor, until) {
    const auto [line, is_new] = places.lines_.try_emplace(block);
    if (is_new) line->second.turn = places.turns_.insert(places.turns_.end(), &line->first);
    at = line->second.waiters.insert(line->second.waiters.end(), this);
  }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  ~Waiter() {
    if (!has_place) places.leave(*this);
  }

  Places& places;
  const std::string block;
  asio::steady_timer timer;
  std::list<Waiter*>::iterator at;
  bool has_place = false;
};

asio::awaitable<bool> Places::take(asio::any_io_executor executor, std::string block, Moment until) {
  if (closed_) co_return false;
  if (free_ > 0) {
    --free_;
    co_return true;
  }
  Waiter waiter(*this, std::move(block), executor, until);
  error_code error;
  co_await waiter.timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
  co_return waiter.has_place;
}

void Places::give() {
  if (turns_.empty()) {
    ++free_;
    return;
  }
  turns_.splice(turns_.end(), turns_, turns_.begin());  // next time all other addresses have their turn first
  Waiter& next = *lines_.find(*turns_.back())->second.waiters.front();
  leave(next);
  next.has_place = true;
  next.timer.cancel();
}

void Places::leave(Waiter& waiter) {
  const auto line = lines_.find(waiter.block);
  line->second.waiters.erase(waiter.at);
  if (!line->second.waiters.empty()) return;
  turns_.erase(line->second.turn);
  lines_.erase(line);
}

void Places::close() {
  closed_ = true;
  for (const auto& [block, line] : lines_) {
    for (Waiter* waiter : line.waiters) waiter->timer.cancel();
  }
}

}  // namespace capf::net
