#include "capf/web/server.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "capf/base/endpoint.h"
#include "capf/net/acceptor.h"
#include "capf/net/threads.h"
#include "capf/web/exchange.h"

namespace capf::web {
namespace {

using net::error_code;
using net::tcp;

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
    set_limits(*parser_, shared_.settings);
    stream_.expires_after(shared_.settings.timeout);
    http::async_read_header(stream_, buffer_, *parser_,
                            [self = shared_from_this()](error_code error, std::size_t) { self->on_header(error); });
  }

  /// A client that expects it sends its content after 100 (Continue), or after a second or so.
  void on_header(error_code error) {
    if (error || parser_->is_done()) return on_read(error);
    if (!expects_to_go_on(parser_->get())) return read_content();
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
    shared_.answer(*request, [self = shared_from_this(), keep_alive, head](Response response) {
      net::asio::dispatch(self->stream_.get_executor(),
                          [self, keep_alive, head, response = std::move(response)]() mutable {
                            self->write(std::move(response), keep_alive, head);
                          });
    });
  }

  void write(Response response, bool keep_alive, bool head) {
    message_ = head_of(response, keep_alive);
    keep_alive_ = keep_alive;
    stream_.expires_after(shared_.settings.timeout);
    if (response.source && !head) {
      source_ = std::move(response.source);
      sent_ = 0;
      sending_ = Sending(std::chrono::steady_clock::now());
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
    if (!count || sending_.is_over(shared_.settings, sent_, std::chrono::steady_clock::now())) return close();
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
  Sending sending_{Sending::Moment{}};
};

class RunningServer final : public Server {
 public:
  RunningServer(const ServerSettings& settings, LaterRoute route)
      : shared_(settings, std::move(route)), threads_(std::max(1, settings.threads)) {}
  ~RunningServer() override { stop(); }

  void replace_tls(std::shared_ptr<const net::TlsContext> tls) override { shared_.tls.replace(std::move(tls)); }

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
                      if (shared_.settings.tls) return serve_tls(std::move(socket), std::move(place), peer, shared_);
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

bool has_tag(const std::string& if_none_match, const std::string& tag) {
  return if_none_match == "*" || if_none_match.find(tag) != std::string::npos;
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
