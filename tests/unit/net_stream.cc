#include <array>
#include <atomic>
#include <functional>
#include <future>
#include <stdexcept>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <botan/ec_group.h>
#include <botan/ecdsa.h>
#include <botan/system_rng.h>
#include <catch2/catch.hpp>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "capf/base/descriptor.h"
#include "capf/net/stream.h"
#include "capf/net/threads.h"
#include "tests/support/tls_client.h"

// A server's stream over real sockets on loopback; the client is OpenSSL, and blocks.

namespace {

using namespace capf::net;
using namespace std::chrono_literals;
using capf::Bytes;
using capf::Descriptor;
using End = TlsStream::End;
using Clock = asio::steady_timer::clock_type;

const std::shared_ptr<const TlsContext>& tls() {
  static const auto context = [] {
    const Botan::ECDSA_PrivateKey key(Botan::system_rng(), Botan::EC_Group("secp256r1"));
    TlsSettings settings;
    settings.identities.push_back(capf::test::identity_of("server/XX/Site", key));
    return TlsContext::make(settings).value();
  }();
  return context;
}

/// Serves every connection as the test says, on one thread.
class Server {
 public:
  using Talk = std::function<asio::awaitable<void>(std::shared_ptr<TlsStream>)>;

  explicit Server(Talk talk) : talk_(std::move(talk)) { asio::co_spawn(threads_.context(), accept(), asio::detached); }
  ~Server() { threads_.stop(); }

  int port() const { return port_; }
  asio::io_context& context() { return threads_.context(); }

 private:
  asio::awaitable<void> accept() {
    for (;;) {
      auto stream = std::make_shared<TlsStream>(co_await acceptor_.async_accept(asio::use_awaitable), tls()->get());
      asio::co_spawn(threads_.context(), talk_(std::move(stream)), asio::detached);
    }
  }

  const Talk talk_;
  IoThreads threads_{1};
  tcp::acceptor acceptor_{threads_.context(), {asio::ip::address_v4::loopback(), 0}};
  const int port_ = acceptor_.local_endpoint().port();
};

class Client {
 public:
  explicit Client(int port, int version = TLS1_3_VERSION)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), context_(SSL_CTX_new(TLS_client_method())) {
    const timeval patience{10, 0};
    const int on = 1;
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error("cannot connect");  // Catch's own macros are for one thread
    }
    SSL_CTX_set_min_proto_version(context_.get(), version);
    SSL_CTX_set_max_proto_version(context_.get(), version);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), fd_.get());
  }

  /// A handshake whose first message leaves in two parts; the first of `cut` octets.
  bool shake(std::size_t cut, std::chrono::milliseconds pause) {
    BIO* const out = BIO_new(BIO_s_mem());
    SSL_set0_wbio(ssl_.get(), out);
    SSL_set_connect_state(ssl_.get());
    const timeval soon{0, 1000};
    const timeval patience{10, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
    SSL_do_handshake(ssl_.get());
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    char* data = nullptr;
    const auto size = static_cast<std::size_t>(BIO_get_mem_data(out, &data));
    const std::size_t first = std::min(cut, size - 1);
    if (!send_all({data, first})) return false;
    if (hears_something_within(pause)) return false;  // there is nothing to answer yet
    if (!send_all({data + first, size - first})) return false;
    SSL_set_fd(ssl_.get(), fd_.get());
    return SSL_do_handshake(ssl_.get()) == 1;
  }

  /// Whether octets, or an end, arrive in that time.
  bool hears_something_within(std::chrono::milliseconds time) const {
    pollfd wanted{fd_.get(), POLLIN, 0};
    return ::poll(&wanted, 1, static_cast<int>(time.count())) > 0;
  }
  SSL* ssl() { return ssl_.get(); }
  int socket() const { return fd_.get(); }
  bool shake() { return SSL_connect(ssl_.get()) == 1; }
  bool write(const Bytes& data) { return SSL_write(ssl_.get(), data.data(), static_cast<int>(data.size())) > 0; }
  /// One record at most; nothing where the server has closed.
  Bytes read() {
    Bytes octets(16384);
    const int got = SSL_read(ssl_.get(), octets.data(), static_cast<int>(octets.size()));
    octets.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return octets;
  }
  bool send_all(std::string_view octets) const {
    return ::send(fd_.get(), octets.data(), octets.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(octets.size());
  }
  bool update_key() {
    return SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(ssl_.get()) == 1;
  }

 private:
  Descriptor fd_;
  SslContextPtr context_;
  SslPtr ssl_;
};

/// The server's results for its stream.
template <class T>
class Said {
 public:
  void say(T what) { promise_.set_value(std::move(what)); }
  T hear() {
    auto future = promise_.get_future();
    REQUIRE(future.wait_for(20s) == std::future_status::ready);
    return future.get();
  }

 private:
  std::promise<T> promise_;
};

asio::awaitable<End> shake(TlsStream& stream) {
  const Moment until = Clock::now() + 10s;
  const End end = co_await stream.wait_for_hello(until);
  co_return end == End::kDone ? co_await stream.accept(until) : end;
}

}  // namespace

TEST_CASE("a ClientHello is waited for, however it is cut") {
  Server server([](std::shared_ptr<TlsStream> stream) -> asio::awaitable<void> {
    const Bytes one{1};
    if (co_await shake(*stream) == End::kDone) co_await stream->write(one, Clock::now() + 10s);
    co_await stream->close(Clock::now() + 1s);
  });
  std::atomic<std::size_t> next = 1;
  std::atomic<int> served = 0;
  const auto come = [&] {
    for (std::size_t cut = next++; cut <= 320; cut = next++) {
      Client client(server.port());
      if (client.shake(cut, std::chrono::milliseconds(cut % 3)) && client.read() == Bytes{1}) ++served;
    }
  };
  std::vector<std::future<void>> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(std::async(std::launch::async, come));
  for (auto& client : clients) client.get();
  CHECK(served == 320);
}

TEST_CASE("half a ClientHello and the end of the connection end the wait, and cost nothing") {
  Said<End> said;
  Server server([&](std::shared_ptr<TlsStream> stream) -> asio::awaitable<void> {
    said.say(co_await stream->wait_for_hello(Clock::now() + 10s));
  });
  const Client client(server.port());
  const std::string_view half("\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03", 11);
  REQUIRE(client.send_all(half));
  ::shutdown(client.socket(), SHUT_WR);
  CHECK(said.hear() == End::kClosed);
}

TEST_CASE("a peer that keeps updating its keys is let go after some") {
  Said<std::pair<End, std::string>> said;
  Server server([&](std::shared_ptr<TlsStream> stream) -> asio::awaitable<void> {
    co_await shake(*stream);
    Bytes octets;
    End end = End::kDone;
    while (end == End::kDone) end = co_await stream->read(octets, Clock::now() + 10s);
    said.say({end, stream->fault()});
  });
  Client client(server.port());
  REQUIRE(client.shake());
  for (int i = 0; i < 32; ++i) {
    REQUIRE(client.update_key());
    REQUIRE(client.write(Bytes{1}));
  }
  CHECK(client.update_key());
  CHECK(said.hear() == std::pair(End::kFailed, std::string("too many messages without data")));
}

TEST_CASE("a peer reads nothing, and is read to the end") {
  constexpr std::size_t kMuch = 8 << 20;
  Said<std::size_t> said;
  Server server([&](std::shared_ptr<TlsStream> stream) -> asio::awaitable<void> {
    co_await shake(*stream);
    stream->trust();
    const auto send = [](std::shared_ptr<TlsStream> to) -> asio::awaitable<void> {
      const Bytes piece(16384, 7);
      for (std::size_t sent = 0; sent < kMuch; sent += piece.size()) {
        if (co_await to->write(piece, Clock::now() + 20s) != End::kDone) co_return;
      }
    };
    asio::co_spawn(stream->socket().get_executor(), send(stream), asio::detached);
    std::size_t got = 0;
    Bytes octets;
    // The reader times out now and then, without an effect on the writer.
    for (End end = End::kDone; got < kMuch && (end == End::kDone || end == End::kTimeout);) {
      end = co_await stream->read(octets, Clock::now() + 20ms);
      got += octets.size();
      octets.clear();
    }
    said.say(got);
  });
  Client client(server.port());
  REQUIRE(client.shake());
  const Bytes piece(16384, 9);
  for (std::size_t sent = 0; sent < kMuch; sent += piece.size()) {
    REQUIRE(client.write(piece));
    if (sent % (1 << 20) == 0) REQUIRE(client.update_key());
  }
  CHECK(said.hear() == kMuch);
  std::size_t got = 0;
  for (Bytes read = client.read(); !read.empty(); read = client.read()) got += read.size();
  CHECK(got == kMuch);
}

TEST_CASE("keys are updated while a write waits for the peer to read") {
  constexpr int kPieces = 20;
  Said<End> received;
  Said<End> sent;
  Server server([&](std::shared_ptr<TlsStream> stream) -> asio::awaitable<void> {
    co_await shake(*stream);
    stream->socket().set_option(asio::socket_base::send_buffer_size(4096));
    const auto read = [](std::shared_ptr<TlsStream> from, Said<End>& ended) -> asio::awaitable<void> {
      End end = End::kDone;
      Bytes octets;
      for (std::size_t left = std::size_t{kPieces} * 1000; left > 0 && end == End::kDone; left -= octets.size()) {
        octets.clear();
        end = co_await from->read(octets, Clock::now() + 10s);
      }
      ended.say(end);
    };
    asio::co_spawn(stream->socket().get_executor(), read(stream, received), asio::detached);
    const Bytes much(4 << 20, 7);
    sent.say(co_await stream->write(much, Clock::now() + 20s));
  });
  Client client(server.port());
  REQUIRE(client.shake());
  for (int i = 0; i < kPieces; ++i) {
    REQUIRE(client.update_key());
    REQUIRE(client.write(Bytes(1000, 9)));
    CHECK(client.hears_something_within(10s));  // the server's write goes on
    for (int record = 0; record < 12; ++record) REQUIRE(client.read().size() == 16384);
  }
  while (client.read().size() == 16384) {
  }
  CHECK(received.hear() == End::kDone);
  CHECK(sent.hear() == End::kDone);
}

TEST_CASE("cancel() ends the one who reads and the one who writes") {
  Said<End> read;
  Said<End> written;
  Server server([&](std::shared_ptr<TlsStream> stream) -> asio::awaitable<void> {
    co_await shake(*stream);
    const auto send = [](std::shared_ptr<TlsStream> to, Said<End>& ended) -> asio::awaitable<void> {
      const Bytes much(16 << 20, 7);
      ended.say(co_await to->write(much, Clock::now() + 20s));
    };
    asio::co_spawn(stream->socket().get_executor(), send(stream, written), asio::detached);
    asio::steady_timer timer(stream->socket().get_executor(), 50ms);
    timer.async_wait([stream](const error_code&) { stream->cancel(); });
    Bytes octets;
    read.say(co_await stream->read(octets, Clock::now() + 20s));
  });
  Client client(server.port());
  REQUIRE(client.shake());
  CHECK(read.hear() == End::kCancelled);
  CHECK(written.hear() == End::kCancelled);
}

TEST_CASE("who sends without end holds up no other and no deadline") {
  auto shortest = std::chrono::milliseconds::max();
  for (int attempt = 0; attempt < 10 && shortest >= 500ms; ++attempt) {  // the machine may do much else
    Said<std::pair<End, std::chrono::milliseconds>> said;
    std::atomic<bool> reading = false;
    std::atomic<bool> over = false;
    Server server([&](std::shared_ptr<TlsStream> stream) -> asio::awaitable<void> {
      co_await shake(*stream);
      stream->trust();  // as fast as it can
      reading = true;
      const Moment begin = Clock::now();
      Bytes octets;
      End end = End::kDone;
      while (end == End::kDone) {
        end = co_await stream->read(octets, begin + 300ms);
        octets.clear();
      }
      over = true;
      said.say({end, std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin)});
      stream->cancel();
    });
    // A timer of the same thread.
    std::atomic<int> ticks = 0;
    asio::steady_timer timer(server.context());
    const std::function<void()> tick = [&] {
      timer.expires_after(1ms);
      timer.async_wait([&](const error_code& error) {
        if (error || over) return;
        if (reading) ++ticks;
        tick();
      });
    };
    asio::post(server.context(), tick);
    Client client(server.port());
    REQUIRE(client.shake());
    while (!over && client.write(Bytes{1})) {
    }
    const auto [end, time] = said.hear();
    CHECK(end == End::kTimeout);
    CHECK(ticks > 0);
    shortest = std::min(shortest, time);
  }
  CHECK(shortest < 500ms);
}

TEST_CASE("a stranger has a small share of the processor, and the trusted none") {
  for (const bool trusted : {false, true}) {
    Said<std::size_t> said;
    Server server([&](std::shared_ptr<TlsStream> stream) -> asio::awaitable<void> {
      co_await shake(*stream);
      if (trusted) stream->trust();
      const Moment until = Clock::now() + 1500ms;
      Bytes octets;
      std::size_t reads = 0;
      while (co_await stream->read(octets, until) == End::kDone) {
        ++reads;
        octets.clear();
        stream->charge(10ms);
      }
      said.say(reads);
      stream->cancel();
    });
    Client client(server.port());
    REQUIRE(client.shake());
    std::atomic<bool> over = false;
    std::thread sender([&] {
      while (!over && client.write(Bytes{1})) {
      }
    });
    const std::size_t reads = said.hear();
    over = true;
    ::shutdown(client.socket(), SHUT_RDWR);
    sender.join();
    if (trusted) {
      CHECK(reads > 100);
    } else {
      CHECK(reads >= 5);  // a burst of 20 ms, then 10 ms in each 200 ms; less for the time of the reading itself
      CHECK(reads <= 15);
    }
  }
}
