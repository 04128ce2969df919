#include "capf/domain/certificate.h"

#include <algorithm>

namespace capf {

std::string_view to_string(RevocationReason reason) {
  switch (reason) {
    case RevocationReason::kUnspecified: return "unspecified";
    case RevocationReason::kKeyCompromise: return "keyCompromise";
    case RevocationReason::kCaCompromise: return "cACompromise";
    case RevocationReason::kAffiliationChanged: return "affiliationChanged";
    case RevocationReason::kSuperseded: return "superseded";
    case RevocationReason::kCessationOfOperation: return "cessationOfOperation";
    case RevocationReason::kCertificateHold: return "certificateHold";
    case RevocationReason::kPrivilegeWithdrawn: return "privilegeWithdrawn";
    case RevocationReason::kAaCompromise: return "aACompromise";
  }
  CAPF_INVARIANT(false);
}

std::optional<RevocationReason> parse_revocation_reason(std::string_view text) {
  const auto found = std::find_if(kRevocationReasons.begin(), kRevocationReasons.end(),
                                  [&](RevocationReason reason) { return to_string(reason) == text; });
  if (found == kRevocationReasons.end()) return std::nullopt;
  return *found;
}

std::optional<RevocationReason> revocation_reason_from_code(int code) {
  const auto found = std::find_if(kRevocationReasons.begin(), kRevocationReasons.end(),
                                  [&](RevocationReason reason) { return static_cast<int>(reason) == code; });
  if (found == kRevocationReasons.end()) return std::nullopt;
  return *found;
}

std::string_view to_string(CertificateKind kind) {
  switch (kind) {
    case CertificateKind::kLsc: return "lsc";
    case CertificateKind::kHandedOver: return "handed_over";
  }
  CAPF_INVARIANT(false);
}

std::optional<CertificateKind> parse_certificate_kind(std::string_view text) {
  if (text == "lsc") return CertificateKind::kLsc;
  if (text == "handed_over") return CertificateKind::kHandedOver;
  return std::nullopt;
}

std::string_view to_string(CertificateState state) {
  switch (state) {
    case CertificateState::kSuperseded: return "superseded";
    case CertificateState::kRevoked: return "revoked";
    case CertificateState::kExpired: return "expired";
    case CertificateState::kConfirmed: return "confirmed";
    case CertificateState::kIssued: return "issued";
  }
  CAPF_INVARIANT(false);
}

std::optional<CertificateState> parse_certificate_state(std::string_view text) {
  const auto found = std::find_if(kCertificateStates.begin(), kCertificateStates.end(),
                                  [&](CertificateState state) { return to_string(state) == text; });
  if (found == kCertificateStates.end()) return std::nullopt;
  return *found;
}

std::string_view to_string(Possession possession) {
  switch (possession) {
    case Possession::kPkcs10: return "pkcs10";
    case Possession::kNone: return "none";
  }
  CAPF_INVARIANT(false);
}

std::optional<Possession> parse_possession(std::string_view text) {
  if (text == "pkcs10") return Possession::kPkcs10;
  if (text == "none") return Possession::kNone;
  return std::nullopt;
}

CertificateState Certificate::state(TimePoint now) const {
  if (superseded_at) return CertificateState::kSuperseded;
  if (revoked_at) return CertificateState::kRevoked;
  if (now > not_after) return CertificateState::kExpired;
  return confirmed_at ? CertificateState::kConfirmed : CertificateState::kIssued;
}

bool Certificate::valid(TimePoint now) const {
  return kind == CertificateKind::kLsc && state(now) == CertificateState::kConfirmed && now >= not_before;
}

bool Certificate::due_for_renewal(TimePoint now, int percent) const {
  return now >= not_before + (not_after - not_before) / 100 * percent;
}

}  // namespace capf
