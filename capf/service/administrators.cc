#include "capf/service/administrators.h"

#include "capf/ca/certificate.h"
#include "capf/ca/request.h"
#include "capf/domain/administrator_store.h"
#include "capf/domain/audit_store.h"
#include "capf/domain/key_store.h"
#include "capf/service/steps.h"

namespace capf::service {
namespace {

constexpr std::chrono::hours kAdministratorValidity{24 * 730};

}  // namespace

Result<NewAdministrator> Administrators::add(const Actor& actor, const std::string& name, Role role, BytesView request,
                                             const std::string& detail) {
  CAPF_TRY(check_administrator_name(name));
  CAPF_LET(const ca::OfferedKey key, ca::read_request(request));
  CAPF_TRY(ca::check_key(key, false));
  CAPF_TRY(blacklist_.check(key.digests));
  return in_write(database_, actor, [&](Transaction& tx) -> Result<NewAdministrator> {
    CAPF_TRY(check_clock(tx, clock_));
    CAPF_LET(const auto known, tx.keys().find(key.digests));
    if (known) return fail(Reason::kKeyReserved, "this key is on record already: make a new one");
    CAPF_TRY(tx.keys().claim(key.digests, KeyOwner::kAdministrator, 0));
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
    std::string words = "role " + std::string(to_string(role));
    if (!detail.empty()) words += ", " + detail;
    CAPF_TRY(tx.audit().add(done(actor, "administrator.add", name, words)));
    return answer;
  });
}

Result<std::vector<Administrator>> Administrators::list() {
  return in_read(database_, [](Transaction& tx) { return tx.administrators().list(); });
}

Status Administrators::disable(const Actor& actor, const std::string& name) {
  return in_write(database_, actor, [&](Transaction& tx) -> Status {
    CAPF_LET(const int admins, tx.administrators().lock_admins());
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
    if (tx.now() > administrator->certificate_not_after) {
      return fail(Reason::kCertificateExpired, "this administrator's certificate has expired");
    }
    return Recognised{*std::move(administrator), check_clock(tx, clock_), high_water_.check()};
  });
}

}  // namespace capf::service
