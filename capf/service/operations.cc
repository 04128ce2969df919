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

Result<std::vector<std::string>> warnings_for(Transaction& tx, const OperationPlan& plan, TimePoint completes_by,
                                              std::span<const Standing> phones) {
  std::vector<std::string> warnings;
  if (const auto words = null_string_warning(plan, completes_by)) warnings.push_back(*words);
  CAPF_LET(const Prospects prospects, look_up_prospects(tx, plan, ids_of(phones)));
  Hopeless hopeless;
  for (const Standing& phone : phones) {
    const Prospect prospect = prospect_of(prospects, phone.phone_id, phone.device);
    if (prospect.no_anchor) hopeless.no_anchor.push_back(phone.device.text());
    if (prospect.without_lsc) hopeless.without_lsc.push_back(phone.device.text());
  }
  for (std::string& words : warn_of(plan.auth, hopeless)) warnings.push_back(std::move(words));
  return warnings;
}

/// The operation of one phone, as it is on record from now on.
Operation operation_of(const Operation& common, const Standing& phone, const NewOperation& own) {
  Operation operation = common;
  operation.id = own.id;
  operation.phone_id = phone.phone_id;
  operation.device = phone.device;
  operation.string_mac = own.string_mac;
  operation.string_digits = own.string_digits;
  return operation;
}

}  // namespace

Status Operations::check(const OperationPlan& plan) const {
  CAPF_TRY(plan.key.check());
  if (plan.key.order != KeyOrder::kEc && plan.key.rsa_bits == 1024 && !policy_.allow_rsa_1024) {
    return fail(Reason::kInvalidKeyPolicy, "this site does not allow RSA keys of 1024 bits");
  }
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
    CAPF_LET(const TimePoint completes_by, deadline_of(request, tx.now()));
    CAPF_LET(const std::vector<Phone> locked, tx.phones().lock_all(devices));
    std::vector<std::int64_t> ids;
    for (const Phone& phone : locked) ids.push_back(phone.id);
    CAPF_LET(const std::vector<Standing> phones, tx.operations().standings(ids, {}));
    Sorted sorted = sort_to_schedule(phones, false);
    CAPF_TRY(add_unknown(tx, missing_of(devices, locked), sorted));
    CAPF_TRY(check_problems(sorted.problems, {}, "nothing was scheduled: "));
    ScheduleAnswer answer;
    CAPF_LET(answer.warnings, warnings_for(tx, request, completes_by, sorted.wanted));
    CAPF_LET(answer.operations, add(tx, actor, bulk, completes_by, sorted.wanted));
    return answer;
  });
}

Result<Secret> Operations::string_for(const ScheduleBulk& bulk, const DeviceName& device) {
  if (bulk.plan.auth != AuthMode::kString || bulk.plan.auth_string) return Secret();
  if (bulk.strings.empty()) return generate_auth_string(random_);
  const auto found = bulk.strings.find(device);
  if (found != bulk.strings.end()) return found->second;
  return fail(Reason::kInvalidAuthString, "nothing was scheduled: there is no string for " + device.text());
}

Result<std::vector<Scheduled>> Operations::add(Transaction& tx, const Actor& actor, const ScheduleBulk& bulk,
                                               TimePoint completes_by, std::span<const Standing> phones) {
  if (phones.empty()) return std::vector<Scheduled>{};
  const OperationPlan& plan = bulk.plan;
  const Operation common{.device = phones.front().device,
                         .kind = plan.kind,
                         .auth = plan.auth,
                         .key = plan.key,
                         .created_by = actor.name,
                         .created_at = tx.now(),
                         .completes_by = completes_by};
  const std::string words = std::string(to_string(plan.kind)) + " by " + std::string(to_string(plan.auth));
  CAPF_LET(const std::vector<std::int64_t> ids, tx.operations().next_ids(phones.size()));
  std::vector<NewOperation> operations;
  std::vector<AuditEvent> events;
  std::vector<Scheduled> scheduled;
  for (std::size_t i = 0; i < phones.size(); ++i) {
    const DeviceName& device = phones[i].device;
    CAPF_LET(Secret own, string_for(bulk, device));
    NewOperation operation{.id = ids[i], .phone_id = phones[i].phone_id};
    if (plan.auth == AuthMode::kString) {
      const std::string_view digits = plan.auth_string ? plan.auth_string->text() : own.text();
      operation.string_mac = strings_.mac(operation.id, device, digits);
      operation.string_digits = static_cast<int>(digits.size());
      operation.strings_limit = strings_limit(digits.size());
    }
    scheduled.push_back({operation_of(common, phones[i], operation), bulk.strings.empty() ? std::move(own) : Secret()});
    events.push_back(done(actor, "operation.schedule", scheduled.back().operation, words).event);
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
