#include "capf/ca/key.h"

#include <algorithm>
#include <array>

#include <botan/secmem.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "capf/ca/container.h"
#include "capf/ca/filekey.h"
#include "capf/ca/openssl.h"
#include "capf/ca/signature.h"

namespace capf::ca {
namespace {

struct AlgorithmEntry {
  KeyAlgorithm algorithm;
  std::string_view name;
  unsigned rsa_bits;  ///< 0 for EC
  const char* curve;
};
constexpr std::array kAlgorithms{
    AlgorithmEntry{KeyAlgorithm::kRsa2048, "rsa-2048", 2048, nullptr},
    AlgorithmEntry{KeyAlgorithm::kRsa3072, "rsa-3072", 3072, nullptr},
    AlgorithmEntry{KeyAlgorithm::kRsa4096, "rsa-4096", 4096, nullptr},
    AlgorithmEntry{KeyAlgorithm::kP256, "p-256", 0, "P-256"},
    AlgorithmEntry{KeyAlgorithm::kP384, "p-384", 0, "P-384"},
};

constexpr int kSymmetricKeySize = 32;
constexpr std::size_t kLongestPassphrase = 1024;
// RFC 7914: 16 MiB and about 50 ms for each try. OpenSSL's readers by default refuse more than 32 MiB.
constexpr std::uint64_t kScryptCost = 1U << 14;
constexpr std::uint64_t kScryptBlockSize = 8;
constexpr std::uint64_t kScryptParallel = 1;

using Pkcs8Ptr = std::unique_ptr<PKCS8_PRIV_KEY_INFO, Freed<PKCS8_PRIV_KEY_INFO_free>>;
using SigPtr = std::unique_ptr<X509_SIG, Freed<X509_SIG_free>>;
using AlgorPtr = std::unique_ptr<X509_ALGOR, Freed<X509_ALGOR_free>>;

/// The octets written into a memory BIO.
BytesView written(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {reinterpret_cast<const std::uint8_t*>(data), static_cast<std::size_t>(size)};
}

/// A key that is in this process's memory, read from a file or made here.
class FileKey final : public SigningKey {
 public:
  FileKey(std::shared_ptr<EVP_PKEY> key, std::unique_ptr<Botan::Private_Key> botan, Bytes public_key)
      : key_(std::move(key)), botan_(std::move(botan)), public_key_(std::move(public_key)) {}

  const Botan::Private_Key& botan() const override { return *botan_; }
  Bytes public_key() const override { return public_key_; }

  Result<Secret> private_pem() const override {
    const ErrorQueue errors;
    const BioPtr bio(BIO_new(BIO_s_secmem()));
    if (!bio || PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
      return fail_internal("PEM_write_bio_PKCS8PrivateKey: " + errors.text());
    }
    return Secret(written(bio.get()));
  }

 private:
  std::shared_ptr<EVP_PKEY> key_;
  std::unique_ptr<Botan::Private_Key> botan_;
  Bytes public_key_;
};

/// For OpenSSL's reader: gives the passphrase, and remembers that it was asked for.
struct PassphrasePrompt {
  const Secret& passphrase;
  bool asked = false;

  static int answer(char* buffer, int size, int, void* self) {
    auto& prompt = *static_cast<PassphrasePrompt*>(self);
    prompt.asked = true;
    const std::string_view text = prompt.passphrase.text();
    if (text.empty() || text.size() > static_cast<std::size_t>(size)) return -1;
    text.copy(buffer, text.size());
    return static_cast<int>(text.size());
  }
};

// RFC 8018 6.2 (PBES2) with scrypt (RFC 7914) and AES-256 in CBC mode, as PKCS #8 (RFC 5958).
Result<Bytes> encrypt_pkcs8(const PKCS8_PRIV_KEY_INFO& plain, const Secret& passphrase) {
  if (passphrase.empty() || passphrase.view().size() > kLongestPassphrase) {
    return fail(Reason::kInvalidConfiguration, "a passphrase has 1 to 1024 octets");
  }
  const ErrorQueue errors;
  AlgorPtr algorithm(
      PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), nullptr, 0, nullptr, kScryptCost, kScryptBlockSize, kScryptParallel));
  if (!algorithm) return fail_internal("encrypting a key: " + errors.text());
  // OpenSSL reads the key alone, although it does not say const.
  const SigPtr encrypted(PKCS8_set0_pbe(passphrase.text().data(), static_cast<int>(passphrase.text().size()),
                                        const_cast<PKCS8_PRIV_KEY_INFO*>(&plain), algorithm.get()));
  if (!encrypted) return fail_internal("PKCS8_set0_pbe: " + errors.text());
  static_cast<void>(algorithm.release());  // belongs to `encrypted` now
  const BioPtr out(BIO_new(BIO_s_mem()));
  if (!out || PEM_write_bio_PKCS8(out.get(), encrypted.get()) != 1) {
    return fail_internal("PEM_write_bio_PKCS8: " + errors.text());
  }
  const BytesView text = written(out.get());
  return Bytes(text.begin(), text.end());
}

Result<Pkcs8Ptr> decrypt_pkcs8(BytesView pem, const Secret& passphrase) {
  if (passphrase.view().size() > kLongestPassphrase) return fail(Reason::kWrongPassphrase);
  const ErrorQueue errors;
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const SigPtr encrypted(bio ? PEM_read_bio_PKCS8(bio.get(), nullptr, nullptr, nullptr) : nullptr);
  if (!encrypted) return fail(Reason::kInvalidConfiguration, "this is no encrypted key in PEM", errors.text());
  if (passphrase.empty()) return fail(Reason::kWrongPassphrase, "the key is encrypted and needs a passphrase");
  Pkcs8Ptr plain(PKCS8_decrypt(encrypted.get(), passphrase.text().data(), static_cast<int>(passphrase.text().size())));
  if (!plain) return fail(Reason::kWrongPassphrase, std::string(words(Reason::kWrongPassphrase)), errors.text());
  return plain;
}

Botan::secure_vector<std::uint8_t> plain_der(const PKCS8_PRIV_KEY_INFO& key) {
  Botan::secure_vector<std::uint8_t> der(static_cast<std::size_t>(std::max(0, i2d_PKCS8_PRIV_KEY_INFO(&key, nullptr))));
  unsigned char* at = der.data();
  i2d_PKCS8_PRIV_KEY_INFO(&key, &at);
  return der;
}

Status check_kind(const EVP_PKEY* key) {
  const int bits = EVP_PKEY_get_bits(key);
  if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && bits >= 2048 && bits <= 4096) return {};
  std::array<char, 64> group{};
  int explicit_parameters = 0;
  EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &explicit_parameters);
  if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC && explicit_parameters == 0 &&
      EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) == 1) {
    const std::string_view name(group.data());
    if (name == "prime256v1" || name == "secp384r1" || name == "secp521r1") return {};
  }
  std::string words = "the key must be RSA of 2048 to 4096 bits, P-256, P-384 or P-521";
  if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) words += "; this one is RSA of " + std::to_string(bits) + " bits";
  return fail(Reason::kInvalidConfiguration, std::move(words));
}

}  // namespace

std::string_view to_string(KeyAlgorithm algorithm) {
  for (const AlgorithmEntry& entry : kAlgorithms) {
    if (entry.algorithm == algorithm) return entry.name;
  }
  CAPF_INVARIANT(false);
}

std::optional<KeyAlgorithm> parse_key_algorithm(std::string_view text) {
  for (const AlgorithmEntry& entry : kAlgorithms) {
    if (entry.name == text) return entry.algorithm;
  }
  return std::nullopt;
}

Result<std::unique_ptr<SigningKey>> adopt_key(std::shared_ptr<EVP_PKEY> key) {
  const ErrorQueue errors;
  CAPF_TRY(check_kind(key.get()));
  try {
    auto botan = make_botan_key(key);
    Bytes public_key = encode_der(i2d_PUBKEY, key.get());
    return std::make_unique<FileKey>(std::move(key), std::move(botan), std::move(public_key));
  } catch (const std::exception& error) {
    return fail(Reason::kInvalidConfiguration, "the key cannot be used", error.what());
  }
}

Result<std::unique_ptr<SigningKey>> generate_key(KeyAlgorithm algorithm) {
  const ErrorQueue errors;
  for (const AlgorithmEntry& entry : kAlgorithms) {
    if (entry.algorithm != algorithm) continue;
    std::shared_ptr<EVP_PKEY> key(entry.rsa_bits != 0 ? EVP_RSA_gen(entry.rsa_bits) : EVP_EC_gen(entry.curve),
                                  EVP_PKEY_free);
    if (!key) return fail_internal("generating a key: " + errors.text());
    return adopt_key(std::move(key));
  }
  CAPF_INVARIANT(false);
}

Result<Bytes> encrypt_key(const SigningKey& key, const Secret& passphrase) {
  CAPF_LET(const Secret pem, key.private_pem());
  const ErrorQueue errors;
  const BioPtr in(BIO_new_mem_buf(pem.view().data(), static_cast<int>(pem.view().size())));
  const Pkcs8Ptr plain(PEM_read_bio_PKCS8_PRIV_KEY_INFO(in.get(), nullptr, nullptr, nullptr));
  if (!plain) return fail_internal("encrypting a key: " + errors.text());
  return encrypt_pkcs8(*plain, passphrase);
}

Result<Bytes> encrypt_symmetric_key(const Secret& key, const Secret& passphrase) {
  CAPF_INVARIANT(key.view().size() == kSymmetricKeySize);
  const ErrorQueue errors;
  const Pkcs8Ptr plain(PKCS8_PRIV_KEY_INFO_new());
  auto* octets = static_cast<unsigned char*>(OPENSSL_memdup(key.view().data(), key.view().size()));
  if (!plain || octets == nullptr ||
      PKCS8_pkey_set0(plain.get(), OBJ_nid2obj(NID_aes_256_gcm), 0, V_ASN1_UNDEF, nullptr, octets, kSymmetricKeySize) !=
          1) {
    OPENSSL_clear_free(octets, octets == nullptr ? 0 : kSymmetricKeySize);
    return fail_internal("encrypting a key: " + errors.text());
  }
  return encrypt_pkcs8(*plain, passphrase);
}

Result<Secret> decrypt_symmetric_key(BytesView pem, const Secret& passphrase) {
  CAPF_LET(const Pkcs8Ptr plain, decrypt_pkcs8(pem, passphrase));
  const ASN1_OBJECT* algorithm = nullptr;
  const unsigned char* octets = nullptr;
  int size = 0;
  if (PKCS8_pkey_get0(&algorithm, &octets, &size, nullptr, plain.get()) != 1 ||
      OBJ_obj2nid(algorithm) != NID_aes_256_gcm || size != kSymmetricKeySize) {
    return fail(Reason::kInvalidConfiguration, "this is no symmetric key of 32 octets");
  }
  return Secret(BytesView(octets, static_cast<std::size_t>(size)));
}

Result<Bytes> encrypt_again(BytesView pem, const Secret& from, const Secret& to) {
  CAPF_LET(const Pkcs8Ptr plain, decrypt_pkcs8(pem, from));
  CAPF_LET(Bytes encrypted, encrypt_pkcs8(*plain, to));
  CAPF_LET(const Pkcs8Ptr read_back, decrypt_pkcs8(encrypted, to));
  if (plain_der(*plain) != plain_der(*read_back)) return fail_internal("an encrypted key is another one");
  return encrypted;
}

Result<std::unique_ptr<SigningKey>> decrypt_key(BytesView pem, const Secret& passphrase) {
  if (passphrase.view().size() > kLongestPassphrase) return fail(Reason::kWrongPassphrase);
  const auto no_key = [pem](std::string cause) {
    return fail(Reason::kInvalidConfiguration, "this is no private key in PEM but " + describe_file(pem),
                std::move(cause));
  };
  if (pem.empty()) return no_key({});
  const ErrorQueue errors;
  PassphrasePrompt prompt{passphrase};
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!bio) return fail_internal("BIO_new_mem_buf: " + errors.text());
  std::shared_ptr<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, &PassphrasePrompt::answer, &prompt),
                                EVP_PKEY_free);
  if (!key && prompt.asked) {
    if (passphrase.empty()) return fail(Reason::kWrongPassphrase, "the key is encrypted and needs a passphrase");
    return fail(Reason::kWrongPassphrase, std::string(words(Reason::kWrongPassphrase)), errors.text());
  }
  if (!key) return no_key(errors.text());
  return adopt_key(std::move(key));
}

}  // namespace capf::ca
