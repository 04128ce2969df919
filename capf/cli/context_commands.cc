#include <filesystem>
#include <iostream>

#include "capf/cli/contexts.h"
#include "capf/cli/pages.h"

namespace capf::cli {
namespace {

namespace fs = std::filesystem;

Json row_of(const std::string& name, bool current, const Context& context) {
  return Json::Object{{"name", name},
                      {"current", current},
                      {"server", context.server},
                      {"trust", context.trust},
                      {"certificate", context.certificate},
                      {"key", context.key}};
}

Result<int> list(const Arguments& arguments, Connection&) {
  CAPF_LET(const Contexts contexts, read_contexts(contexts_file()));
  const Style style = arguments.format();
  auto columns = chosen_columns(
      style, {{"NAME", "name"}, {"CURRENT", "current"}, {"SERVER", "server"}, {"CERTIFICATE", "certificate"}},
      row_of({}, false, {}));
  if (!columns) return report_usage(columns.error().message);
  List list(std::cout, style, *std::move(columns));
  for (const auto& [name, context] : contexts.sites) list.add(row_of(name, name == contexts.current, context));
  list.finish();
  return 0;
}

capf::Status check_known(const Contexts& contexts, const std::string& name) {
  if (contexts.sites.contains(name)) return {};
  std::string known;
  for (const auto& [each, context] : contexts.sites) known += (known.empty() ? "" : ", ") + each;
  return fail(
      Reason::kInvalidRequest,
      "there is no context " + name + (known.empty() ? "; 'capfctl context add' makes one" : "; there are " + known));
}

Result<int> use(const Arguments& arguments, Connection&) {
  CAPF_LET(Contexts contexts, read_contexts(contexts_file()));
  contexts.current = arguments.text("CONTEXT");
  CAPF_TRY(check_known(contexts, contexts.current));
  CAPF_TRY(write_contexts(contexts_file(), contexts));
  show(std::cout, arguments.format(), Json::Object{{"current", contexts.current}});
  return 0;
}

/// The findings of find_endpoint() at a place, in paths that are good from every folder.
Context context_of(const Place& place, const client::Endpoint& endpoint) {
  Context context;
  for (const std::string& address : endpoint.addresses) {
    context.server += (context.server.empty() ? "" : ",") + address;
  }
  const auto absolute = [](const fs::path& path) { return fs::absolute(path).lexically_normal().string(); };
  const client::AdministratorFiles files = own_files(place);
  context.trust =
      absolute(place.trust.empty() ? fs::path(place.state) / "certificates" / "site-ca.pem" : fs::path(place.trust));
  context.certificate = absolute(files.certificate);
  context.key = absolute(files.key);
  return context;
}

Result<int> add(const Arguments& arguments, Connection& server) {
  const std::string name = arguments.text("CONTEXT");
  CAPF_LET(Contexts contexts, read_contexts(contexts_file()));
  if (contexts.sites.contains(name) && !arguments.has("--replace")) {
    return fail(Reason::kInvalidRequest,
                "there is a context " + name + " already; --replace puts this one in its place");
  }
  CAPF_LET(const client::Endpoint endpoint, find_endpoint(server.place()));
  contexts.sites[name] = context_of(server.place(), endpoint);
  if (contexts.current.empty()) contexts.current = name;
  CAPF_TRY(write_contexts(contexts_file(), contexts));
  show(std::cout, arguments.format(),
       Json::Object{{"added", name}, {"current", contexts.current}, {"file", contexts_file().string()}});
  return 0;
}

Result<int> remove(const Arguments& arguments, Connection&) {
  const std::string name = arguments.text("CONTEXT");
  CAPF_LET(Contexts contexts, read_contexts(contexts_file()));
  CAPF_TRY(check_known(contexts, name));
  contexts.sites.erase(name);
  if (contexts.current == name) contexts.current.clear();
  CAPF_TRY(write_contexts(contexts_file(), contexts));
  show(std::cout, arguments.format(), Json::Object{{"removed", name}, {"current", text_or_null(contexts.current)}});
  return 0;
}

}  // namespace

std::vector<Command> context_commands() {
  const Option name{"CONTEXT", Option::Kind::kAdministrator, "letters, digits, '.', '_', '-' or '@'", true};
  return {
      {"context list",
       "Lists the sites that have a name here, in ~/.config/capf/contexts.toml",
       "capfctl context list",
       {output_option()},
       list},
      {"context use",
       "Chooses the site of commands that name none by --state, $CAPF_STATE or --server",
       "capfctl context use munich",
       {name, output_option()},
       use},
      {"context add",
       "Gives a name to the site that the program's options say: --server, --trust, --certificate and --key, or "
       "--state",
       "capfctl context add munich --server capf.example.com:3806 --trust site-ca.pem --certificate olga.pem --key "
       "olga.key",
       {name, {"--replace", Option::Kind::kFlag, "in place of the context of this name"}, output_option()},
       add},
      {"context remove",
       "Forgets a name; the files that it named stay",
       "capfctl context remove munich",
       {name, output_option()},
       remove},
  };
}

}  // namespace capf::cli
