#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <string>

#include <catch2/catch.hpp>

#include "tests/support/rules.h"

// A good case, one thing changed, and the reason for which it is refused then.

namespace {

using namespace capf;
using namespace capf::test;
using std::chrono::hours;

constexpr hours kDay{24};

Case by_lsc() {
  Case subject = idle_phone();
  open(subject, OperationKind::kInstall, AuthMode::kLsc);
  put_on_record(subject, lsc_record(21));
  subject.caller.shown = shown_lsc("lsc-21");
  return subject;
}

Case by_mic() {
  Case subject = idle_phone();
  open(subject, OperationKind::kInstall, AuthMode::kMic);
  subject.caller.shown = shown_mic("mic");
  return subject;
}

Case by_expired_mic() {
  Case subject = by_mic();
  subject.caller.shown->mic.judged->expired = true;
  return subject;
}

Case by_foreign_lsc() {
  Case subject = idle_phone();
  open(subject, OperationKind::kInstall, AuthMode::kLsc);
  subject.caller.shown = shown_foreign("foreign");
  return subject;
}

Case by_string() {
  Case subject = idle_phone();
  open(subject, OperationKind::kInstall, AuthMode::kString);
  subject.caller.string = rules::SaidString{.matches = true};
  return subject;
}

Case by_null_string() {
  Case subject = idle_phone();
  open(subject, OperationKind::kInstall, AuthMode::kNull);
  return subject;
}

/// A phone in the last third of its LSC's life renews by itself.
Case by_itself() {
  Case subject = idle_phone();
  Certificate lsc = lsc_record(21);
  lsc.not_after = rules_now() + kDay * 20;
  put_on_record(subject, lsc);
  subject.caller.shown = shown_lsc("lsc-21");
  return subject;
}

/// An old LSC, shown with the device's MIC, both proven in this session.
Case by_two() {
  Case subject = by_lsc();
  subject.caller.shown->second = mic_path("mic");
  return subject;
}

Case confirming() {
  Case subject = by_string();
  Certificate lsc = lsc_record(22);
  lsc.operation_id = 7;
  lsc.confirmed_at.reset();
  subject.dossier.open->certificates = 1;
  put_on_record(subject, lsc);
  subject.dossier.confirmed = lsc;
  subject.confirmed = lsc.sha256;
  subject.ask = Ask::kConfirm;
  return subject;
}

Case deleting() {
  Case subject = by_lsc();
  subject.dossier.open->kind = OperationKind::kDelete;
  subject.ask = Ask::kGiveUp;
  return subject;
}

Case handing_over() {
  Case subject = by_lsc();
  subject.dossier.open->kind = OperationKind::kTroubleshoot;
  subject.ask = Ask::kHandOver;
  ca::CertificateFacts facts;
  facts.sha256 = named("handed");
  facts.serial = {1};
  subject.handed = {{octets_of("handed"), facts}};
  return subject;
}

Case reporting() {
  Case subject = by_lsc();
  subject.ask = Ask::kReport;
  return subject;
}

Case beginning() {
  Case subject = by_lsc();
  subject.ask = Ask::kBegin;
  return subject;
}

/// The second message of a dialogue that began by a string.
Case going_on() {
  Case subject = by_string();
  subject.caller.transport = rules::Transport::kWire;
  subject.caller.string.reset();
  subject.dossier.open->session = 2;
  subject.begun = rules::Begun{kRulesPhone, rules_device(), CredentialKind::kString, 7, OperationKind::kInstall, 2};
  return subject;
}

/// The same of another kind of operation.
Case going_on_with(OperationKind kind, Ask ask) {
  Case subject = going_on();
  subject.dossier.open->kind = kind;
  subject.begun->kind = kind;
  subject.ask = ask;
  return subject;
}

Case going_on_to_delete() { return going_on_with(OperationKind::kDelete, Ask::kGiveUp); }

Case going_on_to_hand_over() {
  Case subject = going_on_with(OperationKind::kTroubleshoot, Ask::kHandOver);
  subject.handed = handing_over().handed;
  return subject;
}

void be_late(Case& c) { c.dossier.open->completes_by = rules_now() - Duration{1}; }

struct Row {
  const char* what;
  Case (*good)();
  void (*change)(Case&);
  Reason reason;
};

const Row kRows[] = {
    // who the caller is
    {"a standby", by_lsc, [](Case& c) { c.dossier.standby = true; }, Reason::kDatabaseReadOnly},
    {"no such device", by_lsc, [](Case& c) { c.dossier.phone.reset(); }, Reason::kUnknownDevice},
    {"a removed device in an older database", by_lsc, [](Case& c) { c.withdrawn = true; }, Reason::kUnknownDevice},
    {"a blocked device", by_lsc, [](Case& c) { c.dossier.phone->blocked_at = rules_now(); }, Reason::kDeviceBlocked},
    {"a proof that is none", by_lsc, [](Case& c) { c.caller.bad_proof = Error::of(Reason::kProofInvalid); },
     Reason::kProofInvalid},
    {"nothing is brought", by_lsc, [](Case& c) { c.caller.shown.reset(); }, Reason::kCredentialMissing},
    {"nothing is pending and nothing is brought", idle_phone, [](Case&) {}, Reason::kCredentialMissing},
    {"nothing is pending, with a string", by_string, [](Case& c) { c.dossier.open.reset(); },
     Reason::kNoPendingOperation},
    {"nothing is pending on the wire", by_string,
     [](Case& c) {
       c.dossier.open.reset();
       c.caller.transport = rules::Transport::kWire;
     },
     Reason::kNoPendingOperation},
    // strings
    {"a wrong string", by_string, [](Case& c) { c.caller.string->matches = false; }, Reason::kAuthStringMismatch},
    {"no string", by_string, [](Case& c) { c.caller.string.reset(); }, Reason::kAuthStringMissing},
    {"a MIC in place of the string", by_string,
     [](Case& c) {
       c.caller.string.reset();
       c.caller.shown = shown_mic("mic");
     },
     Reason::kAuthStringMissing},
    {"a locked device", by_string, [](Case& c) { c.limit = Reason::kAuthStringLocked; }, Reason::kAuthStringLocked},
    {"too many from one address", by_string, [](Case& c) { c.limit = Reason::kAddressLimited; },
     Reason::kAddressLimited},
    {"the operation's strings are used up", by_string, [](Case& c) { c.limit = Reason::kAuthStringExhausted; },
     Reason::kAuthStringExhausted},
    {"a string in place of the MIC", by_mic,
     [](Case& c) {
       c.caller.shown.reset();
       c.caller.string.emplace();
     },
     Reason::kCredentialMode},
    {"null string from elsewhere", by_null_string,
     [](Case& c) { c.caller.address = Address::parse("198.51.100.1").value(); }, Reason::kNullStringNetwork},
    // an LSC of ours
    {"another device's LSC", by_lsc, [](Case& c) { c.dossier.shown[0].phone_id = 6; },
     Reason::kCertificateNameMismatch},
    {"an LSC of the future", by_lsc, [](Case& c) { c.dossier.shown[0].not_before = rules_now() + kDay; },
     Reason::kCertificateNotYetValid},
    {"an expired LSC", by_lsc, [](Case& c) { c.dossier.shown[0].not_after = rules_now() - kDay; },
     Reason::kCertificateExpired},
    {"a revoked LSC", by_lsc, [](Case& c) { c.dossier.shown[0].revoked_at = rules_now(); },
     Reason::kCertificateRevoked},
    {"a superseded LSC", by_lsc, [](Case& c) { c.dossier.shown[0].superseded_at = rules_now(); },
     Reason::kSupersededLscUsed},
    {"a superseded LSC with nothing pending on the wire", by_itself,
     [](Case& c) {
       c.caller.transport = rules::Transport::kWire;
       c.dossier.shown[0].superseded_at = rules_now();
     },
     Reason::kSupersededLscUsed},
    {"an LSC whose key is on the list", by_lsc, [](Case& c) { c.caller.shown->listed = Error::of(Reason::kKeyListed); },
     Reason::kKeyListed},
    {"an LSC where the MIC has precedence", by_lsc,
     [](Case& c) {
       c.dossier.open->auth = AuthMode::kMic;
       c.dossier.phone->mic_sha256 = named("mic");
     },
     Reason::kLscNotTaken},
    // a MIC
    {"a certificate that cannot be read", by_mic,
     [](Case& c) { c.caller.shown->unreadable = Error::of(Reason::kCertificateMalformed); },
     Reason::kCertificateMalformed},
    {"a weak MIC", by_mic, [](Case& c) { c.caller.shown->mic = no_mic(Reason::kCertificateWeak); },
     Reason::kCertificateWeak},
    {"another device's MIC", by_mic, [](Case& c) { c.caller.shown->mic = no_mic(Reason::kCertificateNameMismatch); },
     Reason::kCertificateNameMismatch},
    {"a MIC outside of its anchor", by_mic,
     [](Case& c) { c.caller.shown->mic = no_mic(Reason::kCertificateOutsideAnchor); },
     Reason::kCertificateOutsideAnchor},
    {"an untrusted MIC", by_mic, [](Case& c) { c.caller.shown->mic = no_mic(); }, Reason::kCertificateUnknownIssuer},
    {"a blocked MIC", by_mic, [](Case& c) { c.dossier.refused = {named("mic")}; }, Reason::kCertificateBlocked},
    {"a MIC whose issuer's key is blocked", by_mic, [](Case& c) { c.dossier.refused = {named("key-of-root")}; },
     Reason::kCertificateBlocked},
    {"a MIC that this server has seen withdrawn", by_mic, [](Case& c) { c.caller.shown->mic.withdrawn = true; },
     Reason::kCertificateBlocked},
    {"a MIC whose key is on the list", by_mic,
     [](Case& c) { c.caller.shown->mic.listed = Error::of(Reason::kKeyListed); }, Reason::kKeyListed},
    {"a MIC while a valid LSC is on record", by_mic,
     [](Case& c) {
       c.dossier.open->auth = AuthMode::kLsc;
       c.dossier.history.valid = true;
     },
     Reason::kMicNotTaken},
    {"another MIC than the first one", by_mic, [](Case& c) { c.dossier.phone->mic_sha256 = named("other"); },
     Reason::kMicChanged},
    {"an expired MIC after the first LSC", by_expired_mic, [](Case& c) { c.dossier.history.ever_confirmed = true; },
     Reason::kCertificateExpired},
    {"an expired MIC for a delete", by_expired_mic, [](Case& c) { c.dossier.open->kind = OperationKind::kDelete; },
     Reason::kCertificateExpired},
    {"an expired MIC for a renewal", by_expired_mic, [](Case& c) { c.dossier.open->self_service = true; },
     Reason::kCertificateExpired},
    {"an expired MIC with nothing pending", by_expired_mic, [](Case& c) { c.dossier.open.reset(); },
     Reason::kCertificateExpired},
    {"a MIC with nothing pending", by_mic, [](Case& c) { c.dossier.open.reset(); }, Reason::kNoPendingOperation},
    // another site's LSC
    {"an untrusted foreign LSC", by_foreign_lsc,
     [](Case& c) { c.caller.shown->foreign->judged = capf::fail(Reason::kCertificateUnknownIssuer); },
     Reason::kCertificateUnknownIssuer},
    {"a foreign LSC with nothing pending", by_foreign_lsc, [](Case& c) { c.dossier.open.reset(); },
     Reason::kCredentialMode},
    {"a foreign LSC after one of ours", by_foreign_lsc, [](Case& c) { c.dossier.history.ever_confirmed = true; },
     Reason::kCredentialMode},
    {"a foreign LSC for a delete", by_foreign_lsc, [](Case& c) { c.dossier.open->kind = OperationKind::kDelete; },
     Reason::kCredentialMode},
    {"a blocked foreign LSC", by_foreign_lsc, [](Case& c) { c.dossier.refused = {named("foreign")}; },
     Reason::kCertificateBlocked},
    // two certificates
    {"the second one is untrusted", by_two, [](Case& c) { c.caller.shown->second = no_mic(); },
     Reason::kCertificateUnknownIssuer},
    {"the second one is blocked", by_two, [](Case& c) { c.dossier.refused = {named("key-of-mic")}; },
     Reason::kCertificateBlocked},
    {"the second one is not the device's first MIC", by_two,
     [](Case& c) { c.dossier.phone->mic_sha256 = named("other"); }, Reason::kMicChanged},
    {"two MICs", by_mic, [](Case& c) { c.caller.shown->fresh = false, c.caller.shown->second = mic_path("other"); },
     Reason::kMicChanged},
    // freshness
    {"an LSC that the phone calls its MIC", by_lsc, [](Case& c) { c.caller.shown->called_mic = true; },
     Reason::kProofInvalid},
    {"a recording after a fresh MIC", by_mic,
     [](Case& c) {
       c.dossier.phone->mic_fresh_at = rules_now();
       c.caller.shown->fresh = false;
     },
     Reason::kProofDowngraded},
    {"a recording where the site wants none", by_mic,
     [](Case& c) {
       c.policy.require_fresh_proof = true;
       c.caller.shown->fresh = false;
     },
     Reason::kProofNotFresh},
    {"a recording for what no administrator scheduled", by_itself, [](Case& c) { c.caller.shown->fresh = false; },
     Reason::kProofNotFresh},
    // an LSC for a key
    {"a bad request", by_lsc, [](Case& c) { c.offer.key = capf::fail(Reason::kRequestSignature); },
     Reason::kRequestSignature},
    {"a key on the list", by_lsc, [](Case& c) { c.offer.listed = Error::of(Reason::kKeyListed); }, Reason::kKeyListed},
    {"a key of another size", by_lsc, [](Case& c) { c.offer.key->bits = 3072; }, Reason::kKeySizeMismatch},
    {"a compromised key", by_lsc, [](Case& c) { c.offer.record = KeyRecord{KeyOwner::kPhone, kRulesPhone, true}; },
     Reason::kKeyCompromised},
    {"a key that this server has seen compromised", by_lsc, [](Case& c) { c.offer.withdrawn = true; },
     Reason::kKeyCompromised},
    {"a blocked key", by_lsc, [](Case& c) { c.offer.record = KeyRecord{KeyOwner::kMic, 0, false, true}; },
     Reason::kCertificateBlocked},
    {"a key of a blocked certificate", by_lsc, [](Case& c) { c.dossier.refused = {named("key-new")}; },
     Reason::kCertificateBlocked},
    {"an issuer's key", by_lsc, [](Case& c) { c.offer.record = KeyRecord{KeyOwner::kIssuer}; }, Reason::kKeyReserved},
    {"the MIC's own key", by_mic, [](Case& c) { c.offer.key->digests = named("key-of-mic"); }, Reason::kKeyReserved},
    {"another device's key", by_lsc, [](Case& c) { c.offer.record = KeyRecord{KeyOwner::kPhone, 6}; },
     Reason::kKeyOfAnotherDevice},
    {"the key of a certificate on hold", by_lsc,
     [](Case& c) {
       Certificate held = lsc_record(22);
       held.operation_id = 7;
       held.key_sha256 = named("key-new");
       held.revoked_at = rules_now();
       held.revocation_reason = RevocationReason::kCertificateHold;
       put_on_record(c, held);
     },
     Reason::kCertificateRevoked},
    {"five certificates", by_lsc, [](Case& c) { c.dossier.open->certificates = 5; }, Reason::kCertificateLimit},
    {"no active issuer", by_lsc, [](Case& c) { c.dossier.active_issuer.reset(); }, Reason::kIssuerKeyAbsent},
    {"a delete is pending", by_lsc, [](Case& c) { c.dossier.open->kind = OperationKind::kDelete; },
     Reason::kOperationKind},
    {"late", by_lsc, be_late,
     Reason::kDeadlinePassed},
    {"a renewal that is stopped", by_itself, [](Case& c) { c.dossier.phone->self_service_stopped_at = rules_now(); },
     Reason::kSelfServiceRefused},
    {"a renewal where the site has none", by_itself, [](Case& c) { c.policy.self_service_upgrade = false; },
     Reason::kSelfServiceRefused},
    {"a renewal where the profile has none", by_itself, [](Case& c) { c.dossier.profile = {{"renewal", "off"}}; },
     Reason::kSelfServiceRefused},
    {"a renewal that the site is to schedule", by_itself, [](Case& c) { c.dossier.own = {{"renewal", "scheduled"}}; },
     Reason::kSelfServiceRefused},
    {"a renewal before the profile's share of its life", by_itself,
     [](Case& c) { c.dossier.profile = {{"renewal_from_percent", "90"}}; }, Reason::kSelfServiceRefused},
    {"a renewal too early", by_itself, [](Case& c) { c.dossier.shown[0].not_after = rules_now() + kDay * 300; },
     Reason::kSelfServiceRefused},
    // the other calls
    {"another certificate is confirmed", confirming, [](Case& c) { c.confirmed = named("another"); },
     Reason::kNothingToConfirm},
    {"another phone's is confirmed", confirming, [](Case& c) { c.dossier.confirmed->phone_id = 6; },
     Reason::kNothingToConfirm},
    {"a revoked one is confirmed", confirming, [](Case& c) { c.dossier.live[0].revoked_at = rules_now(); },
     Reason::kNothingToConfirm},
    {"nothing is to be deleted", deleting, [](Case& c) { c.dossier.open.reset(); }, Reason::kNoPendingOperation},
    {"an install is pending, not a delete", deleting, [](Case& c) { c.dossier.open->kind = OperationKind::kInstall; },
     Reason::kOperationKind},
    {"nothing is handed over", handing_over, [](Case& c) { c.handed.clear(); }, Reason::kInvalidRequest},
    {"five are handed over", handing_over, [](Case& c) { c.handed.resize(5, c.handed[0]); }, Reason::kInvalidRequest},
    {"a serial number without end", handing_over, [](Case& c) { c.handed[0].facts->serial.resize(129); },
     Reason::kCertificateMalformed},
    {"no certificate is handed over", handing_over,
     [](Case& c) { c.handed[0].facts = capf::fail(Reason::kCertificateDates); }, Reason::kCertificateDates},
    {"nothing can fail", reporting, [](Case& c) { c.dossier.open.reset(); }, Reason::kNoPendingOperation},
    {"nothing to begin", beginning, [](Case& c) { c.dossier.open.reset(); }, Reason::kNoPendingOperation},
    {"too late to begin", beginning, be_late,
     Reason::kDeadlinePassed},
    // a dialogue that goes on
    {"it was cancelled meanwhile", going_on, [](Case& c) { c.dossier.open.reset(); }, Reason::kOperationEnded},
    {"another one was scheduled meanwhile", going_on, [](Case& c) { c.dossier.open->id = 8; },
     Reason::kOperationEnded},
    {"its request comes late", going_on, be_late, Reason::kDeadlinePassed},
    {"its deletion comes late", going_on_to_delete, be_late, Reason::kDeadlinePassed},
    {"what it hands over comes late", going_on_to_hand_over, be_late, Reason::kDeadlinePassed},
    {"the device was removed meanwhile", going_on, [](Case& c) { c.dossier.phone.reset(); }, Reason::kOperationEnded},
    {"the device was blocked meanwhile", going_on, [](Case& c) { c.dossier.phone->blocked_at = rules_now(); },
     Reason::kDeviceBlocked},
    {"a later session took over", going_on, [](Case& c) { c.dossier.open->session = 3; }, Reason::kSessionReplaced},
    {"the string was not what proved it", going_on,
     [](Case& c) {
       c.begun->by = CredentialKind::kOwnLsc;
       c.caller.string = rules::SaidString{.matches = true};
     },
     Reason::kOperationEnded},
    {"another phone has the name now", going_on,
     [](Case& c) {
       c.begun->operation_id.reset();
       c.begun->session.reset();
       c.begun->by = CredentialKind::kNone;
       c.dossier.open->auth = AuthMode::kNull;
       c.dossier.phone->id = 6;
     },
     Reason::kUnknownDevice},
};

std::string text_of(const std::filesystem::path& file) {
  std::ifstream input(file);
  return {std::istreambuf_iterator<char>(input), {}};
}

std::map<std::string, Reason> reasons_by_name() {
  std::map<std::string, Reason> reasons;
#define CAPF_TEST_REASON(name, spelling, code, words) reasons[#name] = Reason::name;
  CAPF_REASONS(CAPF_TEST_REASON)
#undef CAPF_TEST_REASON
  return reasons;
}

/// The reasons that the source of the rules names.
std::set<std::string> named_reasons() {
  std::set<std::string> found;
  std::vector<std::filesystem::path> files{std::filesystem::path(CAPF_SOURCE) / "domain" / "authentication.cc"};
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(CAPF_SOURCE) / "rules")) {
    if (entry.path().extension() == ".cc") files.push_back(entry.path());
  }
  const std::regex reason("\\bReason::(k[A-Za-z0-9]+)");
  for (const auto& file : files) {
    const std::string text = text_of(file);
    for (std::sregex_iterator it(text.begin(), text.end(), reason), end; it != end; ++it) found.insert((*it)[1]);
  }
  return found;
}

TEST_CASE("every good case of the rules is served") {
  for (auto* const good :
       {by_lsc, by_mic, by_expired_mic, by_foreign_lsc, by_string, by_null_string, by_itself, by_two, confirming,
        deleting, handing_over, reporting, beginning, going_on, going_on_to_delete, going_on_to_hand_over}) {
    const Outcome outcome = decide(good());
    INFO((outcome.error ? std::string(to_string(outcome.error->reason)) : ""));
    CHECK_FALSE(outcome.error);
    CHECK(outcome.change);
  }
}

TEST_CASE("one thing changed is refused for its reason") {
  for (const Row& row : kRows) {
    CAPTURE(row.what);
    Case subject = row.good();
    row.change(subject);
    const Outcome outcome = decide(subject);
    REQUIRE(outcome.error);
    CHECK(to_string(outcome.error->reason) == to_string(row.reason));
  }
}

TEST_CASE("a stranger hears nothing of the true reason") {
  const std::set<Reason> told{Reason::kDatabaseReadOnly, Reason::kOperationEnded, Reason::kSessionReplaced};
  for (const Row& row : kRows) {
    CAPTURE(row.what);
    Case subject = row.good();
    row.change(subject);
    const Outcome outcome = decide(subject);
    if (!outcome.refusal) continue;
    const Error heard = outcome.refusal->answer();
    CHECK(heard.true_reason() == row.reason);
    const Reason expected = told.contains(row.reason) ? row.reason : Reason::kAuthenticationFailed;
    CHECK(to_string(heard.reason) == to_string(expected));
  }
}

TEST_CASE("every reason that the rules give has a row") {
  // A phone's failure ends its operation with these, which is no refusal of the call.
  std::set<std::string> rows{"kKeyGenerationFailed", "kPhoneRefused", "kPhoneWithoutEc", "kAuthenticationFailed"};
  const auto reasons = reasons_by_name();
  for (const Row& row : kRows) {
    for (const auto& [name, reason] : reasons) {
      if (reason == row.reason) rows.insert(name);
    }
  }
  const std::set<std::string> named = named_reasons();
  REQUIRE(named.size() > 30);
  for (const std::string& name : named) {
    INFO(name);
    CHECK(rows.contains(name));
  }
}

TEST_CASE("a refusal of a phone that has proven itself is on record, and nothing else is written") {
  for (const Row& row : kRows) {
    CAPTURE(row.what);
    Case subject = row.good();
    row.change(subject);
    const Outcome outcome = decide(subject);
    if (outcome.refusal || row.reason == Reason::kCertificateLimit) continue;
    const bool idle = row.reason == Reason::kNoPendingOperation && subject.caller.transport == rules::Transport::kWire;
    if (idle || may_be_repeated(code_of(row.reason))) {
      CHECK_FALSE(outcome.change);
      continue;
    }
    REQUIRE(outcome.change);
    REQUIRE(outcome.change->writes.size() == 2);
    CHECK(std::get<RecordAttempt>(outcome.change->writes[0]).attempt.reason == row.reason);
    CHECK(std::get<AddEvent>(outcome.change->writes[1]).event.reason == row.reason);
  }
}

TEST_CASE("a string that decides nothing is counted as a stranger's, so that its time tells no operation from none") {
  const auto use = [](Case subject) {
    subject.caller.string.emplace();
    const rules::Facts facts{subject.caller, subject.dossier, subject.policy, subject.withdrawn};
    return rules::use_of_string(facts, rules::Need::kOperation);
  };
  Case elsewhere = by_null_string();
  elsewhere.caller.address = Address::parse("198.51.100.1").value();
  CHECK(use(elsewhere) == rules::StringUse::kStranger);
  CHECK(use(idle_phone()) == rules::StringUse::kStranger);
  CHECK(use(by_null_string()) == rules::StringUse::kNone);
  CHECK(use(by_lsc()) == rules::StringUse::kNone);
  CHECK(use(by_string()) == rules::StringUse::kCompared);
}

}  // namespace
