#include "storage/secrets_keys.h"

namespace capf::storage {
namespace {

SecretsKeyRecord read(Columns& columns) {
  SecretsKeyRecord key;
  key.generation = columns.integer();
  key.check_value = columns.digest();
  key.active = columns.boolean();
  return key;
}

const Statement kAdd{"secrets_keys_add",
                     "insert into secrets_keys (generation, check_value, active) values ($1::smallint, $2::bytea, "
                     "$3::boolean) on conflict do nothing"};
const Statement kList{"secrets_keys_list",
                      "select generation, check_value, active from secrets_keys order by generation"};
const Statement kHoldActive{"secrets_keys_hold_active", "select generation from secrets_keys where active for share"};
const Statement kDeactivate{"secrets_keys_deactivate",
                            "update secrets_keys set active = false where active and generation <> $1::smallint"};
const Statement kActivate{"secrets_keys_activate",
                          "update secrets_keys set active = true where generation = $1::smallint and not active"};
const Statement kRemoveBelow{"secrets_keys_remove_below",
                             "delete from secrets_keys where generation < $1::smallint and not active"};

}  // namespace

Result<bool> SecretsKeys::add(const SecretsKeyRecord& key) {
  return session_.changes(kAdd, Parameters(key.generation, key.check_value, key.active));
}

Result<std::vector<SecretsKeyRecord>> SecretsKeys::list() { return session_.all(kList, Parameters(), read); }

Result<int> SecretsKeys::hold_active() {
  CAPF_LET(const auto held, session_.first(kHoldActive, Parameters(), read_integer));
  if (held) return *held;
  // This waited for an activation, whose row its own statement does not see.
  return session_.value(kHoldActive, Parameters(), read_integer);
}

Status SecretsKeys::activate(int generation) {
  CAPF_TRY(session_.execute(kDeactivate, Parameters(generation)));
  return session_.execute(kActivate, Parameters(generation));
}

Status SecretsKeys::remove_below(int generation) { return session_.execute(kRemoveBelow, Parameters(generation)); }

}  // namespace capf::storage
