#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capf/base/error.h"
#include "capf/base/time.h"
#include "capf/domain/mode.h"
#include "capf/domain/setting.h"

namespace capf {

inline constexpr std::size_t kLongestProfileName = 64;          ///< characters
inline constexpr std::size_t kLongestProfileDescription = 200;  ///< characters
/// The profile that is there from the start: `nonsecure`, which sets the mode alone, and never changes.
inline constexpr std::int64_t kFirstProfile = 1;
inline constexpr std::string_view kFirstProfileName = "nonsecure";

/// An administrator's decisions for many phones at once. A phone has one.
struct Profile {
  std::int64_t id = 0;
  std::string name;         ///< by check_profile_name()
  std::string description;  ///< by check_profile_description()
  DeviceMode mode = DeviceMode::kNonsecure;
  Settings settings;          ///< by parse_settings()
  std::int64_t revision = 0;  ///< greater after each change
  TimePoint created_at;
  TimePoint changed_at;
  std::int64_t phones = 0;  ///< that have it; where a store says so
};

/// 1 to kLongestProfileName characters of UTF-8 without control characters, no blank at either end, and no '-' at the
/// beginning, where a command line has options. Errors: INVALID_REQUEST.
Status check_profile_name(std::string_view name);
/// Up to kLongestProfileDescription characters of UTF-8 without control characters. Errors: INVALID_REQUEST.
Status check_profile_description(std::string_view description);

/// A change of a profile.
struct ProfileChange {
  std::optional<std::string> description{};
  std::optional<DeviceMode> mode{};
  Settings set{};                          ///< by parse_settings()
  std::vector<std::string> unset{};        ///< names of settings
  std::optional<std::int64_t> revision{};  ///< that the profile still must have

  bool empty() const { return !description && !mode && set.empty() && unset.empty(); }
};

/// Sets some values and takes others away. Errors: INVALID_REQUEST for a name that is set and taken away,
/// INVALID_SETTING for one that no setting has.
Status change_settings(const Settings& set, const std::vector<std::string>& unset, Settings& settings);

/// The names of the settings that one has and the other has not, or otherwise, in order.
std::vector<std::string> different_settings(const Settings& one, const Settings& other);

/// "encrypted_config=on key_order=rsa" for the record; values of secrets are no settings.
std::string words_of(const Settings& settings);
/// The same of a change: "encrypted_config=on, without key_order".
std::string words_of(const Settings& set, const std::vector<std::string>& unset);

}  // namespace capf
