#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "capf/domain/database.h"
#include "capf/domain/policy.h"
#include "capf/domain/profile_store.h"

namespace capf::service {

/// The settings in effect of phones, one by one: each profile is looked up once. It lives as long as its transaction.
class SettingsInEffect {
 public:
  struct Of {
    DeviceMode mode = DeviceMode::kNonsecure;     ///< of its profile
    const EffectiveSettings* settings = nullptr;  ///< until the next call
  };

  SettingsInEffect(Transaction& tx, const SitePolicy& policy) : tx_(tx), policy_(policy) {}

  /// Errors: CHANGED_MEANWHILE where its profile was removed.
  Result<Of> of(const ProfiledPhone& phone);

 private:
  struct Known {
    Profile profile;
    EffectiveSettings settings;  ///< of phones without values of their own
  };

  Transaction& tx_;
  const SitePolicy& policy_;
  std::map<std::int64_t, Known> profiles_;
  std::optional<EffectiveSettings> own_;
};

}  // namespace capf::service
