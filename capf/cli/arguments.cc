#include "capf/cli/arguments.h"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <map>
#include <sstream>

#include <CLI/CLI.hpp>

#include "capf/base/version.h"
#include "capf/cli/devices.h"
#include "capf/cli/verdict.h"
#include "capf/client/argument.h"
#include "capf/client/site.h"
#include "capf/client/text.h"
#include "capf/domain/administrator.h"
#include "capf/domain/device.h"

namespace capf::cli {
namespace {

constexpr int kWrongUsage = 2;
constexpr int kPluginUnknown = 3;

const std::vector<Option>& global_options() {
  static const std::vector<Option> options{
      {"--state", Option::Kind::kFolder, "the site's state directory (default: $CAPF_STATE, or var)"},
      {"--server", Option::Kind::kServers,
       "HOST:PORT of the administrators' port, several with commas (default: the site's own)"},
      {"--trust", Option::Kind::kFile, "PEM of the site CA (default: the site's own)"},
      {"--certificate", Option::Kind::kFile, "PEM of the administrator's certificate (default: the site's own)"},
      {"--key", Option::Kind::kFile, "PEM of its key (default: the site's own)"},
      {"--administrator", Option::Kind::kText, "whose files in the site's admin folder (default: admin)"}};
  return options;
}

std::string check_number(const std::string& text) {
  const bool digits = !text.empty() && text.size() <= 15 && text.find_first_not_of("0123456789") == std::string::npos;
  return digits ? "" : "a number is written in digits";
}

std::string check_time(const std::string& text) {
  const auto time = parse_time(text, SystemClock().now(), Day::kBegins);
  return time ? "" : time.error().message;
}

std::string check_age(const std::string& text) {
  const bool counted = !text.empty() && text.front() >= '0' && text.front() <= '9' && check_time("-" + text).empty();
  return counted ? "" : "an age is written as 90m, 12h, 10d or 2w";
}

std::string check_device(const std::string& text) {
  const auto device = DeviceName::parse(text);
  return device || name_of_mac(text) ? "" : device.error().message;
}

std::string check_certificate(const std::string& text) {
  const bool found = DeviceName::parse(serial_or_device(text)) || name_of_mac(text);
  return found ? "" : "a certificate is named by its serial number or its device";
}

std::string check_administrator(const std::string& text) {
  const Status name = check_administrator_name(text);
  return name ? "" : name.error().message;
}

std::string check_range(const std::string& text) {
  const auto range = Range::parse(text);
  return range ? "" : range.error().message;
}

std::string check_servers(const std::string& text) {
  const auto addresses = client::parse_addresses(text);
  return addresses ? "" : addresses.error().message;
}

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

/// The parser: one CLI::App for each word of a command's path. Values are kept here, options point at them.
class Grammar {
 public:
  explicit Grammar(const std::vector<Command>& commands)
      : app_("The command line of a CAPF's administrator", "capfctl") {
    app_.set_version_flag("--version", "capfctl " + std::string(version()));
    app_.require_subcommand(1);
    app_.get_formatter()->column_width(34);
    for (const Option& option : global_options()) add_option(app_, option);
    app_.get_option("--state")->envname("CAPF_STATE");
    for (const Command& command : commands) add_command(command);
  }

  Parsed parse(const std::vector<std::string>& words) {
    Parsed parsed;
    const auto encoding = client::check_encoding(words);
    try {
      app_.parse(std::vector<std::string>(words.rbegin(), words.rend()));
      for (const Slot& slot : slots_) {
        if (slot.app == innermost() && hides_place(*slot.app, *slot.spec)) check_shared(slot);
      }
      if (!encoding) throw CLI::ValidationError(encoding.error().message);
    } catch (const CLI::ParseError& stop) {
      std::ostringstream out;
      std::ostringstream error;
      if (app_.exit(stop, out, error) == 0) {
        parsed.out = out.str();
        return parsed;
      }
      const CLI::App* at = innermost();
      // Octets that are not UTF-8 are not shown, whatever else is wrong with them.
      const std::string wrong = encoding ? unknown_word(*at).value_or(stop.what()) : encoding.error().message;
      const bool plugin = at != &app_ && path_of(at).rfind("capfctl check", 0) == 0;
      // Monitoring shows the first line of standard output, whatever happens.
      if (plugin) parsed.out = judge_error("CHECK", fail(Reason::kInvalidRequest, wrong).value()).line() + '\n';
      parsed.error = std::string("capfctl: INVALID_REQUEST: ") + client::printable(wrong) + " ('" + path_of(at) +
                     " --help' says more)\n";
      parsed.exit_code = plugin ? kPluginUnknown : kWrongUsage;
      return parsed;
    }
    parsed.command = commands_.at(innermost());
    for (const Slot& slot : slots_) {
      if (slot.option->count() == 0 || hides_place(*slot.app, *slot.spec)) continue;
      if (slot.app == &app_) parsed.place.set(slot.spec->name, slot.values);
      if (slot.app == innermost()) parsed.arguments.set(slot.spec->name, slot.values);
    }
    for (const Slot& slot : slots_) {
      if (slot.app == innermost() && hides_place(*slot.app, *slot.spec)) share_out(slot, parsed);
    }
    return parsed;
  }

  Node tree() const { return node(app_); }

 private:
  struct Slot {
    const CLI::App* app = nullptr;
    const Option* spec = nullptr;
    CLI::Option* option = nullptr;
    std::vector<std::string> values = {};
  };

  void add_command(const Command& command) {
    CLI::App* at = &app_;
    std::istringstream words(command.path);
    std::string word;
    while (words >> word) {
      const auto known = at->get_subcommands([&](CLI::App* app) { return app->get_name() == word; });
      at = known.empty() ? at->add_subcommand(word)->fallthrough() : known.front();
    }
    for (CLI::App* above = at->get_parent(); above != &app_; above = above->get_parent()) {
      above->require_subcommand(1);
      const std::string before = above->get_description();
      above->description(before.empty() ? at->get_name() : before + ", " + at->get_name());
    }
    at->description(command.summary);
    at->footer("Example:\n  " + command.example);
    for (const Option& option : command.options) add_option(*at, option);
    commands_[at] = &command;
  }

  void add_option(CLI::App& app, const Option& spec) {
    Slot& slot = slots_.emplace_back(Slot{&app, &spec, nullptr});
    const std::string names = spec.letter.empty() ? spec.name : spec.letter + "," + spec.name;
    if (spec.kind == Option::Kind::kFlag) {
      slot.option = app.add_flag(names, spec.help)->disable_flag_override();  // --all=false would be --all
      return;
    }
    slot.option = app.add_option(names, slot.values, spec.help);
    slot.option->required(spec.required);
    if (hides_place(app, spec)) {
      slot.option->type_name(joined(spec.choices, "|"))->expected(-1)->allow_extra_args(false);
      return;
    }
    if (spec.value_optional) {
      slot.option->expected(0, -1)->allow_extra_args();
    } else {
      slot.option->expected(spec.many ? -1 : 1)->allow_extra_args(spec.many && slot.option->get_positional());
    }
    switch (spec.kind) {
      case Option::Kind::kNumber: slot.option->check(check_number)->type_name("N"); break;
      case Option::Kind::kRange: slot.option->check(check_range)->type_name("RANGE"); break;
      case Option::Kind::kAge: slot.option->check(check_age)->type_name("AGE"); break;
      case Option::Kind::kServers: slot.option->check(check_servers)->type_name("HOST:PORT"); break;
      case Option::Kind::kTime:
      case Option::Kind::kDeadline: slot.option->check(check_time)->type_name("TIME"); break;
      case Option::Kind::kFile: slot.option->type_name("FILE"); break;
      case Option::Kind::kFolder: slot.option->type_name("DIR"); break;
      case Option::Kind::kText: slot.option->type_name("TEXT"); break;
      case Option::Kind::kDevice: slot.option->check(check_device)->type_name("NAME"); break;
      case Option::Kind::kCertificate: slot.option->check(check_certificate)->type_name("TEXT"); break;
      case Option::Kind::kAdministrator: slot.option->check(check_administrator)->type_name("NAME"); break;
      case Option::Kind::kChoice: {
        const auto& choices = spec.choices;
        slot.option->type_name(joined(choices, "|"));
        slot.option->check([&choices](const std::string& text) {
          const bool known = std::find(choices.begin(), choices.end(), text) != choices.end();
          return known ? std::string() : "choose one of " + joined(choices, ", ");
        });
        break;
      }
      case Option::Kind::kFlag: break;
    }
  }

  /// Whether a command's own option hides the program's of the same name (--state): then values that are states are the
  /// command's, and a folder is the site's.
  bool hides_place(const CLI::App& app, const Option& spec) const {
    if (&app == &app_ || spec.kind != Option::Kind::kChoice) return false;
    const auto& globals = global_options();
    return std::any_of(globals.begin(), globals.end(), [&](const Option& each) { return each.name == spec.name; });
  }

  static bool is_choice(const Option& spec, const std::string& text) {
    return std::find(spec.choices.begin(), spec.choices.end(), text) != spec.choices.end();
  }

  static void check_shared(const Slot& slot) {
    std::size_t states = 0;
    std::size_t folders = 0;
    for (const std::string& value : slot.values) {
      std::error_code error;
      const bool state = is_choice(*slot.spec, value);
      if (!state && !std::filesystem::is_directory(value, error)) {
        throw CLI::ValidationError(slot.spec->name, "choose one of " + joined(slot.spec->choices, ", ") +
                                                        ", or name a site's state directory");
      }
      ++(state ? states : folders);
    }
    if (states > 1 || folders > 1) throw CLI::ValidationError(slot.spec->name, "one state, and one state directory");
  }

  static void share_out(const Slot& slot, Parsed& parsed) {
    for (const std::string& value : slot.values) {
      (is_choice(*slot.spec, value) ? parsed.arguments : parsed.place).set(slot.spec->name, {value});
    }
  }

  /// The last subcommand that was recognised.
  const CLI::App* innermost() const {
    const CLI::App* at = &app_;
    while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
    return at;
  }

  /// Of words that end before a command: the first that is none, and those that there are.
  std::optional<std::string> unknown_word(const CLI::App& at) const {
    if (commands_.count(&at) != 0) return std::nullopt;
    const std::vector<std::string> left = app_.remaining(true);
    if (left.empty() || left.front().rfind('-', 0) == 0) return std::nullopt;
    std::vector<std::string> known;
    for (const CLI::App* child : at.get_subcommands([](const CLI::App*) { return true; })) {
      known.push_back(child->get_name());
    }
    return "there is no '" + path_of(&at) + " " + left.front() + "'; there are " + joined(known, ", ");
  }

  std::string path_of(const CLI::App* app) const {
    return app->get_parent() == nullptr ? app->get_name() : path_of(app->get_parent()) + " " + app->get_name();
  }

  Node node(const CLI::App& app) const {
    Node node;
    node.name = app.get_name();
    for (const CLI::Option* option : app.get_options()) {
      const Option* spec = nullptr;
      for (const Slot& slot : slots_) {
        if (slot.option == option) spec = slot.spec;
      }
      const bool takes_file =
          spec != nullptr && (spec->kind == Option::Kind::kFile || spec->kind == Option::Kind::kFolder);
      const std::string values = spec == nullptr ? "" : takes_file ? "FILE" : joined(spec->choices, " ");
      if (option->get_positional()) {
        node.arguments += (node.arguments.empty() || values.empty() ? "" : " ") + (takes_file ? std::string() : values);
        node.files = node.files || takes_file;
        continue;
      }
      const bool flag = option->get_expected_max() == 0;
      for (const std::string& name : option->get_lnames()) {
        if (flag)
          node.flags.push_back("--" + name);
        else
          node.options.emplace_back("--" + name, values);
      }
    }
    const auto children = app.get_subcommands([](const CLI::App*) { return true; });
    for (const CLI::App* child : children) {
      node.words.push_back(child->get_name());
      node.children.push_back(this->node(*child));
    }
    return node;
  }

  CLI::App app_;
  std::deque<Slot> slots_;
  std::map<const CLI::App*, const Command*> commands_;
};

}  // namespace

Parsed parse(const std::vector<std::string>& words, const std::vector<Command>& commands) {
  return Grammar(commands).parse(words);
}

Node command_tree(const std::vector<Command>& commands) { return Grammar(commands).tree(); }

}  // namespace capf::cli
