#include "capf/service/maintenance.h"

#include <utility>

#include "capf/base/log.h"
#include "capf/ca/certificate.h"
#include "capf/domain/anchor_store.h"
#include "capf/domain/audit_store.h"
#include "capf/domain/certificate_store.h"
#include "capf/domain/issuer_store.h"
#include "capf/domain/key_store.h"
#include "capf/domain/lease_store.h"
#include "capf/domain/operation_store.h"
#include "capf/domain/phone_store.h"
#include "capf/domain/security_change_store.h"
#include "capf/domain/string_store.h"
#include "capf/domain/summary_store.h"
#include "capf/service/lease.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

constexpr const char* kLease = kMaintenanceLease;
constexpr std::chrono::hours kRefusalsKept{24 * 90};
constexpr std::chrono::hours kSecurityChangesKept{24 * 30};
constexpr int kOperationsAtOnce = 500;
constexpr int kOperationsPerRound = 50'000;
constexpr int kEndsAtOnce = 1000;
constexpr int kForgottenAtOnce = 10'000;
constexpr int kPhonesCountedAtOnce = 5'000;
constexpr int kPhonesCountedPerRound = 200'000;
constexpr int kSupersededAtOnce = 500;
constexpr int kModuliAtOnce = 500;
constexpr int kModuliPerRound = 25'000;
const char* const kModuli = "moduli";

struct Learnt {
  int certificates = 0;
  std::vector<SharedModulus> shared;
};

void add_key(BytesView certificate, std::vector<KeyDigests>& keys) {
  // A certificate that cannot be read any more has no key that a caller could use.
  if (const auto facts = ca::read_certificate(certificate)) keys.push_back(facts->key);
}

/// The keys of issuers and trust anchors.
Result<std::vector<KeyDigests>> keys_of_authorities(Transaction& tx) {
  std::vector<KeyDigests> keys;
  CAPF_LET(const auto issuers, tx.issuers().list());
  for (const IssuerRecord& issuer : issuers) add_key(issuer.der, keys);
  CAPF_LET(const auto anchors, tx.anchors().list());
  for (const TrustAnchor& anchor : anchors) add_key(anchor.der, keys);
  return keys;
}

}  // namespace

Result<bool> Maintenance::hold() {
  return in_write(database_, [&](Transaction& tx) -> Result<bool> {
    CAPF_TRY(check_clock(tx, clock_));
    return tx.leases().take(kLease, holder_, kLeaseSeconds);
  });
}

void Maintenance::leave() {
  const Status left = database_.write([&](Transaction& tx) { return tx.leases().give_back(kLease, holder_); });
  if (!left) log_warning("maintenance.lease_kept", left.error());
}

Result<std::optional<Maintenance::Round>> Maintenance::run() {
  CAPF_LET(std::optional<Round> round, in_write(database_, [&](Transaction& tx) -> Result<std::optional<Round>> {
             CAPF_LET(const bool mine, tx.leases().take(kLease, holder_, kLeaseSeconds));
             if (!mine) return std::nullopt;
             CAPF_TRY(check_clock(tx, clock_));
             CAPF_TRY(tx.strings().prune());
             CAPF_TRY(tx.anchors().prune_candidates());
             CAPF_TRY(tx.audit().report_repeated());
             CAPF_TRY(tx.audit().prune_refusals(tx.now() - kRefusalsKept));
             return Round{};
           }));
  if (!round) {
    counted_.clear();
    counted_to_ = {};
    return round;
  }
  CAPF_LET(round->expired, end_overdue());
  CAPF_TRY(tell_ends());
  CAPF_TRY(forget_security_changes());
  CAPF_LET(round->revoked, revoke_superseded());
  CAPF_TRY(count_modes());
  CAPF_TRY(learn_moduli());
  return round;
}

// The phones of a campaign have one deadline, which takes many transactions.
Result<int> Maintenance::end_overdue() {
  int expired = 0;
  for (int some = kOperationsAtOnce; some == kOperationsAtOnce && expired < kOperationsPerRound; expired += some) {
    CAPF_LET(some, in_write(database_, [&](Transaction& tx) -> Result<int> {
               CAPF_LET(const bool mine, tx.leases().take(kLease, holder_, kLeaseSeconds));
               if (!mine) return 0;
               CAPF_TRY(check_clock(tx, clock_));
               CAPF_LET(const auto overdue, tx.operations().lock_overdue(tx.now() - kOverdueGrace, kOperationsAtOnce));
               std::vector<rules::Draft> drafts;
               for (const Operation& operation : overdue) {
                 rules::Draft& draft =
                     drafts.emplace_back(rules::Draft{.actor = {},
                                                      .phone = {.id = operation.phone_id, .device = operation.device},
                                                      .now = tx.now(),
                                                      .open = operation});
                 if (operation.certificates > 0) {
                   CAPF_LET(draft.live, tx.certificates().live(operation.phone_id));
                 }
                 rules::end_operation(draft, OperationState::kExpired, Reason::kDeadlinePassed,
                                      "the phone did not come in time");
               }
               CAPF_TRY(write(tx, drafts));
               return static_cast<int>(overdue.size());
             }));
  }
  return expired;
}

Status Maintenance::tell_ends() {
  for (int looked = kEndsAtOnce; looked == kEndsAtOnce;) {
    CAPF_LET(looked, in_write(database_, [&](Transaction& tx) -> Result<int> {
               CAPF_LET(const bool mine, tx.leases().take(kLease, holder_, kLeaseSeconds));
               if (!mine) return 0;
               return tx.security_changes().tell_ends(kEndsAtOnce);
             }));
  }
  return {};
}

Status Maintenance::forget_security_changes() {
  for (int gone = kForgottenAtOnce; gone == kForgottenAtOnce;) {
    CAPF_LET(gone, in_write(database_, [&](Transaction& tx) -> Result<int> {
               CAPF_LET(const bool mine, tx.leases().take(kLease, holder_, kLeaseSeconds));
               if (!mine) return 0;
               return tx.security_changes().forget(kSecurityChangesKept, kForgottenAtOnce);
             }));
  }
  return {};
}

// A round counts some of the phones, and that which comes to the last of them writes the figures of all.
Status Maintenance::count_modes() {
  for (int counted = 0; counted < kPhonesCountedPerRound;) {
    CAPF_LET(const ModeCount some, in_read(database_, [&](Transaction& tx) {
               return tx.summary().count_modes(counted_to_, kPhonesCountedAtOnce);
             }));
    int phones = 0;
    for (const ModeCount::Group& group : some.groups) {
      ModeFigure& figure = counted_[{group.facts.profile, effective_mode(group.facts).reason}];
      figure.phones += group.figure.phones;
      figure.without_digest_user += group.figure.without_digest_user;
      phones += static_cast<int>(group.figure.phones);
    }
    counted += phones;
    counted_to_ = some.last;
    if (phones == kPhonesCountedAtOnce) continue;
    const ModeFigures figures = std::exchange(counted_, {});
    counted_to_ = {};
    return database_.write([&](Transaction& tx) -> Status {
      CAPF_LET(const bool mine, tx.leases().take(kLease, holder_, kLeaseSeconds));
      return mine ? tx.summary().set_modes(figures) : Status();
    });
  }
  return {};
}

// Each transaction locks its phones in the order of their ids; a fleet that was upgraded in one night takes several.
Result<int> Maintenance::revoke_superseded() {
  int revoked = 0;
  for (;;) {
    CAPF_LET(const int some, in_write(database_, [&](Transaction& tx) -> Result<int> {
               CAPF_LET(const bool mine, tx.leases().take(kLease, holder_, kLeaseSeconds));
               if (!mine) return 0;
               CAPF_TRY(check_clock(tx, clock_));
               CertificateSelection due;
               due.held = false;
               due.superseded_before = tx.now() - policy_.superseded_grace;
               CAPF_LET(const auto phones,
                        tx.certificates().superseded_phones(*due.superseded_before, kSupersededAtOnce));
               if (phones.empty()) return 0;
               CAPF_TRY(tx.phones().lock_all(phones));
               CAPF_LET(const auto lscs, tx.certificates().selected(due, phones));
               CAPF_TRY(revoke(tx, Actor{}, lscs, RevocationReason::kSuperseded));
               return static_cast<int>(lscs.size());
             }));
    if (some == 0) return revoked;
    revoked += some;
  }
}

// Each transaction is short, and says how far it is: whoever has the lease next goes on there.
Status Maintenance::learn_moduli() {
  for (int looked = 0; looked < kModuliPerRound; looked += kModuliAtOnce) {
    CAPF_LET(const auto some, in_write(database_, [&](Transaction& tx) -> Result<Learnt> {
               Learnt learnt;
               CAPF_LET(const bool mine, tx.leases().take(kLease, holder_, kLeaseSeconds));
               if (!mine) return learnt;
               CAPF_LET(const std::int64_t place, tx.leases().place(kModuli));
               CAPF_LET(const auto certificates, tx.certificates().list({}, {place, kModuliAtOnce}));
               if (certificates.empty()) return learnt;
               std::vector<KeyDigests> keys;
               if (place == 0) {
                 CAPF_LET(keys, keys_of_authorities(tx));
               }
               for (const Certificate& certificate : certificates) add_key(certificate.der, keys);
               CAPF_LET(learnt.shared, tx.keys().learn_moduli(keys));
               CAPF_TRY(tx.leases().set_place(kModuli, certificates.back().id));
               learnt.certificates = static_cast<int>(certificates.size());
               return learnt;
             }));
    for (const SharedModulus& shared : some.shared) {
      log_warning("key.shared", {{"device", shared.device}, {"other", shared.other}});
    }
    if (some.certificates < kModuliAtOnce) return {};
  }
  return {};
}

}  // namespace capf::service
