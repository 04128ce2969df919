#pragma once

#include <functional>

#include "capf/base/log.h"
#include "capf/ca/authstring.h"
#include "capf/domain/policy.h"
#include "capf/domain/rounds.h"
#include "capf/rules/identify.h"
#include "capf/service/attempts.h"
#include "capf/service/caller.h"
#include "capf/service/dossiers.h"

namespace capf::service {

/// The one place that finds out who a phone is, for every transport: the rules decide, and this hears the string that
/// they ask for, and tells people of refusals. Threads: any.
class Authenticator {
 public:
  /// @param on_refusal is told the true reason of every refusal; may be empty.
  Authenticator(Rounds& rounds, const ca::StringKey& strings, const SitePolicy& policy,
                std::function<void(Reason)> on_refusal)
      : rounds_(rounds), strings_(strings), policy_(policy), on_refusal_(std::move(on_refusal)), attempts_(rounds) {}

  /// Judges the caller by what is on record. An authentication string that decides is compared, after the same work for
  /// every name, and what came of it is told once it is counted: see Rounds::hear(). Errors: those of the rounds.
  Result<rules::Judgement> judge(const Caller& caller, Sight& sight, rules::Need need);
  /// Counts and logs a refusal, and hands it to those who record it after the answer. @param at when it was judged, by
  /// the database's clock
  void report(const Caller& caller, const rules::Refusal& refusal, TimePoint at);

  /// Refusals that were answered and are being recorded.
  Attempts& attempts() { return attempts_; }

 private:
  Status hear(const Caller& caller, Sight& sight, rules::Need need, BytesView mac);

  Rounds& rounds_;
  const ca::StringKey& strings_;
  const SitePolicy& policy_;
  std::function<void(Reason)> on_refusal_;
  LogLimit refusals_{50};
  LogLimit shown_{10};
  Attempts attempts_;
};

}  // namespace capf::service
