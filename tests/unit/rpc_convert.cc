#include <limits>
#include <string>

#include <catch2/catch.hpp>

#include "capf/rpc/convert.h"

using namespace capf;
using namespace capf::rpc;

namespace {

template <class T>
Reason reason_of(const Result<T>& result) {
  REQUIRE_FALSE(result.has_value());
  return result.error().reason;
}

google::protobuf::Timestamp timestamp(std::int64_t seconds, std::int32_t nanos) {
  google::protobuf::Timestamp time;
  time.set_seconds(seconds);
  time.set_nanos(nanos);
  return time;
}

v1::PageRequest page(int size, const std::string& token) {
  v1::PageRequest request;
  request.set_size(size);
  request.set_token(token);
  return request;
}

v1::ScheduleOperationsRequest good_schedule() {
  v1::ScheduleOperationsRequest request;
  request.add_devices("SEP001122334455");
  request.set_kind(v1::OPERATION_KIND_INSTALL);
  request.set_auth(v1::AUTH_MODE_STRING);
  return request;
}

}  // namespace

TEST_CASE("a time goes out and comes back, to the microsecond") {
  const TimePoint time = parse_rfc3339("2030-12-31T23:59:59.123456Z").value();
  google::protobuf::Timestamp out;
  to_proto(time, out);
  CHECK(out.nanos() == 123456000);
  CHECK(from_proto(out).value() == time);
}

TEST_CASE("a time outside the years 1970 to 9999 is refused") {
  CHECK(from_proto(timestamp(0, 0)));
  CHECK(from_proto(timestamp(253402300799, 999999999)));
  CHECK(reason_of(from_proto(timestamp(-1, 0))) == Reason::kInvalidTime);
  CHECK(reason_of(from_proto(timestamp(253402300800, 0))) == Reason::kInvalidTime);
  CHECK(reason_of(from_proto(timestamp(std::numeric_limits<std::int64_t>::max(), 0))) == Reason::kInvalidTime);
  CHECK(reason_of(from_proto(timestamp(1, -1))) == Reason::kInvalidTime);
  CHECK(reason_of(from_proto(timestamp(1, 1000000000))) == Reason::kInvalidTime);
}

TEST_CASE("a page has 1 to 1000 rows and begins after a row of ours") {
  CHECK(from_proto(page(0, ""))->limit == 100);
  CHECK(from_proto(page(0, ""))->after == 0);
  CHECK(from_proto(page(1000, "17"))->after == 17);
  CHECK(reason_of(from_proto(page(-1, ""))) == Reason::kInvalidRequest);
  CHECK(reason_of(from_proto(page(1001, ""))) == Reason::kInvalidRequest);
  for (const char* token : {"0", "-1", "+1", " 1", "1 ", "01", "1x", "x", "1.0", "9223372036854775808", "0x10"}) {
    CAPTURE(token);
    CHECK(reason_of(from_proto(page(0, token))) == Reason::kInvalidPage);
  }
  CHECK(reason_of(from_proto(page(0, std::string("1\0", 2)))) == Reason::kInvalidPage);
}

TEST_CASE("a page of phones begins behind a name") {
  CHECK(phone_page_from(page(0, ""))->limit == 100);
  CHECK_FALSE(phone_page_from(page(0, ""))->after);
  CHECK(phone_page_from(page(7, "SEP001122334455"))->after->text() == "SEP001122334455");
  CHECK(reason_of(phone_page_from(page(-1, ""))) == Reason::kInvalidRequest);
  CHECK(reason_of(phone_page_from(page(1001, ""))) == Reason::kInvalidRequest);
  for (const char* token : {" SEP1", "SEP 1", "-1", "SEP1'", "%"}) {
    CAPTURE(token);
    CHECK(reason_of(phone_page_from(page(0, token))) == Reason::kInvalidPage);
  }
}

TEST_CASE("a full page has a successor, another one has none") {
  struct Row {
    std::int64_t id;
  };
  CHECK(next_page_token(std::vector<Row>{{3}, {7}}, Page{0, 2}) == "7");
  CHECK(next_page_token(std::vector<Row>{{3}}, Page{0, 2}).empty());
  CHECK(next_page_token(std::vector<Row>{}, Page{0, 2}).empty());
}

TEST_CASE("an enumerator that this build does not know is refused, and so is none at all") {
  CHECK(reason_of(from_proto(v1::OPERATION_KIND_UNSPECIFIED)) == Reason::kInvalidRequest);
  CHECK(reason_of(from_proto(static_cast<v1::OperationKind>(4))) == Reason::kInvalidRequest);
  CHECK(reason_of(from_proto(static_cast<v1::OperationState>(-1))) == Reason::kInvalidRequest);
  CHECK(reason_of(from_proto(v1::AUTH_MODE_UNSPECIFIED)) == Reason::kInvalidRequest);
  CHECK(reason_of(from_proto(static_cast<v1::AuthMode>(99))) == Reason::kInvalidRequest);
  CHECK(reason_of(from_proto(static_cast<v1::ReportFailureRequest::Failure>(7))) == Reason::kInvalidRequest);
  CHECK(kind_filter(v1::OPERATION_KIND_UNSPECIFIED).value() == std::nullopt);
  CHECK(reason_of(kind_filter(static_cast<v1::OperationKind>(9))) == Reason::kInvalidRequest);
}

TEST_CASE("enumerators go out and come back") {
  for (const OperationKind kind : kOperationKinds) CHECK(from_proto(to_proto(kind)).value() == kind);
  for (const OperationState state : kOperationStates) CHECK(from_proto(to_proto(state)).value() == state);
  for (const AuthMode mode : kAuthModes) CHECK(from_proto(to_proto(mode)).value() == mode);
  for (const KeyOrder order : kKeyOrders) {
    v1::KeyPolicy out;
    to_proto(KeyPolicy{order, 3072, 521}, out);
    CHECK(from_proto(out).value() == KeyPolicy{order, 3072, 521});
  }
}

TEST_CASE("a key policy has its defaults, and sizes that exist") {
  v1::KeyPolicy key;
  CHECK(from_proto(key).value() == KeyPolicy{});
  key.set_rsa_bits(2047);
  CHECK(reason_of(from_proto(key)) == Reason::kInvalidKeyPolicy);
  key.set_rsa_bits(0);
  key.set_ec_bits(-384);
  CHECK(reason_of(from_proto(key)) == Reason::kInvalidKeyPolicy);
  key.set_ec_bits(0);
  key.set_order(static_cast<v1::KeyOrder>(8));
  CHECK(reason_of(from_proto(key)) == Reason::kInvalidRequest);
}

TEST_CASE("an authentication string has 4 to 10 digits and is wiped in the message") {
  std::string text = "12345678";
  CHECK(take_auth_string(text).value()->text() == "12345678");
  CHECK(text == std::string(8, '\0'));
  CHECK(take_auth_string("").value() == std::nullopt);
  for (const char* bad : {"123", "12345678901", "12a4", " 1234", "１２３４", "-1234"}) {
    CAPTURE(bad);
    text = bad;
    CHECK(reason_of(take_auth_string(text)) == Reason::kInvalidAuthString);
    CHECK(text.find_first_not_of('\0') == std::string::npos);
  }
  text = std::string("1234\0", 5);
  CHECK(reason_of(take_auth_string(text)) == Reason::kInvalidAuthString);
}

TEST_CASE("a request to schedule is taken as a whole or not at all") {
  auto request = good_schedule();
  request.set_auth_string("4711");
  const auto schedule = schedule_from(request);
  REQUIRE(schedule);
  CHECK(schedule->auth_string->text() == "4711");
  CHECK(request.auth_string() == std::string(4, '\0'));
  CHECK_FALSE(schedule->completes_by);

  request = good_schedule();
  request.clear_devices();
  CHECK(reason_of(schedule_from(request)) == Reason::kInvalidRequest);

  request = good_schedule();
  for (const char* device : {"", "-SEP", "SEP 1", "SEP1\n", "SEP'1"}) {
    CAPTURE(device);
    request.set_devices(0, device);
    CHECK(reason_of(schedule_from(request)) == Reason::kInvalidDeviceName);
  }
  request.set_devices(0, std::string("SEP1\0", 5));
  CHECK(reason_of(schedule_from(request)) == Reason::kInvalidDeviceName);

  request = good_schedule();
  request.clear_kind();
  CHECK(reason_of(schedule_from(request)) == Reason::kInvalidRequest);

  request = good_schedule();
  request.set_auth(v1::AUTH_MODE_MIC);
  request.set_auth_string("4711");
  CHECK(reason_of(schedule_from(request)) == Reason::kInvalidAuthString);
  CHECK(request.auth_string() == std::string(4, '\0'));

  request = good_schedule();
  *request.mutable_completes_by() = timestamp(-5, 0);
  CHECK(reason_of(schedule_from(request)) == Reason::kInvalidTime);

  request = good_schedule();
  for (int i = 0; i < kMostDevicesAtOnce; ++i) request.add_devices("SEP001122334455");
  CHECK(reason_of(schedule_from(request)) == Reason::kInvalidRequest);
}

TEST_CASE("filters are strict") {
  v1::ListPhonesRequest phones;
  CHECK_FALSE(filter_from(phones)->blocked);
  phones.set_devices("SEP00*");
  phones.set_blocked(true);
  CHECK(filter_from(phones)->blocked == true);
  phones.set_devices("SEP%");
  CHECK(reason_of(filter_from(phones)) == Reason::kInvalidPattern);

  v1::ListCertificatesRequest certificates;
  certificates.set_state("Revoked");
  CHECK(reason_of(filter_from(certificates)) == Reason::kInvalidRequest);
  certificates.set_state("revoked");
  CHECK(filter_from(certificates)->state == CertificateState::kRevoked);

  v1::ListAuditRequest audit;
  audit.set_subject("a\nb");
  CHECK(reason_of(filter_from(audit)) == Reason::kInvalidRequest);
  audit.set_subject(std::string(129, 'x'));
  CHECK(reason_of(filter_from(audit)) == Reason::kInvalidRequest);

  v1::ListPendingRequest pending;
  const TimePoint now = parse_rfc3339("2030-01-01T00:00:00Z").value();
  pending.mutable_older_than()->set_seconds(60);
  CHECK(filter_from(pending, now)->created_before == now - std::chrono::minutes{1});
  pending.mutable_older_than()->set_seconds(-60);
  CHECK(reason_of(filter_from(pending, now)) == Reason::kInvalidRequest);
}

TEST_CASE("a cursor is two numbers that were handed out") {
  const ChangeCursor cursor{std::numeric_limits<std::uint64_t>::max(), 17};
  const auto read = cursor_from(to_text(cursor));
  REQUIRE(read);
  CHECK(read->transaction == cursor.transaction);
  CHECK(read->id == cursor.id);
  CHECK(cursor_from("0.0"));
  for (const char* bad :
       {"", ".", "1", "1.", ".1", "1.2.3", "-1.2", "1.-2", "1 .2", "18446744073709551616.1", "00.1"}) {
    CAPTURE(bad);
    CHECK(reason_of(cursor_from(bad)) == Reason::kInvalidPage);
  }
}

TEST_CASE("trust anchors come with limits that make sense") {
  v1::AddAnchorsRequest request;
  request.set_store("mic");
  CHECK(reason_of(anchors_from(request)) == Reason::kInvalidRequest);
  request.add_certificates("x");
  CHECK(anchors_from(request)->min_rsa_bits == 2048);
  CHECK(anchors_from(request)->devices == Pattern::any());
  request.set_min_rsa_bits(512);
  CHECK(reason_of(anchors_from(request)) == Reason::kInvalidRequest);
  request.set_min_rsa_bits(1024);
  request.set_store("MIC");
  CHECK(reason_of(anchors_from(request)) == Reason::kInvalidRequest);
  request.set_store("lsc");
  request.add_certificates(std::string((1U << 20U) + 1, 'x'));
  CHECK(reason_of(anchors_from(request)) == Reason::kRequestTooLarge);
}

TEST_CASE("an operation shows its lateness and Cisco's words") {
  const TimePoint now = parse_rfc3339("2030-01-02T00:00:00Z").value();
  Operation operation{.device = DeviceName::parse("SEP001122334455").value()};
  operation.completes_by = now - std::chrono::hours{1};
  v1::Operation out;
  to_proto(operation, now, out);
  CHECK(out.overdue());
  CHECK_FALSE(out.has_finished_at());
  CHECK(out.authenticated_by().empty());
  CHECK(out.status() == "Operation Pending");

  operation.state = OperationState::kFailed;
  operation.reason = Reason::kMicChanged;
  operation.message = "broken \xFF";
  operation.finished_at = now;
  to_proto(operation, now, out);
  CHECK_FALSE(out.overdue());
  CHECK(out.reason() == "MIC_CHANGED");
  CHECK(out.status() == "Upgrade Failed: Invalid MIC");
  v1::Operation read;
  CHECK(read.ParseFromString(out.SerializeAsString()));
}
