#include "capf/service/phones.h"

#include <algorithm>
#include <map>
#include <set>

#include "capf/domain/audit_store.h"
#include "capf/domain/certificate_store.h"
#include "capf/domain/digest_store.h"
#include "capf/domain/line_store.h"
#include "capf/domain/operation_store.h"
#include "capf/domain/phone_fetch_store.h"
#include "capf/domain/string_store.h"
#include "capf/service/profiles.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

using SomePhones = std::span<const SelectedPhone>;

/// Does something to the next batch of a bulk. @param act is given the phones, locked
template <class Act>
Result<ChangeAnswer> do_batch(Database& database, const Actor& actor, const Bulk& bulk, Act act) {
  return in_write(database, actor, [&](Transaction& tx) -> Result<ChangeAnswer> {
    CAPF_LET(const Batch batch, take_batch(tx, bulk));
    CAPF_LET(ChangeAnswer answer, act(tx, SomePhones(batch.phones)));
    answer.selected = static_cast<int>(batch.phones.size());
    answer.next = batch.next;
    return answer;
  });
}

/// Does the same to one phone. Errors: UNKNOWN_DEVICE.
template <class Act>
Result<ChangeAnswer> do_one(Database& database, const Actor& actor, const DeviceName& device, Act act) {
  return in_write(database, actor, [&](Transaction& tx) -> Result<ChangeAnswer> {
    CAPF_LET(const std::optional<Phone> locked, tx.phones().lock(device));
    if (!locked) return unknown_device(tx, device);
    const SelectedPhone phone{locked->id, locked->device};
    return act(tx, SomePhones(&phone, 1));
  });
}

std::vector<std::string> texts_of(SomePhones phones) {
  std::vector<std::string> names;
  for (const SelectedPhone& phone : phones) names.push_back(phone.device.text());
  return names;
}

// The acts upon phones, one or many, which are locked.

auto removing(const Actor& actor) {
  return [&actor](Transaction& tx, SomePhones phones) -> Result<ChangeAnswer> {
    CAPF_LET(const PhonesEnded ended, remove_phones(tx, actor, phones));
    return ChangeAnswer{.changed = ended.changed, .revoked = ended.revoked};
  };
}

auto blocking(const Actor& actor) {
  return [&actor](Transaction& tx, SomePhones phones) -> Result<ChangeAnswer> {
    CAPF_LET(const PhonesEnded ended, block_phones(tx, actor, phones));
    return ChangeAnswer{.changed = ended.changed, .revoked = ended.revoked};
  };
}

auto unblocking(const Actor& actor) {
  return [&actor](Transaction& tx, SomePhones phones) -> Result<ChangeAnswer> {
    CAPF_LET(const auto unblocked, tx.phones().unblock_all(ids_of(phones)));
    CAPF_TRY(record(tx, actor, "phone.unblock", unblocked));
    return ChangeAnswer{.changed = static_cast<int>(unblocked.size())};
  };
}

auto unlocking(const Actor& actor, bool forget_mic) {
  return [&actor, forget_mic](Transaction& tx, SomePhones phones) -> Result<ChangeAnswer> {
    const std::vector<std::int64_t> ids = ids_of(phones);
    CAPF_TRY(tx.strings().unlock_all(ids));
    CAPF_TRY(tx.phones().allow_self_service(ids));
    if (forget_mic) CAPF_TRY(tx.phones().forget_mics(ids));
    CAPF_TRY(record(tx, actor, "phone.unlock", texts_of(phones), forget_mic ? "the remembered MIC too" : ""));
    return ChangeAnswer{.changed = static_cast<int>(ids.size())};
  };
}

auto tracing(const Actor& actor, const TraceRequest& request) {
  return [&actor, &request](Transaction& tx, SomePhones phones) -> Result<ChangeAnswer> {
    ChangeAnswer answer{.changed = static_cast<int>(phones.size())};
    if (!request.off) answer.until = request.until.value_or(tx.now() + kUsualTrace);
    if (answer.until && (*answer.until <= tx.now() || *answer.until > tx.now() + kLongestTrace)) {
      return fail(Reason::kInvalidRequest, "a trace ends within 24 hours from now");
    }
    CAPF_TRY(tx.phones().set_traced(ids_of(phones), answer.until));
    CAPF_TRY(record(tx, actor, "phone.trace", texts_of(phones),
                    answer.until ? "until " + to_rfc3339(*answer.until) : "off"));
    return answer;
  };
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

std::vector<DeviceName> names_of(const std::vector<ImportedPhone>& phones) {
  std::vector<DeviceName> names;
  for (const ImportedPhone& phone : phones) names.push_back(phone.device);
  return names;
}

std::map<DeviceName, Phone> by_name(std::vector<Phone> phones) {
  std::map<DeviceName, Phone> named;
  for (Phone& phone : phones) {
    DeviceName name = phone.device;
    named.emplace(std::move(name), std::move(phone));
  }
  return named;
}

Status check_names(const std::vector<DeviceName>& names) {
  if (names.empty() || names.size() > kPhonesInBatch) {
    return fail(Reason::kInvalidRequest, "1 to " + std::to_string(kPhonesInBatch) + " phones are imported at once");
  }
  std::set<DeviceName> seen;
  for (const DeviceName& name : names) {
    if (!seen.insert(name).second) return fail(Reason::kInvalidRequest, name.text() + " is named twice");
  }
  return {};
}

Status check(const SitePolicy& policy, const ImportedPhone& phone) {
  CAPF_TRY(check_device_names(policy, std::span(&phone.device, 1)));
  return phone.check();
}

/// Counts a phone that is on record. Errors: DEVICE_EXISTS where it differs and is not to be updated.
Status compare(const ImportedPhone& phone, const Phone& on_record, bool update, ImportCount& count) {
  const auto differences = phone.differences(on_record);
  if (!differences.empty() && !update) {
    return fail(Reason::kDeviceExists, phone.device.text() + " exists already, and differs in " + listed(differences));
  }
  ++(differences.empty() ? count.unchanged : count.changed);
  return {};
}

/// `CP-8861, description "Reception", tags +lobby` for the record.
std::string words_of(const ImportedPhone& phone, bool added) {
  std::string words = added || phone.model.empty() ? phone.model : "model " + phone.model;
  PhoneChange change{.description = phone.description, .sets_tags = !added && phone.tags};
  if (added && change.description == "") change.description.reset();
  if (phone.tags) change.added_tags.assign(phone.tags->begin(), phone.tags->end());
  const std::string others = words_of(change);
  return words + (words.empty() || others.empty() ? "" : ", ") + others;
}

/// Locks phones that are on record, and updates those that differ. @return them. Errors: those of compare().
Result<std::vector<ImportedPhone>> update_different(Transaction& tx, const std::vector<ImportedPhone>& phones,
                                                    bool update, ImportCount& count) {
  std::vector<ImportedPhone> different;
  if (phones.empty()) return different;
  CAPF_LET(std::vector<Phone> locked, tx.phones().lock_all(names_of(phones)));
  const std::map<DeviceName, Phone> present = by_name(std::move(locked));
  for (const ImportedPhone& phone : phones) {
    const auto found = present.find(phone.device);
    if (found == present.end()) return fail(Reason::kChangedMeanwhile, phone.device.text() + " was removed meanwhile");
    const int changed = count.changed;
    CAPF_TRY(compare(phone, found->second, update, count));
    if (count.changed > changed) different.push_back(phone);
  }
  if (!different.empty()) CAPF_TRY(tx.phones().update(different));
  return different;
}

}  // namespace

Status Phones::add(const Actor& actor, std::vector<NewPhone> phones) {
  if (phones.empty() || phones.size() > kPhonesInBatch) {
    return fail(Reason::kInvalidRequest, "1 to " + std::to_string(kPhonesInBatch) + " devices can be added at once");
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
    std::vector<AuditEvent> events;
    for (const auto& [device, model] : phones) events.push_back(done(actor, "phone.add", device.text(), model));
    return tx.audit().add_all(events);
  });
}

Status Phones::add(const Actor& actor, const std::vector<DeviceName>& devices, const std::string& model) {
  std::vector<NewPhone> phones;
  for (const DeviceName& device : devices) phones.push_back({device, model});
  return add(actor, std::move(phones));
}

Result<ImportPlan> Phones::check_import(const PhoneImport& batch) {
  const std::vector<DeviceName> names = names_of(batch.phones);
  CAPF_TRY(check_names(names));
  return in_read(database_, [&](Transaction& tx) -> Result<ImportPlan> {
    CAPF_LET(std::vector<Phone> found, tx.phones().find_all(names));
    CAPF_LET(const auto other_cases, tx.phones().find_other_cases(names));
    const std::map<DeviceName, Phone> present = by_name(std::move(found));
    ImportPlan plan;
    for (std::size_t i = 0; i < names.size(); ++i) {
      const ImportedPhone& phone = batch.phones[i];
      Status good = check(policy_, phone);
      if (const auto on_record = present.find(phone.device); good && on_record != present.end()) {
        good = compare(phone, on_record->second, batch.update, plan.count);
      } else if (const auto other = other_cases.find(phone.device); good && other != other_cases.end()) {
        good = fail(Reason::kDeviceOtherCase, "there is " + other->second.text() + " already, and case counts");
      } else if (good) {
        ++plan.count.added;
      }
      if (!good) plan.problems.push_back({i, good.error()});
    }
    return plan;
  });
}

Result<ImportCount> Phones::import_phones(const Actor& actor, const PhoneImport& batch) {
  const std::vector<DeviceName> names = names_of(batch.phones);
  CAPF_TRY(check_names(names));
  for (const ImportedPhone& phone : batch.phones) CAPF_TRY(check(policy_, phone));
  return in_write(database_, actor, [&](Transaction& tx) -> Result<ImportCount> {
    CAPF_LET(const std::set<DeviceName> added, tx.phones().add_missing(batch.phones));
    ImportCount count{.added = static_cast<int>(added.size())};
    std::vector<ImportedPhone> others;
    std::vector<AuditEvent> events;
    for (const ImportedPhone& phone : batch.phones) {
      if (added.contains(phone.device)) {
        events.push_back(done(actor, "phone.add", phone.device.text(), words_of(phone, true)));
      } else {
        others.push_back(phone);
      }
    }
    CAPF_LET(const auto updated, update_different(tx, others, batch.update, count));
    for (const ImportedPhone& phone : updated) {
      events.push_back(done(actor, "phone.change", phone.device.text(), words_of(phone, false)));
    }
    CAPF_TRY(tx.audit().add_all(events));
    return count;
  });
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
  return do_batch(database_, actor, bulk, [&](Transaction& tx, SomePhones phones) -> Result<ChangeAnswer> {
    CAPF_LET(const auto changed, tx.phones().change(ids_of(phones), change));
    std::vector<std::string> devices;
    for (const SelectedPhone& phone : phones) {
      if (std::binary_search(changed.begin(), changed.end(), phone.id)) devices.push_back(phone.device.text());
    }
    CAPF_TRY(record(tx, actor, "phone.change", devices, words_of(change)));
    return ChangeAnswer{.changed = static_cast<int>(devices.size())};
  });
}

Result<PhoneView> Phones::show(const DeviceName& device) {
  return in_read(database_, [&](Transaction& tx) -> Result<PhoneView> {
    CAPF_LET(std::optional<Phone> phone, tx.phones().find(device));
    if (!phone) return unknown_device(tx, device);
    PhoneView view{*std::move(phone), {}, {}, "None", {}};
    CAPF_LET(view.operation, tx.operations().find_open(view.phone.id));
    if (!view.operation) {
      CAPF_LET(view.operation, tx.operations().find_last(view.phone.id));
    }
    CAPF_LET(view.certificates, tx.certificates().of_phone(view.phone.id, 20));
    CAPF_LET(view.settings, settings_of(tx, policy_, view.phone.id));
    CAPF_LET(view.lines, tx.lines().names_of_phone(view.phone.id));
    CAPF_LET(view.digest, tx.digest().of_phone(view.phone.id));
    CAPF_LET(view.fetched, tx.phone_fetches().of_phone(view.phone.id));
    if (view.operation) view.status = cisco_status(view.operation->kind, view.operation->state, view.operation->reason);
    return view;
  });
}

Result<int> Phones::remove(const Actor& actor, const DeviceName& device) {
  CAPF_LET(const ChangeAnswer answer, do_one(database_, actor, device, removing(actor)));
  return answer.revoked;
}

Result<ChangeAnswer> Phones::remove(const Actor& actor, const Bulk& bulk) {
  return do_batch(database_, actor, bulk, removing(actor));
}

Result<int> Phones::block(const Actor& actor, const DeviceName& device) {
  CAPF_LET(const ChangeAnswer answer, do_one(database_, actor, device, blocking(actor)));
  return answer.revoked;
}

Result<ChangeAnswer> Phones::block(const Actor& actor, const Bulk& bulk) {
  return do_batch(database_, actor, bulk, blocking(actor));
}

Status Phones::unblock(const Actor& actor, const DeviceName& device) {
  CAPF_LET(const ChangeAnswer answer, do_one(database_, actor, device, unblocking(actor)));
  if (answer.changed == 0) return fail(Reason::kDeviceNotBlocked);
  return {};
}

Result<ChangeAnswer> Phones::unblock(const Actor& actor, const Bulk& bulk) {
  return do_batch(database_, actor, bulk, unblocking(actor));
}

Status Phones::unlock(const Actor& actor, const DeviceName& device, bool forget_mic) {
  CAPF_TRY(do_one(database_, actor, device, unlocking(actor, forget_mic)));
  return {};
}

Result<ChangeAnswer> Phones::unlock(const Actor& actor, const Bulk& bulk, bool forget_mic) {
  return do_batch(database_, actor, bulk, unlocking(actor, forget_mic));
}

Result<std::optional<TimePoint>> Phones::trace(const Actor& actor, const DeviceName& device,
                                               const TraceRequest& request) {
  CAPF_LET(const ChangeAnswer answer, do_one(database_, actor, device, tracing(actor, request)));
  return answer.until;
}

Result<ChangeAnswer> Phones::trace(const Actor& actor, const Bulk& bulk, const TraceRequest& request) {
  return do_batch(database_, actor, bulk, tracing(actor, request));
}

}  // namespace capf::service
