#include "capf/net/stream.h"

#include <algorithm>
#include <cerrno>
#include <span>
#include <utility>

#include <botan/mem_ops.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include "capf/net/hello.h"

namespace capf::net {
namespace {

using SteadyClock = asio::steady_timer::clock_type;

/// A connection's share: a twentieth of a processor, after a burst of a fiftieth of a second, many times what a session
/// takes. A connection over its share rests for a while, because it is the wake-ups that cost.
constexpr std::chrono::milliseconds kBurst{20};
constexpr int kSlowness = 20;
constexpr std::chrono::milliseconds kRest{100};
/// Enough for a handshake in records of a few octets; and the most records without data between two with data, where
/// TLS 1.0 puts one before each.
constexpr int kMostHandshakeRecords = 4096;
constexpr int kMostRecordsWithoutData = 64;
/// Key updates, alerts and attempts to renegotiate, of a whole connection.
constexpr int kMostMessages = 32;
/// The rest after a wake-up without new octets: a system short of memory may send such wake-ups.
constexpr std::chrono::milliseconds kAfterNothing{20};

void set_low_water(tcp::socket& socket, std::size_t octets) {
  error_code ignored;
  socket.set_option(asio::socket_base::receive_low_watermark(static_cast<int>(octets)), ignored);
}

/// How much of a ClientHello has arrived.
struct Look {
  bool broken = false;  ///< the connection
  std::size_t have = 0;
  std::size_t needs = 0;  ///< 0: it is whole, or no ClientHello
};

// The buffer is on the stack of this call, not in the coroutine, because ten thousand coroutines may wait.
Look look_at_hello(int socket) {
  std::array<std::uint8_t, kMostOctetsForHello> octets;
  const auto got = ::recv(socket, octets.data(), octets.size(), MSG_PEEK | MSG_DONTWAIT);
  if (got == 0) return {true};
  if (got < 0) return {errno != EAGAIN && errno != EINTR, 0, hello_needs({})};
  const BytesView seen(octets.data(), static_cast<std::size_t>(got));
  return {false, seen.size(), hello_needs(seen)};
}

/// Wipes octets at the end, also where there is no memory to copy them to.
class Scrubbing {
 public:
  explicit Scrubbing(std::span<std::uint8_t> octets) : octets_(octets) {}
  ~Scrubbing() { Botan::secure_scrub_memory(octets_.data(), octets_.size()); }
  Scrubbing(const Scrubbing&) = delete;
  Scrubbing& operator=(const Scrubbing&) = delete;

 private:
  const std::span<std::uint8_t> octets_;
};

}  // namespace

/// The state that a timer may use when it fires; outlives the stream.
struct TlsStream::Watch {
  struct Wait {
    std::uint64_t number = 0;  ///< of the current wait
    bool timed_out = false;
  };
  tcp::socket* socket = nullptr;  ///< null once the stream is gone
  std::array<Wait, 2> waits;
  bool cancelled = false;
};

TlsStream::TlsStream(tcp::socket socket, SSL_CTX* context)
    : socket_(std::move(socket)),
      ciphertext_(socket_.native_handle()),
      ssl_(SSL_new(context)),
      timers_{asio::steady_timer(socket_.get_executor()), asio::steady_timer(socket_.get_executor())},
      watch_(std::make_shared<Watch>()),
      pace_(kBurst, kSlowness) {
  CAPF_INVARIANT(ssl_);
  error_code ignored;
  socket_.non_blocking(true, ignored);
  socket_.set_option(tcp::no_delay(true), ignored);
  BIO* const bio = ciphertext_.make_bio();
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_options(ssl_.get(), SSL_OP_CLEANSE_PLAINTEXT);  // passwords arrive
  SSL_set_msg_callback(ssl_.get(), on_message);
  SSL_set_msg_callback_arg(ssl_.get(), this);
  watch_->socket = &socket_;
}

TlsStream::~TlsStream() { watch_->socket = nullptr; }

void TlsStream::on_message(int sent, int, int type, const void*, std::size_t, SSL*, void* self) {
  if (sent == 0) static_cast<TlsStream*>(self)->count_message(type);
}

void TlsStream::count_message(int type) {
  if (type == SSL3_RT_HEADER) {
    if (++records_ > (shaken_ ? kMostRecordsWithoutData : kMostHandshakeRecords))
      breach_ = "too many records without data";
  } else if (shaken_ && (type == SSL3_RT_HANDSHAKE || type == SSL3_RT_ALERT)) {
    if (++messages_ > kMostMessages) breach_ = "too many messages without data";
  }
  if (breach_ != nullptr) ciphertext_.stop();
}

void TlsStream::charge(Pace::Duration work) {
  if (shaken_ && !trusted_) pace_.spend(work, SteadyClock::now());
}

asio::awaitable<TlsStream::End> TlsStream::wait(Who who, tcp::socket::wait_type what, Moment until) {
  Watch& watch = *watch_;
  Watch::Wait& own = watch.waits[who];
  asio::steady_timer& timer = timers_[who];
  for (;;) {
    if (watch.cancelled) co_return End::kCancelled;
    own.timed_out = false;
    timer.expires_at(until);
    timer.async_wait([shared = watch_, who, number = ++own.number](const error_code& error) {
      Watch::Wait& wait = shared->waits[who];
      if (error || shared->socket == nullptr || wait.number != number) return;
      wait.timed_out = true;
      error_code ignored;
      shared->socket->cancel(ignored);
    });
    error_code error;
    co_await socket_.async_wait(what, asio::redirect_error(asio::use_awaitable, error));
    ++own.number;
    timer.cancel();
    ciphertext_.renew();
    if (watch.cancelled) co_return End::kCancelled;
    if (own.timed_out) co_return End::kTimeout;
    if (!error) co_return End::kDone;
    // Cancelling a socket wakes both waiters, also when only one of them has timed out.
    if (error != asio::error::operation_aborted || !socket_.is_open()) co_return End::kClosed;
  }
}

asio::awaitable<TlsStream::End> TlsStream::next_portion(Who who, Moment until) {
  co_await asio::post(socket_.get_executor(), asio::use_awaitable);
  ciphertext_.renew();
  if (watch_->cancelled) co_return End::kCancelled;
  const Moment now = SteadyClock::now();
  if (now >= until) co_return End::kTimeout;
  if (who == kReader && must_rest(now)) co_return co_await sleep(pace_.ready() + kRest, until);
  co_return End::kDone;
}

asio::awaitable<TlsStream::End> TlsStream::sleep(Moment wake, Moment until) {
  const bool in_time = wake < until;
  timers_[kReader].expires_at(std::min(wake, until));
  error_code ignored;
  co_await timers_[kReader].async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  ciphertext_.renew();
  if (watch_->cancelled) co_return End::kCancelled;
  co_return in_time ? End::kDone : End::kTimeout;
}

template <class Operation>
asio::awaitable<TlsStream::End> TlsStream::drive(Who who, Operation operation, Moment until) {
  for (;;) {
    if (watch_->cancelled) co_return End::kCancelled;
    ERR_clear_error();
    const bool counts = shaken_ && !trusted_;
    const auto before = counts ? thread_work() : Pace::Duration::zero();
    const int result = operation();
    if (counts) charge(thread_work() - before);
    const int error = result > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), result);
    const unsigned long code = result > 0 ? 0 : ERR_get_error();
    ERR_clear_error();
    if (breach_ != nullptr && result <= 0) {
      fault_ = breach_;
      co_return End::kFailed;
    }
    if (ciphertext_.has_unsent() && !shaken_) {
      const End end = co_await send_unsent(who, until);
      if (end != End::kDone) co_return end;
    }
    End end = End::kDone;
    switch (error) {
      case SSL_ERROR_NONE: co_return End::kDone;
      case SSL_ERROR_WANT_READ:
        if (ciphertext_.used_up()) {
          end = co_await next_portion(who, until);
        } else {
          end = co_await wait(who, tcp::socket::wait_read, until);
        }
        break;
      case SSL_ERROR_ZERO_RETURN:
      case SSL_ERROR_SYSCALL: co_return End::kClosed;
      default: {
        if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
          co_return End::kClosed;
        }
        if (ERR_GET_LIB(code) == ERR_LIB_SSL) fault_reason_ = ERR_GET_REASON(code);
        const char* words = ERR_reason_error_string(code);
        fault_ = words != nullptr ? words : "TLS error";
        co_return End::kFailed;
      }
    }
    if (end != End::kDone) co_return end;
  }
}

asio::awaitable<TlsStream::End> TlsStream::send_unsent(Who who, Moment until) {
  for (;;) {
    switch (ciphertext_.send_unsent()) {
      case Ciphertext::Sent::kAll: co_return End::kDone;
      case Ciphertext::Sent::kBroken: co_return End::kClosed;
      case Ciphertext::Sent::kLater: break;
    }
    const End end = co_await wait(who, tcp::socket::wait_write, until);
    if (end != End::kDone) co_return end;
  }
}

asio::awaitable<TlsStream::End> TlsStream::wait_for_hello(Moment until) {
  const int socket = socket_.native_handle();
  Look before;
  bool gone = false;
  for (;;) {
    const Look look = look_at_hello(socket);
    if (look.broken) co_return End::kClosed;
    if (look.have >= look.needs) break;
    if (gone) co_return End::kClosed;  // it had closed before this look, so no more will come
    // A wake-up with too few octets is no sign of a close: an earlier part may have caused it.
    End end = End::kDone;
    if (before.needs == look.needs && before.have == look.have) {
      end = co_await sleep(SteadyClock::now() + kAfterNothing, until);
      before = {};
    } else {
      set_low_water(socket_, look.needs);
      end = co_await wait(kReader, tcp::socket::wait_read, until);
      before = look;
    }
    if (end != End::kDone) co_return end;
    gone = has_gone(socket);
  }
  set_low_water(socket_, 1);
  co_return End::kDone;
}

asio::awaitable<TlsStream::End> TlsStream::accept(Moment until) {
  SSL* const ssl = ssl_.get();
  if (SSL_in_before(ssl)) SSL_set_accept_state(ssl);
  const auto shake = [ssl] { return SSL_do_handshake(ssl); };
  const End end = co_await drive(kReader, shake, until);
  if (end == End::kDone) shaken_ = true;
  records_ = 0;
  co_return end;
}

asio::awaitable<TlsStream::End> TlsStream::connect(Moment until) {
  SSL* const ssl = ssl_.get();
  SSL_set_connect_state(ssl);
  trusted_ = true;
  const auto shake = [ssl] { return SSL_do_handshake(ssl); };
  const End end = co_await drive(kReader, shake, until);
  if (end == End::kDone) shaken_ = true;
  records_ = 0;
  co_return end;
}

template <class Octets>
asio::awaitable<TlsStream::End> TlsStream::read_into(Octets& into, Moment until) {
  const Moment now = SteadyClock::now();
  if (now >= until) co_return End::kTimeout;
  if (must_rest(now)) {
    const End end = co_await sleep(pace_.ready() + kRest, until);
    if (end != End::kDone) co_return end;
  }
  SSL* const ssl = ssl_.get();
  Octets* const all = &into;
  // The buffer is on the stack of the call, not in the coroutine, because ten thousand coroutines may wait.
  const auto read = [ssl, all] {
    std::array<std::uint8_t, 16384> octets;
    std::size_t got = 0;
    const int result = SSL_read_ex(ssl, octets.data(), octets.size(), &got);
    const Scrubbing scrubbing{std::span(octets).first(got)};
    if (result > 0) all->insert(all->end(), octets.begin(), octets.begin() + static_cast<std::ptrdiff_t>(got));
    return result;
  };
  const End end = co_await drive(kReader, read, until);
  records_ = 0;
  ciphertext_.send_unsent();  // the answer to a key update, where no writer sends it; it may fail again
  co_return end;
}

asio::awaitable<TlsStream::End> TlsStream::read(Bytes& into, Moment until) { return read_into(into, until); }

asio::awaitable<TlsStream::End> TlsStream::read(WipedBytes& into, Moment until) { return read_into(into, until); }

asio::awaitable<TlsStream::End> TlsStream::write(BytesView data, Moment until) {
  while (!data.empty()) {
    const BytesView piece = data.first(std::min<std::size_t>(data.size(), SSL3_RT_MAX_PLAIN_LENGTH));
    data = data.subspan(piece.size());
    SSL* const ssl = ssl_.get();
    const auto write = [ssl, piece] {
      std::size_t written = 0;
      return SSL_write_ex(ssl, piece.data(), piece.size(), &written);
    };
    End end = co_await drive(kWriter, write, until);
    if (end == End::kDone && ciphertext_.has_unsent()) end = co_await send_unsent(kWriter, until);
    if (end == End::kDone && !data.empty()) end = co_await next_portion(kWriter, until);
    if (end != End::kDone) co_return end;
  }
  co_return End::kDone;
}

asio::awaitable<void> TlsStream::close(Moment until) {
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  error_code error;
  if (ciphertext_.has_unsent()) co_await send_unsent(kWriter, until);
  socket_.shutdown(tcp::socket::shutdown_send, error);
  // Discards the octets that still arrive, because closing with octets unread would reset the connection.
  std::size_t left = 1 << 18;
  while (!error && left > 0) {
    std::array<std::uint8_t, 2048> octets;
    const auto got = ::recv(socket_.native_handle(), octets.data(), octets.size(), MSG_DONTWAIT);
    if (got == 0) break;
    End end = End::kDone;
    if (got > 0) {
      left -= std::min(left, static_cast<std::size_t>(got));
      end = co_await next_portion(kWriter, until);
    } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
      break;
    } else {
      end = co_await wait(kReader, tcp::socket::wait_read, until);
    }
    if (end != End::kDone) break;
  }
  socket_.close(error);
}

void TlsStream::cancel() {
  watch_->cancelled = true;
  error_code ignored;
  socket_.cancel(ignored);
  for (asio::steady_timer& timer : timers_) timer.cancel();
}

std::string_view TlsStream::protocol() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return as_text(BytesView(name, size));
}

}  // namespace capf::net
