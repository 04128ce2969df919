#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "capf/domain/call.h"

namespace capf::rules {

/// The things on which a party's level rests.
enum class CallBasis : std::uint8_t {
  kConfigured,             ///< the record alone
  kObserved,               ///< the record, and what was observed
  kObservedNoCertificate,  ///< the same, where a certificate could have been observed and was not told
};
/// "configured", "observed", "observed, certificate not shown"
std::string_view to_string(CallBasis basis);

/// Why a party's level is lower than its profile, or than the trust in it.
enum class CallReason : std::uint8_t {
  kSiteNonsecure,
  kDeviceUnknown,
  kDeviceRemoved,
  kDeviceBlocked,
  kNoCertificate,
  kCertificateExpired,
  kCertificateRevoked,
  kCertificateHeld,
  kCertificateSuperseded,
  kCertificateBlocked,
  kCertificateMismatch,  ///< the one that was observed is not this device's own
  kObservedLess,
  kTrunkNotTrusted,
  kBridgeNotSecure,
  kLineUnknown,      ///< or without a device
  kDeviceNotOnLine,  ///< the one that is said to have answered
};
/// "SITE_NONSECURE", "DEVICE_UNKNOWN", …
std::string_view to_string(CallReason reason);

struct PartyAnswer {
  DeviceMode level = DeviceMode::kNonsecure;
  CallBasis basis = CallBasis::kConfigured;
  std::vector<CallReason> reasons{};  ///< each once
  std::string device{};               ///< of a line: the device whose level it is; of several the first
  bool admitted = true;               ///< to a conference with that minimum
};

struct BargeAnswer {
  PartyAnswer party;
  bool allowed = false;
  DeviceMode level_after = DeviceMode::kNonsecure;  ///< of the call, when that was done
};

struct CallAnswer {
  DeviceMode level = DeviceMode::kNonsecure;
  std::vector<PartyAnswer> parties;
  std::optional<BargeAnswer> barge{};
};

/// "lock", "shield", "none"
std::string_view icon_of(DeviceMode level);
/// The word behind `security=` in the header Call-Info: "Encrypted", "Authenticated", "NotAuthenticated".
std::string_view call_info_of(DeviceMode level);

/// How secure a call is: as its lowest party. Pure. Source: specs, "Calls: secure only if all parties are".
/// @param enquiry checked. @param facts of its parties, in their order, and then of the one that barges
CallAnswer classify(const CallEnquiry& enquiry, std::span<const PartyFacts> facts);

}  // namespace capf::rules
