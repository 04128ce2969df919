#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace capf::client {

/// The word of `known` that was probably meant: the only one that begins so, or else the one with the fewest letters
/// changed, added, left out or swapped, up to a third of them and to three. Nothing where `word` is known, or longer
/// than 64 octets.
std::optional<std::string> closest(std::string_view word, const std::vector<std::string>& known);

/// "; did you mean 'list'?", or nothing.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& known);

}  // namespace capf::client
