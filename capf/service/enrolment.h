#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <botan/rng.h>

#include "capf/base/log.h"
#include "capf/base/metrics.h"
#include "capf/ca/issuers.h"
#include "capf/domain/rounds.h"
#include "capf/rules/begin.h"
#include "capf/rules/fail.h"
#include "capf/rules/issue.h"
#include "capf/rules/pending.h"
#include "capf/service/authenticator.h"
#include "capf/service/caller.h"
#include "capf/service/dossiers.h"
#include "capf/service/signing.h"

namespace capf::service {

/// The use cases of phones. Each looks once at all that is on record, lets the rules judge the caller and decide, signs
/// where they say so, and writes what they have decided, unless something that the decision rests on has changed
/// meanwhile: then all of it is done again, at most kMostTries times, and what was signed is kept where the plan is
/// still the same. No lock is held between the steps.
///
/// A caller that does not prove the device gets AUTHENTICATION_FAILED alone; the true reason is recorded. Other
/// refusals are recorded too, the first few of a minute. The errors named below come after authentication. Besides them
/// there are those of the database, CLOCK_SKEW, DATABASE_BEHIND, CALLER_GONE, CHANGED_MEANWHILE after the last try, and
/// COMMIT_IN_DOUBT, after which nothing is repeated. Where the server leads, the caller has the dialogue that begin()
/// began: OPERATION_ENDED, and SESSION_REPLACED where a later dialogue of the phone has taken over. Threads: any.
class Enrolment {
 public:
  static constexpr int kMostTries = 6;

  /// @param rounds of the database that the dossiers are from
  Enrolment(Rounds& rounds, Dossiers& dossiers, Authenticator& authenticator, const ca::Issuers& issuers,
            const SitePolicy& policy, Metrics& metrics, Botan::RandomNumberGenerator& random);

  Result<rules::PendingAnswer> pending(const Caller& caller);
  /// For a transport where the server leads: begins the pending operation. The dialogue is Caller::begun from then on.
  /// Errors: NO_PENDING_OPERATION, DEADLINE_PASSED.
  Result<rules::BeginAnswer> begin(const Caller& caller);
  /// Whether the caller's dialogue may go on while it waits for the phone: nothing is answered or written but a
  /// refusal. Errors: DEADLINE_PASSED, those of a caller who has lost the authority.
  Status check(const Caller& caller);
  /// Install or upgrade. @param key PKCS #10, DER; or SubjectPublicKeyInfo, which is recorded as without a proof that
  /// the phone has the private key.
  /// Errors: NO_PENDING_OPERATION, OPERATION_KIND, OPERATION_ENDED, DEADLINE_PASSED, CERTIFICATE_LIMIT,
  /// CERTIFICATE_REVOKED, SELF_SERVICE_REFUSED, those of the request and the key (KEY_…) and of issuing.
  Result<rules::IssueAnswer> issue(const Caller& caller, BytesView key, Possession possession = Possession::kPkcs10);
  /// The phone has stored the certificate with this SHA-256. Repeated calls get the same answer.
  /// Errors: NOTHING_TO_CONFIRM.
  Status confirm(const Caller& caller, const Sha256& sha256);
  /// The phone gives up its LSCs. @return how many were revoked.
  /// Errors: NO_PENDING_OPERATION, OPERATION_KIND, DEADLINE_PASSED.
  Result<int> give_up(const Caller& caller);
  /// Troubleshoot. @param certificates DER, 1 to 4. Errors: NO_PENDING_OPERATION, OPERATION_KIND,
  /// DEADLINE_PASSED, INVALID_REQUEST, CERTIFICATE_….
  Status hand_over(const Caller& caller, const std::vector<Bytes>& certificates);
  /// @param detail further facts, in this server's words; may be empty. Errors: NO_PENDING_OPERATION.
  Status report_failure(const Caller& caller, rules::PhoneFailure failure, const std::string& detail = {});
  /// The dialogue of the caller broke off: only the record changes.
  void broke_off(const Caller& caller, const Error& why);

 private:
  template <class Answer>
  struct UseCase;
  struct Issuing;
  template <class Answer>
  Result<Answer> perform(const Caller& caller, const UseCase<Answer>& use);
  template <class Answer>
  Result<Answer> attempt(const Caller& caller, const UseCase<Answer>& use, std::optional<rules::Begun>& proven);
  template <class Answer>
  Result<Answer> carry_out(const Caller& caller, rules::Decision<Answer> decision);

  Result<rules::Judgement> judge(const Caller& caller, Sight& sight, rules::Need need,
                                 const std::optional<rules::Begun>& proven);
  rules::Decision<rules::IssueAnswer> sign(const Caller& caller, const rules::Facts& facts,
                                           const rules::Identity& identity, rules::ToSign plan, Issuing& issuing);
  Status put_on_record(const Caller& caller, const rules::Refusal& refusal, TimePoint at);
  Status put_on_record(const Caller& caller, const std::optional<Change>& change, const Error& refusal);
  void report_unrecorded(const Error& why);
  Result<Written> write(const Caller& caller, const Change& change);
  void report_unwritten(const Caller& caller, const rules::SignedLsc& made, Reason why);

  Rounds& rounds_;
  Dossiers& dossiers_;
  Authenticator& authenticator_;
  const ca::Issuers& issuers_;
  const SitePolicy& policy_;
  Metrics& metrics_;
  Botan::RandomNumberGenerator& random_;
  Signing signing_;
  LogLimit refusals_{50};   ///< a second
  LogLimit unrecorded_{1};  ///< the same
};

}  // namespace capf::service
