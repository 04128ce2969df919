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
                           "operation schedule install SEP1", "operation schedule fly SEP1 --auth null",
                           "operation list --state none", "certificate revoke SEP1 --reason keycompromise",
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

TEST_CASE("a device may be called like a command") {
  const auto commands = all_commands();
  const Parsed result = parsed(commands, "phone show audit");
  REQUIRE(result.command != nullptr);
  CHECK(result.arguments.text("DEVICE") == "audit");
}

TEST_CASE("the completion script knows every command and option") {
  const auto commands = all_commands();
  const std::string script = bash_completion(command_tree(commands));
  for (const Command& command : commands) CHECK(script.find("' " + command.path + "') path=") != std::string::npos);
  CHECK(script.find("' operation schedule --auth')\n      COMPREPLY=($(compgen -W 'string null lsc mic'") !=
        std::string::npos);
  CHECK(script.find("complete -F _capfctl capfctl") != std::string::npos);
  CHECK(script.find('\0') == std::string::npos);
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

TEST_CASE("a file of devices may have a title, models, remarks and another system's line ends") {
  std::istringstream lines(
      "\xEF\xBB\xBF"
      "Device,Model\r\n# the lobby\r\n\r\nSEP1,CP-8861\r\n\"SEP2\";\"CP-7841\";floor 2\r\nSEP3\r\n\"#4\"\r\n");
  const auto devices = parse_device_lines(lines);
  REQUIRE(devices);
  REQUIRE(devices->size() == 4);
  CHECK((*devices)[0].device == "SEP1");
  CHECK((*devices)[0].model == "CP-8861");
  CHECK((*devices)[1].device == "SEP2");
  CHECK((*devices)[1].model == "CP-7841");
  CHECK((*devices)[2].model.empty());
  CHECK((*devices)[3].device == "#4");
}

TEST_CASE("a line of a file without a device is refused with its number") {
  std::istringstream lines("SEP1\n,CP-8861\n");
  const auto devices = parse_device_lines(lines);
  REQUIRE_FALSE(devices);
  CHECK(devices.error().message == "line 2 names no device");
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
