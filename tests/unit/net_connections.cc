#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "capf/base/endpoint.h"
#include "capf/net/connections.h"

using namespace capf;
using namespace capf::net;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kNever{1 << 30};

Endpoint peer(const std::string& text) { return Endpoint::parse(text).value(); }

/// Connections, and which of them were cut off, by their ports.
struct Hall {
  explicit Hall(const ConnectionLimits& limits) : connections(limits) {}

  std::optional<Connections::Place> enter(const std::string& from) {
    auto place = connections.enter(peer(from).address, now);
    if (place) place->on_cut([this, port = peer(from).port] { cut.push_back(port); });
    return place;
  }

  Connections connections;
  Connections::Moment now{};
  std::vector<std::uint16_t> cut;
};

}  // namespace

TEST_CASE("a connection above a limit has no place, until another one goes") {
  Hall hall({3, 3, 2, 2, kNever, kNever});
  const auto first = hall.enter("192.0.2.1:1");
  {
    const auto second = hall.enter("192.0.2.2:2");
    REQUIRE((first && second));
    CHECK_FALSE(hall.enter("192.0.2.3:3"));
  }
  CHECK(hall.enter("192.0.2.3:3"));
  CHECK(hall.cut.empty());
}

TEST_CASE("strangers of one address leave room for those of others") {
  Hall hall({9, 9, 9, 1, kNever, kNever});
  const auto first = hall.enter("192.0.2.1:1");
  CHECK_FALSE(hall.enter("192.0.2.1:2"));
  CHECK(hall.enter("192.0.2.2:1"));
  const auto sixth = hall.enter("[2001:db8::1]:1");
  CHECK_FALSE(hall.enter("[2001:db8::2]:1"));  // of the same /64
}

TEST_CASE("who has proven who they are takes no place of strangers, but one of all") {
  Hall hall({2, 2, 1, 1, kNever, kNever});
  auto first = hall.enter("192.0.2.1:1");
  CHECK_FALSE(hall.enter("192.0.2.1:2"));
  first->prove();
  first->prove();
  auto second = hall.enter("192.0.2.1:2");
  REQUIRE(second);
  second->prove();
  CHECK_FALSE(hall.enter("192.0.2.1:3"));
}

TEST_CASE("a stranger gives way too where all places are taken, and nobody else does") {
  Hall hall({2, 2, 2, 2, milliseconds{50}, kNever});
  auto known = hall.enter("192.0.2.1:1");
  known->prove();
  const auto stranger = hall.enter("192.0.2.2:2");
  hall.now += milliseconds{50};
  auto next = hall.enter("192.0.2.3:3");
  REQUIRE(next);
  CHECK(hall.cut == std::vector<std::uint16_t>{2});
  next->prove();
  hall.now += milliseconds{50};
  CHECK_FALSE(hall.enter("192.0.2.4:4"));
}

TEST_CASE("the oldest stranger gives way after a while, of the neighbours where those are too many") {
  Hall hall({9, 9, 3, 2, milliseconds{50}, kNever});
  auto first = hall.enter("192.0.2.1:1");
  const auto second = hall.enter("192.0.2.2:2");
  const auto third = hall.enter("192.0.2.2:3");
  CHECK_FALSE(hall.enter("192.0.2.2:4"));
  hall.now += milliseconds{50};
  const auto fourth = hall.enter("192.0.2.2:4");
  REQUIRE(fourth);
  CHECK(hall.cut == std::vector<std::uint16_t>{2});
  const auto fifth = hall.enter("192.0.2.3:5");
  REQUIRE(fifth);
  CHECK(hall.cut == std::vector<std::uint16_t>{2, 1});
  first.reset();  // not counted any more
  CHECK(hall.enter("192.0.2.2:6"));
  CHECK(hall.cut == std::vector<std::uint16_t>{2, 1, 3});
}

TEST_CASE("strangers are cut off in the end, once, and nobody else") {
  Hall hall({9, 9, 9, 9, kNever, milliseconds{50}});
  auto known = hall.enter("192.0.2.1:1");
  const auto stranger = hall.enter("192.0.2.1:2");
  known->prove();
  hall.now += milliseconds{49};
  hall.connections.cut_overdue(hall.now);
  CHECK(hall.cut.empty());
  hall.now += milliseconds{1};
  const auto young = hall.enter("192.0.2.1:3");
  hall.connections.cut_overdue(hall.now);
  hall.connections.cut_overdue(hall.now);
  CHECK(hall.cut == std::vector<std::uint16_t>{2});
}

TEST_CASE("one address has its share of all places, and its own strangers give way in it") {
  Hall hall({9, 2, 9, 9, milliseconds{50}, kNever});
  auto known = hall.enter("192.0.2.1:1");
  const auto stranger = hall.enter("192.0.2.1:2");
  const auto other = hall.enter("192.0.2.2:3");
  known->prove();
  CHECK_FALSE(hall.enter("192.0.2.1:4"));
  hall.now += milliseconds{50};
  auto fourth = hall.enter("192.0.2.1:4");
  REQUIRE(fourth);
  CHECK(hall.cut == std::vector<std::uint16_t>{2});
  fourth->prove();
  hall.now += milliseconds{50};
  CHECK_FALSE(hall.enter("192.0.2.1:5"));
  known.reset();
  CHECK(hall.enter("192.0.2.1:5"));
}

TEST_CASE("a place that lapses is the youngest stranger's") {
  Hall hall({2, 2, 2, 2, milliseconds{0}, kNever});
  auto first = hall.enter("192.0.2.1:1");
  first->prove();
  const auto second = hall.enter("192.0.2.1:2");
  CHECK(hall.connections.counts().strangers == 1);
  first->lapse(hall.now);
  first->lapse(hall.now);
  CHECK(hall.connections.counts().strangers == 2);
  const auto third = hall.enter("192.0.2.1:3");
  const auto fourth = hall.enter("192.0.2.1:4");
  CHECK(hall.cut == std::vector<std::uint16_t>{2, 1});
  first->prove();  // too late
  first->lapse(hall.now);
  CHECK(hall.connections.counts().all == 2);
}

TEST_CASE("a place that was cut before anybody could say how is cut then") {
  Connections connections({1, 1, 1, 1, milliseconds{0}, kNever});
  auto first = connections.enter(peer("192.0.2.1:1").address, {});
  const auto second = connections.enter(peer("192.0.2.1:1").address, {});
  REQUIRE((first && second));
  int cuts = 0;
  first->on_cut([&] { ++cuts; });
  CHECK(cuts == 1);
  const ConnectionCounts counts = connections.counts();
  CHECK((counts.all == 1 && counts.came == 2 && counts.refused == 0 && counts.cut == 1));
}

TEST_CASE("nobody is left when those who were cut have gone too") {
  Connections connections({1, 1, 1, 1, milliseconds{0}, kNever});
  auto first = connections.enter(peer("192.0.2.1:1").address, {});
  auto second = connections.enter(peer("192.0.2.1:1").address, {});
  second.reset();
  CHECK_FALSE(connections.wait_until_empty(milliseconds{1}));
  first.reset();
  CHECK(connections.wait_until_empty(milliseconds{0}));
}
