#include "storage/change_rows.h"

#include <algorithm>

#include "capf/base/error.h"
#include "storage/operations.h"

namespace capf::storage {
namespace {

/// A column of a table of rows: its name, the type of its values, and what adds a row's value to its array.
template <class Row>
struct Field {
  const char* name;
  const char* type;
  void (*add)(Array& array, const Row& row);
};

/// Adds a member of the row.
template <auto Member>
inline constexpr auto item = [](Array& array, const auto& row) { array.add(row.*Member); };

constexpr Field<MemberRow> kMemberFields[]{
    {"phone_id", "bigint", item<&MemberRow::phone_id>},
    {"revision", "bigint", item<&MemberRow::revision>},
    {"postmaster_start", "timestamptz", item<&MemberRow::postmaster_start>},
    {"looked_at", "timestamptz", item<&MemberRow::looked_at>},
    {"holds_until", "timestamptz", item<&MemberRow::holds_until>},
    {"trust_revision", "bigint", item<&MemberRow::trust_revision>},
    {"issuer_id", "bigint", item<&MemberRow::issuer_id>},
    {"session", "bigint", item<&MemberRow::session>},
    {"operation_id", "bigint", item<&MemberRow::operation_id>},
};
constexpr Field<DigestRow> kDigestFields[]{
    {"member", "int", item<&DigestRow::member>},
    {"sha256", "bytea", item<&DigestRow::sha256>},
};
constexpr Field<ClaimRow> kClaimFields[]{
    {"member", "int", item<&ClaimRow::member>},   {"phone_id", "bigint", item<&ClaimRow::phone_id>},
    {"sha256", "bytea", item<&ClaimRow::sha256>}, {"modulus_sha256", "bytea", item<&ClaimRow::modulus>},
    {"owner", "text", item<&ClaimRow::owner>},
};

using Added = AddedOperationRow;
constexpr Field<Added> kAddedOperationFields[]{
    {"member", "int", item<&Added::member>},
    {"phone_id", "bigint", [](Array& array, const Added& row) { array.add(row.operation->phone_id); }},
    {"kind", "text", [](Array& array, const Added& row) { array.add(to_string(row.operation->kind)); }},
    {"state", "text", [](Array& array, const Added& row) { array.add(row.steps.state); }},
    {"auth", "text", [](Array& array, const Added& row) { array.add(to_string(row.operation->auth)); }},
    {"key_order", "text", [](Array& array, const Added& row) { array.add(to_string(row.operation->key.order)); }},
    {"rsa_bits", "int", [](Array& array, const Added& row) { array.add(row.operation->key.rsa_bits); }},
    {"ec_bits", "int", [](Array& array, const Added& row) { array.add(row.operation->key.ec_bits); }},
    {"self_service", "boolean", [](Array& array, const Added& row) { array.add(row.operation->self_service); }},
    {"created_by", "text", [](Array& array, const Added& row) { array.add(row.operation->created_by); }},
    {"completes_by", "timestamptz", [](Array& array, const Added& row) { array.add(row.operation->completes_by); }},
    {"string_mac", "bytea",
     [](Array& array, const Added& row) {
       const Bytes& mac = row.operation->string_mac;
       array.add(mac.empty() ? std::nullopt : std::optional(mac));
     }},
    {"string_digits", "int", [](Array& array, const Added& row) { array.add(row.operation->string_digits); }},
    {"message", "text",
     [](Array& array, const Added& row) { array.add(shortened(row.operation->message, kLongestMessage)); }},
    {"largest", "int", item<&Added::largest>},
    {"authenticated_by", "text", [](Array& array, const Added& row) { array.add(row.steps.by); }},
    {"authenticated_certificate", "bytea", [](Array& array, const Added& row) { array.add(row.steps.certificate); }},
    {"expired_mic", "boolean", [](Array& array, const Added& row) { array.add(row.steps.expired_mic); }},
    {"certificates", "int", [](Array& array, const Added& row) { array.add(row.steps.issued); }},
    {"failures", "int", [](Array& array, const Added& row) { array.add(row.steps.failures); }},
    {"session", "bigint", [](Array& array, const Added& row) { array.add(row.steps.begun); }},
    {"lsc_validity_days", "int", [](Array& array, const Added& row) { array.add(validity_days(row.operation->lsc)); }},
    {"lsc_subject", "text", [](Array& array, const Added& row) { array.add(subject_word(row.operation->lsc)); }},
    {"owners", "text", [](Array& array, const Added& row) { array.add(owner_letters(row.operation->owners)); }},
};
using Changed = ChangedOperationRow;
constexpr Field<Changed> kChangedOperationFields[]{
    {"member", "int", item<&Changed::member>},
    {"phone_id", "bigint", item<&Changed::phone_id>},
    {"id", "bigint", item<&Changed::id>},
    {"state", "text", [](Array& array, const Changed& row) { array.add(row.steps.state); }},
    {"advances", "boolean", [](Array& array, const Changed& row) { array.add(row.steps.advances); }},
    {"authenticated_by", "text", [](Array& array, const Changed& row) { array.add(row.steps.by); }},
    {"authenticated_certificate", "bytea", [](Array& array, const Changed& row) { array.add(row.steps.certificate); }},
    {"expired_mic", "boolean", [](Array& array, const Changed& row) { array.add(row.steps.expired_mic); }},
    {"issued", "int", [](Array& array, const Changed& row) { array.add(row.steps.issued); }},
    {"begun", "int", [](Array& array, const Changed& row) { array.add(row.steps.begun); }},
    {"failures", "int", [](Array& array, const Changed& row) { array.add(row.steps.failures); }},
    {"ends", "boolean", [](Array& array, const Changed& row) { array.add(row.steps.ends); }},
    {"reason", "text", [](Array& array, const Changed& row) { array.add(row.steps.reason); }},
    {"message", "text", [](Array& array, const Changed& row) { array.add(row.steps.message); }},
};

using Lsc = AddedCertificateRow;
constexpr Field<Lsc> kAddedCertificateFields[]{
    {"member", "int", item<&Lsc::member>},
    {"phone_id", "bigint", item<&Lsc::phone_id>},
    {"kind", "text", [](Array& array, const Lsc& row) { array.add(to_string(row.certificate->kind)); }},
    {"sha256", "bytea", [](Array& array, const Lsc& row) { array.add(row.certificate->sha256); }},
    {"serial", "bytea", [](Array& array, const Lsc& row) { array.add(row.certificate->serial); }},
    {"issuer_id", "bigint", [](Array& array, const Lsc& row) { array.add(unless_zero(row.certificate->issuer_id)); }},
    {"issuer", "text", [](Array& array, const Lsc& row) { array.add(row.certificate->issuer); }},
    {"operation_id", "bigint", [](Array& array, const Lsc& row) { array.add(row.certificate->operation_id); }},
    {"key_sha256", "bytea", [](Array& array, const Lsc& row) { array.add(row.certificate->key_sha256); }},
    {"der", "bytea", [](Array& array, const Lsc& row) { array.add(row.certificate->der); }},
    {"not_before", "timestamptz", [](Array& array, const Lsc& row) { array.add(row.certificate->not_before); }},
    {"not_after", "timestamptz", [](Array& array, const Lsc& row) { array.add(row.certificate->not_after); }},
    {"possession", "text", [](Array& array, const Lsc& row) { array.add(to_string(row.certificate->possession)); }},
    {"shard", "int", [](Array& array, const Lsc& row) { array.add(row.certificate->shard); }},
};
constexpr Field<ChangedCertificateRow> kChangedCertificateFields[]{
    {"member", "int", item<&ChangedCertificateRow::member>},
    {"phone_id", "bigint", item<&ChangedCertificateRow::phone_id>},
    {"id", "bigint", item<&ChangedCertificateRow::id>},
    {"confirms", "boolean", item<&ChangedCertificateRow::confirms>},
    {"supersedes", "boolean", item<&ChangedCertificateRow::supersedes>},
    {"reason", "int", item<&ChangedCertificateRow::reason>},
};
/// A member of the MIC that is kept, or null.
template <auto Member>
constexpr auto of_kept = [](Array& array, const ChangedPhoneRow& row) {
  array.add(row.kept == nullptr ? std::nullopt : std::optional(row.kept->*Member));
};
constexpr Field<ChangedPhoneRow> kChangedPhoneFields[]{
    {"member", "int", item<&ChangedPhoneRow::member>},
    {"phone_id", "bigint", item<&ChangedPhoneRow::phone_id>},
    {"mic_sha256", "bytea", item<&ChangedPhoneRow::mic>},
    {"fresh", "boolean", item<&ChangedPhoneRow::fresh>},
    {"mic_der", "bytea", of_kept<&SetMic::der>},
    {"mic_not_before", "timestamptz", of_kept<&SetMic::not_before>},
    {"mic_not_after", "timestamptz", of_kept<&SetMic::not_after>},
    {"model", "text", item<&ChangedPhoneRow::model>},
    {"stops", "boolean", item<&ChangedPhoneRow::stops>},
};
constexpr Field<ForgivenRow> kForgivenFields[]{
    {"member", "int", item<&ForgivenRow::member>},
    {"phone_id", "bigint", item<&ForgivenRow::phone_id>},
};
constexpr Field<AttemptRow> kAttemptFields[]{
    {"member", "int", item<&AttemptRow::member>},
    {"phone_id", "bigint", item<&AttemptRow::phone_id>},
    {"address", "text", [](Array& array, const AttemptRow& row) { array.add(row.attempt->address); }},
    {"transport", "text", [](Array& array, const AttemptRow& row) { array.add(row.attempt->transport); }},
    {"kind", "text", [](Array& array, const AttemptRow& row) { array.add(to_string(row.attempt->kind)); }},
    {"reason", "text", [](Array& array, const AttemptRow& row) { array.add(to_string(row.attempt->reason)); }},
    {"message", "text",
     [](Array& array, const AttemptRow& row) { array.add(shortened(row.attempt->message, kLongestMessage)); }},
};

std::optional<std::string> spelled(const std::optional<Reason>& reason) {
  return reason ? std::optional<std::string>(to_string(*reason)) : std::nullopt;
}

const AuditEvent& event_of(const EventRow& row) { return row.added->event; }
constexpr Field<EventRow> kEventFields[]{
    {"member", "int", item<&EventRow::member>},
    {"actor_kind", "text", [](Array& array, const EventRow& row) { array.add(to_string(event_of(row).actor.kind)); }},
    {"actor", "text", [](Array& array, const EventRow& row) { array.add(shortened(event_of(row).actor.name, 128)); }},
    {"address", "text",
     [](Array& array, const EventRow& row) { array.add(shortened(event_of(row).actor.address, 64)); }},
    {"action", "text", [](Array& array, const EventRow& row) { array.add(event_of(row).action); }},
    {"subject", "text", [](Array& array, const EventRow& row) { array.add(shortened(event_of(row).subject, 256)); }},
    {"of_added", "boolean", [](Array& array, const EventRow& row) { array.add(row.added->of_added); }},
    {"operation_id", "bigint",
     [](Array& array, const EventRow& row) { array.add(unless_zero(event_of(row).operation_id)); }},
    {"outcome", "text", [](Array& array, const EventRow& row) { array.add(event_of(row).outcome); }},
    {"reason", "text", [](Array& array, const EventRow& row) { array.add(spelled(event_of(row).reason)); }},
    {"detail", "text",
     [](Array& array, const EventRow& row) { array.add(shortened(event_of(row).detail, kLongestMessage)); }},
    {"repeated", "boolean", [](Array& array, const EventRow& row) { array.add(row.added->repeated); }},
};

/// Visits the tables in the order of their parameters.
template <class Visit>
void visit_tables(const ChangeRows& rows, Visit visit) {
  using enum ChangeTable;
  visit(kMembers, "members", kMemberFields, rows.members);
  visit(kShownCertificates, "shown_certificates", kDigestFields, rows.certificates);
  visit(kShownKeys, "shown_keys", kDigestFields, rows.keys);
  visit(kClaims, "claims", kClaimFields, rows.claims);
  visit(kAddedOperations, "added_operations", kAddedOperationFields, rows.added_operations);
  visit(kChangedOperations, "changed_operations", kChangedOperationFields, rows.changed_operations);
  visit(kAddedCertificates, "added_certificates", kAddedCertificateFields, rows.added_certificates);
  visit(kChangedCertificates, "changed_certificates", kChangedCertificateFields, rows.changed_certificates);
  visit(kChangedPhones, "changed_phones", kChangedPhoneFields, rows.changed_phones);
  visit(kForgiven, "forgiven", kForgivenFields, rows.forgiven);
  visit(kAttempts, "attempts", kAttemptFields, rows.attempts);
  visit(kEvents, "events", kEventFields, rows.events);
}

/// Turns the writes of one change into rows.
class Folding {
 public:
  Folding(ChangeRows& rows, std::int64_t phone_id)
      : rows_(rows),
        member_(static_cast<int>(rows.members.size())),
        phone_id_(phone_id),
        first_operation_(rows.changed_operations.size()),
        first_certificate_(rows.changed_certificates.size()) {}

  void operator()(const AddOperation& write) {
    CAPF_INVARIANT(!added_ && write.operation.phone_id == phone_id_);
    added_ = true;
    rows_.members.back().operation_id = write.operation.id;
    rows_.added_operations.push_back({member_, &write.operation, write.strings_limit, {}});
    steps_of(kAddedOperation).state = to_string(OperationState::kPending);
  }
  void operator()(const AdvanceOperation& write) {
    CAPF_INVARIANT(write.to == OperationState::kInProgress || write.to == OperationState::kIssued);
    StepsRow& steps = steps_of(write.id);
    steps.advances = true;
    steps.state = to_string(write.to);
    steps.by = to_string(write.by);
    steps.certificate = write.certificate;
    steps.expired_mic = write.expired_mic;
    ++(write.to == OperationState::kIssued ? steps.issued : steps.begun);
  }
  void operator()(const CountFailure& write) { ++steps_of(write.id).failures; }
  void operator()(const EndOperation& write) {
    CAPF_INVARIANT(!is_open(write.to) && write.id != kAddedOperation);
    StepsRow& steps = steps_of(write.id);
    steps.ends = true;
    steps.state = to_string(write.to);
    steps.reason = spelled(write.reason);
    steps.message = shortened(write.message, kLongestMessage);
  }
  void operator()(const AddCertificate& write) {
    const bool lsc = write.certificate.kind == CertificateKind::kLsc;
    CAPF_INVARIANT(!lsc || added_ || write.certificate.operation_id != kAddedOperation);
    rows_.added_certificates.push_back({member_, phone_id_, &write.certificate});
  }
  void operator()(const ConfirmCertificate& write) { certificate(write.id).confirms = true; }
  void operator()(const SupersedeCertificate& write) { certificate(write.id).supersedes = true; }
  void operator()(const RevokeCertificate& write) { certificate(write.id).reason = static_cast<int>(write.reason); }
  void operator()(const ClaimKey& write) {
    const std::string_view owner = to_string(write.owner);
    rows_.claims.push_back({member_, phone_id_, write.key.sha256, write.key.modulus, owner});
    if (write.key.modulus) rows_.claims.push_back({member_, phone_id_, *write.key.modulus, std::nullopt, owner});
  }
  void operator()(const SetMic& write) {
    phone().mic = write.sha256;
    phone().fresh = write.fresh;
    phone().kept = write.der.empty() ? nullptr : &write;
  }
  void operator()(const SetModel& write) { phone().model = shortened(write.model, 64); }
  void operator()(const StopSelfService&) { phone().stops = true; }
  void operator()(const ForgiveStrings&) {
    if (rows_.forgiven.empty() || rows_.forgiven.back().member != member_)
      rows_.forgiven.push_back({member_, phone_id_});
  }
  void operator()(const RecordAttempt& write) {
    if (!rows_.attempts.empty() && rows_.attempts.back().member == member_) rows_.attempts.pop_back();
    rows_.attempts.push_back({member_, phone_id_, &write.attempt});
  }
  void operator()(const AddEvent& write) {
    CAPF_INVARIANT(!write.of_added || added_);
    rows_.events.push_back({member_, &write});
  }

 private:
  /// The row of this change with that id, which is made where there is none yet.
  template <class Row>
  Row& row_of(std::vector<Row>& rows, std::size_t first, std::int64_t id) {
    const auto begin = rows.begin() + static_cast<std::ptrdiff_t>(first);
    const auto found = std::find_if(begin, rows.end(), [&](const Row& row) { return row.id == id; });
    if (found != rows.end()) return *found;
    Row row;
    row.member = member_;
    row.phone_id = phone_id_;
    row.id = id;
    return rows.emplace_back(std::move(row));
  }
  StepsRow& steps_of(std::int64_t id) {
    if (id != kAddedOperation) return row_of(rows_.changed_operations, first_operation_, id).steps;
    CAPF_INVARIANT(added_);
    return rows_.added_operations.back().steps;
  }
  ChangedCertificateRow& certificate(std::int64_t id) {
    return row_of(rows_.changed_certificates, first_certificate_, id);
  }
  ChangedPhoneRow& phone() {
    if (rows_.changed_phones.empty() || rows_.changed_phones.back().member != member_) {
      rows_.changed_phones.push_back({.member = member_, .phone_id = phone_id_});
    }
    return rows_.changed_phones.back();
  }

  ChangeRows& rows_;
  const int member_;
  const std::int64_t phone_id_;
  const std::size_t first_operation_;
  const std::size_t first_certificate_;
  bool added_ = false;
};

void fold(ChangeRows& rows, std::span<const Write> writes) {
  Folding folding(rows, rows.members.back().phone_id);
  for (const Write& write : writes) std::visit(folding, write);
}

}  // namespace

std::string ChangeRows::tables(const ChangeTables& given) {
  std::string text;
  int number = 0;
  visit_tables(ChangeRows(), [&](ChangeTable table, const std::string& name, const auto& fields, const auto&) {
    std::string arrays, names, nulls;
    for (const auto& field : fields) {
      const std::string type = std::string("::") + field.type;
      if (given.has(table)) arrays += (arrays.empty() ? "$" : ", $") + std::to_string(++number) + type + "[]";
      names += std::string(field.name) + ", ";
      nulls += "null" + type + " as " + field.name + ", ";
    }
    text += (text.empty() ? "" : ", ") + name;
    if (given.has(table)) {
      text += " as materialized (select " + names + "place from unnest(" + arrays + ") with ordinality as given (" +
              names + "place))";
    } else {
      text += " as (select " + nulls + "null::bigint as place where false)";
    }
  });
  return text;
}

Parameters ChangeRows::parameters(const ChangeTables& given) const {
  Parameters parameters;
  visit_tables(*this, [&](ChangeTable table, const char*, const auto& fields, const auto& rows) {
    CAPF_INVARIANT(given.has(table) || rows.empty());
    if (!given.has(table)) return;
    for (const auto& field : fields) {
      Array array;
      for (const auto& row : rows) field.add(array, row);
      parameters.add(array);
    }
  });
  return parameters;
}

ChangeTables ChangeRows::filled() const {
  ChangeTables filled;
  visit_tables(*this, [&](ChangeTable table, const char*, const auto&, const auto& rows) {
    filled.set(static_cast<std::size_t>(table), !rows.empty());
  });
  return filled;
}

void ChangeRows::add(const Change& change) {
  // All of a basis, by name: a new part of it has to be compared too.
  const auto& [phone_id, revision, postmaster_start, looked_at, holds_until, trust_revision, shown_certificates,
               shown_keys, active_issuer, session] = change.basis;
  const TimePoint end = std::min(holds_until, looked_at + kLongestDecision);
  members.push_back(
      {phone_id, revision, postmaster_start, looked_at, end, trust_revision, active_issuer, session, std::nullopt});
  const int member = static_cast<int>(members.size());
  for (const Sha256& digest : shown_certificates) certificates.push_back({member, digest});
  for (const Sha256& digest : shown_keys) keys.push_back({member, digest});
  fold(*this, change.writes);
}

void ChangeRows::add(std::int64_t phone_id, std::span<const Write> writes) {
  members.push_back({.phone_id = phone_id});
  fold(*this, writes);
}

}  // namespace capf::storage
