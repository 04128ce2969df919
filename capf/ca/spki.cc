#include "capf/ca/spki.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include <openssl/evp.h>
#include <openssl/obj_mac.h>

#include "capf/ca/asn1.h"

namespace capf::ca {
namespace {

constexpr std::array<std::uint8_t, 9> kRsaEncryption{0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01};
constexpr std::array<std::uint8_t, 7> kEcPublicKey{0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01};
constexpr std::array<std::uint8_t, 8> kP256{0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07};
constexpr std::array<std::uint8_t, 5> kP384{0x2B, 0x81, 0x04, 0x00, 0x22};
constexpr std::array<std::uint8_t, 5> kP521{0x2B, 0x81, 0x04, 0x00, 0x23};

bool same(BytesView a, BytesView b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

Result<PublicKeyOutline> read_rsa(BytesView key) {
  DerReader file(key);
  const auto sequence = file.take(kSequence);
  if (!sequence || !file.at_end()) return fail(Reason::kKeyEncoding);
  DerReader fields(sequence->content);
  const auto modulus = fields.take(kInteger);
  const auto exponent = fields.take(kInteger);
  if (!modulus || !exponent || !fields.at_end()) return fail(Reason::kKeyEncoding);
  const auto n = read_unsigned(*modulus);
  const auto e = read_unsigned(*exponent);
  if (!n || !e) return fail(Reason::kKeyEncoding);
  PublicKeyOutline outline{KeyType::kRsa, count_bits(*n), *n, *e, 0, {}};
  if (outline.bits > 4096) return fail(Reason::kKeySizeRefused, "RSA moduli may have 4096 bits at most");
  if (count_bits(*e) > 32) return fail(Reason::kKeyExponent, "the public exponent has more than 32 bits");
  return outline;
}

Result<PublicKeyOutline> read_ec(BytesView curve, BytesView point) {
  PublicKeyOutline outline{KeyType::kEc, 0, {}, {}, 0, point};
  if (same(curve, kP256)) {
    outline.bits = 256;
    outline.curve = NID_X9_62_prime256v1;
  } else if (same(curve, kP384)) {
    outline.bits = 384;
    outline.curve = NID_secp384r1;
  } else if (same(curve, kP521)) {
    outline.bits = 521;
    outline.curve = NID_secp521r1;
  } else {
    return fail(Reason::kKeyTypeRefused);
  }
  const bool infinity = point.size() == 1 && point[0] == 0;
  const std::size_t size = 1 + 2 * static_cast<std::size_t>((outline.bits + 7) / 8);
  if (!infinity && (point.size() != size || point[0] != 0x04)) {
    return fail(Reason::kKeyEncoding, "the point is not in its uncompressed form");
  }
  return outline;
}

struct SpkiParts {
  BytesView algorithm;  ///< content of the AlgorithmIdentifier
  BytesView key;        ///< octets of the BIT STRING
};

// SubjectPublicKeyInfo ::= SEQUENCE { algorithm AlgorithmIdentifier, subjectPublicKey BIT STRING }
std::optional<SpkiParts> read_parts(BytesView der) {
  DerReader file(der);
  const auto spki = file.take(kSequence);
  if (!spki || !file.at_end()) return std::nullopt;
  DerReader fields(spki->content);
  const auto algorithm = fields.take(kSequence);
  const auto key = fields.take(kBitString);
  if (!algorithm || !key || !fields.at_end() || key->content.empty() || key->content[0] != 0) return std::nullopt;
  return SpkiParts{algorithm->content, key->content.subspan(1)};
}

// openssl-vulnkey(1)
//    Each line must consist of the lower-case hexadecimal SHA1 fingerprint of the certificate or key's modulus, and
//    with the first 20 characters removed
// It is that of the line "Modulus=<upper-case hexadecimal>" which `openssl x509 -noout -modulus` prints.
std::optional<ListedModulus> listed_modulus(BytesView modulus) {
  std::string line = "Modulus=" + to_hex(modulus) + '\n';
  std::transform(line.begin() + 8, line.end(), line.begin() + 8, [](char c) { return c >= 'a' ? c - 'a' + 'A' : c; });
  std::array<std::uint8_t, 20> digest{};
  if (EVP_Digest(line.data(), line.size(), digest.data(), nullptr, EVP_sha1(), nullptr) != 1) return std::nullopt;
  ListedModulus listed{};
  std::copy(digest.end() - listed.size(), digest.end(), listed.begin());
  return listed;
}

}  // namespace

Result<PublicKeyOutline> read_spki(BytesView der) {
  const auto parts = read_parts(der);
  if (!parts) return fail(Reason::kKeyEncoding);
  DerReader algorithm(parts->algorithm);
  const auto oid = algorithm.take(kOid);
  if (!oid) return fail(Reason::kKeyEncoding);
  if (same(oid->content, kRsaEncryption)) {
    // RFC 3279 2.3.1
    //    The parameters field MUST have ASN.1 type NULL for this algorithm identifier.
    const auto null = algorithm.take(kNull);
    if (!null || !null->content.empty() || !algorithm.at_end()) return fail(Reason::kKeyEncoding);
    return read_rsa(parts->key);
  }
  if (same(oid->content, kEcPublicKey)) {
    // RFC 5480 2.1.1
    //    implicitCurve and specifiedCurve MUST NOT be used in PKIX.
    const auto curve = algorithm.take(kOid);
    if (!curve || !algorithm.at_end()) return fail(Reason::kKeyEncoding, "the curve is not given by its name");
    return read_ec(curve->content, parts->key);
  }
  return fail(Reason::kKeyTypeRefused);
}

KeyDigests key_digests(BytesView spki) {
  KeyDigests digests(sha256(spki));
  const auto outline = read_spki(spki);
  if (!outline || outline->type != KeyType::kRsa) return digests;
  constexpr std::string_view kPrefix = "RSA modulus ";
  Bytes text(kPrefix.begin(), kPrefix.end());
  text.insert(text.end(), outline->modulus.begin(), outline->modulus.end());
  digests.modulus = sha256(text);
  digests.listed = listed_modulus(outline->modulus);
  return digests;
}

std::optional<BytesView> key_octets(BytesView spki) {
  const auto parts = read_parts(spki);
  if (!parts) return std::nullopt;
  return parts->key;
}

Bytes key_identifier(BytesView spki) {
  const auto parts = read_parts(spki);
  if (!parts) return {};
  const Sha256 digest = sha256(parts->key);
  return {digest.begin(), digest.begin() + 20};
}

}  // namespace capf::ca
