#include "storage/stores.h"

namespace capf::storage {
namespace {

const Statement kTake{"leases_take",
                      "insert into leases as l (name, holder, expires_at) values ($1::text, $2::text, "
                      "now() + $3::int * interval '1 second') on conflict (name) do update "
                      "set holder = excluded.holder, expires_at = excluded.expires_at "
                      "where l.holder = excluded.holder or l.expires_at <= now()"};

}  // namespace

Result<bool> Leases::take(const std::string& name, const std::string& holder, int seconds) {
  return session_.changes(kTake, Parameters(name, holder, seconds));
}

}  // namespace capf::storage
