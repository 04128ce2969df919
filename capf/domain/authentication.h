#pragma once

#include <cstdint>

#include "capf/domain/operation.h"

namespace capf {

/// The facts on record of a phone that the table below asks for.
struct PhoneFacts {
  bool valid_lsc_on_record = false;  ///< confirmed, unexpired, not revoked
  bool had_own_lsc = false;          ///< one of our LSCs was once confirmed
  bool had_mic = false;              ///< a MIC once authenticated it
};

/// Operation x authentication mode x credential: succeeds where the credential is admitted; else the reason why not.
/// This is the one place that says which credential counts for what; the authenticator checks the credential itself. A
/// combination that the table does not allow by name is refused.
Status admits(OperationKind kind, AuthMode mode, CredentialKind credential, const PhoneFacts& facts);

}  // namespace capf
