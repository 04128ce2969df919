#include "capf/net/coroutine.h"
// Asio comes first: see there.
#include <array>
#include <future>
#include <unordered_map>
#include <utility>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "capf/base/descriptor.h"
#include "capf/base/log.h"
#include "capf/net/threads.h"
#include "capf/rpc/acceptor.h"

namespace capf::rpc {
namespace {

namespace asio = net::asio;
using net::tcp;
using ExternalServer = grpc::experimental::ExternalConnectionAcceptor;

constexpr std::chrono::milliseconds kAfterFailedAccept{100};
constexpr std::chrono::seconds kBetweenLooks{1};
constexpr unsigned kUnacknowledged = 20'000;  ///< milliseconds until a peer that acknowledges nothing is gone

/// As gRPC has the connections that it accepts itself.
void prepare(tcp::socket& socket) {
  net::error_code ignored;
  socket.native_non_blocking(true, ignored);
  socket.set_option(tcp::no_delay(true), ignored);
  ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_USER_TIMEOUT, &kUnacknowledged, sizeof kUnacknowledged);
}

/// The connections that the server has, each with a second descriptor of its socket and its place, until it has ended:
/// both sides have shut it down, as gRPC does before it closes, or one has reset it. An epoll of its own, since Asio's
/// would tell of every octet that arrives. Threads: one.
class Held {
 public:
  explicit Held(asio::io_context& context) : epoll_(context, ::epoll_create1(EPOLL_CLOEXEC)) {}

  /// @return whether its end will be seen.
  bool keep(Descriptor second, net::Connections::Place place) {
    const int descriptor = second.get();
    epoll_event none{};  // the end is told of without being asked for
    none.data.fd = descriptor;
    const auto kept = held_.try_emplace(descriptor, std::move(second), std::move(place)).first;
    if (::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, descriptor, &none) == 0) return true;
    held_.erase(kept);
    return false;
  }

  asio::awaitable<void> release_the_ended() {
    std::array<epoll_event, 64> ended{};
    for (;;) {
      co_await epoll_.async_wait(asio::posix::stream_descriptor::wait_read, asio::use_awaitable);
      const int count = ::epoll_wait(epoll_.native_handle(), ended.data(), static_cast<int>(ended.size()), 0);
      for (int i = 0; i < count; ++i) held_.erase(ended.at(static_cast<std::size_t>(i)).data.fd);
    }
  }

 private:
  struct Connection {
    Connection(Descriptor&& second, net::Connections::Place&& kept)
        : descriptor(std::move(second)), place(std::move(kept)) {}
    Descriptor descriptor;
    net::Connections::Place place;  ///< left before the descriptor is closed: nobody cuts another one's
  };

  asio::posix::stream_descriptor epoll_;
  std::unordered_map<int, Connection> held_;
};

class RunningAcceptor final : public Acceptor {
 public:
  RunningAcceptor(net::Connections& connections, Metrics& metrics)
      : connections_(connections), metrics_(metrics), held_(threads_.context()) {}
  ~RunningAcceptor() override { threads_.stop(); }

  Status bind(const std::vector<Endpoint>& endpoints) {
    for (const Endpoint& endpoint : endpoints) {
      CAPF_LET(tcp::acceptor acceptor, net::listen_on(threads_.context(), endpoint));
      acceptors_.push_back(std::move(acceptor));
    }
    return {};
  }

  void open(std::unique_ptr<ExternalServer> server) override {
    server_ = std::move(server);
    for (tcp::acceptor& acceptor : acceptors_) {
      asio::co_spawn(threads_.context(), accept(acceptor), asio::detached);
    }
    asio::co_spawn(threads_.context(), held_.release_the_ended(), asio::detached);
    asio::co_spawn(threads_.context(), look_around(), asio::detached);
  }

  void close() override {
    std::promise<void> closed;
    asio::post(threads_.context(), [this, &closed] {
      net::error_code ignored;
      for (tcp::acceptor& acceptor : acceptors_) acceptor.close(ignored);
      closed.set_value();
    });
    closed.get_future().wait();
  }

 private:
  asio::awaitable<void> accept(tcp::acceptor& acceptor) {
    asio::steady_timer pause(threads_.context());
    while (acceptor.is_open()) {
      net::error_code error;
      tcp::socket socket = co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (error == asio::error::operation_aborted) co_return;
      if (error) {  // no descriptors left, say: not at once again
        pause.expires_after(kAfterFailedAccept);
        co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
        continue;
      }
      try {
        admit(std::move(socket));
      } catch (const std::exception& failure) {  // no memory left, say
        log_error("connection.failed", {{"cause", failure.what()}});
      }
    }
  }

  void admit(tcp::socket socket) {
    net::error_code error;
    const tcp::endpoint peer = socket.remote_endpoint(error);
    if (error) return;  // it is gone
    Descriptor second(::fcntl(socket.native_handle(), F_DUPFD_CLOEXEC, 0));
    if (second.get() < 0) return metrics_.count_refusal(Reason::kOverloaded);
    auto place = connections_.enter({net::peer_of(socket), peer.port()}, std::chrono::steady_clock::now());
    if (!place) return metrics_.count_refusal(Reason::kOverloaded);
    place->on_cut([descriptor = second.get()] { ::shutdown(descriptor, SHUT_RDWR); });
    prepare(socket);
    if (!held_.keep(std::move(second), *std::move(place))) return metrics_.count_refusal(Reason::kOverloaded);
    ExternalServer::NewConnectionParameters connection;
    connection.fd = socket.release();
    server_->HandleNewConnection(&connection);
  }

  asio::awaitable<void> look_around() {
    asio::steady_timer pause(threads_.context());
    for (;;) {
      pause.expires_after(kBetweenLooks);
      co_await pause.async_wait(asio::use_awaitable);
      connections_.cut_overdue(std::chrono::steady_clock::now());
    }
  }

  net::Connections& connections_;
  Metrics& metrics_;
  std::unique_ptr<ExternalServer> server_;
  net::IoThreads threads_{1};
  Held held_;
  std::vector<tcp::acceptor> acceptors_;
};

}  // namespace

Result<std::unique_ptr<Acceptor>> Acceptor::listen(const std::vector<Endpoint>& endpoints,
                                                   net::Connections& connections, Metrics& metrics) {
  auto acceptor = std::make_unique<RunningAcceptor>(connections, metrics);
  CAPF_TRY(acceptor->bind(endpoints));
  return acceptor;
}

}  // namespace capf::rpc
