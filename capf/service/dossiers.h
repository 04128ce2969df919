#pragma once

#include <optional>
#include <span>

#include "capf/base/time.h"
#include "capf/ca/blacklist.h"
#include "capf/domain/policy.h"
#include "capf/domain/rounds.h"
#include "capf/rules/facts.h"
#include "capf/rules/issue.h"
#include "capf/service/caller.h"
#include "capf/service/highwater.h"
#include "capf/service/trust.h"

namespace capf::service {

/// A caller's claims and what is on record of them, as the rules take them.
struct Sight {
  rules::Caller caller;
  Dossier dossier;
  const SitePolicy& policy;
  bool withdrawn = false;  ///< see rules::Facts

  /// Refers to this object.
  rules::Facts facts() const { return {caller, dossier, policy, withdrawn}; }
};

/// The things that a use case asks about besides the caller.
struct Asked {
  std::optional<KeyDigests> offered{};  ///< its record is the first one of Dossier::claims
  std::optional<Sha256> confirmed{};
};

/// Reads what a caller shows without believing it, and looks up what is on record of it: the same work for every name.
/// Threads: any.
class Dossiers {
 public:
  Dossiers(Database& database, const SitePolicy& policy, const Clock& clock, const HighWater& high_water,
           const ca::Blacklist& blacklist)
      : rounds_(database.rounds()),
        policy_(policy),
        clock_(clock),
        high_water_(high_water),
        blacklist_(blacklist),
        trust_(database) {}

  /// Errors: those of check() and of the rounds; DATABASE_READ_ONLY on a standby, which may not know yet who was
  /// blocked and what was revoked; CHANGED_MEANWHILE where trust anchors come and go meanwhile.
  Result<Sight> look(const Caller& caller, const Asked& asked);
  /// The key that a phone offers, as far as it can be judged without a record.
  /// @param key PKCS #10, DER, where the possession is proven by that; else SubjectPublicKeyInfo
  rules::Offer read_offer(BytesView key, Possession possession) const;
  /// Whether this server may decide by what the database says. @param now the database's.
  /// Errors: DATABASE_BEHIND, CLOCK_SKEW.
  Status check(TimePoint now) const;

 private:
  struct Prepared;
  Prepared prepare(const Caller& caller, const Asked& asked, const ca::TrustStore& trust) const;
  rules::Shown judge(const PresentedCertificate& presented, const DeviceName& device, const ca::TrustStore& trust,
                     Enquiry& enquiry) const;
  template <class Judged>
  rules::Path<Judged> path_of(Result<Judged> judged, Enquiry& enquiry) const;

  Rounds& rounds_;
  const SitePolicy& policy_;
  const Clock& clock_;
  const HighWater& high_water_;
  const ca::Blacklist& blacklist_;
  TrustCache trust_;
};

}  // namespace capf::service
