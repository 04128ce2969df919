#include "capf/service/administrators.h"

#include <chrono>
#include <functional>
#include <future>
#include <string>

#include <catch2/catch.hpp>

#include "capf/domain/administrator_store.h"
#include "capf/domain/audit_store.h"
#include "capf/service/records.h"
#include "tests/support/expect.h"
#include "tests/support/site.h"

// Administrators whose certificates are renewed, who are enabled again, and who get another role.

using namespace capf;
using namespace capf::test;

namespace {

struct Office {
  /// One of this role, with a certificate whose life began so many days ago; it ends in two years.
  service::NewAdministrator appoint(const std::string& name, Role role, int days = 0) {
    auto made = must(administrators.add(site.administrator, name, role, PhoneKey().request()));
    site.sql("update administrators set created_at = created_at - interval '" + std::to_string(days) +
                 " days' where name = '" + name + "'",
             "postgres");
    return made;
  }
  /// As the next call finds them by that certificate.
  Result<service::Recognised> recognise(const service::NewAdministrator& of) {
    return administrators.recognise(of.administrator.certificate_sha256);
  }
  Result<service::NewAdministrator> renew(const service::NewAdministrator& caller, const std::string& name = {}) {
    const Administrator judged = must(recognise(caller)).administrator;
    return administrators.renew({ActorKind::kAdministrator, judged.name, "192.0.2.1"}, judged, name,
                                PhoneKey().request());
  }
  std::string events(const std::string& name) {
    return site.value(
        "select string_agg(action || ' by ' || actor, ', ' order by id) from audit_events where subject = '" + name +
        "' and outcome = 'done'");
  }

  Site site;
  SystemClock clock;
  std::unique_ptr<ca::SigningKey> site_key = must(ca::generate_key(ca::KeyAlgorithm::kP256));
  Bytes site_certificate = must(ca::make_site_ca(*site_key, {"CN=Site CA", clock.now()}, Botan::system_rng()));
  service::Administrators administrators{site.database(), *site_key,      site_certificate,   clock,
                                         site.high_water, site.blacklist, Botan::system_rng()};
};

constexpr int kOld = 2000;  // days: the last third of such a life has begun

}  // namespace

TEST_CASE("one's own certificate is renewed in the last third of its life, and the former one counts for a day") {
  Office office;
  const auto young = office.appoint("young", Role::kMonitor);
  CHECK(refused(office.renew(young)) == Reason::kRenewalTooEarly);
  const auto olga = office.appoint("olga", Role::kOperator, kOld);
  const auto renewed = must(office.renew(olga));
  CHECK(renewed.administrator.role == Role::kOperator);
  CHECK(renewed.administrator.certificate_sha256 != olga.administrator.certificate_sha256);
  CHECK(must(office.recognise(renewed)).administrator.name == "olga");
  CHECK(must(office.recognise(olga)).administrator.ends_at);
  // An answer that was lost is asked for again, by the certificate that the caller has.
  const auto again = must(office.renew(olga));
  CHECK(must(office.recognise(again)).administrator.name == "olga");
  CHECK(must(office.recognise(renewed)).administrator.ends_at);
  CHECK(refused(office.renew(again)) == Reason::kRenewalTooEarly);
  office.site.sql("update administrators set ends_at = now() - interval '1 second' where ends_at is not null",
                  "postgres");
  CHECK(refused(office.recognise(olga)) == Reason::kAdministratorDisabled);
  CHECK(must(office.recognise(again)).administrator.name == "olga");
  CHECK(office.events("olga") ==
        "administrator.add by tester, administrator.renew by olga, administrator.renew by olga");
  // Disabling holds for every certificate.
  must(office.administrators.disable(office.site.administrator, "olga"));
  CHECK(refused(office.recognise(again)) == Reason::kAdministratorDisabled);
}

TEST_CASE("an admin renews the certificates of others at any time, and nobody else does") {
  Office office;
  const auto admin = office.appoint("anna", Role::kAdmin);
  const auto olga = office.appoint("olga", Role::kOperator);
  const auto other = office.appoint("other", Role::kOperator, kOld);
  CHECK(refused(office.renew(other, "olga")) == Reason::kRoleDenied);
  CHECK(refused(office.renew(other, "anna")) == Reason::kRoleDenied);
  CHECK(refused(office.renew(admin, "nobody")) == Reason::kUnknownAdministrator);
  CHECK(refused(office.renew(admin)) == Reason::kRenewalTooEarly);
  const auto renewed = must(office.renew(admin, "olga"));
  CHECK(must(office.recognise(renewed)).administrator.role == Role::kOperator);
  // The former certificate is no way around the last third.
  CHECK(refused(office.renew(olga)) == Reason::kRenewalTooEarly);
  // Nor is one that an admin has replaced, whoever has its key, in its last third.
  const auto old = office.appoint("old", Role::kOperator, kOld);
  must(office.renew(admin, "old"));
  CHECK(refused(office.renew(old)) == Reason::kRenewalTooEarly);
  must(office.administrators.disable(office.site.administrator, "olga"));
  CHECK(refused(office.renew(admin, "olga")) == Reason::kUnknownAdministrator);
}

TEST_CASE("whoever is disabled or gets another role meanwhile is not renewed as they were") {
  Office office;
  const auto olga = office.appoint("olga", Role::kAdmin, kOld);
  office.appoint("anna", Role::kAdmin);
  const auto renewed_after = [&](const std::function<Status(AdministratorStore&)>& change) {
    std::future<Result<service::NewAdministrator>> renewal;
    must(office.site.database().write([&](Transaction& tx) -> Status {
      CAPF_TRY(tx.administrators().lock());
      renewal = std::async(std::launch::async, [&] { return office.renew(olga); });
      await_waiting(office.site, 1);
      return change(tx.administrators());
    }));
    return renewal.get();
  };
  const auto demoted = renewed_after([](AdministratorStore& store) -> Status {
    CAPF_TRY(store.change_role("olga", Role::kMonitor));
    return {};
  });
  CHECK(must(office.recognise(must(demoted))).administrator.role == Role::kMonitor);
  const auto disabled = renewed_after([](AdministratorStore& store) -> Status {
    CAPF_TRY(store.disable("olga"));
    return {};
  });
  CHECK(refused(disabled) == Reason::kUnknownAdministrator);
  CHECK(office.site.value("select count(*) from administrators where name = 'olga' and disabled_at is null") == "0");
}

TEST_CASE("the last admin renews, and stays the last one") {
  Office office;
  const auto last = office.appoint("last", Role::kAdmin, kOld);
  const auto renewed = must(office.renew(last));
  CHECK(refused(office.administrators.disable(office.site.administrator, "last")) == Reason::kLastAdministrator);
  CHECK(refused(office.administrators.change_role(office.site.administrator, "last", Role::kAuditor)) ==
        Reason::kLastAdministrator);
  CHECK(must(office.recognise(renewed)).administrator.role == Role::kAdmin);
}

TEST_CASE("a request with another key's signature, or with a key on record, renews and enables nobody") {
  Office office;
  const auto olga = office.appoint("olga", Role::kOperator, kOld);
  const PhoneKey key;
  Bytes forged = key.request();
  forged.back() ^= 1U;
  const Administrator judged = must(office.recognise(olga)).administrator;
  CHECK_FALSE(office.administrators.renew(office.site.administrator, judged, "", forged));
  const auto admin = office.appoint("anna", Role::kAdmin);
  must(office.administrators.add(office.site.administrator, "holder", Role::kMonitor, key.request()));
  CHECK(refused(office.administrators.renew(office.site.administrator, judged, "", key.request())) ==
        Reason::kKeyReserved);
  // The refusals left no half: the certificate of before is still the current one.
  CHECK_FALSE(must(office.recognise(olga)).administrator.ends_at);
  must(office.administrators.disable(office.site.administrator, "holder"));
  CHECK(refused(office.administrators.enable(office.site.administrator, "holder", key.request())) ==
        Reason::kKeyReserved);
}

TEST_CASE("a disabled administrator is enabled with a new certificate alone, and has the role of before") {
  Office office;
  const auto olga = office.appoint("olga", Role::kAuditor);
  const auto request = [] { return PhoneKey().request(); };
  CHECK(refused(office.administrators.enable(office.site.administrator, "olga", request())) ==
        Reason::kAdministratorExists);
  CHECK(refused(office.administrators.enable(office.site.administrator, "nobody", request())) ==
        Reason::kUnknownAdministrator);
  must(office.administrators.disable(office.site.administrator, "olga"));
  const auto enabled = must(office.administrators.enable(office.site.administrator, "olga", request()));
  CHECK(must(office.recognise(enabled)).administrator.role == Role::kAuditor);
  CHECK(refused(office.recognise(olga)) == Reason::kAdministratorDisabled);
  CHECK(office.events("olga") ==
        "administrator.add by tester, administrator.disable by tester, administrator.enable by tester");
}

TEST_CASE("another role holds from the next call on, and is on record once") {
  Office office;
  office.appoint("anna", Role::kAdmin);
  const auto olga = office.appoint("olga", Role::kOperator);
  const auto change = [&](Role role) {
    return office.administrators.change_role(office.site.administrator, "olga", role);
  };
  CHECK(must(change(Role::kAdmin)).role == Role::kAdmin);
  CHECK(must(change(Role::kAdmin)).role == Role::kAdmin);
  CHECK(must(office.recognise(olga)).administrator.role == Role::kAdmin);
  CHECK(must(change(Role::kMonitor)).role == Role::kMonitor);
  CHECK(refused(office.administrators.change_role(office.site.administrator, "anna", Role::kOperator)) ==
        Reason::kLastAdministrator);
  CHECK(office.events("olga") ==
        "administrator.add by tester, administrator.role by database, administrator.change by tester, "
        "administrator.role by database, administrator.change by tester");
  must(office.administrators.disable(office.site.administrator, "olga"));
  CHECK(refused(change(Role::kOperator)) == Reason::kUnknownAdministrator);
}

TEST_CASE("a phone's history has what happened to the phone, and nothing of what else is called so") {
  Office office;
  const DeviceName device = office.site.add_phone("SEP00000000AAAA");
  office.site.schedule(device, OperationKind::kInstall, AuthMode::kString);
  office.appoint(device.text(), Role::kAuditor);
  service::Records records(office.site.database());
  AuditFilter filter{.subject = device.text()};
  filter.of_phones = true;
  std::string actions;
  for (const AuditEvent& event : must(records.list(filter, Page()))) actions += event.action + ' ';
  CHECK(actions == "phone.add operation.schedule ");
}
