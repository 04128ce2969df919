#include "capf/wire/message.h"

#include <algorithm>
#include <array>
#include <span>

#include "capf/base/log.h"

namespace capf::wire {
namespace {

using enum Tag;

/// Which elements count in which message; others are ignored.
struct Form {
  Command command;
  std::string_view name;
  std::array<Tag, 8> counting;
  std::size_t count;
};

template <class... Tags>
constexpr Form form(Command command, std::string_view name, Tags... tags) {
  return {command, name, {tags...}, sizeof...(tags)};
}

constexpr std::array kForms{
    form(Command::kAuthRequest, "auth_request", kVersion),
    form(Command::kAuthResponse, "auth_response", kReason, kVersion, kPassword, kDeviceName, kCertificate, kSignedData,
         kSha2SignedData, kSudiData),
    form(Command::kKeyGenerateRequest, "key_generate_request", kKeySize, kKeyType, kCurve),
    form(Command::kKeyGenerateResponse, "key_generate_response", kReason, kPublicKey),
    form(Command::kStoreRequest, "store_request", kCertificateType, kCertificate),
    form(Command::kStoreResponse, "store_response", kReason),
    form(Command::kFetchRequest, "fetch_request"),
    form(Command::kFetchResponse, "fetch_response", kReason, kCertificate),
    form(Command::kDeleteRequest, "delete_request"),
    form(Command::kDeleteResponse, "delete_response", kReason),
    form(Command::kEndSession, "end_session", kReason),
    form(Command::kRequestInProgress, "request_in_progress"),
};

const Form* find_form(Command command) {
  const auto* found =
      std::find_if(kForms.begin(), kForms.end(), [&](const Form& known) { return known.command == command; });
  return found == kForms.end() ? nullptr : found;
}

std::span<const Tag> counting_in(Command command) {
  const Form* known = find_form(command);
  return known ? std::span<const Tag>(known->counting).first(known->count) : std::span<const Tag>();
}

// The order in which both of Cisco's sides and the desk phones write.
constexpr std::array kOrder{kReason,         kVersion,    kPassword,        kKeySize,     kKeyType,
                            kCurve,          kDeviceName, kCertificateType, kCertificate, kSignedData,
                            kSha2SignedData, kSudiData,   kPublicKey};
// A version 2 softphone's auth response.
constexpr std::array kOrder2{kVersion, kPassword, kDeviceName, kReason};

std::array<std::uint8_t, 2> write_16(std::size_t value) {
  return {static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
}

bool read_8(BytesView value, std::optional<std::uint8_t>& field) {
  if (value.size() != 1) return false;
  field = value[0];
  return true;
}

/// Characters and one NUL, which is the last octet.
bool read_text(BytesView value, std::optional<std::string_view>& field) {
  const std::string_view text = as_text(value);
  if (text.empty() || text.find('\0') != text.size() - 1) return false;
  field = text.substr(0, text.size() - 1);
  return true;
}

//   +--------+--------+--------+--------+--------+----- - - -
//   |  0x01  | length of the rest|  0x00  |  type  | DER
//   +--------+--------+--------+--------+--------+----- - - -
bool read_certificate(BytesView value, std::optional<CertificateElement>& field) {
  if (value.size() < 6 || value[0] != 1 || read_16(value, 1) != value.size() - 3 || value[3] != 0) return false;
  field = CertificateElement{value[4], value.subspan(5)};
  return true;
}

//   +--------+--------+--------+----- - - -
//   |  hash  |      length     | signature
//   +--------+--------+--------+----- - - -
bool read_sha2(BytesView value, std::optional<Sha2Signature>& field) {
  if (value.size() < 4 || read_16(value, 1) != value.size() - 3) return false;
  field = Sha2Signature{value[0], value.subspan(3)};
  return true;
}

// Three fields, each like an element:
//   +--------+--------+--------+----- - - -+--------+--------+--------+----- - - -+--------+--------+--------+----- - -
//   - |  0x00  |      length     | DER       |  0x01  |      length     | SHA-1     |  0x03  |      length     |
//   SHA-512
//   +--------+--------+--------+----- - - -+--------+--------+--------+----- - - -+--------+--------+--------+----- - -
//   -
bool read_sudi(BytesView value, std::optional<Sudi>& field) {
  std::array<BytesView, 4> parts{};
  ElementReader reader(value);
  while (const auto part = reader.next()) {
    if (part->tag >= parts.size() || part->value.empty() || !parts[part->tag].empty()) return false;
    parts[part->tag] = part->value;
  }
  if (reader.broken() || parts[0].empty() || parts[kHashSha1].empty() || parts[kHashSha512].empty()) return false;
  field = Sudi{parts[0], parts[kHashSha1], parts[kHashSha512]};
  return true;
}

bool read_element(Tag tag, BytesView value, Message& message) {
  switch (tag) {
    case kReason: return read_8(value, message.reason);
    case kVersion: return read_8(value, message.version);
    case kKeyType: return read_8(value, message.key_type);
    case kCurve: return read_8(value, message.curve);
    case kCertificateType: return read_8(value, message.certificate_type);
    case kPassword: return read_text(value, message.password);
    case kDeviceName: return read_text(value, message.device);
    case kCertificate: return read_certificate(value, message.certificate);
    case kSha2SignedData: return read_sha2(value, message.sha2_signed_data);
    case kSudiData: return read_sudi(value, message.sudi);
    case kSignedData: message.signed_data = value; return !value.empty();
    case kPublicKey: message.public_key = value; return !value.empty();
    case kKeySize:
      if (value.size() != 2) return false;
      message.key_size = static_cast<std::uint16_t>(read_16(value, 0));
      return true;
  }
  return false;
}

void put_8(FrameWriter& writer, Tag tag, const std::optional<std::uint8_t>& field) {
  if (field) writer.put(static_cast<std::uint8_t>(tag), {&*field, 1});
}

void put_text(FrameWriter& writer, Tag tag, const std::optional<std::string_view>& field) {
  static constexpr std::uint8_t kNul = 0;
  if (field) writer.put(static_cast<std::uint8_t>(tag), as_bytes(*field), {&kNul, 1}, {});
}

void put_certificate(FrameWriter& writer, const CertificateElement& certificate) {
  const auto length = write_16(certificate.der.size() + 2);
  const std::array<std::uint8_t, 5> head{1, length[0], length[1], 0, certificate.type};
  writer.put(static_cast<std::uint8_t>(kCertificate), head, certificate.der, {});
}

void put_sha2(FrameWriter& writer, const Sha2Signature& signature) {
  const auto length = write_16(signature.signature.size());
  const std::array<std::uint8_t, 3> head{signature.hash, length[0], length[1]};
  writer.put(static_cast<std::uint8_t>(kSha2SignedData), head, signature.signature, {});
}

void put_sudi(FrameWriter& writer, const Sudi& sudi) {
  Bytes value;
  const auto part = [&](std::uint8_t tag, BytesView data) {
    const auto length = write_16(data.size());
    value.insert(value.end(), {tag, length[0], length[1]});
    value.insert(value.end(), data.begin(), data.end());
  };
  part(0, sudi.certificate);
  part(kHashSha1, sudi.sha1_signature);
  part(kHashSha512, sudi.sha512_signature);
  writer.put(static_cast<std::uint8_t>(kSudiData), value);
}

void put_element(FrameWriter& writer, Tag tag, const Message& message) {
  switch (tag) {
    case kReason: put_8(writer, tag, message.reason); break;
    case kVersion: put_8(writer, tag, message.version); break;
    case kKeyType: put_8(writer, tag, message.key_type); break;
    case kCurve: put_8(writer, tag, message.curve); break;
    case kCertificateType: put_8(writer, tag, message.certificate_type); break;
    case kPassword: put_text(writer, tag, message.password); break;
    case kDeviceName: put_text(writer, tag, message.device); break;
    case kCertificate:
      if (message.certificate) put_certificate(writer, *message.certificate);
      break;
    case kSha2SignedData:
      if (message.sha2_signed_data) put_sha2(writer, *message.sha2_signed_data);
      break;
    case kSudiData:
      if (message.sudi) put_sudi(writer, *message.sudi);
      break;
    case kSignedData:
      if (message.signed_data) writer.put(static_cast<std::uint8_t>(tag), *message.signed_data);
      break;
    case kPublicKey:
      if (message.public_key) writer.put(static_cast<std::uint8_t>(tag), *message.public_key);
      break;
    case kKeySize:
      if (message.key_size) writer.put(static_cast<std::uint8_t>(tag), write_16(*message.key_size));
      break;
  }
}

std::string_view certificate_name(std::uint8_t type) {
  if (type == kTypeLsc) return "lsc";
  return type == kTypeMic ? "mic" : "other";
}

}  // namespace

std::variant<Message, Malformed> read_message(const Frame& frame) {
  Message message{static_cast<Command>(frame.command), frame.session_id};
  const std::span<const Tag> counting = counting_in(message.command);
  std::uint32_t seen = 0;
  ElementReader reader(frame.elements);
  while (const auto element = reader.next()) {
    const auto tag = static_cast<Tag>(element->tag);
    if (std::find(counting.begin(), counting.end(), tag) == counting.end()) continue;
    const std::uint32_t bit = 1U << element->tag;  // the tags that count are below 32
    if (seen & bit) return Malformed{"an element is there twice"};
    seen |= bit;
    if (!read_element(tag, element->value, message)) return Malformed{"an element has another size or form"};
  }
  if (reader.broken()) return Malformed{"an element runs past the end of the message"};
  return message;
}

Result<Bytes> encode(const Message& message) {
  Bytes out;
  FrameWriter writer(out, static_cast<std::uint8_t>(message.command), message.session_id);
  if (message.command == Command::kAuthResponse && message.version == kVersion2) {
    for (const Tag tag : kOrder2) put_element(writer, tag, message);
    for (const Tag tag : kOrder) {
      if (std::find(kOrder2.begin(), kOrder2.end(), tag) == kOrder2.end()) put_element(writer, tag, message);
    }
  } else {
    for (const Tag tag : kOrder) put_element(writer, tag, message);
  }
  if (!writer.finish()) return fail(Reason::kRequestTooLarge, "a message has 65,535 octets of elements at most");
  return out;
}

std::string describe(Command command) {
  const Form* known = find_form(command);
  return known ? std::string(known->name) : "command_" + std::to_string(static_cast<int>(command));
}

std::string describe(const Message& message) {
  std::string text = describe(message.command);
  const auto number = [&](std::string_view name, const auto& field) {
    if (field) text.append(" ").append(name).append("=").append(std::to_string(*field));
  };
  const auto word = [&](std::string_view name, std::string_view value) {
    text.append(" ").append(name).append("=").append(value);
  };
  const auto size = [](BytesView data) { return std::to_string(data.size()); };
  number("reason", message.reason);
  number("version", message.version);
  if (message.password) word("password", message.password->empty() ? "none" : "given");
  number("key_size", message.key_size);
  if (message.key_type) {
    word("key_type", *message.key_type == kKeyRsa  ? "rsa"
                     : *message.key_type == kKeyEc ? "ec"
                                                   : std::to_string(*message.key_type));
  }
  if (message.curve) {
    const auto bits = curve_bits(*message.curve);
    word("curve", bits ? "p-" + std::to_string(*bits) : std::to_string(*message.curve));
  }
  if (message.device) word("device", log_value(*message.device));
  if (message.certificate_type) word("certificate_type", certificate_name(*message.certificate_type));
  if (message.certificate) {
    word("certificate",
         std::string(certificate_name(message.certificate->type)) + ":" + size(message.certificate->der));
  }
  if (message.signed_data) word("signed_data", size(*message.signed_data));
  if (message.sha2_signed_data) {
    word("sha2_signed_data",
         std::to_string(message.sha2_signed_data->hash) + ":" + size(message.sha2_signed_data->signature));
  }
  if (message.sudi) {
    word("sudi", size(message.sudi->certificate) + ":" + size(message.sudi->sha1_signature) + ":" +
                     size(message.sudi->sha512_signature));
  }
  if (message.public_key) word("public_key", size(*message.public_key));
  return text;
}

namespace {
constexpr std::array kCurves{256, 384, 521};
}

std::optional<int> curve_bits(std::uint8_t curve) {
  if (curve >= kCurves.size()) return std::nullopt;
  return kCurves[curve];
}

std::optional<std::uint8_t> curve_of_bits(int bits) {
  for (std::size_t curve = 0; curve < kCurves.size(); ++curve) {
    if (kCurves[curve] == bits) return static_cast<std::uint8_t>(curve);
  }
  return std::nullopt;
}

}  // namespace capf::wire
