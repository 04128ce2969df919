#pragma once

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "capf/ca/common.h"
#include "capf/domain/database.h"
#include "capf/service/certificates.h"

namespace capf::service {

/// Compares the RSA moduli of all certificates on record with each other: a prime that two of them share is everybody's
/// to find. Bad generators of random numbers make such keys, and no key shows it by itself. New moduli are compared
/// with all that were there before, kTogether at once, so that memory is bounded. Threads: one, but for stop().
class CommonPrimes {
 public:
  static constexpr std::size_t kTogether = 8192;

  CommonPrimes(Database& database, Certificates& certificates, std::string holder, std::size_t together = kTogether)
      : database_(database), certificates_(certificates), holder_(std::move(holder)), together_(together) {}

  /// Once in a period: one server at a time, by lease. Each key that another one breaks is revoked as compromised,
  /// which blocks its device. The next run goes on where one was cut off. @return the keys that were revoked; nothing
  /// where it is not due here.
  Result<std::optional<int>> run(std::chrono::hours period);
  /// A run ends soon, and none begins any more.
  void stop() { stopping_ = true; }

 private:
  struct Batch;
  /// The next ones after that certificate, up to `through`, whose moduli are none of another batch.
  Result<Batch> read(std::int64_t after, std::int64_t through, const Batch* without) const;
  Result<int> compare_next(bool& more);
  Result<int> revoke(const std::vector<ca::CommonPrime>& pairs, const Batch& first, const Batch& second);
  Result<bool> revoke(const Certificate& broken, const Certificate& by);

  Database& database_;
  Certificates& certificates_;
  const std::string holder_;
  const std::size_t together_;
  std::atomic<bool> stopping_ = false;
};

}  // namespace capf::service
