#include "capf/service/prospects.h"

#include <algorithm>

#include "capf/domain/policy.h"

namespace capf::service {
namespace {

constexpr std::size_t kNamed = 5;

/// Whether this anchor could make a foreign certificate of the phone count now.
bool vouches(const TrustAnchor& anchor, AuthMode auth, const DeviceName& device, const Prospects& prospects) {
  const bool mic = anchor.store == TrustStoreName::kMic;
  if (!mic && (auth == AuthMode::kMic || prospects.kind != OperationKind::kInstall)) return false;
  const bool over = (anchor.ends_at && *anchor.ends_at <= prospects.now) || anchor.not_after <= prospects.now;
  const bool expired_counts = mic && anchor.allow_expired_until && *anchor.allow_expired_until > prospects.now;
  // The name in a MIC is what follows the last '-' of its common name.
  const bool fits = !mic || device.text().find('-') == std::string::npos;
  return (!over || expired_counts) && fits && anchor.devices.matches(device.text());
}

}  // namespace

Prospect prospect_of(const Prospects& prospects, AuthMode auth, std::int64_t phone_id, const DeviceName& device) {
  const bool by_certificate = auth == AuthMode::kLsc || auth == AuthMode::kMic;
  const bool has_lsc = prospects.with_lsc.contains(phone_id);
  const bool vouched = (auth == AuthMode::kLsc && has_lsc) ||
                       std::any_of(prospects.anchors.begin(), prospects.anchors.end(),
                                   [&](const TrustAnchor& anchor) { return vouches(anchor, auth, device, prospects); });
  return {.no_anchor = by_certificate && !vouched, .without_lsc = prospects.kind == OperationKind::kDelete && !has_lsc};
}

std::vector<std::string> warn_of(AuthMode auth, const Hopeless& phones) {
  std::vector<std::string> warnings;
  if (!phones.no_anchor.empty()) {
    warnings.push_back(std::string("no trust anchor is for the MIC of these phones") +
                       (auth == AuthMode::kLsc ? ", and they have no LSC" : "") +
                       ", so that they will be refused: " + listed(phones.no_anchor, kNamed) + "; see 'trust add'");
  }
  if (!phones.without_lsc.empty()) {
    warnings.push_back("these phones have no LSC on record that could be deleted: " +
                       listed(phones.without_lsc, kNamed));
  }
  return warnings;
}

}  // namespace capf::service
