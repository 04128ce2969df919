#pragma once

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include <botan/pk_keys.h>
#include <botan/pubkey.h>

#include "capf/base/error.h"
#include "capf/ca/botan.h"
#include "capf/ca/openssl.h"

namespace capf::ca {

/// Makes the private operation of a key: PKCS #1 v1.5 for RSA; for ECDSA, r and s one after the other.
/// @param parameters in Botan's spelling: "EMSA3(SHA-256)"
using MakeSignature = std::function<std::unique_ptr<Botan::PK_Ops::Signature>(const std::string& parameters)>;

/// A key for Botan whose private operation is `make_signature`'s. Signers that are made from it belong to one thread.
/// Throws where the public half (SubjectPublicKeyInfo, DER) is neither RSA nor EC.
std::unique_ptr<Botan::Private_Key> make_botan_key(BytesView public_key, MakeSignature make_signature);
/// The same with OpenSSL's: faster than Botan's own, and the process may fork. The key is shared.
std::unique_ptr<Botan::Private_Key> make_botan_key(std::shared_ptr<EVP_PKEY> key);

/// "SHA-256" of "EMSA3(SHA-256)", or of itself.
std::string hash_of(const std::string& parameters);

/// Thrown through Botan by a key that cannot sign for a reason that the caller should see.
class SigningError : public std::runtime_error {
 public:
  explicit SigningError(Error error) : std::runtime_error(error.message), error_(std::move(error)) {}
  const Error& error() const { return error_; }

 private:
  Error error_;
};
/// The error for an exception out of Botan: the key's own, or INTERNAL with `doing` in the log.
tl::unexpected<Error> signing_failed(const std::string& doing, const std::exception& error);

/// A signer, with the algorithm identifier of its signatures: SHA-256 for RSA and P-256, SHA-384 for P-384, SHA-512 for
/// P-521. Throws as Botan does.
struct CertificateSigner {
  explicit CertificateSigner(const Botan::Private_Key& key, Botan::RandomNumberGenerator& random);

  Botan::AlgorithmIdentifier algorithm;
  std::unique_ptr<Botan::PK_Signer> signer;
};

/// The hash that a key of this kind signs with: "SHA-256".
std::string signature_hash(const Botan::Public_Key& key);

}  // namespace capf::ca
