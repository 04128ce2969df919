#pragma once

#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include <botan/auto_rng.h>
#include <botan/pubkey.h>
#include <botan/x509_key.h>
#include <catch2/catch.hpp>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capf/base/time.h"
#include "capf/ca/certificate.h"
#include "capf/ca/crl.h"
#include "capf/ca/key.h"
#include "capf/ca/ocsp.h"
#include "capf/ca/request.h"
#include "capf/ca/signature.h"
#include "capf/ca/site.h"
#include "tests/support/folder.h"

// The tests of every SigningKey, the same for a file and for a token. Called from a test case for each kind of key.

namespace capf::test {

inline Bytes sign_with(ca::CertificateSigner& signer, BytesView message, Botan::RandomNumberGenerator& random) {
  return signer.signer->sign_message(message.data(), message.size(), random);
}

inline bool verify_in_botan(const ca::SigningKey& key, const std::string& padding, BytesView message,
                            BytesView signature) {
  const std::unique_ptr<Botan::Public_Key> half(Botan::X509::load_key(key.public_key()));
  const auto format = half->algo_name() == "ECDSA" ? ca::kDerSignature : ca::kPlainSignature;
  Botan::PK_Verifier verifier(*half, padding, format);
  return verifier.verify_message(message.data(), message.size(), signature.data(), signature.size());
}

inline bool verify_in_openssl(const ca::SigningKey& key, const EVP_MD* digest, BytesView message, BytesView signature) {
  const ca::ErrorQueue errors;
  const Bytes spki = key.public_key();
  const unsigned char* at = spki.data();
  const ca::PkeyPtr half(d2i_PUBKEY(nullptr, &at, static_cast<long>(spki.size())));
  const std::unique_ptr<EVP_MD_CTX, capf::Freed<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  return EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, half.get()) == 1 &&
         EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(), message.size()) == 1;
}

/// @param hash with which the key signs, in Botan's spelling
inline void check_signing_key(const ca::SigningKey& key, const std::string& hash) {
  Botan::AutoSeeded_RNG random;
  const bool rsa = key.botan().algo_name() == "RSA";
  const std::string padding = (rsa ? "EMSA3(" : "EMSA1(") + hash + ")";
  const EVP_MD* digest = EVP_get_digestbyname(hash == "SHA-256" ? "SHA256" : hash == "SHA-384" ? "SHA384" : "SHA512");
  const Bytes message(3000, 0x5A);

  SECTION("its public half is the one that Botan's builder sees") {
    CHECK(key.public_key() == Botan::X509::BER_encode(key.botan()));
  }
  SECTION("two libraries verify what it signs, and not another message") {
    ca::CertificateSigner signer(key.botan(), random);
    const Bytes signature = sign_with(signer, message, random);
    CHECK(verify_in_botan(key, padding, message, signature));
    CHECK(verify_in_openssl(key, digest, message, signature));
    Bytes other = message;
    other[7] ^= 1;
    CHECK_FALSE(verify_in_openssl(key, digest, other, signature));
  }
  SECTION("one signer signs again and again") {
    ca::CertificateSigner signer(key.botan(), random);
    for (std::uint8_t i = 0; i < 5; ++i) {
      const Bytes short_message(i, i);
      CHECK(verify_in_openssl(key, digest, short_message, sign_with(signer, short_message, random)));
    }
  }
  SECTION("threads with signers of their own do not disturb each other") {
    std::vector<int> good(4);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < good.size(); ++t) {
      threads.emplace_back([&, t] {
        Botan::AutoSeeded_RNG own_random;
        ca::CertificateSigner signer(key.botan(), own_random);
        for (int i = 0; i < 10; ++i) {
          good[t] += verify_in_openssl(key, digest, message, sign_with(signer, message, own_random)) ? 1 : 0;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(good == std::vector<int>(4, 10));
  }
  SECTION("OpenSSL accepts the certificates, the CRL and the responder's certificate that it signs") {
    const TimePoint now = std::chrono::floor<std::chrono::seconds>(SystemClock().now());
    IssuerRecord issuer;
    issuer.id = 1;
    issuer.der = ca::make_capf_certificate(key, {"CN=CAPF-0123ABCD,O=Tests", now}, random).value();
    const auto facts = ca::read_certificate(issuer.der).value();
    issuer.not_before = facts.not_before;
    issuer.not_after = facts.not_after;
    const ca::ErrorQueue errors;
    const ca::X509Ptr above = ca::parse_x509(issuer.der);
    CHECK(X509_verify(above.get(), X509_get0_pubkey(above.get())) == 1);

    const auto phone = ca::generate_key(ca::KeyAlgorithm::kP256).value();
    const Bytes server = ca::make_server_certificate({key, issuer.der}, phone->public_key(), {"capf.example"}, now,
                                                     std::chrono::hours{1}, random)
                             .value();
    CHECK(X509_verify(ca::parse_x509(server).get(), X509_get0_pubkey(above.get())) == 1);
    const auto responder = ca::OcspSigner::make(issuer, key, now, std::chrono::hours{1}, random).value();
    CHECK(X509_verify(ca::parse_x509(responder->certificate()).get(), X509_get0_pubkey(above.get())) == 1);

    const Folder folder;
    const auto path = folder.path() / "0.crl";
    auto builder = ca::CrlBuilder::begin(path).value();
    REQUIRE(builder.finish({1, now, now + std::chrono::hours{1}, ""}, issuer, key, random));
    std::ifstream file(path, std::ios::binary);
    const Bytes der{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    const unsigned char* at = der.data();
    const std::unique_ptr<X509_CRL, capf::Freed<X509_CRL_free>> crl(
        d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size())));
    REQUIRE(crl);
    CHECK(X509_CRL_verify(crl.get(), X509_get0_pubkey(above.get())) == 1);
  }
  SECTION("a request of it proves that it is there") {
    const Bytes der = ca::make_capf_request(key, "CN=CAPF,O=Tests", random).value();
    CHECK(ca::read_request(der).value().public_key == key.public_key());
  }
  SECTION("it is ready") { CHECK(key.ready()); }
}

/// Further tests for a key in this process's memory.
inline void check_file_key(const ca::SigningKey& key, const std::string& hash) {
  check_signing_key(key, hash);
  Botan::AutoSeeded_RNG random;
  const EVP_MD* digest = EVP_get_digestbyname(hash == "SHA-256" ? "SHA256" : hash == "SHA-384" ? "SHA384" : "SHA512");
  const Bytes message(3000, 0x5A);

  SECTION("a process that forks after a signature can sign") {
    ca::CertificateSigner signer(key.botan(), random);
    sign_with(signer, message, random);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      alarm(10);  // a child that hangs ends as a failure
      _exit(verify_in_openssl(key, digest, message, sign_with(signer, message, random)) ? 0 : 1);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
  SECTION("it comes back from its encrypted file, with the right passphrase alone") {
    const Bytes file = ca::encrypt_key(key, Secret("opensesame")).value();
    CHECK(as_text(file).starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    CHECK(ca::decrypt_key(file, Secret("opensesame")).value()->public_key() == key.public_key());
    CHECK(ca::decrypt_key(file, Secret("opensesam")).error().reason == Reason::kWrongPassphrase);
    CHECK(ca::decrypt_key(file, Secret()).error().reason == Reason::kWrongPassphrase);
  }
  SECTION("it can be given to a TLS library") {
    const Secret pem = key.private_pem().value();
    CHECK(pem.text().starts_with("-----BEGIN PRIVATE KEY-----"));
    CHECK(ca::decrypt_key(pem.view(), Secret()).value()->public_key() == key.public_key());
  }
}

}  // namespace capf::test
