#pragma once

#include <cstdint>
#include <optional>

#include "capf/base/bytes.h"
#include "capf/base/time.h"
#include "capf/domain/certificate.h"
#include "capf/domain/serial.h"

namespace capf {

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
  auto operator<=>(const CrlShard&) const = default;  // NOLINT(modernize-use-nullptr): it has none
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
