#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "capf/service/operations.h"

// Steps of scheduling and cancelling operations, of one phone or of many.

namespace capf::service {

/// Phones by what is to be done with them.
struct Sorted {
  std::vector<Standing> wanted;  ///< to be scheduled, or to be cancelled
  std::vector<Standing> done;    ///< by this run, in an earlier call
  std::vector<Problem> problems;
};
/// @param replace an open operation is no problem
Sorted sort_to_schedule(std::span<const Standing> phones, bool replace);
Sorted sort_to_cancel(std::span<const Standing> phones);

std::vector<std::int64_t> ids_of(std::span<const Standing> phones);
std::vector<std::int64_t> operations_of(std::span<const Standing> phones);
/// Adds a problem for each name that no phone has; all of them are in the order of the names then.
Status add_unknown(Transaction& tx, std::span<const DeviceName> missing, Sorted& sorted);
/// Refuses for the first problem that is not skipped. @param before what was not done: "nothing was scheduled: "
Status check_problems(std::span<const Problem> problems, const std::set<Reason>& skipped, const std::string& before);

/// Refuses a deadline that is too near or too far. Errors: INVALID_DEADLINE.
Status check_deadline(const std::optional<TimePoint>& completes_by, TimePoint now);
/// The terms of all that are wanted, in their order. A phone that cannot have them becomes a problem, in the order of
/// the names, and is not wanted any more.
Result<std::vector<Planned>> plan_terms(Transaction& tx, const SitePolicy& policy, const OperationPlan& plan,
                                        Sorted& sorted);
std::vector<std::int64_t> ids_of(std::span<const Planned> phones);
/// The latest deadline of some; `now` where there is none.
TimePoint latest(std::span<const Planned> phones, TimePoint now);
/// For operations by null string, which prove nothing; nothing for others.
std::optional<std::string> null_string_warning(std::span<const Planned> phones);
/// Looks up what the records say of these phones' operations.
Result<Prospects> look_up_prospects(Transaction& tx, OperationKind kind, std::span<const Planned> phones);

/// Cancels the open operations of these phones, which are locked. @param run of the bulk, or empty
Status cancel_open(Transaction& tx, const Actor& actor, std::span<const Standing> phones, const std::string& message,
                   BytesView run);

}  // namespace capf::service
