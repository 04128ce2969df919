#include <catch2/catch.hpp>

#include "capf/ca/key.h"
#include "capf/ca/memory.h"
#include "tests/support/data.h"
#include "tests/support/signing_key_suite.h"

using namespace capf;
using namespace capf::test;

TEST_CASE("an RSA-2048 key does what a signing key does") { check_file_key(*read_key("rsa-2048"), "SHA-256"); }
TEST_CASE("an RSA-3072 key does what a signing key does") { check_file_key(*read_key("rsa-3072"), "SHA-256"); }
TEST_CASE("an RSA-4096 key does what a signing key does") { check_file_key(*read_key("rsa-4096"), "SHA-256"); }
TEST_CASE("a P-256 key does what a signing key does") { check_file_key(*read_key("p-256"), "SHA-256"); }
TEST_CASE("a P-384 key does what a signing key does") { check_file_key(*read_key("p-384"), "SHA-384"); }
TEST_CASE("a P-521 key does what a signing key does") { check_file_key(*read_key("p-521"), "SHA-512"); }

TEST_CASE("the private numbers of a key lie in the protected memory, and are gone with it") {
  ca::protect_key_memory();
  const auto use = [](const std::string& name) {
    const auto key = read_key(name);
    return CRYPTO_secure_used();
  };
  use("rsa-2048");  // so that OpenSSL has made its own objects of a first use
  const std::size_t before = CRYPTO_secure_used();
  // RFC 8017 A.1.2: d is as long as the modulus, and p, q, dP, dQ and qInv are half of it each.
  CHECK(use("rsa-2048") - before >= 256 + std::size_t{5} * 128);
  CHECK(CRYPTO_secure_used() == before);
  CHECK(use("p-256") - before >= 32);
  CHECK(CRYPTO_secure_used() == before);
}

TEST_CASE("a generated key does what a signing key does") {
  check_file_key(*ca::generate_key(ca::KeyAlgorithm::kP256).value(), "SHA-256");
}

TEST_CASE("each algorithm has a spelling that is read back") {
  using ca::KeyAlgorithm;
  for (const auto algorithm : {KeyAlgorithm::kRsa2048, KeyAlgorithm::kRsa3072, KeyAlgorithm::kRsa4096,
                               KeyAlgorithm::kP256, KeyAlgorithm::kP384}) {
    CHECK(ca::parse_key_algorithm(ca::to_string(algorithm)) == algorithm);
  }
  CHECK_FALSE(ca::parse_key_algorithm("rsa-1024"));
  CHECK_FALSE(ca::parse_key_algorithm("RSA-2048"));
}

TEST_CASE("keys that openssl wrote are read") {
  const Bytes expected = read_key("rsa-2048")->public_key();
  CHECK(read_key("rsa-2048-traditional")->public_key() == expected);
  const Bytes encrypted = read_data("keys/rsa-2048-encrypted.key");
  CHECK(ca::decrypt_key(encrypted, Secret("opensesame")).value()->public_key() == expected);
  CHECK(reason_of(ca::decrypt_key(encrypted, Secret("wrong"))) == Reason::kWrongPassphrase);
  CHECK(reason_of(ca::decrypt_key(encrypted, Secret())) == Reason::kWrongPassphrase);
}

TEST_CASE("a key that cannot sign LSCs is refused") {
  for (const std::string name : {"rsa-1024", "secp256k1", "ed25519", "p-256-explicit"}) {
    CAPTURE(name);
    CHECK(reason_of(ca::decrypt_key(read_data("keys/" + name + ".key"), Secret())) == Reason::kInvalidConfiguration);
  }
  CHECK_THAT(ca::decrypt_key(read_data("keys/rsa-1024.key"), Secret()).error().message,
             Catch::EndsWith("; this one is RSA of 1024 bits"));
  CHECK(reason_of(ca::decrypt_key(read_data("authority/capf.pem"), Secret())) == Reason::kInvalidConfiguration);
  CHECK(reason_of(ca::decrypt_key({}, Secret())) == Reason::kInvalidConfiguration);
}

TEST_CASE("a key is not written without a passphrase") {
  const auto key = read_key("p-256");
  CHECK(reason_of(ca::encrypt_key(*key, Secret())) == Reason::kInvalidConfiguration);
  CHECK(reason_of(ca::encrypt_key(*key, Secret(std::string(1025, 'x')))) == Reason::kInvalidConfiguration);
}

TEST_CASE("an authority is imported from PEM files, its chain put in order") {
  const auto pem_of = [](const std::vector<std::string>& names) {
    Bytes all;
    for (const std::string& name : names) {
      const Bytes one = read_data("authority/" + name + ".pem");
      all.insert(all.end(), one.begin(), one.end());
    }
    return all;
  };
  const Bytes key = read_data("keys/rsa-2048.key");

  SECTION("whatever the order of the file") {
    const auto imported = ca::import_pem(pem_of({"root", "policy", "capf"}), key, Secret()).value();
    CHECK(imported.certificate == read_der("authority/capf.pem"));
    CHECK(imported.chain == std::vector{read_der("authority/policy.pem"), read_der("authority/root.pem")});
    CHECK(imported.key->public_key() == read_key("rsa-2048")->public_key());
  }
  SECTION("a self-signed one has no chain") {
    CHECK(ca::import_pem(pem_of({"self"}), key, Secret()).value().chain.empty());
  }
  SECTION("the key must be one of the certificates'") {
    CHECK(reason_of(ca::import_pem(pem_of({"root"}), key, Secret())) == Reason::kInvalidCertificate);
  }
  SECTION("a certificate of somewhere else is refused") {
    CHECK(reason_of(ca::import_pem(pem_of({"self", "root"}), key, Secret())) == Reason::kInvalidCertificate);
  }
  SECTION("what is no certificate is refused") {
    CHECK(reason_of(ca::import_pem(as_bytes("hello"), key, Secret())) == Reason::kInvalidCertificate);
  }
}

TEST_CASE("an authority is imported from PKCS #12, as it is encrypted now and as it used to be") {
  for (const std::string name : {"authority/capf.p12", "authority/capf-legacy.p12"}) {
    CAPTURE(name);
    const auto imported = ca::import_pkcs12(read_data(name), Secret("opensesame")).value();
    CHECK(imported.certificate == read_der("authority/capf.pem"));
    CHECK(imported.chain == std::vector{read_der("authority/policy.pem"), read_der("authority/root.pem")});
    Botan::AutoSeeded_RNG random;
    ca::CertificateSigner signer(imported.key->botan(), random);
    const Bytes message(10, 1);
    CHECK(verify_in_openssl(*imported.key, EVP_sha256(), message, sign_with(signer, message, random)));
    CHECK(reason_of(ca::import_pkcs12(read_data(name), Secret("wrong"))) == Reason::kWrongPassphrase);
  }
  CHECK(reason_of(ca::import_pkcs12(read_data("authority/without_key.p12"), Secret("opensesame"))) ==
        Reason::kInvalidCertificate);
  CHECK(reason_of(ca::import_pkcs12(as_bytes("hello"), Secret())) == Reason::kInvalidCertificate);
}

TEST_CASE("a PKCS #12 file without a MAC is taken, with its passphrase alone") {
  const auto imported = ca::import_pkcs12(read_data("containers/without_mac.p12"), Secret("opensesame")).value();
  CHECK(imported.certificate == read_der("authority/self.pem"));
  CHECK(imported.key->public_key() == read_key("rsa-2048")->public_key());
  for (const std::string other : {"wrong", ""}) {
    const auto refused = ca::import_pkcs12(read_data("containers/without_mac.p12"), Secret(other));
    REQUIRE(reason_of(refused) == Reason::kWrongPassphrase);
    CHECK_THAT(refused.error().message, Catch::Contains("no MAC"));
  }
  CHECK(ca::import_pkcs12(read_data("containers/without_mac_plain.p12"), Secret()).value().certificate ==
        read_der("authority/self.pem"));
}

TEST_CASE("a root that is in the file twice counts once") {
  const auto imported = ca::import_certificates(read_data("containers/root_twice.pem"), read_key("rsa-2048")).value();
  CHECK(imported.chain == std::vector{read_der("authority/policy.pem"), read_der("authority/root.pem")});
}

TEST_CASE("a file that holds no private key in PEM is called by its name") {
  const auto words_for = [](const std::string& file) {
    const auto key = ca::decrypt_key(read_data(file), Secret());
    REQUIRE_FALSE(key);
    return key.error().message;
  };
  using Catch::Contains;
  CHECK_THAT(words_for("containers/key_utf_16.key"), Contains("UTF-16"));
  CHECK_THAT(words_for("containers/key_openssh.key"), Contains("ssh-keygen"));
  CHECK_THAT(words_for("containers/with_mac.p12"), Contains("PKCS #12"));
  CHECK_THAT(words_for("authority/self.pem"), Contains("a certificate"));
}
