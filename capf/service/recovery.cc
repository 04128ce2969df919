#include "capf/service/recovery.h"

#include <algorithm>
#include <set>

#include "capf/base/log.h"
#include "capf/domain/administrator_store.h"
#include "capf/domain/anchor_store.h"
#include "capf/domain/audit_store.h"
#include "capf/domain/block_store.h"
#include "capf/domain/call_store.h"
#include "capf/domain/campaign_store.h"
#include "capf/domain/certificate_store.h"
#include "capf/domain/issuer_store.h"
#include "capf/domain/key_store.h"
#include "capf/domain/operation_store.h"
#include "capf/domain/phone_store.h"
#include "capf/domain/profile_store.h"
#include "capf/domain/trusted_certificate_store.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

constexpr std::size_t kEntriesAtOnce = 1000;
constexpr int kOperationsAtOnce = 500;
constexpr int kPhonesAtOnce = 2'000;

std::string crl_name(const PublishedCrl& crl) {
  return "CRL " + std::to_string(crl.terms.number) + " of issuer " + std::to_string(crl.shard.issuer_id);
}

}  // namespace

Result<SiteState> Recovery::look() {
  SiteState state;
  if (const Status level = high_water_.check(); !level) state.behind = level.error().message;
  const Status read = database_.read([&](Transaction& tx) -> Status {
    state.at = tx.now();
    state.crls.clear();
    CAPF_LET(state.issuers, tx.issuers().list());
    for (const IssuerRecord& issuer : state.issuers) {
      for (int shard = 0; shard < issuer.shards; ++shard) {
        CAPF_LET(const auto newest, tx.crls().newest({issuer.id, shard}));
        if (newest) state.crls.push_back({newest->shard, newest->number});
      }
    }
    CAPF_LET(state.administrators, tx.administrators().list());
    for (Administrator& one : state.administrators) {
      if (!one.disabled_at && high_water_.withdrawn().has_administrator(one.certificate_sha256))
        one.disabled_at = tx.now();
    }
    CAPF_LET(state.anchors, tx.anchors().list());
    CAPF_LET(state.mode, tx.profiles().site_mode());
    state.clock = signed_of_later(tx.now(), clock_);
    auto last = sealer_.end_of_chain(tx);
    if (!last && last.error().reason == Reason::kRecordBroken) {
      state.record = last.error().message;
      return {};
    }
    CAPF_LET(state.last_seal, std::move(last));
    return {};
  });
  CAPF_TRY(read);
  return state;
}

/// By the clock that was ahead, LSCs may have ended that have not, and others be renewed far too late.
Status Recovery::look_anew() {
  std::vector<std::int64_t> phones;
  std::int64_t after = 0;
  do {
    const Status written = database_.write([&](Transaction& tx) -> Status {
      CAPF_LET(phones, tx.campaigns().with_lsc(after, kPhonesAtOnce));
      CAPF_TRY(tx.phones().lock_all(phones));
      return tx.campaigns().look_anew(phones);
    });
    CAPF_TRY(written);
    if (!phones.empty()) after = phones.back();
  } while (!phones.empty());
  return {};
}

Result<Recovered> Recovery::run(const Actor& actor, const Confirmed& confirmed) {
  const bool behind = !high_water_.check();
  if (behind) CAPF_TRY(check_confirmed(confirmed));
  Recovered done;
  if (confirmed.clock_is_right) {
    clock_.confirm();
    CAPF_TRY(look_anew());
  }
  if (confirmed.seals_are_made_up) {
    CAPF_LET(done.made_up, sealer_.disown());
  }
  const auto crls = published_.all();
  if (behind) CAPF_TRY(cancel_operations(actor, done));
  std::vector<CrlRecord> records;
  for (const auto& crl : crls) {
    CAPF_LET(const CrlRecord record, bring_back(actor, *crl, done));
    records.push_back(record);
  }
  // After the revocations of the CRLs, because those have the true reasons.
  if (behind) CAPF_TRY(withdraw_again(actor, done));
  if (!behind && !confirmed.clock_is_right && done.made_up == 0 && done.revocations == 0) {
    return fail(Reason::kNothingToRecover);
  }
  // Last, because a server whose CRL is on record may let phones in.
  for (std::size_t i = 0; i < crls.size(); ++i) CAPF_TRY(put_back(*crls[i], records[i]));

  std::optional<AuditSeal> last;
  const Status written = database_.write([&](Transaction& tx) -> Status {
    CAPF_LET(last, sealer_.end_of_chain(tx));
    std::string words = "the record goes on after seal " + std::to_string(last ? last->number : 0) + "; " +
                        std::to_string(done.revocations) + " revocations brought back, " +
                        std::to_string(done.operations) + " operations cancelled";
    if (done.withdrawn > 0) words += ", " + std::to_string(done.withdrawn) + " withdrawals brought back";
    if (done.made_up > 0) words += ", " + std::to_string(done.made_up) + " made-up seals left behind";
    if (confirmed.clock_is_right) words += "; the clock was ahead and is right now";
    return tx.audit().add(service::done(actor, "site.recover", "site", words));
  });
  CAPF_TRY(written);
  done.seal = last ? last->number : 0;
  if (!behind) return done;
  CAPF_TRY(set_seal_mark(marks_, last));
  CAPF_TRY(journal_.begin_anew());
  high_water_.begin_anew();
  // Verifiers of the chain ignore seals that a log named before this point.
  log_warning("audit.recovered", {{"number", done.seal}, {"by", actor.name}});
  return done;
}

Status Recovery::check_confirmed(const Confirmed& confirmed) {
  std::set<std::string> administrators;
  std::set<Sha256> anchors;
  const Status read = database_.read([&](Transaction& tx) -> Status {
    CAPF_LET(const auto all, tx.administrators().list());
    for (const Administrator& administrator : all) {
      const bool withdrawn = high_water_.withdrawn().has_administrator(administrator.certificate_sha256);
      if (!administrator.disabled_at && !withdrawn) administrators.insert(administrator.name);
    }
    CAPF_LET(const auto trusted, tx.anchors().list());
    for (const TrustAnchor& anchor : trusted) anchors.insert(anchor.sha256);
    return {};
  });
  CAPF_TRY(read);
  if (administrators != std::set<std::string>(confirmed.administrators.begin(), confirmed.administrators.end()) ||
      anchors != std::set<Sha256>(confirmed.anchors.begin(), confirmed.anchors.end())) {
    return fail(Reason::kChangedMeanwhile, "the administrators or the trust anchors are not those that were confirmed");
  }
  return {};
}

/// The revocations of a CRL, batch by batch. @return the CRL's own record
Result<CrlRecord> Recovery::bring_back(const Actor& actor, const PublishedCrl& crl, Recovered& done) {
  CAPF_LET(const auto issuer,
           in_read(database_, [&](Transaction& tx) { return tx.issuers().find(crl.shard.issuer_id); }));
  if (!issuer) {
    return fail(Reason::kUnknownIssuer, crl_name(crl) +
                                            " is served here, and that issuer is not on record: restore a "
                                            "later backup");
  }
  CAPF_LET(ca::CrlReader reader, ca::CrlReader::open(published_.path(crl.shard)));
  CAPF_TRY(reader.check_issuer(*issuer));
  std::int64_t entries = 0;
  for (bool more = true; more;) {
    std::vector<Revocation> batch;
    while (batch.size() < kEntriesAtOnce) {
      CAPF_LET(const auto entry, reader.next());
      if (!entry) {
        more = false;
        break;
      }
      batch.push_back(*entry);
    }
    entries += static_cast<std::int64_t>(batch.size());
    Recovered part;
    const Status written = database_.write([&](Transaction& tx) -> Status {
      part = {};
      CAPF_LET(const BroughtBack back, tx.crls().bring_back(crl.shard, batch, issuer->not_after));
      std::vector<AuditEvent> events;
      std::vector<Sha256> keys;
      std::vector<std::int64_t> phones;
      std::vector<std::int64_t> compromised;
      for (const auto& [lsc, reason] : back.known) {
        events.push_back(revoked(actor, lsc, reason));
        events.back().detail += ", as " + crl_name(crl) + " says";
        // 'phone block' revokes with this reason: block the phone again, because its MIC would let it in.
        if (reason == RevocationReason::kPrivilegeWithdrawn) phones.push_back(lsc.phone_id);
        if (reason != RevocationReason::kKeyCompromise) continue;
        keys.push_back(lsc.key_sha256);
        phones.push_back(lsc.phone_id);
        compromised.push_back(lsc.phone_id);
      }
      CAPF_TRY(tx.audit().add_all(events));
      // Block the devices, whatever other certificates they hold, as for every compromised key.
      CAPF_LET(const auto others, tx.certificates().selected({}, compromised));
      CAPF_TRY(revoke(tx, actor, others, RevocationReason::kKeyCompromise));
      for (const RevocableLsc& lsc : others) keys.push_back(lsc.key_sha256);
      CAPF_LET(part.phones, block_compromised(tx, actor, keys, phones));
      part.unknown = back.unknown;
      part.revocations = back.unknown + static_cast<std::int64_t>(back.known.size());
      return {};
    });
    CAPF_TRY(written);
    done.revocations += part.revocations;
    done.unknown += part.unknown;
    done.phones += part.phones;
  }

  return CrlRecord{crl.shard,
                   crl.terms.number,
                   crl.terms.this_update,
                   crl.terms.next_update,
                   crl.sha256,
                   static_cast<std::int64_t>(crl.size),
                   entries};
}

Status Recovery::put_back(const PublishedCrl& crl, const CrlRecord& record) {
  return database_.write([&](Transaction& tx) -> Status {
    // `added` is false where the CRL is on record already, or another server has published a later one.
    CAPF_LET(const bool added, tx.crls().add(record));
    return added ? store_pieces(tx, record, crl.file) : Status{};
  });
}

/// Withdraws again what this server has seen withdrawn and the database has forgotten.
Status Recovery::withdraw_again(const Actor& actor, Recovered& done) {
  using Batch = std::span<const Withdrawal>;
  constexpr std::size_t kBatch = 500;
  const std::string why = "it was withdrawn before the database was restored";
  const auto batches = [&](WithdrawalKind kind, const auto& bring_back) -> Status {
    const std::vector<Withdrawal> all = high_water_.withdrawn().list(kind);
    for (std::size_t start = 0; start < all.size(); start += kBatch) {
      const Batch batch(&all[start], std::min(kBatch, all.size() - start));
      std::int64_t count = 0;
      const Status written = database_.write([&](Transaction& tx) -> Status {
        count = 0;
        return bring_back(tx, batch, count);
      });
      CAPF_TRY(written);
      done.withdrawn += count;
    }
    return {};
  };
  const auto disable = [&](Transaction& tx, Batch batch, std::int64_t& count) -> Status {
    CAPF_TRY(tx.administrators().lock());
    for (const Withdrawal& one : batch) {
      CAPF_LET(const auto administrator, tx.administrators().find_certificate(one.sha256));
      if (!administrator || administrator->disabled_at) continue;
      CAPF_TRY(tx.administrators().disable(administrator->name));
      CAPF_TRY(tx.audit().add(service::done(actor, "administrator.disable", administrator->name, why)));
      ++count;
    }
    return {};
  };
  const auto block_certificates = [&](Transaction& tx, Batch batch, std::int64_t& count) -> Status {
    CAPF_TRY(tx.blocks().lock());
    for (const Withdrawal& one : batch) {
      CAPF_LET(const bool blocked, tx.blocks().bring_back(one.block));
      if (!blocked) continue;
      CAPF_TRY(tx.audit().add(service::done(actor, "certificate.block", to_hex(one.sha256), why)));
      ++count;
    }
    return {};
  };
  const auto block_keys = [&](Transaction& tx, Batch batch, std::int64_t& count) -> Status {
    std::vector<Sha256> keys;
    for (const Withdrawal& one : batch) {
      CAPF_LET(const auto record, tx.keys().find(one.sha256));
      if (record && record->compromised) continue;
      keys.push_back(one.sha256);
      CAPF_TRY(tx.audit().add(service::done(actor, "key.block", to_hex(one.sha256), why)));
    }
    count = static_cast<std::int64_t>(keys.size());
    return tx.keys().mark_compromised(keys);
  };
  const auto end_phones = [&](Transaction& tx, Batch batch, std::int64_t& count) -> Status {
    std::vector<std::int64_t> ids;
    for (const Withdrawal& one : batch) ids.push_back(one.phone_id);
    CAPF_TRY(tx.phones().lock_all(ids));
    // A name may belong to another phone now, so they are found by id.
    CAPF_LET(const std::vector<Phone> phones, tx.phones().find_all(ids));
    const bool removes = batch.front().kind == WithdrawalKind::kRemovedPhone;
    std::vector<SelectedPhone> ended;
    for (const Phone& phone : phones) {
      if (removes || !phone.blocked_at) ended.push_back({phone.id, phone.device});
    }
    CAPF_TRY(removes ? remove_phones(tx, actor, ended, why) : block_phones(tx, actor, ended, why));
    count = static_cast<std::int64_t>(ended.size());
    return {};
  };
  const auto distrust_parties = [&](Transaction& tx, Batch batch, std::int64_t& count) -> Status {
    for (const Withdrawal& one : batch) {
      CAPF_LET(const auto party, tx.calls().withdraw(one.block, actor.name));
      if (!party) continue;
      const bool gone = party->level == DeviceMode::kNonsecure;
      const std::string subject = CallParty{party->kind, party->name}.text();
      CAPF_TRY(tx.audit().add(gone ? service::done(actor, "trusted_party.remove", subject, why)
                                   : service::done(actor, "trusted_party.add", subject,
                                                   std::string(to_string(party->level)) + ", because " + why)));
      ++count;
    }
    return {};
  };
  const auto distrust_certificates = [&](Transaction& tx, Batch batch, std::int64_t& count) -> Status {
    for (const Withdrawal& one : batch) {
      CAPF_LET(const auto certificate, tx.trusted_certificates().find(one.sha256));
      if (!certificate) continue;
      CAPF_TRY(tx.trusted_certificates().remove(certificate->id));
      CAPF_TRY(tx.audit().add(service::done(actor, "trusted_certificate.remove", to_hex(one.sha256), why)));
      ++count;
    }
    return {};
  };
  CAPF_TRY(batches(WithdrawalKind::kAdministrator, disable));
  CAPF_TRY(batches(WithdrawalKind::kCertificate, block_certificates));
  CAPF_TRY(batches(WithdrawalKind::kKey, block_keys));
  CAPF_TRY(batches(WithdrawalKind::kTrustedParty, distrust_parties));
  CAPF_TRY(batches(WithdrawalKind::kTrustedCertificate, distrust_certificates));
  CAPF_TRY(batches(WithdrawalKind::kRemovedPhone, end_phones));
  return batches(WithdrawalKind::kBlockedPhone, end_phones);
}

/// Cancels every open operation, because its authentication string may have been used since the backup, and the
/// database may have forgotten what the phone did in it.
Status Recovery::cancel_operations(const Actor& actor, Recovered& done) {
  const std::string why = "the database was restored from a backup";
  OperationFilter open;
  open.open = true;
  for (bool more = true; more;) {
    std::int64_t cancelled = 0;
    const Status written = database_.write([&](Transaction& tx) -> Status {
      CAPF_LET(const auto operations, tx.operations().list(open, {0, kOperationsAtOnce}));
      more = operations.size() == kOperationsAtOnce;
      std::vector<std::int64_t> phones;
      for (const Operation& operation : operations) phones.push_back(operation.phone_id);
      CAPF_TRY(tx.phones().lock_all(phones));
      phones.clear();
      cancelled = 0;
      for (const Operation& operation : operations) {
        if (operation.certificates <= 1) {
          phones.push_back(operation.phone_id);
        } else {
          CAPF_LET(rules::Draft draft, draft_of(tx, actor, {operation.phone_id, operation.device}));
          rules::cancel_open(draft, why);
          CAPF_TRY(write(tx, draft));
          ++cancelled;
        }
      }
      CAPF_LET(const int others, cancel_all(tx, actor, phones, why));
      cancelled += others;
      return {};
    });
    CAPF_TRY(written);
    done.operations += cancelled;
  }
  return {};
}

}  // namespace capf::service
