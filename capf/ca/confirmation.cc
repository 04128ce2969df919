#include "capf/ca/confirmation.h"

#include <string_view>

#include <openssl/rsa.h>

#include "capf/ca/asn1.h"
#include "capf/ca/openssl.h"

namespace capf::ca {
namespace {

using DigestContext = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>>;

constexpr std::string_view kPurpose{"CAPF Enrol 1: stored\0", 21};
constexpr int kSaltOctets = 32;

Bytes signed_octets(BytesView certificate, const DeviceName& device, const ConfirmationNonce& nonce) {
  Bytes octets(kPurpose.begin(), kPurpose.end());
  octets.insert(octets.end(), device.text().begin(), device.text().end());
  octets.push_back(0);
  octets.insert(octets.end(), nonce.begin(), nonce.end());
  const Sha256 digest = sha256(certificate);
  octets.insert(octets.end(), digest.begin(), digest.end());
  return octets;
}

PkeyPtr key_of(BytesView certificate) {
  const auto outline = read_outline(certificate);
  if (!outline) return nullptr;
  const unsigned char* at = outline->public_key.data();
  return PkeyPtr(d2i_PUBKEY(nullptr, &at, static_cast<long>(outline->public_key.size())));
}

const EVP_MD* digest_of(const EVP_PKEY* key) {
  if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC || EVP_PKEY_get_bits(key) <= 256) return EVP_sha256();
  return EVP_PKEY_get_bits(key) <= 384 ? EVP_sha384() : EVP_sha512();
}

bool use_pss(EVP_PKEY_CTX* context) {
  return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(context, kSaltOctets) == 1;
}

bool is_signed(EVP_PKEY* key, BytesView octets, BytesView signature) {
  const DigestContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* with = nullptr;
  if (!context || EVP_DigestVerifyInit(context.get(), &with, digest_of(key), nullptr, key) != 1) return false;
  if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && !use_pss(with)) return false;
  return EVP_DigestVerify(context.get(), signature.data(), signature.size(), octets.data(), octets.size()) == 1;
}

}  // namespace

Status verify_confirmation(BytesView certificate, const DeviceName& device, const ConfirmationNonce& nonce,
                           BytesView signature) {
  const ErrorQueue errors;
  const PkeyPtr key = key_of(certificate);
  if (key && is_signed(key.get(), signed_octets(certificate, device, nonce), signature)) return {};
  return fail(Reason::kProofInvalid, "the confirmation is not signed by the new key, as this stream asks for it");
}

}  // namespace capf::ca
