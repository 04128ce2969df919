#pragma once

#include <memory>
#include <string>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include "capf/base/bytes.h"

// Owners for what OpenSSL allocates. Its queue of errors belongs to the thread: whoever calls it leaves it empty.

namespace capf::ca {

template <auto kFree>
struct Freed {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};

using BioPtr = std::unique_ptr<BIO, Freed<BIO_free>>;
using PkeyPtr = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using X509Ptr = std::unique_ptr<X509, Freed<X509_free>>;
using X509ReqPtr = std::unique_ptr<X509_REQ, Freed<X509_REQ_free>>;

/// Empties the queue of errors when it goes.
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

/// What `encode` (an i2d function) makes of the object; empty where it fails.
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
