#include "capf/domain/administrator_store.h"
#include "capf/domain/anchor_store.h"
#include "capf/domain/audit_store.h"
#include "capf/domain/certificate_store.h"
#include "capf/domain/issuer_store.h"
#include "capf/domain/lease_store.h"
#include "capf/domain/operation_store.h"
#include "capf/domain/summary_store.h"
#include "tests/storage/samples.h"

namespace capf::test {
namespace {

using std::chrono::hours;

TEST_CASE("a new issuer takes over from the active one, which stays on record") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  in(*database, [&](Transaction& tx) {
    CHECK_FALSE(good(tx.issuers().active()));
    IssuerRecord first = sample_issuer("CN=CAPF-1");
    first.chain_der = {1, 2, 3};
    CHECK(good(tx.issuers().add(first)) == 1);
    CHECK(good(tx.issuers().add(sample_issuer("CN=CAPF-2"))) == 2);
    const auto issuers = good(tx.issuers().list());
    REQUIRE(issuers.size() == 2);
    CHECK_FALSE(issuers[0].active);
    CHECK(issuers[0].subject == "CN=CAPF-1");
    CHECK(issuers[0].der == first.der);
    CHECK(issuers[0].chain_der == first.chain_der);
    CHECK(issuers[0].not_after == first.not_after);
    CHECK(issuers[0].shards == 4);
    CHECK(good(tx.issuers().active())->id == 2);
  });
  CHECK_THROWS_WITH(fresh.sql("update issuers set active = true"), Catch::Contains("issuers_active"));
}

TrustAnchor sample_anchor() {
  TrustAnchor anchor;
  anchor.der = {0x30, 0x03, 1, 2, 3};
  anchor.sha256 = sha256(anchor.der);
  anchor.subject = "CN=Manufacturing CA";
  anchor.not_before = TimePoint(std::chrono::sys_days(std::chrono::year(2005) / 6 / 10));
  anchor.not_after = TimePoint(std::chrono::sys_days(std::chrono::year(2029) / 5 / 14));
  anchor.devices = good(Pattern::parse("SEP*"));
  anchor.models = good(Pattern::parse("CP-79*"));
  anchor.allow_sha1 = true;
  anchor.min_rsa_bits = 1024;
  anchor.allow_expired_until = anchor.not_after;
  anchor.added_by = "alice";
  return anchor;
}

TEST_CASE("an anchor comes and goes, and the revision tells") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  in(*database, [&](Transaction& tx) {
    const auto revision = good(tx.anchors().revision());
    const TrustAnchor anchor = sample_anchor();
    CHECK(good(tx.anchors().add(anchor)));
    CHECK(good(tx.anchors().revision()) > revision);
    CHECK_FALSE(good(tx.anchors().add(anchor)));
    const auto anchors = good(tx.anchors().list());
    REQUIRE(anchors.size() == 1);
    CHECK(anchors[0].sha256 == anchor.sha256);
    CHECK(anchors[0].store == TrustStoreName::kMic);
    CHECK(anchors[0].der == anchor.der);
    CHECK(anchors[0].subject == anchor.subject);
    CHECK(anchors[0].not_before == anchor.not_before);
    CHECK(anchors[0].not_after == anchor.not_after);
    CHECK(anchors[0].devices == anchor.devices);
    CHECK(anchors[0].models == anchor.models);
    CHECK(anchors[0].allow_sha1);
    CHECK(anchors[0].min_rsa_bits == 1024);
    CHECK(anchors[0].allow_expired_until == anchor.allow_expired_until);
    CHECK_FALSE(anchors[0].ends_at);
    CHECK(anchors[0].added_at == tx.now());
    CHECK(anchors[0].added_by == "alice");
    const auto before = good(tx.anchors().revision());
    CHECK(good(tx.anchors().remove(anchor.sha256)));
    CHECK_FALSE(good(tx.anchors().remove(anchor.sha256)));
    CHECK(good(tx.anchors().revision()) > before);
  });
}

TEST_CASE("administrators are told apart by name and by certificate, and are disabled once") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  in(*database, [&](Transaction& tx) {
    Administrator alice{.name = "alice", .role = Role::kAdmin, .certificate_sha256 = digest("alice")};
    alice.certificate_not_after = tx.now() + hours(24);
    alice.created_by = "capfd init";
    CHECK(good(tx.administrators().add(alice)));
    CHECK_FALSE(good(tx.administrators().add(alice)));
    Administrator bob = alice;
    bob.name = "bob";
    CHECK_FALSE(good(tx.administrators().add(bob)));
    bob.certificate_sha256 = digest("bob");
    CHECK(good(tx.administrators().add(bob)));
    const Administrator found = *good(tx.administrators().find("alice"));
    CHECK(found.role == Role::kAdmin);
    CHECK(found.certificate_sha256 == alice.certificate_sha256);
    CHECK(found.certificate_not_after == alice.certificate_not_after);
    CHECK(found.created_at == tx.now());
    CHECK(found.created_by == "capfd init");
    CHECK_FALSE(found.disabled_at);
    CHECK(good(tx.administrators().find_certificate(digest("bob")))->name == "bob");
    CHECK_FALSE(good(tx.administrators().find(std::string("alice\0", 6))));
    CHECK(good(tx.administrators().lock()) == 2);
    CHECK(good(tx.administrators().disable("bob")));
    CHECK_FALSE(good(tx.administrators().disable("bob")));
    CHECK(good(tx.administrators().lock()) == 1);
    CHECK(good(tx.administrators().list()).size() == 2);
    CHECK(good(tx.administrators().find("bob"))->disabled_at == tx.now());
  });
}

TEST_CASE("a renewed certificate stays on record beside its successor, and one of a name is current") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  in(*database, [&](Transaction& tx) {
    AdministratorStore& store = tx.administrators();
    Administrator first{.name = "olga", .role = Role::kAdmin, .certificate_sha256 = digest("first")};
    first.certificate_not_after = tx.now() + hours(10);
    first.created_by = "capfd init";
    CHECK(good(store.add(first)));
    CHECK_FALSE(good(store.end_certificate("nobody", tx.now() + hours(1))));
    CHECK(good(store.end_certificate("olga", tx.now() + hours(1))));
    CHECK_FALSE(good(store.end_certificate("olga", tx.now() + hours(2))));  // no certificate of theirs is current
    CHECK(good(store.lock()) == 0);
    Administrator second = first;
    second.certificate_sha256 = digest("second");
    CHECK(good(store.add(second)));
    CHECK(good(store.find("olga"))->certificate_sha256 == digest("second"));
    CHECK_FALSE(good(store.find("olga"))->ends_at);
    CHECK(good(store.find_certificate(digest("first")))->ends_at == tx.now() + hours(1));
    CHECK(good(store.lock()) == 1);
    CHECK_FALSE(good(store.add(first)));
    // Never later than the certificate itself ends.
    CHECK(good(store.end_certificate("olga", tx.now() + hours(24))));
    CHECK(good(store.find_certificate(digest("second")))->ends_at == second.certificate_not_after);
    Administrator third = first;
    third.certificate_sha256 = digest("third");
    CHECK(good(store.add(third)));
    // Their role, and that they are disabled, hold for every certificate.
    CHECK(good(store.change_role("olga", Role::kAuditor)));
    CHECK(good(store.find_certificate(digest("first")))->role == Role::kAuditor);
    CHECK(good(store.lock()) == 0);
    CHECK(good(store.disable("olga")));
    for (const char* each : {"first", "second", "third"})
      CHECK(good(store.find_certificate(digest(each)))->disabled_at);
    CHECK_FALSE(good(store.change_role("olga", Role::kAdmin)));
    CHECK_FALSE(good(store.end_certificate("olga", tx.now() + hours(1))));
  });
}

TEST_CASE("a lease is one server's until it ends") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  const auto take = [&](const std::string& holder) {
    return good(in_write(*database, [&](Transaction& tx) { return tx.leases().take("maintenance", holder, 60); }));
  };
  CHECK(take("one"));
  CHECK_FALSE(take("two"));
  CHECK(take("one"));
  fresh.sql("update leases set expires_at = now()");
  CHECK(take("two"));
  CHECK_FALSE(take("one"));
  fresh.sql("update leases set expires_at = expires_at + interval '1 hour'");  // by a clock that was ahead
  CHECK(take("one"));
}

TEST_CASE("what was begun under a lease is not finished once somebody else has taken it") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  const auto take = [&](const std::string& holder) {
    return good(in_write(*database, [&](Transaction& tx) { return tx.leases().take("crl", holder, 60); }));
  };
  const auto hold = [&](const std::string& holder) {
    return good(in_write(*database, [&](Transaction& tx) { return tx.leases().hold("crl", holder, 60); }));
  };
  CHECK_FALSE(hold("one"));
  CHECK(take("one"));
  CHECK(hold("one"));
  fresh.sql("update leases set expires_at = now()");
  CHECK(hold("one"));  // no other server was there to take it
  fresh.sql("update leases set expires_at = now()");
  CHECK(take("two"));
  CHECK_FALSE(hold("one"));
  in(*database, [](Transaction& tx) { good(tx.leases().give_back("crl", "one")); });
  CHECK_FALSE(take("one"));
  in(*database, [](Transaction& tx) { good(tx.leases().give_back("crl", "two")); });
  CHECK_FALSE(hold("one"));
  CHECK(hold("two"));
}

TEST_CASE("nobody waits for a lease that a transaction holds, and nobody gets it") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  const auto take = [&](const std::string& holder) {
    return good(in_write(*database, [&](Transaction& tx) { return tx.leases().take("crl", holder, 0); }));
  };
  CHECK(take("one"));  // has run out already
  in(*database, [&](Transaction& tx) {
    CHECK(good(tx.leases().hold("crl", "one", 0)));
    CHECK_FALSE(take("two"));
  });
  CHECK(take("two"));
}

TEST_CASE("the summary counts what is open, what ended lately, what expires and what was refused") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  in(*database, [&](Transaction& tx) {
    const auto issuer = good(tx.issuers().add(sample_issuer()));
    int number = 0;
    const auto next = [&] { return added_phone(tx, device("SEP" + std::to_string(++number))); };
    added_operation(tx, next());
    Operation late = sample_operation(tx, next());
    late.completes_by = tx.now() - hours(1);
    added_operation(tx, late, 10);
    const auto ended = [&](OperationState state, std::optional<Reason> reason) {
      const Operation operation = added_operation(tx, next());
      written(tx, operation.phone_id, {EndOperation{operation.id, state, reason, ""}});
      return operation;
    };
    ended(OperationState::kFailed, Reason::kPhoneRefused);
    ended(OperationState::kFailed, Reason::kPhoneRefused);
    ended(OperationState::kFailed, Reason::kKeyGenerationFailed);
    const Operation unconfirmed = ended(OperationState::kExpired, Reason::kDeadlinePassed);
    added_certificate(tx, sample_lsc(tx, unconfirmed, issuer, "unconfirmed"));
    for (const int days : {0, 3, 20, 40, -3}) {
      const Operation succeeded = ended(OperationState::kSucceeded, std::nullopt);
      Certificate lsc = sample_lsc(tx, succeeded, issuer, std::to_string(days));
      lsc.not_after = tx.now() + hours(24 * days + 1);
      written(tx, lsc.phone_id, {ConfirmCertificate{added_certificate(tx, lsc)}});
    }
  });
  refuse(*database, sample_refusal("192.0.2.1", Reason::kMicChanged, "SEP1"), 3);
  const Summary summary = good(in_read(*database, [](Transaction& tx) {
    return tx.summary().summary(std::array{60, 2});
  }));
  CHECK(summary.operations.at(OperationState::kPending) == 2);
  CHECK(summary.operations.at(OperationState::kInProgress) == 0);
  CHECK(summary.operations.at(OperationState::kFailed) == 3);
  CHECK(summary.operations.at(OperationState::kExpired) == 1);
  CHECK(summary.operations.at(OperationState::kSucceeded) == 5);
  CHECK(summary.reasons == std::map<std::string, std::int64_t>{{"PHONE_REFUSED", 2}, {"KEY_GENERATION_FAILED", 1}});
  CHECK(summary.refusals == std::map<std::string, std::int64_t>{{"MIC_CHANGED", 3}});
  CHECK(summary.overdue == 1);
  CHECK(summary.oldest_pending);
  CHECK(summary.phones == 11);
  CHECK(summary.lscs_expiring == std::map<int, std::int64_t>{{1, 1}, {2, 1}, {7, 2}, {30, 3}, {60, 4}});
  CHECK(summary.lscs_expired == 1);
  CHECK(summary.lscs_unconfirmed == 1);
  CHECK(summary.issuer_not_after == sample_issuer().not_after);
}

TEST_CASE("the summary has the ends of issuers that count, and of administrators who are not disabled") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  in(*database, [&](Transaction& tx) {
    const auto add_issuer = [&](const std::string& subject, int days) {
      IssuerRecord issuer = sample_issuer(subject);
      issuer.not_after = tx.now() + hours(24 * days);
      return good(tx.issuers().add(issuer));
    };
    add_issuer("CN=over", -1);
    add_issuer("CN=former", 5);
    add_issuer("CN=retired", 6);
    add_issuer("CN=active", -2);
    const auto add = [&](const std::string& name, Role role, int days) {
      Administrator administrator{.name = name, .role = role, .certificate_sha256 = digest(name)};
      administrator.certificate_not_after = tx.now() + hours(24 * days);
      administrator.created_by = "capfd init";
      CHECK(good(tx.administrators().add(administrator)));
    };
    add("last", Role::kAdmin, 30);
    add("first", Role::kAdmin, 20);
    add("gone", Role::kAdmin, 40);
    add("nagios", Role::kMonitor, -3);
    good(tx.administrators().disable("gone"));
    // A certificate that was renewed ends, and its administrator does not.
    add("records", Role::kAuditor, 1);
    good(tx.administrators().end_certificate("records", tx.now() + hours(24)));
    Administrator renewed{.name = "records", .role = Role::kAuditor, .certificate_sha256 = digest("renewed")};
    renewed.certificate_not_after = tx.now() + hours(24 * 700);
    renewed.created_by = "records";
    CHECK(good(tx.administrators().add(renewed)));
  });
  fresh.sql("update issuers set retired_at = now() where subject = 'CN=retired'");
  const Summary summary = good(in_read(*database, [](Transaction& tx) { return tx.summary().summary({}); }));
  std::vector<std::string> seen;
  for (const Expiry& expiry : summary.expiries) {
    CHECK_FALSE(expiry.renews_at);
    seen.push_back(std::string(to_string(expiry.kind)) + " " + expiry.name + " " +
                   std::string(expiry.role ? to_string(*expiry.role) : "-") + (expiry.spare ? " spare" : ""));
  }
  CHECK(seen == std::vector<std::string>{"administrator nagios monitor", "issuer CN=active -",
                                         "issuer CN=former - spare", "administrator first admin spare",
                                         "administrator last admin", "administrator records auditor"});
}

}  // namespace
}  // namespace capf::test
