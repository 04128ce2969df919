#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "capf/service/phones.h"
#include "tests/support/expect.h"
#include "tests/support/site.h"

// Imports: added and changed in sets, twice the same, in the way of other phones, and on record.

using namespace capf;
using namespace capf::test;
using service::ImportCount;

namespace {

using Tags = std::set<std::string>;

DeviceName device(const std::string& name) { return must(DeviceName::parse(name)); }

ImportedPhone good_phone(const std::string& name) {
  return {device(name), "CP-8861", "Reception, \"Spree\" \\ {1}", Tags{"berlin", "floor-3"}};
}

Result<ImportCount> import_all(Site& site, std::vector<ImportedPhone> phones, bool update = false) {
  return site.phones.import_phones(site.administrator, {std::move(phones), update});
}

/// How many, as "added changed unchanged", which the check before it must have said too.
std::string counted(Site& site, const std::vector<ImportedPhone>& phones, bool update = false) {
  const auto words = [](const ImportCount& count) {
    return std::to_string(count.added) + ' ' + std::to_string(count.changed) + ' ' + std::to_string(count.unchanged);
  };
  const auto plan = must(site.phones.check_import({phones, update}));
  CHECK(plan.problems.empty());
  const std::string done = words(must(import_all(site, phones, update)));
  CHECK(words(plan.count) == done);
  return done;
}

/// The problems of a check, as "1 DEVICE_EXISTS, 3 DEVICE_OTHER_CASE".
std::string problems(Site& site, const std::vector<ImportedPhone>& phones, bool update = false) {
  std::string text;
  for (const auto& problem : must(site.phones.check_import({phones, update})).problems) {
    text +=
        (text.empty() ? "" : ", ") + std::to_string(problem.place) + ' ' + std::string(to_string(problem.error.reason));
  }
  return text;
}

Phone shown(Site& site, const std::string& name) { return must(site.phones.show(device(name))).phone; }

std::string events(Site& site, const std::string& name) {
  return site.value(
      "select string_agg(action || ': ' || detail, '; ' order by id) from audit_events where subject = '" + name + "'");
}

}  // namespace

TEST_CASE("a batch of phones is added with all that is said of them, each on record") {
  Site site;
  std::vector<ImportedPhone> phones;
  for (int i = 0; i < kPhonesInBatch; ++i) phones.push_back(good_phone("SEP" + std::to_string(1999 - i)));
  phones[7].tags = Tags{};
  phones[8] = {device("SEP1991")};
  CHECK(counted(site, phones) == "500 0 0");
  CHECK(shown(site, "SEP1999").model == "CP-8861");
  CHECK(shown(site, "SEP1999").description == *phones[0].description);
  CHECK(shown(site, "SEP1999").tags == std::vector<std::string>{"berlin", "floor-3"});
  CHECK(shown(site, "SEP1992").tags.empty());
  CHECK(shown(site, "SEP1991").description.empty());
  CHECK(site.value("select count(*) from phone_tags") == "996");
  CHECK(site.value("select count(*) from audit_events where action = 'phone.add'") == "500");
  CHECK(events(site, "SEP1999") ==
        "phone.add: CP-8861, description \"Reception, \"Spree\" \\ {1}\", tags +berlin +floor-3");
  CHECK(events(site, "SEP1991") == "phone.add: ");
}

TEST_CASE("the same again changes nothing, so an import that was interrupted can be started again") {
  Site site;
  const std::vector<ImportedPhone> phones{good_phone("SEP1"), good_phone("SEP2"), good_phone("SEP3")};
  CHECK(counted(site, {phones[1]}) == "1 0 0");
  CHECK(counted(site, phones) == "2 0 1");
  CHECK(counted(site, phones) == "0 0 3");
  CHECK(counted(site, phones, true) == "0 0 3");
  // A phone has its model from its MIC where nothing is said of it.
  CHECK(counted(site, {{device("SEP1")}}) == "0 0 1");
  CHECK(site.value("select count(*) from audit_events where action like 'phone.%'") == "3");
}

TEST_CASE("a phone that is otherwise on record is in the way, unless it is to be changed") {
  Site site;
  must(import_all(site, {good_phone("SEP1"), good_phone("SEP2")}));
  std::vector<ImportedPhone> phones{good_phone("SEP0"), good_phone("SEP1"), good_phone("SEP2")};
  phones[1].description = "Lobby";
  phones[2].tags = Tags{"floor-3", "spare"};
  CHECK(problems(site, phones) == "1 DEVICE_EXISTS, 2 DEVICE_EXISTS");
  CHECK(must(site.phones.check_import({phones, false})).problems[1].error.message ==
        "SEP2 exists already, and differs in tags");
  CHECK(refused(import_all(site, phones)) == Reason::kDeviceExists);
  CHECK(site.value("select count(*) from phones") == "2");
  CHECK(counted(site, phones, true) == "1 2 0");
  CHECK(shown(site, "SEP1").description == "Lobby");
  CHECK(shown(site, "SEP2").tags == std::vector<std::string>{"floor-3", "spare"});
  CHECK(events(site, "SEP2")
            .ends_with("; phone.change: model CP-8861, description \"Reception, \"Spree\" \\ {1}\", "
                       "tags none but +floor-3 +spare"));
}

TEST_CASE("an update leaves what the file does not have") {
  Site site;
  must(import_all(site, {good_phone("SEP1"), good_phone("SEP2")}));
  CHECK(counted(site, {{device("SEP1"), "CP-7821"}, {device("SEP2"), "", "", Tags{}}}, true) == "0 2 0");
  CHECK(shown(site, "SEP1").model == "CP-7821");
  CHECK(shown(site, "SEP1").description == *good_phone("SEP1").description);
  CHECK(shown(site, "SEP1").tags.size() == 2);
  CHECK(shown(site, "SEP2").model == "CP-8861");
  CHECK(shown(site, "SEP2").description.empty());
  CHECK(shown(site, "SEP2").tags.empty());
}

TEST_CASE("a blocked phone stays blocked, and a removed one makes room for another") {
  Site site;
  must(import_all(site, {good_phone("SEP1"), good_phone("SEP2")}));
  must(site.phones.block(site.administrator, device("SEP1")));
  must(site.phones.remove(site.administrator, device("SEP2")));
  const std::int64_t removed = std::stoll(site.value("select id from phones where device = 'SEP2'"));
  CHECK(counted(site, {{device("SEP1"), "", "Lobby"}, good_phone("SEP2")}, true) == "1 1 0");
  CHECK(shown(site, "SEP1").blocked_at);
  CHECK(shown(site, "SEP2").id != removed);
  CHECK(site.value("select count(*) from phone_tags where phone_id = " + std::to_string(removed)) == "0");
}

TEST_CASE("each phone that cannot be imported is told with its place, and a batch with one does nothing") {
  Site site;
  site.policy.device_names = {must(Pattern::parse("SEP*"))};
  must(import_all(site, {good_phone("SEPa")}));
  std::vector<ImportedPhone> phones{good_phone("SEP1"), good_phone("SEPA"), good_phone("pbx"),
                                    good_phone("SEP2"), good_phone("SEP3"), good_phone("SEP4")};
  phones[3].model = "CP/8861";
  phones[4].description = std::string(129, 'x');
  phones[5].tags = Tags{"a b"};
  CHECK(problems(site, phones) ==
        "1 DEVICE_OTHER_CASE, 2 DEVICE_NAME_REFUSED, 3 INVALID_REQUEST, 4 INVALID_REQUEST, 5 INVALID_REQUEST");
  CHECK(must(site.phones.check_import({phones, true})).count.added == 1);
  for (const std::size_t bad : {2U, 3U, 4U, 5U}) {
    CAPTURE(bad);
    const std::string expected = problems(site, {phones[bad]}).substr(2);
    CHECK(to_string(refused(import_all(site, {phones[0], phones[bad]}))) == expected);
  }
  CHECK(site.value("select count(*) from phones") == "1");
}

TEST_CASE("a call imports 1 to 500 phones, each of another name") {
  Site site;
  std::vector<ImportedPhone> many(kPhonesInBatch + 1, good_phone("SEP1"));
  for (const auto& phones : {std::vector<ImportedPhone>{}, many, {many[0], many[1]}}) {
    CAPTURE(phones.size());
    CHECK(refused(import_all(site, phones)) == Reason::kInvalidRequest);
    CHECK(refused(site.phones.check_import({phones, false})) == Reason::kInvalidRequest);
  }
}
