#include "storage/selection.h"

#include <algorithm>

#include "storage/properties.h"

namespace capf::storage {
namespace {

/// At most this many phones of a property that many have are looked up elsewhere for a page.
constexpr int kFewLookedUp = 4'000;
/// The same where the mode in effect of each is made of its LSC, its MIC, its profile and the site.
constexpr int kFewModes = 1'500;

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

/// The bounds of the names on a page.
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

std::string all_of(const Texts& queries) {
  std::string text;
  for (const std::string& query : queries) text += (text.empty() ? "select q.* from ((" : ") union all (") + query;
  return text + ")) q";
}

/// The rows of several queries of a property, each phone once: it can have several tags, and meet several conditions.
std::string each_once(const Table& table, const Texts& queries, bool may_meet_several) {
  const bool repeats = queries.size() > 1 && (&table == &kTags || may_meet_several);
  return std::string("select ") + (repeats ? "distinct on (device) * from (" : "* from (") + all_of(queries) + ") q";
}

/// The next rows in the order of names.
std::string window(const Table& table, const Texts& walks, const std::string& bounds, int rows) {
  const std::string end = " order by device" + limit(rows);
  Texts queries;
  for (const std::string& walk : walks) queries.push_back(rows_of(table, walk + bounds).append(end));
  return queries.size() == 1 ? queries.front() : each_once(table, queries, false) + end;
}

/// The queries of a property, of which none gives many more phones than are few. @param has_order where they are not
/// its walks
Rare rare_of(Conditions& where, const Property& property, Selection selection, bool* has_order = nullptr) {
  Rare rare = property.rare == nullptr ? Rare{} : property.rare(where, selection);
  if (has_order != nullptr) *has_order = !rare.queries.empty();
  if (!rare.queries.empty()) return rare;
  for (const std::string& walk : property.walks(where, selection)) {
    rare.queries.push_back(rows_of(*property.table, walk) + " order by device" + limit_of(rare.few));
  }
  return rare;
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

/// How many phones each of the properties has, counted to one more than are few.
Result<std::vector<Size>> measure(Session& session, Selection selection, const Properties& properties) {
  Conditions where;
  std::string text;
  std::vector<int> few;
  for (const Property* property : properties) {
    const Rare rare = rare_of(where, *property, selection);
    text += (few.empty() ? "select " : " union all select ") + std::to_string(few.size()) +
            "::bigint, count(*) from (select phone_id from (" + all_of(rare.queries) + ") q" + limit(rare.few + 1) +
            ") f";
    few.push_back(rare.few);
  }
  CAPF_LET(auto sizes, session.all_once(text, where.parameters(), read_size));
  for (Size& size : sizes) size.few = few.at(size.place);
  return sizes;
}

/// The rarest property that few phones have; null where there is none.
Result<const Property*> find_rare(Session& session, Selection selection) {
  const Properties found = found_of(selection);
  if (found.empty()) return nullptr;
  CAPF_LET(const auto sizes, measure(session, selection, found));
  const Size* rarest = nullptr;
  for (const Size& size : sizes) {
    if (size.is_few() && (rarest == nullptr || size.phones < rarest->phones)) rarest = &size;
  }
  return rarest == nullptr ? nullptr : found.at(rarest->place);
}

/// Whether a page needs to know nothing of how many phones there are: it walks along the only property.
bool walks_alone(Selection selection) {
  const Properties found = found_of(selection);
  if (found.size() != 1) return found.empty();
  Conditions unused;
  return found.front()->rare == nullptr || found.front()->rare(unused, selection).queries.empty();
}

/// The phones that a page looks at, as rows of a table.
struct Near {
  const Table* table;
  std::string rows;
  int window = 0;  ///< how many they are, where more can be behind them
};

/// All phones of a rare property; in the order of names where others are looked up for each, so that a page ends with
/// the last one that it shows.
Near rare_phones(Conditions& where, Selection selection, const PhonePage& page, const Property& property) {
  bool may_meet_several = false;
  const Rare rare = rare_of(where, property, selection, &may_meet_several);
  std::string rows = each_once(*property.table, rare.queries, may_meet_several) + " where true" +
                     name_bounds(where, selection, page.after);
  if (!others(selection, Look::kEach, property.table).empty()) rows += " order by device" + limit_of(rare.few);
  return {property.table, std::move(rows)};
}

/// The next phones of the first property that a page can walk along.
Near next_phones(Conditions& where, Selection selection, const PhonePage& page) {
  const Properties found = found_of(selection);
  const auto first = std::find_if(found.begin(), found.end(), [](const Property* p) { return p->walks != nullptr; });
  const Table& table = first == found.end() ? kPhones : *(*first)->table;
  const Texts walks = first == found.end() ? Texts{"true"} : (*first)->walks(where, selection);
  // Rows of phones are found by their names and then looked up as others are.
  const bool looks_up = &table == &kPhones || !others(selection, Look::kEach, &table).empty();
  const int few = selection.effective_modes.empty() ? kFewLookedUp : kFewModes;
  const int rows = looks_up ? few : kFewPhones;
  return {&table, window(table, walks, name_bounds(where, selection, page.after), rows), rows};
}

SelectedPhone read_selected(Columns& columns) { return {.id = columns.number(), .device = columns.device()}; }
PhoneCount read_count(Columns& columns) { return {columns.number(), columns.number()}; }
DeviceName read_device(Columns& columns) { return columns.device(); }

/// The last name that a page looked at, where there are names behind it; nothing at the end.
Result<std::optional<DeviceName>> find_end(Session& session, Selection selection, const PhonePage& page) {
  Conditions where;
  const Near near = next_phones(where, selection, page);
  CAPF_LET(auto last, session.all_once("select device from (" + near.rows + ") n order by device offset " +
                                           std::to_string(near.window - 1),
                                       where.parameters(), read_device));
  if (last.empty()) return std::nullopt;
  return std::move(last.front());
}

/// The phones that a count looks at, as rows of a table.
Near counted_phones(Conditions& where, Selection selection) {
  const std::string bounds = name_bounds(where, selection, std::nullopt);
  if (!bounds.empty()) return {&kPhones, rows_of(kPhones, "true" + bounds)};
  const Table& table = counted_table(selection);
  return {&table, rows_of(table, "true")};
}

}  // namespace

Result<SelectedPhones> select_phones(Session& session, const PhoneSelection& selection, const PhonePage& page) {
  const Property* rare = nullptr;
  if (!walks_alone(selection)) {
    CAPF_LET(rare, find_rare(session, selection));
  }
  Conditions where;
  const Near near = rare == nullptr ? next_phones(where, selection, page) : rare_phones(where, selection, page, *rare);
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
  } else if (rare == nullptr) {
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
  const Look look = rare == nullptr ? Look::kWhole : Look::kEach;
  const Near near = rare == nullptr ? counted_phones(where, selection) : rare_phones(where, selection, {}, *rare);
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
  if (rare == nullptr) return std::nullopt;
  Conditions where;
  const std::string rows = rare_phones(where, selection, {}, *rare).rows;
  CAPF_LET(auto ids, session.all_once("select phone_id from (" + rows + ") f", where.parameters(), read_number));
  // Others may have added phones between the two statements.
  if (ids.size() > static_cast<std::size_t>(kFewPhones)) return std::nullopt;
  return ids;
}

}  // namespace capf::storage
