#include "capf/ca/request.h"

#include <algorithm>
#include <array>

#include <openssl/ec.h>

#include "capf/ca/asn1.h"
#include "capf/ca/openssl.h"
#include "capf/ca/spki.h"
#include "capf/ca/weak.h"

namespace capf::ca {
namespace {

using GroupPtr = std::unique_ptr<EC_GROUP, Freed<EC_GROUP_free>>;
using PointPtr = std::unique_ptr<EC_POINT, Freed<EC_POINT_free>>;

/// SEC 1 3.2.2: neither the point at infinity nor off the curve. The cofactor is 1 on all three.
Status check_point(const PublicKeyOutline& key) {
  const ErrorQueue errors;
  const GroupPtr group(EC_GROUP_new_by_curve_name(key.curve));
  if (!group) return fail_internal("EC_GROUP_new_by_curve_name: " + errors.text());
  const PointPtr point(EC_POINT_new(group.get()));
  if (!point) return fail_internal("EC_POINT_new: " + errors.text());
  // EC_POINT_oct2point refuses a point off the curve.
  if (EC_POINT_oct2point(group.get(), point.get(), key.point.data(), key.point.size(), nullptr) != 1 ||
      EC_POINT_is_at_infinity(group.get(), point.get()) == 1) {
    return fail(Reason::kKeyNotOnCurve);
  }
  return {};
}

Result<OfferedKey> offer(BytesView spki) {
  CAPF_LET(const PublicKeyOutline outline, read_spki(spki));
  if (outline.type == KeyType::kEc) CAPF_TRY(check_point(outline));
  return OfferedKey{Bytes(spki.begin(), spki.end()), key_digests(spki), outline.type, outline.bits};
}

/// The SubjectPublicKeyInfo of a PKCS #10 request.
// RFC 2986 4.2
//    CertificationRequest ::= SEQUENCE { certificationRequestInfo, signatureAlgorithm, signature BIT STRING }
//    CertificationRequestInfo ::= SEQUENCE { version INTEGER { v1(0) }, subject Name, subjectPKInfo,
//                                            attributes [0] }
std::optional<BytesView> find_public_key(BytesView der) {
  if (!is_one_der_element(der)) return std::nullopt;
  DerReader file(der);
  const auto request = file.take(kSequence);
  if (!request) return std::nullopt;
  DerReader outer(request->content);
  const auto info = outer.take(kSequence);
  if (!info || !outer.take(kSequence) || !outer.take(kBitString) || !outer.at_end()) return std::nullopt;
  DerReader fields(info->content);
  const auto version = fields.take(kInteger);
  if (!version || version->content.size() != 1 || version->content[0] != 0) return std::nullopt;
  const auto subject = fields.take(kSequence);
  const auto key = fields.take(kSequence);
  if (!subject || !key) return std::nullopt;
  fields.take(kContext0);
  if (!fields.at_end()) return std::nullopt;
  return key->whole;
}

bool is_accepted_signature(const X509_REQ* request) {
  constexpr std::array kAccepted{NID_sha1WithRSAEncryption,   NID_sha256WithRSAEncryption, NID_sha384WithRSAEncryption,
                                 NID_sha512WithRSAEncryption, NID_ecdsa_with_SHA1,         NID_ecdsa_with_SHA256,
                                 NID_ecdsa_with_SHA384,       NID_ecdsa_with_SHA512};
  return std::find(kAccepted.begin(), kAccepted.end(), X509_REQ_get_signature_nid(request)) != kAccepted.end();
}

}  // namespace

Result<OfferedKey> read_request(BytesView der) {
  if (der.size() > kLargestRequest) return fail(Reason::kRequestTooLarge);
  const auto spki = find_public_key(der);
  if (!spki) return fail(Reason::kInvalidCertificationRequest);
  CAPF_LET(OfferedKey key, offer(*spki));

  const ErrorQueue errors;
  const unsigned char* at = der.data();
  const X509ReqPtr request(d2i_X509_REQ(nullptr, &at, static_cast<long>(der.size())));
  if (!request || at != der.data() + der.size()) {
    return fail(Reason::kInvalidCertificationRequest, std::string(words(Reason::kInvalidCertificationRequest)),
                errors.text());
  }
  EVP_PKEY* const public_key = X509_REQ_get0_pubkey(request.get());
  if (public_key == nullptr) return fail(Reason::kKeyEncoding, std::string(words(Reason::kKeyEncoding)), errors.text());
  if (!is_accepted_signature(request.get())) {
    return fail(Reason::kRequestSignature, "the request is signed with an algorithm that is not taken");
  }
  if (X509_REQ_verify(request.get(), public_key) != 1) {
    return fail(Reason::kRequestSignature, std::string(words(Reason::kRequestSignature)), errors.text());
  }
  return key;
}

Result<OfferedKey> read_public_key(BytesView der) {
  if (der.size() > kLargestRequest || !is_one_der_element(der)) return fail(Reason::kKeyEncoding);
  return offer(der);
}

Status check_key(const OfferedKey& key, bool allow_rsa_1024) {
  CAPF_LET(const PublicKeyOutline outline, read_spki(key.public_key));
  switch (outline.type) {
    case KeyType::kEc: return check_point(outline);
    case KeyType::kRsa: return check_rsa(outline.modulus, outline.exponent, allow_rsa_1024 ? 1024 : 2048);
  }
  CAPF_INVARIANT(false);
}

Status check_wanted(const OfferedKey& key, const KeyPolicy& wanted) {
  const bool rsa = key.type == KeyType::kRsa && wanted.order != KeyOrder::kEc && key.bits == wanted.rsa_bits;
  const bool ec = key.type == KeyType::kEc && wanted.order != KeyOrder::kRsa && key.bits == wanted.ec_bits;
  if (rsa || ec) return {};
  if (key.type == KeyType::kRsa && wanted.order != KeyOrder::kEc) {
    return fail(Reason::kKeySizeMismatch, "the RSA key has " + std::to_string(key.bits) +
                                              " bits; the operation asks for " + std::to_string(wanted.rsa_bits));
  }
  if (key.type == KeyType::kEc && wanted.order != KeyOrder::kRsa) {
    return fail(Reason::kKeySizeMismatch, "the EC key has " + std::to_string(key.bits) +
                                              " bits; the operation asks for " + std::to_string(wanted.ec_bits));
  }
  return fail(Reason::kKeySizeMismatch, std::string("the key is ") + (key.type == KeyType::kRsa ? "an RSA" : "an EC") +
                                            " key; the operation asks for the other type");
}

}  // namespace capf::ca
