#include "capf/net/threads.h"

#include "capf/base/contained.h"

namespace capf::net {
namespace {

void run(asio::io_context& context) {
  while (!run_contained("handler.failed", [&] { context.run(); })) {
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
