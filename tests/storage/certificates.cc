#include "capf/domain/certificate_store.h"
#include "capf/domain/issuer_store.h"
#include "capf/domain/key_store.h"
#include "capf/domain/operation_store.h"
#include "capf/domain/phone_store.h"
#include "tests/storage/samples.h"

namespace capf::test {
namespace {

using std::chrono::hours;

TEST_CASE("a certificate keeps everything that it was added with") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  in(*database, [&](Transaction& tx) {
    const Operation operation = added_operation(tx, added_phone(tx));
    const auto issuer = good(tx.issuers().add(sample_issuer()));
    const Certificate lsc = sample_lsc(tx, operation, issuer);
    const auto id = added_certificate(tx, lsc);

    const Certificate found = *good(tx.certificates().find_lsc(lsc.sha256));
    CHECK(found.id == id);
    CHECK(found.kind == CertificateKind::kLsc);
    CHECK(found.sha256 == lsc.sha256);
    CHECK(found.serial == lsc.serial);
    CHECK(found.issuer_id == issuer);
    CHECK(found.issuer == "CN=CAPF");
    CHECK(found.phone_id == operation.phone_id);
    CHECK(found.device == operation.device.text());
    CHECK(found.operation_id == operation.id);
    CHECK(found.key_sha256 == lsc.key_sha256);
    CHECK(found.der == lsc.der);
    CHECK(found.not_before == lsc.not_before);
    CHECK(found.not_after == lsc.not_after);
    CHECK(found.issued_at == tx.now());
    CHECK(found.possession == Possession::kPkcs10);
    CHECK(found.shard == 3);
    CHECK_FALSE(found.confirmed_at);
    CHECK_FALSE(found.revoked_at);
    CHECK_FALSE(good(tx.certificates().find_lsc(digest("none"))));
  });
}

TEST_CASE("times without an end and far back come back as they were") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  in(*database, [&](Transaction& tx) {
    const Operation operation = added_operation(tx, added_phone(tx));
    Certificate lsc = sample_lsc(tx, operation, good(tx.issuers().add(sample_issuer())));
    // RFC 5280 4.1.2.5: 99991231235959Z is no end.
    lsc.not_after = good(parse_rfc3339("9999-12-31T23:59:59Z"));
    lsc.not_before = good(parse_rfc3339("1970-01-01T00:00:00.000001Z")) - hours(24 * 365 * 20);
    added_certificate(tx, lsc);
    const Certificate found = *good(tx.certificates().find_lsc(lsc.sha256));
    CHECK(found.not_after == lsc.not_after);
    CHECK(found.not_before == lsc.not_before);
  });
}

TEST_CASE("no two LSCs have one SHA-256, one serial number or one key in one operation") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  in(*database, [&](Transaction& tx) {
    const Operation operation = added_operation(tx, added_phone(tx));
    added_certificate(tx, sample_lsc(tx, operation, good(tx.issuers().add(sample_issuer()))));
  });
  const auto refused = [&](auto change) {
    const Status status = database->write([&](Transaction& tx) -> Status {
      const Operation operation = *good(tx.operations().find_open(good(tx.phones().find(device()))->id));
      Certificate lsc = sample_lsc(tx, operation, 1, "another key");
      change(lsc, sample_lsc(tx, operation, 1));
      CAPF_TRY(tx.write(lsc.phone_id, std::vector<Write>{AddCertificate{lsc}}));
      return {};
    });
    return !status && status.error().reason == Reason::kInternal;
  };
  CHECK(refused([](Certificate& lsc, const Certificate& first) { lsc.sha256 = first.sha256; }));
  CHECK(refused([](Certificate& lsc, const Certificate& first) { lsc.serial = first.serial; }));
  CHECK(refused([](Certificate& lsc, const Certificate& first) { lsc.key_sha256 = first.key_sha256; }));
  CHECK(refused([](Certificate& lsc, const Certificate&) { lsc.issuer_id = 2; }));
  CHECK_FALSE(refused([](Certificate&, const Certificate&) {}));
}

TEST_CASE("a certificate that was handed over twice is on record once, beside an LSC with its SHA-256") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  in(*database, [&](Transaction& tx) {
    const Operation operation = added_operation(tx, added_phone(tx));
    const Certificate lsc = sample_lsc(tx, operation, good(tx.issuers().add(sample_issuer())));
    added_certificate(tx, lsc);
    Certificate handed = lsc;
    handed.kind = CertificateKind::kHandedOver;
    handed.issuer_id = 0;
    handed.serial = {0x00, 0x00, 0xab, 0xcd};
    const auto first = added_certificate(tx, handed);
    CHECK(added_certificate(tx, handed) == first);
    CHECK(good(tx.certificates().find_lsc(lsc.sha256))->kind == CertificateKind::kLsc);
    CHECK(good(tx.certificates().of_phone(operation.phone_id, 10)).size() == 2);
    CHECK(good(tx.certificates().of_phone(operation.phone_id, 1)).front().id == first);
    // As people write a serial number: without leading zeros.
    REQUIRE(good(tx.certificates().find_serial(Bytes{0xab, 0xcd})).size() == 1);
    CHECK(good(tx.certificates().find_serial(Bytes{0x00, 0xab, 0xcd})).front().id == first);
    CHECK(good(tx.certificates().find_serial(lsc.serial)).front().sha256 == lsc.sha256);
  });
}

TEST_CASE("a certificate that was handed over is neither confirmed nor revoked, nor is an LSC twice") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  Certificate lsc;
  Certificate handed;
  in(*database, [&](Transaction& tx) {
    const Operation operation = added_operation(tx, added_phone(tx));
    lsc = sample_lsc(tx, operation, good(tx.issuers().add(sample_issuer())));
    lsc.id = added_certificate(tx, lsc);
    handed = lsc;
    handed.kind = CertificateKind::kHandedOver;
    handed.issuer_id = 0;
    handed.serial = {0xab, 0xcd};
    handed.id = added_certificate(tx, handed);
    written(tx, lsc.phone_id, {ConfirmCertificate{lsc.id}});
    written(tx, lsc.phone_id, {RevokeCertificate{lsc.id, RevocationReason::kSuperseded}});
  });
  for (const Write& wrong :
       {Write(ConfirmCertificate{handed.id}), Write(RevokeCertificate{handed.id}), Write(ConfirmCertificate{lsc.id}),
        Write(RevokeCertificate{lsc.id, RevocationReason::kKeyCompromise})}) {
    const auto refused =
        in_write(*database, [&](Transaction& tx) { return tx.write(lsc.phone_id, std::span(&wrong, 1)); });
    REQUIRE_FALSE(refused);
    CHECK(refused.error().reason == Reason::kChangedMeanwhile);
  }
}

TEST_CASE("LSCs are listed by their states, and those that are revoked are no longer live") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  in(*database, [&](Transaction& tx) {
    const Operation operation = added_operation(tx, added_phone(tx));
    const auto issuer = good(tx.issuers().add(sample_issuer()));
    const auto add = [&](const std::string& key, auto change) {
      Certificate lsc = sample_lsc(tx, operation, issuer, key);
      change(lsc);
      lsc.id = added_certificate(tx, lsc);
      return lsc;
    };
    const Certificate first = add("first", [](Certificate&) {});
    const Certificate second = add("second", [](Certificate&) {});
    const Certificate third = add("third", [](Certificate&) {});
    add("expired", [&](Certificate& lsc) { lsc.not_after = tx.now() - hours(1); });
    CHECK(good(tx.certificates().live(operation.phone_id)).size() == 3);

    written(tx, operation.phone_id,
            {ConfirmCertificate{second.id}, RevokeCertificate{first.id, RevocationReason::kSuperseded},
             RevokeCertificate{third.id, RevocationReason::kKeyCompromise}});
    REQUIRE(good(tx.certificates().live(operation.phone_id)).size() == 1);
    CHECK(good(tx.certificates().live(operation.phone_id)).front().id == second.id);

    const Certificate superseded = *good(tx.certificates().find_lsc(first.sha256));
    CHECK(superseded.state(tx.now()) == CertificateState::kSuperseded);
    CHECK(superseded.revoked_at == tx.now());
    CHECK(superseded.revocation_reason == RevocationReason::kSuperseded);
    CHECK(good(tx.certificates().find_lsc(third.sha256))->state(tx.now()) == CertificateState::kRevoked);

    const auto listed = [&](CertificateFilter filter) {
      std::string text;
      for (const Certificate& lsc : good(tx.certificates().list(filter, {}))) {
        text += std::string(to_string(lsc.state(tx.now()))) + " ";
        if (filter.state) CHECK(lsc.state(tx.now()) == *filter.state);
      }
      return text;
    };
    CHECK(listed({}) == "superseded confirmed revoked expired ");
    for (const CertificateState state : kCertificateStates) {
      CHECK(listed({.state = state}) ==
            (state == CertificateState::kIssued ? "" : std::string(to_string(state)) + " "));
    }
    CHECK(listed({.device = device()}) == "superseded confirmed revoked expired ");
    const auto newest = good(tx.certificates().list({.device = device()}, {.limit = 2, .newest = true}));
    REQUIRE(newest.size() == 2);
    CHECK(newest[0].id > newest[1].id);
    const auto older = good(tx.certificates().list({}, {.after = newest[1].id, .limit = 1, .newest = true}));
    CHECK(older.front().id == second.id);
    CHECK(listed({.device = device("SEP0")}).empty());
    CHECK(listed({.expires_before = tx.now()}) == "expired ");
    CHECK(listed({.kind = CertificateKind::kHandedOver}).empty());

    written(tx, operation.phone_id, {RevokeCertificate{second.id, RevocationReason::kCessationOfOperation}});
  });
  CHECK(fresh.sql("select count(*) || ' ' || min(shard) || ' ' || sum(reason) from revocations") == "3 3 10");
}

TEST_CASE("a key has one owner for ever") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  in(*database, [&](Transaction& tx) {
    const Phone one = added_phone(tx, device("SEP1"));
    const Phone two = added_phone(tx, device("SEP2"));
    CHECK_FALSE(good(tx.keys().find(digest("k"))));
    CHECK(good(tx.keys().claim(digest("k"), KeyOwner::kPhone, one.id)).phone_id == one.id);
    CHECK(good(tx.keys().claim(digest("k"), KeyOwner::kPhone, two.id)).phone_id == one.id);
    CHECK(good(tx.keys().claim(digest("i"), KeyOwner::kIssuer, 0)).owner == KeyOwner::kIssuer);
    CHECK(good(tx.keys().claim(digest("i"), KeyOwner::kPhone, two.id)).owner == KeyOwner::kIssuer);
    const Sha256 marked[]{digest("k"), digest("unseen"), digest("k")};
    good(tx.keys().mark_compromised(marked));
    CHECK(good(tx.keys().find(digest("k")))->compromised);
    CHECK(good(tx.keys().find(digest("k")))->owner == KeyOwner::kPhone);
    CHECK(good(tx.keys().find(digest("unseen")))->owner == KeyOwner::kBlocked);
  });
}

}  // namespace
}  // namespace capf::test
