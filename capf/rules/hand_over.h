#pragma once

#include <span>

#include "capf/ca/certificate.h"
#include "capf/rules/decision.h"
#include "capf/rules/identify.h"

namespace capf::rules {

/// A certificate that a phone hands over.
struct Handed {
  Bytes der;
  Result<ca::CertificateFacts> facts;  ///< as ca::read_certificate() has them
};

/// Troubleshoot: the certificates are kept, and authenticate nobody.
/// Errors after authentication: NO_PENDING_OPERATION, OPERATION_KIND, DEADLINE_PASSED, INVALID_REQUEST where they are
/// not 1 to 4, those of reading one.
/// @param identity for Need::kOperation
Decision<void> hand_over(const Facts& facts, const Identity& identity, std::span<const Handed> certificates);

}  // namespace capf::rules
