#include "capf/rules/hand_over.h"

#include "capf/rules/opening.h"

namespace capf::rules {
namespace {

constexpr std::size_t kLongestForeignSerial = 128;

Result<Certificate> record_of(const Opening& opening, const Handed& handed) {
  if (!handed.facts) return fail(handed.facts.error());
  const ca::CertificateFacts& facts = *handed.facts;
  if (facts.serial.size() > kLongestForeignSerial) {
    return fail(Reason::kCertificateMalformed, "its serial number is too long");
  }
  Certificate record;
  record.kind = CertificateKind::kHandedOver;
  record.sha256 = facts.sha256;
  record.serial = facts.serial;
  record.issuer = facts.issuer;
  record.phone_id = opening.who.phone.id;
  record.device = opening.who.phone.device.text();
  record.operation_id = opening.draft.open->id;
  record.key_sha256 = facts.key.sha256;
  record.der = handed.der;
  record.not_before = facts.not_before;
  record.not_after = facts.not_after;
  record.issued_at = opening.now();
  return record;
}

Status add_certificates(Opening& opening, std::span<const Handed> certificates) {
  if (certificates.empty() || certificates.size() > ca::kLongestChain) {
    return fail(Reason::kInvalidRequest, "a phone hands over 1 to 4 certificates");
  }
  for (const Handed& handed : certificates) {
    CAPF_LET(Certificate record, record_of(opening, handed));
    opening.draft.add(AddCertificate{std::move(record)});
  }
  return {};
}

}  // namespace

Decision<void> hand_over(const Facts& facts, const Identity& identity, std::span<const Handed> certificates) {
  constexpr OperationKind kKind = OperationKind::kTroubleshoot;
  Opening opening = open_change(facts, identity);
  Status done = begin_or_go_on(opening, kKind);
  if (done) done = add_certificates(opening, certificates);
  if (!done) return refused<void>(facts, identity, kKind, done.error());
  end_operation(opening.draft, OperationState::kSucceeded, std::nullopt, "the phone has handed over its certificates");
  return {Status(), change_of(std::move(opening))};
}

}  // namespace capf::rules
