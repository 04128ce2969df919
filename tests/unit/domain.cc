#include <string>

#include <catch2/catch.hpp>

#include "capf/domain/administrator.h"
#include "capf/domain/authentication.h"
#include "capf/domain/certificate.h"
#include "capf/domain/device.h"
#include "capf/domain/operation.h"
#include "capf/domain/policy.h"
#include "capf/domain/serial.h"

using namespace capf;

TEST_CASE("a device name is taken as the field writes it") {
  for (const char* text : {"SEP001122334455", "ATA0011223344", "CSF123", "a", "tel-1.example_x"}) {
    CAPTURE(text);
    CHECK(DeviceName::parse(text)->text() == text);
  }
}

TEST_CASE("a device name with anything outside its alphabet is refused") {
  const std::string long_name(51, 'A');
  for (const std::string& text :
       {std::string(), std::string("SEP 1"), std::string("SEP%s"), std::string("SEP'; --"), std::string("SEP\n"),
        std::string("SEP\0001", 5), std::string("-SEP"), std::string("SEP-"), std::string(".."), std::string("SEP/1"),
        std::string("S\xc3\x89P"), long_name}) {
    CAPTURE(text);
    CHECK(DeviceName::parse(text).error().reason == Reason::kInvalidDeviceName);
  }
}

TEST_CASE("a pattern matches any run of characters where it has a star") {
  const auto matches = [](const char* pattern, const char* name) { return Pattern::parse(pattern)->matches(name); };
  CHECK(matches("*", ""));
  CHECK(matches("*", "SEP001122334455"));
  CHECK(matches("SEP*", "SEP001122334455"));
  CHECK(matches("SEP*55", "SEP001122334455"));
  CHECK(matches("*1122*", "SEP001122334455"));
  CHECK(matches("S**P*", "SEP001122334455"));
  CHECK_FALSE(matches("SEP*", "ATA001122334455"));
  CHECK_FALSE(matches("SEP", "SEP1"));
  CHECK_FALSE(matches("SEP*5", "SEP001122334456"));
  CHECK_FALSE(matches("sep*", "SEP001122334455"));
  CHECK_FALSE(Pattern::parse(""));
  CHECK_FALSE(Pattern::parse("SEP?"));
  CHECK_FALSE(Pattern::parse(std::string(65, '*')));
}

TEST_CASE("an operation that has ended stays as it is, and an open one may start again") {
  for (const OperationState from : kOperationStates) {
    for (const OperationState to : kOperationStates) {
      const bool ended = !is_open(from);
      const bool back_to_pending = to == OperationState::kPending;
      CAPTURE(to_string(from), to_string(to));
      CHECK(may_become(from, to) == (!ended && !back_to_pending));
    }
  }
}

TEST_CASE("spellings lead back to what they spell") {
  for (const OperationState state : kOperationStates) CHECK(parse_operation_state(to_string(state)) == state);
  for (const OperationKind kind : kOperationKinds) CHECK(parse_operation_kind(to_string(kind)) == kind);
  for (const AuthMode mode : kAuthModes) CHECK(parse_auth_mode(to_string(mode)) == mode);
  for (const KeyOrder order : kKeyOrders) CHECK(parse_key_order(to_string(order)) == order);
  for (const CredentialKind kind : kCredentialKinds) CHECK(parse_credential_kind(to_string(kind)) == kind);
  for (const RevocationReason reason : kRevocationReasons) CHECK(parse_revocation_reason(to_string(reason)) == reason);
  for (const CertificateState state : kCertificateStates) CHECK(parse_certificate_state(to_string(state)) == state);
  for (const Role role : kRoles) CHECK(parse_role(to_string(role)) == role);
  CHECK_FALSE(parse_operation_state("Pending"));
  CHECK_FALSE(parse_revocation_reason("keycompromise"));
  CHECK_FALSE(parse_role(""));
}

TEST_CASE("only the key sizes of the field are offered") {
  CHECK(KeyPolicy{}.check());
  CHECK(KeyPolicy{KeyOrder::kEc, 2048, 521}.check());
  CHECK_FALSE(KeyPolicy{KeyOrder::kRsa, 512, 384}.check());
  CHECK_FALSE(KeyPolicy{KeyOrder::kRsa, 2047, 384}.check());
  CHECK_FALSE(KeyPolicy{KeyOrder::kEc, 2048, 512}.check());
}

TEST_CASE("administrators read an outcome in Cisco's words") {
  using State = OperationState;
  CHECK(cisco_status(OperationKind::kInstall, State::kPending, {}) == "Operation Pending");
  CHECK(cisco_status(OperationKind::kInstall, State::kSucceeded, {}) == "Upgrade Success");
  CHECK(cisco_status(OperationKind::kDelete, State::kSucceeded, {}) == "Delete Success");
  CHECK(cisco_status(OperationKind::kTroubleshoot, State::kFailed, {}) == "Troubleshoot Failed");
  CHECK(cisco_status(OperationKind::kInstall, State::kFailed, Reason::kAuthStringMismatch) ==
        "Upgrade Failed: Invalid Authentication String");
  CHECK(cisco_status(OperationKind::kInstall, State::kFailed, Reason::kCertificateNameMismatch) ==
        "Upgrade Failed: Invalid MIC");
  CHECK(cisco_status(OperationKind::kInstall, State::kFailed, Reason::kKeyGenerationFailed) ==
        "Upgrade Failed: Key Generation Failed/Timeout");
  CHECK(cisco_status(OperationKind::kDelete, State::kExpired, Reason::kDeadlinePassed) ==
        "Delete Failed: User Initiated Request Late/Timedout");
  CHECK(cisco_status(OperationKind::kInstall, State::kCancelled, {}) == "None");
  CHECK(operation_status(OperationKind::kInstall, State::kCancelled, {}) == "Operation Cancelled");
  CHECK(operation_status(OperationKind::kDelete, State::kFailed, Reason::kPhoneRefused) ==
        cisco_status(OperationKind::kDelete, State::kFailed, Reason::kPhoneRefused));
}

TEST_CASE("the last third of an LSC's life is when it may be renewed") {
  const TimePoint start = *parse_rfc3339("2030-01-01T00:00:00Z");
  Certificate lsc;
  lsc.not_before = start;
  lsc.not_after = start + std::chrono::hours{24 * 300};
  CHECK_FALSE(lsc.due_for_renewal(start + std::chrono::hours{24 * 199}, 67));
  CHECK(lsc.due_for_renewal(start + std::chrono::hours{24 * 201}, 67));
}

TEST_CASE("a certificate's state is the first that fits") {
  const TimePoint now = *parse_rfc3339("2030-06-01T00:00:00Z");
  Certificate lsc;
  lsc.not_before = now - std::chrono::hours{24};
  lsc.not_after = now + std::chrono::hours{24};
  CHECK(lsc.state(now) == CertificateState::kIssued);
  CHECK_FALSE(lsc.valid(now));
  lsc.confirmed_at = now;
  CHECK(lsc.state(now) == CertificateState::kConfirmed);
  CHECK(lsc.valid(now));
  CHECK_FALSE(lsc.valid(lsc.not_before - std::chrono::seconds{1}));
  CHECK(lsc.state(now + std::chrono::hours{25}) == CertificateState::kExpired);
  lsc.revoked_at = now;
  CHECK(lsc.state(now) == CertificateState::kRevoked);
  lsc.superseded_at = now;
  CHECK(lsc.state(now) == CertificateState::kSuperseded);
  CHECK_FALSE(lsc.valid(now));
  lsc.superseded_at.reset();
  lsc.revoked_at.reset();
  lsc.kind = CertificateKind::kHandedOver;
  CHECK_FALSE(lsc.valid(now));
}

TEST_CASE("a serial number is read from hexadecimal digits, without leading zero octets") {
  const auto octets = [](std::string_view text) { return to_hex(SerialNumber::parse(text)->view()); };
  CHECK(octets("7F01") == "7f01");
  CHECK(octets("f01") == "0f01");
  CHECK(octets("0") == "00");
  CHECK(octets(std::string(6, '0') + std::string(40, 'a')) == std::string(40, 'a'));
  for (const std::string& text : {std::string(), std::string("7g"), std::string("-1"), std::string(41, '1')}) {
    CAPTURE(text);
    CHECK(SerialNumber::parse(text).error().reason == Reason::kInvalidSerial);
  }
}

TEST_CASE("a serial number is shown without leading zero octets") {
  CHECK(serial_text(Bytes{0x00, 0x00, 0x7f, 0x01}) == "7f01");
  CHECK(serial_text(Bytes{0x00}) == "00");
}

TEST_CASE("an administrator's name is plain") {
  for (const char* name : {"admin", "jo.smith@example.com", "a_b-c", "7"}) CHECK(check_administrator_name(name));
  for (const char* name : {"", "-x", "a b", "x/../y", "\xc3\xa9"}) {
    CHECK(check_administrator_name(name).error().reason == Reason::kInvalidName);
  }
}

namespace {

/// The table's answer: "yes", or the reason's spelling.
std::string answer(OperationKind kind, AuthMode mode, CredentialKind credential, const PhoneFacts& facts) {
  const Status admitted = admits(kind, mode, credential, facts);
  return admitted ? "yes" : std::string(to_string(admitted.error().reason));
}

struct Row {
  const char* mode;
  // credentials: none, string, own LSC, foreign LSC, MIC
  const char* expected[5];
};

void check_table(OperationKind kind, const PhoneFacts& facts, std::initializer_list<Row> rows) {
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < kCredentialKinds.size(); ++i) {
      CAPTURE(to_string(kind), row.mode, to_string(kCredentialKinds[i]), facts.valid_lsc_on_record, facts.had_own_lsc,
              facts.had_mic);
      CHECK(answer(kind, *parse_auth_mode(row.mode), kCredentialKinds[i], facts) == row.expected[i]);
    }
  }
}

constexpr const char* kNoString = "AUTH_STRING_MISSING";
constexpr const char* kOther = "CREDENTIAL_MODE";
constexpr const char* kNothing = "CREDENTIAL_MISSING";
constexpr const char* kNoMic = "MIC_NOT_TAKEN";
constexpr const char* kNoLsc = "LSC_NOT_TAKEN";

}  // namespace

TEST_CASE("by string and by null string it does not matter what the phone has had") {
  for (const OperationKind kind : kOperationKinds) {
    for (const AuthMode mode : {AuthMode::kString, AuthMode::kNull}) {
      for (const CredentialKind credential : kCredentialKinds) {
        for (int bits = 1; bits < 8; ++bits) {
          const PhoneFacts facts{(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0};
          CHECK(answer(kind, mode, credential, facts) == answer(kind, mode, credential, {}));
        }
      }
    }
  }
}

TEST_CASE("operation by authentication mode by credential: a phone that is new") {
  check_table(OperationKind::kInstall, {},
              {{"string", {kNoString, "yes", kNoString, kNoString, kNoString}},
               {"null", {"yes", "yes", "yes", "yes", "yes"}},
               {"lsc", {kNothing, kOther, "yes", "yes", "yes"}},
               {"mic", {kNothing, kOther, "yes", "yes", "yes"}}});
  for (const OperationKind kind : {OperationKind::kDelete, OperationKind::kTroubleshoot}) {
    check_table(kind, {},
                {{"string", {kNoString, "yes", kNoString, kNoString, kNoString}},
                 {"null", {"yes", "yes", "yes", "yes", "yes"}},
                 {"lsc", {kNothing, kOther, "yes", kOther, "yes"}},
                 {"mic", {kNothing, kOther, "yes", kOther, "yes"}}});
  }
}

TEST_CASE("operation by authentication mode by credential: a phone with a valid LSC that once showed a MIC") {
  const PhoneFacts facts{true, true, true};
  check_table(OperationKind::kInstall, facts,
              {{"string", {kNoString, "yes", kNoString, kNoString, kNoString}},
               {"null", {"yes", "yes", "yes", "yes", "yes"}},
               {"lsc", {kNothing, kOther, "yes", kOther, kNoMic}},
               {"mic", {kNothing, kOther, kNoLsc, kNoLsc, "yes"}}});
  for (const OperationKind kind : {OperationKind::kDelete, OperationKind::kTroubleshoot}) {
    check_table(
        kind, facts,
        {{"lsc", {kNothing, kOther, "yes", kOther, kNoMic}}, {"mic", {kNothing, kOther, kNoLsc, kOther, "yes"}}});
  }
}

TEST_CASE("operation by authentication mode by credential: a phone whose LSC has run out") {
  const PhoneFacts facts{false, true, false};
  check_table(OperationKind::kInstall, facts,
              {{"lsc", {kNothing, kOther, "yes", kOther, "yes"}}, {"mic", {kNothing, kOther, "yes", kOther, "yes"}}});
}

TEST_CASE("a device is added under a name as makers give it, or as the site says") {
  SitePolicy policy;
  policy.device_names = usual_device_names();
  const auto check = [&](const char* name) {
    const std::vector<DeviceName> devices{DeviceName::parse(name).value()};
    return check_device_names(policy, devices);
  };
  for (const char* name :
       {"SEP001122334455", "ATA001122334455", "CSFalice", "TCT-bob", "BOTcarol", "TABdave", "CIPC1"}) {
    CAPTURE(name);
    CHECK(check(name));
  }
  for (const char* name :
       {"pbx.example.com", "sep001122334455", "www", "XSEP001122334455", "SEP.example.com", "CSFpbx.example.com"}) {
    CAPTURE(name);
    const auto refused = check(name);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().reason == Reason::kDeviceNameRefused);
    CHECK_THAT(refused.error().message, Catch::Contains("SEP*"));
  }
  policy.device_names = {Pattern::parse("door-*").value(), Pattern::parse("CSF*.*").value()};
  CHECK(check("door-12"));
  CHECK(check("CSFalice.miller"));
  CHECK_FALSE(check("door-12.example.com"));
  CHECK_FALSE(check("SEP001122334455"));
  policy.device_names = {Pattern::any()};
  CHECK(check("pbx.example.com"));
}

TEST_CASE("all names that a site does not allow are told at once, at most ten of them") {
  SitePolicy policy;
  policy.device_names = usual_device_names();
  std::vector<DeviceName> devices;
  for (const char* name : {"SEP1", "www", "ATA1", "pbx"}) devices.push_back(DeviceName::parse(name).value());
  CHECK_THAT(check_device_names(policy, devices).error().message,
             Catch::StartsWith("www, pbx are no names of this site's devices, which are SEP*, "));
  for (int i = 0; i < 12; ++i) devices.push_back(DeviceName::parse("x" + std::to_string(i)).value());
  CHECK_THAT(check_device_names(policy, devices).error().message, Catch::Contains("x7 and 4 more are no names"));
}
