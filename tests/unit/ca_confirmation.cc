#include <memory>
#include <string>

#include <botan/ec_group.h>
#include <botan/ecdsa.h>
#include <botan/pubkey.h>
#include <botan/rsa.h>
#include <botan/system_rng.h>
#include <botan/x509self.h>
#include <catch2/catch.hpp>

#include "capf/ca/botan.h"
#include "capf/ca/confirmation.h"

using namespace capf;
using ca::ConfirmationNonce;
using ca::verify_confirmation;

namespace {

DeviceName device(const std::string& name = "SEP001122334455") { return DeviceName::parse(name).value(); }

ConfirmationNonce nonce(std::uint8_t first = 1) {
  ConfirmationNonce octets{};
  octets.front() = first;
  return octets;
}

/// A phone with its new certificate. It signs by Botan; the code under test verifies by OpenSSL.
struct Storing {
  std::unique_ptr<Botan::Private_Key> key;
  std::string padding;  ///< as its key must sign
  Botan::Signature_Format format;
  Bytes certificate;

  Storing(std::unique_ptr<Botan::Private_Key> made, std::string with, Botan::Signature_Format as)
      : key(std::move(made)), padding(std::move(with)), format(as) {
    const Botan::X509_Cert_Options options("SEP001122334455/XX/Phones");
    certificate = Botan::X509::create_self_signed_cert(options, *key, "SHA-256", Botan::system_rng()).BER_encode();
  }

  static Storing rsa(const std::string& padding = "EMSA4(SHA-256,MGF1,32)") {
    return {std::make_unique<Botan::RSA_PrivateKey>(Botan::system_rng(), 2048), padding, ca::kPlainSignature};
  }
  static Storing ec(const std::string& curve, const std::string& hash, Botan::Signature_Format as = ca::kDerSignature) {
    return {std::make_unique<Botan::ECDSA_PrivateKey>(Botan::system_rng(), Botan::EC_Group(curve)),
            "EMSA1(" + hash + ")", as};
  }

  Bytes sign(const std::string& octets) const {
    Botan::PK_Signer signer(*key, Botan::system_rng(), padding, format);
    return signer.sign_message(reinterpret_cast<const std::uint8_t*>(octets.data()), octets.size(),
                               Botan::system_rng());
  }
  std::string octets(const std::string& name = "SEP001122334455", const ConfirmationNonce& with = nonce()) const {
    std::string all = "CAPF Enrol 1: stored";
    all += '\0' + name + '\0';
    all += as_text(with);
    all += as_text(sha256(certificate));
    return all;
  }
  Status verify(BytesView signature) const { return verify_confirmation(certificate, device(), nonce(), signature); }
};

}  // namespace

TEST_CASE("a confirmation is signed as the new key's kind asks for") {
  for (const Storing& phone : {Storing::rsa(), Storing::ec("secp256r1", "SHA-256"), Storing::ec("secp384r1", "SHA-384"),
                               Storing::ec("secp521r1", "SHA-512")}) {
    CAPTURE(phone.padding);
    CHECK(phone.verify(phone.sign(phone.octets())));
  }
}

TEST_CASE("a signature of the new key in another form is no confirmation") {
  for (const Storing& phone :
       {Storing::rsa("EMSA3(SHA-256)"), Storing::rsa("EMSA4(SHA-256,MGF1,20)"), Storing::rsa("EMSA4(SHA-512,MGF1,64)"),
        Storing::ec("secp256r1", "SHA-384"), Storing::ec("secp384r1", "SHA-256"), Storing::ec("secp521r1", "SHA-384"),
        Storing::ec("secp256r1", "SHA-256", ca::kPlainSignature)}) {
    CAPTURE(phone.padding);
    const Status verified = phone.verify(phone.sign(phone.octets()));
    REQUIRE_FALSE(verified);
    CHECK(verified.error().reason == Reason::kProofInvalid);
  }
}

TEST_CASE("a confirmation is of this device, nonce, certificate and key") {
  const Storing phone = Storing::ec("secp256r1", "SHA-256");
  const Storing other = Storing::ec("secp256r1", "SHA-256");
  CHECK(phone.verify(phone.sign(phone.octets())));
  CHECK_FALSE(phone.verify(phone.sign(phone.octets("SEP001122334456"))));
  CHECK_FALSE(phone.verify(phone.sign(phone.octets("SEP001122334455", nonce(2)))));
  CHECK_FALSE(phone.verify(phone.sign(other.octets())));
  CHECK_FALSE(phone.verify(other.sign(phone.octets())));
  CHECK_FALSE(phone.verify(phone.sign("")));
  CHECK_FALSE(phone.verify({}));
  const Bytes none;
  CHECK_FALSE(verify_confirmation(none, device(), nonce(), phone.sign(phone.octets())));
}
