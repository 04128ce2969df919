#include "storage/trusted_certificates.h"

#include <sstream>

namespace capf::storage {
namespace {

// Roles have no blanks.
const std::string kSelect =
    "select t.id, t.sha256, t.der, t.subject, t.issuer, t.serial, microseconds(t.not_before), "
    "microseconds(t.not_after), array_to_string(t.roles, ' '), t.dns, t.address, t.vouch_only, "
    "microseconds(t.added_at), t.added_by, microseconds(t.activated_at), exists (select from blocked_certificates b "
    "where b.sha256 = t.sha256) "
    "from trusted_certificates t";

TrustRoles roles_from(const std::string& text) {
  TrustRoles roles;
  std::istringstream words(text);
  for (std::string word; words >> word;) roles.push_back(parse_trust_role(word).value());
  return roles;
}

TrustedCertificate read(Columns& columns) {
  TrustedCertificate certificate;
  certificate.id = columns.number();
  certificate.sha256 = columns.digest();
  certificate.der = columns.bytes();
  certificate.subject = columns.text();
  certificate.issuer = columns.text();
  certificate.serial = columns.bytes();
  certificate.not_before = columns.time();
  certificate.not_after = columns.time();
  certificate.roles = roles_from(columns.text());
  certificate.dns = columns.text();
  if (const std::string address = columns.text(); !address.empty()) {
    certificate.address = Address::parse(address).value();
  }
  certificate.vouch_only = columns.boolean();
  certificate.added_at = columns.time();
  certificate.added_by = columns.text();
  certificate.activated_at = columns.optional_time();
  certificate.blocked = columns.boolean();
  return certificate;
}

const Statement kAdd{
    "trusted_certificates_add",
    "insert into trusted_certificates (sha256, der, subject, issuer, serial, not_before, not_after, roles, dns, "
    "address, vouch_only, added_by) values ($1::bytea, $2::bytea, $3::text, $4::text, $5::bytea, $6::timestamptz, "
    "$7::timestamptz, $8::text[], $9::text, $10::text, $11::boolean, $12::text) on conflict (sha256) do nothing"};
const Statement kFind{"trusted_certificates_find", kSelect + " where t.sha256 = $1::bytea"};
const Statement kFindBeginning{"trusted_certificates_find_beginning",
                               kSelect +
                                   " where t.sha256 between decode(rpad($1::text, 64, '0'), 'hex') and "
                                   "decode(rpad($1::text, 64, 'f'), 'hex') order by t.sha256 limit 2"};
const Statement kFindBySerial{"trusted_certificates_find_by_serial",
                              kSelect + " where t.serial = $1::bytea limit $2::int"};
const Statement kList{"trusted_certificates_list", kSelect + " where t.id > $1::bigint order by t.id limit $2::int"};
const Statement kListed{"trusted_certificates_listed",
                        kSelect + " where t.id > $1::bigint and not t.vouch_only order by t.id limit $2::int"};
const Statement kActivate{"trusted_certificates_activate",
                          "update trusted_certificates set activated_at = now() where id = $1::bigint"};
const Statement kRemove{"trusted_certificates_remove", "delete from trusted_certificates where id = $1::bigint"};

}  // namespace

Result<bool> TrustedCertificates::add(const TrustedCertificate& certificate) {
  Array roles;
  for (const TrustRole role : certificate.roles) roles.add(to_string(role));
  return session_.changes(
      kAdd, Parameters(certificate.sha256, certificate.der, certificate.subject, certificate.issuer, certificate.serial,
                       certificate.not_before, certificate.not_after, roles, certificate.dns,
                       certificate.address ? certificate.address->to_string() : std::string(), certificate.vouch_only,
                       certificate.added_by));
}

Result<std::optional<TrustedCertificate>> TrustedCertificates::find(const Sha256& sha256) {
  return session_.first(kFind, Parameters(sha256), read);
}

Result<std::vector<TrustedCertificate>> TrustedCertificates::find_beginning(const std::string& hexadecimal) {
  return session_.all(kFindBeginning, Parameters(hexadecimal), read);
}

Result<std::vector<TrustedCertificate>> TrustedCertificates::find_by_serial(BytesView serial, int limit) {
  return session_.all(kFindBySerial, Parameters(serial, limit), read);
}

Result<std::vector<TrustedCertificate>> TrustedCertificates::list(const Page& page) {
  return session_.all(kList, Parameters(page.after, page.limit), read);
}

Result<std::vector<TrustedCertificate>> TrustedCertificates::listed(const Page& page) {
  return session_.all(kListed, Parameters(page.after, page.limit), read);
}

Result<bool> TrustedCertificates::activate(std::int64_t id) { return session_.changes(kActivate, Parameters(id)); }

Result<bool> TrustedCertificates::remove(std::int64_t id) { return session_.changes(kRemove, Parameters(id)); }

}  // namespace capf::storage
