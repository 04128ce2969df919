#include <catch2/catch.hpp>

#include "capf/base/endpoint.h"
#include "capf/rpc/limiter.h"
#include "capf/rpc/peer.h"

using namespace capf;
using namespace capf::rpc;

TEST_CASE("a peer's address and port are read from gRPC's text") {
  CHECK(peer_endpoint("ipv4:192.0.2.1:5060")->to_string() == "192.0.2.1:5060");
  CHECK(peer_endpoint("ipv6:%5B2001:db8::1%5D:5060")->to_string() == "[2001:db8::1]:5060");
  CHECK(peer_endpoint("ipv6:[::1]:5060")->to_string() == "[::1]:5060");
  CHECK(peer_endpoint("ipv6:%5Bfe80::1%25eth0%5D:5060")->to_string() == "[fe80::1]:5060");
  CHECK(peer_endpoint("ipv6:%5B::ffff:192.0.2.1%5D:5060")->to_string() == "192.0.2.1:5060");
}

TEST_CASE("what is no IP address is no peer's address") {
  for (const char* text :
       {"", "ipv4:", "ipv4:192.0.2.1", "ipv4:localhost:1", "ipv6:::1:5", "ipv6:%5B::1:5060", "ipv6:%5B::1%5:5060",
        "ipv6:%5B::1%ZZ:5060", "unix:/tmp/socket", "unix-abstract:x:1", "vsock:1:2", "192.0.2.1:5060",
        "ipv4:[::1]:5060", "ipv6:192.0.2.1:5060", "ipv4:192.0.2.1:65536"}) {
    CAPTURE(text);
    CHECK_FALSE(peer_endpoint(text));
  }
}

TEST_CASE("an endpoint is an address with a port") {
  CHECK(Endpoint::parse("127.0.0.1:3805")->to_string() == "127.0.0.1:3805");
  CHECK(Endpoint::parse("[::1]:0")->to_string() == "[::1]:0");
  CHECK(Endpoint::parse("[::]:3805")->is_wildcard());
  CHECK(Endpoint::parse("127.9.9.9:1")->is_loopback());
  CHECK_FALSE(Endpoint::parse("192.0.2.1:1")->is_loopback());
  for (const char* text : {"", ":1", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "::1:80",
                           "[127.0.0.1]:1", "localhost:1", "[::1]", "127.0.0.1:1x", "127.0.0.1:+1"}) {
    CAPTURE(text);
    CHECK(Endpoint::parse(text).error().reason == Reason::kInvalidConfiguration);
  }
}

TEST_CASE("several addresses with port 0 get one port that is free on all of them") {
  const auto endpoints = plan_endpoints({"127.0.0.1:0", "127.0.0.2:0"});
  REQUIRE(endpoints);
  REQUIRE(endpoints->size() == 2);
  CHECK(endpoints->front().port != 0);
  CHECK(endpoints->front().port == endpoints->back().port);
  CHECK_FALSE(plan_endpoints({}));
  CHECK_FALSE(plan_endpoints({"192.0.2.1:0"}));  // a documentation address: nobody's
}

TEST_CASE("so many run, so many wait, and the next is turned away") {
  const auto now = std::chrono::system_clock::now();
  Limiter limiter({.running = 1, .waiting = 0});
  auto first = limiter.enter(now);
  REQUIRE(first);
  CHECK(limiter.running() == 1);
  CHECK_FALSE(limiter.enter(now + std::chrono::hours{1}));  // nobody may wait
  CHECK_FALSE(limiter.try_enter());
  first.reset();
  CHECK(limiter.running() == 0);
  CHECK(limiter.try_enter());

  Limiter shared({.running = 3, .waiting = 0, .each = 2});
  const auto one = shared.enter(now, "192.0.2.7");
  {
    const auto another = shared.enter(now, "192.0.2.7");
    CHECK(another);
    CHECK_FALSE(shared.enter(now, "192.0.2.7"));
    CHECK(shared.enter(now, "192.0.2.8"));
  }
  CHECK(shared.enter(now, "192.0.2.7"));
  Limiter patient({.running = 1, .waiting = 1});
  const auto place = patient.try_enter();
  CHECK_FALSE(patient.enter(now));  // waits, but the deadline has passed
}
