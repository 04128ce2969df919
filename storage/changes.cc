#include "storage/changes.h"

#include <algorithm>
#include <string>

#include "storage/change_rows.h"
#include "storage/change_statement.h"

namespace capf::storage {
namespace {

// The parameters: the phones' ids, whether an LSC is added, whether somebody is judged by a certificate. Each part has
// the one before as a condition, so that the locks are taken in the order of all.
std::string lock_text(const std::string& shared, const std::string& done, const std::string& phones) {
  return "with issuers_held as materialized (select case when $2::boolean then " + shared +
         "(hashtext('capf'), hashtext('issuers'))" + done +
         " else true end as held), "
         "phones_held as materialized (select id from phones where id = any ($1::bigint[]) and "
         "(select held is not null from issuers_held) order by id for no key update" +
         phones +
         "), anchors_held as materialized (select case when $3::boolean and (select count(*) from phones_held) > 0 "
         "then " +
         shared + "(hashtext('capf'), hashtext('trust_anchors'))" + done +
         " else true end as held) "
         "select id, (select held from issuers_held), (select held from anchors_held) from phones_held";
}
const Statement kLock{"changes_lock", lock_text("pg_advisory_xact_lock_shared", " is not null", "")};
const Statement kTryLock{"changes_try_lock", lock_text("pg_try_advisory_xact_lock_shared", "", " skip locked")};

struct Held {
  std::int64_t phone_id = 0;
  bool issuers = false;
  bool anchors = false;
};
Held read_held(Columns& columns) {
  Held held;
  held.phone_id = columns.number();
  held.issuers = columns.boolean();
  held.anchors = columns.boolean();
  return held;
}

struct Verdict {
  std::size_t member = 0;  ///< from 0
  bool judged = false;     ///< else the row says the session
  bool good = false;
  bool whole = false;  ///< of all members: no row was another than the writes expect it
  Written written;
};
Verdict read_verdict(Columns& columns) {
  Verdict verdict;
  verdict.member = static_cast<std::size_t>(columns.number() - 1);
  verdict.judged = !columns.next_is_null();
  if (!verdict.judged) {
    for (int i = 0; i < 3; ++i) columns.id_or_none();
    verdict.written.session = columns.number();
    return verdict;
  }
  verdict.good = columns.boolean();
  verdict.written.at = columns.time();
  verdict.written.added_operation = columns.id();
  columns.id_or_none();
  verdict.whole = columns.boolean();
  return verdict;
}

bool judges_certificates(const Basis& basis) {
  return basis.trust_revision || !basis.certificates.empty() || !basis.keys.empty();
}

/// Locks what the changes rest on. @return the rows of those for whom everything is locked
Result<std::vector<Held>> lock(Session& session, std::span<const Change* const> changes, bool alone) {
  std::vector<std::int64_t> phones;
  for (const Change* change : changes) phones.push_back(change->basis.phone_id);
  const auto any = [&](auto wants) {
    return std::any_of(changes.begin(), changes.end(), [&](const Change* change) { return wants(change->basis); });
  };
  const bool issues = any([](const Basis& basis) { return basis.active_issuer.has_value(); });
  const bool judges = any(judges_certificates);
  return session.all(alone ? kLock : kTryLock, Parameters(std::span<const std::int64_t>(phones), issues, judges),
                     read_held);
}

bool is_held(const std::vector<Held>& held, const Basis& basis) {
  return std::any_of(held.begin(), held.end(), [&](const Held& row) {
    return row.phone_id == basis.phone_id && (row.issuers || !basis.active_issuer) &&
           (row.anchors || !judges_certificates(basis));
  });
}

/// Carries the rows out. @return a member for each of them
Result<std::vector<Member>> carry_out(Session& session, const ChangeRows& rows) {
  const ChangeStatement& write = change_statement(rows.filled());
  CAPF_LET(const auto verdicts, session.all(write.statement, rows.parameters(write.tables), read_verdict));
  std::vector<Member> members(rows.size());
  for (const AddedOperationRow& row : rows.added_operations) {
    members[static_cast<std::size_t>(row.member - 1)].written.session = row.steps.begun;
  }
  for (const Verdict& row : verdicts) {
    Member& member = members.at(row.member);
    if (!row.judged) {
      member.written.session = row.written.session;
      continue;
    }
    if (!row.whole) return fail(Reason::kChangedMeanwhile);
    member.outcome = row.good ? Outcome::kWritten : Outcome::kDiffers;
    member.written.at = row.written.at;
    member.written.added_operation = row.written.added_operation;
  }
  return members;
}

}  // namespace

Result<std::vector<Member>> write(Session& session, std::span<const Change* const> changes, bool alone) {
  CAPF_INVARIANT(!alone || changes.size() == 1);
  CAPF_LET(const auto held, lock(session, changes, alone));
  // There is no such phone where a wait for its lock gave none.
  std::vector<Member> members(changes.size(), {alone ? Outcome::kDiffers : Outcome::kLocked, {}});
  std::vector<std::size_t> places;
  ChangeRows rows;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    if (!is_held(held, changes[i]->basis)) continue;
    places.push_back(i);
    rows.add(*changes[i]);
  }
  if (places.empty()) return members;
  CAPF_LET(const auto written, carry_out(session, rows));
  for (std::size_t i = 0; i < places.size(); ++i) members[places[i]] = written[i];
  return members;
}

Result<std::vector<Written>> write(Session& session, std::span<const PhoneWrites> phones) {
  if (phones.empty()) return std::vector<Written>{};
  ChangeRows rows;
  for (const PhoneWrites& phone : phones) rows.add(phone.phone_id, phone.writes);
  CAPF_LET(const auto members, carry_out(session, rows));
  std::vector<Written> written;
  for (const Member& member : members) {
    if (member.outcome != Outcome::kWritten) return fail(Reason::kChangedMeanwhile);
    written.push_back(member.written);
  }
  return written;
}

Result<Written> write(Session& session, std::int64_t phone_id, std::span<const Write> writes) {
  const PhoneWrites one[]{{phone_id, writes}};
  CAPF_LET(const auto written, write(session, std::span<const PhoneWrites>(one)));
  return written.front();
}

}  // namespace capf::storage
