#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/base/time.h"
#include "capf/domain/certificate.h"
#include "capf/domain/certificate_store.h"
#include "capf/domain/revocation.h"
#include "capf/domain/serial.h"

namespace capf {

/// The newest CRL of a shard as recorded outside the database.
struct CrlMark {
  CrlShard shard;
  std::int64_t number = 0;
};

/// The revocations that a CRL brought back into a database that had been set back.
struct BroughtBack {
  struct Known {
    RevocableLsc lsc;
    RevocationReason reason = RevocationReason::kUnspecified;
  };
  std::vector<Known> known;
  std::int64_t unknown = 0;  ///< of LSCs that are not on record any more
};

class CrlStore {
 public:
  virtual ~CrlStore() = default;
  virtual Result<std::optional<CrlRecord>> newest(const CrlShard& shard) = 0;
  /// Whether a mark is ahead of what is on record.
  virtual Result<bool> behind(std::span<const CrlMark> marks) = 0;
  /// The revoked certificates of the shard that expire after `expires_after`, in the order of their serial numbers.
  virtual Result<std::vector<Revocation>> revocations(const CrlShard& shard, TimePoint expires_after,
                                                      const std::optional<SerialNumber>& after, int limit) = 0;
  /// Changes of the shard's revocations that no CRL has, oldest first, as ids.
  virtual Result<std::vector<std::int64_t>> changes(const CrlShard& shard, int limit) = 0;
  /// Drops changes that a CRL now has.
  virtual Status forget_changes(const CrlShard& shard, std::span<const std::int64_t> ids) = 0;
  /// Stores a CRL, and drops the pieces of those before its predecessor.
  /// @return false where its number is not greater than those before, because another server has published.
  virtual Result<bool> add(const CrlRecord& crl) = 0;
  /// Its DER, in order, in pieces of at most kLargestCrlPiece octets.
  virtual Status add_piece(const CrlRecord& crl, int position, BytesView data) = 0;
  virtual Result<std::optional<Bytes>> piece(const CrlRecord& crl, int position) = 0;
  /// After a restore: records the revocations of these entries that are missing, with the entries' times; a hold on
  /// record becomes final where the entry is. @param expires_at of LSCs that are not on record any more
  virtual Result<BroughtBack> bring_back(const CrlShard& shard, std::span<const Revocation> entries,
                                         TimePoint expires_at) = 0;
};
inline constexpr std::size_t kLargestCrlPiece = std::size_t{1024} * 1024;

}  // namespace capf
