#include "capf/cli/completion.h"

#include <algorithm>

namespace capf::cli {
namespace {

constexpr const char* kHead = R"(# bash completion for capfctl, made by `capfctl completion bash`
_capfctl() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} path= word i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    case "$path $word" in
)";
constexpr const char* kMiddle = R"(    esac
  done
  case "$path $previous" in
)";
constexpr const char* kTail = R"(  esac
}
complete -F _capfctl capfctl
)";

struct Script {
  std::string paths;   ///< which words go down the tree
  std::string values;  ///< the values possible after an option
  std::string words;   ///< the words possible at a position
};

std::string reply(const std::string& words) { return "COMPREPLY=($(compgen -W '" + words + "' -- \"$current\"))"; }
std::string reply_files() { return "COMPREPLY=($(compgen -f -- \"$current\"))"; }

void add_node(Script& script, const Node& node, const std::string& path, const Node& root) {
  std::string words = node.arguments;
  for (const std::string& word : node.words) words += " " + word;
  const auto add_options = [&](const Node& owner) {
    for (const std::string& flag : owner.flags) words += " " + flag;
    for (const auto& [option, values] : owner.options) {
      words += " " + option;
      const std::string answer = values == "FILE" ? reply_files() : values.empty() ? "COMPREPLY=()" : reply(values);
      script.values.append("    '").append(path).append(" ").append(option);
      script.values.append("')\n      ").append(answer).append("; return ;;\n");
    }
  };
  add_options(node);
  if (&node != &root) {
    // The options of the program itself are allowed anywhere.
    Node global = root;
    for (const auto& [option, values] : node.options) {
      global.options.erase(std::remove_if(global.options.begin(), global.options.end(),
                                          [&name = option](const auto& other) { return other.first == name; }),
                           global.options.end());
    }
    global.flags.clear();
    add_options(global);
  }
  const std::string files = node.files ? "; COMPREPLY+=($(compgen -f -- \"$current\"))" : "";
  script.words += "    '" + path + "') " + reply(words) + files + " ;;\n";
  for (const Node& child : node.children) {
    const std::string below = path + " " + child.name;
    script.paths.append("      '").append(below).append("') path='").append(below).append("' ;;\n");
    add_node(script, child, below, root);
  }
}

}  // namespace

std::string bash_completion(const Node& root) {
  Script script;
  add_node(script, root, "", root);
  return kHead + script.paths + kMiddle + script.values + "  esac\n  case \"$path\" in\n" + script.words + kTail;
}

}  // namespace capf::cli
