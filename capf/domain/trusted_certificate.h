#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "capf/base/address.h"
#include "capf/base/bytes.h"
#include "capf/base/time.h"
#include "capf/domain/trust_role.h"

namespace capf {

inline constexpr std::size_t kLongestDnsName = 253;  ///< octets

/// A certificate of somebody else, which phones are to trust: a SIP server's, a service's.
struct TrustedCertificate {
  std::int64_t id = 0;
  Sha256 sha256{};  ///< of the DER
  Bytes der;
  std::string subject;  ///< RFC 4514
  std::string issuer;   ///< RFC 4514
  Bytes serial;         ///< big-endian, without sign octet
  TimePoint not_before;
  TimePoint not_after;
  TrustRoles roles;                  ///< one at least
  std::string dns;                   ///< may be empty
  std::optional<Address> address{};  ///< IPv4
  bool vouch_only = false;           ///< TVS vouches for it, and no list has it
  TimePoint added_at;
  std::string added_by;
  /// When an administrator was told that enough phones know it. Absent: not yet. Written by activate().
  std::optional<TimePoint> activated_at{};
  /// An administrator has blocked it since: it counts no longer. Read, never written.
  bool blocked = false;
};

}  // namespace capf
