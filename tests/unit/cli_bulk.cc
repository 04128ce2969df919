#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include <botan/auto_rng.h>
#include <catch2/catch.hpp>

#include "capf/cli/arguments.h"
#include "capf/cli/bulk.h"
#include "capf/cli/convert.h"
#include "capf/cli/progress.h"
#include "capf/cli/schedule.h"
#include "tests/support/folder.h"

using namespace capf;
using namespace capf::cli;
using capf::test::Folder;

namespace {

const TimePoint kDeadline = parse_rfc3339("2030-12-31T23:59:59Z").value();

Arguments arguments(const std::string& line) {
  static const std::vector<Command> commands = all_commands();
  std::istringstream in(line);
  const Parsed parsed = parse({std::istream_iterator<std::string>(in), {}}, commands);
  INFO(parsed.error);
  REQUIRE(parsed.command != nullptr);
  return parsed.arguments;
}

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A first pass over these devices, without a problem.
BulkFound found_of(const std::vector<std::string>& devices) {
  BulkFound found;
  for (const std::string& device : devices) {
    found.phones[device].set_device(device);
    found.phones[device].set_description("Room " + device);
    found.phones[device].add_tags("floor-2");
    found.phones[device].set_auth(v1::AUTH_MODE_STRING);
    set_time(*found.phones[device].mutable_completes_by(), kDeadline);
  }
  return found;
}

v1::ScheduleSelectionRequest call_for(const std::vector<std::string>& devices) {
  v1::ScheduleSelectionRequest request;
  for (const std::string& device : devices) request.mutable_bulk()->mutable_selection()->add_devices(device);
  return request;
}

/// Adds the strings that the call's phones take.
capf::Status add_to(BulkStrings& strings, const BulkFound& found, v1::ScheduleSelectionRequest& request) {
  return strings.add(found, request.bulk().selection().devices(), *request.mutable_strings());
}

v1::OperationProblem problem_of(const std::string& device, const std::string& reason) {
  v1::OperationProblem problem;
  problem.set_device(device);
  problem.set_reason(reason);
  problem.set_message(device + " is odd");
  return problem;
}

/// A progress whose time stands still until it is told to go on.
struct Run {
  std::ostringstream out;
  Progress::Time now{};
  Progress progress;

  explicit Run(Progress::Kind kind, std::int64_t total = 1000)
      : progress("done", total, kind, out, [this] { return now; }) {}
  std::string after(std::chrono::milliseconds time, std::int64_t done) {
    now += time;
    out.str("");
    progress.add(done);
    return out.str();
  }
};

}  // namespace

TEST_CASE("progress is said in lines after ten seconds, and on a terminal after one") {
  using std::chrono::milliseconds;
  Run lines(Progress::Kind::kLines);
  CHECK(lines.after(milliseconds(9999), 100).empty());
  CHECK(lines.after(milliseconds(1), 100) == "200 of 1000 done, 20 a second, 40 s left\n");
  CHECK(lines.after(milliseconds(9000), 700).empty());
  Run terminal(Progress::Kind::kTerminal);
  CHECK(terminal.after(milliseconds(900), 10).empty());
  CHECK(terminal.after(milliseconds(100), 10) == "\r20 of 1000 done, 20 a second, 49 s left\x1b[K");
  CHECK(terminal.after(milliseconds(100), 10).empty());
  CHECK(terminal.after(milliseconds(10), 970) == "\r1000 of 1000 done, 900 a second, 0 s left\x1b[K");
  terminal.out.str("");
  terminal.progress.clear();
  terminal.progress.clear();
  CHECK(terminal.out.str() == "\r\x1b[K");
  Run open(Progress::Kind::kLines, 0);
  CHECK(open.after(milliseconds(10'000), 100) == "100 done, 10 a second\n");
  Run none(Progress::Kind::kNone);
  CHECK(none.after(milliseconds(60'000), 1000).empty());
}

TEST_CASE("a command is the same one whatever it does with its problems and its output") {
  const std::string schedule = "operation schedule install --auth string --file phones.csv";
  const std::string command = command_of(arguments(schedule));
  CHECK(command == "operation schedule --auth=string --file=phones.csv KIND=install");
  CHECK(command_of(arguments(schedule + " --strings s.csv --sheet s.html --problems p.csv --skip open --replace "
                                        "--dry-run --quiet --yes --output json")) == command);
  CHECK(command_of(arguments("operation schedule --file phones.csv --auth string install")) == command);
  for (const char* const other :
       {"--tag a", "--except but.csv", "--completes-by +2d", "--key-order ec", "--blocked", "SEP1"}) {
    CHECK(command_of(arguments(schedule + " " + other)) != command);
  }
}

TEST_CASE("what is skipped is named by a word for each problem") {
  const std::set<std::string> words{"open", "blocked", "unknown"};
  const auto skipped = [&](const std::string& list) {
    return skipped_reasons(arguments("operation schedule install --auth null --all --skip " + list), words);
  };
  CHECK(skipped("open,unknown").value() == std::set<std::string>{"OPERATION_PENDING", "UNKNOWN_DEVICE"});
  CHECK(skipped("blocked").value() == std::set<std::string>{"DEVICE_BLOCKED"});
  CHECK_FALSE(skipped("open,none"));
  CHECK_FALSE(skipped("OPERATION_PENDING"));
}

TEST_CASE("every problem is in the file, with its line, and what is not skipped refuses") {
  const Folder folder;
  const std::string path = (folder.path() / "problems.csv").string();
  const Arguments given = arguments("operation schedule install --auth null --file phones.csv --problems " + path);
  Chosen chosen;
  chosen.lines = {{"SEP1", 7}, {"SEP2", 0}};
  BulkFound found = found_of({"SEP4"});
  const auto report = [&](const std::set<std::string>& skipped) {
    return report_problems(given, chosen, found, skipped, "nothing was done: ");
  };
  CHECK(report({}));
  CHECK(text_of(path) == "line,device,reason,message\n");
  found.problems["SEP1"] = problem_of("SEP1", "OPERATION_PENDING");
  found.problems["SEP2"] = problem_of("SEP2", "DEVICE_BLOCKED");
  found.problems["SEP3"] = problem_of("SEP3", "OPERATION_PENDING");
  const auto refusal = report({"OPERATION_PENDING"});
  REQUIRE_FALSE(refusal);
  CHECK(refusal.error().reason == Reason::kDeviceBlocked);
  CHECK(refusal.error().message == "nothing was done: SEP2 is odd");
  CHECK(text_of(path) ==
        "line,device,reason,message\n7,SEP1,OPERATION_PENDING,SEP1 is odd\n,SEP2,DEVICE_BLOCKED,SEP2 is odd\n"
        ",SEP3,OPERATION_PENDING,SEP3 is odd\n");
  CHECK(report({"OPERATION_PENDING", "DEVICE_BLOCKED"}));
  CHECK_THAT(report({}).error().message, Catch::Contains("3 phones have problems"));
}

TEST_CASE("strings are in the file before they are in a request, and a run that is continued sends the same ones") {
  const Folder folder;
  Botan::AutoSeeded_RNG random;
  const std::string path = (folder.path() / "strings.csv").string();
  const BulkFound found = found_of({"SEP1", "SEP2", "SEP3"});
  auto before = call_for({"SEP1", "SEP2"});
  std::string run;
  {
    BulkStrings strings(random);
    REQUIRE(strings.open(path, "a command"));
    CHECK_FALSE(strings.deadline());
    run = strings.run();
    CHECK(run.size() == 16);
    REQUIRE(add_to(strings, found, before));
    REQUIRE(before.strings_size() == 2);
    CHECK(before.strings(1).device() == "SEP2");
    CHECK_THAT(text_of(path),
               Catch::Contains("SEP2," + before.strings(1).digits() + ",2030-12-31T23:59:59Z,Room SEP2\n"));
  }  // as if it was killed before the call
  BulkStrings strings(random);
  CHECK_FALSE(BulkStrings(random).open(path, "another command"));
  REQUIRE(strings.open(path, "a command"));
  CHECK(strings.run() == run);
  CHECK(strings.deadline() == kDeadline);
  auto after = call_for({"SEP2", "SEP3"});
  REQUIRE(add_to(strings, found, after));
  CHECK(after.strings(0).digits() == before.strings(1).digits());
  CHECK(after.strings(1).digits().size() == 8);

  const std::string sheet = (folder.path() / "sheet.html").string();
  REQUIRE(strings.write_sheet(sheet, found));
  CHECK_THAT(text_of(sheet), Catch::Contains(after.strings(1).digits()) && Catch::Contains("Room SEP1"));
  CHECK((std::filesystem::status(sheet).permissions() & std::filesystem::perms(0077)) == std::filesystem::perms::none);
  REQUIRE(strings.finish());
  CHECK_FALSE(BulkStrings(random).open(path, "a command"));
}

TEST_CASE("a phone that proves itself otherwise gets no string") {
  Botan::AutoSeeded_RNG random;
  BulkStrings strings(random);
  BulkFound found = found_of({"SEP1", "SEP2"});
  found.phones["SEP1"].set_auth(v1::AUTH_MODE_MIC);
  auto request = call_for({"SEP1", "SEP2"});
  REQUIRE(add_to(strings, found, request));
  REQUIRE(request.strings_size() == 1);
  CHECK(request.strings(0).device() == "SEP2");
}

TEST_CASE("strings without a file are kept for the terminal") {
  Botan::AutoSeeded_RNG random;
  BulkStrings strings(random);
  CHECK(strings.run().size() == 16);
  CHECK(strings.run() == strings.run());
  auto request = call_for({"SEP1"});
  REQUIRE(add_to(strings, found_of({"SEP1"}), request));
  REQUIRE(strings.find("SEP1") != nullptr);
  CHECK(strings.find("SEP1")->text() == request.strings(0).digits());
  CHECK(strings.find("SEP2") == nullptr);
  CHECK(strings.finish());
}
