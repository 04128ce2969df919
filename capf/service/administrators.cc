#include "capf/service/administrators.h"

#include "capf/ca/certificate.h"
#include "capf/domain/administrator_store.h"
#include "capf/domain/audit_store.h"
#include "capf/domain/key_store.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

constexpr std::chrono::hours kAdministratorValidity{24 * 730};

/// The clocks of servers differ a little, and a certificate's life is counted in months: `now` is the database's.
Status check_renewable(const Administrator& administrator, TimePoint now) {
  const auto life = administrator.certificate_not_after - administrator.created_at;
  const TimePoint from = administrator.certificate_not_after - life / 3;
  if (now >= from) return {};
  return fail(Reason::kRenewalTooEarly, "this certificate can be renewed from " + to_rfc3339(from) +
                                            " on; an admin can do it for somebody else at any time");
}

}  // namespace

Result<ca::OfferedKey> Administrators::read_key(BytesView request) const {
  CAPF_LET(ca::OfferedKey key, ca::read_request(request));
  CAPF_TRY(ca::check_key(key, false));
  CAPF_TRY(blacklist_.check(key.digests));
  return key;
}

Result<NewAdministrator> Administrators::appoint(Transaction& tx, const Actor& actor, const std::string& name,
                                                 Role role, const ca::OfferedKey& key) {
  CAPF_TRY(check_clock(tx, clock_));
  CAPF_LET(const auto known, tx.keys().find(key.digests));
  if (known) return fail(Reason::kKeyReserved, "this key is on record already: make a new one");
  CAPF_LET(const KeyRecord claimed, tx.keys().claim(key.digests, KeyOwner::kAdministrator, 0));
  if (claimed.owner != KeyOwner::kAdministrator || claimed.compromised || claimed.blocked) {
    return fail(Reason::kKeyReserved, "this key is on record already: make a new one");
  }
  const Bytes site_certificate = [this] {
    const std::lock_guard lock(mutex_);
    return site_certificate_;
  }();
  const ca::SiteAuthority authority{site_key_, site_certificate};
  NewAdministrator answer;
  CAPF_LET(answer.certificate, ca::make_administrator_certificate(authority, key.public_key, name, tx.now(),
                                                                  kAdministratorValidity, random_));
  CAPF_LET(const ca::CertificateFacts facts, ca::read_certificate(answer.certificate));
  answer.administrator = {name, role, facts.sha256, facts.not_after, tx.now(), actor.name, {}};
  answer.chain.push_back(site_certificate);
  CAPF_LET(const bool added, tx.administrators().add(answer.administrator));
  if (!added) return fail(Reason::kAdministratorExists);
  return answer;
}

Result<Administrator> Administrators::find_enabled(Transaction& tx, const std::string& name) const {
  CAPF_LET(std::optional<Administrator> found, tx.administrators().find(name));
  if (!found) return fail(Reason::kUnknownAdministrator, "there is no administrator " + name);
  if (found->disabled_at || high_water_.withdrawn().has_administrator(found->certificate_sha256)) {
    return fail(Reason::kUnknownAdministrator, name +
                                                   " is disabled; 'capfctl administrator enable' gives another "
                                                   "certificate");
  }
  return *std::move(found);
}

Result<NewAdministrator> Administrators::add(const Actor& actor, const std::string& name, Role role, BytesView request,
                                             const std::string& detail) {
  CAPF_TRY(check_administrator_name(name));
  CAPF_LET(const ca::OfferedKey key, read_key(request));
  return in_write(database_, actor, [&](Transaction& tx) -> Result<NewAdministrator> {
    CAPF_TRY(tx.administrators().lock());
    CAPF_LET(NewAdministrator answer, appoint(tx, actor, name, role, key));
    std::string words = "role " + std::string(to_string(role));
    if (!detail.empty()) words += ", " + detail;
    CAPF_TRY(tx.audit().add(done(actor, "administrator.add", name, words)));
    return answer;
  });
}

Result<NewAdministrator> Administrators::renew(const Actor& actor, const Administrator& caller, const std::string& name,
                                               BytesView request) {
  const std::string whose = name.empty() ? caller.name : name;
  const bool own = whose == caller.name;
  if (!own && caller.role != Role::kAdmin) {
    return fail(Reason::kRoleDenied, "only an admin renews the certificate of another administrator");
  }
  CAPF_TRY(check_administrator_name(whose));
  CAPF_LET(const ca::OfferedKey key, read_key(request));
  return in_write(database_, actor, [&](Transaction& tx) -> Result<NewAdministrator> {
    CAPF_TRY(tx.administrators().lock());
    if (own) CAPF_TRY(check_renewable(caller, tx.now()));
    CAPF_LET(const Administrator former, find_enabled(tx, whose));
    if (own && former.certificate_sha256 != caller.certificate_sha256 && former.created_by != whose) {
      return fail(Reason::kRenewalTooEarly, "an admin has renewed this certificate: its successor counts");
    }
    CAPF_LET(const bool ended, tx.administrators().end_certificate(whose, tx.now() + kFormerCertificateCounts));
    if (!ended) return fail(Reason::kChangedMeanwhile);
    CAPF_LET(NewAdministrator answer, appoint(tx, actor, whose, former.role, key));
    CAPF_TRY(tx.audit().add(done(actor, "administrator.renew", whose,
                                 "after the certificate " + to_hex(former.certificate_sha256).substr(0, 16))));
    return answer;
  });
}

Result<NewAdministrator> Administrators::enable(const Actor& actor, const std::string& name, BytesView request) {
  CAPF_TRY(check_administrator_name(name));
  CAPF_LET(const ca::OfferedKey key, read_key(request));
  return in_write(database_, actor, [&](Transaction& tx) -> Result<NewAdministrator> {
    CAPF_TRY(tx.administrators().lock());
    CAPF_LET(const std::optional<Administrator> former, tx.administrators().find(name));
    if (!former) return fail(Reason::kUnknownAdministrator, "there was no administrator " + name);
    if (!former->disabled_at) {
      return fail(Reason::kAdministratorExists, name +
                                                    " is enabled; 'capfctl administrator renew' gives another "
                                                    "certificate");
    }
    CAPF_LET(NewAdministrator answer, appoint(tx, actor, name, former->role, key));
    CAPF_TRY(tx.audit().add(done(actor, "administrator.enable", name, "role " + std::string(to_string(former->role)))));
    return answer;
  });
}

Result<Administrator> Administrators::change_role(const Actor& actor, const std::string& name, Role role) {
  CAPF_TRY(check_administrator_name(name));
  return in_write(database_, actor, [&](Transaction& tx) -> Result<Administrator> {
    CAPF_LET(const int admins, tx.administrators().lock());
    CAPF_LET(Administrator administrator, find_enabled(tx, name));
    if (administrator.role == role) return administrator;
    const bool counted = administrator.role == Role::kAdmin && administrator.certificate_not_after > tx.now();
    if (counted && admins <= 1) return fail(Reason::kLastAdministrator, "the last admin cannot have another role");
    CAPF_LET(const bool changed, tx.administrators().change_role(name, role));
    if (!changed) return fail(Reason::kChangedMeanwhile);
    CAPF_TRY(tx.audit().add(
        done(actor, "administrator.change", name,
             "role " + std::string(to_string(role)) + ", which was " + std::string(to_string(administrator.role)))));
    administrator.role = role;
    return administrator;
  });
}

Result<std::vector<Administrator>> Administrators::list() {
  return in_read(database_, [](Transaction& tx) { return tx.administrators().list(); });
}

Status Administrators::disable(const Actor& actor, const std::string& name) {
  return in_write(database_, actor, [&](Transaction& tx) -> Status {
    CAPF_LET(const int admins, tx.administrators().lock());
    CAPF_LET(const auto administrator, tx.administrators().find(name));
    if (!administrator) return fail(Reason::kUnknownAdministrator, "there is no administrator " + name);
    if (administrator->disabled_at) return {};
    // An administrator whose certificate has expired does not count as the last one.
    const bool counted = administrator->role == Role::kAdmin && administrator->certificate_not_after > tx.now();
    if (counted && admins <= 1) return fail(Reason::kLastAdministrator);
    CAPF_TRY(tx.administrators().disable(name));
    return tx.audit().add(done(actor, "administrator.disable", name));
  });
}

Result<Recognised> Administrators::recognise(const Sha256& certificate) {
  return in_read(database_, [&](Transaction& tx) -> Result<Recognised> {
    CAPF_LET(std::optional<Administrator> administrator, tx.administrators().find_certificate(certificate));
    if (!administrator) return fail(Reason::kAdministratorUnknown);
    if (administrator->disabled_at || high_water_.withdrawn().has_administrator(certificate)) {
      return fail(Reason::kAdministratorDisabled);
    }
    if (administrator->ends_at && tx.now() > *administrator->ends_at) {
      return fail(Reason::kAdministratorDisabled, "this certificate was renewed: its successor counts");
    }
    if (tx.now() > administrator->certificate_not_after) {
      return fail(Reason::kCertificateExpired, "this administrator's certificate has expired");
    }
    return Recognised{*std::move(administrator), check_clock(tx, clock_), high_water_.check()};
  });
}

}  // namespace capf::service
