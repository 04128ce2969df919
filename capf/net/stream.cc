#include "capf/net/stream.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <openssl/err.h>
#include <sys/socket.h>

#include "capf/net/hello.h"

namespace capf::net {
namespace {

/// A record header and the header of the message in it: what there is to know of a ClientHello first.
constexpr std::size_t kFirstLook = 9;

void set_low_water(tcp::socket& socket, std::size_t octets) {
  error_code ignored;
  socket.set_option(asio::socket_base::receive_low_watermark(static_cast<int>(octets)), ignored);
}

}  // namespace

/// What a timer may still know of a stream when it fires: it outlives the stream.
struct TlsStream::Watch {
  tcp::socket* socket = nullptr;  ///< null once the stream is gone
  std::uint64_t wait = 0;         ///< the number of the wait that goes on
  bool timed_out = false;
  bool cancelled = false;
};

TlsStream::TlsStream(tcp::socket socket, SSL_CTX* context)
    : socket_(std::move(socket)),
      ssl_(SSL_new(context)),
      timer_(socket_.get_executor()),
      watch_(std::make_shared<Watch>()) {
  CAPF_INVARIANT(ssl_);
  error_code ignored;
  socket_.non_blocking(true, ignored);
  socket_.set_option(tcp::no_delay(true), ignored);
  SSL_set_fd(ssl_.get(), socket_.native_handle());
  watch_->socket = &socket_;
}

TlsStream::~TlsStream() { watch_->socket = nullptr; }

asio::awaitable<TlsStream::End> TlsStream::wait(tcp::socket::wait_type what, Moment until) {
  Watch& watch = *watch_;
  if (watch.cancelled) co_return End::kCancelled;
  watch.timed_out = false;
  timer_.expires_at(until);
  timer_.async_wait([shared = watch_, number = ++watch.wait](const error_code& error) {
    if (error || shared->socket == nullptr || shared->wait != number) return;
    shared->timed_out = true;
    error_code ignored;
    shared->socket->cancel(ignored);
  });
  error_code error;
  co_await socket_.async_wait(what, asio::redirect_error(asio::use_awaitable, error));
  ++watch.wait;
  timer_.cancel();
  if (watch.cancelled) co_return End::kCancelled;
  if (watch.timed_out) co_return End::kTimeout;
  co_return error ? End::kClosed : End::kDone;
}

template <class Operation>
asio::awaitable<TlsStream::End> TlsStream::drive(Operation operation, Moment until) {
  for (;;) {
    if (watch_->cancelled) co_return End::kCancelled;
    ERR_clear_error();
    const int result = operation();
    if (result > 0) co_return End::kDone;
    End end = End::kDone;
    switch (SSL_get_error(ssl_.get(), result)) {
      case SSL_ERROR_WANT_READ: end = co_await wait(tcp::socket::wait_read, until); break;
      case SSL_ERROR_WANT_WRITE: end = co_await wait(tcp::socket::wait_write, until); break;
      case SSL_ERROR_ZERO_RETURN:
      case SSL_ERROR_SYSCALL: co_return End::kClosed;
      default: {
        const unsigned long code = ERR_get_error();
        ERR_clear_error();
        if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
          co_return End::kClosed;
        }
        const char* words = ERR_reason_error_string(code);
        fault_ = words != nullptr ? words : "TLS error";
        co_return End::kFailed;
      }
    }
    if (end != End::kDone) co_return end;
  }
}

asio::awaitable<TlsStream::End> TlsStream::wait_for_hello(Moment until) {
  Bytes seen;
  std::size_t needed = kFirstLook;
  bool waited = false;
  while (needed > seen.size()) {
    seen.resize(needed);
    const auto got = ::recv(socket_.native_handle(), seen.data(), seen.size(), MSG_PEEK | MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) co_return End::kClosed;
    seen.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    if (seen.size() == needed) {
      needed = hello_needs(seen);
      waited = false;
      continue;
    }
    // Fewer than were waited for: no more will come.
    if (waited && got > 0) co_return End::kClosed;
    if (!seen.empty() && hello_needs(seen) == 0) break;  // not TLS at all
    set_low_water(socket_, needed);
    const End end = co_await wait(tcp::socket::wait_read, until);
    if (end != End::kDone) co_return end;
    waited = true;
  }
  set_low_water(socket_, 1);
  co_return End::kDone;
}

asio::awaitable<TlsStream::End> TlsStream::accept(Moment until) {
  SSL* const ssl = ssl_.get();
  if (SSL_in_before(ssl)) SSL_set_accept_state(ssl);
  const auto shake = [ssl] { return SSL_do_handshake(ssl); };
  co_return co_await drive(shake, until);
}

asio::awaitable<TlsStream::End> TlsStream::connect(Moment until) {
  SSL* const ssl = ssl_.get();
  SSL_set_connect_state(ssl);
  const auto shake = [ssl] { return SSL_do_handshake(ssl); };
  co_return co_await drive(shake, until);
}

asio::awaitable<TlsStream::End> TlsStream::read(Bytes& into, Moment until) {
  SSL* const ssl = ssl_.get();
  Bytes* const all = &into;
  // On the stack of the call, not in the coroutine: ten thousand of them wait.
  const auto read = [ssl, all] {
    std::array<std::uint8_t, 4096> octets;
    std::size_t got = 0;
    const int result = SSL_read_ex(ssl, octets.data(), octets.size(), &got);
    if (result > 0) all->insert(all->end(), octets.begin(), octets.begin() + static_cast<std::ptrdiff_t>(got));
    return result;
  };
  co_return co_await drive(read, until);
}

asio::awaitable<TlsStream::End> TlsStream::write(BytesView data, Moment until) {
  SSL* const ssl = ssl_.get();
  const auto write = [ssl, data] {
    std::size_t written = 0;
    return SSL_write_ex(ssl, data.data(), data.size(), &written);
  };
  co_return co_await drive(write, until);
}

asio::awaitable<void> TlsStream::close(Moment until) {
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  error_code error;
  socket_.shutdown(tcp::socket::shutdown_send, error);
  // What still arrives is thrown away: closing with octets unread would reset the connection.
  std::array<std::uint8_t, 2048> octets;
  std::size_t left = 256 * 1024;
  while (!error && left > 0) {
    const auto got = ::recv(socket_.native_handle(), octets.data(), octets.size(), MSG_DONTWAIT);
    if (got == 0) break;
    if (got > 0) {
      left -= std::min(left, static_cast<std::size_t>(got));
    } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
      break;
    } else if (co_await wait(tcp::socket::wait_read, until) != End::kDone) {
      break;
    }
  }
  socket_.close(error);
}

void TlsStream::cancel() {
  watch_->cancelled = true;
  error_code ignored;
  socket_.cancel(ignored);
}

}  // namespace capf::net
