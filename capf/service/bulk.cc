#include "capf/service/bulk.h"

#include <algorithm>
#include <iterator>

#include "capf/domain/issuer_store.h"
#include "capf/domain/policy.h"
#include "capf/domain/profile_store.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

tl::unexpected<Error> unknown_devices(Transaction& tx, const std::vector<DeviceName>& missing) {
  if (missing.size() == 1) return unknown_device(tx, missing.front());
  std::vector<std::string> names;
  for (const DeviceName& device : missing) names.push_back(device.text());
  return fail(Reason::kUnknownDevice, "there are no devices " + listed(names));
}

}  // namespace

Status check_known(Transaction& tx, const PhoneSelection& selection) {
  for (const std::int64_t id : selection.issuers) {
    CAPF_LET(const auto issuer, tx.issuers().find(id));
    if (!issuer) return fail(Reason::kUnknownIssuer, "there is no issuer " + std::to_string(id));
  }
  for (const std::string& name : selection.profiles) {
    CAPF_LET(const auto profile, tx.profiles().find(name));
    if (!profile) return unknown_profile(name);
  }
  if (selection.devices.empty() || selection.leaves_unknown) return {};
  CAPF_LET(const auto missing, tx.phones().missing(selection.devices));
  if (!missing.empty()) return unknown_devices(tx, missing);
  return {};
}

Status check_selection(Transaction& tx, const PhoneSelection& selection) {
  if (!selection.names_any()) return fail(Reason::kInvalidSelection);
  return check_known(tx, selection);
}

Result<Preview> preview_batch(Transaction& tx, const Bulk& bulk) {
  if (!bulk.selection.names_any()) return fail(Reason::kInvalidSelection);
  Preview preview;
  PhonePage page{.limit = bulk.most};
  std::int64_t through = 0;
  if (bulk.cursor) {
    through = bulk.cursor->through;
    page.after = bulk.cursor->after;
  } else {
    CAPF_TRY(check_selection(tx, bulk.selection));
    CAPF_LET(const PhoneCount now, tx.phones().count(bulk.selection));
    preview.count = now.phones;
    through = now.last_id;
  }
  if (through == 0) return preview;
  CAPF_LET(const SelectedPhones found, tx.phones().select(bulk.selection, page));
  std::copy_if(found.ids.begin(), found.ids.end(), std::back_inserter(preview.ids),
               [&](std::int64_t id) { return id <= through; });
  if (found.next) preview.next = BulkCursor{through, *found.next};
  return preview;
}

Result<Batch> take_batch(Transaction& tx, const Bulk& bulk) {
  CAPF_LET(const Preview preview, preview_batch(tx, bulk));
  if (preview.count > bulk.count) {
    return fail(Reason::kSelectionChanged, "there are " + std::to_string(preview.count) + " phones in it now, not " +
                                               std::to_string(bulk.count) + ": nothing was done");
  }
  // Changes that others made while this waited for the locks are visible now.
  CAPF_TRY(tx.phones().lock_all(preview.ids));
  Batch batch{.next = preview.next};
  CAPF_LET(batch.phones, tx.phones().still_selected(bulk.selection, preview.ids));
  if (static_cast<std::int64_t>(batch.phones.size()) > bulk.count) {
    return fail(Reason::kSelectionChanged, "more phones are in it now than were counted: count again");
  }
  return batch;
}

}  // namespace capf::service
