#include <functional>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "capf/service/phones.h"
#include "tests/support/expect.h"
#include "tests/support/pki.h"
#include "tests/support/site.h"

// Bulks over a selection of phones: counted, in batches, over what changes meanwhile, and on record.

using namespace capf;
using namespace capf::test;

namespace {

DeviceName device(const std::string& name) { return must(DeviceName::parse(name)); }
PhoneSelection phones(const std::string& pattern) { return {.patterns = {must(Pattern::parse(pattern))}}; }

std::int64_t count(Site& site, const PhoneSelection& selection) {
  return must(site.phones.select(selection, {})).count;
}

struct Sum {
  int selected = 0;
  int changed = 0;
  int calls = 0;
};
/// Changes the whole selection, call by call.
Result<Sum> change_all(Site& site, service::Bulk bulk, const PhoneChange& change) {
  Sum sum;
  do {
    CAPF_LET(const auto answer, site.phones.change(site.administrator, bulk, change));
    sum.selected += answer.selected;
    sum.changed += answer.changed;
    ++sum.calls;
    bulk.count -= answer.selected;
    bulk.cursor = answer.next;
  } while (bulk.cursor);
  return sum;
}

}  // namespace

TEST_CASE("a selection is changed in batches, and each phone that is otherwise than before is on record") {
  Site site;
  site.add_phones(1200);
  const PhoneSelection all{.all = true};
  const Sum first = must(change_all(site, {all, 1200, {}}, {.description = "Lobby", .added_tags = {"f-1"}}));
  CHECK(first.selected == 1200);
  CHECK(first.changed == 1200);
  CHECK(first.calls == 3);
  const Sum again = must(change_all(site, {all, 1200, {}}, {.description = "Lobby", .added_tags = {"f-1"}}));
  CHECK(again.selected == 1200);
  CHECK(again.changed == 0);
  must(change_all(site, {phones("SEP100*"), 10, {}}, {.removed_tags = {"f-1"}}));
  must(change_all(site, {phones("SEP1000"), 1, {}}, {.sets_tags = true}));
  must(change_all(site, {phones("SEP1000"), 1, {}}, {.added_tags = {"a"}, .sets_tags = true}));
  CHECK(count(site, {.tags = {"f-1"}}) == 1190);
  CHECK(site.value("select count(*) from audit_events where action = 'phone.change'") == "1211");
  CHECK(site.value("select string_agg(detail, '; ' order by id) from audit_events where action = 'phone.change' and "
                   "subject = 'SEP1000'") == "description \"Lobby\", tags +f-1; tags -f-1; tags none but +a");
  CHECK(must(site.phones.show(device("SEP1000"))).phone.tags == std::vector<std::string>{"a"});
}

TEST_CASE("a batch that its own change takes out of the selection leaves none out") {
  Site site;
  site.add_phones(1001);
  must(change_all(site, {{.all = true}, 1001, {}}, {.added_tags = {"new"}}));
  CHECK(must(change_all(site, {{.tags = {"new"}}, 1001, {}}, {.removed_tags = {"new"}})).changed == 1001);
  CHECK(count(site, {.tags = {"new"}}) == 0);
}

TEST_CASE("a bulk over more phones than were counted is refused, and over fewer it is not") {
  Site site;
  site.add_phones(3);
  const PhoneChange change{.description = "x"};
  CHECK(refused(change_all(site, {phones("SEP*"), 2, {}}, change)) == Reason::kSelectionChanged);
  CHECK(site.value("select count(*) from phones where description <> ''") == "0");
  must(site.phones.remove(site.administrator, device("SEP1001")));
  CHECK(must(change_all(site, {phones("SEP*"), 3, {}}, change)).changed == 2);
  CHECK(must(change_all(site, {phones("ATA*"), 0, {}}, change)).calls == 1);
}

TEST_CASE("phones that are added while a bulk runs are no part of it, and those that join it count") {
  Site site;
  site.add_phones(600);
  service::Bulk bulk{phones("SEP*"), 600, {}};
  const auto first = must(site.phones.change(site.administrator, bulk, {.description = "x"}));
  REQUIRE(first.next);
  must(site.phones.add(site.administrator, {device("SEP9")}, ""));
  bulk.count -= first.selected;
  bulk.cursor = first.next;
  CHECK(must(change_all(site, bulk, {.description = "x"})).changed == 100);
  CHECK(must(site.phones.show(device("SEP9"))).phone.description.empty());
  bulk.count = 99;
  CHECK(refused(change_all(site, bulk, {.description = "y"})) == Reason::kSelectionChanged);
  CHECK(site.value("select count(*) from phones where description = 'y'") == "0");
}

TEST_CASE("what changes needs a selection that names something, and phones and issuers that are there") {
  Site site;
  site.add_phones(2);
  const PhoneChange change{.description = "x"};
  const auto why = [&](const PhoneSelection& selection) {
    CHECK(refused(change_all(site, {selection, 9, {}}, change)) == refused(site.phones.select(selection, {})));
    return refused(site.phones.select(selection, {}));
  };
  CHECK(why({}) == Reason::kInvalidSelection);
  CHECK(why({.excepts = {device("SEP1000")}}) == Reason::kInvalidSelection);
  CHECK(why({.devices = {device("SEP1000"), device("SEP9")}}) == Reason::kUnknownDevice);
  CHECK(why({.devices = {device("SEP8"), device("SEP9")}}) == Reason::kUnknownDevice);
  CHECK(why({.issuers = {1, 77}}) == Reason::kUnknownIssuer);
  const service::Bulk later{{}, 9, service::BulkCursor{9, device("SEP1")}};
  CHECK(refused(site.phones.change(site.administrator, later, change)) == Reason::kInvalidSelection);
  CHECK(refused(change_all(site, {{.all = true}, 9, {}}, {})) == Reason::kInvalidRequest);
  CHECK(site.value("select count(*) from audit_events where action = 'phone.change'") == "0");
}

TEST_CASE("a batch in which one phone would have too many tags is not done at all") {
  Site site;
  site.add_phones(2);
  PhoneChange full;
  for (std::size_t i = 0; i < kMostTags; ++i) full.added_tags.push_back("t" + std::to_string(i));
  must(change_all(site, {phones("SEP1001"), 1, {}}, full));
  CHECK(refused(change_all(site, {phones("SEP*"), 2, {}}, {.description = "x", .added_tags = {"more"}})) ==
        Reason::kInvalidRequest);
  CHECK(site.value("select count(*) from phones where description = 'x'") == "0");
}

TEST_CASE("phones are listed by selection, and counted on the first page alone") {
  Site site;
  site.add_phones(5);
  const auto first = must(site.phones.select(phones("SEP*"), {{}, 3}));
  CHECK(first.count == 5);
  CHECK(first.page.phones.size() == 3);
  REQUIRE(first.page.next);
  const auto last = must(site.phones.select(phones("SEP*"), {first.page.next, 3}));
  CHECK(last.count == 0);
  CHECK(last.page.phones.back().device == device("SEP1004"));
  CHECK_FALSE(last.page.next);
  CHECK(must(site.phones.list({}, {})).phones.size() == 5);
  CHECK(must(site.phones.list({.devices = {device("SEP1003"), device("SEP9")}}, {})).phones.size() == 1);
}

TEST_CASE(
    "phones of a selection are blocked and removed with their operations and LSCs, each on record as one phone is") {
  Site site;
  const auto devices = site.add_phones(4);
  for (const DeviceName& each : {devices[0], devices[1]}) site.enrol(each, PhoneKey());
  for (const DeviceName& each : {devices[1], devices[2]}) {
    site.schedule(each, OperationKind::kInstall, AuthMode::kString);
  }
  const auto ended = [&](const std::string& device) {
    return site.value(
        "select string_agg(action || ' ' || detail, '; ' order by id) from audit_events where subject = '" + device +
        "' and action in ('operation.cancel', 'phone.block', 'phone.remove')");
  };
  must(site.phones.block(site.administrator, devices[0]));
  SECTION("blocked") {
    const auto answer = must(site.phones.block(site.administrator, {phones("SEP100*"), 4, {}}));
    CHECK(answer.selected == 4);
    CHECK(answer.changed == 3);
    CHECK(answer.revoked == 1);
    CHECK_FALSE(answer.next);
    CHECK(count(site, {.blocked = true}) == 4);
    CHECK(ended("SEP1000") == "phone.block ");
    CHECK(ended("SEP1001") == "operation.cancel the phone was blocked; phone.block ");
    CHECK(ended("SEP1003") == "phone.block ");
    CHECK(site.value("select string_agg(reason::text, ' ') from revocations") == "9 9");
    const auto again = must(site.phones.block(site.administrator, {phones("SEP100*"), 4, {}}));
    CHECK(again.changed + again.revoked == 0);
  }
  SECTION("removed") {
    const auto answer = must(site.phones.remove(site.administrator, {phones("SEP100*"), 4, {}}));
    CHECK(answer.selected == 4);
    CHECK(answer.changed == 4);
    CHECK(answer.revoked == 1);
    CHECK(count(site, {.all = true}) == 0);
    CHECK(ended("SEP1000") == "phone.block ; phone.remove ");
    CHECK(ended("SEP1001") == "operation.cancel the phone was removed; phone.remove ");
    CHECK(site.value("select string_agg(reason::text, ' ' order by reason) from revocations") == "5 9");
  }
  CHECK(site.value("select count(*) from operations where finished_at is null") == "0");
  CHECK(site.value("select count(*) from certificates where revoked_at is null") == "0");
  CHECK(site.value("select count(*) from audit_events where action = 'certificate.revoke'") == "2");
}

TEST_CASE(
    "a removal that was interrupted goes on with the names that are left, and a bulk over grown phones is refused") {
  Site site;
  const auto devices = site.add_phones(3);
  must(site.phones.remove(site.administrator, devices[0]));
  PhoneSelection named{.devices = devices};
  CHECK(refused(site.phones.remove(site.administrator, {named, 3, {}})) == Reason::kUnknownDevice);
  CHECK(refused(site.phones.select(named, {})) == Reason::kUnknownDevice);
  named.leaves_unknown = true;
  CHECK(count(site, named) == 2);
  const std::vector<std::function<Result<service::ChangeAnswer>(const service::Bulk&)>> acts{
      [&](const service::Bulk& bulk) { return site.phones.unblock(site.administrator, bulk); },
      [&](const service::Bulk& bulk) { return site.phones.unlock(site.administrator, bulk, true); },
      [&](const service::Bulk& bulk) { return site.phones.trace(site.administrator, bulk, {}); },
      [&](const service::Bulk& bulk) { return site.phones.block(site.administrator, bulk); },
      [&](const service::Bulk& bulk) { return site.phones.remove(site.administrator, bulk); }};
  const std::string before = site.value("select count(*) from audit_events");
  for (const auto& act : acts) {
    CHECK(refused(act({named, 1, {}})) == Reason::kSelectionChanged);
    CHECK(refused(act({{}, 9, {}})) == Reason::kInvalidSelection);
  }
  CHECK(site.value("select count(*) from audit_events") == before);
  CHECK(must(acts.back()({named, 3, {}})).changed == 2);
  CHECK(count(site, named) == 0);
}

TEST_CASE("phones of a selection are unblocked where they are blocked, unlocked and traced") {
  Site site;
  const auto devices = site.add_phones(3);
  must(site.phones.block(site.administrator, devices[1]));
  const service::Bulk all{phones("SEP*"), 3, {}};
  const auto unblocked = must(site.phones.unblock(site.administrator, all));
  CHECK(unblocked.selected == 3);
  CHECK(unblocked.changed == 1);
  CHECK(refused(site.phones.unblock(site.administrator, devices[1])) == Reason::kDeviceNotBlocked);
  CHECK(count(site, {.blocked = true}) == 0);

  site.sql(
      "insert into device_strings (phone_id, count, counted_at, locked_until) "
      "select id, 10, now(), now() + interval '10 minutes' from phones");
  site.sql(
      "update phones set self_service_stopped_at = now(), mic_sha256 = sha256(device::bytea), mic_fresh_at = now()");
  CHECK(
      must(site.phones.unlock(site.administrator, {{.devices = {devices[0]}, .locked = true}, 1, {}}, false)).changed ==
      1);
  CHECK(count(site, {.locked = true}) == 2);
  CHECK(must(site.phones.show(devices[0])).phone.mic_sha256);
  CHECK(must(site.phones.unlock(site.administrator, {{.locked = true}, 2, {}}, true)).changed == 2);
  CHECK(count(site, {.locked = true}) == 0);
  CHECK(site.value("select count(*) from phones where mic_sha256 is null and mic_fresh_at is null") == "2");
  CHECK(site.value("select count(*) from phones where self_service_stopped_at is null") == "3");

  const auto traced = must(site.phones.trace(site.administrator, all, {}));
  REQUIRE(traced.until);
  for (const DeviceName& each : devices) CHECK(must(site.phones.show(each)).phone.traced_until == traced.until);
  CHECK(refused(site.phones.trace(site.administrator, all, {.until = *traced.until + service::kLongestTrace})) ==
        Reason::kInvalidRequest);
  CHECK_FALSE(must(site.phones.trace(site.administrator, all, {.off = true})).until);
  CHECK_FALSE(must(site.phones.show(devices[2])).phone.traced_until);
  CHECK(site.value("select string_agg(action || ' ' || detail, '; ' order by id) from audit_events where "
                   "subject = 'SEP1002' and action in ('phone.unblock', 'phone.unlock')") ==
        "phone.unlock the remembered MIC too");
  CHECK(site.value("select count(*) from audit_events where action = 'phone.trace'") == "6");
}

TEST_CASE("more phones than a batch are removed in several, and none of them is left out") {
  Site site;
  site.add_phones(1001);
  service::Bulk bulk{{.all = true}, 1001, {}};
  int changed = 0;
  int calls = 0;
  do {
    const auto answer = must(site.phones.remove(site.administrator, bulk));
    changed += answer.changed;
    ++calls;
    bulk.count -= answer.selected;
    bulk.cursor = answer.next;
  } while (bulk.cursor);
  CHECK(changed == 1001);
  CHECK(calls == 3);
  CHECK(count(site, {.all = true}) == 0);
  CHECK(site.value("select count(*) from audit_events where action = 'phone.remove'") == "1001");
}
