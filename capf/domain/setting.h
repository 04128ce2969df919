#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "capf/base/error.h"
#include "capf/domain/device.h"
#include "capf/domain/mode.h"
#include "capf/domain/operation.h"
#include "capf/domain/phone.h"

namespace capf {

enum class SubjectForm : std::uint8_t;
struct SitePolicy;

/// The owner of a value: a phone's own comes before its profile's, and that before the site's.
enum class Owner : std::uint8_t { kSite, kProfile, kPhone };
/// "site", "profile", "phone"
std::string_view to_string(Owner owner);

/// Values by the names of settings, each as parse_settings() writes it. A setting without a value is absent.
using Settings = std::map<std::string, std::string, std::less<>>;

/// How far a change of a setting reaches, in ascending order.
enum class Reach : std::uint8_t {
  kServer,   ///< this server alone goes by it, or what it exports
  kFile,     ///< the phone gets other files, with the next ones that it fetches
  kRestart,  ///< the same, and the phone goes by them when it starts again
};

/// The form of a value.
struct ValueForm {
  enum class Kind : std::uint8_t {
    kChoice,    ///< one of `words`
    kNumber,    ///< from `least` to `most`; where there are `words`, one of them
    kDuration,  ///< minutes, hours or days from `least` to `most` minutes: "90m", "12h", "10d"
    kPattern,   ///< of models, as Pattern has it
    kHosts,     ///< up to kMostCapfHosts of HOST or HOST:PORT, with commas between them
  };
  Kind kind = Kind::kChoice;
  std::vector<std::string> words{};
  int least = 0;
  int most = 0;

  /// The values that there are, in words: "string, null, lsc or mic", "30 to 3600".
  std::string range() const;
  /// The value in its one spelling: "1440m" is "1d". Nothing where it has another form.
  std::optional<std::string> parse(std::string_view text) const;
};

/// A row of the table of settings that are decided for phones.
struct PhoneSetting {
  std::string name;
  std::string words;  ///< what it decides, for help and documentation
  ValueForm form;
  Owner broadest;  ///< kSite: `[policy]` of capfd.toml may have it too; kProfile: profiles and perhaps phones alone
  bool phones;     ///< a phone may have a value of its own
  Reach reach;
  std::optional<std::string> otherwise{};  ///< the site's where it says nothing; absent: what the site's file says
  std::optional<std::string> fresh{};      ///< a new profile begins with it

  bool may_have(Owner owner) const;
};

/// Every setting, in the order in which they are shown.
const std::vector<PhoneSetting>& phone_settings();
/// Null for a name that no setting has.
const PhoneSetting* find_phone_setting(std::string_view name);

/// Reads what an administrator wrote. Errors: INVALID_SETTING, with every fault: a name that no setting has or that
/// this owner may not set, a value of another form, a name twice.
Result<Settings> parse_settings(std::span<const std::pair<std::string, std::string>> values, Owner owner);
/// Checks that the site allows all of it: the life, the subject, RSA keys of 1024 bits, renewal by the phone. Errors:
/// INVALID_SETTING.
Status check_limits(const Settings& settings, const SitePolicy& site);
/// A new profile begins with these values, which harden its phones; the first profile, `nonsecure`, has none.
Settings fresh_profile_settings();

/// The site's values, one for each setting that has any: from `policy.lsc_validity`, `lsc_subject` and
/// `self_service_upgrade`, from `policy.settings`, which has the settings of `[policy]` that the table below knows, and
/// for the others the table's. Servers of one site must agree on them: compare these maps.
Settings site_settings(const SitePolicy& policy);

struct Effective {
  std::string value;
  Owner from = Owner::kSite;

  bool operator==(const Effective&) const = default;
};

enum class Protocol : std::uint8_t { kAny, kSip, kSccp };
enum class Transport : std::uint8_t { kTcp, kUdp, kBoth };
enum class Renewal : std::uint8_t { kOff, kPhone, kScheduled };
enum class FileDigest : std::uint8_t { kAuto, kSha1, kSha512 };

/// A server that phones are sent to for their certificates.
struct CapfHost {
  std::string host;
  std::uint16_t port = 3804;

  bool operator==(const CapfHost&) const = default;
};
inline constexpr std::size_t kMostCapfHosts = 5;

/// HOST, HOST:PORT, ADDRESS or [ADDRESS]:PORT; nothing for any other text. @param port where the text has none
std::optional<CapfHost> parse_capf_host(std::string_view text, std::uint16_t port = 3804);
/// With the port.
std::string to_string(const CapfHost& host);

/// The digest for what a phone of this model fetches: SHA-1 where the setting is auto and such phones verify nothing
/// else. Never kAuto.
FileDigest file_digest_of(FileDigest setting, std::string_view model);

/// The values in effect for one phone, or for a profile, each with its owner.
class EffectiveSettings {
 public:
  /// Null where nobody has decided: what the site's own file for the phone says stays.
  const Effective* find(std::string_view name) const;
  /// All that are decided, by name.
  const std::map<std::string, Effective, std::less<>>& all() const { return values_; }

  Pattern models() const;
  Protocol protocol() const;
  Transport transport() const;
  int sip_port() const;
  AuthMode auth() const;
  KeyPolicy key() const;
  std::chrono::hours lsc_validity() const;
  SubjectForm lsc_subject() const;
  std::chrono::minutes completes_within() const;
  Renewal renewal() const;
  int renewal_from_percent() const;  ///< of the LSC's life
  bool digest() const;
  std::chrono::seconds nonce_validity() const;
  bool exclude_digest_credentials() const;
  bool encrypted_config() const;
  FileDigest file_digest() const;
  std::vector<CapfHost> capf() const;  ///< empty: this site's own
  bool capf_always() const;
  bool allow_mic() const;
  bool allow_secrets_in_clear() const;

  bool operator==(const EffectiveSettings&) const = default;

 private:
  friend EffectiveSettings effective_settings(const SitePolicy&, const Settings&, const Settings&);
  EffectiveSettings() = default;
  const std::string& value(std::string_view name) const;
  bool is_on(std::string_view name) const { return value(name) == "on"; }

  std::map<std::string, Effective, std::less<>> values_;
};

/// The phone's own value, else its profile's, else the site's. A value that the site does not allow any more, that this
/// version does not know, or that its owner may not set does not count.
EffectiveSettings effective_settings(const SitePolicy& site, const Settings& profile, const Settings& phone);

/// The settings whose values differ, in the order of the table. Another owner of the same value is no difference.
std::vector<const PhoneSetting*> differences(const EffectiveSettings& before, const EffectiveSettings& after);

/// A phone that a profile is applied to, or that gets settings of its own, as far as it is known.
struct PhoneAbilities {
  enum class Key : std::uint8_t { kUnknown, kRsa, kEc };

  std::string device;   ///< for the words
  std::string model{};  ///< empty: not known
  LscStatus lsc = LscStatus::kNone;
  Key lsc_key = Key::kUnknown;  ///< of the LSC
  bool good_mic = false;        ///< a MIC is remembered, and in time
  bool install_open = false;    ///< an operation that installs an LSC is open, or is scheduled with this change
  bool string_open = false;     ///< an open operation asks for an authentication string
  bool ec_open = false;         ///< an open operation installs an LSC with an EC key alone
};

/// The faults of a combination, and warnings of what works and may not be meant.
struct Findings {
  std::vector<Error> refusals;
  std::vector<std::string> warnings;

  /// The reason of the first refusal, with the words of all.
  Status status() const;
};

/// Looks for what cannot work in any phone. Reasons: SETTINGS_CONFLICT, ENCRYPTED_CONFIG_NEEDS_RSA; where `models`
/// names one model, also MODEL_CANNOT.
/// @param settings of the profile with the site's, or with the phone's own too.
Findings check_combination(DeviceMode mode, const EffectiveSettings& settings);
/// Looks for what cannot work in this phone, beside that. Reasons: MODEL_CANNOT, ENCRYPTED_CONFIG_NEEDS_RSA,
/// STRING_CANNOT_BE_TYPED, and NO_CERTIFICATE, which alone `--anyway` passes over.
Findings check_combination(DeviceMode mode, const EffectiveSettings& settings, const PhoneAbilities& phone);

/// This owner's values that only an admin may decide, in words: null string in a secure profile, secrets in the clear.
/// A command that schedules with null string asks for itself.
std::vector<std::string> admins_decisions(DeviceMode mode, const EffectiveSettings& settings, Owner owner);

/// The cost to people of the mode and the values, in words, for `profile show`.
std::vector<std::string> consequences(DeviceMode mode, const EffectiveSettings& settings);

}  // namespace capf
