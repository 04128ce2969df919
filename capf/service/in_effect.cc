#include "capf/service/in_effect.h"

#include <utility>

namespace capf::service {

Result<SettingsInEffect::Of> SettingsInEffect::of(const ProfiledPhone& phone) {
  auto known = profiles_.find(phone.profile_id);
  if (known == profiles_.end()) {
    CAPF_LET(auto found, tx_.profiles().find(phone.profile_id));
    if (!found) return fail(Reason::kChangedMeanwhile, "a profile was removed meanwhile");
    EffectiveSettings settings = effective_settings(policy_, found->settings, {});
    known = profiles_.emplace(phone.profile_id, Known{*std::move(found), std::move(settings)}).first;
  }
  const Profile& profile = known->second.profile;
  if (phone.settings.empty()) return Of{profile.mode, &known->second.settings};
  own_ = effective_settings(policy_, profile.settings, phone.settings);
  return Of{profile.mode, &*own_};
}

}  // namespace capf::service
