#include "storage/leases.h"

namespace capf::storage {
namespace {

// A row that another transaction has locked is in use by the lease's holder. A lease with more time left than any lease
// gets was taken while the database's clock was ahead.
const Statement kTake{
    "leases_take",
    "with free as (select name from leases where name = $1::text and (holder = $2::text or expires_at <= now() or "
    "expires_at > now() + ($3::int + 60) * interval '1 second') "
    "for update skip locked), "
    "taken as (update leases l set holder = $2::text, expires_at = now() + $3::int * interval '1 second' from free "
    "where l.name = free.name returning 1), "
    "made as (insert into leases (name, holder, expires_at) select $1::text, $2::text, "
    "now() + $3::int * interval '1 second' where not exists (select from leases where name = $1::text) "
    "on conflict (name) do nothing returning 1) "
    "select exists (select from taken) or exists (select from made)"};
const Statement kHold{"leases_hold",
                      "update leases set expires_at = now() + $3::int * interval '1 second' "
                      "where name = $1::text and holder = $2::text"};
const Statement kGiveBack{"leases_give_back",
                          "update leases set expires_at = now() where name = $1::text and holder = $2::text"};
const Statement kPlace{"leases_place", "select certificate_id from progress where job = $1::text"};
const Statement kSetPlace{"leases_set_place", "update progress set certificate_id = $2::bigint where job = $1::text"};
// A server that was stopped in the middle must not keep what others wait for.
const Statement kHurry{"leases_hurry", "select set_config('idle_in_transaction_session_timeout', '5s', true)"};

}  // namespace

Result<bool> Leases::take(const std::string& name, const std::string& holder, int seconds) {
  CAPF_TRY(session_.execute(kHurry, Parameters()));
  return session_.value(kTake, Parameters(name, holder, seconds), read_boolean);
}

Result<bool> Leases::hold(const std::string& name, const std::string& holder, int seconds) {
  CAPF_TRY(session_.execute(kHurry, Parameters()));
  return session_.changes(kHold, Parameters(name, holder, seconds));
}

Result<std::int64_t> Leases::place(const std::string& job) {
  return session_.value(kPlace, Parameters(job), read_number);
}

Status Leases::set_place(const std::string& job, std::int64_t certificate_id) {
  return session_.execute(kSetPlace, Parameters(job, certificate_id));
}

Status Leases::give_back(const std::string& name, const std::string& holder) {
  return session_.execute(kGiveBack, Parameters(name, holder));
}

}  // namespace capf::storage
