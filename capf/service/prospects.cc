#include "capf/service/prospects.h"

#include <algorithm>

#include "capf/domain/policy.h"

namespace capf::service {
namespace {

constexpr std::size_t kNamed = 5;

/// Whether this anchor could make a foreign certificate of the phone count now.
bool vouches(const TrustAnchor& anchor, const DeviceName& device, const Prospects& prospects) {
  const bool mic = anchor.store == TrustStoreName::kMic;
  if (!mic && (prospects.auth == AuthMode::kMic || prospects.kind != OperationKind::kInstall)) return false;
  const bool over = (anchor.ends_at && *anchor.ends_at <= prospects.now) || anchor.not_after <= prospects.now;
  const bool expired_counts = mic && anchor.allow_expired_until && *anchor.allow_expired_until > prospects.now;
  // The name in a MIC is what follows the last '-' of its common name.
  const bool fits = !mic || device.text().find('-') == std::string::npos;
  return (!over || expired_counts) && fits && anchor.devices.matches(device.text());
}

}  // namespace

std::vector<std::string> warn_of(const Prospects& prospects) {
  const bool by_certificate = prospects.auth == AuthMode::kLsc || prospects.auth == AuthMode::kMic;
  std::vector<std::string> unvouched;
  std::vector<std::string> without_lsc;
  for (const Phone& phone : prospects.phones) {
    const bool has_lsc = prospects.with_lsc.count(phone.id) != 0;
    const bool vouched =
        (prospects.auth == AuthMode::kLsc && has_lsc) ||
        std::any_of(prospects.anchors.begin(), prospects.anchors.end(),
                    [&](const TrustAnchor& anchor) { return vouches(anchor, phone.device, prospects); });
    if (by_certificate && !vouched) unvouched.push_back(phone.device.text());
    if (prospects.kind == OperationKind::kDelete && !has_lsc) without_lsc.push_back(phone.device.text());
  }
  std::vector<std::string> warnings;
  if (!unvouched.empty()) {
    warnings.push_back(std::string("no trust anchor is for the MIC of these phones") +
                       (prospects.auth == AuthMode::kLsc ? ", and they have no LSC" : "") +
                       ", so that they will be refused: " + listed(unvouched, kNamed) + "; see 'trust add'");
  }
  if (!without_lsc.empty()) {
    warnings.push_back("these phones have no LSC on record that could be deleted: " + listed(without_lsc, kNamed));
  }
  return warnings;
}

}  // namespace capf::service
