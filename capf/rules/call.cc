#include "capf/rules/call.h"

#include <algorithm>
#include <array>
#include <utility>

namespace capf::rules {
namespace {

constexpr std::array<std::string_view, 3> kBases{"configured", "observed", "observed, certificate not shown"};
constexpr std::array<std::string_view, 16> kReasons{
    "SITE_NONSECURE",         "DEVICE_UNKNOWN",      "DEVICE_REMOVED",       "DEVICE_BLOCKED",
    "NO_CERTIFICATE",         "CERTIFICATE_EXPIRED", "CERTIFICATE_REVOKED",  "CERTIFICATE_HELD",
    "CERTIFICATE_SUPERSEDED", "CERTIFICATE_BLOCKED", "CERTIFICATE_MISMATCH", "OBSERVED_LESS",
    "TRUNK_NOT_TRUSTED",      "BRIDGE_NOT_SECURE",   "LINE_UNKNOWN",         "DEVICE_NOT_ON_LINE"};

void lower(PartyAnswer& answer, DeviceMode level, std::optional<CallReason> reason) {
  answer.level = std::min(answer.level, level);
  if (!reason || std::ranges::find(answer.reasons, *reason) != answer.reasons.end()) return;
  answer.reasons.push_back(*reason);
}

std::optional<CallReason> reason_of(ModeReason reason) {
  switch (reason) {
    case ModeReason::kNone: return std::nullopt;
    case ModeReason::kSiteNonsecure: return CallReason::kSiteNonsecure;
    case ModeReason::kRemoved: return CallReason::kDeviceRemoved;
    case ModeReason::kBlocked: return CallReason::kDeviceBlocked;
    case ModeReason::kNoCertificate: return CallReason::kNoCertificate;
    case ModeReason::kCertificateExpired: return CallReason::kCertificateExpired;
    case ModeReason::kCertificateRevoked: return CallReason::kCertificateRevoked;
    case ModeReason::kCertificateHeld: return CallReason::kCertificateHeld;
  }
  CAPF_INVARIANT(false);
}

std::optional<CallReason> reason_of(SeenCertificate certificate) {
  switch (certificate) {
    case SeenCertificate::kOwn: return std::nullopt;
    case SeenCertificate::kNotOnRecord:
    case SeenCertificate::kOfAnotherDevice: return CallReason::kCertificateMismatch;
    case SeenCertificate::kBlocked: return CallReason::kCertificateBlocked;
    case SeenCertificate::kSuperseded: return CallReason::kCertificateSuperseded;
    case SeenCertificate::kRevoked: return CallReason::kCertificateRevoked;
    case SeenCertificate::kHeld: return CallReason::kCertificateHeld;
    case SeenCertificate::kExpired: return CallReason::kCertificateExpired;
  }
  CAPF_INVARIANT(false);
}

/// A device that is blocked is reported as that, whatever its profile says.
EffectiveMode mode_of(const PartyDevice& device) {
  if (device.mode.blocked) return {DeviceMode::kNonsecure, ModeReason::kBlocked};
  return effective_mode(device.mode);
}

PartyAnswer lowest_of(const std::vector<PartyDevice>& devices) {
  PartyAnswer answer{.level = DeviceMode::kEncrypted};
  for (const PartyDevice& device : devices) {
    const EffectiveMode mode = mode_of(device);
    const bool lower_yet = answer.device.empty() || mode.mode < answer.level;
    if (lower_yet) answer.device = device.name;
    if (lower_yet) answer.reasons.clear();
    if (mode.mode <= answer.level) lower(answer, mode.mode, reason_of(mode.reason));
  }
  return answer;
}

PartyAnswer nonsecure(CallReason reason) { return {.reasons = {reason}}; }

/// By the record alone.
PartyAnswer configured(const CallParty& party, const PartyFacts& facts) {
  switch (party.kind) {
    case PartyKind::kDevice: {
      if (facts.removed) return nonsecure(CallReason::kDeviceRemoved);
      if (!facts.known || facts.devices.empty()) return nonsecure(CallReason::kDeviceUnknown);
      PartyAnswer answer = lowest_of(facts.devices);
      answer.device.clear();
      return answer;
    }
    case PartyKind::kLine:
      if (!facts.known) return nonsecure(CallReason::kLineUnknown);
      if (!facts.devices.empty()) return lowest_of(facts.devices);
      return nonsecure(party.answered_by.empty() ? CallReason::kLineUnknown : CallReason::kDeviceNotOnLine);
    case PartyKind::kTrunk:
      if (!facts.known) return nonsecure(CallReason::kTrunkNotTrusted);
      return {.level = facts.trusted_level};
    case PartyKind::kBridge:
      if (!facts.known) return nonsecure(CallReason::kBridgeNotSecure);
      return {.level = facts.trusted_level};
  }
  CAPF_INVARIANT(false);
}

/// The highest level that this can be.
DeviceMode most_of(const Observation& observed) {
  if (observed.transport && *observed.transport != SeenTransport::kTls) return DeviceMode::kNonsecure;
  const bool clear = observed.audio == SeenMedia::kRtp || observed.video == SeenMedia::kRtp;
  return observed.null_cipher || clear ? DeviceMode::kAuthenticated : DeviceMode::kEncrypted;
}

CallBasis basis_of(const CallParty& party) {
  if (!party.observed.any()) return CallBasis::kConfigured;
  const bool compared = party.kind == PartyKind::kDevice || party.kind == PartyKind::kLine;
  const bool tls = !party.observed.transport || *party.observed.transport == SeenTransport::kTls;
  return compared && tls && !party.observed.certificate ? CallBasis::kObservedNoCertificate : CallBasis::kObserved;
}

PartyAnswer classify(const CallParty& party, const PartyFacts& facts) {
  PartyAnswer answer = configured(party, facts);
  answer.basis = basis_of(party);
  if (const DeviceMode most = most_of(party.observed); most < answer.level) {
    lower(answer, most, CallReason::kObservedLess);
  }
  if (!facts.certificate) return answer;
  if (const auto fault = reason_of(*facts.certificate)) lower(answer, DeviceMode::kNonsecure, fault);
  return answer;
}

BargeAnswer judge_barge(PartyAnswer party, DeviceMode call, const CallEnquiry& enquiry) {
  // Newer guides refuse whoever is below an encrypted call; those that let them in call the call nonsecure.
  const bool below = call == DeviceMode::kEncrypted && party.level < call;
  BargeAnswer answer{.party = std::move(party)};
  answer.party.admitted = !enquiry.minimum || answer.party.level >= *enquiry.minimum;
  answer.allowed = !below && answer.party.admitted;
  answer.level_after = answer.allowed ? std::min(call, answer.party.level) : call;
  return answer;
}

}  // namespace

std::string_view to_string(CallBasis basis) { return kBases.at(static_cast<std::size_t>(basis)); }
std::string_view to_string(CallReason reason) { return kReasons.at(static_cast<std::size_t>(reason)); }

std::string_view icon_of(DeviceMode level) {
  switch (level) {
    case DeviceMode::kNonsecure: return "none";
    case DeviceMode::kAuthenticated: return "shield";
    case DeviceMode::kEncrypted: return "lock";
  }
  CAPF_INVARIANT(false);
}

std::string_view call_info_of(DeviceMode level) {
  switch (level) {
    case DeviceMode::kNonsecure: return "NotAuthenticated";
    case DeviceMode::kAuthenticated: return "Authenticated";
    case DeviceMode::kEncrypted: return "Encrypted";
  }
  CAPF_INVARIANT(false);
}

CallAnswer classify(const CallEnquiry& enquiry, std::span<const PartyFacts> facts) {
  CAPF_INVARIANT(facts.size() == enquiry.parties.size() + (enquiry.barge ? 1 : 0));
  CallAnswer answer{.level = enquiry.parties.empty() ? DeviceMode::kNonsecure : DeviceMode::kEncrypted};
  for (std::size_t i = 0; i < enquiry.parties.size(); ++i) {
    PartyAnswer party = classify(enquiry.parties[i], facts[i]);
    party.admitted = !enquiry.minimum || party.level >= *enquiry.minimum;
    answer.level = std::min(answer.level, party.level);
    answer.parties.push_back(std::move(party));
  }
  if (enquiry.barge) {
    answer.barge = judge_barge(classify(*enquiry.barge, facts.back()), answer.level, enquiry);
  }
  return answer;
}

}  // namespace capf::rules
