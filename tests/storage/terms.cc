#include <catch2/catch.hpp>

#include "tests/support/expect.h"
#include "tests/support/site.h"

// The terms of operations: what is in effect of each phone when it is scheduled, and what the command says.

using namespace capf;
using namespace capf::test;

namespace {

/// Adds a profile and gives it to phones.
void give(Site& site, const std::string& name, const Settings& settings, const std::vector<DeviceName>& devices,
          DeviceMode mode = DeviceMode::kNonsecure) {
  must(site.profiles.add(site.administrator, {name, "nonsecure", {.mode = mode, .set = settings}}));
  const service::Bulk bulk{{.devices = devices}, static_cast<std::int64_t>(devices.size()), {}};
  must(site.profiles.apply(site.administrator, Role::kAdmin, bulk, {.profile = name, .anyway = true}));
}

void set_own(Site& site, const DeviceName& device, const Settings& settings) {
  must(site.profiles.change_own(site.administrator, Role::kAdmin, {{.devices = {device}}, 1, {}}, {.set = settings}));
}

service::ScheduleBulk bulk_of(const std::vector<DeviceName>& devices) {
  service::ScheduleBulk bulk;
  bulk.phones.selection.devices = devices;
  bulk.phones.count = static_cast<std::int64_t>(devices.size());
  return bulk;
}

std::string letters(const Operation& operation) { return to_letters(*operation.owners); }

}  // namespace

TEST_CASE("each phone of a batch is scheduled by its own settings, and only those by string get one") {
  Site site;
  const auto devices = site.add_phones(3);
  give(site, "mic", {{"auth", "mic"}, {"completes_within", "12h"}, {"lsc_validity_days", "30"}},
       {devices[1], devices[2]});
  set_own(site, devices[2], {{"auth", "lsc"}, {"key_order", "ec"}});
  const auto check = must(site.operations.check_schedule(bulk_of(devices)));
  REQUIRE(check.phones.size() == 3);
  CHECK(check.phones[0].terms->auth == AuthMode::kString);
  CHECK(check.phones[1].terms->auth == AuthMode::kMic);
  CHECK(check.phones[0].terms->completes_by - check.phones[1].terms->completes_by ==
        kDefaultDeadline - std::chrono::hours{12});
  CHECK(check.completes_by == check.phones[0].terms->completes_by);
  CHECK(check.phones[1].prospect.no_anchor);

  const auto answer = must(site.operations.schedule(site.administrator, bulk_of(devices)));
  REQUIRE(answer.operations.size() == 3);
  CHECK(answer.operations[0].auth_string.text().size() == 8);
  CHECK(answer.operations[1].auth_string.text().empty());
  const Operation by_mic = must(site.operations.show(devices[1]));
  CHECK(by_mic.auth == AuthMode::kMic);
  CHECK(by_mic.lsc == LscTerms{std::chrono::hours{24 * 30}, SubjectForm::kPlain});
  CHECK(letters(by_mic) == "rsssrrs");
  const Operation by_lsc = must(site.operations.show(devices[2]));
  CHECK(by_lsc.auth == AuthMode::kLsc);
  CHECK(by_lsc.key.order == KeyOrder::kEc);
  CHECK(letters(by_lsc) == "ppssrrs");
}

TEST_CASE("a later change of a profile, of the phone or of its profile touches no open operation") {
  Site site;
  const auto devices = site.add_phones(1);
  give(site, "first", {{"auth", "mic"}, {"lsc_validity_days", "30"}}, devices);
  const auto scheduled =
      must(site.operations.schedule(site.administrator, bulk_of(devices))).operations.front().operation;
  must(site.profiles.set(site.administrator, "first", {.set = {{"auth", "lsc"}, {"lsc_validity_days", "60"}}}));
  set_own(site, devices[0], {{"key_order", "ec"}});
  give(site, "second", {{"completes_within", "1h"}}, devices);
  const Operation now = must(site.operations.show(devices[0]));
  CHECK(now.auth == AuthMode::kMic);
  CHECK(now.key == scheduled.key);
  CHECK(now.lsc == scheduled.lsc);
  CHECK(now.owners == scheduled.owners);
  CHECK(now.completes_by == scheduled.completes_by);
}

TEST_CASE("strings that were made go to phones by string alone, with the deadlines that were said") {
  Site site;
  const auto devices = site.add_phones(2);
  give(site, "mic", {{"auth", "mic"}}, {devices[1]});
  service::ScheduleBulk bulk = bulk_of(devices);
  const auto check = must(site.operations.check_schedule(bulk));
  bulk.strings.emplace(devices[0], Secret(std::string_view("12345678")));
  bulk.deadlines.emplace(devices[0], check.phones[0].terms->completes_by);
  SECTION("they are taken as they are") {
    const auto answer = must(site.operations.schedule(site.administrator, bulk));
    CHECK(answer.operations[0].operation.completes_by == check.phones[0].terms->completes_by);
    CHECK(answer.operations[0].auth_string.text().empty());
    CHECK(must(site.operations.show(devices[0])).completes_by == check.phones[0].terms->completes_by);
  }
  SECTION("a phone that asks for none any more refuses the call") {
    set_own(site, devices[0], {{"auth", "lsc"}});
    CHECK(refused(site.operations.schedule(site.administrator, bulk)) == Reason::kChangedMeanwhile);
  }
  SECTION("a phone that asks for one by now refuses the call") {
    set_own(site, devices[1], {{"auth", "string"}});
    CHECK(refused(site.operations.schedule(site.administrator, bulk)) == Reason::kInvalidAuthString);
  }
  SECTION("a deadline that the settings do not give any more refuses the call") {
    set_own(site, devices[0], {{"completes_within", "1h"}});
    CHECK(refused(site.operations.schedule(site.administrator, bulk)) == Reason::kChangedMeanwhile);
  }
  if (site.value("select count(*) from operations") != "2") CHECK(site.value("select count(*) from operations") == "0");
}

TEST_CASE("a phone that cannot take a string, or null string that no admin decided, is a problem that names it") {
  Site site;
  const auto devices = site.add_phones(3);
  give(site, "closed", {{"settings_access", "off"}}, {devices[1]}, DeviceMode::kEncrypted);
  service::ScheduleBulk bulk = bulk_of(devices);
  const auto check = must(site.operations.check_schedule(bulk));
  REQUIRE(check.problems.size() == 1);
  CHECK(check.problems[0].device == devices[1].text());
  CHECK(check.problems[0].reason == Reason::kStringCannotBeTyped);
  CHECK(check.phones.size() == 2);
  CHECK(refused(site.operations.schedule(site.administrator, bulk)) == Reason::kStringCannotBeTyped);

  set_own(site, devices[2], {{"auth", "null"}});
  service::ScheduleRequest request;
  request.devices = {devices[2]};
  CHECK(refused(site.operations.schedule(site.administrator, request)) == Reason::kRoleDenied);
  request.role = Role::kAdmin;
  CHECK(must(site.operations.schedule(site.administrator, request)).warnings.size() == 1);
  CHECK(site.value("select count(*) from operations") == "1");
}

TEST_CASE("a phone enrols by the terms of its operation: the LSC lives as long as they say") {
  Site site;
  const auto devices = site.add_phones(1);
  give(site, "short", {{"lsc_validity_days", "30"}, {"key_order", "ec"}, {"ec_bits", "256"}}, devices);
  const auto answer = must(site.operations.schedule(site.administrator, bulk_of(devices)));
  must(site.profiles.set(site.administrator, "short", {.set = {{"lsc_validity_days", "60"}}}));
  const std::string digits(answer.operations.front().auth_string.text());
  must(site.enrolment.issue(Site::with_string(devices[0], digits), PhoneKey().request()));
  CHECK(site.value("select extract(day from not_after - not_before)::int between 30 and 31 from certificates") == "t");
}

TEST_CASE(
    "a profile comes with installs for phones without an LSC and without an operation, all or nothing and once a run") {
  Site site;
  const auto devices = site.add_phones(4);
  site.enrol(devices[0], PhoneKey());
  site.schedule(devices[1], OperationKind::kDelete, AuthMode::kMic);
  must(site.profiles.add(site.administrator,
                         {"secure",
                          "nonsecure",
                          {.mode = DeviceMode::kEncrypted,
                           .set = {{"lsc_validity_days", "30"}, {"key_order", "ec"}, {"ec_bits", "256"}}}}));
  set_own(site, devices[3], {{"auth", "mic"}});
  const auto apply = [&](const std::vector<DeviceName>& some, const service::InstallWish& wish) {
    const service::Bulk bulk{{.devices = some}, static_cast<std::int64_t>(some.size()), {}};
    return site.profiles.apply(site.administrator, Role::kOperator, bulk, {.profile = "secure", .install = wish});
  };
  const auto of_profile = [&] { return site.value("select count(*) from phones where profile_id <> 1"); };
  service::InstallWish wish;
  wish.run = Bytes(kRunOctets, 0x5a);
  CHECK(refused(apply(devices, wish)) == Reason::kNoCertificate);  // the second one: a delete is pending
  CHECK(of_profile() == "0");

  const std::vector<DeviceName> some{devices[0], devices[2], devices[3]};
  const auto check = must(
      site.profiles.check_apply(Role::kOperator, {{.devices = some}, 3, {}}, {.profile = "secure", .install = wish}));
  REQUIRE(check.installs.size() == 2);
  CHECK(check.installs[0].terms->auth == AuthMode::kString);
  CHECK(check.installs[1].terms->auth == AuthMode::kMic);
  wish.strings.emplace(devices[0], Secret(std::string_view("11111111")));  // of one that needs none
  CHECK(refused(apply(some, {.strings = {{devices[2], Secret(std::string_view("1"))}}})) == Reason::kInvalidAuthString);
  CHECK(of_profile() == "0");
  wish.strings.emplace(devices[2], Secret(std::string_view("12345678")));
  wish.deadlines.emplace(devices[2], check.installs[0].terms->completes_by);
  for (int turn = 0; turn < 2; ++turn) {  // the second call is the same one, sent again
    const auto answer = must(apply(some, wish));
    CHECK(answer.changed == (turn == 0 ? 3 : 0));
    REQUIRE(answer.operations.size() == 2);
    CHECK(answer.operations[0].auth_string.text().empty());
  }
  CHECK(site.value("select count(*) from operations where finished_at is null") == "3");
  const Operation by_string = must(site.operations.show(devices[2]));
  CHECK(by_string.completes_by == check.installs[0].terms->completes_by);
  CHECK(by_string.lsc->validity == std::chrono::hours{24 * 30});
  CHECK(letters(by_string) == "srsrsrs");
  CHECK(site.enrolment.issue(Site::with_string(devices[2], "12345678"), PhoneKey().request()).has_value());
}
