#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_interceptor.h>

#include "capf/rpc/admission/limiter.h"

namespace capf::rpc {

/// The calls of a server, each until gRPC is done with it. gRPC is done after the handler's return: the same thread
/// sends the answer, and waits until the caller takes it. Callers that take no answer must not use up the threads:
/// their answers are cut off after a while, or when too many from the same limiter wait, the oldest first. It must
/// outlive the server. Threads: any.
class OpenCalls {
 public:
  struct Patience {
    std::chrono::milliseconds longest;  ///< how long an answer may wait to be taken
    std::size_t most;                   ///< answers of one limiter's calls that wait
  };
  explicit OpenCalls(Patience patience) : patience_(patience) {}

  /// The place is the call's until its answer is sent. To be called by its handler, once.
  void keep(const grpc::ServerContextBase& context, Limiter::Place place);

  /// An interceptor that reports the begin and end of every call, for the server's builder.
  std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> watch();

 private:
  class Call;
  class Watch;

  const Patience patience_;
  std::mutex mutex_;
  std::unordered_map<const grpc::ServerContextBase*, Call*> calls_;
  std::unordered_map<const Limiter*, std::list<Call*>> unread_;  ///< oldest first; null is for refusals
};

}  // namespace capf::rpc
