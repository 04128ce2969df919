#pragma once

// capf/net/asio.h must come first: see there.
// clang-format off
#include "capf/net/asio.h"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
// clang-format on

#include <exception>

#include "capf/net/pool.h"

// The frames of Asio's coroutines have an operator new and an operator delete of their own, which belong together. g++
// 12 inlines the first down to the global one, leaves the other a call, and takes the pair for a mismatch: its bug
// 109224.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

// g++ 12 destroys a capturing lambda twice when it is a temporary inside a co_await expression: give it a name first.

namespace capf::net {

using Moment = asio::steady_timer::time_point;

/// Runs blocking work on the pool and comes back to the coroutine's own executor. The coroutine gets what the work
/// throws.
template <class Work>
asio::awaitable<void> run_on(Pool& pool, Work work) {
  const auto initiate = [&pool](auto handler, Work job) {
    auto executor = asio::get_associated_executor(handler);
    pool.post([executor, job = std::move(job), handler = std::move(handler)]() mutable {
      std::exception_ptr thrown;
      try {
        job();
      } catch (...) {
        thrown = std::current_exception();
      }
      asio::post(executor, [handler = std::move(handler), thrown]() mutable { handler(thrown); });
    });
  };
  return asio::async_initiate<const asio::use_awaitable_t<>&, void(std::exception_ptr)>(initiate, asio::use_awaitable,
                                                                                        std::move(work));
}

}  // namespace capf::net
