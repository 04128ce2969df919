#include <set>
#include <string>

#include <botan/system_rng.h>
#include <catch2/catch.hpp>

#include "capf/ca/key.h"
#include "capf/ca/vault.h"
#include "tests/support/data.h"

using namespace capf;
using namespace capf::test;

namespace {

const ca::Cell kCell{"digest_users", "password", 7};
const Secret kSecret{std::string_view("s3cret-9Qx!")};
const Secret kPassphrase{std::string_view("correct horse battery staple")};

struct Keys {
  Keys() {
    REQUIRE(vault.add(1, key));
    encrypted = vault.encrypt(1, kCell, kSecret, random).value();
  }
  Reason refusal(const ca::Cell& cell, BytesView value) const {
    const auto opened = vault.decrypt(cell, value);
    REQUIRE_FALSE(opened);
    return opened.error().reason;
  }

  Botan::RandomNumberGenerator& random = Botan::system_rng();
  Secret key = ca::generate_secrets_key(random);
  ca::Vault vault;
  Bytes encrypted;
};

}  // namespace

TEST_CASE("a secret is what it was, in the cell for which it was encrypted") {
  const Keys keys;
  CHECK(keys.vault.decrypt(kCell, keys.encrypted).value().text() == kSecret.text());
  CHECK(keys.encrypted.size() == kSecret.view().size() + ca::Vault::kOverhead);
  CHECK(keys.encrypted.front() == 1);
  CHECK(std::string(as_text(keys.encrypted)).find("s3cret") == std::string::npos);
  const Bytes none = keys.vault.encrypt(1, kCell, Secret(), keys.random).value();
  CHECK(keys.vault.decrypt(kCell, none).value().empty());
}

TEST_CASE("a vault with the same key opens a secret, and one with another key does not") {
  const Keys keys;
  ca::Vault same;
  REQUIRE(same.add(1, keys.key));
  CHECK(same.decrypt(kCell, keys.encrypted).value().text() == kSecret.text());
  ca::Vault other;
  REQUIRE(other.add(1, ca::generate_secrets_key(keys.random)));
  CHECK(reason_of(other.decrypt(kCell, keys.encrypted)) == Reason::kSecretBroken);
}

TEST_CASE("no octet of an encrypted secret can be changed in any bit") {
  const Keys keys;
  for (std::size_t i = 0; i < keys.encrypted.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes flipped = keys.encrypted;
      flipped[i] = static_cast<std::uint8_t>(flipped[i] ^ (1U << bit));
      CAPTURE(i, bit);
      // The first octet says the generation, of which there is no other key here.
      CHECK(keys.refusal(kCell, flipped) ==
            (i == 0 && flipped[0] != 0 ? Reason::kSecretsKeyAbsent : Reason::kSecretBroken));
    }
  }
}

TEST_CASE("an encrypted secret that is cut short or lengthened does not open") {
  const Keys keys;
  for (std::size_t size = 0; size < keys.encrypted.size(); ++size) {
    CAPTURE(size);
    CHECK(keys.refusal(kCell, BytesView(keys.encrypted).first(size)) == Reason::kSecretBroken);
  }
  Bytes longer = keys.encrypted;
  longer.push_back(0);
  CHECK(keys.refusal(kCell, longer) == Reason::kSecretBroken);
}

TEST_CASE("a secret that was copied to another row, column or table does not open") {
  const Keys keys;
  for (const ca::Cell& cell : {ca::Cell{"digest_users", "password", 8}, ca::Cell{"digest_users", "password", -7},
                               ca::Cell{"digest_users", "ha1", 7}, ca::Cell{"phones", "password", 7},
                               ca::Cell{"digest_usersp", "assword", 7}, ca::Cell{"digest_user", "spassword", 7}}) {
    CAPTURE(cell.table, cell.column, cell.row);
    CHECK(keys.refusal(cell, keys.encrypted) == Reason::kSecretBroken);
  }
}

TEST_CASE("a secret is opened by the key of its generation alone") {
  Keys keys;
  REQUIRE(keys.vault.add(2, ca::generate_secrets_key(keys.random)));
  CHECK(keys.vault.generations() == std::vector<std::int64_t>{1, 2});
  Bytes renamed = keys.encrypted;
  renamed.front() = 2;
  CHECK(keys.refusal(kCell, renamed) == Reason::kSecretBroken);
  // The generation is bound to the value even where two of them had the same key.
  REQUIRE(keys.vault.add(3, keys.key));
  renamed.front() = 3;
  CHECK(keys.refusal(kCell, renamed) == Reason::kSecretBroken);
  CHECK(reason_of(keys.vault.encrypt(4, kCell, kSecret, keys.random)) == Reason::kSecretsKeyAbsent);
}

TEST_CASE("the same secret is never encrypted alike") {
  const Keys keys;
  std::set<Bytes> seen;
  for (int i = 0; i < 100; ++i) seen.insert(keys.vault.encrypt(1, kCell, kSecret, keys.random).value());
  CHECK(seen.size() == 100);
}

TEST_CASE("a key has 32 octets, and its check value tells it from any other") {
  Keys keys;
  const Secret short_key{Bytes(31, 1)};
  CHECK(reason_of(keys.vault.add(2, short_key)) == Reason::kInvalidConfiguration);
  CHECK(reason_of(ca::check_value_of(short_key)) == Reason::kInvalidConfiguration);
  CHECK(ca::check_value_of(keys.key).value() == ca::check_value_of(Secret(keys.key.view())).value());
  CHECK(ca::check_value_of(keys.key).value() != ca::check_value_of(ca::generate_secrets_key(keys.random)).value());
}

TEST_CASE("a key for secrets is kept as the other keys are") {
  const Keys keys;
  const Bytes pem = ca::encrypt_symmetric_key(keys.key, kPassphrase).value();
  CHECK_THAT(std::string(as_text(pem)), Catch::StartsWith("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
  CHECK(ca::decrypt_symmetric_key(pem, kPassphrase).value().text() == keys.key.text());
  CHECK(reason_of(ca::decrypt_symmetric_key(pem, Secret(std::string_view("wrong")))) == Reason::kWrongPassphrase);
  CHECK(reason_of(ca::decrypt_symmetric_key(pem, Secret())) == Reason::kWrongPassphrase);
  CHECK(reason_of(ca::decrypt_symmetric_key(as_bytes("nonsense"), kPassphrase)) == Reason::kInvalidConfiguration);
  // Neither kind of key is taken for the other one.
  const Bytes signing = ca::encrypt_key(*ca::generate_key(ca::KeyAlgorithm::kP256).value(), kPassphrase).value();
  CHECK(reason_of(ca::decrypt_symmetric_key(signing, kPassphrase)) == Reason::kInvalidConfiguration);
  CHECK_FALSE(ca::decrypt_key(pem, kPassphrase));
}

TEST_CASE("a key of either kind is encrypted again under another passphrase") {
  const Keys keys;
  const Secret next{std::string_view("staple battery horse correct")};
  const Bytes pem = ca::encrypt_symmetric_key(keys.key, kPassphrase).value();
  const Bytes again = ca::encrypt_again(pem, kPassphrase, next).value();
  CHECK(ca::decrypt_symmetric_key(again, next).value().text() == keys.key.text());
  CHECK(reason_of(ca::decrypt_symmetric_key(again, kPassphrase)) == Reason::kWrongPassphrase);
  CHECK(reason_of(ca::encrypt_again(pem, next, next)) == Reason::kWrongPassphrase);
  CHECK(reason_of(ca::encrypt_again(pem, kPassphrase, Secret())) == Reason::kInvalidConfiguration);
  const auto signing = ca::generate_key(ca::KeyAlgorithm::kP256).value();
  const Bytes moved = ca::encrypt_again(ca::encrypt_key(*signing, kPassphrase).value(), kPassphrase, next).value();
  CHECK(ca::decrypt_key(moved, next).value()->public_key() == signing->public_key());
}
