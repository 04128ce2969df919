#include <functional>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/support/expect.h"
#include "tests/support/site.h"

// Administrators' acts whose caller is gone before they are committed.

using namespace capf;
using namespace capf::test;

namespace {

template <class T>
Status status_of(const Result<T>& result) {
  if (!result) return fail(result.error());
  return {};
}

}  // namespace

TEST_CASE("an act whose caller is gone is given up before it is committed, and nothing of it is left") {
  Site site;
  const Manufacturer maker("Maker");
  const Bytes mic = maker.mic(PhoneKey(), "SEP5");
  const DeviceName device = site.add_phone("SEP1");
  site.enrol(device, PhoneKey());
  Actor gone = site.administrator;
  int asked = 0;
  gone.gone = [&] { return ++asked > 0; };
  service::AnchorRequest anchor;
  anchor.files = {maker.root()};
  service::ScheduleRequest schedule;
  schedule.devices = {device};
  schedule.auth = AuthMode::kString;
  const std::vector<std::pair<const char*, std::function<Status()>>> acts{
      {"phone.add",
       [&] { return site.phones.add(gone, std::vector<DeviceName>{DeviceName::parse("SEP2").value()}, ""); }},
      {"phone.block", [&] { return status_of(site.phones.block(gone, device)); }},
      {"phone.remove", [&] { return status_of(site.phones.remove(gone, device)); }},
      {"operation.schedule", [&] { return status_of(site.operations.schedule(gone, schedule)); }},
      {"certificate.revoke",
       [&] { return status_of(site.certificates.revoke(gone, "SEP1", RevocationReason::kSuperseded)); }},
      {"anchor.add", [&] { return status_of(site.trust.add(gone, anchor)); }},
      {"certificate.block", [&] { return status_of(site.trust.block(gone, {mic})); }},
      {"issuer.add",
       [&] {
         service::IssuerRequest request;
         request.key = ca::KeyAlgorithm::kP256;
         return status_of(site.issuers.add(gone, std::move(request)));
       }},
  };
  const std::string record =
      "select (select count(*) from audit_events) || ' ' || (select count(*) from phones) || ' ' || "
      "(select count(*) from operations) || ' ' || (select count(*) from revocations) || ' ' || "
      "(select count(*) from trust_anchors) || ' ' || (select count(*) from blocked_certificates) || ' ' || "
      "(select count(*) from issuers)";
  const std::string before = site.value(record);
  for (const auto& [name, act] : acts) {
    CAPTURE(name);
    asked = 0;
    CHECK(refused(act()) == Reason::kCallerGone);
    CHECK(asked == 1);
    CHECK(site.value(record) == before);
  }
}
