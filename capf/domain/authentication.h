#pragma once

#include <cstdint>

#include "capf/domain/operation.h"

namespace capf {

/// What the records say of the phone, as far as the table below asks.
struct PhoneFacts {
  bool valid_lsc_on_record = false;  ///< confirmed, unexpired, not revoked
  bool had_own_lsc = false;          ///< an LSC of ours was once confirmed
  bool had_mic = false;              ///< a MIC once authenticated it
};

/// Operation x authentication mode x credential: nothing that decides, or the reason of the refusal. This is the one
/// place that says which credential counts for what; whether the credential itself is good is the authenticator's.
/// Whatever is not allowed here by name is refused.
Status admits(OperationKind kind, AuthMode mode, CredentialKind credential, const PhoneFacts& facts);

}  // namespace capf
