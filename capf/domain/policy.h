#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "capf/base/address.h"
#include "capf/domain/device.h"
#include "capf/domain/operation.h"

namespace capf {

/// Which subject an LSC has.
enum class SubjectForm : std::uint8_t {
  kPlain,  ///< CN=<device name> with the issuer's O, OU, L, ST, C
  kCisco,  ///< serialNumber=PID:<model> SN:<…>, C, O, OU, CN=<model>-<device name>, where the model is known
};

/// What the site allows. Made once, from the configuration; checked there.
struct SitePolicy {
  std::chrono::hours lsc_validity{24 * 1825};  ///< 1 to 1825 days
  SubjectForm lsc_subject = SubjectForm::kPlain;
  bool allow_rsa_1024 = false;
  bool self_service_upgrade = true;           ///< a phone in the last third of its LSC's life renews by itself
  bool require_fresh_proof = false;           ///< refuses proofs on the wire that somebody may have recorded
  std::chrono::hours superseded_grace{0};     ///< until a superseded LSC is revoked; 0: at once
  std::vector<Network> null_string_networks;  ///< default: loopback
  std::vector<Pattern> device_names;          ///< of devices that may be added; default: usual_device_names()
};

/// The names that makers give their devices, by their beginnings: an LSC is a TLS server's certificate too, so that
/// nobody adds a device with the name of some other machine.
std::vector<Pattern> usual_device_names();
/// Errors: DEVICE_NAME_REFUSED, with the patterns.
Status check_device_name(const SitePolicy& policy, const DeviceName& device);

/// A null-string operation works this long at most, whatever its deadline.
inline constexpr std::chrono::hours kNullStringLifetime{24};
/// How far this server's clock may be from the database's.
inline constexpr std::chrono::seconds kLargestClockSkew{60};

}  // namespace capf
