#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "capf/domain/page.h"
#include "capf/domain/phone_store.h"
#include "storage/conditions.h"
#include "storage/session.h"

namespace capf::storage {

// How phones are found by their properties, with bounded work for each page whatever the statistics say. Each table by
// which they are selected has their names, and an index in the order of names for each value of a property:
//
//   1. A page of one such property walks along its index, and ends with the last phone that it shows.
//   2. Of several properties, and of those that are a time, each is asked for its first kFewPhones + 1 phones. Where
//      the rarest one has no more than kFewPhones, these are looked at in the order of names.
//   3. Else a page walks along the first of them and looks at the next kFewPhones names, or at fewer where it has to
//      look each up in other tables. It may be short; its cursor goes on. A property of one in a hundred of a million
//      phones has a page in such a window, on average.
//
// A property is a row of kProperties in properties.cc: its condition, and the source that an index finds.
inline constexpr int kFewPhones = 10'000;

/// PhoneStore::select().
Result<SelectedPhones> select_phones(Session& session, const PhoneSelection& selection, const PhonePage& page);
/// PhoneStore::still_selected().
Result<std::vector<SelectedPhone>> select_of(Session& session, const PhoneSelection& selection,
                                             std::span<const std::int64_t> ids);
/// PhoneStore::count(). Reads every phone where no property is rare.
Result<PhoneCount> count_phones(Session& session, const PhoneSelection& selection);

// For statements about what phones have, over `phones p`:

/// Adds the conditions that `p` is on record and has the selection's properties. @return what these need behind `p` in
/// FROM: each is looked up by the phone's id. The names d, l, n, o, s, t, w and y are taken.
std::string join_selected(Conditions& where, const PhoneSelection& selection);
/// The phones of the rarest property that has at most kFewPhones, and perhaps others; nothing where there is none.
Result<std::optional<std::vector<std::int64_t>>> rare_ids(Session& session, const PhoneSelection& selection);

}  // namespace capf::storage
