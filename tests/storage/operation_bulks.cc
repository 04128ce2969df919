#include <thread>

#include <catch2/catch.hpp>

#include "tests/support/expect.h"
#include "tests/support/site.h"

// Bulks over operations: each call is one transaction, done whole, once, or not at all.

using namespace capf;
using namespace capf::test;

namespace {

const Bytes kRun(kRunOctets, 0x5a);

/// A call for named devices, each with a string of its own where `strings` says so.
service::ScheduleBulk schedule_of(const std::vector<DeviceName>& devices, AuthMode auth = AuthMode::kString) {
  service::ScheduleBulk bulk;
  bulk.phones.selection.devices = devices;
  bulk.phones.count = static_cast<std::int64_t>(devices.size());
  bulk.plan.auth = auth;
  bulk.plan.key = {KeyOrder::kEc, 2048, 256};
  bulk.plan.role = Role::kAdmin;
  bulk.run = kRun;
  if (auth != AuthMode::kString) return bulk;
  int number = 12345678;
  for (const DeviceName& each : devices) bulk.strings.emplace(each, Secret(std::to_string(number++)));
  return bulk;
}

service::OperationBulk cancel_of(const std::vector<DeviceName>& devices) {
  service::OperationBulk bulk;
  bulk.phones.selection.devices = devices;
  bulk.phones.count = static_cast<std::int64_t>(devices.size());
  bulk.run = kRun;
  return bulk;
}

std::string open_ones(Site& site) { return site.value("select count(*) from operations where finished_at is null"); }
std::string of_record(Site& site, const std::string& action) {
  return site.value("select count(*) from audit_events where action = '" + action + "' and outcome = 'done'");
}

std::string told(const std::vector<service::Problem>& problems) {
  std::string text;
  for (const auto& [name, reason, message] : problems) text += name + " " + std::string(to_string(reason)) + "; ";
  return text;
}

}  // namespace

TEST_CASE("each phone of a batch enrols with the string that came for it, which is not on record") {
  Site site;
  const auto devices = site.add_phones(3);
  const auto answer = must(site.operations.schedule(site.administrator, schedule_of(devices)));
  CHECK(answer.selected == 3);
  REQUIRE(answer.operations.size() == 3);
  CHECK_FALSE(answer.next);
  for (const service::Scheduled& scheduled : answer.operations) CHECK(scheduled.auth_string.empty());
  CHECK(site.value("select count(*) from operation_strings where largest = 100") == "3");
  CHECK(site.value("select count(*) from operations where string_digits = 8 and octet_length(string_mac) = 32") == "3");
  CHECK(refused(site.enrolment.pending(Site::with_string(devices[0], "12345679"))) == Reason::kAuthenticationFailed);
  for (int i = 0; i < 3; ++i) {
    const auto& each = devices[static_cast<std::size_t>(i)];
    must(site.enrolment.issue(Site::with_string(each, std::to_string(12345678 + i)), PhoneKey().request()));
  }
  CHECK(of_record(site, "operation.schedule") == "3");
}

TEST_CASE("a batch is done for all of its phones or for none, and skipped problems leave theirs out") {
  Site site;
  const auto devices = site.add_phones(4);
  site.schedule(devices[1], kInstall, AuthMode::kNull);
  must(site.phones.block(site.administrator, devices[2]));
  must(site.phones.remove(site.administrator, devices[3]));
  service::ScheduleBulk bulk = schedule_of(devices);
  const auto check = must(site.operations.check_schedule(bulk));
  CHECK(told(check.problems) == "SEP1001 OPERATION_PENDING; SEP1002 DEVICE_BLOCKED; SEP1003 UNKNOWN_DEVICE; ");
  CHECK(check.count == 3);
  REQUIRE(check.phones.size() == 1);
  CHECK(check.phones[0].phone.device == devices[0]);
  CHECK_FALSE(check.phones[0].done);
  for (const Reason reason : {Reason::kOperationPending, Reason::kDeviceBlocked, Reason::kUnknownDevice}) {
    CHECK(refused(site.operations.schedule(site.administrator, bulk)) == reason);
    CHECK(open_ones(site) == "1");
    bulk.skipped.insert(reason);
  }
  const auto answer = must(site.operations.schedule(site.administrator, bulk));
  CHECK(answer.operations.size() == 1);
  CHECK(answer.selected == 3);
  CHECK(told(answer.problems) == told(check.problems));
  CHECK(open_ones(site) == "2");
}

TEST_CASE("a first pass tells the deadline and the prospects, and changes nothing") {
  Site site;
  const auto devices = site.add_phones(2);
  must(site.phones.change(site.administrator, {{.devices = {devices[0]}}, 1, {}},
                          {.description = "Lobby", .added_tags = {"f-1"}}));
  service::ScheduleBulk bulk = schedule_of(devices, AuthMode::kMic);
  const auto check = must(site.operations.check_schedule(bulk));
  CHECK(check.problems.empty());
  REQUIRE(check.phones.size() == 2);
  CHECK(check.phones[0].phone.description == "Lobby");
  CHECK(check.phones[0].phone.tags == std::vector<std::string>{"f-1"});
  CHECK(check.phones[1].prospect.no_anchor);
  CHECK_FALSE(check.phones[1].prospect.without_lsc);
  CHECK(check.completes_by > SystemClock().now() + kDefaultDeadline - std::chrono::minutes{5});
  bulk.plan.auth = AuthMode::kNull;
  CHECK(must(site.operations.check_schedule(bulk)).warnings.size() == 1);
  bulk.plan.kind = OperationKind::kDelete;
  CHECK(must(site.operations.check_schedule(bulk)).phones[0].prospect.without_lsc);
  CHECK(open_ones(site) == "0");
  bulk.plan.completes_by = SystemClock().now() + std::chrono::hours{24 * 91};
  CHECK(refused(site.operations.check_schedule(bulk)) == Reason::kInvalidDeadline);
}

TEST_CASE("a batch that is sent twice is done once, and told the same, also when its phones are finished") {
  Site site;
  const auto devices = site.add_phones(3);
  const service::ScheduleBulk bulk = schedule_of(devices);
  const auto first = must(site.operations.schedule(site.administrator, bulk));
  const PhoneKey key;
  const auto with_string = Site::with_string(devices[0], "12345678");
  const auto issued = must(site.enrolment.issue(with_string, key.request()));
  must(site.enrolment.confirm(with_string, sha256(issued.certificate)));
  must(site.operations.cancel(site.administrator, devices[1]));
  const auto again = must(site.operations.schedule(site.administrator, bulk));
  REQUIRE(again.operations.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) CHECK(again.operations[i].operation.id == first.operations[i].operation.id);
  CHECK(again.operations[0].operation.state == OperationState::kSucceeded);
  const auto check = must(site.operations.check_schedule(bulk));
  CHECK(std::all_of(check.phones.begin(), check.phones.end(), [](const auto& each) { return each.done; }));
  CHECK(site.value("select count(*) from operations") == "3");
  CHECK(of_record(site, "operation.schedule") == "3");

  service::ScheduleBulk other = bulk;
  other.run = Bytes(kRunOctets, 1);
  CHECK(refused(site.operations.schedule(site.administrator, other)) == Reason::kOperationPending);
  other.run.clear();
  CHECK(refused(site.operations.schedule(site.administrator, other)) == Reason::kOperationPending);
}

TEST_CASE(
    "a batch that replaces cancels and schedules anew, and revokes what the former operation issued before its last") {
  Site site;
  const auto devices = site.add_phones(2);
  const std::string digits = site.schedule(devices[0], kInstall, AuthMode::kString);
  const auto caller = Site::with_string(devices[0], digits);
  const Bytes first = must(site.enrolment.issue(caller, PhoneKey().request())).certificate;
  const Bytes last = must(site.enrolment.issue(caller, PhoneKey().request())).certificate;
  service::ScheduleBulk bulk = schedule_of(devices);
  bulk.replace = true;
  CHECK(must(site.operations.check_schedule(bulk)).problems.empty());
  CHECK(must(site.operations.schedule(site.administrator, bulk)).operations.size() == 2);
  CHECK(site.value("select count(*) from operations where state = 'cancelled' and message = 'replaced by tester'") ==
        "1");
  CHECK(open_ones(site) == "2");
  CHECK(site.state_of(first) == CertificateState::kSuperseded);
  CHECK(site.value("select count(*) from revocations") == "1");
  CHECK(site.state_of(last) == CertificateState::kIssued);
  CHECK(of_record(site, "operation.cancel") == "1");
  must(site.operations.schedule(site.administrator, bulk));
  CHECK(site.value("select count(*) from operations") == "3");
}

TEST_CASE("what a batch replaces stays where its caller is gone before the commit") {
  Site site;
  const auto devices = site.add_phones(2);
  site.schedule(devices[0], kInstall, AuthMode::kNull);
  Actor gone = site.administrator;
  gone.gone = [] { return true; };
  service::ScheduleBulk bulk = schedule_of(devices);
  bulk.replace = true;
  CHECK(refused(site.operations.schedule(gone, bulk)) == Reason::kCallerGone);
  CHECK(refused(site.operations.cancel(gone, cancel_of({devices[0]}))) == Reason::kCallerGone);
  CHECK(site.value("select string_agg(state || ' ' || auth, ', ') from operations") == "pending null");
}

TEST_CASE("a selection is scheduled call by call, and refused where it has grown") {
  Site site;
  site.add_phones(1100);
  service::ScheduleBulk bulk = schedule_of({}, AuthMode::kNull);
  bulk.phones.selection.all = true;
  bulk.phones.count = 1099;
  CHECK(refused(site.operations.schedule(site.administrator, bulk)) == Reason::kSelectionChanged);
  CHECK(open_ones(site) == "0");
  bulk.phones.count = must(site.operations.check_schedule(bulk)).count;
  CHECK(bulk.phones.count == 1100);
  std::vector<int> calls;
  do {
    const auto answer = must(site.operations.schedule(site.administrator, bulk));
    calls.push_back(answer.selected);
    bulk.phones.count -= answer.selected;
    bulk.phones.cursor = answer.next;
  } while (bulk.phones.cursor);
  CHECK(calls == std::vector<int>{500, 500, 100});
  CHECK(open_ones(site) == "1100");
  CHECK(of_record(site, "operation.schedule") == "1100");
}

TEST_CASE("a client's strings are for every phone that is scheduled, and for no other way to authenticate") {
  Site site;
  const auto devices = site.add_phones(2);
  const auto refusal = [&](const auto& change) {
    service::ScheduleBulk bulk = schedule_of(devices);
    change(bulk);
    return refused(site.operations.schedule(site.administrator, bulk));
  };
  CHECK(refusal([&](auto& bulk) { bulk.strings.erase(devices[1]); }) == Reason::kInvalidAuthString);
  CHECK(refusal([&](auto& bulk) { bulk.strings.at(devices[1]) = Secret(std::string_view("123")); }) ==
        Reason::kInvalidAuthString);
  CHECK(refusal([](auto& bulk) { bulk.plan.auth = AuthMode::kNull; }) == Reason::kInvalidAuthString);
  CHECK(refusal([](auto& bulk) { bulk.plan.auth_string = Secret(std::string_view("12345678")); }) ==
        Reason::kInvalidAuthString);
  CHECK(open_ones(site) == "0");
  service::ScheduleBulk bulk = schedule_of(devices);
  bulk.strings.clear();
  for (const auto& scheduled : must(site.operations.schedule(site.administrator, bulk)).operations) {
    CHECK(scheduled.auth_string.view().size() == 8);
  }
}

TEST_CASE("open operations are cancelled together or not at all, and once") {
  Site site;
  const auto devices = site.add_phones(3);
  must(site.operations.schedule(site.administrator, schedule_of({devices[0], devices[1]})));
  service::OperationBulk bulk = cancel_of(devices);
  CHECK(told(must(site.operations.check_cancel(bulk)).problems) == "SEP1002 NO_PENDING_OPERATION; ");
  CHECK(refused(site.operations.cancel(site.administrator, bulk)) == Reason::kNoPendingOperation);
  CHECK(open_ones(site) == "2");
  bulk.skipped = {Reason::kNoPendingOperation};
  const auto first = must(site.operations.cancel(site.administrator, bulk));
  CHECK(first.selected == 3);
  REQUIRE(first.operations.size() == 2);
  CHECK(first.operations[0].state == OperationState::kCancelled);
  CHECK(open_ones(site) == "0");
  CHECK(must(site.operations.cancel(site.administrator, cancel_of({devices[0], devices[1]}))).operations.size() == 2);
  CHECK(of_record(site, "operation.cancel") == "2");
  bulk.run = Bytes(kRunOctets, 1);
  CHECK(must(site.operations.cancel(site.administrator, bulk)).operations.empty());
  CHECK(site.value("select count(*) from operation_strings") == "0");
}

TEST_CASE("bulks over the same phones in other orders wait for each other, and never in a circle") {
  Site site;
  site.sql("alter role capf_server in database " + site.value("select current_database()") +
               " set deadlock_timeout = '1min'",
           "postgres");
  site.sql(
      "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity where datname = current_database() and "
      "usename = 'capf_server'",
      "postgres");
  // Their ids are in the order of one bulk's devices and against that of the other's.
  std::vector<DeviceName> backwards;
  for (int i = 0; i < 60; ++i) backwards.push_back(site.add_phone("SEP" + std::to_string(1099 - i)));
  const std::vector<DeviceName> forwards(backwards.rbegin(), backwards.rend());
  const auto replace = [&](const std::vector<DeviceName>& devices, std::uint8_t run) {
    service::ScheduleBulk bulk = schedule_of(devices, AuthMode::kNull);
    bulk.replace = true;
    for (std::uint8_t i = 0; i < 15; ++i) {
      bulk.run = Bytes(kRunOctets, static_cast<std::uint8_t>(run + i));
      must(site.operations.schedule(site.administrator, bulk));
    }
  };
  std::thread other([&] { replace(backwards, 100); });
  replace(forwards, 1);
  other.join();
  CHECK(site.value("select count(*) || ' ' || count(*) filter (where finished_at is null) from operations") ==
        "1800 60");
}
