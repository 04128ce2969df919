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
  v1::PageRequest newest = page(10, "17");
  newest.set_newest(true);
  CHECK(reason_of(from_proto(newest)) == Reason::kInvalidPage);
  CHECK(reason_of(phone_page_from(newest)) == Reason::kInvalidPage);
  CHECK(page_from_either_end(newest)->newest);
  CHECK(page_from_either_end(newest)->after == 17);
  CHECK_FALSE(page_from_either_end(page(0, ""))->newest);
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
    CHECK(from_proto(out).value() == SaidKey{order, 3072, 521});
  }
}

TEST_CASE("a key policy has its defaults, and sizes that exist") {
  v1::KeyPolicy key;
  CHECK(from_proto(key).value() == SaidKey{});
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

TEST_CASE("every field of a selection of phones is taken") {
  v1::PhoneSelection fields;
  CHECK_FALSE(selection_from(fields)->names_any());
  fields.set_all(true);
  fields.add_devices("SEP1");
  fields.add_patterns("SEP*");
  fields.add_tags("lobby");
  fields.add_models("CP-88*");
  for (const LscStatus status : kLscStatuses) fields.add_lsc(std::string(to_string(status)));
  *fields.mutable_expires_before() = timestamp(100, 0);
  fields.add_issuers(7);
  *fields.mutable_issuer_expires_before() = timestamp(200, 0);
  fields.add_auths(v1::AUTH_MODE_MIC);
  for (const OperationStatus status : kOperationStatuses) fields.add_operations(std::string(to_string(status)));
  fields.add_reasons("MIC_CHANGED");
  fields.set_tried(true);
  fields.add_tried_reasons("AUTH_STRING_MISMATCH");
  *fields.mutable_not_seen_since() = timestamp(300, 0);
  fields.set_blocked(false);
  fields.set_locked(true);
  fields.add_profiles("desks");
  fields.add_modes("encrypted");
  fields.add_effective_modes("nonsecure");
  fields.add_renewals("late");
  fields.add_excepts("SEP2");
  fields.set_leaves_unknown(true);
  // A field that this test does not set would be one that the conversion may forget.
  std::vector<const google::protobuf::FieldDescriptor*> set;
  fields.GetReflection()->ListFields(fields, &set);
  CHECK(static_cast<int>(set.size()) == v1::PhoneSelection::descriptor()->field_count());

  const PhoneSelection selected = selection_from(fields).value();
  CHECK(selected.all);
  CHECK(selected.devices.front().text() == "SEP1");
  CHECK(selected.patterns.front().text() == "SEP*");
  CHECK(selected.tags == std::vector<std::string>{"lobby"});
  CHECK(selected.models.front().text() == "CP-88*");
  CHECK(selected.lscs == std::vector<LscStatus>(kLscStatuses.begin(), kLscStatuses.end()));
  CHECK(selected.expires_before == from_proto(timestamp(100, 0)).value());
  CHECK(selected.issuers == std::vector<std::int64_t>{7});
  CHECK(selected.issuer_expires_before == from_proto(timestamp(200, 0)).value());
  CHECK(selected.auths == std::vector<AuthMode>{AuthMode::kMic});
  CHECK(selected.operations == std::vector<OperationStatus>(kOperationStatuses.begin(), kOperationStatuses.end()));
  CHECK(selected.reasons == std::vector<Reason>{Reason::kMicChanged});
  CHECK(selected.tried);
  CHECK(selected.refusals == std::vector<Reason>{Reason::kAuthStringMismatch});
  CHECK(selected.not_seen_since == from_proto(timestamp(300, 0)).value());
  CHECK(selected.blocked == false);
  CHECK(selected.locked == true);
  CHECK(selected.profiles == std::vector<std::string>{"desks"});
  CHECK(selected.modes == std::vector<DeviceMode>{DeviceMode::kEncrypted});
  CHECK(selected.effective_modes == std::vector<DeviceMode>{DeviceMode::kNonsecure});
  CHECK(selected.renewals == std::vector<CampaignPhoneState>{CampaignPhoneState::kLate});
  CHECK(selected.excepts.front().text() == "SEP2");
  CHECK(selected.leaves_unknown);
}

TEST_CASE("certificates are selected by their phones, and excepted phones alone select none") {
  v1::CertificateSelection fields;
  fields.mutable_phones()->add_excepts("SEP2");
  CHECK(reason_of(selection_from(fields, "superseded")) == Reason::kInvalidSelection);
  fields.mutable_phones()->add_tags("lobby");
  const CertificateSelection selected = selection_from(fields, "superseded").value();
  REQUIRE(selected.phones);
  CHECK(selected.phones->tags == std::vector<std::string>{"lobby"});
  CHECK(selected.phones->excepts.front().text() == "SEP2");
  fields.mutable_phones()->add_tags("a b");
  CHECK(reason_of(selection_from(fields, "superseded")) == Reason::kInvalidRequest);
  fields.clear_phones();
  fields.set_issuer(1);
  CHECK_FALSE(selection_from(fields, "superseded")->phones);
}

TEST_CASE("a value that no phone can have is refused with the property that has it") {
  const auto refusal = [](void (*spoil)(v1::PhoneSelection&)) {
    v1::PhoneSelection fields;
    fields.set_all(true);
    spoil(fields);
    const auto selected = selection_from(fields);
    REQUIRE_FALSE(selected);
    return std::string(to_string(selected.error().reason)) + ": " + selected.error().message;
  };
  using Fields = v1::PhoneSelection;
  CHECK_THAT(refusal([](Fields& f) { f.add_devices("SEP 1"); }),
             Catch::StartsWith("INVALID_DEVICE_NAME: \"SEP 1\" among the devices of a selection"));
  CHECK_THAT(refusal([](Fields& f) { f.add_excepts(""); }), Catch::Contains("\"\" among the excepted devices"));
  CHECK_THAT(refusal([](Fields& f) { f.add_patterns("SEP%"); }), Catch::StartsWith("INVALID_PATTERN: \"SEP%\""));
  CHECK_THAT(refusal([](Fields& f) { f.add_models(std::string(65, 'x')); }), Catch::StartsWith("INVALID_PATTERN"));
  CHECK_THAT(refusal([](Fields& f) { f.add_tags("-"); }), Catch::Contains("\"-\" among the tags"));
  CHECK_THAT(refusal([](Fields& f) { f.add_lsc("Valid"); }), Catch::Contains("none, valid, expired, revoked or held"));
  CHECK_THAT(refusal([](Fields& f) { f.add_issuers(0); }), Catch::Contains("\"0\" among the issuers"));
  CHECK_THAT(refusal([](Fields& f) { f.add_auths(v1::AUTH_MODE_UNSPECIFIED); }), Catch::Contains("modes"));
  CHECK_THAT(refusal([](Fields& f) { f.add_operations("open"); }), Catch::Contains("\"open\" among the operation"));
  CHECK_THAT(refusal([](Fields& f) { f.add_reasons("mic_changed"); }), Catch::Contains("AUTH_STRING_MISMATCH"));
  CHECK_THAT(refusal([](Fields& f) { f.add_tried_reasons("MIC_CHANGED"); }), Catch::Contains("'tried'"));
  CHECK_THAT(refusal([](Fields& f) { f.mutable_expires_before()->set_seconds(-1); }), Catch::Contains("INVALID_TIME"));
  CHECK_THAT(refusal([](Fields& f) {
               for (std::size_t i = 0; i <= kMostSelectedValues; ++i) f.add_tags("t");
             }),
             Catch::Contains("at most 100 tags"));
}

TEST_CASE("the cursor of a bulk goes out and comes back") {
  v1::PhoneSelection all;
  all.set_all(true);
  const service::BulkCursor cursor{17, DeviceName::parse("SEP1.example-2").value()};
  const service::Bulk bulk = bulk_from(all, 5, to_text(cursor)).value();
  CHECK(bulk.selection.all);
  CHECK(bulk.count == 5);
  CHECK(bulk.cursor->through == 17);
  CHECK(bulk.cursor->after == cursor.after);
  CHECK_FALSE(bulk_from(all, 0, "")->cursor);
  CHECK(reason_of(bulk_from(all, -1, "")) == Reason::kInvalidRequest);
  for (const char* bad : {"SEP1", "17", "17.", ".SEP1", "0.SEP1", "-1.SEP1", "x.SEP1", "17.-", "17.SEP 1"}) {
    CAPTURE(bad);
    CHECK(reason_of(bulk_from(all, 5, bad)) == Reason::kInvalidPage);
  }
}

TEST_CASE("a bulk over operations has a run of 16 octets, named problems, and devices for one call") {
  v1::OperationBulk bulk;
  bulk.mutable_selection()->add_devices("SEP1");
  bulk.set_count(1);
  CHECK(bulk_from(bulk)->run.empty());
  bulk.set_run(std::string(16, '\x80'));
  for (const char* problem : {"OPERATION_PENDING", "DEVICE_BLOCKED", "UNKNOWN_DEVICE", "NO_PENDING_OPERATION"}) {
    bulk.add_skipped(problem);
  }
  const service::OperationBulk good = bulk_from(bulk).value();
  CHECK(good.run == Bytes(16, 0x80));
  CHECK(good.skipped.size() == 4);
  CHECK(good.phones.count == 1);
  for (const std::size_t octets : {15, 17}) {
    bulk.set_run(std::string(octets, 'x'));
    CHECK(reason_of(bulk_from(bulk)) == Reason::kInvalidRequest);
  }
  bulk.clear_run();
  for (const char* problem : {"MIC_CHANGED", "", "operation_pending"}) {
    bulk.set_skipped(0, problem);
    CHECK(reason_of(bulk_from(bulk)) == Reason::kInvalidRequest);
  }
  bulk.clear_skipped();
  for (int i = 1; i < kPhonesInBatch; ++i) bulk.mutable_selection()->add_devices("SEP" + std::to_string(1000 + i));
  CHECK(bulk_from(bulk));
  bulk.mutable_selection()->add_devices("SEP2");
  CHECK(reason_of(bulk_from(bulk)) == Reason::kInvalidRequest);
}

TEST_CASE("what is not said of an operation is left to what is in effect of each phone") {
  v1::ScheduleSelectionRequest request;
  request.mutable_bulk()->mutable_selection()->set_all(true);
  request.set_kind(v1::OPERATION_KIND_INSTALL);
  service::ScheduleBulk schedule = schedule_from(request).value();
  CHECK_FALSE(schedule.plan.auth);
  CHECK(schedule.plan.key == SaidKey{});
  CHECK_FALSE(schedule.plan.completes_by);
  request.set_auth(v1::AUTH_MODE_MIC);
  request.mutable_key()->set_ec_bits(521);
  v1::DeviceString& string = *request.add_strings();
  string.set_device("SEP1");
  string.set_digits("12345678");
  string.mutable_completes_by()->set_seconds(1'900'000'000);
  schedule = schedule_from(request).value();
  CHECK(schedule.plan.auth == AuthMode::kMic);
  CHECK(schedule.plan.key == SaidKey{.ec_bits = 521});
  CHECK(schedule.deadlines.at(DeviceName::parse("SEP1").value()) == TimePoint(std::chrono::seconds(1'900'000'000)));
}

TEST_CASE("an operation says of each value whose it is, and one of a version before says nothing") {
  Operation operation{.device = DeviceName::parse("SEP1").value()};
  v1::Operation before;
  to_proto(operation, {}, before);
  CHECK(before.settings().empty());
  operation.lsc = LscTerms{std::chrono::days{400}, SubjectForm::kCisco};
  operation.owners.emplace();
  (*operation.owners)[Term::kAuth] = TermOwner::kCommand;
  (*operation.owners)[Term::kLscValidity] = TermOwner::kProfile;
  v1::Operation out;
  to_proto(operation, {}, out);
  const auto said = [&](const char* name) {
    return out.settings().at(name).value() + " of the " + out.settings().at(name).from();
  };
  CHECK(out.settings_size() == static_cast<int>(kTerms.size()));
  CHECK(said("auth") == "string of the command");
  CHECK(said("key_order") == "rsa of the site");
  CHECK(said("lsc_validity_days") == "400 of the profile");
  CHECK(said("lsc_subject") == "cisco of the site");
}

TEST_CASE("the strings of a bulk are taken out of the message, also where it is refused") {
  v1::ScheduleSelectionRequest request;
  request.mutable_bulk()->mutable_selection()->set_all(true);
  request.set_kind(v1::OPERATION_KIND_INSTALL);
  request.set_auth(v1::AUTH_MODE_STRING);
  const auto add = [&](const std::string& device, const std::string& digits) {
    request.add_strings()->set_device(device);
    request.mutable_strings()->rbegin()->set_digits(digits);
  };
  add("SEP1", "47114711");
  add("SEP2", "08150815");
  const service::ScheduleBulk schedule = schedule_from(request).value();
  CHECK(schedule.strings.at(DeviceName::parse("SEP2").value()).text() == "08150815");
  CHECK(request.strings(0).digits() == std::string(8, '\0'));
  CHECK(request.strings(1).digits() == std::string(8, '\0'));
  add("SEP2", "12345678");
  CHECK(reason_of(schedule_from(request)) == Reason::kInvalidRequest);
  CHECK(request.strings(2).digits() == std::string(8, '\0'));
  request.mutable_strings(2)->set_device("SEP/3");
  request.mutable_strings(2)->set_digits("12345678");
  request.set_auth_string("123");
  CHECK(reason_of(schedule_from(request)) == Reason::kInvalidDeviceName);
  CHECK(request.strings(2).digits() == std::string(8, '\0'));
  CHECK(request.auth_string() == std::string(3, '\0'));
}

TEST_CASE("a change of phones tells no description from an empty one") {
  v1::ChangePhonesRequest request;
  CHECK(reason_of(change_from(request)) == Reason::kInvalidRequest);
  request.add_added_tags("a");
  request.add_removed_tags("b");
  CHECK_FALSE(change_from(request)->description);
  CHECK(change_from(request)->added_tags == std::vector<std::string>{"a"});
  CHECK(change_from(request)->removed_tags == std::vector<std::string>{"b"});
  request.set_description("");
  CHECK(change_from(request)->description == "");
  request.set_sets_tags(true);
  CHECK(reason_of(change_from(request)) == Reason::kInvalidRequest);
  request.clear_removed_tags();
  CHECK(change_from(request)->sets_tags);
  request.set_description(std::string(129, 'x'));
  CHECK(reason_of(change_from(request)) == Reason::kInvalidRequest);
}

TEST_CASE("a trace has a time, unless it ends, and a selection may leave what is not on record") {
  v1::TracePhonesRequest request;
  CHECK_FALSE(trace_from(request)->until);
  CHECK_FALSE(trace_from(request)->off);
  request.mutable_until()->set_seconds(1924991999);
  CHECK(trace_from(request)->until == parse_rfc3339("2030-12-31T23:59:59Z").value());
  request.mutable_until()->set_nanos(-1);
  CHECK(reason_of(trace_from(request)) == Reason::kInvalidTime);
  request.set_off(true);
  CHECK(trace_from(request)->off);
  CHECK_FALSE(trace_from(request)->until);
  request.mutable_selection()->add_devices("SEP1");
  CHECK_FALSE(selection_from(request.selection())->leaves_unknown);
  request.mutable_selection()->set_leaves_unknown(true);
  CHECK(selection_from(request.selection())->leaves_unknown);
  request.mutable_selection()->clear_devices();
  CHECK_FALSE(selection_from(request.selection())->names_any());
}

TEST_CASE("an imported phone tells what is not said from what is empty") {
  v1::ImportPhonesRequest request;
  CHECK(reason_of(import_from(request.phones(), false)) == Reason::kInvalidRequest);
  request.add_phones()->set_device("SEP1");
  v1::ImportedPhone& full = *request.add_phones();
  full.set_device("SEP2");
  full.set_model("CP-8861");
  full.set_description("");
  full.mutable_tags()->add_tags("b");
  full.mutable_tags()->add_tags("a");
  full.mutable_tags()->add_tags("b");
  request.add_phones()->set_device("SEP3");
  request.mutable_phones(2)->mutable_tags();
  const auto batch = import_from(request.phones(), true).value();
  CHECK(batch.update);
  REQUIRE(batch.phones.size() == 3);
  CHECK(batch.phones[0].device.text() == "SEP1");
  CHECK(batch.phones[0].model.empty());
  CHECK_FALSE(batch.phones[0].description);
  CHECK_FALSE(batch.phones[0].tags);
  CHECK(batch.phones[1].model == "CP-8861");
  CHECK(batch.phones[1].description == "");
  CHECK(batch.phones[1].tags == std::set<std::string>{"a", "b"});
  CHECK(batch.phones[2].tags == std::set<std::string>{});
  request.add_phones()->set_device("SEP 4");
  CHECK(reason_of(import_from(request.phones(), true)) == Reason::kInvalidDeviceName);
  request.clear_phones();
  for (int i = 0; i <= kPhonesInBatch; ++i) request.add_phones()->set_device("SEP" + std::to_string(i));
  CHECK(reason_of(import_from(request.phones(), true)) == Reason::kInvalidRequest);
}

TEST_CASE("the plan of an import goes out with the place and the words of each problem") {
  v1::CheckImportResponse response;
  to_proto(service::ImportCount{.added = 1, .changed = 2, .unchanged = 3}, response);
  to_proto(service::ImportProblem{4, fail(Reason::kDeviceExists, "SEP5 exists").value()}, *response.add_problems());
  CHECK(response.added() == 1);
  CHECK(response.changed() == 2);
  CHECK(response.unchanged() == 3);
  CHECK(response.problems(0).place() == 4);
  CHECK(response.problems(0).reason() == "DEVICE_EXISTS");
  CHECK(response.problems(0).message() == "SEP5 exists");
}

TEST_CASE("filters are strict") {
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

TEST_CASE("a change of security says what is in effect for its device, and why that is less than was asked for") {
  SecurityChange change;
  change.cursor = {7, 3};
  change.device = "SEP001122334455";
  change.facts = ModeFacts{.site = SiteMode::kMixed, .profile = DeviceMode::kEncrypted, .lsc = LscStatus::kExpired};
  change.reason = "CERTIFICATE_EXPIRED";
  v1::SecurityChange out;
  to_proto(change, {}, out);
  CHECK(out.kind() == "mode_changed");
  CHECK(out.mode() == "encrypted");
  CHECK(out.effective_mode() == "nonsecure");
  CHECK(out.mode_reason() == "CERTIFICATE_EXPIRED");
  CHECK(out.cursor() == "7.3");
  change.facts->lsc = LscStatus::kRevoked;
  change.kind = SecurityChangeKind::kCertificateWithdrawn;
  change.reason.clear();
  change.revocation = RevocationReason::kKeyCompromise;
  change.serial = {0x0a, 0xbc};
  to_proto(change, {}, out);
  CHECK(out.kind() == "certificate_withdrawn");
  CHECK(out.reason() == "keyCompromise");
  CHECK(out.serial() == "0abc");
  SecurityChange site;
  site.mode = "mixed";
  v1::SecurityChange of_site;
  to_proto(site, {}, of_site);
  CHECK(of_site.mode() == "mixed");
  CHECK(of_site.effective_mode().empty());
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

TEST_CASE("a move is taken as a whole, and its strings leave the message whatever else is wrong") {
  const auto good = [] {
    v1::MovePhonesRequest request;
    request.add_issuers("der");
    for (const char* device : {"SEP000000000001", "SEP000000000002"}) {
      auto& phone = *request.add_phones();
      phone.set_device(device);
      phone.set_certificate("certificate");
      phone.mutable_operation()->set_kind(v1::OPERATION_KIND_INSTALL);
      phone.mutable_operation()->set_auth(v1::AUTH_MODE_STRING);
      phone.mutable_operation()->set_auth_string("24681357");
    }
    return request;
  };
  auto request = good();
  const auto move = take_move(request);
  REQUIRE(move);
  REQUIRE(move->phones.size() == 2);
  CHECK(move->phones[1].device.text() == "SEP000000000002");
  CHECK(move->phones[1].operation->auth_string.text() == "24681357");
  CHECK(move->phones[1].operation->said.auth == AuthMode::kString);
  CHECK_FALSE(move->phones[1].operation->said.completes_by);
  CHECK(request.phones(0).operation().auth_string() == std::string(8, '\0'));
  CHECK(request.phones(1).operation().auth_string() == std::string(8, '\0'));

  request = good();
  request.mutable_phones(0)->set_device("no name");
  CHECK(reason_of(take_move(request)) == Reason::kInvalidDeviceName);
  CHECK(request.phones(1).operation().auth_string() == std::string(8, '\0'));
  request = good();
  request.mutable_phones(1)->mutable_operation()->set_auth_string("one");
  CHECK(reason_of(take_move(request)) == Reason::kInvalidAuthString);
  request = good();
  request.clear_issuers();
  CHECK(reason_of(take_move(request)) == Reason::kInvalidRequest);
  request.add_issuers(std::string(20'000, 'x'));
  CHECK(reason_of(take_move(request)) == Reason::kInvalidRequest);
  request = good();
  request.mutable_phones(0)->mutable_operation()->clear_auth();
  CHECK(reason_of(take_move(request)) == Reason::kInvalidRequest);
  CHECK(reason_of(take_move(v1::MovePhonesRequest())) == Reason::kInvalidRequest);
  // Without an operation there is none.
  request = good();
  request.mutable_phones(0)->clear_operation();
  CHECK_FALSE(take_move(request)->phones[0].operation);
}

TEST_CASE("a phone's history is asked for by the name of a device, and has no other filter") {
  v1::ListPhoneHistoryRequest request;
  CHECK(reason_of(filter_from(request)) == Reason::kInvalidDeviceName);
  request.set_device("SEP000000000001");
  const auto filter = filter_from(request);
  REQUIRE(filter);
  CHECK(filter->subject == "SEP000000000001");
  CHECK(filter->of_phones);
  CHECK_FALSE(filter->since);
}

TEST_CASE("the HA1s of an exported row are wiped once it is sent") {
  const std::string md5(32, 'a');
  const std::string sha256(64, 'b');
  service::DigestExportRow row;
  row.user = "4711";
  row.ha1 = Ha1{Secret(as_bytes(md5)), Secret(as_bytes(sha256)), Secret(as_bytes(sha256))};
  v1::DigestExportRow out;
  to_proto(row, out);
  CHECK(out.ha1_md5() == md5);
  wipe(out);
  CHECK(out.user() == "4711");
  CHECK(out.ha1_md5() == std::string(32, '\0'));
  CHECK(out.ha1_sha256() == std::string(64, '\0'));
  CHECK(out.ha1_sha512_256() == std::string(64, '\0'));
}
