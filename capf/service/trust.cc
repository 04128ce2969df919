#include "capf/service/trust.h"

#include <algorithm>
#include <bit>
#include <set>

#include "capf/ca/certificate.h"
#include "capf/domain/anchor_store.h"
#include "capf/domain/audit_store.h"
#include "capf/domain/certificate_store.h"
#include "capf/domain/issuer_store.h"
#include "capf/domain/key_store.h"
#include "capf/service/steps.h"
#include "capf/service/trusted_certificates.h"

namespace capf::service {
namespace {

constexpr std::size_t kMostFiles = 1000;

/// Whether the key of a foreign certificate may be refused everywhere.
Status check_blockable(const KeyRecord& key) {
  if (key.owner == KeyOwner::kPhone && !key.compromised) {
    return fail(Reason::kKeyOfAnotherDevice,
                "its key is that of a phone's LSC: 'capfctl certificate revoke --key' takes both back");
  }
  return check_takes_back(key.owner);
}

/// The keys of the site's own CAs: certificates under them count without an anchor, by other rules.
Result<std::set<Sha256>> own_keys(Transaction& tx) {
  std::set<Sha256> keys;
  CAPF_LET(const auto issuers, tx.issuers().list());
  for (const IssuerRecord& issuer : issuers) {
    CAPF_LET(const ca::CertificateFacts facts, ca::read_certificate(issuer.der));
    for (const Sha256& digest : facts.key.all()) keys.insert(digest);
  }
  return keys;
}

/// Whether an anchor may have this key.
Status check_anchor_key(Transaction& tx, const KeyDigests& key, const std::set<Sha256>& own) {
  const std::vector<Sha256> digests = key.all();
  if (std::any_of(digests.begin(), digests.end(), [&](const Sha256& digest) { return own.contains(digest); })) {
    return fail(Reason::kInvalidCertificate, "it is an issuer of this site: its LSCs count without an anchor");
  }
  CAPF_LET(const KeyRecord record, tx.keys().claim(key, KeyOwner::kIssuer, 0));
  switch (record.owner) {
    case KeyOwner::kIssuer: return {};
    case KeyOwner::kSite:
      return fail(Reason::kInvalidCertificate, "it is one of this site's own certificates, which vouch for no phone");
    case KeyOwner::kMic:
      if (record.phone_id == 0) return {};  // the key of a CA certificate that was once blocked
      [[fallthrough]];
    case KeyOwner::kAdministrator:
    case KeyOwner::kPhone: return fail(Reason::kInvalidCertificate, "its key is that of a phone or an administrator");
    case KeyOwner::kBlocked: return fail(Reason::kInvalidCertificate, "its key was revoked as compromised");
  }
  CAPF_INVARIANT(false);
}

Result<BlockedCertificate> read_foreign(BytesView file) {
  CAPF_LET(const auto found, ca::split_certificates(file));
  if (found.size() != 1) return fail(Reason::kInvalidCertificate, "each file holds the one certificate to block");
  const auto facts = ca::read_certificate(found.front());
  if (!facts) return fail(Reason::kInvalidCertificate, facts.error().message, facts.error().cause);
  BlockedCertificate certificate;
  certificate.sha256 = facts->sha256;
  certificate.key = facts->key;
  certificate.serial = facts->serial;
  certificate.subject = facts->subject;
  certificate.issuer = facts->issuer;
  certificate.not_after = facts->not_after;
  return certificate;
}

/// An anchor whose own key is shorter than it asks for could vouch for nothing.
Status check_size(const Bytes& der, int min_rsa_bits) {
  const auto modulus = ca::rsa_modulus(der);
  if (!modulus) return {};
  const int bits = 8 * static_cast<int>(modulus->size() - 1) + std::bit_width(modulus->front());
  if (bits >= min_rsa_bits) return {};
  return fail(Reason::kInvalidCertificate, "its RSA key has " + std::to_string(bits) + " bits, and " +
                                               std::to_string(min_rsa_bits) + " are asked for (--min-rsa-bits)");
}

}  // namespace

Result<std::vector<AnchorOutcome>> Trust::add(const Actor& actor, const AnchorRequest& request) {
  if (request.store == TrustStoreName::kLsc && (request.devices == Pattern::any() || !request.ends_at)) {
    return fail(Reason::kInvalidRequest, "another site's issuer needs a device pattern and an end date");
  }
  if (request.min_rsa_bits < kLeastMinRsaBits || request.min_rsa_bits > kMostMinRsaBits) {
    return fail(Reason::kInvalidRequest, "RSA keys of 1024 to 4096 bits can be asked for");
  }
  std::vector<Bytes> certificates;
  for (const Bytes& file : request.files) {
    CAPF_LET(auto found, ca::split_certificates(file));
    certificates.insert(certificates.end(), std::make_move_iterator(found.begin()),
                        std::make_move_iterator(found.end()));
  }
  if (certificates.empty()) return fail(Reason::kInvalidCertificate, "there is no certificate in what was given");

  return in_write(database_, actor, [&](Transaction& tx) -> Result<std::vector<AnchorOutcome>> {
    CAPF_TRY(tx.blocks().lock());
    CAPF_LET(const std::set<Sha256> own, own_keys(tx));
    std::vector<AnchorOutcome> outcomes;
    bool any = false;
    for (const Bytes& der : certificates) {
      Result<TrustAnchor> anchor = ca::read_anchor(der);
      if (!anchor) {
        const auto facts = ca::read_certificate(der);
        outcomes.push_back({facts ? facts->subject : "", sha256(der), anchor.error()});
        continue;
      }
      CAPF_LET(const ca::CertificateFacts facts, ca::read_certificate(der));
      if (const Status good = blacklist_.check(facts.key); !good) {
        outcomes.push_back({anchor->subject, anchor->sha256, good.error()});
        continue;
      }
      if (const Status strong = check_size(der, request.min_rsa_bits); !strong) {
        outcomes.push_back({anchor->subject, anchor->sha256, strong.error()});
        continue;
      }
      if (const Status fits = check_anchor_key(tx, facts.key, own); !fits) {
        if (fits.error().reason != Reason::kInvalidCertificate) return fail(fits.error());
        outcomes.push_back({anchor->subject, anchor->sha256, fits.error()});
        continue;
      }
      anchor->store = request.store;
      anchor->devices = request.devices;
      anchor->models = request.models;
      anchor->allow_sha1 = request.allow_sha1;
      anchor->min_rsa_bits = request.min_rsa_bits;
      anchor->allow_expired_until = request.allow_expired_until;
      anchor->ends_at = request.ends_at;
      anchor->added_at = tx.now();
      anchor->added_by = actor.name;
      CAPF_LET(const bool added, tx.anchors().add(*anchor));
      outcomes.push_back({anchor->subject, anchor->sha256, {}});
      if (!added) {
        outcomes.back().left_out = Error::of(Reason::kAnchorExists);
        continue;
      }
      any = true;
      CAPF_TRY(tx.audit().add(done(
          actor, "anchor.add", to_hex(anchor->sha256),
          std::string(to_string(anchor->store)) + ": " + anchor->subject + ", devices " + anchor->devices.text() +
              (anchor->allow_expired_until ? ", expired MICs count until " + to_rfc3339(*anchor->allow_expired_until)
                                           : ""))));
    }
    if (!any) {
      const Error& first = *outcomes.front().left_out;
      return fail(first.reason, "nothing was added: " + first.message);
    }
    return outcomes;
  });
}

Result<std::vector<TrustAnchor>> Trust::list() {
  return in_read(database_, [](Transaction& tx) { return tx.anchors().list(); });
}

Result<TrustAnchor> Trust::remove(const Actor& actor, const std::string& sha256) {
  CAPF_LET(const std::string beginning, beginning_of_sha256(sha256, "an anchor"));
  return in_write(database_, actor, [&](Transaction& tx) -> Result<TrustAnchor> {
    CAPF_TRY(tx.blocks().lock());  // the exclusive lock: two transactions with a shared one would deadlock
    CAPF_LET(const auto anchors, tx.anchors().list());
    std::optional<TrustAnchor> chosen;
    for (const TrustAnchor& anchor : anchors) {
      if (!to_hex(anchor.sha256).starts_with(beginning)) continue;
      if (chosen) return fail(Reason::kInvalidRequest, beginning + " is the beginning of several anchors");
      chosen = anchor;
    }
    if (!chosen) return fail(Reason::kUnknownAnchor);
    CAPF_LET(const bool removed, tx.anchors().remove(chosen->sha256));
    if (!removed) return fail(Reason::kUnknownAnchor);
    CAPF_TRY(tx.audit().add(done(actor, "anchor.remove", to_hex(chosen->sha256), chosen->subject)));
    return *std::move(chosen);
  });
}

Result<std::vector<TrustCandidate>> Trust::candidates() {
  return in_read(database_, [](Transaction& tx) { return tx.anchors().candidates(); });
}

Result<std::vector<BlockedCertificate>> Trust::block(const Actor& actor, const std::vector<Bytes>& files) {
  if (files.empty() || files.size() > kMostFiles) {
    return fail(Reason::kInvalidRequest, "1 to 1000 certificates can be blocked at once");
  }
  std::vector<BlockedCertificate> wanted;
  for (const Bytes& file : files) {
    CAPF_LET(BlockedCertificate certificate, read_foreign(file));
    certificate.blocked_by = actor.name;
    wanted.push_back(std::move(certificate));
  }
  return in_write(database_, actor, [&](Transaction& tx) -> Result<std::vector<BlockedCertificate>> {
    CAPF_TRY(tx.blocks().lock());
    std::vector<BlockedCertificate> blocked;
    std::vector<KeyDigests> keys;
    for (const BlockedCertificate& certificate : wanted) {
      CAPF_LET(const auto lsc, tx.certificates().find_lsc(certificate.sha256));
      if (lsc) {
        return fail(Reason::kInvalidCertificate,
                    "this is the LSC of " + lsc->device + ": 'capfctl certificate revoke' takes it back");
      }
      // A MIC's from now on, or this waits for the phone that is about to offer it.
      CAPF_LET(const KeyRecord key, tx.keys().claim(certificate.key, KeyOwner::kMic, 0));
      CAPF_TRY(check_blockable(key));
      CAPF_LET(const bool added, tx.blocks().add(certificate));
      CAPF_LET(const auto record, tx.blocks().find(certificate.sha256));
      CAPF_INVARIANT(record.has_value());
      blocked.push_back(*record);
      if (!added) continue;
      keys.push_back(certificate.key);
      CAPF_TRY(tx.audit().add(done(actor, "certificate.block", to_hex(certificate.sha256), certificate.subject)));
    }
    CAPF_TRY(drop_with_keys(tx, actor, keys));
    return blocked;
  });
}

Result<BlockedCertificate> Trust::unblock(const Actor& actor, const std::string& sha256) {
  CAPF_LET(const std::string beginning, beginning_of_sha256(sha256, "a blocked certificate"));
  return in_write(database_, actor, [&](Transaction& tx) -> Result<BlockedCertificate> {
    CAPF_TRY(tx.blocks().lock());
    CAPF_LET(const auto found, tx.blocks().find_beginning(beginning));
    if (found.empty()) return fail(Reason::kUnknownCertificate, "no blocked certificate's SHA-256 begins so");
    if (found.size() > 1) {
      return fail(Reason::kInvalidRequest, beginning + " is the beginning of several blocked certificates");
    }
    CAPF_TRY(tx.blocks().remove(found.front().id));
    CAPF_TRY(tx.audit().add(done(actor, "certificate.unblock", to_hex(found.front().sha256), found.front().subject)));
    return found.front();
  });
}

Result<std::vector<BlockedCertificate>> Trust::blocked(const Page& page) {
  return in_read(database_, [&](Transaction& tx) { return tx.blocks().list(page); });
}

Result<TrustCache::Snapshot> TrustCache::get() {
  return refresh_unless([](const Snapshot&) { return true; });
}

Result<TrustCache::Snapshot> TrustCache::refresh(const Snapshot& stale) {
  return refresh_unless([&](const Snapshot& kept) { return kept.store != stale.store; });
}

Result<TrustCache::Snapshot> TrustCache::refresh_unless(const std::function<bool(const Snapshot&)>& good) {
  std::uint64_t tries = 0;
  {
    const std::lock_guard lock(mutex_);
    if (snapshot_.store && good(snapshot_)) return snapshot_;
    tries = tries_;
  }
  const std::lock_guard one(refreshing_);
  {
    const std::lock_guard lock(mutex_);
    if (snapshot_.store && good(snapshot_)) return snapshot_;
    if (tries_ != tries && fault_) return fail(*fault_);
  }
  Result<Snapshot> fresh = read();
  const std::lock_guard lock(mutex_);
  ++tries_;
  fault_ = fresh ? std::nullopt : std::optional(fresh.error());
  if (fresh) snapshot_ = *fresh;
  return fresh;
}

Result<TrustCache::Snapshot> TrustCache::read() {
  return in_read(database_, [](Transaction& tx) -> Result<Snapshot> {
    CAPF_LET(const std::int64_t revision, tx.anchors().revision());
    CAPF_LET(const auto anchors, tx.anchors().list());
    return Snapshot{revision, tx.postmaster_start(), ca::TrustStore::make(anchors)};
  });
}

}  // namespace capf::service
