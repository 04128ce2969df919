#pragma once

#include <functional>
#include <optional>
#include <string>

#include "capf/base/log.h"
#include "capf/base/time.h"
#include "capf/ca/authstring.h"
#include "capf/ca/blacklist.h"
#include "capf/domain/authentication.h"
#include "capf/domain/policy.h"
#include "capf/domain/store.h"
#include "capf/service/attempts.h"
#include "capf/service/caller.h"
#include "capf/service/highwater.h"
#include "capf/service/trust.h"

namespace capf::service {

/// A caller who has proven the device, and how.
struct Proven {
  Phone phone;
  std::optional<Operation> operation;  ///< the open one
  CredentialKind by = CredentialKind::kNone;
  std::optional<Sha256> certificate;       ///< the one that proved it
  std::optional<Certificate> lsc;          ///< its record, for kOwnLsc
  std::optional<ca::JudgedMic> mic;        ///< for kMic
  std::optional<ca::JudgedMic> fresh_mic;  ///< the MIC that was proven in this very session, whatever authenticated
};

/// What the caller must prove.
enum class Need : std::uint8_t {
  kOperation,  ///< to be the device, in the way that its open operation asks for; without one, by a certificate
  kDevice,     ///< to be the device: its own LSC will do, whatever the operation asks for
};

/// Why somebody did not prove to be the device: the true reason, which goes into the record alone.
struct Refusal {
  Error error;
  std::optional<Phone> phone;                     ///< the device, where there is one
  std::optional<Operation> operation;             ///< its open one
  std::optional<UnknownIssuer> unknown_issuer{};  ///< whose trust would have helped, for CERTIFICATE_UNKNOWN_ISSUER
};

/// The one place that judges who a phone is, for every transport. Threads: any.
class Authenticator {
 public:
  /// @param on_refusal is told the true reason of every refusal; may be empty.
  Authenticator(Database& database, const ca::StringKey& strings, const SitePolicy& policy, const Clock& clock,
                const HighWater& high_water, const ca::Blacklist& blacklist, std::function<void(Reason)> on_refusal)
      : database_(database),
        strings_(strings),
        policy_(policy),
        clock_(clock),
        high_water_(high_water),
        blacklist_(blacklist),
        on_refusal_(std::move(on_refusal)),
        attempts_(database_) {}

  /// Judges the caller by what stands in the database now; counts an authentication string before it is compared, takes
  /// that back where it is right, and tells that it is wrong when the count is committed. A refusal is answered with
  /// AUTHENTICATION_FAILED, after the same work for every name, and then recorded with its true reason.
  Result<Proven> authenticate(const Caller& caller, Need need);
  /// The same once more inside the transaction that changes something, under the phone's lock. Counts and records
  /// nothing. @return the phone and its operation as they are now.
  /// Errors: OPERATION_ENDED where it is not the operation any more that `before` had; AUTHENTICATION_FAILED.
  Result<Proven> authorise(Transaction& tx, const Caller& caller, Need need, const Proven& before);
  /// Whether this server has seen the key compromised, whatever an older database says.
  bool has_withdrawn(const KeyDigests& key) const { return high_water_.withdrawn().has_key(key.all()); }

  /// Refusals that were answered and are being recorded.
  Attempts& attempts() { return attempts_; }

  /// Errors: KEY_LISTED.
  Status check_not_listed(const KeyDigests& key) const { return blacklist_.check(key); }

 private:
  using Judgement = tl::expected<Proven, Refusal>;
  /// Faults of the database are the outer error. `locked`: the phone's row is, and the anchors are to be.
  Result<Judgement> judge(Transaction& tx, const Caller& caller, Need need, const std::optional<Phone>& phone,
                          const std::optional<Operation>& operation, bool locked);
  Result<Judgement> judge_certificate(Transaction& tx, const Caller& caller, Proven proven, bool locked);
  /// Whether what proved the certificate is as fresh as it must be.
  Judgement judge_freshness(const PresentedCertificate& presented, Proven proven) const;
  Result<std::optional<Reason>> count_string(Transaction& tx, const Caller& caller, const std::optional<Phone>& phone,
                                             const std::optional<Operation>& operation);
  /// The operation's strings are used up: it fails, unless it has ended meanwhile.
  Status end_exhausted(const Caller& caller, const Operation& operation);
  /// @param at when it was judged, by the database's clock
  tl::unexpected<Error> refuse(const Caller& caller, const Refusal& refusal, TimePoint at);

  Database& database_;
  const ca::StringKey& strings_;
  const SitePolicy& policy_;
  const Clock& clock_;
  const HighWater& high_water_;
  const ca::Blacklist& blacklist_;
  std::function<void(Reason)> on_refusal_;
  TrustCache trust_;
  LogLimit refusals_{50};
  LogLimit shown_{10};
  Attempts attempts_;
};

}  // namespace capf::service
