#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

// capf/net/coroutine.h must come first: see there.
// clang-format off
#include "capf/net/coroutine.h"
#include "capf/base/contained.h"
#include "capf/net/stream.h"
#include "capf/web/exchange.h"
// clang-format on

#include <openssl/sslerr.h>

namespace capf::web {
namespace {

namespace asio = net::asio;
using End = net::TlsStream::End;
using net::error_code;
using net::Moment;

constexpr std::size_t kPortion = 16384;      // one record
constexpr std::chrono::seconds kGoodbye{2};  // for the client to close after the last answer
constexpr std::string_view kGoOn = "HTTP/1.1 100 Continue\r\n\r\n";

/// The reason why a client's certificate ended the handshake; nothing for other failures, most of which are no TLS.
std::optional<Reason> refusal_of(int fault_reason) {
  switch (fault_reason) {
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return Reason::kClientCertificateRequired;
    case SSL_R_CERTIFICATE_VERIFY_FAILED: return Reason::kAdministratorUnknown;
    default: return std::nullopt;
  }
}

/// One connection: a handshake, then a request and its answer, and again. Everything happens in its strand.
class TlsConnection : public std::enable_shared_from_this<TlsConnection> {
 public:
  TlsConnection(net::tcp::socket socket, net::Connections::Place place, const Endpoint& peer, Shared& shared)
      : place_(std::move(place)),
        peer_(peer),
        shared_(shared),
        tls_(shared.tls.get()),
        stream_(std::move(socket), tls_->get()) {}

  void start() {
    const auto executor = stream_.socket().get_executor();
    place_.on_cut([weak = weak_from_this(), executor] {
      asio::post(executor, [weak] {
        if (const auto self = weak.lock()) self->stream_.cancel();
      });
    });
    asio::co_spawn(executor, run(shared_from_this()), [&shared = shared_](const std::exception_ptr& failure) {
      log_failure("connection.failed", failure, shared.failures);
    });
  }

 private:
  Moment until() const { return std::chrono::steady_clock::now() + shared_.settings.timeout; }

  /// @param self keeps this alive
  asio::awaitable<void> run(std::shared_ptr<TlsConnection> self) {
    static_cast<void>(self);
    End end = co_await stream_.wait_for_hello(until());
    if (end == End::kDone) end = co_await stream_.accept(until());
    if (end != End::kDone) {
      const auto refusal = end == End::kFailed ? refusal_of(stream_.fault_reason()) : std::nullopt;
      if (refusal && shared_.settings.refused) shared_.settings.refused(peer_.address, *refusal);
      co_return;
    }
    const auto certificates = net::client_certificates(stream_.ssl());
    if (!certificates.empty()) certificate_ = sha256(certificates.front());
    bool again = true;
    while (again) again = co_await serve();
    co_await stream_.close(std::chrono::steady_clock::now() + kGoodbye);
  }

  /// Reads a request and answers it. @return whether another one may come
  asio::awaitable<bool> serve() {
    Parser parser;
    set_limits(parser, shared_.settings);
    parser.eager(true);
    error_code error;
    if (!co_await read(parser, error)) {
      const auto status = status_for(error);
      if (status) co_await write(text_response(*status, "this request is not answered"), false, false);
      co_return false;
    }
    place_.prove();  // it does not give way while it is answered
    const bool keep_alive = parser.get().keep_alive();
    const bool head = parser.get().method() == http::verb::head;
    Response response;
    auto request = request_of(parser.get(), peer_.address, response);
    if (request) {
      request->certificate = certificate_;
      response = co_await answer(*request);
    }
    if (certificate_ && response.status == 200) stream_.trust();  // where nobody shows one, everybody gets files
    if (!co_await write(std::move(response), keep_alive, head) || !keep_alive) co_return false;
    place_.lapse(std::chrono::steady_clock::now());
    co_return true;
  }

  /// @return false where the request cannot be read; without an error the client has gone
  asio::awaitable<bool> read(Parser& parser, error_code& error) {
    const Moment deadline = until();
    bool told = false;
    while (true) {
      std::size_t taken = 0;
      if (!arrived_.empty()) {
        taken = parser.put(asio::buffer(arrived_.data(), arrived_.size()), error);
        arrived_.erase(arrived_.begin(), arrived_.begin() + static_cast<std::ptrdiff_t>(taken));
      }
      if (error == http::error::need_more) error = {};
      if (error) co_return false;
      if (parser.is_done()) co_return true;
      if (taken > 0 && !arrived_.empty()) continue;
      if (arrived_.size() > shared_.settings.largest_header) error = http::error::header_limit;  // or of a chunk
      if (error) co_return false;
      if (parser.is_header_done() && !std::exchange(told, true) && expects_to_go_on(parser.get())) {
        if (co_await stream_.write(as_bytes(kGoOn), deadline) != End::kDone) co_return false;
      }
      if (co_await stream_.read(arrived_, deadline) != End::kDone) co_return false;
    }
  }

  /// The route's answer, which may come from any thread.
  asio::awaitable<Response> answer(const Request& request) {
    const auto initiate = [this, &request](auto handler) {
      const auto shared = std::make_shared<decltype(handler)>(std::move(handler));
      shared_.answer(request, [shared, executor = stream_.socket().get_executor()](Response response) {
        asio::post(executor, [shared, response = std::move(response)]() mutable { (*shared)(std::move(response)); });
      });
    };
    co_return co_await asio::async_initiate<const asio::use_awaitable_t<>&, void(Response)>(initiate,
                                                                                            asio::use_awaitable);
  }

  asio::awaitable<bool> write(Response response, bool keep_alive, bool head) {
    Message message = head_of(response, keep_alive);
    if (!head && !response.source) message.body() = std::move(response.body);
    std::ostringstream text;
    text << message;
    message.body() = {};  // a slow client's answer is held once
    const std::string octets = std::move(text).str();
    if (!co_await send(as_bytes(octets))) co_return false;
    if (!response.source || head) co_return true;
    const Sending sending(std::chrono::steady_clock::now());
    Bytes piece(kPiece);
    for (std::uint64_t sent = 0; sent < response.source->size();) {
      const auto count = response.source->read(sent, piece);
      if (!count || *count == 0) co_return false;
      if (sending.is_over(shared_.settings, sent, std::chrono::steady_clock::now())) co_return false;
      if (!co_await send(BytesView(piece).first(*count))) co_return false;
      sent += *count;
    }
    co_return true;
  }

  asio::awaitable<bool> send(BytesView data) {
    while (!data.empty()) {
      const BytesView portion = data.first(std::min(data.size(), kPortion));
      if (co_await stream_.write(portion, until()) != End::kDone) co_return false;
      data = data.subspan(portion.size());
    }
    co_return true;
  }

  net::Connections::Place place_;
  const Endpoint peer_;
  Shared& shared_;
  const std::shared_ptr<const net::TlsContext> tls_;
  net::TlsStream stream_;
  std::optional<Sha256> certificate_;  ///< of the client
  Bytes arrived_;                      ///< and not parsed yet
};

}  // namespace

void serve_tls(net::tcp::socket socket, net::Connections::Place place, const Endpoint& peer, Shared& shared) {
  std::make_shared<TlsConnection>(std::move(socket), std::move(place), peer, shared)->start();
}

}  // namespace capf::web
