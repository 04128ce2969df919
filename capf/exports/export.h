#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capf/domain/device.h"
#include "capf/domain/ha1.h"
#include "capf/domain/mode.h"

namespace capf::exports {

/// A phone of a digest user.
struct Device {
  DeviceName name;
  DeviceMode mode = DeviceMode::kNonsecure;  ///< in effect
  std::optional<Sha256> lsc{};               ///< of the confirmed LSC in DER
};

/// A digest user, as a SIP server knows it.
struct User {
  std::string name;  ///< any octets: each format refuses what it cannot say
  std::string realm;
  Ha1 ha1;
  std::vector<Device> devices;
};

/// The purpose of a file. deploy/commands.md says how each is loaded.
enum class Format : std::uint8_t {
  kAsteriskPjsip,         ///< pjsip.conf with `md5_cred`, which every version reads
  kAsteriskPjsipDigests,  ///< pjsip.conf with `password_digest`, from 20.12, 21.7 and 22.2
  kAsteriskChanSip,       ///< sip.conf of the call-manager patch
  kFreeswitch,            ///< users of a domain of the XML directory
  kKamailioSql,           ///< `subscriber` and `htable` of PostgreSQL, one transaction
  kKamailioCsv,           ///< `subscriber`
  kKamailioHtableCsv,     ///< `htable`
  kOpensipsSql,           ///< `subscriber` with the hashes of RFC 8760, and `usr_preferences`, one transaction
  kOpensipsCsv,           ///< `subscriber`
  kOpensipsPreferencesCsv,
  kJson,  ///< one object a line, RFC 8259
};
inline constexpr std::array kFormats{Format::kAsteriskPjsip,
                                     Format::kAsteriskPjsipDigests,
                                     Format::kAsteriskChanSip,
                                     Format::kFreeswitch,
                                     Format::kKamailioSql,
                                     Format::kKamailioCsv,
                                     Format::kKamailioHtableCsv,
                                     Format::kOpensipsSql,
                                     Format::kOpensipsCsv,
                                     Format::kOpensipsPreferencesCsv,
                                     Format::kJson};
/// "asterisk-pjsip", "kamailio-sql", …
std::string_view to_string(Format format);
std::optional<Format> parse_format(std::string_view text);

/// The texts before the first user and behind the last one. A file without the end is refused by the servers that
/// read SQL and XML; of the other formats every prefix of whole lines is good.
std::string_view begin_of(Format format);
std::string_view end_of(Format format);

/// The lines of one user, whatever came before, so that memory does not grow with the number of users.
/// Errors: INVALID_REQUEST, with the user's name and what the format cannot say; of that user there is no text then.
Result<Secret> write_user(Format format, const User& user);

}  // namespace capf::exports
