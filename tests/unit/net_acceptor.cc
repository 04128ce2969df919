#include <future>
#include <vector>

#include <catch2/catch.hpp>

#include "capf/net/acceptor.h"
#include "capf/net/threads.h"

using namespace capf;
using namespace capf::net;
using namespace std::chrono_literals;

namespace {

constexpr ConnectionLimits kRoomy{9, 9, 9, 9, 1h, 1h};

/// An acceptor, and what it has handed on.
struct Port {
  explicit Port(const ConnectionLimits& limits, std::vector<std::string> addresses = {"127.0.0.1:0"})
      : connections(limits),
        acceptor(Acceptor::listen(threads.context(), {.addresses = std::move(addresses)}, connections).value()) {}
  ~Port() {
    acceptor->close();
    threads.stop();
  }

  void open() {
    acceptor->open([this] { return threads.context().get_executor(); },
                   [this](tcp::socket socket, Connections::Place place, const Endpoint& peer) {
                     if (throws) throw std::runtime_error("no memory");
                     taken.emplace_back(std::move(socket), std::move(place));
                     came.set_value(peer);
                   },
                   [this] { refused.set_value(); });
  }
  tcp::socket connect(const std::string& to = "127.0.0.1") {
    tcp::socket socket(client);
    socket.connect({asio::ip::make_address(to), static_cast<std::uint16_t>(acceptor->port())});
    return socket;
  }

  Connections connections;
  IoThreads threads{1};
  asio::io_context client;
  std::unique_ptr<Acceptor> acceptor;
  std::vector<std::pair<tcp::socket, Connections::Place>> taken;
  std::promise<Endpoint> came;
  std::promise<void> refused;
  std::atomic<bool> throws = false;
};

bool is_closed(tcp::socket& socket) {
  char octet = 0;
  error_code error;
  asio::read(socket, asio::buffer(&octet, 1), error);
  return static_cast<bool>(error);
}

}  // namespace

TEST_CASE("connections wait until the port is open, and are handed on with where they come from") {
  Port port(kRoomy);
  const tcp::socket early = port.connect();
  CHECK(port.connections.counts().came == 0);
  port.open();
  const Endpoint peer = port.came.get_future().get();
  CHECK(peer.to_string() == "127.0.0.1:" + std::to_string(early.local_endpoint().port()));
  CHECK(port.connections.counts().all == 1);
}

TEST_CASE("a connection without a place is closed and told of") {
  Port port({1, 1, 1, 1, 1h, 1h});
  port.open();
  tcp::socket first = port.connect();
  port.came.get_future().get();
  tcp::socket second = port.connect();
  CHECK(is_closed(second));
  port.refused.get_future().get();
}

TEST_CASE("what the taker throws costs its connection and nothing else") {
  Port port(kRoomy);
  port.throws = true;
  port.open();
  tcp::socket first = port.connect();
  CHECK(is_closed(first));
  CHECK(port.connections.wait_until_empty(10s));
  port.throws = false;
  tcp::socket second = port.connect();
  port.came.get_future().get();
}

TEST_CASE("strangers who stay for too long are cut off") {
  Port port({1, 1, 1, 1, 1h, 10ms});
  std::promise<void> cut;
  port.acceptor->open([&] { return port.threads.context().get_executor(); },
                      [&](tcp::socket socket, Connections::Place place, const Endpoint&) {
                        place.on_cut([&] { cut.set_value(); });
                        port.taken.emplace_back(std::move(socket), std::move(place));
                      });
  const tcp::socket stranger = port.connect();
  CHECK(cut.get_future().wait_for(10s) == std::future_status::ready);
}

TEST_CASE("a closed port takes nobody, and port 0 is the same for every address") {
  Port port(kRoomy, {"127.0.0.1:0", "127.0.0.2:0"});
  CHECK(port.acceptor->addresses().at(1) == "127.0.0.2:" + std::to_string(port.acceptor->port()));
  port.open();
  const tcp::socket second = port.connect("127.0.0.2");
  CHECK(port.came.get_future().get().address.to_string() == "127.0.0.1");
  port.acceptor->close();
  CHECK_THROWS(port.connect());
  CHECK_THROWS(port.connect("127.0.0.2"));
}
