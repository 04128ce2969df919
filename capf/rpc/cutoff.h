#pragma once

#include <chrono>
#include <memory>

#include <grpcpp/alarm.h>
#include <grpcpp/server_context.h>

namespace capf::rpc {

/// Cancels a call after a while, unless it is destroyed before. The call must outlive it.
class Cutoff {
 public:
  Cutoff(grpc::ServerContextBase& context, std::chrono::milliseconds after);
  ~Cutoff();
  Cutoff(const Cutoff&) = delete;
  Cutoff& operator=(const Cutoff&) = delete;

  /// Cancels it now.
  void cut();

 private:
  struct Target;
  std::shared_ptr<Target> target_;
  grpc::Alarm alarm_;
};

}  // namespace capf::rpc
