#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "capf/ca/issuer.h"
#include "tests/support/signing_key_suite.h"
#include "tests/support/token.h"

using namespace capf;
using namespace capf::test;
using ca::KeyAlgorithm;

namespace {

Result<Bytes> sign_once(const ca::SigningKey& key) {
  Botan::AutoSeeded_RNG random;
  return ca::make_capf_request(key, "CN=CAPF,O=Tests", random);
}

Reason reason_of(const auto& result) {
  REQUIRE_FALSE(result);
  return result.error().reason;
}

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kLimit{300};
constexpr milliseconds kSlack{3000};  ///< for a busy machine

/// Whether it becomes true before long.
bool comes(const std::function<bool()>& condition) {
  const auto deadline = steady_clock::now() + std::chrono::seconds{20};
  while (!condition()) {
    if (steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

/// A key that is in the token, and known by its public half.
Bytes make_key(const SoftToken& token, const std::string& object, KeyAlgorithm algorithm = KeyAlgorithm::kP256) {
  ca::Tokens tokens(token.access());
  const auto key = tokens.generate(SoftToken::uri(object), algorithm);
  REQUIRE(key);
  return (*key)->public_key();
}

}  // namespace

TEST_CASE("an RSA-2048 key in a token does what a signing key does") {
  const SoftToken token;
  ca::Tokens tokens(token.access());
  check_signing_key(*tokens.generate(SoftToken::uri("a"), KeyAlgorithm::kRsa2048).value(), "SHA-256");
}
TEST_CASE("a P-256 key in a token does what a signing key does") {
  const SoftToken token;
  ca::Tokens tokens(token.access());
  check_signing_key(*tokens.generate(SoftToken::uri("a"), KeyAlgorithm::kP256).value(), "SHA-256");
}
TEST_CASE("a P-384 key in a token does what a signing key does") {
  const SoftToken token;
  ca::Tokens tokens(token.access());
  check_signing_key(*tokens.generate(SoftToken::uri("a"), KeyAlgorithm::kP384).value(), "SHA-384");
}

TEST_CASE("an RSA-4096 key in a token signs") {
  const SoftToken token;
  ca::Tokens tokens(token.access());
  CHECK(sign_once(*tokens.generate(SoftToken::uri("a"), KeyAlgorithm::kRsa4096).value()));
}

TEST_CASE("a key in a token says where it is, and does not leave it") {
  const SoftToken token;
  make_key(token, "a");
  ca::Tokens tokens(token.access());
  const auto key = tokens.find(SoftToken::uri("a")).value();
  CHECK(key->uri() == "pkcs11:token=capf;object=a");
  CHECK(reason_of(key->private_pem()) == Reason::kInvalidConfiguration);
  CHECK(reason_of(ca::encrypt_key(*key, Secret("opensesame"))) == Reason::kInvalidConfiguration);
}

TEST_CASE("threads share a bounded number of sessions, and one login") {
  const SoftToken token;
  make_key(token, "a");
  ca::Tokens tokens(token.access());
  const auto key = tokens.find(SoftToken::uri("a")).value();
  const std::size_t logins = token.logins().size();
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) good += sign_once(*key) ? 1 : 0;  // each is verified
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(good == 16 * 20);
  CHECK(token.most_sessions() <= 4);
  CHECK(token.logins().size() == logins);
}

TEST_CASE("a token that was taken away is used again when it is back, after a login") {
  const SoftToken token;
  make_key(token, "a");
  ca::Tokens tokens(token.access());
  const auto key = tokens.find(SoftToken::uri("a")).value();
  REQUIRE(sign_once(*key));
  const std::size_t logins = token.logins().size();
  token.say("removed");
  CHECK(reason_of(sign_once(*key)) == Reason::kTokenUnavailable);
  CHECK(reason_of(key->ready()) == Reason::kTokenUnavailable);
  token.take_back("removed");
  CHECK(sign_once(*key));
  CHECK(token.logins().size() == logins + 1);
}

TEST_CASE("a token that is pulled out in the middle spoils no signature, and all go on when it is back") {
  const SoftToken token;
  make_key(token, "a");
  ca::Tokens tokens(token.access());
  const auto key = tokens.find(SoftToken::uri("a")).value();
  token.say("sign-40");
  std::atomic<int> good{0};
  std::atomic<int> told{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int done = 0; done < 10;) {
        const auto made = sign_once(*key);
        if (made) {
          ++done;
          ++good;
        } else if (made.error().reason == Reason::kTokenUnavailable) {
          ++told;
          std::this_thread::yield();
        } else {
          return;
        }
      }
    });
  }
  while (told == 0) std::this_thread::yield();
  token.take_back("removed");
  for (std::thread& thread : threads) thread.join();
  CHECK(good == 80);
}

TEST_CASE("a server starts while the token is away, and signs when it has come") {
  const SoftToken token;
  const Bytes half = make_key(token, "a");
  token.say("removed");
  ca::Tokens tokens(token.access());
  const auto key = tokens.open(SoftToken::uri("a"), half);
  REQUIRE(key);
  CHECK(reason_of((*key)->ready()) == Reason::kTokenUnavailable);
  CHECK(reason_of(tokens.find(SoftToken::uri("a"))) == Reason::kTokenUnavailable);
  token.take_back("removed");
  CHECK((*key)->ready());
  CHECK(sign_once(**key));
}

TEST_CASE("a library that looks for its slots once is begun again for a token that has come later") {
  const SoftToken token;
  const Bytes half = make_key(token, "a");
  ca::Tokens tokens(token.access());
  CHECK(reason_of(tokens.find("pkcs11:token=later;object=b")) == Reason::kTokenUnavailable);
  token.initialize("later");
  CHECK(tokens.generate("pkcs11:token=later;object=b", KeyAlgorithm::kP256));
  CHECK(sign_once(*tokens.open(SoftToken::uri("a"), half).value()));
}

TEST_CASE("a wrong PIN is tried once, whatever asks for the key, and the right one when it has come") {
  const SoftToken token;
  const Bytes half = make_key(token, "a");
  const std::size_t before = token.logins().size();
  std::string pin = "000000";
  ca::Tokens tokens(token.access([&pin] { return Secret(std::string_view(pin)); }));
  CHECK(reason_of(tokens.open(SoftToken::uri("a"), half)) == Reason::kWrongPin);
  CHECK(reason_of(tokens.open(SoftToken::uri("a"), half)) == Reason::kWrongPin);
  CHECK(reason_of(tokens.find("pkcs11:manufacturer=SoftHSM%20project;token=capf;object=a")) == Reason::kWrongPin);
  CHECK(token.logins() == [&] {
    std::vector<std::string> expected(before, "taken");
    expected.emplace_back("refused");
    return expected;
  }());
  pin = kPin;
  CHECK(tokens.open(SoftToken::uri("a"), half));
}

TEST_CASE("a PIN that turns wrong while the server runs sends phones away until the right one is there") {
  const SoftToken token;
  const Bytes half = make_key(token, "a");
  std::string pin = kPin;
  ca::Tokens tokens(token.access([&pin] { return Secret(std::string_view(pin)); }));
  const auto key = tokens.open(SoftToken::uri("a"), half).value();
  token.say("removed");
  CHECK(reason_of(sign_once(*key)) == Reason::kTokenUnavailable);
  token.take_back("removed");
  pin = "000000";
  for (int i = 0; i < 2; ++i) {
    CHECK(reason_of(key->ready()) == Reason::kWrongPin);
    CHECK(reason_of(sign_once(*key)) == Reason::kTokenUnavailable);
  }
  const auto logins = token.logins();
  CHECK(std::count(logins.begin(), logins.end(), "refused") == 1);
  pin = kPin;
  CHECK(sign_once(*key));
}

TEST_CASE("the last try before a token locks is nobody's but the administrator's") {
  const SoftToken token;
  const Bytes half = make_key(token, "a");
  const auto before = token.logins();
  token.say("final-try");
  ca::Tokens tokens(token.access());
  const auto refused = tokens.open(SoftToken::uri("a"), half);
  CHECK(reason_of(refused) == Reason::kWrongPin);
  CHECK_THAT(refused.error().message, Catch::Contains("one more PIN"));
  CHECK(token.logins() == before);
}

// Each of these functions is called between loading the library and a signature.
TEST_CASE("a function of the library that hangs holds nobody longer than the limit, and all go on when it returns") {
  const std::string function =
      GENERATE("C_GetFunctionList", "C_Initialize", "C_GetSlotList", "C_GetInfo", "C_GetSlotInfo", "C_GetTokenInfo",
               "C_OpenSession", "C_GetSessionInfo", "C_Login", "C_FindObjectsInit", "C_FindObjects",
               "C_FindObjectsFinal", "C_SignInit", "C_Sign");
  CAPTURE(function);
  const SoftToken token;
  const Bytes half = make_key(token, "a");
  ca::TokenAccess access = token.access();
  access.limit = kLimit;
  token.say("hang-" + function);
  ca::Tokens tokens(access);
  const auto key = tokens.open(SoftToken::uri("a"), half);
  REQUIRE(key);
  CHECK(reason_of((*key)->ready()) == Reason::kTokenUnavailable);
  const auto asked = steady_clock::now();
  CHECK(reason_of(sign_once(**key)) == Reason::kTokenUnavailable);
  CHECK(steady_clock::now() - asked < kLimit);  // it is refused without another try
  CHECK(token.hung() <= static_cast<std::size_t>(access.sessions));
  token.take_back("hang-" + function);
  CHECK(comes([&] { return sign_once(**key).has_value() && (*key)->ready().has_value(); }));
}

TEST_CASE("a token that hangs under a running server is not ready, and ends nobody's shut-down") {
  const std::string function = GENERATE("C_Sign", "C_SignInit", "C_GetSessionInfo", "C_CloseSession", "C_Finalize");
  CAPTURE(function);
  const SoftToken token;
  const Bytes half = make_key(token, "a");
  ca::TokenAccess access = token.access();
  access.limit = kLimit;
  steady_clock::time_point ended;
  {
    ca::Tokens tokens(access);
    const auto key = tokens.open(SoftToken::uri("a"), half).value();
    REQUIRE(comes([&] { return sign_once(*key).has_value() && key->ready().has_value(); }));
    token.say("hang-" + function);
    if (function == "C_Sign" || function == "C_SignInit") {
      // More of them than there are sessions.
      std::vector<std::thread> threads;
      std::atomic<int> told{0};
      const auto begun = steady_clock::now();
      for (int t = 0; t < 12; ++t) {
        threads.emplace_back([&] {
          const auto made = sign_once(*key);
          if (!made && made.error().reason == Reason::kTokenUnavailable) ++told;
        });
      }
      for (std::thread& thread : threads) thread.join();
      CHECK(steady_clock::now() - begun < kLimit + kSlack);
      CHECK(told == 12);
      CHECK(reason_of(key->ready()) == Reason::kTokenUnavailable);
    }
    if (function == "C_GetSessionInfo") {
      CHECK(comes([&] { return !key->ready(); }));
      CHECK(reason_of(sign_once(*key)) == Reason::kTokenUnavailable);
    }
    ended = steady_clock::now();
  }
  CHECK(steady_clock::now() - ended < kSlack);
  CHECK(token.hung() >= 1);
  CHECK(token.hung() <= static_cast<std::size_t>(access.sessions));
  CHECK(ca::token_calls_left());
  token.take_back("hang-" + function);
  CHECK(comes([] { return !ca::token_calls_left(); }));
}

TEST_CASE("making a key and looking for one end where the library hangs") {
  const std::string function = GENERATE("C_GenerateKeyPair", "C_GetAttributeValue");
  CAPTURE(function);
  const SoftToken token;
  make_key(token, "a");
  ca::TokenAccess access = token.access();
  access.limit = kLimit;
  access.make_limit = kLimit;
  token.say("hang-" + function);
  {
    ca::Tokens tokens(access);
    CHECK(reason_of(tokens.generate(SoftToken::uri("b"), KeyAlgorithm::kP256)) == Reason::kTokenUnavailable);
  }
  token.take_back("hang-" + function);
  CHECK(comes([] { return !ca::token_calls_left(); }));
}

TEST_CASE("a key that is not its certificate's does not sign") {
  const SoftToken token;
  const Bytes half = make_key(token, "a");
  make_key(token, "b");
  ca::Tokens tokens(token.access());
  CHECK(reason_of(tokens.open(SoftToken::uri("b"), half)) == Reason::kInvalidConfiguration);
}

TEST_CASE("what a URI names must be there, and be one") {
  const SoftToken token;
  make_key(token, "a");
  ca::Tokens tokens(token.access());
  CHECK(reason_of(tokens.find(SoftToken::uri("nothing"))) == Reason::kIssuerKeyAbsent);
  CHECK(reason_of(tokens.generate(SoftToken::uri("a"), KeyAlgorithm::kP256)) == Reason::kInvalidConfiguration);
  REQUIRE(tokens.generate("pkcs11:token=capf;object=twin;id=%01", KeyAlgorithm::kP256));
  REQUIRE(tokens.generate("pkcs11:token=capf;object=twin;id=%02", KeyAlgorithm::kP256));
  CHECK(reason_of(tokens.find(SoftToken::uri("twin"))) == Reason::kInvalidConfiguration);
  CHECK(tokens.find("pkcs11:token=capf;object=twin;id=%02"));
}

TEST_CASE("a URI that cannot be used is refused before anything is loaded") {
  CHECK(ca::check_token_uri("pkcs11:token=capf;object=issuer;type=private"));
  CHECK(ca::module_of("pkcs11:token=capf;object=issuer?module-path=/usr/lib/x.so") == "/usr/lib/x.so");
  for (const std::string uri :
       {"", "file:issuer", "pkcs11:", "pkcs11:token=capf", "pkcs11:token=capf;object=%zz", "pkcs11:object=a;colour=red",
        "pkcs11:object=a?pin-source=file:/etc/pin", "pkcs11:object=a?module-name=softhsm"}) {
    CAPTURE(uri);
    CHECK(reason_of(ca::check_token_uri(uri)) == Reason::kInvalidConfiguration);
  }
  const auto with_pin = ca::check_token_uri("pkcs11:object=a?pin-value=193746");
  CHECK(reason_of(with_pin) == Reason::kInvalidConfiguration);
  CHECK_THAT(with_pin.error().message, !Catch::Contains("193746"));
}

TEST_CASE("a library that is none is refused") {
  const SoftToken token;
  for (const std::string path : {"", "libsofthsm2.so", "/nonexistent.so", "/etc/hostname"}) {
    CAPTURE(path);
    ca::TokenAccess access = token.access();
    access.module = path;
    ca::Tokens tokens(access);
    CHECK(reason_of(tokens.find(SoftToken::uri("a"))) == Reason::kInvalidConfiguration);
  }
}
