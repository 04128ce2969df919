#include "capf/net/threads.h"

#include <exception>

#include "capf/base/log.h"

namespace capf::net {
namespace {

void run(asio::io_context& context) {
  for (;;) {
    try {
      context.run();
      return;
    } catch (const std::exception& error) {
      log_error("handler.failed", {{"cause", error.what()}});
    }
  }
}

}  // namespace

IoThreads::IoThreads(int threads) : context_(threads), work_(context_.get_executor()) {
  try {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { run(context_); });
  } catch (...) {
    stop();  // those that there are
    throw;
  }
}

void IoThreads::stop() {
  context_.stop();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

}  // namespace capf::net
