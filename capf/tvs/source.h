#pragma once

#include <optional>
#include <string>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/base/time.h"
#include "capf/domain/trust_role.h"

namespace capf::tvs {

/// A certificate that the site vouches for.
struct Vouched {
  Bytes der;
  std::string issuer;  ///< RFC 4514
  TrustRoles roles;
  TimePoint not_before;
  TimePoint not_after;
  bool withdrawn = false;
};

/// The most certificates of one serial number that are looked at on record.
inline constexpr std::size_t kMostOfOneSerial = 16;

/// Where the certificates of the site come from. May block; called from several threads; does not throw.
class CertificateSource {
 public:
  virtual ~CertificateSource() = default;
  /// @param sha256 of the DER
  virtual Result<std::optional<Vouched>> find_by_digest(const Sha256& sha256) = 0;
  /// Those of any issuer: of others on record, at most kMostOfOneSerial. @param serial big-endian, without leading
  /// zeros
  virtual Result<std::vector<Vouched>> find_by_serial(BytesView serial) = 0;
};

}  // namespace capf::tvs
