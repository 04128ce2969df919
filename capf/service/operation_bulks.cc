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
  if (bulk.plan.auth.value_or(AuthMode::kString) != AuthMode::kString || bulk.plan.auth_string) {
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

/// The answer of a dry run, as far as scheduling and cancelling have it in common.
Result<BulkCheck> check_of(Transaction& tx, const Preview& preview, Sorted& sorted) {
  BulkCheck check{.count = preview.count, .problems = std::move(sorted.problems), .next = preview.next};
  std::vector<std::int64_t> ids = ids_of(sorted.done);
  const std::set<std::int64_t> done(ids.begin(), ids.end());
  const std::vector<std::int64_t> wanted = ids_of(sorted.wanted);
  ids.insert(ids.end(), wanted.begin(), wanted.end());
  CAPF_LET(std::vector<Phone> phones, tx.phones().find_all(ids));
  for (Phone& phone : phones) {
    const bool is_done = done.contains(phone.id);
    check.phones.push_back({.phone = std::move(phone), .done = is_done});
  }
  return check;
}

/// Adds the terms of the phones that are not done, and what is against them.
Status add_terms(Transaction& tx, OperationKind kind, std::span<const Planned> planned, BulkCheck& check) {
  CAPF_LET(const Prospects prospects, look_up_prospects(tx, kind, planned));
  std::map<std::int64_t, const Terms*> terms;
  for (const Planned& each : planned) terms.emplace(each.phone.phone_id, &each.terms);
  for (BulkPhone& each : check.phones) {
    const auto found = terms.find(each.phone.id);
    if (found == terms.end()) continue;
    each.terms = *found->second;
    each.prospect = prospect_of(prospects, each.terms->auth, each.phone.id, each.phone.device);
  }
  check.completes_by = latest(planned, tx.now());
  if (const auto words = null_string_warning(planned)) check.warnings.push_back(*words);
  return {};
}

/// Takes the deadlines that a dry run said of phones.
Status take_deadlines(const ScheduleBulk& bulk, TimePoint now, std::span<Planned> planned) {
  if (bulk.plan.completes_by) return {};
  for (Planned& each : planned) {
    const auto said = bulk.deadlines.find(each.phone.device);
    if (said == bulk.deadlines.end()) continue;
    CAPF_TRY(check_deadline(said->second, now));
    if (said->second > each.terms.completes_by) {
      return fail(Reason::kChangedMeanwhile,
                  "nothing was scheduled: the settings of " + each.phone.device.text() + " give it less time by now");
    }
    each.terms.completes_by = said->second;
  }
  return {};
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
    CAPF_TRY(check_deadline(bulk.plan.completes_by, tx.now()));
    const OperationBulk wanted = left_unknown(bulk);
    CAPF_LET(const Preview preview, preview_batch(tx, wanted.phones));
    const auto sort = [&](std::span<const Standing> phones) { return sort_to_schedule(phones, bulk.replace); };
    CAPF_LET(Sorted sorted, sort_phones(tx, wanted, preview.ids, sort));
    CAPF_LET(const auto planned, plan_terms(tx, policy_, bulk.plan, sorted));
    CAPF_LET(BulkCheck check, check_of(tx, preview, sorted));
    CAPF_TRY(add_terms(tx, bulk.plan.kind, planned, check));
    return check;
  });
}

Result<std::vector<Scheduled>> Operations::schedule(Transaction& tx, const Actor& actor, const ScheduleBulk& bulk,
                                                    std::vector<Planned> phones) {
  CAPF_TRY(check_strings(bulk));
  CAPF_TRY(take_deadlines(bulk, tx.now(), phones));
  return add(tx, actor, bulk, phones);
}

Result<BulkScheduled> Operations::schedule(const Actor& actor, const ScheduleBulk& bulk) {
  CAPF_TRY(check(bulk.plan));
  CAPF_TRY(check_strings(bulk));
  return in_write(database_, actor, [&](Transaction& tx) -> Result<BulkScheduled> {
    BulkScheduled answer;
    CAPF_TRY(check_deadline(bulk.plan.completes_by, tx.now()));
    CAPF_LET(const Batch batch, take_batch(tx, left_unknown(bulk).phones));
    const auto sort = [&](std::span<const Standing> phones) { return sort_to_schedule(phones, bulk.replace); };
    CAPF_LET(Sorted sorted, sort_phones(tx, bulk, ids_of(batch.phones), sort));
    CAPF_LET(auto planned, plan_terms(tx, policy_, bulk.plan, sorted));
    CAPF_TRY(check_problems(sorted.problems, bulk.skipped, "nothing was scheduled: "));
    CAPF_TRY(take_deadlines(bulk, tx.now(), planned));
    CAPF_TRY(cancel_open(tx, actor, sorted.wanted, "replaced by " + actor.name, bulk.run));
    CAPF_LET(answer.operations, add(tx, actor, bulk, planned));
    CAPF_LET(std::vector<Operation> done, tx.operations().find_all(operations_of(sorted.done)));
    answer.completes_by = latest(planned, tx.now());
    for (Operation& operation : done) {
      answer.completes_by = std::max(answer.completes_by, operation.completes_by);
      answer.operations.push_back({std::move(operation), Secret()});
    }
    keep_order(answer.operations);
    answer.selected = static_cast<int>(batch.phones.size());
    answer.problems = std::move(sorted.problems);
    answer.next = batch.next;
    return answer;
  });
}

Result<BulkCheck> Operations::check_cancel(const OperationBulk& bulk) {
  return in_read(database_, [&](Transaction& tx) -> Result<BulkCheck> {
    const OperationBulk wanted = left_unknown(bulk);
    CAPF_LET(const Preview preview, preview_batch(tx, wanted.phones));
    CAPF_LET(Sorted sorted, sort_phones(tx, wanted, preview.ids, sort_to_cancel));
    return check_of(tx, preview, sorted);
  });
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
