#pragma once

#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "capf/domain/expiry.h"

namespace capf::service {

/// The certificates that this server has loaded, by their kind: what of Summary::expiries is not in the database.
/// Threads: any.
class OwnCertificates {
 public:
  /// In place of what was told of this kind before.
  void set(ExpiryKind kind, std::vector<Expiry> certificates);
  std::vector<Expiry> list() const;

 private:
  mutable std::mutex mutex_;
  std::map<ExpiryKind, std::vector<Expiry>> certificates_;
};

/// Which certificates the log is to name now: each when this server starts and its end is within 90 days, then again
/// within 30, 14 and 7 days, on each day of the last week, and when it has ended. One thread.
class ExpiryWarnings {
 public:
  static constexpr std::size_t kMostAtOnce = 20;

  /// To be called with the whole list again and again. @return at most kMostAtOnce; the others follow in the next call.
  std::vector<Expiry> due(const std::vector<Expiry>& expiries, TimePoint now);

 private:
  std::map<std::tuple<ExpiryKind, std::string, TimePoint>, std::int64_t> told_;  ///< within how many days it was to end
};

}  // namespace capf::service
