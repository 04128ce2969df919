#include "capf/service/campaigns.h"

#include <catch2/catch.hpp>

#include "capf/domain/lease_store.h"
#include "capf/domain/summary_store.h"
#include "capf/service/campaign_rounds.h"
#include "capf/service/lease.h"
#include "tests/support/expect.h"
#include "tests/support/site.h"

namespace capf::test {
namespace {

using service::Bulk;
using State = CampaignState;

/// A site with the rounds of one server.
struct Fleet {
  Site site;
  SystemClock clock;
  service::Campaigns campaigns{site.database(), Botan::system_rng()};
  service::CampaignRounds rounds{site.database(), site.operations, site.policy, clock, "here"};

  /// Begins a campaign over these phones.
  void begin(const std::string& name, const std::vector<DeviceName>& devices, CampaignTerms terms = {}) {
    must(campaigns.create(site.administrator, name, std::move(terms)));
    const auto count = static_cast<std::int64_t>(devices.size());
    const auto answer =
        must(campaigns.add_phones(site.administrator, name, {{.devices = devices}, count, std::nullopt}, false));
    CHECK(answer.added == count);
    CHECK_FALSE(answer.next);
    must(campaigns.start(site.administrator, name));
  }
  int round() { return must(rounds.run()).released; }
  /// The same, a minute after the last one.
  int next_round() {
    site.sql("update campaigns set round_at = round_at - interval '1 minute'");
    return round();
  }
  State state(const std::string& name) { return must(campaigns.show(name)).campaign.state; }
  /// "released 3, waiting 7"
  std::string figures(const std::string& name) {
    std::map<std::string, std::int64_t> phones;
    for (const CampaignFigure& figure : must(campaigns.show(name)).figures) {
      phones[std::string(to_string(figure.state)) + (figure.reason.empty() ? "" : " " + figure.reason)] +=
          figure.phones;
    }
    std::string text;
    for (const auto& [words, count] : phones) text += (text.empty() ? "" : ", ") + words + " " + std::to_string(count);
    return text;
  }
  /// Ends open operations as phones would.
  void end(const std::string& which, const std::string& state, const std::string& reason = "null") {
    site.sql("update operations set state = '" + state + "', finished_at = now(), authenticated_by = 'lsc', reason = " +
             reason + " where finished_at is null and phone_id in (select id from phones where " + which + ")");
  }
  std::string open_ones() { return site.value("select count(*) from operations where finished_at is null"); }
  std::vector<std::string> released(const std::string& name, std::int64_t after = 0) {
    std::vector<std::string> devices;
    const std::int64_t id = must(campaigns.show(name)).campaign.id;
    for (const PhoneRelease& each : must(campaigns.released(id, after, 1000))) devices.push_back(each.device.text());
    return devices;
  }
};

}  // namespace

TEST_CASE("a campaign releases its phones at its rate, each of them once, and ends with the last one") {
  Fleet fleet;
  const auto devices = fleet.site.add_phones(25);
  fleet.begin("slow", devices, {.rate = Rate{10, std::chrono::minutes(1)}});
  CHECK(fleet.figures("slow") == "waiting 25");
  CHECK(fleet.round() == 0);
  CHECK(fleet.next_round() == 10);
  CHECK(fleet.round() == 0);
  CHECK(fleet.next_round() == 10);
  CHECK(fleet.next_round() == 5);
  CHECK(fleet.next_round() == 0);
  CHECK(fleet.open_ones() == "25");
  CHECK(fleet.site.value("select count(distinct phone_id) from operations where auth = 'lsc' and created_by = "
                         "'campaign slow'") == "25");
  CHECK(fleet.released("slow").size() == 25);
  CHECK(fleet.state("slow") == State::kRunning);
  fleet.end("true", "succeeded");
  CHECK(fleet.round() == 0);
  CHECK(fleet.state("slow") == State::kFinished);
  CHECK(fleet.figures("slow") == "succeeded 25");
  CHECK(fleet.released("slow").empty());
  CHECK(fleet.site.value("select string_agg(action, ' ' order by id) from audit_events where subject = 'slow'") ==
        "campaign.create campaign.add_phones campaign.start campaign.finish");
}

TEST_CASE("after an hour or a year a campaign catches up two minutes, and a clock that goes back releases nothing") {
  Fleet fleet;
  fleet.begin("slow", fleet.site.add_phones(100), {.rate = Rate{10, std::chrono::minutes(1)}});
  fleet.round();
  fleet.site.sql("update campaigns set round_at = now() - interval '1 year'");
  CHECK(fleet.round() == 20);
  fleet.site.sql("update campaigns set round_at = now() + interval '1 year'");
  CHECK(fleet.round() == 0);
  CHECK(fleet.next_round() == 10);
}

TEST_CASE("a server without the lease of maintenance releases nothing") {
  Fleet fleet;
  fleet.begin("all", fleet.site.add_phones(3));
  CHECK(must(in_write(fleet.site.database(), [](Transaction& tx) {
    return tx.leases().take(service::kMaintenanceLease, "another server", service::kLeaseSeconds);
  })));
  CHECK(fleet.round() == 0);
  CHECK(fleet.open_ones() == "0");
  must(in_write(fleet.site.database(),
                [](Transaction& tx) { return tx.leases().give_back(service::kMaintenanceLease, "another server"); }));
  CHECK(fleet.round() == 3);
}

TEST_CASE("a phone is in one campaign at a time, and another one says which") {
  Fleet fleet;
  const auto devices = fleet.site.add_phones(3);
  fleet.begin("first", {devices[0], devices[1]});
  must(fleet.campaigns.create(fleet.site.administrator, "second", {}));
  const Bulk all{{.devices = devices}, 3, std::nullopt};
  const auto taken = fleet.campaigns.add_phones(fleet.site.administrator, "second", all, false);
  CHECK(refused(taken) == Reason::kPhoneInCampaign);
  CHECK_THAT(taken.error().message, Catch::Contains("SEP1000 is in the campaign first"));
  CHECK(fleet.figures("second").empty());
  const auto others = must(fleet.campaigns.add_phones(fleet.site.administrator, "second", all, true));
  CHECK(others.added == 1);
  CHECK(others.selected == 3);
  CHECK(others.left_out.size() == 2);
  // The same call again changes nothing.
  CHECK(must(fleet.campaigns.add_phones(fleet.site.administrator, "second", all, true)).added == 0);
  CHECK(fleet.figures("second") == "waiting 1");
  // A phone that has ended there is free.
  fleet.round();
  fleet.end("device = 'SEP1000'", "succeeded");
  fleet.round();
  CHECK(must(fleet.campaigns.add_phones(fleet.site.administrator, "second", all, true)).added == 1);
}

TEST_CASE("phones that cannot be scheduled for are skipped, with why") {
  Fleet fleet;
  const auto devices = fleet.site.add_phones(4);
  fleet.begin("all", devices);
  must(fleet.site.phones.block(fleet.site.administrator, devices[0]));
  must(fleet.site.phones.remove(fleet.site.administrator, devices[1]));
  fleet.site.schedule(devices[2], OperationKind::kInstall, AuthMode::kNull);
  CHECK(fleet.round() == 4);
  CHECK(fleet.figures("all") ==
        "released 1, skipped DEVICE_BLOCKED 1, skipped OPERATION_PENDING 1, skipped UNKNOWN_DEVICE 1");
  fleet.end("device = 'SEP1003'", "failed", "'PHONE_REFUSED'");
  fleet.round();
  CHECK(fleet.state("all") == State::kFinished);
}

TEST_CASE("a campaign of which too many fail stops, says why, and goes on when it is told") {
  Fleet fleet;
  const auto devices = fleet.site.add_phones(60);
  fleet.begin("careful", devices, {.rate = Rate{30, std::chrono::minutes(1)}, .stop_at_percent = 10});
  fleet.round();
  CHECK(fleet.next_round() == 30);
  const std::string first = "id in (select phone_id from operations where finished_at is null order by id limit ";
  fleet.end(first + "4)", "failed", "'PHONE_REFUSED'");
  fleet.end(first + "15)", "succeeded");
  CHECK(fleet.round() == 0);
  CHECK(fleet.state("careful") == State::kRunning);  // of nineteen
  fleet.end(first + "1)", "expired", "'DEADLINE_PASSED'");
  CHECK(fleet.next_round() == 0);
  const Campaign stopped = must(fleet.campaigns.show("careful")).campaign;
  CHECK(stopped.state == State::kStopped);
  CHECK(stopped.why == "5 of 20 phones failed, more than 10 %: PHONE_REFUSED 4, DEADLINE_PASSED 1");
  CHECK(fleet.site.value("select detail from audit_events where action = 'campaign.stop'") == stopped.why);
  CHECK(fleet.next_round() == 0);
  must(fleet.campaigns.resume(fleet.site.administrator, "careful"));
  CHECK(fleet.round() == 0);
  CHECK(fleet.next_round() == 30);
  CHECK(fleet.state("careful") == State::kRunning);
  fleet.end("true", "succeeded");
  fleet.next_round();
  CHECK(fleet.figures("careful") == "failed DEADLINE_PASSED 1, failed PHONE_REFUSED 4, succeeded 55");
}

TEST_CASE("a phone with which the patience is over is late, and may still come") {
  Fleet fleet;
  fleet.begin("patient", fleet.site.add_phones(2), {.patience = std::chrono::minutes(30)});
  fleet.round();
  fleet.site.sql("update campaign_phones set patience_until = now() - interval '1 second'");
  CHECK(must(fleet.rounds.run()).late == 2);
  CHECK(fleet.figures("patient") == "late 2");
  CHECK(fleet.released("patient").size() == 2);
  fleet.end("device = 'SEP1000'", "succeeded");
  fleet.round();
  CHECK(fleet.figures("patient") == "late 1, succeeded 1");
}

TEST_CASE("a campaign waits while it is paused or its window is shut") {
  Fleet fleet;
  const auto devices = fleet.site.add_phones(4);
  fleet.begin("paused", {devices[0], devices[1]});
  must(fleet.campaigns.pause(fleet.site.administrator, "paused"));
  CHECK(refused(fleet.campaigns.pause(fleet.site.administrator, "paused")) == Reason::kCampaignState);
  CHECK(fleet.round() == 0);
  must(fleet.campaigns.resume(fleet.site.administrator, "paused"));
  CHECK(fleet.round() == 2);
  // Open all week but today and the days beside it.
  const std::string day = fleet.site.value("select to_char(now() + interval '2 days', 'Dy')") + "-" +
                          fleet.site.value("select to_char(now() - interval '2 days', 'Dy')");
  fleet.begin("shut", {devices[2]}, {.window = Hours{day + " 08:00-20:00", "Europe/Berlin"}});
  CHECK(must(fleet.campaigns.show("shut")).opens_at > fleet.clock.now() + std::chrono::hours(12));
  CHECK(fleet.round() == 0);
  fleet.begin("open", {devices[3]}, {.window = Hours{"00:00-24:00", "Europe/Berlin"}});
  CHECK_FALSE(must(fleet.campaigns.show("open")).opens_at);
  CHECK(fleet.round() == 1);
}

TEST_CASE("a campaign whose time zone the server does not know stands still, and the others go on") {
  Fleet fleet;
  const auto devices = fleet.site.add_phones(2);
  fleet.begin("lost", {devices[0]}, {.window = Hours{"00:00-24:00", "UTC"}});
  fleet.begin("fine", {devices[1]});
  fleet.site.sql("update campaigns set time_zone = 'Europe/Atlantis' where name = 'lost'");
  CHECK(refused(fleet.rounds.run()) == Reason::kInvalidWindow);
  CHECK(fleet.figures("lost") == "waiting 1");
  CHECK(fleet.figures("fine") == "released 1");
}

TEST_CASE("a cancelled campaign frees the phones that wait, and leaves what is under way") {
  Fleet fleet;
  const auto devices = fleet.site.add_phones(20);
  fleet.begin("gone", devices, {.rate = Rate{5, std::chrono::minutes(1)}});
  fleet.round();
  fleet.next_round();
  const auto view = must(fleet.campaigns.cancel(fleet.site.administrator, "gone"));
  CHECK(view.campaign.state == State::kCancelled);
  CHECK(fleet.figures("gone") == "cancelled 15, released 5");
  CHECK(fleet.next_round() == 0);
  CHECK(fleet.open_ones() == "5");
  CHECK(refused(fleet.campaigns.resume(fleet.site.administrator, "gone")) == Reason::kCampaignState);
  CHECK(refused(fleet.campaigns.cancel(fleet.site.administrator, "gone")) == Reason::kCampaignState);
  CHECK(refused(fleet.campaigns.cancel(fleet.site.administrator, "renewal")) == Reason::kCampaignState);
  CHECK(refused(fleet.campaigns.cancel(fleet.site.administrator, "nothing")) == Reason::kUnknownCampaign);
}

TEST_CASE("a campaign that is not completed is gone without a trace, by hand or after a while") {
  Fleet fleet;
  const auto devices = fleet.site.add_phones(3);
  const auto make = [&] {
    must(fleet.campaigns.create(fleet.site.administrator, "half", {}));
    must(fleet.campaigns.add_phones(fleet.site.administrator, "half", {{.devices = devices}, 3, std::nullopt}, false));
  };
  make();
  CHECK(fleet.round() == 0);
  must(fleet.campaigns.cancel(fleet.site.administrator, "half"));
  CHECK(refused(fleet.campaigns.show("half")) == Reason::kUnknownCampaign);
  make();
  fleet.site.sql("update campaigns set changed_at = now() - interval '2 hours' where name = 'half'");
  fleet.round();
  CHECK(refused(fleet.campaigns.show("half")) == Reason::kUnknownCampaign);
  CHECK(fleet.site.value("select count(*) from campaign_phones") == "0");
  CHECK(fleet.site.value("select count(*) from campaign_figures") == "0");
}

TEST_CASE("what a campaign may not be is refused") {
  Fleet fleet;
  const auto devices = fleet.site.add_phones(2);
  fleet.begin("one", devices);
  const Actor& who = fleet.site.administrator;
  CHECK(refused(fleet.campaigns.create(who, "one", {})) == Reason::kCampaignExists);
  CHECK(refused(fleet.campaigns.create(who, "renewal", {})) == Reason::kInvalidRequest);
  CHECK(refused(fleet.campaigns.create(who, "two", {.auth = AuthMode::kString})) == Reason::kInvalidRequest);
  CHECK(refused(fleet.campaigns.start(who, "one")) == Reason::kCampaignState);
  const Bulk more{{.all = true}, 2, std::nullopt};
  CHECK(refused(fleet.campaigns.add_phones(who, "one", more, true)) == Reason::kCampaignState);
  CHECK(refused(fleet.campaigns.add_phones(who, "renewal", more, true)) == Reason::kCampaignState);
  must(fleet.campaigns.create(who, "two", {}));
  CHECK(refused(fleet.campaigns.start(who, "two")) == Reason::kCampaignState);
  CHECK(refused(fleet.campaigns.add_phones(who, "two", {{}, 2, std::nullopt}, true)) == Reason::kInvalidSelection);
  CHECK(refused(fleet.campaigns.add_phones(who, "two", {{.all = true}, 1, std::nullopt}, true)) ==
        Reason::kSelectionChanged);
}

// Renewal ------------------------------------------------------------------------------------------------------------

namespace {

/// Phones with LSCs, 80 % of whose lives are over as far as the record knows.
struct Ageing : Fleet {
  explicit Ageing(int count) : devices(site.add_phones(count)) {
    for (const DeviceName& device : devices) lscs.push_back(site.enrol(device, keys.emplace_back()));
    site.policy.settings["renewal"] = "scheduled";
    age("800 days", "200 days");
  }
  void age(const std::string& past, const std::string& left) {
    site.sql("alter table certificates disable trigger user; update certificates set not_before = now() - interval '" +
             past + "', not_after = now() + interval '" + left + "'; alter table certificates enable trigger user; " +
             "update phone_lscs set renewal_look_at = now()");
  }
  /// As if the times that phones wait for had come.
  void come_due() {
    site.sql(
        "update campaign_phones set due_at = now() - interval '1 minute' where campaign_id = 1; "
        "update phone_lscs set renewal_look_at = now() where renewal_look_at is not null");
  }
  void look_again() { site.sql("update phone_lscs set renewal_look_at = now() where renewal_look_at is not null"); }
  void renew(std::size_t phone) {
    const PhoneKey next;
    const auto caller = Site::with_certificate(devices[phone], lscs[phone]);
    const auto issued = must(site.enrolment.issue(caller, next.request()));
    must(
        site.enrolment.confirm(Site::with_certificate(devices[phone], issued.certificate), sha256(issued.certificate)));
  }
  std::int64_t late() {
    return must(in_read(site.database(),
                        [](Transaction& tx) { return tx.phones().count({.renewals = {CampaignPhoneState::kLate}}); }))
        .phones;
  }

  std::vector<DeviceName> devices;
  std::vector<PhoneKey> keys;
  std::vector<Bytes> lscs;
};

}  // namespace

TEST_CASE("phones are scheduled for by themselves, with the key that they have, and renewed when they come") {
  Ageing fleet(2);
  CHECK(fleet.round() == 0);
  CHECK(fleet.figures("renewal") == "waiting 2");
  fleet.come_due();
  CHECK(fleet.round() == 2);
  CHECK(fleet.figures("renewal") == "released 2");
  CHECK(fleet.site.value("select string_agg(distinct auth || ' ' || key_order || ' ' || created_by, ', ') from "
                         "operations where finished_at is null") == "lsc ec campaign renewal");
  CHECK(fleet.site.value("select bool_and(completes_by between now() + interval '89 days' and now() + interval "
                         "'91 days') from operations where finished_at is null") == "t");
  CHECK(fleet.released("renewal").size() == 2);
  fleet.renew(0);
  fleet.look_again();
  CHECK(fleet.round() == 0);
  CHECK(fleet.figures("renewal") == "released 1, succeeded 1");
  // The next look is in the last third of the new LSC's life.
  CHECK(fleet.site.value("select count(*) from phone_lscs where renewal_look_at > now() + interval '3 years'") == "1");
}

TEST_CASE("phones that have not come are late, counted and listed, until they have another LSC") {
  Ageing fleet(3);
  fleet.round();
  fleet.come_due();
  CHECK(fleet.round() == 3);
  fleet.site.sql("update campaign_phones set patience_until = now() - interval '1 second'");
  CHECK(must(fleet.rounds.run()).late == 3);
  CHECK(fleet.late() == 3);
  CHECK(must(in_read(fleet.site.database(), [](Transaction& tx) { return tx.summary().summary({}); })).renewals_late ==
        3);
  const auto page = must(in_read(fleet.site.database(), [](Transaction& tx) {
    return tx.phones().select({.renewals = {CampaignPhoneState::kLate}}, {.limit = 2});
  }));
  CHECK(page.ids.size() == 2);
  fleet.renew(0);
  must(fleet.site.phones.remove(fleet.site.administrator, fleet.devices[1]));
  fleet.round();
  CHECK(fleet.late() == 1);
  CHECK(fleet.figures("renewal") == "cancelled 1, late 1, succeeded 1");
}

TEST_CASE("an LSC is not renewed of a phone that is blocked, stopped or busy, and not where nobody wants it") {
  Ageing fleet(4);
  fleet.site.sql("update phones set self_service_stopped_at = now() where device = 'SEP1001'");
  fleet.site.schedule(fleet.devices[2], OperationKind::kInstall, AuthMode::kNull);
  fleet.round();
  must(fleet.site.phones.block(fleet.site.administrator, fleet.devices[0]));
  fleet.come_due();
  CHECK(fleet.round() == 1);
  CHECK(fleet.site.value("select device from phones p join operations o on o.phone_id = p.id where o.created_by = "
                         "'campaign renewal'") == "SEP1003");
  Ageing others(1);
  others.site.policy.settings["renewal"] = "phone";
  others.round();
  others.come_due();
  CHECK(others.round() == 0);
  CHECK(others.figures("renewal").empty());
  CHECK(others.site.value("select renewal_look_at between now() + interval '23 hours' and now() + interval '25 hours' "
                          "from phone_lscs") == "t");
}

TEST_CASE("a phone whose operation ended is scheduled for again, and an LSC that has ended is left") {
  Ageing fleet(1);
  fleet.round();
  fleet.come_due();
  CHECK(fleet.round() == 1);
  fleet.end("true", "failed", "'PHONE_REFUSED'");
  CHECK(fleet.round() == 0);
  CHECK(fleet.figures("renewal") == "failed PHONE_REFUSED 1");
  fleet.look_again();
  CHECK(fleet.round() == 1);
  CHECK(fleet.figures("renewal") == "released 1");
  fleet.age("1000 days", "0 days");
  fleet.round();
  CHECK(fleet.figures("renewal") == "failed CERTIFICATE_EXPIRED 1");
  CHECK(fleet.site.value("select renewal_look_at is null from phone_lscs") == "t");
}

TEST_CASE("a campaign takes over the operations of the renewal") {
  Ageing fleet(2);
  fleet.round();
  fleet.come_due();
  CHECK(fleet.round() == 2);
  fleet.begin("move", fleet.devices);
  CHECK(fleet.round() == 2);
  CHECK(fleet.open_ones() == "2");
  CHECK(fleet.figures("move") == "released 2");
  fleet.round();
  CHECK(fleet.figures("renewal") == "cancelled 2");
  fleet.look_again();
  CHECK(fleet.round() == 0);
}

TEST_CASE("while the renewal is paused nothing is scheduled") {
  Ageing fleet(1);
  must(fleet.campaigns.pause(fleet.site.administrator, "renewal"));
  fleet.round();
  CHECK(fleet.figures("renewal").empty());
  must(fleet.campaigns.resume(fleet.site.administrator, "renewal"));
  fleet.round();
  CHECK(fleet.figures("renewal") == "waiting 1");
}

}  // namespace capf::test
