#include <array>
#include <thread>

#include <catch2/catch.hpp>

#include "capf/net/asio.h"
#include "capf/phone/servers.h"

using namespace capf;
using namespace capf::phone;
namespace asio = net::asio;

namespace {

/// A server that takes one connection, hears one request and says what a test has for it.
class Once {
 public:
  explicit Once(std::string says) : says_(std::move(says)) {
    thread_ = std::thread([this] {
      net::error_code error;
      net::tcp::socket socket(context_);
      acceptor_.accept(socket, error);
      std::array<char, 4096> piece{};
      do {
        const std::size_t count = socket.read_some(asio::buffer(piece), error);
        heard_.append(piece.data(), count);
      } while (!error && heard_.starts_with("GET") && heard_.find("\r\n\r\n") == std::string::npos);
      asio::write(socket, asio::buffer(says_), error);
    });
  }
  ~Once() { thread_.join(); }
  Once(const Once&) = delete;
  Once& operator=(const Once&) = delete;

  std::string address() const { return "127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()); }
  /// The request that it has heard, once it has answered.
  std::string heard() {
    thread_.join();
    thread_ = std::thread([] {});
    return heard_;
  }

 private:
  std::string says_;
  std::string heard_;
  asio::io_context context_;
  net::tcp::acceptor acceptor_{context_, {asio::ip::address_v4::loopback(), 0}};
  std::thread thread_;
};

Result<std::optional<Bytes>> fetch(const std::string& says, std::size_t limit = 100) {
  const Once server(says);
  return NetworkServers({{server.address()}, {}}).fetch("ITLFile.tlv", limit);
}

std::string body_of(const Result<std::optional<Bytes>>& file) {
  return file && *file ? std::string(as_text(**file)) : "none";
}

std::string reason_of(const Result<std::optional<Bytes>>& file) {
  return file ? "" : std::string(to_string(file.error().reason));
}

}  // namespace

TEST_CASE("a phone fetches a file by HTTP") {
  Once other("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nvalue");
  CHECK(body_of(NetworkServers({{other.address()}, {}}).fetch("x/y.xml", 5)) == "value");
  CHECK(other.heard().starts_with("GET /x/y.xml HTTP/1.1\r\nHost: 127.0.0.1:"));
  CHECK(body_of(fetch("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")) == "abc");
  CHECK(body_of(fetch("HTTP/1.0 200 OK\r\n\r\nto the end")) == "to the end");
  CHECK(body_of(fetch("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")).empty());
  CHECK(body_of(fetch("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno!")) == "none");
}

TEST_CASE("a server that means harm costs a phone no more than the limit") {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  CHECK(reason_of(fetch(ok + "Content-Length: 101\r\n\r\n")) == "FILE_MALFORMED");
  CHECK(reason_of(fetch(ok + "\r\n" + std::string(1000, 'x'))) == "FILE_MALFORMED");
  CHECK(reason_of(fetch(ok + "Transfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n" + std::string(1000, 'x'))) ==
        "FILE_MALFORMED");
  CHECK(reason_of(fetch(ok + "X: " + std::string(100'000, 'x') + "\r\n\r\n")) == "SERVER_NOT_REACHED");
  CHECK(reason_of(fetch(ok + "Content-Length: 5\r\n\r\nabc")) == "SERVER_NOT_REACHED");
  CHECK(reason_of(fetch(ok + "Content-Length: -1\r\n\r\nabc")) == "SERVER_NOT_REACHED");
  CHECK(reason_of(fetch("no HTTP\r\n\r\n")) == "SERVER_NOT_REACHED");
  CHECK(reason_of(fetch("")) == "SERVER_NOT_REACHED");
  CHECK(reason_of(fetch("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n")) ==
        "SERVER_NOT_REACHED");
  CHECK(reason_of(fetch("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")) == "SERVER_NOT_REACHED");
}

TEST_CASE("a phone does not keep a line that has no end") {
  const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string long_text(100'000, 'x');
  for (const std::string& line : {"5;" + long_text, "3\r\nabc\r\n5;" + long_text, "0\r\nX: " + long_text}) {
    const auto file = fetch(chunked + line);
    REQUIRE_FALSE(file);
    CHECK(file.error().reason == Reason::kServerNotReached);
    CHECK_THAT(file.error().message, Catch::Contains("does not end"));
  }
}

TEST_CASE("a phone tries the next server where one is away") {
  const Once server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  CHECK(body_of(NetworkServers({{"127.0.0.1:1", server.address()}, {}}).fetch("x", 5)) == "ok");
  CHECK(reason_of(NetworkServers({{"127.0.0.1:1"}, {}}).fetch("x", 5)) == "SERVER_NOT_REACHED");
  CHECK(reason_of(NetworkServers({{}, {}}).fetch("x", 5)) == "SERVER_NOT_REACHED");
}

TEST_CASE("a phone sends nothing to a server without TLS where it wants TLS") {
  Once server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n\r\n");
  const auto nobody = [](const Certificate&) { return Status(); };
  CHECK(NetworkServers({{}, {server.address()}}).has_https());
  CHECK(reason_of(NetworkServers({{}, {server.address()}}).fetch_secure("secret.xml", 5, nobody)) ==
        "SERVER_NOT_REACHED");
  CHECK(server.heard().find("secret.xml") == std::string::npos);
}
