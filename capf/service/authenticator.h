#pragma once

#include <functional>
#include <optional>
#include <string>

#include "capf/base/time.h"
#include "capf/ca/authstring.h"
#include "capf/domain/authentication.h"
#include "capf/domain/policy.h"
#include "capf/domain/store.h"
#include "capf/service/caller.h"
#include "capf/service/trust.h"

namespace capf::service {

/// A caller who has proven the device, and how.
struct Proven {
  Phone phone;
  std::optional<Operation> operation;    ///< the open one
  CredentialKind by = CredentialKind::kNone;
  std::optional<Sha256> certificate;     ///< the one that proved it
  std::optional<Certificate> lsc;        ///< its record, for kOwnLsc
  std::optional<ca::JudgedMic> mic;      ///< for kMic
};

/// What a refusal told the world about the caller: who is refused before they proved the device changes nothing.
struct Refusal {
  Error error;                     ///< the true one
  std::optional<Phone> phone;      ///< the device, where there is one
  std::optional<Operation> operation;
  bool superseded_lsc = false;     ///< the key of a superseded LSC was proven
};

/// The one place that judges who a phone is, for every transport. Threads: any.
class Authenticator {
 public:
  /// @param on_refusal is told the true reason of every refusal; may be empty.
  Authenticator(Database& database, const ca::StringKey& strings, const SitePolicy& policy, const Clock& clock,
                std::function<void(Reason)> on_refusal)
      : database_(database), strings_(strings), policy_(policy), clock_(clock), on_refusal_(std::move(on_refusal)) {}

  /// Judges the caller by what stands in the database now; counts an authentication string before it is compared.
  /// A refusal is recorded with its true reason, and answered with AUTHENTICATION_FAILED, after one HMAC.
  Result<Proven> authenticate(const Caller& caller);
  /// The same once more inside the transaction that changes something, under the phone's lock. Counts nothing.
  /// @return the phone and its operation as they are now. Errors: AUTHENTICATION_FAILED, OPERATION_ENDED.
  Result<Proven> authorise(Transaction& tx, const Caller& caller, const Proven& before);

 private:
  tl::expected<Proven, Refusal> judge(Transaction& tx, const Caller& caller, std::optional<Phone> phone, bool locked);
  tl::expected<Proven, Refusal> judge_certificate(Transaction& tx, const Caller& caller, Proven proven, bool locked);
  tl::unexpected<Error> refuse(const Caller& caller, Refusal refusal);

  Database& database_;
  const ca::StringKey& strings_;
  const SitePolicy& policy_;
  const Clock& clock_;
  std::function<void(Reason)> on_refusal_;
  TrustCache trust_;
};

}  // namespace capf::service
