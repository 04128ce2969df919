#include "storage/conninfo.h"

#include <cstdlib>
#include <map>
#include <memory>
#include <vector>

#include <libpq-fe.h>

#include "capf/base/utf8.h"

namespace capf::storage {
namespace {

/// Not "read-write": this session sets default_transaction_read_only itself, but libpq would look at it before that.
constexpr const char* kPrimaryOnly = "primary";
constexpr const char* kStandbyOnly = "standby";

struct Setting {
  std::string name;
  std::string value;
};

/// Settings on which our statements and the parsing of answers rely; they override those of the role, the database and
/// the cluster.
const Setting kForm[]{{"search_path", "public,pg_temp"},
                      {"bytea_output", "hex"},
                      {"standard_conforming_strings", "on"},
                      {"datestyle", "ISO"},
                      {"intervalstyle", "postgres"},
                      {"extra_float_digits", "1"},
                      {"timezone", "UTC"},
                      {"transform_null_equals", "off"},
                      {"array_nulls", "on"},
                      {"default_transaction_read_only", "off"},
                      {"default_transaction_deferrable", "off"},
                      {"row_security", "on"}};

/// An acknowledged LSC must outlast a crash, and the triggers that guard the record must run. A cluster that waits for
/// more than its own disk keeps doing so.
constexpr const char* kLasting =
    "case when pg_catalog.current_setting('synchronous_commit') = 'off' then "
    "pg_catalog.set_config('synchronous_commit', 'on', false) end";
constexpr const char* kSessionFacts =
    "pg_catalog.current_setting('session_replication_role') = 'origin', pg_catalog.pg_is_in_recovery(), "
    "pg_catalog.pg_backend_pid()";

using Options = std::map<std::string, std::string>;

Result<Options> parse(const std::string& conninfo) {
  const auto refuse = [] {
    return fail(Reason::kInvalidConfiguration, "the database's connection string cannot be read");
  };
  if (conninfo.find('\0') != std::string::npos) return refuse();
  char* complaint = nullptr;
  const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> parsed(
      PQconninfoParse(conninfo.c_str(), &complaint), PQconninfoFree);
  if (complaint != nullptr) PQfreemem(complaint);  // not shown, because it quotes the string, with its password
  if (!parsed) return refuse();
  Options options;
  for (const PQconninfoOption* option = parsed.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr) options[option->keyword] = option->val;
  }
  return options;
}

std::string quoted(const std::string& value) {
  std::string text = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') text += '\\';
    text += c;
  }
  return text + "'";
}

std::string to_conninfo(const Options& options) {
  std::string text;
  for (const auto& [name, value] : options) text += (text.empty() ? "" : " ") + name + "=" + quoted(value);
  return text;
}

/// The option, or what libpq would take in its place.
std::string effective(const Options& options, const std::string& name, const char* variable) {
  if (const auto found = options.find(name); found != options.end()) return found->second;
  const char* value = std::getenv(variable);
  return value == nullptr ? "" : value;
}

// "a,b,": several hosts; an empty one is the default socket.
std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t end = text.find(','); end != std::string::npos; end = text.find(',', begin)) {
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  parts.push_back(text.substr(begin));
  return parts;
}

bool uses_tcp(const Options& options) {
  for (const std::string& address : split(effective(options, "hostaddr", "PGHOSTADDR"))) {
    if (!address.empty()) return true;
  }
  for (const std::string& host : split(effective(options, "host", "PGHOST"))) {
    if (!host.empty() && host.front() != '/' && host.front() != '@') return true;
  }
  return false;
}

Status check(const Options& options) {
  if (!effective(options, "service", "PGSERVICE").empty()) {
    return fail(Reason::kInvalidConfiguration, "the database's connection string must not name a service file");
  }
  if (!uses_tcp(options)) return {};
  // Where libpq can encrypt by GSSAPI it skips TLS, and with it the verification of the server.
  const auto gss = options.find("gssencmode");
  const bool tls = gss == options.end() || gss->second == "disable";
  if (!tls || effective(options, "sslmode", "PGSSLMODE") != "verify-full") return fail(Reason::kInsecureDatabase);
  return {};
}

/// Whether an administrator's `options` set it: "-c statement_timeout=5s", "--statement-timeout=5s".
bool sets(std::string options, const std::string& name) {
  for (char& c : options) c = c == '-' ? '_' : lower_case(c);
  return options.find(name + "=") != std::string::npos;
}

/// The role's statement_timeout may be too short even for setting another one, so the first statement lifts it.
std::string statements_for(const std::string& options, const SessionLimits& limits) {
  const auto milliseconds = [](std::chrono::milliseconds limit) { return std::to_string(limit.count()); };
  // Prepared plans are kept: one made for a small table, which reads it from end to end, would still do so when a fleet
  // has filled it.
  // A bitmap reads all that meets its condition before the first row, and before a table has statistics the planner
  // expects that to be little.
  std::vector<Setting> settings{{"statement_timeout", milliseconds(limits.statement)},
                                {"lock_timeout", milliseconds(limits.lock)},
                                {"idle_in_transaction_session_timeout", milliseconds(limits.idle_in_transaction)},
                                {"client_min_messages", "warning"},
                                {"enable_seqscan", "off"},
                                {"enable_bitmapscan", "off"},
                                {"jit", "off"}};
  if (limits.keeps_plans) {
    for (const char* name : {"enable_hashjoin", "enable_mergejoin"}) settings.push_back({name, "off"});
    settings.push_back({"plan_cache_mode", "force_generic_plan"});
  }
  std::erase_if(settings, [&](const Setting& setting) { return sets(options, setting.name); });
  settings.insert(settings.end(), std::begin(kForm), std::end(kForm));
  std::string calls;
  for (const Setting& setting : settings) {
    calls += "pg_catalog.set_config('" + setting.name + "', '" + setting.value + "', false), ";
  }
  return "set local statement_timeout = 0; select " + calls + kLasting + ", " + kSessionFacts;
}

}  // namespace

Status check_conninfo(const std::string& conninfo) {
  CAPF_LET(const auto options, parse(conninfo));
  return check(options);
}

Result<LinkSettings> link_settings(const std::string& conninfo, const SessionLimits& limits) {
  CAPF_LET(auto options, parse(conninfo));
  CAPF_TRY(check(options));
  options.emplace("application_name", "capfd");
  options.emplace("connect_timeout", "3");  // for each host
  std::string& target = options["target_session_attrs"];
  if (target.empty() || target == "read-write") target = kPrimaryOnly;
  if (target == "read-only") target = kStandbyOnly;
  // Notices a host that is gone within 6 to 11 seconds, with or without data on its way to it.
  options.emplace("keepalives_idle", "5");
  options.emplace("keepalives_interval", "2");
  options.emplace("keepalives_count", "3");
  options.emplace("tcp_user_timeout", "6000");
  options.emplace("gssencmode", "disable");  // TLS alone authenticates the server
  options["client_encoding"] = "UTF8";
  const std::string& own = options["options"];  // empty, it keeps PGOPTIONS out
  std::string statements = statements_for(own, limits);
  return LinkSettings{to_conninfo(options), std::move(statements)};
}

bool takes_standby(const std::string& conninfo) {
  const auto options = parse(conninfo);
  if (!options) return false;
  const auto found = options->find("target_session_attrs");
  return found != options->end() && found->second != kPrimaryOnly;
}

bool has_password(const std::string& conninfo) {
  const auto options = parse(conninfo);
  if (!options) return true;
  for (const char* name : {"password", "sslpassword"}) {
    const auto found = options->find(name);
    if (found != options->end() && !found->second.empty()) return true;
  }
  return false;
}

std::vector<std::string> trusted_files(const std::string& conninfo) {
  std::vector<std::string> files;
  const auto options = parse(conninfo);
  if (!options) return files;
  for (const char* name : {"sslrootcert", "sslcrl", "sslcrldir", "sslcert"}) {
    const auto found = options->find(name);
    if (found != options->end() && found->second.starts_with('/')) files.push_back(found->second);
  }
  return files;
}

Result<std::string> with_database(const std::string& conninfo, const std::string& name) {
  CAPF_LET(auto options, parse(conninfo));
  options["dbname"] = name;
  return to_conninfo(options);
}

}  // namespace capf::storage
