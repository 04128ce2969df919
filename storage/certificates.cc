#include "storage/conditions.h"
#include "storage/stores.h"

namespace capf::storage {

Certificate read_certificate(Columns& columns) {
  Certificate certificate;
  certificate.id = columns.number();
  certificate.kind = columns.word(parse_certificate_kind);
  certificate.sha256 = columns.digest();
  certificate.serial = columns.bytes();
  certificate.issuer_id = columns.id();
  certificate.issuer = columns.text();
  certificate.phone_id = columns.number();
  certificate.device = columns.text();
  certificate.operation_id = columns.id();
  certificate.key_sha256 = columns.digest();
  certificate.der = columns.bytes();
  certificate.not_before = columns.time();
  certificate.not_after = columns.time();
  certificate.issued_at = columns.time();
  certificate.possession = columns.word(parse_possession);
  certificate.shard = columns.integer();
  certificate.confirmed_at = columns.optional_time();
  certificate.superseded_at = columns.optional_time();
  certificate.revoked_at = columns.optional_time();
  if (const auto code = columns.id_or_none()) {
    certificate.revocation_reason = revocation_reason_from_code(static_cast<int>(*code)).value();
  }
  return certificate;
}

namespace {

const std::string kSelect =
    "select " + std::string(kCertificateColumns) + " from certificates c join phones p on p.id = c.phone_id";

LscHistory read_history(Columns& columns) {
  LscHistory history;
  history.valid = columns.boolean();
  history.ever_confirmed = columns.boolean();
  return history;
}

const std::string kInsert =
    "insert into certificates (kind, sha256, serial, issuer_id, issuer, phone_id, operation_id, key_sha256, der, "
    "not_before, not_after, possession, shard) values ($1::text, $2::bytea, $3::bytea, $4::bigint, $5::text, "
    "$6::bigint, $7::bigint, $8::bytea, $9::bytea, $10::timestamptz, $11::timestamptz, $12::text, $13::int)";
const Statement kAdd{"certificates_add", kInsert + " returning id"};
const Statement kAddHandedOver{
    "certificates_add_handed_over",
    kInsert + " on conflict (phone_id, sha256) where kind = 'handed_over' do nothing returning id"};
const Statement kFindHandedOver{
    "certificates_find_handed_over",
    "select id from certificates where kind = 'handed_over' and phone_id = $1::bigint and sha256 = $2::bytea"};
const Statement kFindLsc{"certificates_find_lsc", kSelect + " where c.kind = 'lsc' and c.sha256 = $1::bytea"};
const Statement kFindSerial{
    "certificates_find_serial",
    kSelect + " where ltrim(c.serial, '\\x00'::bytea) = ltrim($1::bytea, '\\x00'::bytea) order by c.id limit 100"};
const Statement kFindIssued{
    "certificates_find_issued",
    kSelect +
        " where c.kind = 'lsc' and c.operation_id = $1::bigint and c.key_sha256 = $2::bytea and "
        "c.revoked_at is null"};
const Statement kLive{"certificates_live",
                      kSelect +
                          " where c.kind = 'lsc' and c.phone_id = $1::bigint and c.revoked_at is null "
                          "and c.not_after >= now() order by c.id"};
const Statement kHistory{
    "certificates_history",
    "select exists (select from certificates where phone_id = $1::bigint and kind = 'lsc' and revoked_at is null "
    "and confirmed_at is not null and now() between not_before and not_after), "
    "exists (select from certificates where phone_id = $1::bigint and confirmed_at is not null)"};
const Statement kLiveOfIssuer{"certificates_live_of_issuer",
                              kSelect +
                                  " where c.kind = 'lsc' and c.issuer_id = $1::bigint and c.revoked_at is null "
                                  "and c.not_after >= now() order by c.phone_id, c.id limit $2::int"};
const Statement kOfPhone{"certificates_of_phone",
                         kSelect + " where c.phone_id = $1::bigint order by c.id desc limit $2::int"};
const Statement kConfirm{"certificates_confirm",
                         "update certificates set confirmed_at = now() where id = $1::bigint and kind = 'lsc' and "
                         "confirmed_at is null"};
const Statement kRevoke{
    "certificates_revoke",
    "with marked as (update certificates set revoked_at = now(), revocation_reason = $2::int, "
    "superseded_at = case when $2::int = 4 then now() end "
    "where id = $1::bigint and kind = 'lsc' and revoked_at is null returning issuer_id, serial, shard, not_after) "
    "insert into revocations (issuer_id, serial, shard, revoked_at, reason, expires_at) "
    "select issuer_id, serial, shard, now(), $2::int, not_after from marked"};

const Statement kStatuses{
    "certificates_statuses",
    "select serial, microseconds(not_after), microseconds(revoked_at), revocation_reason from certificates "
    "where kind = 'lsc' and issuer_id = $1::bigint and serial = any ($2::bytea[])"};

SerialStatus read_status(Columns& columns) {
  SerialStatus status;
  status.serial = columns.serial();
  status.not_after = columns.time();
  status.revoked_at = columns.optional_time();
  if (!columns.next_is_null()) status.reason = revocation_reason_from_code(columns.integer()).value();
  return status;
}

// The first that fits, as Certificate::state() has it.
std::string_view condition(CertificateState state) {
  switch (state) {
    case CertificateState::kSuperseded: return "c.superseded_at is not null";
    case CertificateState::kRevoked: return "c.revoked_at is not null and c.superseded_at is null";
    case CertificateState::kExpired: return "c.revoked_at is null and c.not_after < now()";
    case CertificateState::kConfirmed:
      return "c.revoked_at is null and c.not_after >= now() and c.confirmed_at is not null";
    case CertificateState::kIssued: return "c.revoked_at is null and c.not_after >= now() and c.confirmed_at is null";
  }
  CAPF_INVARIANT(false);
}

}  // namespace

Result<std::int64_t> Certificates::add(const Certificate& certificate) {
  const Parameters row(to_string(certificate.kind), certificate.sha256, certificate.serial,
                       unless_zero(certificate.issuer_id), certificate.issuer, certificate.phone_id,
                       unless_zero(certificate.operation_id), certificate.key_sha256, certificate.der,
                       certificate.not_before, certificate.not_after, to_string(certificate.possession),
                       certificate.shard);
  if (certificate.kind == CertificateKind::kLsc) return session_.value(kAdd, row, read_number);
  CAPF_LET(const auto added, session_.first(kAddHandedOver, row, read_number));
  if (added) return *added;
  return session_.value(kFindHandedOver, Parameters(certificate.phone_id, certificate.sha256), read_number);
}

Result<std::optional<Certificate>> Certificates::find_lsc(const Sha256& sha256) {
  return session_.first(kFindLsc, Parameters(sha256), read_certificate);
}

Result<std::vector<Certificate>> Certificates::find_serial(BytesView serial) {
  return session_.all(kFindSerial, Parameters(serial), read_certificate);
}

Result<std::optional<Certificate>> Certificates::find_issued(std::int64_t operation_id, const Sha256& key_sha256) {
  return session_.first(kFindIssued, Parameters(operation_id, key_sha256), read_certificate);
}

Result<std::vector<Certificate>> Certificates::live(std::int64_t phone_id) {
  return session_.all(kLive, Parameters(phone_id), read_certificate);
}

Result<LscHistory> Certificates::history(std::int64_t phone_id) {
  return session_.value(kHistory, Parameters(phone_id), read_history);
}

Result<std::vector<Certificate>> Certificates::live_of_issuer(std::int64_t issuer_id, int limit) {
  return session_.all(kLiveOfIssuer, Parameters(issuer_id, limit), read_certificate);
}

Result<std::vector<Certificate>> Certificates::of_phone(std::int64_t phone_id, int limit) {
  return session_.all(kOfPhone, Parameters(phone_id, limit), read_certificate);
}

Result<std::vector<Certificate>> Certificates::list(const CertificateFilter& filter, const Page& page) {
  Conditions where;
  where.add("c.id > ?::bigint", page.after);
  if (filter.device) where.add("p.device = ?::text", *filter.device);
  if (filter.issuer_id) where.add("c.issuer_id = ?::bigint", *filter.issuer_id);
  if (filter.state) where.add(condition(*filter.state));
  if (filter.expires_before) where.add("c.not_after < ?::timestamptz", *filter.expires_before);
  if (filter.kind) where.add("c.kind = ?::text", to_string(*filter.kind));
  const std::string limit = where.parameter(page.limit);
  return session_.all_once(kSelect + where.text() + " order by c.id limit " + limit + "::int", where.parameters(),
                           read_certificate);
}

Result<bool> Certificates::confirm(std::int64_t id) { return session_.changes(kConfirm, Parameters(id)); }

Result<bool> Certificates::revoke(const Certificate& certificate, RevocationReason reason) {
  return session_.changes(kRevoke, Parameters(certificate.id, static_cast<int>(reason)));
}

Result<std::vector<SerialStatus>> Certificates::statuses(std::int64_t issuer_id,
                                                         std::span<const SerialNumber> serials) {
  return session_.all(kStatuses, Parameters(issuer_id, serials), read_status);
}

}  // namespace capf::storage
