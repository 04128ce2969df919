#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <botan/ec_group.h>
#include <botan/ecdsa.h>
#include <botan/pkcs10.h>
#include <botan/rsa.h>
#include <botan/system_rng.h>
#include <botan/x509_ca.h>
#include <botan/x509self.h>

#include "capf/base/bytes.h"

// Keys, requests and manufacturers that a test makes when it runs, because they must be valid now.

namespace capf::test {

/// A key of a phone, P-256 unless a test wants another curve: cheap, and a new one each time.
class PhoneKey {
 public:
  explicit PhoneKey(const std::string& curve = "secp256r1") : key_(Botan::system_rng(), Botan::EC_Group(curve)) {}

  /// PKCS #10, DER, that asks for a CA certificate with another name: both must be ignored.
  Bytes request() const {
    Botan::X509_Cert_Options options("CN-of-the-request/XX/Nobody");
    options.CA_key(1);
    return Botan::X509::create_cert_req(options, key_, "SHA-256", Botan::system_rng()).BER_encode();
  }
  const Botan::ECDSA_PrivateKey& botan() const { return key_; }

 private:
  Botan::ECDSA_PrivateKey key_;
};

/// An RSA key of a phone, of 2048 bits.
class RsaPhoneKey {
 public:
  RsaPhoneKey() : key_(Botan::system_rng(), 2048) {}
  RsaPhoneKey(const Botan::BigInt& p, const Botan::BigInt& q, std::uint64_t exponent = 65537)
      : key_(p, q, Botan::BigInt(exponent)) {}

  /// A key of the same modulus with another exponent, which is prime.
  RsaPhoneKey with_exponent(std::uint64_t exponent) const { return RsaPhoneKey(key_.get_p(), key_.get_q(), exponent); }
  /// PKCS #10, DER.
  Bytes request() const {
    const Botan::X509_Cert_Options options("A phone/XX/Nobody");
    return Botan::X509::create_cert_req(options, key_, "SHA-256", Botan::system_rng()).BER_encode();
  }
  const Botan::RSA_PrivateKey& botan() const { return key_; }
  Bytes public_key() const { return key_.subject_public_key(); }

 private:
  Botan::RSA_PrivateKey key_;
};

/// A manufacturer with a root of its own, which signs MICs.
class Manufacturer {
 public:
  explicit Manufacturer(const std::string& name) : key_(Botan::system_rng(), Botan::EC_Group("secp256r1")) {
    Botan::X509_Cert_Options options(name + "/XX/" + name);
    options.CA_key(1);
    const auto now = std::chrono::system_clock::now();
    options.start = Botan::X509_Time(now - std::chrono::hours{24});
    options.end = Botan::X509_Time(now + std::chrono::hours{24 * 365});
    root_ = std::make_unique<Botan::X509_Certificate>(
        Botan::X509::create_self_signed_cert(options, key_, "SHA-256", Botan::system_rng()));
  }
  /// A CA below another one.
  Manufacturer(const std::string& name, const Manufacturer& above)
      : key_(Botan::system_rng(), Botan::EC_Group("secp256r1")) {
    Botan::X509_Cert_Options options(name + "/XX/" + name);
    options.CA_key(0);
    const auto request = Botan::X509::create_cert_req(options, key_, "SHA-256", Botan::system_rng());
    root_ = std::make_unique<Botan::X509_Certificate>(above.sign(request, -24, 24 * 300));
  }
  /// Its own certificate.
  Bytes root() const { return root_->BER_encode(); }
  Bytes key_identifier() const {
    const auto& octets = root_->subject_key_id();
    return {octets.begin(), octets.end()};
  }
  Sha256 key_sha256() const { return sha256(root_->subject_public_key_info()); }

  /// @param from, to in hours from now.
  Bytes mic(const PhoneKey& key, const std::string& common_name, int from = -1, int to = 24 * 30) const {
    return mic(key.botan(), common_name, from, to);
  }
  Bytes mic(const Botan::Private_Key& key, const std::string& common_name, int from = -1, int to = 24 * 30) const {
    const Botan::X509_Cert_Options options(common_name + "/XX/Phones");
    const auto request = Botan::X509::create_cert_req(options, key, "SHA-256", Botan::system_rng());
    return sign(request, from, to).BER_encode();
  }

 private:
  Botan::X509_Certificate sign(const Botan::PKCS10_Request& request, int from, int to) const {
    const Botan::X509_CA authority(*root_, key_, "SHA-256", Botan::system_rng());
    const auto now = std::chrono::system_clock::now();
    return authority.sign_request(request, Botan::system_rng(), Botan::X509_Time(now + std::chrono::hours{from}),
                                  Botan::X509_Time(now + std::chrono::hours{to}));
  }

  Botan::ECDSA_PrivateKey key_;
  std::unique_ptr<Botan::X509_Certificate> root_;
};

}  // namespace capf::test
