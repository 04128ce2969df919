#include "capf/tvs/message.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "capf/base/error.h"
#include "capf/base/utf8.h"

namespace capf::tvs {
namespace {

constexpr std::uint8_t kVerifyRequest = 1;
constexpr std::uint8_t kVerifyResponse = 2;
constexpr std::uint8_t kQueryRequest = 3;
constexpr std::uint8_t kQueryResponse = 4;

constexpr std::uint8_t kDevice = 1;
constexpr std::uint8_t kCertificate = 2;
constexpr std::uint8_t kSubject = 3;
constexpr std::uint8_t kStatus = 7;
constexpr std::uint8_t kRoles = 8;
constexpr std::uint8_t kLifetime = 9;

constexpr std::uint8_t kSaysValid = 0;
constexpr std::uint8_t kSaysInvalid = 1;

bool is_printable(char letter) { return letter >= 0x20 && letter < 0x7F; }

/// The name behind its leading 01.
std::optional<std::string_view> device_of(BytesView value) {
  if (value.size() < 2 || value.size() > 1 + kLongestDevice || value[0] != 1) return std::nullopt;
  const std::string_view name = as_text(value.subspan(1));
  return std::all_of(name.begin(), name.end(), is_printable) ? std::optional(name) : std::nullopt;
}

/// UTF-8 without control characters, one NUL behind it, and a type and its value somewhere.
std::optional<std::string_view> name_of(BytesView value) {
  if (value.empty() || value.size() > kLongestName || value.back() != 0) return std::nullopt;
  const std::string_view name = as_text(value.first(value.size() - 1));
  const bool has_control = std::any_of(name.begin(), name.end(), [](char letter) {
    return static_cast<unsigned char>(letter) < 0x20 || letter == 0x7F;
  });
  if (has_control || find_not_utf8(name) || name.find('=') == std::string_view::npos) return std::nullopt;
  return name;
}

std::optional<BytesView> serial_of(BytesView value) {
  if (value.empty() || value.size() > kLongestSerial) return std::nullopt;
  while (value.size() > 1 && value.front() == 0) value = value.subspan(1);
  return value;
}

/// The elements of one question, each of them once at most.
struct Fields {
  std::optional<std::string_view> device{};
  std::optional<BytesView> certificate{};
  std::optional<std::string_view> issuer{};
  std::optional<BytesView> serial{};
  bool has_subject = false;
};

template <class Value>
bool set_once(std::optional<Value>& field, const std::optional<Value>& value) {
  if (field || !value) return false;
  field = value;
  return true;
}

bool take_of_query(Fields& fields, BytesView value) {
  if (const auto issuer = name_of(value)) return set_once(fields.issuer, issuer);
  return set_once(fields.serial, serial_of(value));
}

/// @return why the element cannot be taken.
std::optional<std::string_view> take(Fields& fields, const Element& element, bool queries) {
  switch (element.tag) {
    case kDevice:
      if (!set_once(fields.device, device_of(element.value))) return "a device name that is none, or twice";
      return std::nullopt;
    case kCertificate:
      if (!set_once(fields.certificate, std::optional(element.value))) return "a certificate twice";
      return std::nullopt;
    default: break;
  }
  if (!queries) return std::nullopt;
  if (element.tag == kSubject) {
    if (std::exchange(fields.has_subject, true)) return "a subject twice";
    return name_of(element.value) ? std::nullopt : std::optional<std::string_view>("a subject that is none");
  }
  if (!take_of_query(fields, element.value)) return "neither an issuer nor a serial number, or twice";
  return std::nullopt;
}

BytesView one(const std::uint8_t& octet) { return {&octet, 1}; }

}  // namespace

std::variant<Question, Malformed> read_question(const Frame& frame) {
  const bool queries = frame.message == kQueryRequest;
  if (!queries && frame.message != kVerifyRequest) return Malformed{"the message is no question"};
  Fields fields;
  ElementReader reader(frame.elements);
  while (const auto element = reader.next()) {
    if (const auto why = take(fields, *element, queries)) return Malformed{*why};
  }
  if (reader.broken()) return Malformed{"an element runs past the end"};
  if (!fields.device) return Malformed{"there is no device name"};
  if (queries) {
    if (!fields.issuer || !fields.serial) return Malformed{"there is no issuer, or no serial number"};
    return Question{frame.session, *fields.device, Query{*fields.issuer, *fields.serial}};
  }
  if (!fields.certificate) return Malformed{"there is no certificate"};
  return Question{frame.session, *fields.device, Verify{*fields.certificate}};
}

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::kValid: return "valid";
    case Outcome::kUnknown: return "unknown";
    case Outcome::kExpired: return "expired";
    case Outcome::kNotYetValid: return "not_yet_valid";
    case Outcome::kWithdrawn: return "withdrawn";
  }
  return "";
}

Bytes encode(const Question& question, const Answer& answer) {
  const bool queried = std::holds_alternative<Query>(question.what);
  const bool valid = answer.outcome == Outcome::kValid;
  FrameWriter writer(queried ? kQueryResponse : kVerifyResponse, question.session);
  writer.put(kStatus, one(valid ? kSaysValid : kSaysInvalid));
  if (valid) {
    if (queried) writer.put(kCertificate, answer.certificate);
    Bytes roles;
    for (const TrustRole role : answer.roles) roles.push_back(static_cast<std::uint8_t>(role));
    writer.put(kRoles, roles);
    const auto seconds = static_cast<std::uint32_t>(answer.lifetime.count());
    const std::array<std::uint8_t, 4> lifetime{
        static_cast<std::uint8_t>(seconds >> 24), static_cast<std::uint8_t>(seconds >> 16),
        static_cast<std::uint8_t>(seconds >> 8), static_cast<std::uint8_t>(seconds)};
    writer.put(kLifetime, lifetime);
  }
  auto message = writer.finish();
  CAPF_INVARIANT(message);
  return *std::move(message);
}

}  // namespace capf::tvs
