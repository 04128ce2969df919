#include <atomic>
#include <future>
#include <thread>
#include <vector>

#include <botan/hex.h>
#include <catch2/catch.hpp>

#include "capf/base/bytes.h"
#include "capf/net/acceptor.h"
#include "capf/net/threads.h"

using namespace capf;
using namespace capf::net;
using namespace std::chrono_literals;

namespace {

constexpr ConnectionLimits kRoomy{9, 9, 9, 9, 1h, 1h};

/// An acceptor, and the connections that it has handed on.
struct Port {
  explicit Port(const ConnectionLimits& limits, std::vector<std::string> addresses = {"127.0.0.1:0"},
                std::vector<Network> proxies = {}, std::chrono::milliseconds header = 10s)
      : connections(limits),
        acceptor(Acceptor::listen(threads.context(),
                                  {.addresses = std::move(addresses), .proxies = std::move(proxies), .header = header},
                                  connections)
                     .value()) {}
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

namespace {

const std::vector<Network> kProxies{*Network::parse("127.0.0.9")};

/// From `source`, of which 127.0.0.9 is a proxy's.
tcp::socket connect_from(Port& port, const std::string& source) {
  tcp::socket socket(port.client);
  socket.open(tcp::v4());
  socket.bind({asio::ip::make_address(source), 0});
  socket.connect({asio::ip::make_address("127.0.0.1"), static_cast<std::uint16_t>(port.acceptor->port())});
  return socket;
}

/// For the client 192.0.2.7:51000 or, where it is LOCAL, for none.
Bytes proxy_header(bool local = false, const std::string& source = "c0000207") {
  return Botan::hex_decode("0d0a0d0a000d0a515549540a" + std::string(local ? "20" : "21") + "11000c" + source +
                           "c6336401c7380edc");
}

void send(tcp::socket& socket, BytesView data) { asio::write(socket, asio::buffer(data.data(), data.size())); }

}  // namespace

TEST_CASE("a trusted proxy says for whom it stands, in whatever pieces, and what follows is the client's") {
  Port port(kRoomy, {"127.0.0.1:0"}, kProxies);
  port.open();
  tcp::socket proxy = connect_from(port, "127.0.0.9");
  const Bytes header = proxy_header();
  for (const std::uint8_t octet : header) {
    send(proxy, {&octet, 1});
    std::this_thread::yield();
  }
  send(proxy, as_bytes("hello"));
  CHECK(port.came.get_future().get().to_string() == "192.0.2.7:51000");
  char data[5];
  asio::read(port.taken.front().first, asio::buffer(data));
  CHECK(std::string(data, 5) == "hello");
  CHECK(port.connections.counts().all == 1);
}

TEST_CASE("a header that stands for nobody is the proxy's own connection, and loopback elsewhere is not ours") {
  Port port(kRoomy, {"127.0.0.1:0"}, kProxies);
  port.open();
  tcp::socket proxy = connect_from(port, "127.0.0.9");
  send(proxy, proxy_header(true));
  CHECK(port.came.get_future().get().address.to_string() == "127.0.0.9");
  // A proxy on this machine may name a client on loopback.
  port.came = {};
  tcp::socket local = connect_from(port, "127.0.0.9");
  send(local, proxy_header(false, "7f000003"));
  CHECK(port.came.get_future().get().address.to_string() == "127.0.0.3");
}

TEST_CASE("a trusted proxy without a header, with half of one, or with another one is closed") {
  Port port(kRoomy, {"127.0.0.1:0"}, kProxies, 300ms);
  port.open();
  tcp::socket silent = connect_from(port, "127.0.0.9");
  tcp::socket half = connect_from(port, "127.0.0.9");
  send(half, BytesView(proxy_header()).first(20));
  tcp::socket first = connect_from(port, "127.0.0.9");
  send(first, as_bytes("PROXY TCP4 192.0.2.7 198.51.100.1 51000 3804\r\n"));
  tcp::socket tls = connect_from(port, "127.0.0.9");
  send(tls, Botan::hex_decode("1603010200010001fc0303"));
  for (tcp::socket* each : {&first, &tls, &silent, &half}) CHECK(is_closed(*each));
  CHECK(port.connections.wait_until_empty(10s));
  CHECK(port.taken.empty());
}

TEST_CASE("whom nobody trusts to speak for others is handed on as they are, with what they say") {
  Port port(kRoomy, {"127.0.0.1:0"}, kProxies);
  port.open();
  tcp::socket stranger = connect_from(port, "127.0.0.8");
  send(stranger, proxy_header());
  CHECK(port.came.get_future().get().address.to_string() == "127.0.0.8");
  char octet = 0;
  asio::read(port.taken.front().first, asio::buffer(&octet, 1));
  CHECK(octet == '\r');  // no TLS: the port ends it
}

TEST_CASE("a place is the proxy's until its header has come, and then the client's") {
  Port port({9, 9, 2, 2, 1h, 1h}, {"127.0.0.1:0"}, kProxies);
  port.open();
  // Two without a header use all places of one address.
  tcp::socket one = connect_from(port, "127.0.0.9");
  tcp::socket two = connect_from(port, "127.0.0.9");
  tcp::socket three = connect_from(port, "127.0.0.9");
  CHECK(is_closed(three));
  port.refused.get_future().get();
  one.close();
  two.close();
  CHECK(port.connections.wait_until_empty(10s));
}

TEST_CASE("a client behind a proxy has the limits of its own address") {
  Port port({9, 1, 9, 9, 1h, 1h}, {"127.0.0.1:0"}, kProxies);
  port.open();
  tcp::socket first = connect_from(port, "127.0.0.9");
  send(first, proxy_header());
  CHECK(port.came.get_future().get().to_string() == "192.0.2.7:51000");
  tcp::socket same = connect_from(port, "127.0.0.9");
  send(same, proxy_header());
  CHECK(is_closed(same));
  port.refused.get_future().get();
  port.came = {};
  tcp::socket other = connect_from(port, "127.0.0.9");
  send(other, proxy_header(false, "c0000208"));
  CHECK(port.came.get_future().get().to_string() == "192.0.2.8:51000");
}

TEST_CASE("a port that closes waits for no header") {
  Port port(kRoomy, {"127.0.0.1:0"}, kProxies, 1h);
  port.open();
  tcp::socket proxy = connect_from(port, "127.0.0.9");
  send(proxy, BytesView(proxy_header()).first(3));
  while (port.connections.counts().all == 0) std::this_thread::yield();
  port.acceptor->close();
  CHECK(is_closed(proxy));
  CHECK(port.connections.wait_until_empty(10s));
}
