#include "capf/web/server.h"

#include <algorithm>
#include <atomic>
#include <optional>

#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "capf/base/endpoint.h"
#include "capf/base/log.h"
#include "capf/net/asio.h"
#include "capf/net/threads.h"

namespace capf::web {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using net::error_code;
using net::tcp;

constexpr std::size_t kLongestTarget = 2048;
constexpr int kTriesToListen = 5;
constexpr std::chrono::milliseconds kAfterFailedAccept{100};

using Parser = http::request_parser<http::string_body>;
using Message = http::response<http::string_body>;

/// What a connection needs of its server; outlives every connection.
struct Shared {
  ServerSettings settings;
  Route route;
  std::atomic<int> connections{0};
};

std::string text_of(beast::string_view text) { return {text.data(), text.size()}; }

/// The status for a request that cannot be read; nothing where there is nobody to answer.
std::optional<int> status_for(error_code error) {
  if (error == http::error::header_limit) return 431;
  if (error == http::error::body_limit) return 413;
  if (error == http::error::bad_version) return 505;
  if (error == http::error::end_of_stream || error == http::error::partial_message) return std::nullopt;
  if (error.category() == make_error_code(http::error::bad_method).category()) return 400;
  return std::nullopt;
}

Response answer_to(const Parser::value_type& message, const Address& peer, const Route& route) {
  const std::string target = text_of(message.target());
  if (target.size() > kLongestTarget) return text_response(414, "the path is too long");
  if (target.empty() || target[0] != '/') return text_response(400, "the path begins with '/'");
  Request request;
  request.method = text_of(message.method_string());
  const std::size_t question = target.find('?');
  request.path = target.substr(0, question);
  if (question != std::string::npos) request.query = target.substr(question + 1);
  request.content_type = text_of(message[http::field::content_type]);
  const BytesView body = as_bytes(message.body());
  request.body.assign(body.begin(), body.end());
  request.peer = peer;
  try {
    return route(request);
  } catch (const std::exception& error) {
    log_error("request.failed", {{"path", request.path}, {"cause", error.what()}});
    return text_response(500, "internal error");
  }
}

/// One connection: reads a request, answers it, and again. Each runs in a strand of its own.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, Shared& shared)
      : peer_(net::peer_of(socket)), stream_(std::move(socket)), shared_(shared) {}
  ~Connection() { --shared_.connections; }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start() {
    net::asio::dispatch(stream_.get_executor(), [self = shared_from_this()] { self->read(); });
  }

 private:
  void read() {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(shared_.settings.largest_header));
    parser_->body_limit(shared_.settings.largest_body);
    stream_.expires_after(shared_.settings.timeout);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](error_code error, std::size_t) { self->on_read(error); });
  }

  void on_read(error_code error) {
    if (error) {
      const auto status = status_for(error);
      if (!status) return close();
      return write(text_response(*status, "this request is not answered"), false, false);
    }
    const auto& message = parser_->get();
    write(answer_to(message, peer_, shared_.route), message.keep_alive(), message.method() == http::verb::head);
  }

  void write(Response response, bool keep_alive, bool head) {
    message_ = Message(static_cast<http::status>(response.status), 11);
    message_.set(http::field::server, "capf");
    message_.set("X-Content-Type-Options", "nosniff");
    message_.set(http::field::content_type, response.content_type);
    for (const auto& [name, value] : response.headers) message_.set(name, value);
    message_.keep_alive(keep_alive);
    message_.content_length(response.body.size());
    if (!head) message_.body() = std::move(response.body);
    stream_.expires_after(shared_.settings.timeout);
    http::async_write(stream_, message_, [self = shared_from_this(), keep_alive](error_code error, std::size_t) {
      if (error || !keep_alive) return self->close();
      self->read();
    });
  }

  void close() {
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.close();
  }

  Address peer_;
  beast::tcp_stream stream_;
  Shared& shared_;
  beast::flat_buffer buffer_{shared_.settings.largest_header + shared_.settings.largest_body + 4096};
  std::optional<Parser> parser_;
  Message message_;
};

class Listener : public std::enable_shared_from_this<Listener> {
 public:
  Listener(tcp::acceptor acceptor, Shared& shared)
      : acceptor_(std::move(acceptor)), pause_(acceptor_.get_executor()), shared_(shared) {}

  void accept() {
    acceptor_.async_accept(net::asio::make_strand(acceptor_.get_executor()),
                           [self = shared_from_this()](error_code error, tcp::socket socket) {
                             self->on_accept(error, std::move(socket));
                           });
  }

 private:
  void on_accept(error_code error, tcp::socket socket) {
    if (error == net::asio::error::operation_aborted) return;
    if (error) {  // no descriptors left, say: not at once again
      pause_.expires_after(kAfterFailedAccept);
      pause_.async_wait([self = shared_from_this()](error_code cancelled) {
        if (!cancelled) self->accept();
      });
      return;
    }
    if (++shared_.connections > shared_.settings.connections) {
      --shared_.connections;
      socket.close(error);
    } else {
      std::make_shared<Connection>(std::move(socket), shared_)->start();
    }
    accept();
  }

  tcp::acceptor acceptor_;
  net::asio::steady_timer pause_;
  Shared& shared_;
};

class RunningServer final : public Server {
 public:
  RunningServer(const ServerSettings& settings, Route route)
      : shared_{settings, std::move(route)}, threads_(std::max(1, settings.threads)) {}
  ~RunningServer() override { stop(); }

  Status listen() {
    for (int i = 1;; ++i) {
      CAPF_LET(const std::vector<Endpoint> endpoints, plan_endpoints(shared_.settings.addresses));
      const Status bound = bind(endpoints);
      if (bound) return {};
      if (i == kTriesToListen) return bound;
    }
  }

  int port() const override { return port_; }
  const std::vector<std::string>& addresses() const override { return addresses_; }
  void stop() override { threads_.stop(); }

 private:
  Status bind(const std::vector<Endpoint>& endpoints) {
    std::vector<tcp::acceptor> acceptors;
    for (const Endpoint& endpoint : endpoints) {
      if (shared_.settings.loopback_only && !endpoint.is_loopback()) {
        return fail(Reason::kInvalidConfiguration,
                    endpoint.to_string() + " is not loopback: what is served there is for this machine alone");
      }
      CAPF_LET(tcp::acceptor acceptor, net::listen_on(threads_.context(), endpoint));
      acceptors.push_back(std::move(acceptor));
    }
    port_ = endpoints.front().port;
    for (const Endpoint& endpoint : endpoints) addresses_.push_back(endpoint.to_string());
    for (tcp::acceptor& acceptor : acceptors) std::make_shared<Listener>(std::move(acceptor), shared_)->accept();
    return {};
  }

  Shared shared_;  ///< before the threads, whose io_context owns the connections
  net::IoThreads threads_;
  std::vector<std::string> addresses_;
  int port_ = 0;
};

}  // namespace

Response text_response(int status, std::string_view words) {
  Response response;
  response.status = status;
  response.body = std::string(words) + '\n';
  return response;
}

Result<std::unique_ptr<Server>> Server::start(const ServerSettings& settings, Route route) {
  auto server = std::make_unique<RunningServer>(settings, std::move(route));
  CAPF_TRY(server->listen());
  return server;
}

}  // namespace capf::web
