#include "storage/modes.h"

#include <algorithm>

namespace capf::storage {
namespace {

/// Whether nothing lowers the mode of the phone's profile.
std::string is_not_lowered() {
  return "d.blocked_at is null and " + site_mode() + " = 'mixed' and (" + lsc_status("l") +
         " = 'valid' or (d.profile_id = any (array(select id from profiles a where " + allows_mic("a") + ")) and " +
         mic_is_good("d") + "))";
}

}  // namespace

std::string site_mode() { return "(select mode from site_security where only_one)"; }

std::string lsc_status(const std::string& lsc) {
  return "case when " + lsc + ".lsc = 'valid' and " + lsc + ".not_after <= now() then 'expired' else coalesce(" + lsc +
         ".lsc, 'none') end";
}

std::string mic_is_good(const std::string& phone) {
  return "exists (select from phone_mics m where m.phone_id = " + phone + ".id and m.sha256 = " + phone +
         ".mic_sha256 and m.not_before <= now() and m.not_after > now() and not " + mic_is_blocked() + ")";
}

// A phone has few MICs in its life, so their keys are not told apart here.
std::string mic_is_blocked() {
  return "(exists (select from blocked_certificates b where b.sha256 = m.sha256) or exists (select from public_keys k "
         "where k.owner = 'mic' and k.phone_id = m.phone_id and (k.compromised or exists (select from "
         "blocked_certificates b where b.key_sha256 = k.sha256) or exists (select from blocked_certificates b where "
         "b.modulus_sha256 = k.sha256))))";
}

std::string allows_mic(const std::string& profile) {
  return "coalesce(" + profile + ".settings ->> 'allow_mic', 'off') = 'on'";
}

std::string profiles_of(const std::vector<DeviceMode>& modes) {
  std::string words;
  for (const DeviceMode mode : modes) (words += words.empty() ? "'" : ", '").append(to_string(mode)) += '\'';
  return "array(select id from profiles where mode in (" + (words.empty() ? "null" : words) + "))";
}

std::string has_effective_mode(const std::vector<DeviceMode>& modes) {
  std::vector<DeviceMode> secure = modes;
  std::erase(secure, DeviceMode::kNonsecure);
  std::string condition = "(d.profile_id = any (" + profiles_of(secure) + ") and " + is_not_lowered() + ")";
  if (secure.size() < modes.size()) {
    condition +=
        " or d.profile_id = any (" + profiles_of({DeviceMode::kNonsecure}) + ") or not (" + is_not_lowered() + ")";
  }
  return "(" + condition + ")";
}

}  // namespace capf::storage
