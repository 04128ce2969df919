#pragma once

#include <optional>
#include <string>

#include "capf/base/error.h"
#include "capf/base/time.h"
#include "capf/domain/administrator.h"
#include "capf/domain/mode.h"
#include "capf/domain/operation.h"
#include "capf/domain/setting.h"

// An operation has its terms from the command that schedules it, and else from the settings in effect of its phone.

namespace capf {

struct SaidKey {
  std::optional<KeyOrder> order{};
  std::optional<int> rsa_bits{};
  std::optional<int> ec_bits{};

  /// The table's values count where it says nothing. Errors: INVALID_KEY_POLICY.
  Status check() const;
  bool operator==(const SaidKey&) const = default;
};

/// A command says these terms; the settings in effect of the phone give the others.
struct SaidTerms {
  std::optional<AuthMode> auth{};
  SaidKey key{};
  std::optional<TimePoint> completes_by{};

  /// Errors: INVALID_KEY_POLICY.
  Status check(const SitePolicy& site) const;
};

struct Terms {
  AuthMode auth = AuthMode::kString;
  KeyPolicy key{};
  TimePoint completes_by;
  LscTerms lsc{};
  TermOwners owners{};

  bool operator==(const Terms&) const = default;
};

/// The terms of an operation that is scheduled now. An operation by null string ends within kNullStringLifetime.
Terms terms_of(const SaidTerms& said, const EffectiveSettings& settings, TimePoint now);
/// The terms of a renewal that a phone begins by itself: its LSC proves it, and its key is as before unless its profile
/// or its own values say otherwise. @param key of the operation that issued the LSC, where that is on record
Terms renewal_terms(const std::optional<KeyPolicy>& key, const EffectiveSettings& settings, TimePoint now);

/// Refuses terms that this phone cannot meet, or that this role may not decide. @param who the device, for the words.
/// Errors: STRING_CANNOT_BE_TYPED, ROLE_DENIED; ENCRYPTED_CONFIG_NEEDS_RSA for an install of an EC key alone.
Status check_terms(OperationKind kind, const Terms& terms, DeviceMode mode, const EffectiveSettings& settings,
                   Role role, const std::string& who);

}  // namespace capf
