#include "capf/service/issuers.h"

#include <algorithm>
#include <utility>

#include "capf/base/log.h"
#include "capf/base/version.h"
#include "capf/ca/certificate.h"
#include "capf/ca/site.h"
#include "capf/ca/spki.h"
#include "capf/domain/audit_store.h"
#include "capf/domain/certificate_store.h"
#include "capf/domain/key_store.h"
#include "capf/domain/phone_store.h"
#include "capf/domain/policy.h"
#include "capf/domain/profile_store.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

constexpr int kMostShards = 1024;
constexpr int kRevokedAtOnce = 200;

Result<std::unique_ptr<ca::SigningKey>> make_key(const IssuerRequest& request, IssuerFolder& folder) {
  if (!request.token.empty()) return folder.open_in_token(request.token, request.key);
  if (!request.key) return fail(Reason::kInvalidRequest, "a new key is of some kind, or in a token");
  return ca::generate_key(*request.key);
}

Result<ca::ImportedAuthority> make_authority(const IssuerRequest& request, IssuerFolder& folder, TimePoint now,
                                             Botan::RandomNumberGenerator& random) {
  if (request.days < 1 || request.days > ca::kLongestValidity.count()) {
    return fail(Reason::kInvalidRequest, "an issuer is valid for 1 to 36500 days");
  }
  ca::ImportedAuthority made;
  CAPF_LET(made.key, make_key(request, folder));
  const ca::AuthorityRequest wanted{request.subject, now, std::chrono::hours(24) * request.days};
  CAPF_LET(made.certificate, ca::make_capf_certificate(*made.key, wanted, random));
  return made;
}

Result<IssuerRecord> record_of(const ca::ImportedAuthority& authority, int shards) {
  CAPF_LET(const ca::CertificateFacts facts, ca::read_certificate(authority.certificate));
  IssuerRecord record;
  record.subject = facts.subject;
  record.sha256 = facts.sha256;
  record.der = authority.certificate;
  for (const Bytes& above : authority.chain)
    record.chain_der.insert(record.chain_der.end(), above.begin(), above.end());
  record.not_before = facts.not_before;
  record.not_after = facts.not_after;
  record.shards = shards;
  return record;
}

std::string subject_of(std::int64_t id) { return std::to_string(id); }

std::string count_words(std::int64_t count) {
  return std::to_string(count) + (count == 1 ? " valid certificate" : " valid certificates");
}

Result<IssuerRecord> find(Transaction& tx, std::int64_t id) {
  CAPF_LET(auto record, tx.issuers().find(id));
  if (!record) return fail(Reason::kUnknownIssuer, "there is no issuer " + std::to_string(id));
  return *std::move(record);
}

/// The servers that do not have the issuer's key: "a, b".
Result<std::string> servers_without(Transaction& tx, std::int64_t id) {
  CAPF_LET(const auto servers, tx.servers().alive());
  std::string names;
  for (const ServerRecord& server : servers) {
    if (std::find(server.issuers.begin(), server.issuers.end(), id) != server.issuers.end()) continue;
    names += (names.empty() ? "" : ", ") + server.name;
  }
  return names;
}

}  // namespace

Issuers::Issuers(Database& database, const Clock& clock, ca::Issuers& keys, IssuerFolder& folder, std::string server,
                 std::string status_url, SubjectForm lsc_subject, const ca::Blacklist& blacklist,
                 const ca::Vault& vault, Botan::RandomNumberGenerator& random, Settings settings)
    : database_(database),
      clock_(clock),
      keys_(keys),
      folder_(folder),
      server_(std::move(server)),
      status_url_(std::move(status_url)),
      lsc_subject_(lsc_subject),
      blacklist_(blacklist),
      vault_(vault),
      random_(random),
      settings_(std::move(settings)) {}

Result<IssuerRecord> Issuers::add(const Actor& actor, IssuerRequest request) {
  if (request.shards < 1 || request.shards > kMostShards) {
    return fail(Reason::kInvalidRequest, "the CRL of an issuer has 1 to 1024 shards");
  }
  ca::ImportedAuthority authority;
  const bool waited = !request.certificates.empty();
  if (waited) {
    CAPF_LET(auto key, folder_.open_waiting());
    if (!key) {
      return fail(Reason::kInvalidRequest,
                  "no key waits for a certificate on this server: 'capfctl issuer add --csr-only' makes one");
    }
    CAPF_LET(request.imported, ca::import_certificates(request.certificates, std::move(key)));
  }
  const bool imports = request.imported.has_value();
  if (imports) {
    authority = *std::move(request.imported);
    CAPF_TRY(ca::check_capf_certificate(authority, lsc_subject_, clock_.now(), random_));
  } else {
    CAPF_LET(authority, make_authority(request, folder_, clock_.now(), random_));
  }
  CAPF_LET(IssuerRecord record, record_of(authority, request.shards));
  const KeyDigests key = ca::key_digests(authority.key->public_key());
  CAPF_TRY(blacklist_.check(key));
  // The key is on disk before the record says that there is such an issuer.
  CAPF_LET(record, in_write(database_, actor, [&](Transaction& tx) -> Result<IssuerRecord> {
             CAPF_LET(const std::int64_t id, tx.issuers().lock());
             CAPF_LET(const auto issuers, tx.issuers().list());
             const auto same = [&](const IssuerRecord& other) { return other.sha256 == record.sha256; };
             if (std::any_of(issuers.begin(), issuers.end(), same)) return fail(Reason::kIssuerExists);
             CAPF_LET(const auto owner, tx.keys().find(key));
             // CRLs and OCSP could not distinguish two generations with the same key.
             if (owner) return fail(Reason::kKeyReserved);
             CAPF_TRY(tx.keys().claim(key, KeyOwner::kIssuer, 0));
             CAPF_TRY(folder_.keep(id, authority));
             CAPF_TRY(tx.issuers().add(record));
             CAPF_TRY(tx.audit().add(done(actor, "issuer.add", subject_of(id),
                                          record.subject + ", SHA-256 " + to_hex(record.sha256) +
                                              (imports ? ", imported" : "") +
                                              (authority.key->uri().empty() ? "" : ", in a token"))));
             return find(tx, id);
           }));
  if (waited) CAPF_TRY(folder_.forget_waiting());
  CAPF_TRY(refresh());
  return record;
}

Result<Bytes> Issuers::make_request(const Actor& actor, const IssuerRequest& request) {
  CAPF_LET(const auto waits, folder_.open_waiting());
  if (waits) {
    return fail(Reason::kSiteExists,
                "a key waits on this server for its certificate already: add that with "
                "'capfctl issuer add --certificate', or remove keys/issuer-next.* there");
  }
  CAPF_LET(const auto key, make_key(request, folder_));
  CAPF_LET(Bytes der, ca::make_capf_request(*key, request.subject, random_));
  CAPF_TRY(folder_.keep_waiting(*key));
  CAPF_TRY(in_write(database_, actor, [&](Transaction& tx) {
    return tx.audit().add(done(actor, "issuer.request", server_, "key SHA-256 " + to_hex(sha256(key->public_key()))));
  }));
  return der;
}

Result<IssuerRecord> Issuers::activate(const Actor& actor, std::int64_t id, bool force) {
  return in_write(database_, actor, [&](Transaction& tx) -> Result<IssuerRecord> {
    CAPF_TRY(tx.issuers().lock());
    CAPF_LET(const IssuerRecord record, find(tx, id));
    if (record.active) return record;
    if (record.retired_at) return fail(Reason::kIssuerRetired);
    if (tx.now() < record.not_before || tx.now() > record.not_after) return fail(Reason::kIssuerExpired);
    CAPF_LET(const std::string without, servers_without(tx, id));
    if (!without.empty() && !force) {
      return fail(Reason::kIssuerNotReady, "these servers do not have its key yet and would refuse every phone: " +
                                               without + "; give them keys/issuer-" + std::to_string(id) + ".key");
    }
    CAPF_LET(const bool activated, tx.issuers().activate(id));
    if (!activated) return fail(Reason::kChangedMeanwhile);
    CAPF_TRY(tx.audit().add(done(actor, "issuer.activate", subject_of(id),
                                 record.subject + (without.empty() ? "" : ", without " + without))));
    return find(tx, id);
  });
}

Result<IssuerRecord> Issuers::retire(const Actor& actor, std::int64_t id, bool force) {
  for (;;) {
    bool more = false;
    CAPF_LET(const IssuerRecord retired, in_write(database_, actor, [&](Transaction& tx) -> Result<IssuerRecord> {
               more = false;
               CAPF_TRY(tx.issuers().lock());
               CAPF_LET(const IssuerRecord record, find(tx, id));
               if (record.active) return fail(Reason::kIssuerActive);
               if (record.retired_at) return fail(Reason::kIssuerRetired);
               CAPF_LET(const auto live, tx.certificates().live_of_issuer(id, kRevokedAtOnce));
               if (!live.empty() && !force) {
                 CAPF_LET(const IssuerUse use, tx.issuers().use(id));
                 return fail(Reason::kIssuerInUse, "phones still have " + count_words(use.valid) + " of this issuer");
               }
               std::vector<std::int64_t> phones;
               for (const Certificate& lsc : live) phones.push_back(lsc.phone_id);
               CAPF_TRY(tx.phones().lock_all(phones));
               CertificateSelection of_issuer;
               of_issuer.issuer_id = id;
               CAPF_LET(const auto lscs, tx.certificates().selected(of_issuer, phones));  // as they are under the locks
               CAPF_TRY(revoke(tx, actor, lscs, RevocationReason::kCessationOfOperation));
               more = live.size() == kRevokedAtOnce;
               if (more) return record;
               CAPF_TRY(tx.issuers().retire(id));
               CAPF_TRY(tx.audit().add(done(actor, "issuer.retire", subject_of(id), record.subject)));
               return find(tx, id);
             }));
    if (!more) return retired;
  }
}

Result<std::vector<IssuerRecord>> Issuers::list() {
  return in_read(database_, [](Transaction& tx) { return tx.issuers().list(); });
}

Result<IssuerView> Issuers::show(std::int64_t id) {
  return in_read(database_, [&](Transaction& tx) -> Result<IssuerView> {
    IssuerView view;
    CAPF_LET(view.record, find(tx, id));
    CAPF_LET(view.use, tx.issuers().use(id));
    CAPF_LET(view.servers, tx.servers().alive());
    return view;
  });
}

Status Issuers::open_key(const IssuerRecord& record) {
  CAPF_LET(auto key, folder_.open(record));
  if (!key) return fail(Reason::kIssuerKeyAbsent, "the key of issuer " + std::to_string(record.id) + " is not here");
  CAPF_LET(auto issuer, ca::Issuer::make(record, std::move(key), status_url_));
  keys_.put(std::move(issuer));
  return {};
}

Status Issuers::start() {
  CAPF_LET(const auto records, list());
  for (const IssuerRecord& record : records) {
    const Status opened = open_key(record);
    // refresh() reports the faults of other issuers' keys; only the active one's stops the start.
    if (!opened && record.active) return opened;
  }
  return refresh();
}

Status Issuers::check_agreement(Transaction& tx) const {
  CAPF_TRY(tx.profiles().lock());  // of two servers that start at the same time, one is the second
  CAPF_LET(const auto servers, tx.servers().alive());
  for (const ServerRecord& server : servers) {
    if (!server.settings || server.name == server_) continue;
    const std::vector<std::string> names = different_settings(*server.settings, settings_);
    if (names.empty()) continue;
    return fail(Reason::kInvalidConfiguration,
                "the server " + server.name + " of this site was there at " + to_rfc3339(server.seen_at) +
                    " and has another " + listed(names) +
                    ": all servers of a site have the same [policy] for phones; stop that one first (one that was "
                    "killed counts for 30 s)");
  }
  return {};
}

Status Issuers::refresh() {
  const std::lock_guard lock(mutex_);
  CAPF_LET(const auto records, list());
  ServerRecord self;
  self.name = server_;
  self.version = version();
  self.secrets = vault_.generations();
  for (const IssuerRecord& record : records) {
    const auto issuer = keys_.find(record.id);
    const Status able = issuer ? issuer->key().ready() : open_key(record);
    const std::string fault = able ? "" : able.error().message;
    // Logged once for each fault, not every few seconds.
    if (!able && faults_[record.id] != fault) log_warning("issuer.absent", able.error(), {{"issuer", record.id}});
    faults_[record.id] = fault;
    if (able) self.issuers.push_back(record.id);
  }
  self.settings = settings_;
  const Status seen = database_.write([&](Transaction& tx) -> Status {
    if (!joined_) CAPF_TRY(check_agreement(tx));
    return tx.servers().see(self);
  });
  joined_ = joined_ || seen.has_value();
  // A standby cannot be written, and nothing waits for this server's keys there.
  if (!seen && seen.error().reason == Reason::kDatabaseReadOnly) return {};
  return seen;
}

void Issuers::leave() {
  const Status left = database_.write([&](Transaction& tx) { return tx.servers().remove(server_); });
  if (!left) log_warning("server.leaving", left.error());
}

}  // namespace capf::service
