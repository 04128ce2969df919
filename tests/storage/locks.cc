#include <thread>

#include <catch2/catch.hpp>

#include "capf/domain/anchor_store.h"
#include "capf/domain/block_store.h"
#include "capf/domain/phone_store.h"
#include "tests/support/expect.h"
#include "tests/support/site.h"

// Writers that need the same rows wait for each other, and never in a circle. PostgreSQL would end one of a circle
// after a second, and its work would be repeated; here it does not, so that the lock's own time limit ends it.

using namespace capf;
using namespace capf::test;

namespace {

/// A site whose sessions never look for deadlocks.
struct Undetected : Site {
  Undetected() {
    sql("alter role capf_server in database " + value("select current_database()") + " set deadlock_timeout = '1min'",
        "postgres");
    sql("select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity "
        "where datname = current_database() and usename = 'capf_server'",
        "postgres");
  }
};

service::ScheduleRequest request_for(std::vector<DeviceName> devices, AuthMode auth) {
  service::ScheduleRequest request;
  request.devices = std::move(devices);
  request.kind = kInstall;
  request.auth = auth;
  request.key = {KeyOrder::kEc, 2048, 256};
  request.role = Role::kAdmin;
  return request;
}

std::int64_t id_of(Site& site, const DeviceName& device) {
  return std::stoll(site.value("select id from phones where device = '" + device.text() + "'"));
}

}  // namespace

TEST_CASE("a schedule for many and whoever locks the same phones by id take them in one order") {
  Undetected site;
  const DeviceName last_by_name = site.add_phone("SEP2");
  const DeviceName first_by_name = site.add_phone("SEP1");
  const std::vector<std::int64_t> one{id_of(site, last_by_name)};
  const std::vector<std::int64_t> both{one.front(), id_of(site, first_by_name)};
  std::thread scheduling;
  int runs = 0;
  must(site.database().write([&](Transaction& tx) -> Status {
    if (++runs > 1) return {};
    CAPF_TRY(tx.phones().lock_all(one));
    scheduling = std::thread([&] {
      must(site.operations.schedule(site.administrator, request_for({first_by_name, last_by_name}, AuthMode::kNull)));
    });
    await_waiting(site, 1);
    return tx.phones().lock_all(both);
  }));
  scheduling.join();
  CHECK(runs == 1);
}

TEST_CASE("a string that uses its operation up, and one that is right, do not wait for each other") {
  Undetected site;
  const DeviceName device = site.add_phone("SEP1");
  const std::string digits = site.schedule(device, kInstall, AuthMode::kString);
  site.sql("update operation_strings set count = largest");
  const std::int64_t id = id_of(site, device);
  std::thread guessing;
  int runs = 0;
  must(site.database().write([&](Transaction& tx) -> Status {  // as the enrolment does after a right string
    if (++runs > 1) return {};
    CAPF_TRY(tx.phones().lock(device));
    guessing = std::thread([&] { CHECK_FALSE(site.enrolment.pending(Site::with_string(device, "1" + digits))); });
    await_waiting(site, 1);
    const Write forgiven = ForgiveStrings{};
    CAPF_TRY(tx.write(id, std::span(&forgiven, 1)));
    return {};
  }));
  guessing.join();
  CHECK(runs == 1);
  CHECK(site.last_operation(device).reason == Reason::kAuthStringExhausted);
}

TEST_CASE("two who add trust anchors at once come one after the other") {
  Undetected site;
  const auto request_of = [](const Manufacturer& maker) {
    service::AnchorRequest request;
    request.files = {maker.root()};
    return request;
  };
  const Manufacturer one("One");
  const Manufacturer two("Two");
  std::thread adding;
  must(site.database().write([&](Transaction& tx) -> Status {  // as trust add does
    CAPF_TRY(tx.blocks().lock());
    adding = std::thread([&] { must(site.trust.add(site.administrator, request_of(one))); });
    await_waiting(site, 1);
    CAPF_TRY(tx.anchors().revision());
    return {};
  }));
  adding.join();
  std::thread other([&] { must(site.trust.add(site.administrator, request_of(two))); });
  must(site.trust.remove(site.administrator, to_hex(sha256(one.root()))));
  other.join();
  CHECK(must(site.trust.list()).size() == 1);
}
