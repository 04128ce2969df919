#include <catch2/catch.hpp>

#include "capf/net/pace.h"

using capf::net::Pace;
using namespace std::chrono_literals;

TEST_CASE("a burst is spent at once, and what is more than it at the pace") {
  const Pace::Moment start{1h};
  Pace pace(100ms, 20);
  CHECK(pace.ready() <= start);
  pace.spend(100ms, start);
  CHECK(pace.ready() == start);
  pace.spend(10ms, start);
  CHECK(pace.ready() == start + 200ms);
  pace.spend(10ms, start + 200ms);
  CHECK(pace.ready() == start + 400ms);
}

TEST_CASE("time that passes gives no more than the burst back") {
  const Pace::Moment start{1h};
  Pace pace(100ms, 20);
  pace.spend(100ms, start);
  pace.spend(100ms, start + 1h);
  CHECK(pace.ready() == start + 1h);
  pace.spend(1ms, start + 1h);
  CHECK(pace.ready() == start + 1h + 20ms);
}
