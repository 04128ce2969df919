#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "capf/ca/blacklist.h"
#include "capf/ca/trust.h"
#include "capf/domain/block_store.h"
#include "capf/domain/database.h"

namespace capf::service {

struct AnchorRequest {
  TrustStoreName store = TrustStoreName::kMic;
  std::vector<Bytes> files;  ///< as ca::split_certificates takes them; each may hold several
  Pattern devices = Pattern::any();
  Pattern models = Pattern::any();
  bool allow_sha1 = false;
  int min_rsa_bits = 2048;
  std::optional<TimePoint> allow_expired_until;
  std::optional<TimePoint> ends_at;
};

/// The outcome of one certificate of the request.
struct AnchorOutcome {
  std::string subject;
  Sha256 sha256{};
  std::optional<Error> left_out;  ///< why it was not added; absent where it was
};

/// The administrator's use cases of trust anchors. Threads: any.
class Trust {
 public:
  Trust(Database& database, const ca::Blacklist& blacklist) : database_(database), blacklist_(blacklist) {}

  /// Adds the certificates that can be trusted, and says of each of the others why it is left out. Errors:
  /// INVALID_REQUEST where the store lsc is given no device pattern or end; INVALID_CERTIFICATE where none was added.
  Result<std::vector<AnchorOutcome>> add(const Actor& actor, const AnchorRequest& request);
  Result<std::vector<TrustAnchor>> list();
  /// @param sha256 hexadecimal, at least its first 8 digits. Errors: UNKNOWN_ANCHOR, INVALID_REQUEST where it is
  /// the beginning of several.
  Result<TrustAnchor> remove(const Actor& actor, const std::string& sha256);
  /// Issuers that no anchor leads to, of whom certificates were shown in the last 24 hours for devices on record, those
  /// with the most first, at most kMostCandidates.
  Result<std::vector<TrustCandidate>> candidates();

  /// Another issuer's certificates, MICs above all, and their keys are refused from now on; those already blocked stay
  /// so. All or nothing. @param files one certificate in each. Errors: INVALID_REQUEST, INVALID_CERTIFICATE, also for
  /// one of our LSCs; KEY_RESERVED, KEY_OF_ANOTHER_DEVICE where its key belongs to another owner here.
  Result<std::vector<BlockedCertificate>> block(const Actor& actor, const std::vector<Bytes>& files);
  /// @param sha256 as for remove(). Errors: UNKNOWN_CERTIFICATE, INVALID_REQUEST.
  Result<BlockedCertificate> unblock(const Actor& actor, const std::string& sha256);
  Result<std::vector<BlockedCertificate>> blocked(const Page& page);

 private:
  Database& database_;
  const ca::Blacklist& blacklist_;
};

/// The anchors, parsed, kept until somebody finds that the database has others. Threads: any.
class TrustCache {
 public:
  struct Snapshot {
    std::int64_t revision = 0;
    TimePoint postmaster_start;  ///< another PostgreSQL server may have other anchors of the same revision
    std::shared_ptr<const ca::TrustStore> store;
  };
  explicit TrustCache(Database& database) : database_(database) {}

  /// The kept ones; reads them where there are none yet. Errors: those of the database.
  Result<Snapshot> get();
  /// Reads the anchors again, one thread at a time: who waits takes what another one has read meanwhile, or its error.
  /// @param stale one that is not what the database has any more
  Result<Snapshot> refresh(const Snapshot& stale);

 private:
  Result<Snapshot> refresh_unless(const std::function<bool(const Snapshot&)>& good);
  Result<Snapshot> read();

  Database& database_;
  std::mutex refreshing_;  ///< held while the database is asked
  std::mutex mutex_;       ///< of what follows
  Snapshot snapshot_;
  std::uint64_t tries_ = 0;     ///< to read the anchors, that have ended
  std::optional<Error> fault_;  ///< of the last one
};

}  // namespace capf::service
