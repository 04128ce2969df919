#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "capf/domain/database.h"
#include "capf/domain/page.h"
#include "capf/domain/phone_store.h"

// A bulk changes the phones of a selection in batches, each one call and one transaction, so that no phone waits for
// more than a batch. The server keeps nothing between the calls: any server of the site may take the next one.

namespace capf::service {

/// The progress of a bulk; phones that were added after it began are not part of it.
struct BulkCursor {
  std::int64_t through = 0;  ///< the greatest id of a phone in it
  DeviceName after;
};

/// A call of a bulk.
struct Bulk {
  PhoneSelection selection;
  std::int64_t count = 0;            ///< the most phones: the count shown, less those that the calls before took
  std::optional<BulkCursor> cursor;  ///< absent: from the beginning
  int most = kPhonesInBatch;         ///< phones in a batch
};

struct Batch {
  std::vector<SelectedPhone> phones;  ///< locked, in the order of their names; up to Bulk::most, perhaps none
  std::optional<BulkCursor> next;     ///< absent: the bulk is done
};

/// The phones that a batch would have now.
struct Preview {
  std::int64_t count = 0;         ///< phones of the whole bulk, in the first call
  std::vector<std::int64_t> ids;  ///< not locked
  std::optional<BulkCursor> next;
};

/// Refuses a selection that no change may have. Errors: INVALID_SELECTION where it names nothing; those of
/// check_known().
Status check_selection(Transaction& tx, const PhoneSelection& selection);
/// Refuses what a selection names and is not on record. Errors: UNKNOWN_DEVICE, unless it leaves them, UNKNOWN_ISSUER,
/// UNKNOWN_PROFILE.
Status check_known(Transaction& tx, const PhoneSelection& selection);
/// Looks at the next batch; the bulk's count does not matter. Errors: those of check_selection().
Result<Preview> preview_batch(Transaction& tx, const Bulk& bulk);
/// Locks the phones of the next batch. Errors: those of check_selection(); SELECTION_CHANGED where there are more
/// phones than the bulk's count, and the caller must then roll back.
Result<Batch> take_batch(Transaction& tx, const Bulk& bulk);

}  // namespace capf::service
