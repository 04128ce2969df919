#include "capf/rpc/admission/cutoff.h"

#include <mutex>

namespace capf::rpc {

/// The state that the alarms share with the call, because they may go off while the call ends.
struct Cutoff::Target {
  std::mutex mutex;
  grpc::ServerContextBase* context = nullptr;
};

Cutoff::Cutoff(grpc::ServerContextBase& context, std::chrono::milliseconds after)
    : target_(std::make_shared<Target>()) {
  target_->context = &context;
  cancel_at(alarm_, std::chrono::system_clock::now() + after);
}

void Cutoff::cut() { cancel_at(at_once_.emplace(), std::chrono::system_clock::now()); }

void Cutoff::cancel_at(grpc::Alarm& alarm, std::chrono::system_clock::time_point time) {
  alarm.Set(time, [target = target_](bool reached) {
    const std::lock_guard lock(target->mutex);
    if (reached && target->context != nullptr) target->context->TryCancel();
  });
}

Cutoff::~Cutoff() {
  {
    const std::lock_guard lock(target_->mutex);
    target_->context = nullptr;
  }
  alarm_.Cancel();
}

}  // namespace capf::rpc
