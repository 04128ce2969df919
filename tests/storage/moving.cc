#include "capf/service/moving.h"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/support/expect.h"
#include "tests/support/site.h"

// Phones that move in from another server: once, twice, in the way of what is here, and on record.

using namespace capf;
using namespace capf::test;
using service::Move;
using service::MovedOperation;
using service::MovedPhone;

namespace {

struct Neighbour {
  MovedPhone phone(const std::string& name) {
    const DeviceName device = must(DeviceName::parse(name));
    return {.device = device, .certificate = issuer.mic(PhoneKey(), name)};
  }
  static MovedOperation by_string(const char* digits = "24681357") {
    MovedOperation operation;
    operation.said.auth = AuthMode::kString;
    operation.said.key = {.order = KeyOrder::kEc, .ec_bits = 256};
    operation.auth_string = Secret(std::string_view(digits));
    return operation;
  }
  static MovedOperation by(AuthMode auth, OperationKind kind = OperationKind::kInstall) {
    MovedOperation operation;
    operation.kind = kind;
    operation.said.auth = auth;
    operation.said.key = {.order = KeyOrder::kEc, .ec_bits = 256};
    return operation;
  }
  Move move_of(std::vector<MovedPhone> phones) const { return {std::move(phones), {issuer.root()}, Role::kAdmin}; }
  /// How many, as "added certificates scheduled", which the check before it must have said too.
  std::string moved(const std::vector<MovedPhone>& phones) {
    const auto words = [](const service::MoveAnswer& answer) {
      return std::to_string(answer.added) + ' ' + std::to_string(answer.certificates) + ' ' +
             std::to_string(answer.scheduled.size());
    };
    const auto plan = must(moving.check(move_of(phones)));
    CHECK(plan.problems.empty());
    const std::string done = words(must(moving.move(site.administrator, move_of(phones))));
    CHECK(words(plan) == done);
    return done;
  }
  /// The problems of a check, as "1 INVALID_CERTIFICATE", and that the move does nothing then.
  std::string problems(const std::vector<MovedPhone>& phones) {
    std::string text;
    for (const auto& problem : must(moving.check(move_of(phones))).problems) {
      text += (text.empty() ? "" : ", ") + std::to_string(problem.place) + ' ' +
              std::string(to_string(problem.error.reason));
    }
    const std::string before = site.value("select count(*) from phones");
    CHECK_FALSE(moving.move(site.administrator, move_of(phones)));
    CHECK(site.value("select count(*) from phones") == before);
    return text;
  }

  Site site;
  Manufacturer issuer{"Other"};
  service::Moving moving{site.database(), site.policy, site.operations};
};

}  // namespace

TEST_CASE("phones come with their certificates and open operations, and a second time nothing comes") {
  Neighbour neighbour;
  MovedPhone scheduled = neighbour.phone("SEP00000000AA01");
  scheduled.operation = Neighbour::by_string();
  MovedPhone by_lsc = neighbour.phone("SEP00000000AA02");
  by_lsc.operation = Neighbour::by(AuthMode::kLsc, OperationKind::kDelete);
  MovedPhone bare = neighbour.phone("SEP00000000AA03");
  bare.certificate.clear();
  const std::vector<MovedPhone> phones{scheduled, by_lsc, bare};
  CHECK(neighbour.moved(phones) == "3 2 2");
  CHECK(neighbour.moved(phones) == "0 0 0");
  const Operation operation = neighbour.site.last_operation(scheduled.device);
  CHECK(operation.kind == OperationKind::kInstall);
  CHECK(operation.auth == AuthMode::kString);
  CHECK(neighbour.site.last_operation(by_lsc.device).kind == OperationKind::kDelete);
  CHECK(neighbour.site.value("select kind || ' ' || count(*) from certificates group by kind") == "handed_over 2");
  CHECK(neighbour.site.value("select string_agg(action, ' ' order by id) from audit_events where subject = "
                             "'SEP00000000AA01'") == "phone.add certificate.keep operation.schedule");
  // An operation that has ended is not scheduled again.
  must(neighbour.site.operations.cancel(neighbour.site.administrator, scheduled.device));
  CHECK(neighbour.moved(phones) == "0 0 0");
  CHECK(neighbour.site.last_operation(scheduled.device).state == OperationState::kCancelled);
}

TEST_CASE("the new string is the one that counts") {
  Neighbour neighbour;
  MovedPhone phone = neighbour.phone("SEP00000000AB01");
  phone.operation = Neighbour::by_string("13572468");
  CHECK(neighbour.moved({phone}) == "1 1 1");
  const PhoneKey key;
  CHECK(refused(neighbour.site.enrolment.issue(Site::with_string(phone.device, "99999999"), key.request())) ==
        Reason::kAuthenticationFailed);
  must(neighbour.site.enrolment.issue(Site::with_string(phone.device, "13572468"), key.request()));
}

TEST_CASE("a phone upgrades over the LSC of the other server, once its issuer is trusted") {
  Neighbour neighbour;
  const PhoneKey former;
  const DeviceName device = must(DeviceName::parse("SEP00000000AC01"));
  MovedPhone phone{.device = device, .certificate = neighbour.issuer.mic(former, device.text())};
  phone.operation = Neighbour::by(AuthMode::kLsc);
  CHECK(neighbour.moved({phone}) == "1 1 1");
  const PhoneKey key;
  const auto caller = Site::with_certificate(device, phone.certificate);
  // The moved certificate is a record: it authenticates nobody.
  CHECK(refused(neighbour.site.enrolment.issue(caller, key.request())) == Reason::kAuthenticationFailed);
  service::AnchorRequest anchor;
  anchor.store = TrustStoreName::kLsc;
  anchor.files = {neighbour.issuer.root()};
  anchor.devices = must(Pattern::parse("SEP*"));
  anchor.ends_at = SystemClock().now() + std::chrono::hours{24};
  must(neighbour.site.trust.add(neighbour.site.administrator, anchor));
  must(neighbour.site.enrolment.issue(caller, key.request()));
}

TEST_CASE("what is here stays as it is") {
  Neighbour neighbour;
  const DeviceName here = neighbour.site.add_phone("SEP00000000AD01");
  MovedPhone known = neighbour.phone(here.text());
  known.operation = Neighbour::by_string();
  CHECK(neighbour.moved({known}) == "0 1 1");  // it never had an operation here
  const DeviceName blocked = neighbour.site.add_phone("SEP00000000AD02");
  must(neighbour.site.phones.block(neighbour.site.administrator, blocked));
  MovedPhone stolen = neighbour.phone(blocked.text());
  stolen.operation = Neighbour::by_string();
  CHECK(neighbour.moved({stolen}) == "0 1 0");
}

TEST_CASE("every problem of a move is found before it, and a move with one does nothing") {
  Neighbour neighbour;
  neighbour.site.add_phone("SEP00000000AE01");
  MovedPhone good = neighbour.phone("SEP00000000AE02");
  MovedPhone other_case = neighbour.phone("SEP00000000ae01");
  MovedPhone others = neighbour.phone("SEP00000000AE03");
  others.certificate = neighbour.issuer.mic(PhoneKey(), "SEP00000000AE99");
  MovedPhone strange = neighbour.phone("SEP00000000AE04");
  strange.certificate = Manufacturer("Stranger").mic(PhoneKey(), "SEP00000000AE04");
  MovedPhone broken = neighbour.phone("SEP00000000AE05");
  broken.certificate.resize(40);
  CHECK(neighbour.problems({good, other_case, others, strange, broken}) ==
        "1 DEVICE_OTHER_CASE, 2 INVALID_CERTIFICATE, 3 INVALID_CERTIFICATE, 4 INVALID_CERTIFICATE");
  CHECK(refused(neighbour.moving.check(neighbour.move_of({}))) == Reason::kInvalidRequest);
  CHECK(refused(neighbour.moving.check(neighbour.move_of({good, good}))) == Reason::kInvalidRequest);
  Move without_issuer{{good}, {good.certificate}, Role::kAdmin};
  CHECK(refused(neighbour.moving.check(without_issuer)) == Reason::kInvalidCertificate);
  // An operation by string without one.
  good.operation = Neighbour::by(AuthMode::kString);
  CHECK(must(neighbour.moving.check(neighbour.move_of({good}))).scheduled.size() == 1);
  CHECK(refused(neighbour.moving.move(neighbour.site.administrator, neighbour.move_of({good}))) ==
        Reason::kInvalidAuthString);
}

TEST_CASE("a certificate that has expired moves in as a record") {
  Neighbour neighbour;
  MovedPhone phone = neighbour.phone("SEP00000000AF01");
  phone.certificate = neighbour.issuer.mic(PhoneKey(), phone.device.text(), -20, -2);
  CHECK(neighbour.moved({phone}) == "1 1 0");
}
