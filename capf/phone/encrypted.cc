#include "capf/phone/encrypted.h"

#include <algorithm>
#include <array>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "capf/base/handle.h"

namespace capf::phone {
namespace {

using Context = std::unique_ptr<EVP_CIPHER_CTX, Freed<EVP_CIPHER_CTX_free>>;

constexpr std::size_t kKeyOctets = 16;  // AES-128
constexpr std::uint8_t kPadding = 0x0D;

/// AES-128 in CBC mode, with its padding. Empty where OpenSSL fails.
Botan::secure_vector<std::uint8_t> decipher(BytesView key, BytesView iv, BytesView ciphertext) {
  const Context context(EVP_CIPHER_CTX_new());
  Botan::secure_vector<std::uint8_t> plain(ciphertext.size());
  int size = 0;
  int rest = 0;
  const bool done =
      context != nullptr && EVP_DecryptInit_ex(context.get(), EVP_aes_128_cbc(), nullptr, key.data(), iv.data()) == 1 &&
      EVP_CIPHER_CTX_set_padding(context.get(), 0) == 1 &&
      EVP_DecryptUpdate(context.get(), plain.data(), &size, ciphertext.data(), static_cast<int>(ciphertext.size())) ==
          1 &&
      EVP_DecryptFinal_ex(context.get(), plain.data() + size, &rest) == 1;
  if (!done) ERR_clear_error();
  plain.resize(done ? static_cast<std::size_t>(size + rest) : 0);
  return plain;
}

bool has_digest(BytesView plain, const Encryption& encryption) {
  const EVP_MD* const kind = encryption.digest == Certificate::Digest::kSha1 ? EVP_sha1() : EVP_sha512();
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  return EVP_Digest(plain.data(), plain.size(), digest.data(), &size, kind, nullptr) == 1 &&
         equal_in_constant_time(BytesView(digest).first(size), encryption.plain_digest);
}

}  // namespace

Result<Secret> decrypt(const Header& file, const client::PrivateKey& key) {
  const auto does_not_open = [] { return fail(Reason::kFileMalformed, "the file does not open with the phone's key"); };
  if (!file.encryption) return fail(Reason::kFileMalformed, "the file is not encrypted");
  const Encryption& encryption = *file.encryption;
  const auto content_key = key.decrypt(encryption.wrapped_key);
  if (!content_key || content_key->view().size() != kKeyOctets) return does_not_open();
  auto plain = decipher(content_key->view(), encryption.iv, file.body);
  if (plain.size() < encryption.pad_count) return does_not_open();
  const auto end = plain.end() - static_cast<std::ptrdiff_t>(encryption.pad_count);
  if (!std::all_of(end, plain.end(), [](std::uint8_t octet) { return octet == kPadding; })) return does_not_open();
  plain.erase(end, plain.end());
  if (!has_digest({plain.data(), plain.size()}, encryption)) return does_not_open();
  return Secret(std::move(plain));
}

}  // namespace capf::phone
