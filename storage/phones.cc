#include "storage/phones.h"

#include <set>

#include "capf/domain/mode.h"
#include "capf/domain/policy.h"
#include "storage/modes.h"
#include "storage/selection.h"

namespace capf::storage {
namespace {

constexpr Column<Phone> kPhone[]{
    {"p.id", into<&Phone::id, &Columns::number>},
    {"p.model", into<&Phone::model, &Columns::text>},
    {"microseconds(p.created_at)", into<&Phone::created_at, &Columns::time>},
    {"microseconds(p.blocked_at)", into<&Phone::blocked_at, &Columns::optional_time>},
    {"p.mic_sha256", into<&Phone::mic_sha256, &Columns::optional_digest>},
    {"exists (select from phone_mics m where m.phone_id = p.id and m.sha256 = p.mic_sha256)",
     into<&Phone::mic_is_kept, &Columns::boolean>},
    {"microseconds(p.mic_fresh_at)", into<&Phone::mic_fresh_at, &Columns::optional_time>},
    {"microseconds(p.self_service_stopped_at)", into<&Phone::self_service_stopped_at, &Columns::optional_time>},
    {"case when s.locked_until > now() then microseconds(s.locked_until) end",
     into<&Phone::string_locked_until, &Columns::optional_time>},
    {"case when p.traced_until > now() then microseconds(p.traced_until) end",
     into<&Phone::traced_until, &Columns::optional_time>},
};
constexpr Column<Attempt> kAttempt[]{
    {"microseconds(t.at)", into<&Attempt::at, &Columns::time>},
    {"t.address", into<&Attempt::address, &Columns::text>},
    {"t.transport", into<&Attempt::transport, &Columns::text>},
    {"t.kind", into<&Attempt::kind, word<parse_operation_kind>>},
    {"t.reason", into<&Attempt::reason, &Columns::reason>},
    {"t.message", into<&Attempt::message, &Columns::text>},
};
const std::string kTables =
    " from phones p left join device_strings s on s.phone_id = p.id left join phone_attempts t on t.phone_id = p.id";
const std::string kFleetTables =
    kTables +
    " left join phone_lscs l on l.phone_id = p.id left join phone_sightings g on g.phone_id = p.id "
    "join profiles r on r.id = p.profile_id";

}  // namespace

std::string phone_columns() { return "p.device, " + list_of(kPhone) + ", " + list_of(kAttempt); }

Phone read_phone(Columns& columns) {
  Phone phone{.id = 0, .device = columns.device()};
  read_columns(kPhone, columns, phone);
  if (!columns.next_is_null()) read_columns(kAttempt, columns, phone.last_attempt.emplace());
  return phone;
}

namespace {

std::vector<std::string> tags(Columns& columns) {
  const std::string text = columns.text();
  std::vector<std::string> list;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    list.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return list;
}

// An administrator sees these beside the columns that an enrolment rests on.
constexpr Column<PhoneLsc> kLsc[]{
    {"microseconds(l.not_after)", into<&PhoneLsc::not_after, &Columns::optional_time>},
    {"l.issuer_id", into<&PhoneLsc::issuer_id, &Columns::id>},
};
constexpr Column<Phone> kFleet[]{
    {"p.description", into<&Phone::description, &Columns::text>},
    {"array_to_string(array(select tag from phone_tags w where w.phone_id = p.id order by tag), ' ')",
     into<&Phone::tags, tags>},
    {"microseconds(g.first_seen)", into<&Phone::first_seen, &Columns::optional_time>},
    {"case when g.first_seen is not null then microseconds(g.last_seen) end",
     into<&Phone::last_seen, &Columns::optional_time>},
};

const std::string kModeColumns = "r.name, r.mode, " + site_mode() + ", p.removed_at is not null, (" + allows_mic("r") +
                                 ") and " + mic_is_good("p") + ", " + lsc_status("l");
void read_mode(Columns& columns, Phone& phone) {
  phone.profile = columns.text();
  ModeFacts facts{.profile = columns.word(parse_device_mode), .blocked = phone.blocked_at.has_value()};
  facts.site = columns.word(parse_site_mode);
  facts.removed = columns.boolean();
  facts.good_mic = columns.boolean();
  facts.lsc = columns.word(parse_lsc_status);
  const EffectiveMode effective = effective_mode(facts);
  phone.mode = facts.profile;
  phone.effective_mode = effective.mode;
  phone.mode_reason = effective.reason;
  phone.lsc.status = facts.lsc;
}

Phone read_whole_phone(Columns& columns) {
  Phone phone{.id = 0, .device = columns.device()};
  read_columns(kPhone, columns, phone);
  read_columns(kFleet, columns, phone);
  read_columns(kLsc, columns, phone.lsc);
  read_mode(columns, phone);
  if (!columns.next_is_null()) read_columns(kAttempt, columns, phone.last_attempt.emplace());
  return phone;
}

const std::string kColumns = "p.device, " + list_of(kPhone) + ", " + list_of(kFleet) + ", " + list_of(kLsc) + ", " +
                             kModeColumns + ", " + list_of(kAttempt);

DeviceName read_device(Columns& columns) { return columns.device(); }

std::pair<DeviceName, DeviceName> read_devices(Columns& columns) {
  DeviceName asked = columns.device();
  return {std::move(asked), columns.device()};
}

// Always in the same order, so that two administrators who add the same names do not deadlock.
const Statement kAdd{"phones_add",
                     "with asked as (select distinct unnest($1::text[]) collate \"C\" as device order by 1), "
                     "added as (insert into phones (device, model) select device, $2::text from asked "
                     "on conflict (device) where removed_at is null do nothing returning device) "
                     "select device from asked where device not in (select device from added)"};
// In the same order too, for the same reason. A name that another transaction adds is waited for.
const Statement kAddMissing{"phones_add_missing",
                            "insert into phones (device, model, description) "
                            "select device, model, description "
                            "from unnest($1::text[], $2::text[], $3::text[]) n (device, model, description) "
                            "order by device collate \"C\" on conflict (device) where removed_at is null do nothing "
                            "returning device"};
const Statement kUpdate{"phones_update",
                        "update phones p set model = coalesce(nullif(n.model, ''), p.model), "
                        "description = coalesce(n.description, p.description) "
                        "from unnest($1::text[], $2::text[], $3::text[]) n (device, model, description) "
                        "where p.device = n.device and p.removed_at is null"};
// Each phone's own tags, with blanks between them.
const Statement kUntagEach{"phones_untag_each",
                           "delete from phone_tags t using unnest($1::text[], $2::text[]) n (device, tags), phones p "
                           "where p.device = n.device and p.removed_at is null and t.phone_id = p.id "
                           "and t.tag <> all (string_to_array(n.tags, ' '))"};
const Statement kTagEach{"phones_tag_each",
                         "insert into phone_tags (phone_id, tag, device) select p.id, tag, p.device "
                         "from unnest($1::text[], $2::text[]) n (device, tags) "
                         "join phones p on p.device = n.device and p.removed_at is null "
                         "cross join unnest(string_to_array(n.tags, ' ')) tag order by 1, 2 on conflict do nothing"};
const Statement kFind{"phones_find",
                      "select " + kColumns + kFleetTables + " where p.device = $1::text and p.removed_at is null"};
const Statement kFindOtherCase{"phones_find_other_case",
                               "select device from phones where lower(device) = lower($1::text collate \"C\") and "
                               "device <> $1::text and removed_at is null order by device limit 1"};
const Statement kFindOtherCases{
    "phones_find_other_cases",
    "select n.device, other.device from unnest($1::text[]) n (device), lateral (select device from phones "
    "where lower(device) = lower(n.device collate \"C\") and device <> n.device and removed_at is null "
    "order by device limit 1) other"};
const Statement kLock{"phones_lock", kFind.text + " for no key update of p"};
const Statement kFindId{"phones_find_id", "select " + kColumns + kFleetTables + " where p.id = $1::bigint"};
const Statement kLockAll{"phones_lock_all",
                         "select id from phones where id = any ($1::bigint[]) order by id for no key update"};
const Statement kLockDevices{"phones_lock_devices", "select " + kColumns + kFleetTables +
                                                        " where p.device = any ($1::text[]) and p.removed_at is null "
                                                        "order by p.id for no key update of p"};
const Statement kFindDevices{"phones_find_devices", "select " + kColumns + kFleetTables +
                                                        " where p.device = any ($1::text[]) and p.removed_at is null"};
const Statement kFindAll{"phones_find_all", "select " + kColumns + kFleetTables +
                                                " where p.id = any ($1::bigint[]) and p.removed_at is null "
                                                "order by p.device || ''"};
const Statement kPresent{"phones_present",
                         "select device from phones where device = any ($1::text[]) and removed_at is null"};
const Statement kDescribe{"phones_describe",
                          "update phones set description = $2::text where id = any ($1::bigint[]) and "
                          "description <> $2::text returning id"};
const Statement kUntag{
    "phones_untag",
    "delete from phone_tags where phone_id = any ($1::bigint[]) and tag = any ($2::text[]) returning phone_id"};
const Statement kUntagOthers{
    "phones_untag_others",
    "delete from phone_tags where phone_id = any ($1::bigint[]) and tag <> all ($2::text[]) returning phone_id"};
const Statement kOvertagged{"phones_overtagged",
                            "select device from phones p where id = any ($1::bigint[]) and (select count(*) from "
                            "(select tag from phone_tags where phone_id = p.id union select unnest($2::text[])) t) > "
                            "$3::int"};
const Statement kTag{"phones_tag",
                     "insert into phone_tags (phone_id, tag, device) select p.id, tag, p.device "
                     "from phones p, unnest($2::text[]) tag where p.id = any ($1::bigint[]) "
                     "order by 1, 2 on conflict do nothing returning phone_id"};
const Statement kBlockAll{"phones_block_all",
                          "update phones set blocked_at = now() where id = any ($1::bigint[]) and blocked_at is null "
                          "and removed_at is null returning device"};
const Statement kUnblockAll{"phones_unblock_all",
                            "update phones set blocked_at = null where id = any ($1::bigint[]) and "
                            "blocked_at is not null and removed_at is null returning device"};
const Statement kForgetMics{"phones_forget_mics",
                            "update phones set mic_sha256 = null, mic_fresh_at = null where id = any ($1::bigint[])"};
const Statement kAllowSelfService{"phones_allow_self_service",
                                  "update phones set self_service_stopped_at = null where id = any ($1::bigint[])"};
const Statement kSetTraced{"phones_set_traced",
                           "update phones set traced_until = $2::timestamptz where id = any ($1::bigint[])"};
const Statement kRemoveAll{"phones_remove_all",
                           "update phones set removed_at = now() where id = any ($1::bigint[]) and removed_at is null"};
/// A device name has no character that an array's text must escape; the quotes keep "null" a name.
std::string array_of(std::span<const DeviceName> devices) {
  std::string names = "{";
  for (const DeviceName& device : devices) names += (names.size() > 1 ? ",\"" : "\"") + device.text() + "\"";
  return names + "}";
}

/// Device, model and description of each. @param none for a description that is absent
Parameters values_of(std::span<const ImportedPhone> phones, const std::optional<std::string>& none) {
  Array devices;
  Array models;
  Array descriptions;
  for (const ImportedPhone& phone : phones) {
    devices.add(phone.device);
    models.add(phone.model);
    descriptions.add(phone.description ? phone.description : none);
  }
  return Parameters(devices, models, descriptions);
}

}  // namespace

Result<std::vector<std::string>> Phones::add(std::span<const DeviceName> devices, const std::string& model) {
  return session_.all(kAdd, Parameters(array_of(devices), model), read_text);
}

/// Adds the tags of those that have some. @param only whether the others go
Status Phones::tag(std::span<const ImportedPhone> phones, bool only) {
  Array devices;
  Array lists;
  bool any = false;
  for (const ImportedPhone& phone : phones) {
    if (!phone.tags) continue;
    any = true;
    std::string list;
    for (const std::string& tag : *phone.tags) list += (list.empty() ? "" : " ") + tag;
    devices.add(phone.device);
    lists.add(list);
  }
  if (!any) return {};
  const Parameters tags(devices, lists);
  if (only) CAPF_TRY(session_.execute(kUntagEach, tags));
  return session_.execute(kTagEach, tags);
}

Result<std::set<DeviceName>> Phones::add_missing(std::span<const ImportedPhone> phones) {
  CAPF_LET(const auto names, session_.all(kAddMissing, values_of(phones, ""), read_device));
  std::set<DeviceName> added(names.begin(), names.end());
  std::vector<ImportedPhone> tagged;
  for (const ImportedPhone& phone : phones) {
    if (phone.tags && added.contains(phone.device)) tagged.push_back(phone);
  }
  CAPF_TRY(tag(tagged, false));
  return added;
}

Status Phones::update(std::span<const ImportedPhone> phones) {
  CAPF_TRY(session_.execute(kUpdate, values_of(phones, std::nullopt)));
  return tag(phones, true);
}

Result<std::optional<Phone>> Phones::find(const DeviceName& device) {
  return session_.first(kFind, Parameters(device), read_whole_phone);
}

Result<std::optional<DeviceName>> Phones::find_other_case(const DeviceName& device) {
  return session_.first(kFindOtherCase, Parameters(device), read_device);
}

Result<std::map<DeviceName, DeviceName>> Phones::find_other_cases(std::span<const DeviceName> devices) {
  CAPF_LET(const auto pairs, session_.all(kFindOtherCases, Parameters(array_of(devices)), read_devices));
  return std::map<DeviceName, DeviceName>(pairs.begin(), pairs.end());
}

Result<std::optional<Phone>> Phones::lock(const DeviceName& device) {
  return session_.first(kLock, Parameters(device), read_whole_phone);
}

Result<std::vector<Phone>> Phones::lock_all(std::span<const DeviceName> devices) {
  return session_.all(kLockDevices, Parameters(array_of(devices)), read_whole_phone);
}

Status Phones::lock_all(std::span<const std::int64_t> ids) { return session_.execute(kLockAll, Parameters(ids)); }

Result<std::optional<Phone>> Phones::find(std::int64_t id) {
  return session_.first(kFindId, Parameters(id), read_whole_phone);
}

Result<SelectedPhones> Phones::select(const PhoneSelection& selection, const PhonePage& page) {
  return select_phones(session_, selection, page);
}

Result<PhoneCount> Phones::count(const PhoneSelection& selection) { return count_phones(session_, selection); }

Result<std::vector<SelectedPhone>> Phones::still_selected(const PhoneSelection& selection,
                                                          std::span<const std::int64_t> ids) {
  return select_of(session_, selection, ids);
}

Result<std::vector<DeviceName>> Phones::missing(std::span<const DeviceName> devices) {
  CAPF_LET(const auto present, session_.all(kPresent, Parameters(array_of(devices)), read_device));
  std::set<DeviceName> missing(devices.begin(), devices.end());
  for (const DeviceName& device : present) missing.erase(device);
  return std::vector<DeviceName>(missing.begin(), missing.end());
}

Result<std::vector<Phone>> Phones::find_all(std::span<const std::int64_t> ids) {
  return session_.all(kFindAll, Parameters(ids), read_whole_phone);
}

Result<std::vector<Phone>> Phones::find_all(std::span<const DeviceName> devices) {
  return session_.all(kFindDevices, Parameters(array_of(devices)), read_whole_phone);
}

Result<std::vector<std::int64_t>> Phones::change(std::span<const std::int64_t> ids, const PhoneChange& change) {
  std::set<std::int64_t> changed;
  const auto run = [&](const Statement& statement, const auto& value) -> Status {
    CAPF_LET(const auto some, session_.all(statement, Parameters(ids, value), read_number));
    changed.insert(some.begin(), some.end());
    return {};
  };
  const std::span<const std::string> added = change.added_tags;
  if (change.description) CAPF_TRY(run(kDescribe, *change.description));
  if (change.sets_tags) CAPF_TRY(run(kUntagOthers, added));
  if (!change.removed_tags.empty()) CAPF_TRY(run(kUntag, std::span<const std::string>(change.removed_tags)));
  if (!added.empty()) {
    CAPF_LET(const auto full, session_.all(kOvertagged, Parameters(ids, added, kMostTags), read_text));
    if (!full.empty()) {
      return fail(Reason::kInvalidRequest,
                  listed(full) + " would have more than " + std::to_string(kMostTags) + " tags");
    }
    CAPF_TRY(run(kTag, added));
  }
  return std::vector<std::int64_t>(changed.begin(), changed.end());
}

Result<std::vector<std::string>> Phones::block_all(std::span<const std::int64_t> ids) {
  return session_.all(kBlockAll, Parameters(ids), read_text);
}

Result<std::vector<std::string>> Phones::unblock_all(std::span<const std::int64_t> ids) {
  return session_.all(kUnblockAll, Parameters(ids), read_text);
}

Status Phones::forget_mics(std::span<const std::int64_t> ids) { return session_.execute(kForgetMics, Parameters(ids)); }

Status Phones::allow_self_service(std::span<const std::int64_t> ids) {
  return session_.execute(kAllowSelfService, Parameters(ids));
}

Status Phones::set_traced(std::span<const std::int64_t> ids, const std::optional<TimePoint>& until) {
  return session_.execute(kSetTraced, Parameters(ids, until));
}

Status Phones::remove_all(std::span<const std::int64_t> ids) { return session_.execute(kRemoveAll, Parameters(ids)); }

}  // namespace capf::storage
