#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/domain/device.h"
#include "capf/domain/page.h"
#include "capf/domain/profile.h"

namespace capf {

/// A phone as a profile, or a value of its own, finds it.
struct ProfiledPhone {
  std::int64_t id = 0;
  DeviceName device;
  std::string model{};
  std::int64_t profile_id = kFirstProfile;
  bool blocked = false;
  LscStatus lsc = LscStatus::kNone;
  Bytes lsc_der{};  ///< of that LSC; empty where it was not asked for
  bool mic_in_time = false;
  bool install_open = false;
  bool string_open = false;
  bool ec_open = false;
  Settings settings{};  ///< its own
};

/// Phones of which the mode in effect depends on the same facts.
struct PhonesAlike {
  ModeFacts facts;           ///< without the site's mode
  bool mic_in_time = false;  ///< not asked, and false, beside a valid LSC, which counts first
  std::int64_t phones = 0;
};

/// Phones of a profile whose own values are the same as far as check_combination() refuses any phone by them.
struct OwnKind {
  std::int64_t phone_id = 0;  ///< of one of them
  std::string device;         ///< its name
  Settings settings;          ///< its own
};
inline constexpr int kMostOwnKinds = 200;  ///< more than there are combinations of these values

class ProfileStore {
 public:
  virtual ~ProfileStore() = default;
  /// Until this transaction ends, no other one adds, renames or removes a profile. Comes before every phone's lock.
  virtual Status lock() = 0;
  /// Until this transaction ends, no other one adds, changes, renames or removes a profile; others may hold them too.
  /// Comes before every phone's lock.
  virtual Status hold_all() = 0;
  /// Errors: PROFILE_EXISTS. @return its id
  virtual Result<std::int64_t> add(const Profile& profile) = 0;
  virtual Result<std::optional<Profile>> find(const std::string& name) = 0;
  virtual Result<std::optional<Profile>> find(std::int64_t id) = 0;
  /// The same, and until this transaction ends it stays as it is. Comes before every phone's lock.
  virtual Result<std::optional<Profile>> hold(const std::string& name) = 0;
  /// The same, and no other transaction holds it or gives it to a phone.
  virtual Result<std::optional<Profile>> lock(const std::string& name) = 0;
  /// In the order of their ids, with the count of their phones.
  virtual Result<std::vector<Profile>> list(const Page& page) = 0;
  /// Phones that have it.
  virtual Result<std::int64_t> count(std::int64_t id) = 0;
  /// Writes name, description, mode and settings of a locked profile, and counts its revision.
  virtual Status set(const Profile& profile) = 0;
  virtual Status remove(std::int64_t id) = 0;

  /// Those of these phones that are present, in the order of their names, byte for byte.
  virtual Result<std::vector<ProfiledPhone>> phones(std::span<const std::int64_t> ids, bool with_lsc) = 0;
  /// Gives phones, which are locked, a profile. @return those that had another one, in order
  virtual Result<std::vector<std::int64_t>> apply(std::span<const std::int64_t> ids, std::int64_t profile_id) = 0;
  /// Gives phones, which are locked, values of their own in place of those that they had.
  virtual Status set_own(std::span<const std::pair<std::int64_t, Settings>> phones) = 0;

  /// The phones of a profile, which is not the first, or of all profiles but the first. Reads all of these phones.
  virtual Result<std::vector<PhonesAlike>> alike(std::optional<std::int64_t> profile_id) = 0;
  /// Phones of a profile that have values of their own for all of these settings.
  virtual Result<std::int64_t> count_with_own(std::int64_t profile_id, std::span<const std::string> settings) = 0;
  /// The kinds of phones of a profile that have values of their own, at most kMostOwnKinds: a look for each, however
  /// many phones there are.
  virtual Result<std::vector<OwnKind>> own_kinds(std::int64_t profile_id) = 0;
  /// The phones of a kind, counted up to `most`.
  virtual Result<std::int64_t> count_of_kind(std::int64_t profile_id, std::int64_t phone_id, std::int64_t most) = 0;

  /// A phone of the profile, without a value of its own for settings_access, whose open operation is by string.
  virtual Result<std::optional<std::string>> string_open(std::int64_t profile_id) = 0;
  virtual Result<SiteMode> site_mode() = 0;
  /// The same, and until this transaction ends it stays so.
  virtual Result<SiteMode> lock_site_mode() = 0;
  virtual Status set_site_mode(SiteMode mode) = 0;
};

}  // namespace capf
