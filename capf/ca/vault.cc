#include "capf/ca/vault.h"

#include <exception>
#include <mutex>
#include <string>

#include <botan/aead.h>
#include <botan/kdf.h>

#include "capf/ca/botan.h"

namespace capf::ca {
namespace {

constexpr std::size_t kKeySize = 32;
constexpr std::size_t kNonceSize = 12;
constexpr std::size_t kTagSize = 16;
static_assert(Vault::kOverhead == 1 + kNonceSize + kTagSize);

/// RFC 5869, so that encrypting and knowing a key again use different ones.
Botan::secure_vector<std::uint8_t> derive(const Secret& key, std::string_view purpose) {
  const auto kdf = Botan::KDF::create_or_throw("HKDF(SHA-256)");
  return derive_key(*kdf, kKeySize, key.view(), as_bytes(purpose));
}

Status check_size(const Secret& key) {
  if (key.view().size() == kKeySize) return {};
  return fail(Reason::kInvalidConfiguration, "a key of the site for secrets has 32 octets");
}

// Additional data: size of the table's name (1 octet) | name | size of the column's name (1) | name | row (8) |
// generation (1)
Bytes additional_data(const Cell& cell, std::uint8_t generation) {
  Bytes data;
  for (const std::string_view name : {cell.table, cell.column}) {
    CAPF_INVARIANT(name.size() < 256);
    data.push_back(static_cast<std::uint8_t>(name.size()));
    data.insert(data.end(), name.begin(), name.end());
  }
  for (int shift = 56; shift >= 0; shift -= 8) {
    data.push_back(static_cast<std::uint8_t>(static_cast<std::uint64_t>(cell.row) >> shift));
  }
  data.push_back(generation);
  return data;
}

std::unique_ptr<Botan::AEAD_Mode> cipher(Botan::Cipher_Dir direction, const Secret& key, const Bytes& additional) {
  auto made = Botan::AEAD_Mode::create_or_throw("AES-256/GCM", direction);
  made->set_key(key.view().data(), key.view().size());
  made->set_associated_data(additional.data(), additional.size());
  return made;
}

}  // namespace

Secret generate_secrets_key(Botan::RandomNumberGenerator& random) { return Secret(random.random_vec(kKeySize)); }

Result<Sha256> check_value_of(const Secret& key) {
  CAPF_TRY(check_size(key));
  const auto value = derive(key, "capf secrets: check value");
  return to_sha256({value.data(), value.size()}).value();
}

Status Vault::add(int generation, const Secret& key) {
  CAPF_INVARIANT(generation >= 1 && generation <= 255);
  CAPF_TRY(check_size(key));
  auto derived = std::make_shared<const Secret>(derive(key, "capf secrets: AES-256-GCM"));
  const std::unique_lock lock(mutex_);
  keys_.emplace(generation, std::move(derived));
  return {};
}

bool Vault::has(int generation) const {
  const std::shared_lock lock(mutex_);
  return keys_.contains(generation);
}

std::vector<std::int64_t> Vault::generations() const {
  const std::shared_lock lock(mutex_);
  std::vector<std::int64_t> generations;
  for (const auto& [generation, key] : keys_) generations.push_back(generation);
  return generations;
}

Result<std::shared_ptr<const Secret>> Vault::key(int generation) const {
  const std::shared_lock lock(mutex_);
  const auto found = keys_.find(generation);
  if (found != keys_.end()) return found->second;
  return fail(Reason::kSecretsKeyAbsent, "this server does not have keys/secrets-" + std::to_string(generation) +
                                             ".key: copy it from the server on which it was made");
}

Result<Bytes> Vault::encrypt(int generation, const Cell& cell, const Secret& secret,
                             Botan::RandomNumberGenerator& random) const {
  CAPF_LET(const auto its_key, key(generation));
  const auto octet = static_cast<std::uint8_t>(generation);
  try {
    const auto encryption = cipher(kEncryption, *its_key, additional_data(cell, octet));
    Bytes encrypted(1 + kNonceSize);
    encrypted[0] = octet;
    random.randomize(&encrypted[1], kNonceSize);
    encryption->start(&encrypted[1], kNonceSize);
    Botan::secure_vector<std::uint8_t> text(secret.view().begin(), secret.view().end());
    encryption->finish(text);
    encrypted.insert(encrypted.end(), text.begin(), text.end());
    return encrypted;
  } catch (const std::exception& error) {
    return fail_internal(std::string("encrypting a secret: ") + error.what());
  }
}

Result<Secret> Vault::decrypt(const Cell& cell, BytesView encrypted) const {
  const auto broken = [&] {
    return fail(Reason::kSecretBroken, std::string(words(Reason::kSecretBroken)),
                std::string(cell.table) + "." + std::string(cell.column) + ", row " + std::to_string(cell.row));
  };
  if (encrypted.size() < kOverhead || encrypted[0] == 0) return broken();
  CAPF_LET(const auto its_key, key(encrypted[0]));
  try {
    const auto decryption = cipher(kDecryption, *its_key, additional_data(cell, encrypted[0]));
    decryption->start(&encrypted[1], kNonceSize);
    Botan::secure_vector<std::uint8_t> text(encrypted.begin() + 1 + kNonceSize, encrypted.end());
    decryption->finish(text);
    return Secret(std::move(text));
  } catch (const std::exception&) {
    return broken();
  }
}

}  // namespace capf::ca
