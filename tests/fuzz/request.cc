#include "capf/ca/request.h"

#include <botan/system_rng.h>

#include "capf/ca/issuer.h"
#include "capf/ca/recheck.h"
#include "tests/fuzz/der.h"
#include "tests/fuzz/signer.h"
#include "tests/support/crl.h"

using namespace capf;

namespace {

const fuzz::Signer& signer(std::uint8_t choice) {
  static const std::array kSigners{fuzz::Signer("p-256"), fuzz::Signer("rsa-1024"), fuzz::Signer("p-384"),
                                   fuzz::Signer("rsa-2048")};
  return kSigners[choice % kSigners.size()];
}

/// OpenSSL must read the same key.
void check_same_key(const ca::OfferedKey& key, EVP_PKEY* other) {
  CAPF_INVARIANT(other != nullptr);
  CAPF_INVARIANT(ca::encode_der(i2d_PUBKEY, other) == key.public_key);
  CAPF_INVARIANT(EVP_PKEY_get_bits(other) == key.bits);
  CAPF_INVARIANT((EVP_PKEY_get_base_id(other) == EVP_PKEY_RSA) == (key.type == ca::KeyType::kRsa));
}

/// A good key becomes an LSC that passes all checks.
void check_issuing(const ca::OfferedKey& key) {
  static const IssuerRecord kRecord = test::crl_issuer("authority/p-256.pem");
  static const auto kIssuer =
      ca::Issuer::make(kRecord, test::read_key("p-256"), "http://capf.example.com:3807").value();
  const auto device = DeviceName::parse("SEP001122334455").value();
  const ca::LscRequest request{device, "CP-8861", "", key.public_key, test::test_now(), std::chrono::hours{24 * 365}};
  const auto lsc = kIssuer->issue(request, Botan::system_rng());
  CAPF_INVARIANT(lsc);
  ca::ExpectedLsc expected{.issuer = kRecord.der, .issuer_id = kRecord.id, .shards = kRecord.shards};
  expected.device = device.text();
  expected.serial = lsc->serial;
  expected.not_before = lsc->not_before;
  expected.not_after = lsc->not_after;
  expected.shard = lsc->shard;
  expected.key_sha256 = key.digests.sha256;
  CAPF_INVARIANT(ca::recheck_lsc(lsc->der, expected).empty());
}

void check_offered(const ca::OfferedKey& key, bool issue) {
  CAPF_INVARIANT(key.digests.sha256 == sha256(key.public_key));
  const ca::ErrorQueue errors;
  const unsigned char* at = key.public_key.data();
  const ca::PkeyPtr other(d2i_PUBKEY(nullptr, &at, static_cast<long>(key.public_key.size())));
  const bool strong = ca::check_key(key, false).has_value();
  const bool good = ca::check_key(key, true).has_value();
  CAPF_INVARIANT(good || !strong);
  if (!good) return;
  check_same_key(key, other.get());
  const bool rsa = key.type == ca::KeyType::kRsa;
  CAPF_INVARIANT(!rsa || (key.bits >= (strong ? 2048 : 1024) && key.bits <= 4096));
  const std::unique_ptr<EVP_PKEY_CTX, capf::Freed<EVP_PKEY_CTX_free>> context(EVP_PKEY_CTX_new(other.get(), nullptr));
  CAPF_INVARIANT(rsa || EVP_PKEY_public_check(context.get()) == 1);
  KeyPolicy wanted{rsa ? KeyOrder::kRsa : KeyOrder::kEc};
  (rsa ? wanted.rsa_bits : wanted.ec_bits) = key.bits;
  CAPF_INVARIANT(ca::check_wanted(key, wanted));
  if (issue) check_issuing(key);
}

}  // namespace

// The first option: which key signs the request again (none below 64), and whether an LSC is made of a good key. The
// first element is a request, the second one a SubjectPublicKeyInfo.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::DerInput input = fuzz::read_input({data, size});
  if (input.elements.empty()) return 0;
  const bool issue = input.options[1] % 16 == 1;
  Bytes request(input.elements[0].begin(), input.elements[0].end());
  if (input.options[0] >= 64) {
    if (auto again = fuzz::sign_again(request, signer(input.options[0]))) request = *std::move(again);
  }
  if (const auto key = ca::read_request(request)) {
    const ca::ErrorQueue errors;
    const unsigned char* at = request.data();
    const ca::X509ReqPtr other(d2i_X509_REQ(nullptr, &at, static_cast<long>(request.size())));
    CAPF_INVARIANT(other && X509_REQ_verify(other.get(), X509_REQ_get0_pubkey(other.get())) == 1);
    check_same_key(*key, X509_REQ_get0_pubkey(other.get()));
    const auto bare = ca::read_public_key(key->public_key);
    CAPF_INVARIANT(bare && bare->digests == key->digests && bare->type == key->type && bare->bits == key->bits);
    check_offered(*key, issue);
  }
  if (input.elements.size() > 1) {
    if (const auto key = ca::read_public_key(input.elements[1])) check_offered(*key, issue);
  }
  return 0;
}
