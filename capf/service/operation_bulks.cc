#include <algorithm>

#include "capf/domain/authstring.h"
#include "capf/domain/phone_store.h"
#include "capf/service/operations.h"
#include "capf/service/scheduling.h"
#include "capf/service/steps.h"

// Bulks over operations, call by call.

namespace capf::service {
namespace {

Status check_strings(const ScheduleBulk& bulk) {
  if (bulk.strings.empty()) return {};
  if (bulk.plan.auth != AuthMode::kString || bulk.plan.auth_string) {
    return fail(Reason::kInvalidAuthString, "authentication by string takes one for all phones, or one for each");
  }
  for (const auto& [device, digits] : bulk.strings) CAPF_TRY(check_auth_string(digits.text()));
  return {};
}

/// The phones that a call has and those that it names in vain, sorted. @param sort one of sort_to_…()
template <class Sort>
Result<Sorted> sort_phones(Transaction& tx, const OperationBulk& bulk, std::span<const std::int64_t> ids, Sort sort) {
  CAPF_LET(const std::vector<Standing> phones, tx.operations().standings(ids, bulk.run));
  Sorted sorted = sort(phones);
  const std::vector<DeviceName>& named = bulk.phones.selection.devices;
  if (named.empty() || bulk.phones.cursor) return sorted;
  CAPF_LET(const std::vector<DeviceName> missing, tx.phones().missing(named));
  CAPF_TRY(add_unknown(tx, missing, sorted));
  return sorted;
}

template <class Sort>
Result<BulkCheck> check_phones(Transaction& tx, const OperationBulk& bulk, const OperationPlan& plan, Sort sort) {
  CAPF_LET(const Preview preview, preview_batch(tx, bulk.phones));
  CAPF_LET(Sorted sorted, sort_phones(tx, bulk, preview.ids, sort));
  BulkCheck check{.count = preview.count, .problems = std::move(sorted.problems), .next = preview.next};
  CAPF_LET(const Prospects prospects, look_up_prospects(tx, plan, preview.ids));
  std::vector<std::int64_t> ids = ids_of(sorted.done);
  const std::set<std::int64_t> done(ids.begin(), ids.end());
  const std::vector<std::int64_t> wanted = ids_of(sorted.wanted);
  ids.insert(ids.end(), wanted.begin(), wanted.end());
  CAPF_LET(std::vector<Phone> phones, tx.phones().find_all(ids));
  for (Phone& phone : phones) {
    const Prospect prospect = prospect_of(prospects, phone.id, phone.device);
    const bool is_done = done.contains(phone.id);
    check.phones.push_back({std::move(phone), is_done, is_done ? Prospect{} : prospect});
  }
  return check;
}

OperationBulk left_unknown(OperationBulk bulk) {
  bulk.phones.selection.leaves_unknown = true;
  return bulk;
}

void keep_order(std::vector<Scheduled>& operations) {
  std::sort(operations.begin(), operations.end(),
            [](const Scheduled& a, const Scheduled& b) { return a.operation.device < b.operation.device; });
}

}  // namespace

Result<BulkCheck> Operations::check_schedule(const ScheduleBulk& bulk) {
  CAPF_TRY(check(bulk.plan));
  return in_read(database_, [&](Transaction& tx) -> Result<BulkCheck> {
    CAPF_LET(const TimePoint completes_by, deadline_of(bulk.plan, tx.now()));
    CAPF_LET(BulkCheck check, check_phones(tx, left_unknown(bulk), bulk.plan, [&](std::span<const Standing> phones) {
               return sort_to_schedule(phones, bulk.replace);
             }));
    check.completes_by = completes_by;
    if (const auto words = null_string_warning(bulk.plan, completes_by)) check.warnings.push_back(*words);
    return check;
  });
}

Result<BulkScheduled> Operations::schedule(const Actor& actor, const ScheduleBulk& bulk) {
  CAPF_TRY(check(bulk.plan));
  CAPF_TRY(check_strings(bulk));
  return in_write(database_, actor, [&](Transaction& tx) -> Result<BulkScheduled> {
    BulkScheduled answer;
    CAPF_LET(answer.completes_by, deadline_of(bulk.plan, tx.now()));
    CAPF_LET(const Batch batch, take_batch(tx, left_unknown(bulk).phones));
    const auto sort = [&](std::span<const Standing> phones) { return sort_to_schedule(phones, bulk.replace); };
    CAPF_LET(Sorted sorted, sort_phones(tx, bulk, ids_of(batch.phones), sort));
    CAPF_TRY(check_problems(sorted.problems, bulk.skipped, "nothing was scheduled: "));
    CAPF_TRY(cancel_open(tx, actor, sorted.wanted, "replaced by " + actor.name, bulk.run));
    CAPF_LET(answer.operations, add(tx, actor, bulk, answer.completes_by, sorted.wanted));
    CAPF_LET(std::vector<Operation> done, tx.operations().find_all(operations_of(sorted.done)));
    for (Operation& operation : done) answer.operations.push_back({std::move(operation), Secret()});
    keep_order(answer.operations);
    answer.selected = static_cast<int>(batch.phones.size());
    answer.problems = std::move(sorted.problems);
    answer.next = batch.next;
    return answer;
  });
}

Result<BulkCheck> Operations::check_cancel(const OperationBulk& bulk) {
  return in_read(database_, [&](Transaction& tx) { return check_phones(tx, left_unknown(bulk), {}, sort_to_cancel); });
}

Result<BulkCancelled> Operations::cancel(const Actor& actor, const OperationBulk& bulk) {
  return in_write(database_, actor, [&](Transaction& tx) -> Result<BulkCancelled> {
    CAPF_LET(const Batch batch, take_batch(tx, left_unknown(bulk).phones));
    CAPF_LET(Sorted sorted, sort_phones(tx, bulk, ids_of(batch.phones), sort_to_cancel));
    CAPF_TRY(check_problems(sorted.problems, bulk.skipped, "nothing was cancelled: "));
    CAPF_TRY(cancel_open(tx, actor, sorted.wanted, "cancelled by " + actor.name, bulk.run));
    sorted.done.insert(sorted.done.end(), sorted.wanted.begin(), sorted.wanted.end());
    BulkCancelled answer{.selected = static_cast<int>(batch.phones.size()), .next = batch.next};
    CAPF_LET(answer.operations, tx.operations().find_all(operations_of(sorted.done)));
    answer.problems = std::move(sorted.problems);
    return answer;
  });
}

}  // namespace capf::service
