#include <algorithm>
#include <functional>
#include <latch>
#include <thread>

#include <catch2/catch.hpp>

#include "capf/domain/line_store.h"
#include "capf/domain/phone_store.h"
#include "capf/service/profiles.h"
#include "capf/service/shared_lines.h"
#include "tests/support/expect.h"
#include "tests/support/site.h"

// Lines that phones share, and the changes that would mix them.

using namespace capf;
using namespace capf::test;
using service::LineVerdict;
using service::SharedLines;

namespace {

constexpr DeviceMode kEncrypted = DeviceMode::kEncrypted;
constexpr DeviceMode kNonsecure = DeviceMode::kNonsecure;

DeviceName device(const std::string& name) { return must(DeviceName::parse(name)); }

/// A site with the profiles "secure", which is encrypted, and "plain", which is not. Phones begin with the first
/// profile, which is not either.
struct LineSite : Site {
  LineSite() {
    sql("insert into profiles (name, mode) values ('secure', 'encrypted'), ('plain', 'nonsecure')");
    sql("update site_security set mode = 'mixed'");
  }
  std::int64_t profile(const std::string& name) {
    return std::stoll(value_now("select id from profiles where name = '" + name + "'"));
  }
  std::int64_t id_of(const DeviceName& device) {
    return std::stoll(value_now("select id from phones where device = '" + device.text() + "' and removed_at is null"));
  }
  std::vector<std::int64_t> ids_of(const std::vector<DeviceName>& devices) {
    std::vector<std::int64_t> ids;
    for (const DeviceName& each : devices) ids.push_back(id_of(each));
    return ids;
  }
  void apply(const std::string& profile_name, const DeviceName& device) {
    sql("update phones set profile_id = " + std::to_string(profile(profile_name)) + " where device = '" +
        device.text() + "'");
  }
  DeviceName add_phone_with(const std::string& profile_name, const std::string& name) {
    const DeviceName device = add_phone(name);
    apply(profile_name, device);
    return device;
  }
  /// Gives it an LSC that is good until then.
  void give_lsc(const DeviceName& device, const std::string& until = "now() + interval '1 year'") {
    sql("update phone_lscs set lsc = 'valid', not_after = " + until +
        ", issuer_id = 1 where phone_id = " + std::to_string(id_of(device)));
  }
  auto share(const std::string& line, const std::vector<DeviceName>& devices, bool allow_mixed = false) {
    return lines.add(administrator, {line, devices, allow_mixed});
  }
  LineVerdict judge(const std::vector<DeviceName>& devices, DeviceMode next) {
    const auto ids = ids_of(devices);
    return must(in_write(database(), [&](Transaction& tx) { return SharedLines::judge(tx, ids, next); }));
  }
  LineVerdict judge_profile(const std::string& name, DeviceMode next) {
    const std::int64_t id = profile(name);
    return must(in_write(database(), [&](Transaction& tx) { return SharedLines::judge_profile(tx, id, next); }));
  }
  Status settle(const std::vector<DeviceName>& devices, DeviceMode next, bool allow_mixed) {
    const auto ids = ids_of(devices);
    return database().write(
        [&](Transaction& tx) { return SharedLines::settle(tx, administrator, ids, next, allow_mixed); });
  }
  Result<std::vector<std::int64_t>> with_lines(const std::vector<DeviceName>& devices) {
    const auto ids = ids_of(devices);
    return in_read(database(), [&](Transaction& tx) { return SharedLines::with_lines(tx, ids); });
  }
  /// The names of all lines that are listed, page by page.
  std::vector<std::string> listed(const service::LineFilter& filter, int limit = 1000) {
    std::vector<std::string> names;
    Page page{.limit = limit};
    while (true) {
      const service::LinesPage found = must(lines.list(filter, page));
      for (const service::LineView& view : found.lines) names.push_back(view.line.name);
      if (!found.next) return names;
      page.after = *found.next;
    }
  }
};

std::vector<std::string> devices_of(const service::LineView& view) {
  std::vector<std::string> names;
  for (const LineMember& member : view.members) names.push_back(member.device.text());
  return names;
}

std::vector<std::string> names_of(const LineVerdict& verdict) {
  std::vector<std::string> names;
  for (const rules::MixedLine& mixed : verdict.lines) names.push_back(mixed.line.name);
  return names;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("devices join a line and leave it, and each of that is on record") {
  LineSite site;
  const auto phones = site.add_phones(3);
  const auto first = must(site.share("2001", {phones[1], phones[0]}));
  CHECK(first.added == 2);
  CHECK(first.view.line.added_by == "tester");
  const auto second = must(site.share("2001", {phones[1], phones[2]}));
  CHECK(second.added == 1);
  CHECK(devices_of(must(site.lines.show("2001"))) == Names{"SEP1000", "SEP1001", "SEP1002"});
  must(site.share("+49*30", {phones[0]}));
  CHECK(must(site.phones.show(phones[0])).lines == Names{"+49*30", "2001"});
  CHECK(must(site.lines.remove(site.administrator, "2001", {phones[1]})) == 1);
  CHECK(devices_of(must(site.lines.show("2001"))) == Names{"SEP1000", "SEP1002"});
  CHECK(must(site.lines.remove(site.administrator, "2001", {})) == 2);
  CHECK(refused(site.lines.show("2001")) == Reason::kUnknownLine);
  CHECK(must(site.phones.show(phones[0])).lines == Names{"+49*30"});
  const auto events = [&](const std::string& subject) {
    return site.value(
        "select string_agg(action || ' ' || detail, ', ' order by id) from audit_events where action like "
        "'line.%' and subject = '" +
        subject + "'");
  };
  CHECK(events("2001") == "line.add , line.remove ");
  CHECK(events("SEP1001") == "line.join line 2001, line.leave line 2001");
  CHECK(events("SEP1002") == "line.join line 2001, line.leave line 2001");
}

TEST_CASE("what cannot be a line or on one is refused, and nothing is done") {
  LineSite site;
  const auto phones = site.add_phones(2);
  must(site.share("2001", {phones[0]}));
  const auto why = [&](const std::string& line, const std::vector<DeviceName>& devices) {
    return refused(site.share(line, devices));
  };
  CHECK(why("20 01", {phones[0]}) == Reason::kInvalidName);
  CHECK(why("2002", {}) == Reason::kInvalidRequest);
  CHECK(why("2002", {phones[0], phones[0]}) == Reason::kInvalidRequest);
  CHECK(why("2002", {phones[0], device("SEP9")}) == Reason::kUnknownDevice);
  CHECK(why("2002", {device("SEP8"), device("SEP9")}) == Reason::kUnknownDevice);
  CHECK(refused(site.lines.remove(site.administrator, "2002", {})) == Reason::kUnknownLine);
  CHECK(refused(site.lines.remove(site.administrator, "2001", {phones[0], phones[1]})) == Reason::kUnknownDevice);
  CHECK(refused(site.lines.remove(site.administrator, "2001", {phones[0], phones[0]})) == Reason::kInvalidRequest);
  CHECK(site.listed({}) == Names{"2001"});
  CHECK(devices_of(must(site.lines.show("2001"))) == Names{"SEP1000"});
}

TEST_CASE("a line of 500 devices is one, and the next device is refused") {
  LineSite site;
  auto phones = site.add_phones(501);
  const DeviceName last = phones.back();
  phones.pop_back();
  CHECK(must(site.share("2001", phones)).added == 500);
  const auto result = site.share("2001", {last});
  CHECK(refused(result) == Reason::kInvalidRequest);
  CHECK_THAT(result.error().message, Catch::Contains("501"));
  CHECK(must(site.lines.show("2001")).members.size() == 500);
  const LineVerdict one = site.judge({phones.front()}, kEncrypted);
  REQUIRE(one.lines.size() == 1);
  CHECK(one.lines.front().others.size() == 499);
  CHECK(site.judge(phones, kEncrypted).lines.empty());
  CHECK(must(site.with_lines({phones.front()})).size() == 500);
  phones.push_back(last);
  CHECK(refused(site.share("2002", phones)) == Reason::kInvalidRequest);
}

TEST_CASE("a phone is on a hundred lines at most") {
  LineSite site;
  const DeviceName phone = site.add_phone("SEP1");
  for (std::size_t i = 0; i < kLinesOfPhone; ++i) must(site.share(std::to_string(2000 + i), {phone}));
  CHECK(refused(site.share("3000", {phone})) == Reason::kInvalidRequest);
  CHECK(must(site.phones.show(phone)).lines.size() == kLinesOfPhone);
}

TEST_CASE("an encrypted device beside another one is refused with both, unless it is allowed") {
  LineSite site;
  const DeviceName secure = site.add_phone_with("secure", "SEP-secure");
  const DeviceName plain = site.add_phone("SEP-plain");
  const auto result = site.share("2001", {secure, plain});
  CHECK(refused(result) == Reason::kSharedLineMixed);
  CHECK_THAT(result.error().message,
             Catch::Contains("2001") && Catch::Contains("SEP-secure") && Catch::Contains("SEP-plain"));
  CHECK(site.listed({}).empty());
  CHECK(site.value("select count(*) from audit_events where action like 'line.%'") == "0");
  must(site.share("2001", {secure}));
  CHECK(refused(site.share("2001", {plain})) == Reason::kSharedLineMixed);
  const auto allowed = must(site.share("2001", {plain}, true));
  CHECK(allowed.view.mixed);
  CHECK(allowed.view.line.allow_mixed);
  CHECK(site.value("select count(*) from audit_events where action = 'line.allow_mixed' and subject = '2001'") == "1");
  CHECK(must(site.share("2001", {site.add_phone("SEP-third")})).added == 1);
  CHECK(site.listed({.mixed = true}) == Names{"2001"});
}

TEST_CASE("a change of phones is judged by all their lines") {
  LineSite site;
  const auto phones = site.add_phones(4);
  must(site.share("2001", {phones[0], phones[1]}));
  must(site.share("2002", {phones[1], phones[2]}));
  must(site.share("2003", {phones[3]}));
  CHECK(names_of(site.judge({phones[0]}, kEncrypted)) == Names{"2001"});
  CHECK(names_of(site.judge({phones[1]}, kEncrypted)) == Names{"2001", "2002"});
  CHECK(names_of(site.judge({phones[0], phones[1]}, kEncrypted)) == Names{"2002"});
  CHECK(site.judge({phones[0], phones[1], phones[2]}, kEncrypted).lines.empty());
  CHECK(site.judge({phones[3]}, kEncrypted).lines.empty());
  CHECK(site.judge({phones[0]}, DeviceMode::kAuthenticated).lines.empty());
  const auto second = site.ids_of({phones[1]});
  const auto preview = [&](Transaction& tx) { return SharedLines::preview(tx, second, kEncrypted); };
  CHECK(names_of(must(in_read(site.database(), preview))) == Names{"2001", "2002"});
  const Status refusal = site.settle({phones[1]}, kEncrypted, false);
  REQUIRE_FALSE(refusal);
  CHECK(refusal.error().reason == Reason::kSharedLineMixed);
  CHECK_THAT(refusal.error().message, Catch::Contains("2001") && Catch::Contains("2002") && Catch::Contains("SEP1002"));
  must(site.settle({phones[0]}, kEncrypted, true));
  CHECK(site.judge({phones[0]}, kEncrypted).lines.empty());
  CHECK(site.value("select detail from audit_events where action = 'line.allow_mixed'") ==
        "encrypted SEP1000, others SEP1001");
  CHECK(names_of(site.judge({phones[1]}, kEncrypted)) == Names{"2002"});
}

TEST_CASE("a change of a profile's mode is judged by the lines that its phones share with others") {
  LineSite site;
  const auto plain = [&](const std::string& name) { return site.add_phone_with("plain", name); };
  const DeviceName first = plain("SEP1");
  must(site.share("2001", {first, plain("SEP2")}));
  must(site.share("2002", {plain("SEP3"), site.add_phone("SEP4")}));
  must(site.share("2003", {site.add_phone("SEP5"), site.add_phone("SEP6")}));
  CHECK(names_of(site.judge_profile("plain", kEncrypted)) == Names{"2002"});
  const std::int64_t id = site.profile("plain");
  const auto preview = [&](Transaction& tx) { return SharedLines::preview_profile(tx, id, kEncrypted); };
  CHECK(names_of(must(in_read(site.database(), preview))) == Names{"2002"});
  CHECK(site.judge_profile("plain", DeviceMode::kAuthenticated).lines.empty());
  CHECK(site.judge_profile("secure", kNonsecure).lines.empty());
  // The phone's profile is followed.
  site.apply("secure", device("SEP4"));
  CHECK(site.judge_profile("plain", kEncrypted).lines.empty());
  site.apply("secure", first);
  CHECK(names_of(site.judge_profile("secure", kNonsecure)).empty());
  site.apply("nonsecure", first);
  CHECK(names_of(site.judge_profile("plain", kEncrypted)) == Names{"2001"});
  site.apply("nonsecure", device("SEP2"));
  CHECK(site.judge_profile("plain", kEncrypted).lines.empty());
}

TEST_CASE("of many lines that a profile mixes the first are told, and all are allowed") {
  LineSite site;
  const auto phones = site.add_phones(120);
  for (std::size_t i = 0; i < 60; ++i) {
    site.apply("plain", phones[2 * i]);
    must(site.share(std::to_string(2000 + i), {phones[2 * i], phones[2 * i + 1]}));
  }
  const LineVerdict verdict = site.judge_profile("plain", kEncrypted);
  CHECK(verdict.lines.size() == service::kMixedLinesTold);
  CHECK(verdict.more);
  CHECK_THAT(verdict.check().error().message, Catch::Contains("2002") && Catch::Contains("17 or more lines"));
  const std::int64_t plain = site.profile("plain");
  must(site.database().write(
      [&](Transaction& tx) { return SharedLines::settle_profile(tx, site.administrator, plain, kEncrypted, true); }));
  CHECK(site.judge_profile("plain", kEncrypted).lines.empty());
  CHECK(site.value("select count(*) from lines where allow_mixed") == "60");
  CHECK(site.value("select count(*) from audit_events where action = 'line.allow_mixed'") == "60");
}

TEST_CASE("a change takes the other phones of lines along, over all that hang together, but not where it may mix") {
  LineSite site;
  const auto phones = site.add_phones(6);
  must(site.share("2001", {phones[0], phones[1]}));
  must(site.share("2002", {phones[1], phones[2]}));
  must(site.share("2003", {phones[3], phones[4]}));
  must(site.share("2004", {phones[2], phones[5]}, true));
  CHECK(must(site.with_lines({phones[0]})) == site.ids_of({phones[0], phones[1], phones[2]}));
  CHECK(must(site.with_lines({phones[5], phones[4]})) == site.ids_of({phones[3], phones[4], phones[5]}));
}

TEST_CASE("no change takes more than a thousand phones along") {
  LineSite site;
  const auto phones = site.add_phones(1001);
  for (std::size_t begin = 0; begin < 1001; begin += 499) {
    const std::size_t end = std::min<std::size_t>(begin + 500, 1001);
    must(site.share(std::to_string(2000 + begin),
                    {phones.begin() + static_cast<long>(begin), phones.begin() + static_cast<long>(end)}));
  }
  CHECK(refused(site.with_lines({phones.front()})) == Reason::kInvalidRequest);
  must(site.lines.remove(site.administrator, "2998", {phones.back()}));
  CHECK(must(site.with_lines({phones.front()})).size() == 1000);
}

TEST_CASE("blocking and removing a phone is never refused, and one that is removed leaves its lines") {
  LineSite site;
  const DeviceName first = site.add_phone_with("secure", "SEP1");
  const DeviceName second = site.add_phone_with("secure", "SEP2");
  site.give_lsc(first);
  site.give_lsc(second);
  must(site.share("2001", {first, second}));
  CHECK_FALSE(must(site.lines.show("2001")).mixed_in_effect);
  must(site.phones.block(site.administrator, first));
  CHECK(must(site.lines.show("2001")).mixed_in_effect);
  CHECK_FALSE(must(site.lines.show("2001")).mixed);
  must(site.phones.remove(site.administrator, first));
  CHECK(devices_of(must(site.lines.show("2001"))) == Names{"SEP2"});
  site.add_phone("SEP1");
  CHECK(must(site.phones.show(first)).lines.empty());
  must(site.phones.remove(site.administrator, second));
  CHECK(must(site.lines.show("2001")).members.empty());
  CHECK(site.listed({}) == Names{"2001"});
}

TEST_CASE("the mode in effect is that of the LSC, or of the remembered MIC where the profile takes it") {
  LineSite site;
  const DeviceName first = site.add_phone_with("secure", "SEP1");
  const DeviceName second = site.add_phone_with("secure", "SEP2");
  must(site.share("2001", {first, second}));
  site.give_lsc(first);
  const auto reason_of_second = [&] {
    return std::string(to_string(effective_mode(must(site.lines.show("2001")).members.back().facts).reason));
  };
  CHECK(reason_of_second() == "NO_CERTIFICATE");
  site.give_lsc(second, "now() - interval '1 second'");
  CHECK(reason_of_second() == "CERTIFICATE_EXPIRED");
  CHECK(site.listed({.mixed_in_effect = true}) == Names{"2001"});
  CHECK(site.listed({.mixed = true}).empty());
  site.sql("update phones set mic_sha256 = sha256('m') where device = 'SEP2'");
  site.sql(
      "insert into phone_mics (phone_id, sha256, der, not_before, not_after) select id, mic_sha256, '0', now(), "
      "now() + interval '1 day' from phones where device = 'SEP2'");
  CHECK(reason_of_second() == "CERTIFICATE_EXPIRED");
  site.sql("update profiles set settings = '{\"allow_mic\": \"on\"}' where name = 'secure'");
  CHECK(reason_of_second() == "NONE");
  site.sql("update phone_mics set not_after = now() - interval '1 second'");
  CHECK(reason_of_second() == "CERTIFICATE_EXPIRED");
  site.sql("update site_security set mode = 'nonsecure'");
  CHECK(reason_of_second() == "SITE_NONSECURE");
  CHECK(site.listed({.mixed_in_effect = true}).empty());
}

TEST_CASE("lines are listed in pages, and counted in parts") {
  LineSite site;
  const auto phones = site.add_phones(2);
  site.apply("secure", phones[0]);
  site.give_lsc(phones[0]);
  site.sql(
      "insert into lines (name, allow_mixed, added_by) select 'L' || n, true, 'x' from generate_series(1, 2500) n");
  site.sql("insert into line_members select l.id, p.id, p.profile_id from lines l, phones p where l.id % 7 = 0");
  CHECK(site.listed({}).size() == 2500);
  CHECK(site.listed({}, 7).size() == 2500);
  CHECK(site.listed({.mixed = true}).size() == 357);
  service::LineSurvey survey(site.lines);
  must(survey.look());
  CHECK(survey.last().mixed == 0);  // it has not looked at all of them
  CHECK(survey.warnings().empty());
  for (int i = 0; i < 2; ++i) must(survey.look());
  CHECK(survey.last().mixed == 357);
  CHECK(survey.last().in_effect == 357);
  CHECK(survey.warnings().size() == 2);
  must(site.phones.block(site.administrator, phones[0]));
  for (int i = 0; i < 3; ++i) must(survey.look());
  CHECK(survey.last().mixed == 357);
  CHECK(survey.last().in_effect == 0);
  CHECK(survey.warnings() == std::vector<std::string>{"357 shared lines have encrypted devices and others by their "
                                                      "profiles, see 'capfctl line list --mixed'"});
}

TEST_CASE("of two administrators who add an encrypted device and another one at once, one is refused") {
  LineSite site;
  for (int round = 0; round < 20; ++round) {
    const std::string number = std::to_string(round);
    const std::vector<DeviceName> devices{site.add_phone_with("secure", "SEP-e" + number),
                                          site.add_phone("SEP-n" + number)};
    std::latch start(2);
    std::vector<Result<service::JoinedLine>> results(2, fail(Reason::kInternal));
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < 2; ++i) {
      threads.emplace_back([&, i] {
        start.arrive_and_wait();
        results[i] = site.share("L" + number, {devices[i]});
      });
    }
    for (std::thread& thread : threads) thread.join();
    REQUIRE(results[0].has_value() != results[1].has_value());
    CHECK(refused(results[results[0] ? 1 : 0]) == Reason::kSharedLineMixed);
    CHECK(must(site.lines.show("L" + number)).members.size() == 1);
  }
}

TEST_CASE("two administrators who add different devices to a new line at once add both") {
  LineSite site;
  const auto phones = site.add_phones(40);
  for (std::size_t round = 0; round < 20; ++round) {
    std::thread other([&] { must(site.share("L" + std::to_string(round), {phones[2 * round]})); });
    must(site.share("L" + std::to_string(round), {phones[2 * round + 1]}));
    other.join();
    CHECK(must(site.lines.show("L" + std::to_string(round))).members.size() == 2);
  }
}

TEST_CASE("a change of modes waits for a device that is joining, and sees it") {
  LineSite site;
  const DeviceName first = site.add_phone_with("plain", "SEP1");
  const DeviceName second = site.add_phone("SEP2");
  must(site.share("2001", {first}));
  const std::int64_t plain = site.profile("plain");
  const std::vector<std::int64_t> one{site.id_of(first)};
  const std::vector<std::int64_t> joining{site.id_of(second)};
  LineVerdict verdict;
  const auto of_phone = [&](Transaction& tx) -> Status {
    CAPF_TRY(tx.phones().lock_all(one));
    CAPF_LET(verdict, SharedLines::judge(tx, one, kEncrypted));
    return {};
  };
  const auto of_profile = [&](Transaction& tx) -> Status {
    CAPF_LET(verdict, SharedLines::judge_profile(tx, plain, kEncrypted));
    return {};
  };
  using Change = std::function<Status(Transaction&)>;
  for (const Change& change : {Change(of_phone), Change(of_profile)}) {
    std::thread changing;
    must(site.database().write([&](Transaction& tx) -> Status {  // as SharedLines::add()
      CAPF_TRY(tx.phones().lock_all(joining));
      CAPF_LET(const auto line, tx.lines().lock("2001"));
      CAPF_TRY(tx.lines().hold_modes());
      CAPF_TRY(tx.lines().join(line->id, joining));
      if (changing.joinable()) return {};
      changing = std::thread([&] { must(site.database().write(change)); });
      await_waiting(site, 1);
      return {};
    }));
    changing.join();
    CHECK(names_of(verdict) == Names{"2001"});
    must(site.lines.remove(site.administrator, "2001", {second}));
  }
}

TEST_CASE("a profile is applied to whole lines, or to none where it would mix one") {
  LineSite site;
  const auto phones = site.add_phones(3);
  must(site.share("2001", {phones[0], phones[1]}));
  must(site.share("2002", {phones[1], phones[2]}));
  const service::Bulk one{{.devices = {phones[0]}}, 1, {}};
  const auto apply = [&](service::ApplyRequest request) {
    request.anyway = true;
    return site.profiles.apply(site.administrator, Role::kOperator, one, request);
  };
  CHECK(refused(apply({.profile = "secure"})) == Reason::kSharedLineMixed);
  service::ApplyRequest request{.profile = "secure", .anyway = true};
  auto found = must(site.profiles.check_apply(Role::kOperator, one, request));
  REQUIRE(found.problems.size() == 1);
  CHECK(found.problems.front().reason == Reason::kSharedLineMixed);
  CHECK_THAT(found.problems.front().message, Catch::Contains("2001"));
  request.lines = true;
  found = must(site.profiles.check_apply(Role::kOperator, one, request));
  CHECK(found.problems.empty());
  CHECK(found.changed == 3);
  CHECK(site.value("select count(*) from phones where profile_id <> 1") == "0");
  const auto applied = must(apply({.profile = "secure", .lines = true}));
  CHECK(applied.selected == 1);
  CHECK(applied.changed == 3);
  CHECK(site.value("select count(*) from audit_events where action = 'profile.apply'") == "3");
  CHECK(refused(apply({.profile = "plain"})) == Reason::kSharedLineMixed);
  must(apply({.profile = "plain", .allow_mixed = true}));
  CHECK(site.listed({.mixed = true}) == Names{"2001"});
  CHECK(site.value("select subject from audit_events where action = 'line.allow_mixed'") == "2001");
}

TEST_CASE("a profile's mode changes where no line is mixed by it, or where that is allowed") {
  LineSite site;
  const auto phones = site.add_phones(2);
  site.apply("plain", phones[0]);
  must(site.share("2001", phones));
  const ProfileChange encrypted{.mode = kEncrypted};
  CHECK(refused(site.profiles.set(site.administrator, "plain", encrypted)) == Reason::kSharedLineMixed);
  CHECK(refused(site.profiles.check("plain", encrypted)) == Reason::kSharedLineMixed);
  CHECK(must(site.profiles.show("plain")).profile.mode == kNonsecure);
  must(site.profiles.set(site.administrator, "plain", {.description = "Desks"}));
  const auto warnings = must(site.profiles.check("plain", encrypted, true)).view.warnings;
  CHECK(std::any_of(warnings.begin(), warnings.end(),
                    [](const std::string& words) { return words.starts_with("line 2001 would have "); }));
  must(site.profiles.set(site.administrator, "plain", encrypted, true));
  CHECK(site.listed({.mixed = true}) == Names{"2001"});
}

TEST_CASE("no question about lines reads all of them, with the statistics of a full site or of an empty one") {
  for (const bool full : {true, false}) {
    CAPTURE(full);
    const FreshDatabase fresh;
    for (const char* table : {"phones", "lines", "line_members"}) {
      fresh.sql("alter table " + std::string(table) + " set (autovacuum_enabled = off)");
    }
    fresh.sql("insert into profiles (name, mode) values ('plain', 'nonsecure'), ('floor', 'nonsecure')");
    fresh.sql("analyze phones, lines, line_members");
    fresh.sql(
        "insert into phones (device, profile_id) select 'SEP' || n, case when n <= 10 then 3 else 2 end "
        "from generate_series(1, 10000) n");
    fresh.sql("insert into lines (name, added_by) select 'L' || n, 'x' from generate_series(1, 5000) n");
    fresh.sql(
        "insert into line_members select l.id, p.id, p.profile_id from lines l join phones p "
        "on p.id in (l.id, 10001 - l.id)");
    if (full) fresh.sql("vacuum analyze phones, lines, line_members");
    const std::string entries =
        "select sum(idx_tup_read) from pg_stat_user_indexes where relname in ('phones', 'lines', 'line_members')";
    const auto counted = [&] { return std::stoll(fresh.statistics(entries)); };
    const long long before = counted();
    {
      const auto database = fresh.open(1);
      SharedLines lines(*database);
      const Actor actor{ActorKind::kAdministrator, "tester", ""};
      CHECK(must(lines.list({}, {4000, 10})).lines.size() == 10);
      CHECK(must(lines.show("L77")).members.size() == 2);
      must(lines.add(actor, {"L77", {device("SEP4000"), device("SEP4001")}, false}));
      CHECK(must(lines.remove(actor, "L77", {device("SEP4000")})) == 1);
      CHECK(must(lines.remove(actor, "L78", {})) == 2);
      must(database->write([](Transaction& tx) -> Status {
        const std::vector<std::int64_t> phones{100, 200, 300};
        CAPF_LET(const LineVerdict some, SharedLines::judge(tx, phones, kEncrypted));
        CHECK(some.lines.size() == 3);
        CAPF_LET(const LineVerdict floor, SharedLines::judge_profile(tx, 3, kEncrypted));
        CHECK(floor.lines.size() == 10);
        CAPF_LET(const auto all, SharedLines::with_lines(tx, phones));
        CHECK(all.size() == 6);
        CAPF_LET(const auto names, tx.lines().names_of_phone(100));
        CHECK(names == Names{"L100"});
        return {};
      }));
    }
    CHECK(counted() - before < 1000);
  }
}
