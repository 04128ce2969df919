#include "capf/domain/operation_store.h"
#include "capf/domain/phone_store.h"
#include "capf/domain/policy.h"
#include "tests/storage/samples.h"

namespace capf::test {
namespace {

using std::chrono::hours;

TEST_CASE("an operation keeps everything that it was added with") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  in(*database, [&](Transaction& tx) {
    const Phone phone = added_phone(tx);
    Operation operation = sample_operation(tx, phone);
    operation.kind = OperationKind::kTroubleshoot;
    operation.key = {KeyOrder::kEcRsa, 3072, 521};
    operation.self_service = true;
    operation.message = "by hand";
    operation.lsc = LscTerms{hours{24 * 400}, SubjectForm::kCisco};
    operation.owners = parse_term_owners("csrpfsc");
    const Operation found = added_operation(tx, operation, 10);
    CHECK(found.phone_id == phone.id);
    CHECK(found.device == phone.device);
    CHECK(found.kind == OperationKind::kTroubleshoot);
    CHECK(found.state == OperationState::kPending);
    CHECK(found.auth == AuthMode::kString);
    CHECK(found.key == operation.key);
    CHECK(found.lsc == operation.lsc);
    CHECK(found.owners == operation.owners);
    CHECK(found.self_service);
    CHECK(found.created_by == "alice");
    CHECK(found.created_at == tx.now());
    CHECK(found.completes_by == operation.completes_by);
    CHECK_FALSE(found.finished_at);
    CHECK_FALSE(found.reason);
    CHECK(found.message == "by hand");
    CHECK(found.string_mac == operation.string_mac);
    CHECK(found.string_digits == 8);
    CHECK(found.certificates == 0);
    CHECK(found.failures == 0);
    CHECK_FALSE(found.authenticated_by);
    CHECK_FALSE(good(tx.operations().find(operation.id + 1)));
  });
}

TEST_CASE("operations that are added together keep the terms of each, and those of a version before have none") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  in(*database, [&](Transaction& tx) {
    const Operation common = sample_operation(tx, added_phone(tx));
    std::vector<NewOperation> added;
    for (const AuthMode auth : kAuthModes) {
      const Phone phone = added_phone(tx, device("SEP" + std::string(to_string(auth))));
      NewOperation& one = added.emplace_back(NewOperation{.id = good(tx.operations().next_ids(1)).front()});
      one.phone_id = phone.id;
      one.auth = auth;
      one.key = {KeyOrder::kEcRsa, 3072, 521};
      one.completes_by = tx.now() + hours(static_cast<int>(auth) + 1);
      one.strings_limit = 10;
      if (auth == AuthMode::kMic) continue;
      one.lsc = LscTerms{hours{24 * (static_cast<int>(auth) + 1)}, SubjectForm::kCisco};
      one.owners = parse_term_owners("csrpfsc");
    }
    REQUIRE(good(tx.operations().add_all(common, added, {})) == static_cast<int>(added.size()));
    for (const NewOperation& one : added) {
      const Operation found = *good(tx.operations().find(one.id));
      CHECK(found.auth == one.auth);
      CHECK(found.key == one.key);
      CHECK(found.completes_by == one.completes_by);
      CHECK(found.lsc == one.lsc);
      CHECK(found.owners == one.owners);
      CHECK(found.created_by == "alice");
    }
  });
}

TEST_CASE("a phone has one open operation, and its last one is found when that has ended") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  in(*database, [&](Transaction& tx) {
    const Phone phone = added_phone(tx);
    const Operation first = added_operation(tx, phone);
    const NewOperation beside{.id = first.id + 1, .phone_id = phone.id, .completes_by = first.completes_by};
    CHECK(good(tx.operations().add_all(first, std::span(&beside, 1), {})) == 0);
    CHECK(good(tx.operations().find_open(phone.id))->id == first.id);

    written(tx, phone.id, {EndOperation{first.id, OperationState::kCancelled, {}, ""}});
    CHECK_FALSE(good(tx.operations().find_open(phone.id)));
    CHECK(good(tx.operations().find_last(phone.id))->state == OperationState::kCancelled);
    const Operation second = added_operation(tx, phone);
    CHECK(good(tx.operations().find_last(phone.id))->id == second.id);
  });
}

TEST_CASE("an open operation advances, and an ended one changes no more") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  Operation operation{.device = device()};
  const auto advance = [&](OperationState to) -> Write {
    return AdvanceOperation{operation.id, to, CredentialKind::kMic, digest("mic"), true};
  };
  in(*database, [&](Transaction& tx) {
    operation = added_operation(tx, added_phone(tx));
    for (int i = 0; i < 2; ++i) {
      CHECK(written(tx, operation.phone_id, {advance(OperationState::kInProgress)}).session == i + 1);
      written(tx, operation.phone_id, {advance(OperationState::kIssued)});
      written(tx, operation.phone_id, {CountFailure{operation.id}});
    }
    Operation found = *good(tx.operations().find(operation.id));
    CHECK(found.state == OperationState::kIssued);
    CHECK(found.certificates == 2);
    CHECK(found.failures == 2);
    CHECK(found.authenticated_by == CredentialKind::kMic);
    CHECK(found.authenticated_certificate == digest("mic"));
    CHECK(found.expired_mic);

    written(tx, operation.phone_id,
            {EndOperation{operation.id, OperationState::kFailed, Reason::kPhoneRefused, "no room"}});
    found = *good(tx.operations().find(operation.id));
    CHECK(found.state == OperationState::kFailed);
    CHECK(found.reason == Reason::kPhoneRefused);
    CHECK(found.message == "no room");
    CHECK(found.finished_at == tx.now());
    CHECK(found.string_mac.empty());
  });
  for (const Write& late : {advance(OperationState::kInProgress), Write(CountFailure{operation.id}),
                            Write(EndOperation{operation.id, OperationState::kSucceeded, {}, ""})}) {
    const auto refused =
        in_write(*database, [&](Transaction& tx) { return tx.write(operation.phone_id, std::span(&late, 1)); });
    REQUIRE_FALSE(refused);
    CHECK(refused.error().reason == Reason::kChangedMeanwhile);
  }
}

TEST_CASE("the database itself holds the transitions and the end of an operation") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  in(*database, [&](Transaction& tx) {
    const Operation operation = added_operation(tx, added_phone(tx));
    written(tx, operation.phone_id,
            {AdvanceOperation{operation.id, OperationState::kInProgress, CredentialKind::kString, {}, false}});
  });
  CHECK_THROWS_WITH(fresh.sql("update operations set state = 'pending'"), Catch::Contains("was begun"));
  CHECK_THROWS_WITH(fresh.sql("update operations set state = 'failed'"), Catch::Contains("check"));
  CHECK_THROWS_WITH(fresh.sql("update operations set finished_at = now()"), Catch::Contains("check"));
  CHECK_THROWS_WITH(fresh.sql("update operations set state = 'lost'"), Catch::Contains("check"));
  fresh.sql("update operations set state = 'succeeded', finished_at = now(), string_mac = null");
  CHECK_THROWS_WITH(fresh.sql("update operations set state = 'issued', finished_at = null"),
                    Catch::Contains("has ended"));
  CHECK_THROWS_WITH(fresh.sql("update operations set message = 'x'"), Catch::Contains("has ended"));
}

TEST_CASE("operations are listed by state, kind, device and age, in pages") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  std::vector<Operation> operations;
  in(*database, [&](Transaction& tx) {
    for (const char* name : {"SEP1", "SEP2", "SEP3", "SEP4"}) {
      Operation operation = sample_operation(tx, added_phone(tx, device(name)));
      if (name == std::string("SEP2")) operation.completes_by = tx.now() - hours(1);
      if (name == std::string("SEP3")) operation.kind = OperationKind::kDelete;
      added_operation(tx, operation, 10);
      operations.push_back(operation);
    }
    written(tx, operations[3].phone_id,
            {EndOperation{operations[3].id, OperationState::kFailed, Reason::kPhoneRefused, ""}});
    written(tx, operations[2].phone_id,
            {AdvanceOperation{operations[2].id, OperationState::kIssued, CredentialKind::kString, {}, false}});
  });
  good(database->read([&](Transaction& tx) -> Status {
    const auto listed = [&](const OperationFilter& filter, const Page& page = {}) {
      std::string text;
      for (const Operation& operation : good(tx.operations().list(filter, page))) text += operation.device.text() + " ";
      return text;
    };
    CHECK(listed({}) == "SEP1 SEP2 SEP3 SEP4 ");
    CHECK(listed({.open = true}) == "SEP1 SEP2 SEP3 ");
    CHECK(listed({}, {.limit = 3, .newest = true}) == "SEP4 SEP3 SEP2 ");
    CHECK(listed({}, {.after = operations[1].id, .newest = true}) == "SEP1 ");
    CHECK(listed({.open = true, .device = device("SEP2")}, {.newest = true}) == "SEP2 ");
    CHECK(listed({.overdue = true}) == "SEP2 ");
    CHECK(listed({.state = OperationState::kPending}) == "SEP1 SEP2 ");
    CHECK(listed({.state = OperationState::kFailed}) == "SEP4 ");
    CHECK(listed({.kind = OperationKind::kDelete}) == "SEP3 ");
    CHECK(listed({.device = device("SEP2")}) == "SEP2 ");
    CHECK(listed({.created_before = tx.now() - hours(1)}).empty());
    CHECK(listed({.created_before = tx.now() + hours(1)}, {operations[1].id, 1}) == "SEP3 ");
    return {};
  }));
}

TEST_CASE("operations past their grace are locked oldest first, and those that others hold are left") {
  const FreshDatabase fresh;
  const auto database = fresh.open();
  const auto another = fresh.open();
  in(*database, [&](Transaction& tx) {
    for (int i = 1; i <= 4; ++i) {
      Operation operation = sample_operation(tx, added_phone(tx, device("SEP" + std::to_string(i))));
      operation.completes_by = tx.now() - hours(i);
      added_operation(tx, operation, 10);
    }
  });
  in(*database, [&](Transaction& tx) {
    REQUIRE(good(tx.phones().lock(device("SEP3"))));
    in(*another, [&](Transaction& other) {
      const auto overdue = good(other.operations().lock_overdue(other.now() - std::chrono::minutes(90), 10));
      REQUIRE(overdue.size() == 2);
      CHECK(overdue[0].device == device("SEP4"));
      CHECK(overdue[1].device == device("SEP2"));
    });
  });
}

}  // namespace
}  // namespace capf::test
