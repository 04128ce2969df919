#include "storage/servers.h"

#include <charconv>

#include "storage/settings.h"

namespace capf::storage {
namespace {

// Ids are selected as text: "1,2".
const Statement kSee{"servers_see",
                     "insert into servers (name, version, issuers, secrets, settings) values ($1::text, $2::text, "
                     "string_to_array($3::text, ',')::bigint[], string_to_array($4::text, ',')::bigint[], "
                     "$5::text::jsonb) on conflict (name) do update "
                     "set seen_at = now(), issuers = excluded.issuers, secrets = excluded.secrets"};
const Statement kForget{"servers_forget", "delete from servers where seen_at < now() - interval '1 hour'"};
const Statement kRemove{"servers_remove", "delete from servers where name = $1::text"};
const std::string kSelect =
    "select s.name, s.version, microseconds(s.started_at), microseconds(s.seen_at), array_to_string(s.issuers, ','), "
    "array_to_string(s.secrets, ','), s.settings is not null, " +
    settings_lines("coalesce(s.settings, '{}')") + " from servers s ";
const Statement kAlive{"servers_alive", kSelect + "where s.seen_at > now() - interval '30 seconds' order by s.name"};
// A name begins with that of its machine.
const Statement kSilent{"servers_silent",
                        kSelect +
                            "where s.seen_at <= now() - interval '30 seconds' and not exists (select from servers o "
                            "where o.started_at > s.started_at and split_part(o.name, ':', 1) = "
                            "split_part(s.name, ':', 1)) order by s.name"};

std::string join(const std::vector<std::int64_t>& ids) {
  std::string text;
  for (const std::int64_t id : ids) text += (text.empty() ? "" : ",") + std::to_string(id);
  return text;
}

std::vector<std::int64_t> split(const std::string& text) {
  std::vector<std::int64_t> ids;
  for (const char *at = text.data(), *end = at + text.size(); at < end;) {
    std::int64_t id = 0;
    const auto read = std::from_chars(at, end, id);
    if (read.ec != std::errc()) break;
    ids.push_back(id);
    at = read.ptr + 1;  // the comma
  }
  return ids;
}

ServerRecord read(Columns& columns) {
  ServerRecord server;
  server.name = columns.text();
  server.version = columns.text();
  server.started_at = columns.time();
  server.seen_at = columns.time();
  server.issuers = split(columns.text());
  server.secrets = split(columns.text());
  const bool told = columns.boolean();
  Settings settings = read_settings(columns);
  if (told) server.settings = std::move(settings);
  return server;
}

}  // namespace

Status Servers::see(const ServerRecord& server) {
  CAPF_TRY(session_.execute(kForget, Parameters()));
  return session_.execute(kSee, Parameters(server.name, server.version, join(server.issuers), join(server.secrets),
                                           server.settings ? std::optional(json_of(*server.settings)) : std::nullopt));
}

Status Servers::remove(const std::string& name) { return session_.execute(kRemove, Parameters(name)); }

Result<std::vector<ServerRecord>> Servers::alive() { return session_.all(kAlive, Parameters(), read); }

Result<std::vector<ServerRecord>> Servers::silent() { return session_.all(kSilent, Parameters(), read); }

}  // namespace capf::storage
