#include "capf/ca/signature.h"

#include <stdexcept>

#include <botan/ecdsa.h>
#include <botan/rsa.h>
#include <botan/x509_key.h>
#include <openssl/ec.h>

namespace capf::ca {
namespace {

using DigestContext = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>>;
using EcdsaSignature = std::unique_ptr<ECDSA_SIG, Freed<ECDSA_SIG_free>>;

[[noreturn]] void throw_openssl(const char* what) {
  const ErrorQueue errors;
  throw std::runtime_error(std::string(what) + ": " + errors.text());
}

const EVP_MD* digest_of(const std::string& hash) {
  if (hash == "SHA-1") return EVP_sha1();  // for files of phones that verify nothing else
  if (hash == "SHA-256") return EVP_sha256();
  if (hash == "SHA-384") return EVP_sha384();
  if (hash == "SHA-512") return EVP_sha512();
  throw std::invalid_argument("no signature with " + hash);
}

/// The size of a signature in Botan's form: for EC, r and s as long as the order of the group.
std::size_t signature_size(const EVP_PKEY* key) {
  if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC) return static_cast<std::size_t>(EVP_PKEY_get_size(key));
  return 2 * ((static_cast<std::size_t>(EVP_PKEY_get_bits(key)) + 7) / 8);
}

class OpensslSignature final : public SignatureOperation {
 public:
  OpensslSignature(std::shared_ptr<EVP_PKEY> key, const std::string& parameters)
      : SignatureOperation(hash_of(parameters), EVP_PKEY_get_base_id(key.get()) == EVP_PKEY_RSA),
        key_(std::move(key)),
        size_(signature_size(key_.get())),
        digest_(digest_of(hash())),
        context_(EVP_MD_CTX_new()) {
    if (!context_) throw std::bad_alloc();
  }

  std::size_t signature_length() const override { return size_; }

  // Hashes each piece as it comes, because a CRL has many megabytes.
  void take(BytesView data) override {
    if (!begun_) begin();
    if (EVP_DigestSignUpdate(context_.get(), data.data(), data.size()) != 1) throw_openssl("EVP_DigestSignUpdate");
  }

  Bytes make() override {
    if (!begun_) begin();
    begun_ = false;
    std::size_t size = static_cast<std::size_t>(EVP_PKEY_get_size(key_.get()));
    Bytes signature(size);
    if (EVP_DigestSignFinal(context_.get(), signature.data(), &size) != 1) throw_openssl("EVP_DigestSignFinal");
    signature.resize(size);
    return rsa() ? signature : plain_pair(signature);
  }

 private:
  void begin() {
    if (EVP_MD_CTX_reset(context_.get()) != 1 ||
        EVP_DigestSignInit(context_.get(), nullptr, digest_, nullptr, key_.get()) != 1) {
      throw_openssl("EVP_DigestSignInit");
    }
    begun_ = true;
  }

  /// Botan wants r and s one after the other, and makes the DER itself.
  Bytes plain_pair(const Bytes& der) const {
    const unsigned char* at = der.data();
    const EcdsaSignature signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
    if (!signature) throw_openssl("d2i_ECDSA_SIG");
    Bytes pair(size_);
    const int half = static_cast<int>(size_ / 2);
    if (BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), pair.data(), half) != half ||
        BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), pair.data() + half, half) != half) {
      throw_openssl("BN_bn2binpad");
    }
    return pair;
  }

  std::shared_ptr<EVP_PKEY> key_;
  std::size_t size_;
  const EVP_MD* digest_;
  DigestContext context_;
  bool begun_ = false;
};

template <class Public>
class DelegatedKey : public ForeignKey<Public> {
 public:
  DelegatedKey(MakeSignature make_signature, const Public& half)
      : ForeignKey<Public>(half), make_signature_(std::move(make_signature)) {}

 private:
  std::unique_ptr<Botan::PK_Ops::Signature> operation(const std::string& parameters) const override {
    return make_signature_(parameters);
  }

  MakeSignature make_signature_;
};

class DelegatedRsaKey final : public DelegatedKey<Botan::RSA_PublicKey> {
 public:
  using DelegatedKey::DelegatedKey;
};

class DelegatedEcKey final : public DelegatedKey<Botan::ECDSA_PublicKey> {
 public:
  // EC_PublicKey is a virtual base: the most derived class constructs it.
  DelegatedEcKey(MakeSignature make_signature, const Botan::ECDSA_PublicKey& half)
      : Botan::EC_PublicKey(half), DelegatedKey(std::move(make_signature), half) {}
};

}  // namespace

std::unique_ptr<Botan::Private_Key> make_botan_key(BytesView public_key, MakeSignature make_signature) {
  const std::unique_ptr<Botan::Public_Key> half(Botan::X509::load_key(Bytes(public_key.begin(), public_key.end())));
  if (const auto* rsa = dynamic_cast<const Botan::RSA_PublicKey*>(half.get())) {
    return std::make_unique<DelegatedRsaKey>(std::move(make_signature), *rsa);
  }
  if (const auto* ec = dynamic_cast<const Botan::ECDSA_PublicKey*>(half.get())) {
    return std::make_unique<DelegatedEcKey>(std::move(make_signature), *ec);
  }
  throw std::invalid_argument("the key is neither RSA nor EC");
}

std::unique_ptr<Botan::Private_Key> make_botan_key(std::shared_ptr<EVP_PKEY> key) {
  const Bytes spki = encode_der(i2d_PUBKEY, key.get());
  if (spki.empty()) throw_openssl("i2d_PUBKEY");
  return make_botan_key(spki, [key = std::move(key)](const std::string& parameters) {
    return std::make_unique<OpensslSignature>(key, parameters);
  });
}

std::string hash_of(const std::string& parameters) {
  const std::size_t open = parameters.find('(');
  return open == std::string::npos ? parameters : parameters.substr(open + 1, parameters.rfind(')') - open - 1);
}

tl::unexpected<Error> signing_failed(const std::string& doing, const std::exception& error) {
  if (const auto* said = dynamic_cast<const SigningError*>(&error)) return fail(said->error());
  return fail_internal(doing + ": " + error.what());
}

std::string signature_hash(const Botan::Public_Key& key) {
  if (key.algo_name() != "ECDSA" || key.key_length() <= 256) return "SHA-256";
  return key.key_length() <= 384 ? "SHA-384" : "SHA-512";
}

CertificateSigner::CertificateSigner(const Botan::Private_Key& key, Botan::RandomNumberGenerator& random)
    : signer(x509_signer(algorithm, key, random, signature_hash(key))) {}

}  // namespace capf::ca
