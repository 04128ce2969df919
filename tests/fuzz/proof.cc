#include "capf/ca/proof.h"

#include <openssl/rsa.h>

#include "tests/fuzz/der.h"
#include "tests/fuzz/signer.h"

using namespace capf;

namespace {

constexpr std::uint32_t kSession = 0xC0FFEE42;

/// As a phone signs: RSA the bare digest, EC in DER.
Bytes sign_bare(EVP_PKEY* key, const EVP_MD* digest, BytesView data) {
  Bytes value(EVP_MAX_MD_SIZE);
  unsigned size = 0;
  EVP_Digest(data.data(), data.size(), value.data(), &size, digest, nullptr);
  const std::unique_ptr<EVP_PKEY_CTX, capf::Freed<EVP_PKEY_CTX_free>> context(EVP_PKEY_CTX_new(key, nullptr));
  std::size_t length = static_cast<std::size_t>(EVP_PKEY_get_size(key));
  Bytes signature(length);
  CAPF_INVARIANT(EVP_PKEY_sign_init(context.get()) == 1);
  CAPF_INVARIANT(EVP_PKEY_sign(context.get(), signature.data(), &length, value.data(), size) == 1);
  signature.resize(length);
  return signature;
}

Bytes over_name(const DeviceName& device, BytesView certificate) {
  Bytes data(device.text().begin(), device.text().end());
  data.push_back(0);
  data.insert(data.end(), certificate.begin(), certificate.end());
  return data;
}

Bytes over_session(BytesView certificate) {
  Bytes data{0x42, 0xEE, 0xFF, 0xC0};
  data.insert(data.end(), certificate.begin(), certificate.end());
  return data;
}

}  // namespace

// The bits of the first option: which signatures the phone's own key makes, and which keys; the second one: the hash.
// The elements: the certificate, the SUDI certificate (or the same one again), and signatures in place of the phone's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto kDevice = DeviceName::parse("SEP001122334455").value();
  static const fuzz::Signer kRsa("rsa-1024");
  static const fuzz::Signer kEc("phone-p-256");
  const fuzz::DerInput input = fuzz::read_input({data, size});
  if (input.elements.empty()) return 0;
  const ca::ErrorQueue errors;
  const auto own = [&](int bit) { return (input.options[0] >> bit & 1) != 0; };
  EVP_PKEY* const key = own(5) ? kEc.get() : kRsa.get();
  ca::ProofClaim claim;
  claim.certificate = input.elements[0];
  claim.sha2_hash = static_cast<ca::ProofHash>(input.options[1] % 3);
  const EVP_MD* const sha2 = claim.sha2_hash == ca::ProofHash::kSha512 ? EVP_sha512() : EVP_sha256();
  std::size_t at = 2;
  const auto signature = [&](int bit, EVP_PKEY* signer, const EVP_MD* digest, const Bytes& message) -> Bytes {
    if (own(bit)) return sign_bare(signer, digest, message);
    if (at >= input.elements.size()) return {};
    const BytesView given = input.elements[at++];
    return {given.begin(), given.end()};
  };
  const Bytes named = over_name(kDevice, claim.certificate);
  const Bytes first = signature(0, key, EVP_sha1(), named);
  const Bytes second = signature(1, key, sha2, named);
  claim.sha1_signature = first;
  claim.sha2_signature = second;
  Bytes third;
  Bytes fourth;
  if (own(4)) {
    claim.sudi.emplace();
    claim.sudi->certificate = own(6) || input.elements.size() < 2 ? claim.certificate : input.elements[1];
    const Bytes message = over_session(claim.sudi->certificate);
    third = signature(2, kRsa.get(), EVP_sha1(), message);
    fourth = signature(3, kRsa.get(), EVP_sha512(), message);
    claim.sudi->sha1_signature = third;
    claim.sudi->sha512_signature = fourth;
  }
  const auto proven = ca::verify_proof(claim, kDevice, kSession);
  if (!proven) return 0;
  const auto same = [](BytesView a, BytesView b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); };
  CAPF_INVARIANT(claim.sha2_hash != ca::ProofHash::kSha1 && !first.empty() && !second.empty());
  CAPF_INVARIANT(same(proven->certificate, claim.certificate));
  const bool fresh = claim.sudi && same(claim.sudi->certificate, claim.certificate);
  CAPF_INVARIANT(proven->fresh == fresh && proven->sudi.has_value() == (claim.sudi && !fresh));
  CAPF_INVARIANT(!proven->sudi || same(*proven->sudi, claim.sudi->certificate));
  CAPF_INVARIANT(!claim.sudi || (!third.empty() && !fourth.empty()));
  // The same signatures do not prove another device.
  CAPF_INVARIANT(!ca::verify_proof(claim, DeviceName::parse("SEP001122334456").value(), kSession));
  CAPF_INVARIANT(!claim.sudi || !ca::verify_proof(claim, kDevice, kSession + 1));
  return 0;
}
