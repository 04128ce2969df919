#include "capf/phone/line.h"

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "capf/net/coroutine.h"
#include "capf/net/stream.h"
#include "capf/net/tls.h"
#include "capf/phone/dial.h"

namespace capf::phone {
namespace {

namespace asio = net::asio;
using net::Moment;
using net::tcp;
using wire::Command;
using wire::Message;
using End = net::TlsStream::End;
using Time = asio::steady_timer::clock_type;

/// How long to wait for each answer of the server.
constexpr std::chrono::seconds kPatience{30};
constexpr std::chrono::seconds kBetweenInProgress{10};
constexpr std::chrono::seconds kGoodbye{3};

/// The handshake proves that the server has the key, so it is enough that its certificate is a known one.
int is_pinned(X509_STORE_CTX* chain, void* pinned) {
  unsigned char* data = nullptr;
  const int size = i2d_X509(X509_STORE_CTX_get0_cert(chain), &data);
  bool found = false;
  if (size > 0) {
    const BytesView shown(data, static_cast<std::size_t>(size));
    for (const Bytes& known : *static_cast<const std::vector<Bytes>*>(pinned)) {
      found = found || std::equal(known.begin(), known.end(), shown.begin(), shown.end());
    }
    OPENSSL_free(data);
  }
  X509_STORE_CTX_set_error(chain, found ? X509_V_OK : X509_V_ERR_CERT_UNTRUSTED);
  return found ? 1 : 0;
}

}  // namespace

struct LineParts {
  LineSettings settings;
  std::vector<std::vector<tcp::endpoint>> servers;
  std::vector<Bytes> pinned;
  net::SslContextPtr tls;
};

namespace {

/// One session over one connection.
class Call {
 public:
  /// @param first index of the server to begin with
  Call(const LineParts& line, asio::io_context& context, DeskPhone& desk, std::size_t first)
      : line_(line), context_(context), desk_(desk), first_(first) {}

  asio::awaitable<Result<Done>> run() {
    desk_.restart();
    const Status connected = co_await connect();
    if (!connected) co_return fail(connected.error());
    for (;;) {
      const Result<Message> message = co_await receive();
      if (!message) co_return fail(message.error());
      if (line_.settings.drop_after == message->command) co_return dropped(message->command);
      if (message->command == Command::kEndSession) {
        const Result<Done> done = desk_.end(*message);
        co_await stream_->close(Time::now() + kGoodbye);
        co_return done;
      }
      if (message->command == Command::kKeyGenerateRequest) {
        const Result<bool> waited = co_await take_time();
        if (!waited) co_return fail(waited.error());
        if (!*waited) continue;
      }
      const Result<Bytes> answer = desk_.answer(*message);
      if (!answer) co_return fail(answer.error());
      const Status sent = co_await send(*answer);
      if (!sent) co_return fail(sent.error());
    }
  }

 private:
  /// Connects to the first server that is there.
  asio::awaitable<Status> connect() {
    Status connected;
    for (std::size_t i = 0; i < line_.servers.size(); ++i) {
      connected = co_await connect(line_.servers[(first_ + i) % line_.servers.size()]);
      if (connected || connected.error().code() != Code::kUnavailable) break;
    }
    co_return connected;
  }

  asio::awaitable<Status> connect(const std::vector<tcp::endpoint>& server) {
    net::error_code error = asio::error::host_not_found;
    for (const tcp::endpoint& endpoint : server) {
      const auto socket = std::make_shared<tcp::socket>(context_);
      if (!leave_from(*socket, endpoint, error)) continue;
      asio::steady_timer timer(context_, kPatience);
      timer.async_wait([weak = std::weak_ptr(socket)](const net::error_code& stopped) {
        net::error_code ignored;
        if (const auto still = weak.lock(); still && !stopped) still->cancel(ignored);
      });
      co_await socket->async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
      timer.cancel();
      if (error) continue;
      stream_.emplace(std::move(*socket), line_.tls.get());
      const End end = co_await stream_->connect(Time::now() + kPatience);
      if (end == End::kDone) co_return Status();
      if (SSL_get_verify_result(stream_->ssl()) == X509_V_ERR_CERT_UNTRUSTED) {
        co_return fail(Reason::kInvalidCertificate, "the server's certificate is not the one that is trusted");
      }
      co_return fail(Reason::kServerNotReached,
                     "TLS: " + (end == End::kFailed ? stream_->fault() : std::string("the server went away")));
    }
    co_return fail(Reason::kServerNotReached, error.message());
  }

  /// Gives the socket the address that is this phone's among the loopback addresses.
  bool leave_from(tcp::socket& socket, const tcp::endpoint& server, net::error_code& error) const {
    const std::uint32_t count = line_.settings.addresses;
    if (count <= 1 || !server.address().is_v4() || !server.address().is_loopback()) return true;
    constexpr std::uint32_t kFirst = 0x7F010000;  // 127.1.0.0
    const auto number = static_cast<std::uint32_t>(std::hash<std::string>()(desk_.device()) % count);
    socket.open(tcp::v4(), error);
    if (!error) socket.bind({asio::ip::address_v4(kFirst + number), 0}, error);
    return !error;
  }

  /// The next message. Its views hold until the next call.
  asio::awaitable<Result<Message>> receive() {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(std::exchange(used_, 0)));
    const Moment until = Time::now() + kPatience;
    for (;;) {
      const wire::Taken taken = wire::take_frame(buffer_, wire::kLongestAccepted);
      if (const auto* frame = std::get_if<wire::Frame>(&taken)) {
        used_ = frame->size();
        greeted_ = true;
        const auto read = wire::read_message(*frame);
        if (const auto* message = std::get_if<Message>(&read)) co_return *message;
      }
      if (!std::holds_alternative<wire::More>(taken)) {
        co_return fail(Reason::kMessageMalformed, "the server's message breaks the protocol");
      }
      const End end = co_await stream_->read(buffer_, until);
      if (end != End::kDone) co_return broken(end);
    }
  }

  asio::awaitable<Status> send(const Bytes& octets) {
    const auto command = static_cast<Command>(octets[1]);
    const End end = co_await stream_->write(octets, Time::now() + kPatience);
    if (end != End::kDone) co_return broken(end);
    if (line_.settings.drop_after == command) co_return dropped(command);
    co_return Status();
  }

  /// Waits as long as a key takes. False where the server sent something meanwhile.
  asio::awaitable<Result<bool>> take_time() {
    const Moment until = Time::now() + line_.settings.key_delay;
    for (;;) {
      const Result<Bytes> in_progress = desk_.in_progress();
      if (!in_progress) co_return fail(in_progress.error());
      const Status sent = co_await send(*in_progress);
      if (!sent) co_return fail(sent.error());
      if (Time::now() >= until) co_return true;
      const End end = co_await stream_->read(buffer_, std::min<Moment>(until, Time::now() + kBetweenInProgress));
      if (end == End::kDone) co_return false;
      if (end != End::kTimeout) co_return broken(end);
      if (Time::now() >= until) co_return true;
    }
  }

  tl::unexpected<Error> broken(End end) const {
    if (end == End::kFailed) return fail(Reason::kServerNotReached, "TLS: " + stream_->fault());
    if (end == End::kTimeout) return fail(Reason::kServerNotReached, "the server did not answer in time");
    if (!greeted_) return fail(Reason::kServerNotReached, "the server closed the connection before it said anything");
    return fail(Reason::kOverloaded, "the server closed the connection without ending the session: it cannot say now");
  }

  static tl::unexpected<Error> dropped(Command command) {
    return fail(Reason::kPhoneCommunication, "dropped the connection after " + wire::describe(command));
  }

  const LineParts& line_;
  asio::io_context& context_;
  DeskPhone& desk_;
  std::size_t first_;
  std::optional<net::TlsStream> stream_;
  Bytes buffer_;
  std::size_t used_ = 0;  ///< octets of the last message read
  bool greeted_ = false;
};

asio::awaitable<Result<Done>> come(const LineParts& line, asio::io_context& context, const Phone& phone,
                                   const Folder& folder, KeySource& keys) {
  DeskPhone desk(phone, line.settings.version, line.settings.sudi, folder, keys);
  for (int tried = 1;; ++tried) {
    Result<Done> done = fail(Reason::kServerNotReached);
    {
      Call call(line, context, desk, std::hash<std::string>()(phone.device) + static_cast<std::size_t>(tried));
      done = co_await call.run();
    }
    if (done || tried >= line.settings.tries || done.error().code() != Code::kUnavailable) co_return done;
    asio::steady_timer timer(context, line.settings.pause);
    co_await timer.async_wait(asio::use_awaitable);
  }
}

/// The state that the phones of a load share. One thread.
struct Fleet {
  const PhoneOf& phone_of;
  const Folder& folder;
  KeySource& keys;
  Arrivals arrivals;
  asio::io_context context{1};
};

asio::awaitable<Status> come_as(const LineParts& line, Fleet& fleet, const Result<std::string>& device) {
  if (!device) co_return fail(device.error());
  const Result<Phone> phone = fleet.phone_of(*device);
  if (!phone) co_return fail(phone.error());
  const Result<Done> done = co_await come(line, fleet.context, *phone, fleet.folder, fleet.keys);
  if (!done) co_return fail(done.error());
  co_return Status();
}

/// One phone after another.
asio::awaitable<void> work(const LineParts& line, Fleet& fleet) {
  while (const auto arrival = fleet.arrivals.next()) {
    asio::steady_timer timer(fleet.context, arrival->due);
    co_await timer.async_wait(asio::use_awaitable);
    const Status done = co_await come_as(line, fleet, arrival->device);
    fleet.arrivals.finish(*arrival, done);
  }
}

asio::awaitable<void> come_once(const LineParts& line, asio::io_context& context, const Phone& phone,
                                const Folder& folder, KeySource& keys, Result<Done>& done) {
  done = co_await come(line, context, phone, folder, keys);
}

}  // namespace

const std::map<std::string, Command>& message_names() {
  static const std::map<std::string, Command> names{
      {"auth-request", Command::kAuthRequest},       {"auth-response", Command::kAuthResponse},
      {"key-request", Command::kKeyGenerateRequest}, {"key-response", Command::kKeyGenerateResponse},
      {"in-progress", Command::kRequestInProgress},  {"store-request", Command::kStoreRequest},
      {"store-response", Command::kStoreResponse},   {"fetch-request", Command::kFetchRequest},
      {"fetch-response", Command::kFetchResponse},   {"delete-request", Command::kDeleteRequest},
      {"delete-response", Command::kDeleteResponse}, {"end-session", Command::kEndSession}};
  return names;
}

Line::Line(std::unique_ptr<const LineParts> parts) : parts_(std::move(parts)) {}
Line::~Line() = default;
Line::Line(Line&&) noexcept = default;

Result<Line> Line::open(const client::Endpoint& server, const LineSettings& settings) {
  auto parts = std::make_unique<LineParts>();
  parts->settings = settings;
  for (const std::string& address : server.addresses) {
    CAPF_LET(auto endpoints, resolve(address));
    parts->servers.push_back(std::move(endpoints));
  }
  CAPF_LET(parts->pinned, client::parse_certificates(server.trust_pem));
  if (parts->pinned.empty()) return fail(Reason::kInvalidCertificate, "there is no certificate to trust a server by");
  CAPF_LET(parts->tls, make_client_tls(settings.tls_1_0));
  SSL_CTX* const tls = parts->tls.get();
  SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(tls, is_pinned, &parts->pinned);
  return Line(std::move(parts));
}

Result<Done> Line::visit(const Phone& phone, const Folder& folder, KeySource& keys) const {
  asio::io_context context{1};
  Result<Done> done = fail(Reason::kServerNotReached);
  asio::co_spawn(context, come_once(*parts_, context, phone, folder, keys, done), asio::detached);
  context.run();
  return done;
}

std::chrono::duration<double> Line::run(const Load& load, const PhoneOf& phone_of, const Folder& folder,
                                        KeySource& keys, Tally& tally, const OnRefusal& on_refusal) const {
  Fleet fleet{phone_of, folder, keys, Arrivals(load, tally, on_refusal)};
  const std::uint64_t at_once = std::min<std::uint64_t>(load.concurrency, load.count);
  for (std::uint64_t i = 0; i < at_once; ++i) {
    asio::co_spawn(fleet.context, work(*parts_, fleet), asio::detached);
  }
  fleet.context.run();
  return fleet.arrivals.elapsed();
}

}  // namespace capf::phone
