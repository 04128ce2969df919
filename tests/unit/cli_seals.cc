#include <functional>

#include <botan/system_rng.h>
#include <catch2/catch.hpp>

#include "capf/ca/audit.h"
#include "capf/cli/seals.h"
#include "capf/domain/seal.h"

using namespace capf;
using namespace capf::cli;

namespace {

/// Five seals over three events each, made as the server makes them.
class Chain {
 public:
  Chain() {
    Sha256 previous{};
    for (int number = 1; number <= 5; ++number) {
      std::vector<AuditRecord> records;
      v1::SealedBatch batch;
      for (int i = 0; i < 3; ++i) {
        AuditRecord record;
        record.id = 10 * number + i;
        record.at = TimePoint(Duration(1'900'000'000'123'456 + number * 60'000'000LL + i));
        record.actor_kind = "administrator";
        record.actor = "alice";
        record.address = "192.0.2.7";
        record.action = "phone.add";
        record.subject = "SEP1";
        record.operation_id = i;
        record.outcome = i == 2 ? "refused" : "done";
        record.reason = i == 2 ? "OPERATION_PENDING" : "";
        record.detail = "größer";
        records.push_back(record);
        v1::AuditEvent& event = *batch.add_events();
        event.set_id(record.id);
        set(*event.mutable_at(), record.at);
        event.set_actor_kind(record.actor_kind);
        event.set_actor(record.actor);
        event.set_address(record.address);
        event.set_action(record.action);
        event.set_subject(record.subject);
        event.set_operation_id(record.operation_id);
        event.set_outcome(record.outcome);
        event.set_reason(record.reason);
        event.set_detail(record.detail);
      }
      AuditSeal seal;
      seal.number = number;
      seal.sealed_at = records.back().at + std::chrono::seconds(5);
      seal.events = 3;
      seal.last = {static_cast<std::uint64_t>(1000 + number), records.back().id};
      seal.content = content_of(records);
      seal.previous = previous;
      sign(seal, batch);
      previous = sha256(seal_text(seal));
      hashes.push_back(to_hex(previous));
      batches.push_back(batch);
    }
  }

  static void set(google::protobuf::Timestamp& out, TimePoint time) {
    const auto since = time.time_since_epoch().count();
    out.set_seconds(since / 1'000'000);
    out.set_nanos(static_cast<int>(since % 1'000'000) * 1000);
  }
  void sign(const AuditSeal& seal, v1::SealedBatch& batch) const {
    const Bytes signature = ca::sign_seal(*key, seal_text(seal), Botan::system_rng()).value();
    v1::AuditSeal& out = *batch.mutable_seal();
    out.set_number(seal.number);
    set(*out.mutable_sealed_at(), seal.sealed_at);
    out.set_events(seal.events);
    out.set_last_transaction(seal.last.transaction);
    out.set_last_id(seal.last.id);
    out.set_content(std::string(as_text(seal.content)));
    out.set_previous(std::string(as_text(seal.previous)));
    out.set_signature(std::string(as_text(signature)));
  }
  AuditSeal seal_of(const v1::SealedBatch& batch) const {
    const auto digest = [](const std::string& octets) {
      Sha256 value{};
      std::copy(octets.begin(), octets.end(), value.begin());
      return value;
    };
    const v1::AuditSeal& in = batch.seal();
    AuditSeal seal;
    seal.number = in.number();
    seal.sealed_at = TimePoint(Duration(in.sealed_at().seconds() * 1'000'000 + in.sealed_at().nanos() / 1000));
    seal.events = static_cast<int>(in.events());
    seal.last = {in.last_transaction(), in.last_id()};
    seal.content = digest(in.content());
    seal.previous = digest(in.previous());
    return seal;
  }
  /// Signs the seals from this one on again, each after the one before it.
  void sign_again(std::size_t first) {
    for (std::size_t i = first; i < batches.size(); ++i) {
      AuditSeal seal = seal_of(batches[i]);
      if (i > 0) seal.previous = sha256(seal_text(seal_of(batches[i - 1])));
      sign(seal, batches[i]);
    }
  }
  void remark(v1::SealedBatch& batch, RemarkKind kind, const ca::SigningKey& by) const {
    const SealRemark remark{batch.seal().number(), kind, "words", {}};
    v1::SealRemark& out = *batch.add_remarks();
    out.set_kind(std::string(to_string(kind)));
    out.set_words(remark.words);
    out.set_signature(
        std::string(as_text(ca::sign_seal(by, remark_text(remark, seal_of(batch)), Botan::system_rng()).value())));
  }
  SealVerifier verified(const Anchors& anchors = {}) const {
    SealVerifier verifier(ca::public_key_pem(key->public_key()), anchors);
    for (const v1::SealedBatch& batch : batches) verifier.take(batch);
    verifier.finish();
    return verifier;
  }

  std::unique_ptr<ca::SigningKey> key = ca::generate_key(ca::KeyAlgorithm::kP256).value();
  std::vector<v1::SealedBatch> batches;
  std::vector<std::string> hashes;
};

TEST_CASE("a record as it was sealed is found whole, by another's encoding") {
  const Chain chain;
  const SealVerifier verifier = chain.verified(read_anchors("number=3 sha256=" + chain.hashes[2]));
  CHECK(verifier.findings().empty());
  CHECK(verifier.first() == 1);
  CHECK(verifier.last() == 5);
  CHECK(verifier.events() == 15);
  CHECK(verifier.anchor() == "number=5 sha256=" + chain.hashes[4]);
}

TEST_CASE("whatever is changed in a sealed event shows") {
  using Change = std::function<void(v1::AuditEvent&)>;
  const std::vector<std::pair<std::string, Change>> changes{
      {"id", [](auto& event) { event.set_id(99); }},
      {"at", [](auto& event) { event.mutable_at()->set_nanos(event.at().nanos() + 1000); }},
      {"actor_kind", [](auto& event) { event.set_actor_kind("device"); }},
      {"actor", [](auto& event) { event.set_actor("mallory"); }},
      {"address", [](auto& event) { event.set_address(""); }},
      {"action", [](auto& event) { event.set_action("phone.remove"); }},
      {"subject", [](auto& event) { event.set_subject("SEP2"); }},
      {"operation_id", [](auto& event) { event.set_operation_id(7); }},
      {"outcome", [](auto& event) { event.set_outcome("failed"); }},
      {"reason", [](auto& event) { event.set_reason("INTERNAL"); }},
      {"detail", [](auto& event) { event.set_detail("größe"); }},
      {"a boundary between two fields",
       [](auto& event) {
         event.set_actor("alic");
         event.set_address("e192.0.2.7");
       }},
  };
  for (const auto& [name, change] : changes) {
    Chain chain;
    change(*chain.batches[1].mutable_events(1));
    CAPTURE(name);
    const auto findings = chain.verified().findings();
    REQUIRE(findings.size() == 1);
    CHECK_THAT(findings.front(), Catch::Contains("seal 2: its events are not those that were sealed"));
  }
}

TEST_CASE("events that are removed, inserted or reordered show") {
  Chain chain;
  v1::SealedBatch& batch = chain.batches[2];
  std::string finding = "seal 3: covers 3 events, and fewer are there";
  SECTION("removed") { batch.mutable_events()->RemoveLast(); }
  SECTION("inserted") {
    *batch.add_events() = batch.events(0);
    finding = "seal 3: covers 3 events, and more are there";
  }
  SECTION("reordered") {
    batch.mutable_events()->SwapElements(0, 1);
    finding = "seal 3: its events are not those that were sealed";
  }
  const auto findings = chain.verified().findings();
  REQUIRE(findings.size() == 1);
  CHECK(findings.front() == finding);
}

TEST_CASE("seals that are removed, exchanged or forged show") {
  Chain chain;
  Anchors anchors;
  std::string words;
  SECTION("in the middle") {
    chain.batches.erase(chain.batches.begin() + 2);
    words = "seals are missing";
  }
  SECTION("at the beginning") {
    chain.batches.erase(chain.batches.begin());
    words = "begins with seal 2";
  }
  SECTION("at the end, which an anchor knows") {
    chain.batches.pop_back();
    anchors =
        read_anchors("2030-12-31T23:59:59.123Z info audit.sealed number=5 sha256=" + chain.hashes[4] + " events=3\n");
    words = "cut short: it ends with seal 4";
  }
  SECTION("all of them") {
    chain.batches.clear();
    anchors = {{1, chain.hashes[0]}};
    words = "cut short";
  }
  SECTION("two exchanged") {
    std::swap(chain.batches[1], chain.batches[2]);
    words = "does not continue the chain";
  }
  SECTION("signed by another key") {
    chain.batches[1].mutable_seal()->set_signature(Chain().batches[1].seal().signature());
    words = "seal 2: is not signed by the audit key";
  }
  SECTION("a number that was not signed") {
    chain.batches[4].mutable_seal()->set_last_id(1);
    words = "seal 5: is not signed by the audit key";
  }
  SECTION("a chain that was made anew with the key itself, which an anchor knows") {
    anchors = {{3, chain.hashes[1]}};
    words = "seal 3: is not the one that the anchor names";
  }
  const auto findings = chain.verified(anchors).findings();
  REQUIRE_FALSE(findings.empty());
  std::string all;
  for (const std::string& finding : findings) all += finding + '\n';
  CHECK_THAT(all, Catch::Contains(words));
}

TEST_CASE("an event that is written down late and dated back shows, though it was sealed") {
  Chain chain;
  v1::SealedBatch& batch = chain.batches[4];
  v1::AuditEvent& event = *batch.mutable_events(0);
  event.mutable_at()->set_seconds(event.at().seconds() - 7200);
  const auto findings = chain.verified().findings();
  REQUIRE(findings.size() == 2);
  CHECK(findings[1] == "seal 5: covers an event that was dated back");
}

TEST_CASE("times of a wrong clock are known where the audit key says so of that seal, and found elsewhere") {
  Chain chain;
  const auto other = ca::generate_key(ca::KeyAlgorithm::kP256).value();
  v1::SealedBatch& batch = chain.batches[3];
  if (GENERATE(true, false)) {  // a seal of before the one before it; an event of later than its seal
    batch.mutable_seal()->mutable_sealed_at()->set_seconds(chain.batches[2].seal().sealed_at().seconds() - 7200);
  } else {
    batch.mutable_seal()->mutable_sealed_at()->set_seconds(batch.events(0).at().seconds() - 1);
  }
  chain.sign_again(3);
  const auto found = [&] {
    const SealVerifier verifier = chain.verified();
    return std::pair(verifier.findings().size(), verifier.remarks().size());
  };
  CHECK(found().first > 0);
  SECTION("by nobody") {}
  SECTION("by another key") { chain.remark(chain.batches[3], RemarkKind::kTimes, *other); }
  SECTION("of another seal") {
    chain.remark(chain.batches[2], RemarkKind::kTimes, *chain.key);
    *chain.batches[3].mutable_remarks() = chain.batches[2].remarks();
    chain.batches[2].clear_remarks();
  }
  SECTION("of another kind") { chain.remark(chain.batches[3], RemarkKind::kMadeUp, *chain.key); }
  CHECK(found().first > 0);
  CHECK(found().second == 0);
  chain.remark(chain.batches[3], RemarkKind::kTimes, *chain.key);
  CHECK(found() == std::pair<std::size_t, std::size_t>(0, 1));
}

TEST_CASE("the chain goes past a seal that the audit key calls made up, and past no other") {
  Chain chain;
  const auto other = ca::generate_key(ca::KeyAlgorithm::kP256).value();
  // The second seal is forged; the third one follows the first.
  chain.batches[1].clear_events();
  chain.batches[1].mutable_seal()->set_content(std::string(32, 'x'));
  AuditSeal third = chain.seal_of(chain.batches[2]);
  third.previous = sha256(seal_text(chain.seal_of(chain.batches[0])));
  chain.sign(third, chain.batches[2]);
  chain.sign_again(3);
  CHECK_FALSE(chain.verified().findings().empty());
  chain.remark(chain.batches[1], RemarkKind::kMadeUp, *other);
  CHECK_FALSE(chain.verified().findings().empty());
  chain.remark(chain.batches[1], RemarkKind::kMadeUp, *chain.key);
  const SealVerifier verifier = chain.verified();
  CHECK(verifier.findings().empty());
  REQUIRE(verifier.remarks().size() == 1);
  CHECK_THAT(verifier.remarks().front(), Catch::Contains("seal 2: is made up"));
  CHECK(verifier.events() == 12);
  SECTION("a seal that the key has signed is not made up by a remark") {
    chain.remark(chain.batches[4], RemarkKind::kMadeUp, *chain.key);
    CHECK(chain.verified().events() == 12);
  }
  SECTION("a made-up seal covers nothing") {
    *chain.batches[1].add_events() = chain.batches[0].events(0);
    CHECK_FALSE(chain.verified().findings().empty());
  }
}

TEST_CASE("a record that begins after the archive is whole where the anchor is the seal before") {
  Chain chain;
  const std::string before = chain.hashes[1];
  chain.batches.erase(chain.batches.begin(), chain.batches.begin() + 2);
  CHECK(chain.verified({{2, before}}).findings().empty());
  CHECK_FALSE(chain.verified({{2, chain.hashes[2]}}).findings().empty());
}

TEST_CASE("events that stay without a seal, or come from a transaction that has not begun, are found") {
  const Chain chain;
  const TimePoint now{std::chrono::sys_days{std::chrono::year{2030} / 1 / 1}};
  const auto findings = [&](std::chrono::minutes age, int made_up) {
    SealVerifier verifier = chain.verified({});
    v1::ListSealsResponse rest;
    rest.set_unsealed(3);
    rest.set_made_up(made_up);
    rest.mutable_oldest_unsealed()->set_seconds(
        std::chrono::duration_cast<std::chrono::seconds>((now - age).time_since_epoch()).count());
    verifier.take_unsealed(rest, now);
    return verifier.findings();
  };
  CHECK(findings(std::chrono::minutes{10}, 0).empty());
  CHECK(findings(std::chrono::minutes{11}, 0).size() == 1);
  CHECK(findings(std::chrono::minutes{1}, 2).size() == 1);
}

TEST_CASE("anchors are read from logs, and nothing else of them") {
  const std::string hash(64, 'a');
  const auto anchors = read_anchors(
      "info server.ready admin=127.0.0.1\n"
      "info audit.sealed number=12 sha256=" +
      hash +
      " events=3\n"
      "  \"anchor\": \"number=13 sha256=" +
      hash +
      "\"\n"
      "number=14 sha256=" +
      hash +
      "a\n"
      "anchor      number=16 sha256=" +
      hash +
      "\n"
      "info issuer.added subject=\"CN=x audit.sealed number=17 sha256=" +
      hash +
      "\"\n"
      "warning phone.traced words=\"{\\\"anchor\\\":\\\"number=18 sha256=" +
      hash +
      "\\\"}\"\n"
      "info call.refused caller=x number=19 sha256=" +
      hash +
      "\n"
      "number=15 sha256=short");
  CHECK(anchors == Anchors{{12, hash}, {13, hash}, {16, hash}});
  CHECK(read_anchors("").empty());
}

}  // namespace
