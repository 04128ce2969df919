#pragma once

#include <string>

#include <catch2/catch_all.hpp>

// Catch2 3, of Debian 13, under the header and the names of Catch2 2, of Debian 12. This folder is on the path of the
// tests only where Catch2 is version 3.

namespace Catch {

using Matchers::EndsWith;
using Matchers::Equals;
using Matchers::Matches;
using Matchers::StartsWith;
using Matchers::UnorderedEquals;

inline auto Contains(const std::string& text) { return Matchers::ContainsSubstring(text); }

}  // namespace Catch
