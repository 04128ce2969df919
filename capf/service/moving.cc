#include "capf/service/moving.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>

#include "capf/ca/certificate.h"
#include "capf/ca/trust.h"
#include "capf/domain/audit_store.h"
#include "capf/domain/authstring.h"
#include "capf/domain/certificate_store.h"
#include "capf/domain/operation_store.h"
#include "capf/domain/phone_store.h"
#include "capf/service/scheduling.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

constexpr std::size_t kLongestSerial = 128;
constexpr const char* kFrom = "from another server";

/// A phone's certificate of the other server, as it is kept.
struct Kept {
  std::size_t place = 0;  ///< of its phone in the move
  ca::CertificateFacts facts;
};

/// The findings about a move that need no database.
struct Read {
  std::vector<Kept> certificates;
  std::vector<MoveProblem> problems;
};

/// The records of the phones of a move.
struct Present {
  std::map<DeviceName, Phone> phones;
  std::map<DeviceName, DeviceName> other_cases;
  std::set<std::int64_t> had_operations;                   ///< phones that ever had one, or are blocked
  std::set<std::pair<std::int64_t, Sha256>> certificates;  ///< handed over

  std::int64_t id_of(const DeviceName& device) const {
    const auto found = phones.find(device);
    return found == phones.end() ? 0 : found->second.id;
  }
};

Result<std::vector<DeviceName>> names_of(const Move& move) {
  std::vector<DeviceName> names;
  for (const MovedPhone& phone : move.phones) names.push_back(phone.device);
  if (names.empty() || names.size() > kPhonesInBatch) {
    return fail(Reason::kInvalidRequest, "1 to 500 phones move in at once");
  }
  std::set<DeviceName> different(names.begin(), names.end());
  if (different.size() != names.size()) return fail(Reason::kInvalidRequest, "a phone is named twice");
  return names;
}

/// Judges certificates of the other server. It authenticates nobody: whether one counts for an upgrade is judged
/// by the anchor when its phone comes.
Result<std::unique_ptr<const ca::TrustStore>> judge_of(const std::vector<Bytes>& issuers) {
  std::vector<TrustAnchor> anchors;
  for (const Bytes& issuer : issuers) {
    CAPF_LET(TrustAnchor anchor, ca::read_anchor(issuer));
    anchor.store = TrustStoreName::kLsc;
    anchor.allow_sha1 = true;
    anchor.min_rsa_bits = kLeastMinRsaBits;
    anchor.ends_at = TimePoint::max();
    anchors.push_back(std::move(anchor));
  }
  return ca::TrustStore::make(anchors);
}

/// Whether one of the issuers has signed it for this device. One that has expired is judged as of its last moment.
Result<ca::CertificateFacts> read_foreign(const ca::TrustStore& judge, const MovedPhone& phone, TimePoint now) {
  CAPF_LET(ca::CertificateFacts facts, ca::read_certificate(phone.certificate));
  if (facts.serial.empty() || facts.serial.size() > kLongestSerial) {
    return fail(Reason::kCertificateMalformed, "its serial number is none");
  }
  const TimePoint at = std::clamp(now, facts.not_before, std::max(facts.not_before, facts.not_after));
  CAPF_TRY(judge.judge_foreign_lsc(phone.certificate, {}, phone.device, at));
  return facts;
}

Status check(const SitePolicy& policy, const MovedPhone& phone) {
  CAPF_TRY(check_device_names(policy, std::span(&phone.device, 1)));
  if (phone.operation) CAPF_TRY(phone.operation->said.check(policy));
  return {};
}

Read read(const SitePolicy& policy, const ca::TrustStore& judge, const Move& move, TimePoint now) {
  Read found;
  for (std::size_t i = 0; i < move.phones.size(); ++i) {
    const MovedPhone& phone = move.phones[i];
    if (const Status good = check(policy, phone); !good) {
      found.problems.push_back({i, good.error()});
      continue;
    }
    if (phone.certificate.empty()) continue;
    auto facts = read_foreign(judge, phone, now);
    if (facts) {
      found.certificates.push_back({i, *std::move(facts)});
    } else {
      found.problems.push_back(
          {i, fail(Reason::kInvalidCertificate, "its certificate: " + facts.error().message).value()});
    }
  }
  return found;
}

/// @param phones those of the names that are on record
Result<Present> look(Transaction& tx, std::span<const DeviceName> names, std::vector<Phone> phones) {
  Present present;
  std::vector<std::int64_t> ids;
  for (Phone& phone : phones) {
    ids.push_back(phone.id);
    if (phone.blocked_at) present.had_operations.insert(phone.id);
    const DeviceName device = phone.device;
    present.phones.emplace(device, std::move(phone));
  }
  CAPF_LET(present.other_cases, tx.phones().find_other_cases(names));
  CAPF_LET(const auto standings, tx.operations().standings(ids, {}));
  for (const Standing& each : standings) {
    if (each.operation_id != 0) present.had_operations.insert(each.phone_id);
  }
  CAPF_LET(const auto certificates, tx.certificates().handed_over(ids));
  present.certificates.insert(certificates.begin(), certificates.end());
  return present;
}

void add_other_cases(const Move& move, const Present& present, std::vector<MoveProblem>& problems) {
  for (std::size_t i = 0; i < move.phones.size(); ++i) {
    const DeviceName& device = move.phones[i].device;
    const auto other = present.other_cases.find(device);
    if (present.phones.contains(device) || other == present.other_cases.end()) continue;
    problems.push_back(
        {i, fail(Reason::kDeviceOtherCase, "there is " + other->second.text() + " already, and case counts").value()});
  }
}

bool gets_operation(const MovedPhone& phone, const Present& present) {
  return phone.operation && !present.had_operations.contains(present.id_of(phone.device));
}

/// Adds the phones that are not on record. @return how many.
Result<int> add_phones(Transaction& tx, const Actor& actor, std::span<const DeviceName> names) {
  std::vector<ImportedPhone> phones;
  for (const DeviceName& device : names) phones.push_back({.device = device});
  CAPF_LET(const std::set<DeviceName> added, tx.phones().add_missing(phones));
  std::vector<std::string> devices;
  for (const DeviceName& device : added) devices.push_back(device.text());
  CAPF_TRY(record(tx, actor, "phone.add", devices, kFrom));
  return static_cast<int>(added.size());
}

Certificate record_of(const MovedPhone& phone, std::int64_t phone_id, const ca::CertificateFacts& facts,
                      TimePoint now) {
  Certificate record;
  record.kind = CertificateKind::kHandedOver;
  record.sha256 = facts.sha256;
  record.serial = facts.serial;
  record.issuer = facts.issuer;
  record.phone_id = phone_id;
  record.device = phone.device.text();
  record.key_sha256 = facts.key.sha256;
  record.der = phone.certificate;
  record.not_before = facts.not_before;
  record.not_after = facts.not_after;
  record.issued_at = now;
  record.possession = Possession::kNone;
  return record;
}

/// Keeps the certificates that are not on record. @return how many.
Result<int> keep(Transaction& tx, const Actor& actor, const Move& move, const Present& present,
                 std::span<const Kept> certificates) {
  std::vector<rules::Draft> drafts;
  std::vector<AuditEvent> events;
  for (const Kept& kept : certificates) {
    const MovedPhone& phone = move.phones[kept.place];
    const std::int64_t id = present.id_of(phone.device);
    if (present.certificates.contains({id, kept.facts.sha256})) continue;
    rules::Draft draft{.actor = actor, .phone = {.id = id, .device = phone.device}, .now = tx.now()};
    draft.add(AddCertificate{record_of(phone, id, kept.facts, tx.now())});
    drafts.push_back(std::move(draft));
    events.push_back(done(actor, "certificate.keep", phone.device.text(),
                          "serial number " + to_hex(kept.facts.serial) + ", " + kFrom));
  }
  if (drafts.empty()) return 0;
  CAPF_TRY(write(tx, drafts));
  CAPF_TRY(tx.audit().add_all(events));
  return static_cast<int>(drafts.size());
}

/// Phones that are scheduled together, because their operations say the same.
struct Group {
  ScheduleBulk bulk;
  Sorted sorted;
};

using Likeness = std::tuple<OperationKind, std::optional<AuthMode>, std::optional<KeyOrder>, std::optional<int>,
                            std::optional<int>, std::optional<TimePoint>>;

Likeness likeness_of(const MovedOperation& operation) {
  const SaidTerms& said = operation.said;
  return {operation.kind, said.auth, said.key.order, said.key.rsa_bits, said.key.ec_bits, said.completes_by};
}

Result<std::map<Likeness, Group>> group(const Move& move, const Present& present) {
  std::map<Likeness, Group> groups;
  for (const MovedPhone& phone : move.phones) {
    if (!gets_operation(phone, present)) continue;
    const MovedOperation& operation = *phone.operation;
    Group& its = groups[likeness_of(operation)];
    OperationPlan& plan = its.bulk.plan;
    static_cast<SaidTerms&>(plan) = operation.said;
    plan.kind = operation.kind;
    plan.role = move.role;
    if (operation.said.auth == AuthMode::kString) {
      CAPF_TRY(check_auth_string(operation.auth_string.text()));
      its.bulk.strings.emplace(phone.device, operation.auth_string);
    }
    its.sorted.wanted.push_back({.phone_id = present.id_of(phone.device), .device = phone.device});
  }
  return groups;
}

}  // namespace

Result<MoveAnswer> Moving::check(const Move& move) {
  CAPF_LET(const std::vector<DeviceName> names, names_of(move));
  CAPF_LET(const auto judge, judge_of(move.issuers));
  return in_read(database_, [&](Transaction& tx) -> Result<MoveAnswer> {
    Read found = read(policy_, *judge, move, tx.now());
    CAPF_LET(std::vector<Phone> phones, tx.phones().find_all(names));
    CAPF_LET(const Present present, look(tx, names, std::move(phones)));
    add_other_cases(move, present, found.problems);
    std::sort(found.problems.begin(), found.problems.end(),
              [](const MoveProblem& a, const MoveProblem& b) { return a.place < b.place; });
    std::set<std::size_t> left_out;
    for (const MoveProblem& problem : found.problems) left_out.insert(problem.place);
    MoveAnswer answer;
    for (std::size_t i = 0; i < move.phones.size(); ++i) {
      const MovedPhone& phone = move.phones[i];
      if (left_out.contains(i)) continue;
      if (!present.phones.contains(phone.device)) ++answer.added;
      if (gets_operation(phone, present)) answer.scheduled.push_back(phone.device);
    }
    for (const Kept& kept : found.certificates) {
      const std::int64_t id = present.id_of(move.phones[kept.place].device);
      if (!left_out.contains(kept.place) && !present.certificates.contains({id, kept.facts.sha256})) {
        ++answer.certificates;
      }
    }
    answer.problems = std::move(found.problems);
    return answer;
  });
}

Result<MoveAnswer> Moving::move(const Actor& actor, const Move& move) {
  CAPF_LET(const std::vector<DeviceName> names, names_of(move));
  CAPF_LET(const auto judge, judge_of(move.issuers));
  return in_write(database_, actor, [&](Transaction& tx) -> Result<MoveAnswer> {
    const Read found = read(policy_, *judge, move, tx.now());
    if (!found.problems.empty()) {
      const MoveProblem& first = found.problems.front();
      return fail(first.error.reason, move.phones[first.place].device.text() + ": " + first.error.message);
    }
    MoveAnswer answer;
    CAPF_LET(answer.added, add_phones(tx, actor, names));
    CAPF_LET(std::vector<Phone> phones, tx.phones().lock_all(names));
    CAPF_LET(const Present present, look(tx, names, std::move(phones)));
    CAPF_LET(answer.certificates, keep(tx, actor, move, present, found.certificates));
    CAPF_LET(auto groups, group(move, present));
    for (auto& [likeness, its] : groups) {
      CAPF_TRY(check_deadline(its.bulk.plan.completes_by, tx.now()));
      CAPF_LET(auto planned, plan_terms(tx, policy_, its.bulk.plan, its.sorted));
      CAPF_TRY(check_problems(its.sorted.problems, {}, "nothing was moved: "));
      CAPF_TRY(operations_.schedule(tx, actor, its.bulk, std::move(planned)));
    }
    for (const MovedPhone& phone : move.phones) {
      if (gets_operation(phone, present)) answer.scheduled.push_back(phone.device);
    }
    return answer;
  });
}

}  // namespace capf::service
