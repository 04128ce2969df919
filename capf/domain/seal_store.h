#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "capf/base/bytes.h"
#include "capf/base/error.h"
#include "capf/domain/seal.h"

namespace capf {

class SealStore {
 public:
  virtual ~SealStore() = default;
  /// To be called at the start, before any write: lets positions in the record continue from the greatest one, also
  /// where the database was restored into another cluster. @return whether it was.
  virtual Result<bool> adopt_cluster() = 0;
  /// No other transaction adds a seal before this one ends.
  virtual Status lock() = 0;
  virtual Result<std::optional<AuditSeal>> last() = 0;
  virtual Result<std::optional<AuditSeal>> find(std::int64_t number) = 0;
  /// Those with a greater number, in order.
  virtual Result<std::vector<AuditSeal>> list(std::int64_t after, int limit) = 0;
  /// @param seal its number follows the greatest one on record.
  virtual Status add(const AuditSeal& seal) = 0;
  virtual Status add_remark(const SealRemark& remark) = 0;
  /// Those of seals `first` to `last`, by number, a few of each at most.
  virtual Result<std::vector<SealRemark>> remarks(std::int64_t first, std::int64_t last) = 0;
  /// Checks that an event could be written now. Errors: INTERNAL where it cannot be given a position in the record.
  virtual Status try_place() = 0;
  /// Events after `after` that no running transaction can still precede, in order.
  virtual Result<std::vector<PlacedRecord>> unsealed(const ChangeCursor& after, int limit) = 0;
  /// Events after `after`, up to and with `last`, in order.
  virtual Result<std::vector<PlacedRecord>> events(const ChangeCursor& after, const ChangeCursor& last, int limit) = 0;
  virtual Result<UnsealedEvents> after(const ChangeCursor& cursor) = 0;
  /// SubjectPublicKeyInfo of the site's audit key.
  virtual Result<std::optional<Bytes>> key() = 0;
  /// @return false where there is one already.
  virtual Result<bool> set_key(BytesView spki) = 0;
};

}  // namespace capf
