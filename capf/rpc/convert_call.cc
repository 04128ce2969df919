#include <algorithm>
#include <utility>

#include "capf/rpc/convert.h"
#include "capf/rpc/convert_field.h"

namespace capf::rpc {
namespace {

constexpr std::size_t kLongestCipher = 64;

/// A word, or nothing for an empty text. Errors: INVALID_REQUEST, with `words`.
template <class Value>
Status take_word(const std::string& text, std::optional<Value> (*parse)(std::string_view), const char* words,
                 std::optional<Value>& out) {
  if (text.empty()) return {};
  out = parse(text);
  if (!out) return malformed(words);
  return {};
}

Result<Sha256> certificate_from(std::string digits) {
  constexpr std::size_t kWithColons = 95;
  constexpr std::size_t kDigits = 64;
  if (digits.size() == kWithColons) std::erase(digits, ':');
  const auto octets = parse_hex(digits);
  if (digits.size() != kDigits || !octets) {
    return malformed("a certificate is named by the 64 hexadecimal digits of its SHA-256");
  }
  return to_sha256(*octets);
}

Result<Observation> observation_from(const v1::Observation& seen) {
  Observation observed;
  CAPF_TRY(take_word(seen.transport(), parse_seen_transport, "a transport is udp, tcp or tls", observed.transport));
  if (seen.cipher().size() > kLongestCipher) return malformed("a cipher's name has at most 64 characters");
  observed.null_cipher = names_null_cipher(seen.cipher());
  CAPF_TRY(take_word(seen.audio(), parse_seen_media, "audio is none, rtp or srtp", observed.audio));
  CAPF_TRY(take_word(seen.video(), parse_seen_media, "video is none, rtp or srtp", observed.video));
  if (!seen.certificate_sha256().empty()) {
    CAPF_LET(observed.certificate, certificate_from(seen.certificate_sha256()));
  }
  return observed;
}

Result<CallParty> party_from(const v1::CallParty& said) {
  CAPF_LET(CallParty party, parse_party(said.party()));
  if (!said.answered_by().empty()) {
    CAPF_LET(const DeviceName device, DeviceName::parse(said.answered_by()));
    party.answered_by = device.text();
  }
  CAPF_LET(party.observed, observation_from(said.observed()));
  return party;
}

/// The same, with the party in the error.
Result<CallParty> named_party_from(const v1::CallParty& said) {
  constexpr std::size_t kShown = 80;
  auto party = party_from(said);
  if (party) return party;
  return fail(party.error().reason, "\"" + said.party().substr(0, kShown) + "\": " + party.error().message);
}

void to_proto(const CallParty& asked, const rules::PartyAnswer& answer, v1::ClassifiedParty& out) {
  out.set_party(asked.text());
  out.set_level(std::string(to_string(answer.level)));
  out.set_basis(std::string(to_string(answer.basis)));
  for (const rules::CallReason reason : answer.reasons) out.add_reasons(std::string(to_string(reason)));
  out.set_device(answer.device);
  out.set_admitted(answer.admitted);
}

}  // namespace

Result<CallEnquiry> enquiry_from(const v1::ClassifyCallRequest& request) {
  CallEnquiry enquiry;
  if (static_cast<std::size_t>(request.parties_size()) > kMostParties) {
    return malformed("a call has 1 to " + std::to_string(kMostParties) + " parties");
  }
  for (const v1::CallParty& said : request.parties()) {
    CAPF_LET(CallParty party, named_party_from(said));
    enquiry.parties.push_back(std::move(party));
  }
  if (request.has_barge()) {
    CAPF_LET(enquiry.barge, named_party_from(request.barge()));
  }
  CAPF_TRY(take_word(request.minimum(), parse_device_mode, "a minimum is nonsecure, authenticated or encrypted",
                     enquiry.minimum));
  CAPF_TRY(enquiry.check());
  return enquiry;
}

Result<TrustedParty> trusted_party_from(const v1::AddTrustedPartyRequest& request) {
  CAPF_LET(CallParty party, parse_party(request.party()));
  const auto level = parse_device_mode(request.level());
  if (!level) return malformed("a level is authenticated or encrypted");
  TrustedParty trusted;
  trusted.kind = party.kind;
  trusted.name = std::move(party.name);
  trusted.level = *level;
  return trusted;
}

void to_proto(const TrustedParty& party, v1::TrustedParty& out) {
  out.set_party(CallParty{party.kind, party.name}.text());
  out.set_level(std::string(to_string(party.level)));
  to_proto(party.changed_at, *out.mutable_changed_at());
  out.set_changed_by(party.changed_by);
}

void to_proto(const CallEnquiry& enquiry, const rules::CallAnswer& answer, v1::ClassifyCallResponse& out) {
  out.set_level(std::string(to_string(answer.level)));
  out.set_icon(std::string(rules::icon_of(answer.level)));
  out.set_call_info(std::string(rules::call_info_of(answer.level)));
  for (std::size_t i = 0; i < answer.parties.size(); ++i) {
    to_proto(enquiry.parties[i], answer.parties[i], *out.add_parties());
  }
  if (answer.barge) {
    out.mutable_barge()->set_allowed(answer.barge->allowed);
    out.mutable_barge()->set_level_after(std::string(to_string(answer.barge->level_after)));
    to_proto(*enquiry.barge, answer.barge->party, *out.mutable_barge()->mutable_party());
  }
  if (enquiry.minimum) out.set_minimum(std::string(to_string(*enquiry.minimum)));
}

}  // namespace capf::rpc
