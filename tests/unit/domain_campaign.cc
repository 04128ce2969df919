#include <set>

#include <catch2/catch.hpp>

#include "capf/domain/campaign.h"

namespace capf {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using State = CampaignPhoneState;
using Step = RenewalStep::Kind;

TimePoint at(const char* text) { return parse_rfc3339(text).value(); }
DeviceName device(const std::string& name) { return DeviceName::parse(name).value(); }

Reason refused(CampaignTerms terms) {
  const Status checked = terms.check();
  return checked ? Reason::kInternal : checked.error().reason;
}

const TimePoint kBegin = at("2027-01-01");
const TimePoint kEnd = kBegin + hours(24 * 1000);  // a life of 1,000 days: 67 % are over on day 670

/// In its renewal's share, with nothing planned.
RenewalView good_view() {
  return {
      .device = device("SEP001122334455"), .not_before = kBegin, .not_after = kEnd, .scheduled = true, .percent = 67};
}
TimePoint day(int day) { return kBegin + hours(24 * day); }

}  // namespace

TEST_CASE("a rate is a number of phones in a minute, an hour or a day") {
  for (const char* text : {"1/min", "10/min", "500/h", "100000/d"}) CHECK(Rate::parse(text).value().text() == text);
  for (const char* text : {"", "10", "10/", "/min", "0/min", "-1/min", "+1/min", "100001/d", "1.5/h", "10/s", "10 /min",
                           "10/minute", "99999999999/d", "10/min/h"}) {
    CAPTURE(text);
    CHECK_FALSE(Rate::parse(text));
  }
}

TEST_CASE("the terms of a campaign are held to their limits") {
  CHECK(refused({.auth = AuthMode::kMic}) == Reason::kInternal);
  CHECK(refused({.auth = AuthMode::kString}) == Reason::kInvalidRequest);
  CHECK(refused({.auth = AuthMode::kNull}) == Reason::kInvalidRequest);
  CHECK(refused({.rate = Rate{1, minutes(1)}, .spread = hours(1)}) == Reason::kInvalidRequest);
  CHECK(refused({.spread = seconds(59)}) == Reason::kInvalidRequest);
  CHECK(refused({.spread = hours(24 * 90 + 1)}) == Reason::kInvalidRequest);
  CHECK(refused({.stop_at_percent = 101}) == Reason::kInvalidRequest);
  CHECK(refused({.stop_at_percent = -1}) == Reason::kInvalidRequest);
  CHECK(refused({.patience = seconds(1)}) == Reason::kInvalidRequest);
  CHECK(refused({.window = Hours{"never", ""}}) == Reason::kInvalidWindow);
  CampaignTerms terms{.window = Hours{"mon-fri 8:00-9:00", ""}};
  REQUIRE(terms.check());
  CHECK(*terms.window == Hours{"Mon-Fri 08:00-09:00", "UTC"});
}

TEST_CASE("a campaign has a name that a shell and a log take") {
  for (const char* name : {"a", "next-issuer.2", "_x", "0123456789012345678901234567890123456789012345678_"}) {
    CHECK(check_campaign_name(name));
  }
  for (const char* name :
       {"", "-a", "a b", "a/b", "ä", "renewal", "a\n", "012345678901234567890123456789012345678901234567890"}) {
    CAPTURE(name);
    CHECK_FALSE(check_campaign_name(name));
  }
}

TEST_CASE("phones are spread evenly by their names, and in another order for another campaign") {
  constexpr int kPhones = 10'000;
  std::array<int, 10> tenths{};
  std::set<std::int64_t> first;
  std::set<std::int64_t> places;
  int same_tenth = 0;
  for (int i = 0; i < kPhones; ++i) {
    const DeviceName name = device("SEP00112233" + std::to_string(10'000 + i));
    const std::int64_t place = place_of(name, "one");
    REQUIRE((place >= 0 && place < kPlaces));
    ++tenths[static_cast<std::size_t>(place * 10 / kPlaces)];
    places.insert(place);
    same_tenth += place * 10 / kPlaces == place_of(name, "two") * 10 / kPlaces ? 1 : 0;
  }
  for (const int phones : tenths) CHECK(std::abs(phones - kPhones / 10) < 150);
  CHECK(places.size() > kPhones - 5);
  CHECK(same_tenth < kPhones / 5);
  CHECK(place_of(device("SEP1"), "one") == place_of(device("SEP1"), "one"));
}

TEST_CASE("the time that a campaign runs is caught up for two minutes at most, and never goes back") {
  const TimePoint now = at("2027-06-07T20:00:00Z");
  CHECK(time_between(std::nullopt, now) == seconds(0));
  CHECK(time_between(now - seconds(61), now) == seconds(61));
  CHECK(time_between(now - hours(1), now) == seconds(120));
  CHECK(time_between(now - hours(24 * 365), now) == seconds(120));
  CHECK(time_between(now + hours(24 * 365), now) == seconds(0));
}

TEST_CASE("a rate lets phones go as time passes") {
  Campaign campaign{.terms = {.rate = Rate{10, minutes(1)}}};
  CHECK(due(campaign).phones == 0);
  campaign.ran = seconds(60);
  CHECK(due(campaign).phones == 10);
  CHECK(due(campaign).through == kPlaces);
  campaign.released = 10;
  CHECK(due(campaign).phones == 0);
  campaign.ran = seconds(90);
  CHECK(due(campaign).phones == 5);
  campaign.released = 40;
  CHECK(due(campaign).phones == 0);
  campaign.terms.rate = Rate{1, hours(24)};
  campaign.released = 0;
  campaign.ran = hours(24) - seconds(1);
  CHECK(due(campaign).phones == 0);
  campaign.ran = hours(24);
  CHECK(due(campaign).phones == 1);
}

TEST_CASE("a spread lets places go as time passes, and none of them twice") {
  Campaign campaign{.terms = {.spread = hours(6)}};
  CHECK(due(campaign).through == 0);
  campaign.ran = hours(3);
  CHECK(due(campaign).through == kPlaces / 2);
  campaign.ran = hours(6);
  CHECK(due(campaign).through == kPlaces);
  campaign.ran = hours(600);
  CHECK(due(campaign).through == kPlaces);
  CHECK(due({}).through == kPlaces);
  CHECK(due({}).phones > 1'000'000);
}

TEST_CASE("a campaign stops when more than its share has failed, of twenty at least, and says why") {
  std::vector<CampaignFigure> figures{{State::kSucceeded, "", 16}, {State::kFailed, "PHONE_REFUSED", 3}};
  CHECK_FALSE(reason_to_stop(10, figures));  // of nineteen
  figures.push_back({State::kReleased, "", 100});
  figures.push_back({State::kSkipped, "DEVICE_BLOCKED", 50});
  figures.push_back({State::kCancelled, "", 50});
  CHECK_FALSE(reason_to_stop(10, figures));
  figures[0].phones = 27;
  CHECK_FALSE(reason_to_stop(10, figures));  // 3 of 30 are not more than 10 %
  figures[0].phones = 17;
  CHECK(reason_to_stop(10, figures) == "3 of 20 phones failed, more than 10 %: PHONE_REFUSED 3");
  CHECK_FALSE(reason_to_stop(0, figures));
  figures.push_back({State::kLate, "", 4});
  figures.push_back({State::kLate, "CERTIFICATE_EXPIRED", 1});
  CHECK(reason_to_stop(10, figures) ==
        "8 of 25 phones failed, more than 10 %: not come 4, PHONE_REFUSED 3, CERTIFICATE_EXPIRED and not come again 1");
}

TEST_CASE("the renewal begins at the share of a life, and spreads phones over the first half of what is left") {
  CHECK(renewal_begin(kBegin, kEnd, 67) == day(670));
  CHECK(renewal_begin(kBegin, kEnd, 95) == day(950));
  int first_half = 0;
  for (int i = 0; i < 1000; ++i) {
    const RenewalTimes times = renewal_times(device("SEP" + std::to_string(i)), day(670), kEnd);
    CHECK(times.late == day(835));
    REQUIRE((times.due >= day(670) && times.due < day(835)));
    first_half += times.due < day(670) + (day(835) - day(670)) / 2 ? 1 : 0;
  }
  CHECK(std::abs(first_half - 500) < 70);
}

TEST_CASE("a phone waits for its renewal, is scheduled, and then left to come") {
  RenewalView view = good_view();
  const RenewalStep before = next_step(view, day(600));
  CHECK(before.kind == Step::kLeave);
  CHECK(before.look_at == day(670));
  const RenewalStep plan = next_step(view, day(670));
  CHECK(plan.kind == Step::kPlan);
  CHECK(plan.look_at == plan.times.due);
  CHECK(plan.times == renewal_times(view.device, day(670), kEnd));
  view.state = State::kWaiting;
  view.times = plan.times;
  const RenewalStep early = next_step(view, plan.times.due - seconds(1));
  CHECK(early.kind == Step::kWait);
  CHECK(early.look_at == plan.times.due);
  const RenewalStep due = next_step(view, plan.times.due + minutes(1));
  CHECK(due.kind == Step::kRelease);
  CHECK(due.times == plan.times);
  view.state = State::kReleased;
  CHECK(next_step(view, day(800)).kind == Step::kWait);
}

TEST_CASE("blocked, open and stopped phones are not renewed, and late when half of what is left is over") {
  RenewalView view = good_view();
  view.state = State::kWaiting;
  view.times = RenewalTimes{day(700), day(835)};
  view.busy = true;
  const RenewalStep busy = next_step(view, day(700));
  CHECK(busy.kind == Step::kWait);
  CHECK(busy.look_at == day(701));
  view.times = next_step(view, day(702)).times;  // missed, and spread over what is left of the first half
  CHECK(next_step(view, day(836)).kind == Step::kLate);
  view.blocked = true;
  CHECK(next_step(view, day(836)).kind == Step::kLeave);
}

TEST_CASE("a phone whose operation ended without a renewal is scheduled again, and is as late as before") {
  RenewalView view = good_view();
  view.state = State::kFailed;
  view.times = RenewalTimes{day(700), day(835)};
  const RenewalStep again = next_step(view, day(720));
  CHECK(again.kind == Step::kRelease);
  CHECK(again.times.late == day(835));
  view.state = State::kLate;
  CHECK(next_step(view, day(900)).kind == Step::kRelease);
}

TEST_CASE("a phone that nothing can be scheduled for has its times where it is late") {
  RenewalView view = good_view();
  view.state = State::kFailed;
  view.times = RenewalTimes{day(700), day(835)};
  view.busy = true;
  const RenewalStep late = next_step(view, day(836));
  CHECK(late.kind == Step::kLate);
  CHECK(late.times.late == day(835));
}

TEST_CASE("an LSC that ends soon is looked at again before it ends") {
  RenewalView view = good_view();
  view.not_before = day(0);
  view.not_after = day(3);
  view.state = State::kWaiting;
  view.times = RenewalTimes{day(2), day(2) + hours(12), true};
  view.busy = true;
  CHECK(next_step(view, day(2) + hours(2)).look_at == day(2) + hours(2) + minutes(132));
  CHECK(next_step(view, day(3) - minutes(1)).look_at == day(3) + minutes(9));
}

TEST_CASE("what came due while renewal was off is spread when it is on again") {
  RenewalView view = good_view();
  view.state = State::kCancelled;
  view.times = RenewalTimes{day(700), day(835)};
  std::set<TimePoint> spread;
  for (int i = 0; i < 100; ++i) {
    view.device = device("SEP" + std::to_string(i));
    const RenewalStep again = next_step(view, day(800));
    CHECK((again.kind == Step::kPlan || again.kind == Step::kRelease));
    spread.insert(again.times.due);
  }
  CHECK(spread.size() > 95);
}

TEST_CASE("times of an earlier LSC that was replaced before they came do not count") {
  RenewalView view = good_view();
  view.not_after = day(690);  // begins at day 462
  view.times = RenewalTimes{day(600), day(800)};
  view.state = State::kSucceeded;
  CHECK(next_step(view, day(610)).times.late < day(690));
  view.state = State::kCancelled;
  CHECK(next_step(view, day(610)).times.late < day(690));
}

TEST_CASE("times of an earlier LSC do not count") {
  RenewalView view = good_view();
  view.state = State::kSucceeded;
  view.times = RenewalTimes{day(-200), day(-100)};
  const RenewalStep plan = next_step(view, day(680));
  CHECK(plan.kind == Step::kPlan);
  CHECK(plan.times.due >= day(680));
}

TEST_CASE("what was missed is spread anew, over what is left") {
  RenewalView view = good_view();
  view.state = State::kWaiting;
  view.times = RenewalTimes{day(700), day(835)};
  std::set<TimePoint> spread;
  for (int i = 0; i < 100; ++i) {
    view.device = device("SEP" + std::to_string(i));
    const RenewalStep missed = next_step(view, day(800));
    CHECK((missed.kind == Step::kPlan || missed.kind == Step::kRelease));
    CHECK((missed.times.due >= day(800) && missed.times.due < day(835)));
    CHECK(missed.times.late == day(835));
    CHECK(missed.times.anew);
    spread.insert(missed.times.due);
    CHECK(next_step(view, day(900)).times.due < day(950));
  }
  CHECK(spread.size() > 95);
  // Missed again, it is not put off any more.
  view.times = RenewalTimes{day(700), day(835), true};
  CHECK(next_step(view, day(800)).kind == Step::kRelease);
}

TEST_CASE("a profile that schedules no renewals is asked again in a day, and an LSC that has ended no more") {
  RenewalView view = good_view();
  view.scheduled = false;
  const RenewalStep off = next_step(view, day(700));
  CHECK(off.kind == Step::kLeave);
  CHECK(off.look_at == day(701));
  view.scheduled = true;
  const RenewalStep ended = next_step(view, kEnd);
  CHECK(ended.kind == Step::kExpired);
  CHECK_FALSE(ended.look_at);
}

}  // namespace capf
