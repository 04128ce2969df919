#include <atomic>
#include <functional>
#include <future>
#include <list>
#include <mutex>
#include <vector>

#include <botan/ec_group.h>
#include <botan/ecdsa.h>
#include <botan/rsa.h>
#include <botan/system_rng.h>
#include <catch2/catch.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include "capf/base/descriptor.h"
#include "capf/net/hello.h"
#include "capf/net/tls.h"
#include "capf/wire/listener.h"
#include "tests/support/tls_client.h"
#include "tests/support/wire.h"

// The listener over real sockets on loopback, with a service that the test plays.

namespace {

using namespace capf::wire;
using namespace std::chrono_literals;
using capf::Bytes;
using capf::BytesView;
using capf::Descriptor;
using capf::Reason;
using capf::Result;
using capf::net::TlsContext;
using capf::net::TlsIdentity;
using capf::test::ClientOptions;
using capf::test::connect_to;
using capf::test::identity_of;
using capf::test::is_closed;
using capf::test::TlsClient;
using Catch::Matchers::UnorderedEquals;

const std::string kName = "CAPF-00000000/XX/Site";

const TlsIdentity& rsa_identity() {
  static const TlsIdentity identity = identity_of(kName, Botan::RSA_PrivateKey(Botan::system_rng(), 2048));
  return identity;
}
TlsIdentity ec_identity() {
  return identity_of(kName, Botan::ECDSA_PrivateKey(Botan::system_rng(), Botan::EC_Group("secp256r1")));
}
std::shared_ptr<const TlsContext> tls(bool legacy = false) {
  return TlsContext::make({{rsa_identity(), ec_identity()}, legacy}).value();
}

/// The service's answers, the same for every session, and the questions it was asked.
struct Office {
  std::mutex mutex;
  std::vector<std::string> asked;
  std::vector<Reason> refused;
  capf::OperationKind kind = capf::OperationKind::kInstall;
  std::optional<Reason> says_no;
  std::function<void()> before_answer = [] {};
  std::function<void()> before_record = [] {};

  OpenDesk open() {
    return [this](const capf::Address&, std::uint32_t) { return std::make_unique<Clerk>(*this); };
  }
  /// In no order where several connections were refused: each is answered first.
  std::vector<Reason> refusals() {
    const std::lock_guard lock(mutex);
    return refused;
  }

 private:
  class Clerk final : public Desk {
   public:
    explicit Clerk(Office& office) : office_(office) {}
    Answer answer(const Question& question) override {
      office_.before_answer();
      const std::lock_guard lock(office_.mutex);
      if (office_.says_no) return capf::fail(*office_.says_no).value();
      if (const auto* begin = std::get_if<Begin>(&question)) {
        office_.asked.push_back(begin->device.text());
        return Begun{office_.kind, {}, 0};
      }
      if (std::holds_alternative<Issue>(question)) return Issued{Bytes(900, 0x30)};
      return Done{};
    }
    void refused(const capf::Error& why) override {
      office_.before_record();
      const std::lock_guard lock(office_.mutex);
      office_.refused.push_back(why.reason);
    }

   private:
    Office& office_;
  };
};

ListenerSettings settings() {
  ListenerSettings settings;
  settings.addresses = {"127.0.0.1:0"};
  settings.io_threads = 2;
  return settings;
}

/// A phone that blocks.
class Phone : public TlsClient {
 public:
  using TlsClient::TlsClient;

  /// One record, which must be one message; nothing where the server has closed.
  std::optional<Message> hear() {
    octets_ = hear_octets();
    if (octets_.empty()) return std::nullopt;
    const Taken taken = take_frame(octets_);
    REQUIRE(std::holds_alternative<Frame>(taken));
    REQUIRE(std::get<Frame>(taken).size() == octets_.size());
    const auto message = std::get<Message>(read_message(std::get<Frame>(taken)));
    session_ = message.session_id;
    return message;
  }
  bool hears(Command command, std::optional<std::uint8_t> reason = {}) {
    const auto message = hear();
    return message && message->command == command && message->reason == reason;
  }
  void say(Message message) {
    message.session_id = session_;
    say_octets(encode(message).value());
  }
  void say_name(std::string_view device = "SEP001122334455") {
    Message auth{Command::kAuthResponse};
    auth.reason = 1;
    auth.version = 3;
    auth.password = "1234";
    auth.device = device;
    say(auth);
  }
  void say_key() {
    static const Bytes key(294, 0x30);
    Message response{Command::kKeyGenerateResponse};
    response.public_key = key;
    say(response);
  }

 private:
  std::uint32_t session_ = 0;
  Bytes octets_;
};

void install(Phone& phone) {
  REQUIRE(phone.shaken());
  REQUIRE(phone.hears(Command::kAuthRequest));
  phone.say_name();
  REQUIRE(phone.hears(Command::kKeyGenerateRequest));
  phone.say(Message{Command::kRequestInProgress});
  phone.say_key();
  REQUIRE(phone.hears(Command::kStoreRequest));
  phone.say(Message{Command::kStoreResponse, 0, 1});
  REQUIRE(phone.hears(Command::kEndSession, 1));
  CHECK_FALSE(phone.hear());
}

std::unique_ptr<Listener> start(Office& office, const ListenerSettings& how = settings(), bool legacy = false) {
  auto listener = Listener::start(how, tls(legacy), office.open());
  REQUIRE(listener);
  return *std::move(listener);
}

TEST_CASE("a phone is served over every version of TLS that is allowed, each message in one record") {
  Office office;
  const auto listener = start(office, settings(), true);
  for (const ClientOptions& options :
       {ClientOptions{TLS1_3_VERSION}, ClientOptions{TLS1_2_VERSION}, ClientOptions{TLS1_VERSION, "AES128-SHA"},
        ClientOptions{TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256"},
        ClientOptions{TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256"}}) {
    Phone phone(listener->port(), options);
    install(phone);
  }
  CHECK(listener->counts().sessions == 5);
  CHECK(listener->counts().legacy_sessions == 1);
}

TEST_CASE("old TLS is spoken only with legacy_phones, and RSA key exchange in TLS 1.0 alone") {
  Office office;
  const auto strict = start(office);
  CHECK_FALSE(Phone(strict->port(), {TLS1_VERSION, "AES128-SHA"}).shaken());
  CHECK_FALSE(Phone(strict->port(), {TLS1_1_VERSION}).shaken());
  CHECK_FALSE(Phone(strict->port(), {TLS1_2_VERSION, "AES128-SHA"}).shaken());
  CHECK(Phone(strict->port(), {TLS1_2_VERSION}).shaken());

  const auto legacy = start(office, settings(), true);
  CHECK(Phone(legacy->port(), {TLS1_VERSION, "AES128-SHA"}).shaken());
  CHECK_FALSE(Phone(legacy->port(), {.version = TLS1_VERSION, .ciphers = "AES128-SHA", .falls_back = true}).shaken());
  CHECK_FALSE(Phone(legacy->port(), {TLS1_VERSION, "ECDHE-RSA-AES128-SHA"}).shaken());
  CHECK_FALSE(Phone(legacy->port(), {TLS1_VERSION, "AES256-SHA"}).shaken());
  CHECK_FALSE(Phone(legacy->port(), {TLS1_2_VERSION, "AES128-SHA"}).shaken());
  CHECK_FALSE(Phone(legacy->port(), {TLS1_2_VERSION, "AES128-GCM-SHA256"}).shaken());
  Phone best(legacy->port(), {});
  CHECK(SSL_version(best.ssl()) == TLS1_3_VERSION);
}

TEST_CASE("legacy_phones needs an RSA certificate, and two of one kind are one too many") {
  CHECK(TlsContext::make({{ec_identity()}, true}).error().reason == Reason::kInvalidConfiguration);
  CHECK(TlsContext::make({{ec_identity(), ec_identity()}, false}).error().reason == Reason::kInvalidConfiguration);
  CHECK(TlsContext::make({{}, false}).error().reason == Reason::kInvalidConfiguration);
  TlsIdentity mixed = ec_identity();
  mixed.key_pem = ec_identity().key_pem;
  CHECK(TlsContext::make({{mixed}, false}).error().reason == Reason::kInvalidConfiguration);
}

TEST_CASE("a certificate is replaced without a restart") {
  Office office;
  const auto listener = start(office);
  const auto shown = [&] {
    const Phone phone(listener->port(), {TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256"});
    return phone.shaken();
  };
  CHECK(shown());
  listener->replace(TlsContext::make({{ec_identity()}, false}).value());
  CHECK_FALSE(shown());
}

TEST_CASE("who is silent, or says half of something, is closed in time and on record") {
  Office office;
  ListenerSettings short_lived = settings();
  short_lived.handshake = 200ms;
  const auto strict = start(office, short_lived);
  const Descriptor silent = connect_to(strict->port());
  const Descriptor half = connect_to(strict->port());
  const Bytes beginning{22, 3, 1, 2, 0, 1, 0, 1};
  REQUIRE(::send(half.get(), beginning.data(), beginning.size(), 0) == 8);
  CHECK(is_closed(silent));
  CHECK(is_closed(half));
  const Descriptor plain = connect_to(strict->port());
  REQUIRE(::send(plain.get(), "GET / HTTP/1.1\r\n\r\n", 18, 0) == 18);
  while (!is_closed(plain)) {
  }
  strict->stop(1min);
  CHECK(office.refusals().empty());
  CHECK(strict->counts().handshake_failures == 3);
  CHECK(strict->counts().connections == 0);

  // This phone shakes hands first, however long the machine takes.
  short_lived = settings();
  short_lived.session.first_answer = 200ms;
  const auto listener = start(office, short_lived);
  Phone quiet(listener->port());
  REQUIRE(quiet.hears(Command::kAuthRequest));
  CHECK_FALSE(quiet.hear());
  listener->stop(1min);
  CHECK(office.refusals() == std::vector{Reason::kPhoneCommunication});
  CHECK(listener->counts().handshake_failures == 0);
  CHECK(listener->counts().connections == 0);
}

TEST_CASE("half a ClientHello takes no place among the handshakes, and waiting ones get theirs") {
  Office office;
  ListenerSettings narrow = settings();
  narrow.io_threads = 1;
  narrow.handshakes = 1;
  const auto listener = start(office, narrow);
  std::vector<Descriptor> halves;
  for (int i = 0; i < 20; ++i) {
    halves.push_back(connect_to(listener->port()));
    const Bytes beginning{22, 3, 1, 2, 0, 1, 0, 1, 0};
    REQUIRE(::send(halves.back().get(), beginning.data(), beginning.size(), 0) == 9);
  }
  std::vector<std::future<bool>> phones;
  for (int i = 0; i < 8; ++i) {
    phones.push_back(std::async(std::launch::async, [&] {
      Phone phone(listener->port());
      return phone.shaken() && phone.hears(Command::kAuthRequest);
    }));
  }
  for (auto& phone : phones) CHECK(phone.get());
}

TEST_CASE("who stops in the middle of the handshake holds up nobody, and may still go on") {
  Office office;
  ListenerSettings narrow = settings();
  narrow.io_threads = 1;
  narrow.handshakes = 1;
  const auto listener = start(office, narrow);
  // TLS on the socket itself, without waiting: after the ClientHello there is nothing to read yet.
  const capf::net::SslContextPtr context(SSL_CTX_new(TLS_client_method()));
  std::vector<Descriptor> halves;
  std::vector<capf::net::SslPtr> stopped;
  for (int i = 0; i < 10; ++i) {
    halves.push_back(connect_to(listener->port()));
    stopped.emplace_back(SSL_new(context.get()));
    SSL_set_fd(stopped.back().get(), halves.back().get());
    SSL_set_connect_state(stopped.back().get());
    BIO* const unread = BIO_new(BIO_s_mem());  // in place of the socket, for reading: says "later"
    BIO_set_mem_eof_return(unread, -1);
    SSL_set0_rbio(stopped.back().get(), unread);
    REQUIRE(SSL_do_handshake(stopped.back().get()) < 0);
    REQUIRE(SSL_want_read(stopped.back().get()));
  }
  Phone phone(listener->port());
  install(phone);
  for (const auto& one : stopped) {
    BIO* const socket = BIO_new_socket(SSL_get_wfd(one.get()), BIO_NOCLOSE);
    SSL_set0_rbio(one.get(), socket);
    CHECK(SSL_do_handshake(one.get()) == 1);
  }
}

TEST_CASE("beyond the limits the newest connections are closed, and the others go on") {
  Office office;
  ListenerSettings few = settings();
  few.connections_per_address = 2;
  const auto listener = start(office, few);
  {
    Phone first(listener->port());
    Phone second(listener->port());
    CHECK(is_closed(connect_to(listener->port())));
    install(first);
    install(second);
  }
  CHECK(listener->counts().over_limit == 1);
  CHECK(listener->counts().accepted == 3);
}

TEST_CASE("who has not proven a device has a total of its own, and those who have neither count in it nor wait") {
  Office office;
  ListenerSettings few = settings();
  few.strangers = 2;
  const auto listener = start(office, few);
  Phone known(listener->port());
  REQUIRE(known.hears(Command::kAuthRequest));
  known.say_name();
  REQUIRE(known.hears(Command::kKeyGenerateRequest));
  {
    Phone silent(listener->port());
    REQUIRE(silent.hears(Command::kAuthRequest));
    const Descriptor half = connect_to(listener->port());
    CHECK(is_closed(connect_to(listener->port())));
    CHECK(listener->counts().strangers == 2);
    CHECK(listener->counts().connections == 3);

    known.say_key();
    CHECK(known.hears(Command::kStoreRequest));
    silent.say_name();  // it is no stranger any more
    REQUIRE(silent.hears(Command::kKeyGenerateRequest));
    Phone next(listener->port());
    CHECK(next.hears(Command::kAuthRequest));
  }
  CHECK(listener->counts().over_limit == 1);
}

TEST_CASE("strangers of one address have a share, and those of others are served") {
  Office office;
  ListenerSettings few = settings();
  few.strangers_per_address = 2;
  const auto listener = start(office, few);
  const Descriptor silent = connect_to(listener->port());
  const Descriptor half = connect_to(listener->port());
  CHECK(is_closed(connect_to(listener->port())));
  Phone other(listener->port(), {.from = 2});
  install(other);
  CHECK(listener->counts().over_limit == 1);
}

TEST_CASE("strangers of one address who ask at once wait behind one another, and nobody else behind them") {
  Office office;
  std::promise<void> opens;
  office.before_answer = [until = opens.get_future().share()] { until.wait(); };
  ListenerSettings narrow = settings();
  narrow.io_threads = 1;
  narrow.stranger_workers = 1;
  const auto listener = start(office, narrow);
  std::list<Phone> crowd;
  for (const char* device : {"SEP000000000001", "SEP000000000002", "SEP000000000003", "SEP000000000004"}) {
    Phone& phone = crowd.emplace_back(listener->port());
    REQUIRE(phone.hears(Command::kAuthRequest));
    phone.say_name(device);
  }
  // A connection whose handshake took 3 ms is read from after 60: a twentieth of a processor is its share. Where the
  // machine stood still meanwhile, the listener's one thread has come to all that waited before it hears twenty others.
  const auto wait_until_all_are_read = [&] {
    const auto read = std::chrono::steady_clock::now() + 1s;
    for (int others = 0; others < 20 || std::chrono::steady_clock::now() < read; ++others) {
      REQUIRE(Phone(listener->port(), {.from = 3}).hears(Command::kAuthRequest));
    }
  };
  wait_until_all_are_read();
  Phone other(listener->port(), {.from = 2});
  REQUIRE(other.hears(Command::kAuthRequest));
  other.say_name();
  wait_until_all_are_read();
  opens.set_value();
  CHECK(other.hears(Command::kKeyGenerateRequest));
  for (Phone& phone : crowd) CHECK(phone.hears(Command::kKeyGenerateRequest));
  const std::lock_guard lock(office.mutex);
  REQUIRE(office.asked.size() == 5);
  CHECK(office.asked[2] == "SEP001122334455");
}

TEST_CASE("who floods a session is let go, and holds up nobody meanwhile") {
  Office office;
  ListenerSettings one = settings();
  one.io_threads = 1;
  const auto listener = start(office, one);
  Phone patient(listener->port());
  REQUIRE(patient.hears(Command::kAuthRequest));
  for (int i = 0; i < 3; ++i) patient.say(Message{Command::kRequestInProgress});
  patient.say(Message{Command::kRequestInProgress});
  CHECK(patient.hears(Command::kEndSession, 7));

  Phone updating(listener->port(), {TLS1_3_VERSION});
  REQUIRE(updating.hears(Command::kAuthRequest));
  int updates = 0;
  while (updates < 100000 && SSL_key_update(updating.ssl(), SSL_KEY_UPDATE_NOT_REQUESTED) == 1 &&
         SSL_do_handshake(updating.ssl()) == 1) {
    ++updates;
  }
  CHECK(updates < 100000);

  Phone known(listener->port());
  REQUIRE(known.hears(Command::kAuthRequest));
  known.say_name();
  REQUIRE(known.hears(Command::kKeyGenerateRequest));
  for (int i = 0; i < 11; ++i) known.say(Message{Command::kRequestInProgress});
  CHECK(known.hears(Command::kEndSession, 7));
  listener->stop(1min);
  CHECK_THAT(office.refusals(), UnorderedEquals(std::vector{Reason::kMessageUnexpected, Reason::kPhoneCommunication,
                                                            Reason::kMessageUnexpected}));
}

TEST_CASE("a breach ends the session with reason 7 and is on record") {
  Office office;
  const auto listener = start(office);
  {
    Phone phone(listener->port());
    REQUIRE(phone.hears(Command::kAuthRequest));
    phone.say_octets(capf::parse_hex("5502c0ffee4200090d0040534550303000").value());
    CHECK(phone.hears(Command::kEndSession, 7));
    CHECK_FALSE(phone.hear());
  }
  {
    Phone phone(listener->port());
    REQUIRE(phone.hears(Command::kAuthRequest));
    phone.say(Message{Command::kStoreResponse, 0, 1});
    CHECK(phone.hears(Command::kEndSession, 7));
  }
  {
    // More than the server accepts: octets that arrive after the answer do not destroy it.
    Phone phone(listener->port());
    REQUIRE(phone.hears(Command::kAuthRequest));
    Bytes huge(60000, 0x55);
    huge[6] = huge[7] = 0xFF;
    phone.say_octets(huge);
    CHECK(phone.hears(Command::kEndSession, 7));
  }
  listener->stop(1min);
  CHECK_THAT(office.refusals(), UnorderedEquals(std::vector{Reason::kMessageMalformed, Reason::kMessageUnexpected,
                                                            Reason::kMessageMalformed}));
  CHECK(office.asked.empty());
}

TEST_CASE("where the service cannot say, the connection ends without end session") {
  Office office;
  office.says_no = Reason::kDatabaseUnavailable;
  const auto listener = start(office);
  Phone phone(listener->port());
  REQUIRE(phone.hears(Command::kAuthRequest));
  phone.say_name();
  CHECK_FALSE(phone.hear());
}

TEST_CASE("no phone waits for the records of others whose connections broke") {
  Office office;
  std::promise<void> recording;
  auto wanted = settings();
  wanted.workers = 1;
  const auto listener = start(office, wanted);
  std::promise<void> recorded;
  office.before_record = [&recording, until = recorded.get_future().share()] {
    recording.set_value();
    until.wait();
  };
  {
    Phone broken(listener->port());
    REQUIRE(broken.hears(Command::kAuthRequest));
    broken.say_name();
    REQUIRE(broken.hears(Command::kKeyGenerateRequest));
  }
  recording.get_future().wait();
  Phone phone(listener->port());
  install(phone);
  recorded.set_value();
}

TEST_CASE("a drain closes strangers, lets the others finish, and takes nobody new") {
  Office office;
  const auto listener = start(office);
  Phone stranger(listener->port());
  REQUIRE(stranger.hears(Command::kAuthRequest));
  Phone known(listener->port());
  REQUIRE(known.hears(Command::kAuthRequest));
  known.say_name();
  REQUIRE(known.hears(Command::kKeyGenerateRequest));

  auto stopped = std::async(std::launch::async, [&] { listener->stop(1min); });
  CHECK_FALSE(stranger.hear());
  known.say_key();
  CHECK(known.hears(Command::kStoreRequest));
  known.say(Message{Command::kStoreResponse, 0, 1});
  CHECK(known.hears(Command::kEndSession, 1));
  known.hear();
  SSL_shutdown(known.ssl());
  stopped.get();
  CHECK(office.refusals().empty());
}

TEST_CASE("what is left when the patience ends is cut off without end session") {
  Office office;
  const auto listener = start(office);
  Phone known(listener->port());
  REQUIRE(known.hears(Command::kAuthRequest));
  known.say_name();
  REQUIRE(known.hears(Command::kKeyGenerateRequest));
  listener->stop(10ms);
  CHECK_FALSE(known.hear());
  CHECK(listener->counts().connections == 0);
}

TEST_CASE("it listens on IPv6 too") {
  Office office;
  ListenerSettings both = settings();
  both.addresses = {"127.0.0.1:0", "[::1]:0"};
  const auto listener = Listener::start(both, tls(), office.open());
  REQUIRE(listener);
  CHECK((*listener)->addresses().front() == "127.0.0.1:" + std::to_string((*listener)->port()));
}

TEST_CASE("a ClientHello is whole with its last octet, over any number of records") {
  Bytes hello{1, 0, 0, 200};
  hello.resize(204, 0xAA);
  for (const std::size_t record : {204UL, 100UL, 3UL, 1UL}) {
    Bytes octets;
    for (std::size_t at = 0; at < hello.size(); at += record) {
      const std::size_t size = std::min(record, hello.size() - at);
      octets.insert(octets.end(), {22, 3, 1, 0, static_cast<std::uint8_t>(size)});
      octets.insert(octets.end(), hello.begin() + static_cast<std::ptrdiff_t>(at),
                    hello.begin() + static_cast<std::ptrdiff_t>(at + size));
    }
    CHECK(capf::net::hello_needs(octets) == 0);
    for (std::size_t size = 0; size < octets.size(); ++size) {
      const std::size_t needs = capf::net::hello_needs(BytesView(octets).first(size));
      CHECK(needs > size);
      CHECK(needs <= octets.size());
    }
  }
  CHECK(capf::net::hello_needs(capf::as_bytes("GET / HTTP/1.1")) == 0);
  CHECK(capf::net::hello_needs(Bytes{22, 3, 1, 0, 0}) == 0);
  CHECK(capf::net::hello_needs(Bytes{22, 3, 1, 0, 4, 1, 0xFF, 0xFF, 0xFF}) == 0);
  CHECK(capf::net::hello_needs(Bytes{22, 3, 1, 0, 4, 2, 0, 0, 0}) == 0);
}

}  // namespace
