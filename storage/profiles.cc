#include "storage/profiles.h"

#include "storage/modes.h"
#include "storage/operations.h"
#include "storage/settings.h"

namespace capf::storage {
namespace {

constexpr Column<Profile> kProfile[]{
    {"p.id", into<&Profile::id, &Columns::number>},
    {"p.name", into<&Profile::name, &Columns::text>},
    {"p.description", into<&Profile::description, &Columns::text>},
    {"p.mode", into<&Profile::mode, word<parse_device_mode>>},
    {"p.revision", into<&Profile::revision, &Columns::number>},
    {"microseconds(p.created_at)", into<&Profile::created_at, &Columns::time>},
    {"microseconds(p.changed_at)", into<&Profile::changed_at, &Columns::time>},
};

Profile read_profile(Columns& columns) {
  Profile profile;
  read_columns(kProfile, columns, profile);
  profile.settings = read_settings(columns);
  return profile;
}
Profile read_counted(Columns& columns) {
  Profile profile = read_profile(columns);
  profile.phones = columns.number();
  return profile;
}

const std::string kColumns = list_of(kProfile) + ", " + settings_lines("p.settings");
// A profile's phones are counted in its index; those of the first one are in none: they are the others.
const std::string kCount =
    "case when p.id = 1 then (select phones from totals) - (select count(*) from phones where profile_id <> 1) "
    "else (select count(*) from phones f where f.profile_id = p.id and f.profile_id <> 1) end";

const Statement kLock{"profiles_lock", "select pg_advisory_xact_lock(hashtext('capf'), hashtext('profiles'))"};
const Statement kHoldAll{"profiles_hold_all",
                         "select pg_advisory_xact_lock_shared(hashtext('capf'), hashtext('profiles'))"};
const Statement kAdd{"profiles_add",
                     "insert into profiles (name, description, mode, settings) values ($1::text, $2::text, $3::text, "
                     "$4::text::jsonb) on conflict (name) do nothing returning id"};
const Statement kFind{"profiles_find", "select " + kColumns + " from profiles p where p.name = $1::text"};
const Statement kFindId{"profiles_find_id", "select " + kColumns + " from profiles p where p.id = $1::bigint"};
const Statement kHold{"profiles_hold", kFind.text + " for share"};
const Statement kLockOne{"profiles_lock_one", kFind.text + " for update"};
const Statement kList{"profiles_list", "select " + kColumns + ", " + kCount +
                                           " from profiles p where p.id > $1::bigint order by p.id limit $2::int"};
const Statement kCountOne{"profiles_count", "select " + kCount + " from profiles p where p.id = $1::bigint"};
const Statement kSet{"profiles_set",
                     "update profiles set name = $2::text, description = $3::text, mode = $4::text, settings = "
                     "$5::text::jsonb, revision = revision + 1, changed_at = now() where id = $1::bigint"};
const Statement kRemove{"profiles_remove", "delete from profiles where id = $1::bigint"};

const Statement kPhones{
    "profiles_phones",
    "select p.id, p.device, p.model, p.profile_id, p.blocked_at is not null, " + lsc_status("l") + ", " +
        mic_is_good("p") +
        ", coalesce(o.kind = 'install' or o.kind = 'upgrade', false), "
        "coalesce(o.auth = 'string', false), "
        "coalesce((o.kind = 'install' or o.kind = 'upgrade') and o.key_order = 'ec', false), " +
        settings_lines("w.settings") +
        ", coalesce(c.der, '') from phones p left join phone_lscs l on l.phone_id = p.id "
        "left join phone_settings w on w.phone_id = p.id "
        "left join lateral (select kind, auth, key_order from (" +
        latest_operation("kind, auth, key_order, finished_at", "p.id") +
        ") latest where finished_at is null) o on true left join lateral (select der from certificates where "
        "$2::boolean and phone_id = p.id and "
        "kind = 'lsc' and confirmed_at is not null order by phone_id desc, id desc limit 1) c on true "
        "where p.id = any ($1::bigint[]) and p.removed_at is null order by p.device || ''"};
const Statement kApply{
    "profiles_apply",
    "with changed as (update phones set profile_id = $2::bigint where id = any ($1::bigint[]) and "
    "profile_id <> $2::bigint and removed_at is null returning id) select id from changed order by 1"};
const Statement kSetOwn{"profiles_set_own",
                        "insert into phone_settings (phone_id, settings) select id, settings::jsonb from "
                        "unnest($1::bigint[], $2::text[]) n (id, settings) where settings <> '{}' order by id "
                        "on conflict (phone_id) do update set settings = excluded.settings"};
const Statement kDropOwn{"profiles_drop_own",
                         "delete from phone_settings using unnest($1::bigint[], $2::text[]) n (id, settings) "
                         "where phone_id = n.id and n.settings = '{}'"};

std::string alike_text(const std::string& phones) {
  return "select r.mode, " + allows_mic("r") + ", p.blocked_at is not null, " + lsc_status("l") + ", " +
         lsc_status("l") + " <> 'valid' and " + mic_is_good("p") +
         ", count(*) from phones p join profiles r on r.id = p.profile_id "
         "left join phone_lscs l on l.phone_id = p.id where " +
         phones + " group by 1, 2, 3, 4, 5";
}
const Statement kAlike{"profiles_alike", alike_text("p.profile_id = $1::bigint and p.profile_id <> 1")};
const Statement kAlikeAll{"profiles_alike_all", alike_text("p.profile_id <> 1")};
const Statement kCountWithOwn{"profiles_count_with_own",
                              "select count(*) from phones p join phone_settings w on w.phone_id = p.id where "
                              "p.profile_id = $1::bigint and p.profile_id <> 1 and w.settings ?& $2::text[]"};
// The values by which check_combination() refuses any phone, as the index phone_settings_kinds has them.
std::string kind_of(const std::string& settings) {
  std::string values;
  for (const char* name : {"digest", "encrypted_config", "key_order", "transport"}) {
    values.append(values.empty() ? "" : ", ").append(settings).append(" ->> '").append(name).append("'");
  }
  return "(array[" + values + "])";
}
// Each kind is found behind the one before by the index.
const Statement kOwnKinds{
    "profiles_own_kinds",
    "with recursive kinds as ((select s.phone_id, s.settings, " + kind_of("s.settings") +
        " as kind from phone_settings s where s.profile_id = $1::bigint order by s.profile_id, " +
        kind_of("s.settings") +
        " limit 1) union all select n.phone_id, n.settings, n.kind from kinds k cross join lateral (select s.phone_id, "
        "s.settings, " +
        kind_of("s.settings") + " as kind from phone_settings s where s.profile_id = $1::bigint and " +
        kind_of("s.settings") + " > k.kind order by s.profile_id, " + kind_of("s.settings") +
        " limit 1) n) select k.phone_id, p.device, " + settings_lines("k.settings") +
        " from (select phone_id, settings, kind from kinds limit $2::int) k join phones p on p.id = k.phone_id order "
        "by k.kind"};
const Statement kCountOfKind{"profiles_count_of_kind",
                             "select count(*) from (select from phone_settings s where s.profile_id = $1::bigint and " +
                                 kind_of("s.settings") + " = (select " + kind_of("o.settings") +
                                 " from phone_settings o where o.phone_id = $2::bigint) limit $3::bigint) k"};

const Statement kStringOpen{
    "profiles_string_open",
    "select p.device from operations o join phones p on p.id = o.phone_id "
    "left join phone_settings w on w.phone_id = p.id "
    "where o.finished_at is null and o.auth = 'string' and p.profile_id = $1::bigint and p.removed_at is null and "
    "w.settings ->> 'settings_access' is null limit 1"};
const Statement kSiteMode{"profiles_site_mode", "select mode from site_security where only_one"};
const Statement kLockSiteMode{"profiles_lock_site_mode", kSiteMode.text + " for update"};
const Statement kSetSiteMode{"profiles_set_site_mode",
                             "update site_security set mode = $1::text, changed_at = now() where only_one"};

ProfiledPhone read_phone(Columns& columns) {
  const std::int64_t id = columns.number();
  ProfiledPhone phone{.id = id, .device = columns.device()};
  phone.model = columns.text();
  phone.profile_id = columns.number();
  phone.blocked = columns.boolean();
  phone.lsc = columns.word(parse_lsc_status);
  phone.mic_in_time = columns.boolean();
  phone.install_open = columns.boolean();
  phone.string_open = columns.boolean();
  phone.ec_open = columns.boolean();
  phone.settings = read_settings(columns);
  phone.lsc_der = columns.bytes();
  return phone;
}

PhonesAlike read_alike(Columns& columns) {
  PhonesAlike alike;
  alike.facts.profile = columns.word(parse_device_mode);
  const bool allows_mic = columns.boolean();
  alike.facts.blocked = columns.boolean();
  alike.facts.lsc = columns.word(parse_lsc_status);
  alike.mic_in_time = columns.boolean();
  alike.facts.good_mic = allows_mic && alike.mic_in_time;
  alike.phones = columns.number();
  return alike;
}

OwnKind read_kind(Columns& columns) {
  OwnKind kind;
  kind.phone_id = columns.number();
  kind.device = columns.text();
  kind.settings = read_settings(columns);
  return kind;
}

SiteMode read_site_mode(Columns& columns) { return columns.word(parse_site_mode); }

}  // namespace

Status Profiles::lock() { return session_.execute(kLock, Parameters()); }

Status Profiles::hold_all() { return session_.execute(kHoldAll, Parameters()); }

Result<std::int64_t> Profiles::add(const Profile& profile) {
  CAPF_LET(const auto id,
           session_.first(
               kAdd, Parameters(profile.name, profile.description, to_string(profile.mode), json_of(profile.settings)),
               read_number));
  if (!id) return fail(Reason::kProfileExists, "there is a profile \"" + profile.name + "\" already");
  return *id;
}

Result<std::optional<Profile>> Profiles::find(const std::string& name) {
  return session_.first(kFind, Parameters(name), read_profile);
}

Result<std::optional<Profile>> Profiles::find(std::int64_t id) {
  return session_.first(kFindId, Parameters(id), read_profile);
}

Result<std::optional<Profile>> Profiles::hold(const std::string& name) {
  return session_.first(kHold, Parameters(name), read_profile);
}

Result<std::optional<Profile>> Profiles::lock(const std::string& name) {
  return session_.first(kLockOne, Parameters(name), read_profile);
}

Result<std::vector<Profile>> Profiles::list(const Page& page) {
  return session_.all(kList, Parameters(page.after, page.limit), read_counted);
}

Result<std::int64_t> Profiles::count(std::int64_t id) { return session_.value(kCountOne, Parameters(id), read_number); }

Status Profiles::set(const Profile& profile) {
  return session_.execute(kSet, Parameters(profile.id, profile.name, profile.description, to_string(profile.mode),
                                           json_of(profile.settings)));
}

Status Profiles::remove(std::int64_t id) { return session_.execute(kRemove, Parameters(id)); }

Result<std::vector<ProfiledPhone>> Profiles::phones(std::span<const std::int64_t> ids, bool with_lsc) {
  return session_.all(kPhones, Parameters(ids, with_lsc), read_phone);
}

Result<std::vector<std::int64_t>> Profiles::apply(std::span<const std::int64_t> ids, std::int64_t profile_id) {
  return session_.all(kApply, Parameters(ids, profile_id), read_number);
}

Status Profiles::set_own(std::span<const std::pair<std::int64_t, Settings>> phones) {
  Array ids;
  Array values;
  for (const auto& [id, settings] : phones) {
    ids.add(id);
    values.add(json_of(settings));
  }
  CAPF_TRY(session_.execute(kSetOwn, Parameters(ids, values)));
  return session_.execute(kDropOwn, Parameters(ids, values));
}

Result<std::vector<PhonesAlike>> Profiles::alike(std::optional<std::int64_t> profile_id) {
  if (!profile_id) return session_.all(kAlikeAll, Parameters(), read_alike);
  return session_.all(kAlike, Parameters(*profile_id), read_alike);
}

Result<std::int64_t> Profiles::count_with_own(std::int64_t profile_id, std::span<const std::string> settings) {
  return session_.value(kCountWithOwn, Parameters(profile_id, settings), read_number);
}

Result<std::vector<OwnKind>> Profiles::own_kinds(std::int64_t profile_id) {
  return session_.all(kOwnKinds, Parameters(profile_id, kMostOwnKinds), read_kind);
}

Result<std::int64_t> Profiles::count_of_kind(std::int64_t profile_id, std::int64_t phone_id, std::int64_t most) {
  return session_.value(kCountOfKind, Parameters(profile_id, phone_id, most), read_number);
}

Result<std::optional<std::string>> Profiles::string_open(std::int64_t profile_id) {
  return session_.first(kStringOpen, Parameters(profile_id), read_text);
}

Result<SiteMode> Profiles::site_mode() { return session_.value(kSiteMode, Parameters(), read_site_mode); }

Result<SiteMode> Profiles::lock_site_mode() { return session_.value(kLockSiteMode, Parameters(), read_site_mode); }

Status Profiles::set_site_mode(SiteMode mode) { return session_.execute(kSetSiteMode, Parameters(to_string(mode))); }

}  // namespace capf::storage
