#include <algorithm>
#include <span>

#include <catch2/catch.hpp>

#include "capf/base/wiped.h"

using namespace capf;

TEST_CASE("the octets behind those that are removed move up, and no copy stays where they were") {
  WipedBytes octets{1, 2, 3, 4, 5};
  remove_front(octets, 0);
  CHECK(octets == WipedBytes{1, 2, 3, 4, 5});
  const std::span<const std::uint8_t> places(octets.data(), octets.size());
  remove_front(octets, 2);
  CHECK(octets == WipedBytes{3, 4, 5});
  CHECK(std::ranges::count(places, 0) == 2);
  remove_front(octets, 3);
  CHECK(octets.empty());
  CHECK(std::ranges::count(places, 0) == 5);
}
