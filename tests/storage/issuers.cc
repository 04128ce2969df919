#include <string>

#include <catch2/catch.hpp>

#include "capf/domain/certificate_store.h"
#include "capf/domain/server_store.h"
#include "tests/support/expect.h"
#include "tests/support/site.h"

// The life of an issuer: added, active, former, retired.

using namespace capf;
using namespace capf::test;

namespace {

service::IssuerRequest p256(const std::string& subject = "") {
  service::IssuerRequest request;
  request.key = ca::KeyAlgorithm::kP256;
  request.subject = subject;
  return request;
}

std::int64_t issuer_of(Site& site, const Bytes& lsc) {
  return must(in_read(site.database(), [&](Transaction& tx) -> Result<std::int64_t> {
    CAPF_LET(const auto record, tx.certificates().find_lsc(sha256(lsc)));
    return record ? record->issuer_id : 0;
  }));
}

IssuerState state_of(Site& site, std::int64_t id) { return must(site.issuers.show(id)).record.state(); }

}  // namespace

TEST_CASE("a fleet changes over to the next issuer while every LSC of the former one stays good") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const Bytes old_lsc = site.enrol(device, PhoneKey());
  const IssuerRecord next = must(site.issuers.add(site.administrator, p256("CN=CAPF-NEXT,O=Tests")));
  CHECK(next.id == 2);
  CHECK(next.subject == "CN=CAPF-NEXT,O=Tests");
  CHECK(state_of(site, 2) == IssuerState::kNext);
  CHECK(issuer_of(site, site.enrol(site.add_phone("SEP2"), PhoneKey())) == 1);

  CHECK(must(site.issuers.activate(site.administrator, 2, false)).state() == IssuerState::kActive);
  CHECK(state_of(site, 1) == IssuerState::kFormer);
  CHECK(must(site.issuers.show(1)).use.valid == 2);
  CHECK(refused(site.issuers.retire(site.administrator, 1, false)) == Reason::kIssuerInUse);

  // The LSC of the former issuer authenticates the upgrade to one of the next.
  site.schedule(device, kInstall, AuthMode::kLsc);
  const auto issued = must(site.enrolment.issue(Site::with_certificate(device, old_lsc), PhoneKey().request()));
  must(site.enrolment.confirm(Site::with_certificate(device, old_lsc), sha256(issued.certificate)));
  CHECK(issuer_of(site, issued.certificate) == 2);
  CHECK(issued.chain.front() == next.der);
  CHECK(must(site.certificates.show("SEP1")).chain.front() == next.der);
  const IssuerUse use = must(site.issuers.show(1)).use;
  CHECK(use.valid == 1);
  CHECK(use.revoked == 1);

  must(site.phones.remove(site.administrator, must(DeviceName::parse("SEP2"))));
  CHECK(must(site.issuers.retire(site.administrator, 1, false)).state() == IssuerState::kRetired);
  CHECK(refused(site.issuers.retire(site.administrator, 1, false)) == Reason::kIssuerRetired);
  CHECK(refused(site.issuers.activate(site.administrator, 1, true)) == Reason::kIssuerRetired);
  CHECK(refused(site.issuers.retire(site.administrator, 2, true)) == Reason::kIssuerActive);
  CHECK(refused(site.issuers.activate(site.administrator, 3, true)) == Reason::kUnknownIssuer);
}

TEST_CASE("a former issuer may become active again") {
  Site site;
  must(site.issuers.add(site.administrator, p256()));
  must(site.issuers.activate(site.administrator, 2, false));
  must(site.issuers.activate(site.administrator, 1, false));
  CHECK(issuer_of(site, site.enrol(site.add_phone("SEP1"), PhoneKey())) == 1);
  CHECK(state_of(site, 2) == IssuerState::kFormer);
}

TEST_CASE("an issuer is not activated while a server has no key for it") {
  Site site;
  KeyFolder elsewhere;
  ca::Issuers keys;
  const SystemClock clock;
  service::Issuers other(site.database(), clock, keys, elsewhere, "another server", "http://capf.example:3807",
                         SubjectForm::kPlain, site.blacklist, site.vault(), Botan::system_rng());
  must(other.refresh());
  must(site.issuers.add(site.administrator, p256()));
  must(other.refresh());
  CHECK(refused(site.issuers.activate(site.administrator, 2, false)) == Reason::kIssuerNotReady);
  elsewhere.copy(site.key_folder, 2);
  must(other.refresh());
  CHECK(keys.find(2) != nullptr);
  must(site.issuers.activate(site.administrator, 2, false));
  other.leave();
  CHECK(must(site.issuers.show(2)).servers.size() == 1);
}

TEST_CASE("of two servers with other settings the second one is refused at its start, and says which") {
  Site site;
  KeyFolder elsewhere;
  ca::Issuers keys;
  const SystemClock clock;
  const Settings settings{{"auth", "string"}, {"lsc_validity_days", "365"}};
  const auto see = [&](const std::string& name, std::optional<Settings> its) {
    ServerRecord server{name, "1", {}, {}, {}};
    server.settings = std::move(its);
    must(in_write(site.database(), [&](Transaction& tx) { return tx.servers().see(server); }));
  };
  const auto join = [&](const Settings& its) {
    return service::Issuers(site.database(), clock, keys, elsewhere, "the second", "http://capf.example:3807",
                            SubjectForm::kPlain, site.blacklist, site.vault(), Botan::system_rng(), its)
        .refresh();
  };
  see("a version before", std::nullopt);
  see("the first", settings);
  must(join(settings));
  Settings other = settings;
  other["lsc_validity_days"] = "30";
  const Status refused = join(other);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().reason == Reason::kInvalidConfiguration);
  CHECK(refused.error().message.find("the first") != std::string::npos);
  CHECK(refused.error().message.find("lsc_validity_days") != std::string::npos);
  CHECK(refused.error().message.find("auth") == std::string::npos);
  CHECK(site.value("select settings ->> 'lsc_validity_days' from servers where name = 'the second'") == "365");
  site.sql("update servers set seen_at = now() - interval '40 seconds'");
  CHECK(join(other));
}

TEST_CASE("a server that ends without saying so is missed until its machine has another one") {
  Site site;
  const auto see = [&](const std::string& name) {
    must(in_write(site.database(), [&](Transaction& tx) { return tx.servers().see({name, "1", {}, {}, {}}); }));
  };
  const auto silent = [&] {
    std::string names;
    const auto servers = must(in_read(site.database(), [](Transaction& tx) { return tx.servers().silent(); }));
    for (const ServerRecord& server : servers) names += server.name + ' ';
    return names;
  };
  see("a.example:1:00");
  see("b.example:2:00");
  CHECK(silent().empty());
  site.sql("update servers set seen_at = now() - interval '40 seconds'");
  see("a.example:1:00");
  CHECK(silent() == "b.example:2:00 ");
  see("b.example:3:00");
  CHECK(silent().empty());
  must(in_write(site.database(), [](Transaction& tx) { return tx.servers().remove("b.example:3:00"); }));
  CHECK(silent() == "b.example:2:00 ");
  site.sql("update servers set seen_at = now() - interval '61 minutes' where name like 'b%'");
  see("a.example:1:00");
  CHECK(silent().empty());
}

TEST_CASE("a server without the active issuer's key refuses for now, and says that it is not ready") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const auto caller = Site::with_string(device, site.schedule(device, kInstall, AuthMode::kString));
  KeyFolder elsewhere;
  ca::Issuers keys;
  const SystemClock clock;
  service::Issuers other(site.database(), clock, keys, elsewhere, "another server", "http://capf.example:3807",
                         SubjectForm::kPlain, site.blacklist, site.vault(), Botan::system_rng());
  must(site.issuers.refresh());
  must(other.add(site.administrator, p256()));
  CHECK(refused(other.activate(site.administrator, 2, false)) == Reason::kIssuerNotReady);
  must(other.activate(site.administrator, 2, true));
  CHECK(refused(site.enrolment.issue(caller, PhoneKey().request())) == Reason::kIssuerKeyAbsent);
  const service::OwnCertificates own;
  const service::RecordState record;
  const service::CrlState crls;
  service::Monitor monitor(site.database(), clock, site.issuer_keys(), site.high_water, record, crls, own, {});
  CHECK(refused(monitor.healthy()) == Reason::kIssuerKeyAbsent);
  // The operation is unchanged.
  site.key_folder.copy(elsewhere, 2);
  must(site.issuers.refresh());
  CHECK(issuer_of(site, must(site.enrolment.issue(caller, PhoneKey().request())).certificate) == 2);
  CHECK(monitor.healthy().has_value());
}

TEST_CASE(
    "the summary has the server's own certificates, and one that it has not renewed is like the others a day later") {
  Site site;
  const SystemClock clock;
  service::OwnCertificates own;
  const service::RecordState record;
  const service::CrlState crls;
  service::Monitor monitor(site.database(), clock, site.issuer_keys(), site.high_water, record, crls, own, {});
  Expiry ocsp;
  ocsp.kind = ExpiryKind::kOcsp;
  ocsp.not_after = clock.now() + std::chrono::days(6);
  for (const auto& [hours, renewed_by_itself] : {std::pair{-1, true}, {23, true}, {25, false}}) {
    ocsp.renews_at = clock.now() - std::chrono::hours(hours);
    own.set(ExpiryKind::kOcsp, {ocsp});
    const auto expiries = must(monitor.summary()).expiries;
    REQUIRE(expiries.size() == 2);
    CHECK(expiries[0].kind == ExpiryKind::kIssuer);
    CHECK(expiries[1].not_after == ocsp.not_after);
    CHECK(expiries[1].renews_at.has_value() == renewed_by_itself);
  }
}

TEST_CASE("retiring by force revokes what is left") {
  Site site;
  const Bytes lsc = site.enrol(site.add_phone("SEP1"), PhoneKey());
  must(site.issuers.add(site.administrator, p256()));
  must(site.issuers.activate(site.administrator, 2, false));
  must(site.issuers.retire(site.administrator, 1, true));
  CHECK(site.state_of(lsc) == CertificateState::kRevoked);
  CHECK(must(site.certificates.show("SEP1")).certificate.revocation_reason == RevocationReason::kCessationOfOperation);
}

TEST_CASE("an issuer that is on record, or whose key is another's, is not taken again") {
  Site site;
  const SystemClock clock;
  auto key = must(ca::generate_key(ca::KeyAlgorithm::kP256));
  const Secret pem = must(key->private_pem());
  const Bytes certificate =
      must(ca::make_capf_certificate(*key, {"CN=Brought,O=Tests", clock.now()}, Botan::system_rng()));
  const auto brought = [&] {
    service::IssuerRequest request;
    request.imported.emplace();
    request.imported->key = must(ca::decrypt_key(pem.view(), Secret()));
    request.imported->certificate = certificate;
    return request;
  };
  const IssuerRecord added = must(site.issuers.add(site.administrator, brought()));
  CHECK(added.subject == "CN=Brought,O=Tests");
  CHECK(refused(site.issuers.add(site.administrator, brought())) == Reason::kIssuerExists);

  must(site.issuers.activate(site.administrator, added.id, false));
  const auto reason_of = [&](auto change) {
    service::IssuerRequest request = p256();
    change(request);
    return refused(site.issuers.add(site.administrator, std::move(request)));
  };
  CHECK(reason_of([](auto& request) { request.shards = 1025; }) == Reason::kInvalidRequest);
  CHECK(reason_of([](auto& request) { request.days = 36501; }) == Reason::kInvalidRequest);
}

TEST_CASE("an expired issuer is not activated") {
  Site site;
  must(site.issuers.add(site.administrator, p256()));
  site.sql("update issuers set not_after = now() - interval '1 day' where id = 2");
  CHECK(refused(site.issuers.activate(site.administrator, 2, true)) == Reason::kIssuerExpired);
}
