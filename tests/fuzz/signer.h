#pragma once

#include <openssl/pem.h>

#include "capf/ca/openssl.h"
#include "tests/support/data.h"

namespace capf::fuzz {

/// A key of tests/data that signs a fuzzer's changes, so that checks after the signature are reached.
class Signer {
 public:
  explicit Signer(const std::string& name) {
    const Bytes pem = test::read_data("keys/" + name + ".key");
    const ca::BioPtr in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    key_.reset(PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr));
    CAPF_INVARIANT(key_);
  }

  /// @param algorithm the AlgorithmIdentifier (DER) in the signed part; SHA-256 is used where it does not fit this key.
  Bytes operator()(BytesView data, BytesView algorithm) const {
    const ca::ErrorQueue errors;
    const unsigned char* at = algorithm.data();
    const std::unique_ptr<X509_ALGOR, capf::Freed<X509_ALGOR_free>> parsed(
        d2i_X509_ALGOR(nullptr, &at, static_cast<long>(algorithm.size())));
    int digest = NID_undef;
    if (parsed) OBJ_find_sigid_algs(OBJ_obj2nid(parsed->algorithm), &digest, nullptr);
    const EVP_MD* named = digest == NID_undef ? nullptr : EVP_get_digestbynid(digest);
    return sign(data, named == nullptr ? EVP_sha256() : named);
  }

  Bytes public_key() const { return ca::encode_der(i2d_PUBKEY, key_.get()); }
  EVP_PKEY* get() const { return key_.get(); }

 private:
  Bytes sign(BytesView data, const EVP_MD* digest) const {
    const std::unique_ptr<EVP_MD_CTX, capf::Freed<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
    std::size_t size = 0;
    if (EVP_DigestSignInit(context.get(), nullptr, digest, nullptr, key_.get()) != 1 ||
        EVP_DigestSign(context.get(), nullptr, &size, data.data(), data.size()) != 1) {
      return {};
    }
    Bytes signature(size);
    if (EVP_DigestSign(context.get(), signature.data(), &size, data.data(), data.size()) != 1) return {};
    signature.resize(size);
    return signature;
  }

  ca::PkeyPtr key_;
};

}  // namespace capf::fuzz
