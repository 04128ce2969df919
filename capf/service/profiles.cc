#include "capf/service/profiles.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "capf/domain/audit_store.h"
#include "capf/service/shared_lines.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

Status check_not_first(const Profile& profile) {
  if (profile.id != kFirstProfile) return {};
  return fail(Reason::kProfileFixed,
              "the profile " + profile.name + " is there from the start and stays as it is: copy it to another name");
}

/// The settings of a phone with this profile and no values of its own.
EffectiveSettings settings_of(const SitePolicy& policy, const Profile& profile) {
  return effective_settings(policy, profile.settings, {});
}

Status check_profile(const SitePolicy& policy, const Profile& profile) {
  CAPF_TRY(check_profile_name(profile.name));
  CAPF_TRY(check_profile_description(profile.description));
  CAPF_TRY(check_limits(profile.settings, policy));
  return check_combination(profile.mode, settings_of(policy, profile)).status();
}

std::vector<std::string> warnings_of(const SitePolicy& policy, const Profile& profile) {
  const EffectiveSettings settings = settings_of(policy, profile);
  std::vector<std::string> warnings = check_combination(profile.mode, settings).warnings;
  for (std::string& words : consequences(profile.mode, settings)) warnings.push_back(std::move(words));
  return warnings;
}

Result<Profile> changed_profile(Profile profile, const ProfileChange& change) {
  if (change.description) profile.description = *change.description;
  if (change.mode) profile.mode = *change.mode;
  CAPF_TRY(change_settings(change.set, change.unset, profile.settings));
  return profile;
}

/// `mode encrypted, encrypted_config=on, without key_order` for the record.
std::string words_of(const ProfileChange& change) {
  std::string words;
  const auto add = [&](const std::string& some) {
    if (!some.empty()) words += (words.empty() ? "" : ", ") + some;
  };
  if (change.mode) add("mode " + std::string(to_string(*change.mode)));
  add(capf::words_of(change.set, change.unset));
  if (change.description) add("description \"" + *change.description + "\"");
  return words;
}

// Modes --------------------------------------------------------------------------------------------------------------

std::int64_t sum_of(const std::vector<PhonesAlike>& alike) {
  std::int64_t phones = 0;
  for (const PhonesAlike& some : alike) phones += some.phones;
  return phones;
}

/// The phones whose mode in effect is another one after a change. @param before and after complete the facts
template <class Before, class After>
std::int64_t count_changes(const std::vector<PhonesAlike>& alike, Before before, After after) {
  std::int64_t phones = 0;
  for (const PhonesAlike& some : alike) {
    if (effective_mode(before(some)).mode != effective_mode(after(some)).mode) phones += some.phones;
  }
  return phones;
}

/// Completes the facts with the site's mode.
auto in_site(SiteMode site) {
  return [site](const PhonesAlike& some) {
    ModeFacts facts = some.facts;
    facts.site = site;
    return facts;
  };
}

Result<SiteModeEffect> effect_of(Transaction& tx, SiteMode before, SiteMode after) {
  CAPF_LET(const auto alike, tx.profiles().alike(std::nullopt));
  std::vector<PhonesAlike> secure;
  std::copy_if(alike.begin(), alike.end(), std::back_inserter(secure),
               [](const PhonesAlike& some) { return some.facts.profile != DeviceMode::kNonsecure; });
  return SiteModeEffect{before, sum_of(secure), count_changes(secure, in_site(before), in_site(after))};
}

/// The names of the settings whose values differ and are read by a phone when it starts.
std::vector<std::string> restarting(const EffectiveSettings& before, const EffectiveSettings& after) {
  std::vector<std::string> names;
  for (const PhoneSetting& setting : phone_settings()) {
    const Effective* const was = before.find(setting.name);
    const Effective* const is = after.find(setting.name);
    const bool same = was == nullptr || is == nullptr ? was == is : was->value == is->value;
    if (!same && setting.reach == Reach::kRestart) names.push_back(setting.name);
  }
  return names;
}

// Changes ------------------------------------------------------------------------------------------------------------

Result<Profile> locked_profile(Transaction& tx, const std::string& name) {
  CAPF_TRY(tx.profiles().lock());
  CAPF_LET(auto profile, tx.profiles().lock(name));
  if (!profile) return unknown_profile(name);
  return *std::move(profile);
}
/// With the count of its phones.
Result<Profile> found_profile(Transaction& tx, const std::string& name) {
  CAPF_LET(auto profile, tx.profiles().find(name));
  if (!profile) return unknown_profile(name);
  CAPF_LET(profile->phones, tx.profiles().count(profile->id));
  return *std::move(profile);
}

Status check_revision(const Profile& profile, const ProfileChange& change) {
  if (!change.revision || *change.revision == profile.revision) return {};
  return fail(Reason::kChangedMeanwhile, "the profile " + profile.name + " was changed meanwhile: it is of revision " +
                                             std::to_string(profile.revision) + " now, not " +
                                             std::to_string(*change.revision));
}

constexpr std::int64_t kMostCounted = 100'000;  ///< phones that a refusal counts

/// Phones that a change of their profile leaves with a combination that cannot work.
struct LeftOver {
  Reason reason = Reason::kSettingsConflict;
  std::string device;  ///< of one of them
  std::int64_t phones = 0;
};

/// The faults that a change brings to phones for values of their own, by their words.
Result<std::map<std::string, LeftOver>> find_left_over(Transaction& tx, const SitePolicy& policy, const Profile& before,
                                                       const Profile& after) {
  std::map<std::string, LeftOver> faults;
  CAPF_LET(const auto kinds, tx.profiles().own_kinds(before.id));
  for (const OwnKind& kind : kinds) {
    const Findings was = check_combination(before.mode, effective_settings(policy, before.settings, kind.settings));
    const Findings would = check_combination(after.mode, effective_settings(policy, after.settings, kind.settings));
    std::set<std::string> known;
    for (const Error& refusal : was.refusals) known.insert(refusal.message);
    std::optional<std::int64_t> phones;
    for (const Error& refusal : would.refusals) {
      if (known.contains(refusal.message)) continue;
      if (!phones) {
        CAPF_LET(phones, tx.profiles().count_of_kind(before.id, kind.phone_id, kMostCounted + 1));
      }
      LeftOver& fault = faults.try_emplace(refusal.message, LeftOver{refusal.reason, kind.device}).first->second;
      fault.phones += *phones;
    }
  }
  return faults;
}

/// Refuses a change of a profile that some of its phones cannot follow, because they have values of their own.
Status check_left_over(Transaction& tx, const SitePolicy& policy, const Profile& before, const Profile& after) {
  if (after.mode == before.mode && after.settings == before.settings) return {};
  const auto typed = [&](const Profile& profile) {
    const EffectiveSettings settings = settings_of(policy, profile);
    const Effective* const access = settings.find("settings_access");
    return access == nullptr || access->value != "off";
  };
  if (typed(before) && !typed(after)) {
    CAPF_LET(const auto device, tx.profiles().string_open(before.id));
    if (device) {
      return fail(Reason::kStringCannotBeTyped,
                  *device + " waits for an authentication string, which cannot be typed with settings_access off");
    }
  }
  CAPF_LET(const auto faults, find_left_over(tx, policy, before, after));
  if (faults.empty()) return {};
  std::string words;
  for (const auto& [fault, phones] : faults) {
    words += words.empty() ? "nothing was changed: " : "; ";
    words += phones.phones > kMostCounted ? "more than " + std::to_string(kMostCounted) : std::to_string(phones.phones);
    words += phones.phones == 1 ? " phone cannot follow it with its own values"
                                : " phones cannot follow it with their own values";
    words += ", as " + phones.device + ": " + fault;
  }
  return fail(faults.begin()->second.reason, std::move(words));
}

/// The profile as a change leaves it. Errors: those of Profiles::set().
Result<Profile> checked_change(const SitePolicy& policy, const Profile& before, const ProfileChange& change) {
  CAPF_TRY(check_not_first(before));
  CAPF_TRY(check_revision(before, change));
  if (change.empty()) return fail(Reason::kInvalidRequest, "there is nothing to change");
  CAPF_LET(Profile after, changed_profile(before, change));
  CAPF_TRY(check_profile(policy, after));
  return after;
}

}  // namespace

Result<ProfileView> Profiles::add(const Actor& actor, const NewProfile& wanted) {
  return in_write(database_, actor, [&](Transaction& tx) -> Result<ProfileView> {
    CAPF_TRY(tx.profiles().lock());
    Profile base{.settings = fresh_profile_settings()};
    if (!wanted.copy_of.empty()) {
      CAPF_LET(base, held_profile(tx, wanted.copy_of));
    }
    CAPF_LET(Profile profile, changed_profile(std::move(base), wanted.change));
    profile.name = wanted.name;
    CAPF_TRY(check_profile(policy_, profile));
    CAPF_TRY(tx.profiles().add(profile));
    const std::string from = wanted.copy_of.empty() ? "" : "as " + wanted.copy_of + ", ";
    CAPF_TRY(tx.audit().add(done(actor, "profile.add", profile.name,
                                 from + "mode " + std::string(to_string(profile.mode)) +
                                     (profile.settings.empty() ? "" : ", ") + capf::words_of(profile.settings))));
    CAPF_LET(profile, found_profile(tx, wanted.name));
    std::vector<std::string> warnings = warnings_of(policy_, profile);
    return ProfileView{std::move(profile), std::move(warnings)};
  });
}

Result<ProfileEffect> Profiles::set(const Actor& actor, const std::string& name, const ProfileChange& change,
                                    bool allow_mixed) {
  return in_write(database_, actor, [&](Transaction& tx) -> Result<ProfileEffect> {
    CAPF_LET(const Profile before, locked_profile(tx, name));
    CAPF_LET(const Profile after, checked_change(policy_, before, change));
    CAPF_TRY(check_left_over(tx, policy_, before, after));
    if (after.mode != before.mode) {
      CAPF_TRY(SharedLines::settle_profile(tx, actor, before.id, after.mode, allow_mixed));
    }
    CAPF_TRY(tx.profiles().set(after));
    CAPF_TRY(tx.audit().add(done(actor, "profile.set", name, words_of(change))));
    CAPF_LET(Profile now, found_profile(tx, name));
    std::vector<std::string> warnings = warnings_of(policy_, now);
    return ProfileEffect{{std::move(now), std::move(warnings)}};
  });
}

Result<ProfileEffect> Profiles::check(const std::string& name, const ProfileChange& change, bool allow_mixed) {
  return in_read(database_, [&](Transaction& tx) -> Result<ProfileEffect> {
    CAPF_LET(const Profile before, found_profile(tx, name));
    CAPF_LET(Profile after, checked_change(policy_, before, change));
    CAPF_TRY(check_left_over(tx, policy_, before, after));
    LineVerdict lines;
    if (after.mode != before.mode) {
      CAPF_LET(lines, SharedLines::preview_profile(tx, before.id, after.mode));
    }
    if (!allow_mixed) CAPF_TRY(lines.check());
    CAPF_LET(ProfileEffect effect, effect_of(tx, before, std::move(after)));
    for (std::string& words : lines.words()) effect.view.warnings.push_back(std::move(words));
    return effect;
  });
}

Result<ProfileEffect> Profiles::effect_of(Transaction& tx, const Profile& before, Profile after) const {
  const EffectiveSettings was = settings_of(policy_, before);
  const EffectiveSettings would = settings_of(policy_, after);
  CAPF_LET(const SiteMode site, tx.profiles().site_mode());
  CAPF_LET(const auto alike, tx.profiles().alike(before.id));
  ProfileEffect effect;
  effect.mode_changes = count_changes(alike, in_site(site), [&](const PhonesAlike& some) {
    ModeFacts facts = in_site(site)(some);
    facts.profile = after.mode;
    facts.good_mic = would.allow_mic() && some.mic_in_time;
    return facts;
  });
  if (const std::vector<std::string> names = restarting(was, would); !names.empty()) {
    CAPF_LET(const std::int64_t own, tx.profiles().count_with_own(before.id, names));
    effect.restarts = before.phones - own;
  }
  effect.view.warnings = warnings_of(policy_, after);
  effect.view.profile = std::move(after);
  return effect;
}

Result<Profile> Profiles::rename(const Actor& actor, const std::string& name, const std::string& new_name) {
  CAPF_TRY(check_profile_name(new_name));
  return in_write(database_, actor, [&](Transaction& tx) -> Result<Profile> {
    CAPF_LET(Profile profile, locked_profile(tx, name));
    CAPF_TRY(check_not_first(profile));
    CAPF_LET(const auto other, tx.profiles().find(new_name));
    if (other) return fail(Reason::kProfileExists, "there is a profile \"" + new_name + "\" already");
    profile.name = new_name;
    CAPF_TRY(tx.profiles().set(profile));
    CAPF_TRY(tx.audit().add(done(actor, "profile.rename", name, "to " + new_name)));
    return found_profile(tx, new_name);
  });
}

Status Profiles::remove(const Actor& actor, const std::string& name) {
  return in_write(database_, actor, [&](Transaction& tx) -> Status {
    CAPF_LET(const Profile profile, locked_profile(tx, name));
    CAPF_TRY(check_not_first(profile));
    CAPF_LET(const std::int64_t phones, tx.profiles().count(profile.id));
    if (phones > 0) {
      return fail(Reason::kProfileInUse, std::to_string(phones) + (phones == 1 ? " phone has" : " phones have") +
                                             " the profile " + name + ": 'capfctl phone list --profile' shows them");
    }
    CAPF_TRY(tx.profiles().remove(profile.id));
    return tx.audit().add(done(actor, "profile.remove", name));
  });
}

Result<std::vector<Profile>> Profiles::list(const Page& page) {
  return in_read(database_, [&](Transaction& tx) { return tx.profiles().list(page); });
}

Result<ProfileView> Profiles::show(const std::string& name) {
  return in_read(database_, [&](Transaction& tx) -> Result<ProfileView> {
    CAPF_LET(Profile profile, found_profile(tx, name));
    std::vector<std::string> warnings = warnings_of(policy_, profile);
    return ProfileView{std::move(profile), std::move(warnings)};
  });
}

Result<SiteMode> Profiles::site_mode() {
  return in_read(database_, [](Transaction& tx) { return tx.profiles().site_mode(); });
}

Result<SiteModeEffect> Profiles::set_site_mode(const Actor& actor, SiteMode mode) {
  return in_write(database_, actor, [&](Transaction& tx) -> Result<SiteModeEffect> {
    CAPF_LET(const SiteMode before, tx.profiles().lock_site_mode());
    if (before == mode) return SiteModeEffect{before};
    CAPF_TRY(tx.profiles().set_site_mode(mode));
    CAPF_TRY(tx.audit().add(done(actor, "site.security_mode", "",
                                 std::string(to_string(mode)) + ", was " + std::string(to_string(before)))));
    return SiteModeEffect{before};
  });
}

Result<SiteModeEffect> Profiles::check_site_mode(SiteMode mode) {
  return in_read(database_, [&](Transaction& tx) -> Result<SiteModeEffect> {
    CAPF_LET(const SiteMode before, tx.profiles().site_mode());
    return service::effect_of(tx, before, mode);
  });
}

}  // namespace capf::service
