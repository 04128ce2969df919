#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "capf/base/secret.h"
#include "capf/domain/hardening.h"

// The configuration file of a phone, SEP….cnf.xml. The site writes it; this server sets what a profile decides, and
// leaves everything else as it was. Sources: specs/phone-files.md 7, specs/profiles.md 9.

namespace pugi {
class xml_document;
}

namespace capf::files {

struct DigestCredentials {
  std::string user;
  Secret password;
};

/// The values that decide a phone's security.
struct ConfigurationValues {
  DeviceMode mode = DeviceMode::kNonsecure;  ///< in effect
  Transport transport = Transport::kBoth;    ///< of a nonsecure phone
  std::optional<AuthMode> capf_auth{};       ///< none: the phone does not come to CAPF by itself
  std::vector<CapfHost> capf{};
  std::optional<std::vector<CapfHost>> tvs{};  ///< none: those of the site's file stay
  /// The MD5 of the certificate that the file will be encrypted for; empty for a file that will not be.
  std::string certificate_hash{};
  std::vector<HardeningFlag> hardening{};

  /// Whether passwords may stand in it. Where not, those of the site's file are taken out too, and comments that name
  /// such an element: somebody may have put it there.
  bool secrets = false;
  bool exclude_digest = false;  ///< the phone keeps the credentials that it has
  std::optional<DigestCredentials> digest{};
  std::optional<std::string> ssh_user{};
  std::optional<Secret> ssh_password{};
  std::optional<Secret> phone_password{};
};

/// One configuration in memory. Its XML library keeps copies of secrets in memory that it does not wipe.
/// Threads: one at a time.
class Configuration {
 public:
  /// At most 1 MiB of UTF-8 without control characters, DOCTYPE or entities of its own; one element `device` that is
  /// no stub, at most 64 deep, 20,000 elements. Errors: PHONE_CONFIGURATION_MALFORMED.
  static Result<Configuration> parse(BytesView xml);
  Configuration(Configuration&&) noexcept;
  Configuration& operator=(Configuration&&) noexcept;
  ~Configuration();

  /// The names of its lines (featureID 9), in the order of the file.
  std::vector<std::string> lines() const;
  /// Sets the elements that `values` decide, each once. Errors: INVALID_REQUEST for a value that XML cannot have;
  /// the configuration is of no use then.
  Status apply(const ConfigurationValues& values);
  /// Puts "***" in place of every password, for people to look at.
  void mask();
  /// The whole file, in UTF-8.
  Secret text() const;
  /// The short file that a phone gets in the clear when the whole one is encrypted. To be called after apply().
  Bytes stub() const;

 private:
  explicit Configuration(std::unique_ptr<pugi::xml_document> document);

  std::unique_ptr<pugi::xml_document> document_;
};

}  // namespace capf::files
