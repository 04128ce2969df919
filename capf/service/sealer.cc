#include "capf/service/sealer.h"

#include <algorithm>
#include <charconv>

#include "capf/base/log.h"
#include "capf/ca/audit.h"
#include "capf/domain/policy.h"
#include "capf/service/lease.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

const char* const kLease = "audit";
constexpr int kBatchesPerRound = 40;
constexpr int kSealsAtOnce = 500;
const char* const kMark = "seal";

/// "12 <SHA-256>"; "0 -" where the chain is to begin anew.
struct SealMark {
  std::int64_t number = 0;
  std::string sha256;
};

std::string to_text(const AuditSeal& seal) { return std::to_string(seal.number) + ' ' + to_hex(seal.sha256); }

Result<SealMark> parse_mark(const std::string& text) {
  SealMark mark;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mark.number);
  if (error != std::errc() || mark.number < 0 || *end != ' ') {
    return fail(Reason::kInvalidConfiguration, "the mark of the last seal cannot be read");
  }
  mark.sha256 = end + 1;
  return mark;
}

/// What the database lacks of what the mark says, in words.
std::optional<std::string> missing(const SealMark& mark, const std::optional<AuditSeal>& last,
                                   const std::optional<AuditSeal>& marked) {
  const std::string name = "seal " + std::to_string(mark.number);
  if ((last ? last->number : 0) < mark.number) {
    return name + " was given, and the database ends with " + (last ? std::to_string(last->number) : "none");
  }
  if (marked && to_hex(marked->sha256) != mark.sha256) return name + " on record is not the one that was given";
  return std::nullopt;
}

}  // namespace

Result<std::optional<AuditSeal>> Sealer::check() {
  std::optional<SealMark> mark;
  CAPF_LET(const auto text, marks_.find(kMark));
  if (text) {
    CAPF_LET(mark, parse_mark(*text));
  }
  std::optional<AuditSeal> last;
  std::optional<AuditSeal> marked;
  std::vector<AuditSeal> unseen;
  do {
    CAPF_TRY(database_.read([&](Transaction& tx) -> Status {
      CAPF_LET(last, tx.seals().last());
      // A server that has no mark yet begins with the last one.
      const std::int64_t seen = mark ? mark->number : (last ? last->number - 1 : 0);
      if (mark) {
        CAPF_LET(marked, tx.seals().find(mark->number));
      }
      CAPF_LET(unseen, tx.seals().list(seen, kSealsAtOnce));
      return {};
    }));
    const auto lacking = mark ? missing(*mark, last, marked) : std::nullopt;
    high_water_.report(kMark, lacking);
    if (lacking) return fail(Reason::kDatabaseBehind, *lacking);
    for (const AuditSeal& seal : unseen) {
      if (sha256(seal_text(seal)) != seal.sha256 || !ca::is_sealed(key_.public_key(), seal_text(seal), seal.signature))
        return fail(Reason::kRecordBroken, "seal " + std::to_string(seal.number) + " is not the audit key's");
      log_info("audit.sealed", {{"number", seal.number}, {"sha256", to_hex(seal.sha256)}, {"events", seal.events}});
      mark = SealMark{seal.number, to_hex(seal.sha256)};
    }
    if (!unseen.empty()) CAPF_TRY(marks_.set(kMark, to_text(unseen.back())));
  } while (!unseen.empty());
  return last;
}

Status set_seal_mark(Marks& marks, const std::optional<AuditSeal>& last) {
  return marks.set(kMark, last ? to_text(*last) : "0 -");
}

Result<bool> Sealer::seal_batch() {
  return in_write(database_, [&](Transaction& tx) -> Result<bool> {
    CAPF_LET(const bool mine, tx.leases().take(kLease, holder_, kLeaseSeconds));
    if (!mine) return false;
    CAPF_TRY(check_clock(tx, clock_));
    // The lease may run out while this server stands still; the chain does not fork even then.
    CAPF_TRY(tx.seals().lock());
    CAPF_LET(const auto last, tx.seals().last());
    CAPF_LET(const auto batch, tx.seals().unsealed(last ? last->last : ChangeCursor{}, kLargestBatch));
    if (batch.empty()) return false;
    std::vector<AuditRecord> events;
    for (const PlacedRecord& placed : batch) events.push_back(placed.record);
    AuditSeal seal;
    seal.number = last ? last->number + 1 : 1;
    seal.sealed_at = last ? std::max(tx.now(), last->sealed_at) : tx.now();
    // This transaction may have waited for the lease, while others began and ended. What claims to be of much later is
    // left to be found.
    for (const AuditRecord& event : events) {
      if (event.at - tx.now() < kLargestClockSkew) seal.sealed_at = std::max(seal.sealed_at, event.at);
    }
    seal.events = static_cast<int>(events.size());
    seal.last = batch.back().place;
    seal.content = content_of(events);
    if (last) seal.previous = last->sha256;
    const Bytes text = seal_text(seal);
    seal.sha256 = sha256(text);
    CAPF_LET(seal.signature, ca::sign_seal(key_, text, random_));
    CAPF_TRY(tx.seals().add(seal));
    return seal.events == kLargestBatch;
  });
}

void Sealer::leave() {
  const Status left = database_.write([&](Transaction& tx) { return tx.leases().give_back(kLease, holder_); });
  if (!left) log_warning("audit.lease_kept", left.error());
}

Result<std::optional<AuditSeal>> Sealer::run() {
  CAPF_TRY(check());
  bool more = true;
  for (int batch = 0; more && batch < kBatchesPerRound; ++batch) {
    CAPF_LET(more, seal_batch());
  }
  return check();
}

}  // namespace capf::service
