#pragma once

#include <memory>
#include <string>

#include <botan/pk_keys.h>
#include <botan/pubkey.h>
#include <botan/x509_obj.h>

#include "capf/ca/openssl.h"

namespace capf::ca {

/// A key for Botan whose private operation runs in OpenSSL: RSA with PKCS #1 v1.5, and ECDSA on the NIST curves. Faster
/// than Botan's own, and the process may fork. The key is shared; signers that are made from it belong to one thread.
/// Throws where OpenSSL does not give the public half.
std::unique_ptr<Botan::Private_Key> make_botan_key(std::shared_ptr<EVP_PKEY> key);

/// A signer, with the algorithm identifier that names what it makes: SHA-256 for RSA and P-256, SHA-384 for P-384,
/// SHA-512 for P-521. Throws as Botan does.
struct CertificateSigner {
  explicit CertificateSigner(const Botan::Private_Key& key, Botan::RandomNumberGenerator& random);

  Botan::AlgorithmIdentifier algorithm;
  std::unique_ptr<Botan::PK_Signer> signer;
};

/// The hash that a key of this kind signs with: "SHA-256".
std::string signature_hash(const Botan::Public_Key& key);

}  // namespace capf::ca
