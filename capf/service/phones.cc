#include "capf/service/phones.h"

#include <algorithm>
#include <map>

#include "capf/domain/audit_store.h"
#include "capf/domain/certificate_store.h"
#include "capf/domain/operation_store.h"
#include "capf/domain/string_store.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

/// The phone, locked. Errors: UNKNOWN_DEVICE.
Result<Phone> lock(Transaction& tx, const DeviceName& device) {
  CAPF_LET(std::optional<Phone> phone, tx.phones().lock(device));
  if (!phone) return unknown_device(tx, device);
  return *std::move(phone);
}

Result<PhonesPage> page_of(Transaction& tx, const PhoneSelection& selection, const PhonePage& page) {
  CAPF_LET(const SelectedPhones found, tx.phones().select(selection, page));
  CAPF_LET(auto phones, tx.phones().find_all(found.ids));
  return PhonesPage{std::move(phones), found.next};
}

/// `description "Reception", tags +lobby -spare` for the record.
std::string words_of(const PhoneChange& change) {
  std::string words;
  if (change.description) words = "description \"" + *change.description + "\"";
  std::string tags = change.sets_tags ? " none but" : "";
  for (const std::string& tag : change.added_tags) tags += " +" + tag;
  for (const std::string& tag : change.removed_tags) tags += " -" + tag;
  if (change.sets_tags && change.added_tags.empty()) tags = " none";
  if (!tags.empty()) words += (words.empty() ? "tags" : ", tags") + tags;
  return words;
}

}  // namespace

Status Phones::add(const Actor& actor, std::vector<NewPhone> phones) {
  if (phones.empty() || phones.size() > kMostDevicesAtOnce) {
    return fail(Reason::kInvalidRequest, "1 to 100,000 devices can be added at once");
  }
  std::sort(phones.begin(), phones.end(), [](const NewPhone& a, const NewPhone& b) { return a.device < b.device; });
  std::vector<DeviceName> devices;
  std::map<std::string, std::vector<DeviceName>> by_model;
  for (std::size_t i = 0; i < phones.size(); ++i) {
    const auto& [device, model] = phones[i];
    if (i > 0 && phones[i - 1].device == device)
      return fail(Reason::kInvalidRequest, device.text() + " is named twice");
    by_model[model].push_back(device);
    devices.push_back(device);
  }
  CAPF_TRY(check_device_names(policy_, devices));
  for (const auto& [model, some] : by_model) {
    const Status good = check_model(model);
    if (!good) return fail(Reason::kInvalidRequest, "\"" + model + "\" is " + good.error().message);
  }
  return in_write(database_, actor, [&](Transaction& tx) -> Status {
    std::vector<std::string> existing;
    for (const auto& [model, some] : by_model) {
      CAPF_LET(const auto found, tx.phones().add(some, model));
      existing.insert(existing.end(), found.begin(), found.end());
    }
    if (!existing.empty()) {
      return fail(Reason::kDeviceExists, "nothing was added: there is " + listed(existing) + " already");
    }
    for (const auto& [device, model] : phones) CAPF_TRY(tx.audit().add(done(actor, "phone.add", device.text(), model)));
    return {};
  });
}

Status Phones::add(const Actor& actor, const std::vector<DeviceName>& devices, const std::string& model) {
  std::vector<NewPhone> phones;
  for (const DeviceName& device : devices) phones.push_back({device, model});
  return add(actor, std::move(phones));
}

Result<PhonesPage> Phones::list(const PhoneSelection& selection, const PhonePage& page) {
  return in_read(database_, [&](Transaction& tx) { return page_of(tx, selection, page); });
}

Result<PhoneSelectionView> Phones::select(const PhoneSelection& selection, const PhonePage& page) {
  return in_read(database_, [&](Transaction& tx) -> Result<PhoneSelectionView> {
    CAPF_TRY(check_selection(tx, selection));
    PhoneSelectionView view;
    if (!page.after) {
      CAPF_LET(const PhoneCount count, tx.phones().count(selection));
      view.count = count.phones;
    }
    CAPF_LET(view.page, page_of(tx, selection, page));
    return view;
  });
}

Result<ChangeAnswer> Phones::change(const Actor& actor, const Bulk& bulk, const PhoneChange& change) {
  CAPF_TRY(change.check());
  return in_write(database_, actor, [&](Transaction& tx) -> Result<ChangeAnswer> {
    CAPF_LET(const Batch batch, take_batch(tx, bulk));
    CAPF_LET(const auto changed, tx.phones().change(batch.ids(), change));
    std::vector<AuditEvent> events;
    for (const SelectedPhone& phone : batch.phones) {
      if (!std::binary_search(changed.begin(), changed.end(), phone.id)) continue;
      events.push_back(done(actor, "phone.change", phone.device.text(), words_of(change)));
    }
    CAPF_TRY(tx.audit().add_all(events));
    return ChangeAnswer{static_cast<int>(batch.phones.size()), static_cast<int>(changed.size()), batch.next};
  });
}

Result<PhoneView> Phones::show(const DeviceName& device) {
  return in_read(database_, [&](Transaction& tx) -> Result<PhoneView> {
    CAPF_LET(std::optional<Phone> phone, tx.phones().find(device));
    if (!phone) return unknown_device(tx, device);
    PhoneView view{*std::move(phone), {}, {}, "None"};
    CAPF_LET(view.operation, tx.operations().find_open(view.phone.id));
    if (!view.operation) {
      CAPF_LET(view.operation, tx.operations().find_last(view.phone.id));
    }
    CAPF_LET(view.certificates, tx.certificates().of_phone(view.phone.id, 20));
    if (view.operation) view.status = cisco_status(view.operation->kind, view.operation->state, view.operation->reason);
    return view;
  });
}

Result<int> Phones::remove(const Actor& actor, const DeviceName& device) {
  return in_write(database_, actor, [&](Transaction& tx) -> Result<int> {
    CAPF_LET(const Phone phone, lock(tx, device));
    CAPF_LET(rules::Draft draft, draft_of(tx, actor, phone));
    rules::cancel_open(draft, "the phone was removed");
    const int revoked = rules::revoke_all(draft, RevocationReason::kCessationOfOperation);
    CAPF_TRY(write(tx, draft));
    CAPF_TRY(tx.phones().remove(phone.id));
    CAPF_TRY(tx.audit().add(done(actor, "phone.remove", device.text())));
    return revoked;
  });
}

Result<int> Phones::block(const Actor& actor, const DeviceName& device) {
  return in_write(database_, actor, [&](Transaction& tx) -> Result<int> {
    CAPF_LET(const Phone phone, lock(tx, device));
    CAPF_TRY(tx.phones().set_blocked(phone.id, true));
    CAPF_LET(rules::Draft draft, draft_of(tx, actor, phone));
    rules::cancel_open(draft, "the phone was blocked");
    const int revoked = rules::revoke_all(draft, RevocationReason::kPrivilegeWithdrawn);
    CAPF_TRY(write(tx, draft));
    if (!phone.blocked_at) CAPF_TRY(tx.audit().add(done(actor, "phone.block", device.text())));
    return revoked;
  });
}

Status Phones::unblock(const Actor& actor, const DeviceName& device) {
  return in_write(database_, actor, [&](Transaction& tx) -> Status {
    CAPF_LET(const Phone phone, lock(tx, device));
    if (!phone.blocked_at) return fail(Reason::kDeviceNotBlocked);
    CAPF_TRY(tx.phones().set_blocked(phone.id, false));
    return tx.audit().add(done(actor, "phone.unblock", device.text()));
  });
}

Status Phones::unlock(const Actor& actor, const DeviceName& device, bool forget_mic) {
  return in_write(database_, actor, [&](Transaction& tx) -> Status {
    CAPF_LET(const Phone phone, lock(tx, device));
    CAPF_TRY(tx.strings().unlock(phone.id));
    CAPF_TRY(tx.phones().allow_self_service(phone.id));
    if (forget_mic) CAPF_TRY(tx.phones().forget_mic(phone.id));
    return tx.audit().add(done(actor, "phone.unlock", device.text(), forget_mic ? "the remembered MIC too" : ""));
  });
}

Result<TimePoint> Phones::trace(const Actor& actor, const DeviceName& device, std::optional<TimePoint> until) {
  return in_write(database_, actor, [&](Transaction& tx) -> Result<TimePoint> {
    const TimePoint end = until.value_or(tx.now() + kUsualTrace);
    if (end <= tx.now() || end > tx.now() + kLongestTrace) {
      return fail(Reason::kInvalidRequest, "a trace ends within 24 hours from now");
    }
    CAPF_LET(const Phone phone, lock(tx, device));
    CAPF_TRY(tx.phones().set_traced(phone.id, end));
    CAPF_TRY(tx.audit().add(done(actor, "phone.trace", device.text(), "until " + to_rfc3339(end))));
    return end;
  });
}

Status Phones::stop_trace(const Actor& actor, const DeviceName& device) {
  return in_write(database_, actor, [&](Transaction& tx) -> Status {
    CAPF_LET(const Phone phone, lock(tx, device));
    CAPF_TRY(tx.phones().set_traced(phone.id, std::nullopt));
    return tx.audit().add(done(actor, "phone.trace", device.text(), "off"));
  });
}

}  // namespace capf::service
