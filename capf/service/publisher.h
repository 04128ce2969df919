#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <botan/rng.h>

#include "capf/ca/key.h"
#include "capf/service/published.h"

namespace capf::service {

struct PublisherSettings {
  std::string holder;      ///< a name of this server that no other one has
  std::string status_url;  ///< as in the LSCs
  /// How long a revocation may take to appear on the CRL; a shard is published at most twice in it.
  std::chrono::seconds interval{60};
  std::chrono::hours validity{168};  ///< from thisUpdate to nextUpdate
};

/// A generation of the issuer with its key.
struct PublishingIssuer {
  const IssuerRecord& record;
  const ca::SigningKey& key;
};

/// The state of a shard after one round.
struct ShardState {
  CrlShard shard;
  std::optional<CrlRecord> newest;  ///< that this server serves
  bool published = false;           ///< by this server, in this round
  bool awaited = false;             ///< another server has the lease: it will publish, or its lease runs out
  std::optional<Error> error;
  int failures = 0;  ///< of this server's last attempts in a row; a round without one leaves it
};

/// Publishes CRLs, and keeps the newest ones of every shard beside the keys. Of several servers, the one with the
/// shard's lease builds the next. Threads: one.
class Publisher {
 public:
  Publisher(Database& database, PublishedCrls& published, const Clock& clock, Botan::RandomNumberGenerator& random,
            PublisherSettings settings)
      : database_(database), published_(published), clock_(clock), random_(random), settings_(std::move(settings)) {}

  /// How often to call run(), so that every server has a revocation within the interval.
  static std::chrono::milliseconds period(std::chrono::seconds interval);
  /// One round over every shard. Errors of a shard are in its state: DATABASE_BEHIND, CRL_WOULD_LOSE_ENTRIES,
  /// CRL_CHECK_FAILED, CLOCK_SKEW and those of the database.
  std::vector<ShardState> run(const std::vector<PublishingIssuer>& issuers);
  /// At the end: another server may have the leases at once.
  void leave(const std::vector<PublishingIssuer>& issuers);

 private:
  struct Failure {
    TimePoint at;  ///< by the database's clock
    Error error;
    int times = 0;  ///< in a row
  };
  struct Sight;
  struct Draft;
  Status run_shard(const PublishingIssuer& issuer, ShardState& state);
  Result<Sight> look(const CrlShard& shard);
  Status fetch(const PublishingIssuer& issuer, const CrlRecord& record);
  TimePoint holds_from(TimePoint now, const CrlShard& shard, const std::optional<CrlRecord>& previous) const;
  static Status date_back(Transaction& tx, const CrlShard& shard, std::vector<Revocation>& entries, TimePoint from,
                          TimePoint& this_update);
  Result<Draft> build(const PublishingIssuer& issuer, const CrlShard& shard);
  /// Checks the file aside against the database, and against the CRL that it is to replace.
  Result<CrlRecord> check(const PublishingIssuer& issuer, const CrlShard& shard, const ca::CrlTerms& terms);
  /// @param ended_by the moment by which a certificate must have ended for its entry to be dropped
  Status check_dropped(const CrlShard& shard, TimePoint ended_by, const std::vector<Revocation>& dropped);
  Status publish(const CrlRecord& record, const std::vector<std::int64_t>& changes);
  bool due(const Sight& sight) const;

  Database& database_;
  PublishedCrls& published_;
  const Clock& clock_;
  Botan::RandomNumberGenerator& random_;
  const PublisherSettings settings_;
  std::map<CrlShard, Failure> failures_;  ///< a CRL that was refused is not built again at once
};

}  // namespace capf::service
