#include "capf/service/calls.h"

#include <chrono>
#include <optional>

#include "capf/domain/audit_store.h"
#include "capf/domain/call_store.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

/// @return the fault of the certificate, or nothing where it is as it must be
std::optional<Reason> fault_of(SeenCertificate certificate) {
  switch (certificate) {
    case SeenCertificate::kOwn: return std::nullopt;
    case SeenCertificate::kNotOnRecord: return Reason::kCertificateNotOnRecord;
    case SeenCertificate::kOfAnotherDevice: return Reason::kCertificateNameMismatch;
    case SeenCertificate::kBlocked: return Reason::kCertificateBlocked;
    case SeenCertificate::kSuperseded: return Reason::kSupersededLscUsed;
    case SeenCertificate::kRevoked:
    case SeenCertificate::kHeld: return Reason::kCertificateRevoked;
    case SeenCertificate::kExpired: return Reason::kCertificateExpired;
  }
  CAPF_INVARIANT(false);
}

}  // namespace

Result<rules::CallAnswer> Calls::classify(const Actor& actor, const CallEnquiry& enquiry) {
  CAPF_TRY(enquiry.check());
  CAPF_TRY(high_water_.check());
  std::vector<CallParty> parties = enquiry.parties;
  if (enquiry.barge) parties.push_back(*enquiry.barge);
  CAPF_LET(const auto facts, in_look(database_, [&](Transaction& tx) -> Result<std::vector<PartyFacts>> {
             CAPF_TRY(check_primary(tx));
             return tx.calls().look(parties);
           }));
  for (std::size_t i = 0; i < facts.size(); ++i) {
    if (facts[i].certificate) report(actor, parties[i], *facts[i].certificate);
  }
  return rules::classify(enquiry, facts);
}

void Calls::report(const Actor& actor, const CallParty& party, SeenCertificate certificate) {
  const auto reason = fault_of(certificate);
  if (!reason) return;
  metrics_.count_observed_certificate(*reason);
  if (!events_.admit(std::chrono::steady_clock::now())) return;
  const std::string& device = party.answered_by.empty() ? party.name : party.answered_by;
  const auto recorded = in_write(database_, [&](Transaction& tx) {
    AuditEvent event =
        done(actor, "call.observe", device, "a SIP server saw the certificate " + to_hex(*party.observed.certificate));
    event.outcome = "refused";
    event.reason = reason;
    return tx.audit().add_repeated(event);
  });
  if (!recorded) log_error("record.failed", {{"cause", recorded.error().cause}});
}

Result<bool> Calls::trust(const Actor& actor, const TrustedParty& party) {
  CAPF_TRY(check_party_name(party.name));
  if (party.kind != PartyKind::kTrunk && party.kind != PartyKind::kBridge) {
    return fail(Reason::kInvalidRequest, "a trunk or a bridge can be trusted");
  }
  if (party.level == DeviceMode::kNonsecure) {
    return fail(Reason::kInvalidRequest,
                "a party is trusted to be authenticated or encrypted; without trust it is not");
  }
  return in_write(database_, actor, [&](Transaction& tx) -> Result<bool> {
    TrustedParty row = party;
    row.changed_by = actor.name;
    CAPF_LET(const bool changed, tx.calls().trust(row));
    const std::string subject = CallParty{party.kind, party.name}.text();
    if (changed)
      CAPF_TRY(tx.audit().add(done(actor, "trusted_party.add", subject, std::string(to_string(party.level)))));
    return changed;
  });
}

Result<TrustedParty> Calls::distrust(const Actor& actor, const CallParty& party) {
  return in_write(database_, actor, [&](Transaction& tx) -> Result<TrustedParty> {
    CAPF_LET(const auto removed, tx.calls().distrust(party.kind, party.name));
    if (!removed) return fail(Reason::kUnknownParty, party.text() + " is not trusted");
    CAPF_TRY(tx.audit().add(
        done(actor, "trusted_party.remove", party.text(), "was " + std::string(to_string(removed->level)))));
    return *removed;
  });
}

Result<std::vector<TrustedParty>> Calls::trusted(const Page& page) {
  return in_read(database_, [&](Transaction& tx) { return tx.calls().list_trusted(page); });
}

}  // namespace capf::service
