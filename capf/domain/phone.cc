#include "capf/domain/phone.h"

#include <algorithm>
#include <span>

#include "capf/base/utf8.h"

namespace capf {

Status check_description(std::string_view description) {
  const bool is_text = !find_not_utf8(description) && cut_characters(description, kLongestDescription) == description;
  const auto is_control = [](char32_t c) { return c < 0x20 || (c >= 0x7f && c < 0xa0); };
  bool has_control = false;
  for (std::string_view rest = description; is_text && !rest.empty();) has_control |= is_control(take_code_point(rest));
  if (is_text && !has_control) return {};
  return fail(Reason::kInvalidRequest, "no description: it has up to 128 characters of UTF-8, none of them a control");
}

Status check_tag(std::string_view tag) {
  if (tag.size() <= 32 && DeviceName::parse(tag)) return {};
  return fail(Reason::kInvalidRequest,
              "no tag: it has 1 to 32 of A-Z, a-z, 0-9, '.', '_' and '-', with a letter or digit at both ends");
}

namespace {

Status check_tags(std::span<const std::string> tags) {
  if (tags.size() > kMostTags) {
    return fail(Reason::kInvalidRequest, "a phone has at most " + std::to_string(kMostTags) + " tags");
  }
  for (const std::string& tag : tags) {
    const Status good = check_tag(tag);
    if (!good) return fail(Reason::kInvalidRequest, "\"" + tag + "\" is " + good.error().message);
  }
  return {};
}

}  // namespace

Status PhoneChange::check() const {
  if (!description && added_tags.empty() && removed_tags.empty() && !sets_tags) {
    return fail(Reason::kInvalidRequest, "there is nothing to change: neither a description nor tags");
  }
  if (description) CAPF_TRY(check_description(*description));
  CAPF_TRY(check_tags(added_tags));
  CAPF_TRY(check_tags(removed_tags));
  if (sets_tags && !removed_tags.empty()) {
    return fail(Reason::kInvalidRequest, "tags are set, or some are removed");
  }
  for (const std::string& tag : added_tags) {
    if (std::find(removed_tags.begin(), removed_tags.end(), tag) == removed_tags.end()) continue;
    return fail(Reason::kInvalidRequest, "the tag " + tag + " is added and removed");
  }
  return {};
}

Status ImportedPhone::check() const {
  if (const Status good = check_model(model); !good) {
    return fail(Reason::kInvalidRequest, "\"" + model + "\" is " + good.error().message);
  }
  if (description) CAPF_TRY(check_description(*description));
  if (tags) CAPF_TRY(check_tags(std::vector<std::string>(tags->begin(), tags->end())));
  return {};
}

std::vector<std::string> ImportedPhone::differences(const Phone& phone) const {
  std::vector<std::string> differences;
  if (!model.empty() && model != phone.model) differences.emplace_back("model");
  if (description && *description != phone.description) differences.emplace_back("description");
  if (tags && !std::equal(tags->begin(), tags->end(), phone.tags.begin(), phone.tags.end())) {
    differences.emplace_back("tags");
  }
  return differences;
}

std::string_view to_string(LscStatus status) {
  switch (status) {
    case LscStatus::kNone: return "none";
    case LscStatus::kValid: return "valid";
    case LscStatus::kExpired: return "expired";
    case LscStatus::kRevoked: return "revoked";
    case LscStatus::kHeld: return "held";
  }
  CAPF_INVARIANT(false);
}

std::optional<LscStatus> parse_lsc_status(std::string_view text) {
  const auto found = std::find_if(kLscStatuses.begin(), kLscStatuses.end(),
                                  [&](LscStatus status) { return to_string(status) == text; });
  if (found == kLscStatuses.end()) return std::nullopt;
  return *found;
}

}  // namespace capf
