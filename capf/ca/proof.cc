#include "capf/ca/proof.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include <openssl/rsa.h>

#include "capf/ca/asn1.h"
#include "capf/ca/certificate.h"
#include "capf/ca/openssl.h"

namespace capf::ca {
namespace {

using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>>;

tl::unexpected<Error> invalid(std::string why) {
  return fail(Reason::kProofInvalid, "the proof of possession is wrong: " + std::move(why));
}

const EVP_MD* digest_of(ProofHash hash) {
  switch (hash) {
    case ProofHash::kSha1: return EVP_sha1();
    case ProofHash::kSha256: return EVP_sha256();
    case ProofHash::kSha512: return EVP_sha512();
  }
  CAPF_INVARIANT(false);
}

Bytes digest(ProofHash hash, BytesView data) {
  Bytes value(EVP_MAX_MD_SIZE);
  unsigned int size = 0;
  CAPF_INVARIANT(EVP_Digest(data.data(), data.size(), value.data(), &size, digest_of(hash), nullptr) == 1);
  value.resize(size);
  return value;
}

/// The key of a certificate that was scanned.
PkeyPtr key_of(BytesView certificate) {
  const auto outline = read_outline(certificate);
  if (!outline) return nullptr;
  const unsigned char* at = outline->public_key.data();
  return PkeyPtr(d2i_PUBKEY(nullptr, &at, static_cast<long>(outline->public_key.size())));
}

// RFC 8017 9.2, without the DigestInfo:
//   EM = 0x00 || 0x01 || PS || 0x00 || digest,   PS: 0xFF, at least eight of them
// The block is made and compared as a whole. Code that parses the padding and then looks for the digest behind it
// accepts forgeries: for e = 3, a cube root.
bool rsa_signed(EVP_PKEY* key, BytesView wanted, BytesView signature) {
  const auto size = static_cast<std::size_t>(EVP_PKEY_get_size(key));
  if (signature.size() != size || size < wanted.size() + 11) return false;
  Bytes expected(size, 0xFF);
  expected[0] = 0x00;
  expected[1] = 0x01;
  expected[size - wanted.size() - 1] = 0x00;
  std::copy(wanted.begin(), wanted.end(), expected.end() - static_cast<std::ptrdiff_t>(wanted.size()));

  // The bare operation: s^e mod n.
  const KeyContext context(EVP_PKEY_CTX_new(key, nullptr));
  Bytes opened(size);
  std::size_t opened_size = size;
  if (!context || EVP_PKEY_encrypt_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_NO_PADDING) != 1 ||
      EVP_PKEY_encrypt(context.get(), opened.data(), &opened_size, signature.data(), signature.size()) != 1) {
    return false;
  }
  return opened_size == size && opened == expected;
}

bool ecdsa_signed(EVP_PKEY* key, BytesView wanted, BytesView signature) {
  const KeyContext context(EVP_PKEY_CTX_new(key, nullptr));
  return context && EVP_PKEY_verify_init(context.get()) == 1 &&
         EVP_PKEY_verify(context.get(), signature.data(), signature.size(), wanted.data(), wanted.size()) == 1;
}

bool is_signed(EVP_PKEY* key, ProofHash hash, BytesView data, BytesView signature) {
  const ErrorQueue errors;
  const Bytes wanted = digest(hash, data);
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA: return rsa_signed(key, wanted, signature);
    case EVP_PKEY_EC: return ecdsa_signed(key, wanted, signature);
    default: return false;
  }
}

Result<PkeyPtr> scanned_key(BytesView certificate) {
  CAPF_TRY(scan_certificate(certificate));
  const ErrorQueue errors;
  PkeyPtr key = key_of(certificate);
  if (!key) return fail(Reason::kCertificateMalformed, "the certificate's key cannot be read");
  return key;
}

Status verify_sudi(const ProofClaim::Sudi& sudi, std::uint32_t session_id) {
  CAPF_LET(const PkeyPtr key, scanned_key(sudi.certificate));
  if (EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA) return invalid("its SUDI part is for RSA keys only");
  Bytes data{static_cast<std::uint8_t>(session_id), static_cast<std::uint8_t>(session_id >> 8),
             static_cast<std::uint8_t>(session_id >> 16), static_cast<std::uint8_t>(session_id >> 24)};
  data.insert(data.end(), sudi.certificate.begin(), sudi.certificate.end());
  if (!is_signed(key.get(), ProofHash::kSha1, data, sudi.sha1_signature)) {
    return invalid("SUDI, the SHA-1 signature over this session's id");
  }
  if (!is_signed(key.get(), ProofHash::kSha512, data, sudi.sha512_signature)) {
    return invalid("SUDI, the SHA-512 signature over this session's id");
  }
  return {};
}

}  // namespace

Result<ProvenCertificates> verify_proof(const ProofClaim& claim, const DeviceName& device, std::uint32_t session_id) {
  if (claim.certificate.empty()) return invalid("there is no certificate");
  if (claim.sha1_signature.empty()) return invalid("there is no SHA-1 signature");
  if (claim.sha2_signature.empty() || claim.sha2_hash == ProofHash::kSha1) {
    return invalid("there is no SHA-2 signature");
  }
  CAPF_LET(const PkeyPtr key, scanned_key(claim.certificate));

  Bytes data(device.text().begin(), device.text().end());
  data.push_back(0);
  data.insert(data.end(), claim.certificate.begin(), claim.certificate.end());
  if (!is_signed(key.get(), ProofHash::kSha1, data, claim.sha1_signature)) return invalid("the SHA-1 signature");
  if (!is_signed(key.get(), claim.sha2_hash, data, claim.sha2_signature)) return invalid("the SHA-2 signature");

  ProvenCertificates proven;
  proven.certificate.assign(claim.certificate.begin(), claim.certificate.end());
  if (!claim.sudi) return proven;
  CAPF_TRY(verify_sudi(*claim.sudi, session_id));
  proven.fresh = std::equal(claim.certificate.begin(), claim.certificate.end(), claim.sudi->certificate.begin(),
                            claim.sudi->certificate.end());
  if (!proven.fresh) proven.sudi.emplace(claim.sudi->certificate.begin(), claim.sudi->certificate.end());
  return proven;
}

}  // namespace capf::ca
