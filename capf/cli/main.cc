#include <chrono>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "capf/base/secret.h"
#include "capf/cli/arguments.h"
#include "capf/cli/completion.h"
#include "capf/cli/connection.h"
#include "capf/cli/contexts.h"
#include "capf/cli/names.h"
#include "capf/cli/screen.h"
#include "capf/client/argument.h"
#include "capf/client/text.h"
#include "capf/client/zone.h"

namespace {

using namespace capf::cli;

/// `capfctl completion words WORD...`, for the scripts of the shells: what the last word may be, one a line, and first
/// ":files" where the shell adds files. A shell waits for it, so that it ends at once and says nothing of faults.
[[noreturn]] void complete_words(const std::vector<std::string>& words, const std::vector<Command>& commands) {
  constexpr std::chrono::seconds kPatience{1};
  Completion found = complete(command_tree(commands), words);
  std::optional<Connection> server;  // is never ended, which may take longer than the shell waits
  if (!found.names.empty()) {
    const char* state = std::getenv("CAPF_STATE");
    if (!found.place.has("--state") && state != nullptr) found.place.set("--state", {state});
    server.emplace(place_of(found.place, read_contexts(contexts_file()).value_or(Contexts()))).set_patience(kPatience);
    for (const std::string& name : names_of(*server, found.names, found.begin)) {
      found.words.push_back(found.before + name);
    }
  }
  if (found.files) std::cout << ":files\n";
  for (const std::string& word : found.words) std::cout << word << '\n';
  std::cout.flush();
  std::_Exit(0);
}

int run(const Parsed& parsed) {
  if (parsed.command == nullptr) {
    const auto size = terminal();
    const bool is_manual = parsed.out.starts_with(".TH");
    std::cout << (size && !is_manual ? capf::client::wrapped(parsed.out, size->columns) : parsed.out);
    std::cerr << parsed.error;
    return parsed.exit_code;
  }
  if (parsed.command->run == nullptr) {
    const std::string& path = parsed.command->path;
    std::cout << completion_script(path.substr(path.rfind(' ') + 1));
    return 0;
  }
  if (parsed.arguments.has("--time-zone")) capf::client::use_zone(parsed.arguments.text("--time-zone"));
  // The options alone say the site of a context.
  const bool about_contexts = parsed.command->path.starts_with("context ");
  const bool needed = !about_contexts && parsed.place.text("--state").empty();
  const auto contexts = needed ? read_contexts(contexts_file()) : Contexts();
  if (!contexts) return report(contexts.error());
  Connection server(place_of(parsed.place, *contexts));
  const capf::Result<int> code = parsed.command->run(parsed.arguments, server);
  return code ? *code : report(code.error(), server.has_refused(code.error()));
}

/// Long output on a terminal is the pager's, where a command only shows something.
int dispatch(int argc, char** argv) {
  const std::vector<std::string> words = capf::client::take_arguments(argc, argv, "--string");
  capf::forbid_core_dumps();
  std::ios::sync_with_stdio(false);
  const std::vector<Command> commands = all_commands();
  if (words.size() > 2 && words[0] == "completion" && words[1] == "words") {
    complete_words({words.begin() + 2, words.end()}, commands);
  }
  const Parsed parsed = parse(words, commands);
  std::optional<Screen> screen;
  const auto size = terminal();
  const auto program = pager();
  const bool views = parsed.command == nullptr || is_view(*parsed.command);
  if (views && size && program) screen.emplace(std::cout, *size, *program);
  return run(parsed);
}

}  // namespace

int main(int argc, char** argv) {
  const int code = dispatch(argc, argv);
  if (std::cout.flush()) return code;
  warn("standard output cannot be written");
  return code == 0 ? 1 : code;
}
