#include "capf/phone/header.h"

#include <algorithm>

#include "capf/base/utf8.h"

namespace capf::phone {
namespace {

enum Tag : std::uint8_t {
  kVersion = 0x01,
  kLength = 0x02,
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
  kWrap = 0x16,
  kKeySize = 0x17,
  kKeyAlgorithm = 0x18,
  kWrappedKey = 0x19,
  kPlainDigestKind = 0x1A,
  kPlainDigest = 0x1B,
  kSignerVersion = 0x1C,
};

constexpr std::size_t kIvOctets = 16;

tl::unexpected<Error> bad(const std::string& why) { return fail(Reason::kFileMalformed, why); }

using Values = std::map<std::uint8_t, BytesView>;

/// Exactly these elements, in any order.
std::optional<Values> exactly(BytesView octets, std::initializer_list<std::uint8_t> tags) {
  auto values = read_elements(octets);
  if (!values || values->size() != tags.size()) return std::nullopt;
  for (const std::uint8_t tag : tags) {
    if (!values->contains(tag)) return std::nullopt;
  }
  return values;
}

std::optional<Certificate::Digest> read_digest(BytesView value) {
  switch (read_number(value, 1).value_or(0)) {
    case 1: return Certificate::Digest::kSha1;
    case 3: return Certificate::Digest::kSha512;
    default: return std::nullopt;
  }
}

Result<Header::Kind> read_kind(BytesView version) {
  switch (read_number(version, 2).value_or(0)) {
    case 0x0102: return Header::Kind::kList;
    case 0x0100: return Header::Kind::kSigned;
    case 0x0200: return Header::Kind::kEncrypted;
    default: return bad("no phone knows its version");
  }
}

Status read_signer(BytesView value, Header& header) {
  const auto values = exactly(value, {kSubject, kSerial, kIssuer});
  if (!values) return bad("its signer is not described as it must be");
  const auto subject = read_text(values->at(kSubject));
  const auto issuer = read_text(values->at(kIssuer));
  if (!subject || !issuer || values->at(kSerial).empty()) return bad("its signer has no name or serial number");
  header.signer = *subject;
  header.issuer = *issuer;
  header.serial.assign(values->at(kSerial).begin(), values->at(kSerial).end());
  return {};
}

Status read_signature_info(BytesView value, Header& header) {
  const auto values = exactly(value, {kDigest, kAlgorithmInfo});
  if (!values) return bad("its signature is not described as it must be");
  const auto digest = read_digest(values->at(kDigest));
  const auto algorithm = exactly(values->at(kAlgorithmInfo), {kAlgorithm, kModulus});
  if (!digest) return bad("it is signed by a digest that phones do not know");
  const auto modulus = algorithm ? read_number(algorithm->at(kModulus), 1) : std::nullopt;
  if (!modulus || *modulus > 3 || read_number(algorithm->at(kAlgorithm), 1) != 0U) {
    return bad("it is signed by a kind of key that phones do not know");
  }
  header.digest = *digest;
  header.modulus_bits = 512 << *modulus;
  return {};
}

Status read_encryption(const Values& top, Header& header) {
  const auto parts = exactly(top.at(kEncryptionInfo), {kCipherInfo, kKeyInfo});
  if (!parts) return bad("its encryption is not described as it must be");
  const auto cipher = exactly(parts->at(kCipherInfo), {kCipher, kIv, kPadCount});
  const auto key = exactly(parts->at(kKeyInfo), {kWrap, kKeySize, kKeyAlgorithm, kWrappedKey});
  const auto digest = read_digest(top.at(kPlainDigestKind));
  if (!cipher || !key || !digest) return bad("its encryption is not described as it must be");
  if (read_number(cipher->at(kCipher), 1) != 0U || read_number(key->at(kWrap), 1) != 0U ||
      read_number(key->at(kKeyAlgorithm), 1) != 1U) {
    return bad("it is encrypted by a cipher that phones do not know");
  }
  Encryption found;
  found.iv = cipher->at(kIv);
  found.pad_count = read_number(cipher->at(kPadCount), 2).value_or(0);
  found.wrapped_key = key->at(kWrappedKey);
  found.digest = *digest;
  found.plain_digest = top.at(kPlainDigest);
  if (found.iv.size() != kIvOctets || found.pad_count < 1 || found.pad_count > kIvOctets ||
      read_number(key->at(kKeySize), 2) != 8 * found.wrapped_key.size()) {
    return bad("a size in its encryption is wrong");
  }
  if (header.body.empty() || header.body.size() % kIvOctets != 0) return bad("its ciphertext is cut off");
  header.encryption = found;
  return {};
}

/// The elements behind the header's length, each in its place.
Result<Values> read_ordered(BytesView file, BytesView rest, Header& header) {
  std::vector<std::uint8_t> order{kSigner, kSignatureInfo, kSignature, kFileName, kTime};
  if (header.kind == Header::Kind::kEncrypted) {
    order.insert(order.end(), {kEncryptionInfo, kPlainDigestKind, kPlainDigest});
  }
  Octets octets(rest);
  if (header.kind == Header::Kind::kList && !octets.empty() && octets.front() == kSignerVersion) {
    order.insert(order.begin(), kSignerVersion);
  }
  Values values;
  for (const std::uint8_t tag : order) {
    const auto at = static_cast<std::size_t>(octets.rest().data() - file.data());
    const auto element = octets.element();
    if (!element || element->tag != tag) return bad("an element of its header is not in its place");
    values[tag] = element->value;
    if (tag != kSignature) continue;
    header.before = file.first(at);
    header.behind = file.subspan(static_cast<std::size_t>(octets.rest().data() - file.data()));
    header.signature = element->value;
  }
  const BytesView padding = octets.rest();
  const bool is_padding = std::all_of(padding.begin(), padding.end(), [](std::uint8_t c) { return c == kPadding; });
  if (padding.size() > 3 || !is_padding) return bad("its header does not end as it must");
  return values;
}

Status read_values(const Values& values, std::string_view name, Header& header) {
  if (const auto version = values.find(kSignerVersion); version != values.end()) {
    const std::uint64_t number = read_number(version->second, 2).value_or(0);
    if (number != 0x0100U && number != 0x0101U) return bad("no phone knows the version of its signer");
    header.https = number == 0x0101U;
  }
  CAPF_TRY(read_signer(values.at(kSigner), header));
  CAPF_TRY(read_signature_info(values.at(kSignatureInfo), header));
  const auto file_name = read_text(values.at(kFileName));
  if (!file_name || file_name->empty() || !read_number(values.at(kTime), 4)) return bad("it has no name or time");
  header.file_name = *file_name;
  if (header.kind == Header::Kind::kEncrypted) CAPF_TRY(read_encryption(values, header));
  if (header.file_name != name) return fail(Reason::kFileNameMismatch);
  return {};
}

}  // namespace

std::optional<BytesView> Octets::take(std::size_t count) {
  if (count > rest_.size()) return std::nullopt;
  const BytesView taken = rest_.first(count);
  rest_ = rest_.subspan(count);
  return taken;
}

std::optional<Octets::Element> Octets::element() {
  const auto head = take(3);
  if (!head) return std::nullopt;
  const auto value = take(static_cast<std::size_t>((*head)[1] << 8 | (*head)[2]));
  if (!value) return std::nullopt;
  return Element{(*head)[0], *value};
}

std::optional<std::map<std::uint8_t, BytesView>> read_elements(BytesView octets) {
  std::map<std::uint8_t, BytesView> values;
  for (Octets rest(octets); !rest.empty();) {
    const auto element = rest.element();
    if (!element || !values.emplace(element->tag, element->value).second) return std::nullopt;
  }
  return values;
}

std::optional<std::string> read_text(BytesView value) {
  if (value.empty() || std::find(value.begin(), value.end(), 0) != value.end() - 1) return std::nullopt;
  std::string text(as_text(value.first(value.size() - 1)));
  if (find_not_utf8(text)) return std::nullopt;
  return text;
}

std::optional<std::uint32_t> read_number(BytesView value, std::size_t octets) {
  if (value.size() != octets) return std::nullopt;
  std::uint32_t number = 0;
  for (const std::uint8_t octet : value) number = number << 8 | octet;
  return number;
}

bool Header::is_signed_by(const Certificate& certificate) const {
  return certificate.rsa_bits() == modulus_bits && static_cast<int>(8 * signature.size()) == modulus_bits &&
         serial == certificate.serial() && certificate.has_subject(signer) && certificate.has_issuer(issuer) &&
         certificate.has_signed(digest, before, behind, signature);
}

Result<Header> read_header(BytesView file, std::string_view name) {
  Octets start(file);
  const auto version = start.element();
  const auto length = start.element();
  if (!version || version->tag != kVersion || !length || length->tag != kLength) return bad("it has no header");
  Header header;
  CAPF_LET(header.kind, read_kind(version->value));
  const std::size_t end = read_number(length->value, 2).value_or(0);
  const std::size_t begin = file.size() - start.rest().size();
  if (end < begin || end > file.size() || end % 4 != 0) return bad("the length of its header is wrong");
  header.body = file.subspan(end);
  CAPF_LET(const Values values, read_ordered(file, file.first(end).subspan(begin), header));
  CAPF_TRY(read_values(values, name, header));
  return header;
}

}  // namespace capf::phone
