#pragma once

#include <functional>
#include <optional>
#include <string>

#include <botan/rng.h>

#include "capf/ca/key.h"
#include "capf/domain/store.h"
#include "capf/service/highwater.h"

namespace capf::service {

/// Seals the record, one server at a time by lease, and keeps the mark "seal": number and SHA-256 of the last one.
/// Every server writes every seal to its log, so that a chain that is cut short shows there. Threads: one.
class Sealer {
 public:
  /// @param key the audit key. @param holder a name of this server that no other one has.
  Sealer(Database& database, const ca::SigningKey& key, Marks& marks, HighWater& high_water, const Clock& clock,
         std::string holder, Botan::RandomNumberGenerator& random)
      : database_(database),
        key_(key),
        marks_(marks),
        high_water_(high_water),
        clock_(clock),
        holder_(std::move(holder)),
        random_(random) {}

  /// Holds the database against the mark, and brings the mark and the log up to the database.
  /// @return the last seal. Errors: DATABASE_BEHIND, RECORD_BROKEN where a seal is not signed by the audit key.
  Result<std::optional<AuditSeal>> check();
  /// check(), and seals what no running transaction can still precede. Call it every kLeaseRenewal.
  /// @return the last seal. Errors: those of check(); CLOCK_SKEW, as a seal says when it was made; DATABASE_READ_ONLY
  /// on a standby.
  Result<std::optional<AuditSeal>> run();
  /// At the end: another server may have the lease at once.
  void leave();

 private:
  /// @return whether there may be more.
  Result<bool> seal_batch();

  Database& database_;
  const ca::SigningKey& key_;
  Marks& marks_;
  HighWater& high_water_;
  const Clock& clock_;
  std::string holder_;
  Botan::RandomNumberGenerator& random_;
};

/// After a restore: the chain goes on from this seal, or begins anew where there is none.
Status set_seal_mark(Marks& marks, const std::optional<AuditSeal>& last);

}  // namespace capf::service
