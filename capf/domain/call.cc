#include "capf/domain/call.h"

#include <algorithm>
#include <array>
#include <utility>

#include "capf/base/utf8.h"
#include "capf/domain/device.h"

namespace capf {
namespace {

constexpr std::array<std::string_view, 4> kKinds{"device", "line", "trunk", "bridge"};
constexpr std::array<std::string_view, 3> kTransports{"udp", "tcp", "tls"};
constexpr std::array<std::string_view, 3> kMedia{"none", "rtp", "srtp"};
constexpr std::array<std::string_view, 8> kCertificates{
    "own", "not_on_record", "of_another_device", "blocked", "superseded", "revoked", "held", "expired"};

template <class Value, std::size_t kCount>
std::optional<Value> parse(std::string_view text, const std::array<std::string_view, kCount>& words) {
  const auto found = std::find(words.begin(), words.end(), text);
  if (found == words.end()) return std::nullopt;
  return static_cast<Value>(found - words.begin());
}

/// UTF-8 that is not empty and has no control characters.
bool is_line_of_text(std::string_view text) {
  if (text.empty() || find_not_utf8(text)) return false;
  while (!text.empty()) {
    const char32_t c = take_code_point(text);
    if (c < 0x20 || (c >= 0x7f && c < 0xa0)) return false;
  }
  return true;
}

Status check_observed(const CallParty& party) {
  const Observation& observed = party.observed;
  if (party.kind == PartyKind::kLine && party.answered_by.empty() && observed.any()) {
    return fail(Reason::kInvalidRequest, "of a line, what was observed is that of the device that answered: name it");
  }
  if (party.kind != PartyKind::kLine && !party.answered_by.empty()) {
    return fail(Reason::kInvalidRequest, "a device answers for a line alone");
  }
  const bool comparable = party.kind == PartyKind::kDevice || party.kind == PartyKind::kLine;
  if (observed.certificate && !comparable) {
    return fail(Reason::kInvalidRequest, "the certificates of trunks and bridges are not on record: none is compared");
  }
  const bool tls = !observed.transport || observed.transport == SeenTransport::kTls;
  if ((observed.null_cipher || observed.certificate) && !tls) {
    return fail(Reason::kInvalidRequest, "a cipher and a certificate are those of the transport tls");
  }
  return {};
}

}  // namespace

std::string_view to_string(PartyKind kind) { return kKinds.at(static_cast<std::size_t>(kind)); }
std::optional<PartyKind> parse_party_kind(std::string_view text) { return parse<PartyKind>(text, kKinds); }
std::optional<SeenTransport> parse_seen_transport(std::string_view text) {
  return parse<SeenTransport>(text, kTransports);
}
std::optional<SeenMedia> parse_seen_media(std::string_view text) { return parse<SeenMedia>(text, kMedia); }
std::optional<SeenCertificate> parse_seen_certificate(std::string_view text) {
  return parse<SeenCertificate>(text, kCertificates);
}

bool names_null_cipher(std::string_view name) {
  std::string upper(name);
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  if (upper == "TLS_SHA256_SHA256" || upper == "TLS_SHA384_SHA384") return true;
  return upper.find("NULL") != std::string::npos;
}

Status check_party_name(std::string_view name) {
  if (is_line_of_text(name) && cut_characters(name, kLongestPartyName) == name) return {};
  return fail(Reason::kInvalidRequest, "a trunk or bridge has a name of 1 to " + std::to_string(kLongestPartyName) +
                                           " characters, none of them a control character");
}

std::string CallParty::text() const {
  return kind == PartyKind::kDevice ? name : std::string(to_string(kind)) + ':' + name;
}

Result<CallParty> parse_party(std::string_view text) {
  const std::size_t colon = text.find(':');
  const auto kind = colon == std::string_view::npos ? std::nullopt : parse_party_kind(text.substr(0, colon));
  if (!kind || kind == PartyKind::kDevice) {
    CAPF_LET(const DeviceName device, DeviceName::parse(text));
    return CallParty{PartyKind::kDevice, device.text()};
  }
  CallParty party{*kind, std::string(text.substr(colon + 1))};
  if (*kind != PartyKind::kLine) {
    CAPF_TRY(check_party_name(party.name));
  } else if (party.name.size() > kLongestLineName || !is_line_of_text(party.name)) {
    return fail(Reason::kInvalidRequest, "a line has a name of 1 to " + std::to_string(kLongestLineName) +
                                             " octets of UTF-8, without control characters");
  }
  return party;
}

Status CallEnquiry::check() const {
  if (parties.empty() || parties.size() > kMostParties) {
    return fail(Reason::kInvalidRequest, "a call has 1 to " + std::to_string(kMostParties) + " parties");
  }
  for (const CallParty& party : parties) CAPF_TRY(check_observed(party));
  if (barge) CAPF_TRY(check_observed(*barge));
  return {};
}

}  // namespace capf
