#include "capf/service/operations.h"

#include <algorithm>

#include "capf/domain/audit_store.h"
#include "capf/domain/authstring.h"
#include "capf/domain/phone_store.h"
#include "capf/service/scheduling.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

/// Wrong strings in all: min(100, 10^digits / 1000).
int strings_limit(std::size_t digits) {
  int limit = 1;
  for (std::size_t i = 3; i < digits && limit < 100; ++i) limit *= 10;
  return std::min(limit, 100);
}

/// In order, each once, and as many as one transaction takes.
Result<std::vector<DeviceName>> in_order(std::vector<DeviceName> devices) {
  if (devices.empty() || devices.size() > kPhonesInBatch) {
    return fail(Reason::kInvalidRequest, "1 to 500 devices can be scheduled in one call");
  }
  std::sort(devices.begin(), devices.end());
  if (const auto twice = std::adjacent_find(devices.begin(), devices.end()); twice != devices.end()) {
    return fail(Reason::kInvalidRequest, twice->text() + " is named twice");
  }
  return devices;
}

/// Those of these names that no locked phone has.
std::vector<DeviceName> missing_of(std::span<const DeviceName> devices, std::span<const Phone> phones) {
  std::set<DeviceName> missing(devices.begin(), devices.end());
  for (const Phone& phone : phones) missing.erase(phone.device);
  return {missing.begin(), missing.end()};
}

Result<std::vector<std::string>> warnings_for(Transaction& tx, const OperationPlan& plan,
                                              std::span<const Planned> phones) {
  std::vector<std::string> warnings;
  if (const auto words = null_string_warning(phones)) warnings.push_back(*words);
  CAPF_LET(const Prospects prospects, look_up_prospects(tx, plan.kind, phones));
  Hopeless hopeless;
  for (const auto& [phone, terms] : phones) {
    const Prospect prospect = prospect_of(prospects, terms.auth, phone.phone_id, phone.device);
    if (prospect.no_anchor) hopeless.no_anchor.push_back(phone.device.text());
    if (prospect.without_lsc) hopeless.without_lsc.push_back(phone.device.text());
  }
  for (std::string& words : warn_of(plan.auth.value_or(AuthMode::kMic), hopeless)) {
    warnings.push_back(std::move(words));
  }
  return warnings;
}

NewOperation new_operation(std::int64_t id, const Planned& planned) {
  const auto& [phone, terms] = planned;
  NewOperation operation{.id = id, .phone_id = phone.phone_id};
  operation.auth = terms.auth;
  operation.key = terms.key;
  operation.lsc = terms.lsc;
  operation.owners = terms.owners;
  operation.completes_by = terms.completes_by;
  return operation;
}

/// The operation of one phone, as it is on record from now on.
Operation operation_of(const Operation& common, const Planned& planned, const NewOperation& own) {
  Operation operation = common;
  operation.id = own.id;
  operation.phone_id = own.phone_id;
  operation.device = planned.phone.device;
  operation.auth = own.auth;
  operation.key = own.key;
  operation.lsc = own.lsc;
  operation.owners = own.owners;
  operation.completes_by = own.completes_by;
  operation.string_mac = own.string_mac;
  operation.string_digits = own.string_digits;
  return operation;
}

}  // namespace

Status Operations::check(const OperationPlan& plan) const {
  CAPF_TRY(plan.SaidTerms::check(policy_));
  if (!plan.auth_string) return {};
  if (plan.auth != AuthMode::kString) {
    return fail(Reason::kInvalidAuthString, "only authentication by string takes an authentication string");
  }
  return check_auth_string(plan.auth_string->text());
}

Result<ScheduleAnswer> Operations::schedule(const Actor& actor, const ScheduleRequest& request) {
  CAPF_TRY(check(request));
  CAPF_LET(const std::vector<DeviceName> devices, in_order(request.devices));
  ScheduleBulk bulk;
  bulk.plan = request;
  return in_write(database_, actor, [&](Transaction& tx) -> Result<ScheduleAnswer> {
    CAPF_TRY(check_deadline(request.completes_by, tx.now()));
    CAPF_LET(const std::vector<Phone> locked, tx.phones().lock_all(devices));
    std::vector<std::int64_t> ids;
    for (const Phone& phone : locked) ids.push_back(phone.id);
    CAPF_LET(const std::vector<Standing> phones, tx.operations().standings(ids, {}));
    Sorted sorted = sort_to_schedule(phones, false);
    CAPF_TRY(add_unknown(tx, missing_of(devices, locked), sorted));
    CAPF_LET(const auto planned, plan_terms(tx, policy_, request, sorted));
    CAPF_TRY(check_problems(sorted.problems, {}, "nothing was scheduled: "));
    ScheduleAnswer answer;
    CAPF_LET(answer.warnings, warnings_for(tx, request, planned));
    CAPF_LET(answer.operations, add(tx, actor, bulk, planned));
    return answer;
  });
}

Result<Secret> Operations::string_for(const ScheduleBulk& bulk, const Planned& planned) {
  const DeviceName& device = planned.phone.device;
  const auto found = bulk.strings.find(device);
  if (planned.terms.auth != AuthMode::kString) {
    if (found == bulk.strings.end()) return Secret();
    return fail(Reason::kChangedMeanwhile,
                "nothing was scheduled: the settings of " + device.text() + " ask for no string any more");
  }
  if (bulk.plan.auth_string) return Secret();
  if (bulk.strings.empty()) return generate_auth_string(random_);
  if (found != bulk.strings.end()) return found->second;
  return fail(Reason::kInvalidAuthString, "nothing was scheduled: there is no string for " + device.text());
}

Result<std::vector<Scheduled>> Operations::add(Transaction& tx, const Actor& actor, const ScheduleBulk& bulk,
                                               std::span<const Planned> phones) {
  if (phones.empty()) return std::vector<Scheduled>{};
  const OperationPlan& plan = bulk.plan;
  const Operation common{
      .device = phones.front().phone.device, .kind = plan.kind, .created_by = actor.name, .created_at = tx.now()};
  CAPF_LET(const std::vector<std::int64_t> ids, tx.operations().next_ids(phones.size()));
  std::vector<NewOperation> operations;
  std::vector<AuditEvent> events;
  std::vector<Scheduled> scheduled;
  for (std::size_t i = 0; i < phones.size(); ++i) {
    CAPF_LET(Secret own, string_for(bulk, phones[i]));
    NewOperation operation = new_operation(ids[i], phones[i]);
    if (operation.auth == AuthMode::kString) {
      const std::string_view digits = plan.auth_string ? plan.auth_string->text() : own.text();
      operation.string_mac = strings_.mac(operation.id, phones[i].phone.device, digits);
      operation.string_digits = static_cast<int>(digits.size());
      operation.strings_limit = strings_limit(digits.size());
    }
    scheduled.push_back({operation_of(common, phones[i], operation), bulk.strings.empty() ? std::move(own) : Secret()});
    events.push_back(done(actor, "operation.schedule", scheduled.back().operation,
                          std::string(to_string(plan.kind)) + " by " + std::string(to_string(operation.auth)))
                         .event);
    operations.push_back(std::move(operation));
  }
  CAPF_LET(const int added, tx.operations().add_all(common, operations, bulk.run));
  if (added != static_cast<int>(operations.size())) return fail(Reason::kChangedMeanwhile);
  CAPF_TRY(tx.audit().add_all(events));
  return scheduled;
}

Result<std::vector<Operation>> Operations::list(const OperationFilter& filter, const Page& page) {
  return in_read(database_, [&](Transaction& tx) { return tx.operations().list(filter, page); });
}

Result<Operation> Operations::show(const DeviceName& device) {
  return in_read(database_, [&](Transaction& tx) -> Result<Operation> {
    CAPF_LET(const std::optional<Phone> phone, tx.phones().find(device));
    if (!phone) return unknown_device(tx, device);
    CAPF_LET(std::optional<Operation> operation, tx.operations().find_open(phone->id));
    if (!operation) {
      CAPF_LET(operation, tx.operations().find_last(phone->id));
    }
    if (!operation) return fail(Reason::kUnknownOperation, device.text() + " never had an operation");
    return *std::move(operation);
  });
}

Result<Operation> Operations::cancel(const Actor& actor, const DeviceName& device) {
  return in_write(database_, actor, [&](Transaction& tx) -> Result<Operation> {
    CAPF_LET(const std::optional<Phone> phone, tx.phones().lock(device));
    if (!phone) return unknown_device(tx, device);
    CAPF_LET(rules::Draft draft, draft_of(tx, actor, {phone->id, phone->device}));
    if (!draft.open) return fail(Reason::kNoPendingOperation);
    const std::int64_t cancelled = draft.open->id;
    rules::cancel_open(draft, "cancelled by " + actor.name);
    CAPF_TRY(write(tx, draft));
    CAPF_LET(std::optional<Operation> now, tx.operations().find(cancelled));
    CAPF_INVARIANT(now.has_value());
    return *std::move(now);
  });
}

}  // namespace capf::service
