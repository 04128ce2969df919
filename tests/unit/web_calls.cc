#include <algorithm>
#include <future>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "capf/web/calls.h"

using namespace capf;
using namespace capf::web;

namespace {

/// A desk whose answers say who asked what.
struct Desk {
  explicit Desk(const CallDesk::Limits& limits = {}) : desk({classify(), recognise(), metrics}, limits) {}

  static std::function<Result<std::string>(const Actor&, const CallQuestion&)> classify() {
    return [](const Actor& actor, const CallQuestion& question) -> Result<std::string> {
      if (question.device == "broken") throw std::runtime_error("no memory left");
      if (question.device == "bad") return fail(Reason::kInvalidDeviceName, "\"bad\"\n\xff");
      if (question.device == "away") return fail(Reason::kDatabaseUnavailable);
      return "{\"" + actor.name + "\": \"" + question.device + question.json + "\"}";
    };
  }
  static std::function<Result<Actor>(const Sha256&, const Address&)> recognise() {
    return [](const Sha256& certificate, const Address& peer) -> Result<Actor> {
      if (certificate != Sha256{}) return fail(Reason::kAdministratorUnknown);
      return Actor{ActorKind::kAdministrator, "pbx", peer.to_string()};
    };
  }

  Response ask(Request request, const char* peer = "127.0.0.1") {
    request.peer = Address::parse(peer).value();
    std::promise<Response> answer;
    desk.route()(request, [&](Response response) { answer.set_value(std::move(response)); });
    return answer.get_future().get();
  }
  Response get(const std::string& query) { return ask({.method = "GET", .path = "/call-status", .query = query}); }

  Metrics metrics;
  CallDesk desk;
};

Request post(const std::string& json) {
  return {
      .method = "POST", .path = "/call-status", .content_type = "application/json", .body = {json.begin(), json.end()}};
}

}  // namespace

TEST_CASE("a dial plan asks of a device by GET, and of a call by POST") {
  Desk desk;
  const Response answer = desk.get("device=SEP1");
  CHECK(answer.status == 200);
  CHECK(answer.content_type == "application/json");
  CHECK(answer.body == "{\"call-status\": \"SEP1\"}\n");
  CHECK(desk.get("device=%53%45P1").body == "{\"call-status\": \"SEP1\"}\n");
  CHECK(desk.ask(post("[]")).body == "{\"call-status\": \"[]\"}\n");
  CHECK(desk.metrics.text().find("capf_requests_total{method=\"http/call-status\",outcome=\"OK\"} 3") !=
        std::string::npos);
}

TEST_CASE("what is no question is refused in JSON, before anybody is asked") {
  Desk desk;
  for (const char* query :
       {"", "device=", "device", "x=SEP1", "device=a&device=b", "device=%", "device=%5", "device=%5g"}) {
    CAPTURE(query);
    CHECK(desk.get(query).status == 400);
  }
  CHECK(desk.ask({.method = "GET", .path = "/"}).status == 404);
  const Response deleted = desk.ask({.method = "DELETE", .path = "/call-status"});
  CHECK(deleted.status == 405);
  CHECK(std::ranges::count(deleted.headers, std::pair<std::string, std::string>("Allow", "GET, HEAD, POST")) == 1);
  Request plain = post("{}");
  plain.content_type = "text/plain";  // as a page of the web could send it
  CHECK(desk.ask(plain).status == 415);
  plain.content_type = "";
  CHECK(desk.ask(plain).status == 415);
  plain.content_type = "application/json; charset=utf-8";
  CHECK(desk.ask(plain).status == 200);
  plain.query = "device=SEP1";
  CHECK(desk.ask(plain).status == 400);
}

TEST_CASE("an error has its status, and its words are JSON whatever is in them") {
  Desk desk;
  const Response bad = desk.get("device=bad");
  CHECK(bad.status == 400);
  CHECK(bad.body == "{\"reason\": \"INVALID_DEVICE_NAME\", \"message\": \"\\\"bad\\\"\uFFFD\uFFFD\"}\n");
  CHECK(desk.get("device=away").status == 503);
  const Response broken = desk.get("device=broken");
  CHECK(broken.status == 500);
  CHECK(broken.body.find("memory") == std::string::npos);
}

TEST_CASE("a client certificate is judged for each question, and nobody beyond this machine goes without one") {
  Desk desk;
  CHECK(desk.ask(post("{}"), "::1").status == 200);
  CHECK(desk.ask(post("{}"), "192.0.2.1").body.find("CLIENT_CERTIFICATE_REQUIRED") != std::string::npos);
  Request request = post("{}");
  request.certificate = Sha256{};
  CHECK(desk.ask(request).body == "{\"pbx\": \"{}\"}\n");
  request.certificate->front() = 1;
  const Response refused = desk.ask(request);
  CHECK(refused.status == 401);
  CHECK(refused.body.find("ADMINISTRATOR_UNKNOWN") != std::string::npos);
}

TEST_CASE("more questions than may wait are refused at once, and those that wait are answered before the end") {
  Metrics metrics;
  std::promise<void> open;
  const std::shared_future<void> gate = open.get_future().share();
  std::mutex mutex;
  std::vector<int> statuses;
  CallDesk desk({[&](const Actor&, const CallQuestion&) -> Result<std::string> {
                   gate.wait();
                   return std::string("{}");
                 },
                 Desk::recognise(), metrics},
                {.threads = 1, .waiting = 2});
  const auto note = [&](const Response& response) {
    const std::lock_guard lock(mutex);
    statuses.push_back(response.status);
  };
  Request request = post("{}");
  request.peer = Address::parse("127.0.0.1").value();
  for (int i = 0; i < 4; ++i) desk.route()(request, note);
  {
    const std::lock_guard lock(mutex);
    CHECK(statuses == std::vector{503});
  }
  open.set_value();
  desk.stop();
  CHECK(statuses == std::vector{503, 200, 200, 200});
}
