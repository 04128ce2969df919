#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "capf/domain/administrator.h"
#include "capf/domain/database.h"
#include "capf/domain/policy.h"
#include "capf/domain/profile_store.h"
#include "capf/service/bulk.h"
#include "capf/service/operations.h"

namespace capf::service {

/// A profile to be added.
struct NewProfile {
  std::string name;
  std::string copy_of;   ///< another profile's name; empty: a hardened one
  ProfileChange change;  ///< of that one
};

/// A profile, with what an administrator should know of it.
struct ProfileView {
  Profile profile;
  std::vector<std::string> warnings;
};

/// The reach of a change of a profile.
struct ProfileEffect {
  ProfileView view;               ///< as it is now, or would be
  std::int64_t mode_changes = 0;  ///< dry run: phones whose mode in effect would be another
  std::int64_t restarts = 0;      ///< dry run: phones for which another value changes that they read at a start
};

struct PhoneFinding {
  std::string device;
  std::optional<Reason> reason;  ///< absent: a remark
  std::string message;
};

/// Operations that install an LSC, for phones that a profile is applied to.
struct InstallWish {
  std::map<DeviceName, Secret> strings{};  ///< these two as in ScheduleBulk; other phones may be among them
  std::map<DeviceName, TimePoint> deadlines{};
  Bytes run{};  ///< as in OperationBulk
};

struct ApplyRequest {
  std::string profile;
  bool anyway = false;       ///< NO_CERTIFICATE refuses nothing
  bool lines = false;        ///< the other phones of their lines get it too, in the same transaction
  bool allow_mixed = false;  ///< lines may be mixed by it, from then on
  /// Schedules an install, in the same transaction, for the phones that have no LSC to go by and nothing pending.
  std::optional<InstallWish> install{};
};

struct ApplyAnswer {
  int selected = 0;                    ///< phones of this batch
  int changed = 0;                     ///< those of them that had another profile
  int waiting = 0;                     ///< those whose mode will be in effect once they have confirmed an LSC
  std::vector<PhoneFinding> problems;  ///< dry run
  std::vector<PhoneFinding> remarks;
  std::int64_t count = 0;               ///< dry run: phones of the whole bulk, in the first call
  std::vector<Scheduled> operations{};  ///< that install an LSC, of this run
  std::vector<BulkPhone> installs{};    ///< dry run: phones that would get one
  std::optional<BulkCursor> next;
};

/// A change of phones' own values.
struct OwnChange {
  Settings set{};  ///< by parse_settings()
  std::vector<std::string> unset{};
};

struct OwnAnswer {
  int selected = 0;
  int changed = 0;
  std::optional<BulkCursor> next;
};

/// All that is in effect of one phone.
struct PhoneSettings {
  Phone phone;
  EffectiveSettings settings;
};

struct SiteModeEffect {
  SiteMode before = SiteMode::kNonsecure;
  std::int64_t secure = 0;   ///< dry run: phones of profiles that are not nonsecure
  std::int64_t changes = 0;  ///< dry run: those of them whose mode in effect would be another
};

/// The settings in effect of a phone on record.
Result<EffectiveSettings> settings_of(Transaction& tx, const SitePolicy& policy, std::int64_t phone_id);

/// The administrator's use cases of profiles, of phones' own settings and of the site's mode. Threads: any.
class Profiles {
 public:
  Profiles(Database& database, const SitePolicy& policy, Operations& operations)
      : database_(database), policy_(policy), operations_(operations) {}

  // Errors of those that name a profile: UNKNOWN_PROFILE.

  /// Errors: PROFILE_EXISTS, INVALID_REQUEST, INVALID_SETTING, and those of check_combination().
  Result<ProfileView> add(const Actor& actor, const NewProfile& wanted);
  /// Writes no phone. Errors: PROFILE_FIXED, CHANGED_MEANWHILE where it has not the revision any more, and as above;
  /// SHARED_LINE_MIXED; for phones with values of their own that it would make impossible, those of
  /// check_combination() with the count. @param allow_mixed lines may be mixed by it, from then on
  Result<ProfileEffect> set(const Actor& actor, const std::string& name, const ProfileChange& change,
                            bool allow_mixed = false);
  /// The reach that the change would have. Errors: those of set().
  Result<ProfileEffect> check(const std::string& name, const ProfileChange& change, bool allow_mixed = false);
  /// Errors: PROFILE_FIXED, PROFILE_EXISTS, INVALID_REQUEST.
  Result<Profile> rename(const Actor& actor, const std::string& name, const std::string& new_name);
  /// Errors: PROFILE_FIXED, PROFILE_IN_USE with the count of its phones.
  Status remove(const Actor& actor, const std::string& name);
  Result<std::vector<Profile>> list(const Page& page);
  Result<ProfileView> show(const std::string& name);

  /// Gives the next batch of a bulk a profile, all of it or none. Errors: those of take_batch(); that of the first
  /// problem; ROLE_DENIED.
  Result<ApplyAnswer> apply(const Actor& actor, Role role, const Bulk& bulk, const ApplyRequest& request);
  /// Looks at the next batch, and finds all of its problems.
  Result<ApplyAnswer> check_apply(Role role, const Bulk& bulk, const ApplyRequest& request);
  /// Changes the own values of the phones of the next batch, all or none. Errors: those of take_batch();
  /// INVALID_REQUEST, INVALID_SETTING, ROLE_DENIED and those of check_combination(), with the phone.
  Result<OwnAnswer> change_own(const Actor& actor, Role role, const Bulk& bulk, const OwnChange& change);
  /// Errors: UNKNOWN_DEVICE.
  Result<PhoneSettings> effective(const DeviceName& device);

  Result<SiteMode> site_mode();
  /// Writes no phone.
  Result<SiteModeEffect> set_site_mode(const Actor& actor, SiteMode mode);
  Result<SiteModeEffect> check_site_mode(SiteMode mode);

 private:
  /// Schedules installs. @param done operations of earlier calls of the run
  Result<std::vector<Scheduled>> install(Transaction& tx, const Actor& actor, const InstallWish& wish,
                                         std::vector<Planned> phones, const std::vector<std::int64_t>& done);
  Result<ProfileEffect> effect_of(Transaction& tx, const Profile& before, Profile after) const;

  Database& database_;
  const SitePolicy& policy_;
  Operations& operations_;
};

}  // namespace capf::service
