#include "capf/client/text.h"

#include <openssl/x509.h>

#include "capf/base/endpoint.h"
#include "capf/base/time.h"
#include "capf/base/utf8.h"
#include "capf/ca/name.h"
#include "capf/domain/device.h"

using namespace capf;

namespace {

/// A value that was read is written and read back as the same.
template <class Read>
void check_again(std::string_view text, Read read) {
  const auto value = read(text);
  if (!value) return;
  const std::string written = value->to_string();
  const auto again = read(std::string_view(written));
  CAPF_INVARIANT(again && again->to_string() == written);
}

void check_device(std::string_view text) {
  const auto device = DeviceName::parse(text);
  CAPF_INVARIANT(!device || device->text() == text);
  const auto pattern = Pattern::parse(text);
  CAPF_INVARIANT(!device || (pattern && pattern->matches(text)));
}

/// The obvious way to match, for short texts.
bool matches(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern[0] == '*') return matches(pattern.substr(1), name) || (!name.empty() && matches(pattern, name.substr(1)));
  return !name.empty() && pattern[0] == name[0] && matches(pattern.substr(1), name.substr(1));
}

void check_pattern(std::string_view text) {
  const std::size_t space = std::min(text.find(' '), text.size());
  const auto pattern = Pattern::parse(text.substr(0, space));
  const std::string_view name = text.substr(std::min(space + 1, text.size()));
  if (!pattern) return;
  const bool found = pattern->matches(name);
  if (space + name.size() < 20) CAPF_INVARIANT(found == matches(pattern->text(), name));
}

void check_network(std::string_view text) {
  check_again(text, [](std::string_view t) { return Network::parse(t); });
  const auto network = Network::parse(text);
  const auto address = Address::parse(text.substr(0, text.find('/')));
  CAPF_INVARIANT(!network || (address && network->contains(*address)));
}

void check_time(std::string_view text) {
  const auto time = parse_rfc3339(text);
  if (!time) return;
  const auto again = parse_rfc3339(to_rfc3339(*time));
  CAPF_INVARIANT(again && *again == std::chrono::floor<std::chrono::seconds>(*time));
}

void check_hex(std::string_view text) {
  const auto octets = parse_hex(text);
  if (!octets) return;
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c;
  CAPF_INVARIANT(to_hex(*octets) == lower);
}

void check_subject(std::string_view text) {
  const auto subject = ca::parse_subject(std::string(text));
  if (!subject) return;
  const Bytes der = ca::encode_name(*subject);
  const auto attributes = ca::read_name(der);
  CAPF_INVARIANT(attributes && attributes->size() <= 10);
  const std::string written = ca::name_text(der);
  const auto again = ca::parse_subject(written);
  CAPF_INVARIANT(again && ca::encode_name(*again) == der && ca::name_text(ca::encode_name(*again)) == written);
}

/// A Name as DER.
void check_name(std::string_view octets) {
  const BytesView der = as_bytes(octets);
  const auto attributes = ca::read_name(der);
  const std::string text = ca::name_text(der);
  CAPF_INVARIANT(attributes || text.empty());
  std::string_view rest = text;
  while (!rest.empty()) CAPF_INVARIANT(take_code_point(rest) >= 0x20);
  if (!attributes) return;
  const unsigned char* at = der.data();
  X509_NAME* const other = d2i_X509_NAME(nullptr, &at, static_cast<long>(der.size()));
  if (other == nullptr) return;
  CAPF_INVARIANT(X509_NAME_entry_count(other) == static_cast<int>(attributes->size()));
  X509_NAME_free(other);
}

void check_printable(std::string_view text) {
  const std::string shown = client::printable(text);
  CAPF_INVARIANT(client::width(shown) >= client::width(text));
  std::string_view rest = shown;
  std::string again;
  while (!rest.empty()) {
    const char32_t point = take_code_point(rest);
    CAPF_INVARIANT(!client::is_control(point));
    append_utf8(again, point);
  }
  CAPF_INVARIANT(again == shown);
}

}  // namespace

// The first octet chooses how to read the rest.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text = as_text({data + 1, size - 1});
  switch (data[0] % 10) {
    case 0: check_device(text); break;
    case 1: check_pattern(text); break;
    case 2: check_again(text, [](std::string_view t) { return Address::parse(t); }); break;
    case 3: check_network(text); break;
    case 4: check_again(text, [](std::string_view t) { return Endpoint::parse(t); }); break;
    case 5: check_time(text); break;
    case 6: check_hex(text); break;
    case 7: check_subject(text); break;
    case 8: check_name(text); break;
    case 9: check_printable(text); break;
  }
  return 0;
}
