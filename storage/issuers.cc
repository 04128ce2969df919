#include "storage/issuers.h"

namespace capf::storage {

IssuerRecord read_issuer(Columns& columns) {
  IssuerRecord issuer;
  issuer.id = columns.number();
  issuer.subject = columns.text();
  issuer.sha256 = columns.digest();
  issuer.der = columns.bytes();
  issuer.chain_der = columns.bytes();
  issuer.not_before = columns.time();
  issuer.not_after = columns.time();
  issuer.active = columns.boolean();
  issuer.shards = columns.integer();
  issuer.added_at = columns.time();
  issuer.activated_at = columns.optional_time();
  issuer.retired_at = columns.optional_time();
  return issuer;
}

namespace {

const std::string kSelect = std::string("select ") + kIssuerColumns + " from issuers i";

IssuerUse read_use(Columns& columns) {
  IssuerUse use;
  use.valid = columns.number();
  use.revoked = columns.number();
  use.last_expiry = columns.optional_time();
  return use;
}

// Ids have no gaps, because they are part of URLs.
const Statement kLock{"issuers_lock", "select pg_advisory_xact_lock(hashtext('capf'), hashtext('issuers'))"};
const Statement kNextId{"issuers_next_id", "select coalesce(max(id), 0) + 1 from issuers"};
const Statement kStepBack{"issuers_step_back", "update issuers set active = false where active and $1::boolean"};
const Statement kActivate{"issuers_activate",
                          "update issuers set active = true, activated_at = coalesce(activated_at, now()) "
                          "where id = $1::bigint and retired_at is null"};
const Statement kRetire{"issuers_retire",
                        "update issuers set retired_at = now() where id = $1::bigint and not active and "
                        "retired_at is null"};
const Statement kUse{
    "issuers_use",
    "select (select count(*) from certificates where kind = 'lsc' and issuer_id = $1::bigint and "
    "(revoked_at is null or revocation_reason = 6) and not_after >= now()), "
    "(select count(*) from revocations where issuer_id = $1::bigint and expires_at >= now()), "
    "(select microseconds(max(not_after)) from certificates where kind = 'lsc' and issuer_id = $1::bigint and "
    "(revoked_at is null or revocation_reason = 6))"};
const Statement kAdd{
    "issuers_add",
    "insert into issuers (id, subject, sha256, der, chain_der, not_before, not_after, active, shards, activated_at) "
    "select coalesce(max(id), 0) + 1, $1::text, $2::bytea, $3::bytea, $4::bytea, $5::timestamptz, $6::timestamptz, "
    "$7::boolean, $8::int, case when $7::boolean then now() end from issuers returning id"};
const Statement kActive{"issuers_active", kSelect + " where active"};
const Statement kActiveId{"issuers_active_id", "select id from issuers where active"};
const Statement kFind{"issuers_find", kSelect + " where id = $1::bigint"};
const Statement kList{"issuers_list", kSelect + " order by id"};

}  // namespace

Result<std::int64_t> Issuers::lock() {
  CAPF_TRY(session_.execute(kLock, Parameters()));
  return session_.value(kNextId, Parameters(), read_number);
}

Result<std::int64_t> Issuers::add(const IssuerRecord& issuer) {
  CAPF_TRY(session_.execute(kLock, Parameters()));
  CAPF_TRY(session_.execute(kStepBack, Parameters(issuer.active)));
  return session_.value(kAdd,
                        Parameters(issuer.subject, issuer.sha256, issuer.der, issuer.chain_der, issuer.not_before,
                                   issuer.not_after, issuer.active, issuer.shards),
                        read_number);
}

Result<std::optional<IssuerRecord>> Issuers::active() { return session_.first(kActive, Parameters(), read_issuer); }

Result<std::optional<std::int64_t>> Issuers::active_id() {
  return session_.first(kActiveId, Parameters(), read_number);
}

Result<std::optional<IssuerRecord>> Issuers::find(std::int64_t id) {
  return session_.first(kFind, Parameters(id), read_issuer);
}

Result<bool> Issuers::activate(std::int64_t id) {
  CAPF_TRY(session_.execute(kStepBack, Parameters(true)));
  return session_.changes(kActivate, Parameters(id));
}

Result<bool> Issuers::retire(std::int64_t id) { return session_.changes(kRetire, Parameters(id)); }

Result<IssuerUse> Issuers::use(std::int64_t id) { return session_.value(kUse, Parameters(id), read_use); }

Result<std::vector<IssuerRecord>> Issuers::list() { return session_.all(kList, Parameters(), read_issuer); }

}  // namespace capf::storage
