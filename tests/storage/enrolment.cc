#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "capf/service/monitor.h"
#include "tests/support/expect.h"
#include "tests/support/site.h"

using namespace capf;
using namespace capf::test;

TEST_CASE("a phone gets its certificate by string, confirms it, and nothing is pending again") {
  Site site;
  const DeviceName device = site.add_phone("SEP001122334455");
  const std::string digits = site.schedule(device, kInstall, AuthMode::kString);
  CHECK(digits.size() == 8);
  const auto caller = Site::with_string(device, digits);

  const auto pending = must(site.enrolment.pending(caller));
  CHECK(pending.authenticated);
  REQUIRE(pending.operation);
  CHECK(pending.operation->kind == kInstall);

  const PhoneKey key;
  const auto issued = must(site.enrolment.issue(caller, key.request()));
  CHECK(site.last_operation(device).state == OperationState::kIssued);
  CHECK(site.state_of(issued.certificate) == CertificateState::kIssued);

  must(site.enrolment.confirm(caller, sha256(issued.certificate)));
  const Operation operation = site.last_operation(device);
  CHECK(operation.state == OperationState::kSucceeded);
  CHECK(operation.authenticated_by == CredentialKind::kString);
  CHECK(site.state_of(issued.certificate) == CertificateState::kConfirmed);
  CHECK(site.value("select count(*) from operations where string_mac is not null") == "0");

  // One string, one successful operation.
  check_stranger(site, device, site.enrolment.issue(caller, key.request()), Reason::kNoPendingOperation);
  // With its LSC the phone gets the true answer.
  const auto after = must(site.enrolment.pending(Site::with_certificate(device, issued.certificate)));
  CHECK(after.authenticated);
  CHECK_FALSE(after.operation);
}

TEST_CASE("the same request again gets the same certificate, another key another one, and one survives") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const auto caller = Site::with_string(device, site.schedule(device, kInstall, AuthMode::kString));
  const PhoneKey first;
  const PhoneKey second;
  const auto a = must(site.enrolment.issue(caller, first.request()));
  const auto again = must(site.enrolment.issue(caller, first.request()));
  CHECK(a.certificate == again.certificate);
  const auto b = must(site.enrolment.issue(caller, second.request()));
  CHECK(b.certificate != a.certificate);
  must(site.enrolment.confirm(caller, sha256(a.certificate)));
  CHECK(site.state_of(a.certificate) == CertificateState::kConfirmed);
  CHECK(site.state_of(b.certificate) == CertificateState::kSuperseded);
  CHECK(site.value("select count(*) from revocations") == "1");
}

TEST_CASE("five certificates in one operation, and it fails, the phone may hold the last") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const auto caller = Site::with_string(device, site.schedule(device, kInstall, AuthMode::kString));
  std::vector<Bytes> lscs;
  for (int i = 0; i < 5; ++i) lscs.push_back(must(site.enrolment.issue(caller, PhoneKey().request())).certificate);
  CHECK(refused(site.enrolment.issue(caller, PhoneKey().request())) == Reason::kCertificateLimit);
  CHECK(site.last_operation(device).state == OperationState::kFailed);
  CHECK(site.last_operation(device).reason == Reason::kCertificateLimit);
  for (int i = 0; i < 4; ++i) CHECK(site.state_of(lscs[static_cast<std::size_t>(i)]) == CertificateState::kSuperseded);
  CHECK(site.state_of(lscs[4]) == CertificateState::kIssued);
  // Authenticating with it confirms it.
  CHECK(must(site.enrolment.pending(Site::with_certificate(device, lscs[4]))).authenticated);
  CHECK(site.state_of(lscs[4]) == CertificateState::kConfirmed);
}

TEST_CASE("whoever does not prove the device hears one and the same, and the record knows why") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const DeviceName idle = site.add_phone("SEP2");
  const DeviceName blocked = site.add_phone("SEP3");
  const DeviceName unknown = must(DeviceName::parse("SEP4"));
  site.schedule(device, kInstall, AuthMode::kString);
  must(site.phones.block(site.administrator, blocked));
  const Bytes request = PhoneKey().request();

  check_stranger(site, device, site.enrolment.issue(Site::with_string(device, "00000000"), request),
                 Reason::kAuthStringMismatch);
  check_stranger(site, device, site.enrolment.issue(Site::caller(device), request), Reason::kAuthStringMissing);
  check_stranger(site, idle, site.enrolment.issue(Site::with_string(idle, "00000000"), request),
                 Reason::kNoPendingOperation);
  check_stranger(site, idle, site.enrolment.issue(Site::caller(idle), request), Reason::kCredentialMissing);
  check_stranger(site, blocked, site.enrolment.issue(Site::with_string(blocked, "00000000"), request),
                 Reason::kDeviceBlocked);
  const auto nobody = site.enrolment.issue(Site::with_string(unknown, "00000000"), request);
  CHECK(refused(nobody) == Reason::kAuthenticationFailed);
  CHECK(nobody.error().true_reason() == Reason::kUnknownDevice);
  CHECK(site.value("select device = '' from refusals where reason = 'UNKNOWN_DEVICE'") == "t");

  // Without a credential the answer is empty, for every name.
  for (const DeviceName& name : {device, idle, blocked, unknown}) {
    const auto answer = must(site.enrolment.pending(Site::caller(name)));
    CHECK_FALSE(answer.authenticated);
    CHECK_FALSE(answer.operation);
  }
  CHECK(site.last_operation(device).state == OperationState::kPending);
}

TEST_CASE("wrong strings are limited by address, and the right one works from elsewhere") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const std::string digits = site.schedule(device, kInstall, AuthMode::kString);
  for (int i = 0; i < 5; ++i) {
    check_stranger(site, device, site.enrolment.pending(Site::with_string(device, "99999999", "198.51.100.1")),
                   Reason::kAuthStringMismatch);
  }
  for (int i = 0; i < 20; ++i) {
    check_stranger(site, device, site.enrolment.pending(Site::with_string(device, "99999999", "198.51.100.1")),
                   Reason::kAddressLimited);
  }
  // The right one is not even compared from there.
  check_stranger(site, device, site.enrolment.pending(Site::with_string(device, digits, "198.51.100.1")),
                 Reason::kAddressLimited);
  CHECK(must(site.enrolment.pending(Site::with_string(device, digits, "198.51.100.2"))).authenticated);
}

TEST_CASE("ten wrong strings lock the string and nothing else, until an administrator unlocks") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const PhoneKey key;
  const Bytes lsc = site.enrol(device, key);
  const std::string digits = site.schedule(device, kInstall, AuthMode::kString);
  for (int i = 0; i < 10; ++i) {
    const std::string address = "198.51.100." + std::to_string(1 + i / 5);
    check_stranger(site, device, site.enrolment.pending(Site::with_string(device, "99999999", address)),
                   Reason::kAuthStringMismatch);
  }
  check_stranger(site, device, site.enrolment.pending(Site::with_string(device, digits)), Reason::kAuthStringLocked);
  CHECK(must(site.phones.show(device)).phone.string_locked_until);
  // The lock is the string's: the LSC still proves the device.
  CHECK(must(site.enrolment.pending(Site::with_certificate(device, lsc))).authenticated);
  must(site.phones.unlock(site.administrator, device, false));
  CHECK(must(site.enrolment.pending(Site::with_string(device, digits))).authenticated);
}

TEST_CASE("an operation with few digits is given up after few wrong strings") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  service::ScheduleRequest request;
  request.devices = {device};
  request.auth = AuthMode::kString;
  request.auth_string = Secret(std::string_view("4711"));
  must(site.operations.schedule(site.administrator, request));
  for (int i = 0; i < 10; ++i) {
    const std::string address = "198.51.100." + std::to_string(i);
    CHECK_FALSE(site.enrolment.pending(Site::with_string(device, "0000", address)));
  }
  must(site.phones.unlock(site.administrator, device, false));
  check_stranger(site, device, site.enrolment.pending(Site::with_string(device, "4711")), Reason::kAuthStringExhausted);
  CHECK(site.last_operation(device).state == OperationState::kFailed);
  CHECK(site.last_operation(device).reason == Reason::kAuthStringExhausted);
}

TEST_CASE("a right string costs nothing, however often it comes") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const auto caller = Site::with_string(device, site.schedule(device, kInstall, AuthMode::kString));
  for (int i = 0; i < 60; ++i) CHECK(must(site.enrolment.pending(caller)).authenticated);
}

TEST_CASE("an upgrade over the LSC supersedes it when the phone confirms, and not before") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const PhoneKey old_key;
  const Bytes old_lsc = site.enrol(device, old_key);
  site.schedule(device, kInstall, AuthMode::kLsc);
  const PhoneKey new_key;
  const auto issued = must(site.enrolment.issue(Site::with_certificate(device, old_lsc), new_key.request()));
  CHECK(site.state_of(old_lsc) == CertificateState::kConfirmed);
  must(site.enrolment.confirm(Site::with_certificate(device, issued.certificate), sha256(issued.certificate)));
  CHECK(site.last_operation(device).state == OperationState::kSucceeded);
  CHECK(site.state_of(old_lsc) == CertificateState::kSuperseded);
  // A repeated call gets the same answer.
  CHECK(site.enrolment.confirm(Site::with_certificate(device, issued.certificate), sha256(issued.certificate)));

  // The old key may have been copied: it is refused and recorded, and the phone may not renew by itself any more.
  check_stranger(site, device, site.enrolment.pending(Site::with_certificate(device, old_lsc)),
                 Reason::kSupersededLscUsed);
  CHECK(must(site.phones.show(device)).phone.self_service_stopped_at);
  CHECK(site.value("select count(*) from audit_events where action = 'phone.superseded_lsc_used'") == "1");
}

TEST_CASE("a phone in the last third of its LSC's life renews by itself, unless it was stopped") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const PhoneKey key;
  const Bytes lsc = site.enrol(device, key);
  const auto caller = Site::with_certificate(device, lsc);
  const PhoneKey next;
  CHECK(refused(site.enrolment.issue(caller, next.request())) == Reason::kSelfServiceRefused);

  site.sql("update certificates set not_before = now() - interval '300 days', not_after = now() + interval '50 days'");
  const auto offered = must(site.enrolment.pending(caller));
  REQUIRE(offered.operation);
  CHECK(offered.operation->self_service);
  CHECK(offered.operation->id == 0);
  CHECK(offered.operation->key.order == KeyOrder::kEc);
  CHECK(site.value("select count(*) from operations where self_service") == "0");

  SECTION("it gets a successor") {
    const auto issued = must(site.enrolment.issue(caller, next.request()));
    must(site.enrolment.confirm(Site::with_certificate(device, issued.certificate), sha256(issued.certificate)));
    CHECK(site.state_of(lsc) == CertificateState::kSuperseded);
    CHECK(site.last_operation(device).created_by == "SEP1");
  }
  SECTION("a stop holds until an administrator clears it") {
    site.sql("update phones set self_service_stopped_at = now()");
    CHECK(refused(site.enrolment.issue(caller, next.request())) == Reason::kSelfServiceRefused);
    must(site.phones.unlock(site.administrator, device, false));
    CHECK(site.enrolment.issue(caller, next.request()));
  }
  SECTION("a site may forbid it") {
    site.policy.self_service_upgrade = false;
    CHECK(refused(site.enrolment.issue(caller, next.request())) == Reason::kSelfServiceRefused);
  }
}

TEST_CASE("a key is one device's for ever") {
  Site site;
  const DeviceName first = site.add_phone("SEP1");
  const DeviceName second = site.add_phone("SEP2");
  const PhoneKey key;
  const Bytes lsc = site.enrol(first, key);
  const auto by_second = Site::with_string(second, site.schedule(second, kInstall, AuthMode::kString));
  CHECK(refused(site.enrolment.issue(by_second, key.request())) == Reason::kKeyOfAnotherDevice);
  CHECK(to_string(site.last_attempt(second)->reason) == "KEY_OF_ANOTHER_DEVICE");
  CHECK(site.last_operation(second).state == OperationState::kPending);

  // A former key of its own may come back, unless it was revoked as compromised.
  auto by_first = Site::with_string(first, site.schedule(first, kInstall, AuthMode::kString));
  const auto again = must(site.enrolment.issue(by_first, key.request()));
  must(site.enrolment.confirm(by_first, sha256(again.certificate)));
  const auto revoked = must(site.certificates.revoke(site.administrator, "SEP1", RevocationReason::kKeyCompromise));
  CHECK(revoked.device_blocked);
  must(site.phones.unblock(site.administrator, first));
  by_first = Site::with_string(first, site.schedule(first, kInstall, AuthMode::kString));
  CHECK(refused(site.enrolment.issue(by_first, key.request())) == Reason::kKeyCompromised);

  // A name that is added again is another phone, without the former one's key.
  must(site.phones.remove(site.administrator, second));
  site.add_phone("SEP2");
}

TEST_CASE("an LSC proves its own device and no other, also after the name was given to another phone") {
  Site site;
  const DeviceName first = site.add_phone("SEP1");
  const DeviceName second = site.add_phone("SEP2");
  const Bytes lsc = site.enrol(first, PhoneKey());
  site.schedule(second, kInstall, AuthMode::kLsc);
  check_stranger(site, second, site.enrolment.issue(Site::with_certificate(second, lsc), PhoneKey().request()),
                 Reason::kCertificateNameMismatch);
  CHECK(must(site.phones.remove(site.administrator, first)) == 1);
  const DeviceName again = site.add_phone("SEP1");
  check_stranger(site, again, site.enrolment.pending(Site::with_certificate(again, lsc)),
                 Reason::kCertificateNameMismatch);
}

TEST_CASE("blocking cancels, revokes and refuses every way until it is undone") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const Bytes lsc = site.enrol(device, PhoneKey());
  const std::string digits = site.schedule(device, kInstall, AuthMode::kString);
  CHECK(must(site.phones.block(site.administrator, device)) == 1);
  CHECK(site.last_operation(device).state == OperationState::kCancelled);
  CHECK(site.state_of(lsc) == CertificateState::kRevoked);
  check_stranger(site, device, site.enrolment.pending(Site::with_string(device, digits)), Reason::kDeviceBlocked);
  check_stranger(site, device, site.enrolment.pending(Site::with_certificate(device, lsc)), Reason::kDeviceBlocked);
  service::ScheduleRequest request;
  request.devices = {device};
  CHECK(refused(site.operations.schedule(site.administrator, request)) == Reason::kDeviceBlocked);
  must(site.phones.unblock(site.administrator, device));
  CHECK(site.schedule(device, kInstall, AuthMode::kString).size() == 8);
}

TEST_CASE("authority is checked when it is used") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  auto caller = Site::with_string(device, site.schedule(device, kInstall, AuthMode::kString));
  caller.begun = must(site.enrolment.begin(caller)).begun;
  const Bytes key = PhoneKey().botan().subject_public_key();
  const auto issue = [&] { return site.enrolment.issue(caller, key, Possession::kNone); };
  SECTION("nothing has changed") { CHECK(issue()); }
  SECTION("the operation was cancelled meanwhile") {
    must(site.operations.cancel(site.administrator, device));
    CHECK(refused(issue()) == Reason::kOperationEnded);
  }
  SECTION("it was cancelled, and another one scheduled") {
    must(site.operations.cancel(site.administrator, device));
    site.schedule(device, kInstall, AuthMode::kNull);
    CHECK(refused(issue()) == Reason::kOperationEnded);
  }
  SECTION("the device was blocked") {
    must(site.phones.block(site.administrator, device));
    CHECK_FALSE(issue());
  }
  SECTION("the phone was removed, and its name given to another") {
    must(site.phones.remove(site.administrator, device));
    site.add_phone("SEP1");
    CHECK_FALSE(issue());
  }
}

TEST_CASE("null string works from its networks, and not after its deadline of a day") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  service::ScheduleRequest request;
  request.devices = {device};
  request.auth = AuthMode::kNull;
  request.role = Role::kAdmin;
  request.key = {KeyOrder::kEc, 2048, 256};
  const auto scheduled = must(site.operations.schedule(site.administrator, request));
  CHECK(scheduled.warnings.size() == 1);
  const auto& operation = scheduled.operations.front().operation;
  CHECK(operation.completes_by - operation.created_at <= kNullStringLifetime);
  check_stranger(site, device, site.enrolment.issue(Site::caller(device, "192.0.2.1"), PhoneKey().request()),
                 Reason::kNullStringNetwork);
  CHECK(site.enrolment.issue(Site::caller(device, "127.0.0.9"), PhoneKey().request()));
}

TEST_CASE("after the deadline the phone is refused, and after the grace the operation expires") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const auto caller = Site::with_string(device, site.schedule(device, kInstall, AuthMode::kString));
  site.sql("update operations set completes_by = now() - interval '1 minute'");
  CHECK(refused(site.enrolment.issue(caller, PhoneKey().request())) == Reason::kDeadlinePassed);
  const SystemClock clock;
  service::Maintenance maintenance(site.database(), site.policy, clock, "here");
  CHECK(must(maintenance.run())->expired == 0);
  CHECK(site.last_operation(device).state == OperationState::kPending);
  site.sql("update operations set completes_by = now() - interval '8 days'");
  service::Maintenance elsewhere(site.database(), site.policy, clock, "elsewhere");
  CHECK_FALSE(must(elsewhere.run()).has_value());  // the lease is another server's
  CHECK(must(maintenance.run())->expired == 1);
  CHECK(site.last_operation(device).state == OperationState::kExpired);
}

TEST_CASE("operations that have one deadline expire in one round, however many they are") {
  Site site;
  site.sql("insert into phones (device) select 'SEP' || 100000 + n from generate_series(1, 1200) n");
  site.sql(
      "insert into operations (id, phone_id, kind, auth, key_order, rsa_bits, ec_bits, self_service, created_by, "
      "completes_by) select nextval('operation_ids'), id, 'install', 'mic', 'rsa', 2048, 384, false, 'admin', "
      "now() - interval '8 days' from phones");
  const SystemClock clock;
  service::Maintenance maintenance(site.database(), site.policy, clock, "here");
  CHECK(must(maintenance.run())->expired == 1200);
  CHECK(site.value("select count(*) from operations where state = 'expired'") == "1200");
  CHECK(must(maintenance.run())->expired == 0);
}

TEST_CASE("a phone that got its certificate in time may confirm it after the deadline") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const auto caller = Site::with_string(device, site.schedule(device, kInstall, AuthMode::kString));
  const auto issued = must(site.enrolment.issue(caller, PhoneKey().request()));
  site.sql("update operations set completes_by = now() - interval '1 minute'");
  must(site.enrolment.confirm(caller, sha256(issued.certificate)));
  CHECK(site.last_operation(device).state == OperationState::kSucceeded);
}

TEST_CASE("a phone gives up its certificate, and may ask again when the answer was lost") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const Bytes lsc = site.enrol(device, PhoneKey());
  const auto caller = Site::with_certificate(device, lsc);
  CHECK(refused(site.enrolment.give_up(caller)) == Reason::kNoPendingOperation);
  site.schedule(device, OperationKind::kDelete, AuthMode::kLsc);
  CHECK(refused(site.enrolment.issue(caller, PhoneKey().request())) == Reason::kOperationKind);
  CHECK(must(site.enrolment.give_up(caller)) == 1);
  CHECK(must(site.enrolment.give_up(caller)) == 0);
  CHECK(site.last_operation(device).state == OperationState::kSucceeded);
  CHECK(site.state_of(lsc) == CertificateState::kRevoked);
}

TEST_CASE("what a phone hands over is kept, and authenticates nobody") {
  Site site;
  const Manufacturer maker("Maker");
  const DeviceName device = site.add_phone("SEP1");
  const auto caller = Site::with_string(device, site.schedule(device, OperationKind::kTroubleshoot, AuthMode::kString));
  const Bytes mic = maker.mic(PhoneKey(), "X-SEP1");
  CHECK(refused(site.enrolment.hand_over(caller, {})) == Reason::kInvalidRequest);
  CHECK_FALSE(site.enrolment.hand_over(caller, {as_bytes("garbage").begin(), as_bytes("garbage").end()}));
  must(site.enrolment.hand_over(caller, {mic}));
  const auto shown = must(site.certificates.show("SEP1"));
  CHECK(shown.certificate.kind == CertificateKind::kHandedOver);
  CHECK(shown.certificate.der == mic);
  site.schedule(device, kInstall, AuthMode::kLsc);
  check_stranger(site, device, site.enrolment.issue(Site::with_certificate(device, mic), PhoneKey().request()),
                 Reason::kCertificateUnknownIssuer);
}

TEST_CASE("an operation fails when the phone cannot make its key for the third time") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const auto caller = Site::with_string(device, site.schedule(device, kInstall, AuthMode::kString));
  must(site.enrolment.report_failure(caller, rules::PhoneFailure::kKeyGeneration));
  must(site.enrolment.report_failure(caller, rules::PhoneFailure::kKeyGeneration));
  CHECK(site.last_operation(device).state == OperationState::kInProgress);
  must(site.enrolment.report_failure(caller, rules::PhoneFailure::kKeyGeneration));
  CHECK(site.last_operation(device).state == OperationState::kFailed);
  CHECK(must(site.phones.show(device)).status == "Upgrade Failed: Key Generation Failed/Timeout");
}

TEST_CASE("no certificate leaves when the second insert of its transaction fails, and the next try succeeds") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const auto caller = Site::with_string(device, site.schedule(device, kInstall, AuthMode::kString));
  const PhoneKey key;
  const auto table = GENERATE(as<std::string>{}, "certificates", "audit_events", "public_keys");
  site.sql(
      "create function fault() returns trigger language plpgsql as $$ begin raise exception 'fault'; end $$;"
      "create trigger fault before insert on " +
      table + " for each row execute function fault()");
  const auto failed = site.enrolment.issue(caller, key.request());
  CHECK(refused(failed) == Reason::kInternal);
  CHECK(failed.error().message.find("fault") == std::string::npos);
  CHECK(site.value("select count(*) from certificates") == "0");
  CHECK(site.value("select count(*) from public_keys where owner = 'phone'") == "0");
  CHECK(site.last_operation(device).state == OperationState::kPending);
  site.sql("drop trigger fault on " + table);
  CHECK(site.enrolment.issue(caller, key.request()));
}

TEST_CASE("nothing of the request but its key comes into the certificate") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const Bytes lsc = site.enrol(device, PhoneKey());  // the request asks for CA:TRUE and another name
  const Botan::X509_Certificate certificate(lsc);
  CHECK_FALSE(certificate.is_CA_cert());
  CHECK(certificate.subject_dn().get_first_attribute("CN") == "SEP1");
  CHECK(certificate.subject_dn().get_first_attribute("O") == "Tests");
}

TEST_CASE("many devices are scheduled together or not at all") {
  Site site;
  const DeviceName first = site.add_phone("SEP1");
  const DeviceName second = site.add_phone("SEP2");
  site.schedule(second, kInstall, AuthMode::kString);
  service::ScheduleRequest request;
  request.devices = {first, second};
  CHECK(refused(site.operations.schedule(site.administrator, request)) == Reason::kOperationPending);
  CHECK(refused(site.operations.show(first)) == Reason::kUnknownOperation);
  request.devices = {first, must(DeviceName::parse("SEP9"))};
  CHECK(refused(site.operations.schedule(site.administrator, request)) == Reason::kUnknownDevice);
  request.devices = {first, first};
  CHECK(refused(site.operations.schedule(site.administrator, request)) == Reason::kInvalidRequest);
  request.devices = {first};
  request.completes_by = SystemClock().now() + std::chrono::seconds{10};
  CHECK(refused(site.operations.schedule(site.administrator, request)) == Reason::kInvalidDeadline);
  request.completes_by = SystemClock().now() + std::chrono::hours{24 * 91};
  CHECK(refused(site.operations.schedule(site.administrator, request)) == Reason::kInvalidDeadline);
}

TEST_CASE("an administrator who writes a name in another case is told the name, by every act") {
  Site site;
  site.add_phone("SEP00112233445A");
  const DeviceName wrong = must(DeviceName::parse("sep00112233445a"));
  const DeviceName unknown = must(DeviceName::parse("sep00112233445b"));
  service::ScheduleRequest schedule;
  const auto told = [](const auto& answer) {
    REQUIRE_FALSE(answer.has_value());
    return answer.error().message;
  };
  const auto acts = [&](const DeviceName& device) {
    schedule.devices = {device};
    const Actor& actor = site.administrator;
    return std::vector{told(site.phones.show(device)),
                       told(site.phones.block(actor, device)),
                       told(site.phones.unblock(actor, device)),
                       told(site.phones.unlock(actor, device, false)),
                       told(site.phones.remove(actor, device)),
                       told(site.operations.schedule(actor, schedule)),
                       told(site.operations.show(device)),
                       told(site.operations.cancel(actor, device)),
                       told(site.certificates.show(device.text())),
                       told(site.certificates.revoke(actor, device.text(), RevocationReason::kSuperseded))};
  };
  for (const std::string& words : acts(wrong)) {
    CHECK_THAT(words, Catch::Contains("sep00112233445a, but there is SEP00112233445A: case counts"));
  }
  for (const std::string& words : acts(unknown)) CHECK_THAT(words, !Catch::Contains("case counts"));
}

TEST_CASE("what was cancelled after a certificate was issued leaves the last one with the phone") {
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const auto caller = Site::with_string(device, site.schedule(device, kInstall, AuthMode::kString));
  const auto a = must(site.enrolment.issue(caller, PhoneKey().request()));
  const auto b = must(site.enrolment.issue(caller, PhoneKey().request()));
  must(site.operations.cancel(site.administrator, device));
  CHECK(site.state_of(a.certificate) == CertificateState::kSuperseded);
  CHECK(site.state_of(b.certificate) == CertificateState::kIssued);
}

TEST_CASE("a server whose clock is wrong neither authenticates nor is healthy") {
  class WrongClock final : public Clock {
   public:
    explicit WrongClock(std::chrono::seconds by, std::optional<TimePoint> stopped = {}) : by_(by), stopped_(stopped) {}
    TimePoint now() const override { return stopped_.value_or(SystemClock().now()) + by_; }

   private:
    std::chrono::seconds by_;
    std::optional<TimePoint> stopped_;
  };
  Site site;
  const DeviceName device = site.add_phone("SEP1");
  const auto caller = Site::with_string(device, site.schedule(device, kInstall, AuthMode::kString));
  const auto begin = [&](const Clock& clock) {
    service::Dossiers dossiers(site.database(), site.policy, clock, site.high_water, site.blacklist);
    service::Enrolment enrolment(site.database().rounds(), dossiers, site.authenticator, site.issuer_keys(),
                                 site.policy, site.metrics, Botan::system_rng());
    return enrolment.begin(caller);
  };
  for (const int seconds : {-3600, -65, 65, 3600 * 24 * 365}) {
    CAPTURE(seconds);
    // A clock that is behind does not catch up while the machine does something else.
    const WrongClock clock(std::chrono::seconds(seconds),
                           seconds < 0 ? std::optional(SystemClock().now()) : std::nullopt);
    CHECK(refused(begin(clock)) == Reason::kClockSkew);
    CHECK(refused(service::Monitor(site.database(), clock, site.issuer_keys(), site.high_water, {}, {}, {}, {})
                      .healthy()) == Reason::kClockSkew);
    CHECK(refused(service::Maintenance(site.database(), site.policy, clock, "here").run()) == Reason::kClockSkew);
  }
  const WrongClock slow{std::chrono::seconds(-50)};
  CHECK(begin(slow));
}
