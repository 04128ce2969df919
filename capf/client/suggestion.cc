#include "capf/client/suggestion.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace capf::client {
namespace {

constexpr std::size_t kLongest = 64;
constexpr std::size_t kShortestBegin = 2;
constexpr std::size_t kMostChanges = 3;

/// The optimal string alignment distance.
std::size_t distance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> before;  // of the row two above
  std::vector<std::size_t> above(to.size() + 1);
  for (std::size_t j = 0; j <= to.size(); ++j) above[j] = j;
  for (std::size_t i = 1; i <= from.size(); ++i) {
    std::vector<std::size_t> row(to.size() + 1, i);
    for (std::size_t j = 1; j <= to.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (from[i - 1] == to[j - 1] ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = std::exchange(above, std::move(row));
  }
  return above[to.size()];
}

}  // namespace

std::optional<std::string> closest(std::string_view word, const std::vector<std::string>& known) {
  if (word.empty() || word.size() > kLongest) return std::nullopt;
  std::optional<std::string> best;
  std::size_t least = std::clamp<std::size_t>(word.size() / 3, 1, kMostChanges) + 1;
  std::optional<std::string> begun;
  std::size_t begins = 0;
  for (const std::string& each : known) {
    if (each == word) return std::nullopt;
    if (each.size() > kLongest) continue;
    if (word.size() >= kShortestBegin && each.starts_with(word) && ++begins == 1) begun = each;
    const std::size_t changes = distance(word, each);
    const bool begins_so = each.starts_with(word) && best && !best->starts_with(word);
    if (changes < least || (changes == least && begins_so)) {
      least = changes;
      best = each;
    }
  }
  return begins == 1 ? begun : best;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& known) {
  const auto meant = closest(word, known);
  return meant ? "; did you mean '" + *meant + "'?" : std::string();
}

}  // namespace capf::client
