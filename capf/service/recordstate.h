#pragma once

#include <mutex>

#include "capf/base/error.h"

namespace capf::service {

/// Whether the record can be written and sealed; if not, this server is not ready. Threads: any.
class RecordState {
 public:
  void report(Status state) {
    const std::lock_guard lock(mutex_);
    state_ = std::move(state);
  }
  /// Errors: RECORD_BROKEN, with the fault in words; INTERNAL, INVALID_CONFIGURATION.
  Status check() const {
    const std::lock_guard lock(mutex_);
    return state_;
  }

 private:
  mutable std::mutex mutex_;
  Status state_;
};

}  // namespace capf::service
