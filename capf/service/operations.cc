#include "capf/service/operations.h"

#include <algorithm>
#include <map>
#include <unordered_set>

#include "capf/domain/anchor_store.h"
#include "capf/domain/audit_store.h"
#include "capf/domain/authstring.h"
#include "capf/domain/certificate_store.h"
#include "capf/domain/phone_store.h"
#include "capf/service/prospects.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

constexpr std::chrono::minutes kNearestDeadline{1};
constexpr std::chrono::hours kFarthestDeadline{24 * 90};

/// Wrong strings in all: min(100, 10^digits / 1000).
int strings_limit(std::size_t digits) {
  int limit = 1;
  for (std::size_t i = 3; i < digits && limit < 100; ++i) limit *= 10;
  return std::min(limit, 100);
}

/// Adds warnings of operations that cannot succeed by the records.
Status warn_of_hopeless(Transaction& tx, const ScheduleRequest& request, const std::vector<Phone>& phones,
                        std::vector<std::string>& warnings) {
  const bool by_certificate = request.auth == AuthMode::kLsc || request.auth == AuthMode::kMic;
  if (!by_certificate && request.kind != OperationKind::kDelete) return {};
  std::vector<std::int64_t> ids;
  for (const Phone& phone : phones) ids.push_back(phone.id);
  CAPF_LET(const std::vector<std::int64_t> found, tx.certificates().phones_with_lsc(ids));
  const std::unordered_set<std::int64_t> with_lsc(found.begin(), found.end());
  CAPF_LET(const std::vector<TrustAnchor> anchors, tx.anchors().list());
  for (std::string& words : warn_of({request.kind, request.auth, phones, with_lsc, anchors, tx.now()})) {
    warnings.push_back(std::move(words));
  }
  return {};
}

}  // namespace

Result<ScheduleAnswer> Operations::schedule(const Actor& actor, const ScheduleRequest& request) {
  if (request.devices.empty() || request.devices.size() > kMostDevicesAtOnce) {
    return fail(Reason::kInvalidRequest, "1 to 100,000 devices can be scheduled at once");
  }
  CAPF_TRY(request.key.check());
  if (request.key.order != KeyOrder::kEc && request.key.rsa_bits == 1024 && !policy_.allow_rsa_1024) {
    return fail(Reason::kInvalidKeyPolicy, "this site does not allow RSA keys of 1024 bits");
  }
  if (request.auth_string) {
    if (request.auth != AuthMode::kString) {
      return fail(Reason::kInvalidAuthString, "only authentication by string takes an authentication string");
    }
    CAPF_TRY(check_auth_string(request.auth_string->text()));
  }
  std::vector<DeviceName> devices = request.devices;
  std::sort(devices.begin(), devices.end());  // one order of locks
  if (const auto twice = std::adjacent_find(devices.begin(), devices.end()); twice != devices.end()) {
    return fail(Reason::kInvalidRequest, twice->text() + " is named twice");
  }

  return in_write(database_, actor, [&](Transaction& tx) -> Result<ScheduleAnswer> {
    ScheduleAnswer answer;
    const TimePoint now = tx.now();
    TimePoint completes_by = request.completes_by.value_or(now + kDefaultDeadline);
    if (completes_by < now + kNearestDeadline || completes_by > now + kFarthestDeadline) {
      return fail(Reason::kInvalidDeadline);
    }
    if (request.auth == AuthMode::kNull) {
      completes_by = std::min<TimePoint>(completes_by, now + kNullStringLifetime);
      answer.warnings.push_back(
          "null string proves nothing: whoever calls from a null-string network first gets the certificate, until " +
          to_rfc3339(completes_by));
    }
    CAPF_LET(const std::vector<Phone> locked, tx.phones().lock_all(devices));
    CAPF_TRY(warn_of_hopeless(tx, request, locked, answer.warnings));
    std::map<DeviceName, const Phone*> phones;
    for (const Phone& phone : locked) phones[phone.device] = &phone;
    for (const DeviceName& device : devices) {
      const auto found = phones.find(device);
      const Phone* const phone = found == phones.end() ? nullptr : found->second;
      if (phone == nullptr) return unknown_device(tx, device, "nothing was scheduled: ");
      if (phone->blocked_at)
        return fail(Reason::kDeviceBlocked, "nothing was scheduled: " + device.text() + " is blocked");
      Operation operation{.phone_id = phone->id, .device = device};
      CAPF_LET(operation.id, tx.operations().next_id());
      operation.kind = request.kind;
      operation.auth = request.auth;
      operation.key = request.key;
      operation.created_by = actor.name;
      operation.created_at = now;
      operation.completes_by = completes_by;
      Secret generated;
      if (request.auth == AuthMode::kString) {
        if (!request.auth_string) generated = generate_auth_string(random_);
        const std::string_view digits = request.auth_string ? request.auth_string->text() : generated.text();
        operation.string_mac = strings_.mac(operation.id, device, digits);
        operation.string_digits = static_cast<int>(digits.size());
      }
      CAPF_LET(const bool added,
               tx.operations().add(operation, strings_limit(static_cast<std::size_t>(operation.string_digits))));
      if (!added) {
        return fail(Reason::kOperationPending,
                    "nothing was scheduled: " + device.text() + " has an open operation already");
      }
      const std::string words =
          std::string(to_string(operation.kind)) + " by " + std::string(to_string(operation.auth));
      CAPF_TRY(tx.audit().add(done(actor, "operation.schedule", operation, words).event));
      answer.operations.push_back({std::move(operation), std::move(generated)});
    }
    return answer;
  });
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
    CAPF_LET(rules::Draft draft, draft_of(tx, actor, *phone));
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
