#include "capf/service/trusted_certificates.h"

#include <algorithm>

#include "capf/base/endpoint.h"
#include "capf/domain/audit_store.h"
#include "capf/domain/block_store.h"
#include "capf/domain/key_store.h"
#include "capf/domain/trust_list_store.h"
#include "capf/domain/trusted_certificate_store.h"
#include "capf/service/steps.h"
#include "capf/service/trust_list_sight.h"

namespace capf::service {
namespace {

constexpr int kPage = 100;

Status check(const TrustedCertificateRequest& request) {
  if (request.roles.empty()) return fail(Reason::kInvalidRequest, "a certificate has one role at least");
  if (!request.dns.empty() && (request.dns.size() > kLongestDnsName || !is_host(request.dns))) {
    return fail(Reason::kInvalidRequest, "the DNS name of a certificate is a host's");
  }
  if (request.address && !request.address->is_ipv4()) {
    return fail(Reason::kInvalidRequest, "the address of a certificate is an IPv4 address: lists have no other");
  }
  return {};
}

TrustRoles in_order(TrustRoles roles) {
  std::sort(roles.begin(), roles.end());
  roles.erase(std::unique(roles.begin(), roles.end()), roles.end());
  return roles;
}

Result<Bytes> one_certificate(BytesView file) {
  CAPF_LET(auto found, ca::split_certificates(file));
  if (found.size() == 1) return std::move(found.front());
  return fail(Reason::kInvalidCertificate, "the file holds " + std::to_string(found.size()) +
                                               " certificates, and one is added at a time: without those above it");
}

std::string words_of(const TrustedCertificate& certificate) {
  std::string words;
  for (const TrustRole role : certificate.roles) words.append(words.empty() ? "" : ", ").append(to_string(role));
  words += ": " + certificate.subject;
  if (!certificate.dns.empty()) words += ", name " + certificate.dns;
  if (certificate.address) words += ", address " + certificate.address->to_string();
  if (certificate.vouch_only) words += ", in no list";
  return words;
}

bool is_one_of(std::span<const KeyDigests> keys, const KeyDigests& key) {
  return std::any_of(keys.begin(), keys.end(), [&](const KeyDigests& each) {
    return key.sha256 == each.sha256 || (each.modulus && key.modulus == each.modulus);
  });
}

/// Whether a phone would trust one of these keys by this list. One that cannot be read is good for no phone.
bool lists_one_of(std::span<const KeyDigests> keys, const PublishedList& list) {
  const auto its = read_list(list);
  if (!its) return true;
  return std::any_of(its->records.begin(), its->records.end(), [&](const files::Record& record) {
    if (!record.certificate) return false;
    const auto facts = ca::read_certificate(record.certificate->der());
    return facts && is_one_of(keys, facts->key);
  });
}

/// Refuses one more than phones' lists have room for. A list that is too large is not published, and with it nothing
/// that is to be taken from phones.
Status check_room(Transaction& tx) {
  CAPF_LET(const auto others, all_listed(tx));
  std::size_t records = 0;
  for (const TrustedCertificate& each : others) {
    if (each.blocked || each.not_after <= tx.now()) continue;
    records += each.roles.size() - (has_role(each.roles, TrustRole::kSast) ? 1 : 0);
  }
  CAPF_LET(const auto present, present_list(tx, TrustListKind::kItl));
  if (present) {
    CAPF_LET(const files::TrustList its, read_list(*present));
    records += static_cast<std::size_t>(
        std::count_if(its.records.begin(), its.records.end(), [&](const files::Record& record) {
          return record.certificate && std::none_of(others.begin(), others.end(), [&](const TrustedCertificate& other) {
                   return other.der == record.certificate->der();
                 });
        }));
  }
  if (records <= files::kMostListed) return {};
  return fail(Reason::kTrustListUnfit, "the list would have " + std::to_string(records) +
                                           " certificates, and phones take " + std::to_string(files::kMostListed) +
                                           ": remove others first, or add it with --vouch-only");
}

/// Ends that phones get older lists with one of these keys.
Status drop_older_lists(Transaction& tx, const Actor& actor, std::span<const KeyDigests> keys) {
  CAPF_LET(const auto all, tx.trust_lists().older());
  for (const OlderList& older : all) {
    CAPF_LET(const auto list, tx.trust_lists().find(older.kind, older.generation, ListDigest::kSha512));
    if (list && !lists_one_of(keys, *list)) continue;
    CAPF_LET(const auto devices, tx.trust_lists().serve_newest(older));
    CAPF_TRY(record(tx, actor, "trust_list.serve", devices,
                    "the newest " + std::string(to_string(older.kind)) + ", because a key of " +
                        std::to_string(older.generation) + " is blocked"));
  }
  return {};
}

}  // namespace

Result<TrustedCertificate> find_by_beginning(Transaction& tx, const std::string& beginning) {
  CAPF_LET(auto found, tx.trusted_certificates().find_beginning(beginning));
  if (found.empty()) return fail(Reason::kUnknownCertificate);
  if (found.size() > 1) {
    return fail(Reason::kInvalidRequest, beginning + " is the beginning of several certificates");
  }
  return std::move(found.front());
}

Status drop_with_keys(Transaction& tx, const Actor& actor, std::span<const KeyDigests> keys) {
  if (keys.empty()) return {};
  CAPF_TRY(drop_older_lists(tx, actor, keys));
  for (Page page{.limit = kPage};;) {
    CAPF_LET(const auto some, tx.trusted_certificates().list(page));
    for (const TrustedCertificate& each : some) {
      CAPF_LET(const ca::CertificateFacts facts, ca::read_certificate(each.der));
      // One that is blocked itself counts for nothing, and may be unblocked.
      if (each.blocked || !is_one_of(keys, facts.key)) continue;
      CAPF_TRY(tx.trusted_certificates().remove(each.id));
      CAPF_TRY(tx.audit().add(
          done(actor, "trusted_certificate.remove", to_hex(each.sha256), words_of(each) + ", whose key is blocked")));
    }
    if (some.size() < static_cast<std::size_t>(page.limit)) return {};
    page.after = some.back().id;
  }
}

Result<TrustedCertificateAdded> TrustedCertificates::add(const Actor& actor, const TrustedCertificateRequest& request) {
  CAPF_TRY(check(request));
  CAPF_LET(const Bytes der, one_certificate(request.file));
  const TrustRoles roles = in_order(request.roles);
  return in_write(database_, actor, [&](Transaction& tx) -> Result<TrustedCertificateAdded> {
    CAPF_TRY(tx.blocks().lock());  // whoever blocks it or its key comes before this, or finds it
    CAPF_LET(auto judged, ca::judge_listed(der, roles, tx.now()));
    const ca::CertificateFacts& facts = judged.facts;
    CAPF_LET(const auto blocked, tx.blocks().find(facts.sha256));
    CAPF_LET(const auto key, tx.keys().find(facts.key));
    if (blocked || (key && key->blocked)) {
      return fail(Reason::kInvalidCertificate,
                  "it, or its key, is blocked: 'capfctl certificate unblock' takes a certificate's back");
    }
    TrustedCertificate certificate{.sha256 = facts.sha256,
                                   .der = der,
                                   .subject = facts.subject,
                                   .issuer = facts.issuer,
                                   .serial = facts.serial,
                                   .not_before = facts.not_before,
                                   .not_after = facts.not_after,
                                   .roles = roles,
                                   .dns = request.dns,
                                   .address = request.address,
                                   .vouch_only = request.vouch_only,
                                   .added_at = tx.now(),
                                   .added_by = actor.name};
    CAPF_LET(const bool added, tx.trusted_certificates().add(certificate));
    if (!added) {
      return fail(Reason::kAnchorExists, "the certificate is there already: remove it first to add it in other roles");
    }
    if (!certificate.vouch_only) CAPF_TRY(check_room(tx));
    CAPF_TRY(tx.audit().add(done(actor, "trusted_certificate.add", to_hex(certificate.sha256), words_of(certificate))));
    return TrustedCertificateAdded{std::move(certificate), std::move(judged.warnings)};
  });
}

Result<std::vector<TrustedCertificate>> TrustedCertificates::list(const Page& page) {
  return in_read(database_, [&](Transaction& tx) { return tx.trusted_certificates().list(page); });
}

Result<TrustedCertificate> TrustedCertificates::remove(const Actor& actor, const std::string& sha256) {
  CAPF_LET(const std::string beginning, beginning_of_sha256(sha256, "a certificate"));
  return in_write(database_, actor, [&](Transaction& tx) -> Result<TrustedCertificate> {
    CAPF_LET(const TrustedCertificate certificate, find_by_beginning(tx, beginning));
    CAPF_LET(const bool removed, tx.trusted_certificates().remove(certificate.id));
    if (!removed) return fail(Reason::kUnknownCertificate);
    CAPF_TRY(
        tx.audit().add(done(actor, "trusted_certificate.remove", to_hex(certificate.sha256), words_of(certificate))));
    return certificate;
  });
}

Result<std::optional<TrustedCertificate>> TrustedCertificates::find(const Sha256& sha256) {
  return in_look(database_, [&](Transaction& tx) -> Result<std::optional<TrustedCertificate>> {
    CAPF_TRY(check_primary(tx));
    return tx.trusted_certificates().find(sha256);
  });
}

Result<std::vector<TrustedCertificate>> TrustedCertificates::find_by_serial(BytesView serial, int limit) {
  return in_look(database_, [&](Transaction& tx) -> Result<std::vector<TrustedCertificate>> {
    CAPF_TRY(check_primary(tx));
    return tx.trusted_certificates().find_by_serial(serial, limit);
  });
}

}  // namespace capf::service
