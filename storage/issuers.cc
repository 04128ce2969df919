#include "storage/stores.h"

namespace capf::storage {
namespace {

const std::string kSelect =
    "select id, subject, sha256, der, chain_der, microseconds(not_before), microseconds(not_after), active, shards "
    "from issuers";

IssuerRecord read(Columns& columns) {
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
  return issuer;
}

// One administrator at a time adds an issuer; ids have no gaps, as they stand in URLs.
const Statement kLock{"issuers_lock", "select pg_advisory_xact_lock(hashtext('capf'), hashtext('issuers'))"};
const Statement kRetire{"issuers_retire", "update issuers set active = false where active and $1::boolean"};
const Statement kAdd{
    "issuers_add",
    "insert into issuers (id, subject, sha256, der, chain_der, not_before, not_after, active, shards) "
    "select coalesce(max(id), 0) + 1, $1::text, $2::bytea, $3::bytea, $4::bytea, $5::timestamptz, $6::timestamptz, "
    "$7::boolean, $8::int from issuers returning id"};
const Statement kActive{"issuers_active", kSelect + " where active"};
const Statement kList{"issuers_list", kSelect + " order by id"};

}  // namespace

Result<std::int64_t> Issuers::add(const IssuerRecord& issuer) {
  CAPF_TRY(session_.execute(kLock, Parameters()));
  CAPF_TRY(session_.execute(kRetire, Parameters(issuer.active)));
  return session_.value(kAdd,
                        Parameters(issuer.subject, issuer.sha256, issuer.der, issuer.chain_der, issuer.not_before,
                                   issuer.not_after, issuer.active, issuer.shards),
                        read_number);
}

Result<std::optional<IssuerRecord>> Issuers::active() { return session_.first(kActive, Parameters(), read); }

Result<std::vector<IssuerRecord>> Issuers::list() { return session_.all(kList, Parameters(), read); }

}  // namespace capf::storage
