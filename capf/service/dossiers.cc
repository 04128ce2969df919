#include "capf/service/dossiers.h"

#include <utility>

#include "capf/ca/certificate.h"
#include "capf/ca/request.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

template <class Judged>
bool has_unknown_issuer(const rules::Path<Judged>& path) {
  return !path.judged && path.judged.error().reason == Reason::kCertificateUnknownIssuer;
}

/// Errors: CERTIFICATE_MALFORMED, before a library parses anything of it.
Status scan(const PresentedCertificate& presented) {
  if (presented.chain.size() >= ca::kLongestChain) return fail(Reason::kCertificateMalformed);
  CAPF_TRY(ca::scan_certificate(presented.leaf));
  for (const Bytes& certificate : presented.chain) CAPF_TRY(ca::scan_certificate(certificate));
  return {};
}

/// The digests of one certificate join those that are asked about.
void ask_about(const Sha256& certificate, const KeyDigests& key, Enquiry& enquiry) {
  enquiry.certificates.push_back(certificate);
  for (const Sha256& digest : key.all()) enquiry.keys.push_back(digest);
}

/// Gives the MICs of a caller the records of their keys, which the enquiry claims after the offered key, in this order.
void add_records(rules::Caller& caller, const Dossier& dossier, std::size_t first) {
  if (!caller.shown) return;
  const auto add = [&](rules::Path<ca::JudgedMic>& path) {
    if (path.judged) path.record = dossier.claims[first++];
  };
  add(caller.shown->mic);
  if (caller.shown->second) add(*caller.shown->second);
}

bool is_current(const TrustCache::Snapshot& trust, const Dossier& dossier) {
  return trust.revision == dossier.trust_revision && trust.postmaster_start == dossier.postmaster_start;
}

}  // namespace

struct Dossiers::Prepared {
  rules::Caller caller;
  Enquiry enquiry;
};

Result<Sight> Dossiers::look(const Caller& caller, const Asked& asked) {
  CAPF_TRY(high_water_.check());
  if (caller.has_gone()) return fail(Reason::kCallerGone);
  CAPF_LET(TrustCache::Snapshot trust, trust_.get());
  for (bool again = false;; again = true) {
    Prepared prepared = prepare(caller, asked, *trust.store);
    CAPF_LET(Dossier dossier, rounds_.look(prepared.enquiry, caller.share(false), caller.gone));
    CAPF_INVARIANT(dossier.claims.size() == prepared.enquiry.claims.size());
    CAPF_TRY(check(dossier.now));
    if (dossier.standby) return fail(Reason::kDatabaseReadOnly);
    if (!caller.certificate || is_current(trust, dossier)) {
      const std::optional<Phone>& phone = dossier.phone;
      if (phone && caller.on_found) caller.on_found(*phone);
      add_records(prepared.caller, dossier, asked.offered ? 1 : 0);
      const bool withdrawn = phone && high_water_.withdrawn().has_phone(phone->id, phone->device);
      return Sight{std::move(prepared.caller), std::move(dossier), policy_, withdrawn};
    }
    if (again) return fail(Reason::kChangedMeanwhile);
    CAPF_LET(trust, trust_.refresh(trust));
  }
}

Status Dossiers::check(TimePoint now) const {
  CAPF_TRY(high_water_.check());
  return check_clock(now, clock_);
}

rules::Offer Dossiers::read_offer(BytesView key, Possession possession) const {
  rules::Offer offer{possession == Possession::kPkcs10 ? ca::read_request(key) : ca::read_public_key(key), possession};
  if (!offer.key) return offer;
  if (Status good = blacklist_.check(offer.key->digests); !good) offer.listed = std::move(good).error();
  offer.withdrawn = high_water_.withdrawn().has_key(offer.key->digests.all());
  return offer;
}

Dossiers::Prepared Dossiers::prepare(const Caller& caller, const Asked& asked, const ca::TrustStore& trust) const {
  Prepared prepared{{.device = caller.device, .address = caller.address, .transport = caller.transport},
                    {.device = caller.device, .certificates = {}, .keys = {}, .claims = {}}};
  prepared.enquiry.confirmed = asked.confirmed;
  if (asked.offered) prepared.enquiry.claims.push_back({*asked.offered, KeyOwner::kPhone});
  prepared.caller.bad_proof = caller.bad_proof;
  if (caller.auth_string) prepared.caller.string.emplace();
  if (caller.certificate) {
    prepared.caller.shown = judge(*caller.certificate, caller.device, trust, prepared.enquiry);
  }
  return prepared;
}

rules::Shown Dossiers::judge(const PresentedCertificate& presented, const DeviceName& device,
                             const ca::TrustStore& trust, Enquiry& enquiry) const {
  rules::Shown shown{.mic = {.judged = fail(Reason::kCertificateMalformed)}};
  shown.fresh = presented.fresh;
  shown.called_mic = presented.called_mic;
  const Bytes& leaf = presented.leaf;
  if (leaf.size() <= ca::kLargestCertificate) {
    shown.leaf = sha256(leaf);
    enquiry.certificates.push_back(shown.leaf);
  }
  if (Status scanned = scan(presented); !scanned) {
    shown.unreadable = std::move(scanned).error();
    return shown;
  }
  if (!blacklist_.empty()) {
    const auto facts = ca::read_certificate(leaf);
    if (const Status good = facts ? blacklist_.check(facts->key) : Status(); !good) shown.listed = good.error();
  }
  const TimePoint now = clock_.now();
  shown.mic = path_of(trust.judge_mic(leaf, presented.chain, device, now), enquiry);
  if (has_unknown_issuer(shown.mic)) {
    shown.foreign = path_of(trust.judge_foreign_lsc(leaf, presented.chain, device, now), enquiry);
    if (has_unknown_issuer(*shown.foreign)) {
      shown.mic.unknown_issuer = trust.find_unknown_issuer(leaf, presented.chain);
      shown.foreign->unknown_issuer = shown.mic.unknown_issuer;
    }
  }
  if (shown.mic.judged) enquiry.claims.push_back({shown.mic.judged->key, KeyOwner::kMic});
  if (!presented.second) return shown;
  shown.second = path_of(trust.judge_mic(*presented.second, {}, device, now), enquiry);
  if (has_unknown_issuer(*shown.second))
    shown.second->unknown_issuer = trust.find_unknown_issuer(*presented.second, {});
  if (shown.second->judged) enquiry.claims.push_back({shown.second->judged->key, KeyOwner::kMic});
  return shown;
}

/// A judged path with this server's own lists, and the question whether the database refuses a part of it.
template <class Judged>
rules::Path<Judged> Dossiers::path_of(Result<Judged> judged, Enquiry& enquiry) const {
  rules::Path<Judged> path{.judged = std::move(judged)};
  if (!path.judged) return path;
  const auto take = [&](const Sha256& certificate, const KeyDigests& key) {
    ask_about(certificate, key, enquiry);
    if (Status good = blacklist_.check(key); !good && !path.listed) path.listed = std::move(good).error();
    if (high_water_.withdrawn().has_key(key.all())) path.withdrawn = true;
  };
  take(path.judged->sha256, path.judged->key);
  for (const ca::PathCertificate& issuer : path.judged->issuers) take(issuer.sha256, issuer.key);
  return path;
}

}  // namespace capf::service
