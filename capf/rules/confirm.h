#pragma once

#include "capf/rules/decision.h"
#include "capf/rules/identify.h"

namespace capf::rules {

/// Whether the answer to a confirmation was lost: what proves the phone is the LSC that proved the operation whose
/// certificate it has confirmed, and which is superseded by that. Asked before identify(), by which that LSC is
/// refused.
bool was_confirmed(const Facts& facts, const Sha256& certificate);

/// The phone has stored the certificate, which Dossier::confirmed is the record of. Repeated calls get the same answer.
/// Errors after authentication: NOTHING_TO_CONFIRM.
/// @param identity for Need::kDevice, or one that goes on
Decision<void> confirm(const Facts& facts, const Identity& identity, const Sha256& certificate);

}  // namespace capf::rules
