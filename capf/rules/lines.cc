#include "capf/rules/lines.h"

#include <algorithm>

namespace capf::rules {
namespace {

DeviceMode mode_after(const LineMember& member, const LineChange& change) {
  const bool of_profile = change.profile_id != 0 && member.profile_id == change.profile_id;
  return of_profile || change.phones.contains(member.phone_id) ? change.next : member.facts.profile;
}

bool is_encrypted(const LineMember& member) { return effective_mode(member.facts).mode == DeviceMode::kEncrypted; }

}  // namespace

std::optional<MixedLine> mixture(const Line& line, std::span<const LineMember> members, const LineChange& change) {
  MixedLine mixed{line};
  for (const LineMember& member : members) {
    const bool encrypted = mode_after(member, change) == DeviceMode::kEncrypted;
    (encrypted ? mixed.encrypted : mixed.others).push_back(member.device);
  }
  if (mixed.encrypted.empty() || mixed.others.empty()) return std::nullopt;
  return mixed;
}

bool is_mixed_in_effect(std::span<const LineMember> members) {
  return std::any_of(members.begin(), members.end(), is_encrypted) &&
         !std::all_of(members.begin(), members.end(), is_encrypted);
}

}  // namespace capf::rules
