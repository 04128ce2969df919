#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "capf/base/bytes.h"
#include "capf/base/time.h"
#include "capf/domain/device.h"
#include "capf/domain/digest.h"
#include "capf/domain/mode.h"
#include "capf/domain/operation.h"
#include "capf/domain/setting.h"

namespace capf {

inline constexpr std::size_t kLargestConfiguration = std::size_t{1024} * 1024;  ///< octets of XML
// Limits of one import, which clients keep to; a single file may be as large as it may.
inline constexpr std::size_t kConfigurationsAtOnce = 500;
inline constexpr std::size_t kConfigurationOctetsAtOnce = std::size_t{8} * 1024 * 1024;

inline constexpr std::size_t kConfigurationsChecked = 100;  ///< that one call looks at

/// The owner of a configuration file on record.
enum class ConfigurationKind : std::uint8_t {
  kPhone,
  kTemplate,  ///< the site's, for phones that have none
  kDefault,   ///< the site's, for phones that are not known
};

/// A file of the site's own, as it was imported.
struct ConfigurationSource {
  std::int64_t id = 0;  ///< 0: there is none
  ConfigurationKind kind = ConfigurationKind::kTemplate;
  std::int64_t revision = 0;  ///< greater after each import that changes it
  TimePoint imported_at{};
  std::string imported_by{};
  std::optional<Bytes> source{};  ///< encrypted; absent where it was not asked for
};

/// All that the files of one phone follow from, at one moment.
struct ConfigurationFacts {
  std::int64_t phone_id = 0;
  DeviceName device;
  std::string model{};
  Settings profile{};
  Settings own{};
  ModeFacts mode{};
  Bytes lsc{};                        ///< that it confirmed last, DER; empty: none
  Bytes mic{};                        ///< that it is remembered by, where it is kept and not blocked, DER
  std::optional<AuthMode> pending{};  ///< of an open operation whose deadline has not passed
  std::int64_t digest_user_id = 0;    ///< whose credentials the phone has now; 0: nobody's
  std::string digest_user{};
  std::optional<Bytes> digest_password{};  ///< encrypted; absent where HA1s alone are kept
  TimePoint digest_set_at{};
  ConfigurationSource source{};
};

}  // namespace capf
