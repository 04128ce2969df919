#pragma once

#include <optional>
#include <string>
#include <vector>

#include "capf/domain/configuration.h"
#include "capf/domain/policy.h"
#include "capf/files/certificate.h"
#include "capf/files/configuration.h"
#include "capf/files/header.h"
#include "capf/service/phone_keys.h"

namespace capf::service {

/// The servers of this site that phones' files name.
struct PhoneServers {
  CapfHost capf;                               ///< where the profile names no other
  std::optional<std::vector<CapfHost>> tvs{};  ///< none: those of the site's own files stay
};

/// Whether passwords may stand in a file that is not encrypted, and by whose word.
enum class SecretsInClear : std::uint8_t {
  kAsProfile,
  kNever,  ///< in files that leave this server by another way than a phone's own fetch
};

/// A phone's file as it will be, decided without its source and without a secret.
struct ConfigurationPlan {
  enum class Key : std::uint8_t { kNone, kLsc, kMic };

  EffectiveMode mode{};
  files::ConfigurationValues values{};  ///< without credentials
  /// The file is encrypted for it; none: the file is not encrypted.
  std::optional<files::Certificate> certificate{};
  Key key = Key::kNone;       ///< whose it is
  bool has_password = false;  ///< the digest user's goes into the file
  files::Digest digest = files::Digest::kSha512;
  std::string generation{};
  std::vector<std::string> warnings{};  ///< what will not be as an administrator may think, in words
};

/// Pure. The generation is a hash of all that the file follows from: equal ones mean that a phone which has the one
/// need not fetch the other. It is computed at each fetch, so that a change of a profile writes no phone.
/// @param signer null where this server signs no files
/// @param clear whether passwords may be in a file that is not encrypted, where the profile allows it
ConfigurationPlan plan_configuration(const ConfigurationFacts& facts, const SitePolicy& policy,
                                     const PhoneServers& servers, const PhoneKey* signer,
                                     SecretsInClear clear = SecretsInClear::kAsProfile);

/// Of the site's file for phones that are not known, which is never signed.
std::string generation_of(const ConfigurationSource& source);

/// The file of a phone for which the site has none.
extern const std::string_view kConfigurationTemplate;

}  // namespace capf::service
