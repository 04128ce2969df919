#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "capf/phone/configuration.h"
#include "capf/phone/folder.h"
#include "capf/phone/servers.h"
#include "capf/phone/trust_list.h"
#include "capf/phone/visit.h"

namespace capf::phone {

/// The way in which a phone registers with its SIP server.
enum class Mode : std::uint8_t { kNonsecure, kAuthenticated, kEncrypted };
std::string_view to_string(Mode mode);

struct Provisioning {
  std::string device;
  bool https = true;             ///< for the configuration, where a list says so
  std::vector<std::string> tvs;  ///< empty: as the last configuration says
  bool has_string = false;       ///< somebody has typed an authentication string
  /// The certificate in PEM that the phone was made with, and its key; may be empty.
  std::string mic_pem{};
  Secret mic_key_pem{};
  /// Goes to CAPF.
  std::function<Result<Done>(const Configuration&, const TrustLists&)> enrol;
  /// Says a step in plain words. It has text of servers in it, and no secret.
  std::function<void(const std::string&)> say;
};

struct Provisioned {
  Mode mode = Mode::kNonsecure;  ///< in effect
  bool digest_password = false;
  std::string line;  ///< the result in words: "SEP001122334455 provision succeeded mode=encrypted …"
};

/// Does what a phone does at its start: the trust lists, the configuration, and CAPF where the configuration is not for
/// the certificate that the phone has; then once more from the beginning. Files that it takes are in the folder at
/// once. Errors: SERVER_NOT_REACHED; UNKNOWN_DEVICE where the server has no configuration for it; CREDENTIAL_MISSING
/// where somebody has to type an authentication string; FILE_MALFORMED, FILE_SIGNATURE, FILE_NAME_MISMATCH and
/// PHONE_CONFIGURATION_MALFORMED for a configuration that it does not take, and, once all else is done, for a list;
/// those of CAPF and of the folder.
Result<Provisioned> provision(const Provisioning& wanted, const Folder& folder, Servers& servers);

}  // namespace capf::phone
