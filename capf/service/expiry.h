#pragma once

#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "capf/domain/expiry.h"

namespace capf::service {

/// The certificates that this server has loaded, by their kind: the part of Summary::expiries that is not in the
/// database. Threads: any.
class OwnCertificates {
 public:
  /// Replaces all certificates of this kind.
  void set(ExpiryKind kind, std::vector<Expiry> certificates);
  std::vector<Expiry> list() const;

 private:
  mutable std::mutex mutex_;
  std::map<ExpiryKind, std::vector<Expiry>> certificates_;
};

/// Decides which certificates to log now: each when this server starts and its end is within 90 days, then again within
/// 30, 14 and 7 days, on each day of the last week, and when it has ended. One thread.
class ExpiryWarnings {
 public:
  static constexpr std::size_t kMostAtOnce = 20;

  /// To be called regularly with the whole list. @return at most kMostAtOnce; the others follow in the next call.
  std::vector<Expiry> due(const std::vector<Expiry>& expiries, TimePoint now);

 private:
  std::map<std::tuple<ExpiryKind, std::string, TimePoint>, std::int64_t> logged_;  ///< the kSteps value last logged
};

}  // namespace capf::service
