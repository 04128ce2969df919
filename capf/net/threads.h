#pragma once

#include <thread>
#include <vector>

#include "capf/net/asio.h"

namespace capf::net {

/// An io_context and the threads that run it. An exception of a handler is logged, and its thread continues.
class IoThreads {
 public:
  /// Throws std::system_error where the system gives fewer threads.
  explicit IoThreads(int threads);
  ~IoThreads() { stop(); }
  IoThreads(const IoThreads&) = delete;
  IoThreads& operator=(const IoThreads&) = delete;

  asio::io_context& context() { return context_; }
  /// Lets the handlers that run end, and starts no more. Not from one of the threads.
  void stop();

 private:
  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::vector<std::thread> threads_;
};

}  // namespace capf::net
