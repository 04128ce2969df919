#include "capf/cli/completion.h"

#include <algorithm>
#include <map>

namespace capf::cli {
namespace {

constexpr const char* kBash = R"bash(# bash completion for capfctl, made by `capfctl completion bash`
_capfctl() {
  local current=${COMP_WORDS[COMP_CWORD]} each found
  [[ $current == '=' ]] && current=
  mapfile -t found < <("$1" completion words "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  if [[ ${found[0]-} == :files ]]; then
    mapfile -t found < <(printf '%s\n' "${found[@]:1}"; compgen -f -- "$current")
  fi
  COMPREPLY=()
  for each in "${found[@]}"; do # a name may have blanks, and what a shell would run
    [[ -z $each ]] || COMPREPLY+=("$(printf %q "$each")")
  done
}
complete -F _capfctl capfctl
)bash";

constexpr const char* kZsh = R"(#compdef capfctl
# zsh completion for capfctl, made by `capfctl completion zsh`
_capfctl() {
  local -a found
  found=("${(@f)$("${words[1]}" completion words "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ ${found[1]} == :files ]]; then
    shift found
    _files
  fi
  [[ -n ${found[1]} ]] && compadd -- "${found[@]}"
}
compdef _capfctl capfctl
if [[ ${funcstack[1]} == _capfctl ]]; then
  _capfctl "$@"
fi
)";

constexpr const char* kFish = R"(# fish completion for capfctl, made by `capfctl completion fish`
function __capfctl_words
  set -l words (commandline -opc)
  set -l program $words[1]
  set -e words[1]
  set -l current (commandline -ct)
  set -l found ($program completion words $words "$current" 2>/dev/null)
  if test "$found[1]" = :files
    set -e found[1]
    __fish_complete_path "$current"
  end
  if set -q found[1]
    printf '%s\n' $found
  end
end
complete -c capfctl -f -a '(__capfctl_words)'
)";

const Values* values_of(const Node& node, const std::string& option) {
  const auto at =
      std::find_if(node.options.begin(), node.options.end(), [&](const auto& each) { return each.first == option; });
  return at == node.options.end() ? nullptr : &at->second;
}

/// A walk down the tree along the words that are complete.
struct Walk {
  const Node& root;
  const Node* node = &root;
  std::string option = {};         ///< whose value is next
  const Values* values = nullptr;  ///< of it
  Arguments place = {};

  void find(const std::string& name) {
    const Values* own = values_of(*node, name);
    values = own == nullptr ? values_of(root, name) : own;
    option = values == nullptr ? std::string() : name;
  }
  /// Keeps the program's options; --site is --state.
  void take_value(const std::string& value) {
    const bool own = node != &root && values_of(*node, option) != nullptr;
    if (!own) place.set(option == "--site" ? "--state" : option, {value});
    values = nullptr;
  }
  void take(const std::string& word) {
    if (values != nullptr) {
      if (word != "=") take_value(word);  // bash makes three words of --auth=string
      return;
    }
    if (word.starts_with('-')) {
      const std::size_t equals = word.find('=');
      find(word.substr(0, equals));
      if (values != nullptr && equals != std::string::npos) take_value(word.substr(equals + 1));
      return;
    }
    const auto child =
        std::find_if(node->children.begin(), node->children.end(), [&](const Node& each) { return each.name == word; });
    if (child != node->children.end()) node = &*child;
  }
};

void add_values(const Values& values, const std::string& before, Completion& found) {
  for (const std::string& choice : values.choices) found.words.push_back(before + choice);
  found.files = found.files || values.files;
  found.names.insert(found.names.end(), values.names.begin(), values.names.end());
}

void add_options(const Node& node, std::vector<std::string>& words) {
  const auto add = [&words](const std::string& name) {
    if (std::find(words.begin(), words.end(), name) == words.end()) words.push_back(name);
  };
  for (const std::string& flag : node.flags) add(flag);
  for (const auto& [option, values] : node.options) {
    if (option.starts_with("--")) add(option);
  }
}

}  // namespace

Completion complete(const Node& root, const std::vector<std::string>& words) {
  Walk walk{root};
  for (std::size_t i = 0; i + 1 < words.size(); ++i) walk.take(words[i]);
  Completion found;
  std::string typed = words.empty() ? "" : words.back();
  std::string& before = found.before;
  if (walk.values != nullptr && typed == "=") typed.clear();
  if (walk.values == nullptr && typed.starts_with("--") && typed.find('=') != std::string::npos) {
    before = typed.substr(0, typed.find('=') + 1);
    walk.find(before.substr(0, before.size() - 1));
  }
  found.place = walk.place;
  found.begin = typed.substr(before.size());
  if (walk.values != nullptr) {
    add_values(*walk.values, before, found);
  } else if (typed.starts_with('-')) {
    add_options(*walk.node, found.words);
    add_options(root, found.words);
  } else {
    for (const Node& child : walk.node->children) found.words.push_back(child.name);
    if (walk.node->children.empty()) add_values(walk.node->arguments, "", found);
    const bool nothing = found.words.empty() && found.names.empty() && !found.files;
    if (nothing) {
      add_options(*walk.node, found.words);
      add_options(root, found.words);
    }
  }
  std::erase_if(found.words, [&](const std::string& word) { return !word.starts_with(typed); });
  return found;
}

std::string completion_script(const std::string& shell) {
  static const std::map<std::string, const char*> scripts{{"bash", kBash}, {"zsh", kZsh}, {"fish", kFish}};
  return scripts.at(shell);
}

}  // namespace capf::cli
