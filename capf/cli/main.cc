#include <iostream>

#include "capf/base/secret.h"
#include "capf/cli/arguments.h"
#include "capf/cli/completion.h"
#include "capf/cli/connection.h"
#include "capf/cli/contexts.h"
#include "capf/client/argument.h"

namespace {

using namespace capf::cli;

int dispatch(int argc, char** argv) {
  const std::vector<std::string> words = capf::client::take_arguments(argc, argv, "--string");
  capf::forbid_core_dumps();
  std::ios::sync_with_stdio(false);
  const std::vector<Command> commands = all_commands();
  const Parsed parsed = parse(words, commands);
  if (parsed.command == nullptr) {
    std::cout << parsed.out;
    std::cerr << parsed.error;
    return parsed.exit_code;
  }
  if (parsed.command->run == nullptr) {
    std::cout << bash_completion(command_tree(commands));
    return 0;
  }
  // The options alone say the site of a context.
  const bool about_contexts = parsed.command->path.starts_with("context ");
  const auto contexts = about_contexts ? Contexts() : read_contexts(contexts_file());
  if (!contexts) return report(contexts.error());
  Connection server(place_of(parsed.place, *contexts));
  const capf::Result<int> code = parsed.command->run(parsed.arguments, server);
  return code ? *code : report(code.error());
}

}  // namespace

int main(int argc, char** argv) {
  const int code = dispatch(argc, argv);
  if (std::cout.flush()) return code;
  warn("standard output cannot be written");
  return code == 0 ? 1 : code;
}
