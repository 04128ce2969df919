#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "capf/base/bytes.h"
#include "capf/net/coroutine.h"
#include "capf/net/tls.h"

namespace capf::net {

/// TLS straight on a TCP socket, without a buffer of its own. Everything happens on the socket's executor, which must
/// be one thread or a strand.
class TlsStream {
 public:
  enum class End : std::uint8_t {
    kDone,
    kTimeout,
    kClosed,     ///< by the other side, properly or not
    kFailed,     ///< it does not speak TLS as it must; see fault()
    kCancelled,  ///< by cancel()
  };

  TlsStream(tcp::socket socket, SSL_CTX* context);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  /// A server's: waits until the whole ClientHello is there and takes nothing of it, so that who sends half of one
  /// costs no more than the connection.
  asio::awaitable<End> wait_for_hello(Moment until);
  /// A server's handshake, or a client's. A server's may be called again after kTimeout: it goes on where it was.
  asio::awaitable<End> accept(Moment until);
  asio::awaitable<End> connect(Moment until);
  /// Appends what has arrived: 1 to 4,096 octets.
  asio::awaitable<End> read(Bytes& into, Moment until);
  /// Everything; up to 16,384 octets leave in one record.
  asio::awaitable<End> write(BytesView data, Moment until);
  /// Says goodbye, and waits until the other side has closed too, so that it can read what was said last.
  asio::awaitable<void> close(Moment until);
  /// Ends whatever waits, and lets nothing wait any more. On the executor.
  void cancel();

  SSL* ssl() const { return ssl_.get(); }
  tcp::socket& socket() { return socket_; }
  /// OpenSSL's words for kFailed.
  const std::string& fault() const { return fault_; }

 private:
  struct Watch;

  template <class Operation>
  asio::awaitable<End> drive(Operation operation, Moment until);
  asio::awaitable<End> wait(tcp::socket::wait_type what, Moment until);

  tcp::socket socket_;
  SslPtr ssl_;
  asio::steady_timer timer_;
  std::shared_ptr<Watch> watch_;
  std::string fault_;
};

}  // namespace capf::net
