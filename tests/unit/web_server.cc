#include <future>
#include <string>

#include <catch2/catch.hpp>

#include "capf/net/asio.h"
#include "capf/web/server.h"
#include "capf/web/status.h"

using namespace capf;
using namespace capf::web;

namespace {

namespace asio = capf::net::asio;

/// Sends the text as it is and reads until the server closes.
std::string talk(int port, const std::string& text) {
  asio::io_context context;
  asio::ip::tcp::socket socket(context);
  socket.connect({asio::ip::make_address("127.0.0.1"), static_cast<std::uint16_t>(port)});
  boost::system::error_code error;
  asio::write(socket, asio::buffer(text), error);
  std::string answer;
  asio::read(socket, asio::dynamic_buffer(answer), error);
  return answer;
}

std::string get(int port, const std::string& path) {
  return talk(port, "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
}

bool has_status(const std::string& answer, int status) {
  return answer.starts_with("HTTP/1.1 " + std::to_string(status) + " ");
}

ServerSettings settings() { return {.addresses = {"127.0.0.1:0"}, .threads = 1}; }

struct Site {
  Metrics metrics;
  Status ready;
  std::unique_ptr<Server> server = Server::start(settings(), status_route(metrics, [this] { return ready; })).value();
  int port() const { return server->port(); }
};

}  // namespace

TEST_CASE("metrics, liveness and readiness are served") {
  Site site;
  CHECK(site.server->addresses().front() == "127.0.0.1:" + std::to_string(site.port()));
  const std::string metrics = get(site.port(), "/metrics");
  CHECK(has_status(metrics, 200));
  CHECK(metrics.find("text/plain; version=0.0.4") != std::string::npos);
  CHECK(metrics.find("capf_build_info") != std::string::npos);
  CHECK(has_status(get(site.port(), "/livez"), 200));
  CHECK(has_status(get(site.port(), "/readyz?verbose"), 200));
  site.ready = fail(Reason::kDatabaseUnavailable);
  const std::string answer = get(site.port(), "/readyz");
  CHECK(has_status(answer, 503));
  CHECK(answer.find("DATABASE_UNAVAILABLE") != std::string::npos);
  CHECK(has_status(get(site.port(), "/livez"), 200));
}

TEST_CASE("what is not there, not allowed or not HTTP gets the status that says so") {
  Site site;
  CHECK(has_status(get(site.port(), "/"), 404));
  CHECK(has_status(get(site.port(), "/metrics/"), 404));
  CHECK(has_status(get(site.port(), "/%6detrics"), 404));
  CHECK(has_status(get(site.port(), "metrics"), 400));
  CHECK(has_status(get(site.port(), "/" + std::string(3000, 'a')), 414));
  const std::string deleted = talk(site.port(), "DELETE /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  CHECK(has_status(deleted, 405));
  CHECK(deleted.find("Allow: GET, HEAD") != std::string::npos);
  CHECK(has_status(talk(site.port(), "nonsense\r\n\r\n"), 400));
  CHECK(has_status(talk(site.port(), "GET /metrics HTTP/3.7\r\n\r\n"), 505));
}

TEST_CASE("a target may name the server, as a proxy's does") {
  Site site;
  const std::string host = "HTTP://127.0.0.1:" + std::to_string(site.port());
  CHECK(has_status(get(site.port(), host + "/livez"), 200));
  CHECK(has_status(get(site.port(), host + "/readyz?verbose"), 200));
  CHECK(has_status(get(site.port(), host), 404));
  CHECK(has_status(get(site.port(), "ftp://127.0.0.1/livez"), 400));
}

TEST_CASE("whoever waits for it is told to go on before the content is read") {
  ServerSettings with_body = settings();
  with_body.largest_body = 100;
  const auto server = Server::start(with_body, [](const Request& request) {
                        return text_response(200, "got " + std::to_string(request.body.size()));
                      }).value();
  asio::io_context context;
  asio::ip::tcp::socket socket(context);
  socket.connect({asio::ip::make_address("127.0.0.1"), static_cast<std::uint16_t>(server->port())});
  const auto head = [](int size) {
    return "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nConnection: close\r\nContent-Length: " +
           std::to_string(size) + "\r\n\r\n";
  };
  asio::write(socket, asio::buffer(head(5)));
  std::string answer(25, ' ');
  asio::read(socket, asio::buffer(answer));
  CHECK(answer == "HTTP/1.1 100 Continue\r\n\r\n");
  asio::write(socket, asio::buffer(std::string("hello")));
  boost::system::error_code error;
  answer.clear();
  asio::read(socket, asio::dynamic_buffer(answer), error);
  CHECK(has_status(answer, 200));
  CHECK(answer.find("got 5") != std::string::npos);
  CHECK(has_status(talk(server->port(), head(101)), 413));  // before it has sent any of it
}

TEST_CASE("requests have their limits") {
  Site site;
  CHECK(has_status(talk(site.port(), "GET /livez HTTP/1.1\r\nX: " + std::string(9000, 'a') + "\r\n\r\n"), 431));
  CHECK(has_status(talk(site.port(), "POST /livez HTTP/1.1\r\nContent-Length: 10\r\n\r\n0123456789"), 413));
  CHECK(has_status(talk(site.port(), "GET /livez HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n"), 413));
}

TEST_CASE("a connection is used again, and HEAD has no body") {
  Site site;
  const std::string answer =
      talk(site.port(),
           "HEAD /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  CHECK(has_status(answer, 200));
  const std::size_t second = answer.find("\r\n\r\nHTTP/1.1 200 ");
  CHECK(second != std::string::npos);
  CHECK(answer.ends_with("\r\n\r\nok\n"));
}

TEST_CASE("a connection above the limit is closed at once") {
  Metrics metrics;
  auto limited = settings();
  limited.connections = 0;
  const auto server = Server::start(limited, status_route(metrics, [] { return Status(); })).value();
  CHECK(get(server->port(), "/livez").empty());
}

TEST_CASE("where there is no room the connection closes that has been idle for longest, and none that is answered") {
  std::promise<Reply> asked;
  auto two = settings();
  two.connections = 2;
  const auto server = Server::start_later(two, [&](const Request& request, Reply reply) {
                        if (request.path != "/slow") return reply(text_response(200, "ok"));
                        asked.set_value(std::move(reply));
                      }).value();
  asio::io_context context;
  const auto connect = [&] {
    asio::ip::tcp::socket socket(context);
    socket.connect({asio::ip::make_address("127.0.0.1"), static_cast<std::uint16_t>(server->port())});
    return socket;
  };
  const auto ask = [](asio::ip::tcp::socket& socket, const std::string& path) {
    asio::write(socket, asio::buffer("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"));
  };
  const auto hear = [](asio::ip::tcp::socket& socket) {
    std::string answer;
    boost::system::error_code error;
    while (!error && !answer.ends_with("ok\n")) {
      char octet = 0;
      asio::read(socket, asio::buffer(&octet, 1), error);
      if (!error) answer += octet;
    }
    return answer;
  };
  auto slow = connect();
  ask(slow, "/slow");
  const Reply reply = asked.get_future().get();
  auto used = connect();
  ask(used, "/");
  CHECK(has_status(hear(used), 200));
  auto idle = connect();
  CHECK(hear(used).empty());
  CHECK(has_status(get(server->port(), "/"), 200));
  CHECK(hear(idle).empty());
  reply(text_response(200, "ok"));
  CHECK(has_status(hear(slow), 200));
}

TEST_CASE("a large answer that is taken too slowly ends, so that nobody keeps a place with it") {
  class Endless final : public Source {
   public:
    std::uint64_t size() const override { return std::uint64_t{1} << 50; }
    Result<std::size_t> read(std::uint64_t, std::span<std::uint8_t> into) const override { return into.size(); }
  };
  auto hasty = settings();
  hasty.timeout = std::chrono::milliseconds{300};
  hasty.slowest = std::uint64_t{1} << 45;  // no loopback is as fast
  const auto server = Server::start(hasty, [](const Request&) {
                        Response response;
                        response.source = std::make_shared<Endless>();
                        return response;
                      }).value();
  asio::io_context context;
  asio::ip::tcp::socket socket(context);
  socket.connect({asio::ip::make_address("127.0.0.1"), static_cast<std::uint16_t>(server->port())});
  asio::write(socket, asio::buffer(std::string("GET / HTTP/1.1\r\nHost: x\r\n\r\n")));
  std::vector<char> some(1 << 20);
  boost::system::error_code error;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{30};
  while (!error && std::chrono::steady_clock::now() < end) socket.read_some(asio::buffer(some), error);
  CHECK(error);
}

TEST_CASE("without TLS nothing is served beyond loopback") {
  Metrics metrics;
  auto open = settings();
  open.addresses = {"0.0.0.0:0"};
  const auto server = Server::start(open, status_route(metrics, [] { return Status(); }));
  REQUIRE_FALSE(server);
  CHECK(server.error().reason == Reason::kInvalidConfiguration);
}

TEST_CASE("a route that throws answers 500 and says no more") {
  const auto server = Server::start(settings(), [](const Request&) -> Response {
                        throw std::runtime_error("password=hunter2");
                      }).value();
  const std::string answer = get(server->port(), "/");
  CHECK(has_status(answer, 500));
  CHECK(answer.find("hunter2") == std::string::npos);
}
