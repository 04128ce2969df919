#include "storage/anchors.h"

#include <sstream>

namespace capf::storage {
namespace {

TrustAnchor read(Columns& columns) {
  TrustAnchor anchor;
  anchor.sha256 = columns.digest();
  anchor.store = columns.word(parse_trust_store_name);
  anchor.der = columns.bytes();
  anchor.subject = columns.text();
  anchor.not_before = columns.time();
  anchor.not_after = columns.time();
  anchor.devices = Pattern::parse(columns.text()).value();
  anchor.models = Pattern::parse(columns.text()).value();
  anchor.allow_sha1 = columns.boolean();
  anchor.min_rsa_bits = columns.integer();
  anchor.allow_expired_until = columns.optional_time();
  anchor.ends_at = columns.optional_time();
  anchor.added_at = columns.time();
  anchor.added_by = columns.text();
  return anchor;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream words(text);
  for (std::string word; words >> word;) parts.push_back(word);
  return parts;
}

TrustCandidate read_candidate(Columns& columns) {
  TrustCandidate candidate;
  candidate.issuer.name = columns.text();
  candidate.issuer.key_identifier = columns.bytes();
  candidate.issuer.subject = columns.text();
  candidate.issuer.sha256 = columns.digest();
  candidate.count = columns.number();
  candidate.first_at = columns.time();
  candidate.last_at = columns.time();
  candidate.devices = split(columns.text());
  candidate.addresses = split(columns.text());
  return candidate;
}

// An advisory lock, since every transaction that issues takes it: shared row locks would be written to disk.
const Statement kLock{"anchors_lock", "select pg_advisory_xact_lock(hashtext('capf'), hashtext('trust_anchors'))"};
const Statement kAdd{
    "anchors_add",
    "insert into trust_anchors (sha256, store, der, subject, not_before, not_after, devices, models, allow_sha1, "
    "min_rsa_bits, allow_expired_until, ends_at, added_by) values ($1::bytea, $2::text, $3::bytea, $4::text, "
    "$5::timestamptz, $6::timestamptz, $7::text, $8::text, $9::boolean, $10::int, $11::timestamptz, "
    "$12::timestamptz, $13::text) on conflict (sha256) do nothing"};
const Statement kList{
    "anchors_list",
    "select sha256, store, der, subject, microseconds(not_before), microseconds(not_after), devices, models, "
    "allow_sha1, min_rsa_bits, microseconds(allow_expired_until), microseconds(ends_at), microseconds(added_at), "
    "added_by from trust_anchors order by store, subject, sha256"};
const Statement kRemove{"anchors_remove", "delete from trust_anchors where sha256 = $1::bytea"};
const Statement kRevision{"anchors_revision", "select revision from trust_revision"};
// Neither names of devices nor addresses have blanks.
const Statement kCandidates{
    "anchors_candidates",
    "select issuer, key_identifier, subject, certificate_sha256, count, microseconds(first_at), microseconds(last_at), "
    "array_to_string(devices, ' '), array_to_string(addresses, ' ') from trust_candidates "
    "where last_at > now() - interval '24 hours' order by count desc, issuer, key_identifier"};
const Statement kPruneCandidates{
    "anchors_prune_candidates",
    "delete from trust_candidates where (issuer, key_identifier) in (select issuer, key_identifier "
    "from trust_candidates where last_at <= now() - interval '24 hours' for update skip locked)"};

}  // namespace

Result<bool> Anchors::add(const TrustAnchor& anchor) {
  CAPF_TRY(session_.execute(kLock, Parameters()));
  return session_.changes(
      kAdd, Parameters(anchor.sha256, to_string(anchor.store), anchor.der, anchor.subject, anchor.not_before,
                       anchor.not_after, anchor.devices.text(), anchor.models.text(), anchor.allow_sha1,
                       anchor.min_rsa_bits, anchor.allow_expired_until, anchor.ends_at, anchor.added_by));
}

Result<std::vector<TrustAnchor>> Anchors::list() { return session_.all(kList, Parameters(), read); }

Result<bool> Anchors::remove(const Sha256& sha256) {
  CAPF_TRY(session_.execute(kLock, Parameters()));
  return session_.changes(kRemove, Parameters(sha256));
}

Result<std::int64_t> Anchors::revision() { return session_.value(kRevision, Parameters(), read_number); }

Result<std::vector<TrustCandidate>> Anchors::candidates() {
  return session_.all(kCandidates, Parameters(), read_candidate);
}

Status Anchors::prune_candidates() { return session_.execute(kPruneCandidates, Parameters()); }

}  // namespace capf::storage
