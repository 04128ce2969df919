#include <catch2/catch.hpp>

#include "capf/service/expiry.h"

using namespace capf;
using namespace capf::service;

namespace {

const TimePoint kNow{std::chrono::sys_days{std::chrono::year{2030} / 1 / 31}};

Expiry ending(const std::string& name, TimePoint not_after) {
  Expiry expiry;
  expiry.kind = ExpiryKind::kAdministrator;
  expiry.name = name;
  expiry.role = Role::kAdmin;
  expiry.not_after = not_after;
  return expiry;
}

TEST_CASE("a certificate is named at each step of its last three months, once") {
  const TimePoint end = kNow + std::chrono::days(100);
  const std::vector<Expiry> list{ending("admin", end)};
  ExpiryWarnings warnings;
  std::vector<std::int64_t> left;
  for (TimePoint now = kNow; now < end + std::chrono::days(30); now += std::chrono::hours(1)) {
    if (warnings.due(list, now).empty()) continue;
    left.push_back(std::chrono::floor<std::chrono::days>(end - now).count());
  }
  CHECK(left == std::vector<std::int64_t>{90, 30, 14, 7, 6, 5, 4, 3, 2, 1, 0});
}

TEST_CASE("a server that starts names what is near its end at once, and what has ended") {
  const auto due = ExpiryWarnings().due(
      {ending("far", kNow + std::chrono::days(91)), ending("near", kNow + std::chrono::days(26)), ending("over", kNow)},
      kNow);
  REQUIRE(due.size() == 2);
  CHECK(due[0].name == "near");
  CHECK(due[1].name == "over");
}

TEST_CASE("a certificate that has a successor of the same name is a new one") {
  ExpiryWarnings warnings;
  CHECK(warnings.due({ending("admin", kNow + std::chrono::days(5))}, kNow).size() == 1);
  CHECK(warnings.due({ending("admin", kNow + std::chrono::days(730))}, kNow).empty());
  CHECK(warnings.due({ending("admin", kNow + std::chrono::days(5))}, kNow).size() == 1);
}

TEST_CASE("a certificate that the server renews by itself is not named") {
  Expiry expiry = ending("", kNow + std::chrono::days(8));
  expiry.renews_at = kNow + std::chrono::days(1);
  CHECK(ExpiryWarnings().due({expiry}, kNow).empty());
}

TEST_CASE("a thousand certificates that end together are named some at a time, each once") {
  std::vector<Expiry> list;
  list.reserve(1000);
  for (int i = 0; i < 1000; ++i) list.push_back(ending(std::to_string(i), kNow + std::chrono::days(20)));
  ExpiryWarnings warnings;
  std::vector<std::string> named;
  for (int call = 0; call < 100; ++call) {
    const auto due = warnings.due(list, kNow);
    CHECK(due.size() <= ExpiryWarnings::kMostAtOnce);
    for (const Expiry& expiry : due) named.push_back(expiry.name);
  }
  REQUIRE(named.size() == list.size());
  for (std::size_t i = 0; i < list.size(); ++i) CHECK(named[i] == list[i].name);
}

TEST_CASE("what a server has loaded is replaced kind by kind") {
  OwnCertificates own;
  Expiry wire;
  wire.kind = ExpiryKind::kWire;
  own.set(ExpiryKind::kWire, {wire});
  own.set(ExpiryKind::kServer, {Expiry{}});
  wire.not_after = kNow;
  own.set(ExpiryKind::kWire, {wire});
  own.set(ExpiryKind::kServer, {});
  REQUIRE(own.list().size() == 1);
  CHECK(own.list().front().not_after == kNow);
}

}  // namespace
