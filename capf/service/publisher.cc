#include "capf/service/publisher.h"

#include <algorithm>
#include <set>

#include "capf/base/log.h"
#include "capf/ca/issuer.h"
#include "capf/ca/profile.h"
#include "capf/domain/certificate_store.h"
#include "capf/domain/crl_store.h"
#include "capf/domain/lease_store.h"
#include "capf/domain/policy.h"
#include "capf/domain/seal.h"
#include "capf/service/lease.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

constexpr int kEntriesAtOnce = 20000;
constexpr int kChangesAtOnce = 200000;
constexpr std::size_t kStatusesAtOnce = 1000;
constexpr std::chrono::milliseconds kLongestPeriod{5000};

std::string lease_name(const CrlShard& shard) {
  return "crl/" + std::to_string(shard.issuer_id) + '/' + std::to_string(shard.shard);
}

tl::unexpected<Error> would_lose(const CrlShard& shard, const SerialNumber& serial) {
  return fail(Reason::kCrlWouldLoseEntries, std::string(words(Reason::kCrlWouldLoseEntries)),
              "serial " + serial_text(serial.view()) + " of " + lease_name(shard));
}

}  // namespace

/// The state of a shard in the database.
struct Publisher::Sight {
  TimePoint now;
  bool standby = false;
  std::optional<CrlRecord> newest;
  bool changed = false;
};

/// A CRL that is built and not published.
struct Publisher::Draft {
  ca::CrlTerms terms;
  std::vector<std::int64_t> changes;  ///< that the CRL contains
};

// The CRL holds from five minutes ago, for relying parties whose clocks are behind, but from no earlier than the ones
// before it. A predecessor from the future is a mistake of a clock, which the next CRL puts right.
TimePoint Publisher::holds_from(TimePoint now, const CrlShard& shard, const std::optional<CrlRecord>& previous) const {
  TimePoint from = std::chrono::floor<std::chrono::seconds>(now) - ca::kBackdate;
  const auto follow = [&](TimePoint last) {
    if (last <= now) from = std::max(from, last);
  };
  if (previous) follow(previous->this_update);
  if (const auto own = published_.find(shard)) follow(own->terms.this_update);
  return from;
}

// RFC 5280 5.3.2
//    the revocation date SHOULD NOT precede the date of issue of earlier CRLs.
/// Gives revocations that are later than thisUpdate its date: some relying parties (Java's) ignore an entry whose date
/// their clock has not reached. A hold that followed a release keeps its time, and thisUpdate is raised to it, because
/// check_dropped() and recovery decide by the times whether a release belongs to this hold.
Status Publisher::date_back(Transaction& tx, const CrlShard& shard, std::vector<Revocation>& entries, TimePoint from,
                            TimePoint& this_update) {
  std::vector<SerialNumber> holds;
  std::set<SerialNumber> again;
  const auto find_again = [&]() -> Status {
    if (holds.empty()) return {};
    CAPF_LET(const auto statuses, tx.certificates().statuses(shard.issuer_id, holds));
    for (const SerialStatus& status : statuses) {
      if (status.released_at && *status.released_at >= from) again.insert(status.serial);
    }
    holds.clear();
    return {};
  };
  for (const Revocation& entry : entries) {
    if (entry.revoked_at <= from || entry.reason != RevocationReason::kCertificateHold) continue;
    holds.push_back(entry.serial);
    if (holds.size() == kStatusesAtOnce) CAPF_TRY(find_again());
  }
  CAPF_TRY(find_again());
  for (Revocation& entry : entries) {
    if (entry.revoked_at <= from) continue;
    if (again.contains(entry.serial)) {
      this_update = std::max(this_update, entry.revoked_at);
    } else {
      entry.revoked_at = from;
    }
  }
  return {};
}

std::chrono::milliseconds Publisher::period(std::chrono::seconds interval) {
  return std::min(std::chrono::milliseconds(interval) / 6, kLongestPeriod);
}

std::vector<ShardState> Publisher::run(const std::vector<PublishingIssuer>& issuers) {
  std::vector<ShardState> states;
  for (const PublishingIssuer& issuer : issuers) {
    for (int shard = 0; shard < issuer.record.shards; ++shard) {
      ShardState state;
      state.shard = {issuer.record.id, shard};
      const Status done = run_shard(issuer, state);
      if (!done) state.error = done.error();
      states.push_back(std::move(state));
    }
  }
  return states;
}

void Publisher::leave(const std::vector<PublishingIssuer>& issuers) {
  const Status left = database_.write([&](Transaction& tx) -> Status {
    for (const PublishingIssuer& issuer : issuers) {
      for (int shard = 0; shard < issuer.record.shards; ++shard) {
        CAPF_TRY(tx.leases().give_back(lease_name({issuer.record.id, shard}), settings_.holder));
      }
    }
    return {};
  });
  if (!left) log_warning("crl.leases_kept", left.error());
}

Status Publisher::run_shard(const PublishingIssuer& issuer, ShardState& state) {
  const CrlShard& shard = state.shard;
  if (const auto failed = failures_.find(shard); failed != failures_.end()) state.failures = failed->second.times;
  CAPF_LET(const Sight sight, look(shard));
  const auto own = published_.find(shard);
  state.newest = sight.newest;
  if (own && (!sight.newest || sight.newest->number < own->terms.number)) return fail(Reason::kDatabaseBehind);
  // Another server published from a database that had forgotten our CRL: the next one must have the entries of both.
  bool forked = own && sight.newest->number == own->terms.number && sight.newest->sha256 != own->sha256;
  if (const auto failed = failures_.find(shard); failed != failures_.end()) {
    const Duration since = sight.now - failed->second.at;
    if (since >= Duration{0} && since * 2 < settings_.interval) return fail(failed->second.error);
  }
  const auto attempt = [&]() -> Status {
    if (sight.newest && (!own || own->terms.number < sight.newest->number)) {
      const Status fetched = fetch(issuer, *sight.newest);
      forked = !fetched && fetched.error().reason == Reason::kCrlWouldLoseEntries;
      if (!forked) CAPF_TRY(fetched);
    }
    if (sight.standby || (!forked && !due(sight))) return {};
    CAPF_LET(const bool mine, in_write(database_, [&](Transaction& tx) {
               return tx.leases().take(lease_name(shard), settings_.holder, kLeaseSeconds);
             }));
    state.awaited = !mine;
    if (!mine) return {};
    std::optional<LeaseKeeper> kept(std::in_place, database_, lease_name(shard), settings_.holder);
    CAPF_LET(const Draft draft, build(issuer, shard));
    CAPF_LET(const CrlRecord record, check(issuer, shard, draft.terms));
    kept.reset();
    CAPF_TRY(publish(record, draft.changes));
    CAPF_TRY(published_.take(shard));
    state.newest = record;
    state.published = true;
    return {};
  };
  const Status done = attempt();
  failures_.erase(shard);
  state.failures = done ? 0 : state.failures + 1;
  if (!done) failures_.emplace(shard, Failure{sight.now, done.error(), state.failures});
  return done;
}

Result<Publisher::Sight> Publisher::look(const CrlShard& shard) {
  return in_read(database_, [&](Transaction& tx) -> Result<Sight> {
    CAPF_TRY(check_clock(tx, clock_));
    Sight sight;
    sight.now = tx.now();
    sight.standby = tx.standby();
    CAPF_LET(sight.newest, tx.crls().newest(shard));
    CAPF_LET(const auto changes, tx.crls().changes(shard, 1));
    sight.changed = !changes.empty();
    return sight;
  });
}

bool Publisher::due(const Sight& sight) const {
  if (!sight.newest) return true;
  // A clock that went back makes it due too, because the newest CRL may be from the future.
  const Duration age = sight.now - sight.newest->published_at;
  if (age < Duration{0} || sight.newest->this_update > sight.now || age * 4 >= settings_.validity) return true;
  return sight.changed && age * 2 >= settings_.interval;
}

Status Publisher::fetch(const PublishingIssuer& issuer, const CrlRecord& record) {
  const auto path = published_.path_aside(record.shard);
  const Status written = database_.read([&](Transaction& tx) -> Status {
    CAPF_LET(File file, File::create(path));
    std::int64_t size = 0;
    for (int position = 0; size < record.size; ++position) {
      CAPF_LET(const auto piece, tx.crls().piece(record, position));
      if (!piece) return fail(Reason::kChangedMeanwhile);
      CAPF_TRY(file.write(*piece));
      size += static_cast<std::int64_t>(piece->size());
    }
    return file.sync();
  });
  CAPF_TRY(written);
  CAPF_LET(const ca::CrlReader reader, ca::CrlReader::open(path));
  CAPF_LET(const CrlRecord found, check(issuer, record.shard, reader.terms()));
  if (found.sha256 != record.sha256 || found.number != record.number) {
    return fail(Reason::kCrlCheckFailed, std::string(words(Reason::kCrlCheckFailed)), "not what is on record");
  }
  return published_.take(record.shard);
}

Result<Publisher::Draft> Publisher::build(const PublishingIssuer& issuer, const CrlShard& shard) {
  const auto path = published_.path_aside(shard);
  Draft draft;
  std::optional<ca::CrlBuilder> builder;
  const Status collected = database_.read([&](Transaction& tx) -> Status {
    CAPF_LET(ca::CrlBuilder begun, ca::CrlBuilder::begin(path));
    builder.emplace(std::move(begun));
    CAPF_LET(const auto previous, tx.crls().newest(shard));
    CAPF_LET(draft.changes, tx.crls().changes(shard, kChangesAtOnce));
    const auto now = std::chrono::floor<std::chrono::seconds>(tx.now());
    draft.terms.number = previous ? previous->number + 1 : 1;
    draft.terms.next_update = now + settings_.validity;
    const TimePoint from = holds_from(now, shard, previous);
    draft.terms.this_update = from;
    if (issuer.record.shards > 1) {
      draft.terms.url = ca::crl_url(settings_.status_url, shard.issuer_id, shard.shard);
    }
    // RFC 5280 3.3
    //    An entry MUST NOT be removed from the CRL until it appears on one regularly scheduled CRL issued beyond the
    //    revoked certificate's validity period.
    const TimePoint expires_after =
        (previous ? std::min<TimePoint>(previous->this_update, now) : now) - kLongestTransaction;
    std::optional<SerialNumber> last;
    for (;;) {
      CAPF_LET(auto entries, tx.crls().revocations(shard, expires_after, last, kEntriesAtOnce));
      CAPF_TRY(date_back(tx, shard, entries, from, draft.terms.this_update));
      for (const Revocation& entry : entries) CAPF_TRY(builder->add(entry));
      if (entries.size() < kEntriesAtOnce) return {};
      last = entries.back().serial;
    }
  });
  CAPF_TRY(collected);
  CAPF_TRY(builder->finish(draft.terms, issuer.record, issuer.key, random_));
  return draft;
}

Result<CrlRecord> Publisher::check(const PublishingIssuer& issuer, const CrlShard& shard, const ca::CrlTerms& terms) {
  CAPF_LET(ca::CrlReader next, ca::CrlReader::open(published_.path_aside(shard)));
  if (next.terms() != terms) {
    return fail(Reason::kCrlCheckFailed, std::string(words(Reason::kCrlCheckFailed)), "number, times or URL");
  }
  CAPF_TRY(next.check_issuer(issuer.record));
  const auto own = published_.find(shard);
  std::optional<ca::CrlReader> last;
  TimePoint ended_by;
  if (own) {
    CAPF_LET(ca::CrlReader opened, ca::CrlReader::open(published_.path(shard)));
    last.emplace(std::move(opened));
    if (terms.number <= own->terms.number) return fail(Reason::kChangedMeanwhile);
    ended_by = own->terms.this_update;
    // This server was away: a CRL that it has missed carried the entry beyond the certificate's end, see build().
    if (terms.number > own->terms.number + 1) {
      ended_by = std::max(ended_by, std::min<TimePoint>(terms.this_update, clock_.now()));
    }
  }

  // Both are sorted. An entry of the last one that is missing from this one must have been dropped for a good reason.
  CrlRecord record;
  std::vector<Revocation> dropped;
  std::optional<Revocation> old;
  const auto next_old = [&]() -> Status {
    old.reset();
    if (!last) return {};
    CAPF_LET(old, last->next());
    return {};
  };
  const auto drop_until = [&](const SerialNumber* serial) -> Status {
    while (old && (serial == nullptr || old->serial < *serial)) {
      dropped.push_back(*old);
      if (dropped.size() == kStatusesAtOnce) {
        CAPF_TRY(check_dropped(shard, ended_by, dropped));
        dropped.clear();
      }
      CAPF_TRY(next_old());
    }
    return {};
  };
  CAPF_TRY(next_old());
  for (;;) {
    CAPF_LET(const auto entry, next.next());
    CAPF_TRY(drop_until(entry ? &entry->serial : nullptr));
    if (!entry) break;
    ++record.entries;
    if (old && old->serial == entry->serial) {
      const bool undone =
          old->reason != RevocationReason::kCertificateHold && entry->reason == RevocationReason::kCertificateHold;
      if (undone) return would_lose(shard, entry->serial);
      CAPF_TRY(next_old());
    }
  }
  if (!dropped.empty()) CAPF_TRY(check_dropped(shard, ended_by, dropped));

  record.shard = shard;
  record.number = terms.number;
  record.this_update = terms.this_update;
  record.next_update = terms.next_update;
  record.size = static_cast<std::int64_t>(next.size());
  CAPF_LET(record.sha256, next.digest());
  return record;
}

/// An entry may be dropped if it was on a CRL issued beyond the certificate's end, or was on hold and is released.
Status Publisher::check_dropped(const CrlShard& shard, TimePoint ended_by, const std::vector<Revocation>& dropped) {
  std::vector<SerialNumber> serials;
  for (const Revocation& entry : dropped) serials.push_back(entry.serial);
  CAPF_LET(const auto statuses,
           in_read(database_, [&](Transaction& tx) { return tx.certificates().statuses(shard.issuer_id, serials); }));
  for (const Revocation& entry : dropped) {
    const auto found = std::find_if(statuses.begin(), statuses.end(),
                                    [&](const SerialStatus& status) { return status.serial == entry.serial; });
    const bool ended = found != statuses.end() && found->not_after <= ended_by;
    // A database that was set back to before the hold has no release after it.
    const bool released = found != statuses.end() && !found->revoked_at &&
                          entry.reason == RevocationReason::kCertificateHold && found->released_at &&
                          *found->released_at >= entry.revoked_at;
    if (ended || released) continue;
    return would_lose(shard, entry.serial);
  }
  return {};
}

Status Publisher::publish(const CrlRecord& record, const std::vector<std::int64_t>& changes) {
  CAPF_LET(const File file, File::open(published_.path_aside(record.shard)));
  const Status stored = database_.write([&](Transaction& tx) -> Status {
    // A server that lost the lease meanwhile must not publish; no other one gets it before this transaction ends.
    CAPF_LET(const bool mine, tx.leases().hold(lease_name(record.shard), settings_.holder, kLeaseSeconds));
    if (!mine) return fail(Reason::kChangedMeanwhile);
    CAPF_TRY(published_.check(tx));
    CAPF_LET(const bool added, tx.crls().add(record));
    if (!added) return fail(Reason::kChangedMeanwhile);
    CAPF_TRY(store_pieces(tx, record, file));
    CAPF_TRY(tx.crls().forget_changes(record.shard, changes));
    return tx.leases().give_back(lease_name(record.shard), settings_.holder);
  });
  CAPF_TRY(stored);
  log_info("crl.published", {{"issuer", record.shard.issuer_id},
                             {"shard", record.shard.shard},
                             {"number", record.number},
                             {"entries", record.entries},
                             {"next_update", to_rfc3339(record.next_update)}});
  return {};
}

}  // namespace capf::service
