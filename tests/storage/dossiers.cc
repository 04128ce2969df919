#include "storage/dossiers.h"

#include "capf/domain/block_store.h"
#include "capf/domain/certificate_store.h"
#include "capf/domain/issuer_store.h"
#include "capf/domain/key_store.h"
#include "capf/domain/operation_store.h"
#include "capf/domain/phone_store.h"
#include "capf/domain/profile_store.h"
#include "tests/storage/samples.h"

namespace capf::test {
namespace {

/// A look of its own, as a round makes it.
std::vector<Dossier> look(const FreshDatabase& fresh, const std::vector<Enquiry>& enquiries) {
  storage::Connection connection(good(storage::link_settings(fresh.conninfo(), {})));
  storage::Session session(connection);
  good(session.single(storage::Access::kRead));
  std::vector<const Enquiry*> asked;
  for (const Enquiry& enquiry : enquiries) asked.push_back(&enquiry);
  return good(storage::look(session, asked));
}

Dossier look(const FreshDatabase& fresh, const Enquiry& enquiry) { return look(fresh, std::vector{enquiry}).front(); }

/// A phone with an open operation that has issued an LSC, of which nothing is confirmed.
struct Site {
  FreshDatabase fresh;
  std::unique_ptr<storage::PostgresDatabase> database = fresh.open();
  std::int64_t issuer = 0;
  std::optional<Phone> phone;
  std::optional<Operation> operation;
  Certificate lsc;

  Site() {
    in(*database, [&](Transaction& tx) {
      issuer = good(tx.issuers().add(sample_issuer()));
      phone = added_phone(tx);
      operation = added_operation(tx, *phone);
      lsc = sample_lsc(tx, *operation, issuer);
      lsc.id = added_certificate(tx, lsc);
    });
  }
  Enquiry enquiry() const { return {.device = phone->device}; }
};

TEST_CASE("a look finds the phone, its operations, its LSCs and the site's issuer and anchors") {
  Site site;
  Enquiry enquiry = site.enquiry();
  enquiry.certificates = {site.lsc.sha256};
  enquiry.confirmed = site.lsc.sha256;
  const Dossier dossier = look(site.fresh, enquiry);
  REQUIRE(dossier.phone);
  CHECK(dossier.phone->id == site.phone->id);
  CHECK(dossier.phone->model == "CP-8861");
  CHECK_FALSE(dossier.standby);
  CHECK(dossier.now > site.phone->created_at);
  CHECK(std::to_string(dossier.postmaster_start.time_since_epoch().count()) ==
        site.fresh.sql("select microseconds(pg_postmaster_start_time())"));
  REQUIRE(dossier.open);
  CHECK(dossier.open->id == site.operation->id);
  CHECK(dossier.open->string_mac == site.operation->string_mac);
  CHECK(dossier.last->id == site.operation->id);
  CHECK_FALSE(dossier.before);
  REQUIRE(dossier.live.size() == 1);
  CHECK(dossier.live.front().der == site.lsc.der);
  REQUIRE(dossier.shown.size() == 1);
  CHECK(dossier.shown.front().id == site.lsc.id);
  REQUIRE(dossier.confirmed);
  CHECK(dossier.confirmed->device == site.phone->device.text());
  REQUIRE_FALSE(dossier.origins.empty());
  CHECK(dossier.origins.front().id == site.operation->id);
  REQUIRE(dossier.issuers.size() == 1);
  CHECK(dossier.issuers.front().id == site.issuer);
  CHECK(dossier.active_issuer == site.issuer);
  CHECK_FALSE(dossier.history.valid);
  CHECK_FALSE(dossier.history.ever_confirmed);
  CHECK(dossier.refused.empty());
}

TEST_CASE("the revision of a phone is another one after each change of it, its operations and its certificates") {
  Site site;
  std::int64_t before = look(site.fresh, site.enquiry()).revision;
  const auto changes = [&](auto change) {
    in(*site.database, change);
    const std::int64_t now = look(site.fresh, site.enquiry()).revision;
    return std::exchange(before, now) < now;
  };
  CHECK(changes([&](Transaction& tx) { written(tx, site.phone->id, {SetModel{"CP-7841"}}); }));
  CHECK(changes([&](Transaction& tx) { written(tx, site.phone->id, {CountFailure{site.operation->id}}); }));
  CHECK(changes([&](Transaction& tx) { written(tx, site.phone->id, {ConfirmCertificate{site.lsc.id}}); }));
  CHECK_FALSE(changes([&](Transaction& tx) { added_phone(tx, device("SEP000000000001")); }));
}

TEST_CASE("a name that is not on record has an empty dossier, with the time and the site's facts") {
  Site site;
  const Dossier dossier = look(site.fresh, {.device = device("SEP000000000000")});
  CHECK_FALSE(dossier.phone);
  CHECK_FALSE(dossier.open);
  CHECK_FALSE(dossier.last);
  CHECK(dossier.live.empty());
  CHECK(dossier.shown.empty());
  CHECK(dossier.revision == 0);
  CHECK(dossier.active_issuer == site.issuer);
  CHECK(dossier.now > site.phone->created_at);
}

TEST_CASE("many devices are looked at in one statement, each finds its own, in the order of the questions") {
  Site site;
  std::vector<Enquiry> enquiries;
  in(*site.database, [&](Transaction& tx) {
    for (int i = 0; i < 30; ++i) {
      const DeviceName name = device("SEP0000000000" + std::to_string(10 + i));
      if (i % 3 != 0) added_operation(tx, added_phone(tx, name));
      enquiries.push_back({.device = name});
    }
  });
  enquiries.push_back(site.enquiry());
  enquiries.push_back(site.enquiry());  // the same device twice
  const auto dossiers = look(site.fresh, enquiries);
  REQUIRE(dossiers.size() == enquiries.size());
  for (std::size_t i = 0; i < 30; ++i) {
    CHECK(dossiers[i].phone.has_value() == (i % 3 != 0));
    if (!dossiers[i].phone) continue;
    CHECK(dossiers[i].phone->device == enquiries[i].device);
    CHECK(dossiers[i].open->device == enquiries[i].device);
  }
  CHECK(dossiers[30].live.size() == 1);
  CHECK(dossiers[31].live.size() == 1);
}

TEST_CASE("the settings of the phone's profile and its own are found, and there are none in the first profile") {
  Site site;
  CHECK(look(site.fresh, site.enquiry()).profile.empty());
  CHECK(look(site.fresh, site.enquiry()).own.empty());
  const Settings of_profile{{"renewal", "off"}, {"lsc_validity_days", "90"}};
  const Settings own{{"auth", "mic"}};
  in(*site.database, [&](Transaction& tx) {
    Profile profile;
    profile.name = "desks";
    profile.settings = of_profile;
    const std::vector<std::int64_t> phones{site.phone->id};
    good(tx.profiles().apply(phones, good(tx.profiles().add(profile))));
    good(tx.profiles().set_own(std::vector{std::pair(site.phone->id, own)}));
  });
  const Dossier dossier = look(site.fresh, site.enquiry());
  CHECK(dossier.profile == of_profile);
  CHECK(dossier.own == own);
}

TEST_CASE("the newest operation and the one before it are found, open or not") {
  Site site;
  std::int64_t second = 0;
  in(*site.database, [&](Transaction& tx) {
    written(tx, site.phone->id,
            {EndOperation{site.operation->id, OperationState::kFailed, Reason::kKeyGenerationFailed, "no room"}});
    second = added_operation(tx, *site.phone).id;
    written(tx, site.phone->id, {EndOperation{second, OperationState::kCancelled, {}, "by hand"}});
  });
  const Dossier dossier = look(site.fresh, site.enquiry());
  CHECK_FALSE(dossier.open);
  REQUIRE(dossier.last);
  CHECK(dossier.last->id == second);
  REQUIRE(dossier.before);
  CHECK(dossier.before->id == site.operation->id);
  CHECK(dossier.before->reason == Reason::kKeyGenerationFailed);
}

TEST_CASE("what is revoked for good is not live, what is on hold or superseded is, and what is handed over is no LSC") {
  Site site;
  Certificate foreign = site.lsc;
  in(*site.database, [&](Transaction& tx) {
    const auto add = [&](const std::string& key) {
      return added_certificate(tx, sample_lsc(tx, *site.operation, site.issuer, key));
    };
    written(tx, site.phone->id,
            {RevokeCertificate{add("held"), RevocationReason::kCertificateHold},
             RevokeCertificate{add("gone"), RevocationReason::kUnspecified}, ConfirmCertificate{site.lsc.id},
             SupersedeCertificate{site.lsc.id}});
    foreign = sample_lsc(tx, *site.operation, 0, "foreign");
    foreign.kind = CertificateKind::kHandedOver;
    foreign.possession = Possession::kNone;
    added_certificate(tx, foreign);
  });
  Enquiry enquiry = site.enquiry();
  enquiry.certificates = {foreign.sha256};
  const Dossier dossier = look(site.fresh, enquiry);
  REQUIRE(dossier.live.size() == 2);
  CHECK(dossier.live[0].id == site.lsc.id);
  CHECK(dossier.live[0].superseded_at);
  CHECK(dossier.live[1].on_hold());
  CHECK(dossier.shown.empty());
  CHECK(dossier.history.ever_confirmed);
  CHECK_FALSE(dossier.history.valid);
}

TEST_CASE("another phone's LSC that is shown is found with its owner") {
  Site site;
  in(*site.database, [&](Transaction& tx) { added_phone(tx, device("SEP000000000001")); });
  const Dossier dossier = look(site.fresh, {.device = device("SEP000000000001"), .certificates = {site.lsc.sha256}});
  REQUIRE(dossier.shown.size() == 1);
  CHECK(dossier.shown.front().phone_id == site.phone->id);
  CHECK(dossier.live.empty());
}

TEST_CASE("a blocked certificate, a blocked key or modulus, and a compromised key are refused, others' are not") {
  Site site;
  BlockedCertificate blocked;
  blocked.sha256 = digest("certificate");
  blocked.key = {digest("key"), digest("modulus")};
  blocked.serial = Bytes{1};
  blocked.subject = blocked.issuer = "CN=x";
  blocked.blocked_by = "alice";
  in(*site.database, [&](Transaction& tx) {
    blocked.not_after = tx.now();
    REQUIRE(good(tx.blocks().add(blocked)));
    good(tx.keys().mark_compromised(std::vector{digest("compromised")}));
  });
  const auto refused = [&](std::vector<Sha256> certificates, std::vector<Sha256> keys) {
    Enquiry enquiry = site.enquiry();
    enquiry.certificates = std::move(certificates);
    enquiry.keys = std::move(keys);
    const auto both = look(site.fresh, std::vector{enquiry, site.enquiry()});
    CHECK(both[1].refused.empty());
    return both[0].refused;
  };
  using Digests = std::vector<Sha256>;
  CHECK(refused({digest("other"), digest("certificate")}, {}) == Digests{digest("certificate")});
  CHECK(refused({}, {digest("key")}) == Digests{digest("key")});
  CHECK(refused({}, {digest("modulus")}) == Digests{digest("modulus")});
  CHECK(refused({}, {digest("other"), digest("compromised")}) == Digests{digest("compromised")});
  CHECK(refused({digest("certificate")}, {digest("key"), digest("compromised")}).size() == 3);
  CHECK(refused({digest("key")}, {digest("certificate")}).empty());
}

TEST_CASE("a key to be claimed is found with its modulus, as claiming would find it") {
  Site site;
  const KeyDigests own{digest("own"), digest("shared modulus")};
  in(*site.database, [&](Transaction& tx) {
    const Phone other = added_phone(tx, device("SEP000000000001"));
    good(tx.keys().claim(digest("own"), KeyOwner::kPhone, site.phone->id));
    good(tx.keys().claim(digest("shared modulus"), KeyOwner::kPhone, other.id));
  });
  Enquiry enquiry = site.enquiry();
  enquiry.claims = {{digest("nobody's"), KeyOwner::kPhone}, {own, KeyOwner::kPhone}, {digest("own"), KeyOwner::kMic}};
  const Dossier dossier = look(site.fresh, enquiry);
  REQUIRE(dossier.claims.size() == 3);
  CHECK_FALSE(dossier.claims[0]);
  CHECK(dossier.claims[1]->phone_id != site.phone->id);
  CHECK(dossier.claims[2]->owner == KeyOwner::kPhone);
  CHECK(dossier.claims[2]->phone_id == site.phone->id);
}

}  // namespace
}  // namespace capf::test
