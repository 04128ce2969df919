#include <string>

#include <catch2/catch.hpp>

#include "capf/domain/phone_store.h"
#include "tests/support/expect.h"
#include "tests/support/site.h"

using namespace capf;
using namespace capf::test;

namespace {

RefusalRecord stranger_from(const std::string& block) {
  return {block, {}, {}, {TimePoint{}, block, "grpc", kInstall, Reason::kUnknownDevice, "no such device"}, {}, 1};
}

}  // namespace

TEST_CASE("a stranger is answered before the refusal is on record, and a flood does not drive it out") {
  Site site;
  // A minute has rows for so many devices alone: in the next one the flood would come first.
  site.sql("select pg_sleep(61 - s) from extract(second from clock_timestamp()) as s where s > 40");
  service::Attempts& attempts = site.authenticator.attempts();
  const DeviceName device = site.add_phone("SEP1");
  site.schedule(device, kInstall, AuthMode::kMic);
  const std::int64_t id = must(site.phones.show(device)).phone.id;
  const Bytes request = PhoneKey().request();
  const auto refuse = [&] {
    CHECK(refused(site.enrolment.issue(Site::caller(device), request)) == Reason::kAuthenticationFailed);
  };
  must(site.database().write([&](Transaction& tx) -> Status {
    CAPF_TRY(tx.write(id, std::vector<Write>{RecordAttempt{{{}, "", "grpc", kInstall, Reason::kKeyReserved, ""}}}));
    refuse();
    await_waiting(site, 1);  // whoever records it
    refuse();
    CHECK(site.value_now("select count(*) from refusals") == "0");
    CHECK_FALSE(attempts.drain(std::chrono::milliseconds{1}));
    for (std::size_t i = 0; i < service::Attempts::kMostWaiting + 9; ++i) {
      attempts.add(stranger_from("198.51.100." + std::to_string(i)));
    }
    CHECK(attempts.dropped() == 10);
    refuse();  // it waits already, so there is room
    CHECK(attempts.dropped() == 10);
    return {};
  }));
  CHECK(site.value("select sum(count) from refusals where device = 'SEP1'") == "3");
  CHECK(site.value("select sum(count) from refusals where device = ''") ==
        std::to_string(service::Attempts::kMostWaiting - 1));
  CHECK(site.last_attempt(device)->reason == Reason::kCredentialMissing);
  CHECK(site.last_attempt(device)->address == "192.0.2.1");
}

TEST_CASE("refusals of one kind that come together are counted each, with the last attempt") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const std::int64_t id = must(site.phones.show(device)).phone.id;
  const TimePoint now = SystemClock().now();
  const auto add = [&](const std::string& address, Reason reason, int second, const std::string& issuer) {
    RefusalRecord failed = stranger_from(address);
    failed.device = "SEP1";
    failed.phone_id = id;
    failed.attempt.reason = reason;
    failed.attempt.at = now + std::chrono::seconds{second};
    if (!issuer.empty()) failed.unknown_issuer = UnknownIssuer{issuer, {1}, "CN=X-SEP1", Sha256{}};
    site.authenticator.attempts().add(std::move(failed));
  };
  for (int i = 0; i < 20; ++i) add("192.0.2.1", Reason::kCertificateUnknownIssuer, i - 100, "CN=Maker");
  add("192.0.2.1", Reason::kCertificateUnknownIssuer, -50, "CN=Other");
  add("192.0.2.2", Reason::kMicChanged, -40, "");
  add("192.0.2.3", Reason::kCertificateExpired, -60, "");  // judged before, and written down later
  CHECK(site.value("select string_agg(reason || ' ' || sum, ', ' order by address_block) from (select reason, "
                   "address_block, sum(count) from refusals group by reason, address_block) as r") ==
        "CERTIFICATE_UNKNOWN_ISSUER 21, MIC_CHANGED 1, CERTIFICATE_EXPIRED 1");
  CHECK(site.last_attempt(device)->reason == Reason::kMicChanged);
  const auto candidates = must(site.trust.candidates());
  REQUIRE(candidates.size() == 2);
  CHECK(candidates[0].issuer.name == "CN=Maker");
  CHECK(candidates[0].count == 20);
  CHECK(candidates[1].count == 1);
}

TEST_CASE("what cannot be written down is given up, and the next refusal is written again") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  site.schedule(device, kInstall, AuthMode::kMic);
  const Bytes request = PhoneKey().request();
  site.sql("alter table refusals rename to elsewhere");
  CHECK(refused(site.enrolment.issue(Site::caller(device), request)) == Reason::kAuthenticationFailed);
  site.record();
  site.sql("alter table elsewhere rename to refusals");
  CHECK_FALSE(site.last_attempt(device));
  CHECK(refused(site.enrolment.issue(Site::caller(device), request)) == Reason::kAuthenticationFailed);
  CHECK(site.last_attempt(device)->reason == Reason::kCredentialMissing);
  CHECK(site.value("select sum(count) from refusals") == "1");
}
