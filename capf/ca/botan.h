#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <botan/cipher_mode.h>
#include <botan/hash.h>
#include <botan/kdf.h>
#include <botan/pk_keys.h>
#include <botan/pk_ops.h>
#include <botan/pkix_types.h>
#include <botan/pubkey.h>
#include <botan/rng.h>
#include <botan/version.h>
#include <botan/x509_ca.h>
#include <botan/x509_ext.h>
#include <botan/x509path.h>

#include "capf/base/bytes.h"

// Botan 2 and Botan 3, of Debian 12 and 13, in one shape. No other file asks for the version.

#if BOTAN_VERSION_MAJOR >= 3
#define CAPF_BOTAN_3 1
#else
#define CAPF_BOTAN_3 0
#endif

namespace capf::ca {

/// RFC 5280 4.2.1.3: the bits of a key usage as Botan keeps them, the first one highest of sixteen.
enum KeyUsageBit : unsigned {
  kDigitalSignature = 1U << 15,
  kKeyEncipherment = 1U << 13,
  kKeyAgreement = 1U << 11,
  kKeyCertSign = 1U << 10,
  kCrlSign = 1U << 9,
};

#if CAPF_BOTAN_3
inline constexpr auto kDerSignature = Botan::Signature_Format::DerSequence;
inline constexpr auto kPlainSignature = Botan::Signature_Format::Standard;
inline constexpr auto kEncryption = Botan::Cipher_Dir::Encryption;
inline constexpr auto kDecryption = Botan::Cipher_Dir::Decryption;
#else
inline constexpr auto kDerSignature = Botan::DER_SEQUENCE;
inline constexpr auto kPlainSignature = Botan::IEEE_1363;
inline constexpr auto kEncryption = Botan::ENCRYPTION;
inline constexpr auto kDecryption = Botan::DECRYPTION;
#endif

inline unsigned bits_of(const Botan::Key_Constraints& usage) {
#if CAPF_BOTAN_3
  return usage.value();
#else
  return static_cast<unsigned>(usage);
#endif
}

inline void add_extension(Botan::Extensions& to, std::unique_ptr<Botan::Certificate_Extension> extension,
                          bool critical) {
#if CAPF_BOTAN_3
  to.add(std::move(extension), critical);
#else
  to.add(extension.release(), critical);
#endif
}

/// A generator of random numbers that takes in no entropy.
class RandomSource : public Botan::RandomNumberGenerator {
 public:
  virtual void fill(std::span<std::uint8_t> out) = 0;

  bool accepts_input() const final { return false; }
  void clear() final {}
  bool is_seeded() const final { return true; }
#if CAPF_BOTAN_3
 private:
  void fill_bytes_with_input(std::span<std::uint8_t> out, std::span<const std::uint8_t>) final { fill(out); }
#else
  void randomize(std::uint8_t out[], std::size_t size) final { fill({out, size}); }
  void add_entropy(const std::uint8_t[], std::size_t) final {}
#endif
};

/// A key of so many octets from the secret, without a salt.
inline Botan::secure_vector<std::uint8_t> derive_key(const Botan::KDF& kdf, std::size_t size, BytesView secret,
                                                     BytesView label) {
#if CAPF_BOTAN_3
  return kdf.derive_key(size, secret, BytesView{}, label);
#else
  return kdf.derive_key(size, secret.data(), secret.size(), nullptr, 0, label.data(), label.size());
#endif
}

inline std::unique_ptr<Botan::Public_Key> public_key_of(const Botan::X509_Certificate& certificate) {
#if CAPF_BOTAN_3
  return certificate.subject_public_key();
#else
  return certificate.load_subject_public_key();
#endif
}

/// An extension given by its identifier and octets, for those that Botan reads but cannot write.
class RawExtension final : public Botan::Certificate_Extension {
 public:
  RawExtension(const char* oid, Bytes der) : oid_(oid), der_(std::move(der)) {}

  Botan::OID oid_of() const override { return oid_; }
#if CAPF_BOTAN_3
  std::unique_ptr<Botan::Certificate_Extension> copy() const override { return std::make_unique<RawExtension>(*this); }
#else
  RawExtension* copy() const override { return new RawExtension(*this); }
  void contents_to(Botan::Data_Store&, Botan::Data_Store&) const override {}
#endif

 private:
  std::string oid_name() const override { return {}; }
  std::vector<std::uint8_t> encode_inner() const override { return der_; }
  void decode_inner(const std::vector<std::uint8_t>& der) override { der_ = der; }

  Botan::OID oid_;
  Bytes der_;
};

/// Kind and name of each name of a distribution point, as in "URI".
inline std::multimap<std::string, std::string> names_of(
    const Botan::Cert_Extension::CRL_Distribution_Points::Distribution_Point& point) {
#if CAPF_BOTAN_3
  const Botan::AlternativeName& name = point.point();
  std::multimap<std::string, std::string> names;
  for (const std::string& uri : name.uris()) names.emplace("URI", uri);
  if (name.count() > name.uris().size()) names.emplace("another kind", "");
  return names;
#else
  return point.point().contents();
#endif
}

/// The certificates of a path, from the end entity up.
inline std::vector<std::shared_ptr<const Botan::X509_Certificate>> path_of(
    const Botan::Path_Validation_Result& result) {
#if CAPF_BOTAN_3
  std::vector<std::shared_ptr<const Botan::X509_Certificate>> path;
  for (const auto& each : result.cert_path()) path.push_back(std::make_shared<const Botan::X509_Certificate>(each));
  return path;
#else
  return result.cert_path();
#endif
}

/// The private operation of a key that Botan does not have, PKCS #1 v1.5 or ECDSA.
class SignatureOperation : public Botan::PK_Ops::Signature {
 public:
  /// @param hash "SHA-256"
  SignatureOperation(std::string hash, bool rsa) : hash_(std::move(hash)), rsa_(rsa) {}

  virtual void take(BytesView data) = 0;
  /// Signs what it has taken, for ECDSA as r and s one after the other, and begins again.
  virtual Bytes make() = 0;

  const std::string& hash() const { return hash_; }
  bool rsa() const { return rsa_; }

#if CAPF_BOTAN_3
  void update(std::span<const std::uint8_t> data) final { take(data); }
  std::vector<std::uint8_t> sign(Botan::RandomNumberGenerator&) final { return make(); }
  std::string hash_function() const final { return hash_; }
  Botan::AlgorithmIdentifier algorithm_identifier() const final {
    using Botan::AlgorithmIdentifier;
    const std::string name = rsa_ ? "RSA/PKCS1v15(" + hash_ + ")" : "ECDSA/" + hash_;
    return AlgorithmIdentifier(Botan::OID::from_string(name),
                               rsa_ ? AlgorithmIdentifier::USE_NULL_PARAM : AlgorithmIdentifier::USE_EMPTY_PARAM);
  }
#else
  void update(const std::uint8_t data[], std::size_t size) final { take({data, size}); }
  Botan::secure_vector<std::uint8_t> sign(Botan::RandomNumberGenerator&) final {
    const Bytes signature = make();
    return {signature.begin(), signature.end()};
  }
#endif

 private:
  const std::string hash_;
  const bool rsa_;
};

/// A private key for Botan whose private half is somewhere else.
/// @tparam Public Botan's class for the public half.
template <class Public>
class ForeignKey : public Botan::Private_Key, public Public {
 public:
  explicit ForeignKey(const Public& half) : Public(half) {}

  Botan::secure_vector<std::uint8_t> private_key_bits() const override {
    throw Botan::Not_Implemented("the private half is somewhere else");
  }

#if CAPF_BOTAN_3
  std::unique_ptr<Botan::Public_Key> public_key() const override {
    return std::make_unique<Public>(static_cast<const Public&>(*this));
  }
  std::unique_ptr<Botan::PK_Ops::Signature> create_signature_op(Botan::RandomNumberGenerator&,
                                                                std::string_view parameters,
                                                                std::string_view) const override {
    return operation(std::string(parameters));
  }
#else
  std::unique_ptr<Botan::PK_Ops::Signature> create_signature_op(Botan::RandomNumberGenerator&,
                                                                const std::string& parameters,
                                                                const std::string&) const override {
    return operation(parameters);
  }
#endif

 private:
  /// @param parameters in Botan's spelling: "EMSA3(SHA-256)"
  virtual std::unique_ptr<Botan::PK_Ops::Signature> operation(const std::string& parameters) const = 0;
};

/// The padding of PKCS #1 v1.5 or of ECDSA, as requests and certificates name it to Botan; the hash is named apart.
/// Botan 3 chooses these by itself. It would first ask the key to sign with a padding that it is given, without a hash.
inline std::string x509_padding([[maybe_unused]] const Botan::Public_Key& key) {
#if CAPF_BOTAN_3
  return {};
#else
  return key.algo_name() == "RSA" ? "EMSA3" : "EMSA1";
#endif
}

/// @param algorithm is set to the identifier of the signatures.
inline std::unique_ptr<Botan::PK_Signer> x509_signer(Botan::AlgorithmIdentifier& algorithm,
                                                     const Botan::Private_Key& key,
                                                     Botan::RandomNumberGenerator& random, const std::string& hash) {
#if CAPF_BOTAN_3
  auto signer = Botan::X509_Object::choose_sig_format(key, random, hash, x509_padding(key));
  algorithm = signer->algorithm_identifier();
  return signer;
#else
  return Botan::X509_Object::choose_sig_format(algorithm, key, random, hash, x509_padding(key));
#endif
}

/// X509_CA::make_cert() with what follows the signer.
template <class... Arguments>
Botan::X509_Certificate make_signed_certificate(Botan::PK_Signer& signer, Arguments&&... arguments) {
#if CAPF_BOTAN_3
  return Botan::X509_CA::make_cert(signer, std::forward<Arguments>(arguments)...);
#else
  return Botan::X509_CA::make_cert(&signer, std::forward<Arguments>(arguments)...);
#endif
}

}  // namespace capf::ca
