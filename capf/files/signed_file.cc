#include "capf/files/signed_file.h"

#include <algorithm>

#include <openssl/rsa.h>

#include "capf/ca/openssl.h"
#include "capf/files/element.h"

namespace capf::files {
namespace {

using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, Freed<EVP_CIPHER_CTX_free>>;
using PkeyContext = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>>;

constexpr std::size_t kBlock = 16;
constexpr std::uint8_t kPadOctet = 0x0D;  // not as PKCS #7 has it

Result<Bytes> digest_of(BytesView data, const EVP_MD* kind) {
  const ca::ErrorQueue errors;
  Bytes digest(static_cast<std::size_t>(EVP_MD_get_size(kind)));
  if (EVP_Digest(data.data(), data.size(), digest.data(), nullptr, kind, nullptr) != 1) {
    return fail_internal("EVP_Digest: " + errors.text());
  }
  return digest;
}

/// The content with 1 to 16 octets behind it, so that it has whole blocks.
Secret pad(const Secret& content) {
  Botan::secure_vector<std::uint8_t> padded(content.view().begin(), content.view().end());
  padded.resize(padded.size() + kBlock - padded.size() % kBlock, kPadOctet);
  return Secret(std::move(padded));
}

Result<Bytes> encrypt(const Secret& key, BytesView iv, const Secret& padded) {
  const ca::ErrorQueue errors;
  const CipherContext context(EVP_CIPHER_CTX_new());
  const BytesView plain = padded.view();
  Bytes ciphertext(plain.size());
  int size = 0;
  if (!context || EVP_EncryptInit_ex2(context.get(), EVP_aes_128_cbc(), key.view().data(), iv.data(), nullptr) != 1 ||
      EVP_CIPHER_CTX_set_padding(context.get(), 0) != 1 ||
      EVP_EncryptUpdate(context.get(), ciphertext.data(), &size, plain.data(), static_cast<int>(plain.size())) != 1 ||
      static_cast<std::size_t>(size) != plain.size()) {
    return fail_internal("AES-128-CBC: " + errors.text());
  }
  return ciphertext;
}

/// With its padding; nothing where it cannot be.
std::optional<Secret> decrypt(const Secret& key, BytesView iv, BytesView ciphertext) {
  const ca::ErrorQueue errors;
  const CipherContext context(EVP_CIPHER_CTX_new());
  Botan::secure_vector<std::uint8_t> padded(ciphertext.size());
  int size = 0;
  if (key.view().size() != kBlock || !context ||
      EVP_DecryptInit_ex2(context.get(), EVP_aes_128_cbc(), key.view().data(), iv.data(), nullptr) != 1 ||
      EVP_CIPHER_CTX_set_padding(context.get(), 0) != 1 ||
      EVP_DecryptUpdate(context.get(), padded.data(), &size, ciphertext.data(), static_cast<int>(ciphertext.size())) !=
          1 ||
      static_cast<std::size_t>(size) != padded.size()) {
    return std::nullopt;
  }
  return Secret(std::move(padded));
}

/// Without the padding; nothing where that is no padding.
std::optional<BytesView> unpad(BytesView padded, std::size_t count) {
  if (padded.size() < count) return std::nullopt;
  const BytesView padding = padded.last(count);
  if (!std::all_of(padding.begin(), padding.end(), [](std::uint8_t octet) { return octet == kPadOctet; })) {
    return std::nullopt;
  }
  return padded.first(padded.size() - count);
}

const EVP_MD* kind_of(Digest digest) { return digest == Digest::kSha1 ? EVP_sha1() : EVP_sha512(); }

// RFC 8017 7.2.1: phones unwrap by PKCS #1 v1.5.
Result<Bytes> wrap(const Secret& key, const Certificate& phone) {
  const ca::ErrorQueue errors;
  const unsigned char* at = phone.public_key().data();
  const ca::PkeyPtr wrapping(d2i_PUBKEY(nullptr, &at, static_cast<long>(phone.public_key().size())));
  const PkeyContext context(wrapping ? EVP_PKEY_CTX_new(wrapping.get(), nullptr) : nullptr);
  Bytes wrapped((static_cast<std::size_t>(phone.key_bits()) + 7) / 8);
  std::size_t size = wrapped.size();
  if (!context || EVP_PKEY_encrypt_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) != 1 ||
      EVP_PKEY_encrypt(context.get(), wrapped.data(), &size, key.view().data(), key.view().size()) != 1 ||
      size != wrapped.size()) {
    return fail_internal("wrapping a key for a phone: " + errors.text());
  }
  return wrapped;
}

Secret random_octets(Botan::RandomNumberGenerator& random, std::size_t count) {
  return Secret(random.random_vec(count));
}

Header header_of(FileKind kind, const FileTerms& terms) {
  return {.kind = kind, .digest = terms.digest, .file_name = terms.name, .made_at = terms.made_at};
}

Result<Parts> verify(BytesView file, FileKind kind, std::string_view name, const Certificate& signer) {
  CAPF_LET(Parts parts, read_header(file));
  if (parts.header.kind != kind) return malformed("the file is of another kind");
  if (parts.header.file_name != name) return fail(Reason::kFileNameMismatch);
  CAPF_TRY(verify_signature(parts, signer));
  return parts;
}

}  // namespace

Result<Bytes> make_signed(const FileTerms& terms, BytesView content, const FileSigner& signer) {
  return sign_file(header_of(FileKind::kSigned, terms), content, signer);
}

Result<BytesView> verify_signed(BytesView file, std::string_view name, const Certificate& signer) {
  CAPF_LET(const Parts parts, verify(file, FileKind::kSigned, name, signer));
  return parts.body;
}

Result<BytesView> strip(BytesView file) {
  CAPF_LET(const Parts parts, read_header(file));
  if (parts.header.kind != FileKind::kSigned) return malformed("the file is of another kind");
  return parts.body;
}

Result<Bytes> make_encrypted(const FileTerms& terms, const Secret& content, const Certificate& phone,
                             const FileSigner& signer) {
  if (phone.key_type() != ca::KeyType::kRsa) return fail(Reason::kEncryptedConfigNeedsRsa);
  const Secret key = random_octets(signer.random, kBlock);
  const Secret padded = pad(content);
  Encryption encryption{.digest = terms.digest};
  signer.random.randomize(encryption.iv.data(), encryption.iv.size());
  encryption.pad_count = static_cast<std::uint16_t>(padded.view().size() - content.view().size());
  CAPF_LET(encryption.wrapped_key, wrap(key, phone));
  CAPF_LET(encryption.plain_digest, digest_of(content.view(), kind_of(terms.digest)));
  CAPF_LET(const Bytes ciphertext, encrypt(key, encryption.iv, padded));
  Header header = header_of(FileKind::kEncrypted, terms);
  header.encryption = std::move(encryption);
  return sign_file(std::move(header), ciphertext, signer);
}

Status verify_encrypted(BytesView file, std::string_view name, const Certificate& signer) {
  CAPF_TRY(verify(file, FileKind::kEncrypted, name, signer));
  return {};
}

Result<Secret> open_encrypted(BytesView file, std::string_view name, const Certificate& signer,
                              const std::function<Result<Secret>(BytesView)>& unwrap) {
  CAPF_LET(const Parts parts, verify(file, FileKind::kEncrypted, name, signer));
  const Encryption& encryption = *parts.header.encryption;
  const auto key = unwrap(encryption.wrapped_key);
  const auto padded = key ? decrypt(*key, encryption.iv, parts.body) : std::nullopt;
  const auto content = padded ? unpad(padded->view(), encryption.pad_count) : std::nullopt;
  if (!content) return malformed("the file does not open with this key");
  CAPF_LET(const Bytes digest, digest_of(*content, kind_of(encryption.digest)));
  if (!equal_in_constant_time(digest, encryption.plain_digest))
    return malformed("the file does not open with this key");
  return Secret(*content);
}

Checksums checksums(BytesView file) {
  const auto md5 = digest_of(file, EVP_md5());
  const auto sha1 = digest_of(file, EVP_sha1());
  CAPF_INVARIANT(md5 && sha1);
  return {to_hex(*md5), to_hex(*sha1)};
}

std::string certificate_hash(BytesView der) { return checksums(der).md5; }

}  // namespace capf::files
