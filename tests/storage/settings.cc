#include <catch2/catch.hpp>

#include "capf/domain/audit_store.h"
#include "tests/support/site.h"

// Settings that others have made for the server's role, its database or the cluster.

using namespace capf;
using namespace capf::test;

TEST_CASE("a phone lives as ever whatever was set for the role") {
  const std::string setting =
      GENERATE(as<std::string>(), "synchronous_commit = off", "synchronous_commit = remote_apply",
               "bytea_output = 'escape'", "standard_conforming_strings = off", "search_path = 'pg_catalog'",
               "search_path = ''", "datestyle = 'SQL, DMY'", "intervalstyle = 'iso_8601'", "timezone = 'Pacific/Apia'",
               "extra_float_digits = -15", "transform_null_equals = on", "array_nulls = off",
               "default_transaction_isolation = 'serializable'", "default_transaction_read_only = on",
               "default_transaction_deferrable = on", "row_security = off", "client_min_messages = 'debug1'",
               "enable_indexscan = off", "jit = on", "statement_timeout = 1", "lock_timeout = 1",
               "idle_in_transaction_session_timeout = 1", "idle_session_timeout = '1s'", "quote_all_identifiers = on");
  INFO(setting);
  Site site;
  const std::string role = "alter role capf_server in database " + site.value("select current_database()");
  site.sql(role + " set " + setting, "postgres");
  site.sql(
      "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity "
      "where datname = current_database() and usename = 'capf_server'",
      "postgres");
  const DeviceName device = site.add_phone("SEP001122334455");
  const PhoneKey key;
  const Bytes lsc = site.enrol(device, key);
  CHECK(site.state_of(lsc) == CertificateState::kConfirmed);
  CHECK(must(site.operations.show(device)).state == OperationState::kSucceeded);
  const auto events = must(in_read(site.database(), [](Transaction& tx) { return tx.audit().list({}, Page{}); }));
  CHECK(events.size() > 4);
}
