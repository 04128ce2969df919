#include <array>

#include "capf/domain/phone_store.h"
#include "capf/domain/summary_store.h"
#include "tests/storage/samples.h"

namespace capf::test {
namespace {

TEST_CASE("a name in another case is found, and only where there is a device of that name") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  in(*database, [&](Transaction& tx) {
    const std::vector<DeviceName> names{device("CSFjsmith"), device("csfJSmith"), device("SEP001122334455")};
    good(tx.phones().add(names, ""));
    CHECK(good(tx.phones().find_other_case(device("sep001122334455"))) == device("SEP001122334455"));
    CHECK(good(tx.phones().find_other_case(device("CSFJSMITH"))) == device("CSFjsmith"));
    CHECK(good(tx.phones().find_other_case(device("CSFjsmith"))) == device("csfJSmith"));
    CHECK_FALSE(good(tx.phones().find_other_case(device("SEP001122334455"))));
    CHECK_FALSE(good(tx.phones().find_other_case(device("SEP001122334456"))));
    const auto others = good(tx.phones().find_other_cases(
        std::vector{device("sep001122334455"), device("SEP001122334455"), device("CSFjsmith"), device("SEP9")}));
    CHECK(others == std::map<DeviceName, DeviceName>{{device("sep001122334455"), device("SEP001122334455")},
                                                     {device("CSFjsmith"), device("csfJSmith")}});
    good(tx.phones().remove_all(std::array{good(tx.phones().find(device("SEP001122334455")))->id}));
    CHECK_FALSE(good(tx.phones().find_other_case(device("sep001122334455"))));
  });
}

TEST_CASE("a phone is added, found, changed and removed, and its name is free again") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  in(*database, [&](Transaction& tx) {
    const std::vector<DeviceName> names{device("SEP2"), device("null"), device("SEP1"), device("SEP2")};
    CHECK(good(tx.phones().add(names, "CP-7961")).empty());
    CHECK(good(tx.phones().add(std::vector{device("SEP1"), device("SEP3")}, "")) == std::vector<std::string>{"SEP1"});

    const Phone phone = *good(tx.phones().find(device("SEP1")));
    CHECK(phone.model == "CP-7961");
    CHECK(phone.created_at == tx.now());
    CHECK_FALSE(phone.blocked_at);
    CHECK_FALSE(phone.last_attempt);
    good(tx.phones().block_all(std::array{phone.id}));
    Attempt attempt{{}, "192.0.2.1", "grpc", OperationKind::kDelete, Reason::kMicChanged, std::string("a\0b\xff", 4)};
    written(tx, phone.id,
            {SetModel{"CP-8861"}, SetMic{digest("mic"), true}, StopSelfService{}, RecordAttempt{attempt}});
    attempt.reason = Reason::kAuthStringMismatch;
    written(tx, phone.id, {RecordAttempt{attempt}});

    const Phone changed = *good(tx.phones().lock(device("SEP1")));
    CHECK(changed.id == phone.id);
    CHECK(changed.blocked_at == tx.now());
    CHECK(changed.model == "CP-8861");
    CHECK(changed.mic_sha256 == digest("mic"));
    CHECK(changed.mic_fresh_at == tx.now());
    CHECK(changed.self_service_stopped_at == tx.now());
    REQUIRE(changed.last_attempt);
    CHECK(changed.last_attempt->at == tx.now());
    CHECK(changed.last_attempt->address == "192.0.2.1");
    CHECK(changed.last_attempt->transport == "grpc");
    CHECK(changed.last_attempt->kind == OperationKind::kDelete);
    CHECK(changed.last_attempt->reason == Reason::kAuthStringMismatch);
    CHECK(changed.last_attempt->message == "a\uFFFDb\uFFFD");
    good(tx.phones().set_traced(std::array{phone.id}, tx.now() + std::chrono::minutes{5}));
    CHECK(good(tx.phones().find(device("SEP1")))->traced_until == tx.now() + std::chrono::minutes{5});
    good(tx.phones().set_traced(std::array{phone.id}, tx.now()));  // which is over
    CHECK_FALSE(good(tx.phones().find(device("SEP1")))->traced_until);
    good(tx.phones().set_traced(std::array{phone.id}, std::nullopt));
    good(tx.phones().unblock_all(std::array{phone.id}));
    good(tx.phones().forget_mics(std::array{phone.id}));
    good(tx.phones().allow_self_service(std::array{phone.id}));
    const Phone reset = *good(tx.phones().find(device("SEP1")));
    CHECK_FALSE(reset.blocked_at);
    CHECK_FALSE(reset.mic_sha256);
    CHECK_FALSE(reset.mic_fresh_at);
    CHECK_FALSE(reset.self_service_stopped_at);

    good(tx.phones().remove_all(std::array{phone.id}));
    CHECK_FALSE(good(tx.phones().find(device("SEP1"))));
    CHECK_FALSE(good(tx.phones().lock(device("SEP1"))));
    const Phone another = added_phone(tx, device("SEP1"));
    CHECK(another.id != phone.id);
    CHECK_FALSE(another.last_attempt);
    CHECK(good(tx.summary().summary({})).phones == 4);  // SEP1, SEP2, SEP3, null
  });
}

TEST_CASE("a refusal is its device's last attempt unless it is written down late, or the last was by a clock ahead") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  TimePoint now;
  RefusalRecord refusal = sample_refusal("192.0.2.1", Reason::kMicChanged, device().text());
  in(*database, [&](Transaction& tx) {
    refusal.phone_id = added_phone(tx).id;
    now = tx.now();
  });
  const auto last_after = [&](TimePoint at, const std::string& message) {
    refusal.attempt.at = at;
    refusal.attempt.message = message;
    refuse(*database, refusal);
    return *good(in_read(*database, [](Transaction& tx) { return tx.phones().find(device()); }))->last_attempt;
  };
  const Attempt first = last_after(now, std::string("a\0b\xff", 4));
  CHECK(first.at == now);
  CHECK(first.address == "192.0.2.1");
  CHECK(first.transport == "grpc");
  CHECK(first.kind == OperationKind::kInstall);
  CHECK(first.reason == Reason::kMicChanged);
  CHECK(first.message == "a\uFFFDb\uFFFD");
  CHECK(last_after(now - std::chrono::minutes{1}, "late").at == now);
  CHECK(last_after(now + std::chrono::hours{1}, "ahead").message == "ahead");
  CHECK(last_after(now, "again").at == now);
}

TEST_CASE("phones are listed by pattern, by name and in pages") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  in(*database, [&](Transaction& tx) {
    const std::vector<DeviceName> names{device("SEP_1"), device("SEPx1"), device("SEP_2"), device("ATA1")};
    REQUIRE(good(tx.phones().add(names, "")).empty());
    good(tx.phones().block_all(std::array{good(tx.phones().find(device("ATA1")))->id}));
    const auto listed = [&](const PhoneSelection& selection, const PhonePage& page = {}) {
      std::string text;
      const SelectedPhones found = good(tx.phones().select(selection, page));
      for (const Phone& phone : good(tx.phones().find_all(found.ids))) text += phone.device.text() + " ";
      return text;
    };
    const PhoneSelection underlined{.patterns = {good(Pattern::parse("SEP_*"))}};
    CHECK(listed(underlined) == "SEP_1 SEP_2 ");
    CHECK(listed({.patterns = {good(Pattern::parse("*1"))}}) == "ATA1 SEP_1 SEPx1 ");
    CHECK(listed({.blocked = true}) == "ATA1 ");
    CHECK(listed({.blocked = false}) == "SEP_1 SEP_2 SEPx1 ");
    // Added in another order, and to the middle between two pages.
    CHECK(listed({}, {{}, 3}) == "ATA1 SEP_1 SEP_2 ");
    good(tx.phones().add(std::vector{device("SEP_0"), device("SEP_3"), device("sep_9")}, ""));
    CHECK(listed({}, {device("SEP_2"), 2}) == "SEP_3 SEPx1 ");
    CHECK(listed({}, {device("SEPx1"), 2}) == "sep_9 ");
    CHECK(listed(underlined, {device("SEP_1"), 2}) == "SEP_2 SEP_3 ");
    CHECK(listed({.blocked = true}, {device("ATA1"), 2}).empty());
  });
}

}  // namespace
}  // namespace capf::test
