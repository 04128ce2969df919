#pragma once

#include <bitset>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "capf/domain/change.h"
#include "storage/parameters.h"

// Changes as rows of tables, each of which is given to one statement as arrays. Writes that concern one row on record
// are one row here, because a statement of PostgreSQL changes a row once.

namespace capf::storage {

/// A change, by its number from 1; what is absent of its basis is not compared.
struct MemberRow {
  std::int64_t phone_id = 0;
  std::optional<std::int64_t> revision{};
  std::optional<TimePoint> postmaster_start{};
  std::optional<TimePoint> looked_at{};
  std::optional<TimePoint> holds_until{};
  std::optional<std::int64_t> trust_revision{};
  std::optional<std::int64_t> issuer_id{};
  std::optional<std::int64_t> session{};
  std::optional<std::int64_t> operation_id{};  ///< of the operation that it adds; 0 where the database draws one
};

struct DigestRow {
  int member = 0;
  Sha256 sha256{};
};

/// A key, or a modulus, which has no modulus.
struct ClaimRow {
  int member = 0;
  std::int64_t phone_id = 0;
  Sha256 sha256{};
  std::optional<Sha256> modulus{};
  std::string_view owner;
};

/// The steps of an operation in one change, together.
struct StepsRow {
  std::optional<std::string_view> state{};
  bool advances = false;
  std::optional<std::string_view> by{};  ///< of the last advance, as the two after it
  std::optional<Sha256> certificate{};
  bool expired_mic = false;
  int issued = 0;
  int begun = 0;
  int failures = 0;
  bool ends = false;
  std::optional<std::string> reason{};
  std::string message{};
};
struct AddedOperationRow {
  int member = 0;
  const Operation* operation = nullptr;
  int largest = 0;  ///< wrong strings in all
  StepsRow steps{};
};
struct ChangedOperationRow {
  int member = 0;
  std::int64_t phone_id = 0;
  std::int64_t id = 0;
  StepsRow steps{};
};

struct AddedCertificateRow {
  int member = 0;
  std::int64_t phone_id = 0;
  const Certificate* certificate = nullptr;
};
struct ChangedCertificateRow {
  int member = 0;
  std::int64_t phone_id = 0;
  std::int64_t id = 0;
  bool confirms = false;
  bool supersedes = false;
  std::optional<int> reason{};  ///< of its revocation
};

struct ChangedPhoneRow {
  int member = 0;
  std::int64_t phone_id = 0;
  std::optional<Sha256> mic{};
  bool fresh = false;
  const SetMic* kept = nullptr;  ///< where it has the MIC whole
  std::optional<std::string> model{};
  bool stops = false;  ///< self-service
};
struct ForgivenRow {
  int member = 0;
  std::int64_t phone_id = 0;
};
struct AttemptRow {
  int member = 0;
  std::int64_t phone_id = 0;
  const Attempt* attempt = nullptr;
};
struct EventRow {
  int member = 0;
  const AddEvent* added = nullptr;
};

/// The tables, in the order of their parameters.
enum class ChangeTable : std::size_t {
  kMembers,
  kShownCertificates,
  kShownKeys,
  kClaims,
  kAddedOperations,
  kChangedOperations,
  kAddedCertificates,
  kChangedCertificates,
  kChangedPhones,
  kForgiven,
  kAttempts,
  kEvents,
};
class ChangeTables : public std::bitset<static_cast<std::size_t>(ChangeTable::kEvents) + 1> {
 public:
  ChangeTables() = default;
  ChangeTables(const bitset& tables) : bitset(tables) {}
  ChangeTables(std::initializer_list<ChangeTable> tables) {
    for (const ChangeTable table : tables) set(static_cast<std::size_t>(table));
  }
  bool has(ChangeTable table) const { return test(static_cast<std::size_t>(table)); }
};

/// The rows of a round. They refer to the changes, which outlive them.
class ChangeRows {
 public:
  /// The names, types and numbers of the arrays: "members as materialized (select … from unnest($1::bigint[], …) …),
  /// …"; `place` is the number of a row, from 1. Tables that are not among `given` have no parameters and no rows.
  static std::string tables(const ChangeTables& given);
  /// The values of those, in the same order.
  Parameters parameters(const ChangeTables& given) const;
  /// The tables that have rows.
  ChangeTables filled() const;

  void add(const Change& change);
  /// Without a basis.
  void add(std::int64_t phone_id, std::span<const Write> writes);
  std::size_t size() const { return members.size(); }

  std::vector<MemberRow> members;
  std::vector<DigestRow> certificates;
  std::vector<DigestRow> keys;
  std::vector<ClaimRow> claims;
  std::vector<AddedOperationRow> added_operations;
  std::vector<ChangedOperationRow> changed_operations;
  std::vector<AddedCertificateRow> added_certificates;
  std::vector<ChangedCertificateRow> changed_certificates;
  std::vector<ChangedPhoneRow> changed_phones;
  std::vector<ForgivenRow> forgiven;
  std::vector<AttemptRow> attempts;
  std::vector<EventRow> events;
};

}  // namespace capf::storage
