#pragma once

#include <memory>
#include <string>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include "capf/base/bytes.h"
#include "capf/base/handle.h"

// Owners for OpenSSL's objects. Its queue of errors belongs to the thread: callers of OpenSSL leave it empty.

namespace capf::ca {

using BioPtr = std::unique_ptr<BIO, Freed<BIO_free>>;
using PkeyPtr = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using X509Ptr = std::unique_ptr<X509, Freed<X509_free>>;
inline void free_stack(STACK_OF(X509) * stack) { sk_X509_pop_free(stack, X509_free); }
using X509StackPtr = std::unique_ptr<STACK_OF(X509), Freed<free_stack>>;
using X509ReqPtr = std::unique_ptr<X509_REQ, Freed<X509_REQ_free>>;

/// Empties the queue of errors on destruction.
struct ErrorQueue {
  ErrorQueue() = default;
  ErrorQueue(const ErrorQueue&) = delete;
  ErrorQueue& operator=(const ErrorQueue&) = delete;
  ~ErrorQueue() { ERR_clear_error(); }

  /// The newest error in OpenSSL's words, for the log.
  std::string text() const {
    char words[200];
    ERR_error_string_n(ERR_peek_last_error(), words, sizeof words);
    return words;
  }
};

inline X509Ptr parse_x509(BytesView der) {
  const unsigned char* at = der.data();
  X509Ptr certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (certificate && at != der.data() + der.size()) certificate.reset();
  return certificate;
}

/// Whether the issuer's name is the other one's issuer, and its key has signed it: RFC 5280 6.1.3 (a)(1), (4).
inline bool is_issued_by(X509* subject, X509* issuer) {
  EVP_PKEY* const key = X509_get0_pubkey(issuer);
  return key != nullptr && X509_NAME_cmp(X509_get_issuer_name(subject), X509_get_subject_name(issuer)) == 0 &&
         X509_verify(subject, key) == 1;
}

/// The DER of the object by `encode`, an i2d function; empty where it fails.
template <class Encode, class T>
Bytes encode_der(Encode encode, T* object) {
  unsigned char* data = nullptr;
  const int size = encode(object, &data);
  if (size <= 0) return {};
  Bytes der(data, data + size);
  OPENSSL_free(data);
  return der;
}

}  // namespace capf::ca
