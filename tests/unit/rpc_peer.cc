#include <vector>

#include <catch2/catch.hpp>

#include "capf/base/endpoint.h"
#include "capf/rpc/admission/limiter.h"
#include "capf/rpc/admission/peer.h"

using namespace capf;
using namespace capf::rpc;

namespace {

class Silent final : public Peer {
 public:
  using Peer::Peer;
  void prove() override {}
  void charge(std::chrono::nanoseconds) override {}
  void hold() override {}
  void release() override {}
  void call_started(Gate::CallId) override {}
  void call_ended(Gate::CallId) override {}
};

}  // namespace

TEST_CASE("gRPC's name of a connection leads to who is behind it, as long as the connection is there") {
  Peers peers;
  const std::string name = Peers::new_name();
  CHECK(name.size() == 5 + 32);
  CHECK(Peers::new_name() != name);
  const auto peer = std::make_shared<Silent>(Endpoint::parse("192.0.2.1:5060").value(), std::vector<Bytes>{});
  peers.enter(name, peer);
  CHECK(peers.find("unix-abstract:" + name) == peer);
  for (const std::string& other : std::vector<std::string>{"", name, "unix:" + name, "unix-abstract:" + name + "0",
                                                           "unix-abstract:", "unix:", "ipv4:192.0.2.1:5060"}) {
    CAPTURE(other);
    CHECK_FALSE(peers.find(other));
  }
  peers.leave(name);
  CHECK_FALSE(peers.find("unix-abstract:" + name));
}

TEST_CASE("a client's certificates are its own and three more at most, each once") {
  const Bytes leaf{1};
  CHECK_FALSE(presented_certificate({})->has_value());
  CHECK(presented_certificate({leaf}).value()->leaf == leaf);
  CHECK(presented_certificate({leaf, {2}, leaf, {3}, {4}}).value()->chain == std::vector<Bytes>{{2}, {3}, {4}});
  CHECK(presented_certificate({leaf, {2}, {3}, {4}, {5}}).error().reason == Reason::kCertificateMalformed);
  const Silent stranger(Endpoint::parse("192.0.2.1:5060").value(), {leaf});
  CHECK(stranger.leaf() == sha256(leaf));
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
  CHECK_FALSE(plan_endpoints({"192.0.2.1:0"}));  // a documentation address, of no machine
}

TEST_CASE("so many run, so many wait, and the next is turned away") {
  const auto now = std::chrono::system_clock::now();
  Limiter limiter({.running = 1, .waiting = 0});
  auto first = limiter.enter(now);
  REQUIRE(first);
  CHECK(limiter.running() == 1);
  CHECK_FALSE(limiter.enter(now + std::chrono::hours{1}));  // no caller may wait
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

  Limiter crowded({.running = 128, .waiting = 0, .each = 112});
  std::vector<Limiter::Place> places;
  const auto fill = [&](const std::string& caller) {
    const std::size_t before = places.size();
    while (auto place = crowded.enter(now, caller)) places.push_back(std::move(*place));
    return places.size() - before;
  };
  CHECK(fill("192.0.2.7") == 112);
  CHECK(fill("192.0.2.8") == 14);
  CHECK(fill("192.0.2.9") == 2);

  Limiter patient({.running = 1, .waiting = 1});
  const auto place = patient.try_enter();
  CHECK_FALSE(patient.enter(now));  // waits, but the deadline has passed
}
