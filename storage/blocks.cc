#include "storage/blocks.h"

namespace capf::storage {
namespace {

const std::string kSelect =
    "select id, sha256, key_sha256, modulus_sha256, serial, subject, issuer, microseconds(not_after), "
    "microseconds(blocked_at), "
    "blocked_by from blocked_certificates";

BlockedCertificate read(Columns& columns) {
  BlockedCertificate certificate;
  certificate.id = columns.number();
  certificate.sha256 = columns.digest();
  certificate.key.sha256 = columns.digest();
  certificate.key.modulus = columns.optional_digest();
  certificate.serial = columns.bytes();
  certificate.subject = columns.text();
  certificate.issuer = columns.text();
  certificate.not_after = columns.time();
  certificate.blocked_at = columns.time();
  certificate.blocked_by = columns.text();
  return certificate;
}

// The lock of the trust anchors: every transaction that changes something on a certificate's authority shares it
// (storage/anchors.cc).
const Statement kLock{"blocks_lock", "select pg_advisory_xact_lock(hashtext('capf'), hashtext('trust_anchors'))"};
const Statement kAdd{"blocks_add",
                     "insert into blocked_certificates (sha256, key_sha256, modulus_sha256, serial, subject, issuer, "
                     "not_after, blocked_by) values ($1::bytea, $2::bytea, $3::bytea, $4::bytea, $5::text, $6::text, "
                     "$7::timestamptz, $8::text) on conflict (sha256) do nothing"};
const Statement kBringBack{
    "blocks_bring_back",
    "insert into blocked_certificates (sha256, key_sha256, modulus_sha256, serial, subject, issuer, not_after, "
    "blocked_by) select sha256, key_sha256, modulus_sha256, serial, subject, issuer, not_after, blocked_by "
    "from jsonb_populate_record(null::blocked_certificates, $1::text::jsonb) on conflict (sha256) do nothing"};
const Statement kFind{"blocks_find", kSelect + " where sha256 = $1::bytea"};
// Digests are compared octet by octet, so those with the same beginning are adjacent.
const Statement kFindBeginning{"blocks_find_beginning",
                               kSelect +
                                   " where sha256 between decode(rpad($1::text, 64, '0'), 'hex') and "
                                   "decode(rpad($1::text, 64, 'f'), 'hex') order by sha256 limit 2"};
const Statement kRemove{"blocks_remove", "delete from blocked_certificates where id = $1::bigint"};
const Statement kList{"blocks_list", kSelect + " where id > $1::bigint order by id limit $2::int"};

}  // namespace

Status Blocks::lock() { return session_.execute(kLock, Parameters()); }

Result<bool> Blocks::add(const BlockedCertificate& certificate) {
  return session_.changes(
      kAdd, Parameters(certificate.sha256, certificate.key.sha256, certificate.key.modulus, certificate.serial,
                       certificate.subject, certificate.issuer, certificate.not_after, certificate.blocked_by));
}

Result<bool> Blocks::bring_back(const std::string& row) { return session_.changes(kBringBack, Parameters(row)); }

Result<std::optional<BlockedCertificate>> Blocks::find(const Sha256& sha256) {
  return session_.first(kFind, Parameters(sha256), read);
}

Result<std::vector<BlockedCertificate>> Blocks::find_beginning(const std::string& hexadecimal) {
  return session_.all(kFindBeginning, Parameters(hexadecimal), read);
}

Status Blocks::remove(std::int64_t id) { return session_.execute(kRemove, Parameters(id)); }

Result<std::vector<BlockedCertificate>> Blocks::list(const Page& page) {
  return session_.all(kList, Parameters(page.after, page.limit), read);
}

}  // namespace capf::storage
