#pragma once

#include <optional>

#include "capf/base/error.h"
#include "capf/base/log.h"

namespace capf::daemon {

/// The failure of work that is done again and again: logged when it begins and when its reason changes. Threads: one.
class Complaint {
 public:
  explicit Complaint(const char* event) : event_(event) {}

  /// A read-only database is logged elsewhere, once for all work.
  template <class T>
  void report(const Result<T>& result) {
    std::optional<Reason> reason;
    if (!result && result.error().reason != Reason::kDatabaseReadOnly) reason = result.error().reason;
    if (reason && reason != reported_) log_warning(event_, result.error());
    reported_ = reason;
  }

 private:
  const char* const event_;
  std::optional<Reason> reported_;
};

}  // namespace capf::daemon
