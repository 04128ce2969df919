#pragma once

#include <cstddef>
#include <iterator>
#include <optional>
#include <span>
#include <vector>

#include "capf/base/error.h"

namespace capf::service {

/// Looks up many devices at once. A fault of one device's records is the answer of that device alone.
/// @param look of some of them, in their order: nothing for one that is not on record
template <class Found, class Question, class Look>
std::vector<Result<std::optional<Found>>> look_together(std::span<const Question> asked, const Look& look) {
  Result<std::vector<std::optional<Found>>> all = look(asked);
  if (all) return {std::make_move_iterator(all->begin()), std::make_move_iterator(all->end())};
  std::vector<Result<std::optional<Found>>> found;
  for (std::size_t place = 0; place < asked.size(); ++place) {
    if (asked.size() > 1 && all.error().reason == Reason::kInternal) {
      found.push_back(look_together<Found>(asked.subspan(place, 1), look).front());
    } else {
      found.push_back(fail(all.error()));
    }
  }
  return found;
}

}  // namespace capf::service
