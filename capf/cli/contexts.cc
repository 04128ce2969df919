#include "capf/cli/contexts.h"

#include <cstdlib>
#include <sstream>

#include <toml++/toml.h>

#include "capf/cli/secret_file.h"
#include "capf/client/site.h"
#include "capf/domain/administrator.h"

namespace capf::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLargestFile = 65536;
constexpr std::size_t kMostContexts = 256;

std::string or_else(const std::string& text, const std::string& otherwise) { return text.empty() ? otherwise : text; }

tl::unexpected<Error> wrong(const std::string& words) { return fail(Reason::kInvalidConfiguration, words); }

/// The values of one context by their names.
std::map<std::string, std::string Context::*> members() {
  return {{"server", &Context::server},
          {"trust", &Context::trust},
          {"certificate", &Context::certificate},
          {"key", &Context::key}};
}

Result<Context> context_from(const std::string& name, const toml::table& table) {
  Context context;
  const auto known = members();
  for (const auto& [key, node] : table) {
    const auto member = known.find(std::string(key.str()));
    const auto text = node.value<std::string>();
    if (member == known.end() || !node.is_string() || !text) {
      return wrong("the context " + name + " has server, trust, certificate and key, each a text, and nothing else");
    }
    context.*(member->second) = *text;
  }
  for (const auto& [key, member] : known) {
    if ((context.*member).empty())
      return wrong(std::string("the context ").append(name).append(" has no ").append(key));
  }
  return context;
}

}  // namespace

Result<Contexts> Contexts::parse(std::string_view toml) {
  Contexts contexts;
  try {
    const toml::table table = toml::parse(toml);
    for (const auto& [key, node] : table) {
      if (key.str() == "current" && node.is_string()) {
        contexts.current = node.value<std::string>().value_or("");
        continue;
      }
      if (key.str() != "contexts" || !node.is_table()) return wrong("there are current, a text, and contexts, a table");
      for (const auto& [name, site] : *node.as_table()) {
        const std::string called(name.str());
        if (!check_administrator_name(called) || !site.is_table())
          return wrong("a context has no such name, or no table");
        CAPF_LET(contexts.sites[called], context_from(called, *site.as_table()));
      }
    }
  } catch (const toml::parse_error& error) {
    return wrong("line " + std::to_string(error.source().begin.line) + ": " + std::string(error.description()));
  }
  if (contexts.sites.size() > kMostContexts) return wrong("there are more than 256 contexts");
  if (!contexts.current.empty() && !contexts.sites.contains(contexts.current)) {
    return wrong("there is no context " + contexts.current + ", which is the current one");
  }
  return contexts;
}

std::string Contexts::to_toml() const {
  toml::table all;
  for (const auto& [name, context] : sites) {
    toml::table table;
    for (const auto& [key, member] : members()) table.insert(key, context.*member);
    all.insert(name, std::move(table));
  }
  toml::table whole;
  if (!current.empty()) whole.insert("current", current);
  whole.insert("contexts", std::move(all));
  std::ostringstream out;
  out << whole << '\n';
  return out.str();
}

fs::path contexts_file() {
  const auto folder = [](const char* variable) -> fs::path {
    const char* value = std::getenv(variable);
    const fs::path path = value == nullptr ? "" : value;
    return path.is_absolute() ? path : fs::path();
  };
  if (const fs::path own = folder("XDG_CONFIG_HOME"); !own.empty()) return own / "capf" / "contexts.toml";
  if (const fs::path home = folder("HOME"); !home.empty()) return home / ".config" / "capf" / "contexts.toml";
  return {};
}

Result<Contexts> read_contexts(const fs::path& file) {
  std::error_code error;
  const bool there = !file.empty() && fs::exists(file, error);
  if (error) return wrong(file.string() + ": " + error.message());
  if (!there) return Contexts();
  const auto text = client::read_trusted(file, kLargestFile);
  if (!text) return wrong(text.error().message);
  auto contexts = Contexts::parse(*text);
  if (!contexts) return wrong(file.string() + ": " + contexts.error().message);
  return contexts;
}

capf::Status write_contexts(const fs::path& file, const Contexts& contexts) {
  if (file.empty())
    return fail(Reason::kInvalidRequest, "there is no home directory for contexts.toml: $HOME names it");
  const std::string text = contexts.to_toml();
  if (text.size() > kLargestFile || contexts.sites.size() > kMostContexts) {
    return fail(Reason::kInvalidRequest, file.string() + " would be too large: up to 256 contexts in 64 KiB");
  }
  const fs::path folder = file.parent_path();
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    fs::create_directories(folder, error);
    if (!error) fs::permissions(folder, fs::perms::owner_all, error);
    if (error) return fail(Reason::kInvalidRequest, folder.string() + ": " + error.message());
  }
  CAPF_LET(SecretFile out, SecretFile::begin(file.string(), true));
  CAPF_TRY(out.write(text));
  return out.finish();
}

Place place_of(const Arguments& options, const Contexts& contexts) {
  Place place{options.text("--state"), options.text("--server"),
              options.text("--trust"), options.text("--certificate"),
              options.text("--key"),   or_else(options.text("--administrator"), "admin")};
  const auto current = contexts.sites.find(contexts.current);
  if (place.state.empty() && current != contexts.sites.end()) {
    const Context& context = current->second;
    place.context = current->first;
    place.server = or_else(place.server, context.server);
    place.trust = or_else(place.trust, context.trust);
    const fs::path folder = fs::path(context.certificate).parent_path();
    const bool other = options.has("--administrator");
    place.certificate =
        or_else(place.certificate, other ? (folder / (place.administrator + ".pem")).string() : context.certificate);
    place.key = or_else(place.key, other ? (folder / (place.administrator + ".key")).string() : context.key);
  }
  place.state = or_else(place.state, "var");
  return place;
}

}  // namespace capf::cli
