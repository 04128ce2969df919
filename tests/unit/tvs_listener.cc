#include <atomic>
#include <fstream>
#include <future>
#include <list>
#include <mutex>
#include <sstream>
#include <thread>

#include <botan/ec_group.h>
#include <botan/ecdsa.h>
#include <botan/rsa.h>
#include <botan/system_rng.h>
#include <catch2/catch.hpp>
#include <sys/socket.h>

#include "capf/base/descriptor.h"
#include "capf/tvs/dialogue.h"
#include "capf/tvs/listener.h"
#include "tests/support/tls_client.h"

// The listener over real sockets on loopback, with certificates that the test lists.

namespace {

using namespace capf::tvs;
using namespace std::chrono_literals;
using capf::Bytes;
using capf::BytesView;
using capf::Descriptor;
using capf::Reason;
using capf::Result;
using capf::TrustRole;
using capf::net::TlsContext;
using capf::net::TlsIdentity;
using capf::net::TlsSettings;
using capf::test::ClientOptions;
using capf::test::connect_to;
using capf::test::identity_of;
using capf::test::is_closed;
using capf::test::TlsClient;
using Catch::Contains;

const std::string kName = "tvs.example.org/XX/Site";

const TlsIdentity& rsa_identity() {
  static const TlsIdentity identity = identity_of(kName, Botan::RSA_PrivateKey(Botan::system_rng(), 2048));
  return identity;
}
const TlsIdentity& ec_identity() {
  static const TlsIdentity identity =
      identity_of(kName, Botan::ECDSA_PrivateKey(Botan::system_rng(), Botan::EC_Group("secp256r1")));
  return identity;
}
std::shared_ptr<const TlsContext> tls(bool legacy = false) {
  return TlsContext::make({{rsa_identity()}, legacy, TlsSettings::Client::kAsked}).value();
}

/// Vouches for every certificate of four octets: the first one is its serial number.
struct Site final : CertificateSource {
  std::atomic<bool> silent{false};
  std::atomic<int> asked{0};
  std::shared_future<void> opens;  ///< where it is valid, a look-up waits for it
  Bytes der{7, 1, 2, 3};
  std::mutex mutex;
  std::vector<bool> were_valid;  ///< the digests that were looked up, in their order

  Result<std::optional<Vouched>> find_by_digest(const capf::Sha256& sha256) override {
    ++asked;
    if (opens.valid()) opens.wait();
    if (silent) return capf::fail(Reason::kDatabaseUnavailable);
    const bool is_valid = sha256 == capf::sha256(der);
    {
      const std::lock_guard lock(mutex);
      were_valid.push_back(is_valid);
    }
    if (!is_valid) return std::nullopt;
    return vouched();
  }
  Result<std::vector<Vouched>> find_by_serial(BytesView serial) override {
    ++asked;
    return serial.size() == 1 && serial[0] == 7 ? std::vector{vouched()} : std::vector<Vouched>{};
  }
  Vouched vouched() const {
    const capf::TimePoint now = capf::SystemClock().now();
    return {der, "CN=Issuer", {TrustRole::kCcm}, now - 24h, now + 24h};
  }
};

ListenerSettings settings() {
  ListenerSettings settings;
  settings.addresses = {"127.0.0.1:0"};
  settings.io_threads = 2;
  return settings;
}

std::unique_ptr<Listener> start(Site& site, const ListenerSettings& how = settings(), bool legacy = false,
                                capf::Metrics* metrics = nullptr) {
  static const capf::SystemClock clock;
  auto listener = Listener::start(how, tls(legacy), site, clock, metrics);
  REQUIRE(listener);
  return *std::move(listener);
}

/// A phone that blocks.
class Phone : public TlsClient {
 public:
  using TlsClient::TlsClient;

  /// All that comes until the server closes, in hexadecimal.
  std::string hear() {
    Bytes all;
    for (Bytes octets = hear_octets(); !octets.empty(); octets = hear_octets()) {
      all.insert(all.end(), octets.begin(), octets.end());
    }
    return capf::to_hex(all);
  }
  std::string ask(const std::string& hex) {
    say_octets(capf::parse_hex(hex).value());
    return hear();
  }
};

// Device "SEPA"; the certificate that the site lists, and another one.
const std::string kVerify =
    "57010100000003e9000f"
    "01000501534550410200040701"
    "0203";
const std::string kOther =
    "57010100000003e9000f"
    "01000501534550410200040901"
    "0203";
const std::string kQuery =
    "57010300000000020019"
    "0100050153455041"
    "040001"
    "07"
    "05000a434e3d49737375657200";
const std::string kValid =
    "57010200000003e9000f"
    "07000100"
    "08000101"
    "0900040000"
    "0e10";
const std::string kInvalid =
    "57010200000003e90004"
    "07000101";

TEST_CASE("a phone is answered over every version of TLS that is allowed, with a certificate of its own or without") {
  Site site;
  const auto listener = start(site, settings(), true);
  for (const ClientOptions& options :
       {ClientOptions{TLS1_3_VERSION}, ClientOptions{TLS1_2_VERSION}, ClientOptions{TLS1_VERSION, "AES128-SHA"},
        ClientOptions{.version = TLS1_3_VERSION, .shows = &ec_identity()},
        ClientOptions{.version = TLS1_2_VERSION, .shows = &rsa_identity()}}) {
    Phone phone(listener->port(), options);
    REQUIRE(phone.shaken());
    CHECK(phone.ask(kVerify) == kValid);
  }
  CHECK(Phone(listener->port()).ask(kOther) == kInvalid);
  CHECK(Phone(listener->port()).ask(kQuery) ==
        "57010400000000020016"
        "07000100"
        "02000407010203"
        "08000101"
        "09000400000e10");
  listener->stop(1min);
  CHECK(listener->counts().questions == 7);
  CHECK(listener->counts().legacy_questions == 1);
}

TEST_CASE("old TLS is spoken by TVS only with legacy_phones, and RSA key exchange in TLS 1.0 alone") {
  Site site;
  const auto strict = start(site);
  CHECK_FALSE(Phone(strict->port(), {TLS1_VERSION, "AES128-SHA"}).shaken());
  CHECK_FALSE(Phone(strict->port(), {TLS1_1_VERSION}).shaken());
  CHECK_FALSE(Phone(strict->port(), {TLS1_2_VERSION, "AES128-SHA"}).shaken());
  const auto legacy = start(site, settings(), true);
  CHECK_FALSE(Phone(legacy->port(), {TLS1_2_VERSION, "AES128-SHA"}).shaken());
  Phone best(legacy->port());
  CHECK(SSL_version(best.ssl()) == TLS1_3_VERSION);
}

TEST_CASE("a question may come octet by octet, and only the first one is answered") {
  Site site;
  const auto listener = start(site);
  Phone slow(listener->port());
  const Bytes octets = capf::parse_hex(kVerify).value();
  for (const std::uint8_t octet : octets) slow.say_octets({&octet, 1});
  CHECK(slow.hear() == kValid);
  CHECK(Phone(listener->port()).ask(kVerify + kOther) == kValid);
  CHECK(site.asked == 2);
}

TEST_CASE("what is no question is closed without an answer, and the next phone is served") {
  Site site;
  ListenerSettings short_lived = settings();
  short_lived.question = 200ms;
  capf::Metrics metrics;
  const auto strict = start(site, short_lived, false, &metrics);  // for those who do not say all
  const auto listener = start(site, settings(), false, &metrics);
  std::ifstream input(std::string(CAPF_TEST_DATA) + "/tvs/malformed.txt");
  int refused = 0;
  for (std::string line; std::getline(input, line);) {
    std::istringstream words(line);
    std::string name, verdict, hex;
    std::getline(words, name, '\t');
    std::getline(words, verdict, '\t');
    std::getline(words, hex, '\t');
    if (verdict != "close" && verdict != "wait") continue;
    INFO(name);
    Phone phone((verdict == "wait" ? strict : listener)->port());
    if (!hex.empty()) phone.say_octets(capf::parse_hex(hex).value());
    CHECK(phone.hear().empty());
    ++refused;
  }
  CHECK(refused > 15);
  CHECK(site.asked == 0);
  CHECK(Phone(listener->port()).ask(kVerify) == kValid);
  CHECK_THAT(metrics.text(), Contains("capf_tvs_questions_total{outcome=\"malformed\",question=\"none\"} ") &&
                                 Contains("capf_tvs_questions_total{outcome=\"unfinished\",question=\"none\"} 3") &&
                                 Contains("capf_tvs_questions_total{outcome=\"valid\",question=\"verify\"} 1"));
}

TEST_CASE("a source that does not answer closes the connection: a phone might keep an answer") {
  Site site;
  capf::Metrics metrics;
  const auto listener = start(site, settings(), false, &metrics);
  site.silent = true;
  CHECK(Phone(listener->port()).ask(kVerify).empty());
  site.silent = false;
  CHECK(Phone(listener->port()).ask(kVerify) == kValid);
  CHECK_THAT(metrics.text(), Contains("outcome=\"unavailable\",question=\"verify\"} 1"));
}

TEST_CASE("who is silent, speaks no TLS or half of a ClientHello, is closed in time") {
  Site site;
  ListenerSettings short_lived = settings();
  short_lived.handshake = 200ms;
  const auto listener = start(site, short_lived);
  const Descriptor silent = connect_to(listener->port());
  const Descriptor half = connect_to(listener->port());
  const Bytes beginning{22, 3, 1, 2, 0, 1, 0, 1};
  REQUIRE(::send(half.get(), beginning.data(), beginning.size(), 0) == 8);
  const Descriptor plain = connect_to(listener->port());
  REQUIRE(::send(plain.get(), "GET / HTTP/1.1\r\n\r\n", 18, 0) == 18);
  CHECK(is_closed(silent));
  CHECK(is_closed(half));
  while (!is_closed(plain)) {
  }
  listener->stop(1min);
  CHECK(listener->counts().handshake_failures == 3);
  CHECK(listener->counts().connections == 0);
}

TEST_CASE("half a ClientHello takes no place among TVS handshakes") {
  Site site;
  ListenerSettings narrow = settings();
  narrow.io_threads = 1;
  narrow.handshakes = 1;
  const auto listener = start(site, narrow);
  std::vector<Descriptor> halves;
  for (int i = 0; i < 20; ++i) {
    halves.push_back(connect_to(listener->port()));
    const Bytes beginning{22, 3, 1, 2, 0, 1, 0, 1, 0};
    REQUIRE(::send(halves.back().get(), beginning.data(), beginning.size(), 0) == 9);
  }
  std::vector<std::future<std::string>> phones;
  for (int i = 0; i < 8; ++i) {
    phones.push_back(std::async(std::launch::async, [&] { return Phone(listener->port()).ask(kVerify); }));
  }
  for (auto& phone : phones) CHECK(phone.get() == kValid);
}

TEST_CASE("one address has a share of the places, and others are answered") {
  Site site;
  ListenerSettings few = settings();
  few.connections_per_address = 2;
  const auto listener = start(site, few);
  const Descriptor silent = connect_to(listener->port());
  Phone quiet(listener->port());
  CHECK(is_closed(connect_to(listener->port())));
  CHECK(Phone(listener->port(), {.from = 2}).ask(kVerify) == kValid);
  CHECK(quiet.ask(kVerify) == kValid);
  CHECK(listener->counts().over_limit == 1);
}

TEST_CASE("questions of one address wait behind one another, and none of another address behind them") {
  Site site;
  std::promise<void> opens;
  site.opens = opens.get_future().share();
  ListenerSettings narrow = settings();
  narrow.io_threads = 1;
  narrow.workers = 1;
  const auto listener = start(site, narrow);
  std::list<Phone> crowd;
  for (int i = 0; i < 4; ++i) crowd.emplace_back(listener->port()).say_octets(capf::parse_hex(kOther).value());
  // A connection whose handshake took 3 ms is read from after 60: a twentieth of a processor is its share. Where the
  // machine stood still meanwhile, the listener's one thread has come to all that waited before it shakes twenty hands.
  const auto wait_until_all_are_read = [&] {
    const auto read = std::chrono::steady_clock::now() + 1s;
    for (int others = 0; others < 20 || std::chrono::steady_clock::now() < read; ++others) {
      CHECK(Phone(listener->port(), {.from = 3}).shaken());
    }
  };
  wait_until_all_are_read();
  Phone other(listener->port(), {.from = 2});
  other.say_octets(capf::parse_hex(kVerify).value());
  wait_until_all_are_read();
  opens.set_value();
  CHECK(other.hear() == kValid);
  for (Phone& phone : crowd) CHECK(phone.hear() == kInvalid);
  CHECK(site.were_valid == std::vector{false, false, true, false, false});
}

TEST_CASE("a certificate of TVS is replaced without a restart") {
  Site site;
  const auto listener = start(site);
  const ClientOptions rsa{TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256"};
  CHECK(Phone(listener->port(), rsa).shaken());
  listener->replace(TlsContext::make({{ec_identity()}, false}).value());
  CHECK_FALSE(Phone(listener->port(), rsa).shaken());
}

TEST_CASE("stopping lets a question be answered, and closes those who have not asked") {
  Site site;
  std::promise<void> opens;
  site.opens = opens.get_future().share();
  const auto listener = start(site);
  Phone quiet(listener->port());
  Phone asks(listener->port());
  asks.say_octets(capf::parse_hex(kVerify).value());
  while (site.asked == 0) std::this_thread::yield();
  auto stopped = std::async(std::launch::async, [&] { listener->stop(1min); });
  CHECK(quiet.hear().empty());
  opens.set_value();
  CHECK(asks.hear() == kValid);
  SSL_shutdown(asks.ssl());
  stopped.get();
}

// Without a fault it only ends; the address sanitizer sees one.
TEST_CASE("questions that still wait for a look-up when the listener ends go with it") {
  Site site;
  std::promise<void> opens;
  site.opens = opens.get_future().share();
  ListenerSettings narrow = settings();
  narrow.workers = 1;
  narrow.last_calls = 0ms;
  auto listener = start(site, narrow);
  Phone quiet(listener->port());
  Phone asks(listener->port());
  asks.say_octets(capf::parse_hex(kVerify).value());
  while (site.asked == 0) std::this_thread::yield();
  std::vector<std::unique_ptr<Phone>> waiting;
  for (int i = 0; i < 8; ++i) {
    waiting.push_back(std::make_unique<Phone>(listener->port()));
    waiting.back()->say_octets(capf::parse_hex(kVerify).value());
  }
  auto ended = std::async(std::launch::async, [&] { listener.reset(); });
  CHECK(quiet.hear().empty());
  opens.set_value();
  ended.get();
  for (auto& phone : waiting) {
    const std::string heard = phone->hear();
    CHECK((heard.empty() || heard == kValid));
  }
}

}  // namespace
