#include "storage/properties.h"

#include <algorithm>
#include <initializer_list>
#include <set>

#include "capf/domain/profile.h"
#include "storage/modes.h"

namespace capf::storage {

constexpr Table kPhones{"d",
                        "phones",
                        "id",
                        " and removed_at is null",
                        "id, model, blocked_at, profile_id, mic_sha256",
                        true,
                        [](Selection s) {
                          return !s.models.empty() || s.blocked || !s.profiles.empty() || !s.modes.empty() ||
                                 !s.effective_modes.empty();
                        }};
constexpr Table kTags{"g", "phone_tags", "phone_id", "", "tag", true, [](Selection) { return false; }};

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

// Tables -------------------------------------------------------------------------------------------------------------

bool has_any(const std::vector<OperationStatus>& statuses, std::initializer_list<OperationStatus> of) {
  return std::find_first_of(statuses.begin(), statuses.end(), of.begin(), of.end()) != statuses.end();
}

constexpr Table kLscs{"l", "phone_lscs", "phone_id", "", "lsc, not_after, issuer_id", true, [](Selection s) {
                        return !s.lscs.empty() || s.expires_before || !s.issuers.empty() || s.issuer_expires_before ||
                               !s.effective_modes.empty();
                      }};
constexpr Table kOperations{
    "o", "phone_operations", "phone_id", "", "outcome, auth, reason, created_at, completes_by", true, [](Selection s) {
      return !s.auths.empty() || !s.operations.empty() || !s.reasons.empty() || s.tried;
    }};
constexpr Table kOpen{
    "w", "operations", "phone_id", " and finished_at is null", "state", false, [](Selection s) {
      return has_any(s.operations, {OperationStatus::kPending, OperationStatus::kInProgress, OperationStatus::kIssued});
    }};
constexpr Table kSightings{"s",
                           "phone_sightings",
                           "phone_id",
                           "",
                           "last_seen",
                           true,
                           [](Selection s) { return s.not_seen_since.has_value(); }};
constexpr Table kAttempts{
    "t", "phone_attempts", "phone_id", "", "at, reason", false, [](Selection s) { return s.tried; }};
constexpr Table kRenewals{
    "y", "campaign_phones", "phone_id", " and campaign_id = 1", "state as renewal", true, [](Selection s) {
      return !s.renewals.empty();
    }};
constexpr const Table* kTables[]{&kPhones, &kLscs, &kOperations, &kOpen, &kSightings, &kAttempts, &kRenewals};

/// Whether a table has a row of the phone that meets the condition.
std::string has(Look look, const std::string& table, const std::string& condition) {
  const std::string rows = " from " + table + " where " + condition;
  if (look == Look::kWhole) return "n.id in (select phone_id" + rows + ")";
  return "coalesce((select true" + rows + " and phone_id = n.id limit 1), false)";
}

// Conditions ---------------------------------------------------------------------------------------------------------

const char* condition(LscStatus status) {
  switch (status) {
    case LscStatus::kNone: return "l.lsc = 'none'";
    case LscStatus::kValid: return "l.lsc = 'valid' and l.not_after > now()";
    case LscStatus::kExpired: return "l.lsc = 'valid' and l.not_after <= now()";
    case LscStatus::kRevoked: return "l.lsc = 'revoked'";
    case LscStatus::kHeld: return "l.lsc = 'held'";
  }
  CAPF_INVARIANT(false);
}

const char* condition(OperationStatus status) {
  switch (status) {
    case OperationStatus::kNone: return "o.outcome = 'none'";
    case OperationStatus::kPending: return "o.outcome = 'open' and w.state = 'pending'";
    case OperationStatus::kInProgress: return "o.outcome = 'open' and w.state = 'in_progress'";
    case OperationStatus::kIssued: return "o.outcome = 'open' and w.state = 'issued'";
    case OperationStatus::kOverdue: return "o.outcome = 'open' and o.completes_by < now()";
    case OperationStatus::kSucceeded: return "o.outcome = 'succeeded'";
    case OperationStatus::kFailed: return "o.outcome = 'failed'";
    case OperationStatus::kExpired: return "o.outcome = 'expired'";
    case OperationStatus::kCancelled: return "o.outcome = 'cancelled'";
  }
  CAPF_INVARIANT(false);
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

// Sources ------------------------------------------------------------------------------------------------------------

// Rows of a table that an index finds: all phones of a property, and perhaps others.

/// At most this many phones are looked up by their ids where an index has no names.
constexpr int kFewIds = 2'000;

/// Rows by an index that is sorted otherwise. The order leaves the planner no other way, whatever statistics it has.
std::string sorted(const Table& table, const std::string& condition, const std::string& order, int few = kFewPhones) {
  return rows_of(table, condition) + " order by " + order + limit_of(few);
}

/// A query for each value v that another one gives.
std::string of_each(const std::string& values, const std::string& query) {
  return "select q.* from (" + values + ") v, lateral (" + query + ") q";
}

/// Rows of a table whose phones another table has.
std::string of_ids(const Table& table, const std::string& ids) {
  return "select q.* from (" + ids + limit_of(kFewIds) + ") v, lateral (" +
         rows_of(table, std::string(table.id) + " = v.phone_id") + " limit 1) q";
}

template <class Value, class Text>
Texts equal(Conditions& where, const char* column, const std::vector<Value>& values, Text text) {
  std::set<std::string> different;
  for (const Value& value : values) different.emplace(text(value));
  Texts conditions;
  for (const std::string& value : different) {
    conditions.push_back(std::string(column) + " = " + where.parameter(value) + "::text");
  }
  return conditions;
}

std::string is_lsc(std::string_view lsc) { return "lsc = '" + std::string(lsc) + "'"; }

/// LSCs by their end, of issuers v.
std::string ends(const std::string& issuers, const std::string& lscs, const std::string& before) {
  return of_each("select i.id, lsc from (" + issuers + ") i (id), unnest(array[" + lscs + "]) lsc",
                 sorted(kLscs, "issuer_id = v.id and lsc = v.lsc" + before, "not_after"));
}
const std::string kAllIssuers = "select id from issuers";

Texts walk_lscs(Conditions&, Selection selection) {
  std::set<std::string> walks;
  for (const LscStatus status : selection.lscs)
    walks.insert(is_lsc(status == LscStatus::kExpired ? "valid" : to_string(status)));
  return {walks.begin(), walks.end()};
}

Rare rare_lscs(Conditions&, Selection selection) {
  const auto is_expired = [](LscStatus status) { return status == LscStatus::kExpired; };
  if (std::none_of(selection.lscs.begin(), selection.lscs.end(), is_expired)) return {};
  Rare rare;
  for (const LscStatus status : selection.lscs) {
    rare.queries.push_back(is_expired(status) ? ends(kAllIssuers, "'valid'", " and not_after <= now()")
                                              : sorted(kLscs, is_lsc(to_string(status)), "device"));
  }
  return rare;
}

Texts walk_expiring(Conditions&, Selection) { return {is_lsc("valid"), is_lsc("held")}; }
Rare rare_expiring(Conditions& where, Selection selection) {
  return {{ends(kAllIssuers, "'valid', 'held'",
                " and not_after < " + where.parameter(*selection.expires_before) + "::timestamptz")}};
}

Texts walk_issued(Conditions&, Selection) { return {is_lsc("valid"), is_lsc("held"), is_lsc("revoked")}; }
Rare rare_issuers(Conditions& where, Selection selection) {
  const std::string those =
      selection.issuers.empty()
          ? kAllIssuers + " where not_after < " + where.parameter(*selection.issuer_expires_before) + "::timestamptz"
          : "select distinct unnest(" + where.parameter(std::span<const std::int64_t>(selection.issuers)) +
                "::bigint[])";
  return {{ends(those, "'valid', 'held', 'revoked'", "")}};
}

std::string outcome_of(OperationStatus status) {
  const bool open = has_any({status}, {OperationStatus::kPending, OperationStatus::kInProgress,
                                       OperationStatus::kIssued, OperationStatus::kOverdue});
  return open ? "open" : std::string(to_string(status));
}

std::string with_outcome(const std::string& outcome, const std::string& auth) {
  return "outcome = '" + outcome + "' and auth " + auth;
}

/// Walks through the phones with one of these outcomes.
Texts walks_of(const std::set<std::string>& outcomes, const std::vector<AuthMode>& auths) {
  const std::set<AuthMode> different(auths.begin(), auths.end());
  Texts walks;
  for (const std::string& outcome : outcomes) {
    if (outcome == "none") {  // with a way to authenticate, no phone at all
      walks.push_back(with_outcome(outcome, auths.empty() ? "is null" : "is null and false"));
      continue;
    }
    for (const AuthMode auth : kAuthModes) {
      if (auths.empty() || different.contains(auth))
        walks.push_back(with_outcome(outcome, "= '" + std::string(to_string(auth)) + "'"));
    }
  }
  return walks;
}

/// A query for a status that few of the open operations have, because an index of theirs finds it; nothing for others.
std::optional<std::string> rare_operation(OperationStatus status) {
  if (status == OperationStatus::kOverdue)
    return sorted(kOperations, "outcome = 'open' and completes_by < now()", "completes_by");
  if (status != OperationStatus::kInProgress && status != OperationStatus::kIssued) return std::nullopt;
  return of_ids(kOperations, "select phone_id from operations where finished_at is null and state = '" +
                                 std::string(to_string(status)) + "' order by state, id");
}

Texts walk_operations(Conditions&, Selection selection) {
  std::set<std::string> outcomes;
  for (const OperationStatus status : selection.operations) outcomes.insert(outcome_of(status));
  if (selection.operations.empty()) outcomes = {"open", "succeeded", "failed", "expired", "cancelled"};
  return walks_of(outcomes, selection.auths);
}

Rare rare_operations(Conditions&, Selection selection) {
  Rare rare;
  for (const OperationStatus status : selection.operations) {
    auto query = rare_operation(status);
    if (!query) return {};
    rare.queries.push_back(std::move(*query));
    if (status != OperationStatus::kOverdue) rare.few = kFewIds;
  }
  return rare;
}

Texts walk_open(Conditions&, Selection selection) { return walks_of({"open"}, selection.auths); }
Rare rare_refused(Conditions& where, Selection selection) {
  if (selection.refusals.empty())
    return {{of_ids(kOperations, "select phone_id from phone_attempts order by phone_id")}, kFewIds};
  const std::string reasons = "(select distinct unnest(" + array(where, selection.refusals, kWord) + ")) r (reason)";
  return {{of_ids(kOperations, "select a.phone_id from " + reasons +
                                   ", lateral (select phone_id from phone_attempts where reason = r.reason "
                                   "order by phone_id" +
                                   limit_of(kFewIds) + ") a")},
          kFewIds};
}

/// The ids of the profiles of these names, as an array.
std::string profiles_named(Conditions& where, const std::vector<std::string>& names) {
  return "array(select id from profiles where name = any (" + where.parameter(std::span<const std::string>(names)) +
         "::text[]))";
}

/// The first profile's phones are in no index.
bool is_first(const std::string& profile) { return profile == kFirstProfileName; }
/// A nonsecure mode may be that of the first profile.
bool is_secure(const std::vector<DeviceMode>& modes) {
  return !modes.empty() && std::find(modes.begin(), modes.end(), DeviceMode::kNonsecure) == modes.end();
}
Texts walk_profiles(Conditions& where, Selection selection) {
  const std::set<std::string> different(selection.profiles.begin(), selection.profiles.end());
  Texts walks;
  for (const std::string& name : different) {
    walks.push_back("profile_id = (select id from profiles where name = " + where.parameter(name) +
                    "::text) and profile_id <> 1");
  }
  return walks;
}
/// The phones of the profiles in an array.
Rare of_profiles(const std::string& profiles) {
  return {{of_each("select unnest(" + profiles + ") as id",
                   sorted(kPhones, "profile_id = v.id and profile_id <> 1", "device"))}};
}

bool has_star(const Pattern& pattern) { return pattern.text().find('*') != std::string::npos; }

// Properties ---------------------------------------------------------------------------------------------------------

void add_profiles(Conditions& where, Selection selection, Look) {
  where.add("d.profile_id = any (" + profiles_named(where, selection.profiles) + ")");
}
void add_modes(Conditions& where, Selection selection, Look) {
  where.add("d.profile_id = any (" + profiles_of(selection.modes) + ")");
}
void add_effective_modes(Conditions& where, Selection selection, Look) {
  where.add(has_effective_mode(selection.effective_modes));
}

// Of several that many phones have, a page walks along the first one.
const Property kProperties[]{
    {[](Selection s) { return !s.devices.empty(); },
     [](Conditions& where, Selection s, Look) { where.add("n.device = any (" + array(where, s.devices, kText) + ")"); },
     &kPhones, nullptr,
     [](Conditions& where, Selection s) -> Rare {
       // A look for each name: of two arrays the planner takes the product, and would read every phone instead.
       const std::string names = "select distinct unnest(" + array(where, s.devices, kText) + ") as name";
       return {{of_each(names, rows_of(kPhones, "device = v.name") + " limit 1")}};
     }},
    {[](Selection s) { return !s.patterns.empty(); },
     [](Conditions& where, Selection s, Look) { where.add("n.device " + like_any(where, s.patterns)); }},
    {[](Selection s) { return !s.excepts.empty(); },
     [](Conditions& where, Selection s, Look) {
       where.add("n.device <> all (" + array(where, s.excepts, kText) + ")");
     }},
    {[](Selection s) { return s.blocked == true; },
     [](Conditions& where, Selection, Look) { where.add("d.blocked_at is not null"); }, &kPhones,
     [](Conditions&, Selection) -> Texts { return {"blocked_at is not null"}; }},
    {[](Selection s) { return s.blocked == false; },
     [](Conditions& where, Selection, Look) { where.add("d.blocked_at is null"); }},
    {[](Selection s) { return !s.tags.empty(); },
     [](Conditions& where, Selection s, Look look) {
       where.add(has(look, "phone_tags", "tag = any (?::text[])"), std::span<const std::string>(s.tags));
     },
     &kTags,
     [](Conditions& where, Selection s) {
       return equal(where, "tag", s.tags, [](const std::string& t) { return t; });
     }},
    {[](Selection s) { return !s.models.empty() && std::none_of(s.models.begin(), s.models.end(), has_star); },
     [](Conditions& where, Selection s, Look) { where.add("d.model = any (" + array(where, s.models, kText) + ")"); },
     &kPhones, [](Conditions& where, Selection s) { return equal(where, "model", s.models, kText); }},
    {[](Selection s) { return std::any_of(s.models.begin(), s.models.end(), has_star); },
     [](Conditions& where, Selection s, Look) { where.add("d.model " + like_any(where, s.models)); }},
    {[](Selection s) { return !s.reasons.empty(); },
     [](Conditions& where, Selection s, Look) { where.add("o.reason = any (" + array(where, s.reasons, kWord) + ")"); },
     &kOperations, [](Conditions& where, Selection s) { return equal(where, "reason", s.reasons, kWord); }},
    {[](Selection s) { return !s.lscs.empty(); },
     [](Conditions& where, Selection s, Look) { where.add(any_of(s.lscs)); }, &kLscs, walk_lscs, rare_lscs},
    {[](Selection s) { return !s.renewals.empty(); },
     [](Conditions& where, Selection s, Look) {
       where.add("y.renewal = any (" + array(where, s.renewals, kWord) + ")");
     },
     &kRenewals, [](Conditions& where, Selection s) { return equal(where, "state", s.renewals, kWord); }},
    {[](Selection s) { return !s.operations.empty() || !s.auths.empty(); },
     [](Conditions& where, Selection s, Look) {
       if (!s.operations.empty()) where.add(any_of(s.operations));
       if (!s.auths.empty()) where.add("o.auth = any (" + array(where, s.auths, kWord) + ")");
     },
     &kOperations, walk_operations, rare_operations},
    {[](Selection s) { return s.tried; },
     [](Conditions& where, Selection s, Look) {
       where.add("o.outcome = 'open' and t.at >= o.created_at");
       if (!s.refusals.empty()) where.add("t.reason = any (" + array(where, s.refusals, kWord) + ")");
     },
     &kOperations, walk_open, rare_refused},
    {[](Selection s) { return s.expires_before.has_value(); },
     [](Conditions& where, Selection s, Look) {
       where.add("l.lsc in ('valid', 'held') and l.not_after < ?::timestamptz", *s.expires_before);
     },
     &kLscs, walk_expiring, rare_expiring},
    {[](Selection s) { return !s.issuers.empty(); },
     [](Conditions& where, Selection s, Look) {
       where.add("l.issuer_id = any (?::bigint[])", std::span<const std::int64_t>(s.issuers));
     },
     &kLscs, walk_issued, rare_issuers},
    {[](Selection s) { return s.issuer_expires_before.has_value(); },
     [](Conditions& where, Selection s, Look) {
       where.add("l.issuer_id = any (array(select id from issuers where not_after < ?::timestamptz))",
                 *s.issuer_expires_before);
     },
     &kLscs, walk_issued, rare_issuers},
    {[](Selection s) { return s.not_seen_since.has_value(); },
     [](Conditions& where, Selection s, Look) { where.add("s.last_seen < ?::timestamptz", *s.not_seen_since); },
     &kSightings, [](Conditions&, Selection) -> Texts { return {"true"}; },
     [](Conditions& where, Selection s) -> Rare {
       return {
           {sorted(kSightings, "last_seen < " + where.parameter(*s.not_seen_since) + "::timestamptz", "last_seen")}};
     }},
    {[](Selection s) { return !s.profiles.empty() && std::none_of(s.profiles.begin(), s.profiles.end(), is_first); },
     add_profiles, &kPhones, walk_profiles},
    {[](Selection s) { return std::any_of(s.profiles.begin(), s.profiles.end(), is_first); }, add_profiles},
    {[](Selection s) { return is_secure(s.modes); }, add_modes, &kPhones, nullptr,
     [](Conditions&, Selection s) { return of_profiles(profiles_of(s.modes)); }},
    {[](Selection s) { return !s.modes.empty() && !is_secure(s.modes); }, add_modes},
    // A secure mode in effect is the profile's.
    {[](Selection s) { return is_secure(s.effective_modes); }, add_effective_modes, &kPhones, nullptr,
     [](Conditions&, Selection s) { return of_profiles(profiles_of(s.effective_modes)); }},
    {[](Selection s) { return !s.effective_modes.empty() && !is_secure(s.effective_modes); }, add_effective_modes},
    {[](Selection s) { return s.locked == true; },
     [](Conditions& where, Selection, Look look) { where.add(has(look, "device_strings", "locked_until > now()")); },
     &kSightings, nullptr,
     [](Conditions&, Selection) -> Rare {
       return {
           {of_ids(kSightings, "select phone_id from device_strings where locked_until > now() order by locked_until")},
           kFewIds};
     }},
    {[](Selection s) { return s.locked == false; },
     [](Conditions& where, Selection, Look look) {
       where.add("not " + has(look, "device_strings", "locked_until > now()"));
     }},
};

}  // namespace

std::string rows_of(const Table& table, const std::string& condition) {
  return std::string("select ") + table.id + " as phone_id, " + (table.named ? "device, " : "") + table.columns +
         " from " + table.name + " where " + condition + table.only;
}

std::string others(Selection selection, Look look, const Table* first) {
  std::string text;
  for (const Table* table : kTables) {
    if (table == first || !table->asked(selection)) continue;
    text += look == Look::kEach ? " left join lateral (" + rows_of(*table, std::string(table->id) + " = n.id") +
                                      " limit 1) " + table->row + " on true"
                                : " left join (" + rows_of(*table, "true") + ") " + table->row + " on " + table->row +
                                      ".phone_id = n.id";
  }
  return text;
}

std::string from(const std::string& phones, const Table& table, Selection selection, Look look) {
  const std::string row = table.row;
  return " from (" + phones + ") " + row + " cross join lateral (select " + row + ".phone_id as id, " + row +
         ".device) n" + others(selection, look, &table);
}

const Table& counted_table(Selection selection) {
  for (const Table* table : kTables) {
    if (table->named && table->asked(selection)) return *table;
  }
  return kSightings;
}

std::string limit(int phones) { return " limit " + std::to_string(phones); }

std::string limit_of(int few) { return limit(2 * few); }

void add_conditions(Conditions& where, Selection selection, Look look) {
  for (const Property& property : kProperties) {
    if (property.given(selection)) property.add(where, selection, look);
  }
}

Properties found_of(Selection selection) {
  Properties found;
  for (const Property& property : kProperties) {
    if (property.table != nullptr && property.given(selection)) found.push_back(&property);
  }
  return found;
}

}  // namespace capf::storage
