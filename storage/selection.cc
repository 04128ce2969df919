#include "storage/selection.h"

#include <algorithm>
#include <functional>

#include "capf/domain/profile.h"
#include "storage/modes.h"

namespace capf::storage {
namespace {

// Words and names as an array of text; none has a character that the array's text would have to escape.
template <class Value, class Text>
std::vector<std::string> texts(const std::vector<Value>& values, Text text) {
  std::vector<std::string> list;
  for (const Value& value : values) list.emplace_back(text(value));
  return list;
}
const auto kWord = [](auto value) { return to_string(value); };
const auto kText = [](const auto& value) -> const std::string& { return value.text(); };

template <class Value, class Text>
std::string array(Conditions& where, const std::vector<Value>& values, Text text) {
  const std::vector<std::string> list = texts(values, text);
  return where.parameter(std::span<const std::string>(list)) + "::text[]";
}

// Conditions ---------------------------------------------------------------------------------------------------------
// Of a phone n, with its operation o, its LSC l, its sighting s and its refused attempt t where the selection asks for
// them. An operation is scheduled only after the one before has ended, so that a phone's open operation, or else its
// last one, is the one with the greatest id.

enum class Look {
  kEach,   ///< up by the phone's id: LIMIT keeps the planner from reading whole tables for a page
  kWhole,  ///< at whole tables, which the planner may hash: a count reads them anyway
};

bool asks_operation(const PhoneSelection& selection) {
  return !selection.auths.empty() || !selection.operations.empty() || !selection.reasons.empty() || selection.tried;
}
bool asks_lsc(const PhoneSelection& selection) {
  return !selection.lscs.empty() || selection.expires_before || !selection.issuers.empty() ||
         selection.issuer_expires_before || !selection.effective_modes.empty();
}

std::string looked_up(const PhoneSelection& selection) {
  std::string text;
  const auto look_up = [&](bool asked, const std::string& what, const char* name) {
    if (asked) text += " left join lateral (select " + what + " limit 1) " + name + " on true";
  };
  look_up(asks_operation(selection),
          "id, state, auth, reason, finished_at, completes_by, created_at from operations where phone_id = n.id order "
          "by phone_id desc, id desc",
          "o");
  look_up(asks_lsc(selection), "lsc, not_after, issuer_id from phone_lscs where phone_id = n.id", "l");
  look_up(selection.not_seen_since.has_value(), "last_seen from phone_sightings where phone_id = n.id", "s");
  look_up(selection.tried, "at, reason from phone_attempts where phone_id = n.id", "t");
  return text;
}

std::string joined(const PhoneSelection& selection) {
  std::string text;
  const auto join = [&](bool asked, const std::string& table) {
    if (asked) text += " left join " + table;
  };
  join(asks_operation(selection),
       "operations o on o.phone_id = n.id and not exists (select from operations later where later.phone_id = "
       "o.phone_id and later.id > o.id)");
  join(asks_lsc(selection), "phone_lscs l on l.phone_id = n.id");
  join(selection.not_seen_since.has_value(), "phone_sightings s on s.phone_id = n.id");
  join(selection.tried, "phone_attempts t on t.phone_id = n.id");
  return text;
}

std::string tables(const PhoneSelection& selection, Look look) {
  return look == Look::kEach ? looked_up(selection) : joined(selection);
}

/// Whether a table has a row of the phone that meets the condition.
std::string has(Look look, const std::string& table, const std::string& condition) {
  const std::string rows = " from " + table + " where " + condition;
  if (look == Look::kWhole) return "n.id in (select phone_id" + rows + ")";
  return "coalesce((select true" + rows + " and phone_id = n.id limit 1), false)";
}

const char* condition(LscStatus status) {
  switch (status) {
    case LscStatus::kNone: return "l.lsc = 'none'";
    case LscStatus::kValid: return "l.lsc = 'valid' and l.not_after >= now()";
    case LscStatus::kExpired: return "l.lsc = 'valid' and l.not_after < now()";
    case LscStatus::kRevoked: return "l.lsc = 'revoked'";
    case LscStatus::kHeld: return "l.lsc = 'held'";
  }
  CAPF_INVARIANT(false);
}

std::string condition(OperationStatus status) {
  switch (status) {
    case OperationStatus::kNone: return "o.id is null";
    case OperationStatus::kOverdue: return "o.finished_at is null and o.completes_by < now()";
    default: return "o.state = '" + std::string(to_string(status)) + "'";
  }
}

template <class Value>
std::string any_of(const std::vector<Value>& values) {
  std::string text;
  for (const Value& value : values) text += (text.empty() ? "((" : ") or (") + std::string(condition(value));
  return text + "))";
}

std::string like_any(Conditions& where, const std::vector<Pattern>& patterns) {
  const std::vector<std::string> likes = texts(patterns, like_pattern);
  Array array;
  for (const std::string& like : likes) array.add(like);
  return "like any (" + where.parameter(array) + "::text[])";
}

void add_names(Conditions& where, const PhoneSelection& selection, Look look) {
  if (!selection.devices.empty()) where.add("n.device = any (" + array(where, selection.devices, kText) + ")");
  if (!selection.patterns.empty()) where.add("n.device " + like_any(where, selection.patterns));
  if (!selection.excepts.empty()) where.add("n.device <> all (" + array(where, selection.excepts, kText) + ")");
  if (!selection.models.empty()) where.add("n.model " + like_any(where, selection.models));
  if (!selection.tags.empty()) {
    where.add(has(look, "phone_tags", "tag = any (?::text[])"), std::span<const std::string>(selection.tags));
  }
  if (selection.blocked) where.add(*selection.blocked ? "n.blocked_at is not null" : "n.blocked_at is null");
  if (selection.locked) {
    where.add(std::string(*selection.locked ? "" : "not ") + has(look, "device_strings", "locked_until > now()"));
  }
}

void add_lsc(Conditions& where, const PhoneSelection& selection) {
  if (!selection.lscs.empty()) where.add(any_of(selection.lscs));
  if (selection.expires_before) {
    where.add("l.lsc in ('valid', 'held') and l.not_after < ?::timestamptz", *selection.expires_before);
  }
  if (!selection.issuers.empty()) {
    where.add("l.issuer_id = any (?::bigint[])", std::span<const std::int64_t>(selection.issuers));
  }
  if (selection.issuer_expires_before) {
    where.add("l.issuer_id = any (array(select id from issuers where not_after < ?::timestamptz))",
              *selection.issuer_expires_before);
  }
}

void add_operation(Conditions& where, const PhoneSelection& selection) {
  if (!selection.auths.empty()) where.add("o.auth = any (" + array(where, selection.auths, kWord) + ")");
  if (!selection.operations.empty()) where.add(any_of(selection.operations));
  if (!selection.reasons.empty()) where.add("o.reason = any (" + array(where, selection.reasons, kWord) + ")");
  if (selection.tried) where.add("o.finished_at is null and t.at >= o.created_at");
  if (!selection.refusals.empty()) where.add("t.reason = any (" + array(where, selection.refusals, kWord) + ")");
}

/// The ids of the profiles of these names, as an array.
std::string profiles_named(Conditions& where, const std::vector<std::string>& names) {
  return "array(select id from profiles where name = any (" + where.parameter(std::span<const std::string>(names)) +
         "::text[]))";
}

void add_profile(Conditions& where, const PhoneSelection& selection) {
  if (!selection.profiles.empty()) {
    where.add("n.profile_id = any (" + profiles_named(where, selection.profiles) + ")");
  }
  if (!selection.modes.empty()) where.add("n.profile_id = any (" + profiles_of(selection.modes) + ")");
  if (!selection.effective_modes.empty()) where.add(has_effective_mode(selection.effective_modes));
}

void add_conditions(Conditions& where, const PhoneSelection& selection, Look look) {
  add_names(where, selection, look);
  add_profile(where, selection);
  add_lsc(where, selection);
  add_operation(where, selection);
  if (selection.not_seen_since) where.add("s.last_seen < ?::timestamptz", *selection.not_seen_since);
}

// Indexes ------------------------------------------------------------------------------------------------------------

/// Queries that give, between them, each phone that has one of a property's values, and perhaps others. Each is read in
/// the order of the index that finds it.
using Property = std::vector<std::string>;

/// The most phones of a rare property that are read. Others may have added some since it was found rare: there is room
/// for as many again.
constexpr int kMostRead = 2 * kFewPhones;

/// A query for each value v of an array. The order leaves the planner no cheaper way than the value's index, whatever
/// it believes that the array has.
Property of_values(const std::string& values, const std::string& query) {
  return {"select found.phone_id from unnest(" + values + ") v, lateral (" + query + " limit " +
          std::to_string(kMostRead) + ") found"};
}

Property of_lsc(Conditions& where, const PhoneSelection& selection) {
  const std::string end = selection.expires_before
                              ? " and not_after < " + where.parameter(*selection.expires_before) + "::timestamptz"
                              : "";
  // Sorted as the index is, so that the planner needs no statistics to take it.
  const auto query = [&](const std::string& condition) {
    return "select phone_id from phone_lscs where " + condition + end + " order by lsc, not_after";
  };
  if (selection.lscs.empty()) return {query("lsc = 'valid'"), query("lsc = 'held'")};
  Property property;
  for (const LscStatus status : selection.lscs) {
    std::string condition_text = condition(status);
    for (std::size_t at; (at = condition_text.find("l.")) != std::string::npos;) condition_text.erase(at, 2);
    property.push_back(query(condition_text));
  }
  return property;
}

Property of_issuers(Conditions& where, const PhoneSelection& selection) {
  const std::string end = selection.expires_before
                              ? " and not_after < " + where.parameter(*selection.expires_before) + "::timestamptz"
                              : "";
  const std::string those = selection.issuers.empty()
                                ? "array(select id from issuers where not_after < " +
                                      where.parameter(*selection.issuer_expires_before) + "::timestamptz)"
                                : where.parameter(std::span<const std::int64_t>(selection.issuers)) + "::bigint[]";
  return of_values(those, "select phone_id from phone_lscs where issuer_id = v" + end + " order by not_after");
}

std::string of_operation(OperationStatus status) {
  const std::string state = "'" + std::string(to_string(status)) + "'";
  switch (status) {
    case OperationStatus::kNone: break;
    case OperationStatus::kOverdue:
      return "select phone_id from operations where finished_at is null and completes_by < now() order by completes_by";
    case OperationStatus::kPending:
    case OperationStatus::kInProgress:
    case OperationStatus::kIssued:
      return "select phone_id from operations where finished_at is null and state = " + state + " order by state, id";
    case OperationStatus::kSucceeded:
    case OperationStatus::kFailed:
    case OperationStatus::kExpired:
    case OperationStatus::kCancelled:
      return "select phone_id from operations where state in ('succeeded', 'failed', 'expired', 'cancelled') and "
             "state = " +
             state + " order by state, id";
  }
  CAPF_INVARIANT(false);
}

Property of_operations(const PhoneSelection& selection) {
  Property property;
  for (const OperationStatus status : selection.operations) property.push_back(of_operation(status));
  return property;
}

template <class Value, class Same>
bool is_one_of(const std::vector<Value>& values, const Same& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}
bool has_star(const Pattern& pattern) { return pattern.text().find('*') != std::string::npos; }

/// Phones of the profiles in an array. Those of the first one are in no index, and in no answer.
Property of_profiles(const std::string& profiles) {
  return of_values(profiles, "select id as phone_id from phones where profile_id = v and profile_id <> 1 order by id");
}

/// A nonsecure mode may be that of the first profile.
bool is_secure(const std::vector<DeviceMode>& modes) {
  return !modes.empty() && !is_one_of(modes, DeviceMode::kNonsecure);
}

using Finder = std::function<Property(Conditions&)>;

/// The properties of a selection that an index finds. The selection outlives them.
std::vector<Finder> finders(const PhoneSelection& selection) {
  std::vector<Finder> found;
  const auto add = [&](bool asked, Finder finder) {
    if (asked) found.push_back(std::move(finder));
  };
  add(!selection.devices.empty(), [&](Conditions& where) -> Property {
    return {"select id as phone_id from phones where removed_at is null and device = any (" +
            array(where, selection.devices, kText) + ")"};
  });
  add(!selection.tags.empty(), [&](Conditions& where) {
    return of_values(where.parameter(std::span<const std::string>(selection.tags)) + "::text[]",
                     "select phone_id from phone_tags where tag = v order by phone_id");
  });
  add(!selection.models.empty() && std::none_of(selection.models.begin(), selection.models.end(), has_star),
      [&](Conditions& where) {
        return of_values(array(where, selection.models, kText),
                         "select id as phone_id from phones where model = v and removed_at is null order by id");
      });
  add(!selection.lscs.empty() || selection.expires_before, [&](Conditions& where) { return of_lsc(where, selection); });
  add(!selection.issuers.empty() || selection.issuer_expires_before,
      [&](Conditions& where) { return of_issuers(where, selection); });
  // A phone that has no operation is in no row of theirs.
  add(!selection.operations.empty() && !is_one_of(selection.operations, OperationStatus::kNone),
      [&](Conditions&) { return of_operations(selection); });
  add(!selection.reasons.empty(), [&](Conditions& where) {
    return of_values(array(where, selection.reasons, kWord),
                     "select phone_id from operations where reason = v order by phone_id");
  });
  add(selection.tried, [&](Conditions& where) -> Property {
    if (selection.refusals.empty()) return {"select phone_id from phone_attempts order by phone_id"};
    return of_values(array(where, selection.refusals, kWord),
                     "select phone_id from phone_attempts where reason = v order by phone_id");
  });
  add(selection.not_seen_since.has_value(), [&](Conditions& where) -> Property {
    return {"select phone_id from phone_sightings where last_seen < " + where.parameter(*selection.not_seen_since) +
            "::timestamptz order by last_seen"};
  });
  add(!selection.profiles.empty() && !is_one_of(selection.profiles, kFirstProfileName),
      [&](Conditions& where) { return of_profiles(profiles_named(where, selection.profiles)); });
  add(is_secure(selection.modes), [&](Conditions&) { return of_profiles(profiles_of(selection.modes)); });
  // A secure mode in effect is the profile's.
  add(is_secure(selection.effective_modes),
      [&](Conditions&) { return of_profiles(profiles_of(selection.effective_modes)); });
  add(selection.blocked == true, [](Conditions&) -> Property {
    return {"select id as phone_id from phones where removed_at is null and blocked_at is not null order by device"};
  });
  add(selection.locked == true,
      [](Conditions&) -> Property { return {"select phone_id from device_strings where locked_until > now()"}; });
  return found;
}

std::string first(int phones, const Property& property) {
  const std::string limit = " limit " + std::to_string(phones);
  std::string text;
  for (const std::string& query : property) {
    text.append(text.empty() ? "(" : " union all ").append("select phone_id from (");
    text.append(query).append(limit).append(") q");
  }
  return text + limit + ")";
}

struct Size {
  std::int64_t place = 0;
  std::int64_t phones = 0;
};
Size read_size(Columns& columns) { return {columns.number(), columns.number()}; }

/// The place of the rarest property that has at most kFewPhones phones; nothing where there is none.
Result<std::optional<std::size_t>> find_rare(Session& session, const PhoneSelection& selection) {
  Conditions where;
  std::string text;
  std::size_t place = 0;
  for (const Finder& finder : finders(selection)) {
    text += (text.empty() ? "" : " union all ") + std::string("select ") + std::to_string(place++) +
            "::bigint, count(*) from " + first(kFewPhones + 1, finder(where)) + " f";
  }
  if (text.empty()) return std::nullopt;
  CAPF_LET(const auto sizes, session.all_once(text, where.parameters(), read_size));
  const auto rarest =
      std::min_element(sizes.begin(), sizes.end(), [](const Size& a, const Size& b) { return a.phones < b.phones; });
  if (rarest->phones > kFewPhones) return std::nullopt;
  return static_cast<std::size_t>(rarest->place);
}

// Pages --------------------------------------------------------------------------------------------------------------

/// The characters before the first star that all patterns have in common.
std::string common_prefix(const std::vector<Pattern>& patterns) {
  if (patterns.empty()) return {};
  std::string prefix = patterns.front().text();
  for (const Pattern& pattern : patterns) {
    const auto until = std::mismatch(prefix.begin(), prefix.end(), pattern.text().begin(), pattern.text().end()).first;
    prefix.erase(until, prefix.end());
  }
  return prefix.substr(0, prefix.find('*'));
}

const std::string kPresent =
    "select p.id, p.device, p.model, p.blocked_at, p.profile_id, p.mic_sha256 from phones p where p.removed_at is null";

/// All phones of the rare property. Others may have added some since it was found rare: there is room for as many
/// again.
std::string rare_phones(Conditions& where, const PhoneSelection& selection, std::size_t rare) {
  return kPresent + " and p.id = any (array(select phone_id from " +
         first(kMostRead, finders(selection).at(rare)(where)) + " f))";
}

/// Present phones whose names can match.
std::string named_phones(Conditions& where, const PhoneSelection& selection) {
  const std::string prefix = common_prefix(selection.patterns);
  if (prefix.empty()) return kPresent;
  // No name has a character behind '~'.
  return kPresent + " and p.device >= " + where.parameter(prefix) + "::text and p.device < " +
         where.parameter(prefix + "~") + "::text";
}

/// The phones that a count looks at: by the table that is narrower than phones, and has a row for each one present,
/// where nothing is asked that phones alone knows.
std::string counted_phones(Conditions& where, const PhoneSelection& selection) {
  const bool named = !selection.devices.empty() || !selection.patterns.empty() || !selection.excepts.empty();
  const bool profiled = !selection.profiles.empty() || !selection.modes.empty() || !selection.effective_modes.empty();
  if (named || profiled || !selection.models.empty() || selection.blocked) return named_phones(where, selection);
  return "select phone_id as id from phone_sightings";
}

/// The phones that a page looks at.
std::string near_phones(Conditions& where, const PhoneSelection& selection, const PhonePage& page,
                        std::optional<std::size_t> rare) {
  std::string near = rare ? rare_phones(where, selection, *rare) : named_phones(where, selection);
  // A rare property's phones are found by their ids, which a condition on the name alone would change.
  if (page.after) {
    near += std::string(" and p.device ") + (rare ? "|| '' > " : "> ") + where.parameter(*page.after) + "::text";
  }
  if (!rare) near += " order by p.device limit " + std::to_string(kFewPhones);
  return near;
}

SelectedPhone read_selected(Columns& columns) { return {.id = columns.number(), .device = columns.device()}; }
PhoneCount read_count(Columns& columns) { return {columns.number(), columns.number()}; }
DeviceName read_device(Columns& columns) { return columns.device(); }

/// The last name that a page looked at, where there are names behind it; nothing at the end.
Result<std::optional<DeviceName>> find_end(Session& session, const PhoneSelection& selection, const PhonePage& page) {
  Conditions where;
  const std::string near = near_phones(where, selection, page, std::nullopt);
  CAPF_LET(auto last, session.all_once("select device from (" + near + ") n order by device offset " +
                                           std::to_string(kFewPhones - 1),
                                       where.parameters(), read_device));
  if (last.empty()) return std::nullopt;
  return std::move(last.front());
}

}  // namespace

Result<SelectedPhones> select_phones(Session& session, const PhoneSelection& selection, const PhonePage& page) {
  CAPF_LET(const auto rare, find_rare(session, selection));
  Conditions where;
  const std::string near = near_phones(where, selection, page, rare);
  add_conditions(where, selection, Look::kEach);
  const std::string limit = where.parameter(page.limit) + "::int";
  CAPF_LET(const auto found,
           session.all_once("select n.id, n.device from (" + near + ") n" + tables(selection, Look::kEach) +
                                where.text() + " order by n.device limit " + limit,
                            where.parameters(), read_selected));
  SelectedPhones selected;
  for (const SelectedPhone& phone : found) selected.ids.push_back(phone.id);
  if (found.size() == static_cast<std::size_t>(page.limit)) {
    selected.next = found.back().device;
  } else if (!rare) {
    CAPF_LET(selected.next, find_end(session, selection, page));
  }
  return selected;
}

Result<std::vector<SelectedPhone>> select_of(Session& session, const PhoneSelection& selection,
                                             std::span<const std::int64_t> ids) {
  Conditions where;
  const std::string near = kPresent + " and p.id = any (" + where.parameter(ids) + "::bigint[])";
  add_conditions(where, selection, Look::kEach);
  return session.all_once("select n.id, n.device from (" + near + ") n" + tables(selection, Look::kEach) +
                              where.text() + " order by n.device || ''",
                          where.parameters(), read_selected);
}

Result<PhoneCount> count_phones(Session& session, const PhoneSelection& selection) {
  CAPF_LET(const auto rare, find_rare(session, selection));
  Conditions where;
  const Look look = rare ? Look::kEach : Look::kWhole;
  const std::string near = rare ? rare_phones(where, selection, *rare) : counted_phones(where, selection);
  add_conditions(where, selection, look);
  CAPF_LET(const auto counts, session.all_once("select count(*), coalesce(max(n.id), 0) from (" + near + ") n" +
                                                   tables(selection, look) + where.text(),
                                               where.parameters(), read_count));
  return counts.front();
}

std::string join_selected(Conditions& where, const PhoneSelection& selection) {
  where.add("p.removed_at is null");
  add_conditions(where, selection, Look::kEach);
  return " cross join lateral (select p.id, p.device, p.model, p.blocked_at, p.profile_id, p.mic_sha256) n" +
         tables(selection, Look::kEach);
}

Result<std::optional<std::vector<std::int64_t>>> rare_ids(Session& session, const PhoneSelection& selection) {
  CAPF_LET(const auto rare, find_rare(session, selection));
  if (!rare) return std::nullopt;
  Conditions where;
  const std::string few = first(kFewPhones + 1, finders(selection).at(*rare)(where));
  CAPF_LET(auto ids, session.all_once("select phone_id from " + few + " f", where.parameters(), read_number));
  // Others may have added phones between the two statements.
  if (ids.size() > static_cast<std::size_t>(kFewPhones)) return std::nullopt;
  return ids;
}

}  // namespace capf::storage
