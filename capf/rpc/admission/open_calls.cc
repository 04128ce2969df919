#include "capf/rpc/admission/open_calls.h"

#include <optional>
#include <utility>

#include "capf/base/contained.h"
#include "capf/rpc/admission/cutoff.h"

namespace capf::rpc {

using grpc::experimental::InterceptionHookPoints;

/// gRPC destroys it when the call has ended. The threads of the call use these functions, of a stream two at once;
/// another call's thread may cut it off while it is listed.
class OpenCalls::Call final : public grpc::experimental::Interceptor {
 public:
  Call(OpenCalls& calls, grpc::ServerContextBase& context) : calls_(calls), context_(context) {
    const std::lock_guard lock(calls_.mutex_);
    calls_.calls_.emplace(&context_, this);
  }
  ~Call() override {
    end();
    const std::lock_guard lock(calls_.mutex_);
    calls_.calls_.erase(&context_);
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    run_contained("call.failed", [&] {
      if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) begin_answer();
      if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_CLOSE)) end();
    });
    methods->Proceed();
  }

  void keep(Limiter::Place place) {
    const std::lock_guard own(mutex_);
    place_.emplace(std::move(place));
  }

 private:
  void begin_answer() {
    const std::lock_guard own(mutex_);
    if (cutoff_ || ended_) return;
    limiter_ = place_ ? place_->limiter() : nullptr;
    place_.reset();
    cutoff_.emplace(context_, calls_.patience_.longest);
    const std::lock_guard lock(calls_.mutex_);
    std::list<Call*>& unread = calls_.unread_[limiter_];
    if (unread.size() >= calls_.patience_.most) {
      unread.front()->cutoff_->cut();
      unread.front()->listed_ = false;
      unread.pop_front();
    }
    entry_ = unread.insert(unread.end(), this);
    listed_ = true;
  }

  void end() {
    const std::lock_guard own(mutex_);
    ended_ = true;
    {
      const std::lock_guard lock(calls_.mutex_);
      if (std::exchange(listed_, false)) calls_.unread_[limiter_].erase(entry_);
    }
    cutoff_.reset();
  }

  OpenCalls& calls_;
  grpc::ServerContextBase& context_;
  std::mutex mutex_;  ///< taken before that of the list
  std::optional<Limiter::Place> place_;
  std::optional<Cutoff> cutoff_;
  const Limiter* limiter_ = nullptr;
  std::list<Call*>::iterator entry_;  ///< valid while it is listed; guarded by the mutex
  bool listed_ = false;
  bool ended_ = false;
};

class OpenCalls::Watch final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit Watch(OpenCalls& calls) : calls_(calls) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo* info) override {
    Call* made = nullptr;  // gRPC owns it, and takes none for a call without one
    run_contained("call.failed", [&] { made = new Call(calls_, *info->server_context()); });
    return made;
  }

 private:
  OpenCalls& calls_;
};

void OpenCalls::keep(const grpc::ServerContextBase& context, Limiter::Place place) {
  Call* call = nullptr;
  {
    const std::lock_guard lock(mutex_);
    const auto found = calls_.find(&context);
    if (found == calls_.end()) return;  // there was no memory for its interceptor
    call = found->second;
  }
  call->keep(std::move(place));
}

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> OpenCalls::watch() {
  return std::make_unique<Watch>(*this);
}

}  // namespace capf::rpc
