#include "storage/conninfo.h"

#include <map>
#include <memory>

#include <libpq-fe.h>

#include "capf/base/bytes.h"

using namespace capf;

namespace {

std::map<std::string, std::string> read(const std::string& conninfo) {
  const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> parsed(
      PQconninfoParse(conninfo.c_str(), nullptr), PQconninfoFree);
  CAPF_INVARIANT(parsed);
  std::map<std::string, std::string> options;
  for (const PQconninfoOption* option = parsed.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr) options[option->keyword] = option->val;
  }
  return options;
}

}  // namespace

// With an accepted string, a session over TCP is encrypted and with the right server.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto session = storage::link_settings(text, {});
  CAPF_INVARIANT(session.has_value() == storage::check_conninfo(text).has_value());
  const auto other = storage::with_database(text, "it's \\ another");
  CAPF_INVARIANT(other || !session);
  if (!session) return 0;
  auto before = read(text);
  auto after = read(session->conninfo);
  CAPF_INVARIANT(storage::check_conninfo(session->conninfo) && storage::check_conninfo(*other));
  bool tcp = false;
  for (const char* name : {"host", "hostaddr"}) {
    const std::string hosts = before[name] + ',';
    for (std::size_t at = 0; at < hosts.size(); at = hosts.find(',', at) + 1) {
      const bool socket = hosts[at] == ',' || (name == std::string("host") && (hosts[at] == '/' || hosts[at] == '@'));
      tcp = tcp || !socket;
    }
  }
  CAPF_INVARIANT(!tcp || (after["sslmode"] == "verify-full" && after["gssencmode"] == "disable"));
  for (const auto& [name, value] : before) {
    if (name != "target_session_attrs" && name != "client_encoding") CAPF_INVARIANT(after[name] == value);
  }
  // Poolers refuse `options`, so only an administrator's own are there. The settings for the form of answers come after
  // them.
  CAPF_INVARIANT(after["options"] == before["options"]);
  CAPF_INVARIANT(session->statements.find("'bytea_output', 'hex'") != std::string::npos);
  before = read(*other);
  CAPF_INVARIANT(before["dbname"] == "it's \\ another");
  return 0;
}
