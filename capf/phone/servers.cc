#include "capf/phone/servers.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include <openssl/x509.h>

#include "capf/net/coroutine.h"
#include "capf/net/stream.h"
#include "capf/phone/dial.h"
#include "capf/phone/vouching.h"

// Behind capf/net/asio.h.
#include <boost/beast/http.hpp>

namespace capf::phone {
namespace {

namespace asio = net::asio;
namespace http = boost::beast::http;
using net::Moment;
using net::tcp;
using Time = asio::steady_timer::clock_type;
using End = net::TlsStream::End;

constexpr std::chrono::seconds kPatience{30};
constexpr std::chrono::seconds kGoodbye{1};
constexpr std::size_t kLargestHeader = 8192;
constexpr std::size_t kPortion = 16384;

Result<Certificate> shown_certificate(const SSL* ssl) {
  X509* const shown = SSL_get0_peer_certificate(ssl);
  unsigned char* data = nullptr;
  const int size = shown == nullptr ? 0 : i2d_X509(shown, &data);
  if (size <= 0) return fail(Reason::kInvalidCertificate, "the server shows no certificate");
  const std::unique_ptr<unsigned char, void (*)(unsigned char*)> owned(data,
                                                                       [](unsigned char* each) { OPENSSL_free(each); });
  return Certificate::read(BytesView(data, static_cast<std::size_t>(size)));
}

/// One connection to a server, in which everything ends at one time.
class Call {
 public:
  Call(asio::io_context& context, std::string address)
      : address_(std::move(address)), socket_(std::make_shared<tcp::socket>(context)), timer_(context, until_) {
    timer_.async_wait([weak = std::weak_ptr(socket_)](const net::error_code& stopped) {
      net::error_code ignored;
      if (const auto still = weak.lock(); still && !stopped) still->close(ignored);
    });
  }
  ~Call() {
    net::error_code ignored;
    timer_.cancel(ignored);
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  /// By TLS where `tls` is given.
  asio::awaitable<Status> connect(SSL_CTX* tls, const Servers::Believe& believe) {
    const auto endpoints = resolve(address_);
    if (!endpoints) co_return fail(endpoints.error());
    net::error_code error = asio::error::host_not_found;
    for (const tcp::endpoint& endpoint : *endpoints) {
      if (Time::now() >= until_) break;
      net::error_code ignored;
      socket_->close(ignored);
      co_await socket_->async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
      if (!error) break;
    }
    if (error) co_return away(error.message());
    if (tls == nullptr) co_return Status();
    stream_.emplace(std::move(*socket_), tls);
    const End end = co_await stream_->connect(until_);
    if (end != End::kDone) co_return away(end == End::kFailed ? stream_->fault() : "it ended the handshake of TLS");
    const Result<Certificate> shown = shown_certificate(stream_->ssl());
    if (!shown) co_return fail(shown.error());
    co_return believe(*shown);
  }

  asio::awaitable<Status> write(BytesView octets) {
    if (stream_) {
      // A question is short; one record has up to 16 KiB.
      for (; !octets.empty(); octets = octets.subspan(std::min(octets.size(), kPortion))) {
        const BytesView portion = octets.first(std::min(octets.size(), kPortion));
        const End end = co_await stream_->write(portion, until_);
        if (end != End::kDone) co_return away("it does not take what is sent");
      }
      co_return Status();
    }
    net::error_code error;
    co_await asio::async_write(*socket_, asio::buffer(octets.data(), octets.size()),
                               asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return away(error.message());
    co_return Status();
  }

  /// Appends what has arrived. False: the server has closed.
  asio::awaitable<Result<bool>> read(Bytes& into) {
    if (stream_) {
      const End end = co_await stream_->read(into, until_);
      if (end == End::kClosed) co_return false;
      if (end != End::kDone) co_return away("it does not answer as it must");
      co_return true;
    }
    net::error_code error;
    const std::size_t before = into.size();
    into.resize(before + kPortion);
    const std::size_t count = co_await socket_->async_read_some(asio::buffer(into.data() + before, kPortion),
                                                                asio::redirect_error(asio::use_awaitable, error));
    into.resize(before + count);
    if (error == asio::error::eof) co_return false;
    if (error) co_return away(Time::now() >= until_ ? "it does not answer in time" : error.message());
    co_return true;
  }

  asio::awaitable<void> close() {
    if (stream_) co_await stream_->close(std::min(until_, Time::now() + kGoodbye));
  }

  tl::unexpected<Error> away(const std::string& why) const {
    return fail(Reason::kServerNotReached, address_ + ": " + why);
  }
  const std::string& address() const { return address_; }

 private:
  std::string address_;
  Moment until_ = Time::now() + kPatience;
  std::shared_ptr<tcp::socket> socket_;
  asio::steady_timer timer_;
  std::optional<net::TlsStream> stream_;
};

using Parser = http::response_parser<http::vector_body<std::uint8_t>>;

/// The body of an answer. Nothing where there is no such file.
Result<std::optional<Bytes>> outcome(Parser& parser, const Call& call) {
  const unsigned status = parser.get().result_int();
  if (status == 404) return std::nullopt;
  if (status != 200) return call.away("it answers with the status " + std::to_string(status));
  return std::move(parser.get().body());
}

asio::awaitable<Result<std::optional<Bytes>>> receive(Call& call, std::size_t limit) {
  Parser parser;
  parser.header_limit(kLargestHeader);
  parser.body_limit(limit);
  parser.eager(true);
  Bytes buffer;
  while (!parser.is_done()) {
    const Result<bool> more = co_await call.read(buffer);
    if (!more) co_return fail(more.error());
    net::error_code error;
    if (!*more) {
      if (parser.got_some()) parser.put_eof(error);
      if (error || !parser.is_done()) co_return call.away("it closed in the middle of its answer");
      break;
    }
    while (!buffer.empty() && !parser.is_done()) {
      const std::size_t used = parser.put(asio::buffer(buffer), error);
      buffer.erase(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(used));
      if (error || used == 0) break;
    }
    if (error == http::error::body_limit) {
      co_return fail(Reason::kFileMalformed, "the file is larger than " + std::to_string(limit) + " octets");
    }
    if (error && error != http::error::need_more) co_return call.away("its answer is no HTTP: " + error.message());
    // The parser limits the header, but not the line before a chunk and the trailer.
    if (!parser.is_done() && buffer.size() > kLargestHeader) co_return call.away("a line of its answer does not end");
  }
  co_return outcome(parser, call);
}

asio::awaitable<Result<std::optional<Bytes>>> get(Call& call, SSL_CTX* tls, const std::string& name, std::size_t limit,
                                                  const Servers::Believe& believe) {
  const Status connected = co_await call.connect(tls, believe);
  if (!connected) co_return fail(connected.error());
  const std::string request = "GET /" + name + " HTTP/1.1\r\nHost: " + call.address() + "\r\nConnection: close\r\n\r\n";
  const Status sent = co_await call.write(as_bytes(request));
  if (!sent) co_return fail(sent.error());
  Result<std::optional<Bytes>> received = co_await receive(call, limit);
  co_await call.close();
  co_return received;
}

asio::awaitable<Result<Bytes>> question(Call& call, SSL_CTX* tls, BytesView octets, const Servers::Believe& believe) {
  const Status connected = co_await call.connect(tls, believe);
  if (!connected) co_return fail(connected.error());
  const Status sent = co_await call.write(octets);
  if (!sent) co_return fail(sent.error());
  Bytes answer;
  const auto wanted = [&] {
    if (answer.size() < kAnswerHead) return kAnswerHead;
    return kAnswerHead + static_cast<std::size_t>(answer[8] << 8 | answer[9]);
  };
  while (answer.size() < wanted()) {
    const Result<bool> more = co_await call.read(answer);
    if (!more) co_return fail(more.error());
    if (!*more) co_return call.away("it closed without an answer");
  }
  co_await call.close();
  co_return answer;
}

/// Runs the call to its end, and not until its timer's.
template <class T>
Result<T> run(asio::io_context& context, asio::awaitable<Result<T>> call) {
  Result<T> result = fail(Reason::kServerNotReached);
  asio::co_spawn(context, std::move(call), [&](const std::exception_ptr& thrown, Result<T> done) {
    if (!thrown) result = std::move(done);
    context.stop();
  });
  context.run();
  return result;
}

/// The first server's result that is not away.
template <class T, class One>
Result<T> first_of(const std::vector<std::string>& addresses, const One& one) {
  Result<T> result = fail(Reason::kServerNotReached, "there is no such server");
  for (const std::string& address : addresses) {
    asio::io_context context{1};
    Call call(context, address);
    result = run<T>(context, one(call));
    if (result || result.error().reason != Reason::kServerNotReached) break;
  }
  return result;
}

}  // namespace

Result<std::optional<Bytes>> NetworkServers::fetch(const std::string& name, std::size_t limit) {
  const Believe nobody;
  return first_of<std::optional<Bytes>>(addresses_.files,
                                        [&](Call& call) { return get(call, nullptr, name, limit, nobody); });
}

Result<std::optional<Bytes>> NetworkServers::fetch_secure(const std::string& name, std::size_t limit,
                                                          const Believe& believe) {
  CAPF_LET(const auto tls, make_client_tls(addresses_.tls_1_0));
  return first_of<std::optional<Bytes>>(addresses_.files_tls,
                                        [&](Call& call) { return get(call, tls.get(), name, limit, believe); });
}

Result<Bytes> NetworkServers::ask(const std::vector<std::string>& addresses, BytesView octets, const Believe& believe) {
  CAPF_LET(const auto tls, make_client_tls(addresses_.tls_1_0));
  return first_of<Bytes>(addresses, [&](Call& call) { return question(call, tls.get(), octets, believe); });
}

}  // namespace capf::phone
