#include "storage/refusals.h"

#include <map>
#include <string>
#include <vector>

namespace capf::storage {
namespace {

constexpr int kLargestRefusals = 400;  // rows of counted refusals in a minute
constexpr std::size_t kLongestName = 256;

// The rows of a minute are locked in one order.
const Statement kCount{"refusals_count",
                       "select count_refusal(block, reason, device, $5::int) from (select block, reason, device from "
                       "unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) as r (block, reason, device, count), "
                       "generate_series(1, count) order by 1, 2, 3) as refusals"};
const Statement kRecordAttempt{
    "refusals_record_attempt",
    "insert into phone_attempts (phone_id, at, address, transport, kind, reason, message) values "
    "($1::bigint, $2::timestamptz, $3::text, $4::text, $5::text, $6::text, $7::text) on conflict (phone_id) do update "
    "set at = excluded.at, address = excluded.address, transport = excluded.transport, kind = excluded.kind, "
    "reason = excluded.reason, message = excluded.message "
    // One of the future is a clock's that was ahead.
    "where phone_attempts.at <= excluded.at or phone_attempts.at > now()"};
const Statement kNoteCandidate{"refusals_note_candidate",
                               "select note_trust_candidate($1::text, $2::bytea, $3::text, $4::bytea, $5::text, "
                               "$6::text, $7::text, $8::int, $9::int)"};

Status count(Session& session, std::span<const RefusalRecord* const> refusals) {
  std::vector<std::string> blocks, reasons, devices;
  std::vector<std::int64_t> counts;
  for (const RefusalRecord* refusal : refusals) {
    blocks.push_back(refusal->address_block);
    reasons.emplace_back(to_string(refusal->attempt.reason));
    devices.push_back(refusal->device);
    counts.push_back(refusal->count);
  }
  return session.execute(kCount, Parameters(blocks, reasons, devices, counts, kLargestRefusals));
}

Status record_attempt(Session& session, std::int64_t phone_id, const Attempt& attempt) {
  return session.execute(kRecordAttempt,
                         Parameters(phone_id, attempt.at, attempt.address, attempt.transport, to_string(attempt.kind),
                                    to_string(attempt.reason), shortened(attempt.message, kLongestMessage)));
}

/// The last attempt of each device; the rows are locked in one order.
Status record_attempts(Session& session, std::span<const RefusalRecord* const> refusals) {
  std::map<std::int64_t, const Attempt*> last;
  for (const RefusalRecord* refusal : refusals) {
    if (!refusal->phone_id) continue;
    const Attempt*& kept = last[*refusal->phone_id];
    if (kept == nullptr || kept->at <= refusal->attempt.at) kept = &refusal->attempt;
  }
  for (const auto& [phone_id, attempt] : last) CAPF_TRY(record_attempt(session, phone_id, *attempt));
  return {};
}

Status note_candidate(Session& session, const UnknownIssuer& issuer, const RefusalRecord& refusal) {
  return session.execute(kNoteCandidate,
                         Parameters(shortened(issuer.name, kLongestName), issuer.key_identifier,
                                    shortened(issuer.subject, kLongestName), issuer.sha256, refusal.device,
                                    refusal.attempt.address, refusal.address_block, kMostInCandidate, kMostCandidates));
}

Status note_candidates(Session& session, std::span<const RefusalRecord* const> refusals) {
  for (const RefusalRecord* refusal : refusals) {
    for (int i = 0; refusal->unknown_issuer && i < refusal->count; ++i) {
      CAPF_TRY(note_candidate(session, *refusal->unknown_issuer, *refusal));
    }
  }
  return {};
}

}  // namespace

Status record(Session& session, std::span<const RefusalRecord* const> refusals) {
  CAPF_TRY(count(session, refusals));
  CAPF_TRY(record_attempts(session, refusals));
  return note_candidates(session, refusals);
}

}  // namespace capf::storage
