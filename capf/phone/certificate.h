#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "capf/base/bytes.h"
#include "capf/base/error.h"

struct x509_st;

namespace capf::phone {

/// A certificate of a trust list, or one that a server shows, as a phone compares it. By OpenSSL alone, and without any
/// code of the server's, so that one mistake cannot be on both sides.
class Certificate {
 public:
  /// Errors: INVALID_CERTIFICATE, also where octets follow it.
  static Result<Certificate> read(BytesView der);

  const Bytes& der() const { return der_; }
  const Bytes& serial() const { return serial_; }  ///< big-endian, without a leading 00
  /// Whether a file may call its subject, or its issuer, so.
  bool has_subject(std::string_view text) const;
  bool has_issuer(std::string_view text) const;
  /// The public key as lists have it: PKCS #1 in DER, or the point of an EC key.
  const Bytes& key() const { return key_; }
  const Bytes& signature() const { return signature_; }
  int rsa_bits() const { return rsa_bits_; }  ///< 0: the key is no RSA key
  bool is_ec() const { return ec_; }

  enum class Digest : std::uint8_t { kSha1 = 1, kSha512 = 3 };  ///< by the codes of phones' files
  /// Whether its RSA key has signed `first` and `second`, one after the other, by PKCS #1 v1.5.
  bool has_signed(Digest digest, BytesView first, BytesView second, BytesView signature) const;
  /// MD5 in lower-case hexadecimal, by which a configuration names the certificate that it is meant for.
  std::string hash() const;
  std::string subject() const;  ///< for people

 private:
  Certificate() = default;

  std::shared_ptr<x509_st> x509_;
  Bytes der_, serial_, key_, signature_;
  int rsa_bits_ = 0;
  bool ec_ = false;
};

/// In lower case; both stand in phones' menus, and protect nothing.
std::string md5_hex(BytesView data);
std::string sha1_hex(BytesView data);

}  // namespace capf::phone
