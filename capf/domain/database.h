#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "capf/base/error.h"
#include "capf/base/time.h"
#include "capf/domain/change.h"

// The unit of work over the records, which `storage/` keeps in PostgreSQL. They are seen through a store for each
// aggregate: `capf/domain/*_store.h`. Every method of a store may also fail with DATABASE_UNAVAILABLE,
// CHANGED_MEANWHILE (the transaction is run again from its start) or INTERNAL. A change that is compare-and-set answers
// false where the row was not as expected.

namespace capf {

class CampaignStore;
class PhoneStore;
class OperationStore;
class CertificateStore;
class KeyStore;
class BlockStore;
class CallStore;
class StringStore;
class IssuerStore;
class ServerStore;
class AnchorStore;
class AdministratorStore;
class AuditStore;
class SealStore;
class ProfileStore;
class WithdrawalStore;
class SecurityChangeStore;
class CheckStore;
class SummaryStore;
class LeaseStore;
class LineStore;
class CrlStore;
class SecretsKeyStore;
class TrustedCertificateStore;
class TrustListStore;
class DigestStore;
class PhoneFetchStore;
class ConfigurationStore;
class Rounds;

/// One transaction. Not shared between threads. The order of locks: the issuers' lock; the administrators'; profiles
/// and the site's mode; campaigns; phones, several of them at once by lock_all(), in ascending order of id; lines, in
/// ascending order of id; the modes of profiles (LineStore); the trust anchors' lock; keys; operations and certificates
/// of these phones; the active key for secrets; digest users; the state of trust lists; configuration files, in
/// ascending order of id (those of the site before that key); counts of authentication strings, which are locked for
/// one statement where nothing else is held.
class Transaction {
 public:
  virtual ~Transaction() = default;
  /// The database's clock at the start of the transaction.
  virtual TimePoint now() const = 0;
  /// Dossier::postmaster_start.
  virtual TimePoint postmaster_start() const = 0;
  /// Whether the database is a standby: its records may be old, and it cannot be written.
  virtual bool standby() const = 0;
  virtual PhoneStore& phones() = 0;
  virtual OperationStore& operations() = 0;
  virtual CertificateStore& certificates() = 0;
  virtual KeyStore& keys() = 0;
  virtual BlockStore& blocks() = 0;
  virtual CallStore& calls() = 0;
  virtual TrustedCertificateStore& trusted_certificates() = 0;
  virtual TrustListStore& trust_lists() = 0;
  virtual StringStore& strings() = 0;
  virtual IssuerStore& issuers() = 0;
  virtual ServerStore& servers() = 0;
  virtual AnchorStore& anchors() = 0;
  virtual AdministratorStore& administrators() = 0;
  virtual AuditStore& audit() = 0;
  virtual SealStore& seals() = 0;
  virtual WithdrawalStore& withdrawals() = 0;
  virtual SecurityChangeStore& security_changes() = 0;
  virtual CheckStore& checks() = 0;
  virtual SummaryStore& summary() = 0;
  virtual LeaseStore& leases() = 0;
  virtual LineStore& lines() = 0;
  virtual CrlStore& crls() = 0;
  virtual ProfileStore& profiles() = 0;
  virtual SecretsKeyStore& secrets_keys() = 0;
  virtual DigestStore& digest() = 0;
  virtual PhoneFetchStore& phone_fetches() = 0;
  virtual ConfigurationStore& configurations() = 0;
  virtual CampaignStore& campaigns() = 0;
  /// Carries out the writes of a phone that this transaction has locked. Of what they rest on only the owners of keys
  /// are compared. Errors: CHANGED_MEANWHILE where a row is not as they expect it.
  virtual Result<Written> write(std::int64_t phone_id, std::span<const Write> writes) = 0;
  /// The same for many different phones, in one statement. @return one for each, in their order
  virtual Result<std::vector<Written>> write(std::span<const PhoneWrites> phones) = 0;
};

/// Threads: any.
class Database {
 public:
  virtual ~Database() = default;
  /// Runs `work` in a transaction and commits it, or rolls back where `work` fails. `work` may be run several times:
  /// from its start after a serialization failure, a deadlock or a connection that was lost before the commit was
  /// sent. COMMIT_IN_DOUBT where the connection was lost during the commit. DATABASE_READ_ONLY on a standby.
  virtual Status write(const std::function<Status(Transaction&)>& work) = 0;
  /// The same without the right to write; on a standby where there is no primary and the site's settings allow it.
  virtual Status read(const std::function<Status(Transaction&)>& work) = 0;
  /// read() for the work of one statement, in one round trip, or two on a standby: the transaction's now() and
  /// postmaster_start() are not known.
  virtual Status look(const std::function<Status(Transaction&)>& work) { return read(work); }
  /// Looks and writes of phones, many together.
  virtual Rounds& rounds() = 0;
};

/// in_transaction(&Database::write, db, [&](Transaction& tx) -> Result<Phone> { … }): the value of the work.
template <class Work>
auto in_transaction(Status (Database::*how)(const std::function<Status(Transaction&)>&), Database& database, Work work)
    -> std::invoke_result_t<Work&, Transaction&> {
  using Answer = std::invoke_result_t<Work&, Transaction&>;
  std::optional<Answer> answer;
  const Status status = (database.*how)([&](Transaction& tx) -> Status {
    answer.emplace(work(tx));
    if (!*answer) return fail(answer->error());
    return {};
  });
  if (!status) return fail(status.error());
  return *std::move(answer);
}
template <class Work>
auto in_write(Database& database, Work work) {
  return in_transaction(&Database::write, database, std::move(work));
}
template <class Work>
auto in_read(Database& database, Work work) {
  return in_transaction(&Database::read, database, std::move(work));
}
template <class Work>
auto in_look(Database& database, Work work) {
  return in_transaction(&Database::look, database, std::move(work));
}

}  // namespace capf
