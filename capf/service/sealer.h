#pragma once

#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>

#include <botan/rng.h>

#include "capf/ca/key.h"
#include "capf/domain/database.h"
#include "capf/service/highwater.h"
#include "capf/service/recordstate.h"

namespace capf::service {

/// Seals the record, one server at a time by lease, and keeps the mark "seal": number and SHA-256 of the last one.
/// Every server logs every seal, so that the logs reveal a chain that was cut short. Threads: one.
class Sealer {
 public:
  /// @param key the audit key. @param holder a name of this server that no other one has.
  Sealer(Database& database, const ca::SigningKey& key, Marks& marks, HighWater& high_water, RecordState& record,
         const Clock& clock, std::string holder, Botan::RandomNumberGenerator& random)
      : database_(database),
        key_(key),
        marks_(marks),
        high_water_(high_water),
        record_(record),
        clock_(clock),
        holder_(std::move(holder)),
        random_(random) {}

  /// Checks that the mark can be read, at the start: this server could not know otherwise whether the database is
  /// behind. Errors: INVALID_CONFIGURATION.
  Status open() const;
  /// Checks the database against the mark, and brings the mark and the log up to the database.
  /// @return the end of the chain. Errors: DATABASE_BEHIND, RECORD_BROKEN where a seal is not signed by the audit key.
  Result<std::optional<AuditSeal>> check();
  /// check(), and seals the events that no running transaction can still precede; reports whether the record can be
  /// written and sealed. Call it every kLeaseRenewal. Adds a remark to seals with times of a wrong clock.
  /// @return the end of the chain. Errors: those of check(); CLOCK_SKEW, because a seal has a time; DATABASE_READ_ONLY
  /// on a standby.
  Result<std::optional<AuditSeal>> run();
  /// Adds remarks that the last seals on record, as far as the audit key has not signed them, are made up: the chain
  /// continues after them. Threads: any. @return how many. Errors: RECORD_BROKEN where there are more than 1000.
  Result<int> disown();
  /// The end of the chain on record: the last seal that is not made up. Threads: any.
  /// Errors: RECORD_BROKEN.
  Result<std::optional<AuditSeal>> end_of_chain(Transaction& tx) const;
  /// At the end: another server may have the lease at once.
  void leave();

 private:
  bool is_good(const AuditSeal& seal) const;
  void log_seal(const AuditSeal& seal, std::uint64_t epoch);
  Result<std::set<std::int64_t>> made_up(Transaction& tx, std::span<const AuditSeal> seals) const;
  Status remark(Transaction& tx, const AuditSeal& seal, RemarkKind kind, const std::string& words);
  Result<std::optional<AuditSeal>> seal_all();
  /// @return whether there may be more.
  Result<bool> seal_batch();

  Database& database_;
  const ca::SigningKey& key_;
  Marks& marks_;
  HighWater& high_water_;
  RecordState& record_;
  const Clock& clock_;
  std::string holder_;
  Botan::RandomNumberGenerator& random_;
  std::int64_t logged_ = 0;      ///< the last seal in the log
  std::uint64_t logged_in_ = 0;  ///< its epoch of the high-water marks
};

/// After a restore: the chain continues from this seal, or begins again where there is none.
Status set_seal_mark(Marks& marks, const std::optional<AuditSeal>& last);

}  // namespace capf::service
