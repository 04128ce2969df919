#include "capf/service/sealer.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "capf/base/log.h"
#include "capf/ca/audit.h"
#include "capf/domain/lease_store.h"
#include "capf/domain/policy.h"
#include "capf/domain/seal_store.h"
#include "capf/service/lease.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

const char* const kLease = "audit";
constexpr int kBatchesPerRound = 40;
constexpr int kSealsAtOnce = 500;
constexpr int kMostMadeUp = 1000;
const char* const kMark = "seal";

/// "12 <SHA-256>"; "0 -" where the chain is to begin again.
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

/// Nothing where there is no mark yet.
Result<std::optional<SealMark>> read_mark(Marks& marks) {
  CAPF_LET(const auto text, marks.find(kMark));
  if (!text) return std::nullopt;
  CAPF_LET(SealMark mark, parse_mark(*text));
  return mark;
}

/// Says what the database lacks compared with the mark; nothing where it lacks nothing.
std::optional<std::string> missing(const SealMark& mark, const std::optional<AuditSeal>& last,
                                   const std::optional<AuditSeal>& marked) {
  const std::string name = "seal " + std::to_string(mark.number);
  if ((last ? last->number : 0) < mark.number) {
    return name + " was given, and the database ends with " + (last ? std::to_string(last->number) : "none");
  }
  if (marked && to_hex(marked->sha256) != mark.sha256) return name + " on record is not the one that was given";
  return std::nullopt;
}

tl::unexpected<Error> broken(const AuditSeal& seal) {
  return fail(Reason::kRecordBroken, "seal " + std::to_string(seal.number) +
                                         " is not the audit key's: 'capfctl audit verify' says more, and 'capfctl site "
                                         "recover' goes on after it");
}

}  // namespace

bool Sealer::is_good(const AuditSeal& seal) const { return ca::is_good(key_.public_key(), seal); }

/// The numbers of those of these seals (in ascending order) that a remark of the audit key calls made up.
Result<std::set<std::int64_t>> Sealer::made_up(Transaction& tx, std::span<const AuditSeal> seals) const {
  std::set<std::int64_t> numbers;
  if (seals.empty()) return numbers;
  CAPF_LET(const auto remarks, tx.seals().remarks(seals.front().number, seals.back().number));
  for (const SealRemark& remark : remarks) {
    if (remark.kind != RemarkKind::kMadeUp) continue;
    for (const AuditSeal& seal : seals) {
      if (seal.number == remark.number &&
          ca::is_sealed(key_.public_key(), remark_text(remark, seal), remark.signature)) {
        numbers.insert(seal.number);
      }
    }
  }
  return numbers;
}

Result<std::optional<AuditSeal>> Sealer::end_of_chain(Transaction& tx) const {
  CAPF_LET(std::optional<AuditSeal> seal, tx.seals().last());
  for (int made_up_ones = 0; seal; ++made_up_ones) {
    if (is_good(*seal)) return seal;
    CAPF_LET(const auto skipped, made_up(tx, {&*seal, 1}));
    if (skipped.empty() || made_up_ones == kMostMadeUp) return broken(*seal);
    CAPF_LET(seal, tx.seals().find(seal->number - 1));
  }
  return std::nullopt;
}

Status Sealer::open() const {
  CAPF_TRY(read_mark(marks_));
  return {};
}

Result<std::optional<AuditSeal>> Sealer::check() {
  const std::uint64_t epoch = high_water_.epoch();
  CAPF_LET(std::optional<SealMark> mark, read_mark(marks_));
  std::optional<AuditSeal> end;
  std::optional<AuditSeal> last;
  std::optional<AuditSeal> marked;
  std::vector<AuditSeal> unseen;
  std::set<std::int64_t> skipped;
  std::optional<std::int64_t> seen;
  do {
    CAPF_TRY(database_.read([&](Transaction& tx) -> Status {
      CAPF_LET(last, tx.seals().last());
      if (mark) {
        CAPF_LET(marked, tx.seals().find(mark->number));
      }
      // A server that has no mark yet begins with the last seal.
      if (!seen && !mark) {
        CAPF_LET(end, end_of_chain(tx));
        seen = end ? end->number - 1 : 0;
      }
      CAPF_LET(unseen, tx.seals().list(seen ? *seen : mark->number, kSealsAtOnce));
      CAPF_LET(skipped, made_up(tx, unseen));
      return {};
    }));
    const auto lacking = mark ? missing(*mark, last, marked) : std::nullopt;
    high_water_.report(epoch, kMark, lacking);
    if (lacking) return fail(Reason::kDatabaseBehind, *lacking);
    if (marked && !end) end = marked;
    const std::int64_t before = mark ? mark->number : 0;
    const AuditSeal* not_ours = nullptr;
    for (const AuditSeal& seal : unseen) {
      seen = seal.number;
      if (skipped.contains(seal.number)) continue;
      if (!is_good(seal)) {
        not_ours = &seal;
        break;
      }
      log_seal(seal, epoch);
      mark = SealMark{seal.number, to_hex(seal.sha256)};
      end = seal;
    }
    if (mark && mark->number != before) CAPF_TRY(marks_.set(kMark, to_text(*end)));
    if (not_ours != nullptr) return broken(*not_ours);
  } while (!unseen.empty());
  return end;
}

/// Logs each seal once, even where the mark cannot be written and the next round comes by it again.
void Sealer::log_seal(const AuditSeal& seal, std::uint64_t epoch) {
  if (std::exchange(logged_in_, epoch) != epoch) logged_ = 0;  // after a recovery the numbers begin lower
  if (seal.number <= logged_) return;
  logged_ = seal.number;
  log_info("audit.sealed", {{"number", seal.number}, {"sha256", to_hex(seal.sha256)}, {"events", seal.events}});
}

Result<int> Sealer::disown() {
  int count = 0;
  const Status written = database_.write([&](Transaction& tx) -> Status {
    count = 0;
    CAPF_TRY(tx.seals().lock());
    CAPF_LET(std::optional<AuditSeal> seal, tx.seals().last());
    for (; seal && !is_good(*seal); ++count) {
      CAPF_LET(const auto skipped, made_up(tx, {&*seal, 1}));
      if (count == kMostMadeUp) return broken(*seal);
      if (skipped.empty()) {
        CAPF_TRY(remark(tx, *seal, RemarkKind::kMadeUp, "the audit key has not signed it; the site went on after it"));
      }
      CAPF_LET(seal, tx.seals().find(seal->number - 1));
    }
    return {};
  });
  CAPF_TRY(written);
  return count;
}

Status Sealer::remark(Transaction& tx, const AuditSeal& seal, RemarkKind kind, const std::string& words) {
  SealRemark remark{seal.number, kind, words, {}};
  CAPF_LET(remark.signature, ca::sign_seal(key_, remark_text(remark, seal), random_));
  return tx.seals().add_remark(remark);
}

Result<bool> Sealer::seal_batch() {
  return in_write(database_, [&](Transaction& tx) -> Result<bool> {
    CAPF_TRY(tx.seals().try_place());
    CAPF_LET(const bool mine, tx.leases().take(kLease, holder_, kLeaseSeconds));
    if (!mine) return false;
    CAPF_TRY(check_clock(tx, clock_));
    // The lease may run out while this server is suspended; the lock keeps the chain from forking even then.
    CAPF_TRY(tx.seals().lock());
    CAPF_LET(const auto newest, tx.seals().last());
    CAPF_LET(const auto last, end_of_chain(tx));
    CAPF_LET(const auto batch, tx.seals().unsealed(last ? last->last : ChangeCursor{}, kLargestBatch));
    if (batch.empty()) return false;
    std::vector<AuditRecord> events;
    for (const PlacedRecord& placed : batch) events.push_back(placed.record);
    AuditSeal seal;
    seal.number = newest ? newest->number + 1 : 1;
    // Overlapping transactions make times go back a little. The check of the clock keeps a server that is further back
    // from coming here, unless an administrator has confirmed that the clock was ahead before.
    const bool back = last && tx.now() < last->sealed_at - kLargestClockSkew;
    seal.sealed_at = last && !back ? std::max(tx.now(), last->sealed_at) : tx.now();
    // This transaction may have waited for the lease while others began and ended. An event dated far ahead does not
    // move the seal's time; `capfctl` is to find it.
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
    const auto fault = fault_of_times(seal, events, last ? std::optional(last->sealed_at) : std::nullopt);
    if (fault) {
      log_warning("audit.times", {{"number", seal.number}, {"words", *fault}});
      CAPF_TRY(remark(tx, seal, RemarkKind::kTimes, *fault));
    }
    return seal.events == kLargestBatch;
  });
}

void Sealer::leave() {
  const Status left = database_.write([&](Transaction& tx) { return tx.leases().give_back(kLease, holder_); });
  if (!left) log_warning("audit.lease_kept", left.error());
}

Result<std::optional<AuditSeal>> Sealer::run() {
  auto last = seal_all();
  // A database that is away or behind, and a wrong clock, are no fault of the record.
  const auto reason = last ? std::nullopt : std::optional(last.error().reason);
  const bool the_records =
      reason == Reason::kRecordBroken || reason == Reason::kInternal || reason == Reason::kInvalidConfiguration;
  if (the_records) record_.report(fail(last.error()));
  if (last) record_.report({});
  return last;
}

Result<std::optional<AuditSeal>> Sealer::seal_all() {
  CAPF_TRY(check());
  bool more = true;
  for (int batch = 0; more && batch < kBatchesPerRound; ++batch) {
    CAPF_LET(more, seal_batch());
  }
  return check();
}

Status set_seal_mark(Marks& marks, const std::optional<AuditSeal>& last) {
  return marks.set(kMark, last ? to_text(*last) : "0 -");
}

}  // namespace capf::service
