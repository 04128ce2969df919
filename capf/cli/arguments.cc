#include "capf/cli/arguments.h"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <sstream>

#include <CLI/CLI.hpp>

#include "capf/base/version.h"
#include "capf/cli/devices.h"
#include "capf/cli/verdict.h"
#include "capf/client/argument.h"
#include "capf/client/manual.h"
#include "capf/client/site.h"
#include "capf/client/suggestion.h"
#include "capf/client/text.h"
#include "capf/client/zone.h"
#include "capf/domain/administrator.h"
#include "capf/domain/device.h"

namespace capf::cli {
namespace {

constexpr int kWrongUsage = 2;
constexpr int kPluginUnknown = 3;

Option state_option() {
  Option state{
      "--state", Option::Kind::kFolder,
      "the site's state directory (default: $CAPF_STATE, or var); --site where a list has a --state of its own"};
  state.also = "--site";
  return state;
}

const std::vector<Option>& global_options() {
  static const std::vector<Option> options{
      state_option(),
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

std::string check_zone(const std::string& text) {
  const Status known = client::check_zone(text);
  return known ? "" : known.error().message;
}

std::string check_columns(const std::string& text) {
  const std::vector<std::string> names = words_between_commas(text);
  const bool empty = names.empty() || std::find(names.begin(), names.end(), "") != names.end();
  return empty ? "columns are named with commas: device,state" : "";
}

/// The things that have names, for an option or an argument that takes one.
std::string names_for(const Option& option) {
  static const std::map<std::string, std::string> names{{"DEVICE", "devices"},
                                                        {"--device", "devices"},
                                                        {"SERIAL|DEVICE", "devices"},
                                                        {"PROFILE", "profiles"},
                                                        {"--profile", "profiles"},
                                                        {"ID", "issuers"},
                                                        {"--issuer", "issuers"},
                                                        {"CAMPAIGN", "campaigns"},
                                                        {"CONTEXT", "contexts"},
                                                        {"ADMINISTRATOR", "administrators"},
                                                        {"--administrator", "administrators"}};
  const auto at = names.find(option.name);
  if (at != names.end()) return at->second;
  return option.kind == Option::Kind::kAdministrator ? "administrators" : "";
}

/// Help with the options of the program below that of every command.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_footer(const CLI::App* app) const override {
    const std::string own = CLI::Formatter::make_footer(app);
    if (app->get_parent() == nullptr) return own;
    const CLI::App* program = app;
    while (program->get_parent() != nullptr) program = program->get_parent();
    const auto options = program->get_options([program](const CLI::Option* option) {
      return option != program->get_help_ptr() && option != program->get_version_ptr() &&
             option->get_group() != client::kManualGroup;
    });
    return own + make_group("Options of every command", false, options);
  }
};

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
    const auto formatter = std::make_shared<HelpFormatter>();
    formatter->column_width(34);
    app_.formatter(formatter);
    client::add_manual(app_, manual());
    for (const Option& option : global_options()) add_option(app_, option);
    app_.get_option("--state")->envname("CAPF_STATE");
    for (const Command& command : commands) add_command(command);
  }

  Parsed parse(const std::vector<std::string>& words) {
    Parsed parsed;
    const auto encoding = client::check_encoding(words);
    try {
      app_.parse(std::vector<std::string>(words.rbegin(), words.rend()));
      if (!encoding) throw CLI::ValidationError(encoding.error().message);
    } catch (const CLI::ParseError& stop) {
      std::ostringstream out;
      std::ostringstream error;
      if (app_.exit(stop, out, error) == 0) {
        parsed.out = out.str();
        return parsed;
      }
      if (const auto asked = asks_help()) return help(*innermost(), *asked);
      // Octets that are not UTF-8 are not shown, whatever else is wrong with them.
      const CLI::App& at = *innermost();
      return refuse(at,
                    encoding ? unknown_word(at).value_or(stop.what() + meant_option(at)) : encoding.error().message);
    }
    parsed.command = commands_.at(innermost());
    for (const Slot& slot : slots_) {
      if (slot.option->count() == 0) continue;
      if (slot.app == &app_) parsed.place.set(slot.spec->name, slot.values);
      if (slot.app == innermost()) parsed.arguments.set(slot.spec->name, slot.values);
    }
    if (parsed.command->path == "help") return help(app_, parsed.arguments.list("COMMAND"));
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
    const CLI::App* child = at;
    for (CLI::App* above = at->get_parent(); above != &app_; above = above->get_parent()) {
      above->require_subcommand(1);
      const std::string before = above->get_description();
      const std::string& name = child->get_name();
      if ((", " + before + ",").find(", " + name + ",") == std::string::npos) {
        above->description(before.empty() ? name : before + ", " + name);
      }
      child = above;
    }
    at->description(command.summary);
    at->footer("Example:\n  " + command.example);
    for (const Option& option : command.options) add_option(*at, option);
    commands_[at] = &command;
  }

  void add_option(CLI::App& app, const Option& spec) {
    Slot& slot = slots_.emplace_back(Slot{&app, &spec, nullptr});
    const std::string names =
        (spec.letter.empty() ? "" : spec.letter + ",") + spec.name + (spec.also.empty() ? "" : "," + spec.also);
    if (spec.kind == Option::Kind::kFlag) {
      slot.option = app.add_flag(names, spec.help)->disable_flag_override();  // --all=false would be --all
      return;
    }
    slot.option = app.add_option(names, slot.values, spec.help);
    slot.option->required(spec.required);
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
      case Option::Kind::kZone: slot.option->check(check_zone)->type_name("ZONE"); break;
      case Option::Kind::kColumns: slot.option->check(check_columns)->type_name("A,B"); break;
      case Option::Kind::kDevice: slot.option->check(check_device)->type_name("NAME"); break;
      case Option::Kind::kCertificate: slot.option->check(check_certificate)->type_name("TEXT"); break;
      case Option::Kind::kAdministrator: slot.option->check(check_administrator)->type_name("NAME"); break;
      case Option::Kind::kChoice: {
        slot.option->type_name(joined(spec.choices, "|"));
        slot.option->check([&spec, hides = hides_place(app, spec)](const std::string& text) {
          const auto& choices = spec.choices;
          if (std::find(choices.begin(), choices.end(), text) != choices.end()) return std::string();
          return "choose one of " + joined(choices, ", ") + client::did_you_mean(text, choices) +
                 (hides ? "; the site's state directory is --site DIR here" : "");
        });
        break;
      }
      case Option::Kind::kFlag: break;
    }
  }

  /// Whether a command's own option hides the program's of the same name: --state.
  bool hides_place(const CLI::App& app, const Option& spec) const {
    const auto& globals = global_options();
    return &app != &app_ &&
           std::any_of(globals.begin(), globals.end(), [&](const Option& each) { return each.name == spec.name; });
  }

  Parsed refuse(const CLI::App& at, const std::string& words) const {
    Parsed parsed;
    const bool plugin = &at != &app_ && path_of(&at).rfind("capfctl check", 0) == 0;
    // Monitoring shows the first line of standard output, whatever happens.
    if (plugin) parsed.out = judge_error("CHECK", fail(Reason::kInvalidRequest, words).value()).line() + '\n';
    parsed.error = std::string("capfctl: INVALID_REQUEST: ") + client::printable(words) + " ('" + path_of(&at) +
                   " --help' says more)\n";
    parsed.exit_code = plugin ? kPluginUnknown : kWrongUsage;
    return parsed;
  }

  /// The unknown words behind "help" in "phone help list"; nothing where that is not the first unknown one.
  std::optional<std::vector<std::string>> asks_help() const {
    const std::vector<std::string> left = app_.remaining(true);
    if (left.empty() || left.front() != "help") return std::nullopt;
    return std::vector<std::string>(left.begin() + 1, left.end());
  }

  Parsed help(const CLI::App& from, const std::vector<std::string>& words) const {
    const CLI::App* at = &from;
    for (const std::string& word : words) {
      const auto known = at->get_subcommands([&](const CLI::App* app) { return app->get_name() == word; });
      if (known.empty()) return refuse(*at, no_such(*at, word));
      at = known.front();
    }
    Parsed parsed;
    parsed.out = at->get_formatter()->make_help(at, path_of(at), CLI::AppFormatMode::Normal);
    return parsed;
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
    return no_such(at, left.front());
  }

  std::string no_such(const CLI::App& at, const std::string& word) const {
    std::vector<std::string> known;
    for (const CLI::App* child : at.get_subcommands([](const CLI::App*) { return true; })) {
      known.push_back(child->get_name());
    }
    if (known.empty()) return "'" + path_of(&at) + "' has no commands below it";
    return "there is no '" + path_of(&at) + " " + word + "'; there are " + joined(known, ", ") +
           client::did_you_mean(word, known);
  }

  /// The option that the first unknown one was perhaps meant to be. Its value, which may be secret, is not looked at.
  std::string meant_option(const CLI::App& at) const {
    std::vector<std::string> known{"--help"};
    for (const Slot& slot : slots_) {
      if (slot.app != &at && slot.app != &app_) continue;
      for (const std::string& name : slot.option->get_lnames()) known.push_back("--" + name);
    }
    for (const std::string& word : app_.remaining(true)) {
      if (word.starts_with("--")) return client::did_you_mean(word.substr(0, word.find('=')), known);
    }
    return {};
  }

  std::string path_of(const CLI::App* app) const {
    return app->get_parent() == nullptr ? app->get_name() : path_of(app->get_parent()) + " " + app->get_name();
  }

  static Values values_of(const Option& spec) {
    Values values{spec.choices};
    values.files = spec.kind == Option::Kind::kFile || spec.kind == Option::Kind::kFolder;
    if (const std::string names = names_for(spec); !names.empty()) values.names = {names};
    return values;
  }

  Node node(const CLI::App& app) const {
    Node node;
    node.name = app.get_name();
    for (const CLI::Option* option : app.get_options()) {
      const auto slot =
          std::find_if(slots_.begin(), slots_.end(), [&](const Slot& each) { return each.option == option; });
      Values values = slot == slots_.end() ? Values() : values_of(*slot->spec);
      if (option->get_positional()) {
        Values& all = node.arguments;
        all.choices.insert(all.choices.end(), values.choices.begin(), values.choices.end());
        all.names.insert(all.names.end(), values.names.begin(), values.names.end());
        all.files = all.files || values.files;
        continue;
      }
      const bool flag = option->get_expected_max() == 0;
      for (const std::string& name : option->get_lnames()) {
        if (flag)
          node.flags.push_back("--" + name);
        else
          node.options.emplace_back("--" + name, values);
      }
      for (const std::string& letter : option->get_snames()) {
        if (!flag) node.options.emplace_back("-" + letter, values);
      }
    }
    for (const CLI::App* child : app.get_subcommands([](const CLI::App*) { return true; })) {
      node.children.push_back(this->node(*child));
    }
    return node;
  }

  static client::Manual manual() {
    return {
        1,
        "The command line of a CAPF's administrator. Every command asks a server, as the administrator whose "
        "certificate and key it has.",
        {{"EXIT STATUS",
          "0 done, 1 refused or failed, 2 wrong usage, or refused for its form, 3 server not reached. \"check\" has "
          "the exit codes of monitoring plugins."},
         {"ENVIRONMENT",
          "CAPF_STATE is the state directory without --state. PAGER shows what is longer than a terminal, as git "
          "has it; NO_COLOR leaves states without colour."},
         {"SEE ALSO", "capfd(8), capf-phone(1), capfd.toml(5)"}}};
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
