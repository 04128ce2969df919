#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "capf/net/places.h"

using namespace capf;
using namespace capf::net;
using namespace std::chrono_literals;

namespace {

/// One place, and its takers by name: each keeps it for a turn of the loop.
struct Room {
  Places places{1};
  asio::io_context context{1};
  std::vector<std::string> order;

  void come(std::string block, std::string name, std::chrono::milliseconds patience = 10s) {
    asio::co_spawn(context, take(std::move(block), std::move(name), patience), asio::detached);
  }

 private:
  asio::awaitable<void> take(std::string block, std::string name, std::chrono::milliseconds patience) {
    if (!co_await places.take(context.get_executor(), block, asio::steady_timer::clock_type::now() + patience)) {
      order.push_back("no " + name);
      co_return;
    }
    order.push_back(name);
    asio::steady_timer timer(context, 5ms);
    co_await timer.async_wait(asio::use_awaitable);
    places.give();
  }
};

using Order = std::vector<std::string>;

}  // namespace

TEST_CASE("places are handed out by address in turn, and to those of one address in their order") {
  Room room;
  for (const char* name : {"a1", "a2", "a3", "a4"}) room.come("a", name);
  for (const char* name : {"b1", "b2"}) room.come("b", name);
  room.come("c", "c1");
  room.context.run();
  CHECK(room.order == Order{"a1", "a2", "b1", "c1", "a3", "b2", "a4"});
}

TEST_CASE("who comes late waits for one place of each other address, however many they are there") {
  Room room;
  for (int i = 0; i < 20; ++i) room.come("a", "a");
  asio::steady_timer timer(room.context, 18ms);
  timer.async_wait([&](const net::error_code&) { room.come("b", "b"); });
  room.context.run();
  REQUIRE(room.order.size() == 21);
  const auto come = std::find(room.order.begin(), room.order.end(), "b") - room.order.begin();
  CHECK(come < 15);  // 18 ms are three places, or more where the machine does much else
}

TEST_CASE("who waits for too long leaves the line, and others of that address get their turn") {
  Room room;
  room.come("a", "a1");
  room.come("b", "b1", 1ms);
  room.come("c", "c1", 1ms);
  room.come("c", "c2");
  room.context.run();
  CHECK(room.order.at(0) == "a1");
  CHECK(room.order.at(3) == "c2");
  CHECK(std::count(room.order.begin(), room.order.end(), "no b1") == 1);
  CHECK(std::count(room.order.begin(), room.order.end(), "no c1") == 1);
  room.order.clear();
  room.context.restart();
  room.come("b", "b2");
  room.context.run();
  CHECK(room.order == Order{"b2"});  // the place was given back
}

TEST_CASE("nobody gets a place of a closed room") {
  Room room;
  room.come("a", "a1");
  room.come("b", "b1");
  asio::post(room.context, [&] { room.places.close(); });
  room.context.run();
  room.context.restart();
  room.come("c", "c1");
  room.context.run();
  CHECK(room.order == Order{"a1", "no b1", "no c1"});
}
