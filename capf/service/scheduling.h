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

/// The deadline of operations that are scheduled now. Errors: INVALID_DEADLINE.
Result<TimePoint> deadline_of(const OperationPlan& plan, TimePoint now);
/// For operations by null string, which prove nothing; nothing for others.
std::optional<std::string> null_string_warning(const OperationPlan& plan, TimePoint completes_by);
/// Looks up what the records say of these phones' operations.
Result<Prospects> look_up_prospects(Transaction& tx, const OperationPlan& plan,
                                    std::span<const std::int64_t> phone_ids);

/// Cancels the open operations of these phones, which are locked. @param run of the bulk, or empty
Status cancel_open(Transaction& tx, const Actor& actor, std::span<const Standing> phones, const std::string& message,
                   BytesView run);

}  // namespace capf::service
