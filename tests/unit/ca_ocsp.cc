#include <botan/system_rng.h>
#include <catch2/catch.hpp>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include "capf/ca/ocsp.h"
#include "capf/ca/openssl.h"
#include "tests/support/crl.h"

using namespace capf;
using namespace capf::test;

namespace {

using RequestPtr = std::unique_ptr<OCSP_REQUEST, capf::Freed<OCSP_REQUEST_free>>;
using ResponsePtr = std::unique_ptr<OCSP_RESPONSE, capf::Freed<OCSP_RESPONSE_free>>;
using BasicPtr = std::unique_ptr<OCSP_BASICRESP, capf::Freed<OCSP_BASICRESP_free>>;

/// A request as of openssl's client. @param nonce octets of its nonce; 0: none
Bytes request(int serials, const EVP_MD* digest = EVP_sha1(), int nonce = 0,
              const std::string& issuer = "authority/self.pem") {
  const RequestPtr made(OCSP_REQUEST_new());
  const ca::X509Ptr above = ca::parse_x509(read_der(issuer));
  for (int i = 0; i < serials; ++i) {
    const std::unique_ptr<ASN1_INTEGER, capf::Freed<ASN1_INTEGER_free>> serial(ASN1_INTEGER_new());
    ASN1_INTEGER_set(serial.get(), 1000 + i);
    OCSP_request_add0_id(made.get(), OCSP_cert_id_new(digest, X509_get_subject_name(above.get()),
                                                      X509_get0_pubkey_bitstr(above.get()), serial.get()));
  }
  if (nonce != 0) {
    Bytes octets(static_cast<std::size_t>(nonce), 0x5A);
    OCSP_request_add1_nonce(made.get(), octets.data(), nonce);
  }
  return ca::encode_der(i2d_OCSP_REQUEST, made.get());
}

std::shared_ptr<const ca::OcspSigner> signer(const std::string& certificate = "self",
                                             const std::string& key = "rsa-2048") {
  return value_of(ca::OcspSigner::make(crl_issuer("authority/" + certificate + ".pem"), *read_key(key), test_now(),
                                       std::chrono::hours{336}, Botan::system_rng()));
}

}  // namespace

TEST_CASE("openssl accepts the answer of the delegated key, by issuers of every kind") {
  const std::string name = GENERATE("self", "p-256", "p-384", "rsa-3072");
  const EVP_MD* digest = GENERATE(EVP_sha1(), EVP_sha256());
  const int nonce = GENERATE(0, 1, 16, 32, 128);
  const auto issuer = "authority/" + name + ".pem";
  const auto made = signer(name, name == "self" ? "rsa-2048" : name);
  const Bytes asked = request(3, digest, nonce, issuer);
  const auto parsed = ca::OcspRequest::parse(asked);
  REQUIRE(parsed);
  REQUIRE(parsed->ids().size() == 3);
  CHECK(parsed->has_nonce() == (nonce != 0));
  for (const auto& id : parsed->ids()) CHECK(made->answers_for(id));
  using State = ca::OcspStatus::State;
  const std::vector<ca::OcspStatus> statuses{
      {State::kGood, {}, {}},
      {State::kRevoked, test_now() - std::chrono::hours{5}, RevocationReason::kKeyCompromise},
      {State::kUnknown, {}, {}}};
  const Bytes der = value_of(made->sign(*parsed, statuses, test_now(), test_now() + std::chrono::minutes{5}));

  const ca::ErrorQueue errors;
  const unsigned char* at = der.data();
  const ResponsePtr response(d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(der.size())));
  REQUIRE(response);
  REQUIRE(OCSP_response_status(response.get()) == OCSP_RESPONSE_STATUS_SUCCESSFUL);
  const BasicPtr basic(OCSP_response_get1_basic(response.get()));
  const std::unique_ptr<X509_STORE, capf::Freed<X509_STORE_free>> store(X509_STORE_new());
  const ca::X509Ptr anchor = ca::parse_x509(read_der(issuer));
  X509_STORE_add_cert(store.get(), anchor.get());
  X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store.get()),
                             std::chrono::floor<std::chrono::seconds>(test_now()).time_since_epoch().count());
  CHECK(OCSP_basic_verify(basic.get(), nullptr, store.get(), 0) == 1);
  const unsigned char* asked_at = asked.data();
  const RequestPtr again(d2i_OCSP_REQUEST(nullptr, &asked_at, static_cast<long>(asked.size())));
  CHECK(OCSP_check_nonce(again.get(), basic.get()) == (nonce != 0 ? 1 : 2));
  const int expected[]{V_OCSP_CERTSTATUS_GOOD, V_OCSP_CERTSTATUS_REVOKED, V_OCSP_CERTSTATUS_UNKNOWN};
  for (int i = 0; i < 3; ++i) {
    int status = -1;
    int reason = -1;
    ASN1_GENERALIZEDTIME* revoked = nullptr;
    ASN1_GENERALIZEDTIME* from = nullptr;
    ASN1_GENERALIZEDTIME* until = nullptr;
    OCSP_CERTID* id = OCSP_onereq_get0_id(OCSP_request_onereq_get0(again.get(), i));
    REQUIRE(OCSP_resp_find_status(basic.get(), id, &status, &reason, &revoked, &from, &until) == 1);
    CHECK(status == expected[i]);
    CHECK(std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(from))) == "20260601115500Z");
    CHECK(std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(until))) == "20260601120500Z");
    if (i != 1) continue;
    CHECK(reason == OCSP_REVOKED_STATUS_KEYCOMPROMISE);
    CHECK(std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(revoked))) == "20260601070000Z");
  }
  CHECK(std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(OCSP_resp_get0_produced_at(basic.get())))) ==
        "20260601120000Z");
}

TEST_CASE("an answer is dated back, and never to before a revocation that it tells of") {
  const auto parsed = ca::OcspRequest::parse(request(1));
  using State = ca::OcspStatus::State;
  const ca::OcspStatus revoked{State::kRevoked, test_now() - std::chrono::minutes{2}, RevocationReason::kKeyCompromise};
  const Bytes der =
      value_of(signer()->sign(*parsed, std::span(&revoked, 1), test_now(), test_now() + std::chrono::minutes{5}));
  const std::string text(as_text(der));
  CHECK(text.find("20260601115800Z") != std::string::npos);
  CHECK(text.find("20260601115500Z") == std::string::npos);
}

TEST_CASE("a critical nonce is answered by one that is not critical, and no other critical extension is known") {
  const unsigned char* at = nullptr;
  const auto changed = [&](auto change) {
    const Bytes plain = request(1, EVP_sha1(), 16);
    at = plain.data();
    const RequestPtr made(d2i_OCSP_REQUEST(nullptr, &at, static_cast<long>(plain.size())));
    change(made.get());
    return ca::encode_der(i2d_OCSP_REQUEST, made.get());
  };
  const Bytes critical =
      changed([](OCSP_REQUEST* made) { X509_EXTENSION_set_critical(OCSP_REQUEST_get_ext(made, 0), 1); });
  const auto parsed = ca::OcspRequest::parse(critical);
  REQUIRE(parsed);
  const ca::OcspStatus good{ca::OcspStatus::State::kGood, {}, {}};
  const Bytes der =
      value_of(signer()->sign(*parsed, std::span(&good, 1), test_now(), test_now() + std::chrono::minutes{5}));
  at = der.data();
  const ResponsePtr response(d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(der.size())));
  const BasicPtr basic(OCSP_response_get1_basic(response.get()));
  REQUIRE(OCSP_BASICRESP_get_ext_count(basic.get()) == 1);
  CHECK(X509_EXTENSION_get_critical(OCSP_BASICRESP_get_ext(basic.get(), 0)) == 0);

  const auto with_unknown = [](int is_critical) {
    const std::unique_ptr<ASN1_OCTET_STRING, capf::Freed<ASN1_OCTET_STRING_free>> value(ASN1_OCTET_STRING_new());
    const std::unique_ptr<ASN1_OBJECT, capf::Freed<ASN1_OBJECT_free>> name(OBJ_txt2obj("1.3.6.1.4.1.55555.1", 1));
    return X509_EXTENSION_create_by_OBJ(nullptr, name.get(), is_critical, value.get());
  };
  for (const int is_critical : {0, 1}) {
    CAPTURE(is_critical);
    const std::unique_ptr<X509_EXTENSION, capf::Freed<X509_EXTENSION_free>> extension(with_unknown(is_critical));
    CHECK(ca::OcspRequest::parse(changed([&](OCSP_REQUEST* made) {
            OCSP_REQUEST_add_ext(made, extension.get(), -1);
          })).has_value() == (is_critical == 0));
    CHECK(ca::OcspRequest::parse(changed([&](OCSP_REQUEST* made) {
            OCSP_ONEREQ_add_ext(OCSP_request_onereq_get0(made, 0), extension.get(), -1);
          })).has_value() == (is_critical == 0));
  }
}

TEST_CASE("the responder's certificate may answer, is not asked about, and is renewed after half of its life") {
  const auto made = signer();
  const ca::X509Ptr certificate = ca::parse_x509(made->certificate());
  CHECK(X509_get_extended_key_usage(certificate.get()) == XKU_OCSP_SIGN);
  CHECK(X509_get_key_usage(certificate.get()) == KU_DIGITAL_SIGNATURE);
  CHECK(X509_get_ext_by_NID(certificate.get(), NID_id_pkix_OCSP_noCheck, -1) >= 0);
  CHECK(X509_get_ext_by_NID(certificate.get(), NID_crl_distribution_points, -1) < 0);
  CHECK(EVP_PKEY_get_bits(X509_get0_pubkey(certificate.get())) == 256);
  CHECK(signer()->public_key() != made->public_key());
  CHECK_FALSE(made->due(test_now() + std::chrono::hours{167}));
  CHECK(made->due(test_now() + std::chrono::hours{168}));
  const auto late = ca::OcspSigner::make(crl_issuer(), *read_key("rsa-2048"), crl_issuer().not_after,
                                         std::chrono::hours{336}, Botan::system_rng());
  CHECK(reason_of(late) == Reason::kIssuerExpired);
}

TEST_CASE("a request of another issuer is not answered for") {
  const auto parsed = ca::OcspRequest::parse(request(1, EVP_sha1(), 0, "authority/p-256.pem"));
  REQUIRE(parsed);
  CHECK_FALSE(signer()->answers_for(parsed->ids().front()));
  const auto odd = ca::OcspRequest::parse(request(1, EVP_sha384()));
  REQUIRE(odd);
  CHECK_FALSE(signer()->answers_for(odd->ids().front()));
}

TEST_CASE("what is no request, or too much of one, is malformed") {
  CHECK(ca::OcspRequest::parse(request(20)));
  CHECK_FALSE(ca::OcspRequest::parse(request(21)));
  CHECK_FALSE(ca::OcspRequest::parse(request(1000)));
  CHECK_FALSE(ca::OcspRequest::parse(request(0)));
  CHECK_FALSE(ca::OcspRequest::parse(request(1, EVP_sha1(), 129)));
  CHECK_FALSE(ca::OcspRequest::parse({}));
  CHECK_FALSE(ca::OcspRequest::parse(Bytes(8193, 0x30)));
  const Bytes good = request(1, EVP_sha1(), 16);
  for (std::size_t size = 0; size < good.size(); ++size) {
    CHECK_FALSE(ca::OcspRequest::parse(BytesView(good).first(size)));
  }
  Bytes longer = good;
  longer.push_back(0);
  CHECK_FALSE(ca::OcspRequest::parse(longer));
  // With any one octet changed, it is parsed or refused, without reading beyond the end.
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes changed = good;
    changed[i] ^= 0xFF;
    const auto parsed = ca::OcspRequest::parse(changed);
    if (parsed) CHECK(parsed->ids().size() == 1);
  }
}

TEST_CASE("a hash algorithm whose parameters are something else than NULL is malformed") {
  Bytes asked = request(1);
  const Bytes sha1{0x2B, 0x0E, 0x03, 0x02, 0x1A, 0x05, 0x00};  // 1.3.14.3.2.26 NULL
  const auto at = std::search(asked.begin(), asked.end(), sha1.begin(), sha1.end());
  REQUIRE(at != asked.end());
  for (const std::uint8_t tag : {0xFA, 0x04, 0x30}) {
    at[5] = tag;
    CHECK_FALSE(ca::OcspRequest::parse(asked));
  }
}

TEST_CASE("an error is an answer of five octets") {
  CHECK(to_hex(ca::encode_ocsp_error(ca::OcspError::kUnauthorized)) == "30030a0106");
}

TEST_CASE("hashes of the issuer count with the algorithm that is named for them") {
  Bytes asked = request(1);
  const Bytes sha1{0x2B, 0x0E, 0x03, 0x02, 0x1A};  // 1.3.14.3.2.26
  const auto at = std::search(asked.begin(), asked.end(), sha1.begin(), sha1.end());
  REQUIRE(at != asked.end());
  at[4] = 0x1B;
  const auto parsed = ca::OcspRequest::parse(asked);
  REQUIRE(parsed);
  CHECK_FALSE(signer()->answers_for(parsed->ids()[0]));
}
