#include "storage/changes.h"

#include <array>
#include <set>
#include <thread>

#include "capf/domain/anchor_store.h"
#include "capf/domain/block_store.h"
#include "capf/domain/certificate_store.h"
#include "capf/domain/issuer_store.h"
#include "capf/domain/key_store.h"
#include "tests/storage/change_site.h"

// A change is compared with all that it rests on, alone and in a round of many.

namespace capf::test {
namespace {

/// A change that rests on everything.
struct Guarded {
  Phone phone{.device = device()};
  Operation operation{.device = device()};
  std::int64_t first = 0;
  std::int64_t held = 0;
  TrustAnchor anchor;
  KeyDigests key;
  Change change;
};

Guarded guarded(ChangeSite& site) {
  Guarded made;
  made.phone = site.add_phone();
  made.operation = site.add_begun(made.phone);
  made.first = site.add_lsc(made.operation, "first");
  made.held = site.add_lsc(made.operation, "held");
  made.anchor.sha256 = digest("anchor");
  made.anchor.der = Bytes{1};
  made.anchor.subject = "CN=Maker";
  made.anchor.added_by = "alice";
  made.key = {digest("key"), digest("modulus")};
  Basis& basis = made.change.basis;
  in(*site.database, [&](Transaction& tx) {
    REQUIRE(good(tx.anchors().add(made.anchor)));
    written(tx, made.phone.id, {RevokeCertificate{made.held, RevocationReason::kCertificateHold}});
    basis.trust_revision = good(tx.anchors().revision());
  });
  const Basis looked = site.basis(made.phone);
  basis.phone_id = looked.phone_id;
  basis.revision = looked.revision;
  basis.postmaster_start = looked.postmaster_start;
  basis.looked_at = looked.looked_at;
  basis.holds_until = made.operation.completes_by;
  basis.certificates = {digest("a MIC"), digest("its CA")};
  basis.keys = {digest("the MIC's key"), digest("its CA's key")};
  basis.active_issuer = site.issuer;
  basis.session = made.operation.session;
  made.change.writes = {AdvanceOperation{made.operation.id, kIssued, CredentialKind::kMic, digest("a MIC"), false},
                        ClaimKey{made.key, KeyOwner::kPhone},
                        AddCertificate{site.lsc_of(made.operation, "next")},
                        SetMic{digest("a MIC"), true},
                        SupersedeCertificate{made.first},
                        ForgiveStrings{},
                        attempt(Reason::kKeyReserved),
                        AddEvent{event_of(made.phone, "certificate.issue", made.operation.id)}};
  return made;
}

BlockedCertificate blocked(const Sha256& certificate, const KeyDigests& key) {
  BlockedCertificate block;
  block.sha256 = certificate;
  block.key = key;
  block.serial = Bytes{1};
  block.not_after = TimePoint::max();
  block.blocked_by = "alice";
  return block;
}

/// Something that happens between the look and the write, to a part of the basis or to the keys that are claimed.
struct Interference {
  const void* part;
  const char* name;
  std::function<void(Transaction&)> happens;
};

std::vector<Interference> interferences(Guarded& on) {
  // Each part by its name: a part that is new has to have a line of its own here.
  auto& [phone_id, revision, postmaster_start, looked_at, holds_until, trust_revision, certificates, keys,
         active_issuer, session] = on.change.basis;
  const std::int64_t phone = phone_id;
  const std::int64_t operation = on.operation.id;
  const void* claims = &on.key;
  const auto revoke = [=](Transaction& tx, std::int64_t id, RevocationReason reason) {
    written(tx, phone, {RevokeCertificate{id, reason}});
  };
  const auto cancel = [=](Transaction& tx) {
    written(tx, phone, {EndOperation{operation, OperationState::kCancelled, {}, ""}});
  };
  return {
      {&phone_id, "removed", [=](auto& tx) { good(tx.phones().remove_all(std::array{phone})); }},
      {&phone_id, "removed and added again",
       [=, name = on.phone.device](auto& tx) {
         good(tx.phones().remove_all(std::array{phone}));
         added_phone(tx, name);
       }},
      {&revision, "blocked", [=](auto& tx) { good(tx.phones().block_all(std::array{phone})); }},
      {&revision, "blocked and unblocked",
       [=](auto& tx) {
         good(tx.phones().block_all(std::array{phone}));
         good(tx.phones().unblock_all(std::array{phone}));
       }},
      {&revision, "cancelled", cancel},
      {&revision, "cancelled and scheduled",
       [=, of = on.phone](auto& tx) {
         cancel(tx);
         added_operation(tx, of);
       }},
      {&revision, "revoked", [=, id = on.first](auto& tx) { revoke(tx, id, RevocationReason::kCessationOfOperation); }},
      {&revision, "put on hold", [=, id = on.first](auto& tx) { revoke(tx, id, RevocationReason::kCertificateHold); }},
      {&revision, "released", [=, id = on.held](auto& tx) { REQUIRE(good(tx.certificates().release(id))); }},
      {&revision, "confirmed", [=, id = on.first](auto& tx) { written(tx, phone, {ConfirmCertificate{id}}); }},
      {&postmaster_start, "another server has taken over", [&at = postmaster_start](auto&) { at -= Duration{1}; }},
      {&looked_at, "the clock is set back", [&at = looked_at](auto&) { at += std::chrono::minutes(1); }},
      {&looked_at, "too late", [&at = looked_at](auto&) { at -= kLongestDecision; }},
      {&holds_until, "the deadline has passed", [&until = holds_until, &at = looked_at](auto&) { until = at; }},
      {&trust_revision, "an anchor is removed",
       [sha256 = on.anchor.sha256](auto& tx) { REQUIRE(good(tx.anchors().remove(sha256))); }},
      {&certificates, "a certificate is blocked",
       [=](auto& tx) { good(tx.blocks().add(blocked(digest("its CA"), digest("another")))); }},
      {&keys, "a key is blocked",
       [=](auto& tx) { good(tx.blocks().add(blocked(digest("another"), digest("its CA's key")))); }},
      {&keys, "a modulus is blocked",
       [=](auto& tx) {
         good(tx.blocks().add(blocked(digest("another"), {digest("another"), digest("the MIC's key")})));
       }},
      {&keys, "a key is compromised",
       [=](auto& tx) {
         const Sha256 key[]{digest("the MIC's key")};
         good(tx.keys().mark_compromised(key));
       }},
      {&active_issuer, "another issuer is active",
       [](auto& tx) { good(tx.issuers().add(sample_issuer("CN=CAPF 2"))); }},
      {&session, "another session",
       [=](auto& tx) {
         written(tx, phone, {AdvanceOperation{operation, kInProgress, CredentialKind::kString, {}, false}});
       }},
      {claims, "the key is another phone's",
       [=, key = on.key](auto& tx) {
         good(tx.keys().claim(key, KeyOwner::kPhone, added_phone(tx, device("SEP2")).id));
       }},
      {claims, "the modulus is a site's own",
       [=, modulus = *on.key.modulus](auto& tx) { good(tx.keys().claim(modulus, KeyOwner::kSite, 0)); }},
      {claims, "the phone's key is compromised",
       [=, key = on.key](auto& tx) {
         good(tx.keys().claim(key, KeyOwner::kPhone, phone));
         good(tx.keys().mark_compromised(key.all()));
       }},
      {claims, "the phone's key is that of a blocked certificate",
       [=, key = on.key](auto& tx) {
         good(tx.keys().claim(key, KeyOwner::kPhone, phone));
         good(tx.blocks().add(blocked(digest("another"), key)));
       }},
  };
}

TEST_CASE("nothing is written where something has changed since the look") {
  std::size_t parts = 0;
  std::size_t count = 1;
  for (std::size_t i = 0; i < count; ++i) {
    ChangeSite site;
    Guarded on = guarded(site);
    const auto all = interferences(on);
    count = all.size();
    std::set<const void*> named;
    for (const Interference& each : all) named.insert(each.part);
    parts = named.size();
    const Interference& one = all[i];
    INFO(one.name);
    in(*site.database, [&](Transaction& tx) { one.happens(tx); });
    // Each part is compared by itself, also where the revision would tell.
    if (one.part != &on.change.basis.revision) on.change.basis.revision = site.revision(on.phone.id);
    const std::string counts = site.counts();
    const std::string records = site.records(on.phone.id);
    const std::int64_t revision = site.revision(on.phone.id);
    CHECK(site.write(on.change).outcome == Outcome::kDiffers);
    CHECK(site.counts() == counts);
    CHECK(site.records(on.phone.id) == records);
    CHECK(site.revision(on.phone.id) == revision);
  }
  CHECK(parts == 11);  // ten of a basis, and the claims
}

TEST_CASE("where nothing has changed since the look, all of it is written") {
  ChangeSite site;
  const Guarded on = guarded(site);
  CHECK(site.write(on.change).outcome == Outcome::kWritten);
  CHECK(site.revision(on.phone.id) == on.change.basis.revision + 1);
  CHECK(site.write(on.change).outcome == Outcome::kDiffers);  // it was written
}

TEST_CASE("of 64 changes in one round the one that differs is left out") {
  ChangeSite site;
  std::vector<Change> changes;
  for (int i = 0; i < 64; ++i) {
    const Phone phone = site.add_phone("SEP" + std::to_string(i));
    const Operation operation = site.add_begun(phone);
    changes.push_back(
        {site.basis(phone),
         {AdvanceOperation{operation.id, kIssued, CredentialKind::kString, std::nullopt, false},
          ClaimKey{digest(phone.device.text()), KeyOwner::kPhone}, AddCertificate{site.lsc_of(operation, "key")},
          AddEvent{event_of(phone, "certificate.issue", operation.id)}}});
  }
  in(*site.database, [&](Transaction& tx) { good(tx.phones().block_all(std::array{changes[17].basis.phone_id})); });
  const auto members = good(site.write(changes));
  for (std::size_t i = 0; i < members.size(); ++i) {
    CHECK(members[i].outcome == (i == 17 ? Outcome::kDiffers : Outcome::kWritten));
  }
  CHECK(site.fresh.sql("select count(*) from operations where state = 'issued' and certificates = 1") == "63");
  CHECK(site.fresh.sql("select count(*) from certificates") == "63");
  CHECK(site.fresh.sql("select count(*) from public_keys") == "63");
  CHECK(site.fresh.sql("select count(*) from audit_events") == "63");
  CHECK(site.fresh.sql("select count(*) from phones where revision = 3") == "64");
}

TEST_CASE("of two changes in one round that claim one key the first one gets it") {
  ChangeSite site;
  const Phone one = site.add_phone("SEP1");
  const Phone two = site.add_phone("SEP2");
  const KeyDigests key{digest("key"), digest("modulus")};
  const auto members = good(site.write({{site.basis(one), {ClaimKey{key, KeyOwner::kPhone}}},
                                        {site.basis(two), {ClaimKey{*key.modulus, KeyOwner::kPhone}}}}));
  CHECK(members[0].outcome == Outcome::kWritten);
  CHECK(members[1].outcome == Outcome::kDiffers);
  CHECK(site.fresh.sql("select count(*) from public_keys where phone_id = " + std::to_string(one.id)) == "2");
  CHECK(site.fresh.sql("select count(*) from public_keys") == "2");
}

/// Returns when so many sessions wait for a lock.
void await_waiting(const ChangeSite& site, int sessions) {
  for (int looks = 0; looks < 10'000; ++looks) {
    const std::string waiting = site.fresh.sql(
        "select count(*) from pg_locks join pg_stat_activity using (pid) where not granted and "
        "datname = current_database()");
    if (std::stoi(waiting) >= sessions) return;
  }
  FAIL("nobody waits");
}

TEST_CASE("a key that somebody takes between the comparison and the write undoes the round") {
  ChangeSite site;
  const Phone one = site.add_phone("SEP1");
  const Phone two = site.add_phone("SEP2");
  const std::vector<Change> round{{site.basis(one), {SetModel{"CP-1"}}},
                                  {site.basis(two), {ClaimKey{digest("key"), KeyOwner::kPhone}}}};
  std::optional<Result<std::vector<Member>>> written;
  std::thread writing;
  in(*site.database, [&](Transaction& tx) {
    good(tx.keys().claim(digest("key"), KeyOwner::kSite, 0));
    writing = std::thread([&] { written = site.write(round); });
    await_waiting(site, 1);
  });
  writing.join();
  REQUIRE_FALSE(*written);
  CHECK(written->error().reason == Reason::kChangedMeanwhile);
  CHECK(site.fresh.sql("select count(*) from phones where model = 'CP-1'") == "0");
}

TEST_CASE("nobody in a round waits for a lock, and a change alone does") {
  ChangeSite site;
  const Guarded on = guarded(site);
  const Phone other = site.add_phone("SEP2");
  const std::vector<Change> round{on.change, {site.basis(other), {SetModel{"CP-1"}}}};
  const auto by_phone = [&](Transaction& tx) {
    const std::int64_t ids[]{on.phone.id};
    good(tx.phones().lock_all(ids));
  };
  const auto by_anchors = [](Transaction& tx) { good(tx.blocks().lock()); };
  const auto by_issuers = [](Transaction& tx) { good(tx.issuers().lock()); };
  std::vector<std::function<void(Transaction&)>> locks{by_phone, by_anchors, by_issuers};
  for (const auto& lock : locks) {
    std::vector<Change> again{round.front(), {site.basis(other), {SetModel{"CP-1"}}}};
    in(*site.database, [&](Transaction& tx) {
      lock(tx);
      const auto members = good(site.write(again));
      CHECK(members[0].outcome == Outcome::kLocked);
      CHECK(members[1].outcome == Outcome::kWritten);
    });
    CHECK(site.revision(on.phone.id) == on.change.basis.revision);
  }
  std::thread writing;
  in(*site.database, [&](Transaction& tx) {
    by_phone(tx);
    by_anchors(tx);
    writing = std::thread([&] { CHECK(site.write(on.change).outcome == Outcome::kWritten); });
    await_waiting(site, 1);
  });
  writing.join();
}

TEST_CASE("nothing is blocked and no anchor goes while a change that rests on them is being written") {
  ChangeSite site;
  const Guarded on = guarded(site);
  const Phone other = site.add_phone("SEP2");
  Change beside{site.basis(other), {SetModel{"CP-1"}}};
  beside.basis.trust_revision = on.change.basis.trust_revision;
  const auto another = site.fresh.open({.limits = {.lock = std::chrono::milliseconds(50)}});
  const auto block = [](Transaction& tx) { return tx.blocks().lock(); };
  const auto remove = [&](Transaction& tx) -> Status {
    CAPF_TRY(tx.anchors().remove(on.anchor.sha256));
    return {};
  };
  site.in_session([&](storage::Session& session) {
    const Change* const round[]{&on.change};
    REQUIRE(good(storage::write(session, round, true)).front().outcome == Outcome::kWritten);
    for (const std::function<Status(Transaction&)>& waits : {std::function(block), std::function(remove)}) {
      const Status waited = another->write(waits);
      REQUIRE_FALSE(waited);
      CHECK(waited.error().reason == Reason::kOverloaded);
    }
    CHECK(site.write(beside).outcome == Outcome::kWritten);  // who only relies on them waits for nobody
  });
  good(another->write(block));
  good(another->write(remove));
}

TEST_CASE("a change of no phone differs") {
  ChangeSite site;
  Phone nobody{.id = 4711, .device = device()};
  Change change;
  change.basis.phone_id = nobody.id;
  CHECK(site.write(change).outcome == Outcome::kDiffers);
}

}  // namespace
}  // namespace capf::test
