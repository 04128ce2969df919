#include "capf/files/header.h"

#include <algorithm>

#include <botan/pubkey.h>

#include "capf/ca/listed.h"
#include "capf/ca/openssl.h"
#include "capf/ca/signature.h"
#include "capf/files/element.h"

namespace capf::files {
namespace {

enum Tag : std::uint8_t {
  kVersion = 0x01,
  kHeaderLength = 0x02,
  kSigner = 0x03,
  kSubject = 0x04,
  kSerial = 0x05,
  kIssuer = 0x06,
  kSignatureInfo = 0x07,
  kDigest = 0x08,
  kAlgorithmInfo = 0x09,
  kAlgorithm = 0x0A,
  kModulus = 0x0B,
  kSignature = 0x0C,
  kPadding = 0x0D,
  kFileName = 0x0E,
  kTime = 0x0F,
  kEncryptionInfo = 0x10,
  kCipherInfo = 0x11,
  kCipher = 0x12,
  kIv = 0x13,
  kPadCount = 0x14,
  kKeyInfo = 0x15,
  kWrapping = 0x16,
  kKeyBits = 0x17,
  kKeyAlgorithm = 0x18,
  kWrappedKey = 0x19,
  kPlainDigestKind = 0x1A,
  kPlainDigest = 0x1B,
  kSignerVersion = 0x1C,
};

constexpr std::size_t kElementHead = 3;
constexpr std::size_t kAlignment = 4;
constexpr std::size_t kLongestFileName = 255;
constexpr std::uint32_t kRsa = 0;
constexpr std::uint32_t kAesCbc = 0;
constexpr std::uint32_t kRsaWrapping = 0;
constexpr std::uint32_t kRsaKey = 1;

struct VersionRow {
  FileKind kind;
  std::uint32_t version;
};
constexpr VersionRow kVersions[] = {
    {FileKind::kTrustList, 0x0102}, {FileKind::kSigned, 0x0100}, {FileKind::kEncrypted, 0x0200}};
/// By their codes. 3072 bits have none.
constexpr int kModulusBits[] = {512, 1024, 2048, 4096};

using DigestContext = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>>;

const EVP_MD* openssl_digest(Digest digest) { return digest == Digest::kSha1 ? EVP_sha1() : EVP_sha512(); }

Result<Digest> read_digest(BytesView value) {
  CAPF_LET(const std::uint32_t code, read_number(value, 1));
  if (code == static_cast<std::uint32_t>(Digest::kSha1)) return Digest::kSha1;
  if (code == static_cast<std::uint32_t>(Digest::kSha512)) return Digest::kSha512;
  return malformed("digest " + std::to_string(code) + " is neither SHA-1 nor SHA-512");
}

Result<FileKind> read_kind(BytesView value) {
  CAPF_LET(const std::uint32_t version, read_number(value, 2));
  for (const VersionRow& row : kVersions) {
    if (row.version == version) return row.kind;
  }
  return malformed("the version is neither a trust list's nor a signed or encrypted file's");
}

Status read_signer(BytesView value, Header& header) {
  CAPF_LET(const Elements elements, read_container(value, {kSubject, kSerial, kIssuer}));
  CAPF_LET(header.signer, read_text(elements.at(kSubject)));
  CAPF_LET(header.issuer, read_text(elements.at(kIssuer)));
  const BytesView serial = elements.at(kSerial);
  if (serial.empty() || (serial.size() > 1 && serial[0] == 0)) {
    return malformed("the signer's serial number is empty or begins with 00");
  }
  header.serial.assign(serial.begin(), serial.end());
  return {};
}

Status read_signature_info(BytesView value, Header& header) {
  CAPF_LET(const Elements info, read_container(value, {kDigest, kAlgorithmInfo}));
  CAPF_LET(header.digest, read_digest(info.at(kDigest)));
  CAPF_LET(const Elements algorithm, read_container(info.at(kAlgorithmInfo), {kAlgorithm, kModulus}));
  CAPF_LET(const std::uint32_t code, read_number(algorithm.at(kAlgorithm), 1));
  if (code != kRsa) return malformed("the signature is not RSA's");
  CAPF_LET(const std::uint32_t modulus, read_number(algorithm.at(kModulus), 1));
  if (modulus >= std::size(kModulusBits)) return malformed("no RSA key has the code of this signer's");
  header.modulus_bits = kModulusBits[modulus];
  return {};
}

/// Elements 12 to 14.
Status read_cipher(BytesView value, Encryption& encryption) {
  CAPF_LET(const Elements cipher, read_container(value, {kCipher, kIv, kPadCount}));
  CAPF_LET(const std::uint32_t code, read_number(cipher.at(kCipher), 1));
  if (code != kAesCbc) return malformed("the cipher is not known");
  const BytesView iv = cipher.at(kIv);
  if (iv.size() != encryption.iv.size()) return malformed("the IV does not have 16 octets");
  std::copy(iv.begin(), iv.end(), encryption.iv.begin());
  CAPF_LET(const std::uint32_t pad, read_number(cipher.at(kPadCount), 2));
  if (pad < 1 || pad > 16) return malformed("the pad count is not 1 to 16");
  encryption.pad_count = static_cast<std::uint16_t>(pad);
  return {};
}

/// Elements 16 to 19.
Status read_wrapped_key(BytesView value, Encryption& encryption) {
  CAPF_LET(const Elements key, read_container(value, {kWrapping, kKeyBits, kKeyAlgorithm, kWrappedKey}));
  CAPF_LET(const std::uint32_t wrapping, read_number(key.at(kWrapping), 1));
  CAPF_LET(const std::uint32_t algorithm, read_number(key.at(kKeyAlgorithm), 1));
  if (wrapping != kRsaWrapping || algorithm != kRsaKey) return malformed("the key is wrapped in an unknown way");
  CAPF_LET(const std::uint32_t bits, read_number(key.at(kKeyBits), 2));
  const BytesView wrapped = key.at(kWrappedKey);
  if (wrapped.empty() || bits != 8 * wrapped.size()) return malformed("the wrapped key has another size");
  encryption.wrapped_key.assign(wrapped.begin(), wrapped.end());
  return {};
}

Result<Encryption> read_encryption(ElementReader& reader) {
  Encryption encryption;
  CAPF_LET(const BytesView info, reader.take(kEncryptionInfo));
  CAPF_LET(const Elements parts, read_container(info, {kCipherInfo, kKeyInfo}));
  CAPF_TRY(read_cipher(parts.at(kCipherInfo), encryption));
  CAPF_TRY(read_wrapped_key(parts.at(kKeyInfo), encryption));
  CAPF_LET(const BytesView kind, reader.take(kPlainDigestKind));
  CAPF_LET(encryption.digest, read_digest(kind));
  CAPF_LET(const BytesView digest, reader.take(kPlainDigest));
  if (digest.size() != static_cast<std::size_t>(EVP_MD_get_size(openssl_digest(encryption.digest)))) {
    return malformed("the digest of the plaintext has another size");
  }
  encryption.plain_digest.assign(digest.begin(), digest.end());
  return encryption;
}

Status read_padding(BytesView rest) {
  const bool padding = std::all_of(rest.begin(), rest.end(), [](std::uint8_t octet) { return octet == kPadding; });
  if (!padding || rest.size() >= kAlignment) return malformed("the header does not end where it says");
  return {};
}

/// The signer's version, which some trust lists have.
Result<bool> read_https(ElementReader& reader) {
  if (reader.peek() != kSignerVersion) return false;
  CAPF_LET(const BytesView value, reader.take(kSignerVersion));
  CAPF_LET(const std::uint32_t version, read_number(value, 2));
  if (version != 0x0100 && version != 0x0101) return malformed("the signer's version is neither 1.0 nor 1.1");
  return version == 0x0101;
}

/// The elements between header length and signature.
Status read_before(ElementReader& reader, Header& header) {
  if (header.kind == FileKind::kTrustList) {
    CAPF_LET(header.https, read_https(reader));
  }
  CAPF_LET(const BytesView signer, reader.take(kSigner));
  CAPF_TRY(read_signer(signer, header));
  CAPF_LET(const BytesView info, reader.take(kSignatureInfo));
  return read_signature_info(info, header);
}

/// The elements behind the signature.
Status read_behind(ElementReader& reader, Header& header) {
  CAPF_LET(const BytesView name, reader.take(kFileName));
  CAPF_LET(header.file_name, read_text(name));
  if (header.file_name.empty() || header.file_name.size() > kLongestFileName) {
    return malformed("the file name does not have 1 to 255 octets");
  }
  CAPF_LET(const BytesView time, reader.take(kTime));
  CAPF_LET(const std::uint32_t seconds, read_number(time, 4));
  header.made_at = TimePoint(std::chrono::seconds(seconds));
  if (header.kind == FileKind::kEncrypted) {
    CAPF_LET(header.encryption, read_encryption(reader));
  }
  return read_padding(reader.rest());
}

Bytes signer_value(const Header& header) {
  Bytes value;
  put_text(value, kSubject, header.signer);
  put(value, kSerial, header.serial);
  put_text(value, kIssuer, header.issuer);
  return value;
}

Bytes signature_info(const Header& header) {
  const auto* code = std::find(std::begin(kModulusBits), std::end(kModulusBits), header.modulus_bits);
  Bytes algorithm;
  put_number(algorithm, kAlgorithm, kRsa, 1);
  put_number(algorithm, kModulus, static_cast<std::uint32_t>(code - std::begin(kModulusBits)), 1);
  Bytes value;
  put_number(value, kDigest, static_cast<std::uint32_t>(header.digest), 1);
  put(value, kAlgorithmInfo, algorithm);
  return value;
}

void put_encryption(Bytes& out, const Encryption& encryption) {
  Bytes cipher;
  put_number(cipher, kCipher, kAesCbc, 1);
  put(cipher, kIv, encryption.iv);
  put_number(cipher, kPadCount, encryption.pad_count, 2);
  Bytes key;
  put_number(key, kWrapping, kRsaWrapping, 1);
  put_number(key, kKeyBits, static_cast<std::uint32_t>(8 * encryption.wrapped_key.size()), 2);
  put_number(key, kKeyAlgorithm, kRsaKey, 1);
  put(key, kWrappedKey, encryption.wrapped_key);
  Bytes info;
  put(info, kCipherInfo, cipher);
  put(info, kKeyInfo, key);
  put(out, kEncryptionInfo, info);
  put_number(out, kPlainDigestKind, static_cast<std::uint32_t>(encryption.digest), 1);
  put(out, kPlainDigest, encryption.plain_digest);
}

/// Version and header length, which are as long for any file.
Bytes first_elements(FileKind kind, std::size_t header_length) {
  Bytes out;
  const auto* row = std::find_if(std::begin(kVersions), std::end(kVersions),
                                 [kind](const VersionRow& version) { return version.kind == kind; });
  put_number(out, kVersion, row->version, 2);
  put_number(out, kHeaderLength, static_cast<std::uint32_t>(header_length), 2);
  return out;
}

Bytes elements_before(const Header& header) {
  Bytes out;
  if (header.kind == FileKind::kTrustList) put_number(out, kSignerVersion, header.https ? 0x0101 : 0x0100, 2);
  put(out, kSigner, signer_value(header));
  put(out, kSignatureInfo, signature_info(header));
  return out;
}

Bytes elements_behind(const Header& header) {
  Bytes out;
  put_text(out, kFileName, header.file_name);
  const auto seconds = std::chrono::floor<std::chrono::seconds>(header.made_at).time_since_epoch().count();
  put_number(out, kTime, static_cast<std::uint32_t>(seconds), 4);
  if (header.encryption) put_encryption(out, *header.encryption);
  return out;
}

Status check_terms(const Header& header) {
  const std::string& name = header.file_name;
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) { return c > 0x20 && c < 0x7F; });
  if (name.empty() || name.size() > kLongestFileName || !plain) {
    return fail(Reason::kInvalidRequest, "a signed file's name has 1 to 255 printable characters of ASCII");
  }
  if (header.made_at < TimePoint() || header.made_at >= TimePoint(std::chrono::seconds(0x100000000))) {
    return fail(Reason::kInvalidRequest, "the time in a file lies between 1970 and 2106");
  }
  return {};
}

Result<Bytes> make_signature(const FileSigner& signer, Digest digest, const Bytes& file) {
  try {
    Botan::PK_Signer sign(signer.key.botan(), signer.random,
                          digest == Digest::kSha1 ? "EMSA3(SHA-1)" : "EMSA3(SHA-512)");
    return sign.sign_message(file.data(), file.size(), signer.random);
  } catch (const std::exception& error) {
    return ca::signing_failed("signing a file for phones", error);
  }
}

bool is_signature(const Parts& file, EVP_PKEY* key) {
  const DigestContext context(EVP_MD_CTX_new());
  return context &&
         EVP_DigestVerifyInit(context.get(), nullptr, openssl_digest(file.header.digest), nullptr, key) == 1 &&
         EVP_DigestVerifyUpdate(context.get(), file.before.data(), file.before.size()) == 1 &&
         EVP_DigestVerifyUpdate(context.get(), file.behind.data(), file.behind.size()) == 1 &&
         EVP_DigestVerifyFinal(context.get(), file.signature.data(), file.signature.size()) == 1;
}

}  // namespace

std::string_view to_string(Digest digest) { return digest == Digest::kSha1 ? "SHA-1" : "SHA-512"; }

Result<Parts> read_header(BytesView file) {
  Parts parts;
  ElementReader start(file);
  CAPF_LET(const BytesView version, start.take(kVersion));
  CAPF_LET(parts.header.kind, read_kind(version));
  CAPF_LET(const BytesView length_value, start.take(kHeaderLength));
  CAPF_LET(const std::uint32_t length, read_number(length_value, 2));
  if (length > file.size() || length <= start.taken() || length % kAlignment != 0) {
    return malformed("the header's length is larger than the file, too small, or no multiple of 4");
  }
  const std::size_t first = start.taken();
  ElementReader reader(file.subspan(first, length - first));
  CAPF_TRY(read_before(reader, parts.header));
  parts.before = file.first(first + reader.taken());
  CAPF_LET(parts.signature, reader.take(kSignature));
  parts.behind = file.subspan(first + reader.taken());
  CAPF_TRY(read_behind(reader, parts.header));
  parts.body = file.subspan(length);
  if (parts.header.kind == FileKind::kEncrypted && (parts.body.empty() || parts.body.size() % 16 != 0)) {
    return malformed("the ciphertext is no multiple of 16 octets");
  }
  return parts;
}

Status verify_signature(const Parts& file, const Certificate& signer) {
  const Header& header = file.header;
  if (header.serial != signer.serial() || !signer.is_subject(header.signer) || !signer.is_issuer(header.issuer)) {
    return fail(Reason::kFileSignature, "the file names another signer");
  }
  if (signer.key_type() != ca::KeyType::kRsa || signer.key_bits() != header.modulus_bits) {
    return fail(Reason::kFileSignature, "the signer's key is of another kind or size");
  }
  const ca::ErrorQueue errors;
  const unsigned char* at = signer.public_key().data();
  const ca::PkeyPtr key(d2i_PUBKEY(nullptr, &at, static_cast<long>(signer.public_key().size())));
  if (!key || !is_signature(file, key.get())) return fail(Reason::kFileSignature, "the signature is wrong");
  return {};
}

Status check_signer(const Certificate& certificate) {
  const int bits = certificate.key_bits();
  if (ca::can_sign_files(certificate.key_type(), bits)) return {};
  return fail(Reason::kCertificateRole,
              "phones' files are signed by RSA keys of 1024, 2048 or 4096 bits; the key of " + certificate.subject() +
                  (certificate.key_type() == ca::KeyType::kRsa ? " is RSA of " : " is EC of ") + std::to_string(bits));
}

Result<Bytes> sign_file(Header header, BytesView body, const FileSigner& signer) {
  CAPF_TRY(check_signer(signer.certificate));
  if (signer.key.public_key() != signer.certificate.public_key()) {
    return fail(Reason::kCertificateRole, "the key is not that of " + signer.certificate.subject());
  }
  CAPF_TRY(check_terms(header));
  header.signer = signer.certificate.subject();
  header.serial = signer.certificate.serial();
  header.issuer = signer.certificate.issuer();
  header.modulus_bits = signer.certificate.key_bits();
  const Bytes before = elements_before(header);
  Bytes behind = elements_behind(header);
  const std::size_t signature_size = kElementHead + static_cast<std::size_t>(header.modulus_bits) / 8;
  std::size_t length = first_elements(header.kind, 0).size() + before.size() + signature_size + behind.size();
  for (; length % kAlignment != 0; ++length) behind.push_back(kPadding);
  if (length > 0xFFFF) return fail(Reason::kCertificateRole, "the signer's names are too long for a file's header");

  Bytes file = first_elements(header.kind, length);
  file.insert(file.end(), before.begin(), before.end());
  const auto place = static_cast<std::ptrdiff_t>(file.size());
  file.insert(file.end(), behind.begin(), behind.end());
  file.insert(file.end(), body.begin(), body.end());
  CAPF_LET(const Bytes signature, make_signature(signer, header.digest, file));
  Bytes element;
  put(element, kSignature, signature);
  file.insert(file.begin() + place, element.begin(), element.end());
  return file;
}

}  // namespace capf::files
