#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <botan/pk_keys.h>
#include <botan/rng.h>

#include "capf/base/bytes.h"
#include "capf/base/secret.h"

namespace capf::ca {

enum class KeyAlgorithm : std::uint8_t { kRsa2048, kRsa3072, kRsa4096, kP256, kP384 };
/// "rsa-2048", "p-384"
std::string_view to_string(KeyAlgorithm algorithm);
std::optional<KeyAlgorithm> parse_key_algorithm(std::string_view text);

/// A private key that signs: in an encrypted file, or in a token. Threads: any.
class SigningKey {
 public:
  virtual ~SigningKey() = default;
  /// The RFC 7512 URI of a key in a token; empty for one in this process's memory.
  virtual std::string uri() const { return {}; }
  /// Whether it could sign now. Errors: TOKEN_UNAVAILABLE, and those of opening a key in a token.
  virtual Status ready() const { return {}; }
  /// For building certificates with Botan. Signers that are made from it belong to one thread each.
  virtual const Botan::Private_Key& botan() const = 0;
  /// SubjectPublicKeyInfo, DER.
  virtual Bytes public_key() const = 0;
  /// PKCS #8 PEM, unencrypted, for a TLS library. Errors: INVALID_CONFIGURATION for a key that cannot leave its token.
  virtual Result<Secret> private_pem() const = 0;
};

/// A new key, whose private operation runs in OpenSSL.
Result<std::unique_ptr<SigningKey>> generate_key(KeyAlgorithm algorithm);
/// Encrypted PKCS #8, PEM: PBES2 with scrypt and AES-256. Errors: INVALID_CONFIGURATION for an empty passphrase or one
/// above 1024 octets.
Result<Bytes> encrypt_key(const SigningKey& key, const Secret& passphrase);
/// PKCS #8 (encrypted or not) or the older PEM forms. RSA 2048 to 4096, P-256, P-384, P-521.
/// Errors: WRONG_PASSPHRASE, INVALID_CONFIGURATION.
Result<std::unique_ptr<SigningKey>> decrypt_key(BytesView pem, const Secret& passphrase);

/// The same file with a symmetric key of 32 octets: RFC 5958 with the algorithm aes256-GCM. Errors: those of
/// encrypt_key() and decrypt_key().
Result<Bytes> encrypt_symmetric_key(const Secret& key, const Secret& passphrase);
Result<Secret> decrypt_symmetric_key(BytesView pem, const Secret& passphrase);
/// Encrypts a key of either kind, as it is, under another passphrase, and reads it back. Errors: those of encrypt_key()
/// and decrypt_key().
Result<Bytes> encrypt_again(BytesView pem, const Secret& from, const Secret& to);

/// A certificate with its key and the CAs above it, from another CA's file.
struct ImportedAuthority {
  std::unique_ptr<SigningKey> key;
  Bytes certificate;         ///< DER
  std::vector<Bytes> chain;  ///< DER, issuer first; empty for a self-signed one
};
/// Errors: WRONG_PASSPHRASE, INVALID_CONFIGURATION for an unsupported key, INVALID_CERTIFICATE where the parts do not
/// belong together. A PKCS #12 file may be encrypted in the way of older programs.
Result<ImportedAuthority> import_pem(BytesView certificates, BytesView key, const Secret& passphrase);
Result<ImportedAuthority> import_pkcs12(BytesView pkcs12, const Secret& passphrase);
/// The same for a key that this server has already, with the certificate that another CA has made for it.
Result<ImportedAuthority> import_certificates(BytesView certificates, std::unique_ptr<SigningKey> key);

}  // namespace capf::ca
