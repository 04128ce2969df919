#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "capf/base/address.h"
#include "capf/domain/device.h"
#include "capf/domain/operation.h"
#include "capf/domain/setting.h"

namespace capf {

/// Which subject an LSC has.
enum class SubjectForm : std::uint8_t {
  kPlain,  ///< CN=<device name> with the issuer's O, OU, L, ST, C
  kCisco,  ///< serialNumber=PID:<model> SN:<…>, C, O, OU, CN=<model>-<device name>, where the model is known
};

/// "plain", "cisco"
std::string_view to_string(SubjectForm form);
std::optional<SubjectForm> parse_subject_form(std::string_view text);

/// How many wrong authentication strings one address has in an hour, in all.
inline constexpr int kStringsPerAddress = 50;

/// A network with a limit of its own for each of its addresses, because many phones share one there.
struct StringLimit {
  Network network;
  int strings = kStringsPerAddress;
};

/// The limits and rules of the site. Made once, from the configuration; checked there.
struct SitePolicy {
  std::chrono::hours lsc_validity{24 * 1825};  ///< 1 to 1825 days
  SubjectForm lsc_subject = SubjectForm::kPlain;
  bool allow_rsa_1024 = false;
  bool self_service_upgrade = true;           ///< a phone in the last third of its LSC's life renews by itself
  Settings settings;                          ///< of `[policy]` that profiles have too; absent: the table's
  bool require_fresh_proof = false;           ///< refuses proofs on the wire that may have been recorded and replayed
  std::chrono::hours superseded_grace{0};     ///< until a superseded LSC is revoked; 0: at once
  std::vector<Network> null_string_networks;  ///< default: loopback
  std::vector<Pattern> device_names;          ///< of devices that may be added; default: usual_device_names()
  int wrong_strings_per_address = kStringsPerAddress;
  std::vector<StringLimit> wrong_strings_networks;
  FileDigest files_digest = FileDigest::kSha512;  ///< of phones' files that belong to no device: not kAuto
  std::string digest_realm = "ccmsipline";        ///< of the SIP server; check_realm()

  /// The limit of the narrowest network that has the address, or else that of all addresses.
  int wrong_strings_of(const Address& address) const {
    const StringLimit* narrowest = nullptr;
    for (const StringLimit& limit : wrong_strings_networks) {
      if (!limit.network.contains(address)) continue;
      if (narrowest == nullptr || limit.network.bits() > narrowest->network.bits()) narrowest = &limit;
    }
    return narrowest == nullptr ? wrong_strings_per_address : narrowest->strings;
  }
};

/// The names that makers give their devices, by their beginnings. Other names are refused because an LSC is a TLS
/// server's certificate too: a device must not have the name of another machine.
std::vector<Pattern> usual_device_names();
/// Checks that the site's patterns allow all of these names. A '*' stands for no '.' but in "*" alone, because a name
/// with one may be another machine's. Errors: DEVICE_NAME_REFUSED, with the first names that fit none, and the
/// patterns.
Status check_device_names(const SitePolicy& policy, std::span<const DeviceName> devices);
/// "a, b and 3 more". @param names at least one. @param most how many of them are shown
std::string listed(std::span<const std::string> names, std::size_t most = 10);

/// The longest life of a null-string operation, even if its deadline is later.
inline constexpr std::chrono::hours kNullStringLifetime{24};
/// How far this server's clock may be from the database's.
inline constexpr std::chrono::seconds kLargestClockSkew{60};

}  // namespace capf
