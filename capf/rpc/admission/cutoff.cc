#include "capf/rpc/admission/cutoff.h"

#include <mutex>

namespace capf::rpc {

/// The state that the alarm shares with the call, because it may go off while the call ends.
struct Cutoff::Target {
  std::mutex mutex;
  grpc::ServerContextBase* context = nullptr;
};

Cutoff::Cutoff(grpc::ServerContextBase& context, std::chrono::milliseconds after)
    : target_(std::make_shared<Target>()) {
  target_->context = &context;
  alarm_.Set(std::chrono::system_clock::now() + after, [target = target_](bool reached) {
    const std::lock_guard lock(target->mutex);
    if (reached && target->context != nullptr) target->context->TryCancel();
  });
}

void Cutoff::cut() { target_->context->TryCancel(); }

Cutoff::~Cutoff() {
  {
    const std::lock_guard lock(target_->mutex);
    target_->context = nullptr;
  }
  alarm_.Cancel();
}

}  // namespace capf::rpc
