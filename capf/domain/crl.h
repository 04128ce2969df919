#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "capf/base/bytes.h"
#include "capf/base/time.h"
#include "capf/domain/certificate.h"

namespace capf {

/// RFC 5280 4.1.2.2
inline constexpr std::size_t kLongestSerial = 20;

/// The serial number of one of our certificates, big-endian; ordered by its octets. Without heap memory, because a CRL
/// may have a million of them.
class SerialNumber {
 public:
  SerialNumber() = default;
  /// 1 to kLongestSerial octets.
  explicit SerialNumber(BytesView octets) : size_(static_cast<std::uint8_t>(octets.size())) {
    CAPF_INVARIANT(!octets.empty() && octets.size() <= kLongestSerial);
    std::copy(octets.begin(), octets.end(), octets_.begin());
  }
  BytesView view() const { return {octets_.data(), size_}; }
  bool operator==(const SerialNumber& other) const = default;
  bool operator<(const SerialNumber& other) const {
    return std::lexicographical_compare(view().begin(), view().end(), other.view().begin(), other.view().end());
  }

 private:
  std::array<std::uint8_t, kLongestSerial> octets_{};
  std::uint8_t size_ = 0;
};

/// An entry of a CRL, also what OCSP says of a revoked certificate.
struct Revocation {
  SerialNumber serial;
  TimePoint revoked_at;
  RevocationReason reason = RevocationReason::kUnspecified;
};

/// The status on record of one of our certificates.
struct SerialStatus {
  SerialNumber serial;
  TimePoint not_after;
  std::optional<TimePoint> revoked_at;
  std::optional<RevocationReason> reason;
  std::optional<TimePoint> released_at;  ///< from hold, the last time
};

/// A part of an issuer's CRL with a distribution point of its own.
struct CrlShard {
  std::int64_t issuer_id = 0;
  int shard = 0;
  auto operator<=>(const CrlShard&) const = default;
};

/// A CRL that was published.
struct CrlRecord {
  CrlShard shard;
  std::int64_t number = 0;
  TimePoint this_update;
  TimePoint next_update;
  Sha256 sha256{};  ///< of the DER
  std::int64_t size = 0;
  std::int64_t entries = 0;
  TimePoint published_at;  ///< by the database's clock; given by the store
};

}  // namespace capf
