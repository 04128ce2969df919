#include <algorithm>
#include <sstream>

#include <catch2/catch.hpp>

#include "capf/cli/arguments.h"
#include "capf/cli/completion.h"
#include "capf/cli/convert.h"
#include "capf/cli/devices.h"
#include "capf/client/argument.h"

using namespace capf;
using namespace capf::cli;

namespace {

const TimePoint kNow{std::chrono::sys_days{std::chrono::year{2030} / 1 / 31}};

Parsed parsed(const std::vector<Command>& commands, const std::string& line) {
  std::istringstream words(line);
  std::vector<std::string> list;
  for (std::string word; words >> word;) list.push_back(word);
  return parse(list, commands);
}

}  // namespace

TEST_CASE("options of the program may stand before and after the command") {
  const auto commands = all_commands();
  for (const char* line : {"--state /site operation schedule install SEP1 SEP2 --auth string --string 1234",
                           "operation schedule install SEP1 SEP2 --auth string --string 1234 --state /site"}) {
    const Parsed result = parsed(commands, line);
    REQUIRE(result.command != nullptr);
    CHECK(result.command->path == "operation schedule");
    CHECK(result.place.text("--state") == "/site");
    CHECK(result.arguments.text("KIND") == "install");
    CHECK(result.arguments.list("DEVICE") == std::vector<std::string>{"SEP1", "SEP2"});
    CHECK(result.arguments.text("--string") == "1234");
    CHECK_FALSE(result.arguments.has("--completes-by"));
  }
}

TEST_CASE("wrong usage is exit code 2, and unknown (3) for a monitoring plugin") {
  const auto commands = all_commands();
  for (const char* line : {"", "phone", "phone fly", "phone show", "phone show A B", "phone list --limit x",
                           "operation schedule fly SEP1 --auth null", "operation list --state none",
                           "certificate revoke SEP1 --reason keycompromise",
                           "operation schedule install SEP1 --auth null --completes-by tomorrow", "audit seal"}) {
    const Parsed result = parsed(commands, line);
    CAPTURE(line);
    CHECK(result.command == nullptr);
    CHECK(result.exit_code == 2);
    CHECK(result.error.rfind("capfctl: INVALID_REQUEST: ", 0) == 0);
  }
  const Parsed wrong = parsed(commands, "check pending --warning many");
  CHECK(wrong.exit_code == 3);
  CHECK_THAT(wrong.out, Catch::StartsWith("CAPF CHECK UNKNOWN - "));
  CHECK(std::count(wrong.out.begin(), wrong.out.end(), '\n') == 1);
}

TEST_CASE("a name that none can have is wrong usage of every command that takes one") {
  const auto commands = all_commands();
  const auto usual = [](const Option& option) {  // a good value for what else a command needs
    return option.kind == Option::Kind::kChoice ? option.choices.front() : std::string("1");
  };
  std::size_t tried = 0;
  for (const Command& command : commands) {
    for (const Option& named : command.options) {
      const bool device = named.kind == Option::Kind::kDevice;
      if (!device && named.kind != Option::Kind::kCertificate && named.kind != Option::Kind::kAdministrator) continue;
      const auto with = [&](const std::string& value) {
        std::vector<std::string> words;
        std::istringstream path(command.path);
        for (std::string word; path >> word;) words.push_back(word);
        for (const Option& option : command.options) {
          if (!option.required && option.name != named.name) continue;
          if (option.name.starts_with('-')) words.push_back(option.name);
          words.push_back(option.name == named.name ? value : usual(option));
        }
        return parse(words, commands);
      };
      CAPTURE(command.path, named.name);
      ++tried;
      CHECK(with("SEP001122334455").command != nullptr);
      for (const std::string& bad : {std::string(), std::string("SEP 1"), std::string("SEP/1"), std::string("-SEP1"),
                                     std::string(70, 'x'), std::string("SEP\xC3\xA9")}) {
        CAPTURE(bad);
        const Parsed wrong = with(bad);
        CHECK(wrong.command == nullptr);
        CHECK(wrong.exit_code == 2);
      }
      if (device) CHECK(with("00:11:22:aa:BB:cc").command != nullptr);
    }
  }
  CHECK(tried >= 10);  // commands that take several devices name every fault of theirs at once: read_devices()
  CHECK(parsed(commands, "certificate show 0A:1B:2C").command != nullptr);
  CHECK(read_devices({"SEP1", "SEP/1"}, "", false).faults.words() ==
        std::vector<std::string>{"\"SEP/1\": a device name has 1 to 50 letters, digits, '.', '_' or '-'"});
}

TEST_CASE("every command has help with an example") {
  const auto commands = all_commands();
  for (const Command& command : commands) {
    const Parsed result = parsed(commands, command.path + " --help");
    CAPTURE(command.path);
    CHECK(result.command == nullptr);
    CHECK(result.exit_code == 0);
    CHECK(result.out.find("Example:\n  capfctl " + command.path) != std::string::npos);
  }
}

TEST_CASE("the state of operations is not the state directory") {
  const auto commands = all_commands();
  const Parsed result = parsed(commands, "--state /site operation list --state pending");
  REQUIRE(result.command != nullptr);
  CHECK(result.place.text("--state") == "/site");
  CHECK(result.arguments.text("--state") == "pending");
}

TEST_CASE("a list's own --state is its filter, and the site is named before the command or by --site") {
  const auto commands = all_commands();
  for (const char* line : {"operation list --site / --state pending", "--site / operation list --state pending",
                           "--state / operation list --state pending", "certificate list --site / --state issued",
                           "certificate revoke --site / --state issued --reason superseded"}) {
    CAPTURE(line);
    const Parsed result = parsed(commands, line);
    REQUIRE(result.command != nullptr);
    CHECK(result.place.text("--state") == "/");
    CHECK((result.arguments.text("--state") == "pending" || result.arguments.text("--state") == "issued"));
  }
  for (const char* line : {"phone list --site /", "phone list --state /"}) {
    CHECK(parsed(commands, line).place.text("--state") == "/");
  }
  for (const char* line : {"operation list --state /", "operation list --state none", "operation list --state",
                           "operation list --state pending --state failed"}) {
    CAPTURE(line);
    CHECK(parsed(commands, line).exit_code == 2);
  }
  CHECK_THAT(parsed(commands, "operation list --state /").error, Catch::Contains("--site DIR"));
}

TEST_CASE("a pattern of devices is --device everywhere, and --devices still") {
  const auto commands = all_commands();
  for (const char* line :
       {"phone list --device SEP*", "phone list --devices SEP*", "trust add mic a.pem --devices SEP*",
        "trust add mic a.pem --device SEP*", "files export /tmp --devices SEP*"}) {
    CAPTURE(line);
    const Parsed result = parsed(commands, line);
    REQUIRE(result.command != nullptr);
    CHECK(result.arguments.list("--device") == std::vector<std::string>{"SEP*"});
  }
  CHECK(parsed(commands, "phone list --device A* --devices B*").arguments.list("--device").size() == 2);
}

TEST_CASE("a word that is nearly one is asked for: of commands, options and choices") {
  const auto commands = all_commands();
  const std::vector<std::pair<const char*, const char*>> lines{
      {"phon list", "did you mean 'phone'?"},
      {"phone lst", "did you mean 'list'?"},
      {"oper list", "did you mean 'operation'?"},
      {"phone list --outptu json", "did you mean '--output'?"},
      {"phone list --serve=a:1", "did you mean '--server'?"},
      {"phone list --output jsno", "did you mean 'json'?"},
      {"operation schedule instal SEP1 --auth null", "did you mean 'install'?"},
      {"operation list --state pendign", "did you mean 'pending'?"}};
  for (const auto& [line, words] : lines) {
    const Parsed result = parsed(commands, line);
    CAPTURE(line, result.error);
    CHECK(result.exit_code == 2);
    CHECK_THAT(result.error, Catch::Contains(words));
  }
  for (const char* line : {"xyz list", "phone list --frobnicate", "phone list --output xml2000"}) {
    CHECK_THAT(parsed(commands, line).error, !Catch::Contains("did you mean"));
  }
}

TEST_CASE("help is that of --help, wherever it stands") {
  const auto commands = all_commands();
  const auto out = [&](const char* line) {
    const Parsed result = parsed(commands, line);
    CAPTURE(line, result.error);
    CHECK(result.command == nullptr);
    CHECK(result.exit_code == 0);
    return result.out;
  };
  CHECK_THAT(out("help"), Catch::Contains("operation") && Catch::Contains("--site"));
  CHECK_THAT(out("help phone"), Catch::Contains("import"));
  CHECK_THAT(out("phone help"), Catch::Contains("import"));
  for (const char* line : {"help phone list", "phone help list", "--state / help phone list", "phone list --help"}) {
    CHECK_THAT(out(line), Catch::Contains("Example:\n  capfctl phone list"));
  }
  CHECK(parsed(commands, "help phone lst").exit_code == 2);
  CHECK_THAT(parsed(commands, "help phone lst").error, Catch::Contains("did you mean 'list'?"));
  CHECK(parsed(commands, "help phone list all").exit_code == 2);
}

TEST_CASE("every help has the program's options") {
  const auto commands = all_commands();
  std::vector<std::string> paths{"phone", "operation"};
  for (const Command& command : commands) paths.push_back(command.path);
  for (const std::string& path : paths) {
    CAPTURE(path);
    const std::string help = parsed(commands, path + " --help").out;
    for (const char* option : {"--state,--site", "--server", "--trust", "--certificate", "--key", "--administrator"}) {
      CHECK(help.find(option, help.find("Options of every command:")) != std::string::npos);
    }
  }
}

TEST_CASE("every command that prints takes -o, and every list its columns") {
  const auto commands = all_commands();
  std::size_t lists = 0;
  for (const Command& command : commands) {
    CAPTURE(command.path);
    const auto has = [&](const std::string& name) {
      return std::any_of(command.options.begin(), command.options.end(),
                         [&](const Option& option) { return option.name == name; });
    };
    CHECK(has("--output") == has("--time-zone"));
    if (!is_list(command) || !has("--output")) continue;  // a list of the server's keys is capfd's
    ++lists;
    CHECK(has("--columns"));
    CHECK(has("--no-headers"));
  }
  CHECK(lists >= 15);
  const Parsed result = parsed(commands, "phone list -o csv --columns device,lsc --no-headers --time-zone UTC");
  REQUIRE(result.command != nullptr);
  const Style style = result.arguments.format();
  CHECK(style == Format::kCsv);
  CHECK(style.columns == std::vector<std::string>{"device", "lsc"});
  CHECK_FALSE(style.headers);
  CHECK_FALSE(style.local_times);
  for (const char* format : {"table", "wide", "json", "jsonl", "csv"}) {
    CHECK(parsed(commands, std::string("phone show SEP1 -o ") + format).command != nullptr);
  }
  for (const char* line :
       {"phone list --columns ,", "phone list --columns a,,b", "phone list --time-zone Europe/Atlantis",
        "phone list --time-zone ../../etc/passwd", "phone list --time-zone /etc/localtime",
        "phone show SEP1 --columns device", "phone list --newest"}) {
    CAPTURE(line);
    CHECK(parsed(commands, line).exit_code == 2);
  }
  for (const char* line : {"audit list --newest --until 2030-01-31 --since 2030-01-01", "operation list --newest",
                           "certificate list --newest", "certificate verify --until -1d",
                           "operation pending --newest --columns device,kind",
                           "phone history SEP1 --newest --until -1d --columns at,action",
                           "campaign create c SEP1 --auth lsc --window 20:00-05:00 --time-zone Europe/Berlin"}) {
    CAPTURE(line);
    CHECK(parsed(commands, line).command != nullptr);
  }
}

TEST_CASE("what ends with a day contains it") {
  Arguments arguments;
  CHECK_FALSE(end_of(arguments));
  arguments.set("--until", {"2030-01-31"});
  CHECK(to_rfc3339(*end_of(arguments)) == "2030-02-01T00:00:00Z");
  arguments.set("--until", {"2030-01-31T12:00:00Z"});
  CHECK(to_rfc3339(*end_of(arguments)) == "2030-01-31T12:00:01Z");
}

TEST_CASE("a plugin takes the short options and the ranges of its kind, and a wrong one is told in its line") {
  const auto commands = all_commands();
  const Parsed short_ones = parsed(commands, "check pending -w 10 -c @10:20 -t 5 -v");
  REQUIRE(short_ones.command != nullptr);
  CHECK(short_ones.arguments.text("--warning") == "10");
  CHECK(short_ones.arguments.text("--critical") == "@10:20");
  CHECK(short_ones.arguments.number("--timeout") == 5);
  CHECK(short_ones.arguments.has("--verbose"));
  for (const char* line : {"check pending -w 20:10", "check pending -x", "check health -t soon", "check expiry -w",
                           "check health --server localhost"}) {
    CAPTURE(line);
    const Parsed wrong = parsed(commands, line);
    CHECK(wrong.exit_code == 3);
    CHECK_THAT(wrong.out, Catch::StartsWith("CAPF CHECK UNKNOWN - "));
    CHECK(std::count(wrong.out.begin(), wrong.out.end(), '\n') == 1);
  }
  CHECK(parsed(commands, "phone list --server localhost").exit_code == 2);
}

TEST_CASE("an age is counted back from now") {
  const auto commands = all_commands();
  const Parsed result = parsed(commands, "operation list --state pending --older-than 90m");
  REQUIRE(result.command != nullptr);
  CHECK(result.arguments.age("--older-than") == std::chrono::minutes(90));
  for (const char* age : {"90", "+90m", "-90m", "2030-01-01", "m"}) {
    CHECK(parsed(commands, std::string("operation list --state pending --older-than ") + age).exit_code == 2);
  }
}

TEST_CASE("a word that is no command is named, and those that there are") {
  const auto commands = all_commands();
  const std::vector<std::pair<const char*, const char*>> lines{
      {"phon list", "there is no 'capfctl phon'; there are phone, "},
      {"--state / phon list --output json", "there is no 'capfctl phon'; there are phone, "},
      {"phone lst", "there is no 'capfctl phone lst'; there are add, import, list, show, "},
      {"phone lst SEP1 --state /", "there is no 'capfctl phone lst'; there are add, import, list, show, "}};
  for (const auto& [line, words] : lines) {
    const Parsed result = parsed(commands, line);
    CAPTURE(line, result.error);
    CHECK(result.exit_code == 2);
    CHECK_THAT(result.error, Catch::StartsWith(std::string("capfctl: INVALID_REQUEST: ") + words));
  }
  const Parsed check = parsed(commands, "check bogus");
  CHECK(check.exit_code == 3);
  CHECK_THAT(check.out, Catch::StartsWith("CAPF CHECK UNKNOWN - INVALID_REQUEST: there is no 'capfctl check bogus'; "
                                          "there are pending, expiry, health"));
  CHECK_THAT(parsed(commands, "phone").error, !Catch::Contains("there is no"));
  CHECK_THAT(parsed(commands, "phone show").error, !Catch::Contains("there is no"));
}

TEST_CASE("every command that takes a device takes its MAC address, and --as-written") {
  for (const Command& command : all_commands()) {
    CAPTURE(command.path);
    bool device = false;
    bool as_written = false;
    for (const Option& option : command.options) {
      device = device || option.name == "DEVICE" || option.name == "SERIAL|DEVICE" || option.name == "--device";
      as_written = as_written || option.name == "--as-written";
    }
    if (device) CHECK(as_written);
  }
  Arguments arguments;
  for (const char* option : {"DEVICE", "--device"}) {
    arguments.set(option, {"00:1a:22:33:44:55"});
    CHECK(named_device(arguments, option) == "SEP001A22334455");
    arguments.set(option, {"SEP001A22*"});
    CHECK(named_device(arguments, option) == "SEP001A22*");
  }
  CHECK(named_device(arguments, "--devices").empty());
  for (const auto& [text, name] :
       {std::pair{"00:1a:22:33:44:55", "SEP001A22334455"}, std::pair{"001A22334455", "SEP001A22334455"},
        std::pair{"0x001A22334455", "001a22334455"}, std::pair{"0A:1B:2C", "0a1b2c"}, std::pair{"lobby", "lobby"}}) {
    arguments.set("SERIAL|DEVICE", {text});
    CHECK(named_certificate(arguments) == name);
  }
  arguments.set("--as-written", {"true"});
  arguments.set("DEVICE", {"001a22334455"});
  CHECK(named_device(arguments) == "001a22334455");
}

TEST_CASE("a device may be called like a command") {
  const auto commands = all_commands();
  const Parsed result = parsed(commands, "phone show audit");
  REQUIRE(result.command != nullptr);
  CHECK(result.arguments.text("DEVICE") == "audit");
}

TEST_CASE("a shell completes every command, option and choice") {
  const auto commands = all_commands();
  const Node tree = command_tree(commands);
  const auto words_at = [&](const std::string& line) {
    std::vector<std::string> words;
    std::istringstream in(line);
    for (std::string word; in >> word;) words.push_back(word);
    if (line.empty() || line.back() == ' ') words.emplace_back();
    return complete(tree, words);
  };
  const auto has = [](const Completion& found, const std::string& word) {
    return std::find(found.words.begin(), found.words.end(), word) != found.words.end();
  };
  for (const Command& command : commands) {
    CAPTURE(command.path);
    CHECK(has(words_at(command.path), command.path.substr(command.path.rfind(' ') + 1)));
    const Completion options = words_at(command.path + " --");
    for (const Option& option : command.options) {
      if (option.name.starts_with("--")) CHECK(has(options, option.name));
    }
    CHECK(has(options, "--server"));
  }
  using Words = std::vector<std::string>;
  CHECK(words_at("op").words == Words{"operation"});
  CHECK(words_at("operation schedule --auth ").words == Words{"string", "null", "lsc", "mic"});
  CHECK(words_at("operation schedule --auth s").words == Words{"string"});
  CHECK(words_at("operation schedule --auth=s").words == Words{"--auth=string"});
  CHECK(words_at("operation schedule --auth = s").words == Words{"string"});
  CHECK(words_at("phone list -o ").words == Words{"table", "wide", "json", "jsonl", "csv"});
  CHECK(words_at("operation list --state p").words == Words{"pending"});
  CHECK(words_at("phone list --file ").files);
  CHECK_FALSE(has(words_at("phone list "), "phone"));
  CHECK(words_at("nothing such ").names.empty());
  CHECK(words_at("").words.size() > 10);
}

TEST_CASE("names are the server's to complete, and its place is that of the line") {
  const auto commands = all_commands();
  const Node tree = command_tree(commands);
  const auto names_at = [&](const std::vector<std::string>& words) { return complete(tree, words).names; };
  using Words = std::vector<std::string>;
  CHECK(names_at({"phone", "show", "SEP"}) == Words{"devices"});
  CHECK(names_at({"operation", "list", "--device", ""}) == Words{"devices"});
  CHECK(names_at({"profile", "show", ""}) == Words{"profiles"});
  CHECK(names_at({"phone", "list", "--profile", ""}) == Words{"profiles"});
  CHECK(names_at({"phone", "list", "--issuer", ""}) == Words{"issuers"});
  CHECK(names_at({"issuer", "show", ""}) == Words{"issuers"});
  CHECK(names_at({"administrator", "disable", ""}) == Words{"administrators"});
  CHECK(names_at({"campaign", "show", ""}) == Words{"campaigns"});
  CHECK(names_at({"campaign", "create", ""}).size() == 1);  // of its phones
  CHECK(names_at({"context", "use", ""}) == Words{"contexts"});
  CHECK(names_at({"phone", "show", "--"}).empty());
  const Completion joined = complete(tree, {"phone", "list", "--profile=se"});
  CHECK(joined.names == Words{"profiles"});
  CHECK(joined.before == "--profile=");
  CHECK(joined.begin == "se");
  const Completion found = complete(tree, {"--site", "/a", "phone", "show", "--server=b:1", "--key", "k", "SEP0"});
  CHECK(found.place.text("--state") == "/a");
  CHECK(found.place.text("--server") == "b:1");
  CHECK(found.place.text("--key") == "k");
  CHECK(found.begin == "SEP0");
  CHECK_FALSE(complete(tree, {"operation", "list", "--state", "pending", ""}).place.has("--state"));
}

TEST_CASE("each shell has a script that asks the program") {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    CHECK_THAT(completion_script(shell), Catch::Contains("completion words") && Catch::Contains(":files"));
  }
}

TEST_CASE("times are absolute, or from now on") {
  CHECK(to_rfc3339(*parse_time("+10d", kNow, Day::kBegins)) == "2030-02-10T00:00:00Z");
  CHECK(to_rfc3339(*parse_time("+90m", kNow, Day::kBegins)) == "2030-01-31T01:30:00Z");
  CHECK(to_rfc3339(*parse_time("2030-05-01T12:00:00Z", kNow, Day::kBegins)) == "2030-05-01T12:00:00Z");
  CHECK(to_rfc3339(*parse_time("+2w", kNow, Day::kEnds)) == "2030-02-14T00:00:00Z");
  CHECK(to_rfc3339(*parse_time("-24h", kNow, Day::kBegins)) == "2030-01-30T00:00:00Z");
  CHECK(to_rfc3339(*parse_time("2030-05-01", kNow, Day::kBegins)) == "2030-05-01T00:00:00Z");
  CHECK(to_rfc3339(*parse_time("2030-05-01", kNow, Day::kEnds)) == "2030-05-01T23:59:59Z");
  for (const char* text : {"", "+", "-", "+d", "+10", "+10y", "+10dd", "+-1d", "+9999999999d", "10d", "-100000d",
                           "+1000000w", "2030-13-01"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_time(text, kNow, Day::kBegins));
  }
}

TEST_CASE("a file of devices may have titles, models, remarks and another system's line ends") {
  const DeviceList list = read_devices({},
                                       "\xEF\xBB\xBF"
                                       "\"Device Name\";MODEL\r\n# the lobby\r\n\r\nSEP1;CP-8861\r\n"
                                       "\"SEP2\" ; \"CP 7841\"\r\nSEP3\r\n;;\r\n",
                                       false);
  CHECK(list.faults.words() == std::vector<std::string>{});
  REQUIRE(list.devices.size() == 3);
  CHECK(list.devices[0].device == "SEP1");
  CHECK(list.devices[0].model == "CP-8861");
  CHECK(list.devices[0].line == 4);
  CHECK(list.devices[1].device == "SEP2");
  CHECK(list.devices[1].model == "CP 7841");
  CHECK(list.devices[2].model.empty());
  CHECK(list.devices[2].line == 6);
}

TEST_CASE("titles say what stands where") {
  for (const char* file : {"model,device\nCP-8861,SEP1\n", "Model\tMAC Address\nCP-8861\tSEP1\n",
                           "\"model\";\"mac\"\n\"CP-8861\";\"SEP1\"", "device,model\rSEP1,CP-8861\r", "SEP1,CP-8861"}) {
    CAPTURE(file);
    const DeviceList list = read_devices({}, file, false);
    CHECK(list.faults.words() == std::vector<std::string>{});
    REQUIRE(list.devices.size() == 1);
    CHECK(list.devices[0].device == "SEP1");
    CHECK(list.devices[0].model == "CP-8861");
  }
}

TEST_CASE("every fault of a file is told with its line, its column and its value") {
  struct Case {
    const char* file;
    std::vector<const char*> faults;  // how they begin
  };
  const std::string latin1 = "device,model\nSEP1,CP\nSEP2,M\xFCller\n";
  const Case cases[]{
      {"name,mac\nSEP1,CP-8861\n", {"line 1, column 1, \"name\": an unknown column; known are device, model"}},
      {"device,description\nSEP1,Lobby\n", {"line 1, column 2, \"description\": an unknown column"}},
      {"\"Device Name\",\"Description\"\n\"SEP1\",\"Miller, Hans\"\n",
       {"line 1, column 2, \"Description\": an unknown"}},
      {"Phone;Type\nSEP1;CP\n",
       {"line 1, column 1, \"Phone\": an unknown", "line 1, column 2, \"Type\": an unknown",
        "line 1: no column is called device"}},
      {"model\nCP-8861\n", {"line 1: no column is called device"}},
      {"device,mac\nSEP1,SEP2\n", {"line 1, column 2, \"mac\": column 1 is the device already"}},
      {"SEP1\n,CP-8861\n", {"line 2 names no device"}},
      {"SEP1,CP,Lobby\n", {"line 1, column 3, \"Lobby\": nothing says what this is"}},
      {"device\nSEP1\nSEP 2\n\nSEP/3\n",
       {"line 3, column 1, \"SEP 2\": a device name has", "line 5, column 1, \"SEP/3\": a device name has"}},
      {"model,device\nCP/1,SEP1\n", {"line 2, column 1, \"CP/1\": no model"}},
      {"device\nSEP1\n\"a\nb\"\nSEP2\nSEP1\n",
       {"line 3, column 1, \"a\nb\": a device name", "SEP1 stands twice: line 2, line 6"}},
      {"SEP001122334455\n0011.2233.4455\n", {"SEP001122334455 stands twice: line 1, line 2"}},
      {"SEP1,\"CP\nSEP2,CP\n", {"line 1: a quote that opens nothing"}},
      {"SEP1,CP\nSEP2,C\"P\n", {"line 2: a quote that opens nothing"}},
      {"SEP/1\nSEP2,\"CP\nSEP/3\nSEP 4,\"CP\"\nSEP5,C\"P\nSEP6,\"C\nSEP/7\n",
       {"line 2: a quote that opens nothing", "line 5: a quote that opens nothing",
        "line 6: a quote that opens nothing", "line 1, column 1, \"SEP/1\"", "line 3, column 1, \"SEP/3\"",
        "line 4, column 1, \"SEP 4\"", "line 7, column 1, \"SEP/7\""}},
      {"device;model\nSEP1;\"CP\nSEP/2;CP,1\n",
       {"line 2: a quote that opens nothing", "line 3, column 1, \"SEP/2\"", "line 3, column 2, \"CP,1\": no model"}},
      {latin1.c_str(), {"line 3 is not UTF-8, but perhaps Latin-1: save it as UTF-8"}},
      {"\xFF\xFES", {"it is in UTF-16, or no text"}},
  };
  for (const Case& each : cases) {
    CAPTURE(each.file);
    const auto words = read_devices({}, each.file, false).faults.words();
    REQUIRE(words.size() == each.faults.size());
    for (std::size_t i = 0; i < words.size(); ++i) CHECK_THAT(words[i], Catch::StartsWith(each.faults[i]));
  }
  CHECK(read_devices({}, std::string_view("S\0E\0P\0", 6), false).faults.count() == 1);
  CHECK(read_devices({"SEP1"}, "SEP2\nSEP1\n", false).faults.words() ==
        std::vector<std::string>{"SEP1 stands twice: the command line, line 2"});
}

TEST_CASE("a file full of faults is told of in twenty lines, and long values are cut off") {
  std::string file;
  for (int i = 0; i < 1000; ++i) file += "no/name" + std::string(1000, 'x') + std::to_string(i) + "\n";
  const DeviceList list = read_devices({}, file, false);
  CHECK(list.faults.count() == 1000);
  REQUIRE(list.faults.words().size() == 20);
  for (const std::string& words : list.faults.words()) CHECK(words.size() < 200);
}

TEST_CASE("a MAC address in any usual writing is the name that the phone comes by") {
  for (const char* mac :
       {"00:1a:22:33:44:55", "00-1A-22-33-44-55", "001a.2233.4455", "001a22334455", "00 1a 22 33 44 55",
        "001a22-334455", "sep001a22334455", "Sep001A22334455", "SEP00:1A:22:33:44:55"}) {
    CAPTURE(mac);
    CHECK(name_of_mac(mac) == "SEP001A22334455");
  }
  CHECK(name_of_mac("ata001a22334455") == "ATA001A22334455");
  for (const char* other : {"", "SEP", "SEP1", "00:1a:22:33:44", "00:1a:22:33:44:5g", "0:1a:22:33:44:55", "lobby",
                            "CSFhans", "00:1a-22:33:44:55", "001a:22:33:44:55",
                            "00:1a:22:33:44:55:", ":00:1a:22:33:44:55", "00:1a:22:33:44:55:66", "x001a22334455"}) {
    CAPTURE(other);
    CHECK_FALSE(name_of_mac(other));
  }
  const DeviceList list = read_devices({"00:1a:22:33:44:55", "SEP1", "SEP001A22334456"}, "", false);
  CHECK(list.devices[0].device == "SEP001A22334455");
  CHECK(list.remarks.size() == 1);
  CHECK(read_devices({"00:1a:22:33:44:55"}, "", true).devices[0].device == "00:1a:22:33:44:55");
  std::vector<std::string> many;
  for (char c = 'a'; c <= 'f'; ++c) many.push_back(std::string("00112233445") + c);
  CHECK(read_devices(many, "", false).remarks.back() == "1 more MAC addresses likewise");
}

TEST_CASE("an argument that is not UTF-8 is wrong usage of every command, and its value is not shown") {
  const auto commands = all_commands();
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"phone", "show", "M\xFCller"},
        {"audit", "list", "--subject", "\xC0\xAF"},
        {"operation", "schedule", "install", "SEP1", "--auth", "string", "--string", "1234\xFF"},
        {"--state", "\xED\xA0\x80", "phone", "list"}}) {
    const Parsed result = parse(words, commands);
    CHECK(result.command == nullptr);
    CHECK(result.exit_code == 2);
    CHECK_THAT(result.error, Catch::Contains("is not UTF-8") && !Catch::Contains("1234"));
  }
  CHECK(parse({"check", "health", "--state", "\xFF"}, commands).exit_code == 3);
  CHECK(parse({"audit", "list", "--subject", "M\xC3\xBCller\xEF\xBF\xBD"}, commands).command != nullptr);
}

TEST_CASE("enumerations are spelled as the contract has them") {
  CHECK(spell(v1::KEY_ORDER_EC_RSA) == "ec-rsa");
  CHECK(spell(v1::OPERATION_STATE_IN_PROGRESS) == "in_progress");
  CHECK(key_order_of("ec-rsa") == v1::KEY_ORDER_EC_RSA);
  CHECK(state_of("in_progress") == v1::OPERATION_STATE_IN_PROGRESS);
  CHECK(kind_of("troubleshoot") == v1::OPERATION_KIND_TROUBLESHOOT);
  CHECK(auth_of("null") == v1::AUTH_MODE_NULL);
  CHECK(state_of("") == v1::OPERATION_STATE_UNSPECIFIED);
}

TEST_CASE("an operation's JSON has the members of the contract, and null for what is absent") {
  v1::Operation operation;
  operation.set_device("SEP1");
  operation.set_kind(v1::OPERATION_KIND_INSTALL);
  operation.set_state(v1::OPERATION_STATE_PENDING);
  operation.set_auth(v1::AUTH_MODE_LSC);
  set_time(*operation.mutable_created_at(), kNow);
  const std::string json = to_json(operation).dump();
  CHECK(json.rfind(R"({"device":"SEP1","kind":"install","state":"pending","auth":"lsc","reason":null,"message":null,)"
                   R"("created_at":"2030-01-31T00:00:00Z","completes_by":null,"finished_at":null,)",
                   0) == 0);
}

TEST_CASE("the authentication string is taken out of the list of processes") {
  std::string program = "capfctl", option = "--string", digits = "123456", joined = "--string=9876", dash = "-";
  std::vector<char*> words{program.data(), option.data(), digits.data(), joined.data(), option.data(), dash.data()};
  const auto taken = client::take_arguments(static_cast<int>(words.size()), words.data(), "--string");
  CHECK(taken == std::vector<std::string>{"--string", "123456", "--string=9876", "--string", "-"});
  CHECK(digits == "xxxxxx");
  CHECK(joined == "--string=xxxx");
  CHECK(dash == "-");
}

TEST_CASE("an authentication string has 4 to 10 digits") {
  CHECK(client::read_auth_string("0123")->text() == "0123");
  CHECK(client::read_auth_string("0123456789"));
  for (const char* text : {"", "123", "01234567890", "12 34", "12a4", "-123", "\xD9\xA1\xD9\xA2"}) {
    CHECK_FALSE(client::read_auth_string(text));
  }
}
