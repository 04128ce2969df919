#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "capf/phone/certificate.h"

// The header of trust lists, signed and encrypted files, as a phone reads it. Source: specs/phone-files.md 2 and 5.
//
//   01 version · 02 header length · [1C signer version] · 03 signer {04 subject, 05 serial, 06 issuer}
//   07 {08 digest, 09 {0A algorithm, 0B modulus}} · 0C signature · 0E file name · 0F time
//   [10 {11 {12, 13 IV, 14 pad count}, 15 {16, 17 key bits, 18, 19 wrapped key}} · 1A, 1B digest of the plaintext]
//   0D… to a multiple of four octets

namespace capf::phone {

/// Octets that are taken from the front.
class Octets {
 public:
  explicit Octets(BytesView octets) : rest_(octets) {}

  bool empty() const { return rest_.empty(); }
  std::uint8_t front() const { return rest_.front(); }
  BytesView rest() const { return rest_; }
  /// @return none where there are not so many
  std::optional<BytesView> take(std::size_t count);

  struct Element {
    std::uint8_t tag = 0;
    BytesView value{};
  };
  /// An element: tag, length in two octets, value. Nothing where it does not end.
  std::optional<Element> element();

 private:
  BytesView rest_;
};

/// The elements by their tags. Nothing where one is there twice, or does not end.
std::optional<std::map<std::uint8_t, BytesView>> read_elements(BytesView octets);
/// UTF-8 that ends in its only NUL. Nothing for anything else.
std::optional<std::string> read_text(BytesView value);
/// A number of exactly `octets` octets, big-endian.
std::optional<std::uint32_t> read_number(BytesView value, std::size_t octets);

struct Encryption {
  BytesView iv;
  std::size_t pad_count = 0;
  BytesView wrapped_key;
  Certificate::Digest digest = Certificate::Digest::kSha512;
  BytesView plain_digest;
};

/// A file in its parts; the views are into its octets. A caller believes none of it before is_signed_by().
struct Header {
  enum class Kind : std::uint8_t { kList, kSigned, kEncrypted };

  Kind kind = Kind::kSigned;
  bool https = false;  ///< of a list: configurations may be fetched by HTTPS
  std::string signer, issuer;
  Bytes serial;
  Certificate::Digest digest = Certificate::Digest::kSha512;
  int modulus_bits = 0;
  std::string file_name;
  std::optional<Encryption> encryption;
  BytesView signature, before, behind;  ///< the signature, and what stands around its element
  BytesView body;

  bool is_signed_by(const Certificate& certificate) const;
};

/// @param name that the file must have been signed under. Errors: FILE_MALFORMED, FILE_NAME_MISMATCH.
Result<Header> read_header(BytesView file, std::string_view name);

}  // namespace capf::phone
