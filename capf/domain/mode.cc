#include "capf/domain/mode.h"

#include <algorithm>
#include <utility>

namespace capf {
namespace {

constexpr std::array<std::string_view, kDeviceModes.size()> kDeviceWords{"nonsecure", "authenticated", "encrypted"};
constexpr std::array<std::string_view, kSiteModes.size()> kSiteWords{"nonsecure", "mixed"};
constexpr std::array<std::string_view, 8> kReasonWords{"NONE",
                                                       "SITE_NONSECURE",
                                                       "REMOVED",
                                                       "BLOCKED",
                                                       "NO_CERTIFICATE",
                                                       "CERTIFICATE_EXPIRED",
                                                       "CERTIFICATE_REVOKED",
                                                       "CERTIFICATE_HELD"};

/// The fault of an LSC that keeps its phone from being secure.
ModeReason fault_of(LscStatus lsc) {
  switch (lsc) {
    case LscStatus::kNone: return ModeReason::kNoCertificate;
    case LscStatus::kValid: return ModeReason::kNone;
    case LscStatus::kExpired: return ModeReason::kCertificateExpired;
    case LscStatus::kRevoked: return ModeReason::kCertificateRevoked;
    case LscStatus::kHeld: return ModeReason::kCertificateHeld;
  }
  return ModeReason::kNoCertificate;
}

ModeReason reason_to_lower(const ModeFacts& facts) {
  if (facts.removed) return ModeReason::kRemoved;
  if (facts.blocked) return ModeReason::kBlocked;
  if (facts.site == SiteMode::kNonsecure) return ModeReason::kSiteNonsecure;
  return facts.good_mic ? ModeReason::kNone : fault_of(facts.lsc);
}

template <class Value, std::size_t kCount>
std::optional<Value> parse(std::string_view text, const std::array<std::string_view, kCount>& words) {
  const auto found = std::find(words.begin(), words.end(), text);
  if (found == words.end()) return std::nullopt;
  return static_cast<Value>(found - words.begin());
}

}  // namespace

std::string_view to_string(DeviceMode mode) { return kDeviceWords.at(static_cast<std::size_t>(mode)); }
std::optional<DeviceMode> parse_device_mode(std::string_view text) { return parse<DeviceMode>(text, kDeviceWords); }
std::string_view to_string(SiteMode mode) { return kSiteWords.at(static_cast<std::size_t>(mode)); }
std::optional<SiteMode> parse_site_mode(std::string_view text) { return parse<SiteMode>(text, kSiteWords); }
std::string_view to_string(ModeReason reason) { return kReasonWords.at(static_cast<std::size_t>(reason)); }

EffectiveMode effective_mode(const ModeFacts& facts) {
  if (facts.profile == DeviceMode::kNonsecure) return {};
  const ModeReason reason = reason_to_lower(facts);
  if (reason != ModeReason::kNone) return {DeviceMode::kNonsecure, reason};
  return {facts.profile, ModeReason::kNone};
}

}  // namespace capf
