#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/support/rules.h"

// Decisions as text: see tests/data/decisions/README.md.

namespace {

using namespace capf;
using namespace capf::test;
using std::chrono::hours;

constexpr hours kDay{24};
using Lines = std::vector<std::string>;

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

// Prints a decision, one write a line.

std::string name_of(const Sha256& digest) {
  const auto found = digest_names().find(digest);
  return found == digest_names().end() ? to_hex(digest) : found->second;
}

std::string names_of(const std::string& title, const std::vector<Sha256>& digests) {
  std::string text = digests.empty() ? "" : title;
  for (const Sha256& digest : digests) text += " " + name_of(digest);
  return text;
}

std::string operation_name(std::int64_t id) {
  return id == kAddedOperation ? "added operation" : "operation " + std::to_string(id);
}

std::string certificate_name(std::int64_t id) { return "certificate " + std::to_string(id); }

template <class Value>
std::string text_of(const Value& value) {
  return std::string(to_string(value));
}

std::string after_colon(const std::string& words) { return words.empty() ? "" : ": " + words; }

std::string words_of(const Basis& basis) {
  std::string text = "phone " + std::to_string(basis.phone_id) + " revision " + std::to_string(basis.revision);
  if (basis.postmaster_start != rules_postmaster_start()) text += " of " + to_rfc3339(basis.postmaster_start);
  if (basis.looked_at != rules_now()) text += " looked at " + to_rfc3339(basis.looked_at);
  if (basis.holds_until != TimePoint::max()) text += " until " + to_rfc3339(basis.holds_until);
  if (basis.trust_revision) text += " trust " + std::to_string(*basis.trust_revision);
  if (basis.active_issuer) text += " issuer " + std::to_string(*basis.active_issuer);
  if (basis.session) text += " session " + std::to_string(*basis.session);
  return text + names_of(" certificates", basis.certificates) + names_of(" keys", basis.keys);
}

std::string words_of(const AddOperation& write) {
  const Operation& operation = write.operation;
  return "add operation " + text_of(operation.kind) + " " + text_of(operation.auth) + " " +
         text_of(operation.key.order) + " " + std::to_string(operation.key.rsa_bits) + " until " +
         to_rfc3339(operation.completes_by) + (operation.self_service ? " by the phone itself" : "");
}

std::string words_of(const AdvanceOperation& write) {
  return operation_name(write.id) + " is " + text_of(write.to) + " by " + text_of(write.by) +
         (write.certificate ? " " + name_of(*write.certificate) : "") + (write.expired_mic ? " expired" : "");
}

std::string words_of(const EndOperation& write) {
  return operation_name(write.id) + " has " + text_of(write.to) + (write.reason ? " " + text_of(*write.reason) : "") +
         after_colon(write.message);
}

std::string words_of(const AddCertificate& write) {
  const Certificate& certificate = write.certificate;
  return "add " + text_of(certificate.kind) + " " + name_of(certificate.sha256) + " of " +
         operation_name(certificate.operation_id) + " with " + name_of(certificate.key_sha256);
}

std::string words_of(const RecordAttempt& write) {
  const Attempt& attempt = write.attempt;
  return "attempt " + text_of(attempt.kind) + " " + attempt.transport + " " + attempt.address + " " +
         text_of(attempt.reason);
}

std::string words_of(const AddEvent& write) {
  const AuditEvent& event = write.event;
  std::string text = "event " + event.action;
  if (event.subject != rules_device().text()) text += " about " + event.subject;
  if (write.of_added || event.operation_id != 0) text += ", " + operation_name(event.operation_id);
  if (event.outcome != "done") text += ", " + event.outcome;
  if (event.reason) text += " " + text_of(*event.reason);
  if (write.repeated) text += ", counted";
  return text + after_colon(event.detail);
}

std::string words_of(const Write& write) {
  return std::visit(
      Overloaded{
          [](const CountFailure& count) { return "count a failure of " + operation_name(count.id); },
          [](const ConfirmCertificate& confirmed) { return "confirm " + certificate_name(confirmed.id); },
          [](const SupersedeCertificate& old) { return "supersede " + certificate_name(old.id); },
          [](const RevokeCertificate& revoked) {
            return "revoke " + certificate_name(revoked.id) + " " + text_of(revoked.reason);
          },
          [](const ClaimKey& claim) { return "claim " + name_of(claim.key.sha256) + " for " + text_of(claim.owner); },
          [](const SetMic& mic) { return "set mic " + name_of(mic.sha256) + (mic.fresh ? " fresh" : ""); },
          [](const SetModel& model) { return "set model " + model.model; },
          [](const StopSelfService&) { return std::string("stop renewals"); },
          [](const ForgiveStrings&) { return std::string("forgive strings"); },
          [](const auto& other) { return words_of(other); }},
      write);
}

Lines lines_of(const Outcome& outcome) {
  Lines lines;
  if (!outcome.answer.empty()) lines.push_back("answer " + outcome.answer);
  if (outcome.error) {
    lines.push_back("refuse " + text_of(outcome.error->reason));
    if (outcome.refusal) lines.back() += ", tell " + text_of(outcome.refusal->answer().reason);
  }
  if (!outcome.change) {
    lines.emplace_back("write nothing");
    return lines;
  }
  lines.push_back("rest on " + words_of(outcome.change->basis));
  for (const Write& write : outcome.change->writes) lines.push_back(words_of(write));
  return lines;
}

// Reads a decision.

/// The words of a line, some of which are name=value.
class Words {
 public:
  explicit Words(const std::string& line) {
    std::istringstream input(line);
    for (std::string word; input >> word;) words_.push_back(word);
  }

  std::string at(std::size_t index) const { return index < words_.size() ? words_[index] : ""; }
  bool has(const std::string& word) const { return std::find(words_.begin(), words_.end(), word) != words_.end(); }
  std::optional<std::string> value(const std::string& name) const {
    for (const std::string& word : words_) {
      if (word.starts_with(name + "=")) return word.substr(name.size() + 1);
    }
    return std::nullopt;
  }
  int number(const std::string& name, int otherwise) const {
    const auto text = value(name);
    return text ? std::stoi(*text) : otherwise;
  }
  std::string from(std::size_t index) const {
    std::string text;
    for (; index < words_.size(); ++index) text += (text.empty() ? "" : " ") + words_[index];
    return text;
  }

 private:
  std::vector<std::string> words_;
};

void give_operation(Case& subject, const Words& words) {
  Dossier& dossier = subject.dossier;
  dossier.before = dossier.last;
  open(subject, parse_operation_kind(words.at(1)).value(), parse_auth_mode(words.at(2)).value());
  dossier.open->state = parse_operation_state(words.value("state").value_or("pending")).value();
  dossier.open->certificates = words.number("certificates", 0);
  dossier.open->failures = words.number("failures", 0);
  dossier.open->session = words.number("session", 0);
  dossier.open->self_service = words.has("itself");
  dossier.last = dossier.open;
}

void give_ended(Case& subject, const Words& words) {
  Operation ended = operation_record(std::stoi(words.at(1)), parse_operation_kind(words.at(2)).value(), AuthMode::kLsc);
  ended.state = parse_operation_state(words.at(3)).value();
  ended.finished_at = rules_now();
  ended.self_service = words.has("itself");
  if (const auto proof = words.value("by")) ended.authenticated_certificate = named(*proof);
  subject.dossier.before = subject.dossier.last;
  subject.dossier.last = ended;
  subject.dossier.origins.push_back(ended);
}

void give_lsc(Case& subject, const Words& words) {
  Certificate lsc = lsc_record(std::stoi(words.at(1)));
  lsc.operation_id = words.number("operation", 1);
  lsc.not_after = rules_now() + kDay * words.number("days", 1000);
  if (words.has("unconfirmed")) lsc.confirmed_at.reset();
  if (words.has("superseded")) lsc.superseded_at = rules_now() - hours{1};
  if (words.has("superseded") || words.has("revoked")) lsc.revoked_at = rules_now() - hours{1};
  if (lsc.revoked_at) lsc.revocation_reason = RevocationReason::kSuperseded;
  put_on_record(subject, lsc);
}

void give_grace(Case& subject, const Words& words) { subject.policy.superseded_grace = hours{std::stoi(words.at(1))}; }

void say_string(Case& subject, const Words& words) {
  subject.caller.string = rules::SaidString{.matches = words.at(1) == "right"};
  if (words.has("exhausted")) subject.limit = Reason::kAuthStringExhausted;
  if (words.has("locked")) subject.limit = Reason::kAuthStringLocked;
}

void show(Case& subject, const Words& words) {
  if (!words.at(1).starts_with("mic")) {
    subject.caller.shown = shown_lsc(words.at(1));
    return;
  }
  subject.caller.shown = shown_mic(words.at(1));
  subject.caller.shown->mic.judged->expired = words.has("expired");
  subject.caller.shown->fresh = !words.has("recorded");
}

void call_on_wire(Case& subject, const Words&) { subject.caller.transport = rules::Transport::kWire; }

/// A dialogue that began by what is said, and goes on.
void go_on(Case& subject, const Words& words) {
  subject.caller.transport = rules::Transport::kWire;
  subject.begun = rules::Begun{.phone_id = kRulesPhone,
                               .device = rules_device(),
                               .by = parse_credential_kind(words.at(1)).value(),
                               .operation_id = 7,
                               .kind = OperationKind::kInstall,
                               .session = words.number("session", 1)};
}

void ask_issue(Case& subject, const Words& words) {
  subject.ask = Ask::kIssue;
  if (const auto key = words.value("key")) subject.offer.key->digests = named(*key);
}

void ask_confirm(Case& subject, const Words& words) {
  subject.ask = Ask::kConfirm;
  subject.confirmed = named(words.at(1));
  for (const Certificate& lsc : subject.dossier.shown) {
    if (lsc.sha256 == subject.confirmed) subject.dossier.confirmed = lsc;
  }
}

void ask_hand_over(Case& subject, const Words& words) {
  subject.ask = Ask::kHandOver;
  ca::CertificateFacts facts;
  facts.sha256 = named(words.at(1));
  facts.key = named("key-of-" + words.at(1));
  facts.serial = {1};
  subject.handed = {{octets_of(words.at(1)), facts}};
}

void ask_report(Case& subject, const Words& words) {
  static const std::map<std::string, rules::PhoneFailure> failures{
      {"key_generation", rules::PhoneFailure::kKeyGeneration},
      {"store", rules::PhoneFailure::kStore},
      {"delete", rules::PhoneFailure::kDelete},
      {"fetch", rules::PhoneFailure::kFetch},
      {"no_ec", rules::PhoneFailure::kNoEc}};
  subject.ask = Ask::kReport;
  subject.failure = failures.at(words.at(1));
  subject.detail = words.from(2);
}

template <Ask ask>
void ask_for(Case& subject, const Words&) {
  subject.ask = ask;
}

using Reader = void (*)(Case&, const Words&);
const std::map<std::string, Reader> kGiven{
    {"operation", give_operation}, {"ended", give_ended}, {"lsc", give_lsc}, {"grace", give_grace}};
const std::map<std::string, Reader> kWhen{{"string", say_string},
                                          {"shows", show},
                                          {"wire", call_on_wire},
                                          {"goes_on", go_on},
                                          {"pending", ask_for<Ask::kPending>},
                                          {"issue", ask_issue},
                                          {"confirm", ask_confirm},
                                          {"give_up", ask_for<Ask::kGiveUp>},
                                          {"hand_over", ask_hand_over},
                                          {"report", ask_report},
                                          {"begin", ask_for<Ask::kBegin>}};

struct DecisionFile {
  Case subject = idle_phone();
  Lines expected;
};

/// One line. @return whether it is one that the README has.
bool read_line(DecisionFile& decision, const std::string& line) {
  const std::size_t space = std::min(line.find(' '), line.size() - 1);
  const std::string section = line.substr(0, space);
  const std::string rest = line.substr(space + 1);
  if (section == "then") {
    decision.expected.push_back(rest);
    return true;
  }
  const auto& readers = section == "given" ? kGiven : kWhen;
  const Words words(rest);
  const auto reader = readers.find(words.at(0));
  if ((section != "given" && section != "when") || reader == readers.end()) return false;
  reader->second(decision.subject, words);
  return true;
}

DecisionFile read_decision(const std::filesystem::path& file) {
  std::ifstream input(file);
  DecisionFile decision;
  for (std::string line; std::getline(input, line);) {
    if (line.empty() || line[0] == '#') continue;
    INFO(line);
    REQUIRE(read_line(decision, line));
  }
  return decision;
}

/// The lines as they belong into the file, so that a difference can be read, and taken over where it is meant.
std::string text_of(const Lines& lines) {
  std::string text;
  for (const std::string& line : lines) text += "then " + line + "\n";
  return text;
}

std::string first_difference(const Lines& decided, const Lines& expected) {
  const auto [one, other] = std::mismatch(decided.begin(), decided.end(), expected.begin(), expected.end());
  const auto words = [](auto at, auto end) { return at == end ? std::string("nothing more") : *at; };
  return "decided:  " + words(one, decided.end()) + "\nexpected: " + words(other, expected.end());
}

std::vector<std::filesystem::path> decisions() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(CAPF_TEST_DATA) + "/decisions")) {
    if (entry.path().extension() == ".decision") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

TEST_CASE("every decision is as its file says") {
  const auto files = decisions();
  REQUIRE(files.size() >= 25);
  for (const auto& file : files) {
    DYNAMIC_SECTION(file.stem().string()) {
      const DecisionFile decision = read_decision(file);
      const Lines decided = lines_of(decide(decision.subject));
      INFO(first_difference(decided, decision.expected));
      CHECK(text_of(decided) == text_of(decision.expected));
    }
  }
}

TEST_CASE("a difference is told by its first line") {
  CHECK(first_difference({"answer a", "write nothing"}, {"answer a"}) ==
        "decided:  write nothing\nexpected: nothing more");
  CHECK(first_difference({"answer a"}, {"answer b"}) == "decided:  answer a\nexpected: answer b");
}

}  // namespace
