#include "capf/web/server.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "capf/base/endpoint.h"
#include "capf/base/log.h"
#include "capf/net/acceptor.h"
#include "capf/net/threads.h"

namespace capf::web {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using net::error_code;
using net::tcp;

constexpr std::size_t kLongestTarget = 2048;
constexpr std::size_t kPiece = 65536;

using Parser = http::request_parser<http::string_body>;
using Message = http::response<http::string_body>;

net::ConnectionLimits limits_of(const ServerSettings& settings) {
  const auto all = static_cast<std::size_t>(settings.connections);
  const auto of_one = static_cast<std::size_t>(settings.connections_per_address);
  // Clients do not authenticate here: a stranger is a connection on which no request is being answered.
  return {.all = all,
          .of_one = of_one,
          .strangers = all,
          .strangers_of_one = of_one,
          .gives_way = std::chrono::milliseconds{0},
          .longest = 2 * settings.timeout};
}

/// The parts of the server that a connection needs; outlives every connection.
struct Shared {
  explicit Shared(const ServerSettings& wanted, LaterRoute answers)
      : settings(wanted), route(std::move(answers)), connections(limits_of(wanted)) {}

  const ServerSettings settings;
  const LaterRoute route;
  net::Connections connections;
  LogLimit failures{1};  ///< a second
};

std::string text_of(beast::string_view text) { return {text.data(), text.size()}; }

/// The status for a request that cannot be read; nothing where the client has gone.
std::optional<int> status_for(error_code error) {
  if (error == http::error::header_limit) return 431;
  if (error == http::error::body_limit) return 413;
  if (error == http::error::bad_version) return 505;
  if (error == http::error::end_of_stream || error == http::error::partial_message) return std::nullopt;
  if (error.category() == make_error_code(http::error::bad_method).category()) return 400;
  return std::nullopt;
}

// RFC 9112 3.2.2
//    A server MUST accept the absolute-form in requests even though most HTTP/1.1 clients will only send the
//    absolute-form to a proxy.
/// The origin-form of a target: without scheme and authority.
std::string origin_form(std::string target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!beast::iequals(beast::string_view(target).substr(0, scheme.size()), {scheme.data(), scheme.size()})) continue;
    const std::size_t path = target.find_first_of("/?", scheme.size());
    std::string rest = path == std::string::npos ? "" : target.substr(path);
    return rest.starts_with('/') ? rest : '/' + rest;
  }
  return target;
}

/// Nothing where the message is no valid request; then `refusal` says why.
std::optional<Request> request_of(const Parser::value_type& message, const Address& peer, Response& refusal) {
  const std::string target = origin_form(text_of(message.target()));
  if (target.size() > kLongestTarget) {
    refusal = text_response(414, "the path is too long");
    return std::nullopt;
  }
  if (target.empty() || target[0] != '/') {
    refusal = text_response(400, "the path begins with '/'");
    return std::nullopt;
  }
  Request request;
  request.method = text_of(message.method_string());
  const std::size_t question = target.find('?');
  request.path = target.substr(0, question);
  if (question != std::string::npos) request.query = target.substr(question + 1);
  request.content_type = text_of(message[http::field::content_type]);
  request.accept = text_of(message[http::field::accept]);
  request.if_none_match = text_of(message[http::field::if_none_match]);
  const BytesView body = as_bytes(message.body());
  request.body.assign(body.begin(), body.end());
  request.peer = peer;
  return request;
}

/// One connection: reads a request, answers it, and again. Each runs in a strand of its own.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, net::Connections::Place place, const Address& peer, Shared& shared)
      : place_(std::move(place)), peer_(peer), stream_(std::move(socket)), shared_(shared) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start() {
    place_.on_cut([executor = stream_.get_executor(), weak = weak_from_this()] {
      net::asio::post(executor, [weak] {
        if (const auto self = weak.lock()) self->close();
      });
    });
    net::asio::dispatch(stream_.get_executor(), [self = shared_from_this()] { self->read(); });
  }

 private:
  void read() {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(shared_.settings.largest_header));
    parser_->body_limit(shared_.settings.largest_body);
    stream_.expires_after(shared_.settings.timeout);
    http::async_read_header(stream_, buffer_, *parser_,
                            [self = shared_from_this()](error_code error, std::size_t) { self->on_header(error); });
  }

  /// RFC 9110 10.1.1: a client that expects it sends its content after 100 (Continue), or after a second or so.
  void on_header(error_code error) {
    if (error || parser_->is_done()) return on_read(error);
    const auto& message = parser_->get();
    if (message.version() < 11 || !beast::iequals(message[http::field::expect], "100-continue")) return read_content();
    go_on_ = http::response<http::empty_body>(http::status::continue_, 11);
    http::async_write(stream_, go_on_, [self = shared_from_this()](error_code failed, std::size_t) {
      if (failed) return self->close();
      self->read_content();
    });
  }

  void read_content() {
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](error_code error, std::size_t) { self->on_read(error); });
  }

  void on_read(error_code error) {
    if (error) {
      const auto status = status_for(error);
      if (!status) return close();
      return write(text_response(*status, "this request is not answered"), false, false);
    }
    place_.prove();  // it does not give way while it is answered
    const auto& message = parser_->get();
    const bool keep_alive = message.keep_alive();
    const bool head = message.method() == http::verb::head;
    Response refusal;
    const auto request = request_of(message, peer_, refusal);
    if (!request) return write(std::move(refusal), keep_alive, head);
    try {
      shared_.route(*request, [self = shared_from_this(), keep_alive, head](Response response) {
        net::asio::dispatch(self->stream_.get_executor(),
                            [self, keep_alive, head, response = std::move(response)]() mutable {
                              self->write(std::move(response), keep_alive, head);
                            });
      });
    } catch (const std::exception& failed) {
      if (const auto left_out = shared_.failures.admit(std::chrono::steady_clock::now())) {
        log_error("request.failed", {{"path", request->path}, {"cause", failed.what()}, {"left_out", *left_out}});
      }
      write(text_response(500, "internal error"), keep_alive, head);
    }
  }

  void write(Response response, bool keep_alive, bool head) {
    message_ = Message(static_cast<http::status>(response.status), 11);
    message_.set(http::field::server, "capf");
    message_.set("X-Content-Type-Options", "nosniff");
    message_.set(http::field::content_type, response.content_type);
    for (const auto& [name, value] : response.headers) message_.set(name, value);
    message_.keep_alive(keep_alive);
    const std::uint64_t size = response.source ? response.source->size() : response.body.size();
    if (response.status != 304) message_.content_length(size);  // RFC 9110 15.4.5
    keep_alive_ = keep_alive;
    stream_.expires_after(shared_.settings.timeout);
    if (response.source && !head) {
      source_ = std::move(response.source);
      sent_ = 0;
      answer_until_ = std::chrono::steady_clock::now() + shared_.settings.whole_answer;
      serializer_.emplace(message_);
      http::async_write_header(stream_, *serializer_, [self = shared_from_this()](error_code error, std::size_t) {
        if (error) return self->close();
        self->write_piece();
      });
      return;
    }
    if (!head) message_.body() = std::move(response.body);
    http::async_write(stream_, message_, [self = shared_from_this()](error_code error, std::size_t) {
      if (error) return self->close();
      self->finish();
    });
  }

  void write_piece() {
    piece_.resize(kPiece);
    const auto count = source_->read(sent_, piece_);
    if (!count || std::chrono::steady_clock::now() > answer_until_) return close();
    if (*count == 0) return sent_ == source_->size() ? finish() : close();
    sent_ += *count;
    stream_.expires_after(shared_.settings.timeout);
    net::asio::async_write(stream_, net::asio::buffer(piece_.data(), *count),
                           [self = shared_from_this()](error_code error, std::size_t) {
                             if (error) return self->close();
                             self->write_piece();
                           });
  }

  void finish() {
    source_.reset();
    piece_ = {};
    if (!keep_alive_) return close();
    place_.lapse(std::chrono::steady_clock::now());
    read();
  }

  void close() {
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.close();
  }

  net::Connections::Place place_;
  Address peer_;
  beast::tcp_stream stream_;
  Shared& shared_;
  beast::flat_buffer buffer_{shared_.settings.largest_header + shared_.settings.largest_body + 4096};
  std::optional<Parser> parser_;
  Message message_;
  bool keep_alive_ = false;
  http::response<http::empty_body> go_on_;
  std::optional<http::response_serializer<http::string_body>> serializer_;
  std::shared_ptr<const Source> source_;
  std::uint64_t sent_ = 0;
  Bytes piece_;
  std::chrono::steady_clock::time_point answer_until_;
};

class RunningServer final : public Server {
 public:
  RunningServer(const ServerSettings& settings, LaterRoute route)
      : shared_(settings, std::move(route)), threads_(std::max(1, settings.threads)) {}
  ~RunningServer() override { stop(); }

  Status listen() {
    for (const std::string& text : shared_.settings.addresses) {
      CAPF_LET(const Endpoint endpoint, Endpoint::parse(text));
      if (shared_.settings.loopback_only && !endpoint.is_loopback()) {
        return fail(Reason::kInvalidConfiguration,
                    endpoint.to_string() + " is not loopback: what is served there is for this machine alone");
      }
    }
    CAPF_LET(acceptor_,
             net::Acceptor::listen(threads_.context(), {.addresses = shared_.settings.addresses}, shared_.connections));
    acceptor_->open([this] { return net::asio::make_strand(threads_.context()); },
                    [this](tcp::socket socket, net::Connections::Place place, const Endpoint& peer) {
                      error_code ignored;
                      socket.set_option(tcp::no_delay(true), ignored);
                      std::make_shared<Connection>(std::move(socket), std::move(place), peer.address, shared_)->start();
                    });
    return {};
  }

  int port() const override { return acceptor_->port(); }
  const std::vector<std::string>& addresses() const override { return acceptor_->addresses(); }
  void stop() override {
    if (std::exchange(stopped_, true)) return;
    if (acceptor_) acceptor_->close();
    threads_.stop();
  }

 private:
  Shared shared_;  ///< declared before the threads, whose io_context owns the connections
  net::IoThreads threads_;
  std::unique_ptr<net::Acceptor> acceptor_;
  bool stopped_ = false;
};

}  // namespace

Response text_response(int status, std::string_view words) {
  Response response;
  response.status = status;
  response.body = std::string(words) + '\n';
  return response;
}

Result<std::unique_ptr<Server>> Server::start(const ServerSettings& settings, Route route) {
  return start_later(settings,
                     [route = std::move(route)](const Request& request, const Reply& reply) { reply(route(request)); });
}

Result<std::unique_ptr<Server>> Server::start_later(const ServerSettings& settings, LaterRoute route) {
  auto server = std::make_unique<RunningServer>(settings, std::move(route));
  CAPF_TRY(server->listen());
  return server;
}

}  // namespace capf::web
