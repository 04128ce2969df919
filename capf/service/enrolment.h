#pragma once

#include <optional>
#include <type_traits>
#include <vector>

#include <botan/rng.h>

#include "capf/ca/issuers.h"
#include "capf/ca/request.h"
#include "capf/domain/policy.h"
#include "capf/domain/store.h"
#include "capf/service/authenticator.h"
#include "capf/service/caller.h"

namespace capf::service {

/// The answer to a phone that asks for its pending operation.
struct PendingAnswer {
  bool authenticated = false;          ///< false: the phone presented no credential, and learns nothing
  std::optional<Operation> operation;  ///< the open one; id 0 for a renewal that the phone may begin by itself
};

struct IssueAnswer {
  Bytes certificate;         ///< DER
  std::vector<Bytes> chain;  ///< DER
  std::int64_t operation_id = 0;
};

/// The step that failed on the phone, as it reports.
enum class PhoneFailure : std::uint8_t { kKeyGeneration, kStore, kDelete, kFetch, kNoEc };

/// The use cases of phones. Every method authenticates the caller first. A caller that does not prove the device gets
/// AUTHENTICATION_FAILED alone; the true reason is recorded. Each change is one transaction, in which the caller's
/// authority is checked again under the phone's lock. Threads: any.
class Enrolment {
 public:
  Enrolment(Database& database, Authenticator& authenticator, const ca::Issuers& issuers, const SitePolicy& policy,
            Botan::RandomNumberGenerator& random);

  Result<PendingAnswer> pending(const Caller& caller);
  /// Install or upgrade. @param request PKCS #10, DER.
  /// Errors after authentication: NO_PENDING_OPERATION, OPERATION_KIND, OPERATION_ENDED, DEADLINE_PASSED,
  /// CERTIFICATE_LIMIT, SELF_SERVICE_REFUSED, those of the request and the key (KEY_…), of issuing and of the database.
  Result<IssueAnswer> issue(const Caller& caller, BytesView request);
  /// The phone has stored the certificate with this SHA-256. Repeated calls get the same answer.
  Status confirm(const Caller& caller, const Sha256& sha256);
  /// The phone gives up its LSCs. @return how many were revoked.
  Result<int> give_up(const Caller& caller);
  /// Troubleshoot. @param certificates DER, 1 to 4.
  Status hand_over(const Caller& caller, const std::vector<Bytes>& certificates);
  Status report_failure(const Caller& caller, PhoneFailure failure);

  // The same for a transport where the server leads: begin() authenticates and begins the pending operation; the later
  // calls of the session take the `begun` that it returned. Another session of the phone that begins meanwhile takes
  // over: SESSION_REPLACED.

  /// Errors besides those of authenticating: NO_PENDING_OPERATION, DEADLINE_PASSED.
  Result<Proven> begin(const Caller& caller);
  /// @param public_key SubjectPublicKeyInfo; recorded as without a proof that the phone has the private key.
  Result<IssueAnswer> issue_key(const Caller& caller, const Proven& begun, BytesView public_key);
  Status stored(const Caller& caller, const Proven& begun, const Sha256& certificate);
  Result<int> gave_up(const Caller& caller, const Proven& begun);
  Status handed_over(const Caller& caller, const Proven& begun, const std::vector<Bytes>& certificates);
  /// The dialogue broke off: only the record changes.
  void broke_off(const Caller& caller, const Proven& begun, const Error& why);
  /// @param detail further facts, in this server's words; may be empty.
  Status failed(const Caller& caller, const Proven& begun, PhoneFailure failure, const std::string& detail);

 private:
  template <class Work>
  auto perform(const Caller& caller, Need need, OperationKind kind, Work work)
      -> std::invoke_result_t<Work&, Transaction&, Proven&, std::optional<Error>&>;
  template <class Work>
  auto perform_as(const Caller& caller, Need need, OperationKind kind, const Proven& before, Work work)
      -> std::invoke_result_t<Work&, Transaction&, Proven&, std::optional<Error>&>;
  template <class Work>
  auto go_on(const Caller& caller, const Proven& begun, Work work)
      -> std::invoke_result_t<Work&, Transaction&, Proven&, std::optional<Error>&>;
  Result<IssueAnswer> issue_in(Transaction& tx, const Caller& caller, Proven& proven, const ca::OfferedKey& key,
                               Possession possession, std::optional<Error>& ended);
  /// The operation that a phone may begin by itself, not yet on record.
  Result<Operation> renewal(Transaction& tx, const Proven& proven);
  Result<Operation> begin_renewal(Transaction& tx, const Actor& actor, const Proven& proven);

  Database& database_;
  Authenticator& authenticator_;
  const ca::Issuers& issuers_;
  const SitePolicy& policy_;
  Botan::RandomNumberGenerator& random_;
};

}  // namespace capf::service
