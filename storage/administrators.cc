#include "storage/administrators.h"

namespace capf::storage {
namespace {

const std::string kSelect =
    "select name, role, certificate_sha256, microseconds(certificate_not_after), microseconds(created_at), created_by, "
    "microseconds(disabled_at), microseconds(ends_at) from administrators";

Administrator read(Columns& columns) {
  Administrator administrator;
  administrator.name = columns.text();
  administrator.role = columns.word(parse_role);
  administrator.certificate_sha256 = columns.digest();
  administrator.certificate_not_after = columns.time();
  administrator.created_at = columns.time();
  administrator.created_by = columns.text();
  administrator.disabled_at = columns.optional_time();
  administrator.ends_at = columns.optional_time();
  return administrator;
}

const Statement kAdd{
    "administrators_add",
    "insert into administrators (name, role, certificate_sha256, certificate_not_after, created_by) values ($1::text, "
    "$2::text, $3::bytea, $4::timestamptz, $5::text) on conflict do nothing"};
const Statement kFind{"administrators_find",
                      kSelect + " where name = $1::text order by disabled_at desc nulls first, id desc limit 1"};
const Statement kFindCertificate{"administrators_find_certificate", kSelect + " where certificate_sha256 = $1::bytea"};
const Statement kList{"administrators_list", kSelect + " order by name, id"};
const Statement kDisable{"administrators_disable",
                         "update administrators set disabled_at = now() where name = $1::text and disabled_at is null"};
const Statement kEndCertificate{
    "administrators_end_certificate",
    "update administrators set ends_at = least($2::timestamptz, certificate_not_after) where name = $1::text and "
    "disabled_at is null and ends_at is null"};
const Statement kChangeRole{"administrators_change_role", "select change_administrator_role($1::text, $2::text)"};
const Statement kLock{"administrators_lock",
                      "select pg_advisory_xact_lock(hashtext('capf'), hashtext('administrators'))"};
const Statement kLockAdmins{"administrators_lock_admins",
                            "select name from administrators where role = 'admin' and disabled_at is null and "
                            "ends_at is null and certificate_not_after > now() order by name for update"};

}  // namespace

Result<bool> Administrators::add(const Administrator& administrator) {
  return session_.changes(
      kAdd, Parameters(administrator.name, to_string(administrator.role), administrator.certificate_sha256,
                       administrator.certificate_not_after, administrator.created_by));
}

Result<std::optional<Administrator>> Administrators::find(const std::string& name) {
  return session_.first(kFind, Parameters(name), read);
}

Result<std::optional<Administrator>> Administrators::find_certificate(const Sha256& sha256) {
  return session_.first(kFindCertificate, Parameters(sha256), read);
}

Result<std::vector<Administrator>> Administrators::list() { return session_.all(kList, Parameters(), read); }

Result<bool> Administrators::disable(const std::string& name) { return session_.changes(kDisable, Parameters(name)); }

Result<bool> Administrators::end_certificate(const std::string& name, TimePoint ends_at) {
  return session_.changes(kEndCertificate, Parameters(name, ends_at));
}

Result<bool> Administrators::change_role(const std::string& name, Role role) {
  return session_.value(kChangeRole, Parameters(name, to_string(role)), read_boolean);
}

Result<int> Administrators::lock() {
  CAPF_TRY(session_.execute(kLock, Parameters()));  // the next statement sees what the one before has written
  CAPF_LET(const auto names, session_.all(kLockAdmins, Parameters(), read_text));
  return static_cast<int>(names.size());
}

}  // namespace capf::storage
