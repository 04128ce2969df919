#pragma once

#include <string>

#include "capf/base/bytes.h"
#include "capf/base/time.h"
#include "capf/ca/spki.h"

namespace capf::files {

/// A certificate, with the parts of it that phones' files repeat. Source: specs/phone-files.md 3.1.
class Certificate {
 public:
  /// Errors: INVALID_CERTIFICATE.
  static Result<Certificate> read(BytesView der);

  const Bytes& der() const { return der_; }
  const Bytes& public_key() const { return public_key_; }  ///< SubjectPublicKeyInfo
  /// Its names as we write them: the first part first, parted by ';' as the call manager has it.
  const std::string& subject() const { return subject_; }
  const std::string& issuer() const { return issuer_; }
  const Bytes& serial() const { return serial_; }        ///< big-endian, without a leading 00
  const Bytes& key() const { return key_; }              ///< RSAPublicKey, or an uncompressed point
  const Bytes& signature() const { return signature_; }  ///< of its issuer
  ca::KeyType key_type() const { return key_type_; }
  int key_bits() const { return key_bits_; }
  TimePoint not_before() const { return not_before_; }
  TimePoint not_after() const { return not_after_; }

  /// Whether a text is its subject's or its issuer's: parted by ';' or ',', in the certificate's order; or as RFC 4514
  /// has it, the last part first.
  bool is_subject(std::string_view text) const;
  bool is_issuer(std::string_view text) const;

 private:
  Certificate() = default;

  Bytes der_;
  Bytes public_key_;
  Bytes subject_der_;
  Bytes issuer_der_;
  std::string subject_;
  std::string issuer_;
  Bytes serial_;
  Bytes key_;
  Bytes signature_;
  ca::KeyType key_type_ = ca::KeyType::kRsa;
  int key_bits_ = 0;
  TimePoint not_before_{};
  TimePoint not_after_{};
};

}  // namespace capf::files
