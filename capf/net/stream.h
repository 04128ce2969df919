#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "capf/base/bytes.h"
#include "capf/base/wiped.h"
#include "capf/net/ciphertext.h"
#include "capf/net/coroutine.h"
#include "capf/net/pace.h"
#include "capf/net/tls.h"

namespace capf::net {

/// TLS straight on a TCP socket, without a buffer of its own. Everything happens on the socket's executor, which must
/// be one thread or a strand. One coroutine may read while another one writes.
///
/// After each 16 KiB that arrive, the thread returns to the event loop, and checks the deadline before the next ones. A
/// peer that is not trusted gets a twentieth of a processor; one that sends much TLS without data is kFailed.
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

  /// For a server: waits until the whole ClientHello is there, without reading it, so that a client that sends half of
  /// one costs no more than the connection.
  asio::awaitable<End> wait_for_hello(Moment until);
  /// A server's handshake, or a client's. A server's may be called again after kTimeout, and continues.
  asio::awaitable<End> accept(Moment until);
  asio::awaitable<End> connect(Moment until);
  /// Appends 1 to 16,384 octets that have arrived. After kTimeout the stream is still in order. It keeps no copy of
  /// them.
  asio::awaitable<End> read(Bytes& into, Moment until);
  asio::awaitable<End> read(WipedBytes& into, Moment until);
  /// Writes all of `data`, up to 16,384 octets in one record. After any end but kDone, do not write any more.
  asio::awaitable<End> write(BytesView data, Moment until);
  /// Sends close_notify, and waits until the other side has closed too, so that it can read the last message. No other
  /// coroutine may read or write any more.
  asio::awaitable<void> close(Moment until);
  /// Ends every wait, also later ones. On the executor.
  void cancel();

  /// The peer has authenticated: the stream reads as fast as it sends. A server that connect() has found is trusted.
  void trust() { trusted_ = true; }
  /// Adds the owner's work on the octets read to the share of a peer that is not trusted.
  void charge(Pace::Duration work);

  /// The protocol that ALPN chose; empty where it chose none.
  std::string_view protocol() const;
  SSL* ssl() const { return ssl_.get(); }
  tcp::socket& socket() { return socket_; }
  /// The cause of kFailed, in OpenSSL's words or ours.
  const std::string& fault() const { return fault_; }
  /// OpenSSL's reason for kFailed, one of SSL_R_…; 0 where it was not TLS itself that failed.
  int fault_reason() const { return fault_reason_; }

 private:
  /// The two coroutines that may wait; each has a timer.
  enum Who : std::size_t { kReader, kWriter };
  struct Watch;

  static void on_message(int sent, int version, int type, const void* data, std::size_t size, SSL* ssl, void* self);
  void count_message(int type);

  template <class Octets>
  asio::awaitable<End> read_into(Octets& into, Moment until);
  template <class Operation>
  asio::awaitable<End> drive(Who who, Operation operation, Moment until);
  asio::awaitable<End> wait(Who who, tcp::socket::wait_type what, Moment until);
  asio::awaitable<End> next_portion(Who who, Moment until);
  asio::awaitable<End> send_unsent(Who who, Moment until);
  /// Lets the reader sleep until `wake`.
  asio::awaitable<End> sleep(Moment wake, Moment until);
  bool must_rest(Moment now) const { return shaken_ && !trusted_ && pace_.ready() > now; }

  tcp::socket socket_;
  Ciphertext ciphertext_;
  SslPtr ssl_;
  std::array<asio::steady_timer, 2> timers_;
  std::shared_ptr<Watch> watch_;
  Pace pace_;
  bool shaken_ = false;  ///< the handshake is over
  bool trusted_ = false;
  int records_ = 0;   ///< of the peer, since it last sent data
  int messages_ = 0;  ///< key updates and alerts after the handshake
  const char* breach_ = nullptr;
  std::string fault_;
  int fault_reason_ = 0;
};

}  // namespace capf::net
