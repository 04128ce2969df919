#include "storage/selection.h"

#include <algorithm>
#include <initializer_list>
#include <set>

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

// Tables -------------------------------------------------------------------------------------------------------------
// A phone is n in conditions. Of the tables here it has at most one row each, which triggers keep.

struct Table {
  const char* row;  ///< its name in conditions
  const char* name;
  const char* id;       ///< the phone's
  const char* only;     ///< which of its rows are one of a phone
  const char* columns;  ///< that conditions read
  bool named;           ///< has the phone's name, by which its indexes are sorted
  bool (*asked)(const PhoneSelection&);
};

using Selection = const PhoneSelection&;

bool has_any(const std::vector<OperationStatus>& statuses, std::initializer_list<OperationStatus> of) {
  return std::find_first_of(statuses.begin(), statuses.end(), of.begin(), of.end()) != statuses.end();
}

constexpr Table kPhones{"m", "phones", "id", " and removed_at is null", "model, blocked_at", true, [](Selection s) {
                          return !s.models.empty() || s.blocked.has_value();
                        }};
constexpr Table kLscs{"l", "phone_lscs", "phone_id", "", "lsc, not_after, issuer_id", true, [](Selection s) {
                        return !s.lscs.empty() || s.expires_before || !s.issuers.empty() || s.issuer_expires_before;
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
/// A phone has several tags, so that conditions look for one; a page may walk along it.
constexpr Table kTags{"g", "phone_tags", "phone_id", "", "tag", true, [](Selection) { return false; }};
constexpr const Table* kTables[]{&kPhones, &kLscs, &kOperations, &kOpen, &kSightings, &kAttempts};

enum class Look {
  kEach,   ///< up by the phone's id: LIMIT keeps the planner from reading whole tables for a page
  kWhole,  ///< at whole tables, which the planner may hash: a count reads them anyway
};

std::string rows_of(const Table& table, const std::string& condition) {
  return std::string("select ") + table.id + " as phone_id, " + (table.named ? "device, " : "") + table.columns +
         " from " + table.name + " where " + condition + table.only;
}

/// The tables that the selection asks beside `first`, for a phone n.
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

/// FROM, where `phones` selects the phones as rows of `table`.
std::string from(const std::string& phones, const Table& table, Selection selection, Look look) {
  const std::string row = table.row;
  return " from (" + phones + ") " + row + " cross join lateral (select " + row + ".phone_id as id, " + row +
         ".device) n" + others(selection, look, &table);
}

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
    case LscStatus::kValid: return "l.lsc = 'valid' and l.not_after >= now()";
    case LscStatus::kExpired: return "l.lsc = 'valid' and l.not_after < now()";
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

/// Rows of a table that an index finds: all phones of a property, and perhaps others.
struct Source {
  const Table* table;
  /// Conditions for each of which an index has the rows in the order of names; none where there is no such index.
  std::vector<std::string> walks;
  /// Queries for the same or fewer rows, in the order of another index, for a property that few phones have; none where
  /// the walks are as good.
  std::vector<std::string> queries;
  int few = kFewPhones;
};

/// At most this many phones are looked up by their ids where an index has no names.
constexpr int kFewIds = 2'000;

std::string limit(int phones) { return " limit " + std::to_string(phones); }

/// The limit of one query for a rare property. Others may have added phones since it was found rare: there is room for
/// as many again.
std::string limit_of(int few) { return limit(2 * few); }

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
std::vector<std::string> equal(Conditions& where, const char* column, const std::vector<Value>& values, Text text) {
  std::set<std::string> different;
  for (const Value& value : values) different.emplace(text(value));
  std::vector<std::string> conditions;
  for (const std::string& value : different) {
    conditions.push_back(std::string(column) + " = " + where.parameter(value) + "::text");
  }
  return conditions;
}

std::string is_lsc(const char* lsc) { return std::string("lsc = '") + lsc + "'"; }

/// LSCs by their end, of issuers v.
std::string ends(const std::string& issuers, const std::string& lscs, const std::string& before) {
  return of_each("select i.id, lsc from (" + issuers + ") i (id), unnest(array[" + lscs + "]) lsc",
                 sorted(kLscs, "issuer_id = v.id and lsc = v.lsc" + before, "not_after"));
}
const std::string kAllIssuers = "select id from issuers";

Source find_lscs(Conditions&, Selection selection) {
  Source source{&kLscs, {}, {}};
  std::set<std::string> walks;
  bool expired = false;
  for (const LscStatus status : selection.lscs) {
    expired = expired || status == LscStatus::kExpired;
    walks.insert(is_lsc(status == LscStatus::kExpired ? "valid" : std::string(to_string(status)).c_str()));
  }
  source.walks.assign(walks.begin(), walks.end());
  if (!expired) return source;
  // Of the others the walks are as good.
  for (const LscStatus status : selection.lscs) {
    source.queries.push_back(status == LscStatus::kExpired
                                 ? ends(kAllIssuers, "'valid'", " and not_after < now()")
                                 : sorted(kLscs, is_lsc(std::string(to_string(status)).c_str()), "device"));
  }
  return source;
}

Source find_expiring(Conditions& where, Selection selection) {
  const std::string before = " and not_after < " + where.parameter(*selection.expires_before) + "::timestamptz";
  return {&kLscs, {is_lsc("valid"), is_lsc("held")}, {ends(kAllIssuers, "'valid', 'held'", before)}};
}

Source find_issuers(Conditions& where, Selection selection) {
  const std::string those =
      selection.issuers.empty()
          ? kAllIssuers + " where not_after < " + where.parameter(*selection.issuer_expires_before) + "::timestamptz"
          : "select distinct unnest(" + where.parameter(std::span<const std::int64_t>(selection.issuers)) +
                "::bigint[])";
  return {
      &kLscs, {is_lsc("valid"), is_lsc("held"), is_lsc("revoked")}, {ends(those, "'valid', 'held', 'revoked'", "")}};
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
std::vector<std::string> walks_of(const std::set<std::string>& outcomes, const std::vector<AuthMode>& auths) {
  const std::set<AuthMode> different(auths.begin(), auths.end());
  std::vector<std::string> walks;
  for (const std::string& outcome : outcomes) {
    if (outcome == "none" && auths.empty()) walks.push_back(with_outcome(outcome, "is null"));
    if (outcome == "none") continue;
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

Source find_operations(Conditions&, Selection selection) {
  std::set<std::string> outcomes;
  for (const OperationStatus status : selection.operations) outcomes.insert(outcome_of(status));
  if (selection.operations.empty()) outcomes = {"open", "succeeded", "failed", "expired", "cancelled"};
  Source source{&kOperations, walks_of(outcomes, selection.auths), {}};
  for (const OperationStatus status : selection.operations) {
    auto query = rare_operation(status);
    if (!query) return {&kOperations, std::move(source.walks), {}};
    source.queries.push_back(std::move(*query));
    if (status != OperationStatus::kOverdue) source.few = kFewIds;
  }
  return source;
}

Source find_tried(Conditions& where, Selection selection) {
  Source source{&kOperations, walks_of({"open"}, selection.auths), {}};
  if (selection.refusals.empty()) return source;
  source.queries = {
      of_ids(kOperations, "select a.phone_id from (select distinct unnest(" + array(where, selection.refusals, kWord) +
                              ")) r (reason), lateral (select phone_id from phone_attempts where reason = r.reason "
                              "order by phone_id" +
                              limit_of(kFewIds) + ") a")};
  source.few = kFewIds;
  return source;
}

bool has_star(const Pattern& pattern) { return pattern.text().find('*') != std::string::npos; }

// Properties ---------------------------------------------------------------------------------------------------------

/// What a selection may ask: whether it does, the condition, and the source of those that an index finds.
struct Property {
  bool (*given)(Selection);
  void (*add)(Conditions&, Selection, Look);
  bool (*found)(Selection);
  Source (*find)(Conditions&, Selection);
};

bool always(Selection) { return true; }
bool never(Selection) { return false; }

// Of several that many phones have, a page walks along the first one.
const Property kProperties[]{
    {[](Selection s) { return !s.devices.empty(); },
     [](Conditions& where, Selection s, Look) { where.add("n.device = any (" + array(where, s.devices, kText) + ")"); },
     always,
     [](Conditions& where, Selection s) -> Source {
       return {&kPhones, {}, {rows_of(kPhones, "device = any (" + array(where, s.devices, kText) + ")")}};
     }},
    {[](Selection s) { return !s.patterns.empty(); },
     [](Conditions& where, Selection s, Look) { where.add("n.device " + like_any(where, s.patterns)); }, never,
     nullptr},
    {[](Selection s) { return !s.excepts.empty(); },
     [](Conditions& where, Selection s, Look) {
       where.add("n.device <> all (" + array(where, s.excepts, kText) + ")");
     },
     never, nullptr},
    {[](Selection s) { return s.blocked.has_value(); },
     [](Conditions& where, Selection s, Look) {
       where.add(*s.blocked ? "m.blocked_at is not null" : "m.blocked_at is null");
     },
     [](Selection s) { return *s.blocked; },
     [](Conditions&, Selection) -> Source {
       return {&kPhones, {"blocked_at is not null"}, {}};
     }},
    {[](Selection s) { return !s.tags.empty(); },
     [](Conditions& where, Selection s, Look look) {
       where.add(has(look, "phone_tags", "tag = any (?::text[])"), std::span<const std::string>(s.tags));
     },
     always,
     [](Conditions& where, Selection s) -> Source {
       return {&kTags, equal(where, "tag", s.tags, [](const std::string& tag) { return tag; }), {}};
     }},
    {[](Selection s) { return !s.models.empty(); },
     [](Conditions& where, Selection s, Look) { where.add("m.model " + like_any(where, s.models)); },
     [](Selection s) { return std::none_of(s.models.begin(), s.models.end(), has_star); },
     [](Conditions& where, Selection s) -> Source {
       return {&kPhones, equal(where, "model", s.models, kText), {}};
     }},
    {[](Selection s) { return !s.reasons.empty(); },
     [](Conditions& where, Selection s, Look) { where.add("o.reason = any (" + array(where, s.reasons, kWord) + ")"); },
     always,
     [](Conditions& where, Selection s) -> Source {
       return {&kOperations, equal(where, "reason", s.reasons, kWord), {}};
     }},
    {[](Selection s) { return !s.lscs.empty(); },
     [](Conditions& where, Selection s, Look) { where.add(any_of(s.lscs)); }, always, find_lscs},
    {[](Selection s) { return !s.operations.empty() || !s.auths.empty(); },
     [](Conditions& where, Selection s, Look) {
       if (!s.operations.empty()) where.add(any_of(s.operations));
       if (!s.auths.empty()) where.add("o.auth = any (" + array(where, s.auths, kWord) + ")");
     },
     always, find_operations},
    {[](Selection s) { return s.tried; },
     [](Conditions& where, Selection s, Look) {
       where.add("o.outcome = 'open' and t.at >= o.created_at");
       if (!s.refusals.empty()) where.add("t.reason = any (" + array(where, s.refusals, kWord) + ")");
     },
     always, find_tried},
    {[](Selection s) { return s.expires_before.has_value(); },
     [](Conditions& where, Selection s, Look) {
       where.add("l.lsc in ('valid', 'held') and l.not_after < ?::timestamptz", *s.expires_before);
     },
     always, find_expiring},
    {[](Selection s) { return !s.issuers.empty() || s.issuer_expires_before; },
     [](Conditions& where, Selection s, Look) {
       if (!s.issuers.empty()) where.add("l.issuer_id = any (?::bigint[])", std::span<const std::int64_t>(s.issuers));
       if (s.issuer_expires_before)
         where.add("l.issuer_id = any (array(select id from issuers where not_after < ?::timestamptz))",
                   *s.issuer_expires_before);
     },
     always, find_issuers},
    {[](Selection s) { return s.not_seen_since.has_value(); },
     [](Conditions& where, Selection s, Look) { where.add("s.last_seen < ?::timestamptz", *s.not_seen_since); }, always,
     [](Conditions& where, Selection s) -> Source {
       return {
           &kSightings,
           {"true"},
           {sorted(kSightings, "last_seen < " + where.parameter(*s.not_seen_since) + "::timestamptz", "last_seen")}};
     }},
    {[](Selection s) { return s.locked.has_value(); },
     [](Conditions& where, Selection s, Look look) {
       where.add(std::string(*s.locked ? "" : "not ") + has(look, "device_strings", "locked_until > now()"));
     },
     [](Selection s) { return *s.locked; },
     [](Conditions&, Selection) -> Source {
       return {
           &kSightings,
           {},
           {of_ids(kSightings, "select phone_id from device_strings where locked_until > now() order by locked_until")},
           kFewIds};
     }},
};

void add_conditions(Conditions& where, Selection selection, Look look) {
  for (const Property& property : kProperties) {
    if (property.given(selection)) property.add(where, selection, look);
  }
}

using Finder = Source (*)(Conditions&, Selection);

std::vector<Finder> finders(Selection selection) {
  std::vector<Finder> found;
  for (const Property& property : kProperties) {
    if (property.given(selection) && property.found(selection)) found.push_back(property.find);
  }
  return found;
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

/// What a name must be to be on the page.
std::string name_bounds(Conditions& where, Selection selection, const std::optional<DeviceName>& after) {
  std::string bounds;
  const std::string prefix = common_prefix(selection.patterns);
  // No name has a character behind '~'.
  if (!prefix.empty()) {
    bounds =
        " and device >= " + where.parameter(prefix) + "::text and device < " + where.parameter(prefix + "~") + "::text";
  }
  if (after) bounds += " and device > " + where.parameter(*after) + "::text";
  return bounds;
}

std::string all_of(const std::vector<std::string>& queries) {
  std::string text;
  for (const std::string& query : queries) text += (text.empty() ? "select * from ((" : ") union all (") + query;
  return text + ")) q";
}

/// The rows of all queries, each phone once.
std::string each_once(const Source& source, const std::vector<std::string>& queries) {
  const bool may_repeat = source.table == &kTags || !source.queries.empty();
  return std::string("select ") + (queries.size() > 1 && may_repeat ? "distinct on (device) * from (" : "* from (") +
         all_of(queries) + ") q";
}

/// The next kFewPhones rows in the order of names.
std::string window(const Source& source, const std::string& bounds) {
  const std::string end = " order by device" + limit(kFewPhones);
  std::vector<std::string> queries;
  for (const std::string& walk : source.walks) queries.push_back(rows_of(*source.table, walk + bounds) + end);
  return queries.size() == 1 ? queries.front() : each_once(source, queries) + end;
}

/// The queries for a rare property, of which none gives many more phones than are few.
std::vector<std::string> rare_queries(const Source& source) {
  if (!source.queries.empty()) return source.queries;
  std::vector<std::string> queries;
  for (const std::string& walk : source.walks) {
    queries.push_back(rows_of(*source.table, walk) + " order by device" + limit_of(source.few));
  }
  return queries;
}

/// All rows of a rare property that the bounds allow; in the order of names where others are looked up for each, so
/// that a page ends with the last one that it shows.
std::string rare_rows(const Source& source, const std::string& bounds, bool looks_up) {
  return each_once(source, rare_queries(source)) + " where true" + bounds +
         (looks_up ? " order by device" + limit_of(source.few) : "");
}

struct Size {
  std::size_t place = 0;
  std::int64_t phones = 0;
  int few = 0;

  bool is_few() const { return phones <= few; }
};
Size read_size(Columns& columns) {
  Size size;
  size.place = static_cast<std::size_t>(columns.number());
  size.phones = columns.number();
  return size;
}

/// How many phones each of the sources has, counted to one more than are few.
Result<std::vector<Size>> measure(Session& session, Selection selection, const std::vector<Finder>& finders) {
  Conditions where;
  std::string text;
  std::vector<int> few;
  for (const Finder find : finders) {
    const Source source = find(where, selection);
    text += (few.empty() ? "select " : " union all select ") + std::to_string(few.size()) +
            "::bigint, count(*) from (select phone_id from (" + all_of(rare_queries(source)) + ") q" +
            limit(source.few + 1) + ") f";
    few.push_back(source.few);
  }
  CAPF_LET(auto sizes, session.all_once(text, where.parameters(), read_size));
  for (Size& size : sizes) size.few = few.at(size.place);
  return sizes;
}

/// The source of the rarest property that few phones have; nothing where there is none.
Result<std::optional<Finder>> find_rare(Session& session, Selection selection) {
  const std::vector<Finder> found = finders(selection);
  if (found.empty()) return std::nullopt;
  CAPF_LET(const auto sizes, measure(session, selection, found));
  const Size* rarest = nullptr;
  for (const Size& size : sizes) {
    if (size.is_few() && (rarest == nullptr || size.phones < rarest->phones)) rarest = &size;
  }
  if (rarest == nullptr) return std::nullopt;
  return found.at(rarest->place);
}

/// Whether a page needs to know nothing of how many phones there are: it walks along its only source.
bool walks_alone(Selection selection) {
  const std::vector<Finder> found = finders(selection);
  Conditions unused;
  return found.empty() || (found.size() == 1 && found.front()(unused, selection).queries.empty());
}

/// A source that a page walks along, where no property is rare: the first that can be.
Source walked(Conditions& where, Selection selection) {
  for (const Finder find : finders(selection)) {
    Conditions unused = where;
    Source source = find(unused, selection);
    if (source.walks.empty()) continue;
    where = std::move(unused);
    return source;
  }
  return {&kPhones, {"true"}, {}};
}

/// The phones that a page looks at.
struct Near {
  const Table* table;
  std::string rows;
};
Near near_phones(Conditions& where, Selection selection, const PhonePage& page, std::optional<Finder> rare) {
  if (rare) {
    const Source source = (*rare)(where, selection);
    const bool looks_up = !others(selection, Look::kEach, source.table).empty();
    return {source.table, rare_rows(source, name_bounds(where, selection, page.after), looks_up)};
  }
  const Source source = walked(where, selection);
  return {source.table, window(source, name_bounds(where, selection, page.after))};
}

SelectedPhone read_selected(Columns& columns) { return {.id = columns.number(), .device = columns.device()}; }
PhoneCount read_count(Columns& columns) { return {columns.number(), columns.number()}; }
DeviceName read_device(Columns& columns) { return columns.device(); }

/// The last name that a page looked at, where there are names behind it; nothing at the end.
Result<std::optional<DeviceName>> find_end(Session& session, Selection selection, const PhonePage& page) {
  Conditions where;
  const std::string near = near_phones(where, selection, page, std::nullopt).rows;
  CAPF_LET(auto last, session.all_once("select device from (" + near + ") n order by device offset " +
                                           std::to_string(kFewPhones - 1),
                                       where.parameters(), read_device));
  if (last.empty()) return std::nullopt;
  return std::move(last.front());
}

/// The phones that a count looks at, as rows of a table that it asks anyway, else of a narrow one.
Near counted_phones(Conditions& where, Selection selection) {
  const std::string bounds = name_bounds(where, selection, std::nullopt);
  if (!bounds.empty()) return {&kPhones, rows_of(kPhones, "true" + bounds)};
  for (const Table* table : kTables) {
    if (table->named && table->asked(selection)) return {table, rows_of(*table, "true")};
  }
  return {&kSightings, rows_of(kSightings, "true")};
}

}  // namespace

Result<SelectedPhones> select_phones(Session& session, const PhoneSelection& selection, const PhonePage& page) {
  std::optional<Finder> rare;
  if (!walks_alone(selection)) {
    CAPF_LET(rare, find_rare(session, selection));
  }
  Conditions where;
  const Near near = near_phones(where, selection, page, rare);
  add_conditions(where, selection, Look::kEach);
  const std::string most = where.parameter(page.limit) + "::int";
  CAPF_LET(const auto found,
           session.all_once("select n.id, n.device" + from(near.rows, *near.table, selection, Look::kEach) +
                                where.text() + " order by n.device limit " + most,
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
  const std::string those = rows_of(kPhones, "id = any (" + where.parameter(ids) + "::bigint[])");
  add_conditions(where, selection, Look::kEach);
  return session.all_once("select n.id, n.device" + from(those, kPhones, selection, Look::kEach) + where.text() +
                              " order by n.device || ''",
                          where.parameters(), read_selected);
}

Result<PhoneCount> count_phones(Session& session, const PhoneSelection& selection) {
  CAPF_LET(const auto rare, find_rare(session, selection));
  Conditions where;
  const Look look = rare ? Look::kEach : Look::kWhole;
  const Near near = rare ? near_phones(where, selection, {}, rare) : counted_phones(where, selection);
  add_conditions(where, selection, look);
  CAPF_LET(const auto counts, session.all_once("select count(*), coalesce(max(n.id), 0)" +
                                                   from(near.rows, *near.table, selection, look) + where.text(),
                                               where.parameters(), read_count));
  return counts.front();
}

std::string join_selected(Conditions& where, const PhoneSelection& selection) {
  where.add("p.removed_at is null");
  add_conditions(where, selection, Look::kEach);
  return " cross join lateral (select p.id, p.device) n" + others(selection, Look::kEach, nullptr);
}

Result<std::optional<std::vector<std::int64_t>>> rare_ids(Session& session, const PhoneSelection& selection) {
  CAPF_LET(const auto rare, find_rare(session, selection));
  if (!rare) return std::nullopt;
  Conditions where;
  const std::string rows = near_phones(where, selection, {}, rare).rows;
  CAPF_LET(auto ids, session.all_once("select phone_id from (" + rows + ") f", where.parameters(), read_number));
  // Others may have added phones between the two statements.
  if (ids.size() > static_cast<std::size_t>(kFewPhones)) return std::nullopt;
  return ids;
}

}  // namespace capf::storage
