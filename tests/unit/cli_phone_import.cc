#include <filesystem>
#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "capf/cli/arguments.h"
#include "capf/cli/phone_import.h"

using namespace capf;
using namespace capf::cli;

namespace {

/// A server that has a problem with each device that is in `reasons`, and fails at the call `fails_at`.
struct Trial {
  ImportOptions options;
  bool update = false;
  std::set<Obstacle> skipped;
  std::map<std::string, std::string> reasons;
  std::size_t fails_at = 0;

  std::vector<v1::CheckImportRequest> checks;
  std::vector<v1::ImportPhonesRequest> batches;
  std::vector<std::string> told;
  ImportResult found;
  ImportResult done;
  Status status;

  Result<v1::CheckImportResponse> answer(const v1::CheckImportRequest& request) {
    checks.push_back(request);
    v1::CheckImportResponse response;
    for (int i = 0; i < request.phones_size(); ++i) {
      const auto reason = reasons.find(request.phones(i).device());
      if (reason == reasons.end()) {
        response.set_added(response.added() + 1);
        continue;
      }
      auto& problem = *response.add_problems();
      problem.set_place(i);
      problem.set_reason(reason->second);
      problem.set_message("words");
    }
    return response;
  }
  Result<v1::ImportPhonesResponse> answer(const v1::ImportPhonesRequest& request) {
    batches.push_back(request);
    if (batches.size() == fails_at) return fail(Reason::kServerNotReached);
    v1::ImportPhonesResponse response;
    response.set_added(request.phones_size());
    return response;
  }

  void run(const std::string& text) {
    const auto path = std::filesystem::temp_directory_path() / ("capf-import-" + std::to_string(::getpid()) + ".csv");
    std::ofstream(path, std::ios::binary) << text;
    auto file = TableFile::open(path.string());
    std::filesystem::remove(path);
    REQUIRE(file);
    PhoneImporter importer(*file, options, update, skipped,
                           {[this](const v1::CheckImportRequest& request) { return answer(request); },
                            [this](const v1::ImportPhonesRequest& request) { return answer(request); },
                            [this](const RowProblem& problem) {
                              told.push_back(std::to_string(problem.line) + ' ' + problem.device + ' ' + problem.words);
                            },
                            [](std::int64_t) {}});
    const auto result = importer.check();
    REQUIRE(result);
    found = *result;
    if (found.problems == 0) status = importer.import(done);
  }
};

std::string rows(int count) {
  std::string text = "device\n";
  for (int i = 1; i <= count; ++i) text += "SEP" + std::to_string(i) + '\n';
  return text;
}

}  // namespace

TEST_CASE("a file is checked as a whole, and then imported in batches of 500") {
  Trial trial;
  trial.run(rows(1200));
  REQUIRE(trial.status);
  CHECK(trial.checks.size() == 3);
  REQUIRE(trial.batches.size() == 3);
  CHECK(trial.batches[0].phones_size() == 500);
  CHECK(trial.batches[2].phones_size() == 200);
  CHECK(trial.batches[2].phones(199).device() == "SEP1200");
  CHECK(trial.done.added == 1200);
  CHECK(trial.told.empty());
}

TEST_CASE("the server hears nothing of settings that the file has no column for") {
  Trial trial;
  trial.update = true;
  trial.run("tags,device\nb a,SEP1\n,SEP2\n");
  REQUIRE(trial.batches.size() == 1);
  CHECK(trial.batches[0].update());
  CHECK(trial.checks[0].update());
  const auto& phones = trial.batches[0].phones();
  CHECK_FALSE(phones[0].has_description());
  CHECK(phones[0].tags().tags_size() == 2);
  CHECK(phones[1].has_tags());
  CHECK(phones[1].tags().tags_size() == 0);
  Trial described;
  described.run("device,description\nSEP1,\n");
  CHECK(described.batches.at(0).phones(0).has_description());
  CHECK_FALSE(described.batches[0].phones(0).has_tags());
}

TEST_CASE("problems of rows and of the server are told in the order of lines, and nothing is sent") {
  Trial trial;
  trial.reasons = {{"SEP1", "DEVICE_EXISTS"}, {"SEP3", "DEVICE_OTHER_CASE"}};
  trial.run("device,model\nSEP1,\n-,/\nSEP3,\n-,\n");
  CHECK(trial.batches.empty());
  REQUIRE(trial.told.size() == 5);
  CHECK(trial.told[0] == "2 SEP1 DEVICE_EXISTS: words");
  CHECK_THAT(trial.told[1], Catch::StartsWith("3 - "));
  CHECK_THAT(trial.told[2], Catch::StartsWith("3 - "));
  CHECK(trial.told[3] == "4 SEP3 DEVICE_OTHER_CASE: words");
  CHECK_THAT(trial.told[4], Catch::StartsWith("5 - "));
  CHECK(trial.found.problems == 4);
}

TEST_CASE("rows whose problems are skipped are left out, and others stop the import") {
  Trial trial;
  trial.reasons = {{"SEP1", "DEVICE_EXISTS"}, {"SEP3", "DEVICE_NAME_REFUSED"}};
  trial.skipped = {Obstacle::kExists, Obstacle::kInvalid};
  trial.run("device\nSEP1\n-\nSEP3\nSEP4\n");
  CHECK(trial.batches.empty());
  CHECK(trial.found.skipped == 2);
  CHECK(trial.found.problems == 1);
  trial.skipped.insert(Obstacle::kRefused);
  trial.run("device\nSEP1\n-\nSEP3\nSEP4\n");
  REQUIRE(trial.batches.size() == 1);
  REQUIRE(trial.batches[0].phones_size() == 1);
  CHECK(trial.batches[0].phones(0).device() == "SEP4");
  CHECK(trial.done.added == 1);
  CHECK(trial.done.skipped == 3);
}

TEST_CASE("an import ends at the first call that fails, and knows what is done") {
  Trial trial;
  trial.fails_at = 2;
  trial.run(rows(1600));
  REQUIRE_FALSE(trial.status);
  CHECK(trial.status.error().reason == Reason::kServerNotReached);
  CHECK(trial.batches.size() == 2);
  CHECK(trial.done.added == 500);
}

TEST_CASE("what is skipped is a list of words that there are") {
  CHECK(obstacles_from("")->empty());
  CHECK(*obstacles_from("exists,case,refused,invalid,case") ==
        std::set{Obstacle::kExists, Obstacle::kCase, Obstacle::kRefused, Obstacle::kInvalid});
  for (const char* bad : {"open", "exists,", ",", "exists, case"}) {
    CAPTURE(bad);
    CHECK_FALSE(obstacles_from(bad));
  }
}

TEST_CASE("the command takes its options, several maps among them") {
  const auto commands = all_commands();
  const Parsed parsed = parse({"phone", "import", "a.csv", "--map", "Ort=description", "--map", "cucm.map", "--ignore",
                               "Room", "--skip", "exists,case", "--update"},
                              commands);
  REQUIRE(parsed.command != nullptr);
  CHECK(parsed.command->path == "phone import");
  CHECK(parsed.arguments.text("FILE") == "a.csv");
  CHECK(parsed.arguments.list("--map") == std::vector<std::string>{"Ort=description", "cucm.map"});
  CHECK(parse({"phone", "import"}, commands).exit_code == 2);
}
