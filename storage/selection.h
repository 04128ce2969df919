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

// How phones are found by their properties, with bounded work for each page whatever the statistics say:
//
//   1. Each property that an index finds is asked for its first kFewPhones + 1 phones. Where one has no more than
//      kFewPhones, these are all of its phones: they are looked at one by one, and what matches is sorted by name.
//   2. Else a page looks at the next kFewPhones phones in the order of names. Each property alone has one in a hundred
//      of a million phones then, so that such a window holds a page on average. It may be short; its cursor goes on.
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
/// FROM: each is looked up by the phone's id. The names n, o, l, s and t are taken.
std::string join_selected(Conditions& where, const PhoneSelection& selection);
/// The phones of the rarest property that has at most kFewPhones, and perhaps others; nothing where there is none.
Result<std::optional<std::vector<std::int64_t>>> rare_ids(Session& session, const PhoneSelection& selection);

}  // namespace capf::storage
