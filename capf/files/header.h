#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include <botan/rng.h>

#include "capf/base/time.h"
#include "capf/ca/key.h"
#include "capf/files/certificate.h"

// The header that stands in front of trust lists, signed and encrypted files. Source: specs/phone-files.md 2.1, 2.2
// and 5.
//
//   01 version · 02 header length · [1C signer version] · 03 signer {04 subject, 05 serial, 06 issuer}
//   07 {08 digest, 09 {0A algorithm, 0B modulus}} · 0C signature · 0E file name · 0F time
//   [10 {11 {12, 13 IV, 14 pad count}, 15 {16, 17 key bits, 18, 19 wrapped key}} · 1A, 1B digest of the plaintext]
//   0D… to a multiple of four octets
//
// The signature covers header and body without the element 0C.

namespace capf::files {

enum class FileKind : std::uint8_t { kTrustList, kSigned, kEncrypted };

/// The codes of the files: there is none for SHA-256 that phones know.
enum class Digest : std::uint8_t { kSha1 = 1, kSha512 = 3 };
std::string_view to_string(Digest digest);

/// Of an encrypted file: AES-128 in CBC mode under a key that is wrapped for one phone.
struct Encryption {
  std::array<std::uint8_t, 16> iv{};
  std::uint16_t pad_count = 16;  ///< 1 to 16
  Bytes wrapped_key;
  Digest digest = Digest::kSha512;
  Bytes plain_digest;  ///< of the plaintext without its padding
};

struct Header {
  FileKind kind = FileKind::kSigned;
  /// Of a trust list: whether phones may fetch configuration files by HTTPS and have EC keys (version 1.1).
  bool https = false;
  std::string signer;
  Bytes serial;  ///< big-endian, without a leading 00
  std::string issuer;
  Digest digest = Digest::kSha512;
  int modulus_bits = 2048;
  std::string file_name;
  TimePoint made_at{};  ///< whole seconds, 1970 to 2106
  std::optional<Encryption> encryption{};
};

/// A file in its parts, which are views into the octets that were read.
struct Parts {
  Header header;
  BytesView before;     ///< the element of the signature
  BytesView signature;  ///< its value
  BytesView behind;     ///< the element of the signature, to the end of the file
  BytesView body;
};

/// Reads the header and believes nothing in it: verify_signature() says whose it is. Errors: FILE_MALFORMED.
Result<Parts> read_header(BytesView file);
/// Checks that this certificate is the signer, by name, issuer, serial number and signature. Errors: FILE_SIGNATURE.
Status verify_signature(const Parts& file, const Certificate& signer);

/// The signer of a file, with its key.
struct FileSigner {
  const Certificate& certificate;
  const ca::SigningKey& key;
  Botan::RandomNumberGenerator& random;
};

/// Whether a certificate's key can sign files at all: RSA of 1024, 2048 or 4096 bits. Errors: CERTIFICATE_ROLE.
Status check_signer(const Certificate& certificate);
/// Makes header, signature and body to one file. Signer, serial number, issuer and size of the key are taken from the
/// certificate. Errors: CERTIFICATE_ROLE, INVALID_REQUEST for a name or time that no file can have, those of the key.
Result<Bytes> sign_file(Header header, BytesView body, const FileSigner& signer);

}  // namespace capf::files
